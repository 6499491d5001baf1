/* SPDX-License-Identifier: Apache-2.0 */
/* pcp_servers: which of two PCP servers is asked, and what is heard of them. */
#include "natpmp/driver/pcp_servers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "natpmp/pcp.h"

struct addr pcp_servers_anycast(enum portmap_family f)
{
	struct addr a;

	/* RFC 7723 section 5. */
	if (!addr_from_literal(f == PORTMAP_IPV6 ? "2001:1::1" : "192.0.0.9", 0, &a))
		abort();
	return a;
}

static const char behind_router[] =
	"the provider's NAT speaks PCP, but sees the router in place of this host and maps nothing "
	"for it: two NATs; make the router a bridge, or ask the provider for a public address";

static struct pcp_servers *servers_of(struct portmap_driver *base)
{
	return (struct pcp_servers *)base;
}

static struct pcp_server *server_of(struct portmap_heard *h)
{
	return (struct pcp_server *)h;
}

static bool is_provider(const struct pcp_server *server)
{
	return server == &server->owner->provider;
}

/* ---- what is heard ---- */

static void tell_unavailable(struct pcp_servers *s, enum portmap_family f,
			     enum portmap_failure failure, const char *why)
{
	s->in_use = NULL;
	s->probing = false;
	s->base.heard->unavailable(s->base.heard, PORTMAP_PCP, f, failure, why);
}

static void servers_available(struct portmap_heard *h, enum portmap_protocol p,
			      enum portmap_family f, const struct portmap_gateway *gateway)
{
	struct pcp_server *server = server_of(h);
	struct pcp_servers *s = server->owner;
	struct portmap_gateway told = *gateway;
	bool changed = s->in_use && s->in_use != server;

	server->there = true;
	if (is_provider(server)) {
		if (s->gateway.there || s->nested)
			return;
		snprintf(told.about, sizeof(told.about), "%.100s, of the provider's NAT",
			 gateway->about);
	}
	s->in_use = server;
	s->probing = false;
	s->base.heard->available(s->base.heard, p, f, &told);
	if (changed)
		s->base.heard->restarted(s->base.heard, p, f,
					 "PCP is spoken by the gateway itself now");
}

static void servers_unavailable(struct portmap_heard *h, enum portmap_protocol p,
				enum portmap_family f, enum portmap_failure failure,
				const char *why)
{
	struct pcp_server *server = server_of(h);
	struct pcp_servers *s = server->owner;

	server->there = false;
	if (is_provider(server)) {
		if (s->in_use == server)
			tell_unavailable(s, f, failure, why);
		else if (!s->gateway.there && s->probing)
			tell_unavailable(s, f, s->failure, s->why);
		return;
	}
	s->failure = failure;
	snprintf(s->why, sizeof(s->why), "%s", why);
	/* One that is there and not connected is waited for. */
	if (failure == PORTMAP_NO_EXTERNAL || !s->provider.driver) {
		tell_unavailable(s, f, failure, why);
		return;
	}
	if (s->nested) {
		tell_unavailable(s, f, PORTMAP_UNSUPPORTED, behind_router);
		return;
	}
	/* What goes away is told at once; what was never there may be had from the provider. */
	if (s->in_use == server)
		tell_unavailable(s, f, failure, why);
	else
		s->probing = true;
	s->provider.driver->probe(s->provider.driver);
}

static void servers_restarted(struct portmap_heard *h, enum portmap_protocol p,
			      enum portmap_family f, const char *why)
{
	struct pcp_server *server = server_of(h);
	struct portmap_heard *up = server->owner->base.heard;

	if (server->owner->in_use == server)
		up->restarted(up, p, f, why);
}

static void servers_doubted(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			    const char *why)
{
	struct pcp_server *server = server_of(h);
	struct portmap_heard *up = server->owner->base.heard;

	if (server->owner->in_use == server)
		up->doubted(up, p, f, why);
}

static void servers_external_changed(struct portmap_heard *h, enum portmap_protocol p,
				     const struct addr *external)
{
	struct pcp_server *server = server_of(h);
	struct portmap_heard *up = server->owner->base.heard;

	if (server->owner->in_use == server)
		up->external_changed(up, p, external);
}

static void servers_mapped(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
			   const struct addr *external, uint32_t lifetime_s)
{
	struct pcp_server *server = server_of(h);
	struct portmap_heard *up = server->owner->base.heard;

	if (server->owner->in_use == server)
		up->mapped(up, p, id, external, lifetime_s);
}

