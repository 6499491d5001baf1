/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_file_test: who may read a file that holds a key, by its owner, its mode and its mount; and
 * what is said otherwise. Mounts as containers have them are tests/net/test_key_files.py's.
 *
 * links: core/key_file.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/key_file.h"

#define SELF	 998u
#define STRANGER 1000u

static enum key_file_verdict judge(uid_t owner, mode_t mode, bool handed_out, uid_t self)
{
	const struct key_file_facts f = {owner, mode, handed_out};

	return key_file_judge(&f, self);
}

static void own_files_are_the_owners_alone(void **state)
{
	const uid_t users[] = {0, SELF};

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(judge(users[i], S_IFREG | 0600, false, users[i]), KEY_FILE_KEPT);
		assert_int_equal(judge(users[i], S_IFREG | 0400, false, users[i]), KEY_FILE_KEPT);
		assert_int_equal(judge(users[i], S_IFREG | 0700, false, users[i]), KEY_FILE_KEPT);
		for (mode_t bit = 01; bit <= 020; bit <<= 1)
			assert_int_equal(judge(users[i], S_IFREG | 0600 | bit, false, users[i]),
					 KEY_FILE_OPEN);
	}
	/* One's own group may be everybody's. */
	assert_int_equal(judge(SELF, S_IFREG | 0640, false, SELF), KEY_FILE_OPEN);
}

static void roots_group_may_read(void **state)
{
	assert_int_equal(judge(0, S_IFREG | 0640, false, SELF), KEY_FILE_KEPT);
	assert_int_equal(judge(0, S_IFREG | 0440, false, SELF), KEY_FILE_KEPT);
	assert_int_equal(judge(0, S_IFREG | 0640, false, 0), KEY_FILE_KEPT);
	assert_int_equal(judge(0, S_IFREG | 0660, false, SELF), KEY_FILE_OPEN);
	assert_int_equal(judge(0, S_IFREG | 0644, false, SELF), KEY_FILE_OPEN);
	assert_int_equal(judge(0, S_IFREG | 0604, false, SELF), KEY_FILE_OPEN);
}

static void strangers_own_nothing_of_ours(void **state)
{
	assert_int_equal(judge(STRANGER, S_IFREG | 0600, false, SELF), KEY_FILE_STRANGER);
	assert_int_equal(judge(STRANGER, S_IFREG | 0600, false, 0), KEY_FILE_STRANGER);
	assert_int_equal(judge(STRANGER, S_IFREG | 0444, true, SELF), KEY_FILE_STRANGER);
}

static void what_was_handed_out_may_be_read(void **state)
{
	assert_int_equal(judge(0, S_IFREG | 0444, true, SELF), KEY_FILE_KEPT);
	assert_int_equal(judge(0, S_IFREG | 0644, true, SELF), KEY_FILE_KEPT);
	assert_int_equal(judge(0, S_IFREG | 0644, true, 0), KEY_FILE_KEPT);
	assert_int_equal(judge(0, S_IFREG | 0646, true, SELF), KEY_FILE_OPEN);
	assert_int_equal(judge(0, S_IFREG | 0664, true, SELF), KEY_FILE_OPEN);
	/* By root only. */
	assert_int_equal(judge(SELF, S_IFREG | 0444, true, SELF), KEY_FILE_OPEN);
}

static void pipes_hold_nothing(void **state)
{
	assert_int_equal(judge(STRANGER, S_IFIFO | 0644, false, SELF), KEY_FILE_KEPT);
	assert_int_equal(judge(STRANGER, S_IFCHR | 0666, false, SELF), KEY_FILE_KEPT);
}

static void the_open_file_is_asked(void **state)
{
	char path[] = "/tmp/postern-key-file-XXXXXX", why[KEY_FILE_WHY_BYTES], wanted[256];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_true(key_file_kept(fd, path, why, sizeof(why)));
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_false(key_file_kept(fd, path, why, sizeof(why)));
	snprintf(wanted, sizeof(wanted),
		 "holds a key and is open to more than its owner (mode 0644); type: chmod 600 %s",
		 path);
	assert_string_equal(why, wanted);
	/* Another file at the path changes nothing. */
	assert_int_equal(unlink(path), 0);
	assert_false(key_file_kept(fd, path, why, sizeof(why)));
	assert_int_equal(fchmod(fd, 0600), 0);
	assert_true(key_file_kept(fd, path, why, sizeof(why)));
	close(fd);
	assert_false(key_file_kept(fd, path, why, sizeof(why)));
	assert_string_equal(why, "cannot be looked at: Bad file descriptor");
}

/* Memory that can be written to is no mount of secrets, be it root's. */
static void memory_is_no_mount(void **state)
{
	char why[KEY_FILE_WHY_BYTES];
	int fd = memfd_create("key", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_false(key_file_kept(fd, "key", why, sizeof(why)));
	close(fd);
}

/* Root's, in the sentences of a process that is not root; /etc/passwd is both. */
static void what_to_type_is_told(void **state)
{
	char why[KEY_FILE_WHY_BYTES], wanted[256];
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_false(key_file_kept(fd, "/etc/passwd", why, sizeof(why)));
	if (st.st_uid == geteuid())
		snprintf(wanted, sizeof(wanted), "%s", "type: chmod 600 /etc/passwd");
	else
		snprintf(wanted, sizeof(wanted),
			 "type: chown %u /etc/passwd && chmod 600 /etc/passwd",
			 (unsigned)geteuid());
	assert_string_equal(why + strlen(why) - strlen(wanted), wanted);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_files_are_the_owners_alone),
		cmocka_unit_test(roots_group_may_read),
		cmocka_unit_test(strangers_own_nothing_of_ours),
		cmocka_unit_test(what_was_handed_out_may_be_read),
		cmocka_unit_test(pipes_hold_nothing),
		cmocka_unit_test(the_open_file_is_asked),
		cmocka_unit_test(memory_is_no_mount),
		cmocka_unit_test(what_to_type_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
