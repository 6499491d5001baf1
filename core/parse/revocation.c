/* SPDX-License-Identifier: Apache-2.0 */
/*
 * revocation: reads and writes signed revocations.
 *
 * u8 version, u8 verb, u8 kind, text8 value, u64 before, u64 counter, u64 issued, u64 keep-until,
 * text8 note, bytes16 certificate; then bytes16 signature, of all that stands before it.
 */
#include "core/parse/revocation.h"

#include <string.h>
#include <openssl/bytestring.h>

static bool subject_ok(const struct signed_revocation *r)
{
	if (r->verb != REVOCATION_REVOKE && r->verb != REVOCATION_TAKE_BACK)
		return false;
	if (!wire_revocation_ok(r->kind, r->value))
		return false;
	/* A name can be issued again: only what has been issued is revoked. */
	if (r->kind != WIRE_REVOKED_NAME)
		return r->before == 0;
	return r->before > 0 && r->before <= r->issued + REVOCATION_AHEAD_S;
}

static bool numbers_ok(const struct signed_revocation *r)
{
	return r->issued > 0 && r->issued <= REVOCATION_TIME_MAX && r->counter > 0 &&
	       r->counter <= revocation_counter_max(r->issued) && r->keep_until > r->issued &&
	       r->keep_until - r->issued <= REVOCATION_KEPT_MAX_S;
}

static bool revocation_ok(const struct signed_revocation *r)
{
	return numbers_ok(r) && subject_ok(r) && r->note.len <= REVOCATION_NOTE_MAX &&
	       wire_text_ok(r->note) && r->certificate.len > 0 &&
	       r->certificate.len <= REVOCATION_CERT_MAX;
}

static bool signature_ok(const struct signed_revocation *r)
{
	return r->signature.len > 0 && r->signature.len <= WIRE_SIGNATURE_MAX;
}

static bool get_bytes(CBS *in, bool wide, struct wire_bytes *out)
{
	CBS s;

	if (!(wide ? CBS_get_u16_length_prefixed(in, &s) : CBS_get_u8_length_prefixed(in, &s)))
		return false;
	*out = (struct wire_bytes){CBS_data(&s), CBS_len(&s)};
	return true;
}

bool revocation_decode(const uint8_t *in, size_t len, struct signed_revocation *out)
{
	struct signed_revocation r = {.counter = 0};
	uint8_t version, verb, kind;
	CBS all;

	CBS_init(&all, in, len);
	if (!CBS_get_u8(&all, &version) || version != REVOCATION_VERSION ||
	    !CBS_get_u8(&all, &verb) || !CBS_get_u8(&all, &kind) ||
	    !get_bytes(&all, false, &r.value) || !CBS_get_u64(&all, &r.before) ||
	    !CBS_get_u64(&all, &r.counter) || !CBS_get_u64(&all, &r.issued) ||
	    !CBS_get_u64(&all, &r.keep_until) || !get_bytes(&all, false, &r.note) ||
	    !get_bytes(&all, true, &r.certificate))
		return false;
	r.verb = (enum revocation_verb)verb;
	r.kind = (enum wire_revocation_kind)kind;
	r.body = (struct wire_bytes){in, len - CBS_len(&all)};
	if (!get_bytes(&all, true, &r.signature) || CBS_len(&all) != 0 || !revocation_ok(&r) ||
	    !signature_ok(&r))
		return false;
	*out = r;
	return true;
}

static bool put_body(CBB *out, const struct signed_revocation *r)
{
	CBB value, note, certificate;

	return CBB_add_u8(out, REVOCATION_VERSION) && CBB_add_u8(out, (uint8_t)r->verb) &&
	       CBB_add_u8(out, (uint8_t)r->kind) && CBB_add_u8_length_prefixed(out, &value) &&
	       CBB_add_bytes(&value, r->value.data, r->value.len) && CBB_flush(out) &&
	       CBB_add_u64(out, r->before) && CBB_add_u64(out, r->counter) &&
	       CBB_add_u64(out, r->issued) && CBB_add_u64(out, r->keep_until) &&
	       CBB_add_u8_length_prefixed(out, &note) &&
	       CBB_add_bytes(&note, r->note.data, r->note.len) && CBB_flush(out) &&
	       CBB_add_u16_length_prefixed(out, &certificate) &&
	       CBB_add_bytes(&certificate, r->certificate.data, r->certificate.len) &&
	       CBB_flush(out);
}

static bool put_signature(CBB *out, const struct signed_revocation *r)
{
	CBB signature;

	return CBB_add_u16_length_prefixed(out, &signature) &&
	       CBB_add_bytes(&signature, r->signature.data, r->signature.len) && CBB_flush(out);
}

size_t revocation_text(const struct signed_revocation *r, uint8_t *out, size_t room)
{
	size_t len = 0;
	CBB cbb;

	if (!revocation_ok(r) || !CBB_init_fixed(&cbb, out, room))
		return 0;
	if (!CBB_add_bytes(&cbb, (const uint8_t *)REVOCATION_LABEL, sizeof(REVOCATION_LABEL)) ||
	    !put_body(&cbb, r) || !CBB_finish(&cbb, NULL, &len))
		len = 0;
	CBB_cleanup(&cbb);
	return len;
}

size_t revocation_encode(const struct signed_revocation *r, uint8_t *out, size_t room)
{
	size_t len = 0;
	CBB cbb;

	if (!revocation_ok(r) || !signature_ok(r) || !CBB_init_fixed(&cbb, out, room))
		return 0;
	if (!put_body(&cbb, r) || !put_signature(&cbb, r) || !CBB_finish(&cbb, NULL, &len))
		len = 0;
	CBB_cleanup(&cbb);
	return len;
}
