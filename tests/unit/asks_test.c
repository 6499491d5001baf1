/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asks_test: who may ask for which mapping, who was first, and when each ends; on a clock of its
 * own.
 *
 * links: portmap/engine/[a-z]*.c portmap/gateway/driver.c core/addr.c core/log*.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "portmap/engine/asks.h"

#define WEB	 33u
#define OTHER	 34u
#define GROUP	 500u
#define SECONDS	 UINT64_C(1000)
#define LIFETIME 7200u

static struct portmap_engine engine;
static struct portmap_owner owner;
static struct asks asks;
static struct portmap_want configured[PORTMAP_MAPPINGS_MAX];
static size_t configured_count;
static uint64_t now_ms;
static enum ask_end last_end;
static unsigned ends;
static char why[ASKS_WHY_BYTES];

static uint64_t the_time(struct portmap_owner *o)
{
	return now_ms;
}

static void no_wake(struct portmap_owner *o, uint64_t due_ms)
{
}

static void no_change(struct portmap_owner *o, const struct portmap_mapping *m,
		      enum mapping_state old)
{
}

static void an_ask_ended(struct asks *s, const struct ask *a, enum ask_end end, const char *text)
{
	assert_true(a->used);
	assert_true(text[0] != '\0');
	last_end = end;
	ends++;
}

/* As natd does: the engine keeps what the configuration and others want. */
static void keep(void)
{
	struct portmap_want wants[PORTMAP_MAPPINGS_MAX];

	memcpy(wants, configured, sizeof configured);
	assert_int_equal(
		portmap_engine_want(&engine, wants, asks_wants(&asks, wants, configured_count)), 0);
}

static const struct ask_right web_high = {
	.id = WEB, .transports = {true, true}, .most = ASKS_OF_USER};

static void configure(const struct ask_right *rights, size_t count)
{
	asks_configure(&asks, rights, count, configured, configured_count, now_ms);
	keep();
}

static int begin(void **state)
{
	memset(&engine, 0, sizeof engine);
	memset(&asks, 0, sizeof asks);
	owner = (struct portmap_owner){
		.now_ms = the_time, .wake_at = no_wake, .mapping_changed = no_change};
	engine.owner = &owner;
	engine.recheck_ms = 600 * SECONDS;
	portmap_engine_init(&engine);
	asks.ended = an_ask_ended;
	configured_count = 0;
	now_ms = 1000 * SECONDS;
	ends = 0;
	configure(&web_high, 1);
	return 0;
}

static int end(void **state)
{
	portmap_engine_free(&engine);
	return 0;
}

static struct portmap_want want(enum portmap_transport t, uint16_t internal, uint16_t external)
{
	return (struct portmap_want){
		.transport = t, .internal = internal, .external = external, .lifetime_s = LIFETIME};
}

static struct portmap_want any(struct portmap_want w)
{
	w.any = true;
	return w;
}

static struct ask_user user(uid_t uid)
{
	return (struct ask_user){.uid = uid, .all = uid == 0, .group_count = 1, .groups = {uid}};
}

static const struct ask *last; /* what was granted last */

/* caller: any pointer, such as a text. */
static enum ask_refusal ask_by(struct ask_user u, const void *caller, struct portmap_want w,
			       uint32_t lease_s)
{
	struct ask_request r = {
		.user = &u, .caller = caller, .name = "a program", .want = w, .lease_s = lease_s};
	enum ask_refusal refusal;

	why[0] = '\0';
	refusal = asks_add(&asks, &engine, &r, now_ms, &last, why);
	assert_int_equal(refusal != ASK_GRANTED, why[0] != '\0');
	keep();
	return refusal;
}

static enum ask_refusal ask(uid_t uid, struct portmap_want w)
{
	return ask_by(user(uid), "a connection", w, 0);
}

static void pass(uint64_t seconds)
{
	now_ms += seconds * SECONDS;
	if (asks_run(&asks, now_ms) > 0)
		keep();
}

/* ---- rights ---- */

