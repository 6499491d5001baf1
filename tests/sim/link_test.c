/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_test: an agent's link on a fake clock: every message in every phase, what makes it wait, and
 * a day with a relay that does what it likes. A failure prints its seed; SIM_SEED=N runs from
 * it.
 *
 * links: agent/engine/link_state.c agent/engine/backoff.c core/parse/wire.c core/parse/reason.c
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "agent/engine/link_state.h"

#define RETRY_MAX_MS 30000u

/* Actions that a test does not look at. */
static void ignore(unsigned actions)
{
}

static struct wire_message message(enum wire_type type)
{
	struct wire_message m;

	memset(&m, 0, sizeof(m));
	m.type = type;
	return m;
}

static struct wire_message bye(enum reason reason, const char *text)
{
	struct wire_message m = message(WIRE_BYE);

	m.bye.reason = (uint16_t)reason;
	m.bye.text = wire_text(text);
	return m;
}

/* A link in the phase, at now_ms. */
static struct link_state link_in(enum link_phase phase, uint64_t now_ms)
{
	struct wire_message welcome = message(WIRE_WELCOME), drain = message(WIRE_DRAIN);
	struct link_state l;

	welcome.welcome.ping_interval_s = 10;
	drain.drain.reconnect_after_s = 60;
	link_state_init(&l, RETRY_MAX_MS, 42);
	if (phase == LINK_DOWN)
		return l;
	assert_int_equal(link_state_start(&l, now_ms), LINK_DO_DIAL);
	if (phase == LINK_DIALLING)
		return l;
	if (phase == LINK_WAITING) {
		assert_int_equal(link_state_failed(&l, now_ms, "no"), LINK_DO_WAIT);
		return l;
	}
	assert_int_equal(link_state_dialled(&l, now_ms), LINK_DO_SIGN_IN);
	if (phase == LINK_SIGNING_IN)
		return l;
	assert_int_equal(link_state_message(&l, now_ms, &welcome), LINK_DO_UP | LINK_DO_PUBLISH);
	if (phase == LINK_DRAINING)
		assert_int_equal(link_state_message(&l, now_ms, &drain), 0);
	assert_int_equal(l.phase, phase);
	return l;
}

/* ---- the ordinary course ---- */

static void a_link_comes_up_and_may_be_used(void **state)
{
	struct link_state l = link_in(LINK_SIGNING_IN, 1000);
	struct wire_message welcome = message(WIRE_WELCOME), published = message(WIRE_PUBLISHED);

	assert_false(link_state_usable(&l));
	assert_int_equal(link_state_message(&l, 1000, &welcome), LINK_DO_UP | LINK_DO_PUBLISH);
	assert_true(link_state_usable(&l));
	assert_int_equal(l.interval_ms, LINK_PING_MS); /* the relay named none */
	assert_int_equal(link_state_message(&l, 1001, &published), LINK_DO_COMPLETE);
}

static void a_link_pings_and_a_silent_one_is_dead(void **state)
{
	struct link_state l = link_in(LINK_UP, 0);
	struct wire_message pong = message(WIRE_PONG);
	uint64_t now = 0, due, heard, shortest = UINT64_MAX, longest = 0;
	unsigned pings = 0;

	for (uint64_t i = 1; i <= 200; i++, now = due) {
		due = link_state_due(&l);
		assert_in_range(due - now, 8000, 12000);
		shortest = due - now < shortest ? due - now : shortest;
		longest = due - now > longest ? due - now : longest;
		assert_int_equal(link_state_tick(&l, due - 1), 0);
		assert_int_equal(link_state_tick(&l, due), LINK_DO_PING);
		assert_int_equal(l.token, i);
		assert_int_equal(link_state_message(&l, due + 50, &pong), 0);
	}
	assert_true(shortest < 8200 && longest > 11800);
	/* Two PINGs at least go unanswered before. */
	heard = now + 50;
	while (link_state_due(&l) < heard + 30000) {
		assert_int_equal(link_state_tick(&l, link_state_due(&l)), LINK_DO_PING);
		pings++;
	}
	assert_in_range(pings, 2, 3);
	assert_int_equal(link_state_due(&l), heard + 30000);
	assert_int_equal(link_state_tick(&l, heard + 30000), LINK_DO_CLOSE | LINK_DO_DOWN);
	assert_int_equal(l.phase, LINK_WAITING);
	assert_non_null(strstr(l.why, "30 s"));
}

