/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent: what every part of one running agent shares. One thread, one ring.
 *
 *   link ──── holds ──► legs (a pool of idle ones)      agent/relays/link.c, agent/relays/legs.c
 *    │ OFFER              │ GO                          agent/session/publish.c: the far end asks
 * us ▼                    ▼                             agent/session/request.c: we ask the far end
 *   session ◄─────────── stream ◄──► local descriptor   agent/session/stream.c
 *      ▲                                ▲
 *   local listeners (entrance.c)        └ a target, a local client, or for consoles
 * agent/control/control.c
 *
 * What the NAT helper on this host tells comes in beside (agent/control/nat.c); peers hear of it.
 *
 * The configuration may be replaced while it runs (agent/control/apply.c): nothing points into it
 * but agent.config.
 *
 * Whatever has operations in flight is counted by agent_hold(): a stopping agent leaves its loop
 * when the last of them is gone.
 */
#ifndef POSTERN_AGENT_AGENT_H
#define POSTERN_AGENT_AGENT_H

#include <openssl/ssl.h>

#include "agent/config/config.h"
#include "agent/relays/http_proxy.h"
#include "agent/engine/revoked.h"
#include "core/buffers.h"
#include "core/engine/identity.h"
#include "core/engine/nat_view.h"
#include "core/feed.h"
#include "core/program/resolve.h"
#include "core/ring.h"

#define AGENT_BLOCK_BYTES (256u << 10) /* a busy direction's buffer */
#define AGENT_BLOCKS_MAX  256u
#define AGENT_SMALL_BYTES 20480u /* a pooled buffer's bytes with what records and envelope add */
#define AGENT_STOP_MS	  1500u	 /* for the last messages of a stopping agent */

struct agent_link;
struct agent_session;
struct agent_control;
struct entrances;

struct agent {
	const struct agent_config *config;
	bool transient; /* one request by `postern connect`: publishes nothing, keeps no warm legs
			 */
	bool stopping;

	struct identity *identity;
	SSL_CTX *dial_context, *inner_client, *inner_server;
	struct http_proxy proxy;

	struct ring *ring;
	struct resolver resolver;
	struct buffers large, small; /* for directions with bytes on their way */
	struct timer trimmer;
	uint8_t *scratch; /* for channels, within one call */

	struct agent_link **links; /* in order of the configuration */
	size_t link_count;
	struct agent_link *retired; /* of relays that are no longer used, until they are quiet */
	struct revoked revoked;

	struct entrances *entrances;   /* NULL: none, ever */
	struct agent_control *control; /* NULL: nobody may ask for it */
	struct {
		bool following;
		struct feed feed;
		struct nat_view view;
		char socket[108]; /* natd's, as it was at the start */
	} nat;

	struct agent_session *sessions;
	size_t session_count, control_count; /* the second: of those, consoles' */
	uint64_t started_ms;
	uint64_t session_number; /* of the last one */
	struct {
		uint64_t sessions, failed, up_bytes, down_bytes;
	} totals;

	size_t held;
	struct timer stop_timer;
	/* For what the program itself holds; NULL: nothing. */
	void (*on_stop)(struct agent *a);
};

/*
 * Reads the identity, opens the ring (engine: an enum ring_engine) and makes the links, which dial
 * once agent_start() is called. False: why has a sentence.
 */
bool agent_open(struct agent *a, const struct agent_config *config, int engine, bool transient,
		char *why, size_t why_size) MUST_CHECK;
/* What agent_open() checks of the identity and the proxy, and nothing more. */
bool agent_check(const struct agent_config *config, char *why, size_t why_size) MUST_CHECK;
void agent_start(struct agent *a);
/* Says BYE on every link, resets every session, and leaves ring_run() when all is done. */
void agent_stop(struct agent *a);
/* After ring_run(). */
void agent_close(struct agent *a);
/* One line on links, warm legs, sessions and totals. */
void agent_log_status(const struct agent *a);

static inline void agent_hold(struct agent *a)
{
	a->held++;
}
void agent_drop(struct agent *a);

/* How many sessions there may be, from now on. False without memory: as before. */
bool agent_set_max_sessions(struct agent *a, uint64_t max) MUST_CHECK;

#endif
