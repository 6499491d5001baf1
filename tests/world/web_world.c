/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web_world: how long strangers are waited for, which is as long as nginx waits by default.
 */
#include <stdio.h>
#include <string.h>

#include "tests/world/peers_scene.h"
#include "tests/world/worlds.h"

static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/* It is there until then, and not longer. */
static void expect_end_at(struct peer *p, uint64_t begun_us, uint64_t after_us, const char *what)
{
	uint64_t lived;

	(void)peer_gone(p, 200 * SECOND);
	lived = k_now_us - begun_us;
	world_check(lived > after_us - SECOND && lived < after_us + 3 * SECOND, "deadline",
		    "%s: ends after %.1f s, not %.1f", what, (double)lived / SECOND,
		    (double)after_us / SECOND);
}

static void web_dial(struct peer *p)
{
	world_check(peer_dial(p, relay_host), "links", "%s cannot dial", p->program->name);
}

static void scene_heads(void)
{
	uint64_t begun = k_now_us;

	peers_begin("");
	/* In clear: nothing, and a part of a hello. */
	begun = k_now_us;
	(void)peer_connect(&guest, relay_host);
	(void)peer_connect(&home, relay_host);
	peer_write(&home, "\x16\x03\x01\x02", 4);
	expect_end_at(&guest, begun, 60 * SECOND, "who says nothing");
	expect_end_at(&home, begun, 60 * SECOND, "half a hello");
	world_check(guest.got_len == 0 && home.got_len == 0, "stranger",
		    "a late client is told something");
	/* Inside TLS the time runs on from accepting, however much comes. */
	begun = k_now_us;
	web_dial(&guest);
	web_dial(&home);
	for (unsigned i = 0; i < 50; i++) {
		peer_write(&home, i ? "X" : "GET / HTTP/1.1\r\nX: ", i ? 1 : 19);
		world_run(SECOND);
	}
	expect_end_at(&guest, begun, 60 * SECOND, "a handshake alone");
	expect_end_at(&home, begun, 60 * SECOND, "a head that drips");
	world_check(peers_totals().refused[REASON_DEADLINE_HELLO] == 2 &&
			    peers_totals().refused[REASON_DEADLINE_FIRST] == 2,
		    "counted", "%llu are counted as late with a hello, and %llu with a request",
		    (unsigned long long)peers_totals().refused[REASON_DEADLINE_HELLO],
		    (unsigned long long)peers_totals().refused[REASON_DEADLINE_FIRST]);
	peers_end();
}

static void scene_between_requests(void)
{
	uint64_t begun;

	peers_begin("");
	web_dial(&guest);
	web_dial(&home);
	for (unsigned i = 0; i < 3; i++) {
		peer_write(&guest, get, sizeof(get) - 1);
		peer_write(&home, get, sizeof(get) - 1);
		world_run(70 * SECOND);
		world_check(!peer_gone(&guest, 1) && guest.got_len > 0, "deadline",
			    "a client is not let ask again after 70 s");
	}
	peer_write(&guest, get, sizeof(get) - 1);
	begun = k_now_us;
	peer_write(&home, "GET", 3);
	expect_end_at(&home, begun, 60 * SECOND, "the head of a further request");
	expect_end_at(&guest, begun, 75 * SECOND, "a client that asks no more");
	peers_end();
}

