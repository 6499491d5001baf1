/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owned: what of a configuration is not a console's to change.
 *
 * Two kinds of values are the operator's own, in the file on the host. Keys of the host (enum
 * conf_owner, CONF_OF_FILE) say which files, sockets and users a program uses: with them a console,
 * or a relay that was taken over and writes what is kept, would decide what root does at the next
 * start. And whom a program trusts: a console may bring in a CA only if one that is trusted already
 * has signed it, so that a stolen console certificate is worth no CA. One that goes is no gain for
 * a thief, but the last one stays.
 */
#ifndef POSTERN_ENGINE_OWNED_H
#define POSTERN_ENGINE_OWNED_H

#include <jansson.h>
#include <time.h>

#include "core/conf/conf.h"

/* What becomes of the CAs, two PEM texts. */
enum owned_cas {
	OWNED_CAS_FOLLOW,   /* each was there, or has been signed by one that was */
	OWNED_CAS_STRANGER, /* one has not, or a text is no list of certificates */
	OWNED_CAS_REPLACED, /* they follow, but none of those before is left */
};

/* One that has ended by now signs nothing; now 0: that is not asked. */
enum owned_cas owned_judge_cas(const char *before, const char *after, time_t now) MUST_CHECK;

/* Two documents of one schema, before and after a console's change: false with an error for each
 * value that is not a console's. */
bool owned_may_change(const struct conf_field *fields, const json_t *before, const json_t *after,
		      time_t now, struct conf_errors *errors) MUST_CHECK;

#endif
