/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alive_test: which histories of a connection are those of a dead one. The figures of a kernel are
 * those that Linux 6.18 gave on a line that was cut, on a closed window, and on a device that was
 * taken down.
 *
 * links: core/alive.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/alive.h"

#define HOUR_MS 3600000u

struct look {
	uint64_t at_ms;
	struct alive_facts facts;
	bool dead;
};

/* #1: unacknowledged, #2: not sent, #3: retransmits, #4: probes, #5: ms since the last answer. */
#define LOOK(at, unacked, notsent, tries, probes, answered, dead)                                  \
	{                                                                                          \
		at, {unacked, notsent, tries, probes, answered}, dead                              \
	}
#define END LOOK(UINT64_MAX, 0, 0, 0, 0, 0, false)

/* The clock starts at different hours, also before it wraps around within 32 bits. */
static void plays(const struct look *looks)
{
	static const uint64_t starts[] = {0, 1, 5000000, UINT32_MAX - 9000, UINT64_C(1) << 40};

	for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
		struct alive a = {0};

		for (const struct look *l = looks; l->at_ms != UINT64_MAX; l++)
			if (alive_judge(&a, &l->facts, starts[i] + l->at_ms) != l->dead)
				fail_msg("start %zu, look at %llu ms: dead should be %d", i,
					 (unsigned long long)l->at_ms, l->dead);
	}
}

static void a_byte_after_an_hour_into_a_cut_line(void **state)
{
	static const struct look looks[] = {
		LOOK(0, 0, 0, 0, 0, HOUR_MS, false),
		LOOK(4000, 1, 0, 3, 0, HOUR_MS + 4000, false),
		LOOK(8000, 1, 0, 4, 0, HOUR_MS + 8000, false),
		LOOK(12000, 1, 0, 5, 0, HOUR_MS + 12000, false),
		LOOK(15999, 1, 0, 6, 0, HOUR_MS + 15999, false),
		LOOK(16000, 1, 0, 6, 0, HOUR_MS + 16000, true),
		END,
	};

	plays(looks);
}

static void a_byte_after_an_hour_on_a_line_that_lives(void **state)
{
	static const struct look looks[] = {
		LOOK(0, 1, 0, 0, 0, HOUR_MS, false),
		LOOK(4000, 0, 0, 0, 0, 3900, false),
		LOOK(20000, 0, 0, 0, 0, 19900, false),
		END,
	};

	plays(looks);
}

/* Always something under way, and always answers between two looks. */
static void a_busy_line(void **state)
{
	static const struct look looks[] = {
		LOOK(0, 9, 4000, 0, 0, 1, false),
		LOOK(4000, 9, 4000, 0, 0, 2, false),
		LOOK(8000, 9, 4000, 3, 0, 20, false),
		LOOK(12000, 9, 4000, 0, 0, 1, false),
		LOOK(16000, 9, 4000, 3, 0, 3, false),
		LOOK(20000, 9, 4000, 4, 0, 1, false),
		END,
	};

	plays(looks);
}

/* It was busy, then it was cut: the last answer counts, not the first byte. */
static void a_busy_line_that_is_cut(void **state)
{
	static const struct look looks[] = {
		LOOK(0, 9, 4000, 0, 0, 1, false),
		LOOK(4000, 9, 4000, 0, 0, 1, false),
		LOOK(8000, 9, 4000, 4, 0, 3000, false),
		LOOK(12000, 9, 4000, 5, 0, 7000, false),
		LOOK(16000, 9, 4000, 6, 0, 11000, false),
		LOOK(17000, 9, 4000, 6, 0, 12000, true),
		END,
	};

	plays(looks);
}

/* A round trip of seconds: the kernel itself waits long before it tries again. */
static void a_slow_line_is_given_its_tries(void **state)
{
	static const struct look looks[] = {
		LOOK(0, 1, 0, 0, 0, 9000, false),
		LOOK(12000, 1, 0, 2, 0, 21000, false),
		LOOK(16000, 1, 0, 2, 0, 25000, false),
		LOOK(28000, 1, 0, 3, 0, 37000, true),
		END,
	};

	plays(looks);
}

