/* SPDX-License-Identifier: Apache-2.0 */
/* dry_run: waits for the probes, and puts what would follow into sentences. */
#include "portmap/dry_run.h"

#include "core/clock.h"
#include "core/container.h"
#include "portmap/outside.h"

#define LOOK_MS 50u

/* ---- one mapping ---- */

static const struct portmap_path *path_of(const struct natd *n, unsigned protocol,
					  enum portmap_family f)
{
	return &n->engine.paths[protocol][f];
}

static void tell_nobody(const struct natd *n, enum portmap_family f, FILE *to)
{
	const char *between = ": ";

	fprintf(to, "there is nobody to ask");
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		const struct portmap_path *path = path_of(n, p, f);

		if (!path->driver)
			continue;
		fprintf(to, "%s%s: %s", between, portmap_protocol_name((enum portmap_protocol)p),
			path->state == PATH_GONE ? path->why : "no answer yet");
		between = "; ";
	}
	fprintf(to, "\n");
}

/* False: no protocol is there. */
static bool tell_paths(const struct natd *n, const struct portmap_want *w, FILE *to)
{
	const char *between = "; where that fails ";
	char gateway[ADDR_TEXT_BYTES];
	bool found = false;

	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		const struct portmap_path *path = path_of(n, p, w->family);
		const char *name = portmap_protocol_name((enum portmap_protocol)p);

		if (path->state != PATH_THERE)
			continue;
		if (found) {
			fprintf(to, "%s%s", between, name);
			between = ", ";
			continue;
		}
		found = true;
		addr_format(&path->gateway.address, gateway);
		fprintf(to, "asks %s by %s for ", gateway, name);
		if (w->family == PORTMAP_IPV6)
			fprintf(to, "a pinhole, ");
		else
			fprintf(to, "external port %u%s, ", w->external,
				w->any ? " or another one" : "");
		fprintf(to, "for %u s", w->lifetime_s);
	}
	if (found)
		fprintf(to, "\n");
	return found;
}

/* False: what the network allows for is not to be had. */
static bool tell_want(const struct natd *n, const struct portmap_want *w, FILE *to)
{
	struct portmap_mapping like = {.want = *w};
	char name[MAPPING_NAME_BYTES];

	mapping_name(&like, name);
	fprintf(to, "%s: ", name);
	if (w->family == PORTMAP_IPV4 && w->host.len == 0 && n->truth.verdict == TRUTH_NO_NAT) {
		fprintf(to, "needs no mapping: this host's own address is what outside sees\n");
		return true;
	}
	if (n->engine.source[w->family].len == 0) {
		fprintf(to, "there is nobody to ask: this network has no %s gateway\n",
			w->family == PORTMAP_IPV6 ? "IPv6" : "IPv4");
		return w->family == PORTMAP_IPV6;
	}
	if (tell_paths(n, w, to))
		return true;
	tell_nobody(n, w->family, to);
	return false;
}

/* ---- the whole ---- */

static void tell_right(const struct ask_right *r, FILE *to)
{
	const char *between = " ";

	fprintf(to, "%s %u may ask for %s ports", r->group ? "group" : "user", r->id,
		r->transports[PORTMAP_TCP] && r->transports[PORTMAP_UDP] ? "tcp and udp"
		: r->transports[PORTMAP_TCP]				 ? "tcp"
									 : "udp");
	for (size_t i = 0; i < r->port_count; i++) {
		fprintf(to, r->ports[i].first == r->ports[i].last ? "%s%u" : "%s%u-%u", between,
			r->ports[i].first, r->ports[i].last);
		between = ", ";
	}
	fprintf(to, "%s, %u mappings at a time\n", r->port_count == 0 ? " from 1024 up" : "",
		r->most);
}

static void tell_all(struct dry_run *d)
{
	const struct natd *n = d->natd;
	char gateway[ADDR_TEXT_BYTES] = "none", gateway6[NETWORK_GATEWAY6_BYTES] = "none";

	if (n->network.places[PORTMAP_IPV4].gateway.len > 0)
		addr_format_host(&n->network.places[PORTMAP_IPV4].gateway, gateway);
	if (n->network.places[PORTMAP_IPV6].gateway.len > 0)
		network_gateway6_text(&n->network, gateway6);
	d->complete = n->network.up;
	if (n->network.up)
		fprintf(d->to, "network: %s, gateway %s, IPv6 gateway %s\n", n->network.interface,
			gateway, gateway6);
	else
		fprintf(d->to, "network: there is none with a gateway\n");
	fprintf(d->to, "outside: %s%s%s\n", n->truth.sentence,
		n->truth.advice[0] ? "; advice: " : "", n->truth.advice);
	for (size_t i = 0; i < n->configured_count; i++)
		d->complete &= tell_want(n, &n->configured[i], d->to);
	if (n->configured_count == 0)
		fprintf(d->to, "the configuration wants no mapping\n");
	for (size_t i = 0; i < n->asks.right_count; i++)
		tell_right(&n->asks.rights[i], d->to);
	fprintf(d->to, "nothing was mapped, deleted or written\n");
	fflush(d->to);
}

static bool is_settled(const struct natd *n)
{
	return n->stage == NATD_AWAY ||
	       (n->stage == NATD_HERE && !portmap_engine_probing(&n->engine) &&
		!outside_is_busy(n->outside));
}

static void dry_run_looks(struct timer *t, uint64_t ring_now_ms)
{
	struct dry_run *d = container(t, struct dry_run, look);
	struct natd *n = d->natd;

	if (n->stopping) /* interrupted */
		return;
	if (!is_settled(n) && clock_ms(CLOCK_BOOTTIME) < d->until_ms) {
		ring_timer_set(n->ring, t, LOOK_MS);
		return;
	}
	tell_all(d);
	natd_stop(n);
}

void dry_run_start(struct dry_run *d)
{
	d->until_ms = clock_ms(CLOCK_BOOTTIME) + DRY_RUN_MS;
	d->look.fire = dry_run_looks;
	ring_timer_set(d->natd->ring, &d->look, LOOK_MS);
}
