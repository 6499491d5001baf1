/* SPDX-License-Identifier: Apache-2.0 */
/* paths: which protocols the gateway speaks, and which of them a mapping asks. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/random.h"
#include "portmap/engine/engine_internal.h"

#define REPROBE_MS     5000u
#define REPROBE_MAX_MS 60000u
#define RESTART_MS     10000u /* for so long what others tell of a restart means the same one */

static const char *const path_names[] = {
	[PATH_NONE] = "none",
	[PATH_PROBING] = "probing",
	[PATH_THERE] = "available",
	[PATH_GONE] = "unavailable",
};
static_assert(sizeof path_names / sizeof *path_names == PATH_GONE + 1, "a name each");

const char *path_state_name(enum path_state s)
{
	return path_names[s];
}

static struct portmap_path *path_of(struct portmap_engine *e, enum portmap_protocol p,
				    enum portmap_family f)
{
	return &e->paths[p][f];
}

static const char *family_name(enum portmap_family f)
{
	return f == PORTMAP_IPV6 ? " (IPv6)" : "";
}

/* ---- probing ---- */

void paths_probe(struct portmap_engine *e, struct portmap_driver *d, uint64_t now_ms)
{
	for (unsigned f = 0; f < PORTMAP_FAMILIES; f++) {
		struct portmap_path *path = &e->paths[d->protocol][f];

		if (path->driver != d)
			continue;
		path->probing = true;
		path->due_ms = now_ms + PORTMAP_PROBE_MS;
	}
	d->probe(d);
}

void paths_doubt(struct portmap_engine *e, enum portmap_family f, uint64_t now_ms)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS && e->mode == ENGINE_HERE; p++) {
		struct portmap_path *path = &e->paths[p][f];

		if (path->state == PATH_THERE && !path->probing)
			paths_probe(e, path->driver, now_ms);
	}
}

void portmap_engine_probe(struct portmap_engine *e)
{
	uint64_t now_ms = engine_now(e);

	for (unsigned p = 0; p < PORTMAP_PROTOCOLS && e->mode == ENGINE_HERE; p++) {
		struct portmap_path *v4 = &e->paths[p][PORTMAP_IPV4];
		struct portmap_path *v6 = &e->paths[p][PORTMAP_IPV6];

		if (v4->driver)
			paths_probe(e, v4->driver, now_ms);
		if (v6->driver && v6->driver != v4->driver)
			paths_probe(e, v6->driver, now_ms);
	}
	engine_rearm(e);
}

bool portmap_engine_probing(const struct portmap_engine *e)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
		for (unsigned f = 0; f < PORTMAP_FAMILIES; f++)
			if (e->paths[p][f].probing)
				return true;
	return false;
}

static bool misses_something(const struct portmap_engine *e, enum portmap_family f)
{
	for (const struct portmap_mapping *m = e->mappings; m; m = m->next)
		if (m->want.family == f && m->wanted && !mapping_held(m))
			return true;
	return engine_leftovers_of(e, f);
}

/* When to look again; what is not needed is not looked for. */
static void plan_probe(struct portmap_engine *e, struct portmap_path *path, enum portmap_family f,
		       uint64_t now_ms)
{
	uint64_t wait = e->recheck_ms;

	if (path->state == PATH_GONE && misses_something(e, f)) {
		wait = (uint64_t)REPROBE_MS << (path->tries < 8 ? path->tries : 8);
		if (wait > REPROBE_MAX_MS)
			wait = REPROBE_MAX_MS;
	}
	path->due_ms = now_ms + wait + random_next(&e->seed) % (wait / 8 + 1);
}

void paths_look_for(struct portmap_engine *e, enum portmap_protocol p, enum portmap_family f)
{
	struct portmap_path *path = path_of(e, p, f);

	if (e->mode == ENGINE_HERE && path->state == PATH_GONE && !path->probing)
		plan_probe(e, path, f, engine_now(e));
}

