/* SPDX-License-Identifier: Apache-2.0 */
/*
 * splicer: moves pages from one socket to another through a pipe, instead of copying bytes.
 *
 * A thread has one, and between two moves it is empty: what a receiver did not take is taken out
 * again at once. So no session's bytes can reach another, and a slow receiver holds only its own
 * memory. When emptying fails, which it never should, the splicer closes for good and its users go
 * back to copying.
 */
#ifndef POSTERN_RELAY_SESSION_SPLICER_H
#define POSTERN_RELAY_SESSION_SPLICER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/must_check.h"

#define SPLICER_BYTES (1u << 20) /* in one move; unprivileged pipes hold no more */

struct splicer {
	int in, out; /* -1: not to be had */
};

/* Without a pipe it stays closed. */
void splicer_open(struct splicer *s);
void splicer_close(struct splicer *s);

static inline bool splicer_ready(const struct splicer *s)
{
	return s->in >= 0;
}

/* Takes what is there from a socket, at most SPLICER_BYTES; 0 at end-of-file, or -errno. */
ssize_t splicer_fill(struct splicer *s, int from);
/* Gives held bytes to a socket. Returns how many are left, with -errno in *error when there are. */
size_t splicer_drain(struct splicer *s, int to, size_t held, int *error);
/* Takes the bytes that are left out again, into data, or away when it is NULL. */
bool splicer_take_back(struct splicer *s, uint8_t *data, size_t left) MUST_CHECK;

#endif
