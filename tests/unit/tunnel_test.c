/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnel_test: a console's connection to a relay and through it, against a relay that answers as
 * the test says: what is carried, who is let in, and what is told at each kind of end.
 *
 * links: tests/support/fake_relay.c tests/support/certs.c ctl/pki/make.c ctl/talk/[a-z]*.c
 * links: ctl/terminal/[a-z]*.c agent/agent.c agent/engine/[a-z]*.c agent/config/[a-z]*.c
 * links: agent/worker/[a-z]*.c agent/relays/[a-z]*.c agent/session/[a-z]*.c
 * links: agent/entrance/[a-z]*.c agent/control/[a-z]*.c core/[a-z]*.c core/conf/[a-z]*.c
 * links: core/parse/[a-z]*.c core/engine/[a-z]*.c core/program/[a-z]*.c
 * links: stun/[a-z]*.c stun/client/[a-z]*.c
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "ctl/talk/tunnel.h"
#include "tests/support/fake_relay.h"

#define BULK (1u << 20)

static struct certs_ca ca, other_ca;

static uint8_t pattern(size_t at)
{
	return (uint8_t)('A' + at % 26 + at / 997 % 7); /* no byte 2, with which frames begin */
}

/* ---- what the relay does ---- */

static bool let_in(struct fake_connection *c)
{
	if (!fake_relay_hello(c, NULL, 0))
		return false;
	fake_relay_welcome(c);
	return true;
}

/* Takes lines to their end, which the near side makes, and sends as many behind them. */
static void serve_bulk(struct fake_connection *c)
{
	struct fake_relay *r = c->relay;
	uint8_t bytes[8192];
	size_t n;

	if (!let_in(c))
		return;
	r->whole = true;
	for (size_t at = 0; at < r->size; at += sizeof(bytes)) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = pattern(at + i);
		fake_relay_write(c, bytes, sizeof(bytes));
	}
	while ((n = fake_relay_read(c, bytes, sizeof(bytes))) > 0) {
		for (size_t i = 0; i < n; i++)
			r->whole = r->whole && bytes[i] == pattern(r->received + i);
		r->received += n;
	}
}

/* Takes what comes, to its end. */
static void serve_listener(struct fake_connection *c)
{
	uint8_t bytes[512];
	size_t n;

	if (!let_in(c))
		return;
	while ((n = fake_relay_read(c, bytes, sizeof(bytes))) > 0)
		c->relay->received += n;
}

static void serve_bye(struct fake_connection *c)
{
	if (!fake_relay_hello(c, NULL, 0))
		return;
	fake_relay_bye(c, REASON_CERT_UNTRUSTED, c->relay->text);
	fake_relay_wait_end(c);
}

/* WELCOME, a line and BYE, in one record. */
static void serve_last_words(struct fake_connection *c)
{
	const struct wire_message welcome = {.type = WIRE_WELCOME,
					     .welcome = {.relay = wire_text("fake"),
							 .your_address = wire_text("a"),
							 .max_legs = 1}},
				  bye = {.type = WIRE_BYE,
					 .bye = {.reason = REASON_SHUTDOWN,
						 .text = wire_text(c->relay->text)}};
	uint8_t all[2048];
	size_t len;

	if (!fake_relay_hello(c, NULL, 0))
		return;
	len = wire_encode(&welcome, all, sizeof(all));
	memcpy(all + len, "{\"a\": 1}\n", 9);
	len += 9;
	len += wire_encode(&bye, all + len, sizeof(all) - len);
	fake_relay_write(c, all, len);
	fake_relay_wait_end(c);
}

/* BYE in pieces, behind a line. */
static void serve_slow_bye(struct fake_connection *c)
{
	const struct wire_message bye = {
		.type = WIRE_BYE,
		.bye = {.reason = REASON_SHUTDOWN, .text = wire_text(c->relay->text)}};
	uint8_t frame[1024];
	size_t len = wire_encode(&bye, frame, sizeof(frame));

	if (!let_in(c))
		return;
	fake_relay_write(c, "{\"a\": 1}\n", 9);
	for (size_t i = 0; i < len; i++)
		fake_relay_write(c, frame + i, 1);
	fake_relay_wait_end(c);
}

static void serve_other_words(struct fake_connection *c)
{
	if (!fake_relay_hello(c, NULL, 0))
		return;
	fake_relay_write(c, c->relay->text, strlen(c->relay->text));
	fake_relay_wait_end(c);
}

