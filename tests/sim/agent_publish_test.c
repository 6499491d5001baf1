/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_publish_test: the publishing side, against far ends that may not, want something else than
 * was offered, say nothing, or never go.
 *
 * links: core/engine/entitled.c core/program/look.c agent/engine/proved.c
 * links: agent/session/session.c agent/session/alive.c core/alive.c agent/session/request.c agent/session/publish.c
 * links: agent/session/prove.c
 * links: agent/session/stream.c agent/session/bulk.c agent/engine/inner.c agent/engine/candidates.c
 * links: core/engine/revocations.c core/engine/tag.c core/engine/tls.c core/engine/identity.c
 * links: core/engine/identity_verify.c core/engine/identity_relay.c core/engine/certificate.c
 * links: core/engine/envelope.c core/parse/wire.c core/parse/reason.c core/parse/proxy.c
 * links: core/parse/ending.c core/buffers.c core/addr.c core/log*.c core/timer.c core/ring.c
 * links: core/engine/csr.c ctl/pki/make.c tests/support/certs.c tests/support/agent_scene.c
 * links: tests/support/ring_fixture_world.c tests/world/calls.c tests/world/kernel.c
 * links: tests/world/memory.c tests/world/packet.c tests/world/pipes.c tests/world/ring_sim.c
 * links: tests/world/store.c tests/world/stream.c tests/world/stream_connect.c tests/world/world.c
 * links: core/engine/keyring.c core/parse/signing.c core/parse/keyblock.c core/memory.c
 * links: core/engine/browser.c core/engine/brotli.c
 */
#include "agent/session/prove.h"
#include "core/engine/proving.h"
#include "tests/support/agent_scene.h"
#include "tests/world/kernel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LONG_MS (10u * SCENE_OPEN) /* longer than every deadline of opening */

/* Offered, accepted, and the inner handshake is through. */
static struct agent_scene *offered_by(void **state, const char *service, const struct certs_ca *ca,
				      enum identity_role role, const char *name)
{
	struct agent_scene *s = agent_scene_begin(state);

	agent_scene_offer(s, WIRE_OFFER_AGENT, service);
	assert_int_equal(s->leg.type, WIRE_ACCEPT);
	assert_int_equal(s->leg.session, 77);
	agent_scene_give_leg(s, ca, role, name, false);
	far_shake(s);
	return s;
}

static struct agent_scene *offered(void **state)
{
	return offered_by(state, "web", &agent_scene_ca, IDENTITY_AGENT, "office");
}

/* What was offered became no session: counted and told, once. */
static void assert_told(struct agent_scene *s, enum reason reason, const char *ending)
{
	assert_int_equal(s->opened, 0);
	assert_int_equal(s->refused, 1);
	assert_int_equal(s->sessions.totals.failed, 1);
	assert_string_equal(reason_name(s->reason), reason_name(reason));
	assert_string_equal(s->ending, ending);
}

/* The far end hears no, with these words; nothing was connected to. */
static void assert_rejected(struct agent_scene *s, enum reason reason, const char *text)
{
	struct wire_message m;
	char said[WIRE_TEXT_MAX + 1];

	assert_true(far_hear(s, &m));
	assert_int_equal(m.type, WIRE_RESULT);
	assert_string_equal(reason_name(m.result.reason), reason_name(reason));
	wire_bytes_copy(m.result.text, said, sizeof(said));
	assert_string_equal(said, text);
	assert_int_equal(m.result.candidates.count, 0);
	assert_false(s->target_wanted);
	assert_int_equal(s->opened, 0);
	assert_int_equal(s->refused, 1);
	assert_int_equal(s->reason, reason);
	/* It stays for the far end to read, and no longer. */
	agent_scene_pass(s, STREAM_FINISH_MS);
	agent_scene_end(s);
}

/* The relay hears no at once, by the link. */
static void assert_refused(struct agent_scene *s, enum reason reason, const char *ending)
{
	assert_told(s, reason, ending);
	assert_int_equal(s->refuses, 1);
	assert_string_equal(reason_name(s->refuse_reason), reason_name(reason));
	assert_false(s->leg.there);
	assert_false(s->target_wanted);
	agent_scene_end(s);
}

/* ---- sessions of agents ---- */

static void an_agent_gets_what_is_published(void **state)
{
	struct agent_scene *s = offered(state);
	struct wire_message m;
	char text[8];

	far_request(s, "web");
	agent_scene_connect_target(s, true);
	assert_true(far_hear(s, &m));
	assert_int_equal(m.result.reason, REASON_OK);
	assert_int_equal(m.result.candidates.count, 1);
	assert_int_equal(s->opened, 1);
	assert_int_equal(s->link[0].users, 0);
	agent_scene_pass(s, LONG_MS);
	assert_int_equal(s->closed, 0);
	far_write(s, "GET", 3);
	agent_scene_run(s, 20);
	read_all(s->theirs, text, 3);
	assert_memory_equal(text, "GET", 3);
	write_all(s->theirs, "200", 3);
	shutdown(s->theirs, SHUT_WR);
	agent_scene_run(s, 20);
	assert_int_equal(s->far.got_len, 3);
	assert_true(s->far.eof);
	tls_close_write(s->far.inner.tls);
	agent_scene_run(s, 20);
	assert_int_equal(s->closed, 1);
	agent_scene_end(s);
}

static void the_proxy_header_names_the_asker(void **state)
{
	/* PROXY v2, TCP over IPv4, from 198.51.99.7:40000, which the relay saw: not from where the
	 * asker says. */
	static const uint8_t head[16] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
	static const uint8_t source[4] = {198, 51, 99, 7}, loopback[4] = {127, 0, 0, 1};
	struct agent_scene *s = offered(state);
	uint8_t got[28];

	s->published.proxy_protocol = true;
	far_request(s, "web");
	agent_scene_connect_target(s, true);
	agent_scene_run(s, 10);
	read_all(s->theirs, got, sizeof(got));
	assert_memory_equal(got, head, sizeof(head));
	assert_memory_equal(got + 16, source, sizeof(source));
	/* And the target itself, though the relay said otherwise: that is for public sessions. */
	assert_memory_equal(got + 20, loopback, sizeof(loopback));
	assert_int_equal(got[24] << 8 | got[25], 40000);
	far_close(s, true);
	agent_scene_end(s);
}

