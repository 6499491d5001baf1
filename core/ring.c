/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring: the choice of the engine, the run loop, timers, messages and the pool's bookkeeping.
 *
 * Theory of operation. One turn of the loop is: deliver results that were known early; give
 * starved receives another chance; let the backend submit, wait and deliver; fire timers. The loop
 * waits only when nothing is left that it could do itself.
 *
 * The pool. A receive that finds the pool empty is parked on ring.starved, in order of arrival. It
 * may have been parked without any bytes waiting for it (io_uring picks the buffer first), so one
 * returned buffer must not be promised to one parked operation: that one may go to sleep on its
 * socket, the buffer stay unused, and the others starve beside it. Each turn therefore releases as
 * many operations as buffers are free, and the loop does not wait while there is both a free buffer
 * and a starved operation. Every such turn either uses a buffer up or puts at least one operation
 * to sleep on its socket, so the turns end, and an operation is tried once for each time it
 * starved.
 */

#include "core/ring_internal.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/container.h"

#define ENTRIES_DEFAULT	      1024u
#define SMALL_BUFFERS_DEFAULT 256u
#define SMALL_BUFFERS_MAX     32768u /* io_uring's largest buffer ring */
#define CAUSE_BYTES	      256

void ring_list_push(struct ring_list *l, struct ring_op *op, enum ring_place place)
{
	op->place = (uint8_t)place;
	op->next = NULL;
	op->prev = l->last;
	if (l->last)
		l->last->next = op;
	else
		l->first = op;
	l->last = op;
	l->count++;
}

void ring_list_remove(struct ring_list *l, struct ring_op *op)
{
	if (op->prev)
		op->prev->next = op->next;
	else
		l->first = op->next;
	if (op->next)
		op->next->prev = op->prev;
	else
		l->last = op->prev;
	op->next = op->prev = NULL;
	l->count--;
}

struct ring_op *ring_list_pop(struct ring_list *l)
{
	struct ring_op *op = l->first;
	if (op)
		ring_list_remove(l, op);
	return op;
}

/* ---- opening and closing ------------------------------------------------------------------- */

static void ring_woken(struct ring_op *op, int res);

static int pool_open(struct ring *r, unsigned count)
{
	void *pool = mmap(NULL, (size_t)count * RING_SMALL_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pool == MAP_FAILED)
		return -errno;
	r->pool = pool;
	r->pool_count = r->pool_free = count;
	return 0;
}

static void ring_destroy(struct ring *r)
{
	if (r->wake_fd >= 0)
		close(r->wake_fd);
	if (r->pool)
		munmap(r->pool, (size_t)r->pool_count * RING_SMALL_BYTES);
	free(r);
}

static int open_with(const struct ring_backend *backend, struct ring **out,
		     const struct ring_options *opt, char *cause, size_t cause_size)
{
	struct ring *r = calloc(1, backend->size);
	if (!r)
		return -ENOMEM;
	r->backend = backend;
	timers_init(&r->timers);
	ring_read_clock(r);
	int err = 0;
	r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->wake_fd < 0)
		err = -errno;
	if (!err)
		err = pool_open(r, opt->small_buffers);
	if (!err)
		err = backend->open(r, opt, cause, cause_size);
	if (err) {
		ring_destroy(r);
		return err;
	}
	r->wake.done = ring_woken;
	ring_poll(r, &r->wake, r->wake_fd, POLLIN);
	*out = r;
	return 0;
}

int ring_open(struct ring **out, const struct ring_options *opt, char *why, size_t why_size)
{
	struct ring_options o = *opt;
	if (!o.entries)
		o.entries = ENTRIES_DEFAULT;
	if (!o.small_buffers)
		o.small_buffers = SMALL_BUFFERS_DEFAULT;
	if (why_size)
		why[0] = '\0';
	if (o.small_buffers > SMALL_BUFFERS_MAX || (o.small_buffers & (o.small_buffers - 1)))
		return -EINVAL;

	if (o.engine != RING_EPOLL) {
		char cause[CAUSE_BYTES] = "";
		int err = open_with(&ring_uring_backend, out, &o, cause, sizeof(cause));
		if (!err)
			return 0;
		snprintf(why, why_size, "io_uring is refused here (%s)%s%s%s", strerror(-err),
			 o.engine == RING_AUTO ? ", using epoll" : "", *cause ? ": " : "", cause);
		if (o.engine == RING_IO_URING)
			return err;
	}
	return open_with(&ring_epoll_backend, out, &o, NULL, 0);
}

