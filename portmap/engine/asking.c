/* SPDX-License-Identifier: Apache-2.0 */
/* asking: requests to the gateway, and what its answers make of a mapping. */
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "portmap/engine/engine_internal.h"

#define OTHER_PORT_FIRST 20000u
#define OTHER_PORTS	 40000u
#define LOW_PORTS	 1024u
#define ALL_TRIED	 ((1u << PORTMAP_PROTOCOLS) - 1)
#define RENEW_LEAST_MS	 4000u

static struct portmap_driver *driver_of(struct portmap_engine *e, const struct portmap_mapping *m)
{
	return e->paths[m->protocol][m->want.family].driver;
}

static void in_flight(struct portmap_mapping *m, enum mapping_step step, uint64_t now_ms)
{
	m->step = step;
	m->due_ms = now_ms + PORTMAP_ANSWER_MS;
}

/* ---- what ends a step ---- */

static void wait_until(struct portmap_mapping *m, uint64_t due_ms)
{
	m->step = MAPPING_WAITING;
	m->due_ms = due_ms;
	m->external.len = 0;
	m->kept = false;
}

static void leave_over(struct portmap_mapping *m)
{
	struct mapping_leftover *left = &m->left[m->protocol];

	if (m->external.len == 0)
		return;
	left->there = true;
	left->asked = false;
	left->external = m->external;
	left->until_ms = mapping_expiry(m);
}

void asking_lost(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	if (m->step != MAPPING_HELD && driver_of(e, m))
		driver_of(e, m)->forget(driver_of(e, m), m->id);
	if (mapping_held(m)) {
		leave_over(m);
		m->ask_port = addr_port(&m->external);
	}
	mapping_new_round(m);
	wait_until(m, e->mode == ENGINE_HERE ? now_ms : MAPPING_NEVER);
}

void asking_keep(struct portmap_engine *e, struct portmap_mapping *m)
{
	if (!mapping_held(m))
		return;
	if (m->step == MAPPING_RENEWING)
		driver_of(e, m)->forget(driver_of(e, m), m->id);
	m->step = MAPPING_WAITING;
	m->due_ms = MAPPING_NEVER;
	m->kept = true;
	mapping_new_round(m);
}

void asking_let_go(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	if (m->step != MAPPING_ASKING && !mapping_held(m))
		return;
	if (m->step != MAPPING_HELD) /* what was asked for may be granted all the same */
		driver_of(e, m)->forget(driver_of(e, m), m->id);
	m->step = MAPPING_LEAVING;
	m->due_ms = now_ms;
}

/* Let go, after which nothing of it is at the gateway. */
static void gone(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	wait_until(m, e->mode == ENGINE_HERE ? now_ms : MAPPING_NEVER);
	if (!m->wanted)
		engine_remove(e, m);
}

/* ---- nothing to be had ---- */

static const char *names_of_paths(const struct portmap_engine *e, enum portmap_family f,
				  char out[64])
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
		if (e->paths[p][f].driver)
			len += (size_t)snprintf(out + len, 64 - len, "%s%s", len > 0 ? ", " : "",
						portmap_protocol_name((enum portmap_protocol)p));
	return out;
}

/* What the paths that are gone say, beside what was answered to this mapping. */
static void add_path_failures(const struct portmap_engine *e, struct portmap_mapping *m, bool *ever)
{
	*ever = false;
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		const struct portmap_path *path = &e->paths[p][m->want.family];

		if (!path->driver)
			continue;
		*ever |= path->ever;
		if (path->state != PATH_GONE || m->failed[path->failure])
			continue;
		m->failed[path->failure] = true;
		snprintf(m->failure_why[path->failure], PORTMAP_TEXT_BYTES, "%s", path->why);
	}
}