static void path_went(struct portmap_engine *e, enum portmap_protocol p, enum portmap_family f,
		      enum portmap_failure failure, const char *why);
static void restart_now(struct portmap_engine *e, enum portmap_protocol p, enum portmap_family f,
			const char *why, uint64_t now_ms);

void paths_run(struct portmap_engine *e, uint64_t now_ms)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		for (unsigned f = 0; f < PORTMAP_FAMILIES; f++) {
			struct portmap_path *path = &e->paths[p][f];

			if (path->driver && path->restart_due_ms <= now_ms)
				restart_now(e, (enum portmap_protocol)p, (enum portmap_family)f,
					    "it did so again", now_ms);
			if (!path->driver || path->due_ms > now_ms)
				continue;
			if (path->probing)
				path_went(e, (enum portmap_protocol)p, (enum portmap_family)f,
					  PORTMAP_SILENT, "no answer to the probe in time");
			else
				paths_probe(e, path->driver, now_ms);
		}
	}
}

uint64_t paths_next(const struct portmap_engine *e)
{
	uint64_t due = MAPPING_NEVER;

	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
		for (unsigned f = 0; f < PORTMAP_FAMILIES; f++)
			if (e->paths[p][f].driver) {
				const struct portmap_path *path = &e->paths[p][f];

				due = path->due_ms < due ? path->due_ms : due;
				due = path->restart_due_ms < due ? path->restart_due_ms : due;
			}
	return due;
}

/* ---- choosing ---- */

enum path_rank { RANK_GRANTS, RANK_UNKNOWN, RANK_MUTE, RANK_NONE };

static bool path_mute(const struct portmap_path *path, uint64_t now_ms)
{
	return now_ms < path->mute_ms;
}

static unsigned path_rank(const struct portmap_path *path, uint64_t now_ms)
{
	if (path_mute(path, now_ms))
		return RANK_MUTE;
	return path->grants ? RANK_GRANTS : RANK_UNKNOWN;
}

enum path_choice paths_choose(struct portmap_engine *e, const struct portmap_mapping *m,
			      uint64_t now_ms, enum portmap_protocol *out, uint64_t *again_ms)
{
	enum path_state own = e->paths[m->protocol][m->want.family].state;
	unsigned best = RANK_NONE;
	bool undecided = false;

	*again_ms = MAPPING_NEVER;
	if (m->kept && own == PATH_PROBING)
		return CHOICE_LATER;
	if (m->kept && own == PATH_THERE && !(m->tried & 1u << m->protocol)) {
		*out = m->protocol;
		return CHOICE_PATH;
	}
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) { /* a path that has it can renew it */
		const struct portmap_path *path = &e->paths[p][m->want.family];

		if (!mapping_left_over(m, p, now_ms) || m->left[p].maybe || m->tried & 1u << p ||
		    path->state != PATH_THERE || path_mute(path, now_ms))
			continue;
		*out = (enum portmap_protocol)p;
		return CHOICE_PATH;
	}
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		const struct portmap_path *path = &e->paths[p][m->want.family];
		unsigned rank = path_rank(path, now_ms);

		if (m->tried & 1u << p)
			continue;
		if (path->state == PATH_PROBING) {
			undecided = true;
			*again_ms = best == RANK_NONE ? e->grace_ms : *again_ms;
		}
		if (path->state != PATH_THERE || rank >= best)
			continue;
		best = rank;
		*out = (enum portmap_protocol)p;
	}
	if (best == RANK_NONE)
		*again_ms = MAPPING_NEVER;
	/* One that is known to grant is not made to wait for what may be better. */
	else if (best != RANK_GRANTS && *again_ms != MAPPING_NEVER && now_ms < e->grace_ms)
		return CHOICE_LATER;
	else
		return CHOICE_PATH;
	return undecided ? CHOICE_LATER : CHOICE_NONE;
}

