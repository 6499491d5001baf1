/* SPDX-License-Identifier: Apache-2.0 */
/* load: options, the two ends, and the coordinator; see load.h. Prints one JSON object. */
#include "bench/load.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct load_path *const paths[] = {
	&load_path_direct, &load_path_tcp, &load_path_strelay, &load_path_postern, &load_path_stun};
static const struct load_test *const tests[] = {&load_test_bulk, &load_test_ping, &load_test_rate,
						&load_test_idle, &load_test_stun};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char usage[] =
	"usage: load --path direct|tcp|strelay|postern --test bulk|ping|rate|idle [options]\n"
	"       load --path stun --test stun [options]\n"
	"  --relay ADDR:PORT     where the relay listens\n"
	"  --backend ADDR:PORT   where the sink listens (direct, tcp)\n"
	"  --pid PID             a process of the relay; may be repeated\n"
	"  --sessions N          1; stun: ports to ask from\n"
	"  --workers N           threads that set sessions up; 8\n"
	"  --rate N              ping: round trips per second in all; 0: as fast as they go\n"
	"  --prepared N          rate: sessions to prepare before the clock starts; 0\n"
	"  --warm S --seconds S  0.3 and 2\n"
	"  --deadline S          give up after; 60\n"
	"  --source FILE --sink FILE   the two agents' bundles (postern)\n"
	"  --console FILE --poll N     a console asks for the status N times a second (postern)\n";

enum {
	OPT_PATH = 1,
	OPT_TEST,
	OPT_RELAY,
	OPT_BACKEND,
	OPT_PID,
	OPT_SESSIONS,
	OPT_WORKERS,
	OPT_RATE,
	OPT_PREPARED,
	OPT_WARM,
	OPT_SECONDS,
	OPT_DEADLINE,
	OPT_SOURCE,
	OPT_SINK,
	OPT_CONSOLE,
	OPT_POLL
};

static const struct option long_options[] = {
	{"path", required_argument, NULL, OPT_PATH},
	{"test", required_argument, NULL, OPT_TEST},
	{"relay", required_argument, NULL, OPT_RELAY},
	{"backend", required_argument, NULL, OPT_BACKEND},
	{"pid", required_argument, NULL, OPT_PID},
	{"sessions", required_argument, NULL, OPT_SESSIONS},
	{"workers", required_argument, NULL, OPT_WORKERS},
	{"rate", required_argument, NULL, OPT_RATE},
	{"prepared", required_argument, NULL, OPT_PREPARED},
	{"warm", required_argument, NULL, OPT_WARM},
	{"seconds", required_argument, NULL, OPT_SECONDS},
	{"deadline", required_argument, NULL, OPT_DEADLINE},
	{"source", required_argument, NULL, OPT_SOURCE},
	{"sink", required_argument, NULL, OPT_SINK},
	{"console", required_argument, NULL, OPT_CONSOLE},
	{"poll", required_argument, NULL, OPT_POLL},
	{NULL, 0, NULL, 0},
};

static unsigned number(const char *text, unsigned max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || n > max)
		load_fail("'%s' is not a number up to %u", text, max);
	return (unsigned)n;
}

static struct addr address(const char *text)
{
	struct addr a;

	if (!addr_parse(text, &a))
		load_fail("'%s' is not ADDRESS:PORT", text);
	return a;
}

static const struct load_path *find_path(const char *name)
{
	for (size_t i = 0; i < COUNT(paths); i++)
		if (strcmp(paths[i]->name, name) == 0)
			return paths[i];
	load_fail("no path '%s'; there are direct, tcp, strelay, postern, stun", name);
}

static const struct load_test *find_test(const char *name)
{
	for (size_t i = 0; i < COUNT(tests); i++)
		if (strcmp(tests[i]->name, name) == 0)
			return tests[i];
	load_fail("no test '%s'; there are bulk, ping, rate, idle, stun", name);
}

