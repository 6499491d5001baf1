/* SPDX-License-Identifier: Apache-2.0 */
/* broken: what a world found, for the runner. */
#ifndef POSTERN_TESTS_WORLD_BROKEN_H
#define POSTERN_TESTS_WORLD_BROKEN_H

#include <stddef.h>
#include <stdint.h>

#define BROKEN_MAX 16u

struct broken {
	char property[48];
	char how[400];
};

size_t broken_list(const struct broken **list);

/* calls.c: the dice behind all randomness of libraries. */
void calls_seed(uint64_t seed);

#endif
