/* SPDX-License-Identifier: Apache-2.0 */
/* conf_json: trees from JSON, JSON from trees, and YAML texts from JSON. */
#include "core/conf/json.h"

#include <stdlib.h>
#include <string.h>

#include "core/conf/yaml.h"
#include "core/memory.h"

/* ---- JSON to a tree ------------------------------------------------------------------------- */

struct json_reader {
	struct conf_errors *errors;
	size_t nodes, bytes;
};

/* A text's share of what a document may have, as JSON writes it. False, with an error: no more. */
static bool count_bytes(struct json_reader *r, const char *text)
{
	for (const char *c = text; *c; c++)
		r->bytes += *c == '"' || *c == '\\' || *c == '\n' || *c == '\t' ? 2 : 1;
	if (r->bytes <= CONF_FILE_MAX)
		return true;
	conf_error(r->errors, NULL, "", "more than %u MiB of text; make the document smaller",
		   CONF_FILE_MAX >> 20);
	return false;
}

static struct conf_node *out_of_memory(struct json_reader *r, struct conf_node *n)
{
	conf_error(r->errors, NULL, "", "memory is out while reading; make the document smaller");
	conf_node_free(n);
	return NULL;
}

/* A list or map gets room for so many. */
static struct conf_node *new_node(struct json_reader *r, enum conf_kind kind, size_t room)
{
	struct conf_node *n;

	if (++r->nodes > CONF_NODES_MAX) {
		conf_error(r->errors, NULL, "", "more than %u values; make the document smaller",
			   CONF_NODES_MAX);
		return NULL;
	}
	n = memory_zeroed(sizeof(*n));
	if (!n)
		return out_of_memory(r, NULL);
	n->kind = kind;
	if (room == 0)
		return n;
	n->items = memory_array(room, sizeof(struct conf_node *));
	n->keys = kind == CONF_MAP ? memory_array(room, sizeof(struct conf_node *)) : NULL;
	if (!n->items || (kind == CONF_MAP && !n->keys))
		return out_of_memory(r, n);
	return n;
}

/* Takes text over. */
static struct conf_node *new_scalar(struct json_reader *r, char *text, bool quoted)
{
	struct conf_node *n = NULL;

	if (!text)
		return out_of_memory(r, NULL);
	if (count_bytes(r, text))
		n = new_node(r, CONF_SCALAR, 0);
	if (!n) {
		memory_free(text);
		return NULL;
	}
	n->text = text;
	n->quoted = quoted;
	return n;
}

static struct conf_node *read_scalar(struct json_reader *r, const json_t *value, const char *path)
{
	const char *text = json_string_value(value);

	if (!text) /* a number, true, false, null: written as in YAML */
		return new_scalar(r, json_dumps(value, JSON_ENCODE_ANY), false);
	if (strlen(text) != json_string_length(value)) {
		conf_error(r->errors, NULL, path, "holds a zero byte; remove the \\u0000");
		return NULL;
	}
	return new_scalar(r, memory_text(text), true);
}

static struct conf_node *read_value(struct json_reader *r, const json_t *value, const char *path,
				    unsigned depth);

static struct conf_node *read_items(struct json_reader *r, const json_t *array, const char *path,
				    unsigned depth)
{
	size_t size = json_array_size(array);
	struct conf_node *list = new_node(r, CONF_LIST, size);
	char child[CONF_PATH_BYTES];

	for (size_t i = 0; list && i < size; i++) {
		conf_path_item(child, path, i);
		list->items[i] = read_value(r, json_array_get(array, i), child, depth);
		if (!list->items[i]) {
			conf_node_free(list);
			return NULL;
		}
		list->count++;
	}
	return list;
}

static struct conf_node *read_pairs(struct json_reader *r, json_t *object, const char *path,
				    unsigned depth)
{
	size_t size = json_object_size(object);
	struct conf_node *map;
	char child[CONF_PATH_BYTES];
	const char *key;
	json_t *value;

	if (size > CONF_KEYS_MAX) {
		conf_error(r->errors, NULL, path, "has more than %u keys; remove some",
			   CONF_KEYS_MAX);
		return NULL;
	}
	map = new_node(r, CONF_MAP, size);
	if (!map || size == 0)
		return map;
	json_object_foreach(object, key, value)
	{
		struct conf_node *name = new_scalar(r, memory_text(key), true), *n = NULL;

		conf_path_key(child, path, key);
		if (name)
			n = read_value(r, value, child, depth);
		if (!n) {
			conf_node_free(name);
			conf_node_free(map);
			return NULL;
		}
		map->keys[map->count] = name;
		map->items[map->count++] = n;
	}
	return map;
}

