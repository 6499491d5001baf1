/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hops_test: what is sent to find the routers behind the gateway where nobody answers: two
 * datagrams to each of five places, some time apart, and no more.
 *
 * links: portmap/hops.c stun/client/client.c core/addr.c core/log*.c core/ring.c core/ring_epoll.c
 * links: core/ring_uring.c core/timer.c core/file.c core/memory.c tests/support/ring_fixture.c
 */
#include "tests/support/ring_fixture.h"

#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "portmap/hops.h"
#include "tests/support/loopback.h"

#define FIRST_PORT 33434u /* one for each place */

static unsigned ends;

static void looked(struct hops *h)
{
	ends++;
}

/* Who is there takes them and is silent. */
static void nobody_answers(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct hops h = {.ring = f->r, .source = test_loopback(2, 0), .to = test_loopback(9, 53)};
	uint64_t began_ms = clock_ms(CLOCK_MONOTONIC);
	int fds[HOPS_MAX + 1];
	uint8_t bytes[64];

	h.done = looked;
	ends = 0;
	for (unsigned i = 0; i < HOPS_MAX + 1; i++) {
		struct addr at = test_loopback(9, (uint16_t)(FIRST_PORT + i));

		fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_int_equal(bind(fds[i], &at.sa, at.len), 0);
	}
	assert_int_equal(hops_start(&h), 0);
	for (unsigned i = 0; i < 1000 && ends == 0; i++)
		run_for(f, 10);
	assert_int_equal(ends, 1);
	assert_true(clock_ms(CLOCK_MONOTONIC) - began_ms >= HOPS_SENDINGS * HOPS_WAIT_MS);
	for (unsigned i = 0; i < HOPS_MAX + 1; i++) {
		unsigned heard = 0;

		while (recv(fds[i], bytes, sizeof bytes, MSG_DONTWAIT) >= 0)
			heard++;
		assert_int_equal(heard, i < HOPS_MAX ? HOPS_SENDINGS : 0);
		close(fds[i]);
	}
	for (unsigned i = 0; i < HOPS_MAX; i++)
		assert_int_equal(h.routers[i].len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(nobody_answers),
	};

	return RING_TESTS_RUN(tests);
}
