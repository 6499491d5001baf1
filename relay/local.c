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
	struct caller caller; /* first */
	struct local *local;
	struct local_conn *next, *prev;
	struct ring_op rx, tx;
	int fd;
	char *line; /* what has come of the next line */
	size_t line_len;
	char *out; /* what waits to be sent; in_flight is being sent */
	size_t out_len;
	char *in_flight;
	bool closing;
};

#define CONN_OF(op, member)                                                                        \
	((struct local_conn *)((char *)(op)-offsetof(struct local_conn, member)))

static void conn_end(struct local_conn *c)
{
	struct local *l = c->local;

	if (!c->closing) {
		c->closing = true;
		control_caller_remove(l->control, &c->caller);
		ring_cancel(l->control->ring, &c->rx);
		ring_cancel(l->control->ring, &c->tx);
	}
	if (ring_op_busy(&c->rx) || ring_op_busy(&c->tx))
		return;
	ring_close_fd(l->control->ring, c->fd);
	if (c->prev)
		c->prev->next = c->next;
	else
		l->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	l->count--;
	free(c->line);
	free(c->out);
	free(c->in_flight);
	free(c);
}

static void conn_flush(struct local_conn *c)
{
	if (c->closing || ring_op_busy(&c->tx) || c->out_len == 0)
		return;
	c->in_flight = c->out;
	ring_send(c->local->control->ring, &c->tx, c->fd, c->out, c->out_len);
	c->out = NULL;
	c->out_len = 0;
}

static void conn_sent(struct ring_op *op, int res)
{
	struct local_conn *c = CONN_OF(op, tx);

	free(c->in_flight);
	c->in_flight = NULL;
	if (c->closing || res < 0)
		conn_end(c);
	else
		conn_flush(c);
}

static bool conn_send(struct caller *caller, char *line, size_t len)
{
	struct local_conn *c = (struct local_conn *)caller;
	char *more = c->closing || c->out_len + len > CALLER_OUTPUT_MAX
			     ? NULL
			     : realloc(c->out, c->out_len + len);

	if (!more) {
		free(line);
		if (!c->closing) /* seen by the receive that is in flight */
			shutdown(c->fd, SHUT_RDWR);
		return false;
	}
	memcpy(more + c->out_len, line, len);
	free(line);
	c->out = more;
	c->out_len += len;
	conn_flush(c);
	return true;
}

/* Hands on every whole line; keeps the rest. False when a line is too long or memory is out. */
static bool conn_lines(struct local_conn *c, const char *data, size_t len)
{
	while (len > 0) {
		const char *end = memchr(data, '\n', len);
		size_t part = end ? (size_t)(end - data) : len;

		if (c->line_len + part > JSONRPC_LINE_MAX)
			return false;
		char *line = realloc(c->line, c->line_len + part + 1);
		if (!line)
			return false;
		memcpy(line + c->line_len, data, part);
		c->line = line;
		c->line_len += part;
		if (!end)
			return true;
		if (c->line_len > 0)
			control_line(c->local->control, &c->caller, c->line, c->line_len);
		free(c->line);
		c->line = NULL;
		c->line_len = 0;
		data += part + 1;
		len -= part + 1;
	}
	return true;
}

static void conn_received(struct ring_op *op, int res)
{
	struct local_conn *c = CONN_OF(op, rx);
	struct ring *ring = c->local->control->ring;

	if (res <= 0 || c->closing) {
		if (res > 0)
			ring_buffer_put(ring, op->buf);
		conn_end(c);
		return;
	}
	bool ok = conn_lines(c, (const char *)op->buf, (size_t)res);
	ring_buffer_put(ring, op->buf);
	if (ok && !c->closing)
		ring_recv_pooled(ring, &c->rx, c->fd);
	else
		conn_end(c);
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
	socklen_t len = sizeof peer;
	enum caller_level level;
	struct local_conn *c;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    !level_of(&l->control->current->config, peer.uid, &level)) {
		local_refuse(l, fd, JSONRPC_FORBIDDEN,
			     "this user may not use the relay's socket; see control.admin and "
			     "control.read in its configuration");
		return;
	}
	c = l->count < LOCAL_CONNECTIONS_MAX ? calloc(1, sizeof *c) : NULL;
	if (!c) {
		local_refuse(l, fd, JSONRPC_BUSY, "too many callers at once; close one of them");
		return;
	}
	c->local = l;
	c->fd = fd;
	c->rx.done = conn_received;
	c->tx.done = conn_sent;
	c->caller.level = level;
	c->caller.send = conn_send;
	snprintf(c->caller.who, sizeof c->caller.who, "uid:%u", (unsigned)peer.uid);
	c->next = l->conns;
	if (c->next)
		c->next->prev = c;
	l->conns = c;
	l->count++;
	control_caller_add(l->control, &c->caller);
	ring_recv_pooled(l->control->ring, &c->rx, fd);
}

static void local_accepted(struct ring_op *op, int res)
{
	struct local *l = (struct local *)((char *)op - offsetof(struct local, accept_op));

	if (res >= 0)
		local_admit(l, res);
	else if (res != -ECANCELED)
		log_error("control", "the control socket fails: %s", strerror(-res));
}

int local_start(struct control *ctl, int listener)
{
	struct local *l = calloc(1, sizeof *l);

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
	while (l->conns) { /* the ring is closed: nothing is in flight */
		struct local_conn *c = l->conns;

		l->conns = c->next;
		close(c->fd);
		free(c->line);
		free(c->out);
		free(c->in_flight);
		free(c);
	}
	close(l->listener);
	free(l);
	ctl->local = NULL;
}
