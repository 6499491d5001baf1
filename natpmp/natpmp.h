/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natpmp: what NAT-PMP (RFC 6886) needs beside libnatpmp.
 *
 * libnatpmp writes requests and reads answers, but takes up to 16 bytes of any datagram
 * without asking how many there were or what they answer. So each datagram is looked at here first,
 * and only what passes is left for the library to read. Announcements it does not know at all.
 */
#ifndef POSTERN_NATPMP_NATPMP_H
#define POSTERN_NATPMP_NATPMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/must_check.h"

#define NATPMP_ADDRESS_BYTES 12u /* answer with the external address, and announcement */
#define NATPMP_MAPPING_BYTES 16u
#define NATPMP_ERROR_BYTES   8u /* the least with a result code */

enum natpmp_opcode { NATPMP_ADDRESS = 0, NATPMP_MAP_UDP = 1, NATPMP_MAP_TCP = 2 };

/* Section 3.5. Others are returned as they are. */
enum natpmp_result {
	NATPMP_SUCCESS,
	NATPMP_UNSUPPORTED_VERSION,
	NATPMP_NOT_AUTHORIZED,
	NATPMP_NETWORK_FAILURE,
	NATPMP_OUT_OF_RESOURCES,
	NATPMP_UNSUPPORTED_OPCODE,
	NATPMP_RESULTS
};

/* The request that waits for an answer. */
struct natpmp_question {
	enum natpmp_opcode opcode;
	uint16_t internal_port; /* mappings only */
	bool deletion;
};

enum natpmp_verdict {
	NATPMP_ANSWER,	      /* of the right length, to this question: libnatpmp may read it; of a
				 success the internal port may be another one than was asked for */
	NATPMP_OTHER_VERSION, /* the gateway speaks PCP alone, or nothing that we know */
	NATPMP_STRAY,	      /* well-formed, but no answer to this */
	NATPMP_MALFORMED
};

enum natpmp_verdict natpmp_answer_check(const uint8_t *in, size_t len,
					const struct natpmp_question *q) MUST_CHECK;

/* Section 3.2.1: sent to all hosts when the external address or the epoch changed. */
struct natpmp_announcement {
	uint16_t result;
	uint32_t epoch_s;
	struct addr external; /* port 0; len 0 unless the result is NATPMP_SUCCESS */
};

/* False on anything else; out untouched then. */
bool natpmp_announcement_parse(const uint8_t *in, size_t len,
			       struct natpmp_announcement *out) MUST_CHECK;

/* "out of resources"; "unknown result" for others. */
const char *natpmp_result_name(unsigned result);

#endif
