/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcp_test: requests byte for byte as RFC 6887 draws them, and what is read of answers.
 * links: natpmp/pcp.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "natpmp/pcp.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static struct addr address(const char *literal, uint16_t port)
{
	struct addr a;

	assert_true(addr_from_literal(literal, port, &a));
	return a;
}

static void assert_address(const struct addr *a, const char *text)
{
	char written[ADDR_TEXT_BYTES];

	addr_format(a, written);
	assert_string_equal(written, text);
}

static struct pcp_request map_request(void)
{
	struct pcp_request r;

	memset(&r, 0, sizeof(r));
	r.opcode = PCP_MAP;
	r.client = address("192.168.77.2", 0);
	r.lifetime_s = 7200;
	memcpy(r.map.nonce, "abcdefghijkl", PCP_NONCE_BYTES);
	r.map.protocol = PCP_TCP;
	r.map.internal_port = 443;
	r.map.external = address("0.0.0.0", 8443);
	return r;
}

/* ---- requests ---- */

static const uint8_t map_bytes[] = {
	2,   1,	  0,	0,    0,   0,	0x1c, 0x20, /* MAP, 7200 s */
	0,   0,	  0,	0,    0,   0,	0,    0,    0,	 0,   0xff, 0xff, 192, 168, 77, 2, /* us */
	'a', 'b', 'c',	'd',  'e', 'f', 'g',  'h',  'i', 'j', 'k',  'l',  6,   0,   0,	0, /* TCP */
	1,   187, 0x20, 0xfb, /* 443, 8443 */
	0,   0,	  0,	0,    0,   0,	0,    0,    0,	 0,   0xff, 0xff, 0,   0,   0,	0,
};

static void map_is_written_as_drawn(void **state)
{
	struct pcp_request r = map_request();
	uint8_t out[PCP_REQUEST_BYTES];
	size_t len;

	assert_true(pcp_request_write(&r, out, sizeof(out), &len));
	assert_int_equal(len, PCP_HEADER_BYTES + PCP_MAP_BYTES);
	assert_memory_equal(out, map_bytes, len);
}

static void options_follow_the_map(void **state)
{
	static const uint8_t third_party[] = {1, 0, 0, 16, 0,	 0,    0,   0,	 0,  0,
					      0, 0, 0, 0,  0xff, 0xff, 192, 168, 77, 9};
	struct pcp_request r = map_request();
	uint8_t out[PCP_REQUEST_BYTES];
	size_t len;

	r.third_party = true;
	r.internal = address("192.168.77.9", 443);
	assert_true(pcp_request_write(&r, out, sizeof(out), &len));
	assert_int_equal(len, 60 + sizeof(third_party));
	assert_memory_equal(out + 60, third_party, sizeof(third_party));
	r.prefer_failure = true;
	assert_true(pcp_request_write(&r, out, sizeof(out), &len));
	assert_int_equal(len, PCP_REQUEST_BYTES);
	assert_memory_equal(out, map_bytes, 60);
	assert_memory_equal(out + 60, third_party, sizeof(third_party));
	assert_memory_equal(out + 80, "\2\0\0\0", 4);
}

static void announce_is_a_header(void **state)
{
	struct pcp_request r = {.opcode = PCP_ANNOUNCE};
	uint8_t out[PCP_REQUEST_BYTES];
	size_t len;

	r.client = address("fd00::7", 0);
	assert_true(pcp_request_write(&r, out, sizeof(out), &len));
	assert_int_equal(len, PCP_HEADER_BYTES);
	assert_memory_equal(out, "\2\0\0\0\0\0\0\0\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\7", len);
}

