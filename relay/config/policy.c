/* SPDX-License-Identifier: Apache-2.0 */
/* config_policy: groups, rules and revocations as the configuration writes them, and their checks.
 */
#include "relay/config/policy.h"

#include <string.h>

#include "core/engine/revocations.h"
#include "core/parse/wire.h"
#include "relay/policy/index.h"
#include "relay/policy/source.h"
#include "relay/policy/time.h"

#define AT(type, member) offsetof(struct type, member)

#define MEMBERS_MAX  16384u
#define FROM_MAX     256u
#define TO_MAX	     256u
#define SOURCE_MAX   4096u
#define RATE_MAX     1000000000000u
#define SESSIONS_MAX 1000000u

/* ---- checks --------------------------------------------------------------------------------- */

static bool is_name(const char *text)
{
	return wire_is_agent_name(text) && strcmp(text, POLICY_PUBLIC) != 0;
}

static void rules_check_name(struct conf_errors *e, const struct conf_node *at, const char *path,
			     const void *value)
{
	const char *name = *(char *const *)value;
	char shown[CONF_QUOTE_BYTES];

	if (strcmp(name, POLICY_PUBLIC) == 0)
		conf_error(e, at, path,
			   "\"" POLICY_PUBLIC "\" stands for clients without a certificate; write "
			   "another name");
	else if (!is_name(name))
		conf_error(e, at, path, "%s is not a name; write " WIRE_AGENT_NAME_RULE,
			   conf_quote(name, shown));
}

/* Calls check for every text of a list that was bound. */
static void rules_check_each(struct conf_errors *e, const struct conf_node *at, const char *path,
			     const struct conf_array *list,
			     void (*check)(struct conf_errors *e, const struct conf_node *at,
					   const char *path, const void *value))
{
	char *const *items = list->items;
	char child[CONF_PATH_BYTES];

	for (size_t i = 0; i < list->count; i++) {
		conf_path_item(child, path, i);
		if (items[i])
			check(e, at->items[i], child, &items[i]);
	}
}

static void rules_check_members(struct conf_errors *e, const struct conf_node *at, const char *path,
				const void *value)
{
	rules_check_each(e, at, path, value, rules_check_name);
}

static void rules_check_asker(struct conf_errors *e, const struct conf_node *at, const char *path,
			      const void *value)
{
	const char *from = *(char *const *)value;
	char shown[CONF_QUOTE_BYTES];

	if (!is_name(from) && strcmp(from, POLICY_EVERYONE) != 0 &&
	    strcmp(from, POLICY_PUBLIC) != 0)
		conf_error(e, at, path,
			   "%s is not an agent or a group; write the name of one, \"*\" for "
			   "every agent and public client, or public for clients without a "
			   "certificate",
			   conf_quote(from, shown));
}

static void rules_check_from(struct conf_errors *e, const struct conf_node *at, const char *path,
			     const void *value)
{
	rules_check_each(e, at, path, value, rules_check_asker);
}

static void rules_check_target(struct conf_errors *e, const struct conf_node *at, const char *path,
			       const void *value)
{
	const char *to = *(char *const *)value;
	struct pattern agent, service;
	char shown[CONF_QUOTE_BYTES];

	if (!pattern_split_target(to, &agent, &service))
		conf_error(
			e, at, path,
			"%s is not AGENT/SERVICE; write it like home/web, with \"*\" for all, or "
			"at one end of either: \"db-*/*\"",
			conf_quote(to, shown));
}

static void rules_check_to(struct conf_errors *e, const struct conf_node *at, const char *path,
			   const void *value)
{
	rules_check_each(e, at, path, value, rules_check_target);
}

static void rules_check_network(struct conf_errors *e, const struct conf_node *at, const char *path,
				const void *value)
{
	const char *network = *(char *const *)value;
	char shown[CONF_QUOTE_BYTES];
	struct source_network n;

	switch (source_parse(network, &n)) {
	case SOURCE_OK:
		break;
	case SOURCE_MALFORMED:
		conf_error(e, at, path,
			   "%s is not a network; write it like 203.0.113.0/24 or 2001:db8::/32, or "
			   "an address alone",
			   conf_quote(network, shown));
		break;
	case SOURCE_HOST_BITS:
		conf_error(e, at, path,
			   "%s is not the first address of its network; clear the bits behind the "
			   "prefix, or write a longer one",
			   conf_quote(network, shown));
		break;
	}
}

static void rules_check_source(struct conf_errors *e, const struct conf_node *at, const char *path,
			       const void *value)
{
	rules_check_each(e, at, path, value, rules_check_network);
}

