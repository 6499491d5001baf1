/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines: lines of text over a stream socket, bounded both ways.
 *
 * A peer that does not read what is sent to it is not read either, once enough waits. A peer that
 * sends a line without end, or makes more wait than may wait, is disconnected. At the end of its
 * input what waits still leaves, and what the owner owes it is waited for.
 */
#ifndef POSTERN_CORE_LINES_H
#define POSTERN_CORE_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/outbox.h"
#include "core/ring.h"

#define LINES_PAUSE_BYTES (1u << 20) /* so much waits: nothing more is read */
#define LINES_OWED_MS	  60000u     /* for what is owed at the end of input, at most */

struct lines {
	/* The owner sets these first. */
	struct ring *ring;
	int fd;			     /* non-blocking; this module's from lines_start() on */
	size_t line_max, output_max; /* output_max: see outbox.h */
	/* line is borrowed, without its line break; empty lines are skipped. */
	void (*line)(struct lines *l, const char *line, size_t len);
	/* Whether answers are still to come, by lines_send(). NULL: they never are. */
	bool (*owes)(const struct lines *l);
	/* Once, never from inside a call: nothing is in flight, the owner may free. */
	void (*ended)(struct lines *l);

	struct ring_op rx;
	struct outbox out;
	struct timer timer;
	char *in;
	size_t in_len, in_room;
	bool eof, closing;
};

void lines_start(struct lines *l);
/* Queues len bytes, line break included; takes text over (free). False: too much waits, or it is
 * ending; ended() follows. */
bool lines_send(struct lines *l, char *text, size_t len);
/* Harmless twice. */
void lines_close(struct lines *l);
/* Once the ring is closed: nothing is in flight, and ended() will not come. */
void lines_free(struct lines *l);

#endif
