/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portmap_manners_test: gateways that do something else than asked, answer probes alone, do not
 * renew and restart all the time; and the mapping engine on a fake clock, which leaves nothing open
 * and says what is so.
 *
 * links: portmap/engine/engine.c portmap/engine/paths.c portmap/engine/wants.c
 * links: portmap/engine/mapping.c portmap/gateway/driver.c tests/support/portmap_world.c
 * links: portmap/engine/proof.c portmap/engine/address.c portmap/engine/taking_back.c core/addr.c core/log*.c
 * links: portmap/engine/truth.c
 */
#include "tests/support/portmap_world.h"

#include <stdio.h>
#include <string.h>

/* A gateway with one protocol that is to lead 8443 to 22. */
static struct world *ssh_home(enum portmap_protocol p)
{
	struct world *w = world_new(7);
	struct portmap_want one = world_want(PORTMAP_TCP, 22, 8443);

	w->fakes[p].there = true;
	assert_int_equal(portmap_engine_want(&w->engine, &one, 1), 0);
	world_enter(w);
	return w;
}

static void assert_says(struct world *w, const char *words)
{
	if (!strstr(world_first(w)->why, words))
		fail_msg("\"%s\" is not in: %s", words, world_first(w)->why);
}

/* Seconds in which the gateway had nothing of ours, of these; the state is the same all the time.
 */
static unsigned seconds_without(struct world *w, unsigned seconds, enum mapping_state state)
{
	unsigned without = 0;

	for (unsigned i = 0; i < seconds; i++) {
		world_pass(w, SECONDS);
		without += world_entries(w, OURS) == 0;
		assert_state(w, state);
	}
	return without;
}

/* ---- an external address for each mapping ---- */

static struct world *pool_home(bool another_each_time)
{
	struct world *w = world_new(7);
	struct portmap_want wants[3] = {world_want(PORTMAP_TCP, 442, 442),
					world_want(PORTMAP_TCP, 443, 443),
					world_want(PORTMAP_TCP, 444, 444)};
	struct fake *k = &w->fakes[PORTMAP_PCP];

	k->there = k->pools = true;
	k->pools_anew = another_each_time;
	assert_int_equal(portmap_engine_want(&w->engine, wants, 3), 0);
	world_enter(w);
	return w;
}

/* A provider's NAT with several addresses, one for each mapping (RFC 4787 section 4.1): none of
 * them has become another one. */
static void a_pool_of_addresses_is_not_chased(void **state)
{
	struct world *w = pool_home(false);
	struct fake *k = &w->fakes[PORTMAP_PCP];
	unsigned i = 0;

	world_pass(w, 60 * SECONDS);
	assert_int_equal(w->externals, 1);
	for (struct portmap_mapping *m = world_first(w); m; m = m->next)
		portmap_engine_verified(&w->engine, m->id, "it came in");
	world_pass(w, 3600 * SECONDS);
	assert_int_equal(w->externals, 1);
	assert_in_range(k->maps, 3 * 6, 3 * 8 + 6); /* every recheck */
	for (struct portmap_mapping *m = world_first(w); m; m = m->next, i++) {
		assert_int_equal(m->state, MAPPING_VERIFIED);
		assert_int_equal(m->external.v4.sin_addr.s_addr,
				 w->external.v4.sin_addr.s_addr ^ htonl(i & 1));
	}
	/* All of it is another one. */
	w->external = world_address("45.0.1.20:1");
	portmap_engine_renew(&w->engine);
	world_pass(w, 20 * SECONDS);
	assert_int_equal(w->externals, 2);
	assert_state(w, MAPPING_MAPPED);
	assert_true(addr_same_host(&world_first(w)->external, &w->external));
	world_free(w);
}

/* One that gives another address at each request is asked at its pace, not at ours. */
static void addresses_that_change_each_time_are_no_flood(void **state)
{
	struct world *w = pool_home(true);

	world_pass(w, 24 * 3600 * SECONDS);
	assert_true(w->fakes[PORTMAP_PCP].maps < 24 * 3 * 14);
	assert_state(w, MAPPING_MAPPED);
	world_free(w);
}

/* ---- what our request made is ours ---- */

