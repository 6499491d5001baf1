/* SPDX-License-Identifier: Apache-2.0 */
/*
 * short_world: a relay whose memory is short, as its consoles meet it.
 *
 * In console_short one allocation of a call is refused, any of them: the call is answered whole, or
 * with the sentence that memory is short, or its connection ends; and what it was to change has
 * changed whole, or not at all. In documents consoles send more than there is room for, beside
 * strangers that hoard: the relay has no more memory than limits.memory says, as the allocator
 * counts it.
 */
#include <stdio.h>
#include <string.h>

#include "relay/control/control_internal.h"
#include "relay/session/session.h"
#include "tests/world/rogue.h"
#include "tests/world/stage.h"
#include "tests/world/worlds.h"

static bool asks_over(void *operator)
{
	const struct operator* o = operator;

	return o->answered == o->asked || !o->connected;
}

/* ---- one allocation ---- */

#define KINDS_A_SEED 3u
#define TRIES	     24u /* of each kind */

#define DONE_NOTHING 1
#define DONE_MAYBE   2

/* What a call came to. */
struct outcome {
	json_t *result; /* owned; NULL: it failed */
	int failed;	/* DONE_NOTHING or DONE_MAYBE; 0: otherwise */
	bool reached;	/* an allocation was refused */
};

/* Of a call whose allocation number nth is refused; 0: none, and *count is how many there were. */
static struct outcome ask(const char *method, json_t *params, size_t nth, size_t *count)
{
	struct k_program *p = stage.relays[0].program;
	struct operator* o = & stage.operator;
	const size_t many = SIZE_MAX / 2;
	struct outcome out = {.failed = DONE_MAYBE};
	const json_t *error;
	const char *text;

	if (!o->connected) /* who comes in is another story */
		(void)operator_call(o, "schema", NULL);
	p->refuse_at = nth > 0 ? nth : many;
	operator_ask(o, method, params);
	world_check(world_until(asks_over, o, 10 * SECOND), "answers",
		    "%s is not answered where allocation %zu is refused", method, nth);
	if (count)
		*count = many - p->refuse_at;
	out.reached = nth > 0 && p->refuse_at == 0;
	p->refuse_at = 0;
	if (!o->connected || o->answered != o->asked)
		return out;
	out.result = json_incref(json_object_get(o->answer, "result"));
	error = json_object_get(o->answer, "error");
	text = json_string_value(json_object_get(error, "message"));
	if (!text) {
		out.failed = 0;
	} else if (strncmp(text, "memory is short: nothing has been done", 38) == 0) {
		out.failed = DONE_NOTHING;
	} else {
		world_check(strncmp(text, "memory is short: the answer is lost", 35) == 0,
			    "true-sentence", "%s, allocation %zu: %s", method, nth, text);
	}
	return out;
}

/* With what is counted anew each time taken out. */
static json_t *steady(const char *method, json_t *result)
{
	static const char *const counted[] = {"accepted_total", "bytes_total", "connections",
					      "handshakes_total", "memory"};
	size_t keys = json_object_size(result), at;
	json_t *one;

	if (strcmp(method, "status") == 0)
		for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
			(void)json_object_del(result, counted[i]);
	if (strcmp(method, "status") == 0)
		world_check(keys > 20, "whole", "a status of %zu keys", keys);
	json_array_foreach(json_object_get(result, "sessions"), at, one)(void)
		json_object_del(one, "ms");
	return result;
}

static void look(const char *method, unsigned tries)
{
	size_t count;
	struct outcome whole = ask(method, NULL, 0, &count), out;

	if (!whole.result)
		world_broken("%s fails with all memory", method);
	steady(method, whole.result);
	for (unsigned i = 0; i < tries; i++) {
		size_t nth = dice_between(&world_dice, 1, count);
		struct memory *account = &stage.relays[0].relay.memory;
		uint64_t refused = account->refused;

		out = ask(method, NULL, nth, NULL);
		if (out.result)
			world_check(json_equal(steady(method, out.result), whole.result), "whole",
				    "%s lacks a part where allocation %zu of %zu is refused",
				    method, nth, count);
		world_check(out.result || !out.reached || account->refused > refused, "counted",
			    "%s fails for want of memory, and nothing is counted", method);
		json_decref(out.result);
	}
	json_decref(whole.result);
}

