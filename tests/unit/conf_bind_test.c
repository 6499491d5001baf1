/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_bind: what every type takes, and that all errors are told, each with its place and remedy.
 * links: core/key_file.c core/memory.c
 * links: core/conf/conf.c core/conf/bind.c core/conf/rows.c core/conf/error.c core/conf/value.c
 * links: core/addr.c core/log*.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/addr.h"
#include "core/conf/conf.h"

struct item {
	uint64_t number;
	char *text;
};

struct sample {
	char *string, *text, *name;
	bool flag;
	uint64_t number, bytes, rate, duration_ms;
	int word;
	struct addr address;
	struct endpoint endpoint;
	struct {
		uint64_t depth;
		char *label;
	} inner;
	struct conf_array items, names;
};

static const char *const words[] = {"auto", "io_uring", "epoll", NULL};

static void check_even(struct conf_errors *e, const struct conf_node *at, const char *path,
		       const void *value)
{
	if (*(const uint64_t *)value % 2)
		conf_error(e, at, path, "is odd; add one");
}

#define AT(member) offsetof(struct sample, member)

static const struct conf_field inner_fields[] = {
	{.key = "depth",
	 .type = CONF_UINT,
	 .offset = AT(inner.depth) - AT(inner),
	 .initial = "7",
	 .help = "the depth"},
	{.key = "label",
	 .type = CONF_STRING,
	 .offset = AT(inner.label) - AT(inner),
	 .required = true,
	 .help = "the label"},
	{.key = NULL},
};

static const struct conf_field item_fields[] = {
	{.key = "number",
	 .type = CONF_UINT,
	 .offset = offsetof(struct item, number),
	 .initial = "3",
	 .help = "the number"},
	{.key = "text",
	 .type = CONF_STRING,
	 .offset = offsetof(struct item, text),
	 .required = true,
	 .help = "the text"},
	{.key = NULL},
};

static const struct conf_field fields[] = {
	{.key = "string",
	 .type = CONF_STRING,
	 .offset = AT(string),
	 .initial = "plain",
	 .help = "h"},
	{.key = "text", .type = CONF_TEXT, .offset = AT(text), .max = 100, .help = "h"},
	{.key = "name", .type = CONF_NAME, .offset = AT(name), .help = "h"},
	{.key = "flag", .type = CONF_BOOL, .offset = AT(flag), .initial = "true", .help = "h"},
	{.key = "number",
	 .type = CONF_UINT,
	 .offset = AT(number),
	 .min = 2,
	 .max = 100,
	 .check = check_even,
	 .help = "h"},
	{.key = "bytes", .type = CONF_BYTES, .offset = AT(bytes), .initial = "64KiB", .help = "h"},
	{.key = "rate", .type = CONF_RATE, .offset = AT(rate), .help = "h"},
	{.key = "duration",
	 .type = CONF_DURATION,
	 .offset = AT(duration_ms),
	 .max = 172800000,
	 .initial = "10s",
	 .help = "h"},
	{.key = "word", .type = CONF_ENUM, .offset = AT(word), .words = words, .help = "h"},
	{.key = "address", .type = CONF_ADDRESS, .offset = AT(address), .help = "h"},
	{.key = "endpoint", .type = CONF_ENDPOINT, .offset = AT(endpoint), .help = "h"},
	{.key = "inner",
	 .type = CONF_STRUCT,
	 .offset = AT(inner),
	 .fields = inner_fields,
	 .help = "h"},
	{.key = "items",
	 .type = CONF_LIST_OF,
	 .offset = AT(items),
	 .fields = item_fields,
	 .item_size = sizeof(struct item),
	 .max_items = 3,
	 .help = "h"},
	{.key = "names",
	 .type = CONF_LIST_OF,
	 .offset = AT(names),
	 .item_type = CONF_STRING,
	 .item_size = sizeof(char *),
	 .max_items = 3,
	 .help = "h"},
	{.key = NULL},
};

static struct sample bind_ok(const char *yaml)
{
	struct conf_errors errors = {.file = "f"};
	struct conf_node *root = conf_parse(yaml, strlen(yaml), &errors);
	struct sample s = {0};

	if (!root || !conf_bind(root, fields, &s, &errors))
		fail_msg("%s: %s", yaml, errors.text);
	assert_int_equal(errors.count, 0);
	conf_node_free(root);
	return s;
}

