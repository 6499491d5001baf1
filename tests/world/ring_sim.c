/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_sim: both backends of the ring, on the simulated kernel.
 *
 * Theory of operation. It keeps what core/ring.h promises and leaves everything else to chance: in
 * which order operations that could complete do so, how much a receive or one piece of a send
 * moves, whether one that could complete now waits for a later turn, and whether a cancellation
 * comes before or after it.
 *
 * Where the two engines may differ, the backend asked for decides. As io_uring: a pooled receive
 * wants its buffer before it looks for bytes, and a cancelled operation reports from the loop, with
 * what it has done or -ECANCELED. As epoll: a buffer is taken when bytes are there, and a
 * cancelled operation is given up at once.
 *
 * A turn never waits; the world moves its clock when no ring has anything to do.
 */
#include "tests/world/ring_sim.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "core/ring_internal.h"
#include "tests/world/kernel.h"
#include "tests/world/real.h"

#define OPS_PER_TURN 512u

struct ring_sim {
	struct ring base;
	struct k_program *program;
	struct ring_list waiting; /* WAITING and CANCELLING */
	unsigned *free_buffers;
	uint64_t seen; /* program->changes when nothing was ready */
	bool idle;     /* nothing was ready then, and nothing has been started since */
};

static struct dice dice;

void ring_sim_seed(uint64_t seed)
{
	dice = dice_of(seed, 4);
}

static struct ring_sim *sim_of(struct ring *r)
{
	return (struct ring_sim *)r;
}

static bool as_uring(const struct ring_sim *s)
{
	return s->base.backend->engine == RING_IO_URING;
}

static int sim_open(struct ring *r, const struct ring_options *opt, char *cause, size_t cause_size)
{
	struct ring_sim *s = sim_of(r);

	s->program = k_current;
	s->free_buffers = world_alloc(r->pool_count * sizeof(*s->free_buffers));
	for (unsigned i = 0; i < r->pool_count; i++)
		s->free_buffers[i] = r->pool_count - 1 - i;
	return 0;
}

static void sim_close(struct ring *r)
{
	world_free(sim_of(r)->free_buffers);
}

static void sim_start(struct ring *r, struct ring_op *op)
{
	struct ring_sim *s = sim_of(r);

	ring_list_push(&s->waiting, op, RING_WAITING);
	s->idle = false;
}

static bool sim_cancel(struct ring *r, struct ring_op *op)
{
	struct ring_sim *s = sim_of(r);

	if (op->place != RING_WAITING)
		return true;
	if (as_uring(s)) {
		op->place = RING_CANCELLING;
		s->idle = false;
		return false;
	}
	ring_list_remove(&s->waiting, op);
	return true;
}

static void sim_buffer_put(struct ring *r, uint8_t *buf)
{
	sim_of(r)->free_buffers[r->pool_free - 1] =
		(unsigned)((size_t)(buf - r->pool) / RING_SMALL_BYTES);
}

static void sim_detach(struct ring *r, int fd)
{
	for (struct ring_op *op = sim_of(r)->waiting.first; op; op = op->next)
		assert(op->fd != fd);
}

/* ---- trying ---- */

static unsigned wanted(const struct ring_op *op)
{
	switch ((enum ring_kind)op->kind) {
	case RING_SEND:
		return POLLOUT;
	case RING_POLL:
		return op->len;
	default:
		return POLLIN;
	}
}

/* Events that would let op go on; without a descriptor, too: it then fails. */
static unsigned events_for(const struct ring_op *op)
{
	struct k_file *f = k_file_get(op->fd);

	if (!f)
		return POLLNVAL;
	return k_ready(f) & (wanted(op) | POLLERR | POLLHUP);
}

static bool could_go_on(const struct ring_sim *s, const struct ring_op *op)
{
	if (op->place == RING_CANCELLING || op->kind == RING_RECV_NOW)
		return true;
	if (op->kind == RING_RECV_POOLED && as_uring(s) && !s->base.pool_free)
		return true; /* it starves at once */
	return events_for(op) != 0;
}

static void finish(struct ring_sim *s, struct ring_op *op, int res)
{
	ring_list_remove(&s->waiting, op);
	op->place = RING_TRYING;
	ring_finish(&s->base, op, res);
}

static void try_accept(struct ring_sim *s, struct ring_op *op)
{
	int fd = k_accept(op->fd);

	if (fd == -EAGAIN || (fd < 0 && ring_accept_again(-fd)))
		return;
	if (fd < 0)
		finish(s, op, fd);
	else
		op->done(op, fd); /* stays, and may have been cancelled by its own handler */
}

static void starve(struct ring_sim *s, struct ring_op *op)
{
	ring_list_remove(&s->waiting, op);
	ring_list_push(&s->base.starved, op, RING_STARVED);
}

