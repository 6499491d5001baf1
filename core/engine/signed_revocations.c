/* SPDX-License-Identifier: Apache-2.0 */
/* signed_revocations: judges objects that are told, and keeps the newest of each subject. */
#include "core/engine/signed_revocations.h"

#include <stdlib.h>
#include <string.h>

#include "core/engine/entitled.h"

#define FIRST_ROOM 16u

/* ---- entries ---- */

/* what was decoded from bytes. NULL without memory. */
static struct signed_entry *entry_new(const uint8_t *bytes, size_t len,
				      const struct revocation_signer *signer)
{
	struct signed_entry *e = calloc(1, sizeof(*e) + len);

	if (!e)
		return NULL;
	e->refs = 1;
	e->len = len;
	memcpy(e->bytes, bytes, len);
	e->signer = *signer;
	if (!revocation_decode(e->bytes, len, &e->what)) {
		free(e);
		return NULL;
	}
	e->revokes.kind = e->what.kind;
	e->revokes.before = (int64_t)e->what.before;
	wire_bytes_copy(e->what.value, e->revokes.value, sizeof(e->revokes.value));
	return e;
}

static void entry_release(struct signed_entry *e)
{
	if (e && atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1)
		free(e);
}

/* ---- the table ---- */

void signed_revocations_free(struct signed_revocations *all)
{
	for (size_t i = 0; i < all->count; i++)
		entry_release(all->entries[i]);
	free(all->entries);
	revocations_free(&all->list);
	*all = (struct signed_revocations){0};
}

static bool list_afresh(struct signed_revocations *all)
{
	struct revocations list = {0};

	for (size_t i = 0; i < all->count; i++)
		if (signed_entry_revokes(all->entries[i]) &&
		    !revocations_add(&list, &all->entries[i]->revokes)) {
			revocations_free(&list);
			return false;
		}
	revocations_finish(&list);
	revocations_free(&all->list);
	all->list = list;
	return true;
}

bool signed_revocations_copy(const struct signed_revocations *all, struct signed_revocations *out)
{
	struct signed_revocations copy = {.last = all->last};

	if (all->count > 0) {
		copy.entries = calloc(all->count, sizeof(struct signed_entry *));
		if (!copy.entries)
			return false;
		copy.room = all->count;
	}
	for (; copy.count < all->count; copy.count++) {
		copy.entries[copy.count] = all->entries[copy.count];
		atomic_fetch_add_explicit(&copy.entries[copy.count]->refs, 1, memory_order_relaxed);
	}
	if (!list_afresh(&copy)) {
		signed_revocations_free(&copy);
		return false;
	}
	*out = copy;
	return true;
}

static bool same_subject(const struct signed_entry *e, enum wire_revocation_kind kind,
			 const char *value)
{
	return e->what.kind == kind && strcmp(e->revokes.value, value) == 0;
}

const struct signed_entry *signed_revocations_find(const struct signed_revocations *all,
						   enum wire_revocation_kind kind,
						   const char *value)
{
	for (size_t i = 0; i < all->count; i++)
		if (same_subject(all->entries[i], kind, value))
			return all->entries[i];
	return NULL;
}

static void drop_at(struct signed_revocations *all, size_t at)
{
	entry_release(all->entries[at]);
	all->count--;
	memmove(all->entries + at, all->entries + at + 1,
		(all->count - at) * sizeof(struct signed_entry *));
}

static void drop_subject(struct signed_revocations *all, const struct revocation *r)
{
	for (size_t i = 0; i < all->count; i++)
		if (same_subject(all->entries[i], r->kind, r->value)) {
			drop_at(all, i);
			return;
		}
}

static bool grow(struct signed_revocations *all)
{
	size_t room = all->room ? 2 * all->room : FIRST_ROOM;
	struct signed_entry **entries;

	if (all->count < all->room)
		return true;
	entries = realloc(all->entries, room * sizeof(*entries));
	if (!entries)
		return false;
	all->entries = entries;
	all->room = room;
	return true;
}

/* In the place of the one with its subject. There is room. */
static void put(struct signed_revocations *all, struct signed_entry *e)
{
	drop_subject(all, &e->revokes);
	e->number = ++all->last;
	all->entries[all->count++] = e;
}

/* ---- judging ---- */

/* Whether a counts rather than b, of the same subject. Two with one counter: what revokes more. */
static bool is_newer(const struct signed_revocation *a, const struct signed_revocation *b)
{
	if (a->counter != b->counter)
		return a->counter > b->counter;
	if (a->verb != b->verb)
		return a->verb == REVOCATION_REVOKE;
	return a->before > b->before;
}

/* Whether fresh lets in what known does not, or sooner. */
static bool revokes_less(const struct signed_revocation *fresh, const struct signed_entry *known)
{
	return fresh->verb == REVOCATION_TAKE_BACK ||
	       (known && signed_entry_revokes(known) &&
		(fresh->before < known->what.before || fresh->keep_until < known->what.keep_until));
}

/* A console that is good now, or a CA that is. */
static enum revocation_outcome judge_good_now(const struct signed_revocations *all,
					      const struct identity *id,
					      const struct revocation_signer *signer, time_t now)
{
	const struct credential own = {.peer = signer->peer};
	const struct entitled_proof proof = {.own = &own};
	const struct entitled_rules rules = {.anchors = identity_anchors(id),
					     .revoked = &all->list};

	if (signer->is_ca)
		return now < signer->peer.not_after ? REVOCATION_TAKEN : REVOCATION_SIGNER_ENDED;
	switch (entitled(&proof, &rules, now).reason) {
	case REASON_OK:
		return REVOCATION_TAKEN;
	case REASON_REVOKED:
		return REVOCATION_SIGNER_REVOKED;
	default:
		return REVOCATION_SIGNER_ENDED;
	}
}

