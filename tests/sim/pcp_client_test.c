/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcp_client_test: the PCP client on a fake clock, against gateways that answer, refuse, lie and
 * are silent.
 *
 * links: portmap/gateway/driver.c
 * links: natpmp/pcp_client.c natpmp/pcp_answers.c natpmp/pcp.c natpmp/epoch.c core/addr.c
 * links: portmap/gateway/driver.c tests/support/pcp_world.c
 */
#include <string.h>

#include "tests/support/pcp_world.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static struct pcp_world world;
static struct pcp_world *const w = &world;

/* ---- coming up ---- */

static void the_first_mapping_takes_one_round_trip(void **state)
{
	pcp_world_make(w, 1);
	pcp_client_probe(&w->client, w->now_ms);
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 100);
	assert_int_equal(w->available, 1);
	assert_int_equal(w->ids[1].mapped, 1);
	assert_int_equal(w->ids[1].at_ms, PCP_WORLD_START_MS + 4);
	assert_int_equal(w->ids[1].port, 4000);
	assert_int_equal(w->ids[1].lifetime_s, 7200);
	assert_int_equal(w->restarted, 0);
	pcp_world_end(w);
}

static void nothing_is_heard_from_inside_a_call(void **state)
{
	struct portmap_request r = pcp_world_request(2);

	pcp_world_make(w, 1);
	w->delay_ms = 0;
	r.internal.v4.sin_addr.s_addr = htonl(0x0a000001);
	pcp_client_probe(&w->client, w->now_ms);
	pcp_world_map(w, 1);
	pcp_client_map(&w->client, &r, w->now_ms);
	pcp_world_unmap(w, 3);
	pcp_client_forget(&w->client, 1);
	assert_int_equal(w->available + w->unavailable + w->ids[1].mapped + w->ids[2].failed, 0);
	pcp_world_run_for(w, 100);
	assert_int_equal(w->ids[1].mapped + w->ids[1].failed, 0);
	assert_int_equal(w->ids[2].failed, 1);
	assert_int_equal(w->ids[2].failure, PORTMAP_UNSUPPORTED);
	assert_int_equal(w->ids[3].gone, 1);
	pcp_world_end(w);
}

static void a_silent_gateway_is_passed_over_in_seconds(void **state)
{
	pcp_world_make(w, 1);
	w->manners = SILENT;
	pcp_client_probe(&w->client, w->now_ms);
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 5000);
	assert_int_equal(w->unavailable, 1);
	assert_int_equal(w->failure, PORTMAP_SILENT);
	assert_int_equal(w->verdict_ms, PCP_WORLD_START_MS + 3750);
	assert_int_equal(w->ids[1].failed, 1);
	assert_int_equal(w->ids[1].failure, PORTMAP_SILENT);
	pcp_world_end(w);
}

/* A pair whose members answer from their own addresses: no answer, but told as what it is. */
static void answers_from_elsewhere_are_told(void **state)
{
	struct addr other = pcp_world_address("192.168.77.253", PCP_PORT);

	pcp_world_make(w, 1);
	w->manners = SILENT;
	pcp_client_probe(&w->client, w->now_ms);
	pcp_client_elsewhere(&w->client, &w->client.gateway); /* that is no other */
	pcp_world_run_for(w, 1000);
	assert_int_equal(w->client.elsewhere.len, 0);
	pcp_client_elsewhere(&w->client, &other);
	pcp_world_run_for(w, 3000);
	assert_int_equal(w->unavailable, 1);
	assert_int_equal(w->failure, PORTMAP_MALFORMED);
	/* What is told of one probe says nothing of the next. */
	pcp_client_elsewhere(&w->client, &other);
	pcp_client_probe(&w->client, w->now_ms);
	pcp_world_run_for(w, 4000);
	assert_int_equal(w->unavailable, 2);
	assert_int_equal(w->failure, PORTMAP_SILENT);
	pcp_world_end(w);
}

