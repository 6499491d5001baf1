/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alone: one natd for each network namespace and interface, and what the second one is told.
 *
 * links: portmap/alone.c core/log*.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "portmap/alone.h"

/* In a process of its own, which ends with 0 when it is the only one. */
static int take(const char *interface, char *why, size_t room)
{
	int status, told[2];
	pid_t child;
	ssize_t n;

	assert_int_equal(pipe(told), 0);
	child = fork();
	if (child == 0) {
		bool only = alone_take(interface, why, room);

		(void)!write(told[1], why, only ? 0 : strlen(why));
		_exit(!only);
	}
	close(told[1]);
	n = read(told[0], why, room - 1);
	why[n > 0 ? n : 0] = '\0';
	close(told[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void the_second_is_told(void **state)
{
	char interface[32], other[32], why[512];

	snprintf(interface, sizeof(interface), "test%u", (unsigned)getpid());
	snprintf(other, sizeof(other), "other%u", (unsigned)getpid());
	/* Its name goes with the process. */
	assert_int_equal(take(interface, why, sizeof(why)), 0);
	assert_int_equal(take(interface, why, sizeof(why)), 0);
	assert_true(alone_take(interface, why, sizeof(why)));
	assert_int_equal(take(interface, why, sizeof(why)), 1);
	assert_non_null(strstr(why, "another natd (of user "));
	assert_non_null(strstr(why, interface));
	assert_int_equal(take(other, why, sizeof(why)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_second_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
