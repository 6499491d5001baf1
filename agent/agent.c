/* SPDX-License-Identifier: Apache-2.0 */
/* agent: what every part of one running agent shares, its beginning and its end. */
#include "agent/agent.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/channel.h"
#include "agent/link.h"
#include "agent/session.h"
#include "core/log.h"

#define TRIM_MS	   10000u
#define KEEP_LARGE 8u
#define KEEP_SMALL 64u

#define container(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static void stop_fired(struct timer *t, uint64_t now_ms);

/* ---- the beginning ---- */

static bool check_name(const struct agent *a, char *why, size_t why_size)
{
	struct identity_peer self;

	if (!identity_self(a->identity, &self) || self.role != IDENTITY_AGENT) {
		snprintf(why, why_size,
			 "identity.certificate: is not an agent's; issue one with 'postern pki "
			 "issue'");
		return false;
	}
	if (strcmp(self.name, a->config->name) != 0) {
		snprintf(why, why_size,
			 "identity.certificate: is that of agent \"%s\", but name is \"%s\"; make "
			 "them equal",
			 self.name, a->config->name);
		return false;
	}
	if (identity_not_after(a->identity) < time(NULL)) {
		snprintf(why, why_size, "identity.certificate: %s",
			 reason_sentence(REASON_CERT_EXPIRED));
		return false;
	}
	return true;
}

static bool open_identity(struct agent *a, char *why, size_t why_size)
{
	const struct agent_config *c = a->config;

	a->identity = identity_new(c->identity.ca, c->identity.certificate, c->identity.key, why,
				   why_size);
	if (!a->identity || !check_name(a, why, why_size))
		return false;
	a->dial_context = identity_dial_context(a->identity);
	a->inner_client = identity_inner_context(a->identity, false);
	a->inner_server = identity_inner_context(a->identity, true);
	if (a->dial_context && a->inner_client && a->inner_server)
		return true;
	snprintf(why, why_size, "identity: out of memory");
	return false;
}

static bool open_ring(struct agent *a, int engine, char *why, size_t why_size)
{
	const struct ring_options options = {.engine = (enum ring_engine)engine};
	int error = ring_open(&a->ring, &options, why, why_size);

	if (error) {
		if (why[0] == '\0')
			snprintf(why, why_size, "the event ring cannot be opened: %s",
				 strerror(-error));
		return false;
	}
	if (why[0])
		log_warning("ring", "%s", why);
	log_info("ring", "engine=%s", ring_engine_name(ring_engine(a->ring)));
	why[0] = '\0';
	return true;
}

static void trim_fired(struct timer *t, uint64_t now_ms)
{
	struct agent *a = container(t, struct agent, trimmer);

	buffers_trim(&a->large, KEEP_LARGE);
	buffers_trim(&a->small, KEEP_SMALL);
	ring_timer_set(a->ring, t, TRIM_MS);
}

static bool open_memory(struct agent *a, char *why, size_t why_size)
{
	/* One for each direction, and for each session that is just beginning. */
	size_t small = (size_t)a->config->max_sessions * 2 + 1;

	a->scratch = malloc(CHANNEL_SCRATCH_BYTES);
	if (!a->scratch || buffers_init(&a->large, AGENT_BLOCK_BYTES, AGENT_BLOCKS_MAX) < 0 ||
	    buffers_init(&a->small, AGENT_SMALL_BYTES, small) < 0 ||
	    resolver_open(&a->resolver, a->ring) < 0) {
		snprintf(why, why_size, "out of memory");
		return false;
	}
	a->trimmer.fire = trim_fired;
	ring_timer_set(a->ring, &a->trimmer, TRIM_MS);
	log_info("agent", "limits sessions=%" PRIu64 " buffers_mib=%zu", a->config->max_sessions,
		 (small * AGENT_SMALL_BYTES + AGENT_BLOCKS_MAX * (size_t)AGENT_BLOCK_BYTES) >> 20);
	return true;
}

static bool make_links(struct agent *a, char *why, size_t why_size)
{
	const struct agent_relay *relays = a->config->relays.items;

	a->links = calloc(a->config->relays.count, sizeof(struct agent_link *));
	while (a->links && a->link_count < a->config->relays.count) {
		a->links[a->link_count] = agent_link_new(a, &relays[a->link_count]);
		if (!a->links[a->link_count])
			break;
		a->link_count++;
	}
	if (a->link_count == a->config->relays.count)
		return true;
	snprintf(why, why_size, "out of memory");
	return false;
}

bool agent_open(struct agent *a, const struct agent_config *config, int engine, bool transient,
		char *why, size_t why_size)
{
	*a = (struct agent){.config = config, .transient = transient};
	a->stop_timer.fire = stop_fired;
	why[0] = '\0';
	signal(SIGPIPE, SIG_IGN);
	if (open_identity(a, why, why_size) &&
	    http_proxy_init(&a->proxy, config->proxy, why, why_size) &&
	    open_ring(a, engine, why, why_size) && open_memory(a, why, why_size) &&
	    make_links(a, why, why_size))
		return true;
	agent_close(a);
	return false;
}

