/* SPDX-License-Identifier: Apache-2.0 */
/* wants: what the owner asks and tells: these mappings, this network, this proof. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "portmap/engine/engine_internal.h"

/* ---- what is wanted ---- */

static int want_add(struct portmap_engine *e, const struct portmap_want *want)
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

/* What is at the gateway, or asked of it, is not what is asked for from now on, at this port. */
static void leave_behind(struct portmap_engine *e, struct portmap_mapping *m, uint16_t port)
{
	if (e->mode == ENGINE_HERE)
		engine_let_go(e, m);
	if (m->kept) {
		engine_leave_over(e, m);
		m->external.len = 0;
		m->kept = false;
	}
	engine_leftovers_but(e, m, port);
	m->ask_port = port;
}

/* The same mapping, wanted otherwise. */
static void want_change(struct portmap_engine *e, struct portmap_mapping *m,
			const struct portmap_want *want, uint64_t now_ms)
{
	bool moves = m->want.external != want->external ||
		     (m->want.any && !want->any && m->ask_port != want->external);
	bool differs = moves || m->want.any != want->any;
	bool renews = differs || m->want.lifetime_s != want->lifetime_s;

	m->wanted = true;
	if (moves)
		leave_behind(e, m, want->external);
	m->want.external = want->external;
	m->want.any = want->any;
	m->want.lifetime_s = want->lifetime_s;
	if (!renews || e->mode != ENGINE_HERE)
		return;
	if (moves) {
		m->others = 0;
		engine_set_state(e, m, MAPPING_REQUESTED, "another external port is asked for");
	}
	if (differs)
		mapping_new_round(m);
	/* What is refused is not asked for sooner because it would be for longer. */
	if (m->step == MAPPING_HELD || (differs && m->step == MAPPING_WAITING))
		m->due_ms = now_ms;
}

static void want_drop(struct portmap_engine *e, struct portmap_mapping *m)
{
	char name[MAPPING_NAME_BYTES];

	if (m->wanted) {
		mapping_name(m, name);
		log_notice("portmap", "%s: no longer wanted", name);
	}
	m->wanted = false;
	if (e->mode == ENGINE_HERE)
		engine_let_go(e, m);
	if (m->step != MAPPING_WAITING)
		return;
	if (m->kept)
		engine_leave_over(e, m);
	engine_leftovers_go(e, m);
	engine_remove(e, m);
}

int portmap_engine_want(struct portmap_engine *e, const struct portmap_want *wants, size_t count)
{
	uint64_t now_ms = engine_now(e);
	int error = 0;

	assert(count <= PORTMAP_MAPPINGS_MAX && (wants || count == 0));
	for (struct portmap_mapping *m = e->mappings, *next; m; m = next) {
		const struct portmap_want *want = portmap_want_find(wants, count, &m->want);

		next = m->next;
		if (want)
			want_change(e, m, want, now_ms);
		else
			want_drop(e, m);
	}
	for (size_t i = 0; i < count && !error; i++) {
		const struct portmap_mapping *m = e->mappings;

		while (m && !portmap_want_same(&m->want, &wants[i]))
			m = m->next;
		if (!m)
			error = want_add(e, &wants[i]);
	}
	engine_rearm(e);
	return error;
}

/* ---- networks ---- */

void engine_leave_now(struct portmap_engine *e, const char *why)
{
	engine_leftovers_leave(e);
	memset(e->paths, 0, sizeof e->paths);
	e->mode = ENGINE_AWAY;
	if (!e->keep[PORTMAP_IPV4])
		e->external.len = 0;
	for (struct portmap_mapping *m = e->mappings, *next; m; m = next) {
		next = m->next;
		engine_await_network(e, m, why);
	}
	e->owner->left(e->owner);
}

void engine_maybe_left(struct portmap_engine *e)
{
	if (e->mode != ENGINE_LEAVING)
		return;
	for (const struct portmap_mapping *m = e->mappings; m; m = m->next)
		if (m->step != MAPPING_WAITING)
			return;
	if (engine_leftovers_next(e) != MAPPING_NEVER)
		return;
	engine_leave_now(e, NULL);
}

void portmap_engine_leave(struct portmap_engine *e, bool goodbye, const bool keep[PORTMAP_FAMILIES],
			  const char *why)
{
	uint64_t now_ms = engine_now(e);

	memcpy(e->keep, keep, sizeof e->keep);
	for (struct portmap_mapping *m = e->mappings; m; m = m->next)
		if (keep[m->want.family] && m->wanted)
			engine_keep(e, m);
	if (!goodbye) {
		engine_leave_now(e, why);
		engine_rearm(e);
		return;
	}
	e->mode = ENGINE_LEAVING;
	e->leave_ms = now_ms + PORTMAP_LEAVE_MS;
	e->free_ms = now_ms;
	for (struct portmap_mapping *m = e->mappings; m; m = m->next) {
		engine_let_go(e, m);
		if (m->step == MAPPING_WAITING)
			m->due_ms = MAPPING_NEVER;
		if (m->step == MAPPING_LEAVING)
			m->due_ms = now_ms;
		if (m->kept)
			continue;
		engine_leftovers_go(e, m);
		engine_set_state(e, m, MAPPING_REQUESTED, "%s", why);
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
	e->address_ms = now_ms + PORTMAP_ADDRESS_MS;
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
			path->restart_due_ms = MAPPING_NEVER;
		}
		drivers[i]->heard = &e->heard;
	}
	for (struct portmap_mapping *m = e->mappings; m; m = m->next)
		m->due_ms = now_ms;
	for (size_t i = 0; i < count; i++)
		paths_probe(e, drivers[i], now_ms);
	engine_rearm(e);
}

void portmap_engine_renew(struct portmap_engine *e)
{
	uint64_t now_ms = engine_now(e);

	if (e->mode != ENGINE_HERE)
		return;
	for (struct portmap_mapping *m = e->mappings; m; m = m->next) {
		if (mapping_in_flight(m))
			continue;
		if (m->step == MAPPING_WAITING)
			mapping_new_round(m);
		m->rounds = 0; /* who asks expects something, and need not wait longer for it */
		m->due_ms = m->renew_ms = now_ms;
	}
	engine_rearm(e);
}
