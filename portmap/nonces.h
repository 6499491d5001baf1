/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nonces: a mapping's nonce (RFC 6887 section 11.1), the same after every restart.
 *
 * A PCP server lets a mapping be renewed or deleted only with the nonce that it was made with. All
 * are derived from one key by HMAC-SHA-256 over what names the mapping. The key is made of two
 * things, again by HMAC-SHA-256:
 *
 *   - a secret: random, and kept in state_dir (natd.key, mode 0600). Without a state_dir it is the
 *     user's id: steady, but no secret from other users of this host, who could then delete
 *     mappings made here.
 *   - the machine: /etc/machine-id and the address that its first network card was made with. So a
 *     copy of the disk in another machine has other nonces, and cannot renew or delete what the
 *     first one has mapped. A machine that gets another card is another one: what it had mapped
 *     ends by itself, or stays in a router's list by UPnP, where that keeps it for good.
 *
 * The *tag*, six hexadecimal digits of a hash of the same key, stands in what UPnP routers show of
 * a mapping, so that two hosts on a LAN do not take each other's entries for their own. Where
 * nothing is steady there is none, and entries of an earlier start are known by the rest.
 */
#ifndef POSTERN_PORTMAP_NONCES_H
#define POSTERN_PORTMAP_NONCES_H

#include "portmap/engine/engine.h"

#define NONCES_KEY_BYTES     32u
#define NONCES_MACHINE_BYTES 96u

struct nonces {
	uint8_t key[NONCES_KEY_BYTES];
	char tag[PORTMAP_TAG_BYTES];
};

/* Before isolation. state_dir may be NULL. False: why has a sentence. */
bool nonces_open(struct nonces *n, const char *state_dir, char *why, size_t why_size) MUST_CHECK;
/* What this machine is known by, as a text; root is "" but for tests. False: by nothing. */
bool nonces_machine(const char *root, char out[NONCES_MACHINE_BYTES]) MUST_CHECK;
/* The key becomes one that only this machine makes of it, and the tag is made. */
void nonces_bind(struct nonces *n, const char *machine);
/* The nonce and the tag. */
void nonces_fill(const struct nonces *n, struct portmap_want *want);

#endif
