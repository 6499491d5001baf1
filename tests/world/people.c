/* SPDX-License-Identifier: Apache-2.0 */
/* people: the two ends of talks. */
#include "tests/world/people.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/bio.h>
#include <openssl/pem.h>

#include "core/container.h"
#include "tests/world/programs.h"
#include "tests/world/real.h"
#include "tests/world/ring_sim.h"

#define HEAD_BYTES 8u
#define CHUNK_MOST 65536u
#define ASK_MS	   60000u

struct talker {
	struct people *people;
	struct talk *talk; /* NULL: the asked side has not read the head yet */
	unsigned side;
	int fd;
	struct ring_op rx, tx;
	struct timer timer; /* a pause; or the end of patience */
	struct timer rest;
	struct tls *tls;
	bool paused, pause_done, rest_done, over, closed;
	uint8_t in[CHUNK_MOST], out[TALK_PRELUDE_MOST + CHUNK_MOST];
	uint8_t head[HEAD_BYTES];
	size_t head_len;
	size_t request;	       /* bytes of PEOPLE_REQUEST that are still to come */
	size_t said, answered; /* of the talk's prelude */
	size_t out_len;	       /* of the stream's bytes that are under way in out */
};

struct answerer {
	struct ring_op op;
	struct people *people;
	struct answerer *next;
	SSL_CTX *context;
	bool site;
	int fd;
};

static struct talk talks[TALKS_MAX];
static size_t talk_count;
static SSL_CTX *visitor_context, *service_context;

/* ---- content ---- */

static uint8_t byte_of(unsigned id, unsigned side, uint64_t at)
{
	struct dice d = {((uint64_t)id << 33 | (uint64_t)side << 32) + (at >> 3)};

	return (uint8_t)(dice_throw(&d) >> (at & 7) * 8);
}

static void fill(const struct talker *k, uint8_t *out, uint64_t from, size_t n)
{
	const struct talk *t = k->talk;

	for (size_t i = 0; i < n; i++) {
		uint64_t at = from + i;

		if (k->side == 0 && at < HEAD_BYTES)
			out[i] = at < 4 ? (uint8_t) "TALK"[at] : (uint8_t)(t->id >> (at - 4) * 8);
		else
			out[i] = byte_of(t->id, k->side, at);
	}
}

static uint64_t total_of(const struct talk *t, unsigned side)
{
	return t->side[side].plan.bytes + (side == 0 ? HEAD_BYTES : 0);
}

/* ---- the end of a talker ---- */

static void talker_free(struct talker *k)
{
	struct people *p = k->people;

	if (k->closed || ring_op_busy(&k->rx) || ring_op_busy(&k->tx))
		return;
	k->closed = true;
	ring_timer_cancel(p->ring, &k->timer);
	ring_timer_cancel(p->ring, &k->rest);
	if (k->fd >= 0)
		ring_close_fd(p->ring, k->fd);
	tls_free(k->tls);
	p->busy--;
	world_free(p->dead);
	p->dead = k;
}

