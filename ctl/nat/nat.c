/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat: 'postern nat': what natd knows, what happens there, and what the gateway is.
 *
 * All of it is asked of natd over its Unix socket. A probe does without where none runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/utc.h"
#include "ctl/nat/nat.h"
#include "ctl/talk/connection.h"
#include "ctl/nat/behaviour.h"
#include "ctl/nat/conclude.h"
#include "ctl/nat/ask.h"
#include "ctl/nat/reach.h"
#include "ctl/nat/report.h"
#include "ctl/nat/trial.h"
#include "ctl/terminal/progress.h"
#include "ctl/terminal/show.h"

static const struct option_row watch_options[] = {
	{"--json", NULL, false, "print JSON: one object on each line"},
	{NULL, NULL, false, NULL},
};

static const struct option_row probe_options[] = {
	{"--stun", "HOST[:PORT]", true,
	 "a STUN server to ask what the NAT does, such as a relay; else those that natd asks"},
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

/* ---- status and renew ---- */

/* Or has nothing to keep. */
static bool keeps_something(const json_t *status)
{
	const json_t *mappings = json_object_get(status, "mappings"), *mapping;
	size_t i;

	json_array_foreach(mappings, i, mapping)
	{
		if (nat_conclude_unneeded(status, mapping))
			return true;
	}
	return json_array_size(mappings) == 0 || nat_conclude_any_held(mappings);
}

static enum status nat_run_status(const struct arguments *a)
{
	const struct page page = page_of_terminal();
	enum status status = STATUS_FAILED;
	json_t *result;
	struct connection conn;

	if (!nat_reach_here(a))
		return STATUS_USAGE;
	if (!nat_reach_open(a, &conn))
		return STATUS_FAILED;
	result = connection_call(&conn, "status", NULL);
	if (result) {
		if (arguments_flag(a, "--json"))
			show_json(stdout, result);
		else
			nat_report_status(&page, result);
		status = nat_conclude_no_way(result) ? STATUS_NO_WAY
			 : keeps_something(result)   ? STATUS_OK
						     : STATUS_FAILED;
	}
	json_decref(result);
	connection_close(&conn);
	return status;
}

static enum status nat_run_renew(const struct arguments *a)
{
	struct connection conn;
	json_t *result;

	if (!nat_reach_here(a))
		return STATUS_USAGE;
	if (!nat_reach_open(a, &conn))
		return STATUS_FAILED;
	result = connection_call(&conn, "renew", NULL);
	if (result && arguments_flag(a, "--json"))
		show_json(stdout, result);
	else if (result)
		printf("natd renews every mapping now; 'postern nat status' tells how that goes\n");
	json_decref(result);
	connection_close(&conn);
	return result ? STATUS_OK : STATUS_FAILED;
}

/* ---- watch ---- */

static void print_event(const struct arguments *a, const json_t *event)
{
	if (arguments_flag(a, "--json")) {
		json_dumpf(event, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		nat_report_event(stdout, event);
	}
}

/* Takes status over. */
static void nat_print_status(const struct arguments *a, json_t *status)
{
	const struct page page = page_of_terminal();

	if (arguments_flag(a, "--json")) {
		json_object_set_new(status, "kind", json_string("status"));
		print_event(a, status);
	} else {
		nat_report_status(&page, status);
		putchar('\n');
	}
	json_decref(status);
}

/* What this command has to tell itself. */
static void print_own(const struct arguments *a, const char *kind, const char *sentence)
{
	char at[UTC_TEXT_BYTES];
	json_t *event = json_pack("{s:s, s:s, s:s}", "kind", kind, "at", utc_text(time(NULL), at),
				  "sentence", sentence);

	print_event(a, event);
	json_decref(event);
}

/* Until natd ends; false: standard output has no reader any more. Follows first, so that nothing is
 * missed between the status and the events. */
static bool watch_one(const struct arguments *a, struct connection *conn)
{
	struct rpc_failure failure = {.data = NULL};
	json_t *followed = connection_try(
		conn, "events", json_pack("{s:b, s:i}", "follow", 1, "limit", 0), &failure);
	json_t *status = followed ? connection_try(conn, "status", NULL, &failure) : NULL, *event;

	json_decref(followed);
	if (!status) {
		print_own(a, "lost", failure.message);
		rpc_failure_free(&failure);
		return fflush(stdout) == 0;
	}
	nat_print_status(a, status);
	while (fflush(stdout) == 0 && rpc_next(&conn->rpc, -1, &event) == RPC_NOTE) {
		print_event(a, event);
		json_decref(event);
	}
	if (ferror(stdout))
		return false;
	print_own(a, "lost", "natd has gone; waiting for it to come back");
	return fflush(stdout) == 0;
}

/* Until natd listens again. Errors other than its absence end the watch. */
static int open_again(const struct arguments *a, struct connection *conn)
{
	static const struct timespec pause = {.tv_nsec = NAT_REACH_RETRY_MS * 1000000L};
	int error;

	do {
		nanosleep(&pause, NULL);
		error = connection_open_path(nat_reach_path(a), conn);
	} while (nat_reach_is_absent(error));
	return error;
}

static enum status nat_run_watch(const struct arguments *a)
{
	struct connection conn;
	int error = 0;
	bool read_on;

	if (!nat_reach_here(a))
		return STATUS_USAGE;
	if (!nat_reach_open(a, &conn))
		return STATUS_FAILED;
	do {
		read_on = watch_one(a, &conn);
		connection_close(&conn);
		if (!read_on)
			return STATUS_FAILED;
		error = open_again(a, &conn);
		if (!error)
			print_own(a, "back", "natd is there again");
	} while (!error);
	nat_reach_complain(nat_reach_path(a), error);
	return STATUS_FAILED;
}

/* ---- probe ---- */

static bool read_servers(const struct arguments *a, struct endpoint *servers, size_t *count)
{
	const char *word;

	*count = 0;
	for (size_t at = 0; (word = arguments_next(a, "--stun", &at));) {
		if (*count == NAT_BEHAVIOUR_SERVERS_MAX) {
			complain_usage(a->command, "--stun is given too often; %u are the most",
				       NAT_BEHAVIOUR_SERVERS_MAX);
			return false;
		}
		if (!nat_behaviour_server(word, &servers[(*count)++])) {
			complain_usage(a->command,
				       "'%s' is no server; write HOST, HOST:PORT or [IPV6]:PORT",
				       word);
			return false;
		}
	}
	return true;
}

static void servers_of_natd(const json_t *external, struct endpoint *servers, size_t *count)
{
	const json_t *list = json_object_get(external, "stun_asked"), *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const char *word = json_string_value(item);

		if (*count < NAT_BEHAVIOUR_SERVERS_MAX && word &&
		    nat_behaviour_server(word, &servers[*count]))
			(*count)++;
	}
}

/* natd looks anew; what it keeps shows whether mapping works. NULL: told why. */
static json_t *ask_natd(struct connection *conn)
{
	json_t *probe = connection_call(conn, "probe", NULL), *status;

	if (!probe)
		return NULL;
	status = connection_call(conn, "status", NULL);
	if (!status) {
		json_decref(probe);
		return NULL;
	}
	json_object_set(probe, "mappings", json_object_get(status, "mappings"));
	json_object_set_new(probe, "by", json_string("natd"));
	json_decref(status);
	return probe;
}

/* Of natd, if one runs and keeps mappings; else tried out here. NULL: told why not. */
static json_t *gateway(const struct arguments *a, struct endpoint *servers, size_t *count)
{
	json_t *probe = NULL;
	struct connection conn;
	int error = connection_open_path(nat_reach_path(a), &conn);

	if (error && (a->socket || !nat_reach_is_absent(error))) {
		nat_reach_complain(nat_reach_path(a), error);
		if (nat_reach_is_absent(error))
			complain("without --socket this command asks the gateway itself where no "
				 "natd runs");
		return NULL;
	}
	if (!error) {
		progress_say("natd asks the gateway what it speaks ...");
		probe = ask_natd(&conn);
		connection_close(&conn);
		if (!probe)
			return NULL;
		if (*count == 0)
			servers_of_natd(json_object_get(probe, "external"), servers, count);
		if (json_array_size(json_object_get(probe, "mappings")) > 0)
			return probe;
		json_decref(probe);
	}
	progress_say("asking the gateway by PCP, NAT-PMP and UPnP, and for a port ...");
	probe = nat_trial(servers, *count);
	if (probe)
		json_object_set_new(probe, "by", json_string("trial"));
	return probe;
}

static enum status nat_run_probe(const struct arguments *a)
{
	static const enum status statuses[] = {[NAT_REACHED] = STATUS_OK,
					       [NAT_UNPROVEN] = STATUS_UNPROVEN,
					       [NAT_UNREACHED] = STATUS_UNREACHED,
					       [NAT_NO_WAY] = STATUS_NO_WAY};
	const struct page page = page_of_terminal();
	struct endpoint servers[NAT_BEHAVIOUR_SERVERS_MAX];
	json_t *probe, *behaviour = NULL;
	enum status status;
	size_t count;

	if (!nat_reach_here(a) || !read_servers(a, servers, &count))
		return STATUS_USAGE;
	probe = gateway(a, servers, &count);
	if (probe && count > 0) {
		progress_say("asking the STUN servers what the NAT does ...");
		behaviour = nat_behaviour_ask(servers, count, json_object_get(probe, "network"));
	}
	progress_end();
	if (!probe)
		return STATUS_FAILED;
	json_object_set_new(probe, "behaviour", behaviour ? behaviour : json_null());
	status = statuses[nat_conclude(probe)];
	if (arguments_flag(a, "--json"))
		show_json(stdout, probe);
	else
		nat_report_probe(&page, probe);
	json_decref(probe);
	return status;
}

const struct command nat_commands[] = {
	{"nat status", "", 0, 0, "Shows the gateway, the address outside, and natd's mappings.",
	 json_options, nat_run_status},
	{"nat watch", "", 0, 0, "Shows the same, and then what happens, until interrupted.",
	 watch_options, nat_run_watch},
	{"nat renew", "", 0, 0, "Has natd renew every mapping now, and try again what failed.",
	 json_options, nat_run_renew},
	{"nat map", "PROTOCOL:PORT[:EXTERNAL]", 1, 1,
	 "Asks natd for a mapping, and keeps it until interrupted, or for a lease.",
	 nat_map_options, nat_run_map},
	{"nat unmap", "PROTOCOL:PORT", 1, 1, "Takes back what was asked for with 'nat map'.",
	 nat_unmap_options, nat_run_unmap},
	{"nat probe", "", 0, 0,
	 "Tells what gateway this is, whether it maps ports, and what the NAT does.", probe_options,
	 nat_run_probe},
	{.name = NULL},
};
