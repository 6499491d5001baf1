/* SPDX-License-Identifier: Apache-2.0 */
/* text: words and blanks in header fields, as HTTP and what looks like it have them. Pure. */
#ifndef POSTERN_PARSE_TEXT_H
#define POSTERN_PARSE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/bytestring.h>

#include "core/must_check.h"

/* Of ASCII, in every locale. */
uint8_t text_lower(uint8_t c);
/* Takes spaces and tabs (OWS, RFC 9110 section 5.6.3) off both ends. */
void text_trim(CBS *text);
/* All of text, without regard to case; word is in lower case. */
bool text_is_word(CBS text, const char *word) MUST_CHECK;

#endif
