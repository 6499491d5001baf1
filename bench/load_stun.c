/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_stun: how many STUN requests a server answers, and what an answer costs it.
 *
 * There is no session and no sink: the source asks from o->sessions sockets, each with a port of
 * its own, and each with so many requests under way; an answer makes room for the next request (a
 * closed loop: the server is always busy and never flooded). Batches keep the generator cheaper
 * than what it measures. What does not come back in time counts as lost, and is told.
 */
#include "bench/load.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_BYTES 20u
#define ANSWER_BYTES  512u
#define UNDER_WAY     8u  /* requests of one socket */
#define LOST_AFTER_MS 100 /* without any answer: what is under way is lost */

struct asker {
	int fd;
	unsigned under_way;
};

struct crew {
	const struct load_options *o;
	struct load_shared *s;
	unsigned sockets;
	pthread_t thread;
};

/* RFC 8489 section 5; the transaction's id is not looked at. */
static const uint8_t request[REQUEST_BYTES] = {0,    1,	  0,   0,   0x21, 0x12, 0xa4,
					       0x42, 'p', 'o', 's', 't',  'e',	'r',
					       'n',  '-', 'l', 'o', 'a',  'd'};

static void open_asker(struct asker *a, const struct addr *server)
{
	a->fd = socket(server->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (a->fd < 0 || connect(a->fd, &server->sa, server->len) < 0)
		load_fail("cannot ask: %s", strerror(errno));
	load_nonblocking(a->fd);
}

static void ask(struct asker *a)
{
	struct iovec part = {(void *)(uintptr_t)request, sizeof request};
	struct mmsghdr m[UNDER_WAY];
	int n;

	memset(m, 0, sizeof m);
	for (unsigned i = 0; i < UNDER_WAY; i++) {
		m[i].msg_hdr.msg_iov = &part;
		m[i].msg_hdr.msg_iovlen = 1;
	}
	n = sendmmsg(a->fd, m, UNDER_WAY - a->under_way, 0);
	if (n < 0 && errno != EAGAIN)
		load_fail("send: %s", strerror(errno));
	a->under_way += n > 0 ? (unsigned)n : 0;
}

/* How many answers there were. */
static unsigned take(struct asker *a)
{
	uint8_t bytes[UNDER_WAY][ANSWER_BYTES];
	struct iovec parts[UNDER_WAY];
	struct mmsghdr m[UNDER_WAY];
	int n;

	memset(m, 0, sizeof m);
	for (unsigned i = 0; i < UNDER_WAY; i++) {
		parts[i] = (struct iovec){bytes[i], ANSWER_BYTES};
		m[i].msg_hdr.msg_iov = &parts[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(a->fd, m, UNDER_WAY, MSG_DONTWAIT, NULL);
	if (n < 0 && errno != EAGAIN)
		load_fail("recv: %s", strerror(errno));
	for (int i = 0; i < n; i++)
		if (m[i].msg_len < REQUEST_BYTES || bytes[i][0] != 1 || bytes[i][1] != 1 ||
		    memcmp(bytes[i] + 4, request + 4, REQUEST_BYTES - 4) != 0)
			load_fail("what came is no answer");
	n = n > 0 ? n : 0;
	a->under_way -= (unsigned)n < a->under_way ? (unsigned)n : a->under_way;
	return (unsigned)n;
}

static void *crew_work(void *arg)
{
	struct crew *c = arg;
	struct asker *askers = calloc(c->sockets, sizeof *askers);
	struct pollfd *polls = calloc(c->sockets, sizeof *polls);

	if (!askers || !polls)
		load_fail("out of memory");
	for (unsigned i = 0; i < c->sockets; i++) {
		open_asker(&askers[i], &c->o->relay);
		polls[i] = (struct pollfd){.fd = askers[i].fd, .events = POLLIN};
		ask(&askers[i]);
	}
	for (;;) {
		unsigned answers = 0, lost = 0;
		int n = poll(polls, c->sockets, LOST_AFTER_MS);

		for (unsigned i = 0; i < c->sockets; i++) {
			if (polls[i].revents & POLLIN) {
				answers += take(&askers[i]);
			} else if (n == 0) {
				lost += askers[i].under_way;
				askers[i].under_way = 0;
			}
			if (askers[i].under_way < UNDER_WAY)
				ask(&askers[i]);
		}
		atomic_fetch_add_explicit(&c->s->sessions, answers, memory_order_relaxed);
		atomic_fetch_add_explicit(&c->s->claimed, lost, memory_order_relaxed);
	}
	return NULL;
}

static void stun_source(const struct load_options *o, struct load_shared *s, void *state)
{
	struct crew crews[LOAD_WORKERS_MAX];
	unsigned count = o->workers < o->sessions ? o->workers : o->sessions;

	for (unsigned i = 0; i < count; i++) {
		crews[i] = (struct crew){.o = o, .s = s, .sockets = o->sessions / count};
		load_thread(&crews[i].thread, crew_work, &crews[i]);
	}
	atomic_store(&s->source_ready, true);
	for (unsigned i = 0; i < count; i++)
		pthread_join(crews[i].thread, NULL);
}

static void stun_sink(const struct load_options *o, struct load_shared *s, void *state)
{
	for (;;)
		pause();
}

static void stun_report(const struct load_options *o, struct load_shared *s)
{
	struct load_usage before, after;
	uint64_t started, count;
	double seconds, cpu_us;

	load_sleep_ms((unsigned)(o->warm_s * 1e3));
	load_usage_of(o->pids, o->pid_count, false, &before);
	started = load_now_ns();
	count = atomic_load(&s->sessions);
	load_sleep_ms((unsigned)(o->seconds * 1e3));
	count = atomic_load(&s->sessions) - count;
	seconds = (double)(load_now_ns() - started) / 1e9;
	load_usage_of(o->pids, o->pid_count, false, &after);
	if (count == 0)
		load_fail("nothing was answered");
	cpu_us = (double)(after.cpu_ns - before.cpu_ns) / 1e3 / (double)count;
	printf("{\"per_s\": %.0f, \"cpu_us_each\": %.3f, \"lost\": %" PRIu64 "}\n",
	       (double)count / seconds, cpu_us, atomic_load(&s->claimed));
}

static void *nothing_start(const struct load_options *o, struct load_shared *s)
{
	return NULL;
}

static int no_session(void *state)
{
	load_fail("the path stun is for the test stun alone");
}

const struct load_path load_path_stun = {
	.name = "stun",
	.source_start = nothing_start,
	.open = no_session,
	.sink_start = nothing_start,
	.accept = no_session,
};

const struct load_test load_test_stun = {
	.name = "stun",
	.source = stun_source,
	.sink = stun_sink,
	.report = stun_report,
};
