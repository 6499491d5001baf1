/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf: which YAML is accepted, and that errors say where, what and why.
 * links: core/key_file.c core/memory.c
 * links: core/conf/conf.c core/conf/error.c core/log*.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/conf/conf.h"

/* Fails with exactly these lines. */
static void assert_errors(const char *yaml, size_t len, const char *lines)
{
	struct conf_errors errors = {.file = "f"};

	assert_null(conf_parse(yaml, len, &errors));
	assert_non_null(errors.text);
	assert_string_equal(errors.text, lines);
	conf_errors_free(&errors);
	assert_null(errors.text);
}

#define assert_refused(yaml, lines) assert_errors(yaml, strlen(yaml), lines)

static void test_tree(void **state)
{
	static const char yaml[] = "a: 1\nb:\n  - x\n  - \"y\"\nc: |\n  one\n  two\nd: {e: [f]}\n";
	struct conf_errors errors = {0};
	struct conf_node *root = conf_parse(yaml, strlen(yaml), &errors);
	const struct conf_node *b, *c;

	assert_non_null(root);
	assert_int_equal(root->kind, CONF_MAP);
	assert_int_equal(root->count, 4);
	b = conf_get(root, "b");
	assert_int_equal(b->kind, CONF_LIST);
	assert_int_equal(b->items[1]->line, 4);
	assert_int_equal(b->items[1]->column, 5);
	assert_false(b->items[0]->quoted);
	assert_true(b->items[1]->quoted);
	c = conf_get(root, "c");
	assert_string_equal(c->text, "one\ntwo\n");
	assert_true(c->quoted);
	assert_string_equal(conf_get(conf_get(root, "d"), "e")->items[0]->text, "f");
	assert_null(conf_get(root, "z"));
	assert_null(conf_get(b, "a"));
	assert_null(conf_get(NULL, "a"));
	conf_node_free(root);
}

static void test_large_map(void **state)
{
	char yaml[8192];
	size_t used = 0;
	struct conf_errors errors = {.file = "f"};

	for (unsigned i = 0; i <= CONF_KEYS_MAX; i++) {
		struct conf_node *root = conf_parse(yaml, used, &errors);
		if (i > 0) {
			assert_non_null(root);
			assert_int_equal(root->count, i);
			assert_string_equal(root->keys[0]->text, "k0");
		} else {
			assert_null(root);
			conf_errors_free(&errors);
		}
		conf_node_free(root);
		used += (size_t)snprintf(yaml + used, sizeof(yaml) - used, "k%u: v\n", i);
	}
	assert_null(conf_parse(yaml, used, &errors));
	assert_string_equal(errors.text, "f:257:1: has more than 256 keys; remove some\n");
	conf_errors_free(&errors);
}

