/* SPDX-License-Identifier: Apache-2.0 */
/*
 * renewal: a new key, made here, and the certificate that comes back for it.
 *
 * The key waits in memory: an agent that ends before its certificate comes makes another one when
 * it is asked again. With its certificate it becomes a part of the configuration in force, and is
 * kept in state_dir with that, whole or not at all.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/mem.h>

#include "agent/control/control_internal.h"
#include "core/engine/csr.h"
#include "core/engine/keyring.h"
#include "core/engine/renewed.h"
#include "core/log.h"

static struct agent_control *renewal_control(const struct call *c)
{
	return c->owner;
}

/* ---- a request ---- */

static void renewal_request_run(struct call *c)
{
	static const struct csr_hosts none;
	struct agent_control *ctl = renewal_control(c);
	const struct agent_config *config = ctl->rooms.setup->config;
	EVP_PKEY *key = NULL;
	char *pem = NULL;
	uint8_t *der;
	size_t len;

	if (!ctl->state) {
		call_fail(c, JSONRPC_REFUSED, NULL,
			  "this agent has no state_dir, where a key could be kept: write one into "
			  "its file, and start it again");
		return;
	}
	key = csr_new_key();
	/* Whose it is, the certificate in force tells: a request for no name. */
	if (key && csr_make(key, &none, &der, &len)) {
		pem = csr_pem(der, len);
		OPENSSL_free(der);
	}
	if (!pem) {
		EVP_PKEY_free(key);
		call_fail(c, JSONRPC_INTERNAL_ERROR, NULL, "out of memory");
		return;
	}
	EVP_PKEY_free(ctl->waiting_key);
	ctl->waiting_key = key;
	log_notice("control", "a key for this agent's identity has been made, by %s",
		   c->caller->who);
	call_answer(c, json_pack("{s:s, s:s, s:s}", "name", config->name, "request", pem,
				 "certificate", config->identity.certificate));
	free(pem);
}

/* ---- a certificate ---- */

static bool renewal_is_waited_for(const struct agent_control *ctl,
				  const uint8_t key[SIGNING_KEY_BYTES])
{
	uint8_t id[SIGNING_KEY_BYTES];

	return ctl->waiting_key && keyring_id(ctl->waiting_key, id) &&
	       memcmp(id, key, sizeof(id)) == 0;
}

/* What is in force with these two in it; owned, NULL without memory. */
static json_t *renewal_document(const struct agent_control *ctl, const char *certificate)
{
	json_t *document = json_deep_copy(changes_document(ctl->managed.configuring.changes));
	json_t *identity = json_object_get(document, "identity");
	char *key = csr_key_pem(ctl->waiting_key);
	bool ok = key && identity &&
		  json_object_set_new(identity, "certificate", json_string(certificate)) == 0 &&
		  json_object_set_new(identity, "key", json_string(key)) == 0;

	if (key)
		OPENSSL_cleanse(key, strlen(key));
	free(key);
	if (ok)
		return document;
	json_decref(document);
	return NULL;
}

static void renewal_install_run(struct call *c)
{
	struct agent_control *ctl = renewal_control(c);
	const struct agent_config *config = ctl->rooms.setup->config;
	const char *pem = json_string_value(json_object_get(c->params, "certificate"));
	uint8_t key[SIGNING_KEY_BYTES];
	char why[RENEWED_WHY_BYTES];

	if (!renewed_identity(config->identity.ca, config->identity.certificate, pem, time(NULL),
			      key, why)) {
		call_fail(c, JSONRPC_REFUSED, NULL, "%s", why);
		return;
	}
	if (!renewal_is_waited_for(ctl, key)) {
		call_fail(c, JSONRPC_REFUSED, NULL,
			  "the certificate is for a key that this agent does not have: it has to "
			  "be made from its last request, since its last start");
		return;
	}
	if (!config_call_put(c, renewal_document(ctl, pem), "a certificate for a new key"))
		return;
	EVP_PKEY_free(ctl->waiting_key);
	ctl->waiting_key = NULL;
}

void agent_renewal_free(struct agent_control *ctl)
{
	EVP_PKEY_free(ctl->waiting_key);
	ctl->waiting_key = NULL;
}

/* ---- the table ---- */

static const struct method_param install_params[] = {
	{"certificate", "string", true, "as PEM; those between it and its CA behind it"},
	{.name = NULL},
};

const struct method agent_renewal_methods[] = {
	{.name = "identity.request",
	 .level = CALLER_ADMIN,
	 .run = renewal_request_run,
	 .help = "make a new key, which stays here, and a signing request for it",
	 .result = "{name, request: PEM, certificate: the one in force}"},
	{.name = "identity.install",
	 .level = CALLER_ADMIN,
	 .run = renewal_install_run,
	 .help = "put a certificate for the requested key in force, and keep both",
	 .params = install_params,
	 .result = "{revision, diff, restart, warnings, unsaved?}, as config.apply"},
	{.name = NULL},
};
