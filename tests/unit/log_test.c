/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: the shape of a line, what cannot get into it, that threads do not mix theirs, and that a
 * daemon's log waits for nobody and buries nothing.
 * links: core/log*.c
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
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/log.h"
#include "core/log_kinds.h"

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
		assert_in_range(len, 1880, 2048);
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

/* The end that a program writes to; *terminal: the one that shows it. */
static int open_terminal(int *terminal)
{
	int end;

	*terminal = posix_openpt(O_RDWR | O_NOCTTY);
	assert_true(*terminal >= 0);
	assert_int_equal(grantpt(*terminal) | unlockpt(*terminal), 0);
	end = open(ptsname(*terminal), O_RDWR | O_NOCTTY);
	assert_true(end >= 0);
	return end;
}

static void test_colour(void **state)
{
	char text[1024];
	int terminal, end = open_terminal(&terminal), real = dup(STDERR_FILENO);

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

/* ---- a daemon's ---- */

/* Standard error as this descriptor, for a daemon's log. */
static int daemon_begin(int fd)
{
	int real = dup(STDERR_FILENO);

	dup2(fd, STDERR_FILENO);
	log_open("log_test", LOG_LEVEL_NOTICE);
	assert_int_equal(log_never_wait("/nowhere"), 0);
	return real;
}

static void daemon_end(int real)
{
	dup2(real, STDERR_FILENO);
	close(real);
	log_open("log_test", LOG_LEVEL_NOTICE);
}

static size_t drain(int fd, char *text, size_t room)
{
	size_t len = 0;
	ssize_t n;

	while (len < room - 1 && (n = read(fd, text + len, room - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return len;
}

/* The lines that are told to be lost, all together: a terminal makes room meanwhile, and then the
 * number is told in between. *last: where the last is told. */
static unsigned told_lost(char *text, char **last)
{
	unsigned sum = 0, n = 0;

	*last = NULL;
	for (char *at = text; (at = strstr(at, "warning log: ")); at++) {
		assert_int_equal(sscanf(at, "warning log: %u lines were lost", &n), 1);
		sum += n;
		*last = at;
	}
	return sum;
}

/* Lines that nobody reads are lost and counted, and the number is told first when there is room. */
static void check_full(int writer, int reader)
{
	static char text[1 << 20];
	const unsigned lines = 20000;
	unsigned shown = 0, told = 0, more = 0;
	char *at;
	int real = daemon_begin(writer);

	alarm(20); /* one that waits ends here */
	for (unsigned i = 0; i < lines; i++)
		log_notice("a", "line");
	assert_int_equal(fcntl(reader, F_SETFL, fcntl(reader, F_GETFL) | O_NONBLOCK), 0);
	drain(reader, text, sizeof(text));
	for (at = text; (at = strstr(at, "notice a: line")); at++)
		shown++;
	told = told_lost(text, &at);
	assert_true(shown > 0 && shown < lines);
	log_notice("a", "after");
	log_notice("a", "after that");
	alarm(0);
	daemon_end(real);
	drain(reader, text, sizeof(text));
	told += told_lost(text, &at);
	assert_non_null(at);
	for (char *line = text; (line = strstr(line, "notice a: line")) && line < at; line++)
		more++; /* half of it was on its way */
	assert_in_range(told, lines - shown - more - 1, lines - shown);
	assert_non_null(strstr(at, "nobody read the log"));
	assert_true(strstr(at, "a: after\n") || strstr(at, "a: after\r\n"));
	assert_false(fcntl(writer, F_GETFL) & O_NONBLOCK); /* it is others', too */
}

static void test_full_pipe(void **state)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	check_full(ends[1], ends[0]);
	close(ends[0]);
	close(ends[1]);
}

static void test_full_socket(void **state)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	check_full(ends[1], ends[0]);
	close(ends[0]);
	close(ends[1]);
}

static void test_full_terminal(void **state)
{
	int terminal, end = open_terminal(&terminal);

	setenv("NO_COLOR", "1", 1);
	check_full(end, terminal);
	close(end);
	close(terminal);
}

static void test_reader_is_gone(void **state)
{
	int ends[2], real;

	assert_int_equal(pipe(ends), 0);
	signal(SIGPIPE, SIG_IGN);
	close(ends[0]);
	real = daemon_begin(ends[1]);
	for (int i = 0; i < 100; i++)
		log_notice("a", "line");
	daemon_end(real);
	close(ends[1]);
}

/* A file is appended to by whoever has it. */
static void test_a_daemon_into_a_file(void **state)
{
	char text[4096];

	capture_begin();
	assert_true(write(STDERR_FILENO, "before\n", 7) == 7);
	log_open("log_test", LOG_LEVEL_NOTICE);
	assert_int_equal(log_never_wait("/nowhere"), 0);
	log_notice("a", "one");
	assert_true(write(STDERR_FILENO, "after\n", 6) == 6);
	log_notice("a", "two");
	log_open("log_test", LOG_LEVEL_NOTICE);
	capture_end(text, sizeof(text));
	assert_matches(text, "^before\n[^ ]+ notice a: one\nafter\n[^ ]+ notice a: two\n$");
}

static unsigned count_of(const char *text, const char *words)
{
	unsigned n = 0;

	for (; (text = strstr(text, words)); text++)
		n++;
	return n;
}

static void test_kinds(void **state)
{
	static char text[1 << 18];

	capture_begin();
	log_open("log_test", LOG_LEVEL_NOTICE);
	assert_int_equal(log_never_wait("/nowhere"), 0);
	for (int i = 0; i < 100; i++) {
		log_warning("a", "port %d is down", i);
		log_notice("a", "port %d is up", i);
	}
	log_warning("a", "%s", "another");
	log_close();
	log_warning("a", "port %d is down", 7);
	log_open("log_test", LOG_LEVEL_NOTICE);
	capture_end(text, sizeof(text));
	assert_int_equal(count_of(text, " warning a: port "), 31);
	assert_int_equal(count_of(text, " is up\n"), 100);
	assert_int_equal(count_of(text, " warning a: another\n"), 1);
	assert_int_equal(count_of(text, " warning a: ... 70 more in "), 1);
	assert_int_equal(count_of(text, " s, the last: port 99 is down\n"), 1);
}

/* The clock of it is ours. */
static void test_kinds_in_time(void **state)
{
	static struct log_kinds k;
	struct log_kind over;
	unsigned shown = 0;

	for (unsigned i = 0; i < 50; i++)
		shown += log_kinds_admit(&k, 1, 3, "a", "x\xc3\xa9", 1000 + i);
	assert_int_equal(shown, LOG_KIND_LINES);
	assert_true(log_kinds_admit(&k, 2, 3, "a", "y", 1000));
	assert_false(log_kinds_over(&k, false, 1000 + LOG_KIND_MS - 1, &over));
	assert_true(log_kinds_over(&k, false, 1000 + LOG_KIND_MS, &over));
	assert_int_equal(over.hidden, 50 - LOG_KIND_LINES);
	assert_int_equal(over.since_ms, 1000);
	assert_string_equal(over.last, "x\xc3\xa9");
	assert_false(log_kinds_over(&k, true, 1000 + LOG_KIND_MS, &over));
	assert_true(log_kinds_admit(&k, 1, 3, "a", "x", 1000 + LOG_KIND_MS));
	/* Slow ones are never hidden. */
	for (unsigned i = 0; i < 200; i++)
		assert_true(log_kinds_admit(&k, 3, 3, "a", "x", 200000 + i * 3000u));
	/* Kinds without number: those that find no room share one place. */
	k = (struct log_kinds){.used = 0};
	shown = 0;
	for (unsigned i = 0; i < 1000; i++)
		shown += log_kinds_admit(&k, 100 + i, 3, "a", "x", 1);
	assert_int_equal(shown, LOG_KINDS + LOG_KIND_LINES);
	assert_true(log_kinds_over(&k, true, 2, &over));
	assert_int_equal(over.hidden, 1000 - LOG_KINDS - LOG_KIND_LINES);
	assert_int_equal(log_kind_key(3, "a", "%s", "x"), log_kind_key(3, "a", "%s", "x"));
	assert_int_not_equal(log_kind_key(3, "a", "%s", "x"), log_kind_key(3, "a", "%s", "y"));
	assert_int_equal(log_kind_key(3, "a", "%d", "1"), log_kind_key(3, "a", "%d", "2"));
	assert_int_not_equal(log_kind_key(3, "a", "%d", "1"), log_kind_key(4, "a", "%d", "1"));
}

/* The journal's socket takes a daemon's lines, and standard error those that it cannot. */
static void test_journal_socket(void **state)
{
	char path[] = "/tmp/log_test.XXXXXX", socket_path[64], stream[64], entry[4096], text[4096];
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct stat st;
	ssize_t n;

	assert_non_null(mkdtemp(path));
	snprintf(socket_path, sizeof(socket_path), "%s/s", path);
	strcpy(sun.sun_path, socket_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	capture_begin();
	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open("log_test", LOG_LEVEL_NOTICE);
	assert_int_equal(log_never_wait("/nowhere/s"), -ENOENT);
	log_notice("relay", "by standard error");
	assert_int_equal(log_never_wait(socket_path), 0);
	log_warning("relay", "one\ntwo");
	log_set_records(true);
	log_recorded(LOG_LEVEL_WARNING, "relay", "told by a record");
	log_set_records(false);
	log_recorded(LOG_LEVEL_WARNING, "relay", "not told by one");
	n = recv(fd, entry, sizeof(entry) - 1, MSG_DONTWAIT);
	entry[n > 0 ? n : 0] = '\0';
	assert_string_equal(entry, "MESSAGE=relay: one\\x0atwo\nPRIORITY=4\n"
				   "SYSLOG_IDENTIFIER=log_test\nPOSTERN_AREA=relay\n");
	n = recv(fd, entry, sizeof(entry) - 1, MSG_DONTWAIT);
	entry[n > 0 ? n : 0] = '\0';
	assert_non_null(strstr(entry, "not told by one"));
	close(fd);
	log_notice("relay", "the journal is gone");
	unsetenv("JOURNAL_STREAM");
	capture_end(text, sizeof(text));
	assert_string_equal(text, "<5>relay: by standard error\n<5>relay: the journal is gone\n");
	log_open("log_test", LOG_LEVEL_NOTICE);
	unlink(socket_path);
	rmdir(path);
}

/* A person is told what happened, and not how a program would read it. */
static void test_tool_on_a_terminal(void **state)
{
	char text[1024];
	int terminal, end = open_terminal(&terminal), real = dup(STDERR_FILENO);

	dup2(end, STDERR_FILENO);
	log_open_tool("postern");
	log_warning("session", "home/ssh: no answer; try again ending=STO reason=timeout");
	log_error("session", "over");
	dup2(real, STDERR_FILENO);
	log_open_tool("postern");
	read_until(terminal, "over\r\n", text, sizeof(text));
	close(real);
	close(end);
	close(terminal);
	assert_non_null(strstr(text, "postern: home/ssh: no answer; try again\r\n"));
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
		cmocka_unit_test_setup(test_full_pipe, setup),
		cmocka_unit_test_setup(test_full_socket, setup),
		cmocka_unit_test_setup(test_full_terminal, setup),
		cmocka_unit_test_setup(test_reader_is_gone, setup),
		cmocka_unit_test_setup(test_a_daemon_into_a_file, setup),
		cmocka_unit_test_setup(test_kinds, setup),
		cmocka_unit_test_setup(test_kinds_in_time, setup),
		cmocka_unit_test_setup(test_journal_socket, setup),
		cmocka_unit_test_setup(test_tool_on_a_terminal, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