static void nobody_may_unless_the_configuration_says_so(void **state)
{
	assert_int_equal(ask(OTHER, want(PORTMAP_TCP, 8443, 8443)), ASK_NO_RIGHT);
	assert_non_null(strstr(why, "user 34 may not ask for mappings; allow it"));
	assert_int_equal(engine.count, 0);
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 8443, 8443)), ASK_GRANTED);
	assert_int_equal(engine.count, 1);
	assert_int_equal(ask(0, want(PORTMAP_TCP, 22, 22)), ASK_GRANTED);
	assert_int_equal(asks.refused[ASK_NO_RIGHT], 1);
	assert_int_equal(asks.granted, 2);
}

static void low_ports_are_named_or_not_had(void **state)
{
	struct ask_right both[2] = {web_high, web_high};

	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 22, 8022)), ASK_PORT);
	assert_non_null(strstr(why, "tcp port 22 at external port 8022"));
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 8022, 22)), ASK_PORT);
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 1023, 1023)), ASK_PORT);
	assert_int_equal(ask(WEB, any(want(PORTMAP_TCP, 22, 22))), ASK_PORT);
	assert_int_equal(ask(WEB, any(want(PORTMAP_TCP, 8022, 22))), ASK_PORT);
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 1024, 1024)), ASK_GRANTED);
	both[1].ports[0].first = 443;
	both[1].ports[0].last = 444;
	both[1].port_count = 1;
	both[1].transports[PORTMAP_UDP] = false;
	configure(both, 2);
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 444, 443)), ASK_GRANTED);
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 445, 445)), ASK_PORT);
	assert_int_equal(ask(WEB, want(PORTMAP_UDP, 444, 443)), ASK_PORT);
	assert_int_equal(asks.refused[ASK_PORT], 7);
}

static void a_group_counts_for_all_that_are_in_it(void **state)
{
	struct ask_right right = {
		.group = true, .id = GROUP, .transports = {true, true}, .most = 2};
	struct ask_user member = user(OTHER);

	configure(&right, 1);
	assert_int_equal(ask_by(member, "c", want(PORTMAP_TCP, 8443, 8443), 0), ASK_NO_RIGHT);
	member.groups[member.group_count++] = GROUP;
	assert_int_equal(ask_by(member, "c", want(PORTMAP_TCP, 8443, 8443), 0), ASK_GRANTED);
	/* A user of that number is another matter. */
	assert_int_equal(ask_by((struct ask_user){.uid = GROUP, .group_count = 0}, "c",
				want(PORTMAP_TCP, 8444, 8444), 0),
			 ASK_NO_RIGHT);
}

static void a_right_that_is_withdrawn_ends_what_rests_on_it(void **state)
{
	struct ask_right tcp = web_high;

	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 8443, 8443)), ASK_GRANTED);
	assert_int_equal(ask(WEB, want(PORTMAP_UDP, 8443, 8443)), ASK_GRANTED);
	assert_int_equal(ask(0, want(PORTMAP_UDP, 8444, 8444)), ASK_GRANTED);
	configure(&web_high, 1);
	assert_int_equal(ends, 0);
	tcp.transports[PORTMAP_UDP] = false;
	configure(&tcp, 1);
	assert_int_equal(ends, 1);
	assert_int_equal(last_end, ASK_RIGHT);
	assert_int_equal(engine.count, 2);
	configure(NULL, 0);
	assert_int_equal(ends, 2);
	assert_int_equal(engine.count, 1); /* root's */
	assert_int_equal(asks.ends[ASK_RIGHT], 2);
}

/* ---- time ---- */

static void without_a_lease_it_goes_with_its_caller(void **state)
{
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 8443, 8443)), ASK_GRANTED);
	assert_true(asks_next(&asks) == MAPPING_NEVER);
	asks_caller_gone(&asks, "another connection", now_ms);
	assert_true(asks_next(&asks) == MAPPING_NEVER);
	asks_caller_gone(&asks, "a connection", now_ms);
	assert_int_equal(asks_next(&asks), now_ms + ASKS_GRACE_MS);
	pass(9);
	assert_int_equal(engine.count, 1);
	/* It comes back in time, and goes again. */
	assert_int_equal(ask_by(user(WEB), "a new one", want(PORTMAP_TCP, 8443, 8443), 0),
			 ASK_GRANTED);
	pass(60);
	assert_int_equal(engine.count, 1);
	asks_caller_gone(&asks, "a new one", now_ms);
	pass(10);
	assert_int_equal(engine.count, 0);
	assert_int_equal(last_end, ASK_GONE);
}

