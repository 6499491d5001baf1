/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_epoll: the fallback backend, for systems that refuse io_uring.
 *
 * Theory of operation. A started operation is queued and tried on the loop's next turn. When the
 * system call would block, the operation waits in its descriptor's slot for an edge. A descriptor
 * is registered once, edge-triggered for everything, when its first operation has to wait;
 * EPOLL_CTL_ADD reports readiness that is already there, so no edge can be missed.
 *
 * A slot remembers that its descriptor was emptied (a receive came short) or filled (a send did),
 * so that the next operation can wait without a futile attempt. epoll(7) allows this conclusion for
 * streams. It is not drawn before registration, since the edge may be past, nor once the end has
 * been signalled, since the end of the file comes without an edge of its own.
 *
 * Fairness: an operation makes one system call (accept: a few) and then queues behind the others,
 * and a turn tries what is queued once, before it looks for events and timers again.
 */

#include "core/ring_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_PER_TURN	 256
#define ACCEPTS_PER_TURN 16
/* A turn goes on with operations that were queued meanwhile up to so many: a receive and the send
 * that follows need no look at events in between. */
#define TRIES_PER_TURN 64u
#define SLOTS_AT_FIRST 256u

enum slot_flags {
	SLOT_REGISTERED = 1,
	SLOT_EMPTIED = 2,
	SLOT_FILLED = 4,
	SLOT_ENDED = 8,
};

/* The reader and the writer are here from start to finish, wherever else they are queued. */
struct slot {
	struct ring_op *reader, *writer;
	unsigned flags;
};

struct ring_epoll {
	struct ring base;
	int epfd;
	struct slot *slots; /* by descriptor */
	size_t slot_count;
	unsigned *free_buffers; /* numbers; the most recently returned on top */
};

static struct ring_epoll *epoll_of(struct ring *r)
{
	return (struct ring_epoll *)r;
}

static void epoll_close(struct ring *r)
{
	struct ring_epoll *e = epoll_of(r);
	if (e->epfd >= 0)
		close(e->epfd);
	free(e->slots);
	free(e->free_buffers);
}

static int epoll_open(struct ring *r, const struct ring_options *opt, char *cause,
		      size_t cause_size)
{
	struct ring_epoll *e = epoll_of(r);
	e->epfd = epoll_create1(EPOLL_CLOEXEC);
	int err = e->epfd < 0 ? -errno : 0;
	e->free_buffers = calloc(r->pool_count, sizeof(*e->free_buffers));
	if (!err && !e->free_buffers)
		err = -ENOMEM;
	if (err) {
		epoll_close(r);
		return err;
	}
	for (unsigned i = 0; i < r->pool_count; i++)
		e->free_buffers[i] = r->pool_count - 1 - i;
	return 0;
}

/* ---- slots --------------------------------------------------------------------------------- */

static bool reads(const struct ring_op *op)
{
	if (op->kind == RING_POLL)
		return op->len != POLLOUT;
	return op->kind != RING_SEND;
}

static bool writes(const struct ring_op *op)
{
	return op->kind == RING_SEND || (op->kind == RING_POLL && (op->len & POLLOUT));
}

/* NULL when memory is out. */
static struct slot *slot_make(struct ring_epoll *e, int fd)
{
	size_t want = (size_t)fd + 1;
	if (want > e->slot_count) {
		size_t count = e->slot_count ? e->slot_count : SLOTS_AT_FIRST;
		while (count < want)
			count *= 2;
		struct slot *slots = reallocarray(e->slots, count, sizeof(*slots));
		if (!slots)
			return NULL;
		memset(slots + e->slot_count, 0, (count - e->slot_count) * sizeof(*slots));
		e->slots = slots;
		e->slot_count = count;
	}
	return &e->slots[fd];
}

static void slot_leave(struct ring_epoll *e, struct ring_op *op)
{
	struct slot *s = &e->slots[op->fd];
	if (s->reader == op)
		s->reader = NULL;
	if (s->writer == op)
		s->writer = NULL;
}

static void epoll_queue(struct ring *r, struct ring_op *op)
{
	ring_list_push(&r->queued, op, RING_QUEUED);
}

static void epoll_finish(struct ring_epoll *e, struct ring_op *op, int res)
{
	slot_leave(e, op);
	ring_finish(&e->base, op, res);
}

