/* SPDX-License-Identifier: Apache-2.0 */
/* control_point: finds and keeps the device that takes commands for one family. */
#include <stdio.h>
#include <string.h>

#include "core/container.h"
#include "core/log.h"
#include "upnp/driver/driver_internal.h"

#define AREA "upnp"

#define INSPECT_MS     4000u
#define SEARCH_WAIT_MS 3000u

static const char *family_text(const struct upnp_control_point *c)
{
	return c->family == PORTMAP_IPV4 ? "IPv4" : "IPv6";
}

static bool same_location(const struct location *a, const struct location *b)
{
	return addr_same_host(&a->host, &b->host) && addr_port(&a->host) == addr_port(&b->host) &&
	       strcmp(a->path, b->path) == 0;
}

/* ---- what comes out -------------------------------------------------------------------------- */

/* A device that works says more than one that does not, and that more than silence. */
static void remember_failure(struct upnp_control_point *c, enum portmap_failure failure,
			     const char *why)
{
	static const int rank[PORTMAP_FAILURES] = {[PORTMAP_NO_EXTERNAL] = 3,
						   [PORTMAP_REFUSED] = 2,
						   [PORTMAP_UNNEEDED] = 2,
						   [PORTMAP_UNSUPPORTED] = 1,
						   [PORTMAP_MALFORMED] = 1};

	if (c->why[0] && rank[failure] <= rank[c->failure])
		return;
	c->failure = failure;
	snprintf(c->why, sizeof(c->why), "%s", why);
}

/* For IPv6: the device that serves IPv4 is the next candidate. False: there is none, or it was. */
static bool borrow(struct upnp_control_point *c)
{
	const struct upnp_control_point *v4 = &c->driver->points[PORTMAP_IPV4];

	if (c->family != PORTMAP_IPV6 || c->borrowing || !v4->there)
		return false;
	c->borrowing = true;
	c->found[0] = v4->device;
	c->found_count = 1;
	c->next = 0;
	c->phase = POINT_CANDIDATES;
	upnp_driver_kick(c->driver);
	return true;
}

static void not_there(struct upnp_control_point *c)
{
	struct upnp_driver *d = c->driver;

	c->phase = POINT_REST;
	c->there = false;
	log_debug(AREA, "%s: not available: %s", family_text(c), c->why);
	d->base.heard->unavailable(d->base.heard, PORTMAP_UPNP, c->family, c->failure, c->why);
}

/* The more or less official name of what we talk to. */
static void upnp_point_describe(const struct upnp_device *device, const struct upnp_answer *a,
				struct portmap_gateway *out)
{
	snprintf(out->about, sizeof(out->about), "%s%s%.*s", a->about,
		 a->about[0] && device->server[0] ? ", " : "",
		 (int)(sizeof(out->about) - sizeof(a->about) - 3), device->server);
	out->address = device->location.host;
}

static void note_restart(struct upnp_control_point *c, const struct upnp_device *now,
			 const struct upnp_service *service)
{
	const struct upnp_device *was = &c->device;

	if (was->location.host.len == 0 || c->restart[0])
		return;
	if (!same_location(&was->location, &now->location))
		snprintf(c->restart, sizeof(c->restart), "its description is at another place");
	else if (was->has_boot && now->has_boot && was->boot != now->boot)
		snprintf(c->restart, sizeof(c->restart), "it has started anew (BOOTID %u)",
			 now->boot);
	else if (strcmp(c->service.type, service->type) != 0 ||
		 !same_location(&c->service.control, &service->control))
		snprintf(c->restart, sizeof(c->restart), "its description is another one");
}

static void upnp_point_there(struct upnp_control_point *c, const struct upnp_device *device,
			     const struct upnp_answer *a)
{
	struct upnp_driver *d = c->driver;
	struct portmap_heard *h = d->base.heard;
	struct portmap_gateway gateway = {.external = a->external};
	char restart[PORTMAP_TEXT_BYTES];
	struct upnp_control_point *borrower = &d->points[PORTMAP_IPV6];
	bool moved;

	note_restart(c, device, c->family == PORTMAP_IPV4 ? &a->mappings : &a->pinholes);
	moved = c->there && a->external.len && c->external.len &&
		!addr_same_host(&a->external, &c->external);
	memcpy(restart, c->restart, sizeof(restart));
	c->restart[0] = '\0';
	c->announced_leave = false;
	c->following_hint = false;
	c->phase = POINT_REST;
	c->there = true;
	if (&c->device != device)
		c->device = *device;
	c->service = c->family == PORTMAP_IPV4 ? a->mappings : a->pinholes;
	c->external = a->external;
	responders_pardon(&d->responders, &device->location.host);
	upnp_point_describe(device, a, &gateway);
	h->available(h, PORTMAP_UPNP, c->family, &gateway);
	if (restart[0]) {
		upnp_driver_restarted(d, c->family);
		h->restarted(h, PORTMAP_UPNP, c->family, restart);
		/* What is told over IPv4 counts for what was borrowed from there. */
		if (c->family == PORTMAP_IPV4 && borrower->there &&
		    borrower->device.location.host.sa.sa_family == AF_INET) {
			memcpy(borrower->restart, restart, sizeof(borrower->restart));
			upnp_point_probe(borrower);
		}
	}
	if (moved)
		h->external_changed(h, PORTMAP_UPNP, &c->external);
}

