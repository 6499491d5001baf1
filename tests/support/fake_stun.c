/* SPDX-License-Identifier: Apache-2.0 */
/* fake_stun: four sockets, and stun/server.h behind them. */
#include "tests/support/fake_stun.h"

#include <poll.h>
#include <string.h>

#include "stun/message.h"
#include "tests/support/loopback.h"

static void send_from(struct fake_stun *s, unsigned address, unsigned port, const uint8_t *bytes,
		      size_t len, const struct addr *to)
{
	if (address == 0 || !s->other_is_dead)
		(void)!sendto(s->sockets[address][port].fd, bytes, len, MSG_DONTWAIT, &to->sa,
			      to->len);
}

/* What a client must not take for its answer. */
static void garble(struct fake_stun *s, const struct fake_stun_socket *k, const uint8_t *request,
		   const struct addr *to)
{
	uint8_t bytes[STUN_ANSWER_MAX], id[STUN_ID_BYTES];
	struct stun_writer w;

	send_from(s, k->address, k->port, (const uint8_t *)"no STUN", 7, to);
	memcpy(id, request + STUN_HEADER_BYTES - STUN_ID_BYTES, sizeof(id));
	id[0] ^= 1;
	stun_write_begin(&w, bytes, sizeof(bytes), STUN_SUCCESS, STUN_BINDING, id);
	stun_write_address(&w, STUN_XOR_MAPPED_ADDRESS, to);
	send_from(s, k->address, k->port, bytes, stun_write_end(&w), to);
}

static void refuse(struct fake_stun *s, const struct fake_stun_socket *k, const uint8_t *request,
		   const struct addr *to)
{
	uint8_t bytes[STUN_ANSWER_MAX];
	struct stun_writer w;

	stun_write_begin(&w, bytes, sizeof(bytes), STUN_ERROR, STUN_BINDING,
			 request + STUN_HEADER_BYTES - STUN_ID_BYTES);
	stun_write_error(&w, STUN_BAD_REQUEST);
	send_from(s, k->address, k->port, bytes, stun_write_end(&w), to);
}

static void serve(struct fake_stun_socket *k, const uint8_t *request, size_t len,
		  const struct addr *from)
{
	struct fake_stun *s = k->stun;
	struct stun_server server = {.password = s->password,
				     .behaviour = s->one_address ? NULL : &s->behaviour};
	const struct addr *seen = s->seen.len > 0 ? &s->seen : from;
	struct stun_message m;
	struct stun_answer a;
	bool change;

	if (stun_decode(request, len, &m) != STUN_OK || m.header.class != STUN_REQUEST)
		return;
	change = m.change_address || m.change_port;
	s->requests++;
	s->changes += change;
	if (s->deaf || (s->deaf_to_changes && change))
		return;
	if (s->garbles)
		garble(s, k, request, from);
	if (s->refuses) {
		refuse(s, k, request, from);
		return;
	}
	if (stun_server_answer(&server, request, len, seen, k->address, k->port, false, &a) >
	    STUN_ANSWERED_ERROR)
		return;
	if (s->one_address || (s->ignores_changes && change))
		send_from(s, k->address, k->port, a.bytes, a.len, from);
	else
		send_from(s, a.from_address, a.from_port, a.bytes, a.len, from);
}

static void fake_stun_readable(struct ring_op *op, int res)
{
	struct fake_stun_socket *k = (struct fake_stun_socket *)op;
	struct addr from = {.len = sizeof(from.v6)};
	uint8_t bytes[STUN_REQUEST_MAX];
	ssize_t n;

	if (res < 0)
		return;
	while ((n = recvfrom(k->fd, bytes, sizeof(bytes), MSG_DONTWAIT, &from.sa, &from.len)) >= 0)
		serve(k, bytes, (size_t)n, &from);
	ring_poll(k->stun->ring, op, k->fd, POLLIN);
}

void fake_stun_open(struct fake_stun *s, struct ring_fixture *f, unsigned first)
{
	memset(s, 0, sizeof(*s));
	s->ring = f->r;
	for (unsigned p = 0; p < 2; p++) {
		uint16_t port = 0; /* the same for both addresses */

		for (unsigned a = 0; a < 2; a++) {
			struct fake_stun_socket *k = &s->sockets[a][p];
			struct addr at = test_loopback(first + a, port);

			k->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
			assert_int_equal(bind(k->fd, &at.sa, at.len), 0);
			assert_int_equal(getsockname(k->fd, &at.sa, &at.len), 0);
			port = addr_port(&at);
			s->behaviour.places[a][p] = at;
			k->stun = s;
			k->address = a;
			k->port = p;
			k->op.done = fake_stun_readable;
			ring_poll(f->r, &k->op, k->fd, POLLIN);
		}
	}
}

void fake_stun_close(struct fake_stun *s, struct ring_fixture *f)
{
	for (unsigned a = 0; a < 2; a++)
		for (unsigned p = 0; p < 2; p++)
			ring_cancel(f->r, &s->sockets[a][p].op);
	for (unsigned a = 0; a < 2; a++) {
		for (unsigned p = 0; p < 2; p++) {
			struct fake_stun_socket *k = &s->sockets[a][p];

			while (ring_op_busy(&k->op))
				run_for(f, 1);
			ring_close_fd(f->r, k->fd);
		}
	}
}
