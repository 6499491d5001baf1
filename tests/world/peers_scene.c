/* SPDX-License-Identifier: Apache-2.0 */
/* peers_scene: the relay and the peers of the peers_*_world.c, and what several of them do. */
#include "tests/world/peers_scene.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/control/control.h"
#include "relay/front/conn.h"

struct world_relay relay;
struct k_host *relay_host, *host[PEERS_HOSTS];
struct peer home, laptop, guest, admin, asking, accepting;
struct wire_message heard;

/* ---- a scene ---- */

void peers_begin(const char *config)
{
	char text[8192];

	snprintf(text, sizeof(text), PEERS_LISTEN "threads: %llu\nengine: %s\n%s",
		 (unsigned long long)dice_between(&world_dice, 1, 3),
		 dice_chance(&world_dice, 500) ? "io_uring" : "epoll", config);
	world_relay_start(&relay, RELAY_A, relay_host, text);
	peer_start(&home, "home", HOME, host[0]);
	peer_start(&laptop, "laptop", LAPTOP, host[1]);
	peer_start(&guest, "guest", GUEST, host[2]);
	peer_start(&admin, "admin", ADMIN, host[3]);
	peer_start(&asking, "asking-leg", LAPTOP, host[1]);
	peer_start(&accepting, "accepting-leg", HOME, host[0]);
}

struct relay_totals peers_totals(void)
{
	struct relay_totals t;

	k_enter(relay.program);
	t = relay_totals(&relay.relay);
	k_enter(NULL);
	return t;
}

void peers_leave(void)
{
	struct peer *const all[] = {&home, &laptop, &guest, &admin, &asking, &accepting};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		peer_end(all[i]);
}

void peers_end(void)
{
	peers_leave();
	world_run(120 * SECOND); /* idle legs are looked at every second ping */
	world_relay_check_quiet(&relay);
	world_check(peers_totals().tables.accounts == 0, "accounts",
		    "%llu accounts are left that have no agent",
		    (unsigned long long)peers_totals().tables.accounts);
	world_relay_stop(&relay);
}

void peers_change(const char *config)
{
	char text[16384];

	snprintf(text, sizeof(text), PEERS_LISTEN "%s", config);
	world_relay_write(&relay, text);
	k_signal(relay.program, SIGHUP);
}

void peers_reload(const char *config)
{
	peers_change(config);
	world_run(2 * SECOND);
}

size_t peers_most_waiting(void)
{
	size_t most = 0;

	for (unsigned i = 0; i < relay.relay.worker_count; i++) {
		struct slab *conns = &relay.relay.workers[i].conns;

		for (uint32_t k = 0; k < conns->high_water; k++) {
			const struct conn *c = slab_at(conns, k);

			if (c && outbox_waiting(&c->out) > most)
				most = outbox_waiting(&c->out);
		}
	}
	return most;
}

/* ---- what peers do ---- */

void peers_two_agents(void)
{
	(void)peer_sign_in(&home, relay_host, 0);
	peer_publish(&home, "talk");
	(void)peer_sign_in(&laptop, relay_host, 0);
}

uint64_t peers_offered(void)
{
	(void)peer_leg(&asking, relay_host, &laptop);
	peer_open(&asking, "home", "talk");
	if (!peer_expect(&home, WIRE_OFFER, &heard))
		return 0;
	world_check(wire_bytes_equal(heard.offer.from, wire_text("laptop")), "messages",
		    "the offer does not name who asks");
	return heard.offer.session;
}

void peers_cut_through(void)
{
	uint64_t session = peers_offered();
	uint8_t before[WIRE_SECRET_BYTES];

	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, session);
	memcpy(before, asking.envelope, sizeof(before));
	(void)peer_go(&asking);
	(void)peer_go(&accepting);
	world_check(memcmp(asking.envelope, accepting.envelope, sizeof(before)) == 0, "messages",
		    "the two sides of a session hear two secrets");
	world_check(memcmp(asking.envelope, before, sizeof(before)) != 0, "messages",
		    "a session's envelope has no secret of its own");
}

/* ---- what is expected of them ---- */

