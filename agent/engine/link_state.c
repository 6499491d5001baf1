/* SPDX-License-Identifier: Apache-2.0 */
/* link_state: one relay's link as a state machine; link_state.h tells how it works. */
#include "agent/engine/link_state.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/probe.h"
#include "core/random.h"

#define FIRST_RETRY_MS 500u

static const char *const phase_names[] = {"down", "dialling", "signing in",
					  "up",	  "draining", "waiting"};
static_assert(sizeof(phase_names) / sizeof(phase_names[0]) == LINK_PHASES, "a name per phase");

const char *link_phase_name(enum link_phase phase)
{
	return phase_names[phase];
}

static void link_state_change(struct link_state *l, enum link_phase to)
{
	PROBE_LINK_PHASE(l, phase_names[l->phase], phase_names[to]);
	l->phase = to;
	l->changes++;
}

static uint64_t later_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void link_state_init(struct link_state *l, uint64_t retry_max_ms, uint64_t seed)
{
	*l = (struct link_state){.phase = LINK_DOWN, .retry_max_ms = retry_max_ms, .dice = ~seed};
	backoff_init(&l->backoff, FIRST_RETRY_MS, retry_max_ms, seed);
}

static bool is_lasting(enum reason reason)
{
	switch (reason) {
	case REASON_CERT_UNTRUSTED:
	case REASON_CERT_EXPIRED:
	case REASON_CERT_ROLE:
	case REASON_REVOKED:
	case REASON_VERSION:
	case REASON_EXTENSION:
	case REASON_LINK_ELSEWHERE:
		return true;
	default:
		return false;
	}
}

bool link_state_refused(const struct link_state *l)
{
	return l->phase == LINK_WAITING && is_lasting(l->reason);
}

static uint64_t pause_revoked(struct link_state *l, uint64_t now_ms)
{
	uint64_t bound_ms = later_of(l->retry_max_ms, FIRST_RETRY_MS);

	if (!l->revoked)
		l->revoked_ms = now_ms;
	l->revoked = true;
	if (now_ms - l->revoked_ms < LINK_REVOKED_SOON_MS && bound_ms > LINK_REVOKED_MS)
		bound_ms = LINK_REVOKED_MS;
	return backoff_within(&l->backoff, bound_ms);
}

/* How long to stay away after reason. */
static uint64_t pause_for(struct link_state *l, uint64_t now_ms, enum reason reason)
{
	if (reason == REASON_REPLACED)
		return backoff_next_slow(&l->backoff, LINK_REPLACED_MS, LINK_REPLACED_MAX_MS);
	if (reason == REASON_REVOKED)
		return pause_revoked(l, now_ms);
	if (is_lasting(reason))
		return later_of(l->retry_max_ms, FIRST_RETRY_MS);
	return backoff_next(&l->backoff);
}

static unsigned wait_after(struct link_state *l, uint64_t now_ms, enum reason reason)
{
	bool was_up = link_state_live(l);

	if (was_up)
		backoff_lasted(&l->backoff, now_ms - l->up_since_ms);
	l->reason = l->said = reason;
	l->retry_ms = pause_for(l, now_ms, reason);
	if (l->drain_until_ms > now_ms + l->retry_ms)
		l->retry_ms = l->drain_until_ms - now_ms;
	l->drain_until_ms = 0;
	l->asked = l->doubted = l->elsewhere = false;
	l->due_ms = now_ms + l->retry_ms;
	link_state_change(l, LINK_WAITING);
	return was_up ? LINK_DO_DOWN : LINK_DO_WAIT;
}

static unsigned protocol_error(struct link_state *l, uint64_t now_ms, const struct wire_message *m)
{
	snprintf(l->why, sizeof(l->why), "the relay sent %s while the link was %s",
		 wire_type_name(m->type), link_phase_name(l->phase));
	return wait_after(l, now_ms, REASON_PROTOCOL) | LINK_DO_BYE | LINK_DO_CLOSE;
}

