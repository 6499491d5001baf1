/* SPDX-License-Identifier: Apache-2.0 */
/*
 * taking_back: what is at the gateway and is to go.
 *
 * Three kinds of that. What is held and not wanted any more, there or at all, is let go: LEAVING
 * and UNMAPPING. What a protocol still holds of a mapping that moved on to another one, or may have
 * done without a word, is a leftover: while the mapping may go on with it it is remembered there
 * (struct mapping_leftover); when it is to go it is in the engine's list (struct portmap_leftover),
 * which outlives the mapping, and has all that was not deleted at once, too. It is deleted when its
 * path is there and it is in nobody's way, again and again later where that fails, until its lease
 * is over; where it is given up people are told. And what a
 * gateway made of our request, though not as asked, is astray: it goes before anything else is
 * done, again and again if need be, and people are told where it stays.
 *
 * A pinhole that PCP refuses to delete is taken back by other ways (enum mapping_ending): miniupnpd
 * loses the nonce of each one that it renews, and then deletes it for nobody, but goes on to renew
 * it. So it is renewed for a second, of which the gateway makes its shortest lease; UPnP, where the
 * gateway has that for pinholes, opens the same one, which tells its number there, and deletes it;
 * and PCP is asked once more, whose answer decides.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "portmap/engine/engine_internal.h"

#define LEAVE_AGAIN_MS	  500u /* what was misdirected is not left without trying again */
#define AGAIN_MS	  UINT64_C(15000) /* doubles; what was not deleted */
#define ENDING_LIFETIME_S 1u /* of what is not deleted; the gateway makes its shortest of it */

/* ---- left over ---- */

/* It stays at the gateway, as far as is known. */
static void tell_left(const struct portmap_leftover *o, uint64_t now_ms, const char *what)
{
	struct portmap_mapping as = {.want = o->want};
	char name[MAPPING_NAME_BYTES];

	mapping_name(&as, name);
	if (o->until_ms == MAPPING_NEVER)
		log_at(o->maybe ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, "portmap",
		       "%s: %s %s; %sit has no lease, and stays until it is deleted there by hand",
		       name, portmap_protocol_name(o->protocol), what,
		       o->maybe ? "if it is there, " : "");
	else if (o->until_ms > now_ms)
		log_notice("portmap",
			   "%s: %s %s; %sit ends with its lease, in %" PRIu64
			   " s, or delete it there by hand",
			   name, portmap_protocol_name(o->protocol), what,
			   o->maybe ? "if it is there, " : "", (o->until_ms - now_ms + 999) / 1000);
}

static void leftover_remove(struct portmap_engine *e, struct portmap_leftover *o)
{
	struct portmap_leftover **at = &e->leftovers;

	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	e->leftover_count--;
	free(o);
}

void engine_leftovers_free(struct portmap_engine *e)
{
	while (e->leftovers)
		leftover_remove(e, e->leftovers);
}

static bool same_entry(const struct portmap_leftover *a, const struct portmap_leftover *b)
{
	return a->protocol == b->protocol && a->want.transport == b->want.transport &&
	       a->want.family == b->want.family &&
	       addr_equal(&a->request.internal, &b->request.internal) &&
	       addr_port(&a->request.external) == addr_port(&b->request.external);
}

/* To be deleted, in the order in which they came; what is known already is asked for anew. NULL: it
 * is none, or there is no room, which is told. */
static struct portmap_leftover *leftover_add(struct portmap_engine *e,
					     const struct portmap_mapping *m,
					     enum portmap_protocol p,
					     const struct mapping_leftover *left)
{
	uint64_t now_ms = engine_now(e);
	const struct addr *source = &e->source[m->want.family];
	struct portmap_leftover one = {.protocol = p, .want = m->want, .maybe = left->maybe}, *o;
	struct portmap_leftover **end = &e->leftovers;

	if (left->external.len == 0 || now_ms >= left->until_ms)
		return NULL;
	one.until_ms = left->until_ms;
	one.due_ms = now_ms;
	mapping_request(m, source, &one.request);
	one.request.internal = m->want.host.len > 0 ? m->want.host : *source;
	addr_set_port(&one.request.internal, m->want.internal);
	one.request.external = left->external;
	for (; (o = *end); end = &o->next) {
		if (!same_entry(o, &one))
			continue;
		o->maybe = o->maybe && one.maybe;
		o->taken = false;
		if (o->until_ms < one.until_ms)
			o->until_ms = one.until_ms;
		return o;
	}
	o = e->leftover_count < PORTMAP_LEFTOVERS_MAX ? malloc(sizeof *o) : NULL;
	if (!o) {
		tell_left(&one, now_ms, "is not asked to delete it, as too much is to be deleted");
		return NULL;
	}
	*o = one;
	*end = o;
	e->leftover_count++;
	paths_look_for(e, p, m->want.family);
	return o;
}

