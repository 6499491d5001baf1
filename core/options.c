/* SPDX-License-Identifier: Apache-2.0 */
/* options: the command line that every daemon of ours understands. */
#include "core/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/ring.h"

enum { OPTION_CHECK = 256, OPTION_ENGINE, OPTION_LOG_LEVEL, OPTION_VERSION, OPTION_EXTRA };

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"check", no_argument, NULL, OPTION_CHECK},
	{"engine", required_argument, NULL, OPTION_ENGINE},
	{"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
	{"version", no_argument, NULL, OPTION_VERSION},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

#define COMMON (sizeof(long_options) / sizeof(long_options[0]) - 1)

/* The common ones and the program's own. */
static void all_options(const struct options_about *about,
			struct option out[COMMON + OPTIONS_EXTRA_MAX + 1])
{
	size_t count = COMMON;

	memcpy(out, long_options, sizeof(long_options));
	for (size_t i = 0; about->extra && about->extra[i].name; i++)
		out[count++] =
			(struct option){about->extra[i].name,
					about->extra[i].value ? required_argument : no_argument,
					NULL, OPTION_EXTRA + (int)i};
	out[count] = (struct option){NULL, 0, NULL, 0};
}

static void print_usage(FILE *to, const struct options_about *about)
{
	fprintf(to, "usage: %s %s", about->program,
		about->config || about->extra ? "[-c FILE]" : "-c FILE");
	for (size_t i = 0; about->extra && about->extra[i].name; i++)
		fprintf(to, " [--%s%s%s]", about->extra[i].name, about->extra[i].value ? " " : "",
			about->extra[i].value ? about->extra[i].value : "");
	fprintf(to, " [--check] [--engine ENGINE] [--log-level LEVEL]\n");
}

static void print_extra(const struct options_about *about)
{
	char word[64];

	for (size_t i = 0; about->extra && about->extra[i].name; i++) {
		snprintf(word, sizeof(word), "--%s %s", about->extra[i].name,
			 about->extra[i].value ? about->extra[i].value : "");
		printf("      %s\n                      %s\n", word, about->extra[i].help);
	}
}

static void print_help(const struct options_about *about)
{
	print_usage(stdout, about);
	printf("\n%s\n\n"
	       "  -c, --config FILE   the configuration, see postern.yaml(5)%s%s%s\n",
	       about->summary, about->config ? " (" : "", about->config ? about->config : "",
	       about->config ? ")" : "");
	print_extra(about);
	printf("      --check         check the configuration and exit: 0 when it is right\n"
	       "      --engine WORD   auto, io_uring or epoll; overrides the configuration\n"
	       "      --log-level WORD\n"
	       "                      error, warning, notice, info or debug; overrides it too\n"
	       "      --version       print the version and exit\n"
	       "  -h, --help          print this and exit\n");
}

static int usage_error(const struct options_about *about)
{
	print_usage(stderr, about);
	fprintf(stderr, "%s --help says more\n", about->program);
	return OPTIONS_STATUS_USAGE;
}

/* What getopt_long() stumbled over. The word is the one just passed, except inside "-xyz". */
static int wrong_option(int argc, char **argv, const struct options_about *about, int code)
{
	const char *word = optind > 0 && optind <= argc ? argv[optind - 1] : "";
	char shown[128];

	log_escape(word, shown, sizeof(shown));
	if (code == ':')
		fprintf(stderr, "%s: option %s needs a value\n", about->program, shown);
	else if (optopt > ' ' && optopt < 0x7f)
		fprintf(stderr, "%s: there is no option -%c\n", about->program, optopt);
	else if (optopt)
		fprintf(stderr, "%s: option %s takes no value\n", about->program, shown);
	else
		fprintf(stderr, "%s: there is no option %s\n", about->program, shown);
	return usage_error(about);
}

static int wrong_word(const struct options_about *about, const char *option, const char *word,
		      const char *right)
{
	char shown[128];

	log_escape(word, shown, sizeof(shown));
	fprintf(stderr, "%s: %s \"%s\" is not one of %s\n", about->program, option, shown, right);
	return OPTIONS_STATUS_USAGE;
}

static int parse_engine(const struct options_about *about, const char *word, int *out)
{
	static const char *const words[] = {
		[RING_AUTO] = "auto", [RING_IO_URING] = "io_uring", [RING_EPOLL] = "epoll"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i]) == 0) {
			*out = (int)i;
			return OPTIONS_RUN;
		}
	}
	return wrong_word(about, "--engine", word, "auto, io_uring, epoll");
}

static int parse_log_level(const struct options_about *about, const char *word, int *out)
{
	enum log_level level;

	if (!log_level_parse(word, &level))
		return wrong_word(about, "--log-level", word,
				  "error, warning, notice, info, debug");
	*out = (int)level;
	return OPTIONS_RUN;
}

static int take_extra(const struct options_about *about, int which, struct options *o)
{
	if (o->given_count == OPTIONS_GIVEN_MAX) {
		fprintf(stderr, "%s: more than %u options; write a configuration file\n",
			about->program, OPTIONS_GIVEN_MAX);
		return OPTIONS_STATUS_USAGE;
	}
	o->given[o->given_count++] = (struct options_given){&about->extra[which], optarg};
	return OPTIONS_RUN;
}

static int take_option(int code, int argc, char **argv, const struct options_about *about,
		       struct options *o)
{
	if (code >= OPTION_EXTRA)
		return take_extra(about, code - OPTION_EXTRA, o);
	switch (code) {
	case 'c':
		o->config = optarg;
		return OPTIONS_RUN;
	case OPTION_CHECK:
		o->check = true;
		return OPTIONS_RUN;
	case OPTION_ENGINE:
		return parse_engine(about, optarg, &o->engine);
	case OPTION_LOG_LEVEL:
		return parse_log_level(about, optarg, &o->log_level);
	case OPTION_VERSION:
		printf("%s %s\n", about->program, POSTERN_VERSION);
		if (about->built_with)
			printf("%s\n", about->built_with);
		return 0;
	case 'h':
		print_help(about);
		return 0;
	default:
		return wrong_option(argc, argv, about, code);
	}
}

int options_parse(int argc, char **argv, const struct options_about *about, struct options *out)
{
	struct options o = {.config = about->config, .engine = -1, .log_level = -1};
	struct option all[COMMON + OPTIONS_EXTRA_MAX + 1];
	int code, status = OPTIONS_RUN;

	all_options(about, all);
	opterr = 0;
	optind = 0; /* glibc: start afresh */
	while (status == OPTIONS_RUN && (code = getopt_long(argc, argv, ":c:h", all, NULL)) != -1)
		status = take_option(code, argc, argv, about, &o);
	if (status != OPTIONS_RUN)
		return status;
	if (optind < argc) {
		char shown[128];

		log_escape(argv[optind], shown, sizeof(shown));
		fprintf(stderr, "%s: \"%s\" belongs to no option\n", about->program, shown);
		return usage_error(about);
	}
	if (!o.config && o.given_count == 0) {
		fprintf(stderr, "%s: the configuration file is missing; name it with -c FILE%s\n",
			about->program,
			about->extra ? ", or give by options what would be in it" : "");
		return usage_error(about);
	}
	*out = o;
	return OPTIONS_RUN;
}
