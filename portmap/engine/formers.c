/* SPDX-License-Identifier: Apache-2.0 */
/* formers: the table, and its bytes. */
#include "portmap/engine/formers.h"

#include <stdio.h>
#include <string.h>

#include <openssl/bytestring.h>

/*
 * The file: "PFMR", a version (1), a count (16 bits), and so many records of the same length, all
 * in network order:
 *
 *   protocol 8, transport 8, family 8, 0 8, card 48, gateway 128, internal 128, port 16,
 *   external 16, until 64, seen 64
 *
 * Addresses of IPv4 are mapped ones (RFC 4291 section 2.5.5.2).
 */
#define MAGIC	0x50464d52u
#define VERSION 1u

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* ---- the table ---- */

static bool same_address(const struct addr *a, const struct addr *b)
{
	return a->len > 0 && b->len > 0 && addr_same_host(a, b);
}

bool former_gateway_same(const struct former_gateway *a, const struct former_gateway *b)
{
	return same_address(&a->address, &b->address) &&
	       memcmp(a->card, b->card, sizeof a->card) == 0;
}

static bool former_same(const struct former *a, const struct former *b)
{
	return a->transport == b->transport && a->family == b->family &&
	       a->external == b->external && addr_equal(&a->internal, &b->internal) &&
	       former_gateway_same(&a->gateway, &b->gateway);
}

static struct former *find(struct formers *f, const struct former *one)
{
	for (size_t i = 0; i < f->count; i++)
		if (former_same(&f->list[i], one))
			return &f->list[i];
	return NULL;
}

const struct former *formers_find(const struct formers *f, const struct former *one)
{
	return find((struct formers *)f, one);
}

static void formers_take_out(struct formers *f, struct former *one)
{
	*one = f->list[--f->count];
	f->changed = true;
}

static struct former *formers_oldest(struct formers *f)
{
	struct former *oldest = &f->list[0];

	for (size_t i = 1; i < f->count; i++)
		if (f->list[i].seen_s < oldest->seen_s)
			oldest = &f->list[i];
	return oldest;
}

void formers_note(struct formers *f, const struct former *one)
{
	struct former *known = find(f, one);

	if (known && known->until_s == one->until_s && known->seen_s == one->seen_s)
		return;
	if (!known && f->count == FORMERS_MAX)
		formers_take_out(f, formers_oldest(f));
	if (!known)
		known = &f->list[f->count++];
	*known = *one;
	f->changed = true;
}

void formers_drop(struct formers *f, const struct former *one)
{
	struct former *known = find(f, one);

	if (known)
		formers_take_out(f, known);
}

static bool is_nameless(const struct former_gateway *g)
{
	static const uint8_t none[FORMERS_CARD_BYTES];

	return memcmp(g->card, none, sizeof none) == 0;
}

void formers_name_gateway(struct formers *f, const struct former_gateway *gateway)
{
	for (size_t i = f->count; i-- > 0;) {
		struct former one = f->list[i];

		if (!is_nameless(&one.gateway) ||
		    !same_address(&one.gateway.address, &gateway->address))
			continue;
		formers_take_out(f, &f->list[i]);
		one.gateway = *gateway;
		formers_note(f, &one);
	}
}

void formers_forget_nameless(struct formers *f)
{
	for (size_t i = f->count; i-- > 0;)
		if (is_nameless(&f->list[i].gateway))
			formers_take_out(f, &f->list[i]);
}

void formers_age(struct formers *f, uint64_t now_s)
{
	for (size_t i = f->count; i-- > 0;) {
		const struct former *one = &f->list[i];
		uint64_t until_s = one->until_s > 0 ? one->until_s : one->seen_s + FORMERS_AGE_S;

		if (now_s >= until_s)
			formers_take_out(f, &f->list[i]);
	}
}

bool former_is_old(const struct former *one, const struct former_gateway *gateway,
		   const struct addr *own)
{
	return own->len > 0 && former_gateway_same(&one->gateway, gateway) &&
	       !addr_same_host(&one->internal, own);
}

void former_name(const struct former *one, char out[MAPPING_NAME_BYTES])
{
	const struct portmap_mapping like = {.want = {.transport = one->transport,
						      .family = one->family,
						      .internal = addr_port(&one->internal),
						      .external = one->external}};

	mapping_name(&like, out);
}

/* ---- bytes ---- */

static void address_bytes(const struct addr *a, uint8_t out[16])
{
	memset(out, 0, 16);
	if (a->len > 0 && a->sa.sa_family == AF_INET) {
		memcpy(out, mapped_prefix, sizeof mapped_prefix);
		memcpy(out + 12, &a->v4.sin_addr, 4);
	} else if (a->len > 0) {
		memcpy(out, &a->v6.sin6_addr, 16);
	}
}

