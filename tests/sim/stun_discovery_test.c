/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAT behaviour discovery in simulation: the client's engine against the server's, with every kind
 * of NAT between them, and datagrams that are lost, late, doubled and out of order.
 *
 * The clock is virtual and the randomness seeded: a failure prints its seed, and SIM_SEED=N runs
 * just that one again.
 * links: stun/discovery.c stun/findings.c stun/lifetime.c stun/transaction.c stun/message.c
 * links: stun/integrity.c stun/server.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stun/discovery.h"
#include "stun/server.h"

#define RUNS	     60u
#define QUEUE	     256u
#define BINDINGS     256u
#define CONTACTS     8u
#define LOSS_PERMIL  30u
#define TWICE_PERMIL 20u
#define DELAY_MS     300u
#define PLENTY_MS    60000u /* for everything but a lifetime */
#define FIRST_PORT   50000u
#define LENGTH(a)    (sizeof(a) / sizeof((a)[0]))

enum server_kind {
	SERVER_FULL,
	SERVER_PLAIN,	  /* without RFC 5780 */
	SERVER_DEAF,	  /* takes CHANGE-REQUEST, and does not change */
	SERVER_ONE_PLACE, /* names another address, which never answers and never sends */
	SERVER_LIES,	  /* names an address that cannot be its other one: lie */
	SERVER_DRAINING,
	SERVER_OLD_PORT, /* RESPONSE-PORT is passed over */
};

static struct addr lie;

struct kind {
	const char *name;
	bool blocked;
	enum stun_mapping mapping;
	enum stun_filtering filtering;
	enum stun_nat_type type;
};

static const struct kind kinds[] = {
	{"blocked", true, STUN_MAPPING_UNKNOWN, STUN_FILTERING_UNKNOWN, STUN_NAT_BLOCKED},
	{"open", false, STUN_MAPPING_NONE, STUN_FILTERING_ENDPOINT_INDEPENDENT, STUN_NAT_OPEN},
	{"firewall", false, STUN_MAPPING_NONE, STUN_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
	 STUN_NAT_FIREWALL},
	{"full cone", false, STUN_MAPPING_ENDPOINT_INDEPENDENT, STUN_FILTERING_ENDPOINT_INDEPENDENT,
	 STUN_NAT_FULL_CONE},
	{"address-restricted", false, STUN_MAPPING_ENDPOINT_INDEPENDENT,
	 STUN_FILTERING_ADDRESS_DEPENDENT, STUN_NAT_ADDRESS_RESTRICTED},
	{"port-restricted", false, STUN_MAPPING_ENDPOINT_INDEPENDENT,
	 STUN_FILTERING_ADDRESS_AND_PORT_DEPENDENT, STUN_NAT_PORT_RESTRICTED},
	{"symmetric", false, STUN_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
	 STUN_FILTERING_ADDRESS_AND_PORT_DEPENDENT, STUN_NAT_SYMMETRIC},
	{"symmetric by address", false, STUN_MAPPING_ADDRESS_DEPENDENT,
	 STUN_FILTERING_ADDRESS_DEPENDENT, STUN_NAT_SYMMETRIC},
	{"symmetric, lets in all", false, STUN_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
	 STUN_FILTERING_ENDPOINT_INDEPENDENT, STUN_NAT_SYMMETRIC},
};

struct binding {
	bool used;
	enum stun_socket socket;
	struct addr key; /* of which destination, as far as the mapping depends on it */
	uint16_t port;
	uint64_t last_ms;
	struct addr contacts[CONTACTS];
	size_t contact_count;
};

struct datagram {
	bool used, to_server;
	uint64_t due_ms;
	struct addr from, to;
	uint8_t bytes[STUN_ANSWER_MAX];
	size_t len;
};

struct world {
	struct stun_discovery d; /* first: what send() gets is the world */
	const struct kind *kind;
	enum server_kind server_kind;
	bool hairpin;
	bool second_is_mute; /* nothing leaves from the socket that filtering is tried on */
	uint32_t lifetime_s;
	uint64_t seed, now_ms;
	unsigned loss, twice, delay;
	struct stun_behaviour behaviour;
	struct stun_server server;
	struct binding bindings[BINDINGS];
	struct datagram queue[QUEUE];
	size_t sent;
};

