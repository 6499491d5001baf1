/* SPDX-License-Identifier: Apache-2.0 */
/* asks: rights, who was first, and the end of each. */
#include "portmap/engine/asks.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"

#define LOW_PORTS     1024u
#define OTHER_PORT_GO 20000u

static const char *const refusal_names[] = {
	[ASK_GRANTED] = "granted", [ASK_NO_RIGHT] = "no_right",
	[ASK_PORT] = "port",	   [ASK_CONFIGURED] = "configured",
	[ASK_TAKEN] = "taken",	   [ASK_USER_FULL] = "user_full",
	[ASK_FULL] = "full",
};
static_assert(sizeof refusal_names / sizeof *refusal_names == ASK_REFUSALS, "a name each");

static const char *const end_names[] = {
	[ASK_UNMAPPED] = "unmapped", [ASK_GONE] = "gone",	    [ASK_LEASE] = "lease",
	[ASK_RIGHT] = "right",	     [ASK_DISPLACED] = "displaced",
};
static_assert(sizeof end_names / sizeof *end_names == ASK_ENDS, "a name each");

const char *ask_refusal_name(enum ask_refusal r)
{
	return refusal_names[r];
}

const char *ask_end_name(enum ask_end e)
{
	return end_names[e];
}

void ask_who(const struct ask *a, char out[ASKS_WHO_BYTES])
{
	snprintf(out, ASKS_WHO_BYTES, a->name[0] ? "%s (uid %u)" : "%suid %u", a->name,
		 (unsigned)a->user.uid);
}

/* ---- rights ---- */

static bool is_in_group(const struct ask_user *user, gid_t group)
{
	for (size_t i = 0; i < user->group_count; i++)
		if (user->groups[i] == group)
			return true;
	return false;
}

static bool right_is_of(const struct ask_right *r, const struct ask_user *user)
{
	return r->group ? is_in_group(user, (gid_t)r->id) : user->uid == (uid_t)r->id;
}

static bool right_has_port(const struct ask_right *r, uint16_t port)
{
	for (size_t i = 0; i < r->port_count; i++)
		if (port >= r->ports[i].first && port <= r->ports[i].last)
			return true;
	return r->port_count == 0 && port >= LOW_PORTS;
}

static bool right_allows(const struct ask_right *r, const struct portmap_want *w)
{
	return r->transports[w->transport] && right_has_port(r, w->internal) &&
	       right_has_port(r, w->external);
}

bool asks_allows_some(const struct asks *s, const struct ask_user *user)
{
	for (size_t i = 0; i < s->right_count; i++)
		if (right_is_of(&s->rights[i], user))
			return true;
	return user->all;
}

/* How many asks at a time this user may have that asks for this; 0: it may not. */
static unsigned most_of(const struct asks *s, const struct ask_user *user,
			const struct portmap_want *w)
{
	unsigned most = user->all ? ASKS_MAX : 0;

	for (size_t i = 0; i < s->right_count; i++)
		if (right_is_of(&s->rights[i], user) && right_allows(&s->rights[i], w) &&
		    s->rights[i].most > most)
			most = s->rights[i].most;
	return most;
}

/* ---- the table ---- */

const struct ask *asks_of(const struct asks *s, const struct portmap_want *like,
			  const struct ask *after)
{
	for (const struct ask *a = after ? after + 1 : s->list; a < s->list + ASKS_MAX; a++)
		if (a->used && portmap_want_same(&a->want, like))
			return a;
	return NULL;
}

static struct ask *ask_of_user(struct asks *s, uid_t uid, const struct portmap_want *like)
{
	for (struct ask *a = s->list; a < s->list + ASKS_MAX; a++)
		if (a->used && a->user.uid == uid && portmap_want_same(&a->want, like))
			return a;
	return NULL;
}

/* A place that rests still counts as its last user's. */
static size_t count_of_user(const struct asks *s, uid_t uid, uint64_t now_ms)
{
	size_t count = 0;

	for (const struct ask *a = s->list; a < s->list + ASKS_MAX; a++)
		count += a->user.uid == uid && (a->used || now_ms < a->free_ms);
	return count;
}

