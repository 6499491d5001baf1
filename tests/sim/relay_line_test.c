/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay_line_test: a console's channel on the simulated kernel and clock: its deadline, sides that
 * do not read, resets, and ends at any moment. Dialling is the test's: both ends of the TLS session
 * are its own.
 *
 * links: ctl/talk/relay_line.c core/outbox.c core/engine/tag.c core/engine/tls.c core/engine/identity.c
 * links: core/engine/identity_verify.c core/engine/identity_relay.c core/engine/certificate.c
 * links: core/parse/wire.c core/parse/reason.c core/buffers.c core/addr.c core/log*.c core/timer.c
 * links: core/ring.c core/engine/csr.c ctl/pki/make.c tests/support/certs.c
 * links: tests/support/ring_fixture_world.c tests/world/calls.c tests/world/kernel.c
 * links: tests/world/memory.c tests/world/packet.c tests/world/pipes.c tests/world/ring_sim.c
 * links: tests/world/store.c tests/world/stream.c tests/world/stream_connect.c tests/world/world.c
 * links: core/engine/keyring.c core/parse/signing.c core/parse/keyblock.c core/memory.c
 * links: core/engine/browser.c core/engine/brotli.c
 */
#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/relays/dial.h"
#include "agent/worker/connector.h"
#include "ctl/talk/relay_line.h"
#include "tests/support/certs.h"

#define DAY	86400L
#define GOT_MAX (1u << 20)

struct scene {
	struct ring_fixture *f;
	struct agent agent;
	struct agent_relay relay;
	struct relay_line *line; /* NULL: it is over */
	/* The relay's end. */
	struct identity *identity;
	SSL_CTX *front, *dialling;
	struct tls *theirs;
	int far; /* -1: closed */
	uint8_t *got;
	size_t got_len;
	bool ended; /* close_notify has come */
	/* The command's end. */
	int near; /* -1: closed */
	/* The dial that is wanted. */
	dial_done_fn *done;
	void *owner;
	bool dialling_now;
	/* What was told. */
	unsigned ups, overs;
	char why[768];
};

static struct certs_ca ca;
static struct scene *playing;
static struct dial *const a_dial = (struct dial *)&playing;

/* ---- what lies around the line ---- */

struct dial *dial_start(struct agent_worker *w, const struct agent_setup *setup,
			const struct agent_relay *relay, const struct addr *at, dial_done_fn *done,
			void *owner)
{
	assert_ptr_equal(relay, &playing->relay);
	playing->done = done;
	playing->owner = owner;
	playing->dialling_now = true;
	return a_dial;
}

void dial_cancel(struct dial *d)
{
	assert_true(playing->dialling_now);
	playing->dialling_now = false;
}

bool dial_hello(const struct agent_setup *setup, struct tls *tls, uint8_t flags,
		uint8_t signature[WIRE_SIGNATURE_MAX], struct wire_message *m)
{
	memset(signature, 7, 64);
	*m = (struct wire_message){.type = WIRE_HELLO,
				   .hello = {.flags = flags,
					     .agent = wire_text("ops"),
					     .software = wire_text("test"),
					     .certificate = wire_text("DER"),
					     .signature = {signature, 64}}};
	return true;
}

void agent_worker_drop(struct agent_worker *w)
{
	assert_true(w->held > 0);
	w->held--;
}

void endpoint_text(const struct endpoint *e, char out[ENDPOINT_TEXT_BYTES])
{
	snprintf(out, ENDPOINT_TEXT_BYTES, "%s:%u", e->host, e->port);
}

static void line_up(void *owner)
{
	((struct scene *)owner)->ups++;
}

static void line_over(void *owner, const char *why)
{
	struct scene *s = owner;

	s->overs++;
	s->line = NULL;
	snprintf(s->why, sizeof(s->why), "%s", why);
}

/* ---- the scene ---- */

static struct scene *scene_begin(void **state, uint8_t flags)
{
	static const struct relay_line_events events = {line_up, line_over};
	struct scene *s = calloc(1, sizeof(*s));
	int local;

