/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script: an input of a fuzzer, read as what happens to a machine: an act's number, what it needs,
 * the next act's number. Where the input has ended everything is 0.
 */
#ifndef POSTERN_FUZZ_MACHINES_SCRIPT_H
#define POSTERN_FUZZ_MACHINES_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/parse/wire.h"

struct script {
	const uint8_t *at;
	size_t left;
};

extern struct script script;

static inline bool script_over(void)
{
	return script.left == 0;
}

static inline unsigned script_byte(void)
{
	if (script.left == 0)
		return 0;
	script.left--;
	return *script.at++;
}

/* 0 to n - 1; n is 256 at most. */
static inline unsigned script_below(unsigned n)
{
	return script_byte() % n;
}

static inline unsigned script_word(void)
{
	unsigned high = script_byte();

	return high << 8 | script_byte();
}

/* Up to so many bytes of the input itself: one byte (two, from 255 on) says how many. Borrowed. */
static inline struct wire_bytes script_bytes(size_t most)
{
	size_t n = most < 256 ? script_below((unsigned)most + 1) : script_word() % (most + 1);
	struct wire_bytes b = {script.at, n < script.left ? n : script.left};

	script.at += b.len;
	script.left -= b.len;
	return b;
}

/* Something between a tenth of a millisecond and more than a minute, in microseconds. */
static inline uint64_t script_time(void)
{
	static const uint32_t times[] = {100,	  1000,	   10000,   50000,    200000,	999000,
					 1100000, 2500000, 5100000, 10500000, 31000000, 76000000};

	return times[script_below(sizeof(times) / sizeof(times[0]))];
}

#endif
