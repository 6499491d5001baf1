/* SPDX-License-Identifier: Apache-2.0 */
/* link: an agent's control connection: sign-in, services, refusals, keep-alive. */
#include "relay/session/link.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <openssl/mem.h>

#include "core/engine/identity.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/random.h"
#include "relay/front/charge.h"
#include "relay/session/enforce.h"
#include "relay/session/frames.h"
#include "relay/session/leg.h"
#include "relay/session/report.h"
#include "relay/session/trace.h"
#include "relay/session/word.h"

#define SILENT_INTERVALS 3u	/* pings missed before the link is given up */
#define RECONNECT_S	 5u	/* what DRAIN asks for; agents add their own jitter */
#define REVOKED_WAITING	 65536u /* of a list of revocations at a time; it may have megabytes */

/* The state of LINK. */
struct relay_link {
	uint64_t id;		       /* legs quote it */
	uint64_t heard_ms;	       /* when the peer last spoke */
	uint64_t dice;		       /* of the sizes of PONG */
	struct credential *credential; /* owned */
	uint64_t list_mark;	       /* of the list of revocations that it is told; 0: none yet */
	uint32_t revoked;	       /* of that list, that it has been told; the rest follows */
	uint32_t signed_told;	       /* number of the last signed revocation that it was told */
	uint32_t tag_key;	       /* of the newest tag key that it knows: its first bytes */
	enum reason ending : 8;	       /* it may not go on; REASON_OK: it may */
	bool announced;		       /* its coming is on record, and its going will be */
	bool told_list;		       /* to its end */
};

static const struct conn_phase phase_link;
static void link_send_signed(struct conn *c);
static void link_send_revoked(struct conn *c);
static uint32_t newest_tag_key(const struct conn *c);
static void link_send_tag_key(struct conn *c);

static struct relay_link *link_of(struct conn *c)
{
	return (struct relay_link *)c->state;
}

const char *link_agent(struct conn *c)
{
	return c->phase == &phase_link ? link_of(c)->credential->peer.name : NULL;
}

/* ---- sign-in ---- */

static enum reason hello_check(struct conn *c, const struct wire_message *m,
			       struct identity_peer *peer)
{
	uint8_t exported[TLS_EXPORT_BYTES];

	if (!tls_export(c->tls, TLS_EXPORT_HELLO, exported))
		return REASON_PROOF;
	enum reason reason = identity_verify(c->worker->snap->identity, IDENTITY_HELLO,
					     m->hello.certificate.data, m->hello.certificate.len,
					     m->hello.signature.data, m->hello.signature.len,
					     exported, time(NULL), peer);
	if (reason != REASON_OK)
		return reason;
	if (!wire_bytes_equal(m->hello.agent, wire_text(peer->name)))
		return REASON_CERT_ROLE;
	return REASON_OK;
}

static void link_welcome(struct conn *c, const struct rendezvous_link *link, uint16_t max_legs)
{
	const struct relay_config *config = &c->worker->snap->config;
	struct wire_message m = {.type = WIRE_WELCOME};
	char address[ADDR_TEXT_BYTES];

	addr_format(&c->peer, address);
	m.welcome.relay = wire_text(config->name);
	m.welcome.your_address = wire_text(address);
	m.welcome.link = link->link;
	memcpy(m.welcome.leg_secret, link->secret, sizeof m.welcome.leg_secret);
	m.welcome.ping_interval_s = (uint16_t)(config->limits.ping_ms / 1000);
	m.welcome.max_legs = max_legs;
	m.welcome.max_sessions = (uint32_t)config->limits.sessions;
	conn_send_message(c, &m);
}

static void link_tell_replaced(struct relay *r, slab_id older)
{
	struct wire_message m = {.type = WIRE_BYE};

	m.bye.reason = REASON_REPLACED;
	m.bye.text = wire_text(reason_sentence(REASON_REPLACED));
	/* Without memory the older one learns it when it looks around: link_deadline(). */
	(void)!conn_tell(r, older, &m, true);
}

/* Under the name that HELLO claims: nothing is proved. */
static void link_trace_refused(const struct conn *c, const struct wire_message *m, const char *from,
			       enum reason reason)
{
	char claimed[WIRE_NAME_MAX + 1];

