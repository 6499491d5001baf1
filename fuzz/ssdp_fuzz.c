/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssdp_fuzz: any datagram from port 1900.
 * links: upnp/ssdp.c upnp/location.c core/addr.c core/parse/text.c
 */
#include "fuzz/prefix.h"
#include "upnp/ssdp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_text(const char *text, size_t room)
{
	assert(strlen(text) < room);
	for (; *text; text++)
		assert(*text >= 0x20 && *text <= 0x7e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct ssdp_message m;

	assert(copy);
	if (len)
		memcpy(copy, data, len);
	memset(&m, 0xa5, sizeof(m));
	if (!ssdp_parse(copy, len, &m)) {
		assert(fuzz_untouched(&m, sizeof(m)));
	} else {
		assert(len <= SSDP_DATAGRAM_MAX);
		check_text(m.target, sizeof(m.target));
		check_text(m.usn, sizeof(m.usn));
		check_text(m.server, sizeof(m.server));
		assert(m.target[0]);
		assert(m.kind == SSDP_BYEBYE || m.location.host.len);
		(void)!ssdp_meaning(m.target);
	}
	free(copy);
	return 0;
}
