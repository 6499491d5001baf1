/* SPDX-License-Identifier: Apache-2.0 */
/* candidates: chosen from mappings, to and from messages, as text. */
#include "agent/engine/candidates.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "core/addr.h"

#define REFLEXIVE "/srflx"

static bool candidates_address_known(const struct addr *a)
{
	return a->len > 0 && !addr_is_wildcard(a);
}

/* No datagram comes from there to a peer: a relay may say what it likes, and one on this very host
 * sees this host's loopback. */
static bool candidates_no_source(const struct addr *seen)
{
	struct addr a = *seen;

	addr_unmap(&a);
	if (!candidates_address_known(&a) || addr_port(&a) == 0)
		return true;
	if (a.sa.sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&a.v6.sin6_addr) ||
		       IN6_IS_ADDR_MULTICAST(&a.v6.sin6_addr);
	unsigned first = ntohl(a.v4.sin_addr.s_addr) >> 24;

	return first == 0 || first == 127 || first >= 224;
}

/* False: text is none. Only what is sent by UDP is reflexive. */
static bool candidate_read(const char *text, struct addr *out)
{
	bool udp = strncmp(text, "udp:", 4) == 0;
	char place[WIRE_ADDRESS_MAX + 1];
	char *mark;

	if (!udp && strncmp(text, "tcp:", 4) != 0)
		return false;
	snprintf(place, sizeof(place), "%s", text + 4);
	mark = strchr(place, '/');
	if (mark && udp && strcmp(mark, REFLEXIVE) == 0)
		*mark = '\0';
	return addr_parse(place, out) && candidates_address_known(out);
}

/* With another NAT behind the gateway, a firewall or a VPN, what it maps leads nowhere. */
static bool gateway_is_inside(const struct nat_view *v)
{
	static const char *const inside[] = {"double_nat", "cgnat",   "filtered",
					     "vpn",	   "blocked", "offline"};

	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++)
		if (strcmp(v->verdict, inside[i]) == 0)
			return true;
	return false;
}

static void add_those(const struct nat_view *v, enum nat_mapping_state state,
		      struct candidates *out)
{
	char text[ADDR_TEXT_BYTES];

	for (size_t i = 0; i < v->mapping_count && out->count < WIRE_CANDIDATES_MAX; i++) {
		const struct nat_view_mapping *m = &v->mappings[i];

		if (m->state != state || m->other_host || !candidates_address_known(&m->external) ||
		    (state == NAT_MAPPING_MAPPED && !m->ipv6 && gateway_is_inside(v)))
			continue;
		addr_format(&m->external, text);
		if (strlen(text) + 4 > WIRE_ADDRESS_MAX)
			continue;
		snprintf(out->items[out->count++], sizeof(*out->items), "%s:%s",
			 m->udp ? "udp" : "tcp", text);
	}
}

void candidates_of(const struct nat_view *v, struct candidates *out)
{
	out->count = 0;
	add_those(v, NAT_MAPPING_VERIFIED, out);
	add_those(v, NAT_MAPPING_MAPPED, out);
}

void candidates_add_reflexive(struct candidates *c, const struct addr *seen)
{
	char text[ADDR_TEXT_BYTES];
	struct addr other;

	if (c->count == WIRE_CANDIDATES_MAX || candidates_no_source(seen))
		return;
	for (size_t i = 0; i < c->count; i++)
		if (c->items[i][0] == 'u' && candidate_read(c->items[i], &other) &&
		    addr_same_host(&other, seen))
			return;
	addr_format(seen, text);
	if (strlen(text) + strlen("udp:" REFLEXIVE) > WIRE_ADDRESS_MAX)
		return;
	snprintf(c->items[c->count++], sizeof(*c->items), "udp:%s" REFLEXIVE, text);
}

struct wire_candidates candidates_wire(const struct candidates *c)
{
	struct wire_candidates out = {.count = c->count};

	for (size_t i = 0; i < c->count; i++)
		out.items[i] = wire_text(c->items[i]);
	return out;
}

void candidates_take(const struct wire_candidates *from, struct candidates *out)
{
	char text[WIRE_ADDRESS_MAX + 1];
	struct addr address;

	out->count = 0;
	for (size_t i = 0; i < from->count && i < WIRE_CANDIDATES_MAX; i++) {
		wire_bytes_copy(from->items[i], text, sizeof(text));
		if (candidate_read(text, &address))
			memcpy(out->items[out->count++], text, strlen(text) + 1);
	}
}

void candidates_text(const struct candidates *c, char *out, size_t room)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < c->count && n < room; i++)
		n += (size_t)snprintf(out + n, room - n, "%s%s", i > 0 ? " " : "", c->items[i]);
}

json_t *candidates_json(const struct candidates *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->count; i++)
		json_array_append_new(list, json_string(c->items[i]));
	return list;
}
