/* SPDX-License-Identifier: Apache-2.0 */
/* link: the live link to one relay: link_state on a connection. */
#include "agent/relays/links.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/mem.h>
#include <openssl/rand.h>

#include "core/container.h"
#include "core/log.h"
#include "core/random.h"

static void link_act(struct agent_link *l, unsigned actions, const struct wire_message *m);

/* ---- messages out ---- */

static void send_hello(struct agent_link *l)
{
	const struct agent_setup *setup = l->set->setup;
	uint8_t flags = setup->transient ? WIRE_HELLO_TRANSIENT : 0;
	uint8_t signature[WIRE_SIGNATURE_MAX];
	struct wire_message m;

	if (dial_hello(setup, l->channel.tls, flags, signature, &m)) {
		(void)channel_send(&l->channel, &m);
		return;
	}
	channel_close(&l->channel);
	link_act(l,
		 link_state_lost(&l->state, ring_now_ms(l->worker->ring),
				 "the relay does not speak TLS 1.3"),
		 NULL);
}

static void send_publish(struct agent_link *l)
{
	const struct conf_array *list = &l->set->setup->config->publish;
	const struct agent_publish *publish = list->items;
	struct wire_message *m = calloc(1, sizeof(*m));

	if (!m)
		return;
	m->type = WIRE_PUBLISH;
	if (!l->set->setup->transient)
		for (size_t i = 0; i < list->count && i < WIRE_SERVICES_MAX; i++)
			m->publish.services[m->publish.count++] = wire_text(publish[i].service);
	(void)channel_send(&l->channel, m);
	free(m);
}

static void send_bye(struct agent_link *l)
{
	bool more = l->state.said == REASON_EXTENSION || l->state.said != l->state.reason;
	const struct wire_message m = {
		.type = WIRE_BYE,
		.bye = {.reason = (uint16_t)l->state.said,
			.text = wire_text(more ? l->state.why : "")},
	};

	(void)channel_send(&l->channel, &m);
}

void agent_link_refuse(struct agent_link *l, uint64_t session, enum reason reason, const char *text)
{
	const struct wire_message m = {
		.type = WIRE_REFUSE,
		.refuse = {.session = session, .reason = (uint16_t)reason, .text = wire_text(text)},
	};

	log_debug("link", "relay=%s refused session=%" PRIx64 " reason=%s", l->label, session,
		  reason_name(reason));
	(void)channel_send(&l->channel, &m);
}

bool agent_link_prove(struct agent_link *l, uint64_t session, const uint8_t *signature, size_t len)
{
	struct wire_message m = {.type = WIRE_PROVE,
				 .prove = {.session = session, .signature = {signature, len}}};

	identity_certificate_der(l->set->setup->self.identity, &m.prove.certificate.data,
				 &m.prove.certificate.len);
	return link_state_live(&l->state) && channel_send(&l->channel, &m);
}

/* Where much waits the word would come too late, and others would wait behind it. */
bool agent_link_ends(struct agent_link *l, uint64_t session, enum ending_cause cause)
{
	const struct wire_message m = {.type = WIRE_ENDED,
				       .ended = {.session = session,
						 .cause = wire_text(ending_letter(cause)),
						 .text = wire_text("")}};

	return link_state_live(&l->state) &&
	       outbox_waiting(&l->channel.out) < CHANNEL_OUTPUT_PAUSE &&
	       channel_send(&l->channel, &m);
}

/* ---- what the state machine says ---- */

static void link_dialled(void *owner, int fd, struct tls *tls, const struct identity_peer *relay,
			 const struct addr *reached, const char *error);

static void link_dial(struct agent_link *l)
{
	if (l->channel.state != CHANNEL_UNUSED) {
		l->dial_wanted = true;
		return;
	}
	l->dial_wanted = false;
	l->proxied = http_proxy_applies(&l->set->setup->self.proxy, l->relay.address.host);
	l->dial = dial_start(l->worker, l->set->setup, &l->relay, NULL, link_dialled, l);
	if (!l->dial)
		link_act(
			l,
			link_state_failed(&l->state, ring_now_ms(l->worker->ring), "out of memory"),
			NULL);
}

/* What has been told of a list; what was in force stays in force. */
static void link_forget_list(struct agent_link *l)
{
	revocations_free(&l->listed);
	l->listing = false;
}

