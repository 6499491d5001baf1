/* SPDX-License-Identifier: Apache-2.0 */
/* area: straight from the system, in small pages. */
#include "core/area.h"

#include <sys/mman.h>

/*
 * calloc() would do for a fresh area. But what it has given back it writes zeros into, each page of
 * it; and from 2 MiB on it asks for, the kernel gives the first byte of an area a whole huge page
 * where /sys/kernel/mm/transparent_hugepage/enabled says "always": 2 MiB for an item of 64 bytes,
 * five hundred times what core/paged.h charges. MADV_NOHUGEPAGE keeps to small pages
 * (Linux 2.6.38); where the kernel has no huge pages it fails (EINVAL), and nothing is lost. Not
 * PR_SET_THP_DISABLE: large buffers, which are written to from end to end, do well with them.
 *
 * A sealed process makes none, and needs no system call for it; those of a process that gives them
 * back are malloc()'s as well.
 */
void *area_new(size_t bytes)
{
	void *area = bytes > 0 ? mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
			       : MAP_FAILED;

	if (area == MAP_FAILED)
		return NULL;
	(void)madvise(area, bytes, MADV_NOHUGEPAGE);
	return area;
}

void area_free(void *area, size_t bytes)
{
	if (area)
		munmap(area, bytes);
}
