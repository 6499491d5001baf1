/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel: natd's end of the UPnP worker: one request at a time, each answered in bounded time.
 *
 * A worker is started when there is something to ask and ends after CHANNEL_IDLE_MS without. One
 * that does not answer by CHANNEL_PATIENCE_MS after the request's own time, says what is no answer,
 * or ends, is killed; the request is answered in its place, and the next one gets a new worker.
 */
#ifndef POSTERN_UPNP_DRIVER_CHANNEL_H
#define POSTERN_UPNP_DRIVER_CHANNEL_H

#include "core/lines.h"
#include "core/program/launcher.h"
#include "upnp/messages.h"

#define CHANNEL_PATIENCE_MS 2000u
#define CHANNEL_IDLE_MS                                                                            \
	20000u /* before the external address is asked for again: a worker's time is limited */

struct upnp_channel_worker;

struct upnp_channel {
	/* The owner sets these first. */
	struct ring *ring;
	struct launcher *launcher; /* with upnp_worker_main(); shared */
	/* The answer to ask(), once, never from inside it. died: the worker's end is the answer,
	 * not ok and SILENT. */
	void (*answered)(struct upnp_channel *c, const struct upnp_answer *a, bool died);

	/* The channel's own. Zero-initialised is idle. */
	struct upnp_channel_worker *worker;
	struct upnp_request request;
	bool busy, stopping;
	uint32_t last;
	unsigned open; /* workers whose sockets are not closed yet */
	uint64_t deaths;
	struct timer deadline, idle;
};

void upnp_channel_init(struct upnp_channel *c);
static inline bool upnp_channel_busy(const struct upnp_channel *c)
{
	return c->busy;
}
/* r->number is the channel's to set. Not while it is busy. */
void upnp_channel_ask(struct upnp_channel *c, const struct upnp_request *r);
/* Kills the worker; no answer comes any more. Idle when it returns true, else ask again after the
 * ring has turned. */
bool upnp_channel_stop(struct upnp_channel *c);

#endif