/* It goes on being asked, at intervals that grow to section 8.1.1's greatest, and is found. */
static void a_silent_gateway_is_asked_again_at_growing_intervals(void **state)
{
	uint64_t last, gap = 0;

	pcp_world_make(w, 7);
	w->manners = SILENT;
	pcp_client_probe(&w->client, w->now_ms);
	pcp_world_run_for(w, 5000);
	for (unsigned i = 0, asked = w->sent; i < 12; i++, asked = w->sent) {
		last = w->sent_ms[asked - 1];
		while (w->sent == asked)
			pcp_world_run_for(w, 10);
		gap = w->sent_ms[asked] - last;
		assert_in_range(gap, PCP_REPROBE_MS * 9 / 10, PCP_MRT_MS * 11 / 10);
	}
	assert_in_range(gap, PCP_MRT_MS * 9 / 10, PCP_MRT_MS * 11 / 10);
	assert_int_equal(w->unavailable, 1);
	w->manners = ANSWERS;
	pcp_world_run_for(w, PCP_MRT_MS * 12 / 10);
	assert_int_equal(w->available, 1);
	pcp_world_end(w);
}

static void gateways_without_pcp_are_told_apart(void **state)
{
	static const struct {
		enum pcp_world_manners manners;
		enum portmap_failure failure;
		uint64_t at_ms;
	} cases[] = {
		{NATPMP_ONLY, PORTMAP_UNSUPPORTED, PCP_WORLD_START_MS + 4},
		{GARBLED, PORTMAP_MALFORMED, PCP_WORLD_START_MS + 3750},
	};

	for (size_t i = 0; i < LENGTH(cases); i++) {
		pcp_world_make(w, 1);
		w->manners = cases[i].manners;
		pcp_client_probe(&w->client, w->now_ms);
		pcp_world_map(w, 1);
		pcp_world_run_for(w, 5000);
		assert_int_equal(w->unavailable, 1);
		assert_int_equal(w->failure, cases[i].failure);
		assert_int_equal(w->verdict_ms, cases[i].at_ms);
		assert_int_equal(w->ids[1].failed, 1);
		assert_int_equal(w->available, 0);
		pcp_world_end(w);
	}
}

static void a_closed_port_is_believed_until_it_answered(void **state)
{
	pcp_world_make(w, 1);
	w->manners = SILENT;
	pcp_client_probe(&w->client, w->now_ms);
	pcp_client_unreachable(&w->client, w->now_ms);
	assert_int_equal(w->failure, PORTMAP_UNSUPPORTED);
	assert_int_equal(w->unavailable, 1);
	pcp_client_unreachable(&w->client, w->now_ms);
	assert_int_equal(w->unavailable, 1);
	pcp_world_end(w);

	pcp_world_make_up(w, 1);
	pcp_client_probe(&w->client, w->now_ms);
	pcp_client_unreachable(&w->client, w->now_ms);
	pcp_world_run_for(w, 100);
	assert_int_equal(w->unavailable, 0);
	assert_int_equal(w->available, 2);
	pcp_world_end(w);
}

/* ---- retransmission ---- */

static void requests_are_sent_again_as_section_8_1_1_says(void **state)
{
	unsigned before;

	pcp_world_make_up(w, 3);
	before = w->sent;
	w->manners = SILENT;
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 60000);
	assert_true(w->sent - before >= PCP_TRIES);
	assert_in_range(w->sent_ms[before + 1] - w->sent_ms[before], 2700, 3300);
	assert_in_range(w->sent_ms[before + 2] - w->sent_ms[before + 1], 5400, 6600);
	assert_int_equal(w->ids[1].failed, 1);
	assert_in_range(w->ids[1].at_ms - w->sent_ms[before + 2], 10800, 13200);
	pcp_world_end(w);
}

