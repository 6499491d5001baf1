/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launcher: a small process that starts and ends others for a daemon that no longer can.
 *
 * A sealed daemon can neither fork nor signal. Its launcher is forked before: before the first
 * thread, before rings. It has one duty, said once: to start children that serve a socket (the UPnP
 * worker), or children that run one program (the hook). The daemon asks over a socket pair; a child
 * is killed when asked, at its deadline, and when the daemon ends, for any reason.
 *
 * What a daemon that is taken over gains from it: another child of the one kind.
 */
#ifndef POSTERN_CORE_PROGRAM_LAUNCHER_H
#define POSTERN_CORE_PROGRAM_LAUNCHER_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/isolation.h"
#include "core/ring.h"

#define LAUNCHER_CHILDREN_MAX  8u
#define LAUNCHER_ARGUMENTS_MAX 8u
#define LAUNCHER_TEXT_BYTES    1024u /* all arguments with their ends */

struct launcher_plan {
	const char *name; /* of the processes, at most 15 bytes: "postern-upnp" */
	/* Either: what a child does with its end of the socket; when it returns, the child exits.
	 */
	void (*serve)(int fd);
	/* Or: what a child runs, found as it is; standard output goes to standard error. */
	const char *program;
	/* What is left to launcher and children; its list is of all that they call. NULL: nothing
	 * is taken but new privileges, for programs that are the operator's own. */
	const struct isolation_plan *isolation;
};

struct launcher {
	/* The owner may set this before launcher_follow(). status: as of waitpid(2); 0 is well. */
	void (*child_ended)(struct launcher *l, uint32_t number, int status);
	/* The launcher itself is gone; no child will start again. */
	void (*gone)(struct launcher *l);

	/* The launcher's own. */
	int fd;
	pid_t pid;
	uint32_t last; /* number given last */
	struct ring *ring;
	struct ring_op op;
	struct launcher_note {
		uint32_t number;
		int status;
	} note;
};

/* Forks; returns when the launcher is confined. plan is copied by the fork. 0 or -errno. */
int launcher_start(struct launcher *l, const struct launcher_plan *plan) MUST_CHECK;
/* From now on ends are heard on this ring. */
void launcher_follow(struct launcher *l, struct ring *ring);
/* All children end with it. Idle when it returns true, else ask again after the ring has turned. */
bool launcher_stop(struct launcher *l);

/* Starts a child that serves; *fd is our end of its stream socket, non-blocking, *number names the
 * child. deadline_ms 0: none. Never waits: 0, -EAGAIN when the launcher lags, or -errno. */
int launcher_serve(struct launcher *l, uint32_t deadline_ms, int *fd, uint32_t *number) MUST_CHECK;
/* Starts a child that runs the program with these arguments, after its name. NULL ends them. */
int launcher_run(struct launcher *l, const char *const *arguments, uint32_t deadline_ms,
		 uint32_t *number) MUST_CHECK;
/* Kills it (SIGKILL); harmless when it has ended. */
void launcher_kill(struct launcher *l, uint32_t number);

#endif
