/* SPDX-License-Identifier: Apache-2.0 */
/* units: sizes, rates and spans as people read them, in a few characters. */
#include "ctl/see/units.h"

#include <inttypes.h>
#include <stdio.h>

const char *units_size(uint64_t bytes, char out[UNITS_BYTES])
{
	static const char *const names[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	double value = (double)bytes;
	unsigned unit = 0;

	/* 999.5 would be printed as 1000 */
	while (value >= 999.5 && unit < 6) {
		value /= 1000;
		unit++;
	}
	if (unit == 0)
		snprintf(out, UNITS_BYTES, "%" PRIu64 " B", bytes);
	else
		snprintf(out, UNITS_BYTES, "%.*f %s",
			 value < 9.995	 ? 2
			 : value < 99.95 ? 1
					 : 0,
			 value, names[unit]);
	return out;
}

const char *units_rate(uint64_t bytes_per_s, char out[UNITS_BYTES])
{
	char size[UNITS_BYTES];

	if (bytes_per_s == 0)
		snprintf(out, UNITS_BYTES, "-");
	else
		snprintf(out, UNITS_BYTES, "%.12s/s", units_size(bytes_per_s, size));
	return out;
}

const char *units_span(uint64_t ms, char out[UNITS_BYTES])
{
	uint64_t s = ms / 1000;

	if (s < 1)
		snprintf(out, UNITS_BYTES, "0.%us", (unsigned)(ms / 100));
	else if (s < 60)
		snprintf(out, UNITS_BYTES, "%us", (unsigned)s);
	else if (s < 3600)
		snprintf(out, UNITS_BYTES, "%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
	else if (s < 86400)
		snprintf(out, UNITS_BYTES, "%uh%02um", (unsigned)(s / 3600),
			 (unsigned)(s / 60 % 60));
	else
		snprintf(out, UNITS_BYTES, "%" PRIu64 "d%02uh", s / 86400 % 1000000,
			 (unsigned)(s / 3600 % 24));
	return out;
}
