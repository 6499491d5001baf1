/* SPDX-License-Identifier: Apache-2.0 */
/*
 * location_fuzz: any text as the URL of a gateway; what is taken is written the same way again.
 * links: upnp/location.c core/addr.c
 */
#include "fuzz/prefix.h"
#include "upnp/location.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *copy = malloc(len ? len : 1), text[LOCATION_TEXT_BYTES], again[LOCATION_TEXT_BYTES];
	struct location l, back;

	assert(copy);
	if (len)
		memcpy(copy, data, len);
	memset(&l, 0xa5, sizeof(l));
	if (!location_parse(copy, len, &l)) {
		assert(fuzz_untouched(&l, sizeof(l)));
		free(copy);
		return 0;
	}
	assert(l.path[0] == '/' && strlen(l.path) < sizeof(l.path));
	assert(addr_port(&l.host) != 0);
	location_format(&l, text);
	assert(location_parse(text, strlen(text), &back));
	assert(memcmp(&l, &back, sizeof(l)) == 0);
	location_format(&back, again);
	assert(strcmp(text, again) == 0);
	free(copy);
	return 0;
}
