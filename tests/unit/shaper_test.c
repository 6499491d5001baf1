/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shaper: shares, ticks and limits, one effect at a time.
 * links: relay/shaper/shaper.c relay/shaper/tables.c relay/shaper/tick.c core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>

#include "relay/shaper/shaper.h"

#define TICK_BYTES(rate) ((rate)*SHAPER_TICK_MS / 1000)
#define MB		 1000000ull

struct world {
	struct shaper *shaper;
	uint64_t now_ms;
};

static struct world world_new(struct shaper_limits limits)
{
	struct world w = {.shaper = shaper_new(), .now_ms = 1000};

	assert_non_null(w.shaper);
	shaper_set_limits(w.shaper, &limits);
	return w;
}

static struct share *join_service(struct world *w, uint64_t number, const char *account,
				  const char *service, uint64_t rate)
{
	bool failed = true;
	struct share *s = shaper_join(w->shaper, number, account, service, rate, &failed);

	assert_false(failed);
	return s;
}

static struct share *join(struct world *w, uint64_t number, const char *account, uint64_t rate)
{
	return join_service(w, number, account, "home/web", rate);
}

static void leave(struct world *w, uint64_t number, struct share *s)
{
	shaper_leave(w->shaper, number);
	share_release(s);
}

static bool tick(struct world *w)
{
	w->now_ms += SHAPER_TICK_MS;
	return shaper_tick(w->shaper, w->now_ms);
}

/* Takes all there is, and is hungry then. */
static uint64_t drain(struct share *s)
{
	uint64_t sum = 0;
	size_t n;

	while ((n = share_take(s, 1u << 20)) > 0)
		sum += n;
	return sum;
}

static uint64_t drain_ticks(struct world *w, struct share *s, unsigned ticks)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < ticks; i++) {
		tick(w);
		sum += drain(s);
	}
	return sum;
}

static void assert_near(uint64_t got, uint64_t want, uint64_t off)
{
	if (got + off < want || got > want + off)
		fail_msg("%llu is not within %llu of %llu", (unsigned long long)got,
			 (unsigned long long)off, (unsigned long long)want);
}

static void test_share(void **state)
{
	struct share s = {.allowance = 100, .refs = 2};

	assert_int_equal(share_take(NULL, 7), 7);
	share_return(NULL, 7);
	share_charge(NULL, 7);
	share_release(NULL);
	assert_int_equal(share_take(&s, 30), 30);
	share_return(&s, 10);
	assert_int_equal(share_take(&s, 1000), 80);
	assert_false(s.hungry);
	assert_int_equal(share_take(&s, 1000), 0);
	assert_true(s.hungry);
	share_charge(&s, 50);
	share_return(&s, 20);
	assert_int_equal(s.allowance, -30);
	assert_int_equal(share_take(&s, 1), 0);
}

/* The head of relay/shaper/tick.c tells how these come about. */
static void test_example(void **state)
{
	static const struct {
		const char *account, *service;
		uint64_t rate;
	} sessions[] = {
		{"a", "home/web", 2 * MB}, {"b", "home/web", 2 * MB}, {"b", "home/disk", 3 * MB}};
	struct world w = world_new((struct shaper_limits){.relay = 7 * MB, .per_service = 4 * MB});
	struct share *s[3];
	uint64_t got[3] = {0};

	for (unsigned i = 0; i < 3; i++)
		s[i] = join_service(&w, i + 1, sessions[i].account, sessions[i].service, 0);
	for (unsigned t = 0; t < 500; t++) {
		tick(&w);
		for (unsigned i = 0; i < 3; i++)
			got[i] += drain(s[i]);
	}
	for (unsigned i = 0; i < 3; i++) {
		assert_near(got[i], sessions[i].rate * 10, sessions[i].rate / 10);
		leave(&w, i + 1, s[i]);
	}
	shaper_free(w.shaper);
}

static void test_untouched(void **state)
{
	struct world w = world_new((struct shaper_limits){0});

	assert_null(join(&w, 1, "a", 0));
	assert_int_equal(shaper_sessions(w.shaper), 0);
	shaper_leave(w.shaper, 1);
	shaper_set_rate(w.shaper, 1, 5);
	assert_false(tick(&w));
	shaper_free(w.shaper);
}

static void test_rate(void **state)
{
	static const uint64_t rates[] = {125, 1000, 99999, 20 * MB, 1250 * MB};

	for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
		for (unsigned where = 0; where < 5; where++) {
			struct world w = world_new((struct shaper_limits){
				.relay = where == 0 ? rates[i] : 0,
				.per_agent = where == 1 ? rates[i] : 0,
				.per_service = where == 2 ? rates[i] : 0,
				.per_session = where == 3 ? rates[i] : 0,
			});
			struct share *s = join(&w, 1, "a", where == 4 ? rates[i] : 0);

			assert_near(drain_ticks(&w, s, 500), rates[i] * 10, rates[i] / 5);
			leave(&w, 1, s);
			shaper_free(w.shaper);
		}
	}
}

