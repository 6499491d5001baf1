/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http: reads the heads of requests and replies.
 *
 * Strict where leniency has let requests be smuggled: lines end in CRLF and nothing else, a colon
 * follows its field name at once, no folded lines, one way to tell a body's length. Bytes are
 * judged in order, so an answer other than SHORT stays right when more follow.
 */
#include "core/parse/http.h"

#include <string.h>
#include <openssl/bytestring.h>

#include "core/parse/text.h"

/* ---- bytes ---- */

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(uint8_t c)
{
	return is_digit(c) || (text_lower(c) >= 'a' && text_lower(c) <= 'z');
}

static bool is_one_of(uint8_t c, const char *set)
{
	return c != 0 && strchr(set, c) != NULL;
}

/* RFC 9110 section 5.6.2 */
static bool is_token_byte(uint8_t c)
{
	return is_alnum(c) || is_one_of(c, "!#$%&'*+-.^_`|~");
}

/* A request target is ASCII; a fragment is never sent (RFC 9112 section 3.2). */
static bool is_target_byte(uint8_t c)
{
	return c > 0x20 && c < 0x7f && c != '#';
}

/* RFC 3986 section 3.2, less userinfo and the comma, which would join two Host fields. */
static bool is_authority_byte(uint8_t c)
{
	return is_alnum(c) || is_one_of(c, "-._~%!$&'()*+;=:[]");
}

/* RFC 9110 section 5.5: no control bytes but the tab. */
static bool is_line_byte(uint8_t c)
{
	return c == '\t' || (c >= 0x20 && c != 0x7f);
}

/* ---- cursors ---- */

/* Takes the bytes in front of end, and end; each must be ok(), and there may be at most max. */
static enum http_status take_until(CBS *in, uint8_t end, bool (*ok)(uint8_t), size_t max,
				   enum http_status too_long, CBS *out)
{
	CBS rest = *in;
	uint8_t c;
	size_t n = 0;

	while (CBS_get_u8(&rest, &c)) {
		if (c == end) {
			if (!CBS_get_bytes(in, out, n))
				return HTTP_MALFORMED;
			*in = rest;
			return HTTP_OK;
		}
		if (!ok(c))
			return HTTP_MALFORMED;
		if (n++ == max)
			return too_long;
	}
	return HTTP_SHORT;
}

static enum http_status take_text(CBS *in, const char *text)
{
	uint8_t c;

	for (; *text; text++) {
		if (!CBS_get_u8(in, &c))
			return HTTP_SHORT;
		if (c != (uint8_t)*text)
			return HTTP_MALFORMED;
	}
	return HTTP_OK;
}

static enum http_status take_digit(CBS *in, unsigned *digit)
{
	uint8_t c;

	if (!CBS_get_u8(in, &c))
		return HTTP_SHORT;
	if (!is_digit(c))
		return HTTP_MALFORMED;
	*digit = c - '0';
	return HTTP_OK;
}

static enum http_status take_line(CBS *in, CBS *line)
{
	enum http_status status =
		take_until(in, '\r', is_line_byte, HTTP_HEAD_MAX, HTTP_HEAD_TOO_LARGE, line);

	return status == HTTP_OK ? take_text(in, "\n") : status;
}

/* "HTTP/1.1"; a minor version above ours is read as ours (RFC 9110 section 2.5). */
static enum http_status take_version(CBS *in, unsigned *minor)
{
	enum http_status status;
	unsigned major;

	if ((status = take_text(in, "HTTP/")) != HTTP_OK ||
	    (status = take_digit(in, &major)) != HTTP_OK ||
	    (status = take_text(in, ".")) != HTTP_OK || (status = take_digit(in, minor)) != HTTP_OK)
		return status;
	if (*minor > 1)
		*minor = 1;
	return major == 1 ? HTTP_OK : HTTP_VERSION_UNSUPPORTED;
}

static bool all_of(CBS text, bool (*ok)(uint8_t))
{
	uint8_t c;

	while (CBS_get_u8(&text, &c))
		if (!ok(c))
			return false;
	return true;
}

/* The next element of a comma-separated list. */
static bool next_element(CBS *list, CBS *element)
{
	if (CBS_len(list) == 0)
		return false;
	if (CBS_get_until_first(list, element, ',')) {
		if (!CBS_skip(list, 1))
			return false;
	} else {
		*element = *list;
		CBS_init(list, NULL, 0);
	}
	text_trim(element);
	return true;
}

/* The next field line; an empty name marks the end of the head. A line that begins with a blank
 * (obsolete folding) and a blank before the colon both fail as names. */
static enum http_status take_field(CBS *in, CBS *name, CBS *value)
{
	enum http_status status = take_line(in, value);

