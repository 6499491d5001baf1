/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local: calls over a Unix socket, from people and programs on the relay's own host.
 *
 * Who may do what goes by the peer's credentials (SO_PEERCRED): root, the relay's own user and
 * control.admin may change things, control.read may look, nobody else is let in.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/container.h"
#include "core/lines.h"
#include "core/log.h"
#include "relay/control_internal.h"

#define LOCAL_CONNECTIONS_MAX 64u

struct local {
	struct control *control;
	struct ring_op accept_op;
	int listener;
	struct local_conn *conns;
	size_t count;
};

struct local_conn {
	struct caller caller;
	struct lines lines;
	struct local *local;
	struct local_conn *next, *prev;
};

static void conn_line(struct lines *lines, const char *line, size_t len)
{
	struct local_conn *c = container(lines, struct local_conn, lines);

	control_line(c->local->control, &c->caller, line, len);
}

static bool conn_send(struct caller *caller, char *line, size_t len)
{
	return lines_send(&container(caller, struct local_conn, caller)->lines, line, len);
}

static void conn_ended(struct lines *lines)
{
	struct local_conn *c = container(lines, struct local_conn, lines);
	struct local *l = c->local;

	control_caller_remove(l->control, &c->caller);
	if (c->prev)
		c->prev->next = c->next;
	else
		l->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	l->count--;
	free(c);
}

/* ---- who is it ---- */

static bool listed(const struct conf_array *uids, uid_t uid)
{
	const uint64_t *list = uids->items;

	for (size_t i = 0; i < uids->count; i++)
		if (list[i] == uid)
			return true;
	return false;
}

static bool level_of(const struct relay_config *config, uid_t uid, enum caller_level *level)
{
	if (uid == 0 || uid == getuid() || listed(&config->control.admin, uid))
		*level = CALLER_ADMIN;
	else if (listed(&config->control.read, uid))
		*level = CALLER_READ;
	else
		return false;
	return true;
}

/* Says why in one line, and hangs up. */
static void local_refuse(struct local *l, int fd, enum jsonrpc_error code, const char *why)
{
	size_t len = 0;
	json_t *failure = jsonrpc_failure(NULL, code, NULL, "%s", why);
	char *line = failure ? jsonrpc_line(failure, &len) : NULL;

	json_decref(failure);
	if (line) {
		ssize_t n = send(fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)n;
	}
	free(line);
	ring_close_fd(l->control->ring, fd);
}

static void local_admit(struct local *l, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	enum caller_level level;
	struct local_conn *c;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    !level_of(&l->control->current->config, peer.uid, &level)) {
		local_refuse(l, fd, JSONRPC_FORBIDDEN,
			     "this user may not use the relay's socket; see control.admin and "
			     "control.read in its configuration");
		return;
	}
	c = l->count < LOCAL_CONNECTIONS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		local_refuse(l, fd, JSONRPC_BUSY, "too many callers at once; close one of them");
		return;
	}
	c->local = l;
	c->lines = (struct lines){
		.ring = l->control->ring,
		.fd = fd,
		.line_max = JSONRPC_LINE_MAX,
		.output_max = CALLER_OUTPUT_MAX,
		.line = conn_line,
		.ended = conn_ended,
	};
	c->caller.level = level;
	c->caller.send = conn_send;
	snprintf(c->caller.who, sizeof(c->caller.who), "uid:%u", (unsigned)peer.uid);
	c->next = l->conns;
	if (c->next)
		c->next->prev = c;
	l->conns = c;
	l->count++;
	control_caller_add(l->control, &c->caller);
	lines_start(&c->lines);
}

static void local_accepted(struct ring_op *op, int res)
{
	struct local *l = container(op, struct local, accept_op);

	if (res >= 0)
		local_admit(l, res);
	else if (res != -ECANCELED)
		log_error("control", "the control socket fails: %s", strerror(-res));
}

int local_start(struct control *ctl, int listener)
{
	struct local *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->control = ctl;
	l->listener = listener;
	l->accept_op.done = local_accepted;
	ctl->local = l;
	ring_accept(ctl->ring, &l->accept_op, listener);
	return 0;
}

void local_stop(struct control *ctl)
{
	struct local *l = ctl->local;

	if (!l)
		return;
	while (l->conns) {
		struct local_conn *c = l->conns;

		l->conns = c->next;
		lines_free(&c->lines);
		free(c);
	}
	close(l->listener);
	free(l);
	ctl->local = NULL;
}
