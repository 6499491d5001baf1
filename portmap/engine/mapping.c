/* SPDX-License-Identifier: Apache-2.0 */
/* mapping: names, requests, renewal times and back-off of one mapping. */
#include "portmap/engine/mapping.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define RENEWAL_SPACE_MS 4000u /* RFC 6887 section 11.2.1 */
#define SHORT_LEASE_MS	 12000u
/* Most gateways open their IPv6 firewall only once their owner has ticked a box for this host, and
 * whoever does so looks whether it helped. With its jitter it is 300 s at most. */
#define PINHOLE_AGAIN_MS 240000u

static const char *const state_names[] = {
	[MAPPING_REQUESTED] = "requested",     [MAPPING_MAPPED] = "mapped",
	[MAPPING_VERIFIED] = "verified",       [MAPPING_CONFLICTING] = "conflicting",
	[MAPPING_MISDIRECTED] = "misdirected", [MAPPING_REFUSED] = "refused",
	[MAPPING_UNSUPPORTED] = "unsupported",
};
static_assert(sizeof state_names / sizeof *state_names == MAPPING_STATES, "a name each");

const char *mapping_state_name(enum mapping_state s)
{
	return state_names[s];
}

void mapping_name(const struct portmap_mapping *m, char out[MAPPING_NAME_BYTES])
{
	const struct portmap_want *w = &m->want;
	struct addr host = w->host;
	char inside[ADDR_TEXT_BYTES], outside[16] = "";

	if (host.len > 0) {
		if (host.sa.sa_family == AF_INET)
			host.v4.sin_port = htons(w->internal);
		else
			host.v6.sin6_port = htons(w->internal);
		addr_format(&host, inside);
	} else {
		snprintf(inside, sizeof inside, "%u", w->internal);
	}
	if (w->external != w->internal)
		snprintf(outside, sizeof outside, " -> %u", w->external);
	snprintf(out, MAPPING_NAME_BYTES, "%s %s%s%s", portmap_transport_name(w->transport), inside,
		 outside, w->family == PORTMAP_IPV6 ? " (IPv6)" : "");
}

void mapping_describe(const struct portmap_mapping *m, char *out, size_t room)
{
	char where[ADDR_TEXT_BYTES] = "", until[48] = "until it is deleted";

	if (m->external.len > 0)
		addr_format(&m->external, where);
	if (m->lifetime_s > 0)
		snprintf(until, sizeof until, "for %u s", m->lifetime_s);
	snprintf(out, room, "%s gives %s %s", portmap_protocol_name(m->protocol), where, until);
}

/* ---- requests ---- */

static bool same_host(const struct addr *a, const struct addr *b)
{
	if (a->len == 0 || b->len == 0)
		return a->len == b->len;
	return addr_equal(a, b);
}

bool portmap_want_same(const struct portmap_want *a, const struct portmap_want *b)
{
	return a->transport == b->transport && a->family == b->family &&
	       a->internal == b->internal && same_host(&a->host, &b->host);
}

const struct portmap_want *portmap_want_find(const struct portmap_want *wants, size_t count,
					     const struct portmap_want *like)
{
	for (size_t i = 0; i < count; i++)
		if (portmap_want_same(&wants[i], like))
			return &wants[i];
	return NULL;
}

void mapping_description(const char *tag, enum portmap_transport t, uint16_t internal,
			 char out[PORTMAP_DESCRIPTION_BYTES])
{
	snprintf(out, PORTMAP_DESCRIPTION_BYTES, "Postern %s%s%s %u", tag, tag[0] ? " " : "",
		 portmap_transport_name(t), internal);
}

void mapping_request(const struct portmap_mapping *m, const struct addr *source,
		     struct portmap_request *out)
{
	const struct portmap_want *w = &m->want;

	*out = (struct portmap_request){
		.id = m->id,
		.transport = w->transport,
		.internal = w->host.len > 0 ? w->host : *source,
		.lifetime_s = w->lifetime_s,
		.held = mapping_held(m),
		.granted_s = mapping_held(m) && m->via == m->protocol ? m->lifetime_s : 0,
		.prefer_failure = !w->any,
		.third_party = w->host.len > 0,
	};
	addr_set_port(&out->internal, w->internal);
	out->external = m->external;
	/* With PREFER_FAILURE an address is as binding as the port, and it may have changed. */
	if (out->external.len == 0 || out->prefer_failure) {
		bool v6 = w->family == PORTMAP_IPV6;
		uint16_t port = m->external.len > 0 ? addr_port(&m->external) : m->ask_port;

		memset(&out->external, 0, sizeof out->external);
		out->external.sa.sa_family = v6 ? AF_INET6 : AF_INET;
		out->external.len = v6 ? sizeof out->external.v6 : sizeof out->external.v4;
		addr_set_port(&out->external, port);
	}
	out->moved = mapping_held(m) && m->via != m->protocol;
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
		out->moved |= m->left[p].there && p != m->via &&
			      addr_port(&m->left[p].external) == addr_port(&out->external);
	if (m->astray.there) {
		out->external = m->astray.outside;
		if (!m->astray.first_gone)
			out->internal = m->astray.inside;
	}
	memcpy(out->nonce, w->nonce, sizeof out->nonce);
	mapping_description(w->tag, w->transport, w->internal, out->description);
}

