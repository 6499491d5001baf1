/* SPDX-License-Identifier: Apache-2.0 */
/* reason: looks up a refusal's name and sentence. All of it is made of the list in its header. */
#include "core/parse/reason.h"

#include <assert.h>

#define X(number, name, sentence)                                                                  \
	static_assert((number) >= 0 && (number) < REASON_MAX, #name " needs a counter");           \
	static_assert(sizeof(sentence) - 1 <= REASON_SENTENCE_MAX, #name " is too long");
REASONS(X)
#undef X

const char *reason_name(unsigned code)
{
	switch (code) {
#define X(number, name, sentence)                                                                  \
	case number:                                                                               \
		return #name;
		REASONS(X)
#undef X
	default:
		return "UNKNOWN";
	}
}

const char *reason_sentence(unsigned code)
{
	switch (code) {
#define X(number, name, sentence)                                                                  \
	case number:                                                                               \
		return sentence;
		REASONS(X)
#undef X
	default:
		return "the peer gave a reason that this version does not know; update this side";
	}
}

bool reason_says_text(unsigned code)
{
	return code == REASON_LINK_GONE || code == REASON_LINK_ELSEWHERE || code == REASON_TIMEOUT;
}
