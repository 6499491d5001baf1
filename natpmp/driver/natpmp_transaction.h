/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natpmp_transaction: one NAT-PMP request in flight: a natpmp_t of libnatpmp on a socket of its
 * own. natpmp.h tells why it is done so.
 */
#ifndef POSTERN_NATPMP_DRIVER_NATPMP_TRANSACTION_H
#define POSTERN_NATPMP_DRIVER_NATPMP_TRANSACTION_H

#include <natpmp.h>

#include "natpmp/driver/gateway_socket.h"
#include "natpmp/natpmp.h"

#define NATPMP_FIRST_MS 250u /* RFC 6886 section 3.1; doubles */
#define NATPMP_TRIES	9u

enum natpmp_outcome {
	NATPMP_ANSWERED,    /* transaction.answer is filled: resultcode and epoch always, pnu on
			       success */
	NATPMP_NO_NATPMP,   /* the gateway speaks another version */
	NATPMP_UNREACHABLE, /* nothing listens on its port */
};

struct natpmp_transaction {
	/* The owner sets these before the first start. */
	const struct gateway_options *options;
	/* Came instead of waiting on; the transaction has ended by then. */
	void (*done)(struct natpmp_transaction *x, enum natpmp_outcome outcome);
	/* No answer to transaction.sent datagrams: true sends another one; else the transaction
	 * must be ended. */
	bool (*unanswered)(struct natpmp_transaction *x);
	/* The transaction may be started again. */
	void (*idle)(struct natpmp_transaction *x);

	struct natpmp_question question;
	uint16_t external_port;
	uint32_t lifetime_s;
	unsigned sent;
	int unsent; /* why the last datagram was not sent, an errno; 0: it was */
	natpmpresp_t answer;
	uint64_t dropped; /* datagrams that were no answer, ever */

	/* The transaction's own. */
	natpmp_t library;
	struct ring_op op;
	struct timer timer;
	bool open, ended;
};

/* Sends question, with external_port and lifetime_s, which the owner has set. Not while it is open.
 * Returns 0 or -errno. */
int natpmp_transaction_start(struct natpmp_transaction *x) MUST_CHECK;
/* Sends the request anew, and counts from the beginning. While it is open and not ended. */
void natpmp_transaction_restart(struct natpmp_transaction *x);
/* Nothing is heard of the request any more; idle() follows from the ring. */
void natpmp_transaction_end(struct natpmp_transaction *x);

#endif