static void serve_another_message(struct fake_connection *c)
{
	const struct wire_message m = {.type = WIRE_PING, .ping = {.token = 7}};

	if (!fake_relay_hello(c, NULL, 0))
		return;
	fake_relay_say(c, &m);
	fake_relay_wait_end(c);
}

static void serve_welcome_twice(struct fake_connection *c)
{
	if (let_in(c)) {
		fake_relay_welcome(c);
		fake_relay_wait_end(c);
	}
}

static void serve_nothing(struct fake_connection *c)
{
	(void)!fake_relay_hello(c, NULL, 0);
}

static void serve_sign_in(struct fake_connection *c)
{
	if (let_in(c)) {
		fake_relay_write(c, "to those who stay", 17);
		fake_relay_wait_end(c);
	}
}

/* ---- the near side ---- */

/* All that comes until the end; true when that is an end rather than an error. */
static bool read_to_end(int fd, char *out, size_t room, size_t *len)
{
	ssize_t n = 0;

	for (*len = 0; *len < room && (n = recv(fd, out + *len, room - *len, 0)) > 0;)
		*len += (size_t)n;
	return n == 0;
}

static struct tunnel *sign_in(const struct agent_config *config, bool let)
{
	struct tunnel *t = tunnel_to_relay(config, 0, WIRE_HELLO_CONSOLE);

	assert_non_null(t);
	if (tunnel_wait(t) != let)
		fail_msg("%s", tunnel_why(t));
	return t;
}

static void assert_why(struct tunnel *t, uint16_t port, const char *sentence)
{
	char expected[512];

	snprintf(expected, sizeof(expected), "127.0.0.1:%u: %s", port, sentence);
	assert_string_equal(tunnel_why(t), expected);
}

/* A console that the relay does not let in, and what it is told. */
static void assert_refused(void (*serve)(struct fake_connection *c), const char *text,
			   const char *sentence)
{
	struct fake_relay r = {.serve = serve, .text = text};
	struct agent_config config;
	struct tunnel *t;
	char byte;
	int fd;

	fake_relay_open(&r, &ca, "127.0.0.1");
	config = fake_relay_config(&ca, IDENTITY_CONSOLE, "ops", r.port);
	t = sign_in(&config, false);
	assert_why(t, r.port, sentence);
	fd = tunnel_take_fd(t);
	assert_true(recv(fd, &byte, 1, 0) <= 0); /* nothing behind it, and no waiting */
	close(fd);
	tunnel_close(t);
	agent_config_free(&config);
	fake_relay_close(&r);
	assert_int_equal(r.hellos, 1);
}

/* ---- tests ---- */

static void test_both_directions_arrive_whole(void **state)
{
	struct fake_relay r = {.serve = serve_bulk, .size = BULK};
	struct agent_config config;
	struct tunnel *t;
	uint8_t *bytes = malloc(BULK);
	size_t sent = 0, got = 0;
	bool whole = true;
	ssize_t n;
	int fd;

	fake_relay_open(&r, &ca, "127.0.0.1");
	config = fake_relay_config(&ca, IDENTITY_CONSOLE, "ops", r.port);
	t = sign_in(&config, true);
	assert_string_equal(tunnel_why(t), "");
	fd = tunnel_take_fd(t);
	for (size_t i = 0; i < BULK; i++)
		bytes[i] = pattern(i);
	while (sent < BULK || got < BULK) {
		uint8_t in[4096];

		if (sent < BULK &&
		    (n = send(fd, bytes + sent, BULK - sent, got < BULK ? MSG_DONTWAIT : 0)) > 0)
			sent += (size_t)n;
		if (got < BULK && (n = recv(fd, in, sizeof(in), MSG_DONTWAIT)) > 0) {
			for (ssize_t i = 0; i < n; i++)
				whole = whole && in[i] == pattern(got + (size_t)i);
			got += (size_t)n;
		}
	}
	assert_true(whole);
	close(fd);
	tunnel_close(t);
	agent_config_free(&config);
	fake_relay_close(&r);
	/* Who it is stood in HELLO; what it sent is there to its last byte; the end was one. */
	assert_int_equal(r.flags, WIRE_HELLO_CONSOLE);
	assert_int_equal(r.believed, REASON_OK);
	assert_int_equal(r.peer.role, IDENTITY_CONSOLE);
	assert_string_equal(r.peer.name, "ops");
	assert_int_equal(r.received, BULK);
	assert_true(r.whole);
	assert_true(r.ended);
	free(bytes);
}

