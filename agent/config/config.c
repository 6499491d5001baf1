/* SPDX-License-Identifier: Apache-2.0 */
/* config: the agent's schema, and the checks that no single field can make. */
#include "agent/config/config.h"

#include <ctype.h>
#include <string.h>

#include "core/parse/wire.h"

_Static_assert(sizeof(((struct agent_forward *)0)->agent) == WIRE_NAME_MAX + 1, "a name fits");

#define AT(type, member) offsetof(struct type, member)

static const char *const trust_words[] = {"ca", "system", NULL};
static const char *const console_words[] = {[AGENT_CONSOLES_ADMIN] = "admin",
					    [AGENT_CONSOLES_READ] = "read",
					    [AGENT_CONSOLES_OFF] = "off",
					    NULL};

/* ---- checks --------------------------------------------------------------------------------- */

static void check_name_text(struct conf_errors *e, const struct conf_node *at, const char *path,
			    const char *name)
{
	char shown[CONF_QUOTE_BYTES];

	if (!wire_is_agent_name(name))
		conf_error(e, at, path, "%s is not an agent's name; write " WIRE_AGENT_NAME_RULE,
			   conf_quote(name, shown));
}

static void agent_check_name(struct conf_errors *e, const struct conf_node *at, const char *path,
			     const void *value)
{
	check_name_text(e, at, path, *(char *const *)value);
}

static void agent_check_service(struct conf_errors *e, const struct conf_node *at, const char *path,
				const void *value)
{
	const char *name = *(char *const *)value;
	char shown[CONF_QUOTE_BYTES];

	if (!wire_is_service_name(name))
		conf_error(e, at, path,
			   "%s is not a service's name; write 1 to 63 of a-z 0-9 - _ . / and begin "
			   "and end with a letter or digit, without two of . and / side by side",
			   conf_quote(name, shown));
	else if (strncmp(name, WIRE_OWN_SERVICES, strlen(WIRE_OWN_SERVICES)) == 0)
		conf_error(e, at, path,
			   "begins with \"" WIRE_OWN_SERVICES "\", which is for Postern's own "
			   "services; choose another name");
}

static void agent_check_target(struct conf_errors *e, const struct conf_node *at, const char *path,
			       const void *value)
{
	const char *to = *(char *const *)value;
	char agent[WIRE_NAME_MAX + 1], service[WIRE_NAME_MAX + 1], shown[CONF_QUOTE_BYTES];

	if (!wire_split_target(to, agent, service))
		conf_error(e, at, path, "%s is not AGENT/SERVICE; write it like home/ssh",
			   conf_quote(to, shown));
}

#define CREDENTIALS_MAX 500u

/* RFC 3986 section 2.1 and 3.2.1: "user:password" with %XX escapes. */
static const char *credentials_problem(const char *text, size_t len)
{
	if (!memchr(text, ':', len))
		return "has a user without a password; write http://user:password@host:port";
	if (len > CREDENTIALS_MAX)
		return "has a user and password of more than 500 bytes; shorten them";
	for (size_t i = 0; i < len; i++) {
		bool escape = i + 2 < len && isxdigit((unsigned char)text[i + 1]) &&
			      isxdigit((unsigned char)text[i + 2]);
		if (text[i] == '%' && (!escape || (text[i + 1] == '0' && text[i + 2] == '0')))
			return "has a broken % escape; write % itself as %25";
	}
	return NULL;
}

