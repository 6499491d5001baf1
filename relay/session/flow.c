/* SPDX-License-Identifier: Apache-2.0 */
/* flow: the copy engine of one direction. */
#include "relay/session/flow_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/tcp.h> /* tcpi_min_rtt, which netinet/tcp.h lacks */
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "core/container.h"
#include "core/memory.h"
#include "core/probe.h"
#include "relay/session/pace.h"
#include "relay/session/session.h"
#include "relay/session/trace.h"

/* So many full small receives in a row earn large buffers; so many small ones give them up. */
#define STREAK_BUSY  2u
#define STREAK_QUIET 8u
/* Moving pages pays from here on; below, copying is cheaper (docs/benchmarks.md). */
#define SPLICE_LEAST 32768u
/* A measured minimal round trip below this is one within a machine or a rack. */
#define CLOSE_RTT_US 1000u

static ring_done_fn flow_waited, flow_ready, flow_sent;

struct session *flow_session(struct flow *f)
{
	struct flow *first = f - f->side;

	return container(first, struct session, flow);
}

enum ending_side flow_side(unsigned side)
{
	return side == 0 ? ENDING_ASKING : ENDING_PUBLISHING;
}

void flow_init(struct flow *f, unsigned side)
{
	f->side = (uint8_t)side;
	f->state = FLOW_IDLE;
}

/* The only place that changes the state. */
static void flow_enter(struct flow *f, enum flow_state state)
{
	static const char *const names[] = {"idle", "wait", "ready", "paced", "send", "ended"};

	static_assert(sizeof names / sizeof names[0] == FLOW_STATES, "a name for each state");
	PROBE_FLOW_STATE(flow_session(f)->number, f->side, names[f->state], names[state]);
	f->state = (uint8_t)state;
}

static void flow_give_back_large(struct flow *f)
{
	if (!f->large)
		return;
	buffers_put(&flow_shared(f)->large, f->large);
	f->large = NULL;
}

uint8_t *flow_get(struct flow *f, size_t len)
{
	bool proved = flow_session(f)->pair.from != NULL;

	return !proved && memory_tight() ? NULL : memory_get(len);
}

void flow_own(struct flow *f, uint8_t *bytes, size_t len)
{
	f->owned = bytes;
	f->owned_len = (uint32_t)len;
	flow_shared(f)->held_bytes += len;
}

static void flow_drop_memory(struct flow *f)
{
	flow_give_back_large(f);
	if (!f->owned)
		return;
	flow_shared(f)->held_bytes -= f->owned_len;
	memory_free(f->owned);
	f->owned = NULL;
}

void flow_release(struct flow *f)
{
	if (f->state == FLOW_PACED)
		pace_forget(f);
	flow_enter(f, FLOW_IDLE);
	flow_drop_memory(f);
	memory_free(f->wrap);
	f->wrap = NULL;
}

/* ---- waiting ---- */

void flow_next(struct flow *f)
{
	struct worker *w = flow_worker(f);

	if (f->busy || flow_session(f)->share) {
		flow_enter(f, FLOW_READY);
		f->op.done = flow_ready;
		/* POLLRDHUP: a half-close counts as something to receive, also before 0 is read. */
		ring_poll(w->ring, &f->op, flow_from(f), POLLIN | POLLRDHUP);
	} else {
		flow_enter(f, FLOW_WAIT);
		f->op.done = flow_waited;
		ring_recv_pooled(w->ring, &f->op, flow_from(f));
	}
}

/* #syscalls shutdown(1 is SHUT_WR) */
void flow_eof(struct flow *f)
{
	flow_release(f);
	flow_enter(f, FLOW_ENDED);
	TRACE_SESSION(flow_session(f), "the %s side ended its direction after %" PRIu64 " bytes",
		      f->side == 0 ? "asking" : "publishing", f->bytes);
	shutdown(flow_to(f), SHUT_WR);
	session_flow_ended(flow_session(f));
}

/* ---- sending ---- */

void flow_send(struct flow *f, const uint8_t *data, size_t len)
{
	flow_enter(f, FLOW_SEND);
	f->op.done = flow_sent;
	ring_send(flow_worker(f)->ring, &f->op, flow_to(f), data, len);
}

static bool flow_pressed(struct flow *f)
{
	const struct sessions *ss = flow_shared(f);
	size_t lent = ss->large.made - ss->large.free_count;

	return lent > ss->large.max_count / 2 ||
	       ss->held_bytes > ss->large.max_count / 2 * ss->large.each_bytes;
}

/* The receiver did not take all: keeps what is left and waits for the receiver. */
static void flow_hold(struct flow *f, const uint8_t *left, size_t len)
{
	if (!f->large || flow_pressed(f)) {
		uint8_t *copy = flow_get(f, len);

		if (!copy) {
			flow_failed(f, ENOMEM);
			return;
		}
		memcpy(copy, left, len);
		flow_give_back_large(f);
		flow_own(f, copy, len);
		left = copy;
	}
	flow_send(f, left, len);
}

