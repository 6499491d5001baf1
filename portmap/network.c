/* SPDX-License-Identifier: Apache-2.0 */
/* network: chooses among the default routes, and notices when another one is right. */
#include "portmap/network.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "core/container.h"
#include "core/log.h"
#include "portmap/rtnetlink.h"

#define SETTLE_MS     200u
#define SUBNET6_BITS  64u /* RFC 4291 section 2.5.4 */
#define ADDRESS4_BITS 32u

/* ---- choosing ---- */

static bool is_main(const struct rtnetlink_route *r)
{
	return r->table == RT_TABLE_MAIN;
}

/* Of two default routes that fit: with a gateway, of the main table, of the lower metric. */
static bool is_better(const struct rtnetlink_route *a, const struct rtnetlink_route *b)
{
	if ((a->gateway.len > 0) != (b->gateway.len > 0))
		return a->gateway.len > 0;
	if (is_main(a) != is_main(b))
		return is_main(a);
	return a->metric < b->metric;
}

/* Its interface is up, and the one that was named; where none was, one that is no tunnel, with a
 * gateway. */
static bool route_fits(struct network_watch *w, const struct rtnetlink_route *r,
		       struct rtnetlink_link *link)
{
	if (rtnetlink_link(&w->questions, r->index, link) < 0 || !link->up)
		return false;
	if (w->interface)
		return strcmp(w->interface, link->name) == 0;
	return !link->tunnel && r->gateway.len > 0;
}

/* The best of the default routes that fit. False: there is none. */
static bool best_route(struct network_watch *w, int family, bool only_main,
		       struct rtnetlink_route *out, struct rtnetlink_link *link)
{
	struct rtnetlink_route routes[RTNETLINK_ROUTES_MAX];
	int count = rtnetlink_default_routes(&w->questions, family, routes, RTNETLINK_ROUTES_MAX);
	bool found = false;

	if (count < 0)
		log_warning("network", "the routes cannot be read: %s", strerror(-count));
	for (int i = 0; i < count; i++) {
		struct rtnetlink_link candidate;

		if ((found && !is_better(&routes[i], out)) || (only_main && !is_main(&routes[i])) ||
		    !route_fits(w, &routes[i], &candidate))
			continue;
		found = true;
		*out = routes[i];
		*link = candidate;
	}
	return found;
}

/* The way that a packet from source (len 0: whichever) to the internet takes now. */
static bool way_out(struct network_watch *w, int family, const struct addr *source,
		    struct rtnetlink_route *out, struct rtnetlink_link *link)
{
	struct addr far;

	return addr_from_literal(family == AF_INET ? NETWORK_FAR4 : NETWORK_FAR6, 0, &far) &&
	       rtnetlink_way(&w->questions, &far, source, 0, out) == 0 &&
	       rtnetlink_link(&w->questions, out->index, link) == 0 && link->up;
}

static bool choose_route(struct network_watch *w, int family, struct rtnetlink_route *out,
			 struct rtnetlink_link *link)
{
	const struct addr any = {.len = 0};
	struct rtnetlink_route other;
	struct rtnetlink_link other_link;

	if (w->interface)
		return best_route(w, family, false, out, link);
	/* The main table may have one for others than us. */
	if (!way_out(w, family, &any, out, link))
		return best_route(w, family, true, out, link);
	/* A gateway on the same link is worth to be asked as well. */
	if ((link->tunnel || out->gateway.len == 0) &&
	    best_route(w, family, false, &other, &other_link) &&
	    (link->tunnel || other.index == out->index)) {
		*out = other;
		*link = other_link;
	}
	return true;
}

static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	if (memcmp(a, b, bytes) != 0)
		return false;
	return rest == 0 || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0;
}

static bool in_subnet4(const struct addr *a, const struct addr *of, unsigned prefix)
{
	return same_prefix((const uint8_t *)&a->v4.sin_addr, (const uint8_t *)&of->v4.sin_addr,
			   prefix);
}

/* Ours towards an IPv4 gateway: what the route asks for, else what shares its subnet, else the
 * first. */
static void choose_source4(struct network_watch *w, const struct rtnetlink_route *route,
			   struct portmap_place *out)
{
	struct rtnetlink_address list[RTNETLINK_ADDRESSES_MAX];
	int count = rtnetlink_addresses(&w->questions, AF_INET, route->index, list,
					RTNETLINK_ADDRESSES_MAX);
	int best = -1, rank = 0;

	for (int i = 0; i < count; i++) {
		int own = 1;

		if (route->gateway.len > 0 &&
		    in_subnet4(&route->gateway, &list[i].address, list[i].prefix))
			own = 2;
		if (route->preferred.len > 0 && addr_equal(&route->preferred, &list[i].address))
			own = 3;
		if (own <= rank)
			continue;
		rank = own;
		best = i;
	}
	if (best < 0 && route->preferred.len > 0) {
		/* A link without an address of its own uses another's. */
		out->source = route->preferred;
		out->prefix = ADDRESS4_BITS;
	}
	if (best < 0)
		return;
	out->source = list[best].address;
	out->prefix = list[best].prefix;
}

