/* SPDX-License-Identifier: Apache-2.0 */
/* ring_sim: a ring on the simulated kernel, and when it has something to do. */
#ifndef POSTERN_TESTS_WORLD_RING_SIM_H
#define POSTERN_TESTS_WORLD_RING_SIM_H

#include <stdbool.h>
#include <stdint.h>

struct ring;

void ring_sim_seed(uint64_t seed);
/* A turn would do something now. */
bool ring_sim_due(struct ring *r);
/* When its next timer fires, on the kernel's clock; UINT64_MAX: none is set. */
uint64_t ring_sim_next(struct ring *r);

#endif