/* ---- times ---- */

uint64_t mapping_expiry(const struct portmap_mapping *m)
{
	return m->lifetime_s == 0 ? MAPPING_NEVER : m->granted_ms + m->lifetime_s * UINT64_C(1000);
}

uint64_t mapping_renewal(const struct portmap_mapping *m, uint64_t now_ms, uint64_t recheck_ms,
			 uint64_t jitter)
{
	uint64_t lifetime_ms = m->lifetime_s * UINT64_C(1000), left, due;

	if (m->lifetime_s == 0)
		return now_ms + recheck_ms - jitter % (recheck_ms / 8 + 1);
	if (m->renewals >= 16)
		return MAPPING_NEVER;
	left = lifetime_ms >> (m->renewals + 1);
	due = m->granted_ms + lifetime_ms - left + jitter % (left / 4 + 1);
	if (m->renewals == 0 && left < SHORT_LEASE_MS) { /* time for a second one */
		uint64_t latest = lifetime_ms > SHORT_LEASE_MS ? lifetime_ms - SHORT_LEASE_MS : 0;

		if (latest < lifetime_ms / 4)
			latest = lifetime_ms / 4;
		if (due > m->granted_ms + latest)
			due = m->granted_ms + latest;
	}
	if (m->renewals > 0 && due < now_ms + RENEWAL_SPACE_MS)
		due = now_ms + RENEWAL_SPACE_MS;
	return due < mapping_expiry(m) ? due : MAPPING_NEVER;
}

/* ---- failures ---- */

/* From the one that says least about what could be done. */
static const enum portmap_failure telling[] = {
	PORTMAP_UNSUPPORTED,  PORTMAP_SILENT,	   PORTMAP_MALFORMED, PORTMAP_TRANSIENT,
	PORTMAP_NO_RESOURCES, PORTMAP_NO_EXTERNAL, PORTMAP_UNNEEDED,  PORTMAP_REFUSED,
	PORTMAP_CONFLICT,     PORTMAP_MISDIRECTED,
};
static_assert(sizeof telling / sizeof *telling == PORTMAP_FAILURES, "a place each");

enum portmap_failure mapping_worst(const struct portmap_mapping *m, const char **why)
{
	for (size_t i = PORTMAP_FAILURES; i-- > 0;) {
		if (!m->failed[telling[i]])
			continue;
		*why = m->failure_why[telling[i]];
		return telling[i];
	}
	*why = "";
	return PORTMAP_FAILURES;
}

void mapping_new_round(struct portmap_mapping *m)
{
	m->tried = 0;
	m->wait_s = 0;
	m->own_leftover = false;
	memset(m->failed, 0, sizeof m->failed);
}

uint64_t mapping_backoff_ms(enum portmap_failure f, enum portmap_family family, unsigned rounds)
{
	static const struct {
		uint64_t first_ms, most_ms;
	} waits[] = {
		[PORTMAP_CONFLICT] = {15000, 1800000},
		[PORTMAP_REFUSED] = {300000, 3600000},
		[PORTMAP_UNSUPPORTED] = {300000, 3600000},
		[PORTMAP_UNNEEDED] = {300000, 3600000},
		[PORTMAP_NO_RESOURCES] = {60000, 1800000},
		[PORTMAP_NO_EXTERNAL] = {30000, 300000},
		[PORTMAP_SILENT] = {5000, 300000},
		[PORTMAP_MALFORMED] = {30000, 1800000},
		[PORTMAP_TRANSIENT] = {5000, 60000},
		/* Each try opens the wrong port for a moment. */
		[PORTMAP_MISDIRECTED] = {3600000, 86400000},
	};
	uint64_t wait = waits[f].first_ms << (rounds < 12 ? rounds : 12);

	if (wait > waits[f].most_ms)
		wait = waits[f].most_ms;
	return family == PORTMAP_IPV6 && wait > PINHOLE_AGAIN_MS ? PINHOLE_AGAIN_MS : wait;
}

enum mapping_state mapping_state_of(enum portmap_failure f)
{
	switch (f) {
	case PORTMAP_CONFLICT:
		return MAPPING_CONFLICTING;
	case PORTMAP_MISDIRECTED:
		return MAPPING_MISDIRECTED;
	case PORTMAP_TRANSIENT:
		return MAPPING_REQUESTED;
	case PORTMAP_UNSUPPORTED:
	case PORTMAP_UNNEEDED:
	case PORTMAP_SILENT:
		return MAPPING_UNSUPPORTED;
	default:
		return MAPPING_REFUSED;
	}
}
