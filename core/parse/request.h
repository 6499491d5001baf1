/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request: the heads of HTTP requests as nginx 1.22 reads them: what it takes, what it refuses, and
 * after which byte.
 *
 * For the relay's web site alone, which has to answer strangers as nginx would (where what is read
 * decides anything else, core/parse/http.h is strict). A head is read once, however it arrives: the
 * reader keeps positions in it and goes on from there. Its places and limits are nginx's: one
 * buffer of 1 KiB and then four of 8 KiB, none of which a line may exceed.
 */
#ifndef POSTERN_PARSE_REQUEST_H
#define POSTERN_PARSE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

#define REQUEST_FIRST_BUFFER 1024u
#define REQUEST_BUFFER	     8192u
#define REQUEST_BUFFERS	     4u
/* No head is longer. */
#define REQUEST_HEAD_MAX (REQUEST_FIRST_BUFFER + REQUEST_BUFFERS * REQUEST_BUFFER)

enum request_status {
	REQUEST_MORE,
	REQUEST_DONE,
	REQUEST_BAD,		  /* 400 */
	REQUEST_LINE_TOO_LARGE,	  /* 414 */
	REQUEST_FIELDS_TOO_LARGE, /* 400, with words of its own */
	REQUEST_BAD_VERSION,	  /* 505 */
	REQUEST_NOT_ALLOWED,	  /* 405, before anything else was looked at: TRACE, CONNECT */
	REQUEST_NOT_IMPLEMENTED,  /* 501: a transfer coding */
};

enum request_method {
	METHOD_GET,
	METHOD_HEAD,
	METHOD_POST,
	METHOD_TRACE,
	METHOD_CONNECT,
	METHOD_OTHER
};

/* What the site has. */
enum request_path { PATH_ROOT, PATH_INDEX, PATH_HEALTH, PATH_OTHER };

/* Where a value stands in the head; len 0: it is not there, or empty. */
struct request_text {
	uint32_t at, len;
};

enum request_field {
	FIELD_IF_MODIFIED_SINCE,
	FIELD_IF_UNMODIFIED_SINCE,
	FIELD_IF_MATCH,
	FIELD_IF_NONE_MATCH,
	FIELD_IF_RANGE,
	FIELD_RANGE,
	FIELD_CONTENT_LENGTH,
	FIELD_TRANSFER_ENCODING,
	FIELD_EXPECT,
	FIELD_AUTHORIZATION,
	FIELD_CONTENT_RANGE,
	FIELD_COUNT
};

struct request {
	/* Of the reader. */
	uint8_t state;
	bool in_fields;
	bool bad_name; /* of the field being read: it is ignored */
	uint8_t buffers;
	uint32_t at, line, buffer_end;
	struct request_text name, value;
	uint32_t value_end;
	struct request_text method_text, uri, host;
	unsigned major;
	bool complex_uri, has_host, host_field, has_fields[FIELD_COUNT];
	enum { CONNECTION_UNSAID, CONNECTION_CLOSE, CONNECTION_KEEP_ALIVE } connection;

	/* What was read. */
	enum request_method method;
	unsigned version; /* 9, 1000, 1001 ...; 1000 as long as it is not known */
	enum request_path path;
	bool keep_alive, browser; /* browser: one that wants its error pages long */
	bool chunked;
	uint64_t content_length;
	struct request_text fields[FIELD_COUNT];
};

void request_begin(struct request *r);
/* in: the head from its first byte, as far as it has come, and what follows it. Goes on where it
 * stopped before. REQUEST_DONE: r->at is the head's size. */
enum request_status request_read(struct request *r, const uint8_t *in, size_t len) MUST_CHECK;

#endif
