/* SPDX-License-Identifier: Apache-2.0 */
/* keyblock: finds PEM blocks of private keys (RFC 7468), and writes over them. */
#include "core/parse/keyblock.h"

#include <stdio.h>
#include <string.h>

#include "core/hex.h"

#define BEGIN	   "-----BEGIN "
#define END	   "-----END "
#define DASHES	   "-----"
#define KIND	   "PRIVATE KEY"
#define LINE_CHARS 64u
#define FILLER	   'A'
#define ID_CHARS   (2 * KEYBLOCK_ID_BYTES)

static bool takes(CBS *in, const char *text)
{
	CBS rest = *in, head;

	if (!CBS_get_bytes(&rest, &head, strlen(text)) ||
	    !CBS_mem_equal(&head, (const uint8_t *)text, strlen(text)))
		return false;
	*in = rest;
	return true;
}

/* To the next place where a mark may begin; a file may have four million others. False: there is
 * none. */
static bool skip_to_dash(CBS *in)
{
	const uint8_t *dash = CBS_len(in) ? memchr(CBS_data(in), '-', CBS_len(in)) : NULL;

	return dash && CBS_skip(in, (size_t)(dash - CBS_data(in)));
}

/* What stands before the dashes, on one line. */
static bool take_label(CBS *in, char out[KEYBLOCK_LABEL_MAX])
{
	size_t n = 0;
	uint8_t c;

	while (!takes(in, DASHES)) {
		if (!CBS_get_u8(in, &c) || (c != ' ' && (c < 'A' || c > 'Z')) ||
		    n + 1 == KEYBLOCK_LABEL_MAX)
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return n >= strlen(KIND) && strcmp(out + n - strlen(KIND), KIND) == 0;
}

bool keyblock_next(CBS *text, struct keyblock *out)
{
	struct keyblock b;
	CBS in = *text, end;

	for (;;) {
		if (!skip_to_dash(&in))
			return false;
		end = in;
		if (takes(&end, BEGIN) && take_label(&end, b.label))
			break;
		(void)CBS_skip(&in, 1);
	}
	in = end;
	for (CBS mark;; (void)CBS_skip(&end, 1)) {
		if (!skip_to_dash(&end)) {
			(void)CBS_skip(&end, CBS_len(&end)); /* it is cut short */
			break;
		}
		mark = end;
		if (takes(&mark, END))
			break;
	}
	CBS_init(&b.body, CBS_data(&in), (size_t)(CBS_data(&end) - CBS_data(&in)));
	*text = end;
	*out = b;
	return true;
}

static bool is_base64(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '+' || c == '/' || c == '=';
}

enum body_char { BODY_CHAR, BODY_BLANK, BODY_OTHER, BODY_END };

/* The next character of a body, which takes *width bytes of the text: a quoted line break ("\n")
 * is a blank, as a true one is. */
static enum body_char next_char(CBS *in, uint8_t *c, size_t *width)
{
	*width = 1;
	if (!CBS_get_u8(in, c))
		return BODY_END;
	if (*c == ' ' || *c == '\t' || *c == '\r' || *c == '\n')
		return BODY_BLANK;
	if (is_base64(*c))
		return BODY_CHAR;
	if (*c != '\\' || !CBS_get_u8(in, c))
		return BODY_OTHER;
	*width = 2;
	if (*c == '/')
		return BODY_CHAR;
	/* The last three: a quoted line that goes on in the next one. */
	return memchr("nrt \r\n", *c, 6) ? BODY_BLANK : BODY_OTHER;
}

bool keyblock_pem(const struct keyblock *b, char out[KEYBLOCK_PEM_MAX])
{
	size_t n = (size_t)snprintf(out, KEYBLOCK_PEM_MAX, BEGIN "%s" DASHES "\n", b->label);
	size_t tail = strlen("\n" END) + strlen(b->label) + strlen(DASHES "\n") + 1;
	size_t column = 0, width;
	enum body_char kind;
	CBS in = b->body;
	uint8_t c;

	while ((kind = next_char(&in, &c, &width)) != BODY_END) {
		if (kind == BODY_OTHER || n + 2 + tail > KEYBLOCK_PEM_MAX)
			return false;
		if (kind == BODY_BLANK)
			continue;
		if (column++ % LINE_CHARS == 0 && column > 1)
			out[n++] = '\n';
		out[n++] = (char)c;
	}
	snprintf(out + n, KEYBLOCK_PEM_MAX - n, "\n" END "%s" DASHES "\n", b->label);
	return true;
}

void keyblock_blank(uint8_t *body, size_t len, const uint8_t id[KEYBLOCK_ID_BYTES])
{
	char reference[ID_CHARS + 1] = "";
	size_t at = 0, count = 0, width;
	enum body_char kind;
	uint8_t c;
	CBS in;

	for (size_t i = 0; id && i < KEYBLOCK_ID_BYTES; i++)
		snprintf(reference + 2 * i, 3, "%02x", id[i]);
	CBS_init(&in, body, len);
	for (; (kind = next_char(&in, &c, &width)) != BODY_END; at += width) {
		if (kind == BODY_BLANK)
			continue;
		/* An escape goes whole: what stands after its backslash would mean another. */
		for (size_t i = 0; i < width && at + i < len; i++, count++)
			body[at + i] =
				(uint8_t)(id && count < ID_CHARS ? reference[count] : FILLER);
	}
}

bool keyblock_refers(const char *pem, uint8_t id[KEYBLOCK_ID_BYTES])
{
	uint8_t found[KEYBLOCK_ID_BYTES] = {0}, c, digit;
	struct keyblock b;
	enum body_char kind;
	size_t count = 0, width;
	CBS in;

	CBS_init(&in, (const uint8_t *)pem, strlen(pem));
	if (!keyblock_next(&in, &b))
		return false;
	while ((kind = next_char(&b.body, &c, &width)) != BODY_END) {
		if (kind == BODY_BLANK)
			continue;
		if (kind == BODY_OTHER)
			return false;
		if (count >= ID_CHARS ? c != FILLER : !hex_digit(c, &digit))
			return false;
		if (count < ID_CHARS)
			found[count / 2] = (uint8_t)(found[count / 2] << 4 | digit);
		count++;
	}
	if (count < ID_CHARS)
		return false;
	memcpy(id, found, sizeof(found));
	return true;
}
