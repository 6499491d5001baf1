/* SPDX-License-Identifier: Apache-2.0 */
/* side: finds and keeps the device that takes commands for one family. */
#include <stdio.h>
#include <string.h>

#include "core/container.h"
#include "core/log.h"
#include "upnp/driver/driver_internal.h"

#define AREA "upnp"

#define INSPECT_MS     4000u
#define SEARCH_WAIT_MS 3000u

static const char *family_text(const struct upnp_side *s)
{
	return s->family == PORTMAP_IPV4 ? "IPv4" : "IPv6";
}

static bool same_location(const struct location *a, const struct location *b)
{
	return addr_same_host(&a->host, &b->host) && addr_port(&a->host) == addr_port(&b->host) &&
	       strcmp(a->path, b->path) == 0;
}

/* ---- what comes out -------------------------------------------------------------------------- */

/* A device that works says more than one that does not, and that more than silence. */
static void remember_failure(struct upnp_side *s, enum portmap_failure failure, const char *why)
{
	static const int rank[PORTMAP_FAILURES] = {[PORTMAP_NO_EXTERNAL] = 3,
						   [PORTMAP_REFUSED] = 2,
						   [PORTMAP_UNSUPPORTED] = 1,
						   [PORTMAP_MALFORMED] = 1};

	if (s->why[0] && rank[failure] <= rank[s->failure])
		return;
	s->failure = failure;
	snprintf(s->why, sizeof(s->why), "%s", why);
}

static void not_there(struct upnp_side *s)
{
	struct upnp_driver *d = s->driver;

	s->phase = SIDE_REST;
	s->there = false;
	log_debug(AREA, "%s: not available: %s", family_text(s), s->why);
	d->base.heard->unavailable(d->base.heard, PORTMAP_UPNP, s->family, s->failure, s->why);
}

/* The more or less official name of what we talk to. */
static void describe(const struct upnp_device *device, const struct upnp_answer *a,
		     struct portmap_gateway *out)
{
	snprintf(out->about, sizeof(out->about), "%s%s%.*s", a->about,
		 a->about[0] && device->server[0] ? ", " : "",
		 (int)(sizeof(out->about) - sizeof(a->about) - 3), device->server);
	out->address = device->location.host;
}

static void note_restart(struct upnp_side *s, const struct upnp_device *now,
			 const struct upnp_service *service)
{
	const struct upnp_device *was = &s->device;

	if (was->location.host.len == 0 || s->restart[0])
		return;
	if (!same_location(&was->location, &now->location))
		snprintf(s->restart, sizeof(s->restart), "its description is at another place");
	else if (was->has_boot && now->has_boot && was->boot != now->boot)
		snprintf(s->restart, sizeof(s->restart), "it has started anew (BOOTID %u)",
			 now->boot);
	else if (strcmp(s->service.type, service->type) != 0 ||
		 !same_location(&s->service.control, &service->control))
		snprintf(s->restart, sizeof(s->restart), "its description is another one");
}

static void there(struct upnp_side *s, const struct upnp_device *device,
		  const struct upnp_answer *a)
{
	struct upnp_driver *d = s->driver;
	struct portmap_heard *h = d->base.heard;
	struct portmap_gateway gateway = {.external = a->external};
	char restart[PORTMAP_TEXT_BYTES];
	bool moved;

	note_restart(s, device, s->family == PORTMAP_IPV4 ? &a->mappings : &a->pinholes);
	moved = s->there && a->external.len && s->external.len &&
		!addr_same_host(&a->external, &s->external);
	memcpy(restart, s->restart, sizeof(restart));
	s->restart[0] = '\0';
	s->announced_leave = false;
	s->following_hint = false;
	s->phase = SIDE_REST;
	s->there = true;
	if (&s->device != device)
		s->device = *device;
	s->service = s->family == PORTMAP_IPV4 ? a->mappings : a->pinholes;
	s->external = a->external;
	responders_pardon(&d->responders, &device->location.host);
	describe(device, a, &gateway);
	h->available(h, PORTMAP_UPNP, s->family, &gateway);
	if (restart[0]) {
		upnp_driver_restarted(d, s->family);
		h->restarted(h, PORTMAP_UPNP, s->family, restart);
	}
	if (moved)
		h->external_changed(h, PORTMAP_UPNP, &s->external);
}

/* ---- steps ----------------------------------------------------------------------------------- */

void upnp_side_probe(struct upnp_side *s)
{
	if (s->phase != SIDE_REST)
		return;
	s->why[0] = '\0';
	s->phase = s->device.location.host.len ? SIDE_INSPECT : SIDE_SEARCH;
	upnp_driver_kick(s->driver);
}

void upnp_side_lost(struct upnp_side *s, bool died)
{
	struct upnp_driver *d = s->driver;

	if (died)
		responders_avoid(&d->responders, &s->device.location.host, ring_now_ms(d->ring));
	if (s->phase != SIDE_REST)
		return;
	s->why[0] = '\0';
	s->phase = SIDE_SEARCH;
	upnp_driver_kick(d);
}