static uint64_t chance(struct world *w, uint64_t below)
{
	/* xorshift64: the same everywhere, which rand(3) is not */
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return w->seed % below;
}

static struct addr literal(const char *host, unsigned port)
{
	struct addr a;

	assert_true(addr_from_literal(host, (uint16_t)port, &a));
	return a;
}

static bool same_host(struct addr a, struct addr b)
{
	addr_set_port(&a, 0);
	addr_set_port(&b, 0);
	return addr_equal(&a, &b);
}

static bool nat(const struct world *w)
{
	return w->kind->mapping != STUN_MAPPING_NONE;
}

static struct addr external(uint16_t port)
{
	return literal("45.0.0.10", port);
}

/* ---- the wire ---- */

static void put_once(struct world *w, bool to_server, const struct addr *from,
		     const struct addr *to, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < QUEUE; i++) {
		struct datagram *g = &w->queue[i];

		if (g->used)
			continue;
		*g = (struct datagram){.used = true,
				       .to_server = to_server,
				       .due_ms = w->now_ms + 1 + chance(w, w->delay),
				       .from = *from,
				       .to = *to,
				       .len = len};
		assert_true(len <= sizeof g->bytes);
		memcpy(g->bytes, bytes, len);
		return;
	}
	fail_msg("the queue is full: the engine sends without end");
}

static void put(struct world *w, bool to_server, const struct addr *from, const struct addr *to,
		const uint8_t *bytes, size_t len)
{
	if (chance(w, 1000) < w->loss)
		return;
	put_once(w, to_server, from, to, bytes, len);
	if (chance(w, 1000) < w->twice)
		put_once(w, to_server, from, to, bytes, len);
}

/* ---- the NAT ---- */

static bool alive(const struct world *w, const struct binding *b)
{
	return b->used && w->now_ms - b->last_ms <= (uint64_t)w->lifetime_s * 1000;
}

/* What of a destination the mapping depends on. */
static struct addr key_of(const struct world *w, const struct addr *to)
{
	struct addr key = *to;

	switch (w->kind->mapping) {
	case STUN_MAPPING_ADDRESS_AND_PORT_DEPENDENT:
		return key;
	case STUN_MAPPING_ADDRESS_DEPENDENT:
		addr_set_port(&key, 0);
		return key;
	default:
		return literal("0.0.0.0", 0);
	}
}

static bool port_taken(const struct world *w, uint16_t port)
{
	for (size_t i = 0; i < BINDINGS; i++)
		if (w->bindings[i].used && w->bindings[i].port == port)
			return true;
	return false;
}

static struct binding *bind_out(struct world *w, enum stun_socket socket, const struct addr *to)
{
	struct addr key = key_of(w, to);
	struct binding *b = NULL;

	for (size_t i = 0; i < BINDINGS; i++) {
		if (alive(w, &w->bindings[i]) && w->bindings[i].socket == socket &&
		    addr_equal(&w->bindings[i].key, &key))
			return &w->bindings[i];
		if (!b && !w->bindings[i].used)
			b = &w->bindings[i];
	}
	assert_non_null(b);
	uint16_t port = (uint16_t)(FIRST_PORT + socket);
	while (nat(w) && (port >= FIRST_PORT || port_taken(w, port)))
		port = (uint16_t)(1024 + chance(w, FIRST_PORT - 1024));
	*b = (struct binding){.used = true, .socket = socket, .key = key, .port = port};
	return b;
}

static bool lets_in(const struct world *w, const struct binding *b, const struct addr *from)
{
	if (w->kind->filtering == STUN_FILTERING_ENDPOINT_INDEPENDENT)
		return true;
	for (size_t i = 0; i < b->contact_count; i++) {
		if (addr_equal(&b->contacts[i], from))
			return true;
		if (w->kind->filtering == STUN_FILTERING_ADDRESS_DEPENDENT &&
		    same_host(b->contacts[i], *from))
			return true;
	}
	return false;
}

static void come_in(struct world *w, const struct datagram *g)
{
	for (size_t i = 0; i < BINDINGS; i++) {
		struct binding *b = &w->bindings[i];

		if (!alive(w, b) || b->port != addr_port(&g->to) || !lets_in(w, b, &g->from))
			continue;
		stun_discovery_datagram(&w->d, b->socket, &g->from, g->bytes, g->len, w->now_ms);
		return;
	}
}

