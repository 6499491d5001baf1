/* SPDX-License-Identifier: Apache-2.0 */
/* control: callers, the dispatcher, and the calls on their way. */
#include "relay/control.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "relay/control_internal.h"

static const struct method *const tables[] = {methods_config, methods_see,    methods_act,
					      methods_policy, methods_events, methods_schema};

struct relay *control_relay(struct control *ctl)
{
	return ctl->relay;
}

struct ring *control_ring(struct control *ctl)
{
	return ctl->ring;
}

/* ---- callers ---- */

void control_caller_add(struct control *ctl, struct caller *c)
{
	c->prev = NULL;
	c->next = ctl->callers;
	if (c->next)
		c->next->prev = c;
	ctl->callers = c;
	log_info("control", "caller=%s level=%s connected", c->who,
		 c->level == CALLER_ADMIN ? "admin" : "read");
}

void control_caller_remove(struct control *ctl, struct caller *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		ctl->callers = c->next;
	if (c->next)
		c->next->prev = c->prev;
	for (struct call *k = ctl->calls; k; k = k->next)
		if (k->caller == c)
			k->caller = NULL;
	log_info("control", "caller=%s gone", c->who);
}

static void caller_send(struct caller *c, json_t *message)
{
	size_t len;
	char *line = message ? jsonrpc_line(message, &len) : NULL;

	json_decref(message);
	if (line && !c->send(c, line, len))
		log_debug("control", "caller=%s does not read its answers", c->who);
}

/* ---- calls ---- */

static struct call *call_new(struct control *ctl, struct caller *caller, struct jsonrpc_request *r)
{
	struct call *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->control = ctl;
	c->caller = caller;
	c->id = r->id;
	c->document = r->document;
	c->params = r->params ? json_incref(r->params) : json_object();
	*r = (struct jsonrpc_request){0};
	c->next = ctl->calls;
	if (c->next)
		c->next->prev = c;
	ctl->calls = c;
	caller->pending++;
	return c;
}

static void call_end(struct call *c, json_t *response)
{
	struct control *ctl = c->control;

	if (c->caller) {
		c->caller->pending--;
		if (c->id)
			caller_send(c->caller, response);
		else
			json_decref(response);
	} else {
		json_decref(response);
	}
	if (c->prev)
		c->prev->next = c->next;
	else
		ctl->calls = c->next;
	if (c->next)
		c->next->prev = c->prev;
	json_decref(c->id);
	json_decref(c->params);
	json_decref(c->document);
	free(c);
}

void call_answer(struct call *c, json_t *result)
{
	call_end(c, jsonrpc_result(c->id, result ? result : json_null()));
}

void call_fail(struct call *c, enum jsonrpc_error code, json_t *data, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	call_end(c, jsonrpc_failure(c->id, code, data, "%s", text));
}

/* ---- dispatching ---- */

static const struct method *method_find(const char *name)
{
	for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
		for (const struct method *m = tables[t]; m->name; m++)
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
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
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
	const struct method *m = method_find(name);
	char why[256];

	if (!m)
		call_fail(c, JSONRPC_METHOD_NOT_FOUND, NULL,
			  "there is no method \"%.64s\"; \"schema\" lists them", name);
	else if (m->level > c->caller->level)
		call_fail(c, JSONRPC_FORBIDDEN, NULL,
			  "%s changes something, and you may only read: ask for admin rights "
			  "(control.admin in the relay's configuration)",
			  m->name);
	else if (!params_fit(m, c->params, why, sizeof why))
		call_fail(c, JSONRPC_INVALID_PARAMS, NULL, "%s", why);
	else
		m->run(c);
}

void control_line(struct control *ctl, struct caller *caller, const char *line, size_t len)
{
	struct jsonrpc_request request;
	json_t *response = NULL;

	if (!jsonrpc_parse(line, len, &request, &response)) {
		caller_send(caller, response);
		return;
	}
	char *name = strdup(request.method);
	bool busy = caller->pending >= CALLER_PENDING_MAX;
	struct call *c = name && !busy ? call_new(ctl, caller, &request) : NULL;

	if (c) {
		call_dispatch(c, name);
	} else {
		if (request.id)
			caller_send(caller,
				    jsonrpc_failure(request.id, JSONRPC_BUSY, NULL,
						    "too many calls at once; wait for answers"));
		jsonrpc_request_free(&request);
	}
	free(name);
}

/* ---- the schema, as the program prints it ---- */

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
	json_t *list = json_array();

	for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
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
