/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_request_test: the asking side, against relays that cannot help and far ends that are not
 * who they are asked to be, say the wrong thing, or say nothing.
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
#include "tests/support/agent_scene.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Up to the inner session's handshake. */
static struct agent_scene *asked(void **state, const struct certs_ca *ca, enum identity_role role,
				 const char *name)
{
	struct agent_scene *s = agent_scene_begin(state);

	agent_scene_ask(s, "office", "web");
	assert_string_equal(s->leg.to, "office");
	agent_scene_give_leg(s, ca, role, name, true);
	far_shake(s);
	return s;
}

/* Up to REQUEST, from an agent that is who it should be. */
static struct agent_scene *requested(void **state)
{
	struct agent_scene *s = asked(state, &agent_scene_ca, IDENTITY_AGENT, "office");
	struct wire_message m;

	assert_true(far_hear(s, &m));
	assert_int_equal(m.type, WIRE_REQUEST);
	assert_true(wire_bytes_equal(m.request.service, wire_text("web")));
	assert_true(wire_bytes_equal(m.request.source, wire_text("127.0.0.1:40000")));
	assert_int_equal(m.request.candidates.count, 1);
	return s;
}

static void assert_failed(struct agent_scene *s, enum reason reason, const char *text)
{
	char byte;

	assert_int_equal(s->refused, 1);
	assert_string_equal(reason_name(s->reason), reason_name(reason));
	assert_string_equal(s->text, text);
	assert_int_equal(s->opened, 0);
	agent_scene_pass(s, STREAM_FINISH_MS);
	assert_int_equal(s->ended, 1);
	assert_int_equal(s->end_reason, reason);
	/* Nothing came out of it at the local side but a reset. */
	assert_int_equal(recv(s->theirs, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNRESET);
	agent_scene_end(s);
}

/* ---- who answers ---- */

static void the_agent_that_was_asked_for_is_heard(void **state)
{
	struct agent_scene *s = requested(state);
	char text[8];

	far_result(s, REASON_OK, "");
	assert_int_equal(s->opened, 1);
	/* Longer than every deadline of opening. */
	agent_scene_pass(s, 10 * SCENE_OPEN);
	assert_int_equal(s->closed, 0);
	write_all(s->theirs, "hello", 5);
	agent_scene_run(s, 20);
	assert_int_equal(s->far.got_len, 5);
	assert_memory_equal(s->far.got, "hello", 5);
	far_write(s, "back", 4);
	agent_scene_run(s, 20);
	read_all(s->theirs, text, 4);
	assert_memory_equal(text, "back", 4);
	/* Each direction ends by itself. */
	shutdown(s->theirs, SHUT_WR);
	agent_scene_run(s, 20);
	assert_true(s->far.eof);
	assert_int_equal(s->ended, 0);
	tls_close_write(s->far.inner.tls);
	agent_scene_run(s, 20);
	assert_int_equal(s->ended, 1);
	assert_int_equal(s->end_reason, REASON_OK);
	assert_int_equal(recv(s->theirs, text, 1, 0), 0);
	assert_int_equal(s->sessions.totals.up_bytes, 5);
	assert_int_equal(s->sessions.totals.down_bytes, 4);
	agent_scene_end(s);
}

/* The relay may lead wherever it likes: the certificate says who answers. */
static void another_agent_is_not_the_one(void **state)
{
	struct agent_scene *s = asked(state, &agent_scene_ca, IDENTITY_AGENT, "offices");
	struct wire_message m;

	assert_false(far_hear(s, &m)); /* it is not told what is wanted */
	assert_failed(s, REASON_PEER_IDENTITY, "it is \"offices\"");
}

static void a_console_of_that_name_is_no_agent(void **state)
{
	struct agent_scene *s = asked(state, &agent_scene_ca, IDENTITY_CONSOLE, "office");
	struct wire_message m;

	assert_false(far_hear(s, &m));
	assert_failed(s, REASON_PEER_IDENTITY, "it is \"office\"");
}

static void an_agent_of_another_ca_is_nobody(void **state)
{
	struct agent_scene *s = asked(state, &agent_scene_other_ca, IDENTITY_AGENT, "office");
	struct wire_message m;

	assert_false(far_hear(s, &m));
	assert_failed(s, REASON_PEER_GONE, "inner TLS: the peer's certificate was refused");
}

/* ---- what it says ---- */

static void a_refusal_is_passed_on(void **state)
{
	struct agent_scene *s = requested(state);

	far_result(s, REASON_TARGET_UNREACHABLE, "connection to 127.0.0.1:80: refused");
	assert_failed(s, REASON_TARGET_UNREACHABLE, "connection to 127.0.0.1:80: refused");
}

static void another_message_is_no_result(void **state)
{
	struct agent_scene *s = requested(state);

	far_request(s, "web");
	assert_failed(s, REASON_PROTOCOL, reason_sentence(REASON_PROTOCOL));
}

/* The largest that may be is read; one byte more is not even waited for. */
static void a_message_has_a_bound(void **state)
{
	static char text[WIRE_TEXT_MAX + 1], address[WIRE_ADDRESS_MAX + 1];
	const uint8_t too_long[4] = {WIRE_VERSION, WIRE_RESULT,
				     (STREAM_MESSAGE_MAX - WIRE_HEADER_BYTES + 1) >> 8,
				     (STREAM_MESSAGE_MAX - WIRE_HEADER_BYTES + 1) & 0xff};
	static const uint8_t filler[16384];
	struct wire_message m = {.type = WIRE_RESULT, .result.reason = REASON_NOT_ALLOWED};
	struct agent_scene *s = requested(state);

	memset(text, 't', WIRE_TEXT_MAX);
	m.result.text = wire_text(text);
	memset(address, '9', WIRE_ADDRESS_MAX);
	memcpy(address, "tcp:", 4);
	m.result.candidates.count = WIRE_CANDIDATES_MAX;
	for (size_t i = 0; i < WIRE_CANDIDATES_MAX; i++)
		m.result.candidates.items[i] = wire_text(address);
	far_say(s, &m);
	assert_failed(s, REASON_NOT_ALLOWED, text);

	s = requested(state);
	far_write(s, too_long, sizeof(too_long));
	for (int i = 0; i < 3; i++)
		far_write(s, filler, sizeof(filler));
	agent_scene_run(s, 20);
	assert_failed(s, REASON_PEER_GONE, "the far end sent a malformed message");
}

static void silence_ends_in_time(void **state)
{
	struct agent_scene *s = requested(state);

	agent_scene_pass(s, SCENE_OPEN - 3000);
	assert_int_equal(s->refused, 0);
	agent_scene_pass(s, SCENE_OPEN);
	assert_failed(
		s, REASON_TIMEOUT,
		"office has not answered by relay relay-0:443 in time; check that it is alive");
}

/* What follows RESULT is the service's, and not lost. */
static void bytes_right_behind_the_result_are_the_services(void **state)
{
	const struct wire_message ok = {.type = WIRE_RESULT, .result.text = wire_text("")};
	struct agent_scene *s = requested(state);
	uint8_t frame[STREAM_MESSAGE_MAX + 16];
	size_t len = wire_encode(&ok, frame, STREAM_MESSAGE_MAX);
	char text[8];

	memcpy(frame + len, "first", 5);
	far_write(s, frame, len + 5);
	agent_scene_run(s, 20);
	assert_int_equal(s->opened, 1);
	read_all(s->theirs, text, 5);
	assert_memory_equal(text, "first", 5);
	far_close(s, true);
	agent_scene_run(s, AGENT_WORD_MS + 20);
	assert_int_equal(s->ended, 1);
	assert_int_equal(s->end_reason, REASON_PEER_GONE);
	agent_scene_end(s);
}

/* A wire that ends without close_notify is no end of the service's bytes. */
static void a_session_that_is_cut_is_reset(void **state)
{
	struct agent_scene *s = requested(state);
	char half[4], byte;

	far_result(s, REASON_OK, "");
	far_write(s, "half", 4);
	agent_scene_run(s, 20);
	read_all(s->theirs, half, 4);
	far_close(s, false);
	agent_scene_run(s, AGENT_WORD_MS + 20);
	assert_string_equal(s->text, "the session was cut");
	assert_int_equal(s->end_reason, REASON_PEER_GONE);
	assert_int_equal(recv(s->theirs, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNRESET);
	agent_scene_end(s);
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i ^ (i >> 8) ^ (i >> 16));
}

/* The peer's bytes so far are those of the pattern, from *at on. */
static void far_checks(struct agent_scene *s, size_t *at)
{
	for (size_t i = 0; i < s->far.got_len; i++)
		if (s->far.got[i] != pattern((*at)++))
			fail_msg("byte %zu is wrong on the way up", *at - 1);
	s->far.got_len = 0;
}

static void we_check(struct agent_scene *s, size_t *at)
{
	static uint8_t bytes[1 << 16];
	ssize_t n;

	while ((n = recv(s->theirs, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		for (ssize_t i = 0; i < n; i++)
			if (bytes[i] != pattern((*at)++))
				fail_msg("byte %zu is wrong on the way down", *at - 1);
}

/* Pooled receives, large blocks, blocks with sends that come short: every way that bytes take. */
static void much_goes_both_ways_whole_and_in_order(void **state)
{
	enum { ALL = 3 << 20 };
	static const size_t bursts[] = {60000, 1, 16384, 16385, 40000, 5000};
	struct agent_scene *s = requested(state);
	static uint8_t bytes[60000];
	size_t up = 0, down = 0, up_checked = 0, down_checked = 0;

	far_result(s, REASON_OK, "");
	for (unsigned turn = 0; up < ALL || down < ALL; turn++) {
		size_t burst = bursts[turn / 20 % 6];
		ssize_t n;

		for (size_t i = 0; i < burst; i++)
			bytes[i] = pattern(up + i);
		n = send(s->theirs, bytes, burst, MSG_DONTWAIT);
		up += n > 0 ? (size_t)n : 0;
		if (down - down_checked < 200000) {
			for (size_t i = 0; i < burst; i++)
				bytes[i] = pattern(down + i);
			far_write(s, bytes, burst);
			down += burst;
		}
		agent_scene_run(s, 0);
		far_checks(s, &up_checked);
		if (turn % 3 == 0) /* so that sends come short now and then */
			we_check(s, &down_checked);
	}
	assert_true(s->worker.large.made > 0);
	for (int i = 0; i < 500 && (up_checked < up || down_checked < down); i++) {
		agent_scene_run(s, 2);
		far_checks(s, &up_checked);
		we_check(s, &down_checked);
	}
	assert_int_equal(up_checked, up);
	assert_int_equal(down_checked, down);
	/* At rest it holds no block. */
	agent_scene_run(s, 20);
	assert_int_equal(s->worker.large.free_count, s->worker.large.made);
	assert_int_equal(s->worker.small.free_count, s->worker.small.made);
	shutdown(s->theirs, SHUT_WR);
	tls_close_write(s->far.inner.tls);
	agent_scene_run(s, 50);
	assert_int_equal(s->ended, 1);
	assert_int_equal(s->end_reason, REASON_OK);
	assert_int_equal(s->sessions.totals.up_bytes, up);
	assert_int_equal(s->sessions.totals.down_bytes, down);
	agent_scene_end(s);
}

/* Bytes that arrive while it is being ended come in buffers of the ring, which go back. */
static void a_session_that_ends_as_bytes_arrive_keeps_nothing(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		struct agent_scene *s = requested(state);

		far_result(s, REASON_OK, "");
		agent_scene_run(s, 10);
		if (i & 1)
			far_write(s, "late", 4);
		if (i & 2)
			write_all(s->theirs, "late", 4);
		agent_sessions_stop(&s->sessions, "it is enough");
		agent_scene_run(s, 10);
		assert_int_equal(s->ended, 1);
		agent_scene_end(s);
	}
}

/* ---- relays ---- */

static void another_relay_is_asked_where_one_cannot_help(void **state)
{
	static const enum reason trouble[] = {
		REASON_AGENT_OFFLINE,  REASON_DRAINING,	    REASON_LINK_GONE,
		REASON_PEER_GONE,      REASON_TIMEOUT,	    REASON_PROOF,
		REASON_PROTOCOL,       REASON_EXTENSION,    REASON_SHUTDOWN,
		REASON_LIMIT_LEGS,     REASON_LIMIT_MEMORY, REASON_LIMIT_SESSIONS,
		REASON_LINK_ELSEWHERE,
	};
	static const enum reason final[] = {REASON_NOT_ALLOWED, REASON_SERVICE_UNKNOWN,
					    REASON_REVOKED, REASON_CERT_EXPIRED};

	for (size_t i = 0; i < sizeof(trouble) / sizeof(trouble[0]); i++) {
		struct agent_scene *s = agent_scene_begin(state);

		agent_scene_ask(s, "office", "web");
		agent_scene_fail_leg(s, trouble[i], "not here");
		assert_true(s->leg.there);
		assert_int_equal(s->refused, 0);
		agent_scene_fail_leg(s, REASON_NOT_ALLOWED, "nor here");
		assert_failed(s, REASON_NOT_ALLOWED, "nor here");
	}
	for (size_t i = 0; i < sizeof(final) / sizeof(final[0]); i++) {
		struct agent_scene *s = agent_scene_begin(state);

		agent_scene_ask(s, "office", "web");
		agent_scene_fail_leg(s, final[i], "no");
		assert_false(s->leg.there);
		assert_failed(s, final[i], "no");
	}
}

static void a_relay_that_is_silent_is_asked_and_left(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	agent_scene_ask(s, "office", "web");
	agent_scene_pass(s, REQUEST_PATIENCE_MS - 100);
	assert_int_equal(s->asked, 0);
	agent_scene_pass(s, REQUEST_PATIENCE_MS);
	assert_int_not_equal(s->asked, 0);
	assert_int_equal(s->renewed, s->asked);
	assert_ptr_equal(s->asked_last, &s->link[0]);
	/* Of another link it is no news. */
	agent_sessions_silent(&s->sessions, &s->link[1]);
	assert_int_equal(s->cancelled, 0);
	agent_sessions_silent(&s->sessions, &s->link[0]);
	assert_int_equal(s->cancelled, 1);
	assert_true(s->leg.there);
	/* The next one has as long, and is asked as often as it takes. */
	s->asked = 0;
	agent_scene_pass(s, REQUEST_PATIENCE_MS - 100);
	assert_int_equal(s->asked, 0);
	for (unsigned before, i = 0; i < 3; i++) {
		before = s->asked;
		agent_scene_pass(s, REQUEST_PATIENCE_MS);
		assert_int_not_equal(s->asked, before);
	}
	assert_ptr_equal(s->asked_last, &s->link[1]);
	agent_scene_fail_leg(s, REASON_NOT_ALLOWED, "not you");
	assert_failed(s, REASON_NOT_ALLOWED, "not you");

	/* Where there is no other the request waits for the link to be of use again. */
	s = agent_scene_begin(state);
	agent_scene_ask(s, "office", "web");
	s->links.count = 0;
	agent_sessions_silent(&s->sessions, &s->link[0]);
	assert_int_equal(s->cancelled, 1);
	assert_int_equal(s->refused, 0);
	agent_scene_pass(s, 2 * REQUEST_PATIENCE_MS);
	assert_int_equal(s->asked, 0);
	s->links.count = 1;
	agent_sessions_wake(&s->sessions);
	assert_true(s->leg.there);
	agent_scene_fail_leg(s, REASON_SERVICE_UNKNOWN, "");
	assert_failed(s, REASON_SERVICE_UNKNOWN, reason_sentence(REASON_SERVICE_UNKNOWN));
}

static void a_deadline_says_who_has_not_answered(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	agent_scene_ask(s, "office", "web");
	agent_scene_pass(s, SCENE_OPEN);
	assert_failed(
		s, REASON_TIMEOUT,
		"office has not answered by relay relay-0:443 in time; check that it is alive");

	s = agent_scene_begin(state);
	s->config.open_ms = REQUEST_PATIENCE_MS / 2;
	agent_scene_ask(s, "office", "web");
	agent_scene_pass(s, REQUEST_PATIENCE_MS);
	assert_failed(s, REASON_TIMEOUT,
		      "neither relay relay-0:443 nor office has answered in time");
}

static void a_link_is_waited_for(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	s->links.count = 0;
	agent_scene_ask(s, "office", "web");
	assert_false(s->leg.there);
	agent_scene_pass(s, SCENE_OPEN / 2);
	assert_int_equal(s->refused, 0);
	s->links.count = 1;
	agent_sessions_wake(&s->sessions);
	assert_true(s->leg.there);
	agent_scene_fail_leg(s, REASON_SERVICE_UNKNOWN, "");
	assert_failed(s, REASON_SERVICE_UNKNOWN, reason_sentence(REASON_SERVICE_UNKNOWN));

	/* It was asked before it was lost. */
	s = agent_scene_begin(state);
	agent_scene_ask(s, "office", "web");
	s->links.count = 0;
	agent_scene_fail_leg(s, REASON_LINK_GONE, "it is gone");
	assert_int_equal(s->refused, 0);
	s->links.count = 1;
	agent_sessions_wake(&s->sessions);
	assert_true(s->leg.there);
	agent_scene_fail_leg(s, REASON_SERVICE_UNKNOWN, "");
	assert_failed(s, REASON_SERVICE_UNKNOWN, reason_sentence(REASON_SERVICE_UNKNOWN));

	s = agent_scene_begin(state);
	s->links.count = 0;
	agent_scene_ask(s, "office", "web");
	agent_scene_pass(s, SCENE_OPEN);
	assert_failed(s, REASON_LINK_GONE, "no link");
}

/* ---- limits, revocation ---- */

static void sessions_have_a_limit(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	s->config.max_sessions = 0;
	agent_scene_ask(s, "office", "web");
	assert_false(s->leg.there);
	assert_string_equal(s->ending, "SOL");
	assert_failed(s, REASON_LIMIT_SESSIONS, reason_sentence(REASON_LIMIT_SESSIONS));
}

static void an_agent_that_stops_says_so(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	s->worker.stopping = true;
	agent_scene_ask(s, "office", "web");
	assert_string_equal(s->ending, "SOS");
	assert_int_equal(s->sessions.totals.failed, 1);
	assert_failed(s, REASON_SHUTDOWN, "this agent is shutting down");

	/* What waits for a leg, and what is being talked about. */
	s = agent_scene_begin(state);
	agent_scene_ask(s, "office", "web");
	agent_sessions_stop(&s->sessions, "this agent is shutting down");
	assert_string_equal(s->ending, "SOS");
	assert_failed(s, REASON_SHUTDOWN, "this agent is shutting down");
	s = requested(state);
	agent_sessions_stop(&s->sessions, "this agent is shutting down");
	agent_scene_run(s, 20);
	assert_string_equal(s->ending, "SHS");
	assert_int_equal(s->sessions.totals.failed, 1);
	assert_failed(s, REASON_SHUTDOWN, "this agent is shutting down");
}

static void a_revoked_name_is_not_asked_and_its_sessions_end(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	agent_scene_revoke(s, 0, "office");
	agent_scene_revoke(s, 1, "office");
	agent_scene_ask(s, "office", "web");
	assert_failed(s, REASON_REVOKED, "the operator has revoked the agent asked for");

	s = requested(state);
	far_result(s, REASON_OK, "");
	assert_int_equal(s->opened, 1);
	agent_sessions_judge(&s->sessions);
	agent_scene_run(s, 10);
	assert_int_equal(s->ended, 0);
	agent_scene_revoke(s, 0, "office");
	agent_sessions_judge(&s->sessions);
	agent_scene_run(s, 10);
	assert_int_equal(s->ended, 1);
	assert_true(s->far.reset);
	assert_string_equal(s->text, "the other agent's identity has been revoked");
	agent_scene_end(s);

	for (unsigned runs = 0; runs < 2; runs++) { /* the asking side, too, says why */
		s = requested(state);
		s->hears_ends = true;
		if (runs)
			far_result(s, REASON_OK, "");
		agent_scene_revoke(s, 0, "office");
		agent_sessions_judge(&s->sessions);
		agent_scene_run(s, 10);
		assert_int_equal(s->ends, 1);
		assert_int_equal(s->ends_session, 77);
		assert_int_equal(s->ends_cause, ENDING_REVOKED);
		assert_false(s->far.reset);
		far_close(s, true);
		agent_scene_end(s);
	}
}

/* One relay's word hinders nothing at another: one that lies keeps nobody away. */
static void a_relay_revokes_for_itself_alone(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	agent_scene_revoke(s, 0, "office");
	agent_scene_ask(s, "office", "web");
	assert_true(s->leg.there);
	assert_int_equal(s->refused, 0);
	assert_string_equal(s->sessions.first->relay, s->link[1].label);
	agent_scene_fail_leg(s, REASON_AGENT_OFFLINE, "not here");
	assert_failed(s, REASON_AGENT_OFFLINE, "not here");

	s = requested(state);
	far_result(s, REASON_OK, "");
	agent_scene_revoke(s, 1, "office");
	agent_sessions_judge(&s->sessions);
	agent_scene_run(s, 10);
	assert_int_equal(s->ended, 0);
	agent_scene_revoke(s, 0, "office");
	agent_sessions_judge(&s->sessions);
	agent_scene_run(s, 10);
	assert_int_equal(s->ended, 1);
	agent_scene_end(s);
}

static void an_agent_whose_certificate_has_ended_asks_for_nothing(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);

	identity_free(s->setup.self.identity);
	s->setup.self.identity = certs_identity(&agent_scene_ca, &agent_scene_ca, IDENTITY_AGENT,
						"home", -86400, -1);
	agent_scene_ask(s, "office", "web");
	assert_false(s->leg.there);
	assert_string_equal(s->ending, "SOF");
	assert_failed(s, REASON_CERT_EXPIRED, "this agent's own certificate has expired");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(the_agent_that_was_asked_for_is_heard),
		RING_TEST(another_agent_is_not_the_one),
		RING_TEST(a_console_of_that_name_is_no_agent),
		RING_TEST(an_agent_of_another_ca_is_nobody),
		RING_TEST(a_refusal_is_passed_on),
		RING_TEST(another_message_is_no_result),
		RING_TEST(a_message_has_a_bound),
		RING_TEST(silence_ends_in_time),
		RING_TEST(bytes_right_behind_the_result_are_the_services),
		RING_TEST(a_session_that_is_cut_is_reset),
		RING_TEST(much_goes_both_ways_whole_and_in_order),
		RING_TEST(a_session_that_ends_as_bytes_arrive_keeps_nothing),
		RING_TEST(another_relay_is_asked_where_one_cannot_help),
		RING_TEST(a_link_is_waited_for),
		RING_TEST(a_relay_that_is_silent_is_asked_and_left),
		RING_TEST(a_deadline_says_who_has_not_answered),
		RING_TEST(sessions_have_a_limit),
		RING_TEST(an_agent_that_stops_says_so),
		RING_TEST(a_revoked_name_is_not_asked_and_its_sessions_end),
		RING_TEST(a_relay_revokes_for_itself_alone),
		RING_TEST(an_agent_whose_certificate_has_ended_asks_for_nothing),
	};

	return cmocka_run_group_tests(tests, agent_scene_make_ca, agent_scene_free_ca);
}
