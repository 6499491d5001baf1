/* SPDX-License-Identifier: Apache-2.0 */
/* natpmp_gateway: what the NAT-PMP driver knows of its gateway, and what answers and silence mean.
 */
#include "natpmp/driver/natpmp_gateway.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/container.h"

#define SILENT_UNKNOWN 4u /* tries before silence is told */
#define SILENT_KNOWN   6u /* and of a gateway that answered before */
#define WIDE_TRY       2u /* then it is asked so that answers from elsewhere are seen, too */
#define LOOK_TRIES     2u /* of a look that no caller waits for */
#define REPROBE_MAX_MS 1024000u
#define ADDRESS_AGE_MS 60000u /* after that a mapping's success is a reason to ask for it again */

static void look_later(struct driver_natpmp *d)
{
	uint64_t next = d->reprobe_ms * 2;

	ring_timer_set(d->options.ring, &d->again, d->reprobe_ms);
	d->reprobe_ms = next < REPROBE_MAX_MS ? next : REPROBE_MAX_MS;
}

void natpmp_gateway_again(struct timer *t, uint64_t now_ms)
{
	natpmp_look(container(t, struct driver_natpmp, again));
}

/* Another router answered in the gateway's place; no answer of its own came. */
static bool heard_elsewhere(struct driver_natpmp *d, char why[PORTMAP_TEXT_BYTES])
{
	struct addr asked = gateway_address(&d->options), from;

	while (gateway_wide_heard(&d->wide, &from)) {
		if (addr_same_host(&from, &asked))
			continue;
		portmap_elsewhere(&from, &asked, why);
		return true;
	}
	return false;
}

static void gateway_up(struct driver_natpmp *d, const struct addr *external)
{
	struct portmap_heard *h = d->driver.heard;
	bool news = d->phase != NATPMP_PHASE_UP || d->probing;
	bool moved = d->external.len > 0 && !addr_same_host(&d->external, external);
	struct portmap_gateway g;

	d->phase = NATPMP_PHASE_UP;
	d->probing = false;
	gateway_wide_close(&d->wide);
	d->reprobe_ms = NATPMP_REPROBE_MS;
	d->external = *external;
	ring_timer_cancel(d->options.ring, &d->again);
	memset(&g, 0, sizeof(g));
	g.address = gateway_address(&d->options);
	g.external = *external;
	snprintf(g.about, sizeof(g.about), "NAT-PMP");
	if (news && !d->stopping)
		h->available(h, PORTMAP_NATPMP, PORTMAP_IPV4, &g);
	if (moved && !d->stopping)
		h->external_changed(h, PORTMAP_NATPMP, external);
}

void natpmp_gateway_down(struct driver_natpmp *d, enum portmap_failure failure, const char *why)
{
	struct portmap_heard *h = d->driver.heard;
	bool news = d->phase != NATPMP_PHASE_DOWN || d->probing;
	uint64_t newest = d->numbers;

	if (d->phase != NATPMP_PHASE_DOWN)
		d->reprobe_ms = NATPMP_REPROBE_MS;
	d->phase = NATPMP_PHASE_DOWN;
	d->probing = false;
	gateway_wide_close(&d->wide);
	if (news && !d->stopping)
		h->unavailable(h, PORTMAP_NATPMP, PORTMAP_IPV4, failure, why);
	/* What the engine began when it heard of this is not of this failure. */
	for (size_t i = 1; i <= NATPMP_ROOM && !d->stopping; i++) {
		if (d->tasks[i].kind != NATPMP_TASK_FREE && d->tasks[i].number <= newest)
			natpmp_task_fail(d, &d->tasks[i], failure, why);
	}
	if (d->tasks[0].kind == NATPMP_TASK_FREE && !d->stopping && d->phase == NATPMP_PHASE_DOWN)
		look_later(d);
}

void natpmp_gateway_restarted(struct driver_natpmp *d, uint32_t epoch_s)
{
	struct portmap_heard *h = d->driver.heard;
	const char *doubt = epoch_doubt_sentence(&d->epoch);
	char why[PORTMAP_TEXT_BYTES];

	if (doubt) {
		if (!d->stopping)
			h->doubted(h, PORTMAP_NATPMP, PORTMAP_IPV4, doubt);
		return;
	}
	snprintf(why, sizeof(why),
		 "the gateway's NAT-PMP server has lost its mappings: its table is %u s old",
		 epoch_s);
	d->told_ms = d->heard_ms;
	if (!d->stopping)
		h->restarted(h, PORTMAP_NATPMP, PORTMAP_IPV4, why);
	natpmp_look(d);
}

/* ---- answers ---- */

