/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace: switches a trace on for a console, hands its lines on, and switches it off.
 *
 * One at a time. Each line goes to the log (notice, area "trace") and to the console that asked, as
 * a notification. It ends by itself: after its lines, after its time, or when that console has
 * gone; a last notification says which.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/container.h"
#include "core/engine/records.h"
#include "core/log.h"
#include "core/memory.h"
#include "relay/control/control_internal.h"
#include "relay/session/trace.h"

#define TRACE_MS	60000
#define TRACE_MS_MAX	3600000
#define TRACE_LINES	1000
#define TRACE_LINES_MAX 10000
#define TRACE_LOOK_MS	500u /* how soon it is noticed that the console has gone */

static struct caller *trace_follower(struct relay_control *ctl)
{
	struct caller *c = ctl->calls.callers;

	while (c && !c->follows_trace)
		c = c->next;
	return c;
}

/* why: "lines", "time" or "gone" */
static void trace_over(struct relay_control *ctl, const char *why)
{
	struct caller *c = trace_follower(ctl);
	uint64_t lost = trace_stop(ctl->relay->trace);

	ring_timer_cancel(ctl->ring, &ctl->trace_timer);
	ctl->tracing = false;
	log_notice("trace", "over: %s lines=%" PRIu64 " lost=%" PRIu64, why, ctl->trace_lines,
		   lost);
	if (!c)
		return;
	c->follows_trace = false;
	caller_notify(c, "trace",
		      json_pack("{s:s, s:I, s:I}", "over", why, "lines",
				(json_int_t)ctl->trace_lines, "lost", (json_int_t)lost));
}

void control_traced(struct ring_msg *msg)
{
	struct trace_line *line = (struct trace_line *)msg;
	struct relay_control *ctl = line->relay->control;
	struct caller *c = trace_follower(ctl);
	char shown[TRACE_TEXT_BYTES]; /* an agent's words may be cut inside a character */

	if (ctl->tracing && line->run == ctl->trace_run) {
		ctl->trace_lines++;
		log_notice("trace", "%s", line->text);
		log_escape(line->text, shown, sizeof shown);
		if (c)
			caller_notify(c, "trace",
				      json_pack("{s:o, s:s}", "at", records_time(line->at), "text",
						shown));
		if (line->last)
			trace_over(ctl, "lines");
	}
	memory_free(line);
}

static void trace_look_fired(struct timer *t, uint64_t now_ms)
{
	struct relay_control *ctl = container(t, struct relay_control, trace_timer);

	if (!trace_follower(ctl))
		trace_over(ctl, "gone");
	else if (now_ms >= ctl->trace_due_ms)
		trace_over(ctl, "time");
	else
		ring_timer_set(ctl->ring, t,
			       ctl->trace_due_ms - now_ms < TRACE_LOOK_MS
				       ? ctl->trace_due_ms - now_ms
				       : TRACE_LOOK_MS);
}

/* A parameter between 1 and most; none: without. False: it is not, and the call has ended. */
static bool trace_number(struct call *c, const char *key, json_int_t without, json_int_t most,
			 json_int_t *out)
{
	const json_t *value = json_object_get(c->params, key);

	*out = value ? json_integer_value(value) : without;
	if (*out >= 1 && *out <= most)
		return true;
	call_fail(c, JSONRPC_INVALID_PARAMS, NULL, "%s is 1 to %" JSON_INTEGER_FORMAT, key, most);
	return false;
}

static void trace_run(struct call *c)
{
	const char *agent = json_string_value(json_object_get(c->params, "agent"));
	const char *session = json_string_value(json_object_get(c->params, "session"));
	struct relay_control *ctl = control_of(c);
	json_int_t ms, lines;
	uint64_t number = 0;
	char *end = NULL;

	if (session)
		number = strtoull(session, &end, 16);
	if (!agent == !session || (agent && !wire_is_agent_name(agent)) ||
	    (session && (strlen(session) != 16 || *end != '\0' || number == 0))) {
		call_fail(
			c, JSONRPC_INVALID_PARAMS, NULL,
			"trace wants an agent's name, or a session's number as sessions shows it");
		return;
	}
	if (!trace_number(c, "for_ms", TRACE_MS, TRACE_MS_MAX, &ms) ||
	    !trace_number(c, "lines", TRACE_LINES, TRACE_LINES_MAX, &lines))
		return;
	if (ctl->tracing) {
		call_fail(c, JSONRPC_BUSY, NULL,
			  "another trace runs for at most %" PRIu64
			  " s more; there is one at a time",
			  (ctl->trace_due_ms - ring_now_ms(ctl->ring)) / 1000 + 1);
		return;
	}
	ctl->tracing = true;
	ctl->trace_lines = 0;
	ctl->trace_due_ms = ring_now_ms(ctl->ring) + (uint64_t)ms;
	ctl->trace_run = trace_start(ctl->relay->trace, agent, number, (uint64_t)lines);
	ctl->trace_timer.fire = trace_look_fired;
	ring_timer_set(ctl->ring, &ctl->trace_timer, 0);
	c->caller->follows_trace = true;
	control_event(ctl, "trace",
		      json_pack("{s:s, s:s, s:I, s:I}", "who", c->caller->who, "what",
				agent ? agent : session, "for_ms", ms, "lines", lines));
	log_notice("trace",
		   "of %s by %s: for %" JSON_INTEGER_FORMAT " ms, at most %" JSON_INTEGER_FORMAT
		   " lines",
		   agent ? agent : session, c->caller->who, ms, lines);
	call_answer(c, json_pack("{s:I, s:I}", "for_ms", ms, "lines", lines));
}

static const struct method_param trace_params[] = {
	{"agent", "string", false, "the agent: its link, its legs and its sessions"},
	{"session", "string", false, "or one session's number, as sessions shows it"},
	{"for_ms", "integer", false, "how long; 60000 when absent, at most an hour"},
	{"lines", "integer", false, "how many lines; 1000 when absent, at most 10000"},
	{.name = NULL},
};

const struct method methods_trace[] = {
	{.name = "trace",
	 .level = CALLER_ADMIN,
	 .run = trace_run,
	 .help = "tell what one agent or session does, for a while; to this caller and to the log",
	 .params = trace_params,
	 .result = "{for_ms, lines}; notifications \"trace\": {at, text}, and at the end {over: "
		   "\"time\" or \"lines\", lines, lost}"},
	{.name = NULL},
};
