/* SPDX-License-Identifier: Apache-2.0 */
/* web: HTTP/1.1 over our own TLS for everybody who is not an agent. */
#include <time.h>

#include "core/log.h"
#include "core/parse/http.h"
#include "relay/front/conn.h"

static void web_respond(struct conn *c, const struct site_response *response)
{
	conn_send_plain(c, response->head, response->head_len);
	if (response->body)
		conn_send_plain(c, response->body, response->body_len);
	if (response->close)
		conn_finish(c);
	else if (c->phase == CONN_WEB)
		conn_set_deadline(c, c->worker->snap->config.limits.http_idle_ms);
}

/* Discards what is left of a request's body. True when there is none left. */
static bool web_skip_body(struct conn *c)
{
	size_t n = c->skip < c->in_len ? (size_t)c->skip : c->in_len;

	if (n > 0) {
		c->skip -= n;
		conn_drop_kept(c, n);
	}
	return c->skip == 0;
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
	c->skip = request.content_length;
	if (request.expect_continue && c->skip > 0)
		conn_send_plain(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	site_answer(&c->worker->snap->site, &request, r->draining, time(NULL), &response);
	web_respond(c, &response);
	return c->phase == CONN_WEB;
}

/* One answer at a time: a client that pipelines without reading makes nothing pile up. */
void web_continue(struct conn *c)
{
	while (c->phase == CONN_WEB && !conn_sending(c))
		if (!web_answer_next(c))
			break;
}

void web_input(struct conn *c, const uint8_t *data, size_t len)
{
	struct worker *w = c->worker;
	bool fed = data == w->plain; /* the first bytes come decrypted from the front door */
	size_t n = len;

	if (!fed && !tls_feed(c->tls, data, len)) {
		conn_close(c, REASON_LIMIT_MEMORY);
		return;
	}
	for (;;) {
		if (!fed) {
			enum tls_status status = tls_read(c->tls, w->plain, PLAIN_BYTES, &n);

			if (status == TLS_AGAIN)
				break;
			if (status != TLS_OK) {
				conn_finish(c);
				return;
			}
		}
		fed = false;
		if (!conn_keep(c, w->plain, n, HTTP_HEAD_MAX + 2 * PLAIN_BYTES)) {
			worker_count(w, REASON_HTTP_BAD);
			conn_finish(c);
			return;
		}
		web_continue(c);
		if (c->phase != CONN_WEB)
			return;
	}
}
