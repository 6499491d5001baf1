/* SPDX-License-Identifier: Apache-2.0 */
/* small_program: its schema, and what core/engine/configuring.h does to it. */
#include "tests/support/small_program.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/conf/json.h"
#include "core/container.h"

static const struct conf_field small_host_fields[] = {
	{.key = "socket",
	 .type = CONF_STRING,
	 .offset = offsetof(struct small_settings, host.socket) -
		   offsetof(struct small_settings, host),
	 .owner = CONF_OF_FILE,
	 .help = "a key of the host"},
	{.key = "speed",
	 .type = CONF_UINT,
	 .offset = offsetof(struct small_settings, host.speed) -
		   offsetof(struct small_settings, host),
	 .max = 10,
	 .initial = "1",
	 .help = "no key of the host, though beside one"},
	{.key = NULL},
};

const struct conf_field small_fields[] = {
	{.key = "name",
	 .type = CONF_STRING,
	 .offset = offsetof(struct small_settings, name),
	 .help = "a name"},
	{.key = "key",
	 .type = CONF_STRING,
	 .offset = offsetof(struct small_settings, key),
	 .secret = true,
	 .help = "a secret"},
	{.key = "size",
	 .type = CONF_UINT,
	 .offset = offsetof(struct small_settings, size),
	 .max = 10,
	 .initial = "1",
	 .help = "a size"},
	{.key = "speed",
	 .type = CONF_UINT,
	 .offset = offsetof(struct small_settings, speed),
	 .max = 10,
	 .initial = "1",
	 .help = "a speed"},
	{.key = "taken",
	 .type = CONF_UINT,
	 .offset = offsetof(struct small_settings, taken),
	 .max = 1,
	 .initial = "0",
	 .help = "1: cannot be put in force"},
	{.key = "host",
	 .type = CONF_STRUCT,
	 .offset = offsetof(struct small_settings, host),
	 .fields = small_host_fields,
	 .help = "a map with a key of the host"},
	{.key = "ca",
	 .type = CONF_TEXT,
	 .offset = offsetof(struct small_settings, ca),
	 .owner = CONF_OF_CAS,
	 .help = "CAs"},
	{.key = NULL},
};

static struct small_program *program_of(const struct configuring *c)
{
	return container(c, struct small_program, configuring);
}

static void small_drop(void *proposal)
{
	conf_release(small_fields, proposal);
	free(proposal);
}

static void *small_propose(struct configuring *c, const json_t *document,
			   struct conf_errors *errors, char why[CONFIGURING_WHY_BYTES])
{
	struct small_settings *s = calloc(1, sizeof(*s));
	struct conf_node *root = conf_from_json(document, errors);
	bool ok = root && conf_bind(root, small_fields, s, errors);

	conf_node_free(root);
	if (ok)
		return s;
	small_drop(s);
	return NULL;
}

static const char *small_cuts_off(const struct configuring *c, const struct caller *caller,
				  const void *proposal)
{
	const struct small_settings *s = proposal;

	return s->size == 0 ? "nothing would be left" : NULL;
}

static json_t *small_restart(const struct configuring *c, const void *proposal)
{
	return json_array();
}

static bool small_enforce(struct configuring *c, void *proposal, char why[CONFIGURING_WHY_BYTES])
{
	struct small_program *p = program_of(c);
	struct small_settings *s = proposal;

	if (p->refuses || s->taken) {
		snprintf(why, CONFIGURING_WHY_BYTES, "the port is taken");
		small_drop(s);
		return false;
	}
	conf_release(small_fields, &p->settings);
	p->settings = *s;
	free(s);
	p->applied++;
	return true;
}

static int small_keep(struct configuring *c, const json_t *kept)
{
	struct small_program *p = program_of(c);

	if (p->keep_error)
		return p->keep_error;
	json_decref(p->kept);
	p->kept = json_deep_copy(kept);
	return 0;
}

static void small_set_trial(struct configuring *c, uint64_t after_ms)
{
	program_of(c)->trial_ms = after_ms;
}

static void small_event(struct configuring *c, const char *kind, json_t *data)
{
	program_of(c)->overruled += strcmp(kind, "config.overruled") == 0;
	program_of(c)->unsaved += strcmp(kind, "config.unsaved") == 0;
	json_decref(data);
}

static struct configuring_now small_now(const struct configuring *c)
{
	return (struct configuring_now){1000, 1795000000};
}

const struct configuring_ops small_ops = {
	.area = "test",
	.propose = small_propose,
	.drop = small_drop,
	.cuts_off = small_cuts_off,
	.restart = small_restart,
	.enforce = small_enforce,
	.keep = small_keep,
	.set_trial = small_set_trial,
	.event = small_event,
	.now = small_now,
};
