/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pressure_world: peers that take more than a share: of memory, of connections, of the front door.
 * Others must not feel it, and what one can take is bounded.
 */
#include <stdio.h>

#include "relay/session/session.h"
#include "tests/world/pipes.h"
#include "tests/world/rogue.h"
#include "tests/world/stage.h"
#include "tests/world/worlds.h"

static bool never(void *unused)
{
	return false;
}

static struct relay_totals totals(void)
{
	struct relay_totals t;

	k_enter(stage.relays[0].program);
	t = relay_totals(&stage.relays[0].relay);
	k_enter(NULL);
	return t;
}

/* ---- a peer that sends and does not read ---- */

#define OUTPUT_MOST (640u << 10) /* that a link may make the relay keep, beside a talk */

/* What it says again and again: PING, or all services that it could have. */
static struct wire_message without_end(void)
{
	static char names[WIRE_SERVICES_MAX][WIRE_NAME_MAX + 1];
	struct wire_message m = {.type = WIRE_PING, .ping.token = 7};

	if (dice_chance(&world_dice, 500))
		return m;
	m = (struct wire_message){.type = WIRE_PUBLISH, .publish.count = WIRE_SERVICES_MAX};
	for (unsigned i = 0; i < WIRE_SERVICES_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "%060u", i);
		m.publish.services[i] = wire_text(names[i]);
	}
	return m;
}

void world_deaf_link(void)
{
	static struct rogue rogue;
	static uint8_t said[WIRE_FRAME_MAX];
	struct wire_message m = without_end();
	struct addr to;
	size_t len, before;
	int64_t used;

	stage_set(1, "");
	to = stage_front_door(0);
	k_cable_set(stage.relay_hosts[0], stage.internet, 1000, 100);
	rogue_come(&rogue, &stage.visitors, ADMIN, WIRE_HELLO_TRANSIENT, &to);
	rogue.deaf = true;
	(void)world_until(rogue_settled, &rogue, 20 * SECOND);
	if (!rogue.signed_in)
		world_broken("the rogue was not let in");
	before = stage.relays[0].program->memory_bytes;
	stage.relays[0].program->memory_most = before;
	used = stage.relays[0].relay.memory.used;
	len = wire_encode(&m, said, sizeof(said));
	rogue_say(&rogue, said, len, (8u << 20) / len);
	(void)stage_talk(5 * SECOND, 50000);
	world_run(60 * SECOND);
	world_check(stage.relays[0].relay.memory.used > used - (64 << 10), "accounts",
		    "a link that says %s without end makes the relay count %lld bytes less",
		    wire_type_name(m.type), (long long)(used - stage.relays[0].relay.memory.used));
	world_check(stage.relays[0].program->memory_most - before < OUTPUT_MOST, "output-bounded",
		    "a link that does not read made the relay keep %zu bytes",
		    stage.relays[0].program->memory_most - before);
	(void)world_until(talks_over, NULL, 60 * SECOND);
	talks_judge();
	rogue_leave(&rogue);
	stage_clear();
}

/* ---- a slow receiver ---- */

#define SLOW_BYTES  (8u << 20)
#define SLOW_MEMORY (24u << 20)

void world_slow_receiver(void)
{
	struct talk *slow, *quick[8];
	size_t before;

	stage_set(1, "");
	before = stage.relays[0].program->memory_bytes;
	stage.relays[0].program->memory_most = before;
	slow = stage_talk_from(&stage.at_laptop, SLOW_BYTES, 100);
	slow->side[1].plan.pause_at = 100000;
	slow->side[1].plan.pause_us = 60 * SECOND;
	world_run(5 * SECOND);
	for (unsigned i = 0; i < 8; i++)
		quick[i] = stage_talk_from(i % 2 ? &stage.at_guest : &stage.visitors, 3000, 40000);
	world_run(20 * SECOND);
	for (unsigned i = 0; i < 8; i++)
		world_check(talk_over(quick[i]), "others-unharmed",
			    "talk %u is not through after 20 s, beside one that does not read",
			    quick[i]->id);
	world_check(!talk_over(slow), "backpressure",
		    "the sender did not wait for the slow receiver");
	world_check(slow->side[0].sent < SLOW_BYTES / 2, "backpressure",
		    "%llu bytes were taken from the sender, and the receiver reads nothing",
		    (unsigned long long)slow->side[0].sent);
	(void)world_until(talks_over, NULL, 300 * SECOND);
	world_check(stage.relays[0].program->memory_most - before < SLOW_MEMORY, "memory-bounded",
		    "a slow receiver made the relay keep %zu bytes",
		    stage.relays[0].program->memory_most - before);
	/* No copy is made of what comes in bulk. */
	world_check(k_spliced > SLOW_BYTES / 50, "bulk", "%llu of %u bytes were moved as pages",
		    (unsigned long long)k_spliced, SLOW_BYTES);
	talks_judge();
	stage_clear();
}

