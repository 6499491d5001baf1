/* SPDX-License-Identifier: Apache-2.0 */
/* engine: what is wanted, the queue of requests, networks that come and go. */
#include "portmap/engine/engine_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/container.h"
#include "core/log.h"

#define LEAVE_SPACING_MS 5u

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

/* splitmix64: spreads load and picks ports; nothing secret hangs on it. */
uint64_t engine_random(struct portmap_engine *e)
{
	uint64_t z = (e->seed += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* ---- life ---- */

static void mapping_changed(struct mapping_watcher *w, const struct portmap_mapping *m,
			    enum mapping_state old)
{
	struct portmap_engine *e = container(w, struct portmap_engine, watcher);

	e->owner->mapping_changed(e->owner, m, old);
}

void portmap_engine_init(struct portmap_engine *e)
{
	e->watcher.changed = mapping_changed;
	paths_init_heard(&e->heard);
	asking_init_heard(&e->heard);
}

void portmap_engine_free(struct portmap_engine *e)
{
	while (e->mappings)
		engine_remove(e, e->mappings);
}

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

/* ---- what is wanted ---- */

static const struct portmap_want *find_want(const struct portmap_want *wants, size_t count,
					    const struct portmap_want *like)
{
	for (size_t i = 0; i < count; i++)
		if (portmap_want_same(&wants[i], like))
			return &wants[i];
	return NULL;
}

static int add(struct portmap_engine *e, const struct portmap_want *want)
{
	struct portmap_mapping *m = calloc(1, sizeof *m), **end = &e->mappings;

	if (!m)
		return -ENOMEM;
	m->id = ++e->last_id;
	m->want = *want;
	m->wanted = true;
	m->ask_port = want->external;
	m->since_ms = engine_now(e);
	m->due_ms = e->mode == ENGINE_HERE ? m->since_ms : MAPPING_NEVER;
	while (*end)
		end = &(*end)->next;
	*end = m;
	e->count++;
	return 0;
}

/* The same mapping, wanted otherwise. */
static void change(struct portmap_engine *e, struct portmap_mapping *m,
		   const struct portmap_want *want, uint64_t now_ms)
{
	bool moves = m->want.external != want->external ||
		     (m->want.any && !want->any && m->ask_port != want->external);
	bool differs = moves || m->want.any != want->any || m->want.lifetime_s != want->lifetime_s;

	m->wanted = true;
	m->want.external = want->external;
	m->want.any = want->any;
	m->want.lifetime_s = want->lifetime_s;
	if (!differs || e->mode != ENGINE_HERE)
		return;
	if (moves) {
		asking_let_go(e, m, now_ms);
		m->ask_port = want->external;
		m->others = 0;
		mapping_set_state(m, MAPPING_REQUESTED, now_ms, &e->watcher,
				  "the configuration asks for another external port");
	}
	mapping_new_round(m);
	if (m->step == MAPPING_HELD || m->step == MAPPING_WAITING)
		m->due_ms = now_ms;
}

static void drop(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	char name[MAPPING_NAME_BYTES];

	if (m->wanted) {
		mapping_name(m, name);
		log_notice("portmap", "%s: no longer wanted", name);
	}
	m->wanted = false;
	if (e->mode == ENGINE_HERE)
		asking_let_go(e, m, now_ms);
	if (m->step == MAPPING_WAITING)
		engine_remove(e, m);
}

int portmap_engine_want(struct portmap_engine *e, const struct portmap_want *wants, size_t count)
{
	uint64_t now_ms = engine_now(e);
	int error = 0;

	assert(count <= PORTMAP_MAPPINGS_MAX && (wants || count == 0));
	for (struct portmap_mapping *m = e->mappings, *next; m; m = next) {
		const struct portmap_want *want = find_want(wants, count, &m->want);

		next = m->next;
		if (want)
			change(e, m, want, now_ms);
		else
			drop(e, m, now_ms);
	}
	for (size_t i = 0; i < count && !error; i++) {
		const struct portmap_mapping *m = e->mappings;

		while (m && !portmap_want_same(&m->want, &wants[i]))
			m = m->next;
		if (!m)
			error = add(e, &wants[i]);
	}
	engine_rearm(e);
	return error;
}

/* ---- networks ---- */

static void wait_for_network(struct portmap_engine *e, const char *why)
{
	uint64_t now_ms = engine_now(e);

	for (struct portmap_mapping *m = e->mappings, *next; m; m = next) {
		next = m->next;
		m->step = MAPPING_WAITING;
		m->due_ms = MAPPING_NEVER;
		if (m->kept && m->wanted)
			continue;
		m->kept = false;
		m->external.len = 0;
		m->rounds = m->others = 0;
		m->no_external = false;
		m->ask_port = m->want.external;
		memset(m->left, 0, sizeof m->left);
		mapping_new_round(m);
		if (!m->wanted)
			engine_remove(e, m);
		else if (why)
			mapping_set_state(m, MAPPING_REQUESTED, now_ms, &e->watcher, "%s", why);
	}
}

static void leave_now(struct portmap_engine *e, const char *why)
{
	memset(e->paths, 0, sizeof e->paths);
	e->mode = ENGINE_AWAY;
	if (!e->keep[PORTMAP_IPV4])
		e->external.len = 0;
	wait_for_network(e, why);
	e->owner->left(e->owner);
}

/* A path that is there holds something beside the mapping's own; asked: or is being asked. */
static bool has_leftover(const struct portmap_engine *e, const struct portmap_mapping *m,
			 bool asked)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS && !m->kept; p++)
		if (m->left[p].there && (asked || !m->left[p].asked) &&
		    e->paths[p][m->want.family].state == PATH_THERE)
			return true;
	return false;
}

