/* SPDX-License-Identifier: Apache-2.0 */
/* postern-natd: keeps port mappings alive on the gateway, and tells the truth about them. */
#include <errno.h>
#include <libgen.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/container.h"
#include "core/isolation.h"
#include "core/journal.h"
#include "core/log.h"
#include "core/notify.h"
#include "core/options.h"
#include "core/program/signals.h"
#include "core/standard.h"
#include "gen/natd_calls.h"
#include "portmap/alone.h"
#include "portmap/control.h"
#include "portmap/dry_run.h"
#include "portmap/natd.h"

/* To replace a file there. */
#define STATE_RIGHTS                                                                               \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |                              \
	 LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |                             \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE)

struct natd_program {
	struct natd natd;
	struct dry_run dry_run;
	struct natd_arguments arguments;
	struct options options;
	struct signals signals;
	struct isolation_report isolation;
};

/* ---- signals ---- */

static void natd_signalled(struct signals *s, int number)
{
	struct natd_program *p = container(s, struct natd_program, signals);

	if (number == SIGUSR1) {
		natd_log_status(&p->natd);
	} else if (number == SIGHUP) {
		natd_reload(&p->natd, &p->arguments, p->options.log_level);
	} else if (!p->natd.stopping) {
		notify_stopping();
		log_notice("portmap", "stopping: what was mapped is deleted at the gateway");
		natd_stop(&p->natd);
	}
}

static void natd_stopped(struct natd *n)
{
	ring_stop(n->ring);
}

/* ---- beginning ---- */

static void natd_isolate(struct natd_program *p)
{
	static char directory[PATH_MAX];
	static struct isolation_place places[2];
	static struct isolation_plan plan = {
		.calls = &natd_calls,
		.places = places,
		/* To take a low port for the moment in which it is proven. */
		.capabilities = UINT32_C(1) << CAP_NET_BIND_SERVICE,
		.resolves = true,
		.connects_tcp = true,
		.binds_tcp = true,
	};

	if (p->arguments.config) { /* to be read again */
		snprintf(directory, sizeof directory, "%s", p->arguments.config);
		places[plan.place_count++] = (struct isolation_place){.path = dirname(directory),
								      .rights = ISOLATION_READ};
	}
	if (p->natd.config.state_dir && !p->natd.dry_run) /* what gateways hold is noted there */
		places[plan.place_count++] = (struct isolation_place){
			.path = p->natd.config.state_dir, .rights = STATE_RIGHTS};
	isolation_drop_capabilities(&plan, &p->isolation);
	isolation_landlock(&plan, &p->isolation);
	isolation_seal(&plan, ring_engine(p->natd.ring), &p->isolation);
	for (int i = 0; i < ISOLATION_PARTS; i++)
		if (!p->isolation.parts[i].holds && i != ISOLATION_LANDLOCK_TCP &&
		    i != ISOLATION_URING)
			log_warning("isolation", "%s does not hold: %s",
				    isolation_part_name((enum isolation_part)i),
				    p->isolation.parts[i].why);
}

static int natd_open_socket(const struct natd_config *config)
{
	int fd = natd_control_listen(config->socket);

	if (fd == -EADDRINUSE)
		die("another natd runs, and listens on %s: end that one first, or have it keep "
		    "these mappings, too (map, or 'postern nat map')",
		    config->socket);
	if (fd < 0)
		log_warning("control", "%s cannot be listened on: %s; %s", config->socket,
			    strerror(-fd),
			    fd == -EEXIST
				    ? "it is no socket of natd's: take it away, or name another "
				      "with --socket"
				    : "make its directory, or name another with --socket");
	return fd;
}

static void become_user(const struct natd_config *config)
{
	int error = isolation_switch_user(config->user);

	if (error)
		die("user: cannot become %s: %s", config->user,
		    error == -ENOENT ? "there is no such user; make it, or name another"
				     : strerror(-error));
}

/* A slip in its name would be told only when an address is known, which may be never. It is no
 * error: the program may come later. */
static void look_at_hook(const char *hook)
{
	if (hook && access(hook, X_OK) != 0)
		log_warning("hook",
			    "%s cannot be run: %s; make it a program that natd's user may run",
			    hook, strerror(errno));
}

