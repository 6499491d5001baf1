/* SPDX-License-Identifier: Apache-2.0 */
/* exchange: one request over HTTP and its bounded reply. */
#include "upnp/driver/exchange.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"

/* #syscalls poll|ppoll */
static int exchange_wait_for(const struct exchange *e, int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	int64_t left = e->due_ms - (int64_t)clock_ms(CLOCK_MONOTONIC);
	int n;

	if (left <= 0)
		return -ETIMEDOUT;
	n = poll(&p, 1, (int)left);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n == 0 ? -ETIMEDOUT : 0;
}

/* #syscalls socket(0 is AF_INET) socket(0 is AF_INET6) bind connect getsockopt close */
static int exchange_dial(const struct exchange *e, const struct addr *to, int *out)
{
	int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error = 0;
	socklen_t size = sizeof(error);

	if (fd < 0)
		return -errno;
	*out = fd;
	if (bind(fd, &e->source.sa, e->source.len))
		return -errno;
	if (connect(fd, &to->sa, to->len) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	error = exchange_wait_for(e, fd, POLLOUT);
	if (error)
		return error;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		return -errno;
	return -error;
}

/* #syscalls sendto */
static int exchange_send_all(const struct exchange *e, int fd, const char *text, size_t len)
{
	size_t sent = 0;
	int error;

	while (sent < len) {
		ssize_t n = send(fd, text + sent, len - sent, MSG_NOSIGNAL);

		if (n > 0) {
			sent += (size_t)n;
			continue;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		error = exchange_wait_for(e, fd, POLLOUT);
		if (error)
			return error;
	}
	return 0;
}

/* A reply that drips is looked at once per packet: a read per byte costs at most REPLY_MAX reads,
 * and the worker's limit on processor time stands behind that.
 *
 * #syscalls recvfrom
 */
static int exchange_receive(struct exchange *e, int fd)
{
	enum reply_status status = REPLY_SHORT;
	size_t len = 0;
	int error;

	while (status == REPLY_SHORT) {
		ssize_t n = recv(fd, e->bytes + len, REPLY_MAX - len, 0);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n < 0) {
			error = exchange_wait_for(e, fd, POLLIN);
			if (error)
				return error;
			continue;
		}
		len += (size_t)n;
		status = reply_read(e->bytes, len, n == 0, &e->reply);
		if (status == REPLY_SHORT && len == REPLY_MAX)
			return -EMSGSIZE;
		if ((int64_t)clock_ms(CLOCK_MONOTONIC) > e->due_ms)
			return -ETIMEDOUT;
	}
	if (status != REPLY_OK)
		return status == REPLY_TOO_LARGE ? -EMSGSIZE : -EPROTO;
	e->bytes[e->reply.body + e->reply.len] = '\0';
	return 0;
}

static int exchange_perform(struct exchange *e, const struct addr *to, const char *text, size_t len)
{
	int fd = -1, error = exchange_dial(e, to, &fd);

	if (!error)
		error = exchange_send_all(e, fd, text, len);
	if (!error)
		error = exchange_receive(e, fd);
	if (fd >= 0)
		close(fd);
	return error;
}

int exchange_get(struct exchange *e, const struct location *at)
{
	char text[1024], host[ADDR_TEXT_BYTES];
	int len;

	location_format_host(&at->host, host);
	len = snprintf(text, sizeof(text),
		       "GET %s HTTP/1.1\r\n"
		       "Host: %s\r\n"
		       "User-Agent: Postern/%s UPnP/1.1\r\n"
		       "Connection: close\r\n"
		       "\r\n",
		       at->path, host, POSTERN_VERSION);
	return exchange_perform(e, &at->host, text, (size_t)len);
}

int exchange_post(struct exchange *e, const struct location *at, const char *action,
		  const char *body)
{
	char text[EXCHANGE_REQUEST_MAX], host[ADDR_TEXT_BYTES];
	int len;

	location_format_host(&at->host, host);
	/* In one packet: some gateways look at the first only. */
	len = snprintf(text, sizeof(text),
		       "POST %s HTTP/1.1\r\n"
		       "Host: %s\r\n"
		       "User-Agent: Postern/%s UPnP/1.1\r\n"
		       "Content-Type: text/xml; charset=\"utf-8\"\r\n"
		       "SOAPAction: \"%s\"\r\n"
		       "Content-Length: %zu\r\n"
		       "Connection: close\r\n"
		       "\r\n"
		       "%s",
		       at->path, host, POSTERN_VERSION, action, strlen(body), body);
	if (len < 0 || (size_t)len >= sizeof(text))
		return -EMSGSIZE;
	return exchange_perform(e, &at->host, text, (size_t)len);
}
