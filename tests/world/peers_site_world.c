/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers_site_world: strangers whose requests go to a web site behind an agent, played by hand on
 * both sides, and what they hear when the site does not answer.
 */
#include <stdio.h>
#include <string.h>

#include "tests/world/peers_scene.h"
#include "tests/world/worlds.h"

#define SITE "site:\n  to: home/talk\n  healthz: true\n"

static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi\n";

/* The site's agent is there; or only the relay. */
static void site_begin(const char *config, bool agent)
{
	peers_begin(config);
	if (!agent)
		return;
	(void)peer_sign_in(&home, relay_host, 0);
	peer_publish(&home, "talk");
}

static void site_dial(struct peer *p)
{
	world_check(peer_dial(p, relay_host), "links", "%s cannot dial", p->program->name);
}

static void write_text(struct peer *p, const char *text)
{
	peer_write(p, text, strlen(text));
}

/* p has heard exactly this, and it is taken. */
static void expect_text(struct peer *p, const char *text, const char *what)
{
	size_t len = strlen(text);

	world_check(peer_has(p, len, 30 * SECOND) && p->got_len == len &&
			    memcmp(p->got, text, len) == 0,
		    "bytes", "%s: %s has %zu bytes: %.*s", what, p->program->name, p->got_len,
		    (int)p->got_len, (const char *)p->got);
	p->got_len = p->looked_at = 0;
}

/* An answer of the relay's own, whole (its page ends so); it is taken. */
static void expect_status(struct peer *p, const char *status, const char *what)
{
	size_t len = strlen(status);

	world_check(peer_has(p, 200, 30 * SECOND) && memcmp(p->got, "HTTP/1.1 ", 9) == 0 &&
			    memcmp(p->got + 9, status, len) == 0,
		    "messages", "%s: %s hears %.*s, not %s", what, p->program->name,
		    p->got_len < 40 ? (int)p->got_len : 40, (const char *)p->got, status);
	world_run(SECOND);
	(void)peer_gone(p, 1);
	p->got_len = p->looked_at = 0;
}

/* How often p has heard this. */
static size_t times(const struct peer *p, const char *text)
{
	const uint8_t *at = p->got, *end = p->got + p->got_len;
	size_t n = 0;

	while ((at = memmem(at, (size_t)(end - at), text, strlen(text)))) {
		at++;
		n++;
	}
	return n;
}

static bool heard_outer_tls(void)
{
	struct wire_bytes none;

	return wire_extension_get(&heard, WIRE_EXTENSION_OUTER_TLS, &none);
}

/* home is offered the session; 0: not. */
static uint64_t expect_offer(void)
{
	if (!peer_expect(&home, WIRE_OFFER, &heard))
		return 0;
	world_check(heard.offer.kind == WIRE_OFFER_PUBLIC && heard.offer.from.len == 0 &&
			    wire_bytes_equal(heard.offer.service, wire_text("talk")) &&
			    heard_outer_tls(),
		    "messages", "the site's offer is another");
	return heard.offer.session;
}

static void accept_offer(uint64_t session)
{
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, session);
	if (peer_expect(&accepting, WIRE_GO, &heard))
		world_check(heard.go.session == session && heard_outer_tls(), "messages",
			    "the site's GO is another");
}

static void cut_through(struct peer *p)
{
	site_dial(p);
	write_text(p, get);
	accept_offer(expect_offer());
	expect_text(&accepting, get, "the request");
}

static bool says_end(const struct peer *p)
{
	return SSL_get_shutdown(tls_ssl(p->tls)) & SSL_RECEIVED_SHUTDOWN;
}

/* p ends its direction, in order. */
static void end_in_order(struct peer *p)
{
	tls_close_write(p->tls);
	(void)peer_gone(p, 1);
}

static void expect_reset(struct peer *p, const char *what)
{
	world_check(peer_gone(p, 10 * SECOND) && p->reset, "cut-for-end", "%s: %s sees %s", what,
		    p->program->name, p->eof ? "an end" : "nothing");
}

/* ---- the way through ---- */

