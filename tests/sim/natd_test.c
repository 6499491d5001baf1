/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natd_test: a whole natd, but for its process and its hook: networks, its control socket, another
 * configuration, what STUN servers see, and its end.
 *
 * links: core/key_file.c core/memory.c
 * links: portmap/hops.c
 * links: portmap/natd.c portmap/natd_drivers.c portmap/control.c portmap/report.c portmap/outside.c
 * links: portmap/verify.c portmap/visits.c portmap/hook.c portmap/nonces.c portmap/network.c portmap/rtnetlink.c
 * links: portmap/dry_run.c portmap/asking.c portmap/remember.c portmap/neighbour.c
 * links: portmap/sockdiag.c portmap/config.c portmap/config_load.c portmap/engine/[a-z]*.c
 * links: portmap/gateway/driver.c natpmp/[a-z]*.c natpmp/driver/[a-z]*.c upnp/[a-z]*.c
 * links: upnp/driver/[a-z]*.c stun/client/[a-z]*.c stun/[a-z]*.c core/[a-qs-z]*.c core/ring.c
 * links: core/conf/[a-z]*.c core/engine/calls.c core/engine/records.c
 * links: core/parse/jsonrpc.c core/parse/text.c core/program/callers.c
 * links: core/program/launcher.c core/program/launcher_main.c tests/support/fake_kernel.c
 * links: tests/support/fake_gateway.c tests/support/fake_stun.c tests/support/natd_scene.c
 * links: tests/support/ring_fixture_world.c tests/world/calls.c tests/world/kernel.c
 * links: tests/world/memory.c tests/world/packet.c tests/world/pipes.c tests/world/resolve_sim.c
 * links: tests/world/ring_sim.c tests/world/store.c tests/world/stream.c
 * links: tests/world/stream_connect.c tests/world/world.c
 * links: core/parse/json_read.c
 */
#include "tests/support/natd_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "natpmp/driver/announce_listener.h"
#include "portmap/control.h"
#include "portmap/dry_run.h"
#include "portmap/outside.h"
#include "portmap/verify.h"
#include "tests/support/fake_kernel.h"
#include "tests/support/loopback.h"
#include "tests/world/kernel.h"
#include "tests/world/store.h"

static const char dir[] = "/run";

/* ---- what it is for ---- */

static void a_port_is_mapped_proven_and_told(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");
	json_t *status, *mapping;

	natd_scene_await(w, MAPPING_VERIFIED);
	assert_int_equal(w->gateway.last_port, SCENE_PORT);
	await_that(w, w->natd.truth.verdict == TRUTH_ONE_NAT);
	status = natd_scene_ask(w, "status", "{}");
	assert_string_equal(natd_scene_text(status, "network", "interface"), "lo");
	assert_string_equal(natd_scene_text(status, "network", "gateway"), w->address[0]);
	assert_string_equal(natd_scene_text(status, "network", "address"), w->address[1]);
	assert_string_equal(natd_scene_text(status, "external", "gateway"), "45.0.0.10");
	assert_string_equal(natd_scene_text(status, "external", "stun"), "45.0.0.10");
	assert_string_equal(natd_scene_text(status, "external", "verdict"), "one_nat");
	assert_int_equal(json_array_size(json_object_get(status, "protocols")), 2);
	mapping = json_array_get(json_object_get(status, "mappings"), 0);
	assert_string_equal(natd_scene_text(mapping, "state", NULL), "verified");
	assert_string_equal(natd_scene_text(mapping, "by", NULL), "PCP");
	assert_string_equal(natd_scene_text(mapping, "external", NULL), "45.0.0.10:8443");
	assert_non_null(strstr(natd_scene_text(mapping, "proof", NULL), "never written to"));
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(status, "counts"), "requests")),
		1);
	json_decref(status);
	natd_log_status(&w->natd);
	assert_int_equal(w->gateway.deletions, 0);
	natd_scene_end(w);
}

/* What was mapped is deleted before natd ends. */
static void a_stopping_natd_deletes_what_it_mapped(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP ", " SCENE_TCP, "");

	natd_scene_await(w, MAPPING_VERIFIED);
	await_that(w, w->gateway.maps == 2);
	natd_stop(&w->natd);
	await_that(w, w->stopped);
	assert_int_equal(w->gateway.deletions, 2);
	natd_scene_end(w);
}

static void it_stops_while_a_port_is_proven(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");

	natd_scene_await(w, MAPPING_MAPPED);
	w->stun.deaf = true;
	run_for(w->f, 20);
	natd_scene_end(w);
}

static void without_pcp_natpmp_is_spoken(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "pcp: false\n");
	json_t *status;

	w->gateway.no_pcp = true;
	natd_scene_await(w, MAPPING_VERIFIED);
	status = natd_scene_ask(w, "status", "{}");
	assert_string_equal(
		natd_scene_text(json_array_get(json_object_get(status, "mappings"), 0), "by", NULL),
		"NAT-PMP");
	assert_int_equal(json_array_size(json_object_get(status, "protocols")), 1);
	json_decref(status);
	natd_scene_end(w);
}

/* ---- calls ---- */

static void calls_and_events(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");
	json_t *result, *event;
	unsigned maps, requests;

	natd_scene_await(w, MAPPING_VERIFIED);
	result = natd_scene_ask(w, "events", "{\"follow\":true,\"limit\":3}");
	assert_int_equal(json_array_size(json_object_get(result, "events")), 3);
	json_decref(result);
	maps = w->gateway.maps;
	json_decref(natd_scene_ask(w, "renew", "{}"));
	await_that(w, w->gateway.maps > maps);
	result = natd_scene_ask(w, "probe", "{}");
	assert_int_equal(json_array_size(json_object_get(result, "protocols")), 2);
	json_decref(result);
	/* One that follows soon gets what this one found. */
	requests = w->gateway.requests;
	json_decref(natd_scene_ask(w, "probe", "{}"));
	assert_int_equal(w->gateway.requests, requests);
	/* A new address: of the gateway, then of the mapping, then the verdict. */
	w->gateway.external[3] = 11;
	json_decref(natd_scene_ask(w, "renew", "{}"));
	event = natd_scene_event(w, "external");
	assert_string_equal(natd_scene_text(event, "address", NULL), "45.0.0.11");
	assert_string_equal(natd_scene_text(event, "old", NULL), "45.0.0.10");
	json_decref(event);
	event = natd_scene_event(w, "verdict");
	assert_string_equal(natd_scene_text(event, "verdict", NULL), "double_nat");
	json_decref(event);
	natd_scene_end(w);
}

