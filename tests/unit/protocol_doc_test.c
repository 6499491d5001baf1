/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protocol_doc: docs/protocol.md tells what wire.h and reason.h say, row by row.
 * Runs at the top of the source tree, or takes the page's path as its argument.
 * links: core/parse/reason.c core/parse/wire.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/parse/reason.h"
#include "core/parse/wire.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static const char *page_path = "docs/protocol.md";
static char page[256 * 1024];

struct entry {
	unsigned number;
	const char *name;
};

static const struct entry messages[] = {
#define X(number, name) {number, #name},
	WIRE_MESSAGES(X)
#undef X
};

static const struct entry reasons[] = {
#define X(number, name, sentence) {number, #name},
	REASONS(X)
#undef X
};

/* ---- reading the page ---- */

static int load_page(void **state)
{
	FILE *f = fopen(page_path, "r");
	size_t n;

	if (!f) {
		perror(page_path);
		return -1;
	}
	n = fread(page, 1, sizeof(page) - 1, f);
	page[n] = 0;
	fclose(f);
	return n > 0 && n < sizeof(page) - 1 ? 0 : -1;
}

/* The next line of the page in line, without its end; false behind the last. */
static bool next_line(const char **at, char line[1024])
{
	size_t n = strcspn(*at, "\n");

	if (**at == 0)
		return false;
	snprintf(line, 1024, "%.*s", (int)n, *at);
	*at += n + ((*at)[n] == '\n');
	return true;
}

/* Cell number column (from 0) of a table row, trimmed. */
static bool cell(const char *row, unsigned column, char out[1024])
{
	size_t n;

	if (*row++ != '|')
		return false;
	for (; column > 0; column--) {
		row = strchr(row, '|');
		if (!row++)
			return false;
	}
	row += strspn(row, " ");
	n = strcspn(row, "|");
	if (row[n] != '|')
		return false;
	while (n > 0 && row[n - 1] == ' ')
		n--;
	snprintf(out, 1024, "%.*s", (int)n, row);
	return true;
}

/* Finds the row that begins with number (messages are in hex); fails unless it is one. */
static void find_row(bool hex, unsigned number, char row[1024])
{
	char line[1024], first[1024], wanted[32];
	const char *at = page;
	unsigned found = 0;

	snprintf(wanted, sizeof(wanted), hex ? "0x%02x" : "%u", number);
	while (next_line(&at, line)) {
		if (!cell(line, 0, first) || strcmp(first, wanted) != 0)
			continue;
		memcpy(row, line, sizeof(line));
		found++;
	}
	if (found != 1)
		fail_msg("%s has %u rows for %s", page_path, found, wanted);
}

/* ---- messages ---- */

static void test_every_message_is_told(void **state)
{
	char row[1024], name[1024];

	for (size_t i = 0; i < LENGTH(messages); i++) {
		find_row(true, messages[i].number, row);
		assert_true(cell(row, 1, name));
		assert_string_equal(name, messages[i].name);
	}
}

static void test_no_other_message_is_told(void **state)
{
	char line[1024], number[1024], name[1024];
	const char *at = page;
	size_t rows = 0;

	while (next_line(&at, line)) {
		if (!cell(line, 0, number) || strncmp(number, "0x", 2) != 0)
			continue;
		assert_true(cell(line, 1, name));
		assert_string_equal(name, wire_type_name((unsigned)strtoul(number, NULL, 16)));
		rows++;
	}
	assert_int_equal(rows, LENGTH(messages));
}

