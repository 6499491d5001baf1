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

static void sessions_look(struct look *l)
{
	agent_sessions_judge(container(l, struct agent_sessions, look));
}

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
	if (!all->look.ask)
		look_init(&all->look, all->worker->ring, sessions_look);
	all->count++;
	all->consoles += s->control;
	agent_sessions_look_alive(all);
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
	if (table_holds(s))
		HASH_DEL(all->by_number_there, s);
	all->count--;
	if (all->count == 0) { /* an idle agent looks at no clock */
		look_stop(&all->look);
		ring_timer_cancel(all->worker->ring, &all->prover);
		ring_timer_cancel(all->worker->ring, &all->judging);
		ring_timer_cancel(all->worker->ring, &all->alive);
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
	log_recorded(LOG_LEVEL_INFO, "session",
		     "open id=%" PRIu64 " role=%s agent=%s service=%s relay=%s", s->number,
		     agent_session_role(s), peer_text(s), s->service, s->relay);
	PROBE_SESSION_OPENED(s->number, s->peer, s->service);
	s->all->events->opened(s);
}

static void session_tell_closed(struct agent_session *s)
{
	const struct stream *st = &s->stream;
	char code[ENDING_CODE_BYTES];

	s->ending = st->ending;
	PROBE_SESSION_CLOSED(s->number, ending_code(s->ending, code), st->up.bytes, st->down.bytes,
			     ring_now_ms(s->worker->ring) - s->started_ms);
	s->all->totals.up_bytes += st->up.bytes;
	s->all->totals.down_bytes += st->down.bytes;
	log_recorded(LOG_LEVEL_INFO, "session",
		     "closed id=%" PRIu64 " role=%s agent=%s service=%s up=%" PRIu64
		     " down=%" PRIu64 " ending=%s reason=%s",
		     s->number, agent_session_role(s), peer_text(s), s->service, st->up.bytes,
		     st->down.bytes, code, st->why);
	s->all->events->closed(s);
}

/* ---- why a session was reset ---- */

/* The relay's word comes by the link, and a reset by the leg: either may be the first. */
static bool session_cut_by_far(const struct agent_session *s)
{
	const struct ending *e = &s->stream.ending;

	return e->side == ENDING_FAR && (e->cause == ENDING_RESET || e->cause == ENDING_CUT) &&
	       !s->worker->stopping;
}

static void session_close(struct agent_session *s)
{
	void (*over)(struct agent_session * s) = s->over;

	s->over = NULL;
	ring_timer_cancel(s->worker->ring, &s->late);
	session_tell_closed(s);
	over(s);
}

static void session_word_late(struct timer *t, uint64_t now_ms)
{
	session_close(container(t, struct agent_session, late));
}

static void session_explain(struct agent_session *s, enum ending_cause cause, const char *why)
{
	s->stream.ending.cause = cause;
	snprintf(s->stream.why, sizeof(s->stream.why), "%s", why);
}

static void session_close_for(struct agent_session *s, enum ending_cause cause, const char *why)
{
	session_explain(s, cause, why);
	session_close(s);
}

/* A relay that sends an agent away for this has reset its sessions for it, too. */
static bool session_ends_with_link(enum reason reason)
{
	return reason == REASON_REVOKED || reason == REASON_CERT_EXPIRED ||
	       reason == REASON_CERT_UNTRUSTED || reason == REASON_KICKED;
}

void agent_session_closed(struct agent_session *s, void (*over)(struct agent_session *s))
{
	const char *why;
	enum reason away;

	s->over = over;
	s->late.fire = session_word_late;
	if (!session_cut_by_far(s)) {
		session_close(s);
		return;
	}
	away = agent_links_sent_away(s->all->links, s->relay, &why);
	if (session_ends_with_link(away))
		session_close_for(s, ending_of_reason(away), why);
	else if (agent_links_live(s->all->links, s->relay))
		ring_timer_set(s->worker->ring, &s->late, AGENT_WORD_MS);
	else
		session_close(s);
}

bool agent_session_close_now(struct agent_session *s, enum reason reason, const char *why)
{
	if (!s->over)
		return false;
	if (reason == REASON_SHUTDOWN)
		session_close(s);
	else /* the far end has asked the same question a moment before */
		session_close_for(s, ending_of_reason(reason), why);
	return true;
}

struct agent_session *agent_session_there(struct agent_sessions *all, const char *relay,
					  uint64_t number)
{
	struct agent_session *s;

	HASH_FIND(hh, all->by_number_there, &number, sizeof(number), s);
	return s && strcmp(s->relay, relay) == 0 ? s : NULL;
}

void agent_session_numbered(struct agent_session *s, uint64_t number)
{
	s->number_there = number;
	if (number != 0)
		HASH_ADD(hh, s->all->by_number_there, number_there, sizeof(s->number_there), s);
}

/* An agent that stops waits for no relay. */
bool agent_session_tell_relay(struct stream *st)
{
	struct agent_session *s = container(st, struct agent_session, stream);
	struct agent_link *l = agent_links_live(s->all->links, s->relay);

	return l && s->number_there != 0 && !s->worker->stopping &&
	       ending_by_agent(st->ending.cause) &&
	       agent_link_ends(l, s->number_there, st->ending.cause);
}