	wire_bytes_copy(m->hello.agent, claimed, sizeof claimed);
	TRACE_AGENT(c->worker->relay, claimed, "link: a sign-in from %s is refused: %s: %s", from,
		    reason_name(reason), reason_sentence(reason));
}

static void link_trace_up(const struct conn *c, const struct wire_message *m, const char *agent)
{
	char from[ADDR_TEXT_BYTES], software[WIRE_SOFTWARE_MAX + 1];

	addr_format(&c->peer, from);
	wire_bytes_copy(m->hello.software, software, sizeof software);
	TRACE_AGENT(c->worker->relay, agent, "link: up from %s, %s%s", from, software,
		    m->hello.flags & WIRE_HELLO_TRANSIENT ? ", transient" : "");
}

static enum reason link_sign_in(struct conn *c, struct credential *credential,
				enum rendezvous_role role, struct rendezvous_link *link)
{
	struct relay *r = c->worker->relay;

	if (r->draining)
		return REASON_DRAINING; /* consoles came before: they may want to undrain */
	relay_lock(r);
	enum reason reason = rendezvous_sign_in(r->rendezvous, credential, role, c->id, link);
	if (reason == REASON_OK)
		rendezvous_note_key_exchange(r->rendezvous, link->link, tls_group(c->tls));
	relay_unlock(r);
	return reason;
}

static void link_refuse(struct conn *c, const struct wire_message *m, enum reason reason)
{
	char from[ADDR_TEXT_BYTES];

	addr_format(&c->peer, from);
	log_info("link", "refused agent from=%s reason=%s: %s", from, reason_name(reason),
		 reason_sentence(reason));
	link_trace_refused(c, m, from, reason);
	conn_refuse(c, reason);
}

/* Of what is announced consoles and the journal hear by an event. */
#define link_log(l, ...)                                                                           \
	((l)->announced ? log_recorded(LOG_LEVEL_INFO, "link", __VA_ARGS__)                        \
			: log_at(LOG_LEVEL_INFO, "link", __VA_ARGS__))

/* The agent has signed in. */
static void link_up(struct conn *c, const struct wire_message *m, struct credential *credential,
		    enum rendezvous_role role, const struct rendezvous_link *link)
{
	const char *name = credential->peer.name;

	conn_set_phase(c, &phase_link);
	struct relay_link *l = link_of(c);
	l->id = link->link;
	l->dice = link->link;
	l->heard_ms = ring_now_ms(c->worker->ring);
	l->credential = credential_hold(credential);
	conn_set_deadline(c, c->worker->snap->config.limits.ping_ms);
	l->announced = role == RENDEZVOUS_AGENT;
	link_log(l, "up agent=%s transient=%s", name, l->announced ? "no" : "yes");
	link_trace_up(c, m, name);
	if (l->announced)
		report_agent(c, name, "agent.up", REASON_OK);
	l->tag_key = c->tag == 1 ? newest_tag_key(c) : 0;
	relay_lock(c->worker->relay);
	uint16_t legs = (uint16_t)rendezvous_legs_of(c->worker->relay->rendezvous, role);
	relay_unlock(c->worker->relay);
	link_welcome(c, link, legs);
	link_send_signed(c);
	link_send_revoked(c);
	link_send_tag_key(c);
}

static enum reason link_begin_console(struct conn *c, struct credential *credential)
{
	const struct rendezvous_link none = {0};

	if (credential->peer.role != IDENTITY_CONSOLE)
		return REASON_CERT_ROLE;
	link_welcome(c, &none, 0);
	/* WELCOME may end it, for want of memory. */
	if (!conn_ending(c))
		c->worker->relay->upward->console(c, credential);
	return REASON_OK;
}

static enum reason link_begin_agent(struct conn *c, const struct wire_message *m,
				    struct credential *credential)
{
	struct rendezvous_link link = {0};
	enum rendezvous_role role = RENDEZVOUS_AGENT;
	enum reason reason;

	if (credential->peer.role == IDENTITY_CONSOLE)
		role = RENDEZVOUS_CONSOLE;
	else if (m->hello.flags & WIRE_HELLO_TRANSIENT)
		role = RENDEZVOUS_TRANSIENT;
	reason = link_sign_in(c, credential, role, &link);
	if (reason == REASON_OK)
		link_up(c, m, credential, role, &link);
	return reason;
}

