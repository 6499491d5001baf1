/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portmap_test: the mapping engine on a fake clock, at a gateway of our own making that speaks up
 * to three protocols, forgets, refuses and falls silent. A failure prints its seed; SIM_SEED=N runs
 * from it.
 *
 * links: portmap/engine.c portmap/paths.c portmap/asking.c portmap/mapping.c portmap/driver.c
 * links: core/addr.c core/log.c
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "portmap/engine.h"

#define ENTRIES	   64
#define MESSAGES   512
#define LIFETIME_S 7200u
#define RECHECK_MS 600000u
#define SECONDS	   UINT64_C(1000)
#define OURS	   1
#define SOMEBODY   2

/* ---- a gateway: one table, whatever the protocol ---- */

static const bool nothing[PORTMAP_FAMILIES], ipv4_only[PORTMAP_FAMILIES] = {true, false};

struct entry {
	bool used;
	enum portmap_transport transport;
	enum portmap_family family;
	uint16_t external, internal;
	int host;
	uint64_t expires_ms;
	enum portmap_protocol by;
};

struct fake {
	struct portmap_driver driver;
	struct world *world;
	bool there;		      /* it answers */
	bool deaf;		      /* to requests, not to probes */
	bool apart;		      /* takes what other protocols made for another's */
	bool picks_another;	      /* gives another port where one is taken */
	bool permanent_only;	      /* lifetime 0 whatever is asked for */
	enum portmap_failure refuses; /* PORTMAP_FAILURES: nothing */
	uint64_t delay_ms, silence_ms;
	unsigned maps, unmaps, probes;
	uint64_t last_request_ms;
};

enum message_kind { PROBED, MAPPED, UNMAPPED };

struct message {
	bool used;
	enum message_kind kind;
	uint64_t at_ms;
	struct fake *fake;
	struct portmap_request request;
};

struct world {
	struct portmap_owner owner;
	struct portmap_engine engine;
	struct fake fakes[PORTMAP_PROTOCOLS];
	struct entry table[ENTRIES];
	struct message messages[MESSAGES];
	struct addr external;
	uint64_t now_ms, wake_ms;
	unsigned left, externals, changes;
	uint64_t closest_ms; /* between two requests to one protocol */
};

static struct addr address(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

static struct entry *entry_of(struct world *w, const struct portmap_request *r, uint16_t external)
{
	enum portmap_family f = r->internal.sa.sa_family == AF_INET6 ? PORTMAP_IPV6 : PORTMAP_IPV4;

	for (size_t i = 0; i < ENTRIES; i++) {
		struct entry *e = &w->table[i];

		if (e->used && e->expires_ms <= w->now_ms)
			e->used = false;
		if (e->used && e->transport == r->transport && e->family == f &&
		    e->external == external)
			return e;
	}
	return NULL;
}

static struct entry *add_entry(struct world *w, enum portmap_transport t, enum portmap_family f,
			       uint16_t external, int host)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		struct entry *e = &w->table[i];

		if (e->used)
			continue;
		*e = (struct entry){true, t, f, external, external, host, UINT64_MAX, PORTMAP_PCP};
		return e;
	}
	fail_msg("the table is full");
	return NULL;
}

static size_t entries(const struct world *w, int host)
{
	size_t n = 0;

	for (size_t i = 0; i < ENTRIES; i++)
		n += w->table[i].used && w->table[i].host == host &&
		     w->table[i].expires_ms > w->now_ms;
	return n;
}

/* No two of our entries lead to the same port. */
static void check_no_twins(const struct world *w)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct entry *a = &w->table[i], *b = &w->table[j];

			if (a->used && b->used && a->host == OURS && b->host == OURS &&
			    a->expires_ms > w->now_ms && b->expires_ms > w->now_ms)
				assert_false(a->transport == b->transport &&
					     a->family == b->family && a->internal == b->internal);
		}
	}
}

static void map_at_gateway(struct fake *k, const struct portmap_request *r)
{
	struct world *w = k->world;
	struct portmap_heard *h = k->driver.heard;
	enum portmap_protocol p = k->driver.protocol;
	uint16_t port = addr_port(&r->external);
	struct entry *e = entry_of(w, r, port);
	struct addr external = w->external;

	assert_int_not_equal(port, 0);
	if (k->refuses != PORTMAP_FAILURES) {
		h->failed(h, p, r->id, k->refuses, "the gateway says no");
		return;
	}
	while (e && e->host != OURS && k->picks_another)
		e = entry_of(w, r, ++port);
	if (e && (e->host != OURS || (k->apart && e->by != p))) {
		h->failed(h, p, r->id, PORTMAP_CONFLICT, "another host has that port");
		return;
	}
	if (!e)
		e = add_entry(w, r->transport,
			      r->internal.sa.sa_family == AF_INET6 ? PORTMAP_IPV6 : PORTMAP_IPV4,
			      port, OURS);
	e->by = p;
	e->internal = addr_port(&r->internal);
	e->expires_ms = k->permanent_only ? UINT64_MAX : w->now_ms + r->lifetime_s * SECONDS;
	if (r->internal.sa.sa_family == AF_INET6)
		external = r->internal;
	external.v4.sin_port = htons(port);
	h->mapped(h, p, r->id, &external, k->permanent_only ? 0 : r->lifetime_s);
}

