/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asks: the mappings that other programs of this host ask for: whose they are, by what right, and
 * until when. No sockets; the clock is the owner's.
 *
 * Theory of operation
 *
 * An *ask* is one mapping that a caller of the control socket wants, beside those of the
 * configuration. It stands until one of these, each of which is counted:
 *
 *   unmapped    who asked for it, root or natd's own user takes it back
 *   gone        it has no lease, and the last connection that asks for it ended ASKS_GRACE_MS ago
 *   lease       it has one, that is over, and no connection asks for it without one
 *   right       the configuration no longer allows it to this user
 *   displaced   the configuration itself wants the port, the external port, or the room
 *
 * The same user that asks for the same port again goes on with the ask it has: so a program comes
 * back after it was restarted, extends its lease, or gets it another external port. Two programs of
 * one user share it: it lasts while the connection of either does, and until the later end of their
 * leases. Over the connection that asked, only what was asked over it is taken back; over another
 * one, all of it.
 *
 * Every ask rests on a *right*: a user or a group of users may ask for some ports, over TCP, UDP or
 * both, and for so many at a time. Both the port on this host and the external one have to be
 * allowed; with any, that is the one which is asked for first, and others are from 1024 up. Root
 * and natd's own user may ask for every port. All asks are judged anew when the configuration is
 * another one.
 *
 * A port can be wanted more than once: by the configuration and by several users. It is one
 * mapping, and stays for as long as one of them wants it. The configuration decides on the external
 * port, else who asked first of those that are left; the others take it or ask for any. An external
 * port leads to one port only, of whoever was first; the configuration's come before all.
 *
 * Limits: ASKS_MAX asks, of one user as many as its right says; together with the configuration's
 * PORTMAP_MAPPINGS_MAX mappings. The place of an ask that ended is free again after ASKS_REST_MS,
 * so that no program can keep the gateway busy by asking and taking back.
 *
 * Deliberately absent: mappings for other hosts, which only the configuration asks for; and asks
 * that outlive natd: who asked is told by the end of its connection, and asks again.
 */
#ifndef POSTERN_PORTMAP_ENGINE_ASKS_H
#define POSTERN_PORTMAP_ENGINE_ASKS_H

#include <sys/types.h>

#include "portmap/engine/engine.h"

#define ASKS_MAX	  64u
#define ASKS_OF_USER	  16u /* where the right does not say */
#define ASKS_RIGHTS_MAX	  32u
#define ASKS_PORTS_MAX	  8u  /* ranges of one right */
#define ASKS_CALLERS_MAX  16u /* connections that ask for the same */
#define ASKS_GRACE_MS	  10000u
#define ASKS_REST_MS	  5000u
#define ASKS_LEASE_MIN	  60u	 /* seconds */
#define ASKS_LEASE_MAX	  86400u /* likewise */
#define ASKS_LIFETIME_MIN 120u	 /* seconds asked of the gateway, for a shorter lease, too */
#define ASKS_GROUPS_MAX	  64u	 /* of a user that are looked at */
#define ASKS_NAME_BYTES	  48u
#define ASKS_WHY_BYTES	  256u

/* Who calls, as the kernel says. */
struct ask_user {
	uid_t uid;
	bool all; /* root, or natd's own user */
	size_t group_count;
	gid_t groups[ASKS_GROUPS_MAX];
};

/* What the configuration allows. */
struct ask_right {
	bool group;  /* id is a group's */
	uint32_t id; /* of the user or group */
	bool transports[2];
	struct {
		uint16_t first, last;
	} ports[ASKS_PORTS_MAX];
	size_t port_count; /* 0: 1024 to 65535 */
	unsigned most;	   /* asks at a time of one user */
};

/* Why one is not granted; ASK_GRANTED: it is. */
enum ask_refusal {
	ASK_GRANTED,
	ASK_NO_RIGHT,	/* this user may ask for nothing */
	ASK_PORT,	/* not for this port */
	ASK_CONFIGURED, /* the configuration wants it otherwise */
	ASK_TAKEN,	/* somebody else has the external port, or the port otherwise */
	ASK_USER_FULL,	/* this user has as many as it may */
	ASK_FULL,	/* natd keeps as many as it can */
	ASK_REFUSALS
};