static void talker_end(struct talker *k, bool by_reset)
{
	struct ring *r = k->people->ring;

	if (!k->over) {
		k->over = true;
		if (k->talk)
			k->talk->side[k->side].over = true;
		ring_timer_cancel(r, &k->timer);
		ring_cancel(r, &k->rx);
		ring_cancel(r, &k->tx);
		if (by_reset) {
			struct linger linger = {.l_onoff = 1, .l_linger = 0};

			setsockopt(k->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		}
	}
	talker_free(k);
}

static void talker_failed(struct talker *k, int error)
{
	if (k->talk) {
		struct talk_side *s = &k->talk->side[k->side];

		s->failed = true;
		s->error = error;
		world_tell("talk %u side %u: %s after %llu sent, %llu got", k->talk->id, k->side,
			   strerror(error), (unsigned long long)s->sent,
			   (unsigned long long)s->got);
	}
	talker_end(k, false);
}

/* Nothing can follow any more. */
static void maybe_over(struct talker *k)
{
	const struct talk_side *s = &k->talk->side[k->side];

	if (s->eof && s->fin_sent && !ring_op_busy(&k->tx))
		talker_end(k, false);
}

/* ---- sending ---- */

static void send_on(struct talker *k);

static void finish_sending(struct talker *k)
{
	struct talk_side *s = &k->talk->side[k->side];

	switch (s->plan.ending) {
	case ENDS_CLEANLY:
		s->fin_sent = true;
		shutdown(k->fd, SHUT_WR);
		maybe_over(k);
		break;
	case ENDS_BY_RESET:
		s->broke_off = true;
		talker_end(k, true);
		break;
	case ENDS_BY_CLOSE:
		s->broke_off = true;
		talker_end(k, false);
		break;
	}
}

static bool flush_tls(struct talker *k)
{
	size_t len = 0;
	const uint8_t *out = k->tls ? tls_output(k->tls, &len) : NULL;

	if (len > 0)
		ring_send(k->people->ring, &k->tx, k->fd, out, len);
	return len > 0;
}

/* What a talker has of a prelude: the asker has the talk's. */
static const struct talk_prelude *prelude_of(const struct talker *k)
{
	static const struct talk_prelude none = {.says_len = 0};

	return k->talk && k->side == 0 ? &k->talk->prelude : &none;
}

/* Puts what is left of the prelude at the start of what leaves next. */
static size_t say_prelude(struct talker *k)
{
	const struct talk_prelude *p = prelude_of(k);
	size_t left = p->says_len - k->said;

	memcpy(k->out, p->says + k->said, left);
	return left;
}

static void send_on(struct talker *k)
{
	const struct talk_prelude *p = prelude_of(k);
	struct talk_side *s;
	uint64_t left;
	size_t n, before;

	if (k->over || ring_op_busy(&k->tx) || flush_tls(k) || !k->talk ||
	    (k->tls && SSL_in_init(tls_ssl(k->tls))))
		return;
	before = say_prelude(k);
	if (!p->at_once && k->answered < p->answers_len) {
		if (before > 0)
			ring_send(k->people->ring, &k->tx, k->fd, k->out, before);
		return;
	}
	s = &k->talk->side[k->side];
	if (s->fin_sent)
		return;
	if (timer_pending(&k->rest))
		return;
	left = total_of(k->talk, k->side) - s->sent;
	if (s->plan.rest_us && !k->rest_done && s->sent >= s->plan.rest_at) {
		k->rest_done = true;
		ring_timer_set(k->people->ring, &k->rest, s->plan.rest_us / 1000 + 1);
		return;
	}
	if (s->plan.rest_us && !k->rest_done && left > s->plan.rest_at - s->sent)
		left = s->plan.rest_at - s->sent;
	if (left == 0) {
		if (k->tls && s->plan.ending == ENDS_CLEANLY &&
		    !(SSL_get_shutdown(tls_ssl(k->tls)) & SSL_SENT_SHUTDOWN)) {
			tls_close_write(k->tls);
			(void)flush_tls(k);
			return;
		}
		finish_sending(k);
		return;
	}
	n = left < s->plan.write_most ? (size_t)left : s->plan.write_most;
	fill(k, k->out + before, s->sent, n);
	k->out_len = n;
	if (!k->tls) {
		ring_send(k->people->ring, &k->tx, k->fd, k->out, before + n);
	} else if (tls_write(k->tls, k->out, before + n) == TLS_OK) {
		k->said += before;
		s->sent += n;
		(void)flush_tls(k);
	} else {
		talker_failed(k, EIO);
	}
}

static void count_sent(struct talker *k, size_t n)
{
	size_t before = prelude_of(k)->says_len - k->said;

	if (before > n)
		before = n;
	k->said += before;
	k->talk->side[k->side].sent += n - before;
}

static void talker_sent(struct ring_op *op, int res)
{
	struct talker *k = container(op, struct talker, tx);

	if (k->over) {
		talker_free(k);
	} else if (res < 0) {
		talker_failed(k, -res);
	} else {
		if (k->tls)
			tls_output_drop(k->tls, (size_t)res);
		else
			count_sent(k, (size_t)res);
		send_on(k);
	}
}

/* ---- receiving ---- */

static void read_on(struct talker *k)
{
	struct talk_plan *plan = k->talk ? &k->talk->side[k->side].plan : NULL;

	if (k->over || ring_op_busy(&k->rx) || k->paused)
		return;
	if (plan && k->talk->side[k->side].eof)
		return;
	if (plan && plan->pause_us && !k->pause_done &&
	    k->talk->side[k->side].got >= plan->pause_at) {
		k->paused = k->pause_done = true;
		ring_timer_set(k->people->ring, &k->timer, plan->pause_us / 1000 + 1);
		return;
	}
	ring_recv(k->people->ring, &k->rx, k->fd, k->in, plan ? plan->read_most : HEAD_BYTES);
}

/* The asked side learns which talk this is. */
static bool take_head(struct talker *k)
{
	unsigned id = 0;

	for (size_t i = 4; i < HEAD_BYTES; i++)
		id |= (unsigned)k->head[i] << (i - 4) * 8;
	if (!world_check(memcmp(k->head, "TALK", 4) == 0 && id < talk_count, "bytes",
			 "a service is asked for something that was not said") ||
	    !world_check(!talks[id].side[1].begun, "bytes", "talk %u arrives twice", id))
		return false;
	k->talk = &talks[id];
	k->talk->side[1].begun = true;
	k->talk->side[1].got = HEAD_BYTES;
	ring_timer_cancel(k->people->ring, &k->timer);
	return true;
}

static bool take_bytes(struct talker *k, const uint8_t *in, size_t n)
{
	const struct talk_prelude *p = prelude_of(k);
	uint8_t wanted;

	for (; n > 0 && k->answered < p->answers_len; in++, n--, k->answered++)
		if (!world_check(*in == p->answers[k->answered], "bytes",
				 "talk %u: byte %zu of the proxy's answer is %02x", k->talk->id,
				 k->answered, *in))
			return false;
	for (; n > 0 && k->request > 0; in++, n--, k->request--)
		if (*in != (uint8_t)PEOPLE_REQUEST[sizeof(PEOPLE_REQUEST) - 1 - k->request])
			return false; /* a stranger's: there is nothing for it */
	while (n > 0 && !k->talk) {
		k->head[k->head_len++] = *in++;
		n--;
		if (k->head_len == HEAD_BYTES && !take_head(k))
			return false;
	}
	if (n > 0 && k->talk->perhaps_elsewhere && !k->talk->side[1].begun) {
		k->talk->side[0].got += n;
		return true;
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t at = k->talk->side[k->side].got++;

		wanted = byte_of(k->talk->id, 1 - k->side, at);
		if (!world_check(at < total_of(k->talk, 1 - k->side) && in[i] == wanted, "bytes",
				 "talk %u: byte %llu to side %u is %02x instead of %02x",
				 k->talk->id, (unsigned long long)at, k->side, in[i], wanted))
			return false;
	}
	return true;
}

static void ended_cleanly(struct talker *k)
{
	if (!k->talk) {
		talker_end(k, false);
		return;
	}
	k->talk->side[k->side].eof = true;
	maybe_over(k);
}

/* True: the talker may be used further. */
static bool take_records(struct talker *k, int res)
{
	uint8_t plain[16384];
	enum tls_status status;
	size_t n;

	if (res == 0)
		tls_feed_eof(k->tls);
	else if (!tls_feed(k->tls, k->in, (size_t)res))
		abort();
	if (SSL_in_init(tls_ssl(k->tls))) {
		status = tls_handshake(k->tls);
		if (status != TLS_OK && status != TLS_AGAIN) {
			talker_failed(k, EPROTO);
			return false;
		}
	}
	while (!SSL_in_init(tls_ssl(k->tls))) {
		status = tls_read(k->tls, plain, sizeof(plain), &n);
		if (status == TLS_AGAIN)
			break;
		if (status == TLS_CLOSED && (!k->talk || !k->talk->side[k->side].eof)) {
			ended_cleanly(k);
			return !k->over;
		}
		if (status != TLS_OK) {
			if (k->talk)
				k->talk->side[k->side].cut = status == TLS_CUT;
			talker_failed(k, status == TLS_CUT ? ECONNRESET : EPROTO);
			return false;
		}
		if (!take_bytes(k, plain, n)) {
			talker_end(k, true);
			return false;
		}
	}
	return true;
}

static void talker_received(struct ring_op *op, int res)
{
	struct talker *k = container(op, struct talker, rx);

	if (k->over) {
		talker_free(k);
		return;
	}
	if (res < 0) {
		talker_failed(k, -res);
		return;
	}
	if (k->tls) {
		if (!take_records(k, res))
			return;
	} else if (res == 0) {
		ended_cleanly(k);
		if (!k->talk || k->talk->side[k->side].eof)
			return;
	} else if (!take_bytes(k, k->in, (size_t)res)) {
		talker_end(k, true);
		return;
	}
	send_on(k);
	if (!k->over)
		read_on(k);
}

/* ---- beginning ---- */

static void talker_rested(struct timer *t, uint64_t now_ms)
{
	send_on(container(t, struct talker, rest));
}

static void talker_timer(struct timer *t, uint64_t now_ms)
{
	struct talker *k = container(t, struct talker, timer);

	if (k->paused) {
		k->paused = false;
		read_on(k);
	} else if (!k->talk) {
		talker_end(k, true); /* nothing was asked for */
	}
}

static struct talker *talker_new(struct people *p, struct talk *t, unsigned side, int fd)
{
	struct talker *k = world_alloc(sizeof(*k));

	k->people = p;
	k->talk = t;
	k->side = side;
	k->fd = fd;
	k->rx.done = talker_received;
	k->tx.done = talker_sent;
	k->timer.fire = talker_timer;
	k->rest.fire = talker_rested;
	p->busy++;
	return k;
}

static void talker_connected(struct ring_op *op, int res)
{
	struct talker *k = container(op, struct talker, tx);
	int error = 0;
	socklen_t len = sizeof(error);

	k->tx.done = talker_sent;
	if (k->over) {
		talker_free(k);
		return;
	}
	if (res < 0)
		error = -res;
	else if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error) {
		talker_failed(k, error);
		return;
	}
	if (k->talk->site) {
		struct talk_prelude *says = &k->talk->prelude;

		*says = (struct talk_prelude){.says_len = sizeof(PEOPLE_REQUEST) - 1,
					      .at_once = true};
		memcpy(says->says, PEOPLE_REQUEST, says->says_len);
	}
	if (k->talk->secure || k->talk->site) {
		k->tls = tls_new(visitor_context, false);
		SSL_set_tlsext_host_name(tls_ssl(k->tls), k->talk->server_name);
		(void)!tls_handshake(k->tls);
	}
	send_on(k);
	if (!k->over)
		read_on(k);
}

