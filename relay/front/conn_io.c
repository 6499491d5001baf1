/* SPDX-License-Identifier: Apache-2.0 */
/* conn_io: the bytes of a connection: receiving, keeping, sending, and TLS around them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/container.h"
#include "core/engine/calls.h"
#include "relay/front/conn_internal.h"

#define OUTPUT_MAX 262144u /* a peer that lets more control bytes pile up is cut */

/* ---- receiving ---- */

static bool phase_reads(enum conn_phase phase)
{
	switch (phase) {
	case CONN_LEG_OPENING:
	case CONN_PUBLIC:
	case CONN_CUTTING:
	case CONN_DEAD:
		return false;
	default:
		return true;
	}
}

void conn_read_on(struct conn *c)
{
	if (!phase_reads(c->phase) || c->read_done || ring_op_busy(&c->rx))
		return;
	ring_recv_pooled(conn_ring(c), &c->rx, c->fd);
}

static void conn_input(struct conn *c, const uint8_t *data, size_t len)
{
	switch (c->phase) {
	case CONN_PROXY:
	case CONN_HELLO:
	case CONN_HANDSHAKE:
	case CONN_FIRST:
		front_input(c, data, len);
		break;
	case CONN_STUN:
		stun_stream_input(c, data, len);
		break;
	case CONN_WEB:
		web_input(c, data, len);
		break;
	case CONN_LINK:
		link_input(c, data, len);
		break;
	case CONN_CONSOLE:
		console_input(c, data, len);
		break;
	case CONN_LEG_IDLE:
		leg_input(c, data, len);
		break;
	default: /* CLOSING reads only to see the end */
		break;
	}
}

void conn_received(struct ring_op *op, int res)
{
	struct conn *c = container(op, struct conn, rx);

	if (res > 0) {
		uint8_t *buf = op->buf;

		if (c->phase != CONN_DEAD)
			conn_input(c, buf, (size_t)res);
		ring_buffer_put(conn_ring(c), buf);
		if (c->phase == CONN_DEAD)
			conn_close(c, REASON_OK);
		else
			conn_read_on(c);
		return;
	}
	if (c->phase == CONN_DEAD)
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
		uint8_t *in = realloc(c->in, room);

		if (!in)
			return false;
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
	free(c->in);
	c->in = NULL;
	c->in_room = 0;
}

/* ---- sending ---- */

bool conn_sending(const struct conn *c)
{
	size_t waiting = 0;

	if (c->tls)
		tls_output(c->tls, &waiting);
	return ring_op_busy(&c->tx) || waiting > 0;
}

void conn_flush(struct conn *c)
{
	size_t len = 0;
	const uint8_t *out;

	if (c->phase == CONN_DEAD || ring_op_busy(&c->tx) || !c->tls)
		return;
	out = tls_output(c->tls, &len);
	if (len == 0)
		return;
	if (len > (c->phase == CONN_CONSOLE ? CALLER_OUTPUT_MAX : OUTPUT_MAX)) {
		conn_close(c, REASON_DEADLINE_IDLE);
		return;
	}
	c->tx_data = malloc(len);
	if (!c->tx_data) {
		conn_close(c, REASON_LIMIT_MEMORY);
		return;
	}
	memcpy(c->tx_data, out, len);
	tls_output_drop(c->tls, len);
	ring_send(conn_ring(c), &c->tx, c->fd, c->tx_data, len);
}

void conn_sent(struct ring_op *op, int res)
{
	struct conn *c = container(op, struct conn, tx);

	free(c->tx_data);
	c->tx_data = NULL;
	if (c->phase == CONN_DEAD || res < 0) {
		conn_close(c, REASON_OK);
		return;
	}
	conn_flush(c);
	if (conn_sending(c) || c->phase == CONN_DEAD)
		return;
	if (c->phase == CONN_CLOSING)
		conn_shutdown_write(c);
	else if (c->phase == CONN_CUTTING)
		leg_flushed(c);
	else if (c->phase == CONN_WEB)
		web_continue(c);
	else if (c->phase == CONN_STUN)
		stun_stream_continue(c);
}

void conn_send_raw(struct conn *c, const void *data, size_t len)
{
	if (c->phase >= CONN_CLOSING || c->tls || ring_op_busy(&c->tx))
		return;
	c->tx_data = malloc(len);
	if (!c->tx_data) {
		conn_close(c, REASON_LIMIT_MEMORY);
		return;
	}
	memcpy(c->tx_data, data, len);
	ring_send(conn_ring(c), &c->tx, c->fd, c->tx_data, len);
}

void conn_send_plain(struct conn *c, const void *data, size_t len)
{
	if (c->phase >= CONN_CLOSING || !c->tls)
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

/* ---- TLS ---- */

void conn_drop_tls(struct relay *r, struct tls *tls)
{
	if (!tls)
		return;
	tls_free(tls);
	atomic_fetch_sub_explicit(&r->tls_states, 1, memory_order_relaxed);
}

void conn_start_tls(struct conn *c, const uint8_t *data, size_t len)
{
	struct relay *r = c->worker->relay;

	if (atomic_fetch_add_explicit(&r->tls_states, 1, memory_order_relaxed) < r->tls_limit)
		c->tls = tls_new(c->worker->snap->front, true);
	if (!c->tls)
		atomic_fetch_sub_explicit(&r->tls_states, 1, memory_order_relaxed);
	if (!c->tls || !tls_feed(c->tls, data, len)) {
		conn_close(c, REASON_LIMIT_MEMORY);
		return;
	}
	conn_set_phase(c, CONN_HANDSHAKE);
	conn_set_deadline(c, c->worker->snap->config.limits.handshake_ms);
}

bool conn_feed(struct conn *c, const uint8_t *data, size_t len)
{
	if (len == 0 || tls_feed(c->tls, data, len))
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
