/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_fuzz: any bytes as a PROXY header. The addresses of one that is good survive being written
 * and read again.
 * links: core/parse/proxy.c core/addr.c
 */
#include <stdio.h>

#include "core/parse/proxy.h"
#include "fuzz/prefix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void write_header(const struct proxy_header *h, struct fuzz_answer *out)
{
	char source[ADDR_TEXT_BYTES], destination[ADDR_TEXT_BYTES];

	if (h->local) {
		assert(h->source.len == 0 && h->destination.len == 0);
		snprintf(out->text, sizeof(out->text), "local");
		return;
	}
	assert(h->source.sa.sa_family == h->destination.sa.sa_family);
	addr_format(&h->source, source);
	addr_format(&h->destination, destination);
	snprintf(out->text, sizeof(out->text), "%s %s", source, destination);
}

static void parse(const uint8_t *in, size_t len, struct fuzz_answer *out)
{
	struct proxy_header h;
	size_t used = 4711;

	memset(&h, 0xa5, sizeof(h));
	out->status = proxy_decode(in, len, &h, &used);
	if (out->status != PROXY_OK) {
		assert(fuzz_untouched(&h, sizeof(h)) && used == 4711);
		assert(out->status != PROXY_SHORT || len < PROXY_HEADER_MAX);
		return;
	}
	assert(used <= len && used <= PROXY_HEADER_MAX);
	out->used = used;
	write_header(&h, out);
}

static const struct fuzz_parser parser = {PROXY_OK, PROXY_SHORT, parse};

/* Mixed v4-mapped and real IPv6 addresses cannot be written; they become LOCAL. */
static void check_encoding(const uint8_t *data, size_t len)
{
	static struct fuzz_answer before, after;
	struct proxy_header h, again;
	uint8_t out[PROXY_V2_MAX];
	size_t used, n;

	if (proxy_decode(data, len, &h, &used) != PROXY_OK)
		return;
	n = proxy_encode(&h.source, &h.destination, out);
	assert(n <= sizeof(out));
	assert(proxy_decode(out, n, &again, &used) == PROXY_OK && used == n);
	assert(!h.local || again.local);
	write_header(&h, &before);
	write_header(&again, &after);
	assert(again.local || strcmp(before.text, after.text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct fuzz_answer whole;

	fuzz_prefixes(&parser, data, len, &whole);
	check_encoding(data, len);
	return 0;
}
