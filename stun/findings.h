/* SPDX-License-Identifier: Apache-2.0 */
/*
 * findings: what is known of the NAT in front of a socket, in RFC 4787's and in classic words, and
 * what it means.
 */
#ifndef POSTERN_STUN_FINDINGS_H
#define POSTERN_STUN_FINDINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"

/* RFC 4787 section 4.1: when the same local port has the same external one. */
enum stun_mapping {
	STUN_MAPPING_UNKNOWN,
	STUN_MAPPING_NONE, /* no NAT: the local address is the external one */
	STUN_MAPPING_ENDPOINT_INDEPENDENT,
	STUN_MAPPING_ADDRESS_DEPENDENT,
	STUN_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
	STUN_MAPPINGS
};

/* RFC 4787 section 5: from where datagrams come in. */
enum stun_filtering {
	STUN_FILTERING_UNKNOWN,
	STUN_FILTERING_ENDPOINT_INDEPENDENT,
	STUN_FILTERING_ADDRESS_DEPENDENT,
	STUN_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
	STUN_FILTERINGS
};

/* RFC 4787 section 6: whether hosts behind it reach each other by external addresses. */
enum stun_hairpin { STUN_HAIRPIN_UNKNOWN, STUN_HAIRPIN_NO, STUN_HAIRPIN_YES, STUN_HAIRPINS };

/* The words of RFC 3489 section 5. */
enum stun_nat_type {
	STUN_NAT_UNKNOWN,
	STUN_NAT_BLOCKED, /* no answer over UDP */
	STUN_NAT_OPEN,
	STUN_NAT_FIREWALL, /* no NAT, but it is not open either ("symmetric firewall") */
	STUN_NAT_FULL_CONE,
	STUN_NAT_ADDRESS_RESTRICTED,
	STUN_NAT_PORT_RESTRICTED,
	STUN_NAT_SYMMETRIC,
	STUN_NAT_TYPES
};

/* Each why is a sentence for people, and NULL where the answer is known or was not asked for. */
struct stun_findings {
	bool answered;	       /* the server, by anything */
	struct addr external;  /* len 0: not known */
	unsigned error_code;   /* it refused; 0: it did not */
	struct addr alternate; /* with 300: the server to ask instead; len 0: none */
	bool behaviour;	       /* it has the second address of RFC 5780 */
	const char *first_why; /* why there is no external address */
	enum stun_mapping mapping;
	const char *mapping_why;
	enum stun_filtering filtering;
	const char *filtering_why;
	enum stun_hairpin hairpin;
	const char *hairpin_why;
	uint32_t alive_s; /* a binding idle for so long was still there; 0: not known */
	uint32_t gone_s;  /* one idle for so long was not; 0: not known */
	const char *lifetime_why;
};

enum stun_nat_type stun_findings_type(const struct stun_findings *f);
/* What it means for direct connections: one sentence, never NULL. */
const char *stun_findings_meaning(const struct stun_findings *f);

/* "endpoint-independent", ...; "none", "unknown". */
const char *stun_mapping_name(enum stun_mapping m);
const char *stun_filtering_name(enum stun_filtering f);
/* "unknown", "no", "yes". */
const char *stun_hairpin_name(enum stun_hairpin h);
/* "full cone", "symmetric", ... */
const char *stun_nat_type_name(enum stun_nat_type t);

#endif
