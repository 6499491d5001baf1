/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner: runs worlds, each in a process of its own, and holds what they found against `known`.
 *
 *   worlds [--seeds N] [--from SEED] [--jobs N] [--stop] [--world NAME]...
 *   worlds --world NAME --seed SEED [-v]      one of them, traced by -v
 *
 * With --stop the first seed that fails is the last.
 *
 * `known` beside the sources has one line for each property that is broken today: the world's name,
 * the property's, and the issue that mends it. A property that breaks without standing there fails
 * the run, and so does one that stands there and broke in no seed.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"
#include "core/sanitized.h"
#include "tests/world/broken.h"
#include "tests/world/people.h"
#include "tests/world/programs.h"
#include "tests/world/worlds.h"

#define LIMIT_S	     60u /* of real time, for one world */
#define JOBS_MAX     16u
#define ENOUGH_SEEDS 50u /* for what chance decides */
#define KNOWN	     "tests/world/known"

struct known {
	char world[32], property[48];
	unsigned issue;
	uint64_t met; /* in so many seeds */
	uint64_t ran; /* of so many */
};

struct job {
	pid_t pid; /* 0: none */
	int fd;
	uint64_t seed;
	char output[8192];
	size_t len;
	char fingerprint[24];
};

static struct {
	uint64_t seeds, from, one;
	unsigned jobs;
	const char *names[32];
	size_t name_count;
	bool verbose, has_one, stop;
} options = {.seeds = 20, .from = 1, .jobs = 1};

static struct known known[64];
static size_t known_count;
static uint64_t failures;

/* ---- one world ---- */

static void child(const struct world_kind *kind, uint64_t seed, int fd)
{
	const struct broken *list;

	alarm(LIMIT_S * (SANITIZED ? 5 : 1));
	k_trace_on = world_verbose = options.verbose;
	world_begin(seed);
	if (world_play(kind->run))
		world_end();
	else
		world_leaks();
	for (size_t i = 0, n = broken_list(&list); i < n; i++)
		dprintf(fd, "%s\t%s\n", list[i].property, list[i].how);
	dprintf(fd, "#%016llx\n", (unsigned long long)world_fingerprint());
	if (!world_may_leak())
		leak_check();
	_exit(0);
}

/* ---- known ---- */

static void read_known(void)
{
	FILE *f = fopen(KNOWN, "re");
	char line[256];

	if (!f) {
		fprintf(stderr, KNOWN ": %s (run this from the top of the tree)\n",
			strerror(errno));
		exit(2);
	}
	while (fgets(line, sizeof(line), f)) {
		struct known *k = &known[known_count];

		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (known_count == sizeof(known) / sizeof(known[0]) ||
		    sscanf(line, "%31s %47s %u", k->world, k->property, &k->issue) != 3) {
			fprintf(stderr, KNOWN ": what does this mean? %s", line);
			exit(2);
		}
		known_count++;
	}
	fclose(f);
}

static struct known *find_known(const char *world, const char *property)
{
	for (size_t i = 0; i < known_count; i++)
		if (strcmp(known[i].world, world) == 0 && strcmp(known[i].property, property) == 0)
			return &known[i];
	return NULL;
}

/* ---- many worlds ---- */

static void start(struct job *j, const struct world_kind *kind, uint64_t seed)
{
	int ends[2];

	if (pipe2(ends, 0) < 0) {
		perror("pipe");
		exit(2);
	}
	fflush(NULL);
	j->pid = fork();
	if (j->pid == 0) {
		close(ends[0]);
		child(kind, seed, ends[1]);
	}
	close(ends[1]);
	*j = (struct job){.pid = j->pid, .fd = ends[0], .seed = seed};
}

static void complain(const struct world_kind *kind, uint64_t seed, const char *what)
{
	printf("  FAILED %s, seed %llu: %s\n      replay: make world NAME=%s SEED=%llu\n",
	       kind->name, (unsigned long long)seed, what, kind->name, (unsigned long long)seed);
	fflush(stdout);
}

