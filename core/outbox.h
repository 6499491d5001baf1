/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox: bytes on their way out to a peer that may not read them: bounded where they are added.
 *
 * Theory of operation. Bytes are copied in, and leave in order, one send at a time:
 *
 *   put() ──► waiting ──► under way ──► the kernel
 *             <= most     what waited when the last send ended
 *
 * A peer that does not read leaves one send under way for ever, and what is put in behind it waits.
 * The bound is on what waits, so memory is at most twice that; it is checked when bytes are added,
 * which is the only place where they grow, and the owner is told and decides: to let the peer go,
 * most often. Before that, an owner that stops reading from a peer while outbox_waiting() is large
 * has nothing pile up that the peer itself asks for; moved() says when to look again.
 *
 * Idle, an outbox holds no memory of its own.
 */
#ifndef POSTERN_CORE_OUTBOX_H
#define POSTERN_CORE_OUTBOX_H

#include <stddef.h>

#include "core/must_check.h"
#include "core/ring.h"

enum outbox_status {
	OUTBOX_OK,
	OUTBOX_FULL,	  /* more would wait than may */
	OUTBOX_NO_MEMORY, /* for these bytes */
	OUTBOX_CLOSED,
};

struct outbox {
	/* The owner sets these first; fd is only borrowed. most may change between calls. */
	struct ring *ring;
	int fd; /* non-blocking */
	size_t most;
	/* A send has ended. error 0: its bytes have left, and what waited is under way; else
	 * -errno: nothing is, and what waited is dropped, as is all that is put in later. */
	void (*moved)(struct outbox *o, int error);

	/* This module's. */
	struct ring_op op;
	uint8_t *waiting, *under_way;
	size_t len, room; /* of waiting */
	bool closed;
};

void outbox_init(struct outbox *o);
/* Adds a copy and starts sending. Unless it is OK, nothing has been added. */
enum outbox_status outbox_put(struct outbox *o, const void *bytes, size_t len) MUST_CHECK;
/* Bytes behind the send that is under way. */
size_t outbox_waiting(const struct outbox *o);
/* True while a send is under way: moved() will come, and the owner must not free. */
bool outbox_busy(const struct outbox *o);
/* Drops what waits and asks the send under way to end. Harmless twice. */
void outbox_close(struct outbox *o);
/* Once it is not busy, or the ring is closed. */
void outbox_free(struct outbox *o);

#endif
