/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcp_client_test: the PCP client on a fake clock, against gateways that answer, lose, refuse,
 * restart, lie and are silent. A failure of the long run prints its seed; SIM_SEED=N runs from it.
 *
 * links: natpmp/pcp_client.c natpmp/pcp_answers.c natpmp/pcp.c natpmp/epoch.c core/addr.c
 * links: portmap/driver.c
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "natpmp/pcp_client.h"

#define ROOM	  64u
#define LINE	  256u /* datagrams under way */
#define IDS	  40u
#define START_MS  1000000u
#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

enum manners { ANSWERS, SILENT, NATPMP_ONLY, GARBLED, NO_OPTIONS, REFUSES };

struct datagram {
	uint64_t at_ms; /* 0: the place is free */
	bool to_client;
	size_t len;
	uint8_t bytes[PCP_REQUEST_BYTES];
};

struct mapping {
	bool there;
	uint8_t nonce[PCP_NONCE_BYTES];
	uint8_t protocol;
	uint16_t internal, external;
};

/* What was heard of one id. */
struct diary {
	unsigned mapped, failed, gone, lost; /* lost: unmapped, but nobody answered */
	uint16_t port;
	uint32_t lifetime_s;
	enum portmap_failure failure;
	char why[PORTMAP_TEXT_BYTES];
	uint64_t at_ms;
};

struct world {
	struct portmap_heard heard; /* first: the callbacks get this */
	struct pcp_client client;
	uint64_t now_ms, random;

	enum manners manners;
	unsigned loss_percent;
	uint64_t delay_ms, boot_ms;
	bool ignores_prefer_failure;
	uint8_t result;
	struct addr external;
	uint16_t taken; /* an external port that is another's */
	struct mapping table[IDS];
	struct datagram line[LINE];
	unsigned requests; /* that reached the gateway's side of the wire */
	uint64_t sent_ms[LINE];
	unsigned sent;

	struct diary ids[IDS];
	unsigned available, unavailable, restarted, external_changed;
	enum portmap_failure failure;
	char why[PORTMAP_TEXT_BYTES];
	uint64_t verdict_ms;
	bool remaps; /* asks again from inside failed() */
};

static struct world *world_of(struct pcp_client *c)
{
	return (struct world *)((char *)c - offsetof(struct world, client));
}

static struct addr address(const char *text, uint16_t port)
{
	struct addr a;

	assert_true(addr_from_literal(text, port, &a));
	return a;
}

static uint64_t draw(struct world *w, uint64_t below)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (w->random >> 33) % below;
}

/* ---- the wire and the gateway ---- */

static void put(struct world *w, bool to_client, const uint8_t *bytes, size_t len)
{
	if (draw(w, 100) < w->loss_percent)
		return;
	for (size_t i = 0; i < LINE; i++) {
		struct datagram *d = &w->line[i];

		if (d->at_ms)
			continue;
		*d = (struct datagram){w->now_ms + w->delay_ms, to_client, len, {0}};
		memcpy(d->bytes, bytes, len);
		return;
	}
	fail_msg("more datagrams under way than the wire holds");
}

static void on_send(struct pcp_client *c, const uint8_t *bytes, size_t len)
{
	struct world *w = world_of(c);

	assert_true(len <= PCP_REQUEST_BYTES);
	w->sent_ms[w->sent++ % LINE] = w->now_ms;
	put(w, false, bytes, len);
}

static void put_u32(uint8_t *at, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(n >> (24 - 8 * i));
}

static struct mapping *find_mapping(struct world *w, const uint8_t *in)
{
	struct mapping *free_one = NULL;

	for (size_t i = 0; i < IDS; i++) {
		struct mapping *m = &w->table[i];

		if (m->there && m->protocol == in[36] && m->internal == (in[40] << 8 | in[41]))
			return m;
		if (!m->there)
			free_one = m;
	}
	return free_one;
}

