/* SPDX-License-Identifier: Apache-2.0 */
/* records: events and audits, listed and followed. */
#ifndef POSTERN_CTL_SEE_RECORDS_H
#define POSTERN_CTL_SEE_RECORDS_H

#include "ctl/talk/door.h"

#define RECORDS_OPTIONS                                                                            \
	{"--follow", NULL, false, "go on with what happens from now on, until interrupted"},       \
		{"--limit", "N", false, "the newest N (100; when following 10)"},                  \
		{"--json", NULL, false, "print JSON; when following, one record on each line"},    \
	{                                                                                          \
		NULL, NULL, false, NULL                                                            \
	}

/* method: "events" or "audit", which is also the result's list. */
enum status records_run(const struct arguments *a, struct door *d, const char *method);

#endif
