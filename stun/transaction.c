/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transaction: when to send a request again, when to give up, and which answer is its own.
 *
 * Theory of operation. A transaction is pending from start() until an answer matches, its last wait
 * is over, or it is ended. With RFC 8489's numbers it sends at 0, 500, 1500, 3500, 7500, 15500 and
 * 31500 ms and fails at 39500 ms (section 6.2.1); late calls of step() shift what follows, so two
 * sendings are never closer than the RTO says. A stream is the same with one sending and one wait.
 *
 * An answer with the right id from elsewhere than the server is ignored, and the transaction goes
 * on: it may be forged by a guess, and the server may still answer.
 *
 * Deliberately absent: the estimation of RTO from earlier answers, since what is asked here is
 * asked once; and following ALTERNATE-SERVER, which is the caller's decision.
 */
#include "stun/transaction.h"

#include <string.h>

const struct stun_pace stun_pace_datagram = {STUN_RTO_MS, STUN_SENDS, STUN_LAST_RTO};
const struct stun_pace stun_pace_stream = {STUN_STREAM_TIMEOUT_MS, 1, 1};

void stun_transaction_start(struct stun_transaction *t, const uint8_t id[STUN_ID_BYTES],
			    const struct addr *server, const struct stun_pace *pace,
			    uint64_t now_ms)
{
	*t = (struct stun_transaction){.server = *server, .pace = *pace, .next_ms = now_ms};
	memcpy(t->id, id, sizeof t->id);
	addr_unmap(&t->server);
}

uint64_t stun_transaction_next(const struct stun_transaction *t)
{
	return t->next_ms;
}

bool stun_transaction_pending(const struct stun_transaction *t)
{
	return t->next_ms != STUN_NEVER;
}

void stun_transaction_end(struct stun_transaction *t)
{
	t->next_ms = STUN_NEVER;
}

enum stun_step stun_transaction_step(struct stun_transaction *t, uint64_t now_ms)
{
	if (!stun_transaction_pending(t) || now_ms < t->next_ms)
		return STUN_STEP_WAIT;
	if (t->sent == t->pace.sends) {
		stun_transaction_end(t);
		return STUN_STEP_FAIL;
	}
	t->next_ms =
		now_ms + (t->sent + 1 == t->pace.sends ? (uint64_t)t->pace.rto_ms * t->pace.last_rto
						       : (uint64_t)t->pace.rto_ms << t->sent);
	t->sent++;
	return STUN_STEP_SEND;
}

/* Attributes that RFC 8489 does not know, but that servers of RFC 3489 send to every client. */
static bool understood(const struct stun_message *m)
{
	for (unsigned i = 0; i < m->unknown.count; i++)
		if (m->unknown.type[i] != STUN_SOURCE_ADDRESS &&
		    m->unknown.type[i] != STUN_CHANGED_ADDRESS)
			return false;
	return true;
}

const struct addr *stun_external_address(const struct stun_message *m)
{
	if (m->has & STUN_HAS_XOR_MAPPED_ADDRESS)
		return &m->xor_mapped;
	return m->has & STUN_HAS_MAPPED_ADDRESS ? &m->mapped : NULL;
}

enum stun_match stun_transaction_answer(struct stun_transaction *t, const struct stun_message *m,
					const struct addr *from)
{
	struct addr plain = *from;

	if (!stun_transaction_pending(t) || t->sent == 0 || m->header.method != STUN_BINDING ||
	    (m->header.class != STUN_SUCCESS && m->header.class != STUN_ERROR) ||
	    memcmp(m->header.id, t->id, sizeof t->id) != 0)
		return STUN_MATCH_NONE;
	addr_unmap(&plain);
	if (!addr_equal(&plain, &t->server))
		return STUN_MATCH_NONE;
	stun_transaction_end(t);
	if (!understood(m))
		return STUN_MATCH_USELESS;
	if (m->header.class == STUN_ERROR)
		return m->has & STUN_HAS_ERROR_CODE ? STUN_MATCH_ERROR : STUN_MATCH_USELESS;
	return stun_external_address(m) ? STUN_MATCH_SUCCESS : STUN_MATCH_USELESS;
}
