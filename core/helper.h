/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper: a process that a program forks beside itself for one duty, and asks by packets over a
 * socket pair: the keeper and the signer. This is the program's side, and the child's beginning.
 *
 * It is forked before threads start, and ends with the program: by its end of the pair, which is
 * relied on, and by a signal where the kernel may send one. The program waits for it with a
 * deadline, always: -ETIMEDOUT then, and the next question may fare better. -EPIPE: it is gone.
 */
#ifndef POSTERN_CORE_HELPER_H
#define POSTERN_CORE_HELPER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "core/must_check.h"

#define HELPER_WAIT_MS 5000

struct helper {
	int fd; /* -1: it was stopped, or never started */
	pid_t pid;
	uint64_t number;  /* of the last request */
	uint64_t wait_ms; /* HELPER_WAIT_MS */
};

/* Forks. 0: this is the program. 1: this is the child, which is called name, has *fd for its end,
 * of all other descriptors but the standard ones those of keep (-1: none), and takes no signal that
 * a terminal or a service manager sends to all. Or -errno. */
int helper_fork(struct helper *h, const char *name, const int *keep, size_t count,
		int *fd) MUST_CHECK;
/* Again does no harm. */
void helper_stop(struct helper *h);

/* On CLOCK_MONOTONIC: until when a question that is asked now may take. */
uint64_t helper_deadline(const struct helper *h);
/* One packet to it. 0 or -errno. */
int helper_send(const struct helper *h, const struct msghdr *m, uint64_t deadline) MUST_CHECK;
/* The next packet from it: its length, or -errno. m: where it goes to, and how it came. */
ssize_t helper_receive(const struct helper *h, struct msghdr *m, uint64_t deadline) MUST_CHECK;

#endif
