/* SPDX-License-Identifier: Apache-2.0 */
/*
 * managed: what every program that consoles manage has on its ring: a configuration that may be on
 * trial, and events.
 */
#ifndef POSTERN_PROGRAM_MANAGED_H
#define POSTERN_PROGRAM_MANAGED_H

#include "core/engine/configuring.h"
#include "core/engine/records.h"
#include "core/ring.h"

struct managed {
	struct configuring configuring;
	struct timer trial;  /* an unconfirmed change runs out */
	struct ring *ring;   /* borrowed, as the next two */
	struct calls *calls; /* of those that follow events */
	struct records *events;
	uint64_t lost; /* events that found no memory, and have not been told as such */
};

/* From now on events may be told; configuring is opened next, with ops that have the functions
 * below. */
void managed_init(struct managed *m, struct ring *ring, struct calls *calls,
		  struct records *events);

/* An event with its data (taken over): numbered, kept for a while, sent to those that follow, and
 * to the journal. Without memory, also in (NULL), it is none, and counts as lost. */
void managed_event(struct managed *m, const char *kind, json_t *data);
/* Tells once how many were lost, these beside the events, when there is memory again. */
void managed_tell_lost(struct managed *m, uint64_t beside);

/* For struct configuring_ops of a struct managed. */
void managed_set_trial(struct configuring *c, uint64_t after_ms);
void managed_tell(struct configuring *c, const char *kind, json_t *data);
struct configuring_now managed_now(const struct configuring *c);

#endif
