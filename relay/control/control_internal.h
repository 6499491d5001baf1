/* SPDX-License-Identifier: Apache-2.0 */
/* control_internal: what the files of the control thread share. No other room includes this. */
#ifndef POSTERN_RELAY_CONTROL_CONTROL_INTERNAL_H
#define POSTERN_RELAY_CONTROL_CONTROL_INTERNAL_H

#include "core/engine/config_calls.h"
#include "core/engine/expiry.h"
#include "core/engine/records.h"
#include "core/program/callers.h"
#include "core/program/managed.h"
#include "core/program/nat_follow.h"
#include "relay/control/control.h"

#define LOCAL_CONNECTIONS_MAX 64u
#define SCRAPERS_MAX	      16u

struct console_caller;

/* A worker, as watch.c sees it. */
struct watched {
	struct ring_msg msg; /* on its way while answered is false */
	_Atomic bool answered;
	unsigned strikes;
};

struct relay_control {
	struct relay *relay;
	struct ring *ring;
	struct keeper *keeper;
	struct signer *signer;
	struct ring_op signer_end; /* waits for the signer's end, which is the relay's */
	const struct isolation_report *isolation;
	struct snapshot *current;
	uint64_t memory_before; /* limits.memory, as a trial that runs goes back to */
	struct managed managed;
	const char *path; /* of the configuration file; for the life of the relay */
	/* Of tls.certificate_file as last read, and the paths since the start; owned. NULL: the
	 * front door presents the identity's certificate. */
	char *front_pem, *certificate_file, *key_file;
	struct signed_revocations signed_revocations; /* in force; of current a copy of it */
	uint64_t signed_refused;		      /* that callers have brought */
	struct control_overrides overrides;
	struct calls calls;
	struct records events, audits;

	struct timer expiry_timer; /* looks at our own certificate */
	struct expiry expiry;
	struct expiry front_expiry; /* likewise at that of tls.certificate_file */
	struct timer drain_timer;   /* looks whether the last session has ended, or time is up */
	uint64_t drain_due_ms;
	bool drained;		/* that time is up, and what still ran has been told to end */
	bool leaves_when_empty; /* a drain ends the program */
	bool failed;		/* and with a failure */

	struct timer missing_timer; /* change.c's: addresses to try again */

	struct timer trace_timer; /* trace.c's, all of these */
	uint64_t trace_due_ms, trace_lines;
	unsigned trace_run;
	bool tracing;

	struct timer watch_timer; /* watch.c's, these two */
	unsigned status_ticks;
	struct watched *watched; /* one for each worker, owned */

	struct console_caller *consoles; /* console.c's */
	size_t console_count;
	struct callers local; /* the Unix socket */
	bool has_local;
	struct metrics *metrics;
	struct nat_follow nat; /* what the NAT helper tells, where there is one */
};

/* What a method works on. */
static inline struct relay_control *control_of(const struct call *c)
{
	return c->owner;
}

/* Tables of methods, each by its own file; NULL-terminated by name. */
extern const struct method methods_see[];    /* status agents sessions */
extern const struct method methods_act[];    /* drain kick log.level ... */
extern const struct method methods_policy[]; /* grants */
extern const struct method methods_revoke[]; /* revocations */
extern const struct method methods_identity[];
extern const struct method methods_events[]; /* records.c */
extern const struct method methods_trace[];  /* trace.c */

/* methods_policy.c: applies document (owned) in the caller's name and answers; hint: what the
 * answer says as "unsigned" (NULL: nothing). */
void policy_apply(struct call *c, json_t *document, const char *note, const char *hint);
/* Whether no change on trial keeps it from being applied; else the call has failed. */
bool policy_may(struct call *c, const json_t *document) MUST_CHECK;
/* A list of the document to add to; made when it is not there. */
json_t *policy_list(json_t *document, const char *key);
void policy_copy_param(const struct call *c, json_t *to, const char *key);
/* methods_revoke.c: what is signed, as people read it; and events of what counts no more, or
 * again. */
json_t *revoke_signed_list(const struct signed_revocations *all);
void revoke_tell_changes(struct relay_control *ctl, const struct signed_told *told,
			 enum signed_cause cause);

/* May this caller go on with s in force? One of this host always may. */
enum reason control_judge(const struct snapshot *s, const struct caller *caller) MUST_CHECK;

/* records.c: events, kind "agent.up" and the like; managed_event() of ctl. */
void control_event(struct relay_control *ctl, const char *kind, json_t *data);

/* metrics.c: the Prometheus listener, open already. */
int metrics_start(struct relay_control *ctl, int listener) MUST_CHECK;
void metrics_stop(struct relay_control *ctl);

/* watch.c. False without memory. */
bool watch_open(struct relay_control *ctl) MUST_CHECK;
void watch_close(struct relay_control *ctl);

/* console.c: once the ring is closed. */
void console_stop(struct relay_control *ctl);

/* methods_act.c */
bool control_undrain(struct relay_control *ctl, char *why, size_t why_size) MUST_CHECK;

/* change.c. Once current and ring are there; s is borrowed. False without memory. */
bool change_open(struct relay_control *ctl, const struct configuring_start *s) MUST_CHECK;
/* The workers take up next. False: nothing has changed, and why has a sentence. */
bool change_switch(struct relay_control *ctl, struct snapshot *next, char *why,
		   size_t why_size) MUST_CHECK;

/* The configuration in force, anew with what is beside it (ctl's front_pem, signed_revocations).
 * False: nothing has changed, and why has a sentence. */
bool change_beside(struct relay_control *ctl, char why[CONFIGURING_WHY_BYTES]) MUST_CHECK;

/* gather.c: asks every worker for a list and joins them. collect runs on the worker's thread. */
typedef void gather_fn(struct worker *w, json_t *list, json_t *params);
void gather(struct call *c, const char *name, gather_fn *collect);

#endif
