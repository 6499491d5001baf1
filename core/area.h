/* SPDX-License-Identifier: Apache-2.0 */
/*
 * area: zeroed memory for a table that is made for the most that there can be: it costs by the
 * page, from a page's first use on.
 */
#ifndef POSTERN_CORE_AREA_H
#define POSTERN_CORE_AREA_H

#include <stddef.h>

#include "core/must_check.h"

#define AREA_PAGE_BYTES 4096u

/* On a page's edge. NULL without memory, and of none. */
void *area_new(size_t bytes) MUST_CHECK;
/* bytes as it was made. NULL does nothing. */
void area_free(void *area, size_t bytes);

#endif
