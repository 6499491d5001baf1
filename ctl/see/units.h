/* SPDX-License-Identifier: Apache-2.0 */
/* units: sizes, rates and spans as people read them, in a few characters. Pure. */
#ifndef POSTERN_CTL_SEE_UNITS_H
#define POSTERN_CTL_SEE_UNITS_H

#include <stdint.h>

#define UNITS_BYTES 16

/* "999 B", "1.23 kB", "45.6 MB": three digits, powers of 1000 as in limits of rate. */
const char *units_size(uint64_t bytes, char out[UNITS_BYTES]);
/* The same with "/s"; "-" for none. */
const char *units_rate(uint64_t bytes_per_s, char out[UNITS_BYTES]);
/* "0.3s", "45s", "12m05s", "2h13m", "3d04h". */
const char *units_span(uint64_t ms, char out[UNITS_BYTES]);

#endif
