/* SPDX-License-Identifier: Apache-2.0 */
/* child: what a test asserts of the processes that it, or the code it tests, has forked. */
#ifndef POSTERN_TESTS_CHILD_H
#define POSTERN_TESTS_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Runs body in a child, which has to exit with 0: what cannot be taken back is tried there. */
void child_runs(void (*body)(void));
/* Whether it lives, within 5 s: what has ended is a zombie until its parent, maybe init, looks. */
void child_lives(pid_t pid, bool expected);
/* As the kernel says it: seccomp filters its calls, it gets no privileges by exec, and it has no
 * capabilities but those of this mask. */
void child_is_sealed(pid_t pid, uint64_t capabilities);

#endif