/* A probe asks STUN servers as well, and proves again what was proven a minute ago. */
static void a_probe_looks_at_everything(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");
	unsigned changes;
	uint64_t rounds;
	json_t *found;

	w->natd.config.recheck_ms = w->natd.engine.recheck_ms = 3600000;
	natd_scene_await(w, MAPPING_VERIFIED);
	run_for(w->f, 61000);
	rounds = w->natd.outside->rounds;
	changes = w->stun.changes;
	found = natd_scene_ask(w, "probe", "{}");
	assert_int_equal(w->natd.outside->rounds, rounds + 1);
	assert_int_equal(w->stun.changes, changes + 1);
	assert_in_range(natd_scene_first(w)->proven_ms, clock_ms(CLOCK_BOOTTIME) - 1000,
			clock_ms(CLOCK_BOOTTIME));
	assert_null(json_object_get(found, "age_s"));
	json_decref(found);
	/* What was proven just now is not: whom the NAT let in, it lets in again. */
	run_for(w->f, 2100);
	changes = w->stun.changes;
	json_decref(natd_scene_ask(w, "probe", "{}"));
	assert_int_equal(w->stun.changes, changes);
	/* One that does not work now is found out. */
	run_for(w->f, 61000);
	w->stun.deaf_to_changes = true;
	json_decref(natd_scene_ask(w, "probe", "{}"));
	assert_true(w->stun.changes > changes);
	natd_scene_end(w);
}

/* What was found behind the gateway counts until the new is there; before anything was, nothing is
 * called one NAT. */
static void what_is_behind_counts_while_it_is_looked_at(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_TCP, "");
	struct outside *o = w->natd.outside;

	await_that(w, o->looking);
	await_that(w, w->natd.engine.external.len > 0);
	assert_true(o->looking);
	assert_int_equal(w->natd.truth.verdict, TRUTH_PLAUSIBLE);
	assert_non_null(strstr(w->natd.truth.sentence, "is being looked for"));
	await_that(w, !outside_is_busy(o));
	assert_int_equal(w->natd.truth.verdict, TRUTH_ONE_NAT);
	assert_true(addr_from_literal("100.64.7.1", 0, &o->behind));
	natd_judge(&w->natd);
	assert_int_equal(w->natd.truth.verdict, TRUTH_PLAUSIBLE);
	o->looked_for.v4.sin_addr.s_addr ^= htonl(1); /* what outside sees is another address */
	outside_ask(o);
	await_that(w, o->looking);
	run_for(w->f, 300);
	assert_true(o->looking);
	assert_int_equal(w->natd.truth.verdict, TRUTH_PLAUSIBLE);
	assert_non_null(strstr(w->natd.truth.sentence, "100.64.7.1"));
	await_that(w, !outside_is_busy(o));
	assert_int_equal(w->natd.truth.verdict, TRUTH_ONE_NAT);
	natd_scene_end(w);
}

/* The line is down: that something came in counts if it did so since. */
static void a_proof_from_before_the_silence(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");
	struct outside *o = w->natd.outside;
	struct portmap_mapping *m;

	natd_scene_await(w, MAPPING_VERIFIED);
	await_that(w, !outside_is_busy(o));
	m = natd_scene_first(w);
	m->want.transport = PORTMAP_TCP; /* as if by a visitor */
	m->no_external = true;
	w->natd.engine.external.len = 0;
	o->address.len = 0;
	o->seen_count = 0;
	o->silent = true;
	o->silent_ms = m->proven_ms + 1;
	natd_judge(&w->natd);
	assert_int_equal(w->natd.truth.verdict, TRUTH_OFFLINE);
	o->silent_ms = m->proven_ms - 1;
	natd_judge(&w->natd);
	assert_int_equal(w->natd.truth.verdict, TRUTH_DOUBLE_NAT);
	assert_true(w->natd.truth.passed);
	m->want.transport = PORTMAP_UDP;
	natd_scene_end(w);
}

/* No user can have the LAN asked all the time. */
static void probes_of_users_have_a_pace(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");
	uid_t own = k_current->uid;
	unsigned requests;
	json_t *found;

	natd_scene_await(w, MAPPING_VERIFIED);
	run_for(w->f, 1000);
	k_current->uid = own + 1000; /* whose the socket of the caller is */
	natd_scene_say(w, "status", "{}");
	k_current->uid = own;
	json_decref(natd_scene_hear(w));
	requests = w->gateway.requests;
	found = natd_scene_ask(w, "probe", "{}");
	assert_true(w->gateway.requests > requests);
	assert_null(json_object_get(found, "age_s"));
	json_decref(found);
	for (unsigned i = 0; i < 5; i++) {
		run_for(w->f, 10000);
		requests = w->gateway.requests;
		found = natd_scene_ask(w, "probe", "{}");
		assert_int_equal(w->gateway.requests, requests);
		assert_in_range(json_integer_value(json_object_get(found, "age_s")), 10 * i + 9,
				10 * i + 14);
		json_decref(found);
	}
	run_for(w->f, 11000);
	requests = w->gateway.requests;
	found = natd_scene_ask(w, "probe", "{}");
	assert_true(w->gateway.requests > requests);
	assert_null(json_object_get(found, "age_s"));
	json_decref(found);
	natd_scene_end(w);
}

/* Where no protocol answers, the gateway is looked for long before the mapping is tried again. */
static void the_next_look_is_told(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");
	json_t *status, *mapping;

	w->gateway.deaf = true;
	run_for(w->f, 90000);
	assert_int_equal(natd_scene_first(w)->state, MAPPING_UNSUPPORTED);
	natd_scene_first(w)->due_ms = clock_ms(CLOCK_BOOTTIME) + 600000;
	status = natd_scene_ask(w, "status", "{}");
	mapping = json_array_get(json_object_get(status, "mappings"), 0);
	assert_in_range(json_integer_value(json_object_get(mapping, "again_s")), 0, 70);
	json_decref(status);
	natd_scene_end(w);
}

