/* SPDX-License-Identifier: Apache-2.0 */
/* control_internal: what the files of this room share. */
#ifndef POSTERN_AGENT_CONTROL_CONTROL_INTERNAL_H
#define POSTERN_AGENT_CONTROL_CONTROL_INTERNAL_H

#include "agent/control/control.h"
#include "agent/config/load.h"
#include "core/engine/calls.h"
#include "core/engine/config_calls.h"
#include "core/engine/expiry.h"
#include "core/engine/records.h"
#include "core/program/callers.h"
#include "core/program/managed.h"
#include "core/program/nat_follow.h"

/* A console. */
struct agent_console {
	struct line_caller line; /* first */
	struct agent_control *control;
	char relay[ENDPOINT_TEXT_BYTES]; /* that its session came by */
};

struct agent_control;
/* apply.c: may this console go on with that identity in force? */
enum reason agent_control_judge(const struct agent_control *ctl, const struct identity *identity,
				const struct caller *caller) MUST_CHECK;

struct agent_control {
	struct agent_rooms rooms;
	struct ring *ring; /* the worker's */
	struct calls calls;
	struct records events;
	struct managed managed;
	const char *path;	     /* of the configuration file; for the life of the agent */
	struct agent_config *config; /* in force, when it is not what the agent began with */
	struct agent_overrides overrides;
	struct agent_state *state; /* NULL: nothing is ever written */
	EVP_PKEY *waiting_key;	   /* renewal.c: made, without a certificate yet; NULL: none */
	/* What relays tell without being asked is kept, several at a time. */
	struct timer keep_revocations, keep_tag_keys;
	uint64_t tag_keys_kept_ms; /* 0: not yet */
	struct timer expiry_timer; /* looks at our own certificate */
	struct expiry expiry;
	struct nat_follow nat; /* what the NAT helper tells, where there is one */
	bool stopping;
};

extern const struct method agent_methods[];	    /* methods.c */
extern const struct method agent_renewal_methods[]; /* renewal.c */
void agent_renewal_free(struct agent_control *ctl);
/* apply.c: once rooms, ring and state are there; start is borrowed. False without memory. */
bool agent_control_configure(struct agent_control *ctl,
			     const struct configuring_start *start) MUST_CHECK;

/* events.c: tells an event, its data as json_pack() makes it. */
void agent_control_event(struct agent_control *ctl, const char *kind, const char *format, ...);
extern const struct method agent_events_methods[];

/* What the agent's own file lets its consoles do; where it is nothing, none comes here. */
enum caller_level agent_control_level(const struct agent_config *config);

#endif
