/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat_report: what natd, a probe and STUN servers know, as people read it.
 *
 * All of it comes as the JSON that --json prints; docs/nat.md has the fields. Texts are the
 * gateway's and others': each is made printable.
 */
#ifndef POSTERN_CTL_NAT_REPORT_H
#define POSTERN_CTL_NAT_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "ctl/terminal/page.h"

/* natd's status. */
void nat_report_status(const struct page *p, const json_t *status);
/* One event, or what a watch says itself (kinds "lost" and "status"): one line. */
void nat_report_event(FILE *to, const json_t *event);

/* One mapping: "tcp 8443 is mapped at 45.0.0.10:8443: ...". */
void nat_report_mapping(FILE *to, const json_t *mapping);

/* What nat_conclude() has completed: one screen. */
void nat_report_probe(const struct page *p, const json_t *probe);

#endif
