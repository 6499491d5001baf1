/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_test: calls and answers by line, with what a faulty or hostile other side may send.
 *
 * links: ctl/talk/rpc.c core/parse/jsonrpc.c core/log*.c core/memory.c
 * links: core/parse/json_read.c
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "ctl/talk/rpc.h"

struct pair {
	struct rpc rpc;
	int far;
};

/* What the far side says stands there before we call: the socket holds it. */
static void open_pair(struct pair *p, const char *said)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	rpc_open(&p->rpc, fds[0]);
	p->far = fds[1];
	assert_int_equal(write(p->far, said, strlen(said)), strlen(said));
}

static void close_pair(struct pair *p)
{
	rpc_close(&p->rpc);
	close(p->far);
}

static void test_answer(void **state)
{
	struct rpc_failure f = {.data = NULL};
	struct pair p;
	json_t *result;
	char asked[256];
	ssize_t n;

	open_pair(&p, "{\"jsonrpc\": \"2.0\", \"id\": 1, \"result\": {\"x\": 7}}\n");
	result = rpc_call(&p.rpc, "status", json_pack("{s:i}", "limit", 3), &f);
	assert_non_null(result);
	assert_int_equal(json_integer_value(json_object_get(result, "x")), 7);
	json_decref(result);
	n = read(p.far, asked, sizeof(asked) - 1);
	asked[n] = '\0';
	assert_string_equal(asked, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\","
				   "\"params\":{\"limit\":3}}\n");
	close_pair(&p);
}

static void test_failure(void **state)
{
	struct rpc_failure f = {.data = NULL};
	struct pair p;

	open_pair(&p, "{\"id\": 1, \"error\": {\"code\": -32002, \"message\": \"st\\u001b[2Jale\", "
		      "\"data\": {\"revision\": 9}}}\n");
	assert_null(rpc_call(&p.rpc, "config.apply", NULL, &f));
	assert_int_equal(f.code, JSONRPC_STALE);
	assert_string_equal(f.message, "st\\x1b[2Jale");
	assert_int_equal(json_integer_value(json_object_get(f.data, "revision")), 9);
	rpc_failure_free(&f);
	close_pair(&p);
}

/* An error without an id, as of a socket with too many callers, is the answer to our call. */
static void test_turned_away(void **state)
{
	struct rpc_failure f = {.data = NULL};
	struct pair p;

	open_pair(&p, "{\"id\": null, \"error\": {\"code\": -32001, \"message\": \"no\"}}\n");
	close(p.far);
	assert_null(rpc_call(&p.rpc, "status", NULL, &f));
	assert_int_equal(f.code, JSONRPC_FORBIDDEN);
	rpc_close(&p.rpc);
}

static void test_notes(void **state)
{
	struct rpc_failure f = {.data = NULL};
	json_t *result, *note = NULL;
	struct pair p;

	open_pair(&p, "{\"method\": \"event\", \"params\": {\"number\": 1}}\n"
		      "{\"id\": 99, \"result\": 5}\n" /* an answer to another call */
		      "{\"method\": \"event\"}\n[1, 2]\n{}\n\n"
		      "{\"id\": 1, \"result\": {}}\n"
		      "{\"method\": \"event\", \"params\": {\"number\": 2}}\n{\"method\": \"ev");
	result = rpc_call(&p.rpc, "events", NULL, &f);
	assert_true(json_is_object(result)); /* ours, not the 5 */
	json_decref(result);
	for (int i = 1; i <= 2; i++) {
		assert_int_equal(rpc_next(&p.rpc, 1000, &note), RPC_NOTE);
		assert_int_equal(json_integer_value(json_object_get(note, "number")), i);
		json_decref(note);
	}
	assert_int_equal(rpc_next(&p.rpc, 10, &note), RPC_QUIET);
	assert_int_equal(write(p.far, "ent\", \"params\": {\"number\": 3}}\n", 31), 31);
	assert_int_equal(rpc_next(&p.rpc, 1000, &note), RPC_NOTE);
	assert_int_equal(json_integer_value(json_object_get(note, "number")), 3);
	json_decref(note);
	close(p.far);
	assert_int_equal(rpc_next(&p.rpc, 1000, &note), RPC_ENDED);
	rpc_close(&p.rpc);
}

static void test_lost(void **state)
{
	static const char *const rows[] = {
		"",
		"{\"id\": 1",
		"{\"id\": 1}",
		"\n\n\n",
		"garbage\n",
		"{\"id\": 1}\n",
		"{\"id\": \"1\", \"result\": 1}\n",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rpc_failure f = {.data = NULL};
		struct pair p;

		open_pair(&p, rows[i]);
		close(p.far);
		assert_null(rpc_call(&p.rpc, "status", NULL, &f));
		assert_int_equal(f.code, RPC_LOST);
		assert_true(f.message[0] != '\0');
		rpc_close(&p.rpc);
	}
}

#define LARGE (3u << 20)

/* Takes one line that no socket holds at once, and answers with the length of its text. */
static void *take_large(void *arg)
{
	struct pair *p = arg;
	char *line = malloc(2 * LARGE), answer[128];
	const char *text;
	size_t len = 0;
	json_t *call;
	ssize_t n;

	while ((n = read(p->far, line + len, 2 * LARGE - len)) > 0) {
		len += (size_t)n;
		if (line[len - 1] == '\n')
			break;
	}
	call = json_loadb(line, len, 0, NULL);
	text = json_string_value(json_object_get(json_object_get(call, "params"), "text"));
	snprintf(answer, sizeof(answer),
		 "{\"id\": 1, \"result\": {\"len\": %zu, \"end\": \"%c\"}}\n",
		 text ? strlen(text) : 0, text ? text[LARGE - 1] : '?');
	json_decref(call);
	free(line);
	(void)!write(p->far, answer, strlen(answer));
	return NULL;
}

static void test_large_call(void **state)
{
	struct rpc_failure f = {.data = NULL};
	char *text = malloc(LARGE + 1);
	pthread_t thread;
	json_t *result;
	struct pair p;

	for (size_t i = 0; i < LARGE; i++)
		text[i] = (char)('a' + i / 1000 % 26);
	text[LARGE] = '\0';
	open_pair(&p, "");
	assert_int_equal(pthread_create(&thread, NULL, take_large, &p), 0);
	result = rpc_call(&p.rpc, "config.apply", json_pack("{s:s}", "text", text), &f);
	pthread_join(thread, NULL);
	assert_non_null(result);
	assert_int_equal(json_integer_value(json_object_get(result, "len")), LARGE);
	assert_int_equal(json_string_value(json_object_get(result, "end"))[0], text[LARGE - 1]);
	json_decref(result);
	free(text);
	close_pair(&p);
}

/* A code that would say that no answer came is none. */
static void test_code_zero(void **state)
{
	struct rpc_failure f = {.data = NULL};
	struct pair p;

	open_pair(&p, "{\"id\": 1, \"error\": {\"code\": 0}}\n");
	assert_null(rpc_call(&p.rpc, "status", NULL, &f));
	assert_int_equal(f.code, JSONRPC_INTERNAL_ERROR);
	close_pair(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer),	    cmocka_unit_test(test_failure),
		cmocka_unit_test(test_turned_away), cmocka_unit_test(test_notes),
		cmocka_unit_test(test_lost),	    cmocka_unit_test(test_code_zero),
		cmocka_unit_test(test_large_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
