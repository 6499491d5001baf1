/* SPDX-License-Identifier: Apache-2.0 */
/* front: what is this connection? */
#include "relay/front/front.h"

#include <string.h>
#include <time.h>

#include "core/log.h"
#include "core/parse/proxy.h"

static void front_hello(struct conn *c, const uint8_t *data, size_t len);

/* ---- PROXY header ---- */

static void front_proxy_input(struct conn *c, const uint8_t *data, size_t len)
{
	struct proxy_header header;
	size_t used;

	if (!conn_keep(c, data, len, PROXY_HEADER_MAX + RING_SMALL_BYTES)) {
		conn_close(c, REASON_PROXY_HEADER);
		return;
	}
	enum proxy_status status = proxy_decode(c->in, c->in_len, &header, &used);
	if (status == PROXY_SHORT && c->in_len < PROXY_HEADER_MAX)
		return;
	if (status != PROXY_OK) {
		log_debug("front", "no PROXY header where the listener asks for one");
		conn_close(c, REASON_PROXY_HEADER);
		return;
	}
	if (!conn_proxied_source(c, header.local ? NULL : &header.source, &header.destination)) {
		conn_close(c, REASON_LIMIT_SOURCE);
		return;
	}
	conn_drop_kept(c, used);
	conn_set_phase(c, &phase_hello);
	if (c->in_len > 0)
		front_hello(c, c->in, c->in_len);
}

static void front_hello_late(struct conn *c, uint64_t now_ms)
{
	conn_close(c, REASON_DEADLINE_HELLO);
}

const struct conn_phase phase_proxy = {
	.name = "proxy",
	.input = front_proxy_input,
	.deadline = front_hello_late,
	.gone = REASON_GONE_EARLY,
};

/* ---- ClientHello ---- */

enum likeness { UNLIKE_HTTP, PERHAPS_HTTP, LIKE_HTTP };

/* Web servers answer plain HTTP on their TLS port with a 400; a silent close would stand out. */
static enum likeness http_likeness(const uint8_t *data, size_t len)
{
	static const char *const methods[] = {"GET ",	 "HEAD ",    "POST ",	 "PUT ",
					      "DELETE ", "OPTIONS ", "CONNECT ", "PATCH "};

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		size_t n = strlen(methods[i]);

		if (memcmp(data, methods[i], len < n ? len : n) == 0)
			return len < n ? PERHAPS_HTTP : LIKE_HTTP;
	}
	return UNLIKE_HTTP;
}

bool front_keep(struct conn *c, const uint8_t *data, size_t len)
{
	size_t limit = RING_SMALL_BYTES + c->worker->snap->config.limits.client_hello_bytes;

	if (data == c->in || conn_keep(c, data, len, limit))
		return true;
	conn_close(c, REASON_LIMIT_MEMORY);
	return false;
}

static void front_garbage(struct conn *c, const uint8_t *data, size_t len)
{
	struct site_response response;

	switch (http_likeness(data, len)) {
	case UNLIKE_HTTP:
		conn_close(c, REASON_HELLO_GARBAGE);
		break;
	case PERHAPS_HTTP:
		(void)!front_keep(c, data, len);
		break;
	case LIKE_HTTP:
		worker_count(c->worker, REASON_PLAIN_HTTP);
		site_refuse_plain(time(NULL), &response);
		conn_send_raw(c, response.head, response.head_len);
		conn_finish(c);
		break;
	}
}

/* A protocol takes it by the server's name, or our own TLS does. */
static void front_take_hello(struct conn *c, const struct clienthello *hello, const uint8_t *data,
			     size_t len)
{
	for (const struct front_protocol *const *p = c->worker->relay->protocols; *p; p++)
		if ((*p)->hello && (*p)->hello(c, hello, data, len))
			return;
	conn_start_tls(c, data, len);
	if (data == c->in)
		conn_drop_kept(c, c->in_len);
	if (c->phase == &phase_handshake)
		c->phase->input(c, NULL, 0);
}

