/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: who may reach what, from where, when, how fast. No sockets; now is a parameter.
 *
 * Rules are compiled once into an index by asking agent and by service, so that a decision looks at
 * few rules however many there are. Without the keys policy and grants everything is allowed (the
 * publishing agent still decides for itself); with one of them, be it empty, what no rule allows is
 * denied. Several rules may match: the most generous rate and the most generous session count of
 * them apply. Who is revoked is denied, by any rules. The service of consoles
 * (WIRE_CONTROL_SERVICE) has no rules: the right to it comes with the certificate.
 */
#ifndef POSTERN_RELAY_POLICY_POLICY_H
#define POSTERN_RELAY_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "core/addr.h"
#include "core/conf/conf.h"
#include "core/engine/entitled.h"
#include "core/engine/revocations.h"
#include "core/must_check.h"
#include "core/parse/reason.h"

struct policy;

/* The configuration's side (keys groups, policy, grants, revoked). */
struct policy_group {
	char *name;
	struct conf_array members; /* of char *: agents */
};

struct policy_rule {		  /* policy: and grants: */
	struct conf_array from;	  /* of char *: agents, groups, "public", or "*" */
	struct conf_array to;	  /* of char *: AGENT/SERVICE; "*" at one end of either part */
	char *until;		  /* "2026-11-27T18:00:00Z", or NULL */
	char *hours;		  /* "mon-fri 08:00-18:00", in UTC, or NULL */
	struct conf_array source; /* of char *: networks, "203.0.113.0/24" */
	uint64_t rate;		  /* bytes per second of each session; 0: no limit */
	uint64_t sessions;	  /* at a time, of one asking agent to one service; 0: no limit */
};

struct policy_revoked { /* one of the first three */
	char *agent, *serial, *key;
	char *before; /* "2026-11-27T18:00:00Z": of agent's certificates those that begin earlier */
	char *note;   /* who, when, why: for people */
};

struct policy_conf {
	struct conf_array groups, rules, grants, revoked;
	const struct revocations *signed_revoked; /* beside revoked; borrowed, NULL: none */
};

#define POLICY_EVERYONE "*"	 /* in from: every agent, and clients without a certificate */
#define POLICY_PUBLIC	"public" /* in from: clients without a certificate; no agent's name */
/* Rules times askers times services that the policy and the grants may have each. */
#define POLICY_PAIRS_MAX 262144u
#define POLICY_HOURS_MAX 256u /* different ones, likewise */

/* Compiles. NULL only without memory: the schema's checks have refused everything else. */
struct policy *policy_new(const struct policy_conf *conf) MUST_CHECK;
void policy_free(struct policy *p);

struct policy_question {
	const char *from; /* the asking agent; "" for a public client */
	const char *to, *service;
	const struct addr *source; /* the asking side's address */
	time_t now;
	uint64_t running; /* sessions that from has to this service already */
};

struct policy_answer {
	enum reason reason; /* REASON_OK, NOT_ALLOWED, REVOKED, LIMIT_SESSIONS */
	uint64_t rate;	    /* bytes per second; 0: no limit */
	time_t again;	    /* the answer is good until then (a rule begins or ends); 0: for ever */
	size_t rule;	   /* one that allows it, with the best rate; SIZE_MAX: none does or need */
	bool granted;	   /* that rule is a grant */
	const char *whose; /* whose certificate is at fault; NULL: none is. The question's */
};

/* By the rules alone. */
struct policy_answer policy_decide(const struct policy *p, const struct policy_question *q);

/* By what one peer, or the two of a session, have proved. */
struct policy_parties {
	struct entitled_proof from, to; /* own NULL: a public client; or nobody to ask for yet */
};
/* What decides of peers: these anchors and p's revocations; borrowed. */
struct entitled_rules policy_entitles(const struct policy *p,
				      const struct identity_anchors *anchors);
/* May these two have this session, or go on with it? Certificates first, then the rules. */
struct policy_answer policy_entitled(const struct policy *p, const struct identity_anchors *anchors,
				     const struct policy_parties *parties,
				     const struct policy_question *q);
/* Good while p lives. */
const struct revocations *policy_revocations(const struct policy *p);
/* One of the configuration's; false for what its checks refuse. */
bool policy_revocation(const struct policy_revoked *conf, struct revocation *out) MUST_CHECK;

/* Where an answer's rule stands in the configuration: "policy[3]", "grants[0]"; "" for SIZE_MAX.
 * Returns out. */
#define POLICY_PATH_BYTES 32
const char *policy_rule_path(const struct policy *p, size_t rule, char out[POLICY_PATH_BYTES]);

#endif