/* A protocol keeps one entry of a mapping in mind; UPnP may have others at other places outside,
 * which go. */
static void leave_over_at(struct portmap_engine *e, struct portmap_mapping *m,
			  enum portmap_protocol p, const struct mapping_leftover *left)
{
	struct mapping_leftover *old = &m->left[p];

	if (old->there && p == PORTMAP_UPNP &&
	    addr_port(&old->external) != addr_port(&left->external))
		(void)leftover_add(e, m, p, old);
	*old = *left;
}

void engine_leave_over(struct portmap_engine *e, struct portmap_mapping *m)
{
	if (m->external.len == 0)
		return;
	leave_over_at(e, m, m->protocol,
		      &(struct mapping_leftover){.there = true,
						 .external = m->external,
						 .until_ms = mapping_expiry(m)});
}

void engine_maybe_left_over(struct portmap_engine *e, struct portmap_mapping *m)
{
	const struct mapping_leftover *old = &m->left[m->via];
	struct mapping_leftover left = {.there = true, .maybe = true};

	if (mapping_held(m) && m->via == m->protocol)
		return;
	left.external = paths_place_of(e, m, &(struct addr){.len = 0});
	left.until_ms = m->want.lifetime_s == 0
				? MAPPING_NEVER
				: engine_now(e) + m->want.lifetime_s * UINT64_C(1000);
	if (!old->there ||
	    (m->via == PORTMAP_UPNP && addr_port(&old->external) != addr_port(&left.external)))
		leave_over_at(e, m, m->via, &left);
}

static void leftover_goes(struct portmap_engine *e, struct portmap_mapping *m, unsigned p)
{
	(void)leftover_add(e, m, (enum portmap_protocol)p, &m->left[p]);
	m->left[p].there = false;
}

void engine_leftovers_go(struct portmap_engine *e, struct portmap_mapping *m)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
		if (m->left[p].there)
			leftover_goes(e, m, p);
}

void engine_leftovers_but(struct portmap_engine *e, struct portmap_mapping *m, uint16_t port)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
		if (m->left[p].there && addr_port(&m->left[p].external) != port)
			leftover_goes(e, m, p);
}

/* The same place is one entry on most gateways, and wanted. */
void engine_leftovers_beside(struct portmap_engine *e, struct portmap_mapping *m)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
		if (m->left[p].there && e->paths[p][m->want.family].state == PATH_THERE &&
		    addr_port(&m->left[p].external) != addr_port(&m->external))
			leftover_goes(e, m, p);
}

/* Its deletion may take along what this mapping has, or is about to get, by this protocol: UPnP
 * names an entry by its port outside, the others by that inside; and most gateways have one table
 * of ports outside. */
static bool leftover_touches(const struct portmap_leftover *o, const struct portmap_mapping *m,
			     enum portmap_protocol by)
{
	uint16_t port = m->external.len > 0 ? addr_port(&m->external) : m->ask_port;

	if (m->want.transport != o->want.transport || m->want.family != o->want.family)
		return false;
	return port == addr_port(&o->request.external) ||
	       (by == o->protocol && by != PORTMAP_UPNP && portmap_want_same(&m->want, &o->want));
}

