/* SPDX-License-Identifier: Apache-2.0 */
/* lines: lines of text over a stream socket, bounded both ways. */
#include "core/lines.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "core/container.h"
#include "core/memory.h"

#define FIRST_ROOM 4096u

/* Room for more bytes behind len of them. */
static bool lines_make_room(char **text, size_t *room, size_t len, size_t more)
{
	size_t wanted = *room ? *room : FIRST_ROOM;
	char *bigger;

	while (wanted < len + more)
		wanted *= 2;
	if (wanted == *room)
		return true;
	bigger = memory_resize(*text, wanted);
	if (!bigger)
		return false;
	*text = bigger;
	*room = wanted;
	return true;
}

/* ---- the end ---- */

void lines_close(struct lines *l)
{
	if (l->closing)
		return;
	l->closing = true;
	ring_cancel(l->ring, &l->rx);
	outbox_close(&l->out);
	ring_timer_set(l->ring, &l->timer, 0);
}

static void lines_drop_buffers(struct lines *l)
{
	memory_free(l->in);
	l->in = NULL;
	outbox_free(&l->out);
}

static void lines_maybe_end(struct lines *l)
{
	if (ring_op_busy(&l->rx) || outbox_busy(&l->out) || timer_pending(&l->timer))
		return;
	ring_close_fd(l->ring, l->fd);
	lines_drop_buffers(l);
	l->ended(l);
}

void lines_free(struct lines *l)
{
	close(l->fd);
	lines_drop_buffers(l);
}

static void lines_timer_fired(struct timer *t, uint64_t now_ms)
{
	struct lines *l = container(t, struct lines, timer);

	lines_close(l); /* what was owed has not come */
	if (!timer_pending(t))
		lines_maybe_end(l);
}

/* ---- out ---- */

static void lines_receive(struct lines *l)
{
	if (!l->closing && !l->eof && !ring_op_busy(&l->rx) &&
	    outbox_waiting(&l->out) < LINES_PAUSE_BYTES)
		ring_recv_pooled(l->ring, &l->rx, l->fd);
}

/* At the end of its input what waits still leaves. */
static void lines_maybe_over(struct lines *l)
{
	if (!l->eof || outbox_busy(&l->out))
		return;
	if (!l->owes || !l->owes(l))
		lines_close(l);
	else if (!timer_pending(&l->timer))
		ring_timer_set(l->ring, &l->timer, LINES_OWED_MS);
}

static void lines_moved(struct outbox *o, int error)
{
	struct lines *l = container(o, struct lines, out);

	if (error)
		lines_close(l);
	if (l->closing) {
		lines_maybe_end(l);
		return;
	}
	lines_maybe_over(l);
	lines_receive(l);
}

bool lines_send(struct lines *l, char *text, size_t len)
{
	bool ok = text && !l->closing && outbox_put(&l->out, text, len) == OUTBOX_OK;

	if (!ok)
		lines_close(l);
	memory_free(text);
	return ok;
}

/* ---- in ---- */

/* Hands on every whole line, keeps the rest. */
static void lines_take(struct lines *l, const char *bytes, size_t len)
{
	while (len > 0 && !l->closing) {
		const char *end = memchr(bytes, '\n', len);
		size_t part = end ? (size_t)(end - bytes) : len;

		if (part > l->line_max - l->in_len ||
		    !lines_make_room(&l->in, &l->in_room, l->in_len, part)) {
			lines_close(l);
			return;
		}
		memcpy(l->in + l->in_len, bytes, part);
		l->in_len += part;
		if (!end)
			return;
		part++;
		bytes += part;
		len -= part;
		if (l->in_len > 0)
			l->line(l, l->in, l->in_len);
		l->in_len = 0;
	}
}

static void lines_received(struct ring_op *op, int res)
{
	struct lines *l = container(op, struct lines, rx);

	if (res > 0) {
		if (!l->closing)
			lines_take(l, (const char *)op->buf, (size_t)res);
		ring_buffer_put(l->ring, op->buf);
	} else if (res == 0) {
		l->eof = true;
	} else {
		lines_close(l);
	}
	if (l->closing) {
		lines_maybe_end(l);
		return;
	}
	/* A large line's room is not kept for the small ones that follow. */
	if (l->in_len == 0) {
		memory_free(l->in);
		l->in = NULL;
		l->in_room = 0;
	}
	lines_maybe_over(l);
	lines_receive(l);
}

void lines_start(struct lines *l)
{
	l->out = (struct outbox){
		.ring = l->ring, .fd = l->fd, .most = l->output_max, .moved = lines_moved};
	outbox_init(&l->out);
	l->rx.done = lines_received;
	l->timer.fire = lines_timer_fired;
	lines_receive(l);
}
