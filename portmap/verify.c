/* SPDX-License-Identifier: Apache-2.0 */
/* verify: when mappings are looked at; UDP ports from which STUN servers are asked. */
#include "portmap/verify.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/container.h"
#include "core/log.h"
#include "portmap/engine/truth.h"
#include "portmap/outside.h"
#include "portmap/visits.h"
#include "stun/client/client.h"
#include "stun/transaction.h"

#define DATAGRAM_BYTES 1500u
#define REQUEST_BYTES  64u
#define UDP_RETRY_MS   60000u
#define UDP_RETRY_MAX  6u     /* doublings */
#define UDP_PROOF_MS   60000u /* between two proofs at least: see verify.h */
#define UDP_AGAIN_MS   3000u  /* so soon a check that fails after others succeeded is repeated */
#define AGAIN_LOOK_MS  200u   /* while somebody waits for what is found */
#define UDP_FAILS      2u     /* so many in a row, since datagrams are lost */

static const struct stun_pace pace = {.rto_ms = 100, .sends = 3, .last_rto = 4};

/* CONTROL: what was to come in did not; the other address is asked itself, since a server whose
 * other address reaches nobody shows nothing of the way here. */
enum verify_phase { VERIFY_IDLE, VERIFY_ADDRESS, VERIFY_INBOUND, VERIFY_CONTROL, VERIFY_ENDING };

/* When a mapping's UDP port is tried again. */
struct verify_try {
	uint32_t id;
	unsigned tries, fails; /* in vain; of these after it had worked, in a row */
	bool same_port;	       /* the next proof is to come from there */
	uint64_t mapped_ms;    /* of the mapping as it was tried */
	uint64_t due_ms;
};

struct verify {
	struct natd *natd;
	struct visits *visits;
	struct timer look, check_timer;
	uint64_t wait_ms;
	uint64_t recheck_ms; /* when what is verified is looked at, too */
	struct verify_try tries[PORTMAP_MAPPINGS_MAX];
	size_t next_try; /* the place to use next when all are taken */
	bool again;	 /* verify_again() is not done with */

	/* The check under way. */
	enum verify_phase phase;
	uint32_t id;
	int fd;
	struct ring_op op;
	int control_fd; /* CONTROL: another port of ours; -1: none */
	struct ring_op control_op;
	struct addr server, other; /* other: from where the proof comes */
	bool same_port;		   /* as one or the other of these two */
	struct stun_transaction transaction;
	uint8_t request[REQUEST_BYTES];
	size_t request_len;
	uint64_t until_ms;
	bool kept_out; /* see verify_kept_out() */
};

/* ---- UDP: a server asked from the port itself ---- */

static struct verify_try *try_of(struct verify *v, uint32_t id)
{
	for (size_t i = 0; i < PORTMAP_MAPPINGS_MAX; i++)
		if (v->tries[i].id == id)
			return &v->tries[i];
	struct verify_try *t = &v->tries[v->next_try++ % PORTMAP_MAPPINGS_MAX];
	*t = (struct verify_try){.id = id};
	return t;
}

static bool check_runs(const struct verify *v)
{
	return v->phase != VERIFY_IDLE && v->phase != VERIFY_ENDING;
}