void talk_start(struct talk *t, struct people *p, const struct addr *to)
{
	struct k_program *was = k_enter(p->program);
	int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct talker *k;

	t->began_us = k_now_us;
	t->side[0].begun = true;
	if (fd < 0)
		world_broken("no socket for a talk");
	k = talker_new(p, t, 0, fd);
	if (connect(fd, &to->sa, to->len) < 0 && errno != EINPROGRESS)
		world_broken("connect: %s", strerror(errno));
	k->tx.done = talker_connected;
	ring_poll(p->ring, &k->tx, fd, POLLOUT);
	world_tell("talk %u begins: %llu bytes and %llu back", t->id,
		   (unsigned long long)t->side[0].plan.bytes,
		   (unsigned long long)t->side[1].plan.bytes);
	k_enter(was);
}

static void answerer_accepted(struct ring_op *op, int res)
{
	struct answerer *a = container(op, struct answerer, op);
	struct talker *k;

	if (res < 0)
		return;
	k = talker_new(a->people, NULL, 1, res);
	if (a->context) {
		k->tls = tls_new(a->context, true);
		if (!k->tls)
			abort();
	}
	k->request = a->site ? sizeof(PEOPLE_REQUEST) - 1 : 0;
	ring_timer_set(a->people->ring, &k->timer, ASK_MS);
	read_on(k);
}

