/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natd_test: a whole natd, but for its process: networks of a fake kernel, a router and a STUN
 * server on loopback, its control socket, its hook, and its end.
 *
 * links: core/conf/rows.c
 * links: portmap/natd.c portmap/natd_drivers.c portmap/control.c portmap/report.c portmap/outside.c
 * links: portmap/verify.c portmap/hook.c portmap/nonces.c portmap/network.c portmap/rtnetlink.c
 * links: portmap/sockdiag.c portmap/config.c portmap/config_load.c portmap/engine/[a-z]*.c
 * links: portmap/gateway/driver.c natpmp/[a-z]*.c natpmp/driver/[a-z]*.c upnp/[a-z]*.c
 * links: upnp/driver/[a-z]*.c stun/client/[a-z]*.c stun/[a-z]*.c core/[a-z]*.c core/conf/[a-z]*.c
 * links: core/engine/calls.c core/engine/records.c core/engine/records_calls.c
 * links: core/parse/jsonrpc.c core/parse/text.c core/program/callers.c core/program/launcher.c
 * links: core/program/launcher_main.c core/program/resolve.c tests/support/fake_kernel.c
 * links: tests/support/fake_gateway.c tests/support/fake_stun.c tests/support/ring_fixture.c
 */
#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <jansson.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/container.h"
#include "portmap/control.h"
#include "portmap/natd.h"
#include "portmap/outside.h"
#include "portmap/verify.h"
#include "tests/support/fake_gateway.h"
#include "tests/support/fake_kernel.h"
#include "tests/support/fake_stun.h"
#include "tests/support/loopback.h"

#define PORT 8443

struct natd_world {
	struct natd natd; /* first */
	struct ring_fixture *f;
	struct fake_gateway gateway;
	struct fake_stun stun;
	unsigned stopped;
	int client; /* of the control socket */
	char in[1 << 16];
	size_t have;
	char address[2][ADDR_TEXT_BYTES]; /* the gateway's and ours, for the fake kernel */
};

static char dir[64], socket_path[96], hook_path[96], hook_log[96], config_path[96];

static struct natd_world *unended;

