/* SPDX-License-Identifier: Apache-2.0 */
/* control: connections, methods and events. */
#include "portmap/control.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/container.h"
#include "core/engine/records.h"
#include "core/log.h"
#include "core/program/callers.h"
#include "portmap/asking.h"
#include "portmap/outside.h"
#include "portmap/report.h"
#include "portmap/verify.h"

#define LINE_MAX_BYTES 65536u
#define PROBE_LOOK_MS  50u
#define PROBE_MOST_MS  25000u

struct natd_control {
	struct natd *natd;
	struct calls calls;
	struct callers callers;
	bool stopping;
	struct records events;
	struct call *probes[CONTROL_PROBES_MAX]; /* waiting */
	struct timer probe_look;
	uint64_t probe_until_ms, probed_ms; /* probed_ms: when the last began; 0: never */
	bool probe_is_old;		    /* what waits gets what that one found */
};

/* ---- methods ---- */

static struct natd_control *natd_control_of(const struct call *c)
{
	return c->owner;
}

static void natd_status_run(struct call *c)
{
	call_answer(c, report_status(natd_control_of(c)->natd));
}

static void natd_control_probe_looks(struct timer *t, uint64_t now_ms)
{
	struct natd_control *ctl = container(t, struct natd_control, probe_look);
	struct natd *n = ctl->natd;
	json_t *found;

	if ((portmap_engine_probing(&n->engine) || outside_is_busy(n->outside) ||
	     verify_is_busy(n->verify)) &&
	    clock_ms(CLOCK_BOOTTIME) < ctl->probe_until_ms && !ctl->stopping) {
		ring_timer_set(n->ring, &ctl->probe_look, PROBE_LOOK_MS);
		return;
	}
	for (size_t i = 0; i < CONTROL_PROBES_MAX; i++) {
		struct call *c = ctl->probes[i];

		ctl->probes[i] = NULL;
		if (!c)
			continue;
		call_ask_anew(c);
		found = json_pack("{s:o, s:o, s:o}", "network", report_network(n), "external",
				  report_external(n), "protocols", report_protocols(n));
		if (ctl->probe_is_old)
			json_object_set_new(found, "age_s",
					    json_integer((json_int_t)(clock_ms(CLOCK_BOOTTIME) -
								      ctl->probed_ms) /
							 1000));
		call_answer(c, found);
	}
}

/* All that a running natd finds out by itself every recheck. */
static void probe_anew(struct natd *n)
{
	portmap_engine_probe(&n->engine);
	outside_ask(n->outside);
	verify_again(n->verify);
}

static bool may_probe(const struct natd_control *ctl, const struct call *c, uint64_t now_ms)
{
	uint64_t space_ms =
		c->caller->level == CALLER_ADMIN ? CONTROL_PROBE_MS : CONTROL_PROBE_OTHERS_MS;

	return ctl->probed_ms == 0 || now_ms >= ctl->probed_ms + space_ms;
}

/* What comes while a probe is under way waits for the same answers. */
static void natd_probe_run(struct call *c)
{
	struct natd_control *ctl = c->owner;
	bool under_way = timer_pending(&ctl->probe_look);
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);

	for (size_t i = 0; i < CONTROL_PROBES_MAX; i++) {
		if (ctl->probes[i])
			continue;
		ctl->probes[i] = c;
		if (under_way)
			return;
		ctl->probe_is_old = !may_probe(ctl, c, now_ms);
		if (!ctl->probe_is_old) {
			probe_anew(ctl->natd);
			ctl->probed_ms = now_ms;
		}
		ctl->probe_until_ms = now_ms + PROBE_MOST_MS;
		ring_timer_set(ctl->natd->ring, &ctl->probe_look, PROBE_LOOK_MS);
		return;
	}
	call_fail(c, JSONRPC_BUSY, NULL, "too many probes wait for an answer; ask again later");
}

static void natd_renew_run(struct call *c)
{
	portmap_engine_renew(&natd_control_of(c)->natd->engine);
	call_answer(c, json_object());
}

static void natd_map_run(struct call *c)
{
	asking_map_run(natd_control_of(c)->natd, c);
}

static void natd_unmap_run(struct call *c)
{
	asking_unmap_run(natd_control_of(c)->natd, c);
}

static void natd_events_run(struct call *c)
{
	records_answer(c, &natd_control_of(c)->events, "events", &c->caller->follows_events);
}

static const struct method methods[] = {
	{.name = "status",
	 .level = CALLER_READ,
	 .run = natd_status_run,
	 .help = "what natd knows, in one object",
	 .result = "{version, engine, uptime_ms, network, external, protocols: [...], mappings: "
		   "[...], counts}"},
	{.name = "probe",
	 .level = CALLER_READ,
	 .run = natd_probe_run,
	 .help = "looks again at the gateway, at what outside sees and at proofs, and waits for "
		 "that",
	 .result = "{network, external, protocols: [...], age_s?}"},
	{.name = "renew",
	 .level = CALLER_ADMIN,
	 .run = natd_renew_run,
	 .help = "renews every mapping now, and tries again what failed",
	 .result = "{}"},
	/* Whom they are for, asking.c knows: the file says so. */
	{.name = "map",
	 .level = CALLER_READ,
	 .run = natd_map_run,
	 .help = "asks for a mapping, where the configuration allows that to the caller's user",
	 .params = asking_map_params,
	 .result = "{mapping}: as it is at this moment; events tell the rest"},
	{.name = "unmap",
	 .level = CALLER_READ,
	 .run = natd_unmap_run,
	 .help = "takes back what the caller's user asked for; root and natd's own user may do "
		 "so for others",
	 .params = asking_unmap_params,
	 .result = "{}"},
	{.name = "events",
	 .level = CALLER_READ,
	 .run = natd_events_run,
	 .help = "what happened: mapping, mappings, ask, protocol, external, network, verdict",
	 .params = records_params,
	 .result = "{events: [{number, at, kind, ...}]}; notifications \"event\" when following"},
	{.name = NULL},
};

