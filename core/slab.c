/* SPDX-License-Identifier: Apache-2.0 */
/* slab: a table of equal objects with generation-checked ids. A container of its own, as buffers
 * and timer are. */
#include "core/slab.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/area.h"
#include "core/memory.h"

#define GENERATION_MASK 0xffffffu

int slab_init(struct slab *s, size_t each_bytes, uint32_t room, uint8_t tag)
{
	*s = (struct slab){.each_bytes = (each_bytes + 63) & ~(size_t)63, .room = room, .tag = tag};
	/* An unused slot costs address space only. */
	s->objects = area_new(room * s->each_bytes);
	s->generation = calloc(room, sizeof *s->generation);
	s->next_free = calloc(room, sizeof *s->next_free);
	if (!s->objects || !s->generation || !s->next_free) {
		slab_free(s);
		return -ENOMEM;
	}
	return 0;
}

void slab_free(struct slab *s)
{
	memory_give((size_t)s->high_water * s->each_bytes);
	area_free(s->objects, s->room * s->each_bytes);
	free(s->generation);
	free(s->next_free);
	*s = (struct slab){0};
}

void *slab_get(struct slab *s, slab_id *id)
{
	uint32_t i;

	if (s->free_count > 0)
		i = s->next_free[--s->free_count];
	else if (s->high_water < s->room && memory_take(s->each_bytes))
		i = s->high_water++;
	else
		return NULL;
	s->generation[i] = (s->generation[i] + 1) & GENERATION_MASK;
	s->used++;
	*id = (uint64_t)s->tag << 56 | (uint64_t)s->generation[i] << 32 | i;

	void *object = s->objects + (size_t)i * s->each_bytes;
	memset(object, 0, s->each_bytes);
	return object;
}

void *slab_find(const struct slab *s, slab_id id)
{
	uint32_t i = (uint32_t)id, generation = (uint32_t)(id >> 32) & GENERATION_MASK;

	if (slab_id_tag(id) != s->tag || i >= s->high_water || s->generation[i] != generation ||
	    !(generation & 1))
		return NULL;
	return s->objects + (size_t)i * s->each_bytes;
}

void slab_put(struct slab *s, slab_id id)
{
	uint32_t i = (uint32_t)id;

	assert(slab_find(s, id));
	s->generation[i] = (s->generation[i] + 1) & GENERATION_MASK;
	s->next_free[s->free_count++] = i;
	s->used--;
}

void *slab_at(const struct slab *s, uint32_t i)
{
	if (i >= s->high_water || !(s->generation[i] & 1))
		return NULL;
	return s->objects + (size_t)i * s->each_bytes;
}
