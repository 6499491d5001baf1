/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki_running: new keys and certificates for a relay or an agent that runs.
 *
 *   renew         where the CA is: asks for a request, signs it, brings the certificate back
 *   request       prints the request, for a CA that is elsewhere, or a public one
 *   certificate   brings what that CA has answered
 *
 * The key is made at the relay or agent, and stays there. What renew signs is what the CA has
 * signed before, for the new key: a relay that lies about its names gains nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>
#include <openssl/err.h>

#include "core/engine/certificate.h"
#include "core/engine/identity.h"
#include "core/parse/wire.h"
#include "core/utc.h"
#include "ctl/pki/pki.h"
#include "ctl/pki/store.h"
#include "ctl/talk/connection.h"
#include "ctl/terminal/files.h"

#define CERTIFICATE_FILE_MAX 65536u

static const struct option_row renew_options[] = {
	{"--expires", "TIME", false, "as 12h, 30d, 4w, 2y (relay: 398d, agent: 30d)"},
	{NULL, NULL, false, NULL},
};

static const struct option_row request_options[] = {
	{"--front", NULL, false, "for the certificate that strangers are shown (tls.certificate)"},
	{"--host", "HOST", true, "with --front: a DNS name (those of the one in force)"},
	{"--out", "FILE", false, "what to write; - is standard output (standard output)"},
	{"--force", NULL, false, "replace FILE when it exists"},
	{NULL, NULL, false, NULL},
};

static const struct option_row certificate_options[] = {
	{"--front", NULL, false, "for the certificate that strangers are shown (tls.certificate)"},
	{"--force", NULL, false,
	 "with --front: even for other names than now, or if it cuts you off"},
	{NULL, NULL, false, NULL},
};

/* ---- what is told ---- */

static void tell_in_force(const struct connection *conn, const json_t *result, const char *until)
{
	const char *unsaved = json_string_value(json_object_get(result, "unsaved"));

	printf("%s: a new certificate is in force%s%s; its key was made there, and stays there\n",
	       conn->label, until ? ", valid until " : "", until ? until : "");
	if (unsaved)
		complain("%s could not keep it for its next start (state_dir): %s; mend that and "
			 "do it again",
			 conn->label, unsaved);
}

/* The call's text, borrowed from result, or NULL after telling. */
static const char *text_of(const struct connection *conn, const json_t *result, const char *key)
{
	const char *text = json_string_value(json_object_get(result, key));

	if (!text)
		complain("%s: its answer has no \"%s\"", conn->label, key);
	return text;
}

/* ---- renew ---- */

/* One of the CAs of this text has signed it. */
static bool signed_by(const char *ca_pem, X509 *old)
{
	STACK_OF(X509) *list = certificates_of_pem(ca_pem);
	bool ok = false;

	for (size_t i = 0; list && !ok && i < sk_X509_num(list); i++) {
		EVP_PKEY *ca = X509_get_pubkey(sk_X509_value(list, i));

		ok = ca && X509_verify(old, ca) == 1;
		EVP_PKEY_free(ca);
	}
	sk_X509_pop_free(list, X509_free);
	ERR_clear_error();
	return ok;
}

/* Whether it is that of what was asked: of the agent of this name, of a relay where it is NULL. */
static bool is_of(X509 *old, const char *agent)
{
	struct identity_peer peer;
	bool named = identity_of_certificate(old, &peer);

	if (!agent)
		return !named;
	return named && peer.role == IDENTITY_AGENT && strcmp(peer.name, agent) == 0;
}

/* The new certificate, as PEM, owned and recorded; NULL after telling. */
static char *renew_sign(const struct arguments *a, const struct pki_store *store,
			const struct connection *conn, const char *agent, const json_t *answer,
			struct pki_record *record)
{
	const char *request = text_of(conn, answer, "request");
	const char *certificate = request ? text_of(conn, answer, "certificate") : NULL;
	EVP_PKEY *key = certificate ? csr_key(request) : NULL;
	X509 *old = certificate ? certificate_of_pem(certificate) : NULL;
	const char *name;
	char *pem = NULL;

	if (!certificate)
		;
	else if (!key || !old)
		complain("%s: sent no request and certificate that can be read", conn->label);
	else if (!signed_by(store->pem, old))
		complain("%s: its certificate was not signed by the CA in %s; 'postern pki sign' "
			 "makes one by the names that you give",
			 conn->label, store->directory);
	else if (!is_of(old, agent))
		complain("%s: its certificate is not that of %s", conn->label,
			 agent ? agent : "a relay");
	else
		pem = pki_renewed(a, store, old, key, record);
	/* Its certificate has hosts alone. */
	name = json_string_value(json_object_get(answer, "name"));
	if (pem && !agent && name && wire_is_agent_name(name))
		snprintf(record->name, sizeof(record->name), "%s", name);
	if (pem && !pki_store_record(store, record)) {
		free(pem);
		pem = NULL;
	}
	X509_free(old);
	EVP_PKEY_free(key);
	return pem;
}

static enum status renew_at(const struct arguments *a, struct connection *conn,
			    const struct pki_store *store, const char *agent)
{
	json_t *answer = connection_call(conn, "identity.request", NULL), *result = NULL;
	struct pki_record record = {.not_after = 0};
	char *pem = answer ? renew_sign(a, store, conn, agent, answer, &record) : NULL;
	char until[UTC_TEXT_BYTES];

	if (pem)
		result = connection_call(conn, "identity.install",
					 json_pack("{s:s}", "certificate", pem));
	if (result)
		tell_in_force(conn, result, utc_text(record.not_after, until));
	free(pem);
	json_decref(answer);
	json_decref(result);
	return result ? STATUS_OK : STATUS_FAILED;
}

