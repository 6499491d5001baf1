/* SPDX-License-Identifier: Apache-2.0 */
/*
 * odd_calls_world: a console that calls every method with values of every kind that JSON has,
 * applies configurations that are damaged in many places, on trial and for good, while the file is
 * read again. Each call is answered, nothing ends the relay or the agent, and what was in force
 * before can be put back; what is kept of all this starts again.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/world/stage.h"
#include "tests/world/worlds.h"

#define STEPS 60u

static struct operator console; /* of the agent laptop */

/* ---- odd values ---- */

static const char *const odd_words[] = {
	"",
	"home",
	"laptop",
	"stranger",
	"home/talk",
	"*/*",
	"public",
	"(hidden)",
	"0.0.0.0:443",
	"127.0.0.1:9999",
	"198.51.100.0/24",
	"20MB/s",
	"10s",
	"2026-11-27",
	"mon-fri 08:00-18:00",
	"0000000000000001",
	"ffffffffffffffff",
	"true",
	"\xc3\xa9\xc3\xa9\xc3\xa9",
	"\x01\x02",
	"a.b[3].c",
	"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n",
};

static const json_int_t odd_numbers[] = {0,	1,	    -1,	       2,	  64,	   65535,
					 65536, 4294967296, INT64_MAX, INT64_MIN, 3600000, 3600001};

#define ANY_OF(list) (list)[dice_below(&world_dice, sizeof(list) / sizeof((list)[0]))]

static json_t *odd_text(void)
{
	char text[1200];
	size_t len = 0;

	if (dice_chance(&world_dice, 900))
		return json_string(ANY_OF(odd_words));
	/* Long, and of characters that are cut in the middle by any bound. */
	if (dice_chance(&world_dice, 500))
		text[len++] = 'x';
	for (size_t most = dice_size(&world_dice, sizeof(text) - 4); len < most; len += 2)
		memcpy(text + len, "\xc3\xa9", 2);
	text[len] = '\0';
	return json_string(text);
}

static json_t *odd_value(unsigned depth)
{
	json_t *value;

	switch (dice_below(&world_dice, depth < 4 ? 8 : 6)) {
	case 0:
		return json_null();
	case 1:
		return json_boolean(dice_chance(&world_dice, 500));
	case 2:
		return json_real(1.5);
	case 3:
		return json_integer(ANY_OF(odd_numbers));
	case 4:
	case 5:
		return odd_text();
	case 6:
		value = json_array();
		while (dice_chance(&world_dice, 600))
			json_array_append_new(value, odd_value(depth + 1));
		return value;
	default:
		value = json_object();
		while (dice_chance(&world_dice, 600))
			json_object_set_new(value, ANY_OF(odd_words), odd_value(depth + 1));
		return value;
	}
}

static json_t *value_of(const char *type)
{
	json_t *value;

	if (dice_chance(&world_dice, 100))
		return odd_value(0);
	if (strcmp(type, "string") == 0)
		return odd_text();
	if (strcmp(type, "integer") == 0)
		return json_integer(ANY_OF(odd_numbers));
	if (strcmp(type, "boolean") == 0)
		return json_boolean(dice_chance(&world_dice, 500));
	do {
		value = odd_value(0);
		if (json_is_object(value) || json_is_array(value))
			return value;
		json_decref(value);
	} while (true);
}

/* ---- odd documents ---- */

/* Some place of a document, and what stands there: taken away, twice, or another. */
static void damage(json_t *at)
{
	size_t size = json_is_array(at) ? json_array_size(at) : json_object_size(at), i;
	const char *key = NULL;
	json_t *value = NULL;
	void *step;

	if (size == 0) {
		if (json_is_array(at))
			json_array_append_new(at, odd_value(1));
		return;
	}
	i = dice_below(&world_dice, size);
	if (json_is_array(at)) {
		value = json_array_get(at, i);
	} else {
		for (step = json_object_iter(at); i > 0; i--)
			step = json_object_iter_next(at, step);
		key = json_object_iter_key(step);
		value = json_object_iter_value(step);
	}
	if ((json_is_array(value) || json_is_object(value)) && dice_chance(&world_dice, 700)) {
		damage(value);
		return;
	}
	switch (dice_below(&world_dice, 4)) {
	case 0:
		if (key)
			json_object_del(at, key);
		else
			json_array_remove(at, i);
		break;
	case 1:
		if (key)
			json_object_set_new(at, ANY_OF(odd_words), json_deep_copy(value));
		else
			json_array_append_new(at, json_deep_copy(value));
		break;
	default:
		if (key)
			json_object_set_new(at, key, odd_value(1));
		else
			json_array_set_new(at, i, odd_value(1));
	}
}

