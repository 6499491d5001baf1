/* SPDX-License-Identifier: Apache-2.0 */
/* proxy: reads and writes the header of the PROXY protocol (HAProxy's proxy-protocol.txt). */
#include "core/parse/proxy.h"

#include <string.h>
#include <arpa/inet.h>
#include <openssl/bytestring.h>

#define V1_MAX		   107u /* section 2.1, CRLF included */
#define V2_SIGNATURE	   "\r\n\r\n\0\r\nQUIT\n"
#define V2_SIGNATURE_BYTES 12u
#define V2_FIXED_BYTES	   16u
#define V2_UNIX_BYTES	   216u

enum v2_command { V2_LOCAL = 0x20, V2_PROXY = 0x21 };

enum v2_family {
	V2_UNSPEC = 0x00,
	V2_TCP4 = 0x11,
	V2_UDP4 = 0x12,
	V2_TCP6 = 0x21,
	V2_UDP6 = 0x22,
	V2_UNIX_STREAM = 0x31,
	V2_UNIX_DGRAM = 0x32,
};

/* Takes text byte by byte: bytes that stop in the middle of it are SHORT. */
static enum proxy_status take_text(CBS *in, const char *text, size_t len)
{
	uint8_t c;

	for (size_t i = 0; i < len; i++) {
		if (!CBS_get_u8(in, &c))
			return PROXY_SHORT;
		if (c != (uint8_t)text[i])
			return PROXY_MALFORMED;
	}
	return PROXY_OK;
}

static void set_v4(struct addr *a, const struct in_addr *ip, uint16_t port)
{
	memset(a, 0, sizeof(*a));
	a->v4.sin_family = AF_INET;
	a->v4.sin_addr = *ip;
	a->v4.sin_port = htons(port);
	a->len = sizeof(a->v4);
}

static void set_v6(struct addr *a, const struct in6_addr *ip, uint16_t port)
{
	memset(a, 0, sizeof(*a));
	a->v6.sin6_family = AF_INET6;
	a->v6.sin6_addr = *ip;
	a->v6.sin6_port = htons(port);
	a->len = sizeof(a->v6);
}

/* ---- version 1, section 2.1: "PROXY TCP4 192.0.2.1 198.51.100.7 40112 443" ---- */

static bool is_v4_byte(uint8_t c)
{
	return (c >= '0' && c <= '9') || c == '.';
}

