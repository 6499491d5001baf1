/* SPDX-License-Identifier: Apache-2.0 */
/* arguments: one command's words and options, read by its table. */
#include "ctl/terminal/arguments.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/conf/conf.h"

#define OPTIONS_MAX 32 /* of one command */

const struct option_row json_options[] = {
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

const struct option_row common_options[] = {
	{"--as", "FILE", false, "the agent's or console's file to act by"},
	{"--socket", "PATH", false, "the Unix socket of the relay, or for nat that of natd"},
	{"--at", "HOST:PORT", false, "which of the console's relays; else the first"},
	{NULL, NULL, false, NULL},
};

__attribute__((format(printf, 1, 0))) static void complain_list(const char *format, va_list list)
{
	fputs("postern: ", stderr);
	vfprintf(stderr, format, list);
	fputc('\n', stderr);
}

void complain(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	complain_list(format, list);
	va_end(list);
}

static void put_usage(const struct command *command, FILE *to)
{
	fprintf(to, "usage: postern %s%s%s%s\n", command->name, command->words[0] ? " " : "",
		command->words, command->options ? " [OPTION]..." : "");
}

void complain_usage(const struct command *command, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	complain_list(format, list);
	va_end(list);
	put_usage(command, stderr);
	fprintf(stderr, "'postern help %s' tells more\n", command->name);
}

void command_usage(const struct command *command, FILE *to)
{
	put_usage(command, to);
	fprintf(to, "\n%s\n", command->summary);
	if (!command->options)
		return;
	fputc('\n', to);
	for (const struct option_row *o = command->options; o->name; o++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%s%s%s", o->name, o->value ? " " : "",
			 o->value ? o->value : "", o->many ? " ..." : "");
		fprintf(to, "  %-40s %s\n", left, o->help);
	}
}

static const struct option_row *find_row(const struct option_row *rows, const char *name,
					 size_t len)
{
	for (const struct option_row *o = rows; o && o->name; o++)
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

bool arguments_common(struct arguments *a, int argc, char **argv, int *at, bool *taken)
{
	const char *text = argv[*at], *equals = strchr(text, '=');
	size_t len = equals ? (size_t)(equals - text) : strlen(text);
	const struct option_row *row = find_row(common_options, text, len);
	const char **values[] = {&a->as, &a->socket, &a->at};

	*taken = row != NULL;
	if (!row)
		return true;
	if (!equals && *at + 1 >= argc) {
		complain("%s needs a value: %s", row->name, row->value);
		return false;
	}
	*values[row - common_options] = equals ? equals + 1 : argv[++*at];
	return true;
}

static void complain_unknown(const struct command *command, const char *name)
{
	const char *names[OPTIONS_MAX + 1] = {NULL}, *near;
	size_t n = 0;

	for (const struct option_row *o = command->options; o && o->name && n < OPTIONS_MAX; o++)
		names[n++] = o->name;
	near = conf_nearest(name, names);
	if (near)
		complain_usage(command, "there is no option %s; did you mean %s?", name, near);
	else
		complain_usage(command, "'postern %s' has no option %s", command->name, name);
}

static bool was_given(const struct arguments *a, const struct option_row *row)
{
	for (size_t i = 0; i < a->option_count; i++)
		if (a->options[i].row == row)
			return true;
	return false;
}

/* One option at argv[*at]; a value that is an argument of its own moves *at on. */
static bool parse_option(struct arguments *a, int argc, char **argv, int *at)
{
	const char *text = argv[*at], *equals = strchr(text, '=');
	size_t len = equals ? (size_t)(equals - text) : strlen(text);
	const struct option_row *row = find_row(a->command->options, text, len);
	const char *value = equals ? equals + 1 : NULL;
	bool taken;

	if (!row && !arguments_common(a, argc, argv, at, &taken))
		return false;
	if (!row && taken)
		return true;
	if (!row) {
		complain_unknown(a->command, text);
		return false;
	}
	if (!row->value && value) {
		complain_usage(a->command, "%s takes no value", row->name);
		return false;
	}
	if (row->value && !value) {
		if (*at + 1 >= argc) {
			complain_usage(a->command, "%s needs a value: %s", row->name, row->value);
			return false;
		}
		value = argv[++*at];
	}
	if (!row->many && was_given(a, row)) {
		complain_usage(a->command, "%s can be given once only", row->name);
		return false;
	}
	a->options[a->option_count++] = (struct argument){row, value};
	return true;
}

static bool check_word_count(const struct arguments *a)
{
	const struct command *c = a->command;

	if (a->word_count < c->min_words) {
		complain_usage(c, "something is missing after 'postern %s'", c->name);
		return false;
	}
	if (a->word_count > c->max_words) {
		complain_usage(c, "'%s' is one word too many", a->words[c->max_words]);
		return false;
	}
	return true;
}

bool arguments_parse(const struct command *command, int argc, char **argv, struct arguments *out)
{
	struct arguments a = {
		.command = command, .as = out->as, .socket = out->socket, .at = out->at};
	bool only_words = false;

	a.words = calloc((size_t)argc + 1, sizeof(*a.words));
	a.options = calloc((size_t)argc + 1, sizeof(*a.options));
	if (!a.words || !a.options) {
		complain("out of memory");
		goto fail;
	}
	for (int i = 0; i < argc; i++) {
		if (only_words || argv[i][0] != '-' || argv[i][1] == '\0')
			a.words[a.word_count++] = argv[i];
		else if (strcmp(argv[i], "--") == 0)
			only_words = true;
		else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			a.help = true;
		else if (!parse_option(&a, argc, argv, &i))
			goto fail;
	}
	if (!a.help && !check_word_count(&a))
		goto fail;
	*out = a;
	return true;
fail:
	arguments_free(&a);
	return false;
}

void arguments_free(struct arguments *a)
{
	free(a->words);
	free(a->options);
	a->words = NULL;
	a->options = NULL;
}

const char *arguments_next(const struct arguments *a, const char *option, size_t *at)
{
	assert(find_row(a->command->options, option, strlen(option)));
	while (*at < a->option_count) {
		const struct argument *one = &a->options[(*at)++];

		if (strcmp(one->row->name, option) == 0)
			return one->value ? one->value : "";
	}
	return NULL;
}

bool arguments_flag(const struct arguments *a, const char *option)
{
	size_t at = 0;

	return arguments_next(a, option, &at) != NULL;
}

const char *arguments_text(const struct arguments *a, const char *option, const char *otherwise)
{
	size_t at = 0;
	const char *value = arguments_next(a, option, &at);

	return value ? value : otherwise;
}
