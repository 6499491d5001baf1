/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http: as much of HTTP/1.1 (RFC 9112, RFC 9110) as a plain web server's front needs, and the reply
 * to CONNECT that an agent reads behind a proxy.
 */
#ifndef POSTERN_PARSE_HTTP_H
#define POSTERN_PARSE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

#define HTTP_HEAD_MAX	8192u
#define HTTP_TARGET_MAX 2048u
#define HTTP_METHOD_MAX 16u

enum http_status {
	HTTP_OK,
	HTTP_SHORT,
	HTTP_MALFORMED,		 /* answer 400 */
	HTTP_TARGET_TOO_LONG,	 /* 414 */
	HTTP_HEAD_TOO_LARGE,	 /* 431 */
	HTTP_VERSION_UNSUPPORTED /* 505 */
};

struct http_request {
	char method[HTTP_METHOD_MAX + 1];
	char path[HTTP_TARGET_MAX + 1]; /* absolute path without query, as sent; "" for CONNECT */
	unsigned minor;			/* HTTP/1.minor: 0 or 1 */
	bool has_host;			/* exactly one Host field; 1.1 without it is MALFORMED */
	bool keep_alive;		/* after Connection and the version's default */
	bool expect_continue;
	bool upgrade; /* an Upgrade field is present */
	bool chunked; /* a body of unknown size: answer, then close */
	uint64_t content_length;
	/* The single entity tag sent, quotes included, without the W/ of a weak one; "" for a list.
	 */
	char if_none_match[64];
};

/* Reads a request head at the start of in; *used is its size. Untouched unless HTTP_OK. Both
 * Content-Length and Transfer-Encoding, or two lengths that differ: MALFORMED (RFC 9112 6.3).
 * Any answer but SHORT is final, so MALFORMED for some first bytes says that they are not HTTP. */
enum http_status http_request_parse(const uint8_t *in, size_t len, struct http_request *out,
				    size_t *used) MUST_CHECK;

/* Reads the head of a reply; *code is its status code. For the reply to CONNECT. */
enum http_status http_reply_parse(const uint8_t *in, size_t len, unsigned *code,
				  size_t *used) MUST_CHECK;

#endif
