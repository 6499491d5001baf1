/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brotli_fuzz: a server's compressed certificates, behind three bytes of the size that it claims.
 * What is taken has that size, and comes out the same again.
 * links: core/engine/brotli.c
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bytestring.h>
#include <openssl/pool.h>

#include "core/engine/brotli.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	CRYPTO_BUFFER *got = NULL;
	uint8_t *again;
	uint32_t size;
	CBS in;

	CBS_init(&in, data, len);
	if (!CBS_get_u24(&in, &size))
		return 0;
	if (!brotli_decompress(NULL, &got, size, CBS_data(&in), CBS_len(&in))) {
		assert(!got);
		return 0;
	}
	assert(size > 0 && size <= BROTLI_PLAIN_MAX && CRYPTO_BUFFER_len(got) == size);
	again = malloc(size);
	assert(again && brotli_decode(CBS_data(&in), CBS_len(&in), again, size));
	assert(memcmp(again, CRYPTO_BUFFER_data(got), size) == 0);
	assert(!brotli_decode(CBS_data(&in), CBS_len(&in) - 1, again, size));
	free(again);
	CRYPTO_BUFFER_free(got);
	return 0;
}
