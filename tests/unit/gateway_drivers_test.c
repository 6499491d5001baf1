/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_drivers_test: the drivers of PCP and NAT-PMP on simulated sockets, against a fake
 * gateway on loopback.
 *
 * links: natpmp/driver/natpmp.c natpmp/driver/natpmp_gateway.c natpmp/driver/natpmp_transaction.c
 * links: natpmp/driver/pcp.c natpmp/driver/gateway_socket.c natpmp/pcp_client.c
 * links: natpmp/pcp_answers.c natpmp/pcp.c natpmp/natpmp.c natpmp/epoch.c portmap/gateway/driver.c
 * links: core/addr.c core/log*.c core/ring.c core/timer.c tests/support/ring_fixture_world.c
 * links: tests/world/calls.c tests/world/kernel.c tests/world/memory.c tests/world/packet.c
 * links: tests/world/pipes.c tests/world/ring_sim.c tests/world/store.c tests/world/stream.c
 * links: tests/world/stream_connect.c tests/world/world.c core/memory.c
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/container.h"
#include "natpmp/driver/natpmp.h"
#include "natpmp/driver/pcp.h"
#include "tests/support/ring_fixture.h"

#define IDS	 32u
#define LIMIT_MS 20000u

enum manners {
	ANSWERS,
	DEAF,
	LOSES_FIRST,
	REFUSES,
	LIES,
	OTHER_VERSION,
	FROM_ELSEWHERE,
	ANSWERS_OTHERS,
};

/* What was heard of one id. */
struct diary {
	unsigned mapped, failed, gone, lost;
	struct addr external;
	uint32_t lifetime_s;
	enum portmap_failure failure;
	struct portmap_refusal refusal; /* its why is not to be read */
};

struct world {
	struct portmap_heard heard; /* first: the callbacks get this */
	struct ring_fixture *f;
	struct ring *ring;
	struct portmap_driver *driver;
	struct gateway_options options;
	bool stopped;
	bool asks_when_gone; /* maps 20 as soon as the gateway is told to be gone */

	int fd;	   /* the gateway's */
	int other; /* of a router that answers in its place; 0: there is none */
	struct ring_op op;
	enum manners manners;
	unsigned requests;
	struct addr first; /* who sent the first of them */
	uint32_t epoch_s;
	uint8_t external[4];
	uint16_t lifetime_s;
	uint8_t last[64];

	struct diary ids[IDS];
	char why[PORTMAP_TEXT_BYTES]; /* unavailable */
	unsigned available, unavailable, restarted, moved;
	enum portmap_failure failure;
	struct addr gateway_external;
};

static struct world *world_of(struct portmap_heard *h)
{
	return (struct world *)h;
}

/* ---- the gateway ---- */

static void answer(struct world *w, const struct addr *to, const uint8_t *out, size_t len)
{
	int fd = w->manners == FROM_ELSEWHERE ? w->other : w->fd;

	assert_int_equal(sendto(fd, out, len, 0, &to->sa, to->len), (ssize_t)len);
}

static void put_u32(uint8_t *at, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(n >> (24 - 8 * i));
}

/* Answers that libnatpmp would believe, or read past the end of. */
static void lie(struct world *w, const struct addr *to, const uint8_t *in)
{
	static const uint8_t cut[] = {0, 128, 0, 0, 0, 0};
	uint8_t wrong[16] = {0, (uint8_t)(in[1] == 1 ? 130 : 129), 0, 0, 0, 0, 9, 9};

	answer(w, to, cut, 1);
	answer(w, to, cut, sizeof(cut));
	answer(w, to, cut, 0);
	if (in[1] != 0)
		memcpy(wrong + 8, in + 4, 4);
	answer(w, to, wrong, sizeof(wrong)); /* the other protocol */
	wrong[1] = (uint8_t)(in[1] + 128);
	wrong[9] ^= 1;
	answer(w, to, wrong, sizeof(wrong)); /* another port */
	if (in[1] != 0)
		answer(w, to, wrong, 12);
}

static void serve_natpmp(struct world *w, const struct addr *to, const uint8_t *in, size_t len)
{
	uint8_t out[16] = {0, (uint8_t)(in[1] + 128)};

	put_u32(out + 4, w->epoch_s);
	if (w->manners == LIES)
		lie(w, to, in);
	if (w->manners == REFUSES && in[1] != 0)
		out[3] = 4;
	if (in[1] == 0) {
		memcpy(out + 8, w->external, 4);
		answer(w, to, out, 12);
		return;
	}
	memcpy(out + 8, in + 4, 8);
	answer(w, to, out, 16);
}

