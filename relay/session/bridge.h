/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridge: a session whose bytes are given on between the TLS sessions of its two sides. No sockets.
 *
 * Theory of operation
 *
 * A stranger's TLS with the relay and that of a leg both stay, and each byte is decrypted from one
 * and encrypted for the other: this is what the relay reads (SECURITY.md). Each direction is taken
 * by itself: of side s's TLS it uses the reading half, of the other's the writing half.
 *
 *   wire of s ──bridge_take()──► TLS of s ──► TLS of the other ──bridge_output()──► its wire
 *
 * What is taken goes through at once; all that stays here is the beginning of a record (16 KiB) and
 * the output. The caller takes no more before the output has left, so a direction holds no more
 * than a record and one receive, decrypted and encrypted again.
 *
 * An end is passed on as an end: close_notify. The end of the wire without it is a cut, and never
 * looks like an end.
 */
#ifndef POSTERN_RELAY_SESSION_BRIDGE_H
#define POSTERN_RELAY_SESSION_BRIDGE_H

#include "core/engine/tls.h"

struct bridge {
	struct tls *tls[2]; /* owned; NULL until it is handed over */
	bool ended[2];	    /* side has ended its direction, and close_notify is in the output */
};

enum bridge_status {
	BRIDGE_ON,     /* there may be output */
	BRIDGE_ENDED,  /* likewise; and nothing more is taken from this side */
	BRIDGE_CUT,    /* the wire ended without close_notify */
	BRIDGE_BROKEN, /* it is no TLS: tls_error() of this side; an alert for it is its output */
	BRIDGE_NO_MEMORY, /* for what goes to the other side */
};

/* Frees it and its TLS sessions. NULL is harmless. */
void bridge_free(struct bridge *b);

/* Bytes of side that were decrypted before there was a bridge. */
enum bridge_status bridge_give(struct bridge *b, unsigned side, const uint8_t *plain,
			       size_t len) MUST_CHECK;
/* Bytes from the wire of side, or none: what its TLS kept. plain: room to work in. Adds to *passed
 * how many bytes of what is inside went through. */
enum bridge_status bridge_take(struct bridge *b, unsigned side, const uint8_t *wire, size_t len,
			       uint8_t *plain, size_t room, uint64_t *passed) MUST_CHECK;
/* The wire of side has ended, or ends with what bridge_take() has left. */
enum bridge_status bridge_take_end(struct bridge *b, unsigned side, uint8_t *plain, size_t room,
				   uint64_t *passed) MUST_CHECK;
/* What has to go to the wire of side; drop what was sent. Good until the next call. */
const uint8_t *bridge_output(const struct bridge *b, unsigned side, size_t *len);
void bridge_output_drop(struct bridge *b, unsigned side, size_t n);

#endif
