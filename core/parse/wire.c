/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: encodes and decodes the Postern messages.
 *
 * One table lists every field of every message in wire order. Decoding and encoding walk the same
 * rows and call the same check, so that what one side may send is what the other accepts.
 */
#include "core/parse/wire.h"

#include <stdio.h>
#include <string.h>
#include <openssl/bytestring.h>

#include "core/hex.h"
#include "core/parse/reason.h"

enum field_kind {
	FLAGS8, /* u8: only the bits of max */
	KIND8,	/* u8: enum wire_offer_kind */
	UINT16,
	UINT32,
	UINT64,
	REASON16, /* u16: min or more, below REASON_WIRE_END */
	SECRET,	  /* WIRE_SECRET_BYTES */
	TEXT8,
	TEXT16,
	BYTES16,
	AGENT8,	     /* text8 by the name rule; with min 0 also empty */
	SERVICE8,    /* the same */
	SERVICES,    /* u16 count, that many SERVICE8 */
	REVOCATIONS, /* u8 flags, u16 count, that many u8 kind, text8 value, u64 before */
	CANDIDATES,  /* u8 count, that many text8, each "tcp:" or "udp:" and an address */
	EXTENSIONS,  /* u8 count, that many u16 id and bytes16; max bytes behind the count */
};

struct field {
	enum wire_type type;
	enum field_kind kind;
	size_t offset; /* in struct wire_message */
	size_t min, max;
};

#define AT(member) offsetof(struct wire_message, member)
#define EXTENDED(message)                                                                          \
	{                                                                                          \
		WIRE_##message, EXTENSIONS, AT(extensions), 0, WIRE_EXTENSIONS_BYTES               \
	}

