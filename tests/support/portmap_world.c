/* SPDX-License-Identifier: Apache-2.0 */
/* portmap_world: one table for all protocols, three drivers to it, and the engine's owner. */
#include "tests/support/portmap_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const bool world_nothing[PORTMAP_FAMILIES];
const bool world_ipv4_only[PORTMAP_FAMILIES] = {true, false};

/* ---- a gateway: one table for all protocols ---- */

struct addr world_address(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

static struct entry *entry_of(struct world *w, const struct portmap_request *r, uint16_t external)
{
	enum portmap_family f = r->internal.sa.sa_family == AF_INET6 ? PORTMAP_IPV6 : PORTMAP_IPV4;

	for (size_t i = 0; i < ENTRIES; i++) {
		struct entry *e = &w->table[i];

		if (e->used && e->expires_ms <= w->now_ms)
			e->used = false;
		if (e->used && e->transport == r->transport && e->family == f &&
		    e->external == external)
			return e;
	}
	return NULL;
}

/*
 * What a deletion is for. PCP names a mapping by its port inside and its nonce (RFC 6887 section
 * 15), NAT-PMP by its port inside alone (RFC 6886 section 3.4); the port outside counts for
 * neither. UPnP names that one.
 */
static struct entry *entry_to_delete(struct world *w, const struct portmap_request *r,
				     enum portmap_protocol by)
{
	enum portmap_family f = r->internal.sa.sa_family == AF_INET6 ? PORTMAP_IPV6 : PORTMAP_IPV4;

	if (by == PORTMAP_UPNP)
		return entry_of(w, r, addr_port(&r->external));
	for (size_t i = 0; i < ENTRIES; i++) {
		struct entry *e = &w->table[i];

		if (!e->used || e->expires_ms <= w->now_ms || e->host != OURS ||
		    e->transport != r->transport || e->family != f ||
		    e->internal != addr_port(&r->internal))
			continue;
		if (by == PORTMAP_PCP && e->by == PORTMAP_PCP &&
		    memcmp(e->nonce, r->nonce, sizeof e->nonce) != 0)
			continue;
		return e;
	}
	return NULL;
}

struct entry *world_add_entry(struct world *w, enum portmap_transport t, enum portmap_family f,
			      uint16_t external, int host)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		struct entry *e = &w->table[i];

		if (e->used)
			continue;
		*e = (struct entry){.used = true,
				    .transport = t,
				    .family = f,
				    .external = external,
				    .internal = external,
				    .host = host,
				    .expires_ms = UINT64_MAX,
				    .by = PORTMAP_PCP};
		if (host == OURS && w->engine.mappings)
			memcpy(e->nonce, w->engine.mappings->want.nonce, sizeof e->nonce);
		return e;
	}
	fail_msg("the table is full");
	return NULL;
}

size_t world_entries(const struct world *w, int host)
{
	size_t n = 0;

	for (size_t i = 0; i < ENTRIES; i++)
		n += w->table[i].used && w->table[i].host == host &&
		     w->table[i].expires_ms > w->now_ms;
	return n;
}

/* No two of our entries lead to the same port. */
static void check_no_twins(const struct world *w)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct entry *a = &w->table[i], *b = &w->table[j];

			if (a->used && b->used && a->host == OURS && b->host == OURS &&
			    !a->astray && !b->astray && a->expires_ms > w->now_ms &&
			    b->expires_ms > w->now_ms)
				assert_false(a->transport == b->transport &&
					     a->family == b->family && a->internal == b->internal);
		}
	}
}

static void world_refuse(struct fake *k, uint32_t id, enum portmap_failure failure, const char *why)
{
	const struct portmap_refusal r = {.failure = failure,
					  .why = why,
					  .wait_s = k->asks_to_wait_s,
					  .gone = k->says_gone && !k->has_it};

	k->driver.heard->failed(k->driver.heard, k->driver.protocol, id, &r);
}