void engine_leftovers_granted(struct portmap_engine *e, const struct portmap_mapping *granted)
{
	struct portmap_mapping *m = portmap_engine_find(e, granted->id);
	struct mapping_leftover *left = &m->left[m->protocol];

	if (left->there && m->protocol == PORTMAP_UPNP &&
	    addr_port(&left->external) != addr_port(&m->external))
		(void)leftover_add(e, m, m->protocol, left);
	left->there = false;
	for (struct portmap_leftover *o = e->leftovers, *next; o; o = next) {
		next = o->next;
		if (o->protocol != m->protocol || !leftover_touches(o, m, m->protocol))
			continue;
		if (o->asked)
			o->taken = true;
		else
			leftover_remove(e, o);
	}
}

/* It is in nobody's way, and the driver is doing nothing else for this id. */
static bool leftover_free(const struct portmap_engine *e, const struct portmap_leftover *o)
{
	for (const struct portmap_mapping *m = e->mappings; m; m = m->next) {
		bool asks = m->step == MAPPING_ASKING || mapping_held(m) || m->kept;

		if (asks && (leftover_touches(o, m, m->protocol) || leftover_touches(o, m, m->via)))
			return false;
		if (m->id == o->request.id && m->via == o->protocol && mapping_in_flight(m))
			return false;
	}
	for (const struct portmap_leftover *x = e->leftovers; x; x = x->next)
		if (x->asked && x->protocol == o->protocol && x->request.id == o->request.id)
			return false;
	return e->paths[o->protocol][o->want.family].state == PATH_THERE;
}

bool engine_leftovers_send(struct portmap_engine *e, uint64_t now_ms)
{
	for (struct portmap_leftover *o = e->leftovers; o; o = o->next) {
		struct portmap_driver *d = e->paths[o->protocol][o->want.family].driver;

		if (o->asked || o->due_ms > now_ms || !leftover_free(e, o))
			continue;
		o->asked = true;
		o->due_ms = now_ms + PORTMAP_ANSWER_MS;
		e->counts.deletions++;
		d->unmap(d, &o->request);
		return true;
	}
	return false;
}

uint64_t engine_leftovers_before(const struct portmap_engine *e, const struct portmap_mapping *m,
				 enum portmap_protocol p, uint64_t now_ms)
{
	for (const struct portmap_leftover *o = e->leftovers; o; o = o->next) {
		if (o->protocol != p || o->want.family != m->want.family ||
		    !portmap_want_same(&o->want, &m->want) ||
		    addr_port(&o->request.external) == m->ask_port)
			continue;
		if (o->asked)
			return o->due_ms;
		if (o->due_ms <= now_ms && leftover_free(e, o))
			return now_ms + PORTMAP_SPACING_MS;
	}
	return 0;
}

uint64_t engine_leftovers_next(const struct portmap_engine *e)
{
	uint64_t due = MAPPING_NEVER;

	for (const struct portmap_leftover *o = e->leftovers; o; o = o->next) {
		uint64_t own = o->asked || o->due_ms > e->free_ms ? o->due_ms : e->free_ms;

		if (own < due && (o->asked || leftover_free(e, o)))
			due = own;
	}
	return due;
}

bool engine_leftovers_of(const struct portmap_engine *e, enum portmap_family f)
{
	for (const struct portmap_leftover *o = e->leftovers; o; o = o->next)
		if (o->want.family == f)
			return true;
	return false;
}

void engine_leftovers_pause(struct portmap_engine *e, enum portmap_protocol p, uint32_t id)
{
	struct portmap_driver *d;

	for (struct portmap_leftover *o = e->leftovers; o; o = o->next) {
		if (!o->asked || o->protocol != p || o->request.id != id)
			continue;
		d = e->paths[p][o->want.family].driver;
		d->forget(d, id);
		o->asked = false;
		o->due_ms = engine_now(e);
	}
}

void engine_leftovers_path(struct portmap_engine *e, enum portmap_protocol p, enum portmap_family f)
{
	for (struct portmap_leftover *o = e->leftovers; o; o = o->next) {
		if (o->protocol != p || o->want.family != f)
			continue;
		o->asked = false;
		o->due_ms = engine_now(e);
	}
}

