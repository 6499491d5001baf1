/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine: keeps a set of mappings by the protocols that the gateway speaks. No sockets; the clock
 * is the owner's.
 *
 * Theory of operation
 *
 * A *path* is one protocol for one family: PCP, NAT-PMP and UPnP for IPv4, PCP and UPnP for IPv6.
 * On entering a network all paths are probed at once. A mapping takes the best path there is: one
 * that granted a request before others, then in that order; while a better one has not decided yet
 * it waits, but no longer than PORTMAP_GRACE_MS after the probes began. What it got it keeps: a
 * better path that appears later is not moved to, so that no port is ever mapped twice.
 *
 *              ask                 mapped                    due
 *   WAITING ─────────► ASKING ───────────────────► HELD ◄──────────► RENEWING
 *      ▲                 │ failed: another path,    │  mapped, failed  │
 *      │◄────────────────┘ or back-off              │                  │
 *      │◄──────── the path is gone, the gateway restarted, refused ────┤
 *      │                                            ▼                  │
 *      └──────── UNMAPPING ◄──────────────────── LEAVING ◄─────────────┘
 *                                   not wanted, another external port, exit
 *
 * The boxes are the *steps* of a mapping; in WAITING, HELD and LEAVING a time is awaited, in
 * ASKING, RENEWING and UNMAPPING an answer, and by its time at the latest. Four things move a
 * mapping from one step to another, and each of them looks at the step first: its time
 * (portmap_engine_run()), an answer of its driver (struct portmap_heard), a path that comes, goes
 * or says that it forgot (paths.c), and the owner, who wants other mappings or leaves the network
 * (wants.c). What comes for a mapping that does not await it is dropped. engine.c has the one
 * function that takes a step and the table of steps that may follow; what people are told, the
 * *state*, has its own one function there, which tells the owner in the same call.
 *
 * That a probe is answered proves no mapping. What granted nothing yet is waited for only
 * PORTMAP_HEDGE_MS while another path could be asked; one that does not answer a request is *mute*
 * for PORTMAP_MUTE_MS, doubling, and asked after all others, for all mappings, whatever it answers
 * to probes. What it may have done without a word is remembered as a leftover, too.
 *
 * A lease runs until its end, whatever its renewals are answered: the mapping is held and told so
 * until then. A renewal that is refused or not answered is tried by another path, if there is one,
 * else again: after our back-off, when the gateway expects another answer, or at the lease's end,
 * whichever comes first. One whose answer extends nothing is tried once more; then the mapping is
 * deleted and asked for anew.
 *
 * What the gateway made of a request, though not as asked, is ours (struct mapping_astray): before
 * anything else is done it is deleted, again and again if need be, and at exit.
 *
 * When a path is gone its mappings ask the next one. What the old path may still hold is remembered
 * (struct mapping_leftover): it is deleted when the path comes back and holds another external
 * port, when the mapping is no longer wanted or wanted at another port, or at exit; while both name
 * one port they are one entry on most gateways, and deleting one would take the other along. What
 * is to be deleted is in one list (struct portmap_leftover), whatever becomes of the mapping: it
 * waits for its path, is asked for again where it is refused, and people are told where it stays.
 * Where a mapping has to be asked for again, the path that may still hold it is asked first;
 * another one may find the port taken by that, which is no conflict.
 *
 * A gateway that says it forgot everything is asked anew for all of its mappings, as if they had
 * never been: another host may have taken a port. One that says so again and again is believed once
 * in PORTMAP_RESTART_MS, doubling while the mappings turn out to be there, which are renewed in
 * place then. What a gateway dropped silently comes back when it is looked at, every recheck_ms,
 * and what forwards nothing any more is made anew (proof.c). A path that is gone is probed again
 * after 5 s, doubling to a minute while something is missing, also when it comes and goes without
 * granting anything; one that is there, every recheck_ms, since some gateways never tell that their
 * external address changed.
 *
 * Limits: PORTMAP_MAPPINGS_MAX mappings; PORTMAP_LEFTOVERS_MAX leftovers; one request every
 * PORTMAP_SPACING_MS; an answer that takes PORTMAP_ANSWER_MS is silence; leaving takes at most
 * PORTMAP_LEAVE_MS.
 *
 * Deliberately absent: mapping on two gateways at once, and taking over what others mapped.
 */
#ifndef POSTERN_PORTMAP_ENGINE_ENGINE_H
#define POSTERN_PORTMAP_ENGINE_ENGINE_H

#include "portmap/engine/mapping.h"

