/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rendezvous: sign-in, replacement, meetings and their limits.
 * links: core/engine/entitled.c core/engine/revocations.c
 * links: relay/rendezvous/rendezvous.c core/addr.c core/parse/wire.c core/parse/reason.c core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/engine/proving.h"
#include "core/memory.h"
#include "tests/support/sign_in.h"

static const struct rendezvous_limits roomy = {
	.links = 16, .services = 4, .legs = 3, .sessions = 3};

struct scene {
	struct rendezvous *r;
	struct rendezvous_link home, laptop;
};

static struct rendezvous_published done; /* by the last PUBLISH */

enum { HOME_CONN = 101, LAPTOP_CONN = 102, ASKER = 201 };

static struct scene scene_new(void)
{
	struct scene s;
	struct wire_bytes services[] = {wire_text("ssh"), wire_text("web")};

	s.r = rendezvous_new(&roomy);
	assert_non_null(s.r);
	assert_int_equal(sign_in(s.r, "home", RENDEZVOUS_AGENT, HOME_CONN, &s.home), REASON_OK);
	assert_int_equal(sign_in(s.r, "laptop", RENDEZVOUS_AGENT, LAPTOP_CONN, &s.laptop),
			 REASON_OK);
	assert_int_equal(rendezvous_publish(s.r, s.home.link, services, 2, &done), REASON_OK);
	return s;
}

static void an_open_meets_an_accept(void **state)
{
	struct scene s = scene_new();
	struct rendezvous_offer offer;
	struct rendezvous_pair pair;

	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "ssh", ASKER, &offer),
			 REASON_OK);
	assert_int_equal(offer.publisher, HOME_CONN);
	assert_string_equal(offer.from, "laptop");
	assert_int_equal(rendezvous_accept(s.r, s.home.link, offer.session, &pair), REASON_OK);
	assert_int_equal(pair.asker, ASKER);
	assert_string_equal(party_name(pair.from), "laptop");
	assert_string_equal(party_name(pair.to), "home");
	assert_int_equal(rendezvous_count(s.r).meetings, 0);
	/* Once only. */
	assert_int_equal(rendezvous_accept(s.r, s.home.link, offer.session, &pair),
			 REASON_PEER_GONE);
	rendezvous_end(s.r, &pair);
	rendezvous_free(s.r);
}

static void a_public_client_has_no_account(void **state)
{
	struct scene s = scene_new();
	struct rendezvous_offer offer;
	struct rendezvous_pair pair;

	assert_int_equal(rendezvous_open(s.r, 0, "home", "web", ASKER, &offer), REASON_OK);
	assert_string_equal(offer.from, "");
	assert_int_equal(rendezvous_accept(s.r, s.home.link, offer.session, &pair), REASON_OK);
	assert_null(pair.from);
	rendezvous_end(s.r, &pair);
	rendezvous_free(s.r);
}

static enum reason join(struct rendezvous *r, uint64_t link)
{
	struct credential *whose = NULL;
	enum reason reason = rendezvous_leg_join(r, link, &whose);

	assert_int_equal(whose != NULL, reason == REASON_OK);
	credential_release(whose);
	return reason;
}

/* One name takes no more than its own, and gives back what ends. */
static void the_links_of_a_name_are_few(void **state)
{
	const struct rendezvous_limits many = {
		.links = 1000, .services = 4, .legs = 8, .sessions = 3};
	struct rendezvous *r = rendezvous_new(&many);
	static struct rendezvous_link lasting[RENDEZVOUS_LASTING + 1];
	static struct rendezvous_link asking[RENDEZVOUS_TRANSIENTS + 1];
	struct rendezvous_link other;

	/* As docs/limits.md says. */
	assert_int_equal(RENDEZVOUS_LASTING, 4);
	assert_int_equal(RENDEZVOUS_TRANSIENTS, 256);
	for (unsigned i = 0; i < RENDEZVOUS_LASTING; i++)
		assert_int_equal(sign_in(r, "a", RENDEZVOUS_AGENT, i + 1, &lasting[i]), REASON_OK);
	assert_int_equal(sign_in(r, "a", RENDEZVOUS_AGENT, 99, &other), REASON_LIMIT_LINKS);
	for (unsigned i = 0; i < RENDEZVOUS_TRANSIENTS; i++)
		assert_int_equal(sign_in(r, "a", i % 2 ? RENDEZVOUS_CONSOLE : RENDEZVOUS_TRANSIENT,
					 100 + i, &asking[i]),
				 REASON_OK);
	assert_int_equal(sign_in(r, "a", RENDEZVOUS_TRANSIENT, 99, &other), REASON_LIMIT_LINKS);
	assert_int_equal(sign_in(r, "a", RENDEZVOUS_CONSOLE, 99, &other), REASON_LIMIT_LINKS);
	assert_int_equal(sign_in(r, "b", RENDEZVOUS_AGENT, 99, &other), REASON_OK);
	rendezvous_sign_out(r, lasting[0].link, NULL, NULL);
	rendezvous_sign_out(r, asking[0].link, NULL, NULL);
	assert_int_equal(sign_in(r, "a", RENDEZVOUS_AGENT, 1, &lasting[0]), REASON_OK);
	assert_int_equal(sign_in(r, "a", RENDEZVOUS_TRANSIENT, 100, &asking[0]), REASON_OK);
	rendezvous_free(r);
}

