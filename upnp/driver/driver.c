/* SPDX-License-Identifier: Apache-2.0 */
/* driver: the engine's requests, one after the other. */
#include "upnp/driver/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/container.h"
#include "core/log.h"
#include "upnp/driver/driver_internal.h"

#define AREA "upnp"

#define COMMAND_MS   5000u
#define END_POLL_MS  2u
#define PORTS_OF_OUR 49152u /* RFC 6335: assigned to no service */

static struct upnp_driver *upnp_driver_of(struct portmap_driver *d)
{
	return container(d, struct upnp_driver, base);
}

/* ---- slots ----------------------------------------------------------------------------------- */

static struct upnp_slot *upnp_driver_find(struct upnp_driver *d, uint32_t id)
{
	struct upnp_slot *s = d->slots;

	while (s && s->request.id != id)
		s = s->next;
	return s;
}

static void drop_slot(struct upnp_driver *d, struct upnp_slot *slot)
{
	for (struct upnp_slot **at = &d->slots; *at; at = &(*at)->next)
		if (*at == slot) {
			*at = slot->next;
			d->slot_count--;
			free(slot);
			return;
		}
}

/* The engine's ids are fewer than there is room; one that rests makes it where they are not. */
static struct upnp_slot *find_or_add(struct upnp_driver *d, uint32_t id)
{
	struct upnp_slot *slot = upnp_driver_find(d, id), *resting = NULL;

	if (slot)
		return slot;
	if (d->slot_count >= UPNP_DRIVER_SLOTS_MAX) {
		for (struct upnp_slot *s = d->slots; s; s = s->next)
			if (s->act == SLOT_REST && s != d->asking_slot)
				resting = s;
		if (!resting)
			return NULL;
		drop_slot(d, resting);
	}
	slot = calloc(1, sizeof(*slot));
	if (!slot)
		return NULL;
	/* At the end: first come, first served. */
	struct upnp_slot **at = &d->slots;
	while (*at)
		at = &(*at)->next;
	*at = slot;
	d->slot_count++;
	return slot;
}

static void set_slot(struct portmap_driver *base, const struct portmap_request *r,
		     enum slot_act act)
{
	struct upnp_driver *d = upnp_driver_of(base);
	struct upnp_slot *slot = find_or_add(d, r->id);

	if (!slot) {
		log_warning(AREA, "a request for a mapping is dropped: out of memory");
		return;
	}
	slot->request = *r;
	slot->act = act;
	slot->muted = false;
	slot->stale = d->asking_slot == slot;
	upnp_driver_kick(d);
}

/* ---- asking ---------------------------------------------------------------------------------- */

void upnp_driver_fill(const struct upnp_driver *d, enum portmap_family f, struct upnp_request *r)
{
	const struct portmap_place *place = &d->places[f];

	r->source = place->source;
	r->gateway = place->gateway;
	r->prefix = place->prefix;
	r->index = place->index;
}

enum portmap_family upnp_driver_family(const struct addr *a)
{
	return a->sa.sa_family == AF_INET ? PORTMAP_IPV4 : PORTMAP_IPV6;
}

static enum portmap_family family_of(const struct portmap_request *r)
{
	return upnp_driver_family(&r->internal);
}

/* Never any port, which not every gateway understands, nor one that is for others' services. */
static uint16_t external_port(const struct portmap_request *r)
{
	uint16_t inside = addr_port(&r->internal);

	if (addr_port(&r->external))
		return addr_port(&r->external);
	return inside >= 1024 ? inside : (uint16_t)(PORTS_OF_OUR + inside);
}

static void ask_slot(struct upnp_driver *d, struct upnp_slot *slot,
		     const struct upnp_control_point *point)
{
	const struct portmap_request *p = &slot->request;
	bool v4 = point->family == PORTMAP_IPV4, map = slot->act == SLOT_MAP;
	struct upnp_request r = {.wait_ms = COMMAND_MS,
				 .service = point->service,
				 .transport = p->transport,
				 .internal = p->internal,
				 .lease_s = p->lifetime_s ? p->lifetime_s : 1,
				 .fixed = p->prefer_failure,
				 .moved = p->moved,
				 .granted_s = p->granted_s};

	r.duty = v4 ? (map ? UPNP_MAP : UPNP_UNMAP) : (map ? UPNP_PINHOLE : UPNP_UNPINHOLE);
	if (slot->act == SLOT_LOOK)
		r.duty = UPNP_LOOK;
	r.external_port = external_port(p);
	snprintf(r.description, sizeof(r.description), "%s", p->description);
	memcpy(r.shown, slot->shown, sizeof(r.shown));
	memcpy(r.uid, slot->uid, sizeof(r.uid));
	upnp_driver_fill(d, upnp_driver_family(&point->service.control.host), &r);
	d->asking_slot = slot;
	upnp_channel_ask(&d->channel, &r);
}

