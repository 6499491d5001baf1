/* SPDX-License-Identifier: Apache-2.0 */
/* engine: the state machine of a mapping: its time, requests to the gateway, and the answers. */
#include "portmap/engine/engine.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/probe.h"
#include "core/random.h"
#include "portmap/engine/engine_internal.h"

#define OTHER_PORT_FIRST 20000u
#define OTHER_PORTS	 40000u
#define LOW_PORTS	 1024u
#define ALL_TRIED	 ((1u << PORTMAP_PROTOCOLS) - 1)
#define RENEW_LEAST_MS	 4000u
#define LEAVE_SPACING_MS 5u

/* ---- mappings ---- */

struct portmap_mapping *portmap_engine_find(const struct portmap_engine *e, uint32_t id)
{
	struct portmap_mapping *m = e->mappings;

	while (m && m->id != id)
		m = m->next;
	return m;
}

void engine_remove(struct portmap_engine *e, struct portmap_mapping *m)
{
	struct portmap_mapping **at = &e->mappings;

	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	e->count--;
	free(m);
}

void portmap_engine_free(struct portmap_engine *e)
{
	while (e->mappings)
		engine_remove(e, e->mappings);
}

static struct portmap_driver *driver_of(struct portmap_engine *e, const struct portmap_mapping *m)
{
	return e->paths[m->protocol][m->want.family].driver;
}

/* ---- states, which people are told ---- */

/* A mapping that works or was lost matters; one that no gateway here offers is worth a look only.
 */
static enum log_level level_of(enum mapping_state old, enum mapping_state state)
{
	if (state == MAPPING_CONFLICTING || state == MAPPING_REFUSED)
		return LOG_LEVEL_WARNING;
	if (state == MAPPING_UNSUPPORTED && old == MAPPING_REQUESTED)
		return LOG_LEVEL_INFO;
	return LOG_LEVEL_NOTICE;
}

void engine_set_state(struct portmap_engine *e, struct portmap_mapping *m, enum mapping_state state,
		      const char *format, ...)
{
	enum mapping_state old = m->state;
	char name[MAPPING_NAME_BYTES], why[MAPPING_WHY_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof why, format, args);
	va_end(args);
	if (old == state && strcmp(why, m->why) == 0)
		return;
	memcpy(m->why, why, sizeof m->why);
	if (old != state) {
		PROBE_MAPPING_STATE(m->id, mapping_state_name(old), mapping_state_name(state),
				    m->why);
		m->state = state;
		m->since_ms = engine_now(e);
		m->changes[state]++;
		if (state != MAPPING_VERIFIED)
			m->proof[0] = '\0';
		if (old == MAPPING_VERIFIED)
			m->unproven_ms = m->since_ms;
		else if (state == MAPPING_MAPPED)
			m->mapped_ms = m->since_ms;
	}
	mapping_name(m, name);
	if (old == state)
		log_info("portmap", "%s: still %s: %s", name, mapping_state_name(state), why);
	else
		log_at(level_of(old, state), "portmap", "%s: %s -> %s: %s", name,
		       mapping_state_name(old), mapping_state_name(state), why);
	e->owner->mapping_changed(e->owner, m, old);
}

/* ---- steps, which the engine takes ---- */

#define STEP(s) (1u << MAPPING_##s)

/* Which steps may follow; as the enum says. */
static const unsigned followers[] = {
	[MAPPING_WAITING] = STEP(WAITING) | STEP(ASKING),
	[MAPPING_ASKING] = STEP(WAITING) | STEP(HELD) | STEP(LEAVING),
	[MAPPING_HELD] = STEP(WAITING) | STEP(RENEWING) | STEP(LEAVING),
	[MAPPING_RENEWING] = STEP(WAITING) | STEP(HELD) | STEP(LEAVING),
	[MAPPING_LEAVING] = STEP(WAITING) | STEP(UNMAPPING),
	[MAPPING_UNMAPPING] = STEP(WAITING),
};
static_assert(sizeof followers / sizeof *followers == MAPPING_UNMAPPING + 1, "a row each");

