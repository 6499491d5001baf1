/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_bulk: how many bytes per second cross the relay, and what it pays for them.
 *
 * The source sends from one hot buffer; the sink lets the kernel drop what arrived (MSG_TRUNC: no
 * copy to user space), so that the two cores are the relay's as far as possible. One session is
 * driven by blocking calls, several by epoll.
 */
#include "bench/load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define CHUNK_BYTES (1u << 20)
/* With several sessions, one turn each must not starve the others. */
#define TURN_BYTES (256u << 10)
#define EVENTS	   64

static int watch_all(const int *fds, unsigned n, uint32_t events)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0)
		load_fail("epoll_create1: %s", strerror(errno));
	for (unsigned i = 0; i < n; i++) {
		struct epoll_event e = {.events = events, .data.fd = fds[i]};

		load_nonblocking(fds[i]);
		if (epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &e) < 0)
			load_fail("epoll_ctl: %s", strerror(errno));
	}
	return ep;
}

static int *open_all(const struct load_options *o, void *state, bool source)
{
	int *fds = calloc(o->sessions, sizeof *fds);

	if (!fds)
		load_fail("out of memory");
	load_sessions(o, state, source, fds, o->sessions);
	return fds;
}

static void bulk_source(const struct load_options *o, struct load_shared *s, void *state)
{
	int *fds = open_all(o, state, true);
	uint8_t *buf = malloc(CHUNK_BYTES);
	int ep;

	if (!buf)
		load_fail("out of memory");
	memset(buf, 0xa5, CHUNK_BYTES);
	atomic_store(&s->source_ready, true);
	while (o->sessions == 1)
		load_write(fds[0], buf, CHUNK_BYTES);
	ep = watch_all(fds, o->sessions, EPOLLOUT);
	for (;;) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(ep, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (send(events[i].data.fd, buf, TURN_BYTES, MSG_NOSIGNAL) < 0 &&
			    errno != EAGAIN)
				load_fail("send: %s", strerror(errno));
		}
	}
}

static size_t discard(int fd)
{
	ssize_t n = recv(fd, NULL, CHUNK_BYTES, MSG_TRUNC);

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		load_fail("recv: %s", n < 0 ? strerror(errno) : "the relay closed");
	return (size_t)n;
}

static void bulk_sink(const struct load_options *o, struct load_shared *s, void *state)
{
	int *fds = open_all(o, state, false);
	int ep;

	while (o->sessions == 1)
		atomic_fetch_add_explicit(&s->bytes, discard(fds[0]), memory_order_relaxed);
	ep = watch_all(fds, o->sessions, EPOLLIN);
	for (;;) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(ep, events, EVENTS, -1);

		for (int i = 0; i < n; i++)
			atomic_fetch_add_explicit(&s->bytes, discard(events[i].data.fd),
						  memory_order_relaxed);
	}
}

static void bulk_report(const struct load_options *o, struct load_shared *s)
{
	struct load_usage before, after;
	uint64_t bytes, started, polls, poll_ns;
	double seconds, cpu_s;

	load_sleep_ms((unsigned)(o->warm_s * 1e3));
	load_usage_of(o->pids, o->pid_count, false, &before);
	bytes = atomic_load(&s->bytes);
	polls = atomic_load(&s->polls);
	poll_ns = atomic_load(&s->poll_ns);
	started = load_now_ns();
	load_sleep_ms((unsigned)(o->seconds * 1e3));
	load_usage_of(o->pids, o->pid_count, false, &after);
	bytes = atomic_load(&s->bytes) - bytes;
	polls = atomic_load(&s->polls) - polls;
	poll_ns = atomic_load(&s->poll_ns) - poll_ns;
	seconds = (double)(load_now_ns() - started) / 1e9;
	cpu_s = (double)(after.cpu_ns - before.cpu_ns) / 1e9;
	if (bytes == 0)
		load_fail("nothing arrived");
	printf("{\"gbit_per_s\": %.6f, \"cpu_s_per_gib\": %.4f, \"bytes\": %" PRIu64
	       ", \"polls_per_s\": %.2f, \"poll_ms\": %.2f}\n",
	       (double)bytes * 8 / seconds / 1e9, cpu_s / ((double)bytes / (1u << 30)), bytes,
	       (double)polls / seconds, polls ? (double)poll_ns / 1e6 / (double)polls : 0);
}

const struct load_test load_test_bulk = {
	.name = "bulk",
	.source = bulk_source,
	.sink = bulk_sink,
	.report = bulk_report,
};
