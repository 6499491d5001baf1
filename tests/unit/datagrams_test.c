/* SPDX-License-Identifier: Apache-2.0 */
/*
 * datagrams_test: batches in and out upon readiness, on both engines; answers leave from the
 * address that was asked.
 *
 * links: core/datagrams.c core/addr.c core/ring.c core/ring_uring.c core/ring_epoll.c
 * links: core/timer.c tests/support/ring_fixture.c
 */
#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/datagrams.h"

static struct addr literal(const char *host, uint16_t port)
{
	struct addr a;
	assert_true(addr_from_literal(host, port, &a));
	return a;
}

/* A bound socket under test, and where it is. */
static int open_at(const char *host, struct addr *at)
{
	int fd;
	*at = literal(host, 0);
	assert_int_equal(datagrams_open(at, &fd), 0);
	assert_int_equal(getsockname(fd, &at->sa, &at->len), 0);
	return fd;
}

/* A client that waits for at most ten seconds. */
static int client_at(const char *host)
{
	const struct timeval patience = {.tv_sec = 10};
	struct addr a = literal(host, 0);
	int fd = socket(a.sa.sa_family, SOCK_DGRAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, &a.sa, a.len), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	return fd;
}

static void ask(int client, const char *host, uint16_t port, const char *text)
{
	struct addr to = literal(host, port);
	ssize_t len = (ssize_t)strlen(text);
	assert_int_equal(sendto(client, text, (size_t)len, 0, &to.sa, to.len), len);
}

/* Waits by the ring, then takes one batch. */
static size_t take(struct ring_fixture *f, struct datagrams *d, int fd, struct datagram *got)
{
	struct probe p;
	size_t count;
	probe_init(f, &p);
	ring_poll(f->r, &p.op, fd, POLLIN);
	run_until(f, &p, 1);
	assert_true(p.res & POLLIN);
	(void)!datagrams_receive(d, fd, got, &count);
	return count;
}

/* Asks at host, and has every datagram sent back: the answer must come from there. */
static void echoes_from(struct ring_fixture *f, int fd, uint16_t port, const char *client_host,
			const char *host)
{
	struct datagrams *d = datagrams_new();
	struct datagram got[DATAGRAMS_BATCH];
	struct addr from = {.len = sizeof(from.v6)}, asked = literal(host, port);
	int client = client_at(client_host);
	char answer[8];
	assert_non_null(d);
	ask(client, host, port, "where");
	assert_int_equal(take(f, d, fd, got), 1);
	assert_int_equal(got[0].len, 5);
	assert_memory_equal(got[0].bytes, "where", 5);
	assert_int_equal(got[0].from.sa.sa_family, asked.sa.sa_family);
	datagrams_put(d, got[0].bytes, got[0].len, &got[0].from, &got[0].local);
	assert_int_equal(datagrams_send(d, fd), 0);
	assert_int_equal(recvfrom(client, answer, sizeof(answer), 0, &from.sa, &from.len), 5);
	assert_true(addr_equal(&from, &asked));
	close(client);
	datagrams_free(d);
}

static void a_wildcard_answers_from_the_address_asked(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct addr at;
	int fd = open_at("0.0.0.0", &at);
	echoes_from(f, fd, addr_port(&at), "127.0.0.1", "127.0.0.1");
	echoes_from(f, fd, addr_port(&at), "127.0.0.1", "127.0.0.3");
	echoes_from(f, fd, addr_port(&at), "127.0.0.4", "127.0.0.2");
	ring_close_fd(f->r, fd);
}

static void both_families_on_one_socket(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct addr at;
	int fd = open_at("::", &at);
	echoes_from(f, fd, addr_port(&at), "::1", "::1");
	echoes_from(f, fd, addr_port(&at), "127.0.0.1", "127.0.0.6");
	ring_close_fd(f->r, fd);
}

static void a_bound_address_is_not_reported(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct datagrams *d = datagrams_new();
	struct datagram got[DATAGRAMS_BATCH];
	struct addr at;
	int fd = open_at("127.0.0.9", &at), client = client_at("127.0.0.1");
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ask(client, "127.0.0.9", addr_port(&at), "x");
	assert_int_equal(take(f, d, fd, got), 1);
	assert_int_equal(got[0].local.len, 0);
	close(client);
	echoes_from(f, fd, addr_port(&at), "127.0.0.1", "127.0.0.9");
	ring_close_fd(f->r, fd);
	datagrams_free(d);
}

static void several_may_share_an_address(void **state)
{
	struct addr at;
	int fd = open_at("127.0.0.1", &at), second, third;
	int stranger = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(datagrams_open(&at, &second), 0);
	assert_int_equal(bind(stranger, &at.sa, at.len), -1);
	close(fd);
	close(second);
	assert_int_equal(bind(stranger, &at.sa, at.len), 0);
	assert_int_equal(datagrams_open(&at, &third), -EADDRINUSE);
	close(stranger);
}

