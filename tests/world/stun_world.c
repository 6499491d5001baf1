/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun_world: a relay that answers STUN over UDP: how much a source may have, from which of the
 * four sockets an answer comes, what a draining relay says, and that a burst ends nothing.
 *
 * Each scene has a relay of its own.
 */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/control/control_internal.h"
#include "stun/message.h"
#include "tests/world/programs.h"
#include "tests/world/worlds.h"

#define OTHER_HOST "203.0.113.9" /* of the relay's, too */
#define ALTERNATE  "192.0.2.9:3478"

static struct world_relay relay;
static struct k_host *relay_host, *outside;
static struct k_program *client;
static int client_fd;
static unsigned threads;
static const char *engine;

/* What came last, and how much has come. */
static struct stun_message heard;
static struct addr heard_from;
static unsigned heard_count;

static void write_config(char *out, size_t room, const char *stun)
{
	snprintf(out, room,
		 "listen:\n  - address: 0.0.0.0:443\nthreads: %u\nengine: %s\nstun:\n  enabled: "
		 "true\n%s",
		 threads, engine, stun);
}

static void begin(const char *stun)
{
	char text[1024];

	threads = (unsigned)dice_between(&world_dice, 1, 3);
	engine = dice_chance(&world_dice, 500) ? "io_uring" : "epoll";
	write_config(text, sizeof(text), stun);
	world_relay_start(&relay, RELAY_A, relay_host, text);
	k_enter(client);
	client_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	k_enter(NULL);
	heard_count = 0;
}

static void end(void)
{
	k_enter(client);
	close(client_fd);
	k_enter(NULL);
	world_relay_check_quiet(&relay);
	world_relay_stop(&relay);
}

/* ---- asking ---- */

/* A Binding request; change: that the answer come from another address, another port. */
static void ask(const struct addr *to, bool change_address, bool change_port)
{
	static const uint8_t id[STUN_ID_BYTES] = "twelve bytes";
	struct sockaddr_storage name;
	uint8_t bytes[64];
	struct stun_writer w;

	stun_write_begin(&w, bytes, sizeof(bytes), STUN_REQUEST, STUN_BINDING, id);
	if (change_address || change_port)
		stun_write_change_request(&w, change_address, change_port);
	memcpy(&name, &to->sa, to->len);
	struct iovec all = {bytes, stun_write_end(&w)};
	struct msghdr m = {
		.msg_name = &name, .msg_namelen = to->len, .msg_iov = &all, .msg_iovlen = 1};

	k_enter(client);
	(void)!sendmsg(client_fd, &m, MSG_DONTWAIT);
	k_enter(NULL);
}

/* All that has come. */
static void hear(void)
{
	static uint8_t bytes[1024]; /* heard points into them */
	struct iovec all = {bytes, sizeof(bytes)};
	ssize_t n;

	world_run(SECOND / 2);
	for (;;) {
		struct addr from = {0};
		struct msghdr m = {.msg_name = &from.sa,
				   .msg_namelen = sizeof(from.v6),
				   .msg_iov = &all,
				   .msg_iovlen = 1};

		k_enter(client);
		n = recvmsg(client_fd, &m, MSG_DONTWAIT);
		k_enter(NULL);
		if (n < 0)
			return;
		from.len = m.msg_namelen;
		heard_from = from;
		heard_count++;
		world_check(stun_decode(bytes, (size_t)n, &heard) == STUN_OK, "bytes",
			    "an answer of %zd bytes is no STUN", n);
	}
}

static struct addr front_door(void)
{
	return k_address(k_host_address(relay_host), 443);
}

static uint64_t counted(unsigned count)
{
	uint64_t n;

	k_enter(relay.program);
	n = relay_totals(&relay.relay).stun[STUN_UDP][count];
	k_enter(NULL);
	return n;
}

/* ---- scenes ---- */

/* A source has its burst at once, and what is over it is counted, not answered. */
static void scene_no_more_than_a_source_may_have(void)
{
	enum { ASKED = 40, BURST = 5 };
	struct addr to = front_door();

	begin("  rate: 1\n  burst: 5\n");
	for (unsigned i = 0; i < ASKED; i++)
		ask(&to, false, false);
	hear();
	world_check(heard_count == BURST, "bounded", "a source may have %d answers, and gets %u",
		    BURST, heard_count);
	world_check(counted(STUN_LIMITED) == ASKED - BURST, "counted",
		    "%d requests are over the limit, and %llu are counted", ASKED - BURST,
		    (unsigned long long)counted(STUN_LIMITED));
	world_run(2 * SECOND);
	ask(&to, false, false);
	hear();
	world_check(heard_count == BURST + 1, "served",
		    "a source that has been quiet gets no answer");
	end();
}

