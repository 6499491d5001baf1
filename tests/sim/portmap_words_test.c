/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portmap_words_test: what people are told of mappings that fail, and how often; and how soon what
 * they do about it is noticed. The mapping engine on a fake clock.
 *
 * links: portmap/engine/engine.c portmap/engine/paths.c portmap/engine/wants.c
 * links: portmap/engine/mapping.c portmap/gateway/driver.c tests/support/portmap_world.c
 * links: portmap/engine/proof.c portmap/engine/taking_back.c portmap/engine/address.c portmap/engine/truth.c core/addr.c
 * links: core/log*.c tests/support/log_capture.c
 */
#include "tests/support/portmap_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/log_capture.h"

static void assert_why(struct world *w, const char *words)
{
	if (!strstr(world_first(w)->why, words))
		fail_msg("\"%s\" is not in: %s", words, world_first(w)->why);
}

static void assert_not_why(struct world *w, const char *words)
{
	if (strstr(world_first(w)->why, words))
		fail_msg("\"%s\" is in: %s", words, world_first(w)->why);
}

/* ---- IPv6 ---- */

/* A home with IPv6 that wants a pinhole; PCP does not answer. */
static struct world *pinhole_home(bool upnp)
{
	struct world *w = world_new(7);
	struct portmap_want one = world_want(PORTMAP_TCP, 443, 443);

	one.family = PORTMAP_IPV6;
	w->fakes[PORTMAP_UPNP].there = upnp;
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
		w->fakes[p].driver.families[PORTMAP_IPV6] = p != PORTMAP_NATPMP;
	assert_int_equal(portmap_engine_want(&w->engine, &one, 1), 0);
	return w;
}

/* However long it was refused before: an owner who ticks the box looks whether that helps. */
static void a_pinhole_that_is_allowed_later_is_had_within_five_minutes(void **state)
{
	static const enum portmap_failure kinds[] = {PORTMAP_REFUSED, PORTMAP_UNSUPPORTED,
						     PORTMAP_UNNEEDED, PORTMAP_NO_RESOURCES};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		for (unsigned hours = 0; hours < 26; hours += 5) {
			struct world *w = pinhole_home(true);
			struct fake *k = &w->fakes[PORTMAP_UPNP];

			k->refuses = kinds[i];
			world_enter(w);
			world_pass(w, hours * 3600 * SECONDS + 7 * SECONDS);
			assert_int_equal(world_first(w)->step, MAPPING_WAITING);
			assert_true(world_first(w)->due_ms <= w->now_ms + 300 * SECONDS);
			assert_in_range(k->maps, hours * 12 + 1, hours * 61 + 1);
			k->refuses = PORTMAP_FAILURES;
			world_pass(w, 301 * SECONDS);
			assert_state(w, MAPPING_MAPPED);
			world_free(w);
		}
	}
}

