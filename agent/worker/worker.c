/* SPDX-License-Identifier: Apache-2.0 */
/* worker: one thread of an agent, its beginning and its end. */
#include "agent/worker/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/container.h"
#include "core/log.h"

#define TRIM_MS	   10000u
#define KEEP_LARGE 8u
#define KEEP_SMALL 64u

/* ---- the end ---- */

static void worker_stop_fired(struct timer *t, uint64_t now_ms)
{
	struct agent_worker *w = container(t, struct agent_worker, stop_timer);

	if (w->held > 0) {
		ring_stop(w->ring); /* what has not left by now never will */
		return;
	}
	resolver_close(&w->resolver);
	if (resolver_idle(&w->resolver))
		ring_stop(w->ring);
	else
		ring_timer_set(w->ring, &w->stop_timer, 1);
}

void agent_worker_drop(struct agent_worker *w)
{
	w->held--;
	/* Its owner is still in the middle of ending: the loop is left from the loop. */
	if (w->stopping && w->held == 0)
		ring_timer_set(w->ring, &w->stop_timer, 0);
}

void agent_worker_stop(struct agent_worker *w)
{
	w->stopping = true;
	ring_timer_set(w->ring, &w->stop_timer, w->held ? AGENT_STOP_MS : 0);
	ring_timer_cancel(w->ring, &w->trimmer);
}

bool agent_worker_idle(const struct agent_worker *w)
{
	return w->held == 0;
}

void agent_worker_close(struct agent_worker *w)
{
	resolver_close(&w->resolver);
	buffers_free(&w->large);
	buffers_free(&w->small);
	free(w->scratch);
	if (w->ring)
		ring_close(w->ring);
	*w = (struct agent_worker){0};
}

/* ---- the beginning ---- */

static void worker_trim_fired(struct timer *t, uint64_t now_ms)
{
	struct agent_worker *w = container(t, struct agent_worker, trimmer);

	buffers_trim(&w->large, KEEP_LARGE);
	buffers_trim(&w->small, KEEP_SMALL);
	log_tick();
	ring_timer_set(w->ring, t, TRIM_MS);
}

static bool worker_open_ring(struct agent_worker *w, int engine, char *why, size_t why_size)
{
	const struct ring_options options = {.engine = (enum ring_engine)engine};
	int error = ring_open(&w->ring, &options, why, why_size);

	if (error) {
		if (why[0] == '\0')
			snprintf(why, why_size, "the event ring cannot be opened: %s",
				 strerror(-error));
		return false;
	}
	if (why[0])
		log_warning("ring", "%s", why);
	log_info("ring", "engine=%s", ring_engine_name(ring_engine(w->ring)));
	why[0] = '\0';
	return true;
}

bool agent_worker_open(struct agent_worker *w, int engine, size_t small_count, char *why,
		       size_t why_size)
{
	*w = (struct agent_worker){0};
	w->stop_timer.fire = worker_stop_fired;
	w->trimmer.fire = worker_trim_fired;
	why[0] = '\0';
	if (!worker_open_ring(w, engine, why, why_size))
		return false;
	w->scratch = malloc(AGENT_SCRATCH_BYTES);
	if (!w->scratch || buffers_init(&w->large, AGENT_BLOCK_BYTES, AGENT_BLOCKS_MAX) < 0 ||
	    buffers_init(&w->small, AGENT_SMALL_BYTES, small_count) < 0 ||
	    resolver_open(&w->resolver, w->ring) < 0) {
		snprintf(why, why_size, "out of memory");
		return false;
	}
	ring_timer_set(w->ring, &w->trimmer, TRIM_MS);
	w->started_ms = ring_now_ms(w->ring);
	return true;
}
