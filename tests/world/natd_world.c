/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natd_world: natd for hours between two routers and a STUN server, with all that goes wrong there.
 *
 * What must hold all the time: no mapping is called verified more often than something came in
 * through it; no lease that natd wants runs out at a router that answers. At the end: natd ends in
 * time, and its routers hold nothing of it.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "portmap/outside.h"
#include "tests/support/fake_kernel.h"
#include "tests/world/natd_program.h"
#include "tests/world/worlds.h"

#define LIFETIME_S 600u
#define UDP_PORT   8443u
#define TCP_PORT   8444u
#define LOOK_US	   (50 * MS)
#define HOUR_US	   (UINT64_C(3600) * SECOND)

#define BOTH                                                                                       \
	"map: [{protocol: udp, port: 8443, ipv6: false}, {protocol: tcp, port: 8444, ipv6: "       \
	"false}]\nlifetime: 10m\nrecheck: 1m\n"
#define ONLY_TCP "map: [{protocol: tcp, port: 8444, ipv6: false}]\nlifetime: 10m\nrecheck: 1m\n"

static struct world_natd home;

/* Connections to TCP_PORT that came from outside since this natd started, and those that prove
 * nothing; their texts live as long as the world. */
static struct {
	char texts[FAKE_MAX * 4][2][ADDR_TEXT_BYTES];
	size_t count;
	unsigned outside, let_in_before;
	bool checking;
} scene;

/* ---- what must hold ---- */

static void check_proofs(void)
{
	const struct portmap_mapping *udp = world_natd_mapping(&home, PORTMAP_UDP, UDP_PORT),
				     *tcp = world_natd_mapping(&home, PORTMAP_TCP, TCP_PORT);
	unsigned came = lan_let_in(UDP_PORT) - scene.let_in_before;

	if (udp)
		world_check(udp->changes[MAPPING_VERIFIED] <= came, "proof",
			    "UDP was called verified %u times, and %u datagrams came in: %s",
			    udp->changes[MAPPING_VERIFIED], came, udp->proof);
	if (tcp)
		world_check(tcp->changes[MAPPING_VERIFIED] <= scene.outside, "proof",
			    "TCP was called verified %u times, and %u connections came in: %s",
			    tcp->changes[MAPPING_VERIFIED], scene.outside, tcp->proof);
}

/* From now on it is natd's fault if this lease runs out. Of one that it was never told it cannot
 * know. */
static void mark_leases(struct lan_router *r)
{
	bool well = home.up && !home.natd.stopping && lan.way_out == r && !r->deaf && !r->mute &&
		    k_now_us > r->troubled_us + (uint64_t)LIFETIME_S * SECOND;

	if (r->deaf || r->mute)
		r->troubled_us = k_now_us;
	for (size_t i = 0; i < LAN_LEASES_MAX; i++) {
		struct lan_lease *l = &r->leases[i];

		l->late =
			l->used && l->told && well && addr_same_host(&l->client, &home.own) &&
			world_natd_mapping(&home, l->tcp ? PORTMAP_TCP : PORTMAP_UDP, l->internal);
	}
}

static void look(void *context, uint64_t argument)
{
	if (!scene.checking)
		return;
	if (home.up)
		check_proofs();
	for (size_t i = 0; i < LAN_ROUTERS; i++)
		mark_leases(&lan.routers[i]);
	world_after(LOOK_US, look, NULL, 0);
}

/* ---- what happens ---- */

static void connection_comes(const char *peer, bool outside)
{
	char(*text)[ADDR_TEXT_BYTES];
	struct addr own = home.own;

	if (scene.count == FAKE_MAX * 4)
		return;
	text = scene.texts[scene.count++];
	addr_set_port(&own, TCP_PORT);
	addr_format(&own, text[0]);
	snprintf(text[1], sizeof(text[1]), "%s:%zu", peer, 2000 + scene.count);
	world_tell("a connection from %s", text[1]);
	fake_kernel.sockets[scene.count] = (struct fake_socket){.local = text[0], .peer = text[1]};
	scene.outside += outside;
}

/* From the internet, from where no mapping is needed, or back by the address that the router gave:
 * one that it has had since and not told cannot be known. */
static void a_visitor_connects(void)
{
	static const struct {
		const char *host;
		bool outside;
	} peers[] = {{"8.8.4.4", true},
		     {"10.0.0.99", false},
		     {"192.168.1.1", false},
		     {"127.0.0.1", false},
		     {"100.64.0.1", false}};
	const struct portmap_mapping *m = world_natd_mapping(&home, PORTMAP_TCP, TCP_PORT);
	size_t i = dice_below(&world_dice, 6);
	char external[ADDR_TEXT_BYTES];

	if (i < 5) {
		connection_comes(peers[i].host, peers[i].outside);
	} else if (m && m->external.len > 0) {
		addr_format_host(&m->external, external);
		connection_comes(external, false);
	}
}

