/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address: asks for the gateway's external IPv4 address, so that another one is noticed soon.
 *
 * A gateway tells of another address by itself, if it speaks NAT-PMP and the network carries its
 * announcements; UPnP tells by events only, for which the LAN would have to connect to this host.
 * Names that follow the address (dynamic DNS) wait for it. So the cheapest of the paths that are
 * there is asked every PORTMAP_ADDRESS_MS: NAT-PMP, one datagram, else UPnP, one command. What it
 * says counts from then on (paths.c), and mappings by other protocols are renewed to tell the same.
 *
 * With PCP alone its mappings tell, every recheck; STUN servers are asked more often then
 * (portmap/outside.h).
 */
#include "portmap/engine/engine_internal.h"

static struct portmap_driver *address_teller(const struct portmap_engine *e)
{
	static const enum portmap_protocol order[] = {PORTMAP_NATPMP, PORTMAP_UPNP};

	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		const struct portmap_path *path = &e->paths[order[i]][PORTMAP_IPV4];

		if (path->state == PATH_THERE && path->driver->ask_external)
			return path->driver;
	}
	return NULL;
}

bool portmap_engine_asks_external(const struct portmap_engine *e)
{
	return address_teller(e) != NULL;
}

void address_run(struct portmap_engine *e, uint64_t now_ms)
{
	struct portmap_driver *d = address_teller(e);

	if (now_ms < e->address_ms)
		return;
	e->address_ms = now_ms + PORTMAP_ADDRESS_MS;
	if (d)
		d->ask_external(d);
}
