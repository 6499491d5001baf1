/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alive: sessions whose line is dead, on the side of the leg or on the local one (core/alive.h).
 *
 * Each session is looked at every ALIVE_ROUND_MS. Many are walked in parts, so that the looks of
 * all do not come at once.
 */
#include "agent/session/session.h"
#include "agent/worker/connector.h"
#include "core/alive.h"
#include "core/container.h"

#define AT_ONCE 1024u /* sessions; more are looked at in PARTS */
#define PARTS	4u

static void alive_look_at(struct stream *s, uint64_t now_ms)
{
	uint64_t up = s->up.bytes + s->up.eof + s->up.done;
	uint64_t down = s->down.bytes + s->down.eof + s->down.done;

	if (s->phase != STREAM_BULK)
		return;
	if (alive_look(&s->leg_alive, s->leg, up, down, now_ms, &connector_beat))
		stream_fault(s, ENDING_FAR, ENDING_LINE,
			     "the line to the relay is dead: what was sent is not acknowledged");
	else if (alive_look(&s->local_alive, s->local, down, up, now_ms, &connector_beat))
		stream_fault(s, ENDING_LOCAL, ENDING_LINE,
			     "the line of the local side is dead: what was sent is not "
			     "acknowledged");
}

static void alive_fired(struct timer *t, uint64_t now_ms)
{
	struct agent_sessions *all = container(t, struct agent_sessions, alive);
	bool parts = all->count > AT_ONCE;
	struct agent_session *next;

	all->alive_turn++;
	for (struct agent_session *s = all->first; s; s = next) {
		next = s->next;
		if (!parts || (s->number + all->alive_turn) % PARTS == 0)
			alive_look_at(&s->stream, now_ms);
	}
	agent_sessions_look_alive(all);
}

void agent_sessions_look_alive(struct agent_sessions *all)
{
	uint64_t after_ms = all->count > AT_ONCE ? ALIVE_ROUND_MS / PARTS : ALIVE_ROUND_MS;

	if (timer_pending(&all->alive))
		return;
	all->alive.fire = alive_fired;
	ring_timer_set(all->worker->ring, &all->alive, after_ms);
}
