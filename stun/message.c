/* SPDX-License-Identifier: Apache-2.0 */
/* message: reads and writes STUN messages (RFC 8489 sections 5 and 14; RFC 5780 section 7). */
#include "stun/message.h"

#include <string.h>
#include <openssl/bytestring.h>

#define FAMILY_V4	  0x01u
#define FAMILY_V6	  0x02u
#define COOKIE_HIGH	  (STUN_COOKIE >> 16)
#define FINGERPRINT_MASK  0x5354554eu
#define FINGERPRINT_BYTES 4u
#define CHANGE_ADDRESS	  0x04u
#define CHANGE_PORT	  0x02u
#define MUST_UNDERSTAND	  0x8000u /* types below */

static const uint8_t cookie_bytes[] = {0x21, 0x12, 0xa4, 0x42};

/* Half a byte at a time: sixteen numbers instead of 256, and messages are short. */
uint32_t stun_crc32(const uint8_t *bytes, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		crc = table[crc & 15] ^ (crc >> 4);
		crc = table[crc & 15] ^ (crc >> 4);
	}
	return ~crc;
}

void stun_types_add(struct stun_types *types, uint16_t type)
{
	for (unsigned i = 0; i < types->count; i++)
		if (types->type[i] == type)
			return;
	if (types->count < STUN_UNKNOWN_MAX)
		types->type[types->count++] = type;
}

/* ---- addresses, sections 14.1 and 14.2 ---- */

/* The same for masking and for taking the mask off. */
static void mask_address(struct addr *a, const uint8_t id[STUN_ID_BYTES])
{
	if (a->sa.sa_family == AF_INET) {
		a->v4.sin_port ^= htons(COOKIE_HIGH);
		a->v4.sin_addr.s_addr ^= htonl(STUN_COOKIE);
		return;
	}
	a->v6.sin6_port ^= htons(COOKIE_HIGH);
	for (size_t i = 0; i < sizeof cookie_bytes; i++)
		a->v6.sin6_addr.s6_addr[i] ^= cookie_bytes[i];
	for (size_t i = 0; i < STUN_ID_BYTES; i++)
		a->v6.sin6_addr.s6_addr[sizeof cookie_bytes + i] ^= id[i];
}

static bool read_address(CBS *value, struct stun_message *m, void *field)
{
	struct addr a = {.len = 0};
	uint8_t zero, family;
	uint16_t port;
	int ok;

	if (!CBS_get_u8(value, &zero) || !CBS_get_u8(value, &family) || !CBS_get_u16(value, &port))
		return false;
	if (family == FAMILY_V4) {
		a.v4.sin_family = AF_INET;
		a.v4.sin_port = htons(port);
		a.len = sizeof a.v4;
		ok = CBS_copy_bytes(value, (uint8_t *)&a.v4.sin_addr, sizeof a.v4.sin_addr);
	} else if (family == FAMILY_V6) {
		a.v6.sin6_family = AF_INET6;
		a.v6.sin6_port = htons(port);
		a.len = sizeof a.v6;
		ok = CBS_copy_bytes(value, a.v6.sin6_addr.s6_addr, sizeof a.v6.sin6_addr);
	} else {
		return false;
	}
	if (!ok || CBS_len(value) > 0)
		return false;
	*(struct addr *)field = a;
	return true;
}

static bool read_xor_address(CBS *value, struct stun_message *m, void *field)
{
	if (!read_address(value, m, field))
		return false;
	mask_address(field, m->header.id);
	return true;
}

/* ---- other values ---- */

static bool read_bytes(CBS *value, struct stun_message *m, void *field)
{
	struct stun_bytes *b = field;

	b->data = CBS_data(value);
	b->len = CBS_len(value);
	return true;
}

static bool read_nothing(CBS *value, struct stun_message *m, void *field)
{
	return true;
}

/* Section 14.8: class and number of the code, then its phrase. */
static bool read_error_code(CBS *value, struct stun_message *m, void *field)
{
	uint16_t reserved;
	uint8_t hundreds, rest;

	if (!CBS_get_u16(value, &reserved) || !CBS_get_u8(value, &hundreds) ||
	    !CBS_get_u8(value, &rest))
		return false;
	hundreds &= 0x07;
	if (hundreds < 3 || hundreds > 6 || rest > 99)
		return false;
	m->error_code = hundreds * 100u + rest;
	return read_bytes(value, m, &m->reason);
}

