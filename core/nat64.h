/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat64: IPv4 addresses from a network that has IPv6 alone (RFC 6052, RFC 7050).
 *
 * Such a network has a translator, and a name server that makes AAAA records of A records. To whom
 * an IPv4 address was given without a name, the name server is of no use, but the prefix shows in
 * the AAAA records that it makes for NAT64_NAME, whose A records are known.
 */
#ifndef POSTERN_CORE_NAT64_H
#define POSTERN_CORE_NAT64_H

#include "core/addr.h"

#define NAT64_NAME "ipv4only.arpa"

struct nat64 {
	uint8_t prefix[12];
	unsigned bits; /* 32, 40, 48, 56, 64 or 96 */
};

/* From an IPv6 address of NAT64_NAME. False: there is no prefix in it; out untouched then. */
bool nat64_find(const struct addr *a, struct nat64 *out) MUST_CHECK;
/* The IPv6 address, at the same port, that the translator takes for an IPv4 one. False where it
 * takes none: this host, its link, many hosts, and behind the well-known prefix 64:ff9b::/96 what
 * is not global (RFC 6052 section 3.1). */
bool nat64_address(const struct nat64 *n, const struct addr *v4, struct addr *out) MUST_CHECK;

#endif
