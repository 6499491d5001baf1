/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lifetime: which idle time to try next when looking for how long a NAT keeps a binding. Pure
 * arithmetic: the caller tries it and says how it went.
 *
 * Idle times double until a binding is gone, and from then on halve the gap; a gap of an eighth, or
 * of five seconds, is close enough. The whole search ends at its deadline, with what is known then.
 */
#ifndef POSTERN_STUN_LIFETIME_H
#define POSTERN_STUN_LIFETIME_H

#include <stdbool.h>
#include <stdint.h>

#define STUN_LIFETIME_FIRST_S 15u
#define STUN_LIFETIME_GAP_S   5u
#define STUN_LIFETIME_TRY_S   20u /* what one try takes beside the idle time, at most */
#define STUN_LIFETIME_MAX_S   7200u

struct stun_lifetime {
	uint32_t alive_s; /* a binding that was idle for this long was still there */
	uint32_t gone_s;  /* one that was idle for this long was not; 0: never seen */
	uint64_t until_ms;
};

/* total_s: what the search may take, at most STUN_LIFETIME_MAX_S. */
void stun_lifetime_start(struct stun_lifetime *l, uint32_t total_s, uint64_t now_ms);
/* The idle time to try now, in seconds; 0 when the search is over. */
uint32_t stun_lifetime_next(const struct stun_lifetime *l, uint64_t now_ms);
void stun_lifetime_tried(struct stun_lifetime *l, uint32_t idle_s, bool alive);

#endif
