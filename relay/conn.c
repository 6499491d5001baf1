/* SPDX-License-Identifier: Apache-2.0 */
/* conn: the life of one accepted connection: reading, sending, closing. */
#include "relay/conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/log.h"
#include "relay/control.h"
#include "relay/listener.h"
#include "relay/session.h"

#define CLOSE_LINGER_MS	  2000u	  /* for the peer to read our last bytes */
#define OUTPUT_MAX	  262144u /* a peer that lets more control bytes pile up is cut */
#define KEEPALIVE_IDLE_S  60
#define KEEPALIVE_EVERY_S 15
#define KEEPALIVE_COUNT	  4

const char *const conn_phase_names[CONN_PHASES] = {
	[CONN_PROXY] = "proxy",	      [CONN_HELLO] = "hello",
	[CONN_STUN] = "stun",	      [CONN_HANDSHAKE] = "handshake",
	[CONN_FIRST] = "first",	      [CONN_WEB] = "web",
	[CONN_LINK] = "link",	      [CONN_CONSOLE] = "console",
	[CONN_LEG_IDLE] = "leg-idle", [CONN_LEG_OPENING] = "leg-opening",
	[CONN_PUBLIC] = "public",     [CONN_CUTTING] = "cutting",
	[CONN_CLOSING] = "closing",   [CONN_DEAD] = "dead",
};

static ring_done_fn conn_received, conn_sent;
static void conn_deadline(struct timer *t, uint64_t now_ms);

static struct ring *conn_ring(const struct conn *c)
{
	return c->worker->ring;
}

void conn_set_phase(struct conn *c, enum conn_phase phase)
{
	log_debug("conn", "%s -> %s conn=%016llx", conn_phase_names[c->phase],
		  conn_phase_names[phase], (unsigned long long)c->id);
	c->phase = phase;
}

void conn_set_deadline(struct conn *c, uint64_t after_ms)
{
	ring_timer_set(conn_ring(c), &c->deadline, after_ms);
}

struct conn *conn_find(struct worker *w, slab_id id)
{
	struct conn *c = slab_find(&w->conns, id);

	return c && c->phase != CONN_DEAD ? c : NULL;
}

static bool phase_reads(enum conn_phase phase)
{
	switch (phase) {
	case CONN_LEG_OPENING:
	case CONN_PUBLIC:
	case CONN_CUTTING:
	case CONN_DEAD:
		return false;
	default:
		return true;
	}
}

void conn_read_on(struct conn *c)
{
	if (!phase_reads(c->phase) || c->read_done || ring_op_busy(&c->rx))
		return;
	ring_recv_pooled(conn_ring(c), &c->rx, c->fd);
}

/* ---- beginning ---- */

