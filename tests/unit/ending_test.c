/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ending: the letters of a session's end, what leads to them, and docs/endings.md.
 * Runs at the top of the source tree, or takes the page's path as its argument.
 * links: core/parse/ending.c core/parse/reason.c
 */
#include <errno.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/parse/ending.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static const char *page_path = "docs/endings.md";
static char page[64 * 1024];

struct entry {
	int place;
	char letter;
	const char *name, *sentence;
};

static const struct entry entries[] = {
#define X(letter, name, sentence) {1, letter, #name, sentence},
	ENDING_SIDES(X)
#undef X
#define X(letter, name, sentence) {2, letter, #name, sentence},
		ENDING_PHASES(X)
#undef X
#define X(letter, name, sentence) {3, letter, #name, sentence},
			ENDING_CAUSES(X)
#undef X
};

static const enum reason wire_reasons[] = {
#define X(number, name, sentence) REASON_##name,
	REASONS(X)
#undef X
};

static int load_page(void **state)
{
	FILE *f = fopen(page_path, "r");
	size_t n;

	if (!f) {
		perror(page_path);
		return -1;
	}
	n = fread(page, 1, sizeof(page) - 1, f);
	fclose(f);
	return n > 0 && n < sizeof(page) - 1 ? 0 : -1;
}

static void test_codes(void **state)
{
	char code[ENDING_CODE_BYTES];

	assert_string_equal(ending_code((struct ending){0}, code), "---");
	assert_string_equal(
		ending_code((struct ending){ENDING_SELF, ENDING_DATA, ENDING_KICKED}, code), "SDK");
	assert_string_equal(
		ending_code((struct ending){ENDING_FAR, ENDING_HANDSHAKE, ENDING_VERSION}, code),
		"FHZ");
	assert_string_equal(
		ending_code((struct ending){ENDING_PUBLISHING, ENDING_HALF, ENDING_LINE}, code),
		"PET");
}