static void what_leads_elsewhere_goes_back_at_once(void **state)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		struct world *w = ssh_home((enum portmap_protocol)p);
		struct fake *k = &w->fakes[p];

		k->leads_to_same_port = true;
		world_pass(w, 4 * SECONDS);
		assert_state(w, MAPPING_MISDIRECTED);
		assert_says(w, "leads port 8443 to port 8443 inside, not 22");
		assert_says(w, "the same port inside and outside");
		assert_int_equal(world_entries(w, OURS), 0);
		assert_int_equal(k->unmaps, 2); /* what it made, and what was asked for */
		assert_true(mapping_retried(world_first(w)));
		/* Each try opens the wrong port for a moment. */
		world_pass(w, 3500 * SECONDS);
		assert_int_equal(k->maps, 1);
		world_pass(w, 1200 * SECONDS);
		assert_int_equal(k->maps, 2);
		assert_int_equal(world_entries(w, OURS), 0);
		world_free(w);
	}
}

/* Another protocol's silence, which may have done it, is no reason to try that more often. */
static void what_leads_elsewhere_is_not_tried_sooner_for_silence(void **state)
{
	struct world *w = ssh_home(PORTMAP_UPNP);
	struct fake *k = &w->fakes[PORTMAP_UPNP];

	w->fakes[PORTMAP_PCP].there = w->fakes[PORTMAP_PCP].deaf = true;
	k->leads_to_same_port = true;
	world_pass(w, 60 * SECONDS);
	assert_state(w, MAPPING_MISDIRECTED);
	world_pass(w, 3400 * SECONDS);
	assert_int_equal(k->maps, 1);
	world_free(w);
}

static void what_is_not_taken_back_is_told_and_tried_again(void **state)
{
	struct world *w = ssh_home(PORTMAP_UPNP);
	struct fake *k = &w->fakes[PORTMAP_UPNP];

	k->leads_to_same_port = k->permanent_only = k->keeps_all = true;
	world_pass(w, 3 * SECONDS);
	assert_state(w, MAPPING_MISDIRECTED);
	assert_says(w, "by hand");
	assert_says(w, "port 8443");
	assert_true(mapping_retried(world_first(w)));
	unsigned asked = k->unmaps;
	world_pass(w, 120 * SECONDS);
	assert_in_range(k->unmaps, asked + 2, asked + 4);
	assert_int_equal(k->maps, 1); /* nothing else is asked for meanwhile */
	k->keeps_all = false;
	world_pass(w, 300 * SECONDS);
	assert_int_equal(world_entries(w, OURS), 0);
	world_free(w);
}

static void at_the_end_nothing_of_it_is_left(void **state)
{
	struct world *w = ssh_home(PORTMAP_UPNP);
	struct fake *k = &w->fakes[PORTMAP_UPNP];

	k->leads_to_same_port = k->permanent_only = k->keeps_all = true;
	world_pass(w, 60 * SECONDS);
	assert_int_equal(world_entries(w, OURS), 1);
	portmap_engine_leave(&w->engine, true, world_nothing, "stopping");
	world_pass(w, 600);
	assert_int_equal(w->left, 0);
	k->keeps_all = false; /* it is tried again before the end, too */
	world_pass(w, 1500);
	assert_int_equal(w->left, 1);
	assert_int_equal(world_entries(w, OURS), 0);
	world_free(w);
}

/* Its answer comes too late to be heard. */
static void at_the_end_nothing_is_left_of_what_was_only_asked_for(void **state)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		struct world *w = ssh_home((enum portmap_protocol)p);

		world_answer_after(w, (enum portmap_protocol)p, 200);
		world_pass(w, 330); /* there, waited for better ones, and asked */
		assert_int_equal(world_first(w)->step, MAPPING_ASKING);
		world_add_entry(w, PORTMAP_TCP, PORTMAP_IPV4, 8443, OURS); /* to 8443 inside */
		portmap_engine_leave(&w->engine, true, world_nothing, "stopping");
		world_pass(w, SECONDS);
		assert_int_equal(w->left, 1);
		assert_int_equal(world_entries(w, OURS), 0);
		assert_int_equal(w->fakes[p].unmaps, 2);
		world_free(w);
	}
}