static struct answerer *answer_at(struct people *p, uint16_t port, SSL_CTX *context)
{
	struct k_program *was = k_enter(p->program);
	struct addr at = k_address("0.0.0.0", port);
	struct answerer *a = world_alloc(sizeof(*a));

	a->people = p;
	a->context = context;
	a->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(a->fd, &at.sa, at.len) || listen(a->fd, 128))
		world_broken("people cannot listen on %u", port);
	a->op.done = answerer_accepted;
	a->next = p->answerers;
	p->answerers = a;
	ring_accept(p->ring, &a->op, a->fd);
	k_enter(was);
	return a;
}

void people_answer(struct people *p, uint16_t port, SSL_CTX *context)
{
	(void)answer_at(p, port, context);
}

void people_answer_site(struct people *p, uint16_t port)
{
	answer_at(p, port, NULL)->site = true;
}

void people_start(struct people *p, const char *name, struct k_host *host)
{
	const struct ring_options options = {.engine = RING_EPOLL, .small_buffers = 16};
	char why[128];

	*p = (struct people){.host = host, .program = k_program_new(name, host)};
	p->program->limit = 4096;
	k_enter(p->program);
	if (ring_open(&p->ring, &options, why, sizeof(why)))
		world_broken("no ring for people");
	k_enter(NULL);
	world_ring_add(p->ring, p->program);
}

