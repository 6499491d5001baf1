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
#include "portmap/engine/truth.h"

#define OTHER_PORT_FIRST 20000u
#define OTHER_PORTS	 40000u
#define LOW_PORTS	 1024u
#define RENEW_LEAST_MS	 4000u
#define LEASE_LEAST_S	 8u /* of a shorter one the gateway has none between two renewals */
#define EXTENDS_SLACK_MS 2000u
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
	engine_leftovers_free(e);
}

static struct portmap_driver *driver_of(struct portmap_engine *e, const struct portmap_mapping *m)
{
	return e->paths[m->via][m->want.family].driver;
}

/* ---- states, which people are told ---- */

/* What fails is told; that a network has no IPv6 is no failure, nor that nothing has to be mapped.
 */
static enum log_level level_of(const struct portmap_engine *e, const struct portmap_mapping *m,
			       enum mapping_state state)
{
	if (state == MAPPING_CONFLICTING || state == MAPPING_MISDIRECTED ||
	    state == MAPPING_REFUSED)
		return LOG_LEVEL_WARNING;
	if (state == MAPPING_UNSUPPORTED && e->source[m->want.family].len == 0)
		return LOG_LEVEL_INFO;
	if (state == MAPPING_UNSUPPORTED && !m->unneeded)
		return LOG_LEVEL_WARNING;
	return LOG_LEVEL_NOTICE;
}

/* In this state. Reasons that come in turn are no news; what happens to one that is held well is.
 */
static bool was_told(const struct portmap_mapping *m, const char *why)
{
	unsigned known = m->told_count < MAPPING_TOLD_MAX ? m->told_count : MAPPING_TOLD_MAX;
	bool failing = !mapping_held(m) || m->unrenewed;

	for (unsigned i = 0; i < known && failing; i++)
		if (strcmp(m->told[i], why) == 0)
			return true;
	return !failing && known > 0 &&
	       strcmp(m->told[(m->told_count - 1) % MAPPING_TOLD_MAX], why) == 0;
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
	if (state != MAPPING_UNSUPPORTED)
		m->unneeded = false;
	if (old != state) {
		PROBE_MAPPING_STATE(m->id, mapping_state_name(old), mapping_state_name(state),
				    m->why);
		m->state = state;
		m->since_ms = engine_now(e);
		m->changes[state]++;
		m->told_count = 0;
		if (state != MAPPING_VERIFIED)
			m->proof[0] = '\0';
		if (old == MAPPING_VERIFIED)
			m->unproven_ms = m->since_ms;
		else if (state == MAPPING_MAPPED)
			m->mapped_ms = m->since_ms;
	}
	mapping_name(m, name);
	/* That it is asked for, and what came of that the last time as well, is no news. */
	if (old == state)
		log_at(m->step == MAPPING_ASKING || was_told(m, why) ? LOG_LEVEL_INFO
								     : LOG_LEVEL_NOTICE,
		       "portmap", "%s: still %s: %s", name, mapping_state_name(state), why);
	else
		log_at(level_of(e, m, state), "portmap", "%s: %s -> %s: %s", name,
		       mapping_state_name(old), mapping_state_name(state), why);
	if (m->step != MAPPING_ASKING && !was_told(m, why))
		memcpy(m->told[m->told_count++ % MAPPING_TOLD_MAX], why, sizeof why);
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
	[MAPPING_UNMAPPING] = STEP(WAITING) | STEP(LEAVING),
};
static_assert(sizeof followers / sizeof *followers == MAPPING_UNMAPPING + 1, "a row each");

void engine_step(struct portmap_mapping *m, enum mapping_step step, uint64_t due_ms)
{
	assert(followers[m->step] & 1u << step);
	m->step = step;
	m->due_ms = due_ms;
}

void engine_hold(struct portmap_mapping *m, uint64_t due_ms)
{
	engine_step(m, MAPPING_HELD, due_ms);
}

void engine_wait_until(struct portmap_mapping *m, uint64_t due_ms)
{
	engine_step(m, MAPPING_WAITING, due_ms);
	m->external.len = 0;
	m->kept = m->astray.there = m->unrenewed = false;
}

void engine_forget(struct portmap_engine *e, const struct portmap_mapping *m)
{
	if (mapping_in_flight(m) && driver_of(e, m))
		driver_of(e, m)->forget(driver_of(e, m), m->id);
}

