/* SPDX-License-Identifier: Apache-2.0 */
/* stream: the life of a session's stream up to its bulk phase, and its end; see stream.h. */
#include "agent/session/stream.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <openssl/bytestring.h>

#include "core/container.h"
#include "core/log.h"

/* RESULT, the longer of the two: its reason, text, candidates and extensions. */
static_assert(STREAM_MESSAGE_MAX >= WIRE_HEADER_BYTES + 2 + 2 + WIRE_TEXT_MAX + 1 +
					    WIRE_CANDIDATES_MAX * (1 + WIRE_ADDRESS_MAX) + 1 +
					    WIRE_EXTENSIONS_BYTES,
	      "RESULT fits");

static void stream_step(struct stream *s);

/* ---- blocks ---- */

bool stream_block_ready(struct stream *s, struct lane *l)
{
	uint8_t *data;

	if (l->block.kind != BLOCK_NONE)
		return true;
	data = buffers_get(&s->worker->small);
	if (data)
		l->block = (struct block){data, AGENT_SMALL_BYTES, BLOCK_SMALL};
	else
		stream_fault(s, ENDING_SELF, ENDING_MEMORY, "out of memory");
	return data != NULL;
}

void stream_block_put(struct stream *s, struct block *b)
{
	switch (b->kind) {
	case BLOCK_SMALL:
		buffers_put(&s->worker->small, b->data);
		break;
	case BLOCK_LARGE:
		buffers_put(&s->worker->large, b->data);
		break;
	case BLOCK_HEAP:
		free(b->data);
		break;
	case BLOCK_NONE:
		break;
	}
	*b = (struct block){0};
}

/* ---- the end ---- */

static bool anything_busy(const struct stream *s)
{
	return ring_op_busy(&s->up.recv) || ring_op_busy(&s->up.send) ||
	       ring_op_busy(&s->down.recv) || ring_op_busy(&s->down.send);
}

static void close_side(struct stream *s, int *fd, bool reset)
{
	if (*fd < 0)
		return;
	if (reset)
		ring_reset_fd(s->worker->ring, *fd);
	else
		ring_close_fd(s->worker->ring, *fd);
	*fd = -1;
}

/* The leg is neither read nor written any more, and its reset is the relay's. io_uring tells
 * POLLRDHUP also unasked, so it is asked for: stream_down_received(). */
static bool leg_waits_for_relay(struct stream *s)
{
	bool ours = s->reset_leg && s->ending.side == ENDING_SELF && !s->asked;

	s->asked = true;
	if (!ours || !s->events->told(s))
		return false;
	close_side(s, &s->local, true);
	s->down.pooled = false;
	ring_poll(s->worker->ring, &s->down.recv, s->leg, POLLRDHUP);
	ring_timer_set(s->worker->ring, &s->timer, STREAM_WORD_MS);
	return true;
}

static void stream_release_all(struct stream *s)
{
	if (leg_waits_for_relay(s))
		return;
	ring_timer_cancel(s->worker->ring, &s->timer);
	close_side(s, &s->leg, s->reset_leg);
	close_side(s, &s->local, s->reset_local);
	stream_block_put(s, &s->up.block);
	stream_block_put(s, &s->down.block);
	inner_free(&s->inner);
	free(s->message);
	s->message = NULL;
	s->phase = STREAM_UNUSED;
	s->events->ended(s);
}

void stream_end(struct stream *s, bool resets, const char *why)
{
	if (s->phase == STREAM_ENDING || s->phase == STREAM_UNUSED)
		return;
	s->phase = STREAM_ENDING;
	s->reset_leg = s->reset_local = resets;
	if (why != s->why)
		snprintf(s->why, sizeof(s->why), "%s", why);
	ring_cancel(s->worker->ring, &s->up.recv);
	ring_cancel(s->worker->ring, &s->up.send);
	ring_cancel(s->worker->ring, &s->down.recv);
	ring_cancel(s->worker->ring, &s->down.send);
	/* The owner hears of it from the loop, never from inside its own call. */
	ring_timer_set(s->worker->ring, &s->timer, 0);
}

bool stream_ending(struct stream *s)
{
	if (s->phase != STREAM_ENDING)
		return false;
	if (!anything_busy(s))
		stream_release_all(s);
	return true;
}

static enum ending_phase stream_phase(const struct stream *s)
{
	if (s->phase != STREAM_BULK)
		return ENDING_HANDSHAKE;
	return s->up.done || s->down.done ? ENDING_HALF : ENDING_DATA;
}

void stream_fault(struct stream *s, enum ending_side who, enum ending_cause cause, const char *why)
{
	if (s->phase != STREAM_ENDING && s->phase != STREAM_UNUSED)
		s->ending = (struct ending){who, stream_phase(s), cause};
	stream_end(s, true, why);
}

void stream_abort(struct stream *s, enum ending_cause cause, const char *why)
{
	stream_fault(s, ENDING_SELF, cause, why);
}