void people_stop(struct people *p)
{
	k_enter(p->program);
	if (p->busy > 0)
		world_tell("%zu talkers of %s have not ended", p->busy, p->program->name);
	world_ring_remove(p->ring);
	world_free(p->dead);
	p->dead = NULL;
	while (p->answerers) {
		struct answerer *a = p->answerers;

		p->answerers = a->next;
		world_free(a);
	}
	ring_close(p->ring);
	k_program_end(p->program);
	k_enter(NULL);
}

/* ---- plans ---- */

void talks_begin(void)
{
	talk_count = 0;
}

static struct talk_plan plan_side(struct dice *d, uint64_t most)
{
	struct talk_plan plan = {
		.bytes = dice_chance(d, 100) ? 0 : dice_size(d, most),
		.ending = ENDS_CLEANLY,
		.write_most = (uint32_t)dice_size(d, CHUNK_MOST),
		.read_most = (uint32_t)dice_size(d, CHUNK_MOST),
	};

	/* Little steps are for little talks. */
	if (plan.bytes / plan.write_most > 300)
		plan.write_most = CHUNK_MOST / 4;
	return plan;
}

struct talk *talk_plan(struct dice *d, uint64_t most_bytes)
{
	struct talk *t = &talks[talk_count];

	if (talk_count == TALKS_MAX)
		world_broken("too many talks");
	*t = (struct talk){.id = (unsigned)talk_count++};
	for (unsigned i = 0; i < 2; i++) {
		struct talk_plan *plan = &t->side[i].plan;

		*plan = plan_side(d, most_bytes);
	}
	for (unsigned i = 0; i < 2; i++) {
		struct talk_plan *plan = &t->side[i].plan;

		if (t->side[1 - i].plan.bytes / plan->read_most > 300)
			plan->read_most = CHUNK_MOST / 4;
		if (dice_chance(d, 200)) {
			plan->pause_at = dice_below(d, t->side[1 - i].plan.bytes + 1);
			plan->pause_us = dice_size(d, 20 * SECOND);
		}
		if (dice_chance(d, 80))
			plan->ending = dice_chance(d, 500) ? ENDS_BY_RESET : ENDS_BY_CLOSE;
	}
	return t;
}

size_t talks_count(void)
{
	return talk_count;
}

struct talk *talk_at(size_t i)
{
	return &talks[i];
}

/* ---- judgement ---- */

bool talk_over(const struct talk *t)
{
	return !t->side[0].begun || (t->side[0].over && (!t->side[1].begun || t->side[1].over));
}

