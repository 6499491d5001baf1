/* SPDX-License-Identifier: Apache-2.0 */
/* natd_drivers: the protocols' drivers of one network, from their opening to their end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/container.h"
#include "core/log.h"
#include "natpmp/driver/natpmp.h"
#include "natpmp/driver/pcp.h"
#include "natpmp/driver/pcp_servers.h"
#include "portmap/natd.h"
#include "upnp/driver/driver.h"

/* ---- opening ---- */

static void natd_driver_stopped(struct portmap_driver *d)
{
	struct natd *n = container(d->heard, struct natd, engine.heard);

	n->stopped_drivers++;
	ring_timer_set(n->ring, &n->progress, 0);
}

static void keep_driver(struct natd *n, struct portmap_driver *d)
{
	d->stopped = natd_driver_stopped;
	n->drivers[n->driver_count++] = d;
}

typedef int driver_open_fn(struct portmap_driver **out, const struct gateway_options *o);

static void open_gateway(struct natd *n, enum portmap_family f, const char *name,
			 driver_open_fn *open)
{
	const struct gateway_options options = {
		.ring = n->ring, .heard = &n->engine.heard, .place = n->network.places[f]};
	struct portmap_driver *d;
	int error = open(&d, &options);

	if (error)
		log_warning("portmap", "%s cannot be tried: %s", name, strerror(-error));
	else
		keep_driver(n, d);
}

/* PCP to the gateway, and to the provider's NAT behind it. */
static int open_pcp(struct portmap_driver **out, const struct gateway_options *options)
{
	struct pcp_servers *s = calloc(1, sizeof *s);
	struct gateway_options one = *options;
	struct portmap_driver *gateway, *provider;
	int error;

	if (!s)
		return -ENOMEM;
	pcp_servers_init(s, options->heard);
	one.heard = &s->gateway.heard;
	error = driver_pcp_open(&gateway, &one);
	if (error) {
		free(s);
		return error;
	}
	one.heard = &s->provider.heard;
	one.place.gateway = pcp_servers_anycast(
		options->place.gateway.sa.sa_family == AF_INET6 ? PORTMAP_IPV6 : PORTMAP_IPV4);
	error = driver_pcp_open(&provider, &one);
	if (error) /* no way there: the gateway's silence then is the answer */
		log_debug("pcp", "the anycast address cannot be asked: %s", strerror(-error));
	pcp_servers_start(s, gateway, error ? NULL : provider);
	*out = &s->base;
	return 0;
}

static void open_upnp(struct natd *n)
{
	struct upnp_driver_options options = {.ring = n->ring,
					      .launcher = &n->upnp,
					      .places = n->network.places,
					      .heard = &n->engine.heard};
	struct portmap_driver *d = upnp_driver_new(&options);

	if (d)
		keep_driver(n, d);
	else
		log_warning("portmap", "UPnP cannot be tried: out of memory");
}

static void natd_announced(struct announce_listener *l, enum portmap_family family,
			   const uint8_t *in, size_t len)
{
	struct natd *n = container(l, struct natd, announce);

	for (size_t i = 0; i < n->driver_count && n->stage == NATD_HERE; i++) {
		struct portmap_driver *d = n->drivers[i];

		if (!d->families[family])
			continue;
		if (d->protocol == PORTMAP_PCP)
			driver_pcp_announced(pcp_servers_gateway(d), in, len);
		else if (d->protocol == PORTMAP_NATPMP)
			driver_natpmp_announced(d, in, len);
	}
}

static void listen_to_announcements(struct natd *n)
{
	int error;

	n->announce = (struct announce_listener){
		.ring = n->ring, .places = n->network.places, .heard = natd_announced};
	error = announce_listener_start(&n->announce);
	n->announcing = true;
	if (error)
		log_warning("portmap",
			    "announcements of gateways (UDP %u) cannot be heard: %s; restarts are "
			    "noticed later",
			    ANNOUNCE_PORT, strerror(-error));
}

static bool has_gateway(const struct natd *n)
{
	return n->network.places[PORTMAP_IPV4].gateway.len > 0 ||
	       n->network.places[PORTMAP_IPV6].gateway.len > 0;
}

enum truth_provider natd_provider(const struct natd *n)
{
	const struct portmap_path *path = &n->engine.paths[PORTMAP_PCP][PORTMAP_IPV4];
	const struct pcp_servers *s;

	if (!path->driver || n->stage != NATD_HERE)
		return TRUTH_PROVIDER_SILENT;
	s = container(path->driver, struct pcp_servers, base);
	if (s->nested)
		return TRUTH_PROVIDER_NESTED;
	if (path->state != PATH_THERE || s->in_use != &s->provider || n->engine.external.len == 0 ||
	    path->gateway.external.len == 0)
		return TRUTH_PROVIDER_SILENT;
	/* The address may be another protocol's word, of the gateway. */
	return addr_same_host(&path->gateway.external, &n->engine.external) ? TRUTH_PROVIDER_MAPS
									    : TRUTH_PROVIDER_BEHIND;
}

void natd_open_drivers(struct natd *n)
{
	if (n->network.places[PORTMAP_IPV4].gateway.len > 0) {
		if (n->config.pcp)
			open_gateway(n, PORTMAP_IPV4, "PCP", open_pcp);
		if (n->config.natpmp)
			open_gateway(n, PORTMAP_IPV4, "NAT-PMP", driver_natpmp_open);
	}
	if (n->network.places[PORTMAP_IPV6].gateway.len > 0 && n->config.pcp)
		open_gateway(n, PORTMAP_IPV6, "PCP over IPv6", open_pcp);
	if (n->config.upnp && n->upnp.fd >= 0 && has_gateway(n))
		open_upnp(n);
	listen_to_announcements(n);
}

/* ---- closing ---- */

void natd_close_drivers(struct natd *n)
{
	n->stage = NATD_CLOSING;
	n->close_ms = clock_ms(CLOCK_BOOTTIME) + NATD_CLOSE_MS;
	n->stopped_drivers = 0;
	for (size_t i = 0; i < n->driver_count; i++)
		n->drivers[i]->stop(n->drivers[i]);
	ring_timer_set(n->ring, &n->progress, 0);
}

static void release_drivers(struct natd *n)
{
	for (size_t i = 0; i < n->driver_count; i++)
		n->drivers[i]->release(n->drivers[i]);
	n->driver_count = 0;
}

/* None of them waits for a peer when it stops, so this is a bug of theirs; it shall not stop the
 * rest. */
static void give_up_drivers(struct natd *n)
{
	log_error("portmap", "a protocol's driver does not stop: it is left behind");
	n->driver_count = n->stopped_drivers = 0;
	n->announcing = false;
}

bool natd_drivers_closed(struct natd *n)
{
	bool quiet = !n->announcing || announce_listener_stop(&n->announce);

	if (quiet && n->stopped_drivers == n->driver_count) {
		n->announcing = false;
		release_drivers(n);
		return true;
	}
	if (clock_ms(CLOCK_BOOTTIME) < n->close_ms)
		return false;
	give_up_drivers(n);
	return true;
}
