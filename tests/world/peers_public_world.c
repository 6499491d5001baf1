/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers_public_world: public clients of a relay, played by hand from the ClientHello on.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "core/engine/envelope.h"
#include "relay/session/session.h"
#include "tests/world/peers_scene.h"
#include "tests/world/worlds.h"

/* A public client hears an alert when time is up, and its meeting is over. */
static void scene_a_public_client_that_waited_in_vain(void)
{
	struct tls *t;
	uint64_t session;

	peers_begin("limits:\n  open: 2s\npublic:\n  - name: www.example\n    to: home/talk\n");
	(void)peer_sign_in(&home, relay_host, 0);
	peer_publish(&home, "talk");
	t = peers_public_hello(&guest);
	(void)peer_expect(&home, WIRE_OFFER, &heard);
	session = heard.offer.session;
	world_check(peer_has(&guest, 7, 4 * SECOND) && guest.got[0] == 21, "messages",
		    "a public client hears no alert");
	world_check(peer_gone(&guest, 5 * SECOND), "ends", "a public client is kept");
	world_check(peers_totals().tables.meetings == 0, "accounts",
		    "a meeting outlives its asker");
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, session);
	peers_expect_fail(&accepting, REASON_PEER_GONE);
	tls_free(t);
	peers_end();
}

/* An ACME server's challenge goes to the agent that has the client, a public name's to its own
 * server, and nothing else is taken for one. */
static void scene_a_challenge_of_acme(void)
{
	static const struct {
		const char *name, *alpn, *service; /* NULL: the relay's own TLS */
	} rows[] = {
		{"relay-a",
		 "\x0a"
		 "acme-tls/1",
		 "acme"},
		{"www.example",
		 "\x0a"
		 "acme-tls/1",
		 "talk"},
		{"relay-a",
		 "\x08http/1.1\x0a"
		 "acme-tls/1",
		 NULL},
		{"relay-a", "\x08http/1.1", NULL},
	};
	struct wire_message publish = {.type = WIRE_PUBLISH, .publish.count = 2};

	publish.publish.services[0] = wire_text("talk");
	publish.publish.services[1] = wire_text("acme");
	peers_begin("tls:\n  acme: home/acme\npublic:\n  - name: www.example\n    to: home/talk\n");
	(void)peer_sign_in(&home, relay_host, 0);
	peer_say(&home, &publish);
	(void)peer_expect(&home, WIRE_PUBLISHED, &heard);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tls *t;

		world_check(peer_connect(&guest, relay_host), "links", "a visitor cannot connect");
		t = peers_say_hello(&guest, rows[i].name, rows[i].alpn);
		if (rows[i].service) {
			if (peer_expect(&home, WIRE_OFFER, &heard))
				world_check(heard.offer.kind == WIRE_OFFER_PUBLIC &&
						    wire_bytes_equal(heard.offer.service,
								     wire_text(rows[i].service)),
					    "messages", "hello %zu is offered to another", i);
		} else {
			world_check(peer_has(&guest, 6, 5 * SECOND) && guest.got[0] == 22,
				    "messages", "hello %zu is not answered by the relay itself", i);
		}
		tls_free(t);
		peer_close(&guest, false);
	}
	peers_end();
}

/* What the publisher's leg has brought is this, in its envelope, and does not show it. */
static void expect_in_envelope(const uint8_t *bytes, size_t len)
{
	static uint8_t opened[PEER_KEPT];
	size_t n = 0;

	for (unsigned tries = 0; tries < 30 && n < len; tries++) {
		struct envelope e;

		(void)peer_has(&accepting, accepting.got_len + 1, SECOND);
		world_check(envelope_init(&e, accepting.envelope, ENVELOPE_ASKING) &&
				    envelope_open(&e, accepting.got, accepting.got_len, opened,
						  &n) == ENVELOPE_OK,
			    "bytes", "a public client's bytes come in no envelope");
	}
	world_check(n == len && memcmp(opened, bytes, len) == 0, "bytes",
		    "the hello does not arrive");
	world_check(!memmem(accepting.got, accepting.got_len, "www.example", 11), "bytes",
		    "a server's name stands readable on the publisher's leg");
}

