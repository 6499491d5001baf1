/* SPDX-License-Identifier: Apache-2.0 */
/* rendezvous: the tables of agents, links, services and meetings. */
#include "core/memory.h"
#include "relay/rendezvous/rendezvous.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "core/engine/proving.h"
#include "core/table.h"

struct account {
	char name[WIRE_NAME_MAX + 1];
	struct account_link *present; /* the last that has published, or NULL */
	struct account_link *coming;  /* signed in later, and has not yet; or NULL */
	uint64_t refs;		      /* links and sessions */
	uint64_t sessions;	      /* running and waiting */
	size_t links, lasting;	      /* the second: of those, that may publish or could before */
	uint64_t legs;		      /* of lasting links */
	struct credential *newest[2]; /* of agents and of consoles: names_of() */
	struct proving proving;	      /* to others */
	struct proving ending;	      /* sessions of its own */
	UT_hash_handle hh;
};

/* What a link has, and all that it asks for or answers. */
struct party {
	struct account *account;
	struct credential *credential;
	slab_id conn;  /* of the link; 0: it is gone */
	uint64_t refs; /* of the link, of meetings and of sessions */
	struct party *next, *prev;
};

struct account_link {
	uint64_t id;
	uint64_t turn; /* of all sign-ins */
	slab_id conn;
	struct party *party;
	enum rendezvous_role role;
	uint8_t secret[WIRE_SECRET_BYTES];
	uint64_t legs;
	uint32_t stun_round; /* the last that it has asked in, and from where */
	struct addr stun_from;
	unsigned stun_asked; /* in it */
	uint16_t key_exchange;
	bool has_published; /* said PUBLISH, perhaps of nothing */
	size_t service_count;
	char (*services)[WIRE_NAME_MAX + 1];
	struct meeting *offered; /* meetings this link was offered */
	UT_hash_handle hh;
};

/* How many sessions one asker has to one service. */
struct tally {
	char key[3 * (WIRE_NAME_MAX + 1)]; /* "from to/service" */
	uint64_t count;
	UT_hash_handle hh;
};

struct meeting {
	uint64_t session;
	struct rendezvous_pair pair;
	struct account_link *publisher;
	struct meeting *next, *prev; /* in publisher->offered */
	UT_hash_handle hh;
};

struct rendezvous {
	struct rendezvous_limits limits;
	struct account *accounts;
	struct account_link *links;
	struct party *parties;
	struct meeting *meetings;
	struct tally *tallies;
	size_t legs;
	uint64_t turns;	 /* sign-ins so far */
	uint64_t prefix; /* the upper LINK_PREFIX_BITS of every link's number */
};

/* One draw for the life of a relay: a leg that names a link of another prefix has come to another
 * relay than its link did. */
#define LINK_PREFIX_BITS 16
#define LINK_NUMBER_BITS (64 - LINK_PREFIX_BITS)

struct rendezvous *rendezvous_new(const struct rendezvous_limits *limits)
{
	struct rendezvous *r = memory_zeroed(sizeof *r);

	if (r) {
		r->limits = *limits;
		RAND_bytes((uint8_t *)&r->prefix, sizeof r->prefix);
		r->prefix = r->prefix >> LINK_NUMBER_BITS << LINK_NUMBER_BITS;
	}
	return r;
}

void rendezvous_set_limits(struct rendezvous *r, const struct rendezvous_limits *limits)
{
	r->limits = *limits;
}

static uint64_t random_id(void)
{
	uint64_t id;

	do
		RAND_bytes((uint8_t *)&id, sizeof id);
	while (id == 0);
	return id;
}

static uint64_t link_number(const struct rendezvous *r)
{
	return r->prefix | random_id() >> LINK_PREFIX_BITS;
}

/* Why there is no link of this number. */
static enum reason link_missing(const struct rendezvous *r, uint64_t link)
{
	return (link ^ r->prefix) >> LINK_NUMBER_BITS ? REASON_LINK_ELSEWHERE : REASON_LINK_GONE;
}