static void test_refused_yaml(void **state)
{
	static const struct {
		const char *yaml, *lines;
	} cases[] = {
		{"", "f:1:1: is empty; postern.yaml(5) has examples\n"},
		{"# nothing\n", "f:2:1: is empty; postern.yaml(5) has examples\n"},
		{"a: 1\nb: 2\na: 3\n",
		 "f:3:1: a: is given a second time (first on line 1); keep one\n"},
		{"a: {b: 1, b: 2}",
		 "f:1:11: a.b: is given a second time (first on line 1); keep one\n"},
		{"a: &x 1\nb: *x\n",
		 "f:1:4: a: anchors (&name) are not supported; remove it and write values out\n"
		 "f:2:4: b: aliases (*name) are not supported; write the value out again\n"},
		{"a: !!str 1\n", "f:1:4: a: tags (!name) are not supported; remove it\n"},
		{"a: ! x\n", "f:1:4: a: tags (!name) are not supported; remove it\n"},
		{"a:\n  <<: {b: 1}\n",
		 "f:2:3: a.<<: merge keys (<<) are not supported; write the keys out\n"},
		{"? [a, b]\n: c\n",
		 "f:1:3: ?: a list or map stands where a key should; write \"key: value\"\n"},
		{"a: 1\n---\nb: 2\n",
		 "f:2:1: a second document begins here; keep one document in a file\n"},
		{"%TAG ! tag:x,2000:\n---\na: 1\n",
		 "f:1:1: %TAG directives are not supported; remove it\n"},
		{"a: 1\n\tb: 2\n",
		 "f:2:1: not valid YAML: while scanning a plain scalar, found a tab "
		 "character that violates indentation; indent with spaces, never "
		 "tabs\n"},
		{"a:\n\t- b\n", "f:2:1: not valid YAML: while scanning for the next token, found "
				"character that cannot start any token; indent with spaces, never "
				"tabs, and quote values that begin with a sign\n"},
		{"a: b: c\n",
		 "f:1:5: not valid YAML: mapping values are not allowed in this context; "
		 "quote a value that contains \": \", and check the indentation\n"},
		{"a: \"b\n",
		 "f:2:1: not valid YAML: while scanning a quoted scalar, found unexpected "
		 "end of stream; close the quotes that were opened before\n"},
		{"a: \"\\0\"\n", "f:1:4: a: holds a zero byte; remove the \\0\n"},
		{"a: 1\nb: \x01\n", "f:2:4: holds the control character 0x01; remove it\n"},
		{"a: \xc3\xa9\xff\n",
		 "f:1:5: the byte 0xff is not UTF-8 text; save the file as UTF-8\n"},
		{"\xff\xfe"
		 "a",
		 "f:1:1: the byte 0xff is not UTF-8 text; save the file as UTF-8\n"},
		{"a: 1\n# \xe2\x80\xae\n",
		 "f:2:3: holds a control character that turns the direction of text, so that it "
		 "shows otherwise than it reads; remove it\n"},
		{"a\r\nb\rc\x7f", "f:3:2: holds the control character 0x7f; remove it\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_refused(cases[i].yaml, cases[i].lines);
	assert_errors("a: 1\n\0", 6, "f:2:1: holds the control character 0x00; remove it\n");
}

static void test_depth(void **state)
{
	char yaml[64];
	struct conf_errors errors = {.file = "f"};
	struct conf_node *root;

	memset(yaml, '[', CONF_DEPTH_MAX);
	memset(yaml + CONF_DEPTH_MAX, ']', CONF_DEPTH_MAX);
	root = conf_parse(yaml, 2 * CONF_DEPTH_MAX, &errors);
	assert_non_null(root);
	conf_node_free(root);
	memset(yaml, '[', sizeof(yaml));
	assert_null(conf_parse(yaml, sizeof(yaml), &errors));
	assert_non_null(strstr(errors.text, "is nested deeper than 16 levels; flatten it\n"));
	assert_int_equal(errors.count, 1);
	conf_errors_free(&errors);
}

static void test_too_large(void **state)
{
	size_t len = 2 * CONF_NODES_MAX + 2;
	char *yaml = malloc(CONF_FILE_MAX + 1);
	struct conf_errors errors = {.file = "f"};

	assert_non_null(yaml);
	for (size_t i = 0; i < len; i++)
		yaml[i] = i % 2 ? ',' : '0';
	yaml[0] = '[';
	yaml[1] = '0';
	assert_null(conf_parse(yaml, len, &errors));
	assert_non_null(strstr(errors.text, "more than 200000 values; make the file smaller\n"));
	conf_errors_free(&errors);
	assert_null(conf_parse(yaml, CONF_FILE_MAX + 1, &errors));
	assert_string_equal(errors.text, "f: is larger than 4194304 bytes; make it smaller\n");
	conf_errors_free(&errors);
	free(yaml);
}

static void test_load(void **state)
{
	char path[] = "/tmp/conf-test-XXXXXX";
	int fd = mkstemp(path);
	struct conf_errors errors = {.file = "f"};
	struct conf_node *root;

	assert_int_equal(write(fd, "a: 1\n", 5), 5);
	root = conf_load(path, 0, &errors);
	assert_non_null(root);
	assert_string_equal(conf_get(root, "a")->text, "1");
	conf_node_free(root);
	assert_int_equal(ftruncate(fd, CONF_FILE_MAX + 1), 0);
	assert_null(conf_load(path, 0, &errors));
	close(fd);
	unlink(path);
	assert_null(conf_load(path, 0, &errors));
	assert_null(conf_load("/tmp", 0, &errors));
	assert_string_equal(
		errors.text,
		"f: is larger than 4194304 bytes; make it smaller\n"
		"f: cannot be read: No such file or directory; check the path and its "
		"permissions\n"
		"f: cannot be read: Is a directory; check the path and its permissions\n");
	conf_errors_free(&errors);
}

static void test_load_keys(void **state)
{
	char path[] = "/tmp/conf-test-XXXXXX", wanted[256];
	int fd = mkstemp(path);
	struct conf_errors errors = {.file = path};
	struct conf_node *root;

	assert_int_equal(write(fd, "a: 1\n", 5), 5);
	for (unsigned how = CONF_KEYS; how <= (CONF_KEYS | CONF_AGAIN); how++) {
		assert_int_equal(fchmod(fd, 0600), 0);
		root = conf_load(path, how, &errors);
		assert_non_null(root);
		conf_node_free(root);
		assert_int_equal(fchmod(fd, 0660), 0);
		assert_null(conf_load(path, how, &errors));
		root = conf_load(path, how & CONF_AGAIN, &errors);
		assert_non_null(root);
		conf_node_free(root);
	}
	snprintf(wanted, sizeof(wanted),
		 "%s: holds a key and is open to more than its owner (mode 0660); type: chmod 600 "
		 "%s\n",
		 path, path);
	assert_memory_equal(errors.text, wanted, strlen(wanted));
	conf_errors_free(&errors);
	close(fd);
	unlink(path);
}

/* The pipe has no writer, and is not waited for. */
static void test_load_again(void **state)
{
	char path[] = "/tmp/conf-test-XXXXXX";
	int fd = mkstemp(path);
	struct conf_errors errors = {.file = "f"};
	struct conf_node *root;

	assert_int_equal(write(fd, "a: 1\n", 5), 5);
	root = conf_load(path, CONF_AGAIN, &errors);
	assert_non_null(root);
	assert_string_equal(conf_get(root, "a")->text, "1");
	conf_node_free(root);
	close(fd);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	alarm(10);
	assert_null(conf_load(path, CONF_AGAIN, &errors));
	alarm(0);
	unlink(path);
	assert_string_equal(errors.text,
			    "f: is no regular file, and only a regular file is read again\n");
	conf_errors_free(&errors);
}

static void test_many_errors(void **state)
{
	struct conf_errors errors = {.file = "f"};
	size_t lines = 0;

	for (unsigned i = 0; i < 100000; i++)
		conf_error(&errors, NULL, "", "wrong");
	assert_int_equal(errors.count, 100000);
	assert_int_equal(strlen(errors.text), errors.len);
	for (const char *c = errors.text; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, CONF_LINES_MAX + 1);
	conf_errors_free(&errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree),	     cmocka_unit_test(test_large_map),
		cmocka_unit_test(test_refused_yaml), cmocka_unit_test(test_depth),
		cmocka_unit_test(test_too_large),    cmocka_unit_test(test_load),
		cmocka_unit_test(test_load_keys),    cmocka_unit_test(test_load_again),
		cmocka_unit_test(test_many_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
