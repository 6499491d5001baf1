/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonrpc: one line to one request, and results to lines. jansson reads and writes the JSON; what
 * is checked here is what it leaves open: depth, and what JSON-RPC 2.0 (section 4) says of a
 * request.
 */
#include "core/parse/jsonrpc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/memory.h"
#include "core/parse/json_read.h"

/* ---- messages out --------------------------------------------------------------------------- */

/* {"jsonrpc": "2.0", "id": id, key: value}; takes over value. */
static json_t *response(json_t *id, const char *key, json_t *value)
{
	json_t *message = json_object();

	if (value && message && json_object_set_new(message, "jsonrpc", json_string("2.0")) == 0 &&
	    json_object_set_new(message, "id", id ? json_incref(id) : json_null()) == 0 &&
	    json_object_set(message, key, value) == 0) {
		json_decref(value);
		return message;
	}
	json_decref(value);
	json_decref(message);
	return NULL;
}

json_t *jsonrpc_result(json_t *id, json_t *result)
{
	return response(id, "result", result);
}

/* A sentence may quote what a caller wrote, cut in the middle of a character. */
static json_t *sentence(const char *text)
{
	char shown[1024];

	log_escape(text, shown, sizeof(shown));
	return json_string(shown);
}

json_t *jsonrpc_failure(json_t *id, enum jsonrpc_error code, json_t *data, const char *format, ...)
{
	char text[512];
	json_t *error = json_object();
	va_list args;
	bool whole;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	whole = error && json_object_set_new(error, "code", json_integer(code)) == 0 &&
		json_object_set_new(error, "message", sentence(text)) == 0 &&
		(!data || json_object_set(error, "data", data) == 0);
	json_decref(data);
	if (whole)
		return response(id, "error", error);
	json_decref(error);
	return NULL;
}

json_t *jsonrpc_notification(const char *method, json_t *params)
{
	json_t *message = json_object();

	if (params && message && json_object_set_new(message, "jsonrpc", json_string("2.0")) == 0 &&
	    json_object_set_new(message, "method", json_string(method)) == 0 &&
	    json_object_set(message, "params", params) == 0) {
		json_decref(params);
		return message;
	}
	json_decref(params);
	json_decref(message);
	return NULL;
}

char *jsonrpc_line(const json_t *message, size_t *len)
{
	/* Compact JSON has no line break outside strings, and inside they are escaped. It is
	 * measured first: json_dumps() would take three times the room for a while. */
	size_t n = message ? json_dumpb(message, NULL, 0, JSON_COMPACT) : 0;
	char *line = n > 0 ? memory_get(n + 2) : NULL;

	if (!line)
		return NULL;
	if (json_dumpb(message, line, n, JSON_COMPACT) != n) { /* it takes memory of its own */
		memory_free(line);
		return NULL;
	}
	memcpy(line + n, "\n", 2);
	*len = n + 1;
	return line;
}

/* ---- requests in ---------------------------------------------------------------------------- */

/* Section 4: a string, a number without fraction, or null. */
static bool id_ok(const json_t *id)
{
	return json_is_integer(id) || json_is_null(id) ||
	       (json_is_string(id) && json_string_length(id) <= JSONRPC_ID_MAX);
}

/* A slip of the pen in a key must not pass as a call without it. */
static bool members_ok(json_t *request)
{
	static const char *const members[] = {"jsonrpc", "id", "method", "params"};
	size_t known = 0;

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		known += json_object_get(request, members[i]) != NULL;
	return known == json_object_size(request);
}

/* What is wrong with document as a request, or NULL. *id: its id, where it has a good one. */
static const char *request_problem(json_t *document, json_t **id)
{
	const json_t *version, *method;
	json_t *own_id;

	*id = NULL;
	if (json_is_array(document))
		return "batches are not supported; write one call per line";
	if (!json_is_object(document))
		return "not an object; write {\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": "
		       "\"schema\"}";
	own_id = json_object_get(document, "id");
	if (own_id && !id_ok(own_id))
		return "\"id\" must be a whole number or a short string";
	*id = own_id;
	version = json_object_get(document, "jsonrpc");
	if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0)
		return "\"jsonrpc\" must be the string \"2.0\"";
	method = json_object_get(document, "method");
	if (!json_is_string(method) || json_string_length(method) == 0)
		return "\"method\" must be a string; the method \"schema\" lists them";
	if (!members_ok(document))
		return "a call has jsonrpc, id, method and params; remove what else there is";
	return NULL;
}

/* Takes document over when it is a request. */
static bool read_request(json_t *document, struct jsonrpc_request *out, json_t **failure)
{
	json_t *id, *params = json_object_get(document, "params");
	const char *problem = request_problem(document, &id);

	if (problem) {
		*failure = jsonrpc_failure(id, JSONRPC_INVALID_REQUEST, NULL, "%s", problem);
		return false;
	}
	if (params && !json_is_object(params)) {
		/* Section 4.1: a notification has no answer, not even this one. */
		*failure = !id ? json_null()
			       : jsonrpc_failure(id, JSONRPC_INVALID_PARAMS, NULL,
						 "\"params\" must be an object, the parameters "
						 "by name; the method \"schema\" lists them");
		return false;
	}
	*out = (struct jsonrpc_request){
		.id = json_incref(id),
		.method = json_string_value(json_object_get(document, "method")),
		.params = params,
		.document = document,
	};
	return true;
}

bool jsonrpc_parse(const char *line, size_t len, struct jsonrpc_request *out, json_t **failure)
{
	unsigned refusals = memory_refusals();
	struct json_extent extent;
	json_t *document;
	json_error_t error;

	if (len > JSONRPC_LINE_MAX) {
		*failure = jsonrpc_failure(NULL, JSONRPC_INVALID_REQUEST, NULL,
					   "longer than %u bytes; make the document smaller",
					   JSONRPC_LINE_MAX);
		return false;
	}
	extent = json_extent_of(line, len);
	if (extent.depth > JSONRPC_DEPTH_MAX) {
		*failure = jsonrpc_failure(NULL, JSONRPC_INVALID_REQUEST, NULL,
					   "nested deeper than %u levels; flatten it",
					   JSONRPC_DEPTH_MAX);
		return false;
	}
	if (extent.values > JSONRPC_VALUES_MAX) {
		*failure = jsonrpc_failure(NULL, JSONRPC_INVALID_REQUEST, NULL,
					   "more than %u values; make the document smaller",
					   JSONRPC_VALUES_MAX);
		return false;
	}
	document = json_read(line, len, &extent, &error);
	if (memory_refusals() != refusals) {
		json_decref(document);
		*failure = jsonrpc_failure(NULL, JSONRPC_BUSY, NULL, JSONRPC_NO_MEMORY);
		return false;
	}
	if (!document) {
		*failure = jsonrpc_failure(NULL, JSONRPC_PARSE_ERROR, NULL,
					   "not valid JSON at byte %d: %s; write one object per "
					   "line",
					   error.position, error.text);
		return false;
	}
	if (read_request(document, out, failure))
		return true;
	json_decref(document);
	return false;
}

void jsonrpc_request_free(struct jsonrpc_request *r)
{
	json_decref(r->id);
	json_decref(r->document);
	*r = (struct jsonrpc_request){0};
}