/* By however many links it comes; one that only asks has a few of its own. */
static void the_legs_of_a_name_are_few(void **state)
{
	const struct rendezvous_limits many = {
		.links = 1000, .services = 4, .legs = 8, .sessions = 3};
	struct rendezvous *r = rendezvous_new(&many);
	struct rendezvous_link lasting[2], asking[2];

	assert_int_equal(RENDEZVOUS_TRANSIENT_LEGS, 4);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(sign_in(r, "a", RENDEZVOUS_AGENT, i + 1, &lasting[i]), REASON_OK);
		assert_int_equal(sign_in(r, "a", RENDEZVOUS_TRANSIENT, i + 10, &asking[i]),
				 REASON_OK);
	}
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(join(r, lasting[i % 2].link), REASON_OK);
	assert_int_equal(join(r, lasting[0].link), REASON_LIMIT_LEGS);
	assert_int_equal(join(r, lasting[1].link), REASON_LIMIT_LEGS);
	for (unsigned i = 0; i < 2 * RENDEZVOUS_TRANSIENT_LEGS; i++)
		assert_int_equal(join(r, asking[i % 2].link), REASON_OK);
	assert_int_equal(join(r, asking[0].link), REASON_LIMIT_LEGS);
	rendezvous_leg_leave(r, asking[0].link);
	assert_int_equal(join(r, lasting[0].link), REASON_LIMIT_LEGS);
	rendezvous_sign_out(r, lasting[0].link, NULL, NULL); /* with its four */
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(join(r, lasting[1].link), REASON_OK);
	assert_int_equal(join(r, lasting[1].link), REASON_LIMIT_LEGS);
	rendezvous_leg_leave(r, lasting[1].link);
	assert_int_equal(join(r, lasting[1].link), REASON_OK);
	rendezvous_free(r);
}

static void unknown_names_have_their_own_reasons(void **state)
{
	struct scene s = scene_new();
	struct rendezvous_offer offer;

	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "attic", "ssh", ASKER, &offer),
			 REASON_AGENT_OFFLINE);
	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "smb", ASKER, &offer),
			 REASON_SERVICE_UNKNOWN);
	assert_int_equal(rendezvous_open(s.r, 12345, "home", "ssh", ASKER, &offer),
			 REASON_LINK_GONE);
	rendezvous_free(s.r);
}

static void only_the_publisher_may_accept_or_refuse(void **state)
{
	struct scene s = scene_new();
	struct rendezvous_offer offer;
	struct rendezvous_pair pair;
	slab_id asker = 0;

	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "ssh", ASKER, &offer),
			 REASON_OK);
	assert_int_equal(rendezvous_accept(s.r, s.laptop.link, offer.session, &pair),
			 REASON_PEER_GONE);
	assert_false(rendezvous_refuse(s.r, s.laptop.link, offer.session, &asker));
	assert_true(rendezvous_refuse(s.r, s.home.link, offer.session, &asker));
	assert_int_equal(asker, ASKER);
	assert_false(rendezvous_refuse(s.r, s.home.link, offer.session, &asker));
	rendezvous_free(s.r);
}

