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
 * How lines become calls of methods, and who may call which, is core/engine/calls.h. A method
 * answers at once, or keeps the call and answers later (a list gathered from all workers).
 */
#ifndef POSTERN_RELAY_CONTROL_CONTROL_H
#define POSTERN_RELAY_CONTROL_CONTROL_H

#include <jansson.h>

#include "core/engine/calls.h"
#include "core/ring.h"
#include "relay/relay.h"

struct control;

/* Tables of methods, each by its own file; NULL-terminated by name. */
extern const struct method methods_see[]; /* relay/control/methods_see.c: status agents sessions */
extern const struct method
	methods_act[]; /* relay/control/methods_act.c: drain kick log.level ... */
extern const struct method methods_policy[]; /* relay/control/methods_policy.c: grants */
extern const struct method methods_events[]; /* relay/methods_events.c */

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
