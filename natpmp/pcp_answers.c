/* SPDX-License-Identifier: Apache-2.0 */
/* pcp_answers: what a PCP server's datagrams mean to the client; pcp_client.h tells the rest. */
#include "natpmp/pcp_answers.h"

#include <stdio.h>
#include <string.h>

/* Section 7.4, as people and the mapping engine are told. */
static const struct {
	enum portmap_failure failure;
	const char *means;
} meanings[PCP_RESULTS] = {
	[PCP_SUCCESS] = {PORTMAP_MALFORMED, "success without a mapping"},
	[PCP_UNSUPP_VERSION] = {PORTMAP_UNSUPPORTED, "it does not speak this version"},
	[PCP_NOT_AUTHORIZED] = {PORTMAP_REFUSED,
				"its rules do not allow this port to us, or another has it"},
	[PCP_MALFORMED_REQUEST] = {PORTMAP_MALFORMED, "it cannot read our request"},
	[PCP_UNSUPP_OPCODE] = {PORTMAP_UNSUPPORTED, "it does not map ports"},
	[PCP_UNSUPP_OPTION] = {PORTMAP_UNSUPPORTED, "it does not map for other hosts"},
	[PCP_MALFORMED_OPTION] = {PORTMAP_MALFORMED, "it cannot read our request"},
	[PCP_NETWORK_FAILURE] = {PORTMAP_NO_EXTERNAL,
				 "it is not connected to the internet, or behind another NAT"},
	[PCP_NO_RESOURCES] = {PORTMAP_NO_RESOURCES,
			      "its table is full, or it has no external address to map on"},
	[PCP_UNSUPP_PROTOCOL] = {PORTMAP_UNSUPPORTED, "it does not map this protocol"},
	[PCP_USER_EX_QUOTA] = {PORTMAP_NO_RESOURCES, "it grants this host no more mappings"},
	[PCP_CANNOT_PROVIDE_EXTERNAL] = {PORTMAP_CONFLICT,
					 "the external port is another's, or not allowed"},
	[PCP_ADDRESS_MISMATCH] = {PORTMAP_REFUSED, "it sees us under another address: there is "
						   "another NAT between us"},
	[PCP_EXCESSIVE_REMOTE_PEERS] = {PORTMAP_NO_RESOURCES, "it cannot filter that many peers"},
};

static enum portmap_failure pcp_failure_of(unsigned result)
{
	return result < PCP_RESULTS ? meanings[result].failure : PORTMAP_REFUSED;
}

/* The lifetime of an error is how long it will stay so (section 7.2). */
static void pcp_sentence_of(const struct pcp_answer *a, char out[PORTMAP_TEXT_BYTES])
{
	const char *means =
		a->result < PCP_RESULTS ? meanings[a->result].means : "it does not say why";
	char patience[48] = "";

	if (a->lifetime_s > 0)
		snprintf(patience, sizeof(patience), " (asks to wait %u s)", a->lifetime_s);
	snprintf(out, PORTMAP_TEXT_BYTES, "the gateway answered %s: %s%s",
		 pcp_result_name(a->result), means, patience);
}

/* ---- of which mapping it speaks (section 11.4) ---- */

static struct pcp_task *task_of(struct pcp_client *c, const struct pcp_map *m)
{
	for (size_t i = 0; i < c->room; i++) {
		struct pcp_task *t = &c->tasks[i];
		const struct portmap_request *r = &t->request;
		uint8_t protocol = r->transport == PORTMAP_TCP ? PCP_TCP : PCP_UDP;

		if (t->step != PCP_FREE && t->sent > 0 && m->protocol == protocol &&
		    m->internal_port == addr_port(&r->internal) &&
		    memcmp(m->nonce, r->nonce, sizeof(m->nonce)) == 0)
			return t;
	}
	return NULL;
}

/* The task of which the gateway made something else: it mapped another internal port, or tells so
 * late, when that is being deleted. Only where the nonce is one task's alone. */
static struct pcp_task *task_led_astray(struct pcp_client *c, const struct pcp_answer *a)
{
	struct pcp_task *found = NULL;

	if (a->result != PCP_SUCCESS || a->lifetime_s == 0 || a->map.internal_port == 0 ||
	    addr_port(&a->map.external) == 0)
		return NULL;
	for (size_t i = 0; i < c->room; i++) {
		struct pcp_task *t = &c->tasks[i];
		const struct portmap_request *r = &t->request;
		uint8_t protocol = r->transport == PORTMAP_TCP ? PCP_TCP : PCP_UDP;

		if ((t->step != PCP_MAPPING && t->step != PCP_UNMAPPING) || t->sent == 0 ||
		    a->map.protocol != protocol ||
		    memcmp(a->map.nonce, r->nonce, sizeof(a->map.nonce)) != 0)
			continue;
		if (found)
			return NULL;
		found = t;
	}
	return found;
}

