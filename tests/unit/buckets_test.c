/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buckets: how often sources and names may make a relay work, on a clock of the test's.
 * links: relay/ledger/buckets.c relay/ledger/sources.c core/addr.c
 * links: core/area.c core/paged.c core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>

#include "core/memory.h"
#include "relay/ledger/buckets.h"
#include "tests/support/resident.h"

#define PER_SOURCE 10u
#define TOTAL	   100u
#define BURST	   (PER_SOURCE * BUCKETS_BURST_S)

static uint64_t now_ms;

static struct buckets *make(uint64_t total, uint64_t per_source)
{
	struct buckets_limits limits;
	struct buckets *r = buckets_new(64);

	for (unsigned i = 0; i < BUCKETS_WORKS; i++) {
		limits.total[i] = total;
		limits.per_source[i] = per_source;
	}
	assert_non_null(r);
	buckets_set_limits(r, &limits);
	now_ms = 1000000;
	return r;
}

static struct addr from(const char *literal)
{
	struct addr a;

	assert_true(addr_from_literal(literal, 1, &a));
	return a;
}

static enum buckets_grant ask(struct buckets *r, enum buckets_work work, const char *literal)
{
	struct addr a = from(literal);

	return buckets_ask(r, work, &a, now_ms);
}

/* How many of so many are done. */
static unsigned flood(struct buckets *r, const char *literal, unsigned count)
{
	unsigned done = 0;

	for (unsigned i = 0; i < count; i++)
		done += ask(r, BUCKETS_HANDSHAKE, literal) != BUCKETS_REFUSED;
	return done;
}

static void proved(struct buckets *r, const char *literal, enum buckets_grant grant)
{
	struct addr a = from(literal);

	buckets_proved(r, &a, grant, now_ms);
}

static void test_burst_and_rate(void **state)
{
	struct buckets *r = make(0, PER_SOURCE);

	assert_int_equal(flood(r, "192.0.2.1", 1000), BURST);
	assert_int_equal(ask(r, BUCKETS_HANDSHAKE, "192.0.2.1"), BUCKETS_REFUSED);
	/* Another kind of work has buckets of its own. */
	assert_int_not_equal(ask(r, BUCKETS_REQUEST, "192.0.2.1"), BUCKETS_REFUSED);
	now_ms += 1000 / PER_SOURCE - 1;
	assert_int_equal(flood(r, "192.0.2.1", 10), 0);
	now_ms += 1;
	assert_int_equal(flood(r, "192.0.2.1", 10), 1);
	now_ms += 10000;
	assert_int_equal(flood(r, "192.0.2.1", 1000), BURST);
	/* What was refused is not owed. */
	now_ms += 1000;
	assert_int_equal(flood(r, "192.0.2.1", 1000), PER_SOURCE);
	buckets_free(r);
}

/* A flood that never ends gets its rate, to the piece. */
static void test_steady(void **state)
{
	struct buckets *r = make(TOTAL, PER_SOURCE);
	unsigned done = 0;

	for (unsigned i = 0; i < 10000; i++, now_ms++)
		done += flood(r, "192.0.2.1", 4);
	assert_in_range(done, BURST + 10 * PER_SOURCE - 1, BURST + 10 * PER_SOURCE + 1);
	buckets_free(r);
}

static void test_networks(void **state)
{
	struct buckets *r = make(0, PER_SOURCE);
	unsigned done = 0;
	char address[64];

	for (unsigned i = 1; i <= 100; i++) {
		snprintf(address, sizeof address, "192.0.2.%u", i);
		done += flood(r, address, BURST);
	}
	assert_int_equal(done, 4 * BURST);
	assert_int_equal(flood(r, "192.0.3.1", 1), 1);
	done = 0;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(address, sizeof address, "2001:db8:1:%x::1", i);
		done += flood(r, address, BURST);
	}
	assert_int_equal(done, 16 * BURST);
	assert_int_equal(flood(r, "2001:db8:2::1", 1), 1);
	/* What a network refuses is not charged to an address in it. */
	now_ms += 100; /* one piece of an address, four of the network */
	assert_int_equal(flood(r, "192.0.2.200", 10), 4);
	buckets_free(r);
}