static void settle(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
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
		mapping_set_state(m, MAPPING_UNSUPPORTED, now_ms, &e->watcher,
				  "this network has no %s gateway",
				  m->want.family == PORTMAP_IPV6 ? "IPv6" : "IPv4");
		m->due_ms = MAPPING_NEVER;
		return;
	}
	add_path_failures(e, m, &ever);
	worst = mapping_worst(m, &why);
	names_of_paths(e, m->want.family, names);
	if (worst == PORTMAP_FAILURES)
		worst = PORTMAP_UNSUPPORTED;
	state = mapping_state_of(worst);
	if (m->own_leftover) {
		worst = PORTMAP_SILENT;
		mapping_set_state(m, MAPPING_REQUESTED, now_ms, &e->watcher,
				  "the gateway still has it by another protocol, which is asked "
				  "again; it may work meanwhile");
	} else if (worst == PORTMAP_SILENT && ever)
		mapping_set_state(m, MAPPING_REQUESTED, now_ms, &e->watcher,
				  "the gateway stopped answering; it is asked again");
	else if (state == MAPPING_UNSUPPORTED && !ever)
		mapping_set_state(m, state, now_ms, &e->watcher,
				  "the gateway speaks none of %s; switch one on there, or forward "
				  "the port by hand",
				  names[0] ? names : "PCP, NAT-PMP, UPnP");
	else
		mapping_set_state(m, state, now_ms, &e->watcher, "%s", why);
	mapping_new_round(m);
	m->due_ms = now_ms + mapping_backoff_ms(worst, m->rounds++);
	m->due_ms += engine_random(e) % (mapping_backoff_ms(worst, 0) / 8 + 1);
}

/* ---- steps ---- */

static void send_map(struct portmap_engine *e, struct portmap_mapping *m)
{
	struct portmap_request r;

	mapping_request(m, &e->source[m->want.family], &r);
	driver_of(e, m)->map(driver_of(e, m), &r);
}

