/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front_world: what the front door owes to each connection before it is anything: how many there
 * may be, whom a PROXY header makes of them, and how they end. Strangers by the dozen are in
 * door_world.c.
 *
 * Each scene has a relay of its own.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "core/parse/jsonrpc.h"
#include "relay/control/control_internal.h"
#include "tests/world/peer.h"
#include "tests/world/worlds.h"

#define VISITORS 12u

static struct world_relay relay;
static struct k_host *relay_host, *outside;
static struct peer visitors[VISITORS];

static const char plain_request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/* listen: further items of the list, or "". */
static void begin(const char *listen, const char *rest)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "listen:\n  - address: 0.0.0.0:443\n%sthreads: %llu\nengine: %s\n%s", listen,
		 (unsigned long long)dice_between(&world_dice, 1, 3),
		 dice_chance(&world_dice, 500) ? "io_uring" : "epoll", rest);
	world_relay_start(&relay, RELAY_A, relay_host, text);
	for (unsigned i = 0; i < VISITORS; i++)
		peer_start(&visitors[i], "visitor", LAPTOP, outside);
}

static void end(void)
{
	for (unsigned i = 0; i < VISITORS; i++)
		peer_end(&visitors[i]);
	world_run(60 * SECOND);
	world_relay_check_quiet(&relay);
	world_relay_stop(&relay);
}

static uint64_t connections(void)
{
	uint64_t n;

	k_enter(relay.program);
	n = relay_totals(&relay.relay).connections;
	k_enter(NULL);
	return n;
}

static uint64_t refused(enum reason reason)
{
	uint64_t n;

	k_enter(relay.program);
	n = relay_totals(&relay.relay).refused[reason];
	k_enter(NULL);
	return n;
}

/* ---- how many ---- */

/* As many strangers as are allowed, a quarter of all connections, and not one more: each that comes
 * beyond that takes the place of the oldest. */
static void scene_as_many_as_may(void)
{
	enum { MOST = 8 };

	begin("", "limits:\n  connections: 32\n");
	for (unsigned i = 0; i < VISITORS; i++) {
		(void)peer_connect(&visitors[i], relay_host);
		world_run(100 * MS);
	}
	world_run(SECOND);
	world_check(connections() == MOST, "connections-counted",
		    "%d connections may be, %u came, and the relay has %llu", MOST, VISITORS,
		    (unsigned long long)connections());
	world_check(refused(REASON_LIMIT_UNPROVEN) == VISITORS - MOST, "connections-counted",
		    "%u came too many, and %llu are counted as dropped", VISITORS - MOST,
		    (unsigned long long)refused(REASON_LIMIT_UNPROVEN));
	for (unsigned i = 0; i < VISITORS; i++)
		world_check(peer_gone(&visitors[i], 1) == (i < VISITORS - MOST), "ends",
			    "of %u the number %u is %s", VISITORS, i,
			    i < VISITORS - MOST ? "kept" : "dropped");
	peer_close(&visitors[VISITORS - 1], false);
	world_run(SECOND);
	(void)peer_dial(&visitors[0], relay_host);
	world_check(!peer_gone(&visitors[0], 1) && !peer_gone(&visitors[VISITORS - MOST], 1),
		    "connections-counted",
		    "one has left, and the next one costs another its place");
	end();
}

/* A limit beyond what the descriptors allow is theirs. */
static void scene_more_than_there_are_descriptors_for(void)
{
	begin("", "limits:\n  connections: 1000000\n");
	world_check(relay.relay.connection_limit < relay.relay.descriptors, "connections-counted",
		    "%llu connections may come, and there are descriptors for %llu",
		    (unsigned long long)relay.relay.connection_limit,
		    (unsigned long long)relay.relay.descriptors);
	end();
}

/* ---- behind a proxy ---- */

static void say_proxied(struct peer *p, const char *source)
{
	char header[96];
	int n = snprintf(header, sizeof(header), "PROXY TCP4 %s 203.0.113.1 40000 443\r\n", source);

	peer_write(p, header, (size_t)n);
}

