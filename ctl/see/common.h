/* SPDX-License-Identifier: Apache-2.0 */
/* common: what is shown alike of relays and agents: events and audits, and their NAT. */
#ifndef POSTERN_CTL_SEE_COMMON_H
#define POSTERN_CTL_SEE_COMMON_H

#include "ctl/talk/connection.h"

#define RECORDS_OPTIONS                                                                            \
	{"--follow", NULL, false, "go on with what happens from now on, until interrupted"},       \
		{"--limit", "N", false, "the newest N (100; when following 10)"},                  \
		{"--json", NULL, false, "print JSON; when following, one record on each line"},    \
	{                                                                                          \
		NULL, NULL, false, NULL                                                            \
	}

/* method: "events" or "audit", which is also the result's list. */
enum status records_run(const struct arguments *a, struct connection *conn, const char *method);

/* What a relay or an agent knows of the NAT that it is behind, as its status tells it: on standard
 * output, with a title; nothing for NULL. */
void show_nat(const json_t *nat);

#endif
