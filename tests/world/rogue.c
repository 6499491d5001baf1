/* SPDX-License-Identifier: Apache-2.0 */
/* rogue: a sign-in by hand. */
#include "tests/world/rogue.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/socket.h>

#include "core/container.h"

static void rogue_close(struct rogue *g)
{
	g->over = true;
	if (ring_op_busy(&g->rx) || ring_op_busy(&g->tx) || g->fd < 0)
		return;
	ring_close_fd(g->people->ring, g->fd);
	g->fd = -1;
	tls_free(g->tls);
	g->tls = NULL;
	SSL_CTX_free(g->context);
	identity_free(g->identity);
	g->people->busy--;
}

static void rogue_end(struct rogue *g)
{
	g->over = true;
	ring_cancel(g->people->ring, &g->rx);
	ring_cancel(g->people->ring, &g->tx);
	rogue_close(g);
}

static void flush(struct rogue *g)
{
	size_t len;
	const uint8_t *out;

	if (g->over || ring_op_busy(&g->tx))
		return;
	out = tls_output(g->tls, &len);
	if (len == 0 && g->signed_in && g->repeat > 0) {
		size_t batch = 0;

		/* As many as make a good record. */
		while (g->repeat > 0 && batch < 8192) {
			if (tls_write(g->tls, g->out, g->out_len) != TLS_OK)
				abort();
			g->repeat--;
			batch += g->out_len;
		}
		out = tls_output(g->tls, &len);
	}
	if (len > 0)
		ring_send(g->people->ring, &g->tx, g->fd, out, len);
}

static void listen_on(struct rogue *g)
{
	if (!g->over && !ring_op_busy(&g->rx) && !(g->deaf && g->signed_in))
		ring_recv(g->people->ring, &g->rx, g->fd, g->in, sizeof(g->in));
}

static void say_hello(struct rogue *g)
{
	uint8_t exported[TLS_EXPORT_BYTES], signature[WIRE_SIGNATURE_MAX];
	uint8_t frame[TAG_BYTES + WIRE_FRAME_MAX];
	struct wire_message m = {
		.type = WIRE_HELLO,
		.hello.flags = g->flags,
		.hello.agent = wire_text(g->name),
		.hello.software = wire_text("a program of their own"),
		.hello.signature.data = signature,
	};
	size_t len;

	identity_certificate_der(g->identity, &m.hello.certificate.data, &m.hello.certificate.len);
	if (!tls_export(g->tls, TLS_EXPORT_HELLO, exported) ||
	    !identity_sign(g->identity, IDENTITY_HELLO, exported, signature, sizeof(signature),
			   &m.hello.signature.len))
		abort();
	certs_tag(g->tls, frame);
	len = wire_encode(&m, frame + TAG_BYTES, WIRE_FRAME_MAX);
	if (len == 0 || tls_write(g->tls, frame, TAG_BYTES + len) != TLS_OK)
		abort();
}

static void take_plain(struct rogue *g, size_t n)
{
	struct wire_message m;
	size_t used;

	if (g->signed_in) {
		g->heard += n;
		return;
	}
	if (n > sizeof(g->frame) - g->frame_len)
		n = sizeof(g->frame) - g->frame_len;
	memcpy(g->frame + g->frame_len, g->plain, n);
	g->frame_len += n;
	if (wire_decode(g->frame, g->frame_len, &m, &used) == WIRE_OK) {
		g->signed_in = m.type == WIRE_WELCOME;
		g->welcome_us = k_now_us;
		world_tell("%s hears %s", g->name, wire_type_name(m.type));
	}
}

static void rogue_received(struct ring_op *op, int res)
{
	struct rogue *g = container(op, struct rogue, rx);
	bool shaking;
	size_t n;

	if (g->over || res <= 0 || !tls_feed(g->tls, g->in, (size_t)res)) {
		rogue_end(g);
		return;
	}
	shaking = SSL_in_init(tls_ssl(g->tls));
	if (shaking && tls_handshake(g->tls) == TLS_FAILED) {
		rogue_end(g);
		return;
	}
	if (shaking && !SSL_in_init(tls_ssl(g->tls)))
		say_hello(g);
	while (!SSL_in_init(tls_ssl(g->tls)) &&
	       tls_read(g->tls, g->plain, sizeof(g->plain), &n) == TLS_OK)
		take_plain(g, n);
	flush(g);
	listen_on(g);
}

static void rogue_sent(struct ring_op *op, int res)
{
	struct rogue *g = container(op, struct rogue, tx);

	if (g->over || res < 0) {
		rogue_end(g);
		return;
	}
	tls_output_drop(g->tls, (size_t)res);
	flush(g);
}

static void rogue_connected(struct ring_op *op, int res)
{
	struct rogue *g = container(op, struct rogue, tx);
	int error = 0;
	socklen_t len = sizeof(error);

	g->tx.done = rogue_sent;
	if (g->over || res < 0 || getsockopt(g->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
		rogue_end(g);
		return;
	}
	(void)!tls_handshake(g->tls);
	flush(g);
	listen_on(g);
}

void rogue_come(struct rogue *g, struct people *p, enum who who, uint8_t flags,
		const struct addr *to)
{
	struct k_program *was = k_enter(p->program);
	char why[256];

	*g = (struct rogue){.people = p, .name = who_name(who), .flags = flags};
	g->identity = identity_new(world_ca.pem, world_pairs[who].certificate, world_pairs[who].key,
				   time(NULL), why, sizeof(why));
	g->context = g->identity ? identity_dial_context(g->identity) : NULL;
	g->tls = g->context ? tls_new(g->context, false) : NULL;
	g->fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (!g->tls || g->fd < 0 || (connect(g->fd, &to->sa, to->len) < 0 && errno != EINPROGRESS))
		world_broken("a rogue cannot come: %s", why);
	g->began_us = k_now_us;
	g->rx.done = rogue_received;
	g->tx.done = rogue_connected;
	p->busy++;
	ring_poll(p->ring, &g->tx, g->fd, POLLOUT);
	k_enter(was);
}

void rogue_say(struct rogue *g, uint8_t *bytes, size_t len, uint64_t times)
{
	struct k_program *was = k_enter(g->people->program);

	g->out = bytes;
	g->out_len = len;
	g->repeat = times;
	flush(g);
	k_enter(was);
}

void rogue_leave(struct rogue *g)
{
	struct k_program *was = k_enter(g->people->program);

	if (g->fd >= 0)
		rogue_end(g);
	k_enter(was);
}

bool rogue_settled(void *rogue)
{
	const struct rogue *g = rogue;

	return g->signed_in || g->over;
}
