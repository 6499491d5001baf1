/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owned_world: what of a configuration is the operator's file's alone. Consoles and callers on the
 * host try to change it, with force; a relay that was taken over writes it where it keeps what
 * consoles changed. CAs come when a CA that is trusted has signed them, and go one by one. An
 * agent's file says what consoles may do there at all, and where published services may lead.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/pki/make.h"
#include "core/engine/csr.h"
#include "relay/config/load.h"
#include "tests/world/stage.h"
#include "tests/world/store.h"
#include "tests/world/worlds.h"

static struct operator console;

/* Applied with force: what would be cut off is no reason. */
static bool forced(struct operator* o, json_t *config)
{
	return operator_call(o, "config.apply",
			     json_pack("{s:o, s:b}", "config", config, "force", 1)) != NULL;
}

/* Whether the last answer's errors name this path. */
static bool named(const struct operator* o, const char *path)
{
	const json_t *errors = json_object_get(
		json_object_get(json_object_get(o->answer, "error"), "data"), "errors");
	const char *first = json_string_value(json_array_get(errors, 0));

	return first && strncmp(first, path, strlen(path)) == 0 && first[strlen(path)] == ':';
}

/* config is taken over. */
static void check_refused(struct operator* o, json_t *config, const char *path)
{
	world_check(!forced(o, config) && named(o, path), "owned", "%s is not refused by its name",
		    path);
}

/* ---- keys of the host ---- */

static const struct owned_key {
	const char *map, *key, *text; /* map NULL: none; text NULL: numbers */
	bool list;		      /* of the text */
} relay_keys[] =
	{
		{NULL, "user", "daemon", false},
		{NULL, "state_dir", "/etc", false},
		{"control", "socket", "/etc/passwd", false},
		{"control", "admin", NULL, true},
		{"control", "read", NULL, true},
		{"nat", "socket", "/run/other", false},
		{"metrics", "listen", "0.0.0.0:9100", false},
},
  agent_keys[] = {
	  {NULL, "user", "daemon", false},	  {NULL, "state_dir", "/etc", false},
	  {"nat", "socket", "/run/other", false}, {NULL, "console", "read", false},
	  {NULL, "targets", "10.0.0.0/8", true},
};

static void set_key(json_t *config, const struct owned_key *k)
{
	json_t *value = k->text ? json_string(k->text) : json_integer(1234);

	if (k->list)
		value = json_pack("[o]", value);

	if (k->map)
		config_set_in(config, k->map, k->key, value);
	else
		json_object_set_new(config, k->key, value);
}

static void check_keys(struct operator* o, const struct owned_key *keys, size_t count)
{
	json_t *was = operator_config(o), *next, *is;
	char path[64];

	for (size_t i = 0; i < count; i++) {
		next = json_deep_copy(was);
		set_key(next, &keys[i]);
		snprintf(path, sizeof(path), "%s%s%s", keys[i].map ? keys[i].map : "",
			 keys[i].map ? "." : "", keys[i].key);
		check_refused(o, next, path);
	}
	if (keys == relay_keys) { /* one without the other is wrong in itself */
		next = json_deep_copy(was);
		config_set_in(next, "tls", "certificate_file", json_string("/etc/passwd"));
		config_set_in(next, "tls", "key_file", json_string("/etc/passwd"));
		check_refused(o, next, "tls.certificate_file");
	}
	next = json_deep_copy(was);
	json_object_del(next, "state_dir");
	check_refused(o, next, "state_dir");
	/* As it was shown, it is no change of theirs. */
	next = json_deep_copy(was);
	json_object_set_new(next, "log_level", json_string("debug"));
	world_check(operator_apply(o, next, 0), "owned", "what was got is not taken");
	world_check(operator_apply(o, json_deep_copy(was), 0), "owned", "nor put back");
	is = operator_config(o);
	world_check(json_equal(was, is), "as-before", "a refused change left something");
	json_decref(is);
	json_decref(was);
}

/* ---- CAs ---- */

/* A PEM text, owned; by NULL: signed by itself. */
static char *make_ca(const struct certs_ca *by)
{
	EVP_PKEY *key = csr_new_key();
	time_t now = time(NULL);
	X509 *x = by ? pki_make_next_ca(key, "Worlds", now - 60, now + 86400, by->x, by->key)
		     : pki_make_ca(key, "Worlds", now - 60, now + 86400);
	char *pem = pki_certificate_pem(x);

	X509_free(x);
	EVP_PKEY_free(key);
	return pem;
}

/* With these CAs, in PEM. */
static json_t *with_cas(const json_t *config, const char *one, const char *other)
{
	json_t *next = json_deep_copy(config);

	config_set_in(next, "identity", "ca", json_sprintf("%s%s", one, other));
	return next;
}

