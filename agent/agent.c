/* SPDX-License-Identifier: Apache-2.0 */
/* agent: what every part of one running agent shares, its beginning and its end. */
#include "agent/agent.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/relays/channel.h"
#include "agent/control/control.h"
#include "agent/entrance/entrance.h"
#include "agent/relays/link.h"
#include "agent/control/nat.h"
#include "agent/config/self.h"
#include "agent/session/session.h"
#include "core/container.h"
#include "core/log.h"

#define TRIM_MS	   10000u
#define KEEP_LARGE 8u
#define KEEP_SMALL 64u

static void stop_fired(struct timer *t, uint64_t now_ms);

/* ---- the beginning ---- */

static bool open_ring(struct agent *a, int engine, char *why, size_t why_size)
{
	const struct ring_options options = {.engine = (enum ring_engine)engine};
	int error = ring_open(&a->ring, &options, why, why_size);

	if (error) {
		if (why[0] == '\0')
			snprintf(why, why_size, "the event ring cannot be opened: %s",
				 strerror(-error));
		return false;
	}
	if (why[0])
		log_warning("ring", "%s", why);
	log_info("ring", "engine=%s", ring_engine_name(ring_engine(a->ring)));
	why[0] = '\0';
	return true;
}

static void trim_fired(struct timer *t, uint64_t now_ms)
{
	struct agent *a = container(t, struct agent, trimmer);

	buffers_trim(&a->large, KEEP_LARGE);
	buffers_trim(&a->small, KEEP_SMALL);
	agent_links_tidy(a);
	ring_timer_set(a->ring, t, TRIM_MS);
}

/* One for each direction, and for each session that is just beginning. */
static size_t small_buffers(uint64_t max_sessions)
{
	return ((size_t)max_sessions + CONTROL_SESSIONS_MAX) * 2 + 1;
}

bool agent_set_max_sessions(struct agent *a, uint64_t max)
{
	return buffers_set_max(&a->small, small_buffers(max)) == 0;
}

static bool open_memory(struct agent *a, char *why, size_t why_size)
{
	size_t small = small_buffers(a->config->max_sessions);

	a->scratch = malloc(CHANNEL_SCRATCH_BYTES);
	if (!a->scratch || buffers_init(&a->large, AGENT_BLOCK_BYTES, AGENT_BLOCKS_MAX) < 0 ||
	    buffers_init(&a->small, AGENT_SMALL_BYTES, small) < 0 ||
	    resolver_open(&a->resolver, a->ring) < 0) {
		snprintf(why, why_size, "out of memory");
		return false;
	}
	a->trimmer.fire = trim_fired;
	ring_timer_set(a->ring, &a->trimmer, TRIM_MS);
	log_info("agent", "limits sessions=%" PRIu64 " buffers_mib=%zu", a->config->max_sessions,
		 (small * AGENT_SMALL_BYTES + AGENT_BLOCKS_MAX * (size_t)AGENT_BLOCK_BYTES) >> 20);
	return true;
}

static bool open_links(struct agent *a, char *why, size_t why_size)
{
	struct agent_link **links = agent_links_make(a, a->config, false);

	if (links) {
		a->links = links;
		a->link_count = a->config->relays.count;
		return true;
	}
	snprintf(why, why_size, "out of memory");
	return false;
}

static bool open_self(struct agent *a, char *why, size_t why_size)
{
	struct agent_self self;

	if (!agent_self_make(a->config, a->transient, &self, why, why_size))
		return false;
	agent_self_adopt(a, &self);
	return true;
}

bool agent_open(struct agent *a, const struct agent_config *config, int engine, bool transient,
		char *why, size_t why_size)
{
	*a = (struct agent){.config = config, .transient = transient};
	a->stop_timer.fire = stop_fired;
	why[0] = '\0';
	signal(SIGPIPE, SIG_IGN);
	if (open_self(a, why, why_size) && open_ring(a, engine, why, why_size) &&
	    open_memory(a, why, why_size) && open_links(a, why, why_size)) {
		a->started_ms = ring_now_ms(a->ring);
		return true;
	}
	agent_close(a);
	return false;
}

bool agent_check(const struct agent_config *config, char *why, size_t why_size)
{
	struct agent_self self;
	bool ok = agent_self_make(config, false, &self, why, why_size);

	agent_self_free(&self);
	return ok;
}

void agent_start(struct agent *a)
{
	for (size_t i = 0; i < a->link_count; i++)
		agent_link_start(a->links[i]);
}

/* ---- the end ---- */

static void maybe_stopped(struct agent *a)
{
	if (!a->stopping || a->held > 0)
		return;
	resolver_close(&a->resolver);
	if (resolver_idle(&a->resolver))
		ring_stop(a->ring);
	else
		ring_timer_set(a->ring, &a->stop_timer, 1);
}

static void stop_fired(struct timer *t, uint64_t now_ms)
{
	struct agent *a = container(t, struct agent, stop_timer);

	if (a->held == 0)
		maybe_stopped(a);
	else
		ring_stop(a->ring); /* what has not left by now never will */
}

void agent_drop(struct agent *a)
{
	a->held--;
	/* Not from inside whatever has just ended. */
	if (a->stopping && a->held == 0)
		ring_timer_set(a->ring, &a->stop_timer, 0);
}

void agent_stop(struct agent *a)
{
	struct agent_session *next;

	if (a->stopping)
		return;
	a->stopping = true;
	ring_timer_set(a->ring, &a->stop_timer, a->held ? AGENT_STOP_MS : 0);
	ring_timer_cancel(a->ring, &a->trimmer);
	if (a->on_stop)
		a->on_stop(a);
	entrances_close(a->entrances);
	agent_control_stop(a->control);
	agent_nat_stop(a);
	for (struct agent_session *s = a->sessions; s; s = next) {
		next = s->next;
		s->stop(s, REASON_SHUTDOWN, "this agent is shutting down");
	}
	agent_links_stop(a);
}

void agent_close(struct agent *a)
{
	struct agent_self nobody = {0};

	if (a->held > 0)
		return; /* operations in flight own their memory; the process ends */
	agent_control_free(a->control);
	entrances_free(a->entrances);
	agent_links_free(a);
	revoked_free(&a->revoked);
	resolver_close(&a->resolver);
	buffers_free(&a->large);
	buffers_free(&a->small);
	free(a->scratch);
	if (a->ring)
		ring_close(a->ring);
	agent_self_adopt(a, &nobody);
	*a = (struct agent){0};
}

/* ---- the rest ---- */

void agent_log_status(const struct agent *a)
{
	size_t up = 0, warm = 0, legs = 0;

	for (size_t i = 0; i < a->link_count; i++) {
		const struct leg_pool *p = &a->links[i]->legs;

		up += link_state_usable(&a->links[i]->state);
		warm += p->count[LEG_WARM];
		for (size_t k = 0; k < LEG_STATES; k++)
			legs += p->count[k];
		log_info("status", "relay=%s link=%s warm_legs=%zu", a->links[i]->label,
			 link_phase_name(a->links[i]->state.phase), p->count[LEG_WARM]);
	}
	log_notice(
		"status",
		"links_up=%zu links=%zu legs=%zu warm_legs=%zu sessions=%zu sessions_total=%" PRIu64
		" failed_total=%" PRIu64 " up_bytes=%" PRIu64 " down_bytes=%" PRIu64 " blocks=%zu",
		up, a->link_count, legs, warm, a->session_count, a->totals.sessions,
		a->totals.failed, a->totals.up_bytes, a->totals.down_bytes,
		a->large.made - a->large.free_count + a->small.made - a->small.free_count);
}
