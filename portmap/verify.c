/* SPDX-License-Identifier: Apache-2.0 */
/* verify: looks at connections, asks STUN servers from mapped ports, and tells the engine. */
#include "portmap/verify.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/container.h"
#include "core/log.h"
#include "portmap/outside.h"
#include "portmap/sockdiag.h"
#include "stun/client/client.h"
#include "stun/transaction.h"

#define DATAGRAM_BYTES 1500u
#define REQUEST_BYTES  64u
#define UDP_RETRY_MS   60000u
#define UDP_RETRY_MAX  6u /* doublings */

static const struct stun_pace pace = {.rto_ms = 100, .sends = 3, .last_rto = 4};

/* CONTROL: what was to come in did not; the other address is asked itself, since a server whose
 * other address reaches nobody shows nothing of the way here. */
enum verify_phase { VERIFY_IDLE, VERIFY_ADDRESS, VERIFY_INBOUND, VERIFY_CONTROL, VERIFY_ENDING };

/* When a mapping's UDP port is tried again. */
struct verify_try {
	uint32_t id;
	unsigned tries;
	uint64_t due_ms;
};

/* Peers whose connections were there before this mapping was, or before it had the external address
 * that it has. They came in by another path, or by a mapping that is gone; a router that was
 * restarted may even carry them on, since it lets answers to what goes out come back in; and a
 * hairpin by the address of before looks like one from outside. So they prove nothing about the
 * mapping. */
struct earlier {
	uint32_t id;	   /* the mapping; 0: a free place */
	uint64_t since_ms; /* when it came to be, which tells it from what it was before */
	struct addr external;
	struct addr *peers; /* owned */
	size_t count, room;
	bool too_many; /* nothing proves this mapping */
};

struct verify {
	struct natd *natd;
	struct netlink diag; /* closed: the kernel cannot be asked */
	struct timer look, check_timer;
	uint64_t wait_ms;
	struct verify_try tries[PORTMAP_MAPPINGS_MAX];
	size_t next_try; /* the place to use next when all are taken */
	struct earlier earlier[PORTMAP_MAPPINGS_MAX];

	/* The check under way. */
	enum verify_phase phase;
	uint32_t id;
	int fd;
	struct ring_op op;
	struct addr server, other;
	struct stun_transaction transaction;
	uint8_t request[REQUEST_BYTES];
	size_t request_len;
	uint64_t until_ms;
	bool kept_out; /* see verify_kept_out() */
};

static void look_again(struct verify *v)
{
	ring_timer_set(v->natd->ring, &v->look, v->wait_ms);
}

/* ---- TCP: connections from before a mapping ---- */

static void earlier_clear(struct earlier *e)
{
	free(e->peers);
	*e = (struct earlier){.id = 0};
}

static bool earlier_is_of(const struct earlier *e, const struct portmap_mapping *m)
{
	return e->id == m->id && e->since_ms == m->since_ms && e->external.len == m->external.len &&
	       (e->external.len == 0 || addr_equal(&e->external, &m->external));
}

/* The list of this mapping; *fresh: it is empty and new, to be filled. NULL: no place is left. */
static struct earlier *earlier_find(struct verify *v, const struct portmap_mapping *m, bool *fresh)
{
	struct earlier *place = NULL;

	*fresh = false;
	for (size_t i = 0; i < PORTMAP_MAPPINGS_MAX; i++) {
		struct earlier *e = &v->earlier[i];

		if (earlier_is_of(e, m))
			return e;
		if (e->id == m->id || (e->id == 0 && (!place || place->id != m->id)))
			place = e;
	}
	if (!place)
		return NULL;
	earlier_clear(place);
	place->id = m->id;
	place->since_ms = m->since_ms;
	place->external = m->external;
	*fresh = true;
	return place;
}

