/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options: what the daemons' command line accepts, and what it answers to everything else.
 * links: core/options.c core/log*.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/log.h"
#include "core/options.h"
#include "core/ring.h"

#define ARGS_MAX 8

static const struct options_about about = {
	.program = "x", .summary = "Does nothing.", .config = "/etc/x.yaml"};
static const struct options_about no_default = {.program = "x", .summary = "Does nothing."};
static const struct options_about with_library = {
	.program = "x", .summary = "Does nothing.", .built_with = "A library of 1999"};

/* Runs options_parse() on words, which end with NULL; said gets what it wrote to fd. */
static int run(const struct options_about *a, const char *const *words, int fd, char *said,
	       size_t room, struct options *o)
{
	static char copies[ARGS_MAX][64]; /* values that were read point into them */
	char *argv[ARGS_MAX + 1] = {NULL};
	FILE *captured = tmpfile();
	int argc = 0, real = dup(fd), status;

	assert_non_null(captured);
	for (; words[argc]; argc++) {
		snprintf(copies[argc], sizeof(copies[argc]), "%s", words[argc]);
		argv[argc] = copies[argc];
	}
	fflush(stdout);
	dup2(fileno(captured), fd);
	status = options_parse(argc, argv, a, o);
	fflush(stdout);
	dup2(real, fd);
	close(real);
	rewind(captured);
	said[fread(said, 1, room - 1, captured)] = '\0';
	fclose(captured);
	return status;
}

#define WORDS(...) ((const char *const[]){"x", __VA_ARGS__, NULL})

static void test_right(void **state)
{
	struct options o;
	char said[4096];

	assert_int_equal(run(&about, (const char *const[]){"x", NULL}, 2, said, sizeof(said), &o),
			 OPTIONS_RUN);
	assert_string_equal(o.config, "/etc/x.yaml");
	assert_false(o.check);
	assert_int_equal(o.engine, -1);
	assert_int_equal(o.log_level, -1);

	assert_int_equal(run(&about,
			     WORDS("--check", "--engine=epoll", "--log-level", "debug", "-c", "y"),
			     2, said, sizeof(said), &o),
			 OPTIONS_RUN);
	assert_true(o.check);
	assert_int_equal(o.engine, RING_EPOLL);
	assert_int_equal(o.log_level, LOG_LEVEL_DEBUG);
	assert_string_equal(said, "");
}

static void test_wrong(void **state)
{
	static const struct {
		const char *words[4], *says;
	} cases[] = {
		{{"x", "--chekc"}, "there is no option --chekc"},
		{{"x", "-z"}, "there is no option -z"},
		{{"x", "-c"}, "option -c needs a value"},
		{{"x", "--config"}, "option --config needs a value"},
		{{"x", "--check=1"}, "option --check=1 takes no value"},
		{{"x", "--engine", "kqueue"}, "is not one of auto, io_uring, epoll"},
		{{"x", "--log-level", "loud"}, "is not one of error, warning, notice, info, debug"},
		{{"x", "file\033"}, "\"file\\x1b\" belongs to no option"},
	};
	struct options o = {.config = "untouched"};
	char said[4096];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(run(&about, cases[i].words, 2, said, sizeof(said), &o),
				 OPTIONS_STATUS_USAGE);
		if (!strstr(said, cases[i].says))
			fail_msg("\"%s\" does not say: %s", said, cases[i].says);
		assert_string_equal(o.config, "untouched");
	}
	assert_int_equal(
		run(&no_default, (const char *const[]){"x", NULL}, 2, said, sizeof(said), &o),
		OPTIONS_STATUS_USAGE);
	assert_non_null(strstr(said, "usage: x -c FILE"));
}

static void test_a_programs_own(void **state)
{
	static const struct options_extra extra[] = {{"map", "PORT", "a port to map"},
						     {"hook", "PROGRAM", "what to run"},
						     {NULL, NULL, NULL}};
	static const struct options_about own = {
		.program = "x", .summary = "Does x.", .extra = extra};
	struct options o;
	char said[4096];

	assert_int_equal(run(&own, WORDS("--map", "1", "--check", "--hook=/h", "--map=2"), 2, said,
			     sizeof(said), &o),
			 OPTIONS_RUN);
	assert_null(o.config);
	assert_true(o.check);
	assert_int_equal(o.given_count, 3);
	assert_ptr_equal(o.given[0].option, &extra[0]);
	assert_string_equal(o.given[0].value, "1");
	assert_ptr_equal(o.given[1].option, &extra[1]);
	assert_string_equal(o.given[2].value, "2");

	assert_int_equal(run(&own, WORDS("--map"), 2, said, sizeof(said), &o),
			 OPTIONS_STATUS_USAGE);
	assert_int_equal(run(&own, WORDS("--check"), 2, said, sizeof(said), &o),
			 OPTIONS_STATUS_USAGE);
	assert_non_null(
		strstr(said, "name it with -c FILE, or give by options what would be in it"));
	assert_int_equal(run(&own, WORDS("--help"), 1, said, sizeof(said), &o), 0);
	assert_non_null(strstr(said, "--hook PROGRAM\n"));
}

static void test_answers(void **state)
{
	static const char *const options[] = {"--config",    "--check",	  "--engine",
					      "--log-level", "--version", "--help"};
	struct options o;
	char said[4096];

	assert_int_equal(run(&about, WORDS("-h"), 1, said, sizeof(said), &o), 0);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		assert_non_null(strstr(said, options[i]));
	assert_int_equal(run(&about, WORDS("--version"), 1, said, sizeof(said), &o), 0);
	assert_string_equal(said, "x " POSTERN_VERSION "\n");
	assert_int_equal(run(&with_library, WORDS("--version"), 1, said, sizeof(said), &o), 0);
	assert_string_equal(said, "x " POSTERN_VERSION "\nA library of 1999\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_a_programs_own),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
