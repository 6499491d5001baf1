/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine: gives up everything that a small helper process does not need, in one step.
 *
 * Each helper (the relay's keeper, the follower of feed.h, the NAT helper's launcher and its UPnP
 * worker) has one duty, said as a struct confine beside the code that performs it. Unlike a
 * daemon's isolation.h there are no stages and no report: what the kernel can do must succeed, and
 * what it lacks of Landlock is no error, since the daemon beside it has said so already.
 */
#ifndef POSTERN_CORE_CONFINE_H
#define POSTERN_CORE_CONFINE_H

#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

/* A system call that is allowed when every comparison holds. */
struct confine_call {
	int call;
	unsigned count;
	struct scmp_arg_cmp compare[2];
};

/* Rights of LANDLOCK_ACCESS_FS_* beneath an open directory; dir -1 is passed over. */
struct confine_place {
	int dir;
	uint64_t rights;
};

/* A limit of RLIMIT_*, soft and hard. */
struct confine_limit {
	int what;
	uint64_t most;
};

struct confine {
	const int *calls; /* allowed whatever their arguments, */
	size_t call_count;
	const struct confine_call *guarded;
	size_t guarded_count;
	const struct confine_place *places; /* all other files are denied */
	size_t place_count;
	const struct confine_limit *limits;
	size_t limit_count;
	uint32_t capabilities; /* bits of the first 32 that stay, where they are held */
	bool dials_tcp;	       /* else Landlock denies TCP connects, too */
};

/* For the calling process, which has one thread. Beside what plan says, memory, locks, signals of
 * its own and the end are allowed, memory that is run never, nor a core file. 0 or -errno; after a
 * failure the process must end. */
int confine(const struct confine *plan) MUST_CHECK;

/* Adds rules to a filter. 0 or -errno. */
int confine_allow(scmp_filter_ctx filter, const int *calls, size_t count) MUST_CHECK;
int confine_allow_guarded(scmp_filter_ctx filter, const struct confine_call *calls,
			  size_t count) MUST_CHECK;

#endif
