/* SPDX-License-Identifier: Apache-2.0 */
/*
 * revocation_fuzz: any bytes as a signed revocation. What decodes is written to the same bytes, and
 * what is signed of it is all but its signature.
 * links: core/parse/revocation.c core/parse/wire.c
 */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "core/parse/revocation.h"
#include "fuzz/prefix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_fields(const struct signed_revocation *r, size_t len)
{
	assert(r->verb == REVOCATION_REVOKE || r->verb == REVOCATION_TAKE_BACK);
	assert(wire_revocation_ok(r->kind, r->value));
	assert((r->kind == WIRE_REVOKED_NAME) == (r->before > 0));
	assert(r->before <= r->issued + REVOCATION_AHEAD_S);
	assert(r->counter > 0 && r->counter / 1000 <= r->issued);
	assert(r->keep_until > r->issued && r->keep_until <= r->issued + REVOCATION_KEPT_MAX_S);
	assert(r->note.len <= REVOCATION_NOTE_MAX && wire_text_ok(r->note));
	assert(r->certificate.len > 0 && r->signature.len > 0);
	assert(r->body.len + 2 + r->signature.len == len && len <= REVOCATION_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t again[REVOCATION_MAX + sizeof(REVOCATION_LABEL)];
	uint8_t *copy = malloc(len ? len : 1);
	struct signed_revocation r;
	size_t label = sizeof(REVOCATION_LABEL);

	assert(copy);
	memcpy(copy, data, len);
	memset(&r, 0xa5, sizeof(r));
	if (!revocation_decode(copy, len, &r)) {
		assert(fuzz_untouched(&r, sizeof(r)));
		free(copy);
		return 0;
	}
	check_fields(&r, len);
	assert(revocation_encode(&r, again, sizeof(again)) == len);
	assert(memcmp(again, data, len) == 0);
	assert(revocation_encode(&r, again, len - 1) == 0);
	assert(revocation_text(&r, again, REVOCATION_TEXT_MAX) == label + r.body.len);
	assert(memcmp(again, REVOCATION_LABEL, label) == 0);
	assert(memcmp(again + label, data, r.body.len) == 0);
	/* It is one whole object: neither less nor more of it is one. */
	assert(!revocation_decode(copy, len - 1, &r));
	free(copy);
	return 0;
}
