/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat_commands_test: 'postern nat' and 'postern stun': what they ask natd and STUN servers, what
 * they make of the answers, and their exit status. natd is a script of answers; the trial where
 * none runs is the test's.
 *
 * links: tests/support/stun_thread.c tests/support/command_line.c ctl/nat/nat.c ctl/nat/stun.c
 * links: ctl/nat/ask.c ctl/nat/reach.c ctl/nat/behaviour.c ctl/nat/questions.c ctl/nat/conclude.c portmap/engine/truth.c ctl/nat/report.c
 * links: ctl/nat/stun_report.c ctl/talk/[a-z]*.c ctl/terminal/[a-z]*.c agent/agent.c
 * links: agent/engine/[a-z]*.c agent/config/[a-z]*.c agent/worker/[a-z]*.c
 * links: agent/relays/[a-z]*.c agent/session/[a-z]*.c agent/entrance/[a-z]*.c
 * links: agent/control/[a-z]*.c core/[a-z]*.c core/conf/[a-z]*.c core/parse/[a-z]*.c
 * links: core/engine/[a-z]*.c core/program/[a-z]*.c stun/[a-z]*.c stun/client/[a-z]*.c
 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

#include "ctl/nat/nat.h"
#include "ctl/nat/trial.h"
#include "tests/support/command_line.h"
#include "tests/support/stun_thread.h"

static const struct command *const tables[] = {stun_commands, nat_commands, NULL};
static struct command_line ran;

/* ---- natd ---- */

/* What it says on each connection, and what it has heard; natd/sock is its socket. */
struct natd_script {
	const char *says[3]; /* NULL: that connection is the last; the directory goes with it */
	char heard[4096];
	int listener;
	pthread_t thread;
};

static void *natd_run(void *arg)
{
	struct natd_script *n = arg;
	size_t len = 0;
	ssize_t got;

	for (size_t i = 0; i < 3 && n->says[i]; i++) {
		int fd = accept4(n->listener, NULL, NULL, SOCK_CLOEXEC);

		(void)!send(fd, n->says[i], strlen(n->says[i]), MSG_NOSIGNAL);
		shutdown(fd, SHUT_WR);
		if (!n->says[i + 1]) { /* a socket's path below a file is no path */
			unlink("natd/sock");
			rmdir("natd");
			close(creat("natd", 0600));
		}
		while ((got = recv(fd, n->heard + len, sizeof(n->heard) - 1 - len, 0)) > 0)
			len += (size_t)got;
		close(fd);
	}
	return NULL;
}

static void natd_begin(struct natd_script *n)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "natd/sock"};

	unlink("natd");
	assert_int_equal(mkdir("natd", 0700), 0);
	n->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(n->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(n->listener, 4), 0);
	assert_int_equal(pthread_create(&n->thread, NULL, natd_run, n), 0);
}

static void natd_end(struct natd_script *n)
{
	pthread_join(n->thread, NULL);
	close(n->listener);
}

/* ---- the trial ---- */

static const char *trial_result; /* NULL: it fails */
static unsigned trials;
static size_t trial_servers;

json_t *nat_trial(const struct endpoint *stun, size_t count)
{
	trials++;
	trial_servers = count;
	return trial_result ? json_loads(trial_result, 0, NULL) : NULL;
}

/* ---- running ---- */

static void assert_says(const char *all, const char *part)
{
	if (!strstr(all, part))
		fail_msg("\"%s\" is not in:\n%s", part, all);
}

static void run(const char *line, enum status status)
{
	command_line_run(&ran, tables, line);
	if (ran.status != status)
		fail_msg("%s: ended with %d, not %d\n%s%s", line, ran.status, status, ran.out,
			 ran.err);
}

/* Of one connection. */
static void run_with(const char *says, const char *line, enum status status, const char *heard)
{
	struct natd_script n = {.says = {says}};

	natd_begin(&n);
	run(line, status);
	natd_end(&n);
	if (heard)
		assert_says(n.heard, heard);
}

#define NETWORK "\"network\": {\"up\": true, \"interface\": \"eth0\", \"gateway\": \"10.0.0.1\"}"
#define HELD                                                                                       \
	"{\"name\": \"tcp 443\", \"family\": \"ipv4\", \"state\": \"mapped\", \"external\": "      \
	"\"203.0.113.7:443\"}"
#define REFUSED		   "{\"name\": \"tcp 443\", \"family\": \"ipv4\", \"state\": \"refused\"}"
#define ONE_NAT		   "\"external\": {\"verdict\": \"one_nat\", \"sentence\": \"one NAT\"}"
#define TWO_NAT		   "\"external\": {\"verdict\": \"double_nat\", \"sentence\": \"two NATs\"}"
#define PLAUSIBLE	   "\"external\": {\"verdict\": \"plausible\", \"sentence\": \"perhaps\"}"
#define OFFLINE		   "\"external\": {\"verdict\": \"offline\", \"sentence\": \"none\"}"
#define ANSWER(id, result) "{\"id\": " #id ", \"result\": " result "}\n"