static void what_is_never_taken_back_does_not_hold_up_the_end(void **state)
{
	struct world *w = ssh_home(PORTMAP_UPNP);

	w->fakes[PORTMAP_UPNP].leads_to_same_port = w->fakes[PORTMAP_UPNP].keeps_all = true;
	world_pass(w, 60 * SECONDS);
	portmap_engine_leave(&w->engine, true, world_nothing, "stopping");
	world_pass(w, PORTMAP_LEAVE_MS);
	assert_int_equal(w->left, 1);
	assert_true(w->fakes[PORTMAP_UPNP].unmaps < 20);
	world_free(w);
}

/* What is neither wanted nor taken back is tried for a while, and told. */
static void what_is_no_longer_wanted_ends(void **state)
{
	struct world *w = ssh_home(PORTMAP_UPNP);

	w->fakes[PORTMAP_UPNP].leads_to_same_port = w->fakes[PORTMAP_UPNP].keeps_all = true;
	world_pass(w, 10 * SECONDS);
	assert_int_equal(portmap_engine_want(&w->engine, NULL, 0), 0);
	/* 15 s after the first, and then doubling: the last one is 3,825 s later. */
	world_pass(w, 3800 * SECONDS);
	assert_int_equal(w->engine.count, 1);
	assert_int_equal(w->fakes[PORTMAP_UPNP].unmaps, PORTMAP_UNWANTED_MAX);
	world_pass(w, 30 * SECONDS);
	assert_int_equal(w->engine.count, 0);
	world_pass(w, 7200 * SECONDS);
	assert_int_equal(w->fakes[PORTMAP_UPNP].unmaps, 1 + PORTMAP_UNWANTED_MAX);
	world_free(w);
}

static struct entry *entry_at(struct world *w, uint16_t external, uint16_t internal)
{
	for (size_t i = 0; i < ENTRIES; i++)
		if (w->table[i].used && w->table[i].external == external &&
		    w->table[i].internal == internal && w->table[i].host == OURS &&
		    w->table[i].expires_ms > w->now_ms)
			return &w->table[i];
	return NULL;
}

/* A home by NAT-PMP that has 18443 to 8443, and is to lead 8443 to 22, which its gateway leads to
 * 8443 as well. */
static struct world *shared_home(uint64_t delay_ms)
{
	struct world *w = world_new(7);
	struct portmap_want wants[2] = {world_want(PORTMAP_TCP, 8443, 18443),
					world_want(PORTMAP_TCP, 22, 8443)};
	struct fake *k = &w->fakes[PORTMAP_NATPMP];

	k->there = true;
	k->never_leads_to = 22;
	k->delay_ms = delay_ms;
	assert_int_equal(portmap_engine_want(&w->engine, wants, 1), 0);
	world_enter(w);
	world_pass(w, 5 * SECONDS);
	assert_non_null(entry_at(w, 18443, 8443));
	assert_int_equal(portmap_engine_want(&w->engine, wants, 2), 0);
	return w;
}

/* NAT-PMP deletes all that leads to a port inside: what is there as it should is back after a round
 * trip. */
static void what_goes_back_takes_no_other_along(void **state)
{
	struct world *w = shared_home(5);
	unsigned without = 0;

	for (unsigned ms = 0; ms < 3000; ms++) {
		world_pass(w, 1);
		without += !entry_at(w, 18443, 8443);
	}
	assert_int_equal(world_first(w)->next->state, MAPPING_MISDIRECTED);
	assert_null(entry_at(w, 8443, 8443));
	assert_non_null(entry_at(w, 18443, 8443));
	assert_in_range(without, 1, 50);
	assert_state(w, MAPPING_MAPPED);
	world_pass(w, 24 * 3600 * SECONDS); /* it is tried again, and again */
	assert_true(w->fakes[PORTMAP_NATPMP].unmaps > 4);
	assert_non_null(entry_at(w, 18443, 8443));
	world_free(w);
}

/* It was granted before the deletion, and its answer comes after that one's. */
static void what_was_being_renewed_meanwhile_is_renewed_again(void **state)
{
	struct world *w = shared_home(100);
	const struct fake *k = &w->fakes[PORTMAP_NATPMP];
	const struct portmap_mapping *m = world_first(w);
	uint64_t granted_ms = m->granted_ms;

	while (k->unmaps == 0)
		world_pass(w, 1);
	portmap_engine_renew(&w->engine);
	world_pass(w, 90);
	assert_int_equal(m->step, MAPPING_RENEWING);
	while (m->granted_ms == granted_ms)
		world_pass(w, 1);
	entry_at(w, 18443, 8443)->used = false;
	world_pass(w, 250);
	assert_non_null(entry_at(w, 18443, 8443));
	world_free(w);
}

