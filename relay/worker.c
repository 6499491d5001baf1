/* SPDX-License-Identifier: Apache-2.0 */
/* worker: a thread's tables, its listeners, and the messages between threads. */
#include "relay/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/container.h"
#include "core/log.h"
#include "relay/front/conn.h"
#include "relay/control/enforce.h"
#include "relay/front/listener.h"
#include "relay/session/pace.h"
#include "relay/session/session.h"
#include "relay/front/udp.h"

#define LARGE_BYTES	 (4u << 20)
#define TRIM_INTERVAL_MS 1000u
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

/* ---- the thread ---- */

static void worker_reap(struct timer *t, uint64_t now_ms)
{
	conn_reap(container(t, struct worker, reaper));
}

/* Gives large buffers back to the system that the last interval did not need. */
static void worker_trim(struct timer *t, uint64_t now_ms)
{
	struct worker *w = container(t, struct worker, trimmer);

	buffers_trim(&w->large, 1);
	ring_timer_set(w->ring, &w->trimmer, TRIM_INTERVAL_MS);
}

/* 0 or -errno. */
static int door_open(const struct door *door, int *fd)
{
	if (door->kind == DOOR_UDP)
		return datagrams_open(&door->address, fd);
	*fd = listener_bind(&door->address);
	return *fd < 0 ? *fd : 0;
}

/* Takes fd over. False without memory. */
static bool worker_add_door(struct worker *w, const struct door *door, int fd)
{
	return door->kind == DOOR_UDP ? udp_add(w->udp, door, fd) : listener_add(w, door, fd);
}

static void worker_start_doors(struct worker *w)
{
	listener_start_all(w);
	udp_start(w->udp);
}

/* One socket per worker for each door: the kernel spreads what comes (SO_REUSEPORT). */
static int worker_open_doors(struct worker *w)
{
	const struct doors *doors = &w->snap->doors;

	for (size_t i = 0; i < doors->count; i++) {
		const struct door *door = &doors->items[i];
		char why[256];
		int fd = -1, error = door_open(door, &fd);

		if (error < 0) {
			door_complain(door, -error, why, sizeof why);
			log_error("relay", "%s", why);
			return error;
		}
		if (!worker_add_door(w, door, fd))
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
	w->udp = udp_new(w);
	stun_rules_make(&w->stun, &snap->config.stun, false);
	if (!w->scratch || !w->plain || !w->udp ||
	    slab_init(&w->conns, sizeof(struct conn), rooms, (uint8_t)index) < 0 ||
	    slab_init(&w->sessions, sizeof(struct session), rooms / 2 + 1, (uint8_t)index) < 0 ||
	    buffers_init(&w->large, large, share / large + 1) < 0)
		return -ENOMEM;
	return worker_open_doors(w);
}

int worker_open_ring(struct worker *w, char *why, size_t why_size)
{
	const struct ring_options options = {.engine = (enum ring_engine)w->snap->config.engine};

	return ring_open(&w->ring, &options, why, why_size);
}

void worker_begin(struct worker *w)
{
	worker_start_doors(w);
	ring_timer_set(w->ring, &w->trimmer, TRIM_INTERVAL_MS);
}

void worker_free(struct worker *w)
{
	if (w->ring)
		ring_close(w->ring); /* nothing is in flight after this */
	listener_free_all(w);
	udp_free(w->udp);
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
	stun_rules_make(&w->stun, &w->snap->config.stun, true);
	if (close_listeners)
		listener_close_all(w);
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

static void switch_run(struct ring_msg *msg)
{
	struct switch_msg *m = (struct switch_msg *)msg;
	struct worker *w = m->worker;
	const struct doors *doors = &m->snap->doors;

	listener_keep(w, doors);
	udp_keep(w->udp, doors);
	for (size_t i = 0; i < m->count; i++)
		if (m->fds[i] >= 0 && !worker_add_door(w, &doors->items[i], m->fds[i]))
			log_error("relay", "out of memory: %s is not served by this thread",
				  doors->items[i].key);
	worker_start_doors(w);
	snapshot_release(w->snap);
	w->snap = m->snap;
	w->draining = w->relay->draining;
	stun_rules_make(&w->stun, &w->snap->config.stun, w->draining);
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
