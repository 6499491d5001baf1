/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clienthello: reads the first message of a TLS client.
 *
 * Two steps: pass_records() follows the record headers, as far as bytes have come, and goes on from
 * there at the next call; once the handshake message is complete, gather() collects it and
 * read_hello() reads it. Every check stands at a fixed place of the
 * byte stream, in its order, so the answer given for some bytes stays right when more bytes follow.
 */
#include "core/parse/clienthello.h"

#include <string.h>
#include <arpa/inet.h>
#include <openssl/bytestring.h>

#define RECORD_HEADER_BYTES  5u
#define RECORD_BODY_MAX	     16384u
#define RECORD_HANDSHAKE     22
#define MESSAGE_HEADER_BYTES 4u
#define MESSAGE_CLIENT_HELLO 1
#define RANDOM_BYTES	     32u
#define SESSION_ID_MAX	     32u
#define LABEL_MAX	     63u
#define EXTENSIONS_MAX	     64u /* browsers send about 20 */

enum extension {
	EXTENSION_SERVER_NAME = 0,
	EXTENSION_ALPN = 16,
	EXTENSION_SUPPORTED_VERSIONS = 43,
	EXTENSION_ECH = 0xfe0d, /* RFC 9849 section 5 */
};

/* ---- records to message ---- */

/* RFC 8446 section 5.1. An SSL 2.0 hello fails at the first byte. */
static enum clienthello_status read_record_header(CBS *in, bool first, uint16_t *length)
{
	enum clienthello_status wrong = first ? CLIENTHELLO_GARBAGE : CLIENTHELLO_AMBIGUOUS;
	uint8_t type, major, minor;

	if (!CBS_get_u8(in, &type))
		return CLIENTHELLO_SHORT;
	if (type != RECORD_HANDSHAKE)
		return wrong;
	if (!CBS_get_u8(in, &major))
		return CLIENTHELLO_SHORT;
	if (major != 3)
		return wrong;
	if (!CBS_get_u8(in, &minor))
		return CLIENTHELLO_SHORT;
	if (minor > 4) /* 0 is SSL 3.0: scanners ask for it, and TLS must give the answer */
		return wrong;
	if (!CBS_get_u16(in, length))
		return CLIENTHELLO_SHORT;
	if (*length > RECORD_BODY_MAX)
		return wrong;
	return *length == 0 ? CLIENTHELLO_AMBIGUOUS : CLIENTHELLO_OK;
}

/* Once the message's length is known, in a record of which record_left bytes are still unread. */
static enum clienthello_status check_length(const struct clienthello_reader *r, size_t limit)
{
	size_t message_left = r->want - r->have;

	if (r->record_left > message_left)
		return CLIENTHELLO_AMBIGUOUS; /* something follows it in its own record */
	if (message_left > r->record_left &&
	    r->passed + RECORD_HEADER_BYTES + (message_left - r->record_left) > limit)
		return CLIENTHELLO_TOO_LARGE;
	return CLIENTHELLO_OK;
}

/* The header of a record: the reader stays before it until it is whole. */
static enum clienthello_status pass_record_header(struct clienthello_reader *r, CBS *in,
						  size_t limit)
{
	enum clienthello_status status;
	uint16_t length;

	status = read_record_header(in, r->passed == 0, &length);
	if (status != CLIENTHELLO_OK)
		return status;
	r->at += RECORD_HEADER_BYTES;
	r->record_left = length;
	r->passed += RECORD_HEADER_BYTES + length;
	if (r->passed > limit)
		return CLIENTHELLO_TOO_LARGE;
	return r->have < MESSAGE_HEADER_BYTES ? CLIENTHELLO_OK : check_length(r, limit);
}

/* A byte of the message's own header, which records may cut anywhere. */
static enum clienthello_status pass_message_header(struct clienthello_reader *r, CBS *in,
						   size_t limit)
{
	uint8_t byte;

	if (!CBS_get_u8(in, &byte))
		return CLIENTHELLO_SHORT;
	if (r->have == 0 && byte != MESSAGE_CLIENT_HELLO)
		return CLIENTHELLO_GARBAGE;
	r->length = r->have == 0 ? 0 : r->length << 8 | byte;
	r->at++;
	r->have++;
	r->record_left--;
	if (r->have < MESSAGE_HEADER_BYTES)
		return CLIENTHELLO_OK;
	r->want = MESSAGE_HEADER_BYTES + r->length;
	return check_length(r, limit);
}

