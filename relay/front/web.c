/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web: HTTP for all clients that are neither agents nor consoles, over our own TLS or in clear,
 * which is told that this is no port for it. What comes when, and how long is waited, is nginx's.
 *
 *   a head is read, within the time from accepting (limits.first)
 *     -> its answer leaves; what is left of its body is discarded (5 s for each part, 30 s in all)
 *       -> closed, or the next head: limits.http_idle for its first byte, limits.first for the rest
 *     -> or it is handed over, where a protocol has a web site (front.h): that has the connection
 *        from this head on, or gives it back with 502, 503 or 504
 */
#include <stdlib.h>
#include <time.h>

#include "core/log.h"
#include "core/memory.h"
#include "core/parse/chunked.h"
#include "core/parse/request.h"
#include "relay/front/charge.h"
#include "relay/front/front.h"

#define REQUESTS_MAX	1000u	 /* of one connection */
#define KEPT_MS		3600000u /* from accepting: what is asked later is the last */
#define DISCARD_PART_MS 5000u
#define DISCARD_MS	30000u
#define BODY_PART_MS	60000u /* of one that is waited for */
#define HEAD_ROOM	(REQUEST_HEAD_MAX + 2 * PLAIN_BYTES)

struct web {
	struct request request;
	struct chunked chunked;
	uint64_t skip; /* bytes of a body with a length that are still to be discarded */
	uint64_t discard_until_ms;
	unsigned answered;
	bool discarding, closes; /* closes: when the body is over */
	bool failing;		 /* the answer is due when the body is over: */
	enum site_gateway failure;
};

/* The phase's state. */
struct web_state {
	struct web *web;
};

static struct web *web_of(struct conn *c)
{
	return ((struct web_state *)c->state)->web;
}

static void web_dispose(struct conn *c)
{
	web_free(web_of(c));
}

void web_free(struct web *web)
{
	memory_free(web);
}

static void web_say(struct conn *c, const void *data, size_t len)
{
	if (len == 0)
		return;
	if (c->tls)
		conn_send_plain(c, data, len);
	else
		conn_send_raw(c, data, len);
}

static void web_next_request(struct conn *c)
{
	struct web *web = web_of(c);

	web->discarding = false;
	if (web->closes) {
		conn_finish(c);
		return;
	}
	request_begin(&web->request);
	conn_set_deadline(c, c->in_len > 0 ? c->worker->snap->config.limits.first_ms
					   : c->worker->snap->config.limits.http_idle_ms);
}

/* ---- bodies ---- */

/* How much of what came belongs to the body; *over: it has ended. Bad chunks end it, too. */
static size_t web_body(struct web *web, const uint8_t *data, size_t len, bool *over)
{
	size_t used;

	if (web->request.chunked) {
		switch (chunked_skip(&web->chunked, data, len, &used)) {
		case CHUNKED_MORE:
			*over = false;
			return used;
		case CHUNKED_BAD:
			web->closes = true;
			break;
		case CHUNKED_DONE:
			break;
		}
		*over = true;
		return used;
	}
	used = web->skip < len ? (size_t)web->skip : len;
	web->skip -= used;
	*over = web->skip == 0;
	return used;
}

static void web_discard_on(struct conn *c)
{
	uint64_t now_ms = ring_now_ms(c->worker->ring);
	struct web *web = web_of(c);

	if (web->failing)
		conn_set_deadline(c, BODY_PART_MS);
	else if (now_ms >= web->discard_until_ms)
		conn_close(c, REASON_DEADLINE_IDLE);
	else
		conn_set_deadline(c, DISCARD_PART_MS);
}

/* ---- requests ---- */

/* A web site is asked, where there is one. What is handed over has no receive under way: none is
 * begun while an answer leaves (web_continue()). */
static bool web_is_for_site(struct conn *c)
{
	const struct front_protocol *const *p = c->worker->relay->protocols;

	if (!c->tls || ring_op_busy(&c->rx) || site_is_own(&c->worker->site, &web_of(c)->request))
		return false;
	while (*p && !((*p)->request && (*p)->request(c)))
		p++;
	return *p != NULL;
}

static void web_respond(struct conn *c, struct site_response *response)
{
	web_say(c, response->head, response->head_len);
	if (c->phase == &phase_web)
		web_say(c, response->body, response->body_len);
	memory_free(response->parts);
}