/* An answer that needs no question. True: there was one, and the slot may be gone. */
static bool answer_at_once(struct upnp_driver *d, struct upnp_slot *slot)
{
	struct portmap_heard *h = d->base.heard;
	const struct upnp_control_point *point = &d->points[family_of(&slot->request)];
	enum slot_act act = slot->act;
	bool nameless = point->family == PORTMAP_IPV6 && act == SLOT_UNMAP && !slot->uid[0];

	if (point->there && !nameless)
		return false;
	slot->act = SLOT_REST;
	if (act != SLOT_UNMAP)
		h->failed(h, PORTMAP_UPNP, slot->request.id,
			  &(struct portmap_refusal){
				  .failure = PORTMAP_SILENT,
				  .why = point->why[0] ? point->why
						       : "no Internet gateway speaks UPnP here"});
	else /* A pinhole whose number is lost ends with its lease. */
		h->unmapped(h, PORTMAP_UPNP, slot->request.id, false);
	return true;
}

static void ask_next(struct upnp_driver *d)
{
	for (size_t i = 0; i < PORTMAP_FAMILIES; i++) {
		d->asking_point = &d->points[i];
		if (upnp_point_ask(&d->points[i]))
			return;
	}
	d->asking_point = NULL;
	for (struct upnp_slot *s = d->slots; s; s = s->next) {
		if (s->act == SLOT_REST)
			continue;
		if (answer_at_once(d, s))
			upnp_driver_kick(d);
		else
			ask_slot(d, s, &d->points[family_of(&s->request)]);
		return;
	}
}

static void look_at_end(struct upnp_driver *d)
{
	bool idle = upnp_channel_stop(&d->channel);

	for (size_t i = 0; i < PORTMAP_FAMILIES; i++)
		idle = upnp_point_stop(&d->points[i]) && idle;
	if (idle)
		d->base.stopped(&d->base);
	else
		ring_timer_set(d->ring, &d->turn, END_POLL_MS);
}

static void upnp_driver_turn(struct timer *t, uint64_t now_ms)
{
	struct upnp_driver *d = container(t, struct upnp_driver, turn);

	if (d->stopping)
		look_at_end(d);
	else if (!upnp_channel_busy(&d->channel))
		ask_next(d);
}