/* A ClientHello of a public name, by hand: what the relay replays is counted, too. */
static void scene_a_public_hello_is_counted(void)
{
	struct tls *t;
	const uint8_t *hello;
	uint64_t before;
	size_t len;

	peers_begin("public:\n  - name: www.example\n    to: home/talk\n");
	(void)peer_sign_in(&home, relay_host, 0);
	peer_publish(&home, "talk");
	before = peers_totals().bytes;
	t = peers_public_hello(&guest);
	hello = tls_output(t, &len);
	(void)peer_expect(&home, WIRE_OFFER, &heard);
	world_check(heard.offer.kind == WIRE_OFFER_PUBLIC, "messages", "a public offer is another");
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, heard.offer.session);
	(void)peer_go(&accepting);
	expect_in_envelope(hello, len);
	world_check(peers_totals().bytes - before == len, "accounts",
		    "%zu bytes of a hello came and %llu are counted", len,
		    (unsigned long long)(peers_totals().bytes - before));
	/* It waits for the server as long as it likes. */
	world_run(120 * SECOND);
	peers_expect_still_there(&guest, "a public session ends by itself");
	tls_free(t);
	peers_end();
}

/* A session on which nothing comes ends in time, and one on which something comes goes on. */
static void scene_an_idle_public_session(void)
{
	struct tls *t;

	peers_begin(
		"limits:\n  public_idle: 60s\npublic:\n  - name: www.example\n    to: home/talk\n");
	(void)peer_sign_in(&home, relay_host, 0);
	peer_publish(&home, "talk");
	t = peers_public_hello(&guest);
	(void)peer_expect(&home, WIRE_OFFER, &heard);
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, heard.offer.session);
	(void)peer_go(&accepting);
	(void)peer_has(&accepting, 1, 10 * SECOND);
	for (unsigned i = 0; i < 3; i++) {
		static const uint8_t record[] = {22, 3, 3, 0, 1, 0};

		world_run(40 * SECOND);
		peer_write(&guest, record, sizeof(record));
	}
	world_run(40 * SECOND);
	peers_expect_still_there(&guest, "a public session ends though bytes come");
	world_run(45 * SECOND);
	world_check(peer_gone(&guest, 1) && peer_gone(&accepting, 1), "ends",
		    "a public session without a byte is kept");
	world_check(peers_totals().sessions == 0, "accounts", "an idle session counts");
	tls_free(t);
	peers_end();
}

/* A name that is taken out of the table, or leads elsewhere, takes its sessions along; another that
 * leads to the same service keeps its own. */
static void scene_a_public_name_that_goes(void)
{
	static const char *const next[] = {
		"public:\n  - name: other.example\n    to: home/talk\n",
		"public:\n  - name: other.example\n    to: home/talk\n"
		"  - name: www.example\n    to: home/more\n",
		"public:\n  - name: other.example\n    to: home/more\n"
		"  - name: www.example\n    to: home/talk\n",
	};
	unsigned way = (unsigned)dice_below(&world_dice, 3);
	struct tls *t;

	peers_begin("public:\n  - name: www.example\n    to: home/talk\n"
		    "  - name: other.example\n    to: home/talk\n");
	(void)peer_sign_in(&home, relay_host, 0);
	peer_publish(&home, "talk");
	t = peers_public_hello(&guest);
	(void)peer_expect(&home, WIRE_OFFER, &heard);
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, heard.offer.session);
	(void)peer_go(&accepting);
	(void)peer_has(&accepting, 1, 10 * SECOND);
	peers_reload(next[way]);
	if (way == 2) {
		world_run(5 * SECOND);
		peers_expect_still_there(&guest, "a session ends with another public name");
	} else {
		world_check(peer_gone(&guest, SECOND) && peer_gone(&accepting, SECOND), "ends",
			    "a session goes on by a public name that is gone (%u)", way);
		world_check(peer_expect(&home, WIRE_ENDED, &heard) &&
				    wire_bytes_equal(heard.ended.cause, wire_text("C")),
			    "reason", "the agent does not hear why");
	}
	tls_free(t);
	peers_end();
}

