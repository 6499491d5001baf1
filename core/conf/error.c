/* SPDX-License-Identifier: Apache-2.0 */
/* conf_error: the errors of a configuration, with their places, and how they show its texts. */
#include "core/conf/conf.h"

#include <stdarg.h>
#include <string.h>

#include "core/log.h"
#include "core/memory.h"

#define QUOTE_MAX 64u /* bytes of a text that messages show */

static void append_line(struct conf_lines *lines, const char *line)
{
	size_t len = strlen(line);
	char *text = memory_resize(lines->text, lines->len + len + 2);

	if (!text)
		return; /* still counted */
	memcpy(text + lines->len, line, len);
	memcpy(text + lines->len + len, "\n", 2);
	lines->text = text;
	lines->len += len + 1;
}

__attribute__((format(printf, 5, 0))) static void
add_line(struct conf_lines *lines, const char *file, const struct conf_node *at, const char *path,
	 const char *format, va_list args)
{
	char line[2048];
	size_t used = 0;
	bool placed = file || (at && at->line), has_path = path && path[0];

	if (placed || !has_path)
		used = (size_t)snprintf(line, sizeof(line),
					"%.512s:", file ? file : "configuration");
	if (at && at->line)
		used += (size_t)snprintf(line + used, sizeof(line) - used, "%u:%u:", at->line,
					 at->column);
	if (has_path)
		used += (size_t)snprintf(line + used, sizeof(line) - used,
					 "%s%.*s:", used > 0 ? " " : "", CONF_PATH_BYTES, path);
	line[used++] = ' ';
	vsnprintf(line + used, sizeof(line) - used, format, args);
	append_line(lines, line);
}

/* Whether there is room for the next line; all are counted. */
static bool count_line(struct conf_lines *lines, const char *what)
{
	char line[64];

	if (lines->count++ < CONF_LINES_MAX)
		return true;
	if (lines->count == CONF_LINES_MAX + 1) {
		snprintf(line, sizeof(line), "and more %s follow; mend these first", what);
		append_line(lines, line);
	}
	return false;
}

void conf_error(struct conf_errors *e, const struct conf_node *at, const char *path,
		const char *format, ...)
{
	struct conf_lines lines = {e->text, e->len, e->count};
	va_list args;

	va_start(args, format);
	if (count_line(&lines, "errors"))
		add_line(&lines, e->file, at, path, format, args);
	va_end(args);
	e->text = lines.text;
	e->len = lines.len;
	e->count = lines.count;
}

void conf_warning(struct conf_errors *e, const struct conf_node *at, const char *path,
		  const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (count_line(&e->warnings, "warnings"))
		add_line(&e->warnings, e->file, at, path, format, args);
	va_end(args);
}

void conf_errors_free(struct conf_errors *e)
{
	memory_free(e->text);
	memory_free(e->warnings.text);
	*e = (struct conf_errors){.file = e->file};
}

/* Any long text may be a key, and any URL may hold a password, also in the wrong place. */
static bool may_be_secret(const char *text)
{
	return strlen(text) > QUOTE_MAX || strchr(text, '@') || strstr(text, "-----") ||
	       strchr(text, '\n');
}

const char *conf_quote(const char *text, char out[CONF_QUOTE_BYTES])
{
	if (may_be_secret(text))
		return memcpy(out, "the value", sizeof("the value"));
	out[0] = '"';
	size_t len = log_escape(text, out + 1, CONF_QUOTE_BYTES - 2);
	memcpy(out + 1 + len, "\"", 2);
	return out;
}

/* Adds as much as there is room for; returns the path's length. Every value of a document gets its
 * path, wrong or not: with printf this was a third of the time of reading a large one. */
static size_t path_add(char out[CONF_PATH_BYTES], size_t used, const char *text)
{
	size_t len = strlen(text), room = CONF_PATH_BYTES - 1 - used;

	if (len > room)
		len = room;
	memcpy(out + used, text, len);
	out[used + len] = '\0';
	return used + len;
}

void conf_path_key(char out[CONF_PATH_BYTES], const char *path, const char *key)
{
	char shown[QUOTE_MAX];
	size_t used = path_add(out, 0, path);

	log_escape(may_be_secret(key) ? "?" : key, shown, sizeof(shown));
	if (used > 0)
		used = path_add(out, used, ".");
	path_add(out, used, shown);
}

void conf_path_item(char out[CONF_PATH_BYTES], const char *path, size_t index)
{
	char place[24] = {0};
	size_t at = sizeof(place) - 1;

	place[--at] = ']';
	do {
		place[--at] = (char)('0' + index % 10);
		index /= 10;
	} while (index > 0);
	place[--at] = '[';
	path_add(out, path_add(out, 0, path), place + at);
}
