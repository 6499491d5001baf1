/* SPDX-License-Identifier: Apache-2.0 */
/* socks5: reads what a SOCKS client says and writes the answers (RFC 1928). */
#include "core/parse/socks5.h"

#include <string.h>
#include <strings.h>
#include <arpa/inet.h>
#include <openssl/bytestring.h>

#include "core/parse/wire.h"

#define SOCKS_VERSION  5
#define METHOD_NONE    0x00 /* section 3: no authentication required */
#define METHOD_REFUSED 0xff /* no acceptable methods */
#define ADDRESS_IPV4   1
#define ADDRESS_NAME   3
#define ADDRESS_IPV6   4
#define NAME_SUFFIX    ".postern"

static enum socks5_status take_version(CBS *in)
{
	uint8_t version;

	if (!CBS_get_u8(in, &version))
		return SOCKS5_SHORT;
	return version == SOCKS_VERSION ? SOCKS5_OK : SOCKS5_MALFORMED;
}

enum socks5_status socks5_greeting_parse(const uint8_t *in, size_t len, bool *offers_none,
					 size_t *used)
{
	enum socks5_status status;
	bool none = false;
	CBS cbs, methods;
	uint8_t count, method;

	CBS_init(&cbs, in, len);
	status = take_version(&cbs);
	if (status != SOCKS5_OK)
		return status;
	if (!CBS_get_u8(&cbs, &count))
		return SOCKS5_SHORT;
	if (count == 0)
		return SOCKS5_MALFORMED;
	if (!CBS_get_bytes(&cbs, &methods, count))
		return SOCKS5_SHORT;
	while (CBS_get_u8(&methods, &method))
		none |= method == METHOD_NONE;
	*offers_none = none;
	*used = len - CBS_len(&cbs);
	return SOCKS5_OK;
}

void socks5_greeting_reply(bool accept, uint8_t out[SOCKS5_GREETING_REPLY_BYTES])
{
	out[0] = SOCKS_VERSION;
	out[1] = accept ? METHOD_NONE : METHOD_REFUSED;
}

static enum socks5_status take_literal(CBS *in, int family, struct socks5_request *r)
{
	uint8_t ip[16];

	if (!CBS_copy_bytes(in, ip, family == AF_INET ? 4 : 16))
		return SOCKS5_SHORT;
	return inet_ntop(family, ip, r->host, sizeof(r->host)) ? SOCKS5_OK : SOCKS5_MALFORMED;
}

/* A name of printable bytes: its next reader may not expect others. */
static enum socks5_status take_name(CBS *in, struct socks5_request *r)
{
	uint8_t length, c;

	if (!CBS_get_u8(in, &length))
		return SOCKS5_SHORT;
	if (length == 0)
		return SOCKS5_MALFORMED;
	for (size_t i = 0; i < length; i++) {
		if (!CBS_get_u8(in, &c))
			return SOCKS5_SHORT;
		if (c <= 0x20 || c >= 0x7f)
			return SOCKS5_MALFORMED;
		r->host[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
	return SOCKS5_OK;
}

/* The length of an unknown address type is not known: the request is returned without the rest, to
 * be answered SOCKS5_ADDRESS_UNSUPPORTED. */
static enum socks5_status take_destination(CBS *in, struct socks5_request *r)
{
	enum socks5_status status;

	switch (r->address_type) {
	case ADDRESS_IPV4:
		status = take_literal(in, AF_INET, r);
		break;
	case ADDRESS_NAME:
		status = take_name(in, r);
		break;
	case ADDRESS_IPV6:
		status = take_literal(in, AF_INET6, r);
		break;
	default:
		return SOCKS5_OK;
	}
	if (status == SOCKS5_OK && !CBS_get_u16(in, &r->port))
		return SOCKS5_SHORT;
	return status;
}

enum socks5_status socks5_request_parse(const uint8_t *in, size_t len, struct socks5_request *out,
					size_t *used)
{
	struct socks5_request r;
	enum socks5_status status;
	uint8_t reserved;
	CBS cbs;

	memset(&r, 0, sizeof(r));
	CBS_init(&cbs, in, len);
	status = take_version(&cbs);
	if (status != SOCKS5_OK)
		return status;
	if (!CBS_get_u8(&cbs, &r.command) || !CBS_get_u8(&cbs, &reserved))
		return SOCKS5_SHORT;
	if (reserved != 0)
		return SOCKS5_MALFORMED;
	if (!CBS_get_u8(&cbs, &r.address_type))
		return SOCKS5_SHORT;
	status = take_destination(&cbs, &r);
	if (status != SOCKS5_OK)
		return status;
	*out = r;
	*used = len - CBS_len(&cbs);
	return SOCKS5_OK;
}

void socks5_reply(enum socks5_reply code, uint8_t out[SOCKS5_REPLY_BYTES])
{
	memset(out, 0, SOCKS5_REPLY_BYTES);
	out[0] = SOCKS_VERSION;
	out[1] = (uint8_t)code;
	out[3] = ADDRESS_IPV4;
}

bool socks5_split_name(const char *host, char agent[64], char service[64])
{
	const size_t suffix = strlen(NAME_SUFFIX);
	struct wire_bytes left = wire_text(host), right;
	size_t dot;

	if (left.len <= suffix || strcasecmp(host + left.len - suffix, NAME_SUFFIX) != 0)
		return false;
	left.len -= suffix;
	for (dot = left.len - 1; dot > 0 && host[dot] != '.'; dot--)
		;
	right = (struct wire_bytes){left.data + dot + 1, left.len - dot - 1};
	left.len = dot;
	if (!wire_service_name_ok(left.data, left.len) ||
	    !wire_agent_name_ok(right.data, right.len))
		return false;
	wire_bytes_copy(right, agent, 64);
	wire_bytes_copy(left, service, 64);
	return true;
}
