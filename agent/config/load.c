/* SPDX-License-Identifier: Apache-2.0 */
/* load: the configuration file, and what consoles changed over it. */
#include "agent/config/load.h"

#include "core/conf/json.h"

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
	document = bind_file(conf_load_again(path, errors), &config, errors);
	if (document)
		agent_config_free(&config);
	return document;
}

static bool state_bind(const struct conf_node *root, void *config, struct conf_errors *errors)
{
	return agent_config_bind(root, config, errors);
}

/* Puts what consoles changed over the file. False without memory. */
static bool state_use_kept(struct agent_state *s, const char *path, const json_t *file,
			   struct agent_config *config, struct configuring_start *start)
{
	json_t *kept = state_load(s);
	struct agent_config other;
	bool ok = configuring_begin_bound(agent_config_fields(), file, kept, state_bind, &other,
					  "agent", path, start);

	if (ok && start->merged) {
		agent_config_free(config);
		*config = other;
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
	file = bind_file(conf_load(path, errors), config, errors);
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