static void another_protocol_may_lead_where_it_should(void **state)
{
	struct world *w = ssh_home(PORTMAP_UPNP);

	w->fakes[PORTMAP_PCP].there = w->fakes[PORTMAP_PCP].leads_to_same_port = true;
	world_pass(w, 3 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_first(w)->protocol, PORTMAP_UPNP);
	assert_int_equal(world_entries(w, OURS), 1);
	world_free(w);
}

/* ---- that a probe is answered proves no mapping ---- */

static void what_only_answers_probes_is_passed_over(void **state)
{
	struct world *w = world_new(7);
	struct portmap_want wants[20];

	for (uint16_t i = 0; i < 20; i++)
		wants[i] = world_want(PORTMAP_UDP, (uint16_t)(5000 + i), (uint16_t)(5000 + i));
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		w->fakes[p].there = true;
		w->fakes[p].deaf = p != PORTMAP_UPNP;
		w->fakes[p].silence_ms = 100 * SECONDS;
	}
	assert_int_equal(portmap_engine_want(&w->engine, wants, 19), 0);
	world_enter(w);
	world_pass(w, 2 * PORTMAP_HEDGE_MS + 3 * SECONDS);
	assert_int_equal(world_entries(w, OURS), 19);
	assert_int_equal(world_first(w)->protocol, PORTMAP_UPNP);
	/* What one found out the next one knows, whatever probes are answered. */
	unsigned before = w->fakes[PORTMAP_PCP].maps + w->fakes[PORTMAP_NATPMP].maps;
	portmap_engine_probe(&w->engine);
	world_pass(w, SECONDS);
	assert_int_equal(portmap_engine_want(&w->engine, wants, 20), 0);
	world_pass(w, SECONDS);
	assert_int_equal(world_entries(w, OURS), 20);
	assert_int_equal(w->fakes[PORTMAP_PCP].maps + w->fakes[PORTMAP_NATPMP].maps, before);
	world_free(w);
}