/* ---- what changes something ---- */

static json_t *base; /* the configuration before each change; owned */

struct change {
	const char *method;
	void (*set)(void); /* the scene, from base */
	json_t *(*params)(void);
};

/* What is told, what is kept in the history, and what the workers have are one and the same. */
static json_t *in_force(uint64_t *revision)
{
	const struct relay_control *ctl = stage.relays[0].relay.control;
	json_t *got, *history, *config;

	world_run(10 * MS); /* the workers hear of it */
	got = json_incref(operator_call(&stage.operator, "config.get", NULL));
	config = json_incref(json_object_get(got, "config"));
	*revision = (uint64_t)json_integer_value(json_object_get(got, "revision"));
	world_check(ctl->current->revision == *revision, "whole",
		    "revision %llu is told, and %llu is in force", (unsigned long long)*revision,
		    (unsigned long long)ctl->current->revision);
	history =
		json_object_get(operator_call(&stage.operator, "config.history", NULL), "history");
	world_check((uint64_t)json_integer_value(
			    json_object_get(json_array_get(history, 0), "revision")) == *revision,
		    "whole", "the history lacks revision %llu", (unsigned long long)*revision);
	for (unsigned i = 0; i < stage.relays[0].relay.worker_count; i++)
		world_check(stage.relays[0].relay.workers[i].snap == ctl->current, "whole",
			    "worker %u has another configuration than is told", i);
	json_decref(got);
	return config;
}

static void to_base(void)
{
	(void)operator_call(&stage.operator, "config.rollback", NULL);
	world_check(operator_apply(&stage.operator, json_deep_copy(base), 0), "answers",
		    "the configuration of before is refused");
}

static json_t *other_config(void)
{
	json_t *config = json_deep_copy(base);

	config_add(config, "revoked", json_pack("{s:s}", "agent", "nobody"));
	return config;
}

static json_t *params_grant(void)
{
	return json_pack("{s:s, s:s}", "agent", "guest", "to", "home/more");
}

static json_t *params_agent(void)
{
	return json_pack("{s:s}", "agent", "nobody");
}

static json_t *params_apply(void)
{
	return json_pack("{s:o}", "config", other_config());
}

static json_t *params_trial(void)
{
	return json_pack("{s:o, s:i}", "config", other_config(), "confirm_ms", 600000);
}

static void set_granted(void)
{
	(void)operator_call(&stage.operator, "grant", params_grant());
}

static void set_revoked(void)
{
	(void)operator_call(&stage.operator, "revoke", params_agent());
}

static void set_trial(void)
{
	world_check(operator_apply(&stage.operator, other_config(), 600000), "answers",
		    "a trial is refused");
}

static const struct change changes[] = {
	{"grant", NULL, params_grant},	      {"ungrant", set_granted, params_grant},
	{"revoke", NULL, params_agent},	      {"unrevoke", set_revoked, params_agent},
	{"config.apply", NULL, params_apply}, {"config.apply", NULL, params_trial},
	{"config.confirm", set_trial, NULL},  {"config.rollback", set_trial, NULL},
};

static struct outcome change_once(const struct change *c, size_t nth, size_t *count)
{
	return ask(c->method, c->params ? c->params() : NULL, nth, count);
}

/* Ends with what is in force. */
static json_t *change_whole(const struct change *c, size_t *count)
{
	struct outcome out;
	uint64_t revision;

	to_base();
	if (c->set)
		c->set();
	out = change_once(c, 0, count);
	if (!out.result)
		world_broken("%s fails with all memory", c->method);
	json_decref(out.result);
	return in_force(&revision);
}

/* "before" of a revocation is of its moment. */
static void undated(json_t *config)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(config, "revoked"), i, one)(void)
		json_object_del(one, "before");
}

