/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonrpc: the specification's examples (section 7), and what it does not show.
 * links: core/parse/jsonrpc.c core/log*.c core/memory.c core/engine/json_memory.c
 * links: core/parse/json_read.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/memory.h"
#include "core/parse/jsonrpc.h"

/* The refusal's code; its id is that of the text id, "null" where there is none. */
static void assert_refused(const char *line, size_t len, int code, const char *id)
{
	struct jsonrpc_request r;
	json_t *response = NULL, *error;
	char *shown;

	memset(&r, 0xa5, sizeof(r));
	if (jsonrpc_parse(line, len, &r, &response))
		fail_msg("accepted: %.*s", (int)len, line);
	for (size_t i = 0; i < sizeof(r); i++)
		assert_int_equal(((unsigned char *)&r)[i], 0xa5);
	assert_non_null(response);
	assert_string_equal(json_string_value(json_object_get(response, "jsonrpc")), "2.0");
	assert_null(json_object_get(response, "result"));
	error = json_object_get(response, "error");
	assert_int_equal(json_integer_value(json_object_get(error, "code")), code);
	assert_true(json_string_length(json_object_get(error, "message")) > 10);
	shown = json_dumps(json_object_get(response, "id"), JSON_ENCODE_ANY);
	assert_string_equal(shown, id);
	memory_free(shown);
	json_decref(response);
}

static void refuse(const char *line, int code, const char *id)
{
	assert_refused(line, strlen(line), code, id);
}

static struct jsonrpc_request accept(const char *line)
{
	struct jsonrpc_request r;
	json_t *response = NULL;

	if (!jsonrpc_parse(line, strlen(line), &r, &response))
		fail_msg("refused: %s", line);
	assert_null(response);
	return r;
}

static void test_requests(void **state)
{
	struct jsonrpc_request r =
		accept("{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": "
		       "{\"subtrahend\": 23, \"minuend\": 42}, \"id\": 3}");

	assert_string_equal(r.method, "subtract");
	assert_int_equal(json_integer_value(r.id), 3);
	assert_int_equal(json_integer_value(json_object_get(r.params, "minuend")), 42);
	jsonrpc_request_free(&r);
	assert_null(r.document);

	/* Without parameters; a notification; ids of all kinds. */
	r = accept("{\"jsonrpc\":\"2.0\",\"method\":\"status\",\"id\":\"a-1\"}");
	assert_null(r.params);
	assert_string_equal(json_string_value(r.id), "a-1");
	jsonrpc_request_free(&r);
	r = accept(" {\"jsonrpc\":\"2.0\",\"method\":\"foobar\"} \r");
	assert_null(r.id);
	jsonrpc_request_free(&r);
	r = accept("{\"jsonrpc\":\"2.0\",\"method\":\"status\",\"id\":null}");
	assert_true(json_is_null(r.id));
	jsonrpc_request_free(&r);
}

static void test_no_json(void **state)
{
	static const char zero[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\0b\"}";

	refuse("", JSONRPC_PARSE_ERROR, "null");
	refuse("{\"jsonrpc\": \"2.0\", \"method\": \"foobar, \"params\": \"bar\", \"baz]",
	       JSONRPC_PARSE_ERROR, "null");
	refuse("{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":1} {}", JSONRPC_PARSE_ERROR, "null");
	refuse("{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":1,\"id\":2}", JSONRPC_PARSE_ERROR,
	       "null");
	refuse("{\"jsonrpc\":\"2.0\",\"method\":\"\\u0000\",\"id\":1}", JSONRPC_PARSE_ERROR,
	       "null");
	refuse("{\"jsonrpc\":\"2.0\",\"method\":\"\xff\",\"id\":1}", JSONRPC_PARSE_ERROR, "null");
	refuse("{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":1e999}", JSONRPC_PARSE_ERROR, "null");
	refuse("GET / HTTP/1.1", JSONRPC_PARSE_ERROR, "null");
	/* One value, and nothing that would make one of two. */
	refuse("1,{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":1}", JSONRPC_PARSE_ERROR, "null");
	refuse("{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":1},2", JSONRPC_PARSE_ERROR, "null");
	refuse("1],[{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":1}", JSONRPC_PARSE_ERROR, "null");
	assert_refused(zero, sizeof(zero) - 1, JSONRPC_PARSE_ERROR, "null");
}

static void test_no_request(void **state)
{
	refuse("1", JSONRPC_INVALID_REQUEST, "null");
	refuse("null", JSONRPC_INVALID_REQUEST, "null");
	refuse("{}", JSONRPC_INVALID_REQUEST, "null");
	/* No batches, not even empty ones. */
	refuse("[]", JSONRPC_INVALID_REQUEST, "null");
	refuse("[{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":1}]", JSONRPC_INVALID_REQUEST,
	       "null");
	refuse("{\"jsonrpc\": \"2.0\", \"method\": 1, \"params\": \"bar\"}",
	       JSONRPC_INVALID_REQUEST, "null");
	refuse("{\"jsonrpc\":\"2.0\",\"method\":\"\",\"id\":5}", JSONRPC_INVALID_REQUEST, "5");
	refuse("{\"jsonrpc\":\"1.0\",\"method\":\"a\",\"id\":5}", JSONRPC_INVALID_REQUEST, "5");
	refuse("{\"jsonrpc\":2.0,\"method\":\"a\",\"id\":5}", JSONRPC_INVALID_REQUEST, "5");
	refuse("{\"method\":\"a\",\"id\":5}", JSONRPC_INVALID_REQUEST, "5");
	/* A response is none, nor is a call with a slip of the pen. */
	refuse("{\"jsonrpc\":\"2.0\",\"result\":{},\"id\":5}", JSONRPC_INVALID_REQUEST, "5");
	refuse("{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":5,\"parms\":{}}",
	       JSONRPC_INVALID_REQUEST, "5");
	/* Ids that could not be sent back as they are. */
	refuse("{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":1.5}", JSONRPC_INVALID_REQUEST,
	       "null");
	refuse("{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":{}}", JSONRPC_INVALID_REQUEST, "null");
	refuse("{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":true}", JSONRPC_INVALID_REQUEST,
	       "null");
}

