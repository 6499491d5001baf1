/* SPDX-License-Identifier: Apache-2.0 */
/* relay: what all workers share, and the public table. */
#include "relay/relay.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/log.h"
#include "relay/front/conn.h"
#include "relay/session/session.h"

/* Descriptors that are not connections: rings, events, listeners, the log, and a reserve. */
#define DESCRIPTORS_OWN 64u
/* What a TLS connection takes at most while it shakes hands; much less afterwards (measured). */
#define TLS_STATE_BYTES	 16384u
#define TLS_STATES_LEAST 256u

/* How many connections the descriptor limit allows. A sealed relay can no longer ask. */
static uint64_t descriptors_allow(void)
{
	struct rlimit files;
	uint64_t allowed = 1024;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) == 0)
			allowed = files.rlim_max;
	}
	if (allowed > 1u << 20)
		allowed = 1u << 20;
	return allowed > 2 * DESCRIPTORS_OWN ? allowed - DESCRIPTORS_OWN : allowed / 2;
}

/* As many as were asked for, or as descriptors and tables allow. */
static uint64_t relay_connection_limit(const struct relay *r, const struct relay_config *c)
{
	if (c->limits.connections == 0)
		return r->connections_possible;
	if (c->limits.connections > r->connections_possible) {
		log_warning("relay",
			    "limits.connections=%llu is more than is possible; using %llu: raise "
			    "LimitNOFILE or ulimit -n and start again",
			    (unsigned long long)c->limits.connections,
			    (unsigned long long)r->connections_possible);
		return r->connections_possible;
	}
	return c->limits.connections;
}

/* Shares limits.memory out: tables and buffers first, TLS states get the rest. */
static void relay_share_memory(struct relay *r, const struct relay_config *config)
{
	const struct relay_limits *limits = &config->limits;
	uint64_t connections = r->connection_limit;
	uint64_t tables =
		connections * sizeof(struct conn) + connections / 2 * sizeof(struct session);
	uint64_t stun = stun_limits_bytes((uint32_t)config->stun.prefixes);
	uint64_t fixed = tables + limits->buffer_bytes + stun;

	r->tls_limit =
		limits->memory_bytes > fixed ? (limits->memory_bytes - fixed) / TLS_STATE_BYTES : 0;
	if (r->tls_limit < TLS_STATES_LEAST) {
		log_warning("relay",
			    "limits.memory leaves room for %llu TLS connections, too few to be of "
			    "use; going on with %u: raise it or lower limits.buffer_bytes",
			    (unsigned long long)r->tls_limit, TLS_STATES_LEAST);
		r->tls_limit = TLS_STATES_LEAST;
	}
	log_notice("relay",
		   "limits: memory=%llu MiB: tables=%llu MiB for connections=%llu, buffers=%llu "
		   "MiB, stun=%llu KiB for prefixes=%llu, tls_states=%llu; agents=%llu "
		   "per_source=%llu",
		   (unsigned long long)(limits->memory_bytes >> 20),
		   (unsigned long long)(tables >> 20), (unsigned long long)connections,
		   (unsigned long long)(limits->buffer_bytes >> 20),
		   (unsigned long long)(stun >> 10), (unsigned long long)config->stun.prefixes,
		   (unsigned long long)r->tls_limit, (unsigned long long)limits->agents,
		   (unsigned long long)limits->per_source);
}

static struct rendezvous_limits rendezvous_limits_of(const struct relay_config *config)
{
	return (struct rendezvous_limits){
		.links = config->limits.agents,
		.services = config->limits.services,
		.legs = config->limits.legs,
		.sessions = config->limits.sessions,
	};
}

bool relay_adopt_limits(struct relay *r, const struct relay_config *config)
{
	struct rendezvous_limits limits = rendezvous_limits_of(config);

	if (stun_gate_adopt(&r->stun_gate, &config->stun) < 0)
		return false;
	r->connection_limit = relay_connection_limit(r, config);
	relay_share_memory(r, config);
	relay_lock(r);
	rendezvous_set_limits(r->rendezvous, &limits);
	sources_set_limit(r->sources, config->limits.per_source);
	relay_unlock(r);
	pacer_set_limits(&r->pacer, &config->bandwidth);
	return true;
}

int relay_init(struct relay *r, struct snapshot *snap, unsigned workers, char *why, size_t why_size)
{
	const struct relay_config *config = &snap->config;
	struct rendezvous_limits limits = rendezvous_limits_of(config);

	pthread_mutex_init(&r->lock, NULL);
	stun_gate_init(&r->stun_gate);
	r->rendezvous = rendezvous_new(&limits);
	r->sources = sources_new(config->limits.per_source);
	r->workers = calloc(workers, sizeof *r->workers);
	if (pacer_init(&r->pacer) < 0 || !r->rendezvous || !r->sources || !r->workers) {
		snprintf(why, why_size, "out of memory");
		return -1;
	}
	r->worker_count = workers;
	r->connections_possible = descriptors_allow();
	r->table_rooms = (uint32_t)r->connections_possible;
	if (!relay_adopt_limits(r, config)) {
		snprintf(why, why_size, "out of memory: lower stun.prefixes");
		return -1;
	}
	for (unsigned i = 0; i < workers; i++) {
		int error = worker_init(&r->workers[i], r, i, snap);
		if (error < 0) {
			snprintf(why, why_size, "cannot set up: %s", strerror(-error));
			return -1;
		}
	}
	return 0;
}

void relay_free(struct relay *r)
{
	for (unsigned i = 0; i < r->worker_count; i++)
		worker_free(&r->workers[i]);
	free(r->workers);
	rendezvous_free(r->rendezvous);
	sources_free(r->sources);
	pacer_free(&r->pacer);
	stun_gate_free(&r->stun_gate);
	pthread_mutex_destroy(&r->lock);
}

struct relay_totals relay_totals(struct relay *r)
{
	struct relay_totals t = {0};

	for (unsigned i = 0; i < r->worker_count; i++) {
		struct stats *s = &r->workers[i].stats;

		t.accepted += atomic_load_explicit(&s->accepted, memory_order_relaxed);
		t.sessions += atomic_load_explicit(&s->sessions, memory_order_relaxed);
		t.sessions_total += atomic_load_explicit(&s->sessions_total, memory_order_relaxed);
		t.bytes += atomic_load_explicit(&s->bytes, memory_order_relaxed);
		for (unsigned n = 0; n < STUN_WAYS * STUN_COUNTS; n++)
			t.stun[n / STUN_COUNTS][n % STUN_COUNTS] += atomic_load_explicit(
				&s->stun[n / STUN_COUNTS][n % STUN_COUNTS], memory_order_relaxed);
		for (unsigned code = 0; code < REASON_MAX; code++)
			t.refused[code] +=
				atomic_load_explicit(&s->refused[code], memory_order_relaxed);
	}
	t.connections = atomic_load_explicit(&r->connections, memory_order_relaxed);
	relay_lock(r);
	t.tables = rendezvous_count(r->rendezvous);
	relay_unlock(r);
	return t;
}