/* Forgets mappings that the engine no longer has. */
static void earlier_prune(struct verify *v)
{
	for (size_t i = 0; i < PORTMAP_MAPPINGS_MAX; i++)
		if (v->earlier[i].id && !portmap_engine_find(&v->natd->engine, v->earlier[i].id))
			earlier_clear(&v->earlier[i]);
}

static void earlier_add(struct earlier *e, const struct addr *peer)
{
	if (e->count == e->room && e->room < VERIFY_EARLIER_MAX) {
		size_t room = e->room ? e->room * 2 : 16;
		struct addr *peers = reallocarray(e->peers, room, sizeof *peers);

		if (peers) {
			e->peers = peers;
			e->room = room;
		}
	}
	if (e->count < e->room)
		e->peers[e->count++] = *peer;
	else
		e->too_many = true;
}

static bool earlier_has(const struct earlier *e, const struct addr *peer)
{
	for (size_t i = 0; i < e->count; i++)
		if (addr_equal(&e->peers[i], peer))
			return true;
	return e->too_many;
}

/* ---- TCP: connections through a mapping ---- */

/* What connections are looked at for. */
struct verify_look {
	const struct natd *natd;
	const struct portmap_mapping *mapping;
	struct earlier *earlier;
	char peer[ADDR_TEXT_BYTES]; /* the one that proves it */
};

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
static bool from_outside(const struct verify_look *l, const struct addr *local,
			 const struct addr *peer)
{
	const struct addr *own = &l->natd->network.places[l->mapping->want.family].source;

	return addr_same_host(local, own) && is_outside(l->natd, peer) &&
	       !addr_same_host(peer, &l->mapping->external);
}

static bool verify_sees_proof(void *context, const struct addr *local, const struct addr *peer)
{
	struct verify_look *l = context;

	if (!from_outside(l, local, peer) || earlier_has(l->earlier, peer))
		return false;
	addr_format(peer, l->peer);
	return true;
}

static bool verify_sees_earlier(void *context, const struct addr *local, const struct addr *peer)
{
	struct verify_look *l = context;

	if (from_outside(l, local, peer))
		earlier_add(l->earlier, peer);
	return false; /* all of them */
}

/* Connections from before the mapping, noted when it is first looked at. NULL: cannot be told. */
static struct earlier *earlier_of(struct verify *v, const struct portmap_mapping *m)
{
	struct verify_look l = {.natd = v->natd, .mapping = m};
	bool fresh;

	l.earlier = earlier_find(v, m, &fresh);
	if (l.earlier && fresh && v->diag.fd >= 0 &&
	    sockdiag_any(&v->diag, m->want.internal, false, verify_sees_earlier, &l) < 0)
		l.earlier->too_many = true;
	return l.earlier;
}

static void look_at_tcp(struct verify *v, const struct portmap_mapping *m)
{
	struct verify_look l = {.natd = v->natd, .mapping = m, .earlier = earlier_of(v, m)};
	struct portmap_engine *e = &v->natd->engine;
	char why[MAPPING_WHY_BYTES];
	int found = -ENOTSUP;

	if (v->diag.fd >= 0)
		found = sockdiag_any(&v->diag, m->want.internal, true, NULL, NULL);
	if (found == 0) {
		portmap_engine_unproven(e, m->id,
					"no program listens on the port, so nothing can come in");
		return;
	}
	if (found > 0)
		found = !l.earlier ? 0
				   : sockdiag_any(&v->diag, m->want.internal, false,
						  verify_sees_proof, &l);
	if (found > 0) {
		snprintf(why, sizeof why, "a connection from %s came in", l.peer);
		portmap_engine_verified(e, m->id, why);
	} else if (found == 0) {
		portmap_engine_unproven(e, m->id,
					"nothing has come in from outside yet; the first "
					"connection that does will prove it");
	} else {
		snprintf(why, sizeof why,
			 "the kernel does not tell which connections there are: %s",
			 strerror(-found));
		portmap_engine_unproven(e, m->id, why);
	}
}

/* ---- UDP: a server asked from the port itself ---- */

