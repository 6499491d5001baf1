/* SPDX-License-Identifier: Apache-2.0 */
/* conf_diff: walks one or two documents along the schema. */
#include "core/conf/diff.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/memory.h"

/* ---- names of list items -------------------------------------------------------------------- */

/* The key whose value names the items of list, or NULL. */
static const char *naming_key(const struct conf_field *list)
{
	const struct conf_field *first = list ? list->fields : NULL;

	if (!first || !first->key || !first->required || first->secret || first->fields ||
	    first->type == CONF_LIST_OF)
		return NULL;
	return first->key;
}

const char *conf_item_name(const struct conf_field *list, const json_t *item)
{
	const char *key = naming_key(list);

	return key ? json_string_value(json_object_get(item, key)) : NULL;
}

void conf_item_path(char out[CONF_PATH_BYTES], const char *path, const char *name, size_t place)
{
	char shown[64];

	if (!name) {
		conf_path_item(out, path, place);
		return;
	}
	log_escape(name, shown, sizeof(shown));
	if (snprintf(out, CONF_PATH_BYTES, "%s[%s]", path, shown) < 0)
		out[0] = '\0';
}

/* ---- secrets -------------------------------------------------------------------------------- */

static bool holds_secrets(const struct conf_field *f)
{
	if (f->secret)
		return true;
	for (const struct conf_field *sub = f->fields; sub && sub->key; sub++) {
		if (holds_secrets(sub))
			return true;
	}
	return false;
}

/* The item of secrets that stands for this one, at this place of its list. */
static const json_t *counterpart(const struct conf_field *list, const json_t *item, size_t place,
				 const json_t *secrets)
{
	const char *name = conf_item_name(list, item), *other;

	if (!name)
		return json_array_get(secrets, place);
	for (size_t i = 0; i < json_array_size(secrets); i++) {
		other = conf_item_name(list, json_array_get(secrets, i));
		if (other && strcmp(name, other) == 0)
			return json_array_get(secrets, i);
	}
	return NULL;
}

static json_t *cover_map(const struct conf_field *fields, json_t *map, const json_t *secrets,
			 bool hide);

static json_t *share(const json_t *value)
{
	return json_incref((json_t *)value);
}