/* Clients behind a proxy are counted by their own addresses, not by the proxy's. */
static void scene_each_by_its_own_address(void)
{
	static const char *const sources[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1",
					      "192.0.2.1"};

	begin("  - address: 0.0.0.0:8443\n    proxy_protocol: true\n",
	      "limits:\n  per_source: 2\n");
	for (unsigned i = 0; i < 5; i++) {
		(void)peer_connect_to(&visitors[i], relay_host, 8443);
		say_proxied(&visitors[i], sources[i]);
		world_run(200 * MS);
	}
	for (unsigned i = 1; i < 5; i++)
		world_check(!peer_gone(&visitors[i], 1), "sources-counted",
			    "%s is dropped for what others behind the proxy have", sources[i]);
	world_check(peer_gone(&visitors[0], SECOND), "sources-counted",
		    "%s has more connections than one address may", sources[0]);
	/* A client that has left is no longer counted. */
	peer_close(&visitors[4], false);
	world_run(SECOND);
	(void)peer_connect_to(&visitors[5], relay_host, 8443);
	say_proxied(&visitors[5], sources[0]);
	world_run(200 * MS);
	world_check(!peer_gone(&visitors[3], 1) && !peer_gone(&visitors[5], 1), "sources-counted",
		    "%s pays for a connection that is gone", sources[0]);
	end();
}

/* What stands before the first byte of a proxied connection decides who it is: without it no one is
 * let in, and what came together with it is not lost. */
static void scene_a_header_that_lacks_and_one_that_brings(void)
{
	static const char proxied[] = "PROXY TCP4 192.0.2.1 203.0.113.1 40000 443\r\n"
				      "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	struct peer *without = &visitors[0], *with = &visitors[1];

	begin("  - address: 0.0.0.0:8443\n    proxy_protocol: true\n", "");
	(void)peer_connect_to(without, relay_host, 8443);
	peer_write(without, plain_request, sizeof(plain_request) - 1);
	world_check(peer_gone(without, SECOND) && without->got_len == 0, "proxied",
		    "without its PROXY header a client is let in");
	world_check(refused(REASON_PROXY_HEADER) == 1, "proxied",
		    "a client without its PROXY header is counted %llu times",
		    (unsigned long long)refused(REASON_PROXY_HEADER));
	(void)peer_connect_to(with, relay_host, 8443);
	peer_write(with, proxied, sizeof(proxied) - 1);
	world_check(peer_gone(with, SECOND) && with->got_len > 0, "bytes",
		    "what came together with a PROXY header is lost");
	end();
}

/* ---- what is no TLS, or ends it ---- */

/* A web server answers plain HTTP on its TLS port, also when it comes by pieces. */
static void scene_plain_http_is_answered(void)
{
	static const char answer[] = "HTTP/1.1 400 ";

	begin("", "");
	for (unsigned i = 0; i < 2; i++) {
		struct peer *p = &visitors[i];

		(void)peer_connect(p, relay_host);
		if (i == 1) {
			peer_write(p, plain_request, 2);
			world_run(SECOND / 2);
		}
		peer_write(p, plain_request + 2 * i, sizeof(plain_request) - 1 - 2 * i);
		world_check(peer_gone(p, SECOND), "ends", "plain HTTP is not answered and ended");
		world_check(p->got_len > sizeof(answer) &&
				    memcmp(p->got, answer, sizeof(answer) - 1) == 0,
			    "bytes", "plain HTTP gets %zu bytes, and they are no 400", p->got_len);
	}
	world_check(refused(REASON_PLAIN_HTTP) == 2, "counted",
		    "2 requests came in clear, and %llu are counted",
		    (unsigned long long)refused(REASON_PLAIN_HTTP));
	end();
}

/* What begins as TLS does and is none is TLS's to refuse, as behind any web server; and so is the
 * hello of SSL 2, which is not answered as HTTP. */
