/* SPDX-License-Identifier: Apache-2.0 */
/* calls: callers, the dispatcher, and the calls on their way. */
#include "core/engine/calls.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/memory.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- callers -------------------------------------------------------------------------------- */

void caller_add(struct calls *cs, struct caller *c)
{
	c->prev = NULL;
	c->next = cs->callers;
	if (c->next)
		c->next->prev = c;
	cs->callers = c;
	log_info("control", "caller=%s level=%s connected", c->who,
		 c->level == CALLER_ADMIN ? "admin" : "read");
}

void caller_remove(struct calls *cs, struct caller *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		cs->callers = c->next;
	if (c->next)
		c->next->prev = c->prev;
	for (struct call *k = cs->list; k; k = k->next)
		if (k->caller == c)
			k->caller = NULL;
	log_info("control", "caller=%s gone", c->who);
	if (cs->gone)
		cs->gone(cs, c);
}

static void caller_send_line(struct caller *c, char *line, size_t len)
{
	if (!c->send(c, line, len))
		log_debug("control", "caller=%s does not read its answers", c->who);
}

/* Takes message over. */
static void caller_send(struct caller *c, json_t *message)
{
	size_t len = 0;
	char *line = message ? jsonrpc_line(message, &len) : NULL;

	json_decref(message);
	caller_send_line(c, line, len);
}

void caller_notify(struct caller *c, const char *method, json_t *params)
{
	caller_send(c, jsonrpc_notification(method, params));
}

/* ---- calls ---------------------------------------------------------------------------------- */

static struct call *call_new(struct calls *cs, struct caller *caller, struct jsonrpc_request *r)
{
	struct call *c = memory_zeroed(sizeof(*c));
	json_t *params = r->params ? json_incref(r->params) : json_object();

	if (!c || !params) {
		memory_free(c);
		json_decref(params);
		return NULL;
	}
	c->calls = cs;
	c->owner = cs->owner;
	c->caller = caller;
	c->id = r->id;
	c->document = r->document;
	c->params = params;
	c->refusals = memory_refusals();
	*r = (struct jsonrpc_request){0};
	c->next = cs->list;
	if (c->next)
		c->next->prev = c;
	cs->list = c;
	caller->pending++;
	return c;
}

#define ANSWER_LOST                                                                                \
	"memory is short: the answer is lost, and what was asked for may have been done; look "    \
	"before you call again, or give a relay more (limits.memory)"

/* Takes response over. A large one may find no room where a sentence does. */
static void call_respond(struct call *c, json_t *response)
{
	size_t len = 0;
	char *line = response ? jsonrpc_line(response, &len) : NULL;

	json_decref(response);
	if (line)
		caller_send_line(c->caller, line, len);
	else
		caller_send(c->caller,
			    jsonrpc_failure(c->id, JSONRPC_INTERNAL_ERROR, NULL, ANSWER_LOST));
}

static void call_end(struct call *c, json_t *response)
{
	if (c->caller)
		c->caller->pending--;
	if (c->caller && c->id)
		call_respond(c, response);
	else
		json_decref(response);
	if (c->prev)
		c->prev->next = c->next;
	else
		c->calls->list = c->next;
	if (c->next)
		c->next->prev = c->prev;
	json_decref(c->id);
	json_decref(c->params);
	json_decref(c->document);
	memory_free(c);
}

bool call_lacks_memory(const struct call *c)
{
	return memory_refusals() != c->refusals;
}

void call_ask_anew(struct call *c)
{
	c->refusals = memory_refusals();
}

void call_answer(struct call *c, json_t *result)
{
	if (result && !call_lacks_memory(c)) {
		call_end(c, jsonrpc_result(c->id, result));
		return;
	}
	json_decref(result);
	call_end(c, jsonrpc_failure(c->id, JSONRPC_INTERNAL_ERROR, NULL, ANSWER_LOST));
}

void call_fail(struct call *c, enum jsonrpc_error code, json_t *data, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* What was refused may be what the reason rests on, as half a certificate. */
	if (call_lacks_memory(c)) {
		json_decref(data);
		data = NULL;
		code = c->part_done ? JSONRPC_INTERNAL_ERROR : JSONRPC_BUSY;
		snprintf(text, sizeof(text), "%s", c->part_done ? ANSWER_LOST : JSONRPC_NO_MEMORY);
	}
	call_end(c, jsonrpc_failure(c->id, code, data, "%s", text));
}

/* ---- dispatching ---------------------------------------------------------------------------- */

static const struct method *method_find(const struct calls *cs, const char *name)
{
	for (size_t t = 0; cs->tables[t]; t++)
		for (const struct method *m = cs->tables[t]; m->name; m++)
			if (strcmp(m->name, name) == 0)
				return m;
	return NULL;
}