static void natd_open_ring(struct natd_program *p)
{
	struct natd *n = &p->natd;
	int engine = p->options.engine >= 0 ? p->options.engine : n->config.engine;
	const struct ring_options options = {
		.engine = (enum ring_engine)engine, .entries = 128, .small_buffers = 16};
	char why[256];
	int error = ring_open(&n->ring, &options, why, sizeof why);

	if (error)
		die("the event engine cannot be opened: %s", why[0] ? why : strerror(-error));
	if (why[0])
		log_notice("portmap", "%s", why);
}

/* The processes, keys and sockets that natd works with; a dry run makes none that others notice. */
static int natd_provide(struct natd_program *p, char *why, size_t why_size)
{
	struct natd *n = &p->natd;
	int listener = -1, error;

	if (!n->dry_run)
		listener = natd_open_socket(&n->config);
	become_user(&n->config);
	look_at_hook(n->config.hook);
	if (!n->dry_run && !natd_prepare(n, why, why_size))
		die("%s", why);
	if (!n->dry_run && !alone_take(n->config.interface, why, why_size))
		die("%s", why);
	error = n->dry_run ? natd_start_upnp(n) : 0;
	if (error)
		die("the process for UPnP cannot be started: %s", strerror(-error));
	return listener;
}

static int natd_run(struct natd_program *p)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, 0};
	struct natd *n = &p->natd;
	char why[512];
	int listener, error;

	error = signals_open(&p->signals, numbers);
	if (error)
		die("signals cannot be watched: %s", strerror(-error));
	listener = natd_provide(p, why, sizeof why);
	natd_open_ring(p);
	if (notify_open() < 0)
		log_warning("portmap", "the service manager's socket cannot be used");
	n->stopped = natd_stopped;
	error = natd_open(n, listener);
	if (error)
		die("the network cannot be watched: %s", strerror(-error));
	natd_isolate(p);

	p->signals.came = natd_signalled;
	signals_follow(&p->signals, n->ring);
	natd_start(n);
	if (n->dry_run)
		dry_run_start(&p->dry_run);
	notify_ready();
	log_notice("portmap", "ready engine=%s mappings=%zu",
		   ring_engine_name(ring_engine(n->ring)), n->engine.count);
	error = ring_run(n->ring);
	if (error)
		log_error("portmap", "the event ring failed: %s", strerror(-error));
	natd_close(n);
	ring_close(n->ring);
	signals_free(&p->signals);
	log_close();
	notify_close();
	return error || (n->dry_run && !p->dry_run.complete) ? 1 : 0;
}

/* ---- --check ---- */

static bool is_usable_directory(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	if (!S_ISDIR(st.st_mode))
		errno = ENOTDIR;
	return S_ISDIR(st.st_mode) && access(path, R_OK | W_OK | X_OK) == 0;
}

/* natd would start, but nobody could ask it anything. */
static void look_at_socket(const char *path)
{
	char text[PATH_MAX];
	const char *directory;

	snprintf(text, sizeof text, "%s", path);
	directory = dirname(text);
	if (!is_usable_directory(directory))
		log_warning("control",
			    "socket: %s: %s; make it, or name another (socket, --socket)",
			    directory, strerror(errno));
}

/* What the start needs of this host, as the user that natd becomes; what natd can start without is
 * told alone. Returns the exit status. */
static int natd_check(const struct natd_program *p)
{
	const struct natd_config *c = &p->natd.config;
	const char *what = p->arguments.config ? p->arguments.config : "the command line";

	if (c->user && !getpwnam(c->user)) {
		fprintf(stderr, "%s: user: there is no user %s; make it, or name another\n", what,
			c->user);
		return EXIT_FAILURE;
	}
	look_at_socket(c->socket);
	become_user(c);
	if (c->state_dir && !is_usable_directory(c->state_dir)) {
		fprintf(stderr,
			"%s: state_dir: %s: %s; make it a directory that only natd's user may "
			"enter\n",
			what, c->state_dir, strerror(errno));
		return EXIT_FAILURE;
	}
	look_at_hook(c->hook);
	if (c->map.count == 0)
		log_warning("portmap", "no mapping is named (map, --map): natd keeps only what "
				       "programs ask it for");
	printf("%s: ok\n", what);
	return EXIT_SUCCESS;
}

/* ---- the command line ---- */

enum {
	EXTRA_MAP,
	EXTRA_INTERFACE,
	EXTRA_GATEWAY,
	EXTRA_STUN,
	EXTRA_HOOK,
	EXTRA_SOCKET,
	EXTRA_STATE_DIR,
	EXTRA_DRY_RUN
};