static void rules_check_until(struct conf_errors *e, const struct conf_node *at, const char *path,
			      const void *value)
{
	const char *until = *(char *const *)value;
	char shown[CONF_QUOTE_BYTES];
	int64_t end;

	if (!policy_until_parse(until, &end))
		conf_error(e, at, path,
			   "%s is not a date; write 2026-11-27 for the end of that day, or "
			   "2026-11-27T18:00:00Z, both in UTC",
			   conf_quote(until, shown));
}

static void rules_check_hours(struct conf_errors *e, const struct conf_node *at, const char *path,
			      const void *value)
{
	const char *text = *(char *const *)value, *remedy;
	char shown[CONF_QUOTE_BYTES];
	struct policy_hours hours;

	if (!policy_hours_parse(text, &hours, &remedy))
		conf_error(e, at, path, "%s is not right; %s", conf_quote(text, shown), remedy);
}

static void revoked_check_serial(struct conf_errors *e, const struct conf_node *at,
				 const char *path, const void *value)
{
	const char *serial = *(char *const *)value;
	char shown[CONF_QUOTE_BYTES];

	if (!revocation_is_serial(serial))
		conf_error(e, at, path,
			   "%s is not a serial number; write it in hex, with small letters and no "
			   "colons",
			   conf_quote(serial, shown));
}

static void revoked_check_key(struct conf_errors *e, const struct conf_node *at, const char *path,
			      const void *value)
{
	const char *key = *(char *const *)value;
	char shown[CONF_QUOTE_BYTES];

	if (!revocation_is_key(key))
		conf_error(e, at, path,
			   "%s is not the SHA-256 of a key; write its 64 digits in hex, with small "
			   "letters and no colons",
			   conf_quote(key, shown));
}

/* ---- checks of whole lists ------------------------------------------------------------------ */

static bool knows(const struct dict *d, const char *name)
{
	return dict_find(d, name, strlen(name)) != DICT_NONE;
}

/* Adds name to d; false when it was there. */
static bool is_new(struct dict *d, const char *name)
{
	uint32_t count = d->count, id;

	return !dict_add(d, name, strlen(name), &id) || d->count > count;
}

void config_check_groups(struct conf_errors *e, const struct conf_node *at, const char *path,
			 const void *value)
{
	const struct conf_array *list = value;
	const struct policy_group *g = list->items;
	char child[CONF_PATH_BYTES], shown[CONF_QUOTE_BYTES];
	struct dict names = {0};

	for (size_t i = 0; i < list->count; i++) {
		if (!g[i].name || is_new(&names, g[i].name))
			continue;
		conf_path_item(child, path, i);
		conf_error(e, at->items[i], child,
			   "has the name %s like another one; put all members in one group",
			   conf_quote(g[i].name, shown));
	}
	dict_free(&names);
}

/* Memory grows with the pairs, and the time of a decision with the different hours. */
void config_check_rules(struct conf_errors *e, const struct conf_node *at, const char *path,
			const void *value)
{
	const struct conf_array *list = value;
	const struct policy_rule *r = list->items;
	struct dict hours = {0};
	size_t pairs = 0;

	for (size_t i = 0; i < list->count; i++) {
		pairs += r[i].from.count * r[i].to.count;
		if (r[i].hours)
			(void)is_new(&hours, r[i].hours);
	}
	if (pairs > POLICY_PAIRS_MAX)
		conf_error(e, at, path,
			   "has %zu pairs of from and to; the most is %u: use groups and \"*\"",
			   pairs, POLICY_PAIRS_MAX);
	if (hours.count > POLICY_HOURS_MAX)
		conf_error(e, at, path, "has %u different hours; the most is %u", hours.count,
			   POLICY_HOURS_MAX);
	dict_free(&hours);
}

void config_check_revoked(struct conf_errors *e, const struct conf_node *at, const char *path,
			  const void *value)
{
	const struct conf_array *list = value;
	const struct policy_revoked *r = list->items;
	char child[CONF_PATH_BYTES];

	for (size_t i = 0; i < list->count; i++) {
		const struct conf_node *item = at->items[i];
		int named;

		if (item->kind != CONF_MAP)
			continue;
		conf_path_item(child, path, i);
		named = !!conf_get(item, "agent") + !!conf_get(item, "serial") +
			!!conf_get(item, "key");
		if (named != 1)
			conf_error(e, item, child, "needs one of agent, serial and key");
		else if (r[i].before && !conf_get(item, "agent"))
			conf_error(e, item, child,
				   "has before, which goes with agent: a serial number or a key "
				   "is one certificate's or one holder's");
	}
}

/* ---- the schema ----------------------------------------------------------------------------- */

const struct conf_field config_group_fields[] = {
	{.key = "name",
	 .type = CONF_NAME,
	 .offset = AT(policy_group, name),
	 .required = true,
	 .check = rules_check_name,
	 .help = "the group's name, for use in from"},
	{.key = "members",
	 .type = CONF_LIST_OF,
	 .offset = AT(policy_group, members),
	 .required = true,
	 .item_type = CONF_NAME,
	 .item_size = sizeof(char *),
	 .max_items = MEMBERS_MAX,
	 .check = rules_check_members,
	 .help = "the names of the agents in it"},
	{.key = NULL},
};