/* The one way to a step, and its time. */
static void take_step(struct portmap_mapping *m, enum mapping_step step, uint64_t due_ms)
{
	assert(followers[m->step] & 1u << step);
	m->step = step;
	m->due_ms = due_ms;
}

void engine_hold(struct portmap_mapping *m, uint64_t due_ms)
{
	take_step(m, MAPPING_HELD, due_ms);
}

/* Nothing of it is at the gateway any more, as far as is known. */
static void mapping_wait_until(struct portmap_mapping *m, uint64_t due_ms)
{
	take_step(m, MAPPING_WAITING, due_ms);
	m->external.len = 0;
	m->kept = false;
}

static void leave_over(struct portmap_mapping *m)
{
	if (m->external.len == 0)
		return;
	m->left[m->protocol] = (struct mapping_leftover){
		.there = true, .external = m->external, .until_ms = mapping_expiry(m)};
}

/* Nothing is awaited of the gateway any more. */
static void engine_forget(struct portmap_engine *e, const struct portmap_mapping *m)
{
	if (mapping_in_flight(m) && driver_of(e, m))
		driver_of(e, m)->forget(driver_of(e, m), m->id);
}

void engine_lost(struct portmap_engine *e, struct portmap_mapping *m)
{
	engine_forget(e, m);
	if (mapping_held(m)) {
		leave_over(m);
		m->ask_port = addr_port(&m->external);
	}
	mapping_new_round(m);
	mapping_wait_until(m, e->mode == ENGINE_HERE ? engine_now(e) : MAPPING_NEVER);
}

void engine_keep(struct portmap_engine *e, struct portmap_mapping *m)
{
	if (!mapping_held(m))
		return;
	engine_forget(e, m);
	take_step(m, MAPPING_WAITING, MAPPING_NEVER);
	m->kept = true;
	mapping_new_round(m);
}

void engine_let_go(struct portmap_engine *e, struct portmap_mapping *m)
{
	if (m->step != MAPPING_ASKING && !mapping_held(m))
		return;
	engine_forget(e, m); /* what was asked for may be granted all the same */
	take_step(m, MAPPING_LEAVING, engine_now(e));
}

/* Let go, after which nothing of it is at the gateway. */
static void step_gone(struct portmap_engine *e, struct portmap_mapping *m)
{
	mapping_wait_until(m, e->mode == ENGINE_HERE ? engine_now(e) : MAPPING_NEVER);
	if (!m->wanted)
		engine_remove(e, m);
}

void engine_await_network(struct portmap_engine *e, struct portmap_mapping *m, const char *why)
{
	take_step(m, MAPPING_WAITING, MAPPING_NEVER);
	if (m->kept && m->wanted)
		return;
	m->kept = false;
	m->external.len = 0;
	m->rounds = m->others = 0;
	m->no_external = false;
	m->ask_port = m->want.external;
	memset(m->left, 0, sizeof m->left);
	mapping_new_round(m);
	if (!m->wanted) {
		engine_remove(e, m);
		return;
	}
	if (why)
		engine_set_state(e, m, MAPPING_REQUESTED, "%s", why);
	proof_forget(m);
}