/* A certificate that was issued later tells a renewal from two machines with one file. */
static void a_renewed_name_is_no_second_one(void **state)
{
	struct rendezvous *r = rendezvous_new(&roomy);
	struct rendezvous_link link;
	const time_t issued[] = {5, 7, 7, 6};

	for (unsigned i = 0; i < 4; i++) {
		struct credential *c = made_credential("home", IDENTITY_AGENT, issued[i]);

		assert_int_equal(rendezvous_sign_in(r, c, RENDEZVOUS_AGENT, i + 1, &link),
				 REASON_OK);
		assert_int_equal(rendezvous_publish(r, link.link, NULL, 0, &done), REASON_OK);
		assert_int_equal(done.replaced, i);
		assert_int_equal(done.renewed, i == 1);
		credential_release(c);
	}
	rendezvous_free(r);
}

/* Two sign-ins may overtake each other on the way to their PUBLISH. */
static void the_later_sign_in_wins_whoever_publishes_first(void **state)
{
	struct scene s = scene_new();
	struct rendezvous_link first, second;

	assert_int_equal(sign_in(s.r, "home", RENDEZVOUS_AGENT, 301, &first), REASON_OK);
	assert_int_equal(sign_in(s.r, "home", RENDEZVOUS_AGENT, 302, &second), REASON_OK);
	assert_int_equal(rendezvous_publish(s.r, second.link, NULL, 0, &done), REASON_OK);
	assert_int_equal(done.replaced, HOME_CONN);
	assert_true(rendezvous_link_replaced(s.r, first.link));
	assert_int_equal(rendezvous_publish(s.r, first.link, NULL, 0, &done), REASON_OK);
	assert_int_equal(done.replaced, 301);
	assert_true(rendezvous_link_replaced(s.r, first.link));
	assert_false(rendezvous_link_replaced(s.r, second.link));
	/* Who has been replaced stays so when the other has gone; a new one may come. */
	rendezvous_sign_out(s.r, second.link, NULL, NULL);
	assert_true(rendezvous_link_replaced(s.r, first.link));
	assert_true(rendezvous_link_replaced(s.r, s.home.link));
	assert_int_equal(sign_in(s.r, "home", RENDEZVOUS_AGENT, 303, &second), REASON_OK);
	assert_false(rendezvous_link_replaced(s.r, second.link));
	assert_int_equal(rendezvous_publish(s.r, second.link, NULL, 0, &done), REASON_OK);
	assert_int_equal(done.replaced, 0);
	rendezvous_free(s.r);
}

static void an_agent_that_has_not_published_is_not_there(void **state)
{
	struct rendezvous *r = rendezvous_new(&roomy);
	struct rendezvous_link home, laptop;
	struct rendezvous_offer offer;

	assert_int_equal(sign_in(r, "home", RENDEZVOUS_AGENT, HOME_CONN, &home), REASON_OK);
	assert_int_equal(sign_in(r, "laptop", RENDEZVOUS_TRANSIENT, LAPTOP_CONN, &laptop),
			 REASON_OK);
	assert_int_equal(rendezvous_open(r, laptop.link, "home", "ssh", ASKER, &offer),
			 REASON_AGENT_OFFLINE);
	assert_int_equal(rendezvous_publish(r, home.link, NULL, 0, &done), REASON_OK);
	assert_int_equal(rendezvous_open(r, laptop.link, "home", "ssh", ASKER, &offer),
			 REASON_SERVICE_UNKNOWN);
	rendezvous_free(r);
}

static void the_newest_link_of_a_name_replaces_the_older(void **state)
{
	struct scene s = scene_new();
	struct rendezvous_link again, transient;
	struct rendezvous_offer offer;
	struct wire_bytes service = wire_text("ssh");

	assert_int_equal(sign_in(s.r, "home", RENDEZVOUS_TRANSIENT, 300, &transient), REASON_OK);
	assert_int_equal(rendezvous_publish(s.r, transient.link, NULL, 0, &done), REASON_OK);
	assert_int_equal(done.replaced, 0);
	assert_int_equal(sign_in(s.r, "home", RENDEZVOUS_AGENT, 301, &again), REASON_OK);
	/* What it publishes has not been said yet: until then the older one serves. */
	assert_false(rendezvous_link_replaced(s.r, s.home.link));
	assert_false(rendezvous_link_replaced(s.r, again.link));
	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "ssh", ASKER, &offer),
			 REASON_OK);
	assert_int_equal(offer.publisher, HOME_CONN);
	assert_int_equal(rendezvous_publish(s.r, again.link, NULL, 0, &done), REASON_OK);
	assert_int_equal(done.replaced, HOME_CONN);
	assert_false(done.renewed);
	assert_true(rendezvous_link_replaced(s.r, s.home.link));
	/* Its services may change, which makes it no newer. */
	assert_int_equal(rendezvous_publish(s.r, s.home.link, NULL, 0, &done), REASON_OK);
	assert_int_equal(done.replaced, 0);
	assert_false(rendezvous_link_replaced(s.r, again.link));
	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "ssh", ASKER, &offer),
			 REASON_SERVICE_UNKNOWN);
	assert_int_equal(rendezvous_publish(s.r, again.link, &service, 1, &done), REASON_OK);
	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "ssh", ASKER, &offer),
			 REASON_OK);
	assert_int_equal(offer.publisher, 301);
	/* The older one's late end takes nothing from the newer. */
	rendezvous_sign_out(s.r, s.home.link, NULL, NULL);
	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "ssh", ASKER, &offer),
			 REASON_OK);
	rendezvous_free(s.r);
}

