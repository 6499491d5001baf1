/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcp_restart_test: the PCP client through restarts of its gateway, announced or not, and through
 * days with one that does what it likes. A failure of these prints its seed; SIM_SEED=N runs
 * from it.
 *
 * links: portmap/gateway/driver.c
 * links: natpmp/pcp_client.c natpmp/pcp_answers.c natpmp/pcp.c natpmp/epoch.c core/addr.c
 * links: portmap/gateway/driver.c tests/support/pcp_world.c
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/pcp_world.h"

static struct pcp_world world;
static struct pcp_world *const w = &world;

/* ---- restarts ---- */

static void a_reboot_that_is_announced_is_heard_at_once(void **state)
{
	pcp_world_make_up(w, 1);
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 600000);
	pcp_world_announce(w);
	assert_int_equal(w->restarted, 0);
	pcp_world_reboot(w);
	pcp_world_run_for(w, 500);
	pcp_world_announce(w);
	assert_int_equal(w->restarted, 0); /* only its own answer counts */
	pcp_world_run_for(w, 100);
	assert_int_equal(w->restarted, 1);
	pcp_world_run_for(w, 150);
	pcp_world_announce(w); /* they are repeated */
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 10000);
	pcp_world_announce(w);
	assert_int_equal(w->restarted, 1);
	assert_int_equal(w->ids[1].mapped, 2);
	pcp_world_end(w);
}

static void a_reboot_that_is_not_shows_at_the_next_answer(void **state)
{
	pcp_world_make_up(w, 1);
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 600000);
	pcp_world_reboot(w);
	pcp_world_run_for(w, 5000);
	pcp_world_map(w, 2);
	pcp_world_run_for(w, 100);
	assert_int_equal(w->restarted, 1);
	assert_int_equal(w->ids[2].mapped, 1);
	pcp_world_end(w);
}

static void announce_epoch(uint32_t epoch_s)
{
	uint8_t out[24] = {2, 0x80};

	pcp_world_put_u32(out + 8, epoch_s);
	pcp_client_announced(&w->client, out, sizeof(out), w->now_ms);
}

/* Any host of the LAN can send them: the server is asked, and says what is so. */
static void forged_announcements_lose_nothing(void **state)
{
	pcp_world_make_up(w, 1);
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 600000);
	w->requests = 0;
	for (unsigned i = 0; i < 1000; i++) {
		announce_epoch(i % 8);
		pcp_world_run_for(w, 10);
	}
	assert_in_range(w->requests, 2, 3);
	for (unsigned i = 0; i < 60; i++) {
		announce_epoch(0);
		pcp_world_run_for(w, 60000);
	}
	assert_int_equal(w->restarted + w->doubted, 0);
	assert_in_range(w->requests, 62, 64);
	pcp_world_end(w);
}

/* One that comes just after a forged one is asked about as soon as it may be, and again when the
 * datagram is lost. */
static void what_is_announced_among_forged_ones_is_heard_in_seconds(void **state)
{
	pcp_world_make_up(w, 1);
	pcp_world_run_for(w, 600000);
	announce_epoch(0);
	pcp_world_run_for(w, 100);
	pcp_world_reboot(w);
	pcp_world_run_for(w, 100);
	pcp_world_announce(w);
	pcp_world_run_for(w, PCP_ANNOUNCE_MS);
	assert_int_equal(w->restarted, 1);
	pcp_world_run_for(w, 600000);
	pcp_world_reboot(w);
	w->loss_percent = 100;
	pcp_world_announce(w);
	w->loss_percent = 0;
	pcp_world_run_for(w, 4000);
	assert_int_equal(w->restarted, 2);
	/* And one that comes while the answer of before is under way. */
	pcp_world_run_for(w, 600000);
	w->delay_ms = 50;
	announce_epoch(0);
	pcp_world_run_for(w, 60);
	pcp_world_reboot(w);
	pcp_world_announce(w);
	pcp_world_run_for(w, PCP_ANNOUNCE_MS + 200);
	assert_int_equal(w->restarted, 3);
	pcp_world_end(w);
}

/* It lived less than two seconds before: its epoch alone does not tell. */
static void a_restart_one_upon_the_other_is_heard(void **state)
{
	pcp_world_make_up(w, 1);
	pcp_world_run_for(w, 600000);
	pcp_world_reboot(w);
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 500);
	assert_int_equal(w->restarted, 1);
	pcp_world_announce(w); /* the one that was seen already */
	pcp_world_run_for(w, 1000);
	assert_int_equal(w->restarted, 1);
	pcp_world_run_for(w, 8000);
	pcp_world_end(w);

	pcp_world_make(w, 1);
	pcp_world_reboot(w);
	pcp_client_probe(&w->client, w->now_ms);
	pcp_world_run_for(w, 900);
	pcp_world_reboot(w);
	pcp_world_announce(w);
	pcp_world_run_for(w, 100);
	assert_int_equal(w->restarted, 1);
	pcp_world_end(w);
}