static void contact(struct binding *b, const struct addr *to)
{
	for (size_t i = 0; i < b->contact_count; i++)
		if (addr_equal(&b->contacts[i], to))
			return;
	assert_true(b->contact_count < CONTACTS);
	b->contacts[b->contact_count++] = *to;
}

static void go_out(struct stun_discovery *d, enum stun_socket from, const struct addr *to,
		   const uint8_t *bytes, size_t len)
{
	struct world *w = (struct world *)d;
	struct binding *b;
	struct addr source;

	w->sent++;
	if (w->kind->blocked || (w->second_is_mute && from == STUN_SOCKET_FILTERING))
		return;
	b = bind_out(w, from, to);
	b->last_ms = w->now_ms;
	contact(b, to);
	source = external(b->port);
	if (!same_host(*to, source))
		put(w, true, &source, to, bytes, len);
	else if (w->hairpin || !nat(w))
		put(w, false, &source, to, bytes, len);
}

/* ---- the server ---- */

static void serve(struct world *w, const struct datagram *g)
{
	struct stun_answer answer;
	struct addr source;

	for (unsigned i = 0; i < 4; i++) {
		const struct addr *place = &w->behaviour.places[i >> 1][i & 1];
		enum stun_outcome o;

		if (!addr_equal(place, &g->to) || (w->server_kind == SERVER_ONE_PLACE && i > 0))
			continue;
		o = stun_server_answer(&w->server, g->bytes, g->len, &g->from, i >> 1, i & 1, false,
				       &answer);
		assert_true(o == STUN_ANSWERED || o == STUN_ANSWERED_ERROR);
		if (w->server_kind == SERVER_DEAF) {
			answer.from_address = i >> 1;
			answer.from_port = i & 1;
		}
		if (w->server_kind == SERVER_OLD_PORT)
			answer.to = g->from;
		source = w->behaviour.places[answer.from_address][answer.from_port];
		if (w->server_kind != SERVER_ONE_PLACE || addr_equal(&source, place))
			put(w, false, &source, &answer.to, answer.bytes, answer.len);
	}
}

/* ---- a run ---- */

static void fresh_id(struct stun_discovery *d, uint8_t id[STUN_ID_BYTES])
{
	struct world *w = (struct world *)d;

	for (size_t i = 0; i < STUN_ID_BYTES; i++)
		id[i] = (uint8_t)chance(w, 256);
}

static void world_init(struct world *w, const struct kind *kind, enum server_kind server,
		       uint64_t seed)
{
	memset(w, 0, sizeof *w);
	w->seed = seed * 0x9e3779b97f4a7c15ull | 1;
	w->now_ms = 1000000;
	w->kind = kind;
	w->server_kind = server;
	w->hairpin = chance(w, 2);
	w->lifetime_s = 3600;
	w->loss = LOSS_PERMIL;
	w->twice = TWICE_PERMIL;
	w->delay = DELAY_MS;
	for (unsigned i = 0; i < 4; i++)
		w->behaviour.places[i >> 1][i & 1] =
			literal(i >> 1 ? "45.0.0.2" : "45.0.0.1", 3478 + (i & 1));
	if (server == SERVER_LIES)
		w->behaviour.places[1][1] = lie;
	if (server != SERVER_PLAIN)
		w->server.behaviour = &w->behaviour;
	w->server.draining = server == SERVER_DRAINING;
	w->server.alternate[0] = literal("45.0.0.3", 443);
	w->d.send = go_out;
	w->d.fresh_id = fresh_id;
	w->d.server = w->behaviour.places[0][0];
	w->d.local = nat(w) ? literal("192.168.77.2", FIRST_PORT) : external(FIRST_PORT);
	w->d.nat = true;
}

static struct datagram *next_datagram(struct world *w)
{
	struct datagram *next = NULL;

	for (size_t i = 0; i < QUEUE; i++)
		if (w->queue[i].used && (!next || w->queue[i].due_ms < next->due_ms))
			next = &w->queue[i];
	return next;
}