static void scene_odd_hellos(void)
{
	static const uint8_t server_hello[] = {0x16, 3, 1, 0, 4, 2, 0, 0, 0},
			     ssl2[64] = {0x80, 0x2e, 1, 3, 1};
	struct peer *p = &visitors[0];

	begin("", "");
	(void)peer_connect(p, relay_host);
	peer_write(p, server_hello, sizeof(server_hello));
	world_check(peer_has(p, 7, 2 * SECOND) && p->got[0] == 21, "stranger",
		    "an odd hello gets %zu bytes, and they are no alert", p->got_len);
	p = &visitors[1];
	(void)peer_connect(p, relay_host);
	peer_write(p, ssl2, sizeof(ssl2));
	(void)peer_gone(p, 2 * SECOND);
	world_check(p->got_len == 0 || p->got[0] != 'H', "stranger",
		    "the hello of SSL 2 is answered as HTTP");
	end();
}

static void say_hello(struct peer *p)
{
	struct tls *t = tls_new(p->context, false);
	const uint8_t *hello;
	size_t len;

	(void)!tls_handshake(t);
	hello = tls_output(t, &len);
	(void)peer_connect(p, relay_host);
	peer_write(p, hello, len);
	tls_free(t);
}

/* The handshake has a time of its own within that of the first request. */
static void scene_a_hello_and_then_nothing(void)
{
	struct peer *p = &visitors[0];

	begin("", "limits:\n  handshake: 5s\n");
	say_hello(p);
	world_check(!peer_gone(p, 4 * SECOND) && peer_gone(p, 4 * SECOND), "deadline",
		    "who says hello and then nothing stays longer than a handshake may take");
	end();
}

/* It is answered, though the signature takes its time. */
static void scene_a_hello_and_the_end(void)
{
	struct peer *p = &visitors[0];

	begin("", "");
	say_hello(p);
	k_enter(p->program);
	shutdown(p->fd, SHUT_WR);
	k_enter(NULL);
	world_check(peer_gone(p, 5 * SECOND), "ends", "who said hello and closed is kept");
	world_check(p->got_len > 500 && p->got[0] == 22 && !p->reset, "bytes",
		    "who said hello and closed hears %zu bytes", p->got_len);
	world_run(500 * MS);
	world_check(connections() == 0, "ends",
		    "both sides have ended, and the relay keeps the connection");
	end();
}

/* A client whose TLS ends before it has said anything is let go at once: by its own word, or by
 * bytes that are none of its session. */
static void scene_tls_that_ends_at_once(void)
{
	static const uint8_t forged[] = {23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8,
					 9,  0, 1, 2, 3,  4, 5, 6, 7, 8, 9, 0};

	begin("", "");
	for (unsigned i = 0; i < 2; i++) {
		struct peer *p = &visitors[i];

		(void)peer_dial(p, relay_host);
		if (i == 0) {
			tls_close_write(p->tls);
		} else {
			(void)peer_gone(p, SECOND / 2); /* its Finished leaves */
			p->raw = true;
			peer_write(p, forged, sizeof(forged));
		}
		world_check(peer_gone(p, 2 * SECOND), "ends", "a client %s is kept",
			    i == 0 ? "that has closed its TLS" : "whose record is forged");
	}
	end();
}

/* ---- ends ---- */

/* A client that has ended its direction and been answered is not kept for an end that has come
 * already. */
static void scene_who_closed_first_is_let_go(void)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	struct peer *p = &visitors[0];

	begin("", "");
	(void)peer_dial(p, relay_host);
	peer_write(p, request, sizeof(request) - 1);
	k_enter(p->program);
	shutdown(p->fd, SHUT_WR);
	k_enter(NULL);
	world_check(peer_gone(p, 10 * SECOND), "ends", "a request is not answered and ended");
	world_check(p->got_len > 0, "bytes", "who closed its direction was not answered");
	world_run(500 * MS);
	world_check(connections() == 0, "ends",
		    "both sides have ended, and the relay keeps the connection");
	end();
}