/* Sections 11.3 and 15.1, as far as the tests need them. */
static uint8_t serve_map(struct world *w, uint8_t *out, size_t len)
{
	struct mapping *m = find_mapping(w, out);
	uint16_t wanted = (uint16_t)(out[42] << 8 | out[43]);
	bool prefer_failure = len > 60, deletion = memcmp(out + 4, "\0\0\0\0", 4) == 0;

	if (w->manners == REFUSES)
		return w->result;
	if (w->manners == NO_OPTIONS && prefer_failure)
		return PCP_UNSUPP_OPTION;
	if (m->there && memcmp(m->nonce, out + 24, PCP_NONCE_BYTES) != 0)
		return PCP_NOT_AUTHORIZED;
	if (deletion) {
		m->there = false;
		return PCP_SUCCESS;
	}
	if (!m->there) {
		if (wanted == w->taken && prefer_failure && !w->ignores_prefer_failure)
			return PCP_CANNOT_PROVIDE_EXTERNAL;
		m->there = true;
		memcpy(m->nonce, out + 24, PCP_NONCE_BYTES);
		m->protocol = out[36];
		m->internal = (uint16_t)(out[40] << 8 | out[41]);
		m->external = wanted == w->taken ? (uint16_t)(wanted + 1000) : wanted;
	}
	out[42] = (uint8_t)(m->external >> 8);
	out[43] = (uint8_t)m->external;
	memcpy(out + 56, &w->external.v4.sin_addr, 4);
	return PCP_SUCCESS;
}

static uint32_t epoch_now(const struct world *w)
{
	return (uint32_t)((w->now_ms - w->boot_ms) / 1000);
}

static void serve(struct world *w, const struct datagram *d)
{
	uint8_t out[PCP_REQUEST_BYTES];

	w->requests++;
	if (w->manners == SILENT)
		return;
	memcpy(out, d->bytes, d->len);
	out[1] |= 0x80;
	if (w->manners == NATPMP_ONLY) {
		put(w, true, (const uint8_t *)"\0\x80\0\1\0\0\0\7", 8);
		return;
	}
	if (w->manners == GARBLED) {
		put(w, true, out, d->len - 1);
		return;
	}
	if (d->bytes[1] == PCP_MAP)
		out[3] = serve_map(w, out, d->len);
	put_u32(out + 8, epoch_now(w));
	memset(out + 12, 0, 12);
	put(w, true, out, d->len);
}

static void announce(struct world *w)
{
	uint8_t out[24] = {2, 0x80};

	put_u32(out + 8, epoch_now(w));
	pcp_client_announced(&w->client, out, sizeof(out), w->now_ms);
}

static void reboot(struct world *w)
{
	w->boot_ms = w->now_ms;
	for (size_t i = 0; i < IDS; i++)
		w->table[i].there = false;
}

/* ---- what is heard ---- */

static struct portmap_request request(uint32_t id);

static void on_available(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			 const struct portmap_gateway *gateway)
{
	struct world *w = (struct world *)h;

	assert_int_equal(p, PORTMAP_PCP);
	assert_int_equal(f, PORTMAP_IPV4);
	assert_string_equal(gateway->about, "PCP version 2");
	w->available++;
	w->verdict_ms = w->now_ms;
}

static void on_unavailable(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			   enum portmap_failure failure, const char *why)
{
	struct world *w = (struct world *)h;

	w->unavailable++;
	w->failure = failure;
	w->verdict_ms = w->now_ms;
	snprintf(w->why, sizeof(w->why), "%s", why);
}

static void on_restarted(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			 const char *why)
{
	struct world *w = (struct world *)h;

	assert_true(strlen(why) > 20);
	w->restarted++;
}

static void on_external_changed(struct portmap_heard *h, enum portmap_protocol p,
				const struct addr *external)
{
	struct world *w = (struct world *)h;

	assert_int_equal(addr_port(external), 0);
	w->external_changed++;
}

static void on_mapped(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
		      const struct addr *external, uint32_t lifetime_s)
{
	struct world *w = (struct world *)h;

	w->ids[id].mapped++;
	w->ids[id].port = addr_port(external);
	w->ids[id].lifetime_s = lifetime_s;
	w->ids[id].at_ms = w->now_ms;
}

static void on_failed(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
		      enum portmap_failure failure, const char *why)
{
	struct world *w = (struct world *)h;
	struct portmap_request again = request(id);

	w->ids[id].failed++;
	w->ids[id].failure = failure;
	w->ids[id].at_ms = w->now_ms;
	snprintf(w->ids[id].why, sizeof(w->ids[id].why), "%s", why);
	if (w->remaps)
		pcp_client_map(&w->client, &again, w->now_ms);
}

static void on_unmapped(struct portmap_heard *h, enum portmap_protocol p, uint32_t id, bool ok)
{
	struct world *w = (struct world *)h;

	w->ids[id].gone += ok;
	w->ids[id].lost += !ok;
	w->ids[id].at_ms = w->now_ms;
}

/* ---- the loop ---- */

