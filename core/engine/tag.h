/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tag: what a connection to a relay begins with, so that the relay knows a holder of a file of its
 * network from a stranger before it has said anything of itself.
 *
 * A tag is made with one of the network's tag keys and bound to one TLS session: it is of no use on
 * another connection, and without a key it cannot be told from random bytes. It proves no name.
 */
#ifndef POSTERN_ENGINE_TAG_H
#define POSTERN_ENGINE_TAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/conf/rows.h"
#include "core/engine/tls.h"
#include "core/must_check.h"

#define TAG_BYTES 32u

/* For a side that is taken for a stranger. */
#define TAG_UNKNOWN_SENTENCE                                                                       \
	"the relay answers as a web server does: it is none, or does not know this side's "        \
	"identity.tag_keys; ask its operator for a new file"

/* HMAC-SHA256(key, "postern/2 tag" and its zero byte, then what this TLS session exports for
 * TLS_EXPORT_TAG). False: the session is not TLS 1.3, or memory is out. */
bool tag_make(struct tls *t, const uint8_t key[CONF_TAG_KEY_BYTES],
	      uint8_t out[TAG_BYTES]) MUST_CHECK;
/* Which of keys made the tag that said begins with: its position, from 1; 0: none did. Takes the
 * same time for each. */
size_t tag_find(struct tls *t, const struct conf_tag_keys *keys, const uint8_t *said,
		size_t len) MUST_CHECK;

#endif
