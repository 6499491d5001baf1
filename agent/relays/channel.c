/* SPDX-License-Identifier: Apache-2.0 */
/* channel: Postern messages over one outer TLS connection, for links and for legs before GO. */
#include "agent/relays/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/container.h"

/* ---- the end ---- */

static bool channel_closing(const struct channel *c)
{
	return c->state == CHANNEL_CLOSING || c->state == CHANNEL_DETACHING;
}

static void free_parts(struct channel *c)
{
	tls_free(c->tls);
	outbox_free(&c->out);
	free(c->partial);
	c->tls = NULL;
	c->partial = NULL;
}

/* When nothing is in flight any more: the last call. A detached channel keeps its descriptor, and
 * its TLS object until channel_take_raw(). */
static void maybe_closed(struct channel *c)
{
	struct agent_worker *w = c->worker;

	if (ring_op_busy(&c->recv) || outbox_busy(&c->out))
		return;
	ring_timer_cancel(w->ring, &c->timer);
	if (c->state == CHANNEL_CLOSING) {
		ring_close_fd(w->ring, c->fd);
		c->fd = -1;
		free_parts(c);
	}
	c->state = CHANNEL_UNUSED;
	c->events->closed(c);
	agent_worker_drop(w);
}

static void channel_lose(struct channel *c, const char *why)
{
	if (c->state == CHANNEL_FINISHING) {
		channel_close(c);
	} else if (c->state == CHANNEL_OPEN) {
		c->state = CHANNEL_LOST;
		c->events->lost(c, why);
	}
}

/* As channel_lose(), but from the loop: the owner is in the middle of a call. */
static void lose_later(struct channel *c, const char *why)
{
	c->broken = why;
	ring_timer_set(c->worker->ring, &c->timer, 0);
}

void channel_close(struct channel *c)
{
	if (c->state == CHANNEL_UNUSED || c->state == CHANNEL_CLOSING)
		return;
	c->state = CHANNEL_CLOSING;
	ring_cancel(c->worker->ring, &c->recv);
	outbox_close(&c->out);
	ring_timer_set(c->worker->ring, &c->timer, 0);
}

static void channel_timer_fired(struct timer *t, uint64_t now_ms)
{
	struct channel *c = container(t, struct channel, timer);

	if (channel_closing(c))
		maybe_closed(c);
	else if (c->broken)
		channel_lose(c, c->broken);
	else
		channel_close(c); /* lingered long enough */
}

/* ---- sending ---- */

/* What TLS has put out. False: it cannot be sent; lost() follows. */
static bool channel_flush(struct channel *c)
{
	size_t len;
	const uint8_t *out = tls_output(c->tls, &len);

	switch (outbox_put(&c->out, out, len)) {
	case OUTBOX_OK:
		tls_output_drop(c->tls, len);
		return true;
	case OUTBOX_FULL:
		lose_later(c, "the relay does not read what we send");
		return false;
	case OUTBOX_NO_MEMORY:
		lose_later(c, "out of memory");
		return false;
	case OUTBOX_CLOSED:
		break;
	}
	return false;
}

/* Goes on reading, unless much waits for the relay to read. */
static void channel_receive(struct channel *c)
{
	if (c->state == CHANNEL_OPEN && !ring_op_busy(&c->recv) &&
	    outbox_waiting(&c->out) < CHANNEL_OUTPUT_PAUSE)
		ring_recv_pooled(c->worker->ring, &c->recv, c->fd);
}

static void channel_moved(struct outbox *o, int error)
{
	struct channel *c = container(o, struct channel, out);

	if (channel_closing(c))
		maybe_closed(c);
	else if (error)
		channel_lose(c, strerror(-error));
	else if (c->state == CHANNEL_FINISHING && !outbox_busy(o))
		channel_close(c);
	else
		channel_receive(c);
}

bool channel_send(struct channel *c, const struct wire_message *m)
{
	size_t tag = c->tagged ? 0 : TAG_BYTES, len;
	uint8_t *frame;
	bool ok;

	if (c->state != CHANNEL_OPEN)
		return false;
	frame = malloc(TAG_BYTES + WIRE_FRAME_MAX);
	if (frame)
		memcpy(frame, c->tag, tag);
	len = frame ? wire_encode(m, frame + tag, WIRE_FRAME_MAX) : 0;
	/* The tag and what follows it are one record: the relay judges by the first one. */
	ok = len > 0 && tls_write(c->tls, frame, tag + len) == TLS_OK;
	free(frame);
	c->tagged = true;
	if (ok)
		return channel_flush(c);
	lose_later(c, "a message could not be written");
	return false;
}

void channel_finish(struct channel *c)
{
	if (c->state == CHANNEL_LOST)
		channel_close(c);
	if (c->state != CHANNEL_OPEN)
		return;
	c->state = CHANNEL_FINISHING;
	tls_close_write(c->tls);
	ring_timer_set(c->worker->ring, &c->timer, CHANNEL_LINGER_MS);
	if (channel_flush(c) && !outbox_busy(&c->out))
		channel_close(c);
}

/* ---- receiving ---- */

static bool keep_partial(struct channel *c, const uint8_t *bytes, size_t len)
{
	free(c->partial);
	c->partial = NULL;
	c->partial_len = 0;
	if (len == 0)
		return true;
	c->partial = malloc(len);
	if (!c->partial)
		return false;
	memcpy(c->partial, bytes, len);
	c->partial_len = len;
	return true;
}

