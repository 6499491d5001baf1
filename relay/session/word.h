/* SPDX-License-Identifier: Apache-2.0 */
/*
 * word: what an agent says on its link of a session that it has a part in.
 *
 *   PROVE    is handed on to the link of the other side: the relay knows nothing of the proof but
 *            whose session it is of
 *   ENDED    ends the session, on record as that side's doing; the other side is told
 *
 * A word on a session that is not the sender's goes nowhere, and so does one on a session that has
 * ended meanwhile. Which worker has the session is not known, so the word goes from one to the next
 * until it is found; how often one name may do that is bounded (core/engine/proving.h).
 */
#ifndef POSTERN_RELAY_SESSION_WORD_H
#define POSTERN_RELAY_SESSION_WORD_H

#include "core/engine/entitled.h"
#include "relay/front/conn.h"

/* The holder of credential has said m, a PROVE or an ENDED whose cause is one that agents give
 * (ending_by_agent()). Without memory it goes nowhere: a PROVE comes again, and behind an ENDED
 * comes a reset. */
void word_send(struct relay *r, struct credential *credential, const struct wire_message *m);

#endif