/* What was lost while it was not known that the gateway speaks PCP does not count against it. */
static void impatience_ends_with_the_first_answer(void **state)
{
	const uint8_t answer[24] = {2, 0x80};

	pcp_world_make(w, 1);
	w->manners = SILENT;
	pcp_client_probe(&w->client, w->now_ms);
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 800);
	pcp_client_receive(&w->client, answer, sizeof(answer), w->now_ms);
	assert_int_equal(w->available, 1);
	pcp_world_run_for(w, 2000);
	assert_int_equal(w->ids[1].failed, 0);
	w->manners = ANSWERS;
	pcp_world_run_for(w, 7000);
	assert_int_equal(w->ids[1].mapped, 1);
	pcp_world_end(w);
}

static void intervals_differ_from_client_to_client(void **state)
{
	uint64_t least = UINT64_MAX, most = 0;

	for (uint64_t seed = 1; seed < 50; seed++) {
		unsigned before;
		uint64_t gap;

		pcp_world_make_up(w, seed * 0x9e3779b97f4a7c15u);
		before = w->sent;
		w->manners = SILENT;
		pcp_world_map(w, 1);
		pcp_world_run_for(w, 5000);
		gap = w->sent_ms[before + 1] - w->sent_ms[before];
		least = gap < least ? gap : least;
		most = gap > most ? gap : most;
		pcp_world_end(w);
	}
	assert_in_range(least, 2700, 2800);
	assert_in_range(most, 3200, 3300);
}

static void a_gateway_that_falls_silent_is_down_and_all_fails(void **state)
{
	pcp_world_make_up(w, 1);
	pcp_world_map(w, 1);
	pcp_world_map(w, 2);
	pcp_world_run_for(w, 1000);
	w->manners = SILENT;
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 1000);
	pcp_world_map(w, 2);
	pcp_world_unmap(w, 3);
	pcp_world_run_for(w, 25000);
	assert_int_equal(w->unavailable, 1);
	assert_int_equal(w->failure, PORTMAP_SILENT);
	assert_int_equal(w->ids[1].failed, 1);
	assert_int_equal(w->ids[2].failed, 1);
	assert_int_equal(w->ids[3].lost, 1);
	w->manners = ANSWERS;
	pcp_world_run_for(w, 600000);
	assert_int_equal(w->available, 2);
	assert_int_equal(w->restarted, 0); /* its epoch went on */
	pcp_world_end(w);
}

/* It answers others meanwhile, so it is there. */
static void one_request_that_is_not_answered_is_no_silence(void **state)
{
	struct portmap_request unanswered = pcp_world_request(1);

	pcp_world_make_up(w, 5);
	w->ignored = addr_port(&unanswered.internal);
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 5000);
	pcp_world_map(w, 2);
	pcp_world_run_for(w, 60000);
	assert_int_equal(w->ids[2].mapped, 1);
	assert_int_equal(w->ids[1].failed, 1);
	assert_int_equal(w->ids[1].failure, PORTMAP_SILENT);
	assert_int_equal(w->unavailable, 0);
	pcp_world_end(w);
}

static void what_is_in_flight_is_not_dropped_for_what_comes(void **state)
{
	pcp_world_make_up(w, 5);
	w->manners = SILENT;
	for (uint32_t id = 1; id <= PCP_WORLD_ROOM + 1; id++)
		pcp_world_map(w, id);
	for (uint32_t i = 0; i < PCP_WORLD_ROOM; i++)
		assert_int_equal(w->client.tasks[i].request.id, i + 1);
	pcp_world_end(w);
}

static void what_is_asked_from_inside_a_failure_lives(void **state)
{
	pcp_world_make_up(w, 1);
	w->manners = SILENT;
	w->remaps = true;
	for (uint32_t id = 1; id < 20; id++)
		pcp_world_map(w, id);
	while (w->unavailable == 0)
		pcp_world_run_for(w, 100);
	w->remaps = false;
	w->manners = ANSWERS;
	pcp_world_run_for(w, 5000);
	for (uint32_t id = 1; id < 20; id++) {
		assert_int_equal(w->ids[id].failed, 1);
		assert_int_equal(w->ids[id].mapped, 1);
	}
	pcp_world_end(w);
}

