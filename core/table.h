/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table: uthash, for programs that go on when memory is refused.
 *
 * As it comes, uthash ends the process when it gets no memory for a table or for its growth. Here
 * an element that could not be added is in no table, which table_holds() tells; what was in stays
 * in. Its own memory is charged (core/memory.h).
 */
#ifndef POSTERN_CORE_TABLE_H
#define POSTERN_CORE_TABLE_H

#include "core/memory.h"

#define HASH_NONFATAL_OOM     1
#define uthash_malloc(size)   memory_get(size)
#define uthash_free(at, size) memory_free(at)
#include <uthash.h>

/* After HASH_ADD and the like, on an element that had been zeroed. */
#define table_holds(element) ((element)->hh.tbl != NULL)

#endif
