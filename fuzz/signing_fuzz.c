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
		assert(CBS_len(&request.input) <=
		       (request.duty == SIGNING_PLACE ? SIGNING_PATH_MAX : SIGNING_INPUT_MAX));
		assert(request.duty != SIGNING_PLACE ||
		       !memchr(CBS_data(&request.input), 0, CBS_len(&request.input)));
		assert(signing_request_encode(&request, again, sizeof(again), &size));
		assert(size == len && memcmp(again, data, len) == 0);
	} else {
		assert(request.number == 4711);
	}
	if (signing_reply_decode(data, len, &reply))
		assert(reply.status <= 0 && CBS_len(&reply.data) <= reply.length);
	return 0;
}
