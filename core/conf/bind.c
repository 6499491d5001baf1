/* SPDX-License-Identifier: Apache-2.0 */
/* conf_bind: walks a tree by the schema's tables and fills structs; collects every error. */
#include "core/conf/conf.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "core/memory.h"

/* ---- suggestions ---------------------------------------------------------------------------- */

#define WORD_MAX 32u /* longer ones are no slip of a word of ours */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static bool same_letter(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Edits (insert, delete, replace, swap of neighbours) from a to b, without regard to
 * case: optimal string alignment. */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][WORD_MAX + 1];

	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			row[j] = least(above[j - 1] + (!same_letter(a[i - 1], b[j - 1])),
				       least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
			    same_letter(a[i - 2], b[j - 1]))
				row[j] = least(row[j], above2[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

size_t conf_edits(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b);

	return a_len > WORD_MAX || b_len > WORD_MAX ? SIZE_MAX : edit_distance(a, a_len, b, b_len);
}

/* Keeps *best the candidate with the fewest edits from word, if they are few enough. */
static void consider(const char *word, const char *candidate, const char **best, size_t *best_edits)
{
	size_t len = strlen(word), candidate_len = strlen(candidate), edits;

	if (len > WORD_MAX || candidate_len > WORD_MAX)
		return;
	if (len > 1 && strncasecmp(word, candidate, len) == 0)
		edits = 1; /* shortened */
	else
		edits = edit_distance(word, len, candidate, candidate_len);
	if (edits < *best_edits && edits <= 1 + candidate_len / 4) {
		*best = candidate;
		*best_edits = edits;
	}
}

const char *conf_nearest(const char *word, const char *const *words)
{
	const char *best = NULL;
	size_t edits = SIZE_MAX;

	for (size_t i = 0; words[i]; i++)
		consider(word, words[i], &best, &edits);
	return best;
}

/* A list where a single value stands there, as in the file of another program, is meant otherwise.
 */
static bool fits(const struct conf_node *value, const struct conf_field *f)
{
	return (value->kind == CONF_SCALAR) == (f->type != CONF_STRUCT && f->type != CONF_LIST_OF);
}

/* A key that is right one level below, or the nearest here, or the list of all. */
static void report_unknown_key(const struct conf_node *key, const struct conf_node *value,
			       const struct conf_field *fields, const char *path,
			       struct conf_errors *errors)
{
	const char *best = NULL;
	size_t edits = SIZE_MAX, used = 0;
	char all[512] = "";

	for (const struct conf_field *f = fields; f->key; f++) {
		for (const struct conf_field *sub = f->fields; sub && sub->key; sub++) {
			if (f->type == CONF_STRUCT && strcmp(sub->key, key->text) == 0 &&
			    fits(value, sub)) {
				conf_error(errors, key, path,
					   "is not a key here; move it below \"%s\"", f->key);
				return;
			}
		}
		consider(key->text, f->key, &best, &edits);
		if (used < sizeof(all))
			used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
						 used ? ", " : "", f->key);
	}
	if (best)
		conf_error(errors, key, path, "is not a known key; did you mean \"%s\"?", best);
	else
		conf_error(errors, key, path, "is not a known key; the keys here are %s", all);
}

/* ---- defaults and release ------------------------------------------------------------------- */

static void *field_at(const struct conf_field *f, void *base)
{
	return (char *)base + f->offset;
}

static void apply_defaults(const struct conf_field *fields, void *out, struct conf_errors *errors)
{
	for (const struct conf_field *f = fields; f->key; f++) {
		struct conf_node n = {.kind = CONF_SCALAR, .text = (char *)f->initial};

		if (f->type == CONF_STRUCT)
			apply_defaults(f->fields, field_at(f, out), errors);
		else if (f->initial) /* fails only when memory is out */
			(void)!conf_bind_scalar(&n, f, f->type, field_at(f, out), f->key, errors);
	}
}

static void release_array(const struct conf_field *f, struct conf_array *a)
{
	for (size_t i = 0; i < a->count; i++) {
		char *item = (char *)a->items + i * f->item_size;
		if (f->fields)
			conf_release(f->fields, item);
		else if (conf_type_is_text(f->item_type))
			memory_free(*(char **)item);
	}
	memory_free(a->items);
	*a = (struct conf_array){0};
}

void conf_release(const struct conf_field *fields, void *out)
{
	for (const struct conf_field *f = fields; f->key; f++) {
		if (f->type == CONF_STRUCT) {
			conf_release(f->fields, field_at(f, out));
		} else if (f->type == CONF_LIST_OF) {
			release_array(f, field_at(f, out));
		} else if (conf_type_is_text(f->type)) {
			char **text = field_at(f, out);
			memory_free(*text);
			*text = NULL;
		}
	}
}

/* ---- binding -------------------------------------------------------------------------------- */

static void bind_map(const struct conf_node *map, const struct conf_field *fields, void *out,
		     const char *path, struct conf_errors *errors);

static void bind_items(const struct conf_node *list, const struct conf_field *f,
		       struct conf_array *out, const char *path, struct conf_errors *errors)
{
	char child[CONF_PATH_BYTES];

