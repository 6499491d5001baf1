/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: one input is one script in one child process.
 *
 * The name by which the fuzzer is called says which machine. TRACE=1 in the environment tells what
 * happens, for an input that is replayed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/log.h"
#include "fuzz/machines/machine.h"
#include "tests/world/broken.h"
#include "tests/world/people.h"
#include "tests/world/programs.h"
#include "tests/world/ring_sim.h"

#define SEED	   7u
#define CHILD_S	   30u	/* of processor time: a script takes some tenths */
#define ASLEEP_S   500u /* of real time, on a machine with much other work */
#define FAULTS	   8u
#define EXIT_FOUND 77 /* as the fuzzer's own */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct script script;

static const struct machine *const machines[] = {&machine_front, &machine_site,	   &machine_link,
						 &machine_leg,	 &machine_console, &machine_channel,
						 &machine_policy};
static const struct machine *machine;

/* ---- what a child tells ---- */

/* The compiler's counters of this program: one byte for each edge. */
extern uint8_t __start___sancov_cntrs[] __attribute__((weak, visibility("hidden")));
extern uint8_t __stop___sancov_cntrs[] __attribute__((weak, visibility("hidden")));

int __lsan_do_recoverable_leak_check(void);
int __sanitizer_install_malloc_and_free_hooks(void (*m)(const volatile void *, size_t),
					      void (*f)(const volatile void *));

/* Shared with the children. */
static struct {
	int64_t balance; /* allocations of the script that were not freed, less what it freed */
	uint8_t counters[];
} * told;

static int64_t balance, balance_of_nothing;
static size_t counters_len;

static void note_malloc(const volatile void *p, size_t n)
{
	balance++;
}

static void note_free(const volatile void *p)
{
	balance -= p != NULL;
}

/* ---- a script ---- */

static void play(void)
{
	size_t count = 0;

	while (machine->acts[count].name)
		count++;
	for (unsigned n = 0; !script_over() && n < machine->acts_most; n++) {
		const struct act *a = &machine->acts[script_below((unsigned)count)];

		world_tell("---- %s", a->name);
		a->run();
	}
	world_tell("---- the script is over");
	machine->clear();
}

static bool any_broken(void)
{
	const struct broken *list;
	size_t n = broken_list(&list);

	for (size_t i = 0; i < n; i++)
		fprintf(stderr, "BROKEN %s: %s\n", list[i].property, list[i].how);
	return n > 0;
}

/* Looking for leaks takes its time: it is done when the numbers do not agree with those of a
 * script that does nothing. */
static void child(const uint8_t *data, size_t len)
{
	const struct sigaction ends = {.sa_handler = SIG_DFL}; /* the fuzzer's own does not */
	const struct itimerval most = {.it_value.tv_sec = CHILD_S};
	unsigned seed;

	(void)sigaction(SIGALRM, &ends, NULL);
	(void)sigaction(SIGPROF, &ends, NULL);
	(void)setitimer(ITIMER_PROF, &most, NULL);
	alarm(ASLEEP_S);
	script = (struct script){data, len};
	seed = script_byte();
	k_dice = dice_of(seed, 1);
	ring_sim_seed(seed);
	k_faults.short_io = 40 * (seed % FAULTS);
	balance = 0;
	if (world_play(play))
		world_end();
	if (any_broken())
		abort();
	if (balance != balance_of_nothing && !world_may_leak() &&
	    __lsan_do_recoverable_leak_check())
		abort();
	told->balance = balance;
	memcpy(told->counters, __start___sancov_cntrs, counters_len);
	_exit(0);
}

/* What is found the child has told, and kept for the fuzzer, before it died. */
static void run(const uint8_t *data, size_t len)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (pid == 0)
		child(data, len);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status == 0) {
		memcpy(__start___sancov_cntrs, told->counters, counters_len);
		return;
	}
	if (WIFSIGNALED(status)) { /* it could not */
		fprintf(stderr, "a script ends by signal %d%s\n", WTERMSIG(status),
			WTERMSIG(status) == SIGPROF   ? ": it takes too long"
			: WTERMSIG(status) == SIGALRM ? ": it waits for ever"
						      : "");
		abort();
	}
	_exit(EXIT_FOUND);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	run(data, len);
	return 0;
}

/* ---- before the first ---- */

static void set_the_stage(void)
{
	log_open("fuzz", LOG_LEVEL_NOTICE);
	k_begin(0);
	calls_seed(0);
	programs_prepare();
	people_prepare();
	world_begin(SEED);
	machine->set();
	if (any_broken())
		world_broken("the stage of %s cannot be set", machine->name);
}

/* A thread of the fuzzer's beside this one may hold a lock of the allocator while a child is
 * forked, which then waits for it for ever: so it starts none. The memory of a child it would not
 * see. */
static void without_threads(int *argc, char ***argv)
{
	static char no_rss_thread[] = "-rss_limit_mb=0";
	char **more = calloc((size_t)*argc + 2, sizeof(*more));

	if (!more)
		exit(1);
	memcpy(more, *argv, (size_t)*argc * sizeof(*more));
	more[(*argc)++] = no_rss_thread;
	*argv = more;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *slash = strrchr((*argv)[0], '/'), *name = slash ? slash + 1 : (*argv)[0];

	if (!getenv("OPENSSL_ia32cap")) { /* the TLS library's chance must be ours (calls.c) */
		setenv("OPENSSL_ia32cap", "~0x4000000000000000", 1);
		execv("/proc/self/exe", *argv);
	}
	without_threads(argc, argv);
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++)
		if (strcmp(machines[i]->name, name) == 0)
			machine = machines[i];
	if (!machine) {
		fprintf(stderr, "%s: there is no machine of this name\n", name);
		exit(2);
	}
	k_trace_on = world_verbose = getenv("TRACE") != NULL;
	counters_len = (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs);
	told = mmap(NULL, sizeof(*told) + counters_len, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (told == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	set_the_stage();
	if (!__sanitizer_install_malloc_and_free_hooks(note_malloc, note_free))
		world_broken("allocations cannot be counted");
	balance_of_nothing = INT64_MAX;
	run(NULL, 0);
	balance_of_nothing = told->balance;
	return 0;
}