static void serve_pcp(struct world *w, const struct addr *to, const uint8_t *in, size_t len)
{
	uint8_t out[100];

	memcpy(out, in, len);
	out[1] |= 0x80;
	out[3] = w->manners == REFUSES && in[1] == 1 ? 8 : 0;
	put_u32(out + 8, w->epoch_s);
	memset(out + 12, 0, 12);
	if (len >= 60)
		memcpy(out + 56, w->external, 4);
	answer(w, to, out, len);
}

static void serve(struct world *w, const struct addr *to, const uint8_t *in, size_t len)
{
	static const uint8_t refusal[] = {0, 128, 0, 1, 0, 0, 0, 9};
	static const uint8_t pcp_refusal[24] = {2, 128, 0, 1};

	if (w->requests++ == 0)
		w->first = *to;
	memcpy(w->last, in, len < sizeof(w->last) ? len : sizeof(w->last));
	if (w->manners == DEAF || (w->manners == ANSWERS_OTHERS && addr_equal(to, &w->first)) ||
	    (w->manners == LOSES_FIRST && w->requests == 1))
		return;
	if (w->manners == OTHER_VERSION && in[0] == 2)
		answer(w, to, refusal, sizeof(refusal));
	else if (w->manners == OTHER_VERSION)
		answer(w, to, pcp_refusal, sizeof(pcp_refusal));
	else if (in[0] == 2)
		serve_pcp(w, to, in, len);
	else
		serve_natpmp(w, to, in, len);
}

static void on_request(struct ring_op *op, int res)
{
	struct world *w = container(op, struct world, op);
	struct addr from = {.len = sizeof(from.v6)};
	uint8_t in[100];
	ssize_t n;

	if (res < 0)
		return;
	while ((n = recvfrom(w->fd, in, sizeof(in), MSG_DONTWAIT, &from.sa, &from.len)) > 0)
		serve(w, &from, in, (size_t)n);
	ring_poll(w->ring, &w->op, w->fd, POLLIN);
}

/* ---- what is heard ---- */

static void on_available(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			 const struct portmap_gateway *gateway)
{
	world_of(h)->available++;
	world_of(h)->gateway_external = gateway->external;
	ring_stop(world_of(h)->ring);
}

static void map(uint32_t id);

static void on_unavailable(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			   enum portmap_failure failure, const char *why)
{
	world_of(h)->unavailable++;
	world_of(h)->failure = failure;
	snprintf(world_of(h)->why, sizeof(world_of(h)->why), "%s", why);
	if (world_of(h)->asks_when_gone)
		map(20);
	ring_stop(world_of(h)->ring);
}

static void on_restarted(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			 const char *why)
{
	world_of(h)->restarted++;
	ring_stop(world_of(h)->ring);
}

static void on_moved(struct portmap_heard *h, enum portmap_protocol p, const struct addr *external)
{
	world_of(h)->moved++;
	world_of(h)->gateway_external = *external;
	ring_stop(world_of(h)->ring);
}

static void on_mapped(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
		      const struct addr *external, uint32_t lifetime_s)
{
	struct diary *d = &world_of(h)->ids[id];

	d->mapped++;
	d->external = *external;
	d->lifetime_s = lifetime_s;
	ring_stop(world_of(h)->ring);
}

static void on_failed(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
		      const struct portmap_refusal *refusal)
{
	world_of(h)->ids[id].failed++;
	world_of(h)->ids[id].failure = refusal->failure;
	world_of(h)->ids[id].refusal = *refusal;
	ring_stop(world_of(h)->ring);
}

static void on_unmapped(struct portmap_heard *h, enum portmap_protocol p, uint32_t id, bool ok)
{
	world_of(h)->ids[id].gone += ok;
	world_of(h)->ids[id].lost += !ok;
	ring_stop(world_of(h)->ring);
}

static struct world world;
static struct world *const w = &world;

static void on_stopped(struct portmap_driver *d)
{
	w->stopped = true;
	ring_stop(w->ring);
}

/* ---- the loop ---- */