static void check_end(struct verify *v)
{
	v->phase = VERIFY_ENDING;
	ring_timer_cancel(v->natd->ring, &v->check_timer);
	stun_transaction_end(&v->transaction);
	if (ring_op_busy(&v->op))
		ring_cancel(v->natd->ring, &v->op);
	if (ring_op_busy(&v->control_op))
		ring_cancel(v->natd->ring, &v->control_op);
	if (ring_op_busy(&v->op) || ring_op_busy(&v->control_op))
		return;
	ring_close_fd(v->natd->ring, v->fd);
	if (v->control_fd >= 0)
		ring_close_fd(v->natd->ring, v->control_fd);
	v->fd = v->control_fd = -1;
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

/* It could not be tried. */
static void check_unproven(struct verify *v, const char *why)
{
	portmap_engine_unproven(&v->natd->engine, v->id, why);
	check_end(v);
}

/* What worked once is tried every recheck, whether it works now or not. */
static uint64_t next_proof(const struct verify *v)
{
	uint64_t recheck_ms = v->natd->config.recheck_ms;

	return clock_ms(CLOCK_BOOTTIME) + (recheck_ms > UDP_PROOF_MS ? recheck_ms : UDP_PROOF_MS);
}

/* It was tried, and does not work now. */
static void check_failed(struct verify *v, const char *why)
{
	struct portmap_engine *e = &v->natd->engine;
	const struct portmap_mapping *m = portmap_engine_find(e, v->id);
	struct verify_try *t = try_of(v, v->id);

	if (m && m->proven_ms > 0) {
		t->due_ms = ++t->fails < UDP_FAILS ? clock_ms(CLOCK_BOOTTIME) + UDP_AGAIN_MS
						   : next_proof(v);
		t->tries = 0;
	}
	if (!m || m->proven_ms == 0 || t->fails >= UDP_FAILS)
		portmap_engine_dead(e, v->id, why);
	check_end(v);
}

static void check_passed(struct verify *v, const char *proof)
{
	struct verify_try *t = try_of(v, v->id);

	t->tries = t->fails = 0;
	t->same_port = !v->same_port;
	t->due_ms = next_proof(v);
	portmap_engine_verified(&v->natd->engine, v->id, proof);
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
		stun_write_change_request(&w, true, !v->same_port);
	v->request_len = stun_write_end(&w);
	stun_transaction_start(&v->transaction, id, answerer, &pace, clock_ms(CLOCK_BOOTTIME));
	check_step(v);
}

/* The other address is asked itself, from another port: one that this one had written to could get
 * in without the mapping. */
static void control_begin(struct verify *v)
{
	struct addr own;

	own = v->natd->network
		      .places[v->other.sa.sa_family == AF_INET ? PORTMAP_IPV4 : PORTMAP_IPV6]
		      .source;
	addr_set_port(&own, 0);
	v->control_fd = stun_client_socket(own.sa.sa_family, &own);
	if (v->control_fd < 0) {
		check_unproven(v,
			       "whether the STUN server's other address is to be reached cannot be "
			       "asked");
		return;
	}
	ring_poll(v->natd->ring, &v->control_op, v->control_fd, POLLIN);
	check_begin(v, VERIFY_CONTROL, &v->other);
}

static void check_step(struct verify *v)
{
	const struct addr *to = v->phase == VERIFY_CONTROL ? &v->other : &v->server;
	int fd = v->phase == VERIFY_CONTROL ? v->control_fd : v->fd;
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME), next;

	switch (now_ms >= v->until_ms ? STUN_STEP_FAIL
				      : stun_transaction_step(&v->transaction, now_ms)) {
	case STUN_STEP_SEND:
		/* What the socket does not take is as good as lost on the way. */
		(void)!sendto(fd, v->request, v->request_len, MSG_DONTWAIT | MSG_NOSIGNAL, &to->sa,
			      to->len);
		break;
	case STUN_STEP_FAIL:
		if (v->phase == VERIFY_INBOUND)
			control_begin(v);
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
	/* One that is on this side of a NAT sees what the mapping has nothing to do with. */
	if (seen->sa.sa_family == AF_INET && !addr_same_host(seen, &mapping->external) &&
	    truth_range_of(seen) != TRUTH_PUBLIC) {
		snprintf(why, sizeof why,
			 "the STUN server sees the port as %s, from this side of a NAT; name one "
			 "on the internet (stun)",
			 text);
		check_unproven(v, why);
	} else if (!addr_equal(seen, &mapping->external)) {
		snprintf(why, sizeof why, "outside sees the port as %s", text);
		check_failed(v, why);
	} else if (!(m->has & STUN_HAS_OTHER_ADDRESS) || addr_same_host(&m->other, &v->server)) {
		snprintf(why, sizeof why,
			 "outside sees it as %s, but whether anything gets in only a STUN server "
			 "with two addresses (RFC 5780) can prove",
			 text);
		check_unproven(v, why);
	} else {
		v->other = m->other;
		if (v->same_port)
			addr_set_port(&v->other, addr_port(&v->server));
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
			check_failed(v, "what the STUN server sent from its other address did not "
					"arrive");
			return;
		}
		note_entry(v, false);
		addr_format(from, text);
		snprintf(why, sizeof why, "a datagram from %s, never written to, came in", text);
		check_passed(v, why);
		return;
	default:
		check_unproven(
			v, v->phase == VERIFY_ADDRESS
				   ? "the STUN server refuses to answer"
				   : "the STUN server refuses to answer from its other address");
		return;
	}
}