static bool check_runs(const struct verify *v)
{
	return v->phase != VERIFY_IDLE && v->phase != VERIFY_ENDING;
}

static void check_end(struct verify *v)
{
	v->phase = VERIFY_ENDING;
	ring_timer_cancel(v->natd->ring, &v->check_timer);
	stun_transaction_end(&v->transaction);
	if (ring_op_busy(&v->op)) {
		ring_cancel(v->natd->ring, &v->op);
		return;
	}
	ring_close_fd(v->natd->ring, v->fd);
	v->fd = -1;
	v->phase = VERIFY_IDLE;
	if (!v->natd->stopping)
		ring_timer_set(v->natd->ring, &v->look, 0);
}

/* What mappings over IPv4 show of the way here. */
static void note_entry(struct verify *v, bool kept_out)
{
	if (v->server.sa.sa_family != AF_INET || v->kept_out == kept_out)
		return;
	v->kept_out = kept_out;
	natd_judge(v->natd);
}

bool verify_kept_out(const struct verify *v)
{
	return v->kept_out;
}

static void check_unproven(struct verify *v, const char *why)
{
	portmap_engine_unproven(&v->natd->engine, v->id, why);
	check_end(v);
}

static void check_step(struct verify *v);

static void check_begin(struct verify *v, enum verify_phase phase, const struct addr *answerer)
{
	uint8_t id[STUN_ID_BYTES];
	struct stun_writer w;

	v->phase = phase;
	stun_client_id(id);
	stun_write_begin(&w, v->request, sizeof v->request, STUN_REQUEST, STUN_BINDING, id);
	if (phase == VERIFY_INBOUND)
		stun_write_change_request(&w, true, true);
	v->request_len = stun_write_end(&w);
	stun_transaction_start(&v->transaction, id, answerer, &pace, clock_ms(CLOCK_BOOTTIME));
	check_step(v);
}

static void check_step(struct verify *v)
{
	const struct addr *to = v->phase == VERIFY_CONTROL ? &v->other : &v->server;
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME), next;

	switch (now_ms >= v->until_ms ? STUN_STEP_FAIL
				      : stun_transaction_step(&v->transaction, now_ms)) {
	case STUN_STEP_SEND:
		/* What the socket does not take is as good as lost on the way. */
		(void)!sendto(v->fd, v->request, v->request_len, MSG_DONTWAIT | MSG_NOSIGNAL,
			      &to->sa, to->len);
		break;
	case STUN_STEP_FAIL:
		if (v->phase == VERIFY_INBOUND)
			check_begin(v, VERIFY_CONTROL, &v->other);
		else
			check_unproven(v, v->phase == VERIFY_ADDRESS
						  ? "the STUN server does not answer"
						  : "the STUN server's other address, which has to "
						    "prove it, does not answer");
		return;
	default:
		break;
	}
	next = stun_transaction_next(&v->transaction);
	ring_timer_set(v->natd->ring, &v->check_timer, next > now_ms ? next - now_ms : 0);
}

static void verify_check_timed(struct timer *t, uint64_t now_ms)
{
	check_step(container(t, struct verify, check_timer));
}

/* The server says where the port is seen; goes on when that is where the mapping is. */
static void verify_address_known(struct verify *v, const struct stun_message *m)
{
	const struct portmap_mapping *mapping = portmap_engine_find(&v->natd->engine, v->id);
	const struct addr *seen = stun_external_address(m);
	char text[ADDR_TEXT_BYTES], why[MAPPING_WHY_BYTES];

	if (!mapping || !seen) {
		check_unproven(v, "the STUN server does not say what it sees");
		return;
	}
	addr_format(seen, text);
	if (!addr_equal(seen, &mapping->external)) {
		snprintf(why, sizeof why, "outside sees the port as %s", text);
		check_unproven(v, why);
	} else if (!(m->has & STUN_HAS_OTHER_ADDRESS) || addr_same_host(&m->other, &v->server)) {
		snprintf(why, sizeof why,
			 "outside sees it as %s, but whether anything gets in only a STUN server "
			 "with two addresses (RFC 5780) can prove",
			 text);
		check_unproven(v, why);
	} else {
		v->other = m->other;
		check_begin(v, VERIFY_INBOUND, &v->other);
	}
}

