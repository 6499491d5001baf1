/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: which relays there are links to, and how that changes while the agent runs.
 *
 * A new certificate wants new links: each relay takes the second sign-in for the first one's
 * successor, so that an old link stays of use until the new one is up, and no session notices.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/relays/link.h"
#include "agent/session/session.h"
#include "core/log.h"

#define HANDOVER_MS 30000u /* an old link waits so long for its successor */

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

static struct agent_link *find(const struct agent *a, const struct agent_relay *relay)
{
	for (size_t i = 0; i < a->link_count; i++)
		if (same_relay(&a->links[i]->relay, relay))
			return a->links[i];
	return NULL;
}

static bool among(struct agent_link *const *links, size_t count, const struct agent_link *l)
{
	for (size_t i = 0; i < count; i++)
		if (links[i] == l)
			return true;
	return false;
}

static uint64_t slots_in(struct agent_link *const *links, size_t count)
{
	uint64_t slots = 0;

	for (size_t i = 0; i < count; i++)
		slots |= UINT64_C(1) << links[i]->slot;
	return slots;
}

static struct agent_link *make_one(struct agent *a, const struct agent_relay *relay,
				   struct agent_link *const *made, size_t count)
{
	uint64_t taken = slots_in(a->links, a->link_count) | slots_in(made, count);

	for (const struct agent_link *l = a->retired; l; l = l->next)
		taken |= UINT64_C(1) << l->slot;
	if (taken == UINT64_MAX)
		return NULL;
	return agent_link_new(a, relay, (unsigned)__builtin_ctzll(~taken));
}

struct agent_link **agent_links_make(struct agent *a, const struct agent_config *next, bool afresh)
{
	const struct agent_relay *relays = next->relays.items;
	struct agent_link **links = calloc(next->relays.count, sizeof(struct agent_link *));

	agent_links_tidy(a);
	for (size_t i = 0; links && i < next->relays.count; i++) {
		links[i] = afresh ? NULL : find(a, &relays[i]);
		if (!links[i])
			links[i] = make_one(a, &relays[i], links, i);
		if (links[i])
			continue;
		agent_links_drop(a, links, i);
		return NULL;
	}
	return links;
}

void agent_links_drop(struct agent *a, struct agent_link **links, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!among(a->links, a->link_count, links[i]))
			agent_link_free(links[i]);
	free(links);
}

/* ---- retired links ---- */

static bool leads_to_same(const struct agent_link *a, const struct agent_link *b)
{
	return strcmp(a->label, b->label) == 0;
}

static bool has_successor(const struct agent *a, const struct agent_link *old)
{
	for (size_t i = 0; i < a->link_count; i++)
		if (leads_to_same(a->links[i], old))
			return true;
	return false;
}

static void retire(struct agent *a, struct agent_link *l)
{
	l->next = a->retired;
	a->retired = l;
	if (link_state_live(&l->state) && has_successor(a, l))
		l->retired_ms = ring_now_ms(a->ring);
	else
		agent_link_stop(l, "this agent no longer uses this relay");
}

void agent_links_adopt(struct agent *a, struct agent_link **links, size_t count)
{
	struct agent_link **before = a->links;
	size_t count_before = a->link_count;

	a->links = links;
	a->link_count = count;
	for (size_t i = 0; i < count_before; i++)
		if (!among(links, count, before[i]))
			retire(a, before[i]);
	for (size_t i = 0; i < count; i++)
		if (!among(before, count_before, links[i]))
			agent_link_start(links[i]);
	free(before);
}

void agent_links_took_over(struct agent *a, const struct agent_link *l)
{
	for (struct agent_link *old = a->retired; old; old = old->next)
		if (old->retired_ms && leads_to_same(old, l))
			agent_link_stop(old, "a new sign-in of this agent took its place");
}

void agent_links_tidy(struct agent *a)
{
	uint64_t now_ms = ring_now_ms(a->ring);

	for (struct agent_link **at = &a->retired, *l; (l = *at);) {
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

void agent_links_stop(struct agent *a)
{
	for (size_t i = 0; i < a->link_count; i++)
		agent_link_stop(a->links[i], "this agent is shutting down");
	for (struct agent_link *l = a->retired; l; l = l->next)
		agent_link_stop(l, "this agent is shutting down");
}

void agent_links_free(struct agent *a)
{
	struct agent_link *next;

	for (size_t i = 0; i < a->link_count; i++)
		agent_link_free(a->links[i]);
	free(a->links);
	for (struct agent_link *l = a->retired; l; l = next) {
		next = l->next;
		agent_link_free(l);
	}
}

/* ---- as requests see them ---- */

struct agent_link *agent_next_link(struct agent *a, size_t *at)
{
	while (*at < a->link_count) {
		struct agent_link *l = a->links[(*at)++];

		if (link_state_usable(&l->state))
			return l;
	}
	return NULL;
}

void agent_link_usable(struct agent *a)
{
	struct agent_session *next;

	for (struct agent_session *s = a->sessions; s; s = next) {
		next = s->next;
		if (s->wake)
			s->wake(s);
	}
}

bool agent_links_refused(const struct agent *a, enum reason *why)
{
	for (size_t i = 0; i < a->link_count; i++)
		if (!link_state_refused(&a->links[i]->state))
			return false;
	if (a->link_count == 0)
		return false;
	*why = a->links[0]->state.reason;
	return true;
}

void agent_link_refused(struct agent *a)
{
	enum reason why;

	if (agent_links_refused(a, &why))
		agent_link_usable(a); /* to find that none is */
}

void agent_describe_links(const struct agent *a, char *out, size_t room)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < a->link_count && n < room; i++) {
		const struct agent_link *l = a->links[i];
		int more =
			snprintf(out + n, room - n, "%srelay %s: %s", i ? "; " : "", l->label,
				 l->state.why[0] ? l->state.why : link_phase_name(l->state.phase));

		if (more > 0)
			n += (size_t)more;
	}
}