/* Asked again, each time later, as long as there is a point in it; while leaving once. */
static void leftover_failed(struct portmap_engine *e, struct portmap_leftover *o, uint64_t now_ms)
{
	bool leaving = e->mode == ENGINE_LEAVING;

	o->asked = false;
	o->due_ms = now_ms + (leaving ? LEAVE_AGAIN_MS : AGAIN_MS << (o->tries < 7 ? o->tries : 7));
	o->tries++;
	for (struct portmap_mapping *m = e->mappings; m && !leaving; m = m->next)
		if (m->step == MAPPING_WAITING && portmap_want_same(&m->want, &o->want) &&
		    m->rounds == 0)
			m->due_ms = now_ms;
	if (o->taken) {
		leftover_remove(e, o);
	} else if (o->tries > (leaving ? 1 : PORTMAP_UNWANTED_MAX)) {
		tell_left(o, now_ms, "was asked again and again to delete it, and did not");
		leftover_remove(e, o);
	} else if (o->tries == 1) {
		tell_left(o, now_ms, "did not delete it, or did not answer, and is asked again");
	}
}

/* What was granted meanwhile may be gone as well. */
static void leftover_gone(struct portmap_engine *e, struct portmap_leftover *o)
{
	for (struct portmap_mapping *m = e->mappings; m && e->mode == ENGINE_HERE; m = m->next) {
		if (m->step == MAPPING_WAITING && portmap_want_same(&m->want, &o->want) &&
		    m->rounds == 0)
			m->due_ms = engine_now(e);
		if (!leftover_touches(o, m, m->protocol))
			continue;
		if (m->step == MAPPING_HELD)
			m->due_ms = m->renew_ms = engine_now(e);
		m->undone |= m->step == MAPPING_ASKING || m->step == MAPPING_RENEWING;
	}
	leftover_remove(e, o);
}

void engine_leftovers_age(struct portmap_engine *e, uint64_t now_ms)
{
	for (struct portmap_leftover *o = e->leftovers, *next; o; o = next) {
		struct portmap_driver *d = e->paths[o->protocol][o->want.family].driver;

		next = o->next;
		if (o->asked && o->due_ms <= now_ms) {
			d->forget(d, o->request.id);
			leftover_failed(e, o, now_ms);
		} else if (!o->asked && o->until_ms <= now_ms) {
			leftover_remove(e, o);
		}
	}
}

void engine_leftovers_leave(struct portmap_engine *e)
{
	for (struct portmap_leftover *o = e->leftovers, *next; o; o = next) {
		next = o->next;
		o->asked = false;
		o->due_ms = engine_now(e);
		if (e->keep[o->want.family])
			continue;
		tell_left(o, engine_now(e), "could not be asked to delete it before natd left");
		leftover_remove(e, o);
	}
}

const struct portmap_leftover *portmap_engine_deleting(const struct portmap_engine *e,
						       enum portmap_protocol p, uint32_t id)
{
	for (const struct portmap_leftover *o = e->leftovers; o; o = o->next)
		if (o->asked && o->protocol == p && o->request.id == id)
			return o;
	return NULL;
}

/* The answer to a deletion from the list. */
static void leftover_heard(struct portmap_engine *e, enum portmap_protocol p, uint32_t id, bool ok)
{
	struct portmap_leftover *o = e->leftovers;

	while (o && (!o->asked || o->protocol != p || o->request.id != id))
		o = o->next;
	if (o && ok)
		leftover_gone(e, o);
	else if (o)
		leftover_failed(e, o, engine_now(e));
}

/* ---- let go ---- */

/* When a gateway forgets what is asked of it now, at the latest. */
static uint64_t forgotten_ms(struct portmap_engine *e, const struct portmap_mapping *m)
{
	return m->want.lifetime_s == 0 ? MAPPING_NEVER
				       : engine_now(e) + m->want.lifetime_s * UINT64_C(1000);
}

/* This host has another mapping of that port inside. */
static bool another_leads_to(const struct portmap_engine *e, const struct portmap_mapping *m,
			     uint16_t port)
{
	for (const struct portmap_mapping *x = e->mappings; x; x = x->next)
		if (x != m && x->want.transport == m->want.transport &&
		    x->want.family == m->want.family && x->want.internal == port)
			return true;
	return false;
}

/* The answer to what is asked will not be heard: a gateway that maps a port to the same one inside
 * only may have done that. */
