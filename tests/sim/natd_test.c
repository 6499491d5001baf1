/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natd_test: a whole natd, but for its process and its hook: networks, its control socket, another
 * configuration, what STUN servers see, and its end.
 *
 * links: core/key_file.c core/memory.c
 * links: portmap/hops.c
 * links: portmap/natd.c portmap/natd_drivers.c portmap/control.c portmap/report.c portmap/outside.c
 * links: portmap/verify.c portmap/visits.c portmap/hook.c portmap/nonces.c portmap/network.c portmap/rtnetlink.c
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
#include <string.h>
#include <unistd.h>

#include "natpmp/driver/announce_listener.h"
#include "portmap/control.h"
#include "portmap/outside.h"
#include "portmap/verify.h"
#include "tests/support/fake_kernel.h"
#include "tests/support/loopback.h"
#include "tests/world/kernel.h"

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

/* The file is another one, and is not read yet. */
static void rewrite(struct natd_scene *w, const char *maps, const char *more)
{
	struct natd_config config;

	natd_scene_load(w, &config, maps, more);
	natd_config_free(&config);
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(a_port_is_mapped_proven_and_told),
		RING_TEST(a_stopping_natd_deletes_what_it_mapped),
		RING_TEST(it_stops_while_a_port_is_proven),
		RING_TEST(without_pcp_natpmp_is_spoken),
		RING_TEST(calls_and_events),
		RING_TEST(probes_wait_together),
		RING_TEST(another_user_only_looks),
		RING_TEST(another_network_is_entered),
		RING_TEST(the_other_familys_mappings_stay),
		RING_TEST(after_a_sleep_all_is_renewed),
		RING_TEST(a_restarted_gateway_is_asked_again),
		RING_TEST(an_announced_restart_is_followed),
		RING_TEST(a_refusal_is_told),
		RING_TEST(a_new_configuration_changes_what_differs),
		RING_TEST(what_only_a_restart_changes_is_said),
		RING_TEST(the_file_may_name_the_gateway),
		RING_TEST(in_a_container_it_is_said_where_to_run),
		RING_TEST(what_stun_servers_see_is_judged),
	};

	return RING_TESTS_RUN(tests);
}