static void what_cannot_be_written_is_refused(void **state)
{
	struct pcp_request r = map_request();
	uint8_t out[PCP_REQUEST_BYTES];
	size_t len = 4711;

	memset(out, 0xa5, sizeof(out));
	for (size_t room = 0; room < 60; room++)
		assert_false(pcp_request_write(&r, out, room, &len));
	r.map.external.len = 0;
	assert_false(pcp_request_write(&r, out, sizeof(out), &len));
	r = map_request();
	r.client.len = 0;
	assert_false(pcp_request_write(&r, out, sizeof(out), &len));
	assert_int_equal(len, 4711);
	for (size_t i = 0; i < sizeof(out); i++)
		assert_int_equal(out[i], 0xa5);
}

/* ---- answers ---- */

/* A MAP answer with options to follow; writes up to 1104 bytes and returns the base length. */
static size_t map_answer(uint8_t *out)
{
	static const uint8_t head[] = {2, 0x81, 0, 0, 0, 0, 0x0e, 0x10, 0, 1, 0, 2};

	memset(out, 0, PCP_BYTES_MAX + 4);
	memcpy(out, head, sizeof(head));
	memcpy(out + 24, map_bytes + 24, PCP_MAP_BYTES);
	memcpy(out + 56, "\x2d\0\0\x0a", 4); /* 45.0.0.10 */
	return 60;
}

static enum pcp_status parse(const uint8_t *in, size_t len, struct pcp_answer *out)
{
	struct pcp_answer a, before;
	uint8_t *copy = malloc(len ? len : 1);
	enum pcp_status status;

	memcpy(copy, in, len);
	memset(&a, 0xa5, sizeof(a));
	before = a;
	status = pcp_answer_parse(copy, len, &a);
	free(copy);
	if (status == PCP_OK)
		*out = a;
	else
		assert_memory_equal(&a, &before, sizeof(a));
	return status;
}

static void an_answer_to_map_is_read(void **state)
{
	uint8_t in[PCP_BYTES_MAX + 4];
	size_t len = map_answer(in);
	struct pcp_answer a;

	assert_int_equal(parse(in, len, &a), PCP_OK);
	assert_int_equal(a.opcode, PCP_MAP);
	assert_int_equal(a.result, PCP_SUCCESS);
	assert_int_equal(a.lifetime_s, 3600);
	assert_int_equal(a.epoch_s, 65538);
	assert_memory_equal(a.map.nonce, "abcdefghijkl", PCP_NONCE_BYTES);
	assert_int_equal(a.map.protocol, PCP_TCP);
	assert_int_equal(a.map.internal_port, 443);
	assert_address(&a.map.external, "45.0.0.10:8443");
	memcpy(in + 44, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	assert_int_equal(parse(in, len, &a), PCP_OK);
	assert_address(&a.map.external, "[2001:db8::1]:8443");
}

static void errors_keep_what_was_asked(void **state)
{
	uint8_t in[PCP_BYTES_MAX + 4];
	size_t len = map_answer(in);
	struct pcp_answer a;

	in[3] = PCP_CANNOT_PROVIDE_EXTERNAL;
	assert_int_equal(parse(in, len, &a), PCP_OK);
	assert_int_equal(a.result, PCP_CANNOT_PROVIDE_EXTERNAL);
	assert_memory_equal(a.map.nonce, "abcdefghijkl", PCP_NONCE_BYTES);
	in[3] = 200;
	assert_int_equal(parse(in, len, &a), PCP_OK);
	assert_int_equal(a.result, 200);
}

static void an_announcement_is_read(void **state)
{
	static const uint8_t in[24] = {2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9};
	struct pcp_answer a;

	assert_int_equal(parse(in, sizeof(in), &a), PCP_OK);
	assert_int_equal(a.opcode, PCP_ANNOUNCE);
	assert_int_equal(a.epoch_s, 9);
}

static void lengths_are_those_of_section_8_3(void **state)
{
	uint8_t in[PCP_BYTES_MAX + 4];
	struct pcp_answer a;

	for (size_t len = 0; len <= PCP_BYTES_MAX + 4; len++) {
		bool right = len >= 60 && len <= PCP_BYTES_MAX && len % 4 == 0;

		/* The rest is options 0 of length 0. */
		map_answer(in);
		assert_int_equal(parse(in, len, &a), right ? PCP_OK : PCP_MALFORMED);
	}
	/* So are those of opcodes whose contents are not read here. */
	for (size_t len = PCP_HEADER_BYTES; len < 60; len++) {
		map_answer(in);
		in[1] = 0x82;
		assert_int_equal(parse(in, len, &a), len % 4 == 0 ? PCP_OK : PCP_MALFORMED);
	}
}

static void options_are_walked_over(void **state)
{
	static const struct {
		uint8_t bytes[12];
		size_t len;
		bool right;
	} cases[] = {
		{{2, 0, 0, 0}, 4, true},	 {{3, 0, 0, 8}, 12, true},
		{{250, 0, 0, 5}, 12, true}, /* padded */
		{{250, 0, 0, 9}, 12, false},	 {{1, 0, 0, 16}, 4, false},
		{{1, 0, 0xff, 0xff}, 12, false}, {{2, 0, 0, 0, 2, 0, 0, 4}, 8, false},
	};
	struct pcp_answer a;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		uint8_t in[PCP_BYTES_MAX + 4];
		size_t len = map_answer(in);

		memcpy(in + len, cases[i].bytes, cases[i].len);
		assert_int_equal(parse(in, len + cases[i].len, &a),
				 cases[i].right ? PCP_OK : PCP_MALFORMED);
	}
}

