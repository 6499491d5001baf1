/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: TCP, and stream sockets of the host, as two queues of bytes.
 *
 * What one end sends is appended to the other's queue at once, as a segment with the time of its
 * arrival; only what has arrived can be read. The rest is in the sender's buffer or on the way, and
 * counts against the sender's room.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "tests/world/real.h"
#include "tests/world/stream_internal.h"

struct k_stream *k_listeners;
static struct k_stream *streams; /* all that live */
static size_t alive;
static uint64_t made;

size_t k_sockets_alive(void)
{
	return alive;
}

struct k_stream *stream_new(int family, struct k_host *host, bool nonblock)
{
	struct k_stream *s = k_file_new(&k_stream_kind, sizeof(*s), nonblock);

	s->family = family;
	s->uid = k_current ? k_current->uid : 0;
	s->host = host;
	s->open = true;
	s->send_buffer = SEND_BUFFER;
	s->receive_buffer = RECEIVE_BUFFER;
	s->idle_s = 7200;
	s->interval_s = 75;
	s->count = 9;
	snprintf(s->congestion, sizeof(s->congestion), "cubic");
	s->number = ++made;
	s->next = streams;
	if (streams)
		streams->prev = s;
	streams = s;
	alive++;
	return s;
}

static void listener_forget(const struct k_stream *s)
{
	struct k_stream **at = &k_listeners;

	while (*at != s)
		at = &(*at)->next_listener;
	*at = s->next_listener;
}

static void stream_free(struct k_stream *s)
{
	if (s->state == LISTENING)
		listener_forget(s);
	if (s->peer)
		s->peer->peer = NULL;
	if (s->prev)
		s->prev->next = s->next;
	else
		streams = s->next;
	if (s->next)
		s->next->prev = s->prev;
	world_free(s->data);
	world_free(s->segments);
	world_free(s->queue);
	world_free(s);
	alive--;
}

void k_stream_forget_all(void)
{
	while (streams)
		stream_free(streams);
}

static bool cut(const struct k_stream *a, const struct k_stream *b)
{
	return !is_local(a) && k_cable_pulled(a->host, b->host);
}

/* The same of a stream whose peer may be gone. */
static bool way_cut(const struct k_stream *s)
{
	return !is_local(s) && s->far && k_cable_pulled(s->host, s->far);
}

static uint64_t way_time(const struct k_stream *from, const struct k_stream *to)
{
	return is_local(from) ? 0 : k_cable_time(from->host, to->host);
}

void stream_maybe_free(struct k_stream *s)
{
	struct k_stream *p = s->peer;

	if (s->open || s->held > 0 || s->parent)
		return;
	/* A closed end stays while its last bytes, or its FIN, are under way. */
	if (p && !s->reset && !p->reset && (p->open || p->held > 0 || p->parent) &&
	    s->state == CONNECTED && !(p->fin_came && p->fin_sent))
		return;
	if (p)
		p->peer = NULL;
	s->peer = NULL;
	stream_free(s);
	if (p)
		stream_maybe_free(p);
}

void stream_later(struct k_stream *s, uint64_t at, k_event_fn *run, uint64_t argument)
{
	s->held++;
	k_at(at, run, s, argument);
}

/* ---- the end by force ---- */

static uint64_t patience_us(const struct k_stream *sender)
{
	return UINT64_C(1000) * (sender->user_timeout_ms ? sender->user_timeout_ms : GIVE_UP_MS);
}

static void reset_came(void *context, uint64_t argument);
static void kill_end(struct k_stream *s, int error);

/* What was sent to nobody is sent again: a way that is not cut leads to a host that answers with a
 * reset. */
static void orphan_again(void *context, uint64_t argument)
{
	struct k_stream *s = context;
	uint64_t last = s->orphan_since + patience_us(s), next = k_now_us + s->orphan_rto_us;

	s->held--;
	if (s->reset || s->state != CONNECTED) {
		stream_maybe_free(s);
	} else if (!way_cut(s)) {
		stream_later(s, k_now_us + 20000, reset_came, 0);
	} else if (k_now_us >= last) {
		kill_end(s, ETIMEDOUT);
		stream_maybe_free(s);
	} else {
		stream_later(s, next < last ? next : last, orphan_again, 0);
		if (s->orphan_rto_us < RTO_MAX_US)
			s->orphan_rto_us *= 2;
	}
}

