/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postern-relayd: where two sides meet that can only dial out.
 *
 * The main thread sets up, starts a worker per core, gives up every right it no longer needs, and
 * then only waits for signals: SIGTERM and SIGINT drain (twice: stop at once), SIGUSR1 logs status.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/isolation.h"
#include "core/log.h"
#include "core/notify.h"
#include "core/options.h"
#include "relay/worker.h"

#define DRAIN_POLL_MS 50

/* Workers and the main thread meet here: rings are open, then isolation is sealed. */
static pthread_barrier_t opened, sealed;
static _Atomic int open_error;

static void *worker_main(void *argument)
{
	struct worker *w = argument;
	char why[512] = "";
	int error = worker_open_ring(w, why, sizeof why);

	if (error < 0) {
		log_error("relay", "cannot open a ring: %s", why[0] ? why : strerror(-error));
		open_error = error;
	} else if (w->index == 0) {
		if (why[0])
			log_warning("relay", "%s", why);
		log_notice("relay", "engine: %s", ring_engine_name(ring_engine(w->ring)));
	}
	pthread_barrier_wait(&opened);
	pthread_barrier_wait(&sealed);
	if (open_error)
		return NULL;
	error = worker_run(w);
	if (error < 0) {
		log_error("relay", "worker %u stopped: %s", w->index, strerror(-error));
		kill(getpid(), SIGTERM);
	}
	return NULL;
}

