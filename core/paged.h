/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paged: a table that is made at the start for the most that there can be, and charged to the
 * memory account (core/memory.h) as it is touched.
 *
 * The table is an area (core/area.h): a page of it costs memory from its first use on, and as long
 * as the table lives. So each page is charged once, when the first of its items is
 * used. Nothing is refused: what may take no more asks before (memory_tight(), or the limit of what
 * has a place in the table).
 */
#ifndef POSTERN_CORE_PAGED_H
#define POSTERN_CORE_PAGED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/area.h"
#include "core/must_check.h"

#define PAGED_BYTES AREA_PAGE_BYTES

struct paged {
	void *items; /* zeroed */
	size_t each_bytes, bytes;
	size_t charged_bytes;
	uint64_t *touched; /* a bit for each page */
};

/* False without memory: p is as paged_free() leaves it. */
bool paged_init(struct paged *p, size_t count, size_t each_bytes) MUST_CHECK;
/* On a thread of the account that was charged. */
void paged_free(struct paged *p);

/* Item i is about to be used, maybe for the first time. */
void paged_use(struct paged *p, size_t i);

#endif
