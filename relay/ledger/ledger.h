/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger: every accepted connection of the relay, from accept until its descriptor is closed. No
 * sockets, no clock.
 *
 * Theory of operation
 *
 * A connection has an entry, and the entry a class. Each class has places of its own, so that none
 * can take another's:
 *
 *   UNPROVEN   has proved nothing; charged to its source (sources.h)
 *     ├─► PUBLIC    a public client, which never proves anything: its session stays charged to its
 *     │             source, and to the public name, until its end
 *     ├─► PROVEN    an agent's link or leg: charged to the name in its certificate only
 *     └─► CONSOLE   likewise, in places that agents cannot take
 *
 * Whether there is a place for a newcomer is never asked: where a source has too many, or where all
 * places are taken, the oldest unproven connection of the fullest source goes instead (of the
 * fullest address in the fullest network). A client that goes on to prove itself does so in a few
 * round trips and is among the newest, so a crowd that says nothing costs it nothing; and a source
 * that sends a crowd pays with its own connections first.
 *
 * The connection that has to go lives on some worker, which is told (ledger_next_dropped()). Until
 * it has closed the descriptor the entry is DROPPED: no longer charged to its source, but counted,
 * and there may be only so many. When there are more, or no entry is left, the newcomer is turned
 * away after all; that takes a worker that does not get to its messages.
 *
 * Public sessions are not dropped for others: at a limit of theirs, the newcomer is refused.
 *
 * The caller serialises all calls. Every table is made at the start.
 */
#ifndef POSTERN_RELAY_LEDGER_LEDGER_H
#define POSTERN_RELAY_LEDGER_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/parse/reason.h"
#include "core/slab.h"

struct ledger;

enum ledger_class {
	LEDGER_UNPROVEN,
	LEDGER_PUBLIC,
	LEDGER_PROVEN,
	LEDGER_CONSOLE,
	LEDGER_DROPPED, /* has to go, its descriptor is still open */
	LEDGER_CLASSES
};

/* "unproven" ... */
const char *ledger_class_name(enum ledger_class class);

struct ledger_limits {
	uint64_t places[LEDGER_CLASSES]; /* of each class */
	uint64_t per_source;		 /* unproven connections of one address */
	uint64_t public_per_source;	 /* public sessions of one address */
	uint64_t public_per_name;	 /* public sessions of one public name */
};

/* An IPv4 /24 or an IPv6 /56 may have so many times as much as one address, and a /48 that again.
 */
#define LEDGER_WIDER 4u

/* How many connections may be open at a time, and 0 for each that the relay shares out itself. */
struct ledger_shares {
	uint64_t connections, unproven, public, public_per_name;
};
/* Shares the connections out: a quarter to the unproven, a quarter to public sessions, a few to
 * consoles, the rest to the proven; and of the unproven's part some to those that have to go. */
void ledger_share_out(const struct ledger_shares *shares, struct ledger_limits *out);

/* Entries for so many connections. NULL when memory is out. */
struct ledger *ledger_new(uint32_t connections) MUST_CHECK;
void ledger_free(struct ledger *l);
/* For those that come from now on. */
void ledger_set_limits(struct ledger *l, const struct ledger_limits *limits);

/* What became of a newcomer. */
struct ledger_entered {
	uint32_t place; /* its entry; 0: there is none, it is turned away */
	slab_id drop;	/* this one has to go: tell its worker; 0: none */
};

/* One more was accepted from there, and is owner on its worker. */
struct ledger_entered ledger_enter(struct ledger *l, const struct addr *from,
				   slab_id owner) MUST_CHECK;
/* An unproven connection turns out to come from there (a PROXY header); returns what has to go. */
slab_id ledger_move(struct ledger *l, uint32_t place, const struct addr *from) MUST_CHECK;
/* Memory is short: the oldest unproven of the fullest source has to go. 0: there is none, or as
 * many as may are about to. */
slab_id ledger_make_room(struct ledger *l) MUST_CHECK;
/* It is a public client of this name from now on, if it is not one already; or why it may not be.
 */
enum reason ledger_become_public(struct ledger *l, uint32_t place, const char *name) MUST_CHECK;
/* It has proved to be name, an agent or (console) a console; or there is no place. Also one that
 * was about to be dropped. */
enum reason ledger_prove(struct ledger *l, uint32_t place, const char *name,
			 bool console) MUST_CHECK;
/* Its descriptor is closed. */
void ledger_leave(struct ledger *l, uint32_t place);

/* A connection of the worker with this tag that has to go, and why; 0: none. Each is told once. */
slab_id ledger_next_dropped(struct ledger *l, uint8_t tag, enum reason *why) MUST_CHECK;

struct ledger_use {
	uint64_t used[LEDGER_CLASSES], places[LEDGER_CLASSES];
	uint64_t connections; /* all of them */
	uint64_t sources;     /* prefixes with something counted */
};
struct ledger_use ledger_used(const struct ledger *l);
/* How many connections have proved to be name. */
uint32_t ledger_of_name(const struct ledger *l, const char *name);

#endif