static const struct field fields[] = {
	{WIRE_HELLO, FLAGS8, AT(hello.flags), 0, WIRE_HELLO_FLAGS},
	{WIRE_HELLO, AGENT8, AT(hello.agent), 1, WIRE_NAME_MAX},
	{WIRE_HELLO, TEXT8, AT(hello.software), 0, WIRE_SOFTWARE_MAX},
	{WIRE_HELLO, BYTES16, AT(hello.certificate), 1, WIRE_CERT_MAX},
	{WIRE_HELLO, BYTES16, AT(hello.signature), 1, WIRE_SIGNATURE_MAX},
	EXTENDED(HELLO),

	{WIRE_WELCOME, TEXT8, AT(welcome.relay), 0, WIRE_RELAY_MAX},
	{WIRE_WELCOME, TEXT8, AT(welcome.your_address), 0, WIRE_ADDRESS_MAX},
	{WIRE_WELCOME, UINT64, AT(welcome.link), 0, 0},
	{WIRE_WELCOME, SECRET, AT(welcome.leg_secret), 0, 0},
	{WIRE_WELCOME, UINT16, AT(welcome.ping_interval_s), 0, 0},
	{WIRE_WELCOME, UINT16, AT(welcome.max_legs), 0, 0},
	{WIRE_WELCOME, UINT32, AT(welcome.max_sessions), 0, 0},
	EXTENDED(WELCOME),

	{WIRE_PUBLISH, SERVICES, AT(publish), 0, WIRE_SERVICES_MAX},
	{WIRE_PUBLISHED, UINT16, AT(published.count), 0, 0},

	{WIRE_OFFER, UINT64, AT(offer.session), 0, 0},
	{WIRE_OFFER, KIND8, AT(offer.kind), 0, WIRE_OFFER_PUBLIC},
	{WIRE_OFFER, AGENT8, AT(offer.from), 0, WIRE_NAME_MAX},
	{WIRE_OFFER, SERVICE8, AT(offer.service), 1, WIRE_NAME_MAX},
	{WIRE_OFFER, TEXT8, AT(offer.source), 0, WIRE_ADDRESS_MAX},
	{WIRE_OFFER, TEXT8, AT(offer.local), 0, WIRE_ADDRESS_MAX},
	EXTENDED(OFFER),

	{WIRE_REFUSE, UINT64, AT(refuse.session), 0, 0},
	{WIRE_REFUSE, REASON16, AT(refuse.reason), 1, 0},
	{WIRE_REFUSE, TEXT16, AT(refuse.text), 0, WIRE_TEXT_MAX},

	{WIRE_PING, UINT64, AT(ping.token), 0, 0},
	EXTENDED(PING),
	{WIRE_PONG, UINT64, AT(pong.token), 0, 0},
	EXTENDED(PONG),

	{WIRE_DRAIN, UINT16, AT(drain.reconnect_after_s), 0, 0},

	{WIRE_BYE, REASON16, AT(bye.reason), 0, 0},
	{WIRE_BYE, TEXT16, AT(bye.text), 0, WIRE_TEXT_MAX},

	{WIRE_REVOKED, REVOCATIONS, AT(revoked), 0, WIRE_REVOKED_MAX},

	{WIRE_TAGKEY, SECRET, AT(tagkey.key), 0, 0},

	{WIRE_SIGNED, BYTES16, AT(signed_revocation.object), 1, WIRE_SIGNED_MAX},

	{WIRE_PROVE, UINT64, AT(prove.session), 0, 0},
	{WIRE_PROVE, BYTES16, AT(prove.certificate), 1, WIRE_CERT_MAX},
	{WIRE_PROVE, BYTES16, AT(prove.signature), 1, WIRE_SIGNATURE_MAX},

	{WIRE_ENDED, UINT64, AT(ended.session), 0, 0},
	{WIRE_ENDED, TEXT8, AT(ended.cause), 1, 1},
	{WIRE_ENDED, TEXT16, AT(ended.text), 0, WIRE_TEXT_MAX},

	{WIRE_LEG, UINT64, AT(leg.link), 0, 0},
	{WIRE_LEG, SECRET, AT(leg.proof), 0, 0},

	{WIRE_OPEN, AGENT8, AT(open.to), 1, WIRE_NAME_MAX},
	{WIRE_OPEN, SERVICE8, AT(open.service), 1, WIRE_NAME_MAX},
	EXTENDED(OPEN),

	{WIRE_ACCEPT, UINT64, AT(accept.session), 0, 0},
	{WIRE_GO, UINT64, AT(go.session), 0, 0},
	{WIRE_GO, SECRET, AT(go.secret), 0, 0},
	EXTENDED(GO),

	{WIRE_FAIL, REASON16, AT(fail.reason), 1, 0},
	{WIRE_FAIL, TEXT16, AT(fail.text), 0, WIRE_TEXT_MAX},

	{WIRE_REQUEST, SERVICE8, AT(request.service), 1, WIRE_NAME_MAX},
	{WIRE_REQUEST, TEXT8, AT(request.source), 0, WIRE_ADDRESS_MAX},
	{WIRE_REQUEST, CANDIDATES, AT(request.candidates), 0, WIRE_CANDIDATES_MAX},
	EXTENDED(REQUEST),

	{WIRE_RESULT, REASON16, AT(result.reason), 0, 0},
	{WIRE_RESULT, TEXT16, AT(result.text), 0, WIRE_TEXT_MAX},
	{WIRE_RESULT, CANDIDATES, AT(result.candidates), 0, WIRE_CANDIDATES_MAX},
	EXTENDED(RESULT),
};

#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

/* ---- what a value may be ---- */

