/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffers: large transfer buffers, kept by one thread, bounded in total.
 *
 * A busy direction of a session borrows a large buffer only between a receive and the end of the
 * send that follows; an idle one holds none. When the bound is reached the caller goes on with
 * small buffers: slower, never refused.
 */
#ifndef POSTERN_CORE_BUFFERS_H
#define POSTERN_CORE_BUFFERS_H

#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

struct buffers {
	size_t each_bytes; /* size of one buffer */
	size_t max_count;  /* how many may exist */
	size_t made, free_count;
	size_t places; /* of free_list; at least max_count */
	uint8_t **free_list;
};

/* Returns 0 or -ENOMEM. */
int buffers_init(struct buffers *b, size_t each_bytes, size_t max_count) MUST_CHECK;
void buffers_free(struct buffers *b);

/* Another bound; what is lent out beyond it comes back in time. Returns 0 or -ENOMEM: as before. */
int buffers_set_max(struct buffers *b, size_t max_count) MUST_CHECK;

/* A buffer of each_bytes, the most recently returned first (it is still in cache); or NULL. */
uint8_t *buffers_get(struct buffers *b);
void buffers_put(struct buffers *b, uint8_t *buf);
/* Gives the memory of unused buffers back to the system, keeping at most keep. */
void buffers_trim(struct buffers *b, size_t keep);

#endif
