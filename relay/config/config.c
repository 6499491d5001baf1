/* SPDX-License-Identifier: Apache-2.0 */
/* config: the relay's schema, and the checks that no single field can make. */
#include "relay/config/config.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "core/parse/signing.h"
#include "core/parse/wire.h"
#include "relay/config/policy.h"
#include "relay/config/stun.h"

_Static_assert(sizeof(((struct relay_public *)0)->agent) == WIRE_NAME_MAX + 1, "a name fits");

#define AT(type, member) offsetof(struct type, member)

#define USER_ID_MAX	4294967294 /* -1 stands for no user */
#define SOCKET_PATH_MAX 107	   /* what sockaddr_un holds */

/* ---- checks --------------------------------------------------------------------------------- */

static void relay_check_name(struct conf_errors *e, const struct conf_node *at, const char *path,
			     const void *value)
{
	const char *name = *(char *const *)value;
	char shown[CONF_QUOTE_BYTES];

	if (!wire_is_agent_name(name))
		conf_error(e, at, path, "%s is not a name; write " WIRE_AGENT_NAME_RULE,
			   conf_quote(name, shown));
}

static void relay_check_public_name(struct conf_errors *e, const struct conf_node *at,
				    const char *path, const void *value)
{
	const char *name = *(char *const *)value;
	char shown[CONF_QUOTE_BYTES];

	/* A ClientHello names hosts, never addresses (RFC 6066 section 3). */
	if (!addr_host_name_ok(name))
		conf_error(e, at, path,
			   "%s is not a host name; write it as a browser would ask for it, such as "
			   "www.example.org, and other scripts in their xn-- form",
			   conf_quote(name, shown));
}

static void relay_check_target(struct conf_errors *e, const struct conf_node *at, const char *path,
			       const void *value)
{
	const char *to = *(char *const *)value;
	char agent[WIRE_NAME_MAX + 1], service[WIRE_NAME_MAX + 1], shown[CONF_QUOTE_BYTES];

	if (!wire_split_target(to, agent, service))
		conf_error(e, at, path, "%s is not AGENT/SERVICE; write it like home/web",
			   conf_quote(to, shown));
}

/* It stands in a field and in HTML. */
static void relay_check_server(struct conf_errors *e, const struct conf_node *at, const char *path,
			       const void *value)
{
	for (const char *c = *(char *const *)value; *c; c++) {
		if (isalnum((unsigned char)*c) || strchr(" ./()-_", *c))
			continue;
		conf_error(e, at, path,
			   "has another character than letters, digits and \" ./()-_\"; write it "
			   "like nginx/1.22.1");
		return;
	}
}

/* WELCOME carries the interval in seconds. */
static void relay_check_seconds(struct conf_errors *e, const struct conf_node *at, const char *path,
				const void *value)
{
	if (*(const uint64_t *)value % 1000 != 0)
		conf_error(e, at, path, "is not a whole number of seconds; write it like 25s");
}

static void relay_check_listen(struct conf_errors *e, const struct conf_node *at, const char *path,
			       const void *value)
{
	const struct conf_array *list = value;
	const struct relay_listen *l = list->items;
	char child[CONF_PATH_BYTES], text[ADDR_TEXT_BYTES], other[ADDR_TEXT_BYTES];

	for (size_t i = 1; i < list->count; i++) {
		for (size_t j = 0; l[i].address.len && j < i; j++) {
			addr_format(&l[i].address, text);
			addr_format(&l[j].address, other);
			if (!l[j].address.len || strcmp(text, other) != 0)
				continue;
			conf_path_item(child, path, i);
			conf_error(e, at->items[i], child,
				   "listens on %s like %s[%zu]; remove one of them", text, path, j);
			break;
		}
	}
}

