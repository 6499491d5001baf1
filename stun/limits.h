/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits: how many datagrams a network may have answered: token buckets per prefix, in a table of
 * fixed size. Source addresses of UDP can be forged, so what is limited is what a victim would get.
 *
 * A prefix is an IPv4 /24 or an IPv6 /56. A full table makes room by forgetting the one that has
 * been quiet for longest in a small neighbourhood; a flood from many prefixes can thus reset
 * buckets but never grow memory. The clock is a parameter.
 */
#ifndef POSTERN_STUN_LIMITS_H
#define POSTERN_STUN_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

struct stun_limits;

/* rate: answers per second and prefix; burst: so many at once. NULL without memory. */
struct stun_limits *stun_limits_new(uint32_t prefixes, uint32_t rate, uint32_t burst);
void stun_limits_free(struct stun_limits *l);
/* The memory that a table of so many takes. */
size_t stun_limits_bytes(uint32_t prefixes);
/* May this sender have an answer now? Takes a token when it may. */
bool stun_limits_take(struct stun_limits *l, const struct addr *from, uint64_t now_ms);

#endif
