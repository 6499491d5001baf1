/* SPDX-License-Identifier: Apache-2.0 */
/* agent: the rooms of one running agent, connected; its beginning and its end. */
#include "agent/agent.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/engine/link_state.h"
#include "agent/session/prove.h"
#include "agent/session/publish.h"
#include "core/container.h"
#include "core/log.h"
#include "core/notify.h"

/* ---- what rooms tell each other ---- */

static struct agent *of_links(struct agent_links *set)
{
	return container(set, struct agent, links);
}

/* For "systemctl status". */
static void agent_tell_status(const struct agent_links *set)
{
	char up[300] = "", down[300] = "";
	size_t n = 0, m = 0;

	for (size_t i = 0; i < set->count; i++) {
		const struct agent_link *l = set->list[i];

		if (link_state_live(&l->state) && n < sizeof(up))
			n += (size_t)snprintf(up + n, sizeof(up) - n, "%s%s", n ? ", " : "",
					      l->label);
		else if (m < sizeof(down))
			m += (size_t)snprintf(down + m, sizeof(down) - m, "%s%s%s%s", m ? "; " : "",
					      l->label, l->state.why[0] ? ": " : "", l->state.why);
	}
	notify_status("%s%s%s%s%s", n ? "connected to " : "", up, n && m ? "; " : "",
		      m ? "not connected to " : "", down);
}

static void agent_link_is_up(struct agent_link *l)
{
	agent_tell_status(l->set);
	agent_control_link_up(of_links(l->set)->control, l);
}

static void agent_link_is_down(struct agent_link *l, enum reason reason, const char *why)
{
	agent_tell_status(l->set);
	agent_control_link_down(of_links(l->set)->control, l, reason, why);
	agent_sessions_cut_off(&of_links(l->set)->sessions, l, reason, why);
}

static void agent_link_offers(struct agent_link *l, const struct wire_message *offer)
{
	publish_offer(&of_links(l->set)->sessions, l, offer);
}

static void agent_link_is_silent(struct agent_link *l)
{
	agent_sessions_silent(&of_links(l->set)->sessions, l);
}

static void agent_links_changed(struct agent_links *set)
{
	agent_tell_status(set);
	agent_sessions_wake(&of_links(set)->sessions);
}

static void agent_links_told(struct agent_links *set)
{
	agent_sessions_judge_soon(&of_links(set)->sessions);
}

static void agent_link_proves(struct agent_link *l, const struct wire_message *prove)
{
	prove_heard(&of_links(l->set)->sessions, l, prove);
}

static void agent_link_ends_session(struct agent_link *l, const struct wire_message *ended)
{
	agent_session_told(&of_links(l->set)->sessions, l, ended);
}

static void agent_links_learned_key(struct agent_links *set)
{
	agent_control_keep_tag_keys(container(set, struct agent, links)->control);
}

static void agent_links_signed(struct agent_links *set, const struct agent_link *l,
			       const struct signed_told *changes)
{
	struct agent_control *ctl = of_links(set)->control;

	agent_control_keep_revocations(ctl);
	agent_control_signed(ctl, l, changes);
}

static const struct agent_links_events links_events = {
	.up = agent_link_is_up,
	.down = agent_link_is_down,
	.offer = agent_link_offers,
	.silent = agent_link_is_silent,
	.changed = agent_links_changed,
	.learned = agent_links_learned_key,
	.proves = agent_link_proves,
	.ended = agent_link_ends_session,
	.revoked = agent_links_told,
	.signed_changed = agent_links_signed,
};

static struct agent_control *control_of(const struct agent_sessions *all)
{
	return container(all, struct agent, sessions)->control;
}

static void agent_session_is_open(const struct agent_session *s)
{
	agent_control_session_opened(control_of(s->all), s);
}

static void agent_session_is_closed(const struct agent_session *s)
{
	agent_control_session_closed(control_of(s->all), s);
}

static void agent_session_is_refused(const struct agent_sessions *all,
				     const struct agent_refusal *r)
{
	agent_control_session_refused(control_of(all), r);
}

static void agent_own_candidates(const struct agent_sessions *all, struct candidates *out)
{
	agent_control_candidates(control_of(all), out);
}

static int agent_console_comes(struct agent_sessions *all, struct credential *credential,
			       const char *relay)
{
	return agent_control_attach(control_of(all), credential, relay);
}