static void scene_a_request_goes_to_the_site(void)
{
	site_begin(SITE, true);
	site_dial(&guest);
	write_text(&guest, "GET / HTTP/1.1\r\nHo");
	world_check(!peer_hear(&home, &heard, 5 * SECOND) || heard.type == WIRE_PING, "messages",
		    "half a head is offered");
	/* What comes behind the head, in the same record and while it waits, is not lost. */
	write_text(&guest, "st: a\r\n\r\nGET /2");
	uint64_t session = expect_offer();
	write_text(&guest, " HTTP/1.1\r\n");
	world_run(SECOND);
	accept_offer(session);
	expect_text(&accepting, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\n", "requests");
	write_text(&accepting, answer);
	expect_text(&guest, answer, "the answer");
	write_text(&guest, "Host: a\r\n\r\n");
	expect_text(&accepting, "Host: a\r\n\r\n", "what follows");
	/* An end is an end, one way and then the other. */
	end_in_order(&guest);
	world_run(2 * SECOND);
	(void)peer_gone(&accepting, 1);
	world_check(says_end(&accepting) && !accepting.reset, "bytes",
		    "the site does not hear that its client has ended");
	write_text(&accepting, answer);
	expect_text(&guest, answer, "the answer behind the end");
	end_in_order(&accepting);
	world_run(2 * SECOND);
	(void)peer_gone(&guest, 1);
	world_check(says_end(&guest) && !guest.reset, "bytes",
		    "a client does not hear that the site has ended");
	peer_close(&guest, false);
	peer_close(&accepting, false);
	world_run(2 * SECOND);
	world_check(peers_totals().sessions == 0, "accounts", "a session that has ended counts");
	peers_end();
}

/* Much, both ways at once, to slow readers. */
static void scene_much_goes_through(void)
{
	static uint8_t up[300000], down[300000];

	for (size_t i = 0; i < sizeof(up); i++) {
		up[i] = (uint8_t)(i * 7 + i / 251);
		down[i] = (uint8_t)(i * 13 + i / 241);
	}
	site_begin(SITE, true);
	cut_through(&guest);
	guest.mute = accepting.mute = true;
	peer_write(&guest, up, sizeof(up));
	peer_write(&accepting, down, sizeof(down));
	tls_close_write(guest.tls);
	tls_close_write(accepting.tls);
	world_run(30 * SECOND);
	guest.mute = accepting.mute = false;
	for (unsigned i = 0;
	     i < 3000 && (guest.got_len < sizeof(down) || accepting.got_len < sizeof(up)); i++) {
		(void)peer_has(&guest, SIZE_MAX, 10 * MS);
		(void)peer_has(&accepting, SIZE_MAX, 10 * MS);
	}
	world_check(guest.got_len == sizeof(down) && memcmp(guest.got, down, sizeof(down)) == 0,
		    "bytes", "%zu bytes of a page arrive", guest.got_len);
	world_check(accepting.got_len == sizeof(up) && memcmp(accepting.got, up, sizeof(up)) == 0,
		    "bytes", "%zu bytes of a request arrive", accepting.got_len);
	world_run(2 * SECOND);
	(void)peer_gone(&guest, 1);
	(void)peer_gone(&accepting, 1);
	world_check(says_end(&guest) && says_end(&accepting) && !guest.reset && !accepting.reset,
		    "bytes", "the ends behind much are not told");
	peers_end();
}

/* A client that does not read costs its sender's patience, and no memory. */
static void scene_a_client_that_does_not_read(void)
{
	int64_t before;

	site_begin(SITE, true);
	cut_through(&guest);
	world_run(SECOND);
	before = relay.relay.memory.used;
	guest.mute = true;
	for (unsigned i = 0; i < 40; i++) {
		peers_fill_out(&accepting, 'x', 100000);
		world_run(SECOND);
		(void)peer_gone(&accepting, 1);
	}
	world_check(relay.relay.memory.used - before < 96 << 10, "memory-bounded",
		    "a client that does not read makes the relay keep %lld bytes",
		    (long long)(relay.relay.memory.used - before));
	world_check(!accepting.reset && !accepting.eof, "ends", "the site is cut off");
	peers_end();
}

/* And none of the last quarter: what is left is for agents. */
static void scene_memory_is_tight(void)
{
	site_begin(SITE, true);
	cut_through(&guest);
	world_run(SECOND);
	/* There is enough, but for who has proved nothing. */
	relay.relay.memory.used += 64 << 20;
	relay.relay.memory.most = (uint64_t)relay.relay.memory.used / 3 * 4;
	guest.mute = true;
	for (unsigned i = 0; i < 40 && !peer_gone(&accepting, 1); i++) {
		peers_fill_out(&accepting, 'x', 100000);
		world_run(SECOND);
	}
	expect_reset(&accepting, "what a client does not read takes the last memory");
	relay.relay.memory.used -= 64 << 20;
	relay.relay.memory.most = 512u << 20;
	peers_end();
}

/* ---- the site does not answer ---- */

static void scene_the_agent_is_away(void)
{
	site_begin(SITE, false);
	site_dial(&guest);
	/* In one breath: one answer after the other, in order. */
	write_text(&guest, get);
	write_text(&guest, get);
	world_run(2 * SECOND);
	(void)peer_gone(&guest, 1);
	world_check(times(&guest, "HTTP/1.1 502") == 2, "messages", "%zu of 2 requests answered",
		    times(&guest, "HTTP/1.1 502"));
	expect_status(&guest, "502 Bad Gateway", "away");
	/* As nginx, which asks when the body is there. */
	write_text(&guest, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
	world_run(40 * SECOND);
	(void)peer_gone(&guest, 1);
	world_check(guest.got_len == 0, "messages", "a request is refused before its body");
	write_text(&guest, "llo");
	expect_status(&guest, "502 Bad Gateway", "away, with a body");
	write_text(&guest, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
			   "Expect: 100-continue\r\n\r\n");
	expect_text(&guest, "HTTP/1.1 100 Continue\r\n\r\n", "a body that is waited for");
	write_text(&guest, "3\r\nabc\r\n0\r\n\r\n");
	expect_status(&guest, "502 Bad Gateway", "away, with chunks");
	site_dial(&laptop);
	write_text(&laptop,
		   "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n");
	expect_status(&laptop, "400 Bad Request", "away, with chunks that are none");
	/* The same connection, once the agent has come. */
	(void)peer_sign_in(&home, relay_host, 0);
	peer_publish(&home, "talk");
	write_text(&guest, get);
	accept_offer(expect_offer());
	expect_text(&accepting, get, "the request behind refused ones");
	write_text(&accepting, answer);
	expect_text(&guest, answer, "its answer");
	peer_close(&guest, false);
	peers_end();
}

static void scene_the_agent_is_late_or_refuses(void)
{
	struct wire_message none = {.type = WIRE_PUBLISH};
	uint64_t late;

	site_begin("limits:\n  open: 2s\n" SITE, true);
	site_dial(&guest);
	write_text(&guest, get);
	late = expect_offer();
	expect_status(&guest, "504 Gateway Time-out", "late");
	world_check(peers_totals().tables.meetings == 0, "accounts",
		    "a meeting outlives its asker");
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, late);
	peers_expect_fail(&accepting, REASON_PEER_GONE);
	/* Two that come together. */
	if (tls_write(guest.tls, (const uint8_t *)get, strlen(get)) != TLS_OK)
		world_broken("guest cannot write");
	write_text(&guest, get);
	peers_refuse(expect_offer());
	expect_status(&guest, "502 Bad Gateway", "refused");
	peers_refuse(expect_offer());
	expect_status(&guest, "502 Bad Gateway", "refused, and what came along");
	/* It goes away while it is asked, and publishes something else. */
	write_text(&guest, get);
	(void)expect_offer();
	peers_renew(&home);
	expect_status(&guest, "502 Bad Gateway", "gone");
	(void)peer_sign_in(&home, relay_host, 0);
	peer_say(&home, &none);
	(void)peer_expect(&home, WIRE_PUBLISHED, &heard);
	write_text(&guest, "GET / HTTP/1.0\r\n\r\n");
	expect_status(&guest, "502 Bad Gateway", "no such service");
	world_check(peer_gone(&guest, 5 * SECOND), "ends", "HTTP/1.0 is kept alive");
	peers_end();
}

/* What is no whole request of HTTP is nginx's to judge, and /healthz is ours. */
static void scene_the_relays_own_answers(void)
{
	static const struct {
		const char *says, *status;
	} rows[] = {
		{"\x02\x01\x01\r\n\r\n", "400 Bad Request"},
		{"GET / HTTP/1.1\r\n\r\n", "400 Bad Request"},
		{"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "405 Not Allowed"},
		{"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported"},
		{"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK"},
	};

	site_begin(SITE, true);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		site_dial(&guest);
		write_text(&guest, rows[i].says);
		world_check(peer_has(&guest, 100, 5 * SECOND) &&
				    memcmp(guest.got + 9, rows[i].status, strlen(rows[i].status)) ==
					    0,
			    "messages", "own answer %zu: %.*s", i, (int)guest.got_len,
			    (const char *)guest.got);
	}
	/* In clear, too. */
	world_check(peer_connect(&guest, relay_host), "links", "guest cannot connect");
	write_text(&guest, get);
	expect_status(&guest, "400 Bad Request", "in clear");
	world_check(!peer_hear(&home, &heard, SECOND) || heard.type == WIRE_PING, "messages",
		    "what the relay answers is offered to the site");
	/* HTTP/0.9 is a whole request. */
	site_dial(&guest);
	write_text(&guest, "GET /\r\n");
	accept_offer(expect_offer());
	expect_text(&accepting, "GET /\r\n", "HTTP/0.9");
	peers_end();
}

/* ---- ends that are none ---- */

static void scene_cuts(void)
{
	static const uint8_t garbage[] = {23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8,
					  9,  1, 2, 3, 4,  5, 6, 7, 8, 9, 1, 2};

	site_begin(SITE, true);
	cut_through(&guest);
	peer_close(&guest, false); /* no close_notify */
	expect_reset(&accepting, "a client that was cut off");
	cut_through(&guest);
	peer_close(&guest, true);
	expect_reset(&accepting, "a client that has reset");
	/* Bytes that are no record of this session: an alert, as any web server says. */
	cut_through(&guest);
	guest.raw = true;
	guest.got_len = 0;
	peer_write(&guest, garbage, sizeof(garbage));
	expect_reset(&accepting, "a client of garbage");
	world_check(peer_has(&guest, 10, 5 * SECOND) && guest.got[0] == 23 && !guest.reset,
		    "messages", "a client of garbage hears no alert");
	cut_through(&guest);
	peer_close(&accepting, true);
	expect_reset(&guest, "a site that has reset");
	cut_through(&guest);
	peer_close(&accepting, false);
	expect_reset(&guest, "a site that was cut off");
	world_run(SECOND);
	world_check(peers_totals().sessions == 0, "accounts", "a session that was cut counts");
	peers_end();
}

/* ---- bounds ---- */

static void scene_places(void)
{
	site_begin("limits:\n  public_per_source: 1\n" SITE, true);
	cut_through(&laptop);
	/* The same address. */
	site_dial(&asking);
	write_text(&asking, get);
	expect_status(&asking, "503 Service Temporarily Unavailable", "too many");
	/* Another one. */
	site_dial(&guest);
	write_text(&guest, get);
	(void)expect_offer();
	peer_close(&laptop, true);
	world_run(2 * SECOND);
	write_text(&asking, get);
	(void)expect_offer();
	peers_end();
}

static void scene_idle(void)
{
	site_begin("limits:\n  public_idle: 60s\n" SITE, true);
	cut_through(&guest);
	for (unsigned i = 0; i < 3; i++) {
		world_run(40 * SECOND);
		write_text(&guest, "x");
		expect_text(&accepting, "x", "a byte now and then");
	}
	world_run(40 * SECOND);
	peers_expect_still_there(&guest, "a site's session ends though bytes come");
	world_run(45 * SECOND);
	world_check(peer_gone(&guest, 1) && peer_gone(&accepting, 1), "ends",
		    "a site's session without a byte is kept");
	/* A client that says nothing more once the site has ended. */
	peers_renew(&home); /* which has answered no PING meanwhile */
	(void)peer_sign_in(&home, relay_host, 0);
	peer_publish(&home, "talk");
	cut_through(&guest);
	end_in_order(&accepting);
	world_run(4 * SECOND);
	world_check(peers_totals().sessions == 1, "ends", "a client has no time to end, too");
	world_run(25 * SECOND);
	world_check(peer_gone(&guest, 1) && peers_totals().sessions == 0, "ends",
		    "a client is kept whose site has ended");
	peers_end();
}

static void scene_a_drain(void)
{
	site_begin(SITE, true);
	cut_through(&guest);
	site_dial(&laptop);
	world_run(SECOND);
	peers_drain();
	world_run(SECOND);
	write_text(&guest, get);
	expect_text(&accepting, get, "a session in a drain");
	world_check(peer_gone(&laptop, 5 * SECOND), "ends", "a client stays that asks nothing");
	peers_end();
}

/* Another configuration is in force at once: a session with a site that is gone ends. */
static void scene_another_configuration(void)
{
	peers_begin("site:\n  page: \"<p>hello</p>\\n"
		    "filler filler filler filler filler "
		    "filler filler filler filler filler filler filler filler filler\"\n");
	(void)peer_sign_in(&home, relay_host, 0);
	peer_publish(&home, "talk");
	site_dial(&guest);
	write_text(&guest, get);
	expect_status(&guest, "200 OK", "a page");
	peers_reload(SITE);
	write_text(&guest, get);
	accept_offer(expect_offer());
	expect_text(&accepting, get, "the request behind a page");
	peers_reload(SITE "  server: nginx\n");
	write_text(&guest, get);
	expect_text(&accepting, get, "a session whose site has not changed");
	peers_reload("site:\n  server: nginx\n");
	world_check(peer_gone(&guest, 2 * SECOND) && peer_gone(&accepting, 2 * SECOND), "ends",
		    "a session with a site that is there no more goes on");
	site_dial(&laptop);
	write_text(&laptop, get);
	expect_status(&laptop, "200 OK", "a page again");
	peers_end();
}

static const peers_scene scenes[] = {
	scene_a_request_goes_to_the_site,
	scene_much_goes_through,
	scene_a_client_that_does_not_read,
	scene_memory_is_tight,
	scene_the_agent_is_away,
	scene_the_agent_is_late_or_refuses,
	scene_the_relays_own_answers,
	scene_cuts,
	scene_places,
	scene_idle,
	scene_a_drain,
	scene_another_configuration,
};

void world_peers_site(void)
{
	peers_play(scenes, sizeof(scenes) / sizeof(scenes[0]));
}