	if (status != HTTP_OK)
		return status;
	if (CBS_len(value) == 0) {
		*name = *value;
		return HTTP_OK;
	}
	if (!CBS_get_until_first(value, name, ':') || CBS_len(name) == 0 ||
	    !all_of(*name, is_token_byte) || !CBS_skip(value, 1))
		return HTTP_MALFORMED;
	text_trim(value);
	return HTTP_OK;
}

/* ---- requests ---- */

struct head {
	struct http_request *request;
	bool asks_close, asks_keep_alive;
	bool has_length, has_etag;
};

static bool read_authority(CBS authority)
{
	return CBS_len(&authority) > 0 && all_of(authority, is_authority_byte);
}

/* "http://host/path": leaves the path in target. */
static bool skip_origin(CBS *target)
{
	CBS scheme, rest, authority;
	uint8_t c;

	if (!CBS_get_until_first(target, &scheme, ':') ||
	    (!text_is_word(scheme, "http") && !text_is_word(scheme, "https")) ||
	    !CBS_skip(target, 1) || !CBS_get_u8(target, &c) || c != '/' ||
	    !CBS_get_u8(target, &c) || c != '/')
		return false;
	rest = *target;
	while (CBS_len(target) > 0 && !is_one_of(CBS_data(target)[0], "/?"))
		if (!CBS_skip(target, 1))
			return false;
	return CBS_get_bytes(&rest, &authority, CBS_len(&rest) - CBS_len(target)) &&
	       read_authority(authority);
}

/* The four forms of RFC 9112 section 3.2. */
static bool read_target(CBS target, struct http_request *r)
{
	CBS path;

	if (strcmp(r->method, "CONNECT") == 0)
		return read_authority(target); /* names a host, not a path */
	if (text_is_word(target, "*") && strcmp(r->method, "OPTIONS") == 0) {
		memcpy(r->path, "*", 2);
		return true;
	}
	if (CBS_len(&target) == 0 || (CBS_data(&target)[0] != '/' && !skip_origin(&target)))
		return false;
	if (!CBS_get_until_first(&target, &path, '?'))
		path = target;
	if (CBS_len(&path) == 0)
		memcpy(r->path, "/", 2);
	else
		memcpy(r->path, CBS_data(&path), CBS_len(&path));
	return true;
}

static enum http_status take_request_line(CBS *in, struct http_request *r)
{
	CBS method, target;
	enum http_status status;

	/* RFC 9112 section 2.2: an empty line may precede it */
	if (CBS_len(in) > 0 && CBS_data(in)[0] == '\r' &&
	    (status = take_text(in, "\r\n")) != HTTP_OK)
		return status;
	status = take_until(in, ' ', is_token_byte, HTTP_METHOD_MAX, HTTP_MALFORMED, &method);
	if (status != HTTP_OK)
		return status;
	if (CBS_len(&method) == 0)
		return HTTP_MALFORMED;
	memcpy(r->method, CBS_data(&method), CBS_len(&method));
	status =
		take_until(in, ' ', is_target_byte, HTTP_TARGET_MAX, HTTP_TARGET_TOO_LONG, &target);
	if (status != HTTP_OK)
		return status;
	if (!read_target(target, r))
		return HTTP_MALFORMED;
	status = take_version(in, &r->minor);
	return status == HTTP_OK ? take_text(in, "\r\n") : status;
}

static bool read_length(CBS value, struct head *h)
{
	uint64_t length = 0;
	uint8_t c;

	if (CBS_len(&value) == 0)
		return false;
	while (CBS_get_u8(&value, &c)) {
		if (!is_digit(c) || length > (UINT64_MAX - 9) / 10)
			return false;
		length = length * 10 + (c - '0');
	}
	if (h->has_length && length != h->request->content_length)
		return false;
	h->has_length = true;
	h->request->content_length = length;
	return true;
}

static void read_connection(CBS list, struct head *h)
{
	CBS element;

	while (next_element(&list, &element)) {
		h->asks_close |= text_is_word(element, "close");
		h->asks_keep_alive |= text_is_word(element, "keep-alive");
	}
}

static bool is_etag_byte(uint8_t c)
{
	return c > 0x20 && c != 0x7f && c != '"';
}

/* RFC 9110 section 13.1.2 compares weakly, so the mark of a weak tag does not matter. What is not
 * one tag that fits only costs the sender a full answer. */
