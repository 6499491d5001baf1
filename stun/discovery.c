/* SPDX-License-Identifier: Apache-2.0 */
/*
 * discovery: RFC 5780's tests, which follow from which, and what their outcomes say.
 *
 * Theory of operation. Every test is one request that ends answered, refused or silent, exactly
 * once; discovery_ended() then says what it means and which tests follow:
 *
 *	first ──► other address ──► other port           mapping (section 4.3), one socket
 *	      ├─► control, change both, change port      filtering (section 4.4), another socket
 *	      ├─► hairpin from the first and another     hairpinning (section 3.4)
 *	      └─► all over: bind, idle, probe, bind ...  lifetime (section 4.6), if asked for
 *
 * Mapping and filtering need sockets of their own: a socket that has sent to the server's other
 * address has opened the NAT for it. The filtering tests run side by side, since what comes in
 * opens nothing; a control request on the same socket proves that silence means filtered.
 *
 * A plain request is retransmitted as RFC 8489 says. Where silence is an outcome it ends earlier,
 * after five sendings and 9.5 s. So all is over after 39.5 s without an answer, and within 60 s
 * with one, the lifetime apart, which has its own deadline.
 *
 * Hairpinning is tried from the socket whose external address it is, for which every filter is
 * open, and from another, as section 3.4 has it; one that comes back is enough.
 *
 * The lifetime is looked for with RESPONSE-PORT: the binding of an idle socket is alive if an
 * answer that another socket asks for still gets in. At first it is tried without any idle time; so
 * a server that does not know RESPONSE-PORT, or a NAT with several external addresses, is not taken
 * for a short lifetime.
 *
 * What a server says is not trusted further than it must be. Its other address must differ, in
 * address and port, be of the same family and be unicast; answers count by id and source. An answer
 * to a change request from the usual place shows a server that ignores what it does not know.
 *
 * Deliberately absent: fragments (section 3.5) and the detection of ALGs (section 3.6), which say
 * nothing about direct connections; and TCP, for which there are no such tests.
 */
#include "stun/discovery.h"

#include <assert.h>
#include <string.h>

static const struct stun_pace silence_pace = {STUN_RTO_MS, 5, 4};

static const char no_first[] = "the server did not answer over UDP";
static const char refused_first[] = "the server refuses to answer";
static const char useless_first[] = "the server's answer cannot be understood";
static const char not_asked[] = "the server has no second address (RFC 5780) to find out with";
static const char bad_other[] = "the second address that the server names cannot be used";
static const char no_other[] = "the server's second address did not answer";
static const char no_control[] = "a second socket got no answer from the server";
static const char no_change[] = "the server does not answer from its second address";
static const char no_response_port[] = "the server does not answer to another port "
				       "(RESPONSE-PORT), or the NAT has several addresses";
static const char no_nat[] = "there is no NAT";
static const char no_time[] = "the time given for it is too short";

static void discovery_ended(struct stun_discovery *d, enum stun_test which, uint64_t now_ms);

/* ---- requests ---- */

static void discovery_write_request(struct stun_try *t, const uint8_t *id, bool change_address,
				    bool change_port, uint16_t response_port)
{
	struct stun_writer w;

	stun_write_begin(&w, t->bytes, sizeof t->bytes, STUN_REQUEST, STUN_BINDING, id);
	if (change_address || change_port)
		stun_write_change_request(&w, change_address, change_port);
	if (response_port)
		stun_write_response_port(&w, response_port);
	t->len = stun_write_end(&w);
	assert(t->len > 0);
}

/* to: where the request goes; answerer: where the answer has to come from. */
static void discovery_begin(struct stun_discovery *d, enum stun_test which, enum stun_socket from,
			    const struct addr *to, const struct addr *answerer,
			    uint16_t response_port, uint64_t now_ms)
{
	struct stun_try *t = &d->tests[which];
	uint8_t id[STUN_ID_BYTES];

	d->fresh_id(d, id);
	*t = (struct stun_try){.state = STUN_TEST_RUNNING, .from = from, .to = *to};
	discovery_write_request(t, id, which == STUN_TEST_CHANGE_BOTH,
				which == STUN_TEST_CHANGE_BOTH || which == STUN_TEST_CHANGE_PORT,
				response_port);
	stun_transaction_start(&t->transaction, id, answerer,
			       which == STUN_TEST_FIRST ? &d->pace : &silence_pace, now_ms);
}