static void test_params_by_position(void **state)
{
	struct jsonrpc_request r;
	json_t *response = (json_t *)&r;
	static const char note[] = "{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"params\":[1]}";

	refuse("{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"params\":[42],\"id\":1}",
	       JSONRPC_INVALID_PARAMS, "1");
	refuse("{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"params\":null,\"id\":1}",
	       JSONRPC_INVALID_PARAMS, "1");
	/* A notification is never answered. */
	assert_false(jsonrpc_parse(note, sizeof(note) - 1, &r, &response));
	assert_true(json_is_null(response));
}

static void test_limits(void **state)
{
	const char head[] = "{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":1,\"params\":{\"a\":";
	char *line = malloc(JSONRPC_LINE_MAX + 2);
	size_t n = strlen(head);
	struct jsonrpc_request r;

	assert_non_null(line);
	/* As deep as allowed, with brackets in strings that do not count; then one more. */
	for (size_t deep = JSONRPC_DEPTH_MAX - 2; deep <= JSONRPC_DEPTH_MAX - 1; deep++) {
		strcpy(line, head);
		memset(line + n, '[', deep);
		strcpy(line + n + deep, "\"[[[[\\\"{{{{\"");
		size_t end = strlen(line);
		memset(line + end, ']', deep);
		strcpy(line + end + deep, "}}");
		if (deep == JSONRPC_DEPTH_MAX - 2) {
			r = accept(line);
			jsonrpc_request_free(&r);
		} else {
			refuse(line, JSONRPC_INVALID_REQUEST, "null");
		}
	}
	/* Closing what was never opened is no licence to go deeper. */
	memset(line, ']', 100);
	memset(line + 100, '[', 100);
	assert_refused(line, 200, JSONRPC_INVALID_REQUEST, "null");
	memset(line, '[', JSONRPC_LINE_MAX);
	assert_refused(line, JSONRPC_LINE_MAX, JSONRPC_INVALID_REQUEST, "null");
	memset(line, ' ', JSONRPC_LINE_MAX + 1);
	memcpy(line, "{}", 2);
	assert_refused(line, JSONRPC_LINE_MAX, JSONRPC_INVALID_REQUEST, "null");
	assert_refused(line, JSONRPC_LINE_MAX + 1, JSONRPC_INVALID_REQUEST, "null");
	/* A long id is memory that calls would hold. */
	n = (size_t)sprintf(line, "{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":\"");
	memset(line + n, 'i', JSONRPC_ID_MAX + 1);
	strcpy(line + n + JSONRPC_ID_MAX + 1, "\"}");
	refuse(line, JSONRPC_INVALID_REQUEST, "null");
	strcpy(line + n + JSONRPC_ID_MAX, "\"}");
	r = accept(line);
	assert_int_equal(json_string_length(r.id), JSONRPC_ID_MAX);
	jsonrpc_request_free(&r);
	free(line);
}

