/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_test: 'postern check' step by step, against a relay that answers as the test says: what
 * each step tells, where it stops, and the exit status.
 *
 * links: tests/support/fake_relay.c tests/support/stun_thread.c tests/support/command_line.c
 * links: tests/support/certs.c
 * links: ctl/check.c ctl/check_tls.c ctl/pki/make.c ctl/talk/[a-z]*.c ctl/terminal/[a-z]*.c
 * links: agent/agent.c agent/engine/[a-z]*.c agent/config/[a-z]*.c agent/worker/[a-z]*.c
 * links: agent/relays/[a-z]*.c agent/session/[a-z]*.c agent/entrance/[a-z]*.c
 * links: agent/control/[a-z]*.c core/[a-z]*.c core/conf/[a-z]*.c core/parse/[a-z]*.c
 * links: core/engine/[a-z]*.c core/program/[a-z]*.c stun/[a-z]*.c stun/client/[a-z]*.c
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

#include "ctl/check.h"
#include "tests/support/command_line.h"
#include "tests/support/fake_relay.h"
#include "tests/support/stun_thread.h"

static const struct command *const tables[] = {check_commands, NULL};
static struct certs_ca ca, other_ca;
static struct command_line ran;

/* ---- the relay ---- */

struct manners {
	long clock_s;	 /* how far its clock is ahead */
	bool dateless;	 /* says no Date */
	const char *bye; /* what it answers to a sign-in; NULL: WELCOME */
	bool no_udp;	 /* nothing answers there */
};

static struct manners manners;

static void serve(struct fake_connection *c)
{
	uint8_t first[2048];
	char head[512], date[64];
	time_t now = time(NULL) + manners.clock_s;
	size_t n = fake_relay_read(c, first, sizeof(first));
	struct tm tm;

	if (n > 0 && memcmp(first, "GET ", 4) == 0) {
		strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
		snprintf(head, sizeof(head),
			 "HTTP/1.1 400 X\r\n%s%s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
			 manners.dateless ? "X: " : "Date: ", date);
		fake_relay_write(c, head, strlen(head));
	} else if (n > 0 && fake_relay_hello(c, first, n)) {
		if (manners.bye)
			fake_relay_bye(c, REASON_REVOKED, manners.bye);
		else
			fake_relay_welcome(c);
	}
	fake_relay_wait_end(c);
}

/* ---- running it ---- */

static const struct case_of_check {
	struct manners manners;
	enum identity_role role;
	long life_s; /* of our certificate */
	enum status status;
	/* The steps that must be there, and those that must not: "step state", '|' between. */
	const char *steps, *missing;
	const char *text; /* of one of them */
} cases[] = {
	{{.dateless = false},
	 IDENTITY_CONSOLE,
	 90 * FAKE_RELAY_DAY,
	 STATUS_OK,
	 "identity ok|tcp ok|tls ok|interception ok|certificate ok|clock ok|sign-in ok|udp ok",
	 "state warn",
	 "accepted, as console ops"},
	{{.dateless = false},
	 IDENTITY_AGENT,
	 2 * FAKE_RELAY_DAY + 60,
	 STATUS_OK,
	 "identity warn|sign-in ok",
	 "identity ok",
	 "our certificate ends in 2 days"},
	{{.bye = "this console is revoked"},
	 IDENTITY_CONSOLE,
	 90 * FAKE_RELAY_DAY,
	 STATUS_FAILED,
	 "certificate ok|sign-in fail",
	 "sign-in ok",
	 "refused: this console is revoked"},
	{{.clock_s = 90},
	 IDENTITY_CONSOLE,
	 90 * FAKE_RELAY_DAY,
	 STATUS_OK,
	 "clock warn",
	 "clock ok",
	 "s behind the relay's"},
	{{.clock_s = -3600},
	 IDENTITY_CONSOLE,
	 90 * FAKE_RELAY_DAY,
	 STATUS_FAILED,
	 "clock fail|sign-in ok",
	 "clock ok",
	 "s ahead of the relay's"},
	{{.dateless = true, .no_udp = true},
	 IDENTITY_CONSOLE,
	 90 * FAKE_RELAY_DAY,
	 STATUS_OK,
	 "clock warn",
	 "clock ok",
	 "has no Date"},
};

