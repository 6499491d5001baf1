/* SPDX-License-Identifier: Apache-2.0 */
/* pcp_client: what is sent to a PCP server, and when; pcp_client.h tells how it works. */
#include "natpmp/pcp_client.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "natpmp/pcp_answers.h"

#define NEVER UINT64_MAX

/* Answers of the server are expected. */
static bool pcp_task_in_flight(const struct pcp_task *t)
{
	return t->step != PCP_FREE && t->step != PCP_HELD;
}

int pcp_client_init(struct pcp_client *c, size_t room, uint64_t seed)
{
	c->tasks = calloc(room, sizeof(*c->tasks));
	if (!c->tasks)
		return -ENOMEM;
	c->room = room;
	c->random = seed;
	c->probe_due_ms = NEVER;
	c->reprobe_ms = PCP_REPROBE_MS;
	return 0;
}

void pcp_client_free(struct pcp_client *c)
{
	free(c->tasks);
	c->tasks = NULL;
	c->room = 0;
}

/* ---- time ---- */

/* Section 8.1.1: RAND is between -0.1 and +0.1. */
static uint64_t spread(struct pcp_client *c, uint64_t ms)
{
	uint64_t tenth = ms / 10;

	return ms - tenth + random_next(&c->random) % (2 * tenth + 1);
}

static uint64_t doubled(uint64_t first_ms, unsigned times)
{
	uint64_t ms = first_ms << (times < 16 ? times : 16);

	return ms < PCP_MRT_MS ? ms : PCP_MRT_MS;
}

/* How long to wait after the datagram number sent. */
static uint64_t patience(struct pcp_client *c, unsigned sent)
{
	if (c->phase == PCP_PHASE_UP)
		return spread(c, doubled(PCP_IRT_MS, sent - 1));
	return doubled(PCP_FIRST_MS, sent - 1);
}

static unsigned tries(const struct pcp_client *c)
{
	return c->phase == PCP_PHASE_UP ? PCP_TRIES : PCP_FIRST_TRIES;
}

static bool pace_allows(const struct pcp_client *c, uint64_t now_ms)
{
	return c->paced_ms <= now_ms + PCP_PACE_MS * (PCP_BURST - 1);
}

static void pcp_send_request(struct pcp_client *c, const struct pcp_request *r, uint64_t now_ms)
{
	uint8_t bytes[PCP_REQUEST_BYTES];
	size_t len;

	if (c->stopped || !pcp_request_write(r, bytes, sizeof(bytes), &len))
		return;
	c->paced_ms = (c->paced_ms > now_ms ? c->paced_ms : now_ms) + PCP_PACE_MS;
	c->send(c, bytes, len);
}

/* ---- the gateway ---- */

/* The one place where the phase changes. */
static void pcp_client_change(struct pcp_client *c, enum pcp_phase to)
{
	c->phase = to;
	c->probes = 0;
	c->probing = c->garbled = false;
	c->elsewhere.len = 0;
}

static void send_probe(struct pcp_client *c, uint64_t now_ms)
{
	struct pcp_request r = {.opcode = PCP_ANNOUNCE, .client = c->source};

	c->probes++;
	if (c->hinted) {
		c->announce_ms = now_ms + PCP_ANNOUNCE_MS;
		c->hint_asked = true;
		c->hinted = false;
	}
	if (c->probing) {
		c->probe_due_ms = now_ms + doubled(PCP_FIRST_MS, c->probes - 1);
	} else {
		c->probe_due_ms = now_ms + spread(c, c->reprobe_ms);
		c->reprobe_ms = doubled(c->reprobe_ms, 1);
	}
	pcp_send_request(c, &r, now_ms);
}

/* What the impatience towards an unknown gateway used up. */
static void start_counting_anew(struct pcp_client *c)
{
	for (size_t i = 0; i < c->room; i++) {
		if (c->tasks[i].sent > 1)
			c->tasks[i].sent = 1;
	}
}