void engine_lost(struct portmap_engine *e, struct portmap_mapping *m)
{
	engine_forget(e, m);
	if (m->step == MAPPING_ASKING || m->step == MAPPING_RENEWING)
		engine_maybe_left_over(e, m);
	if (m->step == MAPPING_LEAVING || m->step == MAPPING_UNMAPPING)
		engine_let_later(e, m, false);
	if (mapping_held(m)) {
		engine_leave_over(e, m);
		m->ask_port = addr_port(&m->external);
	}
	mapping_new_round(m);
	engine_wait_until(m, e->mode == ENGINE_HERE ? engine_now(e) : MAPPING_NEVER);
}

void engine_keep(struct portmap_engine *e, struct portmap_mapping *m)
{
	if (!mapping_held(m))
		return;
	engine_forget(e, m);
	engine_step(m, MAPPING_WAITING, MAPPING_NEVER);
	m->kept = true;
	mapping_new_round(m);
}

void engine_await_network(struct portmap_engine *e, struct portmap_mapping *m, const char *why)
{
	if (m->astray.there && !m->astray.maybe)
		engine_left_open(m);
	engine_step(m, MAPPING_WAITING, MAPPING_NEVER);
	if (m->kept && m->wanted)
		return;
	m->kept = m->astray.there = false;
	m->external.len = m->answered.len = 0;
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

/* What people can do themselves. */
static const char *engine_by_hand(const struct portmap_mapping *m)
{
	return m->want.family == PORTMAP_IPV6 ? "open the port in its firewall"
					      : "forward the port by hand";
}

/* No path was ever there. */
static void tell_none(struct portmap_engine *e, struct portmap_mapping *m)
{
	bool v6 = m->want.family == PORTMAP_IPV6;
	const char *by_hand = engine_by_hand(m);
	const char *reason = paths_own_reason(e, m->want.family);
	char names[64];

	paths_names(e, m->want.family, names);
	m->unneeded = !v6 && m->want.host.len == 0 &&
		      truth_range_of(&e->source[PORTMAP_IPV4]) == TRUTH_PUBLIC;
	if (m->unneeded)
		engine_set_state(e, m, MAPPING_UNSUPPORTED,
				 "this host's own address is a public one: where no firewall is in "
				 "the way, it needs no port mapping");
	else if (reason)
		engine_set_state(e, m, MAPPING_UNSUPPORTED, "%s; %s", reason, by_hand);
	else if (names[0])
		engine_set_state(e, m, MAPPING_UNSUPPORTED,
				 "the gateway speaks none of %s; switch one on there, or %s", names,
				 by_hand);
	else
		engine_set_state(
			e, m, MAPPING_UNSUPPORTED,
			"the configuration leaves no protocol by which it could be asked for");
}

/* What it means that no path is left to ask. */
static void tell_settled(struct portmap_engine *e, struct portmap_mapping *m,
			 enum portmap_failure worst, const char *why, bool ever, uint64_t now_ms)
{
	enum mapping_state state = mapping_state_of(worst);
	char names[64], name[MAPPING_NAME_BYTES];

	m->unneeded = worst == PORTMAP_UNNEEDED;
	if (m->own_leftover)
		engine_set_state(e, m, MAPPING_REQUESTED,
				 "the gateway still has it by another protocol, which is asked "
				 "again; it may work meanwhile");
	else if (worst == PORTMAP_SILENT && paths_mute(e, m->want.family, names, now_ms))
		engine_set_state(
			e, m, MAPPING_REQUESTED,
			"the gateway answers by %s, but not to requests for mappings; it is "
			"asked again",
			names);
	else if (worst == PORTMAP_SILENT && ever)
		engine_set_state(e, m, MAPPING_REQUESTED,
				 "the gateway stopped answering; it is asked again");
	else if (state == MAPPING_UNSUPPORTED && worst != PORTMAP_UNNEEDED && !ever)
		tell_none(e, m);
	else
		engine_set_state(e, m, state, "%s%s", why,
				 worst == PORTMAP_CONFLICT && !m->want.any &&
						 m->want.family == PORTMAP_IPV4 &&
						 !strstr(why, "external: any")
					 ? "; ask for another one (external: 8443), or for any "
					   "(external: any)"
					 : "");
	/* It changes no state, and is not to stay out of the log. */
	if (worst == PORTMAP_TRANSIENT && m->rounds == 1) {
		mapping_name(m, name);
		log_warning("portmap", "%s: %s; it is asked again", name, why);
	}
}

/* No path is left to ask: when all are asked again, and what people are told. */
static void step_settle(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	enum portmap_failure worst;
	const char *why;
	uint64_t wait_ms, silent_ms;
	bool ever;

	if (m->kept)
		engine_leave_over(e, m);
	m->kept = false;
	m->external.len = 0;
	if (e->source[m->want.family].len == 0) {
		m->due_ms = MAPPING_NEVER;
		engine_set_state(e, m, MAPPING_UNSUPPORTED, "this network has no %s gateway",
				 m->want.family == PORTMAP_IPV6 ? "IPv6" : "IPv4");
		return;
	}
	ever = paths_add_failures(e, m);
	worst = mapping_worst(m, &why);
	if (m->own_leftover)
		worst = PORTMAP_SILENT;
	else if (worst == PORTMAP_FAILURES)
		worst = PORTMAP_UNSUPPORTED;
	silent_ms = mapping_backoff_ms(PORTMAP_SILENT, m->want.family, m->rounds);
	wait_ms = mapping_backoff_ms(worst, m->want.family, m->rounds++);
	wait_ms += random_next(&e->seed) % (mapping_backoff_ms(worst, m->want.family, 0) / 8 + 1);
	/* It may be that which is in the way. */
	if ((worst == PORTMAP_REFUSED || worst == PORTMAP_CONFLICT) && wait_ms > silent_ms &&
	    mapping_maybe_there(m, now_ms))
		wait_ms = silent_ms;
	if (m->wait_s > 0 && wait_ms > m->wait_s * UINT64_C(1000)) /* RFC 6887 section 7.4 */
		wait_ms = m->wait_s * UINT64_C(1000);
	m->due_ms = now_ms + (wait_ms > RENEW_LEAST_MS ? wait_ms : RENEW_LEAST_MS);
	tell_settled(e, m, worst, why, ever, now_ms);
	mapping_new_round(m);
}

/* ---- requests ---- */

static void send_map(struct portmap_engine *e, struct portmap_mapping *m)
{
	struct portmap_request r;

	m->sent_ms = engine_now(e);
	mapping_request(m, &e->source[m->want.family], &r);
	engine_leftovers_pause(e, m->via, m->id);
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
		engine_gone(e, m);
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
	again_ms = engine_leftovers_before(e, m, p, now_ms);
	if (again_ms > 0) {
		m->due_ms = again_ms;
		return false;
	}
	if (m->kept && m->protocol != p) { /* that one is not there any more */
		engine_leave_over(e, m);
		m->external.len = 0;
		m->kept = false;
	}
	if (m->protocol != p && m->left[m->protocol].there)
		e->counts.moves++;
	m->protocol = m->via = p;
	engine_step(m, MAPPING_ASKING, now_ms + paths_patience(e, m));
	if (m->state == MAPPING_REQUESTED)
		engine_set_state(e, m, MAPPING_REQUESTED, "asking by %s for port %u",
				 portmap_protocol_name(p), m->ask_port);
	e->counts.requests++;
	send_map(e, m);
	return true;
}

/* It ended unrenewed: from now on nothing of it is at the gateway, and it is asked for anew. */
static void lease_over(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	char why[MAPPING_WHY_BYTES];

	memcpy(why, m->why, sizeof why);
	m->ask_port = m->want.any ? addr_port(&m->external) : m->want.external;
	mapping_new_round(m);
	engine_wait_until(m, now_ms);
	engine_set_state(e, m, MAPPING_REQUESTED,
			 "its lease is over, and it is asked for anew (%.200s)", why);
}

static bool step_renew(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	uint64_t expiry_ms = mapping_expiry(m), wait_ms;

	if (now_ms >= expiry_ms) {
		lease_over(e, m, now_ms);
		return false;
	}
	m->via = paths_renewing(e, m, now_ms);
	m->looking = now_ms < m->renew_ms && m->via == m->protocol;
	wait_ms = paths_patience(e, m);
	/* One that is not answered leaves time for another; at its end the gateway forgets it. */
	if (wait_ms > (expiry_ms - now_ms) / 2 && expiry_ms - now_ms > 2 * RENEW_LEAST_MS)
		wait_ms = (expiry_ms - now_ms) / 2;
	if (wait_ms > expiry_ms - now_ms)
		wait_ms = expiry_ms - now_ms;
	engine_step(m, MAPPING_RENEWING, now_ms + wait_ms);
	e->counts.renewals++;
	send_map(e, m);
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
		return engine_unmap(e, m, now_ms);
	default:
		return false;
	}
}

