/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_uring: the io_uring backend. Linux 6.1 or newer.
 *
 * Theory of operation. The ring is set up for one thread that also runs the kernel's share of the
 * work (SINGLE_ISSUER, DEFER_TASKRUN): completions are posted only while that thread waits, so
 * nothing happens behind its back. Starting an operation writes one submission entry; one system
 * call per turn submits them all and waits. An entry's user data is the operation's address, or 0
 * for a cancellation.
 *
 * What the ring may do is fixed before it may do anything (R_DISABLED): everything is registered,
 * then IORING_REGISTER_RESTRICTIONS names the few opcodes below, and only then is it enabled.
 * seccomp does not see what io_uring does in a process's name, so this list is the relay's promise
 * never to dial: no CONNECT, no SOCKET, no OPENAT, no SENDMSG, and nothing new can be registered.
 * Where the kernel will not take the restrictions the ring is not opened at all.
 *
 * A completion may come for a cancelled operation in any order with the cancellation's own. A
 * cancellation that finds nothing (-ENOENT) met an operation that was neither running nor asleep
 * but on its way between; its CANCELLING list is then gone through again, or that operation could
 * fall asleep uncancelled.
 */

#include "core/ring_internal.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CQ_PER_SQ  4u
#define POOL_GROUP 0

struct ring_uring {
	struct ring base;
	struct io_uring uring;
	struct io_uring_buf_ring *buffers;
	size_t buffers_bytes;
	struct ring_list cancelling;
	bool cancel_again; /* a cancellation found nothing, or no entry was free for one */
};

static struct ring_uring *uring_of(struct ring *r)
{
	return (struct ring_uring *)r;
}

struct io_uring *ring_uring_raw(struct ring *r)
{
	return &uring_of(r)->uring;
}

/* ---- opening ------------------------------------------------------------------------------- */

/* The sysctl's value, 0 on kernels that have none, or -1 when it cannot be read. */
static int uring_disabled_sysctl(void)
{
	int value = -1;
	FILE *f = fopen("/proc/sys/kernel/io_uring_disabled", "re");
	if (!f)
		return errno == ENOENT ? 0 : -1;
	if (fscanf(f, "%d", &value) != 1)
		value = -1;
	fclose(f);
	return value;
}

static const char *uring_refusal(void)
{
	switch (uring_disabled_sysctl()) {
	case 0:
		return "a container runtime's seccomp profile forbids it, or the kernel has none; "
		       "to use io_uring, allow io_uring_setup, io_uring_enter and "
		       "io_uring_register in the profile";
	case 1:
		return "kernel.io_uring_disabled=1 keeps it from this user; set it to 0, or put "
		       "the user into the group that kernel.io_uring_group names";
	case 2:
		return "kernel.io_uring_disabled=2 forbids it to every process; set it to 0";
	default:
		return "a container runtime's seccomp profile or kernel.io_uring_disabled forbids "
		       "it; to use io_uring, allow io_uring_setup, io_uring_enter and "
		       "io_uring_register in the profile, and set the sysctl to 0";
	}
}

static const char *setup_cause(int err)
{
	switch (-err) {
	case EPERM:
	case EACCES:
	case ENOSYS:
		return uring_refusal();
	case EINVAL:
		return "this needs Linux 6.1 or newer";
	case ENOMEM:
		return "raise the memory limit or RLIMIT_MEMLOCK";
	case EMFILE:
	case ENFILE:
		return "raise the limit of open files";
	default:
		return "the ring could not be set up";
	}
}

/* SINGLE_ISSUER and DEFER_TASKRUN are what needs Linux 6.1. With the latter the kernel does a
 * ring's work, and posts completions, only while its thread is in io_uring_enter(2) for events; a
 * look at the completion queue alone would find it empty for ever (submit_and_wait()). SUBMIT_ALL
 * (5.18): without it an entry that fails at once leaves those behind it unsubmitted. CLAMP: queues
 * larger than the kernel allows are cut to size instead of refused. */
