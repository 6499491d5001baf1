/* SPDX-License-Identifier: Apache-2.0 */
/* nat64: IPv4 addresses from a network that has IPv6 alone (RFC 6052, RFC 7050). */
#include "core/nat64.h"

#include <string.h>

static const uint8_t well_known[12] = {0x00, 0x64, 0xff, 0x9b};

/* Where the four bytes stand (RFC 6052 section 2.2): behind the prefix, and around byte 8, which is
 * zero. */
static void nat64_places(unsigned bits, unsigned at[4])
{
	unsigned next = bits / 8;

	for (unsigned i = 0; i < 4; i++) {
		if (next == 8)
			next++;
		at[i] = next++;
	}
}

bool nat64_find(const struct addr *a, struct nat64 *out)
{
	static const unsigned lengths[] = {96, 64, 56, 48, 40, 32};
	const uint8_t *bytes = a->v6.sin6_addr.s6_addr;
	unsigned at[4];

	if (a->len == 0 || a->sa.sa_family != AF_INET6 || bytes[8] != 0)
		return false;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		nat64_places(lengths[i], at);
		/* 192.0.0.170 or 192.0.0.171 */
		if (bytes[at[0]] != 192 || bytes[at[1]] != 0 || bytes[at[2]] != 0 ||
		    (bytes[at[3]] != 170 && bytes[at[3]] != 171))
			continue;
		*out = (struct nat64){.bits = lengths[i]};
		memcpy(out->prefix, bytes, lengths[i] / 8);
		return true;
	}
	return false;
}

static bool is_within(const struct addr *a, const char *range)
{
	struct addr_range r;

	return addr_range_parse(range, &r) && addr_range_holds(&r, a);
}

bool nat64_address(const struct nat64 *n, const struct addr *v4, struct addr *out)
{
	static const char *const never[] = {"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16",
					    "224.0.0.0/3"};
	static const char *const not_global[] = {"10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12",
						 "192.168.0.0/16"};
	struct addr made = {.len = sizeof(made.v6)};
	unsigned at[4];

	if (v4->len == 0 || v4->sa.sa_family != AF_INET)
		return false;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (is_within(v4, never[i]))
			return false;
	for (size_t i = 0; i < sizeof(not_global) / sizeof(not_global[0]); i++)
		if (n->bits == 96 && memcmp(n->prefix, well_known, sizeof(well_known)) == 0 &&
		    is_within(v4, not_global[i]))
			return false;
	made.v6.sin6_family = AF_INET6;
	made.v6.sin6_port = v4->v4.sin_port;
	memcpy(made.v6.sin6_addr.s6_addr, n->prefix, n->bits / 8);
	nat64_places(n->bits, at);
	for (unsigned i = 0; i < 4; i++)
		made.v6.sin6_addr.s6_addr[at[i]] = ((const uint8_t *)&v4->v4.sin_addr.s_addr)[i];
	*out = made;
	return true;
}
