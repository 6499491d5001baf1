/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upnp_driver_test: natd's end of UPnP: the driver, its control points, and the channel to a worker
 * that answers as a test tells it to. In place of listener.c the test tells what was announced.
 *
 * links: upnp/driver/driver.c upnp/driver/control_point.c upnp/driver/channel.c
 * links: upnp/messages.c upnp/location.c upnp/responders.c
 * links: core/program/launcher.c core/program/launcher_main.c core/isolation.c core/passing.c
 * links: core/lines.c core/outbox.c core/addr.c core/file.c core/log.c core/ring.c
 * links: core/ring_epoll.c core/ring_uring.c core/buffers.c core/timer.c portmap/gateway/driver.c
 * links: tests/support/ring_fixture.c
 */
#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/container.h"
#include "upnp/driver/channel.h"
#include "upnp/driver/driver.h"
#include "upnp/driver/listener.h"

/* ---- a worker that does as it is told ---- */

enum manners { ANSWERS, DIES, NONSENSE, WRONG_NUMBER };

/* Shared with the workers. */
struct script {
	enum manners manners[UPNP_DUTIES];
	struct upnp_answer answers[UPNP_DUTIES];
	struct addr dies_at; /* INSPECT of this host ends the worker; len 0: none */
	struct upnp_request last[UPNP_DUTIES];
	unsigned delay_us; /* before an answer */
	volatile unsigned asked[UPNP_DUTIES], workers;
};

static struct script *script;

static bool serve_one(int fd, const char *line, size_t len)
{
	struct upnp_request r;
	struct upnp_answer a;
	char *out;
	size_t out_len;
	bool sent;

	if (!upnp_request_read(line, len, &r))
		return false;
	script->last[r.duty] = r;
	script->asked[r.duty]++;
	if (script->manners[r.duty] == DIES ||
	    (r.duty == UPNP_INSPECT && addr_same_host(&r.location.host, &script->dies_at)))
		return false;
	if (script->manners[r.duty] == NONSENSE)
		return write(fd, "what?\n", 6) == 6;
	usleep(script->delay_us);
	a = script->answers[r.duty];
	a.number = r.number + (script->manners[r.duty] == WRONG_NUMBER);
	out = upnp_answer_line(r.duty, &a, &out_len);
	sent = out && write(fd, out, out_len) == (ssize_t)out_len;
	free(out);
	return sent;
}

static void scripted_worker(int fd)
{
	char line[UPNP_LINE_MAX];
	size_t have = 0;

	__atomic_add_fetch(&script->workers, 1, __ATOMIC_RELAXED);
	for (;;) {
		ssize_t n = read(fd, line + have, sizeof(line) - have);
		char *end;

		if (n <= 0)
			return;
		have += (size_t)n;
		end = memchr(line, '\n', have);
		if (!end)
			continue;
		if (!serve_one(fd, line, (size_t)(end - line)))
			return;
		have = 0;
	}
}

/* ---- in place of listener.c ---- */

static struct upnp_listener *listener; /* NULL: none is open */

int upnp_listener_start(struct upnp_listener *l, int family, unsigned index)
{
	assert_int_equal(family, AF_INET);
	assert_int_equal(index, 2);
	listener = l;
	return 0;
}

bool upnp_listener_stop(struct upnp_listener *l)
{
	if (listener == l)
		listener = NULL;
	return true;
}

/* ---- the world ---- */

/* 192.168.77.host */
static struct addr lan(unsigned host, uint16_t port)
{
	char text[ADDR_TEXT_BYTES];
	struct addr a;

	snprintf(text, sizeof(text), "192.168.77.%u", host);
	assert_true(addr_from_literal(text, port, &a));
	return a;
}

struct upnp_world {
	struct portmap_heard heard; /* first */
	struct ring_fixture *f;
	struct launcher launcher;
	struct portmap_place places[PORTMAP_FAMILIES];
	struct portmap_driver *driver;
	unsigned available, unavailable, restarted, moved, mapped, failed, unmapped, stopped;
	bool unmapped_ok;
	enum portmap_failure failure;
	struct addr external;
	uint32_t lifetime_s;
	char why[PORTMAP_TEXT_BYTES], about[PORTMAP_TEXT_BYTES];
};

static struct upnp_world *upnp_world_of(struct portmap_heard *h)
{
	return (struct upnp_world *)h;
}