/* Whether a step with this state is in the result. */
static bool has_step(const json_t *result, const char *wanted)
{
	const json_t *step;
	size_t i;

	json_array_foreach(json_object_get(result, "steps"), i, step)
	{
		char text[64];

		snprintf(text, sizeof(text), "%s %s",
			 json_string_value(json_object_get(step, "step")),
			 json_string_value(json_object_get(step, "state")));
		if (strcmp(text, wanted) == 0)
			return true;
	}
	return false;
}

static void assert_steps(const char *steps, bool there)
{
	json_t *result = json_loads(ran.out, 0, NULL);
	char copy[256], *rest = copy, *one;

	snprintf(copy, sizeof(copy), "%s", steps);
	while ((one = strsep(&rest, "|")))
		if (has_step(result, one) != there)
			fail_msg("%s in:\n%s", one, ran.out);
	json_decref(result);
}

static void check(enum status status)
{
	command_line_run(&ran, tables, "check --as own.yaml --json");
	if (ran.status != status)
		fail_msg("ended with %d:\n%s%s", ran.status, ran.out, ran.err);
}

static void test_steps(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct case_of_check *c = &cases[i];
		struct fake_relay r = {.serve = serve};
		struct stun_thread udp = {.no_tcp = true};

		manners = c->manners;
		fake_relay_open(&r, &ca, "127.0.0.1");
		if (!addr_from_literal("203.0.113.9", 4000, &udp.seen))
			fail();
		if (!c->manners.no_udp)
			stun_thread_open(&udp, r.port);
		fake_relay_write_config("own.yaml", &ca, c->role, "ops", r.port, c->life_s);
		check(c->status);
		fake_relay_close(&r);
		if (!c->manners.no_udp)
			stun_thread_close(&udp);
		assert_steps(c->steps, true);
		if (!strstr(ran.out, c->manners.no_udp ? "no answer: a firewall drops UDP"
						       : "the relay sees us as 203.0.113.9:4000"))
			fail_msg("not what was seen:\n%s", ran.out);
		assert_steps(c->missing, false);
		if (!strstr(ran.out, c->text))
			fail_msg("\"%s\" is not in:\n%s", c->text, ran.out);
		assert_int_equal(r.hellos, 1);
		assert_int_equal(r.flags, c->role == IDENTITY_CONSOLE ? WIRE_HELLO_CONSOLE
								      : WIRE_HELLO_TRANSIENT);
	}
}

/* Behind a step that failed nothing is tried, and nothing is told to what is not our relay. */
static void test_an_impostor_is_told(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct fake_relay r = {.serve = fake_relay_wait_end};

		fake_relay_open(&r, i ? &ca : &other_ca, i ? "127.0.0.2" : "127.0.0.1");
		fake_relay_write_config("own.yaml", &ca, IDENTITY_AGENT, "home", r.port,
					90 * FAKE_RELAY_DAY);
		check(STATUS_FAILED);
		fake_relay_close(&r);
		assert_steps(i ? "tls ok|certificate fail" : "tls ok|interception fail", true);
		assert_steps("sign-in ok|sign-in fail|clock ok|clock warn|udp ok", false);
		assert_int_equal(r.connections, 1);
		assert_int_equal(r.hellos, 0);
	}
}

