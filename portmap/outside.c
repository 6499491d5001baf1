/* SPDX-License-Identifier: Apache-2.0 */
/* outside: names to addresses, a round of questions, and what comes of it. */
#include "portmap/outside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/container.h"
#include "core/log.h"

/* Seven tries would take 40 s; a server that is there answers one of four. */
static const struct stun_pace pace = {.rto_ms = 250, .sends = 4, .last_rto = 4};

static void set_later(struct outside *o)
{
	bool alone = !portmap_engine_asks_external(&o->natd->engine);
	uint64_t wait = o->silent || alone ? OUTSIDE_ALONE_MS : o->natd->config.recheck_ms;

	if (o->count > 0 && !o->natd->stopping)
		ring_timer_set(o->natd->ring, &o->later, wait);
}

/* ---- the way behind the gateway ---- */

static void look_on(struct outside *o, struct addr server);

static void forget_looks(struct outside *o)
{
	o->behind.len = 0;
	o->looked = false;
	o->entry = TRUTH_ENTRY_UNTRIED;
}

static void outside_looked(struct hops *h)
{
	struct outside *o = container(h, struct outside, hops);

	o->looking = o->first = false;
	if (!h->ended) {
		o->entry = TRUTH_ENTRY_UNTRIED;
		truth_look_behind(h->routers, HOPS_MAX, &o->behind, &o->looked);
		natd_judge(o->natd);
	}
	if (o->look_again && !o->natd->stopping)
		look_on(o, h->to);
}

/* There is no NAT; what keeps out what was not asked for is a firewall. */
static void outside_surveyed(struct stun_survey *s)
{
	struct outside *o = container(s, struct outside, survey);
	enum stun_filtering filtering = s->discovery.found.filtering;

	o->surveying = o->first = false;
	if (o->looked_for.len > 0) {
		forget_looks(o);
		o->entry = filtering == STUN_FILTERING_UNKNOWN		      ? TRUTH_ENTRY_UNTRIED
			   : filtering == STUN_FILTERING_ENDPOINT_INDEPENDENT ? TRUTH_ENTRY_ANSWERED
									      : TRUTH_ENTRY_FAILED;
		natd_judge(o->natd);
	}
	if (o->look_again && !o->natd->stopping)
		look_on(o, s->discovery.server);
}

/* What is behind it is known for this address of outside, and not for too long. */
static bool is_looked(const struct outside *o, uint64_t now_ms)
{
	return o->looked_for.len > 0 && addr_equal(&o->looked_for, &o->seen[0]) &&
	       now_ms < o->looked_ms + OUTSIDE_LOOK_MS;
}

static bool look_behind(struct outside *o, const struct addr *server)
{
	const struct portmap_place *place = &o->natd->network.places[PORTMAP_IPV4];

	memset(&o->hops, 0, sizeof o->hops);
	o->hops.ring = o->natd->ring;
	o->hops.source = place->source;
	o->hops.index = place->index;
	o->hops.to = *server;
	o->hops.done = outside_looked;
	return hops_start(&o->hops) == 0;
}

static bool look_for_firewall(struct outside *o, const struct addr *server)
{
	const struct portmap_place *place = &o->natd->network.places[PORTMAP_IPV4];

	memset(&o->survey, 0, sizeof o->survey);
	o->survey.ring = o->natd->ring;
	o->survey.source = place->source;
	o->survey.index = place->index;
	o->survey.discovery.server = *server;
	o->survey.discovery.pace = pace;
	o->survey.discovery.nat = true;
	o->survey.done = outside_surveyed;
	return stun_survey_start(&o->survey) == 0;
}

/* What more is to be known: without a NAT of a firewall, behind a gateway of other routers. What
 * was found before counts until the new is there. */
