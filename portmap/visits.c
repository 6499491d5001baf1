/* SPDX-License-Identifier: Apache-2.0 */
/* visits: what is there now against what was there before, and what has ended. */
#include "portmap/visits.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/container.h"
#include "core/log.h"
#include "portmap/sockdiag.h"

/* The other ends of a mapping's connections, as they were at the last look. */
struct visits_list {
	uint32_t id;	   /* the mapping; 0: a free place */
	uint64_t since_ms; /* when it came to be, which tells it from what it was before */
	struct addr external;
	struct addr *peers; /* owned; in order */
	size_t count, room;
	bool listens;	     /* a program did, when that was asked last */
	uint64_t listens_ms; /* when an end was a reason to ask */
	bool too_many;	     /* not all of them are here, so that none can be called new */
};

struct visits {
	struct natd *natd;
	struct netlink diag; /* closed: the kernel cannot be asked */
	struct netlink ends; /* closed: it does not tell */
	struct ring_op op;
	struct timer pause; /* until ends are read again */
	bool stopping;
	struct visits_list lists[PORTMAP_MAPPINGS_MAX];
};

/* ---- lists ---- */

static void list_clear(struct visits_list *l)
{
	free(l->peers);
	*l = (struct visits_list){.id = 0};
}

static int compare_peers(const void *left, const void *right)
{
	const struct addr *a = left, *b = right;

	if (a->sa.sa_family != b->sa.sa_family)
		return a->sa.sa_family < b->sa.sa_family ? -1 : 1;
	if (addr_port(a) != addr_port(b))
		return addr_port(a) < addr_port(b) ? -1 : 1;
	if (a->sa.sa_family == AF_INET)
		return memcmp(&a->v4.sin_addr, &b->v4.sin_addr, sizeof a->v4.sin_addr);
	return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr);
}

static void list_add(struct visits_list *l, const struct addr *peer)
{
	if (l->count == l->room && l->room < VISITS_MAX) {
		size_t room = l->room ? l->room * 2 : 16;
		struct addr *peers = reallocarray(l->peers, room, sizeof *peers);

		if (peers) {
			l->peers = peers;
			l->room = room;
		}
	}
	if (l->count < l->room)
		l->peers[l->count++] = *peer;
	else
		l->too_many = true;
}

/* Where it belongs. */
static void list_insert(struct visits_list *l, const struct addr *peer)
{
	size_t count = l->count, at = 0;

	while (at < count && compare_peers(&l->peers[at], peer) < 0)
		at++;
	list_add(l, peer);
	if (l->count == count)
		return;
	memmove(&l->peers[at + 1], &l->peers[at], (count - at) * sizeof *l->peers);
	l->peers[at] = *peer;
}

/* It was there, or may have been. */
static bool list_has(const struct visits_list *l, const struct addr *peer)
{
	return l->too_many ||
	       (l->count > 0 && bsearch(peer, l->peers, l->count, sizeof *peer, compare_peers));
}

static bool list_is_of(const struct visits_list *l, const struct portmap_mapping *m)
{
	return l->id == m->id && l->since_ms == m->mapped_ms &&
	       l->external.len == m->external.len &&
	       (l->external.len == 0 || addr_equal(&l->external, &m->external));
}

/* The list of this mapping, perhaps of what it was before; a new one is empty. NULL: no place is
 * left. */
static struct visits_list *list_of(struct visits *v, uint32_t id)
{
	struct visits_list *place = NULL;

	for (size_t i = 0; i < PORTMAP_MAPPINGS_MAX; i++) {
		if (v->lists[i].id == id)
			return &v->lists[i];
		if (v->lists[i].id == 0 && !place)
			place = &v->lists[i];
	}
	return place;
}

/* Forgets mappings that the engine no longer has. */
static void lists_prune(struct visits *v)
{
	for (size_t i = 0; i < PORTMAP_MAPPINGS_MAX; i++)
		if (v->lists[i].id && !portmap_engine_find(&v->natd->engine, v->lists[i].id))
			list_clear(&v->lists[i]);
}

/* ---- what comes from outside ---- */

