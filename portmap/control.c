/* SPDX-License-Identifier: Apache-2.0 */
/* control: connections, methods and events. */
#include "portmap/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/container.h"
#include "core/engine/calls.h"
#include "core/engine/records.h"
#include "core/lines.h"
#include "core/log.h"
#include "portmap/report.h"

#define LINE_MAX_BYTES 65536u
#define PROBE_LOOK_MS  50u
#define PROBE_MOST_MS  25000u
#define PROBE_SPACE_MS 2000u /* whoever asks sooner gets what that one found */

struct control_conn {
	struct caller caller; /* first */
	struct control *control;
	struct lines lines;
	struct control_conn *next, *prev;
};

struct control {
	struct natd *natd;
	struct calls calls;
	struct ring_op accept_op;
	int listener;
	struct control_conn *conns;
	size_t count;
	bool stopping;
	struct records events;
	struct call *probes[CONTROL_PROBES_MAX]; /* waiting */
	struct timer probe_look;
	uint64_t probe_until_ms, probed_ms;
};

/* ---- methods ---- */

static void status_run(struct call *c)
{
	call_answer(c, report_status(c->control->natd));
}

static void look_at_probes(struct timer *t, uint64_t now_ms)
{
	struct control *ctl = container(t, struct control, probe_look);
	struct natd *n = ctl->natd;

	if (portmap_engine_probing(&n->engine) && natd_now_ms() < ctl->probe_until_ms &&
	    !ctl->stopping) {
		ring_timer_set(n->ring, &ctl->probe_look, PROBE_LOOK_MS);
		return;
	}
	for (size_t i = 0; i < CONTROL_PROBES_MAX; i++) {
		struct call *c = ctl->probes[i];

		ctl->probes[i] = NULL;
		if (c)
			call_answer(c, json_pack("{s:o, s:o, s:o}", "network", report_network(n),
						 "external", report_external(n), "protocols",
						 report_protocols(n)));
	}
}

/* What comes while a probe is under way waits for the same answers. */
static void probe_run(struct call *c)
{
	struct control *ctl = c->control;
	bool under_way = timer_pending(&ctl->probe_look);
	uint64_t now_ms = natd_now_ms();

	for (size_t i = 0; i < CONTROL_PROBES_MAX; i++) {
		if (ctl->probes[i])
			continue;
		ctl->probes[i] = c;
		if (under_way)
			return;
		if (now_ms >= ctl->probed_ms + PROBE_SPACE_MS) {
			portmap_engine_probe(&ctl->natd->engine);
			ctl->probed_ms = now_ms;
		}
		ctl->probe_until_ms = now_ms + PROBE_MOST_MS;
		ring_timer_set(ctl->natd->ring, &ctl->probe_look, PROBE_LOOK_MS);
		return;
	}
	call_fail(c, JSONRPC_BUSY, NULL, "too many probes wait for an answer; ask again later");
}

static void renew_run(struct call *c)
{
	portmap_engine_renew(&c->control->natd->engine);
	call_answer(c, json_object());
}

static void events_run(struct call *c)
{
	json_int_t after = json_integer_value(json_object_get(c->params, "after"));
	json_t *limit = json_object_get(c->params, "limit");
	json_int_t most = limit ? json_integer_value(limit) : 100;

	if (after < 0 || most < 0) {
		call_fail(c, JSONRPC_INVALID_PARAMS, NULL, "after and limit are not negative");
		return;
	}
	if (json_is_true(json_object_get(c->params, "follow")))
		c->caller->follows_events = true;
	call_answer(c,
		    json_pack("{s:o}", "events",
			      records_list(&c->control->events, (uint64_t)after, (uint64_t)most)));
}

static const struct method_param events_params[] = {
	{"after", "integer", false, "only events with a higher number"},
	{"limit", "integer", false, "the newest so many; 100 when absent"},
	{"follow", "boolean", false, "also send what comes from now on, as notifications"},
	{.name = NULL},
};

static const struct method methods[] = {
	{.name = "status",
	 .level = CALLER_READ,
	 .run = status_run,
	 .help = "what natd knows, in one object",
	 .result = "{version, engine, uptime_ms, network, external, protocols: [...], mappings: "
		   "[...], counts}"},
	{.name = "probe",
	 .level = CALLER_READ,
	 .run = probe_run,
	 .help = "asks the gateway again what it speaks, and waits for that",
	 .result = "{network, external, protocols: [...]}"},
	{.name = "renew",
	 .level = CALLER_ADMIN,
	 .run = renew_run,
	 .help = "renews every mapping now, and tries again what failed",
	 .result = "{}"},
	{.name = "events",
	 .level = CALLER_READ,
	 .run = events_run,
	 .help = "what happened: mapping, mappings, protocol, external, network, verdict",
	 .params = events_params,
	 .result = "{events: [{number, at, kind, ...}]}; notifications \"event\" when following"},
	{.name = NULL},
};

static const struct method *const tables[] = {methods, methods_schema, NULL};

/* ---- events ---- */

/* Takes data over. */
static void event(struct control *ctl, const char *kind, json_t *data)
{
	struct timespec now;

	if (!data)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	json_object_set_new(data, "kind", json_string(kind));
	records_add(&ctl->events, data, now);
	for (struct caller *c = ctl->calls.callers; c; c = c->next)
		if (c->follows_events)
			caller_notify(c, "event", json_incref(data));
	json_decref(data);
}

void control_mapping_changed(struct control *c, const struct portmap_mapping *m,
			     enum mapping_state old)
{
	json_t *data;

	if (!c || !m->wanted || (old == m->state && !mapping_held(m)))
		return;
	data = report_mapping(m, natd_now_ms());
	json_object_set_new(data, "from", json_string(mapping_state_name(old)));
	event(c, "mapping", data);
}