/* Its agent ends it by itself: on record with the reason, and there is nobody to tell. */
static void scene_a_public_session_that_its_agent_ends(void)
{
	struct wire_message ended = {.type = WIRE_ENDED,
				     .ended = {.cause = wire_text("N"), .text = wire_text("")}};
	const char *recorded;
	struct tls *t;

	peers_begin("public:\n  - name: www.example\n    to: home/talk\n");
	(void)peer_sign_in(&home, relay_host, 0);
	peer_publish(&home, "talk");
	t = peers_public_hello(&guest);
	(void)peer_expect(&home, WIRE_OFFER, &heard);
	ended.ended.session = heard.offer.session;
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, heard.offer.session);
	(void)peer_go(&accepting);
	(void)peer_has(&accepting, 1, 10 * SECOND);
	peer_say(&home, &ended);
	world_check(peer_gone(&guest, SECOND) && peer_gone(&accepting, SECOND), "ends",
		    "a public session goes on that its agent has ended");
	world_run(100 * MS); /* reports are on their way */
	recorded = world_relay_ending(&relay, NULL);
	world_check(recorded[0] == 'P' && recorded[2] == 'N', "reason",
		    "a public session that its agent has ended is on record as %s", recorded);
	tls_free(t);
	peers_end();
}

/* What comes after the hello is TLS as well, or it goes nowhere. */
static void scene_a_public_client_that_speaks_no_tls(void)
{
	struct tls *t;

	peers_begin("public:\n  - name: www.example\n    to: home/talk\n");
	(void)peer_sign_in(&home, relay_host, 0);
	peer_publish(&home, "talk");
	t = peers_public_hello(&guest);
	(void)peer_expect(&home, WIRE_OFFER, &heard);
	uint64_t session = heard.offer.session;
	(void)peer_leg(&accepting, relay_host, &home);
	peer_accept(&accepting, session);
	(void)peer_go(&accepting);
	(void)peer_has(&accepting, 1, 10 * SECOND);
	peers_fill_out(&guest, 'G', 100);
	world_check(peer_gone(&guest, 10 * SECOND), "ends",
		    "a public client goes on that speaks no TLS");
	tls_free(t);
	peers_end();
}

/* The kernel holds little for a public client that does not read, and for agents what it likes. */
static void check_kernel_memory(void)
{
	unsigned sessions = 0;

	for (unsigned i = 0; i < relay.relay.worker_count; i++) {
		struct slab *table = &relay.relay.workers[i].sessions->table;

		for (uint32_t k = 0; k < table->high_water; k++) {
			const struct session *s = slab_at(table, k);

			for (unsigned side = 0; s && side < 2; side++) {
				bool proved = side == 1 || s->pair.from;
				int most = -1;
				socklen_t len = sizeof(most);

				k_enter(relay.program);
				(void)getsockopt(s->fd[side], IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most,
						 &len);
				k_enter(NULL);
				world_check(most == (proved ? 0 : 256 << 10), "memory-bounded",
					    "of %s the kernel keeps %d bytes unsent",
					    proved ? "an agent" : "a public client", most);
			}
			sessions += s != NULL;
		}
	}
	world_check(sessions == 2, "links", "there are %u sessions, not two", sessions);
}

/* While memory is tight a public client's bytes that are not read end its session, and those of an
 * agent wait: the last quarter is for who has proved who it is. */
