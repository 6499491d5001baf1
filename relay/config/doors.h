/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doors: every socket that a configuration asks for: where, over which protocol, and for what.
 *
 * Each worker has one socket for each door (SO_REUSEPORT). Two configurations share a door when
 * protocol and address are the same: its sockets then stay, and what is spoken there may change.
 */
#ifndef POSTERN_RELAY_CONFIG_DOORS_H
#define POSTERN_RELAY_CONFIG_DOORS_H

#include <stdbool.h>
#include <stddef.h>

#include "relay/config/config.h"

enum door_kind {
	DOOR_TLS,  /* TCP: everything that the front door knows */
	DOOR_STUN, /* TCP: STUN only */
	DOOR_UDP,
};

#define DOOR_NO_PLACE  4u
#define DOOR_KEY_BYTES 40

struct door {
	struct addr address;
	enum door_kind kind;
	bool proxy_protocol;	  /* TLS */
	unsigned place;		  /* UDP: address * 2 + port of struct stun_behaviour, or none */
	char key[DOOR_KEY_BYTES]; /* what asks for it: "stun.listen[1]" */
};

struct doors {
	struct door *items; /* owned */
	size_t count;
};

/* False without memory; out is untouched then. */
bool doors_make(const struct relay_config *c, struct doors *out) MUST_CHECK;
void doors_free(struct doors *d);

/* The door of the same protocol and address, or NULL. */
const struct door *doors_find(const struct doors *d, bool udp, const struct addr *address);

/* "cannot listen on ...", and for UDP what helps; error is an errno. */
void door_complain(const struct door *d, int error, char *why, size_t why_size);

#endif
