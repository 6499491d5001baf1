/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clienthello: what the front door may know of a TLS client, from the bytes it sent.
 *
 * RFC 8446 section 4.1.2 and 5.1; server_name: RFC 6066 section 3; ALPN: RFC 7301 section 3.1.
 * The hello may be spread over any number of segments and of TLS records. What has come is looked
 * at once, and once more when all is there; it is decided exactly once: nothing is said until it is
 * complete, and an ambiguous one is refused.
 */
#ifndef POSTERN_PARSE_CLIENTHELLO_H
#define POSTERN_PARSE_CLIENTHELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

#define CLIENTHELLO_NAME_MAX 255u /* bytes of a host name */

enum clienthello_status {
	CLIENTHELLO_OK,
	CLIENTHELLO_SHORT,     /* more bytes are needed */
	CLIENTHELLO_GARBAGE,   /* not TLS, or no ClientHello first */
	CLIENTHELLO_TOO_LARGE, /* the message or the bytes carrying it pass the limit */
	CLIENTHELLO_AMBIGUOUS, /* duplicate extensions, two names, an illegal or empty name, lengths
				  that disagree, empty or interleaved records */
};

struct clienthello {
	/* Lower case, no final dot. "" when absent or an address literal, which RFC 6066 forbids.
	 */
	char server_name[CLIENTHELLO_NAME_MAX + 1];
	bool has_tls13; /* supported_versions lists 1.3 */
	bool has_ech;	/* server_name may be only the outer one; or GREASE, which looks the same */
	bool alpn_http11, alpn_h2, alpn_acme_tls; /* what it offers */
	size_t record_bytes; /* bytes of in that carried it, headers included */
};

/* How far records were followed. Begins as zeros. */
struct clienthello_reader {
	size_t at;	    /* bytes of in that need not be looked at again until all have come */
	size_t passed;	    /* bytes of records, as far as their headers tell */
	size_t record_left; /* of the present one's body */
	size_t have, want;  /* bytes of the message; want is known once its header has come */
	uint32_t length;
};

/*
 * in: everything received so far, from the first byte, also where it was there at the last call;
 * limit: the most that record_bytes may be (at least 512). Output is untouched unless
 * CLIENTHELLO_OK. The handshake message is gathered in scratch (limit bytes, the caller's). Any
 * answer but SHORT is final: more bytes do not change it.
 */
enum clienthello_status clienthello_read(struct clienthello_reader *r, const uint8_t *in,
					 size_t len, size_t limit, uint8_t *scratch,
					 struct clienthello *out) MUST_CHECK;
/* The same from the start. */
enum clienthello_status clienthello_parse(const uint8_t *in, size_t len, size_t limit,
					  uint8_t *scratch, struct clienthello *out) MUST_CHECK;

#endif
