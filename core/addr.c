/* SPDX-License-Identifier: Apache-2.0 */
/* addr: socket addresses and HOST:PORT texts. */
#include "core/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define DNS_NAME_MAX  253u /* RFC 1035 section 2.3.4, without the root's final byte */
#define DNS_LABEL_MAX 63u

/* Decimal digits only, no sign, no leading zero, at most max. */
static bool parse_decimal(const char *text, size_t len, uint32_t max, uint32_t *out)
{
	uint64_t n = 0;

	if (len == 0 || len > 10 || (len > 1 && text[0] == '0'))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(text[i] - '0');
	}
	if (n > max)
		return false;
	*out = (uint32_t)n;
	return true;
}

/* Splits "HOST:PORT" or "[HOST]:PORT"; bracketed hosts are IPv6 literals, and only these may hold
 * colons. */
static bool split_host_port(const char *text, char host[ADDR_HOST_BYTES], uint16_t *port,
			    bool *bracketed)
{
	const char *start = text, *end, *colon;
	uint32_t n;

	if (text[0] == '[') {
		start = text + 1;
		end = strchr(start, ']');
		if (!end || end[1] != ':')
			return false;
		colon = end + 1;
	} else {
		end = colon = strchr(text, ':');
		if (!colon || strchr(colon + 1, ':'))
			return false;
	}
	size_t len = (size_t)(end - start);
	if (len == 0 || len >= ADDR_HOST_BYTES)
		return false;
	if (!parse_decimal(colon + 1, strlen(colon + 1), UINT16_MAX, &n))
		return false;
	memcpy(host, start, len);
	host[len] = '\0';
	*port = (uint16_t)n;
	*bracketed = text[0] == '[';
	return true;
}

/* An IPv6 literal with an optional zone. Zones are numbers: looking a name up would need a system
 * call that a confined process may not make. */
static bool parse_v6(const char *host, struct sockaddr_in6 *out)
{
	char literal[INET6_ADDRSTRLEN];
	const char *percent = strchr(host, '%');
	size_t len = percent ? (size_t)(percent - host) : strlen(host);
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

	if (len >= sizeof(literal))
		return false;
	memcpy(literal, host, len);
	literal[len] = '\0';
	if (inet_pton(AF_INET6, literal, &v6.sin6_addr) != 1)
		return false;
	if (percent &&
	    !parse_decimal(percent + 1, strlen(percent + 1), UINT32_MAX, &v6.sin6_scope_id))
		return false;
	*out = v6;
	return true;
}

bool addr_from_literal(const char *host, uint16_t port, struct addr *out)
{
	struct addr a = {.len = 0};

	if (inet_pton(AF_INET, host, &a.v4.sin_addr) == 1) {
		a.v4.sin_family = AF_INET;
		a.v4.sin_port = htons(port);
		a.len = sizeof(a.v4);
	} else if (parse_v6(host, &a.v6)) {
		a.v6.sin6_port = htons(port);
		a.len = sizeof(a.v6);
	} else {
		return false;
	}
	*out = a;
	return true;
}

bool addr_parse(const char *text, struct addr *out)
{
	char host[ADDR_HOST_BYTES];
	uint16_t port;
	bool bracketed;
	struct addr a;

	if (!split_host_port(text, host, &port, &bracketed) || !addr_from_literal(host, port, &a))
		return false;
	if (bracketed != (a.sa.sa_family == AF_INET6))
		return false;
	*out = a;
	return true;
}

static bool is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

static bool label_ok(const char *label, size_t len)
{
	if (len == 0 || len > DNS_LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_host_char(label[i]))
			return false;
	}
	return true;
}

bool addr_host_name_ok(const char *name)
{
	size_t len = strlen(name);
	const char *label = name, *dot;

	if (len == 0 || len > DNS_NAME_MAX)
		return false;
	while ((dot = strchr(label, '.'))) {
		if (!label_ok(label, (size_t)(dot - label)))
			return false;
		label = dot + 1;
	}
	/* A name that ends in a number is a mistyped address: "10.0.0.256", "10.1". */
	return label_ok(label, strlen(label)) && label[strspn(label, "0123456789")] != '\0';
}