static void epoll_start(struct ring *r, struct ring_op *op)
{
	struct ring_epoll *e = epoll_of(r);
	if (op->fd < 0) {
		ring_finish_later(r, op, -EBADF);
		return;
	}
	struct slot *s = slot_make(e, op->fd);
	if (!s) {
		ring_finish_later(r, op, -ENOMEM);
		return;
	}
	assert(!reads(op) || !s->reader || s->reader == op);
	assert(!writes(op) || !s->writer || s->writer == op);
	if (reads(op))
		s->reader = op;
	if (writes(op))
		s->writer = op;
	/* accept4() has no flag for it, and io_uring does not care. O_NONBLOCK is the open file's:
	 * a process that shares the socket sees it, too.
	 *
	 * #syscalls fcntl(1 is F_SETFL)
	 */
	if (op->kind == RING_ACCEPT)
		(void)fcntl(op->fd, F_SETFL, O_NONBLOCK);
	bool futile = (op->kind == RING_SEND && (s->flags & SLOT_FILLED)) ||
		      ((op->kind == RING_RECV || op->kind == RING_RECV_POOLED) &&
		       (s->flags & SLOT_EMPTIED));
	if (futile)
		op->place = RING_WAITING;
	else
		epoll_queue(r, op);
}

static bool epoll_cancel(struct ring *r, struct ring_op *op)
{
	slot_leave(epoll_of(r), op);
	return true;
}

static void epoll_detach(struct ring *r, int fd)
{
	struct ring_epoll *e = epoll_of(r);
	if (fd < 0 || (size_t)fd >= e->slot_count)
		return;
	struct slot *s = &e->slots[fd];
	assert(!s->reader && !s->writer);
	/* close(2) would not do it while another process or a duplicate holds the same open file:
	 * then its events would go on, under a number that may be another file's by then. */
	if (s->flags & SLOT_REGISTERED)
		epoll_ctl(e->epfd, EPOLL_CTL_DEL, fd, NULL);
	s->flags = 0;
}

static void epoll_buffer_put(struct ring *r, uint8_t *buf)
{
	epoll_of(r)->free_buffers[r->pool_free - 1] =
		(unsigned)((size_t)(buf - r->pool) / RING_SMALL_BYTES);
}

/* Puts op to sleep until the next edge of its descriptor. ENOSPC: fs.epoll.max_user_watches.
 *
 * #syscalls epoll_ctl
 */
static void wait_for_edge(struct ring_epoll *e, struct ring_op *op)
{
	struct slot *s = &e->slots[op->fd];
	op->place = RING_WAITING;
	if (s->flags & SLOT_REGISTERED)
		return;
	struct epoll_event ev = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.fd = op->fd,
	};
	if (epoll_ctl(e->epfd, EPOLL_CTL_ADD, op->fd, &ev))
		epoll_finish(e, op, -errno);
	else
		s->flags |= SLOT_REGISTERED;
}

/* Remembers that until the next edge nothing can be read (SLOT_EMPTIED) or written. */
static void epoll_conclude(struct ring_epoll *e, int fd, enum slot_flags what)
{
	struct slot *s = &e->slots[fd];
	if ((s->flags & SLOT_REGISTERED) && !(s->flags & SLOT_ENDED))
		s->flags |= what;
}

