/* SPDX-License-Identifier: Apache-2.0 */
/* conn: the life of one accepted connection: its beginning, deadlines and end. */
#include "relay/front/conn_internal.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/container.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/probe.h"
#include "relay/front/charge.h"
#include "relay/front/front.h"
#include "relay/front/listener.h"

#define CLOSE_LINGER_MS 5000u  /* for the peer to read our last bytes */
#define NOTSENT_MOST	16384  /* of the kernel's memory for a peer that does not read */
#define NOTSENT_IN_BULK 262144 /* the same of a session's client that has proved nothing */

const struct alive_beat conn_beat = {60, 15, 4};

static void conn_deadline(struct timer *t, uint64_t now_ms);

/* The only place that changes the phase. */
static void conn_enter(struct conn *c, const struct conn_phase *phase, enum reason why)
{
	const struct conn_state *old = c->phase->state;

	log_debug("conn", "%s -> %s conn=%016llx", c->phase->name, phase->name,
		  (unsigned long long)c->id);
	PROBE_CONN_PHASE(c->id, c->phase->name, phase->name);
	c->phase = phase;
	if (old == phase->state)
		return;
	if (old && old->leave)
		old->leave(c, why);
	if (old && old->dispose)
		old->dispose(c);
	memset(c->state, 0, sizeof c->state);
}

void conn_set_phase(struct conn *c, const struct conn_phase *phase)
{
	conn_enter(c, phase, REASON_OK);
}

void conn_set_deadline(struct conn *c, uint64_t after_ms)
{
	ring_timer_set(conn_ring(c), &c->deadline, after_ms);
}

void conn_shorten_deadline(struct conn *c, uint64_t after_ms)
{
	if (!timer_pending(&c->deadline) ||
	    c->deadline.due_ms > ring_now_ms(conn_ring(c)) + after_ms)
		conn_set_deadline(c, after_ms);
}

struct conn *conn_find(struct worker *w, slab_id id)
{
	struct conn *c = slab_find(&w->conns, id);

	return c && c->phase != &phase_dead ? c : NULL;
}

/* ---- beginning ---- */

/* #syscalls setsockopt(1 is IPPROTO_TCP) setsockopt(1 is SOL_SOCKET) */
static void socket_tune(int fd)
{
	const int on = 1, notsent = NOTSENT_MOST;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	alive_rest(fd, &conn_beat);
	/* What a peer does not read stays in the outbox, which is charged and bounded, not in the
	 * kernel, whose memory for TCP all programs share. SO_SNDBUF would do it, too, but cannot
	 * be taken back: the kernel sizes such a buffer by itself no more.
	 * tests/platform/notsent_test.c shows that the kernel does so. */
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &notsent, sizeof notsent);
}

static struct conn *conn_new(struct worker *w, int fd)
{
	slab_id id;
	struct conn *c = slab_get(&w->conns, &id);

	if (!c)
		return NULL;
	c->worker = w;
	c->id = id;
	c->fd = fd;
	c->rx.done = conn_received;
	c->out = (struct outbox){
		.ring = w->ring, .fd = fd, .most = OUTPUT_MOST, .moved = conn_moved};
	outbox_init(&c->out);
	c->deadline.fire = conn_deadline;
	/* ENOTCONN when the peer has reset the connection before it was accepted. */
	c->peer.len = sizeof c->peer.v6;
	c->local.len = sizeof c->local.v6;
	/* #syscalls getpeername getsockname */
	if (getpeername(fd, &c->peer.sa, &c->peer.len) < 0)
		c->peer.len = 0;
	if (getsockname(fd, &c->local.sa, &c->local.len) < 0)
		c->local.len = 0;
	addr_unmap(&c->peer);
	addr_unmap(&c->local);
	return c;
}

void conn_accepted(struct relay_listener *l, int fd)
{
	struct worker *w = l->worker;
	struct conn *c = conn_new(w, fd);

	stat_add(&w->stats.accepted, 1);
	if (!c) {
		worker_count(w, REASON_LIMIT_CONNECTIONS);
		ring_close_fd(w->ring, fd);
		return;
	}
	socket_tune(fd);
	c->accepted_ms = ring_now_ms(w->ring);
	c->phase = l->proxy_protocol ? &phase_proxy : &phase_hello;
	if (!charge_enter(c)) {
		conn_close(c, REASON_LIMIT_CONNECTIONS);
		return;
	}
	conn_set_deadline(c, w->snap->config.limits.hello_ms);
	if (l->stun_only)
		stun_stream_begin(c, NULL, 0, true);
	conn_read_on(c);
}

struct conn *conn_adopt(struct worker *w, int fd, uint32_t place, struct tls *tls,
			const struct conn_phase *phase)
{
	struct conn *c = conn_new(w, fd);

	if (!c)
		return NULL;
	c->place = place;
	c->proved = true;
	c->tls = tls;
	c->phase = phase;
	return c;
}

/* The address that is accountable: behind a proxy, the one it reports. */
void conn_proxied_source(struct conn *c, const struct addr *source, const struct addr *destination)
{
	if (!source)
		return;
	c->peer = *source;
	c->local = *destination;
	addr_unmap(&c->peer);
	charge_move(c);
}

void conn_tagged(struct conn *c, size_t key)
{
	c->tag = (uint8_t)key;
}

/* ---- ending ---- */