static void no_answer_to_hello_ends_the_attempt(void **state)
{
	struct link_state l = link_in(LINK_SIGNING_IN, 0);

	assert_int_equal(link_state_due(&l), LINK_SIGN_IN_MS);
	assert_int_equal(link_state_tick(&l, LINK_SIGN_IN_MS), LINK_DO_CLOSE | LINK_DO_WAIT);
}

static void a_lost_connection_is_dialled_again(void **state)
{
	struct link_state l = link_in(LINK_UP, 0);
	uint64_t due;

	assert_int_equal(link_state_lost(&l, 5000, "end of file"), LINK_DO_DOWN);
	assert_string_equal(l.why, "end of file");
	due = link_state_due(&l);
	assert_in_range(due, 5250, 5500);
	assert_int_equal(link_state_tick(&l, due - 1), 0);
	assert_int_equal(link_state_tick(&l, due), LINK_DO_DIAL);
	assert_int_equal(link_state_due(&l), UINT64_MAX); /* the dial has its own deadline */
}

static void a_link_that_breaks_at_once_keeps_backing_off(void **state)
{
	struct link_state l = link_in(LINK_UP, 0);
	struct wire_message welcome = message(WIRE_WELCOME);
	uint64_t now = 0;

	for (int i = 0; i < 12; i++) {
		ignore(link_state_lost(&l, now += 10, "cut"));
		now += l.retry_ms;
		assert_int_equal(link_state_tick(&l, now), LINK_DO_DIAL);
		ignore(link_state_dialled(&l, now));
		ignore(link_state_message(&l, now, &welcome));
	}
	assert_in_range(l.retry_ms, RETRY_MAX_MS / 2, RETRY_MAX_MS);
	ignore(link_state_lost(&l, now + BACKOFF_STABLE_MS, "cut"));
	assert_in_range(l.retry_ms, 250, 500);
}

/* ---- what makes it wait longer ---- */

static void two_agents_of_one_name_do_not_fight(void **state)
{
	struct link_state l = link_in(LINK_UP, 0);
	struct wire_message welcome = message(WIRE_WELCOME);
	struct wire_message replaced = bye(REASON_REPLACED, "");
	uint64_t now = 0, before = 0;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(link_state_message(&l, now, &replaced),
				 LINK_DO_CLOSE | LINK_DO_DOWN);
		assert_int_equal(l.reason, REASON_REPLACED);
		assert_true(l.retry_ms >= LINK_REPLACED_MS);
		assert_true(l.retry_ms >= before);
		before = l.retry_ms;
		now += l.retry_ms;
		ignore(link_state_tick(&l, now));
		ignore(link_state_dialled(&l, now));
		ignore(link_state_message(&l, now, &welcome));
	}
	assert_true(before > LINK_REPLACED_MS);
}

static void a_refused_certificate_waits_as_long_as_it_may(void **state)
{
	const enum reason reasons[] = {REASON_CERT_EXPIRED, REASON_CERT_UNTRUSTED,
				       REASON_CERT_ROLE,    REASON_VERSION,
				       REASON_EXTENSION,    REASON_LINK_ELSEWHERE};
	struct wire_message revoked = bye(REASON_REVOKED, "");
	struct link_state up = link_in(LINK_UP, 0);

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		struct link_state l = link_in(LINK_SIGNING_IN, 0);
		struct wire_message m = bye(reasons[i], "");

		assert_int_equal(link_state_message(&l, 0, &m), LINK_DO_CLOSE | LINK_DO_WAIT);
		assert_int_equal(l.retry_ms, RETRY_MAX_MS);
		assert_true(link_state_refused(&l));
		assert_non_null(strstr(l.why, reason_sentence(reasons[i])));
	}
	assert_int_equal(link_state_message(&up, 0, &revoked), LINK_DO_CLOSE | LINK_DO_DOWN);
	assert_non_null(strstr(up.why, "postern pki issue"));
}

