/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: the shape of a line, what cannot get into it, and that threads do not mix theirs.
 * links: core/log.c
 */
#define _GNU_SOURCE /* posix_openpt() and its kin */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/log.h"

/* Standard error in a file, between capture_begin() and capture_end(). */
static FILE *captured;
static int real_stderr;

static void capture_begin(void)
{
	captured = tmpfile();
	assert_non_null(captured);
	real_stderr = dup(STDERR_FILENO);
	dup2(fileno(captured), STDERR_FILENO);
}

static size_t capture_end(char *out, size_t room)
{
	size_t len;

	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	rewind(captured);
	len = fread(out, 1, room - 1, captured);
	out[len] = '\0';
	fclose(captured);
	return len;
}

static void assert_matches(const char *text, const char *pattern)
{
	regex_t regex;

	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	int r = regexec(&regex, text, 0, NULL, 0);
	regfree(&regex);
	if (r != 0)
		fail_msg("\"%s\" does not match %s", text, pattern);
}

static int setup(void **state)
{
	unsetenv("JOURNAL_STREAM");
	log_open("log_test", LOG_LEVEL_NOTICE);
	return 0;
}

static void test_line(void **state)
{
	char text[4096];

	capture_begin();
	log_notice("relay", "ready address=%s", "[::1]:443");
	capture_end(text, sizeof(text));
	assert_matches(text, "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
			     "\\.[0-9]{3}Z notice relay: ready address=\\[::1\\]:443\n$");
}

static void test_levels(void **state)
{
	char text[4096];
	enum log_level level = LOG_LEVEL_ERROR;

	capture_begin();
	log_info("a", "not shown");
	log_debug("a", "not shown");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("a", "shown");
	log_set_level(LOG_LEVEL_NOTICE);
	capture_end(text, sizeof(text));
	assert_matches(text, "^[^ ]+ debug a: shown\n$");
	assert_true(log_enabled(LOG_LEVEL_NOTICE));
	assert_false(log_enabled(LOG_LEVEL_INFO));
	assert_true(log_level_parse("warning", &level));
	assert_int_equal(level, LOG_LEVEL_WARNING);
	assert_false(log_level_parse("warn", &level));
	assert_false(log_level_parse("", &level));
	assert_int_equal(level, LOG_LEVEL_WARNING);
}

static void test_injection(void **state)
{
	char text[4096];

	capture_begin();
	log_error("a", "name=%s", "x\n<0>fake: line\r\033[2J\x7f\x80 \xc2\x9b \xc3\xa9 \xff");
	capture_end(text, sizeof(text));
	assert_non_null(strstr(text, "name=x\\x0a<0>fake: line\\x0d\\x1b[2J\\x7f\\x80 \\xc2\\x9b "
				     "\xc3\xa9 \\xff\n"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void test_utf8(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"\xe2\x82\xac", "\xe2\x82\xac"},
		{"\xf0\x9f\x9a\xaa", "\xf0\x9f\x9a\xaa"},
		{"\xc0\xaf", "\\xc0\\xaf"},
		{"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
		{"\xe2\x82", "\\xe2\\x82"},
		{"", ""},
		/* What turns the direction of text, and its neighbours. */
		{"\xe2\x80\xae", "\\xe2\\x80\\xae"},
		{"\xe2\x81\xa6", "\\xe2\\x81\\xa6"},
		{"\xe2\x80\x8e", "\\xe2\\x80\\x8e"},
		{"\xd8\x9c", "\\xd8\\x9c"},
		{"\xe2\x80\xaf", "\xe2\x80\xaf"},
		{"\xe2\x81\xaa", "\xe2\x81\xaa"},
		{"\xe2\x80\x90", "\xe2\x80\x90"},
		{"\xd8\x9b", "\xd8\x9b"},
	};
	char out[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = log_escape(cases[i].in, out, sizeof(out));
		assert_string_equal(out, cases[i].out);
		assert_int_equal(len, strlen(out));
	}
	/* A cut never splits a character or an escape. */
	assert_int_equal(log_escape("a\xe2\x82\xac", out, 4), 1);
	assert_int_equal(log_escape("a\n", out, 5), 1);
	assert_int_equal(log_escape("a", out, 1), 0);
}

static void test_cut(void **state)
{
	char text[8192], long_word[5000];
	size_t len;

	for (int c = 0; c < 2; c++) {
		memset(long_word, c ? '\n' : 'x', sizeof(long_word));
		long_word[sizeof(long_word) - 1] = '\0';
		capture_begin();
		log_notice("a", "%s", long_word);
		len = capture_end(text, sizeof(text));
		assert_in_range(len, 2040, 2048);
		assert_string_equal(text + len - 4, "...\n");
		assert_ptr_equal(strchr(text, '\n'), text + len - 1);
	}
}

static void test_errno_is_kept(void **state)
{
	char text[4096];

	capture_begin();
	errno = ENOENT;
	log_error("a", "open: %m");
	assert_int_equal(errno, ENOENT);
	capture_end(text, sizeof(text));
	assert_non_null(strstr(text, "open: No such file or directory\n"));
}

static void test_journal(void **state)
{
	char text[4096], stream[64];
	struct stat st;

	capture_begin();
	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open("log_test", LOG_LEVEL_DEBUG);
	log_error("relay", "one");
	log_debug("relay", "two");
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino + 1);
	setenv("JOURNAL_STREAM", stream, 1); /* inherited, but standard error went elsewhere */
	log_open("log_test", LOG_LEVEL_NOTICE);
	log_error("relay", "three");
	unsetenv("JOURNAL_STREAM");
	capture_end(text, sizeof(text));
	assert_matches(text, "^<3>relay: one\n<7>relay: two\n20[^ ]+ error relay: three\n$");
}

#define THREADS	      4
#define LINES_OF_EACH 50

static void *write_many_lines(void *arg)
{
	for (int i = 0; i < LINES_OF_EACH; i++)
		log_notice("t", "begin %0100d end", i);
	return NULL;
}

static void test_threads(void **state)
{
	static char text[THREADS * LINES_OF_EACH * 200];
	pthread_t threads[THREADS];
	unsigned lines = 0;

	capture_begin();
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_many_lines, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	capture_end(text, sizeof(text));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++)
		assert_matches(line, "^[^ ]+Z notice t: begin [0-9]{100} end$");
	assert_int_equal(lines, THREADS * LINES_OF_EACH);
}

