/* SPDX-License-Identifier: Apache-2.0 */
/* policy_source: networks from their texts, and the index of those that hold an address. */
#include "relay/policy/source.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

#define MAPPED_FIRST UINT64_C(0x0000ffff00000000) /* ::ffff:0.0.0.0; the high half is zero */
#define MAPPED_BITS  96u
#define LITERAL_MAX  46u /* the longest address, and the end */

static bool equal(struct source_number a, struct source_number b)
{
	return a.high == b.high && a.low == b.low;
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

/* n without the bits behind the first prefix ones. */
static struct source_number cut(struct source_number n, unsigned prefix)
{
	if (prefix <= 64)
		n.low = 0;
	else if (prefix < 128)
		n.low &= ~(UINT64_MAX >> (prefix - 64));
	if (prefix == 0)
		n.high = 0;
	else if (prefix < 64)
		n.high &= ~(UINT64_MAX >> prefix);
	return n;
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

enum source_status source_parse(const char *text, struct source_network *out)
{
	struct source_number n;
	unsigned prefix;

	if (!read_network(text, &n, &prefix))
		return SOURCE_MALFORMED;
	if (!equal(cut(n, prefix), n))
		return SOURCE_HOST_BITS;
	*out = (struct source_network){n, prefix};
	return SOURCE_OK;
}

/* ---- the index ------------------------------------------------------------------------------ */

static int compare_networks(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct source_network)); /* any order will do */
}

bool source_set_add(struct source_index *x, struct source_network *networks, size_t count,
		    uint32_t *set)
{
	if (count > 0)
		qsort(networks, count, sizeof *networks, compare_networks);
	return dict_add(&x->sets, networks, count * sizeof *networks, set);
}

/* The networks of a set; how many. */
static size_t networks_of(const struct source_index *x, uint32_t set,
			  const struct source_network **out)
{
	size_t bytes;

	*out = dict_key(&x->sets, set, &bytes);
	return bytes / sizeof **out;
}

/* Numbers all networks; the sum of their sets. SIZE_MAX: memory is out. */
static size_t number_networks(struct source_index *x)
{
	const struct source_network *n;
	size_t total = 0, count;
	uint32_t id;

	for (uint32_t set = 0; set < x->sets.count; set++) {
		count = networks_of(x, set, &n);
		total += count;
		for (size_t i = 0; i < count; i++) {
			if (!dict_add(&x->networks, &n[i], sizeof n[i], &id))
				return SIZE_MAX;
			x->lengths[n[i].prefix / 64] |= UINT64_C(1) << n[i].prefix % 64;
		}
	}
	return total;
}

bool source_index_finish(struct source_index *x)
{
	size_t total = number_networks(x), count;
	const struct source_network *n;

	if (total == SIZE_MAX)
		return false;
	x->first = memory_array((size_t)x->networks.count + 2, sizeof *x->first);
	x->members = memory_array(total + 1, sizeof *x->members);
	if (!x->first || !x->members)
		return false;
	/* Counted two places up, summed, and filled one place up: each ends as its own beginning.
	 */
	for (uint32_t set = 0; set < x->sets.count; set++) {
		count = networks_of(x, set, &n);
		for (size_t i = 0; i < count; i++)
			x->first[dict_find(&x->networks, &n[i], sizeof n[i]) + 2]++;
	}
	for (uint32_t i = 2; i < x->networks.count + 2; i++)
		x->first[i] += x->first[i - 1];
	for (uint32_t set = 0; set < x->sets.count; set++) {
		count = networks_of(x, set, &n);
		for (size_t i = 0; i < count; i++) {
			uint32_t id = dict_find(&x->networks, &n[i], sizeof n[i]);
			x->members[x->first[id + 1]++] = set;
		}
	}
	return true;
}

static bool is_mapped(struct source_number n)
{
	return n.high == 0 && n.low >> 32 == MAPPED_FIRST >> 32;
}

size_t source_match(const struct source_index *x, struct source_number n,
		    uint32_t out[SOURCE_MATCH_MAX])
{
	size_t count = 0;

	for (unsigned prefix = is_mapped(n) ? MAPPED_BITS : 0; prefix <= 128; prefix++) {
		struct source_network key = {cut(n, prefix), prefix};
		uint32_t id;

		if (!(x->lengths[prefix / 64] >> prefix % 64 & 1))
			continue;
		id = dict_find(&x->networks, &key, sizeof key);
		if (id != DICT_NONE)
			out[count++] = id;
	}
	return count;
}

void source_index_free(struct source_index *x)
{
	dict_free(&x->sets);
	dict_free(&x->networks);
	memory_free(x->first);
	memory_free(x->members);
	*x = (struct source_index){0};
}