#define PORTMAP_MAPPINGS_MAX 128u
#define PORTMAP_SPACING_MS   30u
#define PORTMAP_GRACE_MS     300u
#define PORTMAP_ANSWER_MS    60000u
#define PORTMAP_PROBE_MS     20000u
#define PORTMAP_LEAVE_MS     3000u
#define PORTMAP_OTHERS_MAX   8u /* other external ports asked for in a row */
#define PORTMAP_UNWANTED_MAX                                                                       \
	8u /* times that what is neither wanted nor taken back is tried again */
#define PORTMAP_LEFTOVERS_MAX  256u    /* that are to be deleted at the gateway */
#define PORTMAP_TOLD_MAX       8u      /* failures of a path that are not told again */
#define PORTMAP_HEDGE_MS       6000u   /* instead of ANSWER_MS, where another protocol may do it */
#define PORTMAP_MUTE_MS	       120000u /* and doubling */
#define PORTMAP_MUTE_MAX_MS    3600000u
#define PORTMAP_RESTART_MS     10000u /* between restarts by one path that are believed; doubles */
#define PORTMAP_RESTART_MAX_MS 3600000u
#define PORTMAP_ADDRESS_MS     30000u	 /* between questions for the external address */
#define PORTMAP_PROOF_MS       86400000u /* a proof that is older says nothing about today */
#define PORTMAP_DEAD_MAX_MS    3600000u	 /* a mapping that stays dead is asked for anew so often */

enum path_state {
	PATH_NONE,    /* no driver here */
	PATH_PROBING, /* for the first time in this network */
	PATH_THERE,
	PATH_GONE
};

struct portmap_path {
	struct portmap_driver *driver;
	enum path_state state;
	bool probing;	 /* an answer to a probe is outstanding */
	bool ever;	 /* it was there */
	uint64_t due_ms; /* the next probe; while probing: when no answer is silence */
	unsigned tries;	 /* how often it went since it granted something: the back-off of probes */
	bool told_gone;	 /* and whether that is in the log */
	struct portmap_gateway gateway; /* THERE, or as it was last; external: as far as is known */
	struct addr said;		/* the external address that it gave last itself */
	uint64_t moved_ms;		/* when its external address became another one; 0: never */
	/* Of its failures, those that are in the log; the oldest makes room. */
	char told[PORTMAP_TOLD_MAX][PORTMAP_TEXT_BYTES];
	unsigned told_next;
	/* When all mappings were last renewed because of that, and how long until they may be so
	 * again. */
	uint64_t chased_ms, chase_space_ms;
	enum portmap_failure failure; /* GONE */
	char why[PORTMAP_TEXT_BYTES]; /* GONE: a sentence */
	/* What it does with requests, of all mappings. */
	bool grants;	     /* the last that it decided was granted */
	uint64_t granted_ms; /* when it granted one last; 0: never */
	uint64_t mute_ms;    /* until then it is known for answering probes alone */
	unsigned mutes;	     /* how often in a row that was found out */
	/* Restarts that it showed. */
	uint64_t restarted_ms;	   /* the last one believed; 0: none */
	uint64_t restart_space_ms; /* the next one is believed so much later */
	uint64_t restart_due_ms;   /* one that came before; MAPPING_NEVER: none */
	uint64_t doubted_ms, doubt_space_ms;
	char note[PORTMAP_TEXT_BYTES]; /* what people should know of it; "": nothing */
};

/* What the engine asks and tells. It may call any of these from inside any of its calls. */
struct portmap_owner {
	/* Milliseconds of a clock that goes on while the host sleeps. */
	uint64_t (*now_ms)(struct portmap_owner *o);
	/* Call portmap_engine_run() then; replaces what was said before. MAPPING_NEVER: not. */
	void (*wake_at)(struct portmap_owner *o, uint64_t due_ms);
	void (*mapping_changed)(struct portmap_owner *o, const struct portmap_mapping *m,
				enum mapping_state old);
	/* A path came, went or was probed. */
	void (*path_changed)(struct portmap_owner *o, enum portmap_protocol p,
			     enum portmap_family f);
	/* The gateway's external IPv4 address is another one; old.len 0: the first one known. */
	void (*external_changed)(struct portmap_owner *o, const struct addr *old,
				 const struct addr *now);
	/* portmap_engine_leave() is complete: the drivers are no longer used. */
	void (*left)(struct portmap_owner *o);
};

/* What is at the gateway, or may be, and is to be deleted there (taking_back.c). */
struct portmap_leftover {
	enum portmap_protocol protocol;
	struct portmap_want want; /* of the mapping, which may be gone */
	struct portmap_request request;
	bool maybe;	   /* it was asked for, and what came of that is not known */
	bool asked;	   /* its deletion is under way */
	bool taken;	   /* and a mapping was granted the same meanwhile */
	unsigned tries;	   /* deletions that were not done */
	uint64_t until_ms; /* when the gateway forgets it; MAPPING_NEVER: not by itself */
	uint64_t due_ms;   /* asked: when no answer is silence; else not before */
	struct portmap_leftover *next;
};

