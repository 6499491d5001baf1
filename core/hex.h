/* SPDX-License-Identifier: Apache-2.0 */
/* hex: the digits of hexadecimal numbers. Pure. */
#ifndef POSTERN_CORE_HEX_H
#define POSTERN_CORE_HEX_H

#include <stdbool.h>
#include <stdint.h>

#include "core/must_check.h"

/* The value of one digit, in every locale; *out is untouched where it is none. Small letters alone,
 * as all that Postern writes: what has one spelling can be compared byte by byte. A grammar that
 * has both passes text_lower(c). */
static inline bool hex_digit(uint8_t c, uint8_t *out) MUST_CHECK;
static inline bool hex_digit(uint8_t c, uint8_t *out)
{
	if (c >= '0' && c <= '9')
		*out = (uint8_t)(c - '0');
	else if (c >= 'a' && c <= 'f')
		*out = (uint8_t)(c - 'a' + 10);
	else
		return false;
	return true;
}

#endif