/* A terminal may hand over line by line. */
static size_t read_until(int fd, const char *last, char *text, size_t room)
{
	size_t len = 0;

	text[0] = '\0';
	while (len < room - 1 && !strstr(text, last)) {
		ssize_t n = read(fd, text + len, room - 1 - len);

		if (n <= 0)
			break;
		len += (size_t)n;
		text[len] = '\0';
	}
	return len;
}

static void test_colour(void **state)
{
	char text[1024];
	int terminal = posix_openpt(O_RDWR | O_NOCTTY), end, real = dup(STDERR_FILENO);

	assert_true(terminal >= 0);
	assert_int_equal(grantpt(terminal) | unlockpt(terminal), 0);
	end = open(ptsname(terminal), O_RDWR | O_NOCTTY);
	assert_true(end >= 0);
	unsetenv("NO_COLOR");
	setenv("TERM", "xterm", 1);
	dup2(end, STDERR_FILENO);
	log_open("log_test", LOG_LEVEL_NOTICE);
	log_error("a", "one");
	setenv("NO_COLOR", "1", 1);
	log_open("log_test", LOG_LEVEL_NOTICE);
	log_error("a", "two");
	dup2(real, STDERR_FILENO);
	size_t n = read_until(terminal, "two\r\n", text, sizeof(text));
	close(real);
	close(end);
	close(terminal);
	assert_true(n > 0);
	assert_matches(text, "Z \033\\[31merror\033\\[0m a: one\r\n[^ ]+Z error a: two\r\n$");
}

static void test_die(void **state)
{
	char text[4096];
	int status;

	capture_begin();
	pid_t child = fork();
	if (child == 0)
		die("no %s; add one", "relay");
	assert_int_equal(waitpid(child, &status, 0), child);
	capture_end(text, sizeof(text));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_string_equal(text, "log_test: no relay; add one\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_line, setup),
		cmocka_unit_test_setup(test_levels, setup),
		cmocka_unit_test_setup(test_injection, setup),
		cmocka_unit_test_setup(test_utf8, setup),
		cmocka_unit_test_setup(test_cut, setup),
		cmocka_unit_test_setup(test_errno_is_kept, setup),
		cmocka_unit_test_setup(test_journal, setup),
		cmocka_unit_test_setup(test_colour, setup),
		cmocka_unit_test_setup(test_threads, setup),
		cmocka_unit_test_setup(test_die, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
