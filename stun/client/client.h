/* SPDX-License-Identifier: Apache-2.0 */
/* client: what every STUN client of ours begins with. */
#ifndef POSTERN_STUN_CLIENT_CLIENT_H
#define POSTERN_STUN_CLIENT_CLIENT_H

#include "core/addr.h"
#include "stun/message.h"

/* A non-blocking UDP socket of this family, bound to at (len 0: as the system chooses). Returns it,
 * or -errno. */
int stun_client_socket(int family, const struct addr *at) MUST_CHECK;
/* A transaction's id, which cannot be guessed (RFC 8489 section 5). */
void stun_client_id(uint8_t id[STUN_ID_BYTES]);

#endif
