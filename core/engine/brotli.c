/* SPDX-License-Identifier: Apache-2.0 */
/* brotli: a server's compressed certificates, in bounded memory. */
#include "core/engine/brotli.h"

#include <stdlib.h>
#include <brotli/decode.h>
#include <openssl/pool.h>

/* Before each piece of the decoder's memory. */
union piece {
	size_t size;
	max_align_t align;
};

/* opaque: how much is left, a size_t. */
static void *piece_take(void *opaque, size_t size)
{
	size_t *left = opaque;
	union piece *p;

	if (size > *left)
		return NULL;
	p = malloc(sizeof(*p) + size);
	if (!p)
		return NULL;
	p->size = size;
	*left -= size;
	return p + 1;
}

static void piece_give(void *opaque, void *at)
{
	union piece *p = at;

	if (!p)
		return;
	p--;
	*(size_t *)opaque += p->size;
	free(p);
}

bool brotli_decode(const uint8_t *in, size_t in_len, uint8_t *out, size_t len)
{
	size_t left = BROTLI_MEMORY_MAX;
	BrotliDecoderState *s = BrotliDecoderCreateInstance(piece_take, piece_give, &left);
	BrotliDecoderResult result;

	if (!s)
		return false;
	result = BrotliDecoderDecompressStream(s, &in_len, &in, &len, &out, NULL);
	BrotliDecoderDestroyInstance(s);
	/* A stream that ends early leaves room, and one with bytes behind it leaves input. */
	return result == BROTLI_DECODER_RESULT_SUCCESS && in_len == 0 && len == 0;
}

int brotli_decompress(SSL *ssl, CRYPTO_BUFFER **out, size_t len, const uint8_t *in, size_t in_len)
{
	CRYPTO_BUFFER *buffer;
	uint8_t *data;

	if (len == 0 || len > BROTLI_PLAIN_MAX)
		return 0;
	buffer = CRYPTO_BUFFER_alloc(&data, len);
	if (!buffer)
		return 0;
	if (!brotli_decode(in, in_len, data, len)) {
		CRYPTO_BUFFER_free(buffer);
		return 0;
	}
	*out = buffer;
	return 1;
}
