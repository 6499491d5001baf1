/* SPDX-License-Identifier: Apache-2.0 */
/* doors: the list of them. */
#include "relay/config/doors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACES 4u

static struct door *find(struct door *items, size_t count, bool udp, const struct addr *address)
{
	for (size_t i = 0; i < count; i++)
		if ((items[i].kind == DOOR_UDP) == udp && addr_equal(&items[i].address, address))
			return &items[i];
	return NULL;
}

const struct door *doors_find(const struct doors *d, bool udp, const struct addr *address)
{
	return find(d->items, d->count, udp, address);
}

static struct door *add(struct doors *d, enum door_kind kind, const struct addr *address)
{
	struct door *door = &d->items[d->count++];

	door->kind = kind;
	door->address = *address;
	door->place = DOOR_NO_PLACE;
	return door;
}

static void add_listen(struct doors *d, const struct relay_config *c)
{
	const struct relay_listen *items = c->listen.items;

	for (size_t i = 0; i < c->listen.count; i++) {
		struct door *door = add(d, DOOR_TLS, &items[i].address);

		door->proxy_protocol = items[i].proxy_protocol;
		snprintf(door->key, sizeof(door->key), "listen[%zu].address", i);
	}
	/* What comes through a proxy comes from the proxy: UDP there would tell its address. */
	for (size_t i = 0; c->stun.enabled && i < c->listen.count; i++)
		if (!items[i].proxy_protocol)
			snprintf(add(d, DOOR_UDP, &items[i].address)->key, DOOR_KEY_BYTES,
				 "listen[%zu].address", i);
}

static void add_stun(struct doors *d, const struct relay_config *c)
{
	const struct addr *items = c->stun.listen.items;

	for (size_t i = 0; i < c->stun.listen.count; i++) {
		struct door *tcp = add(d, DOOR_STUN, &items[i]);
		struct door *udp = add(d, DOOR_UDP, &items[i]);

		snprintf(tcp->key, sizeof(tcp->key), "stun.listen[%zu]", i);
		memcpy(udp->key, tcp->key, sizeof(udp->key));
	}
}

/* Some of the four may be doors already. */
static void add_behaviour(struct doors *d, const struct relay_config *c)
{
	const struct addr *hosts[] = {&c->stun.behaviour.address, &c->stun.behaviour.other};

	for (unsigned place = 0; hosts[0]->len > 0 && place < PLACES; place++) {
		struct addr a = *hosts[place / 2];
		struct door *door;

		addr_set_port(&a, addr_port(hosts[place % 2]));
		door = find(d->items, d->count, true, &a);
		if (!door) {
			door = add(d, DOOR_UDP, &a);
			snprintf(door->key, sizeof(door->key), "stun.behaviour");
		}
		door->place = place;
	}
}

bool doors_make(const struct relay_config *c, struct doors *out)
{
	size_t most = 2 * (c->listen.count + c->stun.listen.count) + PLACES;
	struct doors d = {.items = calloc(most, sizeof(*d.items))};

	if (!d.items)
		return false;
	add_listen(&d, c);
	if (c->stun.enabled) {
		add_stun(&d, c);
		add_behaviour(&d, c);
	}
	*out = d;
	return true;
}

void doors_free(struct doors *d)
{
	free(d->items);
	*d = (struct doors){0};
}

void door_complain(const struct door *d, int error, char *why, size_t why_size)
{
	char text[ADDR_TEXT_BYTES];

	addr_format(&d->address, text);
	if (d->kind == DOOR_UDP)
		snprintf(why, why_size,
			 "%s: cannot answer STUN on %s (UDP): %s; stop what else uses that UDP "
			 "port, or set stun.enabled: false",
			 d->key, text, strerror(error));
	else
		snprintf(why, why_size, "%s: cannot listen on %s: %s", d->key, text,
			 strerror(error));
}
