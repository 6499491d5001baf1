/* SPDX-License-Identifier: Apache-2.0 */
/* dial: a relay's address to a verified outer TLS connection, under one deadline. */
#include "agent/relays/dial.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/worker/connector.h"
#include "core/container.h"
#include "core/engine/browser.h"
#include "core/log.h"
#include "core/parse/http.h"

/* Of the time for all. */
#define DIAL_CONNECTING_PERCENT 80u

enum dial_stage { DIAL_CONNECTING, DIAL_PROXY, DIAL_HANDSHAKE, DIAL_OVER };

struct dial {
	struct agent_worker *worker;
	const struct agent_setup *setup;
	const struct agent_relay *relay;
	dial_done_fn *done;
	void *owner;
	enum dial_stage stage;
	struct connector *connector;
	struct ring_op recv, send;
	struct timer deadline;
	int fd;
	struct addr reached; /* the relay's address, or the proxy's */
	struct tls *tls;
	struct identity_peer proved; /* by the relay, once it is done */
	uint8_t *head; /* DIAL_PROXY: our request, then the proxy's reply; HTTP_HEAD_MAX */
	size_t head_len;
	char target[ENDPOINT_TEXT_BYTES], proxy[ENDPOINT_TEXT_BYTES];
	bool through_proxy;
};

/* ---- the end ---- */

static void dial_maybe_free(struct dial *d)
{
	struct agent_worker *w = d->worker;

	if (ring_op_busy(&d->recv) || ring_op_busy(&d->send))
		return;
	if (d->fd >= 0)
		ring_close_fd(w->ring, d->fd);
	tls_free(d->tls);
	free(d->head);
	free(d);
	agent_worker_drop(w);
}

/* Where there was a connection, and then no relay, the next dial tries others first. */
static void dial_note(struct dial *d, const char *error)
{
	const char *host = d->relay->address.host;

	if (d->through_proxy || d->stage != DIAL_HANDSHAKE || !d->done)
		return;
	if (error)
		shunned_add(&d->worker->shunned, host, &d->reached, ring_now_ms(d->worker->ring));
	else
		shunned_remove(&d->worker->shunned, host, &d->reached);
}

static void dial_finish(struct dial *d, const char *error)
{
	dial_done_fn *done = d->done;
	int fd = d->fd;
	struct tls *tls = d->tls;

	dial_note(d, error);
	d->stage = DIAL_OVER;
	d->done = NULL;
	ring_timer_cancel(d->worker->ring, &d->deadline);
	if (d->connector)
		connector_cancel(d->connector);
	d->connector = NULL;
	ring_cancel(d->worker->ring, &d->recv);
	ring_cancel(d->worker->ring, &d->send);
	if (done && !error) {
		d->fd = -1;
		d->tls = NULL;
		done(d->owner, fd, tls, &d->proved, d->through_proxy ? NULL : &d->reached, NULL);
	} else if (done) {
		done(d->owner, -1, NULL, NULL, NULL, error);
	}
	dial_maybe_free(d);
}

