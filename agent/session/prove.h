/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prove: a session outlives the certificates that it began with, where they are renewed.
 *
 * Theory of operation
 *
 *   agent, has a new certificate         relay               the far end of its sessions
 *     │ ── PROVE{session, cert., sig.} ──► │ ── the same ───────► │ whose end counts from now on
 *
 * A session may last for months, and certificates need not. So an agent whose certificate was
 * replaced proves the newer one for each session that began with an older one: it signs 32 bytes
 * that both ends export from the session's own inner TLS. No message of the session is needed, and
 * no other session.
 *
 * There is no answer. It is said again after a minute, then after twice as long each time, an hour
 * at most, until the certificate that the peer was shown has ended: by then it counts, or the
 * session is over.
 */
#ifndef POSTERN_AGENT_SESSION_PROVE_H
#define POSTERN_AGENT_SESSION_PROVE_H

#include "agent/session/session.h"

#define PROVE_AGAIN_MS 60000u /* first; twice as long each time, up to */
#define PROVE_WAIT_MS  3600000u

/* The inner handshake begins, with the certificate in force; number is the relay's of the session.
 */
void prove_shown(struct agent_session *s, uint64_t number);
/* Another certificate is in force here. */
void prove_renewed(struct agent_sessions *all);
/* The relay of l hands on the word of a session's far end. */
void prove_heard(struct agent_sessions *all, struct agent_link *l, const struct wire_message *m);

#endif