struct orphans {
	size_t count;
	slab_id asker;
	uint64_t session;
};

static void note_orphan(void *context, slab_id asker, uint64_t session)
{
	struct orphans *o = context;

	o->count++;
	o->asker = asker;
	o->session = session;
}

static void a_lost_publisher_orphans_its_meetings(void **state)
{
	struct scene s = scene_new();
	struct rendezvous_offer offer;
	struct orphans orphans = {0};

	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "ssh", ASKER, &offer),
			 REASON_OK);
	rendezvous_sign_out(s.r, s.home.link, note_orphan, &orphans);
	assert_int_equal(orphans.count, 1);
	assert_int_equal(orphans.asker, ASKER);
	assert_int_equal(orphans.session, offer.session);
	assert_int_equal(rendezvous_count(s.r).meetings, 0);
	rendezvous_forget(s.r, offer.session); /* late: harmless */
	rendezvous_free(s.r);
}

static void limits_refuse_new_work_only(void **state)
{
	struct scene s = scene_new();
	struct rendezvous_offer offers[4];
	struct rendezvous_pair pair;
	struct wire_bytes five[5] = {wire_text("a"), wire_text("b"), wire_text("c"), wire_text("d"),
				     wire_text("e")};

	assert_int_equal(rendezvous_publish(s.r, s.home.link, five, 5, &done),
			 REASON_LIMIT_SERVICES);
	for (int i = 0; i < 3; i++)
		assert_int_equal(join(s.r, s.home.link), REASON_OK);
	assert_int_equal(join(s.r, s.home.link), REASON_LIMIT_LEGS);
	rendezvous_leg_leave(s.r, s.home.link);
	assert_int_equal(join(s.r, s.home.link), REASON_OK);

	for (int i = 0; i < 3; i++)
		assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "ssh",
						 ASKER + (slab_id)i, &offers[i]),
				 REASON_OK);
	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "ssh", 9, &offers[3]),
			 REASON_LIMIT_SESSIONS);
	/* An accepted session still counts; an ended one does not. */
	assert_int_equal(rendezvous_accept(s.r, s.home.link, offers[0].session, &pair), REASON_OK);
	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "ssh", 9, &offers[3]),
			 REASON_LIMIT_SESSIONS);
	rendezvous_end(s.r, &pair);
	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "ssh", 9, &offers[3]),
			 REASON_OK);
	rendezvous_free(s.r);
}

/* What an agent has with all others counts for it, on both sides. */
static void both_sides_of_a_session_have_a_limit(void **state)
{
	struct scene s = scene_new();
	struct wire_bytes services[] = {wire_text("ssh")};
	struct rendezvous_link away;
	struct rendezvous_offer offer;

	assert_int_equal(sign_in(s.r, "away", RENDEZVOUS_AGENT, 103, &away), REASON_OK);
	assert_int_equal(rendezvous_publish(s.r, away.link, services, 1, &done), REASON_OK);
	for (slab_id asker = 1; asker <= 2; asker++)
		assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "ssh", asker, &offer),
				 REASON_OK);
	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "away", "ssh", 3, &offer), REASON_OK);
	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "away", "ssh", 4, &offer),
			 REASON_LIMIT_SESSIONS);
	/* The asked side: home has two with laptop; away takes the third. */
	assert_int_equal(rendezvous_open(s.r, away.link, "home", "ssh", 5, &offer), REASON_OK);
	assert_int_equal(rendezvous_open(s.r, away.link, "home", "ssh", 6, &offer),
			 REASON_LIMIT_SESSIONS);
	/* What is over counts for neither. */
	rendezvous_forget(s.r, offer.session);
	assert_int_equal(rendezvous_open(s.r, away.link, "home", "ssh", 7, &offer), REASON_OK);
	rendezvous_free(s.r);
}

