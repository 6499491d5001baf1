/* SPDX-License-Identifier: Apache-2.0 */
/* word: what an agent says on its link of a session that it has a part in. */
#include "relay/session/word.h"

#include <inttypes.h>
#include <string.h>

#include "core/memory.h"
#include "relay/session/session.h"
#include "relay/session/trace.h"

struct word {
	struct ring_msg msg; /* first: the ring hands this back */
	struct relay *relay;
	struct credential *credential; /* of who says it; held */
	uint64_t session;
	unsigned worker; /* that looks */
	size_t len;
	uint8_t frame[];
};

static void word_free(struct word *w)
{
	credential_release(w->credential);
	memory_free(w);
}

static bool party_is(const struct party *p, const struct credential *c)
{
	const struct identity_peer *one = &party_credential(p)->peer, *other = &c->peer;

	return one->role == other->role && strcmp(one->name, other->name) == 0;
}

/* Which side of the session that is: 0, the asker; 1, the publisher. False: none. */
static bool word_side(const struct session *s, const struct credential *from, unsigned *side)
{
	*side = s->pair.from && party_is(s->pair.from, from) ? 0 : 1;
	return *side == 0 || party_is(s->pair.to, from);
}

/* The other side's client may be no agent. */
static void word_hand_on(const struct word *w, const struct session *s, unsigned side,
			 const struct wire_message *m)
{
	const struct party *to = side == 0 ? s->pair.to : s->pair.from;
	slab_id conn = 0;

	if (to) {
		relay_lock(w->relay);
		conn = party_conn(to);
		relay_unlock(w->relay);
	}
	TRACE_SESSION(s, "PROVE of %s %s", w->credential->peer.name,
		      conn ? "goes to the other side" : "goes nowhere");
	/* Without memory, or where much waits, it comes again. */
	if (conn)
		(void)!conn_tell_spare(w->relay, conn, m);
}

static void word_hear(const struct word *w, struct session *s)
{
	enum ending_cause cause;
	struct wire_message m;
	unsigned side;
	size_t used;

	if (wire_decode(w->frame, w->len, &m, &used) != WIRE_OK)
		return;
	if (!word_side(s, w->credential, &side))
		TRACE_SESSION(s, "%s of %s, which has no part in it", wire_type_name(m.type),
			      w->credential->peer.name);
	else if (m.type == WIRE_PROVE)
		word_hand_on(w, s, side, &m);
	else if (ending_of_letter((char)m.ended.cause.data[0], &cause))
		session_end_by(s, side, cause);
}

static void word_look_run(struct ring_msg *msg)
{
	struct word *w = (struct word *)msg;
	struct session *s = session_find(&w->relay->workers[w->worker], w->session);

	if (!s && ++w->worker < w->relay->worker_count) {
		ring_post(w->relay->workers[w->worker].ring, &w->msg);
		return;
	}
	if (s)
		word_hear(w, s);
	word_free(w);
}

void word_send(struct relay *r, struct credential *credential, const struct wire_message *m)
{
	uint8_t frame[WIRE_FRAME_MAX];
	size_t len = wire_encode(m, frame, sizeof frame);
	struct word *w = len > 0 ? memory_zeroed(sizeof *w + len) : NULL;

	if (!w)
		return;
	w->msg.run = word_look_run;
	w->relay = r;
	w->credential = credential_hold(credential);
	w->session = m->type == WIRE_PROVE ? m->prove.session : m->ended.session;
	w->len = len;
	memcpy(w->frame, frame, len);
	ring_post(r->workers[0].ring, &w->msg);
}
