/* SPDX-License-Identifier: Apache-2.0 */
/* remember: notes, the file, old addresses, and the end. */
#include "portmap/remember.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/container.h"
#include "core/file.h"
#include "core/log.h"
#include "portmap/natd.h"
#include "portmap/neighbour.h"
#include "portmap/rtnetlink.h"

#define SLACK_S	 30u /* an end that is so much later is not written again */
#define SEEN_S	 86400u
#define YOUNG_MS ((uint64_t)REMEMBER_YOUNG_S * 1000)

static uint64_t wall_s(void)
{
	return (uint64_t)clock_ms(CLOCK_REALTIME) / 1000;
}

static struct addr host_only(const struct addr *a)
{
	struct addr out = *a;

	if (out.len == 0)
		return out;
	addr_set_port(&out, 0);
	if (out.sa.sa_family == AF_INET6)
		out.v6.sin6_scope_id = 0;
	return out;
}

/* ---- the file ---- */

static void remember_load(struct remember *r, const char *state_dir)
{
	uint8_t bytes[FORMERS_BYTES + 1];
	int fd = openat(r->dir, REMEMBER_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	size_t len = 0;
	ssize_t n = -1;

	if (fd < 0 && errno == ENOENT)
		return;
	while (fd >= 0 && (n = read(fd, bytes + len, sizeof bytes - len)) > 0)
		len += (size_t)n;
	if (fd >= 0)
		close(fd);
	if (n < 0 || !formers_decode(bytes, len, &r->formers))
		log_warning("portmap",
			    "%s/" REMEMBER_FILE " is not what natd writes: what gateways still "
			    "hold for an earlier address of this host is not known",
			    state_dir);
	formers_age(&r->formers, wall_s());
	formers_forget_nameless(&r->formers);
}

static void remember_save(struct remember *r, uint64_t now_ms)
{
	uint8_t bytes[FORMERS_BYTES];
	size_t len;
	int error;

	if (!r->formers.changed)
		return;
	len = formers_encode(&r->formers, bytes);
	r->saved_ms = now_ms;
	if (r->dir < 0)
		return;
	error = file_replace(r->dir, REMEMBER_FILE, bytes, len);
	r->formers.changed = error != 0; /* a disk that is full now may have room later */
	if (error && error != r->save_error)
		log_warning("portmap",
			    "what is mapped cannot be written down: %s; make state_dir a directory "
			    "that natd's user may write",
			    strerror(-error));
	r->save_error = error;
}

/* ---- what is heard ---- */

static bool record_of(const struct natd *n, const struct portmap_mapping *m, uint64_t now_ms,
		      struct former *out)
{
	const struct addr *own = &n->engine.source[m->want.family];
	uint64_t expiry_ms = mapping_expiry(m);

	if (m->want.host.len > 0 || own->len == 0 || m->external.len == 0)
		return false;
	*out = (struct former){.protocol = m->protocol,
			       .transport = m->want.transport,
			       .family = m->want.family,
			       .gateway = n->remember.gateways[m->want.family],
			       .internal = host_only(own),
			       .external = addr_port(&m->external),
			       .seen_s = wall_s()};
	addr_set_port(&out->internal, m->want.internal);
	if (expiry_ms != MAPPING_NEVER)
		out->until_s =
			out->seen_s + (expiry_ms > now_ms ? (expiry_ms - now_ms + 999) / 1000 : 1);
	return out->gateway.address.len > 0;
}

/* A request of this file's own. */
static void former_answered(struct natd *n, uint32_t id, bool ok)
{
	struct formers *f = &n->remember.formers;
	char name[MAPPING_NAME_BYTES], address[ADDR_TEXT_BYTES];

	for (size_t i = 0; i < f->count; i++) {
		struct former *one = &f->list[i];

		if (!one->asked || one->id != id)
			continue;
		former_name(one, name);
		addr_format_host(&one->internal, address);
		if (!ok) {
			log_warning("portmap",
				    "%s to %s, this host's old address, is not deleted by the "
				    "gateway, which may allow that to %s only; it stays until its "
				    "lease is over, or delete it there by hand",
				    name, address, address);
			return;
		}
		log_notice("portmap",
			   "%s to %s, this host's old address, is deleted at the gateway, as far "
			   "as that tells",
			   name, address);
		formers_drop(f, one);
		portmap_engine_renew(&n->engine); /* what it was in the way of */
		return;
	}
}

/* The engine deletes it later than its mapping ended. */
static void leftover_deleted(struct natd *n, enum portmap_protocol p, uint32_t id)
{
	const struct portmap_leftover *left = portmap_engine_deleting(&n->engine, p, id);
	struct former one;

	if (!left || left->taken || left->want.host.len > 0)
		return;
	one = (struct former){.protocol = left->protocol,
			      .transport = left->want.transport,
			      .family = left->want.family,
			      .gateway = n->remember.gateways[left->want.family],
			      .internal = host_only(&left->request.internal),
			      .external = addr_port(&left->request.external)};
	addr_set_port(&one.internal, left->want.internal);
	formers_drop(&n->remember.formers, &one);
	n->remember.deleted += n->stopping && !left->maybe;
}

static void remember_heard_unmapped(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
				    bool ok)
{
	struct natd *n = container(h, struct natd, engine.heard);
	const struct portmap_mapping *m;
	struct former one;

	if (id & REMEMBER_ID) {
		former_answered(n, id, ok);
		return;
	}
	m = portmap_engine_find(&n->engine, id);
	if (ok)
		leftover_deleted(n, p, id);
	if (m && ok && m->step == MAPPING_UNMAPPING && m->protocol == p &&
	    record_of(n, m, clock_ms(CLOCK_BOOTTIME), &one)) {
		formers_drop(&n->remember.formers, &one);
		n->remember.deleted += n->stopping;
	} else if (m && m->step == MAPPING_UNMAPPING && m->protocol == p &&
		   record_of(n, m, clock_ms(CLOCK_BOOTTIME), &one)) {
		formers_note(&n->remember.formers, &one); /* it may end sooner than was noted */
	}
	n->remember.heard_unmapped(h, p, id, ok);
}

/* ---- notes ---- */

void remember_note(struct natd *n)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);
	struct remember *r = &n->remember;
	const struct former *known;
	struct former one;

	r->noted_ms = now_ms;
	for (const struct portmap_mapping *m = n->engine.mappings; m; m = m->next) {
		if (!mapping_held(m) || !record_of(n, m, now_ms, &one))
			continue;
		known = formers_find(&r->formers, &one);
		if (known && (known->until_s == 0) == (one.until_s == 0) &&
		    one.until_s < known->until_s + SLACK_S &&
		    known->until_s < one.until_s + SLACK_S && one.seen_s < known->seen_s + SEEN_S)
			continue;
		formers_note(&r->formers, &one);
	}
}