static void map_at_gateway(struct fake *k, const struct portmap_request *r)
{
	struct world *w = k->world;
	struct portmap_heard *h = k->driver.heard;
	enum portmap_protocol p = k->driver.protocol;
	uint16_t port = addr_port(&r->external);
	struct entry *e = entry_of(w, r, port);
	struct addr external = w->external;
	uint32_t lifetime_s = k->grants_s ? k->grants_s : r->lifetime_s;
	char why[PORTMAP_TEXT_BYTES];

	assert_int_not_equal(port, 0);
	if (k->pools)
		external.v4.sin_addr.s_addr ^= htonl(addr_port(&r->internal) & 1);
	if (k->pools_anew)
		external.v4.sin_addr.s_addr ^= htonl(k->maps << 1);
	k->has_it = e != NULL;
	if (k->refuses != PORTMAP_FAILURES) {
		world_refuse(k, r->id, k->refuses,
			     k->refuses_why ? k->refuses_why : "the gateway says no");
		return;
	}
	while (e && e->host != OURS && k->picks_another)
		e = entry_of(w, r, ++port);
	if (e && (e->host != OURS || (k->apart && e->by != p))) {
		snprintf(why, sizeof why, "another host has that port");
		if (k->names_port)
			snprintf(why, sizeof why, "another host has port %u", port);
		world_refuse(k, r->id, PORTMAP_CONFLICT, why);
		return;
	}
	if (!e)
		e = world_add_entry(w, r->transport,
				    r->internal.sa.sa_family == AF_INET6 ? PORTMAP_IPV6
									 : PORTMAP_IPV4,
				    port, OURS);
	else if (k->extends_nothing && e->internal == addr_port(&r->internal)) {
		external.v4.sin_port = htons(port);
		h->mapped(h, p, r->id, &external,
			  (uint32_t)((e->expires_ms - w->now_ms) / SECONDS));
		return;
	}
	e->by = p;
	memcpy(e->nonce, r->nonce, sizeof e->nonce);
	e->internal = k->leads_to_same_port || addr_port(&r->internal) == k->never_leads_to
			      ? port
			      : addr_port(&r->internal);
	e->astray = e->internal != addr_port(&r->internal);
	e->expires_ms = k->permanent_only ? UINT64_MAX : w->now_ms + lifetime_s * SECONDS;
	if (r->internal.sa.sa_family == AF_INET6)
		external = r->internal;
	external.v4.sin_port = htons(port);
	if (e->internal != addr_port(&r->internal)) {
		struct portmap_refusal astray = {.failure = PORTMAP_MISDIRECTED, .why = why};

		astray.inside = r->internal;
		addr_set_port(&astray.inside, e->internal);
		astray.outside = external;
		portmap_misdirection(&astray.inside, &r->internal, port, why);
		h->failed(h, p, r->id, &astray);
		return;
	}
	h->mapped(h, p, r->id, &external, k->permanent_only ? 0 : lifetime_s);
}

static void deliver(struct message *m)
{
	struct fake *k = m->fake;
	struct world *w = k->world;
	struct portmap_heard *h = k->driver.heard;
	enum portmap_protocol p = k->driver.protocol;
	struct portmap_gateway g = {.external = w->external, .about = "a fake"};
	struct portmap_request r = m->request;
	struct entry *e;

	m->used = false;
	switch (m->kind) {
	case PROBED:
		for (unsigned f = 0; f < PORTMAP_FAMILIES; f++) {
			if (!k->driver.families[f])
				continue;
			if (k->there)
				h->available(h, p, (enum portmap_family)f, &g);
			else
				h->unavailable(h, p, (enum portmap_family)f, k->lacks,
					       k->lacks_why ? k->lacks_why : "no answer");
		}
		return;
	case MAPPED:
		if (k->there && k->goes_deaf)
			h->unavailable(h, p, PORTMAP_IPV4, PORTMAP_SILENT, "it stopped answering");
		else if (k->there && !k->deaf)
			map_at_gateway(k, &r);
		else
			world_refuse(k, r.id, PORTMAP_SILENT, "no answer");
		return;
	case LOOKED:
		if (!k->there) {
			world_refuse(k, r.id, PORTMAP_SILENT, "no answer");
			return;
		}
		e = entry_of(w, &r, addr_port(&r.external));
		h->seen(h, p, r.id, e && e->host == OURS);
		return;
	case UNMAPPED:
		while (k->there && !k->keeps_all && (e = entry_to_delete(w, &r, p)) &&
		       e->host == OURS)
			e->used = false; /* all that NAT-PMP's and PCP's port inside names */
		h->unmapped(h, p, r.id, k->there && !k->keeps_all);
		return;
	}
}

