/* SPDX-License-Identifier: Apache-2.0 */
/* when: how people write spans and moments of time, and how they like to read them. Pure. */
#ifndef POSTERN_CTL_SEE_WHEN_H
#define POSTERN_CTL_SEE_WHEN_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define MUST_CHECK __attribute__((warn_unused_result))

/* "90s", "5m", "12h", "30d", "4w" or "2y" (of 365 days) in seconds: from 1 s to 100 years. */
bool when_span(const char *text, uint64_t *seconds) MUST_CHECK;

/*
 * The last moment that text means: a day ("today", "tomorrow", "friday", "2026-11-27") up to its
 * end in the local time zone; a span from now ("3d"); a moment ("2026-11-27 18:00" local, or with Z
 * or +01:00 as RFC 3339 has it). A weekday is the next such day, today included. False: why has a
 * sentence; *out is untouched.
 */
bool when_until(const char *text, time_t now, time_t *out, char *why, size_t why_size) MUST_CHECK;

/* "Fri 2026-11-27 23:59:59 CET", in the local time zone. */
#define WHEN_TEXT_BYTES 48
const char *when_text(time_t t, char out[WHEN_TEXT_BYTES]);

/* The Date of a web server, "Fri, 27 Nov 2026 18:00:00 GMT" (RFC 9110 section 5.6.7). */
bool when_http_date(const char *text, time_t *out) MUST_CHECK;

#endif