/* s has sent so much to an end that is gone, and may not know it. */
static void orphan(struct k_stream *s, size_t bytes, uint64_t since)
{
	s->orphan_bytes += bytes;
	if (s->orphan_since || s->reset)
		return;
	s->orphan_since = since;
	s->orphan_rto_us = RTO_FIRST_US;
	stream_later(s, k_now_us + s->orphan_rto_us, orphan_again, 0);
}

/* What is still under way to s is lost. */
static void drop_coming(struct k_stream *s)
{
	struct k_stream *p = s->peer;

	if (p && !p->reset && !is_local(p) && p->state == CONNECTED &&
	    (s->len > s->arrived || s->fin_coming))
		orphan(p, s->len - s->arrived, s->lost_since ? s->lost_since : k_now_us);
	s->len = s->arrived;
	s->segment_count = 0;
	s->fin_coming = false;
}

/* s learns that the connection is gone. */
static void kill_end(struct k_stream *s, int error)
{
	if (s->reset)
		return;
	s->reset = true;
	s->error = error;
	drop_coming(s);
	if (s->peer)
		drop_coming(s->peer); /* what we had yet to send */
	k_touch(&s->file);
}

static void reset_came(void *context, uint64_t argument)
{
	struct k_stream *s = context;

	s->held--;
	kill_end(s, ECONNRESET);
	stream_maybe_free(s);
}

/* s, or what was s, sends a reset to its peer. Lost where the cable is pulled. */
static void stream_send_reset(struct k_stream *s)
{
	struct k_stream *p = s->peer;

	if (!p || p->reset || cut(s, p))
		return;
	uint64_t at = k_now_us + way_time(s, p);
	/* Packets keep their order on the way. */
	if (p->last_at > at)
		at = p->last_at;
	if (is_local(s))
		kill_end(p, ECONNRESET);
	else
		stream_later(p, at, reset_came, 0);
}

/* ---- arrival ---- */

static void look(void *context, uint64_t argument);

static void look_at(struct k_stream *s, uint64_t at)
{
	if (s->arriving)
		return;
	s->arriving = true;
	stream_later(s, at, look, 0);
}

static void stream_heard(struct k_stream *s)
{
	s->heard_us = k_now_us;
	s->probes = 0;
}

/* True: the way is cut; the sender tries again, or has given up. */
static bool retransmit(struct k_stream *s)
{
	struct k_stream *p = s->peer;

	if (!p || !cut(s, p)) {
		if (s->lost_since && p)
			stream_heard(p);
		s->lost_since = 0;
		s->rto_us = RTO_FIRST_US;
		return false;
	}
	if (!s->lost_since) {
		s->lost_since = k_now_us;
		s->rto_us = RTO_FIRST_US;
	}
	if (k_now_us - s->lost_since >= patience_us(p)) {
		kill_end(p, ETIMEDOUT);
		return true;
	}
	if (!s->arriving) {
		uint64_t last = s->lost_since + patience_us(p), next = k_now_us + s->rto_us;

		look_at(s, next < last ? next : last);
		s->rto_us = s->rto_us * 2 < RTO_MAX_US ? s->rto_us * 2 : RTO_MAX_US;
	}
	return true;
}

/* A closed window does not last longer than the sender's TCP_USER_TIMEOUT, if it has one. */
static void window_shut(struct k_stream *s)
{
	struct k_stream *p = s->peer;

	if (!s->shut_since)
		s->shut_since = k_now_us;
	if (!p || !p->user_timeout_ms)
		return;
	if (k_now_us - s->shut_since >= patience_us(p)) {
		kill_end(p, ETIMEDOUT);
		stream_send_reset(p);
	} else {
		look_at(s, s->shut_since + patience_us(p));
	}
}