/* ---- accounts ---- */

static struct account *account_hold(struct rendezvous *r, const char *name)
{
	struct account *a;

	HASH_FIND_STR(r->accounts, name, a);
	if (!a) {
		a = memory_zeroed(sizeof *a);
		if (!a)
			return NULL;
		snprintf(a->name, sizeof a->name, "%s", name);
		HASH_ADD_STR(r->accounts, name, a);
		if (!table_holds(a)) {
			memory_free(a);
			return NULL;
		}
	}
	a->refs++;
	return a;
}

static void account_free(struct account *a)
{
	credential_release(a->newest[0]);
	credential_release(a->newest[1]);
	memory_free(a);
}

static void account_release(struct rendezvous *r, struct account *a)
{
	if (--a->refs > 0)
		return;
	HASH_DEL(r->accounts, a);
	account_free(a);
}

/* ---- parties ---- */

const char *party_name(const struct party *p)
{
	return p->credential->peer.name;
}

const struct credential *party_credential(const struct party *p)
{
	return p->credential;
}

/* An agent and a console may have the same name, and share an account. */
static size_t names_of(enum identity_role role)
{
	return role == IDENTITY_CONSOLE;
}

struct credential *party_newest(const struct party *p)
{
	return credential_hold(p->account->newest[names_of(p->credential->peer.role)]);
}

slab_id party_conn(const struct party *p)
{
	const struct account_link *present = p->account->present;

	if (!present)
		present = p->account->coming;
	if (p->conn || !present)
		return p->conn;
	return names_of(present->party->credential->peer.role) == names_of(p->credential->peer.role)
		       ? present->conn
		       : 0;
}

static void account_proved(struct account *a, struct credential *credential)
{
	struct credential **newest = &a->newest[names_of(credential->peer.role)];

	if (!credential_is_newer(credential, *newest))
		return;
	credential_release(*newest);
	*newest = credential_hold(credential);
}

static struct party *party_new(struct rendezvous *r, struct credential *credential)
{
	struct party *p = memory_zeroed(sizeof *p);
	struct account *a = p ? account_hold(r, credential->peer.name) : NULL;

	if (!a) {
		memory_free(p);
		return NULL;
	}
	*p = (struct party){.account = a,
			    .credential = credential_hold(credential),
			    .refs = 1,
			    .next = r->parties};
	if (p->next)
		p->next->prev = p;
	r->parties = p;
	account_proved(a, credential);
	return p;
}

static void party_release(struct rendezvous *r, struct party *p)
{
	if (--p->refs > 0)
		return;
	if (p->prev)
		p->prev->next = p->next;
	else
		r->parties = p->next;
	if (p->next)
		p->next->prev = p->prev;
	account_release(r, p->account);
	credential_release(p->credential);
	memory_free(p);
}

/* ---- tallies ---- */

static void tally_key(char key[3 * (WIRE_NAME_MAX + 1)], const char *from, const char *to,
		      const char *service)
{
	snprintf(key, 3 * (WIRE_NAME_MAX + 1), "%s %s/%s", from, to, service);
}

static struct tally *tally_hold(struct rendezvous *r, const char *from, const char *to,
				const char *service)
{
	char key[3 * (WIRE_NAME_MAX + 1)];
	struct tally *t;

	tally_key(key, from, to, service);
	HASH_FIND_STR(r->tallies, key, t);
	if (!t) {
		t = memory_zeroed(sizeof *t);
		if (!t)
			return NULL;
		memcpy(t->key, key, sizeof t->key);
		HASH_ADD_STR(r->tallies, key, t);
		if (!table_holds(t)) {
			memory_free(t);
			return NULL;
		}
	}
	t->count++;
	return t;
}

static void tally_release(struct rendezvous *r, struct tally *t)
{
	if (--t->count > 0)
		return;
	HASH_DEL(r->tallies, t);
	memory_free(t);
}