/* What is wrong with a proxy's URL, or NULL. Sentences never show it: it may hold a password. */
static const char *proxy_problem(const char *url)
{
	static const char scheme[] = "http://";
	struct endpoint e;
	char authority[ADDR_HOST_BYTES + 8];
	const char *at, *host, *problem;

	if (strncmp(url, "https://", 8) == 0 || strncmp(url, "socks", 5) == 0)
		return "only http:// proxies are supported (what passes through is TLS in any "
		       "case); write http://host:port";
	if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
		return "does not begin with http://; write http://host:port";
	url += sizeof(scheme) - 1;
	at = strrchr(url, '@');
	host = at ? at + 1 : url;
	problem = at ? credentials_problem(url, (size_t)(at - url)) : NULL;
	if (problem)
		return problem;
	size_t len = strcspn(host, "/");
	if (host[len] == '/' && host[len + 1] != '\0')
		return "has a path, which a proxy's URL cannot have; write http://host:port";
	if (len >= sizeof(authority))
		return "has a host name that is too long; write http://host:port";
	memcpy(authority, host, len);
	authority[len] = '\0';
	if (!endpoint_parse(authority, &e))
		return "does not end in a host and a port; write http://host:port, such as "
		       "http://proxy.example.org:3128";
	return NULL;
}

static void agent_check_proxy(struct conf_errors *e, const struct conf_node *at, const char *path,
			      const void *value)
{
	const char *problem = proxy_problem(*(char *const *)value);

	if (problem)
		conf_error(e, at, path, "%s", problem);
}

/* A list that is written out but empty is a trap: an empty one allows every agent. */
static void agent_check_allow(struct conf_errors *e, const struct conf_node *at, const char *path,
			      const void *value)
{
	const struct conf_array *list = value;
	char *const *names = list->items;
	char child[CONF_PATH_BYTES];

	if (at->count == 0)
		conf_error(e, at, path,
			   "is empty, which would allow every agent; remove the key to say so, or "
			   "name the agents that may");
	for (size_t i = 0; i < list->count; i++) {
		conf_path_item(child, path, i);
		if (names[i])
			check_name_text(e, at->items[i], child, names[i]);
	}
}

static void agent_check_publish(struct conf_errors *e, const struct conf_node *at, const char *path,
				const void *value)
{
	const struct conf_array *list = value;
	const struct agent_publish *p = list->items;
	char child[CONF_PATH_BYTES], shown[CONF_QUOTE_BYTES];

	for (size_t i = 1; i < list->count; i++) {
		for (size_t j = 0; p[i].service && j < i; j++) {
			if (!p[j].service || strcmp(p[i].service, p[j].service) != 0)
				continue;
			conf_path_item(child, path, i);
			conf_error(e, at->items[i], child,
				   "publishes %s like %s[%zu]; give each a name of its own",
				   conf_quote(p[i].service, shown), path, j);
			break;
		}
	}
}

static void agent_check_targets(struct conf_errors *e, const struct conf_node *at, const char *path,
				const void *value)
{
	const struct conf_array *list = value;
	char *const *texts = list->items;
	char child[CONF_PATH_BYTES], shown[CONF_QUOTE_BYTES];
	struct addr_range range;

	for (size_t i = 0; i < list->count; i++) {
		if (!texts[i] || addr_range_parse(texts[i], &range))
			continue;
		conf_path_item(child, path, i);
		conf_error(e, at->items[i], child,
			   "%s is no network or address; write it like 10.1.0.0/16:443, "
			   "127.0.0.1 or [fd00::]/8:443, with zeros behind the prefix",
			   conf_quote(texts[i], shown));
	}
}

static bool same_address(const struct addr *a, const struct addr *b)
{
	char one[ADDR_TEXT_BYTES], other[ADDR_TEXT_BYTES];

	addr_format(a, one);
	addr_format(b, other);
	return a->len && b->len && strcmp(one, other) == 0;
}

static void agent_check_forward(struct conf_errors *e, const struct conf_node *at, const char *path,
				const void *value)
{
	const struct conf_array *list = value;
	const struct agent_forward *f = list->items;
	char child[CONF_PATH_BYTES], text[ADDR_TEXT_BYTES];

	for (size_t i = 1; i < list->count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (!same_address(&f[i].listen, &f[j].listen))
				continue;
			addr_format(&f[i].listen, text);
			conf_path_item(child, path, i);
			conf_error(e, at->items[i], child,
				   "listens on %s like %s[%zu]; give each a port of its own", text,
				   path, j);
			break;
		}
	}
}

