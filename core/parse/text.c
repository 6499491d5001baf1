/* SPDX-License-Identifier: Apache-2.0 */
/* text: words and blanks in header fields, which HTTP and SSDP share. Their parsers do not link
 * each other. */
#include "core/parse/text.h"

#include <string.h>

uint8_t text_lower(uint8_t c)
{
	return (uint8_t)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool text_is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

void text_trim(CBS *text)
{
	CBS rest = *text;
	uint8_t c;

	while (CBS_get_u8(&rest, &c) && text_is_blank(c))
		*text = rest;
	rest = *text;
	while (CBS_get_last_u8(&rest, &c) && text_is_blank(c))
		*text = rest;
}

bool text_is_word(CBS text, const char *word)
{
	uint8_t c;

	if (CBS_len(&text) != strlen(word))
		return false;
	for (; CBS_get_u8(&text, &c); word++)
		if (text_lower(c) != (uint8_t)*word)
			return false;
	return true;
}
