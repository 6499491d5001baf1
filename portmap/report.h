/* SPDX-License-Identifier: Apache-2.0 */
/* report: what natd knows, as JSON; docs/nat.md has the fields. */
#ifndef POSTERN_PORTMAP_REPORT_H
#define POSTERN_PORTMAP_REPORT_H

#include <jansson.h>

#include "portmap/natd.h"

/* Each owned by the caller; NULL without memory. */
json_t *report_status(const struct natd *n);
json_t *report_network(const struct natd *n);
json_t *report_external(const struct natd *n);
json_t *report_protocols(const struct natd *n);
json_t *report_path(const struct natd *n, enum portmap_protocol p, enum portmap_family f);
json_t *report_mappings(const struct natd *n); /* those that are wanted */
json_t *report_mapping(const struct natd *n, const struct portmap_mapping *m, uint64_t now_ms);

#endif