void upnp_driver_kick(struct upnp_driver *d)
{
	if (!d->stopping && !timer_pending(&d->turn))
		ring_timer_set(d->ring, &d->turn, 0);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void tell_mapped(struct upnp_driver *d, const struct upnp_slot *slot,
			const struct upnp_answer *a)
{
	const struct portmap_request *r = &slot->request;
	struct addr external = r->internal; /* a pinhole: the address is its own */

	if (family_of(r) == PORTMAP_IPV4) { /* the answer has no address */
		external = (struct addr){.v4.sin_family = AF_INET, .len = sizeof external.v4};
		addr_set_port(&external, a->external_port);
	}
	d->base.heard->mapped(d->base.heard, PORTMAP_UPNP, r->id, &external, a->lease_s);
}

static void tell_failed(struct upnp_driver *d, const struct upnp_slot *slot,
			const struct upnp_answer *a)
{
	struct portmap_refusal r = {.failure = a->failure, .gone = a->gone, .why = a->why};

	if (a->failure == PORTMAP_MISDIRECTED && a->inside.len > 0) {
		r.inside = a->inside;
		r.outside = d->points[PORTMAP_IPV4].external;
		r.outside.sa.sa_family = AF_INET;
		r.outside.len = sizeof(r.outside.v4);
		addr_set_port(&r.outside, a->external_port);
	}
	d->base.heard->failed(d->base.heard, PORTMAP_UPNP, slot->request.id, &r);
}

static void slot_answered(struct upnp_driver *d, struct upnp_slot *slot, enum slot_act act,
			  const struct upnp_answer *a)
{
	struct portmap_heard *h = d->base.heard;
	uint32_t id = slot->request.id;

	if (act == SLOT_MAP && (a->ok || a->inside.len > 0)) {
		memcpy(slot->shown, a->shown, sizeof(slot->shown));
		memcpy(slot->uid, a->uid, sizeof(slot->uid));
	}
	if (slot->muted || slot->stale) {
		slot->stale = false;
		return;
	}
	if (act == SLOT_LOOK && a->ok)
		h->seen(h, PORTMAP_UPNP, id, a->there);
	else if (act == SLOT_UNMAP)
		h->unmapped(h, PORTMAP_UPNP, id, a->ok);
	else if (a->ok)
		tell_mapped(d, slot, a);
	else
		tell_failed(d, slot, a);
}

static void upnp_driver_answered(struct upnp_channel *c, const struct upnp_answer *a, bool died)
{
	struct upnp_driver *d = container(c, struct upnp_driver, channel);
	struct upnp_slot *slot = d->asking_slot;
	struct upnp_control_point *point = d->asking_point;

	d->asking_slot = NULL;
	d->asking_point = NULL;
	ring_timer_set(d->ring, &d->turn, UPNP_DRIVER_SPACING_MS);
	if (point) {
		upnp_point_answered(point, a, died);
		return;
	}
	point = &d->points[family_of(&slot->request)];
	enum slot_act act = c->request.duty == UPNP_MAP || c->request.duty == UPNP_PINHOLE
				    ? SLOT_MAP
			    : c->request.duty == UPNP_LOOK ? SLOT_LOOK
							   : SLOT_UNMAP;
	if (!slot->stale)
		slot->act = SLOT_REST;
	if (died || (!a->ok && (a->failure == PORTMAP_SILENT || a->failure == PORTMAP_MALFORMED)))
		upnp_point_lost(point, died);
	slot_answered(d, slot, act, a);
}

void upnp_driver_restarted(struct upnp_driver *d, enum portmap_family f)
{
	for (struct upnp_slot *s = d->slots; s; s = s->next)
		if (family_of(&s->request) == f)
			s->uid[0] = '\0';
}

/* ---- the interface --------------------------------------------------------------------------- */

static void upnp_driver_probe(struct portmap_driver *base)
{
	struct upnp_driver *d = upnp_driver_of(base);

	for (size_t i = 0; i < PORTMAP_FAMILIES; i++)
		if (base->families[i])
			upnp_point_probe(&d->points[i]);
}

static void upnp_driver_map(struct portmap_driver *base, const struct portmap_request *r)
{
	set_slot(base, r, SLOT_MAP);
}

static void upnp_driver_look(struct portmap_driver *base, const struct portmap_request *r)
{
	set_slot(base, r, family_of(r) == PORTMAP_IPV4 ? SLOT_LOOK : SLOT_MAP);
}

static void upnp_driver_ask_external(struct portmap_driver *base)
{
	struct upnp_driver *d = upnp_driver_of(base);

	if (base->families[PORTMAP_IPV4])
		upnp_point_ask_external(&d->points[PORTMAP_IPV4]);
}

static void upnp_driver_unmap(struct portmap_driver *base, const struct portmap_request *r)
{
	set_slot(base, r, SLOT_UNMAP);
}

/* What is known of the mapping stays, for when it is to be deleted. */
static void upnp_driver_forget(struct portmap_driver *base, uint32_t id)
{
	struct upnp_slot *slot = upnp_driver_find(upnp_driver_of(base), id);

	if (slot) {
		slot->act = SLOT_REST;
		slot->muted = true;
	}
}

static void upnp_driver_stop(struct portmap_driver *base)
{
	struct upnp_driver *d = upnp_driver_of(base);

	d->stopping = true;
	(void)!upnp_channel_stop(&d->channel); /* from now on nothing is heard */
	ring_timer_set(d->ring, &d->turn, 0);
}

static void upnp_driver_release(struct portmap_driver *base)
{
	struct upnp_driver *d = upnp_driver_of(base);

	while (d->slots)
		drop_slot(d, d->slots);
	free(d);
}

struct portmap_driver *upnp_driver_new(const struct upnp_driver_options *o)
{
	struct upnp_driver *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->base = (struct portmap_driver){.protocol = PORTMAP_UPNP,
					  .heard = o->heard,
					  .probe = upnp_driver_probe,
					  .map = upnp_driver_map,
					  .look = upnp_driver_look,
					  .ask_external = upnp_driver_ask_external,
					  .unmap = upnp_driver_unmap,
					  .forget = upnp_driver_forget,
					  .stop = upnp_driver_stop,
					  .release = upnp_driver_release};
	d->ring = o->ring;
	d->turn.fire = upnp_driver_turn;
	d->channel = (struct upnp_channel){
		.ring = o->ring, .launcher = o->launcher, .answered = upnp_driver_answered};
	upnp_channel_init(&d->channel);
	for (unsigned i = 0; i < PORTMAP_FAMILIES; i++) {
		d->places[i] = o->places[i];
		d->base.families[i] = o->places[i].source.len && o->places[i].gateway.len;
		upnp_point_init(&d->points[i], d, (enum portmap_family)i);
	}
	return &d->base;
}