bool talks_over(void *unused)
{
	for (size_t i = 0; i < talk_count; i++)
		if (!talk_over(&talks[i]))
			return false;
	return true;
}

void talks_disturb(void)
{
	for (size_t i = 0; i < talk_count; i++)
		if (talks[i].side[0].begun && !talk_over(&talks[i]))
			talks[i].disturbed = true;
}

void talks_lose_agent(void)
{
	talks_disturb();
	for (size_t i = 0; i < talk_count; i++)
		talks[i].agent_died |= talks[i].side[0].begun && !talk_over(&talks[i]);
}

static void judge_end(const struct talk *t, unsigned receiver)
{
	const struct talk_side *r = &t->side[receiver], *s = &t->side[1 - receiver];
	uint64_t total = total_of(t, 1 - receiver);

	/* TLS tells a cut from an end, but the promise is a reset. */
	world_check(!r->cut || t->disturbed || s->plan.ending == ENDS_BY_CLOSE, "cut-for-end",
		    "talk %u: side %u saw the wire end, and neither an end nor a reset", t->id,
		    receiver);
	if (!r->eof || t->agent_died)
		return;
	/* A close without a look is an end like another, if nothing came after it. */
	world_check(r->got == total && (s->fin_sent || s->plan.ending == ENDS_BY_CLOSE),
		    "cut-for-end",
		    "talk %u: side %u saw the end after %llu of %llu bytes, the other %s", t->id,
		    receiver, (unsigned long long)r->got, (unsigned long long)total,
		    s->fin_sent	   ? "ended"
		    : s->broke_off ? "broke off"
				   : "did not end");
}

static void judge(const struct talk *t)
{
	const struct talk_side *a = &t->side[0], *b = &t->side[1];
	bool calm =
		!t->disturbed && a->plan.ending == ENDS_CLEANLY && b->plan.ending == ENDS_CLEANLY;

	if (!a->begun)
		return;
	world_check(talk_over(t), "ends",
		    "talk %u did not end: %llu of %llu bytes one way, %llu of %llu the other",
		    t->id, (unsigned long long)b->got, (unsigned long long)total_of(t, 0),
		    (unsigned long long)a->got, (unsigned long long)total_of(t, 1));
	if (t->perhaps_elsewhere && !b->begun)
		return;
	judge_end(t, 0);
	judge_end(t, 1);
	if (calm)
		world_check(
			a->eof && b->eof, "whole",
			"talk %u failed though nothing disturbed it: %s, %s; %llu of %llu bytes "
			"one way, %llu of %llu the other",
			t->id, strerror(a->error), strerror(b->error), (unsigned long long)b->got,
			(unsigned long long)total_of(t, 0), (unsigned long long)a->got,
			(unsigned long long)total_of(t, 1));
}

void talks_judge(void)
{
	for (size_t i = 0; i < talk_count; i++)
		judge(&talks[i]);
}

/* ---- TLS of visitors and services ---- */

SSL_CTX *people_visitor_context(void)
{
	return visitor_context;
}

SSL_CTX *people_service_context(void)
{
	return service_context;
}

void people_prepare(void)
{
	struct certs_pair pair =
		certs_make_pair(&world_ca, IDENTITY_RELAY, "www.example", -86400, 86400 * 90L);
	BIO *c = BIO_new_mem_buf(pair.certificate, -1), *k = BIO_new_mem_buf(pair.key, -1);
	X509 *x = PEM_read_bio_X509(c, NULL, NULL, NULL);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(k, NULL, NULL, NULL);

	visitor_context = SSL_CTX_new(TLS_method());
	service_context = SSL_CTX_new(TLS_method());
	SSL_CTX_set_verify(visitor_context, SSL_VERIFY_NONE, NULL);
	if (!SSL_CTX_use_certificate(service_context, x) ||
	    !SSL_CTX_use_PrivateKey(service_context, key))
		abort();
	X509_free(x);
	EVP_PKEY_free(key);
	BIO_free(c);
	BIO_free(k);
	certs_free_pair(&pair);
}
