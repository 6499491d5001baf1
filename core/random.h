/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random: numbers that spread load: retries, ports, renewals. Nothing secret hangs on them.
 *
 * It stands alone because the pure rooms draw from it, too: their owners give the seed, so that a
 * test's run can be had again. Secrets are BoringSSL's RAND_bytes().
 */
#ifndef POSTERN_CORE_RANDOM_H
#define POSTERN_CORE_RANDOM_H

#include <stdint.h>

/* The next number, by splitmix64: any state is a good one, 0 too. */
static inline uint64_t random_next(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

#endif