/* Runs until *count is n. */
static void wait_for(const unsigned *count, unsigned n)
{
	for (unsigned ms = 0; *count < n && ms < LIMIT_MS; ms++)
		run_for(w->f, 1);
	assert_int_equal(*count, n);
}

static struct addr loopback(uint16_t port)
{
	struct addr a;

	assert_true(addr_from_literal("127.0.0.1", port, &a));
	return a;
}

/* The gateway's socket; the place's port is its. */
static void open_gateway(void)
{
	struct addr at = loopback(0);

	w->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(w->fd >= 0);
	assert_int_equal(bind(w->fd, &at.sa, at.len), 0);
	assert_int_equal(getsockname(w->fd, &at.sa, &at.len), 0);
	w->options.place.gateway = at;
	w->op.done = on_request;
	ring_poll(w->ring, &w->op, w->fd, POLLIN);
}

static void shut_gateway(void)
{
	ring_cancel(w->ring, &w->op);
	while (ring_op_busy(&w->op))
		run_for(w->f, 1);
	ring_close_fd(w->ring, w->fd);
	w->fd = -1;
}

typedef int open_fn(struct portmap_driver **out, const struct gateway_options *options);

static void begin(void **state, open_fn *open_driver)
{
	struct ring_fixture *f = ring_fixture(state);

	memset(w, 0, sizeof(*w));
	w->heard = (struct portmap_heard){
		.available = on_available,
		.unavailable = on_unavailable,
		.restarted = on_restarted,
		.doubted = on_restarted,
		.external_changed = on_moved,
		.mapped = on_mapped,
		.failed = on_failed,
		.unmapped = on_unmapped,
	};
	w->f = f;
	w->ring = f->r;
	w->epoch_s = 5000;
	memcpy(w->external, "\x2d\0\0\x0a", 4);
	w->options = (struct gateway_options){
		.ring = f->r, .heard = &w->heard, .place.index = 1 /* lo */};
	w->options.place.source = loopback(0);
	open_gateway();
	assert_int_equal(open_driver(&w->driver, &w->options), 0);
	w->driver->stopped = on_stopped;
}

static void end(void)
{
	unsigned heard;

	w->driver->stop(w->driver);
	assert_false(w->stopped);
	heard = w->available + w->unavailable;
	while (!w->stopped)
		run_for(w->f, 1);
	assert_int_equal(w->available + w->unavailable, heard);
	w->driver->release(w->driver);
	if (w->fd >= 0)
		shut_gateway();
}

static struct portmap_request request(uint32_t id)
{
	struct portmap_request r;

	memset(&r, 0, sizeof(r));
	r.id = id;
	r.transport = id % 2 ? PORTMAP_TCP : PORTMAP_UDP;
	r.internal = loopback((uint16_t)(4000 + id));
	r.external = loopback((uint16_t)(4000 + id));
	r.external.v4.sin_addr.s_addr = 0;
	r.lifetime_s = 3600;
	memset(r.nonce, (int)id + 1, sizeof(r.nonce));
	return r;
}

static void map(uint32_t id)
{
	struct portmap_request r = request(id);

	w->driver->map(w->driver, &r);
}

static void unmap(uint32_t id)
{
	struct portmap_request r = request(id);

	w->driver->unmap(w->driver, &r);
}

static void assert_address(const struct addr *a, const char *text)
{
	char written[ADDR_TEXT_BYTES];

	addr_format(a, written);
	assert_string_equal(written, text);
}

static open_fn *const both[] = {driver_pcp_open, driver_natpmp_open};

/* ---- what both do ---- */

static void a_gateway_is_found_and_maps(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		begin(state, both[i]);
		w->driver->probe(w->driver);
		map(1);
		wait_for(&w->available, 1);
		wait_for(&w->ids[1].mapped, 1);
		map(2);
		wait_for(&w->ids[2].mapped, 1);
		/* NAT-PMP's answer has a port only (RFC 6886 section 3.3). */
		assert_address(&w->ids[2].external, i == 0 ? "45.0.0.10:4002" : "0.0.0.0:4002");
		assert_int_equal(w->ids[1].lifetime_s, 3600);
		unmap(1);
		wait_for(&w->ids[1].gone, 1);
		assert_int_equal(w->ids[1].failed + w->ids[1].lost + w->restarted, 0);
		end();
	}
}

