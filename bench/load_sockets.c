/* SPDX-License-Identifier: Apache-2.0 */
/* load_sockets: blocking sockets, the clock, and setting many sessions up with a few threads. */
#include "bench/load.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void load_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("load: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	_exit(1);
}

uint64_t load_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void load_sleep_ms(unsigned ms)
{
	struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

/* Where the system's default is BBR, the source's pacing timers would be what is measured: the
 * generator sends unpaced. The relays keep the default. */
static void unpaced(int fd)
{
	static const char algorithm[] = "reno";

	if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, algorithm, sizeof algorithm - 1) < 0)
		load_fail("TCP_CONGESTION: %s", strerror(errno));
}

static void no_delay(int fd)
{
	int on = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
		load_fail("TCP_NODELAY: %s", strerror(errno));
}

int load_listen(const struct addr *a)
{
	int on = 1;
	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		load_fail("socket: %s", strerror(errno));
	unpaced(fd); /* what is accepted inherits it */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, &a->sa, a->len) < 0 || listen(fd, 4096) < 0)
		load_fail("sink cannot listen: %s", strerror(errno));
	return fd;
}

int load_dial(const struct addr *a)
{
	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		load_fail("socket: %s", strerror(errno));
	unpaced(fd);
	if (connect(fd, &a->sa, a->len) < 0)
		load_fail("connect: %s", strerror(errno));
	no_delay(fd);
	return fd;
}

int load_accept(int listener)
{
	int fd;

	do
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0)
		load_fail("accept: %s", strerror(errno));
	no_delay(fd);
	return fd;
}

void load_write(int fd, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0)
			load_fail("send: %s", strerror(errno));
		p += n;
		len -= (size_t)n;
	}
}

void load_read(int fd, void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len > 0) {
		ssize_t n = recv(fd, p, len, 0);

		if (n <= 0)
			load_fail("recv: %s", n < 0 ? strerror(errno) : "the relay closed");
		p += n;
		len -= (size_t)n;
	}
}

void load_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		load_fail("O_NONBLOCK: %s", strerror(errno));
}

void load_thread(pthread_t *thread, void *(*work)(void *), void *arg)
{
	if (pthread_create(thread, NULL, work, arg) != 0)
		load_fail("cannot start a thread");
}

struct crew {
	const struct load_options *o;
	void *state;
	bool source;
	int *fds;
	unsigned n;
	_Atomic unsigned claimed;
};

static void *crew_work(void *arg)
{
	struct crew *c = arg;
	const struct load_path *path = c->o->path;

	for (;;) {
		unsigned i = atomic_fetch_add(&c->claimed, 1);

		if (i >= c->n)
			return NULL;
		c->fds[i] = c->source ? path->open(c->state) : path->accept(c->state);
	}
}

void load_sessions(const struct load_options *o, void *state, bool source, int *fds, unsigned n)
{
	struct crew crew = {.o = o, .state = state, .source = source, .fds = fds, .n = n};
	pthread_t threads[LOAD_WORKERS_MAX];
	unsigned count = n < o->workers ? n : o->workers;

	for (unsigned i = 0; i < count; i++)
		load_thread(&threads[i], crew_work, &crew);
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}
