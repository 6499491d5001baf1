/* SPDX-License-Identifier: Apache-2.0 */
/* postern-agent: dials relays, publishes local services and opens forwards to those of others. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/config/load.h"
#include "core/conf/conf.h"
#include "core/container.h"
#include "core/engine/tls_library.h"
#include "core/isolation.h"
#include "core/journal.h"
#include "core/log.h"
#include "core/notify.h"
#include "core/options.h"
#include "core/program/signals.h"
#include "core/standard.h"
#include "gen/agent_calls.h"

#define OTHER_DESCRIPTORS 64u /* links, listeners, the resolver's */

struct agent_program {
	struct agent agent;
	struct signals signals;
	struct isolation_report isolation;
};

/* ---- signals ---- */

static void agent_signalled(struct signals *s, int number)
{
	struct agent_program *p = container(s, struct agent_program, signals);

	if (number == SIGUSR1)
		agent_log_status(&p->agent);
	else if (number == SIGHUP)
		agent_control_reload(p->agent.control);
	else
		agent_stop(&p->agent);
}

static void agent_signals_closed(struct signals *s)
{
	agent_worker_drop(&container(s, struct agent_program, signals)->agent.worker);
}

/* ---- beginning and end ---- */

static void agent_stops(struct agent *a)
{
	struct agent_program *p = container(a, struct agent_program, agent);

	notify_stopping();
	log_notice("agent", "stopping");
	signals_close(&p->signals);
}

static void agent_become_user(const char *user)
{
	int error = isolation_switch_user(user);

	if (error)
		die("user: cannot become %s: %s", user,
		    error == -ENOENT ? "there is no such user; make it, or name another"
				     : strerror(-error));
}

/* The directories of the file, which may be a new one when SIGHUP comes, and of what it leads to if
 * it is a link; nothing there can be listed. */
static void agent_isolate(struct agent_program *p, const char *config)
{
	static char beside[PATH_MAX], real[PATH_MAX];
	static struct isolation_place places[2] = {{.rights = LANDLOCK_ACCESS_FS_READ_FILE},
						   {.rights = LANDLOCK_ACCESS_FS_READ_FILE}};
	static const struct isolation_plan plan = {
		.calls = &agent_calls,
		.places = places,
		.place_count = 2,
		.resolves = true,
		.connects_tcp = true,
		.binds_tcp = true,
	};

	snprintf(beside, sizeof(beside), "%s", config);
	places[0].path = dirname(beside);
	places[1].path = realpath(config, real) ? dirname(real) : places[0].path;
	isolation_drop_capabilities(&plan, &p->isolation);
	isolation_landlock(&plan, &p->isolation);
	isolation_seal(&plan, ring_engine(p->agent.worker.ring), &p->isolation);
	for (int i = 0; i < ISOLATION_PARTS; i++)
		if (!p->isolation.parts[i].holds && i != ISOLATION_LANDLOCK_TCP &&
		    i != ISOLATION_URING)
			log_warning("isolation", "%s does not hold: %s",
				    isolation_part_name((enum isolation_part)i),
				    p->isolation.parts[i].why);
}

/* What is known once the files are read. */
struct beginning {
	struct agent_config config;
	struct configuring_start start;
	struct agent_state *state;
	struct agent_overrides overrides;
};

/* Every session takes two descriptors. A warning only if the configuration asks for so many. */
static void raise_descriptor_limit(const struct beginning *b)
{
	bool asked = json_object_get(b->start.document, "max_sessions");
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 ||
	    limit.rlim_cur < b->config.max_sessions * 2 + OTHER_DESCRIPTORS)
		log_at(asked ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "agent",
		       "the limit of descriptors (%llu) is below two for each of max_sessions "
		       "(%llu); raise LimitNOFILE, or lower max_sessions",
		       (unsigned long long)limit.rlim_cur,
		       (unsigned long long)b->config.max_sessions);
}

