/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: what a connection finds: its thread, and what all threads of the relay share.
 *
 * A connection lives on the worker that accepted it until it is paired: the accepting leg then
 * moves to the asker's worker, so that a session's two legs share a thread and the data path takes
 * no lock. Everything that crosses threads is a message (ring_post) that names connections by id;
 * an id whose connection has gone finds nothing, and the message does no harm.
 *
 * Rooms above keep what is theirs behind pointers that only they can follow (sessions, pacer,
 * control), and hear of what happens here by struct relay_upward. relay/relay.c ties them together.
 */
#ifndef POSTERN_RELAY_FRONT_WORKER_H
#define POSTERN_RELAY_FRONT_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/memory.h"
#include "core/parse/reason.h"
#include "core/ring.h"
#include "core/slab.h"
#include "relay/config/snapshot.h"
#include "relay/front/site.h"
#include "relay/front/stun.h"
#include "relay/ledger/ledger.h"
#include "relay/ledger/buckets.h"
#include "relay/rendezvous/rendezvous.h"

#define RELAY_WORKERS_MAX 128u
#define PLAIN_BYTES	  16384u

struct conn;
struct front_protocol;
struct pacer;
struct trace;
struct relay_control;
struct relay_listener;
struct sessions;
struct signing;
struct udp;
struct worker;
struct worker_switch;

/* What rooms above this one are told; one constant table, set before the first thread. */
struct relay_upward {
	/* On the worker: another configuration is in force for what is not a connection. */
	void (*adopted)(struct worker *w);
	/* On the worker: a console has signed in on c by this certificate; c is its from now on. */
	void (*console)(struct conn *c, struct credential *credential);
	/* On the control thread: a report has come (relay/session/report.h). */
	void (*reported)(struct ring_msg *report);
	/* Likewise: a line of a trace (relay/session/trace.h). */
	void (*traced)(struct ring_msg *line);
};

struct relay;

/* Of the threads, which are the process's own: see relay/control/watch.c. */
struct relay_watch {
	/* Whether the thread of this worker has ended, though the relay goes on. */
	bool (*ended)(struct relay *r, unsigned worker);
	/* This worker serves no more, and its sockets still take what comes. Ends the process. */
	void (*failed)(struct relay *r, unsigned worker, const char *why);
};

/* What all worker threads of one relay share. */
struct relay {
	/* Immutable while workers run. */
	struct worker *workers;
	unsigned worker_count;
	uint64_t descriptors;	  /* that may be open */
	uint64_t descriptors_own; /* that are neither connections nor listen at the front door */
	const struct front_protocol *const *protocols; /* ends with NULL; asked in this order */
	const struct relay_upward *upward;
	const struct relay_watch *watch; /* the process sets it before it watches */
	struct relay_control *control;	 /* relay/control/'s; NULL: none yet */
	struct ring *control_ring;	 /* of its thread */
	struct pacer *pacer;		 /* relay/session/'s, with a lock of its own */
	struct trace *trace;		 /* likewise */

	/* What its peers make it keep, up to limits.memory; every thread of the relay adopts it. */
	struct memory memory;
	/* A limit of the configuration in force; the control thread sets it. */
	_Atomic uint64_t connection_limit;

	/* Every accepted connection, and how often they may make us work; charge.h. */
	pthread_mutex_t ledger_lock;
	struct ledger *ledger;
	struct buckets *buckets;

	/* Under lock: control work only, never held while bytes are copied. */
	pthread_mutex_t lock;
	struct rendezvous *rendezvous;

	struct stun_gate stun_gate; /* has a lock of its own */

	/* Of each address of the configuration in force: whether it is optional and could not be
	 * had. The control thread's, once there are threads. */
	bool *missing;

	_Atomic uint64_t reports, reports_lost; /* under way; dropped and not yet told */
	_Atomic bool draining;
};

static inline void relay_lock(struct relay *r)
{
	pthread_mutex_lock(&r->lock);
}

static inline void relay_unlock(struct relay *r)
{
	pthread_mutex_unlock(&r->lock);
}

/* Written by the worker alone, read by all threads. */
struct worker_stats {
	_Atomic uint64_t accepted, handshakes, sessions, sessions_total, bytes;
	_Atomic uint64_t refused[REASON_MAX];
	_Atomic uint64_t stun[STUN_WAYS][STUN_COUNTS];
};

struct worker {
	struct relay *relay;
	unsigned index;
	struct ring *ring;
	struct snapshot *snap; /* the configuration in force here */
	struct slab conns;
	struct sessions *sessions;	  /* relay/session/'s */
	struct relay_listener *listeners; /* listener.c's */
	struct udp *udp;		  /* udp.c's */
	struct signing *signing;	  /* signing.c's */
	struct site site;		  /* made from snap */
	struct stun_rules stun;		  /* likewise */
	uint8_t *scratch;		  /* for clienthello_parse() */
	uint8_t *plain;			  /* PLAIN_BYTES, for decrypted bytes on their way */
	struct conn *reapable;		  /* closed, no operation busy, not yet freed */
	struct timer reaper;
	struct ring_msg crowded;   /* some of its connections have to go (charge.h) */
	_Atomic bool crowded_told; /* and is on its way */
	struct worker_stats stats;
	bool draining;
	struct ring_msg drain_msg;     /* under way while drain_wanted is not 0 */
	_Atomic unsigned drain_wanted; /* worker.c's bits, from the control thread */
};

static inline void stat_add(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, old + n, memory_order_relaxed);
}

static inline struct worker *worker_of(const struct relay *r, slab_id id)
{
	return &r->workers[slab_id_tag(id)];
}

/* Makes the table of connections and binds sockets; the ring is the thread's own to open. 0, or
 * -errno: worker_close() is due also then, and why has a sentence when an address is to blame. */
int worker_open(struct worker *w, struct relay *r, unsigned index, struct snapshot *snap, char *why,
		size_t why_size) MUST_CHECK;
/* From the next turn of its ring on it accepts and answers. */
void worker_start(struct worker *w);
/* Once its ring is closed. */
void worker_close(struct worker *w);

/* Counts a refusal or an ending. */
void worker_count(struct worker *w, enum reason reason);
/* Closes a connection's descriptor and gives its place in the ledger back; reset: the peer sees a
 * reset. */
void worker_close_fd(struct worker *w, int fd, uint32_t place, bool reset);

/* From the control thread: tells agents to go elsewhere and refuses new ones, and new sessions. A
 * relay that will leave stops accepting, too; one that may stay goes on, for consoles must get in
 * to say so. */
void worker_drain(struct worker *w, bool close_listeners);
/* From the control thread: a message that switches w to snap (a reference is taken) between two
 * turns. fds: a socket for each of its endpoints that are not served yet, -1 for the others, in
 * their order. Where the relay does not drain any more, it also ends a drain there. NULL without
 * memory. Made for all workers before it is sent to one: none may keep what the others have left.
 */
struct worker_switch *worker_switch_new(struct worker *w, struct snapshot *snap, const int *fds,
					size_t count) MUST_CHECK;
/* Takes the sockets over. */
void worker_switch_send(struct worker_switch *m);
/* Instead of sending it; the sockets are still the caller's. NULL is harmless. */
void worker_switch_drop(struct worker_switch *m);

struct relay_totals {
	uint64_t accepted, handshakes, sessions, sessions_total, bytes, connections;
	struct ledger_use ledger;
	uint64_t refused[REASON_MAX];
	uint64_t stun[STUN_WAYS][STUN_COUNTS];
	struct rendezvous_counts tables;
};
/* Sums over the workers, from any thread. */
struct relay_totals relay_totals(struct relay *r);

#endif