unsigned link_state_refuse(struct link_state *l, uint64_t now_ms, enum reason reason,
			   const char *why)
{
	if (l->phase != LINK_SIGNING_IN && !link_state_live(l))
		return 0;
	snprintf(l->why, sizeof(l->why), "%s", why);
	return wait_after(l, now_ms, reason) | LINK_DO_BYE | LINK_DO_CLOSE;
}

unsigned link_state_leave(struct link_state *l, uint64_t now_ms, enum reason reason,
			  const char *why)
{
	unsigned actions;

	if (l->phase != LINK_SIGNING_IN && !link_state_live(l))
		return 0;
	snprintf(l->why, sizeof(l->why), "%s", why);
	/* Of the relay: its reason is none of our own refusals, and may pass with the next dial. */
	actions = wait_after(l, now_ms, REASON_LINK_GONE) | LINK_DO_BYE | LINK_DO_CLOSE;
	l->said = reason;
	return actions;
}

unsigned link_state_start(struct link_state *l, uint64_t now_ms)
{
	if (l->phase != LINK_DOWN)
		return 0;
	link_state_change(l, LINK_DIALLING);
	return LINK_DO_DIAL;
}

unsigned link_state_dialled(struct link_state *l, uint64_t now_ms)
{
	if (l->phase != LINK_DIALLING)
		return LINK_DO_CLOSE;
	l->due_ms = now_ms + LINK_SIGN_IN_MS;
	link_state_change(l, LINK_SIGNING_IN);
	return LINK_DO_SIGN_IN;
}

unsigned link_state_failed(struct link_state *l, uint64_t now_ms, const char *why)
{
	if (l->phase != LINK_DIALLING)
		return 0;
	snprintf(l->why, sizeof(l->why), "%s", why);
	return wait_after(l, now_ms, REASON_OK);
}

unsigned link_state_lost(struct link_state *l, uint64_t now_ms, const char *why)
{
	if (l->phase != LINK_SIGNING_IN && !link_state_live(l))
		return 0;
	snprintf(l->why, sizeof(l->why), "%s", why);
	return wait_after(l, now_ms, REASON_OK);
}

static const char elsewhere_text[] =
	"a leg reached another relay than its link: the name leads to several relays, and whatever "
	"divides connections between them does not keep an agent's together; give each relay a "
	"name of its own, and name them all under relays";

/* No two alike: a clock's beat would tell a link from a browser's connection. Of the intervals of
 * silence that end a link two are sure to have a PING. */
static void ping_later(struct link_state *l, uint64_t now_ms)
{
	uint64_t spread_ms = l->interval_ms / LINK_PING_SPREAD;

	l->ping_due_ms =
		now_ms + l->interval_ms - spread_ms + random_next(&l->dice) % (2 * spread_ms + 1);
}

static unsigned link_state_welcomed(struct link_state *l, uint64_t now_ms,
				    const struct wire_message *m)
{
	l->interval_ms = m->welcome.ping_interval_s ? m->welcome.ping_interval_s * UINT64_C(1000)
						    : LINK_PING_MS;
	ping_later(l, now_ms);
	l->up_since_ms = now_ms;
	l->publishing = 1;
	l->complete = false;
	l->revoked = false;
	link_state_change(l, LINK_UP);
	return LINK_DO_UP | LINK_DO_PUBLISH;
}