void agent_session_told(struct agent_sessions *all, const struct agent_link *l,
			const struct wire_message *m)
{
	struct agent_session *s = agent_session_there(all, l->label, m->ended.session);
	char why[sizeof(s->stream.why)];
	enum ending_cause cause;

	/* A letter of a later version: the reset tells what is known here. */
	if (!s || !ending_of_letter((char)m->ended.cause.data[0], &cause))
		return;
	wire_bytes_copy(m->ended.text, why, sizeof(why));
	if (s->over)
		session_close_for(s, cause, why);
	else if (session_cut_by_far(s)) /* its operations are still being cancelled */
		session_explain(s, cause, why);
	else
		stream_fault(&s->stream, ENDING_FAR, cause, why);
}

void agent_sessions_cut_off(struct agent_sessions *all, const struct agent_link *l,
			    enum reason reason, const char *why)
{
	struct agent_session *next;

	if (!session_ends_with_link(reason))
		return;
	for (struct agent_session *s = all->first; s; s = next) {
		next = s->next;
		if (s->over && strcmp(s->relay, l->label) == 0)
			session_close_for(s, ending_of_reason(reason), why);
	}
}

/* ---- what never began ---- */

/* Relays often say the reason's own sentence; that is for others, the text alone for ourselves, and
 * where it names the one cause. */
static void refusal_log(const struct agent_refusal *r)
{
	const char *sentence = reason_sentence(r->reason);
	bool alone = r->text[0] && (r->ending.side != ENDING_FAR || reason_says_text(r->reason) ||
				    !strcmp(r->text, sentence));
	char code[ENDING_CODE_BYTES], why[REASON_SENTENCE_MAX + WIRE_TEXT_MAX + 3];

	if (alone || !r->text[0])
		snprintf(why, sizeof(why), "%s", alone ? r->text : sentence);
	else
		snprintf(why, sizeof(why), "%s: %s", sentence, r->text);
	ending_code(r->ending, code);
	if (strcmp(r->role, "asking") == 0 && r->peer[0])
		log_recorded(LOG_LEVEL_WARNING, "session", "%s/%s: %s ending=%s", r->peer,
			     r->service, why, code);
	else
		log_recorded(LOG_LEVEL_INFO, "session",
			     "refused role=%s agent=%s service=%s ending=%s reason=%s: %s", r->role,
			     r->peer[0] ? r->peer : "-", r->service[0] ? r->service : "-", code,
			     reason_name(r->reason), why);
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

enum reason agent_session_judge(struct agent_session *s, const char **why)
{
	const struct identity *own = s->all->setup->self.identity;
	const struct entitled_proof proof = proved_proof(&s->proof);
	const struct entitled_rules rules = {
		.anchors = identity_anchors(own),
		.revoked = agent_links_revoked(s->all->links, s->relay),
	};
	time_t now = time(NULL), until = identity_not_after(own);
	struct entitled_answer a;

	*why = NULL;
	if (now >= until) {
		*why = "this agent's own certificate has expired";
		return REASON_CERT_EXPIRED;
	}
	if (!proof.own && revocations_cover_name(rules.revoked, s->peer)) {
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
		a.reason = s->allowed(s, why);
	if (a.reason == REASON_OK)
		look_until(&s->all->look, entitled_earlier(until, a.until));
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

void agent_sessions_silent(struct agent_sessions *all, const struct agent_link *l)
{
	struct agent_session *next;

	for (struct agent_session *s = all->first; s; s = next) {
		next = s->next;
		if (s->silent)
			s->silent(s, l);
	}
}

void agent_sessions_judge(struct agent_sessions *all)
{
	struct agent_session *next;

	look_forget(&all->look);
	all->judged_ms = ring_now_ms(all->worker->ring);
	for (struct agent_session *s = all->first; s; s = next) {
		const char *why;
		enum reason reason = agent_session_judge(s, &why);

		next = s->next;
		if (reason == REASON_OK || s->stream.phase == STREAM_ENDING)
			continue;
		if (!why)
			why = reason_sentence(reason);
		log_notice("session", "agent=%s service=%s is ended: %s", peer_text(s), s->service,
			   why);
		s->stop(s, reason, why);
	}
}

static void sessions_judging(struct timer *t, uint64_t now_ms)
{
	agent_sessions_judge(container(t, struct agent_sessions, judging));
}

void agent_sessions_judge_soon(struct agent_sessions *all)
{
	uint64_t since_ms = ring_now_ms(all->worker->ring) - all->judged_ms;

	if (all->count == 0 || timer_pending(&all->judging))
		return;
	if (all->judged_ms == 0 || since_ms >= AGENT_JUDGE_MS) {
		agent_sessions_judge(all);
		return;
	}
	all->judging.fire = sessions_judging;
	ring_timer_set(all->worker->ring, &all->judging, AGENT_JUDGE_MS - since_ms);
}

void agent_sessions_stop(struct agent_sessions *all, const char *why)
{
	struct agent_session *next;

	look_stop(&all->look);
	ring_timer_cancel(all->worker->ring, &all->prover);
	ring_timer_cancel(all->worker->ring, &all->judging);
	ring_timer_cancel(all->worker->ring, &all->alive);
	for (struct agent_session *s = all->first; s; s = next) {
		next = s->next;
		s->stop(s, REASON_SHUTDOWN, why);
	}
}
