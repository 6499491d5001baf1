/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postern-relayd: where two sides meet that can only dial out.
 *
 * The main thread forks the signer, sets up, forks the keeper, starts a worker per core, gives up
 * every right it no longer needs, and becomes the control thread (relay/control/control.h). SIGTERM
 * and SIGINT drain (twice: stop at once), SIGHUP reads the configuration file again, SIGUSR1 logs
 * status.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/container.h"
#include "core/engine/tls_library.h"
#include "core/isolation.h"
#include "core/journal.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/notify.h"
#include "core/options.h"
#include "core/program/signals.h"
#include "core/standard.h"
#include "gen/relay_calls.h"
#include "relay/config/load.h"
#include "relay/control/control.h"
#include "relay/keeper/keeper.h"
#include "relay/relay.h"
#include "relay/signer/pair.h"

static const struct isolation_plan plan = {.calls = &relay_calls};
static struct isolation_report isolation;
static struct signer signer;
static struct relay relay;

/* Workers and the main thread meet here: rings are open, then isolation is sealed. */
static pthread_barrier_t opened, sealed;
static _Atomic int open_error;
static pthread_t threads[RELAY_WORKERS_MAX];

/* ---- a worker that serves no more ---- */

/* At once: its sockets take connections as long as the process lives, and answer none. The status
 * is a failure, on which what started the relay starts it again (Restart=on-failure). */
static void worker_failed(struct relay *r, unsigned worker, const char *why)
{
	log_error("relay", "worker %u: %s; the relay ends, to be started again", worker, why);
	_exit(EXIT_FAILURE);
}

static bool worker_ended(struct relay *r, unsigned worker)
{
	return pthread_tryjoin_np(threads[worker], NULL) == 0;
}

static const struct relay_watch watch = {.ended = worker_ended, .failed = worker_failed};

/* ---- the threads ---- */

static void *worker_main(void *argument)
{
	struct worker *w = argument;
	char why[512] = "";
	int error = relay_worker_open_ring(w, why, sizeof why);

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
	relay_worker_start(w);
	error = ring_run(w->ring);
	if (error < 0)
		worker_failed(w->relay, w->index, strerror(-error));
	return NULL;
}

/* ---- signals, on the control thread ---- */

struct relay_signals {
	struct signals signals;
	struct relay *relay;
	bool stopping; /* one has asked for it: the next one means at once */
};

static void relay_signal_came(struct signals *signals, int number)
{
	struct relay_signals *s = container(signals, struct relay_signals, signals);
	struct relay_control *ctl = s->relay->control;

	switch (number) {
	case SIGTERM:
	case SIGINT:
		if (!s->stopping) {
			control_drain(ctl, control_snapshot(ctl)->config.drain_ms, true);
		} else {
			log_notice("relay", "stopping at once");
			ring_stop(s->relay->control_ring);
		}
		s->stopping = true;
		break;
	case SIGHUP:
		control_reload(ctl);
		break;
	default:
		relay_log_status(s->relay);
		break;
	}
}

/* ---- the process ---- */

/* One line says what holds; one more for each part that does not. */
static void log_isolation(const struct isolation_report *report, enum ring_engine engine)
{
	char holds[256] = "";
	size_t n = 0;

	for (unsigned i = 0; i < ISOLATION_PARTS; i++) {
		const char *name = isolation_part_name((enum isolation_part)i);

		if (report->parts[i].holds && i == ISOLATION_URING && engine != RING_IO_URING)
			continue;
		if (report->parts[i].holds)
			n += (size_t)snprintf(holds + n, sizeof holds - n, " %s", name);
		else
			log_warning("isolation", "%s does not hold: %s", name,
				    report->parts[i].why);
	}
	log_notice("isolation", "this relay cannot dial out; enforced by:%s%s", holds,
		   engine == RING_IO_URING ? "" : "; io_uring is not used");
}

static int relay_run(struct relay *r)
{
	char why[128];
	int status = EXIT_SUCCESS;

	pthread_barrier_init(&opened, NULL, r->worker_count + 1);
	pthread_barrier_init(&sealed, NULL, r->worker_count + 1);
	for (unsigned i = 0; i < r->worker_count; i++)
		if (pthread_create(&threads[i], NULL, worker_main, &r->workers[i]) != 0)
			die("cannot start a thread: %s", strerror(errno));
	pthread_barrier_wait(&opened);
	if (!open_error && relay_ready(r, control_snapshot(r->control), why, sizeof why) < 0) {
		log_error("relay", "%s", why);
		open_error = -ENOMEM;
	}
	if (!open_error) {
		isolation_seal(&plan, ring_engine(r->workers[0].ring), &isolation);
		log_isolation(&isolation, ring_engine(r->workers[0].ring));
	}
	pthread_barrier_wait(&sealed);
	if (!open_error) {
		relay_log_endpoints(r, control_snapshot(r->control));
		notify_ready();
		r->watch = &watch;
		control_watch(r->control);
		int error = ring_run(r->control_ring);
		if (error < 0) {
			log_error("control", "the control thread stopped: %s", strerror(-error));
			status = EXIT_FAILURE;
		}
		relay_log_status(r);
	}
	for (unsigned i = 0; i < r->worker_count; i++) {
		if (!open_error)
			ring_stop(r->workers[i].ring);
		pthread_join(threads[i], NULL);
	}
	return open_error ? EXIT_FAILURE : status;
}

