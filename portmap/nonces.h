/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nonces: a mapping's nonce (RFC 6887 section 11.1), the same after every restart.
 *
 * A PCP server lets a mapping be renewed or deleted only with the nonce that it was made with. All
 * are derived from one key by HMAC-SHA-256 over what names the mapping. The key is random and kept
 * in state_dir (natd.key, mode 0600); without a state_dir it is derived from /etc/machine-id and
 * the user's id: steady, but no secret from other users of this host, who could then delete
 * mappings made here.
 */
#ifndef POSTERN_PORTMAP_NONCES_H
#define POSTERN_PORTMAP_NONCES_H

#include "portmap/engine/engine.h"

#define NONCES_KEY_BYTES 32u

struct nonces {
	uint8_t key[NONCES_KEY_BYTES];
};

/* Before isolation. state_dir may be NULL. False: why has a sentence. */
bool nonces_open(struct nonces *n, const char *state_dir, char *why, size_t why_size) MUST_CHECK;
void nonces_fill(const struct nonces *n, struct portmap_want *want);

#endif
