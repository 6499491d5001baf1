/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn: one accepted connection, from its first byte until it ends or becomes half of a session.
 *
 * Theory of operation
 *
 *   PROXY ──► HELLO ──► HANDSHAKE ──► FIRST ──► WEB          (web.c)
 *               ├──► STUN               ├────► LINK          (link.c; STUN: stun_stream.c)
 *               │                       ├────► CONSOLE       (console.c)
 *               │                       └────► LEG_IDLE ──► LEG_OPENING ──► CUTTING ──► session
 *               └──► PUBLIC ─────────────────────────────────────────────► CUTTING ──► session
 *   any ──► CLOSING (last bytes on their way) ──► DEAD (waits for its operations)
 *
 * One receive is in flight while the phase reads; bytes go to conn_input() of the phase. What is to
 * be sent gathers in the TLS output (or in clear for PUBLIC refusals) and leaves through one send
 * at a time. From OPEN or ACCEPT on a leg is not read until FAIL puts it back: so nothing is in
 * flight when it is cut through, and what the agent sends early stays in the kernel.
 *
 * conn_set_phase() is the only place that changes the phase. A connection is freed by the worker's
 * reaper, never inside a call stack that may still hold it.
 */
#ifndef POSTERN_RELAY_FRONT_CONN_H
#define POSTERN_RELAY_FRONT_CONN_H

#include "core/addr.h"
#include "core/engine/tls.h"
#include "relay/worker.h"

enum conn_phase {
	CONN_PROXY,	  /* collecting a PROXY header; reads */
	CONN_HELLO,	  /* collecting a ClientHello; reads */
	CONN_STUN,	  /* requests and answers, in clear; reads */
	CONN_HANDSHAKE,	  /* TLS handshake; reads */
	CONN_FIRST,	  /* waiting for the first application data; reads */
	CONN_WEB,	  /* HTTP; reads */
	CONN_LINK,	  /* signed in or signing in; reads */
	CONN_CONSOLE,	  /* calls, line by line; reads */
	CONN_LEG_IDLE,	  /* a warm leg; reads */
	CONN_LEG_OPENING, /* its OPEN waits for the other side; does not read */
	CONN_PUBLIC,	  /* a TLS client waits for the publisher's leg; does not read */
	CONN_CUTTING,	  /* GO is on its way; does not read */
	CONN_CLOSING,	  /* last bytes are on their way; reads and discards */
	CONN_DEAD,	  /* nothing but operations to wait for */
	CONN_PHASES
};

struct conn {
	struct worker *worker;
	slab_id id;
	enum conn_phase phase;
	int fd; /* -1 after it passed on to a session */
	struct addr peer, local;
	struct addr_key source; /* what it is counted under while unauthenticated */
	bool counted;		/* in sources */
	bool read_done;		/* the peer has ended its direction */

	struct ring_op rx, tx;
	uint8_t *tx_data; /* in flight; owned */
	struct timer deadline;

	struct tls *tls;
	uint8_t *in; /* bytes kept between receives: PROXY, HELLO, partial frames, HTTP */
	size_t in_len, in_room;

	uint64_t link;		    /* LINK: ours; LEG_*: the one it belongs to */
	bool told_revoked;	    /* LINK: the agent has a list of revoked names */
	bool announced;		    /* LINK: its coming is on record, and its going will be */
	bool signed_in;		    /* LINK: in the tables */
	bool leg_counted;	    /* joined its link's count */
	struct policy_answer grant; /* LEG_OPENING, PUBLIC: what policy said */
	bool is_console;	    /* CONSOLE: the control thread knows of it */
	size_t scanned;		    /* CONSOLE: bytes kept that have no line's end */
	uint64_t meeting;	    /* LEG_OPENING, PUBLIC: what it waits for; 0 for none */
	char *label;	   /* LINK: the agent's name; an asker: the service it wants; owned */
	bool excess;	   /* frames: more followed the one being handled */
	uint64_t heard_ms; /* LINK: when the peer last spoke */
	uint64_t skip;	   /* WEB: body bytes of the request still to discard */
	unsigned asked;	   /* STUN: messages so far */

	struct session *session;   /* CUTTING: what it becomes part of */
	unsigned side;		   /* CUTTING: which side of it */
	struct handover *handover; /* CUTTING: or the move to the asker's worker */

	struct conn *next_reapable;
	bool reapable; /* on the worker's list */
};

extern const char *const conn_phase_names[CONN_PHASES];