	playing = s;
	s->f = ring_fixture(state);
	s->agent.worker.ring = s->f->r;
	s->agent.setup.self.tag_keys.count = 1;
	memset(s->agent.setup.self.tag_keys.keys[0], CERTS_TAG_KEY_BYTE, CONF_TAG_KEY_BYTES);
	s->relay.address = (struct endpoint){.host = "relay.example", .port = 443};
	s->identity = certs_identity(&ca, &ca, IDENTITY_RELAY, "relay.example", -DAY, DAY);
	s->front = identity_front_context(s->identity);
	s->dialling = identity_dial_context(s->identity);
	s->got = malloc(GOT_MAX);
	s->far = -1;
	tcp_pair(&local, &s->near);
	s->line = relay_line_start(&s->agent, &s->relay, flags, local, &events, s);
	assert_non_null(s->line);
	assert_int_equal(s->agent.worker.held, 1);
	return s;
}

/* The end that comes once, and leaves nothing. */
static void scene_end(struct scene *s, const char *why)
{
	run_for(s->f, 100);
	assert_int_equal(s->overs, 1);
	assert_string_equal(s->why, why);
	assert_int_equal(s->agent.worker.held, 0);
	assert_false(s->dialling_now);
	if (s->near >= 0)
		close(s->near);
	if (s->far >= 0)
		close(s->far);
	tls_free(s->theirs);
	SSL_CTX_free(s->front);
	SSL_CTX_free(s->dialling);
	identity_free(s->identity);
	free(s->got);
	free(s);
}

/* What the relay's TLS has to say leaves as far as there is room. */
static void far_flush(struct scene *s)
{
	const uint8_t *out;
	size_t len;
	ssize_t n;

	while ((out = tls_output(s->theirs, &len)) && len > 0 &&
	       (n = send(s->far, out, len, MSG_NOSIGNAL | MSG_DONTWAIT)) > 0)
		tls_output_drop(s->theirs, (size_t)n);
}

