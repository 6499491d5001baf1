/* SPDX-License-Identifier: Apache-2.0 */
/* driver_natpmp: NAT-PMP to one gateway; driver_natpmp.h tells how it works. */
#include "natpmp/driver/natpmp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/container.h"
#include "natpmp/driver/natpmp_gateway.h"
#include "natpmp/pcp.h"

#define ANNOUNCE_MS 5000u /* between announcements that are believed */
#define NEWBORN_S   2u	  /* an epoch that has only begun */

static struct driver_natpmp *of(struct portmap_driver *driver)
{
	return container(driver, struct driver_natpmp, driver);
}

/* ---- tasks ---- */

static void pump_soon(struct driver_natpmp *d)
{
	ring_timer_set(d->options.ring, &d->pump, 0);
}

static struct natpmp_driver_lane *lane_of(struct driver_natpmp *d, const struct natpmp_task *t)
{
	for (size_t i = 0; i < NATPMP_LANES; i++) {
		if (d->lanes[i].task == t)
			return &d->lanes[i];
	}
	return NULL;
}

void natpmp_task_drop(struct driver_natpmp *d, struct natpmp_task *t)
{
	struct natpmp_driver_lane *lane = lane_of(d, t);

	if (lane) {
		lane->task = NULL;
		natpmp_lane_end(&lane->lane);
	}
	t->kind = NATPMP_TASK_FREE;
	t->running = false;
}

void natpmp_task_begin(struct driver_natpmp *d, struct natpmp_task *t, enum natpmp_task_kind kind)
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
		h->failed(h, PORTMAP_NATPMP, id, failure, why);
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

static struct natpmp_driver_lane *free_lane(struct driver_natpmp *d)
{
	for (size_t i = 0; i < NATPMP_LANES; i++) {
		if (!d->lanes[i].lane.open)
			return &d->lanes[i];
	}
	return NULL;
}

/* What cannot be asked at all, and why. */
static const char *impossible(const struct natpmp_task *t)
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

static int start_task(struct driver_natpmp *d, struct natpmp_driver_lane *lane,
		      struct natpmp_task *t)
{
	const struct portmap_request *r = &t->request;
	struct natpmp_lane *l = &lane->lane;
	bool deletion = t->kind == NATPMP_TASK_UNMAP;
	int err;

	l->question = (struct natpmp_question){.opcode = NATPMP_ADDRESS};
	if (t->kind != NATPMP_TASK_ADDRESS) {
		l->question.opcode = r->transport == PORTMAP_TCP ? NATPMP_MAP_TCP : NATPMP_MAP_UDP;
		l->question.internal_port = addr_port(&r->internal);
		l->question.deletion = deletion;
		/* RFC 6886 section 3.4: both are 0 in a deletion. */
		l->external_port = deletion ? 0 : addr_port(&r->external);
		l->lifetime_s = deletion ? 0 : r->lifetime_s;
	}
	t->first_ms = clock_ms(CLOCK_BOOTTIME);
	err = natpmp_lane_start(l);
	if (err)
		return err;
	t->running = true;
	lane->task = t;
	return 0;
}

static void run_queue(struct driver_natpmp *d)
{
	struct natpmp_driver_lane *lane;
	char why[PORTMAP_TEXT_BYTES];
	struct natpmp_task *t;
	int err;

	while (!d->stopping && (t = next_task(d)) && (lane = free_lane(d))) {
		const char *no = impossible(t);

		if (no) {
			natpmp_task_fail(d, t, PORTMAP_UNSUPPORTED, no);
			continue;
		}
		err = start_task(d, lane, t);
		if (!err)
			continue;
		snprintf(why, sizeof(why), "no socket towards the gateway: %s", strerror(-err));
		if (t->kind == NATPMP_TASK_ADDRESS)
			t->kind = NATPMP_TASK_FREE;
		natpmp_gateway_down(d, PORTMAP_SILENT, why);
		return;
	}
}

static void on_pump(struct timer *t, uint64_t now_ms)
{
	struct driver_natpmp *d = container(t, struct driver_natpmp, pump);

	if (!d->stopping) {
		run_queue(d);
		return;
	}
	for (size_t i = 0; i < NATPMP_LANES; i++) {
		if (d->lanes[i].lane.open)
			return;
	}
	d->driver.stopped(&d->driver);
}

