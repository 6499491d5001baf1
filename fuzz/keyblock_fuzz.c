/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyblock_fuzz: private keys in any text: each found body is blanked, nothing outside it is
 * touched, and what is written can be read again.
 * links: core/parse/keyblock.c
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/parse/keyblock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char pem[KEYBLOCK_PEM_MAX];
	static const uint8_t id[KEYBLOCK_ID_BYTES] = {0xab, 0xcd};
	uint8_t found[KEYBLOCK_ID_BYTES];
	uint8_t *text = malloc(len + 1);
	size_t last = 0;
	struct keyblock block;
	CBS rest;

	assert(text);
	memcpy(text, data, len);
	text[len] = '\0';
	CBS_init(&rest, text, len);
	while (keyblock_next(&rest, &block)) {
		size_t at = (size_t)(CBS_data(&block.body) - text), size = CBS_len(&block.body);

		assert(at + size <= len && memcmp(text + last, data + last, at - last) == 0);
		if (keyblock_pem(&block, pem))
			assert(strlen(pem) < sizeof(pem));
		keyblock_blank(text + at, size, at % 2 ? id : NULL);
		last = at + size;
	}
	assert(memcmp(text + last, data + last, len - last) == 0);
	if (keyblock_refers((const char *)text, found))
		assert(memchr(found, 0, sizeof(found)) || len > 64);
	free(text);
	return 0;
}