static const struct options_extra extra[] = {
	[EXTRA_MAP] = {"map", "PROTOCOL:PORT[:EXTERNAL]",
		       "a mapping to keep: tcp:443, udp:443:8443, tcp:443:any"},
	[EXTRA_INTERFACE] = {"interface", "NAME", "use the gateway of this network interface"},
	[EXTRA_GATEWAY] = {"gateway", "ADDRESS",
			   "ask this gateway, in place of the default route's"},
	[EXTRA_STUN] = {"stun", "HOST:PORT", "a STUN server to ask, such as a relay"},
	[EXTRA_HOOK] = {"hook", "PROGRAM", "run this when the external address changes"},
	[EXTRA_SOCKET] = {"socket", "PATH", "the Unix socket for status and events"},
	[EXTRA_STATE_DIR] = {"state-dir", "DIRECTORY",
			     "keep the nonces of mappings, and what is mapped, there"},
	[EXTRA_DRY_RUN] = {"dry-run", NULL,
			   "tell what would be asked of whom, without asking for a mapping"},
	{.name = NULL},
};

static bool natd_take_options(struct natd_arguments *a, const struct options_given *given)
{
	switch (given->option - extra) {
	case EXTRA_MAP:
		if (a->map_count == PORTMAP_MAPPINGS_MAX)
			return false;
		a->maps[a->map_count++] = given->value;
		return true;
	case EXTRA_STUN:
		if (a->stun_count == NATD_STUN_MAX)
			return false;
		a->stun[a->stun_count++] = given->value;
		return true;
	case EXTRA_INTERFACE:
		a->interface = given->value;
		return true;
	case EXTRA_GATEWAY:
		a->gateway = given->value;
		return true;
	case EXTRA_HOOK:
		a->hook = given->value;
		return true;
	case EXTRA_SOCKET:
		a->socket = given->value;
		return true;
	case EXTRA_STATE_DIR:
		a->state_dir = given->value;
		return true;
	default:
		a->dry_run = true;
		return true;
	}
}

static bool take_all(struct natd_arguments *a, const struct options *o)
{
	*a = (struct natd_arguments){.config = o->config};
	for (size_t i = 0; i < o->given_count; i++) {
		if (natd_take_options(a, &o->given[i]))
			continue;
		fprintf(stderr, "postern-natd: --%s is given too often; %u are the most\n",
			o->given[i].option->name,
			o->given[i].option == &extra[EXTRA_MAP] ? PORTMAP_MAPPINGS_MAX
								: NATD_STUN_MAX);
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	static const struct options_about about = {
		.program = "postern-natd",
		.summary = "Keeps port mappings alive on the gateway, by PCP, NAT-PMP or UPnP.",
		.extra = extra,
	};
	static struct natd_program p;
	struct conf_errors errors = {.file = NULL};
	int status;
	bool ok;

	standard_open();
	status = options_parse(argc, argv, &about, &p.options);
	if (status != OPTIONS_RUN)
		return status;
	if (!take_all(&p.arguments, &p.options))
		return OPTIONS_STATUS_USAGE;
	log_open(about.program, LOG_LEVEL_NOTICE);
	signal(SIGPIPE, SIG_IGN); /* who reads the log may go away */
	if (!p.options.check && (status = log_never_wait(JOURNAL_SOCKET)) < 0)
		log_warning("log", "the journal takes lines by standard error alone: %s",
			    strerror(-status));
	if (isolation_begin(&p.isolation) < 0)
		die("isolation cannot begin: %s", strerror(errno));
	ok = natd_config_load(&p.arguments, &p.natd.config, &errors);
	if (!ok)
		fputs(errors.text ? errors.text : "", stderr);
	conf_errors_free(&errors);
	if (!ok)
		return p.arguments.config ? EXIT_FAILURE : OPTIONS_STATUS_USAGE;
	if (p.options.check) {
		status = natd_check(&p);
		natd_config_free(&p.natd.config);
		return status;
	}
	if (p.options.log_level >= 0)
		p.natd.config.log_level = p.options.log_level;
	p.natd.dry_run = p.arguments.dry_run;
	p.dry_run.natd = &p.natd;
	p.dry_run.to = stdout;
	log_set_level((enum log_level)p.natd.config.log_level);
	return natd_run(&p);
}
