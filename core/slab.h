/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slab: a table of equal objects, sized at start, whose ids carry a generation.
 *
 * Memory is reserved at once, touched only when used, and charged then (core/memory.h). An id names
 * one life of one slot: after the slot is given back the old id finds nothing, so it may cross
 * threads and wait in queues. One thread uses a slab; ids alone may travel.
 */
#ifndef POSTERN_CORE_SLAB_H
#define POSTERN_CORE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

typedef uint64_t slab_id; /* tag (8 bits), generation (24), index (32); 0 names nothing */

struct slab {
	uint8_t *objects;
	uint32_t *generation; /* odd: in use */
	uint32_t *next_free;  /* stack of free indexes below high_water */
	size_t each_bytes;
	uint32_t room, high_water, free_count, used;
	uint8_t tag;
};

/* tag is copied into every id (the worker's number, say). Returns 0 or -ENOMEM. */
int slab_init(struct slab *s, size_t each_bytes, uint32_t room, uint8_t tag) MUST_CHECK;
void slab_free(struct slab *s);

/* A zeroed object and its id, or NULL when the table or the account is full. */
void *slab_get(struct slab *s, slab_id *id);
/* The object of this id, or NULL when that life is over. */
void *slab_find(const struct slab *s, slab_id id);
void slab_put(struct slab *s, slab_id id);

static inline uint8_t slab_id_tag(slab_id id)
{
	return (uint8_t)(id >> 56);
}

/* Objects by position, for walking the table: NULL where a slot is free. 0 <= i < high_water. */
void *slab_at(const struct slab *s, uint32_t i);

#endif
