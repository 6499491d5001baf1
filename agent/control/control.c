/* SPDX-License-Identifier: Apache-2.0 */
/* control: consoles that come and go, their lines, and the events they hear. */
#include "agent/control/control.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/control/control_internal.h"
#include "core/container.h"
#include "core/engine/records_calls.h"
#include "core/journal.h"

static const struct method *const tables[] = {agent_methods, methods_of_config, methods_schema,
					      NULL};

/* ---- consoles ---- */

static void console_ended(struct line_caller *line)
{
	struct console *c = container(line, struct console, line);
	struct agent_control *ctl = c->control;

	free(c);
	agent_drop(ctl->agent);
}

static struct console *console_new(struct agent_control *ctl, const char *name, const char *relay)
{
	struct console *c = calloc(1, sizeof(*c));
	struct caller *caller;

	if (!c)
		return NULL;
	c->control = ctl;
	c->line.ended = console_ended;
	caller = &c->line.caller;
	caller->level = CALLER_ADMIN;
	snprintf(caller->who, sizeof(caller->who), "console:%s", name);
	snprintf(caller->ca_name, sizeof(caller->ca_name), "%s", name);
	snprintf(c->relay, sizeof(c->relay), "%s", relay);
	return c;
}

int agent_control_attach(struct agent_control *ctl, const char *console, const char *relay)
{
	struct console *c;
	int pair[2];

	if (ctl->stopping ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	c = console_new(ctl, console, relay);
	if (!c) {
		close(pair[0]);
		close(pair[1]);
		return -1;
	}
	agent_hold(ctl->agent);
	line_caller_start(&c->line, ctl->agent->ring, &ctl->calls, pair[0], JSONRPC_LINE_MAX);
	return pair[1];
}

/* ---- events ---- */

void agent_event(struct agent *a, const char *kind, const char *format, ...)
{
	struct agent_control *ctl = a->control;
	struct timespec now;
	json_t *data;
	va_list args;

	if (!ctl)
		return;
	va_start(args, format);
	data = json_vpack_ex(NULL, 0, format, args);
	va_end(args);
	if (!data)
		data = json_object();
	clock_gettime(CLOCK_REALTIME, &now);
	records_tell_event(&ctl->events, &ctl->calls, kind, data, now);
	journal_record(LOG_LEVEL_NOTICE, data);
	json_decref(data);
}

/* ---- life ---- */

bool agent_control_open(struct agent *a, const json_t *document, struct state *state,
			const struct agent_overrides *overrides)
{
	struct agent_control *ctl = calloc(1, sizeof(*ctl));

	if (!ctl)
		return false;
	ctl->agent = a;
	ctl->calls = (struct calls){.tables = tables, .owner = ctl, .admin_remedy = ""};
	ctl->overrides = *overrides;
	ctl->trial.fire = agent_trial_over;
	ctl->expiry_timer.fire = agent_expiry_look;
	ctl->expiry = (struct expiry)EXPIRY_UNTOLD;
	ctl->changes = changes_new(agent_config_fields(), document, time(NULL));
	if (!ctl->changes) {
		free(ctl);
		return false;
	}
	ctl->calls.changes = ctl->changes;
	ctl->calls.config = &agent_config_ops;
	ctl->state = state;
	a->control = ctl;
	ring_timer_set(a->ring, &ctl->expiry_timer, 0);
	return true;
}

void agent_control_stop(struct agent_control *ctl)
{
	if (!ctl)
		return;
	ctl->stopping = true;
	ring_timer_cancel(ctl->agent->ring, &ctl->trial);
	ring_timer_cancel(ctl->agent->ring, &ctl->expiry_timer);
	for (struct caller *c = ctl->calls.callers; c; c = c->next)
		line_caller_close(container(c, struct line_caller, caller));
}

void agent_control_free(struct agent_control *ctl)
{
	if (!ctl)
		return;
	records_free(&ctl->events);
	changes_free(ctl->changes);
	state_close(ctl->state);
	if (ctl->config) {
		agent_config_free(ctl->config);
		free(ctl->config);
	}
	free(ctl);
}
