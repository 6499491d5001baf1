/* SPDX-License-Identifier: Apache-2.0 */
/* buffers: a bounded stack of large buffers, made when first needed. A container of its own, as
 * slab and timer are. */

#include "core/buffers.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core/memory.h"

int buffers_init(struct buffers *b, size_t each_bytes, size_t max_count)
{
	uint8_t **list = calloc(max_count ? max_count : 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	*b = (struct buffers){
		.each_bytes = each_bytes,
		.max_count = max_count,
		.places = max_count,
		.free_list = list,
	};
	return 0;
}

int buffers_set_max(struct buffers *b, size_t max_count)
{
	if (max_count > b->places) {
		uint8_t **list = realloc(b->free_list, max_count * sizeof(*list));
		if (!list)
			return -ENOMEM;
		b->free_list = list;
		b->places = max_count;
	}
	b->max_count = max_count;
	return 0;
}

void buffers_free(struct buffers *b)
{
	buffers_trim(b, 0);
	free(b->free_list);
	*b = (struct buffers){0};
}

uint8_t *buffers_get(struct buffers *b)
{
	if (b->free_count)
		return b->free_list[--b->free_count];
	/* Bulk goes on with small buffers: the last of the memory is for what cannot. */
	if (b->made >= b->max_count || memory_tight() || !memory_take(b->each_bytes))
		return NULL;
	/* Straight from the system: free(3) may keep what buffers_trim() means to give back. */
	void *fresh = mmap(NULL, b->each_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	if (fresh == MAP_FAILED) {
		memory_give(b->each_bytes);
		return NULL;
	}
	b->made++;
	return fresh;
}

void buffers_put(struct buffers *b, uint8_t *buf)
{
	assert(b->free_count < b->made);
	b->free_list[b->free_count++] = buf;
}

void buffers_trim(struct buffers *b, size_t keep)
{
	while (b->free_count > keep) {
		munmap(b->free_list[--b->free_count], b->each_bytes);
		memory_give(b->each_bytes);
		b->made--;
	}
}
