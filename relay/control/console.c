/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console: calls over the relay's own port, by the holder of a console certificate.
 *
 * The connection lives on its worker like any other; its lines travel to the control thread, whose
 * answers travel back. On the control side a console is a caller that names its connection by id,
 * so either side may go first.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/memory.h"
#include "relay/control/control_internal.h"
#include "relay/front/conn.h"
#include "relay/session/enforce.h"

#define CONSOLES_MAX	     64u
#define CONSOLE_POSTED_MAX   64u /* more are not read meanwhile, and none behind so many bytes */
#define CONSOLE_POSTED_BYTES JSONRPC_LINE_MAX
#define IDLE_MS		     3600000u /* a console that says nothing for so long is gone */

struct console_caller {
	struct caller caller; /* first */
	struct relay *relay;
	slab_id conn;
	struct console_msg
		*last_word; /* ends the connection when there is no memory for an answer */
	struct console_caller *next;
};

/* The state of CONSOLE. */
struct console {
	size_t scanned;		       /* bytes kept that have no line's end */
	struct credential *credential; /* owned */
	struct console_msg *down;      /* made with UP, so that its place is always given back */
	unsigned posted; /* lines on their way to the control thread; CONSOLE_POSTED_MAX at most */
	unsigned posted_bytes; /* of theirs: CONSOLE_POSTED_BYTES, and a line */
};

static const struct conn_phase phase_console;

static struct console *console_of(struct conn *c)
{
	return (struct console *)c->state;
}

struct console_msg {
	struct ring_msg msg; /* first: the ring hands this back */
	struct relay *relay;
	slab_id conn;
	struct addr peer, local;
	struct credential *credential; /* console_up_run() takes it over */
	size_t len;
	char *line;	/* owned */
	unsigned taken; /* bytes that it had, when it is on its way back */
	bool last;	/* the connection ends behind it */
};

static struct console_msg *console_msg(struct relay *r, slab_id conn,
				       void (*run)(struct ring_msg *msg))
{
	struct console_msg *m = memory_zeroed(sizeof *m);

	if (!m)
		return NULL;
	m->relay = r;
	m->conn = conn;
	m->msg.run = run;
	return m;
}

static void console_msg_free(struct console_msg *m)
{
	memory_free(m->line);
	memory_free(m);
}

/* ---- on the control thread ---- */

static void console_out_run(struct ring_msg *msg)
{
	struct console_msg *m = (struct console_msg *)msg;
	struct conn *c = conn_find(worker_of(m->relay, m->conn), m->conn);

	if (c && m->len > 0)
		conn_send_plain(c, m->line, m->len);
	if (c && m->last)
		conn_finish(c);
	console_msg_free(m);
}

/* Says why in one line, and hangs up: a console that is not served would wait for its answers. m,
 * its own message, goes back as the answer; without memory it takes the end alone. */
static void console_refuse(struct console_msg *m, const char *why)
{
	json_t *failure = jsonrpc_failure(NULL, JSONRPC_BUSY, NULL, "%s", why);

	m->msg.run = console_out_run;
	m->last = true;
	m->line = failure ? jsonrpc_line(failure, &m->len) : NULL;
	json_decref(failure);
	ring_post(worker_of(m->relay, m->conn)->ring, &m->msg);
}

static bool console_send(struct caller *caller, char *line, size_t len)
{
	struct console_caller *cc = (struct console_caller *)caller;
	struct console_msg *m = line ? console_msg(cc->relay, cc->conn, console_out_run) : NULL;
	bool ok = m != NULL;

	if (ok) {
		m->line = line;
		m->len = len;
	} else { /* it would wait for this answer: it hears the end instead */
		memory_free(line);
		m = cc->last_word;
		cc->last_word = NULL;
	}
	if (m)
		ring_post(worker_of(cc->relay, cc->conn)->ring, &m->msg);
	return ok;
}