/* The limits that the rows name are those of the code. */
static void test_limits(void **state)
{
	static const struct {
		enum wire_type type;
		const char *before;
		unsigned limit;
		const char *after;
	} limits[] = {
		{WIRE_HELLO, "text8 agent ≤ ", WIRE_NAME_MAX, ","},
		{WIRE_HELLO, "text8 software ≤ ", WIRE_SOFTWARE_MAX, ","},
		{WIRE_HELLO, "bytes16 certificate (DER) 1–", WIRE_CERT_MAX, ","},
		{WIRE_HELLO, "bytes16 signature 1–", WIRE_SIGNATURE_MAX, ","},
		{WIRE_WELCOME, "text8 relay ≤ ", WIRE_RELAY_MAX, ","},
		{WIRE_WELCOME, "text8 your_address ≤ ", WIRE_ADDRESS_MAX, ","},
		{WIRE_WELCOME, "", WIRE_SECRET_BYTES, " bytes leg_secret,"},
		{WIRE_PUBLISH, "u16 count ≤ ", WIRE_SERVICES_MAX, ","},
		{WIRE_PUBLISH, "text8 service ≤ ", WIRE_NAME_MAX, " |"},
		{WIRE_OFFER, "text8 from ≤ ", WIRE_NAME_MAX, ","},
		{WIRE_OFFER, "text8 source ≤ ", WIRE_ADDRESS_MAX, ","},
		{WIRE_OFFER, "text8 local ≤ ", WIRE_ADDRESS_MAX, ","},
		{WIRE_REFUSE, "text16 text ≤ ", WIRE_TEXT_MAX, " |"},
		{WIRE_BYE, "text16 text ≤ ", WIRE_TEXT_MAX, " |"},
		{WIRE_SIGNED, "bytes16 object 1–", WIRE_SIGNED_MAX, ":"},
		{WIRE_LEG, "", WIRE_SECRET_BYTES, " bytes proof |"},
		{WIRE_OPEN, "text8 to ≤ ", WIRE_NAME_MAX, ","},
		{WIRE_OPEN, "text8 service ≤ ", WIRE_NAME_MAX, ","},
		{WIRE_FAIL, "text16 text ≤ ", WIRE_TEXT_MAX, " |"},
		{WIRE_REQUEST, "text8 service ≤ ", WIRE_NAME_MAX, ","},
		{WIRE_REQUEST, "text8 source ≤ ", WIRE_ADDRESS_MAX, ","},
		{WIRE_REQUEST, "u8 count ≤ ", WIRE_CANDIDATES_MAX, ","},
		{WIRE_REQUEST, "text8 candidate ≤ ", WIRE_ADDRESS_MAX, ","},
		{WIRE_RESULT, "text16 text ≤ ", WIRE_TEXT_MAX, ","},
		{WIRE_RESULT, "u8 count ≤ ", WIRE_CANDIDATES_MAX, ","},
		{WIRE_RESULT, "text8 candidate ≤ ", WIRE_ADDRESS_MAX, ","},
	};
	char row[1024], wanted[128];

	for (size_t i = 0; i < LENGTH(limits); i++) {
		find_row(true, limits[i].type, row);
		snprintf(wanted, sizeof(wanted), "%s%u%s", limits[i].before, limits[i].limit,
			 limits[i].after);
		if (!strstr(row, wanted))
			fail_msg("the row of %s does not say \"%s\"",
				 wire_type_name(limits[i].type), wanted);
	}
	snprintf(wanted, sizeof(wanted), "u16 length    of the body, at most %u", WIRE_BODY_MAX);
	assert_non_null(strstr(page, wanted));
}

/* Rows of the messages that end in extensions say so, and no others; with the limits once. */
static void test_extensions(void **state)
{
	char row[1024], body[1024], wanted[128];

	for (size_t i = 0; i < LENGTH(messages); i++) {
		find_row(true, messages[i].number, row);
		assert_true(cell(row, 3, body));
		if ((strstr(body, ", extensions") != NULL) !=
		    wire_type_extends((enum wire_type)messages[i].number))
			fail_msg("the row of %s is wrong about extensions", messages[i].name);
	}
#define X(number, name, messages) assert_non_null(strstr(page, "| " #name " | " #number " | "));
	WIRE_EXTENSIONS(X)
#undef X
	snprintf(wanted, sizeof(wanted), "senders add 0 to %u zeros", WIRE_PAD_MAX);
	assert_non_null(strstr(page, wanted));
	snprintf(wanted, sizeof(wanted), " u8  n         at most %u\n", WIRE_EXTENSIONS_MAX);
	assert_non_null(strstr(page, wanted));
	snprintf(wanted, sizeof(wanted), "together at most %u bytes\n", WIRE_EXTENSIONS_BYTES);
	assert_non_null(strstr(page, wanted));
	snprintf(wanted, sizeof(wanted), "From 0x%04x on", WIRE_EXTENSION_CRITICAL);
	assert_non_null(strstr(page, wanted));
	snprintf(wanted, sizeof(wanted), "# The Postern protocol, version %u\n", WIRE_VERSION);
	assert_ptr_equal(strstr(page, wanted), page);
	snprintf(wanted, sizeof(wanted), " u8  version   %u\n", WIRE_VERSION);
	assert_non_null(strstr(page, wanted));
}

/* ---- reasons ---- */

static void test_every_reason_is_told(void **state)
{
	char row[1024], text[1024];

	for (size_t i = 0; i < LENGTH(reasons); i++) {
		find_row(false, reasons[i].number, row);
		assert_true(cell(row, 1, text));
		assert_string_equal(text, reasons[i].name);
		assert_true(cell(row, 2, text));
		assert_string_equal(text, reason_sentence(reasons[i].number));
	}
}

static void test_no_other_reason_is_told(void **state)
{
	char line[1024], number[1024];
	const char *at = page;
	size_t rows = 0;

	while (next_line(&at, line))
		if (cell(line, 0, number) && *number && number[strspn(number, "0123456789")] == 0) {
			assert_string_not_equal(reason_name((unsigned)strtoul(number, NULL, 10)),
						"UNKNOWN");
			rows++;
		}
	assert_int_equal(rows, LENGTH(reasons));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_message_is_told),
		cmocka_unit_test(test_no_other_message_is_told),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_every_reason_is_told),
		cmocka_unit_test(test_no_other_reason_is_told),
	};

	if (argc > 1)
		page_path = argv[1];
	return cmocka_run_group_tests(tests, load_page, NULL);
}
