/* SPDX-License-Identifier: Apache-2.0 */
/* links: the set of links, and those that are retired from it. */
#include "agent/relays/links.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/mem.h>

#include "core/container.h"
#include "core/log.h"

#define TIDY_MS	    10000u
#define HANDOVER_MS 30000u /* an old link waits so long for its successor */
#define RETIRED_MAX 64u

/* ---- retired links ---- */

/* Frees retired links that are quiet, stops those that have waited for too long. */
static void links_tidy(struct agent_links *set)
{
	uint64_t now_ms = ring_now_ms(set->worker->ring);

	for (struct agent_link **at = &set->retired, *l; (l = *at);) {
		if (agent_link_quiet(l)) {
			*at = l->next;
			agent_link_free(l);
			continue;
		}
		if (l->retired_ms && now_ms - l->retired_ms >= HANDOVER_MS)
			agent_link_stop(l, "this agent no longer uses this sign-in");
		at = &l->next;
	}
}

static void links_tidy_fired(struct timer *t, uint64_t now_ms)
{
	struct agent_links *set = container(t, struct agent_links, tidier);

	links_tidy(set);
	ring_timer_set(set->worker->ring, t, TIDY_MS);
}

/* ---- making the set ---- */

static const char *text_of(const char *text)
{
	return text ? text : "";
}

static bool same_relay(const struct agent_relay *a, const struct agent_relay *b)
{
	return a->address.port == b->address.port &&
	       strcmp(a->address.host, b->address.host) == 0 && a->trust == b->trust &&
	       strcmp(text_of(a->server_name), text_of(b->server_name)) == 0;
}

static struct agent_link *links_find(const struct agent_links *set, const struct agent_relay *relay)
{
	for (size_t i = 0; i < set->count; i++)
		if (same_relay(&set->list[i]->relay, relay))
			return set->list[i];
	return NULL;
}

static bool list_has_link(struct agent_link *const *links, size_t count, const struct agent_link *l)
{
	for (size_t i = 0; i < count; i++)
		if (links[i] == l)
			return true;
	return false;
}

static struct agent_link *make_one(struct agent_links *set, const struct agent_relay *relay)
{
	size_t retired = 0;

	for (const struct agent_link *l = set->retired; l; l = l->next)
		retired++;
	return retired < RETIRED_MAX ? agent_link_new(set, relay) : NULL;
}

struct agent_link **agent_links_make(struct agent_links *set, const struct agent_config *next,
				     bool afresh)
{
	const struct agent_relay *relays = next->relays.items;
	struct agent_link **links = calloc(next->relays.count, sizeof(struct agent_link *));

	links_tidy(set);
	for (size_t i = 0; links && i < next->relays.count; i++) {
		links[i] = afresh ? NULL : links_find(set, &relays[i]);
		if (!links[i])
			links[i] = make_one(set, &relays[i]);
		if (links[i])
			continue;
		agent_links_drop(set, links, i);
		return NULL;
	}
	return links;
}

void agent_links_drop(struct agent_links *set, struct agent_link **links, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!list_has_link(set->list, set->count, links[i]))
			agent_link_free(links[i]);
	free(links);
}

/* ---- another set ---- */

static bool leads_to_same(const struct agent_link *a, const struct agent_link *b)
{
	return strcmp(a->label, b->label) == 0;
}

static void links_retire(struct agent_links *set, struct agent_link *l)
{
	bool has_successor = false;

	for (size_t i = 0; i < set->count; i++)
		has_successor |= leads_to_same(set->list[i], l);
	l->next = set->retired;
	set->retired = l;
	if (link_state_live(&l->state) && has_successor)
		l->retired_ms = ring_now_ms(set->worker->ring);
	else
		agent_link_stop(l, "this agent no longer uses this relay");
}

void agent_links_adopt(struct agent_links *set, struct agent_link **links, size_t count,
		       bool publish)
{
	struct agent_link **before = set->list;
	size_t count_before = set->count;

	set->list = links;
	set->count = count;
	for (size_t i = 0; i < count_before; i++)
		if (!list_has_link(links, count, before[i]))
			links_retire(set, before[i]);
	for (size_t i = 0; i < count; i++)
		if (!list_has_link(before, count_before, links[i]))
			agent_link_start(links[i]);
	for (size_t i = 0; i < count; i++)
		agent_link_adopt(links[i], publish);
	free(before);
	agent_links_judge(set);
}