/* NULL without memory. */
static struct console_caller *console_caller_new(const struct console_msg *up)
{
	struct console_caller *c = memory_zeroed(sizeof *c);
	struct console_msg *last = console_msg(up->relay, up->conn, console_out_run);

	if (!c || !last) {
		memory_free(c);
		memory_free(last);
		return NULL;
	}
	last->last = true;
	c->last_word = last;
	return c;
}

static void console_caller_free(struct console_caller *c)
{
	credential_release(c->caller.credential);
	memory_free(c->last_word);
	memory_free(c);
}

static struct console_caller *console_find(const struct relay_control *ctl, slab_id conn)
{
	for (struct console_caller *c = ctl->consoles; c; c = c->next)
		if (c->conn == conn)
			return c;
	return NULL;
}

static void console_up_run(struct ring_msg *msg)
{
	struct console_msg *m = (struct console_msg *)msg;
	struct relay_control *ctl = m->relay->control;
	bool full = ctl->console_count >= CONSOLES_MAX;
	struct console_caller *c = full ? NULL : console_caller_new(m);

	if (c) {
		c->caller.level = CALLER_ADMIN;
		c->caller.send = console_send;
		c->caller.address = m->peer;
		c->caller.listener = m->local;
		snprintf(c->caller.who, sizeof c->caller.who, "console:%s",
			 m->credential->peer.name);
		c->caller.credential = m->credential;
		m->credential = NULL;
		c->relay = m->relay;
		c->conn = m->conn;
		c->next = ctl->consoles;
		ctl->consoles = c;
		ctl->console_count++;
		caller_add(&ctl->calls, &c->caller);
		console_msg_free(m);
	} else {
		credential_release(m->credential);
		m->credential = NULL;
		console_refuse(m, full ? "too many consoles at once; close one of them"
				       : "out of memory");
	}
}

static void console_taken_run(struct ring_msg *msg);

static void console_line_run(struct ring_msg *msg)
{
	struct console_msg *m = (struct console_msg *)msg;
	struct relay_control *ctl = m->relay->control;
	struct console_caller *c = console_find(ctl, m->conn);

	if (c)
		calls_line(&ctl->calls, &c->caller, m->line, m->len);
	memory_free(m->line);
	m->line = NULL;
	m->taken = (unsigned)m->len;
	m->len = 0;
	m->msg.run = console_taken_run;
	ring_post(worker_of(m->relay, m->conn)->ring, &m->msg);
}

static void console_down_run(struct ring_msg *msg)
{
	struct console_msg *m = (struct console_msg *)msg;
	struct relay_control *ctl = m->relay->control;
	struct console_caller **at = &ctl->consoles;

	while (*at && (*at)->conn != m->conn)
		at = &(*at)->next;
	if (*at) {
		struct console_caller *c = *at;

		*at = c->next;
		ctl->console_count--;
		caller_remove(&ctl->calls, &c->caller);
		console_caller_free(c);
	}
	console_msg_free(m);
}

void console_stop(struct relay_control *ctl)
{
	while (ctl->consoles) {
		struct console_caller *c = ctl->consoles;

		ctl->consoles = c->next;
		console_caller_free(c);
	}
}

/* ---- on the worker ---- */

static void console_tell(struct conn *c, struct console_msg *m)
{
	if (m)
		ring_post(c->worker->relay->control_ring, &m->msg);
	else
		conn_close(c, REASON_LIMIT_MEMORY);
}

void console_begin(struct conn *c, struct credential *credential)
{
	struct console_msg *m = console_msg(c->worker->relay, c->id, console_up_run);

	conn_set_phase(c, &phase_console);
	conn_set_deadline(c, IDLE_MS);
	console_of(c)->credential = credential_hold(credential);
	console_of(c)->down = m ? console_msg(c->worker->relay, c->id, console_down_run) : NULL;
	if (!console_of(c)->down) {
		memory_free(m);
		m = NULL;
	}
	if (m) {
		m->peer = c->peer;
		m->local = c->local;
		m->credential = credential_hold(credential);
	}
	console_tell(c, m);
}

