/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapping: one wanted mapping or pinhole: what people are told of it, and what is being done.
 *
 * The *state* is for people, the *step* is the engine's: what is under way at the gateway. They are
 * two because a mapping that is being renewed is still mapped, and one that a gateway refused is
 * still asked for now and then. engine.c has the one function that changes each.
 */
#ifndef POSTERN_PORTMAP_ENGINE_MAPPING_H
#define POSTERN_PORTMAP_ENGINE_MAPPING_H

#include "portmap/gateway/driver.h"

#define MAPPING_NEVER	  UINT64_MAX
#define MAPPING_WHY_BYTES 320u
#define MAPPING_TOLD_MAX  4u

enum mapping_state {
	MAPPING_REQUESTED,   /* asked for, or about to be */
	MAPPING_MAPPED,	     /* the gateway says so */
	MAPPING_VERIFIED,    /* and something came in from outside */
	MAPPING_CONFLICTING, /* the external port is another's */
	MAPPING_MISDIRECTED, /* the gateway leads it elsewhere than asked; taken back, if it can be
			      */
	MAPPING_REFUSED,     /* the gateway does not allow it, or cannot now */
	MAPPING_UNSUPPORTED, /* no gateway here can */
	MAPPING_STATES
};

/* In brackets: what may happen next. */
enum mapping_step {
	MAPPING_WAITING,  /* nothing at the gateway; at due_ms it is asked [ASKING, freed] */
	MAPPING_ASKING,	  /* map() is under way [HELD, LEAVING, WAITING] */
	MAPPING_HELD,	  /* granted; renewed at due_ms [RENEWING, LEAVING, WAITING] */
	MAPPING_RENEWING, /* granted, and map() is under way [HELD, LEAVING, WAITING] */
	MAPPING_LEAVING,  /* to be unmapped at due_ms [UNMAPPING, WAITING] */
	MAPPING_UNMAPPING /* unmap() is under way [WAITING, LEAVING, freed] */
};

/* What the configuration asks for. */
struct portmap_want {
	enum portmap_transport transport;
	enum portmap_family family;
	struct addr host;  /* port 0; len 0: this host. Else another host's, with THIRD_PARTY */
	uint16_t internal; /* port */
	uint16_t external; /* port to ask for; of a pinhole the same as internal */
	bool any;	   /* when that is taken, another one is as good */
	uint32_t lifetime_s;
	uint8_t nonce[PORTMAP_NONCE_BYTES];
	char tag[PORTMAP_TAG_BYTES]; /* of this host, for mapping_description() */
};

/* What a protocol still holds after the mapping moved to another one. */
struct mapping_leftover {
	bool there;
	bool maybe; /* it was asked for, and no answer came */
	struct addr external;
	uint64_t until_ms; /* when the gateway forgets it; MAPPING_NEVER: not by itself */
};

/* What our own request made, but not as asked: to be taken back before anything else is done. */
struct mapping_astray {
	bool there;
	bool first_gone;     /* what it made is, what was asked for may not be: deleted as well */
	bool maybe;	     /* its answer was not waited for: what it may have made */
	struct addr inside;  /* where the gateway leads */
	struct addr outside; /* and from which place */
	unsigned tries;	     /* deletions that were not done */
	uint64_t until_ms;   /* when the gateway has forgotten it; MAPPING_NEVER: not by itself */
};

/* How a pinhole is taken back that PCP does not delete; UNMAPPING. In brackets: the answers. */
enum mapping_ending {
	ENDING_ASKED,	    /* its deletion [deleted, refused] */
	ENDING_SHORTENED,   /* PCP is to renew it for a second [granted, failed] */
	ENDING_TAKEN_OVER,  /* UPnP is to open the same, which tells its number there [the same] */
	ENDING_DELETED,	    /* and to delete it by that [deleted, refused] */
	ENDING_ASKED_AGAIN, /* PCP is to delete it, which tells whether it is gone [the same] */
};

struct portmap_mapping {
	uint32_t id; /* never used again */
	struct portmap_want want;
	bool wanted; /* no longer: it goes when the gateway has let it go */

	enum mapping_state state;
	char why[MAPPING_WHY_BYTES]; /* one sentence to the state */
	/* Those that were more than that it is asked for, in this state; the oldest makes room. */
	char told[MAPPING_TOLD_MAX][MAPPING_WHY_BYTES];
	unsigned told_count;
	char proof[MAPPING_WHY_BYTES]; /* MAPPED: why it is not verified; VERIFIED: what proved it
					*/
	uint64_t since_ms;
	uint64_t mapped_ms; /* since when it is mapped, verified or not; else when it came to be */
	uint64_t proven_ms; /* when something came in last; 0: never in this network */
	uint64_t unproven_ms; /* when that stopped to count; 0: it counts, or there was none */
	uint32_t changes[MAPPING_STATES]; /* how often it came into each */