/* ---- answers: granted ---- */

void engine_move(struct portmap_engine *e, struct portmap_mapping *m)
{
	if (m->via == m->protocol)
		return;
	engine_leave_over(e, m);
	m->protocol = m->via;
	e->counts.moves++;
}

/* The lifetime of a renewal's answer is only what was left of the one before. */
static bool extends_nothing(const struct portmap_mapping *m, uint32_t lifetime_s, uint64_t now_ms)
{
	return m->step == MAPPING_RENEWING && m->via == m->protocol && lifetime_s > 0 &&
	       lifetime_s < m->lifetime_s - m->lifetime_s / 8 &&
	       now_ms + lifetime_s * UINT64_C(1000) <= mapping_expiry(m) + EXTENDS_SLACK_MS;
}

/* Once more it is renewed; then it is deleted and asked for anew, while there is time. */
static void answer_extends_nothing(struct portmap_engine *e, struct portmap_mapping *m,
				   uint64_t now_ms)
{
	uint64_t due_ms;
	char why[MAPPING_WHY_BYTES];

	m->renewals++;
	due_ms = mapping_renewal(m, now_ms, e->recheck_ms, random_next(&e->seed));
	if (m->renewals > 1 || due_ms == MAPPING_NEVER) {
		engine_step(m, MAPPING_LEAVING, now_ms);
		m->ask_port = addr_port(&m->external);
		mapping_new_round(m);
		engine_set_state(e, m, MAPPING_REQUESTED,
				 "%s says yes to renewals, which extend nothing: it is deleted and "
				 "asked for anew",
				 portmap_protocol_name(m->protocol));
		return;
	}
	m->renew_ms = due_ms;
	m->unrenewed = true;
	engine_step(m, MAPPING_HELD, due_ms);
	mapping_describe(m, why, sizeof why);
	engine_set_state(e, m, m->state, "%s; its renewal extended nothing", why);
}

