/* SPDX-License-Identifier: Apache-2.0 */
/* stun_thread: a STUN server without RFC 5780 on a thread of its own, over UDP and TCP. */
#include "tests/support/stun_thread.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>

#include "stun/message.h"
#include "stun/server.h"

static bool answer(const struct stun_thread *s, const uint8_t *request, size_t len,
		   const struct addr *from, bool stream, struct stun_answer *a)
{
	static const struct stun_server server;

	return stun_server_answer(&server, request, len, s->seen.len > 0 ? &s->seen : from, 0, 0,
				  stream, a) <= STUN_ANSWERED_ERROR;
}

static void serve_datagram(struct stun_thread *s)
{
	struct addr from = {.len = sizeof(from.v6)};
	uint8_t bytes[STUN_REQUEST_MAX];
	struct stun_answer a;
	struct stun_writer w;
	ssize_t n = recvfrom(s->udp, bytes, sizeof(bytes), 0, &from.sa, &from.len);

	if (n <= 0)
		return;
	s->requests++;
	if (s->refuses) {
		stun_write_begin(&w, a.bytes, sizeof(a.bytes), STUN_ERROR, STUN_BINDING,
				 bytes + STUN_HEADER_BYTES - STUN_ID_BYTES);
		stun_write_error(&w, STUN_BAD_REQUEST);
		(void)!sendto(s->udp, a.bytes, stun_write_end(&w), 0, &from.sa, from.len);
	} else if (answer(s, bytes, (size_t)n, &from, false, &a)) {
		(void)!sendto(s->udp, a.bytes, a.len, 0, &from.sa, from.len);
	}
}

/* One message of one connection. */
static void serve_stream(const struct stun_thread *s)
{
	const struct timeval limit = {.tv_sec = 5};
	struct addr from = {.len = sizeof(from.v6)};
	int fd = accept4(s->tcp, &from.sa, &from.len, SOCK_CLOEXEC);
	uint8_t bytes[STUN_REQUEST_MAX];
	struct stun_answer a;
	size_t len = 0;
	int whole = 0;
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	while ((whole == 0 || len < (size_t)whole) &&
	       (n = recv(fd, bytes + len, sizeof(bytes) - len, 0)) > 0) {
		len += (size_t)n;
		whole = stun_message_length(bytes, len);
		if (whole < 0)
			break;
	}
	if (whole > 0 && len == (size_t)whole && answer(s, bytes, len, &from, true, &a))
		(void)!send(fd, a.bytes, a.len, MSG_NOSIGNAL);
	(void)!recv(fd, bytes, sizeof(bytes), 0); /* until it has read that */
	close(fd);
}

static void *stun_thread_run(void *arg)
{
	struct stun_thread *s = arg;
	struct pollfd p[3] = {{s->stop[0], POLLIN, 0}, {s->udp, POLLIN, 0}, {s->tcp, POLLIN, 0}};

	while (poll(p, 3, -1) >= 0 && !p[0].revents) {
		if (p[1].revents)
			serve_datagram(s);
		if (p[2].revents)
			serve_stream(s);
	}
	return NULL;
}

/* A socket of this type at this port of loopback (0: a free one); -1: that port is in use. */
static int bound(int type, uint16_t port)
{
	const struct sockaddr_in at = {.sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	close(fd);
	return -1;
}

void stun_thread_open(struct stun_thread *s, uint16_t port)
{
	struct sockaddr_in at = {0};
	socklen_t len = sizeof(at);

	/* A port that is free for UDP may be another program's over TCP; the next one may not. */
	for (int tries = 0; tries < 100; tries++) {
		s->udp = bound(SOCK_DGRAM, port);
		assert_true(s->udp >= 0);
		assert_int_equal(getsockname(s->udp, (struct sockaddr *)&at, &len), 0);
		s->port = ntohs(at.sin_port);
		s->tcp = s->no_tcp ? -1 : bound(SOCK_STREAM, s->port);
		if (s->no_tcp || s->tcp >= 0)
			break;
		close(s->udp);
	}
	assert_true(s->no_tcp || s->tcp >= 0);
	if (!s->no_tcp)
		assert_int_equal(listen(s->tcp, 4), 0);
	assert_int_equal(pipe(s->stop), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, stun_thread_run, s), 0);
}

void stun_thread_close(struct stun_thread *s)
{
	close(s->stop[1]);
	pthread_join(s->thread, NULL);
	close(s->stop[0]);
	close(s->udp);
	if (s->tcp >= 0)
		close(s->tcp);
}
