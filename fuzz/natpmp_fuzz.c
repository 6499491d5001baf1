/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natpmp_fuzz: any bytes as an announcement and as an answer to each kind of question. What passes
 * has every byte that libnatpmp reads of it.
 * links: natpmp/natpmp.c
 */
#include "fuzz/prefix.h"
#include "natpmp/natpmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_answer(const uint8_t *in, size_t len, const struct natpmp_question *q)
{
	size_t needed = q->opcode == NATPMP_ADDRESS ? NATPMP_ADDRESS_BYTES : NATPMP_MAPPING_BYTES;

	if (natpmp_answer_check(in, len, q) != NATPMP_ANSWER)
		return;
	assert(len >= NATPMP_ERROR_BYTES && len <= NATPMP_MAPPING_BYTES);
	assert(in[0] == 0 && in[1] == 128 + (unsigned)q->opcode);
	if (in[2] == 0 && in[3] == 0)
		assert(len == needed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct natpmp_announcement a;

	assert(copy);
	memcpy(copy, data, len);
	for (unsigned opcode = NATPMP_ADDRESS; opcode <= NATPMP_MAP_TCP; opcode++) {
		struct natpmp_question q = {.opcode = opcode, .internal_port = 443};

		check_answer(copy, len, &q);
		q.deletion = true;
		check_answer(copy, len, &q);
	}
	memset(&a, 0xa5, sizeof(a));
	if (!natpmp_announcement_parse(copy, len, &a))
		assert(fuzz_untouched(&a, sizeof(a)));
	else
		assert(len == NATPMP_ADDRESS_BYTES && (a.external.len > 0) == (a.result == 0));
	free(copy);
	return 0;
}
