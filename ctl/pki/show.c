/* SPDX-License-Identifier: Apache-2.0 */
/* pki_show: whose a file is and until when, or what a CA has issued. Reads no keys but to skip
 * them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <jansson.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/x509v3.h>

#include "core/conf/conf.h"
#include "core/engine/certificate.h"
#include "core/engine/identity.h"
#include "core/log.h"
#include "core/utc.h"
#include "ctl/pki/pki.h"
#include "ctl/terminal/files.h"
#include "ctl/pki/store.h"

const struct option_row pki_show_options[] = {
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

/* ---- gathering ---- */

static void set_text(json_t *object, const char *key, const char *text)
{
	json_t *value = json_string(text);

	/* Not UTF-8, so not ours to have written. */
	json_object_set_new(object, key, value ? value : json_string("?"));
}

static void set_time(json_t *object, const char *key, time_t t)
{
	char date[UTC_TEXT_BYTES];

	set_text(object, key, utc_text(t, date));
}

/* "a, b" as ["a", "b"] */
static void set_list(json_t *object, const char *key, char *text)
{
	json_t *list = json_array();
	char *one;

	while ((one = strsep(&text, ",")))
		json_array_append_new(list, json_string(one + strspn(one, " ")));
	json_object_set_new(object, key, list);
}

static void set_fingerprint(json_t *object, X509 *x)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	char text[3 * EVP_MAX_MD_SIZE] = "";
	unsigned len = 0;

	if (!X509_digest(x, EVP_sha256(), digest, &len))
		len = 0;
	for (unsigned i = 0; i < len; i++)
		snprintf(text + 3 * i - (i > 0), 4, "%s%02x", i ? ":" : "", digest[i]);
	set_text(object, "sha256", text);
}

static json_t *describe_certificate(X509 *x)
{
	json_t *o = json_object();
	struct identity_peer peer;
	char text[CERTIFICATE_TEXT_BYTES], hosts[1024], serial[CERTIFICATE_SERIAL_BYTES];
	time_t until = certificate_time(X509_get0_notAfter(x));

	if (identity_of_certificate(x, &peer)) {
		set_text(o, "role", peer.role == IDENTITY_AGENT ? "agent" : "console");
		set_text(o, "name", peer.name);
	} else if (X509_check_ca(x)) {
		set_text(o, "role", "ca");
		certificate_name_text(X509_get_subject_name(x), false, text);
		set_text(o, "name", text);
	} else {
		set_text(o, "role", "relay");
		certificate_hosts(x, hosts, sizeof(hosts));
		set_list(o, "hosts", hosts);
	}
	certificate_name_text(X509_get_issuer_name(x), false, text);
	set_text(o, "issuer", text);
	if (certificate_serial(x, serial))
		set_text(o, "serial", serial);
	set_time(o, "not_before", certificate_time(X509_get0_notBefore(x)));
	set_time(o, "not_after", until);
	json_object_set_new(o, "expired", json_boolean(until < time(NULL)));
	set_fingerprint(o, x);
	return o;
}

static json_t *describe_pem(const char *pem, const char *path)
{
	X509 *x = certificate_of_pem(pem);
	json_t *o = x ? describe_certificate(x) : NULL;

	if (!x)
		complain("%s holds no certificate in PEM", path);
	X509_free(x);
	return o;
}

/* The file of a relay, agent or console: its own name, and the certificate in it. */
static json_t *describe_bundle(const char *path)
{
	struct conf_errors errors = {.file = path};
	struct conf_node *root = conf_load(path, 0, &errors);
	const struct conf_node *name = conf_get(root, "name");
	const struct conf_node *pem = conf_get(conf_get(root, "identity"), "certificate");
	json_t *o = NULL;

	if (!root)
		fputs(errors.text ? errors.text : "postern: out of memory\n", stderr);
	else if (!pem || pem->kind != CONF_SCALAR)
		complain("%s has no identity.certificate; is it the file of a relay, agent or "
			 "console?",
			 path);
	else
		o = describe_pem(pem->text, path);
	if (o && name && name->kind == CONF_SCALAR)
		set_text(o, "name", name->text);
	conf_node_free(root);
	conf_errors_free(&errors);
	return o;
}