static void stream_timer_fired(struct timer *t, uint64_t now_ms)
{
	struct stream *s = container(t, struct stream, timer);

	if (s->phase == STREAM_ENDING && s->asked) /* it has waited for the relay */
		ring_cancel(s->worker->ring, &s->down.recv);
	if (stream_ending(s))
		return;
	if (s->phase == STREAM_FINISHING && s->finished)
		stream_end(s, false, s->why);
	else if (s->phase == STREAM_FINISHING)
		stream_end(s, true, s->why);
	else
		stream_step(s);
}

/* ---- before the bulk phase ---- */

static void stream_fail(struct stream *s, enum tls_status status)
{
	char why[160];

	if (status == TLS_FAILED)
		snprintf(why, sizeof(why), "inner TLS: %s", inner_error(&s->inner));
	else
		snprintf(why, sizeof(why), "the far end went away before it answered");
	stream_fault(s, ENDING_FAR, status == TLS_FAILED ? ENDING_BYTES : ENDING_GONE, why);
}

static void stream_flush(struct stream *s)
{
	struct lane *up = &s->up;
	size_t n;

	if (ring_op_busy(&up->send) || !inner_has_output(&s->inner))
		return;
	if (!stream_block_ready(s, up))
		return;
	n = inner_take(&s->inner, up->block.data, up->block.room);
	if (n == 0)
		stream_fail(s, TLS_FAILED);
	else
		ring_send(s->worker->ring, &up->send, s->leg, up->block.data, n);
}

/* How many bytes the message still needs; 0: it is complete or too long. */
static size_t message_needs(const struct stream *s)
{
	size_t need = WIRE_HEADER_BYTES;
	uint16_t body;
	CBS cbs;

	if (s->message_len >= WIRE_HEADER_BYTES) {
		CBS_init(&cbs, s->message, s->message_len);
		if (!CBS_skip(&cbs, 2) || !CBS_get_u16(&cbs, &body))
			return 0;
		need += body;
	}
	if (need > STREAM_MESSAGE_MAX)
		return 0;
	return need - s->message_len;
}

static void message_complete(struct stream *s)
{
	struct wire_message m;
	size_t used;
	enum wire_status status = wire_decode(s->message, s->message_len, &m, &used);

	if (status != WIRE_OK && status != WIRE_UNKNOWN_EXTENSION) {
		stream_fault(s, ENDING_FAR, ENDING_BYTES, "the far end sent a malformed message");
		return;
	}
	s->phase = STREAM_HELD;
	s->events->message(s, &m);
}

static void listen_for_message(struct stream *s)
{
	while (s->phase == STREAM_TALKING) {
		size_t need = message_needs(s), n = 0;
		enum tls_status status;

		if (need == 0) {
			message_complete(s);
			return;
		}
		status = tls_read(s->inner.tls, s->message + s->message_len, need, &n);
		if (status == TLS_AGAIN)
			return;
		if (status != TLS_OK) {
			stream_fail(s, status);
			return;
		}
		s->message_len += n;
	}
}

/* #syscalls shutdown(1 is SHUT_WR) */
static void finish_step(struct stream *s)
{
	if (ring_op_busy(&s->up.send) || inner_has_output(&s->inner) || s->finished)
		return;
	s->finished = true;
	shutdown(s->leg, SHUT_WR);
	ring_timer_set(s->worker->ring, &s->timer, STREAM_FINISH_MS);
}

/* Does what can be done now, then waits for the leg where that is what is missing. */
static void stream_step(struct stream *s)
{
	if (s->phase == STREAM_SHAKING) {
		enum tls_status status = tls_handshake(s->inner.tls);

		if (status == TLS_OK) {
			s->phase = STREAM_TALKING;
			s->events->ready(s);
		} else if (status != TLS_AGAIN) {
			stream_fail(s, status);
			return;
		}
	}
	if (s->phase == STREAM_TALKING)
		listen_for_message(s);
	if (s->phase == STREAM_SHAKING || s->phase == STREAM_TALKING || s->phase == STREAM_HELD ||
	    s->phase == STREAM_FINISHING)
		stream_flush(s);
	if (s->phase == STREAM_FINISHING)
		finish_step(s);
	if ((s->phase == STREAM_SHAKING || s->phase == STREAM_TALKING ||
	     s->phase == STREAM_FINISHING) &&
	    !ring_op_busy(&s->down.recv)) {
		s->down.pooled = true;
		ring_recv_pooled(s->worker->ring, &s->down.recv, s->leg);
	}
}

