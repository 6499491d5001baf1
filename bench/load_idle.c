/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_idle: what an established, silent session costs in the relay's user memory.
 *
 * Every session carries one byte each way, so that both of its connections really stand, and then
 * nothing. After a pause (o->seconds) in which a relay may give memory back, its private memory is
 * compared with that of before the first session. Start the relay afresh for this test.
 */
#include "bench/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void greet(int fd, bool source)
{
	uint8_t byte = 0x5a;

	if (!source)
		load_read(fd, &byte, 1);
	load_write(fd, &byte, 1);
}

static void idle_end(const struct load_options *o, struct load_shared *s, void *state, bool source)
{
	int *fds = calloc(o->sessions, sizeof *fds);
	uint8_t byte;

	if (!fds)
		load_fail("out of memory");
	load_sessions(o, state, source, fds, o->sessions);
	for (unsigned i = 0; i < o->sessions; i++)
		greet(fds[i], source);
	for (unsigned i = 0; source && i < o->sessions; i++)
		load_read(fds[i], &byte, 1);
	if (source)
		atomic_store(&s->source_ready, true);
	for (;;)
		pause();
}

static void idle_source(const struct load_options *o, struct load_shared *s, void *state)
{
	idle_end(o, s, state, true);
}

static void idle_sink(const struct load_options *o, struct load_shared *s, void *state)
{
	idle_end(o, s, state, false);
}

static void idle_report(const struct load_options *o, struct load_shared *s)
{
	struct load_usage after;
	double grown;

	load_sleep_ms((unsigned)(o->seconds * 1e3));
	load_usage_of(o->pids, o->pid_count, true, &after);
	grown = (double)after.private_bytes - (double)s->before.private_bytes;
	printf("{\"bytes_per_session\": %.0f, \"private_before\": %llu, \"private_after\": %llu, "
	       "\"descriptors_per_session\": %.2f}\n",
	       grown / o->sessions, (unsigned long long)s->before.private_bytes,
	       (unsigned long long)after.private_bytes,
	       ((double)after.descriptors - s->before.descriptors) / o->sessions);
}

const struct load_test load_test_idle = {
	.name = "idle",
	.source = idle_source,
	.sink = idle_sink,
	.report = idle_report,
};
