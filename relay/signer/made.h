/* SPDX-License-Identifier: Apache-2.0 */
/*
 * made: the keys that the signer has made, each in a file of its own below state_dir.
 *
 * Theory of operation. A key is made where it is used and never leaves: what leaves is a signing
 * request, and what comes back is a certificate, in the relay's configuration. So a key is
 *
 *   waiting     from MAKE on, until its certificate is in force. Its file was written to the disk
 *               before its request left, so that a restart, or a loss of power, between the two
 *               costs nothing.
 *   in force    when a configuration that is kept has its certificate. KEEP then takes the others
 *               of the same use away, the one before among them. Power that is lost between the
 *               two leaves files that are too many, and none that is missing.
 *
 * Each use has MADE_SLOTS files. When all are taken a new key takes the place of the one that has
 * waited longest, never of the one in force.
 *
 * A relay that was taken over can have keys made, and taken away: it can spoil its own identity for
 * its next start, which it could do by the configuration that it keeps, and it gets no key.
 */
#ifndef POSTERN_RELAY_SIGNER_MADE_H
#define POSTERN_RELAY_SIGNER_MADE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"
#include "core/parse/signing.h"

struct signer_server;

#define MADE_SLOTS	4u /* of each use */
#define MADE_NAME_BYTES 32u

struct made_slot {
	bool taken;
	uint8_t id[SIGNING_KEY_BYTES];
	uint64_t order; /* since the start; those of before have 0 */
};

struct made {
	int dir; /* -1: there is none, and no key is made */
	uint64_t count;
	struct made_slot slots[SIGNING_USES][MADE_SLOTS];
};

/* Before the signer is sealed, and once: reads the keys of this directory. 0 or -errno;
 * -EKEYREJECTED: one of them others may read, and s->text, of *len bytes, is a sentence about that;
 * the others have been taken. */
int made_open(struct signer_server *s, const char *path, size_t *len) MUST_CHECK;
void made_close(struct made *m);

/* What SIGNING_MAKE asks for: the request is in s->text. 0 or -errno: -ENOTDIR without a directory.
 */
int made_make(struct signer_server *s, const struct signing_request *r, size_t *len) MUST_CHECK;
/* What SIGNING_KEEP asks for. 0 or -errno. */
int made_keep(struct signer_server *s, enum signing_use use,
	      const uint8_t id[SIGNING_KEY_BYTES]) MUST_CHECK;
/* Whether a key was made for this, or for something else than this. */
bool made_here(const struct made *m, enum signing_use use,
	       const uint8_t id[SIGNING_KEY_BYTES]) MUST_CHECK;
bool made_otherwise(const struct made *m, enum signing_use use,
		    const uint8_t id[SIGNING_KEY_BYTES]) MUST_CHECK;

#endif