static void scene_a_public_client_while_memory_is_tight(void)
{
	enum { MUCH = 400000 };
	static const uint8_t data[] = {23, 3, 3, 0, 1, 0};
	const int64_t others = 64 << 20;
	struct tls *t;

	peers_begin("public:\n  - name: www.example\n    to: home/talk\n");
	peers_two_agents();
	t = peers_public_hello(&guest);
	(void)peer_expect(&home, WIRE_OFFER, &heard);
	uint64_t session = heard.offer.session;
	(void)peer_leg(&admin, relay_host, &home);
	peer_accept(&admin, session);
	(void)peer_go(&admin);
	(void)peer_has(&admin, 1, 10 * SECOND);
	peer_write(&guest, data, sizeof(data)); /* its handshake is over */
	peers_cut_through();
	world_run(SECOND);
	check_kernel_memory();
	relay.relay.memory.used += others;
	relay.relay.memory.most = (uint64_t)relay.relay.memory.used / 5 * 6;
	admin.mute = accepting.mute = true;
	peers_fill_out(&guest, 'x', MUCH);
	peers_fill_out(&asking, 'y', MUCH);
	for (unsigned i = 0; i < 40 && !peer_gone(&guest, SECOND / 4); i++)
		(void)peer_has(&asking, SIZE_MAX, 1);
	world_check(guest.reset, "memory-bounded",
		    "what a publisher does not read of a public client takes the last memory");
	peers_expect_still_there(&asking, "a session of agents ends while strangers have memory");
	accepting.mute = false;
	peers_push(MUCH, 60 * SECOND);
	world_check(accepting.got_len == MUCH, "bytes", "%zu of %u bytes of an agent arrive",
		    accepting.got_len, (unsigned)MUCH);
	relay.relay.memory.used -= others;
	relay.relay.memory.most = 512u << 20;
	tls_free(t);
	peers_end();
}

static void expect_alert(uint8_t description)
{
	if (world_check(peer_has(&guest, 7, 10 * SECOND), "messages",
			"a public client hears no alert"))
		world_check(guest.got[0] == 21 && guest.got[6] == description, "messages",
			    "a public client hears alert %u, not %u", guest.got[6], description);
	world_check(peer_gone(&guest, 5 * SECOND), "ends", "a public client is kept");
}

/* In TLS' words: "unrecognized name" is the client's mistake, "internal error" is ours. */
static void scene_public_clients_are_told(void)
{
	peers_begin("public:\n  - name: www.example\n    to: home/web\n");
	tls_free(peers_public_hello(&guest));
	expect_alert(80); /* home is not there */
	peer_close(&guest, false);
	guest.got_len = 0;
	peers_two_agents();
	tls_free(peers_public_hello(&guest));
	expect_alert(112); /* it has no such service */
	peer_close(&guest, false);
	guest.got_len = 0;
	peer_publish(&home, "web");
	tls_free(peers_public_hello(&guest));
	(void)peer_expect(&home, WIRE_OFFER, &heard);
	peers_refuse(heard.offer.session);
	expect_alert(112);
	peers_end();
}

/* A client that came before the drain and says what it wants after it. */
static void scene_a_public_client_in_a_drain(void)
{
	peers_begin("public:\n  - name: www.example\n    to: home/talk\n");
	peers_two_agents();
	world_check(peer_connect(&guest, relay_host), "links", "guest cannot connect");
	world_run(SECOND);
	peers_drain();
	world_run(SECOND);
	tls_free(peers_say_public_hello(&guest));
	expect_alert(80);
	world_check(!peer_hear(&home, &heard, SECOND) || heard.type == WIRE_DRAIN, "messages",
		    "home hears %s of a relay that drains", wire_type_name(heard.type));
	peers_end();
}

static const peers_scene scenes[] = {
	scene_a_public_client_that_waited_in_vain,
	scene_a_public_hello_is_counted,
	scene_an_idle_public_session,
	scene_a_public_name_that_goes,
	scene_a_public_session_that_its_agent_ends,
	scene_a_challenge_of_acme,
	scene_a_public_client_that_speaks_no_tls,
	scene_public_clients_are_told,
	scene_a_public_client_in_a_drain,
	scene_a_public_client_while_memory_is_tight,
};

void world_peers_public(void)
{
	peers_play(scenes, sizeof(scenes) / sizeof(scenes[0]));
}