static void make_world(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->heard = (struct portmap_heard){
		.available = on_available,
		.unavailable = on_unavailable,
		.restarted = on_restarted,
		.external_changed = on_external_changed,
		.mapped = on_mapped,
		.failed = on_failed,
		.unmapped = on_unmapped,
	};
	w->now_ms = START_MS;
	w->random = seed;
	w->delay_ms = 2;
	w->external = address("45.0.0.10", 0);
	w->client.heard = &w->heard;
	w->client.family = PORTMAP_IPV4;
	w->client.gateway = address("192.168.77.1", PCP_PORT);
	w->client.source = address("192.168.77.2", 0);
	w->client.send = on_send;
	assert_int_equal(pcp_client_init(&w->client, ROOM, seed), 0);
}

static struct portmap_request request(uint32_t id)
{
	struct portmap_request r;

	memset(&r, 0, sizeof(r));
	r.id = id;
	r.transport = id % 2 ? PORTMAP_TCP : PORTMAP_UDP;
	r.internal = address("192.168.77.2", (uint16_t)(4000 + id / 2));
	r.external = address("0.0.0.0", (uint16_t)(4000 + id / 2));
	r.lifetime_s = 7200;
	memset(r.nonce, (int)id + 1, sizeof(r.nonce));
	return r;
}

static void map(struct world *w, uint32_t id)
{
	struct portmap_request r = request(id);

	pcp_client_map(&w->client, &r, w->now_ms);
}

static void unmap(struct world *w, uint32_t id)
{
	struct portmap_request r = request(id);

	pcp_client_unmap(&w->client, &r, w->now_ms);
}

static void deliver(struct world *w)
{
	for (size_t i = 0; i < LINE; i++) {
		struct datagram d = w->line[i];

		if (!d.at_ms || d.at_ms > w->now_ms)
			continue;
		w->line[i].at_ms = 0;
		if (d.to_client)
			pcp_client_receive(&w->client, d.bytes, d.len, w->now_ms);
		else
			serve(w, &d);
	}
}

static void run_until(struct world *w, uint64_t end_ms)
{
	unsigned idle = 0;

	while (w->now_ms < end_ms) {
		uint64_t next = pcp_client_due(&w->client), was = w->now_ms;

		for (size_t i = 0; i < LINE; i++) {
			if (w->line[i].at_ms && w->line[i].at_ms < next)
				next = w->line[i].at_ms;
		}
		w->now_ms = next > end_ms ? end_ms : next > was ? next : was;
		idle = w->now_ms == was ? idle + 1 : 0;
		if (idle > 1000)
			fail_msg("something is due for ever");
		deliver(w);
		pcp_client_tick(&w->client, w->now_ms);
	}
}

static void run_for(struct world *w, uint64_t ms)
{
	run_until(w, w->now_ms + ms);
}

/* A gateway that answers, looked at. */
static void make_up(struct world *w, uint64_t seed)
{
	make_world(w, seed);
	pcp_client_probe(&w->client, w->now_ms);
	run_for(w, 100);
	assert_int_equal(w->available, 1);
}

static void end(struct world *w)
{
	pcp_client_free(&w->client);
}

static struct world world;
static struct world *const w = &world;

/* ---- coming up ---- */

static void the_first_mapping_takes_one_round_trip(void **state)
{
	make_world(w, 1);
	pcp_client_probe(&w->client, w->now_ms);
	map(w, 1);
	run_for(w, 100);
	assert_int_equal(w->available, 1);
	assert_int_equal(w->ids[1].mapped, 1);
	assert_int_equal(w->ids[1].at_ms, START_MS + 4);
	assert_int_equal(w->ids[1].port, 4000);
	assert_int_equal(w->ids[1].lifetime_s, 7200);
	assert_int_equal(w->restarted, 0);
	end(w);
}

static void nothing_is_heard_from_inside_a_call(void **state)
{
	struct portmap_request r = request(2);

	make_world(w, 1);
	w->delay_ms = 0;
	r.internal.v4.sin_addr.s_addr = htonl(0x0a000001);
	pcp_client_probe(&w->client, w->now_ms);
	map(w, 1);
	pcp_client_map(&w->client, &r, w->now_ms);
	unmap(w, 3);
	pcp_client_forget(&w->client, 1);
	assert_int_equal(w->available + w->unavailable + w->ids[1].mapped + w->ids[2].failed, 0);
	run_for(w, 100);
	assert_int_equal(w->ids[1].mapped + w->ids[1].failed, 0);
	assert_int_equal(w->ids[2].failed, 1);
	assert_int_equal(w->ids[2].failure, PORTMAP_UNSUPPORTED);
	assert_int_equal(w->ids[3].gone, 1);
	end(w);
}