/* ---- asked whether it lives ---- */

static struct wire_message pong(uint64_t token)
{
	struct wire_message m = message(WIRE_PONG);

	m.pong.token = token;
	return m;
}

static void a_link_that_answers_is_not_doubted(void **state)
{
	struct link_state l = link_in(LINK_UP, 0);
	struct wire_message answer = pong(0), offer = message(WIRE_OFFER);
	uint64_t token = l.token;

	assert_int_equal(link_state_ask(&l, 5000), LINK_DO_PING);
	assert_int_equal(l.token, token + 1);
	assert_true(link_state_usable(&l));
	assert_int_equal(link_state_due(&l), 5000 + LINK_ANSWER_MS);
	assert_int_equal(link_state_ask(&l, 5100), 0); /* once at a time */
	/* The PONG of an earlier PING is as good, and so is anything else. */
	assert_int_equal(link_state_message(&l, 5200, &answer), 0);
	assert_int_equal(link_state_tick(&l, 5000 + LINK_ANSWER_MS), 0);
	assert_int_equal(link_state_ask(&l, 7000), LINK_DO_PING);
	assert_int_equal(link_state_message(&l, 7100, &offer), LINK_DO_OFFER);
	assert_int_equal(link_state_tick(&l, 7000 + LINK_ANSWER_MS), 0);
	assert_true(link_state_usable(&l));
}

static void a_link_that_does_not_answer_is_doubted_until_it_speaks(void **state)
{
	struct link_state l = link_in(LINK_UP, 0);
	struct wire_message answer = pong(1);

	assert_int_equal(link_state_ask(&l, 1000), LINK_DO_PING);
	assert_int_equal(link_state_tick(&l, 1000 + LINK_ANSWER_MS - 1), 0);
	assert_int_equal(link_state_tick(&l, 1000 + LINK_ANSWER_MS), LINK_DO_DOUBT);
	assert_false(link_state_usable(&l));
	assert_true(link_state_live(&l));
	assert_int_equal(link_state_ask(&l, 2500), 0); /* it is asked already */
	assert_int_equal(link_state_message(&l, 3000, &answer), LINK_DO_TRUST);
	assert_true(link_state_usable(&l));
	assert_int_equal(link_state_message(&l, 3001, &answer), 0);
	/* One that stays silent ends as it would have without. */
	assert_int_equal(link_state_ask(&l, 3000), LINK_DO_PING);
	assert_int_equal(link_state_tick(&l, 3000 + LINK_ANSWER_MS), LINK_DO_DOUBT);
	assert_int_equal(link_state_tick(&l, 3001 + 30000), LINK_DO_CLOSE | LINK_DO_DOWN);
	assert_false(l.doubted);
}

static void only_a_living_link_is_asked(void **state)
{
	for (int phase = 0; phase < LINK_PHASES; phase++) {
		struct link_state l = link_in((enum link_phase)phase, 0);
		bool live = phase == LINK_UP || phase == LINK_DRAINING;

		assert_int_equal(link_state_ask(&l, 10), live ? LINK_DO_PING : 0);
		l = link_in((enum link_phase)phase, 0);
		assert_int_equal(link_state_elsewhere(&l, 10), live ? LINK_DO_PING : 0);
	}
}

static void a_leg_at_another_relay_is_the_names_fault_where_the_link_lives(void **state)
{
	struct link_state l = link_in(LINK_UP, 0);
	struct wire_message old = pong(0), answer = pong(2), offer = message(WIRE_OFFER);

	assert_int_equal(link_state_ask(&l, 1000), LINK_DO_PING);
	assert_int_equal(link_state_elsewhere(&l, 1010), LINK_DO_PING);
	assert_int_equal(link_state_elsewhere(&l, 1020), 0);
	assert_false(link_state_usable(&l));
	/* What was on its way already tells nothing. */
	assert_int_equal(link_state_message(&l, 1030, &old), 0);
	assert_int_equal(link_state_message(&l, 1030, &offer), LINK_DO_OFFER);
	assert_false(link_state_usable(&l));
	assert_int_equal(l.token, 2);
	assert_int_equal(link_state_message(&l, 1040, &answer),
			 LINK_DO_BYE | LINK_DO_CLOSE | LINK_DO_DOWN);
	assert_int_equal(l.said, REASON_LINK_ELSEWHERE);
	assert_int_equal(l.retry_ms, RETRY_MAX_MS);
	assert_true(link_state_refused(&l));
	assert_non_null(strstr(l.why, "several relays"));
	assert_false(l.elsewhere);
}