void link_begin(struct conn *c, const struct wire_message *m)
{
	struct identity_peer peer = {0};
	struct credential *credential = NULL;
	char claimed[WIRE_NAME_MAX + 1];
	enum reason reason = REASON_LIMIT_RATE;

	wire_bytes_copy(m->hello.agent, claimed, sizeof claimed);
	enum buckets_grant grant = charge_sign_in(c, claimed);
	if (grant != BUCKETS_REFUSED)
		reason = hello_check(c, m, &peer);
	if (reason == REASON_OK) {
		credential = credential_new(&peer);
		reason = credential ? enforce_peer(c->worker, credential) : REASON_LIMIT_MEMORY;
	}
	if (reason == REASON_OK)
		reason = charge_proven(c, peer.name,
				       (m->hello.flags & WIRE_HELLO_CONSOLE) &&
					       peer.role == IDENTITY_CONSOLE);
	if (reason == REASON_OK)
		charge_signed_in(c, peer.name, grant);
	if (reason == REASON_OK && (m->hello.flags & WIRE_HELLO_CONSOLE))
		reason = link_begin_console(c, credential);
	else if (reason == REASON_OK)
		reason = link_begin_agent(c, m, credential);
	if (reason != REASON_OK)
		link_refuse(c, m, reason);
	credential_release(credential);
}

/* ---- while it is up ---- */

static void link_took_over(struct conn *c, const struct rendezvous_published *p)
{
	const char *name = link_agent(c);

	if (p->renewed)
		log_notice("link", "agent=%s has a newer certificate: its older link is closed",
			   name);
	else
		log_warning("link", "agent=%s signed in again: the older link is closed", name);
	worker_count(c->worker, REASON_REPLACED);
	link_tell_replaced(c->worker->relay, p->replaced);
}

static void link_publish(struct conn *c, const struct wire_message *m)
{
	struct relay *r = c->worker->relay;
	struct wire_message answer = {.type = WIRE_PUBLISHED};
	struct rendezvous_published published;

	relay_lock(r);
	enum reason reason = rendezvous_publish(r->rendezvous, link_of(c)->id, m->publish.services,
						m->publish.count, &published);
	relay_unlock(r);
	if (reason != REASON_OK) {
		conn_refuse(c, reason);
		return;
	}
	if (published.replaced)
		link_took_over(c, &published);
	answer.published.count = (uint16_t)m->publish.count;
	conn_send_message(c, &answer);
}

static void link_refused_offer(struct conn *c, const struct wire_message *m)
{
	struct relay *r = c->worker->relay;
	slab_id asker;

	relay_lock(r);
	bool known = rendezvous_refuse(r->rendezvous, link_of(c)->id, m->refuse.session, &asker);
	relay_unlock(r);
	if (known)
		asker_tell_failed(r, asker, m->refuse.session, (enum reason)m->refuse.reason,
				  m->refuse.text);
}

/* More than an agent of ours ever says is passed over. */
static void link_prove(struct conn *c, const struct wire_message *m)
{
	struct relay *r = c->worker->relay;
	struct relay_link *l = link_of(c);

	relay_lock(r);
	bool may = rendezvous_may_prove(r->rendezvous, l->id, ring_now_ms(c->worker->ring));
	relay_unlock(r);
	if (may)
		word_send(r, l->credential, m);
	else
		worker_count(c->worker, REASON_LIMIT_RATE);
}

/* It ends a session of its own. The cause alone is taken over: what the record and the other side
 * are told is the relay's own sentence. A letter that no agent gives is passed over, as one of a
 * later version: the reset says then that it ends. */
static void link_ends(struct conn *c, const struct wire_message *m)
{
	struct wire_message ended = {.type = WIRE_ENDED, .ended = m->ended};
	struct relay *r = c->worker->relay;
	struct relay_link *l = link_of(c);
	enum ending_cause cause;

	if (!ending_of_letter((char)m->ended.cause.data[0], &cause) || !ending_by_agent(cause))
		return;
	ended.ended.text = wire_text("");
	relay_lock(r);
	bool may = rendezvous_may_end(r->rendezvous, l->id, ring_now_ms(c->worker->ring));
	relay_unlock(r);
	if (may)
		word_send(r, l->credential, &ended);
	else
		worker_count(c->worker, REASON_LIMIT_RATE);
}

