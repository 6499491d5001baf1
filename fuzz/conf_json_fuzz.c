/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_json_fuzz: two lines of JSON as documents.
 *
 * What becomes a tree comes back from it, also over YAML. A difference is told exactly when there
 * is one. Hiding leaves no secret, and revealing puts each back.
 *
 * links: core/conf_json.c core/conf_diff.c core/conf_yaml.c core/conf.c core/conf_bind.c
 * links: core/conf_error.c core/conf_value.c core/addr.c core/log.c
 */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/conf_diff.h"
#include "core/conf_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct conf_field door_fields[] = {
	{.key = "name", .type = CONF_NAME, .required = true},
	{.key = "token", .type = CONF_STRING, .secret = true},
	{.key = "open", .type = CONF_BOOL},
	{.key = NULL},
};
static const struct conf_field identity_fields[] = {
	{.key = "key", .type = CONF_TEXT, .secret = true},
	{.key = "size", .type = CONF_BYTES},
	{.key = NULL},
};
static const struct conf_field fields[] = {
	{.key = "identity", .type = CONF_STRUCT, .fields = identity_fields},
	{.key = "doors", .type = CONF_LIST_OF, .fields = door_fields},
	{.key = "ids", .type = CONF_LIST_OF, .item_type = CONF_UINT},
	{.key = NULL},
};

/* Every single value as the text that it has in a tree. */
static json_t *as_texts(json_t *value)
{
	json_t *copy, *item;
	const char *key;
	char *text;
	size_t i;

	if (json_is_object(value)) {
		copy = json_object();
		json_object_foreach(value, key, item)
			json_object_set_new(copy, key, as_texts(item));
	} else if (json_is_array(value)) {
		copy = json_array();
		json_array_foreach(value, i, item) json_array_append_new(copy, as_texts(item));
	} else if (json_is_string(value)) {
		copy = json_incref(value);
	} else {
		text = json_dumps(value, JSON_ENCODE_ANY);
		copy = json_string(text);
		free(text);
	}
	return copy;
}

static void assert_document(const struct conf_node *root, json_t *expected)
{
	json_t *document = conf_document(NULL, root);

	assert(json_equal(document, expected));
	json_decref(document);
}

static void check_forms(json_t *value)
{
	struct conf_errors errors = {0};
	struct conf_node *root = conf_from_json(value, &errors);
	json_t *texts;
	char *yaml;

	assert(!root == (errors.count > 0));
	conf_errors_free(&errors);
	if (!root)
		return;
	texts = as_texts(value);
	assert_document(root, texts);
	conf_node_free(root);
	yaml = conf_yaml(value);
	assert(!yaml == (!json_is_object(value) && !json_is_array(value)));
	if (yaml) {
		root = conf_parse(yaml, strlen(yaml), &errors);
		assert(root && errors.count == 0);
		assert_document(root, texts);
		conf_node_free(root);
	}
	free(yaml);
	json_decref(texts);
}

static void assert_hidden(const json_t *map, const char *key)
{
	const json_t *secret = json_object_get(map, key);

	assert(!secret || strcmp(json_string_value(secret), CONF_HIDDEN) == 0);
}

static void check_secrets(json_t *value)
{
	json_t *hidden = conf_hide(fields, value), *again = conf_hide(fields, hidden), *back;
	json_t *doors = json_object_get(hidden, "doors");

	assert_hidden(json_object_get(hidden, "identity"), "key");
	for (size_t i = 0; i < json_array_size(doors); i++)
		assert_hidden(json_array_get(doors, i), "token");
	assert(json_equal(hidden, again));
	back = conf_reveal(fields, value, value);
	assert(json_equal(back, value));
	json_decref(back);
	json_decref(again);
	json_decref(hidden);
}

static void check_diff(const json_t *from, const json_t *to)
{
	json_t *diff = conf_diff(fields, from, to), *entry;
	size_t i;

	assert(diff);
	assert((json_array_size(diff) == 0) == json_equal(from, to));
	json_array_foreach(diff, i, entry)
	{
		assert(json_object_size(entry) == 3);
		assert(json_is_string(json_object_get(entry, "path")));
	}
	json_decref(diff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *stop = memchr(data, '\n', len);
	size_t first = stop ? (size_t)(stop - data) : len;
	json_t *one = json_loadb((const char *)data, first, JSON_DECODE_ANY, NULL), *other = NULL;

	if (stop)
		other = json_loadb((const char *)stop + 1, len - first - 1, JSON_DECODE_ANY, NULL);
	if (one) {
		check_forms(one);
		check_secrets(one);
	}
	if (one && other) {
		check_diff(one, other);
		check_diff(other, one);
		json_decref(conf_reveal(fields, one, other));
	}
	json_decref(one);
	json_decref(other);
	return 0;
}
