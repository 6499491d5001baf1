/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch: whether the workers still take their turns.
 *
 * Theory of operation. The kernel gives each worker's sockets their part of what comes, also when
 * the thread behind them is dead or goes round in a loop: then one client in so many gets no
 * answer, and nothing else tells. So each second every worker is sent a message, which is answered
 * by a flag. One that has ended, or has answered nothing at WATCH_STRIKES looks, is told to the
 * process, which ends with a failure: what restarts it closes all of its sockets with it.
 *
 * Looks are counted, and not time: on a machine that slept, or has no time for this thread either,
 * there are none meanwhile. The messages are the watch's own: it needs no memory.
 */
#include <stdlib.h>

#include "core/container.h"
#include "core/memory.h"
#include "core/notify.h"
#include "relay/control/control_internal.h"

#define WATCH_MS      1000u
#define WATCH_STRIKES 30u
#define STATUS_TICKS  5u /* of WATCH_MS */

static void watched_answers(struct ring_msg *msg)
{
	atomic_store(&container(msg, struct watched, msg)->answered, true);
}

/* What is wrong with it, or NULL. */
static const char *watched_look(struct watched *d, struct worker *w)
{
	struct relay *r = w->relay;

	if (r->watch->ended(r, w->index))
		return "its thread has ended";
	if (atomic_exchange(&d->answered, false)) {
		d->strikes = 0;
		ring_post(w->ring, &d->msg);
		return NULL;
	}
	if (++d->strikes >= WATCH_STRIKES)
		return "it takes no turns any more";
	return NULL;
}

/* For "systemctl status". */
static void tell_status(struct relay_control *ctl)
{
	const struct relay_totals t = relay_totals(ctl->relay);
	const struct bind_list *binds = &control_snapshot(ctl)->binds;
	char at[300] = "", text[ADDR_TEXT_BYTES];
	size_t n = 0;

	for (size_t i = 0; i < binds->count && n < sizeof(at); i++) {
		if (binds->items[i].kind == BIND_UDP || ctl->relay->missing[i])
			continue;
		addr_format(&binds->items[i].address, text);
		n += (size_t)snprintf(at + n, sizeof(at) - n, "%s%s", n ? ", " : "", text);
	}
	notify_status("%zu links of agents, %llu sessions; listening at %s", t.tables.links,
		      (unsigned long long)t.sessions, at);
}

static void watch_look(struct timer *t, uint64_t now_ms)
{
	struct relay_control *ctl = container(t, struct relay_control, watch_timer);
	struct relay *r = ctl->relay;

	for (unsigned i = 0; i < r->worker_count; i++) {
		const char *why = watched_look(&ctl->watched[i], &r->workers[i]);

		if (why)
			r->watch->failed(r, i, why);
	}
	log_tick();
	if (ctl->status_ticks++ % STATUS_TICKS == 0)
		tell_status(ctl);
	ring_timer_set(ctl->ring, t, WATCH_MS);
}

bool watch_open(struct relay_control *ctl)
{
	ctl->watched = memory_array(ctl->relay->worker_count, sizeof *ctl->watched);
	if (!ctl->watched)
		return false;
	for (unsigned i = 0; i < ctl->relay->worker_count; i++) {
		ctl->watched[i].msg.run = watched_answers;
		ctl->watched[i].answered = true;
	}
	ctl->watch_timer.fire = watch_look;
	return true;
}

void control_watch(struct relay_control *ctl)
{
	ring_timer_set(ctl->ring, &ctl->watch_timer, WATCH_MS);
}

void watch_close(struct relay_control *ctl)
{
	memory_free(ctl->watched);
}