static bool read_unknown_attributes(CBS *value, struct stun_message *m, void *field)
{
	uint16_t type;

	while (CBS_len(value) > 0) {
		if (!CBS_get_u16(value, &type))
			return false;
		stun_types_add(field, type);
	}
	return true;
}

static bool read_change_request(CBS *value, struct stun_message *m, void *field)
{
	uint32_t flags;

	if (!CBS_get_u32(value, &flags) || CBS_len(value) > 0)
		return false;
	m->change_address = flags & CHANGE_ADDRESS;
	m->change_port = flags & CHANGE_PORT;
	return true;
}

/* RFC 5780 section 7.5: a port and two bytes of padding, which some count and some do not. */
static bool read_response_port(CBS *value, struct stun_message *m, void *field)
{
	return CBS_get_u16(value, field) && (CBS_len(value) == 0 || CBS_len(value) == 2);
}

static bool read_padding(CBS *value, struct stun_message *m, void *field)
{
	m->padding_bytes = CBS_len(value);
	return true;
}

static bool read_integrity(CBS *value, struct stun_message *m, void *field)
{
	return CBS_len(value) == STUN_SHA1_BYTES && read_bytes(value, m, field);
}

static bool read_integrity_sha256(CBS *value, struct stun_message *m, void *field)
{
	size_t len = CBS_len(value);

	return len >= STUN_SHA256_MIN && len <= STUN_SHA256_BYTES && len % 4 == 0 &&
	       read_bytes(value, m, field);
}

static bool read_fingerprint(CBS *value, struct stun_message *m, void *field)
{
	return CBS_len(value) == FINGERPRINT_BYTES;
}

/* ---- reading ---- */

struct known {
	uint16_t type;
	uint32_t has;
	bool (*read)(CBS *value, struct stun_message *m, void *field);
	size_t field; /* where in struct stun_message */
};

#define AT(member) offsetof(struct stun_message, member)

static const struct known known[] = {
	{STUN_MAPPED_ADDRESS, STUN_HAS_MAPPED_ADDRESS, read_address, AT(mapped)},
	{STUN_CHANGE_REQUEST, STUN_HAS_CHANGE_REQUEST, read_change_request, 0},
	{STUN_USERNAME, STUN_HAS_USERNAME, read_bytes, AT(username)},
	{STUN_MESSAGE_INTEGRITY, STUN_HAS_MESSAGE_INTEGRITY, read_integrity, AT(integrity)},
	{STUN_ERROR_CODE, STUN_HAS_ERROR_CODE, read_error_code, 0},
	{STUN_UNKNOWN_ATTRIBUTES, STUN_HAS_UNKNOWN_ATTRIBUTES, read_unknown_attributes,
	 AT(refused)},
	{STUN_REALM, STUN_HAS_CREDENTIALS, read_nothing, 0},
	{STUN_NONCE, STUN_HAS_CREDENTIALS, read_nothing, 0},
	{STUN_MESSAGE_INTEGRITY_SHA256, STUN_HAS_MESSAGE_INTEGRITY_SHA256, read_integrity_sha256,
	 AT(integrity_sha256)},
	{STUN_PASSWORD_ALGORITHM, STUN_HAS_CREDENTIALS, read_nothing, 0},
	{STUN_USERHASH, STUN_HAS_CREDENTIALS, read_nothing, 0},
	{STUN_XOR_MAPPED_ADDRESS, STUN_HAS_XOR_MAPPED_ADDRESS, read_xor_address, AT(xor_mapped)},
	{STUN_PADDING, STUN_HAS_PADDING, read_padding, 0},
	{STUN_RESPONSE_PORT, STUN_HAS_RESPONSE_PORT, read_response_port, AT(response_port)},
	{STUN_SOFTWARE, STUN_HAS_SOFTWARE, read_bytes, AT(software)},
	{STUN_ALTERNATE_SERVER, STUN_HAS_ALTERNATE_SERVER, read_address, AT(alternate)},
	{STUN_FINGERPRINT, STUN_HAS_FINGERPRINT, read_fingerprint, 0},
	{STUN_RESPONSE_ORIGIN, STUN_HAS_RESPONSE_ORIGIN, read_address, AT(origin)},
	{STUN_OTHER_ADDRESS, STUN_HAS_OTHER_ADDRESS, read_address, AT(other)},
};

#undef AT