static void scene_bodies(void)
{
	static const char post[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
	static const char together[] =
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789";
	uint64_t begun;

	peers_begin("");
	web_dial(&guest);
	begun = k_now_us;
	peer_write(&guest, post, sizeof(post) - 1);
	world_check(peer_has(&guest, 20, 5 * SECOND), "bytes", "no answer before the body");
	expect_end_at(&guest, begun, 5 * SECOND, "a body that does not come");
	web_dial(&home);
	begun = k_now_us;
	peer_write(&home, post, sizeof(post) - 1);
	for (unsigned i = 0; i < 40 && !home.eof && !home.reset; i++) {
		peer_write(&home, "x", 1);
		(void)peer_gone(&home, SECOND);
	}
	expect_end_at(&home, begun, 30 * SECOND, "a body that drips");
	/* One that comes leaves the connection as it was. */
	web_dial(&laptop);
	peer_write(&laptop, post, sizeof(post) - 1);
	for (unsigned i = 0; i < 10; i++) {
		peer_write(&laptop, post, 50);
		peer_write(&laptop, post, 50);
		world_run(100 * MS);
	}
	laptop.got_len = 0;
	peer_write(&laptop, get, sizeof(get) - 1);
	world_check(peer_has(&laptop, 15, 5 * SECOND) &&
			    memcmp(laptop.got, "HTTP/1.1 200 OK", 15) == 0,
		    "bytes", "a request behind a body gets no page");
	/* Nor is one that comes in one piece with its head taken for the next request. */
	web_dial(&admin);
	peer_write(&admin, together, sizeof(together) - 1);
	world_check(peer_has(&admin, 13, 5 * SECOND) && memcmp(admin.got, "HTTP/1.1 405 ", 13) == 0,
		    "bytes", "a request with its body gets no answer");
	world_run(SECOND);
	(void)peer_gone(&admin, 1);
	admin.got_len = 0;
	peer_write(&admin, get, sizeof(get) - 1);
	world_check(peer_has(&admin, 15, 5 * SECOND) &&
			    memcmp(admin.got, "HTTP/1.1 200 OK", 15) == 0,
		    "bytes", "a body is read as a request");
	peers_end();
}

static size_t answers_in(const struct peer *p)
{
	static const char begin[] = "HTTP/1.1 200 OK";
	size_t n = 0;

	for (size_t i = 0; i + sizeof(begin) <= p->got_len; i++)
		n += memcmp(p->got + i, begin, sizeof(begin) - 1) == 0;
	return n;
}

/* Many requests in one breath, and no answer is read for a while: little waits, and in the end each
 * is answered. */
static void scene_requests_in_one_breath(void)
{
	enum { REQUESTS = 900 }; /* more than a server keeps */
	char head[160];
	size_t most = 0, len;

	memset(head, 'x', sizeof(head));
	len = (size_t)snprintf(head, sizeof(head), "HEAD / HTTP/1.1\r\nHost: a\r\nX: ");
	memcpy(head + sizeof(head) - 4, "\r\n\r\n", 4);
	head[len] = 'x';
	peers_begin("limits:\n  requests_per_source: 0\n  requests: 0\n");
	web_dial(&guest);
	peer_say_no_tag(&guest);
	guest.mute = true;
	for (unsigned i = 0; i < REQUESTS; i++)
		peer_write(&guest, head, sizeof(head));
	for (unsigned i = 0; i < 30; i++) {
		world_run(SECOND);
		(void)peer_gone(&guest, 1);
		if (peers_most_waiting() > most)
			most = peers_most_waiting();
	}
	world_check(most < 65536, "memory-bounded", "%zu bytes wait for who does not read", most);
	guest.mute = false;
	for (unsigned i = 0; i < 600 && answers_in(&guest) < REQUESTS; i++)
		(void)peer_has(&guest, guest.got_len + 1, SECOND / 4);
	world_check(answers_in(&guest) == REQUESTS, "bytes", "%zu of %u requests are answered",
		    answers_in(&guest), (unsigned)REQUESTS);
	peers_end();
}

/* It asks, and is told that it may ask again. */
static bool stays(struct peer *p)
{
	static const char kept[] = "\r\nConnection: keep-alive\r\n",
			  closed[] = "\r\nConnection: close\r\n";
	bool stays;

	world_run(200 * MS); /* the rest of the last answer */
	(void)peer_gone(p, 1);
	p->got_len = 0;
	peer_write(p, get, sizeof(get) - 1);
	world_check(peer_has(p, 250, 5 * SECOND), "bytes", "a request is not answered");
	stays = memmem(p->got, p->got_len, kept, sizeof(kept) - 1) != NULL;
	world_check(stays || memmem(p->got, p->got_len, closed, sizeof(closed) - 1), "bytes",
		    "an answer does not say whether the connection stays");
	return stays;
}

/* An hour after it was accepted, or with its thousandth request, a connection has had its time. */
static void scene_for_how_long(void)
{
	uint64_t begun;

	peers_begin("limits:\n  requests_per_source: 0\n");
	begun = k_now_us;
	web_dial(&guest);
	for (unsigned i = 0; i < 60; i++) {
		if (!world_check(stays(&guest), "deadline", "it may not ask again after %u minutes",
				 i))
			break;
		world_run(begun + (i + 1) * 60 * SECOND - k_now_us);
	}
	world_run(begun + 3602 * SECOND - k_now_us);
	world_check(!stays(&guest) && peer_gone(&guest, 5 * SECOND), "deadline",
		    "it may ask again after an hour");
	web_dial(&home);
	for (unsigned i = 1; i < 1000; i++)
		if (!world_check(stays(&home), "bytes", "it may not ask again after %u requests",
				 i))
			break;
	world_check(!stays(&home) && peer_gone(&home, 5 * SECOND), "bytes",
		    "it may ask again after a thousand requests");
	peers_end();
}

/* The request and what follows it leave in one piece. */
static void ask_and_add(struct peer *p, const uint8_t *more, size_t len)
{
	uint8_t wire[1024];
	const uint8_t *sealed;
	size_t n;

	if (tls_write(p->tls, (const uint8_t *)get, sizeof(get) - 1) != TLS_OK)
		world_broken("a visitor cannot write");
	sealed = tls_output(p->tls, &n);
	if (n + len > sizeof(wire))
		world_broken("a request is too long");
	memcpy(wire, sealed, n);
	memcpy(wire + n, more, len);
	tls_output_drop(p->tls, n);
	p->raw = true;
	peer_write(p, wire, n + len);
	p->raw = false;
}

/* Where the client's TLS has ended, the relay's has no last word, as nginx's; and where nonsense
 * came along with a request, nothing but an alert is said. */
static void scene_ends_of_tls(void)
{
	static const uint8_t forged[] = {23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8,
					 9,  0, 1, 2, 3,  4, 5, 6, 7, 8, 9, 0};

	peers_begin("");
	k_faults.short_io = 0;
	for (unsigned i = 0; i < 2; i++) {
		web_dial(&guest);
		if (i > 0)
			world_check(stays(&guest), "bytes", "a request is not answered");
		tls_close_write(guest.tls);
		world_check(peer_gone(&guest, 2 * SECOND), "ends",
			    "a client that has closed its TLS is kept");
		world_check(!(SSL_get_shutdown(tls_ssl(guest.tls)) & SSL_RECEIVED_SHUTDOWN),
			    "stranger", "who closes its TLS is told so in return");
	}
	web_dial(&home);
	world_run(SECOND); /* its Finished arrives */
	(void)peer_gone(&home, 1);
	ask_and_add(&home, forged, sizeof(forged));
	world_check(peer_gone(&home, 2 * SECOND), "ends",
		    "a client whose record is forged is kept");
	world_check(home.got_len == 0, "stranger", "a request with nonsense is answered: %.*s",
		    (int)(home.got_len < 20 ? home.got_len : 20), (const char *)home.got);
	world_check(strstr(tls_error(home.tls), "alert") != NULL, "stranger",
		    "nonsense gets no alert, but \"%s\"", tls_error(home.tls));
	peers_end();
}

void world_web(void)
{
	static const peers_scene scenes[] = {scene_heads,	 scene_between_requests,
					     scene_bodies,	 scene_requests_in_one_breath,
					     scene_for_how_long, scene_ends_of_tls};

	peers_play(scenes, sizeof(scenes) / sizeof(scenes[0]));
}