static unsigned thread_count(const struct relay_config *c)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = c->threads > 0 ? (unsigned)c->threads : (unsigned)(cores > 0 ? cores : 1);

	return n < RELAY_WORKERS_MAX ? n : RELAY_WORKERS_MAX;
}

static bool signer_has_key(void *context, const uint8_t id[SIGNING_KEY_BYTES], enum signing_use use)
{
	return signer_has(context, id, use) == 0;
}

/* What rests on a key that could not be read is told when it is missed; a directory that is not
 * there, by the keeper's start. */
static void signer_has_state(void *context, const char *state_dir)
{
	char *text;
	int error = signer_state(context, state_dir, &text);

	if (error && error != -ENOENT && error != -ENOTDIR)
		log_error("relay", "state_dir: a key that this relay has made: %s",
			  error == -EKEYREJECTED && text ? text : strerror(-error));
	memory_free(text);
}

/* Of the text that the signer gives. */
static bool relay_load_config(const struct options *options, struct relay_config *config,
			      struct configuring_start *start)
{
	struct load_source from = {.path = options->config,
				   .has_key = signer_has_key,
				   .state = signer_has_state,
				   .context = &signer};
	struct conf_errors errors = {.file = options->config};
	char *text = NULL;
	int error = signer_read(&signer, SIGNING_CONFIG, &text, &from.len);
	bool ok = error == 0;

	from.text = text;
	if (ok)
		ok = load_config(&from, config, start, &errors);
	else if (error == -EKEYREJECTED)
		conf_error(&errors, NULL, "", "%s", text);
	else
		conf_unreadable(&errors, -error);
	memory_free(text);
	if (!ok || errors.count > 0)
		fputs(errors.text ? errors.text : "", stderr);
	log_lines(LOG_LEVEL_WARNING, "config", errors.warnings.text);
	conf_errors_free(&errors);
	if (ok && options->engine >= 0)
		config->engine = options->engine;
	if (ok && options->log_level >= 0)
		config->log_level = options->log_level;
	return ok;
}

static struct pair_paths pair_paths_of(const struct relay_config *config)
{
	return (struct pair_paths){config->tls.certificate_file, config->tls.key_file};
}

/* The front door's certificate, where it is not the identity's: its text, owned by the caller, or
 * NULL. False: why has a sentence. */
static bool relay_load_pair(const struct pair_paths *paths, char **pem, char why[PAIR_WHY_BYTES])
{
	*pem = NULL;
	if (!paths->certificate)
		return true;
	if (pair_place(&signer, paths, why))
		*pem = pair_read(&signer, paths, why);
	return *pem != NULL;
}

/* Beyond the schema: do the certificates, their keys and the CA belong together? */
static int relay_check_config(const struct options *options, const struct relay_config *config)
{
	const struct pair_paths paths = pair_paths_of(config);
	char why[PAIR_WHY_BYTES], *pem = NULL;

	if (load_keys_there(config, signer_has_key, &signer, why, sizeof why) &&
	    relay_load_pair(&paths, &pem, why)) {
		memory_free(pem);
		printf("%s: ok\n", options->config);
		return EXIT_SUCCESS;
	}
	fprintf(stderr, "%s: %s\n", options->config, why);
	return EXIT_FAILURE;
}

/* The keeper opens state_dir: most often that is what is wrong. */
static _Noreturn void keeper_failed(const char *state_dir, int error)
{
	if (state_dir &&
	    (error == ENOTDIR || faccessat(AT_FDCWD, state_dir, W_OK | X_OK, AT_EACCESS) != 0))
		die("state_dir: %s: %s; make it a directory that only the relay's user may enter, "
		    "or "
		    "leave state_dir out",
		    state_dir, strerror(error));
	die("cannot start the keeper: %s", strerror(error));
}

/* Of config, which is taken over, and what lies beside it: *pem (NULL: no certificate in a file)
 * and what is known to be revoked are the caller's. */
static struct snapshot *relay_first_snapshot(const char *path, struct relay_config *config,
					     char **pem, struct signed_revocations *revoked)
{
	const struct pair_paths paths = pair_paths_of(config);
	struct snapshot_beside beside = {.signed_revocations = revoked};
	struct snapshot *snap = NULL;
	char why[PAIR_WHY_BYTES];

	if (load_keys_there(config, signer_has_key, &signer, why, sizeof why) &&
	    relay_load_pair(&paths, pem, why)) {
		load_signed_revocations(config, revoked);
		beside.front_pem = *pem;
		snap = snapshot_new(config, &beside, 1, why, sizeof why);
	}
	if (!snap)
		die("%s: %s", path, why);
	return snap;
}