/* Controls of the direction of text: with these a line shows otherwise than it reads. */
static bool turns_text(uint32_t code)
{
	return code == 0x61c || code == 0x200e || code == 0x200f ||
	       (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

/* The rest of a character whose first byte was lead (RFC 3629 section 4), refusing what is written
 * longer than it need be, surrogates, U+0080 to U+009F, which terminals obey, and turns_text(). */
static bool utf8_rest_ok(CBS *text, uint8_t lead)
{
	static const uint32_t least[] = {0, 0xa0, 0x800, 0x10000};
	unsigned more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
	uint32_t code = lead & (0x3fu >> more);
	uint8_t next;

	if (lead < 0xc2 || lead > 0xf4)
		return false;
	for (unsigned i = 0; i < more; i++) {
		if (!CBS_get_u8(text, &next) || (next & 0xc0) != 0x80)
			return false;
		code = code << 6 | (next & 0x3fu);
	}
	return code >= least[more] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) &&
	       !turns_text(code);
}

/* Texts end up in logs, on terminals and in JSON. */
bool wire_text_ok(struct wire_bytes b)
{
	CBS text;
	uint8_t c;

	CBS_init(&text, b.data, b.len);
	while (CBS_get_u8(&text, &c)) {
		if (c < 0x20 || c == 0x7f)
			return false;
		if (c >= 0x80 && !utf8_rest_ok(&text, c))
			return false;
	}
	return true;
}

static bool letter_or_digit(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool name_ok(const uint8_t *name, size_t len, bool service)
{
	CBS text;
	uint8_t c, before = 0;

	if (len < 1 || len > WIRE_NAME_MAX)
		return false;
	if (!letter_or_digit(name[0]) || !letter_or_digit(name[len - 1]))
		return false;
	CBS_init(&text, name, len);
	while (CBS_get_u8(&text, &c)) {
		bool separator = c == '.' || c == '/';

		if (separator ? !service || before == '.' || before == '/'
			      : !letter_or_digit(c) && c != '-' && c != '_')
			return false;
		before = c;
	}
	return true;
}

bool wire_agent_name_ok(const uint8_t *name, size_t len)
{
	return name_ok(name, len, false);
}

bool wire_service_name_ok(const uint8_t *name, size_t len)
{
	return name_ok(name, len, true);
}

bool wire_is_agent_name(const char *text)
{
	return wire_agent_name_ok((const uint8_t *)text, strlen(text));
}

bool wire_is_service_name(const char *text)
{
	return wire_service_name_ok((const uint8_t *)text, strlen(text));
}

static bool string_ok(const struct field *f, struct wire_bytes b)
{
	if (b.len < f->min || b.len > f->max)
		return false;
	switch (f->kind) {
	case AGENT8:
		return b.len == 0 || wire_agent_name_ok(b.data, b.len);
	case SERVICE8:
		return b.len == 0 || wire_service_name_ok(b.data, b.len);
	case BYTES16:
		return true;
	default:
		return wire_text_ok(b);
	}
}

static bool services_ok(const struct wire_message *m)
{
	if (m->publish.count > WIRE_SERVICES_MAX)
		return false;
	for (size_t i = 0; i < m->publish.count; i++) {
		struct wire_bytes s = m->publish.services[i];

		if (!wire_service_name_ok(s.data, s.len))
			return false;
	}
	return true;
}

static bool revocations_ok(const struct wire_revocations *r)
{
	if (r->flags & ~WIRE_REVOKED_FLAGS || r->count > WIRE_REVOKED_MAX)
		return false;
	for (size_t i = 0; i < r->count; i++)
		if (!wire_revocation_ok((enum wire_revocation_kind)r->items[i].kind,
					r->items[i].value) ||
		    r->items[i].before > INT64_MAX)
			return false;
	return true;
}

static bool candidates_ok(const struct wire_candidates *c)
{
	if (c->count > WIRE_CANDIDATES_MAX)
		return false;
	for (size_t i = 0; i < c->count; i++) {
		struct wire_bytes item = c->items[i];

		if (item.len <= 4 || item.len > WIRE_ADDRESS_MAX || !wire_text_ok(item) ||
		    (memcmp(item.data, "tcp:", 4) != 0 && memcmp(item.data, "udp:", 4) != 0))
			return false;
	}
	return true;
}

static bool extension_known(enum wire_type type, uint16_t id)
{
	switch (id) {
#define X(number, name, messages)                                                                  \
	case number:                                                                               \
		return (messages) >> type & 1;
		WIRE_EXTENSIONS(X)
#undef X
	default:
		return false;
	}
}

static uint16_t first_unknown(const struct wire_message *m)
{
	for (size_t i = 0; i < m->extensions.count; i++) {
		uint16_t id = m->extensions.items[i].id;

		if (id >= WIRE_EXTENSION_CRITICAL && !extension_known(m->type, id))
			return id;
	}
	return 0;
}

/* Few enough for every pair to be compared. */
static bool extensions_ok(const struct wire_extensions *e, size_t max)
{
	size_t bytes = 0;

	if (e->count > WIRE_EXTENSIONS_MAX)
		return false;
	for (size_t i = 0; i < e->count; i++) {
		if (e->items[i].value.len > max)
			return false;
		bytes += 4 + e->items[i].value.len;
		for (size_t j = 0; j < i; j++)
			if (e->items[i].id == e->items[j].id)
				return false;
	}
	return bytes <= max;
}

static bool field_ok(const struct field *f, const struct wire_message *m)
{
	const void *at = (const uint8_t *)m + f->offset;

	switch (f->kind) {
	case FLAGS8:
		return (*(const uint8_t *)at & ~f->max) == 0;
	case KIND8:
		return *(const enum wire_offer_kind *)at <= f->max;
	case REASON16:
		return *(const uint16_t *)at >= f->min && *(const uint16_t *)at < REASON_WIRE_END;
	case UINT16:
	case UINT32:
	case UINT64:
	case SECRET:
		return true;
	case TEXT8:
	case TEXT16:
	case BYTES16:
	case AGENT8:
	case SERVICE8:
		return string_ok(f, *(const struct wire_bytes *)at);
	case SERVICES:
		return services_ok(m);
	case REVOCATIONS:
		return revocations_ok(at);
	case CANDIDATES:
		return candidates_ok(at);
	case EXTENSIONS:
		return extensions_ok(at, f->max);
	}
	return false;
}

/* What no single field can tell. */
static bool message_ok(const struct wire_message *m)
{
	if (m->type == WIRE_OFFER)
		return (m->offer.kind == WIRE_OFFER_PUBLIC) == (m->offer.from.len == 0);
	return true;
}

/* ---- bytes to structs ---- */

static bool get_string(CBS *body, bool wide, struct wire_bytes *out)
{
	CBS s;

	if (!(wide ? CBS_get_u16_length_prefixed(body, &s) : CBS_get_u8_length_prefixed(body, &s)))
		return false;
	*out = (struct wire_bytes){CBS_data(&s), CBS_len(&s)};
	return true;
}

static bool get_services(CBS *body, struct wire_message *m)
{
	uint16_t count;

	if (!CBS_get_u16(body, &count) || count > WIRE_SERVICES_MAX)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!get_string(body, false, &m->publish.services[i]))
			return false;
	m->publish.count = count;
	return true;
}

static bool get_revocations(CBS *body, struct wire_revocations *out)
{
	uint16_t count;

	if (!CBS_get_u8(body, &out->flags) || !CBS_get_u16(body, &count) ||
	    count > WIRE_REVOKED_MAX)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!CBS_get_u8(body, &out->items[i].kind) ||
		    !get_string(body, false, &out->items[i].value) ||
		    !CBS_get_u64(body, &out->items[i].before))
			return false;
	out->count = count;
	return true;
}