static void a_silent_gateway_is_passed_over_in_seconds(void **state)
{
	make_world(w, 1);
	w->manners = SILENT;
	pcp_client_probe(&w->client, w->now_ms);
	map(w, 1);
	run_for(w, 5000);
	assert_int_equal(w->unavailable, 1);
	assert_int_equal(w->failure, PORTMAP_SILENT);
	assert_int_equal(w->verdict_ms, START_MS + 3750);
	assert_int_equal(w->ids[1].failed, 1);
	assert_int_equal(w->ids[1].failure, PORTMAP_SILENT);
	end(w);
}

/* It goes on being asked, at intervals that grow to section 8.1.1's greatest, and is found. */
static void a_silent_gateway_is_asked_again_at_growing_intervals(void **state)
{
	uint64_t last, gap = 0;

	make_world(w, 7);
	w->manners = SILENT;
	pcp_client_probe(&w->client, w->now_ms);
	run_for(w, 5000);
	for (unsigned i = 0, asked = w->sent; i < 12; i++, asked = w->sent) {
		last = w->sent_ms[asked - 1];
		while (w->sent == asked)
			run_for(w, 10);
		gap = w->sent_ms[asked] - last;
		assert_in_range(gap, PCP_REPROBE_MS * 9 / 10, PCP_MRT_MS * 11 / 10);
	}
	assert_in_range(gap, PCP_MRT_MS * 9 / 10, PCP_MRT_MS * 11 / 10);
	assert_int_equal(w->unavailable, 1);
	w->manners = ANSWERS;
	run_for(w, PCP_MRT_MS * 12 / 10);
	assert_int_equal(w->available, 1);
	end(w);
}

static void gateways_without_pcp_are_told_apart(void **state)
{
	static const struct {
		enum manners manners;
		enum portmap_failure failure;
		uint64_t at_ms;
	} cases[] = {
		{NATPMP_ONLY, PORTMAP_UNSUPPORTED, START_MS + 4},
		{GARBLED, PORTMAP_MALFORMED, START_MS + 3750},
	};

	for (size_t i = 0; i < LENGTH(cases); i++) {
		make_world(w, 1);
		w->manners = cases[i].manners;
		pcp_client_probe(&w->client, w->now_ms);
		map(w, 1);
		run_for(w, 5000);
		assert_int_equal(w->unavailable, 1);
		assert_int_equal(w->failure, cases[i].failure);
		assert_int_equal(w->verdict_ms, cases[i].at_ms);
		assert_int_equal(w->ids[1].failed, 1);
		assert_int_equal(w->available, 0);
		end(w);
	}
}

static void a_closed_port_is_believed_until_it_answered(void **state)
{
	make_world(w, 1);
	w->manners = SILENT;
	pcp_client_probe(&w->client, w->now_ms);
	pcp_client_unreachable(&w->client, w->now_ms);
	assert_int_equal(w->failure, PORTMAP_UNSUPPORTED);
	assert_int_equal(w->unavailable, 1);
	pcp_client_unreachable(&w->client, w->now_ms);
	assert_int_equal(w->unavailable, 1);
	end(w);

	make_up(w, 1);
	pcp_client_probe(&w->client, w->now_ms);
	pcp_client_unreachable(&w->client, w->now_ms);
	run_for(w, 100);
	assert_int_equal(w->unavailable, 0);
	assert_int_equal(w->available, 2);
	end(w);
}

/* ---- retransmission ---- */

static void requests_are_sent_again_as_section_8_1_1_says(void **state)
{
	unsigned before;

	make_up(w, 3);
	before = w->sent;
	w->manners = SILENT;
	map(w, 1);
	run_for(w, 60000);
	assert_true(w->sent - before >= PCP_TRIES);
	assert_in_range(w->sent_ms[before + 1] - w->sent_ms[before], 2700, 3300);
	assert_in_range(w->sent_ms[before + 2] - w->sent_ms[before + 1], 5400, 6600);
	assert_int_equal(w->ids[1].failed, 1);
	assert_in_range(w->ids[1].at_ms - w->sent_ms[before + 2], 10800, 13200);
	end(w);
}

