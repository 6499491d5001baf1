/* SPDX-License-Identifier: Apache-2.0 */
/* session: the table of sessions, and what log and owner hear of them. */
#include "agent/session/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "core/container.h"
#include "core/log.h"
#include "core/probe.h"

/* One for each direction, and one to spare. */
size_t agent_sessions_buffers(uint64_t max_sessions)
{
	return ((size_t)max_sessions + AGENT_CONSOLE_SESSIONS_MAX) * 2 + 1;
}

bool agent_sessions_set_max(struct agent_sessions *all, uint64_t max_sessions)
{
	return buffers_set_max(&all->worker->small, agent_sessions_buffers(max_sessions)) == 0;
}

/* ---- what one relay may take ---- */

static struct relay_share *share_of(struct agent_sessions *all, const char *relay)
{
	struct relay_share *sh = all->shares;

	while (sh && strcmp(sh->relay, relay) != 0)
		sh = sh->next;
	if (sh)
		return sh;
	sh = calloc(1, sizeof(*sh));
	if (!sh)
		return NULL;
	snprintf(sh->relay, sizeof(sh->relay), "%s", relay);
	sh->next = all->shares;
	all->shares = sh;
	return sh;
}

static void share_let_go(struct agent_sessions *all, struct relay_share *sh)
{
	struct relay_share **at = &all->shares;

	if (sh->consoles + sh->shaking + sh->others > 0)
		return;
	while (*at != sh)
		at = &(*at)->next;
	*at = sh->next;
	free(sh);
}

static size_t *share_count(struct relay_share *sh, const struct agent_session *s)
{
	if (s->control)
		return &sh->consoles;
	return s->public_kind ? &sh->others : &sh->shaking;
}

const char *agent_session_take_share(struct agent_sessions *all, struct agent_session *s)
{
	size_t relays = all->links->count > 0 ? all->links->count : 1;
	size_t most =
		s->control ? AGENT_CONSOLE_SESSIONS_MAX : (size_t)all->setup->config->max_sessions;
	struct relay_share *sh = share_of(all, s->relay);
	size_t held;

	if (!sh)
		return "out of memory";
	held = s->control ? sh->consoles : sh->shaking + sh->others;
	most = most > relays ? most / relays : 1;
	if (held >= most)
		return "this relay has its part of the agent's sessions that no certificate has "
		       "proved; raise max_sessions";
	if (!s->control && !s->public_kind && sh->shaking >= AGENT_OFFERS_MAX)
		return "too many offers of this relay wait for the other agent to prove itself; "
		       "try again";
	++*share_count(sh, s);
	s->share = sh;
	return NULL;
}

void agent_session_leave_share(struct agent_sessions *all, struct agent_session *s)
{
	struct relay_share *sh = s->share;

	if (!sh)
		return;
	s->share = NULL;
	--*share_count(sh, s);
	share_let_go(all, sh);
}

/* ---- the table ---- */

bool agent_session_add(struct agent_sessions *all, struct agent_session *s)
{
	size_t others = all->count - all->consoles;

	if (s->control ? all->consoles >= AGENT_CONSOLE_SESSIONS_MAX
		       : others >= all->setup->config->max_sessions)
		return false;
	s->all = all;
	s->worker = all->worker;
	s->number = ++all->last_number;
	s->started_ms = ring_now_ms(all->worker->ring);
	s->prev = NULL;
	s->next = all->first;
	if (s->next)
		s->next->prev = s;
	all->first = s;
	all->count++;
	all->consoles += s->control;
	agent_worker_hold(all->worker);
	return true;
}

void agent_session_remove(struct agent_session *s)
{
	struct agent_sessions *all = s->all;

	agent_session_leave_share(all, s);
	if (s->prev)
		s->prev->next = s->next;
	else
		all->first = s->next;
	if (s->next)
		s->next->prev = s->prev;
	all->count--;
	if (all->count == 0) { /* an idle agent looks at no clock */
		all->look_again = 0;
		ring_timer_cancel(all->worker->ring, &all->look_timer);
	}
	all->consoles -= s->control;
	proved_drop(&all->proved, &s->proof);
	free(s->candidates);
	s->candidates = NULL;
	agent_worker_drop(all->worker);
}