/* An agent's own service is for consoles, and none of its others is that one. */
static void only_consoles_reach_an_agents_control(void **state)
{
	struct scene s = scene_new();
	struct rendezvous_link console, request;
	struct rendezvous_offer offer;

	assert_int_equal(sign_in(s.r, "admin", RENDEZVOUS_CONSOLE, 103, &console), REASON_OK);
	assert_int_equal(sign_in(s.r, "laptop", RENDEZVOUS_TRANSIENT, 104, &request), REASON_OK);
	assert_int_equal(
		rendezvous_open(s.r, s.laptop.link, "home", WIRE_CONTROL_SERVICE, ASKER, &offer),
		REASON_NOT_ALLOWED);
	assert_int_equal(
		rendezvous_open(s.r, request.link, "home", WIRE_CONTROL_SERVICE, ASKER, &offer),
		REASON_NOT_ALLOWED);
	assert_int_equal(rendezvous_open(s.r, 0, "home", WIRE_CONTROL_SERVICE, ASKER, &offer),
			 REASON_NOT_ALLOWED);
	assert_int_equal(
		rendezvous_open(s.r, console.link, "home", WIRE_CONTROL_SERVICE, ASKER, &offer),
		REASON_OK);
	assert_int_equal(offer.publisher, HOME_CONN);
	/* It is never published: one that has only signed in has it, too. */
	assert_int_equal(
		rendezvous_open(s.r, console.link, "laptop", WIRE_CONTROL_SERVICE, ASKER, &offer),
		REASON_OK);
	assert_int_equal(rendezvous_open(s.r, console.link, "laptop", "ssh", ASKER, &offer),
			 REASON_AGENT_OFFLINE);
	rendezvous_free(s.r);
}

/* By the asker, the agent asked, and the service. */
static void sessions_are_counted_by_service(void **state)
{
	struct scene s = scene_new();
	struct rendezvous_offer offer;
	struct rendezvous_pair pair;

	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "ssh", ASKER, &offer),
			 REASON_OK);
	assert_int_equal(rendezvous_running(s.r, "laptop", "home", "ssh"), 1);
	assert_int_equal(rendezvous_running(s.r, "laptop", "home", "web"), 0);
	assert_int_equal(rendezvous_running(s.r, "home", "home", "ssh"), 0);
	assert_int_equal(rendezvous_accept(s.r, s.home.link, offer.session, &pair), REASON_OK);
	assert_int_equal(rendezvous_running(s.r, "laptop", "home", "ssh"), 1);
	rendezvous_end(s.r, &pair);
	assert_int_equal(rendezvous_running(s.r, "laptop", "home", "ssh"), 0);
	rendezvous_free(s.r);
}

static void a_publication_replaces_the_one_before(void **state)
{
	struct scene s = scene_new();
	struct wire_bytes web[] = {wire_text("web")};
	struct rendezvous_offer offer;

	assert_int_equal(rendezvous_publish(s.r, s.home.link, web, 1, &done), REASON_OK);
	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "ssh", ASKER, &offer),
			 REASON_SERVICE_UNKNOWN);
	assert_int_equal(rendezvous_publish(s.r, s.home.link, NULL, 0, &done), REASON_OK);
	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "web", ASKER, &offer),
			 REASON_SERVICE_UNKNOWN);
	rendezvous_free(s.r);
}

/* What it has published is charged, however often it does, and given back with its link. */
static void what_is_published_is_charged(void **state)
{
	struct wire_bytes four[] = {wire_text("a"), wire_text("b"), wire_text("c"), wire_text("d")};
	static struct memory account;
	int64_t empty, before;

	account = (struct memory){.most = 1u << 20};
	(void)memory_adopt(&account);
	struct scene s = scene_new();
	assert_int_equal(rendezvous_publish(s.r, s.home.link, NULL, 0, &done), REASON_OK);
	empty = account.used;
	assert_int_equal(rendezvous_publish(s.r, s.home.link, four, 4, &done), REASON_OK);
	before = account.used;
	assert_true(before - empty >= 4 * (WIRE_NAME_MAX + 1));
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(rendezvous_publish(s.r, s.home.link, four, 4, &done), REASON_OK);
	assert_int_equal(account.used, before);
	/* Without memory what was published stays. */
	account.most = 0;
	assert_int_equal(rendezvous_publish(s.r, s.home.link, four, 3, &done), REASON_LIMIT_MEMORY);
	account.most = 1u << 20;
	assert_int_equal(account.used, before);
	rendezvous_free(s.r);
	assert_int_equal(account.used, 0);
	(void)memory_adopt(NULL);
}