/* ---- a crowd ---- */

#define CROWD_SOURCES	14u   /* a simulated host has no more */
#define CROWD		8000u /* many times more than the relay has descriptors */
#define CROWD_BEHIND	512u  /* one address */
#define SIGN_IN_MOST_US (100 * MS)

static uint64_t sign_in_time(enum who who)
{
	static struct rogue rogue;
	struct addr to = stage_front_door(0);
	uint64_t took;

	rogue_come(&rogue, &stage.at_guest, who, WIRE_HELLO_TRANSIENT, &to);
	(void)world_until(rogue_settled, &rogue, 30 * SECOND);
	took = rogue.signed_in ? rogue.welcome_us - rogue.began_us : UINT64_MAX;
	rogue_leave(&rogue);
	world_run(SECOND);
	return took;
}

static uint64_t middle_sign_in(void)
{
	uint64_t a = sign_in_time(ADMIN), b = sign_in_time(ADMIN), c = sign_in_time(ADMIN);
	uint64_t low = a < b ? a : b, high = a < b ? b : a;

	return c < low ? low : c > high ? high : c;
}

/* A crowd may cost a sign-in no more than that. */
static void check_sign_in(uint64_t alone, uint64_t crowded)
{
	world_check(crowded != UINT64_MAX && crowded < alone + SIGN_IN_MOST_US, "proven-in-time",
		    "a sign-in takes %.3f s in a crowd, and %.3f s alone",
		    crowded == UINT64_MAX ? 9999.0 : (double)crowded / SECOND,
		    (double)alone / SECOND);
}

/* So many addresses in all, in a few networks. */
static void give_addresses(struct k_host *h, unsigned network, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		char address[32];

		snprintf(address, sizeof(address), "198.51.%u.%u", network + i % 3, i);
		k_host_add_address(h, address);
	}
}

/* Silent strangers from many addresses fill what they may. */
void world_crowd(void)
{
	struct addr to;
	uint64_t alone;

	stage_set(1, "");
	to = k_address(k_host_address(stage.relay_hosts[0]), 443); /* it has many of IPv4 */
	stage.visitors.program->limit = 2 * CROWD;
	k_cable_set(stage.relay_hosts[0], stage.guest_host, 5000, 10);
	give_addresses(stage.internet, 0, CROWD_SOURCES);
	alone = middle_sign_in();
	for (unsigned i = 0; i < CROWD; i++) {
		stranger_come(&stage.visitors, STRANGER_SILENT, &to);
		if (i % 1000 == 999)
			world_run(50 * MS);
	}
	world_run(SECOND);
	check_sign_in(alone, middle_sign_in());
	world_check(stage_linked(NULL), "links", "a crowd of strangers cost an agent its link");
	(void)world_until(strangers_gone, NULL, 120 * SECOND);
	(void)world_until(never, NULL, SECOND);
	stage_clear();
}

#define SIEGE_HOSTS   3u
#define SIEGE_SOURCES 44u  /* between them */
#define SIEGE_EACH    480u /* of each source: below what one may have */

/* 44 sources come with 480 silent connections each. */
void world_siege(void)
{
	static struct people besiegers[SIEGE_HOSTS];
	struct addr to;
	uint64_t alone;

	world_relay_descriptors = 8192;
	stage_set(1, "");
	to = k_address(k_host_address(stage.relay_hosts[0]), 443);
	k_cable_set(stage.relay_hosts[0], stage.guest_host, 5000, 10);
	for (unsigned i = 0; i < SIEGE_HOSTS; i++) {
		struct k_host *h = k_host_new("besieger");

		people_start(&besiegers[i], "besieger", h);
		besiegers[i].program->limit = SIEGE_SOURCES * SIEGE_EACH;
		give_addresses(h, 10 * (i + 1), SIEGE_SOURCES / SIEGE_HOSTS + (i < 2));
	}
	alone = middle_sign_in();
	for (unsigned i = 0; i < SIEGE_SOURCES * SIEGE_EACH; i++) {
		stranger_come(&besiegers[i % SIEGE_HOSTS], STRANGER_SILENT, &to);
		if (i % 200 == 199)
			world_run(30 * MS);
		if (i == SIEGE_SOURCES * SIEGE_EACH / 2) {
			world_run(SECOND);
			check_sign_in(alone, middle_sign_in());
		}
	}
	world_run(SECOND);
	check_sign_in(alone, middle_sign_in());
	world_check(totals().refused[REASON_LIMIT_UNPROVEN] > SIEGE_SOURCES * SIEGE_EACH / 2,
		    "counted", "%llu of the silent made room",
		    (unsigned long long)totals().refused[REASON_LIMIT_UNPROVEN]);
	world_check(stage_linked(NULL), "links", "a siege cost an agent its link");
	(void)world_until(strangers_gone, NULL, 120 * SECOND);
	for (unsigned i = 0; i < SIEGE_HOSTS; i++)
		people_stop(&besiegers[i]);
	stage_clear();
}

