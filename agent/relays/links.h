/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: which relays there are links to, and how that changes while the agent runs.
 *
 * A new certificate wants new links: each relay takes the second sign-in for the first one's
 * successor, so that an old link stays of use until the new one is up, and no session notices. A
 * link that is doubted (link_state.h) gets a successor in the same way.
 *
 * What happens on links is told to the set's owner by a table of callbacks.
 */
#ifndef POSTERN_AGENT_RELAYS_LINKS_H
#define POSTERN_AGENT_RELAYS_LINKS_H

#include "agent/config/setup.h"
#include "agent/relays/link.h"
#include "core/engine/revocations.h"
#include "core/engine/signed_told.h"
#include "core/program/look.h"

struct agent_links_events {
	void (*up)(struct agent_link *l);
	/* It was up. */
	void (*down)(struct agent_link *l, enum reason reason, const char *why);
	/* The relay offers a session: leg_call_accept() takes it, agent_link_refuse() does not.
	 * offer is good during the call. */
	void (*offer)(struct agent_link *l, const struct wire_message *offer);
	/* It was asked whether it lives, and is silent: what waits for its relay goes to others. */
	void (*silent)(struct agent_link *l);
	/* A link became usable, or the last that could have been was refused. */
	void (*changed)(struct agent_links *set);
	/* A relay has told its newest tag key. */
	void (*learned)(struct agent_links *set);
	/* The far end of a session by this relay proves a newer certificate, as the relay says.
	 * prove is good during the call. */
	void (*proves)(struct agent_link *l, const struct wire_message *prove);
	/* The relay has ended a session, and says why. ended is good during the call. */
	void (*ended)(struct agent_link *l, const struct wire_message *ended);
	/* A relay has told another list of revocations, or a signed one. */
	void (*revoked)(struct agent_links *set);
	/* The signed ones are others: they are to be kept. l has told the last of them, and changes
	 * says what went with it; l NULL: other CAs are in force, or were at the last start. */
	void (*signed_changed)(struct agent_links *set, const struct agent_link *l,
			       const struct signed_told *changes);
};

struct agent_links {
	struct agent_worker *worker;
	const struct agent_setup *setup;
	const struct agent_links_events *events;
	struct agent_link **list; /* in order of the configuration */
	size_t count;
	struct agent_link *retired; /* of relays that are no longer used, until they are quiet */
	struct relay_word *words;   /* what relays say is revoked */
	struct signed_revocations signed_revocations; /* that any relay has told */
	uint64_t signed_refused;		      /* of all relays */
	struct timer tidier;
	struct look look;	     /* at when a relay's certificate ends: trust.c's */
	struct learned_key *learned; /* tag keys that relays have told */
};

/* The set for setup's configuration; none is dialled before agent_links_start(). False without
 * memory. */
bool agent_links_open(struct agent_links *set, struct agent_worker *w,
		      const struct agent_setup *setup,
		      const struct agent_links_events *events) MUST_CHECK;
void agent_links_start(struct agent_links *set);
/* Says BYE on every link. */
void agent_links_stop(struct agent_links *set);
/* When nothing is in flight any more. */
void agent_links_free(struct agent_links *set);

/* Links for the relays of next: those that are there, and new ones for the others (with afresh: for
 * all). NULL: memory is out, or too many have been retired within a moment. */
struct agent_link **agent_links_make(struct agent_links *set, const struct agent_config *next,
				     bool afresh) MUST_CHECK;
/* Frees what agent_links_make() made, unused. */
void agent_links_drop(struct agent_links *set, struct agent_link **links, size_t count);
/* Puts them in force: starts those that are new, retires those that are not among them. A retired
 * link is stopped at once, or, where a new one leads to the same relay, when that is up. With
 * publish, the services have changed. */
void agent_links_adopt(struct agent_links *set, struct agent_link **links, size_t count,
		       bool publish);

/* The link that a new session should use: the first usable one from position *at on; *at becomes
 * the position after it. NULL when there is none. */
struct agent_link *agent_links_next(struct agent_links *set, size_t *at);
/* The link to the relay of this label that messages can be sent on now, one that another is about
 * to follow included; NULL: none. */
struct agent_link *agent_links_live(const struct agent_links *set, const char *label);
/* Why the relay of this label has sent this agent away, where its link is down for that; else OK.
 * *why is good until the next event. */
enum reason agent_links_sent_away(const struct agent_links *set, const char *label,
				  const char **why) MUST_CHECK;
/* Whether every relay has refused this agent for what will not pass by itself; *why is the first
 * one's reason then. */
bool agent_links_refused(const struct agent_links *set, enum reason *why) MUST_CHECK;
/* Why there is no usable link, for people. */
void agent_links_describe(const struct agent_links *set, char *out, size_t room);

/* From link.c: l is doubted. Its relay is dialled anew beside it, at most every LINKS_AGAIN_MS:
 * what was forgotten on the way, or started anew, is soon of use again. l stays until that one is
 * up. */
#define LINKS_AGAIN_MS 10000u
void agent_links_again(struct agent_links *set, struct agent_link *l);
/* From link.c: l, which was doubted, was heard: it is the one to use, and none is dialled. */
void agent_links_heard_again(struct agent_links *set, struct agent_link *l);
/* From link.c: l is up, and its relay knows what is published there: an older link to it has had
 * its time. */
void agent_links_took_over(struct agent_links *set, const struct agent_link *l);
/* From link.c: the relay of l tells the tag key that it wants to see from now on; and what it told,
 * or NULL. A key counts for the relay that told it alone: no relay can spoil another's. */
void agent_links_learn(struct agent_links *set, struct agent_link *l,
		       const uint8_t key[CONF_TAG_KEY_BYTES]);
/* Each that is known; and one from an earlier run, for a relay of the configuration. */
void agent_links_each_learned(const struct agent_links *set,
			      void (*each)(void *context, const char *label,
					   const uint8_t key[CONF_TAG_KEY_BYTES]),
			      void *context);
void agent_links_recall(struct agent_links *set, const char *label,
			const uint8_t key[CONF_TAG_KEY_BYTES]);
const uint8_t *agent_links_learned(const struct agent_links *set, const struct agent_link *l);
/* From link.c: the relay of l has told its whole list, which is taken over: it takes the place of
 * what that relay told before. False: it is the same. */
bool agent_links_heard(struct agent_links *set, const struct agent_link *l,
		       struct revocations *told) MUST_CHECK;
/* What is revoked for what comes by the relay of this label: by its own word, and by what is
 * signed, which any relay may have told. Good until the next event. */
const struct revocations *agent_links_revoked(const struct agent_links *set, const char *relay);
/* How many revocations relays have told by their own word, together. */
size_t agent_links_revocations(const struct agent_links *set);
/* From link.c: the relay of l tells a signed revocation. */
void agent_links_take_signed(struct agent_links *set, struct agent_link *l,
			     struct wire_bytes object);
/* Other CAs are in force. */
void agent_links_review_signed(struct agent_links *set);
/* What was kept of them (signed_revocations_keep()), before the links start. */
void agent_links_recall_signed(struct agent_links *set, const json_t *kept);
/* The end of all of it. */
void agent_links_forget_revoked(struct agent_links *set);
/* From link.c: a link was refused. */
void agent_links_one_refused(struct agent_links *set);

#endif