/* ---- refusals ---- */

static void a_console_may_not_use_services(void **state)
{
	struct agent_scene *s =
		offered_by(state, "web", &agent_scene_ca, IDENTITY_CONSOLE, "office");

	far_request(s, "web");
	assert_rejected(s, REASON_CERT_ROLE, "");
}

static void only_named_agents_may(void **state)
{
	char *const names[] = {(char *)"garage", (char *)"attic"};
	struct agent_scene *s = offered(state);

	s->published.allow = (struct conf_array){.items = (void *)names, .count = 2};
	far_request(s, "web");
	assert_rejected(s, REASON_NOT_ALLOWED, "the publishing agent itself does not allow you");

	s = offered_by(state, "web", &agent_scene_ca, IDENTITY_AGENT, "attic");
	s->published.allow = (struct conf_array){.items = (void *)names, .count = 2};
	far_request(s, "web");
	assert_true(s->target_wanted);
	agent_scene_connect_target(s, false);
	assert_rejected(s, REASON_TARGET_UNREACHABLE,
			"connection to 127.0.0.1:80 (service web): Connection refused");
}

static void the_revoked_may_not(void **state)
{
	struct agent_scene *s = offered(state);

	agent_scene_revoke(s, 0, "office");
	far_request(s, "web");
	assert_rejected(s, REASON_REVOKED, "");
}

static void an_agent_of_another_ca_gets_no_session(void **state)
{
	struct agent_scene *s =
		offered_by(state, "web", &agent_scene_other_ca, IDENTITY_AGENT, "office");

	agent_scene_run(s, 20);
	assert_int_equal(s->sessions.count, 0);
	assert_told(s, REASON_PEER_GONE, "FHB");
	assert_string_equal(s->role, "publishing");
	agent_scene_end(s);
}

/* ---- what is asked for ---- */

static void what_was_offered_is_what_may_be_asked_for(void **state)
{
	struct agent_scene *s = offered(state);

	far_request(s, "ssh");
	assert_rejected(s, REASON_PROTOCOL, "");
}

static void what_is_published_when_it_is_asked_for_counts(void **state)
{
	struct agent_scene *s = offered(state);

	s->published.service = (char *)"www";
	far_request(s, "web");
	assert_rejected(s, REASON_SERVICE_UNKNOWN, "");
}

static void another_message_is_no_request(void **state)
{
	struct agent_scene *s = offered(state);

	far_result(s, REASON_OK, "");
	agent_scene_run(s, 20);
	assert_int_equal(s->sessions.count, 0);
	assert_true(s->far.reset || s->far.eof);
	assert_told(s, REASON_PROTOCOL, "FHB");
	agent_scene_end(s);
}