static void test_status_ends_as_its_mappings(void **state)
{
	run_with(ANSWER(1, "{" NETWORK ", \"mappings\": [" REFUSED ", " HELD "]}"),
		 "nat status --socket natd/sock", STATUS_OK, "\"method\":\"status\"");
	assert_says(ran.out, "203.0.113.7:443");
	run_with(ANSWER(1, "{" NETWORK ", \"mappings\": [" REFUSED "]}"),
		 "nat status --socket natd/sock", STATUS_FAILED, NULL);
	run_with(ANSWER(1, "{" NETWORK ", \"mappings\": []}"),
		 "nat status --socket natd/sock --json", STATUS_OK, NULL);
	assert_says(ran.out, "\"mappings\": []");
	/* What the gateway granted leads nowhere while the line is down. */
	run_with(ANSWER(1, "{" NETWORK ", " OFFLINE ", \"mappings\": [" HELD "]}"),
		 "nat status --socket natd/sock", STATUS_NO_WAY, NULL);
	assert_says(ran.out, "offline: none");
	run_with("", "nat status --socket natd/sock", STATUS_FAILED, NULL);
	assert_says(ran.err, "the connection ended");
	run("nat status --socket nowhere", STATUS_FAILED);
	assert_says(ran.err, "start one by 'postern-natd --socket nowhere --map tcp:443'");
	run("nat status --as console.yaml", STATUS_USAGE);
	assert_says(ran.err, "--as leads to no natd");
	run("nat renew --at relay:443", STATUS_USAGE);
}

static void test_renew(void **state)
{
	run_with(ANSWER(1, "{}"), "nat renew --socket natd/sock", STATUS_OK,
		 "\"method\":\"renew\"");
	run_with("{\"id\": 1, \"error\": {\"code\": -32001, \"message\": \"only root may\"}}\n",
		 "nat renew --socket natd/sock", STATUS_FAILED, NULL);
	assert_says(ran.err, "only root may");
	assert_string_equal(ran.out, "");
}

/* Goes on when natd comes back, and asks anew what is so. */
static void test_watch(void **state)
{
	struct natd_script n = {
		.says = {ANSWER(1, "{}") ANSWER(
				 2, "{" NETWORK
				    ", \"mappings\": []}") "{\"method\": \"event\", "
							   "\"params\": {\"kind\": \"verdict\", "
							   "\"at\": \"12:00\", "
							   "\"sentence\": \"all is well\"}}\n",
			 ANSWER(1, "{}") ANSWER(2, "{" NETWORK ", \"mappings\": [" HELD "]}")}};
	const char *back, *held;

	natd_begin(&n);
	run("nat watch --socket natd/sock", STATUS_FAILED);
	natd_end(&n);
	assert_says(n.heard, "{\"follow\":true,\"limit\":0}");
	assert_says(ran.out, "12:00 all is well\n");
	assert_says(ran.out, "natd has gone; waiting for it to come back\n");
	back = strstr(ran.out, "natd is there again\n");
	held = strstr(ran.out, "203.0.113.7:443");
	assert_true(back && held && back < held);
	assert_says(ran.err, "natd/sock: ");
}

#define MAPPING(state, more)                                                                       \
	"{\"name\": \"tcp 8443 -> 443\", \"protocol\": \"tcp\", \"family\": \"ipv4\", "            \
	"\"port\": 8443, \"state\": \"" state "\", \"why\": \"so it is\"" more "}"
#define GRANTED	      ", \"external\": \"203.0.113.7:443\", \"kind\": \"mapping\""
#define EVENT(params) "{\"method\": \"event\", \"params\": " params "}\n"
#define ASKED	      ANSWER(1, "{}") ANSWER(2, "{\"mapping\": " MAPPING("requested", "") "}")