static void agent_check_relays(struct conf_errors *e, const struct conf_node *at, const char *path,
			       const void *value)
{
	const struct conf_array *list = value;
	const struct agent_relay *r = list->items;
	char child[CONF_PATH_BYTES];

	for (size_t i = 1; i < list->count; i++) {
		for (size_t j = 0; r[i].address.port && j < i; j++) {
			if (r[i].address.port != r[j].address.port ||
			    strcmp(r[i].address.host, r[j].address.host) != 0)
				continue;
			conf_path_item(child, path, i);
			conf_error(e, at->items[i], child,
				   "is the same relay as %s[%zu]; remove one of them", path, j);
			break;
		}
	}
}

/* ---- the schema ----------------------------------------------------------------------------- */

static const struct conf_field relay_fields[] = {
	{.key = "address",
	 .type = CONF_ENDPOINT,
	 .offset = AT(agent_relay, address),
	 .required = true,
	 .help = "the relay's host name or IP address, and port"},
	{.key = "trust",
	 .type = CONF_ENUM,
	 .offset = AT(agent_relay, trust),
	 .words = trust_words,
	 .initial = "ca",
	 .help = "who may have signed the relay's certificate: identity.ca, or the system's CAs "
		 "too"},
	{.key = "server_name",
	 .type = CONF_STRING,
	 .offset = AT(agent_relay, server_name),
	 .min = 1,
	 .max = 253,
	 .check = conf_check_host,
	 .help = "the name to ask for and to check, when it is not the address's"},
	{.key = NULL},
};

static const struct conf_field publish_fields[] = {
	{.key = "service",
	 .type = CONF_NAME,
	 .offset = AT(agent_publish, service),
	 .required = true,
	 .check = agent_check_service,
	 .help = "the name that others ask for"},
	{.key = "target",
	 .type = CONF_ENDPOINT,
	 .offset = AT(agent_publish, target),
	 .required = true,
	 .help = "the host and port where the service really is, as this agent reaches it"},
	{.key = "proxy_protocol",
	 .type = CONF_BOOL,
	 .offset = AT(agent_publish, proxy_protocol),
	 .initial = "false",
	 .help = "whether to tell the target the client's address by a PROXY protocol header"},
	{.key = "allow",
	 .type = CONF_LIST_OF,
	 .offset = AT(agent_publish, allow),
	 .item_type = CONF_NAME,
	 .item_size = sizeof(char *),
	 .max_items = 1024,
	 .check = agent_check_allow,
	 .help = "the agents that may use the service; without the key, every agent of this CA"},
	{.key = "public",
	 .type = CONF_BOOL,
	 .offset = AT(agent_publish, public_access),
	 .initial = "false",
	 .help = "whether any client may come in through the relay's public table"},
	{.key = NULL},
};

static const struct conf_field forward_fields[] = {
	{.key = "listen",
	 .type = CONF_ADDRESS,
	 .offset = AT(agent_forward, listen),
	 .required = true,
	 .help = "the local IP address and port to accept connections on"},
	{.key = "to",
	 .type = CONF_STRING,
	 .offset = AT(agent_forward, to),
	 .required = true,
	 .check = agent_check_target,
	 .help = "the agent and service that connections lead to, as AGENT/SERVICE"},
	{.key = NULL},
};

static const struct conf_field socks5_fields[] = {
	{.key = "listen",
	 .type = CONF_ADDRESS,
	 .offset = AT(agent_config, socks5.listen) - AT(agent_config, socks5),
	 .required = true,
	 .help = "the local IP address and port of the SOCKS5 server"},
	{.key = NULL},
};

static const struct conf_field nat_fields[] = {
	CONF_ROW_NATD_SOCKET(AT(agent_config, nat.socket) - AT(agent_config, nat)),
	{.key = "share",
	 .type = CONF_BOOL,
	 .offset = AT(agent_config, nat.share) - AT(agent_config, nat),
	 .initial = "true",
	 .help = "whether agents that this one talks to are told where it can be reached"},
	{.key = NULL},
};

