/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonrpc_fuzz: any bytes as a caller's lines, through the parser and the dispatcher.
 *
 * Every answer is one line of JSON with the version and an id. Calls that are no notifications get
 * one each; no admin's method runs for a reader; parameters fit their schema when a method runs.
 *
 * links: core/parse/jsonrpc.c core/engine/calls.c core/log*.c core/memory.c
 * links: core/parse/json_read.c
 */
#undef NDEBUG
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/engine/calls.h"
#include "core/memory.h"
#include "fuzz/prefix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct caller caller;
static struct calls calls;
static size_t answers, begun;
static struct call *kept;

/* ---- methods -------------------------------------------------------------------------------- */

static void begin(const struct call *c)
{
	assert(c->caller == &caller && json_is_object(c->params));
	begun += c->id != NULL;
}

static void echo_run(struct call *c)
{
	begin(c);
	assert(json_is_string(json_object_get(c->params, "text")));
	call_answer(c, json_incref(c->params));
}

static void fail_run(struct call *c)
{
	begin(c);
	call_fail(c, JSONRPC_NOT_FOUND, json_incref(c->params), "no \"%s\" here",
		  json_string_value(json_object_get(c->params, "text")));
}

static void keep_run(struct call *c)
{
	begin(c);
	if (kept)
		call_answer(kept, json_null());
	kept = c;
}

static void admin_run(struct call *c)
{
	begin(c);
	assert(c->caller->level == CALLER_ADMIN);
	call_answer(c, NULL);
}

static const struct method_param params[] = {
	{"text", "string", true, "a text"},
	{"number", "integer", false, "a number"},
	{"flag", "boolean", false, "a flag"},
	{"map", "object", false, "a map"},
	{"list", "array", false, "a list"},
	{"any", "any", false, "a value"},
	{.name = NULL},
};

static const struct method methods[] = {
	{"echo", CALLER_READ, echo_run, "says it again", params, "the same"},
	{"fail", CALLER_READ, fail_run, "says no", params, "an error"},
	{"keep", CALLER_READ, keep_run, "answers later", NULL, "nothing"},
	{"admin", CALLER_ADMIN, admin_run, "changes something", NULL, "nothing"},
	{.name = NULL},
};

/* ---- lines ---------------------------------------------------------------------------------- */

static bool take_answer(struct caller *c, char *line, size_t len)
{
	json_t *message, *error;

	assert(c == &caller && len > 0 && line[len - 1] == '\n' && strlen(line) == len);
	assert(!memchr(line, '\n', len - 1));
	message = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	assert(message && json_object_size(message) == 3);
	assert(strcmp(json_string_value(json_object_get(message, "jsonrpc")), "2.0") == 0);
	assert(json_object_get(message, "id"));
	error = json_object_get(message, "error");
	assert(!error == !!json_object_get(message, "result"));
	if (error) {
		assert(json_integer_value(json_object_get(error, "code")) < -32000);
		assert(json_string_length(json_object_get(error, "message")) > 0);
	}
	json_decref(message);
	memory_free(line);
	answers++;
	return true;
}

/* The parser alone: what it accepts is what JSON-RPC calls a request. */
static void check_parser(const char *line, size_t len)
{
	char *copy = malloc(len ? len : 1); /* of exactly that size, for the sanitizer */
	struct jsonrpc_request r;
	json_t *response = NULL;

	assert(copy);
	memcpy(copy, line, len);
	memset(&r, 0xa5, sizeof(r));
	if (jsonrpc_parse(copy, len, &r, &response)) {
		assert(!response && r.method[0] && json_is_object(r.document));
		assert(!r.params || json_is_object(r.params));
		assert(!r.id || json_is_string(r.id) || json_is_integer(r.id) ||
		       json_is_null(r.id));
		jsonrpc_request_free(&r);
	} else {
		assert(fuzz_untouched(&r, sizeof(r)));
		json_decref(response);
	}
	free(copy);
}

/* The first byte: the caller's level, and whether it leaves before its last answer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct method *const tables[] = {methods, methods_schema, NULL};
	const char *line = (const char *)data + 1, *end = line + (len ? len - 1 : 0);

	if (len == 0)
		return 0;
	answers = begun = 0;
	kept = NULL;
	calls = (struct calls){.tables = tables, .admin_remedy = "ask for more"};
	caller = (struct caller){.who = "fuzz",
				 .level = data[0] & 1 ? CALLER_ADMIN : CALLER_READ,
				 .send = take_answer};
	caller_add(&calls, &caller);
	while (line < end) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		size_t n = (size_t)((stop ? stop : end) - line), before = answers;

		check_parser(line, n);
		calls_line(&calls, &caller, line, n);
		assert(answers <= before + 2); /* this one's, and that of a call kept before */
		line += n + 1;
	}
	assert(caller.pending == (kept != NULL));
	if (kept && data[0] & 2) {
		size_t before = answers;
		caller_remove(&calls, &caller);
		call_answer(kept, json_null()); /* into the void */
		assert(answers == before);
	} else {
		if (kept)
			call_answer(kept, json_null());
		assert(caller.pending == 0);
		caller_remove(&calls, &caller);
		assert(answers >= begun);
	}
	assert(!calls.list && !calls.callers);
	return 0;
}
