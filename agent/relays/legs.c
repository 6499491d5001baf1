/* SPDX-License-Identifier: Apache-2.0 */
/* legs: the pool of one link's legs, and the calls that want one; leg.h tells how. */
#include "agent/relays/leg.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/relays/links.h"
#include "core/container.h"
#include "core/log.h"
#include "core/random.h"

#define FIRST_RETRY_MS 250u

/* ---- calls ---- */

void legs_call_over(struct leg_call *c, struct leg_outcome *o)
{
	leg_call_done_fn *done = c->done;
	void *owner = c->owner;

	free(c);
	done(owner, o);
}

static void legs_enqueue(struct leg_call *c, bool in_front)
{
	struct leg_pool *p = &c->link->legs;

	c->leg = NULL;
	c->next = in_front ? p->first : NULL;
	if (in_front || !p->first)
		p->first = c;
	else
		p->last->next = c;
	if (!c->next)
		p->last = c;
	p->waiting++;
}

static struct leg_call *legs_dequeue(struct leg_pool *p)
{
	struct leg_call *c = p->first;

	if (!c)
		return NULL;
	p->first = c->next;
	if (!p->first)
		p->last = NULL;
	p->waiting--;
	return c;
}

static void legs_unqueue(struct leg_call *c)
{
	struct leg_pool *p = &c->link->legs;
	struct leg_call *before = NULL;

	for (struct leg_call *at = p->first; at != c; at = at->next)
		before = at;
	if (before)
		before->next = c->next;
	else
		p->first = c->next;
	if (p->last == c)
		p->last = before;
	p->waiting--;
}

static struct agent_leg *any_warm(struct leg_pool *p)
{
	struct agent_leg *best = NULL;

	/* The youngest: the least likely to have been forgotten on the way. */
	for (struct agent_leg *g = p->legs; g; g = g->next)
		if (g->state == LEG_WARM && (!best || g->since_ms > best->since_ms))
			best = g;
	return best;
}

/* There is one. */
static struct agent_leg *oldest_stale(struct leg_pool *p)
{
	struct agent_leg *oldest = NULL;

	for (struct agent_leg *g = p->legs; g; g = g->next)
		if (g->stale && (!oldest || g->since_ms < oldest->since_ms))
			oldest = g;
	return oldest;
}

static struct leg_call *call_start(struct agent_link *l, const struct wire_message *m,
				   leg_call_done_fn *done, void *owner)
{
	struct leg_call *c = calloc(1, sizeof(*c));
	struct agent_leg *warm = any_warm(&l->legs);

	if (!c)
		return NULL;
	c->link = l;
	c->done = done;
	c->owner = owner;
	c->message = *m;
	if (m->type == WIRE_OPEN) {
		wire_bytes_copy(m->open.to, c->to, sizeof(c->to));
		wire_bytes_copy(m->open.service, c->service, sizeof(c->service));
		c->message.open.to = wire_text(c->to);
		c->message.open.service = wire_text(c->service);
	}
	if (warm)
		leg_ask(warm, c);
	else
		legs_enqueue(c, false);
	legs_balance(l);
	return c;
}

struct leg_call *leg_call_open(struct agent_link *l, const char *to, const char *service,
			       leg_call_done_fn *done, void *owner)
{
	const struct wire_message m = {.type = WIRE_OPEN,
				       .open = {wire_text(to), wire_text(service)}};

	return call_start(l, &m, done, owner);
}

struct leg_call *leg_call_accept(struct agent_link *l, uint64_t session, leg_call_done_fn *done,
				 void *owner)
{
	const struct wire_message m = {.type = WIRE_ACCEPT, .accept.session = session};

	return call_start(l, &m, done, owner);
}

void leg_call_cancel(struct leg_call *c)
{
	struct agent_leg *g = c->leg;

	if (!g)
		legs_unqueue(c);
	else if (g->state == LEG_LEAVING)
		g->call = NULL;
	else
		leg_close(g);
	free(c);
}

void leg_call_renew(struct leg_call *c)
{
	struct agent_leg *g = c->leg;
	struct agent_link *l = c->link;

	if (!g || g->state != LEG_ASKED || !g->waited || c->fresh || !l->legs.open)
		return;
	log_debug("leg", "relay=%s: no answer on a leg that was warm", l->label);
	leg_close(g);
	c->fresh = true;
	legs_enqueue(c, true);
	legs_balance(l);
}

/* ---- the pool ---- */

static size_t idle_wanted(const struct agent_link *l)
{
	if (l->set->setup->transient || l->worker->stopping || !link_state_usable(&l->state))
		return 0;
	return l->set->setup->config->warm_legs;
}

static void legs_retry_fired(struct timer *t, uint64_t now_ms)
{
	legs_balance(container(t, struct agent_link, legs.retry));
}

/* How many more legs must be on their way. After a failure only what a call waits for is dialled
 * at once. */
static size_t legs_missing(const struct agent_link *l)
{
	const struct leg_pool *p = &l->legs;
	size_t coming = p->count[LEG_DIALLING] + p->count[LEG_PROVING];
	size_t idle = timer_pending(&p->retry) ? 0 : idle_wanted(l);
	size_t needed = p->waiting, good = p->count[LEG_WARM] - p->stale;

	if (good < idle)
		needed += idle - good;
	return needed > coming ? needed - coming : 0;
}