/* Those that the one in force has taken the place of, as long as ca.pem has them. */
static json_t *describe_older(const char *pem)
{
	STACK_OF(X509) *list = certificates_of_pem(pem);
	json_t *older = json_array();

	for (size_t i = 1; i < sk_X509_num(list); i++)
		json_array_append_new(older, describe_certificate(sk_X509_value(list, i)));
	sk_X509_pop_free(list, X509_free);
	return older;
}

static json_t *describe_store(const char *directory)
{
	struct pki_record *records;
	struct pki_store store;
	json_t *o, *list;
	size_t count;

	if (!pki_store_open(directory, false, &store))
		return NULL;
	if (!pki_store_records(&store, &records, &count)) {
		pki_store_close(&store);
		return NULL;
	}
	o = describe_certificate(store.ca);
	json_object_set_new(o, "older", describe_older(store.pem));
	list = json_array();
	for (size_t i = 0; i < count; i++) {
		json_t *one = json_object();

		set_text(one, "role", records[i].role);
		set_text(one, "name", records[i].name);
		set_time(one, "not_after", records[i].not_after);
		json_object_set_new(one, "expired",
				    json_boolean(records[i].not_after < time(NULL)));
		set_text(one, "serial", records[i].serial);
		json_array_append_new(list, one);
	}
	json_object_set_new(o, "issued", list);
	free(records);
	pki_store_close(&store);
	return o;
}

/* ---- printing ---- */

/* A string, or the strings of a list. */
static const char *text_of(const json_t *o, const char *key, char *out, size_t room)
{
	json_t *value = json_object_get(o, key), *one;
	const char *text = json_string_value(value);
	size_t i, used;

	used = log_escape(text ? text : "", out, room);
	json_array_foreach(value, i, one)
	{
		if (used + 3 > room)
			break;
		used += (size_t)snprintf(out + used, room - used, "%s", i ? ", " : "");
		used += log_escape(json_string_value(one), out + used, room - used);
	}
	return out;
}

static void print_issued(const json_t *list)
{
	char role[32], name[128], until[32], serial[64];
	size_t i;
	json_t *one;

	printf("\n%-7s %-24s %-22s %-8s %s\n", "ROLE", "NAME", "UNTIL", "", "SERIAL");
	json_array_foreach(list, i, one)
		printf("%-7s %-24s %-22s %-8s %s\n", text_of(one, "role", role, sizeof(role)),
		       text_of(one, "name", name, sizeof(name)),
		       text_of(one, "not_after", until, sizeof(until)),
		       json_is_true(json_object_get(one, "expired")) ? "expired" : "",
		       text_of(one, "serial", serial, sizeof(serial)));
}

static void print_older(const json_t *list)
{
	char until[32], serial[64];
	size_t i;
	json_t *one;

	json_array_foreach(list, i, one)
		printf("%-11s until %s%s, serial %s; ca.pem has it still\n", i ? "" : "older CA",
		       text_of(one, "not_after", until, sizeof(until)),
		       json_is_true(json_object_get(one, "expired")) ? " (expired)" : "",
		       text_of(one, "serial", serial, sizeof(serial)));
}

static void print_text(const json_t *o)
{
	static const char *const keys[] = {"role",	 "name",      "hosts",	"issuer", "serial",
					   "not_before", "not_after", "sha256", NULL};
	const json_t *issued = json_object_get(o, "issued");
	bool expired = json_is_true(json_object_get(o, "expired"));
	char text[1024];

	for (size_t i = 0; keys[i]; i++) {
		if (!json_object_get(o, keys[i]))
			continue;
		printf("%-11s %s%s\n", keys[i], text_of(o, keys[i], text, sizeof(text)),
		       expired && strcmp(keys[i], "not_after") == 0 ? " (expired)" : "");
	}
	print_older(json_object_get(o, "older"));
	if (issued)
		print_issued(issued);
}

enum status pki_show_run(const struct arguments *a)
{
	const char *path = a->words[0];
	struct stat st;
	char *text;
	json_t *o;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		o = describe_store(path);
	} else {
		text = files_read(path, CONF_FILE_MAX);
		if (!text)
			return STATUS_FAILED;
		o = strncmp(text, "-----BEGIN CERTIFICATE", 22) == 0 ? describe_pem(text, path)
								     : describe_bundle(path);
		OPENSSL_cleanse(text, strlen(text));
		free(text);
	}
	if (!o)
		return STATUS_FAILED;
	if (arguments_flag(a, "--json")) {
		json_dumpf(o, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_text(o);
	}
	json_decref(o);
	return STATUS_OK;
}
