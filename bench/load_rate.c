/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_rate: how many sessions per second a relay brings about. One session is: established, one
 * byte each way, closed by both ends (strelaysrv does not pass the end of one side on). A fixed
 * number of workers goes round without a pause.
 *
 * With o->prepared, exactly so many sessions are made, once, after both ends have prepared what
 * agents keep ready for them (Postern's warm legs).
 */
#include "bench/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* The sink never makes the source wait. */
#define SINK_SPARE 16u

struct worker {
	const struct load_options *o;
	struct load_shared *s;
	void *state;
};

static void run_workers(const struct load_options *o, struct load_shared *s, void *state,
			unsigned count, void *(*work)(void *))
{
	struct worker worker = {.o = o, .s = s, .state = state};
	pthread_t threads[LOAD_WORKERS_MAX + SINK_SPARE];

	for (unsigned i = 0; i < count; i++)
		load_thread(&threads[i], work, &worker);
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void *source_work(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&w->s->measuring))
		load_sleep_ms(1);
	while (!w->o->prepared || atomic_fetch_add(&w->s->claimed, 1) < w->o->prepared) {
		int fd = w->o->path->open(w->state);
		uint8_t byte = 0x5a;

		load_write(fd, &byte, 1);
		load_read(fd, &byte, 1);
		close(fd);
		atomic_fetch_add(&w->s->sessions, 1);
	}
	return NULL;
}

static void rate_source(const struct load_options *o, struct load_shared *s, void *state)
{
	atomic_store(&s->source_ready, true);
	run_workers(o, s, state, o->workers, source_work);
	for (;;)
		pause(); /* until the coordinator has its figures */
}

static void *sink_work(void *arg)
{
	struct worker *w = arg;

	for (;;) {
		int fd = w->o->path->accept(w->state);
		uint8_t byte;

		load_read(fd, &byte, 1);
		load_write(fd, &byte, 1);
		close(fd);
	}
	return NULL;
}

static void rate_sink(const struct load_options *o, struct load_shared *s, void *state)
{
	run_workers(o, s, state, o->workers + SINK_SPARE, sink_work);
}

static void rate_report(const struct load_options *o, struct load_shared *s)
{
	struct load_usage before, after;
	uint64_t started, count;
	double seconds;

	load_usage_of(o->pids, o->pid_count, false, &before);
	started = load_now_ns();
	atomic_store(&s->measuring, true);
	if (o->prepared) {
		while (atomic_load(&s->sessions) < o->prepared)
			load_sleep_ms(1);
	} else {
		load_sleep_ms((unsigned)(o->seconds * 1e3));
	}
	count = atomic_load(&s->sessions);
	seconds = (double)(load_now_ns() - started) / 1e9;
	load_usage_of(o->pids, o->pid_count, false, &after);
	if (count == 0)
		load_fail("no session came about");
	printf("{\"per_s\": %.1f, \"cpu_us_each\": %.1f, \"sessions\": %" PRIu64 "}\n",
	       (double)count / seconds,
	       (double)(after.cpu_ns - before.cpu_ns) / 1e3 / (double)count, count);
}

const struct load_test load_test_rate = {
	.name = "rate",
	.source = rate_source,
	.sink = rate_sink,
	.report = rate_report,
};
