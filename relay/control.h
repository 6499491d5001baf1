/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control: the relay's control thread: calls, changes, events, and the shaper's clock.
 *
 * Theory of operation
 *
 * The main thread runs a ring of its own beside the workers'. Everything an operator can do happens
 * there, one call after the other, so that no change needs a lock and no worker waits for JSON:
 *
 *   console on 443 ──► its worker ──line──► control ──response──► its worker ──► console
 *   Unix socket ─────────────────────────► control ─────────────────────────► Unix socket
 *   signals (signalfd) ──────────────────► control
 *   workers ──events, session begin/end──► control ──► subscribers, audit, metrics, shaper
 *   control ──snapshot, kick, re-evaluate, drain──► workers
 *
 * A *caller* is one connection that may call; it has a level and a bounded output. A method answers
 * at once, or keeps the call and answers later (a list gathered from all workers). Methods stand in
 * one table with their level and the schema of their parameters (relay/methods.c): the dispatcher
 * checks both, `postern relay schema` prints it, and the manual is compared with it.
 */
#ifndef POSTERN_RELAY_CONTROL_H
#define POSTERN_RELAY_CONTROL_H

#include <jansson.h>

#include "core/parse/jsonrpc.h"
#include "core/ring.h"
#include "relay/relay.h"

struct control;

enum caller_level { CALLER_READ, CALLER_ADMIN };

/* A connection that calls; made by the transport (console.c, local.c). */
struct caller {
	enum caller_level level;
	char who[96];		/* "console:NAME" or "uid:0", for the audit */
	struct addr address;	/* where from; len 0 for the Unix socket */
	struct addr listener;	/* the relay's address it came in on; len 0 likewise */
	char ca_name[64];	/* console: its certificate's name, to see whether a change cuts it off */
	bool follows_events, follows_audit;
	size_t pending;		/* calls not answered yet */
	/* Queues a line; takes it over (free). False: the caller's output is full or it is gone. */
	bool (*send)(struct caller *c, char *line, size_t len);
	struct caller *next, *prev; /* the control's list */
};

#define CALLER_OUTPUT_MAX  (8u << 20)
#define CALLER_PENDING_MAX 64u

/* A call on its way to its answer. */
struct call {
	struct control *control;
	struct caller *caller; /* NULL once it has gone */
	json_t *id;	       /* NULL: a notification */
	json_t *params;	       /* checked against the method's schema; never NULL */
	json_t *document;
	struct call *next, *prev; /* the control's list */
};

/* Each ends the call. */
void call_answer(struct call *c, json_t *result);
void call_fail(struct call *c, enum jsonrpc_error code, json_t *data, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

struct method_param {
	const char *name;
	const char *type; /* "string", "integer", "boolean", "object", "array", "any" */
	bool required;
	const char *help;
};

struct method {
	const char *name; /* "config.apply" */
	enum caller_level level;
	void (*run)(struct call *c); /* answers, or keeps c for later */
	const char *help;
	const struct method_param *params; /* ends with name NULL; or NULL: none */
	const char *result;		   /* one sentence on what comes back */
};

/* Tables of methods, each by its own file; NULL-terminated by name. */
extern const struct method methods_config[];  /* relay/methods_config.c */
extern const struct method methods_see[];     /* relay/methods_see.c: status agents sessions */
extern const struct method methods_act[];     /* relay/methods_act.c: drain kick log.level ... */
extern const struct method methods_policy[];  /* relay/methods_policy.c: grants */
extern const struct method methods_events[];  /* relay/methods_events.c */

void control_caller_add(struct control *ctl, struct caller *c);
/* The transport's connection ended: pending calls answer into the void. */
void control_caller_remove(struct control *ctl, struct caller *c);
/* One line from a caller (borrowed). */
void control_line(struct control *ctl, struct caller *c, const char *line, size_t len);

struct relay *control_relay(struct control *ctl);
struct ring *control_ring(struct control *ctl);

/* Events: kind "agent.up" and the like; takes over data. Control thread only; workers use
 * tell_event(). Numbered, time-stamped, kept in a bounded history, sent to followers. */
void control_event(struct control *ctl, const char *kind, json_t *data);
void control_audit(struct control *ctl, json_t *record);

#endif
