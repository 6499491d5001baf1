/* SPDX-License-Identifier: Apache-2.0 */
/* worker: a thread's connections and sockets, and what the control thread tells them all. */
#include "relay/front/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/container.h"
#include "core/memory.h"
#include "core/listening.h"
#include "core/log.h"
#include "relay/front/charge.h"
#include "relay/front/conn.h"
#include "relay/front/listener.h"
#include "relay/front/signing.h"
#include "relay/front/udp.h"

#define HELLO_BYTES_MAX 65536u /* the most that limits.client_hello_bytes can be */

void worker_count(struct worker *w, enum reason reason)
{
	if (reason != REASON_OK && (unsigned)reason < REASON_MAX)
		stat_add(&w->stats.refused[reason], 1);
}

void worker_close_fd(struct worker *w, int fd, uint32_t place, bool reset)
{
	if (reset)
		ring_reset_fd(w->ring, fd);
	else
		ring_close_fd(w->ring, fd);
	charge_leave(w->relay, place);
}

struct relay_totals relay_totals(struct relay *r)
{
	struct relay_totals t = {0};

	for (unsigned i = 0; i < r->worker_count; i++) {
		struct worker_stats *s = &r->workers[i].stats;

		t.accepted += atomic_load_explicit(&s->accepted, memory_order_relaxed);
		t.handshakes += atomic_load_explicit(&s->handshakes, memory_order_relaxed);
		t.sessions += atomic_load_explicit(&s->sessions, memory_order_relaxed);
		t.sessions_total += atomic_load_explicit(&s->sessions_total, memory_order_relaxed);
		t.bytes += atomic_load_explicit(&s->bytes, memory_order_relaxed);
		for (unsigned n = 0; n < STUN_SERIES; n++)
			t.stun[n / STUN_COUNTS][n % STUN_COUNTS] += atomic_load_explicit(
				&s->stun[n / STUN_COUNTS][n % STUN_COUNTS], memory_order_relaxed);
		for (unsigned code = 0; code < REASON_MAX; code++)
			t.refused[code] +=
				atomic_load_explicit(&s->refused[code], memory_order_relaxed);
	}
	pthread_mutex_lock(&r->ledger_lock);
	t.ledger = ledger_used(r->ledger);
	t.connections = t.ledger.connections;
	pthread_mutex_unlock(&r->ledger_lock);
	relay_lock(r);
	t.tables = rendezvous_count(r->rendezvous);
	relay_unlock(r);
	return t;
}

/* ---- beginning and end ---- */

static void worker_reap(struct timer *t, uint64_t now_ms)
{
	conn_reap(container(t, struct worker, reaper));
}

/* What is made here from a configuration. */
static void worker_adopt(struct worker *w)
{
	const struct relay_config *config = &w->snap->config;

	site_init(&w->site, config->site.server, config->site.page, config->site.healthz,
		  w->snap->seed);
	stun_rules_make(&w->stun, &w->snap->config.stun, w->draining);
}

/* Takes fd over. False without memory. */
static bool worker_add_socket(struct worker *w, const struct bind_address *at, int fd)
{
	return at->kind == BIND_UDP ? udp_add(w->udp, at, fd) : listener_add(w, at, fd);
}

/* One socket per worker for each address: the kernel spreads what comes (SO_REUSEPORT). */
static int worker_bind_all(struct worker *w, char *why, size_t why_size)
{
	const struct bind_list *list = &w->snap->binds;
	bool *missing = w->relay->missing;

	for (size_t i = 0; i < list->count; i++) {
		const struct bind_address *at = &list->items[i];
		int fd = -1, error = 0;

		if (missing[i]) /* to the worker before this one */
			continue;
		if (at->kind == BIND_UDP)
			error = datagrams_open(&at->address, &fd);
		else
			fd = listening_open(&at->address, true);
		if (error == 0 && fd < 0)
			error = fd;
		if (error < 0) {
			if (!at->optional) {
				bind_complain(at, -error, why, why_size);
				return error;
			}
			bind_go_without(at, -error);
			missing[i] = true;
			continue;
		}
		if (!worker_add_socket(w, at, fd))
			return -ENOMEM;
	}
	return 0;
}

