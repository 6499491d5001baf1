/* SPDX-License-Identifier: Apache-2.0 */
/* csr: keys, names and requests, by BoringSSL's X509_REQ. */
#include "core/engine/csr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>

#include "core/addr.h"

/* ---- hosts ---- */

static bool is_address(const char *host)
{
	uint8_t bytes[16];

	return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static bool csr_has_host(const struct csr_hosts *hosts, const char *host)
{
	for (size_t i = 0; i < hosts->count; i++)
		if (strcmp(hosts->list[i], host) == 0)
			return true;
	return false;
}

bool csr_add_host(struct csr_hosts *hosts, const char *text, size_t len)
{
	char host[CSR_HOST_MAX + 1];

	if (len == 0 || len > CSR_HOST_MAX || memchr(text, '\0', len))
		return false;
	for (size_t i = 0; i < len; i++)
		host[i] = (char)tolower((unsigned char)text[i]);
	host[len] = '\0';
	/* No CA signs an underscore, which names of services have (RFC 1123 section 2.1). */
	if (!is_address(host) && (strchr(host, '_') || !addr_host_name_ok(host)))
		return false;
	if (csr_has_host(hosts, host))
		return true;
	if (hosts->count == CSR_HOSTS_MAX)
		return false;
	memcpy(hosts->list[hosts->count++], host, len + 1);
	return true;
}

static bool add_general_name(struct csr_hosts *hosts, const GENERAL_NAME *n)
{
	char text[INET6_ADDRSTRLEN];
	int len;

	switch (n->type) {
	case GEN_DNS:
		return csr_add_host(hosts, (const char *)ASN1_STRING_get0_data(n->d.dNSName),
				    (size_t)ASN1_STRING_length(n->d.dNSName));
	case GEN_IPADD:
		len = ASN1_STRING_length(n->d.iPAddress);
		return (len == 4 || len == 16) &&
		       inet_ntop(len == 4 ? AF_INET : AF_INET6,
				 ASN1_STRING_get0_data(n->d.iPAddress), text, sizeof(text)) &&
		       csr_add_host(hosts, text, strlen(text));
	default:
		return false;
	}
}

bool csr_hosts_of(X509 *x, struct csr_hosts *out)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	bool ok = true;

	out->count = 0;
	for (size_t i = 0; names && ok && i < sk_GENERAL_NAME_num(names); i++)
		ok = add_general_name(out, sk_GENERAL_NAME_value(names, i));
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return ok;
}

const char *csr_host_missing(const struct csr_hosts *all, const struct csr_hosts *some)
{
	for (size_t i = 0; i < some->count; i++)
		if (!csr_has_host(all, some->list[i]))
			return some->list[i];
	return NULL;
}

bool csr_push_name(GENERAL_NAMES *names, int type, const void *bytes, size_t len)
{
	GENERAL_NAME *one = GENERAL_NAME_new();
	ASN1_STRING *text =
		ASN1_STRING_type_new(type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);

	if (!one || !text || !ASN1_STRING_set(text, bytes, (int)len))
		goto fail;
	GENERAL_NAME_set0_value(one, type, text);
	text = NULL;
	if (!sk_GENERAL_NAME_push(names, one))
		goto fail;
	return true;
fail:
	ASN1_STRING_free(text);
	GENERAL_NAME_free(one);
	return false;
}

static bool push_host(GENERAL_NAMES *names, const char *host)
{
	uint8_t address[16];

	if (inet_pton(AF_INET, host, address) == 1)
		return csr_push_name(names, GEN_IPADD, address, 4);
	if (inet_pton(AF_INET6, host, address) == 1)
		return csr_push_name(names, GEN_IPADD, address, 16);
	return csr_push_name(names, GEN_DNS, host, strlen(host));
}

GENERAL_NAMES *csr_alternative_names(const char *const *hosts, size_t count)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	bool ok = names != NULL;

	for (size_t i = 0; ok && i < count; i++)
		ok = push_host(names, hosts[i]);
	if (ok)
		return names;
	GENERAL_NAMES_free(names);
	return NULL;
}

/* ---- keys ---- */

EVP_PKEY *csr_new_key(void)
{
	EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
	EVP_PKEY *key = EVP_PKEY_new();

	if (!ec || !key || !EC_KEY_generate_key(ec) || !EVP_PKEY_set1_EC_KEY(key, ec)) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	EC_KEY_free(ec);
	ERR_clear_error();
	return key;
}

char *csr_take_text(BIO *bio, bool ok)
{
	const uint8_t *bytes;
	size_t len;
	char *text = NULL;

	if (ok && BIO_mem_contents(bio, &bytes, &len))
		text = strndup((const char *)bytes, len);
	BIO_free(bio);
	ERR_clear_error();
	return text;
}

char *csr_key_pem(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	return csr_take_text(
		bio, bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
}

/* ---- requests ---- */

/* As the attribute extensionRequest (RFC 2985 section 5.4.2). */
static bool csr_put_hosts(X509_REQ *r, const struct csr_hosts *hosts)
{
	const char *list[CSR_HOSTS_MAX];
	STACK_OF(X509_EXTENSION) *extensions = NULL;
	GENERAL_NAMES *names;
	bool ok;

	if (hosts->count == 0)
		return true;
	for (size_t i = 0; i < hosts->count; i++)
		list[i] = hosts->list[i];
	names = csr_alternative_names(list, hosts->count);
	/* Critical, as the subject is empty (RFC 5280 section 4.2.1.6). */
	ok = names &&
	     X509V3_add1_i2d(&extensions, NID_subject_alt_name, names, 1, X509V3_ADD_DEFAULT) ==
		     1 &&
	     X509_REQ_add_extensions(r, extensions) == 1;
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	GENERAL_NAMES_free(names);
	return ok;
}

bool csr_make(EVP_PKEY *key, const struct csr_hosts *hosts, uint8_t **der, size_t *len)
{
	X509_REQ *r = X509_REQ_new();
	uint8_t *bytes = NULL;
	int size = -1;

	if (r && X509_REQ_set_version(r, X509_REQ_VERSION_1) && X509_REQ_set_pubkey(r, key) &&
	    csr_put_hosts(r, hosts) && X509_REQ_sign(r, key, EVP_sha256()) > 0)
		size = i2d_X509_REQ(r, &bytes);
	X509_REQ_free(r);
	ERR_clear_error();
	if (size <= 0)
		return false;
	*der = bytes;
	*len = (size_t)size;
	return true;
}

char *csr_pem(const uint8_t *der, size_t len)
{
	const uint8_t *at = der;
	X509_REQ *r = d2i_X509_REQ(NULL, &at, (long)len);
	BIO *bio = r && at == der + len ? BIO_new(BIO_s_mem()) : NULL;
	char *text = csr_take_text(bio, bio && PEM_write_bio_X509_REQ(bio, r));

	X509_REQ_free(r);
	return text;
}

/* One that is encrypted must fail, not ask on a terminal. */
static int csr_no_password(char *buf, int size, int writing, void *arg)
{
	return -1;
}

EVP_PKEY *csr_key(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509_REQ *r = bio ? PEM_read_bio_X509_REQ(bio, NULL, csr_no_password, NULL) : NULL;
	EVP_PKEY *key = r ? X509_REQ_get_pubkey(r) : NULL;

	if (key && X509_REQ_verify(r, key) != 1) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	X509_REQ_free(r);
	BIO_free(bio);
	ERR_clear_error();
	return key;
}
