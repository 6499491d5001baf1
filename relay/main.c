/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postern-relayd: where two sides meet that can only dial out.
 *
 * The main thread sets up, forks the keeper, starts a worker per core, gives up every right it no
 * longer needs, and becomes the control thread (control.h). SIGTERM and SIGINT drain (twice: stop
 * at once), SIGHUP reads the configuration file again, SIGUSR1 logs status.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "core/isolation.h"
#include "core/container.h"
#include "core/journal.h"
#include "core/log.h"
#include "core/notify.h"
#include "core/options.h"
#include "relay/control/control_internal.h"
#include "relay/front/listener.h"
#include "relay/config/load.h"
#include "relay/worker.h"

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

/* " stun_udp_answered=12 ..." of all that are not 0. */
static void stun_text(const struct relay_totals *t, char *out, size_t room)
{
	size_t n = 0;

	for (unsigned way = 0; way < STUN_WAYS; way++)
		for (unsigned i = 0; i < STUN_COUNTS; i++)
			if (t->stun[way][i] > 0 && n < room)
				n += (size_t)snprintf(out + n, room - n, " stun_%s_%s=%llu",
						      stun_way_name((enum stun_way)way),
						      stun_count_name(i),
						      (unsigned long long)t->stun[way][i]);
}

static void log_status(struct relay *r)
{
	struct relay_totals t = relay_totals(r);
	char refused[1024] = "", stun[512] = "";
	size_t n = 0;

	for (unsigned code = 0; code < REASON_MAX; code++)
		if (t.refused[code] > 0 && n < sizeof refused)
			n += (size_t)snprintf(refused + n, sizeof refused - n, " refused_%s=%llu",
					      reason_name(code),
					      (unsigned long long)t.refused[code]);
	stun_text(&t, stun, sizeof stun);
	log_notice("status",
		   "links=%zu legs=%zu sessions=%llu sessions_total=%llu connections=%llu "
		   "accepted_total=%llu bytes_total=%llu%s%s",
		   t.tables.links, t.tables.legs, (unsigned long long)t.sessions,
		   (unsigned long long)t.sessions_total, (unsigned long long)t.connections,
		   (unsigned long long)t.accepted, (unsigned long long)t.bytes, stun, refused);
}

/* ---- the control thread ---- */

static void signal_came(struct control *ctl, uint32_t number)
{
	switch (number) {
	case SIGTERM:
	case SIGINT:
		if (ctl->stop_signals++ == 0) {
			control_drain(ctl, ctl->current->config.drain_ms, true);
		} else {
			log_notice("relay", "stopping at once");
			ring_stop(ctl->ring);
		}
		break;
	case SIGHUP:
		control_reload(ctl);
		break;
	default:
		log_status(ctl->relay);
		break;
	}
}

static void signals_ready(struct ring_op *op, int res)
{
	struct control *ctl = container(op, struct control, signal_op);
	struct signalfd_siginfo info;

	if (res < 0)
		return;
	while (read(ctl->signal_fd, &info, sizeof info) == sizeof info)
		signal_came(ctl, info.ssi_signo);
	ring_poll(ctl->ring, op, ctl->signal_fd, POLLIN);
}

/* The socket is made while files may still be made. -1 and a sentence where it cannot be. */
static int open_local_socket(const struct relay_config *config)
{
	const char *path = config->control.socket;
	int fd;

	if (!path)
		return -1;
	fd = callers_listen(path);
	if (fd < 0)
		die("control.socket: cannot listen on %s: %s", path, strerror(-fd));
	return fd;
}

static int open_metrics(const struct relay_config *config)
{
	const struct addr *address = &config->metrics.listen;
	int fd;

	if (address->len == 0)
		return -1;
	fd = listener_bind(address);
	if (fd < 0)
		die("metrics.listen: cannot listen: %s", strerror(-fd));
	return fd;
}