static void many_requests_are_spaced(void **state)
{
	pcp_world_make_up(w, 1);
	pcp_world_run_for(w, 1000);
	w->requests = 0;
	for (uint32_t id = 0; id < PCP_WORLD_IDS; id++)
		pcp_world_map(w, id);
	pcp_world_run_for(w, 5);
	assert_int_equal(w->requests, PCP_BURST);
	pcp_world_run_for(w, 1000);
	for (uint32_t id = 0; id < PCP_WORLD_IDS; id++)
		assert_int_equal(w->ids[id].mapped, 1);
	assert_int_equal(w->requests, PCP_WORLD_IDS);
	pcp_world_end(w);
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
		pcp_world_make_up(w, 1);
		w->manners = REFUSES;
		w->result = (uint8_t)result;
		pcp_world_map(w, 1);
		pcp_world_run_for(w, 100);
		assert_int_equal(w->ids[1].failed, 1);
		assert_int_equal(w->ids[1].failure, wanted[result]);
		assert_non_null(strstr(w->ids[1].why, pcp_result_name(result)));
		assert_non_null(strstr(w->ids[1].why, "7200 s"));
		pcp_world_end(w);
	}
}

/* A server whose rules allow ports from 1024 up has no code of its own for that. */
static void a_refused_low_port_has_its_sentence(void **state)
{
	static const struct {
		enum pcp_result result;
		uint16_t port;
		bool told;
	} cases[] = {{PCP_NOT_AUTHORIZED, 443, true},
		     {PCP_CANNOT_PROVIDE_EXTERNAL, 1023, true},
		     {PCP_NOT_AUTHORIZED, 1024, false},
		     {PCP_USER_EX_QUOTA, 443, false}};

	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct portmap_request r = pcp_world_request(1);

		pcp_world_make_up(w, 1);
		w->manners = REFUSES;
		w->result = (uint8_t)cases[i].result;
		addr_set_port(&r.external, cases[i].port);
		pcp_client_map(&w->client, &r, w->now_ms);
		pcp_world_run_for(w, 100);
		assert_int_equal(w->ids[1].failed, 1);
		assert_int_equal(strstr(w->ids[1].why, "no port below 1024") != NULL,
				 cases[i].told);
		pcp_world_end(w);
	}
}

static void deletion_needs_the_nonce(void **state)
{
	struct portmap_request r = pcp_world_request(1);

	pcp_world_make_up(w, 1);
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 100);
	assert_int_equal(w->ids[1].mapped, 1);
	pcp_world_unmap(w, 1);
	pcp_world_run_for(w, 100);
	assert_int_equal(w->ids[1].gone, 1);
	for (size_t i = 0; i < PCP_WORLD_IDS; i++)
		assert_false(w->table[i].there);
	/* Another's mapping stays, and is none that we deleted. */
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 100);
	memset(r.nonce, 77, sizeof(r.nonce));
	r.id = 5;
	pcp_client_unmap(&w->client, &r, w->now_ms);
	pcp_world_run_for(w, 100);
	assert_int_equal(w->ids[5].gone, 0);
	assert_int_equal(w->ids[5].lost, 1);
	assert_true(pcp_world_find_mapping(w, (const uint8_t[64]){[36] = 6, [40] = 15, [41] = 160})
			    ->there);
	pcp_world_end(w);
}

/* An answer that was under way when the port was asked for again. */
static void the_late_answer_to_a_deletion_grants_nothing(void **state)
{
	pcp_world_make_up(w, 1);
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 100);
	pcp_world_unmap(w, 1);
	pcp_world_run_for(w, 3); /* the answer is on its way back */
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 2);
	assert_int_equal(w->ids[1].mapped, 1);
	pcp_world_run_for(w, 100);
	assert_int_equal(w->ids[1].mapped, 2);
	assert_int_equal(w->ids[1].lifetime_s, 7200);
	pcp_world_end(w);
}

