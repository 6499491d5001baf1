/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portmap_world: a gateway of our own making that speaks up to three protocols, forgets, refuses
 * and falls silent, and a mapping engine at it on a fake clock.
 */
#ifndef POSTERN_TESTS_PORTMAP_WORLD_H
#define POSTERN_TESTS_PORTMAP_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "portmap/engine/engine.h"

#define ENTRIES	   64
#define MESSAGES   512
#define LIFETIME_S 7200u
#define RECHECK_MS 600000u
#define SECONDS	   UINT64_C(1000)
#define OURS	   1
#define ANOTHER	   2

extern const bool world_nothing[PORTMAP_FAMILIES], world_ipv4_only[PORTMAP_FAMILIES];

struct entry {
	bool used;
	enum portmap_transport transport;
	enum portmap_family family;
	uint16_t external, internal;
	int host;
	bool astray; /* it leads elsewhere than was asked for */
	uint64_t expires_ms;
	enum portmap_protocol by;
	uint8_t nonce[PORTMAP_NONCE_BYTES]; /* of the request that made it */
};

struct fake {
	struct portmap_driver driver;
	struct world *world;
	bool there;		      /* it answers */
	bool deaf;		      /* to requests, not to probes */
	bool goes_deaf;		      /* and is gone then, until it is probed */
	bool apart;		      /* takes what other protocols made for another's */
	bool picks_another;	      /* gives another port where one is taken */
	bool leads_to_same_port;      /* inside as outside, whatever was asked */
	uint16_t never_leads_to;      /* inside: to the port outside in place of it */
	bool keeps_all;		      /* refuses deletions */
	bool extends_nothing;	      /* says yes to renewals, and how much is left */
	bool names_port;	      /* in its words about a port that is another's */
	bool says_gone;		      /* when it refuses what it does not have */
	bool permanent_only;	      /* lifetime 0 for all requests */
	bool pools;		      /* two external addresses, by the internal port */
	bool pools_anew;	      /* and others at each request */
	uint32_t grants_s;	      /* so much for all requests; 0: what is asked for */
	enum portmap_failure refuses; /* PORTMAP_FAILURES: nothing */
	const char *refuses_why;      /* NULL: some sentence */
	enum portmap_failure lacks;   /* when it is not there: so it says; and why */
	const char *lacks_why;
	uint32_t asks_to_wait_s; /* with each refusal */
	bool has_it;		 /* when it was asked last */
	uint64_t delay_ms, silence_ms;
	struct addr told;			    /* when its address was asked for last */
	unsigned maps, looks, asks, unmaps, probes; /* asks: for the external address */
	uint64_t last_request_ms;
};

enum message_kind { PROBED, MAPPED, LOOKED, UNMAPPED };

struct message {
	bool used;
	enum message_kind kind;
	uint64_t at_ms;
	struct fake *fake;
	struct portmap_request request;
};

struct world {
	struct portmap_owner owner;
	struct portmap_engine engine;
	struct fake fakes[PORTMAP_PROTOCOLS];
	struct entry table[ENTRIES];
	struct message messages[MESSAGES];
	struct addr external, source; /* the gateway's, and ours */
	uint64_t now_ms, wake_ms;
	unsigned left, externals, changes;
	uint64_t
		told_due_ms; /* by the last change: when what failed is tried again; 0: it is not */
	uint64_t closest_ms; /* between two requests to one protocol */
};

struct addr world_address(const char *text);
struct entry *world_add_entry(struct world *w, enum portmap_transport t, enum portmap_family f,
			      uint16_t external, int host);
size_t world_entries(const struct world *w, int host);
void world_enter(struct world *w);
struct world *world_home(bool pcp, bool natpmp, bool upnp);
void world_answer_after(struct world *w, enum portmap_protocol p, uint64_t ms);
struct portmap_mapping *world_first(struct world *w);
void world_pass(struct world *w, uint64_t ms);
struct portmap_want world_want(enum portmap_transport t, uint16_t internal, uint16_t external);
void world_free(struct world *w);
struct world *world_new(uint64_t seed);

/* The first mapping's. */
#define assert_state(w, expected)                                                                  \
	assert_string_equal(mapping_state_name(world_first(w)->state), mapping_state_name(expected))

#endif
