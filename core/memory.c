/* SPDX-License-Identifier: Apache-2.0 */
/* memory: an account per program, found by a pointer of each thread. */
#include "core/memory.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* Of each block, beside what malloc_usable_size() tells (glibc: its size field). */
#define BLOCK_BYTES 8

static _Thread_local struct memory *account;
static _Thread_local unsigned refusals;

struct memory *memory_adopt(struct memory *m)
{
	struct memory *before = account;

	account = m;
	return before;
}

unsigned memory_refusals(void)
{
	return refusals;
}

static void refused(void)
{
	refusals++;
	if (account)
		atomic_fetch_add_explicit(&account->refused, 1, memory_order_relaxed);
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
	refused();
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

/* What the system gave. */
static void *got(void *p)
{
	if (!p)
		refused();
	charge(block_bytes(p));
	return p;
}

void *memory_get(size_t n)
{
	return has_room(n) ? got(malloc(n)) : NULL;
}

void *memory_zeroed(size_t n)
{
	return has_room(n) ? got(calloc(1, n)) : NULL;
}

void *memory_array(size_t count, size_t each_bytes)
{
	size_t n;

	if (__builtin_mul_overflow(count, each_bytes, &n))
		n = SIZE_MAX; /* which there is not */
	return memory_zeroed(n);
}

void *memory_aligned(size_t alignment, size_t n)
{
	return has_room(n) ? got(aligned_alloc(alignment, n)) : NULL;
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
	else
		refused();
	return q;
}

char *memory_text(const char *text)
{
	return memory_text_of(text, strlen(text));
}

char *memory_text_of(const char *bytes, size_t len)
{
	char *copy = memory_get(len + 1);

	if (!copy)
		return NULL;
	memcpy(copy, bytes, len);
	copy[len] = '\0';
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