static int agent_run(struct agent_program *p, struct beginning *b, const struct options *options)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1, SIGHUP, 0};
	const struct agent_config *config = &b->config;
	int engine = b->overrides.engine >= 0 ? b->overrides.engine : config->engine;
	char why[512];
	int error;

	signal(SIGPIPE, SIG_IGN);
	error = signals_open(&p->signals, numbers);
	if (error)
		die("signals cannot be watched: %s", strerror(-error));
	raise_descriptor_limit(b);
	if (!agent_open(&p->agent, config, engine, false, why, sizeof(why)))
		die("%s", why);
	if (notify_open() < 0)
		log_warning("agent", "the service manager's socket cannot be used");
	error = journal_open(JOURNAL_SOCKET, "postern-agent");
	if (error < 0)
		log_warning("agent", "events will not be in the journal: %s", strerror(-error));
	p->agent.on_stop = agent_stops;
	if (!agent_open_rest(&p->agent, &b->start, options->config, b->state, &b->overrides, why,
			     sizeof(why)))
		die("%s", why);
	agent_become_user(config->user);
	agent_isolate(p, options->config);

	p->signals.came = agent_signalled;
	p->signals.closed = agent_signals_closed;
	agent_worker_hold(&p->agent.worker);
	signals_follow(&p->signals, p->agent.worker.ring);
	agent_start(&p->agent);
	notify_ready();
	log_notice("agent", "ready name=%s engine=%s", config->name,
		   ring_engine_name(ring_engine(p->agent.worker.ring)));
	error = ring_run(p->agent.worker.ring);
	if (error)
		log_error("agent", "the event ring failed: %s", strerror(-error));
	agent_log_status(&p->agent);
	agent_close(&p->agent);
	log_close();
	journal_close();
	notify_close();
	return error ? 1 : 0;
}

static int agent_check_config(const struct options *options, const struct agent_config *config)
{
	char why[512];

	if (!agent_check(config, why, sizeof(why))) {
		fprintf(stderr, "%s: %s\n", options->config, why);
		return 1;
	}
	printf("%s: ok\n", options->config);
	return 0;
}

static bool agent_load_config(const struct options *options, struct beginning *b)
{
	struct conf_errors errors = {.file = options->config};
	bool ok = options->check
			  ? agent_config_load(options->config, &b->config, &errors)
			  : agent_load(options->config, &b->config, &b->start, &b->state, &errors);

	if (!ok)
		fputs(errors.text ? errors.text : "", stderr);
	conf_errors_free(&errors);
	b->overrides = (struct agent_overrides){options->engine, options->log_level};
	if (ok && options->log_level >= 0)
		b->config.log_level = options->log_level;
	return ok;
}

int main(int argc, char **argv)
{
	char tls_library[TLS_LIBRARY_TEXT_BYTES];
	const struct options_about about = {
		.program = "postern-agent",
		.summary = "Dials relays, publishes local services and opens forwards to others.",
		.built_with = tls_library,
	};
	static struct agent_program program;
	struct beginning beginning = {0};
	struct options options;
	int status;

	standard_open();
	tls_library_text(tls_library);
	status = options_parse(argc, argv, &about, &options);

	if (status != OPTIONS_RUN)
		return status;
	log_open(about.program, LOG_LEVEL_NOTICE);
	if (!options.check && (status = log_never_wait(JOURNAL_SOCKET)) < 0)
		log_warning("log", "the journal takes lines by standard error alone: %s",
			    strerror(-status));
	if (isolation_begin(&program.isolation) < 0)
		die("isolation cannot begin: %s", strerror(errno));
	if (!agent_load_config(&options, &beginning))
		return 1;
	log_set_level((enum log_level)beginning.config.log_level);
	status = options.check ? agent_check_config(&options, &beginning.config)
			       : agent_run(&program, &beginning, &options);
	configuring_start_free(&beginning.start);
	agent_config_free(&beginning.config);
	return status;
}
