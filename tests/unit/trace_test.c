/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace: which lines are made, for whom, and how many.
 * links: core/engine/entitled.c core/engine/revocations.c
 * links: relay/session/trace.c relay/rendezvous/rendezvous.c core/addr.c core/parse/wire.c core/parse/reason.c
 * links: core/memory.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "relay/session/trace.h"
#include "tests/support/sign_in.h"

#define LINES_MAX 64u

static struct trace_line *posted[LINES_MAX];
static size_t posted_count;

/* In place of the control thread's ring. */
void ring_post(struct ring *ring, struct ring_msg *msg)
{
	assert_true(posted_count < LINES_MAX);
	posted[posted_count++] = (struct trace_line *)msg;
}

static void traced(struct ring_msg *msg)
{
}

static void forget(void)
{
	while (posted_count > 0)
		free(posted[--posted_count]);
}

static const struct relay_upward upward = {.traced = traced};
static struct relay relay;
static struct rendezvous_link home;

static int set_up(void **state)
{
	const struct rendezvous_limits limits = {
		.links = 10, .services = 10, .legs = 10, .sessions = 10};

	relay = (struct relay){.upward = &upward, .control_ring = (struct ring *)&relay};
	pthread_mutex_init(&relay.lock, NULL);
	relay.trace = trace_new();
	relay.rendezvous = rendezvous_new(&limits);
	if (!relay.trace || !relay.rendezvous)
		return -1;
	if (sign_in(relay.rendezvous, "home", RENDEZVOUS_AGENT, 1, &home) != REASON_OK)
		return -1;
	return 0;
}

static void no_asker_waits(void *context, slab_id asker, uint64_t session)
{
}

static int tear_down(void **state)
{
	forget();
	rendezvous_sign_out(relay.rendezvous, home.link, no_asker_waits, NULL);
	rendezvous_free(relay.rendezvous);
	trace_free(relay.trace);
	pthread_mutex_destroy(&relay.lock);
	return 0;
}

static void off_until_it_is_asked_for(void **state)
{
	assert_false(trace_on(&relay));
	TRACE_AGENT(&relay, "home", "one");
	trace_agent(&relay, "home", "two"); /* switched off between the look and the call */
	assert_int_equal(posted_count, 0);
}

static void one_agent_alone(void **state)
{
	unsigned run = trace_start(relay.trace, "home", 0, 100);

	assert_true(trace_on(&relay));
	TRACE_AGENT(&relay, "home", "link: %s", "up");
	TRACE_AGENT(&relay, "homer", "no");
	TRACE_AGENT(&relay, "", "no");
	TRACE_LINK(&relay, home.link, "leg: ready");
	TRACE_LINK(&relay, home.link + 1, "of a link that is gone");
	trace_asked(&relay, "laptop", "home", 0xabc, "asked");
	trace_asked(&relay, "home", "laptop", 0, "refused");
	trace_asked(&relay, "laptop", "other", 0xabd, "no");
	assert_int_equal(posted_count, 4);
	assert_string_equal(posted[0]->text, "link: up");
	assert_string_equal(posted[1]->text, "leg: ready");
	assert_string_equal(posted[2]->text, "session 0000000000000abc: asked");
	assert_string_equal(posted[3]->text, "refused");
	for (size_t i = 0; i < posted_count; i++) {
		assert_ptr_equal(posted[i]->msg.run, traced);
		assert_ptr_equal(posted[i]->relay, &relay);
		assert_int_equal(posted[i]->run, run);
		assert_false(posted[i]->last);
		assert_true(posted[i]->at.tv_sec > 0);
	}
	assert_int_equal(trace_stop(relay.trace), 0);
	assert_false(trace_on(&relay));
	trace_agent(&relay, "home", "behind its end");
	assert_int_equal(posted_count, 4);
}

static void one_session_alone(void **state)
{
	trace_start(relay.trace, NULL, 0xabc, 100);
	trace_asked(&relay, "laptop", "home", 0xabc, "this one");
	trace_asked(&relay, "laptop", "home", 0xabd, "no");
	trace_asked(&relay, "", "", 0, "no");
	trace_agent(&relay, "home", "no");
	trace_agent(&relay, "", "no");
	assert_int_equal(posted_count, 1);
	assert_string_equal(posted[0]->text, "session 0000000000000abc: this one");
}

static void as_many_lines_as_it_may_cost(void **state)
{
	unsigned first = trace_start(relay.trace, "home", 0, 3), second;

	for (int i = 0; i < 10; i++)
		trace_agent(&relay, "home", "%d", i);
	assert_int_equal(posted_count, 3);
	assert_false(posted[0]->last || posted[1]->last);
	assert_true(posted[2]->last);
	assert_false(trace_on(&relay));
	/* Its lines may still be on their way when the next one begins. */
	second = trace_start(relay.trace, "home", 0, 1);
	assert_int_not_equal(first, second);
	trace_agent(&relay, "home", "again");
	assert_int_equal(posted_count, 4);
	assert_int_equal(posted[3]->run, second);
	assert_true(posted[3]->last);
}

static void long_lines_are_cut(void **state)
{
	char text[2 * TRACE_TEXT_BYTES];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	trace_start(relay.trace, "home", 0, 10);
	trace_asked(&relay, "home", "", 7, "%s", text);
	assert_int_equal(posted_count, 1);
	assert_int_equal(strlen(posted[0]->text), TRACE_TEXT_BYTES - 1);
}

/* Before there is a control thread, and when it has gone. */
static void no_caller_listens(void **state)
{
	trace_start(relay.trace, "home", 0, 10);
	relay.control_ring = NULL;
	trace_agent(&relay, "home", "to no caller");
	assert_int_equal(posted_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(off_until_it_is_asked_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_agent_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_session_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(as_many_lines_as_it_may_cost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(long_lines_are_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_caller_listens, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