/* A connection of this worker by id; NULL when it is gone or dying. */
struct conn *conn_find(struct worker *w, slab_id id);
/* Takes over an accepted socket; closes it when the tables are full. */
void conn_accepted(struct listener *l, int fd);
/* An empty connection in phase, for a leg that arrives from another worker; NULL when full. */
struct conn *conn_adopt(struct worker *w, int fd, struct tls *tls, enum conn_phase phase);
/* A PROXY header was read (source NULL: LOCAL): from now on this is the peer. False at its limit.
 */
bool conn_proxied_source(struct conn *c, const struct addr *source,
			 const struct addr *destination) MUST_CHECK;
void conn_set_phase(struct conn *c, enum conn_phase phase);
void conn_set_deadline(struct conn *c, uint64_t after_ms);

/* Sets label; false without memory. */
bool conn_set_label(struct conn *c, const char *label) MUST_CHECK;
/* Reads again after a phase that did not. */
void conn_read_on(struct conn *c);

/* Keeps bytes for later; false (and the connection closed) beyond limit or without memory. */
bool conn_keep(struct conn *c, const uint8_t *data, size_t len, size_t limit) MUST_CHECK;
void conn_drop_kept(struct conn *c, size_t n);

/* Frees the TLS state, which was counted. */
void conn_drop_tls(struct relay *r, struct tls *tls);
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
void conn_send_raw(struct conn *c, const void *data, size_t len);   /* before any TLS; once */
void conn_flush(struct conn *c);
bool conn_sending(const struct conn *c);

/* Proved who it is: no longer counted under its source. */
void conn_authenticated(struct conn *c);

/* Sends a last message (NULL: none) and closes in order. Counts reason. */
void conn_refuse(struct conn *c, enum reason reason);
/* For what m.extensions.unknown names. */
void conn_refuse_extension(struct conn *c, const struct wire_message *m);
void conn_bye(struct conn *c, enum reason reason);
/* Sends what is waiting, then closes. */
void conn_finish(struct conn *c);
/* Closes at once. REASON_OK: an ordinary end, not counted. */
void conn_close(struct conn *c, enum reason reason);
/* Hands the descriptor on: the connection ends without closing it. No operation may be busy. */
int conn_release_fd(struct conn *c);
void conn_reap(struct worker *w);
/* Frees what it owns in memory. */
void conn_dispose(struct conn *c);

/* The phases' handlers: data is good during the call only. */
void front_input(struct conn *c, const uint8_t *data, size_t len);
void web_input(struct conn *c, const uint8_t *data, size_t len);
void web_continue(struct conn *c);
/* STUN over TCP (RFC 8489 section 6.2.2): begins with what has come so far, which may be nothing.
 */
void stun_stream_begin(struct conn *c, const uint8_t *data, size_t len);
void stun_stream_input(struct conn *c, const uint8_t *data, size_t len);
void stun_stream_continue(struct conn *c);
void link_input(struct conn *c, const uint8_t *data, size_t len);
void leg_input(struct conn *c, const uint8_t *data, size_t len);
/* Decrypts, gathers and decodes frames, and hands each to handle while the phase stays. Refuses
 * messages with an unknown critical extension, except OPEN: that has an answer of its own. */
void frames_input(struct conn *c, const uint8_t *data, size_t len,
		  void (*handle)(struct conn *c, const struct wire_message *m));
/* The first frame after the handshake decides what the connection is. */
void link_begin(struct conn *c, const struct wire_message *hello);
void leg_begin(struct conn *c, const struct wire_message *leg);
void link_drain(struct conn *c);
void link_closed(struct conn *c);
void link_deadline(struct conn *c, uint64_t now_ms);
void leg_deadline(struct conn *c);
void leg_closed(struct conn *c);
void leg_failed(struct conn *c, enum reason reason, struct wire_bytes text);
/* The asker (a leg or a public client) waits for this meeting from now on. */
void offer_send(struct conn *asker, const struct rendezvous_offer *offer, const char *service);
/* Everything a CUTTING connection had to send has left. */
void leg_flushed(struct conn *c);
/* Tells an agent whose names are revoked. */
void link_send_revoked(struct conn *c);
/* Calls over this connection, by the console of this name. */
void console_begin(struct conn *c, const char *name);
void console_input(struct conn *c, const uint8_t *data, size_t len);
void console_closed(struct conn *c);
#define CONSOLE_IDLE_MS 3600000u /* a console that says nothing for so long is gone */
/* A TLS client for a public name, hello complete in c->in. */
void public_begin(struct conn *c, const struct relay_public *entry);
void public_failed(struct conn *c, enum reason reason);

#endif
