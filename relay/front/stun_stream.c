/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun_stream: STUN over TCP (RFC 8489 section 6.2.2), on the TLS port or one of its own.
 *
 * A client over TCP has shown that its address is its own, so no network is limited here; but a
 * connection may ask only so often, and must not fall silent. Requests may come in any pieces and
 * several at a time; their answers leave together, and no more is answered before they have left.
 *
 * Where STUN is not switched on, a link's request (stun_link.h) is answered that is whole in the
 * first bytes of its connection. One in pieces is no exception worth waiting for: nginx would have
 * answered its first piece.
 */
#include <assert.h>
#include <string.h>

#include "relay/front/front.h"
#include "relay/front/stun_link.h"

#define MESSAGES_MAX 64u /* of one connection */

static_assert(MESSAGES_MAX * STUN_ANSWER_MAX <= PLAIN_BYTES, "all answers fit the scratch buffer");

/* The phase's state. */
struct stun_conn {
	unsigned messages; /* answered so far */
	bool anyone;	   /* is answered; else links alone */
};

/* The answer's length in bytes, written to out; 0 for none. */
static size_t stun_stream_answer(struct conn *c, const uint8_t *message, size_t len, uint8_t *out)
{
	struct worker *w = c->worker;
	struct stun_answer a;
	unsigned outcome = stun_link_answer_one(w, message, len, &c->peer, &a);

	if (outcome == STUN_IGNORED_UNPROVEN && ((struct stun_conn *)c->state)->anyone)
		outcome =
			stun_server_answer(&w->stun.plain, message, len, &c->peer, 0, 0, true, &a);

	stat_add(&w->stats.stun[STUN_TCP][outcome], 1);
	if (outcome != STUN_ANSWERED && outcome != STUN_ANSWERED_ERROR)
		return 0;
	memcpy(out, a.bytes, a.len);
	return a.len;
}

static void stun_stream_continue(struct conn *c)
{
	struct worker *w = c->worker;
	struct stun_conn *s = (struct stun_conn *)c->state;
	size_t used = 0, out_len = 0;
	int len = 0;

	if (conn_sending(c))
		return;
	while (used < c->in_len && s->messages < MESSAGES_MAX) {
		len = stun_message_length(c->in + used, c->in_len - used);
		if (len <= 0 || (size_t)len > c->in_len - used)
			break;
		out_len += stun_stream_answer(c, c->in + used, (size_t)len, w->plain + out_len);
		used += (size_t)len;
		s->messages++;
	}
	if (len < 0) {
		conn_close(c, REASON_STUN_GARBAGE);
		return;
	}
	if (used > 0) {
		conn_drop_kept(c, used);
		conn_set_deadline(c, w->snap->config.limits.http_idle_ms);
	}
	if (out_len > 0)
		conn_send_raw(c, w->plain, out_len);
	if (c->phase == &phase_stun && s->messages == MESSAGES_MAX) {
		worker_count(w, REASON_LIMIT_STUN);
		conn_finish(c);
	}
}

static void stun_stream_input(struct conn *c, const uint8_t *data, size_t len)
{
	if (conn_keep(c, data, len, RING_SMALL_BYTES + STUN_REQUEST_MAX))
		stun_stream_continue(c);
	else
		conn_close(c, REASON_LIMIT_MEMORY);
}

static void stun_stream_late(struct conn *c, uint64_t now_ms)
{
	worker_count(c->worker, REASON_DEADLINE_IDLE);
	conn_finish(c);
}

static const struct conn_state stun_stream_state = {.leave = NULL};

const struct conn_phase phase_stun = {
	.name = "stun",
	.state = &stun_stream_state,
	.input = stun_stream_input,
	.deadline = stun_stream_late,
	.sent = stun_stream_continue,
	.answers = true,
};

void stun_stream_begin(struct conn *c, const uint8_t *data, size_t len, bool anyone)
{
	if (c->peer.len == 0) { /* gone already: its address cannot be told any more */
		conn_close(c, REASON_GONE_EARLY);
		return;
	}
	conn_set_phase(c, &phase_stun);
	((struct stun_conn *)c->state)->anyone = anyone;
	if (len > 0 && data == c->in)
		stun_stream_continue(c);
	else if (len > 0)
		stun_stream_input(c, data, len);
}

/* The header's 20 bytes tell, with the magic cookie among them. */
static enum front_claim stun_stream_claim(struct conn *c, const uint8_t *data, size_t len)
{
	int message;

	if (data[0] > STUN_FIRST_BYTE_MAX)
		return FRONT_NO;
	if (!c->worker->stun.enabled) {
		if (!stun_link_is(c->worker, data, len, &c->peer))
			return FRONT_NO;
		stun_stream_begin(c, data, len, false);
		return FRONT_TAKEN;
	}
	message = stun_message_length(data, len);
	if (message < 0)
		return FRONT_NO;
	if (message == 0)
		return FRONT_MORE;
	stun_stream_begin(c, data, len, true);
	return FRONT_TAKEN;
}

const struct front_protocol protocol_stun = {.name = "stun", .clear = stun_stream_claim};