static void relay_check_publics(struct conf_errors *e, const struct conf_node *at, const char *path,
				const void *value)
{
	const struct conf_array *list = value;
	const struct relay_public *p = list->items;
	char child[CONF_PATH_BYTES], shown[CONF_QUOTE_BYTES];

	for (size_t i = 1; i < list->count; i++) {
		for (size_t j = 0; p[i].name && j < i; j++) {
			if (!p[j].name || strcasecmp(p[i].name, p[j].name) != 0)
				continue;
			conf_path_item(child, path, i);
			conf_error(e, at->items[i], child,
				   "has the name %s like %s[%zu]; a name leads to one service only",
				   conf_quote(p[i].name, shown), path, j);
			break;
		}
	}
}

/* ---- the schema ----------------------------------------------------------------------------- */

static const struct conf_field listen_fields[] = {
	{.key = "address",
	 .type = CONF_ADDRESS,
	 .offset = AT(relay_listen, address),
	 .required = true,
	 .help = "the IP address and port to accept connections on"},
	{.key = "proxy_protocol",
	 .type = CONF_BOOL,
	 .offset = AT(relay_listen, proxy_protocol),
	 .initial = "false",
	 .help = "whether every connection must begin with a PROXY protocol header"},
	{.key = NULL},
};

static const struct conf_field public_fields[] = {
	{.key = "name",
	 .type = CONF_STRING,
	 .offset = AT(relay_public, name),
	 .required = true,
	 .max = 253,
	 .check = relay_check_public_name,
	 .help = "the host name that unmodified TLS clients ask for"},
	{.key = "to",
	 .type = CONF_STRING,
	 .offset = AT(relay_public, to),
	 .required = true,
	 .check = relay_check_target,
	 .help = "the agent and service that answer, as AGENT/SERVICE"},
	{.key = NULL},
};

static const struct conf_field site_fields[] = {
	{.key = "to",
	 .type = CONF_STRING,
	 .offset = AT(relay_config, site.to.to) - AT(relay_config, site),
	 .check = relay_check_target,
	 .help = "the agent and service, as AGENT/SERVICE, of a web site that answers strangers in "
		 "place of the page; the relay reads what it and they say"},
	{.key = "page",
	 .type = CONF_TEXT,
	 .offset = AT(relay_config, site.page) - AT(relay_config, site),
	 .min = 1,
	 .max = 65536,
	 .help = "the HTML text that a browser gets for \"/\", where there is no site.to"},
	{.key = "server",
	 .type = CONF_STRING,
	 .offset = AT(relay_config, site.server) - AT(relay_config, site),
	 .min = 1,
	 .max = 64,
	 .initial = "nginx",
	 .check = relay_check_server,
	 .help = "what the field Server says, and error pages at their foot"},
	{.key = "healthz",
	 .type = CONF_BOOL,
	 .offset = AT(relay_config, site.healthz) - AT(relay_config, site),
	 .initial = "false",
	 .help = "whether \"/healthz\" tells whether the relay drains"},
	{.key = NULL},
};

static const struct conf_field tls_fields[] = {
	{.key = "acme",
	 .type = CONF_STRING,
	 .offset = AT(relay_config, tls.acme.to) - AT(relay_config, tls),
	 .check = relay_check_target,
	 .help = "the agent and service, as AGENT/SERVICE, that answer the challenges of ACME by "
		 "TLS (RFC 8737) for the relay's own names"},
	{.key = "certificate",
	 .type = CONF_TEXT,
	 .offset = AT(relay_config, tls.certificate) - AT(relay_config, tls),
	 .min = 1,
	 .max = 65536,
	 .help = "a certificate and its chain, as PEM, for a key that the relay has made; the "
		 "front door presents it in place of all others"},
	{.key = "certificate_file",
	 .type = CONF_STRING,
	 .owner = CONF_OF_FILE,
	 .offset = AT(relay_config, tls.certificate_file) - AT(relay_config, tls),
	 .min = 2,
	 .max = SIGNING_PATH_MAX,
	 .check = conf_check_path,
	 .help = "the file of a certificate and its chain, as PEM, that the front door presents in "
		 "place of identity.certificate; read again on SIGHUP"},
	{.key = "key_file",
	 .type = CONF_STRING,
	 .owner = CONF_OF_FILE,
	 .offset = AT(relay_config, tls.key_file) - AT(relay_config, tls),
	 .min = 2,
	 .max = SIGNING_PATH_MAX,
	 .check = conf_check_path,
	 .help = "the file of its private key, as PEM without a password"},
	{.key = NULL},
};

