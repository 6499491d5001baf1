/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_source: networks that a rule's askers may come from, as sorted ranges of addresses.
 *
 * IPv4 addresses are numbers among the IPv6 ones, in their mapped form (RFC 4291 section 2.5.5.2);
 * an IPv6 network never holds them, not even ::/0.
 */
#ifndef POSTERN_RELAY_POLICY_SOURCE_H
#define POSTERN_RELAY_POLICY_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

struct source_number {
	uint64_t high, low;
};

struct source_range {
	struct source_number first, last;
};

#define SOURCE_NETWORK_RANGES                                                                      \
	2u /* what one network may take: it goes around the mapped addresses */

enum source_status { SOURCE_OK, SOURCE_MALFORMED, SOURCE_HOST_BITS };

/* "203.0.113.0/24", "2001:db8::/32", or an address alone. SOURCE_HOST_BITS: the address has bits
 * that are not the network's; ranges are right all the same. Otherwise untouched unless SOURCE_OK.
 */
enum source_status source_parse(const char *text, struct source_range ranges[SOURCE_NETWORK_RANGES],
				size_t *count) MUST_CHECK;
/* Sorts and joins in place; the new count. Equal sets of addresses become equal bytes. */
size_t source_normalize(struct source_range *ranges, size_t count) MUST_CHECK;
/* False when a is no IP address. */
bool source_number(const struct addr *a, struct source_number *out) MUST_CHECK;
bool source_holds(const struct source_range *ranges, size_t count,
		  struct source_number n) MUST_CHECK;

#endif