/* ---- networks ---- */

void remember_enter(struct natd *n)
{
	struct remember *r = &n->remember;
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);

	memset(r->known, 0, sizeof r->known);
	formers_forget_nameless(&r->formers);
	r->look_ms = 0;
	for (unsigned f = 0; f < PORTMAP_FAMILIES; f++) {
		const struct portmap_place *place = &n->network.places[f];
		struct addr source = host_only(&place->source);

		r->gateways[f] = (struct former_gateway){.address = host_only(&place->gateway)};
		if (source.len == 0)
			continue;
		if (r->sources[f].len > 0 && !addr_equal(&source, &r->sources[f]))
			r->young_ms[f] = now_ms;
		r->sources[f] = source;
	}
}

/* Whether this address is still one of ours, beside the one that we use. */
static bool is_own(struct natd *n, const struct addr *a, unsigned index)
{
	struct rtnetlink_address list[RTNETLINK_ADDRESSES_MAX];
	int count = rtnetlink_addresses(&n->watch.questions, a->sa.sa_family, index, list,
					RTNETLINK_ADDRESSES_MAX);

	for (int i = 0; i < count; i++)
		if (addr_same_host(&list[i].address, a))
			return true;
	return false;
}

static bool is_old(struct natd *n, const struct former *one)
{
	enum portmap_family f = one->family;
	const struct portmap_place *place = &n->network.places[f];

	return n->remember.known[f] &&
	       former_is_old(one, &n->remember.gateways[f], &place->source) &&
	       !is_own(n, &one->internal, place->index);
}

