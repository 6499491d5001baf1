/* SPDX-License-Identifier: Apache-2.0 */
/* verify: looks at connections, asks STUN servers from mapped ports, and tells the engine. */
#include "portmap/verify.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/container.h"
#include "core/log.h"
#include "portmap/outside.h"
#include "portmap/sockdiag.h"
#include "portmap/visitors.h"
#include "stun/client/client.h"
#include "stun/transaction.h"

#define DATAGRAM_BYTES 1500u
#define REQUEST_BYTES  64u
#define UDP_RETRY_MS   60000u
#define UDP_RETRY_MAX  6u /* doublings */

static const struct stun_pace pace = {.rto_ms = 100, .sends = 3, .last_rto = 4};

enum check_phase { CHECK_IDLE, CHECK_ADDRESS, CHECK_INBOUND, CHECK_ENDING };

/* When a mapping's UDP port is tried again. */
struct udp_try {
	uint32_t id;
	unsigned tries;
	uint64_t due_ms;
};

struct verify {
	struct natd *natd;
	int diag; /* -1: the kernel cannot be asked */
	struct timer look, check_timer;
	uint64_t wait_ms;
	struct udp_try tries[PORTMAP_MAPPINGS_MAX];
	size_t next_try; /* the place to use next when all are taken */
	struct visitors before;

	/* The check under way. */
	enum check_phase phase;
	uint32_t id;
	int fd;
	struct ring_op op;
	struct addr server, other;
	struct stun_transaction transaction;
	uint8_t request[REQUEST_BYTES];
	size_t request_len;
	uint64_t until_ms;
};

static void look_again(struct verify *v)
{
	ring_timer_set(v->natd->ring, &v->look, v->wait_ms);
}

/* ---- TCP: who has come in ---- */

struct visitor {
	const struct natd *natd;
	const struct portmap_mapping *mapping;
	struct visitors_of *before;
	char text[ADDR_TEXT_BYTES];
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
static bool from_outside(const struct visitor *who, const struct addr *local,
			 const struct addr *peer)
{
	const struct natd *n = who->natd;
	const struct addr *own = &n->network.places[who->mapping->want.family].source;

	return addr_same_host(local, own) && is_outside(n, peer) &&
	       !addr_same_host(peer, &who->mapping->external);
}

static bool came_in(void *context, const struct addr *local, const struct addr *peer)
{
	struct visitor *who = context;

	if (!from_outside(who, local, peer) || visitors_has(who->before, peer))
		return false;
	addr_format(peer, who->text);
	return true;
}

static bool was_there(void *context, const struct addr *local, const struct addr *peer)
{
	const struct visitor *who = context;

	if (from_outside(who, local, peer))
		visitors_add(who->before, peer);
	return false; /* all of them */
}

/* Those who were there before the mapping; noted when it is first looked at. NULL: cannot be told.
 */
static struct visitors_of *before(struct verify *v, const struct portmap_mapping *m)
{
	struct visitor who = {.natd = v->natd, .mapping = m};
	bool fresh;