enum portmap_protocol paths_renewing(const struct portmap_engine *e,
				     const struct portmap_mapping *m, uint64_t now_ms)
{
	const struct portmap_path *own = &e->paths[m->protocol][m->want.family];
	enum portmap_protocol out = m->protocol;
	unsigned best = RANK_MUTE; /* a mute one is no better than our own */

	if (!(m->tried & 1u << m->protocol) && !path_mute(own, now_ms))
		return out;
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		const struct portmap_path *path = &e->paths[p][m->want.family];

		if (p == m->protocol || m->tried & 1u << p || path->state != PATH_THERE ||
		    path_rank(path, now_ms) >= best)
			continue;
		best = path_rank(path, now_ms);
		out = (enum portmap_protocol)p;
	}
	return out;
}

/* ---- what paths do with requests ---- */

/* A path that could be asked in place of the one that is. */
static bool another_could(const struct portmap_engine *e, const struct portmap_mapping *m,
			  uint64_t now_ms)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		const struct portmap_path *path = &e->paths[p][m->want.family];

		if (p != m->via && p != m->protocol && !(m->tried & 1u << p) &&
		    path->state == PATH_THERE && !path_mute(path, now_ms))
			return true;
	}
	return false;
}

uint64_t paths_patience(const struct portmap_engine *e, const struct portmap_mapping *m)
{
	return e->paths[m->via][m->want.family].grants ? PORTMAP_ANSWER_MS : PORTMAP_HEDGE_MS;
}

bool paths_more_patience(const struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	const struct portmap_path *path = &e->paths[m->via][m->want.family];
	uint64_t end_ms = m->sent_ms + PORTMAP_ANSWER_MS;
	bool granted = path->granted_ms > 0 && path->granted_ms >= m->sent_ms;

	if (m->step != MAPPING_ASKING || now_ms >= end_ms ||
	    (!granted && another_could(e, m, now_ms)))
		return false;
	m->due_ms = now_ms + PORTMAP_HEDGE_MS < end_ms ? now_ms + PORTMAP_HEDGE_MS : end_ms;
	return true;
}

/* Where this path keeps that it was told; NULL: it was not. */
static char *told_by(struct portmap_path *path, const char *why)
{
	for (size_t i = 0; i < PORTMAP_TOLD_MAX; i++)
		if (strcmp(path->told[i], why) == 0)
			return path->told[i];
	return NULL;
}

void paths_granted(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	struct portmap_path *path = &e->paths[m->via][m->want.family];
	char *refused = m->refused[m->via], *told = refused[0] ? told_by(path, refused) : NULL;

	if (told) /* the next time it is news */
		told[0] = '\0';
	refused[0] = '\0';
	path->tries = 0;
	path->told_gone = false;
	path->grants = true;
	path->granted_ms = now_ms;
	path->mute_ms = 0;
	path->mutes = 0;
}

/* What many mappings find out at a time counts once. */
static void path_falls_mute(struct portmap_path *path, enum portmap_protocol p, uint64_t asked_ms,
			    uint64_t now_ms)
{
	uint64_t wait = (uint64_t)PORTMAP_MUTE_MS << (path->mutes < 8 ? path->mutes : 8);

	if (path->granted_ms > asked_ms || path_mute(path, now_ms))
		return;
	path->grants = false;
	path->mute_ms = now_ms + (wait < PORTMAP_MUTE_MAX_MS ? wait : PORTMAP_MUTE_MAX_MS);
	path->mutes++;
	log_info("portmap", "%s does not answer to a request; others are asked first for a while",
		 portmap_protocol_name(p));
}

void paths_refused(struct portmap_engine *e, const struct portmap_mapping *m,
		   enum portmap_failure failure, uint64_t now_ms)
{
	struct portmap_path *path = &e->paths[m->via][m->want.family];