static void verify_answered(struct verify *v, const struct stun_message *m, const struct addr *from)
{
	char text[ADDR_TEXT_BYTES], why[MAPPING_WHY_BYTES];

	switch (stun_transaction_answer(&v->transaction, m, from)) {
	case STUN_MATCH_NONE:
		return;
	case STUN_MATCH_SUCCESS:
		if (v->phase == VERIFY_ADDRESS) {
			verify_address_known(v, m);
			return;
		}
		if (v->phase == VERIFY_CONTROL) {
			note_entry(v, true);
			check_unproven(v, "what the STUN server sent from its other address did "
					  "not arrive");
			return;
		}
		note_entry(v, false);
		addr_format(from, text);
		snprintf(why, sizeof why, "a datagram from %s, never written to, came in", text);
		portmap_engine_verified(&v->natd->engine, v->id, why);
		check_end(v);
		return;
	default:
		check_unproven(
			v, v->phase == VERIFY_ADDRESS
				   ? "the STUN server refuses to answer"
				   : "the STUN server refuses to answer from its other address");
		return;
	}
}

static void verify_readable(struct ring_op *op, int res)
{
	struct verify *v = container(op, struct verify, op);
	uint8_t bytes[DATAGRAM_BYTES];
	struct stun_message m;
	struct addr from;
	ssize_t n;

	while (check_runs(v) && res > 0) {
		from.len = sizeof from.v6;
		n = recvfrom(v->fd, bytes, sizeof bytes, MSG_DONTWAIT, &from.sa, &from.len);
		if (n < 0)
			break;
		if (stun_decode(bytes, (size_t)n, &m) == STUN_OK)
			verify_answered(v, &m, &from);
	}
	/* An answer may have ended the check and closed its socket: then there is none to poll. */
	if (v->phase == VERIFY_ENDING)
		check_end(v);
	else if (v->phase != VERIFY_IDLE)
		ring_poll(v->natd->ring, &v->op, v->fd, POLLIN);
}

/* The port itself, for as long as the check takes. Returns a socket or -errno. */
static int verify_take_port(const struct natd *n, const struct portmap_mapping *m)
{
	struct addr own = n->network.places[m->want.family].source;

	addr_set_port(&own, m->want.internal);
	return stun_client_socket(own.sa.sa_family, &own);
}

static bool find_server(const struct outside *o, enum portmap_family f, struct addr *out)
{
	for (size_t i = 0; i < o->count; i++) {
		if (o->names[i].address[f].len == 0)
			continue;
		*out = o->names[i].address[f];
		return true;
	}
	return false;
}

static void verify_check_udp(struct verify *v, const struct portmap_mapping *m)
{
	struct portmap_engine *e = &v->natd->engine;
	char why[MAPPING_WHY_BYTES];
	int fd;

	if (!find_server(v->natd->outside, m->want.family, &v->server)) {
		portmap_engine_unproven(e, m->id,
					v->natd->config.stun.count > 0
						? "no STUN server is known here to prove it"
						: "nothing here can prove it: name a STUN server "
						  "with two addresses (stun)");
		return;
	}
	fd = verify_take_port(v->natd, m);
	if (fd == -EADDRINUSE) {
		portmap_engine_unproven(e, m->id,
					"a program has the port, and nothing here can prove it "
					"while that runs");
		return;
	}
	if (fd < 0) {
		snprintf(why, sizeof why,
			 "natd cannot take the port to prove it: %s; a port below 1024 needs "
			 "CAP_NET_BIND_SERVICE",
			 strerror(-fd));
		portmap_engine_unproven(e, m->id, why);
		return;
	}
	v->fd = fd;
	v->id = m->id;
	v->until_ms = clock_ms(CLOCK_BOOTTIME) + VERIFY_UDP_MS;
	v->op.done = verify_readable;
	ring_poll(v->natd->ring, &v->op, fd, POLLIN);
	check_begin(v, VERIFY_ADDRESS, &v->server);
}

