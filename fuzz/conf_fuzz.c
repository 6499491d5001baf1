/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_fuzz: any bytes as a configuration, bound by both schemas. Something is wrong exactly when
 * errors tell; they are lines of printable text, bounded in number; a failure touches no output.
 * links: core/key_file.c
 * links: core/engine/entitled.c core/engine/revocations.c
 * links: core/conf/rows.c
 * links: relay/config/stun.c relay/config/policy.c relay/policy/policy.c
 * links: relay/policy/compile.c relay/policy/index.c relay/policy/source.c relay/policy/time.c
 * links: agent/config/config.c relay/config/config.c core/conf/conf.c core/conf/bind.c
 * links: core/conf/error.c core/conf/value.c core/addr.c core/log*.c
 * links: core/parse/wire.c core/memory.c
 */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "agent/config/config.h"
#include "relay/config/config.h"

#define LINE_MAX_BYTES 2050u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Lines of printable text, at most CONF_LINES_MAX and one that says so. */
static void check_lines(const char *text, size_t len, size_t count)
{
	size_t line = 0, lines = 0;

	assert(len == (text ? strlen(text) : 0));
	for (size_t i = 0; i < len; line++) {
		unsigned char c = (unsigned char)text[i];
		if (line == 0)
			assert(strncmp(text + i, "f: ", 3) == 0 ||
			       strncmp(text + i, "f:", 2) == 0 ||
			       strncmp(text + i, "and more", 8) == 0);
		if (c == '\n') {
			lines++;
			line = (size_t)-1;
			i++;
			continue;
		}
		size_t take = c < 0x80 ? (c >= 0x20 && c != 0x7f)
				       : log_utf8_length((const unsigned char *)text + i, len - i);
		assert(take > 0);
		assert(line < LINE_MAX_BYTES);
		i += take;
	}
	assert(lines == (count <= CONF_LINES_MAX ? count : CONF_LINES_MAX + 1));
}

static void check_errors(const struct conf_errors *e, bool failed)
{
	assert(failed == (e->count > 0));
	check_lines(e->text, e->len, e->count);
	check_lines(e->warnings.text, e->warnings.len, e->warnings.count);
}

static bool untouched(const void *object, size_t size)
{
	const unsigned char *c = object;

	for (size_t i = 0; i < size; i++) {
		if (c[i] != 0xa5)
			return false;
	}
	return true;
}

/* What the schema lets through compiles, and answers. */
static void ask_policy(const struct policy_conf *conf)
{
	struct policy_question q = {
		.from = "laptop", .to = "home", .service = "web", .now = 1795773600};
	struct policy *p = policy_new(conf);
	struct policy_answer a;
	struct addr source;

	assert(p && addr_from_literal("203.0.113.7", 1, &source));
	q.source = &source;
	a = policy_decide(p, &q);
	assert(a.reason == REASON_OK || a.reason == REASON_NOT_ALLOWED ||
	       a.reason == REASON_REVOKED);
	assert(a.again == 0 || a.again > q.now);
	assert(a.rule == SIZE_MAX || a.rule < conf->rules.count + conf->grants.count);
	policy_free(p);
}

static void bind_relay(const struct conf_node *root)
{
	struct conf_errors errors = {.file = "f"};
	struct relay_config c;

	memset(&c, 0xa5, sizeof(c));
	bool ok = relay_config_bind(root, &c, &errors);
	check_errors(&errors, !ok);
	conf_errors_free(&errors);
	if (!ok) {
		assert(untouched(&c, sizeof(c)));
		return;
	}
	assert(c.name && c.listen.count > 0 && c.identity.ca && c.identity.key && c.site.server);
	assert(c.limits.ping_ms >= 1000 && c.limits.ping_ms % 1000 == 0);
	const struct relay_public *p = c.publics.items;
	for (size_t i = 0; i < c.publics.count; i++)
		assert(p[i].name[0] && p[i].agent[0] && p[i].service[0]);
	ask_policy(&c.policy_conf);
	relay_config_free(&c);
}

static void bind_agent(const struct conf_node *root)
{
	struct conf_errors errors = {.file = "f"};
	struct agent_config c;

	memset(&c, 0xa5, sizeof(c));
	bool ok = agent_config_bind(root, &c, &errors);
	check_errors(&errors, !ok);
	conf_errors_free(&errors);
	if (!ok) {
		assert(untouched(&c, sizeof(c)));
		return;
	}
	assert(c.name && c.relays.count > 0 && c.identity.ca && c.identity.key);
	const struct agent_forward *f = c.forward.items;
	for (size_t i = 0; i < c.forward.count; i++)
		assert(f[i].agent[0] && f[i].service[0] && addr_port(&f[i].listen));
	agent_config_free(&c);
}

static size_t count_nodes(const struct conf_node *n, unsigned depth)
{
	size_t count = 1;

	assert(depth <= CONF_DEPTH_MAX);
	assert((n->kind == CONF_SCALAR) == (n->text != NULL));
	assert((n->kind == CONF_MAP && n->count) == (n->keys != NULL));
	assert(n->line > 0 && n->column > 0);
	for (size_t i = 0; i < n->count; i++) {
		if (n->keys) {
			assert(conf_get(n, n->keys[i]->text) == n->items[i]);
			count += count_nodes(n->keys[i], depth + 1);
		}
		count += count_nodes(n->items[i], depth + 1);
	}
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct conf_errors errors = {.file = "f"};
	struct conf_node *root = conf_parse((const char *)data, len, &errors);

	check_errors(&errors, !root);
	conf_errors_free(&errors);
	if (!root)
		return 0;
	assert(count_nodes(root, 0) <= CONF_NODES_MAX);
	bind_relay(root);
	bind_agent(root);
	conf_node_free(root);
	return 0;
}