static void change(const struct change *c, unsigned tries)
{
	size_t count;
	json_t *done = change_whole(c, &count);

	undated(done);
	for (unsigned i = 0; i < tries; i++) {
		size_t nth = dice_between(&world_dice, 1, count);
		uint64_t revision, later;
		json_t *before, *after;
		struct outcome out;
		bool has_changed;

		to_base();
		if (c->set)
			c->set();
		before = in_force(&revision);
		out = change_once(c, nth, NULL);
		after = in_force(&later);
		undated(before);
		undated(after);
		has_changed = later != revision;
		world_check(json_equal(after, has_changed ? done : before), "whole",
			    "%s is done by half where allocation %zu of %zu is refused", c->method,
			    nth, count);
		world_check(out.failed != DONE_NOTHING || !has_changed, "true-sentence",
			    "%s has changed something, and says that it has not (allocation %zu)",
			    c->method, nth);
		world_check(!out.result || json_equal(after, done), "true-sentence",
			    "%s has not changed anything, and says that it has (allocation %zu)",
			    c->method, nth);
		json_decref(out.result);
		json_decref(before);
		json_decref(after);
	}
	json_decref(done);
}

static const char *const looks[] = {"schema",	     "config.get", "config.history", "grants",
				    "identity.show", "agents",	   "sessions",	     "status",
				    "events",	     "audit"};

void world_console_short(void)
{
	const size_t look_count = sizeof(looks) / sizeof(looks[0]),
		     count = look_count + sizeof(changes) / sizeof(changes[0]);

	stage_set(1, "grants:\n  - from: [laptop]\n    to: [home/talk]\n");
	(void)stage_lasting_talk(&stage.at_laptop);
	world_run(5 * SECOND);
	if (world_relay_sessions_of(&stage.relays[0], "laptop") != 1)
		world_broken("there is no session to tell of");
	base = operator_config(&stage.operator);
	for (unsigned i = 0; i < KINDS_A_SEED; i++) {
		size_t which = (KINDS_A_SEED * world_seed + i) % count;

		if (which < look_count)
			look(looks[which], TRIES);
		else
			change(&changes[which - look_count], TRIES);
	}
	to_base();
	json_decref(base);
	/* It may have been an agent's own that was refused. */
	world_check(world_until(stage_linked, NULL, 60 * SECOND), "links",
		    "an agent has not found back");
	(void)world_until(talks_over, NULL, 900 * SECOND);
	talks_judge();
	stage_clear();
}

/* ---- more than there is room for ---- */

#define LIMIT_BYTES (32u << 20)
#define CONSOLES    8u
#define ROUNDS	    10u
#define HOARDERS    300u

static struct operator consoles[CONSOLES];
static struct rogue deaf;

/* So many grants. */
static json_t *large_config(size_t grants)
{
	json_t *config = json_deep_copy(base), *list = json_array();
	char to[48];

	for (size_t i = 0; i < grants; i++) {
		snprintf(to, sizeof(to), "home/service-%zu", i);
		json_array_append_new(list,
				      json_pack("{s:[s], s:[s]}", "from", "laptop", "to", to));
	}
	json_object_set_new(config, "grants", list);
	return config;
}

/* Two bytes and a comma each become a map of some 230 bytes. */
static json_t *many_maps(size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_object());
	return json_pack("{s:o}", "maps", list);
}

static void console_asks(struct operator* o)
{
	size_t grants = dice_between(&world_dice, 1000, 14000);

	switch (dice_below(&world_dice, 5)) {
	case 0:
		operator_ask(o, "config.get", NULL);
		break;
	case 1:
		operator_ask(o, "config.apply",
			     json_pack("{s:o, s:b}", "config", large_config(grants), "force", 1));
		break;
	case 2:
		operator_ask(o, "grants", NULL);
		break;
	case 3:
		operator_ask(o, "schema", many_maps(dice_between(&world_dice, 1000, 200000)));
		break;
	default:
		operator_ask(o, "config.check", json_pack("{s:o}", "config", large_config(grants)));
	}
}