static void a_lost_datagram_is_sent_again(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		begin(state, both[i]);
		w->manners = LOSES_FIRST;
		w->driver->probe(w->driver);
		wait_for(&w->available, 1);
		assert_int_equal(w->requests, 2);
		end();
	}
}

static void a_closed_port_is_told_at_once(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		begin(state, both[i]);
		shut_gateway();
		w->driver->probe(w->driver);
		map(1);
		wait_for(&w->unavailable, 1);
		wait_for(&w->ids[1].failed, 1);
		assert_int_equal(w->failure, PORTMAP_UNSUPPORTED);
		end();
	}
}

static void another_version_is_told(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		begin(state, both[i]);
		w->manners = OTHER_VERSION;
		w->driver->probe(w->driver);
		wait_for(&w->unavailable, 1);
		assert_int_equal(w->failure, PORTMAP_UNSUPPORTED);
		assert_int_equal(w->available, 0);
		end();
	}
}

/* The PCP client's is tested on a fake clock. */
static void silence_is_told_in_seconds(void **state)
{
	begin(state, driver_natpmp_open);
	w->manners = DEAF;
	w->driver->probe(w->driver);
	map(1);
	wait_for(&w->unavailable, 1);
	wait_for(&w->ids[1].failed, 1);
	assert_int_equal(w->failure, PORTMAP_SILENT);
	assert_int_equal(w->ids[1].failure, PORTMAP_SILENT);
	assert_in_range(w->requests, 8, 10); /* one of them to hear who else answers */
	end();
}

/* The gaps double: after the first look, and from look to look. */
static void silence_is_asked_less_and_less(void **state)
{
	begin(state, driver_natpmp_open);
	w->manners = DEAF;
	w->driver->probe(w->driver);
	run_for(w->f, 10000);
	assert_in_range(w->requests, 5, 7);
	run_for(w->f, 590000);
	assert_in_range(w->requests, 12, 20);
	end();
}

static void what_is_asked_upon_a_failure_does_not_fail_with_it(void **state)
{
	begin(state, driver_natpmp_open);
	w->driver->probe(w->driver);
	wait_for(&w->available, 1);
	w->manners = DEAF;
	w->asks_when_gone = true;
	map(1);
	wait_for(&w->ids[1].failed, 1);
	assert_int_equal(w->unavailable, 1);
	assert_int_equal(w->ids[20].failed, 0);
	w->manners = ANSWERS;
	wait_for(&w->ids[20].mapped, 1);
	end();
}

static void refusals_are_translated(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		begin(state, both[i]);
		w->manners = REFUSES;
		w->driver->probe(w->driver);
		wait_for(&w->available, 1);
		map(1);
		wait_for(&w->ids[1].failed, 1);
		assert_int_equal(w->ids[1].failure, PORTMAP_NO_RESOURCES);
		end();
	}
}

static void a_restart_is_seen_in_any_answer(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		begin(state, both[i]);
		w->driver->probe(w->driver);
		wait_for(&w->available, 1);
		w->epoch_s = 3;
		map(1);
		wait_for(&w->ids[1].mapped, 1);
		assert_int_equal(w->restarted, 1);
		end();
	}
}

static void what_is_forgotten_is_not_heard_of(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		begin(state, both[i]);
		map(1);
		w->driver->forget(w->driver, 1);
		map(2);
		wait_for(&w->ids[2].mapped, 1);
		map(3);
		wait_for(&w->ids[3].mapped, 1);
		assert_int_equal(w->ids[1].mapped + w->ids[1].failed, 0);
		end();
	}
}

static void many_at_once_are_all_mapped(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		begin(state, both[i]);
		for (uint32_t id = 0; id < IDS; id++)
			map(id);
		for (uint32_t id = 0; id < IDS; id++)
			wait_for(&w->ids[id].mapped, 1);
		for (uint32_t id = 0; id < IDS; id++)
			assert_int_equal(addr_port(&w->ids[id].external), 4000 + id);
		end();
	}
}

static void it_stops_with_requests_in_flight(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		begin(state, both[i]);
		w->manners = DEAF;
		w->driver->probe(w->driver);
		for (uint32_t id = 0; id < IDS; id++)
			map(id);
		wait_for(&w->requests, 0);
		end();
		begin(state, both[i]); /* and at once */
		end();
	}
}