static void unmapping_ends_a_mapping_under_way(void **state)
{
	pcp_world_make_up(w, 1);
	pcp_world_map(w, 1);
	pcp_world_unmap(w, 1);
	pcp_world_run_for(w, 100);
	assert_int_equal(w->ids[1].mapped, 0);
	assert_int_equal(w->ids[1].gone, 1);
	pcp_world_end(w);
}

static void only_the_port_wanted_will_do(void **state)
{
	static const struct {
		enum pcp_world_manners manners;
		bool ignores;
	} cases[] = {{ANSWERS, false}, {ANSWERS, true}, {NO_OPTIONS, false}};

	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct portmap_request r = pcp_world_request(1), free_port = pcp_world_request(3);

		pcp_world_make_up(w, 1);
		w->manners = cases[i].manners;
		w->ignores_prefer_failure = cases[i].ignores;
		w->taken = addr_port(&r.external);
		r.prefer_failure = free_port.prefer_failure = true;
		pcp_client_map(&w->client, &r, w->now_ms);
		pcp_client_map(&w->client, &free_port, w->now_ms);
		pcp_world_run_for(w, 100);
		assert_int_equal(w->ids[1].mapped, 0);
		assert_int_equal(w->ids[1].failed, 1);
		assert_int_equal(w->ids[1].failure, PORTMAP_CONFLICT);
		assert_int_equal(w->ids[3].mapped, 1);
		/* What it gave instead was given back. */
		for (size_t k = 0; k < PCP_WORLD_IDS; k++)
			assert_false(w->table[k].there && w->table[k].external == 5000);
		pcp_world_end(w);
	}
}

static void another_port_will_do_where_it_may(void **state)
{
	pcp_world_make_up(w, 1);
	w->taken = 4000;
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 100);
	assert_int_equal(w->ids[1].mapped, 1);
	assert_int_equal(w->ids[1].port, 5000);
	pcp_world_end(w);
}

/* What grants mapping 1 as it was asked for: port 4000 inside and outside, for a minute. */
static void write_answer(uint8_t out[60])
{
	static const uint8_t head[8] = {2, 0x81, 0, 0, 0, 0, 0, 60};

	memset(out, 0, 60);
	memcpy(out, head, sizeof(head));
	memset(out + 24, 2, PCP_NONCE_BYTES);
	out[36] = PCP_TCP;
	memcpy(out + 40, "\x0f\xa0\x0f\xa0", 4);
}

/* The same, which a silent gateway has not sent: the test does. */
static void await_answer(uint8_t out[60])
{
	pcp_world_make_up(w, 1);
	w->manners = SILENT;
	pcp_world_map(w, 1);
	write_answer(out);
}

/* Granted, but to another port inside: told, with what there is to take back. Port 0 is none. */
static void another_port_inside_is_told(void **state)
{
	uint8_t answer[60];

	await_answer(answer);
	memcpy(answer + 40, "\0\0", 2);
	pcp_client_receive(&w->client, answer, sizeof(answer), w->now_ms);
	assert_int_equal(w->ids[1].failed, 0);
	assert_int_equal(w->client.strays, 1);
	memcpy(answer + 40, "\x20\xfb", 2);
	pcp_client_receive(&w->client, answer, sizeof(answer), w->now_ms);
	assert_int_equal(w->ids[1].mapped, 0);
	assert_int_equal(w->ids[1].failed, 1);
	assert_int_equal(w->ids[1].failure, PORTMAP_MISDIRECTED);
	assert_int_equal(addr_port(&w->ids[1].refusal.inside), 8443);
	assert_int_equal(addr_port(&w->ids[1].refusal.outside), 4000);
	assert_true(addr_same_host(&w->ids[1].refusal.inside, &w->client.source));
	/* Told late, when what was asked for is being deleted: that goes, too. */
	w->manners = ANSWERS;
	pcp_world_unmap(w, 1);
	w->table[3] = (struct pcp_world_mapping){
		.there = true, .protocol = PCP_TCP, .internal = 8443, .external = 4000};
	memset(w->table[3].nonce, 2, PCP_NONCE_BYTES);
	pcp_client_receive(&w->client, answer, sizeof(answer), w->now_ms);
	assert_int_equal(w->ids[1].gone, 0);
	pcp_world_run_for(w, 100);
	assert_int_equal(w->ids[1].gone, 1);
	for (size_t i = 0; i < PCP_WORLD_IDS; i++)
		assert_false(w->table[i].there);
	pcp_world_end(w);
}

