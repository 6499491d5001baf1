/* SPDX-License-Identifier: Apache-2.0 */
/* asking: from calls to asks, and from the configuration to rights. */
#include "portmap/asking.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/container.h"
#include "core/log.h"
#include "core/program/callers.h"
#include "portmap/control.h"
#include "portmap/report.h"

#define REFUSALS_MS 1000u

/* ---- rights ---- */

static bool is_number(const char *text, uint32_t *out)
{
	char *end;
	unsigned long value;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	/* The highest number means "none" to the kernel. */
	if (errno || *end || value >= UINT32_MAX)
		return false;
	*out = (uint32_t)value;
	return true;
}

/* The number of a user or group; a number is its own. */
static bool find_id(const char *name, bool group, uint32_t *out)
{
	const struct passwd *pw;
	const struct group *gr;

	if (is_number(name, out))
		return true;
	if (group) {
		gr = getgrnam(name);
		*out = gr ? gr->gr_gid : 0;
		return gr != NULL;
	}
	pw = getpwnam(name);
	*out = pw ? pw->pw_uid : 0;
	return pw != NULL;
}

static size_t read_rights(const struct natd_config *c, struct ask_right out[ASKS_RIGHTS_MAX])
{
	const struct natd_allow *allow = c->allow.items;
	size_t count = 0;

	for (size_t i = 0; i < c->allow.count; i++) {
		bool group = allow[i].group != NULL;
		const char *name = group ? allow[i].group : allow[i].user;
		struct ask_right right;

		natd_config_right(&allow[i], &right);
		right.group = group;
		if (find_id(name, group, &right.id))
			out[count++] = right;
		else
			log_warning("portmap",
				    "allow[%zu]: there is no %s %s: nobody may ask by it; make it, "
				    "and have natd read its file again",
				    i, group ? "group" : "user", name);
	}
	return count;
}

/* ---- the table ---- */

static void tell_set(struct natd *n)
{
	natd_control_mappings_changed(n->control);
	natd_set_wake(n);
}

static void asking_ended(struct asks *s, const struct ask *a, enum ask_end end, const char *why)
{
	struct natd *n = container(s, struct natd, asks);
	struct portmap_mapping like = {.want = a->want};
	char name[MAPPING_NAME_BYTES], who[ASKS_WHO_BYTES];

	mapping_name(&like, name);
	ask_who(a, who);
	log_at(end == ASK_RIGHT || end == ASK_DISPLACED ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE,
	       "portmap", "%s is no longer asked for by %s: %s", name, who, why);
	natd_control_ask_ended(n->control, a, name, end, why);
}

void asking_begin(struct natd *n)
{
	n->asks.ended = asking_ended;
}

void asking_configure(struct natd *n)
{
	struct ask_right rights[ASKS_RIGHTS_MAX];
	size_t count = read_rights(&n->config, rights);

	n->configured_count = natd_config_wants(&n->config, n->configured);
	asks_configure(&n->asks, rights, count, n->configured, n->configured_count,
		       clock_ms(CLOCK_BOOTTIME));
}

/* Asks have ended, which takes no memory. */
static void want_less(struct natd *n)
{
	if (natd_want(n))
		log_error("portmap", "a mapping is missing: out of memory");
	tell_set(n);
}

void asking_run(struct natd *n)
{
	if (asks_run(&n->asks, clock_ms(CLOCK_BOOTTIME)) > 0)
		want_less(n);
}

void asking_caller_gone(struct natd *n, const struct caller *c)
{
	asks_caller_gone(&n->asks, c, clock_ms(CLOCK_BOOTTIME));
	natd_set_wake(n);
}

/* ---- calls ---- */

#define PARAMS_PORT                                                                                \
	{"protocol", "string", true, "tcp or udp"}, {"port", "integer", true, "on this host"},     \
	{                                                                                          \
		"family", "string", false,                                                         \
			"ipv4 (a mapping) or ipv6 (a pinhole); without it, ipv4"                   \
	}

const struct method_param asking_map_params[] = {
	PARAMS_PORT,
	{"external", "integer", false, "the port on the gateway; without it, the same as port"},
	{"any", "boolean", false, "whether another external port will do when that is taken"},
	{"lease_s", "integer", false,
	 "for how long, whatever becomes of this connection: 60 to 86400; without it, for as long "
	 "as this connection lasts"},
	{"name", "string", false, "who asks, for people"},
	{.name = NULL},
};

const struct method_param asking_unmap_params[] = {
	PARAMS_PORT,
	{.name = NULL},
};