#define LIMIT(k, t, member, least, most, value, text)                                              \
	{                                                                                          \
		.key = (k), .type = (t), .offset = AT(relay_limits, member), .min = (least),       \
		.max = (most), .initial = (value), .help = (text)                                  \
	}

static const struct conf_field limit_fields[] = {
	LIMIT("connections", CONF_UINT, connections, 0, 16777216, "0",
	      "the connections open at a time; 0 for as many as the descriptor limit allows"),
	LIMIT("unproven", CONF_UINT, unproven, 0, 16777216, "0",
	      "the connections open at a time that have proved nothing; 0 for a quarter of all, "
	      "which "
	      "is also the most"),
	LIMIT("per_source", CONF_UINT, per_source, 1, 1000000, "512",
	      "those of them from one IPv4 address or IPv6 /64; wider networks may have more"),
	LIMIT("public", CONF_UINT, publics, 0, 16777216, "0",
	      "the sessions of public clients at a time; 0 for a quarter of all connections, which "
	      "is "
	      "also the most"),
	LIMIT("public_per_source", CONF_UINT, public_per_source, 1, 1000000, "256",
	      "those of them from one IPv4 address or IPv6 /64; wider networks may have more"),
	LIMIT("public_per_name", CONF_UINT, public_per_name, 0, 16777216, "0",
	      "those of them for one public name; 0 for three quarters of all"),
	LIMIT("handshakes", CONF_UINT, handshakes, 0, 1000000, "1000",
	      "the TLS handshakes a second, public clients' hellos included; 0 for no limit"),
	LIMIT("handshakes_per_source", CONF_UINT, handshakes_per_source, 0, 1000000, "100",
	      "those of them from one IPv4 address or IPv6 /64; wider networks may have more"),
	LIMIT("requests", CONF_UINT, requests, 0, 1000000, "4000",
	      "the HTTP requests a second; 0 for no limit"),
	LIMIT("requests_per_source", CONF_UINT, requests_per_source, 0, 1000000, "400",
	      "those of them from one IPv4 address or IPv6 /64; wider networks may have more"),
	LIMIT("sign_ins", CONF_UINT, sign_ins, 0, 1000000, "1000",
	      "the sign-ins a second that fail; 0 for no limit"),
	LIMIT("sign_ins_per_source", CONF_UINT, sign_ins_per_source, 0, 1000000, "100",
	      "those of them from one IPv4 address or IPv6 /64; and the sign-ins of one name from "
	      "there"),
	LIMIT("agents", CONF_UINT, agents, 1, 1000000, "4096", "the agents signed in at a time"),
	LIMIT("services", CONF_UINT, services, 1, WIRE_SERVICES_MAX, "128",
	      "the services that one agent may publish"),
	LIMIT("legs", CONF_UINT, legs, 1, 4096, "64",
	      "the legs of one agent that are idle or opening; those of its transient links are 4 "
	      "each"),
	LIMIT("sessions", CONF_UINT, sessions, 1, 1000000, "10000",
	      "the sessions of one agent at a time"),
	LIMIT("client_hello_bytes", CONF_BYTES, client_hello_bytes, 512, 65536, "16KiB",
	      "the size of a ClientHello with the records that carry it"),
	LIMIT("hello", CONF_DURATION, hello_ms, 100, 300000, "60s",
	      "the time from accepting a connection to its first message or request"),
	LIMIT("handshake", CONF_DURATION, handshake_ms, 100, 300000, "60s",
	      "of that time, what the TLS handshake may take behind its ClientHello"),
	LIMIT("first", CONF_DURATION, first_ms, 100, 300000, "60s",
	      "of that time, what may pass behind the handshake; and the time for the head of "
	      "each further HTTP request"),
	LIMIT("open", CONF_DURATION, open_ms, 100, 300000, "15s",
	      "the time that the publishing agent has to accept a session"),
	{.key = "ping",
	 .type = CONF_DURATION,
	 .offset = AT(relay_limits, ping_ms),
	 .min = 1000,
	 .max = 3600000,
	 .initial = "25s",
	 .check = relay_check_seconds,
	 .help = "the interval of keep-alives on links; a link silent for three is closed"},
	LIMIT("public_idle", CONF_DURATION, public_idle_ms, 0, 2592000000, "1h",
	      "the time that a public client's session may stay without a byte; 0 for ever"),
	LIMIT("session_idle", CONF_DURATION, session_idle_ms, 0, 2592000000, "0",
	      "the time that a session between agents may stay without a byte; 0 for ever"),
	LIMIT("http_idle", CONF_DURATION, http_idle_ms, 100, 3600000, "75s",
	      "the time that an HTTP connection may stay idle between requests"),
	LIMIT("buffer_bytes", CONF_BYTES, buffer_bytes, 1u << 20, 1ull << 40, "64MiB",
	      "the memory for large transfer buffers, of all threads together"),
	LIMIT("memory", CONF_BYTES, memory_bytes, 32u << 20, 1ull << 44, "512MiB",
	      "the memory for all that peers make the relay keep; its last quarter is for those "
	      "that have proved who they are"),
	{.key = NULL},
};

