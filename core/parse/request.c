/* SPDX-License-Identifier: Apache-2.0 */
/* request: nginx's machines for the request line, the path and the fields, byte by byte. */
#include "core/parse/request.h"

#include <string.h>
#include <openssl/bytestring.h>

#include "core/hex.h"
#include "core/parse/text.h"

/* In the order of a head. */
enum {
	/* the request line */
	START,
	METHOD,
	BEFORE_URI,
	SCHEMA,
	SCHEMA_SLASH,
	SCHEMA_SLASH_SLASH,
	HOST_START,
	HOST,
	HOST_LITERAL,
	HOST_END,
	PORT,
	AFTER_SLASH,
	CHECK_URI,
	URI,
	BEFORE_VERSION,
	VERSION_H,
	VERSION_HT,
	VERSION_HTT,
	VERSION_HTTP,
	FIRST_MAJOR,
	MAJOR,
	FIRST_MINOR,
	MINOR,
	AFTER_VERSION,
	LINE_ALMOST_DONE,
	/* a field */
	FIELD_START,
	NAME,
	BEFORE_VALUE,
	VALUE,
	AFTER_BLANK,
	FIELD_ALMOST_DONE,
	HEAD_ALMOST_DONE,
};

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
	return text_lower(c) >= 'a' && text_lower(c) <= 'z';
}

static bool is_one_of(uint8_t c, const char *set)
{
	return c != 0 && strchr(set, c) != NULL;
}

static bool is_control(uint8_t c)
{
	return c < 0x20 || c == 0x7f;
}

void request_begin(struct request *r)
{
	*r = (struct request){.version = 1000,
			      .state = START,
			      .buffer_end = REQUEST_FIRST_BUFFER,
			      .method = METHOD_OTHER,
			      .path = PATH_OTHER};
}

/* ---- the request line ---- */

static enum request_method method_of(CBS text)
{
	static const struct {
		const char *name;
		enum request_method method;
	} methods[] = {{"GET", METHOD_GET},
		       {"HEAD", METHOD_HEAD},
		       {"POST", METHOD_POST},
		       {"TRACE", METHOD_TRACE},
		       {"CONNECT", METHOD_CONNECT}};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (CBS_mem_equal(&text, (const uint8_t *)methods[i].name, strlen(methods[i].name)))
			return methods[i].method;
	return METHOD_OTHER;
}

static CBS text_at(const uint8_t *in, struct request_text t)
{
	CBS cbs;

	CBS_init(&cbs, in + t.at, t.len);
	return cbs;
}

static void end_uri(struct request *r)
{
	r->uri.len = r->at - r->uri.at;
}

/* "http://host" without a path: the path is "/". */
static void end_host(struct request *r)
{
	r->uri = (struct request_text){.at = r->at, .len = 0};
}

/* A byte of the URI that ends it, or changes how the rest is read. False: it is not allowed. */
static bool uri_byte(struct request *r, uint8_t c)
{
	switch (c) {
	case ' ':
		end_uri(r);
		r->state = BEFORE_VERSION;
		return true;
	case '\r':
		end_uri(r);
		r->version = 9;
		r->state = LINE_ALMOST_DONE;
		return true;
	case '%':
	case '#':
		r->complex_uri = true;
		r->state = URI;
		return true;
	case '?':
		r->state = URI;
		return true;
	case '/':
		if (r->state == URI)
			return true;
		r->complex_uri |= r->state == AFTER_SLASH;
		r->state = AFTER_SLASH;
		return true;
	case '.':
		r->complex_uri |= r->state == AFTER_SLASH;
		if (r->state == AFTER_SLASH)
			r->state = CHECK_URI;
		return true;
	default:
		if (is_control(c))
			return false;
		if (r->state == AFTER_SLASH)
			r->state = CHECK_URI;
		return true;
	}
}

static bool host_byte(struct request *r, uint8_t c)
{
	if (r->state == HOST_LITERAL) {
		if (c == ']')
			r->state = HOST_END;
		return is_digit(c) || is_letter(c) || is_one_of(c, ":]-._~!$&'()*+,;=");
	}
	if (r->state == HOST && (is_letter(c) || is_digit(c) || c == '.' || c == '-'))
		return true;
	if (r->state == PORT && is_digit(c))
		return true;
	if (r->state != PORT)
		r->host.len = r->at - r->host.at;
	switch (c) {
	case ':':
		if (r->state == PORT)
			return false;
		r->state = PORT;
		return true;
	case '/':
		r->uri.at = r->at;
		r->state = AFTER_SLASH;
		return true;
	case '?':
		r->uri.at = r->at;
		r->complex_uri = true; /* its path is empty */
		r->state = URI;
		return true;
	case ' ':
		end_host(r);
		r->state = BEFORE_VERSION;
		return true;
	default:
		return false;
	}
}