static void test_nothing_there(void **state)
{
	struct fake_relay r = {.serve = serve};

	fake_relay_open(&r, &ca, "127.0.0.1");
	fake_relay_close(&r);
	fake_relay_write_config("own.yaml", &ca, IDENTITY_AGENT, "home", r.port,
				90 * FAKE_RELAY_DAY);
	check(STATUS_FAILED);
	assert_steps("tcp fail", true);
	assert_non_null(strstr(ran.out, "; where only an HTTP proxy leads out, name it: proxy in"));
	assert_steps("tls ok|tls fail|sign-in fail", false);
	/* Our own certificate is over: that alone is a failure. */
	fake_relay_write_config("own.yaml", &ca, IDENTITY_AGENT, "home", r.port, -60);
	check(STATUS_FAILED);
	assert_steps("identity fail", true);
	command_line_run(&ran, tables, "check --as nowhere.yaml");
	assert_int_equal(ran.status, STATUS_FAILED);
	command_line_run(&ran, tables, "check");
	assert_int_equal(ran.status, STATUS_USAGE);
}

/* ---- CONNECT ---- */

/* A listener that answers to the first request with text; its whole request in asked. */
struct proxy {
	int listener;
	const char *text;
	char asked[1024];
	pthread_t thread;
};

static void *proxy_run(void *arg)
{
	struct proxy *p = arg;
	int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	while (!strstr(p->asked, "\r\n\r\n") &&
	       (n = recv(fd, p->asked + len, sizeof(p->asked) - 1 - len, 0)) > 0)
		len += (size_t)n;
	(void)!send(fd, p->text, strlen(p->text), MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	(void)!recv(fd, &n, sizeof(n), 0);
	close(fd);
	return NULL;
}

static void test_proxy_refuses(void **state)
{
	static const struct {
		const char *answer, *text;
	} rows[] = {
		{"HTTP/1.1 403 No\r\n\r\n", "CONNECT to 127.0.0.1:"},
		{"SSH-2.0-x\r\n\r\n", "it does not answer as an HTTP proxy does"},
		{"", "no answer to CONNECT: it closed the connection"},
		{"HTTP/1.1 200 OK\r\n\r\n", "lets us through to 127.0.0.1:"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sockaddr_in at = {.sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		struct proxy p = {.text = rows[i].answer};
		socklen_t len = sizeof(at);
		char url[64];

		p.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(p.listener, (struct sockaddr *)&at, len), 0);
		assert_int_equal(listen(p.listener, 4), 0);
		assert_int_equal(getsockname(p.listener, (struct sockaddr *)&at, &len), 0);
		assert_int_equal(pthread_create(&p.thread, NULL, proxy_run, &p), 0);
		snprintf(url, sizeof(url), "http://u:p@127.0.0.1:%u", ntohs(at.sin_port));
		setenv("HTTPS_PROXY", url, 1);
		fake_relay_write_config("own.yaml", &ca, IDENTITY_AGENT, "home", 443,
					90 * FAKE_RELAY_DAY);
		check(STATUS_FAILED);
		unsetenv("HTTPS_PROXY");
		pthread_join(p.thread, NULL);
		close(p.listener);
		if (!strstr(ran.out, rows[i].text))
			fail_msg("\"%s\" is not in:\n%s", rows[i].text, ran.out);
		assert_steps(i == 3 ? "proxy ok|tls fail" : "proxy fail", true);
		assert_ptr_equal(strstr(p.asked, "CONNECT 127.0.0.1:443 HTTP/1.1\r\n"), p.asked);
	}
}

static int enter(void **state)
{
	char *path = strdup("/tmp/postern-check-XXXXXX");

	*state = path;
	signal(SIGPIPE, SIG_IGN);
	unsetenv("HTTPS_PROXY");
	unsetenv("https_proxy");
	unsetenv("NO_PROXY");
	unsetenv("no_proxy");
	ca = certs_make_ca("Example Ltd");
	other_ca = certs_make_ca("Others Ltd");
	return mkdtemp(path) && chdir(path) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	certs_free_ca(&ca);
	certs_free_ca(&other_ca);
	return command_line_leave(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_an_impostor_is_told),
		cmocka_unit_test(test_nothing_there),
		cmocka_unit_test(test_proxy_refuses),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