/* Begins or ends to ask over STUN, as the configuration and the link have it. */
static void link_ask_stun(struct agent_link *l)
{
	const struct agent_setup *setup = l->set->setup;
	bool ask = link_state_live(&l->state) && setup->config->stun && !setup->transient &&
		   !l->proxied;

	if (!ask) {
		reflexive_stop(l->reflexive);
		l->reflexive = NULL;
	} else if (!l->reflexive) {
		l->reflexive =
			reflexive_start(l->worker, l->channel.fd, l->id, l->secret, l->label);
	}
}

static void came_up(struct agent_link *l, const struct wire_message *m)
{
	char relay[WIRE_RELAY_MAX + 1], address[WIRE_ADDRESS_MAX + 1];

	assert(m); /* only WELCOME leads here */
	link_forget_list(l);
	l->signed_refused = 0;
	l->failures = 0;
	if (l->told != REASON_LINK_ELSEWHERE) /* that is found out only when it is up */
		l->told = REASON_OK;
	l->id = m->welcome.link;
	memcpy(l->secret, m->welcome.leg_secret, sizeof(l->secret));
	wire_bytes_copy(m->welcome.relay, relay, sizeof(relay));
	wire_bytes_copy(m->welcome.your_address, address, sizeof(address));
	log_recorded(LOG_LEVEL_NOTICE, "link", "up relay=%s agent=%s", l->label,
		     l->set->setup->config->name);
	log_info("link", "relay=%s calls itself %s and sees us at %s", l->label, relay, address);
	legs_open(l, m->welcome.max_legs);
	link_ask_stun(l);
	l->set->events->up(l);
}

/* What the operator must act on is an error, once; what passes by itself is not. */
static void log_trouble(struct agent_link *l)
{
	enum log_level level = l->failures > 1 ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING;

	if (link_state_refused(&l->state) || l->state.reason == REASON_REPLACED) {
		level = l->told == l->state.reason ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR;
		l->told = l->state.reason;
	}
	log_at(level, "link", "relay=%s: %s; next attempt in %.1f s", l->label, l->state.why,
	       (double)l->state.retry_ms / 1000);
}

static void went_down(struct agent_link *l)
{
	bool replaced = l->retired_ms && l->state.reason == REASON_REPLACED;
	const char *why = replaced ? "a new sign-in of this agent took its place" : l->state.why;
	enum reason reason = l->state.reason ? l->state.reason : REASON_LINK_GONE;

	log_recorded(LOG_LEVEL_NOTICE, "link", "down relay=%s reason=%s", l->label, why);
	if (l->state.phase == LINK_WAITING && l->state.reason != REASON_OK && !replaced)
		log_trouble(l);
	l->set->events->down(l, reason, why);
	legs_shut(l, why);
	reflexive_stop(l->reflexive);
	l->reflexive = NULL;
	OPENSSL_cleanse(l->secret, sizeof(l->secret));
}

/* A part of the list. It counts when it is whole: then what it revokes ends, of this relay. */
static void take_revoked(struct agent_link *l, const struct wire_message *m)
{
	struct agent_links *set = l->set;
	size_t dropped;

	assert(m); /* only REVOKED leads here */
	if (m->revoked.flags & WIRE_REVOKED_FIRST) {
		link_forget_list(l);
		l->listing = true;
	}
	if (!l->listing)
		return;
	for (size_t i = 0; i < m->revoked.count; i++) {
		const struct wire_revocation *told = &m->revoked.items[i];
		struct revocation r = {.kind = (enum wire_revocation_kind)told->kind,
				       .before = (int64_t)told->before};

		wire_bytes_copy(told->value, r.value, sizeof(r.value));
		(void)!revocations_add(&l->listed, &r);
	}
	if (!(m->revoked.flags & WIRE_REVOKED_LAST))
		return;
	l->listing = false;
	dropped = l->listed.dropped;
	if (dropped > 0)
		log_error("link",
			  "relay=%s: of its revocations this agent does not know %zu, since it "
			  "keeps %u of a relay; let certificates expire instead",
			  l->label, dropped, REVOCATIONS_LIST_MAX);
	revocations_finish(&l->listed);
	if (agent_links_heard(set, l, &l->listed))
		set->events->revoked(set);
	agent_links_judge(set); /* also by a list that is known: this link may be new */
}

static void link_disconnect(struct agent_link *l, bool politely)
{
	if (l->dial)
		dial_cancel(l->dial);
	l->dial = NULL;
	l->dial_wanted = false;
	if (politely)
		channel_finish(&l->channel);
	else
		channel_close(&l->channel);
}

static void link_set_timer(struct agent_link *l)
{
	uint64_t due = link_state_due(&l->state), now_ms = ring_now_ms(l->worker->ring);

	if (due == UINT64_MAX)
		ring_timer_cancel(l->worker->ring, &l->timer);
	else
		ring_timer_set(l->worker->ring, &l->timer, due > now_ms ? due - now_ms : 0);
}

