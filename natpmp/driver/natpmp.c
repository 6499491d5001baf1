/* SPDX-License-Identifier: Apache-2.0 */
/* natpmp: NAT-PMP to one gateway; natpmp.h tells how it works. */
#include "natpmp/driver/natpmp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/container.h"
#include "natpmp/driver/natpmp_gateway.h"
#include "natpmp/pcp.h"

#define HINT_AGAIN_MS 500u
#define ANNOUNCE_MS   5000u /* between announcements that the gateway is asked about */

static struct driver_natpmp *natpmp_of(struct portmap_driver *driver)
{
	return container(driver, struct driver_natpmp, driver);
}

/* ---- tasks ---- */

static void pump_soon(struct driver_natpmp *d)
{
	ring_timer_set(d->options.ring, &d->pump, 0);
}

static struct natpmp_driver_transaction *transaction_of(struct driver_natpmp *d,
							const struct natpmp_task *t)
{
	for (size_t i = 0; i < NATPMP_TRANSACTIONS; i++) {
		if (d->transactions[i].task == t)
			return &d->transactions[i];
	}
	return NULL;
}

void natpmp_task_drop(struct driver_natpmp *d, struct natpmp_task *t)
{
	struct natpmp_driver_transaction *transaction = transaction_of(d, t);

	if (transaction) {
		transaction->task = NULL;
		natpmp_transaction_end(&transaction->transaction);
	}
	t->kind = NATPMP_TASK_FREE;
	t->running = false;
}

/* The task waits for a transaction. */
static void natpmp_task_begin(struct driver_natpmp *d, struct natpmp_task *t,
			      enum natpmp_task_kind kind)
{
	t->kind = kind;
	t->running = false;
	t->number = ++d->numbers;
	pump_soon(d);
}

void natpmp_task_fail(struct driver_natpmp *d, struct natpmp_task *t, enum portmap_failure failure,
		      const char *why)
{
	struct portmap_heard *h = d->driver.heard;
	uint32_t id = t->request.id;
	enum natpmp_task_kind kind = t->kind;

	natpmp_task_drop(d, t);
	if (kind == NATPMP_TASK_MAP && !d->stopping)
		h->failed(h, PORTMAP_NATPMP, id,
			  &(struct portmap_refusal){.failure = failure, .why = why});
	else if (kind == NATPMP_TASK_UNMAP && !d->stopping)
		h->unmapped(h, PORTMAP_NATPMP, id, false);
}

void natpmp_look(struct driver_natpmp *d)
{
	if (d->tasks[0].kind == NATPMP_TASK_FREE && !d->stopping)
		natpmp_task_begin(d, &d->tasks[0], NATPMP_TASK_ADDRESS);
}

/* ---- the pump ---- */

static struct natpmp_task *next_task(struct driver_natpmp *d)
{
	struct natpmp_task *next = NULL;

	for (size_t i = 0; i <= NATPMP_ROOM; i++) {
		struct natpmp_task *t = &d->tasks[i];

		if (t->kind != NATPMP_TASK_FREE && !t->running &&
		    (!next || t->number < next->number))
			next = t;
	}
	return next;
}

static struct natpmp_driver_transaction *free_transaction(struct driver_natpmp *d)
{
	for (size_t i = 0; i < NATPMP_TRANSACTIONS; i++) {
		if (!d->transactions[i].transaction.open)
			return &d->transactions[i];
	}
	return NULL;
}

/* What cannot be asked at all, and why. */
static const char *natpmp_impossible(const struct natpmp_task *t)
{
	const struct addr *in = &t->request.internal;

	if (t->kind == NATPMP_TASK_ADDRESS)
		return NULL;
	if (t->request.third_party)
		return "NAT-PMP maps to the address that asks; for another host's ports PCP or "
		       "UPnP "
		       "is needed";
	if (in->len == 0 || in->sa.sa_family != AF_INET)
		return "NAT-PMP maps IPv4 only";
	return addr_port(in) == 0 ? "internal port 0 is no port" : NULL;
}

static int start_task(struct driver_natpmp *d, struct natpmp_driver_transaction *transaction,
		      struct natpmp_task *t)
{
	const struct portmap_request *r = &t->request;
	struct natpmp_transaction *x = &transaction->transaction;
	bool deletion = t->kind == NATPMP_TASK_UNMAP;
	int err;

