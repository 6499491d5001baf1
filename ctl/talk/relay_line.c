/* SPDX-License-Identifier: Apache-2.0 */
/* relay_line: the control channel of one relay: dial, HELLO, WELCOME, then lines both ways. */
#include "ctl/talk/relay_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/worker/connector.h"
#include "agent/relays/dial.h"
#include "core/container.h"
#include "core/engine/tag.h"
#include "core/outbox.h"
#include "core/parse/wire.h"

#define SIGN_IN_MS  10000u
#define PLAIN_BYTES 16384u /* one TLS record's */
/* Records that wait for the relay. Nothing more is read from the near side while one is under way,
 * so it is what one buffer from there makes, and the engine's own messages. */
#define OUT_MAX (64u << 10)

struct relay_line {
	struct agent *agent;
	struct ring *ring; /* its worker's */
	const struct agent_relay *relay;
	const struct relay_line_events *events;
	void *owner;
	uint8_t flags;
	struct dial *dial;
	int wire, local;
	struct tls *tls;
	struct ring_op wire_in, local_in, local_out;
	struct outbox out;  /* records on their way to the relay */
	struct timer timer; /* WELCOME's deadline, then the last call */
	uint8_t plain[PLAIN_BYTES];
	uint8_t frame[WIRE_FRAME_MAX];
	size_t frame_len;
	bool up;      /* WELCOME came */
	bool framed;  /* what comes is a frame's */
	bool leaving; /* the local side has ended: closes when all has left */
	bool over;
	char why[768];
};

static void relay_line_pull(struct relay_line *l);

/* ---- the end ---- */

static void maybe_over(struct relay_line *l)
{
	struct agent_worker *w = &l->agent->worker;
	const struct relay_line_events *events = l->events;
	void *owner = l->owner;
	char why[sizeof(l->why)];

	if (ring_op_busy(&l->wire_in) || outbox_busy(&l->out) || ring_op_busy(&l->local_in) ||
	    ring_op_busy(&l->local_out))
		return;
	ring_timer_cancel(w->ring, &l->timer);
	if (l->wire >= 0)
		ring_close_fd(w->ring, l->wire);
	ring_close_fd(w->ring, l->local);
	tls_free(l->tls);
	outbox_free(&l->out);
	memcpy(why, l->why, sizeof(why));
	free(l);
	events->over(owner, why);
	agent_worker_drop(w);
}

static void relay_line_end(struct relay_line *l, const char *why)
{
	if (l->over)
		return;
	l->over = true;
	snprintf(l->why, sizeof(l->why), "%s", why);
	if (l->dial)
		dial_cancel(l->dial);
	l->dial = NULL;
	ring_cancel(l->ring, &l->wire_in);
	outbox_close(&l->out);
	ring_cancel(l->ring, &l->local_in);
	ring_cancel(l->ring, &l->local_out);
	ring_timer_set(l->ring, &l->timer, 0); /* not from inside the call that ends it */
}

void relay_line_stop(struct relay_line *l)
{
	relay_line_end(l, "");
}

static void end_named(struct relay_line *l, const char *what)
{
	char relay[ENDPOINT_TEXT_BYTES], why[sizeof(l->why)];

	endpoint_text(&l->relay->address, relay);
	snprintf(why, sizeof(why), "%s: %.480s", relay, what);
	relay_line_end(l, why);
}

static void relay_line_timer_fired(struct timer *t, uint64_t now_ms)
{
	struct relay_line *l = container(t, struct relay_line, timer);

	if (l->over)
		maybe_over(l);
	else
		end_named(l, "the relay did not answer our sign-in in time; check that the address "
			     "is that of a relay");
}

/* ---- to the relay ---- */

static void relay_line_flush(struct relay_line *l)
{
	size_t len;
	const uint8_t *out = tls_output(l->tls, &len);

	if (l->over || outbox_busy(&l->out))
		return;
	if (len == 0) {
		if (l->leaving)
			relay_line_end(l, "");
		else if (!l->framed && !ring_op_busy(&l->local_in))
			ring_recv_pooled(l->ring, &l->local_in, l->local);
		return;
	}
	switch (outbox_put(&l->out, out, len)) {
	case OUTBOX_OK:
		tls_output_drop(l->tls, len);
		break;
	case OUTBOX_FULL:
		end_named(l, "the relay does not read what we send");
		break;
	default:
		relay_line_end(l, "out of memory");
	}
}

