/* SPDX-License-Identifier: Apache-2.0 */
/* natd: networks, time, what the engine tells, and the end. */
#include "portmap/natd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "core/clock.h"
#include "core/container.h"
#include "core/log.h"
#include "portmap/asking.h"
#include "portmap/control.h"
#include "portmap/outside.h"
#include "portmap/verify.h"
#include "upnp/driver/worker.h"

#define PROGRESS_MS   5u
#define VERDICTS_MS   3600000u
#define VERDICTS_MOST 10u /* in that time, in the log */

static const bool nothing[PORTMAP_FAMILIES]; /* of families to keep */

/* ---- time ---- */

/* How long this host has slept since it started. The clock that is ahead is read last: some time
 * passes between the two, and they would seem to be apart by less than nothing. */
static uint64_t slept_ms(void)
{
	uint64_t awake_ms = clock_ms(CLOCK_MONOTONIC), all_ms = clock_ms(CLOCK_BOOTTIME);

	return all_ms > awake_ms ? all_ms - awake_ms : 0;
}

static uint64_t natd_owner_now(struct portmap_owner *o)
{
	return clock_ms(CLOCK_BOOTTIME);
}

void natd_set_wake(struct natd *n)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME), due_ms = asks_next(&n->asks), wait;

	if (n->due_ms < due_ms)
		due_ms = n->due_ms;
	if (n->young_due_ms < due_ms)
		due_ms = n->young_due_ms;
	if (n->remember.look_ms > now_ms && n->remember.look_ms < due_ms)
		due_ms = n->remember.look_ms;
	log_tick();
	wait = due_ms > now_ms ? due_ms - now_ms : 0;
	if (n->stage == NATD_AWAY && n->stopping)
		return;

	ring_timer_set(n->ring, &n->wake, wait < NATD_WAKE_MS ? wait : NATD_WAKE_MS);
}

static void natd_owner_wake(struct portmap_owner *o, uint64_t due_ms)
{
	struct natd *n = container(o, struct natd, owner);

	n->due_ms = due_ms;
	natd_set_wake(n);
}

/* The same, for longer or shorter. */
static void want_again(struct natd *n)
{
	if (natd_want(n))
		log_error("portmap", "a mapping is missing: out of memory");
}

static void natd_woken(struct timer *t, uint64_t ring_now_ms)
{
	struct natd *n = container(t, struct natd, wake);
	uint64_t asleep_ms = slept_ms();

	if (asleep_ms > n->asleep_ms + NATD_SLEPT_MS) {
		log_notice("portmap", "this host slept for %llu s: everything is %s",
			   (unsigned long long)(asleep_ms - n->asleep_ms) / 1000,
			   n->dry_run ? "looked at again" : "renewed");
		portmap_engine_probe(&n->engine);
		portmap_engine_renew(&n->engine);
		outside_ask(n->outside);
	}
	n->asleep_ms = asleep_ms;
	if (clock_ms(CLOCK_BOOTTIME) >= n->due_ms)
		portmap_engine_run(&n->engine);
	asking_run(n);
	remember_run(n);
	if (clock_ms(CLOCK_BOOTTIME) >= n->young_due_ms)
		want_again(n);
	natd_set_wake(n);
}

/* ---- networks ---- */

static void tell_network(struct natd *n)
{
	char gateway[ADDR_TEXT_BYTES] = "none", gateway6[NETWORK_GATEWAY6_BYTES] = "none";

	if (n->network.places[PORTMAP_IPV4].gateway.len > 0)
		addr_format_host(&n->network.places[PORTMAP_IPV4].gateway, gateway);
	if (n->network.places[PORTMAP_IPV6].gateway.len > 0)
		network_gateway6_text(&n->network, gateway6);
	if (n->network.up)
		log_notice("network", "on %s: gateway %s, IPv6 gateway %s", n->network.interface,
			   gateway, gateway6);
	else
		log_notice("network", "there is no way out%s%s", n->config.interface ? " on " : "",
			   n->config.interface ? n->config.interface : "");
	natd_control_network_changed(n->control);
}