static void a_leg_at_another_relay_is_a_new_start_where_the_link_is_dead(void **state)
{
	struct link_state l = link_in(LINK_UP, 0);
	struct wire_message offer = message(WIRE_OFFER);

	assert_int_equal(link_state_elsewhere(&l, 1000), LINK_DO_PING);
	assert_int_equal(link_state_message(&l, 1030, &offer), LINK_DO_OFFER);
	assert_int_equal(link_state_tick(&l, 1000 + LINK_ANSWER_MS), LINK_DO_CLOSE | LINK_DO_DOWN);
	assert_false(link_state_refused(&l));
	assert_in_range(l.retry_ms, 1, 1000);
	assert_non_null(strstr(l.why, "started anew"));
}

/* What cannot be taken is answered with its reason; what an update alone can mend waits longest. */
static void what_is_not_understood_is_refused(void **state)
{
	struct link_state up = link_in(LINK_UP, 0), early = link_in(LINK_SIGNING_IN, 0);
	struct link_state broken = link_in(LINK_UP, 0), down = link_in(LINK_DOWN, 0);

	assert_int_equal(link_state_refuse(&up, 0, REASON_EXTENSION, "unknown"),
			 LINK_DO_BYE | LINK_DO_CLOSE | LINK_DO_DOWN);
	assert_int_equal(up.reason, REASON_EXTENSION);
	assert_string_equal(up.why, "unknown");
	assert_int_equal(up.retry_ms, RETRY_MAX_MS);
	assert_true(link_state_refused(&up));
	assert_int_equal(link_state_refuse(&early, 0, REASON_VERSION, "other"),
			 LINK_DO_BYE | LINK_DO_CLOSE | LINK_DO_WAIT);
	assert_true(link_state_refused(&early));
	assert_int_equal(link_state_refuse(&broken, 0, REASON_PROTOCOL, "malformed"),
			 LINK_DO_BYE | LINK_DO_CLOSE | LINK_DO_DOWN);
	assert_false(link_state_refused(&broken));
	assert_int_equal(link_state_refuse(&down, 0, REASON_PROTOCOL, "malformed"), 0);
}

/* Dials and signs in when it is time to, and is answered m. Returns when. */
static uint64_t ask_again(struct link_state *l, const struct wire_message *m)
{
	uint64_t now = l->due_ms;

	ignore(link_state_tick(l, now));
	ignore(link_state_dialled(l, now));
	ignore(link_state_message(l, now, m));
	return now;
}

/* Its own right is over, not ours: nothing is refused, and it is dialled as one that is gone. */
static void a_relay_whose_right_ends_is_left(void **state)
{
	struct link_state l = link_in(LINK_UP, 0), early = link_in(LINK_SIGNING_IN, 0),
			  drains = link_in(LINK_DRAINING, 0), down = link_in(LINK_DOWN, 0);

	assert_int_equal(link_state_leave(&l, 5000, REASON_CERT_EXPIRED, "it has ended"),
			 LINK_DO_BYE | LINK_DO_CLOSE | LINK_DO_DOWN);
	assert_int_equal(l.said, REASON_CERT_EXPIRED);
	assert_string_equal(l.why, "it has ended");
	assert_false(link_state_refused(&l));
	assert_in_range(link_state_due(&l), 5250, 5500);
	assert_int_equal(link_state_leave(&l, 5000, REASON_CERT_EXPIRED, "again"), 0);
	assert_int_equal(link_state_leave(&early, 0, REASON_REVOKED, "revoked"),
			 LINK_DO_BYE | LINK_DO_CLOSE | LINK_DO_WAIT);
	assert_int_equal(link_state_leave(&drains, 0, REASON_CERT_UNTRUSTED, "no CA"),
			 LINK_DO_BYE | LINK_DO_CLOSE | LINK_DO_DOWN);
	assert_int_equal(link_state_leave(&down, 0, REASON_REVOKED, "revoked"), 0);
	assert_int_equal(down.phase, LINK_DOWN);
	/* Elsewhere BYE says what is known. */
	l = link_in(LINK_UP, 0);
	ignore(link_state_refuse(&l, 6000, REASON_EXTENSION, "unknown"));
	assert_int_equal(l.said, REASON_EXTENSION);
	l = link_in(LINK_UP, 0);
	ignore(link_state_stop(&l, 6000, "over"));
	assert_int_equal(l.said, REASON_SHUTDOWN);
}

