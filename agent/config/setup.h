/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup: what is in force in a running agent: its configuration, the identity and TLS contexts
 * made of it, and the proxy by which it dials relays.
 *
 * All rooms read it and nothing else of the configuration, anew each time: it may be replaced while
 * the agent runs. Only the room that applies configurations writes it.
 */
#ifndef POSTERN_AGENT_CONFIG_SETUP_H
#define POSTERN_AGENT_CONFIG_SETUP_H

#include <openssl/ssl.h>

#include "agent/config/config.h"
#include "agent/config/http_proxy.h"
#include "core/engine/identity.h"

struct agent_self {
	struct identity *identity;
	struct conf_tag_keys tag_keys; /* as the file says; relays may tell newer ones */
	SSL_CTX *dial_context, *inner_client, *inner_server;
	struct http_proxy proxy;
};

struct agent_setup {
	const struct agent_config *config; /* borrowed */
	struct agent_self self;
	/* Makes one request and ends: publishes nothing, replaces no link of the same name, keeps
	 * no warm legs. */
	bool transient;
};

/* False: why has a sentence, out is empty. Only a transient agent may have a console's identity. */
bool agent_self_make(const struct agent_config *config, bool transient, struct agent_self *out,
		     char *why, size_t why_size) MUST_CHECK;
void agent_self_free(struct agent_self *self);
/* Puts both in force and takes self over; what runs keeps what it began with. */
void agent_setup_adopt(struct agent_setup *s, const struct agent_config *config,
		       struct agent_self *self);

#endif
