/* SPDX-License-Identifier: Apache-2.0 */
/* stream: connect, ask, read one message. */
#include "stun/client/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/container.h"
#include "stun/client/client.h"

/* ---- the end ---- */

static void stun_stream_maybe_done(struct stun_stream *s)
{
	if (ring_op_busy(&s->rx) || ring_op_busy(&s->tx) || timer_pending(&s->timer))
		return;
	ring_close_fd(s->ring, s->fd);
	s->done(s);
}

void stun_stream_end(struct stun_stream *s, const char *why)
{
	if (s->ending)
		return;
	s->ending = true;
	snprintf(s->why, sizeof(s->why), "%s", why);
	ring_cancel(s->ring, &s->rx);
	ring_cancel(s->ring, &s->tx);
	ring_timer_set(s->ring, &s->timer, 0);
}

static void stun_stream_timer_fired(struct timer *t, uint64_t now_ms)
{
	struct stun_stream *s = container(t, struct stun_stream, timer);

	if (s->ending)
		stun_stream_maybe_done(s);
	else
		stun_stream_end(s, "no answer");
}

/* ---- question and answer ---- */

/* The whole message has come. */
static void stun_stream_take_answer(struct stun_stream *s, size_t len)
{
	const struct addr *external;
	struct stun_message m;

	if (stun_decode(s->in, len, &m) != STUN_OK) {
		stun_stream_end(s, "what answers there is no STUN server");
		return;
	}
	switch (stun_transaction_answer(&s->transaction, &m, &s->server)) {
	case STUN_MATCH_SUCCESS:
		external = stun_external_address(&m);
		if (external)
			s->external = *external;
		stun_stream_end(s, external ? "" : "the answer has no address");
		break;
	case STUN_MATCH_ERROR:
		stun_stream_end(s, "the server answered with an error");
		break;
	default:
		stun_stream_end(s, "the answer is not to what was asked");
		break;
	}
}

static void stun_stream_received(struct ring_op *op, int res)
{
	struct stun_stream *s = container(op, struct stun_stream, rx);
	int whole;

	if (s->ending) {
		stun_stream_maybe_done(s);
		return;
	}
	if (res <= 0) {
		stun_stream_end(s, res == 0 ? "it hung up" : strerror(-res));
		return;
	}
	s->have += (size_t)res;
	whole = stun_message_length(s->in, s->have);
	if (whole < 0 || whole > (int)sizeof(s->in))
		stun_stream_end(s, "what answers there is no STUN server");
	else if (whole > 0 && s->have >= (size_t)whole)
		stun_stream_take_answer(s, (size_t)whole);
	else
		ring_recv(s->ring, op, s->fd, s->in + s->have, sizeof(s->in) - s->have);
}

static void stun_stream_sent(struct ring_op *op, int res)
{
	struct stun_stream *s = container(op, struct stun_stream, tx);

	if (s->ending)
		stun_stream_maybe_done(s);
	else if (res < 0)
		stun_stream_end(s, strerror(-res));
	else
		ring_recv(s->ring, &s->rx, s->fd, s->in, sizeof(s->in));
}

static void stun_stream_connected(struct ring_op *op, int res)
{
	struct stun_stream *s = container(op, struct stun_stream, tx);
	socklen_t size = sizeof(int);
	int error = 0;

	if (s->ending) {
		stun_stream_maybe_done(s);
		return;
	}
	if (res < 0 || getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size) || error) {
		stun_stream_end(s, strerror(error ? error : EIO));
		return;
	}
	(void)stun_transaction_step(&s->transaction, ring_now_ms(s->ring));
	op->done = stun_stream_sent;
	ring_send(s->ring, op, s->fd, s->out, sizeof(s->out));
}

/* ---- the beginning ---- */

static void stun_stream_write_request(struct stun_stream *s)
{
	struct stun_writer w;

	stun_write_begin(&w, s->out, sizeof(s->out), STUN_REQUEST, STUN_BINDING, s->transaction.id);
	(void)stun_write_end(&w);
}

int stun_stream_start(struct stun_stream *s)
{
	uint8_t id[STUN_ID_BYTES];

	stun_client_id(id);
	s->fd = socket(s->server.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	if (connect(s->fd, &s->server.sa, s->server.len) && errno != EINPROGRESS) {
		int error = -errno;

		close(s->fd);
		return error;
	}
	s->rx = (struct ring_op){.done = stun_stream_received};
	s->tx = (struct ring_op){.done = stun_stream_connected};
	s->timer.fire = stun_stream_timer_fired;
	s->have = 0;
	s->ending = false;
	s->external = (struct addr){.len = 0};
	stun_transaction_start(&s->transaction, id, &s->server, &stun_pace_stream,
			       ring_now_ms(s->ring));
	stun_stream_write_request(s);
	ring_poll(s->ring, &s->tx, s->fd, POLLOUT);
	ring_timer_set(s->ring, &s->timer, s->timeout_ms ? s->timeout_ms : STUN_STREAM_TIMEOUT_MS);
	return 0;
}
