/* SPDX-License-Identifier: Apache-2.0 */
/* conn_internal: what conn.c (a connection's life) and conn_io.c (its bytes) share. */
#ifndef POSTERN_RELAY_FRONT_CONN_INTERNAL_H
#define POSTERN_RELAY_FRONT_CONN_INTERNAL_H

#include "relay/front/conn.h"

static inline struct ring *conn_ring(const struct conn *c)
{
	return c->worker->ring;
}

/* conn_io.c: what the operations report to. */
ring_done_fn conn_received;
void conn_moved(struct outbox *o, int error);

/* conn.c: the peer has ended its direction, or (res < 0) broken off. */
void conn_ended_by_peer(struct conn *c, int res);

#endif
