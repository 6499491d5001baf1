/* SPDX-License-Identifier: Apache-2.0 */
/* signed_revocations: judges objects that are told, and keeps the newest of each subject. */
#include "core/engine/signed_revocations.h"

#include <stdlib.h>
#include <string.h>

#include "core/engine/entitled.h"
#include "core/memory.h"

#define FIRST_ROOM 16u

/* ---- entries ---- */

/* what was decoded from bytes. NULL without memory. */
static struct signed_entry *entry_new(const uint8_t *bytes, size_t len,
				      const struct revocation_signer *signer)
{
	struct signed_entry *e = memory_zeroed(sizeof(*e) + len);

	if (!e)
		return NULL;
	e->refs = 1;
	e->len = len;
	memcpy(e->bytes, bytes, len);
	e->signer = *signer;
	if (!revocation_decode(e->bytes, len, &e->what)) {
		memory_free(e);
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
		memory_free(e);
}

/* Each subject has two places: what a CA's own key says of it, and what consoles do. */
static bool same_place(const struct signed_entry *e, enum wire_revocation_kind kind,
		       const char *value, bool by_ca)
{
	return e->what.kind == kind && e->signer.is_ca == by_ca &&
	       strcmp(e->revokes.value, value) == 0;
}

static bool same_key(const struct revocation_signer *a, const struct revocation_signer *b)
{
	return memcmp(a->peer.key, b->peer.key, IDENTITY_KEY_BYTES) == 0;
}

/* ---- the table ---- */

void signed_revocations_free(struct signed_revocations *all)
{
	for (size_t i = 0; i < all->count; i++)
		entry_release(all->entries[i]);
	for (size_t i = 0; i < all->aside_count; i++)
		entry_release(all->aside[i]);
	memory_free(all->entries);
	memory_free(all->aside);
	revocations_free(&all->list);
	*all = (struct signed_revocations){0};
}

/* What is revoked; by_ca: by CAs' own keys alone. False without memory. */
static bool list_of(const struct signed_revocations *all, bool by_ca, struct revocations *out)
{
	struct revocations list = {0};

	for (size_t i = 0; i < all->count; i++)
		if (signed_entry_revokes(all->entries[i]) &&
		    (!by_ca || all->entries[i]->signer.is_ca) &&
		    !revocations_add(&list, &all->entries[i]->revokes)) {
			revocations_free(&list);
			return false;
		}
	revocations_finish(&list);
	*out = list;
	return true;
}

static bool list_afresh(struct signed_revocations *all)
{
	struct revocations list;

	if (!list_of(all, false, &list))
		return false;
	revocations_free(&all->list);
	all->list = list;
	return true;
}

/* For one more of them in either array. */
static bool grow(struct signed_revocations *all)
{
	size_t room = all->room ? 2 * all->room : FIRST_ROOM;
	struct signed_entry **larger;

	if (all->count + all->aside_count < all->room)
		return true;
	larger = memory_resize(all->entries, room * sizeof(*larger));
	if (!larger)
		return false;
	all->entries = larger;
	larger = memory_resize(all->aside, room * sizeof(*larger));
	if (!larger)
		return false;
	all->aside = larger;
	all->room = room;
	return true;
}

static struct signed_entry *held(struct signed_entry *e)
{
	atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
	return e;
}

bool signed_revocations_copy(const struct signed_revocations *all, struct signed_revocations *out)
{
	struct signed_revocations copy = {.last = all->last};
	size_t room = all->count + all->aside_count;

	if (room > 0) {
		copy.entries = memory_array(room, sizeof(struct signed_entry *));
		copy.aside = memory_array(room, sizeof(struct signed_entry *));
		copy.room = room;
	}
	if (room > 0 && copy.entries && copy.aside) {
		for (; copy.count < all->count; copy.count++)
			copy.entries[copy.count] = held(all->entries[copy.count]);
		for (; copy.aside_count < all->aside_count; copy.aside_count++)
			copy.aside[copy.aside_count] = held(all->aside[copy.aside_count]);
	}
	if (copy.count + copy.aside_count < room || !list_afresh(&copy)) {
		signed_revocations_free(&copy);
		return false;
	}
	*out = copy;
	return true;
}

/* Its index, or all->count: there is none. */
static size_t place_at(const struct signed_revocations *all, enum wire_revocation_kind kind,
		       const char *value, bool by_ca)
{
	size_t i = 0;

	while (i < all->count && !same_place(all->entries[i], kind, value, by_ca))
		i++;
	return i;
}

static const struct signed_entry *in_place(const struct signed_revocations *all,
					   enum wire_revocation_kind kind, const char *value,
					   bool by_ca)
{
	size_t at = place_at(all, kind, value, by_ca);

	return at < all->count ? all->entries[at] : NULL;
}

const struct signed_entry *signed_revocations_find(const struct signed_revocations *all,
						   enum wire_revocation_kind kind,
						   const char *value)
{
	const struct signed_entry *by_ca = in_place(all, kind, value, true),
				  *by_console = in_place(all, kind, value, false);

	return by_ca && (signed_entry_revokes(by_ca) || !by_console) ? by_ca : by_console;
}

static struct signed_entry *take_out(struct signed_entry **list, size_t *count, size_t at)
{
	struct signed_entry *e = list[at];

	(*count)--;
	memmove(list + at, list + at + 1, (*count - at) * sizeof(*list));
	return e;
}

static void drop_at(struct signed_revocations *all, size_t at)
{
	entry_release(take_out(all->entries, &all->count, at));
}

static void drop_aside_at(struct signed_revocations *all, size_t at)
{
	entry_release(take_out(all->aside, &all->aside_count, at));
}

/* Of one signer and subject the last that was put aside is enough. */
static void put_aside(struct signed_revocations *all, size_t at)
{
	struct signed_entry *e = take_out(all->entries, &all->count, at);

	for (size_t i = all->aside_count; i-- > 0;)
		if (same_place(all->aside[i], e->what.kind, e->revokes.value, e->signer.is_ca) &&
		    same_key(&all->aside[i]->signer, &e->signer))
			drop_aside_at(all, i);
	all->aside[all->aside_count++] = e;
}

/* In the place of the one with its subject, which is kept aside if another has signed it: it counts
 * again where the CA revokes this signer. There is room. */
static void put(struct signed_revocations *all, struct signed_entry *e)
{
	size_t at = place_at(all, e->what.kind, e->revokes.value, e->signer.is_ca);
	const struct signed_entry *there = at < all->count ? all->entries[at] : NULL;

	if (there && same_key(&there->signer, &e->signer))
		drop_at(all, at);
	else if (there)
		put_aside(all, at);
	e->number = ++all->last;
	all->entries[all->count++] = e;
}

/* Of a table that alone has e. */
static void make_last(struct signed_revocations *all, struct signed_entry *e)
{
	for (size_t i = 0; i + 1 < all->count; i++)
		if (all->entries[i] == e) {
			(void)take_out(all->entries, &all->count, i);
			e->number = ++all->last;
			all->entries[all->count++] = e;
			return;
		}
}

/* ---- which counts ---- */

/* Whether a counts rather than b, of the same subject. Two with one counter: what revokes more. */
static bool is_newer(const struct signed_revocation *a, const struct signed_revocation *b)
{
	if (a->counter != b->counter)
		return a->counter > b->counter;
	if (a->verb != b->verb)
		return a->verb == REVOCATION_REVOKE;
	return a->before > b->before;
}

/* A console's word, where a CA's own key has said something of the same subject. */
static enum revocation_outcome below_ca(const struct signed_revocation *r,
					const struct signed_entry *ca)
{
	if (ca && !is_newer(r, &ca->what))
		return REVOCATION_OLDER;
	return ca && signed_entry_revokes(ca) && r->verb == REVOCATION_TAKE_BACK ? REVOCATION_BY_CA
										 : REVOCATION_TAKEN;
}

static void tell(struct signed_listener *l, const struct signed_entry *e, bool counts)
{
	if (l)
		l->changed(l, e, counts);
}

/* What consoles have signed that a CA's own key has revoked. */
static void drop_of_thieves(struct signed_revocations *all, struct signed_listener *listener)
{
	struct revocations by_ca;

	if (!list_of(all, true, &by_ca))
		return;
	for (size_t i = all->count; i-- > 0;) {
		const struct signed_entry *e = all->entries[i];

		if (e->signer.is_ca || !revocations_cover(&by_ca, &e->signer.peer))
			continue;
		tell(listener, e, false);
		drop_at(all, i);
	}
	for (size_t i = all->aside_count; i-- > 0;)
		if (!all->aside[i]->signer.is_ca &&
		    revocations_cover(&by_ca, &all->aside[i]->signer.peer))
			drop_aside_at(all, i);
	revocations_free(&by_ca);
}

/* What consoles have said of a subject and a CA's own key has overruled. */
static void overrule(struct signed_revocations *all)
{
	for (size_t i = all->count; i-- > 0;) {
		const struct signed_entry *e = all->entries[i];

		if (!e->signer.is_ca &&
		    below_ca(&e->what, in_place(all, e->what.kind, e->revokes.value, true)) !=
			    REVOCATION_TAKEN)
			put_aside(all, i);
	}
}

static bool verifies(const struct signed_entry *e, const struct identity *id,
		     struct revocation_signer *signer)
{
	return identity_verify_revocation(id, &e->what, signer) == REVOCATION_TAKEN;
}

/* Whether nothing that counts stands before e, which is aside, perhaps of a CA that was not known
 * when it was recalled: *signer. */
static bool comes_back(const struct signed_revocations *all, const struct signed_entry *e,
		       const struct identity *id, struct revocation_signer *signer)
{
	const char *value = e->revokes.value;
	bool by_ca = identity_revocation_of_ca(id, &e->what);
	const struct signed_entry *known = in_place(all, e->what.kind, value, by_ca);

	if (known && !is_newer(&e->what, &known->what))
		return false;
	if (!by_ca &&
	    below_ca(&e->what, in_place(all, e->what.kind, value, true)) != REVOCATION_TAKEN)
		return false;
	return verifies(e, id, signer);
}

/* As entries of their own, for numbers of their own: peers may not know them. */
static void bring_back(struct signed_revocations *all, const struct identity *id,
		       struct signed_listener *listener)
{
	for (size_t i = all->aside_count; i-- > 0;) {
		struct signed_entry *again = NULL;
		struct revocation_signer signer;

		/* What is put meanwhile puts others aside, behind these, or takes some away. */
		if (i < all->aside_count && comes_back(all, all->aside[i], id, &signer))
			again = entry_new(all->aside[i]->bytes, all->aside[i]->len, &signer);
		if (!again)
			continue;
		drop_aside_at(all, i);
		put(all, again);
		tell(listener, again, true);
	}
}

/* After what a CA's own key has signed, or with other CAs. */
static void settle(struct signed_revocations *all, const struct identity *id,
		   struct signed_listener *listener)
{
	drop_of_thieves(all, listener);
	overrule(all);
	bring_back(all, id, listener);
	drop_of_thieves(all, listener); /* what came back may be a CA's */
	overrule(all);
}

void signed_revocations_review(struct signed_revocations *all, const struct identity *id,
			       struct signed_listener *listener)
{
	struct revocation_signer signer;

	for (size_t i = all->count; i-- > 0;)
		if (!verifies(all->entries[i], id, &signer)) {
			tell(listener, all->entries[i], false);
			put_aside(all, i);
		}
	settle(all, id, listener);
	(void)!list_afresh(all);
}

/* ---- judging ---- */

/* Whether fresh lets in what known does not, or sooner. */
static bool revokes_less(const struct signed_revocation *fresh, const struct signed_entry *known)
{
	return known && signed_entry_revokes(known) &&
	       (fresh->before < known->what.before || fresh->keep_until < known->what.keep_until);
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

/* A console that was revoked before it issued this; or whenever that was, by a CA's own key. */
static bool revoked_before(const struct signed_revocations *all,
			   const struct revocation_signer *signer, uint64_t issued)
{
	if (signer->is_ca || !revocations_cover(&all->list, &signer->peer))
		return false;
	for (size_t i = 0; i < all->count; i++) {
		struct signed_entry *e = all->entries[i];
		const struct revocations one = {.list = &e->revokes, .count = 1};

		if (signed_entry_revokes(e) && (e->signer.is_ca || e->what.issued < issued) &&
		    revocations_cover(&one, &signer->peer))
			return true;
	}
	return false;
}

static enum revocation_outcome judge_signer(const struct signed_revocations *all,
					    const struct identity *id, const struct signed_entry *e,
					    time_t now)
{
	const struct signed_entry *by_ca = in_place(all, e->what.kind, e->revokes.value, true),
				  *by_console =
					  in_place(all, e->what.kind, e->revokes.value, false);

	if (e->what.verb == REVOCATION_TAKE_BACK || revokes_less(&e->what, by_console) ||
	    (e->signer.is_ca && revokes_less(&e->what, by_ca)))
		return judge_good_now(all, id, &e->signer, now);
	return revoked_before(all, &e->signer, e->what.issued) ? REVOCATION_SIGNER_REVOKED
							       : REVOCATION_TAKEN;
}

/* ---- places ---- */

/* Whether e ends what some console has signed, which makes room. */
static bool ends_a_console(const struct signed_revocations *all, struct signed_entry *e)
{
	const struct revocations one = {.list = &e->revokes, .count = 1};

	if (!e->signer.is_ca || !signed_entry_revokes(e))
		return false;
	for (size_t i = 0; i < all->count; i++)
		if (!all->entries[i]->signer.is_ca &&
		    revocations_cover(&one, &all->entries[i]->signer.peer))
			return true;
	return false;
}

static enum revocation_outcome place_for(const struct signed_revocations *all,
					 struct signed_entry *e)
{
	size_t own = 0, of_consoles = 0;

	for (size_t i = 0; i < all->count; i++) {
		of_consoles += !all->entries[i]->signer.is_ca;
		own += same_key(&all->entries[i]->signer, &e->signer);
	}
	if (e->signer.is_ca)
		return all->count < REVOCATIONS_SIGNED_MAX || ends_a_console(all, e)
			       ? REVOCATION_TAKEN
			       : REVOCATION_FULL;
	if (own >= SIGNED_REVOCATIONS_OF_ONE)
		return REVOCATION_SHARE;
	return of_consoles < SIGNED_REVOCATIONS_OF_CONSOLES && all->count < REVOCATIONS_SIGNED_MAX
		       ? REVOCATION_TAKEN
		       : REVOCATION_FULL;
}

/* A place for one more, where what is over gives way. */
static enum revocation_outcome make_place(struct signed_revocations *all, struct signed_entry *e,
					  time_t now)
{
	enum revocation_outcome outcome = place_for(all, e);

	if (outcome == REVOCATION_TAKEN)
		return outcome;
	for (size_t i = all->count; i-- > 0;)
		if (all->entries[i]->what.keep_until <= (uint64_t)now)
			drop_at(all, i);
	return place_for(all, e);
}

/* What is aside longest gives way to what counts. */
static void trim_aside(struct signed_revocations *all)
{
	while (all->aside_count > 0 && all->count + all->aside_count > REVOCATIONS_SIGNED_MAX)
		drop_aside_at(all, 0);
}

/* ---- what is told ---- */

static bool is_known(const struct signed_revocations *all, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->entries[i]->len == len && memcmp(all->entries[i]->bytes, bytes, len) == 0)
			return true;
	return false;
}

/* By what it says alone, before a signature is looked at. */
static enum revocation_outcome judge_text(const struct signed_revocations *all,
					  const struct signed_revocation *r, bool by_ca, time_t now)
{
	const struct signed_entry *known;
	enum revocation_outcome below;
	char value[WIRE_REVOCATION_MAX + 1];

	wire_bytes_copy(r->value, value, sizeof(value));
	known = in_place(all, r->kind, value, by_ca);
	if (known && !is_newer(r, &known->what))
		return REVOCATION_OLDER;
	below = by_ca ? REVOCATION_TAKEN : below_ca(r, in_place(all, r->kind, value, true));
	if (below != REVOCATION_TAKEN)
		return below;
	if (r->issued > (uint64_t)now + REVOCATION_AHEAD_S)
		return REVOCATION_AHEAD;
	return r->keep_until <= (uint64_t)now ? REVOCATION_OVER : REVOCATION_TAKEN;
}

enum revocation_outcome signed_revocations_take(struct signed_revocations *all,
						const struct identity *id, const uint8_t *bytes,
						size_t len, time_t now,
						struct signed_listener *listener)
{
	enum revocation_outcome outcome;
	struct revocation_signer signer;
	struct signed_revocation r;
	struct signed_entry *e;

	if (!revocation_decode(bytes, len, &r))
		return REVOCATION_UNREADABLE;
	if (is_known(all, bytes, len))
		return REVOCATION_KNOWN;
	outcome = judge_text(all, &r, identity_revocation_of_ca(id, &r), now);
	if (outcome == REVOCATION_TAKEN)
		outcome = identity_verify_revocation(id, &r, &signer);
	if (outcome != REVOCATION_TAKEN)
		return outcome;
	e = grow(all) ? entry_new(bytes, len, &signer) : NULL;
	if (!e)
		return REVOCATION_NO_MEMORY;
	outcome = judge_signer(all, id, e, now);
	if (outcome == REVOCATION_TAKEN &&
	    place_at(all, e->what.kind, e->revokes.value, signer.is_ca) == all->count)
		outcome = make_place(all, e, now);
	if (outcome != REVOCATION_TAKEN) {
		entry_release(e);
		return outcome;
	}
	put(all, e);
	if (signer.is_ca) {
		settle(all, id, listener);
		make_last(all, e);
	}
	trim_aside(all);
	/* Without memory what was revoked stays so; the next one that is taken makes the list. */
	(void)!list_afresh(all);
	return REVOCATION_TAKEN;
}

/* ---- what is kept ---- */

static bool keep_all(struct signed_entry *const *list, size_t count, json_t *kept)
{
	char text[REVOCATION_BASE64_BYTES];

	for (size_t i = 0; i < count; i++) {
		revocation_to_text(list[i]->bytes, list[i]->len, text);
		if (json_array_append_new(kept, json_string(text)) != 0)
			return false;
	}
	return true;
}

json_t *signed_revocations_keep(const struct signed_revocations *all)
{
	json_t *kept = json_array();

	if (keep_all(all->entries, all->count, kept) &&
	    keep_all(all->aside, all->aside_count, kept))
		return kept;
	json_decref(kept);
	return NULL;
}

/* What does not verify, as without its CA, waits aside. */
static bool recall_one(struct signed_revocations *all, const struct identity *id, const char *text)
{
	struct revocation_signer signer = {.is_ca = false};
	enum revocation_outcome outcome = REVOCATION_UNREADABLE;
	uint8_t bytes[REVOCATION_MAX];
	size_t len = text ? revocation_of_text(text, bytes) : 0;
	const struct signed_entry *known;
	struct signed_revocation r;
	struct signed_entry *e;

	if (len > 0 && revocation_decode(bytes, len, &r))
		outcome = identity_verify_revocation(id, &r, &signer);
	if (outcome == REVOCATION_UNTRUSTED)
		identity_revocation_claims(&r, &signer);
	if ((outcome != REVOCATION_TAKEN && outcome != REVOCATION_UNTRUSTED) ||
	    all->count + all->aside_count >= REVOCATIONS_SIGNED_MAX)
		return false;
	e = grow(all) ? entry_new(bytes, len, &signer) : NULL;
	if (!e)
		return false;
	known = in_place(all, e->what.kind, e->revokes.value, signer.is_ca);
	if (outcome == REVOCATION_TAKEN && (!known || is_newer(&e->what, &known->what)))
		put(all, e);
	else
		all->aside[all->aside_count++] = e;
	return outcome == REVOCATION_TAKEN;
}

size_t signed_revocations_recall(struct signed_revocations *all, const struct identity *id,
				 const json_t *kept)
{
	size_t i, lost = 0;
	json_t *item;

	json_array_foreach(kept, i, item) lost += !recall_one(all, id, json_string_value(item));
	settle(all, id, NULL);
	(void)!list_afresh(all);
	return lost;
}