/* On the internet: what is private or on this LAN did not need the mapping. */
static bool is_outside(const struct natd *n, const struct addr *peer)
{
	if (network_on_link(&n->network, peer))
		return false;
	if (peer->sa.sa_family == AF_INET)
		return truth_range_of(peer) == TRUTH_PUBLIC;
	return (peer->v6.sin6_addr.s6_addr[0] & 0xe0) == 0x20;
}

/* To the address that the mapping leads to; and not by a hairpin from this LAN. */
static bool from_outside(const struct natd *n, const struct portmap_mapping *m,
			 const struct addr *local, const struct addr *peer)
{
	const struct addr *own = &n->network.places[m->want.family].source;

	return addr_same_host(local, own) && is_outside(n, peer) &&
	       !addr_same_host(peer, &m->external);
}

static void tell_visit(struct visits *v, const struct portmap_mapping *m, const struct addr *peer)
{
	char text[ADDR_TEXT_BYTES], why[MAPPING_WHY_BYTES];

	addr_format(peer, text);
	snprintf(why, sizeof why, "a connection from %s came in", text);
	portmap_engine_verified(&v->natd->engine, m->id, why);
}

/* ---- looking ---- */

struct visits_look {
	const struct natd *natd;
	const struct portmap_mapping *mapping;
	const struct visits_list *before;
	struct visits_list now;
	struct addr came; /* one that is new; len 0: none */
};

static void visits_seen(void *context, const struct addr *local, const struct addr *peer)
{
	struct visits_look *l = context;

	if (!from_outside(l->natd, l->mapping, local, peer))
		return;
	list_add(&l->now, peer);
	if (!list_has(l->before, peer))
		l->came = *peer;
}

/* Whether a program listens where the mapping leads to: 1, 0 or -errno. */
static int ask_listens(struct visits *v, const struct portmap_mapping *m, struct visits_list *l)
{
	const struct addr *own = &v->natd->network.places[m->want.family].source;
	int listens = sockdiag_listens(&v->diag, m->want.internal, own);

	l->listens = listens > 0;
	return listens;
}

/* The list of now takes the place of that before. came: one that is new, where the one before was
 * of this very mapping; len 0: none. 0 or -errno. */
static int list_renew(struct visits *v, const struct portmap_mapping *m, struct addr *came)
{
	struct visits_list *before = list_of(v, m->id);
	struct visits_look l = {.natd = v->natd, .mapping = m, .before = before};
	int error;

	came->len = 0;
	if (!before)
		return -ENOSPC;
	l.now.id = m->id;
	l.now.since_ms = m->mapped_ms;
	l.now.external = m->external;
	error = v->diag.fd < 0 ? -ENOTSUP
			       : sockdiag_list(&v->diag, m->want.internal, visits_seen, &l);
	if (!error) {
		int listens = ask_listens(v, m, &l.now);

		error = listens < 0 ? listens : 0;
	}
	if (error)
		l.now.too_many = true;
	else if (list_is_of(before, m) && (before->listens || l.now.listens))
		*came = l.came;
	if (l.now.count > 1)
		qsort(l.now.peers, l.now.count, sizeof *l.now.peers, compare_peers);
	list_clear(before);
	*before = l.now;
	return error;
}

void visits_look(struct visits *v, const struct portmap_mapping *m)
{
	struct portmap_engine *e = &v->natd->engine;
	char why[MAPPING_WHY_BYTES];
	struct addr came;
	int error = list_renew(v, m, &came);

	if (came.len > 0) {
		tell_visit(v, m, &came);
	} else if (error) {
		snprintf(why, sizeof why,
			 "the kernel does not tell which connections there are: %s",
			 strerror(-error));
		portmap_engine_unproven(e, m->id, why);
	} else {
		portmap_engine_unproven(
			e, m->id,
			!list_of(v, m->id)->listens
				? "no program listens on the port, so nothing can come in"
				: "nothing has come in from outside yet; the first connection "
				  "that does will prove it");
	}
}