static enum status renew_running(const struct arguments *a, const char *agent)
{
	const char *directory = a->words[a->word_count - 1];
	enum status status = STATUS_FAILED;
	struct pki_store store;
	struct connection conn;

	if (!pki_store_open(directory, true, &store))
		return status;
	if (agent ? connection_open_agent(a, agent, &conn) : connection_open_relay(a, &conn)) {
		status = renew_at(a, &conn, &store, agent);
		connection_close(&conn);
	}
	pki_store_close(&store);
	return status;
}

static enum status relay_run_renew(const struct arguments *a)
{
	return renew_running(a, NULL);
}

static enum status agent_run_renew(const struct arguments *a)
{
	return renew_running(a, a->words[0]);
}

/* ---- request and certificate ---- */

/* False after saying what is wrong. */
static bool request_params(const struct arguments *a, json_t **out)
{
	bool front = arguments_flag(a, "--front");
	static struct csr_hosts hosts;
	json_t *list;

	if (!pki_take_hosts(a, &hosts))
		return false;
	if (hosts.count && !front) {
		complain_usage(a->command, "--host is for --front: without it the relay keeps the "
					   "names that it has");
		return false;
	}
	*out = json_pack("{s:s}", "for", front ? "front" : "identity");
	if (!hosts.count)
		return true;
	list = json_array();
	for (size_t i = 0; i < hosts.count; i++)
		json_array_append_new(list, json_string(hosts.list[i]));
	json_object_set_new(*out, "hosts", list);
	return true;
}

static enum status relay_run_request(const struct arguments *a)
{
	const char *out = arguments_text(a, "--out", "-"), *pem;
	bool force = arguments_flag(a, "--force"), ok = false;
	struct connection conn;
	json_t *params, *answer;

	if (!request_params(a, &params))
		return STATUS_USAGE;
	if ((strcmp(out, "-") != 0 && !force && !files_absent(out)) ||
	    !connection_open_relay(a, &conn)) {
		json_decref(params);
		return STATUS_FAILED;
	}
	answer = connection_call(&conn, "identity.request", params);
	pem = answer ? text_of(&conn, answer, "request") : NULL;
	if (pem)
		ok = files_write_out(out, pem, 0644, force);
	if (ok && strcmp(out, "-") != 0)
		printf("%s: a request for %s; its key stays there\n", out, conn.label);
	json_decref(answer);
	connection_close(&conn);
	return ok ? STATUS_OK : STATUS_FAILED;
}

/* This console could come back. What is no certificate the relay names as such. */
static bool accepts_front(const struct connection *conn, const char *pem)
{
	const struct agent_relay *relay = conn->relay;
	STACK_OF(X509) *chain = certificates_of_pem(pem);
	struct identity *id = NULL;
	char why[512];
	bool accepts = !relay || sk_X509_num(chain) == 0;

	if (!accepts)
		id = identity_new(conn->config.identity.ca, conn->config.identity.certificate, NULL,
				  time(NULL), why, sizeof(why));
	if (id)
		accepts = identity_foresees_relay(id, chain, relay->address.host,
						  relay->trust == AGENT_TRUST_SYSTEM, time(NULL),
						  why, sizeof(why));
	identity_free(id);
	sk_X509_pop_free(chain, X509_free);
	if (!accepts)
		complain("%s: this console would be cut off: %s; or use --force", conn->label, why);
	return accepts;
}

static enum status relay_run_certificate(const struct arguments *a)
{
	bool front = arguments_flag(a, "--front"), force = arguments_flag(a, "--force");
	char *pem = files_read(a->words[0], CERTIFICATE_FILE_MAX);
	struct connection conn;
	json_t *result = NULL;

	if (force && !front) {
		complain_usage(a->command, "--force is for --front");
		free(pem);
		return STATUS_USAGE;
	}
	if (pem && connection_open_relay(a, &conn)) {
		if (!front || force || accepts_front(&conn, pem))
			result = connection_call(
				&conn, "identity.install",
				json_pack("{s:s, s:s, s:b}", "for", front ? "front" : "identity",
					  "certificate", pem, "force", (int)force));
		if (result)
			tell_in_force(&conn, result, NULL);
		if (result && front)
			complain(
				"note: agents and consoles accept a certificate of another CA than "
				"their own where 'trust: system' stands at this relay in their "
				"files, and refuse it elsewhere");
		connection_close(&conn);
	}
	free(pem);
	json_decref(result);
	return result ? STATUS_OK : STATUS_FAILED;
}

/* ---- the commands ---- */

const struct command pki_relay_commands[] = {
	{"relay renew", "DIR", 1, 1,
	 "Gives a running relay a new key, made there, and a certificate of the CA in DIR.",
	 renew_options, relay_run_renew},
	{"relay request", "", 0, 0,
	 "Has a relay make a new key, and prints its request for a certificate.", request_options,
	 relay_run_request},
	{"relay certificate", "FILE", 1, 1,
	 "Brings a relay the certificate for a key that it was asked to make.", certificate_options,
	 relay_run_certificate},
	{.name = NULL},
};

const struct command pki_agent_commands[] = {
	{"agent renew", "AGENT DIR", 2, 2,
	 "Gives a running agent a new key, made there, and a certificate of the CA in DIR.",
	 renew_options, agent_run_renew},
	{.name = NULL},
};