static struct conf_node *read_value(struct json_reader *r, const json_t *value, const char *path,
				    unsigned depth)
{
	if (!json_is_object(value) && !json_is_array(value))
		return read_scalar(r, value, path);
	if (depth >= CONF_DEPTH_MAX) {
		conf_error(r->errors, NULL, path, "is nested deeper than %u levels; flatten it",
			   CONF_DEPTH_MAX);
		return NULL;
	}
	/* jansson iterates over variable objects only; nothing is changed here. */
	return json_is_array(value) ? read_items(r, value, path, depth + 1)
				    : read_pairs(r, (json_t *)value, path, depth + 1);
}

struct conf_node *conf_from_json(const json_t *value, struct conf_errors *errors)
{
	struct json_reader r = {.errors = errors};

	return read_value(&r, value, "", 0);
}

/* ---- a tree to JSON ------------------------------------------------------------------------- */

/* Digits that fit become a number; with a unit they are a text. */
static json_t *number_of(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 18 || text[digits] != '\0')
		return json_string(text);
	return json_integer(strtoll(text, NULL, 10));
}

static json_t *scalar_of(const struct conf_node *n, enum conf_type type)
{
	switch (type) {
	case CONF_BOOL:
		if (strcmp(n->text, "true") == 0 || strcmp(n->text, "yes") == 0 ||
		    strcmp(n->text, "on") == 0)
			return json_true();
		return json_false();
	case CONF_UINT:
	case CONF_BYTES:
	case CONF_RATE:
	case CONF_DURATION:
		return number_of(n->text);
	default:
		return json_string(n->text);
	}
}

static json_t *list_of(const struct conf_field *f, const struct conf_node *list)
{
	enum conf_type type = f && !f->fields ? f->item_type : CONF_STRING;
	json_t *array = json_array();

	for (size_t i = 0; array && i < list->count; i++) {
		const struct conf_node *n = list->items[i];
		json_t *item = n->kind == CONF_SCALAR ? scalar_of(n, type)
						      : conf_document(f ? f->fields : NULL, n);
		if (json_array_append_new(array, item)) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

json_t *conf_document(const struct conf_field *fields, const struct conf_node *root)
{
	json_t *object;

	if (root->kind == CONF_SCALAR)
		return json_string(root->text);
	if (root->kind == CONF_LIST)
		return list_of(NULL, root);
	object = json_object();
	for (size_t i = 0; object && i < root->count; i++) {
		const struct conf_node *n = root->items[i];
		const struct conf_field *f = conf_find(fields, root->keys[i]->text);
		json_t *value = n->kind == CONF_SCALAR ? scalar_of(n, f ? f->type : CONF_STRING)
				: n->kind == CONF_LIST ? list_of(f, n)
						       : conf_document(f ? f->fields : NULL, n);
		if (json_object_set_new(object, root->keys[i]->text, value)) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

/* ---- JSON to YAML --------------------------------------------------------------------------- */

/* False without memory. */
static bool write_value(struct conf_yaml *w, json_t *value)
{
	const char *key;
	json_t *item;
	size_t i;
	char *text;
	bool ok = true;

	if (json_is_object(value)) {
		conf_yaml_begin_map(w);
		json_object_foreach(value, key, item)
		{
			conf_yaml_key(w, key);
			ok = write_value(w, item) && ok;
		}
		conf_yaml_end_map(w);
	} else if (json_is_array(value)) {
		conf_yaml_begin_list(w);
		json_array_foreach(value, i, item) ok = write_value(w, item) && ok;
		conf_yaml_end_list(w);
	} else if (json_is_string(value)) {
		conf_yaml_text(w, json_string_value(value), json_string_length(value));
	} else {
		text = json_dumps(value, JSON_ENCODE_ANY);
		conf_yaml_plain(w, text ? text : "null");
		ok = text != NULL;
		memory_free(text);
	}
	return ok;
}

char *conf_yaml(const json_t *document)
{
	struct conf_yaml *w;
	char *text = NULL;
	size_t len;
	FILE *to;
	bool ok = false;

	if (!json_is_object(document) && !json_is_array(document))
		return NULL;
	to = open_memstream(&text, &len);
	if (!to)
		return NULL;
	w = conf_yaml_open(to);
	if (w) {
		ok = write_value(w, (json_t *)document);
		ok = conf_yaml_close(w) && ok;
	}
	if (fclose(to) != 0 || !ok) {
		free(text); /* the C library's */
		return NULL;
	}
	return text;
}
