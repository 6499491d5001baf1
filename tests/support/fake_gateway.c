/* SPDX-License-Identifier: Apache-2.0 */
/* fake_gateway: RFC 6887 and RFC 6886, as far as a client of good will needs them. */
#include "tests/support/fake_gateway.h"

#include <poll.h>
#include <string.h>

#include "core/clock.h"
#include "tests/support/loopback.h"

#define UP_MS 5000000u /* it is up for so long at the beginning */

static void put_u32(uint8_t *at, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(n >> (24 - 8 * i));
}

static void put_epoch(const struct fake_gateway *g, uint8_t *at)
{
	put_u32(at, (uint32_t)((clock_ms(CLOCK_BOOTTIME) - g->started_ms) / 1000));
}

static void count_map(struct fake_gateway *g, const uint8_t *lifetime, const uint8_t *port)
{
	bool deletion = (lifetime[0] | lifetime[1] | lifetime[2] | lifetime[3]) == 0;

	g->maps += !deletion;
	g->deletions += deletion;
	g->last_port = (uint16_t)(port[0] << 8 | port[1]);
}

static size_t answer_pcp(struct fake_gateway *g, const uint8_t *in, size_t len, uint8_t *out)
{
	static const uint8_t unsupported[8] = {0, 128, 0, 1};

	if (g->no_pcp) { /* a NAT-PMP server's answer to another version */
		memcpy(out, unsupported, sizeof(unsupported));
		put_epoch(g, out + 4);
		return sizeof(unsupported);
	}
	memcpy(out, in, len);
	out[1] |= 0x80;
	out[2] = out[3] = 0;
	put_epoch(g, out + 8);
	memset(out + 12, 0, 12);
	if (in[1] == 1 && len >= 60) { /* MAP */
		count_map(g, in + 4, in + 40);
		out[3] = g->map_result;
		memset(out + 44, 0, 16);
		out[54] = out[55] = 0xff;
		memcpy(out + 56, g->external, 4);
		if (out[42] == 0 && out[43] == 0)
			memcpy(out + 42, out + 40, 2);
	}
	return len;
}

static size_t answer_natpmp(struct fake_gateway *g, const uint8_t *in, uint8_t *out)
{
	memset(out, 0, 16);
	out[1] = (uint8_t)(in[1] + 128);
	put_epoch(g, out + 4);
	if (in[1] == 0) {
		memcpy(out + 8, g->external, 4);
		return 12;
	}
	count_map(g, in + 8, in + 4);
	memcpy(out + 8, in + 4, 8);
	return 16;
}

static void fake_gateway_readable(struct ring_op *op, int res)
{
	struct fake_gateway *g = (struct fake_gateway *)op;
	struct addr from = {.len = sizeof(from.v6)};
	uint8_t in[1100], out[1100];
	ssize_t n;

	if (res < 0)
		return;
	while ((n = recvfrom(g->fd, in, sizeof(in), MSG_DONTWAIT, &from.sa, &from.len)) >= 2) {
		size_t len;

		g->requests++;
		if (g->deaf)
			continue;
		len = in[0] == 2 ? answer_pcp(g, in, (size_t)n, out) : answer_natpmp(g, in, out);
		(void)!sendto(g->fd, out, len, 0, &from.sa, from.len);
	}
	ring_poll(g->ring, op, g->fd, POLLIN);
}

void fake_gateway_restart(struct fake_gateway *g)
{
	g->started_ms = clock_ms(CLOCK_BOOTTIME);
}

void fake_gateway_open(struct fake_gateway *g, struct ring_fixture *f, unsigned host)
{
	struct addr at = test_loopback(host, 5351);

	*g = (struct fake_gateway){.ring = f->r,
				   .started_ms = clock_ms(CLOCK_BOOTTIME) - UP_MS,
				   .external = {45, 0, 0, 10}};
	g->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(g->fd, &at.sa, at.len), 0);
	g->op.done = fake_gateway_readable;
	ring_poll(f->r, &g->op, g->fd, POLLIN);
}

void fake_gateway_close(struct fake_gateway *g, struct ring_fixture *f)
{
	ring_cancel(f->r, &g->op);
	while (ring_op_busy(&g->op))
		run_for(f, 1);
	ring_close_fd(f->r, g->fd);
}
