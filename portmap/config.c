/* SPDX-License-Identifier: Apache-2.0 */
/* config: natd's schema, the checks that no single field can make, and the mappings it means. */
#include "portmap/config.h"

#include <ctype.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "core/conf/rows.h"
#include "core/log.h"
#include "core/ring.h"

#define AT(type, member) offsetof(struct type, member)

static const char *const transport_words[] = {[PORTMAP_TCP] = "tcp", [PORTMAP_UDP] = "udp", NULL};
static const char *const transports_words[] = {
	[NATD_BOTH] = "both", [NATD_TCP] = "tcp", [NATD_UDP] = "udp", NULL};

/* ---- ports ---------------------------------------------------------------------------------- */

struct ports {
	uint16_t first, last;
};

/* Digits only: 1 to 65535. */
static bool parse_port(const char *text, size_t len, uint16_t *out)
{
	unsigned long n = 0;

	if (len == 0 || len > 5 || text[0] == '0')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		n = n * 10 + (unsigned long)(text[i] - '0');
	}
	if (n > UINT16_MAX)
		return false;
	*out = (uint16_t)n;
	return true;
}

/* "443" or "5000-5009". */
static bool parse_ports(const char *text, struct ports *out)
{
	const char *dash = strchr(text, '-');
	size_t len = dash ? (size_t)(dash - text) : strlen(text);

	if (!parse_port(text, len, &out->first))
		return false;
	if (!dash)
		out->last = out->first;
	else if (!parse_port(dash + 1, strlen(dash + 1), &out->last))
		return false;
	return out->last >= out->first;
}

/* ---- checks --------------------------------------------------------------------------------- */

static void natd_check_port(struct conf_errors *e, const struct conf_node *at, const char *path,
			    const void *value)
{
	const char *text = *(char *const *)value;
	char shown[CONF_QUOTE_BYTES];
	struct ports ports;

	if (!parse_ports(text, &ports))
		conf_error(e, at, path,
			   "%s is no port; write 1 to 65535, or a range such as 5000-5009",
			   conf_quote(text, shown));
}

static void natd_check_external(struct conf_errors *e, const struct conf_node *at, const char *path,
				const void *value)
{
	const char *text = *(char *const *)value;
	char shown[CONF_QUOTE_BYTES];
	struct ports ports;

	if (strcmp(text, "any") != 0 && !parse_ports(text, &ports))
		conf_error(e, at, path,
			   "%s is no port; write 1 to 65535, a range as long as port's, or any",
			   conf_quote(text, shown));
}

static void natd_check_map_host(struct conf_errors *e, const struct conf_node *at, const char *path,
				const void *value)
{
	const char *text = *(char *const *)value;
	char shown[CONF_QUOTE_BYTES];
	struct addr host;

	if (!addr_from_literal(text, 0, &host))
		conf_error(e, at, path,
			   "%s is not an IP address; write that of a host behind the same gateway",
			   conf_quote(text, shown));
}

static void natd_check_gateway(struct conf_errors *e, const struct conf_node *at, const char *path,
			       const void *value)
{
	const char *text = *(char *const *)value;
	char shown[CONF_QUOTE_BYTES];
	struct addr gateway;

	if (!addr_from_literal(text, 0, &gateway) || addr_is_wildcard(&gateway))
		conf_error(e, at, path,
			   "%s is not an IP address; write the router's, such as 192.168.1.1",
			   conf_quote(text, shown));
}