void ring_close(struct ring *r)
{
	if (!r)
		return;
	r->backend->close(r);
	ring_destroy(r);
}

enum ring_engine ring_engine(const struct ring *r)
{
	return r->backend->engine;
}

const char *ring_engine_name(enum ring_engine e)
{
	static const char *const names[] = {"auto", "io_uring", "epoll"};
	static_assert(sizeof(names) / sizeof(*names) == RING_EPOLL + 1, "one name per engine");
	return names[e];
}

/* ---- the loop ------------------------------------------------------------------------------ */

void ring_read_clock(struct ring *r)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	r->now_ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t ring_now_ms(const struct ring *r)
{
	return r->now_ms;
}

void ring_finish(struct ring *r, struct ring_op *op, int res)
{
	op->place = RING_IDLE;
	op->busy = op->cancelled = false;
	op->done(op, res);
}

void ring_finish_later(struct ring *r, struct ring_op *op, int res)
{
	op->moved = (uint32_t)res;
	ring_list_push(&r->finished, op, RING_FINISHED);
}

static void deliver_finished(struct ring *r)
{
	/* What the handlers add meanwhile waits for the next turn. */
	for (size_t n = r->finished.count; n; n--) {
		struct ring_op *op = ring_list_pop(&r->finished);
		ring_finish(r, op, (int)op->moved);
	}
}

static void release_starved(struct ring *r)
{
	for (unsigned n = r->pool_free; n && r->starved.first; n--)
		r->backend->start(r, ring_list_pop(&r->starved));
}

static uint64_t wait_ms(const struct ring *r)
{
	if (r->finished.first || (r->starved.first && r->pool_free))
		return 0;
	uint64_t due = timers_next(&r->timers);
	if (due == TIMERS_NEVER)
		return RING_WAIT_FOREVER;
	return due > r->now_ms ? due - r->now_ms : 0;
}

int ring_turn(struct ring *r)
{
	r->running = true;
	deliver_finished(r);
	release_starved(r);
	int err = r->backend->turn(r, wait_ms(r));
	timers_run(&r->timers, r->now_ms);
	r->running = false;
	return err ? err : r->failed;
}

int ring_run(struct ring *r)
{
	int err = 0;
	ring_read_clock(r);
	while (!err && !atomic_load(&r->stop))
		err = ring_turn(r);
	atomic_store(&r->stop, false);
	return err;
}

/* ---- waking from elsewhere ----------------------------------------------------------------- */

