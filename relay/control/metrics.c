/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics: a small HTTP listener for Prometheus, on the control thread, off by default.
 *
 * One request per connection, a deadline, and few connections at a time: it serves a scraper, not
 * the world.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/acceptor.h"
#include "core/container.h"
#include "core/memory.h"
#include "core/parse/http.h"
#include "relay/control/control_internal.h"
#include "relay/control/metrics_text.h"

#define SCRAPE_MS 5000u

struct metrics {
	struct relay_control *control;
	struct acceptor acceptor;
	struct scrape *scrapes;
	size_t count;
};

struct scrape {
	struct ring_op rx, tx;
	struct metrics *metrics;
	struct scrape *next, *prev;
	struct timer deadline;
	int fd;
	uint8_t in[HTTP_HEAD_MAX];
	size_t in_len;
	char *out;
	bool closing;
};

#define SCRAPE_OF(ptr, member) container(ptr, struct scrape, member)

static void scrape_end(struct scrape *s)
{
	struct metrics *m = s->metrics;
	struct ring *ring = m->control->ring;

	s->closing = true;
	ring_timer_cancel(ring, &s->deadline);
	ring_cancel(ring, &s->rx);
	ring_cancel(ring, &s->tx);
	if (ring_op_busy(&s->rx) || ring_op_busy(&s->tx))
		return;
	ring_close_fd(ring, s->fd);
	if (s->prev)
		s->prev->next = s->next;
	else
		m->scrapes = s->next;
	if (s->next)
		s->next->prev = s->prev;
	m->count--;
	memory_free(s->out);
	memory_free(s);
}

static uint64_t front_expires(const struct snapshot *s)
{
	return s->front_certificate
		       ? (uint64_t)front_certificate_validity(s->front_certificate).not_after
		       : 0;
}

static char *page(struct relay_control *ctl, size_t *len)
{
	struct relay_totals t = relay_totals(ctl->relay);
	struct metrics_stun stun[STUN_SERIES];
	struct metrics_place places[LEDGER_CLASSES];
	struct metrics_values v = {
		.version = POSTERN_VERSION,
		.revision = changes_revision(ctl->managed.configuring.changes),
		.certificate_expires = (uint64_t)identity_not_after(ctl->current->identity),
		.front_expires = front_expires(ctl->current),
		.draining = ctl->relay->draining,
		.nat_connected = ctl->nat.view.connected,
		.memory_bytes = ctl->relay->memory.used > 0 ? (uint64_t)ctl->relay->memory.used : 0,
		.memory_limit_bytes = ctl->relay->memory.most,
		.connections = t.connections,
		.connection_limit = ctl->relay->connection_limit,
		.sessions = t.sessions,
		.sessions_total = t.sessions_total,
		.accepted = t.accepted,
		.handshakes = t.handshakes,
		.bytes = t.bytes,
		.refused = t.refused,
		.stun = stun,
		.stun_count = STUN_SERIES,
		.places = places,
		.place_count = LEDGER_CLASSES,
		.tables = t.tables,
	};

	for (unsigned i = 0; i < LEDGER_CLASSES; i++)
		places[i] = (struct metrics_place){
			.class = ledger_class_name((enum ledger_class)i),
			.used = t.ledger.used[i],
			.most = t.ledger.places[i],
		};

	for (unsigned i = 0; i < STUN_SERIES; i++)
		stun[i] = (struct metrics_stun){
			.over = stun_way_name((enum stun_way)(i / STUN_COUNTS)),
			.result = stun_count_name(i % STUN_COUNTS),
			.count = t.stun[i / STUN_COUNTS][i % STUN_COUNTS],
		};
	return metrics_text(&v, len);
}

static void scrape_answer(struct scrape *s, const char *status, const char *body, size_t body_len)
{
	size_t room = body_len + 256;
	int head;

	s->out = memory_get(room);
	if (!s->out) {
		scrape_end(s);
		return;
	}
	head = snprintf(s->out, room,
			"HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
			"Content-Length: %zu\r\nConnection: close\r\n\r\n",
			status, body_len);
	memcpy(s->out + head, body, body_len);
	ring_send(s->metrics->control->ring, &s->tx, s->fd, s->out, (size_t)head + body_len);
}

