/* SPDX-License-Identifier: Apache-2.0 */
/* prove: a session outlives the certificates that it began with; prove.h tells how. */
#include "agent/session/prove.h"

#include <inttypes.h>
#include <string.h>

#include "core/container.h"
#include "core/engine/proving.h"
#include "core/log.h"

#define TICK_MS 1000u /* so many of a second are proved at a time */

/* ---- ours ---- */

void prove_shown(struct agent_session *s, uint64_t number)
{
	agent_session_numbered(s, number);
	s->shown.until = identity_not_after(s->all->setup->self.identity);
}

static bool prove_say(struct agent_session *s, struct agent_link *l)
{
	uint8_t exported[TLS_EXPORT_BYTES], signature[WIRE_SIGNATURE_MAX];
	size_t len;

	return tls_export(s->stream.inner.tls, TLS_EXPORT_PROVE, exported) &&
	       identity_sign(s->all->setup->self.identity, IDENTITY_PROVE, exported, signature,
			     sizeof(signature), &len) &&
	       agent_link_prove(l, s->number_there, signature, len);
}

static void prove_wait(struct agent_session *s, uint64_t now_ms)
{
	s->shown.due_ms = now_ms + s->shown.wait_ms;
	s->shown.wait_ms *= 2;
	if (s->shown.wait_ms > PROVE_WAIT_MS)
		s->shown.wait_ms = PROVE_WAIT_MS;
}

/* Says what is due, PROVING_SECOND at most. Returns when the next is; 0: never. */
static uint64_t prove_due(struct agent_sessions *all, uint64_t now_ms)
{
	unsigned said = 0;
	uint64_t next_ms = 0;

	for (struct agent_session *s = all->first; s; s = s->next) {
		struct agent_link *l;

		if (s->shown.due_ms == 0)
			continue;
		if (time(NULL) >= s->shown.until)
			s->shown.due_ms = 0; /* it counts, or the session is over */
		else if (s->shown.due_ms <= now_ms && s->opened && !s->over &&
			 said < PROVING_SECOND) {
			l = agent_links_live(all->links, s->relay);
			if (l && prove_say(s, l)) {
				said++;
				prove_wait(s, now_ms);
			}
		}
		if (s->shown.due_ms && (next_ms == 0 || s->shown.due_ms < next_ms))
			next_ms = s->shown.due_ms;
	}
	return next_ms;
}

static void prover_fired(struct timer *t, uint64_t now_ms)
{
	struct agent_sessions *all = container(t, struct agent_sessions, prover);
	uint64_t next_ms = prove_due(all, now_ms);

	if (next_ms)
		ring_timer_set(all->worker->ring, t,
			       next_ms > now_ms + TICK_MS ? next_ms - now_ms : TICK_MS);
}

void prove_renewed(struct agent_sessions *all)
{
	uint64_t now_ms = ring_now_ms(all->worker->ring);
	bool any = false;

	for (struct agent_session *s = all->first; s; s = s->next) {
		if (s->number_there == 0 || s->public_kind)
			continue;
		s->shown.due_ms = now_ms;
		s->shown.wait_ms = PROVE_AGAIN_MS;
		any = true;
	}
	all->prover.fire = prover_fired;
	if (any)
		ring_timer_set(all->worker->ring, &all->prover, TICK_MS);
}

/* ---- the peers' ---- */

/* What is no proof is passed over: it may be the relay's word alone. */
void prove_heard(struct agent_sessions *all, struct agent_link *l, const struct wire_message *m)
{
	struct agent_session *s = agent_session_there(all, l->label, m->prove.session);
	uint64_t now_ms = ring_now_ms(all->worker->ring);
	uint8_t exported[TLS_EXPORT_BYTES];
	struct identity_peer peer;
	enum reason reason = REASON_PROOF;

	if (!s || !s->opened || s->over || !s->proof.own ||
	    !proving_may(&s->proving, PROVING_OF_SESSION, now_ms) ||
	    !proving_may(&l->proving, PROVING_OF_LINK, now_ms))
		return;
	if (tls_export(s->stream.inner.tls, TLS_EXPORT_PROVE, exported))
		reason = identity_verify(all->setup->self.identity, IDENTITY_PROVE,
					 m->prove.certificate.data, m->prove.certificate.len,
					 m->prove.signature.data, m->prove.signature.len, exported,
					 time(NULL), &peer);
	if (reason != REASON_OK)
		log_debug("session", "id=%" PRIu64 ": PROVE came that proves nothing: %s",
			  s->number, reason_name(reason));
	else if (proved_renew(&s->proof, &peer))
		log_info("session", "id=%" PRIu64 " agent=%s has proved a newer certificate",
			 s->number, s->peer);
}
