/* SPDX-License-Identifier: Apache-2.0 */
/* web: HTTP/1.1 over our own TLS for all clients that are neither agents nor consoles. */
#include <time.h>

#include "core/log.h"
#include "core/parse/http.h"
#include "relay/front/front.h"

/* The phase's state. */
struct web {
	uint64_t skip; /* body bytes of the request still to discard */
};

static struct web *web_of(struct conn *c)
{
	return (struct web *)c->state;
}

static void web_respond(struct conn *c, const struct site_response *response)
{
	conn_send_plain(c, response->head, response->head_len);
	if (response->body)
		conn_send_plain(c, response->body, response->body_len);
	if (response->close)
		conn_finish(c);
	else if (c->phase == &phase_web)
		conn_set_deadline(c, c->worker->snap->config.limits.http_idle_ms);
}

/* Discards what is left of a request's body. True when there is none left. */
static bool web_skip_body(struct conn *c)
{
	struct web *web = web_of(c);
	size_t n = web->skip < c->in_len ? (size_t)web->skip : c->in_len;

	if (n > 0) {
		web->skip -= n;
		conn_drop_kept(c, n);
	}
	return web->skip == 0;
}

/* Answers one request of those kept. False when there is no whole one, or the connection ends. */
static bool web_answer_next(struct conn *c)
{
	struct relay *r = c->worker->relay;
	struct http_request request;
	struct site_response response;
	size_t used;

	if (!web_skip_body(c) || c->in_len == 0)
		return false;
	enum http_status status = http_request_parse(c->in, c->in_len, &request, &used);
	if (status == HTTP_SHORT)
		return false;
	if (status != HTTP_OK) {
		worker_count(c->worker, REASON_HTTP_BAD);
		site_refuse(status, time(NULL), &response);
		web_respond(c, &response);
		return false;
	}
	conn_drop_kept(c, used);
	web_of(c)->skip = request.content_length;
	if (request.expect_continue && request.content_length > 0)
		conn_send_plain(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	site_answer(&c->worker->site, &request, r->draining, time(NULL), &response);
	web_respond(c, &response);
	return c->phase == &phase_web;
}

/* One answer at a time: a client that pipelines without reading makes nothing pile up. */
static void web_continue(struct conn *c)
{
	while (c->phase == &phase_web && !conn_sending(c))
		if (!web_answer_next(c))
			break;
}

/* Keeps decrypted bytes and answers what is whole of them. False: no more is to be read. */
static bool web_take(struct conn *c, const uint8_t *data, size_t len)
{
	if (!conn_keep(c, data, len, HTTP_HEAD_MAX + 2 * PLAIN_BYTES)) {
		worker_count(c->worker, REASON_HTTP_BAD);
		conn_finish(c);
		return false;
	}
	web_continue(c);
	return c->phase == &phase_web;
}

static void web_read(struct conn *c)
{
	struct worker *w = c->worker;
	enum tls_status status;
	size_t n;

	while ((status = tls_read(c->tls, w->plain, PLAIN_BYTES, &n)) == TLS_OK)
		if (!web_take(c, w->plain, n))
			return;
	if (status != TLS_AGAIN)
		conn_finish(c);
}

static void web_input(struct conn *c, const uint8_t *data, size_t len)
{
	if (conn_feed(c, data, len))
		web_read(c);
}

static void web_late(struct conn *c, uint64_t now_ms)
{
	worker_count(c->worker, REASON_DEADLINE_IDLE);
	conn_finish(c);
}

static const struct conn_state web_state = {.leave = NULL};

const struct conn_phase phase_web = {
	.name = "web",
	.state = &web_state,
	.input = web_input,
	.deadline = web_late,
	.sent = web_continue,
	.drain = conn_finish,
	.answers = true,
};

static bool web_begin(struct conn *c, const uint8_t *data, size_t len)
{
	conn_set_phase(c, &phase_web);
	if (web_take(c, data, len))
		web_read(c);
	return true;
}

const struct front_protocol protocol_web = {.name = "web", .inside = web_begin};
