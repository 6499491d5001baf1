/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_internal: what ring.c shares with its two backends. No other file includes this, except the
 * platform tests that prove what a ring refuses.
 */
#ifndef POSTERN_CORE_RING_INTERNAL_H
#define POSTERN_CORE_RING_INTERNAL_H

#include <stdatomic.h>

#include "core/ring.h"

enum ring_kind {
	RING_ACCEPT,
	RING_RECV,
	RING_RECV_NOW,
	RING_RECV_POOLED,
	RING_SEND,
	RING_POLL,
};

/*
 * Where an operation is. IDLE -> QUEUED or WAITING when it starts; every place but IDLE is busy.
 *
 * QUEUED      on ring.queued: io_uring had no submission entry; epoll has yet to try it
 * TRYING      epoll is at it just now; on no list
 * WAITING     the kernel has it, or its descriptor's next edge will queue it; on no list
 * CANCELLING  the kernel has it and has been asked to give it back; on the backend's list
 * STARVED     on ring.starved: it wants a buffer of the pool
 * FINISHED    on ring.finished: the result (in .moved) is known, done is yet to be called
 */
enum ring_place {
	RING_IDLE,
	RING_QUEUED,
	RING_TRYING,
	RING_WAITING,
	RING_CANCELLING,
	RING_STARVED,
	RING_FINISHED,
};

struct ring_list {
	struct ring_op *first, *last;
	size_t count;
};

void ring_list_push(struct ring_list *l, struct ring_op *op, enum ring_place place);
void ring_list_remove(struct ring_list *l, struct ring_op *op);
/* The first, taken off; or NULL. */
struct ring_op *ring_list_pop(struct ring_list *l);

#define RING_WAIT_FOREVER UINT64_MAX

struct ring_backend {
	enum ring_engine engine;
	size_t size; /* of the backend's struct, which begins with a struct ring */
	/* Returns 0 or -errno; then cause has the reason and the remedy. */
	int (*open)(struct ring *r, const struct ring_options *opt, char *cause, size_t cause_size);
	void (*close)(struct ring *r);
	/* Takes on an operation whose fields are set. */
	void (*start)(struct ring *r, struct ring_op *op);
	/* True: the operation is given up already. False: its completion is still to come. */
	bool (*cancel)(struct ring *r, struct ring_op *op);
	void (*buffer_put)(struct ring *r, uint8_t *buf);
	void (*detach)(struct ring *r, int fd);
	/* Waits at most so long, reads the clock, delivers what has completed. 0 or -errno. */
	int (*turn)(struct ring *r, uint64_t wait_ms);
};

struct ring {
	const struct ring_backend *backend;
	uint64_t now_ms;
	struct timers timers;
	struct ring_list queued, starved, finished;

	uint8_t *pool; /* pool_count buffers of RING_SMALL_BYTES, side by side */
	unsigned pool_count;
	unsigned pool_free; /* not handed out, as far as completions have told */

	bool running;
	int failed; /* -errno that ends ring_run() */
	int wake_fd;
	struct ring_op wake;
	atomic_bool stop;
	_Atomic(struct ring_msg *) inbox; /* the newest first */
};

extern const struct ring_backend ring_uring_backend;
extern const struct ring_backend ring_epoll_backend;

void ring_read_clock(struct ring *r);
/* Makes op idle and calls done. The caller must not touch op afterwards. */
void ring_finish(struct ring *r, struct ring_op *op, int res);
/* The same from the next turn of the loop, for results that are known inside a call. */
void ring_finish_later(struct ring *r, struct ring_op *op, int res);
/* Takes note that the pool's buffer i has been handed out; returns it. */
uint8_t *ring_pool_take(struct ring *r, unsigned i);

/* For tests: the struct io_uring of a ring that runs on it. */
struct io_uring;
struct io_uring *ring_uring_raw(struct ring *r);

#endif
