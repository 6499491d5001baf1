/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socks5_fuzz: any bytes as a greeting and as a request, and the name asked for.
 * links: core/parse/socks5.c core/parse/wire.c
 */
#include <stdio.h>
#include <strings.h>

#include "core/parse/socks5.h"
#include "fuzz/prefix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void parse_greeting(const uint8_t *in, size_t len, struct fuzz_answer *out)
{
	bool none = false;
	size_t used = 4711;

	out->status = socks5_greeting_parse(in, len, &none, &used);
	if (out->status != SOCKS5_OK) {
		assert(!none && used == 4711);
		return;
	}
	out->used = used;
	snprintf(out->text, sizeof(out->text), "%d", none);
}

static void check_name(const char *host)
{
	char agent[64], service[64], again[160];

	if (!socks5_split_name(host, agent, service))
		return;
	snprintf(again, sizeof(again), "%s.%s.postern", service, agent);
	assert(strcmp(again, host) == 0);
	assert(!strchr(agent, '.'));
}

static void parse_request(const uint8_t *in, size_t len, struct fuzz_answer *out)
{
	struct socks5_request r;
	size_t used = 4711;

	memset(&r, 0xa5, sizeof(r));
	out->status = socks5_request_parse(in, len, &r, &used);
	if (out->status != SOCKS5_OK) {
		assert(fuzz_untouched(&r, sizeof(r)) && used == 4711);
		return;
	}
	for (const char *p = r.host; *p; p++)
		assert(*p > 0x20 && *p < 0x7f && !(*p >= 'A' && *p <= 'Z'));
	check_name(r.host);
	out->used = used;
	snprintf(out->text, sizeof(out->text), "%u %u %s %u", r.command, r.address_type, r.host,
		 r.port);
}

static const struct fuzz_parser greetings = {SOCKS5_OK, SOCKS5_SHORT, parse_greeting};
static const struct fuzz_parser requests = {SOCKS5_OK, SOCKS5_SHORT, parse_request};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct fuzz_answer whole;

	fuzz_prefixes(&greetings, data, len, &whole);
	fuzz_prefixes(&requests, data, len, &whole);
	return 0;
}
