/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer: an agent, a console, a stranger or a relay that the scenario plays by hand, message by
 * message, so that it can do what none of ours would.
 *
 * A peer is one connection of a program of its own. Calls that wait let the world run meanwhile.
 */
#ifndef POSTERN_TESTS_WORLD_PEER_H
#define POSTERN_TESTS_WORLD_PEER_H

#include "core/engine/tls.h"
#include "core/parse/wire.h"
#include "tests/world/programs.h"

#define PEER_KEPT (1u << 20)

struct peer {
	struct k_program *program;
	enum who who;
	int fd; /* -1: none */
	struct tls *tls;
	SSL_CTX *context, *front; /* of one that dials, and of a relay */
	struct identity *identity;
	bool raw;		   /* after GO: bytes, not messages */
	bool mute;		   /* reads nothing, so that all that is sent to it piles up */
	bool pongs;		   /* answers PING */
	bool tag_due;		   /* a relay: it has not heard the tag yet */
	bool eof, reset;	   /* of the connection */
	uint8_t *got;		   /* PEER_KEPT; what came and was not taken yet */
	size_t got_len, looked_at; /* whole messages up to there, none of them GO */
	uint8_t *out;		   /* PEER_KEPT; bytes that are in no TLS and have not left */
	size_t out_len;
	uint8_t frame[2 * WIRE_FRAME_MAX]; /* frames that leave together, the first behind a tag */
	size_t frame_len;
	uint64_t link;
	uint8_t secret[WIRE_SECRET_BYTES];
	uint8_t envelope[WIRE_SECRET_BYTES]; /* the secret that GO gave */
};

void peer_start(struct peer *p, const char *name, enum who who, struct k_host *host);
/* Closes what is open, and frees. */
void peer_end(struct peer *p);

/* A new connection to the relay, and the outer handshake. False: it came to nothing. */
bool peer_dial(struct peer *p, const struct k_host *relay);
/* What leaves first then begins without a tag. */
void peer_say_no_tag(struct peer *p);
/* The same, in clear; and to any address. */
bool peer_connect(struct peer *p, const struct k_host *relay);
bool peer_connect_to(struct peer *p, const struct k_host *relay, uint16_t port);
bool peer_connect_at(struct peer *p, const struct addr *to);
void peer_close(struct peer *p, bool reset);
/* Listens, instead of a connection. */
void peer_listen(struct peer *p, uint16_t port);
/* The next connection that has come to the one that listens, if there is one; with secure, it
 * begins with the handshake of a relay's front door. Does not wait. */
bool peer_take(struct peer *p, struct peer *listening, bool secure);

/* Adds a message to what leaves next; sends all of it, in one record. */
void peer_frame(struct peer *p, const struct wire_message *m);
void peer_flush(struct peer *p);
void peer_say(struct peer *p, const struct wire_message *m);
/* Text or bytes inside TLS, or in clear where there is none. */
void peer_write(struct peer *p, const void *bytes, size_t len);

/* The next message, within so long; *m points into p until the next call. False: none. */
bool peer_hear(struct peer *p, struct wire_message *m, uint64_t at_most_us);
/* The next message must be this one; what comes of itself (REVOKED of none, PING) is passed over.
 */
bool peer_expect(struct peer *p, enum wire_type type, struct wire_message *m);
/* That it is turned away for this reason: BYE, and the end of the connection. */
bool peer_expect_bye(struct peer *p, enum reason reason);
/* The connection has come to its end, within so long. */
bool peer_gone(struct peer *p, uint64_t at_most_us);
/* Waits until so many bytes are there; false: they do not come. */
bool peer_has(struct peer *p, size_t len, uint64_t at_most_us);

/* HELLO with its own certificate. */
void peer_frame_hello(struct peer *p, uint8_t flags);
/* Dials, says HELLO and takes WELCOME. */
bool peer_sign_in(struct peer *p, const struct k_host *relay, uint8_t flags);
void peer_publish(struct peer *p, const char *service);
/* Dials and proves that it is of that link: READY came. */
bool peer_leg(struct peer *p, const struct k_host *relay, const struct peer *link);
void peer_frame_leg(struct peer *p, const struct peer *link);
void peer_open(struct peer *p, const char *to, const char *service);
void peer_accept(struct peer *p, uint64_t session);
/* What follows GO comes raw. */
bool peer_go(struct peer *p);

#endif
