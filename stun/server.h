/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: answers STUN requests (RFC 8489; RFC 5780 where switched on). No sockets, no clock.
 *
 * It never says more than it must: a plain Binding request is answered with XOR-MAPPED-ADDRESS, and
 * with FINGERPRINT if the request had one. What has no magic cookie, is no request, or is not
 * exactly one message is not answered at all. How often a client may ask is decided before, by
 * limits.h.
 */
#ifndef POSTERN_STUN_SERVER_H
#define POSTERN_STUN_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "stun/message.h"

#define STUN_REQUEST_MAX 1500u /* bytes; a longer one is not answered */
#define STUN_ANSWER_MAX	 256u

/* The four sockets of RFC 5780 section 6: [0] is the usual address or port, [1] the other one. */
struct stun_behaviour {
	struct addr places[2][2]; /* [address][port], as clients see them */
};

struct stun_server {
	/* Len 0: anyone is answered, and credentials are passed over. Else only what was made with
	 * this password is, and answers are made with it. */
	struct stun_bytes password;
	const struct stun_behaviour *behaviour; /* NULL: RFC 5780 is off */
	bool draining;		  /* requests are sent elsewhere, where there is one: */
	struct addr alternate[2]; /* ALTERNATE-SERVER for IPv4, IPv6; len 0: none */
};

enum stun_outcome {
	STUN_ANSWERED,	       /* success */
	STUN_ANSWERED_ERROR,   /* 400, 420, 300 */
	STUN_IGNORED_NOT_STUN, /* no cookie, wrong lengths, no message */
	STUN_IGNORED_CLASS,    /* an indication or a response */
	STUN_IGNORED_METHOD,   /* a request, but not Binding */
	STUN_IGNORED_DAMAGED,  /* FINGERPRINT is wrong */
	STUN_IGNORED_UNPROVEN, /* it is not made with the password, or memory is out for proofs */
	STUN_OUTCOMES
};

struct stun_answer {
	uint8_t bytes[STUN_ANSWER_MAX];
	size_t len;
	struct addr to;	       /* from, or its RESPONSE-PORT */
	unsigned from_address; /* which of behaviour->places to send from; what it came in on if off
				*/
	unsigned from_port;
};

/*
 * One datagram, or one message of a stream (then RFC 5780's change of sockets is refused). from is
 * the client as seen; address and port say which of behaviour's places it came in on (0, 0 if off).
 * out is written only for STUN_ANSWERED and STUN_ANSWERED_ERROR.
 */
enum stun_outcome stun_server_answer(const struct stun_server *s, const uint8_t *request,
				     size_t len, const struct addr *from, unsigned address,
				     unsigned port, bool stream, struct stun_answer *out);

/* "answered", "answered_error", "not_stun", "class", "method", "damaged", "unproven": labels of
 * counters. */
const char *stun_outcome_name(enum stun_outcome o);

/*
 * A stream's next message (RFC 8489 section 6.2.2): its length in bytes once the 20 bytes of header
 * are there, 0 while they are not, -1 when this can be no STUN message or one above
 * STUN_REQUEST_MAX.
 */
int stun_message_length(const uint8_t *bytes, size_t len);

#endif
