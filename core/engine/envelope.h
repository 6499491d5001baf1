/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope: hides the start of an inner TLS stream in enciphered application-data records.
 *
 * Theory of operation
 *
 * After GO a leg carries the records of another TLS session, whose handshake shows names in clear
 * and would stand out in the middle of a connection. So in each direction the inner stream travels
 * in outer records up to and including its first inner record of type application_data, and raw
 * from there:
 *
 *   {23, 0x0303, length} in clear, then enciphered { u16 n, n inner bytes, zeros up to length }
 *
 * The sealing side ends an outer record's inner bytes exactly where that inner record ends; the
 * opening side insists on it. Both follow the inner stream by its record headers (RFC 8446 section
 * 5.1), and keep no bytes of it.
 *
 * Keys: HKDF-SHA256 of the session's secret, which comes in GO, one for each direction. Cipher:
 * ChaCha20 (RFC 8439) over all bodies of a direction as one stream; no key ever enciphers two
 * streams. Deliberately absent is a tag on each record: it would make both sides hold whole
 * records, and what it would prove the inner TLS proves to those who matter. A changed byte breaks
 * a length, a zero or the inner handshake, and ends the session. The cipher hides; it protects
 * nobody from the relay, which made the secret.
 *
 * Padding: the first ENVELOPE_PADDED records of a direction get sizes that requests and pages of
 * web sites have, drawn from the key, so that the flights of a handshake do not show theirs.
 */
#ifndef POSTERN_ENGINE_ENVELOPE_H
#define POSTERN_ENGINE_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

#define ENVELOPE_SECRET_BYTES 32u
#define ENVELOPE_KEY_BYTES    32u
#define ENVELOPE_HEADER_BYTES 5u
#define ENVELOPE_LENGTH_BYTES 2u
#define ENVELOPE_BODY_MAX     16384u
#define ENVELOPE_CHUNK_MAX    (ENVELOPE_BODY_MAX - ENVELOPE_LENGTH_BYTES) /* inner bytes in one */
#define ENVELOPE_PADDED	      4u	 /* records of a direction that are padded */
#define ENVELOPE_SEALED_MAX   (1u << 20) /* bodies of a direction; no handshake needs as much */

/* Whose bytes a direction carries. */
enum envelope_side { ENVELOPE_ASKING, ENVELOPE_PUBLISHING };

/* One direction; one end of it seals, the other opens. */
struct envelope {
	uint8_t key[ENVELOPE_KEY_BYTES];
	uint8_t side;	    /* enum envelope_side */
	uint8_t padded;	    /* sealing: records that were */
	bool inner_is_data; /* the inner record being followed is application_data */
	bool inner_over;    /* the first of these has passed */
	bool raw;	    /* bytes go as they are */
	uint8_t header_len;
	uint8_t header[ENVELOPE_HEADER_BYTES]; /* of that inner record */
	uint8_t outer[ENVELOPE_HEADER_BYTES];  /* opening: header of the outer record */
	uint8_t outer_len;
	uint8_t length_len;
	uint8_t length[ENVELOPE_LENGTH_BYTES]; /* opening: of its inner bytes */
	uint32_t at;			       /* bytes of bodies so far: the cipher's position */
	uint32_t inner_left;		       /* of the inner record's body still to come */
	uint32_t outer_left; /* opening: of the outer record's body still to come */
	uint32_t data_left;  /* opening: of its inner bytes */
};

enum envelope_status { ENVELOPE_OK, ENVELOPE_MALFORMED };

/* False when memory is out. */
bool envelope_init(struct envelope *e, const uint8_t secret[ENVELOPE_SECRET_BYTES],
		   enum envelope_side side) MUST_CHECK;

/* Room that sealing len inner bytes needs, and how much padding may take besides. */
#define ENVELOPE_SEAL_ROOM(len)                                                                    \
	((len) + (ENVELOPE_HEADER_BYTES + ENVELOPE_LENGTH_BYTES) * ((len) / ENVELOPE_CHUNK_MAX + 2))
#define ENVELOPE_PADDING 8192u

/*
 * Seals in (inner bytes) to out (wire bytes). All of in is taken: room is ENVELOPE_SEAL_ROOM(len)
 * at least, and what it has beyond that is for padding. *out_len is set. When e->raw is true on
 * entry there is no need to call it.
 * MALFORMED: the inner stream is not TLS, or does not come to its application data.
 */
enum envelope_status envelope_seal(struct envelope *e, const uint8_t *in, size_t len, uint8_t *out,
				   size_t room, size_t *out_len) MUST_CHECK;

/*
 * Opens in (wire bytes) to out (inner bytes; room at least len; out may equal in). All of in is
 * taken; bytes after the switch to raw are copied through.
 */
enum envelope_status envelope_open(struct envelope *e, const uint8_t *in, size_t len, uint8_t *out,
				   size_t *out_len) MUST_CHECK;

#endif
