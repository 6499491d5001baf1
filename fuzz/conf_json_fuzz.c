/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_json_fuzz: three lines of JSON as documents.
 *
 * What becomes a tree comes back from it, also over YAML. A difference is told exactly when there
 * is one. Hiding leaves no secret, and revealing puts each back. Two changes can be merged, and one
 * change merges to itself.
 *
 * links: core/key_file.c core/memory.c
 * links: core/conf/json.c core/conf/diff.c core/conf/yaml.c core/conf/conf.c core/conf/bind.c
 * links: core/conf/error.c core/conf/merge.c core/conf/value.c core/addr.c core/log*.c
 */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/conf/diff.h"
#include "core/conf/json.h"
#include "core/conf/merge.h"

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

/* The result holds, and with at most one side changed it is the changed one. */
static void check_merge(const json_t *base, const json_t *ours, const json_t *theirs,
			const json_t *expected)
{
	json_t *overruled = json_array();
	json_t *merged = conf_merge(fields, base, ours, theirs, overruled);

	assert(merged);
	assert(!expected || (json_equal(merged, expected) && json_array_size(overruled) == 0));
	json_decref(merged);
	json_decref(overruled);
}

static json_t *take_line(const uint8_t **at, size_t *left)
{
	const uint8_t *stop = memchr(*at, '\n', *left);
	size_t len = stop ? (size_t)(stop - *at) : *left;
	json_t *value = json_loadb((const char *)*at, len, JSON_DECODE_ANY, NULL);

	*at += len + (stop != NULL);
	*left -= len + (stop != NULL);
	return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	json_t *one = take_line(&data, &len), *other = take_line(&data, &len);
	json_t *third = take_line(&data, &len);

	if (one) {
		check_forms(one);
		check_secrets(one);
	}
	if (one && other) {
		check_diff(one, other);
		check_diff(other, one);
		json_decref(conf_reveal(fields, one, other));
		check_merge(one, one, other, other);
		check_merge(one, other, one, other);
		check_merge(one, other, other, other);
	}
	if (one && other && third)
		check_merge(one, other, third, NULL);
	json_decref(one);
	json_decref(other);
	json_decref(third);
	return 0;
}