/* What an operator adds that may well be right. */
static void add_something(json_t *config)
{
	json_t *rule = json_pack("{s:[s], s:[s]}", "from", ANY_OF(odd_words), "to", "home/talk");

	switch (dice_below(&world_dice, 6)) {
	case 0:
		config_add(config, "grants", rule);
		return;
	case 1:
		config_add(config, "policy", rule);
		return;
	case 2:
		config_add(config, "revoked",
			   json_pack("{s:i}", "agent", (int)dice_below(&world_dice, 3)));
		break;
	case 3:
		config_add(config, "public",
			   json_pack("{s:s, s:s}", "name", "www2.example", "to", "home/web"));
		break;
	case 4:
		config_set_in(config, "limits", "sessions", json_integer(ANY_OF(odd_numbers)));
		break;
	default:
		config_set_in(config, "groups", "some", json_pack("[s, i]", "laptop", 17));
	}
	json_decref(rule);
}

/* ---- one step ---- */

/* Asks; an error is an answer. */
static void must_answer(struct operator* o, const char *method, json_t *params)
{
	unsigned before = o->answered;

	(void)operator_call(o, method, params);
	world_check(o->answered > before, "answers", "%s is not answered", method);
}

static void call_something(struct operator* o, const json_t *methods)
{
	const json_t *m =
		json_array_get(methods, dice_below(&world_dice, json_array_size(methods)));
	const char *name = json_string_value(json_object_get(m, "method"));
	json_t *params = json_object(), *p;
	size_t i;

	json_array_foreach(json_object_get(m, "params"), i, p)
	{
		const char *key = json_string_value(json_object_get(p, "name"));

		/* The one ends the relay, and the other takes the console's way. */
		if (strcmp(key, "exit") == 0 || strcmp(key, "force") == 0)
			continue;
		if (json_is_true(json_object_get(p, "required")) || dice_chance(&world_dice, 600))
			json_object_set_new(
				params, key,
				value_of(json_string_value(json_object_get(p, "type"))));
	}
	if (dice_chance(&world_dice, 50))
		json_object_set_new(params, "more", odd_value(0));
	must_answer(o, name, params);
}

static void apply_something(struct operator* o)
{
	static const char *const ways[] = {"config.check", "config.diff",  "config.apply",
					   "config.apply", "config.apply", "config.apply"};
	const char *method = ANY_OF(ways);
	json_t *params = json_object(), *config = operator_config(o);

	if (!config)
		config = json_object();
	if (dice_chance(&world_dice, 500))
		add_something(config);
	else
		damage(config);
	json_object_set_new(params, "config", config);
	if (strcmp(method, "config.apply") == 0 && dice_chance(&world_dice, 400))
		json_object_set_new(params, "confirm_ms",
				    json_integer((json_int_t)dice_size(&world_dice, 60000)));
	must_answer(o, method, params);
}

static void reread(struct world_relay *r, struct world_agent *a)
{
	k_signal(r ? r->program : a->program, SIGHUP);
	world_run(dice_size(&world_dice, SECOND));
}

static void odd_steps(struct operator* o, struct world_relay *r, struct world_agent *a)
{
	json_t *answer = operator_call(o, "schema", NULL);
	json_t *methods = json_deep_copy(json_object_get(answer, "methods"));

	for (unsigned i = 0; i < STEPS; i++) {
		uint64_t which = dice_below(&world_dice, 100);

		if (which < 50)
			call_something(o, methods);
		else if (which < 80)
			apply_something(o);
		else if (which < 86)
			must_answer(o, "config.confirm", NULL);
		else if (which < 92)
			must_answer(o, "config.rollback", NULL);
		else
			reread(r, a);
		world_run(dice_size(&world_dice, 3 * SECOND));
	}
	json_decref(methods);
}

/* What was in force before, again. was is taken over. */
static void put_back(struct operator* o, json_t *was)
{
	json_t *is;

	must_answer(o, "config.rollback", NULL);
	world_check(operator_call(o, "config.apply",
				  json_pack("{s:O, s:b}", "config", was, "force", 1)) != NULL,
		    "as-before", "what was in force before cannot be put back");
	is = operator_config(o);
	world_check(json_equal(was, is), "as-before",
		    "what was put back is not what was in force before");
	json_decref(is);
	json_decref(was);
}

/* ---- the worlds ---- */

void world_odd_calls(void)
{
	json_t *was;

	stage_set(1, "");
	was = operator_config(&stage.operator);
	odd_steps(&stage.operator, & stage.relays[0], NULL);
	must_answer(&stage.operator, "undrain", NULL);
	operator_stop(&stage.operator);
	world_relay_kill(&stage.relays[0]);
	world_relay_start(&stage.relays[0], RELAY_A, stage.relay_hosts[0], NULL);
	operator_start(&stage.operator, & stage.relays[0]);
	put_back(&stage.operator, was);
	must_answer(&stage.operator, "log.level", json_pack("{s:s}", "level", "notice"));
	world_check(world_until(stage_linked, NULL, 600 * SECOND), "links",
		    "all is as before, and an agent has no link after ten minutes");
	stage_clear();
}

void world_odd_calls_of_agent(void)
{
	json_t *was;

	stage_set(1, "");
	operator_start_at_agent(&console, &stage.relays[0], stage.internet, "laptop");
	was = operator_config(&console);
	odd_steps(&console, NULL, &stage.laptop);
	put_back(&console, was);
	world_check(console.connected, "lives-on", "the console was cut off");
	operator_stop(&console);
	stage_clear();
}
