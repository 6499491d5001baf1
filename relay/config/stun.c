/* SPDX-License-Identifier: Apache-2.0 */
/* config_stun: the keys below "stun", and whether they fit each other. */
#include "relay/config/stun.h"

#define AT(member) offsetof(struct relay_stun, member)

/* ---- checks of single fields ----------------------------------------------------------------- */

/* An address that clients are told; ports are never 0. */
static void stun_check_told(struct conf_errors *e, const struct conf_node *at, const char *path,
			    const void *value)
{
	const struct addr *a = value;

	if (addr_is_wildcard(a))
		conf_error(e, at, path,
			   "is no address that clients could be sent to; write that of one host");
}

static void stun_check_listen(struct conf_errors *e, const struct conf_node *at, const char *path,
			      const void *value)
{
	const struct conf_array *list = value;
	const struct addr *a = list->items;
	char child[CONF_PATH_BYTES], text[ADDR_TEXT_BYTES];

	for (size_t i = 1; i < list->count; i++) {
		for (size_t j = 0; a[i].len && j < i; j++) {
			if (!a[j].len || !addr_equal(&a[i], &a[j]))
				continue;
			addr_format(&a[i], text);
			conf_path_item(child, path, i);
			conf_error(e, at->items[i], child, "is %s like %s[%zu]; remove one of them",
				   text, path, j);
			break;
		}
	}
}

static void stun_check_alternate(struct conf_errors *e, const struct conf_node *at,
				 const char *path, const void *value)
{
	const struct conf_array *list = value;
	const struct addr *a = list->items;
	char child[CONF_PATH_BYTES];

	for (size_t i = 0; i < list->count; i++) {
		conf_path_item(child, path, i);
		if (a[i].len)
			stun_check_told(e, at->items[i], child, &a[i]);
		if (i == 1 && a[0].len && a[0].sa.sa_family == a[1].sa.sa_family)
			conf_error(e, at->items[i], child,
				   "is of the same family as %s[0]; name one server for IPv4 and "
				   "one for IPv6",
				   path);
	}
}

/* ---- the schema ------------------------------------------------------------------------------ */

#define AT_BEHAVIOUR(member) (AT(behaviour.member) - AT(behaviour))

static const struct conf_field behaviour_fields[] = {
	{.key = "address",
	 .type = CONF_ADDRESS,
	 .offset = AT_BEHAVIOUR(address),
	 .required = true,
	 .check = stun_check_told,
	 .help = "the address and port that clients ask first"},
	{.key = "other",
	 .type = CONF_ADDRESS,
	 .offset = AT_BEHAVIOUR(other),
	 .required = true,
	 .check = stun_check_told,
	 .help = "another address of this host, and another port"},
	{.key = NULL},
};

const struct conf_field config_stun_fields[] = {
	{.key = "enabled",
	 .type = CONF_BOOL,
	 .offset = AT(enabled),
	 .initial = "false",
	 .help = "whether the addresses of listen answer STUN, which no web server does"},
	{.key = "links",
	 .type = CONF_BOOL,
	 .offset = AT(links),
	 .initial = "true",
	 .help = "whether they answer the agents that are signed in, by credentials that nobody "
		 "else has"},
	{.key = "listen",
	 .type = CONF_LIST_OF,
	 .offset = AT(listen),
	 .item_type = CONF_ADDRESS,
	 .item_size = sizeof(struct addr),
	 .max_items = 16,
	 .check = stun_check_listen,
	 .help = "further addresses to answer STUN on, over UDP and TCP"},
	{.key = "behaviour",
	 .type = CONF_STRUCT,
	 .offset = AT(behaviour),
	 .fields = behaviour_fields,
	 .help = "two addresses and ports by which clients learn how their NAT behaves (RFC 5780)"},
	{.key = "alternate",
	 .type = CONF_LIST_OF,
	 .offset = AT(alternate),
	 .item_type = CONF_ADDRESS,
	 .item_size = sizeof(struct addr),
	 .max_items = 2,
	 .check = stun_check_alternate,
	 .help = "where clients are sent while the relay drains: a server for IPv4, one for IPv6"},
	{.key = "rate",
	 .type = CONF_UINT,
	 .offset = AT(rate),
	 .min = 1,
	 .max = 100000000,
	 .initial = "100",
	 .help = "the answers per second over UDP to one IPv4 /24 or IPv6 /56"},
	{.key = "burst",
	 .type = CONF_UINT,
	 .offset = AT(burst),
	 .min = 1,
	 .max = 100000000,
	 .initial = "500",
	 .help = "the answers that such a network may have at once"},
	{.key = "prefixes",
	 .type = CONF_UINT,
	 .offset = AT(prefixes),
	 .min = 256,
	 .max = 16777216,
	 .initial = "65536",
	 .help = "the networks whose answers are counted at a time"},
	{.key = NULL},
};

/* ---- checks of several fields ---------------------------------------------------------------- */

/* RFC 5780 section 6: two addresses and two ports make four sockets. */
static void stun_check_behaviour(const struct conf_node *at, const struct relay_stun *s,
				 struct conf_errors *errors)
{
	const struct addr *a = &s->behaviour.address, *b = &s->behaviour.other;
	const char *path = "stun.behaviour.other";

	if (a->len == 0)
		return;
	if (a->sa.sa_family != b->sa.sa_family)
		conf_error(errors, at, path, "must be of the same family as address");
	else if (addr_same_host(a, b))
		conf_error(errors, at, path,
			   "has the same IP address as address; it takes two of this host");
	else if (addr_port(a) == addr_port(b))
		conf_error(errors, at, path, "has the same port as address; write another");
}

/* STUN is spoken there anyway, and only one of both can have the TCP port. */
static void stun_check_overlap(const struct conf_node *at, const struct relay_config *c,
			       struct conf_errors *errors)
{
	const struct relay_listen *l = c->listen.items;
	const struct addr *a = c->stun.listen.items;
	char child[CONF_PATH_BYTES];

	for (size_t i = 0; i < c->stun.listen.count; i++) {
		for (size_t j = 0; j < c->listen.count; j++) {
			if (!addr_equal(&a[i], &l[j].address))
				continue;
			conf_path_item(child, "stun.listen", i);
			conf_error(errors, at ? at->items[i] : NULL, child,
				   c->stun.enabled ? "is listen[%zu].address, where STUN is "
						     "answered anyway; remove it here"
						   : "is listen[%zu].address; set stun.enabled for "
						     "that, and remove it here",
				   j);
		}
	}
}

bool config_check_stun(const struct conf_node *root, const struct relay_config *c,
		       struct conf_errors *errors)
{
	const struct conf_node *stun = conf_get(root, "stun");
	size_t before = errors->count;

	stun_check_behaviour(conf_get(conf_get(stun, "behaviour"), "other"), &c->stun, errors);
	stun_check_overlap(conf_get(stun, "listen"), c, errors);
	return errors->count == before;
}