static void became_silent(struct agent_link *l)
{
	log_warning("link", "relay=%s does not answer: what waits for it is tried elsewhere",
		    l->label);
	agent_links_again(l->set, l);
	l->set->events->silent(l);
}

static void answers_again(struct agent_link *l)
{
	log_notice("link", "relay=%s answers again", l->label);
	agent_links_heard_again(l->set, l);
	legs_balance(l);
	l->set->events->changed(l->set);
}

/* In the order of link_action's values. */
static void link_act(struct agent_link *l, unsigned actions, const struct wire_message *m)
{
	struct wire_message ping = {.type = WIRE_PING, .ping.token = l->state.token};
	struct wire_message pong = {.type = WIRE_PONG};

	link_set_timer(l);
	if (actions & LINK_DO_DIAL)
		link_dial(l);
	if (actions & LINK_DO_SIGN_IN)
		send_hello(l);
	if (actions & LINK_DO_UP)
		came_up(l, m);
	if (actions & LINK_DO_PUBLISH)
		send_publish(l);
	if (actions & LINK_DO_OFFER)
		l->set->events->offer(l, m);
	if (actions & LINK_DO_PING) {
		wire_pad(&ping, random_next(&l->state.dice));
		(void)channel_send(&l->channel, &ping);
	}
	if (actions & LINK_DO_PONG) {
		assert(m);
		pong.pong.token = m->ping.token;
		/* Where PINGs come in heaps no size tells, and answers must not grow. */
		if (!outbox_busy(&l->channel.out))
			wire_pad(&pong, random_next(&l->state.dice));
		(void)channel_send(&l->channel, &pong);
	}
	if (actions & LINK_DO_BYE)
		send_bye(l);
	if (actions & LINK_DO_CLOSE)
		link_disconnect(l, actions & LINK_DO_BYE);
	if (actions & LINK_DO_DOWN)
		went_down(l);
	if (actions & LINK_DO_WAIT) {
		l->failures++;
		log_trouble(l);
	}
	if (actions & LINK_DO_REVOKE)
		take_revoked(l, m);
	if (actions & LINK_DO_TAKE_SIGNED) {
		assert(m);
		agent_links_take_signed(l->set, l, m->signed_revocation.object);
	}
	if (actions & LINK_DO_TAG_KEY) {
		assert(m);
		agent_links_learn(l->set, l, m->tagkey.key);
	}
	if (actions & LINK_DO_PROVE)
		l->set->events->proves(l, m);
	if (actions & LINK_DO_ENDED)
		l->set->events->ended(l, m);
	if (actions & LINK_DO_DOUBT)
		became_silent(l);
	if (actions & LINK_DO_TRUST)
		answers_again(l);
	if (actions & LINK_DO_COMPLETE)
		agent_links_took_over(l->set, l);
	if (actions & LINK_DO_UP)
		l->set->events->changed(l->set);
	if (l->retired_ms && l->state.phase == LINK_WAITING)
		agent_link_stop(l, l->state.why);
	else if (link_state_refused(&l->state))
		agent_links_one_refused(l->set);
}

void agent_link_leave(struct agent_link *l, enum reason reason, const char *why)
{
	unsigned actions = link_state_leave(&l->state, ring_now_ms(l->worker->ring), reason, why);

	if (actions)
		link_act(l, actions, NULL);
}

void agent_link_ask(struct agent_link *l)
{
	unsigned actions = link_state_ask(&l->state, ring_now_ms(l->worker->ring));

	if (actions)
		link_act(l, actions, NULL);
}

void agent_link_elsewhere(struct agent_link *l)
{
	unsigned actions = link_state_elsewhere(&l->state, ring_now_ms(l->worker->ring));

	if (actions)
		link_act(l, actions, NULL);
}

/* ---- what happens ---- */

static void link_channel_message(struct channel *c, const struct wire_message *m)
{
	struct agent_link *l = container(c, struct agent_link, channel);
	bool was_draining = l->state.phase == LINK_DRAINING;

	link_act(l, link_state_message(&l->state, ring_now_ms(l->worker->ring), m), m);
	if (!was_draining && l->state.phase == LINK_DRAINING)
		log_notice("link", "draining relay=%s", l->label);
}

static void link_channel_unacceptable(struct channel *c, enum reason reason, const char *why)
{
	struct agent_link *l = container(c, struct agent_link, channel);

	link_act(l, link_state_refuse(&l->state, ring_now_ms(l->worker->ring), reason, why), NULL);
}

