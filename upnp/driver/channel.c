/* SPDX-License-Identifier: Apache-2.0 */
/* channel: starts, asks and ends UPnP workers. */
#include "upnp/driver/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/container.h"
#include "core/log.h"

#define AREA "upnp"

struct upnp_channel_worker {
	struct lines lines;
	struct upnp_channel *channel;
	uint32_t number; /* the launcher's */
};

/* ---- workers --------------------------------------------------------------------------------- */

/* Its socket closes soon; what it still does or says is not listened to. */
static void upnp_channel_abandon(struct upnp_channel *c, bool kill)
{
	struct upnp_channel_worker *w = c->worker;

	c->worker = NULL;
	ring_timer_cancel(c->ring, &c->idle);
	if (!w)
		return;
	if (kill)
		launcher_kill(c->launcher, w->number);
	lines_close(&w->lines);
}

static void upnp_channel_answer(struct upnp_channel *c, const struct upnp_answer *a, bool died)
{
	ring_timer_cancel(c->ring, &c->deadline);
	c->busy = false;
	if (!c->stopping)
		c->answered(c, a, died);
}

/* The request's answer is that the worker is gone. */
static void upnp_channel_give_up(struct upnp_channel *c, const char *why)
{
	struct upnp_answer a = {.number = c->last, .failure = PORTMAP_SILENT};

	upnp_channel_abandon(c, true);
	if (!c->busy)
		return;
	c->deaths++;
	log_debug(AREA, "the worker was given up: %s", why);
	snprintf(a.why, sizeof(a.why), "%s", why);
	upnp_channel_answer(c, &a, true);
}

static void upnp_channel_line_came(struct lines *l, const char *line, size_t len)
{
	struct upnp_channel_worker *w = container(l, struct upnp_channel_worker, lines);
	struct upnp_channel *c = w->channel;
	struct upnp_answer a;

	if (c->worker != w)
		return;
	if (!c->busy || !upnp_answer_read(c->request.duty, line, len, &a) || a.number != c->last) {
		upnp_channel_give_up(c, "the UPnP worker said what is no answer");
		return;
	}
	ring_timer_set(c->ring, &c->idle, CHANNEL_IDLE_MS);
	upnp_channel_answer(c, &a, false);
}

static void upnp_channel_lines_ended(struct lines *l)
{
	struct upnp_channel_worker *w = container(l, struct upnp_channel_worker, lines);
	struct upnp_channel *c = w->channel;
	bool current = c->worker == w;

	c->open--;
	if (current)
		c->worker = NULL;
	launcher_kill(c->launcher, w->number);
	free(w);
	if (current)
		upnp_channel_give_up(c,
				     "a device's answer made the UPnP worker end: it hung or grew");
}

static bool start_worker(struct upnp_channel *c)
{
	struct upnp_channel_worker *w = calloc(1, sizeof(*w));

	if (!w || launcher_serve(c->launcher, 0, &w->lines.fd, &w->number)) {
		free(w);
		return false;
	}
	w->channel = c;
	w->lines.ring = c->ring;
	w->lines.line_max = w->lines.output_max = UPNP_LINE_MAX;
	w->lines.line = upnp_channel_line_came;
	w->lines.ended = upnp_channel_lines_ended;
	lines_start(&w->lines);
	c->worker = w;
	c->open++;
	return true;
}

/* ---- time ------------------------------------------------------------------------------------ */

static void upnp_channel_deadline_passed(struct timer *t, uint64_t now_ms)
{
	struct upnp_channel *c = container(t, struct upnp_channel, deadline);

	if (!c->worker)
		log_warning(AREA, "no worker can be started: this host may be short of processes "
				  "or memory");
	upnp_channel_give_up(c, c->worker
					? "the UPnP worker did not come back in time and was ended"
					: "no UPnP worker could be started");
}

static void upnp_channel_idle_passed(struct timer *t, uint64_t now_ms)
{
	struct upnp_channel *c = container(t, struct upnp_channel, idle);

	if (!c->busy)
		upnp_channel_abandon(c, false);
}

/* ---- calls ----------------------------------------------------------------------------------- */

void upnp_channel_init(struct upnp_channel *c)
{
	c->deadline.fire = upnp_channel_deadline_passed;
	c->idle.fire = upnp_channel_idle_passed;
}

void upnp_channel_ask(struct upnp_channel *c, const struct upnp_request *r)
{
	char *line = NULL;
	size_t len = 0;

	c->request = *r;
	c->request.number = ++c->last;
	c->busy = true;
	ring_timer_cancel(c->ring, &c->idle);
	if (c->worker || start_worker(c))
		line = upnp_request_line(&c->request, &len);
	if (line && lines_send(&c->worker->lines, line, len))
		ring_timer_set(c->ring, &c->deadline, r->wait_ms + CHANNEL_PATIENCE_MS);
	else
		ring_timer_set(c->ring, &c->deadline, 0);
}

bool upnp_channel_stop(struct upnp_channel *c)
{
	c->stopping = true;
	ring_timer_cancel(c->ring, &c->deadline);
	c->busy = false;
	upnp_channel_abandon(c, true);
	return c->open == 0;
}