uint64_t rendezvous_running(const struct rendezvous *r, const char *from, const char *to,
			    const char *service)
{
	char key[3 * (WIRE_NAME_MAX + 1)];
	struct tally *t;

	tally_key(key, from, to, service);
	HASH_FIND_STR(r->tallies, key, t);
	return t ? t->count : 0;
}

/* ---- links ---- */

static struct account_link *link_find(const struct rendezvous *r, uint64_t id)
{
	struct account_link *l;

	HASH_FIND(hh, r->links, &id, sizeof id, l);
	return l;
}

const char *rendezvous_link_name(const struct rendezvous *r, uint64_t link)
{
	const struct account_link *l = link_find(r, link);

	return l ? party_name(l->party) : NULL;
}

static bool account_full(const struct rendezvous *r, const char *name, enum rendezvous_role role)
{
	const struct account *a;

	HASH_FIND_STR(r->accounts, name, a);
	if (!a)
		return false;
	return role == RENDEZVOUS_AGENT ? a->lasting >= RENDEZVOUS_LASTING
					: a->links - a->lasting >= RENDEZVOUS_TRANSIENTS;
}

enum reason rendezvous_sign_in(struct rendezvous *r, struct credential *credential,
			       enum rendezvous_role role, slab_id conn, struct rendezvous_link *out)
{
	if (HASH_COUNT(r->links) >= r->limits.links)
		return REASON_LIMIT_AGENTS;
	if (account_full(r, credential->peer.name, role))
		return REASON_LIMIT_LINKS;

	struct account_link *l = memory_zeroed(sizeof *l);
	struct party *p = l ? party_new(r, credential) : NULL;
	if (l) {
		l->id = link_number(r);
		HASH_ADD(hh, r->links, id, sizeof l->id, l);
	}
	if (!l || !p || !table_holds(l)) {
		if (l && table_holds(l))
			HASH_DEL(r->links, l);
		if (p)
			party_release(r, p);
		memory_free(l);
		return REASON_LIMIT_MEMORY;
	}
	struct account *a = p->account;
	l->conn = conn;
	l->party = p;
	p->conn = conn;
	a->links++;
	a->lasting += role == RENDEZVOUS_AGENT;
	RAND_bytes(l->secret, sizeof l->secret);

	out->link = l->id;
	memcpy(out->secret, l->secret, sizeof out->secret);
	l->role = role;
	l->turn = ++r->turns;
	if (role == RENDEZVOUS_AGENT)
		a->coming = l;
	return REASON_OK;
}

static void meeting_remove(struct rendezvous *r, struct meeting *m)
{
	struct account_link *l = m->publisher;

	if (m->prev)
		m->prev->next = m->next;
	else
		l->offered = m->next;
	if (m->next)
		m->next->prev = m->prev;
	HASH_DEL(r->meetings, m);
	rendezvous_end(r, &m->pair);
	memory_free(m);
}

void rendezvous_note_key_exchange(struct rendezvous *r, uint64_t link, uint16_t group)
{
	struct account_link *l = link_find(r, link);

	if (l)
		l->key_exchange = group;
}

void rendezvous_sign_out(struct rendezvous *r, uint64_t link, rendezvous_orphan_fn *orphan,
			 void *context)
{
	struct account_link *l = link_find(r, link);

	if (!l)
		return;
	while (l->offered) {
		struct meeting *m = l->offered;
		slab_id asker = m->pair.asker;
		uint64_t session = m->session;

		meeting_remove(r, m);
		if (orphan)
			orphan(context, asker, session);
	}
	if (l->party->account->present == l)
		l->party->account->present = NULL;
	if (l->party->account->coming == l)
		l->party->account->coming = NULL;
	r->legs -= l->legs;
	l->party->account->links--;
	if (l->role == RENDEZVOUS_AGENT) {
		l->party->account->lasting--;
		l->party->account->legs -= l->legs;
	}
	HASH_DEL(r->links, l);
	l->party->conn = 0;
	party_release(r, l->party);
	memory_free(l->services);
	memory_free(l);
}