static void link_channel_lost(struct channel *c, const char *why)
{
	struct agent_link *l = container(c, struct agent_link, channel);

	channel_close(c);
	link_act(l, link_state_lost(&l->state, ring_now_ms(l->worker->ring), why), NULL);
}

static void link_channel_closed(struct channel *c)
{
	struct agent_link *l = container(c, struct agent_link, channel);

	if (l->dial_wanted)
		link_dial(l);
}

/* The next attempt is with another key, if there is one. */
static void link_channel_unknown(struct channel *c)
{
	container(c, struct agent_link, channel)->tag_turn++;
}

static const struct channel_events link_channel_events = {
	.unknown = link_channel_unknown,
	.message = link_channel_message,
	.unacceptable = link_channel_unacceptable,
	.lost = link_channel_lost,
	.closed = link_channel_closed,
};

static void link_dialled(void *owner, int fd, struct tls *tls, const struct identity_peer *relay,
			 const struct addr *reached, const char *error)
{
	struct agent_link *l = owner;
	uint64_t now_ms = ring_now_ms(l->worker->ring);

	l->dial = NULL;
	if (error) {
		link_act(l, link_state_failed(&l->state, now_ms, error), NULL);
		return;
	}
	link_trust_take(l, relay);
	l->at = reached ? *reached : (struct addr){.len = 0};
	/* Where no tag can be made no HELLO can be signed either, which says why. */
	(void)!channel_start(&l->channel, l->worker, fd, tls, agent_link_tag_key(l),
			     &link_channel_events);
	link_act(l, link_state_dialled(&l->state, now_ms), NULL);
}

static void link_timer_fired(struct timer *t, uint64_t now_ms)
{
	struct agent_link *l = container(t, struct agent_link, timer);

	link_act(l, link_state_tick(&l->state, now_ms), NULL);
}

/* ---- tag keys ---- */

const uint8_t *agent_link_tag_key(const struct agent_link *l)
{
	const struct conf_tag_keys *own = &l->set->setup->self.tag_keys;
	const uint8_t *learned = agent_links_learned(l->set, l);
	size_t count = own->count + (learned != NULL), turn = l->tag_turn % count;

	if (learned && turn == 0)
		return learned;
	return own->keys[turn - (learned != NULL)];
}

/* ---- life ---- */

struct agent_link *agent_link_new(struct agent_links *set, const struct agent_relay *relay)
{
	struct agent_link *l = calloc(1, sizeof(*l));
	uint64_t seeds[2];

	if (!l)
		return NULL;
	l->relay = *relay;
	if (relay->server_name) {
		l->relay.server_name = strdup(relay->server_name);
		if (!l->relay.server_name) {
			free(l);
			return NULL;
		}
	}
	RAND_bytes((uint8_t *)seeds, sizeof(seeds));
	l->set = set;
	l->worker = set->worker;
	l->timer.fire = link_timer_fired;
	endpoint_text(&relay->address, l->label);
	link_state_init(&l->state, set->setup->config->retry_max_ms, seeds[0]);
	legs_init(l, seeds[1]);
	return l;
}

void agent_link_start(struct agent_link *l)
{
	link_act(l, link_state_start(&l->state, ring_now_ms(l->worker->ring)), NULL);
}

void agent_link_stop(struct agent_link *l, const char *why)
{
	char kept[sizeof(l->state.why)];

	l->retired_ms = 0;
	if (l->state.phase == LINK_DOWN)
		return;
	snprintf(kept, sizeof(kept), "%s", why); /* it may be the link's own */
	link_act(l, link_state_stop(&l->state, ring_now_ms(l->worker->ring), kept), NULL);
	legs_shut(l, kept);
	link_forget_list(l);
}

bool agent_link_quiet(const struct agent_link *l)
{
	return l->state.phase == LINK_DOWN && !l->dial && l->channel.state == CHANNEL_UNUSED &&
	       !l->legs.legs && l->users == 0;
}

void agent_link_adopt(struct agent_link *l, bool publish)
{
	link_state_set_retry_max(&l->state, l->set->setup->config->retry_max_ms);
	legs_adopt(l);
	link_ask_stun(l);
	if (publish)
		link_act(l, link_state_publish(&l->state), NULL);
}

void agent_link_free(struct agent_link *l)
{
	if (!l)
		return;
	reflexive_stop(l->reflexive);
	OPENSSL_cleanse(l->secret, sizeof(l->secret));
	link_forget_list(l);
	link_trust_drop(l);
	free(l->relay.server_name);
	free(l);
}