static void begin_plain(struct stun_discovery *d, enum stun_test which, enum stun_socket from,
			const struct addr *to, uint64_t now_ms)
{
	discovery_begin(d, which, from, to, to, 0, now_ms);
}

static void discovery_end(struct stun_discovery *d, enum stun_test which,
			  enum stun_test_state state, uint64_t now_ms)
{
	d->tests[which].state = state;
	stun_transaction_end(&d->tests[which].transaction);
	discovery_ended(d, which, now_ms);
}

static bool discovery_running(const struct stun_discovery *d, enum stun_test which)
{
	return d->tests[which].state == STUN_TEST_RUNNING;
}

static bool discovery_answered(const struct stun_discovery *d, enum stun_test which)
{
	return d->tests[which].state == STUN_TEST_ANSWERED;
}

/* ---- the server's places ---- */

static bool is_unicast(const struct addr *a)
{
	if (a->sa.sa_family == AF_INET6)
		return !IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr) &&
		       !IN6_IS_ADDR_MULTICAST(&a->v6.sin6_addr);
	return a->v4.sin_addr.s_addr != htonl(INADDR_ANY) &&
	       !IN_MULTICAST(ntohl(a->v4.sin_addr.s_addr)) &&
	       a->v4.sin_addr.s_addr != htonl(INADDR_BROADCAST);
}

/* Host of one place, port of another: the server has four of them (RFC 5780 section 6). */
static struct addr discovery_place(const struct addr *host, const struct addr *port)
{
	struct addr a = *host;

	addr_set_port(&a, addr_port(port));
	return a;
}

static bool other_usable(const struct addr *server, const struct addr *other)
{
	return other->sa.sa_family == server->sa.sa_family && is_unicast(other) &&
	       addr_port(other) != 0 && addr_port(other) != addr_port(server) &&
	       !addr_same_host(other, server);
}

/* ---- mapping, section 4.3 ---- */

static void judge_mapping(struct stun_discovery *d, uint64_t now_ms)
{
	const struct addr *first = &d->tests[STUN_TEST_FIRST].external;
	const struct addr *second = &d->tests[STUN_TEST_OTHER_ADDRESS].external;
	const struct stun_try *third = &d->tests[STUN_TEST_OTHER_PORT];

	if (!discovery_answered(d, STUN_TEST_OTHER_ADDRESS)) {
		d->found.mapping_why = no_other;
	} else if (addr_equal(first, second)) {
		d->found.mapping = STUN_MAPPING_ENDPOINT_INDEPENDENT;
	} else if (third->state == STUN_TEST_IDLE) {
		begin_plain(d, STUN_TEST_OTHER_PORT, STUN_SOCKET_MAPPING, &d->other, now_ms);
	} else if (third->state != STUN_TEST_ANSWERED) {
		d->found.mapping_why = no_other;
	} else {
		d->found.mapping = addr_equal(second, &third->external)
					   ? STUN_MAPPING_ADDRESS_DEPENDENT
					   : STUN_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
	}
}

/* ---- filtering, section 4.4 ---- */

static void judge_filtering(struct stun_discovery *d)
{
	enum stun_test_state both = d->tests[STUN_TEST_CHANGE_BOTH].state;
	enum stun_test_state port = d->tests[STUN_TEST_CHANGE_PORT].state;

	if (discovery_running(d, STUN_TEST_CONTROL) || both == STUN_TEST_RUNNING ||
	    port == STUN_TEST_RUNNING)
		return;
	if (!discovery_answered(d, STUN_TEST_CONTROL))
		d->found.filtering_why = no_control;
	else if (both == STUN_TEST_ANSWERED)
		d->found.filtering = STUN_FILTERING_ENDPOINT_INDEPENDENT;
	else if (both == STUN_TEST_REFUSED || port == STUN_TEST_REFUSED)
		d->found.filtering_why = no_change;
	else if (port == STUN_TEST_ANSWERED)
		d->found.filtering = STUN_FILTERING_ADDRESS_DEPENDENT;
	else
		d->found.filtering = STUN_FILTERING_ADDRESS_AND_PORT_DEPENDENT;
}

