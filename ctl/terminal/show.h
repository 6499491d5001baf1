/* SPDX-License-Identifier: Apache-2.0 */
/*
 * show: results as people read them: aligned tables, a key and its value on each line.
 *
 * What a command prints is described by a table of columns, once; --json prints the same result as
 * it came. Every text comes from the other side: it is made printable before a terminal sees it.
 */
#ifndef POSTERN_CTL_TERMINAL_SHOW_H
#define POSTERN_CTL_TERMINAL_SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "ctl/terminal/arguments.h"

enum show_kind {
	SHOW_TEXT,
	SHOW_COUNT,
	SHOW_SIZE,  /* bytes */
	SHOW_SPAN,  /* milliseconds */
	SHOW_TIME,  /* seconds since 1970 */
	SHOW_LIST,  /* texts, with commas */
	SHOW_STATE, /* true and false as the two words of .words: "online|offline" */
};

struct show_column {
	const char *title;
	const char *key; /* of the object shown */
	enum show_kind kind;
	const char *words;
};

/* How one command's result looks. */
struct show_shape {
	const char *list; /* the result's list that is a table; NULL: the result itself, by keys */
	const struct show_column *columns; /* ends with title NULL */
	const char *empty;		   /* said instead of an empty table */
};

/* Prints the result on standard output, as JSON where --json was given. */
void show_result(const struct arguments *a, const json_t *result, const struct show_shape *shape);

void show_table(FILE *to, const json_t *list, const struct show_column *columns);
/* A line for each key that is there; none for an empty list. */
void show_keys(FILE *to, const json_t *object, const struct show_column *columns);
void show_json(FILE *to, const json_t *value);

/* One value, printable, cut to room; returns out. */
const char *show_value(const json_t *value, const struct show_column *c, char *out, size_t room);
/* Columns that a printable text takes on a terminal, one for each character. */
size_t show_width(const char *text);

/* Escape sequences, or "" where there is no terminal or NO_COLOR is set. */
enum show_style { SHOW_PLAIN, SHOW_BOLD, SHOW_DIM, SHOW_GOOD, SHOW_WARN, SHOW_BAD };
const char *show_style(FILE *to, enum show_style style);

#endif