static void answer_granted(struct portmap_engine *e, struct portmap_mapping *m,
			   const struct addr *place, uint32_t lifetime_s, uint64_t now_ms)
{
	bool same = (m->step == MAPPING_RENEWING || m->kept) && addr_equal(&m->external, place);
	bool own = same && m->via == m->protocol, quiet = own && !m->unrenewed;
	char why[MAPPING_WHY_BYTES];

	paths_granted(e, m, now_ms);
	if (same && extends_nothing(m, lifetime_s, now_ms)) {
		answer_extends_nothing(e, m, now_ms);
		return;
	}
	engine_move(e, m);
	m->external = *place;
	m->ask_port = addr_port(place);
	/* A gateway that grants more than was asked for is renewed at our pace all the same. */
	m->lifetime_s = lifetime_s < m->want.lifetime_s ? lifetime_s : m->want.lifetime_s;
	m->granted_ms = now_ms;
	m->renewals = m->rounds = m->others = 0;
	m->no_external = m->kept = m->unrenewed = false;
	engine_leftovers_granted(e, m);
	mapping_new_round(m);
	engine_step(m, MAPPING_HELD, MAPPING_NEVER);
	/* The other protocols' answers have no address. */
	if (m->want.family == PORTMAP_IPV4 && m->protocol == PORTMAP_PCP)
		paths_learn_granted(e, m, place, now_ms);
	m->due_ms = mapping_renewal(m, now_ms, e->recheck_ms, random_next(&e->seed));
	if (m->due_ms < now_ms + RENEW_LEAST_MS || m->due_ms == MAPPING_NEVER)
		m->due_ms = now_ms + RENEW_LEAST_MS;
	m->renew_ms = m->lifetime_s ? m->due_ms : MAPPING_NEVER;
	m->due_ms = proof_plan_look(e, m, now_ms);
	if (m->undone) /* the deletion may have come after */
		m->due_ms = m->renew_ms = now_ms;
	m->undone = false;
	engine_leftovers_beside(e, m);
	if (quiet && (m->state == MAPPING_MAPPED || m->state == MAPPING_VERIFIED))
		return;
	mapping_describe(m, why, sizeof why);
	engine_set_state(e, m,
			 own && m->state == MAPPING_VERIFIED ? MAPPING_VERIFIED : MAPPING_MAPPED,
			 "%s", why);
}

