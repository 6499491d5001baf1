/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prove: hands on what one side of a session proves to the other, from link to link.
 *
 * The relay knows nothing of the proof but whose session it is of: a message for a session that is
 * not the sender's goes nowhere. Which worker has the session is not known, so the message goes
 * from one to the next until it is found; how often one name may do that is bounded
 * (core/engine/proving.h).
 */
#ifndef POSTERN_RELAY_SESSION_PROVE_H
#define POSTERN_RELAY_SESSION_PROVE_H

#include "core/engine/entitled.h"
#include "relay/front/conn.h"

/* The holder of credential has said m, a PROVE. Without memory it goes nowhere, and comes again. */
void prove_hand_on(struct relay *r, struct credential *credential, const struct wire_message *m);

#endif