#define NUMBER(k, t, member, least, most, value, text)                                             \
	{                                                                                          \
		.key = (k), .type = (t), .offset = AT(agent_config, member), .min = (least),       \
		.max = (most), .initial = (value), .help = (text)                                  \
	}

static const struct conf_field fields[] = {
	{.key = "name",
	 .type = CONF_NAME,
	 .offset = AT(agent_config, name),
	 .required = true,
	 .check = agent_check_name,
	 .help = "the agent's name, the same as in its certificate"},
	{.key = "relays",
	 .type = CONF_LIST_OF,
	 .offset = AT(agent_config, relays),
	 .required = true,
	 .fields = relay_fields,
	 .item_size = sizeof(struct agent_relay),
	 .max_items = 16,
	 .check = agent_check_relays,
	 .help = "the relays to sign in to, in order of preference"},
	CONF_ROW_IDENTITY(AT(agent_config, identity)),
	{.key = "publish",
	 .type = CONF_LIST_OF,
	 .offset = AT(agent_config, publish),
	 .fields = publish_fields,
	 .item_size = sizeof(struct agent_publish),
	 .max_items = WIRE_SERVICES_MAX,
	 .check = agent_check_publish,
	 .help = "the local services that other agents may reach"},
	{.key = "targets",
	 .type = CONF_LIST_OF,
	 .offset = AT(agent_config, targets),
	 .item_type = CONF_STRING,
	 .item_size = sizeof(char *),
	 .max_items = 256,
	 .owner = CONF_OF_FILE,
	 .check = agent_check_targets,
	 .help = "the networks, addresses and ports that published services may lead to; without "
		 "the key, any"},
	{.key = "console",
	 .type = CONF_ENUM,
	 .offset = AT(agent_config, console),
	 .words = console_words,
	 .initial = "admin",
	 .owner = CONF_OF_FILE,
	 .help = "what consoles may do with this agent: change it, only look, or nothing"},
	{.key = "forward",
	 .type = CONF_LIST_OF,
	 .offset = AT(agent_config, forward),
	 .fields = forward_fields,
	 .item_size = sizeof(struct agent_forward),
	 .max_items = 256,
	 .check = agent_check_forward,
	 .help = "the local ports that lead to services of other agents"},
	{.key = "socks5",
	 .type = CONF_STRUCT,
	 .offset = AT(agent_config, socks5),
	 .fields = socks5_fields,
	 .help = "a SOCKS5 server, where services are called SERVICE.AGENT.postern"},
	{.key = "nat",
	 .type = CONF_STRUCT,
	 .offset = AT(agent_config, nat),
	 .fields = nat_fields,
	 .help = "the NAT helper on this host, and what is done with what it tells"},
	CONF_ROW_USER(AT(agent_config, user)),
	CONF_ROW_STATE_DIR(AT(agent_config, state_dir), "what consoles changed"),
	{.key = "proxy",
	 .type = CONF_STRING,
	 .offset = AT(agent_config, proxy),
	 .min = 1,
	 .secret = true, /* may hold a password */
	 .stand_in = "http://hidden.invalid:1",
	 .check = agent_check_proxy,
	 .help = "the HTTP proxy to reach relays by; without the key, HTTPS_PROXY of the "
		 "environment"},
	{.key = "stun",
	 .type = CONF_BOOL,
	 .offset = AT(agent_config, stun),
	 .initial = "true",
	 .help = "whether relays are asked over UDP what address this host's datagrams come from"},
	NUMBER("warm_legs", CONF_UINT, warm_legs, 0, 64, "2", "the idle legs kept at each relay"),
	NUMBER("max_sessions", CONF_UINT, max_sessions, 1, 1000000, "10000",
	       "the sessions open at a time"),
	NUMBER("dial", CONF_DURATION, dial_ms, 100, 300000, "10s",
	       "the time to resolve, connect and finish TLS with a relay"),
	NUMBER("open", CONF_DURATION, open_ms, 100, 300000, "15s",
	       "the time from a local connection to the far end's answer"),
	NUMBER("retry_max", CONF_DURATION, retry_max_ms, 100, 3600000, "30s",
	       "the longest pause between two tries to sign in to a relay"),
	CONF_ROW_ENGINE(AT(agent_config, engine)),
	CONF_ROW_LOG_LEVEL(AT(agent_config, log_level)),
	{.key = NULL},
};