static void socket_tune(int fd)
{
	const int on = 1, idle = KEEPALIVE_IDLE_S, every = KEEPALIVE_EVERY_S,
		  count = KEEPALIVE_COUNT;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

static struct conn *conn_new(struct worker *w, int fd)
{
	slab_id id;
	struct conn *c = slab_get(&w->conns, &id);

	if (!c)
		return NULL;
	c->worker = w;
	c->id = id;
	c->fd = fd;
	c->rx.done = conn_received;
	c->tx.done = conn_sent;
	c->deadline.fire = conn_deadline;
	c->peer.len = sizeof c->peer.v6;
	c->local.len = sizeof c->local.v6;
	if (getpeername(fd, &c->peer.sa, &c->peer.len) < 0)
		c->peer.len = 0;
	if (getsockname(fd, &c->local.sa, &c->local.len) < 0)
		c->local.len = 0;
	addr_unmap(&c->peer);
	addr_unmap(&c->local);
	return c;
}

/* Sources are counted by the address that is accountable: behind a proxy, the one it reports. */
static bool conn_count_source(struct conn *c)
{
	struct relay *r = c->worker->relay;

	c->source = addr_source_key(&c->peer);
	relay_lock(r);
	c->counted = sources_enter(r->sources, c->source);
	relay_unlock(r);
	return c->counted;
}

static void conn_uncount_source(struct conn *c)
{
	struct relay *r = c->worker->relay;

	if (!c->counted)
		return;
	c->counted = false;
	relay_lock(r);
	sources_leave(r->sources, c->source);
	relay_unlock(r);
}

void conn_accepted(struct listener *l, int fd)
{
	struct worker *w = l->worker;
	struct relay *r = w->relay;
	struct conn *c = NULL;

	stat_add(&w->stats.accepted, 1);
	if (atomic_load_explicit(&r->connections, memory_order_relaxed) < r->connection_limit)
		c = conn_new(w, fd);
	if (!c) {
		worker_count(w, REASON_LIMIT_CONNECTIONS);
		ring_close_fd(w->ring, fd);
		return;
	}
	atomic_fetch_add_explicit(&r->connections, 1, memory_order_relaxed);
	socket_tune(fd);
	c->phase = l->proxy_protocol ? CONN_PROXY : CONN_HELLO;
	if (c->phase == CONN_HELLO && !conn_count_source(c)) {
		conn_close(c, REASON_LIMIT_SOURCE);
		return;
	}
	conn_set_deadline(c, w->snap->config.limits.hello_ms);
	if (l->stun_only)
		stun_stream_begin(c, NULL, 0);
	conn_read_on(c);
}

struct conn *conn_adopt(struct worker *w, int fd, struct tls *tls, enum conn_phase phase)
{
	struct conn *c = conn_new(w, fd);

	if (!c)
		return NULL;
	c->tls = tls;
	c->phase = phase;
	return c;
}

bool conn_proxied_source(struct conn *c, const struct addr *source, const struct addr *destination)
{
	if (source) {
		c->peer = *source;
		c->local = *destination;
		addr_unmap(&c->peer);
	}
	return conn_count_source(c);
}

void conn_authenticated(struct conn *c)
{
	conn_uncount_source(c);
}

bool conn_set_label(struct conn *c, const char *label)
{
	char *copy = strdup(label);

	if (!copy)
		return false;
	free(c->label);
	c->label = copy;
	return true;
}

/* ---- bytes kept between receives ---- */

bool conn_keep(struct conn *c, const uint8_t *data, size_t len, size_t limit)
{
	if (len > limit || c->in_len > limit - len)
		return false;
	if (c->in_len + len > c->in_room) {
		size_t room = c->in_len + len;
		uint8_t *in = realloc(c->in, room);

		if (!in)
			return false;
		c->in = in;
		c->in_room = room;
	}
	memcpy(c->in + c->in_len, data, len);
	c->in_len += len;
	return true;
}

void conn_drop_kept(struct conn *c, size_t n)
{
	c->in_len -= n;
	if (c->in_len > 0) {
		memmove(c->in, c->in + n, c->in_len);
		return;
	}
	free(c->in);
	c->in = NULL;
	c->in_room = 0;
}

/* ---- receiving ---- */

static void conn_input(struct conn *c, const uint8_t *data, size_t len)
{
	switch (c->phase) {
	case CONN_PROXY:
	case CONN_HELLO:
	case CONN_HANDSHAKE:
	case CONN_FIRST:
		front_input(c, data, len);
		break;
	case CONN_STUN:
		stun_stream_input(c, data, len);
		break;
	case CONN_WEB:
		web_input(c, data, len);
		break;
	case CONN_LINK:
		link_input(c, data, len);
		break;
	case CONN_CONSOLE:
		console_input(c, data, len);
		break;
	case CONN_LEG_IDLE:
		leg_input(c, data, len);
		break;
	default: /* CLOSING reads only to see the end */
		break;
	}
}

static void conn_ended_by_peer(struct conn *c, int res)
{
	enum reason reason = REASON_OK;

	c->read_done = true;
	if (c->phase == CONN_CLOSING && ring_op_busy(&c->tx) && res == 0)
		return; /* half-closed: let our last bytes leave */
	if ((c->phase == CONN_WEB || c->phase == CONN_STUN) && conn_sending(c) && res == 0) {
		conn_finish(c); /* asked, and closed its side: the answer is still on its way */
		return;
	}
	if (c->phase == CONN_PROXY || c->phase == CONN_HELLO || c->phase == CONN_HANDSHAKE)
		reason = REASON_GONE_EARLY;
	conn_close(c, reason);
}

static void conn_received(struct ring_op *op, int res)
{
	struct conn *c = (struct conn *)((char *)op - offsetof(struct conn, rx));

	if (res > 0) {
		uint8_t *buf = op->buf;

		if (c->phase != CONN_DEAD)
			conn_input(c, buf, (size_t)res);
		ring_buffer_put(conn_ring(c), buf);
		if (c->phase == CONN_DEAD)
			conn_close(c, REASON_OK);
		else
			conn_read_on(c);
		return;
	}
	if (c->phase == CONN_DEAD)
		conn_close(c, REASON_OK);
	else if (res == -ECANCELED)
		conn_read_on(c);
	else
		conn_ended_by_peer(c, res);
}

/* ---- sending ---- */

bool conn_sending(const struct conn *c)
{
	size_t waiting = 0;

	if (c->tls)
		tls_output(c->tls, &waiting);
	return ring_op_busy(&c->tx) || waiting > 0;
}

void conn_flush(struct conn *c)
{
	size_t len = 0;
	const uint8_t *out;

	if (c->phase == CONN_DEAD || ring_op_busy(&c->tx) || !c->tls)
		return;
	out = tls_output(c->tls, &len);
	if (len == 0)
		return;
	if (len > (c->phase == CONN_CONSOLE ? CALLER_OUTPUT_MAX : OUTPUT_MAX)) {
		conn_close(c, REASON_DEADLINE_IDLE);
		return;
	}
	c->tx_data = malloc(len);
	if (!c->tx_data) {
		conn_close(c, REASON_LIMIT_MEMORY);
		return;
	}
	memcpy(c->tx_data, out, len);
	tls_output_drop(c->tls, len);
	ring_send(conn_ring(c), &c->tx, c->fd, c->tx_data, len);
}

static void conn_shutdown_write(struct conn *c)
{
	shutdown(c->fd, SHUT_WR);
	if (c->read_done)
		conn_close(c, REASON_OK);
	else
		conn_set_deadline(c, CLOSE_LINGER_MS);
}

static void conn_sent(struct ring_op *op, int res)
{
	struct conn *c = (struct conn *)((char *)op - offsetof(struct conn, tx));

	free(c->tx_data);
	c->tx_data = NULL;
	if (c->phase == CONN_DEAD || res < 0) {
		conn_close(c, REASON_OK);
		return;
	}
	conn_flush(c);
	if (conn_sending(c) || c->phase == CONN_DEAD)
		return;
	if (c->phase == CONN_CLOSING)
		conn_shutdown_write(c);
	else if (c->phase == CONN_CUTTING)
		leg_flushed(c);
	else if (c->phase == CONN_WEB)
		web_continue(c);
	else if (c->phase == CONN_STUN)
		stun_stream_continue(c);
}

void conn_send_raw(struct conn *c, const void *data, size_t len)
{
	if (c->phase >= CONN_CLOSING || c->tls || ring_op_busy(&c->tx))
		return;
	c->tx_data = malloc(len);
	if (!c->tx_data) {
		conn_close(c, REASON_LIMIT_MEMORY);
		return;
	}
	memcpy(c->tx_data, data, len);
	ring_send(conn_ring(c), &c->tx, c->fd, c->tx_data, len);
}

void conn_send_plain(struct conn *c, const void *data, size_t len)
{
	if (c->phase >= CONN_CLOSING || !c->tls)
		return;
	if (tls_write(c->tls, data, len) != TLS_OK) {
		conn_close(c, REASON_LIMIT_MEMORY);
		return;
	}
	conn_flush(c);
}

void conn_send_message(struct conn *c, const struct wire_message *m)
{
	uint8_t frame[WIRE_FRAME_MAX];
	size_t len = wire_encode(m, frame, sizeof frame);

	if (len > 0)
		conn_send_plain(c, frame, len);
}

void conn_drop_tls(struct relay *r, struct tls *tls)
{
	if (!tls)
		return;
	tls_free(tls);
	atomic_fetch_sub_explicit(&r->tls_states, 1, memory_order_relaxed);
}

void conn_start_tls(struct conn *c, const uint8_t *data, size_t len)
{
	struct relay *r = c->worker->relay;

	if (atomic_fetch_add_explicit(&r->tls_states, 1, memory_order_relaxed) < r->tls_limit)
		c->tls = tls_new(c->worker->snap->front, true);
	if (!c->tls)
		atomic_fetch_sub_explicit(&r->tls_states, 1, memory_order_relaxed);
	if (!c->tls || !tls_feed(c->tls, data, len)) {
		conn_close(c, REASON_LIMIT_MEMORY);
		return;
	}
	conn_set_phase(c, CONN_HANDSHAKE);
	conn_set_deadline(c, c->worker->snap->config.limits.handshake_ms);
}

/* ---- ending ---- */

static void conn_deadline(struct timer *t, uint64_t now_ms)
{
	struct conn *c = (struct conn *)((char *)t - offsetof(struct conn, deadline));

	switch (c->phase) {
	case CONN_PROXY:
	case CONN_HELLO:
		conn_close(c, REASON_DEADLINE_HELLO);
		break;
	case CONN_HANDSHAKE:
		conn_close(c, REASON_DEADLINE_HANDSHAKE);
		break;
	case CONN_FIRST:
		worker_count(c->worker, REASON_DEADLINE_FIRST);
		conn_finish(c);
		break;
	case CONN_WEB:
	case CONN_STUN:
		worker_count(c->worker, REASON_DEADLINE_IDLE);
		conn_finish(c);
		break;
	case CONN_LINK:
		link_deadline(c, now_ms);
		break;
	case CONN_LEG_IDLE:
		leg_deadline(c);
		break;
	case CONN_LEG_OPENING:
		leg_failed(c, REASON_TIMEOUT, (struct wire_bytes){0});
		break;
	case CONN_PUBLIC:
		public_failed(c, REASON_TIMEOUT);
		break;
	case CONN_CUTTING:
		conn_close(c, REASON_TIMEOUT);
		break;
	default:
		conn_close(c, REASON_OK);
		break;
	}
}

void conn_bye(struct conn *c, enum reason reason)
{
	struct wire_message m = {.type = WIRE_BYE};

	m.bye.reason = (uint16_t)reason;
	m.bye.text = wire_text(reason_sentence(reason));
	conn_send_message(c, &m);
	conn_finish(c);
}

void conn_refuse(struct conn *c, enum reason reason)
{
	if (c->phase == CONN_DEAD)
		return;
	worker_count(c->worker, reason);
	log_debug("conn", "refused reason=%s: %s", reason_name(reason), reason_sentence(reason));
	conn_bye(c, reason);
}

/* What the connection stands for in the tables ends before its last bytes leave. */
static void conn_leave_tables(struct conn *c)
{
	conn_uncount_source(c);
	link_closed(c);
	console_closed(c);
	leg_closed(c);
}

void conn_finish(struct conn *c)
{
	if (c->phase >= CONN_CLOSING)
		return;
	conn_leave_tables(c);
	conn_set_phase(c, CONN_CLOSING);
	if (c->tls)
		tls_close_write(c->tls);
	conn_set_deadline(c, CLOSE_LINGER_MS);
	conn_flush(c);
	if (c->phase == CONN_CLOSING && !conn_sending(c))
		conn_shutdown_write(c);
	if (c->phase == CONN_CLOSING)
		conn_read_on(c);
}

static void conn_schedule_reaping(struct conn *c)
{
	struct worker *w = c->worker;

	if (c->reapable || ring_op_busy(&c->rx) || ring_op_busy(&c->tx))
		return;
	c->reapable = true;
	c->next_reapable = w->reapable;
	w->reapable = c;
	if (!timer_pending(&w->reaper))
		ring_timer_set(w->ring, &w->reaper, 0);
}

void conn_close(struct conn *c, enum reason reason)
{
	if (c->phase != CONN_DEAD) {
		struct session *s = c->phase == CONN_CUTTING ? c->session : NULL;

		worker_count(c->worker, reason);
		conn_leave_tables(c);
		conn_set_phase(c, CONN_DEAD);
		c->session = NULL;
		ring_timer_cancel(conn_ring(c), &c->deadline);
		ring_cancel(conn_ring(c), &c->rx);
		ring_cancel(conn_ring(c), &c->tx);
		if (s)
			session_abort(s, reason_name(reason));
	}
	conn_schedule_reaping(c);
}

int conn_release_fd(struct conn *c)
{
	int fd = c->fd;

	c->fd = -1;
	conn_close(c, REASON_OK);
	return fd;
}

void conn_dispose(struct conn *c)
{
	conn_drop_tls(c->worker->relay, c->tls);
	free(c->in);
	free(c->tx_data);
	free(c->label);
	free(c->handover);
}

void conn_reap(struct worker *w)
{
	while (w->reapable) {
		struct conn *c = w->reapable;

		w->reapable = c->next_reapable;
		if (c->fd >= 0)
			worker_close_fd(w, c->fd, false);
		conn_dispose(c);
		slab_put(&w->conns, c->id);
	}
}
