/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_line: runs one command of 'postern' as the shell would, and keeps what it prints.
 */
#ifndef POSTERN_TESTS_COMMAND_LINE_H
#define POSTERN_TESTS_COMMAND_LINE_H

#include "ctl/terminal/arguments.h"

#define COMMAND_LINE_OUTPUT 65536

/* Of the last command, terminated. */
struct command_line {
	enum status status;
	char out[COMMAND_LINE_OUTPUT], err[COMMAND_LINE_OUTPUT];
};

/* The words of line are separated by spaces; '...' holds spaces together. The command is found in
 * the tables (NULL ends them) by its name, the common options may stand anywhere behind it. */
void command_line_run(struct command_line *c, const struct command *const *tables,
		      const char *line);

/* The end of a group of tests whose folder of their own is *state, which is freed: takes it away.
 */
int command_line_leave(void **state);

#endif
