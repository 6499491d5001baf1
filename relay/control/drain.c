/* SPDX-License-Identifier: Apache-2.0 */
/* drain: the relay takes no new work, and perhaps leaves. */
#include <stdio.h>
#include <stdlib.h>

#include "core/container.h"
#include "core/log.h"
#include "core/notify.h"
#include "relay/control/control_internal.h"
#include "relay/worker.h"

#define LOOK_MS	      50u
#define LAST_WORDS_MS 100u /* for what links and legs are told to leave the host */

static void drain_over(struct control *ctl)
{
	if (ctl->leaves_when_empty)
		ring_stop(ctl->ring);
}

static void drain_look(struct timer *t, uint64_t now_ms)
{
	struct control *ctl = container(t, struct control, drain_timer);

	if (relay_totals(ctl->relay).sessions == 0 || now_ms >= ctl->drain_due_ms)
		drain_over(ctl);
	else
		ring_timer_set(ctl->ring, t, LOOK_MS);
}

void control_drain(struct control *ctl, uint64_t deadline_ms, bool leave_when_empty)
{
	struct relay *r = ctl->relay;

	r->draining = true;
	ctl->leaves_when_empty = leave_when_empty;
	ctl->drain_due_ms = ring_now_ms(ctl->ring) + deadline_ms;
	if (leave_when_empty)
		notify_stopping();
	log_notice("relay", "draining: new work is refused, %llu sessions may finish within %llu s",
		   (unsigned long long)relay_totals(r).sessions,
		   (unsigned long long)(deadline_ms / 1000));
	for (unsigned i = 0; i < r->worker_count; i++)
		tell_drain(&r->workers[i], leave_when_empty);
	ctl->drain_timer.fire = drain_look;
	ring_timer_set(ctl->ring, &ctl->drain_timer, LAST_WORDS_MS);
}

bool control_undrain(struct control *ctl, char *why, size_t why_size)
{
	if (!ctl->relay->draining)
		return true;
	if (ctl->leaves_when_empty) {
		snprintf(why, why_size, "the relay is about to exit, which cannot be taken back");
		return false;
	}
	ring_timer_cancel(ctl->ring, &ctl->drain_timer);
	ctl->relay->draining = false;
	if (!control_switch(ctl, ctl->current, why, why_size)) {
		ctl->relay->draining = true;
		return false;
	}
	log_notice("relay", "taking new work again");
	return true;
}
