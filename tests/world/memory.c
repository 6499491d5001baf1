/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: what the programs allocate is counted for each, and can be refused.
 *
 * Memory that a library made (jansson's texts) is freed by our code, too: what is not in the
 * table was not counted and is passed on.
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/world/kernel.h"
#include "tests/world/memory.h"
#include "tests/world/real.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

struct block {
	void *at; /* NULL: free; GONE: was used */
	size_t bytes, real;
	struct k_program *owner;
	uint64_t number;
	void *caller;
};

#define GONE ((void *)1)

static struct block *blocks;
static size_t room, used, numbers;
static struct dice refuse_dice;
extern char __executable_start; /* ld's */

void memory_seed(uint64_t seed)
{
	refuse_dice = dice_of(seed, 3);
	numbers = 0;
}

static size_t place_of(const void *p)
{
	return (size_t)(((uintptr_t)p >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (room - 1);
}

static void insert(struct block b)
{
	size_t i = place_of(b.at);

	while (blocks[i].at && blocks[i].at != GONE)
		i = (i + 1) & (room - 1);
	used += blocks[i].at == NULL;
	blocks[i] = b;
}

static void grow(void)
{
	struct block *old = blocks;
	size_t old_room = room, live = 0;

	for (size_t i = 0; i < old_room; i++)
		live += old[i].at && old[i].at != GONE;
	room = 1024;
	while (room < live * 4)
		room *= 2;
	blocks = world_alloc(room * sizeof(*blocks));
	used = 0;
	for (size_t i = 0; i < old_room; i++)
		if (old[i].at && old[i].at != GONE)
			insert(old[i]);
	__real_free(old);
}

#define HEAD_BYTES 8 /* glibc's, of each block */

static void *count(void *p, size_t n, void *caller)
{
	struct k_program *k = k_current;
	size_t real;

	if (!p || !k)
		return p;
	real = malloc_usable_size(p) + HEAD_BYTES;
	if (used * 2 >= room)
		grow();
	insert((struct block){p, n, real, k, numbers++, caller});
	k->real_bytes += real;
	if (k->real_bytes > k->real_most)
		k->real_most = k->real_bytes;
	k->memory_count++;
	k->memory_bytes += n;
	if (k->memory_bytes > k->memory_most)
		k->memory_most = k->memory_bytes;
	return p;
}

static void uncount(void *p)
{
	if (!p || !room)
		return;
	for (size_t i = place_of(p); blocks[i].at; i = (i + 1) & (room - 1)) {
		if (blocks[i].at != p)
			continue;
		blocks[i].owner->memory_count--;
		blocks[i].owner->memory_bytes -= blocks[i].bytes;
		blocks[i].owner->real_bytes -= blocks[i].real;
		blocks[i].at = GONE;
		return;
	}
}

static bool refused(void)
{
	if (!k_current)
		return false;
	if (k_current->refuse_at != 1 && !dice_chance(&refuse_dice, k_current->no_memory)) {
		k_current->refuse_at -= k_current->refuse_at > 0;
		return false;
	}
	k_current->refuse_at = 0;
	errno = ENOMEM;
	return true;
}

void memory_list(const struct k_program *p, size_t most)
{
	for (size_t i = 0; i < room && most > 0; i++) {
		if (!blocks[i].at || blocks[i].at == GONE || blocks[i].owner != p)
			continue;
		fprintf(stderr, "  %zu bytes, allocation %llu, from 0x%tx (addr2line -fe worlds)\n",
			blocks[i].bytes, (unsigned long long)blocks[i].number,
			(char *)blocks[i].caller - &__executable_start);
		most--;
	}
}

#define HERE __builtin_return_address(0)

void *__wrap_malloc(size_t n)
{
	return refused() ? NULL : count(__real_malloc(n), n, HERE);
}

void *__wrap_calloc(size_t n, size_t each)
{
	return refused() ? NULL : count(__real_calloc(n, each), n * each, HERE);
}

static void *again(void *p, size_t n, void *caller)
{
	void *q;

	if (refused())
		return NULL;
	uncount(p); /* before its address can be another's */
	q = __real_realloc(p, n);
	return count(q, n, caller);
}

void *__wrap_realloc(void *p, size_t n)
{
	return again(p, n, HERE);
}

void *__wrap_reallocarray(void *p, size_t n, size_t each)
{
	return again(p, n * each, HERE);
}

void *__real_aligned_alloc(size_t align, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n)
{
	return refused() ? NULL : count(__real_aligned_alloc(align, n), n, HERE);
}

char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s)
{
	return refused() ? NULL : count(__real_strdup(s), strlen(s) + 1, HERE);
}

char *__real_strndup(const char *s, size_t n);
char *__wrap_strndup(const char *s, size_t n)
{
	return refused() ? NULL : count(__real_strndup(s, n), strnlen(s, n) + 1, HERE);
}

void __wrap_free(void *p)
{
	uncount(p);
	__real_free(p);
}
