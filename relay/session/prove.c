/* SPDX-License-Identifier: Apache-2.0 */
/* prove: hands on what one side of a session proves to the other, from link to link. */
#include "relay/session/prove.h"

#include <inttypes.h>
#include <string.h>

#include "core/memory.h"
#include "relay/session/session.h"
#include "relay/session/trace.h"

struct handing_on {
	struct ring_msg msg; /* first: the ring hands this back */
	struct relay *relay;
	struct credential *credential; /* of who says it; held */
	uint64_t session;
	unsigned worker; /* that looks */
	size_t len;
	uint8_t frame[];
};

static void handing_on_free(struct handing_on *h)
{
	credential_release(h->credential);
	memory_free(h);
}

static struct session *session_of_number(const struct worker *w, uint64_t number)
{
	for (uint32_t i = 0; i < w->sessions->table.high_water; i++) {
		struct session *s = slab_at(&w->sessions->table, i);

		if (s && !s->ended && s->number == number)
			return s;
	}
	return NULL;
}

static bool party_is(const struct party *p, const struct credential *c)
{
	const struct identity_peer *one = &party_credential(p)->peer, *other = &c->peer;

	return one->role == other->role && strcmp(one->name, other->name) == 0;
}

/* Who hears it; NULL: the sender has no part in the session, or its client is no agent. */
static const struct party *prove_far_end(const struct session *s, const struct credential *from)
{
	if (!s->pair.from)
		return NULL;
	if (party_is(s->pair.from, from))
		return s->pair.to;
	return party_is(s->pair.to, from) ? s->pair.from : NULL;
}

static void prove_tell(const struct handing_on *h, const struct session *s)
{
	const struct party *to = prove_far_end(s, h->credential);
	struct wire_message m;
	slab_id conn = 0;
	size_t used;

	if (to) {
		relay_lock(h->relay);
		conn = party_conn(to);
		relay_unlock(h->relay);
	}
	TRACE_SESSION(s, "PROVE of %s %s", h->credential->peer.name,
		      conn ? "goes to the other side" : "goes nowhere");
	/* Without memory, or where much waits, it comes again. */
	if (conn && wire_decode(h->frame, h->len, &m, &used) == WIRE_OK)
		(void)!conn_tell_spare(h->relay, conn, &m);
}

static void prove_look_run(struct ring_msg *msg)
{
	struct handing_on *h = (struct handing_on *)msg;
	const struct session *s = session_of_number(&h->relay->workers[h->worker], h->session);

	if (!s && ++h->worker < h->relay->worker_count) {
		ring_post(h->relay->workers[h->worker].ring, &h->msg);
		return;
	}
	if (s)
		prove_tell(h, s);
	handing_on_free(h);
}

void prove_hand_on(struct relay *r, struct credential *credential, const struct wire_message *m)
{
	uint8_t frame[WIRE_FRAME_MAX];
	size_t len = wire_encode(m, frame, sizeof frame);
	struct handing_on *h = len > 0 ? memory_zeroed(sizeof *h + len) : NULL;

	if (!h)
		return;
	h->msg.run = prove_look_run;
	h->relay = r;
	h->credential = credential_hold(credential);
	h->session = m->prove.session;
	h->len = len;
	memcpy(h->frame, frame, len);
	ring_post(r->workers[0].ring, &h->msg);
}