static const struct method *const tables[] = {methods, methods_schema, NULL};

/* ---- events ---- */

/* Takes data over. */
static void natd_event(struct natd_control *ctl, const char *kind, json_t *data)
{
	struct timespec now;

	if (!data)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	if (!records_tell_event(&ctl->events, &ctl->calls, kind, data, now))
		log_warning("control", "no memory for an event: %s", kind);
	json_decref(data);
}

void natd_control_mapping_changed(struct natd_control *c, const struct portmap_mapping *m,
				  enum mapping_state old)
{
	json_t *data;

	if (!c || !m->wanted || (old == m->state && !mapping_held(m)))
		return;
	data = report_mapping(c->natd, m, clock_ms(CLOCK_BOOTTIME));
	json_object_set_new(data, "from", json_string(mapping_state_name(old)));
	natd_event(c, "mapping", data);
}

void natd_control_mappings_changed(struct natd_control *c)
{
	if (c)
		natd_event(c, "mappings", json_pack("{s:o}", "mappings", report_mappings(c->natd)));
}

void natd_control_ask_ended(struct natd_control *c, const struct ask *a, const char *name,
			    enum ask_end end, const char *why)
{
	json_t *data;

	if (!c)
		return;
	data = json_pack("{s:s, s:s, s:s, s:i, s:I, s:s, s:s}", "mapping", name, "protocol",
			 portmap_transport_name(a->want.transport), "family",
			 a->want.family == PORTMAP_IPV6 ? "ipv6" : "ipv4", "port", a->want.internal,
			 "user", (json_int_t)a->user.uid, "ended", ask_end_name(end), "why", why);
	if (a->name[0])
		json_object_set_new(data, "name", json_string(a->name));
	natd_event(c, "ask", data);
}

void natd_control_path_changed(struct natd_control *c, enum portmap_protocol p,
			       enum portmap_family f)
{
	if (c)
		natd_event(c, "protocol", report_path(c->natd, p, f));
}

void natd_control_external_changed(struct natd_control *c, const char *now, const char *old)
{
	json_t *data;

	if (!c)
		return;
	data = json_pack("{s:s}", "address", now);
	if (old)
		json_object_set_new(data, "old", json_string(old));
	natd_event(c, "external", data);
}

void natd_control_network_changed(struct natd_control *c)
{
	if (c)
		natd_event(c, "network", report_network(c->natd));
}

void natd_control_verdict_changed(struct natd_control *c)
{
	if (c)
		natd_event(c, "verdict", report_external(c->natd));
}

/* ---- life ---- */

static void natd_caller_gone(struct calls *cs, struct caller *c)
{
	struct natd_control *ctl = cs->owner;

	asking_caller_gone(ctl->natd, c);
}

static const char *natd_control_admit(struct callers *cs, uid_t uid, enum caller_level *level)
{
	*level = uid == 0 || uid == getuid() ? CALLER_ADMIN : CALLER_READ;
	return NULL;
}

int natd_control_listen(const char *path)
{
	return callers_path_taken(path) ? -EADDRINUSE : callers_listen(path);
}

struct natd_control *natd_control_new(struct natd *n, int listener)
{
	struct natd_control *ctl = calloc(1, sizeof *ctl);

	if (!ctl)
		return NULL;
	ctl->natd = n;
	ctl->calls = (struct calls){.tables = tables,
				    .owner = ctl,
				    .gone = natd_caller_gone,
				    .admin_remedy = "ask as root, or as natd's own user"};
	ctl->probe_look.fire = natd_control_probe_looks;
	ctl->callers = (struct callers){
		.ring = n->ring,
		.calls = &ctl->calls,
		.line_max = LINE_MAX_BYTES,
		.most = CONTROL_CONNECTIONS_MAX,
		.admit = natd_control_admit,
	};
	callers_start(&ctl->callers, listener);
	return ctl;
}

bool natd_control_stop(struct natd_control *ctl)
{
	if (!ctl)
		return true;
	if (!ctl->stopping && timer_pending(&ctl->probe_look))
		ring_timer_set(ctl->natd->ring, &ctl->probe_look, 0);
	ctl->stopping = true;
	return callers_stop(&ctl->callers) && !timer_pending(&ctl->probe_look);
}

void natd_control_free(struct natd_control *ctl)
{
	if (!ctl)
		return;
	callers_free(&ctl->callers);
	records_free(&ctl->events);
	free(ctl);
}
