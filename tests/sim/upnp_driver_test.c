/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upnp_driver_test: natd's end of UPnP: the driver, its control points, and the channel to a worker
 * that answers as a test tells it to. In place of listener.c the test tells what was announced, and
 * in place of launcher.c workers run on the ring of the test.
 *
 * links: upnp/driver/driver.c upnp/driver/control_point.c upnp/driver/channel.c upnp/messages.c
 * links: upnp/location.c upnp/responders.c core/lines.c core/outbox.c core/addr.c core/log*.c
 * links: core/ring.c core/buffers.c core/timer.c portmap/gateway/driver.c
 * links: tests/support/ring_fixture_world.c tests/world/calls.c tests/world/kernel.c
 * links: tests/world/memory.c tests/world/packet.c tests/world/pipes.c tests/world/ring_sim.c
 * links: tests/world/store.c tests/world/stream.c tests/world/stream_connect.c tests/world/world.c
 * links: core/memory.c upnp/ssdp.c core/parse/text.c
 */
#include "tests/support/ring_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/container.h"
#include "upnp/driver/channel.h"
#include "upnp/driver/driver.h"
#include "upnp/driver/listener.h"

#define GATEWAY "urn:schemas-upnp-org:device:InternetGatewayDevice:1"

/* ---- a worker that does as it is told ---- */

enum manners { ANSWERS, DIES, NONSENSE, WRONG_NUMBER, HANGS };

static struct script {
	enum manners manners[UPNP_DUTIES];
	struct upnp_answer answers[UPNP_DUTIES];
	struct addr dies_at; /* INSPECT of this host ends the worker; len 0: none */
	struct upnp_request last[UPNP_DUTIES];
	const char *dead_path; /* INSPECT of it finds nothing; NULL: none */
	bool no_pinholes;      /* no device has them; over IPv6 none answers a search anyway */
	unsigned delay_ms;     /* before an answer */
	unsigned asked[UPNP_DUTIES], workers;
} the_script, *const script = &the_script;

struct worker {
	struct ring_op op; /* first */
	struct timer answer;
	struct launcher *launcher;
	struct worker *next;
	int fd;
	uint32_t number;
	bool ending;
	char line[UPNP_LINE_MAX], *out;
	size_t have, out_len;
};

static struct worker *workers;

/* Its socket is closed and it is freed as soon as the ring does not look at it any more. */
static void worker_end(struct worker *w)
{
	struct worker **at = &workers;

	w->ending = true;
	ring_timer_cancel(w->launcher->ring, &w->answer);
	if (ring_op_busy(&w->op)) {
		ring_cancel(w->launcher->ring, &w->op);
		return;
	}
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	ring_close_fd(w->launcher->ring, w->fd);
	free(w->out);
	free(w);
}

static void worker_reads(struct worker *w)
{
	ring_recv(w->launcher->ring, &w->op, w->fd, w->line + w->have, sizeof(w->line) - w->have);
}

static void worker_answers(struct timer *t, uint64_t now_ms)
{
	struct worker *w = container(t, struct worker, answer);

	assert_int_equal(send(w->fd, w->out, w->out_len, MSG_NOSIGNAL), w->out_len);
	free(w->out);
	w->out = NULL;
}

/* False: the worker ends. */
static bool worker_serves(struct worker *w, size_t len)
{
	struct upnp_request r;
	struct upnp_answer a;

	if (!upnp_request_read(w->line, len, &r))
		return false;
	script->last[r.duty] = r;
	script->asked[r.duty]++;
	if (script->manners[r.duty] == DIES ||
	    (r.duty == UPNP_INSPECT && addr_same_host(&r.location.host, &script->dies_at)))
		return false;
	if (script->manners[r.duty] == HANGS)
		return true;
	if (script->manners[r.duty] == NONSENSE)
		return send(w->fd, "what?\n", 6, MSG_NOSIGNAL) == 6;
	a = script->answers[r.duty];
	if (r.duty == UPNP_INSPECT && script->dead_path &&
	    strcmp(r.location.path, script->dead_path) == 0)
		a = (struct upnp_answer){.failure = PORTMAP_SILENT, .why = "nothing is there"};
	if (r.duty == UPNP_INSPECT && r.pinholes && script->no_pinholes)
		a = (struct upnp_answer){.failure = PORTMAP_UNSUPPORTED, .why = "no pinholes"};
	if (r.duty == UPNP_DISCOVER && r.source.sa.sa_family == AF_INET6)
		a.device_count = 0;
	a.number = r.number + (script->manners[r.duty] == WRONG_NUMBER);
	w->out = upnp_answer_line(r.duty, &a, &w->out_len);
	assert_non_null(w->out);
	ring_timer_set(w->launcher->ring, &w->answer, script->delay_ms);
	return true;
}

