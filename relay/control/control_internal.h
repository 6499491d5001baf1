/* SPDX-License-Identifier: Apache-2.0 */
/* control_internal: what the files of the control thread share. Nobody else includes this. */
#ifndef POSTERN_RELAY_CONTROL_CONTROL_INTERNAL_H
#define POSTERN_RELAY_CONTROL_CONTROL_INTERNAL_H

#include <signal.h>

#include "core/engine/config_calls.h"
#include "core/engine/expiry.h"
#include "core/engine/records.h"
#include "core/program/callers.h"
#include "core/program/nat_follow.h"
#include "relay/control/control.h"
#include "relay/keeper/keeper.h"
#include "relay/config/load.h"
#include "relay/config/snapshot.h"

struct control {
	struct relay *relay;
	struct ring *ring;
	struct keeper *keeper;
	struct snapshot *current;
	struct configuring configuring;
	struct calls calls;
	struct records events, audits;

	struct ring_op signal_op;
	int signal_fd;

	struct timer trial;	   /* an unconfirmed change runs out */
	struct timer expiry_timer; /* looks at our own certificate */
	struct expiry expiry;
	struct timer drain_timer; /* looks whether the last session has ended, or time is up */
	uint64_t drain_due_ms;
	unsigned stop_signals;
	bool leaves_when_empty; /* a drain ends the program */

	struct callers local; /* the Unix socket */
	bool has_local;
	struct metrics *metrics;
	struct nat_follow nat; /* what the NAT helper tells, where there is one */
};

/* Opens the ring, the control socket and the metrics page, and takes over snap's reference; start
 * and keeper are borrowed, the latter until the end. What fails here ends the program with a
 * sentence. Signals: those that signal_fd is to tell. */
void control_begin(struct control *ctl, struct relay *r, struct snapshot *snap,
		   struct keeper *keeper, const sigset_t *signals,
		   const struct configuring_start *start);
/* After the ring's and all workers' last turn. */
void control_end(struct control *ctl);
/* One line on connections, sessions, bytes and refusals. */
void control_log_status(struct relay *r);

/* What a method works on. */
static inline struct control *control_of(const struct call *c)
{
	return c->owner;
}
/* local.c: the Unix socket; its listener is open already. local_stop() comes after the ring's
 * end. */
void local_start(struct control *ctl, int listener);
void local_stop(struct control *ctl);

/* metrics.c: the Prometheus listener, open already. */
int metrics_start(struct control *ctl, int listener) MUST_CHECK;
void metrics_stop(struct control *ctl);

/* expire.c: looks now, and again every EXPIRY_LOOK_MS. */
void control_expiry_look(struct timer *t, uint64_t now_ms);

/* drain.c */
void control_drain(struct control *ctl, uint64_t deadline_ms, bool leave_when_empty);
bool control_undrain(struct control *ctl, char *why, size_t why_size) MUST_CHECK;

/* change.c. Once current and ring are there; s is borrowed. False without memory. */
bool control_configure(struct control *ctl, const struct configuring_start *s) MUST_CHECK;
/* The workers take up next. False: nothing has changed, and why has a sentence. */
bool control_switch(struct control *ctl, struct snapshot *next, char *why,
		    size_t why_size) MUST_CHECK;
void control_reload(struct control *ctl); /* SIGHUP */

/* gather.c: asks every worker for a list and joins them. collect runs on the worker's thread. */
typedef void gather_fn(struct worker *w, json_t *list, json_t *params);
void gather(struct call *c, const char *name, gather_fn *collect);

#endif
