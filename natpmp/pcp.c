/* SPDX-License-Identifier: Apache-2.0 */
/* pcp: writes requests of the Port Control Protocol and reads the answers (RFC 6887). */
#include "natpmp/pcp.h"

#include <assert.h>
#include <string.h>
#include <openssl/bytestring.h>

#define RESPONSE_BIT	      0x80u
#define OPTION_THIRD_PARTY    1u
#define OPTION_PREFER_FAILURE 2u
#define THIRD_PARTY_BYTES     16u
#define VERSION_NATPMP	      0u

static const char *const result_names[] = {
	"SUCCESS",	    "UNSUPP_VERSION",	      "NOT_AUTHORIZED",	  "MALFORMED_REQUEST",
	"UNSUPP_OPCODE",    "UNSUPP_OPTION",	      "MALFORMED_OPTION", "NETWORK_FAILURE",
	"NO_RESOURCES",	    "UNSUPP_PROTOCOL",	      "USER_EX_QUOTA",	  "CANNOT_PROVIDE_EXTERNAL",
	"ADDRESS_MISMATCH", "EXCESSIVE_REMOTE_PEERS",
};
static_assert(sizeof(result_names) / sizeof(result_names[0]) == PCP_RESULTS, "a name each");

const char *pcp_result_name(unsigned result)
{
	return result < PCP_RESULTS ? result_names[result] : "unknown result";
}

/* ---- requests ---- */

/* Section 5: all zeros of the family, too, tell IPv4 (::ffff:0:0) from IPv6 (::). */
static bool add_address(CBB *out, const struct addr *a)
{
	static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

	if (a->len >= sizeof(a->v4) && a->sa.sa_family == AF_INET)
		return CBB_add_bytes(out, v4_prefix, sizeof(v4_prefix)) &&
		       CBB_add_bytes(out, (const uint8_t *)&a->v4.sin_addr, 4);
	if (a->len >= sizeof(a->v6) && a->sa.sa_family == AF_INET6)
		return CBB_add_bytes(out, a->v6.sin6_addr.s6_addr, 16);
	return false;
}

/* Section 7.3 */
static bool add_option(CBB *out, unsigned code, size_t len)
{
	return CBB_add_u8(out, (uint8_t)code) && CBB_add_u8(out, 0) &&
	       CBB_add_u16(out, (uint16_t)len);
}

/* Section 11.1 */
static bool add_map(CBB *out, const struct pcp_request *r)
{
	const struct pcp_map *m = &r->map;

	return CBB_add_bytes(out, m->nonce, sizeof(m->nonce)) && CBB_add_u8(out, m->protocol) &&
	       CBB_add_u24(out, 0) && CBB_add_u16(out, m->internal_port) &&
	       CBB_add_u16(out, addr_port(&m->external)) && add_address(out, &m->external);
}

static bool add_request(CBB *out, const struct pcp_request *r)
{
	/* Section 7.1 */
	if (!CBB_add_u8(out, PCP_VERSION) || !CBB_add_u8(out, (uint8_t)r->opcode) ||
	    !CBB_add_u16(out, 0) || !CBB_add_u32(out, r->lifetime_s) ||
	    !add_address(out, &r->client))
		return false;
	if (r->opcode == PCP_ANNOUNCE)
		return true;
	if (!add_map(out, r))
		return false;
	if (r->third_party && (!add_option(out, OPTION_THIRD_PARTY, THIRD_PARTY_BYTES) ||
			       !add_address(out, &r->internal)))
		return false;
	return !r->prefer_failure || add_option(out, OPTION_PREFER_FAILURE, 0);
}

bool pcp_request_write(const struct pcp_request *r, uint8_t *out, size_t room, size_t *len)
{
	uint8_t bytes[PCP_REQUEST_BYTES];
	size_t written;
	CBB cbb;

	if (!CBB_init_fixed(&cbb, bytes, sizeof(bytes)))
		return false;
	if (!add_request(&cbb, r) || !CBB_finish(&cbb, NULL, &written)) {
		CBB_cleanup(&cbb);
		return false;
	}
	if (written > room)
		return false;
	memcpy(out, bytes, written);
	*len = written;
	return true;
}

/* ---- answers ---- */

static bool take_address(CBS *in, uint16_t port, struct addr *out)
{
	struct addr a;

	memset(&a, 0, sizeof(a));
	a.len = sizeof(a.v6);
	a.v6.sin6_family = AF_INET6;
	a.v6.sin6_port = htons(port);
	if (!CBS_copy_bytes(in, a.v6.sin6_addr.s6_addr, 16))
		return false;
	addr_unmap(&a);
	*out = a;
	return true;
}

static bool take_map(CBS *in, struct pcp_map *m)
{
	uint32_t reserved;
	uint16_t external_port;

	return CBS_copy_bytes(in, m->nonce, sizeof(m->nonce)) && CBS_get_u8(in, &m->protocol) &&
	       CBS_get_u24(in, &reserved) && CBS_get_u16(in, &m->internal_port) &&
	       CBS_get_u16(in, &external_port) && take_address(in, external_port, &m->external);
}

/* Section 7.3: each is padded to a multiple of four bytes, which its length does not count. What
 * they say was in our request, or is not ours to act upon. */
static bool skip_options(CBS *in)
{
	uint8_t code, reserved;
	uint16_t len;

	while (CBS_len(in) > 0) {
		if (!CBS_get_u8(in, &code) || !CBS_get_u8(in, &reserved) ||
		    !CBS_get_u16(in, &len) || !CBS_skip(in, ((size_t)len + 3) / 4 * 4))
			return false;
	}
	return true;
}

/* Section 7.2, after version and opcode. */
static bool take_header(CBS *in, struct pcp_answer *a)
{
	uint8_t reserved;

	return CBS_get_u8(in, &reserved) && CBS_get_u8(in, &a->result) &&
	       CBS_get_u32(in, &a->lifetime_s) && CBS_get_u32(in, &a->epoch_s) && CBS_skip(in, 12);
}

enum pcp_status pcp_answer_parse(const uint8_t *in, size_t len, struct pcp_answer *out)
{
	struct pcp_answer a;
	uint8_t version, opcode;
	CBS cbs;

	memset(&a, 0, sizeof(a));
	CBS_init(&cbs, in, len);
	if (!CBS_get_u8(&cbs, &version) || !CBS_get_u8(&cbs, &opcode) || !(opcode & RESPONSE_BIT))
		return PCP_MALFORMED;
	/* A NAT-PMP gateway's refusal of our version is shorter than any answer of PCP. */
	if (version == VERSION_NATPMP)
		return PCP_OTHER_VERSION;
	if (len < PCP_HEADER_BYTES || len > PCP_BYTES_MAX || len % 4 != 0)
		return PCP_MALFORMED;
	a.opcode = opcode & (uint8_t)~RESPONSE_BIT;
	if (!take_header(&cbs, &a))
		return PCP_MALFORMED;
	if (a.result == PCP_UNSUPP_VERSION)
		return PCP_OTHER_VERSION;
	if (version != PCP_VERSION)
		return PCP_MALFORMED;
	if (a.opcode == PCP_MAP && !take_map(&cbs, &a.map))
		return PCP_MALFORMED;
	/* What follows the header of another opcode is for those that know it. */
	if ((a.opcode == PCP_MAP || a.opcode == PCP_ANNOUNCE) && !skip_options(&cbs))
		return PCP_MALFORMED;
	*out = a;
	return PCP_OK;
}
