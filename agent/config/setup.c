/* SPDX-License-Identifier: Apache-2.0 */
/* setup: the identity, the TLS contexts made of it, and the proxy. Apart from config.c, since ctl
 * checks and prints configurations without any identity. */
#include "agent/config/setup.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/mem.h>

static bool setup_check_name(const struct identity *id, const char *name, bool transient, char *why,
			     size_t why_size)
{
	struct identity_peer self;

	if (!identity_self(id, &self) ||
	    (self.role != IDENTITY_AGENT && !(transient && self.role == IDENTITY_CONSOLE))) {
		snprintf(why, why_size,
			 "identity.certificate: is not an agent's; issue one with 'postern pki "
			 "issue'");
		return false;
	}
	if (strcmp(self.name, name) != 0) {
		snprintf(why, why_size,
			 "identity.certificate: is that of %s \"%s\", but name is \"%s\"; make "
			 "them equal",
			 self.role == IDENTITY_AGENT ? "agent" : "console", self.name, name);
		return false;
	}
	if (identity_not_after(id) <= time(NULL)) {
		snprintf(why, why_size, "identity.certificate: %s",
			 reason_sentence(REASON_CERT_EXPIRED));
		return false;
	}
	return true;
}

static bool trusts_system(const struct agent_config *config)
{
	const struct agent_relay *relays = config->relays.items;

	for (size_t i = 0; i < config->relays.count; i++)
		if (relays[i].trust == AGENT_TRUST_SYSTEM)
			return true;
	return false;
}

bool agent_self_make(const struct agent_config *config, bool transient, struct agent_self *out,
		     char *why, size_t why_size)
{
	struct agent_self s = {0};

	*out = s;
	if (!conf_tag_keys_parse(config->identity.tag_keys, &s.tag_keys)) {
		snprintf(why, why_size, "identity.tag_keys: are no tag keys");
		return false;
	}
	s.identity = identity_new(config->identity.ca, config->identity.certificate,
				  config->identity.key, time(NULL), why, why_size);
	if (s.identity && trusts_system(config) && !identity_load_system()) {
		snprintf(why, why_size,
			 "relays[].trust: system: there are no CAs of this system; install "
			 "ca-certificates, or name a file of them in SSL_CERT_FILE");
		agent_self_free(&s);
		return false;
	}
	if (!s.identity || !setup_check_name(s.identity, config->name, transient, why, why_size) ||
	    !http_proxy_init(&s.proxy, config->proxy, why, why_size)) {
		agent_self_free(&s);
		return false;
	}
	s.dial_context = identity_dial_context(s.identity);
	s.inner_client = identity_inner_context(s.identity, false);
	s.inner_server = identity_inner_context(s.identity, true);
	if (!s.dial_context || !s.inner_client || !s.inner_server) {
		snprintf(why, why_size, "identity: out of memory");
		agent_self_free(&s);
		return false;
	}
	*out = s;
	return true;
}

void agent_self_free(struct agent_self *self)
{
	SSL_CTX_free(self->dial_context);
	SSL_CTX_free(self->inner_client);
	SSL_CTX_free(self->inner_server);
	identity_free(self->identity);
	OPENSSL_cleanse(&self->tag_keys, sizeof(self->tag_keys));
	*self = (struct agent_self){0};
}

void agent_setup_adopt(struct agent_setup *s, const struct agent_config *config,
		       struct agent_self *self)
{
	struct agent_self before = s->self;

	s->config = config;
	s->self = *self;
	*self = (struct agent_self){0};
	agent_self_free(&before); /* contexts live on in the connections that began with them */
}