	for (size_t i = 0; i < list->count; i++) {
		const struct conf_node *n = list->items[i];
		void *item = (char *)out->items + i * f->item_size;

		conf_path_item(child, path, i);
		if (!f->fields)
			(void)!conf_bind_scalar(n, f, f->item_type, item, child, errors);
		else if (conf_expect_kind(n, CONF_MAP, CONF_STRUCT, child, errors))
			bind_map(n, f->fields, item, child, errors);
	}
}

static void bind_list(const struct conf_node *n, const struct conf_field *f, struct conf_array *out,
		      const char *path, struct conf_errors *errors)
{
	if (!conf_expect_kind(n, CONF_LIST, CONF_LIST_OF, path, errors))
		return;
	if (f->required && n->count == 0) {
		conf_error(errors, n, path, "is empty; add %s", f->help);
		return;
	}
	if (n->count > f->max_items) {
		conf_error(errors, n, path, "has %zu items; the most is %zu", n->count,
			   f->max_items);
		return;
	}
	out->present = true;
	if (n->count > 0) {
		out->items = memory_array(n->count, f->item_size);
		if (!out->items) {
			conf_error(errors, n, path, "memory is out; make the list shorter");
			return;
		}
		out->count = n->count;
		bind_items(n, f, out, path, errors);
	}
	if (f->check)
		f->check(errors, n, path, out);
}

static void bind_field(const struct conf_node *n, const struct conf_field *f, void *out,
		       const char *path, struct conf_errors *errors)
{
	if (f->type == CONF_LIST_OF)
		bind_list(n, f, out, path, errors);
	else if (f->type == CONF_STRUCT && conf_expect_kind(n, CONF_MAP, f->type, path, errors))
		bind_map(n, f->fields, out, path, errors);
	else if (f->type != CONF_STRUCT && conf_bind_scalar(n, f, f->type, out, path, errors) &&
		 f->check)
		f->check(errors, n, path, out);
}

const struct conf_field *conf_find(const struct conf_field *fields, const char *key)
{
	for (; fields && fields->key; fields++) {
		if (strcmp(fields->key, key) == 0)
			return fields;
	}
	return NULL;
}

/* In the document's order, then what is missing. */
static void bind_map(const struct conf_node *map, const struct conf_field *fields, void *out,
		     const char *path, struct conf_errors *errors)
{
	char child[CONF_PATH_BYTES];

	apply_defaults(fields, out, errors);
	for (size_t i = 0; i < map->count; i++) {
		const struct conf_field *f = conf_find(fields, map->keys[i]->text);

		conf_path_key(child, path, map->keys[i]->text);
		if (f)
			bind_field(map->items[i], f, field_at(f, out), child, errors);
		else
			report_unknown_key(map->keys[i], map->items[i], fields, child, errors);
	}
	for (const struct conf_field *f = fields; f->key; f++) {
		if (!f->required || conf_get(map, f->key))
			continue;
		conf_path_key(child, path, f->key);
		conf_error(errors, map, child, "is missing; add %s", f->help);
	}
}

bool conf_bind(const struct conf_node *map, const struct conf_field *fields, void *out,
	       struct conf_errors *errors)
{
	size_t before = errors->count;

	conf_release(fields, out);
	if (conf_expect_kind(map, CONF_MAP, CONF_STRUCT, "", errors))
		bind_map(map, fields, out, "", errors);
	return errors->count == before;
}

/* ---- the schema as text --------------------------------------------------------------------- */

static void print_limits(FILE *to, const struct conf_field *f)
{
	char min[CONF_NUMBER_BYTES], max[CONF_NUMBER_BYTES];

	if (f->type == CONF_ENUM) {
		for (size_t i = 0; f->words[i]; i++)
			fprintf(to, "%s %s", i ? "," : ":", f->words[i]);
	} else if (f->type == CONF_LIST_OF) {
		fprintf(to, ", at most %zu", f->max_items);
	} else if (f->max && !conf_type_is_text(f->type)) {
		fprintf(to, ", %s to %s", conf_format_number(f->min, f->type, min),
			conf_format_number(f->max, f->type, max));
	}
	if (f->required)
		fputs("; required", to);
	else if (f->initial)
		fprintf(to, "; default %s", f->type == CONF_TEXT ? "built in" : f->initial);
}

static void describe_fields(FILE *to, const struct conf_field *fields, const char *path)
{
	char child[CONF_PATH_BYTES];

	for (const struct conf_field *f = fields; f->key; f++) {
		conf_path_key(child, path, f->key);
		fprintf(to, "%s\t%s", child, conf_type_name(f->type));
		print_limits(to, f);
		fprintf(to, "\t%s\n", f->help);
		if (f->fields) {
			if (f->type == CONF_LIST_OF)
				strncat(child, "[]", sizeof(child) - strlen(child) - 1);
			describe_fields(to, f->fields, child);
		}
	}
}

void conf_describe(FILE *to, const struct conf_field *fields)
{
	describe_fields(to, fields, "");
}