enum ask_end { ASK_UNMAPPED, ASK_GONE, ASK_LEASE, ASK_RIGHT, ASK_DISPLACED, ASK_ENDS };

struct ask {
	bool used;
	const void *callers[ASKS_CALLERS_MAX]; /* whose connections it lives with */
	size_t caller_count;
	struct ask_user user;
	char name[ASKS_NAME_BYTES]; /* as the caller calls itself: printable; "" where it does not
				     */
	struct portmap_want want;   /* nonce not filled */
	uint16_t outside;     /* with any: the external port that asks_wants() chose; 0: none */
	uint64_t lease_ms;    /* until when it is leased; 0: it is not */
	const void *lease_by; /* over which connection; NULL: that has ended */
	uint64_t gone_ms;     /* the grace after the last of the callers; 0: none has gone */
	uint64_t number;      /* in the order in which they came */
	uint64_t ends_ms;     /* MAPPING_NEVER: while a connection lasts */
	uint64_t free_ms;     /* until then the place rests, or its terms may not change again */
};

struct asks {
	/* The owner sets it first: *a is about to end; not to be changed meanwhile. */
	void (*ended)(struct asks *s, const struct ask *a, enum ask_end end, const char *why);

	struct ask list[ASKS_MAX];
	uint64_t last_number;
	struct ask_right rights[ASKS_RIGHTS_MAX];
	size_t right_count;
	const struct portmap_want *configured; /* the owner's */
	size_t configured_count;
	uint64_t granted, refused[ASK_REFUSALS], ends[ASK_ENDS];
};

/* What a caller asks for. */
struct ask_request {
	const struct ask_user *user;
	const void *caller;
	const char *name; /* borrowed; NULL or "": none */
	struct portmap_want want;
	uint32_t lease_s; /* 0: none */
};

/*
 * Grants it, or the same ask goes on (portmap_want_same(), same user): *out is it, and what the
 * engine is to keep may be another set. e: what is kept already. Else why gets a sentence.
 */
enum ask_refusal asks_add(struct asks *s, const struct portmap_engine *e,
			  const struct ask_request *r, uint64_t now_ms, const struct ask **out,
			  char why[ASKS_WHY_BYTES]) MUST_CHECK;
/* Takes back what this user asked for, or, where others of its connections ask for it, too, what
 * this one (caller) did; root and natd's own user, where they did not: what anyone did. Returns how
 * many asks that were. */
size_t asks_remove(struct asks *s, const struct ask_user *user, const void *caller,
		   const struct portmap_want *like, uint64_t now_ms);
/* A caller's connection has ended. */
void asks_caller_gone(struct asks *s, const void *caller, uint64_t now_ms);
/* Ends what is over. Returns how many asks that were. */
size_t asks_run(struct asks *s, uint64_t now_ms);
/* When asks_run() has something to do; MAPPING_NEVER: not by time. */
uint64_t asks_next(const struct asks *s);

/* Rights (copied) and the configuration's wants (which stay in place) are others now: all asks are
 * judged anew. */
void asks_configure(struct asks *s, const struct ask_right *rights, size_t right_count,
		    const struct portmap_want *wants, size_t count, uint64_t now_ms);
/* Adds what is asked for to the configuration's wants. Returns how many there are then. */
size_t asks_wants(struct asks *s, struct portmap_want wants[PORTMAP_MAPPINGS_MAX], size_t count);

/* The next ask of this mapping after `after` (NULL: the first), or NULL. */
const struct ask *asks_of(const struct asks *s, const struct portmap_want *like,
			  const struct ask *after);
/* Whether this user may ask for anything; all: root and natd's own. */
bool asks_allows_some(const struct asks *s, const struct ask_user *user) MUST_CHECK;
/* "web (uid 33)", "uid 33" */
#define ASKS_WHO_BYTES 80u
void ask_who(const struct ask *a, char out[ASKS_WHO_BYTES]);

/* "no_right", "port", ...; "unmapped", "gone", ... */
const char *ask_refusal_name(enum ask_refusal r);
const char *ask_end_name(enum ask_end e);

#endif
