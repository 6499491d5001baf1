/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel: Postern messages over one outer TLS connection, for links and for legs before GO.
 *
 * Messages arrive one by one, decoded; what they point to is good during the call. An OFFER arrives
 * with an unknown critical extension, too: it is refused by REFUSE. Sending never
 * waits: the records are copied and go out in order. A relay that does not read them is not read
 * while CHANNEL_OUTPUT_PAUSE bytes wait, so that what it asks for does not pile up; it ends the
 * channel when CHANNEL_OUTPUT_MAX bytes would wait.
 */
#ifndef POSTERN_AGENT_RELAYS_CHANNEL_H
#define POSTERN_AGENT_RELAYS_CHANNEL_H

#include "agent/worker/worker.h"
#include "core/engine/tag.h"
#include "core/engine/tls.h"
#include "core/outbox.h"
#include "core/parse/reason.h"
#include "core/parse/wire.h"

#define CHANNEL_OUTPUT_MAX   (128u << 10)
#define CHANNEL_OUTPUT_PAUSE (64u << 10)
#define CHANNEL_LINGER_MS    1000u

struct channel;

struct channel_events {
	void (*message)(struct channel *c, const struct wire_message *m);
	/* A message that this side cannot take: the owner may still say BYE{reason}, and closes. */
	void (*unacceptable)(struct channel *c, enum reason reason, const char *why);
	/* The connection ended or broke; channel_close() is still to be called. */
	void (*lost)(struct channel *c, const char *why);
	/* The relay answers as a web server does: it knows no tag key like ours. lost() follows.
	 * NULL: no matter. */
	void (*unknown)(struct channel *c);
	/* Asked for by channel_close(), channel_finish() or channel_detach(): nothing is in flight
	 * any more, the owner may free. Never called from inside those. */
	void (*closed)(struct channel *c);
};

enum channel_state {
	CHANNEL_UNUSED,
	CHANNEL_OPEN,
	CHANNEL_LOST,	   /* lost() was called */
	CHANNEL_DETACHING, /* GO came; our last send has not reported yet */
	CHANNEL_FINISHING, /* closes when the output has left */
	CHANNEL_CLOSING,
};

/* What is left of a leg when its outer TLS is gone, or goes on without the channel. */
struct channel_raw {
	int fd;
	struct tls *tls; /* owned; with bytes that it has not read; NULL: it is gone */
	uint8_t *unread; /* owned; without it: bytes that came after the last message */
	size_t unread_len;
};

struct channel {
	struct agent_worker *worker;
	const struct channel_events *events;
	enum channel_state state;
	int fd;
	struct tls *tls;
	struct ring_op recv;
	struct outbox out;
	struct timer timer; /* linger, then the last call */
	uint8_t *partial;   /* the beginning of a frame */
	size_t partial_len;
	const char *broken; /* sending failed; lost() is about to be called */
	bool excess;	    /* plaintext followed the message just given */
	bool tagged;	    /* tag has been said */
	uint8_t tag[TAG_BYTES];
};

/* Takes fd and tls, whose handshake is complete; the first message goes behind a tag made with key.
 * False: the session cannot carry it (it is not TLS 1.3). */
bool channel_start(struct channel *c, struct agent_worker *w, int fd, struct tls *tls,
		   const uint8_t key[CONF_TAG_KEY_BYTES],
		   const struct channel_events *events) MUST_CHECK;
/* False: the message cannot be sent; lost() follows from the loop unless it came before. */
bool channel_send(struct channel *c, const struct wire_message *m);
/* Lets the output leave, within CHANNEL_LINGER_MS, then closes. */
void channel_finish(struct channel *c);
void channel_close(struct channel *c);

/* From inside message(): the channel ends with this message. False when the relay sent more in the
 * same record, or memory is out. closed() follows; then channel_take_raw() gives the descriptor
 * and, with keep_tls, the outer TLS session, which goes on. */
bool channel_detach(struct channel *c) MUST_CHECK;
struct channel_raw channel_take_raw(struct channel *c, bool keep_tls);

#endif