/* Sends bytes that are good during this call. True: all have left; false: an operation has been
 * started, or the session is over.
 *
 * #syscalls sendto(4 is 0, 3 without MSG_FASTOPEN)
 */
static bool flow_forward(struct flow *f, const uint8_t *data, size_t len)
{
	ssize_t sent = send(flow_to(f), data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent == (ssize_t)len)
		return true;
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		flow_receiver_failed(f, errno);
		return false;
	}
	if (sent < 0)
		sent = 0;
	flow_hold(f, data + sent, len - (size_t)sent);
	return false;
}

/* Sends a copy that went through the envelope. The handshake alone takes this way. */
static void flow_forward_wrapped(struct flow *f, const uint8_t *data, size_t len)
{
	struct flow_wrap *w = f->wrap;
	size_t n = 0, room = ENVELOPE_SEAL_ROOM(len) + (w->seals ? ENVELOPE_PADDING : 0);
	uint8_t *copy = memory_get(room);

	if (!copy) {
		flow_failed(f, ENOMEM);
		return;
	}
	enum envelope_status status =
		w->seals ? envelope_seal(&w->envelope, data, len, copy, room, &n)
			 : envelope_open(&w->envelope, data, len, copy, &n);
	flow_own(f, copy, room);
	if (status != ENVELOPE_OK) {
		flow_source_failed(f, EPROTO);
		return;
	}
	if (w->envelope.raw) {
		memory_free(f->wrap);
		f->wrap = NULL;
	}
	if (n > 0) {
		flow_send(f, copy, n);
		return;
	}
	flow_drop_memory(f); /* only a header so far */
	flow_next(f);
}

void flow_count(struct flow *f, size_t len)
{
	f->bytes += len;
	stat_add(&flow_worker(f)->stats.bytes, len);
}

/*
 * A pacing congestion control (BBR) spreads what is sent over a round trip by timers. Within a
 * machine or a rack the round trip is shorter than a timer is precise: pacing then halves a bulk
 * transfer and doubles its cost (docs/benchmarks.md), and protects no queue. The socket that a busy
 * direction sends on then goes on with Reno; everything farther away keeps what the system gave it.
 * Looks once; failures change nothing.
 *
 * #syscalls getsockopt
 * #syscalls-rare setsockopt(1 is IPPROTO_TCP); where the system's choice is BBR
 */
static void flow_unpace(struct flow *f)
{
	int fd = flow_to(f);
	static const char plain[] = "reno"; /* every kernel has it and every user may choose it */
	char control[16] = "";
	struct tcp_info info = {0};
	socklen_t control_len = sizeof control, info_len = sizeof info;

	if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, &control_len) < 0 ||
	    strncmp(control, "bbr", 3) != 0)
		return;
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_len) < 0 ||
	    info_len < offsetof(struct tcp_info, tcpi_min_rtt) + sizeof info.tcpi_min_rtt)
		return;
	if (info.tcpi_min_rtt > 0 && info.tcpi_min_rtt < CLOSE_RTT_US)
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, plain, sizeof plain - 1);
}

/* ---- completions ---- */

/* The sender's wire has ended. */
static void flow_source_ended(struct flow *f)
{
	if (flow_session(f)->bridge)
		flow_cross_end(f);
	else
		flow_eof(f);
}

/* The bytes of a pooled receive; the buffer goes back when this returns. */
static void flow_take_small(struct flow *f, const uint8_t *data, size_t len)
{
	if (flow_session(f)->share) /* it came while this receive was in flight */
		share_charge(flow_session(f)->share, len);
	if (flow_session(f)->bridge) {
		flow_cross(f, data, len);
		return;
	}
	flow_count(f, len);
	if (f->wrap) {
		flow_forward_wrapped(f, data, len);
		return;
	}
	if (len < RING_SMALL_BYTES) {
		f->streak = 0;
	} else if (++f->streak >= STREAK_BUSY) {
		f->busy = true;
		f->streak = 0;
		if (!f->looked)
			flow_unpace(f);
		f->looked = true;
	}
	if (flow_forward(f, data, len))
		flow_next(f);
}

static void flow_waited(struct ring_op *op, int res)
{
	struct flow *f = (struct flow *)op;
	struct ring *ring = flow_worker(f)->ring;
	uint8_t *buf = op->buf;

	if (flow_session(f)->ended || res < 0)
		flow_source_failed(f, -res);
	else if (res == 0)
		flow_source_ended(f);
	else
		flow_take_small(f, buf, (size_t)res);
	if (res > 0)
		ring_buffer_put(ring, buf);
}

static void flow_judge(struct flow *f, size_t received)
{
	f->large_moves = received >= SPLICE_LEAST;

	if (received >= RING_SMALL_BYTES) {
		f->streak = 0;
	} else if (++f->streak >= STREAK_QUIET) {
		f->busy = false;
		f->streak = 0;
	}
}

/* One receive and one send: polling again costs less than asking a socket that is empty.
 *
 * #syscalls recvfrom
 */