/* What has come of the body behind a head; *over: all of it, or there is none. */
static size_t web_begin_body(struct conn *c, bool *over)
{
	struct web *web = web_of(c);
	const struct request *r = &web->request;
	size_t head = r->at, used = 0;

	*over = true;
	web->chunked = (struct chunked){.state = 0};
	web->skip = r->content_length;
	web->closes = false;
	if (head <= c->in_len)
		used = web_body(web, c->in + head, c->in_len - head, over);
	*over |= r->content_length == 0 && !r->chunked;
	return used;
}

static bool web_is_last(struct conn *c)
{
	return web_of(c)->answered >= REQUESTS_MAX ||
	       ring_now_ms(c->worker->ring) - c->accepted_ms > KEPT_MS;
}

/* The answer to a head that is over, in whatever way. */
static void web_answer(struct conn *c, enum request_status status)
{
	struct web *web = web_of(c);
	struct request *r = &web->request;
	struct relay *relay = c->worker->relay;
	struct site_response response;
	size_t head = r->at, used;
	bool over;

	web->answered++;
	if (!charge_request(c))
		return;
	if (status == REQUEST_DONE && web_is_for_site(c))
		return;
	used = web_begin_body(c, &over);
	/* Chunks that are none are noticed before the page is given. */
	if (status == REQUEST_DONE && web->closes && r->method == METHOD_GET &&
	    r->path != PATH_OTHER)
		status = REQUEST_BAD;
	if (status != REQUEST_DONE) {
		worker_count(c->worker, REASON_HTTP_BAD);
		site_refuse(&c->worker->site, r, status, time(NULL), &response);
	} else if (!c->tls) {
		worker_count(c->worker, REASON_PLAIN_HTTP);
		site_refuse_plain(&c->worker->site, r, time(NULL), &response);
	} else {
		site_answer(&c->worker->site, r, c->in, relay->draining,
			    web_is_last(c) || web->closes, time(NULL), &response);
	}
	web->closes |= response.close;
	web_respond(c, &response);
	if (c->phase != &phase_web)
		return;
	if (web->closes && over) {
		conn_finish(c);
		return;
	}
	conn_drop_kept(c, head + used);
	if (over) {
		web_next_request(c);
		return;
	}
	web->discarding = true;
	web->discard_until_ms = ring_now_ms(c->worker->ring) + DISCARD_MS;
	web_discard_on(c);
}

/* The web site did not answer, and the body is over. */
static void web_fail(struct conn *c)
{
	struct web *web = web_of(c);
	const struct request *r = &web->request;
	struct site *site = &c->worker->site;
	bool last = web_is_last(c) || c->worker->relay->draining;
	struct site_response response;

	if (web->closes) /* chunks that are none */
		site_refuse(site, r, REQUEST_BAD, time(NULL), &response);
	else
		site_fail(site, r, web->failure, last, time(NULL), &response);
	web->failing = false;
	web->closes = response.close;
	web_respond(c, &response);
	if (c->phase == &phase_web)
		web_next_request(c);
}

/* One step with what is kept. False: more has to come first, or the connection ends. */
static bool web_step(struct conn *c)
{
	struct web *web = web_of(c);
	enum request_status status;
	bool over;

	if (c->in_len == 0)
		return false;
	if (web->discarding) {
		conn_drop_kept(c, web_body(web, c->in, c->in_len, &over));
		if (over && web->failing)
			web_fail(c);
		else if (over)
			web_next_request(c);
		else
			web_discard_on(c);
		return over && c->phase == &phase_web;
	}
	status = request_read(&web->request, c->in, c->in_len);
	if (status == REQUEST_MORE)
		return false;
	web_answer(c, status);
	return c->phase == &phase_web;
}

/* One answer at a time, and nothing more is read meanwhile: a client that pipelines without reading
 * makes nothing pile up, and gets all answers when it reads. */
static void web_continue(struct conn *c)
{
	while (c->phase == &phase_web && !conn_sending(c))
		if (!web_step(c))
			break;
	if (c->phase == &phase_web)
		c->held = conn_sending(c);
}

/* Keeps bytes and answers what is whole of them. False: no more is to be read. */
static bool web_take(struct conn *c, const uint8_t *data, size_t len)
{
	struct web *web = web_of(c);

	/* The first byte of a further request: from now on it is a head that is waited for. */
	if (c->in_len == 0 && !web->discarding && web->answered > 0)
		conn_set_deadline(c, c->worker->snap->config.limits.first_ms);
	if (!conn_keep(c, data, len, HEAD_ROOM)) {
		if (c->phase == &phase_web)
			worker_count(c->worker, REASON_HTTP_BAD);
		conn_finish(c);
		return false;
	}
	web_continue(c);
	return c->phase == &phase_web;
}