/* ---- answers: failed ---- */

static const struct portmap_refusal silence = {.failure = PORTMAP_SILENT,
					       .why = "no answer in time"};

void engine_note_failure(struct portmap_mapping *m, enum portmap_failure f, const char *why)
{
	m->failed[f] = true;
	snprintf(m->failure_why[f], PORTMAP_TEXT_BYTES, "%s", why);
}

/* The gateway does not have it any more. */
static void renewal_lost(struct portmap_engine *e, struct portmap_mapping *m,
			 const struct portmap_refusal *r, uint64_t now_ms)
{
	m->ask_port = m->want.any ? addr_port(&m->external) : m->want.external;
	m->tried |= 1u << m->via;
	engine_note_failure(m, r->failure, r->why);
	engine_wait_until(m, now_ms);
	engine_set_state(e, m, MAPPING_REQUESTED, "%s did not renew it: %s",
			 portmap_protocol_name(m->via), r->why);
}

/* When a renewal that was refused is tried again: by another protocol at once, else at the earliest
 * of our own back-off, of when the gateway expects another answer, and of the lease's end. */
static uint64_t after_refusal(struct portmap_engine *e, struct portmap_mapping *m,
			      const struct portmap_refusal *r, uint64_t now_ms)
{
	const char *why;
	enum portmap_failure worst = mapping_worst(m, &why);
	uint64_t due_ms;

	/* That it is its own protocol's may be why another refuses it. */
	if (paths_renewing(e, m, now_ms) != m->protocol || !(m->tried & 1u << m->protocol))
		return now_ms;
	if (worst == PORTMAP_FAILURES ||
	    r->failure == PORTMAP_SILENT) /* its own was, no other may */
		worst = PORTMAP_SILENT;
	due_ms = now_ms + mapping_backoff_ms(worst, m->want.family, m->rounds++);
	if (r->wait_s > 0 && due_ms > now_ms + r->wait_s * UINT64_C(1000))
		due_ms = now_ms + r->wait_s * UINT64_C(1000);
	if (due_ms < now_ms + RENEW_LEAST_MS)
		due_ms = now_ms + RENEW_LEAST_MS;
	mapping_new_round(m);
	return due_ms < mapping_expiry(m) ? due_ms : mapping_expiry(m);
}

/* A renewal that failed. The lease runs on until its end, and has room for more tries. */
static void renewal_failed(struct portmap_engine *e, struct portmap_mapping *m,
			   const struct portmap_refusal *r, uint64_t now_ms)
{
	char why[MAPPING_WHY_BYTES], name[MAPPING_NAME_BYTES];
	bool own = m->via == m->protocol;
	/* The port is taken by what the other protocol is to renew. */
	bool ours_in_the_way = !own && r->failure == PORTMAP_CONFLICT;
	uint64_t due_ms;

	if (own && (r->gone || r->failure == PORTMAP_CONFLICT)) {
		renewal_lost(e, m, r, now_ms);
		return;
	}
	if (now_ms >= mapping_expiry(m)) {
		lease_over(e, m, now_ms);
		return;
	}
	if (r->failure == PORTMAP_SILENT && own && m->tried) { /* after others have refused */
		m->tried |= 1u << m->via;
		due_ms = m->renew_ms = after_refusal(e, m, r, now_ms);
	} else if (r->failure == PORTMAP_SILENT) {
		engine_maybe_left_over(e, m);
		m->renewals++;
		m->renew_ms = mapping_renewal(m, now_ms, e->recheck_ms, random_next(&e->seed));
		if (m->renew_ms == MAPPING_NEVER)
			m->renew_ms = mapping_expiry(m);
		due_ms = proof_plan_look(e, m, now_ms);
	} else {
		if (!ours_in_the_way)
			engine_note_failure(m, r->failure, r->why);
		m->tried |= 1u << m->via;
		due_ms = m->renew_ms = after_refusal(e, m, r, now_ms);
	}
	engine_step(m, MAPPING_HELD, due_ms);
	if (ours_in_the_way)
		return;
	mapping_describe(m, why, sizeof why);
	if (!m->unrenewed) {
		mapping_name(m, name);
		log_notice("portmap", "%s: %s did not renew it, and is asked again: %s", name,
			   portmap_protocol_name(m->via), r->why);
	}
	m->unrenewed = true;
	engine_set_state(e, m, m->state, "%s; %s did not renew it: %s", why,
			 portmap_protocol_name(m->via), r->why);
	if (r->failure == PORTMAP_SILENT)
		paths_doubt(e, m->want.family, now_ms);
}