static void test_map_for_a_lease(void **state)
{
	run_with(ASKED EVENT(MAPPING("mapped", GRANTED)),
		 "nat map tcp:8443:443 --lease 1h --name web --socket natd/sock", STATUS_OK,
		 "\"method\":\"map\"");
	assert_string_equal(ran.out, "tcp 8443 -> 443 is mapped at 203.0.113.7:443: so it is\n");
	run_with(ASKED EVENT(MAPPING("refused", ", \"kind\": \"mapping\"")),
		 "nat map tcp:8443:443 --lease 1h --socket natd/sock", STATUS_FAILED,
		 "\"external\":443");
	assert_says(ran.out, "is refused: so it is");
	assert_says(ran.err, "has granted nothing; it is asked no longer");
	assert_says(ran.err, "as in tcp:8443:40443, any by tcp:8443:any");
	/* No port opens after it has failed. */
	run_with(ANSWER(1, "{}") ANSWER(2, "{\"mapping\": " MAPPING("refused", "") "}"),
		 "nat map tcp:8443:443 --lease 1h --socket natd/sock", STATUS_FAILED,
		 "\"method\":\"unmap\"");
	/* Of another port, and of another family. */
	run_with(ASKED EVENT("{\"kind\": \"mapping\", \"protocol\": \"tcp\", \"family\": \"ipv4\", "
			     "\"port\": 8444, \"state\": \"mapped\"}"),
		 "nat map tcp:8443 --lease 90s --any --socket natd/sock", STATUS_FAILED,
		 "\"lease_s\":90");
	assert_says(ran.err, "natd has gone");
	assert_string_equal(ran.out, "");
	run_with(ANSWER(1, "{}") "{\"id\": 2, \"error\": {\"code\": -32001, \"message\": \"you may "
				 "not\"}}\n",
		 "nat map tcp:8443 --lease 1h --socket natd/sock", STATUS_FAILED, NULL);
	assert_says(ran.err, "you may not");
}

/* Asks again when natd is there again; ends where natd says that it keeps it no longer. */
static void test_map_that_stays(void **state)
{
	char over[512];
	struct natd_script n = {.says = {ASKED EVENT(MAPPING("mapped", GRANTED)), over}};

	snprintf(over, sizeof(over),
		 ASKED EVENT("{\"kind\": \"ask\", \"protocol\": \"tcp\", \"family\": \"ipv4\", "
			     "\"port\": 8443, \"user\": %u, \"why\": \"not any more\"}"),
		 (unsigned)geteuid());
	natd_begin(&n);
	run("nat map tcp:8443:443 --socket natd/sock", STATUS_FAILED);
	natd_end(&n);
	assert_says(ran.out, "is mapped at 203.0.113.7:443");
	assert_says(ran.err, "natd has gone; it is asked again when it is there");
	assert_says(ran.err, "natd keeps it no longer: not any more");
	assert_null(strstr(n.heard, "lease_s"));
	assert_non_null(strstr(strstr(n.heard, "\"method\":\"map\"") + 1, "\"method\":\"map\""));
}

static void test_unmap(void **state)
{
	run_with(ANSWER(1, "{}"), "nat unmap udp:5000 --ipv6 --socket natd/sock", STATUS_OK,
		 "\"method\":\"unmap\"");
	assert_says(ran.out, "udp 5000 is taken back");
	run("nat unmap nothing --socket natd/sock", STATUS_USAGE);
}

static void test_words_of_a_mapping(void **state)
{
	static const char *const wrong[] = {"tcp",	 "tcp:0",   "sctp:1",	"tcp:1:2:3",
					    "tcp:65536", "tcp:1:0", "tcp:1-2",	"udp:1:an",
					    "tcp:+1",	 "8443",    "tcp:8443:"};
	char line[128];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(line, sizeof(line), "nat map %s --socket nowhere", wrong[i]);
		run(line, STATUS_USAGE);
		assert_says(ran.err, "is no mapping; write it like tcp:8443");
	}
	run("nat map tcp:1 --lease 59s --socket nowhere", STATUS_USAGE);
	run("nat map tcp:1 --lease 25h --socket nowhere", STATUS_USAGE);
	assert_says(ran.err, "is no lease; write 1m to 24h");
	run("nat map tcp:1:any --lease 24h --socket nowhere", STATUS_FAILED);
	run("nat map tcp:1 --as console.yaml", STATUS_USAGE);
}

static void test_probe(void **state)
{
	run_with(ANSWER(1, "{" NETWORK ", " ONE_NAT "}") ANSWER(2, "{\"mappings\": [" HELD "]}"),
		 "nat probe --socket natd/sock --json", STATUS_OK, "\"method\":\"probe\"");
	assert_says(ran.out, "\"by\": \"natd\"");
	assert_says(ran.out, "\"reachable\": true");
	assert_int_equal(trials, 0);
	/* Another NAT behind the gateway: the mapping leads nowhere. */
	run_with(ANSWER(1, "{" NETWORK ", " TWO_NAT "}") ANSWER(2, "{\"mappings\": [" HELD "]}"),
		 "nat probe --socket natd/sock", STATUS_UNREACHED, NULL);
	assert_says(ran.out, "only towards another NAT");
	/* natd keeps nothing: it is tried. */
	trial_result = "{" NETWORK ", " ONE_NAT ", \"mappings\": [" REFUSED "]}";
	run_with(ANSWER(1, "{" NETWORK "}") ANSWER(2, "{\"mappings\": []}"),
		 "nat probe --socket natd/sock --json", STATUS_UNREACHED, NULL);
	assert_int_equal(trials, 1);
	assert_says(ran.out, "\"by\": \"trial\"");
	assert_says(ran.out, "\"reachable\": false");
	trial_result = "{" NETWORK ", " PLAUSIBLE ", \"mappings\": [" HELD "]}";
	run("nat probe", STATUS_UNPROVEN);
	trial_result = "{\"network\": {\"up\": false}, " OFFLINE ", \"mappings\": []}";
	run("nat probe", STATUS_NO_WAY);
	trials = 1;
	/* A natd that was named and is not there is a mistake. */
	run("nat probe --socket nowhere", STATUS_FAILED);
	assert_says(ran.err, "without --socket this command asks the gateway itself");
	assert_int_equal(trials, 1);
	assert_string_equal(ran.out, "");
	run("nat probe --stun -- --socket nowhere", STATUS_USAGE);
	run("nat probe --stun a --stun b --stun c --stun d --stun e", STATUS_USAGE);
	run("nat probe --stun a:b", STATUS_USAGE);
}