static int uring_setup(struct ring_uring *u, unsigned entries)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
			 IORING_SETUP_CLAMP,
		.cq_entries = entries * CQ_PER_SQ,
	};
	return io_uring_queue_init_params(entries, &u->uring, &p);
}

static void add_buffer(struct ring_uring *u, unsigned i, int offset)
{
	io_uring_buf_ring_add(u->buffers, u->base.pool + (size_t)i * RING_SMALL_BYTES,
			      RING_SMALL_BYTES, (unsigned short)i,
			      io_uring_buf_ring_mask(u->base.pool_count), offset);
}

static int register_pool(struct ring_uring *u)
{
	unsigned count = u->base.pool_count;
	size_t bytes = count * sizeof(struct io_uring_buf);
	void *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	u->buffers = memory;
	u->buffers_bytes = bytes;
	struct io_uring_buf_reg reg = {
		.ring_addr = (uintptr_t)memory,
		.ring_entries = count,
		.bgid = POOL_GROUP,
	};
	int err = io_uring_register_buf_ring(&u->uring, &reg, 0);
	if (err)
		return err;
	io_uring_buf_ring_init(u->buffers);
	for (unsigned i = 0; i < count; i++)
		add_buffer(u, i, (int)i);
	io_uring_buf_ring_advance(u->buffers, (int)count);
	return 0;
}

static int restrict_ring(struct ring_uring *u)
{
	struct io_uring_restriction allowed[] = {
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_ACCEPT},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_RECV},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_SEND},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_POLL_ADD},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_ASYNC_CANCEL},
		{.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_BUFFER_SELECT},
		/* Useless once it is enabled. A list without any register operation could be read
		 * as one that leaves them all free. */
		{.opcode = IORING_RESTRICTION_REGISTER_OP,
		 .register_op = IORING_REGISTER_ENABLE_RINGS},
	};
	return io_uring_register_restrictions(&u->uring, allowed,
					      sizeof(allowed) / sizeof(*allowed));
}

/* #syscalls-denied io_uring_register; the ring's end unregisters as well */
static void uring_close(struct ring *r)
{
	struct ring_uring *u = uring_of(r);
	io_uring_queue_exit(&u->uring);
	if (u->buffers)
		munmap(u->buffers, u->buffers_bytes);
}

static int uring_open(struct ring *r, const struct ring_options *opt, char *cause,
		      size_t cause_size)
{
	struct ring_uring *u = uring_of(r);
	int err = uring_setup(u, opt->entries);
	if (err) {
		snprintf(cause, cause_size, "%s", setup_cause(err));
		return err;
	}
	const char *step = "registering buffers";
	err = register_pool(u);
	if (!err) {
		/* Saves the kernel a look-up per call; of no consequence where it fails. */
		(void)io_uring_register_ring_fd(&u->uring);
		step = "restricting the ring";
		err = restrict_ring(u);
	}
	if (!err) {
		step = "enabling the ring";
		err = io_uring_enable_rings(&u->uring);
	}
	if (err) {
		snprintf(cause, cause_size,
			 "%s failed; allow io_uring_register, or use Linux 6.1 or newer", step);
		uring_close(r);
	}
	return err;
}

/* ---- submitting ---------------------------------------------------------------------------- */

static struct io_uring_sqe *next_entry(struct ring_uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->uring);
	if (sqe)
		return sqe;
	/* Full: let the kernel take what is there, now. With DEFER_TASKRUN none completes. */
	(void)io_uring_submit(&u->uring);
	return io_uring_get_sqe(&u->uring);
}