/* The port may be taken by what another protocol made for this very mapping. */
static bool own_leftover(const struct portmap_mapping *m, uint64_t now_ms)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
		if (p != m->protocol && mapping_left_over(m, p, now_ms) && !m->left[p].maybe &&
		    addr_port(&m->left[p].external) == m->ask_port)
			return true;
	return false;
}

static void request_failed(struct portmap_engine *e, struct portmap_mapping *m,
			   const struct portmap_refusal *r, uint64_t now_ms)
{
	enum portmap_failure f = r->failure;

	if (m->kept)
		engine_set_state(e, m, MAPPING_REQUESTED, "%s did not renew it: %s",
				 portmap_protocol_name(m->protocol), r->why);
	if (m->kept && !r->gone && f != PORTMAP_CONFLICT)
		engine_leave_over(e, m);
	if (f == PORTMAP_SILENT || f == PORTMAP_MALFORMED)
		engine_maybe_left_over(e, m);
	engine_wait_until(m, now_ms);
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
	engine_note_failure(m, f, r->why);
	if (r->wait_s > 0 && (m->wait_s == 0 || r->wait_s < m->wait_s))
		m->wait_s = r->wait_s;
	/* All protocols of one gateway share its table: a port that is taken is taken. */
	m->tried |= f == PORTMAP_CONFLICT ? ENGINE_ALL_TRIED : 1u << m->protocol;
	if (f == PORTMAP_CONFLICT) {
		m->others = 0;
		m->ask_port = m->want.external;
	}
	if (f == PORTMAP_SILENT)
		paths_doubt(e, m->want.family, now_ms);
}

static void answer_failed(struct portmap_engine *e, struct portmap_mapping *m,
			  const struct portmap_refusal *r, uint64_t now_ms)
{
	enum portmap_failure f = r->failure;

	e->counts.failures[f]++;
	m->no_external = f == PORTMAP_NO_EXTERNAL;
	paths_refused(e, m, f, now_ms);
	paths_tell_failure(e, m, f, r->why);
	if (r->inside.len > 0)
		engine_take_back(e, m, r, now_ms);
	else if (m->step == MAPPING_RENEWING)
		renewal_failed(e, m, r, now_ms);
	else
		request_failed(e, m, r, now_ms);
}

/* A lease that is over before it is renewed: the port is open now and then, and the gateway asked
 * all the time. It is refused, and what is left of it ends by itself. */
static void answer_too_short(struct portmap_engine *e, struct portmap_mapping *m,
			     const struct addr *place, uint32_t lifetime_s, uint64_t now_ms)
{
	struct portmap_refusal r = {.failure = PORTMAP_NO_RESOURCES};
	char why[PORTMAP_TEXT_BYTES];

	snprintf(why, sizeof why,
		 "the gateway gives it for %u s only, which is too short to keep it; look for the "
		 "time of leases in its settings, or %s",
		 lifetime_s, engine_by_hand(m));
	r.why = why;
	if (m->step == MAPPING_RENEWING && m->via == m->protocol) {
		m->external = *place;
		m->lifetime_s = lifetime_s;
		m->granted_ms = now_ms;
	}
	answer_failed(e, m, &r, now_ms);
}

/* No answer came in time. */
static void answer_missing(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	engine_forget(e, m);
	if (m->step == MAPPING_UNMAPPING)
		engine_unmapped(e, m, false);
	else
		answer_failed(e, m, &silence, now_ms);
}

void engine_fail(struct portmap_engine *e, struct portmap_mapping *m, enum portmap_failure failure,
		 const char *why)
{
	engine_forget(e, m);
	answer_failed(e, m, &(struct portmap_refusal){.failure = failure, .why = why},
		      engine_now(e));
}

/* ---- what is heard from the drivers ---- */