static void many_come_in_batches(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct datagrams *d = datagrams_new();
	struct datagram got[DATAGRAMS_BATCH];
	struct addr at, from;
	int fd = open_at("0.0.0.0", &at), client = client_at("127.0.0.1");
	size_t count, whole = 2 * DATAGRAMS_BATCH + 3;
	char text[24];
	for (size_t i = 0; i < whole; i++) {
		snprintf(text, sizeof(text), "%03zu", i);
		ask(client, "127.0.0.1", addr_port(&at), text);
	}
	assert_int_equal(take(f, d, fd, got), DATAGRAMS_BATCH);
	assert_true(datagrams_receive(d, fd, got, &count));
	assert_int_equal(count, DATAGRAMS_BATCH);
	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "%03zu", i + DATAGRAMS_BATCH);
		assert_memory_equal(got[i].bytes, text, 3);
		datagrams_put(d, got[i].bytes, got[i].len, &got[i].from, &got[i].local);
	}
	from = got[0].from;
	assert_int_equal(datagrams_send(d, fd), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(recv(client, text, sizeof(text), 0), 3);
	assert_int_equal(recv(client, text, sizeof(text), MSG_DONTWAIT), -1);
	assert_false(datagrams_receive(d, fd, got, &count));
	assert_int_equal(count, 3);
	assert_true(addr_equal(&got[0].from, &from));
	assert_false(datagrams_receive(d, fd, got, &count));
	assert_int_equal(count, 0);
	close(client);
	ring_close_fd(f->r, fd);
	datagrams_free(d);
}

/* Each is taken and dropped; the last one shows that nothing stalls. */
static void some_are_dropped(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct datagrams *d = datagrams_new();
	struct datagram got[DATAGRAMS_BATCH];
	struct addr at, to;
	static const char large[DATAGRAM_MAX + 1];
	int fd = open_at("0.0.0.0", &at), client = client_at("127.0.0.1");
	uint16_t port = addr_port(&at);
	assert_int_equal(setsockopt(client, SOL_SOCKET, SO_BROADCAST, &(int){1}, sizeof(int)), 0);
	ask(client, "127.255.255.255", port, "all of you");
	to = literal("127.0.0.1", port);
	assert_int_equal(sendto(client, large, sizeof(large), 0, &to.sa, to.len), sizeof(large));
	assert_int_equal(sendto(client, large, sizeof(large) - 1, 0, &to.sa, to.len),
			 sizeof(large) - 1);
	ask(client, "127.0.0.1", port, "");
	assert_int_equal(take(f, d, fd, got), 2);
	assert_int_equal(got[0].len, DATAGRAM_MAX);
	assert_int_equal(got[1].len, 0);
	close(client);
	ring_close_fd(f->r, fd);
	datagrams_free(d);
}

static void one_that_cannot_go_holds_up_no_other(void **state)
{
	struct datagrams *d = datagrams_new();
	struct addr at, none = {.len = 0}, nowhere = literal("127.0.0.1", 1), to;
	int fd = open_at("127.0.0.1", &at), client = client_at("127.0.0.1");
	char text[4];
	to.len = sizeof(to.v6);
	assert_int_equal(getsockname(client, &to.sa, &to.len), 0);
	nowhere.v4.sin_port = 0;
	datagrams_put(d, (const uint8_t *)"a", 1, &nowhere, &none);
	datagrams_put(d, (const uint8_t *)"b", 1, &to, &none);
	datagrams_put(d, (const uint8_t *)"c", 1, &nowhere, &none);
	datagrams_put(d, (const uint8_t *)"d", 1, &to, &none);
	assert_int_equal(datagrams_send(d, fd), 2);
	assert_int_equal(recv(client, text, sizeof(text), 0), 1);
	assert_int_equal(text[0], 'b');
	assert_int_equal(recv(client, text, sizeof(text), 0), 1);
	assert_int_equal(text[0], 'd');
	assert_int_equal(datagrams_send(d, fd), 0);
	assert_false(datagrams_send_one(fd, (const uint8_t *)"e", 1, &nowhere));
	assert_true(datagrams_send_one(fd, (const uint8_t *)"f", 1, &to));
	assert_int_equal(recv(client, text, sizeof(text), 0), 1);
	assert_int_equal(text[0], 'f');
	close(client);
	close(fd);
	datagrams_free(d);
}

static void waiting_ends_by_cancelling(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p;
	struct addr at;
	int fd = open_at("127.0.0.1", &at);
	probe_init(f, &p);
	ring_poll(f->r, &p.op, fd, POLLIN);
	run_for(f, 5);
	assert_int_equal(p.done, 0);
	cancel_and_wait(f, &p);
	ring_close_fd(f->r, fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(a_wildcard_answers_from_the_address_asked),
		RING_TEST(both_families_on_one_socket),
		RING_TEST(a_bound_address_is_not_reported),
		cmocka_unit_test(several_may_share_an_address),
		RING_TEST(many_come_in_batches),
		RING_TEST(some_are_dropped),
		cmocka_unit_test(one_that_cannot_go_holds_up_no_other),
		RING_TEST(waiting_ends_by_cancelling),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