static void world_available(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			    const struct portmap_gateway *g)
{
	struct upnp_world *w = upnp_world_of(h);

	assert_int_equal(p, PORTMAP_UPNP);
	w->available++;
	w->external = g->external;
	snprintf(w->about, sizeof(w->about), "%s", g->about);
}

static void world_unavailable(struct portmap_heard *h, enum portmap_protocol p,
			      enum portmap_family f, enum portmap_failure failure, const char *why)
{
	struct upnp_world *w = upnp_world_of(h);

	w->unavailable++;
	w->failure = failure;
	snprintf(w->why, sizeof(w->why), "%s", why);
}

static void world_restarted(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			    const char *why)
{
	struct upnp_world *w = upnp_world_of(h);

	w->restarted++;
	snprintf(w->why, sizeof(w->why), "%s", why);
}

static void world_moved(struct portmap_heard *h, enum portmap_protocol p,
			const struct addr *external)
{
	upnp_world_of(h)->moved++;
	upnp_world_of(h)->external = *external;
}

static void world_mapped(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
			 const struct addr *external, uint32_t lifetime_s)
{
	struct upnp_world *w = upnp_world_of(h);

	assert_int_equal(id, 1);
	w->mapped++;
	w->external = *external;
	w->lifetime_s = lifetime_s;
}

static void world_failed(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
			 enum portmap_failure failure, const char *why)
{
	struct upnp_world *w = upnp_world_of(h);

	w->failed++;
	w->failure = failure;
	snprintf(w->why, sizeof(w->why), "%s", why);
}

static void world_unmapped(struct portmap_heard *h, enum portmap_protocol p, uint32_t id, bool ok)
{
	upnp_world_of(h)->unmapped++;
	upnp_world_of(h)->unmapped_ok = ok;
}

static void world_stopped(struct portmap_driver *d)
{
	upnp_world_of(d->heard)->stopped++;
}

static struct location location(unsigned host, const char *path)
{
	struct location l = {.host = lan(host, 5000)};

	snprintf(l.path, sizeof(l.path), "%s", path);
	return l;
}

static struct upnp_device device(unsigned host, uint32_t boot)
{
	return (struct upnp_device){.location = location(host, "/root.xml"),
				    .from = lan(host, 0),
				    .has_boot = true,
				    .boot = boot,
				    .server = "Test/1"};
}

static struct addr outside(const char *text)
{
	struct addr a;

	assert_true(addr_from_literal(text, 0, &a));
	return a;
}

/* A device at host 1, which is the gateway, that takes everything. */
static void good_script(void)
{
	memset(script, 0, sizeof(*script));
	for (int i = 0; i < UPNP_DUTIES; i++)
		script->answers[i].ok = true;
	script->answers[UPNP_DISCOVER].device_count = 1;
	script->answers[UPNP_DISCOVER].devices[0] = device(1, 7);
	script->answers[UPNP_INSPECT].mappings =
		(struct upnp_service){.type = "urn:schemas-upnp-org:service:WANIPConnection:1",
				      .control = location(1, "/ctl")};
	script->answers[UPNP_INSPECT].external = outside("45.0.0.10");
	snprintf(script->answers[UPNP_INSPECT].about, UPNP_ABOUT_BYTES, "Box");
	script->answers[UPNP_MAP].external_port = 443;
	script->answers[UPNP_MAP].lease_s = 3600;
	snprintf(script->answers[UPNP_MAP].shown, UPNP_DESCRIPTION_BYTES, "Postern tcp 8443");
	script->answers[UPNP_PINHOLE].lease_s = 3600;
	snprintf(script->answers[UPNP_PINHOLE].uid, UPNP_UID_BYTES, "42");
}

static struct upnp_world *begin(void **state)
{
	static const struct launcher_plan plan = {.name = "postern-upnp", .serve = scripted_worker};
	struct ring_fixture *f = ring_fixture(state);
	struct upnp_world *w = calloc(1, sizeof(*w));
	struct upnp_driver_options options;

	assert_non_null(w);
	good_script();
	*w = (struct upnp_world){
		.heard = {.available = world_available,
			  .unavailable = world_unavailable,
			  .restarted = world_restarted,
			  .external_changed = world_moved,
			  .mapped = world_mapped,
			  .failed = world_failed,
			  .unmapped = world_unmapped},
		.f = f,
		.places = {{.gateway = lan(1, 0), .source = lan(2, 0), .prefix = 24, .index = 2}},
	};
	assert_int_equal(launcher_start(&w->launcher, &plan), 0);
	launcher_follow(&w->launcher, f->r);
	options = (struct upnp_driver_options){
		.ring = f->r, .launcher = &w->launcher, .places = w->places, .heard = &w->heard};
	w->driver = upnp_driver_new(&options);
	assert_non_null(w->driver);
	w->driver->stopped = world_stopped;
	assert_true(w->driver->families[PORTMAP_IPV4]);
	return w;
}