/* A renewal that the owner's box stops, too. */
static void a_pinhole_that_is_not_renewed_is_asked_for_every_five_minutes(void **state)
{
	struct world *w = pinhole_home(true);
	struct fake *k = &w->fakes[PORTMAP_UPNP];

	world_enter(w);
	world_pass(w, 5 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	k->refuses = PORTMAP_REFUSED;
	world_pass(w, 4 * 3600 * SECONDS);
	k->refuses = PORTMAP_FAILURES;
	world_pass(w, 301 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_false(world_first(w)->unrenewed);
	world_free(w);
}

static void a_pinhole_is_opened_not_forwarded(void **state)
{
	struct world *w = pinhole_home(false);

	world_enter(w);
	world_pass(w, 30 * SECONDS);
	assert_state(w, MAPPING_UNSUPPORTED);
	assert_why(w, "speaks none of PCP, UPnP");
	assert_why(w, "open the port in its firewall");
	assert_not_why(w, "forward");
	world_free(w);
}

/* What a device that speaks UPnP lacks is said before that PCP is silent, or not there. */
static void what_a_protocol_says_of_itself_comes_first(void **state)
{
	static const enum portmap_failure pcp[] = {PORTMAP_SILENT, PORTMAP_UNSUPPORTED};

	for (size_t i = 0; i < sizeof(pcp) / sizeof(pcp[0]); i++) {
		struct world *w = pinhole_home(false);
		struct fake *k = &w->fakes[PORTMAP_UPNP];

		w->fakes[PORTMAP_PCP].lacks = pcp[i];
		w->fakes[PORTMAP_PCP].lacks_why = "the gateway speaks NAT-PMP, not PCP";
		k->lacks = PORTMAP_UNSUPPORTED;
		k->lacks_why = "the gateway has no service for IPv6 pinholes";
		world_enter(w);
		world_pass(w, 30 * SECONDS);
		assert_state(w, MAPPING_UNSUPPORTED);
		assert_string_equal(
			world_first(w)->why,
			"the gateway has no service for IPv6 pinholes; open the port in "
			"its firewall");
		world_free(w);
	}
}

/* Its firewall is off: no warning, and nothing to do by hand. */
static void what_needs_no_pinhole_is_no_fault(void **state)
{
	for (unsigned later = 0; later < 2; later++) {
		struct world *w = pinhole_home(later);
		struct fake *k = &w->fakes[PORTMAP_UPNP];

		k->lacks = k->refuses = PORTMAP_UNNEEDED;
		k->lacks_why = k->refuses_why =
			"the gateway's IPv6 firewall is off: no pinhole is needed (702)";
		log_capture_begin();
		world_enter(w);
		world_pass(w, 3600 * SECONDS);
		log_capture_assert(log_capture_end(), "warning", 0);
		assert_state(w, MAPPING_UNSUPPORTED);
		assert_string_equal(world_first(w)->why, k->lacks_why);
		assert_true(world_first(w)->unneeded);
		k->there = true;
		k->refuses = PORTMAP_FAILURES; /* it is switched on */
		world_pass(w, 301 * SECONDS);
		assert_state(w, MAPPING_MAPPED);
		assert_false(world_first(w)->unneeded);
		world_free(w);
	}
}

/* ---- no NAT ---- */

static struct world *silent_home(const char *own, const char *host)
{
	struct world *w = world_new(7);
	struct portmap_want one = world_want(PORTMAP_TCP, 443, 443);

	w->source = world_address(own);
	if (host)
		one.host = world_address(host);
	assert_int_equal(portmap_engine_want(&w->engine, &one, 1), 0);
	log_capture_begin();
	world_enter(w);
	world_pass(w, 60 * SECONDS);
	assert_state(w, MAPPING_UNSUPPORTED);
	return w;
}

static void a_public_address_needs_no_mapping(void **state)
{
	struct world *w = silent_home("45.0.0.20:1", NULL);

	log_capture_assert(log_capture_end(), "warning", 0);
	assert_why(w, "own address is a public one");
	assert_true(world_first(w)->unneeded);
	world_free(w);
	/* Not ours, but another host's. */
	w = silent_home("45.0.0.20:1", "192.168.1.5:0");
	log_capture_assert(log_capture_end(), "warning", 1);
	assert_why(w, "speaks none of PCP, NAT-PMP, UPnP");
	assert_false(world_first(w)->unneeded);
	world_free(w);
	w = silent_home("100.64.0.20:1", NULL);
	log_capture_assert(log_capture_end(), "warning", 1);
	assert_why(w, "forward the port by hand");
	world_free(w);
}

/* ---- how often ---- */

static void reasons_that_alternate_are_told_once_each(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want wants[2] = {world_want(PORTMAP_TCP, 443, 443),
					world_want(PORTMAP_TCP, 444, 444)};
	struct fake *k = &w->fakes[PORTMAP_UPNP];
	char *log;

	k->there = true;
	k->refuses = PORTMAP_TRANSIENT; /* what is tried again most often, and changes no state */
	assert_int_equal(portmap_engine_want(&w->engine, wants, 2), 0);
	log_capture_begin();
	world_enter(w);
	for (unsigned i = 0; i < 3 * 3600; i++) {
		k->refuses_why = w->now_ms / 7000 % 2 ? "the line is down" : "the table is locked";
		world_pass(w, SECONDS);
	}
	log = log_capture_end();
	assert_true(k->maps > 300);
	assert_int_equal(log_capture_count(log, "UPnP: transient: the line is down"), 1);
	assert_int_equal(log_capture_count(log, "still requested: "),
			 2 * 2); /* one for each mapping */
	log_capture_assert(log, "UPnP: transient: the table is locked", 1);
	/* Once it was granted, the same reason is news. */
	k->refuses_why = "the line is down";
	world_pass(w, 61 * SECONDS);
	k->refuses = PORTMAP_FAILURES;
	world_pass(w, 90 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	k->refuses = PORTMAP_TRANSIENT;
	log_capture_begin();
	portmap_engine_renew(&w->engine);
	world_pass(w, 600 * SECONDS);
	log_capture_assert(log_capture_end(), "UPnP: transient: the line is down", 1);
	world_free(w);
}

/* More reasons than a path remembers, one for each mapping: each mapping's own is no news. */
static void many_reasons_are_told_once_each(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want wants[3 * PORTMAP_TOLD_MAX];
	size_t n = sizeof(wants) / sizeof(wants[0]);

	for (size_t i = 0; i < n; i++) {
		wants[i] = world_want(PORTMAP_TCP, (uint16_t)(2000 + i), (uint16_t)(2000 + i));
		world_add_entry(w, PORTMAP_TCP, PORTMAP_IPV4, (uint16_t)(2000 + i), ANOTHER);
	}
	w->fakes[PORTMAP_UPNP].there = w->fakes[PORTMAP_UPNP].names_port = true;
	assert_int_equal(portmap_engine_want(&w->engine, wants, n), 0);
	log_capture_begin();
	world_enter(w);
	world_pass(w, 6 * 3600 * SECONDS);
	log_capture_assert(log_capture_end(), "UPnP: conflict: ", (unsigned)n);
	assert_true(w->fakes[PORTMAP_UPNP].maps > 10 * n);
	world_free(w);
}

/* It answers to probes and is gone with each request. */
static void what_comes_and_goes_is_told_once(void **state)
{
	struct world *w = world_home(false, true, false);
	struct fake *k = &w->fakes[PORTMAP_NATPMP];
	char *log;

	k->goes_deaf = true;
	log_capture_begin();
	world_pass(w, 6 * 3600 * SECONDS);
	log = log_capture_end();
	assert_in_range(log_capture_count(log, "\n"), 1, 5);
	log_capture_assert(log, "portmap: NAT-PMP is no longer there", 1);
	assert_in_range(k->maps, 6 * 40, 6 * 62); /* about once a minute */
	k->goes_deaf = false;
	world_pass(w, 75 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	k->goes_deaf = true; /* it was there, so it is news again, and soon probed */
	log_capture_begin();
	portmap_engine_renew(&w->engine);
	world_pass(w, 14 * SECONDS);
	log_capture_assert(log_capture_end(), "portmap: NAT-PMP is no longer there", 1);
	k->goes_deaf = false;
	world_pass(w, 30 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	world_free(w);
}

/* ---- what stays at the gateway ---- */

static void what_is_not_deleted_is_named_with_its_end(void **state)
{
	for (unsigned permanent = 0; permanent < 2; permanent++) {
		struct world *w = world_home(false, false, true);
		struct fake *k = &w->fakes[PORTMAP_UPNP];
		char *log;

		k->keeps_all = true;
		k->permanent_only = permanent;
		world_pass(w, 5 * SECONDS);
		log_capture_begin();
		assert_int_equal(portmap_engine_want(&w->engine, NULL, 0), 0);
		world_pass(w, 5 * SECONDS);
		log = log_capture_end();
		assert_int_equal(log_capture_count(log, "tcp 443: UPnP did not delete it"), 1);
		assert_int_equal(log_capture_count(log, "ends with its lease, in 71"), !permanent);
		log_capture_assert(log, "stays until it is deleted there by hand", permanent);
		world_free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pinhole_that_is_allowed_later_is_had_within_five_minutes),
		cmocka_unit_test(a_pinhole_that_is_not_renewed_is_asked_for_every_five_minutes),
		cmocka_unit_test(a_pinhole_is_opened_not_forwarded),
		cmocka_unit_test(what_a_protocol_says_of_itself_comes_first),
		cmocka_unit_test(what_needs_no_pinhole_is_no_fault),
		cmocka_unit_test(a_public_address_needs_no_mapping),
		cmocka_unit_test(reasons_that_alternate_are_told_once_each),
		cmocka_unit_test(many_reasons_are_told_once_each),
		cmocka_unit_test(what_comes_and_goes_is_told_once),
		cmocka_unit_test(what_is_not_deleted_is_named_with_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
