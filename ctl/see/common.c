/* SPDX-License-Identifier: Apache-2.0 */
/* common: events and audits, listed and followed; the NAT, by keys and as a table. */
#include "ctl/see/common.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "ctl/terminal/show.h"

#define FOLLOW_LIMIT 10 /* records of before, to see that it works */
#define LIMIT	     100

/* Sizes carry their unit with them; a time's is in its key: ms, confirm_ms. */
static enum show_kind kind_of(const char *key)
{
	return strcmp(key, "up") == 0 || strcmp(key, "down") == 0 ? SHOW_SIZE : SHOW_TEXT;
}

/* "session.closed from=laptop to=home ...": when and what first, the rest by its keys. */
static void print_record(json_t *record)
{
	static const struct show_column text = {"", "", SHOW_TEXT, NULL};
	char at[64], kind[64], name[64], value[512];
	const char *key;
	json_t *item;

	printf("%s%s%s %s%s%s", show_style(stdout, SHOW_DIM),
	       show_value(json_object_get(record, "at"), &text, at, sizeof(at)),
	       show_style(stdout, SHOW_PLAIN), show_style(stdout, SHOW_BOLD),
	       show_value(json_object_get(record, "kind"), &text, kind, sizeof(kind)),
	       show_style(stdout, SHOW_PLAIN));
	json_object_foreach(record, key, item)
	{
		const struct show_column column = {"", "", kind_of(key), NULL};
		bool spaced;

		if (strcmp(key, "at") == 0 || strcmp(key, "kind") == 0 ||
		    strcmp(key, "number") == 0)
			continue;
		show_value(item, &column, value, sizeof(value));
		spaced = value[0] == '\0' || strchr(value, ' ') != NULL;
		log_escape(key, name, sizeof(name));
		printf(" %s=%s%s%s", name, spaced ? "\"" : "", value, spaced ? "\"" : "");
	}
	putchar('\n');
}

static void print_one(const struct arguments *a, json_t *record)
{
	if (arguments_flag(a, "--json")) {
		json_dumpf(record, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print_record(record);
	}
}

/* Until the connection ends, or the reader of what we print. */
static enum status see_follow(const struct arguments *a, struct connection *conn)
{
	json_t *record;

	while (fflush(stdout) == 0 && rpc_next(&conn->rpc, -1, &record) == RPC_NOTE) {
		print_one(a, record);
		json_decref(record);
	}
	if (!ferror(stdout))
		connection_complain_end(conn);
	return STATUS_FAILED;
}

enum status records_run(const struct arguments *a, struct connection *conn, const char *method)
{
	bool following = arguments_flag(a, "--follow");
	const char *text = arguments_text(a, "--limit", NULL);
	char *end = NULL;
	long limit = text ? strtol(text, &end, 10) : following ? FOLLOW_LIMIT : LIMIT;
	json_t *result, *record;
	size_t i;

	if (text && (*end != '\0' || end == text || limit < 0)) {
		complain_usage(a->command, "--limit: '%s' is no number", text);
		return STATUS_USAGE;
	}
	result = connection_call(
		conn, method,
		json_pack("{s:I, s:b}", "limit", (json_int_t)limit, "follow", (int)following));
	if (!result)
		return STATUS_FAILED;
	if (arguments_flag(a, "--json") && !following)
		show_json(stdout, result);
	else
		json_array_foreach(json_object_get(result, method), i, record) print_one(a, record);
	json_decref(result);
	return following ? see_follow(a, conn) : STATUS_OK;
}

/* ---- the NAT ---- */

static const struct show_column summary_columns[] = {
	{"postern-natd", "connected", SHOW_STATE, "tells|is away"},
	{"external address", "external", SHOW_TEXT, NULL},
	{"verdict", "verdict", SHOW_TEXT, NULL},
	{"because", "sentence", SHOW_TEXT, NULL},
	{"advice", "advice", SHOW_TEXT, NULL},
	{NULL, NULL, SHOW_TEXT, NULL},
};

static const struct show_column mapping_columns[] = {
	{"PROTOCOL", "protocol", SHOW_TEXT, NULL}, {"FAMILY", "family", SHOW_TEXT, NULL},
	{"PORT", "port", SHOW_COUNT, NULL},	   {"EXTERNAL", "external", SHOW_TEXT, NULL},
	{"STATE", "state", SHOW_TEXT, NULL},	   {NULL, NULL, SHOW_TEXT, NULL},
};

void show_nat(const json_t *nat)
{
	const json_t *mappings = json_object_get(nat, "mappings");

	if (!nat)
		return;
	puts("NAT");
	show_keys(stdout, nat, summary_columns);
	if (json_array_size(mappings) > 0)
		show_table(stdout, mappings, mapping_columns);
	if (json_is_true(json_object_get(nat, "more")))
		puts("and more, which postern-natd tells");
}