/* As much of the record's body as is there. */
static enum clienthello_status pass_body(struct clienthello_reader *r, CBS *in)
{
	size_t n = CBS_len(in) < r->record_left ? CBS_len(in) : r->record_left;

	if (n == 0 || !CBS_skip(in, n))
		return CLIENTHELLO_SHORT;
	r->at += n;
	r->have += n;
	r->record_left -= n;
	return CLIENTHELLO_OK;
}

/* Follows the records until the message is whole. */
static enum clienthello_status pass_records(struct clienthello_reader *r, CBS *in, size_t limit)
{
	enum clienthello_status status = CLIENTHELLO_OK;

	while (status == CLIENTHELLO_OK) {
		if (r->record_left == 0 && r->have >= MESSAGE_HEADER_BYTES && r->have == r->want)
			return CLIENTHELLO_OK;
		if (r->record_left == 0)
			status = pass_record_header(r, in, limit);
		else if (r->have < MESSAGE_HEADER_BYTES)
			status = pass_message_header(r, in, limit);
		else
			status = pass_body(r, in);
	}
	return status;
}

/* What pass_records() has followed: record_bytes of records, their bodies into out. */
static bool gather(CBS *in, size_t record_bytes, uint8_t *out)
{
	size_t passed = 0, have = 0;
	uint16_t length;

	while (passed < record_bytes) {
		if (read_record_header(in, passed == 0, &length) != CLIENTHELLO_OK ||
		    !CBS_copy_bytes(in, out + have, length))
			return false;
		passed += RECORD_HEADER_BYTES + length;
		have += length;
	}
	return true;
}

/* ---- the message ---- */