static void flow_pump(struct flow *f, uint8_t *buf, size_t room)
{
	ssize_t n = recv(flow_from(f), buf, room, MSG_DONTWAIT);

	if (flow_session(f)->share)
		share_return(flow_session(f)->share, n > 0 ? room - (size_t)n : room);
	if (n == 0) {
		flow_source_ended(f);
		return;
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		flow_source_failed(f, errno);
		return;
	}
	if (n > 0 && flow_session(f)->bridge) {
		flow_cross(f, buf, (size_t)n);
		return;
	}
	if (n > 0) {
		flow_judge(f, (size_t)n);
		flow_count(f, (size_t)n);
		if (f->wrap) {
			flow_forward_wrapped(f, buf, (size_t)n);
			return;
		}
		if (!flow_forward(f, buf, (size_t)n))
			return;
	}
	flow_give_back_large(f);
	flow_next(f);
}

static size_t flow_large_room(struct flow *f)
{
	return flow_pressed(f) ? FLOW_PRESSED_BYTES : flow_shared(f)->large.each_bytes;
}

/* Receives what the allowance is for. A small one needs no large buffer, and an envelope or a
 * bridge takes no more than a pooled one holds. */
static void flow_pump_shared(struct flow *f)
{
	struct share *share = flow_session(f)->share;
	bool small = f->wrap || flow_session(f)->bridge;
	size_t take = share_take(share, small ? PLAIN_BYTES : flow_large_room(f));

	if (take == 0) {
		flow_enter(f, FLOW_PACED);
		pace_wait(f);
		return;
	}
	if (take > PLAIN_BYTES)
		f->large = buffers_get(&flow_shared(f)->large);
	if (take > PLAIN_BYTES && !f->large) {
		share_return(share, take - PLAIN_BYTES);
		take = PLAIN_BYTES;
	}
	flow_pump(f, f->large ? f->large : flow_worker(f)->plain, take);
}

void flow_resume(struct flow *f)
{
	pace_forget(f);
	flow_enter(f, FLOW_READY);
	if (flow_session(f)->ended)
		flow_failed(f, 0);
	else
		flow_pump_shared(f);
}

/* The receiver did not take all of what is in the splicer. */
static void flow_hold_spliced(struct flow *f, size_t left, int error)
{
	struct splicer *splicer = &flow_shared(f)->splicer;

	uint8_t *copy = error == -EAGAIN ? flow_get(f, left) : NULL;

	if (copy)
		flow_own(f, copy, left);
	/* Also on failure nothing may stay in there for another session. */
	if (!splicer_take_back(splicer, copy, left))
		flow_failed(f, EIO);
	else if (copy)
		flow_send(f, copy, left);
	else if (error == -EAGAIN)
		flow_failed(f, ENOMEM);
	else
		flow_receiver_failed(f, -error);
}

/* As flow_pump(), by moving pages instead of bytes. */
static void flow_splice(struct flow *f)
{
	struct splicer *splicer = &flow_shared(f)->splicer;
	ssize_t n = splicer_fill(splicer, flow_from(f));
	int error = 0;

	if (n == 0) {
		flow_eof(f);
		return;
	}
	if (n < 0 && n != -EAGAIN && n != -EINTR) {
		flow_source_failed(f, (int)-n);
		return;
	}
	if (n > 0) {
		flow_judge(f, (size_t)n);
		flow_count(f, (size_t)n);
		size_t left = splicer_drain(splicer, flow_to(f), (size_t)n, &error);
		if (left > 0) {
			flow_hold_spliced(f, left, error);
			return;
		}
	}
	flow_next(f);
}

static void flow_ready(struct ring_op *op, int res)
{
	struct flow *f = (struct flow *)op;

	if (flow_session(f)->ended || res < 0) {
		flow_source_failed(f, -res);
		return;
	}
	if (flow_session(f)->share) {
		flow_pump_shared(f);
		return;
	}
	if (f->large_moves && !flow_pressed(f) && splicer_ready(&flow_shared(f)->splicer)) {
		flow_splice(f);
		return;
	}
	f->large = buffers_get(&flow_shared(f)->large);
	if (f->large) {
		flow_pump(f, f->large, flow_large_room(f));
		return;
	}
	f->busy = false; /* no memory: small buffers do the work meanwhile */
	flow_next(f);
}

static void flow_sent(struct ring_op *op, int res)
{
	struct flow *f = (struct flow *)op;

	if (flow_session(f)->ended || res < 0) {
		flow_receiver_failed(f, -res);
		return;
	}
	flow_drop_memory(f);
	if (flow_cross_over(f))
		flow_eof(f);
	else
		flow_next(f);
}

void flow_start(struct flow *f, uint8_t *head, size_t head_len)
{
	if (flow_session(f)->bridge) {
		flow_cross_start(f, head, head_len);
		return;
	}
	if (!head) {
		flow_next(f);
		return;
	}
	flow_count(f, head_len);
	share_charge(flow_session(f)->share, head_len);
	if (f->wrap) {
		flow_forward_wrapped(f, head, head_len);
		memory_free(head);
	} else {
		flow_own(f, head, head_len);
		flow_send(f, head, head_len);
	}
}
