/* SPDX-License-Identifier: Apache-2.0 */
/*
 * truth: what stands between this host and the internet, from all that was heard. Pure.
 *
 * The verdict does not depend on the protocol: PCP's and NAT-PMP's and UPnP's "no external address"
 * mean the same, and a gateway that gives its private one without a word comes to the same, too.
 */
#ifndef POSTERN_PORTMAP_ENGINE_TRUTH_H
#define POSTERN_PORTMAP_ENGINE_TRUTH_H

#include <stdbool.h>

#include "core/addr.h"

enum truth_verdict {
	TRUTH_UNKNOWN,	  /* not enough was heard */
	TRUTH_NO_NAT,	  /* our own address is what outside sees */
	TRUTH_ONE_NAT,	  /* the gateway's external address is what outside sees */
	TRUTH_PLAUSIBLE,  /* it could be: no STUN server has said so */
	TRUTH_DOUBLE_NAT, /* another NAT is behind the gateway */
	TRUTH_CGNAT,	  /* and it is the provider's */
	TRUTH_OFFLINE,	  /* the gateway has no way out */
	TRUTH_VERDICTS
};

/* What was heard, all IPv4; len 0: nothing. */
struct truth_facts {
	struct addr own;      /* our address towards the gateway */
	struct addr gateway;  /* the external address that the gateway gives */
	struct addr outside;  /* what STUN servers see */
	bool no_external;     /* a protocol said that the gateway has no external address */
	bool stun_configured; /* there are servers to ask */
	bool stun_silent;     /* and none of them answers */
};

struct truth {
	enum truth_verdict verdict;
	char sentence[256]; /* what that is */
	char advice[256];   /* what to do about it; empty: nothing */
};

void truth_judge(const struct truth_facts *facts, struct truth *out);

enum truth_range {
	TRUTH_PUBLIC,
	TRUTH_SHARED,  /* RFC 6598, and RFC 7335 where a provider's AFTR or CLAT is behind */
	TRUTH_PRIVATE, /* RFC 1918 */
	TRUTH_SPECIAL, /* link-local, loopback, multicast, documentation, "this network", ... */
};
enum truth_range truth_range_of(const struct addr *ipv4);

/* "unknown", "no_nat", "one_nat", "plausible", "double_nat", "cgnat", "offline" */
const char *truth_verdict_name(enum truth_verdict v);

#endif
