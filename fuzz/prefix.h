/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prefix: the promise every stream parser of core/parse makes, for fuzzers.
 *
 * An answer other than "more bytes are needed" is final: it is the same, with the same result, for
 * every longer input. And no strict prefix of what was used is enough.
 */
#ifndef POSTERN_FUZZ_PREFIX_H
#define POSTERN_FUZZ_PREFIX_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct fuzz_answer {
	unsigned status;
	size_t used;	 /* when it is OK */
	char text[4096]; /* the result, written out; "" unless OK */
};

struct fuzz_parser {
	unsigned ok, more; /* its statuses */
	void (*parse)(const uint8_t *in, size_t len, struct fuzz_answer *out);
};

/* Whether all of a is still the pattern that it was filled with. */
static inline int fuzz_untouched(const void *a, size_t len)
{
	const uint8_t *p = a;

	for (size_t i = 0; i < len; i++)
		if (p[i] != 0xa5)
			return 0;
	return 1;
}

/* In memory of exactly that size, so that the sanitizer sees a read past the end. */
static inline void fuzz_parse(const struct fuzz_parser *p, const uint8_t *data, size_t len,
			      struct fuzz_answer *out)
{
	uint8_t *copy = malloc(len ? len : 1);

	assert(copy);
	memcpy(copy, data, len);
	memset(out, 0, sizeof(*out));
	p->parse(copy, len, out);
	free(copy);
}

/* Long inputs are sampled: all near the ends and near the border, and some between. */
static inline void fuzz_prefixes(const struct fuzz_parser *p, const uint8_t *data, size_t len,
				 struct fuzz_answer *whole)
{
	static struct fuzz_answer part;
	size_t step = 1 + len / 97;

	fuzz_parse(p, data, len, whole);
	assert(whole->status != p->ok || whole->used <= len);
	for (size_t n = 0; n < len; n++) {
		if (n > 40 && n + 8 < len && n % step != 0 && n + 1 != whole->used &&
		    n != whole->used)
			continue;
		fuzz_parse(p, data, n, &part);
		if (whole->status == p->ok && n < whole->used)
			assert(part.status == p->more);
		if (whole->status == p->ok && n >= whole->used)
			assert(part.status == p->ok);
		if (part.status != p->more) {
			assert(part.status == whole->status);
			assert(part.used == whole->used);
			assert(strcmp(part.text, whole->text) == 0);
		}
	}
}

/* Small numbers that depend on the input only. */
static inline uint32_t fuzz_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static inline uint32_t fuzz_seed(const uint8_t *data, size_t len)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ data[i]) * 16777619u;
	return hash ? hash : 1;
}

#endif
