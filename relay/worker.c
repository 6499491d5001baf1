/* SPDX-License-Identifier: Apache-2.0 */
/* worker: a thread's tables, its listeners, and the messages between threads. */
#include "relay/worker.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "relay/conn.h"
#include "relay/enforce.h"
#include "relay/pace.h"
#include "relay/session.h"

#define LARGE_BYTES	 (4u << 20)
#define ACCEPT_PAUSE_MS	 100u
#define TRIM_INTERVAL_MS 1000u
#define LISTEN_BACKLOG	 4096
#define HELLO_BYTES_MAX	 65536u /* the most that limits.client_hello_bytes can be */

void worker_count(struct worker *w, enum reason reason)
{
	if (reason != REASON_OK && (unsigned)reason < REASON_MAX)
		stat_add(&w->stats.refused[reason], 1);
}

void worker_close_fd(struct worker *w, int fd, bool reset)
{
	if (reset)
		ring_reset_fd(w->ring, fd);
	else
		ring_close_fd(w->ring, fd);
	atomic_fetch_sub_explicit(&w->relay->connections, 1, memory_order_relaxed);
}

/* ---- listeners ---- */

/* One socket per worker on the same address: the kernel spreads connections (SO_REUSEPORT). */
int worker_listen(const struct addr *address)
{
	const int on = 1;
	int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0 ||
	    bind(fd, &address->sa, address->len) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

static void listener_free(struct listener *l)
{
	struct listener **at = &l->worker->listeners;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	ring_timer_cancel(l->worker->ring, &l->retry);
	ring_close_fd(l->worker->ring, l->fd);
	free(l);
}

static void listener_accepted(struct ring_op *op, int res)
{
	struct listener *l = (struct listener *)op;

	if (res >= 0) {
		conn_accepted(l, res);
	} else if (l->closing) {
		listener_free(l);
	} else {
		worker_count(l->worker, REASON_LIMIT_CONNECTIONS);
		log_warning("relay", "cannot accept: %s; trying again in %u ms", strerror(-res),
			    ACCEPT_PAUSE_MS);
		ring_timer_set(l->worker->ring, &l->retry, ACCEPT_PAUSE_MS);
	}
}

/* Stops accepting and goes away. A sealed relay may not shut a listener down, only close it. */
static void listener_close(struct listener *l)
{
	l->closing = true;
	if (ring_op_busy(&l->op))
		ring_cancel(l->worker->ring, &l->op);
	else
		listener_free(l);
}

static void listener_start(struct listener *l)
{
	l->op.done = listener_accepted;
	ring_accept(l->worker->ring, &l->op, l->fd);
}

static void listener_retry(struct timer *t, uint64_t now_ms)
{
	struct listener *l = (struct listener *)((char *)t - offsetof(struct listener, retry));

	if (!ring_op_busy(&l->op) && !l->worker->draining)
		listener_start(l);
}

/* ---- the thread ---- */

static void worker_reap(struct timer *t, uint64_t now_ms)
{
	conn_reap((struct worker *)((char *)t - offsetof(struct worker, reaper)));
}

/* Gives large buffers back to the system that the last interval did not need. */
static void worker_trim(struct timer *t, uint64_t now_ms)
{
	struct worker *w = (struct worker *)((char *)t - offsetof(struct worker, trimmer));

	buffers_trim(&w->large, 1);
	ring_timer_set(w->ring, &w->trimmer, TRIM_INTERVAL_MS);
}

/* Takes fd over. NULL without memory: fd is closed. */
static struct listener *listener_new(struct worker *w, const struct relay_listen *conf, int fd)
{
	struct listener *l = calloc(1, sizeof *l);

	if (!l) {
		close(fd);
		return NULL;
	}
	l->worker = w;
	l->retry.fire = listener_retry;
	l->address = conf->address;
	l->proxy_protocol = conf->proxy_protocol;
	l->fd = fd;
	l->next = w->listeners;
	w->listeners = l;
	return l;
}

static int worker_open_listeners(struct worker *w)
{
	const struct relay_config *c = &w->snap->config;
	const struct relay_listen *listens = c->listen.items;

	for (size_t i = 0; i < c->listen.count; i++) {
		int fd = worker_listen(&listens[i].address);

		if (fd < 0) {
			char text[ADDR_TEXT_BYTES];
			addr_format(&listens[i].address, text);
			log_error("relay", "cannot listen on %s: %s", text, strerror(-fd));
			return fd;
		}
		if (!listener_new(w, &listens[i], fd))
			return -ENOMEM;
	}
	return 0;
}

/* Large, but so that each worker has at least two of them. */
static size_t large_bytes(size_t share)
{
	size_t each = share / 2 < LARGE_BYTES ? share / 2 : LARGE_BYTES;

	return each > FLOW_PRESSED_BYTES ? each : FLOW_PRESSED_BYTES;
}

int worker_init(struct worker *w, struct relay *r, unsigned index, struct snapshot *snap)
{
	const struct relay_limits *limits = &snap->config.limits;
	uint32_t rooms = r->table_rooms;
	size_t share = (size_t)(limits->buffer_bytes / r->worker_count);
	size_t large = large_bytes(share);

	w->relay = r;
	w->snap = snapshot_hold(snap);
	w->index = index;
	w->reaper.fire = worker_reap;
	w->trimmer.fire = worker_trim;
	w->policy_timer.fire = enforce_tick;
	w->pace_timer.fire = pace_look;
	splicer_open(&w->splicer);
	w->scratch = malloc(HELLO_BYTES_MAX);
	w->plain = malloc(PLAIN_BYTES);
	if (!w->scratch || !w->plain ||
	    slab_init(&w->conns, sizeof(struct conn), rooms, (uint8_t)index) < 0 ||
	    slab_init(&w->sessions, sizeof(struct session), rooms / 2 + 1, (uint8_t)index) < 0 ||
	    buffers_init(&w->large, large, share / large + 1) < 0)
		return -ENOMEM;
	return worker_open_listeners(w);
}

int worker_open_ring(struct worker *w, char *why, size_t why_size)
{
	const struct ring_options options = {.engine = (enum ring_engine)w->snap->config.engine};

	return ring_open(&w->ring, &options, why, why_size);
}

int worker_run(struct worker *w)
{
	for (struct listener *l = w->listeners; l; l = l->next)
		listener_start(l);
	ring_timer_set(w->ring, &w->trimmer, TRIM_INTERVAL_MS);
	return ring_run(w->ring);
}

void worker_free(struct worker *w)
{
	while (w->listeners) {
		struct listener *l = w->listeners;

		w->listeners = l->next;
		close(l->fd);
		free(l);
	}
	if (w->ring)
		ring_close(w->ring); /* nothing is in flight after this */
	for (uint32_t i = 0; i < w->conns.high_water; i++) {
		struct conn *c = slab_at(&w->conns, i);

		if (c && c->fd >= 0)
			close(c->fd);
		if (c)
			conn_dispose(c);
	}
	for (uint32_t i = 0; i < w->sessions.high_water; i++) {
		struct session *s = slab_at(&w->sessions, i);

		if (s)
			session_dispose(s);
	}
	splicer_close(&w->splicer);
	buffers_free(&w->large);
	slab_free(&w->conns);
	slab_free(&w->sessions);
	snapshot_release(w->snap);
	free(w->scratch);
	free(w->plain);
}

/* ---- messages ---- */

struct tell {
	struct ring_msg msg; /* first: the ring hands this back */
	struct relay *relay;
	slab_id conn;
	uint64_t session;
	enum reason reason;
	bool then_close;
	size_t len; /* of bytes: an encoded frame, or a text */
	uint8_t bytes[];
};

static struct tell *tell_new(struct relay *r, slab_id conn, size_t len)
{
	struct tell *t = calloc(1, sizeof *t + len);

	if (!t)
		return NULL;
	t->relay = r;
	t->conn = conn;
	t->len = len;
	return t;
}

static struct conn *tell_conn(const struct tell *t)
{
	return conn_find(worker_of(t->relay, t->conn), t->conn);
}

static void tell_send_run(struct ring_msg *msg)
{
	struct tell *t = (struct tell *)msg;
	struct conn *c = tell_conn(t);

	if (c) {
		conn_send_plain(c, t->bytes, t->len);
		if (t->then_close)
			conn_finish(c);
	}
	free(t);
}

void tell_send(struct relay *r, slab_id conn, const struct wire_message *m, bool then_close)
{
	uint8_t frame[WIRE_FRAME_MAX];
	size_t len = wire_encode(m, frame, sizeof frame);
	struct tell *t = len > 0 ? tell_new(r, conn, len) : NULL;

	if (!t)
		return;
	memcpy(t->bytes, frame, len);
	t->then_close = then_close;
	t->msg.run = tell_send_run;
	ring_post(worker_of(r, conn)->ring, &t->msg);
}

static void tell_failed_run(struct ring_msg *msg)
{
	struct tell *t = (struct tell *)msg;
	struct conn *c = tell_conn(t);

	if (c && c->meeting == t->session) {
		c->meeting = 0;
		if (c->phase == CONN_PUBLIC)
			public_failed(c, t->reason);
		else
			leg_failed(c, t->reason, (struct wire_bytes){t->bytes, t->len});
	}
	free(t);
}

void tell_failed(struct relay *r, slab_id asker, uint64_t session, enum reason reason,
		 struct wire_bytes text)
{
	struct tell *t = tell_new(r, asker, text.len);

	if (!t)
		return;
	t->session = session;
	t->reason = reason;
	if (text.len > 0)
		memcpy(t->bytes, text.data, text.len);
	t->msg.run = tell_failed_run;
	ring_post(worker_of(r, asker)->ring, &t->msg);
}

struct drain_msg {
	struct ring_msg msg; /* first: the ring hands this back */
	struct worker *worker;
	bool close_listeners;
};

static void drain_run(struct ring_msg *msg)
{
	struct worker *w = ((struct drain_msg *)msg)->worker;
	bool close_listeners = ((struct drain_msg *)msg)->close_listeners;

	free(msg);
	w->draining = true;
	for (struct listener *l = w->listeners, *next; l && close_listeners; l = next) {
		next = l->next;
		listener_close(l);
	}
	for (uint32_t i = 0; i < w->conns.high_water; i++) {
		struct conn *c = slab_at(&w->conns, i);

		if (!c || c->phase == CONN_DEAD)
			continue;
		if (c->phase == CONN_LINK)
			link_drain(c);
		else if (c->phase == CONN_LEG_IDLE)
			conn_bye(c, REASON_DRAINING);
		else if (c->phase == CONN_WEB || c->phase == CONN_FIRST)
			conn_finish(c);
	}
}

void tell_drain(struct worker *w, bool close_listeners)
{
	struct drain_msg *d = calloc(1, sizeof *d);

	if (!d)
		return;
	d->worker = w;
	d->close_listeners = close_listeners;
	d->msg.run = drain_run;
	ring_post(w->ring, &d->msg);
}

/* ---- another configuration ---- */

struct switch_msg {
	struct ring_msg msg; /* first: the ring hands this back */
	struct worker *worker;
	struct snapshot *snap;
	size_t count;
	int fds[];
};

static const struct relay_listen *listen_find(const struct relay_config *c,
					      const struct listener *l)
{
	const struct relay_listen *items = c->listen.items;

	for (size_t i = 0; i < c->listen.count; i++)
		if (addr_equal(&items[i].address, &l->address))
			return &items[i];
	return NULL;
}

static void switch_run(struct ring_msg *msg)
{
	struct switch_msg *m = (struct switch_msg *)msg;
	struct worker *w = m->worker;
	const struct relay_listen *items = m->snap->config.listen.items;

	for (struct listener *l = w->listeners, *next; l; l = next) {
		const struct relay_listen *conf = listen_find(&m->snap->config, l);

		next = l->next;
		if (conf)
			l->proxy_protocol = conf->proxy_protocol;
		else if (!l->closing)
			listener_close(l);
	}
	for (size_t i = 0; items && i < m->count; i++) {
		struct listener *l = m->fds[i] >= 0 ? listener_new(w, &items[i], m->fds[i]) : NULL;

		if (l)
			listener_start(l);
	}
	snapshot_release(w->snap);
	w->snap = m->snap;
	w->draining = w->relay->draining;
	free(m);
	enforce_policy(w);
	pace_adopt(w);
}

bool tell_switch(struct worker *w, struct snapshot *snap, const int *fds, size_t count)
{
	struct switch_msg *m = calloc(1, sizeof *m + count * sizeof *fds);

	if (!m)
		return false;
	m->worker = w;
	m->snap = snapshot_hold(snap);
	m->count = count;
	memcpy(m->fds, fds, count * sizeof *fds);
	m->msg.run = switch_run;
	ring_post(w->ring, &m->msg);
	return true;
}