/* Fails with exactly these lines. */
static void assert_refused(const char *yaml, const char *lines)
{
	struct conf_errors errors = {.file = "f"};
	struct conf_node *root = conf_parse(yaml, strlen(yaml), &errors);
	struct sample s = {0};

	assert_non_null(root);
	assert_false(conf_bind(root, fields, &s, &errors));
	assert_non_null(errors.text);
	assert_string_equal(errors.text, lines);
	conf_release(fields, &s);
	conf_node_free(root);
	conf_errors_free(&errors);
	assert_null(errors.text);
}

static void test_defaults(void **state)
{
	struct sample s = bind_ok("name: x\n");

	assert_string_equal(s.string, "plain");
	assert_null(s.text);
	assert_true(s.flag);
	assert_int_equal(s.bytes, 65536);
	assert_int_equal(s.duration_ms, 10000);
	assert_int_equal(s.inner.depth, 7);
	assert_null(s.inner.label);
	assert_int_equal(s.items.count, 0);
	conf_release(fields, &s);
	assert_null(s.string);
}

static void test_values(void **state)
{
	struct sample s =
		bind_ok("string: 'a b'\ntext: |\n  one\n  two\nname: \"null\"\nflag: off\n"
			"number: 100\nbytes: 20MB\nduration: 2 d\nword: epoll\n"
			"address: '[::1]:80'\nendpoint: a.example:22\n"
			"inner: {label: l}\n"
			"items: [{text: a}, {number: 9, text: b}]\nnames: [x, 1, true]\n");
	const struct item *items = s.items.items;
	char *const *names = s.names.items;

	assert_string_equal(s.string, "a b");
	assert_string_equal(s.text, "one\ntwo\n");
	assert_string_equal(s.name, "null");
	assert_false(s.flag);
	assert_int_equal(s.number, 100);
	assert_int_equal(s.bytes, 20000000);
	assert_int_equal(s.duration_ms, 172800000);
	assert_int_equal(s.word, 2);
	assert_int_equal(addr_port(&s.address), 80);
	assert_string_equal(s.endpoint.host, "a.example");
	assert_string_equal(s.inner.label, "l");
	assert_int_equal(s.items.count, 2);
	assert_int_equal(items[0].number, 3);
	assert_string_equal(items[1].text, "b");
	assert_string_equal(names[2], "true");
	conf_release(fields, &s);
}

static void test_numbers(void **state)
{
	static const struct {
		const char *yaml;
		uint64_t bytes, duration_ms;
	} cases[] = {
		{"bytes: 0", 0, 10000},
		{"bytes: 16384", 16384, 10000},
		{"bytes: 1B", 1, 10000},
		{"bytes: 64KiB", 65536, 10000},
		{"bytes: 1 MiB", 1048576, 10000},
		{"bytes: 2GiB", 2147483648, 10000},
		{"bytes: 1kB", 1000, 10000},
		{"bytes: \"3GB\"", 3000000000, 10000},
		{"duration: 0", 65536, 0},
		{"duration: 500ms", 65536, 500},
		{"duration: 5m", 65536, 300000},
		{"duration: 2h", 65536, 7200000},
		{"duration: 1d", 65536, 86400000},
		{"duration: 0s", 65536, 0},
		{"bytes: 18446744073709551615", UINT64_MAX, 10000},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sample s = bind_ok(cases[i].yaml);
		assert_int_equal(s.bytes, cases[i].bytes);
		assert_int_equal(s.duration_ms, cases[i].duration_ms);
		conf_release(fields, &s);
	}
}

#define SIZE_REMEDY	"write a number and a unit, such as 16384, 64KiB or 20MB\n"
#define RATE_REMEDY	"write a number and a unit, such as 20MB/s or 100Mbit/s\n"
#define DURATION_REMEDY "write a number and a unit, such as 500ms, 10s, 5m or 2h\n"

static void test_rates(void **state)
{
	static const struct {
		const char *yaml;
		uint64_t rate;
		const char *shown;
	} cases[] = {
		{"rate: 0", 0, "0"},
		{"rate: 0B/s", 0, "0"},
		{"rate: 999B/s", 999, "999B/s"},
		{"rate: 20MB/s", 20000000, "20MB/s"},
		{"rate: 20 kB/s", 20000, "20kB/s"},
		{"rate: 2GB/s", 2000000000, "2GB/s"},
		{"rate: 1KiB/s", 1024, "1024B/s"},
		{"rate: 3GiB/s", 3221225472, "3221225472B/s"},
		{"rate: 1kbit/s", 125, "125B/s"},
		{"rate: 100Mbit/s", 12500000, "12500kB/s"},
		{"rate: 10Gbit/s", 1250000000, "1250MB/s"},
	};
	char shown[CONF_NUMBER_BYTES];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sample s = bind_ok(cases[i].yaml);

		assert_int_equal(s.rate, cases[i].rate);
		assert_string_equal(conf_format_number(s.rate, CONF_RATE, shown), cases[i].shown);
		conf_release(fields, &s);
	}
}

