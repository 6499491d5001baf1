/* SPDX-License-Identifier: Apache-2.0 */
/* socks5: local clients that speak SOCKS5, for names of the form SERVICE.AGENT.postern and no
 * others.
 */
#ifndef POSTERN_AGENT_ENTRANCE_SOCKS5_H
#define POSTERN_AGENT_ENTRANCE_SOCKS5_H

#include "agent/session/session.h"

#define SOCKS_NEGOTIATE_MS 10000u

struct socks;

/* NULL when memory is out. */
struct socks *socks_new(struct agent_sessions *sessions) MUST_CHECK;
/* A client has connected; takes fd. */
void socks_accept(struct socks *s, int fd, const char *source);
/* When the agent stops: those who still negotiate leave. Free after its loop has ended. */
void socks_close(struct socks *s);
void socks_free(struct socks *s);

#endif
