/* SPDX-License-Identifier: Apache-2.0 */
/* config_ops: what the methods config.* (core/engine/config_calls.h) do to a relay. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "relay/control/control_internal.h"

struct relay_proposal {
	struct snapshot *next;
};

static void drop(void *proposal)
{
	struct relay_proposal *p = proposal;

	if (p->next)
		snapshot_release(p->next);
	free(p);
}

static void *propose(void *owner, const json_t *document, struct conf_errors *errors,
		     char why[CONFIG_WHY_BYTES])
{
	struct relay_proposal *p = calloc(1, sizeof *p);

	snprintf(why, CONFIG_WHY_BYTES, "out of memory");
	if (!p)
		return NULL;
	p->next = control_snapshot(owner, document, errors, why, CONFIG_WHY_BYTES);
	if (p->next)
		return p;
	free(p);
	return NULL;
}

static const char *cuts_off(const void *owner, const struct caller *caller, const void *proposal)
{
	const struct control *ctl = owner;
	const struct relay_proposal *p = proposal;
	const struct relay_config *next = &p->next->config;
	const struct relay_listen *items = next->listen.items;
	bool heard = false;

	if (caller->address.len == 0)
		return NULL;
	for (size_t i = 0; i < next->listen.count && !heard; i++)
		heard = addr_covers(&items[i].address, &caller->listener);
	if (!heard)
		return "no listener would be left where you came in";
	/* A list of CAs that has the old one in it is how a CA is replaced. */
	if (!strstr(next->identity.ca, ctl->current->config.identity.ca))
		return "the new CA does not know your certificate";
	if (policy_revoked(p->next->policy, caller->ca_name))
		return "your own name is revoked";
	return NULL;
}

static bool addr_same(const struct addr *a, const struct addr *b)
{
	return a->len == 0 || b->len == 0 ? a->len == b->len : addr_equal(a, b);
}

static bool text_same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

json_t *control_needs_restart(const struct relay_config *was, const struct relay_config *is)
{
	const struct {
		const char *key;
		bool same;
	} keys[] = {
		{"engine", was->engine == is->engine},
		{"threads", was->threads == is->threads},
		{"limits.buffer_bytes", was->limits.buffer_bytes == is->limits.buffer_bytes},
		{"metrics.listen", addr_same(&was->metrics.listen, &is->metrics.listen)},
		{"control.socket", text_same(was->control.socket, is->control.socket)},
		{"nat.socket", text_same(was->nat.socket, is->nat.socket)},
		{"state_dir", text_same(was->state_dir, is->state_dir)},
		{"user", text_same(was->user, is->user)},
	};
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (!keys[i].same)
			json_array_append_new(list, json_string(keys[i].key));
	return list;
}

static json_t *restart(const void *owner, const void *proposal)
{
	const struct control *ctl = owner;
	const struct relay_proposal *p = proposal;

	return control_needs_restart(&ctl->current->config, &p->next->config);
}

static bool apply(void *owner, void *proposal, const struct config_change *change,
		  char why[CONFIG_WHY_BYTES])
{
	struct relay_proposal *p = proposal;
	bool ok = control_apply(owner, p->next, change->document, change->who, change->note,
				change->confirm_ms, why, CONFIG_WHY_BYTES);

	p->next = NULL;
	drop(p);
	return ok;
}

static bool confirm(void *owner, const char *who)
{
	struct control *ctl = owner;

	if (!changes_confirm(ctl->changes, who, time(NULL)))
		return false;
	control_confirmed(ctl);
	control_event(ctl, "config.confirmed",
		      json_pack("{s:I, s:s}", "revision",
				(json_int_t)changes_revision(ctl->changes), "who", who));
	return true;
}

static bool roll_back(void *owner, const char *who, char why[CONFIG_WHY_BYTES])
{
	return control_roll_back(owner, who, why, CONFIG_WHY_BYTES);
}

const struct config_ops control_config_ops = {
	.propose = propose,
	.drop = drop,
	.cuts_off = cuts_off,
	.restart = restart,
	.apply = apply,
	.confirm = confirm,
	.roll_back = roll_back,
};
