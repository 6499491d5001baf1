/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring: one completion interface over io_uring and, where the system refuses it, epoll.
 *
 * A ring belongs to the thread that runs it. Every call below, except ring_post() and
 * ring_stop(), is made on that thread. Operations are asynchronous without exception: op->done is
 * called from ring_turn(), never from inside the call that started the operation.
 *
 * The owner embeds a struct ring_op in its own object and may start it again only when it is not
 * busy. The object must outlive the operation: to tear down, cancel every busy operation and free
 * the object when the last one has reported. That is why user data can be a plain pointer: no
 * completion can arrive for something that is gone.
 *
 * UDP needs no operation of its own: ring_poll() and batches (datagrams.h).
 *
 * No operation connects. An agent dials with a non-blocking connect(2) and ring_poll() for POLLOUT;
 * the relay never dials, and its rings are registered so that the kernel refuses to (see
 * ring_uring.c, IORING_REGISTER_RESTRICTIONS).
 */
#ifndef POSTERN_CORE_RING_H
#define POSTERN_CORE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"
#include "core/timer.h"

/* One buffer of the ring's own pool, as ring_recv_pooled() hands out. */
#define RING_SMALL_BYTES 16384u

struct ring;
struct ring_op;

/*
 * res is the operation's result: a count or a descriptor, or -errno. -ECANCELED follows
 * ring_cancel() unless the operation finished first.
 */
typedef void ring_done_fn(struct ring_op *op, int res);

struct ring_op {
	ring_done_fn *done; /* the owner sets this before starting the operation */
	uint8_t *buf;	    /* ring_recv_pooled(): the bytes; ring_buffer_put() it */

	/* The ring's own; the owner leaves these alone. Zero-initialised is idle. */
	struct ring_op *next, *prev;
	uint32_t len, moved;
	int fd;
	uint8_t kind, place;
	bool busy, cancelled;
};

/* A message to another thread's ring; run is called there, and owns msg from then on. */
struct ring_msg {
	void (*run)(struct ring_msg *msg);
	struct ring_msg *next;
};

enum ring_engine { RING_AUTO, RING_IO_URING, RING_EPOLL };

struct ring_options {
	enum ring_engine engine;
	unsigned entries;	/* submission queue size; 0: 1024 */
	unsigned small_buffers; /* how many RING_SMALL_BYTES buffers; power of two; 0: 256 */
};

/*
 * Opens a ring for the calling thread. With RING_AUTO, io_uring is tried first and epoll follows.
 * Where io_uring was wanted and could not be had, why (of why_size bytes) receives one sentence
 * with the reason and the remedy; otherwise it is the empty string. Returns 0 or -errno.
 */
int ring_open(struct ring **out, const struct ring_options *opt, char *why,
	      size_t why_size) MUST_CHECK;
/* No operation may be busy. The ring's own thread. */
void ring_close(struct ring *r);

/* RING_IO_URING or RING_EPOLL, and its name for people ("io_uring", "epoll"). */
enum ring_engine ring_engine(const struct ring *r);
const char *ring_engine_name(enum ring_engine e);

/* Runs until ring_stop(). Returns 0, or -errno when the kernel refused to go on. */
int ring_run(struct ring *r) MUST_CHECK;
/* One turn of that loop, for a caller that schedules several rings by turns: waits until something
 * is due, delivers what has completed, fires timers. ring_stop() has no effect on it. 0 or -errno.
 */
int ring_turn(struct ring *r) MUST_CHECK;
void ring_stop(struct ring *r); /* any thread, and signal handlers */

/* Milliseconds of CLOCK_MONOTONIC, read once per turn of the loop. */
uint64_t ring_now_ms(const struct ring *r);

static inline bool ring_op_busy(const struct ring_op *op)
{
	return op->busy;
}

/*
 * Accepts until cancelled: done(op, fd) once per connection (non-blocking, close-on-exec), and
 * op stays busy after each. A result below 0 ends it; op is then idle (-EMFILE and the like: start
 * it again after a pause).
 */
void ring_accept(struct ring *r, struct ring_op *op, int fd);
/* Whether accept(2) failed for the connection alone: the next one may be had. */
bool ring_accept_again(int err);

/* Receives at most len bytes into buf: done(n), 0 at end-of-file. buf stays untouched till done. */
void ring_recv(struct ring *r, struct ring_op *op, int fd, void *buf, size_t len);

/* As ring_recv(), but never waits: done(-EAGAIN) when nothing is there. */
void ring_recv_now(struct ring *r, struct ring_op *op, int fd, void *buf, size_t len);

/*
 * As ring_recv(), but takes a buffer of RING_SMALL_BYTES from the ring's pool only when bytes have
 * arrived, so that waiting costs no memory. When done reports n > 0, op->buf is the caller's until
 * ring_buffer_put(). With the pool empty the operation waits for a buffer: natural backpressure.
 */
void ring_recv_pooled(struct ring *r, struct ring_op *op, int fd);
void ring_buffer_put(struct ring *r, uint8_t *buf);

/* Sends all len bytes: done(len), or -errno. A slow peer makes it wait; partial sends stay inside.
 */
void ring_send(struct ring *r, struct ring_op *op, int fd, const void *buf, size_t len);

/*
 * Waits once for poll(2) events: done(revents); POLLERR, POLLHUP and, on io_uring, POLLRDHUP are
 * told unasked. On one descriptor at most one operation reads and one writes at a time: a poll for
 * POLLOUT alone counts as writing, with POLLIN too as both, else as reading.
 */
void ring_poll(struct ring *r, struct ring_op *op, int fd, unsigned events);

/* Asks a busy operation to end; done still comes, once. Harmless on an idle one. */
void ring_cancel(struct ring *r, struct ring_op *op);

/* Before a descriptor moves to another ring, and in place of close(2). No operation may be busy. */
void ring_detach_fd(struct ring *r, int fd);
void ring_close_fd(struct ring *r, int fd);
/* As ring_close_fd(), but the peer sees a reset (SO_LINGER 0). */
void ring_reset_fd(struct ring *r, int fd);

/* Timers of this ring's clock; see timer.h. */
void ring_timer_set(struct ring *r, struct timer *t, uint64_t after_ms);
void ring_timer_cancel(struct ring *r, struct timer *t);

/* Hands msg to the thread of ring to. Callable from any thread; order per sender is kept. */
void ring_post(struct ring *to, struct ring_msg *msg);

#endif
