/* SPDX-License-Identifier: Apache-2.0 */
/*
 * charge: the relay's ledger (relay/ledger/ledger.h), as its workers use it: behind a lock of its
 * own, which is taken for a few steps when a connection comes, proves itself or goes.
 *
 * A connection has a place from accept until its descriptor is closed, and hands the place on
 * together with the descriptor. What has to go for a newcomer's sake is closed by its own worker.
 */
#ifndef POSTERN_RELAY_FRONT_CHARGE_H
#define POSTERN_RELAY_FRONT_CHARGE_H

#include "relay/front/conn.h"

/* A connection was accepted. False: there is no place, also none to be made. */
bool charge_enter(struct conn *c) MUST_CHECK;
/* A PROXY header told where it comes from. */
void charge_move(struct conn *c);
/* It is a public client of this name; or why it may not be. */
enum reason charge_public(struct conn *c, const char *name) MUST_CHECK;
/* It has proved to be name; or why there is no place for it. */
enum reason charge_proven(struct conn *c, const char *name, bool console) MUST_CHECK;
/* The descriptor that had this place is closed; 0: it had none. */
void charge_leave(struct relay *r, uint32_t place);
/* From another worker, or this one: there may be connections of w that have to go. */
void charge_drop_run(struct ring_msg *msg);

#endif