/* Looks at all that has come so far, from the start each time, and decides once. */
static void front_hello(struct conn *c, const uint8_t *data, size_t len)
{
	struct worker *w = c->worker;
	struct clienthello hello;
	enum front_claim claim = FRONT_NO;

	for (const struct front_protocol *const *p = w->relay->protocols; *p; p++) {
		if ((*p)->clear)
			claim = (*p)->clear(c, data, len);
		if (claim == FRONT_MORE)
			(void)!front_keep(c, data, len);
		if (claim != FRONT_NO)
			return;
	}
	switch (clienthello_parse(data, len, w->snap->config.limits.client_hello_bytes, w->scratch,
				  &hello)) {
	case CLIENTHELLO_OK:
		front_take_hello(c, &hello, data, len);
		break;
	case CLIENTHELLO_SHORT:
		(void)!front_keep(c, data, len);
		break;
	case CLIENTHELLO_GARBAGE:
		front_garbage(c, data, len);
		break;
	case CLIENTHELLO_TOO_LARGE:
		conn_close(c, REASON_HELLO_TOO_LARGE);
		break;
	case CLIENTHELLO_AMBIGUOUS:
		conn_close(c, REASON_HELLO_AMBIGUOUS);
		break;
	}
}

static void front_hello_input(struct conn *c, const uint8_t *data, size_t len)
{
	size_t most = RING_SMALL_BYTES + c->worker->snap->config.limits.client_hello_bytes;

	if (c->in_len == 0) /* the usual case: one segment, nothing to keep */
		front_hello(c, data, len);
	else if (conn_keep(c, data, len, most))
		front_hello(c, c->in, c->in_len);
	else
		conn_close(c, REASON_HELLO_TOO_LARGE);
}

const struct conn_phase phase_hello = {
	.name = "hello",
	.input = front_hello_input,
	.deadline = front_hello_late,
	.gone = REASON_GONE_EARLY,
};

/* ---- our own TLS ---- */

static void front_handshake_input(struct conn *c, const uint8_t *data, size_t len)
{
	if (!conn_feed(c, data, len))
		return;
	enum tls_status status = tls_handshake(c->tls);

	conn_flush(c);
	if (status == TLS_OK) {
		conn_set_phase(c, &phase_inside);
		conn_set_deadline(c, c->worker->snap->config.limits.first_ms);
		c->phase->input(c, NULL, 0);
	} else if (status != TLS_AGAIN) {
		log_debug("front", "TLS handshake failed: %s", tls_error(c->tls));
		worker_count(c->worker, REASON_HANDSHAKE_FAILED);
		conn_finish(c); /* BoringSSL has put an alert into the output */
	}
}

static void front_handshake_late(struct conn *c, uint64_t now_ms)
{
	conn_close(c, REASON_DEADLINE_HANDSHAKE);
}

const struct conn_phase phase_handshake = {
	.name = "handshake",
	.input = front_handshake_input,
	.deadline = front_handshake_late,
	.gone = REASON_GONE_EARLY,
};

static void front_inside_input(struct conn *c, const uint8_t *data, size_t len)
{
	struct worker *w = c->worker;
	size_t n;

	if (!conn_feed(c, data, len))
		return;
	enum tls_status status = tls_read(c->tls, w->plain, PLAIN_BYTES, &n);
	conn_flush(c);
	if (status == TLS_AGAIN || c->phase != &phase_inside)
		return;
	for (const struct front_protocol *const *p = w->relay->protocols; *p && status == TLS_OK;
	     p++)
		if ((*p)->inside && (*p)->inside(c, w->plain, n))
			return;
	conn_finish(c);
}

static void front_inside_late(struct conn *c, uint64_t now_ms)
{
	worker_count(c->worker, REASON_DEADLINE_FIRST);
	conn_finish(c);
}

const struct conn_phase phase_inside = {
	.name = "inside",
	.input = front_inside_input,
	.deadline = front_inside_late,
	.drain = conn_finish,
};
