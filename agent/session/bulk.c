/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulk: the two lanes of a stream, and how each ends; stream.h tells how they work.
 *
 * In a large block encryption works in place: input is received behind a gap, what comes out of it
 * is written from the block's start on and never passes the input not yet used. For the leg the gap
 * holds what records and envelope add; from the leg, the one record that TLS may still hold from
 * before.
 */
#include "agent/session/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/container.h"

#define RECORD_BYTES 16384u
#define GAP_BYTES    (RECORD_BYTES + 4096u)

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void end_error(struct stream *s, enum ending_side side, int error)
{
	char why[128];

	snprintf(why, sizeof(why), "%s: %s", side == ENDING_LOCAL ? "local side" : "leg",
		 strerror(error));
	stream_fault(s, side, ending_of_errno(error), why);
}

static size_t lane_input(const struct lane *l)
{
	return l->in_end - l->in_at;
}

/* ---- receiving, the same both ways ---- */

/* Waits for input without holding memory, or asks for a large piece of it. */
static void lane_receive(struct stream *s, struct lane *l, int fd)
{
	uint8_t *data;

	if (l->block.kind != BLOCK_LARGE || !l->hot)
		stream_block_put(s, &l->block);
	if (l->hot && l->block.kind == BLOCK_NONE) {
		data = buffers_get(&s->worker->large);
		if (data)
			l->block = (struct block){data, AGENT_BLOCK_BYTES, BLOCK_LARGE};
	}
	l->pooled = l->block.kind == BLOCK_NONE;
	if (l->pooled)
		ring_recv_pooled(s->worker->ring, &l->recv, fd);
	else
		ring_recv_now(s->worker->ring, &l->recv, fd, l->block.data + GAP_BYTES,
			      l->block.room - GAP_BYTES);
}

/* Judges a receive. False: there was nothing, or an error, and all is done. */
static bool lane_received(struct stream *s, struct lane *l, int fd, enum ending_side side, int res)
{
	if (res == -EAGAIN && !l->pooled) {
		l->hot = false;
		lane_receive(s, l, fd);
		return false;
	}
	if (res < 0) {
		end_error(s, side, -res);
		return false;
	}
	l->eof = res == 0;
	l->hot = (size_t)res >= RING_SMALL_BYTES;
	if (!l->pooled) {
		l->in_at = GAP_BYTES;
		l->in_end = GAP_BYTES + (size_t)res;
	}
	return true;
}

/* A public session's bytes out of a pooled buffer. */
static bool lane_copy(struct stream *s, struct lane *l, const uint8_t *bytes, size_t len)
{
	if (!stream_block_ready(s, l))
		return false;
	memcpy(l->block.data, bytes, len);
	l->in_at = 0;
	l->in_end = len;
	return true;
}

static void maybe_end(struct stream *s)
{
	if (!s->up.done || !s->down.done)
		return;
	s->clean = true;
	stream_end(s, false, "end");
}

/* ---- up: local to leg ---- */

/* Encrypts and seals; returns how much stands ready at the block's start. */
static size_t fill_up(struct stream *s)
{
	struct lane *up = &s->up;
	size_t out = 0;

	for (;;) {
		size_t limit = lane_input(up) ? up->in_at : up->block.room;
		size_t n = inner_take(&s->inner, up->block.data + out, limit - out);
		size_t chunk = least(lane_input(up), RECORD_BYTES);

		out += n;
		if (n > 0)
			continue;
		if (chunk == 0 || inner_has_output(&s->inner))
			return out;
		if (!stream_write(s, up->block.data + up->in_at, chunk))
			return 0;
		up->in_at += chunk;
	}
}

/* Puts the envelope around a public session's bytes; off the data path very soon. */
static bool seal_public(struct stream *s)
{
	struct lane *up = &s->up;
	size_t len = lane_input(up), room = ENVELOPE_SEAL_ROOM(len) + ENVELOPE_PADDING;
	uint8_t *sealed = malloc(room);

	if (!sealed) {
		stream_fault(s, ENDING_SELF, ENDING_MEMORY, "out of memory");
		return false;
	}
	if (envelope_seal(&s->inner.seal, up->block.data + up->in_at, len, sealed, room, &len) !=
	    ENVELOPE_OK) {
		free(sealed);
		stream_fault(s, ENDING_LOCAL, ENDING_BYTES, "the target does not speak TLS");
		return false;
	}
	stream_block_put(s, &up->block);
	up->block = (struct block){sealed, room, BLOCK_HEAP};
	up->in_at = 0;
	up->in_end = len;
	return true;
}

