/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcp_servers: PCP at the gateway, and where that has none, at the provider's NAT (RFC 7723).
 *
 * Theory of operation. To the engine this is one driver; behind it are two of the same kind:
 *
 *   probe ──► the gateway's ──there────────────────────────► in use
 *               │ not there                                   ▲
 *               ▼                                             │ there
 *             the provider's, at the anycast address ─────────┴─not there─► the gateway's reason
 *
 * The anycast address reaches the PCP server of a NAT that the provider keeps (a CGN), without
 * being told of it. It helps a host that has no other NAT before it: in a provider's own network,
 * or behind a router that only passes on (DS-Lite). A host behind a router that does NAT is seen
 * there under the router's address, and refused (ADDRESS_MISMATCH): that is told, and the
 * provider's is not asked again in this network.
 *
 * The gateway's own server always goes before. When it appears after all, the engine is told that
 * its mappings are gone, and asks for them there; what the provider's NAT still has ends with its
 * lease.
 *
 * Deliberately absent: a mapping at both, one after the other, for a host behind two NATs that
 * speak PCP each. The outer one would have to be asked in the router's name.
 */
#ifndef POSTERN_NATPMP_DRIVER_PCP_SERVERS_H
#define POSTERN_NATPMP_DRIVER_PCP_SERVERS_H

#include "portmap/gateway/driver.h"

struct pcp_server {
	struct portmap_heard heard; /* first: what its driver is told to speak to */
	struct pcp_servers *owner;
	struct portmap_driver *driver;
	bool there;
};

struct pcp_servers {
	struct portmap_driver base; /* first */
	struct pcp_server gateway, provider;
	struct pcp_server *in_use;    /* NULL: none */
	bool nested;		      /* the provider's does not speak to hosts behind a router */
	bool probing;		      /* the engine waits for a word */
	enum portmap_failure failure; /* the gateway's, while the provider's is asked */
	char why[PORTMAP_TEXT_BYTES];
	unsigned stopped;
};

/* The anycast address of a family, port 0. */
struct addr pcp_servers_anycast(enum portmap_family f);

/* s is zero; heard: the engine's. Then the owner opens a driver for each: with s->gateway.heard and
 * s->provider.heard, hands both over by pcp_servers_start(), and uses s->base in their place. */
void pcp_servers_init(struct pcp_servers *s, struct portmap_heard *heard);
/* Both of PCP and of one family; provider NULL: it cannot be reached. Their stopped() is taken;
 * release() frees them, and s. */
void pcp_servers_start(struct pcp_servers *s, struct portmap_driver *gateway,
		       struct portmap_driver *provider);
/* The driver that an announcement of the gateway's is for. */
struct portmap_driver *pcp_servers_gateway(struct portmap_driver *base);

#endif