/* Probes wait for one answer together; more than there is room for are told so. */
static void probes_wait_together(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");
	unsigned busy = 0, good = 0, requests;

	natd_scene_await(w, MAPPING_VERIFIED);
	run_for(w->f, 100);
	w->gateway.deaf = true;
	requests = w->gateway.requests;
	for (unsigned i = 0; i < CONTROL_PROBES_MAX + 2; i++)
		natd_scene_say(w, "probe", "{}");
	for (unsigned i = 0; i < 2; i++) { /* the refusals come at once */
		json_t *line = natd_scene_hear(w);

		busy += json_object_get(line, "error") != NULL;
		json_decref(line);
	}
	assert_int_equal(busy, 2);
	run_for(w->f, 100);
	assert_in_range(w->gateway.requests - requests, 1, 6);
	w->gateway.deaf = false;
	for (unsigned i = 0; i < CONTROL_PROBES_MAX; i++) {
		json_t *line = natd_scene_hear(w);

		good += json_object_get(line, "result") != NULL;
		json_decref(line);
	}
	assert_int_equal(good, CONTROL_PROBES_MAX);
	/* A natd that stops answers those that wait. */
	w->gateway.deaf = true;
	run_for(w->f, 2100); /* the space between two probes */
	natd_scene_say(w, "probe", "{}");
	run_for(w->f, 60);
	natd_scene_end(w);
}

/* A user who is neither root nor natd's own looks, and changes nothing. */
static void another_user_only_looks(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");
	struct k_program *other = k_program_new("other", k_current->host);
	unsigned maps;
	json_t *line;

	natd_scene_await(w, MAPPING_VERIFIED);
	maps = w->gateway.maps;
	other->uid = 1000;
	struct k_program *natd = k_enter(other);
	json_decref(natd_scene_ask(w, "status", "{}"));
	natd_scene_say(w, "renew", "{}");
	line = natd_scene_hear(w);
	assert_non_null(strstr(natd_scene_text(line, "error", "message"), "natd's own user"));
	json_decref(line);
	run_for(w->f, 100);
	close(w->client);
	w->client = -1;
	k_enter(natd);
	assert_int_equal(w->gateway.maps, maps);
	natd_scene_end(w);
}

/* ---- what other programs ask for ---- */

/* The file is another one, and is not read yet. */
static void rewrite(struct natd_scene *w, const char *maps, const char *more)
{
	struct natd_config config;

	natd_scene_load(w, &config, maps, more);
	natd_config_free(&config);
}

#define WEB   1000u
#define ALLOW "allow: [{user: '1000', ports: [9000-9009], most: 2}]\n"

static struct k_program *the_natd; /* whose memory and descriptors are natd's */

/* From now on the test is a caller of that user, in place of the one before; until stop_calling().
 */
static void call_as(struct natd_scene *w, unsigned uid)
{
	struct k_program *other = k_program_new("other", k_current->host);

	if (w->client >= 0)
		close(w->client);
	w->client = -1;
	w->have = 0;
	other->uid = uid;
	if (!the_natd)
		the_natd = k_current;
	k_enter(other);
	json_decref(natd_scene_ask(w, "status", "{}"));
}

static void stop_calling(struct natd_scene *w)
{
	close(w->client);
	w->client = -1;
	w->have = 0;
	k_enter(the_natd);
	the_natd = NULL;
}

/* SIGHUP with another file. */
static void reload(struct natd_scene *w, const char *maps, const char *more)
{
	struct k_program *caller = k_current;

	k_enter(the_natd);
	rewrite(w, maps, more);
	natd_reload(&w->natd, &w->arguments, -1);
	k_enter(caller);
}

/* The call is refused: its reason and sentence. */
static void assert_refused(struct natd_scene *w, const char *method, const char *params,
			   const char *reason, const char *says)
{
	json_t *line, *error;

	natd_scene_say(w, method, params);
	line = natd_scene_hear(w);
	while (!json_object_get(line, "id")) { /* an event */
		json_decref(line);
		line = natd_scene_hear(w);
	}
	error = json_object_get(line, "error");
	if (!error)
		fail_msg("not refused: %s", json_dumps(line, 0));
	assert_string_equal(natd_scene_text(error, "data", "reason"), reason);
	if (!strstr(natd_scene_text(error, "message", NULL), says))
		fail_msg("\"%s\" does not say: %s", natd_scene_text(error, "message", NULL), says);
	json_decref(line);
}

/* The mapping of this UDP port, or NULL. */
static const struct portmap_mapping *udp_mapping(struct natd_scene *w, uint16_t port)
{
	const struct portmap_mapping *m = w->natd.engine.mappings;

	while (m && (m->want.transport != PORTMAP_UDP || m->want.internal != port))
		m = m->next;
	return m;
}

static bool is_mapped(struct natd_scene *w, uint16_t port)
{
	const struct portmap_mapping *m = udp_mapping(w, port);

	return m && m->step == MAPPING_HELD;
}

static void another_program_asks(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, ALLOW);
	json_t *result, *event, *who;

	natd_scene_await(w, MAPPING_VERIFIED);
	call_as(w, WEB);
	json_decref(natd_scene_ask(w, "events", "{\"follow\":true,\"limit\":0}"));
	result = natd_scene_ask(w, "map",
				"{\"protocol\":\"udp\",\"port\":9000,\"external\":9001,"
				"\"name\":\"web\"}");
	assert_string_equal(natd_scene_text(result, "mapping", "name"), "udp 9000 -> 9001");
	assert_string_equal(natd_scene_text(result, "mapping", "state"), "requested");
	json_decref(result);
	do { /* how it hears where it is reached */
		event = natd_scene_event(w, "mapping");
		if (strcmp(natd_scene_text(event, "state", NULL), "mapped") == 0)
			break;
		json_decref(event);
	} while (true);
	assert_string_equal(natd_scene_text(event, "external", NULL), "45.0.0.10:9001");
	assert_false(json_is_true(json_object_get(event, "configured")));
	who = json_array_get(json_object_get(event, "asked_by"), 0);
	assert_int_equal(json_integer_value(json_object_get(who, "user")), WEB);
	assert_string_equal(natd_scene_text(who, "name", NULL), "web");
	json_decref(event);
	assert_true(is_mapped(w, 9000));
	/* Taken back: deleted at the gateway. */
	json_decref(natd_scene_ask(w, "unmap", "{\"protocol\":\"udp\",\"port\":9000}"));
	await_that(w, w->gateway.deletions == 1 && !udp_mapping(w, 9000));
	result = natd_scene_ask(w, "status", "{}");
	assert_int_equal(json_array_size(json_object_get(result, "mappings")), 1);
	json_decref(result);
	stop_calling(w);
	natd_scene_end(w);
}

