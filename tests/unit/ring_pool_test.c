/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_pool_test: pooled receives, above all when the pool is empty.
 * tests/sim/ring_pool_sim_test.c has the same tests on the simulated ring.
 *
 * links: core/ring.c core/ring_uring.c core/ring_epoll.c core/timer.c
 * links: tests/support/ring_fixture.c
 */
#include "tests/support/ring_fixture.h"

#include <string.h>
#include <unistd.h>

#define CROWD 12

static void pooled_recv_brings_its_buffer(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p;
	int ours, theirs;
	static char sent[RING_SMALL_BYTES];
	memset(sent, 'p', sizeof(sent));
	tcp_pair(&ours, &theirs);
	probe_init(f, &p);
	/* More often than there are buffers. */
	for (unsigned i = 0; i < 40; i++) {
		sent[0] = (char)i;
		write_all(theirs, sent, sizeof(sent));
		for (size_t got = 0; got < sizeof(sent);) {
			ring_recv_pooled(f->r, &p.op, ours);
			run_until(f, &p, p.done + 1);
			assert_true(p.res > 0 && p.res <= (int)RING_SMALL_BYTES);
			assert_memory_equal(p.op.buf, sent + got, (size_t)p.res);
			got += (size_t)p.res;
			ring_buffer_put(f->r, p.op.buf);
		}
	}
	close(theirs);
	ring_recv_pooled(f->r, &p.op, ours);
	run_until(f, &p, p.done + 1);
	assert_int_equal(p.res, 0);
	shut(f, ours, -1);
}

static void an_empty_pool_delays_but_loses_nothing(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p[CROWD];
	bool returned[CROWD] = {false};
	int ours[CROWD], theirs[CROWD];
	ring_fixture_reopen(f, 64, 2);
	for (int i = 0; i < CROWD; i++) {
		tcp_pair(&ours[i], &theirs[i]);
		probe_init(f, &p[i]);
		write_all(theirs[i], &i, sizeof(i));
		ring_recv_pooled(f->r, &p[i].op, ours[i]);
	}
	/* One buffer comes back at a time; one more operation must end each time. */
	for (unsigned ended = 2; ended <= CROWD; ended++) {
		while (count_done(p, CROWD) < ended)
			run_until_stopped(f);
		run_for(f, 2);
		assert_int_equal(count_done(p, CROWD), ended);
		for (int i = 0; i < CROWD; i++) {
			if (!p[i].done || returned[i])
				continue;
			assert_int_equal(p[i].res, sizeof(i));
			assert_memory_equal(p[i].op.buf, &i, sizeof(i));
			ring_buffer_put(f->r, p[i].op.buf);
			returned[i] = true;
			break;
		}
	}
	for (int i = 0; i < CROWD; i++)
		shut(f, ours[i], theirs[i]);
}

/* A receive that starved without having bytes must not keep the only buffer from one that has. */
static void a_quiet_connection_does_not_starve_a_busy_one(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe holder, p[CROWD];
	int held, holds, ours[CROWD], theirs[CROWD];
	ring_fixture_reopen(f, 64, 1);
	tcp_pair(&held, &holds);
	probe_init(f, &holder);
	write_all(holds, "h", 1);
	ring_recv_pooled(f->r, &holder.op, held);
	run_until(f, &holder, 1);
	for (int i = 0; i < CROWD; i++) {
		tcp_pair(&ours[i], &theirs[i]);
		probe_init(f, &p[i]);
		ring_recv_pooled(f->r, &p[i].op, ours[i]);
	}
	run_for(f, 5);
	write_all(theirs[CROWD - 1], "z", 1);
	run_for(f, 5);
	assert_int_equal(count_done(p, CROWD), 0);
	ring_buffer_put(f->r, holder.op.buf);
	run_until(f, &p[CROWD - 1], 1);
	assert_int_equal(p[CROWD - 1].res, 1);
	/* And the quiet ones are still served, by the same buffer. */
	ring_buffer_put(f->r, p[CROWD - 1].op.buf);
	for (int i = 0; i < CROWD - 1; i++) {
		write_all(theirs[i], "q", 1);
		run_until(f, &p[i], 1);
		assert_int_equal(p[i].res, 1);
		ring_buffer_put(f->r, p[i].op.buf);
	}
	for (int i = 0; i < CROWD; i++)
		shut(f, ours[i], theirs[i]);
	shut(f, held, holds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(pooled_recv_brings_its_buffer),
		RING_TEST(an_empty_pool_delays_but_loses_nothing),
		RING_TEST(a_quiet_connection_does_not_starve_a_busy_one),
	};
	return RING_TESTS_RUN(tests);
}
