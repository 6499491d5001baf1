/* SPDX-License-Identifier: Apache-2.0 */
/* socks5: a local SOCKS5 listener for names of the form SERVICE.AGENT.postern, and for no others.
 */
#ifndef POSTERN_AGENT_SOCKS5_H
#define POSTERN_AGENT_SOCKS5_H

#include "agent/agent.h"

#define SOCKS_NEGOTIATE_MS 10000u

struct socks;

/* Opens config.socks5.listen. On failure returns NULL and why names the address. */
struct socks *socks_open(struct agent *a, char *why, size_t why_size) MUST_CHECK;
/* When the agent stops; free after its loop has ended. NULL is harmless. */
void socks_close(struct socks *s);
void socks_free(struct socks *s);

#endif
