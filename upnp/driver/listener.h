/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener: hears what the gateway's UPnP device announces of itself (SSDP NOTIFY).
 *
 * This is natd's own and not the worker's: the worker waits while it works and ends when it rests,
 * and an announcement must be heard within seconds all the same. What strangers send is read here
 * by ssdp.c alone, which takes no memory and no time; nothing else in natd sees it. At most
 * LISTENER_BURST datagrams are read per LISTENER_PAUSE_MS, so that a flood costs nothing but
 * itself.
 */
#ifndef POSTERN_UPNP_DRIVER_LISTENER_H
#define POSTERN_UPNP_DRIVER_LISTENER_H

#include "core/ring.h"
#include "upnp/ssdp.h"

#define LISTENER_BURST	  32u
#define LISTENER_PAUSE_MS 50u

struct upnp_listener {
	/* The owner sets these first. */
	struct ring *ring;
	/* An announcement of an Internet gateway, or of some device that may be one
	 * (SSDP_ANY_DEVICE); from: the datagram's sender, which may be forged. */
	void (*heard)(struct upnp_listener *l, const struct addr *from,
		      const struct ssdp_message *m);

	/* The listener's own. Zero-initialised is idle. */
	int fd;
	bool open, stopping;
	struct ring_op op;
	struct timer pause;
};

/* Joins the group of the family (AF_INET, AF_INET6) on this interface. Beside other programs on UDP
 * 1900 that share it. 0 or -errno: then all works but the news come late. */
int upnp_listener_start(struct upnp_listener *l, int family, unsigned index) MUST_CHECK;
/* Idle when it returns true, else ask again after the ring has turned. */
bool upnp_listener_stop(struct upnp_listener *l);

#endif
