/* SPDX-License-Identifier: Apache-2.0 */
/* proxy: the PROXY protocol, version 2 (and version 1 read-only), as HAProxy's specification says.
 */
#ifndef POSTERN_PARSE_PROXY_H
#define POSTERN_PARSE_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

#define PROXY_HEADER_MAX 536u /* what the specification asks a receiver to accept */
#define PROXY_V2_MAX	 52u  /* what proxy_encode() writes: 16 and two IPv6 addresses */

enum proxy_status { PROXY_OK, PROXY_SHORT, PROXY_MALFORMED };

struct proxy_header {
	bool local; /* LOCAL command or UNKNOWN/UNSPEC: keep the connection's own addresses */
	struct addr source, destination; /* len 0 when local */
};

/* Reads a v1 or v2 header at the start of in; *used is its size. Untouched unless PROXY_OK. Any
 * answer but SHORT is final. */
enum proxy_status proxy_decode(const uint8_t *in, size_t len, struct proxy_header *out,
			       size_t *used) MUST_CHECK;

/* Writes a v2 header (STREAM) for source and destination; LOCAL when either is absent or their
 * families differ beyond v4-in-v6. Returns the size. */
size_t proxy_encode(const struct addr *source, const struct addr *destination,
		    uint8_t out[PROXY_V2_MAX]);

#endif