static void read_etag(CBS value, struct head *h)
{
	char *out = h->request->if_none_match;
	size_t len;
	CBS inner;

	out[0] = 0;
	if (h->has_etag)
		return; /* a second field: a list */
	h->has_etag = true;
	if (CBS_len(&value) > 2 && CBS_data(&value)[0] == 'W' && CBS_data(&value)[1] == '/' &&
	    !CBS_skip(&value, 2))
		return;
	len = CBS_len(&value);
	inner = value;
	if (len < 2 || len >= sizeof(h->request->if_none_match) || CBS_data(&value)[0] != '"' ||
	    CBS_data(&value)[len - 1] != '"' || !CBS_skip(&inner, 1) ||
	    !CBS_get_bytes(&inner, &inner, len - 2) || !all_of(inner, is_etag_byte))
		return;
	memcpy(out, CBS_data(&value), len);
	out[len] = 0;
}

static bool read_field(CBS name, CBS value, struct head *h)
{
	struct http_request *r = h->request;

	if (text_is_word(name, "host")) {
		if (r->has_host || !read_authority(value))
			return false;
		r->has_host = true;
	} else if (text_is_word(name, "content-length")) {
		return read_length(value, h);
	} else if (text_is_word(name, "transfer-encoding")) {
		/* nothing but "chunked", once, and never from HTTP/1.0 (RFC 9112 section 6.1) */
		if (r->chunked || r->minor == 0 || !text_is_word(value, "chunked"))
			return false;
		r->chunked = true;
	} else if (text_is_word(name, "connection")) {
		read_connection(value, h);
	} else if (text_is_word(name, "expect")) {
		r->expect_continue |= r->minor > 0 && text_is_word(value, "100-continue");
	} else if (text_is_word(name, "upgrade")) {
		r->upgrade |= r->minor > 0;
	} else if (text_is_word(name, "if-none-match")) {
		read_etag(value, h);
	}
	return true;
}

static enum http_status take_request(CBS *in, struct http_request *r)
{
	struct head h = {.request = r};
	enum http_status status = take_request_line(in, r);
	CBS name, value;

	while (status == HTTP_OK) {
		status = take_field(in, &name, &value);
		if (status != HTTP_OK)
			break;
		if (CBS_len(&name) == 0) {
			if ((r->minor > 0 && !r->has_host) || (r->chunked && h.has_length))
				return HTTP_MALFORMED;
			r->keep_alive = !h.asks_close && (r->minor > 0 || h.asks_keep_alive);
			return HTTP_OK;
		}
		if (!read_field(name, value, &h))
			return HTTP_MALFORMED;
	}
	return status;
}

/* ---- replies ---- */

static enum http_status take_reply(CBS *in, unsigned *code)
{
	enum http_status status;
	unsigned minor, a, b, c;
	CBS name, value;

	if ((status = take_version(in, &minor)) != HTTP_OK ||
	    (status = take_text(in, " ")) != HTTP_OK || (status = take_digit(in, &a)) != HTTP_OK ||
	    (status = take_digit(in, &b)) != HTTP_OK || (status = take_digit(in, &c)) != HTTP_OK)
		return status;
	if (a < 1 || a > 5)
		return HTTP_MALFORMED;
	status = take_line(in, &value); /* the blank is missing where there is no phrase */
	if (status == HTTP_OK && CBS_len(&value) > 0 && CBS_data(&value)[0] != ' ')
		return HTTP_MALFORMED;
	while (status == HTTP_OK) {
		status = take_field(in, &name, &value);
		if (status == HTTP_OK && CBS_len(&name) == 0) {
			*code = a * 100 + b * 10 + c;
			return HTTP_OK;
		}
	}
	return status;
}

/* ---- the two entries ---- */

/* A head that is unfinished at HTTP_HEAD_MAX bytes is too large. */
static size_t head_room(size_t len)
{
	return len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX;
}

static enum http_status finish(enum http_status status, size_t len)
{
	return status == HTTP_SHORT && len >= HTTP_HEAD_MAX ? HTTP_HEAD_TOO_LARGE : status;
}

enum http_status http_request_parse(const uint8_t *in, size_t len, struct http_request *out,
				    size_t *used)
{
	struct http_request r;
	enum http_status status;
	CBS cbs;

	memset(&r, 0, sizeof(r));
	CBS_init(&cbs, in, head_room(len));
	status = take_request(&cbs, &r);
	if (status != HTTP_OK)
		return finish(status, len);
	*out = r;
	*used = head_room(len) - CBS_len(&cbs);
	return HTTP_OK;
}

enum http_status http_reply_parse(const uint8_t *in, size_t len, unsigned *code, size_t *used)
{
	enum http_status status;
	CBS cbs;

	CBS_init(&cbs, in, head_room(len));
	status = take_reply(&cbs, code);
	if (status != HTTP_OK)
		return finish(status, len);
	*used = head_room(len) - CBS_len(&cbs);
	return HTTP_OK;
}