static void verify_read(struct verify *v, int fd, struct ring_op *op, int res)
{
	uint8_t bytes[DATAGRAM_BYTES];
	struct stun_message m;
	struct addr from;
	ssize_t n;

	while (check_runs(v) && res > 0) {
		from.len = sizeof from.v6;
		n = recvfrom(fd, bytes, sizeof bytes, MSG_DONTWAIT, &from.sa, &from.len);
		if (n < 0)
			break;
		if (stun_decode(bytes, (size_t)n, &m) == STUN_OK)
			verify_answered(v, &m, &from);
	}
	/* An answer may have ended the check and closed its socket: then there is none to poll. */
	if (v->phase == VERIFY_ENDING)
		check_end(v);
	else if (v->phase != VERIFY_IDLE)
		ring_poll(v->natd->ring, op, fd, POLLIN);
}

static void verify_readable(struct ring_op *op, int res)
{
	struct verify *v = container(op, struct verify, op);

	verify_read(v, v->fd, op, res);
}

static void verify_control_readable(struct ring_op *op, int res)
{
	struct verify *v = container(op, struct verify, control_op);

	verify_read(v, v->control_fd, op, res);
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
	v->same_port = try_of(v, m->id)->same_port;
	v->until_ms = clock_ms(CLOCK_BOOTTIME) + VERIFY_UDP_MS;
	v->op.done = verify_readable;
	v->control_op.done = verify_control_readable;
	ring_poll(v->natd->ring, &v->op, fd, POLLIN);
	check_begin(v, VERIFY_ADDRESS, &v->server);
}

/* Returns after how long it is to be looked at, if that is before wait_ms; later: its time has
 * come, but it has to wait. The end of the check under way looks at all of them. */
static uint64_t look_at_udp(struct verify *v, const struct portmap_mapping *m, uint64_t wait_ms,
			    bool *later)
{
	uint64_t look_ms = v->again ? AGAIN_LOOK_MS : VERIFY_LOOK_MS;
	struct verify_try *t = try_of(v, m->id);
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);

	if (m->mapped_ms != t->mapped_ms) /* mapped anew since */
		*t = (struct verify_try){
			.id = m->id, .same_port = t->same_port, .mapped_ms = m->mapped_ms};
	if (now_ms < t->due_ms)
		return t->due_ms - now_ms < wait_ms ? t->due_ms - now_ms : wait_ms;
	/* Another check is under way, or a server's name is being resolved: no reason to say that
	 * none is known, and to wait a minute. */
	if (v->phase != VERIFY_IDLE ||
	    (v->natd->outside->asking &&
	     !find_server(v->natd->outside, m->want.family, &v->server))) {
		*later = true;
		return look_ms < wait_ms ? look_ms : wait_ms;
	}
	t->due_ms = now_ms + ((uint64_t)UDP_RETRY_MS << t->tries);
	if (t->tries < UDP_RETRY_MAX)
		t->tries++;
	verify_check_udp(v, m);
	return wait_ms;
}