static long long in_places(const char *class, const char *what)
{
	const json_t *status = operator_call(&stage.operator, "status", NULL);
	const json_t *places = json_object_get(status, "places");

	return json_integer_value(json_object_get(json_object_get(places, class), what));
}

/* The crowd has the agent's own address: a university behind one. */
void world_crowded_home(void)
{
	struct addr to;
	uint64_t alone;

	stage_set(1, "");
	to = stage_front_door(0);
	k_cable_set(stage.relay_hosts[0], stage.guest_host, 5000, 10);
	alone = middle_sign_in();
	for (unsigned i = 0; i < CROWD_BEHIND; i++)
		stranger_come(&stage.at_guest, STRANGER_SILENT, &to);
	world_run(2 * SECOND);
	world_check(in_places("unproven", "most") > 0 &&
			    in_places("unproven", "used") == in_places("unproven", "most") &&
			    in_places("proven", "used") >= 3 &&
			    in_places("proven", "used") < in_places("proven", "most"),
		    "told", "status says that strangers have %lld places and agents %lld",
		    in_places("unproven", "used"), in_places("proven", "used"));
	check_sign_in(alone, middle_sign_in());
	(void)world_until(strangers_gone, NULL, 120 * SECOND);
	stage_clear();
}

/* ---- a flood of hellos ---- */

#define HELLOS_EACH_MS	4u    /* 4,000 a second */
#define HELLOS_MS	1500u /* so long */
#define HANDSHAKES_RATE 100u  /* limits.handshakes_per_source, as it is by default */
#define HANDSHAKES_MOST (HANDSHAKES_RATE * (BUCKETS_BURST_S + 2))

static struct {
	struct addr to;
	uint64_t until_us;
} hellos;

static void hellos_come(void *unused, uint64_t number)
{
	if (k_now_us >= hellos.until_us)
		return;
	for (unsigned i = 0; i < HELLOS_EACH_MS; i++)
		stranger_come(&stage.visitors, STRANGER_HELLO, &hellos.to);
	world_after(MS, hellos_come, NULL, 0);
}

/* One address sends 4,000 ClientHellos a second. Most cost the relay no TLS, and none costs others
 * their place. */
void world_hello_flood(void)
{
	struct relay_totals before, after;
	uint64_t alone, flooded, begun;

	stage_set(1, "");
	k_cable_set(stage.relay_hosts[0], stage.guest_host, 5000, 10);
	alone = middle_sign_in();
	/* All hosts share an IPv6 /64, which is one source. */
	hellos.to = k_address(k_host_address(stage.relay_hosts[0]), 443);
	hellos.until_us = k_now_us + HELLOS_MS * MS;
	stage.visitors.program->limit = 65536;
	before = totals();
	hellos_come(NULL, 0);
	world_run(300 * MS);
	flooded = sign_in_time(ADMIN);
	after = totals();
	begun = after.handshakes - before.handshakes;
	check_sign_in(alone, flooded);
	world_check(begun < HANDSHAKES_MOST && begun > HANDSHAKES_RATE, "rates",
		    "one address began %llu handshakes in %u ms", (unsigned long long)begun,
		    HELLOS_MS);
	world_check(after.refused[REASON_LIMIT_HANDSHAKES] > 3000, "counted",
		    "%llu hellos were refused",
		    (unsigned long long)after.refused[REASON_LIMIT_HANDSHAKES]);
	world_check(stage_linked(NULL), "links", "a flood of hellos cost an agent its link");
	hellos.until_us = k_now_us; /* it may have outlasted the sign-in */
	world_run(2 * MS);
	(void)world_until(strangers_gone, NULL, 120 * SECOND);
	stage_clear();
}

/* ---- strangers that hoard ---- */

#define HOARD_MEMORY (36ull << 20)
#define HOARDERS     1200u /* they would take 40 MiB */

/* The relay may keep less than what it keeps now: it is short, and has to give back. */
static void make_short(struct relay *r)
{
	json_t *config = operator_config(&stage.operator);

	config_set_in(config, "limits", "memory", json_string("32MiB")); /* the least */
	world_check(operator_apply(&stage.operator, config, 0), "answers",
		    "hoarders keep an operator from changing a limit");
	world_check(r->memory.used > (int64_t)(r->memory.most / 4 * 3), "memory-bounded",
		    "%lld of %llu bytes: memory is not short, this world tries nothing",
		    (long long)r->memory.used, (unsigned long long)r->memory.most);
}