void engine_maybe_left(struct portmap_engine *e)
{
	if (e->mode != ENGINE_LEAVING)
		return;
	for (const struct portmap_mapping *m = e->mappings; m; m = m->next)
		if (m->step != MAPPING_WAITING || has_leftover(e, m, true))
			return;
	leave_now(e, NULL);
}

void portmap_engine_leave(struct portmap_engine *e, bool goodbye, const bool keep[PORTMAP_FAMILIES],
			  const char *why)
{
	uint64_t now_ms = engine_now(e);

	memcpy(e->keep, keep, sizeof e->keep);
	for (struct portmap_mapping *m = e->mappings; m; m = m->next)
		if (keep[m->want.family] && m->wanted)
			asking_keep(e, m);
	if (!goodbye) {
		leave_now(e, why);
		engine_rearm(e);
		return;
	}
	e->mode = ENGINE_LEAVING;
	e->leave_ms = now_ms + PORTMAP_LEAVE_MS;
	e->free_ms = now_ms;
	for (struct portmap_mapping *m = e->mappings; m; m = m->next) {
		asking_let_go(e, m, now_ms);
		if (m->step == MAPPING_WAITING)
			m->due_ms = MAPPING_NEVER;
		if (m->kept)
			continue;
		mapping_set_state(m, MAPPING_REQUESTED, now_ms, &e->watcher, "%s", why);
	}
	engine_maybe_left(e);
	engine_rearm(e);
}

void portmap_engine_enter(struct portmap_engine *e, const struct addr source[PORTMAP_FAMILIES],
			  struct portmap_driver *const *drivers, size_t count)
{
	uint64_t now_ms = engine_now(e);

	assert(e->mode == ENGINE_AWAY);
	e->mode = ENGINE_HERE;
	e->grace_ms = now_ms + PORTMAP_GRACE_MS;
	e->free_ms = now_ms;
	memset(e->paths, 0, sizeof e->paths);
	memcpy(e->source, source, sizeof e->source);
	for (size_t i = 0; i < count; i++) {
		for (unsigned f = 0; f < PORTMAP_FAMILIES; f++) {
			struct portmap_path *path = &e->paths[drivers[i]->protocol][f];

			if (!drivers[i]->families[f] || source[f].len == 0)
				continue;
			assert(!path->driver);
			path->driver = drivers[i];
			path->state = PATH_PROBING;
		}
		drivers[i]->heard = &e->heard;
	}
	for (struct portmap_mapping *m = e->mappings; m; m = m->next)
		m->due_ms = now_ms;
	for (size_t i = 0; i < count; i++)
		paths_probe(e, drivers[i], now_ms);
	engine_rearm(e);
}

/* ---- time ---- */

