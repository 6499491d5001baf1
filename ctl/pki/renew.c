/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki_renew: a new certificate for the key that a relay, an agent or a console has.
 *
 * The key stays where it is. What is signed is read from the certificate that the file has: names,
 * uses and the public key; so a configuration that 'config get' printed, in which the key is
 * hidden, can be renewed and applied. Whoever presents a certificate has proved its key.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "core/engine/certificate.h"
#include "core/engine/identity.h"
#include "core/utc.h"
#include "ctl/pki/make.h"
#include "ctl/pki/pki.h"
#include "ctl/pki/store.h"
#include "ctl/terminal/files.h"
#include "ctl/terminal/units.h"

#define FILE_MAX (4u << 20)
#define BEGIN	 "-----BEGIN CERTIFICATE-----"
#define END	 "-----END CERTIFICATE-----"

const struct option_row pki_renew_options[] = {
	{"--expires", "TIME", false, "as 12h, 30d, 4w, 2y (relay: 398d, agent: 30d, console: 90d)"},
	{"--out", "FILE", false, "what to write; - is standard output (FILE itself)"},
	{NULL, NULL, false, NULL},
};

/* ---- the certificate in a file ---- */

/* The lines of a block of PEM in a text, each behind the same indent. */
struct block {
	const char *from, *to; /* to: behind the last line */
	int indent;
};

static bool next_block(const char *text, struct block *b)
{
	const char *begin = strstr(text, BEGIN), *end = begin ? strstr(begin, END) : NULL;

	if (!end)
		return false;
	b->from = begin;
	while (b->from > text && b->from[-1] == ' ')
		b->from--;
	b->indent = (int)(begin - b->from);
	end = strchr(end, '\n');
	b->to = end ? end + 1 : begin + strlen(begin);
	return true;
}

/* Owned; NULL when it is no certificate. */
static X509 *block_certificate(const struct block *b)
{
	char *pem = malloc((size_t)(b->to - b->from) + 2);
	size_t n = 0;
	X509 *x;

	if (!pem)
		return NULL;
	for (const char *p = b->from; p < b->to; p++)
		if (*p != ' ' || (n > 0 && pem[n - 1] != '\n'))
			pem[n++] = *p;
	pem[n] = '\0';
	x = certificate_of_pem(pem);
	free(pem);
	return x;
}

/* The first certificate that is no CA's: identity.ca stands before identity.certificate. */
static X509 *find_certificate(const char *text, struct block *b)
{
	for (; next_block(text, b); text = b->to) {
		X509 *x = block_certificate(b);

		if (x && X509_check_ca(x) == 0)
			return x;
		X509_free(x);
	}
	return NULL;
}

/* The CAs in a text, of which a certificate alone has none, have that of the store among them. */
static bool knows_ca(const char *text, X509 *ca)
{
	bool any = false, known = false;
	struct block b;

	for (; !known && next_block(text, &b); text = b.to) {
		X509 *x = block_certificate(&b);

		if (x && X509_check_ca(x) != 0) {
			any = true;
			known = X509_cmp(x, ca) == 0;
		}
		X509_free(x);
	}
	return known || !any;
}

/* The text with pem in the block's place, owned; NULL without memory. */
static char *replace_block(const char *text, const struct block *b, const char *pem)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	if (!f)
		return NULL;
	fprintf(f, "%.*s", (int)(b->from - text), text);
	while (*pem) {
		size_t line = strcspn(pem, "\n");

		fprintf(f, "%*s%.*s\n", b->indent, "", (int)line, pem);
		pem += line + (pem[line] == '\n');
	}
	fputs(b->to, f);
	if (fclose(f) != 0) {
		free(out);
		return NULL;
	}
	return out;
}

/* ---- what it is for ---- */

static const char *const lives[] = {
	[IDENTITY_RELAY] = "398d", [IDENTITY_AGENT] = "30d", [IDENTITY_CONSOLE] = "90d"};
static const char *const role_words[] = {
	[IDENTITY_RELAY] = "relay", [IDENTITY_AGENT] = "agent", [IDENTITY_CONSOLE] = "console"};

const char *pki_life(enum identity_role role)
{
	return lives[role];
}

