/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natd_asks_world: programs of four users ask a natd for mappings, change their minds, hang up and
 * die, while its file changes and it is started anew.
 *
 * What must hold all the time: what natd wants is in its file, or asked for by a user who may, at
 * ports that this user may have; nobody has more than a share, and one external port leads to one
 * place. At the end: when all have gone, the router holds what the file says and no more.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/fake_kernel.h"
#include "tests/world/natd_program.h"
#include "tests/world/worlds.h"

#define LOOK_US	  (50 * MS)
#define LONGEST_S 300u /* a lease that is asked for */
#define UDP_PORT  8443u
#define TCP_PORT  9003u /* among those that are asked for */
#define MOST	  3u
#define FILE_OF(allow)                                                                             \
	"map: [{protocol: udp, port: 8443, ipv6: false}, {protocol: tcp, port: 9003, external: "   \
	"9005, ipv6: false}]\nlifetime: 10m\nrecheck: 1m\n" allow
#define FIRST	     "{user: '1000', ports: [9000-9004], most: 3}"
#define SECOND_ALLOW "{group: '1001', ports: [9002-9006], protocol: udp, most: 3}"

static struct world_natd home;

static struct asker {
	struct k_program *program;
	unsigned uid;
	int fd; /* -1: hung up */
} askers[] = {{.uid = 0}, {.uid = 1000}, {.uid = 1001}, {.uid = 1002}, {.uid = 1000}};
#define ASKERS (sizeof(askers) / sizeof(askers[0]))

static struct {
	bool first_may; /* user 1000 stands in the file */
	bool checking;
} scene;

/* ---- what must hold ---- */

static bool in_file(const struct portmap_want *w)
{
	return (w->transport == PORTMAP_UDP && w->internal == UDP_PORT &&
		w->external == UDP_PORT) ||
	       (w->transport == PORTMAP_TCP && w->internal == TCP_PORT && w->external == 9005);
}

/* What the file says, in words of this world's own. */
static bool may(unsigned uid, const struct portmap_want *w)
{
	if (uid == 0)
		return true;
	if (uid == 1000)
		return scene.first_may && w->internal >= 9000 && w->internal <= 9004 &&
		       w->external >= 9000 && w->external <= 9004;
	return uid == 1001 && w->transport == PORTMAP_UDP && w->internal >= 9002 &&
	       w->internal <= 9006 && w->external >= 9002 && w->external <= 9006;
}

static bool somebody_may(const struct portmap_want *w)
{
	for (const struct ask *a = NULL; (a = asks_of(&home.natd.asks, w, a));)
		if (may(a->user.uid, &a->want) && (a->want.any || a->want.external == w->external))
			return true;
	return false;
}

static void check_shares(void)
{
	unsigned of[ASKERS] = {0};

	for (size_t i = 0; i < ASKS_MAX; i++) {
		const struct ask *a = &home.natd.asks.list[i];

		for (size_t u = 0; u < ASKERS; u++)
			of[u] += a->used && a->user.uid == askers[u].uid;
		world_check(!a->used || may(a->user.uid, &a->want), "rights",
			    "user %u has %s port %u at %u, and may not", (unsigned)a->user.uid,
			    portmap_transport_name(a->want.transport), a->want.internal,
			    a->want.external);
	}
	for (size_t u = 1; u < ASKERS; u++)
		world_check(of[u] <= MOST, "shared", "user %u asks for %u mappings", askers[u].uid,
			    of[u]);
}

static void check_wants(void)
{
	const struct portmap_mapping *m, *other;

	for (m = home.natd.engine.mappings; m; m = m->next) {
		if (!m->wanted)
			continue;
		world_check(in_file(&m->want) || somebody_may(&m->want), "rights",
			    "%s port %u is wanted at %u by nobody who may",
			    portmap_transport_name(m->want.transport), m->want.internal,
			    m->want.external);
		for (other = m->next; other; other = other->next)
			world_check(!other->wanted || other->want.transport != m->want.transport ||
					    other->want.external != m->want.external,
				    "one-place", "external port %u is asked for twice",
				    m->want.external);
	}
}

static void look(void *context, uint64_t argument)
{
	if (!scene.checking)
		return;
	if (home.up && !home.natd.stopping) {
		check_shares();
		check_wants();
	}
	world_after(LOOK_US, look, NULL, 0);
}

/* ---- askers ---- */

static void hang_up(struct asker *a)
{
	if (a->fd < 0)
		return;
	k_enter(a->program);
	close(a->fd);
	k_enter(NULL);
	a->fd = -1;
}

static void dies(struct asker *a)
{
	world_tell("the program of user %u dies", a->uid);
	k_program_end(a->program);
	a->program = k_program_new("asker", home.host);
	a->program->uid = a->uid;
	a->fd = -1;
}

/* What natd says is taken and passed over; a natd that has gone is hung up on. */
static void listens(struct asker *a)
{
	char bytes[4096];
	ssize_t n = 1;

	if (a->fd < 0)
		return;
	k_enter(a->program);
	for (unsigned i = 0; i < 100 && n > 0; i++)
		n = recv(a->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	k_enter(NULL);
	if (n == 0)
		hang_up(a);
}

static void says(struct asker *a, const char *line)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = NATD_SOCKET};

	listens(a);
	k_enter(a->program);
	if (a->fd < 0) {
		a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)!connect(a->fd, (const struct sockaddr *)&at, sizeof(at));
		k_enter(NULL);
		world_run(20 * MS);
		k_enter(a->program);
	}
	(void)!send(a->fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
	k_enter(NULL);
	world_tell("user %u says %s", a->uid, line);
}

