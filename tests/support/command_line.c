/* SPDX-License-Identifier: Apache-2.0 */
/* command_line: runs one command of 'postern' as the shell would, and keeps what it prints. */
#include "tests/support/command_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define WORDS_MAX 64

static int split(char *line, char *words[WORDS_MAX])
{
	int count = 0;

	while (*(line += strspn(line, " "))) {
		const char *end = *line == '\'' ? "'" : " ";

		line += *line == '\'';
		assert_true(count < WORDS_MAX);
		words[count++] = line;
		line += strcspn(line, end);
		if (*line)
			*line++ = '\0';
	}
	return count;
}

/* The command of the most words that stand at the beginning; *used: how many. */
static const struct command *find(const struct command *const *tables, int count, char **words,
				  int *used)
{
	const struct command *found = NULL;

	*used = 0;
	for (; *tables; tables++) {
		for (const struct command *c = *tables; c->name; c++) {
			char name[64] = "";

			for (int n = 1; n <= count && n <= 3; n++) {
				snprintf(name + strlen(name), sizeof(name) - strlen(name), "%s%s",
					 n > 1 ? " " : "", words[n - 1]);
				if (strcmp(name, c->name) == 0 && n > *used) {
					found = c;
					*used = n;
				}
			}
		}
	}
	if (!found)
		fail_msg("no command '%s'", words[0]);
	return found;
}

static int swap(FILE *stream, int number)
{
	int kept, to = memfd_create("output", MFD_CLOEXEC);

	fflush(stream);
	kept = dup(number);
	assert_true(to >= 0 && kept >= 0);
	assert_int_equal(dup2(to, number), number);
	close(to);
	return kept;
}

static void swap_back(FILE *stream, int number, int kept, char out[COMMAND_LINE_OUTPUT])
{
	ssize_t n;

	fflush(stream);
	clearerr(stream);
	n = pread(number, out, COMMAND_LINE_OUTPUT - 1, 0);
	out[n > 0 ? n : 0] = '\0';
	dup2(kept, number);
	close(kept);
}

void command_line_run(struct command_line *c, const struct command *const *tables, const char *line)
{
	struct arguments a = {.as = NULL};
	const struct command *command;
	char copy[2048], *words[WORDS_MAX];
	int count, used, out, err;

	assert_true(strlen(line) < sizeof(copy));
	strcpy(copy, line);
	count = split(copy, words);
	command = find(tables, count, words, &used);
	out = swap(stdout, STDOUT_FILENO);
	err = swap(stderr, STDERR_FILENO);
	c->status = STATUS_USAGE;
	if (arguments_parse(command, count - used, words + used, &a)) {
		c->status = command->run(&a);
		arguments_free(&a);
	}
	swap_back(stdout, STDOUT_FILENO, out, c->out);
	swap_back(stderr, STDERR_FILENO, err, c->err);
}

int command_line_leave(void **state)
{
	char command[128];
	int status;

	snprintf(command, sizeof(command), "rm -rf %s", (char *)*state);
	status = chdir("/") == 0 ? system(command) : -1;
	free(*state);
	return status;
}
