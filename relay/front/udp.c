/* SPDX-License-Identifier: Apache-2.0 */
/* udp: batches of datagrams in, answers out. */
#include "relay/front/udp.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/container.h"
#include "core/log.h"
#include "core/memory.h"
#include "relay/front/stun_link.h"

#define BATCHES_PER_TURN 4
#define POLL_PAUSE_MS	 100u
#define GATHER_MIN	 8u /* datagrams at a look: more is on its way */
#define GATHER_MS	 1u

struct udp_socket {
	struct ring_op op; /* first */
	struct udp_socket *next;
	struct udp *udp;
	struct timer again; /* gathering; or the system had no room for a poll */
	struct addr address;
	unsigned place;
	bool anyone; /* gets answers; else links alone */
	int fd;
	bool closing; /* freed when its poll has reported */
};

struct udp {
	struct worker *worker;
	struct udp_socket *sockets;
	struct datagrams *datagrams;
	struct datagram in[DATAGRAMS_BATCH];
	struct stun_answer answers[DATAGRAMS_BATCH];
	struct stun_link links[DATAGRAMS_BATCH]; /* that the datagrams name */
};

/* ---- answering ------------------------------------------------------------------------------- */

/* What became of a batch. */
struct udp_tally {
	uint32_t counts[STUN_COUNTS];
};

static void udp_tally_add(struct worker *w, const struct udp_tally *t)
{
	for (unsigned i = 0; i < STUN_COUNTS; i++)
		if (t->counts[i] > 0)
			stat_add(&w->stats.stun[STUN_UDP][i], t->counts[i]);
}

/* Keeps what is STUN by its first byte, at the front. */
static size_t udp_sort_out(struct datagram *in, size_t count, struct udp_tally *t)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (in[i].len == 0 || in[i].bytes[0] > STUN_FIRST_BYTE_MAX)
			t->counts[STUN_OTHER]++;
		else
			in[kept++] = in[i];
	}
	return kept;
}

static struct udp_socket *udp_at_place(const struct udp *u, unsigned place)
{
	for (struct udp_socket *s = u->sockets; s; s = s->next)
		if (s->place == place && !s->closing)
			return s;
	return NULL;
}

/* RFC 5780 section 6.1: the client asked to hear from another of the four sockets. Few do, so each
 * costs a system call of its own. */
static void udp_send_from(const struct udp *u, const struct stun_answer *a, struct udp_tally *t)
{
	const struct udp_socket *s = udp_at_place(u, a->from_address * 2 + a->from_port);

	if (!s || !datagrams_send_one(s->fd, a->bytes, a->len, &a->to))
		t->counts[STUN_UNSENT]++;
}

/* One that may have an answer. False: nothing leaves from this socket. */
static bool udp_answer_one(struct udp_socket *s, const struct datagram *in, struct stun_answer *out,
			   struct udp_tally *t)
{
	struct worker *w = s->udp->worker;
	bool placed = s->place != BIND_NO_PLACE;
	unsigned address = placed ? s->place / 2 : 0, port = placed ? s->place % 2 : 0;
	enum stun_outcome outcome =
		stun_server_answer(placed ? &w->stun.places : &w->stun.plain, in->bytes, in->len,
				   &in->from, address, port, false, out);

	t->counts[outcome]++;
	if (outcome != STUN_ANSWERED && outcome != STUN_ANSWERED_ERROR)
		return false;
	if (out->from_address == address && out->from_port == port)
		return true;
	udp_send_from(s->udp, out, t);
	return false;
}

/* Answers links. What is not theirs is kept, at the front; *used answers have been put. */
static size_t udp_answer_links(struct udp *u, size_t count, size_t *used, struct udp_tally *t)
{
	size_t kept = 0;

	*used = 0;
	if (!u->worker->stun.links)
		return count;
	for (size_t i = 0; i < count; i++)
		stun_link_named(u->in[i].bytes, u->in[i].len, &u->links[i]);
	stun_links_find(u->worker->relay, u->links, count);
	for (size_t i = 0; i < count; i++) {
		const struct datagram in = u->in[i];
		struct stun_answer *out = &u->answers[*used];
		unsigned outcome = STUN_IGNORED_UNPROVEN;

		if (u->links[i].id != 0)
			outcome = stun_link_answer(u->worker, &u->links[i], in.bytes, in.len,
						   &in.from, out);
		if (outcome == STUN_IGNORED_UNPROVEN) {
			u->in[kept++] = in;
			continue;
		}
		t->counts[outcome]++;
		if (outcome == STUN_ANSWERED || outcome == STUN_ANSWERED_ERROR) {
			datagrams_put(u->datagrams, out->bytes, out->len, &out->to, &in.local);
			++*used;
		}
	}
	return kept;
}

