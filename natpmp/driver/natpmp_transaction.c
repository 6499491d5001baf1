/* SPDX-License-Identifier: Apache-2.0 */
/* natpmp_transaction: one NAT-PMP request in flight. */
#include "natpmp/driver/natpmp_transaction.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "core/container.h"
#include "core/log.h"

#define PER_TURN   16u /* datagrams before others get their turn */
#define LOOK_BYTES 32u /* longer than any answer, and enough to see another version */

/* The library's numbers for the protocols are the opcodes. */
static void natpmp_transaction_send(struct natpmp_transaction *x)
{
	int n;

	if (x->question.opcode == NATPMP_ADDRESS)
		n = sendpublicaddressrequest(&x->library);
	else
		n = sendnewportmappingrequest(&x->library, (int)x->question.opcode,
					      x->question.internal_port, x->external_port,
					      x->lifetime_s);
	if (n < 0 && errno != x->unsent)
		log_warning("natpmp", "requests are not sent, and will be sent again: %s",
			    strerror(errno));
	x->unsent = n < 0 ? errno : 0;
	ring_timer_set(x->options->ring, &x->timer, (uint64_t)NATPMP_FIRST_MS << x->sent);
	if (x->sent < NATPMP_TRIES)
		x->sent++;
}

/* ---- its end ---- */

static void close_transaction(struct natpmp_transaction *x)
{
	ring_timer_cancel(x->options->ring, &x->timer);
	ring_close_fd(x->options->ring, x->library.s);
	x->library.s = -1;
	x->open = false;
	x->idle(x);
}

void natpmp_transaction_end(struct natpmp_transaction *x)
{
	if (!x->open || x->ended)
		return;
	x->ended = true;
	/* From the ring in any case: the operation's end, or this timer. */
	ring_cancel(x->options->ring, &x->op);
	ring_timer_set(x->options->ring, &x->timer, 0);
}

static void natpmp_transaction_finish(struct natpmp_transaction *x, enum natpmp_outcome outcome)
{
	natpmp_transaction_end(x);
	x->done(x, outcome);
}

/* ---- datagrams ---- */

/* Only what was looked at is there to be read, so the library neither waits nor sends. */
static void natpmp_transaction_read_answer(struct natpmp_transaction *x)
{
	memset(&x->answer, 0, sizeof(x->answer));
	switch (readnatpmpresponseorretry(&x->library, &x->answer)) {
	case NATPMP_ERR_NOGATEWAYSUPPORT:
		natpmp_transaction_finish(x, NATPMP_UNREACHABLE);
		break;
	case NATPMP_ERR_RECVFROM:
	case NATPMP_TRYAGAIN:
		break;
	default:
		natpmp_transaction_finish(x, NATPMP_ANSWERED);
	}
}

/* False when there is no more, or no more is wanted. */
static bool natpmp_transaction_take_one(struct natpmp_transaction *x)
{
	uint8_t in[LOOK_BYTES];
	enum natpmp_verdict verdict;
	ssize_t n = recv(x->library.s, in, sizeof(in), MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);

	if (n < 0) {
		if (errno == ECONNREFUSED)
			natpmp_transaction_finish(x, NATPMP_UNREACHABLE);
		return false;
	}
	verdict = natpmp_answer_check(in, (size_t)n < sizeof(in) ? (size_t)n : sizeof(in),
				      &x->question);
	if (verdict == NATPMP_ANSWER) {
		natpmp_transaction_read_answer(x);
		return !x->ended;
	}
	x->dropped++;
	if (recv(x->library.s, in, sizeof(in), MSG_DONTWAIT) < 0)
		return false;
	if (verdict == NATPMP_OTHER_VERSION)
		natpmp_transaction_finish(x, NATPMP_NO_NATPMP);
	return !x->ended;
}

static void natpmp_transaction_readable(struct ring_op *op, int res)
{
	struct natpmp_transaction *x = container(op, struct natpmp_transaction, op);

	for (unsigned i = 0;
	     i < PER_TURN && res >= 0 && !x->ended && natpmp_transaction_take_one(x); i++)
		;
	/* After an error the next sending polls again. */
	if (!x->ended && res >= 0)
		ring_poll(x->options->ring, &x->op, x->library.s, POLLIN);
	else if (x->ended)
		ring_timer_set(x->options->ring, &x->timer, 0);
}

static void natpmp_transaction_timer_fired(struct timer *t, uint64_t now_ms)
{
	struct natpmp_transaction *x = container(t, struct natpmp_transaction, timer);
	unsigned sent = x->sent;

	if (x->ended) {
		if (!ring_op_busy(&x->op))
			close_transaction(x);
		return;
	}
	if (!x->unanswered(x) || x->ended || x->sent != sent)
		return; /* the last: restarted, so that it was sent already */
	if (!ring_op_busy(&x->op))
		ring_poll(x->options->ring, &x->op, x->library.s, POLLIN);
	natpmp_transaction_send(x);
}

/* ---- its beginning ---- */

int natpmp_transaction_start(struct natpmp_transaction *x)
{
	int fd = gateway_socket_open(x->options);

	if (fd < 0)
		return fd;
	/* As initnatpmp() leaves it, but for the socket. */
	memset(&x->library, 0, sizeof(x->library));
	x->library.s = fd;
	x->library.gateway = x->options->place.gateway.v4.sin_addr.s_addr;
	x->op.done = natpmp_transaction_readable;
	x->timer.fire = natpmp_transaction_timer_fired;
	x->open = true;
	x->ended = false;
	x->sent = 0;
	ring_poll(x->options->ring, &x->op, fd, POLLIN);
	natpmp_transaction_send(x);
	return 0;
}

void natpmp_transaction_restart(struct natpmp_transaction *x)
{
	x->sent = 0;
	natpmp_transaction_send(x);
}
