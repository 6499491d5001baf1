/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_fuzz: any bytes as frames. What decodes encodes to the same bytes, unless an extension is
 * refused: that does not encode.
 * links: core/parse/wire.c
 */
#include <stdio.h>

#include "core/parse/wire.h"
#include "fuzz/prefix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void parse(const uint8_t *in, size_t len, struct fuzz_answer *out)
{
	static uint8_t frame[WIRE_FRAME_MAX];
	static struct wire_message m;
	size_t used = 4711;

	memset(&m, 0xa5, sizeof(m));
	out->status = wire_decode(in, len, &m, &used);
	if (out->status == WIRE_UNKNOWN_EXTENSION) {
		out->used = used;
		assert(used <= len && wire_encode(&m, frame, sizeof(frame)) == 0);
		assert(m.extensions.unknown >= WIRE_EXTENSION_CRITICAL);
		wire_explain_extension(&m, "this side", out->text);
		return;
	}
	if (out->status != WIRE_OK) {
		assert(fuzz_untouched(&m, sizeof(m)) && used == 4711);
		assert(out->status != WIRE_SHORT || len < WIRE_FRAME_MAX);
		return;
	}
	out->used = used;
	assert(used <= len && wire_encode(&m, frame, sizeof(frame)) == used);
	assert(memcmp(frame, in, used) == 0);
	assert(wire_encode(&m, frame, used) == used);
	assert(wire_encode(&m, frame, used - 1) == 0);
	snprintf(out->text, sizeof(out->text), "%s", wire_type_name(m.type));
}

static const struct fuzz_parser parser = {WIRE_OK, WIRE_SHORT, parse};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct fuzz_answer whole;
	char text[256], agent[WIRE_NAME_MAX + 1], service[WIRE_NAME_MAX + 1];
	struct wire_bytes b = {data, len};

	fuzz_prefixes(&parser, data, len, &whole);
	wire_bytes_copy(b, text, sizeof(text));
	if (wire_split_target(text, agent, service)) {
		size_t n = strlen(agent);

		assert(strncmp(text, agent, n) == 0 && text[n] == '/');
		assert(strcmp(text + n + 1, service) == 0);
		assert(wire_agent_name_ok((const uint8_t *)agent, n));
	}
	return 0;
}