static bool get_candidates(CBS *body, struct wire_candidates *out)
{
	uint8_t count;

	if (!CBS_get_u8(body, &count) || count > WIRE_CANDIDATES_MAX)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!get_string(body, false, &out->items[i]))
			return false;
	out->count = count;
	return true;
}

static bool get_extensions(CBS *body, struct wire_extensions *out)
{
	uint8_t count;

	if (!CBS_get_u8(body, &count) || count > WIRE_EXTENSIONS_MAX)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!CBS_get_u16(body, &out->items[i].id) ||
		    !get_string(body, true, &out->items[i].value))
			return false;
	out->count = count;
	return true;
}

static bool get_kind(CBS *body, enum wire_offer_kind *out)
{
	uint8_t kind;

	if (!CBS_get_u8(body, &kind))
		return false;
	*out = (enum wire_offer_kind)kind;
	return true;
}

static bool get_field(CBS *body, const struct field *f, struct wire_message *m)
{
	void *at = (uint8_t *)m + f->offset;

	switch (f->kind) {
	case FLAGS8:
		return CBS_get_u8(body, at);
	case KIND8:
		return get_kind(body, at);
	case UINT16:
	case REASON16:
		return CBS_get_u16(body, at);
	case UINT32:
		return CBS_get_u32(body, at);
	case UINT64:
		return CBS_get_u64(body, at);
	case SECRET:
		return CBS_copy_bytes(body, at, WIRE_SECRET_BYTES);
	case TEXT8:
	case AGENT8:
	case SERVICE8:
		return get_string(body, false, at);
	case TEXT16:
	case BYTES16:
		return get_string(body, true, at);
	case SERVICES:
		return get_services(body, m);
	case REVOCATIONS:
		return get_revocations(body, at);
	case CANDIDATES:
		return get_candidates(body, at);
	case EXTENSIONS:
		return get_extensions(body, at);
	}
	return false;
}

static bool type_known(unsigned type)
{
	switch (type) {
#define X(number, name) case number:
		WIRE_MESSAGES(X)
#undef X
		return true;
	default:
		return false;
	}
}

enum wire_status wire_decode(const uint8_t *in, size_t len, struct wire_message *out, size_t *used)
{
	struct wire_message m;
	CBS cbs, body;
	uint8_t version, type;
	uint16_t length;

