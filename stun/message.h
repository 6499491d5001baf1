/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message: STUN messages (RFC 8489 sections 5 and 14) with the attributes of RFC 5780, from bytes
 * to a struct and back.
 *
 * What was read points into the message's bytes and lives as long as they do. Attributes that may
 * be passed over (0x8000 and above) and are not known are; the others are listed. A known attribute
 * whose value is not as its RFC says makes the whole message malformed. Of an attribute that comes
 * again the first counts; so does nothing behind MESSAGE-INTEGRITY but what may stand there.
 */
#ifndef POSTERN_STUN_MESSAGE_H
#define POSTERN_STUN_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

#define STUN_HEADER_BYTES    20u
#define STUN_ATTRIBUTE_BYTES 4u /* type and length, before a value */
#define STUN_ID_BYTES	     12u
#define STUN_COOKIE	     0x2112a442u
#define STUN_MESSAGE_MAX     (STUN_HEADER_BYTES + UINT16_MAX)
#define STUN_UNKNOWN_MAX     16u /* of more attributes in one list the rest is not kept */
#define STUN_SHA1_BYTES	     20u
#define STUN_SHA256_MIN	     16u /* MESSAGE-INTEGRITY-SHA256 may be cut, by 4 bytes at a time */
#define STUN_SHA256_BYTES    32u

#define STUN_BINDING 0x001u /* the method */

/* In the order of their bits on the wire. */
enum stun_class { STUN_REQUEST, STUN_INDICATION, STUN_SUCCESS, STUN_ERROR, STUN_CLASSES };

enum stun_attribute {
	STUN_MAPPED_ADDRESS = 0x0001,
	STUN_CHANGE_REQUEST = 0x0003, /* RFC 5780 */
	STUN_SOURCE_ADDRESS = 0x0004, /* RFC 3489's; old servers still send these two */
	STUN_CHANGED_ADDRESS = 0x0005,
	STUN_USERNAME = 0x0006,
	STUN_MESSAGE_INTEGRITY = 0x0008,
	STUN_ERROR_CODE = 0x0009,
	STUN_UNKNOWN_ATTRIBUTES = 0x000a,
	STUN_REALM = 0x0014,
	STUN_NONCE = 0x0015,
	STUN_MESSAGE_INTEGRITY_SHA256 = 0x001c,
	STUN_PASSWORD_ALGORITHM = 0x001d,
	STUN_USERHASH = 0x001e,
	STUN_XOR_MAPPED_ADDRESS = 0x0020,
	STUN_PADDING = 0x0026,	     /* RFC 5780 */
	STUN_RESPONSE_PORT = 0x0027, /* RFC 5780 */
	STUN_SOFTWARE = 0x8022,
	STUN_ALTERNATE_SERVER = 0x8023,
	STUN_FINGERPRINT = 0x8028,
	STUN_RESPONSE_ORIGIN = 0x802b, /* RFC 5780 */
	STUN_OTHER_ADDRESS = 0x802c,   /* RFC 5780 */
};

enum stun_error_code {
	STUN_TRY_ALTERNATE = 300,
	STUN_BAD_REQUEST = 400,
	STUN_UNKNOWN_ATTRIBUTE = 420,
};

/* Bits of stun_message.has. */
enum stun_has {
	STUN_HAS_MAPPED_ADDRESS = 1u << 0,
	STUN_HAS_XOR_MAPPED_ADDRESS = 1u << 1,
	STUN_HAS_ERROR_CODE = 1u << 2,
	STUN_HAS_UNKNOWN_ATTRIBUTES = 1u << 3,
	STUN_HAS_SOFTWARE = 1u << 4,
	STUN_HAS_ALTERNATE_SERVER = 1u << 5,
	STUN_HAS_CHANGE_REQUEST = 1u << 6,
	STUN_HAS_RESPONSE_PORT = 1u << 7,
	STUN_HAS_PADDING = 1u << 8,
	STUN_HAS_RESPONSE_ORIGIN = 1u << 9,
	STUN_HAS_OTHER_ADDRESS = 1u << 10,
	STUN_HAS_USERNAME = 1u << 11,
	STUN_HAS_MESSAGE_INTEGRITY = 1u << 12,
	STUN_HAS_MESSAGE_INTEGRITY_SHA256 = 1u << 13,
	STUN_HAS_FINGERPRINT = 1u << 14,
	STUN_HAS_CREDENTIALS = 1u << 15, /* REALM, NONCE, PASSWORD-ALGORITHM or USERHASH */
};