static struct ask *free_place(struct asks *s, uint64_t now_ms)
{
	for (struct ask *a = s->list; a < s->list + ASKS_MAX; a++)
		if (!a->used && now_ms >= a->free_ms)
			return a;
	return NULL;
}

/* False: it was none. */
static bool ask_drop_caller(struct ask *a, const void *caller)
{
	for (size_t i = 0; i < a->caller_count; i++) {
		if (a->callers[i] != caller)
			continue;
		a->callers[i] = a->callers[--a->caller_count];
		return true;
	}
	return false;
}

/* Somebody asks for it over another connection than this one, or did so with a lease. */
static bool ask_has_others(const struct ask *a, const void *caller, uint64_t now_ms)
{
	for (size_t i = 0; i < a->caller_count; i++)
		if (a->callers[i] != caller)
			return true;
	return now_ms < a->lease_ms && a->lease_by != caller;
}

static void ask_time(struct ask *a)
{
	a->ends_ms = a->lease_ms > a->gone_ms ? a->lease_ms : a->gone_ms;
	if (a->caller_count > 0)
		a->ends_ms = MAPPING_NEVER;
}

static void ask_end(struct asks *s, struct ask *a, enum ask_end end, uint64_t now_ms,
		    const char *why)
{
	s->ends[end]++;
	s->ended(s, a, end, why);
	a->used = false;
	a->outside = 0;
	a->caller_count = 0;
	a->lease_ms = a->gone_ms = 0;
	a->lease_by = NULL;
	a->free_ms = now_ms + ASKS_REST_MS;
}

/* ---- asking ---- */

__attribute__((format(printf, 4, 5))) static enum ask_refusal
refuse(struct asks *s, enum ask_refusal r, char why[ASKS_WHY_BYTES], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, ASKS_WHY_BYTES, format, args);
	va_end(args);
	s->refused[r]++;
	return r;
}

/* The external port that a mapping has or asks for. */
static uint16_t outside_of(const struct portmap_mapping *m)
{
	return m->external.len > 0 ? addr_port(&m->external) : m->ask_port;
}

/* The other mapping that has this external port of the gateway, or NULL. Over IPv6 every port is
 * its host's own. */
static const struct portmap_mapping *who_has(const struct portmap_engine *e,
					     const struct portmap_want *w)
{
	for (const struct portmap_mapping *m = e->mappings; m; m = m->next)
		if (w->family == PORTMAP_IPV4 && m->want.family == PORTMAP_IPV4 &&
		    m->want.transport == w->transport && !portmap_want_same(&m->want, w) &&
		    (m->want.external == w->external || outside_of(m) == w->external))
			return m;
	return NULL;
}

static const struct portmap_mapping *kept(const struct portmap_engine *e,
					  const struct portmap_want *like)
{
	const struct portmap_mapping *m = e->mappings;

	while (m && (!m->wanted || !portmap_want_same(&m->want, like)))
		m = m->next;
	return m;
}

static bool is_configured(const struct asks *s, const struct portmap_want *w)
{
	return portmap_want_find(s->configured, s->configured_count, w) != NULL;
}

/* Whether it is content with a mapping whose external port others decide on. */
static bool fits(const struct portmap_want *w, const struct portmap_want *decided)
{
	return w->any || (w->external == decided->external && !decided->any);
}

/* Beside what is kept: the port otherwise, or its external port. */
static enum ask_refusal judge_beside(struct asks *s, const struct portmap_engine *e,
				     const struct ask_user *user, const struct portmap_want *w,
				     char why[ASKS_WHY_BYTES])
{
	const struct portmap_mapping *m = kept(e, w), *has = who_has(e, w);
	const struct ask *other = asks_of(s, w, NULL);
	bool configured = is_configured(s, w);
	char name[MAPPING_NAME_BYTES];

	while (other && other->user.uid == user->uid)
		other = asks_of(s, w, other);
	if (m && (configured || other)) {
		if (fits(w, &m->want))
			return ASK_GRANTED;
		mapping_name(m, name);
		return refuse(s, configured ? ASK_CONFIGURED : ASK_TAKEN, why,
			      configured ? "the configuration maps %s; ask for the same external "
					   "port, or take any"
					 : "another user asked for %s before; ask for the same "
					   "external port, or take any",
			      name);
	}
	if (!has || w->any)
		return ASK_GRANTED;
	mapping_name(has, name);
	if (!has->wanted)
		return refuse(s, ASK_TAKEN, why,
			      "external port %u is just being given back (%s); ask again in a few "
			      "seconds",
			      w->external, name);
	return refuse(s, is_configured(s, &has->want) ? ASK_CONFIGURED : ASK_TAKEN, why,
		      "external port %u leads to another port of this host already (%s); ask for "
		      "another one, or take any",
		      w->external, name);
}

