/* SPDX-License-Identifier: Apache-2.0 */
/* pki_store: a CA's directory: ca.pem, ca.key, tag.keys and issued.log. */
#include "ctl/pki/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/rand.h>

#include "core/conf/rows.h"
#include "core/engine/certificate.h"
#include "core/engine/csr.h"
#include "core/utc.h"
#include "ctl/terminal/arguments.h"
#include "ctl/terminal/files.h"
#include "ctl/pki/make.h"

#define PEM_MAX 65536u
#define LOG_MAX (16u << 20)

static bool write_in(const char *directory, const char *name, const char *text, mode_t mode)
{
	char *path = files_join(directory, name);
	bool ok = path && files_write(path, text, mode, false);

	free(path);
	return ok;
}

/* A new key as a line, owned and secret. NULL without memory. */
static char *make_tag_key(void)
{
	uint8_t key[CONF_TAG_KEY_BYTES];
	char *line = malloc(2 * sizeof(key) + 2);

	RAND_bytes(key, sizeof(key));
	for (size_t i = 0; line && i < sizeof(key); i++)
		snprintf(line + 2 * i, 4, "%02x\n", key[i]);
	OPENSSL_cleanse(key, sizeof(key));
	return line;
}

static bool make_directory(const char *directory)
{
	if (mkdir(directory, 0700) == 0)
		return true;
	/* An empty one is as good as none, once it has our mode. */
	if (errno == EEXIST && rmdir(directory) == 0 && mkdir(directory, 0700) == 0)
		return true;
	if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR)
		complain("%s exists and is not an empty directory; a CA wants a new one",
			 directory);
	else
		complain("cannot make %s: %s", directory, strerror(errno));
	return false;
}

bool pki_store_create(const char *directory, const char *organisation, time_t now, time_t not_after)
{
	EVP_PKEY *key = csr_new_key();
	X509 *ca = key ? pki_make_ca(key, organisation, now - CERTIFICATE_BACKDATE_S, not_after)
		       : NULL;
	char *pem = ca ? pki_certificate_pem(ca) : NULL;
	char *key_pem = ca ? csr_key_pem(key) : NULL;
	char *tag_key = make_tag_key();
	bool ok = false;

	if (!pem || !key_pem || !tag_key)
		complain("cannot make the CA's certificate; is \"%s\" a name in UTF-8?",
			 organisation);
	else
		ok = make_directory(directory) && write_in(directory, "ca.key", key_pem, 0600) &&
		     write_in(directory, "tag.keys", tag_key, 0600) &&
		     write_in(directory, "issued.log", "", 0600) &&
		     write_in(directory, "ca.pem", pem, 0644);
	pki_free_secret(key_pem);
	pki_free_secret(tag_key);
	free(pem);
	X509_free(ca);
	EVP_PKEY_free(key);
	return ok;
}

static bool load_certificate(struct pki_store *s)
{
	char *path = files_join(s->directory, "ca.pem");

	s->pem = path ? files_read(path, PEM_MAX) : NULL;
	s->ca = s->pem ? certificate_of_pem(s->pem) : NULL;
	if (s->pem && !s->ca)
		complain("%s is not a PEM certificate", path);
	free(path);
	return s->ca != NULL;
}

static bool store_load_key(struct pki_store *s)
{
	char *path = files_join(s->directory, "ca.key");
	char *pem = path ? files_read_key(path, PEM_MAX) : NULL;
	bool ok = false;

	s->key = pem ? certificate_key_of_pem(pem) : NULL;
	pki_free_secret(pem);
	if (pem && !s->key)
		complain("%s is not a PEM private key without a password", path);
	else if (s->key)
		ok = X509_check_private_key(s->ca, s->key) == 1;
	if (s->key && !ok)
		complain("%s is not the key of %s/ca.pem", path, s->directory);
	ERR_clear_error();
	free(path);
	return ok;
}

