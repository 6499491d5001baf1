/* SPDX-License-Identifier: Apache-2.0 */
/*
 * methods_identity: new keys, which the signer makes and keeps, and the certificates for them.
 *
 *   identity.request   the signer makes a key; its signing request goes out
 *   identity.install   the certificate comes back, and is put in force as any change is: workers
 *                      take up the new snapshot, sessions go on, and it is kept for the next start
 *
 * Only when that is kept, the key before goes (relay/signer/made.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/mem.h>

#include "core/engine/certificate.h"
#include "core/engine/csr.h"
#include "core/engine/keyring.h"
#include "core/engine/renewed.h"
#include "core/log.h"
#include "core/memory.h"
#include "relay/control/control_internal.h"

/* ---- what it is about ---- */

/* Ends the call and returns false where it is neither. */
static bool identity_use(struct call *c, enum signing_use *use)
{
	const char *word = json_string_value(json_object_get(c->params, "for"));

	*use = word && strcmp(word, "front") == 0 ? SIGNING_FRONT : SIGNING_IDENTITY;
	if (!word || *use == SIGNING_FRONT || strcmp(word, "identity") == 0)
		return true;
	call_fail(c, JSONRPC_INVALID_PARAMS, NULL, "\"for\" is identity or front");
	return false;
}

/* What strangers are shown: it has the names that the relay has. */
static const char *identity_shown(const struct relay_control *ctl)
{
	const struct relay_config *config = &ctl->current->config;

	if (config->tls.certificate)
		return config->tls.certificate;
	return ctl->front_pem ? ctl->front_pem : config->identity.certificate;
}

/* The key of the certificate that has the place which a new one is to take; zeros: none has. */
static void identity_key_in_force(const struct relay_control *ctl, enum signing_use use,
				  uint8_t key[SIGNING_KEY_BYTES])
{
	const struct snapshot *s = ctl->current;

	memset(key, 0, SIGNING_KEY_BYTES);
	if (use == SIGNING_IDENTITY)
		identity_key_id(s->identity, key);
	else if (s->config.tls.certificate)
		front_certificate_key_id(s->front_certificate, key);
}

/* ---- a request ---- */

/* The certificate in force may be for addresses, too; a public CA signs DNS names. */
static void drop_addresses(struct csr_hosts *hosts)
{
	size_t kept = 0;
	struct addr address;

	for (size_t i = 0; i < hosts->count; i++)
		if (!addr_from_literal(hosts->list[i], 1, &address))
			memmove(hosts->list[kept++], hosts->list[i], sizeof hosts->list[i]);
	hosts->count = kept;
}

/* NULL: hosts has them; or a sentence. */
static const char *take_hosts(const json_t *list, struct csr_hosts *hosts)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		const char *text = json_string_value(one);

		if (!text || !csr_add_host(hosts, text, json_string_length(one)))
			return "\"hosts\" are at most 64 DNS names or addresses, without wildcards";
	}
	return NULL;
}

static const char *identity_hosts(const struct relay_control *ctl, enum signing_use use,
				  const json_t *wanted, struct csr_hosts *hosts)
{
	X509 *x;
	bool ok;

	hosts->count = 0;
	if (use == SIGNING_IDENTITY && wanted)
		return "\"hosts\" are for front: a certificate of identity has the names of the "
		       "one before";
	if (wanted)
		return take_hosts(wanted, hosts);
	x = certificate_of_pem(use == SIGNING_FRONT ? identity_shown(ctl)
						    : ctl->current->config.identity.certificate);
	ok = x && csr_hosts_of(x, hosts);
	X509_free(x);
	if (!ok)
		return "the certificate in force is for something else than DNS names and "
		       "addresses; name \"hosts\"";
	if (use == SIGNING_FRONT)
		drop_addresses(hosts);
	return hosts->count ? NULL : "the certificate in force has no DNS name; name \"hosts\"";
}