static void try_pooled(struct ring_sim *s, struct ring_op *op)
{
	struct ring *r = &s->base;

	if (!r->pool_free) {
		starve(s, op);
		return;
	}
	uint8_t *buf = ring_pool_take(r, s->free_buffers[r->pool_free - 1]);
	ssize_t n = k_recv(op->fd, buf, RING_SMALL_BYTES, 0);

	if (n > 0)
		op->buf = buf;
	else
		ring_buffer_put(r, buf);
	if (n != -EAGAIN)
		finish(s, op, (int)n);
}

static void try_send(struct ring_sim *s, struct ring_op *op)
{
	ssize_t n = k_send(op->fd, op->buf + op->moved, op->len - op->moved, MSG_NOSIGNAL);

	if (n > 0)
		op->moved += (uint32_t)n;
	if (n < 0 && n != -EAGAIN)
		finish(s, op, (int)n);
	else if (op->moved == op->len)
		finish(s, op, (int)op->len);
}

static void try_op(struct ring_sim *s, struct ring_op *op)
{
	ssize_t n;

	switch ((enum ring_kind)op->kind) {
	case RING_ACCEPT:
		try_accept(s, op);
		break;
	case RING_RECV:
	case RING_RECV_NOW:
		n = k_recv(op->fd, op->buf, op->len, 0);
		if (n != -EAGAIN || op->kind == RING_RECV_NOW)
			finish(s, op, (int)n);
		break;
	case RING_RECV_POOLED:
		try_pooled(s, op);
		break;
	case RING_SEND:
		try_send(s, op);
		break;
	case RING_POLL:
		n = (ssize_t)events_for(op);
		if (n != 0)
			finish(s, op, n & POLLNVAL ? -EBADF : (int)n);
		break;
	}
}

/* The operation may win the race against its cancellation. A send that has moved something
 * already reports that it was cancelled all the same. */
static void end_cancelled(struct ring_sim *s, struct ring_op *op)
{
	bool could = op->kind != RING_ACCEPT && k_file_get(op->fd) && events_for(op);

	if (could && dice_chance(&dice, 400) &&
	    !(op->kind == RING_RECV_POOLED && !s->base.pool_free)) {
		try_op(s, op);
		return;
	}
	finish(s, op, -ECANCELED);
}

/* ---- turns ---- */

bool ring_sim_due(struct ring *r)
{
	struct ring_sim *s = sim_of(r);
	struct k_program *was;
	bool due = false;

	if (r->finished.first || (r->starved.first && r->pool_free) || ring_sim_next(r) <= k_now_us)
		return true;
	if (s->idle && s->seen == s->program->changes)
		return false;
	was = k_enter(s->program);
	for (struct ring_op *op = s->waiting.first; op && !due; op = op->next)
		due = could_go_on(s, op);
	k_enter(was);
	s->idle = !due;
	s->seen = s->program->changes;
	return due;
}

uint64_t ring_sim_next(struct ring *r)
{
	uint64_t due = timers_next(&r->timers);

	return due == TIMERS_NEVER ? UINT64_MAX : due * 1000;
}

/* Those that could go on, in an order of chance. They stay where they are until one of them is
 * tried: only this turn makes an operation idle, so none of them can be gone meanwhile. */
static size_t choose(struct ring_sim *s, struct ring_op *chosen[OPS_PER_TURN])
{
	size_t n = 0;

	for (struct ring_op *op = s->waiting.first; op && n < OPS_PER_TURN; op = op->next) {
		if (!could_go_on(s, op))
			continue;
		size_t at = dice_below(&dice, n + 1);

		chosen[n++] = chosen[at];
		chosen[at] = op;
	}
	return n;
}

static int sim_turn(struct ring *r, uint64_t wait_ms)
{
	struct ring_sim *s = sim_of(r);
	struct ring_op *chosen[OPS_PER_TURN];
	size_t n = choose(s, chosen);
	/* Often all of them, sometimes a few; never none. */
	size_t tried = n > 1 && dice_chance(&dice, 400) ? dice_between(&dice, 1, n) : n;

	ring_read_clock(r);
	for (size_t i = 0; i < tried; i++) {
		struct ring_op *op = chosen[i];

		/* An earlier one's handler may have cancelled it. */
		if (op->place == RING_CANCELLING)
			end_cancelled(s, op);
		else if (op->place == RING_WAITING)
			try_op(s, op);
	}
	return 0;
}

const struct ring_backend ring_uring_backend = {
	.engine = RING_IO_URING,
	.size = sizeof(struct ring_sim),
	.open = sim_open,
	.close = sim_close,
	.start = sim_start,
	.cancel = sim_cancel,
	.buffer_put = sim_buffer_put,
	.detach = sim_detach,
	.turn = sim_turn,
};

const struct ring_backend ring_epoll_backend = {
	.engine = RING_EPOLL,
	.size = sizeof(struct ring_sim),
	.open = sim_open,
	.close = sim_close,
	.start = sim_start,
	.cancel = sim_cancel,
	.buffer_put = sim_buffer_put,
	.detach = sim_detach,
	.turn = sim_turn,
};
