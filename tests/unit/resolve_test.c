/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve_test: names through c-ares, from name servers of the test's own on loopback. What needs
 * an /etc of its own: tests/net/test_names.py.
 *
 * links: core/program/resolve.c core/program/resolve_channel.c core/program/resolve_cache.c
 * links: core/lack.c core/addr.c core/log*.c core/ring.c core/ring_uring.c core/ring_epoll.c
 * links: core/timer.c core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/container.h"
#include "core/program/resolve.h"
#include "core/ring.h"

#define TYPE_A	  1
#define TYPE_AAAA 28

/* A name server: each name is 192.0.2.LAST and 2001:db8::LAST; "none..." is not there. */
struct server {
	struct ring_op op;
	int fd;
	uint8_t last;
	bool mute, mute_aaaa, fails_aaaa;
	uint32_t ttl;
	unsigned asked;
};

struct scene {
	struct ring *ring;
	struct resolver resolver;
	struct server servers[2]; /* 127.0.0.1 and 127.0.0.2 */
	struct timer limit;
	char conf[64], hosts[64];
	uint16_t port;
	unsigned done;
	size_t count;
	struct addr addresses[RESOLVE_ADDRESSES_MAX];
	char error[256];
	bool failed_here;
	struct resolve_query *query;
};
static struct scene scene;

static void server_readable(struct ring_op *op, int res)
{
	struct server *s = container(op, struct server, op);
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	uint8_t m[512], *end;

	while (res > 0 && recvfrom(s->fd, m, sizeof(m), MSG_DONTWAIT, (struct sockaddr *)&from,
				   &from_len) > 12) {
		size_t at = 12, len;
		uint16_t type;

		while (m[at])
			at += m[at] + 1u;
		type = (uint16_t)(m[at + 1] << 8 | m[at + 2]);
		end = m + at + 5;
		s->asked++;
		if (s->mute || (s->mute_aaaa && type == TYPE_AAAA))
			continue;
		m[2] = 0x81;
		m[3] = 0x80;
		memset(m + 6, 0, 6); /* no answers, and no OPT */
		if (memcmp(m + 12, "\4none", 5) == 0) {
			m[3] |= 3;
		} else if (s->fails_aaaa && type == TYPE_AAAA) {
			m[3] |= 2;
		} else {
			const uint8_t head[] = {0xc0, 12, 0, (uint8_t)type,  0, 1,
						0,    0,  0, (uint8_t)s->ttl};
			static const uint8_t v4[] = {0, 4, 192, 0, 2};
			static const uint8_t v6[] = {0, 16, 0x20, 0x01, 0x0d, 0xb8};

			m[7] = 1;
			memcpy(end, head, sizeof(head));
			end += sizeof(head);
			len = type == TYPE_A ? 6 : 18;
			memset(end, 0, len);
			memcpy(end, type == TYPE_A ? v4 : v6,
			       type == TYPE_A ? sizeof(v4) : sizeof(v6));
			end[len - 1] = s->last;
			end += len;
		}
		(void)!sendto(s->fd, m, (size_t)(end - m), 0, (struct sockaddr *)&from, from_len);
	}
	if (res > 0)
		ring_poll(scene.ring, &s->op, s->fd, 1);
}

static void server_start(struct server *s, const char *address, uint8_t last)
{
	struct addr a;

	assert_true(addr_from_literal(address, scene.port, &a));
	*s = (struct server){.op.done = server_readable, .last = last, .ttl = 60};
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, &a.sa, a.len), 0);
	assert_int_equal(getsockname(s->fd, &a.sa, &a.len), 0);
	scene.port = addr_port(&a);
	ring_poll(scene.ring, &s->op, s->fd, 1);
}