static void scrape_request(struct scrape *s, const struct http_request *request)
{
	static const char lost[] = "only /metrics is here\n";
	size_t len = 0;
	char *text;

	if (strcmp(request->method, "GET") != 0 || strcmp(request->path, "/metrics") != 0) {
		scrape_answer(s, "404 Not Found", lost, sizeof lost - 1);
		return;
	}
	text = page(s->metrics->control, &len);
	if (text)
		scrape_answer(s, "200 OK", text, len);
	else
		scrape_end(s);
	free(text); /* the C library's */
}

static void scrape_received(struct ring_op *op, int res)
{
	struct scrape *s = SCRAPE_OF(op, rx);
	struct http_request request;
	size_t used;

	if (res <= 0 || s->closing) {
		scrape_end(s);
		return;
	}
	s->in_len += (size_t)res;
	switch (http_request_parse(s->in, s->in_len, &request, &used)) {
	case HTTP_OK:
		scrape_request(s, &request);
		break;
	case HTTP_SHORT:
		if (s->in_len < sizeof s->in) {
			ring_recv(s->metrics->control->ring, &s->rx, s->fd, s->in + s->in_len,
				  sizeof s->in - s->in_len);
			break;
		}
		scrape_end(s);
		break;
	default:
		scrape_answer(s, "400 Bad Request", "", 0);
		break;
	}
}

static void scrape_sent(struct ring_op *op, int res)
{
	scrape_end(SCRAPE_OF(op, tx));
}

static void scrape_late(struct timer *t, uint64_t now_ms)
{
	scrape_end(SCRAPE_OF(t, deadline));
}

/* #syscalls-rare sendto(4 is 0, 3 without MSG_FASTOPEN); there are too many already */
static bool metrics_turn_away(struct acceptor *a, int fd)
{
	static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
				   "Retry-After: 1\r\nConnection: close\r\n\r\n";

	(void)!send(fd, busy, sizeof busy - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	return true;
}

static void metrics_accepted(struct acceptor *a, int fd)
{
	struct metrics *m = container(a, struct metrics, acceptor);
	struct ring *ring = m->control->ring;
	struct scrape *s = NULL;

	if (m->count < SCRAPERS_MAX)
		s = memory_zeroed(sizeof *s);
	if (!s) {
		(void)metrics_turn_away(a, fd);
		ring_close_fd(ring, fd);
		return;
	}
	s->metrics = m;
	s->fd = fd;
	s->rx.done = scrape_received;
	s->tx.done = scrape_sent;
	s->deadline.fire = scrape_late;
	s->next = m->scrapes;
	if (s->next)
		s->next->prev = s;
	m->scrapes = s;
	m->count++;
	ring_timer_set(ring, &s->deadline, SCRAPE_MS);
	ring_recv(ring, &s->rx, s->fd, s->in, sizeof s->in);
}

int metrics_start(struct relay_control *ctl, int listener)
{
	struct metrics *m = memory_zeroed(sizeof *m);

	if (!m)
		return -ENOMEM;
	m->control = ctl;
	m->acceptor = (struct acceptor){
		.name = "metrics", .accepted = metrics_accepted, .dropping = metrics_turn_away};
	acceptor_init(&m->acceptor, listener);
	ctl->metrics = m;
	acceptor_start(&m->acceptor, ctl->ring);
	return 0;
}

void metrics_stop(struct relay_control *ctl)
{
	struct metrics *m = ctl->metrics;

	if (!m)
		return;
	while (m->scrapes) { /* the ring is closed: nothing is in flight */
		struct scrape *s = m->scrapes;

		m->scrapes = s->next;
		close(s->fd);
		memory_free(s->out);
		memory_free(s);
	}
	acceptor_free(&m->acceptor);
	memory_free(m);
	ctl->metrics = NULL;
}