const struct conf_field *agent_config_fields(void)
{
	return fields;
}

/* ---- loading -------------------------------------------------------------------------------- */

static void check_socks5(const struct agent_config *c, const struct conf_node *root,
			 struct conf_errors *errors)
{
	const struct conf_node *at = conf_get(conf_get(root, "socks5"), "listen");
	const struct agent_forward *f = c->forward.items;

	for (size_t i = 0; at && i < c->forward.count; i++) {
		if (same_address(&c->socks5.listen, &f[i].listen))
			conf_error(
				errors, at, "socks5.listen",
				"is also the listen address of forward[%zu]; give each a port of "
				"its own",
				i);
	}
}

/* Whether one of the ranges holds the address, or, of a name (NULL), might: by its port. */
static bool targets_hold(const struct conf_array *targets, const struct addr *a, uint16_t port)
{
	char *const *texts = targets->items;
	struct addr_range range;

	if (!targets->present)
		return true;
	for (size_t i = 0; i < targets->count; i++) {
		if (!texts[i] || !addr_range_parse(texts[i], &range))
			continue;
		if (a ? addr_range_holds(&range, a) : range.port == 0 || range.port == port)
			return true;
	}
	return false;
}

bool agent_config_may_reach(const struct agent_config *c, const struct addr *to)
{
	return targets_hold(&c->targets, to, 0);
}

/* Names are judged by what they lead to when it is dialled. */
static void check_ceiling(const struct agent_config *c, const struct conf_node *root,
			  struct conf_errors *errors)
{
	const struct conf_node *list = conf_get(root, "publish");
	const struct agent_publish *p = c->publish.items;
	char item[CONF_PATH_BYTES], path[CONF_PATH_BYTES];
	struct addr a;

	for (size_t i = 0; i < c->publish.count; i++) {
		bool literal = addr_from_literal(p[i].target.host, p[i].target.port, &a);

		if (!p[i].target.port ||
		    targets_hold(&c->targets, literal ? &a : NULL, p[i].target.port))
			continue;
		conf_path_item(item, "publish", i);
		conf_path_key(path, item, "target");
		conf_error(errors, list ? list->items[i] : NULL, path,
			   "is not within targets, which this agent's own file sets; publish what "
			   "lies within, or add it there");
	}
}

/* What later code wants to find ready: targets in two. */
static bool finish_forward(struct conf_array *forward)
{
	struct agent_forward *f = forward->items;

	for (size_t i = 0; i < forward->count; i++) {
		if (!wire_split_target(f[i].to, f[i].agent, f[i].service))
			return false; /* agent_check_target() has let it through: cannot be */
	}
	return true;
}

bool agent_config_bind(const struct conf_node *root, struct agent_config *out,
		       struct conf_errors *errors)
{
	struct agent_config c = {0};
	size_t before = errors->count;
	bool ok = conf_bind(root, fields, &c, errors);

	check_socks5(&c, root, errors);
	check_ceiling(&c, root, errors);
	if (!ok || errors->count > before || !finish_forward(&c.forward)) {
		agent_config_free(&c);
		return false;
	}
	*out = c;
	return true;
}

bool agent_config_load(const char *path, struct agent_config *out, struct conf_errors *errors)
{
	struct conf_node *root;
	bool ok;

	errors->file = path;
	root = conf_load(path, CONF_KEYS, errors);
	ok = root && agent_config_bind(root, out, errors);
	conf_node_free(root);
	return ok;
}

void agent_config_free(struct agent_config *c)
{
	conf_release(fields, c);
}