static void check_cas(struct operator* o)
{
	char *next = make_ca(&world_ca), *stranger = make_ca(NULL);
	json_t *was = operator_config(o);

	check_refused(o, with_cas(was, world_ca.pem, stranger), "identity.ca");
	/* An agent would not have signed its own certificate then, which is said first. */
	world_check(!forced(o, with_cas(was, stranger, "")) && !forced(o, with_cas(was, next, "")),
		    "owned", "all CAs in force are taken away");
	world_check(operator_apply(o, with_cas(was, world_ca.pem, next), 0), "owned",
		    "a CA that is signed is not taken");
	world_check(!forced(o, with_cas(was, next, stranger)), "owned",
		    "a CA that none has signed comes when another goes");
	world_run(SECOND);
	world_check(stage_linked(NULL), "lives-on", "a CA came, and a link is gone");
	/* The one that the caller's own certificate is of; on the host there is none. */
	if (o == &console)
		world_check(!operator_apply(o, with_cas(was, next, ""), 0), "refused",
			    "a console takes its own CA away");
	world_check(operator_apply(o, with_cas(was, world_ca.pem, ""), 0), "owned",
		    "a CA cannot be taken out");
	json_decref(was);
	free(next);
	free(stranger);
}

/* ---- what is kept ---- */

/* The relay ends, and what it keeps is of another's making. */
static void forge_what_is_kept(void)
{
	struct world_relay *r = &stage.relays[0];
	char path[128], *text, *stranger = make_ca(NULL);
	bool foreign_ca = dice_chance(&world_dice, 500);
	json_t *kept, *config;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", r->state_dir, STATE_NAME);
	operator_stop(&stage.operator);
	world_relay_kill(r);
	text = (char *)(uintptr_t)store_read(path, &len);
	kept = json_loads(text ? text : "", 0, NULL);
	config = json_object_get(kept, "config");
	if (!config)
		world_broken("nothing is kept");
	for (size_t i = 0; i < sizeof(relay_keys) / sizeof(relay_keys[0]); i++)
		set_key(config, &relay_keys[i]);
	if (foreign_ca)
		config_set_in(config, "identity", "ca",
			      json_sprintf("%s%s", world_ca.pem, stranger));
	/* By what it says of the file, these would be the file's. */
	if (dice_chance(&world_dice, 500))
		json_object_set(kept, "file", config);
	text = json_dumps(kept, 0);
	store_write(path, text, strlen(text));
	free(text);
	free(stranger);
	json_decref(kept);
	world_relay_start(r, RELAY_A, stage.relay_hosts[0], NULL);
	operator_start(&stage.operator, r);
}

void world_owned(void)
{
	json_t *was, *is, *next;

	stage_set(1, "");
	operator_start_away(&console, &stage.relays[0], stage.internet);
	world_check(world_until(operator_settled, &console, 20 * SECOND) && console.signed_in,
		    "answers", "a console is not let in");
	check_keys(&console, relay_keys, sizeof(relay_keys) / sizeof(relay_keys[0]));
	check_keys(&stage.operator, relay_keys, sizeof(relay_keys) / sizeof(relay_keys[0]));
	check_cas(&console);
	check_cas(&stage.operator);
	operator_stop(&console);
	was = operator_config(&stage.operator);
	next = json_deep_copy(was);
	config_add(next, "revoked", json_pack("{s:s}", "agent", "stranger"));
	world_check(operator_apply(&stage.operator, next, 0), "answers", "a change is refused");
	forge_what_is_kept();
	is = operator_config(&stage.operator);
	json_object_del(is, "revoked");
	world_check(json_equal(was, is), "owned",
		    "what was kept by another's hand is in force after a start");
	json_decref(is);
	json_decref(was);
	world_check(world_until(stage_linked, NULL, 600 * SECOND), "links",
		    "a relay started again, and an agent has no link");
	stage_clear();
}

void world_owned_agent(void)
{
	stage_set(1, "");
	operator_start_at_agent(&console, &stage.relays[0], stage.internet, "laptop");
	check_keys(&console, agent_keys, sizeof(agent_keys) / sizeof(agent_keys[0]));
	check_cas(&console);
	operator_stop(&console);
	stage_clear();
}

/* ---- what consoles of an agent may ---- */

#define LAPTOP                                                                                     \
	"relays:\n  - address: relay-a:443\nforward:\n"                                            \
	"  - listen: 127.0.0.1:800\n    to: home/talk\n"
#define HOME_FILE                                                                                  \
	"relays:\n  - address: relay-a:443\npublish:\n"                                            \
	"  - service: talk\n    target: 127.0.0.1:700\n"                                           \
	"  - service: web\n    target: 127.0.0.1:443\n    public: true\n"