static void a_revoked_name_asks_often_at_first(void **state)
{
	struct wire_message revoked = bye(REASON_REVOKED, ""), welcome = message(WIRE_WELCOME);
	struct link_state l = link_in(LINK_SIGNING_IN, 0);
	uint64_t now = 0, shortest = UINT64_MAX, longest = 0;

	ignore(link_state_message(&l, 0, &revoked));
	while (now < LINK_REVOKED_SOON_MS) {
		assert_true(link_state_refused(&l));
		assert_in_range(l.retry_ms, LINK_REVOKED_MS / 2, LINK_REVOKED_MS);
		shortest = l.retry_ms < shortest ? l.retry_ms : shortest;
		longest = l.retry_ms > longest ? l.retry_ms : longest;
		now = ask_again(&l, &revoked);
	}
	assert_true(shortest < longest); /* not all of them at once */
	assert_in_range(l.retry_ms, RETRY_MAX_MS / 2, RETRY_MAX_MS);
	/* Let in, and revoked once more: it begins anew. */
	now = ask_again(&l, &welcome);
	assert_false(link_state_refused(&l));
	ignore(link_state_message(&l, now + 1, &revoked));
	assert_in_range(l.retry_ms, LINK_REVOKED_MS / 2, LINK_REVOKED_MS);
	/* Never more seldom than the configuration says. */
	link_state_set_retry_max(&l, 1000);
	ask_again(&l, &revoked);
	assert_in_range(l.retry_ms, 500, 1000);
}

static void what_passes_by_itself_is_no_refusal(void **state)
{
	struct wire_message draining = bye(REASON_DRAINING, "");
	struct link_state l = link_in(LINK_DIALLING, 0);

	assert_false(link_state_refused(&l));
	ignore(link_state_failed(&l, 0, "no route"));
	assert_false(link_state_refused(&l));
	ask_again(&l, &draining);
	assert_int_equal(l.phase, LINK_WAITING);
	assert_false(link_state_refused(&l));
}

static void a_draining_relay_says_when_to_come_back(void **state)
{
	struct link_state l = link_in(LINK_DRAINING, 0);

	assert_false(link_state_usable(&l));
	assert_int_equal(link_state_lost(&l, 1000, "closed"), LINK_DO_DOWN);
	assert_int_equal(l.retry_ms, 59000);
}

static void a_relay_that_only_drains_is_left(void **state)
{
	struct link_state l = link_in(LINK_DRAINING, 0);
	struct wire_message pong = message(WIRE_PONG);
	unsigned actions = 0;

	while (l.phase == LINK_DRAINING && link_state_due(&l) < 1000000) {
		uint64_t now = link_state_due(&l);

		actions = link_state_tick(&l, now);
		if (actions == LINK_DO_PING)
			ignore(link_state_message(&l, now, &pong));
	}
	assert_int_equal(actions, LINK_DO_BYE | LINK_DO_CLOSE | LINK_DO_DOWN);
	assert_int_equal(l.due_ms - l.retry_ms, 60000);
}

/* At its own time, between two pings; and once it has said when, it does not say another time. */
static void a_drained_link_ends_when_it_was_said(void **state)
{
	struct link_state l = link_in(LINK_UP, 0);
	struct wire_message drain = message(WIRE_DRAIN), pong = message(WIRE_PONG);
	uint64_t now = 0;

	drain.drain.reconnect_after_s = 55;
	assert_int_equal(link_state_message(&l, 0, &drain), 0);
	drain.drain.reconnect_after_s = 100;
	assert_int_equal(link_state_message(&l, 5000, &drain), 0);
	while (l.phase == LINK_DRAINING && now < 200000) {
		now = link_state_due(&l);
		if (link_state_tick(&l, now) == LINK_DO_PING)
			ignore(link_state_message(&l, now, &pong));
	}
	assert_int_equal(now, 55000);
}