/* Nothing of the up lane is left to send. */
static void up_drained(struct stream *s)
{
	struct lane *up = &s->up;

	if (!up->eof) {
		lane_receive(s, up, s->local);
		return;
	}
	stream_block_put(s, &up->block);
	up->done = true;
	shutdown(s->leg, SHUT_WR); /* FIN, behind all that the socket still has to send */
	maybe_end(s);
}

static void pump_public_up(struct stream *s)
{
	struct lane *up = &s->up;
	size_t at, len;

	if (lane_input(up) == 0) {
		up_drained(s);
		return;
	}
	if (!s->inner.seal.raw && !seal_public(s))
		return;
	at = up->in_at;
	len = lane_input(up);
	up->in_at = up->in_end = 0;
	ring_send(s->worker->ring, &up->send, s->leg, up->block.data + at, len);
}

static void pump_up(struct stream *s)
{
	struct lane *up = &s->up;
	size_t n;

	if (!s->inner.tls) {
		pump_public_up(s);
		return;
	}
	if (lane_input(up) == 0 && !inner_has_output(&s->inner)) {
		up_drained(s);
		return;
	}
	if (!stream_block_ready(s, up))
		return;
	n = fill_up(s);
	if (n > 0)
		ring_send(s->worker->ring, &up->send, s->leg, up->block.data, n);
	else
		stream_fault(s, ENDING_SELF, ENDING_MEMORY, inner_error(&s->inner));
}

/* Empties the ring's buffer: into TLS, or as it is. */
static bool take_pooled_up(struct stream *s, uint8_t *bytes, size_t len)
{
	bool ok;

	if (s->inner.tls) {
		ok = stream_write(s, bytes, len);
		if (!ok)
			stream_fault(s, ENDING_SELF, ENDING_MEMORY, inner_error(&s->inner));
	} else {
		ok = lane_copy(s, &s->up, bytes, len);
	}
	ring_buffer_put(s->worker->ring, bytes);
	return ok;
}

static void stream_up_received(struct ring_op *op, int res)
{
	struct stream *s = container(op, struct stream, up.recv);

	if (s->phase == STREAM_ENDING && s->up.pooled && res > 0)
		ring_buffer_put(s->worker->ring, op->buf);
	if (stream_ending(s) || !lane_received(s, &s->up, s->local, ENDING_LOCAL, res))
		return;
	s->up.bytes += (uint64_t)res;
	if (res > 0 && s->up.pooled && !take_pooled_up(s, op->buf, (size_t)res))
		return;
	if (res == 0 && s->inner.tls)
		tls_close_write(s->inner.tls);
	pump_up(s);
}

void stream_bulk_sent_up(struct stream *s, int res)
{
	if (res < 0)
		end_error(s, ENDING_FAR, -res);
	else
		pump_up(s);
}

/* ---- down: leg to local ---- */

static bool feed_down(struct stream *s, size_t n)
{
	struct lane *d = &s->down;
	bool ok = tls_feed(s->inner.tls, d->block.data + d->in_at, n);

	d->in_at += n;
	return ok;
}

/* Decrypts to the block's start. *out: how much stands ready there. The status is that of the read
 * that ended it; TLS_OK: the block is full. */
static enum tls_status fill_down(struct stream *s, size_t *out)
{
	struct lane *d = &s->down;

	*out = 0;
	for (;;) {
		size_t left = lane_input(d);
		size_t limit = left ? d->in_at : d->block.room;
		enum tls_status status = TLS_AGAIN;
		size_t n = 0;

		if (*out < limit)
			status = tls_read(s->inner.tls, d->block.data + *out, limit - *out, &n);
		else if (!left)
			return TLS_OK;
		*out += n;
		if (status == TLS_OK)
			continue;
		if (status != TLS_AGAIN || !left)
			return status;
		if (!feed_down(s, *out < limit ? least(left, RECORD_BYTES) : left))
			return TLS_FAILED;
	}
}