static void natd_has_stopped(struct natd *n)
{
	((struct natd_world *)n)->stopped++;
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void load(struct natd_world *w, const char *maps, const char *more)
{
	const struct natd_arguments a = {.config = config_path};
	struct conf_errors errors = {.file = NULL};
	struct addr stun = fake_stun_address(&w->stun);
	char text[2048], server[ADDR_TEXT_BYTES];

	addr_format(&stun, server);
	snprintf(text, sizeof(text),
		 "map: [%s]\nupnp: false\nstun: ['%s']\nsocket: %s\nrecheck: 1m\n%s", maps, server,
		 socket_path, more);
	write_file(config_path, text);
	if (!natd_config_load(&a, &w->natd.config, &errors))
		fail_msg("%s", errors.text);
	conf_errors_free(&errors);
}

#define UDP "{protocol: udp, port: 8443, ipv6: false}"
#define TCP "{protocol: tcp, port: 8444, ipv6: false}"

/* A host at 127.a.b.2 behind a router at 127.a.b.1; all are there before natd is. */
static struct natd_world *begin(void **state, const char *maps, const char *more)
{
	struct ring_fixture *f = ring_fixture(state);
	struct natd_world *w = calloc(1, sizeof(*w));
	struct addr gateway = test_loopback(1, 0), own = test_loopback(2, 0);
	unsigned lo = if_nametoindex("lo");
	char why[256];
	int listener;

	assert_non_null(w);
	if (unended) /* of a test that failed */
		close(unended->gateway.fd);
	unended = w;
	w->f = f;
	w->client = -1;
	fake_kernel_reset();
	addr_format_host(&gateway, w->address[0]);
	addr_format_host(&own, w->address[1]);
	fake_kernel.links[0] = (struct fake_link){.index = lo, .name = "lo"};
	fake_kernel.addresses[0] = (struct fake_address){lo, w->address[1], 24, 0, 0};
	fake_kernel.routes[0] = (struct fake_route){.index = lo, .gateway = w->address[0]};
	fake_gateway_open(&w->gateway, f, 1);
	fake_stun_open(&w->stun, f, 9);
	assert_true(addr_parse("45.0.0.10:8443", &w->stun.seen));
	load(w, maps, more);
	w->natd.ring = f->r;
	w->natd.stopped = natd_has_stopped;
	listener = natd_control_listen(socket_path);
	assert_true(listener >= 0);
	assert_int_equal(natd_control_listen(socket_path), -EADDRINUSE);
	if (!natd_prepare(&w->natd, why, sizeof(why)))
		fail_msg("%s", why);
	assert_int_equal(natd_open(&w->natd, listener), 0);
	natd_start(&w->natd);
	return w;
}

static void end(struct natd_world *w)
{
	natd_stop(&w->natd);
	natd_stop(&w->natd);
	for (int i = 0; i < 1000 && !w->stopped; i++)
		run_for(w->f, 5);
	assert_int_equal(w->stopped, 1);
	run_for(w->f, 30);
	assert_int_equal(w->stopped, 1);
	assert_int_equal(w->natd.engine.mode, ENGINE_AWAY);
	natd_close(&w->natd);
	if (w->client >= 0)
		close(w->client);
	close(fake_kernel.changes);
	fake_gateway_close(&w->gateway, w->f);
	fake_stun_close(&w->stun, w->f);
	unlink(socket_path);
	unlink(config_path);
	unended = NULL;
	free(w);
}

static struct portmap_mapping *first(struct natd_world *w)
{
	assert_non_null(w->natd.engine.mappings);
	return w->natd.engine.mappings;
}

static void await_state(struct natd_world *w, enum mapping_state state)
{
	for (int i = 0; i < 1000 && first(w)->state != state; i++)
		run_for(w->f, 5);
	assert_string_equal(mapping_state_name(first(w)->state), mapping_state_name(state));
}

#define await_that(w, condition)                                                                   \
	do {                                                                                       \
		for (int turns = 0; turns < 1000 && !(condition); turns++)                         \
			run_for((w)->f, 5);                                                        \
		assert_true(condition);                                                            \
	} while (0)

/* ---- a caller ---- */

static void dial(struct natd_world *w)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", socket_path);
	w->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(w->client, (struct sockaddr *)&at, sizeof(at)), 0);
}

/* The next line that natd says; owned by the caller. */
static json_t *hear(struct natd_world *w)
{
	char *line_end = NULL;
	json_t *line;

	for (int i = 0; i < 1000; i++) {
		ssize_t n;

		line_end = memchr(w->in, '\n', w->have);
		if (line_end)
			break;
		run_for(w->f, 2);
		n = recv(w->client, w->in + w->have, sizeof(w->in) - w->have, MSG_DONTWAIT);
		assert_int_not_equal(n, 0);
		w->have += n > 0 ? (size_t)n : 0;
	}
	assert_non_null(line_end);
	line = json_loadb(w->in, (size_t)(line_end - w->in), 0, NULL);
	assert_non_null(line);
	w->have -= (size_t)(line_end + 1 - w->in);
	memmove(w->in, line_end + 1, w->have);
	return line;
}

static void say(struct natd_world *w, const char *method, const char *params)
{
	char text[512];
	int len = snprintf(text, sizeof(text),
			   "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}\n",
			   method, params);

	if (w->client < 0)
		dial(w);
	write_all(w->client, text, (size_t)len);
}

/* The result of a call; events on the way are passed over. Owned by the caller. */
static json_t *ask(struct natd_world *w, const char *method, const char *params)
{
	say(w, method, params);
	for (;;) {
		json_t *line = hear(w), *result = json_object_get(line, "result");

		if (json_object_get(line, "id")) {
			if (!result)
				fail_msg("%s", json_dumps(line, 0));
			json_incref(result);
			json_decref(line);
			return result;
		}
		json_decref(line);
	}
}

static const char *text_at(const json_t *j, const char *a, const char *b)
{
	const json_t *inner = b ? json_object_get(j, a) : j;
	const char *text = json_string_value(json_object_get(inner, b ? b : a));

	return text ? text : "";
}