static void an_announcement_wakes_a_gateway_given_up(void **state)
{
	pcp_world_make(w, 1);
	w->manners = SILENT;
	pcp_client_probe(&w->client, w->now_ms);
	pcp_world_run_for(w, 3600000);
	assert_int_equal(w->unavailable, 1);
	w->manners = ANSWERS;
	pcp_world_announce(w);
	assert_int_equal(w->available, 0); /* only its own answer counts */
	pcp_world_run_for(w, 100);
	assert_int_equal(w->available, 1);
	pcp_world_end(w);
}

static void a_stopped_client_says_nothing(void **state)
{
	pcp_world_make_up(w, 1);
	pcp_world_map(w, 1);
	pcp_world_run_for(w, 1);
	pcp_client_stop(&w->client);
	w->requests = 0;
	pcp_world_run_for(w, 100000);
	pcp_world_map(w, 2);
	pcp_client_probe(&w->client, w->now_ms);
	assert_true(pcp_client_due(&w->client) == UINT64_MAX);
	assert_int_equal(w->ids[1].mapped + w->ids[1].failed + w->ids[2].failed, 0);
	assert_int_equal(w->requests, 1);
	pcp_world_end(w);
}

/* ---- days with a gateway that does what it likes ---- */

struct expectation {
	unsigned maps, unmaps; /* asked, of those that were not forgotten */
	uint64_t since_ms;
};

static unsigned answers_of(const struct pcp_world_diary *d)
{
	return d->mapped + d->failed + d->gone + d->lost;
}

static void ask_something(struct expectation *x, uint32_t id)
{
	bool busy = answers_of(&w->ids[id]) < x->maps + x->unmaps;
	uint64_t die = pcp_world_draw(w, 10);

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
		pcp_world_map(w, id);
	} else {
		x->unmaps++;
		pcp_world_unmap(w, id);
	}
}

/* What the gateway of all lives went through. */
static unsigned available, unavailable, restarted;

static void live_through(uint64_t seed)
{
	static struct expectation x[PCP_WORLD_IDS];

	memset(x, 0, sizeof(x));
	pcp_world_make(w, seed);
	pcp_client_probe(&w->client, w->now_ms);
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t die = pcp_world_draw(w, 200);
		uint32_t id = (uint32_t)pcp_world_draw(w, PCP_WORLD_IDS);

		if (die == 0)
			pcp_world_reboot(w);
		if (die < 3)
			pcp_world_announce(w);
		if (die < 6)
			w->manners = (enum pcp_world_manners)pcp_world_draw(w, REFUSES + 1);
		else if (die < 16)
			w->manners = ANSWERS;
		else if (die == 16)
			pcp_client_probe(&w->client, w->now_ms);
		w->loss_percent = die > 150 ? 30 : 0;
		w->result = (uint8_t)pcp_world_draw(w, 16);
		ask_something(&x[id], id);
		pcp_world_run_for(w, pcp_world_draw(w, 2000));
	}
	w->manners = ANSWERS;
	w->loss_percent = 0;
	pcp_world_run_for(w, 40000);
	for (uint32_t id = 0; id < PCP_WORLD_IDS; id++) {
		if (answers_of(&w->ids[id]) != x[id].maps + x[id].unmaps)
			fail_msg("seed %" PRIu64 ": id %u: %u answers to %u questions", seed, id,
				 answers_of(&w->ids[id]), x[id].maps + x[id].unmaps);
	}
	available += w->available;
	unavailable += w->unavailable;
	restarted += w->restarted;
	pcp_world_end(w);
}

static void every_question_gets_one_answer(void **state)
{
	const char *given = getenv("SIM_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);

	print_message("SIM_SEED=%" PRIu64 "\n", seed);
	for (uint64_t i = 0; i < 20; i++)
		live_through(seed + i * 1000003);
	/* Else it was no such gateway. One life alone may see few restarts. */
	if (unavailable < 100 || available < 100 || restarted < 100)
		fail_msg("%u times there, %u not, %u restarts", available, unavailable, restarted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reboot_that_is_announced_is_heard_at_once),
		cmocka_unit_test(a_reboot_that_is_not_shows_at_the_next_answer),
		cmocka_unit_test(forged_announcements_lose_nothing),
		cmocka_unit_test(what_is_announced_among_forged_ones_is_heard_in_seconds),
		cmocka_unit_test(a_restart_one_upon_the_other_is_heard),
		cmocka_unit_test(an_announcement_wakes_a_gateway_given_up),
		cmocka_unit_test(a_stopped_client_says_nothing),
		cmocka_unit_test(every_question_gets_one_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
