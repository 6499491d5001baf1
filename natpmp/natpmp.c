/* SPDX-License-Identifier: Apache-2.0 */
/* natpmp: which datagrams are answers of NAT-PMP, and its announcements (RFC 6886). */
#include "natpmp/natpmp.h"

#include <assert.h>
#include <string.h>
#include <openssl/bytestring.h>

#define RESPONSE_BIT 0x80u
#define VERSION	     0u

static const char *const result_names[] = {
	"success",	   "unsupported version", "not authorized",
	"network failure", "out of resources",	  "unsupported opcode",
};
static_assert(sizeof(result_names) / sizeof(result_names[0]) == NATPMP_RESULTS, "a name each");

const char *natpmp_result_name(unsigned result)
{
	return result < NATPMP_RESULTS ? result_names[result] : "unknown result";
}

/* What every answer begins with (section 3.5). */
struct natpmp_head {
	uint8_t version, opcode;
	uint16_t result;
	uint32_t epoch_s;
};

static bool take_head(CBS *in, struct natpmp_head *h)
{
	return CBS_get_u8(in, &h->version) && CBS_get_u8(in, &h->opcode) &&
	       CBS_get_u16(in, &h->result) && CBS_get_u32(in, &h->epoch_s) &&
	       (h->opcode & RESPONSE_BIT);
}

/* Section 3.3. The lifetime tells a deletion's answer from that to the mapping before. */
static enum natpmp_verdict check_mapping(CBS *in, uint16_t result, const struct natpmp_question *q)
{
	uint16_t internal, external;
	uint32_t lifetime_s;

	if (!CBS_get_u16(in, &internal) || !CBS_get_u16(in, &external) ||
	    !CBS_get_u32(in, &lifetime_s) || CBS_len(in) > 0)
		return NATPMP_MALFORMED;
	/* A gateway that mapped another port than asked for says so here. */
	if (internal != q->internal_port &&
	    (result != NATPMP_SUCCESS || q->deletion || internal == 0))
		return NATPMP_STRAY;
	if (result != NATPMP_SUCCESS)
		return NATPMP_ANSWER;
	if ((lifetime_s == 0) != q->deletion)
		return NATPMP_STRAY;
	return q->deletion || external != 0 ? NATPMP_ANSWER : NATPMP_MALFORMED;
}

enum natpmp_verdict natpmp_answer_check(const uint8_t *in, size_t len,
					const struct natpmp_question *q)
{
	struct natpmp_head h;
	CBS cbs;

	CBS_init(&cbs, in, len);
	if (!take_head(&cbs, &h))
		return NATPMP_MALFORMED;
	/* RFC 6887 section 9: so a server of PCP alone answers. */
	if (h.version != VERSION || h.result == NATPMP_UNSUPPORTED_VERSION)
		return NATPMP_OTHER_VERSION;
	if (h.opcode != (RESPONSE_BIT | (unsigned)q->opcode))
		return NATPMP_STRAY;
	/* Errors may come without the rest: a gateway need not know what the opcode carries. */
	if (h.result != NATPMP_SUCCESS && len == NATPMP_ERROR_BYTES)
		return NATPMP_ANSWER;
	if (q->opcode == NATPMP_ADDRESS)
		return len == NATPMP_ADDRESS_BYTES ? NATPMP_ANSWER : NATPMP_MALFORMED;
	return check_mapping(&cbs, h.result, q);
}

bool natpmp_announcement_parse(const uint8_t *in, size_t len, struct natpmp_announcement *out)
{
	struct natpmp_announcement a;
	uint8_t ip[4];
	struct natpmp_head h;
	CBS cbs;

	memset(&a, 0, sizeof(a));
	CBS_init(&cbs, in, len);
	if (!take_head(&cbs, &h) || h.version != VERSION ||
	    h.opcode != (RESPONSE_BIT | (unsigned)NATPMP_ADDRESS))
		return false;
	if (!CBS_copy_bytes(&cbs, ip, sizeof(ip)) || CBS_len(&cbs) > 0)
		return false;
	a.result = h.result;
	a.epoch_s = h.epoch_s;
	if (h.result == NATPMP_SUCCESS) {
		a.external.len = sizeof(a.external.v4);
		a.external.v4.sin_family = AF_INET;
		memcpy(&a.external.v4.sin_addr, ip, sizeof(ip));
	}
	*out = a;
	return true;
}
