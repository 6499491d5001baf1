/* SPDX-License-Identifier: Apache-2.0 */
/*
 * discovery: what one STUN server, asked from three local sockets, tells of the NAT between
 * (RFC 5780). No sockets, no clock, no allocation: it says what to send and is told what came.
 */
#ifndef POSTERN_STUN_DISCOVERY_H
#define POSTERN_STUN_DISCOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "stun/findings.h"
#include "stun/lifetime.h"
#include "stun/transaction.h"

/* Each a UDP socket of its own, unconnected, on the same local address, fresh ports. */
enum stun_socket {
	STUN_SOCKET_MAPPING,   /* asks every place of the server */
	STUN_SOCKET_FILTERING, /* must not have sent to the server's other places */
	STUN_SOCKET_LIFETIME,  /* stays idle */
	STUN_SOCKETS
};

enum stun_test {
	STUN_TEST_FIRST,	 /* plain, to the server as given */
	STUN_TEST_OTHER_ADDRESS, /* plain, to its other address, same port */
	STUN_TEST_OTHER_PORT,	 /* plain, to its other address and port */
	STUN_TEST_CONTROL,	 /* plain, from the filtering socket: does that one work at all? */
	STUN_TEST_CHANGE_BOTH,	 /* answer from the other address and port */
	STUN_TEST_CHANGE_PORT,	 /* answer from the other port */
	STUN_TEST_HAIRPIN_SELF,	 /* to our own external address, from the socket that has it */
	STUN_TEST_HAIRPIN_OTHER, /* and from another */
	STUN_TEST_BIND,	 /* plain, from the lifetime socket: a new binding, or a fresh one */
	STUN_TEST_PROBE, /* asks that the lifetime socket be answered */
	STUN_TESTS
};

enum stun_test_state {
	STUN_TEST_IDLE,	    /* not begun */
	STUN_TEST_RUNNING,  /* sent, now and then again */
	STUN_TEST_ANSWERED, /* success; hairpin: it came back */
	STUN_TEST_REFUSED,  /* an error, or an answer from a place that was not asked for */
	STUN_TEST_SILENT,   /* nothing came in time */
};

#define STUN_TEST_BYTES 32u

struct stun_try {
	enum stun_test_state state;
	enum stun_socket from, heard_on;
	struct addr to, external;
	struct stun_transaction transaction;
	uint8_t bytes[STUN_TEST_BYTES];
	size_t len;
};

struct stun_discovery {
	/* The owner sets these first. */
	void (*send)(struct stun_discovery *d, enum stun_socket from, const struct addr *to,
		     const uint8_t *bytes, size_t len);
	void (*fresh_id)(struct stun_discovery *d, uint8_t id[STUN_ID_BYTES]); /* random */
	struct addr server;
	struct addr local;	 /* of the mapping socket, with its port; len 0: not known */
	struct stun_pace pace;	 /* of the first request; all 0: RFC 8489's */
	bool nat;		 /* false: only the external address */
	uint32_t lifetime_max_s; /* look for a binding's lifetime for so long; 0: do not */

	struct stun_findings found;
	/* The engine's own. */
	struct stun_try tests[STUN_TESTS];
	struct addr other; /* OTHER-ADDRESS, when it can be used */
	struct stun_lifetime lifetime;
	uint32_t idle_s;    /* the idle time that is being tried */
	uint64_t probe_ms;  /* when it has passed; STUN_NEVER: none is */
	bool probing_began; /* the lifetime was begun, or given up */
};

/* Sends the first request. */
void stun_discovery_start(struct stun_discovery *d, uint64_t now_ms);
/* A datagram that came in on a socket. */
void stun_discovery_datagram(struct stun_discovery *d, enum stun_socket on, const struct addr *from,
			     const uint8_t *bytes, size_t len, uint64_t now_ms);
/* When to call tick() again; STUN_NEVER when it is over and d->found is complete. */
uint64_t stun_discovery_next(const struct stun_discovery *d);
void stun_discovery_tick(struct stun_discovery *d, uint64_t now_ms);

#endif
