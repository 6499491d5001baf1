/* SPDX-License-Identifier: Apache-2.0 */
/*
 * truth: what stands between this host and the internet, from all that was heard. Pure.
 *
 * Facts go in, and one verdict with its sentence and its advice comes out. The verdict does not
 * depend on the protocol: PCP's and NAT-PMP's and UPnP's "no external address" mean the same, and
 * a gateway that gives its private one without a word comes to the same, too.
 *
 * What weighs how much. That something came in from outside outweighs everything. That it was sent
 * and did not come in outweighs every comparison of addresses: a gateway that got its address by a
 * STUN test of its own tells what STUN servers tell, whichever NATs are behind it. A router on the
 * way with an address that is not public is a hint and no proof, since providers number their
 * routers so with and without a NAT: it keeps a comparison from counting, and tells whose NAT it
 * is where there is one.
 */
#ifndef POSTERN_PORTMAP_ENGINE_TRUTH_H
#define POSTERN_PORTMAP_ENGINE_TRUTH_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/addr.h"

#define TRUTH_SEEN_MAX	 4u
#define TRUTH_TEXT_BYTES 384u

enum truth_verdict {
	TRUTH_UNKNOWN,	     /* not enough was heard */
	TRUTH_NO_NAT,	     /* our own address is what outside sees */
	TRUTH_ONE_NAT,	     /* the gateway's external address is what outside sees */
	TRUTH_PLAUSIBLE,     /* it could be: nothing has proven it */
	TRUTH_SEVERAL_EXITS, /* outside sees several addresses, of which it is one */
	TRUTH_FILTERED,	     /* the address is right, but what is sent there does not come in */
	TRUTH_DOUBLE_NAT,    /* another NAT is behind the gateway */
	TRUTH_CGNAT,	     /* and it is the provider's */
	TRUTH_VPN,	     /* what comes in by the gateway is answered through a tunnel */
	TRUTH_IPV6_ONLY,     /* IPv4 has no way out, and IPv6 has */
	TRUTH_BLOCKED,	     /* nothing answers: UDP does not get out */
	TRUTH_OFFLINE,	     /* there is no way out */
	TRUTH_VERDICTS
};

/* Whether something from outside came in where it should. */
enum truth_entry {
	TRUTH_ENTRY_UNTRIED,
	TRUTH_ENTRY_FAILED,   /* it was sent, and did not arrive */
	TRUTH_ENTRY_ANSWERED, /* it did, to a port from which others had been written to before */
	TRUTH_ENTRY_VISITED,  /* it did, by itself */
};

/* What the provider's NAT says, where it speaks PCP (RFC 7723). */
enum truth_provider {
	TRUTH_PROVIDER_SILENT,
	TRUTH_PROVIDER_MAPS,   /* the external address is its own: it maps ports for this host */
	TRUTH_PROVIDER_BEHIND, /* the same, but at another address than the gateway gives */
	TRUTH_PROVIDER_NESTED  /* it sees another NAT in place of this host, and maps nothing */
};

/* What was heard; addresses are IPv4, len 0: nothing. */
struct truth_facts {
	bool ipv4, ipv6;	  /* there is a way out */
	struct addr router;	  /* the gateway's address here; with ipv4 and len 0: a link
				     without a gateway */
	struct addr own;	  /* our address there */
	char pinned[IF_NAMESIZE]; /* the interface that natd was told to use; "": any */
	bool missing;		  /* and there is none of that name */
	const char *others;	  /* those that there are, "eth0, wlan0", when missing */
	bool unanswered;	  /* a gateway is there, and no way from our address to outside */
	bool contained; /* this may be a container's own network: its gateway answers nothing */
	char tunnel[IF_NAMESIZE]; /* into which our answers to outside go; "": to the gateway */

	bool speaks;	     /* the gateway speaks a protocol */
	struct addr gateway; /* the external address that it gives */
	bool no_external;    /* a protocol said that it has none */
	bool maps;	     /* it maps something, as it says */
	bool refuses;	     /* it was asked for something, and maps nothing */
	enum truth_provider provider;

	bool stun_configured;		  /* there are servers to ask */
	bool stun_silent;		  /* and none of them answers */
	struct addr outside;		  /* what most of them see */
	struct addr seen[TRUTH_SEEN_MAX]; /* all that they see, each once */
	size_t seen_count;
	bool stun_inside; /* truth_judge()'s own: all of that was private, and does not count */

	struct addr behind; /* the first router behind the gateway whose address is not public,
			       one of a provider's before others */
	bool looked;	    /* the way was looked at up to a public address */
	bool looking;	    /* it is being looked at, for the first time */
	enum truth_entry entry;
};

struct truth {
	enum truth_verdict verdict;
	char sentence[TRUTH_TEXT_BYTES]; /* what that is */
	char advice[TRUTH_TEXT_BYTES];	 /* what to do about it; empty: nothing */
	bool passed;	/* something came in from outside all the same, through each of the NATs */
	bool contained; /* perhaps this is a container's own network; the advice says so */
};

void truth_judge(const struct truth_facts *facts, struct truth *out);

/* From the routers behind the gateway, the next one first (len 0: silent), to two of the facts. */
void truth_look_behind(const struct addr *routers, size_t count, struct addr *behind, bool *looked);

enum truth_range {
	TRUTH_PUBLIC,
	TRUTH_SHARED,	  /* RFC 6598: between a provider's NAT and its customers */
	TRUTH_TRANSLATED, /* RFC 7335: of DS-Lite and 464XLAT */
	TRUTH_PRIVATE,	  /* RFC 1918 */
	TRUTH_SPECIAL,	  /* link-local, loopback, multicast, documentation, "this network", ... */
};
enum truth_range truth_range_of(const struct addr *ipv4);

/* "unknown", "no_nat", "one_nat", "plausible", "several_exits", "filtered", "double_nat", "cgnat",
 * "vpn", "ipv6_only", "blocked", "offline" */
const char *truth_verdict_name(enum truth_verdict v);
/* Nothing from outside comes in by what the gateway maps, as far as is known. */
bool truth_cuts_off(const struct truth *t);

#endif