static const struct known *find_known(uint16_t type)
{
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (known[i].type == type)
			return &known[i];
	return NULL;
}

/* Sections 14.5 to 14.7: what may still count behind what has been read. */
static bool counts(uint32_t has, uint16_t type)
{
	if (has & STUN_HAS_FINGERPRINT)
		return false;
	if (has & STUN_HAS_MESSAGE_INTEGRITY_SHA256)
		return type == STUN_FINGERPRINT;
	if (has & STUN_HAS_MESSAGE_INTEGRITY)
		return type == STUN_FINGERPRINT || type == STUN_MESSAGE_INTEGRITY_SHA256;
	return true;
}

static bool read_attribute(struct stun_message *m, uint16_t type, CBS *value)
{
	const struct known *k;

	if (!counts(m->has, type))
		return true;
	k = find_known(type);
	if (!k) {
		if (type < MUST_UNDERSTAND)
			stun_types_add(&m->unknown, type);
		return true;
	}
	if ((m->has & k->has) && k->has != STUN_HAS_CREDENTIALS)
		return true;
	if (!k->read(value, m, (uint8_t *)m + k->field))
		return false;
	m->has |= k->has;
	return true;
}

/* Section 14: type, length, value, and padding to four bytes. */
static bool next_attribute(CBS *body, uint16_t *type, CBS *value)
{
	uint16_t len;

	return CBS_get_u16(body, type) && CBS_get_u16(body, &len) &&
	       CBS_get_bytes(body, value, len) && CBS_skip(body, (4u - len % 4u) % 4u);
}

static bool fingerprint_ok(const uint8_t *bytes, size_t before, CBS value)
{
	uint32_t sent;

	return CBS_get_u32(&value, &sent) && sent == (stun_crc32(bytes, before) ^ FINGERPRINT_MASK);
}

bool stun_decode_header(const uint8_t *bytes, size_t len, struct stun_header *out)
{
	struct stun_header h;
	uint16_t type;
	uint32_t cookie;
	CBS cbs;

	CBS_init(&cbs, bytes, len);
	if (!CBS_get_u16(&cbs, &type) || !CBS_get_u16(&cbs, &h.length) ||
	    !CBS_get_u32(&cbs, &cookie) || !CBS_copy_bytes(&cbs, h.id, sizeof h.id))
		return false;
	if (type & 0xc000 || cookie != STUN_COOKIE || h.length % 4 != 0)
		return false;
	/* Section 5: the two bits of the class lie between those of the method. */
	h.class = (enum stun_class)((type >> 7 & 2) | (type >> 4 & 1));
	h.method = (uint16_t)((type & 0x000f) | (type >> 1 & 0x0070) | (type >> 2 & 0x0f80));
	*out = h;
	return true;
}

enum stun_status stun_decode(const uint8_t *bytes, size_t len, struct stun_message *out)
{
	struct stun_message m;
	uint16_t type;
	CBS body, value;

	memset(&m, 0, sizeof m);
	if (!stun_decode_header(bytes, len, &m.header) ||
	    len - STUN_HEADER_BYTES != m.header.length)
		return STUN_NOT_STUN;
	CBS_init(&body, bytes, len);
	if (!CBS_skip(&body, STUN_HEADER_BYTES))
		return STUN_NOT_STUN;
	while (CBS_len(&body) > 0) {
		size_t before = len - CBS_len(&body);
		bool had_fingerprint = m.has & STUN_HAS_FINGERPRINT;

		if (!next_attribute(&body, &type, &value) || !read_attribute(&m, type, &value))
			return STUN_MALFORMED;
		if (!had_fingerprint && (m.has & STUN_HAS_FINGERPRINT) &&
		    !fingerprint_ok(bytes, before, value))
			return STUN_DAMAGED;
	}
	*out = m;
	return STUN_OK;
}

/* ---- writing ---- */

/* Not a CBB: in the BoringSSL that Debian has, even one of a fixed size allocates. */
static void put(struct stun_writer *w, const void *data, size_t len)
{
	if (w->failed || len > w->room - w->len) {
		w->failed = true;
		return;
	}
	if (data)
		memcpy(w->bytes + w->len, data, len);
	else
		memset(w->bytes + w->len, 0, len);
	w->len += len;
}

static void put_u16(struct stun_writer *w, uint16_t value)
{
	put(w, &(uint16_t){htons(value)}, sizeof value);
}

