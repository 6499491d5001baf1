/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay's rendezvous in simulation: agents come and go, messages are late or lost, and every OPEN
 * must still end exactly once, in time, with nothing left in the tables.
 *
 * The clock is virtual and the randomness seeded: a failure prints its seed, and SIM_SEED=N runs
 * just that one again.
 * links: core/engine/entitled.c core/engine/revocations.c
 * links: relay/rendezvous/rendezvous.c core/addr.c core/timer.c core/parse/wire.c core/parse/reason.c
 * links: core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/container.h"
#include "core/timer.h"
#include "relay/rendezvous/rendezvous.h"
#include "tests/support/sign_in.h"

#define AGENTS	    8u
#define ASKERS	    64u
#define STEPS	    4000u
#define RUNS	    50u
#define OPEN_MS	    15000u
#define DELAY_MS    400u /* a message takes up to this */
#define LOSS_PERMIL 50u
#define CONN_AGENT  1000u
#define CONN_ASKER  2000u

enum outcome { PENDING, GONE, MET, FAILED };

struct world;

struct asker {
	struct world *world;
	struct timer deadline, answer;
	uint64_t session, answering_link;
	unsigned to;
	uint64_t opened_ms;
	enum outcome outcome;
	bool refuses;
	struct rendezvous_pair pair;
	struct timer hang_up; /* ends the session it got */
	bool in_session;
};

struct world {
	uint64_t seed, now_ms;
	struct timers timers;
	struct rendezvous *r;
	uint64_t link[AGENTS]; /* 0: offline */
	struct asker askers[ASKERS];
	size_t opened, met, failed, timed_out;
};

static uint64_t chance(struct world *w, uint64_t below)
{
	/* xorshift64: the same everywhere, which rand(3) is not */
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return w->seed % below;
}

static void after(struct world *w, struct timer *t, uint64_t ms)
{
	timers_set(&w->timers, t, w->now_ms + ms);
}

static void asker_end(struct asker *a, enum outcome outcome)
{
	struct world *w = a->world;

	assert_int_equal(a->outcome, PENDING);
	assert_true(w->now_ms - a->opened_ms <= OPEN_MS);
	a->outcome = outcome;
	a->session = 0;
	timers_cancel(&w->timers, &a->deadline);
	if (outcome == MET)
		w->met++;
	else
		w->failed++;
}

static void on_deadline(struct timer *t, uint64_t now_ms)
{
	struct asker *a = container(t, struct asker, deadline);

	rendezvous_forget(a->world->r, a->session);
	a->world->timed_out++;
	asker_end(a, FAILED);
}

static void on_hang_up(struct timer *t, uint64_t now_ms)
{
	struct asker *a = container(t, struct asker, hang_up);

	rendezvous_end(a->world->r, &a->pair);
	a->in_session = false;
}

/* The publisher's ACCEPT or REFUSE reaches the relay; the asker may have given up meanwhile. */
static void on_answer(struct timer *t, uint64_t now_ms)
{
	struct asker *a = container(t, struct asker, answer);
	struct world *w = a->world;
	uint64_t session = a->session;
	slab_id asker = 0;

	if (a->refuses) {
		bool known = rendezvous_refuse(w->r, a->answering_link, session, &asker);
		assert_int_equal(known, a->outcome == PENDING && session != 0);
		if (known)
			asker_end(a, FAILED);
		return;
	}
	enum reason reason = rendezvous_accept(w->r, a->answering_link, session, &a->pair);
	if (reason != REASON_OK) {
		assert_true(reason == REASON_PEER_GONE || reason == REASON_LINK_GONE);
		return;
	}
	assert_int_equal(a->pair.asker, CONN_ASKER + (slab_id)(a - w->askers));
	asker_end(a, MET);
	a->in_session = true;
	after(w, &a->hang_up, 1 + chance(w, 5000));
}

