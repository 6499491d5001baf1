/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console: calls over the relay's own port, from whoever holds a console certificate.
 *
 * The connection lives on its worker like any other; its lines travel to the control thread, whose
 * answers travel back. On the control side a console is a caller that names its connection by id,
 * so either side may go first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "relay/front/conn.h"
#include "relay/control/control.h"

#define CONSOLES_MAX 64u

struct console_caller {
	struct caller caller; /* first */
	struct relay *relay;
	slab_id conn;
	struct console_caller *next;
};

/* The control thread's list of them. */
static struct console_caller *consoles;
static size_t console_count;

struct console_msg {
	struct ring_msg msg; /* first: the ring hands this back */
	struct relay *relay;
	slab_id conn;
	struct addr peer, local;
	char name[64];
	size_t len;
	char *line; /* owned */
};

static struct console_msg *console_msg(struct relay *r, slab_id conn,
				       void (*run)(struct ring_msg *msg))
{
	struct console_msg *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	m->relay = r;
	m->conn = conn;
	m->msg.run = run;
	return m;
}

/* ---- on the control thread ---- */

static void out_run(struct ring_msg *msg)
{
	struct console_msg *m = (struct console_msg *)msg;
	struct conn *c = conn_find(worker_of(m->relay, m->conn), m->conn);

	if (c)
		conn_send_plain(c, m->line, m->len);
	free(m->line);
	free(m);
}

static bool console_send(struct caller *caller, char *line, size_t len)
{
	struct console_caller *cc = (struct console_caller *)caller;
	struct console_msg *m = console_msg(cc->relay, cc->conn, out_run);

	if (!m) {
		free(line);
		return false;
	}
	m->line = line;
	m->len = len;
	ring_post(worker_of(cc->relay, cc->conn)->ring, &m->msg);
	return true;
}

static struct console_caller *console_find(slab_id conn)
{
	for (struct console_caller *c = consoles; c; c = c->next)
		if (c->conn == conn)
			return c;
	return NULL;
}

static void up_run(struct ring_msg *msg)
{
	struct console_msg *m = (struct console_msg *)msg;
	struct console_caller *c = console_count < CONSOLES_MAX ? calloc(1, sizeof *c) : NULL;

	if (c) {
		c->caller.level = CALLER_ADMIN;
		c->caller.send = console_send;
		c->caller.address = m->peer;
		c->caller.listener = m->local;
		snprintf(c->caller.who, sizeof c->caller.who, "console:%s", m->name);
		snprintf(c->caller.ca_name, sizeof c->caller.ca_name, "%s", m->name);
		c->relay = m->relay;
		c->conn = m->conn;
		c->next = consoles;
		consoles = c;
		console_count++;
		control_caller_add(m->relay->control, &c->caller);
	}
	free(m);
}

static void line_run(struct ring_msg *msg)
{
	struct console_msg *m = (struct console_msg *)msg;
	struct console_caller *c = console_find(m->conn);

	if (c)
		control_line(m->relay->control, &c->caller, m->line, m->len);
	free(m->line);
	free(m);
}

static void down_run(struct ring_msg *msg)
{
	struct console_msg *m = (struct console_msg *)msg;
	struct console_caller **at = &consoles;

	while (*at && (*at)->conn != m->conn)
		at = &(*at)->next;
	if (*at) {
		struct console_caller *c = *at;

		*at = c->next;
		console_count--;
		control_caller_remove(m->relay->control, &c->caller);
		free(c);
	}
	free(m);
}

/* ---- on the worker ---- */

static void console_tell(struct conn *c, struct console_msg *m)
{
	if (m)
		ring_post(control_ring(c->worker->relay->control), &m->msg);
	else
		conn_close(c, REASON_LIMIT_MEMORY);
}

void console_begin(struct conn *c, const char *name)
{
	struct relay *r = c->worker->relay;
	struct console_msg *m = console_msg(r, c->id, up_run);

	conn_set_phase(c, CONN_CONSOLE);
	conn_set_deadline(c, CONSOLE_IDLE_MS);
	conn_authenticated(c);
	c->is_console = true;
	if (!conn_set_label(c, name)) {
		free(m);
		m = NULL;
	}
	if (m) {
		m->peer = c->peer;
		m->local = c->local;
		snprintf(m->name, sizeof m->name, "%s", name);
	}
	console_tell(c, m);
}

void console_closed(struct conn *c)
{
	struct relay *r = c->worker->relay;

	if (!c->is_console)
		return;
	c->is_console = false;
	struct console_msg *m = console_msg(r, c->id, down_run);
	if (m) /* without memory the caller stays, and finds nobody */
		ring_post(control_ring(r->control), &m->msg);
}

/* Sends each whole line on. False when the connection has ended over it. */
static bool console_lines(struct conn *c)
{
	char *end;

	while (c->in_len > c->scanned &&
	       (end = memchr(c->in + c->scanned, '\n', c->in_len - c->scanned))) {
		size_t len = (size_t)(end - (char *)c->in);
		struct console_msg *m = console_msg(c->worker->relay, c->id, line_run);

		if (m && len > 0) {
			m->line = malloc(len);
			if (m->line)
				memcpy(m->line, c->in, len);
			m->len = m->line ? len : 0;
			console_tell(c, m);
		} else {
			free(m);
		}
		conn_drop_kept(c, len + 1);
		c->scanned = 0;
		if (c->phase != CONN_CONSOLE)
			return false;
	}
	c->scanned = c->in_len; /* a long line is looked through once */
	return true;
}

void console_input(struct conn *c, const uint8_t *data, size_t len)
{
	if (!conn_feed(c, data, len))
		return;
	conn_set_deadline(c, CONSOLE_IDLE_MS);
	while (console_lines(c) && conn_decrypt(c, JSONRPC_LINE_MAX, REASON_PROTOCOL))
		;
}