/* No path is left to ask: what that means, and when all are asked again. */
static void step_settle(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	enum portmap_failure worst;
	enum mapping_state state;
	const char *why;
	char names[64];
	bool ever;

	if (m->kept)
		leave_over(m);
	m->kept = false;
	m->external.len = 0;
	if (e->source[m->want.family].len == 0) {
		engine_set_state(e, m, MAPPING_UNSUPPORTED, "this network has no %s gateway",
				 m->want.family == PORTMAP_IPV6 ? "IPv6" : "IPv4");
		m->due_ms = MAPPING_NEVER;
		return;
	}
	ever = paths_add_failures(e, m);
	worst = mapping_worst(m, &why);
	paths_names(e, m->want.family, names);
	if (worst == PORTMAP_FAILURES)
		worst = PORTMAP_UNSUPPORTED;
	state = mapping_state_of(worst);
	if (m->own_leftover) {
		worst = PORTMAP_SILENT;
		engine_set_state(e, m, MAPPING_REQUESTED,
				 "the gateway still has it by another protocol, which is asked "
				 "again; it may work meanwhile");
	} else if (worst == PORTMAP_SILENT && ever)
		engine_set_state(e, m, MAPPING_REQUESTED,
				 "the gateway stopped answering; it is asked again");
	else if (state == MAPPING_UNSUPPORTED && !ever)
		engine_set_state(e, m, state,
				 "the gateway speaks none of %s; switch one on there, or forward "
				 "the port by hand",
				 names[0] ? names : "PCP, NAT-PMP, UPnP");
	else
		engine_set_state(e, m, state, "%s", why);
	mapping_new_round(m);
	m->due_ms = now_ms + mapping_backoff_ms(worst, m->rounds++);
	m->due_ms += random_next(&e->seed) % (mapping_backoff_ms(worst, 0) / 8 + 1);
}

/* ---- requests ---- */

static void send_map(struct portmap_engine *e, struct portmap_mapping *m)
{
	struct portmap_request r;

	mapping_request(m, &e->source[m->want.family], &r);
	if (m->step == MAPPING_RENEWING && m->looking && driver_of(e, m)->look)
		driver_of(e, m)->look(driver_of(e, m), &r);
	else
		driver_of(e, m)->map(driver_of(e, m), &r);
}

static bool step_ask(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	enum portmap_protocol p = PORTMAP_PCP;
	uint64_t again_ms;

	if (!m->wanted) {
		step_gone(e, m);
		return false;
	}
	switch (paths_choose(e, m, now_ms, &p, &again_ms)) {
	case CHOICE_LATER:
		m->due_ms = again_ms;
		return false;
	case CHOICE_NONE:
		step_settle(e, m, now_ms);
		return false;
	default:
		break;
	}
	if (m->kept && m->protocol != p) { /* that one is not there any more */
		leave_over(m);
		m->external.len = 0;
		m->kept = false;
	}
	if (m->protocol != p && m->left[m->protocol].there)
		e->counts.moves++;
	m->protocol = p;
	take_step(m, MAPPING_ASKING, now_ms + PORTMAP_ANSWER_MS);
	if (m->state == MAPPING_REQUESTED)
		engine_set_state(e, m, MAPPING_REQUESTED, "asking by %s for port %u",
				 portmap_protocol_name(p), m->ask_port);
	e->counts.requests++;
	send_map(e, m);
	return true;
}

static bool step_renew(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	uint64_t due_ms = now_ms + PORTMAP_ANSWER_MS;

	if (due_ms > mapping_expiry(m)) /* by then the gateway has forgotten it */
		due_ms = mapping_expiry(m);
	take_step(m, MAPPING_RENEWING, due_ms);
	m->looking = now_ms < m->renew_ms;
	e->counts.renewals++;
	send_map(e, m);
	return true;
}

static bool step_unmap(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	struct portmap_driver *d = driver_of(e, m);
	struct portmap_request r;

	if (!d || e->paths[m->protocol][m->want.family].state != PATH_THERE) {
		step_gone(e, m);
		return false;
	}
	mapping_request(m, &e->source[m->want.family], &r);
	take_step(m, MAPPING_UNMAPPING, now_ms + PORTMAP_ANSWER_MS);
	e->counts.deletions++;
	d->unmap(d, &r);
	return true;
}

/* The step that is due is taken. False when nothing was sent for it. */
static bool step_due(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	switch (m->step) {
	case MAPPING_WAITING:
		return step_ask(e, m, now_ms);
	case MAPPING_HELD:
		return step_renew(e, m, now_ms);
	case MAPPING_LEAVING:
		return step_unmap(e, m, now_ms);
	default:
		return false;
	}
}

