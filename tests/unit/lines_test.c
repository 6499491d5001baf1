/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines_test: lines however they arrive, and peers that keep to no bounds.
 *
 * links: core/lines.c core/addr.c core/outbox.c core/ring.c core/timer.c tests/support/ring_fixture_world.c
 * links: tests/world/calls.c tests/world/kernel.c tests/world/memory.c tests/world/packet.c
 * links: tests/world/pipes.c tests/world/ring_sim.c tests/world/store.c tests/world/stream.c
 * links: tests/world/stream_connect.c tests/world/world.c core/memory.c
 */
#include "tests/support/ring_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/lines.h"

#define LINE_MAX_BYTES	 1000u
#define OUTPUT_MAX_BYTES (8u << 20)

struct scene {
	struct lines lines;
	int theirs;
	unsigned count, ended;
	char last[LINE_MAX_BYTES + 1];
	size_t answer; /* bytes sent back for each line */
	unsigned close_at;
	bool owes;
};

static void took_line(struct lines *l, const char *line, size_t len)
{
	struct scene *s = (struct scene *)l;

	s->count++;
	assert_true(len <= LINE_MAX_BYTES);
	memcpy(s->last, line, len);
	s->last[len] = '\0';
	if (s->count == s->close_at)
		lines_close(l);
	if (s->answer > 0) {
		char *text = malloc(s->answer);

		memset(text, 'a', s->answer - 1);
		text[s->answer - 1] = '\n';
		(void)lines_send(l, text, s->answer);
	}
}

static bool owes(const struct lines *l)
{
	return ((const struct scene *)l)->owes;
}

static void has_ended(struct lines *l)
{
	((struct scene *)l)->ended++;
}

static void begin(struct ring_fixture *f, struct scene *s)
{
	int pair[2];

	memset(s, 0, sizeof(*s));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	s->theirs = pair[1];
	s->lines = (struct lines){.ring = f->r,
				  .fd = pair[0],
				  .line_max = LINE_MAX_BYTES,
				  .output_max = OUTPUT_MAX_BYTES,
				  .line = took_line,
				  .owes = owes,
				  .ended = has_ended};
	lines_start(&s->lines);
}

static void say(struct ring_fixture *f, struct scene *s, const char *text)
{
	size_t len = strlen(text);

	assert_int_equal(write(s->theirs, text, len), (ssize_t)len);
	run_for(f, 20);
}

static void finish(struct ring_fixture *f, struct scene *s)
{
	lines_close(&s->lines);
	lines_close(&s->lines);
	assert_false(s->ended > 1);
	run_for(f, 20);
	assert_int_equal(s->ended, 1);
	close(s->theirs);
}

/* ---- tests ---- */

static void lines_come_however_they_are_cut(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct scene s;

	begin(f, &s);
	say(f, &s, "on");
	say(f, &s, "e");
	assert_int_equal(s.count, 0);
	say(f, &s, "\ntwo\n\n\nthr");
	assert_int_equal(s.count, 2);
	assert_string_equal(s.last, "two");
	say(f, &s, "ee\n");
	assert_int_equal(s.count, 3);
	assert_string_equal(s.last, "three");
	finish(f, &s);
}

static void a_line_that_is_too_long_ends_it(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	char text[LINE_MAX_BYTES + 3];
	struct scene s;

	memset(text, 'x', sizeof(text));
	text[LINE_MAX_BYTES] = '\n';
	text[LINE_MAX_BYTES + 1] = '\0';
	begin(f, &s);
	say(f, &s, text);
	assert_int_equal(s.count, 1);
	text[LINE_MAX_BYTES] = 'x';
	say(f, &s, text);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.ended, 1);
	close(s.theirs);
}

static void closing_inside_a_line_takes_no_more(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct scene s;

	begin(f, &s);
	s.close_at = 2;
	s.answer = 10;
	say(f, &s, "1\n2\n3\n4\n");
	assert_int_equal(s.count, 2);
	assert_int_equal(s.ended, 1);
	close(s.theirs);
}

static void what_waits_leaves_after_the_end_of_input(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	static char got[1u << 20];
	struct scene s;
	size_t all = 0;

	begin(f, &s);
	s.answer = sizeof(got);
	say(f, &s, "1\n");
	shutdown(s.theirs, SHUT_WR);
	for (int i = 0; i < 1000 && !s.ended; i++) {
		ssize_t n = recv(s.theirs, got, sizeof(got), MSG_DONTWAIT);

		all += n > 0 ? (size_t)n : 0;
		run_for(f, 1);
	}
	for (ssize_t n; (n = recv(s.theirs, got, sizeof(got), MSG_DONTWAIT)) > 0;)
		all += (size_t)n;
	assert_int_equal(s.ended, 1);
	assert_int_equal(all, sizeof(got));
	close(s.theirs);
}