static void deliver(struct message *m)
{
	struct fake *k = m->fake;
	struct world *w = k->world;
	struct portmap_heard *h = k->driver.heard;
	enum portmap_protocol p = k->driver.protocol;
	struct portmap_gateway g = {.external = w->external, .about = "a fake"};
	struct portmap_request r = m->request;
	struct entry *e;

	m->used = false;
	switch (m->kind) {
	case PROBED:
		for (unsigned f = 0; f < PORTMAP_FAMILIES; f++) {
			if (!k->driver.families[f])
				continue;
			if (k->there)
				h->available(h, p, (enum portmap_family)f, &g);
			else
				h->unavailable(h, p, (enum portmap_family)f, PORTMAP_SILENT,
					       "no answer");
		}
		return;
	case MAPPED:
		if (k->there && !k->deaf)
			map_at_gateway(k, &r);
		else
			h->failed(h, p, r.id, PORTMAP_SILENT, "no answer");
		return;
	case UNMAPPED:
		e = entry_of(w, &r, addr_port(&r.external));
		if (k->there && e && e->host == OURS)
			e->used = false;
		h->unmapped(h, p, r.id, k->there);
		return;
	}
}

/* ---- drivers ---- */

static void post(struct fake *k, enum message_kind kind, const struct portmap_request *r)
{
	struct world *w = k->world;
	bool heard = k->there && !(kind == MAPPED && k->deaf);

	for (size_t i = 0; i < MESSAGES; i++) {
		struct message *m = &w->messages[i];

		if (m->used)
			continue;
		*m = (struct message){.used = true, .kind = kind, .fake = k};
		m->at_ms = w->now_ms + (heard ? k->delay_ms : k->silence_ms);
		if (r)
			m->request = *r;
		return;
	}
	fail_msg("too many messages");
}

static struct fake *fake_of(struct portmap_driver *d)
{
	return (struct fake *)d; /* its first member */
}

static void note_pace(struct fake *k)
{
	struct world *w = k->world;

	if (k->last_request_ms && w->now_ms - k->last_request_ms < w->closest_ms)
		w->closest_ms = w->now_ms - k->last_request_ms;
	k->last_request_ms = w->now_ms;
}

static void fake_probe(struct portmap_driver *d)
{
	fake_of(d)->probes++;
	post(fake_of(d), PROBED, NULL);
}

static void fake_map(struct portmap_driver *d, const struct portmap_request *r)
{
	struct fake *k = fake_of(d);

	for (size_t i = 0; i < MESSAGES; i++) /* one at a time per id */
		assert_false(k->world->messages[i].used && k->world->messages[i].fake == k &&
			     k->world->messages[i].kind == MAPPED &&
			     k->world->messages[i].request.id == r->id);
	k->maps++;
	note_pace(k);
	post(k, MAPPED, r);
}

static void fake_unmap(struct portmap_driver *d, const struct portmap_request *r)
{
	fake_of(d)->unmaps++;
	post(fake_of(d), UNMAPPED, r);
}

static void fake_forget(struct portmap_driver *d, uint32_t id)
{
	struct world *w = fake_of(d)->world;

	for (size_t i = 0; i < MESSAGES; i++)
		if (w->messages[i].fake == fake_of(d) && w->messages[i].kind != PROBED &&
		    w->messages[i].request.id == id)
			w->messages[i].used = false;
}

/* ---- the world ---- */

static struct world *world_of(struct portmap_owner *o)
{
	return (struct world *)o; /* its first member */
}

static uint64_t owner_now(struct portmap_owner *o)
{
	return world_of(o)->now_ms;
}

static void owner_wake(struct portmap_owner *o, uint64_t due_ms)
{
	world_of(o)->wake_ms = due_ms;
}

static void owner_mapping(struct portmap_owner *o, const struct portmap_mapping *m,
			  enum mapping_state old)
{
	world_of(o)->changes++;
}

static void owner_path(struct portmap_owner *o, enum portmap_protocol p, enum portmap_family f)
{
}

static void owner_external(struct portmap_owner *o, const struct addr *old, const struct addr *now)
{
	world_of(o)->externals++;
}

static void owner_left(struct portmap_owner *o)
{
	world_of(o)->left++;
}

static struct portmap_want want(enum portmap_transport t, uint16_t internal, uint16_t external)
{
	return (struct portmap_want){.transport = t,
				     .internal = internal,
				     .external = external,
				     .lifetime_s = LIFETIME_S};
}

static struct world *world_new(uint64_t seed)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	w->owner = (struct portmap_owner){owner_now,  owner_wake,     owner_mapping,
					  owner_path, owner_external, owner_left};
	w->now_ms = 1000000;
	w->wake_ms = MAPPING_NEVER;
	w->closest_ms = UINT64_MAX;
	w->external = address("45.0.0.10:1");
	w->external.v4.sin_port = 0;
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		struct fake *k = &w->fakes[p];

		k->world = w;
		k->delay_ms = p == PORTMAP_UPNP ? 200 : 5;
		k->silence_ms = 3000;
		k->refuses = PORTMAP_FAILURES;
		k->driver = (struct portmap_driver){.protocol = (enum portmap_protocol)p,
						    .families = {true, false},
						    .probe = fake_probe,
						    .map = fake_map,
						    .unmap = fake_unmap,
						    .forget = fake_forget};
	}
	w->engine =
		(struct portmap_engine){.owner = &w->owner, .recheck_ms = RECHECK_MS, .seed = seed};
	portmap_engine_init(&w->engine);
	return w;
}

