/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inner: what travels on a leg after GO, as an engine without sockets.
 *
 * For two agents that is their own TLS session, its start inside the envelope. For a public
 * session (an unmodified TLS client that came in by its server name) there is no TLS of ours: only
 * the envelope is put on and taken off. For a web site's client, whose TLS the relay ended, the
 * leg's own TLS goes on, without an envelope.
 *
 * Keys are used up (RFC 8446, section 5.5), and one that is found out should tell little. Each side
 * renews the key that it writes with, and asks the other for the same, when it has written so many
 * bytes, and with the first byte after so much time. The other answers with what it writes next: a
 * direction in which nothing is written has no use for a new key.
 */
#ifndef POSTERN_AGENT_ENGINE_INNER_H
#define POSTERN_AGENT_ENGINE_INNER_H

#include <time.h>

#include "core/engine/envelope.h"
#include "core/engine/tls.h"

#define INNER_REKEY_BYTES (UINT64_C(32) << 30)
#define INNER_REKEY_MS	  3600000u

/* When a key is renewed. */
struct inner_limits {
	uint64_t bytes, ms;
};

struct inner {
	struct tls *tls; /* NULL: a public session */
	struct envelope seal, open;
	bool malformed; /* the envelope was broken, by the peer or (public) by the target */
	struct inner_limits limits;
	uint64_t written;      /* with the key that is in use */
	uint64_t key_since_ms; /* with written > 0 */
	uint64_t rekeyed;      /* times, by us */
};

/* context NULL: a public session. server: this is the publishing side. secret: as GO gave it. now:
 * the peer's certificate must be valid at this time. False when memory is out. */
bool inner_init(struct inner *i, SSL_CTX *context, bool server,
		const uint8_t secret[ENVELOPE_SECRET_BYTES], time_t now) MUST_CHECK;
/* The leg's own TLS session, which is taken over, is the one. */
void inner_init_outer(struct inner *i, struct tls *outer);
void inner_free(struct inner *i);

/* Plaintext for the peer, all of it; its records are added to the output. now_ms is of any clock
 * that goes forward. */
enum tls_status inner_write(struct inner *i, const uint8_t *bytes, size_t len,
			    uint64_t now_ms) MUST_CHECK;

/* Takes len bytes from the leg, opening the envelope in place. False: the session is broken. */
bool inner_feed(struct inner *i, uint8_t *bytes, size_t len) MUST_CHECK;

/* Moves sealed output for the leg to out and returns how much (at most room; 0: there is none, or
 * the room is below INNER_TAKE_MIN). */
#define INNER_TAKE_MIN ENVELOPE_SEAL_ROOM(1)
size_t inner_take(struct inner *i, uint8_t *out, size_t room);
bool inner_has_output(const struct inner *i);

/* Why it is broken, in words. */
const char *inner_error(const struct inner *i);

#endif