static bool in_flight(const struct portmap_mapping *m)
{
	return m->step == MAPPING_ASKING || m->step == MAPPING_RENEWING ||
	       m->step == MAPPING_UNMAPPING;
}

/* The next deletion to send, else the end. */
static uint64_t leaving_next(const struct portmap_engine *e)
{
	for (const struct portmap_mapping *m = e->mappings; m; m = m->next)
		if (m->step == MAPPING_LEAVING || has_leftover(e, m, false))
			return e->free_ms < e->leave_ms ? e->free_ms : e->leave_ms;
	return e->leave_ms;
}

void engine_rearm(struct portmap_engine *e)
{
	uint64_t due = e->mode == ENGINE_HERE ? paths_next(e) : MAPPING_NEVER;

	if (e->mode == ENGINE_LEAVING)
		due = leaving_next(e);
	for (const struct portmap_mapping *m = e->mappings; m && e->mode == ENGINE_HERE;
	     m = m->next) {
		uint64_t own = m->due_ms;

		if (!in_flight(m) && own < e->free_ms)
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
		if (!in_flight(m) && m->due_ms <= now_ms && (!first || m->due_ms < first->due_ms))
			first = m;
	return first;
}

static void run_queue(struct portmap_engine *e, uint64_t now_ms)
{
	struct portmap_mapping *m;

	while (now_ms >= e->free_ms && (m = first_due(e, now_ms)))
		if (asking_step(e, m, now_ms))
			e->free_ms = now_ms + (e->mode == ENGINE_LEAVING ? LEAVE_SPACING_MS
									 : PORTMAP_SPACING_MS);
}

static void run_leaving(struct portmap_engine *e, uint64_t now_ms)
{
	if (now_ms >= e->leave_ms) {
		log_notice("portmap", "the gateway takes too long to delete mappings; they end by "
				      "themselves where it gave them a lifetime");
		leave_now(e, NULL);
		return;
	}
	run_queue(e, now_ms);
	for (struct portmap_mapping *m = e->mappings; m && now_ms >= e->free_ms; m = m->next)
		if (m->step == MAPPING_WAITING && !m->kept && asking_leftover(e, m, now_ms))
			e->free_ms = now_ms + LEAVE_SPACING_MS;
	engine_maybe_left(e);
}

void portmap_engine_run(struct portmap_engine *e)
{
	uint64_t now_ms = engine_now(e);

	for (struct portmap_mapping *m = e->mappings, *next; m; m = next) {
		next = m->next;
		if (in_flight(m) && m->due_ms <= now_ms)
			asking_silent(e, m, now_ms);
	}
	if (e->mode == ENGINE_LEAVING) {
		run_leaving(e, now_ms);
	} else if (e->mode == ENGINE_HERE) {
		paths_run(e, now_ms);
		run_queue(e, now_ms);
	}
	engine_rearm(e);
}

void portmap_engine_renew(struct portmap_engine *e)
{
	uint64_t now_ms = engine_now(e);

	if (e->mode != ENGINE_HERE)
		return;
	for (struct portmap_mapping *m = e->mappings; m; m = m->next) {
		if (in_flight(m))
			continue;
		if (m->step == MAPPING_WAITING)
			mapping_new_round(m);
		m->due_ms = now_ms;
	}
	engine_rearm(e);
}

/* ---- proof ---- */

void portmap_engine_verified(struct portmap_engine *e, uint32_t id, const char *proof)
{
	struct portmap_mapping *m = portmap_engine_find(e, id);
	char why[MAPPING_WHY_BYTES];

	if (!m || (m->state != MAPPING_MAPPED && m->state != MAPPING_VERIFIED))
		return;
	memcpy(why, m->why, sizeof why);
	snprintf(m->proof, sizeof m->proof, "%s", proof);
	if (m->state == MAPPING_MAPPED)
		mapping_set_state(m, MAPPING_VERIFIED, engine_now(e), &e->watcher, "%s; %s", why,
				  proof);
}

void portmap_engine_unproven(struct portmap_engine *e, uint32_t id, const char *why)
{
	struct portmap_mapping *m = portmap_engine_find(e, id);

	if (m && m->state == MAPPING_MAPPED)
		snprintf(m->proof, sizeof m->proof, "%s", why);
}
