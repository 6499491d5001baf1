/* SPDX-License-Identifier: Apache-2.0 */
/* conn_io: the bytes of a connection: receiving, keeping, sending, and TLS around them. */
#include <errno.h>
#include <string.h>

#include "core/container.h"
#include "core/memory.h"
#include "relay/front/charge.h"
#include "relay/front/conn_internal.h"

#define OUTPUT_PAUSE 65536u /* a peer that lets so much pile up is not read meanwhile */

/* It has proved nothing, and what is left of the memory is for others: unless an older one makes
 * room, so that agents, who come as strangers, get in while strangers hoard. One goes each time:
 * what it gives back may be less than what c takes, and comes late where another worker has it, so
 * that a loop until memory is no longer tight would drop more than are needed. */
static bool conn_starved(struct conn *c)
{
	if (c->proved || !memory_tight())
		return false;
	return !charge_make_room(c) || c->phase == &phase_dead;
}

/* ---- receiving ---- */

void conn_read_on(struct conn *c)
{
	if (!c->phase->input || c->held || c->read_done || ring_op_busy(&c->rx) ||
	    outbox_waiting(&c->out) >= OUTPUT_PAUSE)
		return;
	ring_recv_pooled(conn_ring(c), &c->rx, c->fd);
}

void conn_received(struct ring_op *op, int res)
{
	struct conn *c = container(op, struct conn, rx);

	if (res > 0) {
		uint8_t *buf = op->buf;

		if (c->phase->input)
			c->phase->input(c, buf, (size_t)res);
		ring_buffer_put(conn_ring(c), buf);
		if (c->phase == &phase_dead)
			conn_close(c, REASON_OK);
		else
			conn_read_on(c);
		return;
	}
	if (c->phase == &phase_dead)
		conn_close(c, REASON_OK);
	else if (res == -ECANCELED)
		conn_read_on(c);
	else
		conn_ended_by_peer(c, res);
}

/* ---- bytes kept between receives ---- */

bool conn_keep(struct conn *c, const uint8_t *data, size_t len, size_t limit)
{
	if (len > limit || c->in_len > limit - len)
		return false;
	if (c->in_len + len > c->in_room) {
		size_t room = c->in_len + len;

		if (room < 2 * c->in_room) /* what comes byte by byte is not copied each time */
			room = 2 * c->in_room < limit ? 2 * c->in_room : limit;
		uint8_t *in = conn_starved(c) ? NULL : memory_resize(c->in, room);

		if (!in) {
			conn_close(c, REASON_LIMIT_MEMORY);
			return false;
		}
		c->in = in;
		c->in_room = room;
	}
	memcpy(c->in + c->in_len, data, len);
	c->in_len += len;
	return true;
}

void conn_drop_kept(struct conn *c, size_t n)
{
	c->in_len -= n;
	if (c->in_len > 0) {
		memmove(c->in, c->in + n, c->in_len);
		return;
	}
	memory_free(c->in);
	c->in = NULL;
	c->in_room = 0;
}

/* ---- sending ---- */

bool conn_sending(const struct conn *c)
{
	size_t waiting = 0;

	if (c->tls)
		tls_output(c->tls, &waiting);
	return outbox_busy(&c->out) || waiting > 0;
}

/* False: the connection is closed over it. */
static bool conn_put(struct conn *c, const void *data, size_t len)
{
	/* What one phase let wait may leave in the next, whose limit may be lower. */
	if (c->out.most < c->phase->output_most)
		c->out.most = c->phase->output_most;
	if (conn_starved(c) || (outbox_waiting(&c->out) > OUTPUT_MOST && memory_tight())) {
		conn_close(c, REASON_LIMIT_MEMORY);
		return false;
	}
	switch (outbox_put(&c->out, data, len)) {
	case OUTBOX_OK:
		return true;
	case OUTBOX_FULL:
		conn_close(c, REASON_NOT_READING);
		return false;
	case OUTBOX_NO_MEMORY:
		conn_close(c, REASON_LIMIT_MEMORY);
		return false;
	case OUTBOX_CLOSED:
		break;
	}
	conn_close(c, REASON_OK);
	return false;
}