static void hoarders_come(unsigned count, const struct addr *to)
{
	for (unsigned i = 0; i < count; i++)
		stranger_come(&stage.visitors, STRANGER_HOARDS, to);
	world_run(SECOND);
}

/* They make the relay keep all that it keeps for any client. It stays within its limit, counts what
 * it really has, and serves the others. */
void world_hoarders(void)
{
	struct k_program *p;
	struct relay *r;
	struct relay_totals t;
	struct addr to;
	size_t before, grown;
	int64_t used_before, used;

	world_relay_descriptors = 8192;
	stage_set(1, "limits:\n  memory: 36MiB\n  per_source: 2000\n  handshakes_per_source: 0\n  "
		     "handshakes: 0\n");
	p = stage.relays[0].program;
	r = &stage.relays[0].relay;
	to = stage_front_door(0);
	before = p->memory_bytes;
	p->memory_most = before;
	used_before = r->memory.used;
	stage.visitors.program->limit = 2 * HOARDERS;
	hoarders_come(HOARDERS, &to);
	world_run(4 * SECOND);
	/* Where many had to go in one moment, there is room for some more. */
	for (unsigned i = 0; i < 10; i++)
		hoarders_come(20, &to);
	grown = p->memory_bytes - before;
	used = r->memory.used - used_before;
	world_tell("grown %zu, charged %lld", grown, (long long)used);
	world_check(grown > HOARD_MEMORY / 2, "memory-bounded",
		    "%u hoarders take %zu bytes: this world tries nothing", HOARDERS, grown);
	world_check((double)used > 0.9 * (double)grown && (double)used < 1.1 * (double)grown,
		    "memory-bounded", "%zu bytes are taken, and %lld are charged", grown,
		    (long long)used);
	k_enter(p);
	t = relay_totals(r);
	k_enter(NULL);
	world_check(t.refused[REASON_LIMIT_MEMORY] > 0, "counted", "hoarders are not refused");
	make_short(r);
	world_check(sign_in_time(ADMIN) < SECOND, "proven-in-time",
		    "hoarders keep a console from signing in");
	/* Of agents: a public client has proved nothing, and gives way. */
	world_check(stage_goes_through(stage_talk_from(&stage.at_laptop, 300, 50000)), "bytes",
		    "hoarders keep a session from what it needs");
	world_check(stage_linked(NULL), "links", "hoarders cost an agent its link");
	world_check(p->memory_most - before < HOARD_MEMORY / 10 * 11, "memory-bounded",
		    "hoarders made the relay keep %zu bytes of %llu", p->memory_most - before,
		    HOARD_MEMORY);
	(void)world_until(strangers_gone, NULL, 120 * SECOND);
	(void)world_until(talks_over, NULL, 60 * SECOND);
	talks_judge();
	world_run(120 * SECOND);
	used = r->memory.used - used_before;
	for (unsigned i = 0; i < r->worker_count; i++) /* kept for the next bulk */
		used -= (int64_t)(r->workers[i].sessions->large.made *
				  r->workers[i].sessions->large.each_bytes);
	world_check(used < (1 << 20) && used > -(1 << 20), "accounts",
		    "%lld bytes are charged when all hoarders have left", (long long)used);
	stage_clear();
}

/* ---- public sessions count as what they are: of a client that has proved nothing ---- */

#define PUBLIC_BYTES 600000u /* more than all buffers on the way: the session lasts */

void world_public_crowd(void)
{
	unsigned running = 0;

	stage_set(1, "limits:\n  public_per_source: 20\n");
	for (unsigned i = 0; i < 60; i++) {
		struct talk *t = stage_talk_from(&stage.visitors, 100, PUBLIC_BYTES);

		t->disturbed = true;
		t->side[0].plan.pause_at = 1000;
		t->side[0].plan.pause_us = 40 * SECOND;
		world_run(300 * MS);
	}
	for (size_t i = 0; i < talks_count(); i++)
		running += talk_at(i)->side[1].begun && !talk_over(talk_at(i));
	world_check(running == 20, "public-counted",
		    "one address has %u public sessions where it may have 20", running);
	world_check(totals().refused[REASON_LIMIT_PUBLIC_SOURCE] >= 38, "counted",
		    "of 60 public clients %llu are refused",
		    (unsigned long long)totals().refused[REASON_LIMIT_PUBLIC_SOURCE]);
	world_check(sign_in_time(ADMIN) < SECOND &&
			    stage_goes_through(stage_talk_from(&stage.at_laptop, 300, 300)),
		    "proven-in-time", "public clients keep agents out");
	(void)world_until(talks_over, NULL, 120 * SECOND);
	talks_judge();
	stage_clear();
}