enum engine_mode { ENGINE_AWAY, ENGINE_HERE, ENGINE_LEAVING };

struct portmap_counts {
	uint64_t requests, renewals, deletions; /* sent */
	uint64_t failures[PORTMAP_FAILURES];
	uint64_t restarts, moves; /* of gateways seen; of mappings to another protocol */
};

struct portmap_engine {
	/* The owner sets these first. */
	struct portmap_owner *owner;
	uint64_t recheck_ms;
	uint64_t seed; /* of jitter and other ports: any number */

	/* For drivers (heard), and to read. */
	struct portmap_heard heard;
	enum engine_mode mode;
	struct addr source[PORTMAP_FAMILIES]; /* our own; len 0: the family is not there */
	struct portmap_path paths[PORTMAP_PROTOCOLS][PORTMAP_FAMILIES];
	struct portmap_mapping *mappings; /* in the order of the configuration */
	size_t count;
	struct portmap_leftover *leftovers; /* the oldest first */
	size_t leftover_count;
	uint32_t last_id;
	struct addr external;		      /* IPv4, port 0; len 0: not known now */
	struct addr told;		      /* what external_changed() said last */
	uint64_t address_ms;		      /* when it is asked for again */
	uint64_t grace_ms;		      /* until then a worse path waits for a better one */
	uint64_t free_ms;		      /* no request goes out before */
	uint64_t leave_ms;		      /* LEAVING: by then it ends */
	uint64_t restarted_ms;		      /* when the gateway was last seen to have restarted */
	const struct portmap_path *restarted; /* which path told it; NULL: none yet */
	bool keep[PORTMAP_FAMILIES];	      /* LEAVING: these stay at the gateway */
	struct portmap_counts counts;
};

void portmap_engine_init(struct portmap_engine *e);
/* Frees the mappings. Mode AWAY. */
void portmap_engine_free(struct portmap_engine *e);

/* From now on these are wanted (copied), at most PORTMAP_MAPPINGS_MAX, no two the same by
 * portmap_want_same(); what is no longer is deleted at the gateway. Returns 0 or -ENOMEM (some of
 * the new ones are missing then). */
int portmap_engine_want(struct portmap_engine *e, const struct portmap_want *wants,
			size_t count) MUST_CHECK;

/* Mode AWAY: a network with these drivers, one per path, and our own addresses there (len 0: none).
 * Drivers stay the owner's and in place until left(). */
void portmap_engine_enter(struct portmap_engine *e, const struct addr source[PORTMAP_FAMILIES],
			  struct portmap_driver *const *drivers, size_t count);
/* Deletes what was mapped (goodbye), or forgets it, as the gateway cannot be reached any more; why
 * is the sentence that mappings get. Those of a family that stays as it is (keep) are left at the
 * gateway and as they are, and renewed on entering again. left() follows, at once without goodbye.
 */
void portmap_engine_leave(struct portmap_engine *e, bool goodbye, const bool keep[PORTMAP_FAMILIES],
			  const char *why);

/* Time has passed; harmless too early. */
void portmap_engine_run(struct portmap_engine *e);
/* Looks again what the gateway speaks. */
void portmap_engine_probe(struct portmap_engine *e);
/* An answer to portmap_engine_probe() is still outstanding. */
bool portmap_engine_probing(const struct portmap_engine *e);
/* Renews everything now, and tries again at once what failed. */
void portmap_engine_renew(struct portmap_engine *e);

/* ---- proof.c: what was found out about a mapping in state MAPPED or VERIFIED; for other ids and
 * states nothing happens. Each has a sentence. ---- */

/* Something came in through it, now: VERIFIED. */
void portmap_engine_verified(struct portmap_engine *e, uint32_t id, const char *proof);
/* Whether it works cannot be told now. A proof goes on to count until it is PORTMAP_PROOF_MS old.
 */
void portmap_engine_unproven(struct portmap_engine *e, uint32_t id, const char *why);
/* What came in before comes in no longer: it is deleted and asked for anew, see proof.c. One that
 * never worked is unproven and no more, since what keeps it from working may be no mapping's. */
void portmap_engine_dead(struct portmap_engine *e, uint32_t id, const char *why);

/* Another external address is noticed within PORTMAP_ADDRESS_MS. */
bool portmap_engine_asks_external(const struct portmap_engine *e);
/* What is being deleted by this request, of a mapping that may be gone; or NULL. */
const struct portmap_leftover *portmap_engine_deleting(const struct portmap_engine *e,
						       enum portmap_protocol p, uint32_t id);
struct portmap_mapping *portmap_engine_find(const struct portmap_engine *e, uint32_t id);
const char *path_state_name(enum path_state s);

#endif