/* What was lost while nobody knew that the gateway speaks PCP does not count against it. */
static void impatience_ends_with_the_first_answer(void **state)
{
	const uint8_t answer[24] = {2, 0x80};

	make_world(w, 1);
	w->manners = SILENT;
	pcp_client_probe(&w->client, w->now_ms);
	map(w, 1);
	run_for(w, 800);
	pcp_client_receive(&w->client, answer, sizeof(answer), w->now_ms);
	assert_int_equal(w->available, 1);
	run_for(w, 2000);
	assert_int_equal(w->ids[1].failed, 0);
	w->manners = ANSWERS;
	run_for(w, 7000);
	assert_int_equal(w->ids[1].mapped, 1);
	end(w);
}

static void intervals_differ_from_client_to_client(void **state)
{
	uint64_t least = UINT64_MAX, most = 0;

	for (uint64_t seed = 1; seed < 50; seed++) {
		unsigned before;
		uint64_t gap;

		make_up(w, seed * 0x9e3779b97f4a7c15u);
		before = w->sent;
		w->manners = SILENT;
		map(w, 1);
		run_for(w, 5000);
		gap = w->sent_ms[before + 1] - w->sent_ms[before];
		least = gap < least ? gap : least;
		most = gap > most ? gap : most;
		end(w);
	}
	assert_in_range(least, 2700, 2800);
	assert_in_range(most, 3200, 3300);
}

static void a_gateway_that_falls_silent_is_down_and_all_fails(void **state)
{
	make_up(w, 1);
	map(w, 1);
	map(w, 2);
	run_for(w, 1000);
	w->manners = SILENT;
	map(w, 1);
	run_for(w, 1000);
	map(w, 2);
	unmap(w, 3);
	run_for(w, 25000);
	assert_int_equal(w->unavailable, 1);
	assert_int_equal(w->failure, PORTMAP_SILENT);
	assert_int_equal(w->ids[1].failed, 1);
	assert_int_equal(w->ids[2].failed, 1);
	assert_int_equal(w->ids[3].lost, 1);
	w->manners = ANSWERS;
	run_for(w, 600000);
	assert_int_equal(w->available, 2);
	assert_int_equal(w->restarted, 0); /* its epoch went on */
	end(w);
}

static void what_is_asked_from_inside_a_failure_lives(void **state)
{
	make_up(w, 1);
	w->manners = SILENT;
	w->remaps = true;
	for (uint32_t id = 1; id < 20; id++)
		map(w, id);
	while (w->unavailable == 0)
		run_for(w, 100);
	w->remaps = false;
	w->manners = ANSWERS;
	run_for(w, 5000);
	for (uint32_t id = 1; id < 20; id++) {
		assert_int_equal(w->ids[id].failed, 1);
		assert_int_equal(w->ids[id].mapped, 1);
	}
	end(w);
}

static void many_requests_are_spaced(void **state)
{
	make_up(w, 1);
	run_for(w, 1000);
	w->requests = 0;
	for (uint32_t id = 0; id < IDS; id++)
		map(w, id);
	run_for(w, 5);
	assert_int_equal(w->requests, PCP_BURST);
	run_for(w, 1000);
	for (uint32_t id = 0; id < IDS; id++)
		assert_int_equal(w->ids[id].mapped, 1);
	assert_int_equal(w->requests, IDS);
	end(w);
}

/* ---- answers ---- */

static void results_become_failures(void **state)
{
	static const enum portmap_failure wanted[] = {
		[PCP_NOT_AUTHORIZED] = PORTMAP_REFUSED,
		[PCP_MALFORMED_REQUEST] = PORTMAP_MALFORMED,
		[PCP_UNSUPP_OPCODE] = PORTMAP_UNSUPPORTED,
		[PCP_UNSUPP_OPTION] = PORTMAP_UNSUPPORTED,
		[PCP_MALFORMED_OPTION] = PORTMAP_MALFORMED,
		[PCP_NETWORK_FAILURE] = PORTMAP_NO_EXTERNAL,
		[PCP_NO_RESOURCES] = PORTMAP_NO_RESOURCES,
		[PCP_UNSUPP_PROTOCOL] = PORTMAP_UNSUPPORTED,
		[PCP_USER_EX_QUOTA] = PORTMAP_NO_RESOURCES,
		[PCP_CANNOT_PROVIDE_EXTERNAL] = PORTMAP_CONFLICT,
		[PCP_ADDRESS_MISMATCH] = PORTMAP_REFUSED,
		[PCP_EXCESSIVE_REMOTE_PEERS] = PORTMAP_NO_RESOURCES,
		[PCP_RESULTS] = PORTMAP_REFUSED,
	};

	for (unsigned result = PCP_NOT_AUTHORIZED; result < LENGTH(wanted); result++) {
		make_up(w, 1);
		w->manners = REFUSES;
		w->result = (uint8_t)result;
		map(w, 1);
		run_for(w, 100);
		assert_int_equal(w->ids[1].failed, 1);
		assert_int_equal(w->ids[1].failure, wanted[result]);
		assert_non_null(strstr(w->ids[1].why, pcp_result_name(result)));
		assert_non_null(strstr(w->ids[1].why, "7200 s"));
		end(w);
	}
}

