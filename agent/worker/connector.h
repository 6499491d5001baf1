/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connector: an endpoint to a connected TCP socket.
 *
 * Names are resolved; addresses are tried one after the other, the next one when the one before
 * fails or has not answered within CONNECTOR_STAGGER_MS (RFC 8305 section 5). The first to connect
 * wins. Those that were connected to before and were not who was looked for (shunned.h) are tried
 * last, when the others have failed or had CONNECTOR_LAST_MS.
 *
 * Where no way leads to IPv4 addresses, and the network has a translator, they are tried once more
 * as that takes them (nat64.h).
 *
 * Of the whole time the name has CONNECTOR_RESOLVING_PERCENT, and connecting has what is left. The
 * error says which of the two hung, and the addresses that were silent.
 */
#ifndef POSTERN_AGENT_WORKER_CONNECTOR_H
#define POSTERN_AGENT_WORKER_CONNECTOR_H

#include "agent/worker/worker.h"
#include "core/addr.h"
#include "core/alive.h"

#define CONNECTOR_STAGGER_MS	    250u
#define CONNECTOR_LAST_MS	    2000u
#define CONNECTOR_RESOLVING_PERCENT 60u
#define CONNECTOR_ERROR_BYTES	    320u

struct connector;

struct connector_result {
	int fd;		     /* the caller's; -1: failed */
	struct addr reached; /* fd >= 0: which of the addresses it was */
	bool name_failed;    /* the name could not be resolved */
	bool local;	     /* this host lacks something, and error says what to do about it */
	const char *error;   /* a clause: "Connection refused" */
};

typedef void connector_done_fn(void *owner, const struct connector_result *r);

/* NULL when memory is out. done comes once, never from inside this call. */
struct connector *connector_start(struct agent_worker *w, const struct endpoint *to,
				  uint64_t timeout_ms, connector_done_fn *done,
				  void *owner) MUST_CHECK;
/* Right after the start: of the addresses, only those that it may reach are tried. owner is that of
 * done. */
void connector_limit(struct connector *c, bool (*may_reach)(void *owner, const struct addr *to));
/* Right after the start: addresses of one kind are tried in the order of their numbers, whatever
 * order the name servers gave them in, so that all who dial the name come to the same one while it
 * answers. */
void connector_in_order(struct connector *c);
/* done will not come. */
void connector_cancel(struct connector *c);

/* "127.0.0.1:22", "[::1]:22", "db.example:5432". */
#define ENDPOINT_TEXT_BYTES (ADDR_HOST_BYTES + 10)
void endpoint_text(const struct endpoint *e, char out[ENDPOINT_TEXT_BYTES]);
static const struct alive_beat connector_beat = {30, 10, 3};
/* Small messages leave at once (TCP_NODELAY); keep-alive, at that beat, ends an idle connection
 * whose peer has gone silent; out-of-band data stays in the stream (SO_OOBINLINE), where a session
 * carries it as any other byte. */
void connector_tune(int fd);

#endif
