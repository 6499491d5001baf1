/* SPDX-License-Identifier: Apache-2.0 */
/* chunked: walks over a body in chunks (RFC 9112 section 7.1), of which nothing is kept. */
#ifndef POSTERN_PARSE_CHUNKED_H
#define POSTERN_PARSE_CHUNKED_H

#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

enum chunked_status { CHUNKED_MORE, CHUNKED_DONE, CHUNKED_BAD };

/* Zeroed when a body begins. */
struct chunked {
	uint8_t state;
	uint64_t left; /* of this chunk */
};

/* *used: how many of the bytes belong to the body, all of them unless CHUNKED_DONE. */
enum chunked_status chunked_skip(struct chunked *c, const uint8_t *in, size_t len,
				 size_t *used) MUST_CHECK;

#endif
