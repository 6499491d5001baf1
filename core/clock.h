/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock: the kernel's clocks in milliseconds, for code that has no ring to ask (ring_now_ms()).
 *
 * CLOCK_MONOTONIC stands still while the machine is suspended; CLOCK_BOOTTIME goes on, so that a
 * deadline which passed meanwhile has passed. Both are read in user space (vDSO), without a system
 * call, where the machine's time source allows it.
 */
#ifndef POSTERN_CORE_CLOCK_H
#define POSTERN_CORE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

#endif