/* RFC 5780: the answer comes from the socket that was asked, or from that which the client named.
 * A client would take any other for the work of its NAT. */
static void scene_from_the_socket_that_was_named(void)
{
	static const uint16_t ports[] = {3478, 3479};
	const char *const hosts[] = {k_host_address(relay_host), OTHER_HOST};
	char stun[160];

	snprintf(stun, sizeof(stun),
		 "  behaviour:\n    address: %s:3478\n    other: " OTHER_HOST ":3479\n", hosts[0]);
	begin(stun);
	for (unsigned i = 0; i < 16; i++) {
		unsigned host = i & 1, port = i >> 1 & 1, change = i >> 2;
		struct addr to = k_address(hosts[host], ports[port]);
		struct addr named =
			k_address(hosts[host ^ (change & 1)], ports[port ^ change >> 1]);
		unsigned before = heard_count;
		char is[ADDR_TEXT_BYTES], should[ADDR_TEXT_BYTES];

		ask(&to, change & 1, change >> 1);
		hear();
		if (!world_check(heard_count == before + 1, "served", "%u answers to one request",
				 heard_count - before))
			continue;
		addr_format(&heard_from, is);
		addr_format(&named, should);
		world_check(addr_equal(&heard_from, &named), "truth",
			    "an answer is wanted from %s and comes from %s", should, is);
		world_check((heard.has & STUN_HAS_RESPONSE_ORIGIN) != 0 &&
				    addr_equal(&heard.origin, &named),
			    "truth", "an answer from %s names another origin", should);
	}
	end();
}

/* So much at once that the socket is looked at again a moment later; what comes after is answered,
 * too. */
static void scene_after_a_burst(void)
{
	enum { BURST = 60 };
	struct addr to = front_door();

	begin("  rate: 100000\n  burst: 100000\n");
	for (unsigned i = 0; i < BURST; i++)
		ask(&to, false, false);
	hear();
	world_check(heard_count == BURST, "served", "%u of %d requests of a burst are answered",
		    heard_count, BURST);
	for (unsigned i = 0; i < BURST; i++) {
		ask(&to, false, false);
		hear();
	}
	world_check(heard_count == 2 * BURST, "served",
		    "%u of %d requests that come after a burst are answered", heard_count - BURST,
		    BURST);
	end();
}

static void check_sent_elsewhere(const char *when, bool elsewhere)
{
	enum { ASKED = 24 }; /* so many reach each of the relay's threads */
	struct addr to = front_door();
	unsigned before = heard_count;

	for (unsigned i = 0; i < ASKED; i++) {
		ask(&to, false, false);
		hear();
		if (!world_check((heard.header.class == STUN_ERROR &&
				  heard.error_code == STUN_TRY_ALTERNATE) == elsewhere,
				 "drains", "%s, and clients are %s", when,
				 elsewhere ? "not sent elsewhere" : "sent elsewhere"))
			return;
	}
	world_check(heard_count == before + ASKED, "served",
		    "%s, and %u of %d requests are answered", when, heard_count - before, ASKED);
}

/* A relay that drains sends clients elsewhere, until the drain is taken back; a file that is read
 * again meanwhile changes nothing of it. */
static void scene_a_draining_relay_sends_elsewhere(void)
{
	struct relay_control *ctl;
	char why[256], text[1024];

	begin("  alternate: [\"" ALTERNATE "\"]\n");
	check_sent_elsewhere("a relay runs", false);
	ctl = relay.relay.control;
	k_enter(relay.program);
	control_drain(ctl, 600000, false);
	k_enter(NULL);
	world_run(SECOND);
	check_sent_elsewhere("a relay drains", true);
	write_config(text, sizeof(text), "  alternate: [\"" ALTERNATE "\"]\n  rate: 200\n");
	world_relay_write(&relay, text);
	k_signal(relay.program, SIGHUP);
	world_run(SECOND);
	check_sent_elsewhere("a relay drains and has read its file again", true);
	k_enter(relay.program);
	world_check(control_undrain(ctl, why, sizeof(why)), "ends", "a drain is not taken back: %s",
		    why);
	k_enter(NULL);
	world_run(SECOND);
	check_sent_elsewhere("a drain was taken back", false);
	end();
}

static void (*const scenes[])(void) = {
	scene_no_more_than_a_source_may_have,
	scene_from_the_socket_that_was_named,
	scene_after_a_burst,
	scene_a_draining_relay_sends_elsewhere,
};

void world_stun(void)
{
	relay_host = k_host_new("relay");
	k_host_add_address(relay_host, OTHER_HOST);
	outside = k_host_new("outside");
	k_cable_set(relay_host, outside, (uint32_t)dice_size(&world_dice, 20000), 0);
	client = k_program_new("client", outside);
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		world_tell("---- scene %zu", i);
		scenes[i]();
	}
}