/* Whether all that broke is known. */
static bool judge(const struct world_kind *kind, struct job *j, int status)
{
	char what[64];
	bool ok = true;

	for (char *line = j->output; *line;) {
		char *end = line + strcspn(line, "\n"),
		     *tab = memchr(line, '\t', (size_t)(end - line));
		struct known *k;

		if (*end)
			*end++ = '\0';
		if (tab)
			*tab = '\0';
		if (line[0] == '#') {
			snprintf(j->fingerprint, sizeof(j->fingerprint), "%s", line);
			line = end;
			continue;
		}
		k = find_known(kind->name, line);
		if (k) {
			k->met++;
		} else {
			if (tab)
				*tab = ' ';
			complain(kind, j->seed, line);
			ok = false;
		}
		line = end;
	}
	if (WIFSIGNALED(status))
		snprintf(what, sizeof(what), "%s",
			 WTERMSIG(status) == SIGALRM ? "it does not end"
						     : strsignal(WTERMSIG(status)));
	else
		snprintf(what, sizeof(what), "exit status %d", WEXITSTATUS(status));
	if (status) {
		complain(kind, j->seed, what);
		ok = false;
	}
	return ok;
}

/* Waits for one of the jobs to end. */
static bool finish_one(const struct world_kind *kind, struct job *jobs)
{
	struct pollfd p[JOBS_MAX];
	int status;

	for (;;) {
		for (unsigned i = 0; i < options.jobs; i++)
			p[i] = (struct pollfd){.fd = jobs[i].pid ? jobs[i].fd : -1,
					       .events = POLLIN};
		(void)poll(p, options.jobs, -1);
		for (unsigned i = 0; i < options.jobs; i++) {
			struct job *j = &jobs[i];
			ssize_t n;

			if (!p[i].revents)
				continue;
			n = read(j->fd, j->output + j->len, sizeof(j->output) - 1 - j->len);
			if (n > 0) {
				j->len += (size_t)n;
				continue;
			}
			close(j->fd);
			(void)waitpid(j->pid, &status, 0);
			j->pid = 0;
			return judge(kind, j, status);
		}
	}
}

/* Worlds at the limit of memory: which stranger has to go there hangs on what each takes to the
 * byte, and so on the length of a signature, which is not the seed's. */
static bool hangs_on_bytes(const struct world_kind *kind)
{
	return kind->run == world_hoarders || kind->run == world_documents;
}

/* The first seed, twice: it must go the same way. What it met counts once. */
static bool replays(const struct world_kind *kind, uint64_t seed)
{
	struct job jobs[JOBS_MAX] = {{0}};
	char first[sizeof(jobs[0].fingerprint)];

	for (unsigned i = 0; i < 2; i++) {
		start(&jobs[0], kind, seed);
		if (!finish_one(kind, jobs))
			return false;
		if (i == 0)
			memcpy(first, jobs[0].fingerprint, sizeof(first));
		for (size_t k = 0; i == 0 && k < known_count; k++)
			if (strcmp(known[k].world, kind->name) == 0)
				known[k].met = 0;
	}
	if (hangs_on_bytes(kind) || strcmp(first, jobs[0].fingerprint) == 0)
		return true;
	complain(kind, seed, "it does not go the same way again");
	return false;
}

static bool wanted(const struct world_kind *kind)
{
	for (size_t i = 0; i < options.name_count; i++)
		if (strcmp(options.names[i], kind->name) == 0)
			return true;
	return options.name_count == 0;
}

