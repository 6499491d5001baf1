/* SPDX-License-Identifier: Apache-2.0 */
/* options: the command line that every daemon of ours understands. */
#ifndef POSTERN_CORE_OPTIONS_H
#define POSTERN_CORE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/must_check.h"

#define OPTIONS_EXTRA_MAX 12u  /* options of one program's own */
#define OPTIONS_GIVEN_MAX 160u /* of these on one command line */

/* An option of one program's own. It may be given more than once. */
struct options_extra {
	const char *name;  /* "map", for --map */
	const char *value; /* "PROTOCOL:PORT", for --help; NULL: it has none */
	const char *help;
};

/* What differs between programs. */
struct options_about {
	const char *program; /* "postern-relayd" */
	const char *summary; /* one sentence for --help */
	const char *config;  /* the configuration file when -c is absent, or NULL: -c is required */
	const struct options_extra *extra; /* ends with name NULL; NULL: none. Given, -c is not
					      required */
	const char *built_with;		   /* a second line of --version, or NULL */
};

struct options_given {
	const struct options_extra *option;
	const char *value; /* points into argv; NULL for an option without */
};

struct options {
	const char *config; /* points into argv or about */
	bool check;	    /* --check: load and check the configuration, then exit */
	int engine;	    /* enum ring_engine, or -1: as configured */
	int log_level;	    /* enum log_level, or -1: as configured */
	struct options_given given[OPTIONS_GIVEN_MAX]; /* in their order */
	size_t given_count;
};

#define OPTIONS_RUN	     (-1)
#define OPTIONS_STATUS_USAGE 2

/*
 * Reads the command line. Returns OPTIONS_RUN with *out filled, or the status to exit with: 0 after
 * --help or --version, OPTIONS_STATUS_USAGE after saying what was wrong and what would be right.
 */
int options_parse(int argc, char **argv, const struct options_about *about,
		  struct options *out) MUST_CHECK;

#endif
