/* SPDX-License-Identifier: Apache-2.0 */
/* link: the live link to one relay: link_state on a connection. */
#ifndef POSTERN_AGENT_RELAYS_LINK_H
#define POSTERN_AGENT_RELAYS_LINK_H

#include "agent/relays/channel.h"
#include "agent/relays/connector.h"
#include "agent/relays/leg.h"
#include "agent/engine/link_state.h"

struct agent_link {
	struct agent *agent;
	struct agent_link *next;  /* among the agent's retired */
	struct agent_relay relay; /* a copy of its own */
	unsigned slot;		  /* its place in agent.revoked */
	unsigned users;		  /* offers that point here */
	uint64_t retired_ms;	  /* since when it stays only until another is up; 0: it does not */
	char label[ENDPOINT_TEXT_BYTES]; /* "HOST:PORT", for logs */
	struct link_state state;
	struct timer timer;
	struct dial *dial;
	struct channel channel;
	bool dial_wanted;  /* the connection before is still being closed */
	unsigned failures; /* in a row, for the log's level */
	enum reason told;  /* as an error, until the link is up */

	/* From WELCOME. */
	uint64_t id;
	uint8_t secret[WIRE_SECRET_BYTES];
	struct leg_pool legs;
};

/* NULL when memory is out. */
struct agent_link *agent_link_new(struct agent *a, const struct agent_relay *relay,
				  unsigned slot) MUST_CHECK;
void agent_link_start(struct agent_link *l);
void agent_link_stop(struct agent_link *l, const char *why);
/* Stopped, and nothing is in flight. */
bool agent_link_quiet(const struct agent_link *l);
/* When it is quiet. */
void agent_link_free(struct agent_link *l);
/* Another configuration is in force: its limits, and with publish its services, too. */
void agent_link_adopt(struct agent_link *l, bool publish);

/* Answers an OFFER with no. text may be "": the reason's sentence speaks then. */
void agent_link_refuse(struct agent_link *l, uint64_t session, enum reason reason,
		       const char *text);

/* ---- links.c: the agent's set of links ---------------------------------------------------------
 */

/* Links for the relays of next: those that are there, and new ones for the others (with afresh: for
 * all). NULL: memory is out, or too many have been retired within a moment. */
struct agent_link **agent_links_make(struct agent *a, const struct agent_config *next,
				     bool afresh) MUST_CHECK;
/* Nobody wants what agent_links_make() made. */
void agent_links_drop(struct agent *a, struct agent_link **links, size_t count);
/* Puts them in force: starts those that are new, retires those that are not among them. A retired
 * link is stopped at once, or, where a new one leads to the same relay, when that is up. */
void agent_links_adopt(struct agent *a, struct agent_link **links, size_t count);
/* l is up: an older link to its relay has had its time. */
void agent_links_took_over(struct agent *a, const struct agent_link *l);
/* Frees retired links that are quiet, stops those that have waited for too long. */
void agent_links_tidy(struct agent *a);
void agent_links_stop(struct agent *a);
void agent_links_free(struct agent *a);

/* The link that a new session should use: the first usable one from position *at on; *at becomes
 * the position after it. NULL when there is none. */
struct agent_link *agent_next_link(struct agent *a, size_t *at);
/* Any link became usable: wakes the requests that wait for one. */
void agent_link_usable(struct agent *a);
/* A link was refused: those that wait are told when no other may come up. */
void agent_link_refused(struct agent *a);
/* Whether every relay has refused this agent for what will not pass by itself; *why is the first
 * one's reason then. */
bool agent_links_refused(const struct agent *a, enum reason *why) MUST_CHECK;
/* Why there is no usable link, for people. */
void agent_describe_links(const struct agent *a, char *out, size_t room);

#endif