static void test_letters_both_ways(void **state)
{
	enum ending_cause back = ENDING_HOST;

#define X(letter, name, sentence)                                                                  \
	assert_string_equal(ending_letter(ENDING_##name), ((char[]){letter, 0}));                  \
	assert_true(ending_of_letter(letter, &back));                                              \
	assert_int_equal(back, ENDING_##name);
	ENDING_CAUSES(X)
#undef X
	back = ENDING_HOST;
	assert_false(ending_of_letter('?', &back));
	assert_false(ending_of_letter('\0', &back));
	assert_int_equal(back, ENDING_HOST);
}

/* What an agent may say of itself; what is a relay's or nobody's own is none of it. */
static void test_causes_of_agents(void **state)
{
	static const char may[] = "NYVFAIM";

	assert_string_equal(ending_sentence(ENDING_NOT_ALLOWED), "no rule or list allows it");
#define X(letter, name, sentence)                                                                  \
	assert_string_equal(ending_sentence(ENDING_##name), sentence);                             \
	assert_int_equal(ending_by_agent(ENDING_##name), strchr(may, letter) != NULL);
	ENDING_CAUSES(X)
#undef X
}

static void test_letters_differ(void **state)
{
	for (size_t i = 0; i < LENGTH(entries); i++)
		for (size_t j = 0; j < i; j++) {
			if (entries[i].place != entries[j].place)
				continue;
			assert_int_not_equal(entries[i].letter, entries[j].letter);
			assert_string_not_equal(entries[i].sentence, entries[j].sentence);
		}
}

/* What an operator has to tell apart is told apart. */
static void test_reasons(void **state)
{
	static const struct {
		enum reason reason;
		enum ending_cause cause;
	} rows[] = {
		{REASON_OK, ENDING_FINISHED},
		{REASON_PROTOCOL, ENDING_BYTES},
		{REASON_VERSION, ENDING_VERSION},
		{REASON_EXTENSION, ENDING_VERSION},
		{REASON_CERT_EXPIRED, ENDING_EXPIRED},
		{REASON_CERT_UNTRUSTED, ENDING_UNTRUSTED},
		{REASON_CERT_ROLE, ENDING_IDENTITY},
		{REASON_PEER_IDENTITY, ENDING_IDENTITY},
		{REASON_DRAINING, ENDING_DRAINING},
		{REASON_AGENT_OFFLINE, ENDING_OFFLINE},
		{REASON_LINK_GONE, ENDING_OFFLINE},
		{REASON_SERVICE_UNKNOWN, ENDING_SERVICE},
		{REASON_NOT_ALLOWED, ENDING_NOT_ALLOWED},
		{REASON_TIMEOUT, ENDING_DEADLINE},
		{REASON_TARGET_UNREACHABLE, ENDING_PORT},
		{REASON_TARGET_NAME, ENDING_HOST},
		{REASON_LIMIT_SESSIONS, ENDING_LIMIT},
		{REASON_LIMIT_LINKS, ENDING_LIMIT},
		{REASON_LIMIT_LEGS, ENDING_LIMIT},
		{REASON_LIMIT_MEMORY, ENDING_MEMORY},
		{REASON_PEER_GONE, ENDING_GONE},
		{REASON_SHUTDOWN, ENDING_SHUTDOWN},
		{REASON_REVOKED, ENDING_REVOKED},
		{REASON_KICKED, ENDING_KICKED},
	};

	for (size_t i = 0; i < LENGTH(rows); i++)
		assert_int_equal(ending_of_reason(rows[i].reason), rows[i].cause);
	/* Every reason of the wire has a meaning of its own; only PROTOCOL means bytes. */
	for (size_t i = 0; i < LENGTH(wire_reasons); i++)
		if (wire_reasons[i] < REASON_WIRE_END && wire_reasons[i] != REASON_PROTOCOL)
			assert_int_not_equal(ending_of_reason(wire_reasons[i]), ENDING_BYTES);
	assert_int_equal(ending_of_reason((enum reason)99), ENDING_BYTES); /* a later version's */
}

static void test_errnos(void **state)
{
	assert_int_equal(ending_of_errno(ECONNRESET), ENDING_RESET);
	assert_int_equal(ending_of_errno(EPIPE), ENDING_RESET);
	assert_int_equal(ending_of_errno(ETIMEDOUT), ENDING_LINE);
	assert_int_equal(ending_of_errno(EHOSTUNREACH), ENDING_LINE);
	assert_int_equal(ending_of_errno(EPROTO), ENDING_BYTES);
	assert_int_equal(ending_of_errno(ENOMEM), ENDING_MEMORY);
	assert_int_equal(ending_of_errno(EMFILE), ENDING_MEMORY);
	assert_int_equal(ending_of_errno(EIO), ENDING_SYSTEM);
}

/* The page's table, row by row; and no row more. */
static void test_page(void **state)
{
	size_t rows = 0;
	char row[512];

	for (size_t i = 0; i < LENGTH(entries); i++) {
		const struct entry *e = &entries[i];

		snprintf(row, sizeof(row), "\n| %d | `%c` | %s | %s |\n", e->place, e->letter,
			 e->name, e->sentence);
		if (!strstr(page, row))
			fail_msg("%s has no row %s", page_path, row + 1);
	}
	for (const char *at = page; (at = strstr(at, "\n| ")); at++)
		rows += at[3] >= '0' && at[3] <= '9';
	assert_int_equal(rows, LENGTH(entries));
}

static bool is_letter(int place, char letter)
{
	for (size_t i = 0; i < LENGTH(entries); i++)
		if (entries[i].place == place && entries[i].letter == letter)
			return true;
	return false;
}

/* The page's examples are made of letters that exist. */
static void test_examples(void **state)
{
	size_t examples = 0;

	for (const char *at = page; (at = strstr(at, "\n| `")); at++) {
		const char *code = at + 4;

		if (strcspn(code, "`") != 3)
			continue;
		for (int i = 0; i < 3; i++)
			if (!is_letter(i + 1, code[i]))
				fail_msg("%.3s is no code", code);
		examples++;
	}
	assert_true(examples >= 10);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_letters_both_ways),
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_letters_differ),
		cmocka_unit_test(test_causes_of_agents),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_errnos),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_examples),
	};

	if (argc > 1)
		page_path = argv[1];
	return cmocka_run_group_tests(tests, load_page, NULL);
}