/* A call that cannot be passed on is answered, by the connection's end at the least. */
static bool console_pass_on(struct conn *c, size_t len)
{
	static const char sorry[] =
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32005,\"message\":"
		"\"the relay is out of memory; connect and call again\"}}\n";
	struct console_msg *m = console_msg(c->worker->relay, c->id, console_line_run);

	if (m)
		m->line = memory_get(len);
	if (m && m->line) {
		memcpy(m->line, c->in, len);
		m->len = len;
		console_of(c)->posted++;
		console_of(c)->posted_bytes += (unsigned)len;
		console_tell(c, m);
		return true;
	}
	if (m)
		console_msg_free(m);
	worker_count(c->worker, REASON_LIMIT_MEMORY);
	conn_send_plain(c, sorry, sizeof sorry - 1);
	conn_finish(c);
	return false;
}

/* Sends each whole line on. False when there can be no more now. */
static bool console_lines(struct conn *c)
{
	struct console *k = console_of(c);
	char *end;

	while (c->in_len > k->scanned &&
	       (end = memchr(c->in + k->scanned, '\n', c->in_len - k->scanned))) {
		size_t len = (size_t)(end - (char *)c->in);

		c->held =
			k->posted >= CONSOLE_POSTED_MAX || k->posted_bytes >= CONSOLE_POSTED_BYTES;
		if (c->held || (len > 0 && !console_pass_on(c, len)))
			return false;
		conn_drop_kept(c, len + 1);
		k->scanned = 0;
	}
	k->scanned = c->in_len; /* a long line is looked through once */
	return true;
}

static void console_take(struct conn *c)
{
	while (console_lines(c) && conn_decrypt(c, JSONRPC_LINE_MAX, REASON_PROTOCOL))
		;
}

/* The control thread has begun with a line: there is room for another. */
static void console_taken_run(struct ring_msg *msg)
{
	struct console_msg *m = (struct console_msg *)msg;
	struct conn *c = conn_find(worker_of(m->relay, m->conn), m->conn);
	unsigned taken = m->taken;

	console_msg_free(m);
	if (!c || c->phase != &phase_console)
		return;
	console_of(c)->posted--;
	console_of(c)->posted_bytes -= taken;
	if (!c->held)
		return;
	c->held = false;
	console_take(c);
	conn_read_on(c);
}

static void console_input(struct conn *c, const uint8_t *data, size_t len)
{
	if (!conn_feed(c, data, len))
		return;
	conn_set_deadline(c, IDLE_MS);
	console_take(c);
}

static void console_leave(struct conn *c, enum reason why)
{
	struct console_msg *m = console_of(c)->down;

	console_of(c)->down = NULL;
	if (m)
		ring_post(c->worker->relay->control_ring, &m->msg);
}

static void console_dispose(struct conn *c)
{
	credential_release(console_of(c)->credential);
	memory_free(console_of(c)->down);
}

static void console_late(struct conn *c, uint64_t now_ms)
{
	conn_close(c, REASON_DEADLINE_IDLE);
}

/* Its lines are refused already: control_refuses(). */
static void console_judge(struct conn *c)
{
	enum reason reason = enforce_peer(c->worker, console_of(c)->credential);

	if (reason == REASON_OK)
		return;
	log_notice("control", "console:%s may not go on: %s: %s",
		   console_of(c)->credential->peer.name, reason_name(reason),
		   reason_sentence(reason));
	conn_refuse(c, reason);
}

static_assert(sizeof(struct console) <= CONN_STATE_BYTES, "fits into its connection");

static const struct conn_state console_state = {
	.leave = console_leave,
	.dispose = console_dispose,
};

static const struct conn_phase phase_console = {
	.name = "console",
	.state = &console_state,
	.input = console_input,
	.deadline = console_late,
	.judge = console_judge,
	.output_most = CALLER_OUTPUT_MAX,
};
