/* SPDX-License-Identifier: Apache-2.0 */
/* pair: tls.certificate_file and tls.key_file, read by the signer and held against each other. */
#ifndef POSTERN_RELAY_SIGNER_PAIR_H
#define POSTERN_RELAY_SIGNER_PAIR_H

#include "relay/signer/signer.h"

#define PAIR_WHY_BYTES 2560 /* both paths and what is wrong */

struct pair_paths {
	const char *certificate, *key; /* borrowed; NULL: there is no pair */
};

/* Before the signer is sealed: names the files to it. False: why has a sentence. */
bool pair_place(struct signer *s, const struct pair_paths *paths,
		char why[PAIR_WHY_BYTES]) MUST_CHECK;
/* Both files anew: the text of the certificates, owned by the caller; the signer has the key. NULL:
 * why has a sentence, with the path. Waits as the signer's other calls do. */
char *pair_read(struct signer *s, const struct pair_paths *paths,
		char why[PAIR_WHY_BYTES]) MUST_CHECK;

#endif
