/* SPDX-License-Identifier: Apache-2.0 */
/* link: the live link to one relay: link_state on a connection. */
#ifndef POSTERN_AGENT_LINK_H
#define POSTERN_AGENT_LINK_H

#include "agent/channel.h"
#include "agent/connector.h"
#include "agent/leg.h"
#include "agent/link_state.h"

struct agent_link {
	struct agent *agent;
	const struct agent_relay *relay;
	char label[ENDPOINT_TEXT_BYTES]; /* "HOST:PORT", for logs */
	struct link_state state;
	struct timer timer;
	struct dial *dial;
	struct channel channel;
	bool dial_wanted;  /* the connection before is still being closed */
	unsigned failures; /* in a row, for the log's level */

	/* From WELCOME. */
	uint64_t id;
	uint8_t secret[WIRE_SECRET_BYTES];
	struct leg_pool legs;
};

/* NULL when memory is out. */
struct agent_link *agent_link_new(struct agent *a, const struct agent_relay *relay) MUST_CHECK;
void agent_link_start(struct agent_link *l);
void agent_link_stop(struct agent_link *l);
/* After agent_link_stop(), when nothing is held any more. */
void agent_link_free(struct agent_link *l);

/* Answers an OFFER with no. text may be "": the reason's sentence speaks then. */
void agent_link_refuse(struct agent_link *l, uint64_t session, enum reason reason,
		       const char *text);

#endif