/* ---- drivers ---- */

static void post(struct fake *k, enum message_kind kind, const struct portmap_request *r)
{
	struct world *w = k->world;
	bool heard = k->there && !(kind == MAPPED && (k->deaf || k->goes_deaf));

	for (size_t i = 0; i < MESSAGES; i++) {
		struct message *m = &w->messages[i];

		if (m->used)
			continue;
		*m = (struct message){.used = true, .kind = kind, .fake = k};
		m->at_ms = w->now_ms + (heard ? k->delay_ms : k->silence_ms);
		if (r)
			m->request = *r;
		return;
	}
	fail_msg("too many messages");
}

static struct fake *fake_of(struct portmap_driver *d)
{
	return (struct fake *)d; /* its first member */
}

static void note_pace(struct fake *k)
{
	struct world *w = k->world;

	if (k->last_request_ms && w->now_ms - k->last_request_ms < w->closest_ms)
		w->closest_ms = w->now_ms - k->last_request_ms;
	k->last_request_ms = w->now_ms;
}

static void fake_probe(struct portmap_driver *d)
{
	fake_of(d)->probes++;
	post(fake_of(d), PROBED, NULL);
}

static void fake_map(struct portmap_driver *d, const struct portmap_request *r)
{
	struct fake *k = fake_of(d);

	for (size_t i = 0; i < MESSAGES; i++) /* one at a time per id */
		assert_false(k->world->messages[i].used && k->world->messages[i].fake == k &&
			     k->world->messages[i].kind == MAPPED &&
			     k->world->messages[i].request.id == r->id);
	k->maps++;
	note_pace(k);
	post(k, MAPPED, r);
}

static void fake_look(struct portmap_driver *d, const struct portmap_request *r)
{
	fake_of(d)->looks++;
	post(fake_of(d), LOOKED, r);
}

/* It knows at once. */
static void fake_ask_external(struct portmap_driver *d)
{
	struct fake *k = fake_of(d);

	k->asks++;
	if (k->there && !addr_same_host(&k->world->external, &k->told))
		d->heard->external_changed(d->heard, d->protocol, &k->world->external);
	k->told = k->world->external;
}

static void fake_unmap(struct portmap_driver *d, const struct portmap_request *r)
{
	fake_of(d)->unmaps++;
	post(fake_of(d), UNMAPPED, r);
}

static void fake_forget(struct portmap_driver *d, uint32_t id)
{
	struct world *w = fake_of(d)->world;

	for (size_t i = 0; i < MESSAGES; i++)
		if (w->messages[i].fake == fake_of(d) && w->messages[i].kind != PROBED &&
		    w->messages[i].request.id == id)
			w->messages[i].used = false;
}

/* ---- the world ---- */

static struct world *world_of(struct portmap_owner *o)
{
	return (struct world *)o; /* its first member */
}

static uint64_t owner_now(struct portmap_owner *o)
{
	return world_of(o)->now_ms;
}

static void owner_wake(struct portmap_owner *o, uint64_t due_ms)
{
	world_of(o)->wake_ms = due_ms;
}

static void owner_mapping(struct portmap_owner *o, const struct portmap_mapping *m,
			  enum mapping_state old)
{
	world_of(o)->changes++;
	world_of(o)->told_due_ms = mapping_retried(m) ? m->due_ms : 0;
}

static void owner_path(struct portmap_owner *o, enum portmap_protocol p, enum portmap_family f)
{
}

static void owner_external(struct portmap_owner *o, const struct addr *old, const struct addr *now)
{
	world_of(o)->externals++;
}

static void owner_left(struct portmap_owner *o)
{
	world_of(o)->left++;
}

struct portmap_want world_want(enum portmap_transport t, uint16_t internal, uint16_t external)
{
	return (struct portmap_want){.transport = t,
				     .internal = internal,
				     .external = external,
				     .nonce = {(uint8_t)(internal >> 8), (uint8_t)internal, 1},
				     .lifetime_s = LIFETIME_S};
}