static void a_relay_cannot_send_us_away_for_ever(void **state)
{
	struct link_state l = link_in(LINK_UP, 0);
	struct wire_message drain = message(WIRE_DRAIN);

	drain.drain.reconnect_after_s = UINT16_MAX;
	ignore(link_state_message(&l, 0, &drain));
	ignore(link_state_lost(&l, 0, "closed"));
	assert_int_equal(l.retry_ms, LINK_DRAIN_MAX_MS);
}

/* ---- every message, every phase ---- */

static bool expected_in(enum link_phase phase, enum wire_type type)
{
	if (phase == LINK_SIGNING_IN)
		return type == WIRE_WELCOME || type == WIRE_BYE;
	return type == WIRE_PUBLISHED || type == WIRE_OFFER || type == WIRE_PING ||
	       type == WIRE_PONG || type == WIRE_DRAIN || type == WIRE_REVOKED ||
	       type == WIRE_SIGNED || type == WIRE_TAGKEY || type == WIRE_PROVE ||
	       type == WIRE_ENDED || type == WIRE_BYE;
}

static void only_expected_messages_are_taken(void **state)
{
	static const enum wire_type types[] = {
#define X(number, name) WIRE_##name,
		WIRE_MESSAGES(X)
#undef X
	};

	for (int phase = LINK_DOWN; phase < LINK_PHASES; phase++) {
		for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
			struct link_state l = link_in((enum link_phase)phase, 0);
			struct wire_message m = message(types[i]);
			bool connected = phase == LINK_SIGNING_IN || phase == LINK_UP ||
					 phase == LINK_DRAINING;
			unsigned actions = link_state_message(&l, 1, &m);

			if (!connected)
				assert_int_equal(actions, 0);
			else if (expected_in((enum link_phase)phase, types[i]))
				assert_false(actions & LINK_DO_BYE);
			else
				assert_true(actions & LINK_DO_BYE && actions & LINK_DO_CLOSE &&
					    l.reason == REASON_PROTOCOL);
		}
	}
}

static void published_answers_one_publish(void **state)
{
	struct link_state l = link_in(LINK_UP, 0);
	struct wire_message published = message(WIRE_PUBLISHED);

	assert_int_equal(link_state_message(&l, 0, &published), LINK_DO_COMPLETE);
	assert_int_equal(link_state_message(&l, 0, &published),
			 LINK_DO_BYE | LINK_DO_CLOSE | LINK_DO_DOWN);
}

static void services_are_published_again_where_a_relay_listens(void **state)
{
	struct link_state l = link_in(LINK_UP, 0);
	struct wire_message published = message(WIRE_PUBLISHED);

	/* The first is not answered yet. */
	assert_int_equal(link_state_publish(&l), LINK_DO_PUBLISH);
	assert_int_equal(link_state_message(&l, 0, &published), LINK_DO_COMPLETE);
	assert_int_equal(link_state_message(&l, 0, &published), 0);
	assert_true(link_state_message(&l, 0, &published) & LINK_DO_BYE);
	for (int phase = LINK_DOWN; phase < LINK_PHASES; phase++) {
		struct link_state other = link_in((enum link_phase)phase, 0);
		bool up = phase == LINK_UP || phase == LINK_DRAINING;

		assert_int_equal(link_state_publish(&other), up ? LINK_DO_PUBLISH : 0);
	}
}

static void a_stopped_link_may_be_started_again(void **state)
{
	for (int phase = LINK_DOWN; phase < LINK_PHASES; phase++) {
		struct link_state l = link_in((enum link_phase)phase, 0);

		unsigned stopped = link_state_stop(&l, 0, "no longer used");
		assert_false(stopped & LINK_DO_DIAL);
		assert_int_equal(link_state_start(&l, 1), LINK_DO_DIAL);
	}
}