static void end(struct upnp_world *w)
{
	unsigned heard = w->available + w->unavailable + w->mapped + w->failed + w->unmapped;

	w->driver->stop(w->driver);
	for (int i = 0; i < 1000 && !w->stopped; i++)
		run_for(w->f, 2);
	assert_int_equal(w->stopped, 1);
	run_for(w->f, 30);
	assert_int_equal(w->stopped, 1);
	assert_int_equal(w->available + w->unavailable + w->mapped + w->failed + w->unmapped,
			 heard);
	w->driver->release(w->driver);
	while (!launcher_stop(&w->launcher))
		run_for(w->f, 1);
	free(w);
}

static void await_count(struct upnp_world *w, const unsigned *count, unsigned least)
{
	for (int i = 0; i < 2000 && *count < least; i++)
		run_for(w->f, 5);
	assert_true(*count >= least);
}

static void probe(struct upnp_world *w)
{
	unsigned before = w->available + w->unavailable;

	w->driver->probe(w->driver);
	for (int i = 0; i < 2000 && w->available + w->unavailable == before; i++)
		run_for(w->f, 5);
	assert_int_equal(w->available + w->unavailable, before + 1);
}

static struct portmap_request request(void)
{
	return (struct portmap_request){.id = 1,
					.transport = PORTMAP_TCP,
					.internal = lan(2, 8443),
					.external = outside("0.0.0.0"),
					.lifetime_s = 3600,
					.description = "Postern tcp 8443"};
}

/* ---- finding the device ---- */

static void a_gateway_is_found_and_looked_at(void **state)
{
	struct upnp_world *w = begin(state);
	struct addr source = lan(2, 0), gateway = lan(1, 0);

	probe(w);
	assert_int_equal(w->available, 1);
	assert_true(addr_same_host(&w->external, &(struct addr){0}) == false);
	assert_string_equal(w->about, "Box, Test/1");
	assert_int_equal(script->asked[UPNP_DISCOVER], 1);
	assert_true(addr_same_host(&script->last[UPNP_DISCOVER].source, &source));
	assert_true(addr_same_host(&script->last[UPNP_DISCOVER].gateway, &gateway));
	assert_int_equal(script->last[UPNP_DISCOVER].prefix, 24);
	probe(w); /* the device in use is looked at, and no other is searched for */
	assert_int_equal(w->available, 2);
	assert_int_equal(script->asked[UPNP_DISCOVER], 1);
	assert_int_equal(script->asked[UPNP_INSPECT], 2);
	assert_int_equal(script->workers, 1);
	assert_int_equal(w->restarted, 0);
	assert_int_equal(w->moved, 0);
	/* Its address is another one. */
	script->answers[UPNP_INSPECT].external = outside("45.0.0.77");
	probe(w);
	assert_int_equal(w->moved, 1);
	/* Its commands go elsewhere: it restarted. */
	script->answers[UPNP_INSPECT].mappings.control = location(1, "/other");
	probe(w);
	await_count(w, &w->restarted, 1);
	assert_non_null(strstr(w->why, "description is another one"));
	end(w);
}

static void without_a_device_it_is_told_why(void **state)
{
	struct upnp_world *w = begin(state);
	struct upnp_answer *inspect = &script->answers[UPNP_INSPECT];

	script->answers[UPNP_DISCOVER].device_count = 0;
	probe(w);
	assert_int_equal(w->failure, PORTMAP_SILENT);
	assert_non_null(strstr(w->why, "no Internet gateway answers"));
	script->answers[UPNP_DISCOVER].device_count = 2;
	script->answers[UPNP_DISCOVER].devices[1] = device(3, 1);
	*inspect = (struct upnp_answer){.failure = PORTMAP_NO_EXTERNAL, .why = "not connected"};
	probe(w);
	assert_int_equal(script->asked[UPNP_INSPECT], 2); /* both were looked at */
	assert_int_equal(w->unavailable, 2);
	assert_int_equal(w->failure, PORTMAP_NO_EXTERNAL);
	assert_string_equal(w->why, "not connected");
	end(w);
}

