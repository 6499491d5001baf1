/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: one thread with one ring, its connections and sessions.
 *
 * A connection lives on the worker that accepted it until it is paired: the accepting leg then
 * moves to the asker's worker, so that a session's two legs share a thread and the data path takes
 * no lock. Everything that crosses threads is a message (ring_post) that names connections by id;
 * an id whose connection has gone finds nothing, and the message does no harm.
 */
#ifndef POSTERN_RELAY_WORKER_H
#define POSTERN_RELAY_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/buffers.h"
#include "core/parse/wire.h"
#include "core/ring.h"
#include "core/slab.h"
#include "relay/relay.h"
#include "relay/session/splicer.h"
#include "relay/front/stun.h"

struct conn;
struct flow;
struct listener;
struct session;
struct udp;

/* Written by the worker alone, read by anyone. */
struct stats {
	_Atomic uint64_t accepted, sessions, sessions_total, bytes;
	_Atomic uint64_t refused[REASON_MAX];
	_Atomic uint64_t stun[STUN_WAYS][STUN_COUNTS];
};

struct worker {
	struct relay *relay;
	unsigned index;
	pthread_t thread;
	struct ring *ring;
	struct slab conns, sessions;
	struct snapshot *snap; /* the configuration in force here */
	struct listener *listeners;
	struct udp *udp;
	struct stun_rules stun;
	size_t held_bytes;	/* copies that slow receivers make flows hold */
	struct splicer splicer; /* for large moves of busy directions */
	struct buffers large;	/* for busy directions */
	uint8_t *scratch;	/* limits.client_hello_bytes, for clienthello_parse() */
	uint8_t *plain;		/* PLAIN_BYTES, for decrypted bytes on their way */
	struct conn *reapable;	/* closed, no operation busy, not yet freed */
	struct timer reaper, trimmer, policy_timer;
	struct timer pace_timer;
	struct flow *paced; /* waiting for the shaper (pace.h) */
	size_t paced_count;
	time_t look_again; /* when a running session's answer changes by itself; 0: never */
	struct stats stats;
	bool draining;
};

#define PLAIN_BYTES 16384u

static inline void stat_add(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, old + n, memory_order_relaxed);
}

/* Makes tables and listeners; the ring is opened by the thread itself. 0 or -errno. */
int worker_init(struct worker *w, struct relay *r, unsigned index,
		struct snapshot *snap) MUST_CHECK;
/* Opens the ring on the calling thread. why as ring_open(). */
int worker_open_ring(struct worker *w, char *why, size_t why_size) MUST_CHECK;
/* From now on it accepts and serves, while its ring is run. On the ring's thread. */
void worker_begin(struct worker *w);
void worker_free(struct worker *w);

/* Counts a refusal or an ending. */
void worker_count(struct worker *w, enum reason reason);

/* Closes a connection's descriptor and takes it off the count; reset: the peer sees a reset. */
void worker_close_fd(struct worker *w, int fd, bool reset);

static inline struct worker *worker_of(const struct relay *r, slab_id id)
{
	return &r->workers[slab_id_tag(id)];
}

/*
 * Messages to connections of any worker; each finds its connection by id or does nothing.
 */
/* Sends the message; with then_close, the connection ends after it. From any worker. */
void tell_send(struct relay *r, slab_id conn, const struct wire_message *m, bool then_close);
/* An asker's meeting came to nothing. */
void tell_failed(struct relay *r, slab_id asker, uint64_t session, enum reason reason,
		 struct wire_bytes text);
/* Sends DRAIN and refuses new agents and sessions. A relay that will leave stops accepting, too;
 * one that may stay goes on, for consoles must get in to say so. */
void tell_drain(struct worker *w, bool close_listeners);
/* Switches to snap (a reference is taken). fds: a socket for each of its doors that are not served
 * yet, -1 for the others, in the order of snap->doors; taken over. Also ends a drain. */
bool tell_switch(struct worker *w, struct snapshot *snap, const int *fds, size_t count) MUST_CHECK;

#endif