void pcp_gateway_up(struct pcp_client *c, uint64_t now_ms)
{
	struct portmap_gateway g;
	bool news = c->probing || c->phase != PCP_PHASE_UP;

	c->heard_ms = now_ms;
	c->probe_due_ms = c->hinted ? c->announce_ms : NEVER;
	if (!news)
		return;
	if (c->phase != PCP_PHASE_UP)
		start_counting_anew(c);
	pcp_client_change(c, PCP_PHASE_UP);
	c->reprobe_ms = PCP_REPROBE_MS;
	memset(&g, 0, sizeof(g));
	g.address = c->gateway;
	snprintf(g.about, sizeof(g.about), "PCP version %u", PCP_VERSION);
	if (!c->stopped)
		c->heard->available(c->heard, PORTMAP_PCP, c->family, &g);
}

/* All that is no newer: what the engine begins when it hears of this is not of this failure. */
static void fail_in_flight(struct pcp_client *c, uint64_t newest, enum portmap_failure failure,
			   const char *why)
{
	for (size_t i = 0; i < c->room; i++) {
		struct pcp_task *t = &c->tasks[i];

		if (!pcp_task_in_flight(t) || t->number > newest)
			continue;
		if (t->step == PCP_UNMAPPING)
			pcp_task_unmapped(c, t, false);
		else
			pcp_task_fail(c, t, failure, why);
	}
}

void pcp_gateway_down(struct pcp_client *c, enum portmap_failure failure, const char *why,
		      uint64_t now_ms)
{
	uint64_t newest = c->numbers;

	pcp_client_change(c, PCP_PHASE_DOWN);
	c->reprobe_ms = PCP_REPROBE_MS;
	c->probe_due_ms = now_ms + spread(c, c->reprobe_ms);
	if (!c->stopped)
		c->heard->unavailable(c->heard, PORTMAP_PCP, c->family, failure, why);
	fail_in_flight(c, newest, failure, why);
}

void pcp_gateway_look(struct pcp_client *c, uint64_t now_ms)
{
	c->reprobe_ms = c->phase == PCP_PHASE_UP ? PCP_IRT_MS : PCP_REPROBE_MS;
	c->probe_due_ms = now_ms < c->announce_ms ? c->announce_ms : now_ms;
	if (c->probe_due_ms == now_ms && pace_allows(c, now_ms))
		send_probe(c, now_ms);
}

bool pcp_gateway_awaited(const struct pcp_client *c)
{
	if (c->probing)
		return true;
	for (size_t i = 0; i < c->room; i++) {
		if (pcp_task_in_flight(&c->tasks[i]))
			return true;
	}
	return false;
}

void pcp_gateway_restarted(struct pcp_client *c, const char *why)
{
	if (!c->stopped)
		c->heard->restarted(c->heard, PORTMAP_PCP, c->family, why);
}

void pcp_client_elsewhere(struct pcp_client *c, const struct addr *from)
{
	if (c->probing && !addr_same_host(from, &c->gateway))
		c->elsewhere = *from;
}

static void tell_elsewhere(struct pcp_client *c, uint64_t now_ms)
{
	char why[PORTMAP_TEXT_BYTES];

	portmap_elsewhere(&c->elsewhere, &c->gateway, why);
	pcp_gateway_down(c, PORTMAP_MALFORMED, why, now_ms);
}

static void tick_probe(struct pcp_client *c, uint64_t now_ms)
{
	if (now_ms < c->probe_due_ms)
		return;
	if (!c->probing || c->probes < PCP_FIRST_TRIES)
		send_probe(c, now_ms);
	else if (c->elsewhere.len > 0)
		tell_elsewhere(c, now_ms);
	else if (c->garbled)
		pcp_gateway_down(c, PORTMAP_MALFORMED,
				 "what the gateway answers on UDP port 5351 is not PCP", now_ms);
	else
		pcp_gateway_down(c, PORTMAP_SILENT,
				 "the gateway does not answer PCP (UDP port 5351); switch PCP or "
				 "NAT-PMP on there, if it has it",
				 now_ms);
}

/* ---- tasks ---- */