static void log_status(struct relay *r)
{
	struct relay_totals t = relay_totals(r);
	char refused[1024] = "";
	size_t n = 0;

	for (unsigned code = 0; code < REASON_MAX; code++)
		if (t.refused[code] > 0 && n < sizeof refused)
			n += (size_t)snprintf(refused + n, sizeof refused - n, " refused_%s=%llu",
					      reason_name(code),
					      (unsigned long long)t.refused[code]);
	log_notice("status",
		   "links=%zu legs=%zu sessions=%llu sessions_total=%llu connections=%llu "
		   "accepted_total=%llu bytes_total=%llu%s",
		   t.tables.links, t.tables.legs, (unsigned long long)t.sessions,
		   (unsigned long long)t.sessions_total, (unsigned long long)t.connections,
		   (unsigned long long)t.accepted, (unsigned long long)t.bytes, refused);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Waits until the sessions are over, the time is up, or a second signal comes. */
static void drain(struct relay *r, const sigset_t *signals)
{
	const struct timespec pause = {.tv_nsec = DRAIN_POLL_MS * 1000000L};
	uint64_t deadline = now_ms() + r->config->drain_ms;

	notify_stopping();
	r->draining = true;
	log_notice("relay", "draining: new work is refused, %llu sessions may finish within %llu s",
		   (unsigned long long)relay_totals(r).sessions,
		   (unsigned long long)(r->config->drain_ms / 1000));
	for (unsigned i = 0; i < r->worker_count; i++)
		tell_drain(&r->workers[i]);
	while (now_ms() < deadline) {
		int signal = sigtimedwait(signals, NULL, &pause);

		if (signal == SIGTERM || signal == SIGINT) {
			log_notice("relay", "stopping at once");
			break;
		}
		if (signal == SIGUSR1)
			log_status(r);
		if (relay_totals(r).sessions == 0)
			break;
	}
	/* The last words of links and legs are short; give them a moment to leave. */
	nanosleep(&pause, NULL);
}

static void serve(struct relay *r, const sigset_t *signals)
{
	for (;;) {
		int signal = sigwaitinfo(signals, NULL);

		if (signal == SIGTERM || signal == SIGINT)
			break;
		if (signal == SIGUSR1)
			log_status(r);
	}
	drain(r, signals);
	log_status(r);
}

static void log_listeners(const struct relay_config *c)
{
	const struct relay_listen *listens = c->listen.items;

	for (size_t i = 0; i < c->listen.count; i++) {
		char text[ADDR_TEXT_BYTES];

		addr_format(&listens[i].address, text);
		log_notice("relay", "listening address=%s%s", text,
			   listens[i].proxy_protocol ? " proxy_protocol=on" : "");
	}
}

/* One line says what holds; one more for each part that does not. */
static void log_isolation(const struct isolation_report *report)
{
	char holds[256] = "";
	size_t n = 0;

	for (unsigned i = 0; i < ISOLATION_PARTS; i++) {
		const char *name = isolation_part_name((enum isolation_part)i);

		if (report->parts[i].holds)
			n += (size_t)snprintf(holds + n, sizeof holds - n, " %s", name);
		else
			log_warning("isolation", "%s does not hold: %s", name,
				    report->parts[i].why);
	}
	log_notice("isolation", "this relay cannot dial out; enforced by:%s", holds);
}

static int run(struct relay *r, const sigset_t *signals, struct isolation_report *report)
{
	pthread_barrier_init(&opened, NULL, r->worker_count + 1);
	pthread_barrier_init(&sealed, NULL, r->worker_count + 1);
	for (unsigned i = 0; i < r->worker_count; i++)
		if (pthread_create(&r->workers[i].thread, NULL, worker_main, &r->workers[i]) != 0)
			die("cannot start a thread: %s", strerror(errno));
	pthread_barrier_wait(&opened);
	if (!open_error) {
		isolation_seal(0, ring_engine(r->workers[0].ring), report);
		log_isolation(report);
	}
	pthread_barrier_wait(&sealed);
	if (!open_error) {
		log_listeners(r->config);
		notify_ready();
		serve(r, signals);
	}
	for (unsigned i = 0; i < r->worker_count; i++) {
		if (!open_error)
			ring_stop(r->workers[i].ring);
		pthread_join(r->workers[i].thread, NULL);
	}
	return open_error ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void block_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGUSR1);
	sigaddset(signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static unsigned thread_count(const struct relay_config *c)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = c->threads > 0 ? (unsigned)c->threads : (unsigned)(cores > 0 ? cores : 1);

	return n < RELAY_WORKERS_MAX ? n : RELAY_WORKERS_MAX;
}

static bool load(const struct options *options, struct relay_config *config)
{
	struct conf_errors errors = {0};
	bool ok = relay_config_load(options->config, config, &errors);

	if (!ok)
		fputs(errors.text ? errors.text : "", stderr);
	conf_errors_free(&errors);
	if (options->engine >= 0)
		config->engine = options->engine;
	if (options->log_level >= 0)
		config->log_level = options->log_level;
	return ok;
}

/* Beyond the schema: do the certificate, the key and the CA belong together? */
static int check(const struct options *options, const struct relay_config *config)
{
	char why[512];
	struct identity *id = identity_new(config->identity.ca, config->identity.certificate,
					   config->identity.key, why, sizeof why);

	if (!id) {
		fprintf(stderr, "%s: %s\n", options->config, why);
		return EXIT_FAILURE;
	}
	identity_free(id);
	printf("%s: ok\n", options->config);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static const struct options_about about = {
		.program = "postern-relayd",
		.summary = "The relay: agents dial in and meet here; it never dials out.",
	};
	static struct relay_config config;
	static struct relay relay;
	struct isolation_report report;
	struct options options;
	sigset_t signals;
	char why[512];
	int status = options_parse(argc, argv, &about, &options);

	if (status != OPTIONS_RUN)
		return status;
	log_open("postern-relayd", LOG_LEVEL_NOTICE);
	if (!load(&options, &config))
		return EXIT_FAILURE;
	if (options.check) {
		status = check(&options, &config);
		relay_config_free(&config);
		return status;
	}
	log_set_level((enum log_level)config.log_level);
	block_signals(&signals);
	if (isolation_begin(&report) < 0)
		die("cannot give up privileges: %s", strerror(errno));
	if (notify_open() < 0)
		log_warning("relay", "cannot reach the service manager's notification socket");
	if (relay_init(&relay, &config, thread_count(&config), why, sizeof why) < 0)
		die("%s: %s", options.config, why);
	if (config.user && isolation_switch_user(config.user) < 0)
		die("cannot switch to user %s: %s", config.user, strerror(errno));
	isolation_drop_capabilities(&report);
	isolation_landlock(0, &report);
	status = run(&relay, &signals, &report);
	relay_free(&relay);
	relay_config_free(&config);
	notify_close();
	return status;
}