static void take_option(struct load_options *o, int opt, const char *arg)
{
	switch (opt) {
	case OPT_PATH:
		o->path = find_path(arg);
		break;
	case OPT_TEST:
		o->test = find_test(arg);
		break;
	case OPT_RELAY:
		o->relay = address(arg);
		break;
	case OPT_BACKEND:
		o->backend = address(arg);
		break;
	case OPT_PID:
		if (o->pid_count == LOAD_PIDS_MAX)
			load_fail("more than %u processes", LOAD_PIDS_MAX);
		o->pids[o->pid_count++] = (int)number(arg, 1u << 22);
		break;
	case OPT_SESSIONS:
		o->sessions = number(arg, 19000);
		break;
	case OPT_WORKERS:
		o->workers = number(arg, LOAD_WORKERS_MAX);
		break;
	case OPT_RATE:
		o->rate = number(arg, 1000000);
		break;
	case OPT_PREPARED:
		o->prepared = number(arg, 10000);
		break;
	case OPT_WARM:
		o->warm_s = atof(arg);
		break;
	case OPT_SECONDS:
		o->seconds = atof(arg);
		break;
	case OPT_DEADLINE:
		o->deadline_s = number(arg, 3600);
		break;
	case OPT_SOURCE:
		o->source_bundle = arg;
		break;
	case OPT_SINK:
		o->sink_bundle = arg;
		break;
	case OPT_CONSOLE:
		o->console_bundle = arg;
		break;
	case OPT_POLL:
		o->poll = number(arg, 1000);
		break;
	default:
		fputs(usage, stderr);
		exit(2);
	}
}

static pid_t start_end(const struct load_options *o, struct load_shared *s, bool source)
{
	pid_t pid = fork();

	if (pid < 0)
		load_fail("fork: %s", strerror(errno));
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(o->deadline_s);
	if (source) {
		void *state = o->path->source_start(o, s);

		o->test->source(o, s, state);
	} else {
		void *state = o->path->sink_start(o, s);

		atomic_store(&s->sink_ready, true);
		o->test->sink(o, s, state);
	}
	_exit(0);
}

static pid_t ends[2];

static void on_end_gone(int sig)
{
	static const char text[] = "load: one end has gone; no result\n";
	int status;
	bool ours = false;

	/* SIGCHLD: an end that exits before the coordinator has its result has failed. */
	for (int i = 0; i < 2; i++)
		ours |= ends[i] > 0 && waitpid(ends[i], &status, WNOHANG) == ends[i];
	if (!ours)
		return;
	for (int i = 0; i < 2; i++)
		if (ends[i] > 0 && kill(ends[i], SIGKILL) == 0)
			waitpid(ends[i], &status, 0);
	if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
		_exit(2);
	_exit(1);
}

static void wait_for(_Atomic bool *flag)
{
	while (!atomic_load(flag))
		load_sleep_ms(2);
}

int main(int argc, char **argv)
{
	struct load_options o = {
		.sessions = 1, .workers = 8, .warm_s = 0.3, .seconds = 2, .deadline_s = 60};
	struct load_shared *s;
	int opt;

	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		take_option(&o, opt, optarg);
	if (!o.path || !o.test || optind != argc || !o.sessions || !o.workers) {
		fputs(usage, stderr);
		return 2;
	}
	s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		load_fail("mmap: %s", strerror(errno));
	load_usage_of(o.pids, o.pid_count, true, &s->before);
	signal(SIGCHLD, on_end_gone);
	alarm(o.deadline_s);
	ends[0] = start_end(&o, s, false);
	wait_for(&s->sink_ready);
	ends[1] = start_end(&o, s, true);
	wait_for(&s->source_ready);
	if (o.poll > 0)
		load_poll_start(&o, s);
	o.test->report(&o, s);
	fflush(stdout);
	signal(SIGCHLD, SIG_DFL);
	for (int i = 0; i < 2; i++) {
		kill(ends[i], SIGKILL);
		waitpid(ends[i], NULL, 0);
	}
	return 0;
}