static void a_lease_lasts_whatever_becomes_of_the_caller(void **state)
{
	assert_int_equal(ask_by(user(WEB), "c", want(PORTMAP_TCP, 8443, 8443), 600), ASK_GRANTED);
	asks_caller_gone(&asks, "c", now_ms);
	pass(599);
	assert_int_equal(engine.count, 1);
	assert_int_equal(ask_by(user(WEB), "d", want(PORTMAP_TCP, 8443, 8443), 600), ASK_GRANTED);
	pass(599);
	assert_int_equal(engine.count, 1);
	pass(1);
	assert_int_equal(engine.count, 0);
	assert_int_equal(last_end, ASK_LEASE);
	assert_int_equal(ends, 1);
}

/* Two programs of one user: neither takes the mapping from the other. */
static void it_lasts_while_either_of_two_connections_does(void **state)
{
	struct portmap_want w = want(PORTMAP_TCP, 8443, 8443);
	struct ask_user web = user(WEB);

	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask_by(web, "one", w, 0), ASK_GRANTED);
		assert_int_equal(ask_by(web, "two", w, 0), ASK_GRANTED);
		asks_caller_gone(&asks, i ? "one" : "two", now_ms);
		pass(3600);
		assert_int_equal(engine.count, 1);
		assert_int_equal(last->caller_count, 1);
		asks_caller_gone(&asks, i ? "two" : "one", now_ms);
		pass(10);
		assert_int_equal(engine.count, 0);
		assert_int_equal(last_end, ASK_GONE);
		pass(10);
	}
	/* Taken back over one of them, it is the other's still; over a third, it is nobody's. */
	assert_int_equal(ask_by(web, "one", w, 0), ASK_GRANTED);
	assert_int_equal(ask_by(web, "two", w, 0), ASK_GRANTED);
	assert_int_equal(asks_remove(&asks, &web, "one", &w, now_ms), 1);
	pass(60);
	assert_int_equal(engine.count, 1);
	assert_int_equal(ask_by(web, "one", w, 0), ASK_GRANTED);
	assert_int_equal(asks_remove(&asks, &web, "its tool", &w, now_ms), 1);
	keep();
	assert_int_equal(engine.count, 0);
	assert_int_equal(last_end, ASK_UNMAPPED);
}

/* One with a lease, one without: the later end counts. */
static void a_lease_and_a_connection_do_not_end_each_other(void **state)
{
	struct portmap_want w = want(PORTMAP_TCP, 8443, 8443), brief = w;
	struct ask_user web = user(WEB);

	brief.lifetime_s = 120;
	assert_int_equal(ask_by(web, "one", w, 0), ASK_GRANTED);
	pass(6);
	assert_int_equal(ask_by(web, "two", brief, 60), ASK_GRANTED);
	assert_int_equal(engine.mappings->want.lifetime_s, LIFETIME);
	asks_caller_gone(&asks, "two", now_ms);
	pass(3600);
	assert_int_equal(engine.count, 1);
	assert_int_equal(ask_by(web, "two", w, 600), ASK_GRANTED);
	asks_caller_gone(&asks, "one", now_ms);
	pass(599);
	assert_int_equal(engine.count, 1);
	assert_int_equal(ask_by(web, "three", w, 60), ASK_GRANTED);
	assert_int_equal(ask_by(web, "two", w, 60), ASK_GRANTED);
	assert_int_equal(ask_by(web, "two", w, 0), ASK_GRANTED); /* that one's word is its own */
	assert_int_equal(asks_remove(&asks, &web, "two", &w, now_ms), 1);
	pass(59);
	assert_int_equal(engine.count, 1);
	pass(1);
	assert_int_equal(engine.count, 0);
	assert_int_equal(last_end, ASK_LEASE);
}

