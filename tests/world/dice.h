/* SPDX-License-Identifier: Apache-2.0 */
/* dice: chance that a seed repeats (splitmix64). Each part of a world has dice of its own, so that
 * a further throw in one does not change what the others do. */
#ifndef POSTERN_TESTS_WORLD_DICE_H
#define POSTERN_TESTS_WORLD_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
	uint64_t state;
};

static inline uint64_t dice_throw(struct dice *d)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Dice that depend on the seed and on whose they are. */
static inline struct dice dice_of(uint64_t seed, uint64_t whose)
{
	struct dice d = {seed * 0xd1342543de82ef95u + whose * 0xaf251af3b0f025b5u};

	(void)dice_throw(&d);
	return d;
}

/* 0 to n - 1; n > 0. */
static inline uint64_t dice_below(struct dice *d, uint64_t n)
{
	return dice_throw(d) % n;
}

/* from to to, both of them possible. */
static inline uint64_t dice_between(struct dice *d, uint64_t from, uint64_t to)
{
	return from + dice_below(d, to - from + 1);
}

/* True so many times in a thousand. */
static inline bool dice_chance(struct dice *d, unsigned per_mille)
{
	return per_mille > 0 && dice_below(d, 1000) < per_mille;
}

/* Small ones are more frequent: a size from 1 to most whose logarithm is even. */
static inline uint64_t dice_size(struct dice *d, uint64_t most)
{
	unsigned bits = 0;

	while (most >> bits)
		bits++;
	uint64_t n = dice_throw(d) >> (64 - dice_between(d, 1, bits));

	return n < 1 ? 1 : n > most ? most : n;
}

#endif