bool engine_delete_leftover(struct portmap_engine *e, struct portmap_mapping *m)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		struct portmap_path *path = &e->paths[p][m->want.family];
		struct mapping_leftover *left = &m->left[p];
		struct portmap_request r;

		if (!left->there || left->asked || path->state != PATH_THERE)
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

/* ---- answers: granted ---- */

static void answer_granted(struct portmap_engine *e, struct portmap_mapping *m,
			   const struct addr *place, uint32_t lifetime_s, uint64_t now_ms)
{
	bool same = (m->step == MAPPING_RENEWING || m->kept) && addr_equal(&m->external, place);
	char why[MAPPING_WHY_BYTES];

	m->external = *place;
	m->ask_port = addr_port(place);
	/* A gateway that grants more than was asked for is renewed at our pace all the same. */
	m->lifetime_s = lifetime_s < m->want.lifetime_s ? lifetime_s : m->want.lifetime_s;
	m->granted_ms = now_ms;
	m->renewals = m->rounds = m->others = 0;
	m->no_external = m->kept = false;
	m->left[m->protocol].there = false;
	mapping_new_round(m);
	take_step(m, MAPPING_HELD, MAPPING_NEVER);
	/* The other protocols' answers have no address. */
	if (m->want.family == PORTMAP_IPV4 && m->protocol == PORTMAP_PCP)
		paths_learn_external(e, m->protocol, place, now_ms);
	m->due_ms = mapping_renewal(m, now_ms, e->recheck_ms, random_next(&e->seed));
	if (m->due_ms < now_ms + RENEW_LEAST_MS || m->due_ms == MAPPING_NEVER)
		m->due_ms = now_ms + RENEW_LEAST_MS;
	m->renew_ms = m->lifetime_s ? m->due_ms : MAPPING_NEVER;
	m->due_ms = proof_plan_look(e, m, now_ms);
	if (same && (m->state == MAPPING_MAPPED || m->state == MAPPING_VERIFIED))
		return;
	mapping_describe(m, why, sizeof why);
	engine_set_state(e, m, MAPPING_MAPPED, "%s", why);
}

/* ---- answers: failed ---- */

static void note_failure(struct portmap_mapping *m, enum portmap_failure f, const char *why)
{
	m->failed[f] = true;
	snprintf(m->failure_why[f], PORTMAP_TEXT_BYTES, "%s", why);
}

/* The gateway gave a port that was not asked for: it goes back. */
static void answer_give_back(struct portmap_engine *e, struct portmap_mapping *m,
			     const struct addr *place, uint64_t now_ms)
{
	char why[PORTMAP_TEXT_BYTES];

	snprintf(why, sizeof why,
		 "the gateway has port %u for another host and offers %u; ask for another one, or "
		 "take any with external: any",
		 m->want.external, addr_port(place));
	m->external = *place;
	m->ask_port = m->want.external;
	m->tried = ALL_TRIED;
	take_step(m, MAPPING_LEAVING, now_ms);
	e->counts.failures[PORTMAP_CONFLICT]++;
	note_failure(m, PORTMAP_CONFLICT, why);
	engine_set_state(e, m, MAPPING_CONFLICTING, "%s", why);
}

/* A renewal that failed. Silence is not the end: the lifetime has room for more tries. */
static void renewal_failed(struct portmap_engine *e, struct portmap_mapping *m,
			   enum portmap_failure f, const char *why, uint64_t now_ms)
{
	if (f == PORTMAP_SILENT) {
		m->renewals++;
		take_step(m, MAPPING_HELD,
			  mapping_renewal(m, now_ms, e->recheck_ms, random_next(&e->seed)));
		paths_doubt(e, m->want.family, now_ms);
		if (m->due_ms != MAPPING_NEVER)
			return;
	}
	m->ask_port = m->want.any ? addr_port(&m->external) : m->want.external;
	if (f != PORTMAP_CONFLICT) /* it may be there all the same, until it ends */
		leave_over(m);
	mapping_wait_until(m, now_ms);
	note_failure(m, f, why);
	m->tried |= 1u << m->protocol;
	engine_set_state(e, m, MAPPING_REQUESTED, "%s did not renew it: %s",
			 portmap_protocol_name(m->protocol), why);
}