static void so_many_connections_may_ask_for_the_same(void **state)
{
	static char connections[ASKS_CALLERS_MAX + 1];
	struct portmap_want w = want(PORTMAP_TCP, 8443, 8443);

	for (size_t i = 0; i < ASKS_CALLERS_MAX; i++)
		assert_int_equal(ask_by(user(WEB), &connections[i], w, 0), ASK_GRANTED);
	assert_int_equal(ask_by(user(WEB), &connections[ASKS_CALLERS_MAX], w, 0), ASK_USER_FULL);
	assert_non_null(strstr(why, "16 connections"));
	assert_int_equal(ask_by(user(WEB), &connections[3], w, 0), ASK_GRANTED);
	assert_int_equal(ask_by(user(WEB), &connections[ASKS_CALLERS_MAX], w, 600), ASK_GRANTED);
}

static void only_who_asked_takes_it_back(void **state)
{
	struct ask_user web = user(WEB), other = user(OTHER), root = user(0);
	struct portmap_want w = want(PORTMAP_TCP, 8443, 8443);

	assert_int_equal(ask(WEB, w), ASK_GRANTED);
	assert_int_equal(asks_remove(&asks, &other, "its tool", &w, now_ms), 0);
	assert_int_equal(asks_remove(&asks, &web, "its tool", &w, now_ms), 1);
	assert_int_equal(asks_remove(&asks, &web, "its tool", &w, now_ms), 0);
	assert_int_equal(last_end, ASK_UNMAPPED);
	assert_int_equal(ask(WEB, w), ASK_GRANTED);
	assert_int_equal(ask(0, w), ASK_GRANTED);
	assert_int_equal(asks_remove(&asks, &root, "its tool", &w, now_ms), 1); /* its own */
	keep();
	assert_int_equal(engine.count, 1);
	assert_int_equal(asks_remove(&asks, &root, "its tool", &w, now_ms), 1); /* anyone's */
	keep();
	assert_int_equal(engine.count, 0);
}

/* ---- more than one want it ---- */

static void the_configurations_port_stays_as_it_says(void **state)
{
	struct ask_user web = user(WEB);
	struct portmap_want w = want(PORTMAP_TCP, 8443, 443);

	configured[configured_count++] = w;
	configure(&(struct ask_right){.id = WEB,
				      .transports = {true, true},
				      .ports = {{1, 65535}},
				      .port_count = 1,
				      .most = 4},
		  1);
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 8443, 8443)), ASK_CONFIGURED);
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 9443, 443)), ASK_CONFIGURED);
	assert_non_null(strstr(why, "leads to another port of this host already"));
	assert_int_equal(ask(WEB, any(want(PORTMAP_TCP, 8443, 8443))), ASK_GRANTED);
	assert_int_equal(engine.mappings->want.external, 443);
	pass(5);
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 8443, 8443)), ASK_CONFIGURED);
	assert_int_equal(ask(WEB, w), ASK_GRANTED);
	assert_int_equal(engine.count, 1);
	assert_false(engine.mappings->want.any);
	assert_int_equal(asks_remove(&asks, &web, "its tool", &w, now_ms), 1);
	keep();
	assert_int_equal(engine.count, 1);
	/* Over UDP the port is another one. */
	assert_int_equal(ask(WEB, want(PORTMAP_UDP, 9443, 443)), ASK_GRANTED);
}

static void the_configuration_displaces_what_stands_in_its_way(void **state)
{
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 8443, 8443)), ASK_GRANTED);
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 9000, 9000)), ASK_GRANTED);
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 9001, 9001)), ASK_GRANTED);
	configured[0] = want(PORTMAP_TCP, 443, 8443);  /* the external port */
	configured[1] = want(PORTMAP_TCP, 9000, 9999); /* the port, elsewhere */
	configured[2] = want(PORTMAP_TCP, 9001, 9001); /* the same */
	configured_count = 3;
	configure(&web_high, 1);
	assert_int_equal(ends, 2);
	assert_int_equal(last_end, ASK_DISPLACED);
	assert_int_equal(engine.count, 3);
	/* Without that entry it is still asked for. */
	configured_count = 2;
	configure(&web_high, 1);
	assert_int_equal(engine.count, 3);
}

