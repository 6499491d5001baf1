/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rates: what flowed between two looks at a relay. Pure: the clock is a parameter.
 *
 * A look is what the methods status and sessions answer. A session that is new since the look
 * before has the rate of its first bytes over the time since it began; one that has ended is gone
 * from the list, but not from the relay's own count.
 */
#ifndef POSTERN_CTL_SEE_RATES_H
#define POSTERN_CTL_SEE_RATES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

#define RATES_NAME_BYTES 64

struct rates_session {
	char id[20], from[RATES_NAME_BYTES], to[RATES_NAME_BYTES], service[RATES_NAME_BYTES];
	char source[RATES_NAME_BYTES];
	uint64_t up, down, ms;
	uint64_t up_rate, down_rate; /* bytes per second */
};

struct rates_agent {
	char name[RATES_NAME_BYTES];
	size_t sessions;      /* asked for or served */
	uint64_t bytes, rate; /* both directions, of the sessions that run */
};

struct rates {
	struct rates_session *sessions;
	size_t session_count;
	struct rates_agent *agents;
	size_t agent_count;
	uint64_t bytes_total, rate; /* of the relay */
	uint64_t at_ms;		    /* of the last look; 0: none yet */
};

/* False without memory; r is as before then. */
bool rates_look(struct rates *r, const json_t *status, const json_t *sessions,
		uint64_t now_ms) MUST_CHECK;
void rates_free(struct rates *r);

enum rates_order { RATES_BY_BYTES, RATES_BY_RATE, RATES_BY_AGENT };
/* Until the next look. */
void rates_sort(struct rates *r, enum rates_order order);

/* {rate, agents: [...], sessions: [...]}; NULL without memory. */
json_t *rates_json(const struct rates *r) MUST_CHECK;

#endif
