/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat_ask: asks natd for a mapping.
 *
 * With a lease the command ends when the gateway has answered; what it did not grant is asked for
 * no longer, so that no port opens after the command has failed. Without one it stays, since the
 * mapping goes with its connection: it tells what becomes of the mapping, asks again when natd has
 * been restarted, and takes the mapping back when it is interrupted.
 */
#include "ctl/nat/ask.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/utc.h"
#include "ctl/nat/conclude.h"
#include "ctl/nat/reach.h"
#include "ctl/nat/report.h"
#include "ctl/terminal/show.h"
#include "ctl/terminal/units.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define LOOK_MS	  200
#define SETTLE_S  30u /* a gateway that has not answered by then is told of */

#define IPV6_ROW                                                                                   \
	{                                                                                          \
		"--ipv6", NULL, false, "a pinhole in the gateway's IPv6 firewall, not a mapping"   \
	}

const struct option_row nat_map_options[] = {
	{"--lease", "SPAN", false, "keep it for so long, such as 1h, and end at once; 1m to 24h"},
	{"--any", NULL, false, "take another external port where that is taken"},
	IPV6_ROW,
	{"--name", "TEXT", false, "who asks, for people; else postern"},
	{"--json", NULL, false, "print JSON: one object on each line"},
	{NULL, NULL, false, NULL},
};

const struct option_row nat_unmap_options[] = {
	IPV6_ROW,
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

static volatile sig_atomic_t interrupted;

static void ask_take_signal(int number)
{
	interrupted = 1;
}

/* ---- what is asked for ---- */

struct wish {
	char protocol[4];
	int port, external; /* external 0: the same */
	bool any, ipv6;
	uint64_t lease_s; /* 0: none */
};

/* Digits up to end: 1 to 65535; 0: it is none. */
static int read_port(const char *text, size_t len)
{
	int port = 0;

	if (len == 0 || len > 5)
		return 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		port = port * 10 + (text[i] - '0');
	}
	return port > 65535 ? 0 : port;
}

/* As natd's own --map writes it. */
static bool read_word(const char *word, struct wish *w)
{
	const char *port = strchr(word, ':'), *external = port ? strchr(port + 1, ':') : NULL;

	if (!port || port - word != 3)
		return false;
	memcpy(w->protocol, word, 3);
	if (strcmp(w->protocol, "tcp") != 0 && strcmp(w->protocol, "udp") != 0)
		return false;
	port++;
	w->port = read_port(port, external ? (size_t)(external - port) : strlen(port));
	if (external && strcmp(external + 1, "any") == 0)
		w->any = true;
	else if (external && !(w->external = read_port(external + 1, strlen(external + 1))))
		return false;
	return w->port > 0;
}

/* The mapping that the command's word and --ipv6 name. */
static bool read_wish(const struct arguments *a, struct wish *w)
{
	*w = (struct wish){.ipv6 = arguments_flag(a, "--ipv6")};
	if (read_word(a->words[0], w))
		return true;
	complain_usage(a->command,
		       "'%s' is no mapping; write it like tcp:8443, or tcp:8443:443 for external "
		       "port 443",
		       a->words[0]);
	return false;
}

static bool read_terms(const struct arguments *a, struct wish *w)
{
	const char *lease = arguments_text(a, "--lease", NULL);

	w->any |= arguments_flag(a, "--any");
	if (!lease ||
	    (units_parse_span(lease, &w->lease_s) && w->lease_s >= 60 && w->lease_s <= 86400))
		return true;
	complain_usage(a->command, "'%s' is no lease; write 1m to 24h, such as 1h", lease);
	return false;
}

static json_t *params_of(const struct wish *w)
{
	return json_pack("{s:s, s:i, s:s}", "protocol", w->protocol, "port", w->port, "family",
			 w->ipv6 ? "ipv6" : "ipv4");
}

