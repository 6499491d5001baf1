/* SPDX-License-Identifier: Apache-2.0 */
/* arguments: one command's words and options, read by its table. */
#ifndef POSTERN_CTL_TERMINAL_ARGUMENTS_H
#define POSTERN_CTL_TERMINAL_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/must_check.h"

/* What a shell learns; postern(1) says the same. */
enum status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	/* Of 'nat probe', which went well and tells what it found. */
	STATUS_UNPROVEN = 3,
	STATUS_UNREACHED = 4,
	STATUS_NO_WAY = 5 /* of 'nat status', too */
};

struct option_row {
	const char *name;  /* "--host" */
	const char *value; /* "HOST"; NULL: a flag */
	bool many;	   /* may be given again */
	const char *help;
};

struct arguments;

struct command {
	const char *name;  /* "pki issue" */
	const char *words; /* "DIR relay|agent NAME" */
	size_t min_words, max_words;
	const char *summary;
	const struct option_row *options; /* the last has no name; NULL: none */
	enum status (*run)(const struct arguments *a);
};

struct argument {
	const struct option_row *row;
	const char *value;
};

/* Everything points into argv. */
struct arguments {
	const struct command *command;
	const char *as, *socket, *at; /* the common options' values, or NULL */
	char **words;
	size_t word_count;
	struct argument *options;
	size_t option_count;
	bool help; /* --help was among them; nothing else was checked */
};

/* The options of a command that has --json and no other. */
extern const struct option_row json_options[];

/* Options that every command takes, and that may stand before it. */
extern const struct option_row common_options[];
/* Takes the common option at argv[*at], and moves *at to its last word; *taken: whether it was one.
 * False after saying what is wrong. */
bool arguments_common(struct arguments *a, int argc, char **argv, int *at, bool *taken) MUST_CHECK;

/* Reads what follows the command's name. False after telling what is wrong, and what is right. */
bool arguments_parse(const struct command *command, int argc, char **argv,
		     struct arguments *out) MUST_CHECK;
void arguments_free(struct arguments *a);

/* Whether it was given. */
bool arguments_flag(const struct arguments *a, const char *option);
/* The value, or otherwise when the option was not given. */
const char *arguments_text(const struct arguments *a, const char *option, const char *otherwise);
/* The values of an option that may be given again: start with *at 0; NULL after the last. */
const char *arguments_next(const struct arguments *a, const char *option, size_t *at);

void command_usage(const struct command *command, FILE *to);

/* "postern: ..." on standard error. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, followed by the command's usage. */
void complain_usage(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
