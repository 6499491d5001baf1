/* SPDX-License-Identifier: Apache-2.0 */
/* relay: what all worker threads of one relay share. */
#ifndef POSTERN_RELAY_RELAY_H
#define POSTERN_RELAY_RELAY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/isolation.h"
#include "relay/config/config.h"
#include "relay/session/pace.h"
#include "relay/rendezvous/rendezvous.h"
#include "relay/config/snapshot.h"
#include "relay/rendezvous/sources.h"
#include "relay/front/stun.h"

#define RELAY_WORKERS_MAX 128u

struct control;
struct worker;

struct relay {
	/* Immutable while workers run. */
	struct worker *workers;
	unsigned worker_count;
	uint64_t connections_possible; /* by the descriptor limit at start */
	uint32_t table_rooms;	       /* connections that the tables were made for */
	struct control *control;
	struct isolation_report isolation;

	/* Limits of the configuration in force; the control thread sets them. */
	_Atomic uint64_t connection_limit, tls_limit;

	/* Under lock: control work only, never held while bytes are copied. */
	pthread_mutex_t lock;
	struct rendezvous *rendezvous;
	struct sources *sources;

	struct pacer pacer;	    /* has a lock of its own */
	struct stun_gate stun_gate; /* likewise */

	_Atomic uint64_t connections, tls_states;
	_Atomic bool draining;
};

/* Makes tables and opens listeners for so many workers. 0, or -1 with a sentence in why. */
int relay_init(struct relay *r, struct snapshot *snap, unsigned workers, char *why,
	       size_t why_size) MUST_CHECK;
/* The limits of another configuration, from now on. False without memory: nothing has changed. */
bool relay_adopt_limits(struct relay *r, const struct relay_config *config) MUST_CHECK;
/* After all workers have ended. */
void relay_free(struct relay *r);

struct relay_totals {
	uint64_t accepted, sessions, sessions_total, bytes, connections;
	uint64_t refused[REASON_MAX];
	uint64_t stun[STUN_WAYS][STUN_COUNTS];
	struct rendezvous_counts tables;
};
/* Sums over the workers, from any thread. */
struct relay_totals relay_totals(struct relay *r);

static inline void relay_lock(struct relay *r)
{
	pthread_mutex_lock(&r->lock);
}

static inline void relay_unlock(struct relay *r)
{
	pthread_mutex_unlock(&r->lock);
}

#endif