static enum ask_refusal judge_right(struct asks *s, const struct ask_user *user,
				    const struct portmap_want *w, unsigned *most,
				    char why[ASKS_WHY_BYTES])
{
	*most = most_of(s, user, w);
	if (*most > 0)
		return ASK_GRANTED;
	if (!asks_allows_some(s, user))
		return refuse(s, ASK_NO_RIGHT, why,
			      "user %u may not ask for mappings; allow it or a group of its in "
			      "natd's configuration (allow), or ask as root",
			      (unsigned)user->uid);
	if (w->external == w->internal)
		return refuse(s, ASK_PORT, why,
			      "user %u may not ask for %s port %u; natd's configuration (allow) "
			      "says which ports it may",
			      (unsigned)user->uid, portmap_transport_name(w->transport),
			      w->internal);
	return refuse(s, ASK_PORT, why,
		      "user %u may not ask for %s port %u at external port %u; natd's "
		      "configuration (allow) says which ports it may",
		      (unsigned)user->uid, portmap_transport_name(w->transport), w->internal,
		      w->external);
}

/* Its own ask for this port is to be another one, which the gateway has to do something for. */
static bool ask_differs(const struct ask *a, const struct portmap_want *w)
{
	return a->want.external != w->external || a->want.any != w->any;
}

/* What the same connection said before is over; what others said is not. */
static void ask_until(struct ask *a, const struct ask_request *r, uint64_t now_ms)
{
	uint64_t until_ms = now_ms + r->lease_s * UINT64_C(1000);

	ask_drop_caller(a, r->caller);
	if (a->lease_by == r->caller)
		a->lease_ms = 0;
	if (r->lease_s == 0)
		a->callers[a->caller_count++] = r->caller;
	else if (until_ms > a->lease_ms) {
		a->lease_ms = until_ms;
		a->lease_by = r->caller;
	}
	a->gone_ms = 0;
	ask_time(a);
}

/* Another connection may join those that ask for it. */
static bool ask_has_room(const struct ask *a, const struct ask_request *r)
{
	for (size_t i = 0; i < a->caller_count; i++)
		if (a->callers[i] == r->caller)
			return true;
	return r->lease_s > 0 || a->caller_count < ASKS_CALLERS_MAX;
}

static void ask_fill(struct ask *a, const struct ask_request *r, const struct portmap_want *want,
		     uint64_t now_ms)
{
	bool rests = a->used && now_ms < a->free_ms;
	bool shared = a->used && ask_has_others(a, r->caller, now_ms);
	uint32_t before_s = a->want.lifetime_s, lifetime_s = want->lifetime_s;

	if (rests || (shared && lifetime_s < before_s))
		lifetime_s = before_s;

	if (!rests)
		a->free_ms = now_ms + ASKS_REST_MS;
	a->used = true;
	a->user = *r->user;
	if (ask_differs(a, want))
		a->outside = 0;
	a->want = *want;
	a->want.lifetime_s = lifetime_s;
	ask_until(a, r, now_ms);
	log_escape(r->name ? r->name : "", a->name, sizeof a->name);
}

