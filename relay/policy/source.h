/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_source: networks that a rule's askers may come from.
 *
 * A set of networks is a number; the index tells, for an address, the networks that hold it, and
 * for each of these the sets that it is in. An address is in at most one network of each length, so
 * it is looked up once for every length in use, however many networks there are.
 *
 * IPv4 addresses are those of IPv6 that stand for them (RFC 4291 section 2.5.5.2). An IPv6 network
 * never holds them, not even ::/0.
 */
#ifndef POSTERN_RELAY_POLICY_SOURCE_H
#define POSTERN_RELAY_POLICY_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "relay/policy/index.h"

struct source_number {
	uint64_t high, low;
};

struct source_network {
	struct source_number first;
	uint64_t prefix; /* bits; of an IPv4 network 96 more than it is written with */
};

enum source_status { SOURCE_OK, SOURCE_MALFORMED, SOURCE_HOST_BITS };

/* "203.0.113.0/24", "2001:db8::/32", or an address alone. SOURCE_HOST_BITS: the address has bits
 * that are not the network's. *out is untouched unless SOURCE_OK. */
enum source_status source_parse(const char *text, struct source_network *out) MUST_CHECK;
/* False when a is no IP address; *out is untouched then. */
bool source_number(const struct addr *a, struct source_number *out) MUST_CHECK;

#define SOURCE_MATCH_MAX 129u

/* All zero is an empty one. */
struct source_index {
	struct dict sets;     /* of struct source_network[], sorted; ids are the sets' */
	struct dict networks; /* of struct source_network */
	uint64_t lengths[3];  /* bit n of them: there is a network of n bits */
	uint32_t *first;      /* by network, and one more: where its sets begin */
	uint32_t *members;    /* of each network: the sets that it is in, ascending */
};

/* The number of a set, whose networks are sorted in place; added where it is new. False: memory is
 * out. */
bool source_set_add(struct source_index *x, struct source_network *networks, size_t count,
		    uint32_t *set) MUST_CHECK;
/* Once all sets are there. False: memory is out. */
bool source_index_finish(struct source_index *x) MUST_CHECK;
/* The networks that hold n, into out; how many. */
size_t source_match(const struct source_index *x, struct source_number n,
		    uint32_t out[SOURCE_MATCH_MAX]) MUST_CHECK;
void source_index_free(struct source_index *x);

#endif
