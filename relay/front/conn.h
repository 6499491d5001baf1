/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn: one accepted connection, from its first byte until it ends or becomes half of a session.
 *
 * Theory of operation
 *
 *   PROXY ──► HELLO ──► HANDSHAKE ──► INSIDE ──► WEB
 *               ├──► STUN               ├──────► FRAME ──► LINK
 *               │                       │          ├─────► CONSOLE
 *               │                       │          └─────► LEG ──► OPENING ──► CUTTING ──► session
 *               │                                           └─────ACCEPT─────► CUTTING ──► session
 *               └──► PUBLIC ─────────────────────────────────────────────────► CUTTING ──► session
 *   WEB ◄──► SITE (the web site's, behind an agent) ─────────────────────────► CUTTING ──► session
 *   any ──► CLOSING (last bytes on their way) ──► DEAD (waits for its operations)
 *
 * What a connection does stands in its phase, a constant row of functions (struct conn_phase). The
 * room that speaks a protocol owns its phases, and the protocol's part of struct conn: the state,
 * a struct that no other room knows. So a protocol joins with a row in relay/relay.c and a folder:
 *
 *   phases                       state             room and file
 *   PROXY HANDSHAKE INSIDE       none              relay/front/front.c
 *   HELLO                        the reader        relay/front/front.c
 *   STUN                         messages          relay/front/stun_stream.c
 *   WEB                          request body      relay/front/web.c
 *   FRAME                        none              relay/session/frames.c
 *   LINK                         struct relay_link relay/session/link.c
 *   LEG OPENING                  struct relay_leg relay/session/leg.c
 *   PUBLIC SITE                  the same         relay/session/public.c
 *   CUTTING                      the same         relay/session/cut.c
 *   CONSOLE                      its lines         relay/control/console.c
 *   CLOSING DEAD                 none              relay/front/conn.c
 *
 * Who may touch what
 *
 *   phase, state                 conn_set_phase() alone changes the phase; it lets the state go
 *                                where the next phase has another. Only the owner's functions look
 *                                into the state, and only while one of the owner's phases is on.
 *   rx, out, read_done           conn_io.c. One receive is in flight while the phase has input()
 *                                and the peer reads; what TLS puts out goes to the outbox at once,
 *                                and what is said in clear before there is any TLS.
 *   in                           the phase, by conn_keep() and conn_drop_kept(). What is left when
 *                                the phase changes belongs to the next one.
 *   tls                          HANDSHAKE and all after it, through conn_decrypt() and
 *                                conn_send_plain(). CUTTING takes it away with the descriptor,
 *                                to its end, or into a session of the web site.
 *   fd                           the connection, until conn_release_fd() in CUTTING.
 *   deadline                     the phase, by conn_set_deadline(); it stays set when the phase
 *                                changes, and calls the deadline() of the phase that is on then.
 *
 * Phases without input() do not read: from OPEN or ACCEPT on a leg is not read until FAIL puts it
 * back, so nothing is in flight when it is cut through, and what the agent sends early stays in the
 * kernel. A connection is freed by the worker's reaper, never inside a call that may still hold it.
 */
#ifndef POSTERN_RELAY_FRONT_CONN_H
#define POSTERN_RELAY_FRONT_CONN_H

#include <assert.h>
#include <stdalign.h>
#include <stddef.h>

#include "core/addr.h"
#include "core/alive.h"
#include "core/engine/tls.h"
#include "core/outbox.h"
#include "core/parse/wire.h"
#include "relay/front/worker.h"

/* A protocol's part of a connection, CONN_STATE_BYTES: zeroed when its first phase begins. */
struct conn_state {
	/* The connection goes on to another protocol or ends, which has happened when this is
	 * called: takes it out of the tables. why: what ended it, or REASON_OK. NULL: no matter. */
	void (*leave)(struct conn *c, enum reason why);
	/* Frees what the state owns in memory; after leave(), or alone when the program ends. NULL:
	 * nothing. */
	void (*dispose)(struct conn *c);
};

#define CONN_STATE_BYTES 64u
#define OUTPUT_MOST	 262144u /* a peer that lets more control bytes pile up is cut */

struct conn_phase {
	const char *name;
	const struct conn_state *state; /* NULL: none; phases with the same share it */
	/* Bytes have come, good during the call. NULL: the phase does not read. */
	void (*input)(struct conn *c, const uint8_t *data, size_t len);
	/* Time is up. NULL: the connection closes. */
	void (*deadline)(struct conn *c, uint64_t now_ms);
	/* All output has left. NULL: no matter. */
	void (*sent)(struct conn *c);
	/* The relay drains; another configuration is in force. NULL: no matter. */
	void (*drain)(struct conn *c);
	void (*adopt)(struct conn *c);
	/* May it go on? Asked when another configuration is in force, before adopt(), and by the
	 * clock (relay/session/enforce.h). NULL: it is nobody's. */
	void (*judge)(struct conn *c);
	bool answers;	    /* a peer that has closed its side still gets what is on its way */
	enum reason gone;   /* counted when the peer goes in this phase */
	size_t output_most; /* may wait before the peer is cut off, where more than OUTPUT_MOST */
};

struct conn {
	struct worker *worker;
	slab_id id;
	const struct conn_phase *phase;
	int fd;		 /* -1 after it passed on to a session */
	uint32_t place;	 /* in the ledger; passes on with fd */
	bool read_done;	 /* the peer has ended its direction */
	bool reapable;	 /* on the worker's list */
	uint8_t granted; /* enum buckets_grant: for its handshake, until that is given back */
	uint8_t tag;	 /* the position, from 1, of the tag key that it had; 0: a stranger's */
	bool proved;	 /* who it is, or it is an agent's leg */
	bool held;	 /* the phase has enough to do, and does not read on */
	struct addr peer, local;
	uint64_t accepted_ms;

	struct ring_op rx;
	struct outbox out;
	struct timer deadline;

	struct tls *tls;
	uint8_t *in; /* bytes kept between receives: PROXY, HELLO, partial frames, HTTP */
	size_t in_len, in_room;
	struct conn *next_reapable;

	alignas(max_align_t) uint8_t state[CONN_STATE_BYTES]; /* the phase's owner's */
};

static_assert(sizeof(struct conn) <= 448, "seven cache lines; links and warm legs are many");

/* How often keep-alive asks on what was accepted. */
extern const struct alive_beat conn_beat;

extern const struct conn_phase phase_proxy, phase_hello, phase_handshake, phase_inside, phase_stun,
	phase_web, phase_closing, phase_dead;

/* No more than its last bytes are left of it. */
static inline bool conn_ending(const struct conn *c)
{
	return c->phase == &phase_closing || c->phase == &phase_dead;
}

/* A connection of this worker by id; NULL when it is gone or dying. */
struct conn *conn_find(struct worker *w, slab_id id);
/* Takes over an accepted socket; closes it when the tables are full. */
void conn_accepted(struct relay_listener *l, int fd);
/* An empty connection in phase, for a leg that arrives from another worker; NULL when full. */
struct conn *conn_adopt(struct worker *w, int fd, uint32_t place, struct tls *tls,
			const struct conn_phase *phase);
/* A PROXY header was read (source NULL: LOCAL): from now on this is the peer. */
void conn_proxied_source(struct conn *c, const struct addr *source, const struct addr *destination);
void conn_set_phase(struct conn *c, const struct conn_phase *phase);
void conn_set_deadline(struct conn *c, uint64_t after_ms);
/* The same, unless the deadline that is set comes before. */
void conn_shorten_deadline(struct conn *c, uint64_t after_ms);
/* Reads again after a phase that did not. */
void conn_read_on(struct conn *c);

/* Keeps bytes for later. False beyond limit; or without memory, which has closed the connection. */
bool conn_keep(struct conn *c, const uint8_t *data, size_t len, size_t limit) MUST_CHECK;
void conn_drop_kept(struct conn *c, size_t n);

/* Starts the handshake with the bytes kept so far. */
void conn_start_tls(struct conn *c, const uint8_t *data, size_t len);
/* Received bytes go to TLS; none are fine. False: without memory, the connection is closed. */
bool conn_feed(struct conn *c, const uint8_t *data, size_t len) MUST_CHECK;
/* Keeps the next decrypted bytes. False: there are none yet, or the connection has ended; for
 * beyond when they would be more than limit in all. */
bool conn_decrypt(struct conn *c, size_t limit, enum reason beyond) MUST_CHECK;
/* Adds to the output and starts sending. */
void conn_send_message(struct conn *c, const struct wire_message *m);
void conn_send_plain(struct conn *c, const void *data, size_t len); /* through TLS */
void conn_send_raw(struct conn *c, const void *data, size_t len);   /* before any TLS */
void conn_flush(struct conn *c);
bool conn_sending(const struct conn *c);
/* From any worker: sends the message on the relay's connection with this id, if there is one;
 * with then_close it ends after it. False without memory: nothing is sent. */
bool conn_tell(struct relay *r, slab_id id, const struct wire_message *m,
	       bool then_close) MUST_CHECK;
/* The same of what goes back to another peer: a connection that is slow to read goes without, so
 * that nobody is cut off by what others do. */
bool conn_tell_spare(struct relay *r, slab_id id, const struct wire_message *m) MUST_CHECK;

/* It began with a tag of the key at this position: it has a file of this network, and may be told
 * why it is refused. Who it is is not proved. */
void conn_tagged(struct conn *c, size_t key);

/* Sends a last message and closes in order. conn_refuse() counts reason, too. */
void conn_refuse(struct conn *c, enum reason reason);
/* For what m.extensions.unknown names. */
void conn_refuse_extension(struct conn *c, const struct wire_message *m);
void conn_bye(struct conn *c, enum reason reason);
/* Sends what is waiting, then closes. */
void conn_finish(struct conn *c);
/* The same without a close_notify, as web servers do it when the peer's TLS has ended before. */
void conn_finish_quietly(struct conn *c);
/* Closes at once. REASON_OK: an ordinary end, not counted. */
void conn_close(struct conn *c, enum reason reason);
/* Hands the descriptor on, with its place in the ledger: the connection ends without closing it. No
 * operation may be busy. */
int conn_release_fd(struct conn *c, uint32_t *place);
void conn_reap(struct worker *w);
/* Frees what it owns in memory. */
void conn_dispose(struct conn *c);

#endif