/* Addresses that the internet routes to: 2000::/3. */
static bool is_global6(const struct addr *a)
{
	return (a->v6.sin6_addr.s6_addr[0] & 0xe0) == 0x20;
}

static void choose_source6(struct network_watch *w, const struct rtnetlink_route *route,
			   struct portmap_place *out)
{
	struct rtnetlink_address list[RTNETLINK_ADDRESSES_MAX];
	int count = rtnetlink_addresses(&w->questions, AF_INET6, route->index, list,
					RTNETLINK_ADDRESSES_MAX);

	for (int i = 0; i < count && out->source.len == 0; i++)
		if (list[i].usable && is_global6(&list[i].address))
			out->source = list[i].address;
	out->prefix = SUBNET6_BITS;
}

/* What comes in by the gateway is answered from our address there: where does that go? */
static void look_for_tunnel(struct network_watch *w, struct network *n)
{
	const struct portmap_place *place = &n->places[PORTMAP_IPV4];
	struct rtnetlink_route route;
	struct rtnetlink_link link;

	if (place->gateway.len == 0)
		return;
	if (!way_out(w, AF_INET, &place->source, &route, &link))
		n->unanswered = true;
	else if (route.index != place->index && link.tunnel)
		memcpy(n->tunnel, link.name, sizeof n->tunnel);
}

/* The way to the gateway of the configuration; direct: only by a link that it is on. A link-local
 * address does not tell its link. */
static bool way_to_configured(struct network_watch *w, int family, bool direct,
			      struct rtnetlink_route *out, struct rtnetlink_link *link)
{
	const struct addr any = {.len = 0};
	const struct addr *to = &w->gateway;

	if (to->len == 0 || to->sa.sa_family != family ||
	    (family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&to->v6.sin6_addr)) ||
	    rtnetlink_way(&w->questions, to, &any, 0, out) < 0 ||
	    rtnetlink_link(&w->questions, out->index, link) < 0 || !link->up)
		return false;
	if (w->interface && strcmp(w->interface, link->name) != 0)
		return false;
	return !direct || (out->gateway.len == 0 && !link->tunnel);
}

/* The gateway of the configuration, where it is of this family. */
static void take_configured(const struct network_watch *w, int family,
			    struct rtnetlink_route *route)
{
	if (w->gateway.len == 0 || w->gateway.sa.sa_family != family)
		return;
	route->gateway = w->gateway;
	if (family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&route->gateway.v6.sin6_addr))
		route->gateway.v6.sin6_scope_id = route->index;
}

/* A name that no interface has is a slip: those that there are show which. */
static void look_for_named(struct network_watch *w, struct network *n)
{
	struct rtnetlink_link links[RTNETLINK_LINKS_MAX];
	int count = rtnetlink_links(&w->questions, links, RTNETLINK_LINKS_MAX);
	size_t used = 0;

	/* More than there is room for: it may be one of the others. */
	n->missing = count >= 0 && count < (int)RTNETLINK_LINKS_MAX;
	for (int i = 0; i < count; i++) {
		if (strcmp(links[i].name, w->interface) == 0)
			n->missing = false;
		if (strcmp(links[i].name, "lo") != 0 && used < sizeof n->others)
			used += (size_t)snprintf(n->others + used, sizeof n->others - used, "%s%s",
						 used > 0 ? ", " : "", links[i].name);
	}
	if (!n->missing)
		n->others[0] = '\0';
}

static void network_look(struct network_watch *w, struct network *n)
{
	static const int families[PORTMAP_FAMILIES] = {
		[PORTMAP_IPV4] = AF_INET, [PORTMAP_IPV6] = AF_INET6};
	struct rtnetlink_route route;
	struct rtnetlink_link link;

	memset(n, 0, sizeof *n);
	for (unsigned f = 0; f < PORTMAP_FAMILIES; f++) {
		struct portmap_place *place = &n->places[f];

		if (!way_to_configured(w, families[f], true, &route, &link) &&
		    !choose_route(w, families[f], &route, &link) &&
		    !way_to_configured(w, families[f], false, &route, &link))
			continue;
		take_configured(w, families[f], &route);
		(f == PORTMAP_IPV6 ? choose_source6 : choose_source4)(w, &route, place);
		if (place->source.len > 0)
			place->gateway = route.gateway;
		place->index = route.index;
		n->link[f] = place->source.len > 0 && place->gateway.len == 0;
		if (f == PORTMAP_IPV4 || n->places[PORTMAP_IPV4].source.len == 0) {
			memcpy(n->interface, link.name, sizeof n->interface);
			n->pair = link.pair;
		}
		if (f == PORTMAP_IPV6)
			memcpy(n->interface6, link.name, sizeof n->interface6);
		n->up |= place->source.len > 0;
	}
	look_for_tunnel(w, n);
	if (w->interface && !n->up)
		look_for_named(w, n);
}

/* ---- watching ---- */

static bool same_address(const struct addr *a, const struct addr *b)
{
	return a->len == b->len && (a->len == 0 || addr_equal(a, b));
}