	if (failure == PORTMAP_SILENT) {
		path_falls_mute(path, m->via, m->sent_ms, now_ms);
		return;
	}
	path->mute_ms = 0;
	path->mutes = 0;
	if (failure != PORTMAP_CONFLICT)
		path->grants = false;
	else if (now_ms < path->restarted_ms + PORTMAP_RESTART_MS) /* not all were there */
		path->restart_space_ms = PORTMAP_RESTART_MS;
}

bool paths_mute(const struct portmap_engine *e, enum portmap_family f, char out[64],
		uint64_t now_ms)
{
	size_t len = 0;

	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
		if (e->paths[p][f].state == PATH_THERE && path_mute(&e->paths[p][f], now_ms))
			len += (size_t)snprintf(out + len, 64 - len, "%s%s", len > 0 ? ", " : "",
						portmap_protocol_name((enum portmap_protocol)p));
	return len > 0;
}

bool paths_have_another(const struct portmap_engine *e, const struct portmap_mapping *m,
			unsigned but)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
		if (!(but & 1u << p) && e->paths[p][m->want.family].state == PATH_THERE)
			return true;
	return false;
}

void paths_tell_failure(struct portmap_engine *e, struct portmap_mapping *m, enum portmap_failure f,
			const char *why)
{
	struct portmap_path *path = path_of(e, m->via, m->want.family);
	char name[MAPPING_NAME_BYTES];
	bool own = strcmp(m->refused[m->via], why) == 0;
	char *told = told_by(path, why);
	bool again = own || told;

	snprintf(m->refused[m->via], PORTMAP_TEXT_BYTES, "%s", why);
	if (!told) {
		snprintf(path->told[path->told_next], PORTMAP_TEXT_BYTES, "%s", why);
		path->told_next = (path->told_next + 1) % PORTMAP_TOLD_MAX;
	}
	mapping_name(m, name);
	log_at(again ? LOG_LEVEL_DEBUG : LOG_LEVEL_NOTICE, "portmap", "%s: %s: %s: %s", name,
	       portmap_protocol_name(m->via), portmap_failure_name(f), why);
}

void paths_names(const struct portmap_engine *e, enum portmap_family f, char out[64])
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
		if (e->paths[p][f].driver)
			len += (size_t)snprintf(out + len, 64 - len, "%s%s", len > 0 ? ", " : "",
						portmap_protocol_name((enum portmap_protocol)p));
}

/* That PCP or NAT-PMP is not supported means that it is not spoken; a device that speaks UPnP says
 * what it lacks. */
const char *paths_own_reason(const struct portmap_engine *e, enum portmap_family f)
{
	for (unsigned p = PORTMAP_PROTOCOLS; p-- > 0;) {
		const struct portmap_path *path = &e->paths[p][f];

		if (path->state == PATH_GONE && path->failure != PORTMAP_SILENT &&
		    (path->failure != PORTMAP_UNSUPPORTED || p == PORTMAP_UPNP))
			return path->why;
	}
	return NULL;
}

bool paths_add_failures(const struct portmap_engine *e, struct portmap_mapping *m)
{
	bool ever = false;

	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		const struct portmap_path *path = &e->paths[p][m->want.family];

		if (!path->driver)
			continue;
		ever |= path->ever;
		if (path->state != PATH_GONE || m->failed[path->failure])
			continue;
		m->failed[path->failure] = true;
		snprintf(m->failure_why[path->failure], PORTMAP_TEXT_BYTES, "%s", path->why);
	}
	return ever;
}

/* A path has decided: mappings that wait for that choose again; and when a path appeared, those
 * that could not be helped without it. */
static void choose_again(struct portmap_engine *e, enum portmap_family f, bool appeared,
			 uint64_t now_ms)
{
	for (struct portmap_mapping *m = e->mappings; m; m = m->next) {
		bool taken = m->state == MAPPING_CONFLICTING; /* in the one table of all paths */

		if (m->want.family != f || m->step != MAPPING_WAITING || e->mode != ENGINE_HERE)
			continue;
		if ((appeared && !taken) || m->due_ms == MAPPING_NEVER || m->due_ms == e->grace_ms)
			m->due_ms = now_ms;
	}
}

