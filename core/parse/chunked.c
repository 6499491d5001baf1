/* SPDX-License-Identifier: Apache-2.0 */
/* chunked: sizes, data and trailers, with the ends of lines that nginx takes. */
#include "core/parse/chunked.h"

#include <stdbool.h>
#include <openssl/bytestring.h>

#include "core/hex.h"
#include "core/parse/text.h"

enum {
	CHUNK_START,
	CHUNK_SIZE,
	CHUNK_EXTENSION,
	CHUNK_SIZE_ALMOST_DONE,
	CHUNK_DATA,
	AFTER_DATA,
	AFTER_DATA_ALMOST_DONE,
	LAST_EXTENSION,
	LAST_ALMOST_DONE,
	TRAILER,
	TRAILER_ALMOST_DONE,
	TRAILER_FIELD,
	TRAILER_FIELD_ALMOST_DONE,
};

static bool size_byte(struct chunked *c, uint8_t byte)
{
	uint8_t digit;

	if (c->state == CHUNK_START || c->state == CHUNK_SIZE) {
		if (hex_digit(text_lower(byte), &digit)) {
			if (c->left > ((uint64_t)INT64_MAX - digit) / 16)
				return false;
			c->left = c->left * 16 + digit;
			c->state = CHUNK_SIZE;
			return true;
		}
		if (c->state == CHUNK_START)
			return false;
	}
	switch (byte) {
	case '\r':
		c->state = c->left ? CHUNK_SIZE_ALMOST_DONE : LAST_ALMOST_DONE;
		return true;
	case '\n':
		c->state = c->left ? CHUNK_DATA : TRAILER;
		return true;
	case ';':
	case ' ':
	case '\t':
		c->state = CHUNK_EXTENSION;
		return true;
	default:
		return c->state == CHUNK_EXTENSION;
	}
}

/* False: the byte has no place here. */
static bool chunk_byte(struct chunked *c, uint8_t byte, bool *done)
{
	switch (c->state) {
	case CHUNK_START:
	case CHUNK_SIZE:
	case CHUNK_EXTENSION:
		return size_byte(c, byte);
	case CHUNK_SIZE_ALMOST_DONE:
		c->state = CHUNK_DATA;
		return byte == '\n';
	case AFTER_DATA:
		c->state = byte == '\n' ? CHUNK_START : AFTER_DATA_ALMOST_DONE;
		return byte == '\n' || byte == '\r';
	case AFTER_DATA_ALMOST_DONE:
		c->state = CHUNK_START;
		return byte == '\n';
	case LAST_ALMOST_DONE:
		c->state = TRAILER;
		return byte == '\n';
	case TRAILER:
		*done = byte == '\n';
		c->state = byte == '\r' ? TRAILER_ALMOST_DONE : TRAILER_FIELD;
		return true;
	case TRAILER_ALMOST_DONE:
		*done = byte == '\n';
		return byte == '\n';
	case TRAILER_FIELD:
		if (byte == '\r')
			c->state = TRAILER_FIELD_ALMOST_DONE;
		else if (byte == '\n')
			c->state = TRAILER;
		return true;
	default: /* TRAILER_FIELD_ALMOST_DONE */
		c->state = TRAILER;
		return byte == '\n';
	}
}

enum chunked_status chunked_skip(struct chunked *c, const uint8_t *in, size_t len, size_t *used)
{
	bool done = false;
	uint8_t byte;
	CBS rest;

	CBS_init(&rest, in, len);
	*used = len;
	while (CBS_len(&rest) > 0) {
		if (c->state == CHUNK_DATA) {
			size_t n = c->left < CBS_len(&rest) ? (size_t)c->left : CBS_len(&rest);

			if (!CBS_skip(&rest, n))
				return CHUNKED_BAD;
			c->left -= n;
			if (c->left == 0)
				c->state = AFTER_DATA;
			continue;
		}
		if (!CBS_get_u8(&rest, &byte) || !chunk_byte(c, byte, &done))
			return CHUNKED_BAD;
		if (done) {
			*used = len - CBS_len(&rest);
			return CHUNKED_DONE;
		}
	}
	return CHUNKED_MORE;
}
