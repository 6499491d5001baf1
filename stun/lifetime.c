/* SPDX-License-Identifier: Apache-2.0 */
/* lifetime: doubling, then halving, for the tests of RFC 5780 section 4.6. A search that asks
 * nothing itself: discovery.c sends what it wants to know, and a test runs it without. */
#include "stun/lifetime.h"

#define GAP_PART 8u

void stun_lifetime_start(struct stun_lifetime *l, uint32_t total_s, uint64_t now_ms)
{
	if (total_s > STUN_LIFETIME_MAX_S)
		total_s = STUN_LIFETIME_MAX_S;
	*l = (struct stun_lifetime){.until_ms = now_ms + (uint64_t)total_s * 1000};
}

static bool close_enough(uint32_t alive_s, uint32_t beyond_s)
{
	uint32_t gap = alive_s / GAP_PART;

	if (gap < STUN_LIFETIME_GAP_S)
		gap = STUN_LIFETIME_GAP_S;
	return beyond_s <= alive_s + gap;
}

uint32_t stun_lifetime_next(const struct stun_lifetime *l, uint64_t now_ms)
{
	uint64_t left_s = l->until_ms > now_ms ? (l->until_ms - now_ms) / 1000 : 0;
	uint32_t room_s, idle_s;

	if (left_s <= STUN_LIFETIME_TRY_S)
		return 0;
	room_s = (uint32_t)left_s - STUN_LIFETIME_TRY_S;
	if (l->gone_s > 0) {
		if (close_enough(l->alive_s, l->gone_s))
			return 0;
		idle_s = l->alive_s + (l->gone_s - l->alive_s) / 2;
	} else {
		idle_s = l->alive_s > 0 ? 2 * l->alive_s : STUN_LIFETIME_FIRST_S;
	}
	if (idle_s <= room_s)
		return idle_s;
	/* What is left still tells something if it is well beyond what is known. */
	return close_enough(l->alive_s, room_s) ? 0 : room_s;
}

void stun_lifetime_tried(struct stun_lifetime *l, uint32_t idle_s, bool alive)
{
	if (alive && idle_s > l->alive_s)
		l->alive_s = idle_s;
	if (!alive && (l->gone_s == 0 || idle_s < l->gone_s))
		l->gone_s = idle_s;
}