/* The gateway is known by its card now: what is noted of it? */
static void remember_recognise(struct natd *n, enum portmap_family f)
{
	struct remember *r = &n->remember;
	char name[MAPPING_NAME_BYTES], address[ADDR_TEXT_BYTES];
	size_t olds = 0, owns = 0;

	r->known[f] = true;
	formers_name_gateway(&r->formers, &r->gateways[f]);
	for (size_t i = 0; i < r->formers.count; i++) {
		struct former *one = &r->formers.list[i];

		if (one->family != f || !former_gateway_same(&one->gateway, &r->gateways[f]))
			continue;
		one->asked = one->of_other_host = false;
		if (!is_old(n, one)) {
			owns++;
			continue;
		}
		olds++;
		former_name(one, name);
		addr_format_host(&one->internal, address);
		log_notice("portmap",
			   "%s may still lead to %s, an old address of this host, by what it asked "
			   "of the gateway before",
			   name, address);
		neighbour_poke(&one->internal);
	}
	if (olds > 0)
		r->look_ms = clock_ms(CLOCK_BOOTTIME) + REMEMBER_LOOK_MS;
	if (olds > 0 && owns == 0 && r->young_ms[f] == 0) {
		r->young_ms[f] = clock_ms(CLOCK_BOOTTIME);
		if (natd_want(n))
			log_error("portmap", "a mapping is missing: out of memory");
	}
}

static void ask_to_delete(struct natd *n, struct former *one)
{
	const struct portmap_path *path = &n->engine.paths[PORTMAP_UPNP][PORTMAP_IPV4];
	struct portmap_request request = {.id = REMEMBER_ID | ++n->remember.last_id,
					  .transport = one->transport,
					  .internal = one->internal,
					  .external = one->internal};

	if (one->asked || one->of_other_host || one->protocol != PORTMAP_UPNP ||
	    one->family != PORTMAP_IPV4 || path->state != PATH_THERE || n->stage != NATD_HERE)
		return;
	addr_set_port(&request.external, one->external);
	mapping_description(n->nonces.tag, one->transport, addr_port(&one->internal),
			    request.description);
	one->asked = true;
	one->id = request.id;
	path->driver->unmap(path->driver, &request);
}

/* Hosts at old addresses have had their time to answer. */
static void look_at_olds(struct natd *n)
{
	uint8_t card[NEIGHBOUR_CARD_BYTES];
	char name[MAPPING_NAME_BYTES], address[ADDR_TEXT_BYTES];

	for (size_t i = 0; i < n->remember.formers.count; i++) {
		struct former *one = &n->remember.formers.list[i];
		unsigned index = n->network.places[one->family].index;

		if (one->of_other_host || !is_old(n, one))
			continue;
		if (neighbour_find(&n->watch.questions, &one->internal, index, card) > 0) {
			one->of_other_host = true;
			former_name(one, name);
			addr_format_host(&one->internal, address);
			log_warning("portmap",
				    "%s leads to %s, which was this host's and is another one's "
				    "now: it is left alone, since that one may have asked for the "
				    "same; if it has not, delete it at the gateway",
				    name, address);
			continue;
		}
		ask_to_delete(n, one);
	}
}

void remember_look(struct natd *n)
{
	struct remember *r = &n->remember;

	for (unsigned f = 0; f < PORTMAP_FAMILIES && n->stage == NATD_HERE && !n->dry_run; f++) {
		const struct portmap_place *place = &n->network.places[f];

		if (r->known[f] || place->gateway.len == 0 ||
		    neighbour_find(&n->watch.questions, &place->gateway, place->index,
				   r->gateways[f].card) <= 0)
			continue;
		remember_recognise(n, (enum portmap_family)f);
	}
	if (r->look_ms > 0 && clock_ms(CLOCK_BOOTTIME) >= r->look_ms)
		look_at_olds(n);
}

/* ---- young addresses ---- */

/* 2 minutes, and as long again as the address has been ours, rounded down to a doubling. */
static uint64_t young_lifetime_ms(uint64_t age_ms)
{
	uint64_t lifetime_ms = YOUNG_MS;

	while (lifetime_ms * 2 <= age_ms + YOUNG_MS && lifetime_ms < UINT64_MAX / 4)
		lifetime_ms *= 2;
	return lifetime_ms;
}

