/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal: the bytes of entries, and what a journal receives.
 * links: core/journal.c core/log*.c core/memory.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/journal.h"

#define PATH "journal_test.socket"

static void assert_entry(enum log_level level, json_t *record, const char *want, size_t want_len)
{
	char got[JOURNAL_ENTRY_BYTES];
	size_t len = journal_encode(level, "postern-test", record, got);

	assert_int_equal(len, want_len);
	assert_memory_equal(got, want, len);
	json_decref(record);
}

#define ENTRY(level, record, text) assert_entry(level, record, text, sizeof(text) - 1)

static void an_audit_record(void **state)
{
	json_t *record =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:i}", "kind",
			  "session.closed", "session", "00ff", "from", "laptop", "to", "home",
			  "service", "echo", "source", "192.0.2.1:5", "up", (json_int_t)5, "down",
			  (json_int_t)7, "ms", (json_int_t)9, "reason", "end", "number", 3);

	ENTRY(LOG_LEVEL_INFO, record,
	      "MESSAGE=session.closed session=00ff from=laptop to=home service=echo "
	      "source=192.0.2.1:5 up=5 down=7 ms=9 reason=end\n"
	      "PRIORITY=6\n"
	      "SYSLOG_IDENTIFIER=postern-test\n"
	      "POSTERN_KIND=session.closed\n"
	      "POSTERN_SESSION=00ff\n"
	      "POSTERN_FROM=laptop\n"
	      "POSTERN_TO=home\n"
	      "POSTERN_SERVICE=echo\n"
	      "POSTERN_SOURCE=192.0.2.1:5\n"
	      "POSTERN_BYTES_UP=5\n"
	      "POSTERN_BYTES_DOWN=7\n"
	      "POSTERN_DURATION_MS=9\n"
	      "POSTERN_REASON=end\n"
	      "POSTERN_NUMBER=3\n");
}

/* A line feed in a value must not begin another field. */
static void values_of_several_lines(void **state)
{
	json_t *record = json_pack("{s:s, s:s}", "kind", "x", "note", "a\nPRIORITY=0");

	ENTRY(LOG_LEVEL_WARNING, record,
	      "MESSAGE=x note=a\\x0aPRIORITY=0\n"
	      "PRIORITY=4\n"
	      "SYSLOG_IDENTIFIER=postern-test\n"
	      "POSTERN_KIND=x\n"
	      "POSTERN_NOTE\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\n");
}

static void odd_keys_and_values(void **state)
{
	json_t *record = json_pack("{s:s, s:{s:s}, s:b}", "kind", "kick", "wh-at=\n", "agent",
				   "home", "now", 1);

	ENTRY(LOG_LEVEL_NOTICE, record,
	      "MESSAGE=kick wh-at=\\x0a={\"agent\":\"home\"} now=true\n"
	      "PRIORITY=5\n"
	      "SYSLOG_IDENTIFIER=postern-test\n"
	      "POSTERN_KIND=kick\n"
	      "POSTERN_WH_AT__={\"agent\":\"home\"}\n"
	      "POSTERN_NOW=true\n");
}

static void what_does_not_fit_is_left_out_whole(void **state)
{
	json_t *record = json_pack("{s:s}", "kind", "x");
	char *large = malloc(JOURNAL_ENTRY_BYTES + 1), got[JOURNAL_ENTRY_BYTES];
	size_t len;

	memset(large, 'a', JOURNAL_ENTRY_BYTES);
	large[JOURNAL_ENTRY_BYTES] = '\0';
	json_object_set_new(record, "large", json_string(large));
	json_object_set_new(record, "last", json_string("b"));
	len = journal_encode(LOG_LEVEL_INFO, "postern-test", record, got);
	assert_true(len < JOURNAL_ENTRY_BYTES / 2);
	got[len] = '\0';
	assert_null(strstr(got, "POSTERN_LARGE"));
	assert_non_null(strstr(got, "\nPOSTERN_LAST=b\n"));
	json_decref(record);
	free(large);
}

static int listen_here(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX, .sun_path = PATH};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	unlink(PATH);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static void pretend_journal(void)
{
	char stream[64];
	struct stat st;

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open("postern-test", LOG_LEVEL_NOTICE);
	assert_true(log_is_journal());
}

static size_t receive(int fd, char out[JOURNAL_ENTRY_BYTES + 1])
{
	ssize_t n = recv(fd, out, JOURNAL_ENTRY_BYTES, MSG_DONTWAIT);

	out[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static void only_where_the_log_is_the_journal(void **state)
{
	json_t *record = json_pack("{s:s}", "kind", "x");
	char got[JOURNAL_ENTRY_BYTES + 1];
	int fd = listen_here();

	unsetenv("JOURNAL_STREAM");
	log_open("postern-test", LOG_LEVEL_NOTICE);
	assert_int_equal(journal_open(PATH, "postern-test"), 0);
	journal_record(LOG_LEVEL_INFO, record);
	assert_int_equal(receive(fd, got), 0);
	pretend_journal();
	assert_int_equal(journal_open(PATH, "postern-test"), 0);
	journal_record(LOG_LEVEL_INFO, record);
	assert_true(receive(fd, got) > 0);
	assert_non_null(strstr(got, "\nPOSTERN_KIND=x\n"));
	journal_close();
	journal_record(LOG_LEVEL_INFO, record);
	assert_int_equal(receive(fd, got), 0);
	close(fd);
	unlink(PATH);
	assert_int_equal(journal_open(PATH, "postern-test"), -ENOENT);
	json_decref(record);
}

/* A journal that does not read: nothing waits for it, and what is lost is told afterwards. */
static void a_journal_that_is_behind(void **state)
{
	json_t *record = json_pack("{s:s}", "kind", "x");
	char got[JOURNAL_ENTRY_BYTES + 1];
	unsigned received = 0;
	int fd = listen_here();

	pretend_journal();
	assert_int_equal(journal_open(PATH, "postern-test"), 0);
	for (unsigned i = 0; i < 5000; i++)
		journal_record(LOG_LEVEL_INFO, record);
	while (receive(fd, got) > 0)
		received++;
	assert_true(received > 0 && received < 5000);
	journal_record(LOG_LEVEL_INFO, record);
	assert_true(receive(fd, got) > 0);
	assert_null(strstr(got, "lost"));
	assert_true(receive(fd, got) > 0);
	char want[64];
	snprintf(want, sizeof(want), "\nPOSTERN_COUNT=%u\n", 5000 - received);
	assert_non_null(strstr(got, "\nPOSTERN_KIND=records.lost\n"));
	assert_non_null(strstr(got, want));
	journal_record(LOG_LEVEL_INFO, record);
	assert_true(receive(fd, got) > 0);
	assert_int_equal(receive(fd, got), 0);
	journal_close();
	close(fd);
	unlink(PATH);
	json_decref(record);
}

/* In a directory of their own. */
static int setup(void **state)
{
	static char dir[] = "/tmp/journal_test.XXXXXX";

	*state = mkdtemp(dir);
	return *state ? chdir(dir) : -1;
}

static int teardown(void **state)
{
	return chdir("/") || rmdir(*state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_audit_record),
		cmocka_unit_test(values_of_several_lines),
		cmocka_unit_test(odd_keys_and_values),
		cmocka_unit_test(what_does_not_fit_is_left_out_whole),
		cmocka_unit_test(only_where_the_log_is_the_journal),
		cmocka_unit_test(a_journal_that_is_behind),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