/* The data of the next event of this kind. Owned by the caller. */
static json_t *hear_event(struct natd_world *w, const char *kind)
{
	for (int i = 0; i < 100; i++) {
		json_t *line = hear(w), *params = json_object_get(line, "params");

		if (strcmp(text_at(params, "kind", NULL), kind) == 0) {
			json_incref(params);
			json_decref(line);
			return params;
		}
		json_decref(line);
	}
	fail_msg("no event %s", kind);
	return NULL;
}

/* ---- what it is for ---- */

static void a_port_is_mapped_proven_and_told(void **state)
{
	struct natd_world *w = begin(state, UDP, "");
	json_t *status, *mapping;

	await_state(w, MAPPING_VERIFIED);
	assert_int_equal(w->gateway.last_port, PORT);
	await_that(w, w->natd.truth.verdict == TRUTH_ONE_NAT);
	status = ask(w, "status", "{}");
	assert_string_equal(text_at(status, "network", "interface"), "lo");
	assert_string_equal(text_at(status, "network", "gateway"), w->address[0]);
	assert_string_equal(text_at(status, "network", "address"), w->address[1]);
	assert_string_equal(text_at(status, "external", "gateway"), "45.0.0.10");
	assert_string_equal(text_at(status, "external", "stun"), "45.0.0.10");
	assert_string_equal(text_at(status, "external", "verdict"), "one_nat");
	assert_int_equal(json_array_size(json_object_get(status, "protocols")), 2);
	mapping = json_array_get(json_object_get(status, "mappings"), 0);
	assert_string_equal(text_at(mapping, "state", NULL), "verified");
	assert_string_equal(text_at(mapping, "by", NULL), "PCP");
	assert_string_equal(text_at(mapping, "external", NULL), "45.0.0.10:8443");
	assert_non_null(strstr(text_at(mapping, "proof", NULL), "never written to"));
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(status, "counts"), "requests")),
		1);
	json_decref(status);
	natd_log_status(&w->natd);
	assert_int_equal(w->gateway.deletions, 0);
	end(w);
}

/* What was mapped is deleted before natd ends. */
static void a_stopping_natd_deletes_what_it_mapped(void **state)
{
	struct natd_world *w = begin(state, UDP ", " TCP, "");

	await_state(w, MAPPING_VERIFIED);
	await_that(w, w->gateway.maps == 2);
	natd_stop(&w->natd);
	await_that(w, w->stopped);
	assert_int_equal(w->gateway.deletions, 2);
	end(w);
}

static void without_pcp_natpmp_is_spoken(void **state)
{
	struct natd_world *w = begin(state, UDP, "pcp: false\n");
	json_t *status;

	w->gateway.no_pcp = true;
	await_state(w, MAPPING_VERIFIED);
	status = ask(w, "status", "{}");
	assert_string_equal(
		text_at(json_array_get(json_object_get(status, "mappings"), 0), "by", NULL),
		"NAT-PMP");
	assert_int_equal(json_array_size(json_object_get(status, "protocols")), 1);
	json_decref(status);
	end(w);
}

/* ---- calls ---- */

static void calls_and_events(void **state)
{
	struct natd_world *w = begin(state, UDP, "");
	json_t *result, *event;
	unsigned maps;

	await_state(w, MAPPING_VERIFIED);
	result = ask(w, "events", "{\"follow\":true,\"limit\":3}");
	assert_int_equal(json_array_size(json_object_get(result, "events")), 3);
	json_decref(result);
	maps = w->gateway.maps;
	json_decref(ask(w, "renew", "{}"));
	await_that(w, w->gateway.maps > maps);
	result = ask(w, "probe", "{}");
	assert_int_equal(json_array_size(json_object_get(result, "protocols")), 2);
	json_decref(result);
	/* A new address: of the gateway, then of the mapping, then the verdict. */
	w->gateway.external[3] = 11;
	json_decref(ask(w, "renew", "{}"));
	event = hear_event(w, "external");
	assert_string_equal(text_at(event, "address", NULL), "45.0.0.11");
	assert_string_equal(text_at(event, "old", NULL), "45.0.0.10");
	json_decref(event);
	event = hear_event(w, "verdict");
	assert_string_equal(text_at(event, "verdict", NULL), "double_nat");
	json_decref(event);
	end(w);
}