uint32_t remember_lifetime(const struct natd *n, enum portmap_family f, uint32_t lifetime_s,
			   uint64_t now_ms)
{
	uint64_t since_ms = n->remember.young_ms[f], young_s;

	if (since_ms == 0)
		return lifetime_s;
	young_s = young_lifetime_ms(now_ms - since_ms) / 1000;
	return young_s < lifetime_s ? (uint32_t)young_s : lifetime_s;
}

uint64_t remember_next(const struct natd *n, uint64_t now_ms)
{
	uint64_t next_ms = MAPPING_NEVER;

	for (unsigned f = 0; f < PORTMAP_FAMILIES; f++) {
		uint64_t since_ms = n->remember.young_ms[f], at_ms, lifetime_ms;

		if (since_ms == 0)
			continue;
		lifetime_ms = young_lifetime_ms(now_ms - since_ms);
		at_ms = since_ms + lifetime_ms * 2 - YOUNG_MS;
		if (lifetime_ms < n->config.lifetime_ms && at_ms < next_ms)
			next_ms = at_ms;
	}
	return next_ms;
}

/* ---- life ---- */

void remember_open(struct natd *n)
{
	struct remember *r = &n->remember;

	r->dir = -1;
	r->heard_unmapped = n->engine.heard.unmapped;
	n->engine.heard.unmapped = remember_heard_unmapped;
	if (!n->config.state_dir || n->dry_run)
		return;
	r->dir = open(n->config.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->dir >= 0)
		remember_load(r, n->config.state_dir);
	else
		log_warning("portmap", "state_dir: %s: %s: what is mapped is not written down",
			    n->config.state_dir, strerror(errno));
}

void remember_close(struct natd *n)
{
	remember_save(&n->remember, clock_ms(CLOCK_BOOTTIME));
	if (n->remember.dir >= 0)
		close(n->remember.dir);
	n->remember.dir = -1;
}

void remember_run(struct natd *n)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);
	struct remember *r = &n->remember;

	remember_look(n);
	if (now_ms >= r->noted_ms + REMEMBER_NOTE_MS)
		remember_note(n);
	if (now_ms >= r->saved_ms + REMEMBER_SAVE_MS) {
		formers_age(&r->formers, wall_s());
		remember_save(r, now_ms);
	}
}

void remember_tell_end(struct natd *n)
{
	struct remember *r = &n->remember;
	char name[MAPPING_NAME_BYTES], until[64];
	uint64_t now_s = wall_s();
	size_t left = 0;

	formers_age(&r->formers, now_s);
	for (size_t i = 0; i < r->formers.count; i++) {
		const struct former *one = &r->formers.list[i];

		if (!former_gateway_same(&one->gateway, &r->gateways[one->family]))
			continue;
		left++;
		former_name(one, name);
		snprintf(until, sizeof until, "for good, since it has no lease");
		if (one->until_s > 0)
			snprintf(until, sizeof until, "for another %llu s",
				 (unsigned long long)(one->until_s - now_s));
		log_warning("portmap",
			    "%s may be left at the gateway %s: %s did not confirm its end; delete "
			    "it there by hand, if it is not to be open so long",
			    name, until, portmap_protocol_name(one->protocol));
	}
	log_notice("portmap", "stopped: %llu mapping%s deleted at the gateway, %zu may be left",
		   (unsigned long long)r->deleted, r->deleted == 1 ? " was" : "s were", left);
}

json_t *remember_report(const struct natd *n)
{
	const struct remember *r = &n->remember;
	uint64_t now_s = wall_s();
	json_t *list = json_array();

	for (size_t i = 0; i < r->formers.count; i++) {
		const struct former *one = &r->formers.list[i];
		const struct addr *own = &n->network.places[one->family].source;
		char name[MAPPING_NAME_BYTES], address[ADDR_TEXT_BYTES];
		json_t *item;

		if (!r->known[one->family] || !former_is_old(one, &r->gateways[one->family], own))
			continue;
		former_name(one, name);
		addr_format_host(&one->internal, address);
		item = json_pack("{s:s, s:s, s:i, s:s, s:b}", "name", name, "address", address,
				 "external_port", one->external, "by",
				 portmap_protocol_name(one->protocol), "other_host",
				 one->of_other_host);
		if (one->until_s > 0)
			json_object_set_new(
				item, "left_s",
				json_integer(one->until_s > now_s
						     ? (json_int_t)(one->until_s - now_s)
						     : 0));
		json_array_append_new(list, item);
	}
	return list;
}
