/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcp_fuzz: any bytes as an answer of a PCP server. What is read of a MAP answer can be asked for
 * again in a request, whose opcode's bytes are then the answer's.
 * links: natpmp/pcp.c core/addr.c
 */
#include "fuzz/prefix.h"
#include "natpmp/pcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_map(const struct pcp_answer *a, const uint8_t *in)
{
	struct pcp_request r;
	uint8_t out[PCP_REQUEST_BYTES];
	size_t written;

	memset(&r, 0, sizeof(r));
	r.opcode = PCP_MAP;
	r.client = a->map.external;
	r.lifetime_s = a->lifetime_s;
	r.map = a->map;
	assert(pcp_request_write(&r, out, sizeof(out), &written));
	assert(written == PCP_HEADER_BYTES + PCP_MAP_BYTES);
	/* All but the reserved bytes. */
	assert(memcmp(out + 24, in + 24, PCP_NONCE_BYTES + 1) == 0);
	assert(memcmp(out + 40, in + 40, 20) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct pcp_answer a;
	enum pcp_status status;

	assert(copy);
	memcpy(copy, data, len);
	memset(&a, 0xa5, sizeof(a));
	status = pcp_answer_parse(copy, len, &a);
	if (status != PCP_OK) {
		assert(fuzz_untouched(&a, sizeof(a)));
	} else {
		assert(len >= PCP_HEADER_BYTES && len <= PCP_BYTES_MAX && copy[0] == PCP_VERSION);
		assert(a.result != PCP_UNSUPP_VERSION);
		if (a.opcode == PCP_MAP)
			check_map(&a, copy);
	}
	free(copy);
	return 0;
}