static bool read_port(const json_t *params, const char *key, uint16_t *out)
{
	json_int_t value = json_integer_value(json_object_get(params, key));

	if (value < 1 || value > UINT16_MAX)
		return false;
	*out = (uint16_t)value;
	return true;
}

/* Which mapping a call is for. NULL, or what is wrong. */
static const char *read_want(const json_t *params, struct portmap_want *out)
{
	const char *protocol = json_string_value(json_object_get(params, "protocol"));
	const char *family = json_string_value(json_object_get(params, "family"));

	*out = (struct portmap_want){.transport = PORTMAP_TCP, .family = PORTMAP_IPV4};
	if (strcmp(protocol, "udp") == 0)
		out->transport = PORTMAP_UDP;
	else if (strcmp(protocol, "tcp") != 0)
		return "\"protocol\" is tcp or udp";
	if (family && strcmp(family, "ipv6") == 0)
		out->family = PORTMAP_IPV6;
	else if (family && strcmp(family, "ipv4") != 0)
		return "\"family\" is ipv4 or ipv6";
	if (!read_port(params, "port", &out->internal))
		return "\"port\" is 1 to 65535";
	out->external = out->internal;
	return NULL;
}

static const char *read_terms(const json_t *params, struct ask_request *r)
{
	const json_t *lease = json_object_get(params, "lease_s");
	json_int_t lease_s = json_integer_value(lease);

	r->want.any = json_is_true(json_object_get(params, "any"));
	if (json_object_get(params, "external") &&
	    !read_port(params, "external", &r->want.external))
		return "\"external\" is 1 to 65535; for any port, say \"any\"";
	if (r->want.family == PORTMAP_IPV6 && (r->want.any || r->want.external != r->want.internal))
		return "a pinhole (ipv6) leads to the port itself: leave \"external\" and \"any\" "
		       "out";
	if (lease && (lease_s < ASKS_LEASE_MIN || lease_s > ASKS_LEASE_MAX))
		return "\"lease_s\" is 60 to 86400";
	r->lease_s = (uint32_t)lease_s;
	r->name = json_string_value(json_object_get(params, "name"));
	return NULL;
}

static void read_user(const struct caller *c, struct ask_user *out)
{
	const struct caller_peer *peer = callers_peer(c);

	out->uid = peer->uid;
	out->all = peer->uid == 0 || peer->uid == getuid();
	out->group_count =
		peer->group_count < ASKS_GROUPS_MAX ? peer->group_count : ASKS_GROUPS_MAX;
	memcpy(out->groups, peer->groups, out->group_count * sizeof *out->groups);
}

static enum jsonrpc_error error_of(enum ask_refusal r)
{
	return r == ASK_NO_RIGHT || r == ASK_PORT || r == ASK_CONFIGURED ? JSONRPC_FORBIDDEN
									 : JSONRPC_BUSY;
}

static void tell_granted(const struct ask *a, const struct portmap_mapping *m, uint32_t lease_s)
{
	char name[MAPPING_NAME_BYTES], who[ASKS_WHO_BYTES],
		until[48] = "while its connection lasts";

	mapping_name(m, name);
	ask_who(a, who);
	if (lease_s > 0)
		snprintf(until, sizeof until, "for %u s", lease_s);
	log_notice("portmap", "%s is asked for by %s, %s", name, who, until);
}

/* What fails stands in the log: each reason once, not at each try, and no more than one in
 * REFUSALS_MS, since any user may ask in a loop; those that are left out are counted there. */
static void tell_refused(struct natd *n, const struct ask_user *user, const struct ask_request *r,
			 const char *why, uint64_t now_ms)
{
	struct natd_refusals *told = &n->refusals;
	char text[sizeof told->text], others[48] = "";

	snprintf(text, sizeof text, "%s port %u is asked for by uid %u, and refused: %s",
		 portmap_transport_name(r->want.transport), r->want.internal, (unsigned)user->uid,
		 why);
	if (strcmp(text, told->text) == 0)
		return;
	if (told->ms > 0 && now_ms < told->ms + REFUSALS_MS) {
		told->others++;
		return;
	}
	if (told->others > 0)
		snprintf(others, sizeof others, " (and %u other%s before)", told->others,
			 told->others == 1 ? "" : "s");
	log_notice("portmap", "%s%s", text, others);
	memcpy(told->text, text, sizeof text);
	told->ms = now_ms;
	told->others = 0;
}

/* A lease also bounds what stays at the gateway if natd itself should die. */
static uint32_t lifetime_for(const struct natd *n, uint32_t lease_s)
{
	uint32_t most = (uint32_t)(n->config.lifetime_ms / 1000);

	if (lease_s == 0 || lease_s >= most)
		return most;
	return lease_s < ASKS_LIFETIME_MIN ? ASKS_LIFETIME_MIN : lease_s;
}