/* The port may be taken by what another protocol made for this very mapping. */
static bool own_leftover(const struct portmap_mapping *m, uint64_t now_ms)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
		if (p != m->protocol && mapping_left_over(m, p, now_ms) &&
		    addr_port(&m->left[p].external) == m->ask_port)
			return true;
	return false;
}

static void request_failed(struct portmap_engine *e, struct portmap_mapping *m,
			   enum portmap_failure f, const char *why, uint64_t now_ms)
{
	if (m->kept)
		engine_set_state(e, m, MAPPING_REQUESTED, "%s did not renew it: %s",
				 portmap_protocol_name(m->protocol), why);
	mapping_wait_until(m, now_ms);
	if (f == PORTMAP_CONFLICT && m->want.any && m->others < PORTMAP_OTHERS_MAX) {
		m->others++;
		m->ask_port = (uint16_t)(OTHER_PORT_FIRST + random_next(&e->seed) % OTHER_PORTS);
		return;
	}
	if (f == PORTMAP_CONFLICT && own_leftover(m, now_ms)) {
		m->own_leftover = true;
		m->tried |= 1u << m->protocol;
		return;
	}
	note_failure(m, f, why);
	/* All protocols of one gateway share its table: a port that is taken is taken. */
	m->tried |= f == PORTMAP_CONFLICT ? ALL_TRIED : 1u << m->protocol;
	if (f == PORTMAP_CONFLICT) {
		m->others = 0;
		m->ask_port = m->want.external;
	}
}

static void answer_failed(struct portmap_engine *e, struct portmap_mapping *m,
			  enum portmap_failure f, const char *why, uint64_t now_ms)
{
	e->counts.failures[f]++;
	m->no_external = f == PORTMAP_NO_EXTERNAL;
	log_debug("portmap", "%s, mapping %u: %s: %s", portmap_protocol_name(m->protocol), m->id,
		  portmap_failure_name(f), why);
	if (m->step == MAPPING_RENEWING)
		renewal_failed(e, m, f, why, now_ms);
	else
		request_failed(e, m, f, why, now_ms);
}

/* No answer came in time. */
static void answer_missing(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	engine_forget(e, m);
	if (m->step == MAPPING_UNMAPPING)
		step_gone(e, m);
	else
		answer_failed(e, m, PORTMAP_SILENT, "no answer in time", now_ms);
}

/* ---- what is heard from the drivers ---- */

/* The mapping that awaits an answer to map() by this protocol; else NULL. */
static struct portmap_mapping *engine_awaiting(struct portmap_engine *e, enum portmap_protocol p,
					       uint32_t id)
{
	struct portmap_mapping *m = portmap_engine_find(e, id);

	if (!m || m->protocol != p || (m->step != MAPPING_ASKING && m->step != MAPPING_RENEWING))
		return NULL;
	return m;
}

static void engine_heard_mapped(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
				const struct addr *external, uint32_t lifetime_s)
{
	struct portmap_engine *e = ENGINE_OF(h);
	struct portmap_mapping *m = engine_awaiting(e, p, id);
	uint64_t now_ms = engine_now(e);

	if (!m)
		return;
	struct addr place = paths_place_of(e, m, external);
	uint16_t port = addr_port(&place);

	if (port != m->want.external && (!m->want.any || port < LOW_PORTS))
		answer_give_back(e, m, &place, now_ms);
	else
		answer_granted(e, m, &place, lifetime_s, now_ms);
	engine_rearm(e);
}

static void engine_heard_failed(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
				enum portmap_failure failure, const char *why)
{
	struct portmap_engine *e = ENGINE_OF(h);
	struct portmap_mapping *m = engine_awaiting(e, p, id);

	if (m)
		answer_failed(e, m, failure, why, engine_now(e));
	engine_rearm(e);
}

