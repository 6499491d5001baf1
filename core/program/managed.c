/* SPDX-License-Identifier: Apache-2.0 */
/* managed: the clock and the events of a configuration that consoles change. Apart from
 * core/engine/configuring.c, which is pure: this part has the ring. */
#include "core/program/managed.h"

#include <string.h>
#include <time.h>

#include "core/container.h"
#include "core/journal.h"

static void managed_trial_fired(struct timer *t, uint64_t now_ms)
{
	configuring_trial_over(&container(t, struct managed, trial)->configuring);
}

void managed_init(struct managed *m, struct ring *ring, struct calls *calls, struct records *events)
{
	*m = (struct managed){.ring = ring, .calls = calls, .events = events};
	m->trial.fire = managed_trial_fired;
}

/* In the journal such an event stands for the line of the log, which has this level. */
static enum log_level level_of(const char *kind)
{
	static const char *const warnings[] = {"session.refused", "revocation.lapsed",
					       "revocation.restored"};

	for (size_t i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++)
		if (strcmp(kind, warnings[i]) == 0)
			return LOG_LEVEL_WARNING;
	return LOG_LEVEL_NOTICE;
}

static bool managed_told(struct managed *m, const char *kind, json_t *data)
{
	struct timespec now;
	bool told;

	clock_gettime(CLOCK_REALTIME, &now);
	told = data && records_tell_event(m->events, m->calls, kind, data, now);
	if (told)
		journal_record(level_of(kind), data);
	json_decref(data);
	return told;
}

void managed_event(struct managed *m, const char *kind, json_t *data)
{
	m->lost += !managed_told(m, kind, data);
}

void managed_tell_lost(struct managed *m, uint64_t beside)
{
	m->lost += beside;
	if (m->lost > 0 &&
	    managed_told(m, "records.dropped", json_pack("{s:I}", "count", (json_int_t)m->lost)))
		m->lost = 0;
}

void managed_set_trial(struct configuring *c, uint64_t after_ms)
{
	struct managed *m = container(c, struct managed, configuring);

	if (after_ms > 0)
		ring_timer_set(m->ring, &m->trial, after_ms);
	else
		ring_timer_cancel(m->ring, &m->trial);
}

void managed_tell(struct configuring *c, const char *kind, json_t *data)
{
	managed_event(container(c, struct managed, configuring), kind, data);
}

struct configuring_now managed_now(const struct configuring *c)
{
	const struct managed *m = container(c, struct managed, configuring);

	return (struct configuring_now){ring_now_ms(m->ring), time(NULL)};
}