	x->question = (struct natpmp_question){.opcode = NATPMP_ADDRESS};
	if (t->kind != NATPMP_TASK_ADDRESS) {
		x->question.opcode = r->transport == PORTMAP_TCP ? NATPMP_MAP_TCP : NATPMP_MAP_UDP;
		x->question.internal_port = addr_port(&r->internal);
		x->question.deletion = deletion;
		/* RFC 6886 section 3.4: both are 0 in a deletion. */
		x->external_port = deletion ? 0 : addr_port(&r->external);
		x->lifetime_s = deletion ? 0 : r->lifetime_s;
	}
	t->first_ms = clock_ms(CLOCK_BOOTTIME);
	err = natpmp_transaction_start(x);
	if (err)
		return err;
	t->running = true;
	transaction->task = t;
	if (t->kind == NATPMP_TASK_ADDRESS) {
		d->hint_asked = d->hinted;
		d->hinted = false;
	}
	return 0;
}

static void natpmp_run_queue(struct driver_natpmp *d)
{
	struct natpmp_driver_transaction *transaction;
	char why[PORTMAP_TEXT_BYTES];
	struct natpmp_task *t;
	int err;

	while (!d->stopping && (t = next_task(d)) && (transaction = free_transaction(d))) {
		const char *no = natpmp_impossible(t);

		if (no) {
			natpmp_task_fail(d, t, PORTMAP_UNSUPPORTED, no);
			continue;
		}
		err = start_task(d, transaction, t);
		if (!err)
			continue;
		snprintf(why, sizeof(why), "no socket towards the gateway: %s", strerror(-err));
		if (t->kind == NATPMP_TASK_ADDRESS)
			t->kind = NATPMP_TASK_FREE;
		natpmp_gateway_down(d, PORTMAP_SILENT, why);
		return;
	}
}

static void natpmp_driver_pump_due(struct timer *t, uint64_t now_ms)
{
	struct driver_natpmp *d = container(t, struct driver_natpmp, pump);

	if (!d->stopping) {
		natpmp_run_queue(d);
		return;
	}
	for (size_t i = 0; i < NATPMP_TRANSACTIONS; i++) {
		if (d->transactions[i].transaction.open)
			return;
	}
	d->driver.stopped(&d->driver);
}

static void natpmp_driver_idle(struct natpmp_transaction *x)
{
	pump_soon(container(x, struct natpmp_driver_transaction, transaction)->driver);
}

/* ---- what the engine asks ---- */

static void natpmp_driver_ask_external(struct portmap_driver *driver)
{
	natpmp_look(natpmp_of(driver));
}

static void natpmp_driver_probe(struct portmap_driver *driver)
{
	struct driver_natpmp *d = natpmp_of(driver);
	struct natpmp_driver_transaction *transaction = transaction_of(d, &d->tasks[0]);

	if (d->stopping)
		return;
	d->probing = true;
	ring_timer_cancel(d->options.ring, &d->again);
	if (transaction)
		natpmp_transaction_restart(&transaction->transaction);
	else
		natpmp_task_begin(d, &d->tasks[0], NATPMP_TASK_ADDRESS);
}

/* The task of this id, or a free one; NULL when there is none. */
static struct natpmp_task *natpmp_task_for(struct driver_natpmp *d, uint32_t id)
{
	struct natpmp_task *empty = NULL;

	for (size_t i = 1; i <= NATPMP_ROOM; i++) {
		struct natpmp_task *t = &d->tasks[i];

		if (t->kind == NATPMP_TASK_FREE)
			empty = t;
		else if (t->request.id == id)
			return t;
	}
	return empty;
}

static void natpmp_ask(struct portmap_driver *driver, const struct portmap_request *r,
		       enum natpmp_task_kind kind)
{
	struct driver_natpmp *d = natpmp_of(driver);
	struct natpmp_task *t = natpmp_task_for(d, r->id);

	if (!t || d->stopping)
		return;
	natpmp_task_drop(d, t);
	t->request = *r;
	natpmp_task_begin(d, t, kind);
}

static void natpmp_driver_map(struct portmap_driver *driver, const struct portmap_request *r)
{
	natpmp_ask(driver, r, NATPMP_TASK_MAP);
}

static void natpmp_driver_unmap(struct portmap_driver *driver, const struct portmap_request *r)
{
	natpmp_ask(driver, r, NATPMP_TASK_UNMAP);
}

static void natpmp_driver_forget(struct portmap_driver *driver, uint32_t id)
{
	struct driver_natpmp *d = natpmp_of(driver);
	struct natpmp_task *t = natpmp_task_for(d, id);

	if (t && t->kind != NATPMP_TASK_FREE)
		natpmp_task_drop(d, t);
}

