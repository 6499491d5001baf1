/* SPDX-License-Identifier: Apache-2.0 */
/* bind_list: made from a configuration. */
#include "relay/config/bind_list.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "core/listening.h"
#include "core/log.h"
#include "core/memory.h"

#define PLACES	       4u
#define PROBE_AGAIN_MS 20u

static struct bind_address *bind_list_find_in(struct bind_address *items, size_t count, bool udp,
					      const struct addr *address)
{
	for (size_t i = 0; i < count; i++)
		if ((items[i].kind == BIND_UDP) == udp && addr_equal(&items[i].address, address))
			return &items[i];
	return NULL;
}

const struct bind_address *bind_list_find(const struct bind_list *d, bool udp,
					  const struct addr *address)
{
	return bind_list_find_in(d->items, d->count, udp, address);
}

static struct bind_address *bind_list_add(struct bind_list *d, enum bind_kind kind,
					  const struct addr *address)
{
	struct bind_address *at = &d->items[d->count++];

	at->kind = kind;
	at->address = *address;
	at->place = BIND_NO_PLACE;
	return at;
}

static void add_listen(struct bind_list *d, const struct relay_config *c)
{
	const struct relay_listen *items = c->listen.items;

	for (size_t i = 0; i < c->listen.count; i++) {
		struct bind_address *at = bind_list_add(d, BIND_TLS, &items[i].address);

		at->proxy_protocol = items[i].proxy_protocol;
		snprintf(at->key, sizeof(at->key), "listen[%zu].address", i);
	}
	/* What comes through a proxy comes from the proxy: UDP there would tell its address. */
	for (size_t i = 0; (c->stun.enabled || c->stun.links) && i < c->listen.count; i++) {
		if (items[i].proxy_protocol)
			continue;
		struct bind_address *at = bind_list_add(d, BIND_UDP, &items[i].address);

		at->anyone = c->stun.enabled;
		at->optional = !c->stun.enabled && !c->stun.links_asked;
		snprintf(at->key, sizeof(at->key), "listen[%zu].address", i);
	}
}

static void add_stun(struct bind_list *d, const struct relay_config *c)
{
	const struct addr *items = c->stun.listen.items;

	for (size_t i = 0; i < c->stun.listen.count; i++) {
		struct bind_address *tcp = bind_list_add(d, BIND_STUN, &items[i]);
		struct bind_address *udp = bind_list_add(d, BIND_UDP, &items[i]);

		snprintf(tcp->key, sizeof(tcp->key), "stun.listen[%zu]", i);
		memcpy(udp->key, tcp->key, sizeof(udp->key));
		udp->anyone = true;
	}
}

/* Some of the four may be in the list already. */
static void add_behaviour(struct bind_list *d, const struct relay_config *c)
{
	const struct addr *hosts[] = {&c->stun.behaviour.address, &c->stun.behaviour.other};

	for (unsigned place = 0; hosts[0]->len > 0 && place < PLACES; place++) {
		struct addr a = *hosts[place / 2];
		struct bind_address *at;

		addr_set_port(&a, addr_port(hosts[place % 2]));
		at = bind_list_find_in(d->items, d->count, true, &a);
		if (!at) {
			at = bind_list_add(d, BIND_UDP, &a);
			snprintf(at->key, sizeof(at->key), "stun.behaviour");
		}
		at->place = place;
		at->anyone = true;
		at->optional = false;
	}
}

bool bind_list_make(const struct relay_config *c, struct bind_list *out)
{
	size_t most = 2 * (c->listen.count + c->stun.listen.count) + PLACES;
	struct bind_list d = {.items = memory_array(most, sizeof(*d.items))};

	if (!d.items)
		return false;
	add_listen(&d, c);
	add_stun(&d, c);
	add_behaviour(&d, c);
	*out = d;
	return true;
}

void bind_list_free(struct bind_list *d)
{
	memory_free(d->items);
	*d = (struct bind_list){0};
}

static const char *bind_remedy(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "; another program, or another relay, listens there: stop it ('ss -ltnp' "
		       "names it), or use another port";
	case EADDRNOTAVAIL:
		return "; this host has no such address: use one of its own, or 0.0.0.0 for all";
	case EACCES:
		return "; a port below 1024 takes root, or the right CAP_NET_BIND_SERVICE, which "
		       "the systemd unit gives";
	default:
		return "";
	}
}

/* What else than giving the port up helps, where one socket answers STUN. */
static const char *bind_udp_instead(const struct bind_address *d)
{
	if (d->optional)
		return "; going without, and trying again: agents are not told by this relay "
		       "where their datagrams come from; stun.links: false stops the trying";
	if (strncmp(d->key, "listen", strlen("listen")) != 0)
		return "";
	return d->anyone ? "; or set stun.enabled: false" : "; or set stun.links: false";
}

void bind_complain(const struct bind_address *d, int error, char *why, size_t why_size)
{
	char text[ADDR_TEXT_BYTES];

	addr_format(&d->address, text);
	if (d->kind == BIND_UDP)
		snprintf(why, why_size, "%s: cannot answer STUN on %s (UDP): %s%s%s", d->key, text,
			 strerror(error),
			 error == EADDRINUSE ? "; stop what else uses that UDP port ('ss -lunp' "
					       "names it)"
					     : bind_remedy(error),
			 bind_udp_instead(d));
	else
		snprintf(why, why_size, "%s: cannot listen on %s: %s%s", d->key, text,
			 strerror(error), bind_remedy(error));
}

void bind_go_without(const struct bind_address *d, int error)
{
	char why[512];

	bind_complain(d, error, why, sizeof(why));
	log_warning("relay", "%s", why);
}

/* What a killed process holds by io_uring is closed behind its end. */
static int bind_probe_patiently(const struct addr *address, unsigned *left_ms)
{
	int error = listening_probe(address);

	while (error == -EADDRINUSE && *left_ms > 0) {
		unsigned step = *left_ms < PROBE_AGAIN_MS ? *left_ms : PROBE_AGAIN_MS;

		(void)poll(NULL, 0, (int)step);
		*left_ms -= step;
		error = listening_probe(address);
	}
	return error;
}

int bind_list_probe(const struct bind_list *d, unsigned wait_ms, char *why, size_t why_size)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct bind_address *at = &d->items[i];
		int error = at->kind == BIND_UDP ? 0 : bind_probe_patiently(&at->address, &wait_ms);

		if (error < 0) {
			bind_complain(at, -error, why, why_size);
			return error;
		}
	}
	return 0;
}