/* #syscalls write */
static void ring_wake(struct ring *r)
{
	/* Fails only when the counter is full, and then a wake-up is due already. */
	int saved = errno;
	ssize_t n = write(r->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
	(void)n;
	errno = saved;
}

void ring_stop(struct ring *r)
{
	atomic_store(&r->stop, true);
	ring_wake(r);
}

void ring_post(struct ring *to, struct ring_msg *msg)
{
	struct ring_msg *head = atomic_load_explicit(&to->inbox, memory_order_relaxed);
	do {
		msg->next = head;
	} while (!atomic_compare_exchange_weak_explicit(
		&to->inbox, &head, msg, memory_order_release, memory_order_relaxed));
	if (!head)
		ring_wake(to);
}

/* #syscalls read */
static void ring_woken(struct ring_op *op, int res)
{
	struct ring *r = container(op, struct ring, wake);
	if (res < 0) {
		r->failed = res;
		return;
	}
	/* First the counter, then the list: a message that comes in between wakes us once more. */
	uint64_t count;
	ssize_t n = read(r->wake_fd, &count, sizeof(count));
	(void)n;
	ring_poll(r, &r->wake, r->wake_fd, POLLIN);

	struct ring_msg *newest = atomic_exchange_explicit(&r->inbox, NULL, memory_order_acquire);
	struct ring_msg *oldest = NULL;
	while (newest) {
		struct ring_msg *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct ring_msg *msg = oldest;
		oldest = msg->next;
		msg->run(msg);
	}
}

/* ---- operations ---------------------------------------------------------------------------- */

static void ring_start(struct ring *r, struct ring_op *op, enum ring_kind kind, int fd, void *buf,
		       size_t len)
{
	assert(!op->busy && op->done);
	assert(len <= INT_MAX); /* a result is an int */
	op->kind = (uint8_t)kind;
	op->fd = fd;
	op->buf = buf;
	op->len = (uint32_t)len;
	op->moved = 0;
	op->busy = true;
	op->cancelled = false;
	r->backend->start(r, op);
}

void ring_accept(struct ring *r, struct ring_op *op, int fd)
{
	ring_start(r, op, RING_ACCEPT, fd, NULL, 0);
}

void ring_recv(struct ring *r, struct ring_op *op, int fd, void *buf, size_t len)
{
	ring_start(r, op, RING_RECV, fd, buf, len);
}

void ring_recv_now(struct ring *r, struct ring_op *op, int fd, void *buf, size_t len)
{
	ring_start(r, op, RING_RECV_NOW, fd, buf, len);
}

void ring_recv_pooled(struct ring *r, struct ring_op *op, int fd)
{
	ring_start(r, op, RING_RECV_POOLED, fd, NULL, RING_SMALL_BYTES);
}

void ring_send(struct ring *r, struct ring_op *op, int fd, const void *buf, size_t len)
{
	ring_start(r, op, RING_SEND, fd, (void *)(uintptr_t)buf, len);
}

void ring_poll(struct ring *r, struct ring_op *op, int fd, unsigned events)
{
	ring_start(r, op, RING_POLL, fd, NULL, events);
}

void ring_cancel(struct ring *r, struct ring_op *op)
{
	if (!op->busy || op->cancelled)
		return;
	op->cancelled = true;
	if (op->place == RING_FINISHED || !r->backend->cancel(r, op))
		return;
	if (op->place == RING_QUEUED)
		ring_list_remove(&r->queued, op);
	else if (op->place == RING_STARVED)
		ring_list_remove(&r->starved, op);
	ring_finish_later(r, op, -ECANCELED);
}

uint8_t *ring_pool_take(struct ring *r, unsigned i)
{
	assert(i < r->pool_count && r->pool_free > 0);
	r->pool_free--;
	return r->pool + (size_t)i * RING_SMALL_BYTES;
}

void ring_buffer_put(struct ring *r, uint8_t *buf)
{
	assert(buf >= r->pool && (size_t)(buf - r->pool) % RING_SMALL_BYTES == 0 &&
	       (size_t)(buf - r->pool) / RING_SMALL_BYTES < r->pool_count);
	assert(r->pool_free < r->pool_count);
	r->pool_free++;
	r->backend->buffer_put(r, buf);
}

bool ring_accept_again(int err)
{
	switch (err) { /* accept(2), "Error handling" */
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
		return true;
	default:
		return false;
	}
}

void ring_detach_fd(struct ring *r, int fd)
{
	r->backend->detach(r, fd);
}

/* #syscalls close */
void ring_close_fd(struct ring *r, int fd)
{
	r->backend->detach(r, fd);
	close(fd);
}

/* #syscalls setsockopt(1 is SOL_SOCKET) */
void ring_reset_fd(struct ring *r, int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	ring_close_fd(r, fd);
}

void ring_timer_set(struct ring *r, struct timer *t, uint64_t after_ms)
{
	/* Outside the loop no other code reads the clock. */
	if (!r->running)
		ring_read_clock(r);
	timers_set(&r->timers, t, r->now_ms + after_ms);
}

void ring_timer_cancel(struct ring *r, struct timer *t)
{
	timers_cancel(&r->timers, t);
}
