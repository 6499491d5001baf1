/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proof: what is known of a mapping's working, for how long that counts, and what is done with one
 * that works no longer.
 *
 * Theory of operation. `verified` is a fact with an age: something came in at proven_ms. It falls
 * back to `mapped` in three ways:
 *
 *   - It was tried again and nothing came in (portmap_engine_dead()). The gateway may renew such a
 *     mapping for ever, and its table show it: its packet filter was loaded anew, or its line came
 *     up again. Renewing changes nothing there, since many gateways only update an entry that
 *     they have. So it is deleted and asked for anew at once, by the same protocol; is that dead as
 *     well, by another one; and when all have been tried, no more often than recheck_ms, doubling
 * to PORTMAP_DEAD_MAX_MS.
 *   - It could not be tried, and the proof is PORTMAP_PROOF_MS old (portmap_engine_unproven()). A
 * day, because gateways restart and providers give another address once a night: no proof outlives
 *     what happens every day. Until then its age is told, and people judge.
 *   - The mapping is another one: the gateway restarted, another external address, another protocol
 *     (engine.c, paths.c).
 *
 * Beside that, everything that is held is looked at every recheck_ms, long before it has to be
 * renewed: UPnP reads its entry back, which changes nothing in a gateway that may keep its table in
 * flash; PCP and NAT-PMP renew, which is one datagram. What a gateway has dropped is back then.
 *
 * What keeps one mapping dead keeps the others of the same protocol, too, more often than not, and
 * nothing may show that of them: those that nothing came in through since then are asked for anew
 * as well.
 *
 * Since when it is unproven is remembered through all of that, until something comes in again.
 *
 * Deliberately absent: giving up a mapping because nobody comes. A port that no client wants today
 * works as well as one that is wanted.
 */
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/random.h"
#include "portmap/engine/engine_internal.h"

void proof_forget(struct portmap_mapping *m)
{
	m->proven_ms = m->unproven_ms = m->dead_ms = 0;
	m->anew = false;
	m->dead = m->dead_rounds = 0;
}

static bool is_granted(const struct portmap_mapping *m)
{
	return m && (m->state == MAPPING_MAPPED || m->state == MAPPING_VERIFIED);
}

void portmap_engine_verified(struct portmap_engine *e, uint32_t id, const char *proof)
{
	struct portmap_mapping *m = portmap_engine_find(e, id);
	char what[MAPPING_WHY_BYTES / 2];

	if (!is_granted(m))
		return;
	proof_forget(m);
	m->proven_ms = engine_now(e);
	snprintf(m->proof, sizeof m->proof, "%s", proof);
	if (m->state == MAPPING_VERIFIED)
		return;
	mapping_describe(m, what, sizeof what);
	engine_set_state(e, m, MAPPING_VERIFIED, "%s; %s", what, proof);
}

static void fall_back(struct portmap_engine *e, struct portmap_mapping *m, const char *why)
{
	if (m->state == MAPPING_VERIFIED)
		engine_set_state(e, m, MAPPING_MAPPED, "no longer proven: %s", why);
	snprintf(m->proof, sizeof m->proof, "%s", why);
}

void portmap_engine_unproven(struct portmap_engine *e, uint32_t id, const char *why)
{
	struct portmap_mapping *m = portmap_engine_find(e, id);
	char text[MAPPING_WHY_BYTES - 64];

	if (!is_granted(m))
		return;
	if (m->state == MAPPING_MAPPED) {
		snprintf(m->proof, sizeof m->proof, "%s", why);
		return;
	}
	if (engine_now(e) < m->proven_ms + PORTMAP_PROOF_MS)
		return;
	snprintf(text, sizeof text, "the last proof is a day old; %s", why);
	fall_back(e, m, text);
}

/* All paths were tried: it stays as it is for a while. */
static void rest(struct portmap_engine *e, struct portmap_mapping *m, const char *why)
{
	uint64_t wait = e->recheck_ms << (m->dead_rounds < 8 ? m->dead_rounds : 8);

	m->dead_rounds++;
	m->dead_ms = engine_now(e) + (wait < PORTMAP_DEAD_MAX_MS ? wait : PORTMAP_DEAD_MAX_MS);
	m->dead = 0;
	m->anew = false;
	fall_back(e, m, why);
}

static void ask_anew(struct portmap_engine *e, struct portmap_mapping *m, const char *why)
{
	engine_let_go(e, m);
	m->tried = m->dead;
	engine_set_state(e, m, MAPPING_REQUESTED, "it is deleted and asked for anew%s: %s",
			 m->dead ? " by another protocol" : "", why);
}

/* Those of the same protocol that nothing came in through since then. */
static void ask_others_anew(struct portmap_engine *e, const struct portmap_mapping *dead)
{
	char name[MAPPING_NAME_BYTES], why[MAPPING_WHY_BYTES / 2];

	mapping_name(dead, name);
	snprintf(why, sizeof why, "%s, mapped in the same way, works no longer", name);
	for (struct portmap_mapping *m = e->mappings; m; m = m->next)
		if (m != dead && is_granted(m) && mapping_held(m) &&
		    m->protocol == dead->protocol && m->want.family == dead->want.family &&
		    m->proven_ms <= dead->proven_ms && m->mapped_ms <= dead->proven_ms)
			ask_anew(e, m, why);
}

void portmap_engine_dead(struct portmap_engine *e, uint32_t id, const char *why)
{
	struct portmap_mapping *m = portmap_engine_find(e, id);

	if (!is_granted(m))
		return;
	if (m->proven_ms == 0 || m->step != MAPPING_HELD || engine_now(e) < m->dead_ms) {
		fall_back(e, m, why);
		return;
	}
	if (m->anew) /* that did not help */
		m->dead |= 1u << m->protocol;
	if (m->dead && !paths_have_another(e, m, m->dead)) {
		rest(e, m, why);
		return;
	}
	if (m->state == MAPPING_VERIFIED)
		ask_others_anew(e, m);
	m->anew = true;
	ask_anew(e, m, why);
	engine_rearm(e);
}

/* ---- looking whether it is there ---- */

uint64_t proof_plan_look(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms)
{
	uint64_t look_ms = now_ms + e->recheck_ms - random_next(&e->seed) % (e->recheck_ms / 8 + 1);

	return look_ms < m->renew_ms ? look_ms : m->renew_ms;
}

static void proof_heard_seen(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
			     bool there)
{
	struct portmap_engine *e = ENGINE_OF(h);
	struct portmap_mapping *m = portmap_engine_find(e, id);
	uint64_t now_ms = engine_now(e);
	char name[MAPPING_NAME_BYTES];

	if (!m || m->protocol != p || m->step != MAPPING_RENEWING || !m->looking)
		return;
	if (there && !m->doubted) {
		engine_hold(m, proof_plan_look(e, m, now_ms));
	} else if (there) { /* a gateway that cannot be asked may have lost it all the same */
		m->renew_ms = now_ms;
		engine_hold(m, now_ms);
	} else {
		mapping_name(m, name);
		m->renew_ms = now_ms;
		engine_hold(m, now_ms);
		if (m->state == MAPPING_VERIFIED)
			engine_set_state(e, m, MAPPING_MAPPED,
					 "the gateway dropped it; it is asked for again");
		else
			log_notice("portmap", "%s: the gateway dropped it; it is asked for again",
				   name);
	}
	m->doubted = false;
	engine_rearm(e);
}

void proof_init_heard(struct portmap_heard *h)
{
	h->seen = proof_heard_seen;
}