void agent_links_again(struct agent_links *set, struct agent_link *l)
{
	uint64_t now_ms = ring_now_ms(set->worker->ring);
	struct agent_link *anew;
	size_t i = 0;

	while (i < set->count && set->list[i] != l)
		i++;
	if (i == set->count || set->worker->stopping || l->state.phase != LINK_UP ||
	    (l->again_ms && now_ms - l->again_ms < LINKS_AGAIN_MS))
		return;
	anew = make_one(set, &l->relay);
	if (!anew)
		return;
	anew->again_ms = now_ms;
	anew->told = l->told;
	set->list[i] = anew;
	links_retire(set, l);
	agent_link_start(anew);
}

void agent_links_heard_again(struct agent_links *set, struct agent_link *l)
{
	size_t i = 0;

	while (i < set->count && !leads_to_same(set->list[i], l))
		i++;
	if (!l->retired_ms || i == set->count || link_state_live(&set->list[i]->state))
		return;
	for (struct agent_link **at = &set->retired; *at; at = &(*at)->next)
		if (*at == l) {
			*at = l->next;
			break;
		}
	l->retired_ms = 0;
	l->again_ms = set->list[i]->again_ms;
	set->list[i]->next = set->retired;
	set->retired = set->list[i];
	set->list[i] = l;
	agent_link_stop(set->retired, "the link before it answers again");
}

void agent_links_took_over(struct agent_links *set, const struct agent_link *l)
{
	for (struct agent_link *old = set->retired; old; old = old->next)
		if (old->retired_ms && leads_to_same(old, l))
			agent_link_stop(old, "a new sign-in of this agent took its place");
}

/* ---- tag keys ---- */

struct learned_key {
	struct learned_key *next;
	char label[ENDPOINT_TEXT_BYTES];
	uint8_t key[CONF_TAG_KEY_BYTES];
};

/* Those of relays that are no longer used are forgotten, so that there are no more than links. */
static void links_forget_learned(struct agent_links *set)
{
	for (struct learned_key **at = &set->learned, *k; (k = *at);) {
		bool used = false;

		for (size_t i = 0; i < set->count; i++)
			used |= strcmp(set->list[i]->label, k->label) == 0;
		if (used) {
			at = &k->next;
			continue;
		}
		*at = k->next;
		OPENSSL_cleanse(k->key, sizeof(k->key));
		free(k);
	}
}

static struct learned_key *links_find_learned(const struct agent_links *set, const char *label)
{
	for (struct learned_key *k = set->learned; k; k = k->next)
		if (strcmp(k->label, label) == 0)
			return k;
	return NULL;
}

/* False without memory: the keys of the file are left. */
static bool links_keep_learned(struct agent_links *set, const char *label,
			       const uint8_t key[CONF_TAG_KEY_BYTES])
{
	struct learned_key *k = links_find_learned(set, label);

	if (!k) {
		k = calloc(1, sizeof(*k));
		if (!k)
			return false;
		snprintf(k->label, sizeof(k->label), "%s", label);
		k->next = set->learned;
		set->learned = k;
	}
	memcpy(k->key, key, sizeof(k->key));
	return true;
}

void agent_links_learn(struct agent_links *set, struct agent_link *l,
		       const uint8_t key[CONF_TAG_KEY_BYTES])
{
	const uint8_t *known = agent_links_learned(set, l);

	l->tag_turn = 0;
	if (known && memcmp(known, key, CONF_TAG_KEY_BYTES) == 0)
		return;
	links_forget_learned(set);
	if (!links_keep_learned(set, l->label, key))
		return;
	log_info("link", "relay=%s has told its new tag key", l->label);
	if (set->events->learned)
		set->events->learned(set);
}

void agent_links_each_learned(const struct agent_links *set,
			      void (*each)(void *context, const char *label,
					   const uint8_t key[CONF_TAG_KEY_BYTES]),
			      void *context)
{
	for (const struct learned_key *k = set->learned; k; k = k->next)
		each(context, k->label, k->key);
}

void agent_links_recall(struct agent_links *set, const char *label,
			const uint8_t key[CONF_TAG_KEY_BYTES])
{
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->list[i]->label, label) == 0)
			(void)!links_keep_learned(set, label, key);
}