int worker_open(struct worker *w, struct relay *r, unsigned index, struct snapshot *snap, char *why,
		size_t why_size)
{
	w->relay = r;
	w->snap = snapshot_hold(snap);
	w->index = index;
	w->reaper.fire = worker_reap;
	w->crowded.run = charge_drop_run;
	w->scratch = memory_get(HELLO_BYTES_MAX);
	w->plain = memory_get(PLAIN_BYTES);
	w->udp = udp_new(w);
	if (!w->scratch || !w->plain || !w->udp ||
	    slab_init(&w->conns, sizeof(struct conn), (uint32_t)r->descriptors, (uint8_t)index) < 0)
		return -ENOMEM;
	worker_adopt(w);
	return worker_bind_all(w, why, why_size);
}

void worker_start(struct worker *w)
{
	listener_start_all(w);
	udp_start(w->udp);
	signing_start(w);
}

void worker_close(struct worker *w)
{
	listener_free_all(w);
	udp_free(w->udp);
	signing_close(w);
	for (uint32_t i = 0; i < w->conns.high_water; i++) {
		struct conn *c = slab_at(&w->conns, i);

		if (c && c->fd >= 0)
			close(c->fd);
		if (c)
			conn_dispose(c);
	}
	slab_free(&w->conns);
	snapshot_release(w->snap);
	memory_free(w->scratch);
	memory_free(w->plain);
}

/* ---- from the control thread ---- */

#define DRAIN_ASKED  1u
#define DRAIN_CLOSES 2u

static void worker_drain_run(struct ring_msg *msg)
{
	struct worker *w = container(msg, struct worker, drain_msg);
	unsigned wanted = atomic_exchange(&w->drain_wanted, 0);

	w->draining = true;
	worker_adopt(w);
	if (wanted & DRAIN_CLOSES)
		listener_close_all(w);
	for (uint32_t i = 0; i < w->conns.high_water; i++) {
		struct conn *c = slab_at(&w->conns, i);

		if (c && c->phase->drain)
			c->phase->drain(c);
	}
}

void worker_drain(struct worker *w, bool close_listeners)
{
	unsigned wanted = DRAIN_ASKED | (close_listeners ? DRAIN_CLOSES : 0);

	/* The message is the worker's own: a relay that has no memory drains, too. */
	if (atomic_fetch_or(&w->drain_wanted, wanted))
		return;
	w->drain_msg.run = worker_drain_run;
	ring_post(w->ring, &w->drain_msg);
}

struct worker_switch {
	struct ring_msg msg; /* first: the ring hands this back */
	struct worker *worker;
	struct snapshot *snap;
	size_t count;
	int fds[];
};

static void worker_switch_run(struct ring_msg *msg)
{
	struct worker_switch *m = (struct worker_switch *)msg;
	struct worker *w = m->worker;
	const struct bind_list *list = &m->snap->binds;

	listener_keep(w, list);
	udp_keep(w->udp, list);
	for (size_t i = 0; i < m->count; i++)
		if (m->fds[i] >= 0 && !worker_add_socket(w, &list->items[i], m->fds[i]))
			log_error("relay", "out of memory: %s is not served by this thread",
				  list->items[i].key);
	worker_start(w);
	snapshot_release(w->snap);
	w->snap = m->snap;
	w->draining = w->relay->draining;
	memory_free(m);
	worker_adopt(w);
	w->relay->upward->adopted(w);
	for (uint32_t i = 0; i < w->conns.high_water; i++) {
		struct conn *c = slab_at(&w->conns, i);

		if (c && c->phase->adopt)
			c->phase->adopt(c);
	}
}

struct worker_switch *worker_switch_new(struct worker *w, struct snapshot *snap, const int *fds,
					size_t count)
{
	struct worker_switch *m = memory_zeroed(sizeof *m + count * sizeof *fds);

	if (!m)
		return NULL;
	m->worker = w;
	m->snap = snapshot_hold(snap);
	m->count = count;
	memcpy(m->fds, fds, count * sizeof *fds);
	m->msg.run = worker_switch_run;
	return m;
}

void worker_switch_send(struct worker_switch *m)
{
	ring_post(m->worker->ring, &m->msg);
}

void worker_switch_drop(struct worker_switch *m)
{
	if (m)
		snapshot_release(m->snap);
	memory_free(m);
}