static void what_several_users_want_stays_for_the_last(void **state)
{
	struct ask_right rights[2] = {web_high, web_high};
	struct ask_user web = user(WEB), other = user(OTHER);
	struct portmap_want w = want(PORTMAP_TCP, 8443, 8443);

	rights[1].id = OTHER;
	configure(rights, 2);
	assert_int_equal(ask(WEB, w), ASK_GRANTED);
	assert_int_equal(ask(OTHER, w), ASK_GRANTED);
	assert_int_equal(ask(OTHER, want(PORTMAP_TCP, 8443, 9999)), ASK_TAKEN);
	assert_int_equal(ask(OTHER, want(PORTMAP_TCP, 9000, 8443)), ASK_TAKEN);
	assert_int_equal(engine.count, 1);
	assert_non_null(asks_of(&asks, &w, asks_of(&asks, &w, NULL)));
	assert_int_equal(asks_remove(&asks, &web, "its tool", &w, now_ms), 1);
	keep();
	assert_int_equal(engine.count, 1);
	assert_int_equal(asks_remove(&asks, &other, "its tool", &w, now_ms), 1);
	keep();
	assert_int_equal(engine.count, 0);
}

/* The next one's right does not hold for what the first one got. */
static void the_next_ones_terms_count_when_the_first_goes(void **state)
{
	struct ask_user root = user(0);
	struct portmap_want w = want(PORTMAP_TCP, 8443, 443);

	assert_int_equal(ask(0, w), ASK_GRANTED);
	assert_int_equal(ask(WEB, any(want(PORTMAP_TCP, 8443, 8443))), ASK_GRANTED);
	assert_int_equal(engine.mappings->want.external, 443);
	configure(&web_high, 1);
	assert_int_equal(ends, 0);
	assert_int_equal(asks_remove(&asks, &root, "its tool", &w, now_ms), 1);
	keep();
	assert_int_equal(engine.count, 1);
	assert_int_equal(engine.mappings->want.external, 8443);
	assert_true(engine.mappings->want.any);
}

static void any_takes_an_external_port_that_is_free(void **state)
{
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 8443, 8443)), ASK_GRANTED);
	assert_int_equal(ask(WEB, any(want(PORTMAP_TCP, 9000, 8443))), ASK_GRANTED);
	assert_int_equal(engine.count, 2);
	assert_true(engine.mappings->next->want.external >= 20000);
	assert_int_equal(ask(WEB, any(want(PORTMAP_TCP, 9001, 8443))), ASK_GRANTED);
	assert_int_not_equal(engine.mappings->next->next->want.external,
			     engine.mappings->next->want.external);
}

/* One that takes any port keeps the one it got, and makes way for one that does not. */
static void any_keeps_its_external_port(void **state)
{
	struct ask_user web = user(WEB);
	struct portmap_want first = want(PORTMAP_TCP, 8443, 8443);
	uint16_t got;

	assert_int_equal(ask(WEB, first), ASK_GRANTED);
	assert_int_equal(ask(WEB, any(want(PORTMAP_TCP, 9000, 8443))), ASK_GRANTED);
	got = engine.mappings->next->want.external;
	assert_int_not_equal(got, 8443);
	assert_int_equal(asks_remove(&asks, &web, "its tool", &first, now_ms), 1);
	keep();
	assert_int_equal(engine.count, 1);
	assert_int_equal(engine.mappings->want.external, got);
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 9001, 8443)), ASK_GRANTED);
	assert_int_equal(engine.mappings->want.external, got);
	assert_int_equal(engine.mappings->next->want.external, 8443);
}

/* ---- limits ---- */