/* A device that makes the worker end is left alone, and the next one is taken. */
static void a_device_that_kills_the_worker_is_avoided(void **state)
{
	struct upnp_world *w = begin(state);

	script->answers[UPNP_DISCOVER].device_count = 2;
	script->answers[UPNP_DISCOVER].devices[0] = device(3, 1);
	script->answers[UPNP_DISCOVER].devices[1] = device(1, 7);
	script->dies_at = lan(3, 0);
	probe(w);
	assert_int_equal(w->available, 1);
	assert_int_equal(script->workers, 2); /* each death takes a new one */
	assert_int_equal(script->asked[UPNP_INSPECT], 2);
	/* The one in use dies as well: the search finds only what is avoided. */
	script->dies_at = lan(1, 0);
	probe(w);
	assert_int_equal(w->unavailable, 1);
	assert_int_equal(script->asked[UPNP_INSPECT], 3);
	end(w);
}

/* What is no answer ends the worker, and counts as silence. */
static void a_worker_that_talks_nonsense_is_replaced(void **state)
{
	struct upnp_world *w = begin(state);

	script->manners[UPNP_DISCOVER] = NONSENSE;
	probe(w);
	assert_int_equal(w->unavailable, 1);
	assert_int_equal(w->failure, PORTMAP_SILENT);
	assert_non_null(strstr(w->why, "no answer"));
	script->manners[UPNP_DISCOVER] = WRONG_NUMBER;
	probe(w);
	assert_int_equal(w->unavailable, 2);
	script->manners[UPNP_DISCOVER] = ANSWERS;
	probe(w);
	assert_int_equal(w->available, 1);
	assert_int_equal(script->workers, 3);
	end(w);
}

/* ---- mappings ---- */

static void a_mapping_is_made_and_deleted(void **state)
{
	struct upnp_world *w = begin(state);
	struct portmap_request r = request();
	const struct upnp_request *asked = &script->last[UPNP_MAP];

	w->driver->map(w->driver, &r); /* before there is a device */
	await_count(w, &w->failed, 1);
	assert_int_equal(w->failure, PORTMAP_SILENT);
	probe(w);
	w->driver->map(w->driver, &r);
	assert_int_equal(w->mapped, 0); /* never from inside a call */
	await_count(w, &w->mapped, 1);
	assert_int_equal(addr_port(&w->external), 443);
	assert_int_equal(w->lifetime_s, 3600);
	assert_int_equal(asked->external_port, 8443); /* never port 0 */
	assert_string_equal(asked->service.control.path, "/ctl");
	assert_string_equal(asked->shown, "");
	addr_set_port(&r.external, 443);
	r.prefer_failure = r.moved = true;
	w->driver->map(w->driver, &r);
	await_count(w, &w->mapped, 2);
	assert_int_equal(asked->external_port, 443);
	assert_true(asked->fixed);
	assert_true(asked->moved);
	assert_string_equal(asked->shown, "Postern tcp 8443"); /* as the gateway showed it */
	w->driver->unmap(w->driver, &r);
	await_count(w, &w->unmapped, 1);
	assert_true(w->unmapped_ok);
	assert_int_equal(script->asked[UPNP_UNMAP], 1);
	assert_string_equal(script->last[UPNP_UNMAP].shown, "Postern tcp 8443");
	end(w);
}

/* A low port inside is not asked for outside where any port will do. */
static void a_low_port_is_not_asked_for_by_chance(void **state)
{
	struct upnp_world *w = begin(state);
	struct portmap_request r = request();

	probe(w);
	addr_set_port(&r.internal, 443);
	w->driver->map(w->driver, &r);
	await_count(w, &w->mapped, 1);
	assert_int_equal(script->last[UPNP_MAP].external_port, 49152 + 443);
	end(w);
}

