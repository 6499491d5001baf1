/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signing: a worker's channel to the signer (relay/signer/signer.h), which has the private key.
 *
 * A handshake that wants a signature asks for it here, and goes on when it comes; the worker never
 * waits. A few questions are under way at a time, so that their answers always have room in the
 * socket; the others wait in a queue. Each connection is in it once at most, with the deadline that
 * its handshake has anyway, and leaves it by being gone.
 */
#ifndef POSTERN_RELAY_FRONT_SIGNING_H
#define POSTERN_RELAY_FRONT_SIGNING_H

#include "relay/front/worker.h"

#define SIGNING_UNDER_WAY 32u
#define SIGNING_QUEUE	  4096u /* of a worker */

/* Takes fd over. False without memory. */
bool signing_open(struct worker *w, int fd) MUST_CHECK;
/* On the worker's thread, once its ring is open; again does no harm. */
void signing_start(struct worker *w);
/* Once its ring is closed. */
void signing_close(struct worker *w);

/* Asks for what c's TLS wants. False: not now, or never again; the connection should end. */
bool signing_ask(struct conn *c) MUST_CHECK;

#endif
