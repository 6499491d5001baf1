/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_compile: the compiled policy, as compile.c makes it and policy.c asks it.
 *
 * Theory of operation
 *
 * A rule lists who asks, what for, and conditions. Each pair of the first two becomes an *entry*
 * with the conditions, found by two keys. Its *principal* is who: "*", "public", a group, or an
 * agent; every agent that the configuration names has a list of its principals, so groups are not
 * expanded into rules. Its *target* is what: a pair of patterns, of agents and of services.
 *
 * The entries of one principal and target are an *access list* (acl): one *block* for every set of
 * networks that the asker may come from (mostly one, of any network), and in each block the most
 * generous first. The access lists of a target stand together in the order of principals, the
 * blocks of each in that of sets. A decision finds the patterns that match the service's agent and
 * name (a few), their pairs that are targets (fewer), in each target the access lists of the
 * asker's principals, in these the blocks for its network, and walks them until nothing better can
 * follow.
 *
 * What it costs
 *
 * Rules for other agents, other services, other askers and other networks cost nothing. Of the
 * rules for these, those went when the policy was compiled that another one makes pointless: with
 * the same networks and hours, but neither more generous nor longer. What is left grows with the
 * groups that have a rule for the target (a few ns each), with the different hours of one access
 * list (some 10 ns each, which is why the configuration bounds their number), and with the pairs of
 * patterns of different lengths that match one name (some 40 ns each). bench/policy.c measures them
 * at their worst.
 */
#ifndef POSTERN_RELAY_POLICY_COMPILE_H
#define POSTERN_RELAY_POLICY_COMPILE_H

#include "relay/policy/policy.h"
#include "relay/policy/index.h"
#include "relay/policy/source.h"
#include "relay/policy/time.h"

#define NO_LIMIT UINT64_MAX /* of rates and sessions: more generous is more */

/* Principals: these two, then groups, then agents. */
#define PRINCIPAL_ANY	 0u
#define PRINCIPAL_PUBLIC 1u
#define PRINCIPAL_GROUPS 2u

/* Sources: this one, then sets of networks. */
#define SOURCE_ANY  0u
#define SOURCE_SETS 1u

struct policy_entry {
	int64_t until;
	uint64_t rate, sessions;
	uint32_t hours; /* id, or DICT_NONE */
	uint32_t rule;
};

/* A piece of a table. */
struct policy_part {
	uint32_t first, count;
};

struct policy_target {
	struct policy_part acls;
	uint32_t shared; /* of these, how many are no agent's; they come first */
};

struct policy {
	bool exists;	   /* else everything is allowed */
	size_t rule_count; /* rules from this number on are grants */

	struct dict agents;	   /* that groups or rules name */
	uint32_t first_agent;	   /* principal of agent 0 */
	uint32_t *principal_first; /* by agent, and one more: where its principals begin */
	uint32_t *principals;	   /* of each agent: any, its groups, itself */

	struct patterns to_agents, to_services;
	struct dict target_keys; /* of two ids of patterns */
	struct policy_target *targets;
	uint32_t *acl_principals;	   /* ascending in each target */
	struct policy_part *acl_blocks;	   /* by acl */
	uint32_t *block_sources;	   /* ascending in each acl */
	struct policy_part *block_entries; /* by block */
	struct policy_entry *entries;	   /* by rate, then sessions, then until, the most first */

	struct dict hours; /* of struct policy_span[] */
	struct source_index sources;

	struct revocations revoked;
};

#endif
