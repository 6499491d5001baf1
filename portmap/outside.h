/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outside: what the configured STUN servers see of this host.
 *
 * All of them are asked at once from one socket, on entering a network, when the gateway's address
 * changes, and every recheck; where no protocol of the gateway can be asked for its address, every
 * OUTSIDE_ALONE_MS, so that another one is noticed. When they see another address than before, the
 * gateway is asked for its own and all mappings are renewed, which tells. Names are resolved anew
 * each time. What most of them say counts; where they disagree, all that they say is kept. The
 * question leaves by the gateway's interface, also where a VPN has the default route: it is the
 * gateway that is asked about.
 *
 * The routers behind the gateway are looked for (hops.h) when outside sees another address than
 * when that was done last, and every OUTSIDE_LOOK_MS. Where outside sees this host's own address a
 * server is asked instead to send from its other one (survey.h): does a firewall let that in?
 */
#ifndef POSTERN_PORTMAP_OUTSIDE_H
#define POSTERN_PORTMAP_OUTSIDE_H

#include "core/program/resolve.h"
#include "portmap/hops.h"
#include "portmap/natd.h"
#include "stun/client/round.h"
#include "stun/client/survey.h"
#include "stun/verdict.h"

#define OUTSIDE_ALONE_MS 30000u
#define OUTSIDE_LOOK_MS	 21600000u /* six hours */

struct outside_name {
	struct outside *outside;
	struct endpoint endpoint;
	struct resolve_query *query;
	bool lost;			       /* it was not found; told */
	struct addr address[PORTMAP_FAMILIES]; /* len 0: none */
};

struct outside {
	struct natd *natd;
	struct resolver resolver;
	struct outside_name names[NATD_STUN_MAX];
	size_t count, resolving;
	struct stun_round round; /* over IPv4 */
	bool asking, again;
	struct timer later;
	struct hops hops; /* the way behind the gateway */
	bool looking, look_again;
	bool first;		/* nothing was found before what is under way */
	struct addr looked_for; /* what outside saw then; len 0: not looked */
	uint64_t looked_ms;	/* and when that was */
	struct addr behind;	/* see struct truth_facts */
	bool looked;
	struct stun_survey survey;
	bool surveying;
	enum truth_entry entry; /* of this host's own address */
	struct addr address;	/* IPv4, port 0; len 0: not known */
	/* All that they see, each once, port 0; the rest of more is left out. */
	struct addr seen[TRUTH_SEEN_MAX];
	size_t seen_count;
	bool silent;	    /* the last round brought nothing */
	uint64_t silent_ms; /* since then, of CLOCK_BOOTTIME */
	enum stun_agreement agreement;
	uint64_t rounds;
};

/* Something is asked. */
bool outside_is_busy(const struct outside *o);

/* NULL without memory. */
struct outside *outside_new(struct natd *n) MUST_CHECK;
/* Asks now; harmless while it does. */
void outside_ask(struct outside *o);
/* The network has gone: what was heard there counts no longer. */
void outside_forget(struct outside *o);
/* The configuration's servers are other ones. */
void outside_configure(struct outside *o);
/* Ends; idle when it returns true, else ask again later. */
bool outside_stop(struct outside *o) MUST_CHECK;
void outside_free(struct outside *o);

#endif
