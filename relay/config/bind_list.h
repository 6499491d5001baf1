/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bind_list: every socket that a configuration asks for: where, over which protocol, and for what.
 *
 * Each worker has one socket for each address (SO_REUSEPORT). Two configurations share an address
 * when the protocol is the same, too: its sockets then stay, and what is spoken there may change.
 *
 * An address that cannot be had is an error, but for the UDP port that links alone would use and
 * that is there by default: the relay goes without, says so once, and tries again.
 */
#ifndef POSTERN_RELAY_CONFIG_BIND_LIST_H
#define POSTERN_RELAY_CONFIG_BIND_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "relay/config/config.h"

enum bind_kind {
	BIND_TLS,  /* TCP: everything that the front door knows */
	BIND_STUN, /* TCP: STUN only */
	BIND_UDP,
};

#define BIND_NO_PLACE  4u
#define BIND_KEY_BYTES 40

struct bind_address {
	struct addr address;
	enum bind_kind kind;
	bool proxy_protocol;	  /* TLS */
	unsigned place;		  /* UDP: address * 2 + port of struct stun_behaviour, or none */
	bool anyone;		  /* UDP: gets answers; else links alone */
	bool optional;		  /* the operator has not asked for it: it may be missing */
	char key[BIND_KEY_BYTES]; /* what asks for it: "stun.listen[1]" */
};

struct bind_list {
	struct bind_address *items; /* owned */
	size_t count;
};

/* False without memory; out is untouched then. */
bool bind_list_make(const struct relay_config *c, struct bind_list *out) MUST_CHECK;
void bind_list_free(struct bind_list *d);

/* The one of the same protocol and address, or NULL. */
const struct bind_address *bind_list_find(const struct bind_list *d, bool udp,
					  const struct addr *address);

/* Whether something listens already at one of the TCP addresses. Workers share an address, and the
 * kernel would let a second relay of the same user share it, too: each would get a part of the
 * agents and know nothing of the other's. To be asked before the first socket is opened, since
 * one's own count, too. What listens may be a predecessor that was killed a moment ago and lets go
 * of its sockets: it is waited for, at most wait_ms. 0, or -errno of the first that cannot be had,
 * with a sentence in why. */
int bind_list_probe(const struct bind_list *d, unsigned wait_ms, char *why,
		    size_t why_size) MUST_CHECK;

/* "cannot listen on ...", and what helps; error is an errno. */
void bind_complain(const struct bind_address *d, int error, char *why, size_t why_size);
/* The same of an optional one, as a warning in the log. */
void bind_go_without(const struct bind_address *d, int error);

#endif
