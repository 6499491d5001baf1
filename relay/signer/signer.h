/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signer: the process beside the relay that has its private key.
 *
 * Theory of operation. A relay parses what the whole internet sends; the key that makes it the
 * relay is in another process, whose only input is packets on socket pairs. The signer is forked
 * before the configuration is read, and reads the file itself: the relay gets its text with a
 * reference in place of each private key (core/parse/keyblock.h), now and at SIGHUP. The same holds
 * for tls.certificate_file and tls.key_file, which are named to it before it is sealed (pair.h);
 * and keys are made in it, which never leave it (made.h). Which key a handshake takes is told by
 * the certificate that the relay presents.
 *
 *   relay, main thread      signer_start(), signer_state() ... signer_channel() for each worker,
 *                           signer_seal()
 *   relay, control thread   signer_read(), signer_has(), signer_make() ..., which wait, with a
 *                           deadline
 *   relay, workers          relay/front/signing.h: each has a channel of its own, and never waits
 *   signer                  one packet after the other, by turns of the channels
 *
 * A relay that is taken over can have handshakes signed while it runs, and takes no key along: the
 * signer signs the two texts that a TLS server signs (core/parse/signing.h), and for a key that it
 * has just made a request for a certificate. It reads these files, writes those of its keys, and
 * has no network.
 *
 * A signer that is gone cannot be replaced, since the relay could no longer give it a channel, nor
 * should it be able to make one: the relay ends with a failure, and the service manager starts
 * both again.
 */
#ifndef POSTERN_RELAY_SIGNER_SIGNER_H
#define POSTERN_RELAY_SIGNER_SIGNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/engine/csr.h"
#include "core/helper.h"
#include "core/must_check.h"
#include "core/parse/signing.h"

#define SIGNER_CHANNELS_MAX 128u

struct signer {
	struct helper helper;
};

/* Forks; the signer may read the directory of config_path. Before the configuration is read, before
 * the first thread, and before privileges go: the signer keeps the user. 0 or -errno. */
int signer_start(struct signer *s, const char *config_path) MUST_CHECK;
void signer_stop(struct signer *s);

/* All of these wait as core/helper.h says. */

/* Before it is sealed: a channel of its own for a worker, whose end is *fd. 0 or -errno. */
int signer_channel(struct signer *s, int *fd) MUST_CHECK;
/* It gives up all that it does not need, and takes no further channel. 0 or -errno. */
int signer_seal(struct signer *s) MUST_CHECK;
/* Before it is sealed, and once: where a file lies, other than the configuration file. 0 or -errno
 * of the path. */
int signer_place(struct signer *s, enum signing_file file, const char *path) MUST_CHECK;
/* A file's text without its private keys, owned by the caller; of the key file the id of its first
 * key only (SIGNING_KEY_BYTES; -ENOKEY: it has none that can be used). The signer has the keys from
 * now on, beside those it had. 0 or -errno; -EKEYREJECTED: it has a key, and others may read it,
 * and the text is a sentence about that. */
int signer_read(struct signer *s, enum signing_file file, char **text, size_t *len) MUST_CHECK;
/* Drops answers that came too late. False: the signer is gone. Never waits. */
bool signer_lives(struct signer *s) MUST_CHECK;
/* Whether it has the key of this id, and for this use: 0, -ENOKEY, or another -errno. */
int signer_has(struct signer *s, const uint8_t key[SIGNING_KEY_BYTES],
	       enum signing_use use) MUST_CHECK;
/* The same: 1 where it has made it, 0 where it is a file's. */
int signer_made(struct signer *s, const uint8_t key[SIGNING_KEY_BYTES],
		enum signing_use use) MUST_CHECK;

/* Before it is sealed, and once: the directory of the keys that it makes, state_dir; those that
 * are there it has from now on. 0 or -errno; -EKEYREJECTED: one of them others may read, and *text,
 * owned by the caller, is a sentence about that. */
int signer_state(struct signer *s, const char *path, char **text) MUST_CHECK;
/* A new key for this use, beside the one in force: a signing request for these hosts, as DER, owned
 * by the caller. 0 or -errno; -ENOTDIR without such a directory. */
int signer_make(struct signer *s, enum signing_use use, const uint8_t in_force[SIGNING_KEY_BYTES],
		const struct csr_hosts *hosts, char **der, size_t *len) MUST_CHECK;
/* What would be started with rests on this key: the others that were made for the same use go. 0 or
 * -errno. */
int signer_keep(struct signer *s, enum signing_use use,
		const uint8_t key[SIGNING_KEY_BYTES]) MUST_CHECK;

#endif