/* From the first right that is given up to the last descriptor that is closed; the exit status.
 * config and start are taken over. */
static int relay_serve(const char *path, struct relay_config *config,
		       struct configuring_start *start, const struct control_overrides *overrides)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1, SIGHUP, 0};
	static struct relay_signals signals = {.signals.came = relay_signal_came, .relay = &relay};
	struct signed_revocations signed_revocations = {.count = 0};
	struct keeper keeper;
	char why[PAIR_WHY_BYTES], *pem;

	log_set_level((enum log_level)config->log_level);
	signal(SIGPIPE, SIG_IGN);
	int error = signals_open(&signals.signals, numbers);
	if (error < 0)
		die("cannot receive signals: %s", strerror(-error));
	if (notify_open() < 0)
		log_warning("relay", "cannot reach the service manager's notification socket");
	error = journal_open(JOURNAL_SOCKET, "postern-relayd");
	if (error < 0)
		log_warning("relay", "events and audit records will not be in the journal: %s",
			    strerror(-error));
	/* Everything below the keeper's line runs with less than the keeper keeps. */
	error = keeper_start(&keeper, config->state_dir);
	if (error < 0)
		keeper_failed(config->state_dir, -error);

	struct snapshot *snap = relay_first_snapshot(path, config, &pem, &signed_revocations);
	if (relay_open(&relay, snap, thread_count(&snap->config), why, sizeof why) < 0)
		die("%s: %s", path, why);
	error = relay_join_signer(&relay, &signer);
	if (error == 0)
		error = signer_seal(&signer);
	if (error < 0)
		die("cannot seal the signer: %s", strerror(-error));
	const struct control_setup setup = {
		.snap = snap,
		.keeper = &keeper,
		.signer = &signer,
		.front_pem = pem,
		.signed_revocations = &signed_revocations,
		.path = path,
		.start = start,
		.overrides = overrides,
		.isolation = &isolation,
	};
	/* Before anything is made that has a path: it is this user's, and where it may be. */
	error = isolation_switch_user(snap->config.user);
	if (error < 0)
		die("user: cannot become %s: %s", snap->config.user,
		    error == -ENOENT ? "there is no such user; make it, or name another"
				     : strerror(-error));
	if (control_open(&relay, &setup, why, sizeof why) < 0)
		die("%s", why);
	signals_follow(&signals.signals, relay.control_ring);
	configuring_start_free(start);
	isolation_drop_capabilities(&plan, &isolation);
	error = control_follow_nat(relay.control);
	if (error < 0)
		die("nat.socket: %s cannot be followed: %s", snap->config.nat.socket,
		    strerror(-error));
	isolation_landlock(&plan, &isolation);
	int status = relay_run(&relay);
	if (control_failed(relay.control))
		status = EXIT_FAILURE;
	control_close(relay.control);
	signals_free(&signals.signals);
	relay_close(&relay);
	log_close();
	journal_close();
	notify_close();
	return status;
}

int main(int argc, char **argv)
{
	char tls_library[TLS_LIBRARY_TEXT_BYTES];
	const struct options_about about = {
		.program = "postern-relayd",
		.summary = "The relay: agents dial in and meet here; it never dials out.",
		.built_with = tls_library,
	};
	struct relay_config config;
	struct options options;
	struct configuring_start start;
	int status;

	standard_open();
	tls_library_text(tls_library);
	status = options_parse(argc, argv, &about, &options);

	if (status != OPTIONS_RUN)
		return status;
	log_open("postern-relayd", LOG_LEVEL_NOTICE);
	if (!options.check && (status = log_never_wait(JOURNAL_SOCKET)) < 0)
		log_warning("log", "the journal takes lines by standard error alone: %s",
			    strerror(-status));
	if (isolation_begin(&isolation) < 0)
		die("cannot give up privileges: %s", strerror(errno));
	/* It reads the file, so that this process never has the private key. */
	int error = signer_start(&signer, options.config);
	if (error < 0) {
		struct conf_errors errors = {.file = options.config};

		conf_unreadable(&errors, -error);
		fputs(errors.text ? errors.text : "", stderr);
		conf_errors_free(&errors);
		return EXIT_FAILURE;
	}
	relay_begin(&relay);
	if (!relay_load_config(&options, &config, &start)) {
		signer_stop(&signer);
		return EXIT_FAILURE;
	}
	if (options.check) {
		status = relay_check_config(&options, &config);
		signer_stop(&signer);
		configuring_start_free(&start);
		relay_config_free(&config);
		return status;
	}
	const struct control_overrides overrides = {options.engine, options.log_level};
	return relay_serve(options.config, &config, &start, &overrides);
}