	enum mapping_step step;
	enum portmap_protocol protocol; /* from ASKING on */
	enum portmap_protocol via; /* ASKING, RENEWING: who is asked; a renewal may be another's */
	uint64_t due_ms;	   /* of the step; in flight: when no answer counts as silence */
	struct addr external;	   /* HELD, RENEWING: what outside uses; address may be unknown */
	struct addr answered; /* the external address in PCP's last answer, port 0; len 0: none */
	uint16_t ask_port;    /* the external port to ask for: want's, or another */
	uint32_t lifetime_s;  /* granted; 0: for good */
	uint64_t granted_ms;
	uint64_t renew_ms; /* HELD: when it is renewed; before that due_ms only looks whether it is
			      there */
	bool looking;	   /* RENEWING: it is looked at, before its time */
	bool doubted;	   /* after a look that finds it, it is renewed at once */
	uint64_t sent_ms;  /* ASKING, RENEWING: when it was asked */
	unsigned renewals; /* tries since granted_ms */
	bool unrenewed;	   /* the last try failed: due_ms is when it is made again */
	bool undone;	   /* ASKING, RENEWING: a deletion may take along what is granted */
	unsigned others;   /* other external ports tried */
	unsigned rounds;   /* how often every protocol was asked in vain: the back-off */
	unsigned tried;	   /* bit per protocol that failed in this round */
	bool anew;	   /* found dead, and asked for anew since */
	unsigned dead;	   /* bit per protocol whose mapping was dead when it was new */
	unsigned dead_rounds; /* how often that was said of all protocols */
	uint64_t dead_ms;     /* before that it is not asked for anew because of being dead */
	bool kept;	      /* WAITING to be renewed by the same protocol, after leaving */
	bool unneeded; /* UNSUPPORTED: nothing keeps out what it would let in, as far as is known */
	bool own_leftover; /* this round failed by what another protocol of ours still holds */
	bool no_external;  /* the last answer was that the gateway has no external address */
	uint32_t wait_s;   /* of this round: when a gateway expects another answer; 0: none said */
	bool failed[PORTMAP_FAILURES]; /* how, in this round */
	char failure_why[PORTMAP_FAILURES][PORTMAP_TEXT_BYTES];
	char refused[PORTMAP_PROTOCOLS]
		    [PORTMAP_TEXT_BYTES]; /* the last failure of each, as logged */
	struct mapping_leftover left[PORTMAP_PROTOCOLS];
	struct mapping_astray astray; /* LEAVING, UNMAPPING */
	enum mapping_ending ending;   /* UNMAPPING */
	struct portmap_mapping *next;
};

const char *mapping_state_name(enum mapping_state s);

/* "tcp 443", "tcp 443 -> 8443", "tcp 443 (IPv6)", "tcp 192.168.1.5:443": what people call it. */
#define MAPPING_NAME_BYTES 112u
void mapping_name(const struct portmap_mapping *m, char out[MAPPING_NAME_BYTES]);

/* "PCP gives 45.0.0.10:443 for 7200 s" */
void mapping_describe(const struct portmap_mapping *m, char *out, size_t room);

/* The same host, port, transport and family: one mapping, also where the rest differs. */
bool portmap_want_same(const struct portmap_want *a, const struct portmap_want *b) MUST_CHECK;
/* The same among these; NULL: there is none. */
const struct portmap_want *portmap_want_find(const struct portmap_want *wants, size_t count,
					     const struct portmap_want *like) MUST_CHECK;
/* The text by which a router's list names a mapping, and by which we know our own again: "Postern
 * 3f9a1c tcp 8443". The tag tells hosts apart that both run this; "": none. At most 24 characters,
 * as some routers cut it at 31. */
void mapping_description(const char *tag, enum portmap_transport t, uint16_t internal,
			 char out[PORTMAP_DESCRIPTION_BYTES]);
/* The request to a driver. source: our own address of the family. */
void mapping_request(const struct portmap_mapping *m, const struct addr *source,
		     struct portmap_request *out);
/*
 * When to renew: RFC 6887 section 11.2.1. Try k (0, 1, ...) comes between 1 - 1/2^(k+1) of the
 * lifetime and 1/2^(k+3) of it later, at least 4 s after the one before; jitter is any number. Of a
 * short lease the first comes early enough for a second. A permanent mapping is looked at every
 * recheck_ms. MAPPING_NEVER when no time is left.
 */
uint64_t mapping_renewal(const struct portmap_mapping *m, uint64_t now_ms, uint64_t recheck_ms,
			 uint64_t jitter) MUST_CHECK;
/* When the gateway forgets it, or MAPPING_NEVER. */
uint64_t mapping_expiry(const struct portmap_mapping *m);

/* The failure of this round that says most, and its sentence; PORTMAP_FAILURES: none. */
enum portmap_failure mapping_worst(const struct portmap_mapping *m, const char **why);
/* Forgets the round. */
void mapping_new_round(struct portmap_mapping *m);
/* How long after such a failure everything is tried again; doubles with each round, and is never
 * long for a pinhole. */
uint64_t mapping_backoff_ms(enum portmap_failure f, enum portmap_family family,
			    unsigned rounds) MUST_CHECK;
enum mapping_state mapping_state_of(enum portmap_failure f) MUST_CHECK;

/* What this protocol still holds, as far as is known. */
static inline bool mapping_left_over(const struct portmap_mapping *m, unsigned protocol,
				     uint64_t now_ms)
{
	return m->left[protocol].there && now_ms < m->left[protocol].until_ms;
}

/* A protocol may have done it without a word, which others refuse then as another's. */
static inline bool mapping_maybe_there(const struct portmap_mapping *m, uint64_t now_ms)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++)
		if (mapping_left_over(m, p, now_ms) && m->left[p].maybe)
			return true;
	return false;
}

/* At due_ms what failed is tried again. */
static inline bool mapping_retried(const struct portmap_mapping *m)
{
	return m->due_ms != MAPPING_NEVER && ((m->step == MAPPING_WAITING && m->rounds > 0) ||
					      (m->step == MAPPING_HELD && m->unrenewed) ||
					      (m->step == MAPPING_LEAVING && m->astray.there));
}

/* An answer of the gateway is awaited. */
static inline bool mapping_in_flight(const struct portmap_mapping *m)
{
	return m->step == MAPPING_ASKING || m->step == MAPPING_RENEWING ||
	       m->step == MAPPING_UNMAPPING;
}

/* Granted, and not being let go. */
static inline bool mapping_held(const struct portmap_mapping *m)
{
	return m->step == MAPPING_HELD || m->step == MAPPING_RENEWING;
}

#endif
