/* SPDX-License-Identifier: Apache-2.0 */
/* lines: lines of text over a stream socket, bounded both ways. */
#include "core/lines.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/container.h"

#define FIRST_ROOM 4096u

/* Room for more bytes behind len of them. */
static bool make_room(char **text, size_t *room, size_t len, size_t more)
{
	size_t wanted = *room ? *room : FIRST_ROOM;
	char *bigger;

	while (wanted < len + more)
		wanted *= 2;
	if (wanted == *room)
		return true;
	bigger = realloc(*text, wanted);
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
	ring_cancel(l->ring, &l->tx);
	ring_timer_set(l->ring, &l->timer, 0);
}

static void drop_buffers(struct lines *l)
{
	free(l->in);
	free(l->out);
	free(l->sending);
	l->in = l->out = l->sending = NULL;
}

static void maybe_end(struct lines *l)
{
	if (ring_op_busy(&l->rx) || ring_op_busy(&l->tx) || timer_pending(&l->timer))
		return;
	ring_close_fd(l->ring, l->fd);
	drop_buffers(l);
	l->ended(l);
}

void lines_free(struct lines *l)
{
	close(l->fd);
	drop_buffers(l);
}

static void timer_fired(struct timer *t, uint64_t now_ms)
{
	maybe_end(container(t, struct lines, timer));
}

/* ---- out ---- */

static void flush(struct lines *l)
{
	if (ring_op_busy(&l->tx) || l->closing)
		return;
	if (l->out_len == 0) {
		if (l->eof)
			lines_close(l);
		return;
	}
	l->sending = l->out;
	ring_send(l->ring, &l->tx, l->fd, l->sending, l->out_len);
	l->out = NULL;
	l->out_len = l->out_room = 0;
}

static void receive(struct lines *l)
{
	if (!l->closing && !l->eof && !ring_op_busy(&l->rx) && l->out_len < LINES_PAUSE_BYTES)
		ring_recv_pooled(l->ring, &l->rx, l->fd);
}

static void sent(struct ring_op *op, int res)
{
	struct lines *l = container(op, struct lines, tx);

	free(l->sending);
	l->sending = NULL;
	if (res < 0)
		lines_close(l);
	if (l->closing) {
		maybe_end(l);
		return;
	}
	flush(l);
	receive(l);
}

bool lines_send(struct lines *l, char *text, size_t len)
{
	bool ok = !l->closing && len <= l->output_max && l->out_len <= l->output_max - len &&
		  make_room(&l->out, &l->out_room, l->out_len, len);

	if (ok) {
		memcpy(l->out + l->out_len, text, len);
		l->out_len += len;
		flush(l);
	} else {
		lines_close(l);
	}
	free(text);
	return ok;
}

/* ---- in ---- */

/* Hands on every whole line, keeps the rest. */
static void take(struct lines *l, const char *bytes, size_t len)
{
	while (len > 0 && !l->closing) {
		const char *end = memchr(bytes, '\n', len);
		size_t part = end ? (size_t)(end - bytes) : len;

		if (part > l->line_max - l->in_len ||
		    !make_room(&l->in, &l->in_room, l->in_len, part)) {
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

static void received(struct ring_op *op, int res)
{
	struct lines *l = container(op, struct lines, rx);

	if (res > 0) {
		if (!l->closing)
			take(l, (const char *)op->buf, (size_t)res);
		ring_buffer_put(l->ring, op->buf);
	} else if (res == 0) {
		l->eof = true;
	} else {
		lines_close(l);
	}
	if (l->closing) {
		maybe_end(l);
		return;
	}
	/* A large line's room is not kept for the small ones that follow. */
	if (l->in_len == 0) {
		free(l->in);
		l->in = NULL;
		l->in_room = 0;
	}
	flush(l);
	receive(l);
}

void lines_start(struct lines *l)
{
	l->rx.done = received;
	l->tx.done = sent;
	l->timer.fire = timer_fired;
	receive(l);
}