static bool host_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Lower case, zero-terminated; false when the name cannot be written as text. */
static bool copy_name(CBS *name, char out[CLIENTHELLO_NAME_MAX + 1])
{
	size_t n = 0;
	uint8_t c;

	if (CBS_len(name) == 0 || CBS_len(name) > CLIENTHELLO_NAME_MAX)
		return false;
	while (CBS_get_u8(name, &c)) {
		if (c <= 0x20 || c >= 0x7f)
			return false;
		out[n++] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
	out[n] = 0;
	return true;
}

/* Labels of letters, digits, hyphen and underscore; takes one final dot off. */
static bool check_host(char *name)
{
	size_t label = 0, n = strlen(name);

	if (name[n - 1] == '.')
		name[n - 1] = 0;
	for (const char *p = name; *p; p++) {
		if (*p == '.' ? label == 0 : !host_byte((uint8_t)*p))
			return false;
		label = *p == '.' ? 0 : label + 1;
		if (label > LABEL_MAX)
			return false;
	}
	return label > 0;
}

/* RFC 6066 section 3. It forbids address literals; clients that send them nevertheless mean
 * the owner of the address, so a literal counts as no name. */
static bool read_server_name(CBS *body, struct clienthello *out)
{
	char name[CLIENTHELLO_NAME_MAX + 1];
	struct in6_addr literal;
	CBS list, host;
	uint8_t type;

	if (!CBS_get_u16_length_prefixed(body, &list) || CBS_len(body) != 0 ||
	    !CBS_get_u8(&list, &type) || type != 0 || !CBS_get_u16_length_prefixed(&list, &host) ||
	    CBS_len(&list) != 0 || !copy_name(&host, name))
		return false;
	if (inet_pton(AF_INET, name, &literal) == 1 || inet_pton(AF_INET6, name, &literal) == 1)
		return true;
	if (!check_host(name))
		return false;
	memcpy(out->server_name, name, strlen(name) + 1);
	return true;
}

static bool is_protocol(const CBS *protocol, const char *name)
{
	return CBS_mem_equal(protocol, (const uint8_t *)name, strlen(name));
}

/* RFC 7301 section 3.1 */
static bool read_alpn(CBS *body, struct clienthello *out)
{
	CBS list, protocol;

	if (!CBS_get_u16_length_prefixed(body, &list) || CBS_len(body) != 0 || CBS_len(&list) == 0)
		return false;
	while (CBS_len(&list) > 0) {
		if (!CBS_get_u8_length_prefixed(&list, &protocol) || CBS_len(&protocol) == 0)
			return false;
		out->alpn_http11 |= is_protocol(&protocol, "http/1.1");
		out->alpn_h2 |= is_protocol(&protocol, "h2");
		out->alpn_acme_tls |= is_protocol(&protocol, "acme-tls/1");
	}
	return true;
}

/* RFC 8446 section 4.2.1 */
static bool read_supported_versions(CBS *body, struct clienthello *out)
{
	uint16_t version;
	CBS list;

	if (!CBS_get_u8_length_prefixed(body, &list) || CBS_len(body) != 0 || CBS_len(&list) == 0)
		return false;
	while (CBS_len(&list) > 0) {
		if (!CBS_get_u16(&list, &version))
			return false;
		out->has_tls13 |= version == 0x0304;
	}
	return true;
}

static bool read_ech(CBS *body, struct clienthello *out)
{
	uint8_t type;

	if (!CBS_get_u8(body, &type))
		return false;
	out->has_ech = type == 0; /* outer */
	return true;
}

static bool read_extension(uint16_t type, CBS *body, struct clienthello *out)
{
	switch (type) {
	case EXTENSION_SERVER_NAME:
		return read_server_name(body, out);
	case EXTENSION_ALPN:
		return read_alpn(body, out);
	case EXTENSION_SUPPORTED_VERSIONS:
		return read_supported_versions(body, out);
	case EXTENSION_ECH:
		return read_ech(body, out);
	default:
		return true;
	}
}

/* RFC 8446 section 4.2: no type twice, whether we know it or not. */
static bool read_extensions(CBS *list, struct clienthello *out)
{
	uint16_t seen[EXTENSIONS_MAX], type;
	size_t count = 0;
	CBS body;

	while (CBS_len(list) > 0) {
		if (count == EXTENSIONS_MAX || !CBS_get_u16(list, &type) ||
		    !CBS_get_u16_length_prefixed(list, &body))
			return false;
		for (size_t i = 0; i < count; i++)
			if (seen[i] == type)
				return false;
		seen[count++] = type;
		if (!read_extension(type, &body, out))
			return false;
	}
	return true;
}

/* RFC 8446 section 4.1.2; a hello without extensions is legal before TLS 1.3. */
static bool read_hello(CBS *hello, struct clienthello *out)
{
	CBS session_id, ciphers, compression, extensions;
	uint16_t version;

	if (!CBS_get_u16(hello, &version) || version >> 8 != 3 || !CBS_skip(hello, RANDOM_BYTES) ||
	    !CBS_get_u8_length_prefixed(hello, &session_id) ||
	    CBS_len(&session_id) > SESSION_ID_MAX ||
	    !CBS_get_u16_length_prefixed(hello, &ciphers) || CBS_len(&ciphers) == 0 ||
	    CBS_len(&ciphers) % 2 != 0 || !CBS_get_u8_length_prefixed(hello, &compression) ||
	    CBS_len(&compression) == 0)
		return false;
	if (CBS_len(hello) == 0)
		return true;
	return CBS_get_u16_length_prefixed(hello, &extensions) && CBS_len(hello) == 0 &&
	       read_extensions(&extensions, out);
}

enum clienthello_status clienthello_read(struct clienthello_reader *r, const uint8_t *in,
					 size_t len, size_t limit, uint8_t *scratch,
					 struct clienthello *out)
{
	struct clienthello found = {.has_tls13 = false};
	enum clienthello_status status;
	CBS cbs;

	CBS_init(&cbs, in, len);
	if (!CBS_skip(&cbs, r->at))
		return CLIENTHELLO_SHORT;
	status = pass_records(r, &cbs, limit);
	if (status != CLIENTHELLO_OK)
		return status;
	found.record_bytes = r->passed;
	CBS_init(&cbs, in, len);
	if (!gather(&cbs, r->passed, scratch))
		return CLIENTHELLO_AMBIGUOUS; /* not what was there before */
	CBS_init(&cbs, scratch, r->have);
	if (!CBS_skip(&cbs, MESSAGE_HEADER_BYTES) || !read_hello(&cbs, &found))
		return CLIENTHELLO_AMBIGUOUS;
	*out = found;
	return CLIENTHELLO_OK;
}

enum clienthello_status clienthello_parse(const uint8_t *in, size_t len, size_t limit,
					  uint8_t *scratch, struct clienthello *out)
{
	struct clienthello_reader r = {.at = 0};

	return clienthello_read(&r, in, len, limit, scratch, out);
}