static void natd_enter(struct natd *n)
{
	struct addr source[PORTMAP_FAMILIES] = {{.len = 0}, {.len = 0}};

	n->network = n->watch.now;
	n->told_contained = false;
	n->verdicts = 0;
	tell_network(n);
	n->stage = NATD_AWAY;
	if (!n->network.up) {
		natd_judge(n);
		return;
	}
	n->stage = NATD_HERE;
	remember_enter(n);
	want_again(n);
	for (unsigned f = 0; f < PORTMAP_FAMILIES; f++)
		if (n->network.places[f].gateway.len > 0)
			source[f] = n->network.places[f].source;
	natd_open_drivers(n);
	portmap_engine_enter(&n->engine, source, n->drivers, n->driver_count);
	outside_ask(n->outside);
	natd_judge(n);
}

/* Not from inside a driver's call: what follows stops them. */
static void natd_owner_left(struct portmap_owner *o)
{
	struct natd *n = container(o, struct natd, owner);

	ring_timer_set(n->ring, &n->progress, 0);
}

static bool all_ended(struct natd *n)
{
	bool ended = network_watch_stop(&n->watch);

	ended &= outside_stop(n->outside);
	ended &= verify_stop(n->verify);
	ended &= hook_stop(&n->hook);
	ended &= natd_control_stop(n->control);
	ended &= n->upnp.fd < 0 || launcher_stop(&n->upnp);
	return ended;
}

static void natd_end_network(struct natd *n)
{
	if (n->stopping && !n->dry_run)
		remember_tell_end(n);
	natd_close_drivers(n);
}

/* The next step towards a new network or the end; comes again while something is not ready. */
static void natd_progress(struct timer *t, uint64_t ring_now_ms)
{
	struct natd *n = container(t, struct natd, progress);

	if (n->stage == NATD_LEAVING && n->engine.mode == ENGINE_AWAY)
		natd_end_network(n);
	if (n->stage == NATD_CLOSING) {
		if (!natd_drivers_closed(n)) {
			ring_timer_set(n->ring, &n->progress, PROGRESS_MS);
			return;
		}
		n->stage = NATD_AWAY;
		if (!n->stopping) {
			natd_enter(n);
			return;
		}
	}
	if (n->stage != NATD_AWAY || !n->stopping)
		return;
	ring_timer_cancel(n->ring, &n->wake);
	if (all_ended(n))
		n->stopped(n);
	else
		ring_timer_set(n->ring, &n->progress, PROGRESS_MS);
}

static void natd_leave(struct natd *n, bool goodbye, const bool keep[PORTMAP_FAMILIES],
		       const char *why)
{
	if (n->stage == NATD_AWAY) {
		if (n->stopping)
			ring_timer_set(n->ring, &n->progress, 0);
		else
			natd_enter(n);
		return;
	}
	if (n->stage != NATD_HERE)
		return; /* on its way; it looks at the network again in the end */
	n->stage = NATD_LEAVING;
	verify_forget(n->verify);
	remember_note(n);
	if (!keep[PORTMAP_IPV4])
		outside_forget(n->outside);
	portmap_engine_leave(&n->engine, goodbye, keep, why);
}

/* What is mapped over a family that did not change stays. */
static void natd_network_changed(struct network_watch *w)
{
	struct natd *n = container(w, struct natd, watch);
	bool keep[PORTMAP_FAMILIES];

	if (network_same(&w->now, &n->network)) {
		/* A VPN came or went beside the gateway. */
		memcpy(n->network.tunnel, w->now.tunnel, sizeof n->network.tunnel);
		n->network.unanswered = w->now.unanswered;
		n->network.missing = w->now.missing;
		memcpy(n->network.others, w->now.others, sizeof n->network.others);
		if (n->stage == NATD_HERE || n->stage == NATD_AWAY)
			natd_judge(n);
		return;
	}
	for (unsigned f = 0; f < PORTMAP_FAMILIES; f++)
		keep[f] = network_same_family(&w->now, &n->network, (enum portmap_family)f);
	if (!n->stopping)
		natd_leave(n, network_still_there(w, &n->network), keep, "the network changed");
}