static struct addr bytes_address(const uint8_t in[16], uint16_t port)
{
	struct addr out;

	memset(&out, 0, sizeof out);
	if (memcmp(in, mapped_prefix, sizeof mapped_prefix) == 0) {
		out.v4.sin_family = AF_INET;
		memcpy(&out.v4.sin_addr, in + 12, 4);
		out.len = sizeof out.v4;
	} else {
		out.v6.sin6_family = AF_INET6;
		memcpy(&out.v6.sin6_addr, in, 16);
		out.len = sizeof out.v6;
	}
	addr_set_port(&out, port);
	return out;
}

static bool write_one(CBB *out, const struct former *one)
{
	uint8_t gateway[16], internal[16];

	address_bytes(&one->gateway.address, gateway);
	address_bytes(&one->internal, internal);
	return CBB_add_u8(out, (uint8_t)one->protocol) &&
	       CBB_add_u8(out, (uint8_t)one->transport) && CBB_add_u8(out, (uint8_t)one->family) &&
	       CBB_add_u8(out, 0) &&
	       CBB_add_bytes(out, one->gateway.card, sizeof one->gateway.card) &&
	       CBB_add_bytes(out, gateway, sizeof gateway) &&
	       CBB_add_bytes(out, internal, sizeof internal) &&
	       CBB_add_u16(out, addr_port(&one->internal)) && CBB_add_u16(out, one->external) &&
	       CBB_add_u64(out, one->until_s) && CBB_add_u64(out, one->seen_s);
}

size_t formers_encode(struct formers *f, uint8_t out[FORMERS_BYTES])
{
	size_t len = 0;
	CBB cbb;
	bool ok;

	CBB_zero(&cbb);
	ok = CBB_init_fixed(&cbb, out, FORMERS_BYTES) && CBB_add_u32(&cbb, MAGIC) &&
	     CBB_add_u8(&cbb, VERSION) && CBB_add_u16(&cbb, (uint16_t)f->count);
	for (size_t i = 0; i < f->count && ok; i++)
		ok = write_one(&cbb, &f->list[i]);
	ok = ok && CBB_finish(&cbb, NULL, &len);
	CBB_cleanup(&cbb);
	f->changed = false;
	return ok ? len : 0;
}

static bool read_one(CBS *in, struct former *out)
{
	uint8_t protocol, transport, family, zero, gateway[16], internal[16];
	uint16_t port, external;
	struct former one = {.asked = false};

	if (!CBS_get_u8(in, &protocol) || protocol >= PORTMAP_PROTOCOLS ||
	    !CBS_get_u8(in, &transport) || transport > PORTMAP_UDP || !CBS_get_u8(in, &family) ||
	    family >= PORTMAP_FAMILIES || !CBS_get_u8(in, &zero) || zero != 0 ||
	    !CBS_copy_bytes(in, one.gateway.card, sizeof one.gateway.card) ||
	    !CBS_copy_bytes(in, gateway, sizeof gateway) ||
	    !CBS_copy_bytes(in, internal, sizeof internal) || !CBS_get_u16(in, &port) ||
	    port == 0 || !CBS_get_u16(in, &external) || external == 0 ||
	    !CBS_get_u64(in, &one.until_s) || !CBS_get_u64(in, &one.seen_s) ||
	    one.seen_s > UINT64_MAX - FORMERS_AGE_S)
		return false;
	one.protocol = (enum portmap_protocol)protocol;
	one.transport = (enum portmap_transport)transport;
	one.family = (enum portmap_family)family;
	one.external = external;
	one.gateway.address = bytes_address(gateway, 0);
	one.internal = bytes_address(internal, port);
	if ((one.internal.sa.sa_family == AF_INET6) != (one.family == PORTMAP_IPV6) ||
	    (one.gateway.address.sa.sa_family == AF_INET6) != (one.family == PORTMAP_IPV6))
		return false;
	*out = one;
	return true;
}

bool formers_decode(const uint8_t *in, size_t len, struct formers *f)
{
	struct formers read = {.count = 0};
	uint32_t magic;
	uint8_t version;
	uint16_t count;
	CBS cbs;

	CBS_init(&cbs, in, len);
	if (!CBS_get_u32(&cbs, &magic) || magic != MAGIC || !CBS_get_u8(&cbs, &version) ||
	    version != VERSION || !CBS_get_u16(&cbs, &count) || count > FORMERS_MAX)
		return false;
	for (; read.count < count; read.count++)
		if (!read_one(&cbs, &read.list[read.count]))
			return false;
	if (CBS_len(&cbs) > 0)
		return false;
	*f = read;
	return true;
}
