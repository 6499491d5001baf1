/* SPDX-License-Identifier: Apache-2.0 */
/* issuer: what a CA makes of a signing request: the right certificate, and all kinds of others. */
#ifndef POSTERN_TESTS_WORLD_ISSUER_H
#define POSTERN_TESTS_WORLD_ISSUER_H

#include "tests/world/programs.h"

enum issue {
	ISSUE_RIGHT,
	ISSUE_WRONG_KEY,
	ISSUE_WRONG_NAME,
	ISSUE_WRONG_CA,
	ISSUE_ENDED,
	ISSUE_TOO_EARLY,
	ISSUE_WRONG_ROLE,
	ISSUES,
};

/* A certificate as PEM for the key of a request (PEM, too), otherwise as who's own; owned. */
char *issuer_signs(enum who who, const char *request, enum issue how);
/* Another certificate for the key that who has, until so many seconds from now; owned. */
char *issuer_signs_again(enum who who, long to);

#endif
