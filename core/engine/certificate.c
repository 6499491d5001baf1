/* SPDX-License-Identifier: Apache-2.0 */
/* certificate: what an X.509 certificate says, as values and as texts for people. */
#include "core/engine/certificate.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

/* An encrypted key must fail, not ask on a terminal. */
static int no_password(char *buf, int size, int writing, void *arg)
{
	return -1;
}

X509 *certificate_of_pem(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	return x;
}

STACK_OF(X509) * certificates_of_pem(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	STACK_OF(X509) *list = sk_X509_new_null();
	uint32_t end;
	bool ok = false;

	if (!bio || !list)
		goto out;
	ERR_clear_error();
	for (;;) {
		X509 *x = PEM_read_bio_X509(bio, NULL, no_password, NULL);

		if (!x)
			break;
		if (!sk_X509_push(list, x)) {
			X509_free(x);
			goto out;
		}
	}
	end = ERR_peek_last_error();
	ok = sk_X509_num(list) > 0 && ERR_GET_LIB(end) == ERR_LIB_PEM &&
	     ERR_GET_REASON(end) == PEM_R_NO_START_LINE;
out:
	ERR_clear_error();
	BIO_free(bio);
	if (!ok) {
		sk_X509_pop_free(list, X509_free);
		list = NULL;
	}
	return list;
}

EVP_PKEY *certificate_key_of_pem(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	return key;
}

time_t certificate_time(const ASN1_TIME *t)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days = 0, seconds = 0;

	/* A time that cannot be read counts as long past. */
	if (!epoch || !ASN1_TIME_diff(&days, &seconds, epoch, t))
		days = seconds = 0;
	ASN1_TIME_free(epoch);
	return (time_t)days * 86400 + seconds;
}

/* No quotes either, as texts will stand in them. U+0080 to U+009F are commands to terminals. */
static void make_printable(char *text)
{
	for (uint8_t *p = (uint8_t *)text; *p; p++) {
		bool is_c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f;

		if (*p < 0x20 || *p == 0x7f || *p == '"' || is_c1)
			*p = '?';
		if (is_c1)
			*++p = '?';
	}
}

void certificate_name_text(const X509_NAME *name, bool common_name_first,
			   char out[CERTIFICATE_TEXT_BYTES])
{
	const int order[2] = {common_name_first ? NID_commonName : NID_organizationName,
			      common_name_first ? NID_organizationName : NID_commonName};
	uint8_t *text = NULL;
	int len = 0;

	for (int i = 0; i < 2 && len <= 0; i++) {
		int at = X509_NAME_get_index_by_NID(name, order[i], -1);

		if (at >= 0)
			len = ASN1_STRING_to_UTF8(
				&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	}
	if (len <= 0) {
		snprintf(out, CERTIFICATE_TEXT_BYTES, "an unnamed CA");
	} else {
		snprintf(out, CERTIFICATE_TEXT_BYTES, "%.*s", len, (const char *)text);
		make_printable(out);
	}
	OPENSSL_free(text);
	ERR_clear_error();
}

bool certificate_serial(X509 *x, char out[CERTIFICATE_SERIAL_BYTES])
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
	const uint8_t *bytes = ASN1_STRING_get0_data(serial);
	size_t len = (size_t)ASN1_STRING_length(serial);

	if (len * 2 + 1 > CERTIFICATE_SERIAL_BYTES)
		return false;
	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	out[2 * len] = '\0';
	return true;
}

static bool address_text(const ASN1_OCTET_STRING *a, char out[INET6_ADDRSTRLEN])
{
	int len = ASN1_STRING_length(a);

	return (len == 4 || len == 16) &&
	       inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(a), out,
			 INET6_ADDRSTRLEN);
}

void certificate_hosts(X509 *x, char *out, size_t room)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	size_t used = 0;

	snprintf(out, room, "no name");
	for (size_t i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
		char text[INET6_ADDRSTRLEN], *from = text;
		int len;

		if (n->type == GEN_DNS) {
			from = (char *)(uintptr_t)ASN1_STRING_get0_data(n->d.dNSName);
			len = ASN1_STRING_length(n->d.dNSName);
		} else if (n->type == GEN_IPADD && address_text(n->d.iPAddress, text)) {
			len = (int)strlen(text);
		} else {
			continue;
		}
		if (used + (size_t)len + 3 > room)
			break;
		used += (size_t)snprintf(out + used, room - used, "%s%.*s", used ? ", " : "", len,
					 from);
	}
	for (char *p = out; *p; p++)
		if ((uint8_t)*p < 0x20 || (uint8_t)*p > 0x7e)
			*p = '?';
	GENERAL_NAMES_free(names);
}