/* The less of the two counts, whichever it is. */
static void test_own_rate(void **state)
{
	struct world w = world_new((struct shaper_limits){.per_session = 10 * MB});
	struct share *s = join(&w, 1, "a", 1 * MB);

	drain_ticks(&w, s, 10);
	assert_near(drain_ticks(&w, s, 50), 1 * MB, 10);
	shaper_set_rate(w.shaper, 1, 30 * MB);
	drain_ticks(&w, s, 10);
	assert_near(drain_ticks(&w, s, 50), 10 * MB, 10);
	shaper_set_rate(w.shaper, 1, 0);
	assert_near(drain_ticks(&w, s, 50), 10 * MB, 10);
	leave(&w, 1, s);
	shaper_free(w.shaper);
}

static void test_starts_at_once(void **state)
{
	struct world w = world_new((struct shaper_limits){.per_agent = 20 * MB});
	struct share *a = join(&w, 1, "a", 0), *b = join(&w, 2, "a", 1000);

	assert_int_equal(drain(a), 16384);
	assert_int_equal(drain(b), 20); /* a tick's worth of its own rate */
	leave(&w, 1, a);
	leave(&w, 2, b);
	shaper_free(w.shaper);
}

/* After a long time without traffic, and with many that wait. */
static void test_bursts(void **state)
{
	struct world w = world_new((struct shaper_limits){.per_agent = 10 * MB});
	struct share *shares[1000];
	uint64_t sum = 0;

	for (uint64_t i = 0; i < 1000; i++)
		shares[i] = join(&w, i, "a", 0);
	for (unsigned i = 0; i < 1000; i++)
		assert_false(tick(&w));
	for (size_t i = 0; i < 1000; i++)
		sum += drain(shares[i]);
	assert_near(sum, TICK_BYTES(10 * MB), 1000);
	for (unsigned t = 0; t < 10; t++) {
		tick(&w);
		for (size_t i = 0; i < 1000; i++)
			sum += drain(shares[i]);
	}
	assert_near(sum, (10 + 4) * TICK_BYTES(10 * MB), TICK_BYTES(10 * MB));
	for (size_t i = 0; i < 1000; i++)
		leave(&w, i, shares[i]);
	shaper_free(w.shaper);
}

static void test_late_ticks(void **state)
{
	struct world w = world_new((struct shaper_limits){.per_session = 1 * MB});
	struct share *s = join(&w, 1, "a", 0);
	uint64_t sum = 0;

	drain_ticks(&w, s, 100);
	for (unsigned i = 0; i < 10; i++) {
		w.now_ms += 100;
		shaper_tick(w.shaper, w.now_ms);
		sum += drain(s);
	}
	assert_near(sum, 1 * MB, 1000);
	w.now_ms += 3600000; /* the machine slept */
	shaper_tick(w.shaper, w.now_ms);
	assert_near(drain(s), 10 * TICK_BYTES(1 * MB), 10);
	leave(&w, 1, s);
	shaper_free(w.shaper);
}

/* A worker that comes late finds what it missed. */
static void test_late_workers(void **state)
{
	struct world w = world_new((struct shaper_limits){.per_session = 1 * MB});
	struct share *s = join(&w, 1, "a", 0);
	uint64_t sum = 0;

	drain_ticks(&w, s, 10);
	for (unsigned i = 0; i < 100; i++) {
		tick(&w);
		tick(&w);
		sum += drain(s);
	}
	assert_near(sum, 4 * MB, 4 * MB / 20);
	leave(&w, 1, s);
	shaper_free(w.shaper);
}

static void test_slow_is_not_delayed(void **state)
{
	struct world w = world_new((struct shaper_limits){.relay = 1 * MB});
	struct share *greedy = join(&w, 1, "a", 0), *slow = join(&w, 2, "a", 0);
	uint64_t sum = 0;

	drain_ticks(&w, greedy, 50);
	for (unsigned i = 0; i < 50; i++) {
		tick(&w);
		sum += drain(greedy);
		assert_int_equal(share_take(slow, 2000), 2000);
	}
	assert_near(sum, 1 * MB - 50 * 2000, 2 * TICK_BYTES(1 * MB));
	leave(&w, 1, greedy);
	leave(&w, 2, slow);
	shaper_free(w.shaper);
}

/* What one has ready and does not use goes to others. */
static void test_takes_back(void **state)
{
	struct world w = world_new((struct shaper_limits){.relay = 1 * MB});
	struct share *a = join(&w, 1, "a", 0), *b = join(&w, 2, "b", 0);

	drain(a);
	drain(b);
	drain_ticks(&w, a, 10);
	tick(&w); /* b gets its half, and does not come for it */
	assert_true(b->allowance > (int64_t)TICK_BYTES(1 * MB) / 3);
	for (unsigned i = 0; i < 50; i++)
		tick(&w);
	assert_near((uint64_t)b->allowance, TICK_BYTES(1 * MB) / 2, 2);
	leave(&w, 1, a);
	leave(&w, 2, b);
	shaper_free(w.shaper);
}

