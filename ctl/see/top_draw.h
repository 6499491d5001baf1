/* SPDX-License-Identifier: Apache-2.0 */
/* top_draw: one screen of 'relay top', as lines of text that fit. */
#ifndef POSTERN_CTL_SEE_TOP_DRAW_H
#define POSTERN_CTL_SEE_TOP_DRAW_H

#include <stdio.h>

#include "ctl/see/rates.h"

struct top_screen {
	FILE *to;
	size_t rows, columns; /* 0: no bounds, and no escape sequences either */
	bool colour;
	size_t used; /* rows written */
};

/* label: how the relay was reached. Rates are sorted already. */
void top_draw(struct top_screen *s, const char *label, const json_t *status, const struct rates *r,
	      enum rates_order order);

#endif
