/* SPDX-License-Identifier: Apache-2.0 */
/* nat_conclude: what a gateway's answers and a NAT's behaviour mean for direct connections. */
#ifndef POSTERN_CTL_NAT_CONCLUDE_H
#define POSTERN_CTL_NAT_CONCLUDE_H

#include <jansson.h>
#include <stdbool.h>

/* Whether a host outside can begin a connection to this one, the best first. */
enum nat_outcome {
	NAT_REACHED,   /* it can, as far as was seen */
	NAT_UNPROVEN,  /* perhaps: nothing has proven it */
	NAT_UNREACHED, /* it cannot */
	NAT_NO_WAY     /* this host itself does not get out */
};

/*
 * The result of 'nat probe': {by, network, external, protocols, mappings, behaviour}. by: "natd" or
 * "trial", whose the mappings are; behaviour: as of nat_behaviour_ask(), or null.
 *
 * Adds what follows from the rest: "reachable" (whether outside reaches what is opened here, as far
 * as is known) and "meaning", a list of sentences.
 */
enum nat_outcome nat_conclude(json_t *probe);

/* This host does not get out, as the verdict of {network, external, mappings} says, and nothing has
 * come in over IPv6. */
bool nat_conclude_no_way(const json_t *of);

/* Why this mapping of {network, external, ...} is not needed, or NULL: without a NAT nothing is
 * wrong where nothing maps it. A part of a sentence, not to be freed. */
const char *nat_conclude_unneeded(const json_t *of, const json_t *mapping);

/* A mapping (docs/nat.md) that the gateway has granted. */
bool nat_conclude_held(const json_t *mapping);
/* At least one of the list is. */
bool nat_conclude_any_held(const json_t *mappings);

#endif
