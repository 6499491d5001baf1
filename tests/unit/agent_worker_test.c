/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_worker_test: an agent's worker from its first hold to the end of its loop, and connections
 * that are made on it.
 *
 * links: agent/worker/worker.c agent/worker/connector.c agent/worker/shunned.c core/addr.c core/buffers.c core/log*.c
 * links: core/alive.c core/lack.c core/nat64.c core/program/resolve.c core/program/resolve_channel.c
 * links: core/program/resolve_cache.c core/ring.c core/ring_uring.c core/ring_epoll.c core/timer.c
 * links: core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/worker/connector.h"
#include "core/container.h"

#define LONG_MS 5000u

struct scene {
	struct agent_worker worker;
	struct timer timer;
	unsigned done, fired;
	int fd;
	struct addr reached;
	bool name_failed, local;
	char error[160];
};

static int begin(struct scene *s, enum ring_engine engine)
{
	char why[512];

	*s = (struct scene){.fd = -1};
	return agent_worker_open(&s->worker, (int)engine, 4, why, sizeof(why)) ? 0 : -1;
}

static int begin_auto(void **state)
{
	static struct scene s;

	*state = &s;
	return begin(&s, RING_AUTO);
}

static int begin_epoll(void **state)
{
	static struct scene s;

	*state = &s;
	return begin(&s, RING_EPOLL);
}

static int end(void **state)
{
	struct scene *s = *state;

	if (s->fd >= 0)
		close(s->fd);
	agent_worker_close(&s->worker);
	return 0;
}

static uint64_t elapsed_ms(const struct scene *s, uint64_t since_ms)
{
	return ring_now_ms(s->worker.ring) - since_ms;
}

/* ---- holds ---- */

static void scene_drops(struct timer *t, uint64_t now_ms)
{
	struct scene *s = container(t, struct scene, timer);

	s->fired++;
	agent_worker_drop(&s->worker);
	/* The loop goes on: what called this may still touch its object. */
	assert_true(s->worker.stopping);
}

static void the_loop_ends_with_the_last_hold(void **state)
{
	struct scene *s = *state;
	uint64_t began_ms = ring_now_ms(s->worker.ring);

	s->timer.fire = scene_drops;
	agent_worker_hold(&s->worker);
	ring_timer_set(s->worker.ring, &s->timer, 50);
	agent_worker_stop(&s->worker);
	assert_int_equal(ring_run(s->worker.ring), 0);
	assert_int_equal(s->fired, 1);
	assert_true(agent_worker_idle(&s->worker));
	assert_true(elapsed_ms(s, began_ms) >= 50);
	assert_true(elapsed_ms(s, began_ms) < AGENT_STOP_MS);
}

static void the_loop_ends_at_once_with_no_hold(void **state)
{
	struct scene *s = *state;
	uint64_t began_ms = ring_now_ms(s->worker.ring);

	agent_worker_stop(&s->worker);
	assert_int_equal(ring_run(s->worker.ring), 0);
	assert_true(elapsed_ms(s, began_ms) < AGENT_STOP_MS / 2);
}

static void what_does_not_end_is_not_waited_for(void **state)
{
	struct scene *s = *state;
	uint64_t began_ms = ring_now_ms(s->worker.ring);

	agent_worker_hold(&s->worker);
	agent_worker_stop(&s->worker);
	assert_int_equal(ring_run(s->worker.ring), 0);
	assert_true(elapsed_ms(s, began_ms) >= AGENT_STOP_MS);
	assert_false(agent_worker_idle(&s->worker));
	agent_worker_drop(&s->worker);
}

/* ---- connections ---- */

static void scene_connected(void *owner, const struct connector_result *r)
{
	struct scene *s = owner;

	s->done++;
	s->fd = r->fd;
	s->reached = r->reached;
	s->local = r->local;
	s->name_failed = r->name_failed;
	snprintf(s->error, sizeof(s->error), "%s", r->error ? r->error : "");
	agent_worker_stop(&s->worker);
}

/* A listening socket on loopback; its port in *to. */
static int listen_here(struct endpoint *to)
{
	struct addr a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(addr_from_literal("127.0.0.1", 0, &a));
	assert_int_equal(bind(fd, &a.sa, a.len), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, &a.sa, &a.len), 0);
	*to = (struct endpoint){.port = ntohs(a.v4.sin_port)};
	snprintf(to->host, sizeof(to->host), "127.0.0.1");
	return fd;
}

static void connect_to(struct scene *s, const struct endpoint *to, uint64_t timeout_ms)
{
	struct connector *c = connector_start(&s->worker, to, timeout_ms, scene_connected, s);

	assert_non_null(c);
	assert_int_equal(s->done, 0); /* never from inside the call */
	assert_false(agent_worker_idle(&s->worker));
	assert_int_equal(ring_run(s->worker.ring), 0);
	assert_int_equal(s->done, 1);
	assert_true(agent_worker_idle(&s->worker));
}

