/* SPDX-License-Identifier: Apache-2.0 */
/* signing: questions to the signer, and what they do to connections when they are answered. */
#include "relay/front/signing.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/container.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/parse/signing.h"
#include "relay/front/conn.h"

struct signing {
	struct worker *worker;
	struct ring_op ready;
	int fd; /* -1: the signer is gone */
	unsigned under_way;
	size_t first, count; /* of queue, a ring */
	slab_id queue[SIGNING_QUEUE];
};

/* ---- asking ---- */

/* 0 or -errno, -ENOENT for a connection that wants none. -EAGAIN is never met while so few are
 * under way.
 *
 * #syscalls sendmsg(2 without MSG_FASTOPEN)
 */
static int signing_send(struct signing *s, struct conn *c)
{
	struct tls_signing wanted;
	uint8_t packet[SIGNING_INPUT_MAX + 64];
	struct iovec part = {.iov_base = packet};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
	struct signing_request request = {.duty = SIGNING_SIGN, .number = c->id};

	if (!tls_ask_signature(c->tls, &wanted))
		return -ENOENT;
	request.algorithm = wanted.algorithm;
	CBS_init(&request.input, wanted.input, wanted.len);
	if (!tls_key_id(c->tls, request.key) ||
	    !signing_request_encode(&request, packet, sizeof packet, &part.iov_len))
		return -EMSGSIZE;
	while (sendmsg(s->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	s->under_way++;
	return 0;
}

bool signing_ask(struct conn *c)
{
	struct signing *s = c->worker->signing;
	struct tls_signing wanted;

	if (s->fd < 0)
		return false;
	if (s->under_way < SIGNING_UNDER_WAY)
		return signing_send(s, c) == 0;
	/* From now on it is asked for: once. */
	if (s->count == SIGNING_QUEUE || !tls_ask_signature(c->tls, &wanted))
		return false;
	s->queue[(s->first + s->count++) % SIGNING_QUEUE] = c->id;
	return true;
}

static void signing_ask_next(struct signing *s)
{
	while (s->count > 0 && s->under_way < SIGNING_UNDER_WAY) {
		struct conn *c = conn_find(s->worker, s->queue[s->first]);

		s->first = (s->first + 1) % SIGNING_QUEUE;
		s->count--;
		if (c && c->phase == &phase_handshake && signing_send(s, c) != 0)
			conn_close(c, REASON_SIGNER);
	}
}

/* ---- answers ---- */

static void signing_answered(struct signing *s, const struct signing_reply *reply)
{
	struct conn *c = conn_find(s->worker, reply->number);

	if (s->under_way > 0)
		s->under_way--;
	if (!c || c->phase != &phase_handshake)
		return; /* gone meanwhile */
	if (reply->status) {
		log_debug("front", "the signer refuses: %s", strerror(-reply->status));
		conn_close(c, REASON_SIGNER);
		return;
	}
	tls_give_signature(c->tls, CBS_data(&reply->data), CBS_len(&reply->data));
	c->phase->input(c, NULL, 0);
	if (!conn_ending(c))
		conn_read_on(c);
}

/* The control thread hears of it, too, and ends the relay. */
static void signing_lost(struct signing *s)
{
	close(s->fd);
	s->fd = -1;
	s->count = 0;
}

/* #syscalls recvmsg */
static void signing_ready(struct ring_op *op, int res)
{
	struct signing *s = container(op, struct signing, ready);
	uint8_t packet[SIGNING_REPLY_HEAD + SIGNING_SIGNATURE_MAX];
	struct iovec part = {packet, sizeof packet};
	struct signing_reply reply;
	ssize_t n = 0;

	/* As many as are there, and no more than were asked for before this turn. */
	for (unsigned i = 0; i < SIGNING_UNDER_WAY && res >= 0; i++) {
		struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};

		n = recvmsg(s->fd, &m, MSG_DONTWAIT);
		if (n <= 0)
			break;
		if (signing_reply_decode(packet, (size_t)n, &reply))
			signing_answered(s, &reply);
	}
	if (res < 0 || n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		signing_lost(s);
		return;
	}
	signing_ask_next(s);
	ring_poll(s->worker->ring, op, s->fd, POLLIN);
}

/* ---- beginning and end ---- */

bool signing_open(struct worker *w, int fd)
{
	struct signing *s = memory_zeroed(sizeof *s);

	if (!s) {
		close(fd);
		return false;
	}
	s->worker = w;
	s->fd = fd;
	s->ready.done = signing_ready;
	w->signing = s;
	return true;
}

void signing_start(struct worker *w)
{
	struct signing *s = w->signing;

	if (s->fd >= 0 && !ring_op_busy(&s->ready))
		ring_poll(w->ring, &s->ready, s->fd, POLLIN);
}

void signing_close(struct worker *w)
{
	if (!w->signing)
		return;
	if (w->signing->fd >= 0)
		close(w->signing->fd);
	memory_free(w->signing);
	w->signing = NULL;
}