static bool store_load_tag_keys(struct pki_store *s)
{
	char *path = files_join(s->directory, "tag.keys");
	struct conf_tag_keys keys;
	bool ok;

	s->tag_keys = path ? files_read_key(path, PEM_MAX) : NULL;
	ok = s->tag_keys && conf_tag_keys_parse(s->tag_keys, &keys);
	OPENSSL_cleanse(&keys, sizeof(keys));
	if (s->tag_keys && !ok)
		complain("%s is not 1 to %u lines of %u hex digits", path, CONF_TAG_KEYS_MAX,
			 2 * CONF_TAG_KEY_BYTES);
	free(path);
	return ok;
}

/* To make one is no advice where a CA is, though it cannot be used: all that it issued would be
 * lost. */
static bool holds_no_ca(const char *directory)
{
	char *path = files_join(directory, "ca.pem");
	bool none = path && access(path, F_OK) != 0 && errno == ENOENT;

	free(path);
	return none;
}

bool pki_store_open(const char *directory, bool with_key, struct pki_store *out)
{
	struct pki_store s = {.directory = strdup(directory)};

	if (!s.directory)
		complain("out of memory");
	else if (load_certificate(&s) &&
		 (!with_key || (store_load_key(&s) && store_load_tag_keys(&s)))) {
		*out = s;
		return true;
	} else if (holds_no_ca(directory)) {
		complain("it takes the directory of the CA that signs here; a new network's is "
			 "made by 'postern pki init %s'",
			 directory);
	}
	pki_store_close(&s);
	return false;
}

void pki_store_close(struct pki_store *s)
{
	free(s->directory);
	free(s->pem);
	X509_free(s->ca);
	EVP_PKEY_free(s->key);
	pki_free_secret(s->tag_keys);
}

/* The first so many lines of text, in place. */
static void keep_lines(char *text, size_t count)
{
	for (char *at = text; *at; at++)
		if (*at == '\n' && --count == 0)
			at[1] = '\0';
}

bool pki_store_rotate_tag(const char *directory, bool only, size_t *count)
{
	struct pki_store s;
	struct conf_tag_keys keys;
	char *key, *path, *text = NULL;
	bool ok;

	if (!pki_store_open(directory, true, &s))
		return false;
	keep_lines(s.tag_keys, CONF_TAG_KEYS_MAX - 1);
	key = make_tag_key();
	path = files_join(directory, "tag.keys");
	if (!key || asprintf(&text, "%s%s", key, only ? "" : s.tag_keys) < 0) {
		complain("out of memory");
		text = NULL;
	}
	ok = text && path && conf_tag_keys_parse(text, &keys) &&
	     files_write(path, text, 0600, true);
	if (ok)
		*count = keys.count;
	OPENSSL_cleanse(&keys, sizeof(keys));
	pki_free_secret(text);
	pki_free_secret(key);
	free(path);
	pki_store_close(&s);
	return ok;
}

/* The certificates of before that have not ended, behind the new one; owned. NULL without memory.
 */
static char *join_cas(X509 *ca, const char *before, time_t now)
{
	STACK_OF(X509) *list = certificates_of_pem(before);
	char *text = pki_certificate_pem(ca);

	for (size_t i = 0; text && i < sk_X509_num(list); i++) {
		X509 *x = sk_X509_value(list, i);
		char *pem, *longer = NULL;

		if (certificate_time(X509_get0_notAfter(x)) <= now)
			continue;
		pem = pki_certificate_pem(x);
		if (!pem || asprintf(&longer, "%s%s", text, pem) < 0)
			longer = NULL;
		free(pem);
		free(text);
		text = longer;
	}
	sk_X509_pop_free(list, X509_free);
	return text;
}

/* A key was put aside before, and is not that of now, as when a rotation was cut short: what is
 * made now would be signed by a CA that relays and agents may not have yet, and no console could
 * bring it in. */
static bool rotates_already(const char *directory)
{
	char *aside = files_join(directory, "ca.key.old"), *key = files_join(directory, "ca.key");
	bool there = aside && access(aside, F_OK) == 0;
	char *before = there ? files_read_key(aside, PEM_MAX) : NULL;
	char *now = before ? files_read_key(key, PEM_MAX) : NULL;
	bool already = there && (!before || !now || strcmp(before, now) != 0);

	if (already)
		complain("%s is there: the CA is being replaced already, and what is made now "
			 "would be signed by a CA that no relay or agent may know yet. When all "
			 "have certificates of the CA in %s, destroy that file, and rotate again",
			 aside, directory);
	pki_free_secret(before);
	pki_free_secret(now);
	free(aside);
	free(key);
	return already;
}