void conn_flush(struct conn *c)
{
	size_t len = 0;
	const uint8_t *out;

	if (c->phase == &phase_dead || !c->tls)
		return;
	out = tls_output(c->tls, &len);
	if (len > 0 && conn_put(c, out, len))
		tls_output_drop(c->tls, len);
}

void conn_moved(struct outbox *o, int error)
{
	struct conn *c = container(o, struct conn, out);

	if (c->phase == &phase_dead || error) {
		conn_close(c, REASON_OK);
		return;
	}
	conn_flush(c);
	if (!conn_sending(c) && c->phase->sent)
		c->phase->sent(c);
	conn_read_on(c);
}

void conn_send_raw(struct conn *c, const void *data, size_t len)
{
	if (!conn_ending(c) && !c->tls)
		(void)conn_put(c, data, len);
}

void conn_send_plain(struct conn *c, const void *data, size_t len)
{
	if (conn_ending(c) || !c->tls)
		return;
	if (tls_write(c->tls, data, len) != TLS_OK) {
		conn_close(c, REASON_LIMIT_MEMORY);
		return;
	}
	conn_flush(c);
}

void conn_send_message(struct conn *c, const struct wire_message *m)
{
	uint8_t frame[WIRE_FRAME_MAX];
	size_t len = wire_encode(m, frame, sizeof frame);

	if (len > 0)
		conn_send_plain(c, frame, len);
}

struct conn_telling {
	struct ring_msg msg; /* first: the ring hands this back */
	struct relay *relay;
	slab_id conn;
	bool then_close, spare;
	size_t len;
	uint8_t frame[];
};

static void conn_tell_run(struct ring_msg *msg)
{
	struct conn_telling *t = (struct conn_telling *)msg;
	struct conn *c = conn_find(worker_of(t->relay, t->conn), t->conn);

	if (c && !(t->spare && outbox_waiting(&c->out) >= OUTPUT_PAUSE)) {
		conn_send_plain(c, t->frame, t->len);
		if (t->then_close)
			conn_finish(c);
	}
	memory_free(t);
}

static bool conn_tell_how(const struct conn_telling *how, const struct wire_message *m)
{
	uint8_t frame[WIRE_FRAME_MAX];
	size_t len = wire_encode(m, frame, sizeof frame);
	struct conn_telling *t = len > 0 ? memory_zeroed(sizeof *t + len) : NULL;

	if (!t)
		return false;
	*t = *how;
	t->msg.run = conn_tell_run;
	t->len = len;
	memcpy(t->frame, frame, len);
	ring_post(worker_of(t->relay, t->conn)->ring, &t->msg);
	return true;
}

bool conn_tell(struct relay *r, slab_id id, const struct wire_message *m, bool then_close)
{
	const struct conn_telling how = {.relay = r, .conn = id, .then_close = then_close};

	return conn_tell_how(&how, m);
}

bool conn_tell_spare(struct relay *r, slab_id id, const struct wire_message *m)
{
	const struct conn_telling how = {.relay = r, .conn = id, .spare = true};

	return conn_tell_how(&how, m);
}

/* ---- TLS ---- */

void conn_start_tls(struct conn *c, const uint8_t *data, size_t len)
{
	if (!conn_starved(c))
		c->tls = tls_new(c->worker->snap->front, true);
	if (!c->tls || !tls_feed(c->tls, data, len)) {
		conn_close(c, REASON_LIMIT_MEMORY);
		return;
	}
	stat_add(&c->worker->stats.handshakes, 1);
	conn_set_phase(c, &phase_handshake);
	conn_shorten_deadline(c, c->worker->snap->config.limits.handshake_ms);
}

bool conn_feed(struct conn *c, const uint8_t *data, size_t len)
{
	if (len == 0 || (!conn_starved(c) && tls_feed(c->tls, data, len)))
		return true;
	conn_close(c, REASON_LIMIT_MEMORY);
	return false;
}

bool conn_decrypt(struct conn *c, size_t limit, enum reason beyond)
{
	uint8_t *plain = c->worker->plain;
	size_t n;

	switch (tls_read(c->tls, plain, PLAIN_BYTES, &n)) {
	case TLS_OK:
		break;
	case TLS_AGAIN:
		return false;
	default:
		conn_finish(c);
		return false;
	}
	if (conn_keep(c, plain, n, limit))
		return true;
	conn_refuse(c, beyond);
	return false;
}