static const char *make_failed(int error)
{
	switch (error) {
	case -ENOTDIR:
		return "this relay has no state_dir, where a key could be kept: write one into its "
		       "file, and start it again";
	case -EMSGSIZE:
		return "these names are too long together";
	default:
		return strerror(-error);
	}
}

static void identity_answer_request(struct call *c, enum signing_use use, char *pem,
				    const struct csr_hosts *hosts)
{
	const struct relay_control *ctl = control_of(c);
	json_t *names = json_array();

	for (size_t i = 0; i < hosts->count; i++)
		json_array_append_new(names, json_string(hosts->list[i]));
	log_notice("control", "a key for %s has been made, by %s",
		   use == SIGNING_FRONT ? "the front door" : "this relay's identity",
		   c->caller->who);
	call_answer(c, json_pack("{s:s, s:s, s:s, s:o}", "name", ctl->current->config.name,
				 "request", pem, "certificate",
				 use == SIGNING_FRONT ? identity_shown(ctl)
						      : ctl->current->config.identity.certificate,
				 "hosts", names));
}

static void identity_request_run(struct call *c)
{
	struct relay_control *ctl = control_of(c);
	struct csr_hosts *hosts = memory_zeroed(sizeof *hosts);
	uint8_t key[SIGNING_KEY_BYTES];
	enum signing_use use;
	char *der = NULL, *pem = NULL;
	const char *wrong;
	size_t len = 0;
	int error;

	if (!identity_use(c, &use))
		goto out;
	wrong = hosts ? identity_hosts(ctl, use, json_object_get(c->params, "hosts"), hosts)
		      : "out of memory";
	if (wrong) {
		call_fail(c, JSONRPC_INVALID_PARAMS, NULL, "%s", wrong);
		goto out;
	}
	if (ctl->managed.configuring.spares) {
		call_fail(c, JSONRPC_REFUSED, NULL,
			  "what consoles had changed is not in force, a renewed certificate among "
			  "it perhaps: mend the relay's file and start it again first");
		goto out;
	}
	/* A further key could take the place of the one that is gone back to. */
	if (changes_rollback(ctl->managed.configuring.changes)) {
		call_fail(c, JSONRPC_BUSY, NULL,
			  "a change waits for its confirmation; confirm it or let it roll back "
			  "first");
		goto out;
	}
	identity_key_in_force(ctl, use, key);
	error = signer_make(ctl->signer, use, key, hosts, &der, &len);
	if (!error)
		pem = csr_pem((const uint8_t *)der, len);
	if (pem)
		identity_answer_request(c, use, pem, hosts);
	else
		call_fail(c, JSONRPC_REFUSED, NULL, "no key has been made: %s",
			  make_failed(error ? error : -ENOMEM));
out:
	free(pem);
	memory_free(der);
	memory_free(hosts);
}

/* ---- a certificate ---- */

static bool identity_judge(struct call *c, enum signing_use use, const char *pem,
			   uint8_t key[SIGNING_KEY_BYTES])
{
	struct relay_control *ctl = control_of(c);
	const struct relay_config *config = &ctl->current->config;
	bool force = json_is_true(json_object_get(c->params, "force"));
	char why[RENEWED_WHY_BYTES];
	bool ok = use == SIGNING_FRONT
			  ? renewed_front(identity_shown(ctl), pem, force, time(NULL), key, why)
			  : renewed_identity(config->identity.ca, config->identity.certificate, pem,
					     time(NULL), key, why);
	int error = ok ? signer_has(ctl->signer, key, use) : 0;

	if (!ok)
		call_fail(c, JSONRPC_REFUSED, NULL, "%s", why);
	else if (error == -ENOKEY)
		call_fail(c, JSONRPC_REFUSED, NULL,
			  "the certificate is for a key that this relay does not have: it has to "
			  "be made from one of its last requests");
	else if (error)
		call_fail(c, JSONRPC_INTERNAL_ERROR, NULL, "the relay's signer does not answer: %s",
			  strerror(-error));
	return ok && !error;
}

