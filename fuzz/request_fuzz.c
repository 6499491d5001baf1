/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_fuzz: any bytes as a request's head, at once and in pieces; then as a body in chunks.
 * links: core/parse/request.c core/parse/chunked.c core/parse/text.c
 */
#include <assert.h>
#include <string.h>

#include "core/parse/chunked.h"
#include "core/parse/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	enum request_status status, slowly = REQUEST_MORE;
	struct chunked chunked = {.state = 0};
	struct request whole, slow;
	size_t used;

	request_begin(&whole);
	request_begin(&slow);
	status = request_read(&whole, data, len);
	for (size_t n = 0; slowly == REQUEST_MORE && n <= len; n++)
		slowly = request_read(&slow, data, n);
	assert(status == slowly && whole.at == slow.at && whole.at <= len);
	assert(status == REQUEST_MORE || whole.at <= REQUEST_HEAD_MAX);
	for (unsigned i = 0; i < FIELD_COUNT; i++)
		assert(whole.fields[i].at <= len &&
		       whole.fields[i].len <= len - whole.fields[i].at);
	if (status == REQUEST_DONE) {
		assert(data[whole.at - 1] == '\n');
		assert(whole.version >= 1000 || whole.method == METHOD_GET);
		assert(!whole.chunked || whole.content_length == 0);
	}
	(void)!chunked_skip(&chunked, data, len, &used);
	assert(used <= len);
	return 0;
}