/* Probes wait for one answer together; more than there is room for are told so. */
static void probes_wait_together(void **state)
{
	struct natd_world *w = begin(state, UDP, "");
	unsigned busy = 0, good = 0, requests;

	await_state(w, MAPPING_VERIFIED);
	run_for(w->f, 100);
	w->gateway.deaf = true;
	requests = w->gateway.requests;
	for (unsigned i = 0; i < CONTROL_PROBES_MAX + 2; i++)
		say(w, "probe", "{}");
	for (unsigned i = 0; i < 2; i++) { /* the refusals come at once */
		json_t *line = hear(w);

		busy += json_object_get(line, "error") != NULL;
		json_decref(line);
	}
	assert_int_equal(busy, 2);
	assert_in_range(w->gateway.requests - requests, 1, 6);
	w->gateway.deaf = false;
	for (unsigned i = 0; i < CONTROL_PROBES_MAX; i++) {
		json_t *line = hear(w);

		good += json_object_get(line, "result") != NULL;
		json_decref(line);
	}
	assert_int_equal(good, CONTROL_PROBES_MAX);
	/* A natd that stops answers those that wait. */
	w->gateway.deaf = true;
	run_for(w->f, 2100); /* the space between two probes */
	say(w, "probe", "{}");
	run_for(w->f, 60);
	end(w);
}

/* ---- networks ---- */

static void another_network_is_entered(void **state)
{
	struct natd_world *w = begin(state, UDP, "");
	json_t *event;

	await_state(w, MAPPING_VERIFIED);
	json_decref(ask(w, "events", "{\"follow\":true,\"limit\":0}"));
	fake_kernel.routes[0].index = 0; /* no way out; our address and link stay */
	fake_kernel_changed();
	await_that(w, w->natd.stage == NATD_AWAY && w->gateway.deletions == 1);
	assert_int_equal(first(w)->state, MAPPING_REQUESTED);
	event = hear_event(w, "network");
	assert_false(json_is_true(json_object_get(event, "up")));
	json_decref(event);
	assert_int_equal(w->natd.driver_count, 0);
	fake_kernel.routes[0].index = if_nametoindex("lo");
	fake_kernel_changed();
	event = hear_event(w, "network");
	assert_true(json_is_true(json_object_get(event, "up")));
	json_decref(event);
	await_state(w, MAPPING_MAPPED); /* a port is proven once a minute at most */
	assert_int_equal(w->gateway.maps, 2);
	/* The link goes down: what was mapped cannot be deleted, and is forgotten. */
	fake_kernel.links[0].down = true;
	fake_kernel_changed();
	await_that(w, w->natd.stage == NATD_AWAY);
	assert_int_equal(w->gateway.deletions, 1);
	end(w);
}

/* A gateway whose epoch begins anew has forgotten; it is asked again. */
static void a_restarted_gateway_is_asked_again(void **state)
{
	struct natd_world *w = begin(state, UDP, "");

	await_state(w, MAPPING_VERIFIED);
	assert_int_equal(w->gateway.maps, 1);
	w->gateway.epoch_s = 3;
	portmap_engine_probe(&w->natd.engine);
	await_that(w, w->gateway.maps >= 2);
	assert_true(w->natd.engine.counts.restarts >= 1);
	await_that(w, first(w)->step == MAPPING_HELD);
	end(w);
}

static void a_refusal_is_told(void **state)
{
	struct natd_world *w = begin(state, UDP, "natpmp: false\n");

	w->gateway.map_result = 2; /* NOT_AUTHORIZED */
	portmap_engine_renew(&w->natd.engine);
	await_state(w, MAPPING_REFUSED);
	assert_true(w->natd.engine.counts.failures[PORTMAP_REFUSED] >= 1);
	w->gateway.map_result = 0;
	json_decref(ask(w, "renew", "{}"));
	await_state(w, MAPPING_VERIFIED);
	end(w);
}

