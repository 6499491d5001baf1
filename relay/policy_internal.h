/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_internal: the compiled policy, shared by what makes it and what asks it.
 *
 * Theory of operation
 *
 * A rule lists who asks, what for, and conditions. Each pair of the first two becomes an *entry*
 * with the conditions, and entries are found by two keys:
 *
 *   subject   who: "*", "public", a group, or an agent. Every agent that the configuration names
 * has a list of its subjects; groups are not expanded into rules. target    what: a pair of
 * patterns, of agents and of services.
 *
 * Entries of one subject and target are a *way*, most generous first; the ways of one target stand
 * together, in the order of subjects. A decision finds the patterns that match the service's agent
 * and name (a few), their pairs that are targets (fewer), merges each target's ways with the
 * asker's subjects, and walks the ways that remain until nothing better can follow.
 *
 * What it costs
 *
 * Rules for other agents, other services and other askers cost nothing. Of the rules for this one,
 * those that another makes pointless (the same hours and networks, but neither as generous nor as
 * long) went when the policy was compiled. What is left grows with the groups that have a rule for
 * the target (a merge, about 1 ns each), with patterns that match the same name at different
 * lengths, and with rules of one way that differ in hours or networks: those are tried one after
 * the other, about 5 ns each. bench/policy.c measures all of these at their worst.
 */
#ifndef POSTERN_RELAY_POLICY_INTERNAL_H
#define POSTERN_RELAY_POLICY_INTERNAL_H

#include "relay/policy.h"
#include "relay/policy_index.h"
#include "relay/policy_source.h"
#include "relay/policy_time.h"

#define NO_LIMIT UINT64_MAX /* of rates and sessions: more generous is more */

/* Subjects: these two, then groups, then agents. */
#define SUBJECT_ANYBODY 0u
#define SUBJECT_PUBLIC	1u
#define SUBJECT_GROUPS	2u

struct policy_entry {
	int64_t until;
	uint64_t rate, sessions;
	uint32_t hours, source; /* ids, or DICT_NONE */
	uint32_t rule;
};

struct policy_way {
	uint32_t subject;
	uint32_t first, count; /* entries: by rate, then sessions, then until, the most first */
};

struct policy_target {
	uint32_t first, count; /* ways, by subject */
	uint32_t shared;       /* of these, how many are no agent's */
};

struct policy {
	bool exists;	   /* else everything is allowed */
	size_t rule_count; /* rules from this number on are grants */

	struct dict agents;	 /* that groups or rules name */
	uint32_t first_agent;	 /* subject of agent 0 */
	uint32_t *subject_first; /* by agent, and one more: where its subjects begin */
	uint32_t *subjects;	 /* of each agent: anybody, its groups, itself */

	struct patterns to_agents, to_services;
	struct dict target_keys; /* of two ids of patterns */
	struct policy_target *targets;
	struct policy_way *ways;
	struct policy_entry *entries;

	struct dict hours;   /* of struct policy_span[] */
	struct dict sources; /* of struct source_range[] */

	struct dict revoked;
	const char **revoked_names;
};

#endif