static bool type_fits(const json_t *value, const char *type)
{
	static const struct {
		const char *name;
		json_type type;
	} types[] = {{"string", JSON_STRING},
		     {"integer", JSON_INTEGER},
		     {"object", JSON_OBJECT},
		     {"array", JSON_ARRAY}};

	if (strcmp(type, "any") == 0)
		return true;
	if (strcmp(type, "boolean") == 0)
		return json_is_boolean(value);
	for (size_t i = 0; i < COUNT(types); i++)
		if (strcmp(type, types[i].name) == 0)
			return json_typeof(value) == types[i].type;
	return false;
}

static const struct method_param *param_find(const struct method *m, const char *name)
{
	for (const struct method_param *p = m->params; p && p->name; p++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

/* Writes what is wrong into why; false when something is. */
static bool params_fit(const struct method *m, json_t *params, char *why, size_t why_size)
{
	const char *key;
	json_t *value;

	json_object_foreach(params, key, value)
	{
		const struct method_param *p = param_find(m, key);

		if (!p) {
			snprintf(why, why_size, "%s has no parameter \"%.64s\"", m->name, key);
			return false;
		}
		if (!type_fits(value, p->type)) {
			snprintf(why, why_size, "%s: \"%s\" must be of type %s: %s", m->name,
				 p->name, p->type, p->help);
			return false;
		}
	}
	for (const struct method_param *p = m->params; p && p->name; p++) {
		if (p->required && !json_object_get(params, p->name)) {
			snprintf(why, why_size, "%s needs \"%s\": %s", m->name, p->name, p->help);
			return false;
		}
	}
	return true;
}

static void call_dispatch(struct call *c, const char *name)
{
	const struct method *m = method_find(c->calls, name);
	const char *refused = c->calls->refuses ? c->calls->refuses(c->calls, c->caller) : NULL;
	char why[256];

	if (refused)
		call_fail(c, JSONRPC_FORBIDDEN, NULL, "you may do nothing here any more: %s",
			  refused);
	else if (!m)
		call_fail(c, JSONRPC_METHOD_NOT_FOUND, NULL,
			  "there is no method \"%.64s\"; \"schema\" lists them", name);
	else if (m->level > c->caller->level)
		call_fail(c, JSONRPC_FORBIDDEN, NULL,
			  "%s changes something, and you may only read: %s", m->name,
			  c->calls->admin_remedy);
	else if (!params_fit(m, c->params, why, sizeof(why)))
		call_fail(c, JSONRPC_INVALID_PARAMS, NULL, "%s", why);
	else
		m->run(c);
}

void calls_line(struct calls *cs, struct caller *caller, const char *line, size_t len)
{
	unsigned refusals = memory_refusals();
	struct jsonrpc_request request;
	json_t *response = NULL;

	if (!jsonrpc_parse(line, len, &request, &response)) {
		if (!json_is_null(response)) /* of a notification: nothing is said */
			caller_send(caller, response);
		/* Whose id was not read would wait: it hears the end. */
		if (memory_refusals() != refusals)
			caller_send_line(caller, NULL, 0);
		return;
	}
	/* The call may end, and its document with it, while the name is still needed. */
	char *name = memory_text(request.method);
	bool busy = caller->pending >= CALLER_PENDING_MAX;
	struct call *c = name && !busy ? call_new(cs, caller, &request) : NULL;

	if (c) {
		call_dispatch(c, name);
	} else {
		if (request.id)
			caller_send(
				caller,
				jsonrpc_failure(request.id, JSONRPC_BUSY, NULL, "%s",
						busy ? "too many calls at once; wait for answers"
						     : JSONRPC_NO_MEMORY));
		jsonrpc_request_free(&request);
	}
	memory_free(name);
}

/* ---- the schema, as programs print it ------------------------------------------------------- */

static json_t *schema_params(const struct method *m)
{
	json_t *list = json_array();

	for (const struct method_param *p = m->params; p && p->name; p++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:b, s:s}", "name", p->name, "type",
						p->type, "required", p->required, "help", p->help));
	return list;
}

static void schema_run(struct call *c)
{
	const struct method *const *tables = c->calls->tables;
	json_t *list = json_array();

	for (size_t t = 0; tables[t]; t++)
		for (const struct method *m = tables[t]; m->name; m++)
			json_array_append_new(list,
					      json_pack("{s:s, s:s, s:s, s:o, s:s}", "method",
							m->name, "level",
							m->level == CALLER_ADMIN ? "admin" : "read",
							"help", m->help, "params", schema_params(m),
							"result", m->result));
	call_answer(c, json_pack("{s:i, s:o}", "version", 1, "methods", list));
}

const struct method methods_schema[] = {
	{.name = "schema",
	 .level = CALLER_READ,
	 .run = schema_run,
	 .help = "every method with its parameters",
	 .result = "{version, methods: [{method, level, help, params, result}]}"},
	{.name = NULL},
};