/* Probes of a closed window are answered, ever more seldom; one is under way at some looks. */
static void a_reader_that_pauses_for_minutes(void **state)
{
	struct alive a = {0};

	for (uint64_t at = 0; at < 600000; at += 4000) {
		uint32_t since = (uint32_t)(at % 120000);
		const struct alive_facts f = {0, 300000, 0, since == 0, since};

		assert_false(alive_judge(&a, &f, at));
		assert_true(a.pending);
	}
}

/* One probe is lost when they are two minutes apart: for so long it is unanswered. */
static void a_reader_that_pauses_and_a_lost_probe(void **state)
{
	struct alive a = {0};

	for (uint64_t at = 0; at < 120000; at += 4000) {
		const struct alive_facts f = {0, 300000, 0, 1, (uint32_t)at + 90000};

		assert_false(alive_judge(&a, &f, at));
	}
	assert_false(alive_judge(&a, &(struct alive_facts){0, 300000, 0, 2, 210000}, 120000));
	assert_false(alive_judge(&a, &(struct alive_facts){0, 300000, 0, 0, 5}, 124000));
	assert_false(a.marked);
}

/* The device here is down: what is sent does not even leave. */
static void a_device_that_is_down(void **state)
{
	static const struct look looks[] = {
		LOOK(0, 0, 1, 0, 0, 500, false),      LOOK(4000, 0, 1, 0, 3, 4500, false),
		LOOK(8000, 0, 1, 0, 5, 8500, false),  LOOK(12000, 0, 1, 0, 6, 12500, false),
		LOOK(16000, 0, 1, 0, 7, 16500, true), END,
	};

	plays(looks);
}

/* Probes count only for what waits: keep-alive's own have a patience of their own. */
static void probes_of_keep_alive(void **state)
{
	static const struct look looks[] = {
		LOOK(0, 0, 0, 0, 1, 60000, false),
		LOOK(20000, 0, 0, 0, 4, 80000, false),
		LOOK(40000, 0, 0, 0, 5, 100000, false),
		END,
	};

	plays(looks);
}

/* The process was stopped for a while; its kernel was not. */
static void looks_far_apart(void **state)
{
	static const struct look looks[] = {
		LOOK(0, 1, 0, 0, 0, 10, false),
		LOOK(600000, 1, 0, 3, 0, 3000, false),
		LOOK(604000, 1, 0, 4, 0, 7000, false),
		LOOK(609000, 1, 0, 5, 0, 12000, true),
		END,
	};

	plays(looks);
}

/* Looks at what is no TCP end nothing; what has come and comes no more is asked for. */
static void what_is_no_socket(void **state)
{
	static const struct alive_beat rest = {60, 15, 4};
	struct alive a = {0};

	assert_false(alive_look(&a, -1, 10, 10, 0, &rest));
	assert_false(a.asked);
	assert_false(alive_look(&a, -1, 10, 10, 4000, &rest));
	assert_true(a.asked);
	assert_false(alive_look(&a, -1, 10, 10, 4000 + ALIVE_ASKED_MS - 1, &rest));
	assert_true(a.asked);
	assert_false(alive_look(&a, -1, 10, 10, 4000 + ALIVE_ASKED_MS, &rest));
	assert_false(a.asked);
	assert_false(alive_look(&a, -1, 10, 10, 90000, &rest));
	assert_false(a.asked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_byte_after_an_hour_into_a_cut_line),
		cmocka_unit_test(a_byte_after_an_hour_on_a_line_that_lives),
		cmocka_unit_test(a_busy_line),
		cmocka_unit_test(a_busy_line_that_is_cut),
		cmocka_unit_test(a_slow_line_is_given_its_tries),
		cmocka_unit_test(a_reader_that_pauses_for_minutes),
		cmocka_unit_test(a_reader_that_pauses_and_a_lost_probe),
		cmocka_unit_test(a_device_that_is_down),
		cmocka_unit_test(probes_of_keep_alive),
		cmocka_unit_test(looks_far_apart),
		cmocka_unit_test(what_is_no_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