static void a_shorter_longest_wait_counts_at_once(void **state)
{
	struct link_state l = link_in(LINK_DIALLING, 0);

	for (int i = 0; i < 20; i++) {
		assert_int_equal(link_state_failed(&l, 0, "no"), LINK_DO_WAIT);
		assert_int_equal(link_state_tick(&l, l.due_ms), LINK_DO_DIAL);
	}
	assert_in_range(l.retry_ms, RETRY_MAX_MS / 2, RETRY_MAX_MS);
	link_state_set_retry_max(&l, 1000);
	assert_int_equal(link_state_failed(&l, 0, "no"), LINK_DO_WAIT);
	assert_in_range(l.retry_ms, 500, 1000);
}

static void stopping_says_goodbye_where_a_relay_listens(void **state)
{
	for (int phase = LINK_DOWN; phase < LINK_PHASES; phase++) {
		struct link_state l = link_in((enum link_phase)phase, 0);
		unsigned actions = link_state_stop(&l, 0, "shutting down");
		bool up = phase == LINK_UP || phase == LINK_DRAINING;

		assert_true(actions & LINK_DO_CLOSE);
		assert_int_equal(!!(actions & LINK_DO_BYE), up || phase == LINK_SIGNING_IN);
		assert_int_equal(!!(actions & LINK_DO_DOWN), up);
		assert_int_equal(link_state_due(&l), UINT64_MAX);
		assert_int_equal(link_state_tick(&l, UINT64_MAX / 2), 0);
	}
}

/* ---- a day with an unreasonable relay ---- */

struct world {
	struct link_state link;
	uint64_t now_ms, random;
	bool connected, dialling, up;
	unsigned dials, ups;
};

static uint64_t draw(struct world *w, uint64_t below)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (w->random >> 33) % below;
}

/* Keeps the books that a program would keep, and checks the promises of link_state.h. */
static void obey(struct world *w, unsigned actions)
{
	if (actions & LINK_DO_DIAL) {
		assert_false(w->dialling || w->connected);
		w->dialling = true;
		w->dials++;
	}
	if (actions & LINK_DO_UP) {
		assert_true(w->connected && !w->up);
		w->up = true;
		w->ups++;
	}
	if (actions & (LINK_DO_SIGN_IN | LINK_DO_PUBLISH | LINK_DO_PING | LINK_DO_PONG |
		       LINK_DO_OFFER | LINK_DO_BYE))
		assert_true(w->connected);
	if (actions & LINK_DO_CLOSE)
		w->connected = w->dialling = false;
	if (actions & LINK_DO_DOWN) {
		assert_true(w->up);
		w->up = false;
	}
	if (actions & (LINK_DO_DOWN | LINK_DO_WAIT)) {
		assert_int_equal(w->link.phase, LINK_WAITING);
		assert_false(w->connected);
		assert_in_range(w->link.retry_ms, 1, LINK_REPLACED_MAX_MS);
	}
	assert_int_equal(w->up, w->link.phase == LINK_UP || w->link.phase == LINK_DRAINING);
	assert_int_equal(w->dialling, w->link.phase == LINK_DIALLING);
}

static void relay_speaks(struct world *w)
{
	static const enum wire_type likely[] = {WIRE_WELCOME, WIRE_PUBLISHED, WIRE_OFFER, WIRE_PING,
						WIRE_PONG,    WIRE_PONG,      WIRE_DRAIN, WIRE_BYE,
						WIRE_REVOKED, WIRE_GO};
	struct wire_message m = message(likely[draw(w, sizeof(likely) / sizeof(likely[0]))]);

	if (w->link.phase == LINK_SIGNING_IN && draw(w, 4))
		m = message(WIRE_WELCOME);
	if (w->up && draw(w, 100))
		m = message(WIRE_PONG);
	if (m.type == WIRE_WELCOME)
		m.welcome.ping_interval_s = (uint16_t)draw(w, 60);
	if (m.type == WIRE_DRAIN)
		m.drain.reconnect_after_s = (uint16_t)draw(w, 65536);
	if (m.type == WIRE_BYE)
		m = bye((enum reason)draw(w, 26), draw(w, 2) ? "because" : "");
	obey(w, link_state_message(&w->link, w->now_ms, &m));
}