/* A byte of "HTTP/1.1". */
static enum request_status version_byte(struct request *r, uint8_t c)
{
	static const char word[] = "TTP/";

	switch (r->state) {
	case VERSION_H:
	case VERSION_HT:
	case VERSION_HTT:
	case VERSION_HTTP:
		if (c != (uint8_t)word[r->state - VERSION_H])
			return REQUEST_BAD;
		r->state++;
		return REQUEST_MORE;
	case FIRST_MAJOR:
		if (c < '1' || c > '9')
			return REQUEST_BAD;
		r->major = c - '0';
		r->state = MAJOR;
		return r->major > 1 ? REQUEST_BAD_VERSION : REQUEST_MORE;
	case MAJOR:
		if (c == '.') {
			r->state = FIRST_MINOR;
			return REQUEST_MORE;
		}
		if (!is_digit(c))
			return REQUEST_BAD;
		r->major = r->major * 10 + (c - '0');
		return r->major > 1 ? REQUEST_BAD_VERSION : REQUEST_MORE;
	case FIRST_MINOR:
		if (!is_digit(c))
			return REQUEST_BAD;
		r->version = 1000 + (c - '0');
		r->state = MINOR;
		return REQUEST_MORE;
	default: /* MINOR */
		if (!is_digit(c) || r->version > 1099)
			return REQUEST_BAD;
		r->version = 1000 + (r->version - 1000) * 10 + (c - '0');
		return REQUEST_MORE;
	}
}