void rendezvous_free(struct rendezvous *r)
{
	struct account_link *l, *next;

	if (!r)
		return;
	HASH_ITER(hh, r->links, l, next)
		rendezvous_sign_out(r, l->id, NULL, NULL);
	/* What remains is held by sessions that were cut off with the program. */
	while (r->parties) {
		r->parties->refs = 1;
		party_release(r, r->parties);
	}
	struct tally *t, *later;
	HASH_ITER(hh, r->tallies, t, later) {
		HASH_DEL(r->tallies, t);
		memory_free(t);
	}
	memory_free(r);
}

/* The link is complete: it is its account's, unless a later one was faster. */
static void link_comes(struct account_link *l, struct rendezvous_published *out)
{
	struct account *a = l->party->account;
	struct account_link *before = a->present;

	if (a->coming == l)
		a->coming = NULL;
	if (before && before->turn > l->turn) {
		out->replaced = l->conn;
		return;
	}
	if (before) {
		out->replaced = before->conn;
		out->renewed = credential_is_newer(l->party->credential, before->party->credential);
	}
	a->present = l;
}

enum reason rendezvous_publish(struct rendezvous *r, uint64_t link,
			       const struct wire_bytes *services, size_t count,
			       struct rendezvous_published *out)
{
	struct account_link *l = link_find(r, link);

	*out = (struct rendezvous_published){0};
	if (!l)
		return REASON_LINK_GONE;
	if (count > r->limits.services)
		return REASON_LIMIT_SERVICES;

	char(*set)[WIRE_NAME_MAX + 1] = NULL;
	if (count > 0) {
		set = memory_zeroed(count * sizeof *set);
		if (!set)
			return REASON_LIMIT_MEMORY;
		for (size_t i = 0; i < count; i++)
			wire_bytes_copy(services[i], set[i], sizeof set[i]);
	}
	memory_free(l->services);
	l->services = set;
	l->service_count = count;
	if (!l->has_published && l->role == RENDEZVOUS_AGENT)
		link_comes(l, out);
	l->has_published = true;
	return REASON_OK;
}

static bool link_publishes(const struct account_link *l, const char *service)
{
	for (size_t i = 0; i < l->service_count; i++)
		if (strcmp(l->services[i], service) == 0)
			return true;
	return false;
}

/* ---- legs ---- */

enum reason rendezvous_leg_secret(const struct rendezvous *r, uint64_t link,
				  uint8_t secret[WIRE_SECRET_BYTES])
{
	const struct account_link *l = link_find(r, link);

	if (!l)
		return link_missing(r, link);
	memcpy(secret, l->secret, WIRE_SECRET_BYTES);
	return REASON_OK;
}

bool rendezvous_stun_secret(const struct rendezvous *r, uint64_t link,
			    uint8_t secret[WIRE_SECRET_BYTES], char name[WIRE_NAME_MAX + 1])
{
	const struct account_link *l = link_find(r, link);

	if (!l)
		return false;
	memcpy(secret, l->secret, WIRE_SECRET_BYTES);
	snprintf(name, WIRE_NAME_MAX + 1, "%s", l->party->account->name);
	return true;
}

bool rendezvous_stun_asks(struct rendezvous *r, uint64_t link, uint32_t round,
			  const struct addr *from)
{
	struct account_link *l = link_find(r, link);

	if (!l || from->len == 0 || round < l->stun_round)
		return false;
	if (round > l->stun_round) {
		l->stun_round = round;
		l->stun_from = *from;
		l->stun_asked = 0;
	}
	if (!addr_equal(from, &l->stun_from) || l->stun_asked == RENDEZVOUS_STUN_ASKS)
		return false;
	l->stun_asked++;
	return true;
}

uint64_t rendezvous_legs_of(const struct rendezvous *r, enum rendezvous_role role)
{
	if (role != RENDEZVOUS_AGENT && r->limits.legs > RENDEZVOUS_TRANSIENT_LEGS)
		return RENDEZVOUS_TRANSIENT_LEGS;
	return r->limits.legs;
}