static void test_debts(void **state)
{
	struct world w = world_new((struct shaper_limits){.per_session = 100000});
	struct share *s = join(&w, 1, "a", 0);

	drain(s);
	share_charge(s, 20000); /* 200 ms */
	for (unsigned i = 0; i < 9; i++) {
		tick(&w);
		assert_int_equal(share_take(s, 1), 0);
	}
	assert_near(drain_ticks(&w, s, 51), 100000, 8000);
	leave(&w, 1, s);
	shaper_free(w.shaper);
}

/* A session gets no more by coming and going, in debt or not. */
static void test_come_and_go(void **state)
{
	struct world w = world_new((struct shaper_limits){.per_agent = 1 * MB});
	uint64_t sum = 0;

	for (uint64_t i = 0; i < 10000; i++) {
		struct share *s = join(&w, i, "a", 0);
		uint64_t had = drain(s);

		sum += had;
		if (had > 0) {
			share_charge(s, 1000);
			sum += 1000;
		}
		leave(&w, i, s);
		if (i % 20 == 19)
			tick(&w);
	}
	assert_near(sum, 10 * MB, MB / 2);
	for (unsigned i = 0; i < 10; i++)
		tick(&w);
	assert_int_equal(shaper_sessions(w.shaper), 0);
	shaper_free(w.shaper);
}

/* An account without sessions owes what its last one overdrew, to the next one. */
static void test_debts_outlive_sessions(void **state)
{
	struct world w = world_new((struct shaper_limits){.per_agent = 1 * MB});
	struct share *s = join(&w, 1, "a", 0);

	drain(s);
	share_charge(s, MB / 5);
	leave(&w, 1, s);
	for (unsigned i = 0; i < 3; i++)
		tick(&w);
	s = join(&w, 2, "a", 0);
	assert_near(drain_ticks(&w, s, 6), 0, MB / 50);
	assert_true(drain_ticks(&w, s, 50) > MB / 2);
	leave(&w, 2, s);
	shaper_free(w.shaper);
}

static void test_limits_change(void **state)
{
	struct world w = world_new((struct shaper_limits){.per_session = 1 * MB});
	struct share *s = join(&w, 1, "a", 0);

	drain_ticks(&w, s, 10);
	shaper_set_limits(w.shaper, &(struct shaper_limits){.per_agent = 5 * MB});
	drain_ticks(&w, s, 10);
	assert_near(drain_ticks(&w, s, 50), 5 * MB, 100);
	assert_int_equal(share_take(s, 1), 0);
	shaper_set_limits(w.shaper, &(struct shaper_limits){0});
	assert_true(tick(&w));
	assert_false(tick(&w));
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(share_take(s, 1u << 30), 1u << 30);
	shaper_set_limits(w.shaper, &(struct shaper_limits){.relay = 2 * MB});
	drain_ticks(&w, s, 10);
	assert_near(drain_ticks(&w, s, 50), 2 * MB, 100);
	leave(&w, 1, s);
	shaper_free(w.shaper);
}

/* A share outlives its shaper as long as a worker holds it. */
static void test_references(void **state)
{
	struct world w = world_new((struct shaper_limits){.per_session = 1 * MB});
	struct share *a = join(&w, 1, "a", 0), *b = join(&w, 2, "public", 0);

	shaper_leave(w.shaper, 1);
	drain(a);
	share_release(a);
	shaper_free(w.shaper);
	drain(b);
	share_release(b);
	shaper_free(NULL);
}

/* Where a fair part is a few bytes, they come in pieces that are worth sending. */
static void test_no_crumbs(void **state)
{
	struct world w = world_new((struct shaper_limits){.relay = 200000});
	struct share *shares[100];
	uint64_t sum = 0;
	unsigned pieces = 0;

	for (uint64_t i = 0; i < 100; i++)
		shares[i] = join(&w, i, "a", 0);
	for (unsigned t = 0; t < 500; t++) {
		tick(&w);
		for (size_t i = 0; i < 100; i++) {
			uint64_t piece = drain(shares[i]);

			sum += piece;
			pieces += piece > 0;
		}
	}
	assert_near(sum, 2000000, 40000);
	assert_in_range(sum / pieces, 150, 250); /* 100 ms of 2000 bytes a second */
	for (size_t i = 0; i < 100; i++)
		leave(&w, i, shares[i]);
	shaper_free(w.shaper);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_untouched),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_own_rate),
		cmocka_unit_test(test_starts_at_once),
		cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_late_ticks),
		cmocka_unit_test(test_late_workers),
		cmocka_unit_test(test_slow_is_not_delayed),
		cmocka_unit_test(test_takes_back),
		cmocka_unit_test(test_debts),
		cmocka_unit_test(test_come_and_go),
		cmocka_unit_test(test_limits_change),
		cmocka_unit_test(test_debts_outlive_sessions),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_no_crumbs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
