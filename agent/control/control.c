/* SPDX-License-Identifier: Apache-2.0 */
/* control: consoles that come and go, their lines, and what they are told by itself. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/control/control_internal.h"
#include "core/container.h"
#include "core/program/expiring.h"

static const struct method *const tables[] = {agent_methods,	     agent_events_methods,
					      agent_renewal_methods, methods_of_config,
					      methods_schema,	     NULL};

/* ---- consoles ---- */

enum caller_level agent_control_level(const struct agent_config *config)
{
	return config->console == AGENT_CONSOLES_ADMIN ? CALLER_ADMIN : CALLER_READ;
}

static void agent_console_ended(struct line_caller *line)
{
	struct agent_console *c = container(line, struct agent_console, line);
	struct agent_control *ctl = c->control;

	credential_release(c->line.caller.credential);
	free(c);
	agent_worker_drop(ctl->rooms.worker);
}

static struct agent_console *console_new(struct agent_control *ctl, struct credential *credential,
					 const char *relay)
{
	struct agent_console *c = calloc(1, sizeof(*c));
	struct caller *caller;

	if (!c)
		return NULL;
	c->control = ctl;
	c->line.ended = agent_console_ended;
	caller = &c->line.caller;
	caller->level = agent_control_level(ctl->rooms.setup->config);
	snprintf(caller->who, sizeof(caller->who), "console:%s", credential->peer.name);
	caller->credential = credential_hold(credential);
	snprintf(c->relay, sizeof(c->relay), "%s", relay);
	return c;
}

