/* SPDX-License-Identifier: Apache-2.0 */
/*
 * questions: a ring and a resolver of a command's own, for what it asks side by side.
 *
 * What begins a lookup or a survey counts it by questions_asked(); what its callback ends, by
 * questions_answered(). questions_wait() runs the ring until all are answered. Each question has a
 * deadline of its own, so that waiting ends.
 */
#ifndef POSTERN_CTL_NAT_QUESTIONS_H
#define POSTERN_CTL_NAT_QUESTIONS_H

#include "core/program/resolve.h"
#include "core/ring.h"

struct questions {
	struct ring *ring; /* NULL: it is not open */
	struct resolver resolver;
	size_t waiting; /* for so many answers */
	bool closing;
	struct timer idle;
};

/* False: why has a sentence, and there is nothing to close. */
bool questions_open(struct questions *q, char *why, size_t why_size) MUST_CHECK;
/* Lookups that wait still are answered with an error first; nothing else may be waited for. */
void questions_close(struct questions *q);

void questions_asked(struct questions *q);
void questions_answered(struct questions *q);
/* Until nothing is waited for. False: the ring has failed. */
bool questions_wait(struct questions *q) MUST_CHECK;

#endif
