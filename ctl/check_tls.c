/* SPDX-License-Identifier: Apache-2.0 */
/* check_tls: the steps of 'postern check' on a connected socket, one after the other. */
#include "ctl/check_tls.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/engine/browser.h"
#include "core/parse/http.h"
#include "ctl/terminal/units.h"

#define READ_BYTES 16384

/* ---- bytes, within a time ---- */

static bool check_tls_ready(int fd, short events, int64_t due_ms)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		int64_t left = due_ms - (int64_t)clock_ms(CLOCK_MONOTONIC);
		int n = poll(&p, 1, left > 0 ? (int)left : 0);

		if (n > 0)
			return true;
		if (n == 0 || errno != EINTR) {
			errno = n == 0 ? ETIMEDOUT : errno;
			return false;
		}
	}
}

/* Bytes read, 0 at the end, or -1 with errno. */
static ssize_t check_tls_receive(int fd, uint8_t *buf, size_t room, int64_t due_ms)
{
	for (;;) {
		ssize_t n = recv(fd, buf, room, MSG_DONTWAIT);

		if (n >= 0 || (errno != EAGAIN && errno != EINTR))
			return n;
		if (errno == EAGAIN && !check_tls_ready(fd, POLLIN, due_ms))
			return -1;
	}
}

static bool check_tls_send_all(int fd, const uint8_t *bytes, size_t len, int64_t due_ms)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (n < 0 && errno == EAGAIN && !check_tls_ready(fd, POLLOUT, due_ms))
			return false;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return true;
}

/* ---- the proxy ---- */

bool check_proxy(int fd, const struct http_proxy *p, const char *target, int wait_ms,
		 char why[CHECK_WHY_BYTES])
{
	int64_t due_ms = (int64_t)clock_ms(CLOCK_MONOTONIC) + wait_ms;
	uint8_t head[HTTP_HEAD_MAX];
	size_t len = http_proxy_connect(p, target, head), used;
	enum http_status status = HTTP_SHORT;
	unsigned code = 0;

	if (len == 0 || !check_tls_send_all(fd, head, len, due_ms)) {
		snprintf(why, CHECK_WHY_BYTES, "the request could not be sent");
		return false;
	}
	for (len = 0; status == HTTP_SHORT && len < sizeof(head);) {
		ssize_t n = check_tls_receive(fd, head + len, sizeof(head) - len, due_ms);

		if (n <= 0) {
			snprintf(why, CHECK_WHY_BYTES, "no answer to CONNECT: %s",
				 n == 0 ? "it closed the connection" : strerror(errno));
			return false;
		}
		len += (size_t)n;
		status = http_reply_parse(head, len, &code, &used);
	}
	if (status != HTTP_OK)
		snprintf(why, CHECK_WHY_BYTES, "it does not answer as an HTTP proxy does");
	else if (code < 200 || code > 299)
		snprintf(why, CHECK_WHY_BYTES, "CONNECT to %s: %s", target,
			 http_proxy_refusal(p, code));
	return status == HTTP_OK && code >= 200 && code <= 299;
}

/* ---- TLS ---- */

static bool check_tls_flush(int fd, struct tls *tls, int64_t due_ms)
{
	size_t len;
	const uint8_t *out = tls_output(tls, &len);
	bool ok = len == 0 || check_tls_send_all(fd, out, len, due_ms);

	tls_output_drop(tls, len);
	return ok;
}

/* More of the wire for the engine. False with errno, 0: out of memory. */
static bool check_tls_feed(int fd, struct tls *tls, int64_t due_ms)
{
	uint8_t bytes[READ_BYTES];
	ssize_t n = check_tls_receive(fd, bytes, sizeof(bytes), due_ms);

	if (n < 0)
		return false;
	errno = 0;
	if (n > 0)
		return tls_feed(tls, bytes, (size_t)n);
	tls_feed_eof(tls);
	return true;
}

static bool check_tls_shake(int fd, struct tls *tls, int64_t due_ms, char why[CHECK_WHY_BYTES])
{
	enum tls_status status;

	while ((status = tls_handshake(tls)) == TLS_AGAIN) {
		if (check_tls_flush(fd, tls, due_ms) && check_tls_feed(fd, tls, due_ms))
			continue;
		snprintf(why, CHECK_WHY_BYTES,
			 "the handshake did not finish: %s; check that the address is that of a "
			 "relay",
			 strerror(errno ? errno : ENOMEM));
		return false;
	}
	if (status == TLS_OK && check_tls_flush(fd, tls, due_ms))
		return true;
	snprintf(why, CHECK_WHY_BYTES, "%s; check that the address is that of a relay",
		 status == TLS_FAILED ? tls_error(tls) : "the connection was closed");
	return false;
}

struct tls *check_handshake(int fd, SSL_CTX *context, const char *host, int wait_ms,
			    char why[CHECK_WHY_BYTES])
{
	struct tls *tls = browser_tls(context, host);

	if (!tls)
		snprintf(why, CHECK_WHY_BYTES, "out of memory");
	else if (check_tls_shake(fd, tls, (int64_t)clock_ms(CLOCK_MONOTONIC) + wait_ms, why))
		return tls;
	tls_free(tls);
	return NULL;
}

/* ---- HTTP ---- */

/* The value of the Date field of a whole head; head is terminated. */
static bool find_date(const char *head, time_t *out)
{
	for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
		if (strncasecmp(line + 2, "Date: ", 6) == 0)
			return units_parse_http_date(line + 8, out);
	return false;
}

/* The head of a reply, terminated. */
static bool read_head(int fd, struct tls *tls, int64_t due_ms, char head[HTTP_HEAD_MAX],
		      unsigned *status)
{
	enum http_status parsed = HTTP_SHORT;
	size_t len = 0, used, n;

	while (parsed == HTTP_SHORT && len < HTTP_HEAD_MAX - 1) {
		switch (tls_read(tls, (uint8_t *)head + len, HTTP_HEAD_MAX - 1 - len, &n)) {
		case TLS_OK:
			len += n;
			parsed = http_reply_parse((uint8_t *)head, len, status, &used);
			break;
		case TLS_AGAIN:
			if (!check_tls_feed(fd, tls, due_ms))
				return false;
			break;
		default:
			return false;
		}
	}
	if (parsed != HTTP_OK)
		return false;
	head[used] = '\0';
	return true;
}

/* Without Host it goes no further than the relay, and is answered with 400 (RFC 9112 section 3.2).
 */
bool check_date(int fd, struct tls *tls, int wait_ms, time_t *date, char why[CHECK_WHY_BYTES])
{
	static const char request[] = "GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
	int64_t due_ms = (int64_t)clock_ms(CLOCK_MONOTONIC) + wait_ms;
	char head[HTTP_HEAD_MAX];
	unsigned status;

	if (tls_write(tls, (const uint8_t *)request, sizeof(request) - 1) != TLS_OK ||
	    !check_tls_flush(fd, tls, due_ms) || !read_head(fd, tls, due_ms, head, &status)) {
		snprintf(why, CHECK_WHY_BYTES,
			 "it does not answer as a web server; is that address a relay's?");
		return false;
	}
	if (find_date(head, date))
		return true;
	snprintf(why, CHECK_WHY_BYTES, "its answer as a web server has no Date");
	return false;
}
