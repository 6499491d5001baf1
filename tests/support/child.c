/* SPDX-License-Identifier: Apache-2.0 */
/* child: what a test asserts of the processes that it, or the code it tests, has forked. */
#include "tests/support/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

void child_runs(void (*body)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		body();
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static bool lives_now(pid_t pid)
{
	char path[64], text[512] = "";
	bool lives;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	lives = f && fgets(text, sizeof(text), f) && !strstr(text, ") Z ");
	if (f)
		fclose(f);
	return lives;
}

void child_lives(pid_t pid, bool expected)
{
	for (int i = 0; i < 500; i++) {
		if (lives_now(pid) == expected)
			return;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	fail_msg("process %d %s", (int)pid, expected ? "has ended" : "lives on");
}

void child_is_sealed(pid_t pid, uint64_t capabilities)
{
	char path[64], line[256];
	unsigned seen = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long long value;

		if (sscanf(line, "Seccomp: %llu", &value) == 1) {
			assert_int_equal(value, 2);
			seen++;
		} else if (sscanf(line, "NoNewPrivs: %llu", &value) == 1) {
			assert_int_equal(value, 1);
			seen++;
		} else if (sscanf(line, "CapEff: %llx", &value) == 1 ||
			   sscanf(line, "CapPrm: %llx", &value) == 1 ||
			   sscanf(line, "CapInh: %llx", &value) == 1) {
			assert_int_equal(value & ~capabilities, 0);
			seen++;
		}
	}
	fclose(f);
	assert_int_equal(seen, 5);
}
