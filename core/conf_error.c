/* SPDX-License-Identifier: Apache-2.0 */
/* conf_error: the errors of a configuration, with their places, and how they show its texts. */
#include "core/conf.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

#define QUOTE_MAX 64u /* bytes of a text that messages show */

static void append_line(struct conf_errors *e, const char *line)
{
	size_t len = strlen(line);
	char *text = realloc(e->text, e->len + len + 2);

	if (!text)
		return; /* still counted */
	memcpy(text + e->len, line, len);
	memcpy(text + e->len + len, "\n", 2);
	e->text = text;
	e->len += len + 1;
}

void conf_error(struct conf_errors *e, const struct conf_node *at, const char *path,
		const char *format, ...)
{
	char line[2048];
	size_t used = 0;
	bool placed = e->file || (at && at->line), has_path = path && path[0];
	va_list args;

	if (e->count++ >= CONF_LINES_MAX) {
		if (e->count == CONF_LINES_MAX + 1)
			append_line(e, "and more errors follow; mend these first");
		return;
	}
	if (placed || !has_path)
		used = (size_t)snprintf(line, sizeof(line),
					"%.512s:", e->file ? e->file : "configuration");
	if (at && at->line)
		used += (size_t)snprintf(line + used, sizeof(line) - used, "%u:%u:", at->line,
					 at->column);
	if (has_path)
		used += (size_t)snprintf(line + used, sizeof(line) - used,
					 "%s%.*s:", used > 0 ? " " : "", CONF_PATH_BYTES, path);
	line[used++] = ' ';
	va_start(args, format);
	vsnprintf(line + used, sizeof(line) - used, format, args);
	va_end(args);
	append_line(e, line);
}

void conf_errors_free(struct conf_errors *e)
{
	free(e->text);
	*e = (struct conf_errors){.file = e->file};
}

/* Long texts may be keys, and URLs may hold passwords, whatever place they were written to. */
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

void conf_path_key(char out[CONF_PATH_BYTES], const char *path, const char *key)
{
	char shown[QUOTE_MAX];

	log_escape(may_be_secret(key) ? "?" : key, shown, sizeof(shown));
	if (snprintf(out, CONF_PATH_BYTES, "%s%s%s", path, path[0] ? "." : "", shown) < 0)
		out[0] = '\0';
}

void conf_path_item(char out[CONF_PATH_BYTES], const char *path, size_t index)
{
	if (snprintf(out, CONF_PATH_BYTES, "%s[%zu]", path, index) < 0)
		out[0] = '\0';
}