	who.before = visitors_find(&v->before, m, &fresh);
	if (who.before && fresh && v->diag >= 0 &&
	    sockdiag_any(v->diag, m->want.internal, false, was_there, &who) < 0)
		who.before->too_many = true;
	return who.before;
}

static void look_at_tcp(struct verify *v, const struct portmap_mapping *m)
{
	struct visitor who = {.natd = v->natd, .mapping = m, .before = before(v, m)};
	char why[MAPPING_WHY_BYTES];
	int found =
		v->diag < 0 ? -ENOTSUP : sockdiag_any(v->diag, m->want.internal, true, NULL, NULL);

	if (found == 0) {
		portmap_engine_unproven(&v->natd->engine, m->id,
					"no program listens on the port, so nothing can come in");
		return;
	}
	if (found > 0)
		found = !who.before ? 0
				    : sockdiag_any(v->diag, m->want.internal, false, came_in, &who);
	if (found > 0) {
		snprintf(why, sizeof why, "a connection from %s came in", who.text);
		portmap_engine_verified(&v->natd->engine, m->id, why);
	} else if (found == 0) {
		portmap_engine_unproven(&v->natd->engine, m->id,
					"nothing has come in from outside yet; the first "
					"connection that does will prove it");
	} else {
		snprintf(why, sizeof why,
			 "the kernel does not tell which connections there are: %s",
			 strerror(-found));
		portmap_engine_unproven(&v->natd->engine, m->id, why);
	}
}

/* ---- UDP: a server asked from the port itself ---- */

static void end_check(struct verify *v)
{
	v->phase = CHECK_ENDING;
	ring_timer_cancel(v->natd->ring, &v->check_timer);
	stun_transaction_end(&v->transaction);
	if (ring_op_busy(&v->op)) {
		ring_cancel(v->natd->ring, &v->op);
		return;
	}
	ring_close_fd(v->natd->ring, v->fd);
	v->fd = -1;
	v->phase = CHECK_IDLE;
	if (!v->natd->stopping)
		ring_timer_set(v->natd->ring, &v->look, 0);
}

static void unproven(struct verify *v, const char *why)
{
	portmap_engine_unproven(&v->natd->engine, v->id, why);
	end_check(v);
}

static void step(struct verify *v);

static void begin(struct verify *v, enum check_phase phase, const struct addr *answerer)
{
	uint8_t id[STUN_ID_BYTES];
	struct stun_writer w;

	v->phase = phase;
	stun_client_id(id);
	stun_write_begin(&w, v->request, sizeof v->request, STUN_REQUEST, STUN_BINDING, id);
	if (phase == CHECK_INBOUND)
		stun_write_change_request(&w, true, true);
	v->request_len = stun_write_end(&w);
	stun_transaction_start(&v->transaction, id, answerer, &pace, natd_now_ms());
	step(v);
}

static void step(struct verify *v)
{
	uint64_t now_ms = natd_now_ms(), next;

	switch (now_ms >= v->until_ms ? STUN_STEP_FAIL
				      : stun_transaction_step(&v->transaction, now_ms)) {
	case STUN_STEP_SEND:
		/* What the socket does not take is as good as lost on the way. */
		(void)!sendto(v->fd, v->request, v->request_len, MSG_DONTWAIT | MSG_NOSIGNAL,
			      &v->server.sa, v->server.len);
		break;
	case STUN_STEP_FAIL:
		unproven(v, v->phase == CHECK_ADDRESS
				    ? "the STUN server does not answer"
				    : "what the STUN server sent from its other address did not "
				      "arrive");
		return;
	default:
		break;
	}
	next = stun_transaction_next(&v->transaction);
	ring_timer_set(v->natd->ring, &v->check_timer, next > now_ms ? next - now_ms : 0);
}

static void check_timed(struct timer *t, uint64_t now_ms)
{
	step(container(t, struct verify, check_timer));
}

/* The server says where the port is seen; goes on when that is where the mapping is. */
static void address_known(struct verify *v, const struct stun_message *m)
{
	const struct portmap_mapping *mapping = portmap_engine_find(&v->natd->engine, v->id);
	const struct addr *seen = stun_external_address(m);
	char text[ADDR_TEXT_BYTES], why[MAPPING_WHY_BYTES];

	if (!mapping || !seen) {
		unproven(v, "the STUN server does not say what it sees");
		return;
	}
	addr_format(seen, text);
	if (!addr_equal(seen, &mapping->external)) {
		snprintf(why, sizeof why, "outside sees the port as %s", text);
		unproven(v, why);
	} else if (!(m->has & STUN_HAS_OTHER_ADDRESS) || addr_same_host(&m->other, &v->server)) {
		snprintf(why, sizeof why,
			 "outside sees it as %s, but whether anything gets in only a STUN server "
			 "with two addresses (RFC 5780) can prove",
			 text);
		unproven(v, why);
	} else {
		v->other = m->other;
		begin(v, CHECK_INBOUND, &v->other);
	}
}

static void answered(struct verify *v, const struct stun_message *m, const struct addr *from)
{
	char text[ADDR_TEXT_BYTES], why[MAPPING_WHY_BYTES];

	switch (stun_transaction_answer(&v->transaction, m, from)) {
	case STUN_MATCH_NONE:
		return;
	case STUN_MATCH_SUCCESS:
		if (v->phase == CHECK_ADDRESS) {
			address_known(v, m);
			return;
		}
		addr_format(from, text);
		snprintf(why, sizeof why, "a datagram from %s, never written to, came in", text);
		portmap_engine_verified(&v->natd->engine, v->id, why);
		end_check(v);
		return;
	default:
		unproven(v, v->phase == CHECK_ADDRESS
				    ? "the STUN server refuses to answer"
				    : "the STUN server refuses to answer from its other address");
		return;
	}
}

static void readable(struct ring_op *op, int res)
{
	struct verify *v = container(op, struct verify, op);
	uint8_t bytes[DATAGRAM_BYTES];
	struct stun_message m;
	struct addr from;
	ssize_t n;

	while (v->phase != CHECK_ENDING && v->fd >= 0 && res > 0) {
		from.len = sizeof from.v6;
		n = recvfrom(v->fd, bytes, sizeof bytes, MSG_DONTWAIT, &from.sa, &from.len);
		if (n < 0)
			break;
		if (stun_decode(bytes, (size_t)n, &m) == STUN_OK)
			answered(v, &m, &from);
	}
	if (v->phase == CHECK_ENDING)
		end_check(v);
	else if (v->fd >= 0) /* an answer may have ended the check, and then nothing is awaited */
		ring_poll(v->natd->ring, &v->op, v->fd, POLLIN);
}

/* The port itself, for as long as the check takes. Returns a socket or -errno. */
static int take_port(const struct natd *n, const struct portmap_mapping *m)
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

static void check_udp(struct verify *v, const struct portmap_mapping *m)
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
	fd = take_port(v->natd, m);
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
	v->until_ms = natd_now_ms() + VERIFY_UDP_MS;
	v->op.done = readable;
	ring_poll(v->natd->ring, &v->op, fd, POLLIN);
	begin(v, CHECK_ADDRESS, &v->server);
}