static void may_be_astray(struct portmap_engine *e, struct portmap_mapping *m)
{
	struct portmap_request r;

	if (m->step != MAPPING_ASKING || m->ask_port == m->want.internal ||
	    another_leads_to(e, m, m->ask_port))
		return;
	mapping_request(m, &e->source[m->want.family], &r);
	m->astray = (struct mapping_astray){.there = true,
					    .maybe = true,
					    .inside = r.internal,
					    .outside = r.external,
					    .until_ms = forgotten_ms(e, m)};
	addr_set_port(&m->astray.inside, m->ask_port);
}

void engine_let_go(struct portmap_engine *e, struct portmap_mapping *m)
{
	if (m->step != MAPPING_ASKING && !mapping_held(m))
		return;
	if (m->step == MAPPING_RENEWING)
		engine_maybe_left_over(e, m);
	may_be_astray(e, m);
	if (m->step == MAPPING_ASKING && m->external.len == 0) {
		m->external = paths_place_of(e, m, &(struct addr){.len = 0});
		m->granted_ms = engine_now(e);
		m->lifetime_s = m->want.lifetime_s;
	}
	engine_forget(e, m); /* what was asked for may be granted all the same */
	engine_step(m, MAPPING_LEAVING, engine_now(e));
}

void engine_gone(struct portmap_engine *e, struct portmap_mapping *m)
{
	engine_wait_until(m, e->mode == ENGINE_HERE ? engine_now(e) : MAPPING_NEVER);
	if (!m->wanted || e->mode == ENGINE_LEAVING)
		engine_leftovers_go(e, m);
	if (!m->wanted)
		engine_remove(e, m);
}

void engine_let_later(struct portmap_engine *e, struct portmap_mapping *m, bool failed)
{
	struct mapping_leftover left = {.external = m->external, .until_ms = mapping_expiry(m)};
	struct portmap_leftover *o;

	if (m->astray.there)
		return;
	o = leftover_add(e, m, m->protocol, &left);
	if (o && failed && m->ending == ENDING_ASKED_AGAIN) { /* all ways were tried */
		tell_left(o, engine_now(e), "did not delete it, or did not answer");
		leftover_remove(e, o);
	} else if (o && failed) {
		leftover_failed(e, o, engine_now(e));
	}
}

bool engine_unmap(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	struct portmap_driver *d = e->paths[m->protocol][m->want.family].driver;
	struct portmap_request r;

	if (!d || (e->paths[m->protocol][m->want.family].state != PATH_THERE && !m->astray.there)) {
		engine_let_later(e, m, false);
		engine_gone(e, m);
		return false;
	}
	m->via = m->protocol;
	m->ending = ENDING_ASKED;
	mapping_request(m, &e->source[m->want.family], &r);
	engine_step(m, MAPPING_UNMAPPING, now_ms + PORTMAP_ANSWER_MS);
	e->counts.deletions++;
	engine_leftovers_pause(e, m->via, m->id);
	d->unmap(d, &r);
	return true;
}

/* ---- astray ---- */

void engine_left_open(const struct portmap_mapping *m)
{
	char inside[ADDR_TEXT_BYTES], name[MAPPING_NAME_BYTES];

	mapping_name(m, name);
	addr_format(&m->astray.inside, inside);
	log_warning("portmap",
		    "%s: the gateway still leads %s port %u to %s, which was not asked for; delete "
		    "that there by hand",
		    name, portmap_transport_name(m->want.transport), addr_port(&m->astray.outside),
		    inside);
}

void engine_give_back(struct portmap_engine *e, struct portmap_mapping *m, const struct addr *place,
		      uint64_t now_ms)
{
	char why[PORTMAP_TEXT_BYTES];
	struct portmap_request asked;

	snprintf(why, sizeof why,
		 m->want.any
			 ? "the gateway offers port %u in place of %u, which is another host's or "
			   "not allowed; one below 1024 is only taken where it is asked for: ask "
			   "for "
			   "another one%s"
			 : "the gateway offers port %u in place of %u, which is another host's or "
			   "not allowed; ask for another one, or take any with external: any%s",
		 addr_port(place), m->want.external, portmap_low_port_hint(m->want.external));
	engine_move(e, m);
	mapping_request(m, &e->source[m->want.family], &asked);
	m->astray = (struct mapping_astray){.there = true,
					    .first_gone = true,
					    .inside = asked.internal,
					    .outside = *place,
					    .until_ms = forgotten_ms(e, m)};
	m->external = *place;
	m->ask_port = m->want.external;
	m->tried = ENGINE_ALL_TRIED;
	engine_step(m, MAPPING_LEAVING, now_ms);
	e->counts.failures[PORTMAP_CONFLICT]++;
	engine_note_failure(m, PORTMAP_CONFLICT, why);
	engine_set_state(e, m, MAPPING_CONFLICTING, "%s", why);
}

