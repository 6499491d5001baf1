/* SPDX-License-Identifier: Apache-2.0 */
/* policy_source: networks to ranges of addresses, and looking an address up in them. */
#include "relay/policy_source.h"

#include <stdlib.h>
#include <string.h>

#define MAPPED_FIRST UINT64_C(0x0000ffff00000000) /* ::ffff:0.0.0.0; the high half is zero */
#define MAPPED_LAST  UINT64_C(0x0000ffffffffffff)
#define MAPPED_BITS  96u
#define LITERAL_MAX  46u /* the longest address, and the end */

static bool less(struct source_number a, struct source_number b)
{
	return a.high < b.high || (a.high == b.high && a.low < b.low);
}

static bool equal(struct source_number a, struct source_number b)
{
	return a.high == b.high && a.low == b.low;
}

static struct source_number after(struct source_number n)
{
	n.low++;
	n.high += n.low == 0;
	return n;
}

static uint64_t read_half(const uint8_t *at)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < 8; i++)
		n = n << 8 | at[i];
	return n;
}

bool source_number(const struct addr *a, struct source_number *out)
{
	if (a->len >= sizeof a->v4 && a->sa.sa_family == AF_INET) {
		*out = (struct source_number){0, MAPPED_FIRST | ntohl(a->v4.sin_addr.s_addr)};
		return true;
	}
	if (a->len >= sizeof a->v6 && a->sa.sa_family == AF_INET6) {
		const uint8_t *bytes = a->v6.sin6_addr.s6_addr;

		*out = (struct source_number){read_half(bytes), read_half(bytes + 8)};
		return true;
	}
	return false;
}

/* The bits of one half that are the host's, when prefix bits of the half are the network's. */
static uint64_t host_bits(unsigned prefix)
{
	return prefix >= 64 ? 0 : UINT64_MAX >> prefix;
}

/* "24": the length of a prefix, without a leading zero, at most max. */
static bool read_prefix(const char *text, unsigned max, unsigned *out)
{
	unsigned n = 0;
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 3 || text[digits] || (digits > 1 && text[0] == '0'))
		return false;
	for (; *text; text++)
		n = n * 10 + (unsigned)(*text - '0');
	if (n > max)
		return false;
	*out = n;
	return true;
}

/* The address's number, and how many bits of it are the network's. */
static bool read_network(const char *text, struct source_number *out, unsigned *prefix)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char literal[LITERAL_MAX];
	struct source_number n;
	struct addr a;
	unsigned bits, mapped;

	if (len >= sizeof literal || memchr(text, '%', len))
		return false;
	memcpy(literal, text, len);
	literal[len] = '\0';
	if (!addr_from_literal(literal, 0, &a) || !source_number(&a, &n))
		return false;
	mapped = a.sa.sa_family == AF_INET ? MAPPED_BITS : 0;
	bits = 128 - mapped;
	if (slash && !read_prefix(slash + 1, bits, &bits))
		return false;
	*prefix = mapped + bits;
	*out = n;
	return true;
}

enum source_status source_parse(const char *text, struct source_range ranges[SOURCE_NETWORK_RANGES],
				size_t *count)
{
	struct source_number n, first, last;
	unsigned prefix;

	if (!read_network(text, &n, &prefix))
		return SOURCE_MALFORMED;
	uint64_t high = host_bits(prefix), low = host_bits(prefix < 64 ? 0 : prefix - 64);
	first = (struct source_number){n.high & ~high, n.low & ~low};
	last = (struct source_number){n.high | high, n.low | low};
	/* A network of less than 96 bits that holds the mapped addresses begins below them: it is
	 * what lies on both sides. */
	if (first.high == 0 && first.low < MAPPED_FIRST &&
	    (last.high > 0 || last.low >= MAPPED_LAST)) {
		ranges[0] = (struct source_range){first, {0, MAPPED_FIRST - 1}};
		ranges[1] = (struct source_range){{0, MAPPED_LAST + 1}, last};
		*count = 2;
	} else {
		ranges[0] = (struct source_range){first, last};
		*count = 1;
	}
	return equal(first, n) ? SOURCE_OK : SOURCE_HOST_BITS;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct source_range *x = a, *y = b;

	return less(y->first, x->first) - less(x->first, y->first);
}

size_t source_normalize(struct source_range *ranges, size_t count)
{
	size_t kept = 0;

	if (count == 0)
		return 0;
	qsort(ranges, count, sizeof *ranges, compare_ranges);
	for (size_t i = 1; i < count; i++) {
		struct source_range *last = &ranges[kept];
		struct source_number next = after(last->last);
		bool apart = less(next, ranges[i].first) && less(last->last, next);

		if (apart)
			ranges[++kept] = ranges[i];
		else if (less(last->last, ranges[i].last))
			last->last = ranges[i].last;
	}
	return kept + 1;
}

bool source_holds(const struct source_range *ranges, size_t count, struct source_number n)
{
	size_t low = 0, high = count; /* the first range that does not end before n */

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (less(ranges[middle].last, n))
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && !less(n, ranges[low].first);
}
