/* SPDX-License-Identifier: Apache-2.0 */
/* signed_told: signed revocations as JSON. */
#include "core/engine/signed_told.h"

#include <stdio.h>

#include "core/container.h"
#include "core/utc.h"

const char *signed_by_text(const struct signed_entry *e, char out[SIGNED_BY_BYTES])
{
	snprintf(out, SIGNED_BY_BYTES, "%s%s",
		 e->signer.is_ca ? "the CA" : "console:", e->signer.peer.name);
	return out;
}

json_t *signed_entry_json(const struct signed_entry *e)
{
	char text[UTC_TEXT_BYTES], by[SIGNED_BY_BYTES];
	json_t *one = json_pack("{s:s, s:b, s:s, s:I}", revocation_word(e->what.kind),
				e->revokes.value, "revoked", signed_entry_revokes(e), "by",
				signed_by_text(e, by), "counter", (json_int_t)e->what.counter);

	if (e->what.before > 0)
		json_object_set_new(one, "before",
				    json_string(utc_text((time_t)e->what.before, text)));
	json_object_set_new(one, "issued", json_string(utc_text((time_t)e->what.issued, text)));
	json_object_set_new(one, "until", json_string(utc_text((time_t)e->what.keep_until, text)));
	if (e->what.note.len > 0)
		json_object_set_new(
			one, "note",
			json_stringn((const char *)e->what.note.data, e->what.note.len));
	return one;
}

json_t *signed_table_json(const struct signed_revocations *all, uint64_t refused)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "used", (json_int_t)all->count, "most",
			 (json_int_t)REVOCATIONS_SIGNED_MAX, "aside", (json_int_t)all->aside_count,
			 "refused", (json_int_t)refused);
}

/* ---- what counts no more, or again ---- */

static void signed_note(struct signed_listener *l, const struct signed_entry *e, bool counts)
{
	struct signed_told *t = container(l, struct signed_told, listener);
	struct signed_changes *c = counts ? &t->restored : &t->lapsed;
	bool name = e->what.kind == WIRE_REVOKED_NAME;

	c->count++;
	if (!c->names)
		c->names = json_array();
	if (json_array_size(c->names) < SIGNED_TOLD_NAMES)
		json_array_append_new(c->names,
				      json_sprintf("%s%s%s%s",
						   name ? "" : revocation_word(e->what.kind),
						   name ? "" : " ", e->revokes.value,
						   signed_entry_revokes(e) ? "" : " (taken back)"));
}

void signed_told_open(struct signed_told *t)
{
	*t = (struct signed_told){.listener.changed = signed_note};
}

void signed_told_free(struct signed_told *t)
{
	json_decref(t->lapsed.names);
	json_decref(t->restored.names);
	signed_told_open(t);
}

void signed_told_waiting(struct signed_told *t, const struct signed_revocations *all)
{
	for (size_t i = 0; i < all->aside_count; i++)
		if (signed_revocations_waits(all, all->aside[i]))
			signed_note(&t->listener, all->aside[i], false);
}

json_t *signed_told_event(const struct signed_told *t, bool counts, enum signed_cause cause)
{
	static const char *const texts[][2] = {
		[SIGNED_BY_OTHER_CAS] =
			{"they revoke nothing any more: no CA in identity.ca vouches for who "
			 "signed them; sign again what is to stay, with a console of a CA that is "
			 "there: 'postern --as CONSOLE revoke'",
			 "they count again: a CA in identity.ca vouches for who signed them, and "
			 "for "
			 "none that has said otherwise since"},
		[SIGNED_BY_A_THIEF] =
			{"they count no more: the CA's own key has revoked the console that signed "
			 "them; sign again what is to stay, with another console: 'postern --as "
			 "CONSOLE revoke'",
			 "they count again: the CA's own key has revoked the console whose word "
			 "had "
			 "taken their place"},
	};
	const struct signed_changes *c = counts ? &t->restored : &t->lapsed;

	if (c->count == 0)
		return NULL;
	return json_pack("{s:I, s:O, s:s}", "count", (json_int_t)c->count, "what", c->names, "text",
			 texts[cause][counts]);
}