static void test_probe_asks_the_servers_that_were_named(void **state)
{
	struct stun_thread s = {.no_tcp = true}, refusing = {.no_tcp = true, .refuses = true};
	char line[128];

	stun_thread_open(&s,
			 0); /* tells the truth: there is no NAT, so nothing is sent elsewhere */
	stun_thread_open(&refusing, 0);
	trial_result = "{" NETWORK ", " ONE_NAT ", \"mappings\": [" HELD "]}";
	snprintf(line, sizeof(line), "nat probe --json --stun 127.0.0.1:%u --stun localhost:%u",
		 refusing.port, s.port);
	run(line, STATUS_OK);
	stun_thread_close(&s);
	stun_thread_close(&refusing);
	assert_int_equal(trial_servers, 2);
	/* The one that told most. */
	snprintf(line, sizeof(line), "\"server\": \"localhost:%u\"", s.port);
	assert_says(ran.out, line);
	assert_says(ran.out, "\"external\": \"127.0.0.1:");
	assert_true(s.requests > 0);
}

/* ---- stun ---- */

static void test_stun(void **state)
{
	struct stun_thread s = {.seen.len = 0}, other = {.no_tcp = true},
			   refusing = {.no_tcp = true, .refuses = true};
	char line[128];

	if (!addr_from_literal("198.51.100.7", 4000, &s.seen) ||
	    !addr_from_literal("198.51.100.7", 4001, &other.seen))
		fail();
	stun_thread_open(&s, 0);
	stun_thread_open(&other, 0);
	snprintf(line, sizeof(line), "stun 127.0.0.1:%u", s.port);
	run(line, STATUS_OK);
	assert_says(ran.out, "over UDP      198.51.100.7:4000\n");
	assert_says(ran.out, "over TCP      198.51.100.7:4000\n");
	/* Two servers that see two ports: the NAT maps anew for each. */
	snprintf(line, sizeof(line), "stun 127.0.0.1:%u localhost:%u --json", s.port, other.port);
	run(line, STATUS_OK);
	assert_says(ran.out, "\"external\": \"198.51.100.7:4001\"");
	assert_says(ran.out, "\"agreement\": \"ports_differ\"");
	assert_says(ran.out, "\"why\": \"Connection refused\"");
	/* A wrong word behind a name that is being looked up already. */
	snprintf(line, sizeof(line), "stun localhost:%u !", s.port);
	run(line, STATUS_USAGE);
	assert_says(ran.err, "'!' is no server");
	stun_thread_close(&s);
	stun_thread_close(&other);
	/* An answer that tells no address is none. */
	stun_thread_open(&refusing, 0);
	snprintf(line, sizeof(line), "stun 127.0.0.1:%u", refusing.port);
	run(line, STATUS_FAILED);
	assert_says(ran.out, "over UDP      not known: ");
	stun_thread_close(&refusing);
	run("stun 127.0.0.1 --lifetime 5", STATUS_USAGE);
	run("stun 127.0.0.1 --lifetime 30x", STATUS_USAGE);
	run("stun", STATUS_USAGE);
}

static int enter(void **state)
{
	char *path = strdup("/tmp/postern-nat-XXXXXX");

	*state = path;
	signal(SIGPIPE, SIG_IGN);
	return mkdtemp(path) && chdir(path) == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_ends_as_its_mappings),
		cmocka_unit_test(test_renew),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_map_for_a_lease),
		cmocka_unit_test(test_map_that_stays),
		cmocka_unit_test(test_unmap),
		cmocka_unit_test(test_words_of_a_mapping),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_probe_asks_the_servers_that_were_named),
		cmocka_unit_test(test_stun),
	};

	return cmocka_run_group_tests(tests, enter, command_line_leave);
}