static void engine_heard_unmapped(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
				  bool ok)
{
	struct portmap_engine *e = ENGINE_OF(h);
	struct portmap_mapping *m = portmap_engine_find(e, id);

	if (!ok)
		log_debug("portmap", "%s did not answer to a deletion", portmap_protocol_name(p));
	if (m && m->left[p].there && m->left[p].asked)
		m->left[p].there = false;
	if (m && m->protocol == p && m->step == MAPPING_UNMAPPING)
		step_gone(e, m);
	engine_maybe_left(e);
	engine_rearm(e);
}

void portmap_engine_init(struct portmap_engine *e)
{
	e->heard.mapped = engine_heard_mapped;
	e->heard.failed = engine_heard_failed;
	e->heard.unmapped = engine_heard_unmapped;
	paths_init_heard(&e->heard);
	proof_init_heard(&e->heard);
}

/* ---- time ---- */

/* The next deletion to send, else the end. */
static uint64_t leaving_next(const struct portmap_engine *e)
{
	for (const struct portmap_mapping *m = e->mappings; m; m = m->next)
		if (m->step == MAPPING_LEAVING || paths_have_leftover(e, m, false))
			return e->free_ms < e->leave_ms ? e->free_ms : e->leave_ms;
	return e->leave_ms;
}

void engine_rearm(struct portmap_engine *e)
{
	uint64_t due = e->mode == ENGINE_HERE ? paths_next(e) : MAPPING_NEVER;

	if (e->mode == ENGINE_HERE && e->address_ms < due)
		due = e->address_ms;
	if (e->mode == ENGINE_LEAVING)
		due = leaving_next(e);
	for (const struct portmap_mapping *m = e->mappings; m && e->mode == ENGINE_HERE;
	     m = m->next) {
		uint64_t own = m->due_ms;

		if (!mapping_in_flight(m) && own < e->free_ms)
			own = e->free_ms;
		if (own < due)
			due = own;
	}
	e->owner->wake_at(e->owner, due);
}

/* Of what is due, that which is due for longest. */
static struct portmap_mapping *first_due(const struct portmap_engine *e, uint64_t now_ms)
{
	struct portmap_mapping *first = NULL;

	for (struct portmap_mapping *m = e->mappings; m; m = m->next)
		if (!mapping_in_flight(m) && m->due_ms <= now_ms &&
		    (!first || m->due_ms < first->due_ms))
			first = m;
	return first;
}

static void engine_run_queue(struct portmap_engine *e, uint64_t now_ms)
{
	struct portmap_mapping *m;

	while (now_ms >= e->free_ms && (m = first_due(e, now_ms)))
		if (step_due(e, m, now_ms))
			e->free_ms = now_ms + (e->mode == ENGINE_LEAVING ? LEAVE_SPACING_MS
									 : PORTMAP_SPACING_MS);
}

static void run_leaving(struct portmap_engine *e, uint64_t now_ms)
{
	if (now_ms >= e->leave_ms) {
		log_notice("portmap", "the gateway takes too long to delete mappings; they end by "
				      "themselves where it gave them a lifetime");
		engine_leave_now(e, NULL);
		return;
	}
	engine_run_queue(e, now_ms);
	for (struct portmap_mapping *m = e->mappings; m && now_ms >= e->free_ms; m = m->next)
		if (m->step == MAPPING_WAITING && !m->kept && engine_delete_leftover(e, m))
			e->free_ms = now_ms + LEAVE_SPACING_MS;
	engine_maybe_left(e);
}

void portmap_engine_run(struct portmap_engine *e)
{
	uint64_t now_ms = engine_now(e);

	for (struct portmap_mapping *m = e->mappings, *next; m; m = next) {
		next = m->next;
		if (mapping_in_flight(m) && m->due_ms <= now_ms)
			answer_missing(e, m, now_ms);
	}
	if (e->mode == ENGINE_LEAVING) {
		run_leaving(e, now_ms);
	} else if (e->mode == ENGINE_HERE) {
		paths_run(e, now_ms);
		address_run(e, now_ms);
		engine_run_queue(e, now_ms);
	}
	engine_rearm(e);
}