/* ---- the external address ---- */

/* An address without its port, and len 0 where it says nothing. */
static struct addr only_address(const struct addr *a)
{
	struct addr out = *a;

	if (out.len == 0 || out.sa.sa_family != AF_INET || out.v4.sin_addr.s_addr == 0)
		return (struct addr){.len = 0};
	addr_set_port(&out, 0);
	return out;
}

static bool address_differs(const struct addr *a, const struct addr *b)
{
	return a->len != b->len || (a->len > 0 && !addr_equal(a, b));
}

/* What was told last of a change, since others may not know yet; else by the order of paths. */
static struct addr paths_look_up(const struct portmap_engine *e)
{
	const struct portmap_path *best = NULL;

	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		const struct portmap_path *path = &e->paths[p][PORTMAP_IPV4];

		if (path->state == PATH_THERE && path->gateway.external.len > 0 &&
		    (!best || path->moved_ms > best->moved_ms))
			best = path;
	}
	return best ? best->gateway.external : (struct addr){.len = 0};
}

static void update_external(struct portmap_engine *e)
{
	struct addr old = e->told;

	e->external = paths_look_up(e);
	if (e->external.len == 0 || !address_differs(&e->external, &old))
		return;
	e->told = e->external;
	e->owner->external_changed(e->owner, &old, &e->told);
}

/* The space to the next one that is believed: longer where they come one upon the other. */
static uint64_t space_after(uint64_t last_ms, uint64_t space_ms, uint64_t now_ms)
{
	if (last_ms == 0 || space_ms == 0 || now_ms >= last_ms + 6 * space_ms)
		return PORTMAP_RESTART_MS;
	return space_ms * 2 < PORTMAP_RESTART_MAX_MS ? space_ms * 2 : PORTMAP_RESTART_MAX_MS;
}

/* When all mappings are renewed, since the address is another one: at once, and later where it was
 * another one just before. A gateway with many addresses would be asked without end. */
static uint64_t chase_at(struct portmap_path *path, uint64_t now_ms)
{
	if (path->chased_ms > 0 && now_ms < path->chased_ms + path->chase_space_ms)
		return path->chased_ms + path->chase_space_ms;
	path->chase_space_ms = space_after(path->chased_ms, path->chase_space_ms, now_ms);
	path->chased_ms = now_ms;
	return now_ms;
}

static void renew_held(struct portmap_engine *e, uint64_t due_ms)
{
	for (struct portmap_mapping *m = e->mappings; m; m = m->next)
		if (m->want.family == PORTMAP_IPV4 && m->step == MAPPING_HELD && due_ms < m->due_ms)
			m->due_ms = due_ms;
}

/* The mappings of a gateway whose address is another one are elsewhere now; all are renewed, which
 * tells. Its other protocols may not know yet: what they said before is over as well. */
static void moved_outside(struct portmap_engine *e, enum portmap_protocol p, const struct addr *old,
			  const struct addr *external, uint64_t now_ms)
{
	char text[ADDR_TEXT_BYTES];

	renew_held(e, chase_at(path_of(e, p, PORTMAP_IPV4), now_ms));
	for (unsigned i = 0; i < PORTMAP_PROTOCOLS; i++) {
		struct addr *known = &e->paths[i][PORTMAP_IPV4].gateway.external;

		if (known->len > 0 && addr_same_host(known, old))
			*known = *external;
	}
	for (struct portmap_mapping *m = e->mappings; m; m = m->next) {
		uint16_t port = addr_port(&m->external);

		if (m->want.family != PORTMAP_IPV4 || !mapping_held(m))
			continue;
		/* One that has had an address of its own may have it still. */
		if ((m->protocol != p || m->answered.len > 0) && !addr_same_host(&m->external, old))
			continue;
		m->external = *external;
		addr_set_port(&m->external, port);
		addr_format(&m->external, text);
		engine_set_state(e, m, MAPPING_MAPPED,
				 "the gateway's external address is another one: now at %s", text);
	}
}

