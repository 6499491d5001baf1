/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook: runs the operator's program when the external address changes (dynamic DNS).
 *
 * It gets two arguments: the new address, and the old one or "-". One runs at a time; of changes
 * that come meanwhile the last one counts. After HOOK_MS it is killed. One that fails is tried
 * again after HOOK_RETRY_MS, doubling, unless another change comes first.
 */
#ifndef POSTERN_PORTMAP_HOOK_H
#define POSTERN_PORTMAP_HOOK_H

#include "core/program/launcher.h"

#define HOOK_MS		 60000u
#define HOOK_RETRY_MS	 10000u
#define HOOK_RETRIES_MAX 8u
#define HOOK_TEXT_BYTES	 64u

struct hook {
	struct launcher launcher;
	struct launcher_plan plan;
	char *program; /* its own copy: the configuration that names it may be replaced; NULL: none
			*/
	struct ring *ring;
	struct timer retry;
	bool started, running, pending;
	uint32_t number;
	unsigned failures;
	char now[HOOK_TEXT_BYTES], old[HOOK_TEXT_BYTES];
	uint64_t runs;
};

/* Before isolation and the first thread. program is copied. Returns 0 or -errno. */
int hook_start(struct hook *h, const char *program) MUST_CHECK;
void hook_follow(struct hook *h, struct ring *ring);
/* Does nothing unless it was started. old NULL: none. */
void hook_run(struct hook *h, const char *now, const char *old);
/* A running program is killed. Idle when it returns true, else ask again later. */
bool hook_stop(struct hook *h) MUST_CHECK;
/* After hook_stop() has returned true. */
void hook_free(struct hook *h);

#endif
