/* SPDX-License-Identifier: Apache-2.0 */
/* reply: reads a gateway's reply over HTTP. */
#include "upnp/reply.h"

#include <string.h>
#include <openssl/bytestring.h>

struct reply_head {
	unsigned code;
	bool chunked, has_length;
	uint64_t length;
};

static uint8_t lower(uint8_t c)
{
	return (uint8_t)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool take_word(CBS *in, const char *word)
{
	uint8_t c;

	for (; *word; word++)
		if (!CBS_get_u8(in, &c) || lower(c) != (uint8_t)*word)
			return false;
	return true;
}

static void skip_blanks(CBS *in)
{
	CBS rest = *in;
	uint8_t c;

	while (CBS_get_u8(&rest, &c) && (c == ' ' || c == '\t'))
		*in = rest;
}

/* A line that has ended, without its CRLF or LF. */
static bool take_line(CBS *in, CBS *line)
{
	CBS rest;
	uint8_t c;

	if (!CBS_get_until_first(in, line, '\n') || !CBS_skip(in, 1))
		return false;
	rest = *line;
	if (CBS_get_last_u8(&rest, &c) && c == '\r')
		*line = rest;
	return true;
}

/* ---- the head ---- */

/* "HTTP/1.1 200 OK" */
static bool read_status(CBS line, unsigned *code)
{
	unsigned n = 0;
	uint8_t c;

	if (!take_word(&line, "http/1.") || !CBS_skip(&line, 1) || !take_word(&line, " "))
		return false;
	skip_blanks(&line);
	for (int i = 0; i < 3; i++) {
		if (!CBS_get_u8(&line, &c) || c < '0' || c > '9')
			return false;
		n = n * 10 + (c - '0');
	}
	*code = n;
	return n >= 100 && n <= 599;
}

/* Content-Length: two that differ are refused (RFC 9112 section 6.3). */
static bool read_length(CBS value, struct reply_head *h)
{
	uint64_t n = 0;
	unsigned digits = 0;
	uint8_t c;

	while (CBS_get_u8(&value, &c) && c >= '0' && c <= '9' && digits++ < 18)
		n = n * 10 + (c - '0');
	if (digits == 0 || digits > 18 || (h->has_length && h->length != n))
		return false;
	h->has_length = true;
	h->length = n;
	return true;
}

static bool read_field(CBS line, struct reply_head *h)
{
	CBS name, value = line;

	if (!CBS_get_until_first(&value, &name, ':') || !CBS_skip(&value, 1))
		return true;
	skip_blanks(&value);
	if (CBS_len(&name) == strlen("content-length") && take_word(&name, "content-length"))
		return read_length(value, h);
	if (CBS_len(&name) == strlen("transfer-encoding") &&
	    take_word(&name, "transfer-encoding")) {
		h->chunked = take_word(&value, "chunked");
		return h->chunked;
	}
	return true;
}

/* in stands behind the head when it returns OK. */
static enum reply_status take_head(CBS *in, struct reply_head *out)
{
	struct reply_head h = {0};
	CBS line, start = *in;

	if (!take_line(in, &line))
		return CBS_len(&start) >= REPLY_HEAD_MAX ? REPLY_MALFORMED : REPLY_SHORT;
	if (!read_status(line, &h.code))
		return REPLY_MALFORMED;
	while (take_line(in, &line)) {
		if (CBS_len(&start) - CBS_len(in) > REPLY_HEAD_MAX)
			return REPLY_MALFORMED;
		if (CBS_len(&line) == 0) {
			*out = h;
			return REPLY_OK;
		}
		if (!read_field(line, &h))
			return REPLY_MALFORMED;
	}
	return CBS_len(&start) >= REPLY_HEAD_MAX ? REPLY_MALFORMED : REPLY_SHORT;
}

/* ---- the body ---- */

static enum reply_status read_chunk_size(CBS line, size_t *out)
{
	size_t n = 0;
	unsigned digits = 0;
	uint8_t c;

	while (CBS_get_u8(&line, &c)) {
		c = lower(c);
		if (c >= '0' && c <= '9')
			n = n * 16 + (size_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			n = n * 16 + (size_t)(c - 'a') + 10;
		else
			break; /* an extension */
		if (++digits > 7)
			return REPLY_TOO_LARGE;
	}
	*out = n;
	return digits > 0 ? REPLY_OK : REPLY_MALFORMED;
}

/* Walks over all chunks; moves them to "to" unless that is NULL. *len: their bytes. */
static enum reply_status walk_chunks(CBS in, uint8_t *to, size_t *len)
{
	enum reply_status status;
	size_t total = 0, size = 0;
	CBS line, chunk;

	for (;;) {
		if (!take_line(&in, &line))
			return REPLY_SHORT;
		status = read_chunk_size(line, &size);
		if (status != REPLY_OK)
			return status;
		if (size == 0)
			break;
		if (!CBS_get_bytes(&in, &chunk, size))
			return size > REPLY_MAX ? REPLY_TOO_LARGE : REPLY_SHORT;
		if (to)
			memmove(to + total, CBS_data(&chunk), size);
		total += size;
		if (!take_line(&in, &line))
			return REPLY_SHORT;
		if (CBS_len(&line) > 0)
			return REPLY_MALFORMED;
	}
	*len = total;
	return REPLY_OK;
}

static enum reply_status read_chunks(uint8_t *body, size_t room, bool ended, size_t *len)
{
	enum reply_status status;
	CBS in;

	CBS_init(&in, body, room);
	status = walk_chunks(in, NULL, len);
	if (status == REPLY_OK)
		status = walk_chunks(in, body, len);
	return status == REPLY_SHORT && ended ? REPLY_MALFORMED : status;
}

static enum reply_status read_body(const struct reply_head *h, uint8_t *body, size_t room,
				   bool ended, size_t *len)
{
	if (h->chunked)
		return read_chunks(body, room, ended, len);
	if (h->has_length && h->length > REPLY_MAX)
		return REPLY_TOO_LARGE;
	if (h->has_length && h->length <= room) {
		*len = (size_t)h->length;
		return REPLY_OK;
	}
	if (!ended)
		return REPLY_SHORT;
	/* Without a length, all that came; with one, it was cut short. */
	*len = room;
	return h->has_length ? REPLY_MALFORMED : REPLY_OK;
}

enum reply_status reply_read(uint8_t *in, size_t len, bool ended, struct upnp_reply *out)
{
	enum reply_status status;
	struct reply_head h;
	size_t body = 0;
	CBS rest;

	CBS_init(&rest, in, len);
	do {
		status = take_head(&rest, &h);
		if (status == REPLY_SHORT && ended)
			return REPLY_MALFORMED;
		if (status != REPLY_OK)
			return status;
	} while (h.code < 200);
	status = read_body(&h, in + (len - CBS_len(&rest)), CBS_len(&rest), ended, &body);
	if (status != REPLY_OK)
		return status;
	*out = (struct upnp_reply){.code = h.code, .body = len - CBS_len(&rest), .len = body};
	return REPLY_OK;
}