/* RFC 6886 section 3.5 */
static enum portmap_failure natpmp_failure_of(unsigned result)
{
	switch (result) {
	case NATPMP_NETWORK_FAILURE:
		return PORTMAP_NO_EXTERNAL;
	case NATPMP_OUT_OF_RESOURCES:
		return PORTMAP_NO_RESOURCES;
	case NATPMP_UNSUPPORTED_OPCODE:
		return PORTMAP_UNSUPPORTED;
	default:
		return PORTMAP_REFUSED;
	}
}

static void natpmp_sentence_of(unsigned result, char out[PORTMAP_TEXT_BYTES])
{
	static const char *const means[NATPMP_RESULTS] = {
		[NATPMP_NOT_AUTHORIZED] = "its rules do not allow it, or it is switched off there",
		[NATPMP_NETWORK_FAILURE] =
			"it is not connected to the internet, or behind another NAT",
		[NATPMP_OUT_OF_RESOURCES] = "its table is full",
		[NATPMP_UNSUPPORTED_OPCODE] = "it does not map this",
	};
	const char *meaning = result < NATPMP_RESULTS ? means[result] : NULL;

	snprintf(out, PORTMAP_TEXT_BYTES, "the gateway answered \"%s\": %s",
		 natpmp_result_name(result), meaning ? meaning : "it does not say why");
}

static void answered_address(struct driver_natpmp *d, const natpmpresp_t *a)
{
	struct addr external;
	char why[PORTMAP_TEXT_BYTES];

	memset(&external, 0, sizeof(external));
	external.len = sizeof(external.v4);
	external.v4.sin_family = AF_INET;
	external.v4.sin_addr = a->pnu.publicaddress.addr;
	d->address_ms = clock_ms(CLOCK_BOOTTIME);
	if (a->resultcode == NATPMP_SUCCESS && external.v4.sin_addr.s_addr != htonl(INADDR_ANY)) {
		gateway_up(d, &external);
		return;
	}
	natpmp_sentence_of(a->resultcode == NATPMP_SUCCESS ? NATPMP_NETWORK_FAILURE : a->resultcode,
			   why);
	switch (a->resultcode) {
	case NATPMP_SUCCESS:
	case NATPMP_NETWORK_FAILURE:
		natpmp_gateway_down(d, PORTMAP_NO_EXTERNAL, why);
		break;
	default:
		natpmp_gateway_down(d, PORTMAP_UNSUPPORTED, why);
	}
}

static void natpmp_answered_map(struct driver_natpmp *d, const struct portmap_request *asked,
				const natpmpresp_t *a)
{
	struct portmap_heard *h = d->driver.heard;
	uint32_t id = asked->id;
	/* The answer has no address. */
	struct addr external = {.v4.sin_family = AF_INET, .len = sizeof external.v4};
	char why[PORTMAP_TEXT_BYTES];
	struct portmap_refusal r = {.failure = PORTMAP_MISDIRECTED, .why = why};

	if (a->resultcode != NATPMP_SUCCESS) {
		natpmp_sentence_of(a->resultcode, why);
		if (a->resultcode == NATPMP_NOT_AUTHORIZED) {
			size_t len = strlen(why);

			snprintf(why + len, sizeof(why) - len, "%s",
				 portmap_low_port_hint(addr_port(&asked->external)));
		}
		r.failure = natpmp_failure_of(a->resultcode);
		h->failed(h, PORTMAP_NATPMP, id, &r);
		return;
	}
	external.v4.sin_port = htons(a->pnu.newportmapping.mappedpublicport);
	r.inside = asked->internal;
	addr_set_port(&r.inside, a->pnu.newportmapping.privateport);
	if (!addr_equal(&r.inside, &asked->internal)) {
		r.outside = external;
		portmap_misdirection(&r.inside, &asked->internal, addr_port(&external), why);
		h->failed(h, PORTMAP_NATPMP, id, &r);
		return;
	}
	h->mapped(h, PORTMAP_NATPMP, id, &external, a->pnu.newportmapping.lifetime);
	if (clock_ms(CLOCK_BOOTTIME) - d->address_ms > ADDRESS_AGE_MS)
		natpmp_look(d);
}

/* A server that lived less than two seconds before is not seen to restart by its epoch alone: one
 * that announced itself and answers that it has only begun did, unless that was told. */
static bool natpmp_newborn(const struct driver_natpmp *d, uint32_t epoch_s)
{
	return d->hint_asked && d->phase == NATPMP_PHASE_UP && epoch_s <= NATPMP_NEWBORN_S &&
	       (d->told_ms == 0 || d->told_ms + (epoch_s + 1) * UINT64_C(1000) < d->heard_ms);
}