/* One byte of the request line. REQUEST_DONE: it was the last. */
static enum request_status line_byte(struct request *r, const uint8_t *in, uint8_t c)
{
	switch (r->state) {
	case START:
		r->line = r->at;
		if (c == '\r' || c == '\n')
			return REQUEST_MORE;
		r->method_text.at = r->at;
		r->state = METHOD;
		return (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ? REQUEST_MORE : REQUEST_BAD;
	case METHOD:
		if ((c >= 'A' && c <= 'Z') || c == '_' || c == '-')
			return REQUEST_MORE;
		if (c != ' ')
			return REQUEST_BAD;
		r->method_text.len = r->at - r->method_text.at;
		r->method = method_of(text_at(in, r->method_text));
		r->state = BEFORE_URI;
		return REQUEST_MORE;
	case BEFORE_URI:
		r->uri.at = r->at;
		if (c == '/')
			r->state = AFTER_SLASH;
		else if (is_letter(c))
			r->state = SCHEMA;
		else
			return c == ' ' ? REQUEST_MORE : REQUEST_BAD;
		return REQUEST_MORE;
	case SCHEMA:
		if (c == ':')
			r->state = SCHEMA_SLASH;
		else if (!is_letter(c) && !is_digit(c) && !is_one_of(c, "+-."))
			return REQUEST_BAD;
		return REQUEST_MORE;
	case SCHEMA_SLASH:
	case SCHEMA_SLASH_SLASH:
		r->state++;
		return c == '/' ? REQUEST_MORE : REQUEST_BAD;
	case HOST_START:
		r->host.at = r->at;
		r->has_host = true;
		r->state = c == '[' ? HOST_LITERAL : HOST;
		return c == '[' || host_byte(r, c) ? REQUEST_MORE : REQUEST_BAD;
	case HOST:
	case HOST_LITERAL:
	case HOST_END:
	case PORT:
		return host_byte(r, c) ? REQUEST_MORE : REQUEST_BAD;
	case AFTER_SLASH:
	case CHECK_URI:
	case URI:
		if (c == '\n') {
			end_uri(r);
			r->version = 9;
			return REQUEST_DONE;
		}
		return uri_byte(r, c) ? REQUEST_MORE : REQUEST_BAD;
	case BEFORE_VERSION:
		if (c == '\r' || c == '\n')
			r->version = 9;
		if (c == 'H')
			r->state = VERSION_H;
		else if (c == '\r')
			r->state = LINE_ALMOST_DONE;
		else if (c != ' ' && c != '\n')
			return REQUEST_BAD;
		return c == '\n' ? REQUEST_DONE : REQUEST_MORE;
	case MINOR:
	case AFTER_VERSION:
		if (c == '\n')
			return REQUEST_DONE;
		if (c == '\r')
			r->state = LINE_ALMOST_DONE;
		else if (c == ' ')
			r->state = AFTER_VERSION;
		else
			return r->state == MINOR ? version_byte(r, c) : REQUEST_BAD;
		return REQUEST_MORE;
	case LINE_ALMOST_DONE:
		return c == '\n' ? REQUEST_DONE : REQUEST_BAD;
	default:
		return version_byte(r, c);
	}
}

/* ---- the path ---- */

/* A path on its way through "//", "." and "..". */
struct walk {
	char path[REQUEST_BUFFER + 1];
	size_t len;
	enum { WALK_USUAL, WALK_SLASH, WALK_DOT, WALK_DOT_DOT } state;
};

/* Back over "/x/..". False: beyond the root. */
static bool walk_up(struct walk *w)
{
	if (w->len < 4)
		return false;
	w->len -= 4;
	for (;; w->len--) {
		if (w->path[w->len] == '/')
			break;
		if (w->len == 0)
			return false;
	}
	w->len++;
	return true;
}

/* literal: it was written as %25, %23 or %3f, and is none of the path's own marks. */
static bool walk_byte(struct walk *w, uint8_t c, bool literal)
{
	bool slash = c == '/' && !literal;

	if (w->len >= sizeof(w->path) - 1)
		return false;
	switch (w->state) {
	case WALK_SLASH:
		if (slash)
			return true;
		w->state = c == '.' ? WALK_DOT : WALK_USUAL;
		break;
	case WALK_DOT:
		if (slash) {
			w->len--;
			w->state = WALK_SLASH;
			return true;
		}
		w->state = c == '.' ? WALK_DOT_DOT : WALK_USUAL;
		break;
	case WALK_DOT_DOT:
		if (slash) {
			w->state = WALK_SLASH;
			return walk_up(w);
		}
		w->state = WALK_USUAL;
		break;
	case WALK_USUAL:
		if (slash)
			w->state = WALK_SLASH;
		break;
	}
	w->path[w->len++] = (char)c;
	return true;
}

static bool walk(struct walk *w, CBS uri)
{
	uint8_t c, digits[2];
	uint8_t high, low;

	while (CBS_get_u8(&uri, &c)) {
		bool quoted = c == '%';

		if (c == '?' || c == '#')
			break;
		if (quoted) {
			if (!CBS_copy_bytes(&uri, digits, 2) ||
			    !hex_digit(text_lower(digits[0]), &high) ||
			    !hex_digit(text_lower(digits[1]), &low) || (high == 0 && low == 0))
				return false;
			c = (uint8_t)(high << 4 | low);
		}
		if (!walk_byte(w, c, quoted && is_one_of(c, "%#?")))
			return false;
	}
	if (w->state == WALK_DOT)
		w->len--;
	return w->state != WALK_DOT_DOT || walk_up(w);
}

/* False: the path is none. */
static bool read_path(struct request *r, const uint8_t *in)
{
	struct walk w = {.len = 0, .state = WALK_USUAL};
	CBS uri = text_at(in, r->uri);

	if (r->has_host && (r->uri.len == 0 || CBS_data(&uri)[0] == '?')) {
		w.path[w.len++] = '/';
	} else if (r->complex_uri) {
		if (!walk(&w, uri))
			return false;
	} else {
		uint8_t c;

		while (CBS_get_u8(&uri, &c) && c != '?' && w.len < sizeof(w.path) - 1)
			w.path[w.len++] = (char)c;
	}
	w.path[w.len] = '\0';
	if (strcmp(w.path, "/") == 0)
		r->path = PATH_ROOT;
	else if (strcmp(w.path, "/index.html") == 0)
		r->path = PATH_INDEX;
	else if (strcmp(w.path, "/healthz") == 0)
		r->path = PATH_HEALTH;
	return true;
}

/* ngx_http_validate_host(). */
static bool host_ok(CBS host)
{
	bool literal = false, rest = false;
	size_t i = 0, len = CBS_len(&host), dot = SIZE_MAX - 1;
	uint8_t c;

	for (; CBS_get_u8(&host, &c); i++) {
		if (c == '.') {
			if (dot + 1 == i)
				return false;
			dot = i;
		} else if (c == ':' && !literal && !rest) {
			len = i;
			rest = true;
		} else if (c == '[' && i == 0) {
			literal = true;
		} else if (c == ']' && literal) {
			len = i + 1;
			rest = true;
			literal = false;
		} else if (c == '/' || c <= 0x20 || c == 0x7f) {
			return false;
		}
	}
	if (len > 0 && dot == len - 1)
		len--;
	return len > 0;
}

static enum request_status line_done(struct request *r, const uint8_t *in)
{
	if (r->version == 9 && r->method != METHOD_GET)
		return REQUEST_BAD;
	if (!read_path(r, in))
		return REQUEST_BAD;
	if (r->has_host && !host_ok(text_at(in, r->host)))
		return REQUEST_BAD;
	if (r->version < 1000)
		return REQUEST_DONE;
	r->in_fields = true;
	r->state = FIELD_START;
	r->line = r->at + 1;
	return REQUEST_MORE;
}

/* ---- fields ---- */

static bool contains_word(CBS text, const char *word)
{
	size_t len = strlen(word);
	CBS head;

	for (; CBS_len(&text) >= len; (void)!CBS_skip(&text, 1)) {
		CBS at = text;

		if (CBS_get_bytes(&at, &head, len) && text_is_word(head, word))
			return true;
	}
	return false;
}

static bool contains(CBS text, const char *bytes)
{
	size_t len = strlen(bytes);

	for (; CBS_len(&text) >= len; (void)!CBS_skip(&text, 1)) {
		CBS at = text, head;

		if (CBS_get_bytes(&at, &head, len) &&
		    CBS_mem_equal(&head, (const uint8_t *)bytes, len))
			return true;
	}
	return false;
}

static void read_user_agent(struct request *r, CBS value)
{
	bool opera = contains(value, "Opera"), msie = contains(value, "MSIE ") && !opera;

	r->browser = msie || (!opera && !contains(value, "Gecko/") && contains(value, "Chrome/"));
}

/* One whole field. False: with it the request is bad. */
static bool take_field(struct request *r, const uint8_t *in)
{
	static const struct {
		const char *name;
		enum request_field field;
		bool once;
	} known[] = {
		{"if-modified-since", FIELD_IF_MODIFIED_SINCE, true},
		{"if-unmodified-since", FIELD_IF_UNMODIFIED_SINCE, true},
		{"if-match", FIELD_IF_MATCH, true},
		{"if-none-match", FIELD_IF_NONE_MATCH, true},
		{"if-range", FIELD_IF_RANGE, true},
		{"range", FIELD_RANGE, false},
		{"content-length", FIELD_CONTENT_LENGTH, true},
		{"transfer-encoding", FIELD_TRANSFER_ENCODING, true},
		{"expect", FIELD_EXPECT, true},
		{"authorization", FIELD_AUTHORIZATION, true},
		{"content-range", FIELD_CONTENT_RANGE, true},
	};
	CBS name = text_at(in, r->name), value = text_at(in, r->value);

	if (r->bad_name)
		return true;
	if (text_is_word(name, "host")) {
		if (r->host_field || !host_ok(value))
			return false;
		r->host_field = true;
		return true;
	}
	if (text_is_word(name, "connection")) {
		if (contains_word(value, "close"))
			r->connection = CONNECTION_CLOSE;
		else if (contains_word(value, "keep-alive"))
			r->connection = CONNECTION_KEEP_ALIVE;
		return true;
	}
	if (text_is_word(name, "user-agent")) {
		read_user_agent(r, value);
		return true;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!text_is_word(name, known[i].name))
			continue;
		if (r->has_fields[known[i].field])
			return !known[i].once;
		r->has_fields[known[i].field] = true;
		r->fields[known[i].field] = r->value;
		return true;
	}
	return true;
}