#define RATE(k, member, text)                                                                      \
	{                                                                                          \
		.key = (k), .type = CONF_RATE, .offset = AT(shaper_limits, member),                \
		.max = 1000000000000, .initial = "0", .help = (text)                               \
	}

static const struct conf_field bandwidth_fields[] = {
	RATE("relay", relay, "the rate of all sessions together; 0 for no limit"),
	RATE("per_agent", per_agent,
	     "the rate of all sessions that one agent asked for; 0 for no limit"),
	RATE("per_service", per_service, "the rate of all sessions to one service; 0 for no limit"),
	RATE("per_session", per_session,
	     "the rate of one session, both directions together; 0 for no limit"),
	{.key = NULL},
};

static const struct conf_field control_fields[] = {
	{.key = "socket",
	 .type = CONF_STRING,
	 .offset = AT(relay_config, control.socket) - AT(relay_config, control),
	 .min = 2,
	 .max = SOCKET_PATH_MAX,
	 .owner = CONF_OF_FILE,
	 .check = conf_check_path,
	 .help = "the path of a Unix socket for \"postern relay\" on this host"},
	{.key = "admin",
	 .type = CONF_LIST_OF,
	 .offset = AT(relay_config, control.admin) - AT(relay_config, control),
	 .item_type = CONF_UINT,
	 .item_size = sizeof(uint64_t),
	 .max = USER_ID_MAX,
	 .max_items = 64,
	 .owner = CONF_OF_FILE,
	 .help = "the numbers of the users that may change things over the socket, besides root "
		 "and the relay's own"},
	{.key = "read",
	 .type = CONF_LIST_OF,
	 .offset = AT(relay_config, control.read) - AT(relay_config, control),
	 .item_type = CONF_UINT,
	 .item_size = sizeof(uint64_t),
	 .max = USER_ID_MAX,
	 .max_items = 64,
	 .owner = CONF_OF_FILE,
	 .help = "the numbers of the users that may only look"},
	{.key = NULL},
};

