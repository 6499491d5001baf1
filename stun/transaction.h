/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transaction: one request of a STUN client, from its first sending to its answer or its end
 * (RFC 8489 section 6.2). No sockets; the clock is a parameter; what is sent is the caller's.
 */
#ifndef POSTERN_STUN_TRANSACTION_H
#define POSTERN_STUN_TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "stun/message.h"

#define STUN_RTO_MS	       500u   /* until the first retransmission; doubles each time */
#define STUN_SENDS	       7u     /* Rc */
#define STUN_LAST_RTO	       16u    /* Rm: so many RTOs after the last sending it has failed */
#define STUN_STREAM_TIMEOUT_MS 39500u /* Ti: a stream sends once */
#define STUN_NEVER	       UINT64_MAX

/* How often to send, and how long to wait. */
struct stun_pace {
	uint32_t rto_ms, sends, last_rto;
};

extern const struct stun_pace stun_pace_datagram; /* 39.5 s in all */
extern const struct stun_pace stun_pace_stream;

enum stun_step {
	STUN_STEP_WAIT, /* until stun_transaction_next() */
	STUN_STEP_SEND, /* send the request (again) */
	STUN_STEP_FAIL, /* no answer came; only once */
};

enum stun_match {
	STUN_MATCH_NONE,    /* not an answer to this */
	STUN_MATCH_SUCCESS, /* the transaction is over, as with the next two */
	STUN_MATCH_ERROR,   /* an answer with ERROR-CODE */
	STUN_MATCH_USELESS, /* an answer that cannot be understood: section 6.3.3 and 6.3.4 */
};

struct stun_transaction {
	uint8_t id[STUN_ID_BYTES];
	struct addr server; /* where the answer comes from */
	struct stun_pace pace;
	uint32_t sent;
	uint64_t next_ms; /* STUN_NEVER: over, or not begun */
};

/* id is random and new; the first step, due at once, is to send. */
void stun_transaction_start(struct stun_transaction *t, const uint8_t id[STUN_ID_BYTES],
			    const struct addr *server, const struct stun_pace *pace,
			    uint64_t now_ms);
/* When to call step() again, or STUN_NEVER. */
uint64_t stun_transaction_next(const struct stun_transaction *t);
enum stun_step stun_transaction_step(struct stun_transaction *t, uint64_t now_ms);
/* An answer counts by its id and by where it is from. m is what stun_decode() made of it. */
enum stun_match stun_transaction_answer(struct stun_transaction *t, const struct stun_message *m,
					const struct addr *from);
/* Nothing more comes of it. */
void stun_transaction_end(struct stun_transaction *t);
bool stun_transaction_pending(const struct stun_transaction *t);

/* The external address in an answer, also in one of RFC 3489's servers; NULL when there is none. */
const struct addr *stun_external_address(const struct stun_message *m);

#endif
