/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search: M-SEARCH to the gateway itself, then to the whole LAN.
 *
 * The gateway that answers a unicast search (UPnP Device Architecture 1.1, section 1.3.2) ends the
 * search within a round trip. Most older ones hear multicast only: that follows SEARCH_ALONE_MS
 * later, twice, since datagrams get lost.
 *
 * An answer counts when it speaks of an Internet gateway and its location may be followed
 * (location_trusted()). Some gateways answer only to those who look for any device at all, as does
 * every television: that is asked of the gateway itself, of the LAN only in the last round, and
 * only the gateway's answer to it counts. Its source port is not looked at: many answer from
 * another one than 1900. At most UPNP_DEVICES_MAX hosts are kept, one location of each.
 */
#include "upnp/driver/search.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "upnp/driver/exchange.h"
#include "upnp/ssdp.h"

#define SEARCH_ALONE_MS	 200 /* the gateway alone is asked for so long */
#define SEARCH_AGAIN_MS	 900
#define SEARCH_LINGER_MS 60 /* after the gateway's answer: for a better one of its own */

static const char *const targets[] = {
	"urn:schemas-upnp-org:device:InternetGatewayDevice:1", /* version 2 answers, too (1.3.2) */
	"urn:schemas-upnp-org:device:InternetGatewayDevice:2",
	"urn:schemas-upnp-org:service:WANIPConnection:1",
	"urn:schemas-upnp-org:service:WANPPPConnection:1",
	"urn:dslforum-org:device:InternetGatewayDevice:1",
	/* From here on: of any device. */
	"upnp:rootdevice",
	"ssdp:all",
};
#define TARGETS	    (sizeof(targets) / sizeof(targets[0]))
#define TARGETS_ANY 2u /* the last ones */

struct ssdp_search {
	const struct upnp_request *request;
	struct upnp_answer *answer;
	int fd;
	struct addr group;
	unsigned datagrams;
	bool alone; /* only the gateway has been asked */
	bool gateway_answered;
};

/* ---- sockets --------------------------------------------------------------------------------- */

/* #syscalls setsockopt(1 is IPPROTO_IP) setsockopt(1 is IPPROTO_IPV6) */
static int set_multicast(int fd, int family, unsigned index)
{
	const struct ip_mreqn out = {.imr_ifindex = (int)index};
	const int ttl = 2, hops = 2, number = (int)index; /* UDA 1.1, section 1.1.2 */

	if (family == AF_INET)
		return setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof(out)) ||
				       setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl,
						  sizeof(ttl))
			       ? -errno
			       : 0;
	return setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &number, sizeof(number)) ||
			       setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops,
					  sizeof(hops))
		       ? -errno
		       : 0;
}

/* #syscalls socket(0 is AF_INET) socket(0 is AF_INET6) bind close */
static int ssdp_search_open_socket(struct ssdp_search *s)
{
	const struct upnp_request *r = s->request;
	int family = r->source.sa.sa_family, error;

	s->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	error = set_multicast(s->fd, family, r->index);
	if (!error && bind(s->fd, &r->source.sa, r->source.len))
		error = -errno;
	if (!addr_from_literal(family == AF_INET ? "239.255.255.250" : "ff02::c", SSDP_PORT,
			       &s->group))
		error = -EINVAL;
	if (family == AF_INET6)
		s->group.v6.sin6_scope_id = r->index;
	return error;
}

/* Lost datagrams are repeated anyway.
 *
 * #syscalls sendto
 */
static void send_searches(struct ssdp_search *s, const struct addr *to, unsigned mx, size_t count)
{
	char text[SSDP_SEARCH_BYTES];

	for (size_t i = 0; i < count; i++) {
		size_t len = ssdp_write_search(text, sizeof(text), targets[i], to, mx);
		(void)!sendto(s->fd, text, len, 0, &to->sa, to->len);
	}
}

static void search_gateway(struct ssdp_search *s)
{
	struct addr to = s->request->gateway;

	if (to.len == 0)
		return;
	addr_set_port(&to, SSDP_PORT);
	send_searches(s, &to, 0, TARGETS);
}

/* ---- answers --------------------------------------------------------------------------------- */

static bool ssdp_search_trusts(const struct ssdp_search *s, const struct addr *from,
			       const struct location *location)
{
	const struct upnp_request *r = s->request;
	const struct location_way way = {.source = &r->source,
					 .gateway = &r->gateway,
					 .prefix = r->prefix,
					 .asked_alone = s->alone};

	return location_trusted(&location->host, from, &way);
}