/* The mapping that awaits an answer to map() by this protocol; else NULL. */
static struct portmap_mapping *engine_awaiting(struct portmap_engine *e, enum portmap_protocol p,
					       uint32_t id)
{
	struct portmap_mapping *m = portmap_engine_find(e, id);

	if (!m || m->via != p || (m->step != MAPPING_ASKING && m->step != MAPPING_RENEWING))
		return NULL;
	return m;
}

static void engine_heard_mapped(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
				const struct addr *external, uint32_t lifetime_s)
{
	struct portmap_engine *e = ENGINE_OF(h);
	struct portmap_mapping *m = engine_awaiting(e, p, id);
	uint64_t now_ms = engine_now(e);

	if (engine_ending_mapped(e, p, id, lifetime_s) || !m)
		return;
	struct addr place = paths_place_of(e, m, external);
	uint16_t port = addr_port(&place);

	if (port != m->want.external && (!m->want.any || port < LOW_PORTS))
		engine_give_back(e, m, &place, now_ms);
	else if (lifetime_s > 0 && lifetime_s < LEASE_LEAST_S && lifetime_s < m->want.lifetime_s)
		answer_too_short(e, m, &place, lifetime_s, now_ms);
	else
		answer_granted(e, m, &place, lifetime_s, now_ms);
	engine_rearm(e);
}

static void engine_heard_failed(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
				const struct portmap_refusal *refusal)
{
	struct portmap_engine *e = ENGINE_OF(h);
	struct portmap_mapping *m = engine_awaiting(e, p, id);

	if (engine_ending_failed(e, p, id))
		return;
	if (m)
		answer_failed(e, m, refusal, engine_now(e));
	engine_rearm(e);
}

void portmap_engine_init(struct portmap_engine *e)
{
	e->heard.mapped = engine_heard_mapped;
	e->heard.failed = engine_heard_failed;
	paths_init_heard(&e->heard);
	proof_init_heard(&e->heard);
	taking_back_init_heard(&e->heard);
}

/* ---- time ---- */

/* The next deletion to send, else the end. */
static uint64_t leaving_next(const struct portmap_engine *e)
{
	uint64_t due = e->leave_ms;

	for (const struct portmap_mapping *m = e->mappings; m; m = m->next) {
		uint64_t own = e->free_ms;

		if (m->step == MAPPING_LEAVING && m->due_ms > own)
			own = m->due_ms;
		if (m->step == MAPPING_LEAVING && own < due)
			due = own;
		if (m->step == MAPPING_UNMAPPING && m->due_ms < due)
			due = m->due_ms;
	}
	return due;
}

void engine_rearm(struct portmap_engine *e)
{
	uint64_t due = e->mode == ENGINE_HERE ? paths_next(e) : MAPPING_NEVER;
	uint64_t leftover_ms = e->mode == ENGINE_AWAY ? MAPPING_NEVER : engine_leftovers_next(e);

	if (e->mode == ENGINE_HERE && e->address_ms < due)
		due = e->address_ms;
	if (e->mode == ENGINE_LEAVING)
		due = leaving_next(e);
	if (leftover_ms < due)
		due = leftover_ms;
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
	uint64_t spacing_ms = e->mode == ENGINE_LEAVING ? LEAVE_SPACING_MS : PORTMAP_SPACING_MS;

	while (now_ms >= e->free_ms && (m = first_due(e, now_ms)))
		if (step_due(e, m, now_ms))
			e->free_ms = now_ms + spacing_ms;
	if (now_ms >= e->free_ms && engine_leftovers_send(e, now_ms))
		e->free_ms = now_ms + spacing_ms;
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
	engine_maybe_left(e);
}

void portmap_engine_run(struct portmap_engine *e)
{
	uint64_t now_ms = engine_now(e);

	for (struct portmap_mapping *m = e->mappings, *next; m; m = next) {
		next = m->next;
		if (mapping_in_flight(m) && m->due_ms <= now_ms &&
		    !paths_more_patience(e, m, now_ms))
			answer_missing(e, m, now_ms);
	}
	engine_leftovers_age(e, now_ms);
	if (e->mode == ENGINE_LEAVING) {
		run_leaving(e, now_ms);
	} else if (e->mode == ENGINE_HERE) {
		paths_run(e, now_ms);
		address_run(e, now_ms);
		engine_run_queue(e, now_ms);
	}
	engine_rearm(e);
}