const struct conf_field config_rule_fields[] = {
	{.key = "from",
	 .type = CONF_LIST_OF,
	 .offset = AT(policy_rule, from),
	 .required = true,
	 .item_type = CONF_NAME,
	 .item_size = sizeof(char *),
	 .max_items = FROM_MAX,
	 .check = rules_check_from,
	 .help = "who may: agents, groups, \"*\" for every agent and public client, "
		 "public for clients without a certificate"},
	{.key = "to",
	 .type = CONF_LIST_OF,
	 .offset = AT(policy_rule, to),
	 .required = true,
	 .item_type = CONF_STRING,
	 .item_size = sizeof(char *),
	 .max_items = TO_MAX,
	 .check = rules_check_to,
	 .help = "what they may reach, as AGENT/SERVICE, with \"*\" for either or at one end of "
		 "it"},
	{.key = "until",
	 .type = CONF_STRING,
	 .offset = AT(policy_rule, until),
	 .max = 20,
	 .check = rules_check_until,
	 .help = "when the rule ends, as 2026-11-27T18:00:00Z or with the end of 2026-11-27"},
	{.key = "hours",
	 .type = CONF_STRING,
	 .offset = AT(policy_rule, hours),
	 .check = rules_check_hours,
	 .help = "the hours of the week that it holds in, in UTC, such as mon-fri 08:00-18:00"},
	{.key = "source",
	 .type = CONF_LIST_OF,
	 .offset = AT(policy_rule, source),
	 .item_type = CONF_STRING,
	 .item_size = sizeof(char *),
	 .max_items = SOURCE_MAX,
	 .check = rules_check_source,
	 .help = "the networks that the asking side must come from, such as 203.0.113.0/24"},
	{.key = "rate",
	 .type = CONF_RATE,
	 .offset = AT(policy_rule, rate),
	 .max = RATE_MAX,
	 .initial = "0",
	 .help = "the bandwidth of each session, both directions together; 0 for no limit"},
	{.key = "sessions",
	 .type = CONF_UINT,
	 .offset = AT(policy_rule, sessions),
	 .max = SESSIONS_MAX,
	 .initial = "0",
	 .help = "the sessions at a time of one asker to one service; 0 for no limit"},
	{.key = NULL},
};

const struct conf_field config_revoked_fields[] = {
	{.key = "agent",
	 .type = CONF_NAME,
	 .offset = AT(policy_revoked, agent),
	 .check = rules_check_name,
	 .help = "the agent's or console's name: all its certificates, or those of before"},
	{.key = "serial",
	 .type = CONF_NAME,
	 .offset = AT(policy_revoked, serial),
	 .check = revoked_check_serial,
	 .help = "or the serial number of one certificate, in hex, as \"postern pki show DIR\" "
		 "shows "
		 "it"},
	{.key = "key",
	 .type = CONF_NAME,
	 .offset = AT(policy_revoked, key),
	 .check = revoked_check_key,
	 .help = "or the SHA-256 of one key (its SubjectPublicKeyInfo), in hex"},
	{.key = "before",
	 .type = CONF_STRING,
	 .offset = AT(policy_revoked, before),
	 .check = rules_check_until,
	 .help = "with agent: only certificates that begin before this moment, as "
		 "2026-11-27T18:00:00Z, so that the name can be issued again"},
	{.key = "note",
	 .type = CONF_STRING,
	 .offset = AT(policy_revoked, note),
	 .help = "who did it and why, for people"},
	{.key = NULL},
};

/* ---- slips ---------------------------------------------------------------------------------- */

/* A name in from may be an agent that the relay has not met yet, so it cannot be wrong. But when it
 * is no member of any group and looks like the name of one, that was probably meant. */
struct word {
	const char *text;
	size_t len;
	uint64_t letters; /* a bit for each; an edit changes at most two */
};

struct slips {
	struct conf_errors *errors;
	struct dict groups, members;
	struct dict seen;		      /* names that have been looked at */
	struct word words[CONFIG_GROUPS_MAX]; /* the groups' names */
	size_t word_count;
	unsigned budget; /* comparisons left: a large policy is not worth a long wait */
};

#define SLIP_EDITS  2u
#define SLIP_BUDGET 20000u

static const char digits[] = "0123456789";

/* Whether two names are the same but for their numbers: web1 and web2 are meant to differ. */
static bool same_but_numbers(const char *a, const char *b)
{
	for (;;) {
		a += strspn(a, digits);
		b += strspn(b, digits);
		if (*a != *b)
			return false;
		if (!*a)
			return true;
		a++;
		b++;
	}
}

