/* SPDX-License-Identifier: Apache-2.0 */
/* survey: sockets and a timer around the discovery engine. */
#include "stun/client/survey.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "core/container.h"
#include "stun/client/client.h"

#define DATAGRAM_BYTES 2048u
#define BATCH	       64u /* datagrams of one socket before others have their turn */

/* ---- the end ---- */

static void stun_survey_maybe_done(struct stun_survey *s)
{
	if (timer_pending(&s->timer))
		return;
	for (unsigned i = 0; i < STUN_SOCKETS; i++)
		if (ring_op_busy(&s->sockets[i].op))
			return;
	for (unsigned i = 0; i < STUN_SOCKETS; i++)
		if (s->sockets[i].fd >= 0)
			ring_close_fd(s->ring, s->sockets[i].fd);
	s->done(s);
}

void stun_survey_end(struct stun_survey *s)
{
	if (s->ending)
		return;
	s->ending = true;
	for (unsigned i = 0; i < STUN_SOCKETS; i++)
		ring_cancel(s->ring, &s->sockets[i].op);
	/* done() comes from the loop, never from inside a call. */
	ring_timer_set(s->ring, &s->timer, 0);
}

/* ---- time ---- */

static void stun_survey_plan(struct stun_survey *s)
{
	uint64_t next = stun_discovery_next(&s->discovery), now = ring_now_ms(s->ring);

	if (s->ending)
		return;
	if (next == STUN_NEVER)
		stun_survey_end(s);
	else
		ring_timer_set(s->ring, &s->timer, next > now ? next - now : 0);
}

static void stun_survey_timer_fired(struct timer *t, uint64_t now_ms)
{
	struct stun_survey *s = container(t, struct stun_survey, timer);

	if (s->ending) {
		stun_survey_maybe_done(s);
		return;
	}
	stun_discovery_tick(&s->discovery, now_ms);
	stun_survey_plan(s);
}

/* ---- datagrams ---- */

static void stun_survey_send(struct stun_discovery *d, enum stun_socket from, const struct addr *to,
			     const uint8_t *bytes, size_t len)
{
	struct stun_survey *s = container(d, struct stun_survey, discovery);

	/* What cannot be sent is sent again, as what was lost. */
	(void)!sendto(s->sockets[from].fd, bytes, len, MSG_DONTWAIT, &to->sa, to->len);
}

static void stun_survey_fresh_id(struct stun_discovery *d, uint8_t id[STUN_ID_BYTES])
{
	stun_client_id(id);
}

static void stun_survey_readable(struct ring_op *op, int res)
{
	struct stun_survey_socket *k = (struct stun_survey_socket *)op;
	struct stun_survey *s = k->survey;
	uint8_t bytes[DATAGRAM_BYTES];

	for (unsigned i = 0; i < BATCH && !s->ending && res > 0; i++) {
		struct addr from = {.len = sizeof(from.v6)};
		ssize_t n = recvfrom(k->fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC,
				     &from.sa, &from.len);

		if (n < 0)
			break;
		if ((size_t)n > sizeof(bytes))
			continue;
		stun_discovery_datagram(&s->discovery, (enum stun_socket)(k - s->sockets), &from,
					bytes, (size_t)n, ring_now_ms(s->ring));
	}
	if (s->ending) {
		stun_survey_maybe_done(s);
		return;
	}
	ring_poll(s->ring, op, k->fd, POLLIN);
	stun_survey_plan(s);
}

/* ---- the beginning ---- */

/* The address that the system would use towards the server, with port 0. */
static int find_source(const struct addr *server, struct addr *out)
{
	struct addr a = {.len = sizeof(a.v6)};
	int fd = socket(server->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, &server->sa, server->len) || getsockname(fd, &a.sa, &a.len))
		error = -errno;
	close(fd);
	if (error)
		return error;
	addr_set_port(&a, 0);
	*out = a;
	return 0;
}

/* #syscalls:natd getsockname */
static int open_sockets(struct stun_survey *s)
{
	struct addr at = s->source, local = {.len = sizeof(local.v6)};
	int error = at.len ? 0 : find_source(&s->discovery.server, &at);

	for (unsigned i = 0; i < STUN_SOCKETS; i++)
		s->sockets[i] = (struct stun_survey_socket){
			.op.done = stun_survey_readable, .survey = s, .fd = -1};
	for (unsigned i = 0; i < STUN_SOCKETS && !error; i++) {
		s->sockets[i].fd = stun_client_socket_by(at.sa.sa_family, &at, s->index);
		error = s->sockets[i].fd < 0 ? s->sockets[i].fd : 0;
		/* Only the first one has a port that was asked for. */
		addr_set_port(&at, 0);
	}
	if (!error && getsockname(s->sockets[STUN_SOCKET_MAPPING].fd, &local.sa, &local.len) == 0)
		s->discovery.local = local;
	return error;
}

int stun_survey_start(struct stun_survey *s)
{
	int error = open_sockets(s);

	if (error) {
		for (unsigned i = 0; i < STUN_SOCKETS; i++)
			if (s->sockets[i].fd >= 0)
				close(s->sockets[i].fd);
		return error;
	}
	s->timer.fire = stun_survey_timer_fired;
	s->ending = false;
	s->discovery.send = stun_survey_send;
	s->discovery.fresh_id = stun_survey_fresh_id;
	for (unsigned i = 0; i < STUN_SOCKETS; i++)
		ring_poll(s->ring, &s->sockets[i].op, s->sockets[i].fd, POLLIN);
	stun_discovery_start(&s->discovery, ring_now_ms(s->ring));
	stun_survey_plan(s);
	return 0;
}
