/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isolation: gives up, in stages, everything that a running daemon does not need.
 *
 * Theory of operation. Each stage takes away what the next ones no longer need. A program calls
 * them in this order and does its own work in between:
 *
 *  1. isolation_begin(), first of all. No new privileges through exec, no core files, no ptrace of
 *     this process by its user. Must not fail on any supported kernel.
 *
 *     The program reads its configuration, raises limits, opens its listeners and log sockets.
 *
 *  2. isolation_switch_user(), if configured and started as root; then
 *     isolation_drop_capabilities(). Both before the first thread: capabilities are a thread's own.
 *     From here on nothing privileged can be opened or bound.
 *
 *  3. isolation_landlock(), also before the first thread, since Landlock covers the calling thread
 *     and those that it makes. From here on no file can be opened (an agent: only name-service
 * files and certificates, read-only), and a relay can neither connect nor bind TCP sockets. What is
 *     open stays usable.
 *
 *     The program starts its threads; each opens its ring.
 *
 *  4. isolation_seal(), once the last ring is open, from any thread: seccomp for all threads. From
 *     here on only the system calls listed in isolation.c exist. Must come last: it forbids the
 *     set-up of rings, threads, sockets, and of all of the above.
 *
 * A relay never dials. After stage 4 this rests on three independent things: seccomp has no
 * connect(2) or socket(2), and none of the calls that connect by the way (a send with MSG_FASTOPEN,
 * a listener turned back into an unconnected socket by shutdown(SHUT_RD)); Landlock refuses TCP
 * connects; and rings, which seccomp does not see into, refuse every opcode that opens or connects
 * (ring_uring.c). UDP has no such wall: who may answer a datagram may send one, to anybody, and no
 * filter of these sees to whom. So a relay's UDP sockets are never connected, all that they send is
 * an answer made in the same turn (relay/front/udp.c), and who wants more puts a packet filter in
 * front: out of a relay's UDP ports nothing need pass that did not come in before. The report says
 * which of them hold. None of them is needed for running: where the kernel lacks one, the program
 * goes on and says so.
 */
#ifndef POSTERN_CORE_ISOLATION_H
#define POSTERN_CORE_ISOLATION_H

#include <stdbool.h>

#include "core/must_check.h"
#include "core/ring.h"

enum isolation_flags {
	ISOLATE_DIALS = 1,   /* the agent: sockets, to dial and to listen, and name-service files */
	ISOLATE_THREADS = 2, /* threads may still be started after isolation_seal() */
};

enum isolation_part {
	ISOLATION_NO_NEW_PRIVS,
	ISOLATION_CAPABILITIES, /* none are held but those the program kept */
	ISOLATION_SECCOMP,
	ISOLATION_LANDLOCK_FS,
	ISOLATION_LANDLOCK_TCP,
	ISOLATION_URING, /* rings are restricted, or there are none and can be none */
	ISOLATION_PARTS,
};

#define ISOLATION_WHY_BYTES 160

struct isolation_report {
	struct {
		bool holds;
		char why[ISOLATION_WHY_BYTES]; /* one sentence where it does not */
	} parts[ISOLATION_PARTS];
};

/* "no_new_privs", "capabilities", "seccomp", "landlock_fs", "landlock_tcp", "io_uring". */
const char *isolation_part_name(enum isolation_part part);

/* Also makes *out a report that says "not yet" everywhere else. Returns 0 or -errno. */
int isolation_begin(struct isolation_report *out) MUST_CHECK;

/* Returns 0; -ENOENT when there is no such user; or -errno. On failure the process should end: it
 * may be half-way. */
int isolation_switch_user(const char *user) MUST_CHECK;

/* kept: bits of the first 32 that stay where they are held; 0 for all but those who must. */
void isolation_drop_capabilities(uint32_t kept, struct isolation_report *out);
/* Before that: a program that dials may also read what is in this directory or file afterwards: one
 * path, the last one said. */
void isolation_let_read(const char *path);
void isolation_landlock(unsigned flags, struct isolation_report *out);

/* Calls isolation_landlock() when that has not been done; then it covers this thread only. engine
 * is what the program's rings run on. */
void isolation_seal(unsigned flags, enum ring_engine engine, struct isolation_report *out);

#endif