/* ---- what the engine tells ---- */

static void natd_owner_mapping(struct portmap_owner *o, const struct portmap_mapping *m,
			       enum mapping_state old)
{
	struct natd *n = container(o, struct natd, owner);

	if (m->state == MAPPING_MAPPED && old != MAPPING_MAPPED)
		verify_wanted(n->verify);
	if (m->state == MAPPING_MAPPED)
		remember_note(n);
	natd_control_mapping_changed(n->control, m, old);
	if ((m->state == MAPPING_VERIFIED) != (old == MAPPING_VERIFIED))
		natd_judge(n);
}

static void natd_owner_path(struct portmap_owner *o, enum portmap_protocol p, enum portmap_family f)
{
	struct natd *n = container(o, struct natd, owner);

	natd_control_path_changed(n->control, p, f);
	natd_judge(n);
}

static void natd_owner_external(struct portmap_owner *o, const struct addr *old,
				const struct addr *now)
{
	struct natd *n = container(o, struct natd, owner);
	char old_text[ADDR_TEXT_BYTES], text[ADDR_TEXT_BYTES];

	addr_format_host(now, text);
	if (old->len > 0) {
		addr_format_host(old, old_text);
		log_notice("portmap", "the external address changed from %s to %s", old_text, text);
	} else {
		log_notice("portmap", "the external address is %s", text);
	}
	hook_run(&n->hook, text, old->len > 0 ? old_text : NULL);
	natd_control_external_changed(n->control, text, old->len > 0 ? old_text : NULL);
	outside_ask(n->outside);
	natd_judge(n);
}

static bool no_external(const struct natd *n)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		const struct portmap_path *path = &n->engine.paths[p][PORTMAP_IPV4];

		if (path->state == PATH_GONE && path->failure == PORTMAP_NO_EXTERNAL)
			return true;
	}
	for (const struct portmap_mapping *m = n->engine.mappings; m; m = m->next)
		if (m->no_external)
			return true;
	return false;
}

/* The gateway speaks a protocol, or has, in this network. */
static bool speaks(const struct natd *n)
{
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		const struct portmap_path *path = &n->engine.paths[p][PORTMAP_IPV4];

		if (path->state == PATH_THERE ||
		    (path->state == PATH_GONE && path->failure == PORTMAP_NO_EXTERNAL))
			return true;
	}
	return false;
}

/* As it says. */
static bool maps(const struct natd *n)
{
	for (const struct portmap_mapping *m = n->engine.mappings; m; m = m->next)
		if (m->want.family == PORTMAP_IPV4 && mapping_held(m))
			return true;
	return false;
}

/* What was asked for failed, and nothing else is mapped. */
static bool refuses(const struct natd *n)
{
	for (const struct portmap_mapping *m = n->engine.mappings; m; m = m->next)
		if (m->want.family == PORTMAP_IPV4 &&
		    (m->state == MAPPING_REFUSED || m->state == MAPPING_UNSUPPORTED))
			return !maps(n);
	return false;
}

/* A proof from before the STUN servers fell silent says nothing of now. */
static bool is_proof(const struct outside *o, const struct portmap_mapping *m)
{
	return m->want.family == PORTMAP_IPV4 && m->state == MAPPING_VERIFIED &&
	       (!o->silent || m->proven_ms > o->silent_ms);
}

/* What mappings have shown. */
static enum truth_entry entry(const struct natd *n)
{
	enum truth_entry best = verify_kept_out(n->verify) ? TRUTH_ENTRY_FAILED : n->outside->entry;