enum ask_refusal asks_add(struct asks *s, const struct portmap_engine *e,
			  const struct ask_request *r, uint64_t now_ms, const struct ask **out,
			  char why[ASKS_WHY_BYTES])
{
	const struct portmap_want *want = &r->want;
	struct ask *a = ask_of_user(s, r->user->uid, want);
	enum ask_refusal refusal;
	unsigned most;

	refusal = judge_right(s, r->user, want, &most, why);
	if (refusal == ASK_GRANTED)
		refusal = judge_beside(s, e, r->user, want, why);
	if (refusal != ASK_GRANTED)
		return refusal;
	if (a ? ask_differs(a, want) && now_ms < a->free_ms
	      : count_of_user(s, r->user->uid, now_ms) >= most)
		return refuse(s, ASK_USER_FULL, why,
			      a ? "user %u has just asked for this port; ask again in a few seconds"
				: "user %u asks for %u mappings already, or has just done so; take "
				  "one back, or ask again in a few seconds",
			      (unsigned)r->user->uid, most);
	if (a && !ask_has_room(a, r))
		return refuse(s, ASK_USER_FULL, why,
			      "user %u asks for this port over %u connections already; end one, or "
			      "ask with a lease",
			      (unsigned)r->user->uid, ASKS_CALLERS_MAX);
	if (!a && (kept(e, want) || e->count < PORTMAP_MAPPINGS_MAX)) {
		a = free_place(s, now_ms);
		if (a)
			a->number = ++s->last_number;
	}
	if (!a)
		return refuse(s, ASK_FULL, why,
			      "natd keeps as many mappings as it can; ask again when another "
			      "program has taken one back");
	ask_fill(a, r, want, now_ms);
	s->granted++;
	*out = a;
	return ASK_GRANTED;
}

/* ---- the end ---- */

/* Over the connection that asked, what others did over theirs stays. */
static bool ask_left_to_others(struct ask *a, const void *caller, uint64_t now_ms)
{
	bool own = ask_drop_caller(a, caller);

	if (a->lease_by == caller && now_ms < a->lease_ms) {
		own = true;
		a->lease_ms = 0;
	}
	if (own && ask_has_others(a, caller, now_ms)) {
		ask_time(a);
		return true;
	}
	return false;
}

size_t asks_remove(struct asks *s, const struct ask_user *user, const void *caller,
		   const struct portmap_want *like, uint64_t now_ms)
{
	bool anyones = user->all && !ask_of_user(s, user->uid, like);
	size_t count = 0;

	for (struct ask *a = s->list; a < s->list + ASKS_MAX; a++) {
		if (!a->used || !portmap_want_same(&a->want, like) ||
		    (!anyones && a->user.uid != user->uid))
			continue;
		if (!ask_left_to_others(a, caller, now_ms))
			ask_end(s, a, ASK_UNMAPPED, now_ms, "it was taken back");
		count++;
	}
	return count;
}

void asks_caller_gone(struct asks *s, const void *caller, uint64_t now_ms)
{
	for (struct ask *a = s->list; a < s->list + ASKS_MAX; a++) {
		if (!a->used)
			continue;
		if (a->lease_by == caller)
			a->lease_by = NULL;
		if (ask_drop_caller(a, caller) && a->caller_count == 0)
			a->gone_ms = now_ms + ASKS_GRACE_MS;
		ask_time(a);
	}
}

size_t asks_run(struct asks *s, uint64_t now_ms)
{
	size_t count = 0;

	for (struct ask *a = s->list; a < s->list + ASKS_MAX; a++) {
		bool lease = a->lease_ms > a->gone_ms;

		if (!a->used || now_ms < a->ends_ms)
			continue;
		ask_end(s, a, lease ? ASK_LEASE : ASK_GONE, now_ms,
			lease ? "its lease is over" : "who asked for it has gone");
		count++;
	}
	return count;
}

uint64_t asks_next(const struct asks *s)
{
	uint64_t next = MAPPING_NEVER;

	for (const struct ask *a = s->list; a < s->list + ASKS_MAX; a++)
		if (a->used && a->ends_ms < next)
			next = a->ends_ms;
	return next;
}

/* ---- beside the configuration ---- */