static void other_versions_are_told_apart(void **state)
{
	static const struct {
		uint8_t bytes[24];
		size_t len;
		enum pcp_status status;
	} cases[] = {
		{{0, 0x80, 0, 1, 0, 0, 0, 9}, 8, PCP_OTHER_VERSION}, /* NAT-PMP refuses version 2 */
		{{0, 0x81, 0, 1, 0, 0, 0, 9, 0, 0}, 16, PCP_OTHER_VERSION},
		{{0, 0x80}, 2, PCP_OTHER_VERSION},
		{{2, 0x81, 0, 1}, 24, PCP_OTHER_VERSION}, /* UNSUPP_VERSION, without the map */
		{{1, 0x81, 0, 1}, 24, PCP_OTHER_VERSION},
		{{3, 0x81, 0, 1}, 24, PCP_OTHER_VERSION},
		{{1, 0x80, 0, 0}, 24, PCP_MALFORMED},
		{{0, 0x00, 0, 1, 0, 0, 0, 9}, 8, PCP_MALFORMED}, /* a request */
		{{2, 0x00, 0, 0}, 24, PCP_MALFORMED},
		{{0}, 1, PCP_MALFORMED},
	};
	struct pcp_answer a;

	for (size_t i = 0; i < LENGTH(cases); i++)
		assert_int_equal(parse(cases[i].bytes, cases[i].len, &a), cases[i].status);
}

static void results_have_names(void **state)
{
	assert_string_equal(pcp_result_name(PCP_SUCCESS), "SUCCESS");
	assert_string_equal(pcp_result_name(PCP_CANNOT_PROVIDE_EXTERNAL),
			    "CANNOT_PROVIDE_EXTERNAL");
	assert_string_equal(pcp_result_name(13), "EXCESSIVE_REMOTE_PEERS");
	assert_string_equal(pcp_result_name(14), "unknown result");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_is_written_as_drawn),
		cmocka_unit_test(options_follow_the_map),
		cmocka_unit_test(announce_is_a_header),
		cmocka_unit_test(what_cannot_be_written_is_refused),
		cmocka_unit_test(an_answer_to_map_is_read),
		cmocka_unit_test(errors_keep_what_was_asked),
		cmocka_unit_test(an_announcement_is_read),
		cmocka_unit_test(lengths_are_those_of_section_8_3),
		cmocka_unit_test(options_are_walked_over),
		cmocka_unit_test(other_versions_are_told_apart),
		cmocka_unit_test(results_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