const char *agent_session_role(const struct agent_session *s)
{
	if (s->asking)
		return "asking";
	return s->public_kind ? "public" : "publishing";
}

static const char *peer_text(const struct agent_session *s)
{
	return s->peer[0] ? s->peer : "-";
}

void agent_session_opened(struct agent_session *s)
{
	s->opened = true;
	s->all->totals.sessions++;
	log_info("session", "open id=%" PRIu64 " role=%s agent=%s service=%s relay=%s", s->number,
		 agent_session_role(s), peer_text(s), s->service, s->relay);
	PROBE_SESSION_OPENED(s->number, s->peer, s->service);
	s->all->events->opened(s);
}

void agent_session_closed(struct agent_session *s)
{
	const struct stream *st = &s->stream;
	char code[ENDING_CODE_BYTES];

	s->ending = st->ending;
	PROBE_SESSION_CLOSED(s->number, ending_code(s->ending, code), st->up.bytes, st->down.bytes,
			     ring_now_ms(s->worker->ring) - s->started_ms);
	s->all->totals.up_bytes += st->up.bytes;
	s->all->totals.down_bytes += st->down.bytes;
	log_info("session",
		 "closed id=%" PRIu64 " role=%s agent=%s service=%s up=%" PRIu64 " down=%" PRIu64
		 " ending=%s reason=%s",
		 s->number, agent_session_role(s), peer_text(s), s->service, st->up.bytes,
		 st->down.bytes, code, st->why);
	s->all->events->closed(s);
}

/* Relays often say the reason's own sentence; that is for others, the text alone for ourselves. */
static void refusal_log(const struct agent_refusal *r)
{
	const char *sentence = reason_sentence(r->reason);
	bool alone = r->text[0] && (r->ending.side != ENDING_FAR || !strcmp(r->text, sentence));
	char code[ENDING_CODE_BYTES], why[REASON_SENTENCE_MAX + WIRE_TEXT_MAX + 3];

	if (alone || !r->text[0])
		snprintf(why, sizeof(why), "%s", alone ? r->text : sentence);
	else
		snprintf(why, sizeof(why), "%s: %s", sentence, r->text);
	ending_code(r->ending, code);
	if (strcmp(r->role, "asking") == 0 && r->peer[0])
		log_warning("session", "%s/%s: %s ending=%s", r->peer, r->service, why, code);
	else
		log_info("session", "refused role=%s agent=%s service=%s ending=%s reason=%s: %s",
			 r->role, r->peer[0] ? r->peer : "-", r->service[0] ? r->service : "-",
			 code, reason_name(r->reason), why);
}

void agent_sessions_refused(struct agent_sessions *all, const struct agent_refusal *r)
{
	struct agent_refusal told = *r;

	refusal_log(r);
	all->totals.failed++;
	if (!told.text[0])
		told.text = reason_sentence(r->reason);
	all->events->refused(all, &told);
}

void agent_session_refused(struct agent_session *s, enum ending_side who, enum reason reason,
			   const char *text)
{
	enum ending_phase phase =
		s->stream.phase == STREAM_UNUSED ? ENDING_OPENING : ENDING_HANDSHAKE;

	if (s->refused)
		return;
	s->refused = true;
	if (who == ENDING_LOCAL && !s->asking)
		phase = ENDING_TARGET;
	s->ending = (struct ending){who, phase, ending_of_reason(reason)};
	if (s->stream.ending.cause != ENDING_FINISHED) /* it knows better */
		s->ending = s->stream.ending;
	agent_sessions_refused(s->all, &(struct agent_refusal){.role = agent_session_role(s),
							       .peer = s->peer,
							       .service = s->service,
							       .ending = s->ending,
							       .reason = reason,
							       .text = text});
}

void agent_session_candidates(struct agent_session *s, const struct wire_candidates *from)
{
	struct candidates taken;
	char text[WIRE_CANDIDATES_MAX * (WIRE_ADDRESS_MAX + 1)];

	candidates_take(from, &taken);
	if (taken.count == 0 || s->candidates)
		return;
	s->candidates = malloc(sizeof(taken)); /* without memory there is one hint less */
	if (s->candidates)
		*s->candidates = taken;
	candidates_text(&taken, text, sizeof(text));
	log_info("session", "candidates id=%" PRIu64 " agent=%s %s", s->number, peer_text(s), text);
}