static void link_trace_message(struct conn *c, const struct wire_message *m)
{
	struct relay *r = c->worker->relay;
	const char *agent = link_agent(c);

	if (m->type == WIRE_PUBLISH)
		trace_agent(r, agent, "link: PUBLISH, %zu services", m->publish.count);
	else if (m->type == WIRE_REFUSE)
		trace_agent(r, agent, "link: REFUSE of session %016" PRIx64 ": %s, \"%.*s\"",
			    m->refuse.session, reason_name(m->refuse.reason),
			    (int)m->refuse.text.len, (const char *)m->refuse.text.data);
	else
		trace_agent(r, agent, "link: %s", wire_type_name(m->type));
}

static void link_message(struct conn *c, const struct wire_message *m, bool more)
{
	struct wire_message answer;

	link_of(c)->heard_ms = ring_now_ms(c->worker->ring);
	if (trace_on(c->worker->relay))
		link_trace_message(c, m);
	switch (m->type) {
	case WIRE_PUBLISH:
		link_publish(c, m);
		break;
	case WIRE_REFUSE:
		link_refused_offer(c, m);
		break;
	case WIRE_PING:
		answer = (struct wire_message){.type = WIRE_PONG};
		answer.pong.token = m->ping.token;
		/* Where PINGs come in heaps no size tells, and answers must not grow. */
		if (!outbox_busy(&c->out))
			wire_pad(&answer, random_next(&link_of(c)->dice));
		conn_send_message(c, &answer);
		break;
	case WIRE_PONG:
		break;
	case WIRE_PROVE:
		link_prove(c, m);
		break;
	case WIRE_ENDED:
		link_ends(c, m);
		break;
	case WIRE_BYE:
		conn_finish(c);
		break;
	default:
		conn_refuse(c, REASON_PROTOCOL);
		break;
	}
}

static void link_input(struct conn *c, const uint8_t *data, size_t len)
{
	frames_input(c, data, len, link_message);
}

static void link_deadline(struct conn *c, uint64_t now_ms)
{
	uint64_t interval = c->worker->snap->config.limits.ping_ms;
	struct relay *r = c->worker->relay;

	relay_lock(r);
	bool replaced = rendezvous_link_replaced(r->rendezvous, link_of(c)->id);
	relay_unlock(r);
	if (replaced)
		conn_bye(c, REASON_REPLACED);
	else if (now_ms - link_of(c)->heard_ms > SILENT_INTERVALS * interval)
		conn_close(c, REASON_DEADLINE_IDLE);
	else
		conn_set_deadline(c, interval);
}

static void link_drain(struct conn *c)
{
	struct wire_message m = {.type = WIRE_DRAIN};

	m.drain.reconnect_after_s = RECONNECT_S;
	conn_send_message(c, &m);
}

/* Those that it has not been told on this link, as many as may wait at a time. What is signed takes
 * nothing back by not being told, so there is no list of them. */
static void link_send_signed(struct conn *c)
{
	const struct signed_revocations *all = &c->worker->snap->signed_revocations;
	struct wire_message m = {.type = WIRE_SIGNED};

	for (size_t i = 0; i < all->count; i++) {
		const struct signed_entry *e = all->entries[i];

		if (c->phase != &phase_link || outbox_waiting(&c->out) >= REVOKED_WAITING)
			return;
		if (e->number <= link_of(c)->signed_told)
			continue;
		link_of(c)->signed_told = e->number;
		m.signed_revocation.object = (struct wire_bytes){e->bytes, e->len};
		conn_send_message(c, &m);
	}
}

static void send_revoked_part(struct conn *c, uint8_t flags, const struct revocation *list,
			      size_t count)
{
	struct wire_message m = {.type = WIRE_REVOKED};

	m.revoked.flags = flags;
	m.revoked.count = count;
	for (size_t i = 0; i < count; i++)
		m.revoked.items[i] = (struct wire_revocation){
			(uint8_t)list[i].kind, wire_text(list[i].value), (uint64_t)list[i].before};
	conn_send_message(c, &m);
}

