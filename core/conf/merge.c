/* SPDX-License-Identifier: Apache-2.0 */
/* conf_merge: walks three documents along the schema. */
#include "core/conf/merge.h"

#include <stdio.h>

#include "core/conf/diff.h"
#include "core/memory.h"

struct merge {
	json_t *overruled;
	bool failed; /* memory is out */
};

/* One thing as the three documents have it; NULL where they do not. */
struct three {
	const json_t *base, *ours, *theirs;
};

static json_t *share(const json_t *value)
{
	return json_incref((json_t *)value);
}

/* NULL is equal to NULL here. */
static bool same(const json_t *a, const json_t *b)
{
	return a && b ? json_equal(a, b) : a == b;
}

static bool is_of(const struct three *v, json_type type)
{
	return (!v->base || json_typeof(v->base) == type) &&
	       (!v->ours || json_typeof(v->ours) == type) &&
	       (!v->theirs || json_typeof(v->theirs) == type);
}

static void overrule(struct merge *m, const char *path)
{
	m->failed |= json_array_append_new(m->overruled, json_string(path)) != 0;
}

/* What is empty is there only where theirs says so. */
static json_t *unless_empty(json_t *result, size_t count, const json_t *theirs)
{
	if (count > 0 || theirs)
		return result;
	json_decref(result);
	return NULL;
}

static json_t *merge_value(struct merge *m, const struct conf_field *f, const char *path,
			   const struct three *v);

/* ---- maps ----------------------------------------------------------------------------------- */

static void merge_key(struct merge *m, const struct conf_field *fields, const char *path,
		      const char *key, const struct three *maps, json_t *result)
{
	const struct three v = {json_object_get(maps->base, key), json_object_get(maps->ours, key),
				json_object_get(maps->theirs, key)};
	char child[CONF_PATH_BYTES];
	json_t *value;

	conf_path_key(child, path, key);
	value = merge_value(m, conf_find(fields, key), child, &v);
	if (value)
		m->failed |= json_object_set_new(result, key, value) != 0;
}

static json_t *merge_maps(struct merge *m, const struct conf_field *fields, const char *path,
			  const struct three *v)
{
	json_t *result = json_object(), *value;
	const char *key;

	m->failed |= !result;
	json_object_foreach((json_t *)v->theirs, key, value)
		merge_key(m, fields, path, key, v, result);
	json_object_foreach((json_t *)v->ours, key, value)
	{
		if (!json_object_get(v->theirs, key))
			merge_key(m, fields, path, key, v, result);
	}
	return unless_empty(result, json_object_size(result), v->theirs);
}

/* ---- lists ---------------------------------------------------------------------------------- */

/* What makes an item the same one, as text; owned by the caller. NULL without memory. */
static char *item_id(const struct conf_field *list, const json_t *item)
{
	const int flags = JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY;
	const char *name = conf_item_name(list, item);
	json_t *parts = name ? json_pack("[s]", name) : json_array();
	char *text = NULL;

	for (const struct conf_field *f = list && !name ? list->fields : NULL; f && f->key; f++) {
		if (f->required && !f->secret && json_object_get(item, f->key))
			(void)!json_array_append(parts, json_object_get(item, f->key));
	}
	if (parts)
		text = json_dumps(json_array_size(parts) > 0 ? parts : item, flags);
	json_decref(parts);
	return text;
}

/* The items of a list by key, in their order. Items of one id have keys of their own: the first of
 * one list is the first of another. NULL without memory. */
static json_t *index_of(const struct conf_field *list, const json_t *items)
{
	json_t *index = json_object(), *seen = json_object(), *keyed;
	bool ok = index && seen;

	for (size_t i = 0; ok && i < json_array_size(items); i++) {
		json_t *item = json_array_get(items, i);
		char *id = item_id(list, item);
		json_int_t before = id ? json_integer_value(json_object_get(seen, id)) : 0;

		keyed = id ? json_sprintf("%" JSON_INTEGER_FORMAT ":%s", before, id) : NULL;
		ok = keyed && json_object_set(index, json_string_value(keyed), item) == 0 &&
		     json_object_set_new(seen, id, json_integer(before + 1)) == 0;
		json_decref(keyed);
		memory_free(id);
	}
	json_decref(seen);
	if (ok)
		return index;
	json_decref(index);
	return NULL;
}

/* An item that theirs has; NULL where ours took it away and theirs left it alone. */
static json_t *merge_item(struct merge *m, const struct conf_field *f, const char *path,
			  const struct three *v)
{
	if (v->ours)
		return merge_value(m, f, path, v);
	if (v->base && json_equal(v->base, v->theirs))
		return NULL;
	if (v->base)
		overrule(m, path);
	return share(v->theirs);
}

