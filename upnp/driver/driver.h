/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver: UPnP for the mapping engine (portmap/gateway/driver.h): port mappings over IPv4, pinholes
 * over IPv6.
 *
 * Theory of operation. Each family has a *control point* of its own (UPnP Device Architecture 1.1):
 * the device in use and the service that takes its commands. Its device is looked for like this:
 *
 *   probe ──► INSPECT the device in use ──ok──────────────────────────► there
 *               │ none, or it fails                                      ▲
 *               ▼                                                        │ok
 *             SEARCH ──► CANDIDATES: inspect what answered, one by one ──┴─none─► not there
 *
 * While it is there its external address alone may be asked for; one that does not answer to
 * that is inspected.
 *
 * Where none has pinholes over IPv6, the device that serves IPv4 is inspected for them: some
 * gateways offer their IPv6 firewall's service over IPv4 alone.
 *
 * Everything is done by the worker (channel.h), one request at a time, at least
 * UPNP_DRIVER_SPACING_MS apart. A host that made it die or wait in vain is avoided (responders.h),
 * and the search goes on with the next.
 *
 * What the device announces (listener.h) leads to a probe: another BOOTID or LOCATION, or a byebye
 * and then an alive, mean that it restarted and forgot. Any host of the LAN can forge an
 * announcement, so all that comes of it is a probe, and the engine looking at its mappings and
 * renewing them; and the more there are, the longer they wait: UPNP_DRIVER_HINT_MS, doubling to a
 * minute.
 *
 * A request that finds the device gone fails as SILENT, and starts a probe by itself.
 *
 * Deliberately absent: devices of another network than the gateway's, and events (GENA), which
 * would want a listener that the LAN can connect to.
 */
#ifndef POSTERN_UPNP_DRIVER_DRIVER_H
#define POSTERN_UPNP_DRIVER_DRIVER_H

#include "core/program/launcher.h"
#include "core/ring.h"
#include "portmap/gateway/driver.h"

#define UPNP_DRIVER_SPACING_MS	20u
#define UPNP_DRIVER_HINT_MS	500u
#define UPNP_DRIVER_HINT_MAX_MS 60000u
#define UPNP_DRIVER_SLOTS_MAX	512u

struct upnp_driver_options {
	struct ring *ring;
	struct launcher *launcher;	    /* its children run upnp_worker_main() */
	const struct portmap_place *places; /* of each family; copied. Without a gateway or an
					       address of ours a family is left out */
	struct portmap_heard *heard;
};

/* NULL without memory. Owned by the caller: stop(), wait for stopped(), release(). */
struct portmap_driver *upnp_driver_new(const struct upnp_driver_options *o) MUST_CHECK;

#endif
