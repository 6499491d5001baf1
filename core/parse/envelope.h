/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope: carries the start of an inner TLS stream inside application-data records.
 *
 * After GO a leg carries the records of another TLS session. Its handshake would stand out as bare
 * handshake records in the middle of a connection, so in each direction the inner stream travels
 * inside outer records {23, 0x0303, length} up to and including its first inner record of type
 * application_data, and raw from there. The sealing side ends an outer record exactly where that
 * inner record ends; the opening side insists on it. Both follow the inner stream by its record
 * headers only (RFC 8446 section 5.1): no keys, no buffering.
 */
#ifndef POSTERN_PARSE_ENVELOPE_H
#define POSTERN_PARSE_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

#define ENVELOPE_HEADER_BYTES 5u
#define ENVELOPE_CHUNK_MAX    16384u /* inner bytes in one outer record */

/* One direction. Zero-initialised is the start. */
struct envelope {
	uint8_t header[ENVELOPE_HEADER_BYTES]; /* of the inner record being followed */
	uint8_t header_len;
	bool inner_is_data;		      /* that record is application_data */
	bool raw;			      /* the first one has passed: bytes go as they are */
	uint32_t inner_left;		      /* bytes of the inner record's body still to come */
	uint8_t outer[ENVELOPE_HEADER_BYTES]; /* opening: header of the outer record */
	uint8_t outer_len;
	uint32_t outer_left; /* opening: bytes of the outer record still to come */
};

enum envelope_status { ENVELOPE_OK, ENVELOPE_MALFORMED };

/* Room that sealing len inner bytes may need. */
#define ENVELOPE_SEAL_ROOM(len) ((len) + ENVELOPE_HEADER_BYTES * ((len) / ENVELOPE_CHUNK_MAX + 2))

/*
 * Seals in (inner bytes) to out (wire bytes; room at least ENVELOPE_SEAL_ROOM(len)). All of in is
 * taken. *out_len is set. When e->raw is true on entry there is no need to call it.
 * MALFORMED: the inner stream is not TLS.
 */
enum envelope_status envelope_seal(struct envelope *e, const uint8_t *in, size_t len, uint8_t *out,
				   size_t *out_len) MUST_CHECK;

/*
 * Opens in (wire bytes) to out (inner bytes; room at least len; out may equal in). All of in is
 * taken; bytes after the switch to raw are copied through.
 */
enum envelope_status envelope_open(struct envelope *e, const uint8_t *in, size_t len, uint8_t *out,
				   size_t *out_len) MUST_CHECK;

#endif