static void deletion_needs_the_nonce(void **state)
{
	struct portmap_request r = request(1);

	make_up(w, 1);
	map(w, 1);
	run_for(w, 100);
	assert_int_equal(w->ids[1].mapped, 1);
	unmap(w, 1);
	run_for(w, 100);
	assert_int_equal(w->ids[1].gone, 1);
	for (size_t i = 0; i < IDS; i++)
		assert_false(w->table[i].there);
	/* Another's mapping stays. */
	map(w, 1);
	run_for(w, 100);
	memset(r.nonce, 77, sizeof(r.nonce));
	r.id = 5;
	pcp_client_unmap(&w->client, &r, w->now_ms);
	run_for(w, 100);
	assert_int_equal(w->ids[5].gone, 1);
	assert_true(find_mapping(w, (const uint8_t[64]){[36] = 6, [40] = 15, [41] = 160})->there);
	end(w);
}

/* An answer that was under way when the port was asked for again. */
static void the_late_answer_to_a_deletion_grants_nothing(void **state)
{
	make_up(w, 1);
	map(w, 1);
	run_for(w, 100);
	unmap(w, 1);
	run_for(w, 3); /* the answer is on its way back */
	map(w, 1);
	run_for(w, 2);
	assert_int_equal(w->ids[1].mapped, 1);
	run_for(w, 100);
	assert_int_equal(w->ids[1].mapped, 2);
	assert_int_equal(w->ids[1].lifetime_s, 7200);
	end(w);
}

static void unmapping_ends_a_mapping_under_way(void **state)
{
	make_up(w, 1);
	map(w, 1);
	unmap(w, 1);
	run_for(w, 100);
	assert_int_equal(w->ids[1].mapped, 0);
	assert_int_equal(w->ids[1].gone, 1);
	end(w);
}

static void only_the_port_wanted_will_do(void **state)
{
	static const struct {
		enum manners manners;
		bool ignores;
	} cases[] = {{ANSWERS, false}, {ANSWERS, true}, {NO_OPTIONS, false}};

	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct portmap_request r = request(1), free_port = request(3);

		make_up(w, 1);
		w->manners = cases[i].manners;
		w->ignores_prefer_failure = cases[i].ignores;
		w->taken = addr_port(&r.external);
		r.prefer_failure = free_port.prefer_failure = true;
		pcp_client_map(&w->client, &r, w->now_ms);
		pcp_client_map(&w->client, &free_port, w->now_ms);
		run_for(w, 100);
		assert_int_equal(w->ids[1].mapped, 0);
		assert_int_equal(w->ids[1].failed, 1);
		assert_int_equal(w->ids[1].failure, PORTMAP_CONFLICT);
		assert_int_equal(w->ids[3].mapped, 1);
		/* What it gave instead was given back. */
		for (size_t k = 0; k < IDS; k++)
			assert_false(w->table[k].there && w->table[k].external == 5000);
		end(w);
	}
}

static void another_port_will_do_where_it_may(void **state)
{
	make_up(w, 1);
	w->taken = 4000;
	map(w, 1);
	run_for(w, 100);
	assert_int_equal(w->ids[1].mapped, 1);
	assert_int_equal(w->ids[1].port, 5000);
	end(w);
}

/* Every field that must match, wrong one by one. */
static void answers_to_others_change_nothing(void **state)
{
	static const size_t fields[] = {24, 30, 35, 36, 40, 41};

	for (size_t i = 0; i < LENGTH(fields); i++) {
		uint8_t answer[60] = {2, 0x81, 0, 0, 0, 0, 0, 60};

		make_up(w, 1);
		w->manners = SILENT;
		map(w, 1);
		memset(answer + 24, 2, PCP_NONCE_BYTES);
		answer[36] = PCP_TCP;
		memcpy(answer + 40, "\x0f\xa0\x0f\xa0", 4);
		answer[fields[i]] ^= 1;
		pcp_client_receive(&w->client, answer, sizeof(answer), w->now_ms);
		assert_int_equal(w->ids[1].mapped, 0);
		assert_int_equal(w->client.strays, 1);
		assert_int_equal(w->restarted, 0);
		answer[fields[i]] ^= 1;
		pcp_client_receive(&w->client, answer, sizeof(answer) - 4, w->now_ms);
		assert_int_equal(w->ids[1].mapped, 0);
		assert_int_equal(w->client.malformed, 1);
		pcp_client_receive(&w->client, answer, sizeof(answer), w->now_ms);
		assert_int_equal(w->ids[1].mapped, 1);
		end(w);
	}
}

