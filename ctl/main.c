/* SPDX-License-Identifier: Apache-2.0 */
/* main: postern, the operator's command: one table of commands, and what finds the right one. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/conf.h"
#include "ctl/commands.h"

static enum status command_help(const struct arguments *a);

static const struct command commands[] = {
	{"pki init", "DIR", 1, 1, "Makes a CA in the new directory DIR.", pki_init_options,
	 command_pki_init},
	{"pki issue", "DIR relay|agent NAME", 3, 3,
	 "Writes one file with all that a relay or an agent needs to run.", pki_issue_options,
	 command_pki_issue},
	{"pki show", "FILE|DIR", 1, 1,
	 "Shows whose a file is and until when, or what a CA has issued. Never shows keys.",
	 pki_show_options, command_pki_show},
	{"connect", "AGENT/SERVICE", 1, 1,
	 "Joins standard input and output to a service; needs --as FILE.", NULL, command_connect},
	{"help", "[COMMAND]", 0, 2, "Tells about all commands, or about one.", NULL, command_help},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void overview(FILE *to)
{
	fprintf(to, "usage: postern [--as FILE] COMMAND ...\n"
		    "       postern --version\n\n");
	for (size_t i = 0; i < COMMANDS; i++) {
		char left[64];

		snprintf(left, sizeof(left), "%s %s", commands[i].name, commands[i].words);
		fprintf(to, "  %-32s %s\n", left, commands[i].summary);
	}
	fprintf(to,
		"\n  --as FILE                        the agent's configuration to act by\n\n"
		"'postern help COMMAND' lists a command's options; postern(1) tells the rest.\n");
}

/* The command whose name is made of the first words; *used is how many. */
static const struct command *find_command(int argc, char **argv, int *used)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const char *name = commands[i].name;
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
			return &commands[i];
		}
	}
	return NULL;
}

/* "pki" alone is the beginning of several commands; NULL: all. False when it begins none. */
static bool list_commands(const char *group)
{
	size_t len = group ? strlen(group) : 0;
	bool any = false;

	for (size_t i = 0; i < COMMANDS; i++) {
		const char *name = commands[i].name;

		if (group && (strncmp(name, group, len) != 0 || name[len] != ' '))
			continue;
		if (!any && group)
			complain("'%s' is the beginning of:", group);
		fprintf(stderr, "  postern %s %s\n", name, commands[i].words);
		any = true;
	}
	return any;
}

/* Says what would have been right. */
static void complain_command(int argc, char **argv)
{
	const char *words[COMMANDS + 1] = {NULL}, *near = NULL;
	char given[128];

	for (size_t i = 0; i < COMMANDS; i++)
		words[i] = commands[i].name;
	for (int n = argc < 2 ? argc : 2; n > 0 && !near; n--) {
		if (n == 1 && list_commands(argv[0]))
			return;
		snprintf(given, sizeof(given), "%s%s%s", argv[0], n > 1 ? " " : "",
			 n > 1 ? argv[1] : "");
		near = conf_nearest(given, words);
	}
	if (near) {
		complain("there is no command '%s'; did you mean 'postern %s'?", given, near);
		return;
	}
	complain("there is no command '%s'; there are:", argv[0]);
	list_commands(NULL);
}

static enum status command_help(const struct arguments *a)
{
	const struct command *about;
	int used;

	if (a->word_count == 0) {
		overview(stdout);
		return STATUS_OK;
	}
	about = find_command((int)a->word_count, a->words, &used);
	if (!about) {
		complain_command((int)a->word_count, a->words);
		return STATUS_USAGE;
	}
	command_usage(about, stdout);
	return STATUS_OK;
}

static enum status run_command(int argc, char **argv, const char *as)
{
	struct arguments a = {.as = as};
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
	const char *as = NULL;
	int at = 1;

	/* A reader that goes away is an error of write(2), and has a message. */
	signal(SIGPIPE, SIG_IGN);
	for (; at < argc && argv[at][0] == '-'; at++) {
		if (strcmp(argv[at], "--version") == 0) {
			printf("postern %s\n", POSTERN_VERSION);
			return STATUS_OK;
		}
		if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
			overview(stdout);
			return STATUS_OK;
		}
		if (strncmp(argv[at], "--as=", 5) == 0) {
			as = argv[at] + 5;
		} else if (strcmp(argv[at], "--as") == 0 && at + 1 < argc) {
			as = argv[++at];
		} else {
			complain("'%s' is not understood here; there are --as FILE, --help and "
				 "--version",
				 argv[at]);
			return STATUS_USAGE;
		}
	}
	if (at >= argc) {
		overview(stderr);
		return STATUS_USAGE;
	}
	return (int)run_command(argc - at, argv + at, as);
}