static void relay_line_moved(struct outbox *o, int error)
{
	struct relay_line *l = container(o, struct relay_line, out);

	if (l->over)
		maybe_over(l);
	else if (error)
		end_named(l, strerror(-error));
	else
		relay_line_flush(l);
}

static void relay_line_local_received(struct ring_op *op, int res)
{
	struct relay_line *l = container(op, struct relay_line, local_in);
	bool ok = true;

	if (res > 0) {
		ok = l->over || tls_write(l->tls, op->buf, (size_t)res) == TLS_OK;
		ring_buffer_put(l->ring, op->buf);
	}
	if (l->over) {
		maybe_over(l);
	} else if (!ok) {
		end_named(l, "a call could not be written");
	} else {
		if (res <= 0) {
			l->leaving = true;
			tls_close_write(l->tls);
		}
		relay_line_flush(l);
	}
}

/* ---- from the relay ---- */

static void relay_line_refused(struct relay_line *l, const struct wire_message *m)
{
	char text[WIRE_TEXT_MAX + 1];

	wire_bytes_copy(m->bye.text, text, sizeof(text));
	end_named(l, text[0] ? text : reason_sentence(m->bye.reason));
}

/* Whether it was WELCOME; *used is its size. Anything else but a beginning ends the line. */
static bool take_frame(struct relay_line *l, size_t *used)
{
	struct wire_message m;
	enum wire_status status = wire_decode(l->frame, l->frame_len, &m, used);

	if (status == WIRE_SHORT)
		return false;
	if (status == WIRE_UNKNOWN_EXTENSION) {
		char text[WIRE_EXTENSION_TEXT_MAX];

		wire_explain_extension(&m, "this program", text);
		end_named(l, text);
		return false;
	}
	if (status != WIRE_OK) {
		if (status == WIRE_BAD_VERSION && l->frame[0] == 'H')
			end_named(l, TAG_UNKNOWN_SENTENCE);
		else
			end_named(l, status == WIRE_BAD_VERSION
					     ? reason_sentence(REASON_VERSION)
					     : "it does not answer as a relay does; check the "
					       "address");
		return false;
	}
	if (m.type == WIRE_BYE) {
		relay_line_refused(l, &m);
		return false;
	}
	if (m.type != WIRE_WELCOME || l->up) {
		end_named(l, reason_sentence(REASON_PROTOCOL));
		return false;
	}
	l->up = true;
	l->framed = false;
	ring_timer_cancel(l->ring, &l->timer);
	l->events->up(l->owner);
	relay_line_flush(l); /* listens to the local side */
	return true;
}

/* Lines go on; what is a frame's stays. */
static void take_plain(struct relay_line *l, size_t len)
{
	uint8_t *at = l->plain, *frame;
	size_t used, lines;

	if (l->framed) {
		size_t room = sizeof(l->frame) - l->frame_len, before = l->frame_len;
		size_t take = len < room ? len : room;

		memcpy(l->frame + before, at, take);
		l->frame_len += take;
		if (!take_frame(l, &used))
			return;
		l->frame_len = 0;
		at += used - before;
		len -= used - before;
	}
	if (!(l->flags & WIRE_HELLO_CONSOLE))
		return; /* REVOKED, which follows WELCOME, and the like: for agents that stay */
	frame = memchr(at, WIRE_VERSION, len);
	lines = frame ? (size_t)(frame - at) : len;
	if (frame) {
		l->framed = true;
		l->frame_len = len - lines;
		if (l->frame_len > sizeof(l->frame))
			l->frame_len = sizeof(l->frame);
		memcpy(l->frame, frame, l->frame_len);
	}
	if (lines > 0) {
		memmove(l->plain, at, lines);
		ring_send(l->ring, &l->local_out, l->local, l->plain, lines);
	} else if (frame) {
		(void)take_frame(l, &used);
	}
}