static void what_is_asked_for_goes_with_its_caller(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, ALLOW);

	natd_scene_await(w, MAPPING_VERIFIED);
	call_as(w, WEB);
	json_decref(natd_scene_ask(w, "map", "{\"protocol\":\"udp\",\"port\":9000}"));
	json_decref(
		natd_scene_ask(w, "map", "{\"protocol\":\"udp\",\"port\":9001,\"lease_s\":60}"));
	await_that(w, is_mapped(w, 9000) && is_mapped(w, 9001));
	call_as(w, WEB); /* another connection, which asks for nothing */
	run_for(w->f, 9000);
	assert_true(is_mapped(w, 9000));
	run_for(w->f, 1500);
	await_that(w, !udp_mapping(w, 9000));
	assert_int_equal(w->gateway.deletions, 1);
	assert_true(is_mapped(w, 9001));
	run_for(w->f, 50000);
	await_that(w, !udp_mapping(w, 9001));
	assert_int_equal(w->gateway.deletions, 2);
	assert_int_equal(w->natd.asks.ends[ASK_GONE], 1);
	assert_int_equal(w->natd.asks.ends[ASK_LEASE], 1);
	stop_calling(w);
	natd_scene_end(w);
}

static void what_is_not_allowed_is_refused(void **state)
{
	struct natd_scene *w = natd_scene_begin(
		state, dir, SCENE_UDP ", {protocol: udp, port: 9009, external: 9100, ipv6: false}",
		ALLOW);
	json_t *status, *refused;

	call_as(w, WEB + 1);
	assert_refused(w, "map", "{\"protocol\":\"udp\",\"port\":9000}", "no_right",
		       "user 1001 may not ask for mappings");
	call_as(w, WEB);
	assert_refused(w, "map", "{\"protocol\":\"tcp\",\"port\":22}", "port",
		       "may not ask for tcp port 22");
	/* In the log stands the first of them, and how many others there were. */
	assert_non_null(strstr(w->natd.refusals.text, "udp port 9000 is asked for by uid 1001"));
	assert_int_equal(w->natd.refusals.others, 1);
	assert_refused(w, "map", "{\"protocol\":\"udp\",\"port\":9009}", "configured",
		       "the configuration maps udp 9009 -> 9100");
	assert_refused(w, "map", "{\"protocol\":\"sctp\",\"port\":9000}", "", "tcp or udp");
	assert_refused(w, "map", "{\"protocol\":\"udp\",\"port\":90000}", "", "1 to 65535");
	assert_refused(w, "map", "{\"protocol\":\"udp\",\"port\":9000,\"family\":\"ipx\"}", "",
		       "ipv4 or ipv6");
	assert_refused(w, "map",
		       "{\"protocol\":\"udp\",\"port\":9000,\"family\":\"ipv6\",\"any\":true}", "",
		       "a pinhole (ipv6) leads to the port itself");
	assert_refused(w, "map", "{\"protocol\":\"udp\",\"port\":9000,\"lease_s\":59}", "",
		       "60 to 86400");
	assert_refused(w, "unmap", "{\"protocol\":\"udp\",\"port\":9005}", "",
		       "is not asked for by this user");
	assert_refused(w, "unmap", "{\"protocol\":\"udp\",\"port\":9009}", "",
		       "natd's configuration maps udp port 9009, and no program asks for it");
	json_decref(natd_scene_ask(w, "map", "{\"protocol\":\"udp\",\"port\":9000}"));
	json_decref(natd_scene_ask(w, "map", "{\"protocol\":\"udp\",\"port\":9001}"));
	assert_refused(w, "map", "{\"protocol\":\"udp\",\"port\":9002}", "user_full",
		       "take one back");
	status = natd_scene_ask(w, "status", "{}");
	refused = json_object_get(json_object_get(json_object_get(status, "counts"), "asks"),
				  "refused");
	assert_int_equal(json_integer_value(json_object_get(refused, "port")), 1);
	assert_int_equal(json_integer_value(json_object_get(refused, "no_right")), 1);
	assert_int_equal(json_integer_value(json_object_get(refused, "user_full")), 1);
	json_decref(status);
	stop_calling(w);
	natd_scene_end(w);
}

/* A right is asked again when the file is another one. */
static void a_reload_takes_rights_away(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, ALLOW);
	json_t *event;

	call_as(w, WEB);
	json_decref(natd_scene_ask(w, "events", "{\"follow\":true,\"limit\":0}"));
	json_decref(natd_scene_ask(w, "map", "{\"protocol\":\"udp\",\"port\":9000}"));
	await_that(w, is_mapped(w, 9000));
	reload(w, SCENE_UDP, ALLOW "lifetime: 3h\n");
	run_for(w->f, 100);
	assert_true(is_mapped(w, 9000));
	reload(w, SCENE_UDP, "allow: [{user: '1000', ports: [9001-9009]}]\n");
	event = natd_scene_event(w, "ask");
	assert_string_equal(natd_scene_text(event, "ended", NULL), "right");
	assert_string_equal(natd_scene_text(event, "mapping", NULL), "udp 9000");
	json_decref(event);
	await_that(w, w->gateway.deletions == 1 && !udp_mapping(w, 9000));
	assert_refused(w, "map", "{\"protocol\":\"udp\",\"port\":9000}", "port", "may not ask");
	stop_calling(w);
	natd_scene_end(w);
}

/* Root asks for what it likes, and ends what others asked for. */
static void root_may_do_all_that(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, ALLOW);

	call_as(w, WEB);
	json_decref(
		natd_scene_ask(w, "map", "{\"protocol\":\"udp\",\"port\":9000,\"lease_s\":3600}"));
	call_as(w, 0);
	json_decref(natd_scene_ask(w, "map", "{\"protocol\":\"udp\",\"port\":22}"));
	await_that(w, is_mapped(w, 9000) && is_mapped(w, 22));
	json_decref(natd_scene_ask(w, "unmap", "{\"protocol\":\"udp\",\"port\":9000}"));
	await_that(w, !udp_mapping(w, 9000));
	stop_calling(w);
	natd_scene_end(w);
}

/* ---- networks ---- */