void control_mappings_changed(struct control *c)
{
	if (c)
		event(c, "mappings", json_pack("{s:o}", "mappings", report_mappings(c->natd)));
}

void control_path_changed(struct control *c, enum portmap_protocol p, enum portmap_family f)
{
	if (c)
		event(c, "protocol", report_path(c->natd, p, f));
}

void control_external_changed(struct control *c, const char *now, const char *old)
{
	json_t *data;

	if (!c)
		return;
	data = json_pack("{s:s}", "address", now);
	if (old)
		json_object_set_new(data, "old", json_string(old));
	event(c, "external", data);
}

void control_network_changed(struct control *c)
{
	if (c)
		event(c, "network", report_network(c->natd));
}

void control_verdict_changed(struct control *c)
{
	if (c)
		event(c, "verdict", report_external(c->natd));
}

/* ---- connections ---- */

static void conn_line(struct lines *l, const char *line, size_t len)
{
	struct control_conn *c = container(l, struct control_conn, lines);

	calls_line(&c->control->calls, &c->caller, line, len);
}

static void conn_ended(struct lines *l)
{
	struct control_conn *c = container(l, struct control_conn, lines);
	struct control *ctl = c->control;

	caller_remove(&ctl->calls, &c->caller);
	if (c->prev)
		c->prev->next = c->next;
	else
		ctl->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	ctl->count--;
	free(c);
}

static bool conn_send(struct caller *caller, char *line, size_t len)
{
	return lines_send(&container(caller, struct control_conn, caller)->lines, line, len);
}

static void refuse(struct control *ctl, int fd)
{
	size_t len = 0;
	json_t *failure = jsonrpc_failure(NULL, JSONRPC_BUSY, NULL,
					  "too many callers at once; close one of them");
	char *line = failure ? jsonrpc_line(failure, &len) : NULL;

	if (line)
		(void)!send(fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	json_decref(failure);
	free(line);
	ring_close_fd(ctl->natd->ring, fd);
}

static void admit(struct control *ctl, int fd)
{
	struct control_conn *c = ctl->count < CONTROL_CONNECTIONS_MAX ? calloc(1, sizeof *c) : NULL;
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t len = sizeof peer;

	if (!c) {
		refuse(ctl, fd);
		return;
	}
	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	c->control = ctl;
	c->caller.level = peer.uid == 0 || peer.uid == getuid() ? CALLER_ADMIN : CALLER_READ;
	c->caller.send = conn_send;
	snprintf(c->caller.who, sizeof c->caller.who, "uid:%u", (unsigned)peer.uid);
	c->lines = (struct lines){.ring = ctl->natd->ring,
				  .fd = fd,
				  .line_max = LINE_MAX_BYTES,
				  .output_max = CALLER_OUTPUT_MAX,
				  .line = conn_line,
				  .ended = conn_ended};
	c->next = ctl->conns;
	if (c->next)
		c->next->prev = c;
	ctl->conns = c;
	ctl->count++;
	caller_add(&ctl->calls, &c->caller);
	lines_start(&c->lines);
}

static void accepted(struct ring_op *op, int res)
{
	struct control *ctl = container(op, struct control, accept_op);

	if (res >= 0 && ctl->stopping)
		ring_close_fd(ctl->natd->ring, res);
	else if (res >= 0)
		admit(ctl, res);
	else if (res != -ECANCELED)
		log_error("control", "the control socket fails: %s", strerror(-res));
}

/* ---- life ---- */

static bool somebody_listens(const struct sockaddr_un *at, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool heard = fd >= 0 && connect(fd, (const struct sockaddr *)at, len) == 0;

	if (fd >= 0)
		close(fd);
	return heard;
}

/* Everybody may connect: see the head of control.h. */
static int bind_and_listen(int fd, const struct sockaddr_un *at, socklen_t len)
{
	if (bind(fd, (const struct sockaddr *)at, len) < 0 || chmod(at->sun_path, 0666) < 0 ||
	    listen(fd, 16) < 0)
		return -errno;
	return 0;
}

int control_listen(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	socklen_t len = sizeof at;
	int fd, error;

	if (strlen(path) >= sizeof at.sun_path)
		return -ENAMETOOLONG;
	strcpy(at.sun_path, path);
	if (somebody_listens(&at, len))
		return -EADDRINUSE;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	error = bind_and_listen(fd, &at, len);
	if (!error)
		return fd;
	close(fd);
	return error;
}

struct control *control_new(struct natd *n, int listener)
{
	struct control *ctl = calloc(1, sizeof *ctl);

	if (!ctl)
		return NULL;
	ctl->natd = n;
	ctl->listener = listener;
	ctl->calls = (struct calls){.tables = tables,
				    .control = ctl,
				    .admin_remedy = "ask as root, or as natd's own user"};
	ctl->probe_look.fire = look_at_probes;
	ctl->accept_op.done = accepted;
	ring_accept(n->ring, &ctl->accept_op, listener);
	return ctl;
}

bool control_stop(struct control *ctl)
{
	if (!ctl)
		return true;
	if (!ctl->stopping) {
		ctl->stopping = true;
		if (timer_pending(&ctl->probe_look))
			ring_timer_set(ctl->natd->ring, &ctl->probe_look, 0);
		ring_cancel(ctl->natd->ring, &ctl->accept_op);
		for (struct control_conn *c = ctl->conns; c; c = c->next)
			lines_close(&c->lines);
	}
	return !ctl->conns && !ring_op_busy(&ctl->accept_op) && !timer_pending(&ctl->probe_look);
}

void control_free(struct control *ctl)
{
	if (!ctl)
		return;
	close(ctl->listener);
	records_free(&ctl->events);
	free(ctl);
}