/* The next candidate that is not avoided; NULL when there is none. */
static struct upnp_device *candidate(struct upnp_side *s)
{
	struct upnp_driver *d = s->driver;

	for (; s->next < s->found_count; s->next++)
		if (!responders_avoided(&d->responders, &s->found[s->next].location.host,
					ring_now_ms(d->ring)))
			return &s->found[s->next];
	return NULL;
}

/* No candidate does. One that was only announced, perhaps by a forger, takes nothing away from the
 * device in use: that is looked at next. */
static void none_works(struct upnp_side *s)
{
	bool announced = s->following_hint;

	s->following_hint = false;
	if (announced && s->there) {
		s->why[0] = '\0';
		s->phase = SIDE_INSPECT;
		upnp_driver_kick(s->driver);
	} else {
		not_there(s);
	}
}

static bool ask_inspect(struct upnp_side *s, const struct upnp_device *device)
{
	struct upnp_request r = {
		.duty = UPNP_INSPECT, .wait_ms = INSPECT_MS, .location = device->location};

	upnp_driver_fill(s->driver, s->family, &r);
	upnp_channel_ask(&s->driver->channel, &r);
	return true;
}

bool upnp_side_ask(struct upnp_side *s)
{
	struct upnp_request r = {.duty = UPNP_DISCOVER, .wait_ms = SEARCH_WAIT_MS};
	struct upnp_device *device;

	if (s->phase == SIDE_INSPECT &&
	    responders_avoided(&s->driver->responders, &s->device.location.host,
			       ring_now_ms(s->driver->ring)))
		s->phase = SIDE_SEARCH;
	if (s->phase == SIDE_INSPECT)
		return ask_inspect(s, &s->device);
	if (s->phase == SIDE_SEARCH) {
		upnp_driver_fill(s->driver, s->family, &r);
		upnp_channel_ask(&s->driver->channel, &r);
		return true;
	}
	if (s->phase == SIDE_REST)
		return false;
	device = candidate(s);
	if (device)
		return ask_inspect(s, device);
	remember_failure(s, PORTMAP_SILENT, "the devices that answer are left alone for a while");
	none_works(s);
	return false;
}

static void found(struct upnp_side *s, const struct upnp_answer *a)
{
	s->found_count = a->ok ? a->device_count : 0;
	s->next = 0;
	memcpy(s->found, a->devices, s->found_count * sizeof(s->found[0]));
	s->phase = SIDE_CANDIDATES;
	s->following_hint = false;
	if (s->found_count > 0)
		return;
	remember_failure(s, a->ok ? PORTMAP_SILENT : a->failure,
			 a->ok ? "no Internet gateway answers a UPnP search" : a->why);
	not_there(s);
}

static void inspected(struct upnp_side *s, const struct upnp_answer *a, bool died)
{
	struct upnp_driver *d = s->driver;
	struct upnp_device *device = s->phase == SIDE_INSPECT ? &s->device : &s->found[s->next];
	bool in_use;

	if (a->ok) {
		there(s, device, a);
		return;
	}
	remember_failure(s, a->failure, a->why);
	/* The device in use may be back elsewhere, and an announcement in its name may be forged.
	 */
	in_use = s->phase == SIDE_INSPECT ||
		 (s->following_hint &&
		  addr_same_host(&device->location.host, &s->device.location.host));
	if (died || (!in_use && (a->failure == PORTMAP_SILENT || a->failure == PORTMAP_MALFORMED)))
		responders_avoid(&d->responders, &device->location.host, ring_now_ms(d->ring));
	if (s->phase == SIDE_INSPECT) {
		s->phase = SIDE_SEARCH;
	} else if (++s->next == s->found_count) {
		none_works(s);
	}
}

void upnp_side_answered(struct upnp_side *s, const struct upnp_answer *a, bool died)
{
	if (s->phase == SIDE_SEARCH)
		found(s, a);
	else
		inspected(s, a, died);
}

/* ---- announcements --------------------------------------------------------------------------- */

/* Nothing about it differs from the device in use. */
static bool is_known(const struct upnp_side *s, const struct upnp_device *now)
{
	return now->location.host.len && same_location(&now->location, &s->device.location) &&
	       (!now->has_boot || !s->device.has_boot || now->boot == s->device.boot);
}

static void hint_due(struct timer *t, uint64_t now_ms)
{
	struct upnp_side *s = container(t, struct upnp_side, hint);

	if (s->phase != SIDE_REST) { /* what is looked for now may be what was announced */
		ring_timer_set(s->driver->ring, &s->hint, s->hint_wait_ms);
		return;
	}
	s->hint_ms = now_ms;
	if (s->there && !s->restart[0] && is_known(s, &s->hinted)) { /* found meanwhile */
		s->hinted.location.host.len = 0;
		return;
	}
	if (s->hinted.location.host.len == 0) {
		upnp_side_probe(s);
		return;
	}
	/* The gateway's word that it is new counts; anybody else's does not. */
	if (addr_same_host(&s->hinted.location.host, &s->device.location.host) ||
	    addr_same_host(&s->hinted.location.host, &s->driver->places[PORTMAP_IPV4].gateway))
		responders_pardon(&s->driver->responders, &s->hinted.location.host);
	s->why[0] = '\0';
	s->following_hint = true;
	s->found[0] = s->hinted;
	s->found_count = 1;
	s->next = 0;
	s->hinted.location.host.len = 0;
	s->phase = SIDE_CANDIDATES;
	upnp_driver_kick(s->driver);
}