static const struct conf_field metrics_fields[] = {
	{.key = "listen",
	 .type = CONF_ADDRESS,
	 .offset = AT(relay_config, metrics.listen) - AT(relay_config, metrics),
	 .required = true,
	 .owner = CONF_OF_FILE,
	 .help = "the IP address and port to answer Prometheus on"},
	{.key = NULL},
};

static const struct conf_field nat_fields[] = {
	CONF_ROW_NATD_SOCKET(AT(relay_config, nat.socket) - AT(relay_config, nat)),
	{.key = NULL},
};

static const struct conf_field fields[] = {
	{.key = "name",
	 .type = CONF_NAME,
	 .offset = AT(relay_config, name),
	 .required = true,
	 .check = relay_check_name,
	 .help = "the relay's name, as agents and logs show it"},
	{.key = "listen",
	 .type = CONF_LIST_OF,
	 .offset = AT(relay_config, listen),
	 .required = true,
	 .fields = listen_fields,
	 .item_size = sizeof(struct relay_listen),
	 .max_items = 64,
	 .check = relay_check_listen,
	 .help = "the addresses to accept connections on"},
	{.key = "public",
	 .type = CONF_LIST_OF,
	 .offset = AT(relay_config, publics),
	 .fields = public_fields,
	 .item_size = sizeof(struct relay_public),
	 .max_items = 4096,
	 .check = relay_check_publics,
	 .help = "the host names that unmodified TLS clients may reach, and where they lead"},
	CONF_ROW_IDENTITY(AT(relay_config, identity)),
	CONF_ROW_ENGINE(AT(relay_config, engine)),
	{.key = "threads",
	 .type = CONF_UINT,
	 .offset = AT(relay_config, threads),
	 .max = 256,
	 .initial = "0",
	 .help = "the number of worker threads; 0 for one per processor"},
	CONF_ROW_LOG_LEVEL(AT(relay_config, log_level)),
	{.key = "site",
	 .type = CONF_STRUCT,
	 .offset = AT(relay_config, site),
	 .fields = site_fields,
	 .help = "what the relay shows to web browsers"},
	{.key = "tls",
	 .type = CONF_STRUCT,
	 .offset = AT(relay_config, tls),
	 .fields = tls_fields,
	 .help = "the relay's own TLS"},
	CONF_ROW_USER(AT(relay_config, user)),
	CONF_ROW_STATE_DIR(AT(relay_config, state_dir), "what consoles changed"),
	{.key = "control",
	 .type = CONF_STRUCT,
	 .offset = AT(relay_config, control),
	 .fields = control_fields,
	 .help = "who may ask and change the relay on its own host"},
	{.key = "metrics",
	 .type = CONF_STRUCT,
	 .offset = AT(relay_config, metrics),
	 .fields = metrics_fields,
	 .help = "a listener for Prometheus, in plain HTTP"},
	{.key = "nat",
	 .type = CONF_STRUCT,
	 .offset = AT(relay_config, nat),
	 .fields = nat_fields,
	 .help = "the NAT helper on this host"},
	{.key = "stun",
	 .type = CONF_STRUCT,
	 .offset = AT(relay_config, stun),
	 .fields = config_stun_fields,
	 .help = "how the relay tells clients their own addresses (STUN)"},
	{.key = "groups",
	 .type = CONF_LIST_OF,
	 .offset = AT(relay_config, policy_conf.groups),
	 .fields = config_group_fields,
	 .item_size = sizeof(struct policy_group),
	 .max_items = CONFIG_GROUPS_MAX,
	 .check = config_check_groups,
	 .help = "sets of agents, to name in rules"},
	{.key = "policy",
	 .type = CONF_LIST_OF,
	 .offset = AT(relay_config, policy_conf.rules),
	 .fields = config_rule_fields,
	 .item_size = sizeof(struct policy_rule),
	 .max_items = CONFIG_RULES_MAX,
	 .check = config_check_rules,
	 .help = "who may reach what; with this key, what no rule allows is denied"},
	{.key = "grants",
	 .type = CONF_LIST_OF,
	 .offset = AT(relay_config, policy_conf.grants),
	 .fields = config_rule_fields,
	 .item_size = sizeof(struct policy_rule),
	 .max_items = CONFIG_RULES_MAX,
	 .check = config_check_rules,
	 .help = "further rules, as \"postern grant\" adds them"},
	{.key = "revoked",
	 .type = CONF_LIST_OF,
	 .offset = AT(relay_config, policy_conf.revoked),
	 .fields = config_revoked_fields,
	 .item_size = sizeof(struct policy_revoked),
	 .max_items = REVOCATIONS_MAX,
	 .check = config_check_revoked,
	 .help = "the certificates that count no more, of agents and consoles"},
	{.key = "drain",
	 .type = CONF_DURATION,
	 .offset = AT(relay_config, drain_ms),
	 .max = 86400000,
	 .initial = "30s",
	 .help = "the time that running sessions have to finish after SIGTERM"},
	{.key = "limits",
	 .type = CONF_STRUCT,
	 .offset = AT(relay_config, limits),
	 .fields = limit_fields,
	 .help = "the bounds on what the relay takes on; at a bound new work is refused"},
	{.key = "bandwidth",
	 .type = CONF_STRUCT,
	 .offset = AT(relay_config, bandwidth),
	 .fields = bandwidth_fields,
	 .help = "the rates that sessions share fairly, agent by agent"},
	{.key = NULL},
};