/* The old key is put aside first, so that it is there whatever is cut short. */
static bool rotate_files(const char *directory, const char *key_pem, const char *pem)
{
	char *key = files_join(directory, "ca.key"), *aside = files_join(directory, "ca.key.old");
	char *ca = files_join(directory, "ca.pem");
	char *before = key ? files_read(key, PEM_MAX) : NULL;
	bool ok = aside && ca && before && files_write(aside, before, 0600, true) &&
		  files_write(key, key_pem, 0600, true) && files_write(ca, pem, 0644, true);

	pki_free_secret(before);
	free(key);
	free(aside);
	free(ca);
	return ok;
}

bool pki_store_rotate_ca(const char *directory, time_t now, time_t not_after)
{
	char organisation[CERTIFICATE_TEXT_BYTES], *pem, *key_pem;
	struct pki_store s;
	EVP_PKEY *key;
	X509 *ca;
	bool ok = false;

	if (rotates_already(directory) || !pki_store_open(directory, true, &s))
		return false;
	certificate_name_text(X509_get_subject_name(s.ca), false, organisation);
	key = csr_new_key();
	ca = key ? pki_make_next_ca(key, organisation, now - CERTIFICATE_BACKDATE_S, not_after,
				    s.ca, s.key)
		 : NULL;
	pem = ca ? join_cas(ca, s.pem, now) : NULL;
	key_pem = ca ? csr_key_pem(key) : NULL;
	if (pem && key_pem)
		ok = rotate_files(directory, key_pem, pem);
	else
		complain("cannot make the new CA's certificate");
	pki_free_secret(key_pem);
	free(pem);
	X509_free(ca);
	EVP_PKEY_free(key);
	pki_store_close(&s);
	return ok;
}

bool pki_store_end(const struct pki_store *s, time_t now, uint64_t life_s, time_t *not_after)
{
	time_t ca_until = certificate_time(X509_get0_notAfter(s->ca));
	char date[UTC_TEXT_BYTES];

	if (now >= ca_until) {
		complain("the CA in %s expired on %s; make a new one with 'postern pki init'",
			 s->directory, utc_text(ca_until, date));
		return false;
	}
	*not_after = now + (time_t)life_s;
	if (*not_after > ca_until) {
		complain("note: the certificate ends with its CA, on %s", utc_text(ca_until, date));
		*not_after = ca_until;
	}
	return true;
}

bool pki_store_record(const struct pki_store *s, const struct pki_record *r)
{
	char *path = files_join(s->directory, "issued.log"), date[UTC_TEXT_BYTES];
	int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
	int n = 0;

	/* One write(2) of one line: two commands at a time do not mix theirs. */
	if (fd >= 0)
		n = dprintf(fd, "%s %s %s %s\n", r->serial, r->role, r->name,
			    utc_text(r->not_after, date));
	if (path && (fd < 0 || n < 0))
		complain("cannot write %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	free(path);
	return fd >= 0 && n > 0;
}

static bool parse_record(const char *line, struct pki_record *out)
{
	struct pki_record r = {0};
	struct tm tm = {0};
	char date[UTC_TEXT_BYTES];

	if (sscanf(line, "%47s %15s %63s %23s", r.serial, r.role, r.name, date) != 4 ||
	    !strptime(date, "%Y-%m-%dT%H:%M:%SZ", &tm))
		return false;
	r.not_after = timegm(&tm);
	*out = r;
	return true;
}

bool pki_store_records(const struct pki_store *s, struct pki_record **out, size_t *count)
{
	char *path = files_join(s->directory, "issued.log");
	char *text = path ? files_read(path, LOG_MAX) : NULL, *next = text, *line;
	struct pki_record *records;
	size_t lines = 1, n = 0;

	free(path);
	if (!text)
		return false;
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	records = calloc(lines, sizeof(*records));
	while (records && (line = strsep(&next, "\n")))
		if (parse_record(line, &records[n]))
			n++;
	free(text);
	if (!records) {
		complain("out of memory");
		return false;
	}
	*out = records;
	*count = n;
	return true;
}
