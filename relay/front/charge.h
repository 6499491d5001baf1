/* SPDX-License-Identifier: Apache-2.0 */
/*
 * charge: the relay's ledger (relay/ledger/ledger.h), as its workers use it: behind a lock of its
 * own, which is taken for a few steps when a connection comes, proves itself or goes.
 *
 * A connection has a place from accept until its descriptor is closed, and hands the place on
 * together with the descriptor. What has to go for a newcomer's sake is closed by its own worker.
 *
 * Before anything that costs, the rates (relay/ledger/buckets.h) are asked.
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
/* Memory is short: the oldest of those that have proved nothing goes, which may be c itself. False:
 * there is none. */
bool charge_make_room(struct conn *c) MUST_CHECK;
/* It has proved to be name; or why there is no place for it. */
enum reason charge_proven(struct conn *c, const char *name, bool console) MUST_CHECK;
/* May it shake hands, or have one more request answered? False: it is closed, and counted. */
bool charge_handshake(struct conn *c) MUST_CHECK;
bool charge_request(struct conn *c) MUST_CHECK;
/* May it sign in under the name that it claims? BUCKETS_REFUSED: no. */
enum buckets_grant charge_sign_in(struct conn *c, const char *name) MUST_CHECK;
/* It has; what was charged to its source is not any more. */
void charge_signed_in(struct conn *c, const char *name, enum buckets_grant sign_in);
/* A link of name's asks over STUN; false: it has had enough for now. */
bool charge_stun(struct worker *w, const char *name) MUST_CHECK;
/* It has proved to be a leg of name's; false: that has too many a second. */
bool charge_leg(struct conn *c, const char *name) MUST_CHECK;

/* The descriptor that had this place is closed; 0: it had none. */
void charge_leave(struct relay *r, uint32_t place);
/* From another worker, or this one: there may be connections of w that have to go. */
void charge_drop_run(struct ring_msg *msg);

#endif