static void worker_received(struct ring_op *op, int res)
{
	struct worker *w = (struct worker *)op;
	char *end;

	w->have += res > 0 ? (size_t)res : 0;
	end = memchr(w->line, '\n', w->have);
	if (w->ending || res <= 0 || (end && !worker_serves(w, (size_t)(end - w->line)))) {
		worker_end(w);
		return;
	}
	if (end)
		w->have = 0;
	worker_reads(w);
}

/* ---- in place of launcher.c ---- */

int launcher_serve(struct launcher *l, uint32_t deadline_ms, int *fd, uint32_t *number)
{
	struct worker *w = calloc(1, sizeof(*w));
	int pair[2];

	assert_non_null(w);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
			 0);
	w->launcher = l;
	w->next = workers;
	w->fd = pair[1];
	w->number = *number = ++l->last;
	w->op.done = worker_received;
	w->answer.fire = worker_answers;
	workers = w;
	script->workers++;
	*fd = pair[0];
	worker_reads(w);
	return 0;
}

void launcher_kill(struct launcher *l, uint32_t number)
{
	for (struct worker *w = workers; w; w = w->next)
		if (w->number == number) {
			worker_end(w);
			return;
		}
}

bool launcher_stop(struct launcher *l)
{
	if (workers)
		worker_end(workers);
	return !workers;
}

/* ---- in place of listener.c ---- */

static struct upnp_listener *listener; /* NULL: none is open */

int upnp_listener_start(struct upnp_listener *l, int family, unsigned index)
{
	assert_int_equal(index, 2);
	if (family == AF_INET)
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
	unsigned available, unavailable, restarted, moved, mapped, failed, seen, unmapped, stopped;
	unsigned available6, unavailable6, restarted6; /* of these for IPv6 */
	bool unmapped_ok, seen_there;
	enum portmap_failure failure;
	struct addr external, inside;
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
	w->available6 += f == PORTMAP_IPV6;
	if (f == PORTMAP_IPV4)
		w->external = g->external;
	snprintf(w->about, sizeof(w->about), "%s", g->about);
}

static void world_unavailable(struct portmap_heard *h, enum portmap_protocol p,
			      enum portmap_family f, enum portmap_failure failure, const char *why)
{
	struct upnp_world *w = upnp_world_of(h);

	w->unavailable++;
	w->unavailable6 += f == PORTMAP_IPV6;
	w->failure = failure;
	snprintf(w->why, sizeof(w->why), "%s", why);
}

static void world_restarted(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			    const char *why)
{
	struct upnp_world *w = upnp_world_of(h);

	w->restarted++;
	w->restarted6 += f == PORTMAP_IPV6;
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
			 const struct portmap_refusal *refusal)
{
	struct upnp_world *w = upnp_world_of(h);

	w->failed++;
	w->failure = refusal->failure;
	w->inside = refusal->inside;
	snprintf(w->why, sizeof(w->why), "%s", refusal->why);
}

static void world_seen(struct portmap_heard *h, enum portmap_protocol p, uint32_t id, bool there)
{
	assert_int_equal(id, 1);
	upnp_world_of(h)->seen++;
	upnp_world_of(h)->seen_there = there;
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
				    .meaning = SSDP_GATEWAY,
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
	script->answers[UPNP_INSPECT].pinholes = (struct upnp_service){
		.type = "urn:schemas-upnp-org:service:WANIPv6FirewallControl:1",
		.control = location(1, "/6fc")};
	script->answers[UPNP_INSPECT].external = outside("45.0.0.10");
	snprintf(script->answers[UPNP_INSPECT].about, UPNP_ABOUT_BYTES, "Box");
	script->answers[UPNP_MAP].external_port = 443;
	script->answers[UPNP_MAP].lease_s = 3600;
	snprintf(script->answers[UPNP_MAP].shown, UPNP_DESCRIPTION_BYTES, "Postern tcp 8443");
	script->answers[UPNP_PINHOLE].lease_s = 3600;
	snprintf(script->answers[UPNP_PINHOLE].uid, UPNP_UID_BYTES, "42");
}

static struct upnp_world *begin_with(void **state, const struct portmap_place *six)
{
	struct ring_fixture *f = ring_fixture(state);
	struct upnp_world *w = calloc(1, sizeof(*w));
	struct upnp_driver_options options;