/* The no cannot leave: nothing is read at the other end, and what is under way fills the leg. */
static void an_asker_that_does_not_read_the_no_is_let_go(void **state)
{
	static const uint8_t bytes[4096];
	struct agent_scene *s = offered(state);

	s->far.mute = true;
	for (unsigned round = 0; round < 5; round++) { /* the way, too, has room */
		while (send(s->leg_fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			;
		agent_scene_run(s, 2);
	}
	far_request(s, "ssh");
	agent_scene_run(s, 20);
	assert_int_equal(s->refused, 1);
	assert_int_equal(s->sessions.count, 1);
	agent_scene_pass(s, STREAM_FINISH_MS);
	agent_scene_run(s, 20);
	assert_int_equal(s->sessions.count, 0);
	agent_scene_end(s);
}

/* A receive may win the race against its cancellation: what it has got goes back to the ring. */
static void bytes_that_come_with_the_end_keep_no_buffer(void **state)
{
	struct wire_message m;

	for (unsigned i = 0; i < 4; i++) {
		struct agent_scene *s = offered(state);

		far_request(s, "web");
		agent_scene_connect_target(s, true);
		assert_true(far_hear(s, &m));
		agent_scene_run(s, 5);
		far_write(s, "GET", 3);
		write_all(s->theirs, "200", 3);
		k_advance(k_now_us + 1000); /* it is there, and the ring has not looked */
		agent_scene_revoke(s, 0, "office");
		agent_sessions_judge(&s->sessions);
		agent_scene_end(s);
	}
}

/* ---- consoles ---- */

static void consoles_reach_the_agent_itself_and_agents_do_not(void **state)
{
	struct agent_scene *s =
		offered_by(state, WIRE_CONTROL_SERVICE, &agent_scene_ca, IDENTITY_CONSOLE, "ops");
	struct wire_message m;

	far_request(s, WIRE_CONTROL_SERVICE);
	assert_true(far_hear(s, &m));
	assert_int_equal(m.result.reason, REASON_OK);
	assert_int_equal(m.result.candidates.count, 0);
	assert_int_equal(s->consoles, 1);
	assert_string_equal(s->console, "ops");
	far_close(s, true);
	agent_scene_end(s);

	s = offered_by(state, WIRE_CONTROL_SERVICE, &agent_scene_ca, IDENTITY_AGENT, "office");
	far_request(s, WIRE_CONTROL_SERVICE);
	assert_int_equal(s->consoles, 0);
	assert_rejected(s, REASON_NOT_ALLOWED, "the agent talks to consoles only");
}

static void a_transient_agent_publishes_nothing(void **state)
{
	static const char *const services[] = {"web", WIRE_CONTROL_SERVICE};

	for (size_t i = 0; i < 2; i++) {
		struct agent_scene *s = agent_scene_begin(state);

		s->setup.transient = true;
		agent_scene_offer(s, WIRE_OFFER_AGENT, services[i]);
		assert_refused(s, REASON_SERVICE_UNKNOWN, "SOY");
	}
}

static void consoles_have_a_limit_of_their_own(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);
	struct agent_session others[AGENT_CONSOLE_SESSIONS_MAX] = {0};

	s->config.max_sessions = 0;
	agent_scene_offer(s, WIRE_OFFER_AGENT, "web");
	assert_int_equal(s->refuse_reason, REASON_LIMIT_SESSIONS);
	assert_told(s, REASON_LIMIT_SESSIONS, "SOL");
	for (size_t i = 0; i < AGENT_CONSOLE_SESSIONS_MAX; i++) {
		others[i].control = true;
		assert_true(agent_session_add(&s->sessions, &others[i]));
	}
	agent_scene_offer(s, WIRE_OFFER_AGENT, WIRE_CONTROL_SERVICE);
	assert_int_equal(s->refuses, 2);
	assert_int_equal(s->refuse_reason, REASON_LIMIT_SESSIONS);
	for (size_t i = 0; i < AGENT_CONSOLE_SESSIONS_MAX; i++)
		agent_session_remove(&others[i]);
	agent_scene_end(s);
}

/* Refused before there is a leg, with the reason that its operator can act on. */
static void an_agent_without_consoles_says_so_at_once(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	s->config.console = AGENT_CONSOLES_OFF;
	agent_scene_offer(s, WIRE_OFFER_AGENT, WIRE_CONTROL_SERVICE);
	assert_int_equal(s->refuses, 1);
	assert_non_null(strstr(s->refuse_text, "console: off"));
	assert_refused(s, REASON_NOT_ALLOWED, "SON");
}

/* ---- time ---- */

static void an_asker_without_a_request_is_not_kept(void **state)
{
	struct agent_scene *s = offered(state);

	agent_scene_pass(s, PUBLISH_REQUEST_MS - 3000);
	assert_int_equal(s->sessions.count, 1);
	agent_scene_pass(s, PUBLISH_REQUEST_MS);
	assert_int_equal(s->sessions.count, 0);
	assert_told(s, REASON_TIMEOUT, "FHQ");
	agent_scene_end(s);
}

static void an_asker_without_a_handshake_is_not_kept(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	agent_scene_offer(s, WIRE_OFFER_AGENT, "web");
	agent_scene_give_leg(s, NULL, IDENTITY_AGENT, "", false);
	agent_scene_pass(s, SCENE_OPEN);
	assert_int_equal(s->sessions.count, 0);
	assert_told(s, REASON_TIMEOUT, "FHQ");
	agent_scene_end(s);
}

static void a_leg_that_never_comes_is_not_waited_for(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	agent_scene_offer(s, WIRE_OFFER_AGENT, "web");
	agent_scene_pass(s, SCENE_OPEN);
	assert_int_equal(s->cancelled, 1);
	assert_refused(s, REASON_TIMEOUT, "FOQ");
}

/* A no that was read, by an asker that then neither closes nor goes. */
static void an_asker_that_never_goes_is_not_kept(void **state)
{
	struct agent_scene *s = offered(state);
	struct wire_message m;

	far_request(s, "ssh");
	assert_true(far_hear(s, &m));
	agent_scene_run(s, 50);
	assert_int_equal(s->sessions.count, 1);
	assert_true(s->far.eof);
	agent_scene_pass(s, STREAM_FINISH_MS);
	assert_int_equal(s->sessions.count, 0);
	agent_scene_end(s);
}

/* A no that cannot leave, since the leg is full. */
static void an_asker_that_never_reads_is_not_kept(void **state)
{
	static uint8_t filler[1 << 20];
	const struct wire_message m = {.type = WIRE_REQUEST, .request.service = wire_text("ssh")};
	struct agent_scene *s = offered(state);
	uint8_t frame[STREAM_MESSAGE_MAX];
	size_t len = wire_encode(&m, frame, sizeof(frame));

	far_write(s, frame, len);
	for (int i = 0; i < 50; i++) /* what the far end does not read stays on the way */
		while (send(s->leg_fd, filler, sizeof(filler), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			;
	for (int i = 0; i < 10; i++)
		run_for(s->f, 2);
	assert_int_equal(s->refused, 1);
	assert_int_equal(s->sessions.count, 1);
	s->far.eof = true; /* and does not read from now on, either */
	agent_scene_pass(s, STREAM_FINISH_MS);
	assert_int_equal(s->sessions.count, 0);
	agent_scene_end(s);
}

/* ---- the relay's link ---- */

/* Session numbers are the link's: on a new one they mean nothing, or another agent's session. */
static void a_link_made_anew_is_not_told_of_the_old_ones_offers(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	agent_scene_offer(s, WIRE_OFFER_PUBLIC, "web");
	s->link[0].id++;
	agent_scene_connect_target(s, false);
	assert_int_equal(s->refused, 1);
	assert_int_equal(s->refuses, 0);
	agent_scene_end(s);

	s = agent_scene_begin(state);
	agent_scene_offer(s, WIRE_OFFER_PUBLIC, "web");
	agent_scene_connect_target(s, false);
	assert_refused(s, REASON_TARGET_UNREACHABLE, "LTP");
}

/* The target was connected to before the leg was there. */
static void a_target_without_a_session_is_let_go(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);
	char byte;

	agent_scene_offer(s, WIRE_OFFER_PUBLIC, "web");
	agent_scene_connect_target(s, true);
	agent_scene_fail_leg(s, REASON_PEER_GONE, "the client is gone");
	agent_scene_run(s, 10);
	assert_int_equal(s->sessions.count, 0);
	assert_told(s, REASON_PEER_GONE, "FOG");
	assert_string_equal(s->role, "public");
	assert_int_equal(recv(s->theirs, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNRESET);
	agent_scene_end(s);
}

static void a_lost_link_is_our_own_trouble(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	agent_scene_offer(s, WIRE_OFFER_AGENT, "web");
	agent_scene_fail_leg(s, REASON_LINK_GONE, "no leg");
	assert_refused(s, REASON_PEER_GONE, "FOG");
	s = agent_scene_begin(state);
	agent_scene_offer(s, WIRE_OFFER_AGENT, "web");
	agent_scene_fail_leg(s, REASON_LINK_ELSEWHERE, "this leg's link is at another relay");
	assert_refused(s, REASON_LINK_ELSEWHERE, "FOO");
}

/* What has not begun when the agent stops is told as that, and what was refused already is not told
 * again. */
static void a_stop_is_told_once(void **state)
{
	struct agent_scene *s = offered(state);
	struct wire_message m;

	agent_sessions_stop(&s->sessions, "this agent is shutting down");
	agent_scene_run(s, 20);
	assert_told(s, REASON_SHUTDOWN, "SHS");
	assert_string_equal(s->text, "this agent is shutting down");
	agent_scene_end(s);

	s = offered(state);
	far_request(s, "ssh");
	assert_true(far_hear(s, &m));
	agent_sessions_stop(&s->sessions, "this agent is shutting down");
	agent_scene_run(s, 20);
	assert_told(s, REASON_PROTOCOL, "SHB");
	agent_scene_end(s);
}

static void an_asker_that_leaves_is_told(void **state)
{
	struct agent_scene *s = offered(state);

	far_close(s, false);
	agent_scene_run(s, 20);
	assert_told(s, REASON_PEER_GONE, "FHG");
	agent_scene_end(s);
}

/* ---- public sessions ---- */

/* TLS records as an unmodified client's: a handshake record, then application data. */
static const uint8_t hello[] = {22, 3, 1, 0, 4, 'h', 'e', 'l', 'o'};
static const uint8_t data[] = {23, 3, 3, 0, 5, 'b', 'y', 't', 'e', 's'};

static struct agent_scene *opened_public(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	agent_scene_offer(s, WIRE_OFFER_PUBLIC, "web");
	assert_false(s->leg.there); /* the target first: it is what the client will see */
	agent_scene_connect_target(s, true);
	assert_int_equal(s->leg.type, WIRE_ACCEPT);
	agent_scene_give_leg(s, NULL, IDENTITY_AGENT, "", false);
	assert_int_equal(s->opened, 1);
	return s;
}

#define SEALED_ROOM 4096u

static size_t sealed(struct envelope *e, const uint8_t *bytes, size_t len, uint8_t *out)
{
	size_t n = 0;

	assert_int_equal(envelope_seal(e, bytes, len, out, SEALED_ROOM, &n), ENVELOPE_OK);
	return n;
}

static void a_public_session_outlives_what_opened_it(void **state)
{
	struct agent_scene *s = opened_public(state);
	static const uint8_t secret[ENVELOPE_SECRET_BYTES] = AGENT_SCENE_SECRET;
	struct envelope seal, open;
	uint8_t out[SEALED_ROOM], got[64];
	size_t n;

	assert_true(envelope_init(&seal, secret, ENVELOPE_ASKING));
	assert_true(envelope_init(&open, secret, ENVELOPE_PUBLISHING));
	agent_scene_pass(s, LONG_MS);
	assert_int_equal(s->closed, 0);
	write_all(s->far.fd, out, sealed(&seal, hello, sizeof(hello), out));
	agent_scene_run(s, 20);
	read_all(s->theirs, got, sizeof(hello));
	assert_memory_equal(got, hello, sizeof(hello));
	write_all(s->theirs, data, sizeof(data));
	write_all(s->theirs, "raw from now on", 15);
	agent_scene_run(s, 20);
	assert_int_equal(envelope_open(&open, s->far.got, s->far.got_len, s->far.got, &n),
			 ENVELOPE_OK);
	assert_int_equal(n, sizeof(data) + 15);
	assert_memory_equal(s->far.got, data, sizeof(data));
	assert_memory_equal(s->far.got + sizeof(data), "raw from now on", 15);
	agent_scene_pass(s, LONG_MS);
	shutdown(s->theirs, SHUT_WR);
	agent_scene_run(s, 20);
	assert_true(s->far.eof);
	shutdown(s->far.fd, SHUT_WR);
	agent_scene_run(s, 20);
	assert_int_equal(s->closed, 1);
	agent_scene_end(s);
}

/* Bytes that are in no envelope do not reach the target. */
static void what_is_in_no_envelope_ends_it(void **state)
{
	struct agent_scene *s = opened_public(state);
	struct pollfd p = {.fd = s->theirs, .events = POLLIN};
	char byte;

	write_all(s->far.fd, "GET / HTTP/1.1\r\n\r\n", 18);
	agent_scene_run(s, 20);
	assert_int_equal(s->closed, 1);
	assert_string_equal(s->text, "the envelope of the session is malformed");
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(recv(s->theirs, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNRESET);
	agent_scene_end(s);
}

/* ---- a web site's sessions ---- */

static struct agent_scene *opened_site(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	agent_scene_offer_outer(s, WIRE_OFFER_PUBLIC, "web");
	agent_scene_connect_target(s, true);
	assert_int_equal(s->leg.type, WIRE_ACCEPT);
	agent_scene_give_outer_leg(s);
	assert_int_equal(s->opened, 1);
	return s;
}

/* The bytes of the leg's own TLS are the service's, and each end is the other's. */
static void a_sites_session_is_in_the_legs_tls(void **state)
{
	struct agent_scene *s = opened_site(state);
	uint8_t got[64];

	agent_scene_pass(s, LONG_MS);
	assert_int_equal(s->closed, 0);
	far_write(s, "GET / HTTP/1.0", 14);
	agent_scene_run(s, 20);
	read_all(s->theirs, got, 14);
	assert_memory_equal(got, "GET / HTTP/1.0", 14);
	write_all(s->theirs, "200 OK", 6);
	shutdown(s->theirs, SHUT_WR);
	agent_scene_run(s, 20);
	assert_int_equal(s->far.got_len, 6);
	assert_memory_equal(s->far.got, "200 OK", 6);
	assert_true(SSL_get_shutdown(tls_ssl(s->far.inner.tls)) & SSL_RECEIVED_SHUTDOWN);
	assert_true(s->far.eof);
	assert_int_equal(s->closed, 0);
	far_write(s, "more", 4);
	tls_close_write(s->far.inner.tls);
	agent_scene_run(s, 20);
	read_all(s->theirs, got, 4);
	agent_scene_run(s, 20);
	assert_int_equal(recv(s->theirs, got, 1, MSG_DONTWAIT), 0);
	assert_int_equal(s->closed, 1);
	agent_scene_end(s);
}

/* A leg that ends without a word is no end for the target. */
static void a_sites_session_that_is_cut_is_reset(void **state)
{
	struct agent_scene *s = opened_site(state);
	char byte;

	shutdown(s->far.fd, SHUT_WR);
	agent_scene_run(s, AGENT_WORD_MS + 20);
	assert_int_equal(s->closed, 1);
	assert_int_equal(recv(s->theirs, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNRESET);
	agent_scene_end(s);
}

/* What a relay may read is what the operator says is public, and what it has said that it reads. */
static void what_a_relay_may_read_is_public(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	agent_scene_offer_outer(s, WIRE_OFFER_AGENT, "web");
	assert_refused(s, REASON_PROTOCOL, "SOB");
	s = agent_scene_begin(state);
	agent_scene_offer_outer(s, WIRE_OFFER_AGENT, WIRE_CONTROL_SERVICE);
	assert_refused(s, REASON_PROTOCOL, "SOB");
	s = agent_scene_begin(state);
	s->published.public_access = false;
	agent_scene_offer_outer(s, WIRE_OFFER_PUBLIC, "web");
	assert_refused(s, REASON_NOT_ALLOWED, "SON");

	s = agent_scene_begin(state);
	agent_scene_offer(s, WIRE_OFFER_PUBLIC, "web");
	agent_scene_connect_target(s, true);
	agent_scene_give_outer_leg(s);
	agent_scene_run(s, 20);
	assert_told(s, REASON_PROTOCOL, "FOB");
	agent_scene_end(s);

	s = agent_scene_begin(state);
	agent_scene_offer_outer(s, WIRE_OFFER_PUBLIC, "web");
	agent_scene_connect_target(s, true);
	agent_scene_give_leg(s, NULL, IDENTITY_AGENT, "", false);
	agent_scene_run(s, 20);
	assert_told(s, REASON_PROTOCOL, "FOB");
	agent_scene_end(s);
}

static void only_what_is_public_is_for_everybody(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	s->published.public_access = false;
	agent_scene_offer(s, WIRE_OFFER_PUBLIC, "web");
	assert_refused(s, REASON_NOT_ALLOWED, "SON");
	s = agent_scene_begin(state);
	agent_scene_offer(s, WIRE_OFFER_PUBLIC, WIRE_CONTROL_SERVICE);
	assert_refused(s, REASON_SERVICE_UNKNOWN, "SOY");
}

/* ---- certificates that are renewed ---- */

/* A PROVE of this certificate for the session that runs, as its own key signs it. */
struct proof {
	struct identity *identity;
	uint8_t signature[WIRE_SIGNATURE_MAX];
	struct wire_message m;
};

static void proof_make(struct agent_scene *s, struct proof *p, enum identity_statement what,
		       const char *name, long from, long to)
{
	uint8_t exported[TLS_EXPORT_BYTES];

	*p = (struct proof){.m = {.type = WIRE_PROVE, .prove.session = 77}};
	p->identity =
		certs_identity(&agent_scene_ca, &agent_scene_ca, IDENTITY_AGENT, name, from, to);
	p->m.prove.signature.data = p->signature;
	identity_certificate_der(p->identity, &p->m.prove.certificate.data,
				 &p->m.prove.certificate.len);
	assert_true(tls_export(s->far.inner.tls, TLS_EXPORT_PROVE, exported));
	assert_true(identity_sign(p->identity, what, exported, p->signature, sizeof(p->signature),
				  &p->m.prove.signature.len));
}

/* Until when the asker's certificate counts here. */
static time_t asker_until(const struct agent_scene *s)
{
	return proved_proof(&s->sessions.first->proof).newest->peer.not_after;
}

static struct agent_scene *running(void **state)
{
	struct agent_scene *s = offered(state);
	struct wire_message m;

	far_request(s, "web");
	agent_scene_connect_target(s, true);
	assert_true(far_hear(s, &m));
	assert_int_equal(s->opened, 1);
	return s;
}

/* However often a relay says something, they are asked about a few times a second. */
static void sessions_are_judged_so_often(void **state)
{
	struct agent_scene *s = running(state);
	uint64_t judged_ms;

	agent_sessions_judge_soon(&s->sessions);
	judged_ms = s->sessions.judged_ms;
	assert_int_not_equal(judged_ms, 0);
	agent_scene_run(s, 50);
	for (unsigned i = 0; i < 100; i++)
		agent_sessions_judge_soon(&s->sessions);
	assert_int_equal(s->sessions.judged_ms, judged_ms);
	agent_scene_run(s, 2 * AGENT_JUDGE_MS);
	assert_in_range(s->sessions.judged_ms - judged_ms, AGENT_JUDGE_MS, 2 * AGENT_JUDGE_MS);
	far_close(s, true);
	agent_scene_end(s);
}

static void a_newer_certificate_prolongs_a_session(void **state)
{
	struct agent_scene *s = running(state);
	time_t before = asker_until(s);
	struct proof good, other_name, other_words, older;

	proof_make(s, &good, IDENTITY_PROVE, "office", -10, 9 * DAY);
	proof_make(s, &other_name, IDENTITY_PROVE, "garage", -10, 9 * DAY);
	proof_make(s, &other_words, IDENTITY_HELLO, "office", -10, 9 * DAY);
	proof_make(s, &older, IDENTITY_PROVE, "office", -9 * DAY, 9 * DAY);
	prove_heard(&s->sessions, &s->link[0], &other_name.m);
	prove_heard(&s->sessions, &s->link[0], &other_words.m);
	prove_heard(&s->sessions, &s->link[0], &older.m);
	prove_heard(&s->sessions, &s->link[1], &good.m); /* the session is not by this relay */
	good.m.prove.session = 78;
	prove_heard(&s->sessions, &s->link[0], &good.m);
	s->sessions.first->proving = (struct proving){0};
	good.m.prove.session = 77;
	good.signature[good.m.prove.signature.len - 1] ^= 1;
	prove_heard(&s->sessions, &s->link[0], &good.m);
	good.signature[good.m.prove.signature.len - 1] ^= 1;
	assert_int_equal(asker_until(s), before);
	prove_heard(&s->sessions, &s->link[0], &good.m);
	assert_int_equal(asker_until(s), identity_not_after(good.identity));
	assert_int_equal(s->closed, 0);
	identity_free(good.identity);
	identity_free(other_name.identity);
	identity_free(other_words.identity);
	identity_free(older.identity);
	far_close(s, true);
	agent_scene_end(s);
}

/* What costs a look at a certificate is counted. */
static void proofs_of_a_relay_are_looked_at_so_often(void **state)
{
	struct agent_scene *s = running(state);
	struct proving *session = &s->sessions.first->proving;
	time_t before = asker_until(s);
	struct proving bucket = {0};
	struct proof good, bad;

	proof_make(s, &good, IDENTITY_PROVE, "office", -10, 9 * DAY);
	proof_make(s, &bad, IDENTITY_PROVE, "garage", -10, 9 * DAY);
	for (unsigned i = 0; i < PROVING_AGAIN; i++)
		prove_heard(&s->sessions, &s->link[0], &bad.m);
	prove_heard(&s->sessions, &s->link[0], &good.m);
	assert_int_equal(asker_until(s), before);
	for (unsigned i = PROVING_AGAIN; i < PROVING_ONCE * PROVING_NAMES; i++) {
		*session = (struct proving){0};
		prove_heard(&s->sessions, &s->link[0], &bad.m);
	}
	*session = (struct proving){0};
	prove_heard(&s->sessions, &s->link[0], &good.m);
	assert_int_equal(asker_until(s), before);
	*session = (struct proving){0};
	s->link[0].proving = (struct proving){0};
	prove_heard(&s->sessions, &s->link[0], &good.m);
	assert_int_equal(asker_until(s), identity_not_after(good.identity));
	for (unsigned i = 0; i < PROVING_ONCE; i++)
		assert_true(proving_may(&bucket, PROVING_OF_NAME, 5000));
	assert_false(proving_may(&bucket, PROVING_OF_NAME, 5000));
	for (unsigned i = 0; i < PROVING_SECOND; i++)
		assert_true(proving_may(&bucket, PROVING_OF_NAME, 6000));
	assert_false(proving_may(&bucket, PROVING_OF_NAME, 6000));
	*session = (struct proving){0};
	for (unsigned i = 0; i < PROVING_AGAIN; i++)
		assert_true(proving_may(session, PROVING_OF_SESSION, 5000));
	assert_false(proving_may(session, PROVING_OF_SESSION, 4999 + 1000 * PROVING_EACH_S));
	assert_true(proving_may(session, PROVING_OF_SESSION, 5000 + 1000 * PROVING_EACH_S));
	identity_free(good.identity);
	identity_free(bad.identity);
	far_close(s, true);
	agent_scene_end(s);
}

/* Ours is renewed: for the session that runs it is proved, and again, since no answer comes. */
static void our_own_newer_certificate_is_proved(void **state)
{
	struct agent_scene *s = running(state);
	struct identity *before = s->setup.self.identity;
	uint8_t exported[TLS_EXPORT_BYTES];
	struct identity_peer peer;
	const uint8_t *der;
	size_t len;

	s->setup.self.identity = certs_identity(&agent_scene_ca, &agent_scene_ca, IDENTITY_AGENT,
						"home", -10, 9 * DAY);
	prove_renewed(&s->sessions);
	agent_scene_pass(s, 2000);
	assert_int_equal(s->proofs, 1);
	assert_int_equal(s->proved_session, 77);
	identity_certificate_der(s->setup.self.identity, &der, &len);
	assert_true(tls_export(s->far.inner.tls, TLS_EXPORT_PROVE, exported));
	assert_int_equal(identity_verify(s->far.identity, IDENTITY_PROVE, der, len, s->proof,
					 s->proof_len, exported, time(NULL), &peer),
			 REASON_OK);
	assert_string_equal(peer.name, "home");
	agent_scene_pass(s, 10000);
	assert_int_equal(s->proofs, 1);
	agent_scene_pass(s, 2 * PROVE_AGAIN_MS);
	assert_int_equal(s->proofs, 2);
	/* What the peer was shown has ended: it counts there by now, or the session is over. */
	s->sessions.first->shown.until = time(NULL);
	agent_scene_pass(s, 4 * PROVE_AGAIN_MS);
	assert_int_equal(s->proofs, 2);
	identity_free(before);
	far_close(s, true);
	agent_scene_end(s);
}

/* ---- why a session was reset ---- */

/* The relay of this link has ended session 77, for this cause. */
static void relay_ends(struct agent_scene *s, unsigned link, const char *cause)
{
	const struct wire_message m = {
		.type = WIRE_ENDED,
		.ended = {.session = 77, .cause = wire_text(cause), .text = wire_text("it is so")}};

	agent_session_told(&s->sessions, &s->link[link], &m);
}

static void assert_closed(const struct agent_scene *s, const char *code, const char *why)
{
	assert_int_equal(s->closed, 1);
	assert_string_equal(s->ending, code);
	if (why)
		assert_string_equal(s->text, why);
}

/* The relay's word comes by the link, the reset by the leg; either may be the first. */
static void a_relay_says_why_it_ends_a_session(void **state)
{
	struct agent_scene *s = running(state);

	relay_ends(s, 0, "V");
	agent_scene_run(s, 20);
	assert_closed(s, "FDV", "it is so");
	assert_true(s->far.reset || s->far.eof);
	agent_scene_end(s);

	s = running(state);
	far_close(s, true);
	agent_scene_run(s, 100);
	assert_int_equal(s->closed, 0);
	relay_ends(s, 1, "V"); /* another relay */
	relay_ends(s, 0, "?"); /* of a later version */
	assert_int_equal(s->closed, 0);
	relay_ends(s, 0, "W");
	assert_closed(s, "FDW", "it is so");
	relay_ends(s, 0, "W");
	agent_scene_end(s);
}

/* Nothing is said, and a reset is a reset. */
static void a_reset_without_a_word_is_one(void **state)
{
	struct agent_scene *s = running(state);

	far_close(s, true);
	agent_scene_run(s, AGENT_WORD_MS - 50);
	assert_int_equal(s->closed, 0);
	agent_scene_run(s, 100);
	assert_closed(s, "FDR", NULL);
	agent_scene_end(s);

	s = running(state); /* this agent stops: waits for nothing */
	far_close(s, true);
	agent_scene_run(s, 20);
	agent_sessions_stop(&s->sessions, "this agent is shutting down");
	assert_closed(s, "FDR", NULL);
	agent_scene_end(s);

	s = running(state); /* what ends here needs no word */
	shutdown(s->theirs, SHUT_WR);
	agent_scene_run(s, 20);
	tls_close_write(s->far.inner.tls);
	agent_scene_run(s, 20);
	assert_closed(s, "---", NULL);
	agent_scene_end(s);
}

/* The link is told that this agent may go on no more: so were its sessions. Or the question that
 * the far end has asked is asked here a moment later. */
static void a_reset_is_explained_by_what_comes_with_it(void **state)
{
	struct agent_scene *s = running(state);

	far_close(s, true);
	agent_scene_run(s, 20);
	agent_sessions_cut_off(&s->sessions, &s->link[1], REASON_REVOKED, "revoked");
	agent_sessions_cut_off(&s->sessions, &s->link[0], REASON_LINK_GONE, "end of file");
	assert_int_equal(s->closed, 0);
	agent_sessions_cut_off(&s->sessions, &s->link[0], REASON_REVOKED, "revoked");
	assert_closed(s, "FDV", "revoked");
	agent_scene_end(s);

	s = running(state); /* that came first */
	s->sent_away = REASON_CERT_EXPIRED;
	far_close(s, true);
	agent_scene_run(s, 20);
	assert_closed(s, "FDF", "sent away");
	agent_scene_end(s);

	s = running(state);
	far_close(s, true);
	agent_scene_run(s, 20);
	agent_scene_revoke(s, 0, "office");
	agent_sessions_judge(&s->sessions);
	assert_closed(s, "FDV", "the other agent's identity has been revoked");
	agent_scene_end(s);
}

static void assert_local_is_reset(const struct agent_scene *s)
{
	char byte;

	assert_int_equal(recv(s->theirs, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNRESET);
}

/* A session that this side ends, with a link to say it on or without. */
static struct agent_scene *revoked_while_running(void **state, bool hears)
{
	struct agent_scene *s = running(state);

	s->hears_ends = hears;
	agent_scene_revoke(s, 0, "office");
	agent_sessions_judge(&s->sessions);
	agent_scene_run(s, 20);
	assert_local_is_reset(s);
	return s;
}

/* The relay hears the word first: the reset of the leg is its own, or comes half a second later.
 * What the far end says meanwhile arrives nowhere, and the end of its direction is no reset. */
static void what_ends_here_is_told_before_the_reset(void **state)
{
	struct agent_scene *s;

	for (unsigned half = 0; half < 2; half++) {
		s = revoked_while_running(state, true);
		assert_int_equal(s->ends, 1);
		assert_int_equal(s->ends_session, 77);
		assert_int_equal(s->ends_cause, ENDING_REVOKED);
		agent_sessions_judge(&s->sessions);
		relay_ends(s, 0, "K");
		far_write(s, "more", 4);
		if (half)
			shutdown(s->far.fd, SHUT_WR);
		agent_scene_run(s, STREAM_WORD_MS - 100);
		assert_int_equal(s->closed, 0);
		assert_false(s->far.reset || s->far.eof);
		agent_scene_run(s, 150);
		assert_closed(s, "SDV", "the other agent's identity has been revoked");
		assert_true(s->far.reset);
		assert_int_equal(s->ends, 1);
		agent_scene_end(s);
	}
	s = revoked_while_running(state, true);
	far_close(s, true); /* the relay has heard it */
	agent_scene_run(s, 20);
	assert_closed(s, "SDV", NULL);
	agent_scene_end(s);
}

/* There is no link, or nothing that the relay could tell anybody: the reset is all. */
static void what_cannot_be_told_is_a_reset(void **state)
{
	struct agent_scene *s = revoked_while_running(state, false);

	assert_closed(s, "SDV", NULL);
	assert_true(s->far.reset);
	agent_scene_end(s);

	s = running(state);
	s->hears_ends = true;
	agent_sessions_stop(&s->sessions, "this agent is shutting down");
	agent_scene_run(s, 20);
	assert_closed(s, "SDS", NULL);
	assert_true(s->far.reset);
	assert_int_equal(s->ends, 0);
	agent_scene_end(s);

	s = running(state); /* what was done there needs no word */
	s->hears_ends = true;
	relay_ends(s, 0, "V");
	agent_scene_run(s, 20);
	assert_closed(s, "FDV", NULL);
	assert_int_equal(s->ends, 0);
	agent_scene_end(s);
}

/* ---- what one relay may take ---- */

static void offer_by(struct agent_scene *s, unsigned link, enum wire_offer_kind kind,
		     const char *service)
{
	const struct wire_message m = agent_scene_offer_of(kind, service);

	s->leg.there = false;
	publish_offer(&s->sessions, &s->link[link], &m);
}

/* All but the last call for a leg are out of the scene's sight: the offers that wait for them end.
 */
static void offers_end(struct agent_scene *s)
{
	while (s->sessions.first) {
		s->leg.there = true;
		s->sessions.first->stop(s->sessions.first, REASON_SHUTDOWN, "the test ends");
	}
	assert_null(s->sessions.shares);
	s->leg.there = false;
	agent_scene_end(s);
}

/* A relay that invents offers has its part of the places; the other relay's stay free. */
static void offers_of_a_relay_are_a_share(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	s->config.max_sessions = 8;
	for (unsigned i = 0; i < 4; i++)
		offer_by(s, 0, WIRE_OFFER_AGENT, "web");
	assert_int_equal(s->refuses, 0);
	for (unsigned i = 0; i < 4; i++)
		offer_by(s, 0, WIRE_OFFER_AGENT, "web");
	assert_int_equal(s->refuses, 4);
	assert_int_equal(s->refuse_reason, REASON_LIMIT_SESSIONS);
	assert_non_null(strstr(s->refuse_text, "this relay has its part"));
	for (unsigned i = 0; i < 4; i++)
		offer_by(s, 1, WIRE_OFFER_AGENT, "web");
	assert_int_equal(s->refuses, 4);
	offers_end(s);
}

/* Consoles' places likewise: a relay cannot keep an operator away that comes by another. */
static void offers_of_consoles_are_a_share(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	for (unsigned i = 0; i < AGENT_CONSOLE_SESSIONS_MAX; i++)
		offer_by(s, 0, WIRE_OFFER_AGENT, WIRE_CONTROL_SERVICE);
	assert_int_equal(s->refuses, AGENT_CONSOLE_SESSIONS_MAX / 2);
	offer_by(s, 1, WIRE_OFFER_AGENT, WIRE_CONTROL_SERVICE);
	assert_int_equal(s->refuses, AGENT_CONSOLE_SESSIONS_MAX / 2);
	offers_end(s);
}

/* However many sessions there may be, few of them wait for a handshake. */
static void offers_before_a_handshake_are_few(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	s->config.max_sessions = 100000;
	for (unsigned i = 0; i < AGENT_OFFERS_MAX + 10; i++)
		offer_by(s, 0, WIRE_OFFER_AGENT, "web");
	assert_int_equal(s->refuses, 10);
	assert_int_equal(s->refuse_reason, REASON_LIMIT_SESSIONS);
	assert_non_null(strstr(s->refuse_text, "prove itself"));
	offers_end(s);
}

/* A session whose agent has proved itself is counted against its relay no more. */
static void who_has_proved_itself_is_no_invention(void **state)
{
	struct agent_scene *s = offered(state);
	struct wire_message m;

	s->config.max_sessions = 2; /* one for each of the two relays */
	assert_non_null(s->sessions.shares);
	far_request(s, "web");
	agent_scene_connect_target(s, true);
	assert_true(far_hear(s, &m));
	assert_int_equal(m.result.reason, REASON_OK);
	assert_null(s->sessions.shares);
	offer_by(s, 0, WIRE_OFFER_AGENT, "web");
	assert_int_equal(s->refuses, 0);
	far_close(s, true);
	agent_scene_run(s, 20);
	offers_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(offers_of_a_relay_are_a_share),
		RING_TEST(offers_of_consoles_are_a_share),
		RING_TEST(offers_before_a_handshake_are_few),
		RING_TEST(who_has_proved_itself_is_no_invention),
		RING_TEST(an_agent_gets_what_is_published),
		RING_TEST(the_proxy_header_names_the_asker),
		RING_TEST(a_console_may_not_use_services),
		RING_TEST(only_named_agents_may),
		RING_TEST(the_revoked_may_not),
		RING_TEST(an_agent_of_another_ca_gets_no_session),
		RING_TEST(what_was_offered_is_what_may_be_asked_for),
		RING_TEST(what_is_published_when_it_is_asked_for_counts),
		RING_TEST(another_message_is_no_request),
		RING_TEST(an_asker_that_does_not_read_the_no_is_let_go),
		RING_TEST(bytes_that_come_with_the_end_keep_no_buffer),
		RING_TEST(sessions_are_judged_so_often),
		RING_TEST(consoles_reach_the_agent_itself_and_agents_do_not),
		RING_TEST(a_transient_agent_publishes_nothing),
		RING_TEST(consoles_have_a_limit_of_their_own),
		RING_TEST(an_agent_without_consoles_says_so_at_once),
		RING_TEST(an_asker_without_a_request_is_not_kept),
		RING_TEST(an_asker_without_a_handshake_is_not_kept),
		RING_TEST(a_leg_that_never_comes_is_not_waited_for),
		RING_TEST(an_asker_that_never_goes_is_not_kept),
		RING_TEST(an_asker_that_never_reads_is_not_kept),
		RING_TEST(a_link_made_anew_is_not_told_of_the_old_ones_offers),
		RING_TEST(a_target_without_a_session_is_let_go),
		RING_TEST(a_lost_link_is_our_own_trouble),
		RING_TEST(a_stop_is_told_once),
		RING_TEST(an_asker_that_leaves_is_told),
		RING_TEST(a_public_session_outlives_what_opened_it),
		RING_TEST(what_is_in_no_envelope_ends_it),
		RING_TEST(only_what_is_public_is_for_everybody),
		RING_TEST(a_sites_session_is_in_the_legs_tls),
		RING_TEST(a_sites_session_that_is_cut_is_reset),
		RING_TEST(what_a_relay_may_read_is_public),
		RING_TEST(a_newer_certificate_prolongs_a_session),
		RING_TEST(proofs_of_a_relay_are_looked_at_so_often),
		RING_TEST(our_own_newer_certificate_is_proved),
		RING_TEST(a_relay_says_why_it_ends_a_session),
		RING_TEST(a_reset_without_a_word_is_one),
		RING_TEST(a_reset_is_explained_by_what_comes_with_it),
		RING_TEST(what_ends_here_is_told_before_the_reset),
		RING_TEST(what_cannot_be_told_is_a_reset),
	};

	return cmocka_run_group_tests(tests, agent_scene_make_ca, agent_scene_free_ca);
}