static void pcp_led_astray(struct pcp_client *c, struct pcp_task *t, const struct pcp_answer *a,
			   uint64_t now_ms)
{
	char why[PORTMAP_TEXT_BYTES];
	struct portmap_refusal r = {.failure = PORTMAP_MISDIRECTED,
				    .why = why,
				    .inside = t->request.internal,
				    .outside = a->map.external};

	addr_set_port(&r.inside, a->map.internal_port);
	if (t->step == PCP_UNMAPPING) { /* what was asked for has been deleted, this has not */
		t->request.internal = r.inside;
		pcp_task_begin(c, t, PCP_UNMAPPING, now_ms);
		return;
	}
	portmap_misdirection(&r.inside, &t->request.internal, addr_port(&r.outside), why);
	pcp_task_refuse(c, t, &r);
}

/* ---- what it says, by the step of its task ---- */

static void pcp_granted(struct pcp_client *c, struct pcp_task *t, const struct pcp_answer *a,
			uint64_t now_ms)
{
	uint16_t wanted = addr_port(&t->request.external);
	uint16_t got = addr_port(&a->map.external);
	uint32_t id = t->request.id;

	/* The late answer to a deletion: ours is still to come. */
	if (a->lifetime_s == 0)
		return;
	if (got == 0) {
		pcp_task_fail(c, t, PORTMAP_MALFORMED, "the gateway granted external port 0");
		return;
	}
	t->external = a->map.external;
	if (t->request.prefer_failure && wanted != 0 && got != wanted) {
		pcp_task_begin(c, t, PCP_RETURNING, now_ms);
		return;
	}
	t->step = PCP_HELD;
	if (!c->stopped)
		c->heard->mapped(c->heard, PORTMAP_PCP, id, &a->map.external, a->lifetime_s);
}

static void pcp_answered_map(struct pcp_client *c, struct pcp_task *t, const struct pcp_answer *a,
			     uint64_t now_ms)
{
	char why[PORTMAP_TEXT_BYTES];

	if (a->result == PCP_SUCCESS) {
		pcp_granted(c, t, a, now_ms);
		return;
	}
	if (a->result == PCP_UNSUPP_OPTION && t->request.prefer_failure && !t->plain) {
		t->plain = true;
		pcp_task_begin(c, t, PCP_MAPPING, now_ms);
		return;
	}
	pcp_sentence_of(a, why);
	/* The latter is miniupnpd's word for what its rules do not allow. */
	if (c->family == PORTMAP_IPV4 &&
	    (a->result == PCP_NOT_AUTHORIZED || a->result == PCP_CANNOT_PROVIDE_EXTERNAL)) {
		size_t len = strlen(why);

		snprintf(why + len, sizeof(why) - len, "%s",
			 portmap_low_port_hint(addr_port(&t->request.external)));
	}
	pcp_task_refuse(c, t,
			&(struct portmap_refusal){.failure = pcp_failure_of(a->result),
						  .wait_s = a->lifetime_s,
						  .why = why});
}

/* The port is back, or the gateway keeps it. */
static void answered_return(struct pcp_client *c, struct pcp_task *t, const struct pcp_answer *a)
{
	char why[PORTMAP_TEXT_BYTES];

	if (a->result == PCP_SUCCESS && a->lifetime_s > 0)
		return;
	snprintf(why, sizeof(why),
		 "the gateway gave external port %u instead of %u, which another seems to have",
		 addr_port(&t->external), addr_port(&t->request.external));
	if (a->result == PCP_SUCCESS)
		pcp_task_fail(c, t, PORTMAP_CONFLICT, why);
	else
		pcp_task_keeps(c, t, why);
}

/* Also NOT_AUTHORIZED is a refusal: by section 15.1 another nonce has the port, which leads to us
 * all the same; and miniupnpd loses the nonce of a pinhole when it renews it. */
static void answered_unmap(struct pcp_client *c, struct pcp_task *t, const struct pcp_answer *a)
{
	if (a->result == PCP_SUCCESS && a->lifetime_s > 0)
		return;
	pcp_task_unmapped(c, t, a->result == PCP_SUCCESS);
}

/* Section 14.2. A second answer to the same request says nothing new. */
static void told_by_itself(struct pcp_client *c, struct pcp_task *t, const struct pcp_answer *a)
{
	char why[PORTMAP_TEXT_BYTES];

	if (a->result != PCP_SUCCESS ||
	    (a->lifetime_s > 0 && addr_equal(&t->external, &a->map.external)))
		return;
	snprintf(why, sizeof(why), "the gateway says that it changed the mapping of %s port %u",
		 portmap_transport_name(t->request.transport), addr_port(&t->request.internal));
	t->external = a->map.external;
	pcp_gateway_restarted(c, why);
}

