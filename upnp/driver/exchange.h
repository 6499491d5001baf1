/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange: one request over HTTP to a location, and its reply; in the UPnP worker.
 *
 * Why not miniupnpc's own: it reads answers of any size for as long as they drip, takes any reply
 * without an error code for success (a 404 for a mapping made), and cannot say which of our
 * addresses a command comes from, on which gateways decide (a pinhole for an address that is not
 * the sender's is refused, and a host's temporary addresses are not it).
 *
 * This waits for as long as the deadline says in all, also for a device that drips or dawdles. No
 * redirect is followed. The reply is bounded by REPLY_MAX.
 */
#ifndef POSTERN_UPNP_DRIVER_EXCHANGE_H
#define POSTERN_UPNP_DRIVER_EXCHANGE_H

#include "upnp/location.h"
#include "upnp/reply.h"

#define EXCHANGE_REQUEST_MAX 4096u

struct exchange {
	struct addr source; /* ours; port 0 */
	int64_t due_ms;	    /* by CLOCK_MONOTONIC */
	/* The reply. */
	struct upnp_reply reply;
	uint8_t bytes[REPLY_MAX + 1]; /* the body starts at reply.body, and a zero byte ends it */
};

/* GET. 0; -ETIMEDOUT; -EMSGSIZE: too large; -EPROTO: no HTTP; or -errno. */
int exchange_get(struct exchange *e, const struct location *at) MUST_CHECK;
/* POST of a command (SOAP 1.1): its body, and the SOAPAction field's value. */
int exchange_post(struct exchange *e, const struct location *at, const char *action,
		  const char *body) MUST_CHECK;

#endif
