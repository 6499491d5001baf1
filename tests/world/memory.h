/* SPDX-License-Identifier: Apache-2.0 */
/* memory: what the programs of a world allocate, counted (struct k_program) and refused. */
#ifndef POSTERN_TESTS_WORLD_MEMORY_H
#define POSTERN_TESTS_WORLD_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct k_program;

void memory_seed(uint64_t seed);
/* Of what p still has, the first few, on stderr. */
void memory_list(const struct k_program *p, size_t most);

#endif
