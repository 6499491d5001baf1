/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_duties: what an Internet gateway is asked to do, and how it is asked politely.
 *
 * Mappings. Before anything is created or deleted, the gateway is asked what it has there
 * (GetSpecificPortMappingEntry), since many overwrite what belongs to another program of the same
 * host without a word. An entry is ours when it leads to our client and port and its description is
 * ours: as we wrote it, as this gateway was seen to write it, or cut short by it. Everything
 * else stays. What PCP or NAT-PMP made for the same mapping is ours, too, under any description, as
 * long as it leads to us. The same question afterwards tells what the gateway made of the
 * request; one that said yes and has nothing there, or something that is switched off, is not
 * believed. What it made of the request although it leads elsewhere is ours, and deleted at once.
 * An entry that leads to our host under exactly our description is ours also where the port inside
 * is another: a natd that ended without a word left it.
 *
 * Errors are answered where the specification or the field knows a way out: 725 and 402 ask for a
 * lease of 0, for good; 724 for the same port outside as inside. Each is tried once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "upnp/driver/worker.h"

#define LEASE_MAX_S   604800u  /* WANIPConnection:2 section 2.3.14 */
#define PINHOLE_MAX_S 86400u   /* WANIPv6FirewallControl:1 section 2.3.4 */
#define CUT_LEAST     12u      /* a description cut shorter could be another host's of ours */
#define SHOWN_NONE    "(none)" /* upnp_request.shown: this gateway keeps no descriptions */

/* ---- texts ----------------------------------------------------------------------------------- */

/* "443" */
static void number_text(uint32_t n, char out[16])
{
	snprintf(out, 16, "%u", n);
}

/* The literal alone: "192.0.2.1", "2001:db8::1". */
static void host_text(const struct addr *a, char out[ADDR_TEXT_BYTES])
{
	struct addr plain = *a;

	if (plain.sa.sa_family == AF_INET6)
		plain.v6.sin6_scope_id = 0;
	addr_format_host(&plain, out);
}

static bool read_number(const struct igd_result *r, uint32_t most, uint32_t *out)
{
	char *end;
	unsigned long n;

	if (!r->there || r->value[0] < '0' || r->value[0] > '9')
		return false;
	n = strtoul(r->value, &end, 10);
	if (*end || n > most)
		return false;
	*out = (uint32_t)n;
	return true;
}

/* ---- mappings -------------------------------------------------------------------------------- */

enum igd_owner { IGD_NO_ENTRY, IGD_OURS, IGD_ANOTHERS, IGD_UNKNOWN };

struct igd_entry {
	enum igd_owner owner;
	bool inside_ours; /* it leads to our client and port */
	bool disabled;	  /* NewEnabled is 0: it is kept, and forwards nothing */
	bool client_ours;
	struct addr inside; /* where it leads; len 0: it does not say */
	uint32_t lease_s;   /* left; 0: for good, or not said */
	char description[UPNP_DESCRIPTION_BYTES];
};

static const char *protocol(const struct upnp_request *r)
{
	return r->transport == PORTMAP_TCP ? "TCP" : "UDP";
}

static bool describes_us(const struct upnp_request *r, const char *shown)
{
	size_t len = strlen(shown);

	if (len == 0)
		return strcmp(r->shown, SHOWN_NONE) == 0;
	return strcmp(shown, r->description) == 0 ||
	       (r->shown[0] && strcmp(shown, r->shown) == 0) ||
	       (len >= CUT_LEAST && strncmp(shown, r->description, len) == 0);
}

static void read_inside(const struct upnp_request *r, const struct igd_result *client,
			const struct igd_result *port, struct igd_entry *e)
{
	struct addr a;
	uint32_t n;

	if (!read_number(port, UINT16_MAX, &n) ||
	    !addr_from_literal(client->value, (uint16_t)n, &a))
		return;
	e->inside = a;
	e->client_ours = addr_same_host(&a, &r->internal);
	e->inside_ours = e->client_ours && n == addr_port(&r->internal);
}

/* "the external port leads to 192.168.1.9:443 (Game)" */
static void tell_holder(struct upnp_answer *a, const struct igd_entry *e)
{
	const char *by = e->description;
	char place[ADDR_TEXT_BYTES];

	worker_refuse(a, PORTMAP_CONFLICT, "");
	if (e->inside.len == 0) {
		snprintf(a->why, sizeof(a->why), "the external port is another's%s%s",
			 by[0] ? ": " : "", by);
		return;
	}
	addr_format(&e->inside, place);
	snprintf(a->why, sizeof(a->why), "the external port leads to %s already%s%s%s", place,
		 by[0] ? " (" : "", by, by[0] ? ")" : "");
}

