/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat_view_fuzz: any bytes as natd's lines.
 *
 * What makes no sense changes nothing but a count; what is kept is within its bounds, and
 * printable; only changes of address, verdict and presence are called changes.
 *
 * links: core/engine/nat_view.c core/addr.c
 * links: core/parse/json_read.c core/memory.c
 */
#undef NDEBUG
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/engine/nat_view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_text(const char *text, size_t room)
{
	assert(memchr(text, '\0', room));
	for (; *text; text++)
		assert((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void check_view(const struct nat_view *v)
{
	struct addr address;
	json_t *told;

	check_text(v->verdict, sizeof(v->verdict));
	check_text(v->sentence, sizeof(v->sentence));
	check_text(v->advice, sizeof(v->advice));
	assert(memchr(v->external, '\0', sizeof(v->external)));
	if (v->external[0])
		assert(addr_from_literal(v->external, 1, &address) &&
		       address.sa.sa_family == AF_INET);
	assert(v->connected == (v->verdict[0] != '\0'));
	assert(v->mapping_count <= NAT_VIEW_MAPPINGS_MAX);
	assert(!v->more || v->mapping_count == NAT_VIEW_MAPPINGS_MAX);
	for (size_t i = 0; i < v->mapping_count; i++) {
		const struct nat_view_mapping *m = &v->mappings[i];

		assert(m->port > 0 && m->state < NAT_MAPPING_STATES);
		assert(m->external.len == 0 || (m->external.sa.sa_family == AF_INET6) == m->ipv6);
		for (size_t k = 0; k < i; k++)
			assert(v->mappings[k].id != m->id);
	}
	told = nat_view_json(v);
	assert(told && json_array_size(json_object_get(told, "mappings")) == v->mapping_count);
	json_decref(told);
}

static bool same_summary(const struct nat_view *a, const struct nat_view *b)
{
	return a->connected == b->connected && strcmp(a->external, b->external) == 0 &&
	       strcmp(a->verdict, b->verdict) == 0;
}

static void tell(struct nat_view *v, const char *line, size_t len)
{
	char *copy = malloc(len ? len : 1); /* of exactly that size, for the sanitizer */
	struct nat_view before = *v;
	enum nat_view_news news;

	assert(copy);
	memcpy(copy, line, len);
	news = nat_view_line(v, copy, len);
	free(copy);
	if (news == NAT_VIEW_MALFORMED) {
		assert(v->malformed == before.malformed + 1);
		before.malformed++;
		assert(memcmp(v, &before, sizeof(*v)) == 0);
	}
	assert((news == NAT_VIEW_CHANGED) == !same_summary(v, &before));
	check_view(v);
}

/* An empty line stands for natd's going away. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct nat_view v;
	const char *line = (const char *)data, *end = line + len;

	memset(&v, 0, sizeof(v));
	while (line < end) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		size_t n = (size_t)((stop ? stop : end) - line);

		if (n > 0) {
			tell(&v, line, n);
		} else {
			bool was_there = v.connected;

			assert(nat_view_gone(&v) == was_there);
			check_view(&v);
		}
		line += n + 1;
	}
	return 0;
}
