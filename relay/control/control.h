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
 *   signals ─────────────────────────────► control
 *   workers ──reports──► control ──► followers of events and audit, journal
 *   control ──snapshot, kick, drain──► workers
 *
 * How lines become calls of methods, and who may call which, is core/engine/calls.h. A method
 * answers at once, or keeps the call and answers later (a list asked of all workers).
 */
#ifndef POSTERN_RELAY_CONTROL_CONTROL_H
#define POSTERN_RELAY_CONTROL_CONTROL_H

#include "core/isolation.h"
#include "relay/config/load.h"
#include "relay/front/worker.h"
#include "relay/keeper/keeper.h"
#include "relay/signer/signer.h"

/* Of the command line: they hold, also when another configuration is applied. -1: none. */
struct control_overrides {
	int engine, log_level;
};

struct control_setup {
	struct snapshot *snap; /* the reference is taken over, also on failure */
	struct keeper *keeper; /* stopped by control_close() */
	struct signer *signer; /* likewise */
	struct signed_revocations *signed_revocations; /* likewise: the table is empty then */
	char *front_pem;  /* of tls.certificate_file, NULL: none; taken over, as snap is */
	const char *path; /* of the configuration file, as errors name it; borrowed */
	const struct configuring_start *start;
	const struct control_overrides *overrides; /* NULL: none */
	const struct isolation_report *isolation;  /* for status; told when it is complete */
};

/* Makes r->control and opens what it listens on, while files and ports may still be opened. The
 * ring is the calling thread's. 0, or -1 with a sentence in why. */
int control_open(struct relay *r, const struct control_setup *setup, char *why,
		 size_t why_size) MUST_CHECK;
/* How many descriptors its callers may have at a time: kept from connections at the front door, so
 * that the socket and the metrics answer while those have all of theirs. */
unsigned control_descriptors(void);
/* Starts the follower of the NAT helper, where the configuration names its socket. Before the first
 * thread and before Landlock. 0 or -errno. */
int control_follow_nat(struct relay_control *ctl) MUST_CHECK;
/* Looks after the workers from now on, by r->watch. Once their rings are open. */
void control_watch(struct relay_control *ctl);
/* After all workers have ended. */
void control_close(struct relay_control *ctl);

/* The relay takes no new work, and perhaps ends its ring's run when the last session has ended or
 * time is up. */
void control_drain(struct relay_control *ctl, uint64_t deadline_ms, bool leave_when_empty);
/* Reads the configuration file again. */
void control_reload(struct relay_control *ctl);
/* Whether the relay ends because it cannot go on: its exit status tells the service manager. */
bool control_failed(const struct relay_control *ctl);
/* The configuration in force. */
const struct snapshot *control_snapshot(const struct relay_control *ctl);

/* For struct relay_upward. */
void control_reported(struct ring_msg *report);
/* A line of a trace: struct relay_upward. */
void control_traced(struct ring_msg *msg);
void console_begin(struct conn *c, struct credential *credential);

#endif