static void conn_deadline(struct timer *t, uint64_t now_ms)
{
	struct conn *c = container(t, struct conn, deadline);

	if (c->phase->deadline)
		c->phase->deadline(c, now_ms);
	else
		conn_close(c, REASON_OK);
}

static void conn_bye_saying(struct conn *c, enum reason reason, const char *text)
{
	struct wire_message m = {.type = WIRE_BYE};

	m.bye.reason = (uint16_t)reason;
	m.bye.text = wire_text(text);
	conn_send_message(c, &m);
	conn_finish(c);
}

void conn_bye(struct conn *c, enum reason reason)
{
	conn_bye_saying(c, reason, reason_sentence(reason));
}

static void conn_refuse_saying(struct conn *c, enum reason reason, const char *text)
{
	if (c->phase == &phase_dead)
		return;
	worker_count(c->worker, reason);
	log_debug("conn", "refused reason=%s: %s", reason_name(reason), text);
	conn_bye_saying(c, reason, text);
}

void conn_refuse(struct conn *c, enum reason reason)
{
	conn_refuse_saying(c, reason, reason_sentence(reason));
}

void conn_refuse_extension(struct conn *c, const struct wire_message *m)
{
	char text[WIRE_EXTENSION_TEXT_MAX];

	wire_explain_extension(m, "this relay", text);
	conn_refuse_saying(c, REASON_EXTENSION, text);
}

/* CLOSING, and the last byte has left: half-close. Shut for reading, a listener would become an
 * unconnected socket again.
 *
 * #syscalls shutdown(1 is SHUT_WR)
 */
static void conn_shutdown_write(struct conn *c)
{
	shutdown(c->fd, SHUT_WR);
	if (c->read_done)
		conn_close(c, REASON_OK);
	else
		conn_set_deadline(c, CLOSE_LINGER_MS);
}

/* notify: its TLS says that this is the end. */
static void conn_end(struct conn *c, bool notify)
{
	if (conn_ending(c))
		return;
	conn_set_phase(c, &phase_closing);
	c->held = false;
	if (c->tls && notify)
		tls_close_write(c->tls);
	conn_set_deadline(c, CLOSE_LINGER_MS);
	conn_flush(c);
	if (c->phase == &phase_closing && !conn_sending(c))
		conn_shutdown_write(c);
	if (c->phase == &phase_closing)
		conn_read_on(c);
}

void conn_finish(struct conn *c)
{
	conn_end(c, true);
}

void conn_finish_quietly(struct conn *c)
{
	conn_end(c, false);
}

void conn_ended_by_peer(struct conn *c, int res)
{
	c->read_done = true;
	if (c->phase == &phase_closing && outbox_busy(&c->out) && res == 0)
		return; /* half-closed: let our last bytes leave */
	if (c->phase == &phase_handshake && tls_awaits_signature(c->tls) && res == 0)
		return; /* its hello is answered when the signature comes */
	if (c->phase->answers && conn_sending(c) && res == 0)
		conn_finish_quietly(c); /* asked, and closed its side: the answer is under way */
	else
		conn_close(c, c->phase->gone);
}

static void conn_schedule_reaping(struct conn *c)
{
	struct worker *w = c->worker;

	if (c->reapable || ring_op_busy(&c->rx) || outbox_busy(&c->out))
		return;
	c->reapable = true;
	c->next_reapable = w->reapable;
	w->reapable = c;
	if (!timer_pending(&w->reaper))
		ring_timer_set(w->ring, &w->reaper, 0);
}

void conn_close(struct conn *c, enum reason reason)
{
	if (c->phase != &phase_dead) {
		worker_count(c->worker, reason);
		ring_timer_cancel(conn_ring(c), &c->deadline);
		ring_cancel(conn_ring(c), &c->rx);
		outbox_close(&c->out);
		conn_enter(c, &phase_dead, reason);
	}
	conn_schedule_reaping(c);
}

int conn_release_fd(struct conn *c, uint32_t *place)
{
	const int as_the_system_has_it = 0, bounded = NOTSENT_IN_BULK;
	int fd = c->fd;

	*place = c->place;
	/* A session's bytes wait where they are: in the sender. But where many clients that are no
	 * agents stop to read in the middle of much, the kernel would hold megabytes for each. */
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, c->proved ? &as_the_system_has_it : &bounded,
		   sizeof bounded);
	c->fd = -1;
	c->place = 0;
	conn_close(c, REASON_OK);
	return fd;
}

void conn_dispose(struct conn *c)
{
	if (c->phase->state && c->phase->state->dispose)
		c->phase->state->dispose(c);
	tls_free(c->tls);
	memory_free(c->in);
	outbox_free(&c->out);
}

void conn_reap(struct worker *w)
{
	while (w->reapable) {
		struct conn *c = w->reapable;

		w->reapable = c->next_reapable;
		if (c->fd >= 0)
			worker_close_fd(w, c->fd, c->place, false);
		conn_dispose(c);
		slab_put(&w->conns, c->id);
	}
}

/* ---- the last phases ---- */

static void conn_discard(struct conn *c, const uint8_t *data, size_t len)
{
}

/* Reads only to see the end. */
const struct conn_phase phase_closing = {
	.name = "closing",
	.input = conn_discard,
	.sent = conn_shutdown_write,
};

const struct conn_phase phase_dead = {.name = "dead"};
