/* SPDX-License-Identifier: Apache-2.0 */
/* small_program: a program with a few settings, whose configuration a test changes. */
#ifndef POSTERN_TESTS_SMALL_PROGRAM_H
#define POSTERN_TESTS_SMALL_PROGRAM_H

#include "core/engine/configuring.h"

struct small_settings {
	char *name, *key;      /* key: a secret */
	uint64_t size;	       /* at most 10; 0: the caller would be cut off */
	uint64_t speed, taken; /* taken 1: cannot be put in force */
	struct {
		char *socket; /* a key of the host */
		uint64_t speed;
	} host;
	char *ca;
};

struct small_program {
	struct configuring configuring;
	struct small_settings settings; /* in force */
	bool refuses;			/* nothing can be put in force */
	json_t *kept;			/* its state directory; owned */
	int keep_error;
	uint64_t trial_ms; /* 0: no trial runs */
	unsigned applied, overruled, unsaved;
};

extern const struct conf_field small_fields[];
extern const struct configuring_ops small_ops;

#endif