enum reason rendezvous_leg_join(struct rendezvous *r, uint64_t link, struct credential **credential)
{
	struct account_link *l = link_find(r, link);

	if (!l)
		return REASON_LINK_GONE;
	if ((l->role == RENDEZVOUS_AGENT ? l->party->account->legs : l->legs) >=
	    rendezvous_legs_of(r, l->role))
		return REASON_LIMIT_LEGS;
	l->legs++;
	l->party->account->legs += l->role == RENDEZVOUS_AGENT;
	r->legs++;
	*credential = credential_hold(l->party->credential);
	return REASON_OK;
}

void rendezvous_leg_leave(struct rendezvous *r, uint64_t link)
{
	struct account_link *l = link_find(r, link);

	if (!l || l->legs == 0)
		return;
	l->legs--;
	l->party->account->legs -= l->role == RENDEZVOUS_AGENT;
	r->legs--;
}

bool rendezvous_link_alive(const struct rendezvous *r, uint64_t link)
{
	return link_find(r, link) != NULL;
}

bool rendezvous_link_replaced(const struct rendezvous *r, uint64_t link)
{
	const struct account_link *l = link_find(r, link);

	if (!l || l->role != RENDEZVOUS_AGENT)
		return false;

	const struct account_link *present = l->party->account->present;
	/* It was present, and is not; or it was overtaken before it published. */
	return l->has_published ? present != l : present && present->turn > l->turn;
}

bool rendezvous_may_prove(struct rendezvous *r, uint64_t link, uint64_t now_ms)
{
	struct account_link *l = link_find(r, link);

	return l && proving_may(&l->party->account->proving, PROVING_OF_NAME, now_ms);
}

bool rendezvous_may_end(struct rendezvous *r, uint64_t link, uint64_t now_ms)
{
	struct account_link *l = link_find(r, link);

	return l && proving_may(&l->party->account->ending, PROVING_OF_ENDS, now_ms);
}

/* ---- meetings ---- */

/* asking: NULL when public. */
static enum reason open_check(const struct rendezvous *r, const struct account_link *asking,
			      const char *to, const char *service, struct account_link **publisher)
{
	const struct account *from = asking ? asking->party->account : NULL;
	bool control = strcmp(service, WIRE_CONTROL_SERVICE) == 0;
	struct account_link *at;
	struct account *a;

	HASH_FIND_STR(r->accounts, to, a);
	at = a ? a->present : NULL;
	if (!at && a && control)
		at = a->coming; /* which has this service without publishing it */
	if (!at)
		return REASON_AGENT_OFFLINE;
	if (control) {
		if (!asking || asking->role != RENDEZVOUS_CONSOLE)
			return REASON_NOT_ALLOWED;
	} else if (!link_publishes(at, service)) {
		return REASON_SERVICE_UNKNOWN;
	}
	if (a->sessions >= r->limits.sessions || (from && from->sessions >= r->limits.sessions))
		return REASON_LIMIT_SESSIONS;
	*publisher = at;
	return REASON_OK;
}

/* A session, waiting or running, holds its accounts and its tally and counts against them. */
static void pair_hold(const struct rendezvous_pair *p)
{
	p->to->refs++;
	p->to->account->sessions++;
	if (p->from) {
		p->from->refs++;
		p->from->account->sessions++;
	}
	p->tally->count++;
}

void rendezvous_end(struct rendezvous *r, const struct rendezvous_pair *p)
{
	if (p->from) {
		p->from->account->sessions--;
		party_release(r, p->from);
	}
	p->to->account->sessions--;
	party_release(r, p->to);
	tally_release(r, p->tally);
}

