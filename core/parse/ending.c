/* SPDX-License-Identifier: Apache-2.0 */
/* ending: the letters, and what reasons and errnos mean in them. */
#include "core/parse/ending.h"

#include <errno.h>
#include <stddef.h>

#define X(letter, name, sentence) letter,
static const char sides[] = {ENDING_SIDES(X)};
static const char phases[] = {ENDING_PHASES(X)};
static const char causes[] = {ENDING_CAUSES(X)};
#undef X

const char *ending_code(struct ending e, char out[ENDING_CODE_BYTES])
{
	out[0] = sides[e.side];
	out[1] = phases[e.phase];
	out[2] = causes[e.cause];
	out[3] = '\0';
	return out;
}

const char *ending_sentence(enum ending_cause cause)
{
#define X(letter, name, sentence) sentence,
	static const char *const sentences[] = {ENDING_CAUSES(X)};
#undef X

	return sentences[cause];
}

bool ending_by_agent(enum ending_cause cause)
{
	switch (cause) {
	case ENDING_NOT_ALLOWED:
	case ENDING_SERVICE:
	case ENDING_REVOKED:
	case ENDING_EXPIRED:
	case ENDING_UNTRUSTED:
	case ENDING_IDENTITY:
	case ENDING_MEMORY:
		return true;
	default:
		return false;
	}
}

const char *ending_letter(enum ending_cause cause)
{
#define X(letter, name, sentence) {letter, '\0'},
	static const char texts[][2] = {ENDING_CAUSES(X)};
#undef X

	return texts[cause];
}

bool ending_of_letter(char letter, enum ending_cause *out)
{
	for (size_t i = 0; i < sizeof(causes); i++)
		if (causes[i] == letter) {
			*out = (enum ending_cause)i;
			return true;
		}
	return false;
}

enum ending_cause ending_of_reason(enum reason reason)
{
	switch (reason) {
	case REASON_OK:
		return ENDING_FINISHED;
	case REASON_VERSION:
	case REASON_EXTENSION:
		return ENDING_VERSION;
	case REASON_CERT_EXPIRED:
		return ENDING_EXPIRED;
	case REASON_CERT_UNTRUSTED:
		return ENDING_UNTRUSTED;
	case REASON_CERT_ROLE:
	case REASON_PROOF:
	case REASON_PEER_IDENTITY:
		return ENDING_IDENTITY;
	case REASON_DRAINING:
		return ENDING_DRAINING;
	case REASON_AGENT_OFFLINE:
	case REASON_LINK_GONE:
	case REASON_LINK_ELSEWHERE:
		return ENDING_OFFLINE;
	case REASON_SERVICE_UNKNOWN:
		return ENDING_SERVICE;
	case REASON_NOT_ALLOWED:
		return ENDING_NOT_ALLOWED;
	case REASON_TIMEOUT:
		return ENDING_DEADLINE;
	case REASON_TARGET_UNREACHABLE:
		return ENDING_PORT;
	case REASON_TARGET_NAME:
		return ENDING_HOST;
	case REASON_LIMIT_SESSIONS:
	case REASON_LIMIT_LEGS:
	case REASON_LIMIT_AGENTS:
	case REASON_LIMIT_LINKS:
	case REASON_LIMIT_SERVICES:
	case REASON_LIMIT_PLACES:
	case REASON_LIMIT_RATE:
	case REASON_LIMIT_PUBLIC_SOURCE:
	case REASON_LIMIT_PUBLIC:
		return ENDING_LIMIT;
	case REASON_LIMIT_MEMORY:
		return ENDING_MEMORY;
	case REASON_REPLACED:
	case REASON_PEER_GONE:
		return ENDING_GONE;
	case REASON_SHUTDOWN:
		return ENDING_SHUTDOWN;
	case REASON_REVOKED:
		return ENDING_REVOKED;
	case REASON_KICKED:
		return ENDING_KICKED;
	default: /* PROTOCOL, and what only later versions say */
		return ENDING_BYTES;
	}
}

enum ending_cause ending_of_errno(int error)
{
	switch (error) {
	case ECONNRESET:
	case ECONNABORTED:
	case EPIPE:
		return ENDING_RESET;
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENETUNREACH:
	case ENETDOWN:
	case ENETRESET:
		return ENDING_LINE;
	case EPROTO:
		return ENDING_BYTES;
	case ENOMEM:
	case ENOBUFS:
	case EMFILE:
	case ENFILE:
		return ENDING_MEMORY;
	default:
		return ENDING_SYSTEM;
	}
}
