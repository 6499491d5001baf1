/* SPDX-License-Identifier: Apache-2.0 */
/* load_process: processor time and memory of the relay's processes, read from outside. */
#include "bench/load.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The process's own clock is what utime + stime in /proc/PID/stat are made from, without the
 * rounding to ticks of 10 ms. */
static uint64_t cpu_ns(int pid)
{
	clockid_t clock;
	struct timespec t;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
		load_fail("the relay's process %d is gone", pid);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t private_bytes(int pid)
{
	char path[64], line[128];
	uint64_t sum_kib = 0, kib;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
	f = fopen(path, "r");
	if (!f)
		load_fail("cannot read %s", path);
	while (fgets(line, sizeof line, f)) {
		if (sscanf(line, "Private_Clean: %" SCNu64, &kib) == 1 ||
		    sscanf(line, "Private_Dirty: %" SCNu64, &kib) == 1)
			sum_kib += kib;
	}
	fclose(f);
	return sum_kib * 1024;
}

static unsigned descriptors(int pid)
{
	char path[64];
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	d = opendir(path);
	if (!d)
		load_fail("cannot read %s", path);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

void load_usage_of(const int *pids, size_t count, bool memory, struct load_usage *out)
{
	*out = (struct load_usage){0};
	for (size_t i = 0; i < count; i++) {
		out->cpu_ns += cpu_ns(pids[i]);
		if (memory) {
			out->private_bytes += private_bytes(pids[i]);
			out->descriptors += descriptors(pids[i]);
		}
	}
}
