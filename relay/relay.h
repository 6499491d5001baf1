/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay: the rooms put together: which protocols the front door knows, who hears of what, and the
 * workers' beginning and end. What is the process's own (options, signals, threads, isolation)
 * stands in main.c, so that a test can run a whole relay by stepping its rings.
 *
 *   relay_begin()             its memory is counted
 *   relay_open()              tables, sockets; files and ports may still be opened
 *   relay_join_signer()       before the signer is sealed
 *   control_open()            the control thread's ring, on the thread that will run it
 *   relay_worker_open_ring()  on each worker's thread
 *   relay_ready()             all that stays open is open: limits come from what is left
 *   relay_worker_start()      on each worker's thread; from here on it listens, its ring is run
 *   ring_stop(), control_close(), relay_close()
 */
#ifndef POSTERN_RELAY_RELAY_H
#define POSTERN_RELAY_RELAY_H

#include "relay/front/worker.h"
#include "relay/signer/signer.h"

/* What this thread allocates is charged to r from here on, before anything is read that a console
 * can change later. r is zeroed. */
void relay_begin(struct relay *r);

/* Makes tables and binds sockets for so many workers. 0, or -1 with a sentence in why:
 * relay_close() is due also then. */
int relay_open(struct relay *r, struct snapshot *snap, unsigned workers, char *why,
	       size_t why_size) MUST_CHECK;
/* Gives each worker its channel to the signer, before that is sealed. 0 or -errno. */
int relay_join_signer(struct relay *r, struct signer *signer) MUST_CHECK;
/* After all workers have ended. */
void relay_close(struct relay *r);

/* On the worker's thread. why as ring_open(). 0 or -errno. */
int relay_worker_open_ring(struct worker *w, char *why, size_t why_size) MUST_CHECK;
/* Once all rings are open, before the process is sealed. 0, or -1 with a sentence in why. */
int relay_ready(struct relay *r, const struct snapshot *snap, char *why,
		size_t why_size) MUST_CHECK;
/* From the next turn of its ring on it accepts and serves, until ring_stop(). */
void relay_worker_start(struct worker *w);

/* Counts, and what is listened on, as lines of the log. */
void relay_log_status(struct relay *r);
void relay_log_endpoints(const struct relay *r, const struct snapshot *snap);

#endif
