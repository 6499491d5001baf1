/* SPDX-License-Identifier: Apache-2.0 */
/*
 * formers_fuzz: any bytes as natd's file of what it had mapped. What is read is written as the same
 * bytes again; what is not leaves the table as it was.
 * links: portmap/engine/[a-z]*.c portmap/gateway/driver.c core/addr.c core/log*.c
 */
#include "fuzz/prefix.h"
#include "portmap/engine/formers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct formers f, before;
	uint8_t *copy = malloc(len ? len : 1), again[FORMERS_BYTES];
	char name[MAPPING_NAME_BYTES];

	assert(copy);
	memcpy(copy, data, len);
	memset(&f, 0xa5, sizeof(f));
	before = f;
	if (!formers_decode(copy, len, &f)) {
		assert(memcmp(&f, &before, sizeof(f)) == 0);
		free(copy);
		return 0;
	}
	assert(formers_encode(&f, again) == len && memcmp(again, copy, len) == 0);
	for (size_t i = 0; i < f.count; i++)
		former_name(&f.list[i], name);
	formers_age(&f, UINT64_C(1) << 32);
	while (f.count > 0)
		formers_drop(&f, &f.list[0]);
	free(copy);
	return 0;
}