/* ---- NAT-PMP's own ---- */

static void lies_are_not_for_libnatpmp(void **state)
{
	begin(state, driver_natpmp_open);
	w->manners = LIES;
	w->driver->probe(w->driver);
	wait_for(&w->available, 1);
	assert_address(&w->gateway_external, "45.0.0.10:0");
	map(1);
	map(2);
	wait_for(&w->ids[1].mapped, 1);
	wait_for(&w->ids[2].mapped, 1);
	assert_address(&w->ids[1].external, "0.0.0.0:4001");
	assert_address(&w->ids[2].external, "0.0.0.0:4002");
	assert_int_equal(w->restarted, 0);
	end();
}

static void an_address_that_changed_is_asked_for(void **state)
{
	uint8_t announcement[12] = {0, 128, 0, 0, 0, 0, 0, 0, 45, 0, 0, 99};

	begin(state, driver_natpmp_open);
	w->driver->probe(w->driver);
	wait_for(&w->available, 1);
	put_u32(announcement + 4, w->epoch_s);
	w->external[3] = 11;
	driver_natpmp_announced(w->driver, announcement, 11); /* cut */
	assert_int_equal(w->requests, 1);
	driver_natpmp_announced(w->driver, announcement, sizeof(announcement));
	wait_for(&w->moved, 1);
	/* The gateway's own word counts. */
	assert_address(&w->gateway_external, "45.0.0.11:0");
	assert_int_equal(w->restarted, 0);
	end();
}

static void an_announced_restart_is_heard(void **state)
{
	const uint8_t announcement[12] = {0, 128, 0, 0, 0, 0, 0, 2, 45, 0, 0, 10};

	begin(state, driver_natpmp_open);
	w->driver->probe(w->driver);
	wait_for(&w->available, 1);
	w->epoch_s = 2;
	driver_natpmp_announced(w->driver, announcement, sizeof(announcement));
	driver_natpmp_announced(w->driver, announcement, sizeof(announcement));
	assert_int_equal(w->restarted, 0); /* only its own answer counts */
	wait_for(&w->restarted, 1);
	assert_int_equal(w->restarted, 1);
	end();
}

/* Any host of the LAN can send them: the gateway is asked, and says what is so. */
static void a_forged_announcement_loses_nothing(void **state)
{
	static const uint8_t pcp[24] = {2, 128}, natpmp[12] = {0, 128, 0, 0, 0, 0, 0, 0, 45};

	for (size_t i = 0; i < 2; i++) {
		unsigned requests;

		begin(state, both[i]);
		w->driver->probe(w->driver);
		wait_for(&w->available, 1);
		requests = w->requests;
		for (unsigned k = 0; k < 100; k++) {
			if (i == 0)
				driver_pcp_announced(w->driver, pcp, sizeof(pcp));
			else
				driver_natpmp_announced(w->driver, natpmp, sizeof(natpmp));
			run_for(w->f, 1);
		}
		assert_int_equal(w->requests, requests + 1);
		w->epoch_s += 5;
		wait_for(&w->requests, requests + 2); /* once more, for those that came after */
		map(1);
		wait_for(&w->ids[1].mapped, 1);
		assert_int_equal(w->restarted, 0);
		end();
	}
}

/* NAT-PMP's is a reason to ask over PCP; some gateways announce by PCP alone, and mean both. */
static void the_other_protocols_announcement_counts(void **state)
{
	static const uint8_t pcp[24] = {2, 128}, natpmp[12] = {0, 128, 0, 0, 0, 0, 0, 9, 45};

	for (size_t i = 0; i < 2; i++) {
		begin(state, both[i]);
		w->driver->probe(w->driver);
		wait_for(&w->available, 1);
		w->epoch_s = 0;
		if (i == 0)
			driver_pcp_announced(w->driver, natpmp, sizeof(natpmp));
		else
			driver_natpmp_announced(w->driver, pcp, sizeof(pcp));
		assert_int_equal(w->restarted, 0);
		wait_for(&w->restarted, 1);
		end();
	}
}