static const struct portmap_mapping *find_mapping(const struct natd *n,
						  const struct portmap_want *like)
{
	const struct portmap_mapping *m = n->engine.mappings;

	while (m && !portmap_want_same(&m->want, like))
		m = m->next;
	return m;
}

void asking_map_run(struct natd *n, struct call *c)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);
	struct ask_user user;
	struct ask_request r = {.user = &user, .caller = c->caller};
	const char *wrong = read_want(c->params, &r.want);
	const struct portmap_mapping *m;
	char why[ASKS_WHY_BYTES];
	enum ask_refusal refusal;
	const struct ask *a;

	if (!wrong)
		wrong = read_terms(c->params, &r);
	if (wrong) {
		call_fail(c, JSONRPC_INVALID_PARAMS, NULL, "map: %s", wrong);
		return;
	}
	r.want.lifetime_s = lifetime_for(n, r.lease_s);
	read_user(c->caller, &user);
	refusal = asks_add(&n->asks, &n->engine, &r, now_ms, &a, why);
	if (refusal != ASK_GRANTED) {
		tell_refused(n, &user, &r, why, now_ms);
		call_fail(c, error_of(refusal),
			  json_pack("{s:s}", "reason", ask_refusal_name(refusal)), "%s", why);
		return;
	}
	if (natd_want(n)) {
		asks_remove(&n->asks, &user, c->caller, &r.want, now_ms);
		call_fail(c, JSONRPC_BUSY, NULL, JSONRPC_NO_MEMORY);
		return;
	}
	m = find_mapping(n, &r.want);
	tell_granted(a, m, r.lease_s);
	tell_set(n);
	call_answer(c, json_pack("{s:o}", "mapping", report_mapping(n, m, now_ms)));
}

void asking_unmap_run(struct natd *n, struct call *c)
{
	struct ask_user user;
	struct portmap_want want;
	const char *wrong = read_want(c->params, &want);

	if (wrong) {
		call_fail(c, JSONRPC_INVALID_PARAMS, NULL, "unmap: %s", wrong);
		return;
	}
	read_user(c->caller, &user);
	if (asks_remove(&n->asks, &user, c->caller, &want, clock_ms(CLOCK_BOOTTIME)) == 0) {
		if (portmap_want_find(n->configured, n->configured_count, &want)) {
			call_fail(
				c, JSONRPC_NOT_FOUND, NULL,
				"natd's configuration maps %s port %u, and no program asks for it: "
				"remove it there (map, --map), and have natd read its file again",
				portmap_transport_name(want.transport), want.internal);
			return;
		}
		call_fail(c, JSONRPC_NOT_FOUND, NULL,
			  "%s port %u is not asked for by this user; 'postern nat status' shows "
			  "who asks for what",
			  portmap_transport_name(want.transport), want.internal);
		return;
	}
	want_less(n);
	call_answer(c, json_object());
}

/* ---- what is told ---- */

json_t *asking_report(const struct natd *n, const struct portmap_want *want)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);
	json_t *list = json_array();

	for (const struct ask *a = NULL; (a = asks_of(&n->asks, want, a));) {
		json_t *item = json_pack("{s:I}", "user", (json_int_t)a->user.uid);

		if (a->name[0])
			json_object_set_new(item, "name", json_string(a->name));
		if (a->ends_ms != MAPPING_NEVER)
			json_object_set_new(
				item, "left_s",
				json_integer(a->ends_ms > now_ms
						     ? (json_int_t)((a->ends_ms - now_ms) / 1000)
						     : 0));
		json_array_append_new(list, item);
	}
	return list;
}

json_t *asking_counts(const struct natd *n)
{
	json_t *refused = json_object(), *ended = json_object();
	size_t now = 0;

	for (const struct ask *a = n->asks.list; a < n->asks.list + ASKS_MAX; a++)
		now += a->used;
	for (unsigned r = ASK_GRANTED + 1; r < ASK_REFUSALS; r++)
		json_object_set_new(refused, ask_refusal_name((enum ask_refusal)r),
				    json_integer((json_int_t)n->asks.refused[r]));
	for (unsigned e = 0; e < ASK_ENDS; e++)
		json_object_set_new(ended, ask_end_name((enum ask_end)e),
				    json_integer((json_int_t)n->asks.ends[e]));
	return json_pack("{s:I, s:I, s:o, s:o}", "now", (json_int_t)now, "granted",
			 (json_int_t)n->asks.granted, "refused", refused, "ended", ended);
}