/* A command that says something and is done at once: all is passed on, and then its end. */
static void test_the_last_line_is_passed_on(void **state)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"method\":\"drain\"}\n";

	for (unsigned round = 0; round < 10; round++) {
		struct fake_relay r = {.serve = serve_listener};
		struct agent_config config;
		struct tunnel *t;
		int fd;

		fake_relay_open(&r, &ca, "127.0.0.1");
		config = fake_relay_config(&ca, IDENTITY_CONSOLE, "ops", r.port);
		t = sign_in(&config, true);
		fd = tunnel_take_fd(t);
		assert_int_equal(send(fd, line, sizeof(line) - 1, 0), sizeof(line) - 1);
		close(fd);
		tunnel_close(t);
		agent_config_free(&config);
		fake_relay_close(&r);
		assert_int_equal(r.received, sizeof(line) - 1);
		assert_true(r.ended);
	}
}

static void test_a_relay_that_says_no_is_believed(void **state)
{
	assert_refused(serve_bye, "this console is revoked", "this console is revoked");
	assert_refused(serve_bye, "", reason_sentence(REASON_CERT_UNTRUSTED));
}

static void test_what_is_no_relay(void **state)
{
	assert_refused(serve_other_words, "HTTP/1.1 400 Bad Request\r\n\r\n", TAG_UNKNOWN_SENTENCE);
	assert_refused(serve_other_words, "\x03\x02 of a later version",
		       reason_sentence(REASON_VERSION));
	assert_refused(serve_other_words, "\x02\x77\x01\x01z",
		       "it does not answer as a relay does; check the address");
	assert_refused(serve_another_message, NULL, reason_sentence(REASON_PROTOCOL));
	assert_refused(serve_nothing, NULL, "the relay closed the connection");
}

/* What a relay says before it ends the channel arrives, and then why. */
static void assert_last_words(void (*serve)(struct fake_connection *c))
{
	struct fake_relay r = {.serve = serve, .text = "this relay stops"};
	struct agent_config config;
	struct tunnel *t;
	char bytes[64];
	size_t len;
	int fd;

	fake_relay_open(&r, &ca, "127.0.0.1");
	config = fake_relay_config(&ca, IDENTITY_CONSOLE, "ops", r.port);
	t = tunnel_to_relay(&config, 0, WIRE_HELLO_CONSOLE);
	assert_non_null(t);
	(void)!tunnel_wait(t); /* it may be over when we look */
	fd = tunnel_take_fd(t);
	(void)!read_to_end(fd, bytes, sizeof(bytes), &len);
	assert_int_equal(len, 9);
	assert_memory_equal(bytes, "{\"a\": 1}\n", 9);
	(void)poll(NULL, 0, 50); /* the thread ends meanwhile, and takes no word back */
	assert_why(t, r.port, "this relay stops");
	close(fd);
	tunnel_close(t);
	agent_config_free(&config);
	fake_relay_close(&r);
}

static void test_last_words(void **state)
{
	assert_last_words(serve_slow_bye);
	assert_last_words(serve_last_words);
}

/* The channel is one of lines now: a second WELCOME is no word of it. */
static void test_a_second_welcome_ends_it(void **state)
{
	struct fake_relay r = {.serve = serve_welcome_twice};
	struct agent_config config;
	struct tunnel *t;
	char bytes[8];
	size_t len;
	int fd;

	fake_relay_open(&r, &ca, "127.0.0.1");
	config = fake_relay_config(&ca, IDENTITY_CONSOLE, "ops", r.port);
	t = sign_in(&config, true);
	fd = tunnel_take_fd(t);
	(void)!read_to_end(fd, bytes, sizeof(bytes), &len);
	assert_int_equal(len, 0);
	assert_why(t, r.port, reason_sentence(REASON_PROTOCOL));
	close(fd);
	tunnel_close(t);
	agent_config_free(&config);
	fake_relay_close(&r);
}

