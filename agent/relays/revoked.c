/* SPDX-License-Identifier: Apache-2.0 */
/*
 * revoked: what counts no more by the word of relays, each on its own links, and by what consoles
 * and CAs have signed, everywhere.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/relays/links.h"
#include "core/log.h"

/* ---- a relay's word ---- */

struct relay_word {
	struct relay_word *next;
	char label[ENDPOINT_TEXT_BYTES];
	struct revocations told;
};

static bool links_lead_to(const struct agent_links *set, const char *label)
{
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->list[i]->label, label) == 0)
			return true;
	return false;
}

/* Of relays that are no longer used; all: of every relay. */
static void links_forget_words(struct agent_links *set, bool all)
{
	for (struct relay_word **at = &set->words, *w; (w = *at);) {
		if (!all && links_lead_to(set, w->label)) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		revocations_free(&w->told);
		free(w);
	}
}

static struct relay_word *links_find_word(const struct agent_links *set, const char *label)
{
	for (struct relay_word *w = set->words; w; w = w->next)
		if (strcmp(w->label, label) == 0)
			return w;
	return NULL;
}

bool agent_links_heard(struct agent_links *set, const struct agent_link *l,
		       struct revocations *told)
{
	struct relay_word *w = links_find_word(set, l->label);
	bool changed = revocations_mark(told) != revocations_mark(w ? &w->told : NULL);

	links_forget_words(set, false);
	w = links_find_word(set, l->label);
	if (!w && told->count > 0) {
		w = calloc(1, sizeof(*w));
		if (w) {
			memcpy(w->label, l->label, sizeof(w->label));
			w->next = set->words;
			set->words = w;
		}
	}
	if (w) {
		revocations_free(&w->told);
		w->told = *told;
		w->told.beside = &set->signed_revocations.list;
		*told = (struct revocations){0};
	} else if (changed) {
		log_error("link", "relay=%s: out of memory: what it revokes is not known",
			  l->label);
		changed = false;
	}
	revocations_free(told);
	return changed;
}

const struct revocations *agent_links_revoked(const struct agent_links *set, const char *relay)
{
	const struct relay_word *w = links_find_word(set, relay);

	return w ? &w->told : &set->signed_revocations.list;
}

size_t agent_links_revocations(const struct agent_links *set)
{
	size_t count = 0;

	for (const struct relay_word *w = set->words; w; w = w->next)
		count += w->told.count;
	return count;
}

/* ---- what is signed ---- */

/* Once for what an operator must act on, on each link: a relay may say it without end. */
static void tell_refused(struct agent_link *l, enum revocation_outcome o)
{
	log_at(l->signed_refused == 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "link",
	       "relay=%s tells a signed revocation that does not count here: %s: %s", l->label,
	       revocation_outcome_name(o), revocation_outcome_sentence(o));
	l->signed_refused++;
	l->set->signed_refused++;
}

static void tell_taken(const struct agent_link *l, const struct signed_entry *e)
{
	log_notice("link", "relay=%s tells that %s%s has %s %s%s", l->label,
		   e->signer.is_ca ? "the CA" : "console ", e->signer.peer.name,
		   signed_entry_revokes(e) ? "revoked" : "taken back the revocation of",
		   e->revokes.kind == WIRE_REVOKED_SERIAL ? "serial number "
		   : e->revokes.kind == WIRE_REVOKED_KEY  ? "key "
							  : "",
		   e->revokes.value);
}

static void links_signed_changed(struct agent_links *set, const struct agent_link *l,
				 const struct signed_told *changes)
{
	set->events->revoked(set);
	if (set->events->signed_changed)
		set->events->signed_changed(set, l, changes);
}

void agent_links_take_signed(struct agent_links *set, struct agent_link *l,
			     struct wire_bytes object)
{
	struct signed_revocations *all = &set->signed_revocations;
	enum revocation_outcome o;
	struct signed_told told;

	if (l->signed_refused >= REVOCATIONS_SIGNED_MAX)
		return;
	signed_told_open(&told);
	o = signed_revocations_take(all, set->setup->self.identity, object.data, object.len,
				    time(NULL), &told.listener);
	if (o == REVOCATION_TAKEN) {
		tell_taken(l, all->entries[all->count - 1]);
		links_signed_changed(set, l, &told);
	} else if (o != REVOCATION_KNOWN && o != REVOCATION_OLDER) {
		tell_refused(l, o);
	}
	signed_told_free(&told);
}

void agent_links_review_signed(struct agent_links *set)
{
	struct signed_told told;

	signed_told_open(&told);
	signed_revocations_review(&set->signed_revocations, set->setup->self.identity,
				  &told.listener);
	if (told.lapsed.count + told.restored.count > 0)
		links_signed_changed(set, NULL, &told);
	signed_told_free(&told);
}

void agent_links_recall_signed(struct agent_links *set, const json_t *kept)
{
	size_t lost = signed_revocations_recall(&set->signed_revocations, set->setup->self.identity,
						kept);
	struct signed_told told;

	if (lost > 0)
		log_warning("link",
			    "%zu of the signed revocations that are kept in state_dir do not "
			    "verify any more, as when their CA is in identity.ca no longer",
			    lost);
	signed_told_open(&told);
	signed_told_waiting(&told, &set->signed_revocations);
	if (told.lapsed.count > 0 && set->events->signed_changed)
		set->events->signed_changed(set, NULL, &told);
	signed_told_free(&told);
}

void agent_links_forget_revoked(struct agent_links *set)
{
	links_forget_words(set, true);
	signed_revocations_free(&set->signed_revocations);
}