/* ---- the configuration ---- */

static void a_new_configuration_changes_what_differs(void **state)
{
	struct natd_world *w = begin(state, UDP, "");
	const struct natd_arguments a = {.config = config_path};
	struct natd_config running;
	unsigned maps;

	await_state(w, MAPPING_VERIFIED);
	running = w->natd.config;
	load(w, UDP ", " TCP, "");
	natd_config_free(&w->natd.config);
	w->natd.config = running;
	natd_reload(&w->natd, &a, -1);
	await_that(w, w->gateway.maps == 2);
	assert_int_equal(w->natd.engine.count, 2);
	assert_int_equal(w->gateway.deletions, 0); /* the first one stayed as it was */
	/* Without it: deleted. */
	running = w->natd.config;
	load(w, TCP, "");
	natd_config_free(&w->natd.config);
	w->natd.config = running;
	natd_reload(&w->natd, &a, -1);
	await_that(w, w->gateway.deletions == 1 && w->natd.engine.count == 1);
	/* Another set of protocols: the network is entered anew, and all is mapped again. */
	maps = w->gateway.maps;
	running = w->natd.config;
	load(w, TCP, "pcp: false\n");
	natd_config_free(&w->natd.config);
	w->natd.config = running;
	natd_reload(&w->natd, &a, -1);
	await_that(w, w->gateway.maps > maps && first(w)->step == MAPPING_HELD);
	assert_int_equal(first(w)->protocol, PORTMAP_NATPMP);
	assert_int_equal(w->gateway.deletions, 2);
	/* One that is wrong changes nothing. */
	write_file(config_path, "map: [{protocol: sctp}]\n");
	natd_reload(&w->natd, &a, -1);
	assert_int_equal(w->natd.engine.count, 1);
	assert_false(w->natd.config.pcp);
	natd_reload(&w->natd, &(struct natd_arguments){.config = NULL}, -1);
	assert_int_equal(w->natd.engine.count, 1);
	end(w);
}

static void what_only_a_restart_changes_is_said(void **state)
{
	struct natd_world *w = begin(state, UDP, "");
	struct natd_config running = w->natd.config, next;
	char why[256] = "";

	load(w, UDP, "");
	next = w->natd.config;
	w->natd.config = running;
	next.upnp = true;
	assert_false(natd_reconfigure(&w->natd, &next, why, sizeof(why)));
	assert_non_null(strstr(why, "upnp is on from the next start only"));
	running = w->natd.config;
	load(w, UDP, "hook: /bin/true\n");
	next = w->natd.config;
	w->natd.config = running;
	assert_false(natd_reconfigure(&w->natd, &next, why, sizeof(why)));
	assert_non_null(strstr(why, "change with a restart only"));
	await_state(w, MAPPING_VERIFIED);
	end(w);
}

/* ---- the hook ---- */

static bool hook_said(const char *line)
{
	char text[512] = "";
	FILE *f = fopen(hook_log, "r");

	if (!f)
		return false;
	(void)!fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	return strstr(text, line) != NULL;
}

static void the_hook_is_told_each_address(void **state)
{
	char more[256];
	struct natd_world *w;

	snprintf(more, sizeof(more), "hook: %s\n", hook_path);
	unlink(hook_log);
	w = begin(state, UDP, more);
	await_that(w, hook_said("45.0.0.10 -"));
	w->gateway.external[3] = 99;
	portmap_engine_renew(&w->natd.engine);
	await_that(w, hook_said("45.0.0.99 45.0.0.10"));
	assert_int_equal(w->natd.hook.runs, 2);
	await_that(w, !w->natd.hook.running);
	end(w);
}

