/* SPDX-License-Identifier: Apache-2.0 */
/* natpmp_lane: one NAT-PMP request in flight. */
#include "natpmp/driver/natpmp_lane.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "core/container.h"
#include "core/log.h"

#define PER_TURN   16u /* datagrams before others get their turn */
#define LOOK_BYTES 32u /* longer than any answer, and enough to see another version */

/* The library's numbers for the protocols are the opcodes. */
static void send_request(struct natpmp_lane *l)
{
	int n;

	if (l->question.opcode == NATPMP_ADDRESS)
		n = sendpublicaddressrequest(&l->library);
	else
		n = sendnewportmappingrequest(&l->library, (int)l->question.opcode,
					      l->question.internal_port, l->external_port,
					      l->lifetime_s);
	if (n < 0)
		log_debug("natpmp", "not sent, will be sent again: %s", strerror(errno));
	ring_timer_set(l->options->ring, &l->timer, (uint64_t)NATPMP_FIRST_MS << l->sent);
	if (l->sent < NATPMP_TRIES)
		l->sent++;
}

/* ---- its end ---- */

static void close_lane(struct natpmp_lane *l)
{
	ring_timer_cancel(l->options->ring, &l->timer);
	ring_close_fd(l->options->ring, l->library.s);
	l->library.s = -1;
	l->open = false;
	l->idle(l);
}

void natpmp_lane_end(struct natpmp_lane *l)
{
	if (!l->open || l->ended)
		return;
	l->ended = true;
	/* From the ring in any case: the operation's end, or this timer. */
	ring_cancel(l->options->ring, &l->op);
	ring_timer_set(l->options->ring, &l->timer, 0);
}

static void finish(struct natpmp_lane *l, enum natpmp_outcome outcome)
{
	natpmp_lane_end(l);
	l->done(l, outcome);
}

/* ---- datagrams ---- */

/* Only what was looked at is there to be read, so the library neither waits nor sends. */
static void read_answer(struct natpmp_lane *l)
{
	memset(&l->answer, 0, sizeof(l->answer));
	switch (readnatpmpresponseorretry(&l->library, &l->answer)) {
	case NATPMP_ERR_NOGATEWAYSUPPORT:
		finish(l, NATPMP_UNREACHABLE);
		break;
	case NATPMP_ERR_RECVFROM:
	case NATPMP_TRYAGAIN:
		break;
	default:
		finish(l, NATPMP_ANSWERED);
	}
}

/* False when there is no more, or no more is wanted. */
static bool take_one(struct natpmp_lane *l)
{
	uint8_t in[LOOK_BYTES];
	enum natpmp_verdict verdict;
	ssize_t n = recv(l->library.s, in, sizeof(in), MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);

	if (n < 0) {
		if (errno == ECONNREFUSED)
			finish(l, NATPMP_UNREACHABLE);
		return false;
	}
	verdict = natpmp_answer_check(in, (size_t)n < sizeof(in) ? (size_t)n : sizeof(in),
				      &l->question);
	if (verdict == NATPMP_ANSWER) {
		read_answer(l);
		return !l->ended;
	}
	l->dropped++;
	if (recv(l->library.s, in, sizeof(in), MSG_DONTWAIT) < 0)
		return false;
	if (verdict == NATPMP_OTHER_VERSION)
		finish(l, NATPMP_NO_NATPMP);
	return !l->ended;
}

static void on_readable(struct ring_op *op, int res)
{
	struct natpmp_lane *l = container(op, struct natpmp_lane, op);

	for (unsigned i = 0; i < PER_TURN && res >= 0 && !l->ended && take_one(l); i++)
		;
	/* After an error the next sending polls again. */
	if (!l->ended && res >= 0)
		ring_poll(l->options->ring, &l->op, l->library.s, POLLIN);
	else if (l->ended)
		ring_timer_set(l->options->ring, &l->timer, 0);
}

static void on_timer(struct timer *t, uint64_t now_ms)
{
	struct natpmp_lane *l = container(t, struct natpmp_lane, timer);
	unsigned sent = l->sent;

	if (l->ended) {
		if (!ring_op_busy(&l->op))
			close_lane(l);
		return;
	}
	if (!l->unanswered(l) || l->ended || l->sent != sent)
		return; /* the last: restarted, so that it was sent already */
	if (!ring_op_busy(&l->op))
		ring_poll(l->options->ring, &l->op, l->library.s, POLLIN);
	send_request(l);
}

/* ---- its beginning ---- */

int natpmp_lane_start(struct natpmp_lane *l)
{
	int fd = gateway_socket_open(l->options);

	if (fd < 0)
		return fd;
	/* As initnatpmp() leaves it, but for the socket. */
	memset(&l->library, 0, sizeof(l->library));
	l->library.s = fd;
	l->library.gateway = l->options->place.gateway.v4.sin_addr.s_addr;
	l->op.done = on_readable;
	l->timer.fire = on_timer;
	l->open = true;
	l->ended = false;
	l->sent = 0;
	ring_poll(l->options->ring, &l->op, fd, POLLIN);
	send_request(l);
	return 0;
}

void natpmp_lane_restart(struct natpmp_lane *l)
{
	l->sent = 0;
	send_request(l);
}