/* Every field that must match, wrong one by one. */
static void answers_to_others_change_nothing(void **state)
{
	static const size_t fields[] = {24, 30, 35, 36};

	for (size_t i = 0; i < LENGTH(fields); i++) {
		uint8_t answer[60];

		await_answer(answer);
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
		pcp_world_end(w);
	}
}

/* Which address is the gateway's, the engine says: it may have several, one for each mapping. */
static void another_external_address_is_the_mappings_own(void **state)
{
	pcp_world_make_up(w, 1);
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 100);
	assert_int_equal(w->external_changed, 0);
	w->external = pcp_world_address("45.0.0.11", 0);
	pcp_world_map(w, 1);
	pcp_world_map(w, 2);
	pcp_world_run_for(w, 100);
	assert_int_equal(w->external_changed, 0);
	assert_true(addr_same_host(&w->ids[1].external, &w->external));
	pcp_world_end(w);
}

static void what_a_server_tells_by_itself_is_heeded(void **state)
{
	uint8_t answer[60];

	pcp_world_make_up(w, 1);
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 100);
	write_answer(answer);
	pcp_world_put_u32(answer + 8, pcp_world_epoch_now(w));
	memcpy(answer + 54, "\xff\xff\x2d\0\0\x0a", 6);
	pcp_client_receive(&w->client, answer, sizeof(answer), w->now_ms); /* as it was */
	assert_int_equal(w->restarted, 0);
	answer[43] = 1;
	pcp_client_receive(&w->client, answer, sizeof(answer), w->now_ms);
	assert_int_equal(w->restarted, 1);
	assert_int_equal(w->ids[1].mapped, 1);
	pcp_world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_mapping_takes_one_round_trip),
		cmocka_unit_test(nothing_is_heard_from_inside_a_call),
		cmocka_unit_test(a_silent_gateway_is_passed_over_in_seconds),
		cmocka_unit_test(answers_from_elsewhere_are_told),
		cmocka_unit_test(a_silent_gateway_is_asked_again_at_growing_intervals),
		cmocka_unit_test(gateways_without_pcp_are_told_apart),
		cmocka_unit_test(a_closed_port_is_believed_until_it_answered),
		cmocka_unit_test(requests_are_sent_again_as_section_8_1_1_says),
		cmocka_unit_test(impatience_ends_with_the_first_answer),
		cmocka_unit_test(intervals_differ_from_client_to_client),
		cmocka_unit_test(a_gateway_that_falls_silent_is_down_and_all_fails),
		cmocka_unit_test(one_request_that_is_not_answered_is_no_silence),
		cmocka_unit_test(what_is_in_flight_is_not_dropped_for_what_comes),
		cmocka_unit_test(what_is_asked_from_inside_a_failure_lives),
		cmocka_unit_test(many_requests_are_spaced),
		cmocka_unit_test(results_become_failures),
		cmocka_unit_test(a_refused_low_port_has_its_sentence),
		cmocka_unit_test(deletion_needs_the_nonce),
		cmocka_unit_test(the_late_answer_to_a_deletion_grants_nothing),
		cmocka_unit_test(unmapping_ends_a_mapping_under_way),
		cmocka_unit_test(only_the_port_wanted_will_do),
		cmocka_unit_test(another_port_will_do_where_it_may),
		cmocka_unit_test(another_port_inside_is_told),
		cmocka_unit_test(answers_to_others_change_nothing),
		cmocka_unit_test(another_external_address_is_the_mappings_own),
		cmocka_unit_test(what_a_server_tells_by_itself_is_heeded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