static void links_have_a_limit(void **state)
{
	struct rendezvous_limits one = {.links = 1, .services = 1, .legs = 1, .sessions = 1};
	struct rendezvous *r = rendezvous_new(&one);
	struct rendezvous_link link;

	assert_int_equal(sign_in(r, "a", RENDEZVOUS_AGENT, 1, &link), REASON_OK);
	assert_int_equal(sign_in(r, "b", RENDEZVOUS_AGENT, 2, &link), REASON_LIMIT_AGENTS);
	rendezvous_sign_out(r, link.link, NULL, NULL);
	assert_int_equal(sign_in(r, "b", RENDEZVOUS_AGENT, 2, &link), REASON_OK);
	rendezvous_free(r);
}

static void accounts_live_while_links_or_sessions_do(void **state)
{
	struct scene s = scene_new();
	struct rendezvous_offer offer;
	struct rendezvous_pair pair;

	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "ssh", ASKER, &offer),
			 REASON_OK);
	assert_int_equal(rendezvous_accept(s.r, s.home.link, offer.session, &pair), REASON_OK);
	rendezvous_sign_out(s.r, s.home.link, NULL, NULL);
	rendezvous_sign_out(s.r, s.laptop.link, NULL, NULL);
	assert_int_equal(rendezvous_count(s.r).links, 0);
	assert_int_equal(rendezvous_count(s.r).accounts, 2);
	assert_string_equal(party_name(pair.to), "home");
	rendezvous_end(s.r, &pair);
	assert_int_equal(rendezvous_count(s.r).accounts, 0);
	rendezvous_free(s.r);
}

/* Sessions keep what they began with, and learn of what is proved later; an older certificate that
 * comes again is no news, and a console's is not an agent's. */
static void a_session_knows_the_newest_certificate(void **state)
{
	struct scene s = scene_new();
	struct rendezvous_link again;
	struct rendezvous_offer offer;
	struct rendezvous_pair pair;
	struct credential *old = made_credential("laptop", IDENTITY_AGENT, 50),
			  *fresh = made_credential("laptop", IDENTITY_AGENT, 100),
			  *console = made_credential("laptop", IDENTITY_CONSOLE, 200), *newest;

	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "ssh", ASKER, &offer),
			 REASON_OK);
	assert_int_equal(rendezvous_accept(s.r, s.home.link, offer.session, &pair), REASON_OK);
	assert_int_equal(rendezvous_sign_in(s.r, fresh, RENDEZVOUS_TRANSIENT, 300, &again),
			 REASON_OK);
	rendezvous_sign_out(s.r, again.link, NULL, NULL);
	assert_int_equal(rendezvous_sign_in(s.r, old, RENDEZVOUS_TRANSIENT, 301, &again),
			 REASON_OK);
	assert_int_equal(rendezvous_sign_in(s.r, console, RENDEZVOUS_CONSOLE, 302, &again),
			 REASON_OK);
	assert_int_equal(party_credential(pair.from)->peer.not_before, 1);
	newest = party_newest(pair.from);
	assert_ptr_equal(newest, fresh);
	credential_release(newest);
	newest = party_newest(pair.to);
	assert_ptr_equal(newest, party_credential(pair.to));
	credential_release(newest);
	rendezvous_end(s.r, &pair);
	rendezvous_free(s.r);
	credential_release(old);
	credential_release(fresh);
	credential_release(console);
}

/* How often a name may say that it ends a session, or proves something, counts over all its links;
 * one takes nothing from the other, nor from another name. */