static void stream_received(struct stream *s, int res)
{
	bool fed = true;

	if (s->phase == STREAM_FINISHING) {
		/* What the peer still says is of no interest; that it has read everything is. */
		if (res > 0)
			ring_buffer_put(s->worker->ring, s->down.recv.buf);
		else
			stream_end(s, !s->finished, s->why);
		stream_step(s);
		return;
	}
	if (res > 0) {
		fed = inner_feed(&s->inner, s->down.recv.buf, (size_t)res);
		ring_buffer_put(s->worker->ring, s->down.recv.buf);
	} else if (res == 0) {
		tls_feed_eof(s->inner.tls);
	} else {
		stream_fault(s, ENDING_FAR, ending_of_errno(-res), strerror(-res));
	}
	if (!fed)
		stream_fail(s, TLS_FAILED);
	stream_step(s);
}

/* The peer may have ended its direction, which is no reset: the timer then says when. */
static bool leg_waits_still(const struct stream *s, int res)
{
	return s->asked && res > 0 && !(res & (POLLERR | POLLHUP)) && timer_pending(&s->timer);
}

static void stream_down_received(struct ring_op *op, int res)
{
	struct stream *s = container(op, struct stream, down.recv);

	if (s->phase == STREAM_ENDING && s->down.pooled && res > 0)
		ring_buffer_put(s->worker->ring, op->buf);
	if (leg_waits_still(s, res) || stream_ending(s))
		return;
	if (s->phase == STREAM_BULK)
		stream_bulk_received_down(s, res);
	else
		stream_received(s, res);
}

static void stream_up_sent(struct ring_op *op, int res)
{
	struct stream *s = container(op, struct stream, up.send);

	if (stream_ending(s))
		return;
	if (s->phase == STREAM_BULK) {
		stream_bulk_sent_up(s, res);
		return;
	}
	stream_block_put(s, &s->up.block);
	if (res < 0)
		stream_fault(s, ENDING_FAR, ending_of_errno(-res), strerror(-res));
	else
		stream_step(s);
}

/* ---- the owner's calls ---- */

bool stream_write(struct stream *s, const uint8_t *bytes, size_t len)
{
	uint64_t before = s->inner.rekeyed;
	bool ok = inner_write(&s->inner, bytes, len, ring_now_ms(s->worker->ring)) == TLS_OK;

	s->worker->rekeyed += s->inner.rekeyed - before;
	return ok;
}

bool stream_start(struct stream *s, struct agent_worker *w, const struct leg_outcome *leg,
		  SSL_CTX *context, bool server, const struct stream_events *events)
{
	struct stream fresh = {.worker = w, .events = events, .leg = leg->fd, .local = -1};
	uint8_t *unread = leg->unread;
	size_t unread_len = leg->unread_len;

	if (leg->tls)
		inner_init_outer(&fresh.inner, leg->tls);
	else if (!inner_init(&fresh.inner, context, server, leg->secret, time(NULL)))
		return false;
	if (w->rekey_bytes)
		fresh.inner.limits = (struct inner_limits){w->rekey_bytes, w->rekey_ms};
	if (context) {
		fresh.message = malloc(STREAM_MESSAGE_MAX);
		if (!fresh.message || (unread_len && !inner_feed(&fresh.inner, unread, unread_len)))
			goto fail;
		free(unread);
		fresh.phase = STREAM_SHAKING;
	} else {
		if (unread_len && envelope_open(&fresh.inner.open, unread, unread_len, unread,
						&unread_len) != ENVELOPE_OK)
			goto fail;
		if (unread_len)
			fresh.down.block = (struct block){unread, unread_len, BLOCK_HEAP};
		else
			free(unread);
		fresh.down.in_end = unread_len;
		fresh.phase = STREAM_HELD;
	}
	*s = fresh;
	s->up.send.done = stream_up_sent;
	s->down.recv.done = stream_down_received;
	stream_bulk_init(s);
	s->timer.fire = stream_timer_fired;
	if (context)
		ring_timer_set(w->ring, &s->timer, 0);
	return true;
fail:
	free(fresh.message);
	inner_free(&fresh.inner);
	return false;
}

bool stream_say(struct stream *s, const struct wire_message *m)
{
	uint8_t frame[STREAM_MESSAGE_MAX];
	size_t len = wire_encode(m, frame, sizeof(frame));

	if (s->phase == STREAM_ENDING || s->phase == STREAM_UNUSED)
		return false;
	if (len == 0 || !stream_write(s, frame, len)) {
		stream_fault(s, ENDING_SELF, ENDING_MEMORY, "a message could not be written");
		return false;
	}
	stream_flush(s);
	return s->phase != STREAM_ENDING;
}

void stream_attach(struct stream *s, int local)
{
	s->local = local;
	free(s->message);
	s->message = NULL;
	s->phase = STREAM_BULK;
	stream_bulk_begin(s);
}

void stream_finish(struct stream *s, const char *why)
{
	if (s->phase == STREAM_ENDING || s->phase == STREAM_UNUSED)
		return;
	snprintf(s->why, sizeof(s->why), "%s", why);
	s->phase = STREAM_FINISHING;
	tls_close_write(s->inner.tls);
	ring_timer_set(s->worker->ring, &s->timer, STREAM_FINISH_MS);
	stream_step(s);
}
