/* SPDX-License-Identifier: Apache-2.0 */
/* findings: names of a NAT's behaviour, its classic type, and what it means for people. */
#include "stun/findings.h"

#include <assert.h>

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static const char *const mapping_names[] = {
	[STUN_MAPPING_UNKNOWN] = "unknown",
	[STUN_MAPPING_NONE] = "none",
	[STUN_MAPPING_ENDPOINT_INDEPENDENT] = "endpoint-independent",
	[STUN_MAPPING_ADDRESS_DEPENDENT] = "address-dependent",
	[STUN_MAPPING_ADDRESS_AND_PORT_DEPENDENT] = "address-and-port-dependent",
};
static_assert(LENGTH(mapping_names) == STUN_MAPPINGS, "a name for each");

static const char *const filtering_names[] = {
	[STUN_FILTERING_UNKNOWN] = "unknown",
	[STUN_FILTERING_ENDPOINT_INDEPENDENT] = "endpoint-independent",
	[STUN_FILTERING_ADDRESS_DEPENDENT] = "address-dependent",
	[STUN_FILTERING_ADDRESS_AND_PORT_DEPENDENT] = "address-and-port-dependent",
};
static_assert(LENGTH(filtering_names) == STUN_FILTERINGS, "a name for each");

static const char *const hairpin_names[] = {
	[STUN_HAIRPIN_UNKNOWN] = "unknown",
	[STUN_HAIRPIN_NO] = "no",
	[STUN_HAIRPIN_YES] = "yes",
};
static_assert(LENGTH(hairpin_names) == STUN_HAIRPINS, "a name for each");

static const struct {
	const char *name, *meaning;
} types[] = {
	[STUN_NAT_UNKNOWN] = {"unknown",
			      "What the NAT does is not known well enough: direct connections may "
			      "work, and the relay steps in where they do not."},
	[STUN_NAT_BLOCKED] =
		{"blocked",
		 "No answer came over UDP: either this server is down, or UDP is blocked "
		 "here, and then no direct connection works and sessions go through the "
		 "relay."},
	[STUN_NAT_OPEN] = {"open",
			   "Nothing is in the way: every peer can reach this host directly."},
	[STUN_NAT_FIREWALL] = {"firewall",
			       "There is no NAT, but a firewall lets in answers only: direct "
			       "connections work once both sides send at the same time."},
	[STUN_NAT_FULL_CONE] = {"full cone",
				"Every host that knows the external address gets in: direct "
				"connections work with nearly every peer."},
	[STUN_NAT_ADDRESS_RESTRICTED] = {"address-restricted",
					 "Only hosts that were written to get in: direct "
					 "connections work with nearly every peer once both sides "
					 "send at the same time."},
	[STUN_NAT_PORT_RESTRICTED] = {"port-restricted",
				      "Only answers get in: direct connections work once both "
				      "sides send at the same time, except with peers behind a "
				      "symmetric NAT, for which the relay steps in."},
	[STUN_NAT_SYMMETRIC] =
		{"symmetric", "The external port changes with whom it is for: direct connections "
			      "work only with peers that let in more than answers, for all others "
			      "the relay steps in; a port mapping on the router would help."},
};
static_assert(LENGTH(types) == STUN_NAT_TYPES, "a name and a meaning for each");

enum stun_nat_type stun_findings_type(const struct stun_findings *f)
{
	if (!f->answered)
		return STUN_NAT_BLOCKED;
	switch (f->mapping) {
	case STUN_MAPPING_ADDRESS_DEPENDENT:
	case STUN_MAPPING_ADDRESS_AND_PORT_DEPENDENT:
		return STUN_NAT_SYMMETRIC;
	case STUN_MAPPING_NONE:
		if (f->filtering == STUN_FILTERING_UNKNOWN)
			return STUN_NAT_UNKNOWN;
		return f->filtering == STUN_FILTERING_ENDPOINT_INDEPENDENT ? STUN_NAT_OPEN
									   : STUN_NAT_FIREWALL;
	case STUN_MAPPING_ENDPOINT_INDEPENDENT:
		if (f->filtering == STUN_FILTERING_ENDPOINT_INDEPENDENT)
			return STUN_NAT_FULL_CONE;
		if (f->filtering == STUN_FILTERING_ADDRESS_DEPENDENT)
			return STUN_NAT_ADDRESS_RESTRICTED;
		return f->filtering == STUN_FILTERING_UNKNOWN ? STUN_NAT_UNKNOWN
							      : STUN_NAT_PORT_RESTRICTED;
	default:
		return STUN_NAT_UNKNOWN;
	}
}

const char *stun_findings_meaning(const struct stun_findings *f)
{
	enum stun_nat_type type = stun_findings_type(f);

	if (type == STUN_NAT_UNKNOWN && f->mapping == STUN_MAPPING_NONE)
		return "There is no NAT: direct connections work unless a firewall is in the way.";
	if (type == STUN_NAT_UNKNOWN && f->mapping == STUN_MAPPING_ENDPOINT_INDEPENDENT)
		return "The external port is the same for every peer: direct connections work with "
		       "most peers once both sides send at the same time.";
	return types[type].meaning;
}

const char *stun_mapping_name(enum stun_mapping m)
{
	return mapping_names[m];
}

const char *stun_filtering_name(enum stun_filtering f)
{
	return filtering_names[f];
}

const char *stun_hairpin_name(enum stun_hairpin h)
{
	return hairpin_names[h];
}

const char *stun_nat_type_name(enum stun_nat_type t)
{
	return types[t].name;
}
