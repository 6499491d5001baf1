/* SPDX-License-Identifier: Apache-2.0 */
/* config_load: the configuration's file and the command line, made one document. */
#include <string.h>

#include "core/conf/json.h"
#include "portmap/config.h"

/* "tcp:443", "udp:5000-5009:6000-6009", "tcp:443:any". False: it is written otherwise. */
static bool add_map(json_t *list, const char *text)
{
	const char *port = strchr(text, ':'), *external = port ? strchr(port + 1, ':') : NULL;
	json_t *map;

	if (!port || (external && strchr(external + 1, ':')))
		return false;
	map = json_object();
	json_object_set_new(map, "protocol", json_stringn(text, (size_t)(port - text)));
	port++;
	json_object_set_new(
		map, "port",
		json_stringn(port, external ? (size_t)(external - port) : strlen(port)));
	if (external)
		json_object_set_new(map, "external", json_string(external + 1));
	return json_array_append_new(list, map) == 0;
}

static void replace(json_t *document, const char *key, const char *value)
{
	if (value)
		json_object_set_new(document, key, json_string(value));
}

static bool add_arguments(json_t *document, const struct natd_arguments *a,
			  struct conf_errors *errors)
{
	json_t *maps = json_object_get(document, "map"), *stun;
	char shown[CONF_QUOTE_BYTES];

	if (!maps && a->map_count > 0) {
		maps = json_array();
		json_object_set_new(document, "map", maps);
	}
	for (size_t i = 0; i < a->map_count; i++) {
		if (add_map(maps, a->maps[i]))
			continue;
		conf_error(errors, NULL, "--map",
			   "%s is no mapping; write it like tcp:443, "
			   "udp:443:8443 or tcp:443:any",
			   conf_quote(a->maps[i], shown));
		return false;
	}
	if (a->stun_count > 0) {
		stun = json_array();
		for (size_t i = 0; i < a->stun_count; i++)
			json_array_append_new(stun, json_string(a->stun[i]));
		json_object_set_new(document, "stun", stun);
	}
	replace(document, "interface", a->interface);
	replace(document, "gateway", a->gateway);
	replace(document, "hook", a->hook);
	replace(document, "socket", a->socket);
	replace(document, "state_dir", a->state_dir);
	return true;
}

static bool says_something(const struct natd_arguments *a)
{
	return a->map_count > 0 || a->stun_count > 0 || a->interface || a->gateway || a->hook ||
	       a->socket || a->state_dir;
}

/* The file's document, checked by itself, so that its errors name their places; {} without one. */
static json_t *read_file(const struct natd_arguments *a, struct conf_errors *errors)
{
	const char *path = a->config;
	struct natd_config alone;
	struct conf_node *root;
	json_t *document = NULL;

	if (!path)
		return json_object();
	errors->file = path;
	root = conf_load(path, a->again ? CONF_AGAIN : 0, errors);
	if (root && natd_config_bind(root, &alone, errors)) {
		document = conf_document(natd_config_fields(), root);
		natd_config_free(&alone);
	}
	conf_node_free(root);
	return document;
}

bool natd_config_load(const struct natd_arguments *a, struct natd_config *out,
		      struct conf_errors *errors)
{
	json_t *document = read_file(a, errors);
	struct conf_node *root = NULL;
	bool ok = document != NULL;

	if (ok && says_something(a)) {
		errors->file = a->config ? "the file with the command line" : "the command line";
		ok = add_arguments(document, a, errors);
	}
	if (ok) {
		root = conf_from_json(document, errors);
		ok = root && natd_config_bind(root, out, errors);
	}
	conf_node_free(root);
	json_decref(document);
	return ok;
}