static struct addr wildcard(enum portmap_family family, uint16_t port)
{
	struct addr a;
	bool ok = addr_from_literal(family == PORTMAP_IPV4 ? "0.0.0.0" : "::", port, &a);

	assert(ok);
	return a;
}

/* Section 15.1: a deletion has lifetime 0, the nonce of the mapping, and no wish. */
static void send_task(struct pcp_client *c, struct pcp_task *t, uint64_t now_ms)
{
	const struct portmap_request *q = &t->request;
	bool deletion = t->step != PCP_MAPPING;
	struct pcp_request r = {
		.opcode = PCP_MAP,
		.client = c->source,
		.lifetime_s = deletion ? 0 : q->lifetime_s,
		.map = {.protocol = q->transport == PORTMAP_TCP ? PCP_TCP : PCP_UDP,
			.internal_port = addr_port(&q->internal)},
		.prefer_failure = q->prefer_failure && !t->plain && !deletion,
		.third_party = q->third_party,
		.internal = q->internal,
	};

	memcpy(r.map.nonce, q->nonce, sizeof(r.map.nonce));
	r.map.external = wildcard(c->family, deletion ? 0 : addr_port(&q->external));
	if (!deletion && q->external.len > 0 &&
	    q->external.sa.sa_family == r.map.external.sa.sa_family)
		r.map.external = q->external;
	if (t->sent++ == 0)
		t->first_ms = now_ms;
	t->due_ms = now_ms + patience(c, t->sent);
	pcp_send_request(c, &r, now_ms);
}

void pcp_task_begin(struct pcp_client *c, struct pcp_task *t, enum pcp_step step, uint64_t now_ms)
{
	t->step = step;
	t->sent = 0;
	t->due_ms = now_ms;
	t->number = ++c->numbers;
	if (!t->impossible && pace_allows(c, now_ms))
		send_task(c, t, now_ms);
}

void pcp_task_refuse(struct pcp_client *c, struct pcp_task *t, const struct portmap_refusal *r)
{
	uint32_t id = t->request.id;

	t->step = PCP_FREE;
	if (!c->stopped)
		c->heard->failed(c->heard, PORTMAP_PCP, id, r);
}

void pcp_task_fail(struct pcp_client *c, struct pcp_task *t, enum portmap_failure failure,
		   const char *why)
{
	const struct portmap_refusal r = {.failure = failure, .why = why};

	pcp_task_refuse(c, t, &r);
}

void pcp_task_keeps(struct pcp_client *c, struct pcp_task *t, const char *why)
{
	const struct portmap_refusal r = {.failure = PORTMAP_CONFLICT,
					  .why = why,
					  .inside = t->request.internal,
					  .outside = t->external};

	pcp_task_refuse(c, t, &r);
}

void pcp_task_unmapped(struct pcp_client *c, struct pcp_task *t, bool ok)
{
	uint32_t id = t->request.id;

	t->step = PCP_FREE;
	if (!c->stopped)
		c->heard->unmapped(c->heard, PORTMAP_PCP, id, ok);
}

/* It was not answered, as often as it was sent. */
static void pcp_give_up(struct pcp_client *c, struct pcp_task *t, uint64_t now_ms)
{
	if (c->phase != PCP_PHASE_DOWN && c->heard_ms <= t->first_ms && !c->probing)
		pcp_gateway_down(c, PORTMAP_SILENT, "the gateway stopped answering PCP", now_ms);
	else if (t->step == PCP_UNMAPPING)
		pcp_task_unmapped(c, t, false);
	else if (t->step == PCP_RETURNING)
		pcp_task_keeps(c, t,
			       "the gateway gave another external port than the only one wanted");
	else
		pcp_task_fail(c, t, PORTMAP_SILENT,
			      "the gateway did not answer this request over PCP");
}

static void tick_task(struct pcp_client *c, struct pcp_task *t, uint64_t now_ms)
{
	if (!pcp_task_in_flight(t) || now_ms < t->due_ms)
		return;
	if (t->impossible && t->step == PCP_UNMAPPING)
		pcp_task_unmapped(c, t, true);
	else if (t->impossible)
		pcp_task_fail(c, t, PORTMAP_UNSUPPORTED, t->impossible);
	else if (t->sent < tries(c))
		send_task(c, t, now_ms);
	else
		pcp_give_up(c, t, now_ms);
}