static void without_another_it_is_told_what_is_so(void **state)
{
	struct world *w = world_home(true, false, false);

	w->fakes[PORTMAP_PCP].deaf = true;
	world_pass(w, 5 * SECONDS);
	assert_state(w, MAPPING_REQUESTED);
	assert_says(w, "answers by PCP, but not to requests");
	assert_true(mapping_retried(world_first(w)));
	w->fakes[PORTMAP_PCP].deaf = false;
	world_pass(w, 60 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	world_free(w);
}

/* Later and later, so that a gateway that will never do it is not asked all the time. */
static void what_stays_mute_is_passed_over_for_longer(void **state)
{
	static const unsigned minutes[] = {2, 4, 8, 16, 32, 60, 60};
	struct world *w = world_home(true, false, false);
	const struct portmap_path *path = &w->engine.paths[PORTMAP_PCP][PORTMAP_IPV4];
	uint64_t known_ms = 0;
	unsigned found = 0;

	w->fakes[PORTMAP_PCP].deaf = true;
	for (unsigned i = 0; i < 30000 && found < sizeof minutes / sizeof *minutes; i++) {
		world_pass(w, SECONDS);
		if (path->mute_ms == known_ms)
			continue;
		known_ms = path->mute_ms;
		assert_in_range(known_ms, w->now_ms + (minutes[found] * 60 - 1) * SECONDS,
				w->now_ms + minutes[found] * 60 * SECONDS);
		found++;
	}
	assert_int_equal(found, sizeof minutes / sizeof *minutes);
	w->fakes[PORTMAP_PCP].deaf = false;
	world_pass(w, 400 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	/* One answer, and it counts as any other again. */
	w->fakes[PORTMAP_PCP].deaf = true;
	portmap_engine_renew(&w->engine);
	known_ms = 0;
	for (unsigned i = 0; i < 100 && known_ms == 0; i++) {
		world_pass(w, SECONDS);
		known_ms = path->mute_ms;
	}
	assert_in_range(known_ms, w->now_ms + 119 * SECONDS, w->now_ms + 120 * SECONDS);
	world_free(w);
}

/* It did what was asked, and its answer was lost. */
static void what_was_done_without_a_word_is_deleted_at_the_end(void **state)
{
	struct world *w = world_home(true, false, true);

	w->fakes[PORTMAP_PCP].deaf = true;
	w->fakes[PORTMAP_PCP].silence_ms = 100 * SECONDS;
	w->fakes[PORTMAP_UPNP].refuses = PORTMAP_REFUSED;
	world_pass(w, SECONDS);
	world_add_entry(w, PORTMAP_TCP, PORTMAP_IPV4, 443, OURS)->internal = 443;
	world_pass(w, PORTMAP_HEDGE_MS + SECONDS);
	assert_int_equal(world_first(w)->step, MAPPING_WAITING);
	w->fakes[PORTMAP_PCP].deaf = false;
	portmap_engine_leave(&w->engine, true, world_nothing, "stopping");
	world_pass(w, SECONDS);
	assert_int_equal(w->left, 1);
	assert_int_equal(world_entries(w, OURS), 0);
	world_free(w);
}

/* ---- renewals ---- */

static void a_lease_runs_until_its_end_whatever_renewals_are_answered(void **state)
{
	struct world *w = world_home(true, false, false);
	struct fake *k = &w->fakes[PORTMAP_PCP];

	world_pass(w, SECONDS);
	k->refuses = PORTMAP_NO_RESOURCES;
	world_pass(w, LIFETIME_S * SECONDS * 5 / 8);
	assert_state(w, MAPPING_MAPPED);
	assert_says(w, "did not renew it");
	assert_true(mapping_retried(world_first(w)));
	assert_int_equal(mapping_expiry(world_first(w)), 1000000 + 10 + LIFETIME_S * SECONDS);
	assert_int_equal(seconds_without(w, LIFETIME_S * 3 / 8 - 2, MAPPING_MAPPED), 0);
	world_pass(w, 3 * SECONDS);
	assert_int_not_equal(world_first(w)->state, MAPPING_MAPPED);
	k->refuses = PORTMAP_FAILURES;
	world_pass(w, 2000 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_false(mapping_retried(world_first(w)));
	world_free(w);
}

/* The state comes with the time of the next try, also in the event. */
static void what_is_told_names_the_next_try(void **state)
{
	struct world *w = world_home(true, false, false);

	w->fakes[PORTMAP_PCP].refuses = PORTMAP_REFUSED;
	world_pass(w, 5 * SECONDS);
	assert_state(w, MAPPING_REFUSED);
	assert_true(w->told_due_ms > w->now_ms + 200 * SECONDS);
	assert_int_equal(w->told_due_ms, world_first(w)->due_ms);
	world_free(w);
	w = world_home(true, false, false);
	world_pass(w, SECONDS);
	w->fakes[PORTMAP_PCP].refuses = PORTMAP_REFUSED;
	portmap_engine_renew(&w->engine);
	world_pass(w, SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_true(w->told_due_ms > w->now_ms + 200 * SECONDS);
	world_free(w);
	w = ssh_home(PORTMAP_UPNP);
	w->fakes[PORTMAP_UPNP].leads_to_same_port = w->fakes[PORTMAP_UPNP].keeps_all = true;
	world_pass(w, 3 * SECONDS);
	assert_state(w, MAPPING_MISDIRECTED);
	assert_true(w->told_due_ms > w->now_ms + 5 * SECONDS);
	world_free(w);
}

static void it_is_asked_again_when_the_gateway_said(void **state)
{
	struct world *w = world_home(true, false, false);
	struct fake *k = &w->fakes[PORTMAP_PCP];

	world_pass(w, SECONDS);
	k->refuses = PORTMAP_NO_RESOURCES;
	k->asks_to_wait_s = 20;
	portmap_engine_renew(&w->engine);
	world_pass(w, SECONDS);
	assert_in_range(world_first(w)->due_ms, w->now_ms + 19 * SECONDS - 100,
			w->now_ms + 20 * SECONDS);
	k->refuses = PORTMAP_FAILURES;
	world_pass(w, 20 * SECONDS);
	assert_false(world_first(w)->unrenewed);
	/* Not sooner than a lease that ends, and not all the time. */
	k->refuses = PORTMAP_NO_RESOURCES;
	k->asks_to_wait_s = 1;
	portmap_engine_renew(&w->engine);
	world_pass(w, SECONDS);
	assert_true(world_first(w)->due_ms >= w->now_ms + 2 * SECONDS);
	world_free(w);
}

static void another_protocol_renews_what_one_does_not(void **state)
{
	struct world *w = world_home(true, false, true);

	world_pass(w, SECONDS);
	portmap_engine_verified(&w->engine, world_first(w)->id, "it came in");
	w->fakes[PORTMAP_PCP].refuses = PORTMAP_REFUSED;
	for (unsigned i = 0; i < LIFETIME_S; i++) {
		world_pass(w, SECONDS);
		assert_int_equal(world_entries(w, OURS), 1);
	}
	assert_state(w, MAPPING_MAPPED); /* what was proved was the other one's */
	assert_int_equal(world_first(w)->protocol, PORTMAP_UPNP);
	assert_int_equal(w->engine.counts.moves, 1);
	assert_int_equal(world_first(w)->changes[MAPPING_REQUESTED], 0);
	world_free(w);
}

static void a_silent_renewal_leaves_time_for_a_second(void **state)
{
	static const uint32_t leases[] = {40, 60, 120, 300};

	for (size_t i = 0; i < sizeof(leases) / sizeof(leases[0]); i++) {
		struct world *w = world_home(true, false, false);
		struct fake *k = &w->fakes[PORTMAP_PCP];

		k->grants_s = leases[i];
		world_pass(w, SECONDS);
		k->deaf = true;
		k->silence_ms = 1000 * SECONDS; /* its driver tries for ever */
		world_pass(w, leases[i] * SECONDS * 5 / 8 + SECONDS);
		assert_int_equal(w->engine.counts.renewals, 1);
		k->deaf = false; /* the first is lost, the second is not */
		assert_int_equal(seconds_without(w, leases[i], MAPPING_MAPPED), 0);
		world_free(w);
	}
}

/* NAT-PMP granted it and does not answer for a while; PCP, which knows it by no nonce, refuses it.
 * The path that granted it is asked, however mute it was. */
static void what_granted_it_renews_it_when_others_refuse(void **state)
{
	struct world *w = world_home(false, true, false);
	struct fake *pcp = &w->fakes[PORTMAP_PCP], *natpmp = &w->fakes[PORTMAP_NATPMP];

	world_pass(w, 5 * SECONDS);
	assert_int_equal(world_first(w)->protocol, PORTMAP_NATPMP);
	pcp->there = true;
	pcp->refuses = PORTMAP_REFUSED;
	natpmp->deaf = true;
	portmap_engine_probe(&w->engine);
	portmap_engine_renew(&w->engine);
	world_pass(w, 70 * SECONDS);
	assert_true(world_first(w)->unrenewed);
	natpmp->deaf = false;
	unsigned asked = pcp->maps;
	portmap_engine_renew(&w->engine); /* by PCP, since NAT-PMP is mute */
	world_pass(w, 5 * SECONDS);
	assert_int_equal(pcp->maps, asked + 1);
	assert_false(world_first(w)->unrenewed);
	assert_int_equal(world_first(w)->protocol, PORTMAP_NATPMP);
	world_free(w);
}

/* It was not told that NAT-PMP has done it, and PCP refuses what is another's: that is asked about
 * again in seconds, not as what a gateway's rules forbid. */
static void what_may_be_there_is_asked_about_soon(void **state)
{
	struct world *w = world_home(true, true, false);
	struct fake *natpmp = &w->fakes[PORTMAP_NATPMP];

	w->fakes[PORTMAP_PCP].refuses = PORTMAP_REFUSED;
	natpmp->deaf = true;
	world_pass(w, 20 * SECONDS);
	assert_state(w, MAPPING_REFUSED);
	assert_true(mapping_retried(world_first(w)));
	natpmp->deaf = false;
	world_pass(w, 30 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	assert_int_equal(world_first(w)->protocol, PORTMAP_NATPMP);
	/* If it never does, it is no flood. */
	natpmp->deaf = true;
	memset(w->table, 0, sizeof w->table);
	natpmp->maps = 0;
	world_pass(w, 24 * 3600 * SECONDS);
	assert_true(natpmp->maps < 24 * 14);
	world_free(w);
}

/* PCP is silent, and UPnP takes what PCP made for another's: that is no failure of its own. */
static void what_is_in_the_way_of_a_renewal_is_ours(void **state)
{
	struct world *w = world_home(true, false, true);

	w->fakes[PORTMAP_UPNP].apart = true;
	world_pass(w, 10 * SECONDS);
	w->fakes[PORTMAP_PCP].deaf = true;
	portmap_engine_renew(&w->engine);
	world_pass(w, 60 * SECONDS);
	portmap_engine_renew(&w->engine);
	world_pass(w, 60 * SECONDS);
	assert_true(w->fakes[PORTMAP_UPNP].maps > 0);
	assert_state(w, MAPPING_MAPPED);
	assert_says(w, "PCP did not renew it");
	w->fakes[PORTMAP_PCP].deaf = false;
	world_pass(w, 300 * SECONDS);
	assert_false(world_first(w)->unrenewed);
	assert_int_equal(world_first(w)->protocol, PORTMAP_PCP);
	assert_int_equal(world_entries(w, OURS), 1);
	world_free(w);
}

static void a_renewal_that_extends_nothing_is_noticed(void **state)
{
	struct world *w = world_home(true, false, false);
	unsigned without = 0, longest = 0;

	w->fakes[PORTMAP_PCP].extends_nothing = true;
	w->fakes[PORTMAP_PCP].grants_s = 60;
	world_pass(w, SECONDS);
	for (unsigned i = 0; i < 12000; i++) {
		world_pass(w, 50);
		without = world_entries(w, OURS) == 0 ? without + 1 : 0;
		longest = without > longest ? without : longest;
	}
	assert_state(w, MAPPING_MAPPED);
	assert_true(longest <= 1); /* below a tenth of a second, from a deletion to what follows */
	assert_in_range(w->fakes[PORTMAP_PCP].unmaps, 8, 16);
	world_free(w);
}

static void a_passing_fault_is_no_refusal(void **state)
{
	struct world *w = world_home(false, false, true);

	w->fakes[PORTMAP_UPNP].refuses = PORTMAP_TRANSIENT;
	world_pass(w, 4 * SECONDS);
	assert_state(w, MAPPING_REQUESTED);
	assert_true(mapping_retried(world_first(w)));
	w->fakes[PORTMAP_UPNP].refuses = PORTMAP_FAILURES;
	world_pass(w, 6 * SECONDS);
	assert_state(w, MAPPING_MAPPED);
	/* What it does not have any more is not called mapped. */
	memset(w->table, 0, sizeof w->table);
	w->fakes[PORTMAP_UPNP].refuses = PORTMAP_TRANSIENT;
	w->fakes[PORTMAP_UPNP].says_gone = true;
	portmap_engine_renew(&w->engine);
	world_pass(w, SECONDS);
	assert_state(w, MAPPING_REQUESTED);
	world_pass(w, 3600 * SECONDS);
	assert_in_range(w->fakes[PORTMAP_UPNP].maps, 50, 80); /* once a minute */
	world_free(w);
}

/* ---- restarts ---- */

static void restarts_one_upon_the_other_are_no_flood(void **state)
{
	struct world *w = world_home(true, false, false);
	struct portmap_heard *h = &w->engine.heard;

	world_pass(w, 10 * SECONDS);
	unsigned before = w->fakes[PORTMAP_PCP].maps;
	for (unsigned i = 0; i < 12000; i++) { /* ten minutes of 20 a second */
		h->restarted(h, PORTMAP_PCP, PORTMAP_IPV4, "its table is 3 s old");
		world_pass(w, 50);
	}
	/* At 0, 10, 30, 70, 150, 310 s. */
	assert_in_range(w->fakes[PORTMAP_PCP].maps - before, 4, 7);
	assert_in_range(w->engine.counts.restarts, 4, 7);
	assert_state(w, MAPPING_MAPPED);
	world_free(w);
}

static void the_second_restart_is_healed_within_ten_seconds(void **state)
{
	struct world *w = world_home(true, false, false);
	struct portmap_heard *h = &w->engine.heard;

	world_pass(w, 10 * SECONDS);
	for (unsigned i = 0; i < 2; i++) {
		memset(w->table, 0, sizeof w->table);
		h->restarted(h, PORTMAP_PCP, PORTMAP_IPV4, "its table is 3 s old");
		world_pass(w, 3 * SECONDS);
	}
	world_pass(w, 5 * SECONDS);
	assert_int_equal(world_entries(w, OURS), 1);
	world_pass(w, 3600 * SECONDS);
	memset(w->table, 0, sizeof w->table);
	h->restarted(h, PORTMAP_PCP, PORTMAP_IPV4, "its table is 3 s old");
	assert_state(w, MAPPING_REQUESTED); /* long after, it is at once again */
	world_pass(w, SECONDS);
	assert_int_equal(world_entries(w, OURS), 1);
	world_free(w);
}

static void two_servers_in_turn_are_told_once(void **state)
{
	struct world *w = world_home(true, false, false);
	struct portmap_heard *h = &w->engine.heard;

	world_pass(w, 10 * SECONDS);
	portmap_engine_verified(&w->engine, world_first(w)->id, "it came in");
	unsigned before = w->fakes[PORTMAP_PCP].maps;
	for (unsigned i = 0; i < 36000; i++) { /* an hour */
		h->doubted(h, PORTMAP_PCP, PORTMAP_IPV4, "two servers answer in turn");
		world_pass(w, 100);
		assert_state(w, MAPPING_VERIFIED);
	}
	/* At 0, 10, 30, 70 s and so on, beside those of every recheck. */
	assert_in_range(w->fakes[PORTMAP_PCP].maps - before, 7, 17);
	assert_int_equal(w->engine.counts.restarts, 0);
	assert_string_equal(w->engine.paths[PORTMAP_PCP][PORTMAP_IPV4].note,
			    "two servers answer in turn");
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pool_of_addresses_is_not_chased),
		cmocka_unit_test(addresses_that_change_each_time_are_no_flood),
		cmocka_unit_test(what_leads_elsewhere_goes_back_at_once),
		cmocka_unit_test(what_leads_elsewhere_is_not_tried_sooner_for_silence),
		cmocka_unit_test(what_is_not_taken_back_is_told_and_tried_again),
		cmocka_unit_test(at_the_end_nothing_of_it_is_left),
		cmocka_unit_test(at_the_end_nothing_is_left_of_what_was_only_asked_for),
		cmocka_unit_test(what_is_never_taken_back_does_not_hold_up_the_end),
		cmocka_unit_test(what_is_no_longer_wanted_ends),
		cmocka_unit_test(what_goes_back_takes_no_other_along),
		cmocka_unit_test(what_was_being_renewed_meanwhile_is_renewed_again),
		cmocka_unit_test(another_protocol_may_lead_where_it_should),
		cmocka_unit_test(what_only_answers_probes_is_passed_over),
		cmocka_unit_test(without_another_it_is_told_what_is_so),
		cmocka_unit_test(what_stays_mute_is_passed_over_for_longer),
		cmocka_unit_test(what_was_done_without_a_word_is_deleted_at_the_end),
		cmocka_unit_test(a_lease_runs_until_its_end_whatever_renewals_are_answered),
		cmocka_unit_test(what_is_told_names_the_next_try),
		cmocka_unit_test(it_is_asked_again_when_the_gateway_said),
		cmocka_unit_test(another_protocol_renews_what_one_does_not),
		cmocka_unit_test(a_silent_renewal_leaves_time_for_a_second),
		cmocka_unit_test(what_granted_it_renews_it_when_others_refuse),
		cmocka_unit_test(what_may_be_there_is_asked_about_soon),
		cmocka_unit_test(what_is_in_the_way_of_a_renewal_is_ours),
		cmocka_unit_test(a_renewal_that_extends_nothing_is_noticed),
		cmocka_unit_test(a_passing_fault_is_no_refusal),
		cmocka_unit_test(restarts_one_upon_the_other_are_no_flood),
		cmocka_unit_test(the_second_restart_is_healed_within_ten_seconds),
		cmocka_unit_test(two_servers_in_turn_are_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
