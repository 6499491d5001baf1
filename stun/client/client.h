/* SPDX-License-Identifier: Apache-2.0 */
/* client: what every STUN client of ours begins with. */
#ifndef POSTERN_STUN_CLIENT_CLIENT_H
#define POSTERN_STUN_CLIENT_CLIENT_H

#include "core/addr.h"
#include "stun/message.h"

/* A non-blocking UDP socket of this family, bound to at (len 0: as the system chooses). Returns it,
 * or -errno. */
int stun_client_socket(int family, const struct addr *at) MUST_CHECK;
/* The same; what it sends leaves by the interface of this index, whatever the routes say, such as
 * past a VPN that has the default route. 0: as they say. */
int stun_client_socket_by(int family, const struct addr *at, unsigned index) MUST_CHECK;
/* A transaction's id, which cannot be guessed (RFC 8489 section 5). */
void stun_client_id(uint8_t id[STUN_ID_BYTES]);

#endif