	for (const struct portmap_mapping *m = n->engine.mappings; m; m = m->next) {
		enum truth_entry one = m->want.transport == PORTMAP_TCP ? TRUTH_ENTRY_VISITED
									: TRUTH_ENTRY_ANSWERED;

		if (is_proof(n->outside, m) && one > best)
			best = one;
	}
	return best;
}

/* Engines give containers a network of their own, whose gateway is the host: it asks nobody for
 * ports, and answers nothing. A container on a bridge to the LAN has a router that answers. */
static bool is_containers_own(const struct natd *n)
{
	if (!n->contained || !n->network.pair)
		return false;
	for (unsigned p = 0; p < PORTMAP_PROTOCOLS; p++) {
		const struct portmap_path *path = &n->engine.paths[p][PORTMAP_IPV4];

		if (path->ever || path->state == PATH_PROBING ||
		    (path->state == PATH_GONE && path->failure != PORTMAP_SILENT &&
		     path->failure != PORTMAP_UNSUPPORTED))
			return false;
	}
	return true;
}

static void log_container(struct natd *n)
{
	if (!n->told_contained)
		log_warning("portmap", "no gateway answers: %s", n->truth.advice);
	n->told_contained = true;
}

/* As Podman, systemd-nspawn, LXC and Docker tell those inside; a variable that is empty says no. */
static bool is_contained(void)
{
	const char *told = getenv("container");

	if (told)
		return told[0] != '\0';
	return access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0;
}

/* At a gateway that comes and goes the verdict does, too; what is so then is told an hour later. */
static bool tells_verdict(struct natd *n)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);

	if (n->verdicts == 0 || now_ms >= n->verdicts_ms + VERDICTS_MS) {
		n->verdicts_ms = now_ms;
		n->verdicts = 0;
	}
	if (n->verdicts >= VERDICTS_MOST)
		return false;
	if (++n->verdicts == VERDICTS_MOST)
		log_notice("portmap", "the verdict changes often: after the next line none is told "
				      "for an hour at most; 'postern nat status' has it");
	return true;
}

/* Once nothing is looked at any more, so that the log has one sentence, and a true one. */
static void log_verdict(struct natd *n)
{
	if (outside_is_busy(n->outside) ||
	    (n->truth.verdict == n->logged && n->truth.passed == n->logged_passed) ||
	    !tells_verdict(n))
		return;
	n->logged = n->truth.verdict;
	n->logged_passed = n->truth.passed;
	log_at(truth_cuts_off(&n->truth) ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, "portmap",
	       "%s%s%s", n->truth.sentence, n->truth.advice[0] ? ": " : "", n->truth.advice);
}

void natd_judge(struct natd *n)
{
	const struct outside *o = n->outside;
	const struct portmap_place *place = &n->network.places[PORTMAP_IPV4];
	struct truth_facts facts = {
		.ipv4 = place->source.len > 0,
		.ipv6 = n->network.places[PORTMAP_IPV6].source.len > 0,
		.router = place->gateway,
		.own = place->source,
		.contained = is_containers_own(n),
		.unanswered = n->network.unanswered,
		.speaks = speaks(n),
		.gateway = n->engine.external,
		.no_external = no_external(n),
		.maps = maps(n),
		.refuses = refuses(n),
		.provider = natd_provider(n),
		.stun_configured = n->config.stun.count > 0,
		.stun_silent = o->silent,
		.outside = o->address,
		.seen_count = o->seen_count,
		.behind = o->behind,
		.looked = o->looked,
		.looking = o->looking && o->first,
		.entry = entry(n),
	};
	struct truth before = n->truth;
	enum truth_verdict now;

	if (n->stopping) /* what is broken off says nothing */
		return;
	memcpy(facts.seen, o->seen, sizeof facts.seen);
	memcpy(facts.tunnel, n->network.tunnel, sizeof facts.tunnel);
	if (n->config.interface)
		snprintf(facts.pinned, sizeof facts.pinned, "%s", n->config.interface);
	facts.missing = n->network.missing;
	facts.others = n->network.others;
	truth_judge(&facts, &n->truth);
	if (n->truth.contained)
		log_container(n);
	log_verdict(n);
	now = n->truth.verdict;
	if (now == before.verdict) {
		/* Its sentence names addresses, which may be others. */
		if (strcmp(n->truth.sentence, before.sentence) != 0)
			natd_control_verdict_changed(n->control);
		return;
	}
	natd_control_verdict_changed(n->control);
}