static void world_free(struct world *w)
{
	portmap_engine_free(&w->engine);
	free(w);
}

static void enter(struct world *w)
{
	struct portmap_driver *drivers[PORTMAP_PROTOCOLS];
	struct addr source[PORTMAP_FAMILIES] = {address("192.168.77.2:1"), {.len = 0}};

	if (w->fakes[PORTMAP_UPNP].driver.families[PORTMAP_IPV6])
		source[PORTMAP_IPV6] = address("[2001:db8::2]:1");
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
		drivers[p] = &w->fakes[p].driver;
	portmap_engine_enter(&w->engine, source, drivers, PORTMAP_PROTOCOLS);
}

/* A gateway with these protocols and one mapping of TCP 443. */
static struct world *home(bool pcp, bool natpmp, bool upnp)
{
	struct world *w = world_new(7);
	struct portmap_want one = want(PORTMAP_TCP, 443, 443);

	w->fakes[PORTMAP_PCP].there = pcp;
	w->fakes[PORTMAP_NATPMP].there = natpmp;
	w->fakes[PORTMAP_UPNP].there = upnp;
	assert_int_equal(portmap_engine_want(&w->engine, &one, 1), 0);
	enter(w);
	return w;
}

/* Also what it has been asked already. */
static void answer_after(struct world *w, enum portmap_protocol p, uint64_t ms)
{
	w->fakes[p].delay_ms = w->fakes[p].silence_ms = ms;
	for (size_t i = 0; i < MESSAGES; i++)
		if (w->messages[i].used && w->messages[i].fake == &w->fakes[p])
			w->messages[i].at_ms = w->now_ms + ms;
}

static struct message *next_message(struct world *w)
{
	struct message *next = NULL;

	for (size_t i = 0; i < MESSAGES; i++)
		if (w->messages[i].used && (!next || w->messages[i].at_ms < next->at_ms))
			next = &w->messages[i];
	return next;
}

/* Lets time pass. */
static void pass(struct world *w, uint64_t ms)
{
	uint64_t end = w->now_ms + ms;
	size_t turns = 0;

	for (;;) {
		struct message *m = next_message(w);
		uint64_t at = m ? m->at_ms : MAPPING_NEVER;
		bool answer = at <= w->wake_ms;

		if (!answer)
			at = w->wake_ms;
		if (at > end)
			break;
		if (at > w->now_ms)
			w->now_ms = at;
		if (answer)
			deliver(m);
		else
			portmap_engine_run(&w->engine);
		check_no_twins(w);
		assert_true(++turns < 2000000);
	}
	w->now_ms = end;
}

static struct portmap_mapping *first(struct world *w)
{
	return w->engine.mappings;
}

#define assert_state(w, expected)                                                                  \
	assert_string_equal(mapping_state_name(first(w)->state), mapping_state_name(expected))

/* ---- the start ---- */

static void a_pcp_gateway_maps_within_a_tenth_of_a_second(void **state)
{
	struct world *w = home(true, true, true);

	pass(w, 100);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(first(w)->protocol, PORTMAP_PCP);
	assert_int_equal(addr_port(&first(w)->external), 443);
	assert_int_equal(w->externals, 1);
	pass(w, 10 * SECONDS);
	assert_int_equal(w->fakes[PORTMAP_NATPMP].maps, 0);
	assert_int_equal(w->fakes[PORTMAP_UPNP].maps, 0);
	world_free(w);
}

