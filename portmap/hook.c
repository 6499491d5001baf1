/* SPDX-License-Identifier: Apache-2.0 */
/* hook: one run after the other. */
#include "portmap/hook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/container.h"
#include "core/log.h"

static void retry_later(struct hook *h)
{
	if (h->failures >= HOOK_RETRIES_MAX) {
		log_warning("hook", "%s failed %u times: not tried again before the next change",
			    h->program, h->failures);
		return;
	}
	ring_timer_set(h->ring, &h->retry, (uint64_t)HOOK_RETRY_MS << h->failures);
	h->failures++;
}

static void run_now(struct hook *h)
{
	const char *const arguments[] = {h->now, h->old, NULL};
	int error = launcher_run(&h->launcher, arguments, HOOK_MS, &h->number);

	h->pending = false;
	if (error) {
		log_warning("hook", "%s cannot be run: %s", h->program, strerror(-error));
		retry_later(h);
		return;
	}
	h->running = true;
	h->runs++;
	log_info("hook", "running %s %s %s", h->program, h->now, h->old);
}

static void hook_child_ended(struct launcher *l, uint32_t number, int status)
{
	struct hook *h = container(l, struct hook, launcher);

	if (number != h->number)
		return;
	h->running = false;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		h->failures = 0;
	} else {
		if (WIFSIGNALED(status))
			log_warning("hook", "%s was ended by signal %d", h->program,
				    WTERMSIG(status));
		else
			log_warning("hook", "%s failed with status %d", h->program,
				    WEXITSTATUS(status));
		if (!h->pending)
			retry_later(h);
	}
	if (h->pending)
		run_now(h);
}

static void hook_launcher_gone(struct launcher *l)
{
	struct hook *h = container(l, struct hook, launcher);

	log_error("hook", "its launcher ended: %s is not run again; restart natd", h->program);
	h->started = h->running = false;
}

static void hook_retries(struct timer *t, uint64_t now_ms)
{
	struct hook *h = container(t, struct hook, retry);

	if (h->started && !h->running)
		run_now(h);
}

int hook_start(struct hook *h, const char *program)
{
	int error;

	h->program = strdup(program);
	if (!h->program)
		return -ENOMEM;
	h->plan = (struct launcher_plan){.name = "postern-hook", .program = h->program};
	error = launcher_start(&h->launcher, &h->plan);
	h->started = error == 0;
	return error;
}

void hook_follow(struct hook *h, struct ring *ring)
{
	h->ring = ring;
	h->retry.fire = hook_retries;
	if (!h->started)
		return;
	h->launcher.child_ended = hook_child_ended;
	h->launcher.gone = hook_launcher_gone;
	launcher_follow(&h->launcher, ring);
}

void hook_run(struct hook *h, const char *now, const char *old)
{
	if (!h->started)
		return;
	ring_timer_cancel(h->ring, &h->retry);
	h->failures = 0;
	snprintf(h->now, sizeof h->now, "%s", now);
	snprintf(h->old, sizeof h->old, "%s", old ? old : "-");
	h->pending = h->running;
	if (!h->running)
		run_now(h);
}

bool hook_stop(struct hook *h)
{
	if (!h->program)
		return true;
	h->started = false;
	ring_timer_cancel(h->ring, &h->retry);
	return launcher_stop(&h->launcher);
}

void hook_free(struct hook *h)
{
	free(h->program);
	h->program = NULL;
}
