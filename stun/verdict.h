/* SPDX-License-Identifier: Apache-2.0 */
/* verdict: what it means when several STUN servers are asked and their answers compared. Pure. */
#ifndef POSTERN_STUN_VERDICT_H
#define POSTERN_STUN_VERDICT_H

#include <stddef.h>

#include "core/addr.h"

enum stun_agreement {
	STUN_AGREE_NONE,	/* no server answered */
	STUN_AGREE_ALONE,	/* one did: nothing to compare */
	STUN_AGREE_ALL,		/* the same address and port */
	STUN_AGREE_NOT_PORT,	/* one address, but several ports: a symmetric NAT */
	STUN_AGREE_BUT_ONE,	/* one server sees another address than all others, two or more */
	STUN_AGREE_NOT_ADDRESS, /* several addresses: several exits */
	STUN_AGREEMENTS
};

struct stun_verdict {
	enum stun_agreement agreement;
	struct addr external; /* what most say, port 0 if they name several; len 0: none does */
	size_t odd;	      /* STUN_AGREE_BUT_ONE: which */
};

/* One external address per server that was asked, len 0 where it did not answer; all of them from
 * one local socket and over one family. n is small: it takes n * n steps. */
void stun_verdict_compare(const struct addr *externals, size_t n, struct stun_verdict *out);

/* One word: "agree", "ports_differ", ... */
const char *stun_agreement_name(enum stun_agreement a);
/* One sentence for people. */
const char *stun_agreement_sentence(enum stun_agreement a);

#endif