static void natpmp_answered(struct driver_natpmp *d, struct natpmp_task *t, const natpmpresp_t *a)
{
	struct portmap_heard *h = d->driver.heard;
	struct natpmp_task was = *t;
	uint64_t number = t->number;

	d->heard_ms = clock_ms(CLOCK_BOOTTIME);
	t->running = false;
	if (!epoch_natpmp_valid(&d->epoch, a->epoch, d->heard_ms) ||
	    (was.kind == NATPMP_TASK_ADDRESS && natpmp_newborn(d, a->epoch)))
		natpmp_gateway_restarted(d, a->epoch);
	if (was.kind == NATPMP_TASK_ADDRESS)
		d->hint_asked = false;
	if (d->phase == NATPMP_PHASE_DOWN)
		natpmp_look(d);
	if (d->stopping || t->kind == NATPMP_TASK_FREE || t->number != number)
		return; /* forgotten, or asked anew, when the restart was told */
	t->kind = NATPMP_TASK_FREE;
	if (was.kind == NATPMP_TASK_ADDRESS)
		answered_address(d, a);
	else if (was.kind == NATPMP_TASK_MAP)
		natpmp_answered_map(d, &was.request, a);
	else
		h->unmapped(h, PORTMAP_NATPMP, was.request.id, a->resultcode == NATPMP_SUCCESS);
}

void natpmp_gateway_done(struct natpmp_transaction *x, enum natpmp_outcome outcome)
{
	struct natpmp_driver_transaction *transaction =
		container(x, struct natpmp_driver_transaction, transaction);
	struct driver_natpmp *d = transaction->driver;
	struct natpmp_task *t = transaction->task;

	transaction->task = NULL;
	if (!t)
		return;
	if (outcome == NATPMP_ANSWERED) {
		natpmp_answered(d, t, &x->answer);
		return;
	}
	if (t->kind == NATPMP_TASK_ADDRESS)
		t->kind = NATPMP_TASK_FREE;
	if (outcome == NATPMP_NO_NATPMP)
		natpmp_gateway_down(d, PORTMAP_UNSUPPORTED, "the gateway does not speak NAT-PMP");
	else
		natpmp_gateway_down(
			d, PORTMAP_UNSUPPORTED,
			"the gateway's UDP port 5351 is closed: it speaks neither PCP nor "
			"NAT-PMP");
}

/* ---- silence ---- */

static bool address_unanswered(struct driver_natpmp *d, struct natpmp_task *t, unsigned sent)
{
	unsigned silent =
		d->phase == NATPMP_PHASE_UP && !d->probing ? SILENT_KNOWN : SILENT_UNKNOWN;
	static const uint8_t question[2] = {0, NATPMP_ADDRESS}; /* RFC 6886 section 3.2 */
	char why[PORTMAP_TEXT_BYTES];

	/* A look that no caller waits for: another time. */
	if (d->phase == NATPMP_PHASE_DOWN && !d->probing && sent < SILENT_UNKNOWN &&
	    sent >= LOOK_TRIES) {
		natpmp_task_drop(d, t);
		look_later(d);
		return false;
	}
	if (sent == WIDE_TRY && d->probing)
		gateway_wide_ask(&d->wide, question, sizeof(question));
	if (sent == silent && d->probing && heard_elsewhere(d, why))
		natpmp_gateway_down(d, PORTMAP_MALFORMED, why);
	else if (sent == silent && (d->probing || d->phase != NATPMP_PHASE_DOWN))
		natpmp_gateway_down(
			d, PORTMAP_SILENT,
			"the gateway does not answer NAT-PMP (UDP port 5351); switch PCP or "
			"NAT-PMP on there, if it has it");
	if (t->kind == NATPMP_TASK_FREE || !t->running)
		return false; /* stopped or asked anew meanwhile */
	if (sent < NATPMP_TRIES)
		return true;
	natpmp_task_drop(d, t);
	look_later(d);
	return false;
}

static bool request_unanswered(struct driver_natpmp *d, struct natpmp_task *t, unsigned sent)
{
	unsigned silent = d->phase == NATPMP_PHASE_UP ? SILENT_KNOWN : SILENT_UNKNOWN;

	if (sent == silent && d->phase == NATPMP_PHASE_UP && d->heard_ms <= t->first_ms) {
		natpmp_gateway_down(d, PORTMAP_SILENT, "the gateway stopped answering NAT-PMP");
		return false;
	}
	if (sent < silent || (d->phase == NATPMP_PHASE_UP && sent < NATPMP_TRIES))
		return true;
	natpmp_task_fail(d, t, PORTMAP_SILENT,
			 "the gateway did not answer this request over NAT-PMP");
	return false;
}

bool natpmp_gateway_unanswered(struct natpmp_transaction *x)
{
	struct natpmp_driver_transaction *transaction =
		container(x, struct natpmp_driver_transaction, transaction);
	struct natpmp_task *t = transaction->task;

	if (!t)
		return false;
	return t->kind == NATPMP_TASK_ADDRESS ? address_unanswered(transaction->driver, t, x->sent)
					      : request_unanswered(transaction->driver, t, x->sent);
}