static void it_connects(void **state)
{
	struct scene *s = *state;
	struct endpoint to;
	struct addr peer = {.len = sizeof(peer.v6)};
	int listener = listen_here(&to);

	connect_to(s, &to, LONG_MS);
	assert_true(s->fd >= 0);
	assert_true(addr_from_literal("127.0.0.1", to.port, &peer));
	assert_true(addr_equal(&s->reached, &peer));
	assert_string_equal(s->error, "");
	assert_int_equal(getpeername(s->fd, &peer.sa, &peer.len), 0);
	assert_int_equal(ntohs(peer.v4.sin_port), to.port);
	close(listener);
}

static void a_refusal_is_told(void **state)
{
	struct scene *s = *state;
	struct endpoint to;

	close(listen_here(&to));
	connect_to(s, &to, LONG_MS);
	assert_int_equal(s->fd, -1);
	assert_false(s->name_failed);
	assert_string_equal(s->error, strerror(ECONNREFUSED));
}

/* Its own limits are named as such, and not the other side's firewall. */
static void a_lack_of_descriptors_is_this_hosts_own(void **state)
{
	struct scene *s = *state;
	struct rlimit before, none;
	struct endpoint to;
	int listener = listen_here(&to);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	connect_to(s, &to, LONG_MS);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(s->fd, -1);
	assert_true(s->local);
	assert_non_null(strstr(s->error, "raise LimitNOFILE"));
	close(listener);
}

/* A listener whose queue is full drops what else comes: no answer at all. */
static void silence_ends_at_the_deadline(void **state)
{
	struct scene *s = *state;
	struct endpoint to;
	struct addr a;
	int listener = listen_here(&to), fill[16];
	uint64_t began_ms;

	assert_int_equal(listen(listener, 0), 0);
	assert_true(addr_from_literal(to.host, to.port, &a));
	for (size_t i = 0; i < 16; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)!connect(fill[i], &a.sa, a.len);
	}
	began_ms = ring_now_ms(s->worker.ring);
	connect_to(s, &to, 200);
	assert_int_equal(s->fd, -1);
	assert_false(s->name_failed);
	assert_memory_equal(s->error, "no answer within 0.", 19);
	assert_true(elapsed_ms(s, began_ms) >= 200);
	for (size_t i = 0; i < 16; i++)
		close(fill[i]);
	close(listener);
}

/* A name with an address that is tried last: the other one, however the name server orders them. */
static void one_that_was_not_who_was_looked_for_is_tried_last(void **state)
{
	struct scene *s = *state;
	struct endpoint to;
	struct addr last, other = {.len = sizeof(other.v4)};
	int listener = listen_here(&to), second;

	snprintf(to.host, sizeof(to.host), "localhost");
	assert_true(addr_from_literal("127.0.0.1", to.port, &last));
	/* Where localhost is ::1, too. */
	assert_true(addr_from_literal("::1", to.port, &other));
	second = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (second < 0 || bind(second, &other.sa, other.len) < 0 || listen(second, 8) < 0)
		skip();
	shunned_add(&s->worker.shunned, "localhost", &other, ring_now_ms(s->worker.ring));
	connect_to(s, &to, LONG_MS);
	assert_true(addr_equal(&s->reached, &last));
	close(s->fd);
	s->fd = -1;
	close(listener);
	close(second);
}

static void one_that_is_cancelled_is_not_told(void **state)
{
	struct scene *s = *state;
	struct endpoint to;
	struct connector *c;
	int listener = listen_here(&to);

	c = connector_start(&s->worker, &to, LONG_MS, scene_connected, s);
	assert_non_null(c);
	connector_cancel(c);
	agent_worker_stop(&s->worker);
	assert_int_equal(ring_run(s->worker.ring), 0);
	assert_int_equal(s->done, 0);
	assert_true(agent_worker_idle(&s->worker));
	close(listener);
}

static void an_endpoint_as_text(void **state)
{
	const struct endpoint v4 = {.host = "127.0.0.1", .port = 22};
	const struct endpoint v6 = {.host = "::1", .port = 443};
	const struct endpoint name = {.host = "db.example", .port = 5432};
	char text[ENDPOINT_TEXT_BYTES];

	endpoint_text(&v4, text);
	assert_string_equal(text, "127.0.0.1:22");
	endpoint_text(&v6, text);
	assert_string_equal(text, "[::1]:443");
	endpoint_text(&name, text);
	assert_string_equal(text, "db.example:5432");
}

#define ON_BOTH(f)                                                                                 \
	{#f " auto", f, begin_auto, end, NULL},                                                    \
	{                                                                                          \
#f " epoll", f, begin_epoll, end, NULL                                             \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(the_loop_ends_with_the_last_hold),
		ON_BOTH(the_loop_ends_at_once_with_no_hold),
		ON_BOTH(what_does_not_end_is_not_waited_for),
		ON_BOTH(it_connects),
		ON_BOTH(a_refusal_is_told),
		ON_BOTH(a_lack_of_descriptors_is_this_hosts_own),
		ON_BOTH(silence_ends_at_the_deadline),
		ON_BOTH(one_that_was_not_who_was_looked_for_is_tried_last),
		ON_BOTH(one_that_is_cancelled_is_not_told),
		cmocka_unit_test(an_endpoint_as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