static void another_network_is_entered(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");
	json_t *event;

	natd_scene_await(w, MAPPING_VERIFIED);
	json_decref(natd_scene_ask(w, "events", "{\"follow\":true,\"limit\":0}"));
	fake_kernel.routes[0].index = 0; /* no way out; our address and link stay */
	fake_kernel_changed();
	await_that(w, w->natd.stage == NATD_AWAY && w->gateway.deletions == 1);
	assert_int_equal(natd_scene_first(w)->state, MAPPING_REQUESTED);
	event = natd_scene_event(w, "network");
	assert_false(json_is_true(json_object_get(event, "up")));
	json_decref(event);
	assert_int_equal(w->natd.driver_count, 0);
	assert_int_equal(w->natd.outside->address.len, 0); /* of the network that was left */
	fake_kernel.routes[0].index = SCENE_CARD;
	fake_kernel_changed();
	event = natd_scene_event(w, "network");
	assert_true(json_is_true(json_object_get(event, "up")));
	json_decref(event);
	natd_scene_await(w, MAPPING_MAPPED); /* a port is proven once a minute at most */
	assert_int_equal(w->gateway.maps, 2);
	/* The link goes down: what was mapped cannot be deleted, and is forgotten. */
	fake_kernel.links[0].down = true;
	fake_kernel_changed();
	await_that(w, w->natd.stage == NATD_AWAY);
	assert_int_equal(w->gateway.deletions, 1);
	natd_scene_end(w);
}

/* ---- a dry run ---- */

static void a_dry_run_tells_what_would_be_asked(void **state)
{
	struct natd_scene *w = natd_scene_begin(
		state, dir,
		"{protocol: udp, port: 8443, external: any}, {protocol: tcp, port: 22, "
		"external: 2222, ipv6: false}",
		ALLOW);
	char *text = NULL, expected[512];
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);
	struct dry_run d = {.natd = &w->natd, .to = to};

	assert_non_null(to);
	dry_run_start(&d);
	await_that(w, w->stopped);
	fclose(to);
	assert_true(d.complete);
	snprintf(expected, sizeof(expected),
		 "udp 8443: asks %s:5351 by PCP for external port 8443 or another one, for 7200 s; "
		 "where that fails NAT-PMP\n"
		 "udp 8443 (IPv6): there is nobody to ask: this network has no IPv6 gateway\n"
		 "tcp 22 -> 2222: asks %s:5351 by PCP for external port 2222, for 7200 s; where "
		 "that fails NAT-PMP\n"
		 "user 1000 may ask for tcp and udp ports 9000-9009, 2 mappings at a time\n"
		 "nothing was mapped, deleted or written\n",
		 w->address[0], w->address[0]);
	if (!strstr(text, expected))
		fail_msg("%s", text);
	free(text);
	natd_scene_end(w);
}

/* A gateway that speaks nothing: that it is so, and why. */
static void a_dry_run_without_anyone_to_ask(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "natpmp: false\n");
	struct dry_run d = {.natd = &w->natd};
	char *text = NULL;
	size_t len = 0;

	w->gateway.deaf = true;
	d.to = open_memstream(&text, &len);
	assert_non_null(d.to);
	dry_run_start(&d);
	for (int i = 0; i < 300 && !w->stopped; i++)
		run_for(w->f, 100);
	fclose(d.to);
	assert_int_equal(w->stopped, 1);
	assert_false(d.complete);
	if (!strstr(text, "udp 8443: there is nobody to ask: PCP: "))
		fail_msg("%s", text);
	free(text);
	natd_scene_end(w);
}

/* ---- earlier addresses ---- */

#define KEPT "state_dir: /kept\n"

static const struct fake_neighbour router = {.card = {2, 0, 0, 0, 0, 1}};

/* The host has another address from now on: 127.a.b.last. */
static void move_to(struct natd_scene *w, unsigned last)
{
	static char text[ADDR_TEXT_BYTES];
	struct addr own = test_loopback(last, 0);

	addr_format_host(&own, text);
	fake_kernel.addresses[0].text = text;
	fake_kernel_changed();
	await_that(w, w->natd.stage == NATD_HERE &&
			      addr_same_host(&w->natd.network.places[PORTMAP_IPV4].source, &own));
}

/* What would be left behind by the next change of address ends soon. */
static void a_new_address_has_short_leases(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_TCP, "lifetime: 1h\n");
	static const struct {
		unsigned after_s, lifetime_s;
	} steps[] = {{0, 120}, {118, 120}, {4, 240}, {236, 240}, {6, 480}, {3600, 3600}};

	natd_scene_await(w, MAPPING_MAPPED);
	assert_int_equal(natd_scene_first(w)->lifetime_s,
			 3600); /* of long since, for all we know */
	move_to(w, 3);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		run_for(w->f, steps[i].after_s * 1000);
		await_that(w, natd_scene_first(w)->step == MAPPING_HELD);
		assert_int_equal(natd_scene_first(w)->want.lifetime_s, steps[i].lifetime_s);
		assert_int_equal(natd_scene_first(w)->lifetime_s, steps[i].lifetime_s);
	}
	natd_scene_end(w);
}

/* A natd that died left a mapping to an address that is not ours any more; the next one knows. */
static void an_earlier_address_is_remembered(void **state)
{
	struct former_gateway gateway;
	json_t *status, *former;
	struct natd_scene *w;
	struct addr old;

	store_make_directory("/kept");
	w = natd_scene_begin(state, dir, SCENE_TCP, KEPT);

	fake_kernel.neighbours[0] = router;
	fake_kernel.neighbours[0].text = w->address[0];
	natd_scene_await(w, MAPPING_MAPPED);
	await_that(w, w->natd.remember.known[PORTMAP_IPV4]);
	run_for(w->f, 70000);
	assert_int_equal(w->natd.remember.formers.count, 1);
	gateway = w->natd.remember.gateways[PORTMAP_IPV4];
	old = w->natd.remember.formers.list[0].internal;
	assert_int_equal(addr_port(&old), 8444);
	/* The old address is gone at once: nothing can be deleted. */
	move_to(w, 3);
	assert_int_equal(w->gateway.deletions, 0);
	await_that(w, w->natd.remember.known[PORTMAP_IPV4]);
	status = natd_scene_ask(w, "status", "{}");
	former = json_array_get(json_object_get(status, "former"), 0);
	assert_string_equal(natd_scene_text(former, "name", NULL), "tcp 8444");
	assert_string_equal(natd_scene_text(former, "address", NULL), w->address[1]);
	assert_string_equal(natd_scene_text(former, "by", NULL), "PCP");
	assert_false(json_is_true(json_object_get(former, "other_host")));
	assert_true(json_integer_value(json_object_get(former, "left_s")) > 6000);
	json_decref(status);
	/* Another host answers there. */
	fake_kernel.neighbours[1] =
		(struct fake_neighbour){.text = w->address[1], .card = {2, 0, 0, 0, 0, 9}};
	run_for(w->f, 10000);
	status = natd_scene_ask(w, "status", "{}");
	former = json_array_get(json_object_get(status, "former"), 0);
	assert_true(json_is_true(json_object_get(former, "other_host")));
	json_decref(status);
	/* In its file, too, beside what is mapped now. */
	run_for(w->f, 70000);
	assert_int_equal(w->natd.remember.formers.count, 2);
	assert_true(former_gateway_same(&gateway, &w->natd.remember.formers.list[1].gateway));
	natd_scene_end(w);

	w = natd_scene_begin(state, dir, SCENE_TCP, KEPT);
	assert_int_equal(w->natd.remember.formers.count, 1); /* what was mapped then was deleted */
	assert_true(addr_equal(&w->natd.remember.formers.list[0].internal, &old));
	natd_scene_end(w);
	unlink("/kept/natd.mappings");
	unlink("/kept/natd.key");
}