static void arrive(struct k_stream *s)
{
	struct k_stream *p = s->peer;

	while (s->segment_count > 0) {
		struct segment *first = &s->segments[s->segment_first];
		size_t window = s->receive_buffer > s->arrived ? s->receive_buffer - s->arrived : 0;

		if (first->at > k_now_us) {
			look_at(s, first->at);
			return;
		}
		if (retransmit(s))
			return;
		if (!s->open && !s->parent) { /* it will not be read */
			drop_coming(s);
			s->reset = true;
			stream_send_reset(s);
			return;
		}
		if (window == 0) {
			window_shut(s);
			return;
		}
		s->shut_since = 0;
		size_t take = first->len < window ? first->len : window;
		s->arrived += take;
		first->len -= take;
		stream_heard(s);
		if (p)
			stream_heard(p); /* the acknowledgement */
		if (first->len == 0) {
			s->segment_first = (s->segment_first + 1) % s->segment_room;
			s->segment_count--;
		}
		k_touch(&s->file);
		if (p)
			k_touch(&p->file);
	}
	if (s->fin_coming && s->fin_at > k_now_us) {
		look_at(s, s->fin_at);
	} else if (s->fin_coming && !retransmit(s)) {
		s->fin_coming = false;
		s->fin_came = true;
		stream_heard(s);
		if (p)
			stream_heard(p);
		k_touch(&s->file);
	}
}

static void look(void *context, uint64_t argument)
{
	struct k_stream *s = context;

	s->arriving = false;
	if (!s->reset)
		arrive(s);
	if (s->peer)
		stream_maybe_free(s->peer);
	s->held--;
	stream_maybe_free(s);
}

/* ---- what was sent, as its kernel sees it ---- */

/* How often something was tried since then, at intervals that begin with RTO_FIRST_US and double;
 * up to a moment, counted from the first. */
static uint32_t tries(uint64_t first_us, uint64_t until_us)
{
	uint64_t wait = RTO_FIRST_US, at = first_us + wait;
	uint32_t n = 0;

	for (; at <= until_us; n++) {
		wait = wait * 2 < RTO_MAX_US ? wait * 2 : RTO_MAX_US;
		at += wait;
	}
	return n;
}

static bool waits_for_answer(const struct k_stream *s)
{
	const struct k_stream *p = s->peer;

	if (s->reset)
		return false;
	return s->orphan_since || (p && !p->reset && (p->len > p->arrived || p->fin_coming));
}

struct stream_sent stream_sent(struct k_stream *s)
{
	struct k_stream *p = s->peer;
	struct stream_sent sent = {0};

	if (s->orphan_since && !s->reset) { /* the peer may be gone */
		sent.unacked = 1;
		sent.retransmits = tries(s->orphan_since, k_now_us);
	} else if (!waits_for_answer(s)) {
		s->unheard_since = 0;
	} else if (p->shut_since && !p->lost_since) {
		sent.notsent = (uint32_t)(p->len - p->arrived);
		if (!cut(s, p))
			s->unheard_since = 0;
		else if (!s->unheard_since)
			s->unheard_since = k_now_us;
		if (s->unheard_since)
			sent.probes = tries(p->shut_since, k_now_us) -
				      tries(p->shut_since, s->unheard_since);
	} else {
		sent.unacked = (uint32_t)p->segment_count + p->fin_coming;
		if (p->lost_since)
			sent.retransmits = tries(p->lost_since, k_now_us);
	}
	return sent;
}

/* ---- keep-alive ---- */

static void keepalive_fired(void *context, uint64_t turn);

static void keepalive_at(struct k_stream *s, uint64_t at)
{
	s->watched = true;
	stream_later(s, at, keepalive_fired, ++s->keepalive_turn);
}

/* Where both ends have ended there is no connection to ask on. */
static bool keepalive_may(const struct k_stream *s)
{
	return s->keepalive && s->state == CONNECTED && !is_local(s) && !s->reset &&
	       !(s->fin_sent && s->fin_came && !waits_for_answer(s));
}

void stream_keepalive_start(struct k_stream *s)
{
	if (keepalive_may(s) && !s->watched)
		keepalive_at(s, k_now_us + UINT64_C(1000000) * s->idle_s);
}

void stream_keepalive_again(struct k_stream *s)
{
	uint64_t due = s->heard_us + UINT64_C(1000000) * s->idle_s;

	if (keepalive_may(s))
		keepalive_at(s, due > k_now_us ? due : k_now_us);
}

