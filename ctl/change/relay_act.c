/* SPDX-License-Identifier: Apache-2.0 */
/* relay_act: the commands that do something to a running relay: drain, undrain, kick, log. */
#include <string.h>

#include "core/conf/conf.h"
#include "core/log.h"
#include "ctl/change/change.h"
#include "ctl/talk/connection.h"
#include "ctl/terminal/show.h"
#include "ctl/terminal/units.h"

static const struct option_row drain_options[] = {
	{"--deadline", "TIME", false, "sessions may run so long (as configured)"},
	{"--exit", NULL, false, "end the relay when it is empty, or at the deadline"},
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

static const struct option_row kick_options[] = {
	{"--agent", "NAME", false, "an agent's link and all its sessions"},
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

/* Takes params over. The result is the caller's; NULL: told. */
static json_t *relay_act_call(const struct arguments *a, const char *method, json_t *params)
{
	json_t *result = NULL;
	struct connection conn;

	if (connection_open_relay(a, &conn)) {
		result = connection_call(&conn, method, params);
		connection_close(&conn);
	} else {
		json_decref(params);
	}
	if (result && arguments_flag(a, "--json"))
		show_json(stdout, result);
	return result;
}

static enum status relay_run_drain(const struct arguments *a)
{
	const char *deadline = arguments_text(a, "--deadline", NULL);
	bool leave = arguments_flag(a, "--exit");
	json_t *params, *result;
	uint64_t seconds = 0;

	if (deadline && strcmp(deadline, "0") != 0 && !units_parse_span(deadline, &seconds)) {
		complain_usage(a->command, "--deadline: '%s' is not a time like 30s or 5m",
			       deadline);
		return STATUS_USAGE;
	}
	params = json_pack("{s:b}", "exit", (int)leave);
	if (deadline)
		json_object_set_new(params, "deadline_ms",
				    json_integer((json_int_t)seconds * 1000));
	result = relay_act_call(a, "drain", params);
	if (result && !arguments_flag(a, "--json"))
		printf("draining: no new sessions; %" JSON_INTEGER_FORMAT " still run%s\n",
		       json_integer_value(json_object_get(result, "sessions")),
		       leave ? ", then the relay exits"
			     : "; 'postern relay undrain' takes it back");
	json_decref(result);
	return result ? STATUS_OK : STATUS_FAILED;
}

static enum status relay_run_undrain(const struct arguments *a)
{
	json_t *result = relay_act_call(a, "undrain", NULL);

	if (result && !arguments_flag(a, "--json"))
		puts("takes new sessions again");
	json_decref(result);
	return result ? STATUS_OK : STATUS_FAILED;
}

/* Nothing kicked is a failure: the person who typed it believes that there is something. */
static enum status relay_run_kick(const struct arguments *a)
{
	const char *agent = arguments_text(a, "--agent", NULL);
	const char *session = a->word_count ? a->words[0] : NULL;
	const json_t *kicked;
	json_t *result, *one;
	char line[160];
	bool any;
	size_t i;

	if (!agent == !session) {
		complain_usage(a->command, "name a session, or an agent with --agent");
		return STATUS_USAGE;
	}
	result = relay_act_call(
		a, "kick",
		json_pack("{s:s}", agent ? "agent" : "session", agent ? agent : session));
	if (!result)
		return STATUS_FAILED;
	kicked = json_object_get(result, "kicked");
	any = json_array_size(kicked) > 0;
	if (!arguments_flag(a, "--json")) {
		json_array_foreach(kicked, i, one)
		{
			log_escape(json_is_string(one) ? json_string_value(one) : "?", line,
				   sizeof(line));
			printf("ended: %s\n", line);
		}
	}
	if (!any)
		complain("there is no %s %s; 'postern relay %s' lists them",
			 agent ? "agent" : "session", agent ? agent : session,
			 agent ? "agents" : "sessions");
	json_decref(result);
	return any ? STATUS_OK : STATUS_FAILED;
}

static enum status relay_run_log(const struct arguments *a)
{
	static const char *const words[] = {"error", "warning", "notice", "info", "debug", NULL};
	enum log_level level;
	json_t *result;

	if (!log_level_parse(a->words[0], &level)) {
		const char *near = conf_nearest(a->words[0], words);

		complain_usage(
			a->command,
			"'%s' is no level%s%s; there are error, warning, notice, info, debug",
			a->words[0], near ? "; did you mean " : "", near ? near : "");
		return STATUS_USAGE;
	}
	result = relay_act_call(a, "log.level", json_pack("{s:s}", "level", a->words[0]));
	if (result && !arguments_flag(a, "--json"))
		printf("logs %s and above, until the next change or restart\n", a->words[0]);
	json_decref(result);
	return result ? STATUS_OK : STATUS_FAILED;
}

const struct command relay_act_commands[] = {
	{"relay drain", "", 0, 0, "Takes no new sessions, and tells agents to move.", drain_options,
	 relay_run_drain},
	{"relay undrain", "", 0, 0, "Takes new sessions again.", json_options, relay_run_undrain},
	{"relay kick", "[SESSION]", 0, 1,
	 "Ends a session, or an agent's link and sessions, at once.", kick_options, relay_run_kick},
	{"relay log", "LEVEL", 1, 1, "Makes a relay log more or less.", json_options,
	 relay_run_log},
	{.name = NULL},
};