/* The place for a device of this host; NULL when all are taken. The gateway's is the first. */
static struct upnp_device *place_for(struct ssdp_search *s, const struct addr *host,
				     bool is_gateway)
{
	struct upnp_answer *a = s->answer;
	struct upnp_device *d = a->devices;

	for (size_t i = 0; i < a->device_count; i++)
		if (addr_same_host(&a->devices[i].location.host, host))
			return &a->devices[i];
	if (is_gateway && a->device_count > 0) {
		if (a->device_count == UPNP_DEVICES_MAX)
			a->device_count--;
		memmove(d + 1, d, a->device_count * sizeof(*d));
		a->device_count++;
	} else if (a->device_count < UPNP_DEVICES_MAX) {
		d = &a->devices[a->device_count++];
	} else {
		return NULL;
	}
	d->meaning = SSDP_OTHER;
	return d;
}

static void ssdp_search_take(struct ssdp_search *s, const struct addr *from,
			     const struct ssdp_message *m)
{
	bool is_gateway = addr_same_host(&m->location.host, &s->request->gateway) || s->alone;
	enum ssdp_meaning meaning = ssdp_meaning(m->target);
	struct upnp_device *d;

	if (m->kind != SSDP_ANSWER || !ssdp_search_trusts(s, from, &m->location) ||
	    meaning < (is_gateway ? SSDP_ANY_DEVICE : SSDP_GATEWAY_DSLFORUM))
		return;
	d = place_for(s, &m->location.host, is_gateway);
	/* A FRITZ!Box has a description by each name, of which the other wants a password. */
	if (!d || d->meaning > meaning)
		return;
	*d = (struct upnp_device){
		.location = m->location,
		.from = *from,
		.has_boot = m->has_boot,
		.boot = m->boot,
		.meaning = meaning,
	};
	addr_set_port(&d->from, 0);
	if (d->location.host.sa.sa_family == AF_INET6 &&
	    IN6_IS_ADDR_LINKLOCAL(&d->location.host.v6.sin6_addr))
		d->location.host.v6.sin6_scope_id = s->request->index;
	snprintf(d->server, sizeof(d->server), "%s", m->server);
	/* An IPv6 gateway is known by its link-local address and answers from its global one; so
	 * what answers while it alone was asked is the gateway. */
	s->gateway_answered = s->gateway_answered || is_gateway;
}

/* Reads what is there; false when the flood is too large. */
static bool read_answers(struct ssdp_search *s)
{
	uint8_t bytes[SSDP_DATAGRAM_MAX];
	struct ssdp_message m;
	struct addr from;
	ssize_t n;

	for (;;) {
		from.len = sizeof(from.v6);
		n = recvfrom(s->fd, bytes, sizeof(bytes), 0, &from.sa, &from.len);
		if (n < 0)
			return true;
		if (s->datagrams++ == SEARCH_DATAGRAMS_MAX)
			return false;
		if (ssdp_parse(bytes, (size_t)n, &m))
			ssdp_search_take(s, &from, &m);
	}
}

/* Until the time, the gateway's answer, or the flood. False: it is over. */
static bool listen_until(struct ssdp_search *s, int64_t due_ms)
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN};
	int64_t left;

	while ((left = due_ms - (int64_t)clock_ms(CLOCK_MONOTONIC)) > 0) {
		bool before = s->gateway_answered;

		(void)!poll(&p, 1, (int)left);
		if (!read_answers(s))
			return false;
		if (s->gateway_answered && !before && left > SEARCH_LINGER_MS)
			due_ms = (int64_t)clock_ms(CLOCK_MONOTONIC) + SEARCH_LINGER_MS;
	}
	return !s->gateway_answered;
}

void search_perform(const struct upnp_request *r, struct upnp_answer *a)
{
	struct ssdp_search s = {.request = r, .answer = a, .fd = -1};
	int64_t start = (int64_t)clock_ms(CLOCK_MONOTONIC);
	int error = ssdp_search_open_socket(&s);

	a->ok = error == 0;
	if (error) {
		a->failure = PORTMAP_SILENT;
		snprintf(a->why, sizeof(a->why), "no socket to search with: %s", strerror(-error));
	} else {
		search_gateway(&s);
		s.alone = true;
		if (listen_until(&s, start + SEARCH_ALONE_MS)) {
			s.alone = false;
			send_searches(&s, &s.group, 1, TARGETS - TARGETS_ANY);
			if (listen_until(&s, start + SEARCH_AGAIN_MS)) {
				search_gateway(&s);
				send_searches(&s, &s.group, 1, TARGETS);
				(void)listen_until(&s, start + SEARCH_MS);
			}
		}
	}
	if (s.fd >= 0)
		close(s.fd);
}