static struct verify_try *try_of(struct verify *v, uint32_t id)
{
	for (size_t i = 0; i < PORTMAP_MAPPINGS_MAX; i++)
		if (v->tries[i].id == id)
			return &v->tries[i];
	struct verify_try *t = &v->tries[v->next_try++ % PORTMAP_MAPPINGS_MAX];
	*t = (struct verify_try){.id = id};
	return t;
}

static void look_at_udp(struct verify *v, const struct portmap_mapping *m)
{
	struct verify_try *t = try_of(v, m->id);
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);

	if (m->since_ms > t->due_ms) /* mapped anew since */
		*t = (struct verify_try){.id = m->id};
	if (v->phase != VERIFY_IDLE || now_ms < t->due_ms)
		return;
	/* Its name is being resolved: no reason to say that none is known, and to wait a minute. */
	if (v->natd->outside->asking && !find_server(v->natd->outside, m->want.family, &v->server))
		return;
	t->due_ms = now_ms + ((uint64_t)UDP_RETRY_MS << t->tries);
	if (t->tries < UDP_RETRY_MAX)
		t->tries++;
	verify_check_udp(v, m);
}

/* ---- looking ---- */

static void verify_look_due(struct timer *t, uint64_t ring_now_ms)
{
	struct verify *v = container(t, struct verify, look);
	bool more = false;

	for (struct portmap_mapping *m = v->natd->engine.mappings; m; m = m->next) {
		if (m->state != MAPPING_MAPPED)
			continue;
		if (m->want.host.len > 0)
			portmap_engine_unproven(&v->natd->engine, m->id,
						"it leads to another host: nothing here can prove "
						"it");
		else if (m->want.transport == PORTMAP_TCP)
			look_at_tcp(v, m);
		else
			look_at_udp(v, m);
		more |= m->state == MAPPING_MAPPED;
	}
	if (v->wait_ms < VERIFY_LOOK_MAX_MS)
		v->wait_ms += v->wait_ms / 2;
	if (more)
		look_again(v);
}

struct verify *verify_new(struct natd *n)
{
	struct verify *v = calloc(1, sizeof *v);
	int error;

	if (!v)
		return NULL;
	v->natd = n;
	v->fd = -1;
	v->look.fire = verify_look_due;
	v->check_timer.fire = verify_check_timed;
	error = sockdiag_open(&v->diag);
	if (error)
		log_warning("portmap", "connections cannot be looked at: %s", strerror(-error));
	return v;
}

void verify_wanted(struct verify *v)
{
	v->wait_ms = VERIFY_LOOK_MS;
	earlier_prune(v);
	for (const struct portmap_mapping *m = v->natd->engine.mappings; m; m = m->next)
		if (m->state == MAPPING_MAPPED && m->want.transport == PORTMAP_TCP)
			(void)earlier_of(v, m);
	if (!v->natd->stopping)
		ring_timer_set(v->natd->ring, &v->look, v->natd->outside->asking ? 500 : 0);
}

void verify_forget(struct verify *v)
{
	ring_timer_cancel(v->natd->ring, &v->look);
	v->kept_out = false;
	if (check_runs(v))
		check_end(v);
}

bool verify_stop(struct verify *v)
{
	verify_forget(v);
	ring_timer_cancel(v->natd->ring, &v->check_timer);
	return v->phase == VERIFY_IDLE;
}

void verify_free(struct verify *v)
{
	netlink_close(&v->diag);
	for (size_t i = 0; i < PORTMAP_MAPPINGS_MAX; i++)
		earlier_clear(&v->earlier[i]);
	free(v);
}