bool endpoint_parse(const char *text, struct endpoint *out)
{
	struct endpoint e;
	struct addr a;
	bool bracketed;

	memset(&e, 0, sizeof(e));
	if (!split_host_port(text, e.host, &e.port, &bracketed) || e.port == 0)
		return false;
	if (addr_from_literal(e.host, e.port, &a)) {
		if (bracketed != (a.sa.sa_family == AF_INET6))
			return false;
	} else if (bracketed || !addr_host_name_ok(e.host)) {
		return false;
	}
	*out = e;
	return true;
}

void addr_format_host(const struct addr *a, char out[ADDR_TEXT_BYTES])
{
	struct addr plain = *a;
	size_t len;

	addr_unmap(&plain);
	if (plain.len >= sizeof(plain.v4) && plain.sa.sa_family == AF_INET) {
		inet_ntop(AF_INET, &plain.v4.sin_addr, out, ADDR_TEXT_BYTES);
	} else if (plain.len >= sizeof(plain.v6) && plain.sa.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &plain.v6.sin6_addr, out, ADDR_TEXT_BYTES);
		len = strlen(out);
		if (plain.v6.sin6_scope_id)
			snprintf(out + len, ADDR_TEXT_BYTES - len, "%%%u", plain.v6.sin6_scope_id);
	} else {
		snprintf(out, ADDR_TEXT_BYTES, "unknown");
	}
}

void addr_format(const struct addr *a, char out[ADDR_TEXT_BYTES])
{
	char host[ADDR_TEXT_BYTES];

	addr_format_host(a, host); /* 50 characters at the most; the compiler cannot know */
	if (strchr(host, ':'))
		snprintf(out, ADDR_TEXT_BYTES, "[%.54s]:%u", host, addr_port(a));
	else if (strchr(host, '.'))
		snprintf(out, ADDR_TEXT_BYTES, "%.54s:%u", host, addr_port(a));
	else
		memcpy(out, host, sizeof(host));
}

uint16_t addr_port(const struct addr *a)
{
	if (a->len >= sizeof(a->v4) && a->sa.sa_family == AF_INET)
		return ntohs(a->v4.sin_port);
	if (a->len >= sizeof(a->v6) && a->sa.sa_family == AF_INET6)
		return ntohs(a->v6.sin6_port);
	return 0;
}

void addr_set_port(struct addr *a, uint16_t port)
{
	if (a->sa.sa_family == AF_INET)
		a->v4.sin_port = htons(port);
	else
		a->v6.sin6_port = htons(port);
}

