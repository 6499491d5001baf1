/* SPDX-License-Identifier: Apache-2.0 */
/* entrance: the local listeners: forwards, each leading to one service, and the SOCKS5 server. */
#include "agent/entrance/entrance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/entrance/listener.h"
#include "agent/session/request.h"
#include "agent/entrance/socks5.h"
#include "core/container.h"
#include "core/log.h"
#include "core/parse/wire.h"

/* Where connections are led. */
struct destination {
	bool socks;
	char agent[WIRE_NAME_MAX + 1], service[WIRE_NAME_MAX + 1]; /* of a forward */
};

struct entrance {
	struct entrances *set;
	struct entrance *next;
	struct agent_listener listener;
	struct addr address; /* as configured; the port may be 0 */
	struct addr bound;
	struct destination to;
	bool fresh;  /* prepared, not in use yet */
	bool absent; /* this host did not have the address then */
};

struct entrances {
	struct agent_sessions *sessions;
	struct socks *socks;
	struct entrance *first; /* those that are not being closed */
};

/* ---- one listener ---- */

static void entrance_accepted(struct agent_listener *l, int fd, const char *source)
{
	static const struct request_style plain = {0};
	struct entrance *one = container(l, struct entrance, listener);

	if (one->to.socks)
		socks_accept(one->set->socks, fd, source);
	else
		request_start(one->set->sessions, fd, one->to.agent, one->to.service, source,
			      &plain);
}

static void entrance_closed(struct agent_listener *l)
{
	free(container(l, struct entrance, listener));
}

static void log_entrance(const struct entrance *one)
{
	char text[ADDR_TEXT_BYTES];

	addr_format(&one->bound, text);
	if (one->to.socks)
		log_notice("socks5", "listening address=%s", text);
	else
		log_notice("forward", "listening address=%s to=%s/%s", text, one->to.agent,
			   one->to.service);
	if (one->absent)
		log_warning(
			one->to.socks ? "socks5" : "forward",
			"%s: this host has no such address yet; connections are taken as soon as "
			"it has",
			text);
}

static void close_one(struct entrance *one)
{
	char text[ADDR_TEXT_BYTES];

	addr_format(&one->bound, text);
	if (!one->fresh)
		log_info(one->to.socks ? "socks5" : "forward", "closed address=%s", text);
	agent_listener_close(&one->listener);
}

/* ---- what a configuration wants ---- */

/* Where config leads connections to address; false: nowhere. */
static bool destination_of(const struct agent_config *config, const struct addr *address,
			   struct destination *out)
{
	const struct agent_forward *f = config->forward.items;

	for (size_t i = 0; i < config->forward.count; i++) {
		if (!addr_equal(&f[i].listen, address))
			continue;
		*out = (struct destination){0};
		memcpy(out->agent, f[i].agent, sizeof(out->agent));
		memcpy(out->service, f[i].service, sizeof(out->service));
		return true;
	}
	if (config->socks5.listen.len == 0 || !addr_equal(&config->socks5.listen, address))
		return false;
	*out = (struct destination){.socks = true};
	return true;
}

static bool destination_equal(const struct destination *a, const struct destination *b)
{
	return a->socks == b->socks && strcmp(a->agent, b->agent) == 0 &&
	       strcmp(a->service, b->service) == 0;
}

static bool is_open(const struct entrances *e, const struct addr *address)
{
	for (const struct entrance *one = e->first; one; one = one->next)
		if (addr_equal(&one->address, address))
			return true;
	return false;
}

/* ---- the set ---- */

struct entrances *entrances_new(struct agent_sessions *sessions)
{
	struct entrances *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->sessions = sessions;
	e->socks = socks_new(sessions);
	if (e->socks)
		return e;
	free(e);
	return NULL;
}

static const char *entrance_remedy(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "; another program listens there: stop it ('ss -ltnp' names it), or use "
		       "another port";
	case EADDRNOTAVAIL:
		return "; this host has no such address: use one of its own";
	case EACCES:
		return "; a port below 1024 takes the right CAP_NET_BIND_SERVICE: with systemd, in "
		       "a "
		       "drop-in ('systemctl edit postern-agent'): [Service] "
		       "AmbientCapabilities=CAP_NET_BIND_SERVICE "
		       "CapabilityBoundingSet=CAP_NET_BIND_SERVICE; or use a port from 1024 on";
	default:
		return "";
	}
}

static bool entrance_open_one(struct entrances *e, const struct addr *address, const char *kind,
			      bool patiently, char *why, size_t why_size)
{
	struct entrance *one = calloc(1, sizeof(*one));
	char text[ADDR_TEXT_BYTES];
	int error = -ENOMEM;

	if (one) {
		one->set = e;
		one->address = *address;
		one->fresh = true;
		one->listener.accepted = entrance_accepted;
		one->listener.closed = entrance_closed;
		error = agent_listener_open(&one->listener, e->sessions->worker, address, patiently,
					    &one->bound, &one->absent);
	}
	if (error) {
		addr_format(address, text);
		snprintf(why, why_size, "%s: %s cannot be listened on: %s%s", kind, text,
			 strerror(-error), entrance_remedy(-error));
		free(one);
		return false;
	}
	one->next = e->first;
	e->first = one;
	return true;
}

bool entrances_prepare(struct entrances *e, const struct agent_config *next, bool patiently,
		       char *why, size_t why_size)
{
	const struct agent_forward *f = next->forward.items;
	const struct addr *socks = &next->socks5.listen;
	bool ok = true;

	for (size_t i = 0; i < next->forward.count && ok; i++)
		ok = is_open(e, &f[i].listen) ||
		     entrance_open_one(e, &f[i].listen, "forward", patiently, why, why_size);
	if (ok && socks->len > 0 && !is_open(e, socks))
		ok = entrance_open_one(e, socks, "socks5", patiently, why, why_size);
	if (!ok)
		entrances_abandon(e);
	return ok;
}

/* Closes those that are not wanted. */
static void keep_only(struct entrances *e,
		      bool (*wanted)(const struct entrance *one, const struct agent_config *config),
		      const struct agent_config *config)
{
	for (struct entrance **at = &e->first, *one; (one = *at);) {
		if (wanted && wanted(one, config)) {
			at = &one->next;
			continue;
		}
		*at = one->next;
		close_one(one);
	}
}

static bool entrance_in_use(const struct entrance *one, const struct agent_config *config)
{
	return !one->fresh;
}

static bool entrance_configured(const struct entrance *one, const struct agent_config *config)
{
	struct destination to;

	return destination_of(config, &one->address, &to);
}

void entrances_abandon(struct entrances *e)
{
	keep_only(e, entrance_in_use, NULL);
}

void entrances_adopt(struct entrances *e, const struct agent_config *config)
{
	keep_only(e, entrance_configured, config);
	for (struct entrance *one = e->first; one; one = one->next) {
		struct destination before = one->to;
		bool begins = one->fresh;

		(void)destination_of(config, &one->address, &one->to);
		one->fresh = false;
		if (begins)
			agent_listener_begin(&one->listener);
		if (begins || !destination_equal(&before, &one->to))
			log_entrance(one);
	}
}

void entrances_close(struct entrances *e)
{
	if (!e)
		return;
	keep_only(e, NULL, NULL);
	socks_close(e->socks);
}

void entrances_free(struct entrances *e)
{
	if (!e)
		return;
	socks_free(e->socks);
	free(e);
}
