/* SPDX-License-Identifier: Apache-2.0 */
/* launcher_internal: what the two sides of the launcher's socket pair share. */
#ifndef POSTERN_CORE_PROGRAM_LAUNCHER_INTERNAL_H
#define POSTERN_CORE_PROGRAM_LAUNCHER_INTERNAL_H

#include "core/program/launcher.h"

enum launcher_act { LAUNCHER_SERVE = 1, LAUNCHER_RUN, LAUNCHER_KILL };

/* Requests are packets (SOCK_SEQPACKET) of this; SERVE brings the child's socket along. Notes come
 * back when children end; number 0: the launcher is ready, or why not. */
struct launcher_request {
	uint32_t act, number, deadline_ms, argument_count;
	char text[LAUNCHER_TEXT_BYTES]; /* arguments, each with a zero byte at its end */
};

/* Until fd ends. */
_Noreturn void launcher_main(int fd, const struct launcher_plan *plan);

#endif
