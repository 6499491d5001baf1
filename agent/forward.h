/* SPDX-License-Identifier: Apache-2.0 */
/* forward: local listeners, each leading to one service of one agent. */
#ifndef POSTERN_AGENT_FORWARD_H
#define POSTERN_AGENT_FORWARD_H

#include "agent/agent.h"

struct forwards;

/* Opens config.forward's listeners. On failure returns NULL and why names the address. */
struct forwards *forwards_open(struct agent *a, char *why, size_t why_size) MUST_CHECK;
/* When the agent stops; free after its loop has ended. */
void forwards_close(struct forwards *f);
void forwards_free(struct forwards *f);

#endif