static void look_on(struct outside *o, struct addr server)
{
	const struct portmap_place *place = &o->natd->network.places[PORTMAP_IPV4];
	bool busy = o->looking || o->surveying, own, known;
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);

	o->look_again = busy;
	if (busy || o->seen_count == 0 || is_looked(o, now_ms))
		return;
	own = addr_same_host(&o->seen[0], &place->source);
	if (own ? truth_range_of(&place->source) != TRUTH_PUBLIC : place->gateway.len == 0) {
		forget_looks(o);
		return;
	}
	known = o->looked_for.len > 0;
	o->looked_for = o->seen[0];
	o->looked_ms = now_ms;
	o->first |= !known;
	if (own)
		o->surveying = look_for_firewall(o, &server);
	else
		o->looking = look_behind(o, &server);
	if (!o->surveying && !o->looking)
		forget_looks(o);
}

bool outside_is_busy(const struct outside *o)
{
	return o->asking || o->looking || o->surveying;
}

static void stop_looking(struct outside *o)
{
	o->look_again = false;
	if (o->looking)
		hops_end(&o->hops);
	if (o->surveying)
		stun_survey_end(&o->survey);
}

/* ---- servers ---- */

/* Outside sees another address: the gateway's is another one, too, or the way out is. */
static void ask_gateway(struct outside *o, const struct addr *before)
{
	char old[ADDR_TEXT_BYTES], now[ADDR_TEXT_BYTES];

	addr_format_host(before, old);
	addr_format_host(&o->address, now);
	log_notice("portmap", "outside sees this host as %s, no longer as %s", now, old);
	portmap_engine_probe(&o->natd->engine);
	portmap_engine_renew(&o->natd->engine);
}

static void tell_silence(const struct outside *o, bool was_silent)
{
	if (o->silent && !was_silent)
		log_warning("stun", "no STUN server answers: what outside sees is not known");
	else if (!o->silent && was_silent)
		log_notice("stun", "STUN servers answer again");
}

static void outside_conclude(struct outside *o, const struct addr *address,
			     enum stun_agreement agreement)
{
	const struct addr before = o->address;
	bool was_silent = o->silent;

	o->asking = false;
	if (o->natd->stopping) /* broken off, which is no silence */
		return;
	o->rounds++;
	o->agreement = agreement;
	o->silent = o->seen_count == 0;
	if (o->silent && !was_silent)
		o->silent_ms = clock_ms(CLOCK_BOOTTIME);
	o->address = *address;
	if (o->address.len > 0)
		addr_set_port(&o->address, 0);
	set_later(o);
	tell_silence(o, was_silent);
	if (before.len > 0 && o->address.len > 0 && !addr_same_host(&before, &o->address))
		ask_gateway(o, &before);
	natd_judge(o->natd);
	if (o->again) {
		o->again = false;
		outside_ask(o);
	}
}

static void note_seen(struct outside *o, struct addr address)
{
	addr_set_port(&address, 0);
	for (size_t i = 0; i < o->seen_count; i++)
		if (addr_equal(&o->seen[i], &address))
			return;
	if (o->seen_count < TRUTH_SEEN_MAX)
		o->seen[o->seen_count++] = address;
}

static void outside_round_done(struct stun_round *r)
{
	struct outside *o = container(r, struct outside, round);
	struct addr heard[STUN_ROUND_MAX] = {{.len = 0}};
	const struct addr *server = NULL;
	struct stun_verdict verdict;

	o->seen_count = 0;
	for (size_t i = 0; i < r->count; i++) {
		heard[i] = r->entries[i].external;
		if (heard[i].len == 0)
			continue;
		note_seen(o, heard[i]);
		server = server ? server : &r->entries[i].server;
	}
	stun_verdict_compare(heard, r->count, &verdict);
	if (server)
		look_on(o, *server);
	outside_conclude(o, &verdict.external, verdict.agreement);
}