/* One value more than may be; as few as may be without. */
static void test_many_values(void **state)
{
	static const char head[] =
		"{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":1,\"params\":{\"a\":[";
	const size_t others = 1 + 4 + 2; /* the document, behind its commas and the brackets */
	char *line = malloc(3 * (size_t)JSONRPC_VALUES_MAX);

	assert_non_null(line);
	for (unsigned more = 0; more < 2; more++) {
		size_t n = sizeof(head) - 1;

		memcpy(line, head, n);
		line[n++] = '0';
		for (size_t i = others - 1; i < JSONRPC_VALUES_MAX + more - 1; i++, n += 2)
			memcpy(line + n, ",0", 2);
		memcpy(line + n, "]}}", 4);
		if (more) {
			refuse(line, JSONRPC_INVALID_REQUEST, "null");
		} else {
			struct jsonrpc_request r = accept(line);

			jsonrpc_request_free(&r);
		}
	}
	free(line);
}

static struct memory account;

#define LONG 3000u

/* Refused at every byte in turn, a line is read whole or not at all, and nothing is written where
 * it does not belong. Half of a string would be the worst. */
static void test_without_memory(void **state)
{
	static char line[3 * LONG + 200], text[LONG + 1];
	unsigned read = 0, refused = 0, silent = 0;
	uint64_t counted = 0;

	memset(text, 'x', LONG);
	sprintf(line,
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{\"a\":\"%s\",\"b\":[1,"
		"2,3,"
		"\"%s\"],\"%s\":0.25}}",
		text, text, text);
	for (size_t most = 0; read < 50; most += 16) {
		json_t *response = NULL;
		struct jsonrpc_request r;

		account = (struct memory){.most = most};
		(void)memory_adopt(&account);
		if (jsonrpc_parse(line, strlen(line), &r, &response)) {
			const char *a = json_string_value(json_object_get(r.params, "a"));

			assert_string_equal(a, text);
			assert_int_equal(json_object_size(r.params), 3);
			jsonrpc_request_free(&r);
			read++;
		} else if (response) {
			json_t *error = json_object_get(response, "error");

			assert_int_equal(json_integer_value(json_object_get(error, "code")),
					 JSONRPC_BUSY);
			refused++;
		} else {
			silent++;
		}
		counted += account.refused;
		json_decref(response);
		assert_int_equal(account.used, 0);
		(void)memory_adopt(NULL);
	}
	assert_true(refused > 100 && silent > 10 && counted >= refused + silent);
}

static void test_a_message_without_memory(void **state)
{
	json_t *message = json_pack("{s:s, s:[i,i]}", "text", "some text", "list", 1, 2);
	bool ok = false;

	for (size_t most = 0; !ok; most += 8) {
		size_t len = 7;
		char *line;

		account = (struct memory){.most = most};
		(void)memory_adopt(&account);
		line = jsonrpc_line(message, &len);
		ok = line != NULL;
		assert_true(ok ? len == strlen(line) : len == 7 && account.refused > 0);
		memory_free(line);
		assert_int_equal(account.used, 0);
		(void)memory_adopt(NULL);
	}
	json_decref(message);
}

static void assert_line(json_t *message, const char *expected)
{
	size_t len = 0;
	char *line = jsonrpc_line(message, &len);

	assert_non_null(line);
	assert_string_equal(line, expected);
	assert_int_equal(len, strlen(expected));
	memory_free(line);
	json_decref(message);
}

static void test_messages(void **state)
{
	json_t *id = json_integer(7);

	assert_line(jsonrpc_result(id, json_pack("{s:s}", "text", "a\nb")),
		    "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"text\":\"a\\nb\"}}\n");
	assert_line(jsonrpc_result(NULL, json_null()),
		    "{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":null}\n");
	assert_line(jsonrpc_failure(id, JSONRPC_STALE, json_pack("{s:i}", "revision", 4), "%s %d",
				    "revision", 4),
		    "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32002,\"message\":"
		    "\"revision 4\",\"data\":{\"revision\":4}}}\n");
	assert_line(jsonrpc_notification("event", json_pack("{s:s}", "kind", "agent.up")),
		    "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"kind\":\"agent.up\"}}"
		    "\n");
	/* Without a value there is no message: a call must not look answered. */
	assert_null(jsonrpc_result(id, NULL));
	assert_null(jsonrpc_notification("event", NULL));
	assert_null(jsonrpc_line(NULL, &(size_t){0}));
	json_decref(id);
}

static void test_sentences_are_text(void **state)
{
	/* Half a character, and what a terminal would obey. */
	assert_line(jsonrpc_failure(NULL, JSONRPC_METHOD_NOT_FOUND, NULL, "no method \"%.2s\x1b\"",
				    "a\xc3\xa4"),
		    "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32601,\"message\":"
		    "\"no method \\\"a\\\\xc3\\\\x1b\\\"\"}}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_no_json),
		cmocka_unit_test(test_no_request),
		cmocka_unit_test(test_params_by_position),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_many_values),
		cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_a_message_without_memory),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_sentences_are_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