static void natpmp_driver_stop(struct portmap_driver *driver)
{
	struct driver_natpmp *d = natpmp_of(driver);

	if (d->stopping)
		return;
	d->stopping = true;
	ring_timer_cancel(d->options.ring, &d->again);
	ring_timer_cancel(d->options.ring, &d->hint);
	gateway_wide_close(&d->wide);
	for (size_t i = 0; i <= NATPMP_ROOM; i++)
		natpmp_task_drop(d, &d->tasks[i]);
	pump_soon(d);
}

static void natpmp_driver_release(struct portmap_driver *driver)
{
	free(natpmp_of(driver));
}

/* Some gateways announce by PCP alone, to the same port, and mean NAT-PMP's table, too. */
static bool parse_announcement(const uint8_t *in, size_t len, struct natpmp_announcement *out)
{
	struct pcp_answer pcp;

	if (natpmp_announcement_parse(in, len, out))
		return true;
	if (pcp_answer_parse(in, len, &pcp) != PCP_OK || pcp.opcode != PCP_ANNOUNCE)
		return false;
	memset(out, 0, sizeof(*out));
	out->result = pcp.result;
	out->epoch_s = pcp.epoch_s;
	return true;
}

/* Asks now, or when it may be asked again: what was asked before the hint may not tell. */
static void natpmp_follow_hint(struct driver_natpmp *d, uint64_t now)
{
	bool busy = d->tasks[0].kind != NATPMP_TASK_FREE && d->tasks[0].running;

	if (now < d->announce_ms || busy) {
		ring_timer_set(d->options.ring, &d->hint,
			       now < d->announce_ms ? d->announce_ms - now : HINT_AGAIN_MS);
		return;
	}
	d->announce_ms = now + ANNOUNCE_MS;
	natpmp_look(d);
}

/* A hint and no more, since any host of the LAN can forge one: the gateway's answer decides. */
void driver_natpmp_announced(struct portmap_driver *driver, const uint8_t *in, size_t len)
{
	struct driver_natpmp *d = natpmp_of(driver);
	struct epoch before = d->epoch;
	uint64_t now = clock_ms(CLOCK_BOOTTIME);
	struct natpmp_announcement a;

	if (d->stopping || !parse_announcement(in, len, &a))
		return;
	if (d->phase == NATPMP_PHASE_UP && epoch_natpmp_valid(&before, a.epoch_s, now) &&
	    a.epoch_s > NATPMP_NEWBORN_S && addr_same_host(&a.external, &d->external))
		return;
	d->hinted = true;
	natpmp_follow_hint(d, now);
}

static void natpmp_driver_hint_due(struct timer *t, uint64_t now_ms)
{
	struct driver_natpmp *d = container(t, struct driver_natpmp, hint);

	if (d->hinted) /* else asked meanwhile */
		natpmp_follow_hint(d, clock_ms(CLOCK_BOOTTIME));
}

int driver_natpmp_open(struct portmap_driver **out, const struct gateway_options *options)
{
	struct driver_natpmp *d;

	if (options->place.gateway.sa.sa_family != AF_INET)
		return -EAFNOSUPPORT;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->driver = (struct portmap_driver){
		.protocol = PORTMAP_NATPMP,
		.families = {[PORTMAP_IPV4] = true},
		.heard = options->heard,
		.probe = natpmp_driver_probe,
		.map = natpmp_driver_map,
		.ask_external = natpmp_driver_ask_external,
		.unmap = natpmp_driver_unmap,
		.forget = natpmp_driver_forget,
		.stop = natpmp_driver_stop,
		.release = natpmp_driver_release,
	};
	d->options = *options;
	d->wide = (struct gateway_wide){.options = &d->options, .fd = -1};
	d->reprobe_ms = NATPMP_REPROBE_MS;
	d->pump.fire = natpmp_driver_pump_due;
	d->again.fire = natpmp_gateway_again;
	d->hint.fire = natpmp_driver_hint_due;
	for (size_t i = 0; i < NATPMP_TRANSACTIONS; i++) {
		d->transactions[i].driver = d;
		d->transactions[i].transaction.options = &d->options;
		d->transactions[i].transaction.done = natpmp_gateway_done;
		d->transactions[i].transaction.unanswered = natpmp_gateway_unanswered;
		d->transactions[i].transaction.idle = natpmp_driver_idle;
	}
	*out = &d->driver;
	return 0;
}