/* ---- steps ----------------------------------------------------------------------------------- */

void upnp_point_ask_external(struct upnp_control_point *c)
{
	if (c->phase != POINT_REST || !c->there)
		return;
	c->phase = POINT_ADDRESS;
	upnp_driver_kick(c->driver);
}

static void upnp_point_address(struct upnp_control_point *c, const struct upnp_answer *a, bool died)
{
	struct upnp_driver *d = c->driver;
	bool moved = a->ok && !(c->external.len && addr_same_host(&a->external, &c->external));

	if (died)
		responders_avoid(&d->responders, &c->device.location.host, ring_now_ms(d->ring));
	c->why[0] = '\0';
	c->phase = a->ok && !c->inspect_next ? POINT_REST : POINT_INSPECT;
	c->inspect_next = false;
	if (!moved)
		return;
	c->external = a->external;
	d->base.heard->external_changed(d->base.heard, PORTMAP_UPNP, &c->external);
}

void upnp_point_probe(struct upnp_control_point *c)
{
	c->inspect_next = c->phase == POINT_ADDRESS;
	if (c->phase != POINT_REST)
		return;
	c->why[0] = '\0';
	c->phase = c->device.location.host.len ? POINT_INSPECT : POINT_SEARCH;
	upnp_driver_kick(c->driver);
}

void upnp_point_lost(struct upnp_control_point *c, bool died)
{
	struct upnp_driver *d = c->driver;

	if (died)
		responders_avoid(&d->responders, &c->device.location.host, ring_now_ms(d->ring));
	c->inspect_next = c->phase == POINT_ADDRESS;
	if (c->phase != POINT_REST)
		return;
	c->why[0] = '\0';
	c->phase = POINT_SEARCH;
	upnp_driver_kick(d);
}

/* The next candidate that is not avoided; NULL when there is none. */
static struct upnp_device *upnp_point_candidate(struct upnp_control_point *c)
{
	struct upnp_driver *d = c->driver;

	for (; c->next < c->found_count; c->next++)
		if (!responders_avoided(&d->responders, &c->found[c->next].location.host,
					ring_now_ms(d->ring)))
			return &c->found[c->next];
	return NULL;
}

/* No candidate does. One that was only announced, perhaps by a forger, takes nothing away from the
 * device in use: that is looked at next. */
static void none_works(struct upnp_control_point *c)
{
	bool announced = c->following_hint;

	c->following_hint = false;
	if (announced && c->there) {
		c->why[0] = '\0';
		c->phase = POINT_INSPECT;
		upnp_driver_kick(c->driver);
	} else if (!borrow(c)) {
		not_there(c);
	}
}

static bool ask_inspect(struct upnp_control_point *c, const struct upnp_device *device)
{
	struct upnp_request r = {
		.duty = UPNP_INSPECT,
		.wait_ms = INSPECT_MS,
		.location = device->location,
		.pinholes = c->family == PORTMAP_IPV6,
	};

	upnp_driver_fill(c->driver, upnp_driver_family(&device->location.host), &r);
	upnp_channel_ask(&c->driver->channel, &r);
	return true;
}

bool upnp_point_ask(struct upnp_control_point *c)
{
	struct upnp_request r = {.duty = UPNP_DISCOVER, .wait_ms = SEARCH_WAIT_MS};
	struct upnp_device *device;

	if (c->phase == POINT_INSPECT &&
	    responders_avoided(&c->driver->responders, &c->device.location.host,
			       ring_now_ms(c->driver->ring)))
		c->phase = POINT_SEARCH;
	if (c->phase == POINT_INSPECT)
		return ask_inspect(c, &c->device);
	if (c->phase == POINT_ADDRESS) {
		r = (struct upnp_request){
			.duty = UPNP_ADDRESS, .wait_ms = INSPECT_MS, .service = c->service};
		upnp_driver_fill(c->driver, c->family, &r);
		upnp_channel_ask(&c->driver->channel, &r);
		return true;
	}
	if (c->phase == POINT_SEARCH) {
		c->borrowing = false;
		upnp_driver_fill(c->driver, c->family, &r);
		upnp_channel_ask(&c->driver->channel, &r);
		return true;
	}
	if (c->phase == POINT_REST)
		return false;
	device = upnp_point_candidate(c);
	if (device)
		return ask_inspect(c, device);
	remember_failure(c, PORTMAP_SILENT, "the devices that answer are left alone for a while");
	none_works(c);
	return false;
}

