/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox: bytes leave in order, one send at a time; what a peer does not read is bounded where it
 * is added.
 *
 * links: core/outbox.c core/ring.c core/ring_epoll.c core/ring_uring.c core/timer.c
 * links: tests/support/ring_fixture.c core/memory.c
 */
#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/container.h"
#include "core/outbox.h"

#define MOST 100000u

struct scene {
	struct outbox out;
	struct ring_fixture *f;
	int ours, theirs;
	unsigned moved;
	int error; /* the last */
};

static void scene_moved(struct outbox *o, int error)
{
	struct scene *s = container(o, struct scene, out);

	s->moved++;
	s->error = error;
}

/* A socket whose buffer takes little, so that a send gets stuck. */
static void scene_open(void **state, struct scene *s)
{
	const int small = 1;
	int pair[2];

	*s = (struct scene){.f = ring_fixture(state)};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	s->ours = pair[0];
	s->theirs = pair[1];
	assert_int_equal(setsockopt(s->ours, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	s->out =
		(struct outbox){.ring = s->f->r, .fd = s->ours, .most = MOST, .moved = scene_moved};
	outbox_init(&s->out);
}

static void scene_shut(struct scene *s)
{
	outbox_close(&s->out);
	outbox_close(&s->out);
	for (int i = 0; i < 200 && outbox_busy(&s->out); i++)
		run_for(s->f, 5);
	assert_false(outbox_busy(&s->out));
	outbox_free(&s->out);
	ring_close_fd(s->f->r, s->ours);
	if (s->theirs >= 0)
		close(s->theirs);
}

/* Byte number i of what is sent. */
static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 7 + (i >> 8));
}

/* Puts bytes number from to from + len. */
static enum outbox_status put(struct scene *s, size_t from, size_t len)
{
	uint8_t *bytes = malloc(len + 1);
	enum outbox_status status;

	assert_non_null(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = pattern(from + i);
	status = outbox_put(&s->out, bytes, len);
	free(bytes);
	return status;
}

/* Reads until there are bytes number 0 to len, and sees that these are all. */
static void take_all(struct scene *s, size_t len)
{
	size_t have = 0;
	uint8_t bytes[4096];

	for (int i = 0; i < 2000 && have < len; i++) {
		ssize_t n = recv(s->theirs, bytes, sizeof(bytes), MSG_DONTWAIT);

		for (ssize_t k = 0; k < n; k++)
			assert_int_equal(bytes[k], pattern(have + (size_t)k));
		have += n > 0 ? (size_t)n : 0;
		if (n <= 0)
			run_for(s->f, 1);
	}
	assert_int_equal(have, len);
	run_for(s->f, 5);
	assert_int_equal(recv(s->theirs, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
}

static void test_bytes_leave_in_order(void **state)
{
	struct scene s;
	size_t sent = 0;

	scene_open(state, &s);
	assert_int_equal(put(&s, 0, 0), OUTBOX_OK);
	assert_false(outbox_busy(&s.out));
	for (size_t len = 1; len < 1000; sent += len, len += 37)
		assert_int_equal(put(&s, sent, len), OUTBOX_OK);
	assert_true(outbox_busy(&s.out));
	take_all(&s, sent);
	assert_false(outbox_busy(&s.out));
	assert_int_equal(outbox_waiting(&s.out), 0);
	assert_int_equal(s.error, 0);
	/* The first alone, then all that had been put in meanwhile. */
	assert_int_equal(s.moved, 2);
	scene_shut(&s);
}

static void test_is_bounded_where_bytes_are_added(void **state)
{
	struct scene s;

	scene_open(state, &s);
	assert_int_equal(put(&s, 0, MOST + 1), OUTBOX_FULL);
	assert_false(outbox_busy(&s.out));
	assert_int_equal(put(&s, 0, MOST), OUTBOX_OK); /* gets stuck */
	run_for(s.f, 20);
	assert_int_equal(s.moved, 0);
	assert_int_equal(put(&s, MOST, MOST - 10), OUTBOX_OK);
	assert_int_equal(put(&s, 0, 11), OUTBOX_FULL);
	assert_int_equal(outbox_waiting(&s.out), MOST - 10);
	assert_int_equal(put(&s, 2 * MOST - 10, 10), OUTBOX_OK);
	assert_int_equal(put(&s, 0, 1), OUTBOX_FULL);
	/* What was refused has left no trace. */
	take_all(&s, 2 * MOST);
	assert_int_equal(s.moved, 2);
	assert_int_equal(put(&s, 0, 1), OUTBOX_OK);
	scene_shut(&s);
}

static void test_an_error_drops_what_waits(void **state)
{
	struct scene s;

	scene_open(state, &s);
	assert_int_equal(put(&s, 0, MOST), OUTBOX_OK);
	assert_int_equal(put(&s, MOST, 1000), OUTBOX_OK);
	run_for(s.f, 20);
	close(s.theirs);
	s.theirs = -1;
	for (int i = 0; i < 200 && s.moved == 0; i++)
		run_for(s.f, 5);
	assert_int_equal(s.moved, 1);
	assert_in_range(-s.error, EPIPE, ECONNRESET);
	assert_false(outbox_busy(&s.out));
	assert_int_equal(outbox_waiting(&s.out), 0);
	assert_int_equal(put(&s, 0, 1), OUTBOX_CLOSED);
	scene_shut(&s);
}

static void test_closing_ends_a_stuck_send(void **state)
{
	struct scene s;

	scene_open(state, &s);
	assert_int_equal(put(&s, 0, MOST), OUTBOX_OK);
	assert_int_equal(put(&s, MOST, 1000), OUTBOX_OK);
	run_for(s.f, 20);
	outbox_close(&s.out);
	assert_int_equal(outbox_waiting(&s.out), 0);
	assert_int_equal(put(&s, 0, 1), OUTBOX_CLOSED);
	scene_shut(&s);
	assert_int_equal(s.moved, 1);
	assert_int_equal(s.error, -ECANCELED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(test_bytes_leave_in_order),
		RING_TEST(test_is_bounded_where_bytes_are_added),
		RING_TEST(test_an_error_drops_what_waits),
		RING_TEST(test_closing_ends_a_stuck_send),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