void addr_unmap(struct addr *a)
{
	struct addr v4 = {.len = sizeof(v4.v4)};

	if (a->len < sizeof(a->v6) || a->sa.sa_family != AF_INET6 ||
	    !IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
		return;
	v4.v4.sin_family = AF_INET;
	v4.v4.sin_port = a->v6.sin6_port;
	memcpy(&v4.v4.sin_addr, &a->v6.sin6_addr.s6_addr[12], 4);
	*a = v4;
}

static const uint8_t *addr_bytes(const struct addr *a, unsigned *bits)
{
	bool v4 = a->sa.sa_family == AF_INET;

	*bits = v4 ? 32 : 128;
	return v4 ? (const uint8_t *)&a->v4.sin_addr : a->v6.sin6_addr.s6_addr;
}

/* Whether the bits behind the first prefix ones are zero. */
static bool is_first_of(const struct addr *a, unsigned prefix)
{
	unsigned bits;
	const uint8_t *bytes = addr_bytes(a, &bits);

	for (unsigned i = prefix; i < bits; i++)
		if (bytes[i / 8] >> (7 - i % 8) & 1)
			return false;
	return true;
}

/* The address's text, and what follows it. An IPv6 address without brackets has no port behind it,
 * unless a prefix stands between them. */
static bool split_range(const char *text, char host[INET6_ADDRSTRLEN], const char **rest)
{
	const char *colon = strchr(text, ':');
	size_t len;

	if (text[0] == '[')
		len = strcspn(++text, "]");
	else if (strchr(text, '/'))
		len = strcspn(text, "/");
	else
		len = colon && strchr(colon + 1, ':') ? strlen(text) : strcspn(text, ":");
	if (len >= INET6_ADDRSTRLEN)
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	*rest = text + len;
	return true;
}

bool addr_range_parse(const char *text, struct addr_range *out)
{
	char host[INET6_ADDRSTRLEN];
	struct addr_range r = {.port = 0};
	const char *rest;
	uint32_t bits, n;

	if (!split_range(text, host, &rest))
		return false;
	if (text[0] == '[' && *rest++ != ']')
		return false;
	if (strchr(host, '%') || !addr_from_literal(host, 0, &r.first) ||
	    (text[0] == '[' && r.first.sa.sa_family != AF_INET6) ||
	    (r.first.sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&r.first.v6.sin6_addr)))
		return false;
	bits = r.first.sa.sa_family == AF_INET ? 32 : 128;
	if (*rest == '/') {
		size_t len = strcspn(++rest, ":");

		if (!parse_decimal(rest, len, bits, &bits))
			return false;
		rest += len;
	}
	r.prefix = bits;
	if (*rest == ':') {
		if (!parse_decimal(rest + 1, strlen(rest + 1), UINT16_MAX, &n) || n == 0)
			return false;
		r.port = (uint16_t)n;
	} else if (*rest) {
		return false;
	}
	if (!is_first_of(&r.first, r.prefix))
		return false;
	*out = r;
	return true;
}

bool addr_range_holds(const struct addr_range *r, const struct addr *a)
{
	struct addr plain = *a;
	const uint8_t *want, *got;
	unsigned bits;

	addr_unmap(&plain);
	if (plain.len == 0 || plain.sa.sa_family != r->first.sa.sa_family ||
	    (r->port && r->port != addr_port(&plain)))
		return false;
	want = addr_bytes(&r->first, &bits);
	got = addr_bytes(&plain, &bits);
	for (unsigned i = 0; i < r->prefix; i++)
		if ((want[i / 8] ^ got[i / 8]) >> (7 - i % 8) & 1)
			return false;
	return true;
}

struct addr_key addr_source_key(const struct addr *a)
{
	struct addr plain = *a;
	struct addr_key key = {{0}};

	addr_unmap(&plain);
	if (plain.len >= sizeof(plain.v4) && plain.sa.sa_family == AF_INET) {
		key.bytes[0] = 4;
		memcpy(&key.bytes[1], &plain.v4.sin_addr, 4);
	} else if (plain.len >= sizeof(plain.v6) && plain.sa.sa_family == AF_INET6) {
		key.bytes[0] = 6;
		memcpy(&key.bytes[1], &plain.v6.sin6_addr, 8);
	}
	return key;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->v4.sin_port == b->v4.sin_port &&
		       a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	return a->v6.sin6_port == b->v6.sin6_port && a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
	       memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0;
}

bool addr_same_host(const struct addr *a, const struct addr *b)
{
	if (a->len == 0 || b->len == 0 || a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	return IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr);
}

bool addr_is_wildcard(const struct addr *a)
{
	if (a->len == 0)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->v4.sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
}

bool addr_covers(const struct addr *listener, const struct addr *local)
{
	if (addr_equal(listener, local))
		return true;
	if (addr_port(listener) != addr_port(local) || !addr_is_wildcard(listener))
		return false;
	/* That of IPv6 takes IPv4, too. */
	return listener->sa.sa_family == AF_INET6 || local->sa.sa_family == AF_INET;
}