static void a_user_has_so_many_and_their_places_rest(void **state)
{
	struct ask_user web = user(WEB);
	struct ask_right right = web_high;
	struct portmap_want w = want(PORTMAP_TCP, 2000, 2000);

	right.most = 3;
	configure(&right, 1);
	for (uint16_t i = 0; i < 3; i++)
		assert_int_equal(ask(WEB, want(PORTMAP_TCP, 2000 + i, 2000 + i)), ASK_GRANTED);
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 3000, 3000)), ASK_USER_FULL);
	assert_int_equal(ask(WEB, w), ASK_GRANTED); /* it has that */
	assert_int_equal(asks_remove(&asks, &web, "its tool", &w, now_ms), 1);
	keep();
	/* No program can keep the gateway busy by asking and taking back. */
	assert_int_equal(ask(WEB, w), ASK_USER_FULL);
	pass(4);
	assert_int_equal(ask(WEB, w), ASK_USER_FULL);
	pass(1);
	assert_int_equal(ask(WEB, w), ASK_GRANTED);
	/* Nor by changing its mind. */
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 2000, 2001)), ASK_TAKEN);
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 2000, 4000)), ASK_USER_FULL);
	pass(5);
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 2000, 4000)), ASK_GRANTED);
	assert_int_equal(asks.refused[ASK_USER_FULL], 4);
}

static void the_table_is_full_at_its_end(void **state)
{
	for (uint16_t i = 0; i < ASKS_MAX; i++)
		assert_int_equal(ask(0, want(PORTMAP_TCP, 2000 + i, 2000 + i)), ASK_GRANTED);
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 9000, 9000)), ASK_FULL);
	assert_int_equal(asks.refused[ASK_FULL], 1);
	assert_int_equal(engine.count, ASKS_MAX);
}

/* All mappings share one limit, and the configuration's come first. */
static void the_configuration_has_its_room(void **state)
{
	for (uint16_t i = 0; i < 10; i++)
		assert_int_equal(ask(WEB, want(PORTMAP_TCP, 2000 + i, 2000 + i)), ASK_GRANTED);
	for (uint16_t i = 0; i < PORTMAP_MAPPINGS_MAX - 8; i++)
		configured[configured_count++] = want(PORTMAP_UDP, 5000 + i, 5000 + i);
	configure(&web_high, 1);
	assert_int_equal(asks.ends[ASK_DISPLACED], 2);
	assert_int_equal(engine.count, PORTMAP_MAPPINGS_MAX);
	/* The last ones went. */
	assert_non_null(asks_of(&asks, &(struct portmap_want){.internal = 2007}, NULL));
	assert_null(asks_of(&asks, &(struct portmap_want){.internal = 2008}, NULL));
	pass(10);
	assert_int_equal(ask(WEB, want(PORTMAP_TCP, 9000, 9000)), ASK_FULL);
}

static void names_are_printable(void **state)
{
	struct ask_user web = user(WEB);
	struct ask_request r = {.user = &web,
				.caller = "c",
				.name = "a\n\033[2Jb",
				.want = want(PORTMAP_TCP, 8443, 8443)};
	char who[ASKS_WHO_BYTES];

	assert_int_equal(asks_add(&asks, &engine, &r, now_ms, &last, why), ASK_GRANTED);
	ask_who(last, who);
	assert_string_equal(who, "a\\x0a\\x1b[2Jb (uid 33)");
	r.name = NULL;
	assert_int_equal(asks_add(&asks, &engine, &r, now_ms, &last, why), ASK_GRANTED);
	ask_who(last, who);
	assert_string_equal(who, "uid 33");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_may_unless_the_configuration_says_so),
		TEST(low_ports_are_named_or_not_had),
		TEST(a_group_counts_for_all_that_are_in_it),
		TEST(a_right_that_is_withdrawn_ends_what_rests_on_it),
		TEST(without_a_lease_it_goes_with_its_caller),
		TEST(a_lease_lasts_whatever_becomes_of_the_caller),
		TEST(it_lasts_while_either_of_two_connections_does),
		TEST(a_lease_and_a_connection_do_not_end_each_other),
		TEST(so_many_connections_may_ask_for_the_same),
		TEST(only_who_asked_takes_it_back),
		TEST(the_configurations_port_stays_as_it_says),
		TEST(the_configuration_displaces_what_stands_in_its_way),
		TEST(what_several_users_want_stays_for_the_last),
		TEST(the_next_ones_terms_count_when_the_first_goes),
		TEST(any_takes_an_external_port_that_is_free),
		TEST(any_keeps_its_external_port),
		TEST(a_user_has_so_many_and_their_places_rest),
		TEST(the_table_is_full_at_its_end),
		TEST(the_configuration_has_its_room),
		TEST(names_are_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
