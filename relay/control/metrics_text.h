/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics_text: the relay's counts in Prometheus' text format (version 0.0.4). Pure.
 *
 * The only labels with more than one value are a refusal's reason, a class of connections and what
 * became of STUN, and these are fixed tables: no client can make the page grow.
 */
#ifndef POSTERN_RELAY_CONTROL_METRICS_TEXT_H
#define POSTERN_RELAY_CONTROL_METRICS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/rendezvous/rendezvous.h"

struct metrics_stun {
	const char *over, *result; /* labels */
	uint64_t count;
};

struct metrics_place {
	const char *class; /* label */
	uint64_t used, most;
};

struct metrics_values {
	const char *version;
	uint64_t revision, certificate_expires; /* seconds of the epoch */
	uint64_t front_expires;			/* of tls.certificate_file; 0: there is none */
	bool draining;
	bool nat_connected; /* postern-natd is followed and there */
	uint64_t memory_bytes, memory_limit_bytes;
	uint64_t connections, connection_limit, sessions, sessions_total, accepted;
	uint64_t handshakes, bytes;
	const uint64_t *refused; /* REASON_MAX */
	const struct metrics_stun *stun;
	size_t stun_count;
	const struct metrics_place *places;
	size_t place_count;
	struct rendezvous_counts tables;
};

/* Zero-terminated, owned by the caller; NULL without memory. */
char *metrics_text(const struct metrics_values *v, size_t *len);

#endif