void peers_expect_fail(struct peer *p, enum reason reason)
{
	if (peer_expect(p, WIRE_FAIL, &heard))
		world_check(heard.fail.reason == reason, "messages",
			    "%s hears FAIL for %s, not for %s", p->program->name,
			    reason_name(heard.fail.reason), reason_name(reason));
}

void peers_expect_still_there(struct peer *p, const char *what)
{
	world_check(!peer_gone(p, 1), "ends", "%s", what);
}

void peers_expect_flowing(const char *when)
{
	asking.got_len = accepting.got_len = 0;
	peer_write(&asking, "there", 5);
	peer_write(&accepting, "back", 4);
	(void)peer_has(&asking, 4, SECOND);
	world_check(peer_has(&accepting, 5, 30 * SECOND) && memcmp(accepting.got, "there", 5) == 0,
		    "bytes", "nothing goes up %s", when);
	world_check(peer_has(&asking, 4, 30 * SECOND) && memcmp(asking.got, "back", 4) == 0,
		    "bytes", "nothing comes down %s", when);
}

/* ---- bytes by hand ---- */

struct tls *peers_say_hello(struct peer *p, const char *name, const char *alpn)
{
	static SSL_CTX *context;
	const uint8_t *hello;
	struct tls *t;
	size_t len;

	if (!context)
		context = SSL_CTX_new(TLS_method());
	t = tls_new(context, false);
	if (!SSL_set_tlsext_host_name(tls_ssl(t), name) ||
	    (alpn &&
	     SSL_set_alpn_protos(tls_ssl(t), (const uint8_t *)alpn, (unsigned)strlen(alpn)) != 0) ||
	    tls_handshake(t) != TLS_AGAIN)
		world_broken("no hello can be made");
	hello = tls_output(t, &len);
	peer_write(p, hello, len);
	return t;
}

struct tls *peers_say_public_hello(struct peer *p)
{
	return peers_say_hello(p, "www.example", NULL);
}

struct tls *peers_public_hello(struct peer *p)
{
	world_check(peer_connect(p, relay_host), "links", "a visitor cannot connect");
	return peers_say_public_hello(p);
}

void peers_renew(struct peer *p)
{
	peer_close(p, false);
	p->raw = p->eof = p->reset = false;
	p->got_len = p->out_len = p->frame_len = 0;
}

void peers_push(size_t len, uint64_t at_most_us)
{
	uint64_t end = k_now_us + at_most_us;

	while (accepting.got_len < len && k_now_us < end) {
		(void)peer_has(&accepting, len, SECOND / 20);
		(void)peer_has(&asking, SIZE_MAX, 1);
	}
}

void peers_fill_out(struct peer *p, uint8_t byte, size_t len)
{
	static uint8_t bytes[PEER_KEPT / 2];

	memset(bytes, byte, len);
	peer_write(p, bytes, len);
}

void peers_drain(void)
{
	k_enter(relay.program);
	control_drain(relay.relay.control, 600000, false);
	k_enter(NULL);
}

void peers_refuse(uint64_t session)
{
	struct wire_message no = {.type = WIRE_REFUSE};

	no.refuse.session = session;
	no.refuse.reason = REASON_NOT_ALLOWED;
	no.refuse.text = wire_text("not on a Monday");
	peer_say(&home, &no);
}

/* ---- all scenes of a world ---- */

void peers_play(const peers_scene *scenes, size_t count)
{
	const char *only = getenv("SCENE");

	relay_host = k_host_new("relay");
	for (unsigned i = 0; i < PEERS_HOSTS; i++) {
		static const char *const names[] = {"home", "away", "elsewhere", "office"};

		host[i] = k_host_new(names[i]);
		k_cable_set(relay_host, host[i], (uint32_t)dice_size(&world_dice, 50000),
			    (uint32_t)dice_size(&world_dice, 5000));
	}
	k_faults.short_io = (unsigned)dice_below(&world_dice, 300);
	for (size_t i = 0; i < count; i++) {
		if (only && strtoul(only, NULL, 10) != i)
			continue;
		world_tell("---- scene %zu", i);
		scenes[i]();
	}
}
