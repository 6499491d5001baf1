/* SPDX-License-Identifier: Apache-2.0 */
/* round: one socket, one timer, a transaction for each server. */
#include "stun/client/round.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "core/container.h"
#include "stun/client/client.h"
#include "stun/integrity.h"

#define DATAGRAM_BYTES 2048u
#define BATCH	       64u /* datagrams before others have their turn */

static void stun_round_maybe_done(struct stun_round *r)
{
	if (ring_op_busy(&r->op) || timer_pending(&r->timer))
		return;
	ring_close_fd(r->ring, r->fd);
	r->done(r);
}

void stun_round_end(struct stun_round *r)
{
	if (r->ending)
		return;
	r->ending = true;
	ring_cancel(r->ring, &r->op);
	ring_timer_set(r->ring, &r->timer, 0);
}

/* What cannot be sent is sent again, as what was lost.
 *
 * #syscalls:natd sendto
 * #syscalls:agent sendto(4 is 0, 3 without MSG_FASTOPEN)
 */
static void stun_round_send(const struct stun_round *r, const struct stun_round_entry *e)
{
	const struct sockaddr *to = r->connected ? NULL : &e->server.sa;

	(void)!sendto(r->fd, e->bytes, e->len, MSG_DONTWAIT, to, to ? e->server.len : 0);
}

/* Sends what is due, and plans the next turn. */
static void stun_round_run(struct stun_round *r)
{
	uint64_t now = ring_now_ms(r->ring), next = STUN_NEVER;

	for (size_t i = 0; i < r->count; i++) {
		struct stun_round_entry *e = &r->entries[i];

		if (stun_transaction_next(&e->transaction) <= now &&
		    stun_transaction_step(&e->transaction, now) == STUN_STEP_SEND)
			stun_round_send(r, e);
		if (stun_transaction_next(&e->transaction) < next)
			next = stun_transaction_next(&e->transaction);
	}
	if (next == STUN_NEVER)
		stun_round_end(r);
	else
		ring_timer_set(r->ring, &r->timer, next > now ? next - now : 0);
}

static void stun_round_timer_fired(struct timer *t, uint64_t now_ms)
{
	struct stun_round *r = container(t, struct stun_round, timer);

	if (r->ending)
		stun_round_maybe_done(r);
	else
		stun_round_run(r);
}

static void stun_round_take(struct stun_round *r, const uint8_t *bytes, size_t len,
			    const struct addr *from)
{
	struct stun_message m;

	if (stun_decode(bytes, len, &m) != STUN_OK)
		return;
	for (size_t i = 0; i < r->count; i++) {
		struct stun_round_entry *e = &r->entries[i];

		/* Section 9.1.4: what is not made with the password was never received. */
		if (e->password.len > 0 && !stun_integrity_sha256_ok(&m, bytes, e->password))
			continue;
		if (stun_transaction_answer(&e->transaction, &m, from) == STUN_MATCH_SUCCESS)
			e->external = *stun_external_address(&m);
	}
}

static void stun_round_readable(struct ring_op *op, int res)
{
	struct stun_round *r = container(op, struct stun_round, op);
	uint8_t bytes[DATAGRAM_BYTES];

	for (unsigned i = 0; i < BATCH && !r->ending && res > 0; i++) {
		struct addr from = {.len = sizeof(from.v6)};
		ssize_t n = recvfrom(r->fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC,
				     &from.sa, &from.len);

		if (n < 0)
			break;
		if ((size_t)n <= sizeof(bytes))
			stun_round_take(r, bytes, (size_t)n, &from);
	}
	if (r->ending) {
		stun_round_maybe_done(r);
		return;
	}
	ring_poll(r->ring, op, r->fd, POLLIN);
	stun_round_run(r);
}

static void stun_round_prepare(struct stun_round *r, struct stun_round_entry *e)
{
	uint8_t id[STUN_ID_BYTES];
	struct stun_writer w;

	stun_client_id(id);
	e->external = (struct addr){.len = 0};
	stun_transaction_start(&e->transaction, id, &e->server, &r->pace, ring_now_ms(r->ring));
	stun_write_begin(&w, e->bytes, sizeof(e->bytes), STUN_REQUEST, STUN_BINDING, id);
	if (e->password.len > 0) {
		stun_write_bytes(&w, STUN_USERNAME, e->username.data, e->username.len);
		stun_write_integrity_sha256(&w, e->password);
		stun_write_fingerprint(&w);
	}
	e->len = stun_write_end(&w);
	assert(e->len > 0);
}

/* The round's socket, or -errno.
 *
 * #syscalls:agent connect
 */
static int stun_round_open(const struct stun_round *r)
{
	const struct addr *server = &r->entries[0].server;
	int fd = stun_client_socket_by(server->sa.sa_family, &r->source, r->index), error;

	if (fd < 0 || !r->connected || connect(fd, &server->sa, server->len) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

int stun_round_start(struct stun_round *r)
{
	assert(r->count > 0 && r->count <= (r->connected ? 1 : STUN_ROUND_MAX));
	r->fd = stun_round_open(r);
	if (r->fd < 0)
		return r->fd;
	r->op = (struct ring_op){.done = stun_round_readable};
	r->timer.fire = stun_round_timer_fired;
	r->ending = false;
	for (size_t i = 0; i < r->count; i++)
		stun_round_prepare(r, &r->entries[i]);
	ring_poll(r->ring, &r->op, r->fd, POLLIN);
	stun_round_run(r);
	return 0;
}