	CBS_init(&cbs, in, len);
	if (!CBS_get_u8(&cbs, &version))
		return WIRE_SHORT;
	if (version != WIRE_VERSION)
		return WIRE_BAD_VERSION;
	if (!CBS_get_u8(&cbs, &type))
		return WIRE_SHORT;
	if (!type_known(type))
		return WIRE_MALFORMED;
	if (!CBS_get_u16(&cbs, &length))
		return WIRE_SHORT;
	if (length > WIRE_BODY_MAX)
		return WIRE_MALFORMED;
	if (!CBS_get_bytes(&cbs, &body, length))
		return WIRE_SHORT;

	memset(&m, 0, sizeof(m));
	m.type = (enum wire_type)type;
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (fields[i].type == m.type &&
		    (!get_field(&body, &fields[i], &m) || !field_ok(&fields[i], &m)))
			return WIRE_MALFORMED;
	if (CBS_len(&body) != 0 || !message_ok(&m))
		return WIRE_MALFORMED;
	m.extensions.unknown = first_unknown(&m);
	*out = m;
	*used = WIRE_HEADER_BYTES + length;
	return m.extensions.unknown ? WIRE_UNKNOWN_EXTENSION : WIRE_OK;
}

/* ---- structs to bytes ---- */

static bool put_string(CBB *body, bool wide, struct wire_bytes b)
{
	CBB s;

	return (wide ? CBB_add_u16_length_prefixed(body, &s)
		     : CBB_add_u8_length_prefixed(body, &s)) &&
	       CBB_add_bytes(&s, b.data, b.len) && CBB_flush(body);
}

static bool put_services(CBB *body, const struct wire_message *m)
{
	if (!CBB_add_u16(body, (uint16_t)m->publish.count))
		return false;
	for (size_t i = 0; i < m->publish.count; i++)
		if (!put_string(body, false, m->publish.services[i]))
			return false;
	return true;
}

static bool put_revocations(CBB *body, const struct wire_revocations *r)
{
	if (!CBB_add_u8(body, r->flags) || !CBB_add_u16(body, (uint16_t)r->count))
		return false;
	for (size_t i = 0; i < r->count; i++)
		if (!CBB_add_u8(body, r->items[i].kind) ||
		    !put_string(body, false, r->items[i].value) ||
		    !CBB_add_u64(body, r->items[i].before))
			return false;
	return true;
}

static bool put_candidates(CBB *body, const struct wire_candidates *c)
{
	if (!CBB_add_u8(body, (uint8_t)c->count))
		return false;
	for (size_t i = 0; i < c->count; i++)
		if (!put_string(body, false, c->items[i]))
			return false;
	return true;
}

static bool put_extensions(CBB *body, const struct wire_extensions *e)
{
	if (!CBB_add_u8(body, (uint8_t)e->count))
		return false;
	for (size_t i = 0; i < e->count; i++)
		if (!CBB_add_u16(body, e->items[i].id) ||
		    !put_string(body, true, e->items[i].value))
			return false;
	return true;
}

static bool put_field(CBB *body, const struct field *f, const struct wire_message *m)
{
	const void *at = (const uint8_t *)m + f->offset;

	switch (f->kind) {
	case FLAGS8:
		return CBB_add_u8(body, *(const uint8_t *)at);
	case KIND8:
		return CBB_add_u8(body, (uint8_t) * (const enum wire_offer_kind *)at);
	case UINT16:
	case REASON16:
		return CBB_add_u16(body, *(const uint16_t *)at);
	case UINT32:
		return CBB_add_u32(body, *(const uint32_t *)at);
	case UINT64:
		return CBB_add_u64(body, *(const uint64_t *)at);
	case SECRET:
		return CBB_add_bytes(body, at, WIRE_SECRET_BYTES);
	case TEXT8:
	case AGENT8:
	case SERVICE8:
		return put_string(body, false, *(const struct wire_bytes *)at);
	case TEXT16:
	case BYTES16:
		return put_string(body, true, *(const struct wire_bytes *)at);
	case SERVICES:
		return put_services(body, m);
	case REVOCATIONS:
		return put_revocations(body, at);
	case CANDIDATES:
		return put_candidates(body, at);
	case EXTENSIONS:
		return put_extensions(body, at);
	}
	return false;
}

static bool put_message(CBB *cbb, const struct wire_message *m)
{
	CBB body;

	if (!CBB_add_u8(cbb, WIRE_VERSION) || !CBB_add_u8(cbb, (uint8_t)m->type) ||
	    !CBB_add_u16_length_prefixed(cbb, &body))
		return false;
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (fields[i].type == m->type &&
		    (!field_ok(&fields[i], m) || !put_field(&body, &fields[i], m)))
			return false;
	/* the flush also lets go of body, which ends here */
	return message_ok(m) && CBB_len(&body) <= WIRE_BODY_MAX && CBB_flush(cbb);
}

