/* SPDX-License-Identifier: Apache-2.0 */
/* methods_act: drain, kick, log level: what ends things, or changes nothing but how much is told.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/container.h"
#include "core/log.h"
#include "core/notify.h"
#include "relay/front/conn.h"
#include "relay/control/control_internal.h"
#include "relay/session/link.h"
#include "relay/session/session.h"

#define LOOK_MS	      50u
#define LAST_WORDS_MS 100u /* for what links and legs are told to leave the host */

static json_t *who_did(const struct call *c)
{
	return json_pack("{s:s}", "who", c->caller->who);
}

/* ---- drain: the relay takes no new work, and perhaps leaves ---- */

static void drain_over(struct relay_control *ctl)
{
	if (ctl->leaves_when_empty)
		ring_stop(ctl->ring);
}

/* What still runs or waits ends now, on record, before the program does. */
static void drain_cut(struct relay_control *ctl)
{
	struct relay *r = ctl->relay;

	for (unsigned i = 0; i < r->worker_count; i++)
		sessions_end(&r->workers[i]);
	ctl->drained = true;
	ring_timer_set(ctl->ring, &ctl->drain_timer, LAST_WORDS_MS);
}

static void drain_look(struct timer *t, uint64_t now_ms)
{
	struct relay_control *ctl = container(t, struct relay_control, drain_timer);
	const struct relay_totals totals = relay_totals(ctl->relay);

	if (ctl->drained) {
		drain_over(ctl);
	} else if (totals.sessions > 0 && now_ms < ctl->drain_due_ms) {
		ring_timer_set(ctl->ring, t, LOOK_MS);
	} else if (ctl->leaves_when_empty && (totals.sessions > 0 || totals.tables.meetings > 0)) {
		if (totals.sessions > 0)
			log_notice("relay", "draining: time is up, %llu sessions are ended",
				   (unsigned long long)totals.sessions);
		drain_cut(ctl);
	} else {
		drain_over(ctl);
	}
}

void control_drain(struct relay_control *ctl, uint64_t deadline_ms, bool leave_when_empty)
{
	struct relay *r = ctl->relay;

	r->draining = true;
	/* Its listeners are gone: nothing takes that back, another drain neither. */
	ctl->leaves_when_empty |= leave_when_empty;
	ctl->drain_due_ms = ring_now_ms(ctl->ring) + deadline_ms;
	if (ctl->leaves_when_empty)
		notify_stopping();
	log_notice("relay", "draining: new work is refused, %llu sessions may finish within %llu s",
		   (unsigned long long)relay_totals(r).sessions,
		   (unsigned long long)(deadline_ms / 1000));
	for (unsigned i = 0; i < r->worker_count; i++)
		worker_drain(&r->workers[i], ctl->leaves_when_empty);
	ctl->drain_timer.fire = drain_look;
	ring_timer_set(ctl->ring, &ctl->drain_timer, LAST_WORDS_MS);
}

bool control_undrain(struct relay_control *ctl, char *why, size_t why_size)
{
	if (!ctl->relay->draining)
		return true;
	if (ctl->leaves_when_empty) {
		snprintf(why, why_size, "the relay is about to exit, which cannot be taken back");
		return false;
	}
	ring_timer_cancel(ctl->ring, &ctl->drain_timer);
	ctl->relay->draining = false;
	if (!change_switch(ctl, ctl->current, why, why_size)) {
		ctl->relay->draining = true;
		return false;
	}
	log_notice("relay", "taking new work again");
	return true;
}

static void act_drain_run(struct call *c)
{
	struct relay_control *ctl = c->owner;
	json_t *deadline = json_object_get(c->params, "deadline_ms");
	bool leave = json_is_true(json_object_get(c->params, "exit"));
	json_int_t ms =
		deadline ? json_integer_value(deadline) : (json_int_t)ctl->current->config.drain_ms;

	if (ms < 0) {
		call_fail(c, JSONRPC_INVALID_PARAMS, NULL, "deadline_ms is not negative");
		return;
	}
	control_event(ctl, "drain", who_did(c));
	control_drain(ctl, (uint64_t)ms, leave);
	call_answer(c, json_pack("{s:b, s:I}", "draining", 1, "sessions",
				 (json_int_t)relay_totals(ctl->relay).sessions));
}

static void act_undrain_run(struct call *c)
{
	char why[256];

	if (!control_undrain(control_of(c), why, sizeof why)) {
		call_fail(c, JSONRPC_INTERNAL_ERROR, NULL, "%s", why);
		return;
	}
	control_event(control_of(c), "undrain", who_did(c));
	call_answer(c, json_pack("{s:b}", "draining", 0));
}

