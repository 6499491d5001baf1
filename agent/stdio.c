/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdio: one session between standard input and output and a service, for `postern connect`.
 *
 * Standard input and output may be anything: pipes, terminals, sockets, files (which epoll
 * refuses), and making them non-blocking would change them for other processes too. So two threads
 * read and write them with plain blocking calls, and the session sees one end of a socket pair.
 *
 *   stdin ──pump──► pair[1] ═══ pair[0] ──► stream ──► leg
 *   stdout ◄──pump── pair[1]
 */
#include "agent/stdio.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/session/request.h"
#include "core/conf/conf.h"
#include "core/container.h"
#include "core/log.h"
#include "core/options.h"
#include "core/parse/wire.h"
#include "core/program/signals.h"

#define PUMP_BYTES 65536u
/* Once the service has ended its direction: for how long nothing may come from standard input,
 * which need not end by itself, until the session has. A service that only takes is not cut off by
 * it as long as there is something to take. */
#define QUIET_MS 2000

/* One blocking direction. */
struct pump {
	pthread_t thread;
	int from, to;
	const struct pump *other;
	bool to_socket;		 /* at end-of-file: shut its writing down */
	_Atomic bool broken;	 /* writing failed */
	_Atomic bool waits;	 /* for what to read */
	_Atomic unsigned pieces; /* read so far */
};

struct stdio {
	struct agent agent;
	struct pump in, out;
	int pair[2];
	bool in_started, out_started;
	enum reason reason;
	struct signals signals;
};

static bool write_all(int fd, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) { /* another process made it non-blocking */
			struct pollfd p = {.fd = fd, .events = POLLOUT};

			(void)poll(&p, 1, -1);
			continue;
		}
		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Bytes, 0 at the end, or -1. */
static ssize_t read_some(int fd, uint8_t *bytes, size_t room)
{
	for (;;) {
		ssize_t n = read(fd, bytes, room);
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (n >= 0 || (errno != EINTR && errno != EAGAIN))
			return n;
		if (errno == EAGAIN)
			(void)poll(&p, 1, -1);
	}
}

/* The service has ended its direction, and everything has been written. That ends the session, as
 * it does for a shell that the service was: who started us may never end our input, nor does a
 * person at a terminal know how to. What can still be read is passed on first.
 *
 * Both directions of the socket are shut (POLLHUP) when our input ends, or the session. */
static void pump_end(const struct pump *p)
{
	const int patience = isatty(STDIN_FILENO) ? 0 : QUIET_MS;
	struct pollfd ended = {.fd = p->from};
	unsigned before;

	close(p->to);
	do {
		before = p->other->pieces;
		if (poll(&ended, 1, patience) != 0)
			break;
	} while (!p->other->waits || p->other->pieces != before);
	shutdown(p->from, SHUT_WR);
}

static void *pump_run(void *arg)
{
	struct pump *p = arg;
	uint8_t *bytes = malloc(PUMP_BYTES);
	ssize_t n = bytes ? 1 : -1;

	while (n > 0) {
		p->waits = true;
		n = read_some(p->from, bytes, PUMP_BYTES);
		p->pieces++;
		p->waits = false;
		if (n > 0 && !write_all(p->to, bytes, (size_t)n)) {
			p->broken = true;
			n = -1;
		}
	}
	free(bytes);
	if (p->to_socket)
		shutdown(p->to, SHUT_WR);
	else if (p->broken)
		shutdown(p->from, SHUT_RDWR); /* our reader is gone: the session has no purpose */
	else
		pump_end(p);
	return NULL;
}

static bool pump_start(struct pump *p, int from, int to, bool to_socket)
{
	p->from = from;
	p->to = to;
	p->to_socket = to_socket;
	return pthread_create(&p->thread, NULL, pump_run, p) == 0;
}

/* ---- the session ---- */

static void stdio_request_ended(void *owner, enum reason reason, const char *why)
{
	struct stdio *s = owner;

	s->reason = reason;
	agent_stop(&s->agent);
}

static void stdio_signalled(struct signals *g, int number)
{
	agent_stop(&container(g, struct stdio, signals)->agent);
}