static void conf_says(const char *text)
{
	char fresh[80];
	FILE *f;

	snprintf(fresh, sizeof(fresh), "%s.new", scene.conf);
	f = fopen(fresh, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(rename(fresh, scene.conf), 0);
}

static void limit_fired(struct timer *t, uint64_t now_ms)
{
	ring_stop(scene.ring);
}

static int begin(enum ring_engine engine)
{
	const struct ring_options options = {.engine = engine, .small_buffers = 4};
	char why[256];

	scene = (struct scene){.limit.fire = limit_fired};
	snprintf(scene.conf, sizeof(scene.conf), "/tmp/postern-resolv-%d", (int)getpid());
	snprintf(scene.hosts, sizeof(scene.hosts), "/tmp/postern-hosts-%d", (int)getpid());
	assert_int_equal(ring_open(&scene.ring, &options, why, sizeof(why)), 0);
	server_start(&scene.servers[0], "127.0.0.1", 1);
	server_start(&scene.servers[1], "127.0.0.2", 2);
	assert_int_equal(resolver_open(&scene.resolver, scene.ring), 0);
	scene.resolver.conf = scene.conf;
	scene.resolver.hosts = scene.hosts;
	scene.resolver.port = scene.port;
	conf_says("nameserver 127.0.0.1\nnameserver 127.0.0.2\n");
	resolver_changed(&scene.resolver);
	return 0;
}

static void run_for(uint64_t ms)
{
	ring_timer_set(scene.ring, &scene.limit, ms);
	assert_int_equal(ring_run(scene.ring), 0);
}

static int end(void **state)
{
	resolver_close(&scene.resolver);
	for (size_t i = 0; i < 2; i++)
		ring_cancel(scene.ring, &scene.servers[i].op);
	for (unsigned i = 0;
	     i < 100 && (!resolver_idle(&scene.resolver) || ring_op_busy(&scene.servers[0].op) ||
			 ring_op_busy(&scene.servers[1].op));
	     i++)
		run_for(10);
	assert_true(resolver_idle(&scene.resolver));
	for (size_t i = 0; i < 2; i++)
		close(scene.servers[i].fd);
	ring_close(scene.ring);
	unlink(scene.conf);
	return 0;
}

static int begin_auto(void **state)
{
	return begin(RING_AUTO);
}

static int begin_epoll(void **state)
{
	return begin(RING_EPOLL);
}

static void scene_resolved(void *owner, const struct addr *addresses, size_t count,
			   const char *error)
{
	scene.done++;
	scene.count = count;
	if (count)
		memcpy(scene.addresses, addresses, count * sizeof(addresses[0]));
	snprintf(scene.error, sizeof(scene.error), "%s", error ? error : "");
	scene.failed_here = resolve_failed_here(scene.query);
	ring_timer_cancel(scene.ring, &scene.limit);
	ring_stop(scene.ring);
}

/* Returns how long it took, in ms. */
static uint64_t ask(const char *name)
{
	uint64_t began_ms = ring_now_ms(scene.ring);

	scene.done = 0;
	scene.query = resolve_start(&scene.resolver, name, 443, scene_resolved, NULL);
	assert_non_null(scene.query);
	assert_int_equal(scene.done, 0);
	run_for(9000);
	assert_int_equal(scene.done, 1);
	return ring_now_ms(scene.ring) - began_ms;
}

static bool has(const char *literal)
{
	struct addr a;

	assert_true(addr_from_literal(literal, 443, &a));
	for (size_t i = 0; i < scene.count; i++)
		if (addr_equal(&a, &scene.addresses[i]))
			return true;
	return false;
}

static void both_families_come_and_are_kept(void **state)
{
	unsigned asked;

	ask("a.example");
	assert_int_equal(scene.count, 2);
	assert_true(has("192.0.2.1") && has("2001:db8::1"));
	asked = scene.servers[0].asked;
	assert_true(asked >= 2);
	ask("A.example");
	assert_int_equal(scene.count, 2);
	assert_true(has("192.0.2.1") && has("2001:db8::1"));
	assert_int_equal(scene.servers[0].asked, asked);
	resolver_forget(&scene.resolver, "a.example");
	ask("a.example");
	assert_true(scene.servers[0].asked > asked);
	assert_int_equal(scene.servers[1].asked, 0);
}

static void a_does_not_wait_for_aaaa(void **state)
{
	scene.servers[0].mute_aaaa = scene.servers[1].mute_aaaa = true;
	assert_true(ask("a.example") < 800);
	assert_int_equal(scene.count, 1);
	assert_true(has("192.0.2.1"));
	/* What is known to be slow is given no time. */
	assert_true(
		resolve_cache_is_slow(&scene.resolver.cache, "a.example", ring_now_ms(scene.ring)));
}

static void a_failure_for_aaaa_leaves_a(void **state)
{
	scene.servers[0].fails_aaaa = scene.servers[1].fails_aaaa = true;
	assert_true(ask("a.example") < 800);
	assert_true(has("192.0.2.1"));
}

static void a_silent_server_is_asked_last(void **state)
{
	unsigned asked;

	scene.servers[0].mute = true;
	ask("a.example");
	assert_true(has("192.0.2.2"));
	asked = scene.servers[0].asked;
	assert_true(ask("b.example") < 500);
	assert_true(has("192.0.2.2"));
	assert_int_equal(scene.servers[0].asked, asked);
}

static void another_configuration_counts_while_names_are_asked_for(void **state)
{
	struct resolve_query *waiting;

	scene.servers[0].mute = true;
	conf_says("nameserver 127.0.0.1\n");
	resolver_changed(&scene.resolver);
	waiting = resolve_start(&scene.resolver, "waits.example", 443, scene_resolved, NULL);
	assert_non_null(waiting);
	run_for(300);
	assert_int_equal(scene.done, 0);
	conf_says("nameserver 127.0.0.2\n");
	run_for(RESOLVE_LOOK_MS);
	assert_int_equal(scene.done, 0);
	assert_true(ask("a.example") < 800);
	assert_true(has("192.0.2.2"));
	resolve_cancel(waiting);
}

static void what_is_not_there_is_said_at_once(void **state)
{
	assert_true(ask("none.example") < 800);
	assert_int_equal(scene.count, 0);
	assert_string_equal(scene.error, ares_strerror(ARES_ENOTFOUND));
	assert_false(scene.failed_here);
}

static void servers_that_are_silent_are_named(void **state)
{
	scene.servers[0].mute = scene.servers[1].mute = true;
	assert_true(ask("a.example") < RESOLVE_MS + 1500);
	assert_string_equal(scene.error, "name servers 127.0.0.1 and 127.0.0.2 do not answer");
	assert_false(scene.failed_here);
}

static void a_file_that_is_missing_is_named(void **state)
{
	char expected[256];

	assert_int_equal(unlink(scene.conf), 0);
	scene.servers[0].mute = true;
	resolver_changed(&scene.resolver);
	ask("a.example");
	snprintf(expected, sizeof(expected),
		 "name server 127.0.0.1 does not answer; %s cannot be read: %s", scene.conf,
		 strerror(ENOENT));
	assert_string_equal(scene.error, expected);
}

static void one_that_is_cancelled_is_not_told(void **state)
{
	scene.query = resolve_start(&scene.resolver, "a.example", 443, scene_resolved, NULL);
	assert_non_null(scene.query);
	resolve_cancel(scene.query);
	run_for(200);
	assert_int_equal(scene.done, 0);
	/* Its answer is kept all the same. */
	assert_true(ask("a.example") < 500);
	assert_int_equal(scene.count, 2);
}

#define ON_BOTH(f)                                                                                 \
	{#f " auto", f, begin_auto, end, NULL},                                                    \
	{                                                                                          \
#f " epoll", f, begin_epoll, end, NULL                                             \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(both_families_come_and_are_kept),
		ON_BOTH(a_does_not_wait_for_aaaa),
		ON_BOTH(a_failure_for_aaaa_leaves_a),
		ON_BOTH(a_silent_server_is_asked_last),
		ON_BOTH(another_configuration_counts_while_names_are_asked_for),
		ON_BOTH(what_is_not_there_is_said_at_once),
		ON_BOTH(servers_that_are_silent_are_named),
		ON_BOTH(a_file_that_is_missing_is_named),
		ON_BOTH(one_that_is_cancelled_is_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