static double clock_s(void)
{
	struct timespec ts;

	timespec_get(&ts, TIME_UTC);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t run_kind(const struct world_kind *kind)
{
	uint64_t count = options.has_one ? 1 : (options.seeds * kind->share + 99) / 100;
	uint64_t next = options.has_one ? options.one : options.from, bad = 0;
	uint64_t done = 0, started = 0;
	struct job jobs[JOBS_MAX] = {{0}};
	double began = clock_s();

	if (!options.has_one) {
		bad += !replays(kind, next++);
		done = started = 1;
	}
	for (;;) {
		unsigned free_job = 0;

		if (options.stop && bad > 0)
			count = started; /* those that run are waited for */
		if (done >= count)
			break;
		while (free_job < options.jobs && jobs[free_job].pid)
			free_job++;
		if (started < count && free_job < options.jobs) {
			start(&jobs[free_job], kind, next++);
			started++;
			continue;
		}
		bad += !finish_one(kind, jobs);
		done++;
	}
	if (bad == 0)
		printf("  ok     %-20s %4llu seeds (%.1f s)\n", kind->name,
		       (unsigned long long)count, clock_s() - began);
	fflush(stdout);
	for (size_t i = 0; i < known_count; i++)
		if (strcmp(known[i].world, kind->name) == 0)
			known[i].ran = kind->share == 1 ? ENOUGH_SEEDS : count;
	failures += bad;
	return count;
}

/* Of a few seeds that chance decides, none may have met it; of many, or the only one, that tells.
 */
static void judge_known(void)
{
	for (size_t i = 0; i < known_count; i++) {
		const struct known *k = &known[i];

		if (k->ran == 0)
			continue;
		if (k->met == 0 && k->ran >= ENOUGH_SEEDS) {
			printf("  FAILED %s: %s holds: take it off " KNOWN "\n", k->world,
			       k->property);
			failures++;
		} else {
			printf("  known  %s: %s is broken until issue %u (met %llu times)\n",
			       k->world, k->property, k->issue, (unsigned long long)k->met);
		}
	}
}

static _Noreturn void usage(void)
{
	fprintf(stderr,
		"usage: worlds [--seeds N] [--from SEED] [--jobs N] [--stop] [--world NAME]...\n"
		"       worlds --world NAME --seed SEED [-v]\nworlds:");
	for (const struct world_kind *w = worlds; w->name; w++)
		fprintf(stderr, " %s", w->name);
	fputc('\n', stderr);
	exit(2);
}

static void parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "-v") == 0) {
			options.verbose = true;
			continue;
		}
		if (strcmp(argv[i], "--stop") == 0) {
			options.stop = true;
			continue;
		}
		if (!value)
			usage();
		if (strcmp(argv[i], "--seeds") == 0)
			options.seeds = strtoull(value, NULL, 10);
		else if (strcmp(argv[i], "--from") == 0)
			options.from = strtoull(value, NULL, 10);
		else if (strcmp(argv[i], "--jobs") == 0)
			options.jobs = (unsigned)strtoul(value, NULL, 10);
		else if (strcmp(argv[i], "--world") == 0 && options.name_count < 32)
			options.names[options.name_count++] = value;
		else if (strcmp(argv[i], "--seed") == 0)
			options.has_one = true, options.one = strtoull(value, NULL, 10);
		else
			usage();
		i++;
	}
	if (options.jobs < 1 || options.jobs > JOBS_MAX)
		options.jobs = 1;
}

/* The TLS library must take its randomness from us alone (calls.c). */
static void without_the_processors_chance(char **argv)
{
	if (getenv("OPENSSL_ia32cap"))
		return;
	setenv("OPENSSL_ia32cap", "~0x4000000000000000", 1);
	execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
	uint64_t count = 0;

	without_the_processors_chance(argv);
	parse(argc, argv);
	read_known();
	log_open("world", LOG_LEVEL_NOTICE);
	k_begin(0);
	calls_seed(0);
	programs_prepare();
	people_prepare();
	for (const struct world_kind *w = worlds; w->name; w++)
		if (wanted(w) && !(options.stop && failures > 0))
			count += run_kind(w);
	if (count == 0)
		usage();
	if (!options.has_one)
		judge_known();
	printf("%llu passed, %llu failed\n",
	       (unsigned long long)(count > failures ? count - failures : 0),
	       (unsigned long long)failures);
	return failures > 0;
}