size_t wire_encode(const struct wire_message *m, uint8_t *out, size_t room)
{
	CBB cbb;
	size_t len = 0;

	if (!type_known(m->type) || (m->extensions.count > 0 && !wire_type_extends(m->type)) ||
	    m->extensions.count > WIRE_EXTENSIONS_MAX || first_unknown(m))
		return 0;
	if (!CBB_init_fixed(&cbb, out, room))
		return 0;
	if (!put_message(&cbb, m) || !CBB_finish(&cbb, NULL, &len))
		len = 0;
	CBB_cleanup(&cbb);
	return len;
}

/* ---- small helpers ---- */

const char *wire_type_name(unsigned type)
{
	switch (type) {
#define X(number, name)                                                                            \
	case number:                                                                               \
		return #name;
		WIRE_MESSAGES(X)
#undef X
	default:
		return "UNKNOWN";
	}
}

bool wire_type_extends(enum wire_type type)
{
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (fields[i].type == type && fields[i].kind == EXTENSIONS)
			return true;
	return false;
}

bool wire_extension_add(struct wire_message *m, uint16_t id, struct wire_bytes value)
{
	struct wire_extensions *e = &m->extensions;

	if (e->count >= WIRE_EXTENSIONS_MAX)
		return false;
	e->items[e->count++] = (struct wire_extension){id, value};
	return true;
}

void wire_pad(struct wire_message *m, uint64_t number)
{
	static const uint8_t zeros[WIRE_PAD_MAX];

	m->extensions.items[0].id = WIRE_EXTENSION_PAD;
	m->extensions.items[0].value = (struct wire_bytes){zeros, number % (WIRE_PAD_MAX + 1)};
	m->extensions.count = 1;
}

bool wire_extension_get(const struct wire_message *m, uint16_t id, struct wire_bytes *value)
{
	for (size_t i = 0; i < m->extensions.count; i++)
		if (m->extensions.items[i].id == id) {
			*value = m->extensions.items[i].value;
			return true;
		}
	return false;
}

void wire_explain_extension(const struct wire_message *m, const char *who,
			    char out[WIRE_EXTENSION_TEXT_MAX])
{
	snprintf(out, WIRE_EXTENSION_TEXT_MAX, "%s does not know extension 0x%04x of %s; update it",
		 who, m->extensions.unknown, wire_type_name(m->type));
}

static bool hex_ok(struct wire_bytes b, size_t least, size_t most)
{
	if (b.len % 2 != 0 || b.len < least || b.len > most)
		return false;
	for (size_t i = 0; i < b.len; i++) {
		uint8_t digit;

		if (!hex_digit(b.data[i], &digit))
			return false;
	}
	return true;
}

bool wire_revocation_ok(enum wire_revocation_kind kind, struct wire_bytes value)
{
	switch (kind) {
	case WIRE_REVOKED_NAME:
		return wire_agent_name_ok(value.data, value.len);
	case WIRE_REVOKED_SERIAL:
		return hex_ok(value, 2, 46);
	case WIRE_REVOKED_KEY:
		return hex_ok(value, 64, 64);
	}
	return false;
}

bool wire_split_target(const char *text, char agent[WIRE_NAME_MAX + 1],
		       char service[WIRE_NAME_MAX + 1])
{
	const char *slash = strchr(text, '/');
	struct wire_bytes left, right;

	if (!slash)
		return false;
	left = (struct wire_bytes){(const uint8_t *)text, (size_t)(slash - text)};
	right = wire_text(slash + 1);
	if (!wire_agent_name_ok(left.data, left.len) ||
	    !wire_service_name_ok(right.data, right.len))
		return false;
	wire_bytes_copy(left, agent, WIRE_NAME_MAX + 1);
	wire_bytes_copy(right, service, WIRE_NAME_MAX + 1);
	return true;
}

bool wire_bytes_equal(struct wire_bytes a, struct wire_bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

void wire_bytes_copy(struct wire_bytes b, char *out, size_t room)
{
	size_t n = b.len;

	if (n >= room) {
		n = room - 1;
		while (n > 0 && (b.data[n] & 0xc0) == 0x80)
			n--;
	}
	if (n > 0)
		memcpy(out, b.data, n);
	out[n] = 0;
}
