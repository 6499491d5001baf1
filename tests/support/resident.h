/* SPDX-License-Identifier: Apache-2.0 */
/* resident: how much memory this process really has, as the kernel counts it. */
#ifndef POSTERN_TESTS_RESIDENT_H
#define POSTERN_TESTS_RESIDENT_H

#include <stddef.h>
#include <stdio.h>

#include "core/sanitized.h"

/* In bytes, exact to a page; 0: the kernel does not tell, or a sanitizer's own would be counted. */
static inline size_t resident_bytes(void)
{
	FILE *f = SANITIZED ? NULL : fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	size_t kib = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Rss: %zu kB", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib * 1024;
}

#endif