static void channel_refuse(struct channel *c, enum wire_status status, const struct wire_message *m)
{
	char text[WIRE_EXTENSION_TEXT_MAX];

	if (status == WIRE_UNKNOWN_EXTENSION) {
		wire_explain_extension(m, "this agent", text);
		c->events->unacceptable(c, REASON_EXTENSION, text);
	} else if (status == WIRE_BAD_VERSION) {
		c->events->unacceptable(c, REASON_VERSION, reason_sentence(REASON_VERSION));
	} else {
		c->events->unacceptable(
			c, REASON_PROTOCOL,
			"the relay sent a malformed message; update the older side");
	}
}

/* "HTTP/1.1 400 Bad Request": what a web server says to a tag. */
static void channel_unknown(struct channel *c)
{
	if (c->events->unknown)
		c->events->unknown(c);
	channel_lose(c, TAG_UNKNOWN_SENTENCE);
}

/* Gives on every complete frame of the plaintext; the rest is kept. */
static void give_frames(struct channel *c, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		struct wire_message m;
		size_t used;
		enum wire_status status = wire_decode(bytes, len, &m, &used);

		if (status == WIRE_SHORT)
			break;
		if (status == WIRE_BAD_VERSION && bytes[0] == 'H') {
			channel_unknown(c);
			return;
		}
		if (status != WIRE_OK &&
		    !(status == WIRE_UNKNOWN_EXTENSION && m.type == WIRE_OFFER)) {
			channel_refuse(c, status, &m);
			return;
		}
		c->excess = used < len;
		c->events->message(c, &m);
		if (c->state != CHANNEL_OPEN)
			return;
		bytes += used;
		len -= used;
	}
	if (!keep_partial(c, bytes, len))
		channel_lose(c, "out of memory");
}

/* Record by record: after GO, what follows must stay unread. */
static void channel_drain(struct channel *c)
{
	uint8_t *scratch = c->worker->scratch;

	while (c->state == CHANNEL_OPEN) {
		size_t n = 0;
		enum tls_status status;

		if (c->partial_len)
			memcpy(scratch, c->partial, c->partial_len);
		status = tls_read(c->tls, scratch + c->partial_len,
				  AGENT_SCRATCH_BYTES - c->partial_len, &n);
		switch (status) {
		case TLS_OK:
			give_frames(c, scratch, c->partial_len + n);
			break;
		case TLS_AGAIN:
			return;
		case TLS_CLOSED:
		case TLS_CUT:
			channel_lose(c, "the relay closed the connection");
			return;
		case TLS_FAILED:
			channel_lose(c, tls_error(c->tls));
			return;
		}
	}
}

static void channel_received(struct ring_op *op, int res)
{
	struct channel *c = container(op, struct channel, recv);
	bool fed = true;

	if (channel_closing(c)) {
		if (res > 0)
			ring_buffer_put(c->worker->ring, op->buf);
		maybe_closed(c);
		return;
	}
	if (res > 0) {
		fed = tls_feed(c->tls, op->buf, (size_t)res);
		ring_buffer_put(c->worker->ring, op->buf);
	} else if (res == 0) {
		tls_feed_eof(c->tls);
	} else {
		channel_lose(c, strerror(-res));
		return;
	}
	if (!fed)
		channel_lose(c, "out of memory");
	channel_drain(c);
	channel_receive(c);
}

static void channel_start_fired(struct timer *t, uint64_t now_ms)
{
	struct channel *c = container(t, struct channel, timer);

	t->fire = channel_timer_fired;
	if (c->state != CHANNEL_OPEN || c->broken) {
		channel_timer_fired(t, now_ms);
		return;
	}
	/* The relay may have spoken right behind its handshake. */
	channel_drain(c);
	channel_receive(c);
}

bool channel_start(struct channel *c, struct agent_worker *w, int fd, struct tls *tls,
		   const uint8_t key[CONF_TAG_KEY_BYTES], const struct channel_events *events)
{
	*c = (struct channel){
		.worker = w, .events = events, .state = CHANNEL_OPEN, .fd = fd, .tls = tls};
	c->recv.done = channel_received;
	c->out = (struct outbox){
		.ring = w->ring, .fd = fd, .most = CHANNEL_OUTPUT_MAX, .moved = channel_moved};
	outbox_init(&c->out);
	c->timer.fire = channel_start_fired;
	agent_worker_hold(w);
	ring_timer_set(w->ring, &c->timer, 0);
	return tag_make(tls, key, c->tag);
}

/* ---- the raw descriptor ---- */

bool channel_detach(struct channel *c)
{
	if (c->state != CHANNEL_OPEN || c->excess)
		return false;
	c->state = CHANNEL_DETACHING;
	ring_timer_set(c->worker->ring, &c->timer, 0);
	return true;
}

struct channel_raw channel_take_raw(struct channel *c, bool keep_tls)
{
	size_t len = 0;
	const uint8_t *unread = tls_unread(c->tls, &len);
	struct channel_raw raw = {.fd = c->fd};

	c->fd = -1;
	if (keep_tls) {
		raw.tls = c->tls;
		c->tls = NULL;
	} else if (len > 0) {
		raw.unread = malloc(len);
		if (raw.unread) {
			memcpy(raw.unread, unread, len);
			raw.unread_len = len;
		} else {
			ring_close_fd(c->worker->ring, raw.fd);
			raw.fd = -1;
		}
	}
	free_parts(c);
	return raw;
}