static void dial_fail(struct dial *d, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void dial_fail(struct dial *d, const char *format, ...)
{
	char sentence[768];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	dial_finish(d, sentence);
}

static void dial_deadline_fired(struct timer *t, uint64_t now_ms)
{
	struct dial *d = container(t, struct dial, deadline);
	unsigned long long s = d->setup->config->dial_ms / 1000;
	char at[ADDR_TEXT_BYTES];

	switch (d->stage) {
	case DIAL_PROXY:
		dial_fail(d,
			  "the proxy %s did not answer CONNECT within %llu s; check that it allows "
			  "%s",
			  d->proxy, s, d->target);
		break;
	case DIAL_HANDSHAKE:
		addr_format(&d->reached, at);
		dial_fail(
			d,
			"%s accepted the connection%s%s but did not finish a TLS handshake within "
			"%llu s; check that the address is that of a relay",
			d->target, d->through_proxy ? "" : " at ", d->through_proxy ? "" : at, s);
		break;
	default:
		/* The connector's own deadline is earlier. */
		dial_fail(d, "connection to %s: no answer within %llu s",
			  d->through_proxy ? d->proxy : d->target, s);
	}
}

/* ---- TLS ---- */

static const char *host_to_check(const struct dial *d)
{
	const char *name = d->relay->server_name;

	return name && *name ? name : d->relay->address.host;
}

static void dial_check_relay(struct dial *d)
{
	char why[384], at[ADDR_TEXT_BYTES];
	struct addr literal;

	addr_format(&d->reached, at);
	if (identity_check_relay(d->setup->self.identity, tls_ssl(d->tls), host_to_check(d),
				 d->relay->trust == AGENT_TRUST_SYSTEM, time(NULL), &d->proved, why,
				 sizeof(why)))
		dial_finish(d, NULL);
	else if (d->through_proxy || addr_from_literal(d->relay->address.host, 0, &literal))
		dial_fail(d, "%s", why);
	else
		dial_fail(d, "%s; it answered at %s", why, at);
}

/* One operation at a time: the output is stable while it is being sent. */
static void tls_step(struct dial *d)
{
	enum tls_status status = tls_handshake(d->tls);
	const uint8_t *out;
	size_t len;

	if (status != TLS_OK && status != TLS_AGAIN) {
		dial_fail(d, "TLS handshake with %s: %s", d->target,
			  status == TLS_FAILED
				  ? tls_error(d->tls)
				  : "the connection was closed; check that the address "
				    "is that of a relay");
		return;
	}
	out = tls_output(d->tls, &len);
	if (len > 0)
		ring_send(d->worker->ring, &d->send, d->fd, out, len);
	else if (status == TLS_AGAIN)
		ring_recv_pooled(d->worker->ring, &d->recv, d->fd);
	else
		dial_check_relay(d);
}

static void tls_begin(struct dial *d)
{
	const char *host = host_to_check(d);

	d->stage = DIAL_HANDSHAKE;
	d->tls = browser_tls(d->setup->self.dial_context, host);
	if (!d->tls) {
		dial_fail(d, "%s: out of memory, or \"%s\" is no host name", d->target, host);
		return;
	}
	tls_step(d);
}

/* ---- HTTP CONNECT ---- */

static void proxy_reply(struct dial *d)
{
	unsigned code;
	size_t used;

	switch (http_reply_parse(d->head, d->head_len, &code, &used)) {
	case HTTP_OK:
		break;
	case HTTP_SHORT:
		ring_recv(d->worker->ring, &d->recv, d->fd, d->head + d->head_len,
			  HTTP_HEAD_MAX - d->head_len);
		return;
	default:
		dial_fail(d, "the proxy %s did not answer as an HTTP proxy does; check proxy",
			  d->proxy);
		return;
	}
	if (code < 200 || code > 299) {
		dial_fail(d, "CONNECT to %s through %s: %s", d->target, d->proxy,
			  http_proxy_refusal(&d->setup->self.proxy, code));
		return;
	}
	if (used != d->head_len) {
		/* A TLS server never speaks first. */
		dial_fail(d, "the proxy %s sent more than its reply; check proxy", d->proxy);
		return;
	}
	free(d->head);
	d->head = NULL;
	tls_begin(d);
}

static void proxy_begin(struct dial *d)
{
	char now[ENDPOINT_TEXT_BYTES];
	size_t n;

	d->stage = DIAL_PROXY;
	/* Another proxy's password is not for this one. */
	endpoint_text(&d->setup->self.proxy.address, now);
	if (!d->setup->self.proxy.used || strcmp(now, d->proxy) != 0) {
		dial_fail(d, "the proxy was changed while %s was being dialled", d->proxy);
		return;
	}
	d->head = malloc(HTTP_HEAD_MAX);
	n = d->head ? http_proxy_connect(&d->setup->self.proxy, d->target, d->head) : 0;
	if (n == 0)
		dial_fail(d, "%s: the request to the proxy could not be made", d->target);
	else
		ring_send(d->worker->ring, &d->send, d->fd, d->head, n);
}

/* ---- operations ---- */

static void dial_sent(struct ring_op *op, int res)
{
	struct dial *d = container(op, struct dial, send);

	if (d->stage == DIAL_OVER) {
		dial_maybe_free(d);
	} else if (res < 0) {
		dial_fail(d, "connection to %s: %s", d->target, strerror(-res));
	} else if (d->stage == DIAL_PROXY) {
		ring_recv(d->worker->ring, &d->recv, d->fd, d->head, HTTP_HEAD_MAX);
	} else {
		tls_output_drop(d->tls, (size_t)res);
		tls_step(d);
	}
}

static void dial_tls_received(struct dial *d, int res)
{
	bool fed = true;

	if (res > 0) {
		fed = tls_feed(d->tls, d->recv.buf, (size_t)res);
		ring_buffer_put(d->worker->ring, d->recv.buf);
	} else {
		tls_feed_eof(d->tls);
	}
	if (fed)
		tls_step(d);
	else
		dial_fail(d, "%s: out of memory", d->target);
}

static void dial_received(struct ring_op *op, int res)
{
	struct dial *d = container(op, struct dial, recv);

	if (d->stage == DIAL_OVER) {
		/* Only the handshake receives into the ring's buffers. */
		if (res > 0 && d->tls)
			ring_buffer_put(d->worker->ring, op->buf);
		dial_maybe_free(d);
	} else if (res < 0) {
		dial_fail(d, "connection to %s: %s", d->target, strerror(-res));
	} else if (d->stage == DIAL_HANDSHAKE) {
		dial_tls_received(d, res);
	} else if (res == 0) {
		dial_fail(d, "the proxy %s closed the connection; check that it allows %s",
			  d->proxy, d->target);
	} else {
		d->head_len += (size_t)res;
		proxy_reply(d);
	}
}

/* What to do, where the error does not say it itself. */
static const char *dial_remedy(const struct dial *d, const struct connector_result *r)
{
	if (r->local)
		return "";
	if (r->name_failed)
		return d->through_proxy ? "; check the proxy's name and this host's DNS"
					: "; check the relay's name and this host's DNS";
	return d->through_proxy ? "; check that the proxy runs"
				: "; check that the relay runs and a firewall lets it pass";
}

static void dial_connected(void *owner, const struct connector_result *r)
{
	struct dial *d = owner;
	const char *to = d->through_proxy ? d->proxy : d->target;

	d->connector = NULL;
	if (r->fd < 0) {
		dial_fail(d, "connection to %s: %s%s", to, r->error, dial_remedy(d, r));
		return;
	}
	d->fd = r->fd;
	d->reached = r->reached;
	if (d->through_proxy)
		proxy_begin(d);
	else
		tls_begin(d);
}

struct dial *dial_start(struct agent_worker *w, const struct agent_setup *setup,
			const struct agent_relay *relay, const struct addr *at, dial_done_fn *done,
			void *owner)
{
	struct dial *d = calloc(1, sizeof(*d));
	struct endpoint to = relay->address;

	if (!d)
		return NULL;
	d->worker = w;
	d->setup = setup;
	d->relay = relay;
	d->done = done;
	d->owner = owner;
	d->fd = -1;
	d->recv.done = dial_received;
	d->send.done = dial_sent;
	d->deadline.fire = dial_deadline_fired;
	endpoint_text(&relay->address, d->target);
	d->through_proxy = http_proxy_applies(&setup->self.proxy, relay->address.host);
	if (d->through_proxy) {
		to = setup->self.proxy.address;
		endpoint_text(&to, d->proxy);
	} else if (at) {
		addr_format_host(at, to.host);
	}
	/* The rest is for the proxy and TLS. */
	d->connector = connector_start(
		w, &to, setup->config->dial_ms * DIAL_CONNECTING_PERCENT / 100, dial_connected, d);
	if (!d->connector) {
		free(d);
		return NULL;
	}
	/* Where the name leads to several relays, agents are to meet at one. */
	if (!d->through_proxy)
		connector_in_order(d->connector);
	agent_worker_hold(w);
	ring_timer_set(w->ring, &d->deadline, setup->config->dial_ms);
	return d;
}

void dial_cancel(struct dial *d)
{
	d->done = NULL;
	dial_finish(d, NULL);
}

/* ---- what is said first ---- */

bool dial_hello(const struct agent_setup *setup, struct tls *tls, uint8_t flags,
		uint8_t signature[WIRE_SIGNATURE_MAX], struct wire_message *m)
{
	const struct identity *identity = setup->self.identity;
	uint8_t exported[TLS_EXPORT_BYTES];
	struct wire_message hello = {
		.type = WIRE_HELLO,
		.hello.flags = flags,
		.hello.agent = wire_text(setup->config->name),
		.hello.software = wire_text("postern/" POSTERN_VERSION),
		.hello.signature.data = signature,
	};

	identity_certificate_der(identity, &hello.hello.certificate.data,
				 &hello.hello.certificate.len);
	if (!tls_export(tls, TLS_EXPORT_HELLO, exported) ||
	    !identity_sign(identity, IDENTITY_HELLO, exported, signature, WIRE_SIGNATURE_MAX,
			   &hello.hello.signature.len))
		return false;
	*m = hello;
	return true;
}