static void stdio_signals_closed(struct signals *g)
{
	agent_worker_drop(&container(g, struct stdio, signals)->agent.worker);
}

static void stdio_agent_stops(struct agent *a)
{
	signals_close(&container(a, struct stdio, agent)->signals);
}

/* These end the session politely; where they cannot be watched, they end the process. */
static void stdio_watch_signals(struct stdio *s)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, 0};

	s->signals.came = stdio_signalled;
	s->signals.closed = stdio_signals_closed;
	if (signals_open(&s->signals, numbers) < 0)
		return;
	agent_worker_hold(&s->agent.worker);
	s->agent.on_stop = stdio_agent_stops;
	signals_follow(&s->signals, s->agent.worker.ring);
}

static bool start_pumps(struct stdio *s)
{
	s->in.other = &s->out;
	s->out.other = &s->in;
	s->in_started = pump_start(&s->in, STDIN_FILENO, s->pair[1], true);
	if (s->in_started)
		pthread_detach(s->in.thread); /* it may read for as long as the process lives */
	s->out_started = pump_start(&s->out, s->pair[1], STDOUT_FILENO, false);
	return s->in_started && s->out_started;
}

static int stdio_run(struct stdio *s, const char *to_agent, const char *service)
{
	const struct request_style style = {.ended = stdio_request_ended, .owner = s};
	int error;

	stdio_watch_signals(s); /* before the threads, which inherit the mask */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->pair) < 0 || !start_pumps(s)) {
		log_error("connect", "standard input and output cannot be used: %s",
			  strerror(errno));
		return 1;
	}
	s->reason = REASON_SHUTDOWN;
	request_start(&s->agent.sessions, s->pair[0], to_agent, service, "", &style);
	agent_start(&s->agent);
	error = ring_run(s->agent.worker.ring);
	if (error) {
		log_error("connect", "the event ring failed: %s", strerror(-error));
		return 1;
	}
	pthread_join(s->out.thread, NULL); /* everything has been written */
	return s->reason == REASON_OK && !s->out.broken ? 0 : 1;
}

/* A console may ask agents how they are, and use no service: the relay would refuse it, without a
 * word about the file. */
static bool may_use(const struct stdio *s, const char *config_path, const char *service)
{
	struct identity_peer self;

	if (!identity_self(s->agent.setup.self.identity, &self) || self.role != IDENTITY_CONSOLE ||
	    strncmp(service, WIRE_OWN_SERVICES, strlen(WIRE_OWN_SERVICES)) == 0)
		return true;
	log_error("connect",
		  "%s is a console's file, and consoles use no services; name an agent's "
		  "with --as",
		  config_path);
	return false;
}

int agent_stdio_run(const char *config_path, const char *target)
{
	/* The reading thread may be blocked in read(2) for as long as the process lives. */
	static struct stdio s;
	static struct agent_config config;
	char to_agent[WIRE_NAME_MAX + 1], service[WIRE_NAME_MAX + 1], why[512];
	struct conf_errors errors = {.file = config_path};
	int status;

	log_open_tool("postern");
	if (!wire_split_target(target, to_agent, service)) {
		log_error("connect", "\"%s\" is not AGENT/SERVICE", target);
		return OPTIONS_STATUS_USAGE;
	}
	if (!agent_config_load(config_path, &config, &errors)) {
		fputs(errors.text ? errors.text : "", stderr);
		conf_errors_free(&errors);
		return 1;
	}
	/* Only what went wrong, unless more is asked for: the other side's words share the
	 * terminal. */
	log_set_level(config.log_level > LOG_LEVEL_NOTICE ? (enum log_level)config.log_level
							  : LOG_LEVEL_WARNING);
	if (!agent_open(&s.agent, &config, config.engine, true, why, sizeof(why))) {
		log_error("connect", "%s", why);
		agent_config_free(&config);
		return 1;
	}
	status = may_use(&s, config_path, service) ? stdio_run(&s, to_agent, service)
						   : OPTIONS_STATUS_USAGE;
	agent_close(&s.agent);
	agent_config_free(&config);
	return status;
}
