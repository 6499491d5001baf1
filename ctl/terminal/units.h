/* SPDX-License-Identifier: Apache-2.0 */
/* units: sizes, rates, spans and moments, as people write and read them. Pure. */
#ifndef POSTERN_CTL_TERMINAL_UNITS_H
#define POSTERN_CTL_TERMINAL_UNITS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "core/must_check.h"

/* "90s", "5m", "12h", "30d", "4w" or "2y" (of 365 days) in seconds: from 1 s to 100 years. */
bool units_parse_span(const char *text, uint64_t *seconds) MUST_CHECK;

/*
 * The last moment that text means: a day ("today", "tomorrow", "friday", "2026-11-27") up to its
 * end in the local time zone; a span from now ("3d"); a moment ("2026-11-27 18:00" local, or with Z
 * or +01:00 as RFC 3339 has it). A weekday is the next such day, today included. False: why has a
 * sentence; *out is untouched.
 */
bool units_parse_moment(const char *text, time_t now, time_t *out, char *why,
			size_t why_size) MUST_CHECK;

/* "Fri 2026-11-27 23:59:59 CET", in the local time zone. */
#define UNITS_MOMENT_BYTES 48
const char *units_moment(time_t t, char out[UNITS_MOMENT_BYTES]);

/* The Date of a web server, "Fri, 27 Nov 2026 18:00:00 GMT" (RFC 9110 section 5.6.7). */
bool units_parse_http_date(const char *text, time_t *out) MUST_CHECK;

/* ---- as they are shown, in a few characters ---- */

#define UNITS_BYTES 16

/* "999 B", "1.23 kB", "45.6 MB": three digits, powers of 1000 as in limits of rate. */
const char *units_size(uint64_t bytes, char out[UNITS_BYTES]);
/* The same with "/s"; "-" for none. */
const char *units_rate(uint64_t bytes_per_s, char out[UNITS_BYTES]);
/* "0.3s", "45s", "12m05s", "2h13m", "3d04h". */
const char *units_span(uint64_t ms, char out[UNITS_BYTES]);

#endif
