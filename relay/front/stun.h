/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun: what the relay adds to stun/: one set of limits for all workers, the answers' rules of the
 * configuration in force, and counters.
 */
#ifndef POSTERN_RELAY_FRONT_STUN_H
#define POSTERN_RELAY_FRONT_STUN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/datagrams.h"
#include "relay/config/config.h"
#include "stun/limits.h"
#include "stun/server.h"

/* RFC 7983 section 7: 0 to 3 begins STUN, over UDP and, beside TLS and HTTP, over TCP. */
#define STUN_FIRST_BYTE_MAX 3

/* What became of a request: an outcome, or one of these. */
enum stun_count {
	STUN_LIMITED = STUN_OUTCOMES, /* its network has had enough; UDP only */
	STUN_OTHER,		      /* another protocol's datagram (RFC 7983 section 7) */
	STUN_UNSENT,		      /* answered, but the system did not take the answer */
	STUN_COUNTS
};

enum stun_way { STUN_UDP, STUN_TCP, STUN_WAYS };

/* Everything that is counted: each of these over each way. */
#define STUN_SERIES ((unsigned)STUN_WAYS * STUN_COUNTS)

/* "answered", "limited" ... of stun_outcome or stun_count; and "udp", "tcp". */
const char *stun_count_name(unsigned count);
const char *stun_way_name(enum stun_way way);

/* ---- limits: shared, since the kernel spreads a network's datagrams over all workers ---- */

struct stun_gate {
	pthread_mutex_t lock;
	struct stun_limits *limits;
	uint64_t prefixes, rate, burst; /* what limits was made for */
};

void stun_gate_init(struct stun_gate *g);
void stun_gate_free(struct stun_gate *g);
/* New limits, if they differ. 0, or -ENOMEM: the old ones stay. */
int stun_gate_adopt(struct stun_gate *g, const struct relay_stun *conf) MUST_CHECK;
/* May the sender of each of these have an answer? Takes tokens for those that may. */
void stun_gate_take(struct stun_gate *g, const struct datagram *in, size_t count, uint64_t now_ms,
		    bool *may);

/* ---- rules: each worker's own ---- */

struct stun_rules {
	bool enabled;		   /* at the front door, for anyone */
	bool links;		   /* and for links: stun_link.h */
	struct stun_server plain;  /* everywhere but: */
	struct stun_server places; /* on the sockets of RFC 5780 */
	struct stun_behaviour behaviour;
};

void stun_rules_make(struct stun_rules *r, const struct relay_stun *conf, bool draining);

#endif