/* The relay ended the link and said why. */
static unsigned link_state_dismissed(struct link_state *l, uint64_t now_ms,
				     const struct wire_message *m)
{
	char said[WIRE_TEXT_MAX + 1];

	wire_bytes_copy(m->bye.text, said, sizeof(said));
	if (m->bye.reason == REASON_REPLACED)
		snprintf(l->why, sizeof(l->why),
			 "another agent signed in with this agent's name; give every agent a name "
			 "and certificate of its own");
	else if (m->bye.reason == REASON_REVOKED)
		snprintf(l->why, sizeof(l->why),
			 "the operator has revoked this agent's certificate; ask for a new one "
			 "('postern pki issue')");
	else
		snprintf(l->why, sizeof(l->why), "the relay said: %s",
			 said[0] ? said : reason_sentence(m->bye.reason));
	return wait_after(l, now_ms, (enum reason)m->bye.reason) | LINK_DO_CLOSE;
}

static unsigned link_state_drained(struct link_state *l, uint64_t now_ms,
				   const struct wire_message *m)
{
	uint64_t after = m->drain.reconnect_after_s * UINT64_C(1000);

	if (l->phase == LINK_DRAINING)
		return 0;
	l->drain_until_ms = now_ms + (after < LINK_DRAIN_MAX_MS ? after : LINK_DRAIN_MAX_MS);
	/* A relay that drains but never closes: leave by ourselves, and come back. */
	l->due_ms = later_of(l->drain_until_ms, now_ms + LINK_SIGN_IN_MS);
	link_state_change(l, LINK_DRAINING);
	return 0;
}

unsigned link_state_ask(struct link_state *l, uint64_t now_ms)
{
	if (!link_state_live(l) || l->asked || l->doubted)
		return 0;
	l->asked = true;
	l->answer_due_ms = now_ms + LINK_ANSWER_MS;
	ping_later(l, now_ms);
	l->token++;
	return LINK_DO_PING;
}

unsigned link_state_elsewhere(struct link_state *l, uint64_t now_ms)
{
	if (!link_state_live(l) || l->elsewhere)
		return 0;
	l->elsewhere = true;
	l->asked = l->doubted = false; /* only an answer to this PING tells */
	return link_state_ask(l, now_ms);
}

static unsigned link_state_ponged(struct link_state *l, uint64_t now_ms,
				  const struct wire_message *m)
{
	if (l->elsewhere && m->pong.token == l->token)
		return link_state_refuse(l, now_ms, REASON_LINK_ELSEWHERE, elsewhere_text);
	return 0;
}

static unsigned live_message(struct link_state *l, uint64_t now_ms, const struct wire_message *m)
{
	switch (m->type) {
	case WIRE_PUBLISHED:
		if (l->publishing == 0)
			return protocol_error(l, now_ms, m);
		l->publishing--;
		if (l->complete)
			return 0;
		l->complete = true;
		return LINK_DO_COMPLETE;
	case WIRE_OFFER:
		return LINK_DO_OFFER;
	case WIRE_PING:
		return LINK_DO_PONG;
	case WIRE_PONG:
		return link_state_ponged(l, now_ms, m);
	case WIRE_DRAIN:
		return link_state_drained(l, now_ms, m);
	case WIRE_REVOKED:
		return LINK_DO_REVOKE;
	case WIRE_SIGNED:
		return LINK_DO_TAKE_SIGNED;
	case WIRE_TAGKEY:
		return LINK_DO_TAG_KEY;
	case WIRE_PROVE:
		return LINK_DO_PROVE;
	case WIRE_ENDED:
		return LINK_DO_ENDED;
	default:
		return protocol_error(l, now_ms, m);
	}
}

unsigned link_state_message(struct link_state *l, uint64_t now_ms, const struct wire_message *m)
{
	if (l->phase != LINK_SIGNING_IN && !link_state_live(l))
		return 0;
	l->heard_ms = now_ms;
	if (m->type == WIRE_BYE)
		return link_state_dismissed(l, now_ms, m);
	if (link_state_live(l)) {
		unsigned trust = l->doubted && !l->elsewhere ? LINK_DO_TRUST : 0;

		l->doubted = false;
		l->asked &= l->elsewhere;
		return live_message(l, now_ms, m) | trust;
	}
	if (m->type == WIRE_WELCOME)
		return link_state_welcomed(l, now_ms, m);
	return protocol_error(l, now_ms, m);
}

