/* SPDX-License-Identifier: Apache-2.0 */
/* main: postern, the operator's command: one table of commands, and what finds the right one. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/stdio.h"
#include "core/conf/conf.h"
#include "core/engine/tls_library.h"
#include "core/standard.h"
#include "ctl/change/change.h"
#include "ctl/check.h"
#include "ctl/nat/nat.h"
#include "ctl/pki/pki.h"
#include "ctl/see/see.h"

static enum status command_help(const struct arguments *a);

/* Standard input and output as one session, for ssh -o ProxyCommand. */
static enum status command_connect(const struct arguments *a)
{
	if (!a->as) {
		complain_usage(a->command,
			       "which agent to connect as? Write postern --as FILE connect %s",
			       a->words[0]);
		return STATUS_USAGE;
	}
	return (enum status)agent_stdio_run(a->as, a->words[0]);
}

static const struct command last_commands[] = {
	{"connect", "AGENT/SERVICE", 1, 1,
	 "Joins standard input and output to a service; needs --as FILE.", NULL, command_connect},
	{"help", "[COMMAND]", 0, 3, "Tells about all commands, or about one.", NULL, command_help},
	{.name = NULL},
};

/* In the order of the overview. */
static const struct command *const groups[] = {
	pki_commands,	       relay_see_commands, relay_config_commands, relay_act_commands,
	pki_relay_commands,    grant_commands,	   revoke_commands,	  agent_see_commands,
	agent_config_commands, pki_agent_commands, check_commands,	  stun_commands,
	nat_commands,	       last_commands,
};

#define GROUPS	   (sizeof(groups) / sizeof(groups[0]))
#define WORDS_MAX  3 /* of a command's name */
#define NAMES_MAX  256
#define NAME_BYTES 32

/* Every command in turn: start with *at 0; NULL after the last. */
static const struct command *next_command(size_t *at)
{
	size_t n = (*at)++;

	for (size_t g = 0; g < GROUPS; g++) {
		for (const struct command *c = groups[g]; c->name; c++)
			if (n-- == 0)
				return c;
	}
	return NULL;
}

static void overview(FILE *to)
{
	fprintf(to, "usage: postern [--as FILE | --socket PATH] COMMAND ...\n"
		    "       postern --version\n");
	for (size_t g = 0; g < GROUPS; g++) {
		fputc('\n', to);
		for (const struct command *c = groups[g]; c->name; c++) {
			char left[64];

			snprintf(left, sizeof(left), "%s %s", c->name, c->words);
			fprintf(to, "  %-38s %s\n", left, c->summary);
		}
	}
	fputc('\n', to);
	for (const struct option_row *o = common_options; o->name; o++) {
		char left[64];

		snprintf(left, sizeof(left), "%s %s", o->name, o->value);
		fprintf(to, "  %-38s %s\n", left, o->help);
	}
	fprintf(to,
		"\n'postern help COMMAND' lists a command's options; postern(1) tells the rest.\n");
}

/* The command whose name is made of the first words, the longest such; *used is how many. */
static const struct command *find_command(int argc, char **argv, int *used)
{
	const struct command *c;

	for (size_t at = 0; (c = next_command(&at));) {
		const char *name = c->name;
		int n = 0;

		while (*name && n < argc) {
			size_t len = strcspn(name, " ");

			if (strlen(argv[n]) != len || memcmp(argv[n], name, len) != 0)
				break;
			name += len + (name[len] == ' ');
			n++;
		}
		if (*name == '\0') {
			*used = n;
			return c;
		}
	}
	return NULL;
}

/* "pki" alone is the beginning of several commands; NULL: all. False when it begins none. */
static bool list_commands(FILE *to, const char *group)
{
	size_t len = group ? strlen(group) : 0;
	const struct command *c;
	bool any = false;

	for (size_t at = 0; (c = next_command(&at));) {
		if (group && (strncmp(c->name, group, len) != 0 || c->name[len] != ' '))
			continue;
		if (!any && group)
			fprintf(to, "'postern %s' is the beginning of:\n", group);
		fprintf(to, "  postern %s%s%s\n", c->name, c->words[0] ? " " : "", c->words);
		any = true;
	}
	return any;
}