static void relay_line_local_sent(struct ring_op *op, int res)
{
	struct relay_line *l = container(op, struct relay_line, local_out);
	size_t used;

	if (l->over) {
		maybe_over(l);
	} else if (res < 0) {
		relay_line_end(l, "");
	} else {
		if (l->framed)
			(void)take_frame(l, &used);
		relay_line_pull(l);
	}
}

/* Reads until there is something to send on, or nothing to read. */
static void relay_line_pull(struct relay_line *l)
{
	size_t n;

	while (!l->over && !ring_op_busy(&l->local_out)) {
		switch (tls_read(l->tls, l->plain, sizeof(l->plain), &n)) {
		case TLS_OK:
			take_plain(l, n);
			break;
		case TLS_AGAIN:
			if (!ring_op_busy(&l->wire_in))
				ring_recv_pooled(l->ring, &l->wire_in, l->wire);
			return;
		case TLS_FAILED:
			end_named(l, tls_error(l->tls));
			return;
		default:
			end_named(l, "the relay closed the connection");
			return;
		}
	}
}

static void relay_line_wire_received(struct ring_op *op, int res)
{
	struct relay_line *l = container(op, struct relay_line, wire_in);
	bool fed = true;

	if (res > 0) {
		fed = l->over || tls_feed(l->tls, op->buf, (size_t)res);
		ring_buffer_put(l->ring, op->buf);
	}
	if (l->over) {
		maybe_over(l);
		return;
	}
	if (res == 0)
		tls_feed_eof(l->tls);
	if (res < 0)
		end_named(l, strerror(-res));
	else if (!fed)
		relay_line_end(l, "out of memory");
	else
		relay_line_pull(l);
}

/* ---- sign-in ---- */

static bool say_hello(struct relay_line *l)
{
	uint8_t signature[WIRE_SIGNATURE_MAX];
	struct wire_message m;
	size_t len;

	if (!dial_hello(&l->agent->setup, l->tls, l->flags, signature, &m))
		return false;
	if (!tag_make(l->tls, l->agent->setup.self.tag_keys.keys[0], l->plain))
		return false;
	len = wire_encode(&m, l->plain + TAG_BYTES, sizeof(l->plain) - TAG_BYTES);
	/* The tag and HELLO are one record. */
	return len > 0 && tls_write(l->tls, l->plain, TAG_BYTES + len) == TLS_OK;
}

static void relay_line_dialled(void *owner, int fd, struct tls *tls,
			       const struct identity_peer *relay, const struct addr *reached,
			       const char *error)
{
	struct relay_line *l = owner;

	l->dial = NULL;
	if (error) {
		relay_line_end(l, error);
		return;
	}
	l->wire = l->out.fd = fd;
	l->tls = tls;
	if (!say_hello(l)) {
		end_named(l, "our sign-in could not be written; the relay must speak TLS 1.3");
		return;
	}
	ring_timer_set(l->ring, &l->timer, SIGN_IN_MS);
	relay_line_flush(l);
	relay_line_pull(l);
}

struct relay_line *relay_line_start(struct agent *a, const struct agent_relay *relay, uint8_t flags,
				    int local, const struct relay_line_events *events, void *owner)
{
	struct relay_line *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->agent = a;
	l->ring = a->worker.ring;
	l->relay = relay;
	l->flags = flags;
	l->local = local;
	l->wire = -1;
	l->events = events;
	l->owner = owner;
	l->framed = true;
	l->timer.fire = relay_line_timer_fired;
	l->wire_in.done = relay_line_wire_received;
	l->local_in.done = relay_line_local_received;
	l->local_out.done = relay_line_local_sent;
	l->out = (struct outbox){.ring = l->ring, .most = OUT_MAX, .moved = relay_line_moved};
	outbox_init(&l->out);
	l->dial = dial_start(&a->worker, &a->setup, relay, NULL, relay_line_dialled, l);
	if (!l->dial) {
		free(l);
		return NULL;
	}
	agent_worker_hold(&a->worker);
	return l;
}
