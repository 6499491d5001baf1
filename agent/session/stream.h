/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: one leg after GO, from the inner handshake to the last byte.
 *
 * Theory of operation
 *
 *   SHAKING ──ready()──► TALKING ──message()──► HELD ──stream_attach()──► BULK
 *                                                │                         │ both directions
 *                                                │ stream_finish()         │ have ended
 *                                                ▼                         ▼
 *                                             FINISHING ───────────────► ENDING ──ended()──►
 *
 * Any error, and stream_abort(), lead from each phase to ENDING.
 *
 *   SHAKING    the inner TLS handshake
 *   TALKING    one message is read byte-exactly, so that what follows it stays inside TLS: REQUEST
 *              by the publishing side, RESULT by the asking one
 *   HELD       nothing is read until the owner attaches the local descriptor
 *   BULK       two lanes: up (local to leg) and down (leg to local)
 *   FINISHING  our last message leaves, and the peer has STREAM_FINISH_MS to read it
 *   ENDING     operations are cancelled; the last one to report releases everything. What our side
 *              ends, and has told the relay of, waits for the relay to reset the leg, for
 *              STREAM_WORD_MS at most: a reset of ours could be faster than the word
 *
 * A lane has at most one buffer and one operation in flight: a receive, or the send of what it
 * brought. What is not sent is not read, so that TCP passes the pressure back to the sender.
 *
 * A lane without bytes waits in a pooled receive and holds no buffer. The ring's pooled buffers are
 * emptied at once and never wait for a send: a session whose receiver does not read holds a small
 * block of its own, and the pool stays free for other sessions. A lane whose receives fill their
 * buffers borrows a large block and reads with receives that do not wait, until one comes back
 * empty.
 *
 * The end of one direction is passed on as the end of that direction: end of file on the local side
 * becomes close_notify and FIN on the leg, close_notify on the leg becomes FIN on the local side. A
 * leg that ends without close_notify, or any error, resets both sides: a cut never looks like an
 * end.
 *
 * A public session begins in HELD: it has no TLS of ours, or (a web site's) that of the leg.
 */
#ifndef POSTERN_AGENT_SESSION_STREAM_H
#define POSTERN_AGENT_SESSION_STREAM_H

#include "agent/engine/inner.h"
#include "agent/relays/leg.h"
#include "agent/worker/worker.h"
#include "core/alive.h"
#include "core/parse/ending.h"

struct stream;

#define STREAM_MESSAGE_MAX 3072u /* REQUEST and RESULT, with their headers */
#define STREAM_FINISH_MS   2000u /* for the peer to read our last message */
#define STREAM_WORD_MS	   500u	 /* for the relay to hear why we end it */

enum stream_phase {
	STREAM_UNUSED,
	STREAM_SHAKING,
	STREAM_TALKING,
	STREAM_HELD,
	STREAM_BULK,
	STREAM_FINISHING,
	STREAM_ENDING,
};

/* None of these is called from inside a call to the stream. */
struct stream_events {
	/* Our side has ended it, as s->ending says. True: the relay is told, and will reset both
	 * legs. */
	bool (*told)(struct stream *s);
	void (*ready)(struct stream *s); /* the inner handshake is complete */
	/* With an unknown critical extension, too: RESULT and the log name it. */
	void (*message)(struct stream *s, const struct wire_message *m);
	/* Both descriptors are gone and nothing is in flight: the owner may free. */
	void (*ended)(struct stream *s);
};

enum block_kind { BLOCK_NONE, BLOCK_SMALL, BLOCK_LARGE, BLOCK_HEAP };

struct block {
	uint8_t *data;
	size_t room;
	enum block_kind kind;
};

/* One direction. */
struct lane {
	struct ring_op recv, send;
	struct block block;
	size_t in_at, in_end; /* input in the block that is not used yet */
	uint64_t bytes;	      /* of the service */
	bool hot;	      /* large blocks are worth it */
	bool pooled;	      /* the receive in flight brings its own buffer */
	bool eof;	      /* its source has ended */
	bool done;	      /* and that has been passed on */
};

struct stream {
	struct agent_worker *worker;
	const struct stream_events *events;
	enum stream_phase phase;
	int leg, local;			     /* -1: none (any more) */
	struct alive leg_alive, local_alive; /* BULK: alive.c's */
	struct inner inner;
	struct lane up, down;
	struct timer timer; /* first step, patience in FINISHING, the end */
	uint8_t *message;   /* SHAKING, TALKING: STREAM_MESSAGE_MAX */
	size_t message_len;
	bool reset_leg, reset_local;
	bool finished; /* FINISHING: our last bytes have left */
	bool asked;    /* ENDING: told() was */
	bool clean;    /* both directions came to their ends */
	struct ending ending;
	char why[192]; /* it ended; "" before */
};

/* Takes the leg's descriptor, and its TLS session or unread bytes. context NULL: a public session.
 * server: this is the publishing side. False when memory is out, or what is unread in no envelope;
 * nothing has been taken then. */
bool stream_start(struct stream *s, struct agent_worker *w, const struct leg_outcome *leg,
		  SSL_CTX *context, bool server, const struct stream_events *events) MUST_CHECK;
/* From ready() on: a message to the peer. False: it could not be sent, the stream is ending. */
bool stream_say(struct stream *s, const struct wire_message *m) MUST_CHECK;
/* HELD: the local descriptor is now the stream's. */
void stream_attach(struct stream *s, int local);
/* Lets what was said leave, then ends without a reset. */
void stream_finish(struct stream *s, const char *why);
/* Our side ends it at once, with resets to both sides. Harmless twice. */
void stream_abort(struct stream *s, enum ending_cause cause, const char *why);

/* The rest is between stream.c and bulk.c. */
void stream_end(struct stream *s, bool resets, const char *why);
/* As stream_end() with resets: who is at fault, and for what. */
void stream_fault(struct stream *s, enum ending_side who, enum ending_cause cause, const char *why);
/* All of it, into the inner TLS. */
bool stream_write(struct stream *s, const uint8_t *bytes, size_t len) MUST_CHECK;
/* True while ending; the last operation to report then releases everything. */
bool stream_ending(struct stream *s);
void stream_bulk_begin(struct stream *s);
void stream_bulk_received_down(struct stream *s, int res);
void stream_bulk_sent_up(struct stream *s, int res);
void stream_bulk_init(struct stream *s);
/* False: the lane has no block and memory has no small one; the stream is ending then. */
bool stream_block_ready(struct stream *s, struct lane *l) MUST_CHECK;
void stream_block_put(struct stream *s, struct block *b);

#endif