	assert_non_null(w);
	workers = NULL; /* of a test that failed */
	good_script();
	*w = (struct upnp_world){
		.heard = {.available = world_available,
			  .unavailable = world_unavailable,
			  .restarted = world_restarted,
			  .external_changed = world_moved,
			  .mapped = world_mapped,
			  .failed = world_failed,
			  .seen = world_seen,
			  .unmapped = world_unmapped},
		.f = f,
		.places = {{.gateway = lan(1, 0), .source = lan(2, 0), .prefix = 24, .index = 2},
			   *six},
	};
	w->launcher.ring = f->r;
	options = (struct upnp_driver_options){
		.ring = f->r, .launcher = &w->launcher, .places = w->places, .heard = &w->heard};
	w->driver = upnp_driver_new(&options);
	assert_non_null(w->driver);
	w->driver->stopped = world_stopped;
	assert_true(w->driver->families[PORTMAP_IPV4]);
	return w;
}

static struct upnp_world *begin(void **state)
{
	return begin_with(state, &(struct portmap_place){.index = 0});
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

/* While it is there its address alone is asked for; what does not answer to that is looked at, and
 * a probe that comes in between is not forgotten. */
static void the_external_address_is_asked_for_alone(void **state)
{
	struct upnp_world *w = begin(state);
	struct addr other = outside("45.0.0.77");

	w->driver->ask_external(w->driver); /* nobody is there to be asked */
	probe(w);
	assert_int_equal(script->asked[UPNP_ADDRESS], 0);
	script->answers[UPNP_ADDRESS].external = outside("45.0.0.10");
	w->driver->ask_external(w->driver);
	w->driver->ask_external(w->driver); /* harmless while it does */
	run_for(w->f, 500);
	assert_int_equal(script->asked[UPNP_ADDRESS], 1);
	assert_int_equal(w->moved, 0);
	script->answers[UPNP_ADDRESS].external = other;
	w->driver->ask_external(w->driver);
	run_for(w->f, 500);
	assert_int_equal(w->moved, 1);
	assert_true(addr_same_host(&w->external, &other));
	assert_int_equal(script->asked[UPNP_INSPECT], 1);
	w->driver->ask_external(w->driver);
	w->driver->probe(w->driver);
	await_count(w, &w->available, 2);
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

/* Reading a mapping back changes nothing; without an answer nothing is known of it. */
static void a_mapping_is_read_back(void **state)
{
	struct upnp_world *w = begin(state);
	struct portmap_request r = request();
	const struct upnp_request *asked = &script->last[UPNP_LOOK];

	probe(w);
	w->driver->map(w->driver, &r);
	await_count(w, &w->mapped, 1);
	addr_set_port(&r.external, 443);
	script->answers[UPNP_LOOK].there = true;
	w->driver->look(w->driver, &r);
	assert_int_equal(w->seen, 0); /* never from inside a call */
	await_count(w, &w->seen, 1);
	assert_true(w->seen_there);
	assert_int_equal(asked->external_port, 443);
	assert_int_equal(addr_port(&asked->internal), 8443);
	assert_string_equal(asked->service.control.path, "/ctl");
	assert_string_equal(asked->shown, "Postern tcp 8443");
	script->answers[UPNP_LOOK].there = false;
	w->driver->look(w->driver, &r);
	await_count(w, &w->seen, 2);
	assert_false(w->seen_there);
	/* Of what was forgotten meanwhile nothing is told. */
	w->driver->look(w->driver, &r);
	w->driver->forget(w->driver, r.id);
	run_for(w->f, 200);
	assert_int_equal(w->seen, 2);
	assert_int_equal(w->failed, 0);
	script->answers[UPNP_LOOK] =
		(struct upnp_answer){.failure = PORTMAP_SILENT, .why = "no answer"};
	w->driver->look(w->driver, &r);
	await_count(w, &w->failed, 1);
	assert_int_equal(w->failure, PORTMAP_SILENT);
	assert_int_equal(w->seen, 2);
	assert_int_equal(script->asked[UPNP_MAP], 1);
	assert_int_equal(script->asked[UPNP_UNMAP], 0);
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
	/* What was made otherwise than asked is told with where it leads. */
	script->answers[UPNP_MAP] = (struct upnp_answer){.failure = PORTMAP_MISDIRECTED,
							 .why = "not there",
							 .inside = lan(2, 8443),
							 .external_port = 8443};
	w->driver->map(w->driver, &r);
	await_count(w, &w->failed, 2);
	assert_int_equal(w->failure, PORTMAP_MISDIRECTED);
	assert_int_equal(addr_port(&w->inside), 8443);
	script->answers[UPNP_MAP] =
		(struct upnp_answer){.failure = PORTMAP_SILENT, .why = "no answer"};
	w->driver->map(w->driver, &r);
	await_count(w, &w->failed, 3);
	await_count(w, &w->available, 2);
	assert_int_equal(script->asked[UPNP_DISCOVER], 2);
	/* Neither silence nor a refusal is a deletion. */
	script->answers[UPNP_UNMAP] =
		(struct upnp_answer){.failure = PORTMAP_REFUSED, .why = "606"};
	w->driver->unmap(w->driver, &r);
	await_count(w, &w->unmapped, 1);
	assert_false(w->unmapped_ok);
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
	script->delay_ms = 60;
	w->driver->map(w->driver, &r);
	for (int i = 0; i < 1000 && script->asked[UPNP_MAP] == 0; i++)
		run_for(w->f, 1);
	w->driver->forget(w->driver, 1);
	run_for(w->f, 150);
	assert_int_equal(w->mapped + w->failed, 0);
	script->delay_ms = 0;
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
	script->delay_ms = 60;
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
				 .target = GATEWAY,
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
	struct ssdp_message m = {.kind = SSDP_ALIVE,
				 .target = GATEWAY,
				 .location = location(3, "/evil.xml"),
				 .has_boot = true};
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

/* Where no device is in use an announcement is followed to the place that announces it, only. */
static void a_device_that_is_announced_is_looked_at(void **state)
{
	struct upnp_world *w = begin(state);
	struct ssdp_message m = {
		.kind = SSDP_ALIVE, .target = GATEWAY, .location = location(3, "/root.xml")};
	struct addr from = lan(9, 1900);

	listener->heard(listener, &from, &m);
	run_for(w->f, 200);
	assert_int_equal(script->asked[UPNP_INSPECT], 0);
	announce(1, SSDP_ALIVE, 7);
	await_count(w, &w->available, 1);
	assert_int_equal(script->asked[UPNP_DISCOVER], 0);
	end(w);
}

/* One in the device's name, which leads nowhere, takes nothing away from it. */
static void a_forged_announcement_takes_nothing_away(void **state)
{
	struct upnp_world *w = begin(state);
	struct ssdp_message m = {.kind = SSDP_ALIVE,
				 .target = GATEWAY,
				 .location = location(1, "/gone.xml"),
				 .has_boot = true,
				 .boot = 9};
	struct addr from = lan(1, 1900);

	probe(w);
	script->dead_path = "/gone.xml";
	listener->heard(listener, &from, &m);
	await_count(w, &w->available, 2);
	assert_int_equal(w->unavailable, 0);
	assert_int_equal(script->asked[UPNP_INSPECT], 3); /* the forged place, and the true one */
	end(w);
}

static void announce_as(const char *target, unsigned host, const char *path, enum ssdp_kind kind)
{
	struct ssdp_message m = {.kind = kind, .location = location(host, path)};
	struct addr from = lan(host, 1900);

	snprintf(m.target, sizeof(m.target), "%s", target);
	listener->heard(listener, &from, &m);
}

/* What else is on the gateway's address comes and goes without a word about the gateway. */
static void what_is_beside_the_gateway_is_not_it(void **state)
{
	static const char tr_064[] = "urn:dslforum-org:device:InternetGatewayDevice:1";
	struct upnp_world *w = begin(state);

	probe(w);
	announce_as("upnp:rootdevice", 1, "/media.xml", SSDP_BYEBYE);
	announce_as("upnp:rootdevice", 1, "/media.xml", SSDP_ALIVE);
	announce_as(tr_064, 1, "/tr64.xml", SSDP_BYEBYE);
	announce_as(tr_064, 1, "/tr64.xml", SSDP_ALIVE);
	announce(1, SSDP_ALIVE, 7);
	run_for(w->f, 2000);
	assert_int_equal(script->asked[UPNP_INSPECT], 1);
	assert_int_equal(w->restarted, 0);
	end(w);
}

/* One that is named by no kind of device is looked at where it is the gateway. */
static void a_gateway_may_announce_itself_as_any_device(void **state)
{
	struct upnp_world *w = begin(state);

	announce_as("upnp:rootdevice", 3, "/tv.xml", SSDP_ALIVE);
	announce_as("upnp:rootdevice", 1, "/root.xml", SSDP_BYEBYE);
	run_for(w->f, 2000);
	assert_int_equal(script->asked[UPNP_INSPECT], 0);
	announce_as("upnp:rootdevice", 1, "/root.xml", SSDP_ALIVE);
	await_count(w, &w->available, 1);
	assert_int_equal(script->asked[UPNP_INSPECT], 1);
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
	for (unsigned i = 0; i < 600; i++) {
		announce(1, SSDP_ALIVE, 1000 + i);
		run_for(w->f, 1000);
	}
	assert_in_range(script->asked[UPNP_INSPECT], 8, 20);
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

/* A worker that hangs is given up after the request's own time and CHANNEL_PATIENCE_MS. */
static void a_worker_that_hangs_is_given_up(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct upnp_request r = {.duty = UPNP_DISCOVER, .wait_ms = 100};
	struct launcher launcher = {.ring = f->r};
	struct upnp_channel c = {.ring = f->r, .launcher = &launcher, .answered = channel_answered};

	answers = deaths = 0;
	r.source = lan(2, 0);
	r.gateway = lan(1, 0);
	r.prefix = 24;
	r.index = 1;
	good_script();
	script->manners[UPNP_DISCOVER] = HANGS;
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

/* ---- IPv6 over IPv4 ---- */

static struct upnp_world *begin6(void **state)
{
	const struct portmap_place six = {.gateway = outside("fe80::1"),
					  .source = outside("2001:db8::2"),
					  .prefix = 64,
					  .index = 2};

	return begin_with(state, &six);
}

/* A gateway whose IPv6 firewall takes its commands over IPv4 alone. */
static void pinholes_are_asked_for_over_ipv4_where_no_device_answers_over_ipv6(void **state)
{
	struct upnp_world *w = begin6(state);
	struct portmap_request r = request();
	struct addr four = lan(2, 0), inside = outside("2001:db8::2");

	w->driver->probe(w->driver);
	await_count(w, &w->available6, 1);
	assert_true(script->last[UPNP_INSPECT].pinholes);
	assert_true(addr_same_host(&script->last[UPNP_INSPECT].source, &four));
	assert_int_equal(script->asked[UPNP_DISCOVER], 2);
	addr_set_port(&inside, 8443);
	r.internal = inside;
	r.external = inside;
	w->driver->map(w->driver, &r);
	await_count(w, &w->mapped, 1);
	assert_int_equal(script->asked[UPNP_PINHOLE], 1);
	assert_true(addr_same_host(&script->last[UPNP_PINHOLE].source, &four));
	assert_true(addr_equal(&script->last[UPNP_PINHOLE].internal, &inside));
	assert_true(addr_equal(&w->external, &inside));
	/* A restart that is told over IPv4 is this one's as well. */
	announce(1, SSDP_ALIVE, 8);
	await_count(w, &w->restarted6, 1);
	assert_int_equal(w->restarted, 2);
	end(w);
}

static void a_gateway_without_pinholes_is_looked_at_once(void **state)
{
	struct upnp_world *w = begin6(state);

	script->no_pinholes = true;
	w->driver->probe(w->driver);
	await_count(w, &w->unavailable6, 1);
	assert_int_equal(w->failure, PORTMAP_UNSUPPORTED);
	assert_string_equal(w->why, "no pinholes");
	run_for(w->f, 2000);
	assert_int_equal(script->asked[UPNP_INSPECT], 2);
	assert_int_equal(w->unavailable, 1);
	end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(a_gateway_is_found_and_looked_at),
		RING_TEST(without_a_device_it_is_told_why),
		RING_TEST(a_device_that_kills_the_worker_is_avoided),
		RING_TEST(a_worker_that_talks_nonsense_is_replaced),
		RING_TEST(the_external_address_is_asked_for_alone),
		RING_TEST(a_mapping_is_made_and_deleted),
		RING_TEST(a_mapping_is_read_back),
		RING_TEST(a_low_port_is_not_asked_for_by_chance),
		RING_TEST(refusals_and_silence_differ),
		RING_TEST(what_is_forgotten_is_not_told),
		RING_TEST(an_announced_restart_is_followed),
		RING_TEST(going_and_coming_back_is_a_restart),
		RING_TEST(strangers_announcements_lead_to_nothing),
		RING_TEST(a_device_that_is_announced_is_looked_at),
		RING_TEST(a_forged_announcement_takes_nothing_away),
		RING_TEST(pinholes_are_asked_for_over_ipv4_where_no_device_answers_over_ipv6),
		RING_TEST(a_gateway_without_pinholes_is_looked_at_once),
		RING_TEST(what_is_beside_the_gateway_is_not_it),
		RING_TEST(a_gateway_may_announce_itself_as_any_device),
		RING_TEST(a_flood_of_announcements_is_slowed_down),
		RING_TEST(a_worker_that_hangs_is_given_up),
	};

	return RING_TESTS_RUN(tests);
}
