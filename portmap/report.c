/* SPDX-License-Identifier: Apache-2.0 */
/* report: status, piece by piece. */
#include "portmap/report.h"

#include <string.h>

#include "core/clock.h"
#include "portmap/asking.h"
#include "portmap/outside.h"

/* "45.0.0.10", "fe80::1%2": without port and brackets. Nothing when the address is not known. */
static void set_host(json_t *to, const char *key, const struct addr *a)
{
	char text[ADDR_TEXT_BYTES];

	if (a->len == 0)
		return;
	addr_format_host(a, text);
	json_object_set_new(to, key, json_string(text));
}

static void set_address(json_t *to, const char *key, const struct addr *a)
{
	char text[ADDR_TEXT_BYTES];

	if (a->len == 0)
		return;
	addr_format(a, text);
	json_object_set_new(to, key, json_string(text));
}

static void set_text(json_t *to, const char *key, const char *text)
{
	if (text[0])
		json_object_set_new(to, key, json_string(text));
}

static const char *family_name(enum portmap_family f)
{
	return f == PORTMAP_IPV6 ? "ipv6" : "ipv4";
}

json_t *report_network(const struct natd *n)
{
	const struct network *net = &n->network;
	json_t *out = json_pack("{s:b, s:I}", "up", net->up, "number", (json_int_t)net->number);
	char gateway6[NETWORK_GATEWAY6_BYTES];

	set_text(out, "interface", net->interface);
	set_host(out, "address", &net->places[PORTMAP_IPV4].source);
	set_host(out, "gateway", &net->places[PORTMAP_IPV4].gateway);
	set_text(out, "tunnel", net->tunnel);
	set_host(out, "address6", &net->places[PORTMAP_IPV6].source);
	if (net->places[PORTMAP_IPV6].gateway.len > 0) {
		network_gateway6_text(net, gateway6);
		set_text(out, "gateway6", gateway6);
	}
	return out;
}

/* The servers that natd asks what outside sees. */
static void set_servers(json_t *to, const struct conf_array *servers)
{
	const struct endpoint *items = servers->items;
	json_t *list = json_array();

	for (size_t i = 0; i < servers->count; i++)
		json_array_append_new(list,
				      json_sprintf(strchr(items[i].host, ':') ? "[%s]:%u" : "%s:%u",
						   items[i].host, (unsigned)items[i].port));
	json_object_set_new(to, "stun_asked", list);
}

/* What STUN servers see, where that is not one address. */
static void set_seen(json_t *to, const struct outside *o)
{
	json_t *list = o->seen_count > 1 ? json_array() : NULL;
	char text[ADDR_TEXT_BYTES];

	for (size_t i = 0; list && i < o->seen_count; i++) {
		addr_format_host(&o->seen[i], text);
		json_array_append_new(list, json_string(text));
	}
	if (list)
		json_object_set_new(to, "stun_seen", list);
}

json_t *report_external(const struct natd *n)
{
	const struct outside *o = n->outside;
	json_t *out = json_pack("{s:s, s:s}", "verdict", truth_verdict_name(n->truth.verdict),
				"sentence", n->truth.sentence);

	set_text(out, "advice", n->truth.advice);
	set_host(out, "gateway", &n->engine.external);
	set_host(out, "stun", &o->address);
	set_host(out, "behind", &o->behind);
	set_seen(out, o);
	set_servers(out, &n->config.stun);
	if (o->rounds > 0)
		json_object_set_new(out, "stun_servers",
				    json_string(stun_agreement_name(o->agreement)));
	return out;
}

json_t *report_path(const struct natd *n, enum portmap_protocol p, enum portmap_family f)
{
	const struct portmap_path *path = &n->engine.paths[p][f];
	json_t *out = json_pack("{s:s, s:s, s:s, s:b}", "protocol", portmap_protocol_name(p),
				"family", family_name(f), "state", path_state_name(path->state),
				"probing", path->probing);

	set_text(out, "about", path->gateway.about);
	set_address(out, "gateway", &path->gateway.address);
	if (path->state == PATH_THERE)
		set_host(out, "external", &path->gateway.external);
	set_text(out, "note", path->note);
	if (path->state == PATH_GONE) {
		json_object_set_new(out, "failure",
				    json_string(portmap_failure_name(path->failure)));
		set_text(out, "why", path->why);
	}
	return out;
}

json_t *report_protocols(const struct natd *n)
{
	json_t *out = json_array();

	for (unsigned f = 0; f < PORTMAP_FAMILIES; f++)
		for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
			if (n->engine.paths[p][f].driver)
				json_array_append_new(out, report_path(n, (enum portmap_protocol)p,
								       (enum portmap_family)f));
	return out;
}