static void on_idle(struct natpmp_lane *l)
{
	pump_soon(container(l, struct natpmp_driver_lane, lane)->driver);
}

/* ---- what the engine asks ---- */

static void driver_probe(struct portmap_driver *driver)
{
	struct driver_natpmp *d = of(driver);
	struct natpmp_driver_lane *lane = lane_of(d, &d->tasks[0]);

	if (d->stopping)
		return;
	d->probing = true;
	ring_timer_cancel(d->options.ring, &d->again);
	if (lane)
		natpmp_lane_restart(&lane->lane);
	else
		natpmp_task_begin(d, &d->tasks[0], NATPMP_TASK_ADDRESS);
}

/* The task of this id, or a free one; NULL when there is none. */
static struct natpmp_task *task_for(struct driver_natpmp *d, uint32_t id)
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

static void ask(struct portmap_driver *driver, const struct portmap_request *r,
		enum natpmp_task_kind kind)
{
	struct driver_natpmp *d = of(driver);
	struct natpmp_task *t = task_for(d, r->id);

	if (!t || d->stopping)
		return;
	natpmp_task_drop(d, t);
	t->request = *r;
	natpmp_task_begin(d, t, kind);
}

static void driver_map(struct portmap_driver *driver, const struct portmap_request *r)
{
	ask(driver, r, NATPMP_TASK_MAP);
}

static void driver_unmap(struct portmap_driver *driver, const struct portmap_request *r)
{
	ask(driver, r, NATPMP_TASK_UNMAP);
}

static void driver_forget(struct portmap_driver *driver, uint32_t id)
{
	struct driver_natpmp *d = of(driver);
	struct natpmp_task *t = task_for(d, id);

	if (t && t->kind != NATPMP_TASK_FREE)
		natpmp_task_drop(d, t);
}

static void driver_stop(struct portmap_driver *driver)
{
	struct driver_natpmp *d = of(driver);

	if (d->stopping)
		return;
	d->stopping = true;
	ring_timer_cancel(d->options.ring, &d->again);
	for (size_t i = 0; i <= NATPMP_ROOM; i++)
		natpmp_task_drop(d, &d->tasks[i]);
	pump_soon(d);
}

static void driver_release(struct portmap_driver *driver)
{
	free(of(driver));
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

void driver_natpmp_announced(struct portmap_driver *driver, const uint8_t *in, size_t len)
{
	struct driver_natpmp *d = of(driver);
	struct epoch before = d->epoch;
	uint64_t now = clock_ms(CLOCK_BOOTTIME);
	struct natpmp_announcement a;
	bool lost;

	if (d->stopping || now < d->announce_ms || !parse_announcement(in, len, &a))
		return;
	/* A server that lived less than two seconds before is not seen to restart otherwise. */
	lost = !epoch_natpmp_valid(&before, a.epoch_s, now) || a.epoch_s <= NEWBORN_S;
	if (d->phase == NATPMP_PHASE_UP && !lost && addr_same_host(&a.external, &d->external))
		return;
	d->announce_ms = now + ANNOUNCE_MS;
	if (d->phase == NATPMP_PHASE_UP && lost) {
		d->epoch = before;
		natpmp_gateway_restarted(d, a.epoch_s);
	}
	/* A new address is believed when the gateway itself is asked. */
	natpmp_look(d);
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
		.probe = driver_probe,
		.map = driver_map,
		.unmap = driver_unmap,
		.forget = driver_forget,
		.stop = driver_stop,
		.release = driver_release,
	};
	d->options = *options;
	d->reprobe_ms = NATPMP_REPROBE_MS;
	d->pump.fire = on_pump;
	d->again.fire = natpmp_gateway_again;
	for (size_t i = 0; i < NATPMP_LANES; i++) {
		d->lanes[i].driver = d;
		d->lanes[i].lane.options = &d->options;
		d->lanes[i].lane.done = natpmp_gateway_done;
		d->lanes[i].lane.unanswered = natpmp_gateway_unanswered;
		d->lanes[i].lane.idle = on_idle;
	}
	*out = &d->driver;
	return 0;
}
