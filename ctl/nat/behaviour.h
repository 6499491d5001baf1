/* SPDX-License-Identifier: Apache-2.0 */
/* nat_behaviour: what the NAT does with UDP over IPv4, as STUN servers tell it (RFC 5780). */
#ifndef POSTERN_CTL_NAT_BEHAVIOUR_H
#define POSTERN_CTL_NAT_BEHAVIOUR_H

#include <jansson.h>
#include <stdbool.h>

#include "core/addr.h"

#define NAT_BEHAVIOUR_SERVERS_MAX 4u
#define NAT_BEHAVIOUR_PORT	  3478

/* "HOST", "HOST:PORT" or a literal address; STUN's port where none is given. */
bool nat_behaviour_server(const char *word, struct endpoint *out) MUST_CHECK;

/* Asks all of them side by side, which takes seconds, and gives what the one says that told most:
 * stun_report_findings() with "server", null where none could be asked. The questions leave by
 * the interface and from the address of network (docs/nat.md), whatever the routes say; by the
 * routes where those are not known. Owned by the caller; NULL without memory. */
json_t *nat_behaviour_ask(const struct endpoint *servers, size_t count,
			  const json_t *network) MUST_CHECK;

#endif