static void words_of_a_name_are_counted(void **state)
{
	struct scene s = scene_new();
	struct rendezvous_link more;

	assert_int_equal(sign_in(s.r, "laptop", RENDEZVOUS_TRANSIENT, 300, &more), REASON_OK);
	for (unsigned i = 0; i < PROVING_ENDS_ONCE; i++)
		assert_true(rendezvous_may_end(s.r, i % 2 ? s.laptop.link : more.link, 9000));
	assert_false(rendezvous_may_end(s.r, s.laptop.link, 9000));
	assert_false(rendezvous_may_end(s.r, more.link, 9000));
	assert_true(rendezvous_may_prove(s.r, more.link, 9000));
	assert_true(rendezvous_may_end(s.r, s.home.link, 9000));
	for (unsigned i = 0; i < PROVING_ENDS_SECOND; i++)
		assert_true(rendezvous_may_end(s.r, more.link, 10000));
	assert_false(rendezvous_may_end(s.r, s.laptop.link, 10000));
	rendezvous_sign_out(s.r, more.link, NULL, NULL);
	assert_false(rendezvous_may_end(s.r, more.link, 100000));
	rendezvous_free(s.r);
}

/* What is proved to a session's side goes to the link that it came by, or to that of its name. */
static void a_party_is_told_where_it_is(void **state)
{
	struct scene s = scene_new();
	struct rendezvous_link again, console;
	struct rendezvous_offer offer;
	struct rendezvous_pair pair;

	assert_int_equal(rendezvous_open(s.r, s.laptop.link, "home", "ssh", ASKER, &offer),
			 REASON_OK);
	assert_int_equal(rendezvous_accept(s.r, s.home.link, offer.session, &pair), REASON_OK);
	assert_int_equal(party_conn(pair.from), LAPTOP_CONN);
	assert_int_equal(party_conn(pair.to), HOME_CONN);
	rendezvous_sign_out(s.r, s.laptop.link, NULL, NULL);
	assert_int_equal(party_conn(pair.from), 0);
	/* A console of the same name is another. */
	assert_int_equal(sign_in(s.r, "laptop", RENDEZVOUS_CONSOLE, 300, &console), REASON_OK);
	assert_int_equal(party_conn(pair.from), 0);
	assert_int_equal(sign_in(s.r, "laptop", RENDEZVOUS_AGENT, 301, &again), REASON_OK);
	assert_int_equal(party_conn(pair.from), 301);
	rendezvous_end(s.r, &pair);
	rendezvous_free(s.r);
}

static void add_group(void *context, uint16_t group)
{
	*(unsigned *)context += group;
}

static void expect_group(void *context, const struct rendezvous_agent *a)
{
	if (strcmp(a->name, "home") == 0)
		assert_int_equal(a->key_exchange, *(unsigned *)context);
}

static void a_link_keeps_how_its_keys_were_exchanged(void **state)
{
	struct scene s = scene_new();
	unsigned sum = 0, x25519 = 29, none = 0;

	rendezvous_each_agent(s.r, expect_group, &none);
	rendezvous_note_key_exchange(s.r, s.home.link, 29);
	rendezvous_note_key_exchange(s.r, s.laptop.link, 1000);
	rendezvous_note_key_exchange(s.r, 12345, 5000);
	rendezvous_each_agent(s.r, expect_group, &x25519);
	rendezvous_each_key_exchange(s.r, add_group, &sum);
	assert_int_equal(sum, 1029);
	rendezvous_sign_out(s.r, s.home.link, NULL, NULL);
	sum = 0;
	rendezvous_each_key_exchange(s.r, add_group, &sum);
	assert_int_equal(sum, 1000);
	rendezvous_free(s.r);
}

static void a_leg_needs_the_secret_of_a_living_link(void **state)
{
	struct scene s = scene_new();
	uint8_t secret[WIRE_SECRET_BYTES];

	assert_int_equal(rendezvous_leg_secret(s.r, s.home.link, secret), REASON_OK);
	assert_memory_equal(secret, s.home.secret, sizeof secret);
	rendezvous_sign_out(s.r, s.home.link, NULL, NULL);
	assert_int_equal(rendezvous_leg_secret(s.r, s.home.link, secret), REASON_LINK_GONE);
	assert_int_equal(join(s.r, s.home.link), REASON_LINK_GONE);
	assert_false(rendezvous_link_alive(s.r, s.home.link));
	rendezvous_free(s.r);
}