/* As the kernel takes names (dev_valid_name()). */
static void natd_check_interface(struct conf_errors *e, const struct conf_node *at,
				 const char *path, const void *value)
{
	const char *name = *(char *const *)value;
	char shown[CONF_QUOTE_BYTES];
	bool ok = strlen(name) < IF_NAMESIZE && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;

	for (const char *c = name; *c; c++)
		ok = ok && *c != '/' && *c != ':' && !isspace((unsigned char)*c);
	if (!ok)
		conf_error(e, at, path,
			   "%s is no name of an interface; write one of at most %d bytes, such as "
			   "eth0",
			   conf_quote(name, shown), IF_NAMESIZE - 1);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool overlap(struct ports a, struct ports b)
{
	return a.first <= b.last && b.first <= a.last;
}

/* The external ports of an entry; false when it has none of its own (any), or is wrong. */
static bool external_ports(const struct natd_map *m, struct ports *out)
{
	return parse_ports(m->external ? m->external : m->port, out);
}

/* One gateway port leads to one place. */
static const char *collision(const struct natd_map *a, const struct natd_map *b)
{
	struct ports inside_a, inside_b, outside_a, outside_b;

	if (!a->port || !b->port || a->transport != b->transport ||
	    !((a->ipv4 && b->ipv4) || (a->ipv6 && b->ipv6)))
		return NULL;
	if (same_text(a->host, b->host) && parse_ports(a->port, &inside_a) &&
	    parse_ports(b->port, &inside_b) && overlap(inside_a, inside_b))
		return "maps a port that is also in";
	if (a->ipv4 && b->ipv4 && external_ports(a, &outside_a) && external_ports(b, &outside_b) &&
	    overlap(outside_a, outside_b))
		return "asks for an external port that is also in";
	return NULL;
}

static void check_one_map(struct conf_errors *e, const struct conf_node *at, const char *path,
			  const struct natd_map *m)
{
	struct ports inside, outside;

	if (!m->port || !parse_ports(m->port, &inside))
		return;
	if (m->external && parse_ports(m->external, &outside) &&
	    outside.last - outside.first != inside.last - inside.first)
		conf_error(e, at, path,
			   "maps %u ports to %u; make the ranges of port and external equally long",
			   inside.last - inside.first + 1u, outside.last - outside.first + 1u);
	if (!m->ipv4 && !m->ipv6)
		conf_error(e, at, path, "is neither ipv4 nor ipv6; set one of them to true");
}

static size_t count_wants(const struct natd_map *m)
{
	struct ports ports;

	if (!m->port || !parse_ports(m->port, &ports))
		return 0;
	return (ports.last - ports.first + 1u) * ((m->ipv4 ? 1u : 0u) + (m->ipv6 ? 1u : 0u));
}

static void natd_check_map(struct conf_errors *e, const struct conf_node *at, const char *path,
			   const void *value)
{
	const struct conf_array *list = value;
	const struct natd_map *maps = list->items;
	char child[CONF_PATH_BYTES];
	size_t wants = 0;

	for (size_t i = 0; i < list->count; i++) {
		conf_path_item(child, path, i);
		check_one_map(e, at->items[i], child, &maps[i]);
		wants += count_wants(&maps[i]);
		for (size_t j = 0; j < i; j++) {
			const char *problem = collision(&maps[i], &maps[j]);

			if (!problem)
				continue;
			conf_error(e, at->items[i], child, "%s %s[%zu]; remove one of them",
				   problem, path, j);
			break;
		}
	}
	if (wants > PORTMAP_MAPPINGS_MAX)
		conf_error(e, at, path,
			   "asks for %zu mappings, counting IPv4 and IPv6; %u are the most", wants,
			   PORTMAP_MAPPINGS_MAX);
}

static void natd_check_allow_ports(struct conf_errors *e, const struct conf_node *at,
				   const char *path, const void *value)
{
	const struct conf_array *list = value;
	char *const *texts = list->items;
	char child[CONF_PATH_BYTES], shown[CONF_QUOTE_BYTES];
	struct ports ports;

	for (size_t i = 0; i < list->count; i++) {
		conf_path_item(child, path, i);
		if (texts[i] && !parse_ports(texts[i], &ports))
			conf_error(e, at->items[i], child,
				   "%s is no port; write 1 to 65535, or a range such as 5000-5009",
				   conf_quote(texts[i], shown));
	}
}

static void natd_check_allow(struct conf_errors *e, const struct conf_node *at, const char *path,
			     const void *value)
{
	const struct conf_array *list = value;
	const struct natd_allow *allow = list->items;
	char child[CONF_PATH_BYTES];

	for (size_t i = 0; i < list->count; i++) {
		conf_path_item(child, path, i);
		if (!allow[i].user == !allow[i].group)
			conf_error(
				e, at->items[i], child,
				"names %s; name one of them, and make another entry for the other",
				allow[i].user ? "a user and a group"
					      : "neither a user nor a group");
	}
}

/* ---- the schema ----------------------------------------------------------------------------- */

static const struct conf_field map_fields[] = {
	{.key = "protocol",
	 .type = CONF_ENUM,
	 .offset = AT(natd_map, transport),
	 .required = true,
	 .words = transport_words,
	 .help = "the transport protocol: tcp or udp"},
	{.key = "port",
	 .type = CONF_STRING,
	 .offset = AT(natd_map, port),
	 .required = true,
	 .check = natd_check_port,
	 .help = "the port on this host, or a range such as 5000-5009"},
	{.key = "external",
	 .type = CONF_STRING,
	 .offset = AT(natd_map, external),
	 .min = 1,
	 .check = natd_check_external,
	 .help = "the port on the gateway, or a range; any: the same as port, or another one when "
		 "that is taken; without the key, the same as port and no other"},
	{.key = "host",
	 .type = CONF_STRING,
	 .offset = AT(natd_map, host),
	 .min = 1,
	 .check = natd_check_map_host,
	 .help = "the IP address of another host that the mapping is for, where the gateway allows "
		 "that"},
	{.key = "ipv4",
	 .type = CONF_BOOL,
	 .offset = AT(natd_map, ipv4),
	 .initial = "true",
	 .help = "whether to ask for a mapping of the gateway's IPv4 address"},
	{.key = "ipv6",
	 .type = CONF_BOOL,
	 .offset = AT(natd_map, ipv6),
	 .initial = "true",
	 .help = "whether to ask for a pinhole in the gateway's IPv6 firewall"},
	{.key = NULL},
};

static const struct conf_field allow_fields[] = {
	{.key = "user",
	 .type = CONF_STRING,
	 .offset = AT(natd_allow, user),
	 .min = 1,
	 .help = "the user whose programs may ask: a name or a number"},
	{.key = "group",
	 .type = CONF_STRING,
	 .offset = AT(natd_allow, group),
	 .min = 1,
	 .help = "the group whose members' programs may ask: a name or a number"},
	{.key = "ports",
	 .type = CONF_LIST_OF,
	 .offset = AT(natd_allow, ports),
	 .item_type = CONF_STRING,
	 .item_size = sizeof(char *),
	 .max_items = ASKS_PORTS_MAX,
	 .check = natd_check_allow_ports,
	 .help = "the ports that they may ask for, here and on the gateway: ports, and ranges such "
		 "as 5000-5009; without the key, all from 1024 up"},
	{.key = "protocol",
	 .type = CONF_ENUM,
	 .offset = AT(natd_allow, transports),
	 .words = transports_words,
	 .initial = "both",
	 .help = "the transport protocol that they may ask for: tcp, udp or both"},
	{.key = "most",
	 .type = CONF_UINT,
	 .offset = AT(natd_allow, most),
	 .min = 1,
	 .max = ASKS_MAX,
	 .initial = "16",
	 .help = "how many mappings one user may ask for at a time"},
	{.key = NULL},
};

#define TEXT(k, member, test, text)                                                                \
	{                                                                                          \
		.key = (k), .type = CONF_STRING, .offset = AT(natd_config, member), .min = 1,      \
		.check = (test), .help = (text)                                                    \
	}
#define SWITCH(k, member, text)                                                                    \
	{                                                                                          \
		.key = (k), .type = CONF_BOOL, .offset = AT(natd_config, member),                  \
		.initial = "true", .help = (text)                                                  \
	}
#define TIME(k, member, least, most, value, text)                                                  \
	{                                                                                          \
		.key = (k), .type = CONF_DURATION, .offset = AT(natd_config, member),              \
		.min = (least), .max = (most), .initial = (value), .help = (text)                  \
	}

static const struct conf_field fields[] = {
	{.key = "map",
	 .type = CONF_LIST_OF,
	 .offset = AT(natd_config, map),
	 .fields = map_fields,
	 .item_size = sizeof(struct natd_map),
	 .max_items = PORTMAP_MAPPINGS_MAX,
	 .check = natd_check_map,
	 .help = "the ports to be reachable from outside"},
	{.key = "allow",
	 .type = CONF_LIST_OF,
	 .offset = AT(natd_config, allow),
	 .fields = allow_fields,
	 .item_size = sizeof(struct natd_allow),
	 .max_items = ASKS_RIGHTS_MAX,
	 .check = natd_check_allow,
	 .help = "whose programs on this host may ask for mappings, and for which"},
	TEXT("interface", interface, natd_check_interface,
	     "the network interface whose gateway to use; without the key, that of the default "
	     "route"),
	TEXT("gateway", gateway, natd_check_gateway,
	     "the IP address of the gateway to ask, where it is not that of the default route"),
	SWITCH("pcp", pcp, "whether to try PCP"),
	SWITCH("natpmp", natpmp, "whether to try NAT-PMP"),
	SWITCH("upnp", upnp, "whether to try UPnP"),
	{.key = "stun",
	 .type = CONF_LIST_OF,
	 .offset = AT(natd_config, stun),
	 .item_type = CONF_ENDPOINT,
	 .item_size = sizeof(struct endpoint),
	 .max_items = NATD_STUN_MAX,
	 .help = "the STUN servers, such as a relay, that tell how outside sees this host"},
	TEXT("hook", hook, conf_check_path, "the program to run when the external address changes"),
	TIME("lifetime", lifetime_ms, 120000, 86400000, "2h",
	     "how long the gateway is to keep a mapping that is not renewed"),
	TIME("recheck", recheck_ms, 10000, 86400000, "10m",
	     "how often to look at the gateway and at each mapping, and to prove it again"),
	{.key = "socket",
	 .type = CONF_STRING,
	 .offset = AT(natd_config, socket),
	 .min = 1,
	 .max = CONF_NATD_SOCKET_MAX,
	 .check = conf_check_path,
	 .initial = "/run/postern/natd.sock",
	 .help = "the Unix socket for status and events"},
	CONF_ROW_STATE_DIR(AT(natd_config, state_dir),
			   "the nonces of mappings, and what is mapped"),
	TEXT("user", user, NULL, "the user to become, when started as root"),
	CONF_ROW_ENGINE(AT(natd_config, engine)),
	CONF_ROW_LOG_LEVEL(AT(natd_config, log_level)),
	{.key = NULL},
};

const struct conf_field *natd_config_fields(void)
{
	return fields;
}

bool natd_config_bind(const struct conf_node *root, struct natd_config *out,
		      struct conf_errors *errors)
{
	struct natd_config c;

	memset(&c, 0, sizeof c);
	if (!conf_bind(root, fields, &c, errors)) {
		conf_release(fields, &c);
		return false;
	}
	if (!c.pcp && !c.natpmp && !c.upnp) {
		conf_error(
			errors, root, "pcp, natpmp, upnp",
			"all are false, so that no gateway could be asked; leave one of them true");
		conf_release(fields, &c);
		return false;
	}
	*out = c;
	return true;
}

void natd_config_free(struct natd_config *c)
{
	conf_release(fields, c);
}

bool natd_config_needs_restart(const struct natd_config *a, const struct natd_config *b)
{
	return !same_text(a->socket, b->socket) || !same_text(a->state_dir, b->state_dir) ||
	       !same_text(a->hook, b->hook) || !same_text(a->user, b->user) ||
	       a->engine != b->engine;
}

/* ---- what it means -------------------------------------------------------------------------- */

static size_t want_entry(const struct natd_config *c, const struct natd_map *m,
			 enum portmap_family f, struct portmap_want *out)
{
	bool any = m->external && strcmp(m->external, "any") == 0;
	struct addr host = {.len = 0};
	struct ports inside, outside;
	size_t count = 0;

	if (m->host && addr_from_literal(m->host, 0, &host) &&
	    (host.sa.sa_family == AF_INET6) != (f == PORTMAP_IPV6))
		return 0;
	if (!parse_ports(m->port, &inside))
		return 0;
	if (any || f == PORTMAP_IPV6 || !external_ports(m, &outside))
		outside = inside;
	for (unsigned port = inside.first; port <= inside.last; port++, count++)
		out[count] = (struct portmap_want){
			.transport = (enum portmap_transport)m->transport,
			.family = f,
			.host = host,
			.internal = (uint16_t)port,
			.external = (uint16_t)(outside.first + (port - inside.first)),
			.any = any && f == PORTMAP_IPV4,
			.lifetime_s = (uint32_t)(c->lifetime_ms / 1000),
		};
	return count;
}

size_t natd_config_wants(const struct natd_config *c, struct portmap_want out[PORTMAP_MAPPINGS_MAX])
{
	const struct natd_map *maps = c->map.items;
	size_t count = 0;

	for (size_t i = 0; i < c->map.count; i++) {
		if (maps[i].ipv4)
			count += want_entry(c, &maps[i], PORTMAP_IPV4, out + count);
		if (maps[i].ipv6)
			count += want_entry(c, &maps[i], PORTMAP_IPV6, out + count);
	}
	return count;
}

void natd_config_right(const struct natd_allow *a, struct ask_right *out)
{
	char *const *texts = a->ports.items;
	struct ports ports;

	*out = (struct ask_right){.most = (unsigned)a->most};
	out->transports[PORTMAP_TCP] = a->transports != NATD_UDP;
	out->transports[PORTMAP_UDP] = a->transports != NATD_TCP;
	for (size_t i = 0; i < a->ports.count; i++) {
		if (!parse_ports(texts[i], &ports))
			continue;
		out->ports[out->port_count].first = ports.first;
		out->ports[out->port_count++].last = ports.last;
	}
}
