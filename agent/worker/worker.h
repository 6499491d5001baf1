/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: one thread of an agent: its ring, and what everything that runs on it shares.
 *
 * Each part with operations in flight is counted by agent_worker_hold(): ring_run() of a stopping
 * worker returns when the last one is gone, or after AGENT_STOP_MS. Nothing here is shared between
 * workers.
 */
#ifndef POSTERN_AGENT_WORKER_WORKER_H
#define POSTERN_AGENT_WORKER_WORKER_H

#include "agent/worker/shunned.h"
#include "core/buffers.h"
#include "core/parse/wire.h"
#include "core/program/resolve.h"
#include "core/ring.h"

#define AGENT_BLOCK_BYTES   (256u << 10) /* a busy direction's buffer */
#define AGENT_BLOCKS_MAX    256u
#define AGENT_SMALL_BYTES   20480u /* a pooled buffer's bytes with what records and envelope add */
#define AGENT_SCRATCH_BYTES (WIRE_FRAME_MAX + 16384u)
#define AGENT_STOP_MS	    1500u /* for the last messages of a stopping agent */

struct agent_worker {
	struct ring *ring;
	struct resolver resolver;
	struct shunned shunned;
	struct buffers large, small; /* for directions with bytes on their way */
	uint8_t *scratch;	     /* AGENT_SCRATCH_BYTES, good within one call */
	uint64_t started_ms;
	uint64_t rekey_bytes, rekey_ms; /* limits of sessions' keys; 0: agent/engine/inner.h's */
	uint64_t rekeyed;		/* keys of sessions, by us */
	bool stopping;
	size_t held;
	struct timer trimmer, stop_timer;
};

/* engine: an enum ring_engine; small_count: how many small buffers there may be. False: why has a
 * sentence; agent_worker_close() is harmless then. */
bool agent_worker_open(struct agent_worker *w, int engine, size_t small_count, char *why,
		       size_t why_size) MUST_CHECK;
/* From now on ring_run() returns as soon as nothing is held. */
void agent_worker_stop(struct agent_worker *w);
/* After ring_run(). False when operations are in flight: they own their memory, and only the end of
 * the process frees it. */
bool agent_worker_idle(const struct agent_worker *w) MUST_CHECK;
void agent_worker_close(struct agent_worker *w);

static inline void agent_worker_hold(struct agent_worker *w)
{
	w->held++;
}
void agent_worker_drop(struct agent_worker *w);

#endif