static void step_open(struct world *w)
{
	struct asker *a = &w->askers[chance(w, ASKERS)];
	unsigned from = (unsigned)chance(w, AGENTS), to = (unsigned)chance(w, AGENTS);
	struct rendezvous_offer offer;
	char name[8];

	if (a->outcome == PENDING || a->in_session || timer_pending(&a->answer) || !w->link[from])
		return;
	snprintf(name, sizeof name, "a%u", to);
	enum reason reason = rendezvous_open(w->r, w->link[from], name, "svc",
					     CONN_ASKER + (slab_id)(a - w->askers), &offer);
	if (!w->link[to]) {
		assert_int_equal(reason, REASON_AGENT_OFFLINE);
		return;
	}
	if (reason == REASON_LIMIT_SESSIONS)
		return;
	assert_int_equal(reason, REASON_OK);
	assert_int_equal(offer.publisher, CONN_AGENT + to);
	w->opened++;
	a->outcome = PENDING;
	a->session = offer.session;
	a->answering_link = w->link[to];
	a->to = to;
	a->opened_ms = w->now_ms;
	a->refuses = chance(w, 4) == 0;
	after(w, &a->deadline, OPEN_MS);
	if (chance(w, 1000) >= LOSS_PERMIL)
		after(w, &a->answer, chance(w, 2 * DELAY_MS));
}

static void on_orphan(void *context, slab_id asker, uint64_t session)
{
	struct world *w = context;
	struct asker *a = &w->askers[asker - CONN_ASKER];

	assert_int_equal(a->session, session);
	asker_end(a, FAILED);
}

static void step_agent(struct world *w)
{
	unsigned i = (unsigned)chance(w, AGENTS);
	struct wire_bytes service = wire_text("svc");
	struct rendezvous_published done;
	struct rendezvous_link link;
	char name[8];

	if (w->link[i] && chance(w, 3) > 0) {
		rendezvous_sign_out(w->r, w->link[i], on_orphan, w);
		w->link[i] = 0;
		return;
	}
	snprintf(name, sizeof name, "a%u", i);
	assert_int_equal(sign_in(w->r, name, RENDEZVOUS_AGENT, CONN_AGENT + i, &link), REASON_OK);
	assert_int_equal(rendezvous_publish(w->r, link.link, &service, 1, &done), REASON_OK);
	if (w->link[i]) { /* replaced: the older signs out after it was told */
		assert_int_equal(done.replaced, CONN_AGENT + i);
		rendezvous_sign_out(w->r, w->link[i], on_orphan, w);
	}
	w->link[i] = link.link;
}

/* Time passes deadline by deadline, as a loop that is never late would see it. */
static void advance(struct world *w, uint64_t until_ms)
{
	for (uint64_t due; (due = timers_next(&w->timers)) <= until_ms && due != TIMERS_NEVER;) {
		w->now_ms = due;
		timers_run(&w->timers, due);
	}
	w->now_ms = until_ms;
}

static void world_run(struct world *w, uint64_t seed)
{
	static const struct rendezvous_limits limits = {
		.links = 64, .services = 4, .legs = 64, .sessions = 12};

	*w = (struct world){.seed = seed ? seed : 1};
	timers_init(&w->timers);
	w->r = rendezvous_new(&limits);
	assert_non_null(w->r);
	for (size_t i = 0; i < ASKERS; i++)
		w->askers[i] = (struct asker){.world = w,
					      .outcome = GONE,
					      .deadline.fire = on_deadline,
					      .answer.fire = on_answer,
					      .hang_up.fire = on_hang_up};
	for (size_t step = 0; step < STEPS; step++) {
		advance(w, w->now_ms + chance(w, 50));
		if (chance(w, 20) == 0)
			step_agent(w);
		else
			step_open(w);
	}
	/* Everything that must end by itself does, within the longest deadline. */
	advance(w, w->now_ms + OPEN_MS);
	assert_int_equal(timers_next(&w->timers), TIMERS_NEVER);
	assert_int_equal(w->opened, w->met + w->failed);
	assert_int_equal(rendezvous_count(w->r).meetings, 0);
	for (unsigned i = 0; i < AGENTS; i++)
		if (w->link[i])
			rendezvous_sign_out(w->r, w->link[i], on_orphan, w);
	assert_int_equal(rendezvous_count(w->r).accounts, 0);
	rendezvous_free(w->r);
}

static void every_open_ends_once_and_in_time(void **state)
{
	const char *only = getenv("SIM_SEED");
	struct world *w = malloc(sizeof *w);
	size_t met = 0, timed_out = 0;

	assert_non_null(w);
	for (uint64_t seed = 1; seed <= RUNS; seed++) {
		uint64_t use = only ? strtoull(only, NULL, 10) : seed * 7919;

		fprintf(stderr, "seed %llu\n", (unsigned long long)use);
		world_run(w, use);
		met += w->met;
		timed_out += w->timed_out;
		if (only)
			break;
	}
	/* The run is worth nothing if one of the ways out was never taken. */
	assert_true(met > 0 && timed_out > 0);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_open_ends_once_and_in_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
