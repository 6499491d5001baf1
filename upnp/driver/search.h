/* SPDX-License-Identifier: Apache-2.0 */
/* search: finds the gateway's UPnP device by SSDP; in the UPnP worker, which this makes wait. */
#ifndef POSTERN_UPNP_DRIVER_SEARCH_H
#define POSTERN_UPNP_DRIVER_SEARCH_H

#include "upnp/messages.h"

#define SEARCH_MS	     2200 /* in all, when no device answers */
#define SEARCH_DATAGRAMS_MAX 256u /* read in one search; a flood ends it */

/* Serves a DISCOVER: devices in the order of trust, the gateway first. None is an answer, too. */
void search_perform(const struct upnp_request *r, struct upnp_answer *a);

#endif