/* One that asked far too much is one of many again four seconds after, not later. */
static void test_a_flood_that_is_over(void **state)
{
	struct buckets *r = make(TOTAL, PER_SOURCE);

	for (unsigned i = 0; i < 2000; i++, now_ms += 10)
		(void)flood(r, "192.0.2.1", 20);
	assert_int_not_equal(ask(r, BUCKETS_HANDSHAKE, "192.0.2.1"), BUCKETS_OF_LITTLE);
	now_ms += BUCKETS_BURST_S * 1000 + 1000;
	assert_int_equal(ask(r, BUCKETS_HANDSHAKE, "192.0.2.1"), BUCKETS_OF_LITTLE);
	buckets_free(r);
}

/* Half of all is kept for those that ask seldom, however many ask as much as they may. */
static void test_kept_for_little(void **state)
{
	struct buckets *r = make(TOTAL, PER_SOURCE);
	unsigned busy = 0, refused = 0;
	char address[64];

	for (unsigned i = 0; i < 10000; i++, now_ms++) {
		for (unsigned n = 0; n < 50; n++) {
			snprintf(address, sizeof address, "10.%u.0.1", n);
			busy += flood(r, address, 1);
		}
		/* One that asks now and then: forty times a second in all, once each. */
		if (i % 25 == 0) {
			snprintf(address, sizeof address, "172.16.%u.1", i / 25 % 256);
			if (i > 1000) /* the sources of the flood used little as they came */
				refused += flood(r, address, 1) == 0;
		}
	}
	assert_int_equal(refused, 0);
	assert_in_range(busy, 10 * TOTAL / 2, 11 * TOTAL);
	buckets_free(r);
}

static void test_total_bounds(void **state)
{
	struct buckets *r = make(TOTAL, PER_SOURCE);
	unsigned done = 0;
	char address[64];

	for (unsigned i = 0; i < 2000; i++, now_ms++)
		for (unsigned n = 0; n < 10; n++) {
			snprintf(address, sizeof address, "10.%u.%u.1", i % 250, n);
			done += flood(r, address, 1);
		}
	assert_in_range(done, 2 * TOTAL, 3 * TOTAL + 1);
	buckets_free(r);
}

static void test_proved_is_given_back(void **state)
{
	struct buckets *r = make(TOTAL, PER_SOURCE);

	/* As many as like, and the strangers at that address have theirs still. */
	for (unsigned i = 0; i < 20 * TOTAL; i++) {
		enum buckets_grant grant = ask(r, BUCKETS_HANDSHAKE, "192.0.2.1");

		assert_int_not_equal(grant, BUCKETS_REFUSED);
		proved(r, "192.0.2.1", grant);
	}
	assert_int_equal(flood(r, "192.0.2.1", 1000), BURST);
	assert_int_equal(flood(r, "192.0.2.2", 1000), BURST);
	buckets_free(r);
}

/* Where a name has proved itself, neither its network's flood nor that of all keeps it out. */
static void test_proved_address(void **state)
{
	struct buckets *r = make(TOTAL, PER_SOURCE);
	char address[64];

	proved(r, "192.0.2.1", ask(r, BUCKETS_HANDSHAKE, "192.0.2.1"));
	for (unsigned i = 2; i < 250; i++) {
		snprintf(address, sizeof address, "192.0.2.%u", i);
		(void)flood(r, address, 100);
		snprintf(address, sizeof address, "10.%u.0.1", i);
		(void)flood(r, address, 100);
	}
	assert_int_equal(flood(r, "192.0.2.250", 1), 0);
	assert_int_equal(flood(r, "203.0.113.1", 1), 0);
	assert_int_equal(ask(r, BUCKETS_HANDSHAKE, "192.0.2.1"), BUCKETS_OF_PROVEN);
	/* Its own bucket counts. */
	assert_int_equal(flood(r, "192.0.2.1", 1000), BURST - 1);
	/* A day later it is one of many. */
	now_ms += 86400000;
	assert_int_equal(ask(r, BUCKETS_HANDSHAKE, "192.0.2.1"), BUCKETS_OF_LITTLE);
	buckets_free(r);
}

static enum buckets_grant sign_in(struct buckets *r, const char *literal, const char *name,
				  bool right)
{
	struct addr a = from(literal);
	enum buckets_grant grant = buckets_ask_sign_in(r, &a, name, now_ms);

	if (right && grant != BUCKETS_REFUSED)
		buckets_signed_in(r, &a, name, grant, now_ms);
	return grant;
}

