/* SPDX-License-Identifier: Apache-2.0 */
/* questions: a ring and a resolver of a command's own, for what it asks side by side. Apart, since
 * two commands wait by it. */
#include "ctl/nat/questions.h"

#include <stdio.h>
#include <string.h>

#include "core/container.h"

#define IDLE_LOOK_MS 1u /* between two looks at a resolver that closes */

/* The resolver's sockets close when the loop has turned. */
static void questions_idle_fired(struct timer *t, uint64_t now_ms)
{
	struct questions *q = container(t, struct questions, idle);

	if (resolver_idle(&q->resolver))
		ring_stop(q->ring);
	else
		ring_timer_set(q->ring, t, IDLE_LOOK_MS);
}

void questions_close(struct questions *q)
{
	q->closing = true;
	resolver_close(&q->resolver);
	q->idle.fire = questions_idle_fired;
	ring_timer_set(q->ring, &q->idle, 0);
	if (ring_run(q->ring) == 0)
		ring_close(q->ring);
	q->ring = NULL;
}

bool questions_open(struct questions *q, char *why, size_t why_size)
{
	const struct ring_options options = {.engine = RING_EPOLL, .small_buffers = 16};
	int error;

	*q = (struct questions){.ring = NULL};
	if (ring_open(&q->ring, &options, why, why_size) < 0)
		return false;
	error = resolver_open(&q->resolver, q->ring);
	if (error == 0)
		return true;
	snprintf(why, why_size, "cannot read the resolver's configuration: %s", strerror(-error));
	questions_close(q);
	return false;
}

void questions_asked(struct questions *q)
{
	q->waiting++;
}

void questions_answered(struct questions *q)
{
	/* While it closes, the loop goes on until the resolver has nothing in flight. */
	if (--q->waiting == 0 && !q->closing)
		ring_stop(q->ring);
}

bool questions_wait(struct questions *q)
{
	return q->waiting == 0 || ring_run(q->ring) == 0;
}
