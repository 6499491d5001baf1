/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names: how many connections a name has: one that was proved, or a public one. No sockets, no
 * clock.
 *
 * A name is known here by a keyed hash of 64 bits: what is counted are names that the operator gave
 * out, and not even one of them could make two hashes meet. A name is kept while something counts.
 */
#ifndef POSTERN_RELAY_LEDGER_NAMES_H
#define POSTERN_RELAY_LEDGER_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

/* What a name is; the same text may be both. */
enum names_kind {
	NAMES_PROVEN, /* in a certificate */
	NAMES_PUBLIC, /* in a ClientHello, and in the public table */
};

struct names;

struct names *names_new(uint32_t connections) MUST_CHECK;
void names_free(struct names *n);

/* One more; what is returned, not 0, stands for the name until it is removed as often. */
uint32_t names_add(struct names *n, enum names_kind kind, const char *name);
void names_remove(struct names *n, uint32_t at);
uint32_t names_count(const struct names *n, enum names_kind kind, const char *name);

#endif
