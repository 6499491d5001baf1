/* SPDX-License-Identifier: Apache-2.0 */
/* outbox: a buffer that grows while a send of the one before is under way. */
#include "core/outbox.h"

#include <string.h>

#include "core/container.h"
#include "core/memory.h"

#define ROOM_LEAST 512u

static void outbox_drop(struct outbox *o)
{
	memory_free(o->waiting);
	o->waiting = NULL;
	o->len = o->room = 0;
}

static void outbox_send(struct outbox *o)
{
	size_t len = o->len;

	if (len == 0 || ring_op_busy(&o->op))
		return;
	o->under_way = o->waiting;
	o->waiting = NULL;
	o->len = o->room = 0;
	ring_send(o->ring, &o->op, o->fd, o->under_way, len);
}

static void outbox_sent(struct ring_op *op, int res)
{
	struct outbox *o = container(op, struct outbox, op);

	memory_free(o->under_way);
	o->under_way = NULL;
	if (res < 0) {
		o->closed = true;
		outbox_drop(o);
	}
	outbox_send(o);
	o->moved(o, res < 0 ? res : 0);
}

/* Room for more bytes, at most most of them: what grows by small pieces is copied log n times. */
static bool outbox_make_room(struct outbox *o, size_t more)
{
	size_t wanted = o->room > 0 ? o->room : ROOM_LEAST;
	uint8_t *bigger;

	while (wanted < o->len + more)
		wanted *= 2;
	if (wanted > o->most && o->len + more <= o->most)
		wanted = o->most;
	if (wanted <= o->room)
		return true;
	bigger = memory_resize(o->waiting, wanted);
	if (!bigger)
		return false;
	o->waiting = bigger;
	o->room = wanted;
	return true;
}

void outbox_init(struct outbox *o)
{
	o->op.done = outbox_sent;
}

enum outbox_status outbox_put(struct outbox *o, const void *bytes, size_t len)
{
	if (o->closed)
		return OUTBOX_CLOSED;
	if (len > o->most || o->len > o->most - len)
		return OUTBOX_FULL;
	if (len == 0)
		return OUTBOX_OK;
	if (!outbox_make_room(o, len))
		return OUTBOX_NO_MEMORY;
	memcpy(o->waiting + o->len, bytes, len);
	o->len += len;
	outbox_send(o);
	return OUTBOX_OK;
}

size_t outbox_waiting(const struct outbox *o)
{
	return o->len;
}

bool outbox_busy(const struct outbox *o)
{
	return ring_op_busy(&o->op);
}

void outbox_close(struct outbox *o)
{
	o->closed = true;
	outbox_drop(o);
	if (o->ring)
		ring_cancel(o->ring, &o->op);
}

void outbox_free(struct outbox *o)
{
	outbox_drop(o);
	memory_free(o->under_way);
	o->under_way = NULL;
}
