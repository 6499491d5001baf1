/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isolation: gives up, in stages, everything that a process does not need any more.
 *
 * Theory of operation. What remains to a process in the end is its plan, struct isolation_plan, and
 * each kind of process has one: the daemons, and the small helpers that they fork before. Each
 * stage takes away what the next ones do without. A daemon calls them in this order, and does its
 * own work in between:
 *
 *  1. isolation_begin(), first of all.
 *     Takes: new privileges by exec, core files, ptrace(2) of this process by its user.
 *     Must: not fail on any supported kernel. Must not: touch what the configuration decides.
 *
 *     The program reads its configuration, raises limits, opens its listeners and log sockets, and
 *     forks the helpers that keep a right which it gives up.
 *
 *  2. isolation_switch_user(), if configured and started as root; isolation_drop_capabilities().
 *     Takes: root, and the capabilities that the plan does not keep. From here on nothing
 *     privileged can be opened or bound.
 *     Must: come before the first thread, since capabilities are a thread's own.
 *
 *  3. isolation_landlock().
 *     Takes: all files but the plan's places; TCP connects and binds but those of the plan; signals
 *     and abstract sockets to other processes. What is open stays usable.
 *     Must: come before the first thread, since Landlock covers the calling thread and those that
 *     it makes; with the places' directories still in reach.
 *
 *     The program starts its threads; each opens its ring.
 *
 *  4. isolation_seal(), once the last ring is open, from any thread.
 *     Takes, for all threads (seccomp): every system call that is not in the plan's list.
 *     Must: come last, since it forbids the set-up of rings, and all of the above.
 *
 * A helper has one thread, no ring and one duty: isolation_confine() is all stages at once. It
 * tells no report: what the kernel can do must succeed, and what it lacks of Landlock is no error,
 * since the daemon beside it has said so already.
 *
 * The lists of stage 4 are made by core/syscalls.awk from the "#syscalls" comments which stand
 * beside the code that makes a call; CONTRIBUTING.md tells how they are written. tests/syscalls
 * compares them with what is really called.
 *
 * A relay never dials. After stage 4 this rests on three independent things: seccomp has no
 * connect(2) or socket(2), and none of the calls that connect by the way (a send with MSG_FASTOPEN,
 * a listener turned back into an unconnected socket by shutdown(SHUT_RD)); Landlock refuses TCP
 * connects; and rings, which seccomp does not see into, refuse every opcode that opens or connects
 * (ring_uring.c). UDP has no such wall: a process that may answer a datagram may send one to any
 * address, and no filter of these sees to which. So a relay's UDP sockets are never connected, all
 * that they send is an answer made in the same turn (relay/front/udp.c), and an operator that wants
 * more puts a packet filter in front: out of a relay's UDP ports nothing need pass that did not
 * come in before. The report says which of them hold. None of them is needed for running: where the
 * kernel lacks one, a daemon goes on and says so.
 */
#ifndef POSTERN_CORE_ISOLATION_H
#define POSTERN_CORE_ISOLATION_H

#include <linux/landlock.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"
#include "core/ring.h"

/* ---- what remains ---- */

/* A system call that is allowed when every comparison holds. */
struct isolation_call {
	int call;
	unsigned count;
	struct scmp_arg_cmp compare[2];
};

/* A process's list, "gen/NAME_calls.h". */
struct isolation_calls {
	const struct isolation_call *list;
	size_t count;
};

/* Rights of LANDLOCK_ACCESS_FS_* beneath a directory or to a file: by its path, or where that is
 * NULL, by a descriptor. A path that is not there and a descriptor -1 are passed over. */
struct isolation_place {
	const char *path;
	int fd;
	uint64_t rights;
};
#define ISOLATION_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

/* A limit of RLIMIT_*, soft and hard. */
struct isolation_limit {
	int what;
	uint64_t most;
};

struct isolation_plan {
	const struct isolation_calls *calls;
	const struct isolation_place *places; /* all other files are denied */
	size_t place_count;
	const struct isolation_limit *limits; /* a helper's, beside that of core files */
	size_t limit_count;
	uint32_t capabilities; /* bits of the first 32 that stay, where they are held */
	bool resolves;	       /* also reads what name service needs */
	bool connects_tcp, binds_tcp;
};

/* ---- what holds ---- */

enum isolation_part {
	ISOLATION_NO_NEW_PRIVS,
	ISOLATION_CAPABILITIES, /* none are held but those of the plan */
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

/* ---- a daemon's stages ---- */

/* Also makes *out a report that says "not yet" everywhere else. Returns 0 or -errno. */
int isolation_begin(struct isolation_report *out) MUST_CHECK;

/* user: of the configuration; NULL: none, and nothing changes, as where root has not started the
 * process. Returns 0; -ENOENT when there is no such user; or -errno. On failure the process should
 * end: it may be half-way. */
int isolation_switch_user(const char *user) MUST_CHECK;

/* A plan is the same one in all stages; its calls are needed by the last one only. */
void isolation_drop_capabilities(const struct isolation_plan *plan, struct isolation_report *out);
void isolation_landlock(const struct isolation_plan *plan, struct isolation_report *out);

/* Calls isolation_landlock() when that has not been done; then it covers this thread only. engine
 * is what the program's rings run on. */
void isolation_seal(const struct isolation_plan *plan, enum ring_engine engine,
		    struct isolation_report *out);

/* ---- a helper's ---- */

/* For the calling process, which has one thread and no ring. 0 or -errno; after a failure the
 * process must end. */
int isolation_confine(const struct isolation_plan *plan) MUST_CHECK;

#endif