void legs_balance(struct agent_link *l)
{
	struct leg_pool *p = &l->legs;

	while (p->open && legs_missing(l) > 0 && p->count[LEG_DIALLING] < LEGS_DIALLING) {
		size_t before_go = p->count[LEG_DIALLING] + p->count[LEG_PROVING] +
				   p->count[LEG_WARM] + p->count[LEG_ASKED];

		if (before_go >= p->max_legs) {
			/* A call that waits beside a warm leg wants a fresh one in its place. */
			if (p->waiting && p->count[LEG_WARM])
				leg_close(any_warm(p));
			else if (p->stale)
				leg_close(oldest_stale(p)); /* its place is needed first */
			return;
		}
		if (!leg_dial(l)) {
			ring_timer_set(l->worker->ring, &p->retry, backoff_next(&p->backoff));
			return;
		}
	}
}

void legs_adopt(struct agent_link *l)
{
	struct leg_pool *p = &l->legs;
	size_t idle = idle_wanted(l);

	backoff_set_max(&p->backoff, l->set->setup->config->retry_max_ms);
	while (p->count[LEG_WARM] > idle)
		leg_close(any_warm(p));
	legs_balance(l);
}

/* A leg has nothing to do (any more). */
void legs_ready(struct agent_leg *g, bool fresh)
{
	struct agent_link *l = g->link;
	struct leg_pool *p = &l->legs;
	struct leg_call *c = p->first;

	if (c && (fresh || !c->fresh)) {
		leg_ask(g, legs_dequeue(p));
		return;
	}
	if (p->count[LEG_WARM] - p->stale >= idle_wanted(l)) {
		leg_close(g);
		return;
	}
	g->since_ms = ring_now_ms(l->worker->ring);
	leg_change(g, LEG_WARM);
	ring_timer_set(l->worker->ring, &g->deadline,
		       LEG_WARM_LEAST_MS +
			       random_next(&p->dice) % (LEG_WARM_MOST_MS - LEG_WARM_LEAST_MS + 1));
	if (p->stale && p->count[LEG_WARM] > idle_wanted(l))
		leg_close(oldest_stale(p));
}

/* A leg has been warm for its time. */
void legs_grew_old(struct agent_leg *g)
{
	g->stale = true;
	g->link->legs.stale++;
	legs_balance(g->link);
}

/* Tells one waiting call that no leg can be had: its owner tries another relay. */
static void fail_one(struct agent_link *l, enum reason reason, const char *why)
{
	struct leg_outcome o = {.reason = reason, .text = why, .fd = -1};
	struct leg_call *c = legs_dequeue(&l->legs);

	if (c)
		legs_call_over(c, &o);
}

void legs_lost(struct agent_leg *g, enum reason reason, const char *why)
{
	struct agent_link *l = g->link;
	struct leg_pool *p = &l->legs;
	struct leg_call *call = g->call;
	enum leg_state was = g->state;
	uint64_t now_ms = ring_now_ms(l->worker->ring);
	struct leg_outcome o = {.reason = reason, .text = why, .fd = -1};
	bool again = was == LEG_ASKED && g->waited && !call->fresh;

	log_debug("leg", "relay=%s lost: %s", l->label, why);
	if (was == LEG_WARM)
		backoff_lasted(&p->backoff, now_ms - g->since_ms);
	g->call = NULL;
	leg_close(g);
	if (was != LEG_ASKED && p->open)
		ring_timer_set(l->worker->ring, &p->retry, backoff_next(&p->backoff));
	if (again && p->open) {
		call->fresh = true;
		legs_enqueue(call, true);
	} else if (call) {
		legs_call_over(call, &o);
	} else if (was != LEG_WARM) {
		fail_one(l, reason, why);
	}
	legs_balance(l);
}

void legs_init(struct agent_link *l, uint64_t seed)
{
	l->legs.retry.fire = legs_retry_fired;
	l->legs.dice = ~seed;
	backoff_init(&l->legs.backoff, FIRST_RETRY_MS, l->set->setup->config->retry_max_ms, seed);
}

void legs_open(struct agent_link *l, uint16_t max_legs)
{
	l->legs.open = true;
	l->legs.max_legs = max_legs ? max_legs : 1;
	legs_balance(l);
}

void legs_shut(struct agent_link *l, const char *why)
{
	struct leg_pool *p = &l->legs;
	struct leg_outcome o = {.reason = REASON_LINK_GONE, .text = why, .fd = -1};
	struct agent_leg *next;

	p->open = false;
	ring_timer_cancel(l->worker->ring, &p->retry);
	for (struct agent_leg *g = p->legs; g; g = next) {
		struct leg_call *call = g->call;

		next = g->next;
		if (g->state == LEG_LEAVING)
			continue;
		leg_close(g);
		if (call)
			legs_enqueue(call, false);
	}
	while (p->first)
		legs_call_over(legs_dequeue(p), &o);
}
