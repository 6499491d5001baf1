/* SPDX-License-Identifier: Apache-2.0 */
/* console_config: a console's file: whose it is, and which relays it manages. Apart from
 * connection.c: `pki` writes and `check` reads such a file and neither connects by it. */
#include "ctl/talk/console_config.h"

#include "core/conf/conf.h"
#include "core/engine/certificate.h"
#include "core/engine/identity.h"

#define SESSIONS_MAX 4 /* at a time; a command has one */

/* The rows that a console's schema takes over from the agent's. */
static const char *const shared[] = {"name", "relays", "identity", "proxy", "dial", "open"};
#define SHARED (sizeof(shared) / sizeof(shared[0]))

static const struct conf_field *console_config_fields(void)
{
	static struct conf_field fields[SHARED + 1];

	for (size_t i = 0; i < SHARED && !fields[i].key; i++)
		fields[i] = *conf_find(agent_config_fields(), shared[i]);
	return fields;
}

bool console_config_bind(const struct conf_node *root, struct agent_config *out,
			 struct conf_errors *errors)
{
	struct agent_config c = {.max_sessions = SESSIONS_MAX, .retry_max_ms = 1000};

	if (!conf_bind(root, console_config_fields(), &c, errors)) {
		agent_config_free(&c);
		return false;
	}
	*out = c;
	return true;
}

enum bundle_kind console_config_kind(const struct conf_node *root)
{
	const struct conf_node *pem = conf_get(conf_get(root, "identity"), "certificate");
	X509 *x = pem && pem->kind == CONF_SCALAR ? certificate_of_pem(pem->text) : NULL;
	enum bundle_kind kind = BUNDLE_OTHER;
	struct identity_peer peer;

	if (x && identity_of_certificate(x, &peer))
		kind = peer.role == IDENTITY_CONSOLE ? BUNDLE_CONSOLE : BUNDLE_AGENT;
	X509_free(x);
	return kind;
}
