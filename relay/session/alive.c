/* SPDX-License-Identifier: Apache-2.0 */
/* alive: sessions whose line to one side is dead. */
#include "relay/session/alive.h"

#include "core/container.h"
#include "relay/front/conn.h"

/* A round is walked in parts; where there are many sessions, in smaller ones. */
#define PART_MS	      1000u
#define SMALL_PART_MS 250u
#define MANY	      4096u

static uint64_t alive_part_ms(const struct sessions *ss)
{
	return ss->table.high_water > MANY ? SMALL_PART_MS : PART_MS;
}

void alive_session_begins(struct session *s)
{
	struct worker *w = s->worker;
	struct timer *t = &w->sessions->alive_timer;

	alive_unhurry(s->fd[0]);
	alive_unhurry(s->fd[1]);
	if (!timer_pending(t))
		ring_timer_set(w->ring, t, alive_part_ms(w->sessions));
}

/* What came from that side, its end included. */
static uint64_t alive_came(const struct session *s, unsigned side)
{
	return s->flow[side].bytes + (s->flow[side].state == FLOW_ENDED);
}

static void alive_look_at(struct session *s, uint64_t now_ms)
{
	for (unsigned side = 0; side < 2; side++)
		if (alive_look(&s->alive[side], s->fd[side], alive_came(s, !side),
			       alive_came(s, side), now_ms, &conn_beat)) {
			session_line_died(s, side,
					  "the line is dead: what was sent is not "
					  "acknowledged");
			return;
		}
}

void alive_look_through(struct timer *t, uint64_t now_ms)
{
	struct sessions *ss = container(t, struct sessions, alive_timer);
	uint64_t part_ms = alive_part_ms(ss);
	uint32_t part = (uint32_t)(ss->table.high_water * part_ms / ALIVE_ROUND_MS) + 1;

	for (; part > 0; part--, ss->alive_at++) {
		if (ss->alive_at >= ss->table.high_water) {
			ss->alive_at = 0;
			break;
		}
		struct session *s = slab_at(&ss->table, ss->alive_at);

		if (s && !s->ended && s->fd[0] >= 0 && s->fd[1] >= 0)
			alive_look_at(s, now_ms);
	}
	if (atomic_load_explicit(&ss->worker->stats.sessions, memory_order_relaxed) > 0)
		ring_timer_set(ss->worker->ring, t, part_ms);
}
