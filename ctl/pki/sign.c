/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki_sign: a certificate for a key that was made where it is used, and stays there.
 *
 * Of the request only the public key is taken. Whose certificate it becomes is said on the command
 * line: the request may have come from a machine that was taken over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/engine/certificate.h"
#include "core/engine/csr.h"
#include "core/parse/wire.h"
#include "core/utc.h"
#include "ctl/pki/make.h"
#include "ctl/pki/pki.h"
#include "ctl/terminal/files.h"

const struct option_row pki_sign_options[] = {
	{"--host", "HOST", true, "relay: a DNS name or address that agents dial; at least one"},
	{"--expires", "TIME", false, "as 12h, 30d, 4w, 2y (relay: 398d, agent: 30d, console: 90d)"},
	{"--out", "FILE", false, "what to write; - is standard output (standard output)"},
	{"--force", NULL, false, "replace FILE when it exists"},
	{NULL, NULL, false, NULL},
};

bool pki_take_hosts(const struct arguments *a, struct csr_hosts *out)
{
	const char *value;
	size_t at = 0;

	out->count = 0;
	while ((value = arguments_next(a, "--host", &at))) {
		if (out->count == CSR_HOSTS_MAX) {
			complain("more than %u times --host", CSR_HOSTS_MAX);
			return false;
		}
		if (csr_add_host(out, value, strlen(value)))
			continue;
		complain_usage(a->command, "--host: '%s' is no DNS name or address (without port)",
			       value);
		return false;
	}
	return true;
}

/* What a certificate is asked for, by the words of the command. */
struct sign_request {
	struct pki_request pki;
	struct csr_hosts hosts;
	const char *list[CSR_HOSTS_MAX];
};

static bool sign_take(const struct arguments *a, struct sign_request *r)
{
	const char *word = a->words[1], *name = a->words[2];

	if (!pki_role(word, &r->pki.role)) {
		complain_usage(a->command, "'%s' is no role; there are relay, agent and console",
			       word);
		return false;
	}
	if (!wire_is_agent_name(name)) {
		complain_usage(a->command, "'%s' is no name; write " WIRE_AGENT_NAME_RULE, name);
		return false;
	}
	if (!pki_take_hosts(a, &r->hosts))
		return false;
	if ((r->pki.role == IDENTITY_RELAY) != (r->hosts.count > 0)) {
		complain_usage(a->command,
			       r->hosts.count ? "--host is not for %s" : "%s needs --host",
			       r->hosts.count ? word : "a relay");
		return false;
	}
	for (size_t i = 0; i < r->hosts.count; i++)
		r->list[i] = r->hosts.list[i];
	r->pki.name = name;
	r->pki.hosts = r->list;
	r->pki.host_count = r->hosts.count;
	return true;
}

static bool sign_deliver(const struct arguments *a, const struct pki_store *store,
			 const struct sign_request *r, X509 *x)
{
	const char *out = arguments_text(a, "--out", "-");
	struct pki_record record = {.not_after = r->pki.not_after};
	char *pem = pki_certificate_pem(x), date[UTC_TEXT_BYTES];
	bool ok;

	snprintf(record.role, sizeof(record.role), "%s", a->words[1]);
	snprintf(record.name, sizeof(record.name), "%s", r->pki.name);
	if (!pem)
		complain("out of memory");
	ok = pem && certificate_serial(x, record.serial) && pki_store_record(store, &record) &&
	     files_write_out(out, pem, 0644, arguments_flag(a, "--force"));
	if (ok && strcmp(out, "-") != 0)
		printf("%s: %s %s, valid until %s\n", out, record.role, record.name,
		       utc_text(record.not_after, date));
	free(pem);
	return ok;
}

static bool sign_key(const struct arguments *a, const struct pki_store *store,
		     struct sign_request *r, EVP_PKEY *key)
{
	time_t now = time(NULL);
	X509 *x;
	bool ok;

	if (!pki_until(a, store, r->pki.role, now, &r->pki.not_after))
		return false;
	r->pki.not_before = now - CERTIFICATE_BACKDATE_S;
	x = pki_make_certificate(&r->pki, key, store->ca, store->key);
	if (!x)
		complain("cannot make the certificate");
	ok = x && sign_deliver(a, store, r, x);
	X509_free(x);
	return ok;
}

enum status pki_sign_run(const struct arguments *a)
{
	static struct sign_request r;
	struct pki_store store;
	EVP_PKEY *key;
	char *text;
	bool ok = false;

	r = (struct sign_request){.hosts.count = 0};
	if (!sign_take(a, &r))
		return STATUS_USAGE;
	text = files_read(a->words[3], CSR_PEM_MAX);
	if (!text)
		return STATUS_FAILED;
	key = csr_key(text);
	free(text);
	if (!key) {
		complain("%s: is no request for a certificate in PEM that its own key has signed",
			 a->words[3]);
		return STATUS_FAILED;
	}
	if (pki_store_open(a->words[0], true, &store)) {
		ok = sign_key(a, &store, &r, key);
		pki_store_close(&store);
	}
	EVP_PKEY_free(key);
	return ok ? STATUS_OK : STATUS_FAILED;
}