/* ---- life ---- */

int natd_want(struct natd *n)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);
	struct portmap_want wants[PORTMAP_MAPPINGS_MAX];
	size_t count = n->configured_count;

	if (n->dry_run)
		return 0;
	memcpy(wants, n->configured, count * sizeof *wants);
	count = asks_wants(&n->asks, wants, count);
	n->young_due_ms = remember_next(n, now_ms);
	for (size_t i = 0; i < count; i++) {
		nonces_fill(&n->nonces, &wants[i]);
		wants[i].lifetime_s =
			remember_lifetime(n, wants[i].family, wants[i].lifetime_s, now_ms);
	}
	return portmap_engine_want(&n->engine, wants, count);
}

/* len 0: none is named. */
static struct addr configured_gateway(const struct natd_config *c)
{
	struct addr a = {.len = 0};

	if (c->gateway)
		(void)!addr_from_literal(c->gateway, 0, &a);
	return a;
}

static void natd_upnp_gone(struct launcher *l)
{
	log_error("upnp", "its launcher ended: there is no UPnP until natd is restarted");
}

int natd_start_upnp(struct natd *n)
{
	n->upnp.fd = -1;
	n->upnp_plan = (struct launcher_plan){.name = "postern-upnp",
					      .serve = upnp_worker_main,
					      .isolation = upnp_worker_launch_plan()};
	return n->config.upnp ? launcher_start(&n->upnp, &n->upnp_plan) : 0;
}

bool natd_prepare(struct natd *n, char *why, size_t why_size)
{
	int error;

	if (!nonces_open(&n->nonces, n->config.state_dir, why, why_size))
		return false;
	error = natd_start_upnp(n);
	if (error) {
		snprintf(why, why_size,
			 "the process for UPnP cannot be started: %s; set upnp to false to do "
			 "without",
			 strerror(-error));
		return false;
	}
	error = n->config.hook ? hook_start(&n->hook, n->config.hook) : 0;
	if (error)
		snprintf(why, why_size, "the process for the hook cannot be started: %s",
			 strerror(-error));
	return error == 0;
}

int natd_open(struct natd *n, int listener)
{
	int error;

	n->owner = (struct portmap_owner){.now_ms = natd_owner_now,
					  .wake_at = natd_owner_wake,
					  .mapping_changed = natd_owner_mapping,
					  .path_changed = natd_owner_path,
					  .external_changed = natd_owner_external,
					  .left = natd_owner_left};
	n->contained = is_contained();
	n->engine.owner = &n->owner;
	n->engine.recheck_ms = n->config.recheck_ms;
	RAND_bytes((uint8_t *)&n->engine.seed, sizeof n->engine.seed);
	portmap_engine_init(&n->engine);
	remember_open(n);
	asking_begin(n);
	asking_configure(n);
	n->wake.fire = natd_woken;
	n->progress.fire = natd_progress;
	n->asleep_ms = slept_ms();
	n->started_ms = clock_ms(CLOCK_BOOTTIME);
	n->due_ms = MAPPING_NEVER;
	n->outside = outside_new(n);
	n->verify = verify_new(n);
	if (!n->outside || !n->verify)
		return -ENOMEM;
	n->watch = (struct network_watch){.ring = n->ring,
					  .interface = n->config.interface,
					  .gateway = configured_gateway(&n->config),
					  .changed = natd_network_changed};
	error = network_watch_start(&n->watch);
	if (!error)
		error = natd_want(n);
	if (error)
		return error;
	n->control = listener >= 0 ? natd_control_new(n, listener) : NULL;
	hook_follow(&n->hook, n->ring);
	if (n->upnp.fd >= 0) {
		n->upnp.gone = natd_upnp_gone;
		launcher_follow(&n->upnp, n->ring);
	}
	return 0;
}