static struct word word_of(const char *text)
{
	struct word w = {.text = text, .len = strlen(text)};

	for (; *text; text++)
		w.letters |= UINT64_C(1) << (*text & 63);
	return w;
}

/* How many edits lie between two words, or SIZE_MAX where that is no slip. */
static size_t slip_edits(struct slips *s, const struct word *a, const struct word *b)
{
	size_t shorter = a->len < b->len ? a->len : b->len;
	size_t most = shorter < 4 ? 1 : SLIP_EDITS; /* two make any short word of any other */
	size_t edits;

	if (shorter < 3 || a->len + b->len - 2 * shorter > most || s->budget == 0 ||
	    (size_t)__builtin_popcountll(a->letters ^ b->letters) > 2 * most ||
	    same_but_numbers(a->text, b->text))
		return SIZE_MAX;
	s->budget--;
	edits = conf_edits(a->text, b->text);
	return edits <= most ? edits : SIZE_MAX;
}

static const char *near_group(struct slips *s, const char *name)
{
	struct word word = word_of(name);
	const char *nearest = NULL;
	size_t least = SIZE_MAX;

	for (size_t i = 0; i < s->word_count; i++) {
		size_t edits = slip_edits(s, &word, &s->words[i]);

		if (edits < least) {
			nearest = s->words[i].text;
			least = edits;
		}
	}
	return nearest;
}

/* "policy[3].from[0]", which is written out only when there is something to say of it. */
struct policy_place {
	const char *key, *list;
	size_t rule, item;
	const struct conf_node *at;
};

static void place_path(const struct policy_place *p, char out[CONF_PATH_BYTES])
{
	snprintf(out, CONF_PATH_BYTES, "%s[%zu].%s[%zu]", p->key, p->rule, p->list, p->item);
}

static void warn_from(struct slips *s, const struct policy_place *place, const char *name)
{
	char shown[CONF_QUOTE_BYTES], path[CONF_PATH_BYTES];
	const char *group;

	if (!is_name(name) || knows(&s->groups, name) || knows(&s->members, name) ||
	    !is_new(&s->seen, name))
		return;
	group = near_group(s, name);
	if (!group)
		return;
	place_path(place, path);
	conf_warning(s->errors, place->at, path,
		     "%s is no group, so it is taken for an agent; did you mean \"%s\"?",
		     conf_quote(name, shown), group);
}

static void warn_to(struct slips *s, const struct policy_place *place, const char *to)
{
	size_t len = strcspn(to, "/");
	char path[CONF_PATH_BYTES];

	if (dict_find(&s->groups, to, len) == DICT_NONE ||
	    dict_find(&s->members, to, len) != DICT_NONE)
		return;
	place_path(place, path);
	conf_warning(s->errors, place->at, path,
		     "\"%.*s\" is a group, but is taken for an agent here; groups count in from "
		     "only",
		     (int)len, to);
}

static void warn_texts(struct slips *s, struct policy_place place, const struct conf_node *rule,
		       const struct conf_array *texts,
		       void (*warn)(struct slips *s, const struct policy_place *place,
				    const char *text))
{
	const struct conf_node *list = conf_get(rule, place.list);
	char *const *items = texts->items;

	for (place.item = 0; place.item < texts->count; place.item++) {
		place.at = list ? list->items[place.item] : NULL;
		warn(s, &place, items[place.item]);
	}
}

static void warn_rules(struct slips *s, const struct conf_node *root, const char *key,
		       const struct conf_array *rules)
{
	const struct conf_node *list = conf_get(root, key);
	const struct policy_rule *r = rules->items;

	for (size_t i = 0; list && i < rules->count; i++) {
		struct policy_place from = {.key = key, .rule = i, .list = "from"};
		struct policy_place to = {.key = key, .rule = i, .list = "to"};

		warn_texts(s, from, list->items[i], &r[i].from, warn_from);
		warn_texts(s, to, list->items[i], &r[i].to, warn_to);
	}
}

void config_warn_policy(const struct conf_node *root, const struct policy_conf *conf,
			struct conf_errors *errors)
{
	struct slips s = {.errors = errors, .budget = SLIP_BUDGET};
	const struct policy_group *g = conf->groups.items;

	/* Without memory a warning is missing or too many, which is harmless. */
	for (size_t i = 0; i < conf->groups.count; i++) {
		char *const *members = g[i].members.items;

		(void)is_new(&s.groups, g[i].name);
		s.words[s.word_count++] = word_of(g[i].name);
		for (size_t m = 0; m < g[i].members.count; m++)
			(void)is_new(&s.members, members[m]);
	}
	if (conf->groups.count > 0) {
		warn_rules(&s, root, "policy", &conf->rules);
		warn_rules(&s, root, "grants", &conf->grants);
	}
	dict_free(&s.groups);
	dict_free(&s.members);
	dict_free(&s.seen);
}