static void reread(struct world_agent *a, const char *text)
{
	world_agent_write(a, text);
	k_signal(a->program, SIGHUP);
	world_run(300 * MS);
}

static bool may_change(void)
{
	json_t *config = operator_config(&console);
	bool debug = strcmp(json_string_value(json_object_get(config, "log_level")) ?: "notice",
			    "debug") == 0;

	json_object_set_new(config, "log_level", json_string(debug ? "info" : "debug"));
	return operator_apply(&console, config, 0);
}

static json_int_t refusal(void)
{
	return json_integer_value(
		json_object_get(json_object_get(console.answer, "error"), "code"));
}

/* The level is the file's, also for a console that is there already. */
void world_console_levels(void)
{
	stage_set(1, "");
	reread(&stage.laptop, LAPTOP "console: read\n");
	operator_start_at_agent(&console, &stage.relays[0], stage.internet, "laptop");
	world_check(operator_call(&console, "status", NULL) != NULL, "allowed",
		    "a console may look, and is not answered");
	world_check(!may_change() && refusal() == JSONRPC_FORBIDDEN, "forbidden",
		    "a console may only look, and changes something");
	world_check(!operator_call(&console, "config.rollback", NULL) &&
			    refusal() == JSONRPC_FORBIDDEN,
		    "forbidden", "a console may only look, and rolls back");
	reread(&stage.laptop, LAPTOP);
	world_check(may_change(), "allowed", "a console may change things, and cannot");
	reread(&stage.laptop, LAPTOP "console: read\n");
	world_check(!may_change() && refusal() == JSONRPC_FORBIDDEN, "forbidden",
		    "a console that is there may only look from now on, and changes something");
	reread(&stage.laptop, LAPTOP "console: off\n");
	world_run(SECOND);
	world_check(!console.connected, "ends-at-once",
		    "no console may come, and one is there a second later");
	operator_stop(&console);
	operator_start_at_agent(&console, &stage.relays[0], stage.internet, "laptop");
	world_run(3 * SECOND);
	world_check(!console.connected, "forbidden", "no console may come, and one does");
	operator_stop(&console);
	world_check(stage_goes_through(stage_talk_from(&stage.at_laptop, 300, 300)), "lives-on",
		    "no console may come, and nothing else works either");
	stage_clear();
}

/* ---- where published services may lead ---- */

/* The target of home/talk, by a console. */
static bool lead_to(const char *target)
{
	json_t *config = operator_config(&console);

	json_object_set_new(json_array_get(json_object_get(config, "publish"), 0), "target",
			    json_string(target));
	return operator_apply(&console, config, 0);
}

static bool talk_works(void)
{
	return stage_goes_through(stage_talk_from(&stage.at_laptop, 300, 300));
}

void world_targets(void)
{
	char outside[64];

	stage_set(1, "");
	/* Wherever it is allowed to lead, somebody answers. */
	people_answer(&stage.visitors, TALK_PORT, NULL);
	snprintf(outside, sizeof(outside), "%s", k_host_address(stage.internet));
	names_set("inside.example", "127.0.0.1");
	names_set("outside.example", outside);
	names_set("both.example", outside);
	names_set("both.example", "127.0.0.1");
	reread(&stage.home, HOME_FILE "targets: ['127.0.0.1:700']\n");
	world_check(!stage.home.agent.setup.config->targets.present, "refused",
		    "a file that publishes what it does not allow is in force");
	reread(&stage.home, HOME_FILE "targets: ['127.0.0.1:443', '127.0.0.1:700']\n");
	world_check(stage.home.agent.setup.config->targets.present && talk_works(), "allowed",
		    "a ceiling that holds all targets is in the way");
	operator_start_at_agent(&console, &stage.relays[0], stage.internet, "home");
	world_check(!lead_to("127.0.0.1:22") && refusal() == JSONRPC_CONFIG, "refused",
		    "a console publishes another port");
	world_check(!lead_to("127.0.0.2:700"), "refused", "a console publishes another host");
	world_check(!lead_to("inside.example:22"), "refused",
		    "a console publishes another port of a name");
	world_check(lead_to("inside.example:700") && talk_works(), "allowed",
		    "a name that leads within the ceiling is not served");
	world_check(lead_to("both.example:700") && talk_works(), "allowed",
		    "a name that leads within the ceiling, too, is not served");
	world_check(lead_to("outside.example:700") && !talk_works(), "forbidden",
		    "a name leads out of the ceiling");
	world_check(lead_to("127.0.0.1:700") && talk_works(), "allowed", "nothing works any more");
	operator_stop(&console);
	stage_clear();
}