static void pcp_answered(struct pcp_client *c, const struct pcp_answer *a, uint64_t now_ms)
{
	struct pcp_task *t = task_of(c, &a->map);

	if (!t) {
		t = task_led_astray(c, a);
		if (t)
			pcp_led_astray(c, t, a, now_ms);
		return; /* else forgotten while the gateway was talked about */
	}
	switch (t->step) {
	case PCP_MAPPING:
		pcp_answered_map(c, t, a, now_ms);
		break;
	case PCP_RETURNING:
		answered_return(c, t, a);
		break;
	case PCP_UNMAPPING:
		answered_unmap(c, t, a);
		break;
	case PCP_HELD:
		told_by_itself(c, t, a);
		break;
	case PCP_FREE:
		break;
	}
}

/* ---- datagrams ---- */

static void pcp_restarted(struct pcp_client *c, uint32_t epoch_s, uint64_t now_ms)
{
	const char *doubt = epoch_doubt_sentence(&c->epoch);
	char why[PORTMAP_TEXT_BYTES];

	if (doubt) {
		if (!c->stopped)
			c->heard->doubted(c->heard, PORTMAP_PCP, c->family, doubt);
		return;
	}
	snprintf(why, sizeof(why),
		 "the gateway's PCP server has lost its mappings: its table is %u s old", epoch_s);
	c->told_ms = now_ms;
	pcp_gateway_restarted(c, why);
}

/* A server that lived less than two seconds before is not seen to restart by its epoch alone: one
 * that announced itself and answers that it has only begun did, unless that was told. */
static bool pcp_newborn(const struct pcp_client *c, uint32_t epoch_s, uint64_t now_ms)
{
	return c->hint_asked && c->phase == PCP_PHASE_UP && epoch_s <= PCP_NEWBORN_S &&
	       (c->told_ms == 0 || c->told_ms + (epoch_s + 1) * UINT64_C(1000) < now_ms);
}

void pcp_client_receive(struct pcp_client *c, const uint8_t *in, size_t len, uint64_t now_ms)
{
	struct pcp_answer a;
	bool valid;

	switch (pcp_answer_parse(in, len, &a)) {
	case PCP_OK:
		break;
	case PCP_OTHER_VERSION:
		if (pcp_gateway_awaited(c))
			pcp_gateway_down(c, PORTMAP_UNSUPPORTED,
					 "the gateway speaks NAT-PMP, not PCP", now_ms);
		return;
	case PCP_MALFORMED:
		c->malformed++;
		c->garbled = true;
		return;
	}
	if (a.opcode != PCP_ANNOUNCE &&
	    (a.opcode != PCP_MAP || (!task_of(c, &a.map) && !task_led_astray(c, &a)))) {
		c->strays++;
		return;
	}
	valid = epoch_pcp_valid(&c->epoch, a.epoch_s, now_ms) &&
		!(a.opcode == PCP_ANNOUNCE && pcp_newborn(c, a.epoch_s, now_ms));
	pcp_gateway_up(c, now_ms);
	if (!valid)
		pcp_restarted(c, a.epoch_s, now_ms);
	if (a.opcode == PCP_ANNOUNCE)
		c->hint_asked = false;
	if (a.opcode == PCP_MAP && !c->stopped)
		pcp_answered(c, &a, now_ms);
}

void pcp_client_announced(struct pcp_client *c, const uint8_t *in, size_t len, uint64_t now_ms)
{
	struct epoch before = c->epoch;
	enum pcp_status status;
	struct pcp_answer a;

	status = pcp_answer_parse(in, len, &a);
	if (status == PCP_MALFORMED ||
	    (status == PCP_OK && (a.opcode != PCP_ANNOUNCE || a.result != PCP_SUCCESS)))
		return;
	if (c->stopped) {
		c->strays++;
		return;
	}
	/* What says nothing new is not asked about. */
	if (status == PCP_OK && c->phase == PCP_PHASE_UP &&
	    epoch_pcp_valid(&before, a.epoch_s, now_ms) && a.epoch_s > PCP_NEWBORN_S)
		return;
	c->hinted = true;
	if (!c->probing)
		pcp_gateway_look(c, now_ms);
}

void pcp_client_unreachable(struct pcp_client *c, uint64_t now_ms)
{
	/* A server that answered before may be about to come back: retransmission decides. */
	if (c->phase != PCP_PHASE_UP && pcp_gateway_awaited(c))
		pcp_gateway_down(c, PORTMAP_UNSUPPORTED,
				 "the gateway's UDP port 5351 is closed: it speaks neither PCP nor "
				 "NAT-PMP",
				 now_ms);
}