/* What could not be written down is, as soon as the disk takes it. */
static void a_full_disk_has_room_later(void **state)
{
	struct natd_scene *w;
	size_t len = 0;

	store_make_directory("/kept");
	w = natd_scene_begin(state, dir, SCENE_TCP, KEPT);
	fake_kernel.neighbours[0] = router;
	fake_kernel.neighbours[0].text = w->address[0];
	store_power_goes(0);
	natd_scene_await(w, MAPPING_MAPPED);
	run_for(w->f, 200000);
	assert_int_equal(w->natd.remember.formers.count, 1);
	assert_true(w->natd.remember.formers.changed);
	store_power_returns();
	assert_null(store_read("/kept/natd.mappings", &len));
	run_for(w->f, 60000);
	assert_non_null(store_read("/kept/natd.mappings", &len));
	assert_true(len > 60);
	assert_false(w->natd.remember.formers.changed);
	natd_scene_end(w);
	unlink("/kept/natd.mappings");
	unlink("/kept/natd.key");
}

/* A gateway that is not known by its card is another one, for all we know. */
static void a_gateway_without_a_card_is_not_known_again(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_TCP, "");
	json_t *status;

	natd_scene_await(w, MAPPING_MAPPED);
	move_to(w, 3);
	natd_scene_await(w, MAPPING_MAPPED);
	run_for(w->f, 10000);
	assert_false(w->natd.remember.known[PORTMAP_IPV4]);
	status = natd_scene_ask(w, "status", "{}");
	assert_int_equal(json_array_size(json_object_get(status, "former")), 0);
	json_decref(status);
	natd_scene_end(w);
}

/* IPv6 comes and goes: what is mapped over IPv4 stays as it is. */
static void the_other_familys_mappings_stay(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");

	natd_scene_await(w, MAPPING_VERIFIED);
	fake_kernel.addresses[1] = (struct fake_address){SCENE_CARD, "2001:db8::7", 64, 0, 0};
	fake_kernel.routes[1] = (struct fake_route){.index = SCENE_CARD, .gateway = "fe80::1"};
	fake_kernel_changed();
	await_that(w, w->natd.stage == NATD_HERE &&
			      w->natd.network.places[PORTMAP_IPV6].gateway.len > 0);
	run_for(w->f, 500);
	assert_int_equal(w->gateway.deletions, 0);
	assert_int_equal(natd_scene_first(w)->state, MAPPING_VERIFIED);
	natd_scene_end(w);
}

/* A machine that was suspended does not trust what the gateway still holds. */
static void after_a_sleep_all_is_renewed(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");
	unsigned maps;

	natd_scene_await(w, MAPPING_VERIFIED);
	run_for(w->f, 1000);
	maps = w->gateway.maps;
	k_asleep_us = 600 * (uint64_t)K_SECOND;
	for (int i = 0; i < 60 && w->gateway.maps == maps; i++)
		run_for(w->f, 1000);
	assert_int_equal(w->gateway.maps, maps + 1);
	assert_int_equal(w->natd.engine.counts.restarts, 0);
	natd_scene_end(w);
}

/* Time passes while the two clocks are read that show it. */
static void clocks_that_are_read_one_after_the_other_are_no_sleep(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");
	unsigned maps;

	natd_scene_await(w, MAPPING_VERIFIED);
	run_for(w->f, 1000);
	maps = w->gateway.maps;
	k_read_us = 1000;
	for (int i = 0; i < 12; i++)
		run_for(w->f, 1000);
	k_read_us = 0;
	assert_int_equal(w->gateway.maps, maps);
	natd_scene_end(w);
}

/* A gateway whose epoch begins anew has forgotten; it is asked again. */
static void a_restarted_gateway_is_asked_again(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");

	natd_scene_await(w, MAPPING_VERIFIED);
	assert_int_equal(w->gateway.maps, 1);
	fake_gateway_restart(&w->gateway);
	portmap_engine_probe(&w->natd.engine);
	await_that(w, w->gateway.maps >= 2);
	assert_true(w->natd.engine.counts.restarts >= 1);
	await_that(w, natd_scene_first(w)->step == MAPPING_HELD);
	natd_scene_end(w);
}

/* It tells all hosts that it has started anew. */
static void an_announced_restart_is_followed(void **state)
{
	static const uint8_t announcement[24] = {2, 0x80}; /* PCP: an epoch of 0 s */
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");
	struct addr to = test_loopback(2, ANNOUNCE_PORT);

	natd_scene_await(w, MAPPING_VERIFIED);
	fake_gateway_restart(&w->gateway);
	assert_int_equal(
		sendto(w->gateway.fd, announcement, sizeof(announcement), 0, &to.sa, to.len),
		sizeof(announcement));
	await_that(w, w->gateway.maps >= 2);
	assert_int_equal(w->natd.engine.counts.restarts, 1);
	natd_scene_end(w);
}

static void a_refusal_is_told(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "natpmp: false\n");

	w->gateway.map_result = 2; /* NOT_AUTHORIZED */
	portmap_engine_renew(&w->natd.engine);
	natd_scene_await(w, MAPPING_REFUSED);
	assert_true(w->natd.engine.counts.failures[PORTMAP_REFUSED] >= 1);
	w->gateway.map_result = 0;
	json_decref(natd_scene_ask(w, "renew", "{}"));
	natd_scene_await(w, MAPPING_VERIFIED);
	natd_scene_end(w);
}

