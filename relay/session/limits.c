/* SPDX-License-Identifier: Apache-2.0 */
/* limits: what a configuration's limits come to, in connections and memory. */
#include "relay/session/limits.h"

#include "core/log.h"
#include "relay/front/conn.h"
#include "relay/session/pace.h"
#include "relay/session/session.h"

#define CONNECTIONS_LEAST 16u
#define STUN_A_SECOND	  1u /* answers, BUCKETS_NAME_MORE times as many to a name's links */

/* A stream's listener holds a second one in reserve: core/acceptor.h. */
uint64_t limits_listening(const struct relay *r, const struct snapshot *snap)
{
	uint64_t count = 0;

	for (size_t i = 0; i < snap->binds.count; i++)
		count += snap->binds.items[i].kind == BIND_UDP ? 1 : 2;
	return count * r->worker_count;
}

/* What descriptors allow. A change opens its listeners before the old ones close. */
static uint64_t limits_possible(const struct relay *r, const struct snapshot *snap)
{
	uint64_t used = r->descriptors_own + 2 * limits_listening(r, snap);
	uint64_t possible = r->descriptors > used ? r->descriptors - used : 0;

	if (possible >= CONNECTIONS_LEAST)
		return possible;
	log_warning("relay",
		    "of %llu descriptors the relay itself needs %llu, which leaves too few for "
		    "connections; going on with %u: raise LimitNOFILE or ulimit -n and start again",
		    (unsigned long long)r->descriptors, (unsigned long long)used,
		    CONNECTIONS_LEAST);
	return CONNECTIONS_LEAST;
}

/* As many as were asked for, or as descriptors and tables allow. */
static uint64_t limits_connections(const struct relay *r, const struct snapshot *snap)
{
	const struct relay_config *c = &snap->config;
	uint64_t possible = limits_possible(r, snap);

	if (c->limits.connections == 0)
		return possible;
	if (c->limits.connections > possible) {
		log_warning("relay",
			    "limits.connections=%llu is more than is possible; using %llu: raise "
			    "LimitNOFILE or ulimit -n and start again",
			    (unsigned long long)c->limits.connections,
			    (unsigned long long)possible);
		return possible;
	}
	return c->limits.connections;
}

/* Shares the connections out: each class has places that no other can take. */
static void limits_share_places(const struct relay *r, const struct relay_limits *limits,
				struct ledger_limits *out)
{
	const struct ledger_shares shares = {
		.connections = r->connection_limit,
		.unproven = limits->unproven,
		.public = limits->publics,
		.public_per_name = limits->public_per_name,
	};

	ledger_share_out(&shares, out);
	out->per_source = limits->per_source;
	out->public_per_source = limits->public_per_source;
	log_notice("relay",
		   "limits: connections=%llu: proven=%llu unproven=%llu public=%llu consoles=%llu; "
		   "per_source=%llu public_per_source=%llu public_per_name=%llu",
		   (unsigned long long)shares.connections,
		   (unsigned long long)out->places[LEDGER_PROVEN],
		   (unsigned long long)out->places[LEDGER_UNPROVEN],
		   (unsigned long long)out->places[LEDGER_PUBLIC],
		   (unsigned long long)out->places[LEDGER_CONSOLE],
		   (unsigned long long)out->per_source, (unsigned long long)out->public_per_source,
		   (unsigned long long)out->public_per_name);
}

static void limits_make_rates(const struct relay_limits *limits, struct buckets_limits *out)
{
	*out = (struct buckets_limits){
		.total = {[BUCKETS_HANDSHAKE] = limits->handshakes,
			  [BUCKETS_REQUEST] = limits->requests,
			  [BUCKETS_SIGN_IN] = limits->sign_ins},
		.per_source = {[BUCKETS_HANDSHAKE] = limits->handshakes_per_source,
			       [BUCKETS_REQUEST] = limits->requests_per_source,
			       [BUCKETS_SIGN_IN] = limits->sign_ins_per_source,
			       [BUCKETS_STUN] = STUN_A_SECOND},
	};
}

/* One limit for all that peers make the relay keep (core/memory.h); tables are charged as they
 * fill, large buffers while they are lent. What is fixed must leave room for the rest. */
static void limits_set_memory(struct relay *r, const struct relay_config *config)
{
	const struct relay_limits *limits = &config->limits;
	uint64_t stun = stun_limits_bytes((uint32_t)config->stun.prefixes);
	uint64_t each = sizeof(struct conn) + sizeof(struct session) / 2;

	r->memory.most = limits->memory_bytes;
	log_notice("relay",
		   "limits: memory=%llu MiB: up to %llu MiB for peers that have proved nothing; "
		   "buffers=%llu MiB at most, stun=%llu KiB for prefixes=%llu; connections=%llu of "
		   "%llu bytes each and their TLS; agents=%llu",
		   (unsigned long long)(limits->memory_bytes >> 20),
		   (unsigned long long)(limits->memory_bytes / 4 * 3 >> 20),
		   (unsigned long long)(limits->buffer_bytes >> 20),
		   (unsigned long long)(stun >> 10), (unsigned long long)config->stun.prefixes,
		   (unsigned long long)r->connection_limit, (unsigned long long)each,
		   (unsigned long long)limits->agents);
}

bool limits_adopt(struct relay *r, const struct snapshot *snap)
{
	const struct relay_config *config = &snap->config;
	const struct rendezvous_limits limits = {
		.links = config->limits.agents,
		.services = config->limits.services,
		.legs = config->limits.legs,
		.sessions = config->limits.sessions,
	};

	struct ledger_limits ledger;
	struct buckets_limits rates;

	if (stun_gate_adopt(&r->stun_gate, &config->stun) < 0)
		return false;
	r->connection_limit = limits_connections(r, snap);
	limits_set_memory(r, config);
	relay_lock(r);
	rendezvous_set_limits(r->rendezvous, &limits);
	relay_unlock(r);
	limits_share_places(r, &config->limits, &ledger);
	limits_make_rates(&config->limits, &rates);
	pthread_mutex_lock(&r->ledger_lock);
	ledger_set_limits(r->ledger, &ledger);
	buckets_set_limits(r->buckets, &rates);
	pthread_mutex_unlock(&r->ledger_lock);
	pacer_set_limits(r->pacer, &config->bandwidth);
	return true;
}
