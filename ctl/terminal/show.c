/* SPDX-License-Identifier: Apache-2.0 */
/* show: results as people read them: aligned tables, a key and its value on each line. */
#include "ctl/terminal/show.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "core/memory.h"
#include "ctl/terminal/units.h"

#define CELL_BYTES  512
#define COLUMNS_MAX 16
#define GAP	    2

/* ---- colours ---- */

static bool takes_colour(FILE *to)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (no_color && no_color[0])
		return false;
	return isatty(fileno(to)) && term && strcmp(term, "dumb") != 0;
}

const char *show_style(FILE *to, enum show_style style)
{
	static const char *const codes[] = {
		[SHOW_PLAIN] = "\033[0m", [SHOW_BOLD] = "\033[1m",  [SHOW_DIM] = "\033[2m",
		[SHOW_GOOD] = "\033[32m", [SHOW_WARN] = "\033[33m", [SHOW_BAD] = "\033[31m",
	};

	return takes_colour(to) ? codes[style] : "";
}

/* ---- values ---- */

size_t show_width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void list_text(const json_t *list, char *out, size_t room)
{
	size_t i, used = 0;
	json_t *item;

	json_array_foreach(list, i, item)
	{
		char one[CELL_BYTES];

		log_escape(json_is_string(item) ? json_string_value(item) : "?", one, sizeof(one));
		if (used + strlen(one) + 6 > room) {
			snprintf(out + used, room - used, ",...");
			return;
		}
		used += (size_t)snprintf(out + used, room - used, "%s%s", used ? "," : "", one);
	}
}

static void state_text(bool state, const char *words, char *out, size_t room)
{
	size_t first = strcspn(words, "|");

	if (state)
		snprintf(out, room, "%.*s", (int)first, words);
	else
		snprintf(out, room, "%s", words + first + (words[first] == '|'));
}

static void number_text(json_int_t n, enum show_kind kind, char *out, size_t room)
{
	uint64_t positive = n > 0 ? (uint64_t)n : 0;
	char text[UNITS_MOMENT_BYTES];

	if (kind == SHOW_SIZE)
		units_size(positive, text);
	else if (kind == SHOW_SPAN)
		units_span(positive, text);
	else if (kind == SHOW_TIME)
		units_moment((time_t)n, text);
	else
		snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, n);
	snprintf(out, room, "%s", text);
}

const char *show_value(const json_t *value, const struct show_column *c, char *out, size_t room)
{
	char *text;

	out[0] = '\0';
	if (json_is_string(value)) {
		log_escape(json_string_value(value), out, room);
	} else if (json_is_array(value)) {
		list_text(value, out, room);
	} else if (json_is_boolean(value)) {
		state_text(json_is_true(value), c->words ? c->words : "yes|no", out, room);
	} else if (json_is_integer(value)) {
		number_text(json_integer_value(value), c->kind, out, room);
	} else if (value && !json_is_null(value)) {
		text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		log_escape(text ? text : "?", out, room);
		memory_free(text);
	}
	return out;
}

static bool on_the_right(const struct show_column *c)
{
	return c->kind == SHOW_COUNT || c->kind == SHOW_SIZE || c->kind == SHOW_SPAN;
}

static void pad(FILE *to, size_t count)
{
	while (count-- > 0)
		fputc(' ', to);
}

/* ---- tables ---- */

static void put_cell(FILE *to, const char *text, size_t width, const struct show_column *c,
		     bool last)
{
	size_t gap = width - show_width(text);

	if (on_the_right(c))
		pad(to, gap);
	fputs(text, to);
	if (!last)
		pad(to, (on_the_right(c) ? 0 : gap) + GAP);
}

/* Those columns that have a value in any row, and how wide they are. Returns their count. */
static size_t choose_columns(const json_t *list, const struct show_column *columns,
			     const struct show_column *chosen[COLUMNS_MAX],
			     size_t width[COLUMNS_MAX])
{
	char cell[CELL_BYTES];
	size_t n = 0, i;
	json_t *row;

	for (const struct show_column *c = columns; c->title && n < COLUMNS_MAX; c++) {
		size_t most = 0;

		json_array_foreach(list, i, row)
		{
			size_t w = show_width(
				show_value(json_object_get(row, c->key), c, cell, sizeof(cell)));

			if (w > most)
				most = w;
		}
		if (most == 0)
			continue;
		width[n] = most > show_width(c->title) ? most : show_width(c->title);
		chosen[n++] = c;
	}
	return n;
}

void show_table(FILE *to, const json_t *list, const struct show_column *columns)
{
	const struct show_column *chosen[COLUMNS_MAX];
	size_t width[COLUMNS_MAX], i, count = choose_columns(list, columns, chosen, width);
	char cell[CELL_BYTES];
	json_t *row;

	fputs(show_style(to, SHOW_BOLD), to);
	for (size_t k = 0; k < count; k++)
		put_cell(to, chosen[k]->title, width[k], chosen[k], k + 1 == count);
	fprintf(to, "%s\n", show_style(to, SHOW_PLAIN));
	json_array_foreach(list, i, row)
	{
		for (size_t k = 0; k < count; k++) {
			const struct show_column *c = chosen[k];

			show_value(json_object_get(row, c->key), c, cell, sizeof(cell));
			put_cell(to, cell, width[k], c, k + 1 == count);
		}
		fputc('\n', to);
	}
}

/* ---- a key and its value on each line ---- */

static void put_key(FILE *to, const char *title, size_t width)
{
	fputs(title, to);
	pad(to, width - show_width(title) + GAP);
}

/* A list without anything in it has no row, as a column without a value is not shown. */
static bool has_row(const json_t *object, const struct show_column *c)
{
	const json_t *value = json_object_get(object, c->key);

	return value && !(json_is_array(value) && json_array_size(value) == 0);
}

void show_keys(FILE *to, const json_t *object, const struct show_column *columns)
{
	size_t width = 0;
	char cell[CELL_BYTES];

	for (const struct show_column *c = columns; c->title; c++)
		if (has_row(object, c) && show_width(c->title) > width)
			width = show_width(c->title);
	for (const struct show_column *c = columns; c->title; c++) {
		if (!has_row(object, c))
			continue;
		put_key(to, c->title, width);
		fprintf(to, "%s\n",
			show_value(json_object_get(object, c->key), c, cell, sizeof(cell)));
	}
}

/* ---- results ---- */

void show_json(FILE *to, const json_t *value)
{
	json_dumpf(value, to, JSON_INDENT(2) | JSON_ENCODE_ANY);
	fputc('\n', to);
}

void show_result(const struct arguments *a, const json_t *result, const struct show_shape *shape)
{
	const json_t *list = shape->list ? json_object_get(result, shape->list) : NULL;

	if (arguments_flag(a, "--json"))
		show_json(stdout, result);
	else if (!shape->list)
		show_keys(stdout, result, shape->columns);
	else if (json_array_size(list) == 0)
		printf("%s\n", shape->empty);
	else
		show_table(stdout, list, shape->columns);
}