/* A client that closes its side while the last bytes are on their way still gets them. */
static void scene_the_last_bytes_arrive(void)
{
	struct wire_message m, ping = {.type = WIRE_PING};
	struct wire_message odd = {.type = WIRE_GO};
	struct peer *p = &visitors[0];
	unsigned pongs = 0;

	begin("", "");
	(void)peer_sign_in(p, relay_host, WIRE_HELLO_TRANSIENT);
	p->mute = true; /* answers pile up: more than its receive buffer takes */
	for (unsigned i = 0; i < 5000; i++) {
		peer_frame(p, &ping);
		if (p->frame_len > WIRE_FRAME_MAX || i == 4999)
			peer_flush(p);
	}
	peer_say(p, &odd); /* what an agent may not say ends the link with a word */
	world_run(SECOND / 2);
	k_enter(p->program);
	shutdown(p->fd, SHUT_WR);
	k_enter(NULL);
	world_run(SECOND / 4);
	p->mute = false;
	while (peer_hear(p, &m, 10 * SECOND) && m.type != WIRE_BYE)
		pongs += m.type == WIRE_PONG;
	world_tell("%u answers before the end", pongs);
	world_check(m.type == WIRE_BYE, "bytes",
		    "who closed its side got %u answers, and not the last word", pongs);
	end();
}

/* Who asks for more than may wait is not read meanwhile, and gets all of it when it reads. */
static void scene_who_reads_late_gets_all(void)
{
	enum { PINGS = 12000 };
	struct wire_message m, ping = {.type = WIRE_PING};
	struct peer *p = &visitors[0];
	unsigned pongs = 0;

	begin("", "");
	(void)peer_sign_in(p, relay_host, WIRE_HELLO_TRANSIENT);
	p->mute = true;
	for (unsigned i = 0; i < PINGS; i++) {
		peer_frame(p, &ping);
		if (p->frame_len > WIRE_FRAME_MAX || i == PINGS - 1) {
			peer_flush(p);
			world_run(MS);
		}
	}
	world_run(2 * SECOND);
	p->mute = false;
	while (pongs < PINGS && peer_hear(p, &m, 10 * SECOND) && m.type != WIRE_BYE)
		pongs += m.type == WIRE_PONG;
	world_check(pongs == PINGS, "bytes", "who read late got %u of %u answers", pongs,
		    (unsigned)PINGS);
	end();
}

/* A console's line without an end fills no memory. */
static void scene_a_line_without_an_end(void)
{
	static char much[65536];
	struct peer admin;
	size_t before;

	begin("", "");
	memset(much, 'x', sizeof(much));
	peer_start(&admin, "admin", ADMIN, outside);
	(void)peer_sign_in(&admin, relay_host, WIRE_HELLO_CONSOLE);
	before = relay.program->memory_bytes;
	relay.program->memory_most = before;
	for (unsigned i = 0; i < 2 * JSONRPC_LINE_MAX / sizeof(much) && !admin.eof && !admin.reset;
	     i++) {
		peer_write(&admin, much, sizeof(much));
		(void)peer_gone(&admin, 200 * MS);
	}
	world_check(peer_gone(&admin, 30 * SECOND), "ends", "a line without an end is read on");
	world_check(relay.program->memory_most - before < 3 * JSONRPC_LINE_MAX / 2,
		    "memory-bounded", "a line without an end takes %zu bytes",
		    relay.program->memory_most - before);
	peer_end(&admin);
	end();
}

static void (*const scenes[])(void) = {
	scene_who_reads_late_gets_all,
	scene_a_line_without_an_end,
	scene_as_many_as_may,
	scene_more_than_there_are_descriptors_for,
	scene_each_by_its_own_address,
	scene_who_closed_first_is_let_go,
	scene_the_last_bytes_arrive,
	scene_a_header_that_lacks_and_one_that_brings,
	scene_plain_http_is_answered,
	scene_tls_that_ends_at_once,
	scene_odd_hellos,
	scene_a_hello_and_then_nothing,
	scene_a_hello_and_the_end,
};

void world_front(void)
{
	relay_host = k_host_new("relay");
	outside = k_host_new("outside");
	k_cable_set(relay_host, outside, (uint32_t)dice_size(&world_dice, 50000),
		    (uint32_t)dice_size(&world_dice, 5000));
	k_faults.short_io = (unsigned)dice_below(&world_dice, 300);
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		world_tell("---- scene %zu", i);
		scenes[i]();
	}
}