/* ---- looking ---- */

static bool is_granted(const struct portmap_mapping *m)
{
	return m->state == MAPPING_MAPPED || m->state == MAPPING_VERIFIED;
}

/* UDP when its time has come; what is verified over TCP every recheck, or a minute after that. */
static void verify_look_due(struct timer *t, uint64_t ring_now_ms)
{
	struct verify *v = container(t, struct verify, look);
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME), wait_ms = v->wait_ms;
	bool all = now_ms >= v->recheck_ms || v->again, more = false, later = false;

	if (all)
		v->recheck_ms = now_ms + v->natd->config.recheck_ms;
	for (struct portmap_mapping *m = v->natd->engine.mappings; m; m = m->next) {
		if (!is_granted(m))
			continue;
		more = true;
		if (m->want.host.len > 0)
			portmap_engine_unproven(&v->natd->engine, m->id,
						"it leads to another host: nothing here can prove "
						"it");
		else if (m->want.transport == PORTMAP_UDP)
			wait_ms = look_at_udp(v, m, wait_ms, &later);
		else if (all || m->state == MAPPING_MAPPED)
			visits_look(v->visits, m);
	}
	v->again &= later;
	v->wait_ms += v->wait_ms / 2;
	if (v->wait_ms > VERIFY_LOOK_MAX_MS)
		v->wait_ms = VERIFY_LOOK_MAX_MS;
	if (more)
		ring_timer_set(v->natd->ring, &v->look, wait_ms);
}

struct verify *verify_new(struct natd *n)
{
	struct verify *v = calloc(1, sizeof *v);

	if (!v)
		return NULL;
	v->natd = n;
	v->fd = v->control_fd = -1;
	v->look.fire = verify_look_due;
	v->check_timer.fire = verify_check_timed;
	v->visits = visits_new(n);
	if (!v->visits) {
		free(v);
		return NULL;
	}
	return v;
}

void verify_wanted(struct verify *v)
{
	v->wait_ms = VERIFY_LOOK_MS;
	visits_wanted(v->visits);
	if (!v->natd->stopping)
		ring_timer_set(v->natd->ring, &v->look, v->natd->outside->asking ? 500 : 0);
}

/* A try of this is of use now: a NAT lets in again for a while who came in just before. */
static bool is_worth_a_try(const struct verify *v, const struct verify_try *t)
{
	const struct portmap_mapping *m = portmap_engine_find(&v->natd->engine, t->id);

	return m && (m->state != MAPPING_VERIFIED ||
		     clock_ms(CLOCK_BOOTTIME) >= m->proven_ms + UDP_PROOF_MS);
}

void verify_again(struct verify *v)
{
	if (v->natd->stopping || v->natd->stage != NATD_HERE)
		return;
	for (size_t i = 0; i < PORTMAP_MAPPINGS_MAX; i++)
		if (v->tries[i].id > 0 && is_worth_a_try(v, &v->tries[i]))
			v->tries[i].due_ms = 0;
	v->again = true;
	v->wait_ms = VERIFY_LOOK_MS;
	ring_timer_set(v->natd->ring, &v->look, v->natd->outside->asking ? AGAIN_LOOK_MS : 0);
}

bool verify_is_busy(const struct verify *v)
{
	return v->again || check_runs(v);
}

void verify_forget(struct verify *v)
{
	v->again = false;
	ring_timer_cancel(v->natd->ring, &v->look);
	v->kept_out = false;
	if (check_runs(v))
		check_end(v);
}

bool verify_stop(struct verify *v)
{
	bool quiet = visits_stop(v->visits);

	verify_forget(v);
	ring_timer_cancel(v->natd->ring, &v->check_timer);
	return quiet && v->phase == VERIFY_IDLE;
}

void verify_free(struct verify *v)
{
	visits_free(v->visits);
	free(v);
}