static void start_natd(void)
{
	scene.outside = 0;
	scene.let_in_before = lan_let_in(UDP_PORT);
	/* Those that are there before natd is prove nothing. */
	world_natd_start(&home, home.host, NULL);
}

static void natd_comes_again(void)
{
	if (dice_chance(&world_dice, 500))
		world_natd_crash(&home);
	else
		world_natd_stop(&home);
	for (size_t i = 0; i < LAN_ROUTERS; i++)
		lan.routers[i].troubled_us = k_now_us;
	world_run(dice_below(&world_dice, 120 * SECOND));
	start_natd();
}

/* Of a router or the server. */
static void manners_change(struct lan_router *r)
{
	r->troubled_us = k_now_us;
	switch (dice_below(&world_dice, 8)) {
	case 0:
		r->deaf = !r->deaf;
		break;
	case 1:
		r->no_pcp = !r->no_pcp;
		break;
	case 2:
		r->shuts_out = !r->shuts_out;
		break;
	case 3:
		r->external[3] ^= 1;
		break;
	case 4:
		r->mute = !r->mute;
		break;
	case 5:
		r->twins = !r->twins;
		break;
	case 6:
		lan.stun.deaf_to_changes = !lan.stun.deaf_to_changes;
		break;
	default:
		lan.stun.ignores_changes = !lan.stun.ignores_changes;
		break;
	}
}

static void something_happens(void)
{
	struct lan_router *r = &lan.routers[dice_below(&world_dice, LAN_ROUTERS)];

	switch (dice_below(&world_dice, 8)) {
	case 0:
		lan_router_reboot(r, dice_chance(&world_dice, 500) ? &home.own : NULL);
		return;
	case 1:
		world_natd_route(&home, dice_chance(&world_dice, 800) ? r : NULL);
		return;
	case 2:
		world_natd_move(&home, dice_chance(&world_dice, 500) ? "10.0.0.201" : "10.0.0.202");
		return;
	case 3:
		natd_comes_again();
		return;
	case 6:
		world_natd_write(&home, dice_chance(&world_dice, 500) ? BOTH : ONLY_TCP);
		k_signal(home.program, SIGHUP);
		return;
	case 5:
		manners_change(r);
		return;
	default:
		a_visitor_connects();
	}
}

/* ---- the worlds ---- */

static void set_scene(void)
{
	struct k_host *host = k_host_new("home");

	memset(&home, 0, sizeof(home));
	memset(&scene, 0, sizeof(scene));
	fake_kernel_reset();
	lan_start();
	for (size_t i = 0; i < LAN_ROUTERS; i++)
		k_cable_set(host, lan.routers[i].host, 500, 2000);
	k_cable_set(host, lan.stun.host, 20000, 20000);
	fake_kernel.sockets[0] = (struct fake_socket){.local = "0.0.0.0:8444"};
	home.host = host;
	home.own = k_address(k_host_address(host), 0);
	world_natd_write(&home, BOTH);
	start_natd();
	scene.checking = true;
	look(NULL, 0);
}

static void clear_scene(void)
{
	scene.checking = false;
	world_run(2 * LOOK_US);
	lan_stop();
}

static bool udp_is_verified(void *unused)
{
	const struct portmap_mapping *m = world_natd_mapping(&home, PORTMAP_UDP, UDP_PORT);

	return m && m->state == MAPPING_VERIFIED;
}

/* All is well: mapped and proven within seconds, renewed for hours, and gone at the end. */
void world_natd_calm(void)
{
	set_scene();
	world_check(world_until(udp_is_verified, NULL, 5 * SECOND), "verified",
		    "UDP is not verified after 5 s");
	connection_comes("8.8.4.4", true);
	world_run(60 * SECOND);
	world_check(world_natd_mapping(&home, PORTMAP_TCP, TCP_PORT)->state == MAPPING_VERIFIED,
		    "verified", "TCP is not verified by a connection");
	world_run(3 * HOUR_US);
	world_check(udp_is_verified(NULL), "verified", "UDP is no longer verified");
	world_check(lan_router_holds(&lan.routers[0], &home.own) == 2, "mapped",
		    "the router does not hold both");
	world_natd_stop(&home);
	world_check(lan_router_holds(&lan.routers[0], &home.own) == 0, "left-at-gateway",
		    "the router still holds something when natd has ended");
	clear_scene();
}

static bool is_judged(void *verdict)
{
	return home.natd.truth.verdict == *(const enum truth_verdict *)verdict;
}

/* A router that forwards to a public address, and speaks nothing: no mapping is needed. Its
 * firewall is found by what does not come in, and when it is switched, that is found, too. */
