/* SPDX-License-Identifier: Apache-2.0 */
/*
 * standard: whichever of descriptors 0 to 2 are closed, all are open afterwards, and none that was
 * open is another.
 * links: core/standard.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/standard.h"

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* What a stand-in does. */
static bool stands_in(int stream)
{
	char byte = 'x';

	switch (stream) {
	case STDIN_FILENO:
		return read(stream, &byte, 1) == 0;
	case STDOUT_FILENO:
		return write(stream, &byte, 1) < 0 && errno == EBADF;
	default:
		return write(stream, &byte, 1) == 1;
	}
}

/* 0, or the number of the first thing that is wrong. */
static int child(unsigned closed)
{
	struct stat before[3], after;
	int pair[2];

	for (int i = 0; i < 3; i++) {
		if (fstat(i, &before[i]) < 0)
			return 1;
	}
	for (int i = 0; i < 3; i++) {
		if (closed & (1u << i))
			close(i);
	}
	standard_open();
	for (int i = 0; i < 3; i++) {
		if (fstat(i, &after) < 0)
			return 2;
		if (closed & (1u << i) ? !stands_in(i) : !same_file(&before[i], &after))
			return 3;
	}
	return pipe(pair) == 0 && pair[0] > 2 ? 0 : 4;
}

static void test_all_combinations(void **state)
{
	for (unsigned closed = 0; closed < 8; closed++) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			_exit(child(closed));
		assert_true(pid > 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status != 0)
			fail_msg("closed %u: %d", closed, WEXITSTATUS(status));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_combinations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
