/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_index: names and patterns as small numbers, so that a decision compares numbers.
 *
 * A dict gives byte strings ids in the order they come. Patterns is a dict for each of the ways
 * that a pattern can match; which patterns match a name is found by looking the name up, and those
 * of its beginnings and ends whose length some pattern has. That takes the same time however many
 * there are.
 */
#ifndef POSTERN_RELAY_POLICY_INDEX_H
#define POSTERN_RELAY_POLICY_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

/* ---- dict: all zero is an empty one ------------------------------------------------------------
 */

#define DICT_NONE UINT32_MAX

struct dict {
	uint32_t *slots; /* ids + 1; 0: free */
	uint32_t mask;	 /* slots - 1 */
	struct dict_key {
		uint32_t offset, len, hash;
	} * keys; /* by id */
	uint32_t count, room;
	uint8_t *bytes; /* of all keys, each aligned to 8 and followed by a zero */
	size_t used, size;
};

/* The id of key, which is added where it is new. False: memory is out; *id is untouched. */
bool dict_add(struct dict *d, const void *key, size_t len, uint32_t *id) MUST_CHECK;
/* The id of key, or DICT_NONE. */
uint32_t dict_find(const struct dict *d, const void *key, size_t len) MUST_CHECK;
/* The key of id; good until the next dict_add(). */
const void *dict_key(const struct dict *d, uint32_t id, size_t *len);
void dict_free(struct dict *d);

/* ---- patterns: "*", "name", "begin*", "*end" ---------------------------------------------------
 */

enum pattern_kind { PATTERN_ANY, PATTERN_EXACT, PATTERN_PREFIX, PATTERN_SUFFIX };

struct pattern {
	enum pattern_kind kind;
	const char *fixed; /* what is not "*"; points into the text */
	size_t len;
};

#define PATTERN_FIXED_MAX 63u /* a longer one matches no name */
#define PATTERN_ANY_ID	  0u
/* "*", the name, its beginnings and its ends. */
#define PATTERNS_MATCH_MAX (2u + 2u * PATTERN_FIXED_MAX)

struct patterns {
	struct dict exact, prefix, suffix;	 /* suffix holds its keys backwards */
	uint64_t prefix_lengths, suffix_lengths; /* bit n: there is a key of n bytes */
};

/* The two parts of "AGENT/SERVICE"; also by characters of names. False, outputs untouched, when
 * either is no pattern. */
bool pattern_split_target(const char *text, struct pattern *agent,
			  struct pattern *service) MUST_CHECK;
/* The id of a pattern, which is added where it is new. False: memory is out. */
bool patterns_add(struct patterns *p, const struct pattern *pattern, uint32_t *id) MUST_CHECK;
/* The ids of all that match name, into out; how many. */
size_t patterns_match(const struct patterns *p, const char *name,
		      uint32_t out[PATTERNS_MATCH_MAX]) MUST_CHECK;
void patterns_free(struct patterns *p);

#endif
