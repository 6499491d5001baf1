/* SPDX-License-Identifier: Apache-2.0 */
/* options: the command line that every daemon of ours understands. */
#ifndef POSTERN_CORE_OPTIONS_H
#define POSTERN_CORE_OPTIONS_H

#include <stdbool.h>

/* What differs between programs. */
struct options_about {
	const char *program; /* "postern-relayd" */
	const char *summary; /* one sentence for --help */
	const char *config;  /* the configuration file when -c is absent, or NULL: -c is required */
};

struct options {
	const char *config; /* points into argv or about */
	bool check;	    /* --check: load and check the configuration, then exit */
	int engine;	    /* enum ring_engine, or -1: as configured */
	int log_level;	    /* enum log_level, or -1: as configured */
};

#define OPTIONS_RUN	     (-1)
#define OPTIONS_STATUS_USAGE 2

/*
 * Reads the command line. Returns OPTIONS_RUN with *out filled, or the status to exit with: 0 after
 * --help or --version, OPTIONS_STATUS_USAGE after saying what was wrong and what would be right.
 */
int options_parse(int argc, char **argv, const struct options_about *about, struct options *out)
	__attribute__((warn_unused_result));

#endif