const struct conf_field *relay_config_fields(void)
{
	return fields;
}

/* ---- loading -------------------------------------------------------------------------------- */

static bool finish_target(struct relay_public *p)
{
	return !p->to || wire_split_target(p->to, p->agent, p->service);
}

/* What later code wants to find ready: names in lower case, targets in two. */
static bool finish_publics(struct conf_array *publics)
{
	struct relay_public *p = publics->items;

	for (size_t i = 0; i < publics->count; i++) {
		for (char *c = p[i].name; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		if (!wire_split_target(p[i].to, p[i].agent, p[i].service))
			return false; /* relay_check_target() has let it through: cannot be */
	}
	return true;
}

static bool check_pair(const struct conf_node *root, const struct relay_config *c,
		       struct conf_errors *errors)
{
	bool certificate = c->tls.certificate_file, key = c->tls.key_file;

	if (certificate != key)
		conf_error(errors, conf_get(root, "tls"),
			   certificate ? "tls.key_file" : "tls.certificate_file",
			   "is missing; a certificate and its key belong together");
	return certificate == key;
}

/* One site, one answer: while the agent is away there is none, as behind nginx, and no page of
 * another hand. */
static bool check_site(const struct conf_node *root, const struct relay_config *c,
		       struct conf_errors *errors)
{
	bool both = c->site.to.to && c->site.page;

	if (both)
		conf_error(
			errors, conf_get(root, "site"), "site.page",
			"stands beside site.to; remove one of them: what a web site's own server "
			"answers needs no page, and while its agent is away strangers get 502");
	return !both;
}

bool relay_config_bind(const struct conf_node *root, struct relay_config *out,
		       struct conf_errors *errors)
{
	struct relay_config c = {0};

	if (!conf_bind(root, fields, &c, errors) || !config_check_stun(root, &c, errors) ||
	    !check_pair(root, &c, errors) || !check_site(root, &c, errors) ||
	    !finish_publics(&c.publics) || !finish_target(&c.tls.acme) ||
	    !finish_target(&c.site.to)) {
		relay_config_free(&c);
		return false;
	}
	c.stun.links_asked = c.stun.links && conf_get(conf_get(root, "stun"), "links");
	config_warn_policy(root, &c.policy_conf, errors);
	*out = c;
	return true;
}

void relay_config_free(struct relay_config *c)
{
	conf_release(fields, c);
}
