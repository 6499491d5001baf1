/* SPDX-License-Identifier: Apache-2.0 */
/* relay: what all worker threads of one relay share. */
#ifndef POSTERN_RELAY_RELAY_H
#define POSTERN_RELAY_RELAY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/engine/identity.h"
#include "relay/config.h"
#include "relay/rendezvous.h"
#include "relay/site.h"
#include "relay/sources.h"

#define RELAY_WORKERS_MAX 128u

struct worker;

struct relay {
	/* Immutable while workers run. */
	const struct relay_config *config;
	struct identity *identity;
	SSL_CTX *front;
	struct site site;
	const struct relay_public **publics; /* sorted by name */
	size_t public_count;
	uint64_t connection_limit, tls_limit;
	struct worker *workers;
	unsigned worker_count;

	/* Under lock: control work only, never held while bytes are copied. */
	pthread_mutex_t lock;
	struct rendezvous *rendezvous;
	struct sources *sources;

	_Atomic uint64_t connections, tls_states;
	_Atomic bool draining;
};

/* Loads identity and tables, opens listeners for so many workers. 0, or -1 with a sentence in why.
 */
int relay_init(struct relay *r, const struct relay_config *config, unsigned workers, char *why,
	       size_t why_size) MUST_CHECK;
/* After all workers have ended. */
void relay_free(struct relay *r);

struct relay_totals {
	uint64_t accepted, sessions, sessions_total, bytes, connections;
	uint64_t refused[REASON_MAX];
	struct rendezvous_counts tables;
};
/* Sums over the workers, from any thread. */
struct relay_totals relay_totals(struct relay *r);

/* The public table's entry for a ClientHello's server name, or NULL. */
const struct relay_public *relay_public_find(const struct relay *r, const char *server_name);

static inline void relay_lock(struct relay *r)
{
	pthread_mutex_lock(&r->lock);
}

static inline void relay_unlock(struct relay *r)
{
	pthread_mutex_unlock(&r->lock);
}

#endif