/* As much of the list as may wait at a time; the rest when that has left. */
static void link_send_more_revoked(struct conn *c)
{
	struct relay_link *l = link_of(c);
	const struct revocations *r = policy_revocations(c->worker->snap->policy);

	while (c->phase == &phase_link && l->list_mark && !l->told_list &&
	       outbox_waiting(&c->out) < REVOKED_WAITING) {
		size_t from = l->revoked, part = r->count - from;
		uint8_t flags = from == 0 ? WIRE_REVOKED_FIRST : 0;

		if (part > WIRE_REVOKED_MAX)
			part = WIRE_REVOKED_MAX;
		l->revoked += (uint32_t)part;
		l->told_list = l->revoked == r->count;
		if (l->told_list)
			flags |= WIRE_REVOKED_LAST;
		send_revoked_part(c, flags, part > 0 ? r->list + from : NULL, part);
	}
}

/* Tells an agent the list, unless it is the one that it is told already: at first also an empty
 * one, for the agent may have another since an earlier link. */
static void link_send_revoked(struct conn *c)
{
	struct relay_link *l = link_of(c);
	uint64_t mark;

	if (c->phase != &phase_link)
		return;
	mark = revocations_mark(policy_revocations(c->worker->snap->policy));
	if (l->list_mark == mark)
		return;
	l->list_mark = mark;
	l->revoked = 0;
	l->told_list = false;
	link_send_more_revoked(c);
}

static void link_send_more(struct conn *c)
{
	link_send_signed(c);
	link_send_more_revoked(c);
}

static uint32_t newest_tag_key(const struct conn *c)
{
	uint32_t first;

	memcpy(&first, c->worker->snap->tag_keys.keys[0], sizeof first);
	return first;
}

/* An agent that stays learns the newest tag key; one that was cut off before never does. */
static void link_send_tag_key(struct conn *c)
{
	struct wire_message m = {.type = WIRE_TAGKEY};

	if (c->phase != &phase_link || !link_of(c)->announced ||
	    link_of(c)->tag_key == newest_tag_key(c))
		return;
	link_of(c)->tag_key = newest_tag_key(c);
	memcpy(m.tagkey.key, c->worker->snap->tag_keys.keys[0], sizeof m.tagkey.key);
	conn_send_message(c, &m);
	OPENSSL_cleanse(&m.tagkey, sizeof m.tagkey);
}

/* ---- its end ---- */

static void link_orphaned(void *context, slab_id asker, uint64_t session)
{
	asker_tell_failed(context, asker, session, REASON_PEER_GONE,
			  wire_text(reason_sentence(REASON_PEER_GONE)));
}

static void link_leave(struct conn *c, enum reason why)
{
	struct relay *r = c->worker->relay;
	struct relay_link *l = link_of(c);
	const char *agent = l->credential->peer.name;

	if (l->ending != REASON_OK)
		why = l->ending;
	relay_lock(r);
	rendezvous_sign_out(r->rendezvous, l->id, link_orphaned, r);
	relay_unlock(r);
	link_log(l, "down agent=%s%s%s", agent, why != REASON_OK ? " reason=" : "",
		 why != REASON_OK ? reason_name(why) : "");
	TRACE_AGENT(r, agent, "link: down%s%s", why != REASON_OK ? ": " : "",
		    why != REASON_OK ? reason_name(why) : "");
	if (l->announced)
		report_agent(c, agent, "agent.down", l->ending);
}

static void link_dispose(struct conn *c)
{
	credential_release(link_of(c)->credential);
}

/* The sentence to the agent says what to do; the record says why it went. */
static void link_judge(struct conn *c)
{
	struct relay_link *l = link_of(c);

	l->ending = enforce_peer(c->worker, l->credential);
	if (l->ending == REASON_OK)
		return;
	log_notice("link", "agent=%s may not go on: %s: %s", l->credential->peer.name,
		   reason_name(l->ending), reason_sentence(l->ending));
	conn_refuse(c, l->ending);
}

static void link_adopt(struct conn *c)
{
	link_send_signed(c);
	link_send_revoked(c);
	link_send_tag_key(c);
}

static_assert(sizeof(struct relay_link) <= CONN_STATE_BYTES, "a link fits into its connection");

static const struct conn_state link_state = {
	.leave = link_leave,
	.dispose = link_dispose,
};

static const struct conn_phase phase_link = {
	.name = "link",
	.state = &link_state,
	.input = link_input,
	.deadline = link_deadline,
	.sent = link_send_more,
	.drain = link_drain,
	.adopt = link_adopt,
	.judge = link_judge,
};