void engine_take_back(struct portmap_engine *e, struct portmap_mapping *m,
		      const struct portmap_refusal *r, uint64_t now_ms)
{
	engine_move(e, m);
	m->astray = (struct mapping_astray){.there = true,
					    .inside = r->inside,
					    .outside = r->outside,
					    .until_ms = forgotten_ms(e, m)};
	m->external = r->outside;
	m->ask_port = m->want.external;
	m->tried |= 1u << m->protocol;
	engine_step(m, MAPPING_LEAVING, now_ms);
	engine_note_failure(m, r->failure, r->why);
	engine_set_state(e, m, mapping_state_of(r->failure), "%s", r->why);
}

/* The gateway keeps what it misdirected: people are told, and it is tried again. */
static void still_astray(struct portmap_engine *e, struct portmap_mapping *m)
{
	char inside[ADDR_TEXT_BYTES];
	uint64_t wait = UINT64_C(15000) << (m->astray.tries < 7 ? m->astray.tries : 7);

	m->astray.tries++;
	if (engine_now(e) >= m->astray.until_ms) { /* its lease is over */
		engine_gone(e, m);
		return;
	}
	if (!m->wanted &&
	    (m->astray.tries > PORTMAP_UNWANTED_MAX || e->count > PORTMAP_MAPPINGS_MAX)) {
		engine_left_open(m);
		engine_gone(e, m);
		return;
	}
	if (e->mode == ENGINE_LEAVING)
		wait = LEAVE_AGAIN_MS;
	addr_format(&m->astray.inside, inside);
	engine_step(m, MAPPING_LEAVING, engine_now(e) + wait);
	engine_set_state(
		e, m, MAPPING_MISDIRECTED,
		"the gateway leads %s port %u to %s and does not take that back; delete it "
		"there by hand",
		portmap_transport_name(m->want.transport), addr_port(&m->astray.outside), inside);
}

/* ---- answers ---- */

/* NAT-PMP deletes by the port inside alone (RFC 6886 section 3.4): what leads there as it should is
 * gone with what was astray, and is made anew at once. */
static void renew_beside(struct portmap_engine *e, const struct portmap_mapping *astray)
{
	uint64_t now_ms = engine_now(e);

	for (struct portmap_mapping *m = e->mappings; m && e->mode == ENGINE_HERE; m = m->next) {
		if (m == astray || !m->wanted || m->want.family != PORTMAP_IPV4 ||
		    m->want.transport != astray->want.transport || m->want.host.len > 0 ||
		    m->want.internal != addr_port(&astray->astray.inside))
			continue;
		if (m->step == MAPPING_HELD)
			m->due_ms = m->renew_ms = now_ms;
		m->undone = m->step == MAPPING_ASKING || m->step == MAPPING_RENEWING;
	}
}

/* What it misdirected is gone only when the gateway says so; then what was asked for is deleted as
 * well, since a gateway may keep both. */
void engine_unmapped(struct portmap_engine *e, struct portmap_mapping *m, bool ok)
{
	if (m->astray.there && !m->astray.first_gone && m->protocol == PORTMAP_NATPMP)
		renew_beside(e, m);
	if (!ok)
		engine_let_later(e, m, true);
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS && ok && !m->astray.there; p++)
		if (addr_port(&m->left[p].external) == addr_port(&m->external))
			m->left[p].maybe = true; /* one entry on most gateways, and gone */
	if (!m->astray.there || (m->astray.first_gone && (ok || m->astray.maybe))) {
		engine_gone(e, m);
	} else if (ok || m->astray.maybe) {
		m->astray.first_gone = true;
		engine_step(m, MAPPING_LEAVING, engine_now(e));
	} else {
		still_astray(e, m);
	}
}

