/* SPDX-License-Identifier: Apache-2.0 */
/* flow: the copy engine of one direction. */
#include "relay/flow.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "relay/session.h"

/* So many full small receives in a row earn large buffers; so many small ones give them up. */
#define STREAK_BUSY  2u
#define STREAK_QUIET 8u

/* Rounds of one pump; then others have their turn. */
#define PUMP_ROUNDS 4u

static ring_done_fn flow_waited, flow_ready, flow_sent;

struct session *flow_session(struct flow *f)
{
	struct flow *first = f - f->side;

	return (struct session *)((char *)first - offsetof(struct session, flow));
}

static struct worker *flow_worker(struct flow *f)
{
	return flow_session(f)->worker;
}

static int flow_from(struct flow *f)
{
	return flow_session(f)->fd[f->side];
}

static int flow_to(struct flow *f)
{
	return flow_session(f)->fd[!f->side];
}

void flow_init(struct flow *f, unsigned side)
{
	f->side = (uint8_t)side;
	f->state = FLOW_IDLE;
}

void flow_release(struct flow *f)
{
	struct worker *w = flow_worker(f);

	if (f->small)
		ring_buffer_put(w->ring, f->small);
	if (f->large)
		buffers_put(&w->large, f->large);
	free(f->owned);
	free(f->wrap);
	f->small = f->large = f->owned = NULL;
	f->wrap = NULL;
}

/* ---- receiving ---- */

static void flow_wait(struct flow *f)
{
	f->state = FLOW_WAIT;
	f->op.done = flow_waited;
	ring_recv_pooled(flow_worker(f)->ring, &f->op, flow_from(f));
}

static void flow_poll(struct flow *f)
{
	f->state = FLOW_READY;
	f->op.done = flow_ready;
	ring_poll(flow_worker(f)->ring, &f->op, flow_from(f), POLLIN | POLLRDHUP);
}

static void flow_next(struct flow *f)
{
	if (f->busy)
		flow_poll(f);
	else
		flow_wait(f);
}

static void flow_eof(struct flow *f)
{
	flow_release(f);
	f->state = FLOW_ENDED;
	shutdown(flow_to(f), SHUT_WR);
	session_flow_ended(flow_session(f));
}

/* ---- sending ---- */

static void flow_send(struct flow *f, const uint8_t *data, size_t len)
{
	f->state = FLOW_SEND;
	f->op.done = flow_sent;
	ring_send(flow_worker(f)->ring, &f->op, flow_to(f), data, len);
}

/* Sends a copy that went through the envelope. The handshake alone takes this way. */
static void flow_send_wrapped(struct flow *f, const uint8_t *data, size_t len)
{
	struct flow_wrap *w = f->wrap;
	size_t n = 0;
	uint8_t *copy = malloc(ENVELOPE_SEAL_ROOM(len));

	if (!copy) {
		session_flow_failed(flow_session(f), ENOMEM);
		return;
	}
	enum envelope_status status = w->seals ? envelope_seal(&w->envelope, data, len, copy, &n)
					       : envelope_open(&w->envelope, data, len, copy, &n);
	free(f->owned);
	f->owned = copy;
	if (status != ENVELOPE_OK) {
		session_flow_failed(flow_session(f), EPROTO);
		return;
	}
	if (w->envelope.raw) {
		free(f->wrap);
		f->wrap = NULL;
	}
	if (n == 0) { /* only a header so far */
		flow_next(f);
		return;
	}
	flow_send(f, f->owned, n);
}

static void flow_pass(struct flow *f, const uint8_t *data, size_t len)
{
	struct worker *w = flow_worker(f);

	f->bytes += len;
	stat_add(&w->stats.bytes, len);
	if (f->wrap)
		flow_send_wrapped(f, data, len);
	else
		flow_send(f, data, len);
}

static void flow_give_back_small(struct flow *f)
{
	if (!f->small)
		return;
	ring_buffer_put(flow_worker(f)->ring, f->small);
	f->small = NULL;
}

static void flow_give_back_large(struct flow *f)
{
	if (!f->large)
		return;
	buffers_put(&flow_worker(f)->large, f->large);
	f->large = NULL;
}

/* ---- completions ---- */

static void flow_waited(struct ring_op *op, int res)
{
	struct flow *f = (struct flow *)op;

	if (flow_session(f)->ended || res < 0) {
		session_flow_failed(flow_session(f), -res);
		return;
	}
	if (res == 0) {
		flow_eof(f);
		return;
	}
	f->small = op->buf;
	if ((size_t)res == RING_SMALL_BYTES && !f->wrap) {
		if (++f->streak >= STREAK_BUSY) {
			f->busy = true;
			f->streak = 0;
		}
	} else {
		f->streak = 0;
	}
	flow_pass(f, f->small, (size_t)res);
}

static void flow_judge(struct flow *f, size_t received)
{
	if (received >= RING_SMALL_BYTES) {
		f->streak = 0;
	} else if (++f->streak >= STREAK_QUIET) {
		f->busy = false;
		f->streak = 0;
	}
}

/* One round. True: go on; false: something else has been started, or the session is over. */
static bool flow_pump_once(struct flow *f)
{
	struct worker *w = flow_worker(f);
	ssize_t n = recv(flow_from(f), f->large, w->large.each_bytes, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		flow_give_back_large(f);
		flow_next(f);
		return false;
	}
	if (n < 0) {
		session_flow_failed(flow_session(f), errno);
		return false;
	}
	if (n == 0) {
		flow_eof(f);
		return false;
	}
	flow_judge(f, (size_t)n);
	f->bytes += (size_t)n;
	stat_add(&w->stats.bytes, (size_t)n);

	ssize_t sent = send(flow_to(f), f->large, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent == n)
		return true;
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		session_flow_failed(flow_session(f), errno);
		return false;
	}
	if (sent < 0)
		sent = 0;
	flow_send(f, f->large + sent, (size_t)(n - sent));
	return false;
}

static void flow_ready(struct ring_op *op, int res)
{
	struct flow *f = (struct flow *)op;

	if (flow_session(f)->ended || res < 0) {
		session_flow_failed(flow_session(f), -res);
		return;
	}
	f->large = buffers_get(&flow_worker(f)->large);
	if (!f->large) { /* all lent out: small ones do the work meanwhile */
		flow_wait(f);
		return;
	}
	for (unsigned round = 0; round < PUMP_ROUNDS; round++)
		if (!flow_pump_once(f))
			return;
	flow_give_back_large(f);
	flow_next(f);
}

static void flow_sent(struct ring_op *op, int res)
{
	struct flow *f = (struct flow *)op;

	if (flow_session(f)->ended || res < 0) {
		session_flow_failed(flow_session(f), -res);
		return;
	}
	free(f->owned);
	f->owned = NULL;
	flow_give_back_small(f);
	flow_give_back_large(f);
	flow_next(f);
}

void flow_start(struct flow *f, uint8_t *head, size_t head_len)
{
	if (!head) {
		flow_wait(f);
		return;
	}
	f->owned = NULL;
	f->bytes += head_len;
	if (f->wrap) {
		flow_send_wrapped(f, head, head_len);
		free(head);
	} else {
		f->owned = head;
		flow_send(f, head, head_len);
	}
}
