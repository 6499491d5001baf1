/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_ping: how long one byte takes to the sink and back.
 *
 * With a rate, round trips start on a fixed schedule that takes the sessions in turn and does not
 * wait for the relay (an open loop): a closed loop over many sessions would only measure its
 * throughput again. A session whose last byte is still under way at its turn is measured from that
 * turn on, so that a stall counts for everything it held up. Without a rate every session sends
 * again as soon as its byte is back; with one session that is the classic ping-pong.
 */
#include "bench/load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define EVENTS	256
#define WINDOWS 9 /* odd: the median is one of them */

struct ping {
	int fd;
	uint64_t since_ns; /* 0: nothing under way */
	uint64_t due_ns;   /* a turn that came while a byte was under way; 0: none */
};

static struct ping *open_all(const struct load_options *o, void *state, bool source)
{
	struct ping *pings = calloc(o->sessions, sizeof *pings);
	int *fds = calloc(o->sessions, sizeof *fds);

	if (!pings || !fds)
		load_fail("out of memory");
	load_sessions(o, state, source, fds, o->sessions);
	for (unsigned i = 0; i < o->sessions; i++)
		pings[i].fd = fds[i];
	free(fds);
	return pings;
}

static int watch_all(struct ping *pings, unsigned n)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0)
		load_fail("epoll_create1: %s", strerror(errno));
	for (unsigned i = 0; i < n; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = &pings[i]};

		load_nonblocking(pings[i].fd);
		if (epoll_ctl(ep, EPOLL_CTL_ADD, pings[i].fd, &e) < 0)
			load_fail("epoll_ctl: %s", strerror(errno));
	}
	return ep;
}

static void record(struct load_shared *s, uint64_t ns)
{
	uint64_t i;

	if (!atomic_load_explicit(&s->measuring, memory_order_relaxed))
		return;
	i = atomic_load_explicit(&s->sample_count, memory_order_relaxed);
	if (i == LOAD_SAMPLES_MAX)
		return;
	s->samples_ns[i] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
	atomic_store_explicit(&s->sample_count, i + 1, memory_order_release);
}

static void send_byte(struct ping *p, uint64_t now_ns)
{
	uint8_t byte = 0x5a;

	p->since_ns = now_ns;
	load_write(p->fd, &byte, 1);
}

static void take_answer(struct load_shared *s, struct ping *p, bool again)
{
	uint8_t byte;
	uint64_t now;
	ssize_t n = recv(p->fd, &byte, 1, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		load_fail("recv: %s", n < 0 ? strerror(errno) : "the relay closed");
	now = load_now_ns();
	record(s, now - p->since_ns);
	p->since_ns = 0;
	if (p->due_ns) {
		uint64_t due = p->due_ns;

		p->due_ns = 0;
		send_byte(p, due);
	} else if (again) {
		send_byte(p, now);
	}
}

static void wait_answers(struct load_shared *s, int ep, uint64_t until_ns, bool again)
{
	struct epoll_event events[EVENTS];
	uint64_t now = load_now_ns();
	uint64_t left = until_ns > now ? until_ns - now : 0;
	struct timespec t = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
	int n = epoll_pwait2(ep, events, EVENTS, &t, NULL);

	for (int i = 0; i < n; i++)
		take_answer(s, events[i].data.ptr, again);
}

static void run_open_loop(const struct load_options *o, struct load_shared *s, struct ping *pings,
			  int ep)
{
	uint64_t step = 1000000000u / o->rate;
	uint64_t next = load_now_ns();

	for (unsigned turn = 0;; next += step) {
		struct ping *p = &pings[turn];

		while (load_now_ns() < next)
			wait_answers(s, ep, next, false);
		if (!p->since_ns)
			send_byte(p, load_now_ns());
		else if (!p->due_ns)
			p->due_ns = next;
		turn = (turn + 1) % o->sessions;
	}
}

static void ping_source(const struct load_options *o, struct load_shared *s, void *state)
{
	struct ping *pings = open_all(o, state, true);
	int ep;

	atomic_store(&s->source_ready, true);
	while (o->sessions == 1 && !o->rate) {
		uint64_t started = load_now_ns();
		uint8_t byte = 0x5a;

		load_write(pings[0].fd, &byte, 1);
		load_read(pings[0].fd, &byte, 1);
		record(s, load_now_ns() - started);
	}
	ep = watch_all(pings, o->sessions);
	if (o->rate)
		run_open_loop(o, s, pings, ep);
	for (unsigned i = 0; i < o->sessions; i++)
		send_byte(&pings[i], load_now_ns());
	for (;;)
		wait_answers(s, ep, load_now_ns() + 1000000000u, true);
}

static void ping_sink(const struct load_options *o, struct load_shared *s, void *state)
{
	struct ping *pings = open_all(o, state, false);
	int ep;

	while (o->sessions == 1) {
		uint8_t byte;

		load_read(pings[0].fd, &byte, 1);
		load_write(pings[0].fd, &byte, 1);
	}
	ep = watch_all(pings, o->sessions);
	for (;;) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(ep, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct ping *p = events[i].data.ptr;
			uint8_t byte;
			ssize_t got = recv(p->fd, &byte, 1, 0);

			if (got == 1)
				load_write(p->fd, &byte, 1);
			else if (got == 0 || errno != EAGAIN)
				load_fail("recv: the relay closed");
		}
	}
}

