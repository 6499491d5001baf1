/* SPDX-License-Identifier: Apache-2.0 */
/* conf_check: checks of bound values that the schemas of relay and agent share. */
#include "core/conf/conf.h"

#include <string.h>

#include "core/addr.h"

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

void conf_check_certificates(struct conf_errors *e, const struct conf_node *at, const char *path,
			     const void *value)
{
	check_pem(e, at, path, *(char *const *)value, "CERTIFICATE");
}

void conf_check_private_key(struct conf_errors *e, const struct conf_node *at, const char *path,
			    const void *value)
{
	const char *text = *(char *const *)value;

	if (pem_whole(text, "EC PRIVATE KEY") && !strstr(text, "Proc-Type: 4,ENCRYPTED"))
		return;
	check_pem(e, at, path, text, "PRIVATE KEY");
}

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
