/* SPDX-License-Identifier: Apache-2.0 */
/* relays: one change, at one relay after the other. */
#include "ctl/change/relays.h"

#include <time.h>

#include "core/utc.h"
#include "ctl/change/change.h"
#include "ctl/terminal/show.h"

static const char *text_of(const json_t *result, const char *key)
{
	const char *text =
		json_string_value(json_object_get(json_object_get(result, "signed"), key));

	return text ? text : "?";
}

static bool relays_change_at(const struct arguments *a, const struct relays_change *c, size_t nth,
			     bool several)
{
	json_t *params, *result;
	struct connection conn;

	if (!connection_open_nth(a, nth, &conn))
		return false;
	params = c->prepare ? c->prepare(a, &conn, c) : json_incref(c->params);
	result = params ? connection_call(&conn, c->method, params) : NULL;
	if (result && arguments_flag(a, "--json"))
		show_json(stdout, result);
	else if (result)
		printf("%s%s%s; revision %" JSON_INTEGER_FORMAT "\n", several ? conn.label : "",
		       several ? ": " : "", c->done,
		       json_integer_value(json_object_get(result, "revision")));
	if (result && json_object_get(result, "signed") && !arguments_flag(a, "--json"))
		printf("  signed by %s, until %s, at each agent that hears of it\n",
		       text_of(result, "by"), text_of(result, "until"));
	if (result)
		change_tell_unsaved(result, conn.label);
	if (result && json_object_get(result, "unsigned"))
		complain("note: %s: %s", conn.label,
			 json_string_value(json_object_get(result, "unsigned")));
	json_decref(result);
	connection_close(&conn);
	return result != NULL;
}

enum status relays_change(const struct arguments *a, const struct relays_change *c)
{
	size_t count = connection_count(a), done = 0;

	for (size_t i = 0; i < count; i++)
		done += relays_change_at(a, c, i, count > 1);
	json_decref(c->params);
	if (done < count && count > 1)
		complain("%zu of %zu relays have changed; run this again for the others", done,
			 count);
	return count > 0 && done == count ? STATUS_OK : STATUS_FAILED;
}

bool relays_take_moment(const struct arguments *a, const char *option, bool past, json_t *params,
			char shown[UNITS_MOMENT_BYTES])
{
	const char *text = arguments_text(a, option, NULL);
	char why[256], again[256], utc[UTC_TEXT_BYTES];
	time_t moment;

	shown[0] = '\0';
	if (!text)
		return true;
	if (!units_parse_moment(text, time(NULL), &moment, why, sizeof(why)) &&
	    !(past && units_parse_moment(text, 0, &moment, again, sizeof(again)))) {
		complain_usage(a->command, "%s: %s", option, why);
		return false;
	}
	json_object_set_new(params, option + 2, json_string(utc_text(moment, utc)));
	units_moment(moment, shown);
	return true;
}

void relays_take_text(const struct arguments *a, const char *option, json_t *params)
{
	const char *text = arguments_text(a, option, NULL);

	if (text)
		json_object_set_new(params, option + 2, json_string(text));
}