static void something_happens(struct world *w)
{
	uint64_t die = draw(w, 100);

	if (w->dialling) {
		w->dialling = false;
		w->connected = die < 60;
		obey(w, w->connected ? link_state_dialled(&w->link, w->now_ms)
				     : link_state_failed(&w->link, w->now_ms, "refused"));
	} else if (w->connected && die < 2) {
		w->connected = false;
		obey(w, link_state_lost(&w->link, w->now_ms, "reset"));
	} else if (w->connected && die < 86) {
		relay_speaks(w);
	} else if (die < 89) {
		obey(w, link_state_ask(&w->link, w->now_ms));
	} else if (die < 90) {
		obey(w, link_state_elsewhere(&w->link, w->now_ms));
	}
}

static void live_through(uint64_t seed)
{
	const uint64_t day_ms = 86400000;
	struct world w = {.random = seed};

	link_state_init(&w.link, RETRY_MAX_MS, seed);
	obey(&w, link_state_start(&w.link, 0));
	while (w.now_ms < day_ms) {
		uint64_t due = link_state_due(&w.link), step = 1 + draw(&w, 20000);

		if (w.now_ms + step >= due) {
			w.now_ms = due > w.now_ms ? due : w.now_ms;
			obey(&w, link_state_tick(&w.link, w.now_ms));
			if (link_state_due(&w.link) <= w.now_ms)
				fail_msg("seed %" PRIu64 ": a tick left its own deadline due",
					 seed);
		} else {
			w.now_ms += step;
			something_happens(&w);
		}
	}
	/* It never stops trying, and gets there. */
	if (w.dials < 40 || w.ups < 10)
		fail_msg("seed %" PRIu64 ": %u dials, %u times up", seed, w.dials, w.ups);
}

static void a_link_survives_any_relay(void **state)
{
	const char *given = getenv("SIM_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);

	print_message("SIM_SEED=%" PRIu64 "\n", seed);
	for (uint64_t i = 0; i < 100; i++)
		live_through(seed + i * 1000003);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_comes_up_and_may_be_used),
		cmocka_unit_test(a_link_pings_and_a_silent_one_is_dead),
		cmocka_unit_test(no_answer_to_hello_ends_the_attempt),
		cmocka_unit_test(a_lost_connection_is_dialled_again),
		cmocka_unit_test(a_link_that_breaks_at_once_keeps_backing_off),
		cmocka_unit_test(two_agents_of_one_name_do_not_fight),
		cmocka_unit_test(a_refused_certificate_waits_as_long_as_it_may),
		cmocka_unit_test(what_is_not_understood_is_refused),
		cmocka_unit_test(a_link_that_answers_is_not_doubted),
		cmocka_unit_test(a_link_that_does_not_answer_is_doubted_until_it_speaks),
		cmocka_unit_test(only_a_living_link_is_asked),
		cmocka_unit_test(a_leg_at_another_relay_is_the_names_fault_where_the_link_lives),
		cmocka_unit_test(a_leg_at_another_relay_is_a_new_start_where_the_link_is_dead),
		cmocka_unit_test(a_relay_whose_right_ends_is_left),
		cmocka_unit_test(a_revoked_name_asks_often_at_first),
		cmocka_unit_test(what_passes_by_itself_is_no_refusal),
		cmocka_unit_test(a_draining_relay_says_when_to_come_back),
		cmocka_unit_test(a_relay_that_only_drains_is_left),
		cmocka_unit_test(a_drained_link_ends_when_it_was_said),
		cmocka_unit_test(a_relay_cannot_send_us_away_for_ever),
		cmocka_unit_test(only_expected_messages_are_taken),
		cmocka_unit_test(published_answers_one_publish),
		cmocka_unit_test(services_are_published_again_where_a_relay_listens),
		cmocka_unit_test(a_stopped_link_may_be_started_again),
		cmocka_unit_test(a_shorter_longest_wait_counts_at_once),
		cmocka_unit_test(stopping_says_goodbye_where_a_relay_listens),
		cmocka_unit_test(a_link_survives_any_relay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