static void servers_failed(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
			   const struct portmap_refusal *refusal)
{
	static const char gateway[] = "the gateway";
	struct pcp_server *server = server_of(h);
	struct pcp_servers *s = server->owner;
	struct portmap_heard *up = s->base.heard;
	struct portmap_refusal told = *refusal;
	const char *why = refusal->why;
	char text[PORTMAP_TEXT_BYTES];
	bool nested = strstr(why, pcp_result_name(PCP_ADDRESS_MISMATCH));

	if (s->in_use != server)
		return;
	if (!is_provider(server)) {
		up->failed(up, p, id, refusal);
		return;
	}
	/* Its sentences speak of the gateway, as all drivers' do. */
	snprintf(text, sizeof(text), "the provider's NAT%s%.160s",
		 strncmp(why, gateway, strlen(gateway)) == 0 ? "" : ": ",
		 strncmp(why, gateway, strlen(gateway)) == 0 ? why + strlen(gateway) : why);
	told.why = text;
	if (nested) /* it need not be waited for: it is not asked again */
		told.wait_s = 0;
	up->failed(up, p, id, &told);
	if (!nested)
		return;
	s->nested = true;
	tell_unavailable(s, s->base.families[PORTMAP_IPV6] ? PORTMAP_IPV6 : PORTMAP_IPV4,
			 PORTMAP_UNSUPPORTED, behind_router);
}

static void servers_unmapped(struct portmap_heard *h, enum portmap_protocol p, uint32_t id, bool ok)
{
	struct portmap_heard *up = server_of(h)->owner->base.heard;

	up->unmapped(up, p, id, ok);
}

/* ---- what the engine asks ---- */

/* What is asked while none is in use goes to the gateway's, which answers that it is not there. */
static struct portmap_driver *asked(struct pcp_servers *s)
{
	return s->in_use ? s->in_use->driver : s->gateway.driver;
}

static void servers_probe(struct portmap_driver *base)
{
	struct pcp_servers *s = servers_of(base);

	s->probing = true;
	s->gateway.driver->probe(s->gateway.driver);
}

static void servers_map(struct portmap_driver *base, const struct portmap_request *r)
{
	struct portmap_driver *d = asked(servers_of(base));

	d->map(d, r);
}

static void servers_unmap(struct portmap_driver *base, const struct portmap_request *r)
{
	struct portmap_driver *d = asked(servers_of(base));

	d->unmap(d, r);
}

static void servers_forget(struct portmap_driver *base, uint32_t id)
{
	struct pcp_servers *s = servers_of(base);

	s->gateway.driver->forget(s->gateway.driver, id);
	if (s->provider.driver)
		s->provider.driver->forget(s->provider.driver, id);
}

/* ---- begin and end ---- */

static void server_stopped(struct portmap_driver *d)
{
	struct pcp_servers *s = server_of(d->heard)->owner;

	if (++s->stopped == (s->provider.driver ? 2 : 1))
		s->base.stopped(&s->base);
}

static void servers_stop(struct portmap_driver *base)
{
	struct pcp_servers *s = servers_of(base);

	s->gateway.driver->stop(s->gateway.driver);
	if (s->provider.driver)
		s->provider.driver->stop(s->provider.driver);
}

static void servers_release(struct portmap_driver *base)
{
	struct pcp_servers *s = servers_of(base);

	s->gateway.driver->release(s->gateway.driver);
	if (s->provider.driver)
		s->provider.driver->release(s->provider.driver);
	free(s);
}

void pcp_servers_init(struct pcp_servers *s, struct portmap_heard *heard)
{
	const struct portmap_heard own = {.available = servers_available,
					  .unavailable = servers_unavailable,
					  .restarted = servers_restarted,
					  .doubted = servers_doubted,
					  .external_changed = servers_external_changed,
					  .mapped = servers_mapped,
					  .failed = servers_failed,
					  .unmapped = servers_unmapped};

	s->base = (struct portmap_driver){.protocol = PORTMAP_PCP,
					  .heard = heard,
					  .probe = servers_probe,
					  .map = servers_map,
					  .unmap = servers_unmap,
					  .forget = servers_forget,
					  .stop = servers_stop,
					  .release = servers_release};
	s->gateway = (struct pcp_server){.heard = own, .owner = s};
	s->provider = (struct pcp_server){.heard = own, .owner = s};
}

void pcp_servers_start(struct pcp_servers *s, struct portmap_driver *gateway,
		       struct portmap_driver *provider)
{
	s->gateway.driver = gateway;
	s->provider.driver = provider;
	gateway->stopped = server_stopped;
	if (provider)
		provider->stopped = server_stopped;
	memcpy(s->base.families, gateway->families, sizeof(s->base.families));
}

struct portmap_driver *pcp_servers_gateway(struct portmap_driver *base)
{
	return servers_of(base)->gateway.driver;
}