static void on_edge(struct ring_epoll *e, const struct epoll_event *ev)
{
	struct slot *s = &e->slots[ev->data.fd];
	if (ev->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		s->flags |= SLOT_ENDED;
	bool both = ev->events & (EPOLLHUP | EPOLLERR);
	if (both || (ev->events & (EPOLLIN | EPOLLRDHUP))) {
		s->flags &= ~(unsigned)SLOT_EMPTIED;
		if (s->reader && s->reader->place == RING_WAITING)
			epoll_queue(&e->base, s->reader);
	}
	if (both || (ev->events & EPOLLOUT)) {
		s->flags &= ~(unsigned)SLOT_FILLED;
		if (s->writer && s->writer->place == RING_WAITING)
			epoll_queue(&e->base, s->writer);
	}
}

/* ---- trying -------------------------------------------------------------------------------- */

/* #syscalls accept4 */
static void try_accept(struct ring_epoll *e, struct ring_op *op)
{
	for (int n = 0; n < ACCEPTS_PER_TURN; n++) {
		/* Linux hands no flag of the listening socket on to the new one. */
		int fd = accept4(op->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			op->done(op, fd);
			if (op->place != RING_TRYING) /* cancelled by its own handler */
				return;
		} else if (errno == EAGAIN) {
			wait_for_edge(e, op);
			return;
		} else if (!ring_accept_again(errno)) {
			epoll_finish(e, op, -errno);
			return;
		}
	}
	epoll_queue(&e->base, op);
}

/* #syscalls recvfrom */
static ssize_t epoll_receive(struct ring_epoll *e, struct ring_op *op, void *buf)
{
	ssize_t n;
	do
		n = recv(op->fd, buf, op->len, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		n = -errno;
	if (n == -EAGAIN || (n > 0 && n < (ssize_t)op->len))
		epoll_conclude(e, op->fd, SLOT_EMPTIED);
	return n;
}

static void try_recv(struct ring_epoll *e, struct ring_op *op)
{
	ssize_t n = epoll_receive(e, op, op->buf);
	if (n == -EAGAIN && op->kind == RING_RECV)
		wait_for_edge(e, op);
	else
		epoll_finish(e, op, (int)n);
}

static void try_recv_pooled(struct ring_epoll *e, struct ring_op *op)
{
	struct ring *r = &e->base;
	if (!r->pool_free) {
		ring_list_push(&r->starved, op, RING_STARVED);
		return;
	}
	uint8_t *buf = ring_pool_take(r, e->free_buffers[r->pool_free - 1]);
	ssize_t n = epoll_receive(e, op, buf);
	if (n > 0)
		op->buf = buf;
	else
		ring_buffer_put(r, buf);
	if (n == -EAGAIN)
		wait_for_edge(e, op);
	else
		epoll_finish(e, op, (int)n);
}

/* To the connection's peer only; MSG_FASTOPEN connects.
 *
 * #syscalls sendto(4 is 0, 3 without MSG_FASTOPEN)
 */
static void try_send(struct ring_epoll *e, struct ring_op *op)
{
	ssize_t n;
	do
		n = send(op->fd, op->buf + op->moved, op->len - op->moved,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN) {
		epoll_finish(e, op, -errno);
		return;
	}
	if (n > 0)
		op->moved += (uint32_t)n;
	if (n >= 0 && op->moved == op->len) {
		epoll_finish(e, op, (int)op->len);
		return;
	}
	epoll_conclude(e, op->fd, SLOT_FILLED);
	wait_for_edge(e, op);
}

/* #syscalls poll|ppoll */
static void try_poll(struct ring_epoll *e, struct ring_op *op)
{
	struct pollfd p = {.fd = op->fd, .events = (short)op->len};
	/* POLLERR, POLLHUP and POLLNVAL are told unasked, the last one in place of EBADF. */
	int n = poll(&p, 1, 0);
	if (n < 0 && errno != EINTR)
		epoll_finish(e, op, -errno);
	else if (n < 0)
		epoll_queue(&e->base, op);
	else if (n == 0)
		wait_for_edge(e, op);
	else
		epoll_finish(e, op, p.revents & POLLNVAL ? -EBADF : p.revents);
}

static void try_op(struct ring_epoll *e, struct ring_op *op)
{
	op->place = RING_TRYING;
	switch ((enum ring_kind)op->kind) {
	case RING_ACCEPT:
		try_accept(e, op);
		break;
	case RING_RECV:
	case RING_RECV_NOW:
		try_recv(e, op);
		break;
	case RING_RECV_POOLED:
		try_recv_pooled(e, op);
		break;
	case RING_SEND:
		try_send(e, op);
		break;
	case RING_POLL:
		try_poll(e, op);
		break;
	}
}

static int epoll_timeout(uint64_t wait_ms)
{
	if (wait_ms == RING_WAIT_FOREVER)
		return -1;
	return wait_ms < 86400000 ? (int)wait_ms : 86400000;
}

/* A signal's handler ends epoll_wait(2) with EINTR, SA_RESTART or not (signal(7)).
 *
 * #syscalls epoll_wait|epoll_pwait
 */
static int epoll_turn(struct ring *r, uint64_t wait_ms)
{
	struct ring_epoll *e = epoll_of(r);
	struct epoll_event events[EVENTS_PER_TURN];
	int n = epoll_wait(e->epfd, events, EVENTS_PER_TURN,
			   r->queued.first ? 0 : epoll_timeout(wait_ms));
	if (n < 0 && errno != EINTR)
		return -errno;
	ring_read_clock(r);
	for (int i = 0; i < n; i++)
		on_edge(e, &events[i]);
	size_t tries = r->queued.count > TRIES_PER_TURN ? r->queued.count : TRIES_PER_TURN;
	while (tries-- && r->queued.first)
		try_op(e, ring_list_pop(&r->queued));
	return 0;
}

const struct ring_backend ring_epoll_backend = {
	.engine = RING_EPOLL,
	.size = sizeof(struct ring_epoll),
	.open = epoll_open,
	.close = epoll_close,
	.start = epoll_start,
	.cancel = epoll_cancel,
	.buffer_put = epoll_buffer_put,
	.detach = epoll_detach,
	.turn = epoll_turn,
};
