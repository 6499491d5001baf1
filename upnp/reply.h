/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply: a gateway's reply over HTTP/1.x, all of it in one bounded buffer.
 *
 * The reader of core/parse/http.h is for strangers on the Internet and refuses what is doubtful;
 * gateways are small and old, end lines with LF alone and forget lengths. So this one is lenient
 * with the form and firm with sizes: what it takes for the body lies within the buffer.
 */
#ifndef POSTERN_UPNP_REPLY_H
#define POSTERN_UPNP_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

#define REPLY_MAX      65536u /* head and body; descriptions take some 4 to 10 KB */
#define REPLY_HEAD_MAX 8192u

enum reply_status { REPLY_OK, REPLY_SHORT, REPLY_MALFORMED, REPLY_TOO_LARGE };

struct upnp_reply {
	unsigned code; /* of the status line: 100 to 599 */
	size_t body;   /* offset of the body in what was read */
	size_t len;    /* of the body, after reply_read() put its chunks together */
};

/*
 * Looks whether all of a reply is in the first len bytes of in; ended: the peer sent no more. On OK
 * a chunked body (RFC 9112 section 7.1) has been moved together in place; else in and out are
 * untouched. Interim replies (1xx) are passed over.
 */
enum reply_status reply_read(uint8_t *in, size_t len, bool ended,
			     struct upnp_reply *out) MUST_CHECK;

#endif
