/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signing: the packets between a relay and its signer (relay/signer/signer.h), and what a signer
 * signs at all: the two texts that a TLS server signs in a handshake, and nothing else.
 */
#ifndef POSTERN_PARSE_SIGNING_H
#define POSTERN_PARSE_SIGNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/bytestring.h>

#include "core/must_check.h"

#define SIGNING_KEY_BYTES     32u   /* a key's id: SHA-256 of its public half, as DER */
#define SIGNING_INPUT_MAX     256u  /* what is signed; TLS 1.2 with P-521 takes 201 */
#define SIGNING_SIGNATURE_MAX 1024u /* RSA with 8192 bits */
#define SIGNING_PATH_MAX      1023u
#define SIGNING_KEY_FILES     "key-" /* in state_dir, what begins so is the signer's alone */
#define SIGNING_HOSTS_BYTES   4096u  /* names that a request for a certificate has, packed */
#define SIGNING_REQUEST_MAX   4160u  /* a packet to the signer */
#define SIGNING_PACKET_MAX    32768u
#define SIGNING_REPLY_HEAD    16u

enum signing_duty {
	SIGNING_SIGN = 1, /* key, algorithm, input: the reply is the signature */
	SIGNING_READ, /* file: the reply is its text, in several packets; of a key file its id */
	SIGNING_HAS,  /* use, key: the reply is a byte, 1 where the signer has made it */
	/* Only before the signer is sealed: */
	SIGNING_CHANNEL, /* a descriptor comes along, on which a worker will ask */
	SIGNING_PLACE,	 /* file, path: where it lies from now on */
	SIGNING_SEAL,
	SIGNING_STATE, /* path: the directory of the keys that it makes */
	/* At any time: use, key: the one in force, whose place it does not take; hosts: the reply
	 * is a signing request for a new key, as DER */
	SIGNING_MAKE,
	SIGNING_KEEP, /* use, key: of those made for this use the others go */
};

/* What a key is for that the signer has made. One of a file serves both. */
enum signing_use {
	SIGNING_IDENTITY, /* identity.certificate */
	SIGNING_FRONT,	  /* tls.certificate */
	SIGNING_USES
};

/* What a signer reads. */
enum signing_file {
	SIGNING_CONFIG,	     /* the relay's own file */
	SIGNING_CERTIFICATE, /* tls.certificate_file */
	SIGNING_KEY,	     /* tls.key_file */
	SIGNING_FILES
};

struct signing_request {
	enum signing_duty duty;
	uint64_t number; /* which the reply has, too */
	uint8_t key[SIGNING_KEY_BYTES];
	uint16_t algorithm; /* of TLS's SignatureScheme */
	enum signing_file file;
	enum signing_use use;
	CBS input; /* what is signed, a path, or hosts; points into the packet */
};

/* The next of the hosts of MAKE, in input: 1 to 255 bytes without a zero byte. False: there is
 * none any more. */
bool signing_next_host(CBS *hosts, CBS *out) MUST_CHECK;

/* False: it is none, and *out is untouched. */
bool signing_request_decode(const uint8_t *packet, size_t len,
			    struct signing_request *out) MUST_CHECK;
/* *len: what it took of room. False: it does not fit. */
bool signing_request_encode(const struct signing_request *r, uint8_t *packet, size_t room,
			    size_t *len) MUST_CHECK;

struct signing_reply {
	uint64_t number;
	int status;	 /* 0 or -errno */
	uint32_t length; /* bytes of data in all packets of the reply */
	CBS data;	 /* of this packet */
};

bool signing_reply_decode(const uint8_t *packet, size_t len, struct signing_reply *out) MUST_CHECK;
/* The head that stands before the data. */
void signing_reply_head(const struct signing_reply *r, uint8_t out[SIGNING_REPLY_HEAD]);

/* What is signed by a server of TLS 1.3 (CertificateVerify, RFC 8446 section 4.4.3) or of TLS 1.2
 * (ServerKeyExchange of ECDHE, RFC 8422 section 5.4), of the right length to the byte. */
bool signing_input_ok(CBS input) MUST_CHECK;

#endif