/* For want of memory they may leave in pieces.
 *
 * #syscalls sendto(4 is 0, 3 without MSG_FASTOPEN)
 */
bool agent_session_tell(int fd, const uint8_t *bytes, size_t len)
{
	ssize_t n = 0;

	for (size_t at = 0; at < len; at += (size_t)n) {
		n = send(fd, bytes + at, len - at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n <= 0)
			return false;
	}
	return true;
}

/* ---- who may ---- */

bool agent_session_proved(struct agent_session *s, const struct identity_peer *peer)
{
	return proved_take(&s->all->proved, peer, &s->proof);
}

static bool revoked_peer(const void *list, const struct identity_peer *peer)
{
	return revocations_cover(list, peer);
}

static void sessions_look_fired(struct timer *t, uint64_t now_ms)
{
	struct agent_sessions *all = container(t, struct agent_sessions, look_timer);
	time_t now = time(NULL);
	bool went_back = now < all->looked;

	all->looked = now;
	if (all->look_again && (now >= all->look_again || went_back))
		agent_sessions_judge(all);
	if (all->look_again)
		ring_timer_set(all->worker->ring, t, entitled_look_ms(all->look_again, now));
}

static void sessions_watch(struct agent_sessions *all, time_t again, time_t now)
{
	if (again == 0 || (all->look_again && again >= all->look_again))
		return;
	all->look_again = again;
	if (all->looked == 0)
		all->looked = now;
	all->look_timer.fire = sessions_look_fired;
	ring_timer_set(all->worker->ring, &all->look_timer, entitled_look_ms(again, now));
}

enum reason agent_session_judge(struct agent_session *s, const char **why)
{
	const struct identity *own = s->all->setup->self.identity;
	const struct entitled_proof proof = proved_proof(&s->proof);
	const struct entitled_rules rules = {
		.anchors = identity_anchors(own),
		.revoked = revoked_peer,
		.list = agent_links_revoked(s->all->links, s->relay),
	};
	time_t now = time(NULL), until = identity_not_after(own);
	struct entitled_answer a;

	*why = NULL;
	if (now >= until) {
		*why = "this agent's own certificate has expired";
		return REASON_CERT_EXPIRED;
	}
	if (!proof.own && revocations_cover_name(rules.list, s->peer)) {
		*why = "the operator has revoked the agent asked for";
		return REASON_REVOKED;
	}
	a = entitled(&proof, &rules, now);
	if (a.reason == REASON_CERT_EXPIRED)
		*why = "the other agent's certificate has expired";
	else if (a.reason == REASON_CERT_UNTRUSTED)
		*why = "the CA of the other agent's certificate is not trusted any more";
	else if (a.reason == REASON_REVOKED)
		*why = "the other agent's identity has been revoked";
	if (a.reason == REASON_OK && s->allowed)
		a.reason = s->allowed(s);
	if (a.reason == REASON_OK)
		sessions_watch(s->all, entitled_earlier(until, a.until), now);
	return a.reason;
}

/* ---- all of them ---- */

void agent_sessions_wake(struct agent_sessions *all)
{
	struct agent_session *next;

	for (struct agent_session *s = all->first; s; s = next) {
		next = s->next;
		if (s->wake)
			s->wake(s);
	}
}

void agent_sessions_judge(struct agent_sessions *all)
{
	struct agent_session *next;

	all->look_again = 0;
	for (struct agent_session *s = all->first; s; s = next) {
		const char *why;
		enum reason reason = agent_session_judge(s, &why);

		next = s->next;
		if (reason == REASON_OK)
			continue;
		if (!why)
			why = reason_sentence(reason);
		log_notice("session", "agent=%s service=%s is ended: %s", peer_text(s), s->service,
			   why);
		s->stop(s, reason, why);
	}
}

void agent_sessions_stop(struct agent_sessions *all, const char *why)
{
	struct agent_session *next;

	ring_timer_cancel(all->worker->ring, &all->look_timer);
	for (struct agent_session *s = all->first; s; s = next) {
		next = s->next;
		s->stop(s, REASON_SHUTDOWN, why);
	}
}
