/* SPDX-License-Identifier: Apache-2.0 */
/* driver_internal: what requests (driver.c) and devices (control_point.c) share. */
#ifndef POSTERN_UPNP_DRIVER_DRIVER_INTERNAL_H
#define POSTERN_UPNP_DRIVER_DRIVER_INTERNAL_H

#include "upnp/driver/channel.h"
#include "upnp/driver/driver.h"
#include "upnp/driver/listener.h"
#include "upnp/responders.h"

enum upnp_point_phase {
	POINT_REST,
	POINT_ADDRESS,	 /* the external address of the device in use */
	POINT_INSPECT,	 /* the device in use */
	POINT_SEARCH,	 /* which devices there are */
	POINT_CANDIDATES /* found[next] and those behind it */
};

struct upnp_control_point {
	struct upnp_driver *driver;
	enum portmap_family family;
	enum upnp_point_phase phase;
	bool there;
	bool inspect_next;	   /* it was to be looked at while its address was asked for */
	bool announced_leave;	   /* byebye was heard */
	struct upnp_device device; /* in use, now or last; location.host.len 0: none yet */
	struct upnp_service service;
	struct addr external;		  /* IPv4; len 0: not known */
	char restart[PORTMAP_TEXT_BYTES]; /* why the device is thought to have restarted; "": not */
	/* POINT_CANDIDATES */
	bool following_hint; /* found[0] was announced, not searched for */
	bool borrowing;	     /* found[0] is IPv4's device, which may have pinholes as well */
	struct upnp_device found[UPNP_DEVICES_MAX];
	size_t found_count, next;
	/* The best reason so far why it is not there. */
	enum portmap_failure failure;
	char why[PORTMAP_TEXT_BYTES];
	/* Announcements. */
	struct upnp_listener listener;
	struct upnp_device hinted; /* location.host.len 0: the device in use is to be looked at */
	struct timer hint;
	uint32_t hint_wait_ms;
	uint64_t hint_ms; /* when the last led to a probe */
};

enum slot_act { SLOT_REST, SLOT_MAP, SLOT_LOOK, SLOT_UNMAP };

/* What is known of one id of the engine's. */
struct upnp_slot {
	struct upnp_slot *next;
	struct portmap_request request;
	enum slot_act act;
	bool stale;			    /* the awaited answer is to what was asked before */
	bool muted;			    /* forget() */
	char shown[UPNP_DESCRIPTION_BYTES]; /* see upnp_request */
	char uid[UPNP_UID_BYTES];
};

struct upnp_driver {
	struct portmap_driver base;
	struct ring *ring;
	struct portmap_place places[PORTMAP_FAMILIES];
	struct upnp_channel channel;
	struct responders responders;
	struct upnp_control_point points[PORTMAP_FAMILIES];
	struct upnp_slot *slots;
	size_t slot_count;
	/* What the channel is asked for: one of these; both NULL: nothing. */
	struct upnp_control_point *asking_point;
	struct upnp_slot *asking_slot;
	struct timer turn; /* the next request goes out, or the end is looked at */
	bool stopping;
};

/* The next request goes out soon, if there is one. */
void upnp_driver_kick(struct upnp_driver *d);
enum portmap_family upnp_driver_family(const struct addr *a);
/* Our address and what is around it, for a request over this family. */
void upnp_driver_fill(const struct upnp_driver *d, enum portmap_family f, struct upnp_request *r);
/* The device gives its numbers of pinholes anew: what had one may be another's now. */
void upnp_driver_restarted(struct upnp_driver *d, enum portmap_family f);

void upnp_point_init(struct upnp_control_point *c, struct upnp_driver *d, enum portmap_family f);
/* Asks the device in use for its external address, unless it is asked something. */
void upnp_point_ask_external(struct upnp_control_point *c);
/* Looks for it, unless it is doing so. */
void upnp_point_probe(struct upnp_control_point *c);
/* The device in use failed a request: looks for it anew. */
void upnp_point_lost(struct upnp_control_point *c, bool died);
/* Asks the channel for the next step; false when it rests. */
bool upnp_point_ask(struct upnp_control_point *c);
void upnp_point_answered(struct upnp_control_point *c, const struct upnp_answer *a, bool died);
/* Idle when it returns true. */
bool upnp_point_stop(struct upnp_control_point *c);

#endif