static int compare_ns(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double quantile_us(const uint32_t *sorted, uint64_t n, double q)
{
	return sorted[(uint64_t)(q * (double)(n - 1))] / 1e3;
}

static int compare_us(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median of the quantiles of consecutive windows: what stops the whole machine for a moment
 * spoils one window, what is wrong with the relay most of them. Sorts within the windows. */
static double window_quantile_us(uint32_t *samples, uint64_t n, double q)
{
	double quantiles[WINDOWS];
	uint64_t each = n / WINDOWS;

	if (each == 0)
		load_fail("only %" PRIu64 " round trips finished", n);
	for (unsigned i = 0; i < WINDOWS; i++) {
		qsort(samples + i * each, each, sizeof *samples, compare_ns);
		quantiles[i] = quantile_us(samples + i * each, each, q);
	}
	qsort(quantiles, WINDOWS, sizeof quantiles[0], compare_us);
	return quantiles[WINDOWS / 2];
}

static void ping_report(const struct load_options *o, struct load_shared *s)
{
	struct load_usage before, after;
	uint64_t n;
	double cpu_us, p50, p99;

	load_sleep_ms((unsigned)(o->warm_s * 1e3));
	load_usage_of(o->pids, o->pid_count, false, &before);
	atomic_store(&s->measuring, true);
	load_sleep_ms((unsigned)(o->seconds * 1e3));
	atomic_store(&s->measuring, false);
	load_usage_of(o->pids, o->pid_count, false, &after);
	n = atomic_load_explicit(&s->sample_count, memory_order_acquire);
	p50 = window_quantile_us(s->samples_ns, n, 0.5);
	p99 = window_quantile_us(s->samples_ns, n, 0.99);
	qsort(s->samples_ns, n, sizeof s->samples_ns[0], compare_ns);
	cpu_us = (double)(after.cpu_ns - before.cpu_ns) / 1e3 / (double)n;
	printf("{\"p50_us\": %.1f, \"p99_us\": %.1f, \"p99_all_us\": %.1f, \"p999_all_us\": %.1f, "
	       "\"per_s\": %.0f, \"cpu_us_each\": %.2f}\n",
	       p50, p99, quantile_us(s->samples_ns, n, 0.99), quantile_us(s->samples_ns, n, 0.999),
	       (double)n / o->seconds, cpu_us);
}

const struct load_test load_test_ping = {
	.name = "ping",
	.source = ping_source,
	.sink = ping_sink,
	.report = ping_report,
};