/* One that fails is tried again later; of changes while it runs the last one counts. */
static void a_hook_that_fails_is_tried_again(void **state)
{
	static const char script[] = "#!/bin/sh\nexit 3\n", slow[] = "#!/bin/sh\nsleep 0.3\n"
								     "echo \"$@\" >>%s\n";
	char more[256], text[256];
	struct natd_world *w;

	snprintf(more, sizeof(more), "hook: %s.fails\n", hook_path);
	snprintf(text, sizeof(text), "%s.fails", hook_path);
	write_file(text, script);
	assert_int_equal(chmod(text, 0700), 0);
	w = begin(state, UDP, more);
	await_that(w, w->natd.hook.failures == 1);
	assert_true(timer_pending(&w->natd.hook.retry));
	snprintf(more, sizeof(more), slow, hook_log);
	write_file(text, more);
	unlink(hook_log);
	hook_run(&w->natd.hook, "1.1.1.1", NULL);
	assert_true(w->natd.hook.running);
	assert_false(timer_pending(&w->natd.hook.retry));
	hook_run(&w->natd.hook, "2.2.2.2", "1.1.1.1");
	hook_run(&w->natd.hook, "3.3.3.3", "2.2.2.2");
	await_that(w, hook_said("3.3.3.3 2.2.2.2"));
	assert_true(hook_said("1.1.1.1 -"));
	assert_false(hook_said("2.2.2.2 1.1.1.1"));
	await_that(w, !w->natd.hook.running);
	assert_int_equal(w->natd.hook.failures, 0);
	hook_run(&w->natd.hook, "4.4.4.4", NULL); /* killed by the end */
	end(w);
	unlink(text);
}

/* ---- what STUN servers see ---- */

static void what_stun_servers_see_is_judged(void **state)
{
	struct natd_world *w = begin(state, UDP, "");

	await_state(w, MAPPING_VERIFIED);
	await_that(w, w->natd.truth.verdict == TRUTH_ONE_NAT);
	w->stun.seen = test_loopback(2, 0);
	outside_ask(w->natd.outside);
	outside_ask(w->natd.outside); /* while it asks: once more afterwards */
	await_that(w, w->natd.truth.verdict == TRUTH_NO_NAT);
	await_that(w, w->natd.outside->rounds >= 3 && !w->natd.outside->asking);
	w->stun.deaf = true;
	outside_ask(w->natd.outside);
	await_that(w, w->natd.outside->silent);
	assert_int_equal(w->natd.truth.verdict, TRUTH_PLAUSIBLE);
	assert_true(timer_pending(&w->natd.outside->later));
	/* A name that cannot be resolved is as silent; the end does not wait for it. */
	struct endpoint *server = w->natd.config.stun.items;
	snprintf(server->host, sizeof(server->host), "no.such.host.invalid");
	outside_configure(w->natd.outside);
	run_for(w->f, 20);
	end(w);
}

/* ---- */

static int make_files(void **state)
{
	char script[256];

	snprintf(dir, sizeof(dir), "/tmp/postern-natd-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(socket_path, sizeof(socket_path), "%s/sock", dir);
	snprintf(hook_path, sizeof(hook_path), "%s/hook", dir);
	snprintf(hook_log, sizeof(hook_log), "%s/log", dir);
	snprintf(config_path, sizeof(config_path), "%s/natd.yaml", dir);
	snprintf(script, sizeof(script), "#!/bin/sh\necho \"$@\" >>%s\n", hook_log);
	write_file(hook_path, script);
	return chmod(hook_path, 0700);
}

static int remove_files(void **state)
{
	unlink(hook_path);
	unlink(hook_log);
	unlink(config_path);
	unlink(socket_path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(a_port_is_mapped_proven_and_told),
		RING_TEST(a_stopping_natd_deletes_what_it_mapped),
		RING_TEST(without_pcp_natpmp_is_spoken),
		RING_TEST(calls_and_events),
		RING_TEST(probes_wait_together),
		RING_TEST(another_network_is_entered),
		RING_TEST(a_restarted_gateway_is_asked_again),
		RING_TEST(a_refusal_is_told),
		RING_TEST(a_new_configuration_changes_what_differs),
		RING_TEST(what_only_a_restart_changes_is_said),
		RING_TEST(the_hook_is_told_each_address),
		RING_TEST(a_hook_that_fails_is_tried_again),
		RING_TEST(what_stun_servers_see_is_judged),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
