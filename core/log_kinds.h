/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_kinds: how often a line of one kind is shown, so that one that comes again and again does not
 * bury the others.
 *
 * A kind is a sentence with its gaps, of one area and level. LOG_KIND_LINES of a kind are shown in
 * LOG_KIND_MS, which begin with the first; more are counted, and told with the last of them when
 * the time is over. Kinds that find no room share one place. Pure: the clock is a parameter.
 */
#ifndef POSTERN_CORE_LOG_KINDS_H
#define POSTERN_CORE_LOG_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

#define LOG_KINDS	    64u
#define LOG_KIND_LINES	    30u
#define LOG_KIND_MS	    60000u
#define LOG_KIND_AREA_BYTES 32u
#define LOG_KIND_TEXT_BYTES 256u

struct log_kind {
	uint64_t key, since_ms;
	unsigned shown, hidden;
	int level;
	char area[LOG_KIND_AREA_BYTES];
	char last[LOG_KIND_TEXT_BYTES]; /* of the hidden ones; may be cut */
};

struct log_kinds {
	struct log_kind kinds[LOG_KINDS + 1]; /* the last: what found no room */
	size_t used;
	uint64_t due_ms; /* the first end of what hides lines; 0: none does */
};

/* Never 0. format with gaps alone ("%s") says nothing about the kind: then text counts. */
uint64_t log_kind_key(int level, const char *area, const char *format, const char *text);
/* Whether this line is shown. text is kept as it is, cut at a character. */
bool log_kinds_admit(struct log_kinds *k, uint64_t key, int level, const char *area,
		     const char *text, uint64_t now_ms) MUST_CHECK;
/* One that has hidden lines, and is over (or any, at_once); it is forgotten. False: none. */
bool log_kinds_over(struct log_kinds *k, bool at_once, uint64_t now_ms,
		    struct log_kind *out) MUST_CHECK;

#endif