void natd_start(struct natd *n)
{
	natd_set_wake(n);
	natd_enter(n);
}

bool natd_reconfigure(struct natd *n, struct natd_config *config, char *why, size_t why_size)
{
	struct natd_config old = n->config;
	bool protocols =
		old.pcp != config->pcp || old.natpmp != config->natpmp || old.upnp != config->upnp;
	bool ok = true;

	n->config = *config;
	n->engine.recheck_ms = config->recheck_ms;
	log_set_level((enum log_level)config->log_level);
	asking_configure(n);
	if (natd_want(n) < 0) {
		snprintf(why, why_size, "out of memory");
		ok = false;
	}
	natd_control_mappings_changed(n->control);
	n->watch.gateway = configured_gateway(&n->config);
	network_watch_pin(&n->watch, n->config.interface);
	outside_configure(n->outside);
	if (protocols)
		natd_leave(n, true, nothing, "the configuration changed");
	if (natd_config_needs_restart(&old, config)) {
		snprintf(why, why_size,
			 "socket, state_dir, hook, user and engine change with a restart only");
		ok = false;
	}
	if (config->upnp && n->upnp.fd < 0) {
		snprintf(why, why_size,
			 "upnp is on from the next start only: its process was not "
			 "started while natd still could");
		ok = false;
	}
	natd_config_free(&old);
	return ok;
}

void natd_reload(struct natd *n, const struct natd_arguments *a, int log_level)
{
	struct natd_arguments again = *a;
	struct conf_errors errors = {.file = NULL};
	struct natd_config config;
	char why[256];

	again.again = true;
	if (!a->config) {
		log_warning("portmap", "there is no file to read again: everything stands on the "
				       "command line");
	} else if (!natd_config_load(&again, &config, &errors)) {
		log_error("portmap", "the configuration stays as it was: the file has errors");
		log_lines(LOG_LEVEL_ERROR, "config", errors.text);
	} else {
		if (log_level >= 0)
			config.log_level = log_level;
		if (!natd_reconfigure(n, &config, why, sizeof why))
			log_warning("portmap", "the new configuration is not all in force: %s",
				    why);
		else
			log_notice("portmap", "the new configuration is in force");
	}
	conf_errors_free(&errors);
}

void natd_stop(struct natd *n)
{
	if (n->stopping)
		return;
	n->stopping = true;
	natd_leave(n, true, nothing, "natd is stopping");
}

void natd_close(struct natd *n)
{
	remember_close(n);
	natd_control_free(n->control);
	portmap_engine_free(&n->engine);
	outside_free(n->outside);
	verify_free(n->verify);
	hook_free(&n->hook);
	natd_config_free(&n->config);
}

void natd_log_status(const struct natd *n)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);
	char name[MAPPING_NAME_BYTES];

	log_notice("portmap", "%s", n->truth.sentence);
	for (const struct portmap_mapping *m = n->engine.mappings; m; m = m->next) {
		bool unproven = m->state == MAPPING_MAPPED && m->proof[0];
		char age[64] = "";

		mapping_name(m, name);
		if (m->proven_ms > 0)
			snprintf(age, sizeof age, "; something came in %llu s ago",
				 (unsigned long long)(now_ms - m->proven_ms) / 1000);
		log_notice("portmap", "%s: %s: %s%s%s%s", name, mapping_state_name(m->state),
			   m->why, age, unproven ? "; not verified: " : "",
			   unproven ? m->proof : "");
	}
}