/* What the relay has besides the allocator's: areas as far as they are used, and large buffers. */
static size_t mapped_bytes(const struct relay *r)
{
	size_t n = 0;

	for (unsigned i = 0; i < r->worker_count; i++) {
		const struct worker *w = &r->workers[i];
		const struct slab *table = &w->sessions->table;

		n += (size_t)w->conns.high_water * w->conns.each_bytes +
		     (size_t)table->high_water * table->each_bytes +
		     w->sessions->large.made * w->sessions->large.each_bytes;
	}
	return n;
}

static void check_count(const struct relay *r, size_t real_before, int64_t used_before)
{
	size_t real = stage.relays[0].program->real_bytes + mapped_bytes(r) - real_before;
	int64_t used = r->memory.used - used_before;

	world_check((double)used > 0.9 * (double)real - (1 << 20) &&
			    (double)used < 1.1 * (double)real + (1 << 20),
		    "memory-bounded", "%zu bytes are taken, and %lld are charged", real,
		    (long long)used);
}

void world_documents(void)
{
	struct k_program *p;
	struct relay *r;
	struct addr to;
	size_t real_before, most;
	int64_t used_before;
	static uint8_t get[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"config.get\"}\n";
	char extra[160];

	world_relay_descriptors = 8192;
	snprintf(extra, sizeof(extra),
		 "limits:\n  memory: %u\n  per_source: 2000\n  handshakes_per_source: 0\n"
		 "  handshakes: 0\n",
		 LIMIT_BYTES);
	stage_set(1, extra);
	p = stage.relays[0].program;
	r = &stage.relays[0].relay;
	to = stage_front_door(0);
	base = operator_config(&stage.operator);
	for (unsigned i = 0; i < CONSOLES; i++) {
		operator_start(&consoles[i], &stage.relays[0]);
		(void)operator_call(&consoles[i], "identity.show", NULL);
	}
	real_before = p->real_bytes + mapped_bytes(r);
	used_before = r->memory.used;
	p->real_most = p->real_bytes;
	stage.visitors.program->limit = 2 * HOARDERS;
	rogue_come(&deaf, &stage.at_guest, ADMIN, WIRE_HELLO_CONSOLE, &to);
	(void)world_until(rogue_settled, &deaf, 20 * SECOND);
	deaf.deaf = true;
	if (deaf.signed_in)
		rogue_say(&deaf, get, sizeof(get) - 1, 200);
	for (unsigned i = 0; i < ROUNDS; i++) {
		for (unsigned n = 0; n < HOARDERS / ROUNDS; n++)
			stranger_come(&stage.visitors, STRANGER_HOARDS, &to);
		for (uint64_t n = dice_between(&world_dice, 1, 4); n > 0; n--)
			console_asks(&consoles[dice_below(&world_dice, CONSOLES)]);
		world_run(dice_between(&world_dice, 1, 300) * MS);
		check_count(r, real_before, used_before);
	}
	for (unsigned i = 0; i < CONSOLES; i++)
		world_check(world_until(asks_over, &consoles[i], 20 * SECOND), "answers",
			    "console %u waits for an answer", i);
	most = p->real_most + mapped_bytes(r);
	world_tell("the allocator had %zu KiB at most; limits.memory is %u KiB", most >> 10,
		   LIMIT_BYTES >> 10);
	world_check(most < LIMIT_BYTES / 10 * 11, "memory-bounded", "the relay had %zu bytes of %u",
		    most, LIMIT_BYTES);
	world_check(most > LIMIT_BYTES / 10 * 7, "memory-bounded",
		    "the relay had %zu bytes of %u: this world tries nothing", most, LIMIT_BYTES);
	world_check(r->memory.refused > 0, "counted", "nothing was refused");
	world_check(stage_linked(NULL), "links", "consoles cost an agent its link");
	for (unsigned i = 0; i < CONSOLES; i++)
		operator_stop(&consoles[i]);
	rogue_leave(&deaf);
	(void)world_until(strangers_gone, NULL, 120 * SECOND);
	world_check(operator_apply(&stage.operator, base, 0), "answers",
		    "the configuration of before is refused when all have left");
	(void)stage_talk(SECOND, 50000);
	(void)world_until(talks_over, NULL, 60 * SECOND);
	talks_judge();
	world_run(120 * SECOND);
	check_count(r, real_before, used_before);
	stage_clear();
}
