/* SPDX-License-Identifier: Apache-2.0 */
/* pace: the shaper's clock and lock, and each worker's list of flows that wait. */
#include "relay/session/pace.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include <utlist.h>

#include "core/container.h"
#include "core/log.h"
#include "core/memory.h"
#include "relay/session/session.h"

/* ---- the shaper ----------------------------------------------------------------------------- */

struct pacer {
	pthread_mutex_t lock; /* of shaper and awake */
	struct shaper *shaper;
	struct ring *ring; /* whose timer ticks; NULL: not yet */
	struct timer timer;
	struct ring_msg wake;
	bool awake; /* the timer runs, or is about to */
};

static void pacer_tick(struct timer *t, uint64_t now_ms)
{
	struct pacer *p = container(t, struct pacer, timer);

	pthread_mutex_lock(&p->lock);
	shaper_tick(p->shaper, now_ms); /* a session that waits for it looks by itself */
	p->awake = shaper_sessions(p->shaper) > 0;
	if (p->awake)
		ring_timer_set(p->ring, t, SHAPER_TICK_MS);
	pthread_mutex_unlock(&p->lock);
}

static void pacer_woken(struct ring_msg *msg)
{
	struct pacer *p = container(msg, struct pacer, wake);

	ring_timer_set(p->ring, &p->timer, SHAPER_TICK_MS);
}

/* Under the lock. */
static void pacer_awake(struct pacer *p)
{
	if (p->awake || !p->ring || shaper_sessions(p->shaper) == 0)
		return;
	p->awake = true;
	ring_post(p->ring, &p->wake);
}

struct pacer *pacer_new(void)
{
	struct pacer *p = memory_zeroed(sizeof *p);

	if (!p)
		return NULL;
	p->timer.fire = pacer_tick;
	p->wake.run = pacer_woken;
	p->shaper = shaper_new();
	if (!p->shaper) {
		memory_free(p);
		return NULL;
	}
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void pacer_start(struct pacer *p, struct ring *ring)
{
	p->ring = ring;
}

void pacer_set_limits(struct pacer *p, const struct shaper_limits *limits)
{
	pthread_mutex_lock(&p->lock);
	shaper_set_limits(p->shaper, limits);
	pthread_mutex_unlock(&p->lock);
}

void pacer_free(struct pacer *p)
{
	if (!p)
		return;
	shaper_free(p->shaper);
	pthread_mutex_destroy(&p->lock);
	memory_free(p);
}

/* ---- sessions ------------------------------------------------------------------------------- */

static struct pacer *pacer_of(const struct session *s)
{
	return s->worker->relay->pacer;
}

bool pace_join(struct session *s)
{
	const char *account = s->pair.from ? party_name(s->pair.from) : "public";
	struct pacer *p = pacer_of(s);
	char service[2 * WIRE_NAME_MAX + 2];
	bool failed;

	snprintf(service, sizeof service, "%s/%s", party_name(s->pair.to), s->service);
	pthread_mutex_lock(&p->lock);
	s->share = shaper_join(p->shaper, s->number, account, service, s->rate, &failed);
	pacer_awake(p);
	pthread_mutex_unlock(&p->lock);
	return !failed;
}

static void pace_join_late(struct session *s)
{
	if (!pace_join(s))
		log_warning("pace", "out of memory: no limits hold for session=%016" PRIx64,
			    s->number);
}

void pace_set_rate(struct session *s)
{
	struct pacer *p = pacer_of(s);

	if (!s->share) {
		pace_join_late(s);
		return;
	}
	pthread_mutex_lock(&p->lock);
	shaper_set_rate(p->shaper, s->number, s->rate);
	pthread_mutex_unlock(&p->lock);
}

void pace_leave(struct session *s)
{
	struct pacer *p = pacer_of(s);

	if (!s->share)
		return;
	pthread_mutex_lock(&p->lock);
	shaper_leave(p->shaper, s->number);
	pthread_mutex_unlock(&p->lock);
	share_release(s->share);
	s->share = NULL;
}

void pace_adopt(struct worker *w)
{
	struct slab *table = &w->sessions->table;

	for (uint32_t i = 0; i < table->high_water; i++) {
		struct session *s = slab_at(table, i);

		if (s && !s->ended && !s->share)
			pace_join_late(s);
	}
}

/* ---- flows that wait ------------------------------------------------------------------------ */

void pace_wait(struct flow *f)
{
	struct worker *w = flow_session(f)->worker;
	struct sessions *ss = w->sessions;

	DL_APPEND(ss->paced, f);
	ss->paced_count++;
	if (!timer_pending(&ss->pace_timer))
		ring_timer_set(w->ring, &ss->pace_timer, SHAPER_TICK_MS);
}

void pace_forget(struct flow *f)
{
	struct sessions *ss = flow_session(f)->worker->sessions;

	DL_DELETE(ss->paced, f);
	ss->paced_count--;
}

/* A flow that goes on gets behind the others when it waits again, so the two directions of a
 * session take turns. One that ends may take its session along, and the other direction's place. */
void pace_look(struct timer *t, uint64_t now_ms)
{
	struct sessions *ss = container(t, struct sessions, pace_timer);

	for (size_t n = ss->paced_count; n > 0 && ss->paced; n--)
		flow_resume(ss->paced);
	if (ss->paced && !timer_pending(t))
		ring_timer_set(ss->worker->ring, t, SHAPER_TICK_MS);
}
