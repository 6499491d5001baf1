/* SPDX-License-Identifier: Apache-2.0 */
/* json_read: jansson reads, and never with a buffer that is too small. */
#include "core/parse/json_read.h"

#include <string.h>

#include "core/memory.h"

struct json_extent json_extent_of(const char *text, size_t len)
{
	struct json_extent e = {.values = 1};
	bool in_string = false;
	size_t depth = 0, run = 0;

	for (size_t i = 0; i < len; i++) {
		run++;
		if (in_string && text[i] == '\\') {
			i++;
			run++;
		} else if (text[i] == '"') {
			in_string = !in_string;
		} else if (!in_string && strchr("{}[]:, \t\r\n", text[i])) {
			e.values += text[i] == '{' || text[i] == '[' || text[i] == ',';
			depth += text[i] == '{' || text[i] == '[';
			depth -= (text[i] == '}' || text[i] == ']') && depth > 0;
			run = 0;
		}
		e.depth = depth > e.depth ? depth : e.depth;
		e.longest = run > e.longest ? run : e.longest;
	}
	return e;
}

/*
 * jansson's reader (2.14, and 2.15) gathers the bytes of a string or number in a buffer that
 * doubles, from 16 bytes on, and does not look whether it could: without memory it would go on with
 * half a string, and write over the end of the other half. So it gets [0.00000..., text], with a
 * number so long that the buffer has room for anything in the text; and where that was refused the
 * text is never shown to it. Of a number a lost digit does no harm.
 */
struct feed {
	const char *text;
	size_t len, at;
	size_t zeros; /* still to come */
	unsigned refusals;
	enum { FEED_BEGIN, FEED_ZEROS, FEED_COMMA, FEED_TEXT, FEED_END } next;
};

#define FEED_AHEAD 3u /* "[0." */

/* Eight bytes beyond half the room: what ends the number must not be what the buffer grows for. */
static size_t feed_zeros(size_t longest)
{
	size_t half = 16;

	while (2 * half < longest + 4) /* the byte behind it is kept for a moment, too */
		half *= 2;
	return half + 8 - 2; /* "0." is a part of it */
}

static size_t feed_word(struct feed *f, char *out, const char *word)
{
	size_t n = strlen(word);

	memcpy(out, word, n);
	f->next++;
	return n;
}

/* 0 is the end. */
static size_t feed_more(void *out, size_t room, void *context)
{
	static const char digit_zero = '0';
	struct feed *f = context;
	size_t n;

	if (memory_refusals() != f->refusals)
		return 0;
	switch (f->next) {
	case FEED_BEGIN:
		return feed_word(f, out, "[0.");
	case FEED_ZEROS:
		n = f->zeros < room ? f->zeros : room;
		memset(out, digit_zero, n);
		f->zeros -= n;
		f->next += f->zeros == 0;
		return n;
	case FEED_COMMA:
		return feed_word(f, out, ",");
	case FEED_TEXT:
		n = f->len - f->at < room ? f->len - f->at : room;
		memcpy(out, f->text + f->at, n);
		f->at += n;
		f->next += f->at == f->len;
		return n;
	case FEED_END:
		return feed_word(f, out, "]");
	}
	return 0;
}

json_t *json_read(const char *text, size_t len, const struct json_extent *extent,
		  json_error_t *error)
{
	size_t zeros = feed_zeros(extent->longest);
	struct feed f = {.text = text, .len = len, .zeros = zeros, .refusals = memory_refusals()};
	json_t *pair =
		len > 0 ? json_load_callback(feed_more, &f, JSON_REJECT_DUPLICATES, error) : NULL;
	json_t *document = NULL;

	if (pair && json_array_size(pair) == 2)
		document = json_incref(json_array_get(pair, 1));
	else if (pair || len == 0)
		*error = (json_error_t){.text = "one value is expected"};
	else if (error->position > (int)(FEED_AHEAD + zeros))
		error->position -= (int)(FEED_AHEAD + zeros + 1);
	json_decref(pair);
	return document;
}
