/* SPDX-License-Identifier: Apache-2.0 */
/* expiry: when to warn that a program's own certificate ends. Pure: core/program/expiring.c has the
 * clock and the log. */
#include "core/engine/expiry.h"

#include <stdio.h>

#include "core/utc.h"

#define DAY_S  86400
#define HOUR_S 3600

enum expiry_stage expiry_stage(const struct expiry_validity *v, time_t now)
{
	static const enum expiry_stage stages[] = {EXPIRY_OVER, EXPIRY_DAY, EXPIRY_DAYS,
						   EXPIRY_WEEK, EXPIRY_MONTH};
	time_t left = v->not_after - now, life = v->not_after - v->not_before;

	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		time_t from = (time_t)stages[i] * DAY_S;

		if (left <= from && (from < life - DAY_S || stages[i] == EXPIRY_OVER))
			return stages[i];
	}
	return EXPIRY_FAR;
}

bool expiry_look(struct expiry *e, const struct expiry_validity *v, time_t now)
{
	enum expiry_stage stage = expiry_stage(v, now), told = e->told;
	bool other = e->not_after != v->not_after;

	e->not_after = v->not_after;
	e->told = stage;
	return stage != told || (other && stage != EXPIRY_FAR);
}

void expiry_text(const struct expiry_validity *v, time_t now, char out[EXPIRY_TEXT_BYTES])
{
	time_t left = v->not_after - now;
	char when[UTC_TEXT_BYTES];

	utc_text(v->not_after, when);
	if (left <= 0)
		snprintf(out, EXPIRY_TEXT_BYTES, "the certificate has expired, on %s", when);
	else if (left < 2 * DAY_S)
		snprintf(out, EXPIRY_TEXT_BYTES, "the certificate expires in %lld hours, on %s",
			 (long long)left / HOUR_S, when);
	else
		snprintf(out, EXPIRY_TEXT_BYTES, "the certificate expires in %lld days, on %s",
			 (long long)left / DAY_S, when);
}
