/* SPDX-License-Identifier: Apache-2.0 */
/* worker_inspect: what a device is, and what its refusals mean. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "upnp/driver/worker.h"

/* ---- errors ---------------------------------------------------------------------------------- */

void worker_refuse(struct upnp_answer *a, enum portmap_failure failure, const char *why)
{
	a->ok = false;
	a->failure = failure;
	snprintf(a->why, sizeof(a->why), "%s", why);
}

static const struct {
	int code;
	enum portmap_failure failure;
	const char *why;
} meanings[] = {
	{-ETIMEDOUT, PORTMAP_SILENT, "the gateway did not answer in time"},
	{-EMSGSIZE, PORTMAP_MALFORMED, "the gateway's answer is too large"},
	{-EPROTO, PORTMAP_MALFORMED, "the gateway's answer is not what UPnP says"},
	{-ENOENT, PORTMAP_UNSUPPORTED, "the device is no Internet gateway"},
	{IGD_INVALID_ACTION, PORTMAP_UNSUPPORTED, "the gateway does not know this command"},
	{IGD_INVALID_ARGUMENTS, PORTMAP_REFUSED, "the gateway does not take these arguments (402)"},
	{IGD_ACTION_FAILED, PORTMAP_TRANSIENT,
	 "the gateway tried and failed (501), which may pass"},
	{IGD_NOT_IMPLEMENTED, PORTMAP_UNSUPPORTED, "the gateway does not have this command"},
	{IGD_NOT_AUTHORIZED, PORTMAP_REFUSED,
	 "the gateway does not allow it (606); allow UPnP for this host there (FRITZ!Box: "
	 "independent port sharing)"},
	{IGD_PINHOLES_EXHAUSTED, PORTMAP_NO_RESOURCES,
	 "the gateway has no room for pinholes (701)"},
	{IGD_FIREWALL_DISABLED, PORTMAP_UNNEEDED,
	 "the gateway's IPv6 firewall is off: no pinhole is needed (702)"},
	{IGD_PINHOLES_FORBIDDEN, PORTMAP_REFUSED,
	 "the gateway does not let this host open its IPv6 firewall (703); allow it there "
	 "(FRITZ!Box: permit independent port sharing for this device)"},
	{IGD_NO_WILDCARD_SOURCE, PORTMAP_UNSUPPORTED,
	 "the gateway wants to know who will connect (715)"},
	{IGD_NO_WILDCARD_PORT, PORTMAP_UNSUPPORTED, "the gateway wants another port (716)"},
	{IGD_CONFLICT, PORTMAP_CONFLICT, "the external port is another's (718)"},
	{IGD_SAME_PORT_REQUIRED, PORTMAP_REFUSED,
	 "the gateway maps only to the same port inside (724); ask for that one"},
	{IGD_ONLY_PERMANENT, PORTMAP_REFUSED, "the gateway takes no lease (725)"},
	{IGD_ONLY_WILDCARD_HOST, PORTMAP_UNSUPPORTED, "the gateway did not see the wildcard (726)"},
	{IGD_ONLY_WILDCARD_PORT, PORTMAP_UNSUPPORTED, "the gateway maps all ports or none (727)"},
	{IGD_NO_PORTS, PORTMAP_NO_RESOURCES, "the gateway has no port left (728)"},
	{IGD_OTHER_CONFLICT, PORTMAP_CONFLICT,
	 "the external port is in use by the gateway's other means (729)"},
};

void worker_fail(struct upnp_answer *a, int code)
{
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (meanings[i].code == code) {
			worker_refuse(a, meanings[i].failure, meanings[i].why);
			return;
		}
	a->ok = false;
	a->failure = code < 0 ? PORTMAP_SILENT : PORTMAP_REFUSED;
	if (code < 0)
		snprintf(a->why, sizeof(a->why), "the gateway cannot be talked to: %s",
			 strerror(-code));
	else
		snprintf(a->why, sizeof(a->why), "the gateway refuses with error %d", code);
}

/* ---- INSPECT --------------------------------------------------------------------------------- */

/* GetExternalIPAddress (WANIPConnection:1 section 2.4.18). True: it has one, *out. */
static bool read_external(struct igd *g, const struct upnp_service *s, struct addr *out)
{
	struct igd_result result = {.name = "NewExternalIPAddress"};
	struct addr a;

	if (igd_command(g, s, "GetExternalIPAddress", NULL, 0, &result, 1) != IGD_OK ||
	    !addr_from_literal(result.value, 0, &a) || a.sa.sa_family != AF_INET ||
	    a.v4.sin_addr.s_addr == htonl(INADDR_ANY))
		return false;
	*out = a;
	return true;
}

/* No answer, and no address, are the same to who asks: the device is looked at as a whole then. */
void worker_address(struct igd *g, const struct upnp_request *r, struct upnp_answer *a)
{
	a->ok = read_external(g, &r->service, &a->external);
	if (!a->ok)
		worker_fail(a, g->code ? g->code : -EPROTO);
}

void worker_inspect_mappings(struct igd *g, const struct igd_description *d, struct upnp_answer *a)
{
	const struct upnp_service *any = NULL;
	bool without = false; /* one says that it has no address */
	int refused = IGD_OK;

	/* A gateway may have one that is up and one that is not (PPP and IP). */
	for (size_t i = 0; i < IGD_CONNECTIONS_MAX; i++) {
		if (!d->connections[i].type[0])
			continue;
		any = &d->connections[i];
		if (read_external(g, any, &a->external)) {
			a->mappings = *any;
			return;
		}
		if (g->code < 0) {
			worker_fail(a, g->code);
			return;
		}
		if (g->code == IGD_NOT_AUTHORIZED || g->code == IGD_INVALID_ACTION ||
		    g->code == IGD_NOT_IMPLEMENTED)
			refused = g->code;
		else
			without = true;
	}
	if (any && !without)
		worker_fail(a, refused);
	else if (!any)
		worker_refuse(a, PORTMAP_UNSUPPORTED,
			      "the gateway has no service for port mappings");
	else
		worker_refuse(a, PORTMAP_NO_EXTERNAL,
			      "the gateway has no external address: it is not connected, or behind "
			      "another "
			      "router");
}

/* GetFirewallStatus (WANIPv6FirewallControl:1 section 2.5.1). */
void worker_inspect_pinholes(struct igd *g, const struct igd_description *d, struct upnp_answer *a)
{
	struct igd_result results[] = {{.name = "FirewallEnabled"},
				       {.name = "InboundPinholeAllowed"}};

	if (!d->pinholes.type[0]) {
		worker_refuse(a, PORTMAP_UNSUPPORTED,
			      "the gateway has no service for IPv6 pinholes");
		return;
	}
	if (igd_command(g, &d->pinholes, "GetFirewallStatus", NULL, 0, results, 2) != IGD_OK)
		worker_fail(a, g->code);
	else if (igd_says_no(&results[0]))
		worker_fail(a, IGD_FIREWALL_DISABLED);
	else if (igd_says_no(&results[1]))
		worker_fail(a, IGD_PINHOLES_FORBIDDEN);
	else
		a->pinholes = d->pinholes;
}

void worker_inspect(struct igd *g, const struct upnp_request *r, struct upnp_answer *a)
{
	struct igd_description d;
	int error = igd_describe(g, &r->location, &d);

	a->ok = !error;
	if (error) {
		worker_fail(a, error);
		return;
	}
	snprintf(a->about, sizeof(a->about), "%s", d.about);
	if (r->pinholes)
		worker_inspect_pinholes(g, &d, a);
	else
		worker_inspect_mappings(g, &d, a);
}
