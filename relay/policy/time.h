/* SPDX-License-Identifier: Apache-2.0 */
/* policy_time: until and hours of a rule, from their texts to moments. All times are UTC. */
#ifndef POSTERN_RELAY_POLICY_TIME_H
#define POSTERN_RELAY_POLICY_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "core/must_check.h"

#define POLICY_NEVER INT64_MAX /* later than every moment */

/* "2026-11-27T18:00:00Z" (RFC 3339) or "2026-11-27", which ends with that day: the first moment
 * that is too late. False on anything else; *end is untouched then. */
bool policy_until_parse(const char *text, int64_t *end) MUST_CHECK;

/* Minutes of the week from Monday 00:00, end not included. */
struct policy_span {
	uint16_t begin, end;
};

#define POLICY_WINDOWS_MAX 32u
#define POLICY_SPANS_MAX   (POLICY_WINDOWS_MAX * 8u) /* one a day; Sunday's may need two */

struct policy_hours {
	size_t count;
	struct policy_span spans[POLICY_SPANS_MAX]; /* ascending; they neither overlap nor touch */
};

/* "mon-fri 08:00-18:00, sat 22:00-06:00": windows between commas, each with a day, a range of days,
 * or none for every day. A window that ends before it begins ends on the next day. False with the
 * remedy in *remedy; *out is untouched then. */
bool policy_hours_parse(const char *text, struct policy_hours *out, const char **remedy) MUST_CHECK;

/* Whether now is within; *change is when that will be different, or POLICY_NEVER. */
bool policy_hours_hold(const struct policy_span *spans, size_t count, int64_t now, int64_t *change);

#endif
