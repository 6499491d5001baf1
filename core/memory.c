/* SPDX-License-Identifier: Apache-2.0 */
/* memory: an account per program, found by a pointer of each thread. */
#include "core/memory.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* Of each block, beside what malloc_usable_size() tells (glibc: its size field). */
#define BLOCK_BYTES 8

static _Thread_local struct memory *account;

struct memory *memory_adopt(struct memory *m)
{
	struct memory *before = account;

	account = m;
	return before;
}

/* Two threads that ask at once may both pass: by so much the limit is soft. */
static bool has_room(size_t n)
{
	int64_t used;
	uint64_t most;

	if (!account)
		return true;
	used = atomic_load_explicit(&account->used, memory_order_relaxed);
	most = atomic_load_explicit(&account->most, memory_order_relaxed);
	if (n <= most && used <= (int64_t)(most - n))
		return true;
	atomic_fetch_add_explicit(&account->refused, 1, memory_order_relaxed);
	return false;
}

static void charge(int64_t bytes)
{
	if (account)
		atomic_fetch_add_explicit(&account->used, bytes, memory_order_relaxed);
}

static int64_t block_bytes(void *p)
{
	return p ? (int64_t)malloc_usable_size(p) + BLOCK_BYTES : 0;
}

void *memory_get(size_t n)
{
	void *p = has_room(n) ? malloc(n) : NULL;

	charge(block_bytes(p));
	return p;
}

void *memory_zeroed(size_t n)
{
	void *p = has_room(n) ? calloc(1, n) : NULL;

	charge(block_bytes(p));
	return p;
}

void *memory_resize(void *p, size_t n)
{
	int64_t before = block_bytes(p);
	void *q;

	if ((int64_t)n > before && !has_room(n - (size_t)before))
		return NULL;
	q = realloc(p, n > 0 ? n : 1); /* of none it would give p back */
	if (q)
		charge(block_bytes(q) - before);
	return q;
}

char *memory_text(const char *text)
{
	size_t n = strlen(text) + 1;
	char *copy = memory_get(n);

	if (copy)
		memcpy(copy, text, n);
	return copy;
}

void memory_free(void *p)
{
	charge(-block_bytes(p));
	free(p);
}

bool memory_take(size_t n)
{
	if (!has_room(n))
		return false;
	charge((int64_t)n);
	return true;
}

void memory_charge(size_t n)
{
	charge((int64_t)n);
}

void memory_give(size_t n)
{
	charge(-(int64_t)n);
}

bool memory_tight(void)
{
	uint64_t most;

	if (!account)
		return false;
	most = atomic_load_explicit(&account->most, memory_order_relaxed);
	return atomic_load_explicit(&account->used, memory_order_relaxed) >
	       (int64_t)(most - most / 4);
}