static enum identity_role renewed_for(X509 *x, struct pki_record *record)
{
	enum identity_role role = IDENTITY_RELAY;
	struct identity_peer peer;
	char text[CERTIFICATE_TEXT_BYTES];

	if (identity_of_certificate(x, &peer)) {
		role = peer.role;
		snprintf(record->name, sizeof(record->name), "%s", peer.name);
	} else {
		certificate_name_text(X509_get_subject_name(x), true, text);
		snprintf(record->name, sizeof(record->name), "%.63s", text);
	}
	snprintf(record->role, sizeof(record->role), "%s", role_words[role]);
	return role;
}

bool pki_role(const char *word, enum identity_role *out)
{
	for (unsigned i = 0; i < sizeof(role_words) / sizeof(role_words[0]); i++) {
		if (strcmp(role_words[i], word) != 0)
			continue;
		*out = (enum identity_role)i;
		return true;
	}
	return false;
}

bool pki_until(const struct arguments *a, const struct pki_store *store, enum identity_role role,
	       time_t now, time_t *until)
{
	const char *life = arguments_text(a, "--expires", lives[role]);
	uint64_t life_s;

	if (!units_parse_span(life, &life_s)) {
		complain_usage(a->command, "--expires: '%s' is not a time like 12h, 30d, 4w or 2y",
			       life);
		return false;
	}
	return pki_store_end(store, now, life_s, until);
}

char *pki_renewed(const struct arguments *a, const struct pki_store *store, X509 *old,
		  EVP_PKEY *key, struct pki_record *record)
{
	time_t now = time(NULL);
	char *pem = NULL;
	X509 *x;

	if (!pki_until(a, store, renewed_for(old, record), now, &record->not_after))
		return NULL;
	x = pki_make_again(old, key, now - CERTIFICATE_BACKDATE_S, record->not_after, store->ca,
			   store->key);
	if (x && certificate_serial(x, record->serial))
		pem = pki_certificate_pem(x);
	if (!pem)
		complain("cannot make the certificate");
	X509_free(x);
	return pem;
}

static enum status renew(const struct arguments *a, const struct pki_store *store, const char *text)
{
	const char *out = arguments_text(a, "--out", a->words[1]);
	struct pki_record record = {.not_after = 0};
	enum status status = STATUS_FAILED;
	char *pem = NULL, *renewed = NULL, date[UTC_TEXT_BYTES];
	struct block block;
	X509 *old = find_certificate(text, &block);
	EVP_PKEY *ca = X509_get_pubkey(store->ca);

	if (!old) {
		complain("%s: has no certificate of a relay, an agent or a console", a->words[1]);
		goto out;
	}
	if (!knows_ca(text, store->ca)) {
		complain("%s: its identity.ca lacks the CA that signs now; put the text of "
			 "%s/ca.pem there first, or issue a new file",
			 a->words[1], store->directory);
		goto out;
	}
	if (ca && X509_verify(old, ca) != 1)
		complain("note: the certificate in %s was signed by another CA", a->words[1]);
	ERR_clear_error();
	pem = pki_renewed(a, store, old, NULL, &record);
	renewed = pem ? replace_block(text, &block, pem) : NULL;
	if (!renewed || !pki_store_record(store, &record) ||
	    !files_write_out(out, renewed, 0600, true))
		goto out;
	if (strcmp(out, "-") != 0)
		printf("%s: %s %s, valid until %s, for the same key\n", out, record.role,
		       record.name, utc_text(record.not_after, date));
	status = STATUS_OK;
out:
	pki_free_secret(renewed);
	free(pem);
	X509_free(old);
	EVP_PKEY_free(ca);
	return status;
}

enum status pki_renew_run(const struct arguments *a)
{
	enum status status = STATUS_FAILED;
	struct pki_store store;
	char *text = files_read(a->words[1], FILE_MAX);

	if (text && strstr(text, "PRIVATE KEY")) { /* what 'config get' prints has none */
		pki_free_secret(text);
		text = files_read_key(a->words[1], FILE_MAX);
	}
	if (text && pki_store_open(a->words[0], true, &store)) {
		status = renew(a, &store, text);
		pki_store_close(&store);
	}
	pki_free_secret(text);
	return status;
}