static void upnp_alone_does_not_wait_for_the_silent_ones(void **state)
{
	struct world *w = home(false, false, true);

	answer_after(w, PORTMAP_UPNP, 1000);
	answer_after(w, PORTMAP_PCP, 15000);
	answer_after(w, PORTMAP_NATPMP, 15000);
	pass(w, 3 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(first(w)->protocol, PORTMAP_UPNP);
	world_free(w);
}

static void a_better_protocol_that_is_a_little_slower_is_waited_for(void **state)
{
	struct world *w = home(true, true, false);

	answer_after(w, PORTMAP_PCP, 150);
	pass(w, SECONDS);
	assert_int_equal(first(w)->protocol, PORTMAP_PCP);
	assert_int_equal(w->fakes[PORTMAP_NATPMP].maps, 0);
	world_free(w);
}

static void what_came_first_is_kept_when_a_better_one_appears(void **state)
{
	struct world *w = home(true, true, false);

	answer_after(w, PORTMAP_PCP, 2000);
	pass(w, SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(first(w)->protocol, PORTMAP_NATPMP);
	pass(w, 20000 * SECONDS);
	assert_int_equal(first(w)->protocol, PORTMAP_NATPMP);
	assert_int_equal(w->fakes[PORTMAP_PCP].maps, 0);
	assert_int_equal(entries(w, OURS), 1);
	world_free(w);
}

static void nothing_there_is_said(void **state)
{
	struct world *w = home(false, false, false);

	pass(w, 5 * SECONDS);
	assert_state(w, MAPPING_UNSUPPORTED);
	assert_non_null(strstr(first(w)->why, "PCP, NAT-PMP, UPnP"));
	pass(w, 100 * SECONDS);
	w->fakes[PORTMAP_UPNP].there = true;
	pass(w, 70 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	world_free(w);
}

static void requests_are_spaced(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want wants[40];

	for (uint16_t i = 0; i < 40; i++)
		wants[i] = want(PORTMAP_UDP, (uint16_t)(5000 + i), (uint16_t)(5000 + i));
	w->fakes[PORTMAP_PCP].there = true;
	assert_int_equal(portmap_engine_want(&w->engine, wants, 40), 0);
	enter(w);
	pass(w, 3 * SECONDS);
	assert_int_equal(entries(w, OURS), 40);
	assert_int_equal(w->closest_ms, PORTMAP_SPACING_MS);
	world_free(w);
}

/* ---- renewal ---- */

static void it_is_renewed_before_it_ends(void **state)
{
	struct world *w = home(true, false, false);

	for (unsigned i = 0; i < 500; i++) {
		pass(w, 300 * SECONDS);
		assert_state(w, MAPPING_MAPPED);
		assert_int_equal(entries(w, OURS), 1);
	}
	/* every 1/2 to 5/8 of two hours */
	assert_in_range(w->engine.counts.renewals, 500 * 300 / 4500 - 1, 500 * 300 / 3600 + 1);
	world_free(w);
}

static void a_renewal_that_is_lost_is_tried_again(void **state)
{
	struct world *w = home(true, false, false);

	pass(w, SECONDS);
	w->fakes[PORTMAP_PCP].deaf = true;
	pass(w, 5000 * SECONDS);
	assert_int_equal(w->engine.counts.renewals, 1);
	w->fakes[PORTMAP_PCP].deaf = false;
	pass(w, 2000 * SECONDS);
	assert_int_equal(w->engine.counts.renewals, 2);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(entries(w, OURS), 1);
	world_free(w);
}

static void what_was_dropped_silently_comes_back_with_the_renewal(void **state)
{
	struct world *w = home(false, true, false);

	pass(w, 5 * SECONDS);
	memset(w->table, 0, sizeof w->table);
	pass(w, LIFETIME_S * SECONDS * 5 / 8);
	assert_int_equal(entries(w, OURS), 1);
	world_free(w);
}

static void a_permanent_mapping_is_looked_at(void **state)
{
	struct world *w = home(false, false, true);

	w->fakes[PORTMAP_UPNP].permanent_only = true;
	pass(w, 5 * SECONDS);
	assert_int_equal(first(w)->lifetime_s, 0);
	memset(w->table, 0, sizeof w->table);
	pass(w, RECHECK_MS + 5 * SECONDS);
	assert_int_equal(entries(w, OURS), 1);
	assert_state(w, MAPPING_MAPPED);
	portmap_engine_leave(&w->engine, true, nothing, "stopping");
	pass(w, SECONDS);
	assert_int_equal(entries(w, OURS), 0);
	world_free(w);
}

/* ---- what befalls gateways ---- */

static void a_restart_that_is_told_is_healed_within_two_seconds(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want wants[20];

	for (uint16_t i = 0; i < 20; i++)
		wants[i] = want(PORTMAP_UDP, (uint16_t)(5000 + i), (uint16_t)(5000 + i));
	w->fakes[PORTMAP_PCP].there = true;
	assert_int_equal(portmap_engine_want(&w->engine, wants, 20), 0);
	enter(w);
	pass(w, 10 * SECONDS);
	memset(w->table, 0, sizeof w->table);
	w->engine.heard.restarted(&w->engine.heard, PORTMAP_PCP, PORTMAP_IPV4, "the epoch is new");
	assert_state(w, MAPPING_REQUESTED);
	pass(w, 2 * SECONDS);
	assert_int_equal(entries(w, OURS), 20);
	assert_state(w, MAPPING_MAPPED);
	assert_true(w->closest_ms >= PORTMAP_SPACING_MS);
	world_free(w);
}

static void a_restart_told_for_one_family_heals_the_other(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want one = want(PORTMAP_TCP, 443, 443);

	one.family = PORTMAP_IPV6;
	w->fakes[PORTMAP_UPNP].there = true;
	w->fakes[PORTMAP_UPNP].driver.families[PORTMAP_IPV6] = true;
	assert_int_equal(portmap_engine_want(&w->engine, &one, 1), 0);
	enter(w);
	pass(w, 10 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	memset(w->table, 0, sizeof w->table);
	w->engine.heard.restarted(&w->engine.heard, PORTMAP_PCP, PORTMAP_IPV4, "the epoch is new");
	pass(w, 2 * SECONDS);
	assert_int_equal(entries(w, OURS), 1);
	assert_state(w, MAPPING_MAPPED);
	world_free(w);
}

static void a_port_that_somebody_took_meanwhile_is_theirs(void **state)
{
	struct world *w = home(true, false, false);

	pass(w, 10 * SECONDS);
	memset(w->table, 0, sizeof w->table);
	add_entry(w, PORTMAP_TCP, PORTMAP_IPV4, 443, SOMEBODY);
	w->engine.heard.restarted(&w->engine.heard, PORTMAP_PCP, PORTMAP_IPV4, "the epoch is new");
	pass(w, 2 * SECONDS);
	assert_state(w, MAPPING_CONFLICTING);
	assert_int_equal(entries(w, SOMEBODY), 1);
	portmap_engine_leave(&w->engine, true, nothing, "stopping");
	pass(w, 5 * SECONDS);
	assert_int_equal(entries(w, SOMEBODY), 1);
	world_free(w);
}

static void a_lease_that_is_over_is_not_called_mapped(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want one = want(PORTMAP_TCP, 443, 443);

	one.lifetime_s = 10;
	w->fakes[PORTMAP_PCP].there = true;
	assert_int_equal(portmap_engine_want(&w->engine, &one, 1), 0);
	enter(w);
	pass(w, SECONDS);
	assert_state(w, MAPPING_MAPPED);
	w->fakes[PORTMAP_PCP].silence_ms = UINT32_MAX; /* its driver tries for ever */
	w->fakes[PORTMAP_PCP].there = false;
	pass(w, 10 * SECONDS);
	assert_int_not_equal(first(w)->state, MAPPING_MAPPED);
	world_free(w);
}

static void another_protocol_takes_over(void **state)
{
	struct world *w = home(true, true, true);
	struct portmap_heard *h = &w->engine.heard;

	pass(w, 10 * SECONDS);
	w->fakes[PORTMAP_PCP].there = false;
	h->unavailable(h, PORTMAP_PCP, PORTMAP_IPV4, PORTMAP_SILENT, "no answer");
	assert_state(w, MAPPING_REQUESTED);
	pass(w, SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(first(w)->protocol, PORTMAP_NATPMP);
	assert_int_equal(w->engine.counts.moves, 1);
	/* The first one comes back, and what it held is the same entry: it stays where it is. */
	w->fakes[PORTMAP_PCP].there = true;
	pass(w, 3600 * SECONDS);
	assert_int_equal(first(w)->protocol, PORTMAP_NATPMP);
	assert_int_equal(entries(w, OURS), 1);
	assert_int_equal(w->fakes[PORTMAP_PCP].unmaps, 0);
	portmap_engine_leave(&w->engine, true, nothing, "stopping");
	pass(w, SECONDS);
	assert_int_equal(entries(w, OURS), 0);
	assert_int_equal(w->left, 1);
	world_free(w);
}

static void silence_is_found_out_at_the_renewal(void **state)
{
	struct world *w = home(true, false, true);

	pass(w, 10 * SECONDS);
	w->fakes[PORTMAP_PCP].there = false;
	pass(w, LIFETIME_S * SECONDS * 5 / 8 + 10 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(first(w)->protocol, PORTMAP_UPNP);
	world_free(w);
}

/* Its WAN changes: a renewal fails, and UPnP finds the port taken by what PCP made. */
static void what_another_protocol_of_ours_holds_is_no_conflict(void **state)
{
	struct world *w = home(true, false, true);

	w->fakes[PORTMAP_UPNP].apart = true;
	pass(w, 10 * SECONDS);
	w->fakes[PORTMAP_PCP].refuses = PORTMAP_NO_EXTERNAL;
	portmap_engine_renew(&w->engine);
	pass(w, 2 * SECONDS);
	assert_state(w, MAPPING_REQUESTED);
	assert_true(w->fakes[PORTMAP_UPNP].maps > 0);
	w->fakes[PORTMAP_PCP].refuses = PORTMAP_FAILURES;
	pass(w, 10 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(first(w)->protocol, PORTMAP_PCP);
	assert_int_equal(first(w)->changes[MAPPING_CONFLICTING], 0);
	assert_int_equal(entries(w, OURS), 1);
	world_free(w);
}

static void flapping_does_not_flood(void **state)
{
	struct world *w = home(true, false, true);
	struct portmap_heard *h = &w->engine.heard;
	struct portmap_gateway g = {.about = "a fake"};

	pass(w, 10 * SECONDS);
	for (unsigned i = 0; i < 100; i++) {
		h->unavailable(h, PORTMAP_PCP, PORTMAP_IPV4, PORTMAP_SILENT, "no answer");
		pass(w, 500);
		h->available(h, PORTMAP_PCP, PORTMAP_IPV4, &g);
		pass(w, 500);
	}
	/* It moved to what stays, once. */
	assert_int_equal(first(w)->protocol, PORTMAP_UPNP);
	assert_state(w, MAPPING_MAPPED);
	assert_true(w->fakes[PORTMAP_PCP].maps + w->fakes[PORTMAP_UPNP].maps < 5);
	world_free(w);
}

static void another_external_address_is_told_and_no_longer_verified(void **state)
{
	struct world *w = home(true, false, false);
	struct portmap_heard *h = &w->engine.heard;
	struct addr other = address("45.0.0.99:1");

	pass(w, 10 * SECONDS);
	portmap_engine_verified(&w->engine, first(w)->id, "it came in");
	assert_state(w, MAPPING_VERIFIED);
	pass(w, 5000 * SECONDS);
	assert_state(w, MAPPING_VERIFIED); /* a renewal changes nothing */
	other.v4.sin_port = 0;
	w->external = other;
	h->external_changed(h, PORTMAP_PCP, &other);
	assert_int_equal(w->externals, 2);
	assert_state(w, MAPPING_MAPPED);
	other.v4.sin_port = htons(443);
	assert_true(addr_equal(&first(w)->external, &other));
	h->external_changed(h, PORTMAP_PCP, &w->external);
	assert_int_equal(w->externals, 2);
	world_free(w);
}

static void another_external_address_counts_whoever_tells_it(void **state)
{
	struct world *w = home(true, true, false);
	struct portmap_heard *h = &w->engine.heard;
	struct addr other = address("45.0.0.99:1");

	pass(w, 10 * SECONDS);
	assert_int_equal(first(w)->protocol, PORTMAP_PCP);
	other.v4.sin_port = 0;
	w->external = other;
	h->external_changed(h, PORTMAP_NATPMP, &other);
	assert_int_equal(w->externals, 2);
	assert_true(addr_equal(&w->engine.external, &other));
	pass(w, SECONDS); /* PCP has been asked and agrees */
	assert_int_equal(w->externals, 2);
	other.v4.sin_port = htons(443);
	assert_true(addr_equal(&first(w)->external, &other));
	world_free(w);
}

/* ---- what gateways say no to ---- */

static void a_taken_port_is_left_alone_and_tried_again(void **state)
{
	struct world *w = home(true, true, true);

	add_entry(w, PORTMAP_TCP, PORTMAP_IPV4, 443, SOMEBODY);
	pass(w, 10 * SECONDS);
	assert_state(w, MAPPING_CONFLICTING);
	assert_int_equal(w->fakes[PORTMAP_PCP].maps, 1);
	assert_int_equal(w->fakes[PORTMAP_UPNP].maps, 0);
	pass(w, 600 * SECONDS);
	assert_in_range(w->fakes[PORTMAP_PCP].maps, 5, 7);
	assert_int_equal(entries(w, SOMEBODY), 1);
	memset(w->table, 0, sizeof w->table);
	pass(w, 1900 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	world_free(w);
}

static void any_port_will_do_where_that_is_said(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want one = want(PORTMAP_TCP, 443, 443);

	one.any = true;
	w->fakes[PORTMAP_UPNP].there = true;
	add_entry(w, PORTMAP_TCP, PORTMAP_IPV4, 443, SOMEBODY);
	assert_int_equal(portmap_engine_want(&w->engine, &one, 1), 0);
	enter(w);
	pass(w, 10 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_true(addr_port(&first(w)->external) >= 1024);
	uint16_t port = addr_port(&first(w)->external);
	pass(w, 20000 * SECONDS);
	assert_int_equal(addr_port(&first(w)->external), port);
	assert_int_equal(entries(w, OURS), 1);
	world_free(w);
}

static void a_port_nobody_asked_for_goes_back(void **state)
{
	struct world *w = home(false, true, false);

	w->fakes[PORTMAP_NATPMP].picks_another = true;
	add_entry(w, PORTMAP_TCP, PORTMAP_IPV4, 443, SOMEBODY);
	pass(w, 10 * SECONDS);
	assert_state(w, MAPPING_CONFLICTING);
	assert_non_null(strstr(first(w)->why, "444"));
	assert_int_equal(entries(w, OURS), 0);
	assert_int_equal(w->fakes[PORTMAP_NATPMP].unmaps, 1);
	world_free(w);
}

static void what_one_refuses_another_may_allow(void **state)
{
	struct world *w = home(true, true, true);

	w->fakes[PORTMAP_PCP].refuses = PORTMAP_REFUSED;
	w->fakes[PORTMAP_NATPMP].refuses = PORTMAP_UNSUPPORTED;
	pass(w, 2 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(first(w)->protocol, PORTMAP_UPNP);
	world_free(w);
}

static void the_failure_that_says_most_is_shown(void **state)
{
	struct world *w = home(true, true, true);

	w->fakes[PORTMAP_PCP].refuses = PORTMAP_NO_EXTERNAL;
	w->fakes[PORTMAP_NATPMP].refuses = PORTMAP_SILENT;
	w->fakes[PORTMAP_UPNP].refuses = PORTMAP_UNSUPPORTED;
	pass(w, 2 * SECONDS);
	assert_state(w, MAPPING_REFUSED);
	assert_string_equal(first(w)->why, "the gateway says no");
	world_free(w);
}

/* ---- changes of the configuration, networks, the end ---- */

static void only_what_differs_is_changed(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want wants[3] = {want(PORTMAP_TCP, 443, 443), want(PORTMAP_UDP, 443, 443),
					want(PORTMAP_TCP, 22, 2222)};

	w->fakes[PORTMAP_PCP].there = true;
	assert_int_equal(portmap_engine_want(&w->engine, wants, 3), 0);
	enter(w);
	pass(w, SECONDS);
	assert_int_equal(entries(w, OURS), 3);
	wants[1] = want(PORTMAP_UDP, 443, 8443);
	wants[2] = want(PORTMAP_UDP, 53000, 53000);
	assert_int_equal(portmap_engine_want(&w->engine, wants, 3), 0);
	pass(w, SECONDS);
	assert_int_equal(entries(w, OURS), 3);
	assert_int_equal(w->engine.count, 3);
	assert_int_equal(first(w)->changes[MAPPING_MAPPED], 1);
	assert_int_equal(w->fakes[PORTMAP_PCP].maps, 5);
	assert_int_equal(w->fakes[PORTMAP_PCP].unmaps, 2);
	assert_int_equal(portmap_engine_want(&w->engine, wants, 0), 0);
	pass(w, SECONDS);
	assert_int_equal(entries(w, OURS), 0);
	assert_int_equal(w->engine.count, 0);
	world_free(w);
}

static void leaving_deletes_also_what_was_only_asked_for(void **state)
{
	struct world *w = home(true, false, false);

	w->fakes[PORTMAP_PCP].delay_ms = 50;
	pass(w, 40); /* there, and asked */
	assert_int_equal(first(w)->step, MAPPING_ASKING);
	add_entry(w, PORTMAP_TCP, PORTMAP_IPV4, 443, OURS)->internal = 443; /* granted, not heard */
	portmap_engine_leave(&w->engine, true, nothing, "stopping");
	pass(w, SECONDS);
	assert_int_equal(w->left, 1);
	assert_int_equal(entries(w, OURS), 0);
	world_free(w);
}

static void leaving_ends_in_time(void **state)
{
	struct world *w = home(true, false, false);

	pass(w, SECONDS);
	w->fakes[PORTMAP_PCP].there = false;
	w->fakes[PORTMAP_PCP].silence_ms = 100000;
	portmap_engine_leave(&w->engine, true, nothing, "stopping");
	pass(w, PORTMAP_LEAVE_MS - 1);
	assert_int_equal(w->left, 0);
	pass(w, 1);
	assert_int_equal(w->left, 1);
	world_free(w);
}

static void a_new_network_begins_anew(void **state)
{
	struct world *w = home(true, false, false);

	pass(w, SECONDS);
	portmap_engine_leave(&w->engine, false, nothing, "the network changed");
	assert_int_equal(w->left, 1);
	assert_state(w, MAPPING_REQUESTED);
	assert_int_equal(w->wake_ms, MAPPING_NEVER);
	memset(w->table, 0, sizeof w->table);
	memset(w->messages, 0, sizeof w->messages);
	w->external = address("46.0.0.1:1");
	w->external.v4.sin_port = 0;
	enter(w);
	pass(w, SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(w->externals, 2);
	world_free(w);
}

static void what_the_change_does_not_touch_stays(void **state)
{
	struct world *w = home(false, true, true);

	pass(w, SECONDS);
	portmap_engine_verified(&w->engine, first(w)->id, "it came in");
	assert_int_equal(first(w)->protocol, PORTMAP_NATPMP);
	w->fakes[PORTMAP_PCP].there = true; /* a better one is here by then */
	unsigned changes = w->changes;
	portmap_engine_leave(&w->engine, true, ipv4_only, "the network changed");
	assert_int_equal(w->left, 1);
	assert_int_equal(entries(w, OURS), 1);
	memset(w->messages, 0, sizeof w->messages);
	enter(w);
	pass(w, SECONDS);
	assert_state(w, MAPPING_VERIFIED);
	assert_int_equal(w->changes, changes);
	assert_int_equal(w->fakes[PORTMAP_NATPMP].maps, 2);
	assert_int_equal(w->fakes[PORTMAP_NATPMP].unmaps + w->fakes[PORTMAP_PCP].maps, 0);
	/* And when its protocol has gone meanwhile, another one takes over. */
	portmap_engine_leave(&w->engine, true, ipv4_only, "the network changed");
	memset(w->messages, 0, sizeof w->messages);
	w->fakes[PORTMAP_NATPMP].there = false;
	enter(w);
	pass(w, 5 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(first(w)->protocol, PORTMAP_PCP);
	portmap_engine_leave(&w->engine, true, nothing, "stopping");
	pass(w, SECONDS);
	assert_int_equal(entries(w, OURS), 0);
	world_free(w);
}

static void a_pinhole_needs_a_network_that_has_ipv6(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want one = want(PORTMAP_TCP, 443, 443);

	one.family = PORTMAP_IPV6;
	w->fakes[PORTMAP_UPNP].there = true;
	assert_int_equal(portmap_engine_want(&w->engine, &one, 1), 0);
	enter(w);
	pass(w, SECONDS);
	assert_state(w, MAPPING_UNSUPPORTED);
	portmap_engine_leave(&w->engine, false, nothing, "the network changed");
	memset(w->messages, 0, sizeof w->messages);
	w->fakes[PORTMAP_UPNP].driver.families[PORTMAP_IPV6] = true;
	enter(w);
	pass(w, SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(first(w)->external.sa.sa_family, AF_INET6);
	world_free(w);
}

/* ---- years at a bad gateway ---- */

static uint64_t below(uint64_t *seed, uint64_t n)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (*seed >> 33) % n;
}

static void befall(struct world *w, uint64_t *seed)
{
	struct portmap_heard *h = &w->engine.heard;
	struct fake *k = &w->fakes[below(seed, PORTMAP_PROTOCOLS)];
	struct portmap_gateway g = {.external = w->external, .about = "a fake"};

	switch (below(seed, 10)) {
	case 0:
		k->there = !k->there;
		break;
	case 1:
		k->deaf = !k->deaf;
		break;
	case 2:
		memset(w->table, 0, sizeof w->table);
		if (k->there)
			h->restarted(h, k->driver.protocol, PORTMAP_IPV4, "it says so");
		break;
	case 3:
		memset(w->table, 0, sizeof w->table);
		break;
	case 4:
		if (k->there)
			h->available(h, k->driver.protocol, PORTMAP_IPV4, &g);
		break;
	case 5:
		h->unavailable(h, k->driver.protocol, PORTMAP_IPV4, PORTMAP_SILENT, "no answer");
		break;
	case 6:
		k->refuses = (enum portmap_failure)below(seed, PORTMAP_FAILURES + 1);
		break;
	case 7:
		k->delay_ms = 1 + below(seed, 5000);
		break;
	case 8:
		w->external.v4.sin_addr.s_addr = htonl(0x2d000000u + (uint32_t)below(seed, 250));
		h->external_changed(h, k->driver.protocol, &w->external);
		break;
	default:
		portmap_engine_renew(&w->engine);
		break;
	}
}

static void run_years(uint64_t seed)
{
	struct world *w = world_new(seed);
	struct portmap_want wants[6];

	for (uint16_t i = 0; i < 6; i++)
		wants[i] = want(PORTMAP_TCP, (uint16_t)(443 + i), (uint16_t)(443 + i));
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
		w->fakes[p].there = below(&seed, 2);
	assert_int_equal(portmap_engine_want(&w->engine, wants, 6), 0);
	enter(w);
	for (unsigned i = 0; i < 400; i++) {
		pass(w, below(&seed, i % 3 == 0 ? 4000000 : 4000));
		befall(w, &seed);
		if (below(&seed, 20) == 0)
			assert_int_equal(
				portmap_engine_want(&w->engine, wants, 1 + below(&seed, 6)), 0);
	}
	/* Whatever was: when all is well again, all is mapped, and in the end nothing is left. */
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		w->fakes[p].there = true;
		w->fakes[p].deaf = false;
		w->fakes[p].refuses = PORTMAP_FAILURES;
		w->fakes[p].delay_ms = 20;
	}
	assert_int_equal(portmap_engine_want(&w->engine, wants, 6), 0);
	pass(w, 5000 * SECONDS);
	assert_int_equal(entries(w, OURS), 6);
	for (const struct portmap_mapping *m = w->engine.mappings; m; m = m->next)
		assert_string_equal(mapping_state_name(m->state), "mapped");
	portmap_engine_leave(&w->engine, true, nothing, "stopping");
	pass(w, PORTMAP_LEAVE_MS);
	assert_int_equal(w->left, 1);
	assert_int_equal(entries(w, OURS), 0);
	world_free(w);
}

static void whatever_befalls_it_heals_and_leaves_nothing(void **state)
{
	const char *given = getenv("SIM_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);

	for (unsigned i = 0; i < (given ? 1u : 20u); i++, seed++) {
		print_message("SIM_SEED=%" PRIu64 "\n", seed);
		run_years(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pcp_gateway_maps_within_a_tenth_of_a_second),
		cmocka_unit_test(upnp_alone_does_not_wait_for_the_silent_ones),
		cmocka_unit_test(a_better_protocol_that_is_a_little_slower_is_waited_for),
		cmocka_unit_test(what_came_first_is_kept_when_a_better_one_appears),
		cmocka_unit_test(nothing_there_is_said),
		cmocka_unit_test(requests_are_spaced),
		cmocka_unit_test(it_is_renewed_before_it_ends),
		cmocka_unit_test(a_renewal_that_is_lost_is_tried_again),
		cmocka_unit_test(what_was_dropped_silently_comes_back_with_the_renewal),
		cmocka_unit_test(a_permanent_mapping_is_looked_at),
		cmocka_unit_test(a_restart_that_is_told_is_healed_within_two_seconds),
		cmocka_unit_test(a_restart_told_for_one_family_heals_the_other),
		cmocka_unit_test(a_port_that_somebody_took_meanwhile_is_theirs),
		cmocka_unit_test(a_lease_that_is_over_is_not_called_mapped),
		cmocka_unit_test(another_protocol_takes_over),
		cmocka_unit_test(silence_is_found_out_at_the_renewal),
		cmocka_unit_test(what_another_protocol_of_ours_holds_is_no_conflict),
		cmocka_unit_test(flapping_does_not_flood),
		cmocka_unit_test(another_external_address_is_told_and_no_longer_verified),
		cmocka_unit_test(another_external_address_counts_whoever_tells_it),
		cmocka_unit_test(a_taken_port_is_left_alone_and_tried_again),
		cmocka_unit_test(any_port_will_do_where_that_is_said),
		cmocka_unit_test(a_port_nobody_asked_for_goes_back),
		cmocka_unit_test(what_one_refuses_another_may_allow),
		cmocka_unit_test(the_failure_that_says_most_is_shown),
		cmocka_unit_test(only_what_differs_is_changed),
		cmocka_unit_test(leaving_deletes_also_what_was_only_asked_for),
		cmocka_unit_test(leaving_ends_in_time),
		cmocka_unit_test(a_new_network_begins_anew),
		cmocka_unit_test(what_the_change_does_not_touch_stays),
		cmocka_unit_test(a_pinhole_needs_a_network_that_has_ipv6),
		cmocka_unit_test(whatever_befalls_it_heals_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
