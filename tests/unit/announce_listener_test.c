/* SPDX-License-Identifier: Apache-2.0 */
/*
 * announce_listener_test: of what comes to UDP 5350, the gateway's alone gets through.
 *
 * alone: another listener on that port would get what is sent here
 *
 * links: natpmp/driver/announce_listener.c core/addr.c core/ring.c core/ring_uring.c
 * links: core/ring_epoll.c core/timer.c tests/support/ring_fixture.c
 */
#include <net/if.h>
#include <unistd.h>

#include "natpmp/driver/announce_listener.h"
#include "tests/support/ring_fixture.h"

static unsigned heard_count;

static void on_heard(struct announce_listener *l, enum portmap_family family, const uint8_t *in,
		     size_t len)
{
	assert_int_equal(family, PORTMAP_IPV4);
	assert_int_equal(len, 5);
	assert_memory_equal(in, "hello", 5);
	heard_count++;
	ring_stop(l->ring);
}

static void send_bytes(const char *from, const void *bytes, size_t len)
{
	struct addr at, to;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(addr_from_literal("127.0.0.1", ANNOUNCE_PORT, &to));
	assert_true(addr_from_literal(from, 0, &at));
	assert_int_equal(bind(fd, &at.sa, at.len), 0);
	assert_int_equal(sendto(fd, bytes, len, 0, &to.sa, to.len), (ssize_t)len);
	close(fd);
}

static void send_hello(const char *from)
{
	send_bytes(from, "hello", 5);
}

/* Others on this host may share the port, and each datagram goes to one of us: so many are sent. */
static void only_the_gateway_is_listened_to(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct portmap_place places[PORTMAP_FAMILIES] = {{.index = if_nametoindex("lo")}};
	struct announce_listener l = {.ring = f->r, .places = places, .heard = on_heard};
	static const uint8_t long_one[ANNOUNCE_BYTES_MAX + 1];

	heard_count = 0;
	assert_true(addr_from_literal("127.0.0.1", 0, &places[PORTMAP_IPV4].gateway));
	assert_int_equal(announce_listener_start(&l), 0);
	for (unsigned i = 0; i < 100; i++)
		send_hello("127.0.0.2");
	run_for(f, 50);
	assert_int_equal(heard_count, 0);
	assert_true(l.others > 0);
	for (unsigned i = 0; i < 100 && heard_count == 0; i++) {
		send_hello("127.0.0.1");
		run_for(f, 10);
	}
	assert_true(heard_count > 0);
	for (unsigned i = 0; i < 20; i++) /* longer than any announcement: on_heard() would tell */
		send_bytes("127.0.0.1", long_one, sizeof(long_one));
	run_for(f, 20);
	while (!announce_listener_stop(&l))
		run_for(f, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(only_the_gateway_is_listened_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