static void another_external_address_is_told_once(void **state)
{
	make_up(w, 1);
	map(w, 1);
	run_for(w, 100);
	assert_int_equal(w->external_changed, 0);
	w->external = address("45.0.0.11", 0);
	map(w, 1);
	map(w, 2);
	run_for(w, 100);
	assert_int_equal(w->external_changed, 1);
	end(w);
}

static void what_a_server_tells_by_itself_is_heeded(void **state)
{
	uint8_t answer[60] = {2, 0x81, 0, 0, 0, 0, 0, 60};

	make_up(w, 1);
	map(w, 1);
	run_for(w, 100);
	put_u32(answer + 8, epoch_now(w));
	memset(answer + 24, 2, PCP_NONCE_BYTES);
	answer[36] = PCP_TCP;
	memcpy(answer + 40, "\x0f\xa0\x0f\xa0", 4);
	memcpy(answer + 54, "\xff\xff\x2d\0\0\x0a", 6);
	pcp_client_receive(&w->client, answer, sizeof(answer), w->now_ms); /* as it was */
	assert_int_equal(w->restarted, 0);
	answer[43] = 1;
	pcp_client_receive(&w->client, answer, sizeof(answer), w->now_ms);
	assert_int_equal(w->restarted, 1);
	assert_int_equal(w->ids[1].mapped, 1);
	end(w);
}

/* ---- restarts ---- */

static void a_reboot_that_is_announced_is_heard_at_once(void **state)
{
	make_up(w, 1);
	map(w, 1);
	run_for(w, 600000);
	announce(w);
	assert_int_equal(w->restarted, 0);
	reboot(w);
	run_for(w, 500);
	announce(w);
	assert_int_equal(w->restarted, 1);
	run_for(w, 250);
	announce(w); /* they are repeated */
	map(w, 1);
	run_for(w, 10000);
	announce(w);
	assert_int_equal(w->restarted, 1);
	assert_int_equal(w->ids[1].mapped, 2);
	end(w);
}

static void a_reboot_that_is_not_shows_at_the_next_answer(void **state)
{
	make_up(w, 1);
	map(w, 1);
	run_for(w, 600000);
	reboot(w);
	run_for(w, 5000);
	map(w, 2);
	run_for(w, 100);
	assert_int_equal(w->restarted, 1);
	assert_int_equal(w->ids[2].mapped, 1);
	end(w);
}

static void forged_announcements_are_believed_rarely(void **state)
{
	make_up(w, 1);
	for (unsigned i = 0; i < 1000; i++) {
		uint8_t out[24] = {2, 0x80, 0, 0, 0, 0, 0, 0, (uint8_t)i};

		pcp_client_announced(&w->client, out, sizeof(out), w->now_ms);
		run_for(w, 10);
	}
	assert_in_range(w->restarted, 1, 3);
	end(w);
}

static void an_announcement_wakes_whom_we_gave_up(void **state)
{
	make_world(w, 1);
	w->manners = SILENT;
	pcp_client_probe(&w->client, w->now_ms);
	run_for(w, 3600000);
	assert_int_equal(w->unavailable, 1);
	w->manners = ANSWERS;
	announce(w);
	assert_int_equal(w->available, 0); /* only its own answer counts */
	run_for(w, 100);
	assert_int_equal(w->available, 1);
	end(w);
}

static void a_stopped_client_says_nothing(void **state)
{
	make_up(w, 1);
	map(w, 1);
	run_for(w, 1);
	pcp_client_stop(&w->client);
	w->requests = 0;
	run_for(w, 100000);
	map(w, 2);
	pcp_client_probe(&w->client, w->now_ms);
	assert_true(pcp_client_due(&w->client) == UINT64_MAX);
	assert_int_equal(w->ids[1].mapped + w->ids[1].failed + w->ids[2].failed, 0);
	assert_int_equal(w->requests, 1);
	end(w);
}

/* ---- days with a gateway that does whatever it likes ---- */

