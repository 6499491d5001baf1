/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent: one running agent, made of its rooms. Each knows those below it and tells what happens by
 * callbacks, which agent.c connects.
 *
 *   control/    consoles: what they see, another configuration, events; the NAT helper's word
 *   entrance/   listening sockets: forwards and SOCKS5
 *   session/    requests (we ask), offers (the far end asks), and the stream of bytes of each
 *   relays/     dialling, a link to each relay, and its pool of legs
 *   worker/     the ring of one thread, its buffers, connecting to an address
 *   config/     the file, and what is made of it: identity, TLS contexts, proxy
 *   engine/     state machines without sockets
 *
 * An agent has one thread and one worker. Several agents may run in one process.
 */
#ifndef POSTERN_AGENT_AGENT_H
#define POSTERN_AGENT_AGENT_H

#include "agent/config/setup.h"
#include "agent/control/control.h"
#include "agent/entrance/entrance.h"
#include "agent/relays/links.h"
#include "agent/session/session.h"
#include "agent/worker/worker.h"

struct agent {
	struct agent_worker worker;
	struct agent_setup setup;
	struct agent_links links;
	struct agent_sessions sessions;
	struct entrances *entrances;   /* NULL: none, ever */
	struct agent_control *control; /* NULL: no console may ask for it */
	/* For what the program itself holds; NULL: nothing. */
	void (*on_stop)(struct agent *a);
};

/*
 * Reads the identity, opens the ring (engine: an enum ring_engine) and makes the links, which dial
 * once agent_start() is called. config is borrowed until agent_close(). False: why has a sentence.
 */
bool agent_open(struct agent *a, const struct agent_config *config, int engine, bool transient,
		char *why, size_t why_size) MUST_CHECK;
/* What an agent has beside links and sessions unless it is transient: listening sockets, and
 * consoles (see agent_control_new()). Before isolation. False: why has a sentence, and what there
 * is ends by agent_stop() and ring_run() as ever. */
bool agent_open_rest(struct agent *a, const struct configuring_start *start, const char *path,
		     struct agent_state *state, const struct agent_overrides *overrides, char *why,
		     size_t why_size) MUST_CHECK;
/* What agent_open() checks of the identity and the proxy, and nothing more. */
bool agent_check(const struct agent_config *config, char *why, size_t why_size) MUST_CHECK;
void agent_start(struct agent *a);
/* Says BYE on every link, resets every session, and leaves ring_run() when all is done. */
void agent_stop(struct agent *a);
/* After ring_run(). */
void agent_close(struct agent *a);
/* One line on links, warm legs, sessions and totals. */
void agent_log_status(const struct agent *a);

#endif