/* A name may lead to several relays. */
static void a_leg_of_another_relays_link_is_told_so(void **state)
{
	struct scene s = scene_new(), other = scene_new();
	uint8_t secret[WIRE_SECRET_BYTES];

	/* Two draws of 16 bits may be the same. */
	while (s.home.link >> 48 == other.home.link >> 48) {
		rendezvous_free(other.r);
		other = scene_new();
	}
	assert_int_equal(s.home.link >> 48, s.laptop.link >> 48);
	assert_int_not_equal(s.home.link, s.laptop.link);
	assert_int_equal(rendezvous_leg_secret(s.r, other.home.link, secret),
			 REASON_LINK_ELSEWHERE);
	assert_int_equal(rendezvous_leg_secret(s.r, s.home.link ^ 1, secret), REASON_LINK_GONE);
	rendezvous_free(other.r);
	rendezvous_free(s.r);
}

/* What was seen on the way is of no use elsewhere, nor once the next round has begun. */
static void a_links_question_is_asked_from_one_place(void **state)
{
	struct scene s = scene_new();
	struct addr here, elsewhere, none = {.len = 0};

	assert_true(addr_parse("45.0.0.10:40000", &here));
	assert_true(addr_parse("45.0.0.10:40001", &elsewhere));
	assert_false(rendezvous_stun_asks(s.r, s.home.link, 2, &none));
	assert_true(rendezvous_stun_asks(s.r, s.home.link, 2, &here));
	assert_true(rendezvous_stun_asks(s.r, s.home.link, 2, &here));
	assert_false(rendezvous_stun_asks(s.r, s.home.link, 2, &elsewhere));
	assert_true(rendezvous_stun_asks(s.r, s.laptop.link, 1, &elsewhere)); /* of its own */
	assert_true(rendezvous_stun_asks(s.r, s.home.link, 3, &elsewhere));
	assert_false(rendezvous_stun_asks(s.r, s.home.link, 2, &here));
	assert_false(rendezvous_stun_asks(s.r, s.home.link, 2, &elsewhere));
	assert_true(rendezvous_stun_asks(s.r, s.home.link, 3, &elsewhere));
	/* A copy with a forged sender is as good as its own: so a round has an end. */
	for (unsigned i = 2; i < RENDEZVOUS_STUN_ASKS; i++)
		assert_true(rendezvous_stun_asks(s.r, s.home.link, 3, &elsewhere));
	assert_false(rendezvous_stun_asks(s.r, s.home.link, 3, &elsewhere));
	assert_true(rendezvous_stun_asks(s.r, s.home.link, 4, &elsewhere));
	rendezvous_sign_out(s.r, s.home.link, NULL, NULL);
	assert_false(rendezvous_stun_asks(s.r, s.home.link, 5, &here));
	rendezvous_free(s.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_open_meets_an_accept),
		cmocka_unit_test(a_public_client_has_no_account),
		cmocka_unit_test(the_links_of_a_name_are_few),
		cmocka_unit_test(the_legs_of_a_name_are_few),
		cmocka_unit_test(unknown_names_have_their_own_reasons),
		cmocka_unit_test(only_the_publisher_may_accept_or_refuse),
		cmocka_unit_test(a_renewed_name_is_no_second_one),
		cmocka_unit_test(the_later_sign_in_wins_whoever_publishes_first),
		cmocka_unit_test(an_agent_that_has_not_published_is_not_there),
		cmocka_unit_test(the_newest_link_of_a_name_replaces_the_older),
		cmocka_unit_test(a_lost_publisher_orphans_its_meetings),
		cmocka_unit_test(limits_refuse_new_work_only),
		cmocka_unit_test(both_sides_of_a_session_have_a_limit),
		cmocka_unit_test(only_consoles_reach_an_agents_control),
		cmocka_unit_test(sessions_are_counted_by_service),
		cmocka_unit_test(a_publication_replaces_the_one_before),
		cmocka_unit_test(what_is_published_is_charged),
		cmocka_unit_test(links_have_a_limit),
		cmocka_unit_test(accounts_live_while_links_or_sessions_do),
		cmocka_unit_test(a_session_knows_the_newest_certificate),
		cmocka_unit_test(words_of_a_name_are_counted),
		cmocka_unit_test(a_party_is_told_where_it_is),
		cmocka_unit_test(a_link_keeps_how_its_keys_were_exchanged),
		cmocka_unit_test(a_leg_needs_the_secret_of_a_living_link),
		cmocka_unit_test(a_leg_of_another_relays_link_is_told_so),
		cmocka_unit_test(a_links_question_is_asked_from_one_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