/* The next way to end a pinhole, asked of this protocol. */
static void ending_ask(struct portmap_engine *e, struct portmap_mapping *m,
		       enum mapping_ending ending)
{
	bool by_upnp = ending == ENDING_TAKEN_OVER || ending == ENDING_DELETED;
	struct portmap_driver *d;
	struct portmap_request r;

	m->ending = ending;
	m->via = by_upnp ? PORTMAP_UPNP : m->protocol;
	m->due_ms = engine_now(e) + PORTMAP_ANSWER_MS;
	d = e->paths[m->via][m->want.family].driver;
	mapping_request(m, &e->source[m->want.family], &r);
	if (ending == ENDING_SHORTENED || ending == ENDING_TAKEN_OVER) {
		r.lifetime_s = ENDING_LIFETIME_S;
		d->map(d, &r);
		return;
	}
	e->counts.deletions++;
	d->unmap(d, &r);
}

/* The mapping that awaits this answer on the way to its end; else NULL. */
static struct portmap_mapping *ending_of(struct portmap_engine *e, enum portmap_protocol p,
					 uint32_t id)
{
	struct portmap_mapping *m = portmap_engine_find(e, id);

	if (!m || m->step != MAPPING_UNMAPPING || m->via != p)
		return NULL;
	return m;
}

/* An answer to map(); lifetime_s 0: it failed. */
static bool ending_heard(struct portmap_engine *e, enum portmap_protocol p, uint32_t id,
			 uint32_t lifetime_s)
{
	struct portmap_mapping *m = ending_of(e, p, id);

	if (!m || (m->ending != ENDING_SHORTENED && m->ending != ENDING_TAKEN_OVER))
		return false;
	if (lifetime_s > 0) {
		m->granted_ms = engine_now(e);
		m->lifetime_s = lifetime_s;
	}
	if (m->ending == ENDING_TAKEN_OVER)
		ending_ask(e, m, lifetime_s > 0 ? ENDING_DELETED : ENDING_ASKED_AGAIN);
	else if (e->paths[PORTMAP_UPNP][m->want.family].state == PATH_THERE)
		ending_ask(e, m, ENDING_TAKEN_OVER);
	else
		ending_ask(e, m, ENDING_ASKED_AGAIN);
	engine_rearm(e);
	return true;
}

bool engine_ending_mapped(struct portmap_engine *e, enum portmap_protocol p, uint32_t id,
			  uint32_t lifetime_s)
{
	return ending_heard(e, p, id, lifetime_s);
}

bool engine_ending_failed(struct portmap_engine *e, enum portmap_protocol p, uint32_t id)
{
	return ending_heard(e, p, id, 0);
}

/* An answer to unmap(). False: that is the end. */
static bool ending_goes_on(struct portmap_engine *e, enum portmap_protocol p, uint32_t id, bool ok)
{
	struct portmap_mapping *m = ending_of(e, p, id);

	if (!m || m->want.family != PORTMAP_IPV6 || m->protocol != PORTMAP_PCP || m->astray.there)
		return false;
	if (m->ending == ENDING_ASKED && !ok)
		ending_ask(e, m, ENDING_SHORTENED);
	else if (m->ending == ENDING_DELETED)
		ending_ask(e, m, ENDING_ASKED_AGAIN);
	else
		return false;
	engine_rearm(e);
	return true;
}

static void taking_back_heard_unmapped(struct portmap_heard *h, enum portmap_protocol p,
				       uint32_t id, bool ok)
{
	struct portmap_engine *e = ENGINE_OF(h);
	struct portmap_mapping *m = portmap_engine_find(e, id);

	if (ending_goes_on(e, p, id, ok))
		return;
	if (m && m->protocol == p && m->step == MAPPING_UNMAPPING)
		engine_unmapped(e, m, ok);
	else
		leftover_heard(e, p, id, ok);
	engine_maybe_left(e);
	engine_rearm(e);
}

void taking_back_init_heard(struct portmap_heard *h)
{
	h->unmapped = taking_back_heard_unmapped;
}