/* The relay reads what has come. */
static void far_read(struct scene *s)
{
	uint8_t bytes[16384];
	enum tls_status status;
	ssize_t n;
	size_t got;

	while ((n = recv(s->far, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		assert_true(tls_feed(s->theirs, bytes, (size_t)n));
	while (s->got_len < GOT_MAX && (status = tls_read(s->theirs, s->got + s->got_len,
							  GOT_MAX - s->got_len, &got)) == TLS_OK)
		s->got_len += got;
	s->ended = s->ended || (s->got_len < GOT_MAX && status == TLS_CLOSED);
	far_flush(s);
}

static void both_run(struct scene *s, unsigned ms)
{
	for (unsigned i = 0; i < ms; i += 2) {
		far_read(s);
		run_for(s->f, 2);
	}
	far_read(s);
}

/* The dial is done: HELLO is on its way. */
static void dialled(struct scene *s)
{
	struct tls *ours = tls_new(s->dialling, false);
	int wire;

	s->theirs = tls_new(s->front, true);
	assert_true(certs_handshake(ours, s->theirs, 16384));
	tcp_pair(&wire, &s->far);
	far_flush(s);
	assert_true(s->dialling_now);
	s->dialling_now = false;
	s->done(s->owner, wire, ours, NULL, NULL, NULL);
	both_run(s, 50);
}

static void far_say(struct scene *s, const struct wire_message *m)
{
	uint8_t frame[WIRE_FRAME_MAX];
	size_t len = wire_encode(m, frame, sizeof(frame));

	assert_true(len > 0);
	assert_int_equal(tls_write(s->theirs, frame, len), TLS_OK);
	far_flush(s);
}

/* Up to lines that go both ways. */
static struct scene *scene_up(void **state)
{
	const struct wire_message welcome = {
		.type = WIRE_WELCOME,
		.welcome = {.relay = wire_text("main"), .your_address = wire_text("a")}};
	struct scene *s = scene_begin(state, WIRE_HELLO_CONSOLE);
	struct wire_message hello;
	uint8_t tag[TAG_BYTES];
	size_t used;

	dialled(s);
	certs_tag(s->theirs, tag);
	assert_true(s->got_len > TAG_BYTES);
	assert_memory_equal(s->got, tag, TAG_BYTES);
	assert_int_equal(wire_decode(s->got + TAG_BYTES, s->got_len - TAG_BYTES, &hello, &used),
			 WIRE_OK);
	assert_int_equal(hello.type, WIRE_HELLO);
	assert_int_equal(hello.hello.flags, WIRE_HELLO_CONSOLE);
	assert_int_equal(TAG_BYTES + used, s->got_len);
	s->got_len = 0;
	assert_int_equal(s->ups, 0);
	far_say(s, &welcome);
	both_run(s, 20);
	assert_int_equal(s->ups, 1);
	return s;
}

static uint8_t pattern(size_t at)
{
	return (uint8_t)('a' + at % 26 + at / 4999 % 5);
}

/* As much as the command's socket takes; returns how much in all. */
static size_t near_push(struct scene *s, size_t sent, size_t most)
{
	uint8_t bytes[4096];

	while (sent < most) {
		size_t len = most - sent < sizeof(bytes) ? most - sent : sizeof(bytes);
		ssize_t n;

		for (size_t i = 0; i < len; i++)
			bytes[i] = pattern(sent + i);
		n = send(s->near, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	return sent;
}

/* ---- tests ---- */

/* What accepts a connection and says nothing is given up in time, and not before. */
static void a_silent_relay_is_given_up(void **state)
{
	struct scene *s = scene_begin(state, WIRE_HELLO_CONSOLE);

	dialled(s);
	run_for(s->f, 9500);
	assert_int_equal(s->overs, 0);
	run_for(s->f, 1000);
	scene_end(s, "relay.example:443: the relay did not answer our sign-in in time; check that "
		     "the address is that of a relay");
}

/* The deadline is the sign-in's alone: a console may be quiet for hours. */
static void a_quiet_console_stays(void **state)
{
	struct scene *s = scene_up(state);

	run_for(s->f, 3600000);
	assert_int_equal(s->overs, 0);
	assert_int_equal(near_push(s, 0, 10), 10);
	both_run(s, 20);
	assert_int_equal(s->got_len, 10);
	close(s->near);
	s->near = -1;
	both_run(s, 20);
	assert_true(s->ended);
	scene_end(s, "");
}

/* A relay that does not read is not written to without end; what was taken arrives, and in order.
 * The end of the command's lines is passed on behind them. */
static void a_relay_that_does_not_read(void **state)
{
	struct scene *s = scene_up(state);
	size_t sent = 0, before;

	do {
		before = sent;
		sent = near_push(s, sent, GOT_MAX);
		run_for(s->f, 50);
	} while (sent > before);
	assert_true(sent < GOT_MAX); /* the sockets' room, and a buffer or two */
	while (sent < GOT_MAX) {
		both_run(s, 4);
		sent = near_push(s, sent, GOT_MAX);
	}
	close(s->near);
	s->near = -1;
	both_run(s, 200);
	assert_int_equal(s->got_len, GOT_MAX);
	for (size_t i = 0; i < GOT_MAX; i++)
		if (s->got[i] != pattern(i))
			fail_msg("byte %zu is another", i);
	scene_end(s, "");
}

/* Nor does a command that does not read make this side take up memory. */
static void a_command_that_does_not_read(void **state)
{
	struct scene *s = scene_up(state);
	size_t said = 0, got = 0;
	uint8_t bytes[8192];
	size_t len;
	ssize_t n;

	for (int i = 0; i < 400; i++) { /* in all, far more than there is room for */
		(void)tls_output(s->theirs, &len);
		if (len > 0)
			break;
		for (size_t k = 0; k < sizeof(bytes); k++)
			bytes[k] = pattern(said + k);
		assert_int_equal(tls_write(s->theirs, bytes, sizeof(bytes)), TLS_OK);
		said += sizeof(bytes);
		far_flush(s);
		run_for(s->f, 4);
	}
	assert_true(len > 0); /* the relay's socket is full */
	while (got < said) {
		n = recv(s->near, bytes, sizeof(bytes), MSG_DONTWAIT);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(bytes[i], pattern(got + (size_t)i));
		got += n > 0 ? (size_t)n : 0;
		far_flush(s);
		if (n <= 0)
			run_for(s->f, 2);
	}
	assert_int_equal(s->overs, 0);
	relay_line_stop(s->line);
	scene_end(s, "");
}

static void far_reset(struct scene *s)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(s->far, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(s->far);
	s->far = -1;
}

static void a_cut_is_no_end(void **state)
{
	struct scene *s = scene_up(state);

	far_reset(s);
	run_for(s->f, 50);
	scene_end(s, "relay.example:443: Connection reset by peer");
	s = scene_begin(state, WIRE_HELLO_CONSOLE);
	dialled(s);
	far_reset(s);
	run_for(s->f, 50);
	scene_end(s, "relay.example:443: Connection reset by peer");
}

/* Stopped while it dials, before WELCOME, and with a send that is stuck: it ends once, at once. */
static void it_can_be_stopped_at_any_time(void **state)
{
	struct scene *s = scene_begin(state, WIRE_HELLO_CONSOLE);
	size_t sent = 0;

	relay_line_stop(s->line);
	assert_int_equal(s->overs, 0); /* not from inside the call */
	scene_end(s, "");
	s = scene_begin(state, WIRE_HELLO_CONSOLE);
	dialled(s);
	relay_line_stop(s->line);
	scene_end(s, "");
	s = scene_up(state);
	for (int i = 0; i < 20; i++) {
		sent = near_push(s, sent, GOT_MAX);
		run_for(s->f, 10);
	}
	relay_line_stop(s->line);
	relay_line_stop(s->line);
	scene_end(s, "");
}

static void why_it_cannot_be_dialled_is_told(void **state)
{
	struct scene *s = scene_begin(state, WIRE_HELLO_CONSOLE);

	s->dialling_now = false;
	s->done(s->owner, -1, NULL, NULL, NULL, "relay.example:443: Connection refused");
	scene_end(s, "relay.example:443: Connection refused");
}

/* However the bytes are cut: lines, then a BYE of many pieces. */
static void a_bye_behind_lines(void **state)
{
	const struct wire_message bye = {
		.type = WIRE_BYE,
		.bye = {.reason = REASON_SHUTDOWN, .text = wire_text("it stops")}};
	uint8_t frame[512], line[32];
	size_t len = wire_encode(&bye, frame, sizeof(frame));

	for (size_t cut = 1; cut < len; cut += 3) {
		struct scene *s = scene_up(state);

		assert_int_equal(tls_write(s->theirs, (const uint8_t *)"{\"a\": 1}\n", 9), TLS_OK);
		assert_int_equal(tls_write(s->theirs, frame, cut), TLS_OK);
		far_flush(s);
		run_for(s->f, 20);
		assert_int_equal(s->overs, 0);
		assert_int_equal(tls_write(s->theirs, frame + cut, len - cut), TLS_OK);
		far_flush(s);
		run_for(s->f, 20);
		assert_int_equal(recv(s->near, line, sizeof(line), MSG_DONTWAIT), 9);
		assert_memory_equal(line, "{\"a\": 1}\n", 9);
		scene_end(s, "relay.example:443: it stops");
	}
}

static int make_ca(void **state)
{
	ca = certs_make_ca("Example Ltd");
	return 0;
}

static int free_ca(void **state)
{
	certs_free_ca(&ca);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(a_silent_relay_is_given_up),
		RING_TEST(a_quiet_console_stays),
		RING_TEST(a_relay_that_does_not_read),
		RING_TEST(a_command_that_does_not_read),
		RING_TEST(a_cut_is_no_end),
		RING_TEST(it_can_be_stopped_at_any_time),
		RING_TEST(why_it_cannot_be_dialled_is_told),
		RING_TEST(a_bye_behind_lines),
	};

	return cmocka_run_group_tests(tests, make_ca, free_ca);
}