/* #syscalls shutdown(1 is SHUT_WR) */
static void down_ended(struct stream *s)
{
	struct lane *d = &s->down;

	d->eof = d->done = true;
	stream_block_put(s, &d->block);
	shutdown(s->local, SHUT_WR);
	maybe_end(s);
}

static void send_down(struct stream *s, const uint8_t *data, size_t len)
{
	s->down.bytes += len;
	ring_send(s->worker->ring, &s->down.send, s->local, data, len);
}

static void pump_public_down(struct stream *s)
{
	struct lane *d = &s->down;
	size_t at = d->in_at, len = lane_input(d);

	d->in_at = d->in_end = 0;
	if (len > 0)
		send_down(s, d->block.data + at, len);
	else if (d->eof)
		down_ended(s);
	else
		lane_receive(s, d, s->leg);
}

/* TLS holds bytes that a read may turn into plaintext, or an end. */
static bool down_waiting(const struct stream *s)
{
	SSL *ssl = tls_ssl(s->inner.tls);
	size_t unread;

	tls_unread(s->inner.tls, &unread);
	return unread > 0 || s->down.eof || SSL_pending(ssl) > 0 ||
	       (SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN);
}

static void pump_down(struct stream *s)
{
	struct lane *d = &s->down;
	enum tls_status status;
	size_t n;

	if (!s->inner.tls) {
		pump_public_down(s);
		return;
	}
	if (lane_input(d) == 0 && !down_waiting(s)) {
		lane_receive(s, d, s->leg);
		return;
	}
	if (!stream_block_ready(s, d))
		return;
	status = fill_down(s, &n);
	if (n > 0) { /* a final status comes again when this has been sent */
		send_down(s, d->block.data, n);
		return;
	}
	switch (status) {
	case TLS_OK:
	case TLS_AGAIN:
		lane_receive(s, d, s->leg);
		break;
	case TLS_CLOSED:
		down_ended(s);
		break;
	case TLS_CUT:
		stream_fault(s, ENDING_FAR, ENDING_CUT, "the session was cut");
		break;
	case TLS_FAILED:
		stream_fault(s, ENDING_FAR, ENDING_BYTES, inner_error(&s->inner));
		break;
	}
}

/* Takes what the leg brought out of its envelope, in place, and out of the ring's buffer. */
static bool take_down(struct stream *s, int res)
{
	struct lane *d = &s->down;
	uint8_t *bytes = d->pooled ? d->recv.buf : d->block.data + d->in_at;
	size_t len = (size_t)res;
	bool ok = s->inner.open.raw ||
		  envelope_open(&s->inner.open, bytes, len, bytes, &len) == ENVELOPE_OK;

	if (!ok)
		stream_fault(s, ENDING_FAR, ENDING_BYTES,
			     "the envelope of the session is malformed");
	if (!d->pooled) {
		d->in_end = d->in_at + len;
		return ok;
	}
	if (ok && s->inner.tls) {
		ok = tls_feed(s->inner.tls, bytes, len);
		if (!ok)
			stream_fault(s, ENDING_SELF, ENDING_MEMORY, "out of memory");
	} else if (ok) {
		ok = lane_copy(s, d, bytes, len);
	}
	ring_buffer_put(s->worker->ring, bytes);
	return ok;
}

void stream_bulk_received_down(struct stream *s, int res)
{
	if (!lane_received(s, &s->down, s->leg, ENDING_FAR, res))
		return;
	if (res == 0 && s->inner.tls)
		tls_feed_eof(s->inner.tls);
	if (res == 0 || take_down(s, res))
		pump_down(s);
}

static void stream_down_sent(struct ring_op *op, int res)
{
	struct stream *s = container(op, struct stream, down.send);

	if (stream_ending(s))
		return;
	if (res < 0)
		end_error(s, ENDING_LOCAL, -res);
	else
		pump_down(s);
}

/* ---- the beginning ---- */

void stream_bulk_init(struct stream *s)
{
	s->up.recv.done = stream_up_received;
	s->down.send.done = stream_down_sent;
}

void stream_bulk_begin(struct stream *s)
{
	/* A message may still be leaving, or a receive be waiting: they go on by themselves. */
	if (!ring_op_busy(&s->up.send))
		pump_up(s);
	if (!ring_op_busy(&s->down.recv) && s->phase == STREAM_BULK)
		pump_down(s);
}
