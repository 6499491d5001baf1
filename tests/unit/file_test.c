/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file: a file is replaced whole or not at all, also after an attempt that left something behind.
 *
 * links: core/file.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/file.h"

static char path[64];
static int dir = -1;

static int make_dir(void **state)
{
	snprintf(path, sizeof(path), "/tmp/postern-file-XXXXXX");
	dir = mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	return dir < 0;
}

static int remove_dir(void **state)
{
	unlinkat(dir, "a", 0);
	close(dir);
	return rmdir(path);
}

static void assert_holds(const char *text)
{
	char bytes[64] = "";
	int fd = openat(dir, "a", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, bytes, sizeof(bytes) - 1), strlen(text));
	assert_string_equal(bytes, text);
	close(fd);
}

static void test_replaced(void **state)
{
	struct stat st;

	assert_int_equal(file_replace(dir, "a", "one", 3), 0);
	assert_holds("one");
	assert_int_equal(fstatat(dir, "a", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(file_replace(dir, "a", "other", 5), 0);
	assert_holds("other");
	assert_int_equal(faccessat(dir, ".a.new", F_OK, 0), -1);
}

static void test_after_an_attempt_cut_short(void **state)
{
	assert_int_equal(symlinkat("/dev/full", dir, ".a.new"), 0);
	assert_int_equal(file_replace(dir, "a", "two", 3), 0);
	assert_holds("two");
}

static void test_failures_leave_the_old(void **state)
{
	char longer[FILE_NAME_BYTES + 1];

	assert_int_equal(file_replace(dir, "a", "kept", 4), 0);
	memset(longer, 'a', FILE_NAME_BYTES);
	longer[FILE_NAME_BYTES] = '\0';
	assert_int_equal(file_replace(dir, longer, "x", 1), -ENAMETOOLONG);
	assert_int_equal(mkdirat(dir, "d", 0700), 0);
	assert_int_equal(file_replace(dir, "d", "x", 1), -EISDIR);
	assert_int_equal(faccessat(dir, ".d.new", F_OK, 0), -1);
	assert_int_equal(unlinkat(dir, "d", AT_REMOVEDIR), 0);
	assert_int_equal(file_replace(-1, "a", "x", 1), -EBADF);
	assert_holds("kept");
}

static void test_write_fails(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	assert_int_equal(file_write(fd, "x", 1), -ENOSPC);
	assert_int_equal(file_write(fd, "", 0), 0);
	close(fd);
}

/* 0 when in a child exactly 0 to 2 and those of keep are open below 64. */
static int close_in_a_child(const int *keep, size_t count)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		file_close_others(keep, count);
		for (int fd = 3; fd < 64; fd++) {
			bool open = fcntl(fd, F_GETFD) >= 0, wanted = false;

			for (size_t i = 0; i < count; i++)
				wanted |= keep[i] == fd;
			if (open != wanted)
				_exit(fd);
		}
		_exit(fcntl(0, F_GETFD) < 0 || fcntl(2, F_GETFD) < 0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_others_are_closed(void **state)
{
	const int scattered[] = {20, -1, 3, 21, 40}, low = 3;

	for (int fd = 3; fd < 50; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			assert_int_equal(dup2(2, fd), fd);
	assert_int_equal(close_in_a_child(scattered, 5), 0);
	assert_int_equal(close_in_a_child(&low, 1), 0);
	assert_int_equal(close_in_a_child(NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_after_an_attempt_cut_short),
		cmocka_unit_test(test_failures_leave_the_old),
		cmocka_unit_test(test_write_fails),
		cmocka_unit_test(test_others_are_closed),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
