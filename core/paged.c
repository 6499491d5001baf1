/* SPDX-License-Identifier: Apache-2.0 */
/* paged: a bit for each page of a table, and the charge that goes with it. A container of its own,
 * as slab is. */
#include "core/paged.h"

#include <stdlib.h>

#include "core/area.h"
#include "core/memory.h"

#define BITS 64u

bool paged_init(struct paged *p, size_t count, size_t each_bytes)
{
	size_t pages = (count * each_bytes + PAGED_BYTES - 1) / PAGED_BYTES;

	*p = (struct paged){.each_bytes = each_bytes, .bytes = count * each_bytes};
	p->items = area_new(p->bytes);
	p->touched = calloc(pages / BITS + 1, sizeof *p->touched);
	if (p->items && p->touched)
		return true;
	paged_free(p);
	return false;
}

void paged_free(struct paged *p)
{
	memory_give(p->charged_bytes);
	area_free(p->items, p->bytes);
	free(p->touched);
	*p = (struct paged){.items = NULL};
}

static void touch(struct paged *p, size_t page)
{
	uint64_t bit = UINT64_C(1) << page % BITS;

	if (p->touched[page / BITS] & bit)
		return;
	p->touched[page / BITS] |= bit;
	p->charged_bytes += PAGED_BYTES;
	memory_charge(PAGED_BYTES);
}

void paged_use(struct paged *p, size_t i)
{
	size_t from = i * p->each_bytes;

	touch(p, from / PAGED_BYTES);
	touch(p, (from + p->each_bytes - 1) / PAGED_BYTES); /* it may lie across two */
}
