/* SPDX-License-Identifier: Apache-2.0 */
/* rows: the tables behind the rows that several schemas have, and the checks of their values. */
#include "core/conf/rows.h"

#include <ctype.h>
#include <string.h>

#include "core/addr.h"
#include "core/hex.h"
#include "core/log.h"
#include "core/ring.h"

/* ---- tables ---- */

const char *const conf_engine_words[] = {
	[RING_AUTO] = "auto", [RING_IO_URING] = "io_uring", [RING_EPOLL] = "epoll", NULL};

const char *const conf_level_words[] = {
	[LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_NOTICE] = "notice",
	[LOG_LEVEL_INFO] = "info",   [LOG_LEVEL_DEBUG] = "debug",     NULL};

/* ---- checks ---- */

#define PEM_BEGIN "-----BEGIN "

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* What stands in the place of the wanted PEM text, as a sentence; secrets stay out of it. */
static void report_not_pem(struct conf_errors *e, const struct conf_node *at, const char *path,
			   const char *text, const char *label)
{
	if (text[0] == '/' || text[0] == '.')
		conf_error(e, at, path,
			   "looks like a file name; write \"|\" after the key and paste the file's "
			   "lines, indented, from " PEM_BEGIN "%s-----",
			   label);
	else if (strstr(text, PEM_BEGIN "ENCRYPTED PRIVATE KEY-----") ||
		 strstr(text, "Proc-Type: 4,ENCRYPTED"))
		conf_error(
			e, at, path,
			"is encrypted, and a daemon has no way to ask for the pass phrase; decrypt "
			"it with \"openssl pkey\"");
	else if (begins(text, PEM_BEGIN "CERTIFICATE-----"))
		conf_error(e, at, path, "is a certificate; a private key belongs here");
	else if (begins(text, PEM_BEGIN) && strstr(text, "PRIVATE KEY-----"))
		conf_error(e, at, path,
			   "is a private key of another kind than wanted here; it must begin "
			   "with " PEM_BEGIN "%s-----",
			   label);
	else
		conf_error(e, at, path,
			   "is not a PEM text; it must begin with " PEM_BEGIN "%s-----", label);
}

static bool pem_whole(const char *text, const char *label)
{
	const char *end = strstr(text, "-----END ");

	return begins(text, PEM_BEGIN) && begins(text + strlen(PEM_BEGIN), label) &&
	       begins(text + strlen(PEM_BEGIN) + strlen(label), "-----") && end &&
	       begins(end + strlen("-----END "), label);
}

static void check_pem(struct conf_errors *e, const struct conf_node *at, const char *path,
		      const char *text, const char *label)
{
	if (pem_whole(text, label))
		return;
	if (begins(text, PEM_BEGIN) && begins(text + strlen(PEM_BEGIN), label))
		conf_error(e, at, path, "is cut short; it must end with -----END %s-----", label);
	else
		report_not_pem(e, at, path, text, label);
}

/* One or more. */
static void conf_check_certificates(struct conf_errors *e, const struct conf_node *at,
				    const char *path, const void *value)
{
	check_pem(e, at, path, *(char *const *)value, "CERTIFICATE");
}

/* Not encrypted. */
static void conf_check_private_key(struct conf_errors *e, const struct conf_node *at,
				   const char *path, const void *value)
{
	const char *text = *(char *const *)value;

	if (pem_whole(text, "EC PRIVATE KEY") && !strstr(text, "Proc-Type: 4,ENCRYPTED"))
		return;
	check_pem(e, at, path, text, "PRIVATE KEY");
}

/* One line of the text; *text is behind it then. */
static bool take_tag_key(const char **text, uint8_t out[CONF_TAG_KEY_BYTES])
{
	const char *at = *text;
	uint8_t high, low;

	for (size_t i = 0; i < CONF_TAG_KEY_BYTES; i++, at += 2) {
		if (!hex_digit((uint8_t)at[0], &high) || !hex_digit((uint8_t)at[1], &low))
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	if (*at != '\n' && *at != '\0')
		return false;
	*text = at + (*at == '\n');
	return true;
}

bool conf_tag_keys_parse(const char *text, struct conf_tag_keys *out)
{
	struct conf_tag_keys keys = {0};

	do {
		if (keys.count == CONF_TAG_KEYS_MAX || !take_tag_key(&text, keys.keys[keys.count]))
			return false;
		keys.count++;
	} while (*text);
	*out = keys;
	return true;
}

static void conf_check_tag_keys(struct conf_errors *e, const struct conf_node *at, const char *path,
				const void *value)
{
	struct conf_tag_keys keys;

	if (!conf_tag_keys_parse(*(char *const *)value, &keys))
		conf_error(e, at, path,
			   "is not 1 to %u lines of %u hex digits in lower case; copy them from "
			   "tag.keys beside the CA",
			   CONF_TAG_KEYS_MAX, 2 * CONF_TAG_KEY_BYTES);
}

const struct conf_field conf_identity_fields[] = {
	{.key = "ca",
	 .type = CONF_TEXT,
	 .offset = offsetof(struct conf_identity, ca),
	 .required = true,
	 .owner = CONF_OF_CAS,
	 .check = conf_check_certificates,
	 .help = "the certificate of the CA that signs the others, in PEM"},
	{.key = "certificate",
	 .type = CONF_TEXT,
	 .offset = offsetof(struct conf_identity, certificate),
	 .required = true,
	 .check = conf_check_certificates,
	 .help = "the own certificate and its chain, in PEM"},
	{.key = "key",
	 .type = CONF_TEXT,
	 .offset = offsetof(struct conf_identity, key),
	 .required = true,
	 .secret = true,
	 .stand_in = "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
	 .check = conf_check_private_key,
	 .help = "the private key of the own certificate, in PEM and not encrypted"},
	{.key = "tag_keys",
	 .type = CONF_TEXT,
	 .offset = offsetof(struct conf_identity, tag_keys),
	 .required = true,
	 .secret = true,
	 .stand_in = "0000000000000000000000000000000000000000000000000000000000000000",
	 .check = conf_check_tag_keys,
	 .help = "the network's tag keys, each a line of 64 hex digits, the newest first; a relay "
		 "is a plain web server to whatever has none of them"},
	{.key = NULL},
};

void conf_check_host(struct conf_errors *e, const struct conf_node *at, const char *path,
		     const void *value)
{
	const char *host = *(char *const *)value;
	char shown[CONF_QUOTE_BYTES];
	struct addr a;

	if (!addr_host_name_ok(host) && !addr_from_literal(host, 0, &a))
		conf_error(e, at, path,
			   "%s is not a host name; write letters, digits, \"-\" and \".\", such as "
			   "www.example.org, and other scripts in their xn-- form",
			   conf_quote(host, shown));
}

void conf_check_path(struct conf_errors *e, const struct conf_node *at, const char *path,
		     const void *value)
{
	const char *file = *(char *const *)value;
	char shown[CONF_QUOTE_BYTES];

	if (file[0] != '/')
		conf_error(e, at, path, "%s is not an absolute path; begin it with /",
			   conf_quote(file, shown));
}

void conf_check_user(struct conf_errors *e, const struct conf_node *at, const char *path,
		     const void *value)
{
	const char *user = *(char *const *)value;
	char shown[CONF_QUOTE_BYTES];

	for (const char *c = user; *c; c++) {
		if (!isalnum((unsigned char)*c) && *c != '_' && *c != '.' &&
		    (*c != '-' || c == user)) {
			conf_error(e, at, path,
				   "%s is not a user name; write one of the system's users",
				   conf_quote(user, shown));
			return;
		}
	}
}