static bool is_looked_at(const struct portmap_mapping *m)
{
	return m->want.transport == PORTMAP_TCP && m->want.host.len == 0 &&
	       (m->state == MAPPING_MAPPED || m->state == MAPPING_VERIFIED);
}

/* ---- ends ---- */

/* As it was at the last look, or is now: the program may have come since. */
static bool listened(struct visits *v, const struct portmap_mapping *m, struct visits_list *l)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);

	if (!l->listens && now_ms >= l->listens_ms + VISITS_ENDS_MS) {
		l->listens_ms = now_ms;
		(void)!ask_listens(v, m, l);
	}
	return l->listens;
}

static void visits_ended(void *context, const struct addr *local, const struct addr *peer)
{
	struct visits *v = context;

	for (const struct portmap_mapping *m = v->natd->engine.mappings; m; m = m->next) {
		struct visits_list *l;

		if (!is_looked_at(m) || addr_port(local) != m->want.internal ||
		    !from_outside(v->natd, m, local, peer))
			continue;
		l = list_of(v, m->id);
		if (!l || !list_is_of(l, m) || list_has(l, peer) || !listened(v, m, l))
			continue;
		list_insert(l, peer); /* it may wait here (TIME_WAIT), and be no second visit */
		tell_visit(v, m, peer);
	}
}

static void hear_ends(struct visits *v)
{
	if (v->ends.fd >= 0 && !v->stopping && !ring_op_busy(&v->op))
		ring_poll(v->natd->ring, &v->op, v->ends.fd, POLLIN);
}

static void visits_readable(struct ring_op *op, int res)
{
	struct visits *v = container(op, struct visits, op);
	int more = 1;

	if (v->stopping)
		return;
	if (res < 0) {
		log_warning("portmap", "connections that end are no longer heard of: %s",
			    strerror(-res));
		return;
	}
	for (unsigned i = 0; i < VISITS_ENDS_MAX && (more == 1 || more == -ENOBUFS); i++)
		more = sockdiag_take_end(&v->ends, visits_ended, v);
	ring_timer_set(v->natd->ring, &v->pause, VISITS_ENDS_MS);
}

static void visits_pause_over(struct timer *t, uint64_t now_ms)
{
	hear_ends(container(t, struct visits, pause));
}

/* ---- life ---- */

struct visits *visits_new(struct natd *n)
{
	struct visits *v = calloc(1, sizeof *v);
	int error;

	if (!v)
		return NULL;
	v->natd = n;
	v->op.done = visits_readable;
	v->pause.fire = visits_pause_over;
	v->ends.fd = -1;
	error = sockdiag_open(&v->diag);
	if (error)
		log_warning("portmap", "connections cannot be looked at: %s", strerror(-error));
	else
		error = sockdiag_open_ends(&v->ends);
	if (error && v->diag.fd >= 0)
		log_warning("portmap",
			    "short connections are not seen, and verify no mapping: the kernel "
			    "does not "
			    "tell of their end: %s",
			    strerror(-error));
	return v;
}

void visits_wanted(struct visits *v)
{
	struct addr came;

	lists_prune(v);
	for (const struct portmap_mapping *m = v->natd->engine.mappings; m; m = m->next) {
		const struct visits_list *l = is_looked_at(m) ? list_of(v, m->id) : NULL;

		if (l && !list_is_of(l, m))
			(void)!list_renew(v, m, &came);
		if (l && !timer_pending(&v->pause))
			hear_ends(v);
	}
}

bool visits_stop(struct visits *v)
{
	v->stopping = true;
	ring_timer_cancel(v->natd->ring, &v->pause);
	if (v->ends.fd < 0)
		return true;
	if (ring_op_busy(&v->op)) {
		ring_cancel(v->natd->ring, &v->op);
		return false;
	}
	ring_close_fd(v->natd->ring, v->ends.fd);
	v->ends.fd = -1;
	return true;
}

void visits_free(struct visits *v)
{
	netlink_close(&v->diag);
	netlink_close(&v->ends);
	for (size_t i = 0; i < PORTMAP_MAPPINGS_MAX; i++)
		list_clear(&v->lists[i]);
	free(v);
}
