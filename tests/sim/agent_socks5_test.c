/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_socks5_test: clients of the SOCKS5 entrance that are turned away: each gets its answer, or
 * none, and is counted and told once.
 *
 * links: agent/entrance/socks5.c core/parse/socks5.c
 * links: core/engine/entitled.c core/program/look.c agent/engine/proved.c
 * links: agent/session/session.c agent/session/alive.c core/alive.c agent/session/request.c agent/session/publish.c
 * links: agent/session/prove.c
 * links: agent/session/stream.c agent/session/bulk.c agent/engine/inner.c
 * links: agent/engine/candidates.c core/engine/revocations.c core/engine/tag.c core/engine/tls.c
 * links: core/engine/identity.c core/engine/identity_verify.c core/engine/identity_relay.c
 * links: core/engine/certificate.c core/engine/envelope.c core/parse/wire.c core/parse/reason.c
 * links: core/parse/proxy.c core/parse/ending.c core/buffers.c core/addr.c core/log*.c
 * links: core/timer.c core/ring.c
 * links: core/ring_uring.c core/ring_epoll.c core/engine/csr.c ctl/pki/make.c tests/support/certs.c
 * links: tests/support/ring_fixture.c tests/support/agent_scene.c
 * links: core/engine/keyring.c core/parse/signing.c core/parse/keyblock.c core/memory.c
 * links: core/engine/browser.c core/engine/brotli.c
 */
#include "tests/support/agent_scene.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/entrance/socks5.h"
#include "core/parse/socks5.h"

#define SOURCE "127.0.0.1:50000"
/* RFC 1928: no authentication; then CONNECT to a name. */
#define HELLO		   "\x05\x01\x00"
#define CONNECT(len, name) "\x05\x01\x00\x03" len name "\x00\x16"

static struct socks *socks_begin(struct agent_scene *s)
{
	struct socks *socks = socks_new(&s->sessions);

	assert_non_null(socks);
	tcp_pair(&s->local, &s->theirs);
	return socks;
}

/* It is closed when its answer has been sent, yes or no. */
static void socks_end(struct agent_scene *s, struct socks *socks)
{
	agent_scene_run(s, 20);
	assert_int_equal(s->worker.held, 0);
	socks_close(socks);
	socks_free(socks);
	agent_scene_end(s);
}

static void assert_told(const struct agent_scene *s, enum reason reason, const char *ending,
			const char *text)
{
	assert_int_equal(s->refused, 1);
	assert_int_equal(s->sessions.totals.failed, 1);
	assert_string_equal(s->role, "asking");
	assert_string_equal(reason_name(s->reason), reason_name(reason));
	assert_string_equal(s->ending, ending);
	assert_string_equal(s->text, text);
	assert_false(s->leg.there);
}

static void who_is_turned_away_is_told(void **state)
{
	static const struct {
		const char *said;
		size_t len;
		int reply; /* of the request; -1: none */
		enum reason reason;
		const char *ending, *text;
	} cases[] = {
		{"\x04\x01\x00", 3, -1, REASON_PROTOCOL, "LOB",
		 "SOCKS5 client " SOURCE ": its greeting is malformed"},
		{"\x05\x01\x02", 3, -1, REASON_PROTOCOL, "LOB",
		 "SOCKS5 client " SOURCE ": it does not offer to go without authentication"},
		{HELLO "\x05\x02\x00\x03\x03"
		       "a.b"
		       "\x00\x16",
		 13, SOCKS5_COMMAND_UNSUPPORTED, REASON_PROTOCOL, "LOB",
		 "SOCKS5 client " SOURCE ": it asks for something else than CONNECT"},
		{HELLO "\x05\x01\x00\x02\x03", 8, SOCKS5_ADDRESS_UNSUPPORTED, REASON_PROTOCOL,
		 "LOB", "SOCKS5 client " SOURCE ": its address is of no type of SOCKS5"},
		{HELLO CONNECT("\x0b", "example.org"), 21, SOCKS5_NOT_ALLOWED, REASON_NOT_ALLOWED,
		 "SON", "SOCKS5 client " SOURCE ": example.org is not SERVICE.AGENT.postern"},
		{HELLO "\x04\x01\x00\x03\x03"
		       "a.b"
		       "\x00\x16",
		 13, -1, REASON_PROTOCOL, "LOB",
		 "SOCKS5 client " SOURCE ": its request is malformed"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct agent_scene *s = agent_scene_begin(state);
		struct socks *socks = socks_begin(s);
		uint8_t got[64];
		ssize_t n;

		socks_accept(socks, s->local, SOURCE);
		write_all(s->theirs, cases[i].said, cases[i].len);
		agent_scene_run(s, 20);
		assert_told(s, cases[i].reason, cases[i].ending, cases[i].text);
		n = recv(s->theirs, got, sizeof(got), MSG_DONTWAIT);
		if (cases[i].reply >= 0) {
			assert_int_equal(n, 2 + SOCKS5_REPLY_BYTES);
			assert_int_equal(got[3], cases[i].reply);
		} else {
			assert_true(n <= 2);
		}
		socks_end(s, socks);
	}
}

static void who_says_nothing_is_told(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);
	struct socks *socks = socks_begin(s);

	socks_accept(socks, s->local, SOURCE);
	write_all(s->theirs, HELLO, 3);
	agent_scene_run(s, 20);
	assert_int_equal(s->refused, 0);
	agent_scene_pass(s, SOCKS_NEGOTIATE_MS);
	assert_told(s, REASON_TIMEOUT, "LOQ",
		    "SOCKS5 client " SOURCE ": it did not say in time what it wants");
	socks_end(s, socks);
}

static void one_too_many_is_told(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);
	struct socks *socks = socks_begin(s);

	s->config.max_sessions = 0;
	socks_accept(socks, s->local, SOURCE);
	assert_told(s, REASON_LIMIT_SESSIONS, "SOL",
		    "SOCKS5 client " SOURCE
		    ": the limit of sessions is reached; close some or raise the limit");
	socks_end(s, socks);
}

/* What it asks for is refused as a request, once. */
static void a_name_of_ours_is_asked_for(void **state)
{
	struct agent_scene *s = agent_scene_begin(state);
	struct socks *socks = socks_begin(s);

	socks_accept(socks, s->local, SOURCE);
	write_all(s->theirs, HELLO CONNECT("\x12", "web.office.postern"), 28);
	agent_scene_run(s, 20);
	assert_int_equal(s->refused, 0);
	assert_string_equal(s->leg.to, "office");
	agent_scene_fail_leg(s, REASON_NOT_ALLOWED, "no");
	assert_int_equal(s->refused, 1);
	assert_string_equal(s->ending, "FON");
	socks_end(s, socks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(who_is_turned_away_is_told),
		RING_TEST(who_says_nothing_is_told),
		RING_TEST(one_too_many_is_told),
		RING_TEST(a_name_of_ours_is_asked_for),
	};

	return cmocka_run_group_tests(tests, agent_scene_make_ca, agent_scene_free_ca);
}
