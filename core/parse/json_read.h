/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_read: a text that a peer has sent to a JSON document. Memory may be refused at any point of
 * it, by the account (core/memory.h) or by the system.
 */
#ifndef POSTERN_PARSE_JSON_READ_H
#define POSTERN_PARSE_JSON_READ_H

#include <jansson.h>
#include <stddef.h>

#include "core/must_check.h"

/* What a text comes to, before anything is made of it. */
struct json_extent {
	size_t depth;	/* of brackets: readers recurse into them */
	size_t values;	/* at most so many: of 4 MiB of "{}," each takes 230 bytes */
	size_t longest; /* no string or number has more bytes, quotes included */
};

struct json_extent json_extent_of(const char *text, size_t len);

/* One value, no key twice. extent: of this text. NULL: *error tells what is wrong and where, unless
 * memory_refusals() has grown: then it means nothing. */
json_t *json_read(const char *text, size_t len, const struct json_extent *extent,
		  json_error_t *error) MUST_CHECK;

#endif