/* Why the configuration's wants leave no place for this one; NULL: they do. */
static const char *displaced(const struct portmap_want *wants, size_t count,
			     const struct portmap_want *w)
{
	const struct portmap_want *same = portmap_want_find(wants, count, w);

	if (same)
		return fits(w, same) ? NULL
				     : "the configuration maps the port to another external one";
	for (size_t i = 0; i < count && !w->any; i++)
		if (w->family == PORTMAP_IPV4 && wants[i].family == PORTMAP_IPV4 &&
		    wants[i].transport == w->transport && wants[i].external == w->external)
			return "the configuration needs its external port";
	return NULL;
}

static struct ask *newest(struct asks *s)
{
	struct ask *found = NULL;

	for (struct ask *a = s->list; a < s->list + ASKS_MAX; a++)
		if (a->used && (!found || a->number > found->number))
			found = a;
	return found;
}

/* What all would come to, also beyond what there is room for. */
static size_t count_all(const struct asks *s, const struct portmap_want *wants, size_t count)
{
	size_t all = count;

	for (const struct ask *a = s->list; a < s->list + ASKS_MAX; a++)
		all += a->used && !portmap_want_find(wants, count, &a->want) &&
		       asks_of(s, &a->want, NULL) == a;
	return all;
}

void asks_configure(struct asks *s, const struct ask_right *rights, size_t right_count,
		    const struct portmap_want *wants, size_t count, uint64_t now_ms)
{
	struct ask *a;

	assert(right_count <= ASKS_RIGHTS_MAX);
	if (right_count > 0)
		memcpy(s->rights, rights, right_count * sizeof *rights);
	s->right_count = right_count;
	s->configured = wants;
	s->configured_count = count;
	for (a = s->list; a < s->list + ASKS_MAX; a++) {
		const char *why = a->used ? displaced(wants, count, &a->want) : NULL;

		if (a->used && most_of(s, &a->user, &a->want) == 0)
			ask_end(s, a, ASK_RIGHT, now_ms,
				"the configuration does not allow it any more");
		else if (why)
			ask_end(s, a, ASK_DISPLACED, now_ms, why);
	}
	while (count_all(s, wants, count) > PORTMAP_MAPPINGS_MAX && (a = newest(s)))
		ask_end(s, a, ASK_DISPLACED, now_ms, "the configuration needs its place");
}

/* The first that asked for this mapping, who decides on its external port. */
static struct ask *first_of(struct asks *s, const struct portmap_want *like)
{
	struct ask *first = NULL;

	for (struct ask *a = s->list; a < s->list + ASKS_MAX; a++)
		if (a->used && portmap_want_same(&a->want, like) &&
		    (!first || a->number < first->number))
			first = a;
	return first;
}

static bool outside_is_taken(const struct portmap_want *wants, size_t count,
			     const struct portmap_want *w)
{
	for (size_t i = 0; i < count; i++)
		if (w->family == PORTMAP_IPV4 && wants[i].family == PORTMAP_IPV4 &&
		    wants[i].transport == w->transport && wants[i].external == w->external)
			return true;
	return false;
}

/* What is content with any external port gets one that no other mapping of ours has, and keeps it.
 * There are more ports than mappings. */
static void choose_outside(struct ask *a, const struct portmap_want *wants, size_t count,
			   struct portmap_want *w)
{
	if (a->outside)
		w->external = a->outside;
	for (unsigned i = 0; outside_is_taken(wants, count, w); i++)
		w->external = (uint16_t)(OTHER_PORT_GO + (w->internal + i) % OTHER_PORT_GO);
	a->outside = w->external;
}

size_t asks_wants(struct asks *s, struct portmap_want wants[PORTMAP_MAPPINGS_MAX], size_t count)
{
	assert(wants && count <= PORTMAP_MAPPINGS_MAX);
	for (int any = 0; any < 2; any++) { /* these come after those that are content with one */
		for (struct ask *a = s->list; a < s->list + ASKS_MAX; a++) {
			struct ask *first;
			struct portmap_want w;

			if (!a->used || count == PORTMAP_MAPPINGS_MAX ||
			    portmap_want_find(wants, count, &a->want))
				continue;
			first = first_of(s, &a->want);
			w = first->want;
			if (w.any != any)
				continue;
			if (any)
				choose_outside(first, wants, count, &w);
			wants[count++] = w;
		}
	}
	return count;
}