enum reason rendezvous_open(struct rendezvous *r, uint64_t from_link, const char *to,
			    const char *service, slab_id asker, struct rendezvous_offer *out)
{
	struct account_link *asking = from_link ? link_find(r, from_link) : NULL, *publisher;

	if (from_link && !asking)
		return REASON_LINK_GONE;
	enum reason reason = open_check(r, asking, to, service, &publisher);
	if (reason != REASON_OK)
		return reason;

	struct party *from = asking ? asking->party : NULL;
	struct meeting *m = memory_zeroed(sizeof *m);
	struct tally *tally = tally_hold(r, from ? party_name(from) : "", to, service);
	if (m) {
		m->session = random_id();
		HASH_ADD(hh, r->meetings, session, sizeof m->session, m);
	}
	if (!m || !tally || !table_holds(m)) {
		if (m && table_holds(m))
			HASH_DEL(r->meetings, m);
		memory_free(m);
		if (tally)
			tally_release(r, tally);
		return REASON_LIMIT_MEMORY;
	}
	m->publisher = publisher;
	m->pair = (struct rendezvous_pair){
		.asker = asker, .from = from, .to = publisher->party, .tally = tally};
	pair_hold(&m->pair);
	tally_release(r, tally); /* the pair has its own hold now */
	m->next = publisher->offered;
	if (m->next)
		m->next->prev = m;
	publisher->offered = m;

	out->session = m->session;
	out->publisher = publisher->conn;
	snprintf(out->from, sizeof out->from, "%s", from ? party_name(from) : "");
	return REASON_OK;
}

static struct meeting *meeting_of(const struct rendezvous *r, uint64_t link, uint64_t session)
{
	struct meeting *m;

	HASH_FIND(hh, r->meetings, &session, sizeof session, m);
	return m && m->publisher->id == link ? m : NULL;
}

enum reason rendezvous_accept(struct rendezvous *r, uint64_t link, uint64_t session,
			      struct rendezvous_pair *out)
{
	struct meeting *m = meeting_of(r, link, session);

	if (!m)
		return link_find(r, link) ? REASON_PEER_GONE : REASON_LINK_GONE;
	*out = m->pair;
	pair_hold(out); /* the session's, before the meeting lets go of its own */
	meeting_remove(r, m);
	return REASON_OK;
}

bool rendezvous_refuse(struct rendezvous *r, uint64_t link, uint64_t session, slab_id *asker)
{
	struct meeting *m = meeting_of(r, link, session);

	if (!m)
		return false;
	*asker = m->pair.asker;
	meeting_remove(r, m);
	return true;
}

void rendezvous_forget(struct rendezvous *r, uint64_t session)
{
	struct meeting *m;

	HASH_FIND(hh, r->meetings, &session, sizeof session, m);
	if (m)
		meeting_remove(r, m);
}

void rendezvous_each_agent(const struct rendezvous *r,
			   void (*each)(void *context, const struct rendezvous_agent *a),
			   void *context)
{
	struct account *a, *next;

	HASH_ITER(hh, r->accounts, a, next) {
		struct rendezvous_agent out = {.name = a->name,
					       .online = a->present != NULL,
					       .links = a->links,
					       .sessions = a->sessions};

		for (size_t i = 0; i < 2; i++)
			if (a->newest[i] && a->newest[i]->peer.not_before > out.begins)
				out.begins = a->newest[i]->peer.not_before;
		if (a->present) {
			out.legs = a->present->legs;
			out.key_exchange = a->present->key_exchange;
			out.services = (const char(*)[WIRE_NAME_MAX + 1]) a->present->services;
			out.service_count = a->present->service_count;
		}
		each(context, &out);
	}
}

void rendezvous_each_key_exchange(const struct rendezvous *r,
				  void (*each)(void *context, uint16_t group), void *context)
{
	struct account_link *l, *next;

	HASH_ITER(hh, r->links, l, next)
		each(context, l->key_exchange);
}

struct rendezvous_counts rendezvous_count(const struct rendezvous *r)
{
	return (struct rendezvous_counts){
		.links = HASH_COUNT(r->links),
		.legs = r->legs,
		.meetings = HASH_COUNT(r->meetings),
		.accounts = HASH_COUNT(r->accounts),
	};
}