/* GetSpecificPortMappingEntry (WANIPConnection:1 section 2.4.15). False: no answer, g->code. */
static bool igd_look_up(struct igd *g, const struct upnp_request *r, uint16_t external_port,
			struct igd_entry *out)
{
	char port[16];
	struct igd_argument arguments[] = {
		{"NewRemoteHost", ""}, {"NewExternalPort", port}, {"NewProtocol", protocol(r)}};
	struct igd_result results[] = {{.name = "NewInternalClient"},
				       {.name = "NewInternalPort"},
				       {.name = "NewPortMappingDescription"},
				       {.name = "NewLeaseDuration"},
				       {.name = "NewEnabled"}};
	struct igd_entry e = {.owner = IGD_NO_ENTRY};

	number_text(external_port, port);
	switch (igd_command(g, &r->service, "GetSpecificPortMappingEntry", arguments, 3, results,
			    5)) {
	case IGD_OK:
		e.owner = IGD_ANOTHERS;
		snprintf(e.description, sizeof(e.description), "%.*s",
			 (int)sizeof(e.description) - 1, results[2].value);
		read_inside(r, &results[0], &results[1], &e);
		if (!results[0].there)
			e.owner = IGD_UNKNOWN;
		else if ((e.inside_ours && describes_us(r, e.description)) ||
			 (e.client_ours && strcmp(e.description, r->description) == 0))
			e.owner = IGD_OURS;
		(void)!read_number(&results[3], UINT32_MAX, &e.lease_s);
		e.disabled = igd_says_no(&results[4]);
		break;
	case IGD_NOT_AUTHORIZED: /* of version 2 for what is another's (section 2.5.16) */
		e.owner = IGD_ANOTHERS;
		break;
	case IGD_NO_SUCH_ENTRY:
		break;
	case IGD_NO_SUCH_INDEX: /* some gateways' words for it */
	case IGD_INVALID_ARGUMENTS:
	case IGD_ACTION_FAILED:
	case IGD_INVALID_ACTION: /* cannot be asked */
	case IGD_NOT_IMPLEMENTED:
		e.owner = IGD_UNKNOWN;
		break;
	default:
		return false;
	}
	*out = e;
	return true;
}

/* A service of version 2 picks another port where the one asked for is not to be had. */
static bool picks_ports(const struct upnp_request *r)
{
	size_t len = strlen(r->service.type);

	return !r->fixed && strstr(r->service.type, ":WANIPConnection:") && len > 2 &&
	       r->service.type[len - 2] == ':' && r->service.type[len - 1] >= '2';
}

/* AddPortMapping (section 2.4.16), or AddAnyPortMapping (version 2, section 2.5.17) for what is not
 * there yet. *port may change. */
static int igd_add(struct igd *g, const struct upnp_request *r, bool any, uint16_t *port,
		   uint32_t lease_s)
{
	char outside[16], inside[16], lease[16], client[ADDR_TEXT_BYTES];
	struct igd_argument arguments[] = {{"NewRemoteHost", ""},
					   {"NewExternalPort", outside},
					   {"NewProtocol", protocol(r)},
					   {"NewInternalPort", inside},
					   {"NewInternalClient", client},
					   {"NewEnabled", "1"},
					   {"NewPortMappingDescription", r->description},
					   {"NewLeaseDuration", lease}};
	struct igd_result reserved = {.name = "NewReservedPort"};
	uint32_t n = 0;

	number_text(*port, outside);
	number_text(addr_port(&r->internal), inside);
	number_text(lease_s, lease);
	host_text(&r->internal, client);
	if (igd_command(g, &r->service, any ? "AddAnyPortMapping" : "AddPortMapping", arguments, 8,
			&reserved, any ? 1 : 0) != IGD_OK)
		return g->code;
	if (!any)
		return IGD_OK;
	if (!read_number(&reserved, UINT16_MAX, &n) || n == 0)
		return g->code = -EPROTO;
	*port = (uint16_t)n;
	return IGD_OK;
}