static void set_lease(json_t *out, const struct portmap_mapping *m, uint64_t now_ms)
{
	uint64_t expiry = mapping_expiry(m), left = expiry > now_ms ? expiry - now_ms : 0;

	json_object_set_new(out, "by", json_string(portmap_protocol_name(m->protocol)));
	set_address(out, "external", &m->external);
	json_object_set_new(out, "lifetime_s", json_integer((json_int_t)m->lifetime_s));
	if (m->lifetime_s > 0)
		json_object_set_new(out, "left_s", json_integer((json_int_t)(left / 1000)));
}

/* When what failed is tried again. Where no protocol is there, the gateway is looked for before: a
 * protocol that comes is asked at once. */
static uint64_t again_ms(const struct natd *n, const struct portmap_mapping *m)
{
	uint64_t again = m->due_ms;

	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		const struct portmap_path *path = &n->engine.paths[p][m->want.family];

		if (path->state == PATH_THERE || m->step != MAPPING_WAITING)
			return m->due_ms;
		if (path->driver && path->due_ms < again)
			again = path->due_ms;
	}
	return again;
}

static bool is_configured(const struct natd *n, const struct portmap_want *w)
{
	for (size_t i = 0; i < n->configured_count; i++)
		if (portmap_want_same(&n->configured[i], w))
			return true;
	return false;
}

json_t *report_mapping(const struct natd *n, const struct portmap_mapping *m, uint64_t now_ms)
{
	const struct portmap_want *w = &m->want;
	char name[MAPPING_NAME_BYTES];
	json_t *out;

	mapping_name(m, name);
	out = json_pack("{s:I, s:s, s:s, s:s, s:i, s:i, s:b, s:s, s:s, s:I}", "id",
			(json_int_t)m->id, "name", name, "protocol",
			portmap_transport_name(w->transport), "family", family_name(w->family),
			"port", w->internal, "wanted_port", w->external, "any", w->any, "state",
			mapping_state_name(m->state), "why", m->why, "for_s",
			(json_int_t)((now_ms - m->since_ms) / 1000));
	set_host(out, "host", &w->host);
	json_object_set_new(out, "configured", json_boolean(is_configured(n, w)));
	json_object_set_new(out, "asked_by", asking_report(n, w));
	if (mapping_held(m))
		set_lease(out, m, now_ms);
	if (m->proven_ms > 0)
		json_object_set_new(out, "proven_s",
				    json_integer((json_int_t)((now_ms - m->proven_ms) / 1000)));
	if (m->unproven_ms > 0)
		json_object_set_new(out, "unproven_s",
				    json_integer((json_int_t)((now_ms - m->unproven_ms) / 1000)));
	if (mapping_retried(m)) {
		uint64_t again = again_ms(n, m);

		json_object_set_new(out, "again_s",
				    json_integer(again > now_ms
							 ? (json_int_t)(again - now_ms + 999) / 1000
							 : 0));
	}
	if (m->unneeded)
		json_object_set_new(out, "unneeded", json_true());
	if (m->state == MAPPING_MAPPED)
		set_text(out, "unproven", m->proof);
	if (m->state == MAPPING_VERIFIED)
		set_text(out, "proof", m->proof);
	return out;
}

static json_t *counts_json(const struct natd *n)
{
	const struct portmap_counts *c = &n->engine.counts;
	json_t *failures = json_object();

	for (unsigned f = 0; f < PORTMAP_FAILURES; f++)
		json_object_set_new(failures, portmap_failure_name((enum portmap_failure)f),
				    json_integer((json_int_t)c->failures[f]));
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "requests", (json_int_t)c->requests,
			 "renewals", (json_int_t)c->renewals, "deletions", (json_int_t)c->deletions,
			 "restarts", (json_int_t)c->restarts, "moves", (json_int_t)c->moves,
			 "failures", failures, "asks", asking_counts(n));
}

json_t *report_mappings(const struct natd *n)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);
	json_t *mappings = json_array();

	for (const struct portmap_mapping *m = n->engine.mappings; m; m = m->next)
		if (m->wanted)
			json_array_append_new(mappings, report_mapping(n, m, now_ms));
	return mappings;
}

json_t *report_status(const struct natd *n)
{
	return json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "version",
			 POSTERN_VERSION, "engine", ring_engine_name(ring_engine(n->ring)),
			 "uptime_ms", (json_int_t)(clock_ms(CLOCK_BOOTTIME) - n->started_ms),
			 "network", report_network(n), "external", report_external(n), "protocols",
			 report_protocols(n), "mappings", report_mappings(n), "former",
			 remember_report(n), "counts", counts_json(n));
}