/* Whether an item that theirs lacks stays, because ours has added it. */
static bool is_addition(struct merge *m, const char *path, const struct three *v)
{
	if (v->base && !json_equal(v->base, v->ours))
		overrule(m, path);
	return !v->base;
}

/* What ours has added, by the key of the item of theirs that it stood behind; "": by none. */
static json_t *additions(struct merge *m, const struct conf_field *f, const char *path,
			 const struct three *indexes)
{
	json_t *behind = json_object(), *item, *list;
	const char *key, *anchor = "";
	char child[CONF_PATH_BYTES];
	size_t place = 0;

	m->failed |= !behind;
	json_object_foreach((json_t *)indexes->ours, key, item)
	{
		const struct three v = {json_object_get(indexes->base, key), item, NULL};

		conf_item_path(child, path, conf_item_name(f, item), place++);
		if (json_object_get(indexes->theirs, key)) {
			anchor = key;
			continue;
		}
		if (!is_addition(m, child, &v))
			continue;
		list = json_object_get(behind, anchor);
		if (list)
			m->failed |= json_array_append(list, item) != 0;
		else
			m->failed |=
				json_object_set_new(behind, anchor, json_pack("[O]", item)) != 0;
	}
	return behind;
}

static void append_all(struct merge *m, json_t *result, const json_t *items)
{
	if (items)
		m->failed |= json_array_extend(result, (json_t *)items) != 0;
}

static json_t *merge_indexes(struct merge *m, const struct conf_field *f, const char *path,
			     const struct three *indexes)
{
	json_t *result = json_array(), *behind = additions(m, f, path, indexes), *item, *merged;
	char child[CONF_PATH_BYTES];
	const char *key;
	size_t place = 0;

	append_all(m, result, json_object_get(behind, ""));
	json_object_foreach((json_t *)indexes->theirs, key, item)
	{
		const struct three v = {json_object_get(indexes->base, key),
					json_object_get(indexes->ours, key), item};

		conf_item_path(child, path, conf_item_name(f, item), place++);
		merged = merge_item(m, f, child, &v);
		if (merged)
			m->failed |= json_array_append_new(result, merged) != 0;
		append_all(m, result, json_object_get(behind, key));
	}
	json_decref(behind);
	return result;
}

static json_t *merge_lists(struct merge *m, const struct conf_field *f, const char *path,
			   const struct three *v)
{
	json_t *base = index_of(f, v->base), *ours = index_of(f, v->ours);
	json_t *theirs = index_of(f, v->theirs), *result = NULL;

	if (base && ours && theirs)
		result = merge_indexes(m, f, path, &(struct three){base, ours, theirs});
	m->failed |= !result;
	json_decref(base);
	json_decref(ours);
	json_decref(theirs);
	return unless_empty(result, json_array_size(result), v->theirs);
}

/* ---- values --------------------------------------------------------------------------------- */

/* Whether it is the file's alone, or holds something that is: then no document counts whole. */
static bool holds_owned(const struct conf_field *f)
{
	bool owned = f->owner == CONF_OF_FILE;

	for (const struct conf_field *sub = f->type == CONF_STRUCT ? f->fields : NULL;
	     sub && sub->key && !owned; sub++)
		owned = holds_owned(sub);
	return owned;
}

/* NULL where the merged document has none. */
static json_t *merge_value(struct merge *m, const struct conf_field *f, const char *path,
			   const struct three *v)
{
	bool opaque = f && f->secret;

	/* What is kept may say that a console changed it: no program has let it, so that what is
	 * kept is damaged, or another's work. */
	if (f && f->owner == CONF_OF_FILE) {
		if (!same(v->ours, v->base) && !same(v->ours, v->theirs))
			overrule(m, path);
		return share(v->theirs);
	}
	if (f && holds_owned(f) && is_of(v, JSON_OBJECT))
		return merge_maps(m, f->fields, path, v);
	if (same(v->theirs, v->base))
		return share(v->ours);
	if (same(v->ours, v->base) || same(v->ours, v->theirs))
		return share(v->theirs);
	if (!opaque && is_of(v, JSON_OBJECT))
		return merge_maps(m, f ? f->fields : NULL, path, v);
	if (!opaque && is_of(v, JSON_ARRAY))
		return merge_lists(m, f, path, v);
	overrule(m, path);
	return share(v->theirs);
}

json_t *conf_merge(const struct conf_field *fields, const json_t *base, const json_t *ours,
		   const json_t *theirs, json_t *overruled)
{
	const struct conf_field root = {.key = "", .type = CONF_STRUCT, .fields = fields};
	struct merge m = {.overruled = overruled};
	json_t *result = merge_value(&m, &root, "", &(struct three){base, ours, theirs});

	if (!m.failed)
		return result;
	json_decref(result);
	return NULL;
}
