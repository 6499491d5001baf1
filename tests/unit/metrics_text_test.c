/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics_text: every reason has a line, and only reasons, classes and STUN have more than one.
 * links: relay/control/metrics_text.c core/parse/reason.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/parse/reason.h"
#include "relay/control/metrics_text.h"

static char *text_of(uint64_t refused[REASON_MAX])
{
	static const struct metrics_stun stun[] = {{"tcp", "answered", 5}, {"udp", "limited", 6}};
	static const struct metrics_place places[] = {{"unproven", 3, 100}, {"proven", 4, 200}};
	struct metrics_values v = {.version = "1.2.3",
				   .revision = 7,
				   .sessions = 3,
				   .bytes = 18446744073709551615u,
				   .draining = true,
				   .nat_connected = true,
				   .refused = refused,
				   .stun = stun,
				   .stun_count = 2,
				   .handshakes = 8,
				   .places = places,
				   .place_count = 2,
				   .tables = {.links = 2}};
	size_t len;
	char *text = metrics_text(&v, &len);

	assert_non_null(text);
	assert_int_equal(strlen(text), len);
	return text;
}

static void values_stand_behind_their_names(void **state)
{
	uint64_t refused[REASON_MAX] = {[REASON_TIMEOUT] = 9};
	char *text = text_of(refused);

	assert_non_null(strstr(text, "\npostern_build_info{version=\"1.2.3\"} 1\n"));
	assert_non_null(strstr(text, "\npostern_links 2\n"));
	assert_non_null(strstr(text, "\npostern_sessions 3\n"));
	assert_non_null(strstr(text, "\npostern_bytes_total 18446744073709551615\n"));
	assert_non_null(strstr(text, "\npostern_draining 1\n"));
	assert_non_null(strstr(text, "\npostern_nat_connected 1\n"));
	assert_non_null(strstr(text, "\npostern_config_revision 7\n"));
	assert_non_null(strstr(text, "\npostern_refused_total{reason=\"TIMEOUT\"} 9\n"));
	assert_non_null(strstr(text, "\npostern_stun_total{over=\"tcp\",result=\"answered\"} 5\n"));
	assert_non_null(strstr(text, "\npostern_stun_total{over=\"udp\",result=\"limited\"} 6\n"));
	assert_non_null(strstr(text, "\npostern_handshakes_total 8\n"));
	assert_non_null(strstr(text, "\npostern_places_used{class=\"unproven\"} 3\n"));
	assert_non_null(strstr(text, "\npostern_places_limit{class=\"proven\"} 200\n"));
	free(text);
}

static void the_page_does_not_grow_with_what_happens(void **state)
{
	uint64_t none[REASON_MAX] = {0}, some[REASON_MAX];
	size_t lines[2] = {0, 0};

	for (size_t i = 0; i < REASON_MAX; i++)
		some[i] = i;
	char *texts[2] = {text_of(none), text_of(some)};
	for (size_t t = 0; t < 2; t++) {
		for (const char *p = texts[t]; *p; p++)
			lines[t] += *p == '\n';
		free(texts[t]);
	}
	assert_int_equal(lines[0], lines[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_stand_behind_their_names),
		cmocka_unit_test(the_page_does_not_grow_with_what_happens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