static void ask_round(struct outside *o)
{
	const struct addr none = {.len = 0};
	int error = -1;

	memset(&o->round, 0, sizeof o->round);
	o->round.ring = o->natd->ring;
	o->round.source = o->natd->network.places[PORTMAP_IPV4].source;
	o->round.index = o->natd->network.places[PORTMAP_IPV4].index;
	o->round.pace = pace;
	o->round.done = outside_round_done;
	for (size_t i = 0; i < o->count; i++)
		if (o->names[i].address[PORTMAP_IPV4].len > 0)
			o->round.entries[o->round.count++].server =
				o->names[i].address[PORTMAP_IPV4];
	if (o->round.count > 0 && o->round.source.len > 0 && !o->natd->stopping)
		error = stun_round_start(&o->round);
	if (error) {
		o->seen_count = 0;
		outside_conclude(o, &none, STUN_AGREE_NONE);
	}
}

static void outside_resolved(void *owner, const struct addr *addresses, size_t count,
			     const char *error)
{
	struct outside_name *name = owner;
	struct outside *o = name->outside;

	name->query = NULL;
	if (error && !o->natd->stopping)
		log_at(name->lost ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "stun",
		       "the server %s is not found: %s", name->endpoint.host, error);
	name->lost = error != NULL;
	for (size_t i = 0; i < count; i++) {
		enum portmap_family f =
			addresses[i].sa.sa_family == AF_INET6 ? PORTMAP_IPV6 : PORTMAP_IPV4;

		if (name->address[f].len == 0)
			name->address[f] = addresses[i];
	}
	if (--o->resolving == 0)
		ask_round(o);
}

void outside_ask(struct outside *o)
{
	if (o->count == 0 || o->natd->stopping || o->natd->stage != NATD_HERE)
		return;
	if (o->asking) {
		o->again = true;
		return;
	}
	ring_timer_cancel(o->natd->ring, &o->later);
	o->asking = true;
	o->resolving = 1; /* until all are begun */
	for (size_t i = 0; i < o->count; i++) {
		struct outside_name *name = &o->names[i];

		memset(name->address, 0, sizeof name->address);
		name->query = resolve_start(&o->resolver, name->endpoint.host, name->endpoint.port,
					    outside_resolved, name);
		if (name->query)
			o->resolving++;
	}
	if (--o->resolving == 0)
		ask_round(o);
}

static void outside_asks_again(struct timer *t, uint64_t now_ms)
{
	outside_ask(container(t, struct outside, later));
}

void outside_forget(struct outside *o)
{
	o->address.len = 0;
	o->seen_count = 0;
	o->silent = false;
	o->looked_for.len = 0;
	forget_looks(o);
	stop_looking(o);
	ring_timer_cancel(o->natd->ring, &o->later);
}

void outside_configure(struct outside *o)
{
	const struct endpoint *servers = o->natd->config.stun.items;

	for (size_t i = 0; i < o->count; i++) {
		if (!o->names[i].query)
			continue;
		resolve_cancel(o->names[i].query);
		o->names[i].query = NULL;
		if (--o->resolving == 0)
			o->asking = false;
	}
	o->count = o->natd->config.stun.count;
	for (size_t i = 0; i < o->count; i++)
		o->names[i] = (struct outside_name){.outside = o, .endpoint = servers[i]};
	outside_forget(o);
	outside_ask(o);
}

struct outside *outside_new(struct natd *n)
{
	struct outside *o = calloc(1, sizeof *o);

	if (!o)
		return NULL;
	o->natd = n;
	o->later.fire = outside_asks_again;
	if (resolver_open(&o->resolver, n->ring) < 0) {
		free(o);
		return NULL;
	}
	outside_configure(o);
	return o;
}

bool outside_stop(struct outside *o)
{
	ring_timer_cancel(o->natd->ring, &o->later);
	o->again = false;
	stop_looking(o);
	if (!o->resolver.closing)
		resolver_close(&o->resolver);
	if (o->asking && o->resolving == 0)
		stun_round_end(&o->round);
	return !outside_is_busy(o) && resolver_idle(&o->resolver);
}

void outside_free(struct outside *o)
{
	free(o);
}
