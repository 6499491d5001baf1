/* SPDX-License-Identifier: Apache-2.0 */
/* entitled: may the holder of this certificate go on? One question for relays and agents. */
#include "core/engine/entitled.h"

#include <string.h>

#include "core/memory.h"

#define NEAR_S	2    /* time() is whole seconds: near the end a look is */
#define NEAR_MS 250u /* cheaper than being a second late */

/* ---- what is kept ---- */

struct credential *credential_new(const struct identity_peer *peer)
{
	struct credential *c = memory_zeroed(sizeof(*c));

	if (!c)
		return NULL;
	c->refs = 1;
	c->peer = *peer;
	return c;
}

struct credential *credential_hold(struct credential *c)
{
	if (c)
		atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void credential_release(struct credential *c)
{
	if (c && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
		memory_free(c);
}

bool credential_is_newer(const struct credential *c, const struct credential *known)
{
	if (!known || c->peer.not_before != known->peer.not_before)
		return !known || c->peer.not_before > known->peer.not_before;
	return c->peer.not_after > known->peer.not_after;
}

/* ---- the question ---- */

time_t entitled_earlier(time_t a, time_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

static const struct identity_anchor *anchor_of(const struct identity_anchors *all,
					       const struct identity_peer *peer)
{
	for (size_t i = 0; i < all->count; i++)
		if (memcmp(all->list[i].key, peer->ca, sizeof(peer->ca)) == 0)
			return &all->list[i];
	return NULL;
}

/* When it begins is not asked again: it had begun when it was proved. */
static struct entitled_answer judge_one(const struct identity_peer *peer,
					const struct entitled_rules *rules, time_t now)
{
	const struct identity_anchor *anchor = anchor_of(rules->anchors, peer);
	time_t end = peer->not_after;

	if (!anchor && !peer->by_system)
		return (struct entitled_answer){.reason = REASON_CERT_UNTRUSTED};
	if (anchor && anchor->not_after < end)
		end = anchor->not_after;
	if (now >= end)
		return (struct entitled_answer){.reason = REASON_CERT_EXPIRED};
	return (struct entitled_answer){.reason = REASON_OK, .until = end};
}

struct entitled_answer entitled(const struct entitled_proof *proof,
				const struct entitled_rules *rules, time_t now)
{
	const struct credential *own = proof->own, *newest = proof->newest;
	struct entitled_answer first, later;

	if (!own)
		return (struct entitled_answer){.reason = REASON_OK};
	if (revocations_cover(rules->revoked, &own->peer))
		return (struct entitled_answer){.reason = REASON_REVOKED};
	first = judge_one(&own->peer, rules, now);
	if (!newest || newest == own || revocations_cover(rules->revoked, &newest->peer))
		return first;
	later = judge_one(&newest->peer, rules, now);
	if (later.reason != REASON_OK)
		return first;
	return first.reason == REASON_OK && first.until > later.until ? first : later;
}

uint64_t entitled_look_ms(time_t until, time_t now)
{
	time_t left = until > now ? until - now : 0;

	if (left <= NEAR_S)
		return NEAR_MS;
	if (left > (time_t)(ENTITLED_LOOK_MS / 1000))
		return ENTITLED_LOOK_MS;
	return (uint64_t)(left - NEAR_S) * 1000;
}