/* One byte of a field. REQUEST_DONE: the head is over. */
static enum request_status field_byte(struct request *r, const uint8_t *in, uint8_t c)
{
	bool ends = false;

	switch (r->state) {
	case FIELD_START:
		r->line = r->at;
		r->bad_name = false;
		r->name = (struct request_text){.at = r->at, .len = 0};
		if (c == '\n')
			return REQUEST_DONE;
		if (c == '\r') {
			r->state = HEAD_ALMOST_DONE;
			return REQUEST_MORE;
		}
		if (c == ':')
			return REQUEST_BAD;
		r->state = NAME;
		/* fallthrough */
	case NAME:
		if (is_letter(c) || is_digit(c) || c == '-')
			return REQUEST_MORE;
		r->name.len = r->at - r->name.at;
		r->value = (struct request_text){.at = r->at, .len = 0};
		r->value_end = r->at;
		if (c == ':') {
			r->state = BEFORE_VALUE;
		} else if (c == '\r') {
			r->state = FIELD_ALMOST_DONE;
		} else if (c == '\n') {
			ends = true;
		} else {
			r->bad_name = true;
			return c <= 0x20 || c == 0x7f ? REQUEST_BAD : REQUEST_MORE;
		}
		break;
	case BEFORE_VALUE:
		r->value.at = r->value_end = r->at;
		if (c == ' ')
			break;
		r->state = VALUE;
		/* fallthrough */
	case VALUE:
	case AFTER_BLANK:
		if (c == '\0')
			return REQUEST_BAD;
		if (c == '\r' || c == '\n') {
			if (r->state == VALUE)
				r->value_end = r->at;
			r->state = FIELD_ALMOST_DONE;
			ends = c == '\n';
		} else if (c == ' ') {
			if (r->state == VALUE)
				r->value_end = r->at;
			r->state = AFTER_BLANK;
		} else {
			r->state = VALUE;
		}
		break;
	case FIELD_ALMOST_DONE:
		if (c != '\n')
			return c == '\r' ? REQUEST_MORE : REQUEST_BAD;
		ends = true;
		break;
	default: /* HEAD_ALMOST_DONE */
		return c == '\n' ? REQUEST_DONE : REQUEST_BAD;
	}
	if (!ends)
		return REQUEST_MORE;
	r->value.len = r->value_end - r->value.at;
	r->state = FIELD_START;
	r->line = r->at + 1;
	return take_field(r, in) ? REQUEST_MORE : REQUEST_BAD;
}