/* A refusal is told as it is; silence also means that the device is looked for anew. */
static void refusals_and_silence_differ(void **state)
{
	struct upnp_world *w = begin(state);
	struct portmap_request r = request();

	probe(w);
	script->answers[UPNP_MAP] =
		(struct upnp_answer){.failure = PORTMAP_CONFLICT, .why = "another's (718)"};
	w->driver->map(w->driver, &r);
	await_count(w, &w->failed, 1);
	assert_int_equal(w->failure, PORTMAP_CONFLICT);
	assert_string_equal(w->why, "another's (718)");
	run_for(w->f, 100);
	assert_int_equal(script->asked[UPNP_DISCOVER], 1);
	script->answers[UPNP_MAP] =
		(struct upnp_answer){.failure = PORTMAP_SILENT, .why = "no answer"};
	w->driver->map(w->driver, &r);
	await_count(w, &w->failed, 2);
	await_count(w, &w->available, 2);
	assert_int_equal(script->asked[UPNP_DISCOVER], 2);
	/* Silence to a deletion is no deletion; a refusal is as good as one. */
	script->answers[UPNP_UNMAP] =
		(struct upnp_answer){.failure = PORTMAP_REFUSED, .why = "606"};
	w->driver->unmap(w->driver, &r);
	await_count(w, &w->unmapped, 1);
	assert_true(w->unmapped_ok);
	script->answers[UPNP_UNMAP].failure = PORTMAP_SILENT;
	w->driver->unmap(w->driver, &r);
	await_count(w, &w->unmapped, 2);
	assert_false(w->unmapped_ok);
	end(w);
}

/* Nothing is heard of what was forgotten; and of two requests for one id only the last. */
static void what_is_forgotten_is_not_told(void **state)
{
	struct upnp_world *w = begin(state);
	struct portmap_request r = request();

	probe(w);
	w->driver->map(w->driver, &r);
	w->driver->forget(w->driver, 1);
	run_for(w->f, 100);
	assert_int_equal(script->asked[UPNP_MAP], 0); /* it had not even gone out */
	script->delay_us = 60000;
	w->driver->map(w->driver, &r);
	for (int i = 0; i < 1000 && script->asked[UPNP_MAP] == 0; i++)
		run_for(w->f, 1);
	w->driver->forget(w->driver, 1);
	run_for(w->f, 150);
	assert_int_equal(w->mapped + w->failed, 0);
	script->delay_us = 0;
	w->driver->map(w->driver, &r);
	addr_set_port(&r.external, 9999);
	w->driver->map(w->driver, &r);
	await_count(w, &w->mapped, 1);
	run_for(w->f, 100);
	assert_int_equal(w->mapped, 1);
	assert_int_equal(script->last[UPNP_MAP].external_port, 9999);
	/* Asked otherwise while the worker is at it: the answer to what was asked before is none.
	 */
	unsigned asked = script->asked[UPNP_MAP];
	script->delay_us = 60000;
	w->driver->map(w->driver, &r);
	for (int i = 0; i < 1000 && script->asked[UPNP_MAP] == asked; i++)
		run_for(w->f, 1);
	addr_set_port(&r.external, 9998);
	w->driver->map(w->driver, &r);
	await_count(w, &w->mapped, 2);
	assert_int_equal(script->last[UPNP_MAP].external_port, 9998);
	run_for(w->f, 150);
	assert_int_equal(w->mapped, 2);
	end(w);
}

/* ---- announcements ---- */

/* What the device of this host announces of itself. */
static void announce(unsigned host, enum ssdp_kind kind, uint32_t boot)
{
	struct ssdp_message m = {.kind = kind,
				 .location = location(host, "/root.xml"),
				 .has_boot = true,
				 .boot = boot};
	struct addr from = lan(host, 1900);

	assert_non_null(listener);
	listener->heard(listener, &from, &m);
}

/* The device in use restarts: told once it was looked at again. */
static void an_announced_restart_is_followed(void **state)
{
	struct upnp_world *w = begin(state);

	probe(w);
	announce(1, SSDP_ALIVE, 7); /* as it is known: nothing to look at */
	run_for(w->f, 100);
	assert_int_equal(script->asked[UPNP_INSPECT], 1);
	announce(1, SSDP_ALIVE, 8);
	await_count(w, &w->restarted, 1);
	assert_non_null(strstr(w->why, "BOOTID 8"));
	assert_int_equal(w->available, 2);
	assert_int_equal(script->asked[UPNP_DISCOVER], 1); /* it is told where it is */
	end(w);
}

/* It says good-bye and works all the same; then it says good-bye, and that it is back. */
static void going_and_coming_back_is_a_restart(void **state)
{
	struct upnp_world *w = begin(state);

	probe(w);
	announce(1, SSDP_BYEBYE, 7);
	await_count(w, &w->available, 2);
	assert_int_equal(w->restarted, 0);
	announce(1, SSDP_BYEBYE, 7);
	announce(1, SSDP_ALIVE, 7); /* the same as before, but it was away */
	await_count(w, &w->restarted, 1);
	assert_non_null(strstr(w->why, "went away and came back"));
	end(w);
}

