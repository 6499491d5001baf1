/* SPDX-License-Identifier: Apache-2.0 */
/* look: asks again in time, where time alone changes what may go on. The part of
 * core/engine/entitled.c that reads the clock, which an engine may not. */
#include "core/program/look.h"

#include "core/container.h"
#include "core/engine/entitled.h"

static void look_fired(struct timer *t, uint64_t now_ms)
{
	struct look *l = container(t, struct look, timer);
	time_t now = time(NULL);
	bool went_back = now < l->looked;

	l->looked = now;
	if (l->again && (now >= l->again || went_back))
		l->ask(l);
	if (l->again)
		ring_timer_set(l->ring, t, entitled_look_ms(l->again, now));
}

void look_init(struct look *l, struct ring *ring, void (*ask)(struct look *l))
{
	*l = (struct look){.ask = ask, .ring = ring, .timer.fire = look_fired};
}

void look_until(struct look *l, time_t until)
{
	time_t now;

	if (until == 0 || (l->again && until >= l->again))
		return;
	now = time(NULL);
	l->again = until;
	if (l->looked == 0)
		l->looked = now;
	ring_timer_set(l->ring, &l->timer, entitled_look_ms(until, now));
}

void look_forget(struct look *l)
{
	l->again = 0;
}

void look_stop(struct look *l)
{
	l->again = 0;
	if (l->ring)
		ring_timer_cancel(l->ring, &l->timer);
}
