/* SPDX-License-Identifier: Apache-2.0 */
/* utc: a moment as configurations, calls and logs of all programs have it (RFC 3339). */
#ifndef POSTERN_CORE_UTC_H
#define POSTERN_CORE_UTC_H

#include <stdio.h>
#include <time.h>

#define UTC_TEXT_BYTES 24 /* "2026-11-27T18:00:00Z" and its zero byte */

/* Of seconds of Unix. Returns out; "unknown" is what no year of four digits holds. */
static inline const char *utc_text(time_t moment, char out[UTC_TEXT_BYTES])
{
	struct tm tm;

	if (!gmtime_r(&moment, &tm) || !strftime(out, UTC_TEXT_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(out, UTC_TEXT_BYTES, "unknown");
	return out;
}

#endif