/* Until the engine wants nothing more; how long that took, in ms. */
static uint64_t run(struct world *w)
{
	uint64_t began_ms = w->now_ms;

	stun_discovery_start(&w->d, w->now_ms);
	while (stun_discovery_next(&w->d) != STUN_NEVER) {
		uint64_t next_ms = stun_discovery_next(&w->d);
		struct datagram *g = next_datagram(w);

		assert_true(w->sent < 1000);
		if (!g || g->due_ms > next_ms) {
			w->now_ms = next_ms > w->now_ms ? next_ms : w->now_ms;
			stun_discovery_tick(&w->d, w->now_ms);
			continue;
		}
		struct datagram taken = *g;
		g->used = false;
		w->now_ms = taken.due_ms;
		if (taken.to_server)
			serve(w, &taken);
		else
			come_in(w, &taken);
	}
	return w->now_ms - began_ms;
}

static char running[128]; /* empty: the last one was good */

static int tell_seed(void **state)
{
	if (running[0])
		fprintf(stderr, "failed with %s\n", running);
	running[0] = '\0';
	return 0;
}

/* With many seeds, through each kind of NAT. */
static void each(enum server_kind server, void (*check)(struct world *w))
{
	static struct world w;
	const char *only = getenv("SIM_SEED");
	uint64_t from = only ? strtoull(only, NULL, 10) : 1, to = only ? from : RUNS;

	for (uint64_t seed = from; seed <= to; seed++) {
		for (size_t k = 0; k < LENGTH(kinds); k++) {
			snprintf(running, sizeof running, "SIM_SEED=%llu, NAT %s",
				 (unsigned long long)seed, kinds[k].name);
			world_init(&w, &kinds[k], server, seed);
			check(&w);
		}
	}
	running[0] = '\0';
}

static void assert_external(const struct world *w)
{
	const struct stun_findings *f = &w->d.found;

	assert_true(f->answered);
	assert_null(f->first_why);
	assert_true(same_host(f->external, external(0)));
	assert_int_equal(f->error_code, 0);
}

static void assert_blocked(const struct stun_findings *f)
{
	assert_false(f->answered);
	assert_int_equal(f->external.len, 0);
	assert_non_null(f->first_why);
	assert_non_null(f->mapping_why);
	assert_non_null(f->filtering_why);
	assert_non_null(f->hairpin_why);
	assert_int_equal(stun_findings_type(f), STUN_NAT_BLOCKED);
}

static void assert_hairpin(const struct world *w)
{
	const struct stun_findings *f = &w->d.found;

	if (!nat(w)) {
		assert_int_equal(f->hairpin, STUN_HAIRPIN_UNKNOWN);
		assert_non_null(f->hairpin_why);
		return;
	}
	assert_null(f->hairpin_why);
	if (!w->hairpin)
		assert_int_equal(f->hairpin, STUN_HAIRPIN_NO);
	else if (w->kind->mapping == STUN_MAPPING_ENDPOINT_INDEPENDENT)
		assert_int_equal(f->hairpin, STUN_HAIRPIN_YES);
}

/* ---- the tests ---- */

static void check_full(struct world *w)
{
	const struct stun_findings *f = &w->d.found;

	assert_true(run(w) <= PLENTY_MS);
	if (w->kind->blocked) {
		assert_blocked(f);
		return;
	}
	assert_external(w);
	assert_true(f->behaviour);
	assert_int_equal(f->mapping, w->kind->mapping);
	assert_int_equal(f->filtering, w->kind->filtering);
	assert_null(f->mapping_why);
	assert_null(f->filtering_why);
	assert_int_equal(stun_findings_type(f), w->kind->type);
	assert_hairpin(w);
}

static void every_nat_is_what_it_is(void **state)
{
	each(SERVER_FULL, check_full);
}

/* Without RFC 5780: no NAT is seen, and hairpinning; the rest is said to be unknown. */
static void check_unknown(struct world *w)
{
	const struct stun_findings *f = &w->d.found;

	assert_true(run(w) <= PLENTY_MS);
	if (w->kind->blocked) {
		assert_blocked(f);
		return;
	}
	assert_external(w);
	assert_false(f->behaviour);
	assert_int_equal(f->filtering, STUN_FILTERING_UNKNOWN);
	assert_non_null(f->filtering_why);
	assert_int_equal(f->mapping, nat(w) ? STUN_MAPPING_UNKNOWN : STUN_MAPPING_NONE);
	assert_int_equal(f->mapping_why != NULL, nat(w));
	assert_int_equal(stun_findings_type(f), STUN_NAT_UNKNOWN);
	assert_hairpin(w);
}

