/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upnp_reply_fuzz: any bytes as a gateway's reply over HTTP. What is final for a part is final for
 * more, and what is taken lies within.
 * links: upnp/reply.c
 */
#include <stdio.h>

#include "fuzz/prefix.h"
#include "upnp/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t *copy_of(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	assert(copy);
	if (len)
		memcpy(copy, data, len);
	return copy;
}

static void check(const uint8_t *data, size_t len, bool ended)
{
	uint8_t *copy = copy_of(data, len);
	struct upnp_reply r;
	enum reply_status status;

	memset(&r, 0xa5, sizeof(r));
	status = reply_read(copy, len, ended, &r);
	assert(!ended || status != REPLY_SHORT);
	if (status == REPLY_OK) {
		assert(r.code >= 200 && r.code <= 599);
		assert(r.body <= len && r.len <= len - r.body);
	} else {
		assert(fuzz_untouched(&r, sizeof(r)));
		assert(len == 0 || memcmp(copy, data, len) == 0);
	}
	free(copy);
}

static void parse(const uint8_t *in, size_t len, struct fuzz_answer *out)
{
	uint8_t *copy = copy_of(in, len);
	struct upnp_reply r;

	out->status = reply_read(copy, len, false, &r);
	if (out->status == REPLY_OK) {
		out->used = r.body; /* where the body ends in the input, chunks hide */
		snprintf(out->text, sizeof(out->text), "%u %zu", r.code, r.len);
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct fuzz_answer whole, part;
	size_t step = 1 + len / 31;

	if (len > REPLY_MAX)
		return 0;
	check(data, len, false);
	check(data, len, true);
	fuzz_parse(&(struct fuzz_parser){REPLY_OK, REPLY_SHORT, parse}, data, len, &whole);
	for (size_t n = 0; n < len; n += step) {
		fuzz_parse(&(struct fuzz_parser){REPLY_OK, REPLY_SHORT, parse}, data, n, &part);
		if (part.status != REPLY_SHORT) {
			assert(part.status == whole.status && part.used == whole.used);
			assert(strcmp(part.text, whole.text) == 0);
		}
	}
	return 0;
}
