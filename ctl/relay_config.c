/* SPDX-License-Identifier: Apache-2.0 */
/* relay_config: the commands that read and change a relay's configuration. */
#include <string.h>

#include "ctl/commands.h"
#include "ctl/configure.h"

static const struct option_row json_options[] = {
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

static const struct option_row apply_options[] = {
	CONFIG_APPLY_OPTIONS,
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

static enum status run_get(const struct arguments *a)
{
	enum status status;
	struct door d;

	if (!door_open_relay(a, &d))
		return STATUS_FAILED;
	status = configure_get(a, &d);
	door_close(&d);
	return status;
}

static enum status run_history(const struct arguments *a)
{
	enum status status;
	struct door d;

	if (!door_open_relay(a, &d))
		return STATUS_FAILED;
	status = configure_history(a, &d);
	door_close(&d);
	return status;
}

/* "relay config confirm" is the method config.confirm; rollback likewise. */
static enum status run_settle(const struct arguments *a)
{
	bool confirm = strstr(a->command->name, "confirm") != NULL;
	enum status status;
	struct door d;

	if (!door_open_relay(a, &d))
		return STATUS_FAILED;
	status = configure_settle(a, &d, confirm ? "config.confirm" : "config.rollback");
	door_close(&d);
	return status;
}

static enum status apply(const struct arguments *a, struct door *d, const struct document *doc)
{
	return configure_apply(a, d, doc, "relay config confirm");
}

/* What needs a document: read and looked through before anybody is asked. */
static enum status with_document(const struct arguments *a,
				 enum status (*run)(const struct arguments *a, struct door *d,
						    const struct document *doc))
{
	enum status status = STATUS_FAILED;
	struct document doc;
	struct door d;

	if (!document_load(a->words[0], &document_relay, &doc))
		return status;
	if (door_open_relay(a, &d)) {
		status = run(a, &d, &doc);
		door_close(&d);
	}
	document_free(&doc);
	return status;
}

static enum status run_check(const struct arguments *a)
{
	return with_document(a, configure_check);
}

static enum status run_diff(const struct arguments *a)
{
	return with_document(a, configure_diff);
}

static enum status run_apply(const struct arguments *a)
{
	return with_document(a, apply);
}

const struct command relay_config_commands[] = {
	{"relay config get", "", 0, 0,
	 "Prints the configuration in force, secrets hidden, as YAML.", json_options, run_get},
	{"relay config check", "FILE", 1, 1, "Asks whether the relay would accept a configuration.",
	 json_options, run_check},
	{"relay config diff", "FILE", 1, 1, "Shows what a configuration would change.",
	 json_options, run_diff},
	{"relay config apply", "FILE", 1, 1,
	 "Puts a configuration in force; only what differs is touched.", apply_options, run_apply},
	{"relay config confirm", "", 0, 0, "Keeps what was applied with --confirm-within.",
	 json_options, run_settle},
	{"relay config rollback", "", 0, 0, "Takes back what was applied with --confirm-within.",
	 json_options, run_settle},
	{"relay config history", "", 0, 0, "Lists the changes so far, newest first.", json_options,
	 run_history},
	{.name = NULL},
};