void pcp_client_tick(struct pcp_client *c, uint64_t now_ms)
{
	if (pace_allows(c, now_ms))
		tick_probe(c, now_ms);
	for (size_t i = 0; i < c->room && !c->stopped && pace_allows(c, now_ms); i++)
		tick_task(c, &c->tasks[i], now_ms);
}

uint64_t pcp_client_due(const struct pcp_client *c)
{
	uint64_t due = c->probe_due_ms;
	uint64_t ahead = PCP_PACE_MS * (PCP_BURST - 1);
	uint64_t paced = c->paced_ms > ahead ? c->paced_ms - ahead : 0;

	if (c->stopped)
		return NEVER;
	for (size_t i = 0; i < c->room; i++) {
		if (pcp_task_in_flight(&c->tasks[i]) && c->tasks[i].due_ms < due)
			due = c->tasks[i].due_ms;
	}
	return due > paced ? due : paced;
}

/* ---- what the owner asks ---- */

/* The task of this id, or a free one, or the one longest held: it is only of use while the server
 * may tell of it by itself. NULL when all are in flight. */
static struct pcp_task *pcp_task_for(struct pcp_client *c, uint32_t id)
{
	struct pcp_task *best = NULL;

	for (size_t i = 0; i < c->room; i++) {
		struct pcp_task *t = &c->tasks[i];

		if (t->step != PCP_FREE && t->request.id == id)
			return t;
		if (t->step == PCP_FREE && (!best || best->step != PCP_FREE))
			best = t;
		else if (t->step == PCP_HELD &&
			 (!best || (best->step == PCP_HELD && t->number < best->number)))
			best = t;
	}
	return best;
}

/* Section 8.1: the server compares the client's address in the request with where it came from. */
static const char *pcp_impossible(const struct pcp_client *c, const struct portmap_request *r)
{
	const struct addr *internal = &r->internal, any = wildcard(c->family, 0);

	if (internal->len == 0 || internal->sa.sa_family != any.sa.sa_family)
		return "the request is of the other address family than the gateway";
	if (r->third_party)
		return NULL;
	if (addr_same_host(internal, &any) || addr_same_host(internal, &c->source))
		return NULL;
	return "PCP maps to the address that asks; for another host's ports THIRD_PARTY is needed";
}

static void pcp_start(struct pcp_client *c, const struct portmap_request *r, enum pcp_step step,
		      uint64_t now_ms)
{
	struct pcp_task *t = pcp_task_for(c, r->id);

	if (c->stopped || !t)
		return;
	memset(t, 0, sizeof(*t));
	t->request = *r;
	t->impossible = pcp_impossible(c, r);
	pcp_task_begin(c, t, step, now_ms);
}

void pcp_client_map(struct pcp_client *c, const struct portmap_request *r, uint64_t now_ms)
{
	pcp_start(c, r, PCP_MAPPING, now_ms);
}

void pcp_client_unmap(struct pcp_client *c, const struct portmap_request *r, uint64_t now_ms)
{
	pcp_start(c, r, PCP_UNMAPPING, now_ms);
}

void pcp_client_forget(struct pcp_client *c, uint32_t id)
{
	struct pcp_task *t = pcp_task_for(c, id);

	if (t && t->step != PCP_FREE && t->request.id == id)
		t->step = PCP_FREE;
}

void pcp_client_probe(struct pcp_client *c, uint64_t now_ms)
{
	c->probing = true;
	c->garbled = false;
	c->elsewhere.len = 0;
	c->probes = 0;
	c->probe_due_ms = now_ms;
	if (!c->stopped && pace_allows(c, now_ms))
		send_probe(c, now_ms);
}

void pcp_client_stop(struct pcp_client *c)
{
	c->stopped = true;
	for (size_t i = 0; i < c->room; i++)
		c->tasks[i].step = PCP_FREE;
}