/* Linux counts probes only where there is no TCP_USER_TIMEOUT. */
static bool keepalive_gives_up(const struct k_stream *s)
{
	if (s->user_timeout_ms)
		return s->probes > 0 && k_now_us - s->heard_us >= patience_us(s);
	return s->probes >= s->count;
}

static void keepalive_fired(void *context, uint64_t turn)
{
	struct k_stream *s = context;
	struct k_stream *p = s->peer;
	uint64_t idle = UINT64_C(1000000) * s->idle_s, next;

	s->held--;
	if (turn != s->keepalive_turn) {
		stream_maybe_free(s);
		return;
	}
	s->watched = false;
	if (!s->open || !keepalive_may(s)) {
		stream_maybe_free(s);
		return;
	}
	next = s->heard_us + idle;
	if (waits_for_answer(s)) { /* nothing is asked beside it */
		next = k_now_us + idle;
	} else if (next <= k_now_us) {
		if (way_cut(s)) {
			if (keepalive_gives_up(s)) {
				kill_end(s, ETIMEDOUT);
				return;
			}
			s->probes++;
			next = k_now_us + UINT64_C(1000000) * s->interval_s;
		} else if (!p || p->reset) {
			kill_end(s, ECONNRESET);
			return;
		} else {
			stream_heard(s);
			next = k_now_us + idle;
		}
	}
	keepalive_at(s, next);
}

/* ---- reading and writing ---- */

static unsigned stream_ready(struct k_file *f)
{
	struct k_stream *s = stream_of(f);
	unsigned ready = 0;

	if (s->state == LISTENING)
		return s->queued > 0 ? POLLIN : 0;
	if (s->error)
		ready |= POLLERR;
	if (s->reset)
		return ready | POLLIN | POLLOUT | POLLHUP | POLLRDHUP;
	if (s->state == FRESH)
		return POLLOUT | POLLHUP;
	if (s->state != CONNECTED)
		return ready;
	if (s->arrived > 0 || s->fin_came)
		ready |= POLLIN;
	if (s->fin_came)
		ready |= POLLRDHUP;
	if (s->fin_came && s->fin_sent)
		ready |= POLLHUP;
	size_t under_way = s->peer ? s->peer->len - s->peer->arrived : 0;
	under_way += s->orphan_bytes;
	if (s->fin_sent || under_way < s->send_buffer * 2 / 3)
		ready |= POLLOUT;
	return ready;
}

static size_t move_less(size_t n)
{
	return n > 1 && dice_chance(&k_dice, k_faults.short_io) ? dice_size(&k_dice, n) : n;
}

/* -errno, 0 for the end, or how much can be read. */
static ssize_t readable(struct k_stream *s)
{
	int error = s->error;

	if (s->state != CONNECTED && !s->reset)
		return s->state == CONNECTING ? -EAGAIN : -ENOTCONN;
	if (s->arrived > 0)
		return (ssize_t)s->arrived;
	s->error = 0;
	if (error)
		return -error;
	return s->reset || s->fin_came ? 0 : -EAGAIN;
}

static void consume(struct k_stream *s, void *out, size_t n)
{
	if (out)
		memcpy(out, s->data + s->off, n);
	s->off += n;
	s->len -= n;
	s->arrived -= n;
	if (s->len == 0)
		s->off = 0;
	if (s->shut_since && s->segment_count > 0) {
		s->shut_since = 0;
		arrive(s);
	}
	if (s->peer)
		k_touch(&s->peer->file);
}

static ssize_t stream_recv(struct k_file *f, void *buf, size_t len, int flags)
{
	struct k_stream *s = stream_of(f);
	ssize_t n = readable(s);

	if (n <= 0)
		return n;
	size_t take = move_less((size_t)n < len ? (size_t)n : len);
	if (flags & MSG_PEEK)
		memcpy(buf, s->data + s->off, take);
	else
		consume(s, buf, take);
	return (ssize_t)take;
}