unsigned link_state_publish(struct link_state *l)
{
	if (!link_state_live(l))
		return 0; /* WELCOME leads to one */
	l->publishing++;
	return LINK_DO_PUBLISH;
}

void link_state_set_retry_max(struct link_state *l, uint64_t retry_max_ms)
{
	l->retry_max_ms = retry_max_ms;
	backoff_set_max(&l->backoff, retry_max_ms);
}

unsigned link_state_stop(struct link_state *l, uint64_t now_ms, const char *why)
{
	bool connected = l->phase == LINK_SIGNING_IN || link_state_live(l);
	unsigned actions = LINK_DO_CLOSE;

	if (connected)
		actions |= LINK_DO_BYE;
	if (link_state_live(l))
		actions |= LINK_DO_DOWN;
	l->reason = l->said = REASON_SHUTDOWN;
	snprintf(l->why, sizeof(l->why), "%s", why);
	l->drain_until_ms = 0;
	l->asked = l->doubted = l->elsewhere = false;
	link_state_change(l, LINK_DOWN);
	return actions;
}

static unsigned live_tick(struct link_state *l, uint64_t now_ms)
{
	uint64_t silent_ms = l->interval_ms * LINK_SILENT_INTERVALS;

	if (now_ms >= l->heard_ms + silent_ms) {
		snprintf(l->why, sizeof(l->why),
			 "nothing was heard from the relay for %" PRIu64 " s", silent_ms / 1000);
		return wait_after(l, now_ms, REASON_TIMEOUT) | LINK_DO_CLOSE;
	}
	if (l->phase == LINK_DRAINING && now_ms >= l->due_ms) {
		snprintf(l->why, sizeof(l->why), "the relay drained");
		return wait_after(l, now_ms, REASON_DRAINING) | LINK_DO_BYE | LINK_DO_CLOSE;
	}
	if (l->asked && now_ms >= l->answer_due_ms) {
		l->asked = false;
		if (l->elsewhere) {
			snprintf(l->why, sizeof(l->why),
				 "the relay was started anew: it does not know this sign-in");
			return wait_after(l, now_ms, REASON_LINK_GONE) | LINK_DO_CLOSE;
		}
		l->doubted = true;
		return LINK_DO_DOUBT;
	}
	if (now_ms < l->ping_due_ms)
		return 0;
	ping_later(l, now_ms);
	l->token++;
	return LINK_DO_PING;
}

unsigned link_state_tick(struct link_state *l, uint64_t now_ms)
{
	switch (l->phase) {
	case LINK_WAITING:
		if (now_ms < l->due_ms)
			return 0;
		link_state_change(l, LINK_DIALLING);
		return LINK_DO_DIAL;
	case LINK_SIGNING_IN:
		if (now_ms < l->due_ms)
			return 0;
		snprintf(l->why, sizeof(l->why),
			 "the relay did not answer our HELLO; check that "
			 "the address is that of a Postern relay");
		return wait_after(l, now_ms, REASON_TIMEOUT) | LINK_DO_CLOSE;
	case LINK_UP:
	case LINK_DRAINING:
		return live_tick(l, now_ms);
	default:
		return 0;
	}
}

uint64_t link_state_due(const struct link_state *l)
{
	uint64_t due = UINT64_MAX;

	if (l->phase == LINK_WAITING || l->phase == LINK_SIGNING_IN)
		return l->due_ms;
	if (!link_state_live(l))
		return due;
	due = l->heard_ms + l->interval_ms * LINK_SILENT_INTERVALS;
	if (l->ping_due_ms < due)
		due = l->ping_due_ms;
	if (l->asked && l->answer_due_ms < due)
		due = l->answer_due_ms;
	if (l->phase == LINK_DRAINING && l->due_ms < due)
		due = l->due_ms;
	return due;
}