static bool read_content_length(struct request *r, const uint8_t *in)
{
	CBS value = text_at(in, r->fields[FIELD_CONTENT_LENGTH]);
	uint64_t n = 0;
	uint8_t c;

	if (!r->has_fields[FIELD_CONTENT_LENGTH])
		return true;
	if (CBS_len(&value) == 0)
		return false;
	while (CBS_get_u8(&value, &c)) {
		if (!is_digit(c) || n > (INT64_MAX - (uint64_t)(c - '0')) / 10)
			return false;
		n = n * 10 + (c - '0');
	}
	r->content_length = n;
	return true;
}

/* What no single field tells, in nginx's order. */
static enum request_status head_done(struct request *r, const uint8_t *in)
{
	CBS coding = text_at(in, r->fields[FIELD_TRANSFER_ENCODING]);

	if (!r->host_field && r->version > 1000)
		return REQUEST_BAD;
	if (!read_content_length(r, in))
		return REQUEST_BAD;
	if (r->has_fields[FIELD_TRANSFER_ENCODING]) {
		if (r->version < 1001)
			return REQUEST_BAD;
		if (!text_is_word(coding, "chunked"))
			return REQUEST_NOT_IMPLEMENTED;
		if (r->has_fields[FIELD_CONTENT_LENGTH])
			return REQUEST_BAD;
		r->chunked = true;
	}
	if (r->method == METHOD_TRACE || r->method == METHOD_CONNECT)
		return REQUEST_NOT_ALLOWED;
	r->keep_alive = r->connection == CONNECTION_UNSAID ? r->version > 1000
							   : r->connection == CONNECTION_KEEP_ALIVE;
	return REQUEST_DONE;
}

/* ---- all of it ---- */

/* The buffer is full, and more is to come. */
static enum request_status next_buffer(struct request *r)
{
	bool at_start = r->state == START || r->state == FIELD_START;

	if (!r->in_fields && at_start) { /* nothing but line ends so far */
		r->buffer_end += REQUEST_FIRST_BUFFER;
		return REQUEST_MORE;
	}
	if ((!at_start && r->at - r->line >= REQUEST_BUFFER) || r->buffers == REQUEST_BUFFERS)
		return r->in_fields ? REQUEST_FIELDS_TOO_LARGE : REQUEST_LINE_TOO_LARGE;
	r->buffers++;
	r->buffer_end = (at_start ? r->at : r->line) + REQUEST_BUFFER;
	return REQUEST_MORE;
}

static enum request_status read_byte(struct request *r, const uint8_t *in, uint8_t c)
{
	enum request_status status;

	if (r->in_fields) {
		status = field_byte(r, in, c);
		return status == REQUEST_DONE ? head_done(r, in) : status;
	}
	status = line_byte(r, in, c);
	return status == REQUEST_DONE ? line_done(r, in) : status;
}

enum request_status request_read(struct request *r, const uint8_t *in, size_t len)
{
	enum request_status status = REQUEST_MORE;
	CBS rest;
	uint8_t c;

	CBS_init(&rest, in, len);
	if (!CBS_skip(&rest, r->at))
		return REQUEST_MORE;
	while (status == REQUEST_MORE) {
		if (r->at == r->buffer_end) {
			status = next_buffer(r);
			if (status != REQUEST_MORE)
				return status;
		}
		if (!CBS_get_u8(&rest, &c))
			return REQUEST_MORE;
		status = read_byte(r, in, c);
		if (status == REQUEST_MORE || status == REQUEST_DONE)
			r->at++;
	}
	return status;
}