static void upnp_point_found(struct upnp_control_point *c, const struct upnp_answer *a)
{
	c->found_count = a->ok ? a->device_count : 0;
	c->next = 0;
	memcpy(c->found, a->devices, c->found_count * sizeof(c->found[0]));
	c->phase = POINT_CANDIDATES;
	c->following_hint = false;
	c->borrowing = false;
	if (c->found_count > 0)
		return;
	remember_failure(c, a->ok ? PORTMAP_SILENT : a->failure,
			 a->ok ? "no Internet gateway answers a UPnP search" : a->why);
	if (!borrow(c))
		not_there(c);
}

static void upnp_point_inspected(struct upnp_control_point *c, const struct upnp_answer *a,
				 bool died)
{
	struct upnp_driver *d = c->driver;
	struct upnp_device *device = c->phase == POINT_INSPECT ? &c->device : &c->found[c->next];
	bool in_use;

	if (a->ok) {
		upnp_point_there(c, device, a);
		return;
	}
	remember_failure(c, a->failure, a->why);
	/* The device in use may be back elsewhere, and an announcement in its name may be forged.
	 */
	in_use = c->phase == POINT_INSPECT ||
		 (c->following_hint &&
		  addr_same_host(&device->location.host, &c->device.location.host));
	if (died || (!in_use && (a->failure == PORTMAP_SILENT || a->failure == PORTMAP_MALFORMED)))
		responders_avoid(&d->responders, &device->location.host, ring_now_ms(d->ring));
	if (c->phase == POINT_INSPECT) {
		c->phase = POINT_SEARCH;
	} else if (++c->next == c->found_count) {
		none_works(c);
	}
}

void upnp_point_answered(struct upnp_control_point *c, const struct upnp_answer *a, bool died)
{
	if (c->phase == POINT_ADDRESS)
		upnp_point_address(c, a, died);
	else if (c->phase == POINT_SEARCH)
		upnp_point_found(c, a);
	else
		upnp_point_inspected(c, a, died);
}

/* ---- announcements --------------------------------------------------------------------------- */

/* Nothing about it differs from the device in use. */
static bool upnp_point_knows(const struct upnp_control_point *c, const struct upnp_device *now)
{
	return now->location.host.len && same_location(&now->location, &c->device.location) &&
	       (!now->has_boot || !c->device.has_boot || now->boot == c->device.boot);
}

static void upnp_point_hint_due(struct timer *t, uint64_t now_ms)
{
	struct upnp_control_point *c = container(t, struct upnp_control_point, hint);

	if (c->phase != POINT_REST) { /* what is looked for now may be what was announced */
		ring_timer_set(c->driver->ring, &c->hint, c->hint_wait_ms);
		return;
	}
	c->hint_ms = now_ms;
	if (c->there && !c->restart[0] && upnp_point_knows(c, &c->hinted)) { /* found meanwhile */
		c->hinted.location.host.len = 0;
		return;
	}
	if (c->hinted.location.host.len == 0) {
		upnp_point_probe(c);
		return;
	}
	/* The gateway's word that it is new counts; no other host's does. */
	if (addr_same_host(&c->hinted.location.host, &c->device.location.host) ||
	    addr_same_host(&c->hinted.location.host, &c->driver->places[PORTMAP_IPV4].gateway))
		responders_pardon(&c->driver->responders, &c->hinted.location.host);
	c->why[0] = '\0';
	c->following_hint = true;
	c->found[0] = c->hinted;
	c->found_count = 1;
	c->next = 0;
	c->hinted.location.host.len = 0;
	c->phase = POINT_CANDIDATES;
	upnp_driver_kick(c->driver);
}

/* The first is followed at once; after many, the next ones wait. */
static void follow_hint(struct upnp_control_point *c)
{
	struct upnp_driver *d = c->driver;
	uint64_t now = ring_now_ms(d->ring);

	if (timer_pending(&c->hint))
		return;
	if (c->hint_ms == 0 || now - c->hint_ms > 4 * (uint64_t)c->hint_wait_ms + 30000)
		c->hint_wait_ms = UPNP_DRIVER_HINT_MS;
	else if (c->hint_wait_ms < UPNP_DRIVER_HINT_MAX_MS / 2)
		c->hint_wait_ms *= 2;
	else
		c->hint_wait_ms = UPNP_DRIVER_HINT_MAX_MS;
	ring_timer_set(d->ring, &c->hint,
		       c->hint_wait_ms == UPNP_DRIVER_HINT_MS ? 0 : c->hint_wait_ms);
}

