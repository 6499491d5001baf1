/* SPDX-License-Identifier: Apache-2.0 */
/* location: reads and writes URLs with a literal host, and judges whether a host is a neighbour. */
#include "upnp/location.h"

#include <stdio.h>
#include <string.h>
#include <openssl/bytestring.h>

#define DEFAULT_PORT 80

static bool is_path_byte(uint8_t c)
{
	return c > 0x20 && c < 0x7f && c != '#' && c != '<' && c != '>' && c != '"';
}

/* Without regard to case; word is in lower case (RFC 3986 section 3.1). */
static bool take_word(CBS *in, const char *word)
{
	uint8_t c;

	for (; *word; word++) {
		if (!CBS_get_u8(in, &c))
			return false;
		if (c >= 'A' && c <= 'Z')
			c = (uint8_t)(c - 'A' + 'a');
		if (c != (uint8_t)*word)
			return false;
	}
	return true;
}

/* Takes the bytes up to one of ends, or to the end. */
static void take_until(CBS *in, const char *ends, CBS *out)
{
	CBS rest = *in, before = *in;
	uint8_t c;

	while (CBS_get_u8(&rest, &c) && (c == 0 || !strchr(ends, c)))
		*in = rest;
	CBS_init(out, CBS_data(&before), CBS_len(&before) - CBS_len(in));
}

/* The literal between "//" and the port, brackets for IPv6 and only there. */
static bool take_host(CBS *in, struct addr *out)
{
	char text[ADDR_TEXT_BYTES];
	CBS host, rest = *in;
	uint8_t c;
	bool bracket;

	if (!CBS_get_u8(&rest, &c))
		return false;
	bracket = c == '[';
	if (bracket)
		*in = rest;
	take_until(in, bracket ? "]" : ":/", &host);
	if (bracket && !CBS_get_u8(in, &c))
		return false;
	if (CBS_len(&host) >= sizeof(text) || CBS_contains_zero_byte(&host))
		return false;
	memcpy(text, CBS_data(&host), CBS_len(&host));
	text[CBS_len(&host)] = '\0';
	if (strchr(text, '%') || !addr_from_literal(text, 0, out))
		return false;
	/* An IPv4 address in IPv6's clothes would be one of IPv4 once it is written. */
	return out->sa.sa_family == AF_INET6 ? bracket && !IN6_IS_ADDR_V4MAPPED(&out->v6.sin6_addr)
					     : !bracket;
}

/* ":8080", or nothing. */
static bool take_port(CBS *in, uint16_t *out)
{
	CBS rest = *in, digits;
	uint32_t n = 0;
	uint8_t c;

	*out = DEFAULT_PORT;
	if (!CBS_get_u8(&rest, &c) || c != ':')
		return true;
	*in = rest;
	take_until(in, "/", &digits);
	if (CBS_len(&digits) == 0 || CBS_len(&digits) > 5)
		return false;
	while (CBS_get_u8(&digits, &c)) {
		if (c < '0' || c > '9')
			return false;
		n = n * 10 + (c - '0');
	}
	*out = (uint16_t)n;
	return n > 0 && n <= UINT16_MAX;
}

static bool take_path(CBS *in, char out[LOCATION_PATH_BYTES])
{
	size_t len = 0;
	uint8_t c;

	while (CBS_get_u8(in, &c)) {
		if (!is_path_byte(c) || (len == 0 && c != '/') || len == LOCATION_PATH_BYTES - 1)
			return false;
		out[len++] = (char)c;
	}
	if (len == 0)
		out[len++] = '/';
	out[len] = '\0';
	return true;
}

bool location_parse(const char *text, size_t len, struct location *out)
{
	struct location l;
	uint16_t port;
	CBS in;

	memset(&l, 0, sizeof(l));
	CBS_init(&in, (const uint8_t *)text, len);
	if (!take_word(&in, "http://") || !take_host(&in, &l.host) || !take_port(&in, &port) ||
	    !take_path(&in, l.path))
		return false;
	addr_set_port(&l.host, port);
	*out = l;
	return true;
}

void location_format_host(const struct addr *host, char out[ADDR_TEXT_BYTES])
{
	struct addr plain = *host;

	if (plain.sa.sa_family == AF_INET6)
		plain.v6.sin6_scope_id = 0;
	addr_format(&plain, out);
}

void location_format(const struct location *l, char out[LOCATION_TEXT_BYTES])
{
	char host[ADDR_TEXT_BYTES];

	location_format_host(&l->host, host);
	snprintf(out, LOCATION_TEXT_BYTES, "http://%s%s", host, l->path);
}

static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8) == 0;
}

static bool on_link_v4(const struct addr *a, const struct addr *source, unsigned prefix)
{
	uint32_t ip = ntohl(a->v4.sin_addr.s_addr);

	if (prefix == 0 || prefix > 32 || ip == 0 || ip >> 24 == 127 || ip >= 0xe0000000)
		return false;
	return same_prefix((const uint8_t *)&a->v4.sin_addr, (const uint8_t *)&source->v4.sin_addr,
			   prefix);
}

static bool on_link_v6(const struct addr *a, const struct addr *source, unsigned prefix)
{
	const struct in6_addr *ip = &a->v6.sin6_addr;

	if (prefix == 0 || prefix > 128 || IN6_IS_ADDR_UNSPECIFIED(ip) ||
	    IN6_IS_ADDR_LOOPBACK(ip) || IN6_IS_ADDR_MULTICAST(ip) || IN6_IS_ADDR_V4MAPPED(ip))
		return false;
	return IN6_IS_ADDR_LINKLOCAL(ip) ||
	       same_prefix(ip->s6_addr, source->v6.sin6_addr.s6_addr, prefix);
}

bool location_on_link(const struct addr *a, const struct addr *source, unsigned prefix)
{
	if (a->len == 0 || source->len == 0 || a->sa.sa_family != source->sa.sa_family ||
	    addr_same_host(a, source))
		return false;
	return a->sa.sa_family == AF_INET ? on_link_v4(a, source, prefix)
					  : on_link_v6(a, source, prefix);
}

static bool is_unique_local(const struct addr *a)
{
	return a->sa.sa_family == AF_INET6 && (a->v6.sin6_addr.s6_addr[0] & 0xfe) == 0xfc;
}

/* The low 64 bits (RFC 4291 section 2.5.1). */
static bool same_identifier(const struct addr *a, const struct addr *b)
{
	return a->sa.sa_family == AF_INET6 && b->len && b->sa.sa_family == AF_INET6 &&
	       memcmp(a->v6.sin6_addr.s6_addr + 8, b->v6.sin6_addr.s6_addr + 8, 8) == 0;
}

bool location_trusted(const struct addr *host, const struct addr *from,
		      const struct location_way *way)
{
	bool near = location_on_link(host, way->source, way->prefix);
	bool gateways = addr_same_host(host, way->gateway);

	if (host->len == 0 || host->sa.sa_family != way->source->sa.sa_family ||
	    addr_same_host(host, way->source))
		return false;
	/* The gateway of the configuration may be further away; its own word is enough. */
	if (gateways && addr_same_host(from, way->gateway))
		return true;
	if (!location_on_link(from, way->source, way->prefix))
		return false;
	if (near && (gateways || addr_same_host(host, from)))
		return true;
	return (near || is_unique_local(host)) && host->sa.sa_family == AF_INET6 &&
	       (way->asked_alone || same_identifier(host, way->gateway));
}