static void what_is_owed_is_waited_for_at_the_end_of_input(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct scene s;
	char got[16];

	begin(f, &s);
	s.owes = true;
	say(f, &s, "1\n");
	shutdown(s.theirs, SHUT_WR);
	run_for(f, LINES_OWED_MS / 2);
	assert_int_equal(s.ended, 0);
	s.owes = false;
	assert_true(lines_send(&s.lines, strdup("answer\n"), 7));
	run_for(f, 20);
	assert_int_equal(recv(s.theirs, got, sizeof(got), MSG_DONTWAIT), 7);
	assert_int_equal(s.ended, 1);
	close(s.theirs);
	/* But not for ever. */
	begin(f, &s);
	s.owes = true;
	shutdown(s.theirs, SHUT_WR);
	run_for(f, LINES_OWED_MS - 1000);
	assert_int_equal(s.ended, 0);
	run_for(f, 2000);
	assert_int_equal(s.ended, 1);
	close(s.theirs);
}

/* Calls and calls and never reads: is not read any more either, and holds little. */
static void a_peer_that_does_not_read_is_not_read(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	char flood[4096];
	struct scene s;
	unsigned before;

	memset(flood, '\n', sizeof(flood));
	for (size_t i = 0; i < sizeof(flood); i += 2)
		flood[i] = 'q';
	begin(f, &s);
	s.answer = 500;
	for (int i = 0; i < 400; i++) {
		(void)!send(s.theirs, flood, sizeof(flood), MSG_DONTWAIT);
		run_for(f, 1);
	}
	before = s.count;
	run_for(f, 20);
	assert_int_equal(s.count, before);
	assert_int_equal(s.ended, 0);
	assert_in_range(outbox_waiting(&s.lines.out), LINES_PAUSE_BYTES, OUTPUT_MAX_BYTES);
	/* It goes on where it stopped. */
	for (int i = 0; i < 400 && s.count == before; i++) {
		while (recv(s.theirs, flood, sizeof(flood), MSG_DONTWAIT) > 0)
			;
		run_for(f, 1);
	}
	assert_true(s.count > before);
	finish(f, &s);
}

static void too_much_at_once_ends_it(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct scene s;

	begin(f, &s);
	assert_false(lines_send(&s.lines, malloc(OUTPUT_MAX_BYTES + 1), OUTPUT_MAX_BYTES + 1));
	assert_false(lines_send(&s.lines, strdup("x\n"), 2));
	assert_int_equal(s.ended, 0); /* never from inside a call */
	run_for(f, 20);
	assert_int_equal(s.ended, 1);
	close(s.theirs);
}

/* Each answer fits, and all of them together do not. */
static void little_by_little_ends_it_too(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	const size_t each = OUTPUT_MAX_BYTES / 8;
	struct scene s;
	size_t taken = 0;

	begin(f, &s);
	while (taken < 16 && lines_send(&s.lines, calloc(1, each), each))
		taken++;
	/* The first is on its way already. */
	assert_int_equal(taken, 9);
	run_for(f, 20);
	assert_int_equal(s.ended, 1);
	close(s.theirs);
}

static void a_peer_that_vanishes_ends_it(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct scene s;

	begin(f, &s);
	s.answer = 100000;
	say(f, &s, "1\n");
	close(s.theirs);
	run_for(f, 20);
	assert_int_equal(s.ended, 1);
}

static void what_waits_goes_with_the_ring(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct scene s;

	begin(f, &s);
	s.answer = OUTPUT_MAX_BYTES / 2; /* more than the socket holds */
	say(f, &s, "one\nand a half");
	assert_int_equal(s.count, 1);
	ring_fixture_reopen(f, 64, 8);
	lines_free(&s.lines);
	assert_int_equal(s.ended, 0);
	close(s.theirs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(lines_come_however_they_are_cut),
		RING_TEST(a_line_that_is_too_long_ends_it),
		RING_TEST(closing_inside_a_line_takes_no_more),
		RING_TEST(what_waits_leaves_after_the_end_of_input),
		RING_TEST(what_is_owed_is_waited_for_at_the_end_of_input),
		RING_TEST(a_peer_that_does_not_read_is_not_read),
		RING_TEST(too_much_at_once_ends_it),
		RING_TEST(little_by_little_ends_it_too),
		RING_TEST(a_peer_that_vanishes_ends_it),
		RING_TEST(what_waits_goes_with_the_ring),
	};

	return RING_TESTS_RUN(tests);
}