static void fill_entry(struct io_uring_sqe *sqe, struct ring_op *op)
{
	switch ((enum ring_kind)op->kind) {
	case RING_ACCEPT:
		/* One entry for many connections. It ends by itself, without IORING_CQE_F_MORE, on
		 * an error and when the completion queue is full: complete_accept(). */
		io_uring_prep_multishot_accept(sqe, op->fd, NULL, NULL,
					       SOCK_NONBLOCK | SOCK_CLOEXEC);
		break;
	case RING_RECV:
		io_uring_prep_recv(sqe, op->fd, op->buf, op->len, 0);
		break;
	case RING_RECV_NOW:
		io_uring_prep_recv(sqe, op->fd, op->buf, op->len, MSG_DONTWAIT);
		break;
	case RING_RECV_POOLED:
		/* Length 0 means the whole of the buffer, which the kernel takes from the pool only
		 * when bytes are there. */
		io_uring_prep_recv(sqe, op->fd, NULL, 0, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = POOL_GROUP;
		break;
	case RING_SEND:
		/* MSG_WAITALL (5.19): the kernel goes on after a short send. A cancellation, a
		 * signal or an error makes it short all the same. */
		io_uring_prep_send(sqe, op->fd, op->buf + op->moved, op->len - op->moved,
				   MSG_NOSIGNAL | MSG_WAITALL);
		break;
	case RING_POLL:
		/* One event and no more; POLLERR and POLLHUP come unasked, as with poll(2). */
		io_uring_prep_poll_add(sqe, op->fd, op->len);
		break;
	}
	io_uring_sqe_set_data(sqe, op);
}

static void uring_start(struct ring *r, struct ring_op *op)
{
	struct io_uring_sqe *sqe = next_entry(uring_of(r));
	if (!sqe) {
		ring_list_push(&r->queued, op, RING_QUEUED);
		return;
	}
	fill_entry(sqe, op);
	op->place = RING_WAITING;
}

/* False when there was no room. */
static bool submit_cancel(struct ring_uring *u, struct ring_op *op)
{
	struct io_uring_sqe *sqe = next_entry(u);
	if (!sqe)
		return false;
	/* Entries are taken in order: should op be started anew, this one comes before it. One that
	 * runs just now (-EALREADY) ends by itself. */
	io_uring_prep_cancel(sqe, op, 0);
	io_uring_sqe_set_data(sqe, NULL);
	return true;
}

static bool uring_cancel(struct ring *r, struct ring_op *op)
{
	struct ring_uring *u = uring_of(r);
	if (op->place != RING_WAITING)
		return true;
	ring_list_push(&u->cancelling, op, RING_CANCELLING);
	if (!submit_cancel(u, op))
		u->cancel_again = true;
	return false;
}

static void uring_cancel_again(struct ring_uring *u)
{
	u->cancel_again = false;
	for (struct ring_op *op = u->cancelling.first; op; op = op->next) {
		if (!submit_cancel(u, op)) {
			u->cancel_again = true;
			return;
		}
	}
}

static void submit_queued(struct ring *r)
{
	for (size_t n = r->queued.count; n; n--)
		uring_start(r, ring_list_pop(&r->queued));
}

static void uring_buffer_put(struct ring *r, uint8_t *buf)
{
	struct ring_uring *u = uring_of(r);
	add_buffer(u, (unsigned)((size_t)(buf - r->pool) / RING_SMALL_BYTES), 0);
	io_uring_buf_ring_advance(u->buffers, 1);
}

static void uring_detach(struct ring *r, int fd)
{
	/* Idle descriptors leave no trace in the ring. A busy one would: close(2) ends no
	 * operation, and the operation keeps the socket open, though its number is free. */
}

/* ---- completing ---------------------------------------------------------------------------- */

static void leave_cancelling(struct ring_uring *u, struct ring_op *op)
{
	if (op->place == RING_CANCELLING)
		ring_list_remove(&u->cancelling, op);
}

static void complete_accept(struct ring_uring *u, struct ring_op *op, int res, bool more)
{
	struct ring *r = &u->base;
	if (!more) {
		leave_cancelling(u, op);
		op->place = RING_TRYING;
		if (!op->cancelled && (res >= 0 || ring_accept_again(-res))) {
			uring_start(r, op);
		} else if (res < 0) {
			ring_finish(r, op, op->cancelled ? -ECANCELED : res);
			return;
		} else {
			ring_finish_later(r, op, -ECANCELED);
		}
	}
	if (res >= 0)
		op->done(op, res);
}

/* Takes the buffer that the kernel chose: also at the end of the file, or for an error, it may have
 * taken one. True: nothing more is to be done with op for now. */
static bool complete_pooled(struct ring_uring *u, struct ring_op *op,
			    const struct io_uring_cqe *cqe)
{
	struct ring *r = &u->base;
	if (cqe->flags & IORING_CQE_F_BUFFER) {
		uint8_t *buf = ring_pool_take(r, cqe->flags >> IORING_CQE_BUFFER_SHIFT);
		if (cqe->res > 0)
			op->buf = buf;
		else
			ring_buffer_put(r, buf);
	} else if (cqe->res == -ENOBUFS && !op->cancelled) {
		ring_list_push(&r->starved, op, RING_STARVED);
		return true;
	}
	return false;
}

static void uring_complete(struct ring_uring *u, const struct io_uring_cqe *cqe)
{
	struct ring *r = &u->base;
	struct ring_op *op = io_uring_cqe_get_data(cqe);
	int res = cqe->res;
	if (!op) {
		if (res == -ENOENT)
			u->cancel_again = true;
		return;
	}
	if (op->kind == RING_ACCEPT) {
		complete_accept(u, op, res, cqe->flags & IORING_CQE_F_MORE);
		return;
	}
	leave_cancelling(u, op);
	if (op->kind == RING_RECV_POOLED && complete_pooled(u, op, cqe))
		return;
	if (op->kind == RING_SEND && res > 0) {
		op->moved += (uint32_t)res;
		res = op->moved == op->len ? (int)op->len : -EINTR;
	}
	if (res == -EINTR && !op->cancelled) {
		uring_start(r, op);
		return;
	}
	if (op->cancelled && (res == -EINTR || res == -ENOBUFS))
		res = -ECANCELED;
	ring_finish(r, op, res);
}

/* What the ring refuses, seccomp need not know.
 *
 * #syscalls io_uring_enter
 */
static int submit_and_wait(struct ring_uring *u, uint64_t wait_ms)
{
	/* Not io_uring_submit(): with DEFER_TASKRUN that would complete nothing. */
	if (wait_ms == 0)
		return io_uring_submit_and_get_events(&u->uring);
	struct io_uring_cqe *first;
	struct __kernel_timespec ts = {
		.tv_sec = (long long)(wait_ms / 1000),
		.tv_nsec = (long long)(wait_ms % 1000) * 1000000,
	};
	return io_uring_submit_and_wait_timeout(&u->uring, &first, 1,
						wait_ms == RING_WAIT_FOREVER ? NULL : &ts, NULL);
}

static int uring_turn(struct ring *r, uint64_t wait_ms)
{
	struct ring_uring *u = uring_of(r);
	submit_queued(r);
	if (u->cancel_again)
		uring_cancel_again(u);
	if (r->queued.first || u->cancel_again)
		wait_ms = 0;
	int err = submit_and_wait(u, wait_ms);
	/* The kernel is short of something for now, or has to get rid of completions first. */
	if (err < 0 && err != -ETIME && err != -EINTR && err != -EAGAIN && err != -EBUSY)
		return err;
	ring_read_clock(r);
	/* Each one leaves the queue before it is handled, since a handler may well submit and so
	 * have more completions posted; those wait for the next turn. */
	for (unsigned n = io_uring_cq_ready(&u->uring); n; n--) {
		struct io_uring_cqe *cqe;
		if (io_uring_peek_cqe(&u->uring, &cqe))
			break;
		struct io_uring_cqe copy = {
			.user_data = cqe->user_data,
			.res = cqe->res,
			.flags = cqe->flags,
		};
		io_uring_cq_advance(&u->uring, 1);
		uring_complete(u, &copy);
	}
	return 0;
}

const struct ring_backend ring_uring_backend = {
	.engine = RING_IO_URING,
	.size = sizeof(struct ring_uring),
	.open = uring_open,
	.close = uring_close,
	.start = uring_start,
	.cancel = uring_cancel,
	.buffer_put = uring_buffer_put,
	.detach = uring_detach,
	.turn = uring_turn,
};