static void test_refused_values(void **state)
{
	static const struct {
		const char *yaml, *lines;
	} cases[] = {
		{"number: 1", "f:1:9: number: \"1\" is too small; the least is 2\n"},
		{"number: 101", "f:1:9: number: \"101\" is too large; the most is 100\n"},
		{"number: 99999999999999999999999",
		 "f:1:9: number: \"99999999999999999999999\" is too large; the most is 100\n"},
		{"number: 010",
		 "f:1:9: number: \"010\" is not a whole number; write decimal digits "
		 "only\n"},
		{"number: +5", "f:1:9: number: \"+5\" is not a whole number; write decimal digits "
			       "only\n"},
		{"number: 5s", "f:1:9: number: \"5s\" is not a whole number; write decimal digits "
			       "only\n"},
		{"number: 5", "f:1:9: number: is odd; add one\n"},
		{"bytes: 64K", "f:1:8: bytes: \"64K\" is not a size; " SIZE_REMEDY},
		{"bytes: 18446744073709551615KiB",
		 "f:1:8: bytes: \"18446744073709551615KiB\" is too "
		 "large; the most is 18446744073709551615\n"},
		{"rate: 20MB", "f:1:7: rate: \"20MB\" is not a rate; " RATE_REMEDY},
		{"rate: 20", "f:1:7: rate: \"20\" is not a rate; " RATE_REMEDY},
		{"rate: 20mbit/s", "f:1:7: rate: \"20mbit/s\" is not a rate; " RATE_REMEDY},
		{"rate: 20MB /s", "f:1:7: rate: \"20MB /s\" is not a rate; " RATE_REMEDY},
		{"rate: -1B/s", "f:1:7: rate: \"-1B/s\" is not a rate; " RATE_REMEDY},
		{"duration: 10", "f:1:11: duration: \"10\" is not a duration; " DURATION_REMEDY},
		{"duration: 1.5s",
		 "f:1:11: duration: \"1.5s\" is not a duration; " DURATION_REMEDY},
		{"duration: 3d", "f:1:11: duration: \"3d\" is too large; the most is 2d\n"},
		{"flag: \"true\"",
		 "f:1:7: flag: \"true\" is not true or false; write true or false, "
		 "without quotes\n"},
		{"flag: True", "f:1:7: flag: \"True\" is not true or false; write true or false, "
			       "without quotes\n"},
		{"word: iouring",
		 "f:1:7: word: \"iouring\" is not one of auto, io_uring, epoll; did "
		 "you mean \"io_uring\"?\n"},
		{"word: EPOLL",
		 "f:1:7: word: \"EPOLL\" is not one of auto, io_uring, epoll; did you "
		 "mean \"epoll\"?\n"},
		{"word: kqueue",
		 "f:1:7: word: \"kqueue\" is not one of auto, io_uring, epoll; write "
		 "one of these\n"},
		{"address: a.example:80",
		 "f:1:10: address: \"a.example:80\" is not an address with a port of 1 to 65535; "
		 "write ADDRESS:PORT, such as 0.0.0.0:443 or \"[::1]:443\" in quotes\n"},
		{"string: \"a\\nb\"",
		 "f:1:9: string: holds a line break or control character; write "
		 "it on one line\n"},
		{"text: \"\\e[2J\"",
		 "f:1:7: text: holds a line break or control character; write it "
		 "on one line\n"},
		{"string:", "f:1:8: string: has no value; write it on one line, or remove it\n"},
		{"string: [a]", "f:1:9: string: is a list, but should be a text; write it on one "
				"line\n"},
		{"number: {a: 1}", "f:1:9: number: is a map, but should be a whole number; write "
				   "decimal digits only\n"},
		{"items: a",
		 "f:1:8: items: is a single value, but should be a list; begin each item "
		 "with \"- \"\n"},
		{"items: {text: a}",
		 "f:1:8: items: is a map, but should be a list; begin each item with \"- \"\n"},
		{"inner: []",
		 "f:1:8: inner: is a list, but should be a map; write \"key: value\" lines, "
		 "indented\n"},
		{"names: [a, b, c, d]", "f:1:8: names: has 4 items; the most is 3\n"},
		{"names: [a, [b]]",
		 "f:1:12: names[1]: is a list, but should be a text; write it on "
		 "one line\n"},
		{"items: [{number: 1}, a]",
		 "f:1:9: items[0].text: is missing; add the text\n"
		 "f:1:22: items[1]: is a single value, but should be a map; write \"key: value\" "
		 "lines, indented\n"},
		{"inner: {depth: 1}", "f:1:8: inner.label: is missing; add the label\n"},
		{"[a]", "f:1:1: is a list, but should be a map; write \"key: value\" lines, "
			"indented\n"},
		{"a", "f:1:1: is a single value, but should be a map; write \"key: value\" lines, "
		      "indented\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_refused(cases[i].yaml, cases[i].lines);
}

static void test_unknown_keys(void **state)
{
	assert_refused("adress: 1",
		       "f:1:1: adress: is not a known key; did you mean \"address\"?\n");
	assert_refused("nubmer: 1",
		       "f:1:1: nubmer: is not a known key; did you mean \"number\"?\n");
	assert_refused("depth: 1", "f:1:1: depth: is not a key here; move it below \"inner\"\n");
	assert_refused("depth: [1]",
		       "f:1:1: depth: is not a known key; the keys here are string, text, "
		       "name, flag, number, bytes, rate, duration, word, address, endpoint, "
		       "inner, items, names\n");
	assert_refused("inner: {label: a, lable: b}",
		       "f:1:19: inner.lable: is not a known key; did you mean \"label\"?\n");
	assert_refused(
		"inner: {label: a, zzzzzz: b}",
		"f:1:19: inner.zzzzzz: is not a known key; the keys here are depth, label\n");
	assert_refused("inner: {label: a, \"\\e\": b}",
		       "f:1:19: inner.\\x1b: is not a known key; the keys here are depth, label\n");
}

static void test_all_errors_at_once(void **state)
{
	assert_refused(
		"number: x\nflg: true\nitems:\n  - text: a\n    number: -1\n  - numbr: 1\n",
		"f:1:9: number: \"x\" is not a whole number; write decimal digits only\n"
		"f:2:1: flg: is not a known key; did you mean \"flag\"?\n"
		"f:5:13: items[0].number: \"-1\" is not a whole number; write decimal digits "
		"only\n"
		"f:6:5: items[1].numbr: is not a known key; did you mean \"number\"?\n"
		"f:6:5: items[1].text: is missing; add the text\n");
}

static void test_secrets_stay_hidden(void **state)
{
	static const char yaml[] = "number: joe:hunter2@proxy\nword: -----BEGIN hunter2\n"
				   "string: \"hunter2\\n\"\ntext: [hunter2]\n"
				   "http://joe:hunter2@proxy: x\n";
	struct conf_errors errors = {.file = "f"};
	struct conf_node *root = conf_parse(yaml, strlen(yaml), &errors);
	struct sample s = {0};

	assert_non_null(root);
	assert_false(conf_bind(root, fields, &s, &errors));
	assert_int_equal(errors.count, 5);
	assert_null(strstr(errors.text, "hunter2"));
	conf_release(fields, &s);
	conf_node_free(root);
	conf_errors_free(&errors);
}

/* A struct may be bound again: what it owned is released first. */
static void test_bind_twice(void **state)
{
	static const char one[] = "string: a\nitems: [{text: a}]", two[] = "names: [x]";
	struct conf_errors errors = {0};
	struct conf_node *root = conf_parse(one, strlen(one), &errors);
	struct sample s = {0};

	assert_non_null(root);
	assert_true(conf_bind(root, fields, &s, &errors));
	conf_node_free(root);
	root = conf_parse(two, strlen(two), &errors);
	assert_non_null(root);
	assert_true(conf_bind(root, fields, &s, &errors));
	conf_node_free(root);
	assert_string_equal(s.string, "plain");
	assert_int_equal(s.items.count, 0);
	assert_int_equal(s.names.count, 1);
	conf_release(fields, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_refused_values),
		cmocka_unit_test(test_unknown_keys),
		cmocka_unit_test(test_all_errors_at_once),
		cmocka_unit_test(test_secrets_stay_hidden),
		cmocka_unit_test(test_bind_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