static struct udp_try *try_of(struct verify *v, uint32_t id)
{
	for (size_t i = 0; i < PORTMAP_MAPPINGS_MAX; i++)
		if (v->tries[i].id == id)
			return &v->tries[i];
	struct udp_try *t = &v->tries[v->next_try++ % PORTMAP_MAPPINGS_MAX];
	*t = (struct udp_try){.id = id};
	return t;
}

static void look_at_udp(struct verify *v, const struct portmap_mapping *m)
{
	struct udp_try *t = try_of(v, m->id);
	uint64_t now_ms = natd_now_ms();

	if (m->since_ms > t->due_ms) /* mapped anew since */
		*t = (struct udp_try){.id = m->id};
	if (v->phase != CHECK_IDLE || now_ms < t->due_ms)
		return;
	t->due_ms = now_ms + ((uint64_t)UDP_RETRY_MS << t->tries);
	if (t->tries < UDP_RETRY_MAX)
		t->tries++;
	check_udp(v, m);
}

/* ---- looking ---- */

static void look(struct timer *t, uint64_t ring_now_ms)
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

	if (!v)
		return NULL;
	v->natd = n;
	v->fd = -1;
	v->look.fire = look;
	v->check_timer.fire = check_timed;
	v->diag = sockdiag_open();
	if (v->diag < 0)
		log_warning("portmap", "connections cannot be looked at: %s", strerror(-v->diag));
	return v;
}

void verify_wanted(struct verify *v)
{
	v->wait_ms = VERIFY_LOOK_MS;
	visitors_prune(&v->before, v->natd->engine.mappings);
	for (const struct portmap_mapping *m = v->natd->engine.mappings; m; m = m->next)
		if (m->state == MAPPING_MAPPED && m->want.transport == PORTMAP_TCP)
			(void)before(v, m);
	if (!v->natd->stopping)
		ring_timer_set(v->natd->ring, &v->look, v->natd->outside->asking ? 500 : 0);
}

void verify_forget(struct verify *v)
{
	ring_timer_cancel(v->natd->ring, &v->look);
	if (v->phase == CHECK_ADDRESS || v->phase == CHECK_INBOUND)
		end_check(v);
}

bool verify_stop(struct verify *v)
{
	verify_forget(v);
	ring_timer_cancel(v->natd->ring, &v->check_timer);
	return v->phase == CHECK_IDLE;
}

void verify_free(struct verify *v)
{
	if (v->diag >= 0)
		close(v->diag);
	visitors_free(&v->before);
	free(v);
}
