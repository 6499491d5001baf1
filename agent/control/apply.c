/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply: what core/engine/configuring.h does to an agent.
 *
 * Everything that can fail comes first: the document is bound and checked, identity and contexts
 * are made of it, new listeners bound, new links made. From then on nothing fails. Sessions live
 * on where they still may: by the CAs, and by what is published and allowed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/control/control_internal.h"
#include "agent/session/prove.h"
#include "core/conf/json.h"
#include "core/container.h"
#include "core/log.h"

/* ---- proposals ---- */

struct agent_proposal {
	struct agent_config *config;
	struct agent_self self;
};

static void config_drop(void *proposal)
{
	struct agent_proposal *p = proposal;

	if (p->config)
		agent_config_free(p->config);
	free(p->config);
	agent_self_free(&p->self);
	free(p);
}

static struct agent_control *config_control(const struct configuring *c)
{
	return container(c, struct agent_control, managed.configuring);
}

static void *config_propose(struct configuring *c, const json_t *document,
			    struct conf_errors *errors, char why[CONFIGURING_WHY_BYTES])
{
	const struct agent_control *ctl = config_control(c);
	struct agent_proposal *p = calloc(1, sizeof(*p));
	struct conf_node *root;
	bool ok;

	snprintf(why, CONFIGURING_WHY_BYTES, "out of memory");
	if (!p)
		return NULL;
	p->config = calloc(1, sizeof(*p->config));
	root = p->config ? conf_from_json(document, errors) : NULL;
	ok = root && agent_config_bind(root, p->config, errors) &&
	     agent_self_make(p->config, false, &p->self, why, CONFIGURING_WHY_BYTES);
	conf_node_free(root);
	if (!ok) {
		config_drop(p);
		return NULL;
	}
	if (ctl->overrides.log_level >= 0)
		p->config->log_level = ctl->overrides.log_level;
	return p;
}

enum reason agent_control_judge(const struct agent_control *ctl, const struct identity *identity,
				const struct caller *caller)
{
	const struct agent_console *console = container(caller, struct agent_console, line.caller);
	const struct entitled_proof proof = {.own = caller->credential};
	struct entitled_rules rules = {.anchors = identity_anchors(identity)};

	if (!caller->credential) /* local, and so no console */
		return REASON_OK;
	rules.revoked = agent_links_revoked(ctl->rooms.links, console->relay);
	return entitled(&proof, &rules, time(NULL)).reason;
}

static bool has_relay(const struct agent_config *config, const char *label)
{
	const struct agent_relay *relays = config->relays.items;
	char text[ENDPOINT_TEXT_BYTES];

	for (size_t i = 0; i < config->relays.count; i++) {
		endpoint_text(&relays[i].address, text);
		if (strcmp(text, label) == 0)
			return true;
	}
	return false;
}

static const char *config_cuts_off(const struct configuring *c, const struct caller *caller,
				   const void *proposal)
{
	const struct agent_control *ctl = config_control(c);
	const struct agent_proposal *p = proposal;
	const struct agent_console *console = container(caller, struct agent_console, line.caller);
	const struct agent_config *now = ctl->rooms.setup->config;

	if (strcmp(p->config->name, now->name) != 0)
		return "the agent would have another name";
	if (!has_relay(p->config, console->relay))
		return "the relay that you came by would be left";
	if (agent_control_judge(ctl, p->self.identity, caller) != REASON_OK)
		return "the new CA does not know your certificate";
	return NULL;
}

