/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expiry: when to warn that a program's own certificate ends. No clock; now is a parameter.
 *
 * A warning is due 30, 7, 3 and 1 days before the end, and after it, once each; those that would
 * come on the certificate's first day are left out. Another certificate begins anew.
 */
#ifndef POSTERN_ENGINE_EXPIRY_H
#define POSTERN_ENGINE_EXPIRY_H

#include <stdbool.h>
#include <time.h>

#include "core/must_check.h"

#define EXPIRY_LOOK_MS	  3600000u /* how often to look: no warning is an hour late */
#define EXPIRY_TEXT_BYTES 256

struct expiry_validity {
	time_t not_before, not_after;
};

/* Days before the end; EXPIRY_OVER: it has come. */
enum expiry_stage {
	EXPIRY_FAR = -1,
	EXPIRY_OVER = 0,
	EXPIRY_DAY = 1,
	EXPIRY_DAYS = 3,
	EXPIRY_WEEK = 7,
	EXPIRY_MONTH = 30,
};

/* What has been told, of which certificate. Begin with EXPIRY_UNTOLD. */
struct expiry {
	time_t not_after;
	enum expiry_stage told;
};
#define EXPIRY_UNTOLD                                                                              \
	{                                                                                          \
		0, EXPIRY_FAR                                                                      \
	}

enum expiry_stage expiry_stage(const struct expiry_validity *v, time_t now);
/* Whether to tell what e->told says now: a warning that is due, or EXPIRY_FAR: the certificate
 * that was warned of has been replaced. */
bool expiry_look(struct expiry *e, const struct expiry_validity *v, time_t now) MUST_CHECK;
/* "this certificate expires in 6 days, on 2026-11-27T18:00:00Z", or that it has expired. */
void expiry_text(const struct expiry_validity *v, time_t now, char out[EXPIRY_TEXT_BYTES]);

#endif
