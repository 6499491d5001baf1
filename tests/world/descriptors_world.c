/* SPDX-License-Identifier: Apache-2.0 */
/*
 * descriptors_world: a relay or an agent has no descriptor left for a while, at the front door, the
 * control socket, the metrics and the entrances alike, while consoles call, a file is read again
 * and sessions are asked for. What ran goes on, and when there are descriptors again all is served,
 * by itself.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/world/stage.h"
#include "tests/world/worlds.h"

#define METRICS_PORT 9100u
#define RATE	     20000u

static uint64_t front_door_refused(void)
{
	struct relay_totals t;

	k_enter(stage.relays[0].program);
	t = relay_totals(&stage.relays[0].relay);
	k_enter(NULL);
	return t.refused[REASON_LIMIT_CONNECTIONS];
}

/* ---- a scrape, and a call by a connection of its own ---- */

static int connect_to(const struct sockaddr *to, socklen_t len, const char *say)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	(void)connect(fd, to, len);
	world_run(100 * MS);
	k_enter(stage.operator.people.program);
	for (ssize_t n; *say && (n = send(fd, say, strlen(say), MSG_NOSIGNAL)) > 0;)
		say += n;
	return fd;
}

/* Whether what comes on it has this in it; closes. */
static bool hears(int fd, const char *text)
{
	char got[65536];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(got) && (n = recv(fd, got + len, sizeof(got) - len, MSG_DONTWAIT)) > 0)
		len += (size_t)n;
	close(fd);
	return memmem(got, len, text, strlen(text)) != NULL;
}

static int scrape(void)
{
	struct addr to = k_address("127.0.0.1", METRICS_PORT);

	return connect_to(&to.sa, to.len, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
}

static int call_locally(void)
{
	static const char call[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}\n";
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = OPERATOR_SOCKET};

	return connect_to((const struct sockaddr *)&at, sizeof(at), call);
}

/* ---- the spell ---- */

/* A relay that has not one descriptor left tells those of its host why they are not served, and
 * counts whom it turns away at the front door. */
static void check_told(void)
{
	struct k_program *p = stage.relays[0].program;
	struct addr to = stage_front_door(0);
	size_t before = p->limit;
	uint64_t refused;
	int fd, taken[64];
	unsigned n = 0, told = 0;

	world_run(20 * SECOND); /* nothing closes just now */
	refused = front_door_refused();
	p->limit = p->open_count;
	k_enter(p); /* there may be numbers free below that */
	while (n < 64 && (taken[n] = socket(AF_INET, SOCK_STREAM, 0)) >= 0)
		n++;
	k_enter(NULL);
	stranger_come(&stage.visitors, STRANGER_SILENT, &to);
	for (unsigned i = 0; i < 20 && told == 0; i++) {
		k_enter(stage.operator.people.program);
		fd = scrape(); /* whose request may cross the answer: then it is reset */
		world_run(SECOND / 2);
		k_enter(stage.operator.people.program);
		told += hears(fd, "503 Service Unavailable");
		k_enter(NULL);
	}
	world_check(told > 0, "told", "a scraper is not told that the relay has no descriptor");
	k_enter(stage.operator.people.program);
	fd = call_locally();
	world_run(SECOND);
	k_enter(stage.operator.people.program);
	world_check(hears(fd, "no descriptor left"), "told",
		    "a caller is not told that the relay has no descriptor");
	k_enter(NULL);
	world_check(front_door_refused() > refused, "counted",
		    "who is turned away for want of a descriptor is not counted");
	k_enter(p);
	while (n > 0)
		close(taken[--n]);
	k_enter(NULL);
	p->limit = before;
	(void)world_until(strangers_gone, NULL, 120 * SECOND);
}

static void be_short_of_descriptors(struct k_program *p)
{
	size_t before = p->limit;
	int fds[4];

	world_tell("%s has no more descriptors", p->name);
	p->limit = p->open_count + 3 + (size_t)dice_below(&world_dice, 3);
	for (unsigned i = 0; i < 4; i++) {
		stage_talk_from(dice_chance(&world_dice, 500) ? &stage.at_laptop : &stage.at_guest,
				2000, 2000)
			->disturbed = true;
		if (dice_chance(&world_dice, 300))
			k_signal(p, SIGHUP);
		k_enter(stage.operator.people.program);
		fds[i] = scrape();
		k_enter(NULL);
		world_run(dice_size(&world_dice, 2 * SECOND));
	}
	p->limit = before;
	world_tell("%s has descriptors again", p->name);
	world_run(6 * SECOND);
	k_enter(stage.operator.people.program);
	for (unsigned i = 0; i < 4; i++)
		(void)hears(fds[i], "");
	k_enter(NULL);
}

static void check_served(const char *who)
{
	int fd;

	world_check(world_until(stage_linked, NULL, 60 * SECOND), "links",
		    "%s has descriptors again, and an agent has no link after a minute", who);
	world_check(stage_goes_through(stage_talk_from(&stage.at_laptop, 300, 300)), "served",
		    "%s has descriptors again, and laptop cannot talk to home", who);
	k_enter(stage.operator.people.program);
	fd = scrape();
	k_enter(NULL);
	world_run(SECOND);
	k_enter(stage.operator.people.program);
	world_check(hears(fd, "200 OK"), "served",
		    "%s has descriptors again, and metrics do not answer", who);
	k_enter(NULL);
	world_check(operator_call(&stage.operator, "status", NULL) != NULL, "answers",
		    "%s has descriptors again, and the control socket does not answer", who);
}

void world_descriptors(void)
{
	unsigned spells = (unsigned)dice_between(&world_dice, 1, 3);

	stage_set(1, "metrics:\n  listen: 127.0.0.1:9100\n"
		     "bandwidth:\n  per_session: 20000B/s\n");
	for (unsigned i = 0; i < spells; i++) {
		struct k_program *const programs[] = {stage.relays[0].program, stage.laptop.program,
						      stage.home.program};
		struct k_program *p = programs[dice_below(&world_dice, 3)];
		struct talk *lasting = stage_talk_from(&stage.at_guest, 300, 20 * RATE);

		world_run(2 * SECOND);
		be_short_of_descriptors(p);
		check_served(p->name);
		(void)world_until(stage_talk_over, lasting, 120 * SECOND);
	}
	check_told();
	check_served("relay");
	talks_judge();
	stage_clear();
}
