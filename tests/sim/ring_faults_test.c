/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_faults_test: what the worlds' ring leaves to chance: how much one receive or one piece of a
 * send moves, in which order operations complete, whether a cancellation comes before the result.
 * Nothing is lost by any of it, and each way is gone.
 *
 * links: core/addr.c core/ring.c core/timer.c tests/support/ring_fixture_world.c
 * links: tests/world/calls.c tests/world/kernel.c tests/world/memory.c tests/world/packet.c
 * links: tests/world/pipes.c tests/world/ring_sim.c tests/world/store.c tests/world/stream.c
 * links: tests/world/stream_connect.c tests/world/world.c core/memory.c
 */
#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/world/kernel.h"

#define MUCH  (1u << 20)
#define TRIES 100

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i ^ (i >> 8) ^ (i >> 16));
}

static void short_sends_lose_nothing(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct drain drain = {.expected = pattern};
	static uint8_t data[MUCH];
	struct probe p;
	int ours, theirs;

	tcp_pair(&ours, &theirs);
	k_faults.short_io = 700;
	for (size_t i = 0; i < MUCH; i++)
		data[i] = pattern(i);
	probe_init(f, &p);
	drain.fd = theirs;
	drain_start(&drain);
	ring_send(f->r, &p.op, ours, data, MUCH);
	run_until(f, &p, 1);
	assert_int_equal(p.res, MUCH); /* the whole, once */
	shutdown(ours, SHUT_WR);
	assert_int_equal(drain_end(&drain), MUCH);
	shut(f, ours, theirs);
}

static void short_receives_keep_the_order(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	static uint8_t data[40000], in[40000];
	struct probe p;
	int ours, theirs;

	tcp_pair(&ours, &theirs);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = pattern(i);
	probe_init(f, &p);
	for (int t = 0; t < 10; t++) {
		k_faults.short_io = 0;
		write_all(theirs, data, sizeof(data));
		k_faults.short_io = 700;
		for (size_t got = 0; got < sizeof(in); got += (size_t)p.res) {
			bool pooled = p.done % 2;

			if (pooled)
				ring_recv_pooled(f->r, &p.op, ours);
			else
				ring_recv(f->r, &p.op, ours, in + got, sizeof(in) - got);
			run_until(f, &p, p.done + 1);
			assert_true(p.res > 0);
			if (!pooled)
				continue;
			memcpy(in + got, p.op.buf, (size_t)p.res);
			ring_buffer_put(f->r, p.op.buf);
		}
		assert_memory_equal(in, data, sizeof(data));
	}
	assert_true(p.done > 20);
	shut(f, ours, theirs);
}

struct runner {
	struct ring_op op; /* first */
	unsigned *arrived, place;
};

static void runner_arrived(struct ring_op *op, int res)
{
	struct runner *one = (struct runner *)op;

	assert_int_equal(res, 1);
	one->place = ++*one->arrived;
}

/* Two that could complete do so in either order; one operation's results keep theirs. */
static void operations_complete_in_any_order(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	int ours[2], theirs[2];
	unsigned first[2] = {0, 0};
	char byte[2];

	for (int i = 0; i < 2; i++)
		tcp_pair(&ours[i], &theirs[i]);
	for (int t = 0; t < TRIES; t++) {
		struct runner runners[2];
		unsigned arrived = 0;

		for (int i = 0; i < 2; i++)
			write_all(theirs[i], "x", 1);
		run_for(f, 1);
		for (int i = 0; i < 2; i++) {
			runners[i] =
				(struct runner){.op.done = runner_arrived, .arrived = &arrived};
			ring_recv(f->r, &runners[i].op, ours[i], &byte[i], 1);
		}
		run_for(f, 100);
		assert_int_equal(arrived, 2);
		first[runners[0].place == 1 ? 0 : 1]++;
	}
	assert_in_range(first[0], 10, TRIES - 10);
	for (int i = 0; i < 2; i++)
		shut(f, ours[i], theirs[i]);
}

/* On io_uring a cancellation may come too late; on epoll it never does. Either way the byte is
 * received once. */
static void cancellations_win_or_lose(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	unsigned lost = 0;
	struct probe p;
	int ours, theirs;
	char byte;

	tcp_pair(&ours, &theirs);
	probe_init(f, &p);
	for (int t = 0; t < TRIES; t++) {
		write_all(theirs, "x", 1);
		run_for(f, 1);
		ring_recv(f->r, &p.op, ours, &byte, 1);
		ring_cancel(f->r, &p.op);
		run_until(f, &p, p.done + 1);
		assert_true(p.res == 1 || p.res == -ECANCELED);
		lost += p.res == 1;
		if (p.res < 0)
			read_all(ours, &byte, 1);
		assert_int_equal(recv(ours, &byte, 1, MSG_DONTWAIT), -1);
	}
	if (f->engine == RING_EPOLL)
		assert_int_equal(lost, 0);
	else
		assert_in_range(lost, 10, TRIES - 10);
	shut(f, ours, theirs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(short_sends_lose_nothing),
		RING_TEST(short_receives_keep_the_order),
		RING_TEST(operations_complete_in_any_order),
		RING_TEST(cancellations_win_or_lose),
	};

	return RING_TESTS_RUN(tests);
}