static void a_server_that_has_only_begun_has_no_mappings(void **state)
{
	static const uint8_t pcp[24] = {2, 128}, natpmp[12] = {0, 128, 0, 0, 0, 0, 0, 1, 45};

	for (size_t i = 0; i < 2; i++) {
		begin(state, both[i]);
		w->epoch_s = 1;
		w->driver->probe(w->driver);
		wait_for(&w->available, 1);
		for (int k = 0; k < 5; k++) {
			if (i == 0)
				driver_pcp_announced(w->driver, pcp, sizeof(pcp));
			else
				driver_natpmp_announced(w->driver, natpmp, sizeof(natpmp));
		}
		wait_for(&w->restarted, 1);
		assert_int_equal(w->restarted, 1);
		end();
	}
}

/* A pair whose members answer from their own addresses: no answer, but told as what it is. */
static void answers_from_another_address_are_told(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct addr at;

		begin(state, both[i]);
		assert_true(
			addr_from_literal("127.0.0.2", addr_port(&w->options.place.gateway), &at));
		w->other = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		assert_true(w->other > 0);
		assert_int_equal(bind(w->other, &at.sa, at.len), 0);
		w->manners = FROM_ELSEWHERE;
		w->driver->probe(w->driver);
		wait_for(&w->unavailable, 1);
		assert_int_equal(w->failure, PORTMAP_MALFORMED);
		assert_non_null(strstr(w->why, "come from 127.0.0.2, not from 127.0.0.1"));
		w->manners = DEAF;
		w->driver->probe(w->driver);
		wait_for(&w->unavailable, 2);
		assert_int_equal(w->failure, PORTMAP_SILENT);
		close(w->other);
		end();
	}
}

/* The gateway's own answer to the question that is heard from anywhere is no other's. */
static void an_answer_of_the_gateways_own_is_no_others(void **state)
{
	begin(state, driver_natpmp_open);
	w->manners = ANSWERS_OTHERS;
	w->driver->probe(w->driver);
	wait_for(&w->unavailable, 1);
	assert_int_equal(w->failure, PORTMAP_SILENT);
	end();
}

static void no_address_is_no_external(void **state)
{
	begin(state, driver_natpmp_open);
	memset(w->external, 0, 4);
	w->driver->probe(w->driver);
	wait_for(&w->unavailable, 1);
	assert_int_equal(w->failure, PORTMAP_NO_EXTERNAL);
	end();
}

static void deletions_name_one_port(void **state)
{
	struct portmap_request r = request(1);

	begin(state, driver_natpmp_open);
	unmap(1);
	wait_for(&w->ids[1].gone, 1);
	assert_memory_equal(w->last, "\0\2\0\0\x0f\xa1\0\0\0\0\0\0", 12);
	r.internal.v4.sin_port = 0;
	w->driver->unmap(w->driver, &r);
	wait_for(&w->ids[1].lost, 1);
	assert_int_equal(w->requests, 1);
	r = request(2);
	r.third_party = true;
	w->driver->map(w->driver, &r);
	wait_for(&w->ids[2].failed, 1);
	assert_int_equal(w->ids[2].failure, PORTMAP_UNSUPPORTED);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(a_gateway_is_found_and_maps),
		RING_TEST(a_lost_datagram_is_sent_again),
		RING_TEST(a_closed_port_is_told_at_once),
		RING_TEST(another_version_is_told),
		cmocka_unit_test_setup_teardown(silence_is_told_in_seconds, ring_fixture_epoll,
						ring_fixture_teardown),
		RING_TEST(silence_is_asked_less_and_less),
		RING_TEST(what_is_asked_upon_a_failure_does_not_fail_with_it),
		RING_TEST(refusals_are_translated),
		RING_TEST(a_restart_is_seen_in_any_answer),
		RING_TEST(what_is_forgotten_is_not_heard_of),
		RING_TEST(many_at_once_are_all_mapped),
		RING_TEST(it_stops_with_requests_in_flight),
		RING_TEST(lies_are_not_for_libnatpmp),
		RING_TEST(an_address_that_changed_is_asked_for),
		RING_TEST(an_announced_restart_is_heard),
		RING_TEST(a_forged_announcement_loses_nothing),
		RING_TEST(the_other_protocols_announcement_counts),
		RING_TEST(a_server_that_has_only_begun_has_no_mappings),
		RING_TEST(answers_from_another_address_are_told),
		RING_TEST(an_answer_of_the_gateways_own_is_no_others),
		RING_TEST(no_address_is_no_external),
		RING_TEST(deletions_name_one_port),
	};

	return RING_TESTS_RUN(tests);
}