/* ---- the configuration ---- */

static void a_new_configuration_changes_what_differs(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");
	unsigned maps;

	natd_scene_await(w, MAPPING_VERIFIED);
	rewrite(w, SCENE_UDP ", " SCENE_TCP, "");
	natd_reload(&w->natd, &w->arguments, -1);
	await_that(w, w->gateway.maps == 2);
	assert_int_equal(w->natd.engine.count, 2);
	assert_int_equal(w->gateway.deletions, 0); /* the first one stayed as it was */
	/* Without it: deleted. */
	rewrite(w, SCENE_TCP, "");
	natd_reload(&w->natd, &w->arguments, -1);
	await_that(w, w->gateway.deletions == 1 && w->natd.engine.count == 1);
	/* Another set of protocols: the network is entered anew, and all is mapped again. */
	maps = w->gateway.maps;
	rewrite(w, SCENE_TCP, "pcp: false\n");
	natd_reload(&w->natd, &w->arguments, -1);
	await_that(w, w->gateway.maps > maps && natd_scene_first(w)->step == MAPPING_HELD);
	assert_int_equal(natd_scene_first(w)->protocol, PORTMAP_NATPMP);
	assert_int_equal(w->gateway.deletions, 2);
	/* One that is wrong changes nothing. */
	fixture_write_file(w->config, "map: [{protocol: sctp}]\n");
	natd_reload(&w->natd, &w->arguments, -1);
	assert_int_equal(w->natd.engine.count, 1);
	assert_false(w->natd.config.pcp);
	natd_reload(&w->natd, &(struct natd_arguments){.config = NULL}, -1);
	assert_int_equal(w->natd.engine.count, 1);
	natd_scene_end(w);
}

/* The gateway's address is the file's: at the start, and when the file is read again. */
static void the_file_may_name_the_gateway(void **state)
{
	char more[ADDR_TEXT_BYTES + 16], text[ADDR_TEXT_BYTES];
	struct natd_scene *w;
	struct addr other = test_loopback(77, 0);

	addr_format_host(&other, text);
	snprintf(more, sizeof(more), "gateway: %s\n", text);
	w = natd_scene_begin(state, dir, SCENE_UDP, more);
	assert_true(addr_same_host(&w->natd.network.places[PORTMAP_IPV4].gateway, &other));
	run_for(w->f, 300);
	assert_int_equal(w->gateway.maps, 0);
	rewrite(w, SCENE_UDP, "");
	natd_reload(&w->natd, &w->arguments, -1);
	natd_scene_await(w, MAPPING_VERIFIED);
	assert_int_equal(w->gateway.maps, 1);
	natd_scene_end(w);
}

/* In a network of a container's own no gateway answers, and it is said where to run instead. */
static void in_a_container_it_is_said_where_to_run(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "pcp: false\n");

	w->natd.contained = true;
	w->gateway.deaf = true;
	for (int i = 0; i < 4000 && !w->natd.told_contained; i++)
		run_for(w->f, 5);
	assert_null(strstr(w->natd.truth.advice, "--network host")); /* a card of its own */
	fake_kernel.links[0].pair = true;
	fake_kernel_changed();
	w->natd.network.pair = true;
	for (int i = 0; i < 8000 && !w->natd.told_contained; i++) {
		run_for(w->f, 5);
		natd_judge(&w->natd);
	}
	assert_non_null(strstr(w->natd.truth.advice, "--network host"));
	natd_scene_end(w);
}

static void what_only_a_restart_changes_is_said(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");
	struct natd_config next;
	char why[256] = "";

	natd_scene_load(w, &next, SCENE_UDP, "");
	next.upnp = true;
	assert_false(natd_reconfigure(&w->natd, &next, why, sizeof(why)));
	assert_non_null(strstr(why, "upnp is on from the next start only"));
	natd_scene_load(w, &next, SCENE_UDP, "hook: /bin/true\n");
	assert_false(natd_reconfigure(&w->natd, &next, why, sizeof(why)));
	assert_non_null(strstr(why, "change with a restart only"));
	natd_scene_await(w, MAPPING_VERIFIED);
	natd_scene_end(w);
}

/* ---- what STUN servers see ---- */

/* What is broken off at the end is no silence. */
static void a_question_that_is_broken_off_is_not_unanswered(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");
	enum truth_verdict before;

	natd_scene_await(w, MAPPING_VERIFIED);
	await_that(w, !w->natd.outside->asking);
	before = w->natd.truth.verdict;
	w->stun.deaf = true;
	outside_ask(w->natd.outside);
	assert_true(w->natd.outside->asking);
	natd_stop(&w->natd);
	await_that(w, !w->natd.outside->asking);
	assert_false(w->natd.outside->silent);
	assert_int_equal(w->natd.truth.verdict, before);
	natd_scene_end(w);
}

static void what_stun_servers_see_is_judged(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");

	natd_scene_await(w, MAPPING_VERIFIED);
	await_that(w, w->natd.truth.verdict == TRUTH_ONE_NAT);
	assert_true(addr_from_literal("45.0.0.99", 0, &w->stun.seen));
	outside_ask(w->natd.outside);
	outside_ask(w->natd.outside); /* while it asks: once more afterwards */
	await_that(w, w->natd.truth.verdict == TRUTH_DOUBLE_NAT);
	await_that(w, w->natd.outside->rounds >= 3 && !w->natd.outside->asking);
	w->stun.deaf = true;
	outside_ask(w->natd.outside);
	await_that(w, w->natd.outside->silent);
	assert_int_equal(w->natd.truth.verdict, TRUTH_PLAUSIBLE);
	assert_true(timer_pending(&w->natd.outside->later));
	/* A name that cannot be resolved is as silent; the end does not wait for it. */
	struct endpoint *server = w->natd.config.stun.items;
	snprintf(server->host, sizeof(server->host), "no.such.host.invalid");
	outside_configure(w->natd.outside);
	run_for(w->f, 20);
	natd_scene_end(w);
}

/* As at a gateway that comes and goes: what is judged is told at once, and the log has some of it;
 * once it rests, the log has what is so. */
