/* SPDX-License-Identifier: Apache-2.0 */
/* load: what a relay starts with. */
#include "relay/config/load.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/conf/json.h"

/* What is kept, or NULL: nothing, or nothing whole. */
static json_t *load_kept(const char *state_dir)
{
	char path[4096];
	json_error_t error;

	snprintf(path, sizeof path, "%s/" STATE_NAME, state_dir);
	if (access(path, F_OK) != 0)
		return NULL;
	json_t *kept = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (!kept)
		log_error("relay", "%s:%d:%d: %s", path, error.line, error.column, error.text);
	return kept;
}

static bool load_bind(const struct conf_node *root, void *config, struct conf_errors *errors)
{
	return relay_config_bind(root, config, errors);
}

/* Puts what consoles changed over the file. False without memory. */
static bool load_use_kept(const char *path, struct relay_config *config,
			  struct configuring_start *s)
{
	json_t *kept = load_kept(config->state_dir), *file = json_incref(s->file);
	struct relay_config other;
	bool ok;

	configuring_start_free(s);
	ok = configuring_begin_bound(relay_config_fields(), file, kept, load_bind, &other, "relay",
				     path, s);
	if (ok && s->merged) {
		/* Where to look for it next time is the file's to say. */
		char *state_dir = config->state_dir;
		config->state_dir = other.state_dir;
		other.state_dir = state_dir;
		relay_config_free(config);
		*config = other;
	}
	json_decref(kept);
	json_decref(file);
	return ok;
}

bool load_config(const char *path, struct relay_config *config, struct configuring_start *s,
		 struct conf_errors *errors)
{
	struct conf_node *root;
	json_t *file = NULL;
	bool ok;

	*s = (struct configuring_start){.document = NULL};
	errors->file = path;
	root = conf_load(path, errors);
	ok = root && relay_config_bind(root, config, errors);
	if (ok) {
		file = conf_document(relay_config_fields(), root);
		ok = file && configuring_begin(relay_config_fields(), file, NULL, s) &&
		     (!config->state_dir || load_use_kept(path, config, s));
		if (!ok) {
			conf_error(errors, NULL, "", "out of memory");
			relay_config_free(config);
		}
	}
	json_decref(file);
	conf_node_free(root);
	return ok;
}

json_t *load_document(const char *text, size_t len, struct conf_errors *errors)
{
	struct conf_node *root = conf_parse(text, len, errors);
	struct relay_config config;
	json_t *document = NULL;

	if (root && relay_config_bind(root, &config, errors)) {
		relay_config_free(&config);
		document = conf_document(relay_config_fields(), root);
	}
	conf_node_free(root);
	return document;
}
