/* SPDX-License-Identifier: Apache-2.0 */
/* relay_see: the commands that look at a relay. */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "ctl/see/see.h"
#include "ctl/talk/connection.h"
#include "ctl/see/common.h"
#include "ctl/terminal/show.h"
#include "ctl/terminal/units.h"

static const struct option_row sessions_options[] = {
	{"--agent", "NAME", false, "only sessions that this agent asked for or serves"},
	{"--limit", "N", false, "at most N of each of the relay's threads (1000)"},
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

static const struct option_row trace_options[] = {
	{"--session", "NUMBER", false, "one session, as 'postern relay sessions' lists it"},
	{"--for", "TIME", false, "how long (60s), at most an hour"},
	{"--lines", "N", false, "how many lines (1000), at most 10000"},
	{"--json", NULL, false, "print JSON, one object on each line"},
	{NULL, NULL, false, NULL},
};

static const struct option_row records_options[] = {RECORDS_OPTIONS};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* ---- lists ---- */

static const struct show_column agents_columns[] = {
	{"AGENT", "agent", SHOW_TEXT, NULL},
	{"STATE", "online", SHOW_STATE, "online|offline"},
	{"LINKS", "links", SHOW_COUNT, NULL},
	{"LEGS", "legs", SHOW_COUNT, NULL},
	{"SESSIONS", "sessions", SHOW_COUNT, NULL},
	{"KEY EXCHANGE", "key_exchange", SHOW_TEXT, NULL},
	{"SERVICES", "services", SHOW_LIST, NULL},
	{NULL, NULL, SHOW_TEXT, NULL},
};

static const struct show_column sessions_columns[] = {
	{"SESSION", "session", SHOW_TEXT, NULL}, {"FROM", "from", SHOW_TEXT, NULL},
	{"TO", "to", SHOW_TEXT, NULL},		 {"SERVICE", "service", SHOW_TEXT, NULL},
	{"SOURCE", "source", SHOW_TEXT, NULL},	 {"UP", "up", SHOW_SIZE, NULL},
	{"DOWN", "down", SHOW_SIZE, NULL},	 {"FOR", "ms", SHOW_SPAN, NULL},
	{NULL, NULL, SHOW_TEXT, NULL},
};

static enum status show_call(const struct arguments *a, const char *method, json_t *params,
			     const struct show_shape *shape)
{
	struct connection conn;
	json_t *result;

	if (!connection_open_relay(a, &conn)) {
		json_decref(params);
		return STATUS_FAILED;
	}
	result = connection_call(&conn, method, params);
	if (result)
		show_result(a, result, shape);
	json_decref(result);
	connection_close(&conn);
	return result ? STATUS_OK : STATUS_FAILED;
}

static enum status relay_run_agents(const struct arguments *a)
{
	static const struct show_shape shape = {"agents", agents_columns, "no agent is connected"};

	return show_call(a, "agents", NULL, &shape);
}

static enum status relay_run_sessions(const struct arguments *a)
{
	static const struct show_shape shape = {"sessions", sessions_columns, "no session runs"};
	const char *agent = arguments_text(a, "--agent", NULL);
	const char *limit = arguments_text(a, "--limit", NULL);
	json_t *params;
	char *end = NULL;
	long n = limit ? strtol(limit, &end, 10) : 0;

	if (limit && (*end != '\0' || n <= 0)) {
		complain_usage(a->command, "--limit: '%s' is no number above 0", limit);
		return STATUS_USAGE;
	}
	params = json_object();
	if (agent)
		json_object_set_new(params, "agent", json_string(agent));
	if (limit)
		json_object_set_new(params, "limit", json_integer(n));
	return show_call(a, "sessions", params, &shape);
}

/* ---- status ---- */

static const struct show_column status_columns[] = {
	{"relay", "relay", SHOW_TEXT, NULL},
	{"version", "version", SHOW_TEXT, NULL},
	{"state", "draining", SHOW_STATE, "draining|serving"},
	{"listens on", "listen", SHOW_LIST, NULL},
	{"configuration", "revision", SHOW_COUNT, NULL},
	{"unconfirmed, back in", "unconfirmed_ms", SHOW_SPAN, NULL},
	{"certificate until", "certificate_expires", SHOW_TIME, NULL},
	{"front door's until", "front_certificate_expires", SHOW_TIME, NULL},
	{"threads", "threads", SHOW_COUNT, NULL},
	{"engine", "engine", SHOW_TEXT, NULL},
	{"TLS by", "tls_library", SHOW_TEXT, NULL},
	{"links", "links", SHOW_COUNT, NULL},
	{"legs", "legs", SHOW_COUNT, NULL},
	{"connections", "connections", SHOW_COUNT, NULL},
	{"sessions", "sessions", SHOW_COUNT, NULL},
	{"sessions so far", "sessions_total", SHOW_COUNT, NULL},
	{"accepted so far", "accepted_total", SHOW_COUNT, NULL},
	{"handshakes so far", "handshakes_total", SHOW_COUNT, NULL},
	{"bytes so far", "bytes_total", SHOW_SIZE, NULL},
	{NULL, NULL, SHOW_TEXT, NULL},
};

static const struct show_column memory_columns[] = {
	{"memory for peers", "used", SHOW_SIZE, NULL},
	{"at most", "limit", SHOW_SIZE, NULL},
	{NULL, NULL, SHOW_TEXT, NULL},
};

/* What the kernel enforces: true, or why it does not. */
static void print_isolation(const json_t *parts)
{
	json_t *mutable = (json_t *)(uintptr_t)parts; /* jansson iterates over variable ones only */
	const char *part;
	json_t *value;
	char name[64], why[256];

	json_object_foreach(mutable, part, value)
	{
		bool holds = json_is_true(value);

		log_escape(part, name, sizeof(name));
		log_escape(json_is_string(value) ? json_string_value(value) : "", why, sizeof(why));
		printf("  %-24s %s%s%s%s%s\n", name,
		       show_style(stdout, holds ? SHOW_GOOD : SHOW_WARN),
		       holds ? "holds" : "does not hold", show_style(stdout, SHOW_PLAIN),
		       why[0] ? ": " : "", why);
	}
}

/* Names and numbers: what was refused, how keys were exchanged. */
static void print_counts(const char *head, const json_t *counts)
{
	json_t *mutable = (json_t *)(uintptr_t)counts;
	const char *counted;
	json_t *value;
	char name[64];

	if (json_object_size(counts) > 0)
		puts(head);
	json_object_foreach(mutable, counted, value)
	{
		log_escape(counted, name, sizeof(name));
		printf("  %-24s %" JSON_INTEGER_FORMAT "\n", name, json_integer_value(value));
	}
}

/* What each class of connections has of what it may have. */
static void print_places(const json_t *classes)
{
	json_t *mutable = (json_t *)(uintptr_t)classes;
	const char *class;
	json_t *value;
	char name[64];

	if (json_object_size(classes) > 0)
		puts("connections, of those that there may be:");
	json_object_foreach(mutable, class, value)
	{
		log_escape(class, name, sizeof(name));
		printf("  %-24s %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT "\n", name,
		       json_integer_value(json_object_get(value, "used")),
		       json_integer_value(json_object_get(value, "most")));
	}
}

static const struct show_column stun_columns[] = {
	{"over UDP on", "listen_udp", SHOW_LIST, NULL},
	{"over TCP only on", "listen_tcp", SHOW_LIST, NULL},
	{NULL, NULL, SHOW_TEXT, NULL},
};

/* What came over UDP and what over TCP, as far as anything did. */
static void print_stun(const json_t *stun)
{
	static const char *const ways[] = {"udp", "tcp"};
	const char *result;
	json_t *value;
	char name[64], shown[128];

	show_keys(stdout, stun, stun_columns);
	for (size_t i = 0; i < 2; i++) {
		json_object_foreach(json_object_get(stun, ways[i]), result, value)
		{
			if (json_integer_value(value) == 0)
				continue;
			snprintf(name, sizeof(name), "%s.%s", ways[i], result);
			log_escape(name, shown, sizeof(shown));
			printf("  %-24s %" JSON_INTEGER_FORMAT "\n", shown,
			       json_integer_value(value));
		}
	}
}

static void relay_print_status(const json_t *status)
{
	const json_t *stun = json_object_get(status, "stun");
	const json_t *memory = json_object_get(status, "memory");

	show_keys(stdout, status, status_columns);
	if (memory)
		show_keys(stdout, memory, memory_columns);
	print_places(json_object_get(status, "places"));
	print_counts("keys of the links are exchanged by", json_object_get(status, "key_exchange"));
	puts("the kernel enforces");
	print_isolation(json_object_get(status, "isolation"));
	if (stun) {
		puts("STUN");
		print_stun(stun);
	}
	show_nat(json_object_get(status, "nat"));
	print_counts("refused so far", json_object_get(status, "refused"));
}

static enum status relay_run_status(const struct arguments *a)
{
	struct connection conn;
	json_t *status;

	if (!connection_open_relay(a, &conn))
		return STATUS_FAILED;
	status = connection_call(&conn, "status", NULL);
	if (status && arguments_flag(a, "--json"))
		show_json(stdout, status);
	else if (status)
		relay_print_status(status);
	json_decref(status);
	connection_close(&conn);
	return status ? STATUS_OK : STATUS_FAILED;
}

/* ---- records ---- */

static enum status relay_run_records(const struct arguments *a)
{
	enum status status = STATUS_FAILED;
	struct connection conn;

	if (!connection_open_relay(a, &conn))
		return status;
	status = records_run(a, &conn, strrchr(a->command->name, ' ') + 1);
	connection_close(&conn);
	return status;
}

/* ---- a trace ---- */

/* False after saying what is wrong. */
static bool trace_params(const struct arguments *a, json_t *params)
{
	const char *session = arguments_text(a, "--session", NULL);
	const char *span = arguments_text(a, "--for", NULL);
	const char *lines = arguments_text(a, "--lines", NULL);
	uint64_t seconds = 0;
	char *end = NULL;
	long n = lines ? strtol(lines, &end, 10) : 1;

	if ((a->word_count == 1) == (session != NULL)) {
		complain_usage(a->command, "name either an agent or a --session");
		return false;
	}
	if (span && !units_parse_span(span, &seconds)) {
		complain_usage(a->command, "--for: '%s' is not a time like 60s or 5m", span);
		return false;
	}
	if (n <= 0 || (end && *end != '\0')) {
		complain_usage(a->command, "--lines: '%s' is no number above 0", lines);
		return false;
	}
	json_object_set_new(params, session ? "session" : "agent",
			    json_string(session ? session : a->words[0]));
	if (span)
		json_object_set_new(params, "for_ms", json_integer((json_int_t)seconds * 1000));
	if (lines)
		json_object_set_new(params, "lines", json_integer(n));
	return true;
}

static void print_traced(const struct arguments *a, const json_t *note)
{
	char at[64], line[512];

	if (arguments_flag(a, "--json")) {
		json_dumpf(note, stdout, JSON_COMPACT);
		putchar('\n');
		return;
	}
	if (json_object_get(note, "over")) {
		log_escape(text_of(note, "over"), line, sizeof(line));
		complain("the trace is over: %s (%" JSON_INTEGER_FORMAT " lines)", line,
			 json_integer_value(json_object_get(note, "lines")));
		return;
	}
	log_escape(text_of(note, "at"), at, sizeof(at));
	log_escape(text_of(note, "text"), line, sizeof(line));
	printf("%s%s%s %s\n", show_style(stdout, SHOW_DIM), at, show_style(stdout, SHOW_PLAIN),
	       line);
}

/* Until it ends by itself, or the reader of what we print does. */
static enum status relay_run_trace(const struct arguments *a)
{
	json_t *params = json_object(), *answer, *note;
	struct connection conn;
	bool over = false;

	if (!trace_params(a, params)) {
		json_decref(params);
		return STATUS_USAGE;
	}
	if (!connection_open_relay(a, &conn)) {
		json_decref(params);
		return STATUS_FAILED;
	}
	answer = connection_call(&conn, "trace", params);
	while (answer && !over && fflush(stdout) == 0 &&
	       rpc_next(&conn.rpc, -1, &note) == RPC_NOTE) {
		print_traced(a, note);
		over = json_object_get(note, "over") != NULL;
		json_decref(note);
	}
	if (answer && !over && !ferror(stdout))
		connection_complain_end(&conn);
	json_decref(answer);
	connection_close(&conn);
	return over ? STATUS_OK : STATUS_FAILED;
}

/* ---- the schema ---- */

static void print_method(const json_t *method)
{
	json_t *param;
	size_t i;
	char line[512];

	log_escape(text_of(method, "method"), line, sizeof(line));
	printf("%s%s%s (%s)\n", show_style(stdout, SHOW_BOLD), line, show_style(stdout, SHOW_PLAIN),
	       strcmp(text_of(method, "level"), "admin") == 0 ? "admin" : "read");
	log_escape(text_of(method, "help"), line, sizeof(line));
	printf("  %s\n", line);
	json_array_foreach(json_object_get(method, "params"), i, param)
	{
		char name[64], type[32];

		log_escape(text_of(param, "name"), name, sizeof(name));
		log_escape(text_of(param, "type"), type, sizeof(type));
		log_escape(text_of(param, "help"), line, sizeof(line));
		printf("    %-12s %-8s %s%s\n", name, type,
		       json_is_true(json_object_get(param, "required")) ? "" : "(optional) ", line);
	}
	log_escape(text_of(method, "result"), line, sizeof(line));
	printf("  result: %s\n", line);
}

static enum status relay_run_schema(const struct arguments *a)
{
	json_t *schema, *method;
	struct connection conn;
	size_t i;

	if (!connection_open_relay(a, &conn))
		return STATUS_FAILED;
	schema = connection_call(&conn, "schema", NULL);
	if (schema && arguments_flag(a, "--json"))
		show_json(stdout, schema);
	else
		json_array_foreach(json_object_get(schema, "methods"), i, method)
			print_method(method);
	json_decref(schema);
	connection_close(&conn);
	return schema ? STATUS_OK : STATUS_FAILED;
}

const struct command relay_see_commands[] = {
	{"relay status", "", 0, 0,
	 "Shows a relay in one page: counts, and what its kernel enforces.", json_options,
	 relay_run_status},
	{"relay agents", "", 0, 0, "Lists the agents that are connected or have sessions.",
	 json_options, relay_run_agents},
	{"relay sessions", "", 0, 0, "Lists the running sessions.", sessions_options,
	 relay_run_sessions},
	{"relay top", "", 0, 0, "Watches rates of sessions, agents and the relay, live.",
	 relay_top_options, relay_top_run},
	{"relay events", "", 0, 0, "Tells what happened: agents up and down, changes, limits.",
	 records_options, relay_run_records},
	{"relay audit", "", 0, 0, "Tells who reached what, when, from where, and why it ended.",
	 records_options, relay_run_records},
	{"relay trace", "[AGENT]", 0, 1, "Tells what one agent or session does, live, for a while.",
	 trace_options, relay_run_trace},
	{"relay schema", "", 0, 0, "Lists the methods of the control channel.", json_options,
	 relay_run_schema},
	{.name = NULL},
};
