/* SPDX-License-Identifier: Apache-2.0 */
/* stun_report: what STUN servers told, as JSON, and that as people read it. */
#ifndef POSTERN_CTL_NAT_STUN_REPORT_H
#define POSTERN_CTL_NAT_STUN_REPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "stun/findings.h"
#include "stun/verdict.h"

/* {external, nat, mapping, filtering, hairpinning, alive_s, gone_s, meaning}; what is not known is
 * null, with the reason under "why": {field: sentence}. nat false: only the external address. */
json_t *stun_report_findings(const struct stun_findings *f, bool nat);
/* {agreement, external, sentence} */
json_t *stun_report_verdict(const struct stun_verdict *v);

/* The result of 'postern stun': {servers: [{server, address, udp, tcp}], ipv4, ipv6}. */
void stun_report_print(const json_t *result);

#endif
