/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonrpc: JSON-RPC 2.0, one object per line; lines in, requests and responses out. No I/O.
 */
#ifndef POSTERN_PARSE_JSONRPC_H
#define POSTERN_PARSE_JSONRPC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/must_check.h"

#define JSONRPC_LINE_MAX   (4u << 20) /* a configuration fits; longer lines end the connection */
#define JSONRPC_DEPTH_MAX  32u
#define JSONRPC_VALUES_MAX 250000u /* more than a configuration has (CONF_NODES_MAX) */
#define JSONRPC_ID_MAX	   128u	   /* bytes of an id that is a string */

/* Of what was refused before anything was done. */
#define JSONRPC_NO_MEMORY                                                                          \
	"memory is short: nothing has been done; call again later, or give a relay more "          \
	"(limits.memory)"

enum jsonrpc_error {
	JSONRPC_PARSE_ERROR = -32700,
	JSONRPC_INVALID_REQUEST = -32600,
	JSONRPC_METHOD_NOT_FOUND = -32601,
	JSONRPC_INVALID_PARAMS = -32602,
	JSONRPC_INTERNAL_ERROR = -32603,
	/* ours */
	JSONRPC_FORBIDDEN = -32001, /* this caller may only read */
	JSONRPC_STALE = -32002,	  /* another revision is in force; data.diff tells the difference */
	JSONRPC_REFUSED = -32003, /* valid, but would cut the caller off; force overrides */
	JSONRPC_NOT_FOUND = -32004, /* no such session, agent, pending change */
	JSONRPC_BUSY = -32005,	 /* a change waits for its confirmation; too many calls; or memory
				  * is short */
	JSONRPC_CONFIG = -32006, /* the document has errors; data.errors lists them */
};

struct jsonrpc_request {
	json_t *id;	    /* NULL: a notification; owned */
	const char *method; /* in document; good while it lives */
	json_t *params;	    /* object; borrowed from document; NULL when absent */
	json_t *document;   /* owned */
};

/* Reads one line (no newline). False: *response is the error to send (owned), with the id where one
 * could be read; JSON's null for a notification, which is never answered; NULL without memory.
 * Batches are refused, and params by position: every method takes an object. */
bool jsonrpc_parse(const char *line, size_t len, struct jsonrpc_request *out,
		   json_t **response) MUST_CHECK;
void jsonrpc_request_free(struct jsonrpc_request *r);

/* Both take over result / data; id is borrowed (NULL: null). */
json_t *jsonrpc_result(json_t *id, json_t *result);
json_t *jsonrpc_failure(json_t *id, enum jsonrpc_error code, json_t *data, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* A notification, for events; takes over params. */
json_t *jsonrpc_notification(const char *method, json_t *params);
/* One line with its newline; owned by the caller (memory_free()). NULL without memory. */
char *jsonrpc_line(const json_t *message, size_t *len);

#endif