static void append(struct k_stream *to, const void *buf, size_t len, uint64_t at)
{
	if (to->off + to->len + len > to->room) {
		size_t room = to->room ? to->room : 4096;

		if (to->len > 0)
			memmove(to->data, to->data + to->off, to->len);
		to->off = 0;
		while (room < to->len + len)
			room *= 2;
		if (room > to->room)
			to->data = world_realloc(to->data, room);
		to->room = room > to->room ? room : to->room;
	}
	memcpy(to->data + to->off + to->len, buf, len);
	to->len += len;
	if (to->segment_count == to->segment_room) {
		size_t room = to->segment_room ? 2 * to->segment_room : 8;
		struct segment *more = world_alloc(room * sizeof(*more));

		for (size_t i = 0; i < to->segment_count; i++)
			more[i] = to->segments[(to->segment_first + i) % to->segment_room];
		world_free(to->segments);
		to->segments = more;
		to->segment_room = room;
		to->segment_first = 0;
	}
	to->segments[(to->segment_first + to->segment_count++) % to->segment_room] =
		(struct segment){len, at};
}

static ssize_t stream_send(struct k_file *f, const void *buf, size_t len, int flags)
{
	struct k_stream *s = stream_of(f), *p = s->peer;
	int error = s->error;

	if (s->state == CONNECTING)
		return -EAGAIN;
	if (s->state != CONNECTED && !s->reset)
		return -ENOTCONN;
	if (error || s->reset || s->fin_sent) {
		s->error = 0;
		return error ? -error : -EPIPE;
	}
	if (is_local(s) && (!p || (!p->open && !p->parent)))
		return -EPIPE;
	if (!p ||
	    (p->reset && !is_local(s))) { /* the other host knows no such connection any more */
		size_t most =
			s->send_buffer > s->orphan_bytes ? s->send_buffer - s->orphan_bytes : 0;

		if (most == 0)
			return -EAGAIN;
		orphan(s, len < most ? len : most, k_now_us);
		return (ssize_t)(len < most ? len : most);
	}
	size_t under_way = p->len - p->arrived;
	size_t room = s->send_buffer > under_way ? s->send_buffer - under_way : 0;
	if (room == 0)
		return -EAGAIN;
	size_t take = move_less(len < room ? len : room);
	/* Segments of one call may arrive apart. */
	for (size_t done = 0; done < take;) {
		size_t part = take - done;
		uint64_t at = k_now_us + way_time(s, p);

		if (part > MSS && dice_chance(&k_dice, 300))
			part = dice_between(&k_dice, 1, part);
		if (at < p->last_at)
			at = p->last_at;
		p->last_at = at;
		append(p, (const uint8_t *)buf + done, part, at);
		done += part;
	}
	arrive(p);
	return (ssize_t)take;
}

int k_stream_shutdown(struct k_file *f, int how)
{
	struct k_stream *s = stream_of(f), *p = s->peer;

	if (s->state != CONNECTED || s->reset)
		return -ENOTCONN;
	if (how == SHUT_RD || s->fin_sent)
		return 0;
	s->fin_sent = true;
	if (p && !p->reset) {
		uint64_t at = k_now_us + way_time(s, p);

		p->fin_at = at > p->last_at ? at : p->last_at;
		p->last_at = p->fin_at;
		p->fin_coming = true;
		arrive(p);
	}
	k_touch(f);
	return 0;
}

/* ---- closing ---- */

static void leave_queue(struct k_stream *listener)
{
	for (size_t i = 0; i < listener->queued; i++) {
		struct k_stream *s = listener->queue[i];

		s->parent = NULL;
		stream_send_reset(s);
		s->reset = true;
		s->open = false;
		stream_maybe_free(s);
	}
	listener->queued = 0;
}

static void stream_release(struct k_file *f)
{
	struct k_stream *s = stream_of(f);

	if (s->state == LISTENING)
		leave_queue(s);
	if (s->state == CONNECTING && s->peer && !s->reset) {
		stream_send_reset(s);
		s->reset = true;
	}
	if (s->state == CONNECTED && !s->reset) {
		if (s->arrived > 0 || s->linger0) {
			stream_send_reset(s);
			s->reset = true;
			drop_coming(s);
		} else {
			(void)k_stream_shutdown(f, SHUT_WR);
		}
	}
	s->open = false;
	f->holder = NULL;
	stream_maybe_free(s);
}

const struct k_kind k_stream_kind = {
	.name = "stream",
	.ready = stream_ready,
	.recv = stream_recv,
	.send = stream_send,
	.release = stream_release,
};
