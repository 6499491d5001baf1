/* SPDX-License-Identifier: Apache-2.0 */
/* postern-agent: dials relays, publishes local services and opens forwards to those of others. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/control/control.h"
#include "agent/entrance/entrance.h"
#include "agent/control/nat.h"
#include "agent/control/state.h"
#include "core/container.h"
#include "core/isolation.h"
#include "core/journal.h"
#include "core/log.h"
#include "core/notify.h"
#include "core/options.h"

#define OTHER_DESCRIPTORS 64u /* links, listeners, the resolver's */

struct program {
	struct agent agent;
	struct ring_op signal_op;
	int signal_fd;
	struct isolation_report isolation;
};

/* ---- signals ---- */

static void watch_signals(struct program *p)
{
	ring_poll(p->agent.ring, &p->signal_op, p->signal_fd, POLLIN);
}

static void signalled(struct ring_op *op, int res)
{
	struct program *p = container(op, struct program, signal_op);
	struct signalfd_siginfo info;

	while (res > 0 && read(p->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGUSR1)
			agent_log_status(&p->agent);
		else
			agent_stop(&p->agent);
	}
	if (!p->agent.stopping) {
		watch_signals(p);
		return;
	}
	ring_close_fd(p->agent.ring, p->signal_fd);
	p->signal_fd = -1;
	agent_drop(&p->agent);
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* ---- beginning and end ---- */

static void on_stop(struct agent *a)
{
	struct program *p = container(a, struct program, agent);

	notify_stopping();
	log_notice("agent", "stopping");
	ring_cancel(a->ring, &p->signal_op);
}

static void open_entrances(struct agent *a)
{
	char why[256] = "out of memory";

	a->entrances = entrances_new(a);
	if (!a->entrances || !entrances_prepare(a->entrances, a->config, true, why, sizeof(why)))
		die("%s", why);
	entrances_adopt(a->entrances, a->config);
}

static void isolate(struct program *p)
{
	isolation_drop_capabilities(0, &p->isolation);
	isolation_landlock(ISOLATE_DIALS, &p->isolation);
	isolation_seal(ISOLATE_DIALS, ring_engine(p->agent.ring), &p->isolation);
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
	json_t *document;
	struct state *state;
	struct agent_overrides overrides;
};

/* Every session takes two descriptors. Only who asked for so many sessions is warned. */
static void raise_descriptor_limit(const struct beginning *b)
{
	bool asked = json_object_get(b->document, "max_sessions");
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

static int run(struct program *p, struct beginning *b)
{
	const struct agent_config *config = &b->config;
	int engine = b->overrides.engine >= 0 ? b->overrides.engine : config->engine;
	char why[512];
	int error;

	p->signal_fd = open_signals();
	if (p->signal_fd < 0)
		die("signals cannot be watched: %s", strerror(errno));
	raise_descriptor_limit(b);
	if (!agent_open(&p->agent, config, engine, false, why, sizeof(why)))
		die("%s", why);
	if (notify_open() < 0)
		log_warning("agent", "the service manager's socket cannot be used");
	error = journal_open(JOURNAL_SOCKET, "postern-agent");
	if (error < 0)
		log_warning("agent", "events will not be in the journal: %s", strerror(-error));
	p->agent.on_stop = on_stop;
	open_entrances(&p->agent);
	if (!agent_control_open(&p->agent, b->document, b->state, &b->overrides))
		die("out of memory");
	error = agent_nat_open(&p->agent);
	if (error < 0)
		die("nat.socket: %s cannot be followed: %s", config->nat.socket, strerror(-error));
	isolate(p);

	p->signal_op.done = signalled;
	agent_hold(&p->agent);
	watch_signals(p);
	agent_nat_follow(&p->agent);
	agent_start(&p->agent);
	notify_ready();
	log_notice("agent", "ready name=%s engine=%s", config->name,
		   ring_engine_name(ring_engine(p->agent.ring)));
	error = ring_run(p->agent.ring);
	if (error)
		log_error("agent", "the event ring failed: %s", strerror(-error));
	agent_log_status(&p->agent);
	agent_close(&p->agent);
	journal_close();
	notify_close();
	return error ? 1 : 0;
}

static int check(const struct options *options, const struct agent_config *config)
{
	char why[512];

	if (!agent_check(config, why, sizeof(why))) {
		fprintf(stderr, "%s: %s\n", options->config, why);
		return 1;
	}
	printf("%s: ok\n", options->config);
	return 0;
}

static bool load(const struct options *options, struct beginning *b)
{
	struct conf_errors errors = {.file = options->config};
	bool ok = options->check ? agent_config_load(options->config, &b->config, &errors)
				 : agent_load(options->config, &b->config, &b->document, &b->state,
					      &errors);

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
	static const struct options_about about = {
		.program = "postern-agent",
		.summary = "Dials relays, publishes local services and opens forwards to others.",
	};
	static struct program program;
	struct beginning beginning = {0};
	struct options options;
	int status = options_parse(argc, argv, &about, &options);

	if (status != OPTIONS_RUN)
		return status;
	log_open(about.program, LOG_LEVEL_NOTICE);
	if (isolation_begin(&program.isolation) < 0)
		die("isolation cannot begin: %s", strerror(errno));
	if (!load(&options, &beginning))
		return 1;
	log_set_level((enum log_level)beginning.config.log_level);
	status = options.check ? check(&options, &beginning.config) : run(&program, &beginning);
	json_decref(beginning.document);
	agent_config_free(&beginning.config);
	return status;
}