static bool ask(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	enum portmap_protocol p = PORTMAP_PCP;
	uint64_t again_ms;

	if (!m->wanted) {
		gone(e, m, now_ms);
		return false;
	}
	switch (paths_choose(e, m, now_ms, &p, &again_ms)) {
	case CHOICE_LATER:
		m->due_ms = again_ms;
		return false;
	case CHOICE_NONE:
		settle(e, m, now_ms);
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
	in_flight(m, MAPPING_ASKING, now_ms);
	if (m->state == MAPPING_REQUESTED)
		mapping_set_state(m, MAPPING_REQUESTED, now_ms, &e->watcher,
				  "asking by %s for port %u", portmap_protocol_name(p),
				  m->ask_port);
	e->counts.requests++;
	send_map(e, m);
	return true;
}

static bool unmap(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	struct portmap_request r;
	struct portmap_driver *d = driver_of(e, m);

	if (!d || e->paths[m->protocol][m->want.family].state != PATH_THERE) {
		gone(e, m, now_ms);
		return false;
	}
	mapping_request(m, &e->source[m->want.family], &r);
	in_flight(m, MAPPING_UNMAPPING, now_ms);
	e->counts.deletions++;
	d->unmap(d, &r);
	return true;
}

bool asking_step(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	switch (m->step) {
	case MAPPING_WAITING:
		return ask(e, m, now_ms);
	case MAPPING_HELD:
		in_flight(m, MAPPING_RENEWING, now_ms);
		if (m->due_ms > mapping_expiry(m)) /* by then the gateway has forgotten it */
			m->due_ms = mapping_expiry(m);
		e->counts.renewals++;
		send_map(e, m);
		return true;
	case MAPPING_LEAVING:
		return unmap(e, m, now_ms);
	default:
		return false;
	}
}

bool asking_leftover(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
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

/* ---- answers ---- */

static void describe(const struct portmap_mapping *m, char *out, size_t room)
{
	char where[ADDR_TEXT_BYTES] = "", until[48] = "until it is deleted";

	if (m->external.len > 0)
		addr_format(&m->external, where);
	if (m->lifetime_s > 0)
		snprintf(until, sizeof until, "for %u s", m->lifetime_s);
	snprintf(out, room, "%s gives %s %s", portmap_protocol_name(m->protocol), where, until);
}

/* The mapping's own place outside: the answer's, else what the gateway said of itself. */
static struct addr place_of(const struct portmap_engine *e, const struct portmap_mapping *m,
			    const struct addr *external)
{
	const struct portmap_path *path = &e->paths[m->protocol][m->want.family];
	uint16_t port = external->len > 0 ? addr_port(external) : m->ask_port;
	struct addr known = path->gateway.external;

	if (m->want.family == PORTMAP_IPV6) { /* a pinhole leads to the address itself */
		if (external->len > 0 && !IN6_IS_ADDR_UNSPECIFIED(&external->v6.sin6_addr))
			return *external;
		known = m->want.host.len > 0 ? m->want.host : e->source[PORTMAP_IPV6];
		known.v6.sin6_port = htons(port);
		return known;
	}
	if (external->len > 0 && external->v4.sin_addr.s_addr != 0)
		return *external;
	if (known.len == 0)
		known = (struct addr){.v4.sin_family = AF_INET, .len = sizeof known.v4};
	known.v4.sin_port = htons(port);
	return known;
}

static void granted(struct portmap_engine *e, struct portmap_mapping *m, const struct addr *place,
		    uint32_t lifetime_s, uint64_t now_ms)
{
	bool same = (m->step == MAPPING_RENEWING || m->kept) && addr_equal(&m->external, place);
	char why[MAPPING_WHY_BYTES];

	m->step = MAPPING_HELD;
	m->external = *place;
	m->ask_port = addr_port(place);
	/* A gateway that grants more than was asked for is renewed at our pace all the same. */
	m->lifetime_s = lifetime_s < m->want.lifetime_s ? lifetime_s : m->want.lifetime_s;
	m->granted_ms = now_ms;
	m->renewals = m->rounds = m->others = 0;
	m->no_external = m->kept = false;
	m->left[m->protocol].there = false;
	mapping_new_round(m);
	if (m->want.family == PORTMAP_IPV4)
		paths_learn_external(e, m->protocol, place, now_ms);
	m->due_ms = mapping_renewal(m, now_ms, e->recheck_ms, engine_random(e));
	if (m->due_ms < now_ms + RENEW_LEAST_MS || m->due_ms == MAPPING_NEVER)
		m->due_ms = now_ms + RENEW_LEAST_MS;
	if (same && (m->state == MAPPING_MAPPED || m->state == MAPPING_VERIFIED))
		return;
	describe(m, why, sizeof why);
	mapping_set_state(m, MAPPING_MAPPED, now_ms, &e->watcher, "%s", why);
}

static void fail(struct portmap_mapping *m, enum portmap_failure f, const char *why)
{
	m->failed[f] = true;
	snprintf(m->failure_why[f], PORTMAP_TEXT_BYTES, "%s", why);
}

/* The gateway gave a port that nobody asked for: it goes back. */
static void give_back(struct portmap_engine *e, struct portmap_mapping *m, const struct addr *place,
		      uint64_t now_ms)
{
	char why[PORTMAP_TEXT_BYTES];

	snprintf(why, sizeof why,
		 "the gateway has port %u for somebody else and offers %u; ask for another one, or "
		 "take any with external: any",
		 m->want.external, addr_port(place));
	m->external = *place;
	m->ask_port = m->want.external;
	m->step = MAPPING_LEAVING;
	m->due_ms = now_ms;
	m->tried = ALL_TRIED;
	e->counts.failures[PORTMAP_CONFLICT]++;
	fail(m, PORTMAP_CONFLICT, why);
	mapping_set_state(m, MAPPING_CONFLICTING, now_ms, &e->watcher, "%s", why);
}

static struct portmap_mapping *answered(struct portmap_engine *e, enum portmap_protocol p,
					uint32_t id)
{
	struct portmap_mapping *m = portmap_engine_find(e, id);

	if (!m || m->protocol != p || (m->step != MAPPING_ASKING && m->step != MAPPING_RENEWING))
		return NULL;
	return m;
}

static void heard_mapped(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
			 const struct addr *external, uint32_t lifetime_s)
{
	struct portmap_engine *e = ENGINE_OF(h);
	struct portmap_mapping *m = answered(e, p, id);
	uint64_t now_ms = engine_now(e);

	if (!m)
		return;
	struct addr place = place_of(e, m, external);
	uint16_t port = addr_port(&place);

	if (port != m->want.external && (!m->want.any || port < LOW_PORTS))
		give_back(e, m, &place, now_ms);
	else
		granted(e, m, &place, lifetime_s, now_ms);
	engine_rearm(e);
}

/* A renewal that failed. Silence is not the end: the lifetime has room for more tries. */
static void renewal_failed(struct portmap_engine *e, struct portmap_mapping *m,
			   enum portmap_failure f, const char *why, uint64_t now_ms)
{
	if (f == PORTMAP_SILENT) {
		m->step = MAPPING_HELD;
		m->renewals++;
		m->due_ms = mapping_renewal(m, now_ms, e->recheck_ms, engine_random(e));
		paths_doubt(e, m->want.family, now_ms);
		if (m->due_ms != MAPPING_NEVER)
			return;
	}
	m->ask_port = m->want.any ? addr_port(&m->external) : m->want.external;
	if (f != PORTMAP_CONFLICT) /* it may be there all the same, until it ends */
		leave_over(m);
	wait_until(m, now_ms);
	fail(m, f, why);
	m->tried |= 1u << m->protocol;
	mapping_set_state(m, MAPPING_REQUESTED, now_ms, &e->watcher, "%s did not renew it: %s",
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
		mapping_set_state(m, MAPPING_REQUESTED, now_ms, &e->watcher,
				  "%s did not renew it: %s", portmap_protocol_name(m->protocol),
				  why);
	wait_until(m, now_ms);
	if (f == PORTMAP_CONFLICT && m->want.any && m->others < PORTMAP_OTHERS_MAX) {
		m->others++;
		m->ask_port = (uint16_t)(OTHER_PORT_FIRST + engine_random(e) % OTHER_PORTS);
		return;
	}
	if (f == PORTMAP_CONFLICT && own_leftover(m, now_ms)) {
		m->own_leftover = true;
		m->tried |= 1u << m->protocol;
		return;
	}
	fail(m, f, why);
	/* All protocols of one gateway share its table: a port that is taken is taken. */
	m->tried |= f == PORTMAP_CONFLICT ? ALL_TRIED : 1u << m->protocol;
	if (f == PORTMAP_CONFLICT) {
		m->others = 0;
		m->ask_port = m->want.external;
	}
}

static void failed(struct portmap_engine *e, struct portmap_mapping *m, enum portmap_failure f,
		   const char *why, uint64_t now_ms)
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

static void heard_failed(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
			 enum portmap_failure failure, const char *why)
{
	struct portmap_engine *e = ENGINE_OF(h);
	struct portmap_mapping *m = answered(e, p, id);

	if (m)
		failed(e, m, failure, why, engine_now(e));
	engine_rearm(e);
}

void asking_silent(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	driver_of(e, m)->forget(driver_of(e, m), m->id);
	if (m->step == MAPPING_UNMAPPING)
		gone(e, m, now_ms);
	else
		failed(e, m, PORTMAP_SILENT, "no answer in time", now_ms);
}

static void heard_unmapped(struct portmap_heard *h, enum portmap_protocol p, uint32_t id, bool ok)
{
	struct portmap_engine *e = ENGINE_OF(h);
	struct portmap_mapping *m = portmap_engine_find(e, id);

	if (!ok)
		log_debug("portmap", "%s did not answer to a deletion", portmap_protocol_name(p));
	if (m && m->left[p].there && m->left[p].asked)
		m->left[p].there = false;
	if (m && m->protocol == p && m->step == MAPPING_UNMAPPING)
		gone(e, m, engine_now(e));
	engine_maybe_left(e);
	engine_rearm(e);
}

void asking_init_heard(struct portmap_heard *h)
{
	h->mapped = heard_mapped;
	h->failed = heard_failed;
	h->unmapped = heard_unmapped;
}