static bool is_v6_byte(uint8_t c)
{
	return is_v4_byte(c) || c == ':' || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* A word of at most max bytes and the byte behind it. */
static enum proxy_status take_word(CBS *in, uint8_t end, bool (*ok)(uint8_t), size_t max,
				   char word[INET6_ADDRSTRLEN])
{
	uint8_t c;
	size_t n = 0;

	while (CBS_get_u8(in, &c)) {
		if (c == end) {
			word[n] = 0;
			return n > 0 ? PROXY_OK : PROXY_MALFORMED;
		}
		if (!ok(c) || n == max)
			return PROXY_MALFORMED;
		word[n++] = (char)c;
	}
	return PROXY_SHORT;
}

static enum proxy_status take_ip(CBS *in, int family, void *out)
{
	char word[INET6_ADDRSTRLEN];
	bool v4 = family == AF_INET;
	enum proxy_status status = take_word(in, ' ', v4 ? is_v4_byte : is_v6_byte,
					     (v4 ? INET_ADDRSTRLEN : INET6_ADDRSTRLEN) - 1, word);

	if (status != PROXY_OK)
		return status;
	return inet_pton(family, word, out) == 1 ? PROXY_OK : PROXY_MALFORMED;
}

static enum proxy_status take_port(CBS *in, uint8_t end, uint16_t *port)
{
	char word[INET6_ADDRSTRLEN];
	enum proxy_status status = take_word(in, end, is_digit, 5, word);
	unsigned value = 0;

	if (status != PROXY_OK)
		return status;
	for (const char *p = word; *p; p++)
		value = value * 10 + (unsigned)(*p - '0');
	if (value > UINT16_MAX || (word[0] == '0' && word[1] != 0))
		return PROXY_MALFORMED;
	*port = (uint16_t)value;
	return PROXY_OK;
}

static enum proxy_status take_v1_addresses(CBS *in, int family, struct proxy_header *out)
{
	union {
		struct in_addr v4;
		struct in6_addr v6;
	} source, destination;
	uint16_t source_port, destination_port;
	enum proxy_status status;

	if ((status = take_ip(in, family, &source)) != PROXY_OK ||
	    (status = take_ip(in, family, &destination)) != PROXY_OK ||
	    (status = take_port(in, ' ', &source_port)) != PROXY_OK ||
	    (status = take_port(in, '\r', &destination_port)) != PROXY_OK ||
	    (status = take_text(in, "\n", 1)) != PROXY_OK)
		return status;
	if (family == AF_INET) {
		set_v4(&out->source, &source.v4, source_port);
		set_v4(&out->destination, &destination.v4, destination_port);
	} else {
		set_v6(&out->source, &source.v6, source_port);
		set_v6(&out->destination, &destination.v6, destination_port);
	}
	return PROXY_OK;
}

/* "UNKNOWN" and all else up to the end of the line. */
static enum proxy_status skip_v1_unknown(CBS *in, struct proxy_header *out)
{
	enum proxy_status status = take_text(in, "NKNOWN", 6);
	uint8_t c, before = 0;

	if (status != PROXY_OK)
		return status;
	if (!CBS_get_u8(in, &c))
		return PROXY_SHORT;
	if (c != ' ' && c != '\r')
		return PROXY_MALFORMED;
	do {
		if (before == '\r' && c == '\n') {
			out->local = true;
			return PROXY_OK;
		}
		before = c;
	} while (CBS_get_u8(in, &c));
	return PROXY_SHORT;
}

static enum proxy_status take_v1(CBS *in, struct proxy_header *out)
{
	enum proxy_status status = take_text(in, "PROXY ", 6);
	uint8_t c;

	if (status != PROXY_OK)
		return status;
	if (!CBS_get_u8(in, &c))
		return PROXY_SHORT;
	if (c == 'U')
		return skip_v1_unknown(in, out);
	if (c != 'T')
		return PROXY_MALFORMED;
	if ((status = take_text(in, "CP", 2)) != PROXY_OK)
		return status;
	if (!CBS_get_u8(in, &c))
		return PROXY_SHORT;
	if (c != '4' && c != '6')
		return PROXY_MALFORMED;
	if ((status = take_text(in, " ", 1)) != PROXY_OK)
		return status;
	return take_v1_addresses(in, c == '4' ? AF_INET : AF_INET6, out);
}

static enum proxy_status decode_v1(const uint8_t *in, size_t len, struct proxy_header *out,
				   size_t *used)
{
	size_t room = len < V1_MAX ? len : V1_MAX;
	struct proxy_header found = {0};
	enum proxy_status status;
	CBS cbs;

	CBS_init(&cbs, in, room);
	status = take_v1(&cbs, &found);
	if (status == PROXY_SHORT && len >= V1_MAX)
		return PROXY_MALFORMED;
	if (status != PROXY_OK)
		return status;
	*out = found;
	*used = room - CBS_len(&cbs);
	return PROXY_OK;
}

/* ---- version 2, section 2.2 ---- */

/* Type, length, value, to the end: nothing of it is used, but lengths that lie are refused. */
static bool skip_tlvs(CBS *body)
{
	uint8_t type;
	CBS value;

	while (CBS_len(body) > 0)
		if (!CBS_get_u8(body, &type) || !CBS_get_u16_length_prefixed(body, &value))
			return false;
	return true;
}

static bool read_v2_v4(CBS *body, struct proxy_header *out)
{
	struct in_addr source, destination;
	uint16_t source_port, destination_port;

	if (!CBS_copy_bytes(body, (uint8_t *)&source, sizeof(source)) ||
	    !CBS_copy_bytes(body, (uint8_t *)&destination, sizeof(destination)) ||
	    !CBS_get_u16(body, &source_port) || !CBS_get_u16(body, &destination_port))
		return false;
	set_v4(&out->source, &source, source_port);
	set_v4(&out->destination, &destination, destination_port);
	return true;
}

static bool read_v2_v6(CBS *body, struct proxy_header *out)
{
	struct in6_addr source, destination;
	uint16_t source_port, destination_port;

	if (!CBS_copy_bytes(body, source.s6_addr, sizeof(source.s6_addr)) ||
	    !CBS_copy_bytes(body, destination.s6_addr, sizeof(destination.s6_addr)) ||
	    !CBS_get_u16(body, &source_port) || !CBS_get_u16(body, &destination_port))
		return false;
	set_v6(&out->source, &source, source_port);
	set_v6(&out->destination, &destination, destination_port);
	return true;
}

static bool family_known(uint8_t family)
{
	switch (family) {
	case V2_UNSPEC:
	case V2_TCP4:
	case V2_UDP4:
	case V2_TCP6:
	case V2_UDP6:
	case V2_UNIX_STREAM:
	case V2_UNIX_DGRAM:
		return true;
	default:
		return false;
	}
}

static bool read_v2_body(uint8_t family, CBS *body, struct proxy_header *out)
{
	switch (family) {
	case V2_TCP4:
	case V2_UDP4:
		return read_v2_v4(body, out) && skip_tlvs(body);
	case V2_TCP6:
	case V2_UDP6:
		return read_v2_v6(body, out) && skip_tlvs(body);
	case V2_UNIX_STREAM:
	case V2_UNIX_DGRAM:
		out->local = true; /* no address that a network peer could have */
		return CBS_skip(body, V2_UNIX_BYTES) && skip_tlvs(body);
	default:
		out->local = true; /* UNSPEC: the block is to be ignored */
		return true;
	}
}

/* The command LOCAL makes family and block meaningless. */
static enum proxy_status decode_v2(const uint8_t *in, size_t len, struct proxy_header *out,
				   size_t *used)
{
	struct proxy_header found = {0};
	enum proxy_status status;
	uint8_t command, family;
	uint16_t length;
	CBS cbs, body;

	CBS_init(&cbs, in, len);
	status = take_text(&cbs, V2_SIGNATURE, V2_SIGNATURE_BYTES);
	if (status != PROXY_OK)
		return status;
	if (!CBS_get_u8(&cbs, &command))
		return PROXY_SHORT;
	if (command != V2_LOCAL && command != V2_PROXY)
		return PROXY_MALFORMED;
	if (!CBS_get_u8(&cbs, &family))
		return PROXY_SHORT;
	if (command == V2_PROXY && !family_known(family))
		return PROXY_MALFORMED;
	if (!CBS_get_u16(&cbs, &length))
		return PROXY_SHORT;
	if (length > PROXY_HEADER_MAX - V2_FIXED_BYTES)
		return PROXY_MALFORMED;
	if (!CBS_get_bytes(&cbs, &body, length))
		return PROXY_SHORT;
	if (command == V2_LOCAL)
		found.local = true;
	else if (!read_v2_body(family, &body, &found))
		return PROXY_MALFORMED;
	*out = found;
	*used = V2_FIXED_BYTES + length;
	return PROXY_OK;
}

enum proxy_status proxy_decode(const uint8_t *in, size_t len, struct proxy_header *out,
			       size_t *used)
{
	if (len == 0)
		return PROXY_SHORT;
	return in[0] == 'P' ? decode_v1(in, len, out, used) : decode_v2(in, len, out, used);
}

/* ---- writing ---- */

static uint8_t *put(uint8_t *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	return to + len;
}

size_t proxy_encode(const struct addr *source, const struct addr *destination,
		    uint8_t out[PROXY_V2_MAX])
{
	struct addr s = {.len = 0}, d = {.len = 0};
	uint8_t *p = put(out, V2_SIGNATURE, V2_SIGNATURE_BYTES);

	if (source && destination) {
		s = *source;
		d = *destination;
		addr_unmap(&s);
		addr_unmap(&d);
	}
	if (s.len > 0 && d.len > 0 && s.sa.sa_family == AF_INET && d.sa.sa_family == AF_INET) {
		p = put(p, (const uint8_t[]){V2_PROXY, V2_TCP4, 0, 12}, 4);
		p = put(p, &s.v4.sin_addr, 4);
		p = put(p, &d.v4.sin_addr, 4);
		p = put(p, &s.v4.sin_port, 2);
		p = put(p, &d.v4.sin_port, 2);
	} else if (s.len > 0 && d.len > 0 && s.sa.sa_family == AF_INET6 &&
		   d.sa.sa_family == AF_INET6) {
		p = put(p, (const uint8_t[]){V2_PROXY, V2_TCP6, 0, 36}, 4);
		p = put(p, &s.v6.sin6_addr, 16);
		p = put(p, &d.v6.sin6_addr, 16);
		p = put(p, &s.v6.sin6_port, 2);
		p = put(p, &d.v6.sin6_port, 2);
	} else {
		p = put(p, (const uint8_t[]){V2_LOCAL, V2_UNSPEC, 0, 0}, 4);
	}
	return (size_t)(p - out);
}