void world_natd_open(void)
{
	struct lan_router *r = &lan.routers[0];
	bool wall = dice_chance(&world_dice, 500);

	set_scene();
	r->bare = r->no_pcp = r->no_natpmp = true;
	r->shuts_out = wall;
	world_natd_move(&home, "45.0.0.201");
	for (unsigned i = 0; i < 4; i++) {
		enum truth_verdict verdict = wall ? TRUTH_FILTERED : TRUTH_NO_NAT;
		uint64_t most_ms = i == 0 ? 30000 : OUTSIDE_LOOK_MS + OUTSIDE_ALONE_MS + 30000;
		const struct portmap_mapping *m;

		world_check(world_until(is_judged, &verdict, most_ms * MS), "verdict",
			    "the verdict is %s: %s", truth_verdict_name(home.natd.truth.verdict),
			    home.natd.truth.sentence);
		world_run(40 * SECOND);
		m = world_natd_mapping(&home, PORTMAP_UDP, UDP_PORT);
		world_check(m && m->state == MAPPING_UNSUPPORTED && m->unneeded, "unneeded",
			    "a host with a public address is told: %s", m ? m->why : "nothing");
		wall = r->shuts_out = dice_chance(&world_dice, 500);
		world_run(dice_below(&world_dice, 3 * HOUR_US));
	}
	world_natd_stop(&home);
	clear_scene();
}

/* Leases at routers that could be asked all the time since natd came to them. */
static void check_left(void)
{
	for (size_t i = 0; i < LAN_ROUTERS; i++) {
		struct lan_router *r = &lan.routers[i];

		if (lan.way_out == r)
			world_check(lan_router_holds(r, &home.own) == 0, "left-at-gateway",
				    "%s still holds %u when natd has ended", r->program->name,
				    lan_router_holds(r, &home.own));
	}
}

static bool udp_is_unproven(void *unused)
{
	const struct portmap_mapping *m = world_natd_mapping(&home, PORTMAP_UDP, UDP_PORT);

	return m && m->unproven_ms > 0;
}

/* The router's filter is loaded anew, without what it forwards: its table and its renewals say that
 * all is there. A proof that fails tells, and both mappings are made anew. */
void world_natd_dead(void)
{
	unsigned deletions;

	set_scene();
	world_check(world_until(udp_is_verified, NULL, 5 * SECOND), "verified",
		    "UDP is not verified after 5 s");
	for (unsigned i = 0; i < 3; i++) {
		world_run(dice_below(&world_dice, 3 * HOUR_US));
		world_check(udp_is_verified(NULL), "verified", "UDP is no longer verified");
		deletions = lan.routers[0].deletions;
		lan_router_flush(&lan.routers[0]);
		world_check(world_until(udp_is_unproven, NULL, 75 * SECOND), "dead",
			    "a minute later a dead mapping is still called verified");
		world_check(world_until(udp_is_verified, NULL, 15 * SECOND), "healed",
			    "a dead mapping was not made anew");
		world_check(lan.routers[0].deletions == deletions + 2, "healed",
			    "%u mappings were deleted, not the two that were dead",
			    lan.routers[0].deletions - deletions);
		world_check(!udp_is_unproven(NULL), "verified", "what is verified is unproven");
	}
	world_natd_stop(&home);
	clear_scene();
}

/* An hour of everything at once; then all is well for a while, and must be. */
void world_natd_storm(void)
{
	set_scene();
	k_faults.datagram_loss = (unsigned)dice_below(&world_dice, 250);
	k_faults.datagram_twice = (unsigned)dice_below(&world_dice, 200);
	for (unsigned i = 0; i < 30; i++) {
		something_happens();
		world_run(dice_below(&world_dice, 240 * SECOND));
	}
	k_faults.datagram_loss = k_faults.datagram_twice = 0;
	for (size_t i = 0; i < LAN_ROUTERS; i++)
		lan.routers[i].deaf = lan.routers[i].shuts_out = lan.routers[i].mute = false;
	lan.stun.deaf_to_changes = lan.stun.ignores_changes = false;
	world_natd_write(&home, BOTH);
	k_signal(home.program, SIGHUP);
	if (!lan.way_out)
		world_natd_route(&home, &lan.routers[0]);
	/* A host that held the ports by an earlier address lets go when its lease ends; who was
	 * refused for that asks again within half an hour. */
	world_run(LIFETIME_S * SECOND + 45 * 60 * SECOND);
	world_check(lan_router_holds(lan.way_out, &home.own) == 2, "mapped",
		    "the router holds %u of two mappings 45 minutes after all trouble",
		    lan_router_holds(lan.way_out, &home.own));
	world_check(udp_is_verified(NULL), "verified",
		    "UDP is not verified 45 minutes after all trouble");
	world_natd_stop(&home);
	check_left();
	clear_scene();
}
