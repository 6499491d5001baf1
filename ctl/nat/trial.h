/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat_trial: finds out what a running natd would tell, where none runs.
 *
 * natd's own parts do it, in this process and without a socket: they ask the gateway by every
 * protocol, and map one free UDP port for a short while. It is deleted again, also on SIGINT,
 * SIGTERM and SIGHUP; what cannot be deleted goes by itself after NAT_TRIAL_LIFETIME_S.
 */
#ifndef POSTERN_CTL_NAT_TRIAL_H
#define POSTERN_CTL_NAT_TRIAL_H

#include <jansson.h>

#include "core/addr.h"

#define NAT_TRIAL_LIFETIME_S 120u
#define NAT_TRIAL_MS	     25000u

/* {network, external, protocols, mappings} as in natd's status; the mappings are the trial's. The
 * servers are for the verdict, and to prove the mapping. Owned by the caller; NULL: it has been
 * told why not. */
json_t *nat_trial(const struct endpoint *stun, size_t count) MUST_CHECK;

#endif
