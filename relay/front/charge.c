/* SPDX-License-Identifier: Apache-2.0 */
/* charge: entries of the ledger for connections, and the end of those that have to go. */
#include "relay/front/charge.h"

#include "core/container.h"
#include "core/log.h"

static void charge_lock(struct relay *r)
{
	pthread_mutex_lock(&r->ledger_lock);
}

static void charge_unlock(struct relay *r)
{
	pthread_mutex_unlock(&r->ledger_lock);
}

/* ---- what has to go ---- */

static void charge_drop(struct worker *w)
{
	struct relay *r = w->relay;
	enum reason why = REASON_OK;

	for (;;) {
		charge_lock(r);
		slab_id id = ledger_next_dropped(r->ledger, (uint8_t)w->index, &why);
		charge_unlock(r);
		if (id == 0)
			return;
		struct conn *c = conn_find(w, id);
		if (c)
			conn_close(c, why);
	}
}

void charge_drop_run(struct ring_msg *msg)
{
	struct worker *w = container(msg, struct worker, crowded);

	/* First: what is dropped from here on is told again. */
	atomic_store_explicit(&w->crowded_told, false, memory_order_seq_cst);
	charge_drop(w);
}

/* One message for each worker is enough, for any number that have to go. */
static void charge_tell(struct worker *from, slab_id id)
{
	struct worker *w;

	if (id == 0)
		return;
	w = worker_of(from->relay, id);
	if (w == from)
		charge_drop(w);
	else if (!atomic_exchange_explicit(&w->crowded_told, true, memory_order_seq_cst))
		ring_post(w->ring, &w->crowded);
}

/* ---- entries ---- */

bool charge_enter(struct conn *c)
{
	struct relay *r = c->worker->relay;

	charge_lock(r);
	struct ledger_entered entered = ledger_enter(r->ledger, &c->peer, c->id);
	charge_unlock(r);
	c->place = entered.place;
	charge_tell(c->worker, entered.drop);
	return c->place != 0;
}

void charge_move(struct conn *c)
{
	struct relay *r = c->worker->relay;

	charge_lock(r);
	slab_id drop = ledger_move(r->ledger, c->place, &c->peer);
	charge_unlock(r);
	charge_tell(c->worker, drop);
}

bool charge_make_room(struct conn *c)
{
	struct relay *r = c->worker->relay;

	charge_lock(r);
	slab_id drop = ledger_make_room(r->ledger);
	charge_unlock(r);
	charge_tell(c->worker, drop);
	return drop != 0;
}

enum reason charge_public(struct conn *c, const char *name)
{
	struct relay *r = c->worker->relay;

	charge_lock(r);
	enum reason reason = ledger_become_public(r->ledger, c->place, name);
	charge_unlock(r);
	return reason;
}

enum reason charge_proven(struct conn *c, const char *name, bool console)
{
	struct relay *r = c->worker->relay;

	charge_lock(r);
	enum reason reason = ledger_prove(r->ledger, c->place, name, console);
	charge_unlock(r);
	c->proved = reason == REASON_OK;
	return reason;
}

/* ---- rates ---- */

static bool charge_work(struct conn *c, enum buckets_work work, enum reason beyond,
			enum buckets_grant *grant)
{
	struct relay *r = c->worker->relay;

	charge_lock(r);
	*grant = buckets_ask(r->buckets, work, &c->peer, ring_now_ms(c->worker->ring));
	charge_unlock(r);
	if (*grant != BUCKETS_REFUSED)
		return true;
	conn_close(c, beyond);
	return false;
}

bool charge_handshake(struct conn *c)
{
	enum buckets_grant grant;

	if (!charge_work(c, BUCKETS_HANDSHAKE, REASON_LIMIT_HANDSHAKES, &grant))
		return false;
	c->granted = (uint8_t)grant;
	return true;
}

bool charge_request(struct conn *c)
{
	enum buckets_grant grant;

	return charge_work(c, BUCKETS_REQUEST, REASON_LIMIT_REQUESTS, &grant);
}

enum buckets_grant charge_sign_in(struct conn *c, const char *name)
{
	struct relay *r = c->worker->relay;

	charge_lock(r);
	enum buckets_grant grant =
		buckets_ask_sign_in(r->buckets, &c->peer, name, ring_now_ms(c->worker->ring));
	charge_unlock(r);
	return grant;
}

/* Once for each connection. */
static void charge_give_back(struct conn *c, uint64_t now_ms)
{
	buckets_proved(c->worker->relay->buckets, &c->peer, (enum buckets_grant)c->granted, now_ms);
	c->granted = BUCKETS_REFUSED;
}

void charge_signed_in(struct conn *c, const char *name, enum buckets_grant sign_in)
{
	uint64_t now_ms = ring_now_ms(c->worker->ring);
	struct relay *r = c->worker->relay;

	charge_lock(r);
	charge_give_back(c, now_ms);
	buckets_signed_in(r->buckets, &c->peer, name, sign_in, now_ms);
	charge_unlock(r);
}

bool charge_leg(struct conn *c, const char *name)
{
	uint64_t now_ms = ring_now_ms(c->worker->ring);
	struct relay *r = c->worker->relay;

	charge_lock(r);
	bool ok = buckets_ask_name(r->buckets, BUCKETS_HANDSHAKE, name, now_ms);
	if (ok)
		charge_give_back(c, now_ms);
	charge_unlock(r);
	return ok;
}

bool charge_stun(struct worker *w, const char *name)
{
	struct relay *r = w->relay;

	charge_lock(r);
	bool ok = buckets_ask_name(r->buckets, BUCKETS_STUN, name, ring_now_ms(w->ring));
	charge_unlock(r);
	return ok;
}

/* ---- the end ---- */

void charge_leave(struct relay *r, uint32_t place)
{
	if (place == 0)
		return;
	charge_lock(r);
	ledger_leave(r->ledger, place);
	charge_unlock(r);
}
