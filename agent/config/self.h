/* SPDX-License-Identifier: Apache-2.0 */
/* self: who we are by one configuration, and by which proxy we leave. */
#ifndef POSTERN_AGENT_CONFIG_SELF_H
#define POSTERN_AGENT_CONFIG_SELF_H

#include "agent/agent.h"

struct agent_self {
	struct identity *identity;
	SSL_CTX *dial_context, *inner_client, *inner_server;
	struct http_proxy proxy;
};

/* False: why has a sentence, out is empty. Only a transient agent may have a console's identity. */
bool agent_self_make(const struct agent_config *config, bool transient, struct agent_self *out,
		     char *why, size_t why_size) MUST_CHECK;
void agent_self_free(struct agent_self *self);
/* Takes self over, for all that begins from now on; what runs keeps what it began with. */
void agent_self_adopt(struct agent *a, struct agent_self *self);

#endif