static void put_u32(struct stun_writer *w, uint32_t value)
{
	put(w, &(uint32_t){htonl(value)}, sizeof value);
}

static void set_length(struct stun_writer *w, size_t len)
{
	uint16_t value = htons((uint16_t)len);

	if (w->room >= STUN_HEADER_BYTES)
		memcpy(w->bytes + 2, &value, sizeof value);
}

void stun_write_begin(struct stun_writer *w, uint8_t *bytes, size_t room, enum stun_class class,
		      uint16_t method, const uint8_t id[STUN_ID_BYTES])
{
	*w = (struct stun_writer){.bytes = bytes, .room = room};
	put_u16(w, (uint16_t)((class & 2u) << 7 | (class & 1u) << 4 | (method & 0x000fu) |
			      (method & 0x0070u) << 1 | (method & 0x0f80u) << 2));
	put_u16(w, 0);
	put(w, cookie_bytes, sizeof cookie_bytes);
	put(w, id, STUN_ID_BYTES);
}

void stun_write_bytes(struct stun_writer *w, uint16_t type, const uint8_t *data, size_t len)
{
	if (len > UINT16_MAX) {
		w->failed = true;
		return;
	}
	put_u16(w, type);
	put_u16(w, (uint16_t)len);
	put(w, data, len);
	put(w, NULL, (4u - len % 4u) % 4u);
}

void stun_write_address(struct stun_writer *w, enum stun_attribute type, const struct addr *a)
{
	struct addr plain = *a;
	bool v4;

	addr_unmap(&plain);
	v4 = plain.sa.sa_family == AF_INET;
	if (type == STUN_XOR_MAPPED_ADDRESS) {
		if (w->failed)
			return;
		mask_address(&plain, w->bytes + STUN_HEADER_BYTES - STUN_ID_BYTES);
	}
	put_u16(w, (uint16_t)type);
	put_u16(w, (uint16_t)(4 + (v4 ? sizeof plain.v4.sin_addr : sizeof plain.v6.sin6_addr)));
	put_u16(w, v4 ? FAMILY_V4 : FAMILY_V6);
	if (v4) {
		put(w, &plain.v4.sin_port, sizeof plain.v4.sin_port);
		put(w, &plain.v4.sin_addr, sizeof plain.v4.sin_addr);
	} else {
		put(w, &plain.v6.sin6_port, sizeof plain.v6.sin6_port);
		put(w, &plain.v6.sin6_addr, sizeof plain.v6.sin6_addr);
	}
}

void stun_write_error(struct stun_writer *w, enum stun_error_code code)
{
	put_u16(w, STUN_ERROR_CODE);
	put_u16(w, 4);
	put_u32(w, (uint32_t)code / 100 << 8 | (uint32_t)code % 100);
}

void stun_write_unknown(struct stun_writer *w, const struct stun_types *types)
{
	put_u16(w, STUN_UNKNOWN_ATTRIBUTES);
	put_u16(w, (uint16_t)(2 * types->count));
	for (unsigned i = 0; i < types->count; i++)
		put_u16(w, types->type[i]);
	if (types->count % 2)
		put_u16(w, 0);
}

void stun_write_change_request(struct stun_writer *w, bool address, bool port)
{
	put_u16(w, STUN_CHANGE_REQUEST);
	put_u16(w, 4);
	put_u32(w, (address ? CHANGE_ADDRESS : 0) | (port ? CHANGE_PORT : 0));
}

void stun_write_response_port(struct stun_writer *w, uint16_t port)
{
	put_u16(w, STUN_RESPONSE_PORT);
	put_u16(w, 2);
	put_u16(w, port);
	put_u16(w, 0);
}

void stun_write_fingerprint(struct stun_writer *w)
{
	if (w->failed)
		return;
	/* Section 14.7: the length that is summed includes this attribute. */
	set_length(w, w->len - STUN_HEADER_BYTES + STUN_ATTRIBUTE_BYTES + FINGERPRINT_BYTES);
	uint32_t crc = stun_crc32(w->bytes, w->len);
	put_u16(w, STUN_FINGERPRINT);
	put_u16(w, FINGERPRINT_BYTES);
	put_u32(w, crc ^ FINGERPRINT_MASK);
}

size_t stun_write_end(struct stun_writer *w)
{
	if (w->failed || w->len - STUN_HEADER_BYTES > UINT16_MAX)
		return 0;
	set_length(w, w->len - STUN_HEADER_BYTES);
	return w->len;
}