const uint8_t *agent_links_learned(const struct agent_links *set, const struct agent_link *l)
{
	const struct learned_key *k = links_find_learned(set, l->label);

	return k ? k->key : NULL;
}

/* ---- life ---- */

bool agent_links_open(struct agent_links *set, struct agent_worker *w,
		      const struct agent_setup *setup, const struct agent_links_events *events)
{
	*set = (struct agent_links){.worker = w, .setup = setup, .events = events};
	set->list = agent_links_make(set, setup->config, false);
	if (!set->list)
		return false;
	set->count = setup->config->relays.count;
	links_trust_open(set);
	set->tidier.fire = links_tidy_fired;
	ring_timer_set(w->ring, &set->tidier, TIDY_MS);
	return true;
}

void agent_links_start(struct agent_links *set)
{
	for (size_t i = 0; i < set->count; i++)
		agent_link_start(set->list[i]);
}

void agent_links_stop(struct agent_links *set)
{
	ring_timer_cancel(set->worker->ring, &set->tidier);
	look_stop(&set->look);
	for (size_t i = 0; i < set->count; i++)
		agent_link_stop(set->list[i], "this agent is shutting down");
	for (struct agent_link *l = set->retired; l; l = l->next)
		agent_link_stop(l, "this agent is shutting down");
}

void agent_links_free(struct agent_links *set)
{
	struct agent_link *next;

	for (size_t i = 0; i < set->count; i++)
		agent_link_free(set->list[i]);
	free(set->list);
	for (struct agent_link *l = set->retired; l; l = next) {
		next = l->next;
		agent_link_free(l);
	}
	set->count = 0;
	links_forget_learned(set);
	agent_links_forget_revoked(set);
	*set = (struct agent_links){0};
}

/* ---- as sessions see them ---- */

struct agent_link *agent_links_next(struct agent_links *set, size_t *at)
{
	while (*at < set->count) {
		struct agent_link *l = set->list[(*at)++];

		if (link_state_usable(&l->state))
			return l;
	}
	return NULL;
}

struct agent_link *agent_links_live(const struct agent_links *set, const char *label)
{
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->list[i]->label, label) == 0 &&
		    link_state_live(&set->list[i]->state))
			return set->list[i];
	for (struct agent_link *l = set->retired; l; l = l->next)
		if (strcmp(l->label, label) == 0 && link_state_live(&l->state))
			return l;
	return NULL;
}

enum reason agent_links_sent_away(const struct agent_links *set, const char *label,
				  const char **why)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct link_state *st = &set->list[i]->state;

		if (st->phase == LINK_WAITING && strcmp(set->list[i]->label, label) == 0) {
			*why = st->why;
			return st->reason;
		}
	}
	return REASON_OK;
}

bool agent_links_refused(const struct agent_links *set, enum reason *why)
{
	for (size_t i = 0; i < set->count; i++)
		if (!link_state_refused(&set->list[i]->state))
			return false;
	if (set->count == 0)
		return false;
	*why = set->list[0]->state.reason;
	return true;
}

void agent_links_one_refused(struct agent_links *set)
{
	enum reason why;

	if (agent_links_refused(set, &why))
		set->events->changed(set); /* a call that waits for a link learns that none comes */
}

/* What keeps it from being used. */
static const char *link_trouble(const struct agent_link *l)
{
	if (l->state.doubted)
		return "it does not answer";
	return l->state.why[0] ? l->state.why : link_phase_name(l->state.phase);
}

void agent_links_describe(const struct agent_links *set, char *out, size_t room)
{
	char one[ENDPOINT_TEXT_BYTES + sizeof(set->list[0]->state.why) + 16];
	size_t n = 0, len;

	out[0] = '\0';
	for (size_t i = 0; i < set->count; i++) {
		const struct agent_link *l = set->list[i];

		snprintf(one, sizeof(one), "%srelay %s: %s", i ? "; " : "", l->label,
			 link_trouble(l));
		/* A relay's own words may be in it: not cut inside a character. */
		wire_bytes_copy(wire_text(one), out + n, room - n);
		len = strlen(out + n);
		n += len;
		if (one[len])
			break; /* no room for more */
	}
}