bool network_same_family(const struct network *a, const struct network *b, enum portmap_family f)
{
	const struct portmap_place *x = &a->places[f], *y = &b->places[f];

	return x->index == y->index && x->prefix == y->prefix && a->link[f] == b->link[f] &&
	       same_address(&x->gateway, &y->gateway) && same_address(&x->source, &y->source);
}

bool network_same(const struct network *a, const struct network *b)
{
	return a->up == b->up && network_same_family(a, b, PORTMAP_IPV4) &&
	       network_same_family(a, b, PORTMAP_IPV6);
}

static void network_settled(struct timer *t, uint64_t now_ms)
{
	struct network_watch *w = container(t, struct network_watch, settle);
	struct network now;

	network_look(w, &now);
	if (network_same(&now, &w->now) && strcmp(now.tunnel, w->now.tunnel) == 0 &&
	    now.unanswered == w->now.unanswered && now.missing == w->now.missing &&
	    strcmp(now.others, w->now.others) == 0)
		return;
	now.number = w->now.number + !network_same(&now, &w->now);
	w->now = now;
	w->changed(w);
}

static void network_changes_readable(struct ring_op *op, int res)
{
	struct network_watch *w = container(op, struct network_watch, op);

	if (w->closing)
		return;
	if (res < 0) {
		log_error("network", "changes are no longer heard of: %s", strerror(-res));
		return;
	}
	netlink_drain(&w->changes);
	/* Not put off by further changes: a route that flaps is looked at all the same. */
	if (!timer_pending(&w->settle))
		ring_timer_set(w->ring, &w->settle, SETTLE_MS);
	ring_poll(w->ring, &w->op, w->changes.fd, POLLIN);
}

int network_watch_start(struct network_watch *w)
{
	int error;

	memset(&w->now, 0, sizeof w->now);
	memset(&w->op, 0, sizeof w->op);
	w->op.done = network_changes_readable;
	w->settle = (struct timer){.fire = network_settled};
	w->closing = false;
	w->questions.fd = -1;
	/* Before the first look, so that nothing is missed. */
	error = rtnetlink_open_changes(&w->changes);
	if (!error)
		error = rtnetlink_open(&w->questions);
	if (error) {
		netlink_close(&w->changes);
		return error;
	}
	network_look(w, &w->now);
	w->now.number = 1;
	ring_poll(w->ring, &w->op, w->changes.fd, POLLIN);
	return 0;
}

bool network_watch_stop(struct network_watch *w)
{
	w->closing = true;
	ring_timer_cancel(w->ring, &w->settle);
	if (w->changes.fd < 0)
		return true;
	if (ring_op_busy(&w->op)) {
		ring_cancel(w->ring, &w->op);
		return false;
	}
	ring_close_fd(w->ring, w->changes.fd);
	w->changes.fd = -1;
	netlink_close(&w->questions);
	return true;
}

void network_watch_pin(struct network_watch *w, const char *interface)
{
	w->interface = interface;
	ring_timer_set(w->ring, &w->settle, 0);
}

bool network_still_there(struct network_watch *w, const struct network *n)
{
	struct rtnetlink_address list[RTNETLINK_ADDRESSES_MAX];
	bool v6 = n->places[PORTMAP_IPV4].source.len == 0;
	const struct portmap_place *place = &n->places[v6 ? PORTMAP_IPV6 : PORTMAP_IPV4];
	struct rtnetlink_link link;
	int count;

	if (!n->up || rtnetlink_link(&w->questions, place->index, &link) < 0 || !link.up)
		return false;
	count = rtnetlink_addresses(&w->questions, v6 ? AF_INET6 : AF_INET, place->index, list,
				    RTNETLINK_ADDRESSES_MAX);
	for (int i = 0; i < count; i++)
		if (addr_equal(&list[i].address, &place->source))
			return true;
	return false;
}

void network_gateway6_text(const struct network *n, char out[NETWORK_GATEWAY6_BYTES])
{
	char host[ADDR_TEXT_BYTES];
	size_t len;

	addr_format_host(&n->places[PORTMAP_IPV6].gateway, host);
	len = strcspn(host, "%");
	if (host[len] == '\0' || n->interface6[0] == '\0')
		snprintf(out, NETWORK_GATEWAY6_BYTES, "%s", host);
	else
		snprintf(out, NETWORK_GATEWAY6_BYTES, "%.*s%%%s", (int)len, host, n->interface6);
}

bool network_on_link(const struct network *n, const struct addr *a)
{
	const struct portmap_place *v4 = &n->places[PORTMAP_IPV4], *v6 = &n->places[PORTMAP_IPV6];

	if (a->len == 0)
		return false;
	if (a->sa.sa_family == AF_INET)
		return v4->source.len > 0 && in_subnet4(a, &v4->source, v4->prefix);
	if (IN6_IS_ADDR_LINKLOCAL(&a->v6.sin6_addr))
		return true;
	return v6->source.len > 0 &&
	       same_prefix(a->v6.sin6_addr.s6_addr, v6->source.v6.sin6_addr.s6_addr, v6->prefix);
}