/* Adds; tries without a lease where leases are not taken. *lease_s: what was asked for. */
static int add_with_lease(struct igd *g, const struct upnp_request *r, bool any, uint16_t *port,
			  uint32_t *lease_s)
{
	int code;

	*lease_s = r->lease_s < LEASE_MAX_S ? r->lease_s : LEASE_MAX_S;
	code = igd_add(g, r, any, port, *lease_s);
	/* 728 may only mean that this port is not allowed; the other command says so. */
	if (any &&
	    (code == IGD_INVALID_ACTION || code == IGD_NOT_IMPLEMENTED || code == IGD_NO_PORTS)) {
		any = false;
		code = igd_add(g, r, any, port, *lease_s);
	}
	if (code == IGD_ONLY_PERMANENT || code == IGD_INVALID_ARGUMENTS) {
		*lease_s = 0;
		code = igd_add(g, r, any, port, 0);
	}
	return code;
}

/* DeletePortMapping (section 2.4.17). */
static int igd_delete(struct igd *g, const struct upnp_request *r, uint16_t external_port)
{
	char port[16];
	struct igd_argument arguments[] = {
		{"NewRemoteHost", ""}, {"NewExternalPort", port}, {"NewProtocol", protocol(r)}};

	number_text(external_port, port);
	return igd_command(g, &r->service, "DeletePortMapping", arguments, 3, NULL, 0);
}

/* There was nothing, or ours, before our request: what is there now came of it, if it leads to our
 * host or has our text. Otherwise another host was quicker. */
static bool came_of_us(const struct upnp_request *r, enum igd_owner before,
		       const struct igd_entry *e)
{
	bool our_text = e->description[0] && describes_us(r, e->description);

	return e->inside.len > 0 && (before == IGD_NO_ENTRY || before == IGD_OURS) &&
	       (e->client_ours || our_text);
}

/* The gateway's text beside what is ours. */
static void note_shown(const struct igd_entry *e, struct upnp_answer *a)
{
	if (e->description[0])
		memcpy(a->shown, e->description, sizeof(a->shown));
	else
		strcpy(a->shown, SHOWN_NONE);
}

/* What came of our request leads elsewhere: it goes at once. A gateway that says so and keeps it is
 * not believed. */
static void igd_take_back(struct igd *g, const struct upnp_request *r, uint16_t port,
			  const struct igd_entry *made, struct upnp_answer *a)
{
	struct igd_entry e = {.owner = IGD_UNKNOWN};
	bool gone = igd_delete(g, r, port) == IGD_OK || g->code == IGD_NO_SUCH_ENTRY;

	a->ok = false;
	a->failure = PORTMAP_MISDIRECTED;
	portmap_misdirection(&made->inside, &r->internal, port, a->why);
	a->external_port = port;
	if (gone && igd_look_up(g, r, port, &e) && e.inside.len > 0 &&
	    addr_equal(&e.inside, &made->inside))
		gone = false;
	if (gone)
		return;
	/* It is known again by the text that it has, which may be the gateway's own. */
	a->inside = made->inside;
	note_shown(made, a);
}

/* It was added; what does the gateway make of it? What it shows beside our client is our text. */
static void igd_confirm(struct igd *g, const struct upnp_request *r, enum igd_owner before,
			uint16_t port, uint32_t lease_s, struct upnp_answer *a)
{
	struct igd_entry e;

	if (!igd_look_up(g, r, port, &e)) {
		worker_fail(a, g->code);
		return;
	}
	if (e.owner == IGD_NO_ENTRY) {
		worker_refuse(a, PORTMAP_MALFORMED,
			      "the gateway said yes, but has no such mapping");
		return;
	}
	if (!e.inside_ours && came_of_us(r, before, &e)) {
		igd_take_back(g, r, port, &e, a);
		return;
	}
	if (e.owner == IGD_ANOTHERS && !e.inside_ours) {
		worker_refuse(a, PORTMAP_CONFLICT,
			      "the gateway said yes, but the port is another's");
		return;
	}
	if (e.disabled) {
		worker_refuse(
			a, PORTMAP_REFUSED,
			"the gateway keeps the mapping switched off (NewEnabled 0); switch it "
			"on, or allow UPnP, in its list of port forwardings");
		return;
	}
	a->ok = true;
	a->external_port = port;
	/* Less than asked for is what counts; so is a lease that it gave for none. */
	a->lease_s = e.lease_s > 0 && (e.lease_s < lease_s || lease_s == 0) ? e.lease_s : lease_s;
	if (e.owner == IGD_UNKNOWN)
		memcpy(a->shown, r->description, sizeof(a->shown));
	else
		note_shown(&e, a);
}

/* The port that this gateway insists on (724), when that is free or ours. */
static bool move_inside(struct igd *g, const struct upnp_request *r, uint16_t *port)
{
	uint16_t inside = addr_port(&r->internal);
	struct igd_entry e;

	if (g->code != IGD_SAME_PORT_REQUIRED || r->fixed || inside == *port)
		return false;
	if (!igd_look_up(g, r, inside, &e) || e.owner == IGD_ANOTHERS) {
		g->code = g->code < 0 ? g->code : IGD_CONFLICT;
		return false;
	}
	*port = inside;
	return true;
}

