/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front: the decision what a connection is, by its first bytes.
 *
 *   in clear      the listening address may ask for a PROXY header before anything else
 *     STUN             -> stun_stream.c
 *     a ClientHello    for a name that a protocol takes -> relay/session/public.c;
 *                      for any other: our own TLS
 *     another first byte of TLS -> our own TLS, which answers with an alert or waits
 *     anything else    -> web.c, which tells HTTP that this is no port for it
 *   inside our TLS
 *     a record that begins with a tag -> relay/session/frames.c
 *     anything else                   -> web.c, which gives a whole request's head to a protocol
 *                                        that has a web site: relay/session/public.c
 *
 * Each protocol is a row of the relay's list (relay/relay.c), which is asked from the top; another
 * one joins as one more row.
 */
#ifndef POSTERN_RELAY_FRONT_FRONT_H
#define POSTERN_RELAY_FRONT_FRONT_H

#include "core/parse/clienthello.h"
#include "relay/front/conn.h"
#include "relay/front/site.h"

struct web;

enum front_claim {
	FRONT_NO,    /* another protocol's */
	FRONT_MORE,  /* too few bytes to tell: keep them and ask again */
	FRONT_TAKEN, /* the connection is in a phase of this protocol, or has ended over it */
};

struct front_protocol {
	const char *name;
	/* The first bytes on the wire, at least one. NULL: does not begin in clear. */
	enum front_claim (*clear)(struct conn *c, const uint8_t *data, size_t len);
	/* A whole ClientHello (data). False: another protocol's. NULL: takes none. */
	bool (*hello)(struct conn *c, const struct clienthello *hello, const uint8_t *data,
		      size_t len);
	/* The first bytes that our TLS decrypted, at least one. False: another protocol's. NULL:
	 * does not begin there. */
	bool (*inside)(struct conn *c, const uint8_t *data, size_t len);
	/* The head of a stranger's request, inside our TLS, stands whole at the beginning of what
	 * is kept. False: another protocol's. True: it has taken the connection, by
	 * web_hand_over(). NULL: has no web site. */
	bool (*request)(struct conn *c);
};

/* Keeps the beginning of a hello, where it is not kept yet. False: the connection is closed. */
bool front_keep(struct conn *c, const uint8_t *data, size_t len) MUST_CHECK;

/* At an address where only STUN is spoken: begins without a byte. */
void stun_stream_begin(struct conn *c, const uint8_t *data, size_t len, bool anyone);

/* HTTP in clear: data is the first of it. */
void web_begin_clear(struct conn *c, const uint8_t *data, size_t len);

/* From inside request(): the connection goes over to phase, which does not read, with all that is
 * kept and what its TLS has not decrypted yet. What is returned is the caller's: for web_go_on(),
 * or web_free(). */
struct web *web_hand_over(struct conn *c, const struct conn_phase *phase);
/* The web site has not taken the request: it is answered so, and c is ours again, with web. */
void web_go_on(struct conn *c, struct web *web, enum site_gateway why);
void web_free(struct web *web);

extern const struct front_protocol protocol_stun, protocol_web;

#endif