static void control_begin(struct control *ctl, struct relay *r, struct snapshot *snap,
			  struct keeper *keeper, const sigset_t *signals,
			  const struct loaded *loaded)
{
	const struct ring_options options = {.engine = RING_EPOLL, .small_buffers = 64};
	char why[256];
	int error = ring_open(&ctl->ring, &options, why, sizeof why);

	if (error < 0)
		die("cannot open the control thread's ring: %s", strerror(-error));
	ctl->relay = r;
	ctl->keeper = keeper;
	ctl->current = snap;
	ctl->trial.fire = control_trial_over;
	ctl->expiry_timer.fire = control_expiry_look;
	ctl->expiry = (struct expiry)EXPIRY_UNTOLD;
	ring_timer_set(ctl->ring, &ctl->expiry_timer, 0);
	ctl->changes = changes_new(relay_config_fields(), loaded->document, time(NULL));
	ctl->file = json_incref(loaded->file);
	ctl->state_dir = snap->config.state_dir ? strdup(snap->config.state_dir) : NULL;
	ctl->signal_fd = signalfd(-1, signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (!ctl->changes || ctl->signal_fd < 0 || (snap->config.state_dir && !ctl->state_dir))
		die("cannot set up the control thread: %s", strerror(errno));
	control_init(ctl);
	r->control = ctl;
	pacer_start(&r->pacer, ctl->ring);
	ctl->signal_op.done = signals_ready;
	ring_poll(ctl->ring, &ctl->signal_op, ctl->signal_fd, POLLIN);

	int local = open_local_socket(&snap->config);
	int metrics = open_metrics(&snap->config);
	if (metrics >= 0 && metrics_start(ctl, metrics) < 0)
		die("out of memory");
	if (local >= 0)
		local_start(ctl, local);
}

static void control_end(struct control *ctl)
{
	ring_close(ctl->ring);
	local_stop(ctl);
	metrics_stop(ctl);
	nat_free(&ctl->nat);
	records_free(&ctl->events);
	records_free(&ctl->audits);
	changes_free(ctl->changes);
	json_decref(ctl->file);
	free(ctl->state_dir);
	snapshot_release(ctl->current);
	close(ctl->signal_fd);
	keeper_stop(ctl->keeper);
}

static void log_doors(const struct doors *d)
{
	for (size_t i = 0; i < d->count; i++) {
		char text[ADDR_TEXT_BYTES];

		addr_format(&d->items[i].address, text);
		log_notice("relay", "listening address=%s%s%s", text,
			   d->items[i].kind == DOOR_UDP	   ? " udp=stun"
			   : d->items[i].kind == DOOR_STUN ? " tcp=stun"
							   : "",
			   d->items[i].proxy_protocol ? " proxy_protocol=on" : "");
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

static int run(struct control *ctl)
{
	struct relay *r = ctl->relay;

	pthread_barrier_init(&opened, NULL, r->worker_count + 1);
	pthread_barrier_init(&sealed, NULL, r->worker_count + 1);
	for (unsigned i = 0; i < r->worker_count; i++)
		if (pthread_create(&r->workers[i].thread, NULL, worker_main, &r->workers[i]) != 0)
			die("cannot start a thread: %s", strerror(errno));
	pthread_barrier_wait(&opened);
	if (!open_error) {
		isolation_seal(0, ring_engine(r->workers[0].ring), &r->isolation);
		log_isolation(&r->isolation);
	}
	pthread_barrier_wait(&sealed);
	if (!open_error) {
		log_doors(&ctl->current->doors);
		notify_ready();
		int error = ring_run(ctl->ring);
		if (error < 0)
			log_error("control", "the control thread stopped: %s", strerror(-error));
		log_status(r);
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

static bool load(const struct options *options, struct relay_config *config, struct loaded *loaded)
{
	struct conf_errors errors = {0};
	bool ok = load_config(options->config, config, loaded, &errors);

	if (!ok || errors.count > 0)
		fputs(errors.text ? errors.text : "", stderr);
	load_log(LOG_LEVEL_WARNING, errors.warnings.text);
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
	static struct relay relay;
	static struct control control;
	struct relay_config config;
	struct keeper keeper;
	struct options options;
	sigset_t signals;
	struct loaded loaded;
	char why[512];
	int status = options_parse(argc, argv, &about, &options);

	if (status != OPTIONS_RUN)
		return status;
	log_open("postern-relayd", LOG_LEVEL_NOTICE);
	if (!load(&options, &config, &loaded))
		return EXIT_FAILURE;
	if (options.check) {
		status = check(&options, &config);
		loaded_free(&loaded);
		relay_config_free(&config);
		return status;
	}
	log_set_level((enum log_level)config.log_level);
	block_signals(&signals);
	if (isolation_begin(&relay.isolation) < 0)
		die("cannot give up privileges: %s", strerror(errno));
	if (notify_open() < 0)
		log_warning("relay", "cannot reach the service manager's notification socket");
	int error = journal_open(JOURNAL_SOCKET, "postern-relayd");
	if (error < 0)
		log_warning("relay", "events and audit records will not be in the journal: %s",
			    strerror(-error));
	/* Everything below the keeper's line runs with less than the keeper keeps. */
	error = keeper_start(&keeper, options.config, config.state_dir);
	if (error < 0)
		die("cannot start the keeper: %s", strerror(-error));

	struct snapshot *snap = snapshot_new(&config, 1, why, sizeof why);
	if (!snap)
		die("%s: %s", options.config, why);
	if (relay_init(&relay, snap, thread_count(&snap->config), why, sizeof why) < 0)
		die("%s: %s", options.config, why);
	control_begin(&control, &relay, snap, &keeper, &signals, &loaded);
	loaded_free(&loaded);
	if (snap->config.user && isolation_switch_user(snap->config.user) < 0)
		die("cannot switch to user %s: %s", snap->config.user, strerror(errno));
	isolation_drop_capabilities(0, &relay.isolation);
	error = nat_open(&control.nat, snap->config.nat.socket);
	if (error < 0)
		die("nat.socket: %s cannot be followed: %s", snap->config.nat.socket,
		    strerror(-error));
	nat_follow(&control.nat, &control);
	isolation_landlock(0, &relay.isolation);
	status = run(&control);
	control_end(&control);
	relay_free(&relay);
	journal_close();
	notify_close();
	return status;
}
