/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_memory: jansson's memory is charged like ours.
 *
 * A line of 4 MiB can become a document of a hundred times as many bytes. All that jansson makes is
 * of memory_get() from here on, its texts (json_dumps()) too: they go back by memory_free(). Where
 * a program has no account nothing is counted.
 *
 * A file of its own since nothing calls it by name: a program has it by linking the room. It is
 * told before main(), so that no document is older.
 */
#include <jansson.h>

#include "core/memory.h"

static void *json_memory_get(size_t n)
{
	return memory_get(n);
}

__attribute__((constructor)) static void json_memory_begin(void)
{
	json_set_alloc_funcs(json_memory_get, memory_free);
}