static json_t *map_params(const struct arguments *a, const struct wish *w)
{
	json_t *params = params_of(w);

	if (w->external)
		json_object_set_new(params, "external", json_integer(w->external));
	if (w->any)
		json_object_set_new(params, "any", json_true());
	if (w->lease_s)
		json_object_set_new(params, "lease_s", json_integer((json_int_t)w->lease_s));
	json_object_set_new(params, "name", json_string(arguments_text(a, "--name", "postern")));
	return params;
}

/* ---- what comes of it ---- */

static bool is(const json_t *object, const char *key, const char *word)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value && strcmp(value, word) == 0;
}

/* Whether an event, or a mapping of a list, is about this one. */
static bool is_about(const json_t *e, const struct wish *w)
{
	return is(e, "protocol", w->protocol) && is(e, "family", w->ipv6 ? "ipv6" : "ipv4") &&
	       json_integer_value(json_object_get(e, "port")) == w->port &&
	       !json_object_get(e, "host");
}

static bool is_settled(const json_t *mapping)
{
	return !is(mapping, "state", "requested");
}

static void print_mapping(const struct arguments *a, const json_t *mapping)
{
	if (arguments_flag(a, "--json")) {
		json_dumpf(mapping, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		nat_report_mapping(stdout, mapping);
	}
	fflush(stdout);
}

/* Our own ask is over, by another hand than ours. */
static bool is_our_end(const json_t *e, const struct wish *w)
{
	return is(e, "kind", "ask") && is_about(e, w) &&
	       json_integer_value(json_object_get(e, "user")) == (json_int_t)geteuid();
}

enum ask_outcome { ASK_OVER, ASK_LOST, ASK_SETTLED, ASK_INTERRUPTED, ASK_SLOW };

/* Events until one ends the waiting; *held: as the last one said. once: until the gateway has
 * decided. */
static enum ask_outcome follow(const struct arguments *a, struct connection *conn,
			       const struct wish *w, bool once, bool *held)
{
	time_t until = time(NULL) + SETTLE_S;
	enum rpc_wait got = RPC_QUIET;
	json_t *event;

	while (!interrupted && !(once && time(NULL) >= until)) {
		got = rpc_next(&conn->rpc, LOOK_MS, &event);
		if (got == RPC_ENDED)
			return ASK_LOST;
		if (got == RPC_QUIET)
			continue;
		if (is(event, "kind", "mapping") && is_about(event, w)) {
			print_mapping(a, event);
			*held = nat_conclude_held(event);
			if (once && is_settled(event)) {
				json_decref(event);
				return ASK_SETTLED;
			}
		} else if (is_our_end(event, w)) {
			complain("natd keeps it no longer: %s",
				 json_string_value(json_object_get(event, "why")));
			json_decref(event);
			return ASK_OVER;
		}
		json_decref(event);
	}
	return interrupted ? ASK_INTERRUPTED : ASK_SLOW;
}

static bool ask(const struct arguments *a, struct connection *conn, const struct wish *w,
		bool *settled, bool *held)
{
	json_t *followed =
		connection_call(conn, "events", json_pack("{s:b, s:i}", "follow", 1, "limit", 0));
	json_t *result = followed ? connection_call(conn, "map", map_params(a, w)) : NULL;
	const json_t *mapping = json_object_get(result, "mapping");

	json_decref(followed);
	if (!result)
		return false;
	*settled = is_settled(mapping);
	*held = nat_conclude_held(mapping);
	if (*settled)
		print_mapping(a, mapping);
	json_decref(result);
	return true;
}

static void take_back(struct connection *conn, const struct wish *w)
{
	struct rpc_failure failure = {.data = NULL};

	/* natd does the same by itself, a little later, when the connection ends. */
	json_decref(connection_try(conn, "unmap", params_of(w), &failure));
	rpc_failure_free(&failure);
}

/* Until natd listens again. False: interrupted, or told why not. */
static bool open_again(const struct arguments *a, struct connection *conn)
{
	static const struct timespec pause = {.tv_nsec = NAT_REACH_RETRY_MS * 1000000L};
	int error;

	do {
		nanosleep(&pause, NULL);
		error = interrupted ? 0 : connection_open_path(nat_reach_path(a), conn);
	} while (nat_reach_is_absent(error));
	if (error)
		nat_reach_complain(nat_reach_path(a), error);
	return !error && !interrupted;
}

static enum status ask_once(const struct arguments *a, struct connection *conn,
			    const struct wish *w)
{
	bool settled = false, held = false;

	if (!ask(a, conn, w, &settled, &held))
		return STATUS_FAILED;
	switch (settled ? ASK_SETTLED : follow(a, conn, w, true, &held)) {
	case ASK_LOST:
		complain("natd has gone, and the mapping with it");
		return STATUS_FAILED;
	case ASK_INTERRUPTED:
		take_back(conn, w);
		complain("interrupted; the mapping is taken back");
		return STATUS_FAILED;
	case ASK_SLOW:
		take_back(conn, w);
		complain("the gateway has not answered within %u s; it is asked no longer: "
			 "'postern nat status' tells what it speaks",
			 SETTLE_S);
		return STATUS_FAILED;
	default:
		if (held)
			return STATUS_OK;
		take_back(conn, w);
		complain("the gateway has granted nothing; it is asked no longer");
		/* natd's sentence names the key of its configuration. */
		if (!w->ipv6 && !w->any)
			complain(
				"here another external port is asked for as in %s:%d:40443, any by "
				"%s:%d:any",
				w->protocol, w->port, w->protocol, w->port);
		return STATUS_FAILED;
	}
}

static enum status ask_and_stay(const struct arguments *a, struct connection *conn,
				const struct wish *w)
{
	bool settled = false, held = false;

	for (;;) {
		if (!ask(a, conn, w, &settled, &held)) {
			connection_close(conn);
			return STATUS_FAILED;
		}
		switch (follow(a, conn, w, false, &held)) {
		case ASK_INTERRUPTED:
			take_back(conn, w);
			connection_close(conn);
			return STATUS_OK;
		case ASK_LOST:
			break;
		default:
			connection_close(conn);
			return STATUS_FAILED;
		}
		connection_close(conn);
		complain("natd has gone; it is asked again when it is there");
		if (!open_again(a, conn))
			return interrupted ? STATUS_OK : STATUS_FAILED;
	}
}

enum status nat_run_map(const struct arguments *a)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	const struct sigaction action = {.sa_handler = ask_take_signal};
	struct sigaction before[LENGTH(numbers)];
	struct connection conn;
	enum status status;
	struct wish w;

	if (!nat_reach_here(a) || !read_wish(a, &w) || !read_terms(a, &w))
		return STATUS_USAGE;
	if (!nat_reach_open(a, &conn))
		return STATUS_FAILED;
	interrupted = 0;
	for (size_t i = 0; i < LENGTH(numbers); i++)
		sigaction(numbers[i], &action, &before[i]);
	if (w.lease_s) {
		status = ask_once(a, &conn, &w);
		connection_close(&conn);
	} else {
		status = ask_and_stay(a, &conn, &w);
	}
	for (size_t i = 0; i < LENGTH(numbers); i++)
		sigaction(numbers[i], &before[i], NULL);
	return status;
}

enum status nat_run_unmap(const struct arguments *a)
{
	struct connection conn;
	json_t *result;
	struct wish w;

	if (!nat_reach_here(a) || !read_wish(a, &w))
		return STATUS_USAGE;
	if (!nat_reach_open(a, &conn))
		return STATUS_FAILED;
	result = connection_call(&conn, "unmap", params_of(&w));
	if (result && arguments_flag(a, "--json"))
		show_json(stdout, result);
	else if (result)
		printf("%s %d is taken back; the gateway is told\n", w.protocol, w.port);
	json_decref(result);
	connection_close(&conn);
	return result ? STATUS_OK : STATUS_FAILED;
}
