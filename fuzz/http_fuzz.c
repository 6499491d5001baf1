/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_fuzz: any bytes as the head of a request and of a reply.
 * links: core/parse/http.c core/parse/text.c
 */
#include <stdio.h>

#include "core/parse/http.h"
#include "fuzz/prefix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_head(const uint8_t *in, size_t used)
{
	assert(used >= 4 && used <= HTTP_HEAD_MAX);
	assert(memcmp(in + used - 4, "\r\n\r\n", 4) == 0);
	for (size_t i = 0; i < used; i++) {
		assert(in[i] != 0);
		assert(in[i] != '\n' || (i > 0 && in[i - 1] == '\r'));
		assert(in[i] != '\r' || in[i + 1] == '\n');
	}
}

static void parse_request(const uint8_t *in, size_t len, struct fuzz_answer *out)
{
	static struct http_request r;
	size_t used = 4711;

	memset(&r, 0xa5, sizeof(r));
	out->status = http_request_parse(in, len, &r, &used);
	if (out->status != HTTP_OK) {
		assert(fuzz_untouched(&r, sizeof(r)) && used == 4711);
		assert(out->status != HTTP_SHORT || len < HTTP_HEAD_MAX);
		return;
	}
	check_head(in, used);
	assert(r.path[0] == '/' || strcmp(r.path, "*") == 0 || strcmp(r.method, "CONNECT") == 0);
	assert(!strpbrk(r.path, "?# \t\r\n"));
	assert(r.minor <= 1 && (r.minor == 0 || r.has_host));
	assert(!r.chunked || (r.content_length == 0 && r.minor == 1));
	out->used = used;
	snprintf(out->text, sizeof(out->text), "%s %s %u %d%d%d%d%d %llu %s", r.method, r.path,
		 r.minor, r.has_host, r.keep_alive, r.expect_continue, r.upgrade, r.chunked,
		 (unsigned long long)r.content_length, r.if_none_match);
}

static void parse_reply(const uint8_t *in, size_t len, struct fuzz_answer *out)
{
	unsigned code = 4711;
	size_t used = 4711;

	out->status = http_reply_parse(in, len, &code, &used);
	if (out->status != HTTP_OK) {
		assert(code == 4711 && used == 4711);
		assert(out->status != HTTP_SHORT || len < HTTP_HEAD_MAX);
		return;
	}
	check_head(in, used);
	assert(code >= 100 && code < 600);
	out->used = used;
	snprintf(out->text, sizeof(out->text), "%u", code);
}

static const struct fuzz_parser requests = {HTTP_OK, HTTP_SHORT, parse_request};
static const struct fuzz_parser replies = {HTTP_OK, HTTP_SHORT, parse_reply};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct fuzz_answer whole;

	fuzz_prefixes(&requests, data, len, &whole);
	fuzz_prefixes(&replies, data, len, &whole);
	return 0;
}