/* A console that was revoked before it issued this. */
static bool revoked_before(const struct signed_revocations *all,
			   const struct revocation_signer *signer, uint64_t issued)
{
	if (signer->is_ca || !revocations_cover(&all->list, &signer->peer))
		return false;
	for (size_t i = 0; i < all->count; i++) {
		struct signed_entry *e = all->entries[i];
		const struct revocations one = {.list = &e->revokes, .count = 1};

		if (signed_entry_revokes(e) && e->what.issued < issued &&
		    revocations_cover(&one, &signer->peer))
			return true;
	}
	return false;
}

static enum revocation_outcome judge_signer(const struct signed_revocations *all,
					    const struct identity *id,
					    const struct signed_revocation *r,
					    const struct signed_entry *known,
					    const struct revocation_signer *signer, time_t now)
{
	if (revokes_less(r, known))
		return judge_good_now(all, id, signer, now);
	return revoked_before(all, signer, r->issued) ? REVOCATION_SIGNER_REVOKED
						      : REVOCATION_TAKEN;
}

static size_t count_signed_by(const struct signed_revocations *all,
			      const struct revocation_signer *signer)
{
	size_t count = 0;

	for (size_t i = 0; i < all->count; i++)
		count += memcmp(all->entries[i]->signer.peer.key, signer->peer.key,
				IDENTITY_KEY_BYTES) == 0;
	return count;
}

/* A place for one more of this signer's, where what is over gives way. */
static bool has_place(struct signed_revocations *all, const struct revocation_signer *signer,
		      time_t now)
{
	size_t most = signer->is_ca ? REVOCATIONS_SIGNED_MAX : SIGNED_REVOCATIONS_OF_ONE;

	if (all->count < REVOCATIONS_SIGNED_MAX && count_signed_by(all, signer) < most)
		return true;
	for (size_t i = all->count; i-- > 0;)
		if (all->entries[i]->what.keep_until <= (uint64_t)now)
			drop_at(all, i);
	return all->count < REVOCATIONS_SIGNED_MAX && count_signed_by(all, signer) < most;
}

/* What is known of r's subject; NULL: nothing. */
static const struct signed_entry *known_of(const struct signed_revocations *all,
					   const struct signed_revocation *r)
{
	char value[WIRE_REVOCATION_MAX + 1];

	wire_bytes_copy(r->value, value, sizeof(value));
	return signed_revocations_find(all, r->kind, value);
}

enum revocation_outcome signed_revocations_take(struct signed_revocations *all,
						const struct identity *id, const uint8_t *bytes,
						size_t len, time_t now)
{
	const struct signed_entry *known;
	enum revocation_outcome outcome;
	struct revocation_signer signer;
	struct signed_revocation r;
	struct signed_entry *e;

	if (!revocation_decode(bytes, len, &r))
		return REVOCATION_UNREADABLE;
	known = known_of(all, &r);
	if (known && known->len == len && memcmp(known->bytes, bytes, len) == 0)
		return REVOCATION_KNOWN;
	if (known && !is_newer(&r, &known->what))
		return REVOCATION_OLDER;
	if (r.issued > (uint64_t)now + REVOCATION_AHEAD_S)
		return REVOCATION_AHEAD;
	if (r.keep_until <= (uint64_t)now)
		return REVOCATION_OVER;
	outcome = identity_verify_revocation(id, &r, &signer);
	if (outcome == REVOCATION_TAKEN)
		outcome = judge_signer(all, id, &r, known, &signer, now);
	if (outcome != REVOCATION_TAKEN)
		return outcome;
	if (!known && !has_place(all, &signer, now))
		return REVOCATION_FULL;
	e = grow(all) ? entry_new(bytes, len, &signer) : NULL;
	if (!e)
		return REVOCATION_NO_MEMORY;
	put(all, e);
	/* Without memory what was revoked stays so; the next one that is taken makes the list. */
	(void)!list_afresh(all);
	return REVOCATION_TAKEN;
}

/* ---- what is kept ---- */

json_t *signed_revocations_keep(const struct signed_revocations *all)
{
	char text[REVOCATION_BASE64_BYTES];
	json_t *kept = json_array();

	for (size_t i = 0; i < all->count; i++) {
		revocation_to_text(all->entries[i]->bytes, all->entries[i]->len, text);
		if (json_array_append_new(kept, json_string(text)) != 0) {
			json_decref(kept);
			return NULL;
		}
	}
	return kept;
}

static bool recall_one(struct signed_revocations *all, const struct identity *id, const char *text)
{
	uint8_t bytes[REVOCATION_MAX];
	size_t len = text ? revocation_of_text(text, bytes) : 0;
	const struct signed_entry *known;
	struct revocation_signer signer;
	struct signed_revocation r;
	struct signed_entry *e;

	if (len == 0 || !revocation_decode(bytes, len, &r) ||
	    identity_verify_revocation(id, &r, &signer) != REVOCATION_TAKEN)
		return false;
	known = known_of(all, &r);
	if (known && !is_newer(&r, &known->what))
		return true;
	if (!known && all->count >= REVOCATIONS_SIGNED_MAX)
		return false;
	e = grow(all) ? entry_new(bytes, len, &signer) : NULL;
	if (!e)
		return false;
	put(all, e);
	return true;
}

size_t signed_revocations_recall(struct signed_revocations *all, const struct identity *id,
				 const json_t *kept)
{
	size_t i, lost = 0;
	json_t *item;

	json_array_foreach(kept, i, item) lost += !recall_one(all, id, json_string_value(item));
	(void)!list_afresh(all);
	return lost;
}
