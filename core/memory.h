/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: one count of what peers can make a program keep, and its limit.
 *
 * Theory of operation. An account belongs to a program; each of its threads says so once
 * (memory_adopt()). What grows by what a peer sends or leaves unread comes from memory_get() and
 * its kin instead of malloc(): it is charged where it is allocated, with what the allocator really
 * takes, and refused there once the account is full. Libraries that have a place for it allocate
 * the same way: BoringSSL (core/engine/tls_memory.c) and jansson (core/engine/json_memory.c). What
 * is reserved in another way (a slot of a table, a large buffer) is charged by memory_take(). So
 * one limit holds for any mixture of peers, and no sum of estimates has to be right.
 *
 *   0 ............ tight ............ most
 *   all may grow │ only peers that have proved who they are │ nothing grows
 *
 * Callers that hold something for a peer which has proved nothing ask memory_tight() first: the
 * last quarter is for the others. A thread without an account (an agent's, a tool's) is not
 * counted.
 *
 * What came from here goes back by memory_free(), on a thread of the same account.
 */
#ifndef POSTERN_CORE_MEMORY_H
#define POSTERN_CORE_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

struct memory {
	_Atomic uint64_t most; /* bytes; may change at any time */
	_Atomic int64_t used;
	_Atomic uint64_t refused; /* times; by the system, too */
};

/* This thread's memory is charged to m from now on (NULL: to none). Returns the one before. */
struct memory *memory_adopt(struct memory *m);

/* As malloc(), calloc(1, n), calloc(), realloc(), strdup() and free(); NULL also where the account
 * is full. */
void *memory_get(size_t n) MUST_CHECK;
void *memory_zeroed(size_t n) MUST_CHECK;
void *memory_array(size_t count, size_t each_bytes) MUST_CHECK;
void *memory_aligned(size_t alignment, size_t n) MUST_CHECK; /* as aligned_alloc() */
void *memory_resize(void *p, size_t n) MUST_CHECK;
char *memory_text(const char *text) MUST_CHECK;
char *memory_text_of(const char *bytes, size_t len) MUST_CHECK; /* none of them is zero */
void memory_free(void *p);

/* How often this thread has been refused memory, by its account or by the system. What is made of
 * many small pieces, as a JSON document is, is whole if nothing was refused since its beginning:
 * that is asked once, before it is used. */
unsigned memory_refusals(void);

/* Charges n bytes that are allocated in another way. False: there is no room, none are charged. */
bool memory_take(size_t n) MUST_CHECK;
/* The same for what is in use already: never refused. */
void memory_charge(size_t n);
void memory_give(size_t n);

/* The last quarter is reached. */
bool memory_tight(void);

#endif
