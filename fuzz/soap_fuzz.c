/* SPDX-License-Identifier: Apache-2.0 */
/*
 * soap_fuzz: any bytes as a gateway's answer to a command: a code, and plain texts.
 * The first byte is the HTTP code's: even for 200, odd for 500.
 * links: upnp/driver/igd.c upnp/driver/exchange.c upnp/reply.c upnp/location.c core/addr.c
 * links: upnp/ssdp.c core/parse/text.c
 */
#include "fuzz/prefix.h"
#include "upnp/driver/igd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct igd_result results[] = {{.name = "NewInternalClient"},
				       {.name = "NewPortMappingDescription"},
				       {.name = "NewEnabled"},
				       {.name = "UniqueID"}};
	static struct exchange e;
	int code;

	if (len == 0 || len > REPLY_MAX)
		return 0;
	e.reply = (struct upnp_reply){.code = data[0] & 1 ? 500 : 200, .body = 0, .len = len - 1};
	memcpy(e.bytes, data + 1, len - 1);
	e.bytes[len - 1] = '\0';
	code = igd_read_answer(&e, "GetSpecificPortMappingEntry", results, 4);
	assert(code <= 999);
	for (size_t i = 0; i < 4; i++) {
		assert(strlen(results[i].value) < sizeof(results[i].value));
		assert(results[i].there || results[i].value[0] == '\0');
		for (const char *c = results[i].value; *c; c++)
			assert(*c >= 0x20 && *c <= 0x7e && !strchr("<>&\"'", *c));
		(void)!igd_says_no(&results[i]);
	}
	return 0;
}