/* The first count words with spaces between. */
static void join_words(char **argv, int count, char *out, size_t room)
{
	size_t used = 0;

	out[0] = '\0';
	for (int i = 0; i < count && used < room; i++)
		used += (size_t)snprintf(out + used, room - used, "%s%s", i ? " " : "", argv[i]);
}

/* The names of commands, and what they begin with: "relay config", "relay". */
struct command_names {
	char text[NAMES_MAX][NAME_BYTES];
	const char *list[NAMES_MAX + 1];
	size_t count;
};

static void collect_names(struct command_names *names)
{
	const struct command *c;

	for (size_t at = 0; (c = next_command(&at));) {
		for (size_t len = strlen(c->name); len > 0; len--) {
			bool ends = c->name[len] == '\0' || c->name[len] == ' ';

			if (!ends || names->count == NAMES_MAX)
				continue;
			snprintf(names->text[names->count], NAME_BYTES, "%.*s", (int)len, c->name);
			names->list[names->count] = names->text[names->count];
			names->count++;
		}
	}
}

/* Says what would have been right. */
static void complain_command(int argc, char **argv)
{
	static struct command_names names;
	const char *near = NULL;
	char given[128];

	collect_names(&names);
	for (int words = argc < WORDS_MAX ? argc : WORDS_MAX; words > 0 && !near; words--) {
		join_words(argv, words, given, sizeof(given));
		if (list_commands(stderr, given))
			return;
		near = conf_nearest(given, names.list);
	}
	if (near) {
		complain("there is no command '%s'; did you mean 'postern %s'?", given, near);
		return;
	}
	complain("there is no command '%s'; there are:", argv[0]);
	list_commands(stderr, NULL);
}

static enum status command_help(const struct arguments *a)
{
	const struct command *about;
	char given[128];
	int used;

	if (a->word_count == 0) {
		overview(stdout);
		return STATUS_OK;
	}
	about = find_command((int)a->word_count, a->words, &used);
	join_words(a->words, (int)a->word_count, given, sizeof(given));
	if (!about && list_commands(stdout, given))
		return STATUS_OK;
	if (!about) {
		complain_command((int)a->word_count, a->words);
		return STATUS_USAGE;
	}
	command_usage(about, stdout);
	return STATUS_OK;
}

static enum status run_command(int argc, char **argv, const struct arguments *common)
{
	struct arguments a = *common;
	const struct command *command;
	enum status status = STATUS_OK;
	int used;

	command = find_command(argc, argv, &used);
	if (!command) {
		complain_command(argc, argv);
		return STATUS_USAGE;
	}
	if (!arguments_parse(command, argc - used, argv + used, &a))
		return STATUS_USAGE;
	if (a.help)
		command_usage(command, stdout);
	else
		status = command->run(&a);
	arguments_free(&a);
	if (fflush(stdout) != 0 && status == STATUS_OK) {
		complain("cannot write to standard output");
		status = STATUS_FAILED;
	}
	return status;
}

int main(int argc, char **argv)
{
	struct arguments common = {.as = NULL};
	int at = 1;

	standard_open();
	/* A reader that goes away is an error of write(2), and has a message. */
	signal(SIGPIPE, SIG_IGN);
	tzset();
	for (; at < argc && argv[at][0] == '-'; at++) {
		bool taken;

		if (strcmp(argv[at], "--version") == 0) {
			char tls_library[TLS_LIBRARY_TEXT_BYTES];

			tls_library_text(tls_library);
			printf("postern %s\n%s\n", POSTERN_VERSION, tls_library);
			return STATUS_OK;
		}
		if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
			overview(stdout);
			return STATUS_OK;
		}
		if (!arguments_common(&common, argc, argv, &at, &taken))
			return STATUS_USAGE;
		if (!taken) {
			complain("'%s' is not understood here; there are --as FILE, --socket PATH, "
				 "--at HOST:PORT, --help and --version",
				 argv[at]);
			return STATUS_USAGE;
		}
	}
	if (at >= argc) {
		overview(stderr);
		return STATUS_USAGE;
	}
	return (int)run_command(argc - at, argv + at, &common);
}