/* ---- kick ---- */

static bool session_named(const struct session *s, const char *number, const char *agent)
{
	char text[20];

	if (agent && session_is_of(s, agent))
		return true;
	snprintf(text, sizeof text, "%016" PRIx64, s->number);
	return number && strcmp(text, number) == 0;
}

/* Runs on the worker's thread: what it ends it also lists. */
static void kick_collect(struct worker *w, json_t *list, json_t *params)
{
	const char *number = json_string_value(json_object_get(params, "session"));
	const char *agent = json_string_value(json_object_get(params, "agent"));
	const struct slab *table = &w->sessions->table;

	for (uint32_t i = 0; i < table->high_water; i++) {
		struct session *s = slab_at(table, i);

		if (!s || s->ended || !session_named(s, number, agent))
			continue;
		json_array_append_new(list, json_sprintf("session %016" PRIx64, s->number));
		session_abort(s, ENDING_SELF, ENDING_KICKED, reason_sentence(REASON_KICKED));
	}
	for (uint32_t i = 0; agent && i < w->conns.high_water; i++) {
		struct conn *c = slab_at(&w->conns, i);
		const char *name = c ? link_agent(c) : NULL;

		if (!name || strcmp(name, agent) != 0)
			continue;
		json_array_append_new(list, json_sprintf("link of %s", agent));
		conn_refuse(c, REASON_KICKED);
	}
}

/* Whether one of them is named, and could be there: an event keeps what it is, and so must be
 * small. */
static bool kick_names(const char *session, const char *agent)
{
	if (session && !agent)
		return strlen(session) == 16 && strspn(session, "0123456789abcdef") == 16;
	return agent && !session && wire_is_agent_name(agent);
}

static void act_kick_run(struct call *c)
{
	if (!kick_names(json_string_value(json_object_get(c->params, "session")),
			json_string_value(json_object_get(c->params, "agent")))) {
		call_fail(c, JSONRPC_INVALID_PARAMS, NULL,
			  "kick wants an agent's name, or a session's number as sessions shows it");
		return;
	}
	control_event(control_of(c), "kick",
		      json_pack("{s:s, s:O}", "who", c->caller->who, "what", c->params));
	gather(c, "kicked", kick_collect);
}

/* ---- log level ---- */

static void act_log_level_run(struct call *c)
{
	const char *word = json_string_value(json_object_get(c->params, "level"));
	enum log_level level;

	if (!log_level_parse(word, &level)) {
		call_fail(c, JSONRPC_INVALID_PARAMS, NULL,
			  "\"%.32s\" is no level; use error, warning, notice, info or debug", word);
		return;
	}
	log_set_level(level);
	log_notice("control", "log level is %s by %s", word, c->caller->who);
	call_answer(c, json_pack("{s:s}", "level", word));
}

static const struct method_param drain_params[] = {
	{"deadline_ms", "integer", false, "sessions may run so long; as configured when absent"},
	{"exit", "boolean", false, "end the program when empty or at the deadline"},
	{.name = NULL},
};

static const struct method_param kick_params[] = {
	{"session", "string", false, "the session's number, as sessions shows it"},
	{"agent", "string", false, "the agent whose link and sessions end"},
	{.name = NULL},
};

static const struct method_param log_level_params[] = {
	{"level", "string", true, "error, warning, notice, info or debug"},
	{.name = NULL},
};

const struct method methods_act[] = {
	{.name = "drain",
	 .level = CALLER_ADMIN,
	 .run = act_drain_run,
	 .help = "take no new sessions and tell agents to move",
	 .params = drain_params,
	 .result = "{draining, sessions}"},
	{.name = "undrain",
	 .level = CALLER_ADMIN,
	 .run = act_undrain_run,
	 .help = "take new work again",
	 .result = "{draining}"},
	{.name = "kick",
	 .level = CALLER_ADMIN,
	 .run = act_kick_run,
	 .help = "end a session, or an agent's link and sessions, at once",
	 .params = kick_params,
	 .result = "{kicked: [what ended]}; empty when nothing was found"},
	{.name = "log.level",
	 .level = CALLER_ADMIN,
	 .run = act_log_level_run,
	 .help = "log more or less, until the next change or restart",
	 .params = log_level_params,
	 .result = "{level}"},
	{.name = NULL},
};