static void set_external(struct portmap_engine *e, enum portmap_protocol p,
			 const struct addr *external, uint64_t now_ms)
{
	struct portmap_path *path = &e->paths[p][PORTMAP_IPV4];
	struct addr address = only_address(external);
	struct addr said = path->said, before = path->gateway.external;
	bool news = said.len == 0 || address_differs(&said, &address);

	if (address.len == 0)
		return;
	path->said = address;
	/* What it said already may be over, as another path knows. */
	if (!news && before.len > 0)
		return;
	path->gateway.external = address;
	if (said.len > 0 && address_differs(&before, &address)) {
		path->moved_ms = now_ms;
		moved_outside(e, p, &before, &address, now_ms);
	}
}

struct addr paths_place_of(const struct portmap_engine *e, const struct portmap_mapping *m,
			   const struct addr *external)
{
	const struct portmap_path *path = &e->paths[m->via][m->want.family];
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

static void paths_learn_external(struct portmap_engine *e, enum portmap_protocol p,
				 const struct addr *external, uint64_t now_ms)
{
	set_external(e, p, external, now_ms);
	update_external(e);
}

/* Another mapping of this path has the address that counts as the gateway's. */
static bool another_has(const struct portmap_engine *e, const struct portmap_mapping *but,
			const struct addr *known)
{
	for (const struct portmap_mapping *m = e->mappings; m; m = m->next)
		if (m != but && m->want.family == PORTMAP_IPV4 && m->protocol == but->via &&
		    mapping_held(m) && m->answered.len > 0 && addr_equal(&m->answered, known))
			return true;
	return false;
}

void paths_learn_granted(struct portmap_engine *e, struct portmap_mapping *m,
			 const struct addr *place, uint64_t now_ms)
{
	struct portmap_path *path = path_of(e, m->via, PORTMAP_IPV4);
	struct addr address = only_address(place), before = m->answered;
	struct addr known = path->gateway.external;

	if (address.len == 0)
		return;
	m->answered = address;
	if (known.len > 0 && address_differs(&known, &address)) {
		if (before.len > 0 && addr_equal(&before, &address))
			return;
		if ((before.len == 0 || !addr_equal(&before, &known)) &&
		    another_has(e, m, &known)) {
			renew_held(e, chase_at(path, now_ms));
			return;
		}
	}
	paths_learn_external(e, m->via, place, now_ms);
}

static void paths_heard_external_changed(struct portmap_heard *h, enum portmap_protocol p,
					 const struct addr *external)
{
	struct portmap_engine *e = ENGINE_OF(h);

	if (e->mode != ENGINE_HERE || e->paths[p][PORTMAP_IPV4].state != PATH_THERE)
		return;
	paths_learn_external(e, p, external, engine_now(e));
	engine_rearm(e);
}

/* ---- paths come and go ---- */

/* What a path still holds from before is not to stay beside what came after. */
static void delete_leftovers(struct portmap_engine *e, enum portmap_family f)
{
	for (struct portmap_mapping *m = e->mappings; m; m = m->next)
		if (m->want.family == f && mapping_held(m))
			engine_leftovers_beside(e, m);
}

static void paths_heard_available(struct portmap_heard *h, enum portmap_protocol p,
				  enum portmap_family f, const struct portmap_gateway *gateway)
{
	struct portmap_engine *e = ENGINE_OF(h);
	struct portmap_path *path = path_of(e, p, f);
	uint64_t now_ms = engine_now(e);
	struct addr before = path->gateway.external;
	bool appeared = path->state != PATH_THERE;

	if (!path->driver)
		return;
	path->state = PATH_THERE;
	path->ever = true;
	path->probing = false;
	path->why[0] = '\0';
	path->gateway = *gateway;
	path->gateway.external = before;
	plan_probe(e, path, f, now_ms);
	if (f == PORTMAP_IPV4 && gateway->external.len > 0)
		set_external(e, p, &gateway->external, now_ms);
	update_external(e);
	if (appeared) {
		log_info("portmap", "%s%s is there: %s", portmap_protocol_name(p), family_name(f),
			 gateway->about);
		for (struct portmap_mapping *m = e->mappings; m; m = m->next)
			if (m->want.family == f)
				m->tried &= ~(1u << p);
		delete_leftovers(e, f);
		engine_leftovers_path(e, p, f);
	}
	choose_again(e, f, appeared, now_ms);
	e->owner->path_changed(e->owner, p, f);
	engine_rearm(e);
}

static void path_went(struct portmap_engine *e, enum portmap_protocol p, enum portmap_family f,
		      enum portmap_failure failure, const char *why)
{
	struct portmap_path *path = path_of(e, p, f);
	uint64_t now_ms = engine_now(e);
	bool was_there = path->state == PATH_THERE;

	if (!path->driver)
		return;
	path->state = PATH_GONE;
	path->failure = failure;
	path->probing = false;
	snprintf(path->why, sizeof path->why, "%s", why);
	if (was_there) {
		log_at(path->told_gone ? LOG_LEVEL_DEBUG : LOG_LEVEL_NOTICE, "portmap",
		       "%s%s is no longer there: %s", portmap_protocol_name(p), family_name(f),
		       why);
		path->told_gone = true;
	} else {
		log_debug("portmap", "%s%s is not there: %s", portmap_protocol_name(p),
			  family_name(f), why);
	}
	engine_leftovers_path(e, p, f);
	for (struct portmap_mapping *m = e->mappings; m; m = m->next) {
		if (m->want.family == f && m->step == MAPPING_RENEWING && m->via == p &&
		    m->protocol != p) {
			engine_fail(e, m, failure, why);
			continue;
		}
		if (m->want.family != f || m->protocol != p || m->step == MAPPING_WAITING ||
		    m->astray.there)
			continue;
		engine_lost(e, m);
		engine_set_state(e, m, MAPPING_REQUESTED, "%s is no longer there: %s",
				 portmap_protocol_name(p), why);
	}
	plan_probe(e, path, f, now_ms);
	path->tries++;
	if (was_there && failure == PORTMAP_SILENT)
		paths_doubt(e, f, now_ms);
	update_external(e);
	choose_again(e, f, false, now_ms);
	e->owner->path_changed(e->owner, p, f);
	engine_maybe_left(e);
}

static void paths_heard_unavailable(struct portmap_heard *h, enum portmap_protocol p,
				    enum portmap_family f, enum portmap_failure failure,
				    const char *why)
{
	path_went(ENGINE_OF(h), p, f, failure, why);
	engine_rearm(ENGINE_OF(h));
}

/* Every path notices by itself; a restart is counted and told once. */
static void count_restart(struct portmap_engine *e, enum portmap_protocol p, enum portmap_family f,
			  const char *why, uint64_t now_ms)
{
	struct portmap_path *path = path_of(e, p, f);

	if (e->restarted && e->restarted != path && now_ms < e->restarted_ms + RESTART_MS) {
		log_debug("portmap", "the gateway restarted: %s (%s)", why,
			  portmap_protocol_name(p));
		return;
	}
	e->restarted = path;
	e->restarted_ms = now_ms;
	e->counts.restarts++;
	log_notice("portmap", "the gateway restarted: %s (%s)", why, portmap_protocol_name(p));
}

/* Held mappings are renewed where they are. */
static void renew_in_place(struct portmap_engine *e, enum portmap_protocol p, enum portmap_family f,
			   uint64_t now_ms)
{
	for (struct portmap_mapping *m = e->mappings; m; m = m->next)
		if (m->want.family == f && m->protocol == p && m->step == MAPPING_HELD)
			m->due_ms = now_ms;
}

static void ask_all_anew(struct portmap_engine *e, enum portmap_protocol p, enum portmap_family f,
			 bool in_place, uint64_t now_ms)
{
	for (unsigned i = 0; i < PORTMAP_PROTOCOLS; i++)
		e->paths[i][f].mute_ms = 0;
	for (struct portmap_mapping *m = e->mappings; m; m = m->next) {
		if (m->want.family == f && m->protocol == p && !in_place &&
		    (mapping_held(m) || m->astray.there)) {
			engine_lost(e, m);
			engine_set_state(e, m, MAPPING_REQUESTED,
					 "the gateway restarted and is asked again");
		} else if (m->step == MAPPING_HELD || m->step == MAPPING_WAITING) {
			/* The box is one: what another protocol made, or the other family's
			 * server, is probably gone as well, and what was taken or refused
			 * may be free now. */
			mapping_new_round(m);
			m->rounds = 0;
			m->due_ms = now_ms;
			m->doubted = m->want.family == f && m->protocol == p;
		}
	}
}

static void restart_now(struct portmap_engine *e, enum portmap_protocol p, enum portmap_family f,
			const char *why, uint64_t now_ms)
{
	struct portmap_path *path = path_of(e, p, f);
	/* Any host of the LAN can forge the announcement; but what is there can be looked at. */
	bool looked_at = p == PORTMAP_UPNP && f == PORTMAP_IPV4;

	path->restart_space_ms = space_after(path->restarted_ms, path->restart_space_ms, now_ms);
	path->restarted_ms = now_ms;
	path->restart_due_ms = MAPPING_NEVER;
	count_restart(e, p, f, why, now_ms);
	ask_all_anew(e, p, f, looked_at || path->restart_space_ms > PORTMAP_RESTART_MS, now_ms);
}

static void paths_heard_restarted(struct portmap_heard *h, enum portmap_protocol p,
				  enum portmap_family f, const char *why)
{
	struct portmap_engine *e = ENGINE_OF(h);
	struct portmap_path *path = path_of(e, p, f);
	uint64_t now_ms = engine_now(e);

	if (e->mode != ENGINE_HERE)
		return;
	if (path->restarted_ms > 0 && now_ms < path->restarted_ms + path->restart_space_ms) {
		path->restart_due_ms = path->restarted_ms + path->restart_space_ms;
		log_debug("portmap", "the gateway restarted again: %s", why);
	} else {
		restart_now(e, p, f, why, now_ms);
	}
	engine_rearm(e);
}

/* People are told once, and what is held is renewed now and then: the other server may not know it.
 */
static void paths_heard_doubted(struct portmap_heard *h, enum portmap_protocol p,
				enum portmap_family f, const char *why)
{
	struct portmap_engine *e = ENGINE_OF(h);
	struct portmap_path *path = path_of(e, p, f);
	uint64_t now_ms = engine_now(e);

	if (e->mode != ENGINE_HERE)
		return;
	if (strcmp(path->note, why) != 0) {
		snprintf(path->note, sizeof path->note, "%s", why);
		log_warning("portmap", "%s%s: %s", portmap_protocol_name(p), family_name(f), why);
		e->owner->path_changed(e->owner, p, f);
	}
	path->restart_due_ms = MAPPING_NEVER; /* it was none */
	if (path->doubted_ms > 0 && now_ms < path->doubted_ms + path->doubt_space_ms)
		return;
	path->doubt_space_ms = space_after(path->doubted_ms, path->doubt_space_ms, now_ms);
	path->doubted_ms = now_ms;
	renew_in_place(e, p, f, now_ms);
	engine_rearm(e);
}

void paths_init_heard(struct portmap_heard *h)
{
	h->available = paths_heard_available;
	h->unavailable = paths_heard_unavailable;
	h->restarted = paths_heard_restarted;
	h->doubted = paths_heard_doubted;
	h->external_changed = paths_heard_external_changed;
}
