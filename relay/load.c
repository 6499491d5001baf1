/* SPDX-License-Identifier: Apache-2.0 */
/* load: what a relay starts with. */
#include "relay/load.h"

#include <stdio.h>
#include <unistd.h>

#include "core/conf_json.h"
#include "core/log.h"

/* NULL where nothing was applied. */
static json_t *load_applied(const char *state_dir, const char *file)
{
	char path[4096];
	json_error_t error;

	snprintf(path, sizeof path, "%s/%s", state_dir, STATE_NAME);
	if (access(path, F_OK) != 0)
		return NULL;
	json_t *document = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (!document)
		log_error("relay", "%s:%d:%d: %s; starting with %s", path, error.line, error.column,
			  error.text, file);
	else
		log_notice("relay",
			   "starting with what was applied last (%s), not with %s: "
			   "SIGHUP puts the file in force",
			   path, file);
	return document;
}

static void use_applied(struct relay_config *config, json_t **document, const char *file)
{
	json_t *applied = load_applied(config->state_dir, file);
	struct conf_errors errors = {.file = STATE_NAME};
	struct conf_node *root = applied ? conf_from_json(applied, &errors) : NULL;
	struct relay_config other;

	if (root && relay_config_bind(root, &other, &errors)) {
		relay_config_free(config);
		*config = other;
		json_decref(*document);
		*document = json_incref(applied);
	} else if (applied) {
		log_error("relay", "what was applied last is not valid; starting with %s: %s", file,
			  errors.text ? errors.text : "");
	}
	conf_node_free(root);
	conf_errors_free(&errors);
	json_decref(applied);
}

bool load_config(const char *path, struct relay_config *config, json_t **document,
		 struct conf_errors *errors)
{
	struct conf_node *root;
	bool ok;

	errors->file = path;
	root = conf_load(path, errors);
	ok = root && relay_config_bind(root, config, errors);
	*document = ok ? conf_document(relay_config_fields(), root) : NULL;
	conf_node_free(root);
	if (ok && config->state_dir)
		use_applied(config, document, path);
	return ok;
}