static void a_plain_server_leaves_it_unknown(void **state)
{
	each(SERVER_PLAIN, check_unknown);
}

/* The same host or the same port would prove nothing; the others do not answer. */
static void a_bad_second_address_is_not_asked(void **state)
{
	static const struct {
		const char *host;
		unsigned port;
	} lies[] = {
		{"224.0.0.1", 3479},   {"255.255.255.255", 3479}, {"0.0.0.0", 3479},
		{"45.0.0.1", 3479},    {"45.0.0.2", 3478},	  {"45.0.0.2", 0},
		{"2001:db8::2", 3479},
	};

	for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
		lie = literal(lies[i].host, lies[i].port);
		each(SERVER_LIES, check_unknown);
	}
}

/* The wrong answer to a change request must not look like an open NAT. */
static void check_deaf(struct world *w)
{
	const struct stun_findings *f = &w->d.found;

	run(w);
	if (w->kind->blocked)
		return;
	assert_int_equal(f->mapping, w->kind->mapping);
	assert_int_equal(f->filtering, STUN_FILTERING_UNKNOWN);
	assert_non_null(f->filtering_why);
}

/* Silence says nothing about a filter where nothing was heard at all. */
static void check_mute(struct world *w)
{
	const struct stun_findings *f = &w->d.found;

	w->second_is_mute = true;
	run(w);
	if (w->kind->blocked)
		return;
	assert_int_equal(f->mapping, w->kind->mapping);
	assert_int_equal(f->filtering, STUN_FILTERING_UNKNOWN);
	assert_string_equal(f->filtering_why, "a second socket got no answer from the server");
}

static void a_second_socket_that_gets_nothing_out(void **state)
{
	each(SERVER_FULL, check_mute);
}

static void a_server_that_does_not_change(void **state)
{
	each(SERVER_DEAF, check_deaf);
}

static void check_one_place(struct world *w)
{
	const struct stun_findings *f = &w->d.found;

	assert_true(run(w) <= PLENTY_MS);
	if (w->kind->blocked)
		return;
	assert_external(w);
	assert_int_equal(f->mapping, nat(w) ? STUN_MAPPING_UNKNOWN : STUN_MAPPING_NONE);
	assert_int_equal(f->mapping_why != NULL, nat(w));
}

static void a_second_address_that_is_not_there(void **state)
{
	each(SERVER_ONE_PLACE, check_one_place);
}

static void check_draining(struct world *w)
{
	const struct stun_findings *f = &w->d.found;

	run(w);
	if (w->kind->blocked)
		return;
	assert_true(f->answered);
	assert_int_equal(f->error_code, 300);
	assert_true(addr_equal(&f->alternate, &w->server.alternate[0]));
	assert_int_equal(f->external.len, 0);
	assert_non_null(f->first_why);
	assert_int_equal(stun_findings_type(f), STUN_NAT_UNKNOWN);
}

static void a_server_that_sends_elsewhere(void **state)
{
	each(SERVER_DRAINING, check_draining);
}

static void check_external_only(struct world *w)
{
	w->d.nat = false;
	w->d.lifetime_max_s = 600;
	run(w);
	if (w->kind->blocked) {
		assert_false(w->d.found.answered);
		assert_int_equal(w->sent, STUN_SENDS);
		return;
	}
	assert_external(w);
	assert_true(w->sent <= STUN_SENDS);
	assert_null(w->d.found.mapping_why);
}

static void only_the_address_costs_one_request(void **state)
{
	each(SERVER_FULL, check_external_only);
}