/* The first is followed at once; after many, the next ones wait. */
static void follow_hint(struct upnp_side *s)
{
	struct upnp_driver *d = s->driver;
	uint64_t now = ring_now_ms(d->ring);

	if (timer_pending(&s->hint))
		return;
	if (s->hint_ms == 0 || now - s->hint_ms > 4 * (uint64_t)s->hint_wait_ms + 30000)
		s->hint_wait_ms = UPNP_DRIVER_HINT_MS;
	else if (s->hint_wait_ms < UPNP_DRIVER_HINT_MAX_MS / 2)
		s->hint_wait_ms *= 2;
	else
		s->hint_wait_ms = UPNP_DRIVER_HINT_MAX_MS;
	ring_timer_set(d->ring, &s->hint,
		       s->hint_wait_ms == UPNP_DRIVER_HINT_MS ? 0 : s->hint_wait_ms);
}

static bool is_trusted(const struct upnp_side *s, const struct addr *from,
		       const struct location *location)
{
	struct upnp_request r = {.duty = UPNP_DISCOVER};

	upnp_driver_fill(s->driver, s->family, &r);
	return location_on_link(from, &r.source, r.prefix) &&
	       location_on_link(&location->host, &r.source, r.prefix) &&
	       (addr_same_host(&location->host, from) ||
		addr_same_host(&location->host, &r.gateway));
}

static void heard_leave(struct upnp_side *s, const struct addr *from)
{
	const struct addr *host = &s->device.location.host;

	if (!s->there || !addr_same_host(host, from) || s->announced_leave)
		return;
	s->announced_leave = true;
	s->hinted.location.host.len = 0;
	follow_hint(s);
}

static void heard_alive(struct upnp_side *s, const struct addr *from, const struct ssdp_message *m)
{
	struct upnp_device now = {
		.location = m->location, .from = *from, .has_boot = m->has_boot, .boot = m->boot};
	bool same_host = addr_same_host(&m->location.host, &s->device.location.host);

	if (!is_trusted(s, from, &m->location) || (s->there && !same_host))
		return;
	if (m->kind == SSDP_UPDATE && m->has_next_boot)
		now.boot = m->next_boot;
	snprintf(now.server, sizeof(now.server), "%s", m->server);
	if (now.location.host.sa.sa_family == AF_INET6 &&
	    IN6_IS_ADDR_LINKLOCAL(&now.location.host.v6.sin6_addr))
		now.location.host.v6.sin6_scope_id = s->driver->places[PORTMAP_IPV6].index;
	if (s->announced_leave && same_host && !s->restart[0])
		snprintf(s->restart, sizeof(s->restart), "it went away and came back");
	if (s->there && !s->restart[0] && is_known(s, &now)) {
		s->device.has_boot = s->device.has_boot || now.has_boot;
		s->device.boot = now.has_boot ? now.boot : s->device.boot;
		return;
	}
	s->hinted = now;
	follow_hint(s);
}

static void heard(struct upnp_listener *l, const struct addr *from, const struct ssdp_message *m)
{
	struct upnp_side *s = container(l, struct upnp_side, listener);

	if (m->kind == SSDP_BYEBYE)
		heard_leave(s, from);
	else if (m->kind == SSDP_ALIVE)
		heard_alive(s, from, m);
	else if (addr_same_host(&m->location.host, &s->device.location.host))
		heard_alive(s, from, m);
}

/* ---- begin and end --------------------------------------------------------------------------- */

void upnp_side_init(struct upnp_side *s, struct upnp_driver *d, enum portmap_family f)
{
	bool v4 = f == PORTMAP_IPV4;
	int error;

	s->driver = d;
	s->family = f;
	s->hint_wait_ms = UPNP_DRIVER_HINT_MS;
	s->hint.fire = hint_due;
	if (!d->base.families[f])
		return;
	s->listener.ring = d->ring;
	s->listener.heard = heard;
	error = upnp_listener_start(&s->listener, v4 ? AF_INET : AF_INET6, d->places[f].index);
	if (error)
		log_warning(AREA,
			    "%s: announcements on UDP port 1900 cannot be heard (%s): a restart of "
			    "the gateway is noticed later; another program may hold the port alone",
			    family_text(s), strerror(-error));
}

bool upnp_side_stop(struct upnp_side *s)
{
	s->phase = SIDE_REST;
	ring_timer_cancel(s->driver->ring, &s->hint);
	return upnp_listener_stop(&s->listener);
}