static const struct agent_sessions_events sessions_events = {
	.opened = agent_session_is_open,
	.closed = agent_session_is_closed,
	.refused = agent_session_is_refused,
	.candidates = agent_own_candidates,
	.console = agent_console_comes,
};

/* ---- the beginning ---- */

bool agent_open(struct agent *a, const struct agent_config *config, int engine, bool transient,
		char *why, size_t why_size)
{
	size_t small = agent_sessions_buffers(config->max_sessions);

	*a = (struct agent){.setup = {.config = config, .transient = transient}};
	a->sessions = (struct agent_sessions){.worker = &a->worker,
					      .setup = &a->setup,
					      .links = &a->links,
					      .events = &sessions_events};
	why[0] = '\0';
	if (!agent_self_make(config, transient, &a->setup.self, why, why_size) ||
	    !agent_worker_open(&a->worker, engine, small, why, why_size))
		goto fail;
	if (!agent_links_open(&a->links, &a->worker, &a->setup, &links_events)) {
		snprintf(why, why_size, "out of memory");
		goto fail;
	}
	log_info("agent", "limits sessions=%" PRIu64 " buffers_mib=%zu", config->max_sessions,
		 (small * AGENT_SMALL_BYTES + AGENT_BLOCKS_MAX * (size_t)AGENT_BLOCK_BYTES) >> 20);
	return true;
fail:
	agent_close(a);
	return false;
}

bool agent_open_rest(struct agent *a, const struct configuring_start *start, const char *path,
		     struct agent_state *state, const struct agent_overrides *overrides, char *why,
		     size_t why_size)
{
	const struct agent_config *config = a->setup.config;
	struct agent_rooms rooms = {.worker = &a->worker,
				    .setup = &a->setup,
				    .links = &a->links,
				    .sessions = &a->sessions};

	snprintf(why, why_size, "out of memory");
	a->entrances = rooms.entrances = entrances_new(&a->sessions);
	if (!a->entrances || !entrances_prepare(a->entrances, config, true, why, why_size))
		return false;
	a->control = agent_control_new(&rooms, start, path, state, overrides, why, why_size);
	return a->control != NULL;
}

bool agent_check(const struct agent_config *config, char *why, size_t why_size)
{
	struct agent_self self;
	bool ok = agent_self_make(config, false, &self, why, why_size);

	agent_self_free(&self);
	return ok;
}

void agent_start(struct agent *a)
{
	if (a->entrances)
		entrances_adopt(a->entrances, a->setup.config);
	if (a->control)
		agent_control_start(a->control);
	agent_links_start(&a->links);
}

/* ---- the end ---- */

void agent_stop(struct agent *a)
{
	if (a->worker.stopping)
		return;
	agent_worker_stop(&a->worker);
	if (a->on_stop)
		a->on_stop(a);
	entrances_close(a->entrances);
	agent_control_stop(a->control);
	agent_sessions_stop(&a->sessions, "this agent is shutting down");
	agent_links_stop(&a->links);
}

void agent_close(struct agent *a)
{
	if (!agent_worker_idle(&a->worker))
		return;
	agent_control_free(a->control);
	entrances_free(a->entrances);
	agent_links_free(&a->links);
	agent_worker_close(&a->worker);
	agent_self_free(&a->setup.self);
	*a = (struct agent){0};
}

/* ---- the rest ---- */

void agent_log_status(const struct agent *a)
{
	const struct agent_sessions *all = &a->sessions;
	const struct buffers *large = &a->worker.large, *small = &a->worker.small;
	size_t up = 0, warm = 0, legs = 0;

	for (size_t i = 0; i < a->links.count; i++) {
		const struct agent_link *l = a->links.list[i];

		up += link_state_usable(&l->state);
		warm += l->legs.count[LEG_WARM];
		for (size_t k = 0; k < LEG_STATES; k++)
			legs += l->legs.count[k];
		log_info("status", "relay=%s link=%s warm_legs=%zu", l->label,
			 link_phase_name(l->state.phase), l->legs.count[LEG_WARM]);
	}
	log_notice("status",
		   "links_up=%zu links=%zu legs=%zu warm_legs=%zu sessions=%zu "
		   "sessions_total=%" PRIu64 " failed_total=%" PRIu64 " up_bytes=%" PRIu64
		   " down_bytes=%" PRIu64 " blocks=%zu",
		   up, a->links.count, legs, warm, all->count, all->totals.sessions,
		   all->totals.failed, all->totals.up_bytes, all->totals.down_bytes,
		   large->made - large->free_count + small->made - small->free_count);
}
