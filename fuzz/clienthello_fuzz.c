/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clienthello_fuzz: any bytes as the start of a connection. Prefixes keep the promise of prefix.h
 * under several limits, and a hello means the same however records cut it.
 * links: core/parse/clienthello.c
 */
#include <stdio.h>

#include "core/parse/clienthello.h"
#include "fuzz/prefix.h"

#define LIMIT_MAX 16384u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static size_t limit;

static void parse(const uint8_t *in, size_t len, struct fuzz_answer *out)
{
	uint8_t *scratch = malloc(limit);
	struct clienthello h;

	assert(scratch);
	memset(&h, 0xa5, sizeof(h));
	out->status = clienthello_parse(in, len, limit, scratch, &h);
	free(scratch);
	if (out->status != CLIENTHELLO_OK) {
		assert(fuzz_untouched(&h, sizeof(h)));
		return;
	}
	assert(h.record_bytes <= len && h.record_bytes <= limit);
	assert(memchr(h.server_name, 0, sizeof(h.server_name)));
	out->used = h.record_bytes;
	snprintf(out->text, sizeof(out->text), "%s %d %d %d %d %d", h.server_name, h.has_tls13,
		 h.has_ech, h.alpn_http11, h.alpn_h2, h.alpn_acme_tls);
}

static const struct fuzz_parser parser = {CLIENTHELLO_OK, CLIENTHELLO_SHORT, parse};

/* The message of the records in in, cut anew; returns the size. */
static size_t cut_anew(const uint8_t *in, size_t len, uint32_t *random, uint8_t *out, size_t room)
{
	static uint8_t message[LIMIT_MAX];
	size_t have = 0, n = 0;

	for (size_t at = 0; at < len;) {
		size_t body = (size_t)in[at + 3] << 8 | in[at + 4];

		memcpy(message + have, in + at + 5, body);
		have += body;
		at += 5 + body;
	}
	for (size_t at = 0; at < have;) {
		size_t body = 1 + fuzz_random(random) % (fuzz_random(random) % 4 ? 300 : 3);

		if (body > have - at)
			body = have - at;
		if (n + 5 + body > room)
			return 0;
		memcpy(out + n, "\x16\x03\x03", 3);
		out[n + 3] = (uint8_t)(body >> 8);
		out[n + 4] = (uint8_t)body;
		memcpy(out + n + 5, message + at, body);
		n += 5 + body;
		at += body;
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const size_t limits[] = {512, 1500, LIMIT_MAX};
	static struct fuzz_answer whole, again;
	static uint8_t cut[LIMIT_MAX];
	uint32_t random = fuzz_seed(data, len);

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		limit = limits[i];
		fuzz_prefixes(&parser, data, len, &whole);
	}
	if (whole.status == CLIENTHELLO_OK) {
		size_t n = cut_anew(data, whole.used, &random, cut, sizeof(cut));

		if (n > 0) {
			fuzz_prefixes(&parser, cut, n, &again);
			assert(again.status == CLIENTHELLO_OK && again.used == n);
			assert(strcmp(again.text, whole.text) == 0);
		}
	}
	return 0;
}