/* Some of it is nonsense, and refused. */
static void asks_for_something(struct asker *a)
{
	unsigned port = (unsigned)dice_between(&world_dice, 8999, 9007), external = port;
	const char *transport = dice_chance(&world_dice, 500) ? "udp" : "tcp";
	char lease[48] = "", line[256];

	if (dice_chance(&world_dice, 300))
		external = (unsigned)dice_between(&world_dice, 8999, 9007);
	if (dice_chance(&world_dice, 50))
		external = 22;
	if (dice_chance(&world_dice, 300))
		snprintf(lease, sizeof(lease), ",\"lease_s\":%u",
			 (unsigned)dice_between(&world_dice, 50, LONGEST_S));
	snprintf(line, sizeof(line),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"map\",\"params\":{\"protocol\":\"%s\","
		 "\"port\":%u,\"external\":%u%s%s}}\n",
		 transport, port, external, dice_chance(&world_dice, 300) ? ",\"any\":true" : "",
		 lease);
	says(a, line);
}

static void takes_something_back(struct asker *a)
{
	char line[256];

	snprintf(line, sizeof(line),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"unmap\",\"params\":{\"protocol\":\"%"
		 "s\","
		 "\"port\":%u}}\n",
		 dice_chance(&world_dice, 500) ? "udp" : "tcp",
		 (unsigned)dice_between(&world_dice, 8999, 9007));
	says(a, line);
}

/* ---- what happens ---- */

static void write_file(void)
{
	world_natd_write(&home, scene.first_may ? FILE_OF("allow: [" FIRST ", " SECOND_ALLOW "]\n")
						: FILE_OF("allow: [" SECOND_ALLOW "]\n"));
}

static void file_changes(void)
{
	scene.checking = false; /* between the file and the signal nothing holds */
	scene.first_may = !scene.first_may;
	write_file();
	k_signal(home.program, SIGHUP);
	world_run(100 * MS);
	scene.checking = true;
	look(NULL, 0);
}

static void natd_comes_again(void)
{
	scene.checking = false;
	if (dice_chance(&world_dice, 300))
		world_natd_crash(&home);
	else
		world_natd_stop(&home);
	world_run(dice_below(&world_dice, 20 * SECOND));
	for (size_t i = 0; i < ASKERS; i++)
		hang_up(&askers[i]);
	world_natd_start(&home, home.host, NULL);
	scene.checking = true;
	look(NULL, 0);
}

static void something_happens(void)
{
	struct asker *a = &askers[dice_below(&world_dice, ASKERS)];

	switch (dice_below(&world_dice, 20)) {
	case 0:
		file_changes();
		return;
	case 1:
		natd_comes_again();
		return;
	case 2:
		lan_router_reboot(lan.way_out, NULL);
		return;
	case 3:
		dies(a);
		return;
	case 4:
	case 5:
		hang_up(a);
		return;
	case 6:
	case 7:
	case 8:
		takes_something_back(a);
		return;
	default:
		asks_for_something(a);
	}
}

void world_natd_asks(void)
{
	struct k_host *host = k_host_new("home");

	memset(&home, 0, sizeof(home));
	fake_kernel_reset();
	lan_start();
	for (size_t i = 0; i < LAN_ROUTERS; i++)
		k_cable_set(host, lan.routers[i].host, 500, 2000);
	k_cable_set(host, lan.stun.host, 20000, 20000);
	home.host = host;
	home.listens = true;
	home.own = k_address(k_host_address(host), 0);
	scene.first_may = true;
	write_file();
	world_natd_start(&home, host, NULL);
	for (size_t i = 0; i < ASKERS; i++) {
		askers[i].fd = -1;
		askers[i].program = k_program_new("asker", host);
		askers[i].program->uid = askers[i].uid;
	}
	scene.checking = true;
	look(NULL, 0);
	for (unsigned i = 0; i < 150; i++) {
		something_happens();
		world_run(dice_below(&world_dice, 4 * SECOND));
	}
	for (size_t i = 0; i < ASKERS; i++)
		hang_up(&askers[i]);
	/* Leases end, and what a natd that died left at the router does. */
	world_run((LONGEST_S + 900) * SECOND);
	world_check(asks_next(&home.natd.asks) == MAPPING_NEVER, "gone",
		    "an ask is left when all have gone");
	world_check(lan_router_holds(lan.way_out, &home.own) == 2, "gone",
		    "the router holds %u mappings when all have gone, and the file has 2",
		    lan_router_holds(lan.way_out, &home.own));
	scene.checking = false;
	world_natd_stop(&home);
	world_check(lan_router_holds(lan.way_out, &home.own) == 0, "left-at-gateway",
		    "the router still holds something when natd has ended");
	for (size_t i = 0; i < ASKERS; i++)
		k_program_end(askers[i].program);
	world_run(2 * LOOK_US);
	lan_stop();
}