/* What is in force with this certificate in it; owned, NULL without memory. */
static json_t *identity_document(const struct relay_control *ctl, enum signing_use use,
				 const char *pem)
{
	json_t *document = json_deep_copy(changes_document(ctl->managed.configuring.changes));
	const char *map = use == SIGNING_FRONT ? "tls" : "identity";
	json_t *at = json_object_get(document, map);

	if (document && !at) {
		at = json_object();
		(void)json_object_set_new(document, map, at);
	}
	if (at && json_object_set_new(at, "certificate", json_string(pem)) == 0)
		return document;
	json_decref(document);
	return NULL;
}

static void identity_install_run(struct call *c)
{
	struct relay_control *ctl = control_of(c);
	const char *pem = json_string_value(json_object_get(c->params, "certificate"));
	uint8_t key[SIGNING_KEY_BYTES];
	enum signing_use use;
	int error;

	if (!identity_use(c, &use) || !identity_judge(c, use, pem, key) ||
	    !config_call_put(c, identity_document(ctl, use, pem),
			     use == SIGNING_FRONT ? "a certificate for the front door"
						  : "a certificate for a new key"))
		return;
	error = signer_keep(ctl->signer, use, key);
	if (error)
		log_warning("control", "the keys of before are still in state_dir: %s",
			    strerror(-error));
}

/* ---- what is in force ---- */

/* {key, made, expires}; owned. The id of the key is for people, who compare. */
static json_t *identity_told(struct relay_control *ctl, enum signing_use use, time_t expires)
{
	uint8_t key[SIGNING_KEY_BYTES];
	char hex[2 * SIGNING_KEY_BYTES + 1];

	identity_key_in_force(ctl, use, key);
	for (size_t i = 0; i < sizeof key; i++)
		snprintf(hex + 2 * i, 3, "%02x", key[i]);
	return json_pack("{s:s, s:b, s:I}", "key", hex, "made",
			 signer_made(ctl->signer, key, use) == 1, "expires", (json_int_t)expires);
}

static void identity_show_run(struct call *c)
{
	struct relay_control *ctl = control_of(c);
	const struct snapshot *s = ctl->current;
	json_t *result =
		json_pack("{s:o}", "identity",
			  identity_told(ctl, SIGNING_IDENTITY, identity_not_after(s->identity)));

	if (s->config.tls.certificate)
		json_object_set_new(
			result, "front",
			identity_told(ctl, SIGNING_FRONT,
				      front_certificate_validity(s->front_certificate).not_after));
	call_answer(c, result);
}

/* ---- the table ---- */

#define FOR                                                                                        \
	{                                                                                          \
		"for", "string", false,                                                            \
			"identity (when absent), or front: what the front door presents"           \
	}

static const struct method_param request_params[] = {
	FOR,
	{"hosts", "array", false, "for front: DNS names and addresses; as now when absent"},
	{.name = NULL},
};

static const struct method_param install_params[] = {
	FOR,
	{"certificate", "string", true, "as PEM; those between it and its CA behind it"},
	{"force", "boolean", false, "for front: even if it is for other names than now"},
	{.name = NULL},
};

const struct method methods_identity[] = {
	{.name = "identity.show",
	 .level = CALLER_READ,
	 .run = identity_show_run,
	 .help = "the keys in force, and whether the relay has made them",
	 .result = "{identity: {key: SHA-256 of its public half, made, expires}, front?: the same "
		   "of tls.certificate}"},
	{.name = "identity.request",
	 .level = CALLER_ADMIN,
	 .run = identity_request_run,
	 .help = "make a new key, which stays with the relay's signer, and a signing request for "
		 "it",
	 .params = request_params,
	 .result = "{name, request: PEM, certificate: the one in force, hosts}"},
	{.name = "identity.install",
	 .level = CALLER_ADMIN,
	 .run = identity_install_run,
	 .help = "put a certificate for a requested key in force, and keep it",
	 .params = install_params,
	 .result = "{revision, diff, restart, warnings, unsaved?}, as config.apply"},
	{.name = NULL},
};