static void test_sign_ins(void **state)
{
	struct buckets *r = make(TOTAL, PER_SOURCE);
	char name[32];

	assert_int_equal(sign_in(r, "192.0.2.1", "laptop", true), BUCKETS_OF_LITTLE);
	/* Names that are only claimed are the source's, and do not multiply what it may. */
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "claimed-%u", i);
		if (sign_in(r, "192.0.2.1", name, false) == BUCKETS_REFUSED)
			assert_true(i >= BURST);
		else
			assert_true(i < BURST);
	}
	/* Who has proved to be laptop there has a bucket. */
	assert_int_equal(sign_in(r, "192.0.2.1", "laptop", true), BUCKETS_OF_PROVEN);
	assert_int_equal(sign_in(r, "192.0.2.1", "home", true), BUCKETS_REFUSED);
	/* Elsewhere it is a claim. */
	assert_int_equal(sign_in(r, "198.51.100.1", "laptop", true), BUCKETS_OF_LITTLE);
	/* And the bucket has an end. */
	unsigned done = 0;
	for (unsigned i = 0; i < 1000; i++)
		done += sign_in(r, "192.0.2.1", "laptop", true) != BUCKETS_REFUSED;
	assert_int_equal(done, BURST - 2);
	buckets_free(r);
}

static void test_names(void **state)
{
	struct buckets *r = make(TOTAL, PER_SOURCE);
	unsigned done = 0;

	for (unsigned i = 0; i < 10000; i++)
		done += buckets_ask_name(r, BUCKETS_HANDSHAKE, "laptop", now_ms);
	assert_int_equal(done, BUCKETS_NAME_MORE * BURST);
	assert_true(buckets_ask_name(r, BUCKETS_HANDSHAKE, "home", now_ms));
	buckets_free(r);
}

/* Any number of sources: the table is as large as it was, and the crowded ones are remembered. */
static void test_full_table(void **state)
{
	struct buckets *r = make(0, PER_SOURCE);
	char address[64];

	proved(r, "198.51.100.1", ask(r, BUCKETS_HANDSHAKE, "198.51.100.1"));
	assert_int_equal(flood(r, "192.0.2.1", 1000), BURST);
	for (unsigned i = 0; i < 60000; i++) {
		snprintf(address, sizeof address, "10.%u.%u.1", i / 250, i % 250);
		(void)flood(r, address, 1);
	}
	assert_int_equal(flood(r, "192.0.2.1", 10), 0);
	assert_int_equal(ask(r, BUCKETS_HANDSHAKE, "198.51.100.1"), BUCKETS_OF_PROVEN);
	buckets_free(r);
}

static void test_no_limit(void **state)
{
	struct buckets *r = make(0, 0);

	assert_int_equal(flood(r, "192.0.2.1", 100000), 100000);
	assert_true(buckets_ask_name(r, BUCKETS_HANDSHAKE, "laptop", now_ms));
	buckets_free(r);
	r = make(1, 1); /* the least that can be said */
	assert_int_equal(flood(r, "192.0.2.1", 1), 1);
	now_ms += 1000;
	assert_int_equal(flood(r, "192.0.2.2", 1), 1);
	buckets_free(r);
}

/* The table is charged as it is touched, within a tenth of what the kernel counts. */
static void test_charged(void **state)
{
	const struct buckets_limits none = {.total = {0}};
	static struct memory account;
	size_t before, grown;

	account = (struct memory){.most = 1u << 30};
	(void)memory_adopt(&account);
	struct buckets *r = buckets_new(1u << 20);
	assert_non_null(r);
	assert_int_equal(account.used, 0);
	buckets_set_limits(r, &none);
	before = resident_bytes();
	for (unsigned i = 0; i < 150; i++) {
		char address[32];

		snprintf(address, sizeof(address), "10.0.%u.1", i);
		(void)flood(r, address, 1);
	}
	grown = resident_bytes() - before;
	assert_true(account.used > 200 * 1024);
	if (before > 0) {
		assert_true(account.used > (int64_t)(grown / 10 * 9));
		assert_true(account.used < (int64_t)(grown / 10 * 11));
	}
	buckets_free(r);
	assert_int_equal(account.used, 0);
	(void)memory_adopt(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_and_rate),
		cmocka_unit_test(test_steady),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_a_flood_that_is_over),
		cmocka_unit_test(test_kept_for_little),
		cmocka_unit_test(test_total_bounds),
		cmocka_unit_test(test_proved_is_given_back),
		cmocka_unit_test(test_proved_address),
		cmocka_unit_test(test_sign_ins),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_full_table),
		cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_charged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