/* What is said of a lifetime is true, close, and there in time. */
static void check_lifetime(struct world *w)
{
	static const uint32_t lifetimes_s[] = {20, 30, 60, 120, 180, 300};
	const struct stun_findings *f = &w->d.found;

	w->lifetime_s = lifetimes_s[chance(w, LENGTH(lifetimes_s))];
	w->d.lifetime_max_s = 3000;
	assert_true(run(w) <= PLENTY_MS + 3000 * 1000);
	if (w->kind->blocked || !nat(w)) {
		assert_non_null(f->lifetime_why);
		return;
	}
	assert_int_equal(stun_findings_type(f), w->kind->type);
	assert_null(f->lifetime_why);
	/* A refresh that was on its way counts for the NAT, but not for us: two seconds. */
	assert_true(f->alive_s <= w->lifetime_s);
	assert_true(f->gone_s + 2 >= w->lifetime_s);
	assert_true(f->gone_s - f->alive_s <= f->alive_s / 8 + STUN_LIFETIME_GAP_S);
}

static void lifetimes_are_found(void **state)
{
	each(SERVER_FULL, check_lifetime);
}

/* With too little time the answer is a bound, and the bound is true. */
static void check_short_lifetime(struct world *w)
{
	const struct stun_findings *f = &w->d.found;

	w->d.lifetime_max_s = (uint32_t)chance(w, 200);
	w->lifetime_s = 120;
	assert_true(run(w) <= PLENTY_MS + 200 * 1000);
	if (w->kind->blocked || !nat(w) || w->d.lifetime_max_s == 0)
		return;
	assert_true(f->alive_s <= 120);
	assert_true(f->gone_s == 0 || f->gone_s + 2 >= 120);
	assert_int_equal(f->lifetime_why == NULL, f->alive_s > 0 || f->gone_s > 0);
}

static void lifetimes_in_little_time(void **state)
{
	each(SERVER_FULL, check_short_lifetime);
}

static void check_old_port(struct world *w)
{
	const struct stun_findings *f = &w->d.found;

	w->d.lifetime_max_s = 600;
	assert_true(run(w) <= 2 * PLENTY_MS);
	assert_non_null(f->lifetime_why);
	assert_int_equal(f->alive_s, 0);
	assert_int_equal(f->gone_s, 0);
}

static void no_lifetime_without_response_port(void **state)
{
	each(SERVER_OLD_PORT, check_old_port);
	each(SERVER_PLAIN, check_old_port);
}

/* Answers from elsewhere, to the wrong socket or with another's id change nothing. */
static void forgeries_change_nothing(void **state)
{
	static struct world w;
	uint8_t bytes[64];
	struct stun_writer out;
	struct addr forged = literal("6.6.6.6", 666), elsewhere = literal("45.0.0.9", 3478);

	world_init(&w, &kinds[5], SERVER_FULL, 1);
	stun_discovery_start(&w.d, w.now_ms);
	for (int i = 0; i < 3; i++) {
		const struct stun_try *first = &w.d.tests[STUN_TEST_FIRST];
		uint8_t id[STUN_ID_BYTES];

		memcpy(id, first->transaction.id, sizeof id);
		id[0] ^= i == 2;
		stun_write_begin(&out, bytes, sizeof bytes, STUN_SUCCESS, STUN_BINDING, id);
		stun_write_address(&out, STUN_XOR_MAPPED_ADDRESS, &forged);
		stun_discovery_datagram(&w.d, i == 1 ? STUN_SOCKET_FILTERING : STUN_SOCKET_MAPPING,
					i == 0 ? &elsewhere : &w.d.server, bytes,
					stun_write_end(&out), w.now_ms);
		assert_false(w.d.found.answered);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(every_nat_is_what_it_is, tell_seed),
		cmocka_unit_test_teardown(a_plain_server_leaves_it_unknown, tell_seed),
		cmocka_unit_test_teardown(a_bad_second_address_is_not_asked, tell_seed),
		cmocka_unit_test_teardown(a_second_socket_that_gets_nothing_out, tell_seed),
		cmocka_unit_test_teardown(a_server_that_does_not_change, tell_seed),
		cmocka_unit_test_teardown(a_second_address_that_is_not_there, tell_seed),
		cmocka_unit_test_teardown(a_server_that_sends_elsewhere, tell_seed),
		cmocka_unit_test_teardown(only_the_address_costs_one_request, tell_seed),
		cmocka_unit_test_teardown(lifetimes_are_found, tell_seed),
		cmocka_unit_test_teardown(lifetimes_in_little_time, tell_seed),
		cmocka_unit_test_teardown(no_lifetime_without_response_port, tell_seed),
		cmocka_unit_test(forgeries_change_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
