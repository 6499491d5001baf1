/* SPDX-License-Identifier: Apache-2.0 */
/* front: what is this connection? */
#include "relay/front/front.h"

#include <string.h>

#include "core/log.h"
#include "core/parse/proxy.h"
#include "relay/front/charge.h"
#include "relay/front/signing.h"

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
	conn_proxied_source(c, header.local ? NULL : &header.source, &header.destination);
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

bool front_keep(struct conn *c, const uint8_t *data, size_t len)
{
	size_t limit = RING_SMALL_BYTES + c->worker->snap->config.limits.client_hello_bytes;

	if (data == c->in || conn_keep(c, data, len, limit))
		return true;
	conn_close(c, REASON_LIMIT_MEMORY);
	return false;
}

/* Our own TLS, with all that has come. */
static void front_own_tls(struct conn *c, const uint8_t *data, size_t len)
{
	conn_start_tls(c, data, len);
	if (data == c->in)
		conn_drop_kept(c, c->in_len);
	if (c->phase == &phase_handshake)
		c->phase->input(c, NULL, 0);
}

/* What no two readers read the same is never given on by its name: BoringSSL judges it, as it would
 * behind any web server, and answers with its alert or waits. */
static void front_odd_hello(struct conn *c, enum reason reason, const uint8_t *data, size_t len)
{
	worker_count(c->worker, reason);
	if (charge_handshake(c))
		front_own_tls(c, data, len);
}

/* A protocol takes it by the server's name, or our own TLS does. */
static void front_take_hello(struct conn *c, const struct clienthello *hello, const uint8_t *data,
			     size_t len)
{
	if (!charge_handshake(c))
		return;
	for (const struct front_protocol *const *p = c->worker->relay->protocols; *p; p++)
		if ((*p)->hello && (*p)->hello(c, hello, data, len))
			return;
	front_own_tls(c, data, len);
}

/* nginx's peek: only what begins so is tried as TLS, and all else is HTTP. */
static bool front_like_tls(uint8_t first)
{
	return first == 22 || first >= 0x80;
}

/* The state of HELLO. */
struct front_hello {
	struct clienthello_reader reader;
};

static_assert(sizeof(struct front_hello) <= CONN_STATE_BYTES, "a reader fits into its connection");

/* Looks at what has come since the last time, and decides once. */
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
	if (!front_like_tls(data[0])) {
		web_begin_clear(c, data, len);
		return;
	}
	switch (clienthello_read(&((struct front_hello *)c->state)->reader, data, len,
				 w->snap->config.limits.client_hello_bytes, w->scratch, &hello)) {
	case CLIENTHELLO_OK:
		front_take_hello(c, &hello, data, len);
		break;
	case CLIENTHELLO_SHORT:
		(void)!front_keep(c, data, len);
		break;
	case CLIENTHELLO_GARBAGE:
		front_odd_hello(c, REASON_HELLO_GARBAGE, data, len);
		break;
	case CLIENTHELLO_TOO_LARGE:
		front_odd_hello(c, REASON_HELLO_TOO_LARGE, data, len);
		break;
	case CLIENTHELLO_AMBIGUOUS:
		front_odd_hello(c, REASON_HELLO_AMBIGUOUS, data, len);
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

/* Of its own, so that it is zeroed when the phase begins, and for the next one. */
static const struct conn_state hello_state = {0};

const struct conn_phase phase_hello = {
	.name = "hello",
	.state = &hello_state,
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
		conn_shorten_deadline(c, c->worker->snap->config.limits.first_ms);
		c->phase->input(c, NULL, 0);
	} else if (status == TLS_AGAIN) {
		if (tls_wants_signature(c->tls) && !signing_ask(c))
			conn_close(c, REASON_SIGNER);
		else if (c->read_done && !tls_awaits_signature(c->tls))
			conn_finish_quietly(c); /* it has said hello and no more */
	} else {
		log_debug("front", "TLS handshake failed: %s", tls_error(c->tls));
		worker_count(c->worker, REASON_HANDSHAKE_FAILED);
		conn_finish(c); /* BoringSSL has put an alert into the output */
	}
}

static void front_handshake_late(struct conn *c, uint64_t now_ms)
{
	conn_close(c, tls_awaits_signature(c->tls) ? REASON_SIGNER : REASON_DEADLINE_HANDSHAKE);
}

const struct conn_phase phase_handshake = {
	.name = "handshake",
	.input = front_handshake_input,
	.deadline = front_handshake_late,
	.gone = REASON_GONE_EARLY,
	.answers = true,
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
	conn_finish_quietly(c);
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
	.answers = true,
};