/* The peer has ended its direction: between two requests what was answered leaves. */
static void web_left(struct conn *c)
{
	if (c->in_len > 0 || web_of(c)->discarding)
		conn_close(c, REASON_OK);
	else
		conn_finish_quietly(c);
}

/* So much as nginx reads at once, before it looks at any of it. */
static size_t web_reads(const struct conn *c, const struct web *web)
{
	size_t room = web->request.buffer_end;

	return room > c->in_len ? room - c->in_len : 1;
}

/* got: bytes in the worker's plain that have been decrypted before. */
static void web_read_behind(struct conn *c, size_t got)
{
	struct worker *w = c->worker;
	enum tls_status status;
	size_t n, room;

	do {
		room = web_reads(c, web_of(c));
		if (room > PLAIN_BYTES)
			room = PLAIN_BYTES;
		status = TLS_OK;
		while (status == TLS_OK && got < room) {
			status = tls_read(c->tls, w->plain + got, PLAIN_BYTES - got, &n);
			if (status == TLS_OK)
				got += n;
		}
		/* BoringSSL has put an alert into the output, behind which nothing can be said:
		 * what came before it in one piece is not answered. */
		if (status == TLS_FAILED) {
			conn_finish_quietly(c);
			return;
		}
		if (got > 0 && !web_take(c, w->plain, got))
			return;
		got = 0;
	} while (status == TLS_OK);
	if (status != TLS_AGAIN)
		web_left(c);
}

static void web_read(struct conn *c)
{
	web_read_behind(c, 0);
}

static void web_input(struct conn *c, const uint8_t *data, size_t len)
{
	if (!c->tls)
		(void)!web_take(c, data, len);
	else if (conn_feed(c, data, len))
		web_read(c);
}

static void web_late(struct conn *c, uint64_t now_ms)
{
	struct web *web = web_of(c);

	worker_count(c->worker, web->answered == 0 ? REASON_DEADLINE_FIRST : REASON_DEADLINE_IDLE);
	/* In the middle of something it is simply over. */
	if (web->discarding || c->in_len > 0 || web->answered == 0)
		conn_close(c, REASON_OK);
	else
		conn_finish(c);
}

static const struct conn_state web_state = {.dispose = web_dispose};

const struct conn_phase phase_web = {
	.name = "web",
	.state = &web_state,
	.input = web_input,
	.deadline = web_late,
	.sent = web_continue,
	.drain = conn_finish,
	.answers = true,
};

static bool web_enter(struct conn *c)
{
	struct web *web = memory_zeroed(sizeof *web);

	if (!web) {
		conn_close(c, REASON_LIMIT_MEMORY);
		return false;
	}
	request_begin(&web->request);
	conn_set_phase(c, &phase_web);
	((struct web_state *)c->state)->web = web;
	return true;
}

struct web *web_hand_over(struct conn *c, const struct conn_phase *phase)
{
	struct web *web = web_of(c);

	((struct web_state *)c->state)->web = NULL;
	conn_set_phase(c, phase);
	return web;
}

/* As nginx, which asks a web site only when it has the body. */
void web_go_on(struct conn *c, struct web *web, enum site_gateway why)
{
	const struct request *r = &web->request;
	size_t used;
	bool over;

	conn_set_phase(c, &phase_web);
	((struct web_state *)c->state)->web = web;
	if (site_awaits_continue(r, c->in))
		web_say(c, SITE_CONTINUE, sizeof(SITE_CONTINUE) - 1);
	if (c->phase != &phase_web)
		return;
	used = web_begin_body(c, &over);
	conn_drop_kept(c, r->at + used);
	web->failing = web->discarding = true;
	web->failure = why;
	if (over)
		web_fail(c);
	else
		web_discard_on(c);
	if (c->phase != &phase_web)
		return;
	web_continue(c);
	/* What came along with the request. */
	if (c->phase == &phase_web)
		web_read(c);
	conn_read_on(c);
}

/* data: the beginning of the worker's plain */
static bool web_begin(struct conn *c, const uint8_t *data, size_t len)
{
	if (web_enter(c))
		web_read_behind(c, len);
	return true;
}

void web_begin_clear(struct conn *c, const uint8_t *data, size_t len)
{
	if (!web_enter(c))
		return;
	if (data == c->in)
		web_continue(c);
	else
		(void)!web_take(c, data, len);
}

const struct front_protocol protocol_web = {.name = "web", .inside = web_begin};