static bool text_equal(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static json_t *config_restart(const struct configuring *c, const void *proposal)
{
	const struct agent_control *ctl = config_control(c);
	const struct agent_proposal *p = proposal;
	const struct agent_config *now = ctl->rooms.setup->config;
	json_t *list = json_array();

	if (now->engine != p->config->engine && ctl->overrides.engine < 0)
		json_array_append_new(list, json_string("engine"));
	if (!text_equal(now->state_dir, p->config->state_dir))
		json_array_append_new(list, json_string("state_dir"));
	if (!text_equal(now->user, p->config->user))
		json_array_append_new(list, json_string("user"));
	if (!text_equal(now->nat.socket, p->config->nat.socket))
		json_array_append_new(list, json_string("nat.socket"));
	return list;
}

/* ---- in force ---- */

static bool same_identity(const struct agent_config *a, const struct agent_config *b)
{
	return text_equal(a->name, b->name) && text_equal(a->identity.ca, b->identity.ca) &&
	       text_equal(a->identity.certificate, b->identity.certificate) &&
	       text_equal(a->identity.key, b->identity.key);
}

static bool same_services(const struct agent_config *a, const struct agent_config *b)
{
	const struct agent_publish *one = a->publish.items, *other = b->publish.items;

	if (a->publish.count != b->publish.count)
		return false;
	for (size_t i = 0; i < a->publish.count; i++)
		if (strcmp(one[i].service, other[i].service) != 0)
			return false;
	return true;
}

/* What can fail. */
static bool apply_prepare(const struct agent_rooms *r, const struct agent_config *next,
			  struct agent_link ***links, char why[CONFIGURING_WHY_BYTES])
{
	if (!entrances_prepare(r->entrances, next, false, why, CONFIGURING_WHY_BYTES))
		return false;
	snprintf(why, CONFIGURING_WHY_BYTES,
		 "out of memory, or links have come and gone too fast; try again in a moment");
	*links = agent_links_make(r->links, next, !same_identity(r->setup->config, next));
	if (*links && agent_sessions_set_max(r->sessions, next->max_sessions))
		return true;
	if (*links)
		agent_links_drop(r->links, *links, next->relays.count);
	entrances_abandon(r->entrances);
	return false;
}

/* What cannot. */
static void apply_adopt(struct agent_control *ctl, struct agent_proposal *p,
			struct agent_link **links)
{
	const struct agent_rooms *r = &ctl->rooms;
	struct agent_config *before = ctl->config, *now = p->config;
	bool publish = !same_services(r->setup->config, now);
	bool other_cas = !text_equal(r->setup->config->identity.ca, now->identity.ca);
	bool renewed =
		!text_equal(r->setup->config->identity.certificate, now->identity.certificate);

	ctl->config = now;
	p->config = NULL;
	agent_setup_adopt(r->setup, now, &p->self);
	if (other_cas)
		agent_links_review_signed(r->links);
	ring_timer_set(ctl->ring, &ctl->expiry_timer, 0);
	log_set_level((enum log_level)now->log_level);
	entrances_adopt(r->entrances, now);
	agent_links_adopt(r->links, links, now->relays.count, publish);
	for (struct caller *c = ctl->calls.callers; c; c = c->next)
		c->level = agent_control_level(now);
	agent_sessions_judge(r->sessions);
	if (renewed)
		prove_renewed(r->sessions);
	if (before)
		agent_config_free(before);
	free(before);
}

static bool config_enforce(struct configuring *c, void *proposal, char why[CONFIGURING_WHY_BYTES])
{
	struct agent_control *ctl = config_control(c);
	struct agent_proposal *p = proposal;
	struct agent_link **links;
	bool ok = apply_prepare(&ctl->rooms, p->config, &links, why);

	if (ok)
		apply_adopt(ctl, p, links);
	config_drop(p);
	return ok;
}

static int config_keep(struct configuring *c, const json_t *kept)
{
	return state_save(config_control(c)->state, kept);
}

static const struct configuring_ops config_ops = {
	.area = "control",
	.propose = config_propose,
	.drop = config_drop,
	.cuts_off = config_cuts_off,
	.restart = config_restart,
	.enforce = config_enforce,
	.keep = config_keep,
	.set_trial = managed_set_trial,
	.event = managed_tell,
	.now = managed_now,
};

bool agent_control_configure(struct agent_control *ctl, const struct configuring_start *start)
{
	return configuring_open(&ctl->managed.configuring, &config_ops, agent_config_fields(),
				start, ctl->state != NULL);
}

/* ---- SIGHUP ---- */

void agent_control_reload(struct agent_control *ctl)
{
	struct conf_errors errors = {0};
	json_t *file;

	if (!ctl || ctl->stopping || !configuring_may_reread(&ctl->managed.configuring))
		return;
	file = agent_load_document(ctl->path, &errors);
	log_lines(LOG_LEVEL_WARNING, "config", errors.warnings.text);
	if (!file)
		log_error("control", "the configuration file is not in force: it has errors");
	log_lines(LOG_LEVEL_ERROR, "config", errors.text);
	conf_errors_free(&errors);
	configuring_reread(&ctl->managed.configuring, file);
}