/* A relay that shows another CA's certificate, or another name, learns nothing of us. */
static void test_an_impostor_gets_no_hello(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct fake_relay r = {.serve = serve_nothing};
		struct agent_config config;
		struct tunnel *t;

		fake_relay_open(&r, i ? &ca : &other_ca, i ? "127.0.0.2" : "127.0.0.1");
		config = fake_relay_config(&ca, IDENTITY_CONSOLE, "ops", r.port);
		t = sign_in(&config, false);
		assert_non_null(strstr(tunnel_why(t), i ? "127.0.0.2" : "Others Ltd"));
		tunnel_close(t);
		agent_config_free(&config);
		fake_relay_close(&r);
		assert_int_equal(r.connections, 1);
		assert_int_equal(r.hellos, 0);
	}
}

/* A sign-in alone, as 'postern check' makes it: what the relay says to agents is dropped. */
static void test_a_sign_in_alone(void **state)
{
	struct fake_relay r = {.serve = serve_sign_in};
	struct agent_config config;
	struct tunnel *t;
	char bytes[64];
	int fd;

	fake_relay_open(&r, &ca, "127.0.0.1");
	config = fake_relay_config(&ca, IDENTITY_AGENT, "home", r.port);
	t = tunnel_to_relay(&config, 0, WIRE_HELLO_TRANSIENT);
	assert_true(tunnel_wait(t));
	fd = tunnel_take_fd(t);
	usleep(50000);
	assert_int_equal(recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	close(fd);
	tunnel_close(t);
	agent_config_free(&config);
	fake_relay_close(&r);
	assert_int_equal(r.flags, WIRE_HELLO_TRANSIENT);
	assert_int_equal(r.peer.role, IDENTITY_AGENT);
	assert_true(r.ended);
}

static void test_where_nothing_listens(void **state)
{
	struct fake_relay r = {.serve = serve_nothing};
	struct agent_config config;
	struct tunnel *t;
	char bytes[8];
	size_t len;
	int fd;

	fake_relay_open(&r, &ca, "127.0.0.1");
	fake_relay_close(&r); /* nothing has the port now */
	config = fake_relay_config(&ca, IDENTITY_CONSOLE, "ops", r.port);
	t = sign_in(&config, false);
	assert_non_null(strstr(tunnel_why(t), strerror(ECONNREFUSED)));
	tunnel_close(t);
	/* To an agent: no relay leads there, which is told as soon as all have been tried. */
	t = tunnel_to_agent(&config, "home", WIRE_CONTROL_SERVICE);
	assert_true(tunnel_wait(t));
	fd = tunnel_take_fd(t);
	(void)!read_to_end(fd, bytes, sizeof(bytes), &len);
	assert_int_equal(len, 0);
	assert_non_null(strstr(tunnel_why(t), strerror(ECONNREFUSED)));
	close(fd);
	tunnel_close(t);
	agent_config_free(&config);
}

/* A command that gives up leaves nothing behind, also where the relay does not answer. */
static void test_close_before_it_is_up(void **state)
{
	struct fake_relay r = {.serve = fake_relay_wait_end};
	struct agent_config config;
	struct tunnel *t;

	fake_relay_open(&r, &ca, "127.0.0.1");
	config = fake_relay_config(&ca, IDENTITY_CONSOLE, "ops", r.port);
	t = tunnel_to_relay(&config, 0, WIRE_HELLO_CONSOLE);
	assert_non_null(t);
	for (int i = 0; i < 10000 && r.connections == 0; i++)
		usleep(1000);
	tunnel_close(t);
	agent_config_free(&config);
	fake_relay_close(&r);
	assert_int_equal(r.connections, 1);
}

static int make_cas(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	ca = certs_make_ca("Example Ltd");
	other_ca = certs_make_ca("Others Ltd");
	return 0;
}

static int free_cas(void **state)
{
	certs_free_ca(&ca);
	certs_free_ca(&other_ca);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_directions_arrive_whole),
		cmocka_unit_test(test_the_last_line_is_passed_on),
		cmocka_unit_test(test_a_relay_that_says_no_is_believed),
		cmocka_unit_test(test_what_is_no_relay),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_a_second_welcome_ends_it),
		cmocka_unit_test(test_an_impostor_gets_no_hello),
		cmocka_unit_test(test_a_sign_in_alone),
		cmocka_unit_test(test_where_nothing_listens),
		cmocka_unit_test(test_close_before_it_is_up),
	};

	return cmocka_run_group_tests(tests, make_cas, free_cas);
}