/* ---- hairpinning, section 3.4 ---- */

static void judge_hairpin(struct stun_discovery *d)
{
	if (discovery_answered(d, STUN_TEST_HAIRPIN_SELF) ||
	    discovery_answered(d, STUN_TEST_HAIRPIN_OTHER)) {
		d->found.hairpin = STUN_HAIRPIN_YES;
		for (enum stun_test i = STUN_TEST_HAIRPIN_SELF; i <= STUN_TEST_HAIRPIN_OTHER; i++)
			stun_transaction_end(&d->tests[i].transaction);
	} else if (!discovery_running(d, STUN_TEST_HAIRPIN_SELF) &&
		   !discovery_running(d, STUN_TEST_HAIRPIN_OTHER)) {
		d->found.hairpin = STUN_HAIRPIN_NO;
	}
}

/* ---- lifetime, section 4.6 ---- */

static void give_up_lifetime(struct stun_discovery *d, const char *why)
{
	d->found.lifetime_why = d->found.alive_s || d->found.gone_s ? NULL : why;
}

static void try_idle(struct stun_discovery *d, uint32_t idle_s, uint64_t now_ms)
{
	d->idle_s = idle_s;
	begin_plain(d, STUN_TEST_BIND, STUN_SOCKET_LIFETIME, &d->server, now_ms);
}

/* Idle from the answer on: nothing else is sent from this socket. */
static void discovery_bound(struct stun_discovery *d, uint64_t now_ms)
{
	if (discovery_answered(d, STUN_TEST_BIND))
		d->probe_ms = now_ms + (uint64_t)d->idle_s * 1000;
	else
		give_up_lifetime(d, no_control);
}

static void discovery_probe(struct stun_discovery *d, uint64_t now_ms)
{
	d->probe_ms = STUN_NEVER;
	discovery_begin(d, STUN_TEST_PROBE, STUN_SOCKET_FILTERING, &d->server, &d->server,
			addr_port(&d->tests[STUN_TEST_BIND].external), now_ms);
}

static void discovery_probed(struct stun_discovery *d, uint64_t now_ms)
{
	const struct stun_try *t = &d->tests[STUN_TEST_PROBE];
	bool alive = t->state == STUN_TEST_ANSWERED && t->heard_on == STUN_SOCKET_LIFETIME;
	uint32_t next_s;

	if (!alive && (d->idle_s == 0 || t->state == STUN_TEST_REFUSED)) {
		give_up_lifetime(d, no_response_port);
		return;
	}
	stun_lifetime_tried(&d->lifetime, d->idle_s, alive);
	d->found.alive_s = d->lifetime.alive_s;
	d->found.gone_s = d->lifetime.gone_s;
	next_s = stun_lifetime_next(&d->lifetime, now_ms);
	if (next_s > 0)
		try_idle(d, next_s, now_ms);
	else
		give_up_lifetime(d, no_time);
}

/* When all else is over: the sockets are needed, and their silence. */
static void begin_lifetime(struct stun_discovery *d, uint64_t now_ms)
{
	for (enum stun_test i = 0; i < STUN_TESTS; i++)
		if (stun_transaction_pending(&d->tests[i].transaction))
			return;
	if (!d->nat || d->lifetime_max_s == 0 || d->probing_began)
		return;
	d->probing_began = true;
	if (!discovery_answered(d, STUN_TEST_FIRST)) {
		d->found.lifetime_why = d->found.first_why;
	} else if (d->found.mapping == STUN_MAPPING_NONE) {
		d->found.lifetime_why = no_nat;
	} else if (!d->found.behaviour) {
		d->found.lifetime_why = not_asked;
	} else {
		stun_lifetime_start(&d->lifetime, d->lifetime_max_s, now_ms);
		try_idle(d, 0, now_ms);
	}
}

/* ---- what follows from what ---- */

