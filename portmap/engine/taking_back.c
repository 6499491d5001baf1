/* SPDX-License-Identifier: Apache-2.0 */
/*
 * taking_back: what is at the gateway and is to go.
 *
 * Three kinds of that. What is held and not wanted any more, there or at all, is let go: LEAVING
 * and UNMAPPING. What a protocol still holds of a mapping that moved on to another one, or may have
 * done without a word, is a leftover: it is deleted when it is in nobody's way any more. And what a
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
#include <string.h>

#include "core/log.h"
#include "portmap/engine/engine_internal.h"

#define LEAVE_AGAIN_MS	  500u /* what was misdirected is not left without trying again */
#define ENDING_LIFETIME_S 1u   /* of what is not deleted; the gateway makes its shortest of it */

/* ---- left over ---- */

void engine_leave_over(struct portmap_mapping *m)
{
	if (m->external.len == 0)
		return;
	m->left[m->protocol] = (struct mapping_leftover){
		.there = true, .external = m->external, .until_ms = mapping_expiry(m)};
}

void engine_maybe_left_over(struct portmap_engine *e, struct portmap_mapping *m)
{
	struct mapping_leftover *left = &m->left[m->via];

	if (left->there || (mapping_held(m) && m->via == m->protocol))
		return;
	*left = (struct mapping_leftover){.there = true, .maybe = true};
	left->external = paths_place_of(e, m, &(struct addr){.len = 0});
	left->until_ms = m->want.lifetime_s == 0
				 ? MAPPING_NEVER
				 : engine_now(e) + m->want.lifetime_s * UINT64_C(1000);
}

bool engine_delete_leftover(struct portmap_engine *e, struct portmap_mapping *m)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		struct portmap_path *path = &e->paths[p][m->want.family];
		struct mapping_leftover *left = &m->left[p];
		struct portmap_request r;

		if (!left->there || left->asked || path->state != PATH_THERE)
			continue;
		/* The same place is one entry on most gateways, and wanted. */
		if (mapping_held(m) && addr_port(&left->external) == addr_port(&m->external))
			continue;
		mapping_request(m, &e->source[m->want.family], &r);
		r.external = left->external;
		left->asked = true;
		e->counts.deletions++;
		path->driver->unmap(path->driver, &r);
		return true;
	}
	return false;
}

/* ---- let go ---- */

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
static void may_be_astray(const struct portmap_engine *e, struct portmap_mapping *m)
{
	struct portmap_request r;

	if (m->step != MAPPING_ASKING || m->ask_port == m->want.internal ||
	    another_leads_to(e, m, m->ask_port))
		return;
	mapping_request(m, &e->source[m->want.family], &r);
	m->astray = (struct mapping_astray){
		.there = true, .maybe = true, .inside = r.internal, .outside = r.external};
	addr_set_port(&m->astray.inside, m->ask_port);
}

void engine_let_go(struct portmap_engine *e, struct portmap_mapping *m)
{
	if (m->step != MAPPING_ASKING && !mapping_held(m))
		return;
	if (m->step == MAPPING_RENEWING)
		engine_maybe_left_over(e, m);
	may_be_astray(e, m);
	engine_forget(e, m); /* what was asked for may be granted all the same */
	engine_step(m, MAPPING_LEAVING, engine_now(e));
}

void engine_gone(struct portmap_engine *e, struct portmap_mapping *m)
{
	engine_wait_until(m, e->mode == ENGINE_HERE ? engine_now(e) : MAPPING_NEVER);
	if (!m->wanted)
		engine_remove(e, m);
}

bool engine_unmap(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	struct portmap_driver *d = e->paths[m->protocol][m->want.family].driver;
	struct portmap_request r;

	if (!d || (e->paths[m->protocol][m->want.family].state != PATH_THERE && !m->astray.there)) {
		engine_gone(e, m);
		return false;
	}
	m->via = m->protocol;
	m->ending = ENDING_ASKED;
	mapping_request(m, &e->source[m->want.family], &r);
	engine_step(m, MAPPING_UNMAPPING, now_ms + PORTMAP_ANSWER_MS);
	e->counts.deletions++;
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
	m->astray = (struct mapping_astray){
		.there = true, .first_gone = true, .inside = asked.internal, .outside = *place};
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
	m->astray =
		(struct mapping_astray){.there = true, .inside = r->inside, .outside = r->outside};
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

/* It stays at the gateway. What was misdirected has its own words: still_astray(). */
static void tell_undeleted(const struct portmap_mapping *m, enum portmap_protocol p,
			   uint64_t now_ms)
{
	bool own = m->protocol == p && m->step == MAPPING_UNMAPPING;
	uint64_t until_ms = own ? mapping_expiry(m) : m->left[p].until_ms;
	char name[MAPPING_NAME_BYTES];

	if (own && m->astray.there)
		return;
	mapping_name(m, name);
	if (until_ms == MAPPING_NEVER)
		log_warning(
			"portmap",
			"%s: %s did not delete it, or did not answer; it has no lease, and stays "
			"until it is deleted there by hand",
			name, portmap_protocol_name(p));
	else if (until_ms > now_ms)
		log_notice(
			"portmap",
			"%s: %s did not delete it, or did not answer; it ends with its lease, in "
			"%" PRIu64 " s, or delete it there by hand",
			name, portmap_protocol_name(p), (until_ms - now_ms + 999) / 1000);
}

static void taking_back_heard_unmapped(struct portmap_heard *h, enum portmap_protocol p,
				       uint32_t id, bool ok)
{
	struct portmap_engine *e = ENGINE_OF(h);
	struct portmap_mapping *m = portmap_engine_find(e, id);

	if (ending_goes_on(e, p, id, ok))
		return;
	if (!ok && m)
		tell_undeleted(m, p, engine_now(e));
	if (m && m->left[p].there && m->left[p].asked)
		m->left[p].there = false;
	if (m && m->protocol == p && m->step == MAPPING_UNMAPPING)
		engine_unmapped(e, m, ok);
	engine_maybe_left(e);
	engine_rearm(e);
}

void taking_back_init_heard(struct portmap_heard *h)
{
	h->unmapped = taking_back_heard_unmapped;
}