bool agent_check(const struct agent_config *config, char *why, size_t why_size)
{
	struct agent a = {.config = config};
	bool ok = open_identity(&a, why, why_size) &&
		  http_proxy_init(&a.proxy, config->proxy, why, why_size);

	agent_close(&a);
	return ok;
}

void agent_start(struct agent *a)
{
	for (size_t i = 0; i < a->link_count; i++)
		agent_link_start(a->links[i]);
}

/* ---- the end ---- */

static void maybe_stopped(struct agent *a)
{
	if (!a->stopping || a->held > 0)
		return;
	resolver_close(&a->resolver);
	if (resolver_idle(&a->resolver))
		ring_stop(a->ring);
	else
		ring_timer_set(a->ring, &a->stop_timer, 1);
}

static void stop_fired(struct timer *t, uint64_t now_ms)
{
	struct agent *a = container(t, struct agent, stop_timer);

	if (a->held == 0)
		maybe_stopped(a);
	else
		ring_stop(a->ring); /* what has not left by now never will */
}

void agent_drop(struct agent *a)
{
	a->held--;
	/* Not from inside whatever has just ended. */
	if (a->stopping && a->held == 0)
		ring_timer_set(a->ring, &a->stop_timer, 0);
}

void agent_stop(struct agent *a)
{
	struct agent_session *next;

	if (a->stopping)
		return;
	a->stopping = true;
	ring_timer_set(a->ring, &a->stop_timer, a->held ? AGENT_STOP_MS : 0);
	ring_timer_cancel(a->ring, &a->trimmer);
	if (a->on_stop)
		a->on_stop(a);
	for (struct agent_session *s = a->sessions; s; s = next) {
		next = s->next;
		s->stop(s);
	}
	for (size_t i = 0; i < a->link_count; i++)
		agent_link_stop(a->links[i]);
}

void agent_close(struct agent *a)
{
	if (a->held > 0)
		return; /* operations in flight own their memory; the process ends */
	for (size_t i = 0; i < a->link_count; i++)
		agent_link_free(a->links[i]);
	free(a->links);
	resolver_close(&a->resolver);
	buffers_free(&a->large);
	buffers_free(&a->small);
	free(a->scratch);
	if (a->ring)
		ring_close(a->ring);
	SSL_CTX_free(a->dial_context);
	SSL_CTX_free(a->inner_client);
	SSL_CTX_free(a->inner_server);
	identity_free(a->identity);
	*a = (struct agent){0};
}

/* ---- links, as requests see them ---- */

struct agent_link *agent_next_link(struct agent *a, size_t *at)
{
	while (*at < a->link_count) {
		struct agent_link *l = a->links[(*at)++];

		if (link_state_usable(&l->state))
			return l;
	}
	return NULL;
}

void agent_link_usable(struct agent *a)
{
	struct agent_session *next;

	for (struct agent_session *s = a->sessions; s; s = next) {
		next = s->next;
		if (s->wake)
			s->wake(s);
	}
}

void agent_describe_links(const struct agent *a, char *out, size_t room)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < a->link_count && n < room; i++) {
		const struct agent_link *l = a->links[i];
		int more =
			snprintf(out + n, room - n, "%srelay %s: %s", i ? "; " : "", l->label,
				 l->state.why[0] ? l->state.why : link_phase_name(l->state.phase));

		if (more > 0)
			n += (size_t)more;
	}
}

void agent_log_status(const struct agent *a)
{
	size_t up = 0, warm = 0, legs = 0;

	for (size_t i = 0; i < a->link_count; i++) {
		const struct leg_pool *p = &a->links[i]->legs;

		up += link_state_usable(&a->links[i]->state);
		warm += p->count[LEG_WARM];
		for (size_t k = 0; k < LEG_STATES; k++)
			legs += p->count[k];
		log_info("status", "relay=%s link=%s warm_legs=%zu", a->links[i]->label,
			 link_phase_name(a->links[i]->state.phase), p->count[LEG_WARM]);
	}
	log_notice(
		"status",
		"links_up=%zu links=%zu legs=%zu warm_legs=%zu sessions=%zu sessions_total=%" PRIu64
		" failed_total=%" PRIu64 " up_bytes=%" PRIu64 " down_bytes=%" PRIu64 " blocks=%zu",
		up, a->link_count, legs, warm, a->session_count, a->totals.sessions,
		a->totals.failed, a->totals.up_bytes, a->totals.down_bytes,
		a->large.made - a->large.free_count + a->small.made - a->small.free_count);
}