static void verdicts_that_come_and_go_do_not_fill_the_log(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");
	struct outside *o = w->natd.outside;
	struct addr seen[2];
	unsigned logged = 0;

	natd_scene_await(w, MAPPING_VERIFIED);
	await_that(w, w->natd.truth.verdict == TRUTH_ONE_NAT && !outside_is_busy(o));
	seen[0] = o->address;
	assert_true(addr_from_literal("45.0.0.99", 0, &seen[1]));
	for (unsigned i = 1; i <= 101; i++) {
		enum truth_verdict before = w->natd.logged;

		o->address = o->seen[0] = seen[i % 2];
		natd_judge(&w->natd);
		assert_int_equal(w->natd.truth.verdict, i % 2 ? TRUTH_DOUBLE_NAT : TRUTH_ONE_NAT);
		logged += w->natd.logged != before;
	}
	assert_in_range(logged, 6, 10);
	o->address = o->seen[0] = seen[w->natd.logged == TRUTH_ONE_NAT];
	natd_judge(&w->natd);
	assert_int_not_equal(w->natd.logged, w->natd.truth.verdict);
	w->natd.verdicts_ms -= 3600000;
	natd_judge(&w->natd);
	assert_int_equal(w->natd.logged, w->natd.truth.verdict);
	natd_scene_end(w);
}

/* How long STUN servers are left alone, once they have answered. */
static uint64_t stun_rests(void **state, const char *more, bool no_pcp)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, more);
	uint64_t rounds, began_ms, rests_ms;

	w->gateway.no_pcp = no_pcp;
	natd_scene_await(w, MAPPING_VERIFIED);
	outside_ask(w->natd.outside);
	await_that(w, !w->natd.outside->asking);
	rounds = w->natd.outside->rounds;
	began_ms = clock_ms(CLOCK_BOOTTIME);
	for (unsigned i = 0; i < 1000 && w->natd.outside->rounds == rounds; i++)
		run_for(w->f, 100);
	rests_ms = clock_ms(CLOCK_BOOTTIME) - began_ms;
	natd_scene_end(w);
	return rests_ms;
}

/* Where neither NAT-PMP nor UPnP can be asked for the external address, they are every 30 s, since
 * another one is noticed by them alone; else at each recheck. */
static void without_another_teller_stun_is_asked_often(void **state)
{
	assert_in_range(stun_rests(state, "natpmp: false\n", false), OUTSIDE_ALONE_MS - 200,
			OUTSIDE_ALONE_MS + 500);
	assert_in_range(stun_rests(state, "pcp: false\n", true), 59800, 60500);
}

/* Two servers that see two addresses are no silence: both are told. */
static void servers_that_disagree_are_told(void **state)
{
	struct natd_scene *w = natd_scene_begin(state, dir, SCENE_UDP, "");
	struct endpoint *servers = w->natd.config.stun.items, both[2];
	struct addr at;
	struct fake_stun other;
	json_t *status, *seen;

	natd_scene_await(w, MAPPING_VERIFIED);
	fake_stun_open(&other, w->f, 11);
	assert_true(addr_from_literal("45.0.0.20", 0, &other.seen));
	at = fake_stun_address(&other);
	both[0] = both[1] = servers[0];
	addr_format_host(&at, both[1].host);
	both[1].port = addr_port(&at);
	w->natd.config.stun.items = both;
	w->natd.config.stun.count = 2;
	outside_configure(w->natd.outside);
	await_that(w, w->natd.truth.verdict == TRUTH_SEVERAL_EXITS);
	assert_false(w->natd.outside->silent);
	status = natd_scene_ask(w, "status", "{}");
	seen = json_object_get(json_object_get(status, "external"), "stun_seen");
	assert_int_equal(json_array_size(seen), 2);
	assert_string_equal(json_string_value(json_array_get(seen, 0)), "45.0.0.10");
	assert_string_equal(json_string_value(json_array_get(seen, 1)), "45.0.0.20");
	json_decref(status);
	w->natd.config.stun.items = servers;
	w->natd.config.stun.count = 1;
	outside_configure(w->natd.outside);
	await_that(w, w->natd.truth.verdict == TRUTH_ONE_NAT);
	fake_stun_close(&other, w->f);
	natd_scene_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(a_port_is_mapped_proven_and_told),
		RING_TEST(a_stopping_natd_deletes_what_it_mapped),
		RING_TEST(it_stops_while_a_port_is_proven),
		RING_TEST(without_pcp_natpmp_is_spoken),
		RING_TEST(calls_and_events),
		RING_TEST(probes_wait_together),
		RING_TEST(the_next_look_is_told),
		RING_TEST(a_probe_looks_at_everything),
		RING_TEST(a_proof_from_before_the_silence),
		RING_TEST(what_is_behind_counts_while_it_is_looked_at),
		RING_TEST(probes_of_users_have_a_pace),
		RING_TEST(another_user_only_looks),
		RING_TEST(another_program_asks),
		RING_TEST(what_is_asked_for_goes_with_its_caller),
		RING_TEST(what_is_not_allowed_is_refused),
		RING_TEST(a_reload_takes_rights_away),
		RING_TEST(root_may_do_all_that),
		RING_TEST(another_network_is_entered),
		RING_TEST(the_other_familys_mappings_stay),
		RING_TEST(a_dry_run_tells_what_would_be_asked),
		RING_TEST(a_dry_run_without_anyone_to_ask),
		RING_TEST(a_new_address_has_short_leases),
		RING_TEST(an_earlier_address_is_remembered),
		RING_TEST(a_full_disk_has_room_later),
		RING_TEST(a_gateway_without_a_card_is_not_known_again),
		RING_TEST(after_a_sleep_all_is_renewed),
		RING_TEST(clocks_that_are_read_one_after_the_other_are_no_sleep),
		RING_TEST(a_restarted_gateway_is_asked_again),
		RING_TEST(an_announced_restart_is_followed),
		RING_TEST(a_refusal_is_told),
		RING_TEST(a_new_configuration_changes_what_differs),
		RING_TEST(what_only_a_restart_changes_is_said),
		RING_TEST(the_file_may_name_the_gateway),
		RING_TEST(in_a_container_it_is_said_where_to_run),
		RING_TEST(a_question_that_is_broken_off_is_not_unanswered),
		RING_TEST(what_stun_servers_see_is_judged),
		RING_TEST(verdicts_that_come_and_go_do_not_fill_the_log),
		RING_TEST(without_another_teller_stun_is_asked_often),
		RING_TEST(servers_that_disagree_are_told),
	};

	return RING_TESTS_RUN(tests);
}