static void begin_behaviour(struct stun_discovery *d, uint64_t now_ms)
{
	struct addr other_address = discovery_place(&d->other, &d->server);
	struct addr other_port = discovery_place(&d->server, &d->other);

	if (d->found.mapping == STUN_MAPPING_UNKNOWN)
		begin_plain(d, STUN_TEST_OTHER_ADDRESS, STUN_SOCKET_MAPPING, &other_address,
			    now_ms);
	begin_plain(d, STUN_TEST_CONTROL, STUN_SOCKET_FILTERING, &d->server, now_ms);
	discovery_begin(d, STUN_TEST_CHANGE_BOTH, STUN_SOCKET_FILTERING, &d->server, &d->other, 0,
			now_ms);
	discovery_begin(d, STUN_TEST_CHANGE_PORT, STUN_SOCKET_FILTERING, &d->server, &other_port, 0,
			now_ms);
}

static void begin_hairpin(struct stun_discovery *d, uint64_t now_ms)
{
	begin_plain(d, STUN_TEST_HAIRPIN_SELF, STUN_SOCKET_MAPPING, &d->found.external, now_ms);
	begin_plain(d, STUN_TEST_HAIRPIN_OTHER, STUN_SOCKET_FILTERING, &d->found.external, now_ms);
}

/* Nothing more can be asked. */
static void know_nothing(struct stun_discovery *d, const char *why)
{
	struct stun_findings *f = &d->found;

	f->first_why = why;
	if (d->nat)
		f->mapping_why = f->filtering_why = f->hairpin_why = why;
}

static void after_first(struct stun_discovery *d, uint64_t now_ms)
{
	const struct stun_try *t = &d->tests[STUN_TEST_FIRST];
	struct stun_findings *f = &d->found;

	if (t->state != STUN_TEST_ANSWERED) {
		know_nothing(d, !f->answered	? no_first
				: f->error_code ? refused_first
						: useless_first);
		return;
	}
	f->external = t->external;
	if (d->local.len > 0 && addr_equal(&d->local, &f->external))
		f->mapping = STUN_MAPPING_NONE;
	if (!d->nat)
		return;
	if (f->mapping == STUN_MAPPING_NONE)
		f->hairpin_why = no_nat;
	else
		begin_hairpin(d, now_ms);
	f->behaviour = d->other.len > 0 && other_usable(&d->server, &d->other);
	if (f->behaviour) {
		begin_behaviour(d, now_ms);
		return;
	}
	f->filtering_why = d->other.len > 0 ? bad_other : not_asked;
	if (f->mapping == STUN_MAPPING_UNKNOWN)
		f->mapping_why = f->filtering_why;
}

static void discovery_ended(struct stun_discovery *d, enum stun_test which, uint64_t now_ms)
{
	switch (which) {
	case STUN_TEST_FIRST:
		after_first(d, now_ms);
		break;
	case STUN_TEST_OTHER_ADDRESS:
	case STUN_TEST_OTHER_PORT:
		judge_mapping(d, now_ms);
		break;
	case STUN_TEST_CONTROL:
	case STUN_TEST_CHANGE_BOTH:
	case STUN_TEST_CHANGE_PORT:
		judge_filtering(d);
		break;
	case STUN_TEST_HAIRPIN_SELF:
	case STUN_TEST_HAIRPIN_OTHER:
		judge_hairpin(d);
		break;
	case STUN_TEST_BIND:
		discovery_bound(d, now_ms);
		break;
	case STUN_TEST_PROBE:
		discovery_probed(d, now_ms);
		break;
	case STUN_TESTS:
		break;
	}
	begin_lifetime(d, now_ms);
}

/* ---- what comes in ---- */

static bool is_change(enum stun_test which)
{
	return which == STUN_TEST_CHANGE_BOTH || which == STUN_TEST_CHANGE_PORT;
}

static bool is_hairpin(enum stun_test which)
{
	return which == STUN_TEST_HAIRPIN_SELF || which == STUN_TEST_HAIRPIN_OTHER;
}

static struct stun_try *find_test(struct stun_discovery *d, const struct stun_message *m)
{
	for (enum stun_test i = 0; i < STUN_TESTS; i++)
		if (stun_transaction_pending(&d->tests[i].transaction) &&
		    memcmp(d->tests[i].transaction.id, m->header.id, STUN_ID_BYTES) == 0)
			return &d->tests[i];
	return NULL;
}