struct stun_bytes {
	const uint8_t *data;
	size_t len;
};

struct stun_header {
	enum stun_class class;
	uint16_t method;
	uint16_t length; /* bytes behind the header */
	uint8_t id[STUN_ID_BYTES];
};

/* Types of attributes; count is at most STUN_UNKNOWN_MAX, each type once. */
struct stun_types {
	uint16_t type[STUN_UNKNOWN_MAX];
	unsigned count;
};

struct stun_message {
	struct stun_header header;
	uint32_t has;
	struct addr mapped, xor_mapped, alternate, origin, other;
	unsigned error_code;	   /* 300 to 699 */
	struct stun_bytes reason;  /* of the error; like all texts not checked to be text */
	struct stun_types refused; /* what UNKNOWN-ATTRIBUTES lists */
	struct stun_bytes software, username;
	bool change_address, change_port; /* CHANGE-REQUEST */
	uint16_t response_port;
	size_t padding_bytes;
	struct stun_bytes integrity, integrity_sha256;
	struct stun_types unknown; /* must be understood, and are not */
};

enum stun_status {
	STUN_OK,
	STUN_NOT_STUN,	/* no header, no cookie, or not exactly one message */
	STUN_MALFORMED, /* STUN, but its attributes are not as they should be */
	STUN_DAMAGED,	/* FINGERPRINT is wrong */
};

/* Reads the header at the start of bytes, no matter what follows it. False, and out untouched, when
 * there is none: two zero bits, the cookie, and a length that is a multiple of four. */
bool stun_decode_header(const uint8_t *bytes, size_t len, struct stun_header *out) MUST_CHECK;

/* Reads exactly one message. out is untouched unless STUN_OK. */
enum stun_status stun_decode(const uint8_t *bytes, size_t len, struct stun_message *out) MUST_CHECK;

/* A message being written into the caller's bytes. What does not fit makes stun_write_end() fail.
 */
struct stun_writer {
	uint8_t *bytes;
	size_t room, len;
	bool failed;
};

void stun_write_begin(struct stun_writer *w, uint8_t *bytes, size_t room, enum stun_class class,
		      uint16_t method, const uint8_t id[STUN_ID_BYTES]);
/* Any address attribute; STUN_XOR_MAPPED_ADDRESS is masked as section 14.2 says. */
void stun_write_address(struct stun_writer *w, enum stun_attribute type, const struct addr *a);
/* Without a reason phrase. */
void stun_write_error(struct stun_writer *w, enum stun_error_code code);
void stun_write_unknown(struct stun_writer *w, const struct stun_types *types);
void stun_write_change_request(struct stun_writer *w, bool address, bool port);
void stun_write_response_port(struct stun_writer *w, uint16_t port);
/* Any other attribute. data NULL: so many zeros. */
void stun_write_bytes(struct stun_writer *w, uint16_t type, const uint8_t *data, size_t len);
/* Comes last. */
void stun_write_fingerprint(struct stun_writer *w);
/* The length of the whole message; 0 when it did not fit. */
size_t stun_write_end(struct stun_writer *w);

/* Puts a type into the list, unless it is in or the list is full. */
void stun_types_add(struct stun_types *types, uint16_t type);

/* CRC-32 (ISO 3309, as in section 14.7) of bytes, before it is masked. */
uint32_t stun_crc32(const uint8_t *bytes, size_t len);

#endif