/* value with its secrets hidden, or put back from secrets. */
static json_t *cover(const struct conf_field *f, const json_t *value, const json_t *secrets,
		     bool hide)
{
	json_t *list, *item;

	if (!f || !holds_secrets(f))
		return share(value);
	if (f->secret && hide)
		return json_string(CONF_HIDDEN);
	if (f->secret) {
		const char *text = json_string_value(value);
		bool marked = secrets && text && strcmp(text, CONF_HIDDEN) == 0;
		return share(marked ? secrets : value);
	}
	if (json_is_object(value))
		return cover_map(f->fields, (json_t *)value, secrets, hide);
	if (!json_is_array(value))
		return share(value);
	list = json_array();
	for (size_t i = 0; list && i < json_array_size(value); i++) {
		item = json_array_get(value, i);
		item = json_is_object(item)
			       ? cover_map(f->fields, item, counterpart(f, item, i, secrets), hide)
			       : share(item);
		if (json_array_append_new(list, item)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *cover_map(const struct conf_field *fields, json_t *map, const json_t *secrets,
			 bool hide)
{
	json_t *copy = json_object(), *value;
	const char *key;

	json_object_foreach(map, key, value)
	{
		if (copy && json_object_set_new(copy, key,
						cover(conf_find(fields, key), value,
						      json_object_get(secrets, key), hide))) {
			json_decref(copy);
			copy = NULL;
		}
	}
	return copy;
}

json_t *conf_hide(const struct conf_field *fields, const json_t *document)
{
	if (!json_is_object(document))
		return share(document);
	return cover_map(fields, (json_t *)document, NULL, true);
}

json_t *conf_reveal(const struct conf_field *fields, const json_t *document, const json_t *secrets)
{
	if (!json_is_object(document))
		return share(document);
	return cover_map(fields, (json_t *)document, secrets, false);
}

/* ---- differences ---------------------------------------------------------------------------- */

struct diff {
	json_t *entries;
	bool failed; /* memory is out */
};

static json_t *shown(const struct conf_field *f, const json_t *value)
{
	return value ? cover(f, value, NULL, true) : json_null();
}

/* Takes from and to over. */
static void add_entry(struct diff *d, const char *path, json_t *from, json_t *to)
{
	json_t *entry = json_object();
	bool ok = json_object_set_new(entry, "path", json_string(path)) == 0;

	ok = json_object_set_new(entry, "from", from) == 0 && ok;
	ok = json_object_set_new(entry, "to", to) == 0 && ok;
	ok = json_array_append_new(d->entries, entry) == 0 && ok;
	d->failed |= !ok;
}

static void diff_value(struct diff *d, const struct conf_field *f, const char *path,
		       const json_t *from, const json_t *to);

static void diff_maps(struct diff *d, const struct conf_field *fields, const char *path,
		      json_t *from, json_t *to)
{
	char child[CONF_PATH_BYTES];
	const char *key;
	json_t *value;

	json_object_foreach(from, key, value)
	{
		conf_path_key(child, path, key);
		diff_value(d, conf_find(fields, key), child, value, json_object_get(to, key));
	}
	json_object_foreach(to, key, value)
	{
		if (json_object_get(from, key))
			continue;
		conf_path_key(child, path, key);
		diff_value(d, conf_find(fields, key), child, NULL, value);
	}
}

struct item {
	char *id; /* by which it is matched; owned */
	const char *name;
	size_t place;
	json_t *value;
	struct item *peer; /* in the other list */
};

/* The part of a list in which the two differ. */
struct list {
	const struct conf_field *field;
	struct item *items;
	struct item **sorted; /* by id, equal ones by place */
	size_t count;
};

static void list_free(struct list *l)
{
	for (size_t i = 0; l->items && i < l->count; i++)
		memory_free(l->items[i].id);
	memory_free(l->items);
	memory_free((void *)l->sorted);
}

static int compare_items(const void *a, const void *b)
{
	const struct item *one = *(struct item *const *)a, *other = *(struct item *const *)b;
	int order = strcmp(one->id, other->id);

	return order ? order : (one->place > other->place) - (one->place < other->place);
}

/* How many items both begin with; and how many of the others both end with. A long list in which
 * little has changed is compared in no time by this. */
static void common_ends(const json_t *from, const json_t *to, size_t *begin, size_t *end)
{
	size_t n = json_array_size(from), m = json_array_size(to), least = n < m ? n : m;

	*begin = *end = 0;
	while (*begin < least &&
	       json_equal(json_array_get(from, *begin), json_array_get(to, *begin)))
		++*begin;
	while (*end < least - *begin &&
	       json_equal(json_array_get(from, n - 1 - *end), json_array_get(to, m - 1 - *end)))
		++*end;
}

/* Items begin to end of array. False without memory; list_free() takes what there is. */
static bool list_make(struct list *l, const struct conf_field *f, const json_t *array, size_t begin,
		      size_t end)
{
	*l = (struct list){.field = f, .count = end - begin};
	if (l->count == 0)
		return true;
	l->items = memory_array(l->count, sizeof(*l->items));
	l->sorted = memory_array(l->count, sizeof(struct item *));
	if (!l->items || !l->sorted)
		return false;
	for (size_t i = 0; i < l->count; i++) {
		struct item *item = &l->items[i];
		item->place = begin + i;
		item->value = json_array_get(array, item->place);
		item->name = conf_item_name(f, item->value);
		item->id = item->name ? memory_text(item->name)
				      : json_dumps(item->value,
						   JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
		if (!item->id)
			return false;
		l->sorted[i] = item;
	}
	qsort((void *)l->sorted, l->count, sizeof(struct item *), compare_items);
	return true;
}

static void list_match(struct list *from, struct list *to)
{
	size_t i = 0, j = 0;

	while (i < from->count && j < to->count) {
		int order = strcmp(from->sorted[i]->id, to->sorted[j]->id);
		if (order == 0) {
			from->sorted[i]->peer = to->sorted[j];
			to->sorted[j]->peer = from->sorted[i];
		}
		i += order <= 0;
		j += order >= 0;
	}
	/* What has no name and stands alone in the same place of both is one item that changed. */
	for (i = 0; i < from->count && i < to->count; i++) {
		struct item *one = &from->items[i], *other = &to->items[i];
		if (!one->peer && !other->peer && !one->name && !other->name) {
			one->peer = other;
			other->peer = one;
		}
	}
}

static void diff_items(struct diff *d, const char *path, const struct list *from,
		       const struct list *to)
{
	/* An item of this list, as a value of its own. */
	struct conf_field as_item = {.key = ""};
	const struct conf_field *f = NULL;
	char child[CONF_PATH_BYTES];

	if (from->field) {
		as_item = *from->field;
		as_item.type = as_item.fields ? CONF_STRUCT : as_item.item_type;
		f = &as_item;
	}
	for (size_t i = 0; i < from->count; i++) {
		const struct item *item = &from->items[i];
		conf_item_path(child, path, item->name, item->place);
		diff_value(d, f, child, item->value, item->peer ? item->peer->value : NULL);
	}
	for (size_t i = 0; i < to->count; i++) {
		const struct item *item = &to->items[i];
		conf_item_path(child, path, item->name, item->place);
		if (!item->peer)
			diff_value(d, f, child, NULL, item->value);
	}
}

/* The matched items of list in their order: names, or places in the list before. */
static json_t *order_of(const struct list *list, bool before)
{
	json_t *order = json_array();

	for (size_t i = 0; i < list->count; i++) {
		const struct item *item = &list->items[i];
		size_t place = before || !item->peer ? item->place : item->peer->place;
		if (item->peer)
			(void)!json_array_append_new(order,
						     item->name ? json_string(item->name)
								: json_integer((json_int_t)place));
	}
	return order;
}

static void diff_order(struct diff *d, const char *path, const struct list *from,
		       const struct list *to)
{
	size_t next = 0;
	bool moved = false;

	for (size_t i = 0; i < from->count; i++) {
		const struct item *peer = from->items[i].peer;
		if (!peer)
			continue;
		moved |= peer->place < next;
		next = peer->place;
	}
	if (moved)
		add_entry(d, path, order_of(from, true), order_of(to, false));
}

static void diff_lists(struct diff *d, const struct conf_field *f, const char *path,
		       const json_t *from, const json_t *to)
{
	struct list one, other = {0};
	size_t begin, end;

	common_ends(from, to, &begin, &end);
	if (list_make(&one, f, from, begin, json_array_size(from) - end) &&
	    list_make(&other, f, to, begin, json_array_size(to) - end)) {
		list_match(&one, &other);
		diff_items(d, path, &one, &other);
		diff_order(d, path, &one, &other);
	} else {
		d->failed = true;
	}
	list_free(&one);
	list_free(&other);
}

static void diff_value(struct diff *d, const struct conf_field *f, const char *path,
		       const json_t *from, const json_t *to)
{
	bool secret = f && f->secret;

	if (from && to && json_equal(from, to))
		return;
	if (!secret && json_is_object(from) && json_is_object(to))
		diff_maps(d, f ? f->fields : NULL, path, (json_t *)from, (json_t *)to);
	else if (!secret && json_is_array(from) && json_is_array(to))
		diff_lists(d, f, path, from, to);
	else
		add_entry(d, path, shown(f, from), shown(f, to));
}

json_t *conf_diff(const struct conf_field *fields, const json_t *from, const json_t *to)
{
	const struct conf_field root = {.key = "", .type = CONF_STRUCT, .fields = fields};
	struct diff d = {.entries = json_array()};

	if (!d.entries)
		return NULL;
	diff_value(&d, &root, "", from, to);
	if (!d.failed)
		return d.entries;
	json_decref(d.entries);
	return NULL;
}