/* Which of these a gateway says when its rules allow high ports only differs: miniupnpd alone has
 * said 606, 718 and 402 for it over the years. */
static void tell_of_low_ports(struct upnp_answer *a, int code, enum igd_owner owner, uint16_t port)
{
	size_t len = strlen(a->why);

	if (code == IGD_NOT_AUTHORIZED || code == IGD_INVALID_ARGUMENTS ||
	    code == IGD_ACTION_FAILED || code == IGD_NO_WILDCARD_PORT ||
	    (code == IGD_CONFLICT && owner == IGD_NO_ENTRY))
		snprintf(a->why + len, sizeof(a->why) - len, "%s", portmap_low_port_hint(port));
}

/* Ours is in its own way (718): it is deleted and made anew. */
static int add_anew(struct igd *g, const struct upnp_request *r, uint16_t port, uint32_t *lease_s)
{
	int code = igd_delete(g, r, port);

	if (code != IGD_OK && code != IGD_NO_SUCH_ENTRY)
		return code;
	return add_with_lease(g, r, false, &port, lease_s);
}

/* The gateway said yes to a renewal; what it shows is still the lease from before. A gateway that
 * gives no longer ones shows as much as it gave. */
static bool not_extended(const struct upnp_request *r, const struct igd_entry *before,
			 uint32_t asked_s, const struct upnp_answer *a)
{
	return a->ok && before->owner == IGD_OURS && before->inside_ours && before->lease_s > 0 &&
	       a->lease_s > 0 && a->lease_s < asked_s && a->lease_s <= before->lease_s &&
	       (r->granted_s == 0 || a->lease_s < r->granted_s - r->granted_s / 8);
}

void worker_map(struct igd *g, const struct upnp_request *r, struct upnp_answer *a)
{
	uint16_t port = r->external_port;
	uint32_t lease_s = 0;
	struct igd_entry before;
	int code;

	if (!igd_look_up(g, r, port, &before)) {
		worker_fail(a, g->code);
		return;
	}
	a->gone = before.owner == IGD_NO_ENTRY;
	if (before.owner == IGD_ANOTHERS && !(r->moved && before.inside_ours)) {
		tell_holder(a, &before);
		return;
	}
	code = add_with_lease(g, r, before.owner == IGD_NO_ENTRY && picks_ports(r), &port,
			      &lease_s);
	if (code == IGD_CONFLICT && (before.owner == IGD_OURS || before.inside_ours))
		code = add_anew(g, r, port, &lease_s);
	if (code != IGD_OK && move_inside(g, r, &port))
		code = add_with_lease(g, r, false, &port, &lease_s);
	if (code == IGD_OK) {
		igd_confirm(g, r, before.owner, port, lease_s, a);
		if (!not_extended(r, &before, lease_s, a) || igd_delete(g, r, port) != IGD_OK)
			return;
		a->ok = false;
		a->gone = true;
		code = add_with_lease(g, r, false, &port, &lease_s);
	}
	if (code == IGD_OK) {
		igd_confirm(g, r, IGD_NO_ENTRY, port, lease_s, a);
	} else if (code == IGD_CONFLICT && !addr_same_host(&r->internal, &r->source)) {
		worker_refuse(a, PORTMAP_REFUSED,
			      "the gateway does not map for another host (718: secure mode)");
	} else {
		worker_fail(a, g->code);
		tell_of_low_ports(a, g->code, before.owner, port);
	}
}

/* A gateway that cannot be asked is believed: renewing in its time is all that can be done. */
void worker_look(struct igd *g, const struct upnp_request *r, struct upnp_answer *a)
{
	struct igd_entry e;

	if (!igd_look_up(g, r, r->external_port, &e)) {
		worker_fail(a, g->code);
		return;
	}
	a->ok = true;
	a->there = !e.disabled &&
		   (e.owner == IGD_UNKNOWN || (e.owner != IGD_NO_ENTRY && e.inside_ours));
}