struct world *world_new(uint64_t seed)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	w->owner = (struct portmap_owner){owner_now,  owner_wake,     owner_mapping,
					  owner_path, owner_external, owner_left};
	w->now_ms = 1000000;
	w->wake_ms = MAPPING_NEVER;
	w->closest_ms = UINT64_MAX;
	w->external = world_address("45.0.0.10:1");
	w->external.v4.sin_port = 0;
	w->source = world_address("192.168.77.2:1");
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		struct fake *k = &w->fakes[p];

		k->world = w;
		k->delay_ms = p == PORTMAP_UPNP ? 200 : 5;
		k->silence_ms = 3000;
		k->refuses = PORTMAP_FAILURES;
		k->lacks = PORTMAP_SILENT;
		k->driver = (struct portmap_driver){
			.protocol = (enum portmap_protocol)p,
			.families = {true, false},
			.probe = fake_probe,
			.map = fake_map,
			.look = p == PORTMAP_UPNP ? fake_look : NULL,
			.ask_external = p == PORTMAP_PCP ? NULL : fake_ask_external,
			.unmap = fake_unmap,
			.forget = fake_forget};
	}
	w->engine =
		(struct portmap_engine){.owner = &w->owner, .recheck_ms = RECHECK_MS, .seed = seed};
	portmap_engine_init(&w->engine);
	return w;
}

void world_free(struct world *w)
{
	portmap_engine_free(&w->engine);
	free(w);
}

void world_enter(struct world *w)
{
	struct portmap_driver *drivers[PORTMAP_PROTOCOLS];
	struct addr source[PORTMAP_FAMILIES] = {w->source, {.len = 0}};

	if (w->fakes[PORTMAP_UPNP].driver.families[PORTMAP_IPV6])
		source[PORTMAP_IPV6] = world_address("[2001:db8::2]:1");
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
		drivers[p] = &w->fakes[p].driver;
	portmap_engine_enter(&w->engine, source, drivers, PORTMAP_PROTOCOLS);
}

/* A gateway with these protocols and one mapping of TCP 443. */
struct world *world_home(bool pcp, bool natpmp, bool upnp)
{
	struct world *w = world_new(7);
	struct portmap_want one = world_want(PORTMAP_TCP, 443, 443);

	w->fakes[PORTMAP_PCP].there = pcp;
	w->fakes[PORTMAP_NATPMP].there = natpmp;
	w->fakes[PORTMAP_UPNP].there = upnp;
	assert_int_equal(portmap_engine_want(&w->engine, &one, 1), 0);
	world_enter(w);
	return w;
}

/* Also what it has been asked already. */
void world_answer_after(struct world *w, enum portmap_protocol p, uint64_t ms)
{
	w->fakes[p].delay_ms = w->fakes[p].silence_ms = ms;
	for (size_t i = 0; i < MESSAGES; i++)
		if (w->messages[i].used && w->messages[i].fake == &w->fakes[p])
			w->messages[i].at_ms = w->now_ms + ms;
}

static struct message *next_message(struct world *w)
{
	struct message *next = NULL;

	for (size_t i = 0; i < MESSAGES; i++)
		if (w->messages[i].used && (!next || w->messages[i].at_ms < next->at_ms))
			next = &w->messages[i];
	return next;
}

/* Lets time pass. */
void world_pass(struct world *w, uint64_t ms)
{
	uint64_t end = w->now_ms + ms;
	size_t turns = 0;

	for (;;) {
		struct message *m = next_message(w);
		uint64_t at = m ? m->at_ms : MAPPING_NEVER;
		bool answer = at <= w->wake_ms;

		if (!answer)
			at = w->wake_ms;
		if (at > end)
			break;
		if (at > w->now_ms)
			w->now_ms = at;
		if (answer)
			deliver(m);
		else
			portmap_engine_run(&w->engine);
		check_no_twins(w);
		assert_true(++turns < 2000000);
	}
	w->now_ms = end;
}

struct portmap_mapping *world_first(struct world *w)
{
	return w->engine.mappings;
}