/* #syscalls socketpair(0 is AF_UNIX) */
int agent_control_attach(struct agent_control *ctl, struct credential *console, const char *relay)
{
	struct agent_console *c;
	int pair[2];

	if (!ctl || ctl->stopping ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	c = console_new(ctl, console, relay);
	if (!c) {
		close(pair[0]);
		close(pair[1]);
		return -1;
	}
	agent_worker_hold(ctl->rooms.worker);
	line_caller_start(&c->line, ctl->ring, &ctl->calls, pair[0], JSONRPC_LINE_MAX);
	return pair[1];
}

/* The session of a console that may not go on is ended, too; lines that have come by it are refused
 * here. */
static const char *agent_control_refuses(const struct calls *cs, const struct caller *caller)
{
	const struct agent_control *ctl = container(cs, const struct agent_control, calls);
	enum reason reason = agent_control_judge(ctl, ctl->rooms.setup->self.identity, caller);

	return reason == REASON_OK ? NULL : reason_sentence(reason);
}

/* ---- the NAT helper ---- */

static void agent_nat_changed(struct nat_follow *n)
{
	agent_control_event(container(n, struct agent_control, nat), "nat.changed", "o",
			    nat_view_summary(&n->view));
}

static void agent_nat_ended(struct nat_follow *n)
{
	agent_worker_drop(container(n, struct agent_control, nat)->rooms.worker);
}

/* ---- our own certificate ---- */

static void agent_expiry_fired(struct timer *t, uint64_t now_ms)
{
	struct agent_control *ctl = container(t, struct agent_control, expiry_timer);
	const struct agent_setup *setup = ctl->rooms.setup;
	struct expiry_validity v = identity_validity(setup->self.identity);
	json_t *expiring;

	ring_timer_set(ctl->ring, t, EXPIRY_LOOK_MS);
	expiring =
		expiring_look(&ctl->expiry, &v, "agent",
			      ctl->state ? "type 'postern agent renew %s DIR' where its CA is, "
					   "DIR: a key is made here, and the agent goes on without "
					   "a restart"
					 : "issue a new one with 'postern pki issue DIR agent %s', "
					   "and apply it or send SIGHUP",
			      setup->config->name);
	if (expiring)
		agent_control_event(ctl, "certificate.expiring", "o", expiring);
}

/* ---- life ---- */

static void agent_keep_revocations_fired(struct timer *t, uint64_t now_ms);
static void agent_keep_tag_keys_fired(struct timer *t, uint64_t now_ms);

struct agent_control *agent_control_new(const struct agent_rooms *rooms,
					const struct configuring_start *start, const char *path,
					struct agent_state *state,
					const struct agent_overrides *overrides, char *why,
					size_t why_size)
{
	const char *socket = rooms->setup->config->nat.socket;
	struct agent_control *ctl = calloc(1, sizeof(*ctl));
	int error;

	snprintf(why, why_size, "out of memory");
	if (!ctl)
		return NULL;
	ctl->rooms = *rooms;
	ctl->ring = rooms->worker->ring;
	ctl->calls = (struct calls){.tables = tables,
				    .owner = ctl,
				    .admin_remedy = "this agent's own file says so (console: read)",
				    .refuses = agent_control_refuses,
				    .configuring = &ctl->managed.configuring};
	ctl->overrides = *overrides;
	ctl->path = path;
	ctl->state = state;
	ctl->expiry_timer.fire = agent_expiry_fired;
	ctl->keep_revocations.fire = agent_keep_revocations_fired;
	ctl->keep_tag_keys.fire = agent_keep_tag_keys_fired;
	ctl->expiry = (struct expiry)EXPIRY_UNTOLD;
	ctl->nat = (struct nat_follow){
		.program = "agent", .changed = agent_nat_changed, .ended = agent_nat_ended};
	managed_init(&ctl->managed, ctl->ring, &ctl->calls, &ctl->events);
	if (!agent_control_configure(ctl, start)) {
		free(ctl);
		return NULL;
	}
	error = nat_follow_open(&ctl->nat, socket);
	if (error) {
		snprintf(why, why_size, "nat.socket: %s cannot be followed: %s", socket,
			 strerror(-error));
		configuring_close(&ctl->managed.configuring);
		free(ctl);
		return NULL;
	}
	ring_timer_set(ctl->ring, &ctl->expiry_timer, 0);
	return ctl;
}

static void keep_later(struct agent_control *ctl, struct timer *t, uint64_t wait_ms)
{
	if (ctl->state && !ctl->stopping && !timer_pending(t))
		ring_timer_set(ctl->ring, t, wait_ms);
}

/* ---- tag keys ---- */

static void add_tag_key(void *keys, const char *label, const uint8_t key[CONF_TAG_KEY_BYTES])
{
	char text[2 * CONF_TAG_KEY_BYTES + 1];

	for (size_t i = 0; i < CONF_TAG_KEY_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", key[i]);
	json_object_set_new(keys, label, json_string(text));
}

static void keep_tag_keys_now(struct agent_control *ctl)
{
	json_t *keys = json_object();
	int error;

	agent_links_each_learned(ctl->rooms.links, add_tag_key, keys);
	error = keys ? state_save_tag_keys(ctl->state, keys) : -ENOMEM;
	json_decref(keys);
	ctl->tag_keys_kept_ms = ring_now_ms(ctl->ring);
	if (error == 0)
		return;
	log_warning("agent",
		    "a new tag key could not be kept (state_dir): %s; it counts until this agent "
		    "ends, and is tried again",
		    strerror(-error));
	keep_later(ctl, &ctl->keep_tag_keys, KEEP_AGAIN_MS);
}

static void agent_keep_tag_keys_fired(struct timer *t, uint64_t now_ms)
{
	keep_tag_keys_now(container(t, struct agent_control, keep_tag_keys));
}

void agent_control_keep_tag_keys(struct agent_control *ctl)
{
	uint64_t wait_ms = KEEP_MS, since_ms;

	if (!ctl)
		return;
	since_ms = ring_now_ms(ctl->ring) - ctl->tag_keys_kept_ms;
	if (ctl->tag_keys_kept_ms && since_ms < KEEP_AGAIN_MS - KEEP_MS)
		wait_ms = KEEP_AGAIN_MS - since_ms;
	keep_later(ctl, &ctl->keep_tag_keys, wait_ms);
}

static void recall_tag_keys(struct agent_control *ctl)
{
	json_t *keys = ctl->state ? state_load_tag_keys(ctl->state) : NULL, *value;
	struct conf_tag_keys one;
	const char *label;

	json_object_foreach(keys, label,
			    value) if (json_is_string(value) &&
				       conf_tag_keys_parse(json_string_value(value), &one))
		agent_links_recall(ctl->rooms.links, label, one.keys[0]);
	json_decref(keys);
}

/* ---- signed revocations ---- */

static void keep_revocations_now(struct agent_control *ctl)
{
	json_t *kept = signed_revocations_keep(&ctl->rooms.links->signed_revocations);
	int error = kept ? state_save_revocations(ctl->state, kept) : -ENOMEM;

	json_decref(kept);
	if (error == 0)
		return;
	log_error("agent",
		  "signed revocations could not be kept (state_dir): %s; they count until this "
		  "agent ends, and are tried again",
		  strerror(-error));
	keep_later(ctl, &ctl->keep_revocations, KEEP_AGAIN_MS);
}

static void agent_keep_revocations_fired(struct timer *t, uint64_t now_ms)
{
	keep_revocations_now(container(t, struct agent_control, keep_revocations));
}

void agent_control_keep_revocations(struct agent_control *ctl)
{
	if (ctl)
		keep_later(ctl, &ctl->keep_revocations, KEEP_MS);
}

static void recall_revocations(struct agent_control *ctl)
{
	json_t *kept = ctl->state ? state_load_revocations(ctl->state) : NULL;

	if (json_is_null(kept))
		log_error("agent", "the signed revocations in state_dir are damaged; they count "
				   "again when a relay has told them");
	agent_links_recall_signed(ctl->rooms.links, kept);
	json_decref(kept);
}

void agent_control_start(struct agent_control *ctl)
{
	recall_tag_keys(ctl);
	recall_revocations(ctl);
	if (nat_follow_start(&ctl->nat, ctl->ring))
		agent_worker_hold(ctl->rooms.worker);
}

void agent_control_stop(struct agent_control *ctl)
{
	if (!ctl)
		return;
	ctl->stopping = true;
	ring_timer_cancel(ctl->ring, &ctl->managed.trial);
	ring_timer_cancel(ctl->ring, &ctl->expiry_timer);
	if (timer_pending(&ctl->keep_revocations)) {
		ring_timer_cancel(ctl->ring, &ctl->keep_revocations);
		keep_revocations_now(ctl);
	}
	if (timer_pending(&ctl->keep_tag_keys)) {
		ring_timer_cancel(ctl->ring, &ctl->keep_tag_keys);
		keep_tag_keys_now(ctl);
	}
	for (struct caller *c = ctl->calls.callers; c; c = c->next)
		line_caller_close(container(c, struct line_caller, caller));
	nat_follow_stop(&ctl->nat);
}

void agent_control_free(struct agent_control *ctl)
{
	if (!ctl)
		return;
	records_free(&ctl->events);
	configuring_close(&ctl->managed.configuring);
	agent_renewal_free(ctl);
	state_close(ctl->state);
	if (ctl->config) {
		agent_config_free(ctl->config);
		free(ctl->config);
	}
	free(ctl);
}

void agent_control_candidates(const struct agent_control *ctl, struct candidates *out)
{
	const struct agent_links *links;

	out->count = 0;
	if (!ctl || !ctl->rooms.setup->config->nat.share)
		return;
	candidates_of(&ctl->nat.view, out);
	links = ctl->rooms.links;
	for (size_t i = 0; i < links->count; i++) {
		const struct addr *seen = reflexive_fresh(links->list[i]->reflexive);

		if (seen)
			candidates_add_reflexive(out, seen);
	}
}