struct expectation {
	unsigned maps, unmaps; /* asked, of those that were not forgotten */
	bool in_flight;
	uint64_t since_ms;
};

static unsigned answers_of(const struct diary *d)
{
	return d->mapped + d->failed + d->gone + d->lost;
}

static void ask_something(struct expectation *x, uint32_t id)
{
	bool busy = answers_of(&w->ids[id]) < x->maps + x->unmaps;
	uint64_t die = draw(w, 10);

	if (busy && die < 8) {
		/* Nothing waits longer than three sendings, with the last one's patience. */
		if (w->now_ms - x->since_ms > 30000)
			fail_msg("id %u waits since %" PRIu64 " ms", id, w->now_ms - x->since_ms);
		return;
	}
	if (busy) {
		pcp_client_forget(&w->client, id);
		x->maps = answers_of(&w->ids[id]);
		x->unmaps = 0;
		return;
	}
	x->since_ms = w->now_ms;
	if (die < 7) {
		x->maps++;
		map(w, id);
	} else {
		x->unmaps++;
		unmap(w, id);
	}
}

static void live_through(uint64_t seed)
{
	static struct expectation x[IDS];

	memset(x, 0, sizeof(x));
	make_world(w, seed);
	pcp_client_probe(&w->client, w->now_ms);
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t die = draw(w, 200);
		uint32_t id = (uint32_t)draw(w, IDS);

		if (die == 0)
			reboot(w);
		if (die < 3)
			announce(w);
		if (die == 3)
			w->manners = (enum manners)draw(w, REFUSES + 1);
		if (die < 20)
			w->manners = ANSWERS;
		if (die == 20)
			pcp_client_probe(&w->client, w->now_ms);
		w->loss_percent = die > 150 ? 30 : 0;
		w->result = (uint8_t)draw(w, 16);
		ask_something(&x[id], id);
		run_for(w, draw(w, 2000));
	}
	w->manners = ANSWERS;
	w->loss_percent = 0;
	run_for(w, 40000);
	for (uint32_t id = 0; id < IDS; id++) {
		if (answers_of(&w->ids[id]) != x[id].maps + x[id].unmaps)
			fail_msg("seed %" PRIu64 ": id %u: %u answers to %u questions", seed, id,
				 answers_of(&w->ids[id]), x[id].maps + x[id].unmaps);
	}
	end(w);
}

static void every_question_gets_one_answer(void **state)
{
	const char *given = getenv("SIM_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);

	print_message("SIM_SEED=%" PRIu64 "\n", seed);
	for (uint64_t i = 0; i < 20; i++)
		live_through(seed + i * 1000003);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_mapping_takes_one_round_trip),
		cmocka_unit_test(nothing_is_heard_from_inside_a_call),
		cmocka_unit_test(a_silent_gateway_is_passed_over_in_seconds),
		cmocka_unit_test(a_silent_gateway_is_asked_again_at_growing_intervals),
		cmocka_unit_test(gateways_without_pcp_are_told_apart),
		cmocka_unit_test(a_closed_port_is_believed_until_it_answered),
		cmocka_unit_test(requests_are_sent_again_as_section_8_1_1_says),
		cmocka_unit_test(impatience_ends_with_the_first_answer),
		cmocka_unit_test(intervals_differ_from_client_to_client),
		cmocka_unit_test(a_gateway_that_falls_silent_is_down_and_all_fails),
		cmocka_unit_test(what_is_asked_from_inside_a_failure_lives),
		cmocka_unit_test(many_requests_are_spaced),
		cmocka_unit_test(results_become_failures),
		cmocka_unit_test(deletion_needs_the_nonce),
		cmocka_unit_test(the_late_answer_to_a_deletion_grants_nothing),
		cmocka_unit_test(unmapping_ends_a_mapping_under_way),
		cmocka_unit_test(only_the_port_wanted_will_do),
		cmocka_unit_test(another_port_will_do_where_it_may),
		cmocka_unit_test(answers_to_others_change_nothing),
		cmocka_unit_test(another_external_address_is_told_once),
		cmocka_unit_test(what_a_server_tells_by_itself_is_heeded),
		cmocka_unit_test(a_reboot_that_is_announced_is_heard_at_once),
		cmocka_unit_test(a_reboot_that_is_not_shows_at_the_next_answer),
		cmocka_unit_test(forged_announcements_are_believed_rarely),
		cmocka_unit_test(an_announcement_wakes_whom_we_gave_up),
		cmocka_unit_test(a_stopped_client_says_nothing),
		cmocka_unit_test(every_question_gets_one_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