/* Answers anyone, as the limits of networks allow. */
static void udp_answer_anyone(struct udp_socket *s, size_t count, size_t used, struct udp_tally *t)
{
	struct udp *u = s->udp;
	struct worker *w = u->worker;
	bool may[DATAGRAMS_BATCH];

	stun_gate_take(&w->relay->stun_gate, u->in, count, ring_now_ms(w->ring), may);
	for (size_t i = 0; i < count; i++) {
		const struct datagram *in = &u->in[i];
		struct stun_answer *out = &u->answers[used + i];

		if (!may[i])
			t->counts[STUN_LIMITED]++;
		else if (udp_answer_one(s, in, out, t))
			datagrams_put(u->datagrams, out->bytes, out->len, &out->to, &in->local);
	}
}

static void udp_answer_batch(struct udp_socket *s, size_t count)
{
	struct udp *u = s->udp;
	struct worker *w = u->worker;
	struct udp_tally t = {{0}};
	size_t used;

	count = udp_sort_out(u->in, count, &t);
	count = udp_answer_links(u, count, &used, &t);
	if (s->anyone)
		udp_answer_anyone(s, count, used, &t);
	else
		t.counts[STUN_IGNORED_UNPROVEN] += (uint32_t)count;
	/* Before they are sent: a client that has its answer finds it counted. */
	udp_tally_add(w, &t);
	stat_add(&w->stats.stun[STUN_UDP][STUN_UNSENT], datagrams_send(u->datagrams, s->fd));
}

/* ---- sockets --------------------------------------------------------------------------------- */

static void udp_socket_free(struct udp_socket *s)
{
	struct udp_socket **at = &s->udp->sockets;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	ring_timer_cancel(s->udp->worker->ring, &s->again);
	ring_close_fd(s->udp->worker->ring, s->fd);
	memory_free(s);
}

/* Takes what is there, and settles how to learn of more. */
static void udp_socket_look(struct udp_socket *s)
{
	struct udp *u = s->udp;
	bool more = true;
	size_t count, total = 0;

	for (unsigned i = 0; i < BATCHES_PER_TURN && more; i++) {
		more = datagrams_receive(u->datagrams, s->fd, u->in, &count);
		total += count;
		if (count > 0)
			udp_answer_batch(s, count);
	}
	if (!more && total >= GATHER_MIN)
		ring_timer_set(u->worker->ring, &s->again, GATHER_MS);
	else
		ring_poll(u->worker->ring, &s->op, s->fd, POLLIN);
}

static void udp_socket_ready(struct ring_op *op, int res)
{
	struct udp_socket *s = (struct udp_socket *)op;

	if (s->closing) {
		udp_socket_free(s);
	} else if (res < 0) {
		log_warning("relay", "cannot wait for datagrams: %s; trying again in %u ms",
			    strerror(-res), POLL_PAUSE_MS);
		ring_timer_set(s->udp->worker->ring, &s->again, POLL_PAUSE_MS);
	} else {
		udp_socket_look(s);
	}
}

static void udp_socket_again(struct timer *t, uint64_t now_ms)
{
	udp_socket_look(container(t, struct udp_socket, again));
}

bool udp_add(struct udp *u, const struct bind_address *at, int fd)
{
	struct udp_socket *s = memory_zeroed(sizeof *s);

	if (!s) {
		close(fd);
		return false;
	}
	s->op.done = udp_socket_ready;
	s->again.fire = udp_socket_again;
	s->udp = u;
	s->address = at->address;
	s->place = at->place;
	s->anyone = at->anyone;
	s->fd = fd;
	s->next = u->sockets;
	u->sockets = s;
	return true;
}

void udp_start(struct udp *u)
{
	for (struct udp_socket *s = u->sockets; s; s = s->next)
		if (!ring_op_busy(&s->op) && !s->closing && !timer_pending(&s->again))
			ring_poll(u->worker->ring, &s->op, s->fd, POLLIN);
}

void udp_keep(struct udp *u, const struct bind_list *next)
{
	for (struct udp_socket *s = u->sockets, *after; s; s = after) {
		const struct bind_address *at = bind_list_find(next, true, &s->address);

		after = s->next;
		if (at) {
			s->place = at->place;
			s->anyone = at->anyone;
			continue;
		}
		s->closing = true;
		if (ring_op_busy(&s->op))
			ring_cancel(u->worker->ring, &s->op);
		else
			udp_socket_free(s);
	}
}

struct udp *udp_new(struct worker *w)
{
	struct udp *u = memory_zeroed(sizeof *u);

	if (!u)
		return NULL;
	u->worker = w;
	u->datagrams = datagrams_new();
	if (u->datagrams)
		return u;
	memory_free(u);
	return NULL;
}

void udp_free(struct udp *u)
{
	if (!u)
		return;
	while (u->sockets) {
		struct udp_socket *s = u->sockets;

		u->sockets = s->next;
		close(s->fd);
		memory_free(s);
	}
	datagrams_free(u->datagrams);
	memory_free(u);
}
