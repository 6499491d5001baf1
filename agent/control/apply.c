/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply: puts another configuration in force, whole or not at all.
 *
 * Everything that can fail comes first: the document is bound and checked, identity and contexts
 * are made of it, new listeners bound, new links made. From then on nothing fails. Sessions live
 * on: they depend on nothing of the configuration once they have begun. A trial that nobody
 * confirms puts the old document back the same way.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/control/control_internal.h"
#include "core/conf/json.h"
#include "core/container.h"
#include "core/log.h"

#define AGAIN_MS 5000u /* until the next try to go back */

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

static void *config_propose(void *owner, const json_t *document, struct conf_errors *errors,
			    char why[CONFIG_WHY_BYTES])
{
	const struct agent_control *ctl = owner;
	struct agent_proposal *p = calloc(1, sizeof(*p));
	struct conf_node *root;
	bool ok;

	snprintf(why, CONFIG_WHY_BYTES, "out of memory");
	if (!p)
		return NULL;
	p->config = calloc(1, sizeof(*p->config));
	root = p->config ? conf_from_json(document, errors) : NULL;
	ok = root && agent_config_bind(root, p->config, errors) &&
	     agent_self_make(p->config, false, &p->self, why, CONFIG_WHY_BYTES);
	conf_node_free(root);
	if (!ok) {
		config_drop(p);
		return NULL;
	}
	if (ctl->overrides.log_level >= 0)
		p->config->log_level = ctl->overrides.log_level;
	return p;
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

static const char *config_cuts_off(const void *owner, const struct caller *caller,
				   const void *proposal)
{
	const struct agent_control *ctl = owner;
	const struct agent_proposal *p = proposal;
	const struct agent_console *c = container(caller, struct agent_console, line.caller);
	const struct agent_config *now = ctl->rooms.setup->config;

	if (strcmp(p->config->name, now->name) != 0)
		return "the agent would have another name";
	if (!has_relay(p->config, c->relay))
		return "the relay that you came by would be left";
	/* A list of CAs that has the old one in it is how a CA is replaced. */
	if (!strstr(p->config->identity.ca, now->identity.ca))
		return "the new CA does not know your certificate";
	return NULL;
}

static bool text_equal(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static json_t *config_restart(const void *owner, const void *proposal)
{
	const struct agent_control *ctl = owner;
	const struct agent_proposal *p = proposal;
	const struct agent_config *now = ctl->rooms.setup->config;
	json_t *list = json_array();

	if (now->engine != p->config->engine && ctl->overrides.engine < 0)
		json_array_append_new(list, json_string("engine"));
	if (!text_equal(now->state_dir, p->config->state_dir))
		json_array_append_new(list, json_string("state_dir"));
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
static bool prepare(const struct agent_rooms *r, const struct agent_config *next,
		    struct agent_link ***links, char why[CONFIG_WHY_BYTES])
{
	if (!entrances_prepare(r->entrances, next, false, why, CONFIG_WHY_BYTES))
		return false;
	snprintf(why, CONFIG_WHY_BYTES,
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
static void adopt(struct agent_control *ctl, struct agent_proposal *p, struct agent_link **links)
{
	const struct agent_rooms *r = &ctl->rooms;
	struct agent_config *before = ctl->config, *now = p->config;
	bool publish = !same_services(r->setup->config, now);

	ctl->config = now;
	p->config = NULL;
	agent_setup_adopt(r->setup, now, &p->self);
	ring_timer_set(ctl->ring, &ctl->expiry_timer, 0);
	log_set_level((enum log_level)now->log_level);
	entrances_adopt(r->entrances, now);
	agent_links_adopt(r->links, links, now->relays.count, publish);
	if (before)
		agent_config_free(before);
	free(before);
}

static void save(struct agent_control *ctl)
{
	int error;

	if (!ctl->state)
		return;
	error = state_save(ctl->state, changes_document(ctl->changes));
	if (error) {
		log_error("control", "the applied configuration is not kept for the next start: %s",
			  strerror(-error));
		agent_control_event(ctl, "config.unsaved", "{s:s}", "text", strerror(-error));
	}
}

static bool config_apply(void *owner, void *proposal, const struct config_change *change,
			 char why[CONFIG_WHY_BYTES])
{
	struct agent_control *ctl = owner;
	struct agent_proposal *p = proposal;
	struct agent_link **links;
	bool ok = prepare(&ctl->rooms, p->config, &links, why);

	if (ok)
		adopt(ctl, p, links);
	config_drop(p);
	if (!ok)
		return false;
	if (!changes_commit(ctl->changes, change->document, change->who, change->note,
			    change->confirm_ms, ring_now_ms(ctl->ring), time(NULL)))
		log_error("control", "out of memory: the history lacks this change");
	if (change->confirm_ms > 0) {
		ring_timer_set(ctl->ring, &ctl->trial, change->confirm_ms);
	} else {
		ring_timer_cancel(ctl->ring, &ctl->trial);
		save(ctl);
	}
	log_notice("control", "configuration revision=%" PRIu64 " by %s%s",
		   changes_revision(ctl->changes), change->who,
		   change->confirm_ms > 0 ? ", waiting to be confirmed" : "");
	agent_control_event(ctl, "config.applied", "{s:I, s:s, s:b}", "revision",
			    (json_int_t)changes_revision(ctl->changes), "who", change->who,
			    "unconfirmed", change->confirm_ms > 0);
	return true;
}

/* ---- trials ---- */

static bool config_confirm(void *owner, const char *who)
{
	struct agent_control *ctl = owner;

	if (!changes_confirm(ctl->changes, who, time(NULL)))
		return false;
	ring_timer_cancel(ctl->ring, &ctl->trial);
	save(ctl);
	agent_control_event(ctl, "config.confirmed", "{s:I, s:s}", "revision",
			    (json_int_t)changes_revision(ctl->changes), "who", who);
	return true;
}

static bool config_roll_back(void *owner, const char *who, char why[CONFIG_WHY_BYTES])
{
	struct agent_control *ctl = owner;
	json_t *old = json_deep_copy(changes_rollback(ctl->changes));
	const struct config_change change = {.document = old, .who = who, .note = "rolled back"};
	struct conf_errors errors = {0};
	struct agent_proposal *p = NULL;
	bool ok;

	snprintf(why, CONFIG_WHY_BYTES, "out of memory");
	if (old)
		p = config_propose(ctl, old, &errors, why);
	if (!p && errors.count > 0)
		snprintf(why, CONFIG_WHY_BYTES, "%s", errors.text ? errors.text : "");
	ok = p && config_apply(ctl, p, &change, why);
	conf_errors_free(&errors);
	json_decref(old);
	return ok;
}

void agent_trial_fired(struct timer *t, uint64_t now_ms)
{
	struct agent_control *ctl = container(t, struct agent_control, trial);
	char why[CONFIG_WHY_BYTES];

	log_warning("control", "nobody confirmed the new configuration: going back");
	if (config_roll_back(ctl, "time", why))
		return;
	log_error("control", "cannot go back to the old configuration: %s", why);
	ring_timer_set(ctl->ring, t, AGAIN_MS);
}

const struct config_ops agent_config_ops = {
	.propose = config_propose,
	.drop = config_drop,
	.cuts_off = config_cuts_off,
	.restart = config_restart,
	.apply = config_apply,
	.confirm = config_confirm,
	.roll_back = config_roll_back,
};
