/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front: the front door's one decision: what is this connection?
 *
 *   PROXY header (where the listener asks for one)
 *   ClientHello for a public name  -> public.c
 *   any other ClientHello          -> our TLS, then the first byte of application data:
 *       2 (a frame's version)      -> HELLO: link.c, LEG: leg.c   (TLS 1.3 only)
 *       anything else              -> web.c
 *   a STUN message                 -> stun_stream.c
 *   clear-text HTTP                -> 400 and closed
 *   anything else                  -> closed
 *
 * Another protocol would join as one more row.
 */
#include <string.h>
#include <time.h>

#include "core/log.h"
#include "core/parse/clienthello.h"
#include "core/parse/proxy.h"
#include "relay/front/conn.h"

static void front_hello(struct conn *c, const uint8_t *data, size_t len);

/* ---- PROXY header ---- */

static void front_proxy(struct conn *c)
{
	struct proxy_header header;
	size_t used;
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
	conn_set_phase(c, CONN_HELLO);
	if (c->in_len > 0)
		front_hello(c, c->in, c->in_len);
}

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

/* Keeps the beginning of a hello, or of a clear-text request. */
static void front_keep(struct conn *c, const uint8_t *data, size_t len)
{
	size_t limit = RING_SMALL_BYTES + c->worker->snap->config.limits.client_hello_bytes;

	if (data != c->in && !conn_keep(c, data, len, limit))
		conn_close(c, REASON_LIMIT_MEMORY);
}

static void front_garbage(struct conn *c, const uint8_t *data, size_t len)
{
	struct site_response response;

	switch (http_likeness(data, len)) {
	case UNLIKE_HTTP:
		conn_close(c, REASON_HELLO_GARBAGE);
		break;
	case PERHAPS_HTTP:
		front_keep(c, data, len);
		break;
	case LIKE_HTTP:
		worker_count(c->worker, REASON_PLAIN_HTTP);
		site_refuse_plain(time(NULL), &response);
		conn_send_raw(c, response.head, response.head_len);
		conn_finish(c);
		break;
	}
}

static void front_decide(struct conn *c, const struct clienthello *hello, const uint8_t *data,
			 size_t len)
{
	struct worker *w = c->worker;
	const struct relay_public *entry = snapshot_public(w->snap, hello->server_name);

	if (entry) {
		front_keep(c, data, len);
		if (c->phase == CONN_HELLO)
			public_begin(c, entry);
		return;
	}
	conn_start_tls(c, data, len);
	if (data == c->in)
		conn_drop_kept(c, c->in_len);
	if (c->phase == CONN_HANDSHAKE)
		front_input(c, NULL, 0);
}

/* False: no STUN. The header's 20 bytes tell, with the magic cookie among them. */
static bool front_stun(struct conn *c, const uint8_t *data, size_t len)
{
	int message;

	if (!c->worker->stun.enabled || data[0] > STUN_FIRST_BYTE_MAX)
		return false;
	message = stun_message_length(data, len);
	if (message == 0)
		front_keep(c, data, len);
	else if (message > 0)
		stun_stream_begin(c, data, len);
	return message >= 0;
}

static void front_hello(struct conn *c, const uint8_t *data, size_t len)
{
	struct worker *w = c->worker;
	struct clienthello hello;

	if (front_stun(c, data, len))
		return;
	switch (clienthello_parse(data, len, w->snap->config.limits.client_hello_bytes, w->scratch,
				  &hello)) {
	case CLIENTHELLO_OK:
		front_decide(c, &hello, data, len);
		break;
	case CLIENTHELLO_SHORT:
		front_keep(c, data, len);
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

/* ---- our own TLS ---- */

static void front_first(struct conn *c);

static void front_handshake(struct conn *c)
{
	enum tls_status status = tls_handshake(c->tls);

	conn_flush(c);
	if (status == TLS_OK) {
		conn_set_phase(c, CONN_FIRST);
		conn_set_deadline(c, c->worker->snap->config.limits.first_ms);
		front_first(c);
	} else if (status != TLS_AGAIN) {
		log_debug("front", "TLS handshake failed: %s", tls_error(c->tls));
		worker_count(c->worker, REASON_HANDSHAKE_FAILED);
		conn_finish(c); /* BoringSSL has put an alert into the output */
	}
}

static void front_first_frame(struct conn *c)
{
	struct wire_message m;
	size_t used;

	switch (wire_decode(c->in, c->in_len, &m, &used)) {
	case WIRE_SHORT:
		return;
	case WIRE_BAD_VERSION:
		conn_refuse(c, REASON_VERSION);
		return;
	case WIRE_MALFORMED:
		conn_refuse(c, REASON_PROTOCOL);
		return;
	case WIRE_UNKNOWN_EXTENSION:
		conn_refuse_extension(c, &m);
		return;
	case WIRE_OK:
		break;
	}
	if (m.type == WIRE_HELLO)
		link_begin(c, &m);
	else if (m.type == WIRE_LEG)
		leg_begin(c, &m);
	else
		conn_refuse(c, REASON_PROTOCOL);
	conn_drop_kept(c, used);
	/* Frames that came along with the first belong to what the connection is now. */
	if (c->phase == CONN_LINK)
		link_input(c, NULL, 0);
	else if (c->phase == CONN_LEG_IDLE)
		leg_input(c, NULL, 0);
}

static void front_first(struct conn *c)
{
	struct worker *w = c->worker;
	size_t n;
	enum tls_status status = tls_read(c->tls, w->plain, PLAIN_BYTES, &n);

	conn_flush(c);
	if (status == TLS_AGAIN)
		return;
	if (status != TLS_OK) {
		conn_finish(c);
		return;
	}
	if (c->in_len == 0 && w->plain[0] != WIRE_VERSION) {
		conn_set_phase(c, CONN_WEB);
		web_input(c, w->plain, n);
		return;
	}
	if (!conn_keep(c, w->plain, n, WIRE_FRAME_MAX + PLAIN_BYTES)) {
		conn_refuse(c, REASON_PROTOCOL);
		return;
	}
	front_first_frame(c);
}

void front_input(struct conn *c, const uint8_t *data, size_t len)
{
	switch (c->phase) {
	case CONN_PROXY:
		if (!conn_keep(c, data, len, PROXY_HEADER_MAX + RING_SMALL_BYTES))
			conn_close(c, REASON_PROXY_HEADER);
		else
			front_proxy(c);
		break;
	case CONN_HELLO:
		if (c->in_len == 0) { /* the usual case: one segment, nothing to keep */
			front_hello(c, data, len);
			break;
		}
		if (!conn_keep(c, data, len,
			       RING_SMALL_BYTES +
				       c->worker->snap->config.limits.client_hello_bytes))
			conn_close(c, REASON_HELLO_TOO_LARGE);
		else
			front_hello(c, c->in, c->in_len);
		break;
	default:
		if (len > 0 && !tls_feed(c->tls, data, len))
			conn_close(c, REASON_LIMIT_MEMORY);
		else if (c->phase == CONN_HANDSHAKE)
			front_handshake(c);
		else
			front_first(c);
		break;
	}
}