/* An error to the first request may name another server to ask. */
static void note_error(struct stun_discovery *d, const struct stun_message *m)
{
	d->found.error_code = m->error_code;
	if (m->error_code == STUN_TRY_ALTERNATE && (m->has & STUN_HAS_ALTERNATE_SERVER))
		d->found.alternate = m->alternate;
}

static void take_answer(struct stun_discovery *d, struct stun_try *t, enum stun_socket on,
			const struct addr *from, const struct stun_message *m, uint64_t now_ms)
{
	enum stun_test which = (enum stun_test)(t - d->tests);
	bool first = which == STUN_TEST_FIRST;
	enum stun_match match;

	/* The probe's answer may come to either: that is the question. */
	if (on != t->from && (which != STUN_TEST_PROBE || on != STUN_SOCKET_LIFETIME))
		return;
	if (is_change(which) && addr_equal(from, &d->server)) {
		discovery_end(d, which, STUN_TEST_REFUSED, now_ms);
		return;
	}
	match = stun_transaction_answer(&t->transaction, m, from);
	if (match == STUN_MATCH_NONE)
		return;
	t->heard_on = on;
	if (first)
		d->found.answered = true;
	if (match != STUN_MATCH_SUCCESS) {
		if (first && match == STUN_MATCH_ERROR)
			note_error(d, m);
		discovery_end(d, which, STUN_TEST_REFUSED, now_ms);
		return;
	}
	t->external = *stun_external_address(m);
	if (first && (m->has & STUN_HAS_OTHER_ADDRESS))
		d->other = m->other;
	discovery_end(d, which, STUN_TEST_ANSWERED, now_ms);
}

void stun_discovery_datagram(struct stun_discovery *d, enum stun_socket on, const struct addr *from,
			     const uint8_t *bytes, size_t len, uint64_t now_ms)
{
	struct addr plain = *from;
	struct stun_message m;
	struct stun_try *t;
	enum stun_test which;

	if (stun_decode(bytes, len, &m) != STUN_OK)
		return;
	t = find_test(d, &m);
	if (!t)
		return;
	addr_unmap(&plain);
	which = (enum stun_test)(t - d->tests);
	if (!is_hairpin(which))
		take_answer(d, t, on, &plain, &m, now_ms);
	else if (m.header.class == STUN_REQUEST && on == STUN_SOCKET_MAPPING)
		discovery_end(d, which, STUN_TEST_ANSWERED, now_ms);
	stun_discovery_tick(d, now_ms);
}

/* ---- time ---- */

void stun_discovery_start(struct stun_discovery *d, uint64_t now_ms)
{
	memset(&d->found, 0, sizeof d->found);
	memset(&d->other, 0, sizeof d->other);
	d->probe_ms = STUN_NEVER;
	d->probing_began = false;
	addr_unmap(&d->server);
	if (d->local.len > 0)
		addr_unmap(&d->local);
	if (d->pace.sends == 0)
		d->pace = stun_pace_datagram;
	for (enum stun_test i = 0; i < STUN_TESTS; i++) {
		d->tests[i] = (struct stun_try){.state = STUN_TEST_IDLE};
		stun_transaction_end(&d->tests[i].transaction);
	}
	begin_plain(d, STUN_TEST_FIRST, STUN_SOCKET_MAPPING, &d->server, now_ms);
	stun_discovery_tick(d, now_ms);
}

uint64_t stun_discovery_next(const struct stun_discovery *d)
{
	uint64_t next_ms = d->probe_ms;

	for (enum stun_test i = 0; i < STUN_TESTS; i++)
		if (stun_transaction_next(&d->tests[i].transaction) < next_ms)
			next_ms = stun_transaction_next(&d->tests[i].transaction);
	return next_ms;
}

void stun_discovery_tick(struct stun_discovery *d, uint64_t now_ms)
{
	if (d->probe_ms <= now_ms)
		discovery_probe(d, now_ms);
	for (enum stun_test i = 0; i < STUN_TESTS; i++) {
		struct stun_try *t = &d->tests[i];
		enum stun_step step = stun_transaction_step(&t->transaction, now_ms);

		if (step == STUN_STEP_SEND)
			d->send(d, t->from, &t->to, t->bytes, t->len);
		else if (step == STUN_STEP_FAIL)
			discovery_end(d, i, STUN_TEST_SILENT, now_ms);
	}
}