static bool upnp_point_trusts(const struct upnp_control_point *c, const struct addr *from,
			      const struct location *location)
{
	const struct portmap_place *place = &c->driver->places[c->family];
	const struct location_way way = {
		.source = &place->source, .gateway = &place->gateway, .prefix = place->prefix};

	/* One that may be followed once more: it was found while the gateway alone was asked. */
	return location_trusted(&location->host, from, &way) ||
	       (addr_same_host(&location->host, &c->device.location.host) &&
		location_on_link(from, &place->source, place->prefix));
}

static void heard_leave(struct upnp_control_point *c, const struct addr *from)
{
	const struct addr *host = &c->device.location.host;

	if (!c->there || !addr_same_host(host, from) || c->announced_leave)
		return;
	c->announced_leave = true;
	c->hinted.location.host.len = 0;
	follow_hint(c);
}

static void heard_alive(struct upnp_control_point *c, const struct addr *from,
			const struct ssdp_message *m)
{
	struct upnp_device now = {
		.location = m->location,
		.from = *from,
		.has_boot = m->has_boot,
		.boot = m->boot,
		.meaning = ssdp_meaning(m->target),
	};
	bool same_host = addr_same_host(&m->location.host, &c->device.location.host);

	if (!upnp_point_trusts(c, from, &m->location) || (c->there && !same_host))
		return;
	if (m->kind == SSDP_UPDATE && m->has_next_boot)
		now.boot = m->next_boot;
	snprintf(now.server, sizeof(now.server), "%s", m->server);
	if (now.location.host.sa.sa_family == AF_INET6 &&
	    IN6_IS_ADDR_LINKLOCAL(&now.location.host.v6.sin6_addr))
		now.location.host.v6.sin6_scope_id = c->driver->places[PORTMAP_IPV6].index;
	if (c->announced_leave && same_host && !c->restart[0])
		snprintf(c->restart, sizeof(c->restart), "it went away and came back");
	if (c->there && !c->restart[0] && upnp_point_knows(c, &now)) {
		c->device.has_boot = c->device.has_boot || now.has_boot;
		c->device.boot = now.has_boot ? now.boot : c->device.boot;
		return;
	}
	c->hinted = now;
	follow_hint(c);
}

/* It speaks of the device in use, or leads to one that is named no worse. Every device says of
 * itself that it is one, and a gateway may have a media server beside it, or its description by the
 * names of TR-064. */
static bool upnp_point_concerns(const struct upnp_control_point *c, const struct ssdp_message *m)
{
	enum ssdp_meaning meaning = ssdp_meaning(m->target);

	if (c->there)
		return meaning >= c->device.meaning ||
		       (m->kind != SSDP_BYEBYE && same_location(&m->location, &c->device.location));
	return meaning > SSDP_ANY_DEVICE ||
	       (m->kind != SSDP_BYEBYE &&
		addr_same_host(&m->location.host, &c->driver->places[c->family].gateway));
}

static void upnp_point_heard(struct upnp_listener *l, const struct addr *from,
			     const struct ssdp_message *m)
{
	struct upnp_control_point *c = container(l, struct upnp_control_point, listener);

	if (!upnp_point_concerns(c, m))
		return;
	if (m->kind == SSDP_BYEBYE)
		heard_leave(c, from);
	else if (m->kind == SSDP_ALIVE)
		heard_alive(c, from, m);
	else if (addr_same_host(&m->location.host, &c->device.location.host))
		heard_alive(c, from, m);
}

/* ---- begin and end --------------------------------------------------------------------------- */

void upnp_point_init(struct upnp_control_point *c, struct upnp_driver *d, enum portmap_family f)
{
	bool v4 = f == PORTMAP_IPV4;
	int error;

	c->driver = d;
	c->family = f;
	c->hint_wait_ms = UPNP_DRIVER_HINT_MS;
	c->hint.fire = upnp_point_hint_due;
	if (!d->base.families[f])
		return;
	c->listener.ring = d->ring;
	c->listener.heard = upnp_point_heard;
	error = upnp_listener_start(&c->listener, v4 ? AF_INET : AF_INET6, d->places[f].index);
	if (error)
		log_warning(AREA,
			    "%s: announcements on UDP port 1900 cannot be heard (%s): a restart of "
			    "the gateway is noticed later; another program may hold the port alone",
			    family_text(c), strerror(-error));
}

bool upnp_point_stop(struct upnp_control_point *c)
{
	c->phase = POINT_REST;
	ring_timer_cancel(c->driver->ring, &c->hint);
	return upnp_listener_stop(&c->listener);
}
