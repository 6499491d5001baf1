/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signing_fuzz: what a relay that was taken over might send its signer, and texts to be signed.
 * links: core/parse/signing.c
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/parse/signing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t again[SIGNING_REQUEST_MAX];
	struct signing_request request = {.number = 4711};
	struct signing_reply reply;
	size_t size;
	CBS all;

	CBS_init(&all, data, len);
	/* Nothing else that is signed with such a key has this form: no certificate (DER begins
	 * with 0x30 and tells its length), and none of ours. */
	if (signing_input_ok(all))
		assert(len >= 100 && len <= 201 && (data[64] == 3 || data[0] == ' '));
	if (signing_request_decode(data, len, &request)) {
		bool path = request.duty == SIGNING_PLACE || request.duty == SIGNING_STATE;
		bool hosts = request.duty == SIGNING_MAKE;
		CBS one;

		assert(CBS_len(&request.input) <= (path	   ? SIGNING_PATH_MAX
						   : hosts ? SIGNING_HOSTS_BYTES
							   : SIGNING_INPUT_MAX));
		assert(!path || !memchr(CBS_data(&request.input), 0, CBS_len(&request.input)));
		all = request.input;
		while (hosts && signing_next_host(&all, &one))
			assert(CBS_len(&one) > 0 && CBS_len(&one) < 256);
		assert(!hosts || CBS_len(&all) == 0);
		assert(signing_request_encode(&request, again, sizeof(again), &size));
		assert(size == len && memcmp(again, data, len) == 0);
	} else {
		assert(request.number == 4711);
	}
	if (signing_reply_decode(data, len, &reply))
		assert(reply.status <= 0 && CBS_len(&reply.data) <= reply.length);
	return 0;
}
