/* SPDX-License-Identifier: Apache-2.0 */
/* real: the calls that the linker leads elsewhere, for the world's own use. */
#ifndef POSTERN_TESTS_WORLD_REAL_H
#define POSTERN_TESTS_WORLD_REAL_H

#include <stddef.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t each);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
int __real_close(int fd);

/* Of the world itself: never fails, is not counted. */
void *world_alloc(size_t n);
void *world_realloc(void *p, size_t n);
#define world_free __real_free

#endif