/* Another host's announcement leads to nothing, also one that names the device in use. */
static void strangers_announcements_lead_to_nothing(void **state)
{
	struct upnp_world *w = begin(state);
	struct ssdp_message m = {
		.kind = SSDP_ALIVE, .location = location(3, "/evil.xml"), .has_boot = true};
	struct addr from = lan(9, 1900);

	probe(w);
	listener->heard(listener, &from, &m); /* not its own place */
	m.location = location(1, "/root.xml");
	assert_true(addr_from_literal("8.8.8.8", 1900, &from)); /* not of this LAN */
	listener->heard(listener, &from, &m);
	announce(9, SSDP_ALIVE, 99);
	announce(9, SSDP_BYEBYE, 99);
	run_for(w->f, 200);
	assert_int_equal(script->asked[UPNP_INSPECT], 1);
	assert_int_equal(script->asked[UPNP_DISCOVER], 1);
	end(w);
}

/* Many announcements are followed at growing intervals. */
static void a_flood_of_announcements_is_slowed_down(void **state)
{
	struct upnp_world *w = begin(state);

	probe(w);
	for (unsigned i = 0; i < 100; i++) {
		announce(1, SSDP_ALIVE, 100 + i);
		run_for(w->f, 10);
	}
	run_for(w->f, 200);
	assert_in_range(script->asked[UPNP_INSPECT], 2, 4); /* the first at once */
	end(w);
}

/* ---- the channel alone ---- */

static unsigned answers, deaths;
static char last_why[PORTMAP_TEXT_BYTES];

static void channel_answered(struct upnp_channel *c, const struct upnp_answer *a, bool died)
{
	answers++;
	deaths += died;
	snprintf(last_why, sizeof(last_why), "%s", a->why);
}

static void silent_worker(int fd)
{
	char c;

	while (read(fd, &c, 1) == 1)
		;
}

/* A worker that hangs is given up after the request's own time and CHANNEL_PATIENCE_MS. */
static void a_worker_that_hangs_is_given_up(void **state)
{
	static const struct launcher_plan plan = {.name = "postern-upnp", .serve = silent_worker};
	struct ring_fixture *f = ring_fixture(state);
	struct upnp_request r = {.duty = UPNP_DISCOVER, .wait_ms = 100};
	struct launcher launcher = {.fd = -1};
	struct upnp_channel c = {.ring = f->r, .launcher = &launcher, .answered = channel_answered};

	answers = deaths = 0;
	r.source = lan(2, 0);
	r.gateway = lan(1, 0);
	r.prefix = 24;
	r.index = 1;
	assert_int_equal(launcher_start(&launcher, &plan), 0);
	launcher_follow(&launcher, f->r);
	upnp_channel_init(&c);
	upnp_channel_ask(&c, &r);
	assert_true(upnp_channel_busy(&c));
	run_for(f, CHANNEL_PATIENCE_MS - 200);
	assert_int_equal(answers, 0);
	run_for(f, 600);
	assert_int_equal(answers, 1);
	assert_int_equal(deaths, 1);
	assert_int_equal(c.deaths, 1);
	assert_non_null(strstr(last_why, "did not come back in time"));
	assert_false(upnp_channel_busy(&c));
	upnp_channel_ask(&c, &r); /* one that is stopped answers no more */
	while (!upnp_channel_stop(&c))
		run_for(f, 1);
	run_for(f, 50);
	assert_int_equal(answers, 1);
	while (!launcher_stop(&launcher))
		run_for(f, 1);
}

static int make_script(void **state)
{
	script = mmap(NULL, sizeof(*script), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	return script == MAP_FAILED ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(a_gateway_is_found_and_looked_at),
		RING_TEST(without_a_device_it_is_told_why),
		RING_TEST(a_device_that_kills_the_worker_is_avoided),
		RING_TEST(a_worker_that_talks_nonsense_is_replaced),
		RING_TEST(a_mapping_is_made_and_deleted),
		RING_TEST(a_low_port_is_not_asked_for_by_chance),
		RING_TEST(refusals_and_silence_differ),
		RING_TEST(what_is_forgotten_is_not_told),
		RING_TEST(an_announced_restart_is_followed),
		RING_TEST(going_and_coming_back_is_a_restart),
		RING_TEST(strangers_announcements_lead_to_nothing),
		RING_TEST(a_flood_of_announcements_is_slowed_down),
		RING_TEST(a_worker_that_hangs_is_given_up),
	};

	return cmocka_run_group_tests(tests, make_script, NULL);
}