/* Deletes it, if it is ours. */
void worker_unmap(struct igd *g, const struct upnp_request *r, struct upnp_answer *a)
{
	struct igd_entry e;
	int code;

	if (!igd_look_up(g, r, r->external_port, &e)) {
		worker_fail(a, g->code);
		return;
	}
	a->ok = true;
	/* Where the gateway cannot be asked, shown says whether this natd made it. */
	if (e.owner == IGD_NO_ENTRY || e.owner == IGD_ANOTHERS ||
	    (e.owner == IGD_UNKNOWN && !r->shown[0]))
		return;
	code = igd_delete(g, r, r->external_port);
	/* Which error means "not there" only a gateway that can be asked says. */
	if (code < 0 || (code != IGD_OK && code != IGD_NO_SUCH_ENTRY && e.owner == IGD_OURS))
		worker_fail(a, code);
}

/* ---- pinholes -------------------------------------------------------------------------------- */

/* UpdatePinhole (WANIPv6FirewallControl:1 section 2.5.4). */
static int renew_pinhole(struct igd *g, const struct upnp_request *r, const char *lease)
{
	struct igd_argument arguments[] = {{"UniqueID", r->uid}, {"NewLeaseTime", lease}};

	return igd_command(g, &r->service, "UpdatePinhole", arguments, 2, NULL, 0);
}

/* AddPinhole (section 2.5.3), for every host outside. */
static int add_pinhole(struct igd *g, const struct upnp_request *r, const char *lease,
		       char uid[UPNP_UID_BYTES])
{
	char inside[16], client[ADDR_TEXT_BYTES];
	struct igd_argument arguments[] = {{"RemoteHost", ""},
					   {"RemotePort", "0"},
					   {"InternalClient", client},
					   {"InternalPort", inside},
					   {"Protocol", r->transport == PORTMAP_TCP ? "6" : "17"},
					   {"LeaseTime", lease}};
	struct igd_result result = {.name = "UniqueID"};
	uint32_t n;

	number_text(addr_port(&r->internal), inside);
	host_text(&r->internal, client);
	if (igd_command(g, &r->service, "AddPinhole", arguments, 6, &result, 1) != IGD_OK)
		return g->code;
	if (!read_number(&result, UINT16_MAX, &n))
		return g->code = -EPROTO;
	snprintf(uid, UPNP_UID_BYTES, "%u", n);
	return IGD_OK;
}

/* 606: what a FRITZ!Box says until its owner has ticked this host's box, and what miniupnpd says of
 * ports below 1024, which are for others than control points (section 2.5.3). Over IPv4 no gateway
 * sees who asks. */
static void refuse_pinhole(const struct upnp_request *r, struct upnp_answer *a)
{
	bool own = addr_same_host(&r->internal, &r->source) || r->source.sa.sa_family == AF_INET;

	if (!own) {
		worker_refuse(a, PORTMAP_REFUSED,
			      "the gateway opens its IPv6 firewall only for the host that asks "
			      "itself (606); run natd there");
		return;
	}
	a->ok = false;
	a->failure = PORTMAP_REFUSED;
	snprintf(a->why, sizeof(a->why),
		 "the gateway does not let this host open its IPv6 firewall (606); allow it there "
		 "(FRITZ!Box: permit independent port sharing for this device)%s",
		 addr_port(&r->internal) < 1024 ? "; many open no port below 1024 by UPnP" : "");
}

void worker_pinhole(struct igd *g, const struct upnp_request *r, struct upnp_answer *a)
{
	char lease[16];
	int code = IGD_NO_SUCH_PINHOLE;

	a->lease_s = r->lease_s < PINHOLE_MAX_S ? r->lease_s : PINHOLE_MAX_S;
	number_text(a->lease_s, lease);
	memcpy(a->uid, r->uid, sizeof(a->uid));
	if (r->uid[0])
		code = renew_pinhole(g, r, lease);
	/* Gateways that restarted do not all say 704: miniupnpd finds the client wrong or missing.
	 */
	if (code == IGD_NO_SUCH_PINHOLE ||
	    (r->uid[0] && (code == IGD_INVALID_ARGUMENTS || code == IGD_NOT_AUTHORIZED)))
		code = add_pinhole(g, r, lease, a->uid);
	a->ok = code == IGD_OK;
	if (code == IGD_NOT_AUTHORIZED)
		refuse_pinhole(r, a);
	else if (!a->ok)
		worker_fail(a, code);
}

/* DeletePinhole (section 2.5.5). */
void worker_unpinhole(struct igd *g, const struct upnp_request *r, struct upnp_answer *a)
{
	struct igd_argument argument = {"UniqueID", r->uid};
	int code = igd_command(g, &r->service, "DeletePinhole", &argument, 1, NULL, 0);

	a->ok = code == IGD_OK || code == IGD_NO_SUCH_PINHOLE;
	if (!a->ok)
		worker_fail(a, code);
}
