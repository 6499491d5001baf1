/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alive: whether a TCP connection still has somebody at its other end, by the kernel's own word.
 *
 * Theory of operation
 *
 * Nothing can be written into a session that is only copied, so that it cannot be asked by a
 * message. What has been sent is the question, and the kernel knows whether it was answered
 * (TCP_INFO). Three cases:
 *
 *   something is unacknowledged   On a line that was cut the kernel sends it again and again:
 *                                 after 3 s for the third time, where a round trip is short. It
 *                                 gives up after a quarter of an hour; here it is judged.
 *   something waits in the kernel Its window is closed: a reader that pauses, which it may for as
 *                                 long as it likes. The kernel asks it (window probes), and each
 *                                 answer counts the probes from 0 again. Or the device here is
 *                                 down, and what is probed is the device: no answer comes.
 *   nothing                       Nobody was asked. Keep-alive asks (alive_ask()), at a shorter
 *                                 beat for a while, where there is a reason to: the link beside
 *                                 it was lost, or what was flowing has stopped.
 *
 * A direction is open while something is unacknowledged, or waits and is probed for. Since when it
 * has been open without an answer is its mark: when it was first seen so, moved on by each answer
 * that came later. The connection is dead where the mark is ALIVE_PATIENCE_MS old and what is open
 * was sent, or probed for, ALIVE_TRIES times in vain. So one lost packet, or probe, never ends a
 * connection, and no reader does that pauses: on a line that lives its probes are answered. The
 * kernel's own count of how long ago the last answer came does not do: it counts hours of rest, and
 * between the probes of a closed window, which come ever more seldom, up to two minutes.
 *
 * What that cannot see: a line that is cut while the other end's window is closed. The next probe
 * may be two minutes away, and no call makes it come sooner.
 *
 * Before a session has begun nobody may pause, and the kernel gives up by itself (alive_hurry()).
 */
#ifndef POSTERN_CORE_ALIVE_H
#define POSTERN_CORE_ALIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/must_check.h"

#define ALIVE_PATIENCE_MS 12000u /* without an answer to what was sent */
#define ALIVE_TRIES	  3u	 /* in vain, at least */
#define ALIVE_ROUND_MS	  4000u	 /* at most so far apart are the looks at one connection */
#define ALIVE_HURRY_MS	  8000u	 /* unacknowledged, where nobody may pause */
#define ALIVE_ASKED_MS	  16000u /* keep-alive is shortened for so long */

/* How often keep-alive asks: after so long without a word, then again, and how often in vain. */
struct alive_beat {
	int idle_s, every_s, count;
};

/* One end of a connection, from here to there. Zero-initialised: nothing is known. */
struct alive {
	uint32_t mark_ms;  /* of the clock, cut; while marked */
	uint32_t asked_ms; /* likewise; while asked */
	uint32_t sent : 30, marked : 1, pending : 1;
	uint32_t came : 30, flows : 1, asked : 1;
};

struct alive_facts {
	uint32_t unacked;     /* segments, an end included */
	uint32_t notsent;     /* bytes */
	uint32_t retransmits; /* of the first of them, in a row */
	uint32_t probes;      /* keep-alive's too; unanswered */
	uint32_t answered_ms; /* so long ago came the last ACK */
};

/* False: it is no TCP connection (any more). */
bool alive_facts(int fd, struct alive_facts *out) MUST_CHECK;
/* True: it is dead. */
bool alive_judge(struct alive *a, const struct alive_facts *f, uint64_t now_ms) MUST_CHECK;

/*
 * Looks at fd, every ALIVE_ROUND_MS at least. sent counts what went there, came what came from
 * there, ends included: where neither has changed and nothing was pending, the kernel is not asked.
 * Where bytes came and come no more, keep-alive asks whether they still can; rest is the beat that
 * it goes back to. True: it is dead.
 */
bool alive_look(struct alive *a, int fd, uint64_t sent, uint64_t came, uint64_t now_ms,
		const struct alive_beat *rest) MUST_CHECK;

/* There is reason to doubt: keep-alive asks at once. A dead connection then fails within 4 s
 * (ETIMEDOUT), where nothing waits to be sent. */
void alive_ask(struct alive *a, int fd, uint64_t now_ms);

/* Keep-alive at this beat. */
void alive_rest(int fd, const struct alive_beat *beat);
/* The kernel gives up (ETIMEDOUT) where something is unacknowledged for ALIVE_HURRY_MS, a closed
 * window included; and back: a reader may pause. While hurried, one unanswered keep-alive ends it,
 * too. */
void alive_hurry(int fd);
void alive_unhurry(int fd);

#endif
