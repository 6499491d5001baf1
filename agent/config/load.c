/* SPDX-License-Identifier: Apache-2.0 */
/* load: the configuration file, and what consoles changed over it. */
#include "agent/config/load.h"

#include <string.h>

#include "agent/config/setup.h"
#include "core/conf/json.h"
#include "core/engine/owned.h"

/* Takes root over, which is what the file says; NULL: it could not be read. */
static json_t *bind_file(struct conf_node *root, struct agent_config *config,
			 struct conf_errors *errors)
{
	json_t *document = NULL;

	if (root && agent_config_bind(root, config, errors)) {
		document = conf_document(agent_config_fields(), root);
		if (!document) {
			conf_error(errors, NULL, "", "out of memory");
			agent_config_free(config);
		}
	}
	conf_node_free(root);
	return document;
}

json_t *agent_load_document(const char *path, struct conf_errors *errors)
{
	struct agent_config config;
	json_t *document;

	errors->file = path;
	document = bind_file(conf_load(path, CONF_AGAIN | CONF_KEYS, errors), &config, errors);
	if (document)
		agent_config_free(&config);
	return document;
}

/* The file's configuration, and the one with consoles' changes over it. */
struct load_binding {
	const struct agent_config *file;
	struct agent_config together;
};

static bool text_equal(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Each of them may be well-formed, and a certificate of the one not belong to a key of the other.
 * Where nothing of that differs from the file it is the file's own, and not looked at here. */
static bool agent_identity_fits(const struct load_binding *b, struct conf_errors *errors)
{
	const struct agent_config *one = b->file, *other = &b->together;
	struct agent_self self;
	char why[512];

	if (text_equal(one->name, other->name) && text_equal(one->proxy, other->proxy) &&
	    text_equal(one->identity.ca, other->identity.ca) &&
	    text_equal(one->identity.certificate, other->identity.certificate) &&
	    text_equal(one->identity.key, other->identity.key) &&
	    text_equal(one->identity.tag_keys, other->identity.tag_keys))
		return true;
	if (owned_judge_cas(one->identity.ca, other->identity.ca, 0) == OWNED_CAS_STRANGER) {
		conf_error(errors, NULL, "identity.ca",
			   "has a CA that none of the file's has signed; if it is to be trusted, "
			   "write it into the file");
		return false;
	}
	if (!agent_self_make(other, false, &self, why, sizeof(why))) {
		conf_error(errors, NULL, "", "%s", why);
		return false;
	}
	agent_self_free(&self);
	return true;
}

static bool agent_load_bind(const struct conf_node *root, void *binding, struct conf_errors *errors)
{
	struct load_binding *b = binding;

	if (!agent_config_bind(root, &b->together, errors))
		return false;
	if (agent_identity_fits(b, errors))
		return true;
	agent_config_free(&b->together);
	return false;
}

/* Puts what consoles changed over the file. False without memory. */
static bool state_use_kept(struct agent_state *s, const char *path, const json_t *file,
			   struct agent_config *config, struct configuring_start *start)
{
	json_t *kept = state_load(s);
	struct load_binding b = {.file = config};
	bool ok = configuring_begin_bound(agent_config_fields(), file, kept, agent_load_bind, &b,
					  "agent", path, start);

	if (ok && start->merged) {
		agent_config_free(config);
		*config = b.together;
	}
	json_decref(kept);
	return ok;
}

bool agent_load(const char *path, struct agent_config *config, struct configuring_start *start,
		struct agent_state **state, struct conf_errors *errors)
{
	json_t *file;
	char why[512];
	bool ok;

	errors->file = path;
	file = bind_file(conf_load(path, CONF_KEYS, errors), config, errors);
	*start = (struct configuring_start){.document = NULL};
	*state = NULL;
	if (!file)
		return false;
	if (config->state_dir && !(*state = state_open(config->state_dir, why, sizeof(why)))) {
		conf_error(errors, NULL, "", "%s", why);
		ok = false;
	} else {
		ok = *state ? state_use_kept(*state, path, file, config, start)
			    : configuring_begin(agent_config_fields(), file, NULL, start);
		if (!ok)
			conf_error(errors, NULL, "", "out of memory");
	}
	json_decref(file);
	if (ok)
		return true;
	state_close(*state);
	*state = NULL;
	agent_config_free(config);
	return false;
}
