/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_world: an agent whose configuration changes while it runs: by an edited file and SIGHUP, by
 * a console in a session of its control service, for good and on trial; and what is in force when
 * it starts again, orderly or after a crash.
 *
 * Two sessions live through all of it: one that laptop asked for, and one that home answers.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/world/stage.h"
#include "tests/world/worlds.h"

#define RATE	   20000u /* bytes per second of each session: so that they last */
#define LASTING	   (200u * RATE)
#define STALL_US   (2 * SECOND)
#define TRIAL_MS   4000u
#define TAKEN_PORT 900u /* at laptop: another program's */
#define PORTS_MOST 8u

static struct operator console;
static struct talk *lasting[2]; /* of laptop, and of guest */
static const char *happening;	/* for what is checked next */

/* laptop's file: forwards to home/talk, and more lines. */
static struct file {
	unsigned ports[PORTS_MOST], count;
	const char *more;
} file;

/* ---- sessions ---- */

static struct talk *talk_by(unsigned port, uint64_t bytes_back)
{
	struct talk *t = talk_plan(&world_dice, 1);
	struct addr to = k_address("127.0.0.1", (uint16_t)port);

	t->side[0].plan = (struct talk_plan){.bytes = 300, .write_most = 300, .read_most = 65536};
	t->side[1].plan =
		(struct talk_plan){.bytes = bytes_back, .write_most = 16384, .read_most = 300};
	talk_start(t, &stage.at_laptop, &to);
	return t;
}

static void they_come(unsigned port)
{
	lasting[0] = talk_by(port, LASTING);
	lasting[1] = stage_talk_from(&stage.at_guest, LASTING, 300);
	world_run(2 * SECOND);
}

static uint64_t got_by(const struct talk *t)
{
	return t->side[0].got + t->side[1].got;
}

static void check_they_live(void)
{
	uint64_t before[] = {got_by(lasting[0]), got_by(lasting[1])};

	world_run(STALL_US);
	for (unsigned i = 0; i < 2; i++)
		world_check(got_by(lasting[i]) > before[i], "lives-on",
			    "%s, and talk %u gets nothing for two seconds", happening,
			    lasting[i]->id);
}

static void check_forward(unsigned port, bool may)
{
	world_check(stage_goes_through(talk_by(port, 500)) == may, may ? "allowed" : "forbidden",
		    "%s, and port %u is %s", happening, port, may ? "not served" : "served");
}

/* ---- the file ---- */

static void write_laptop(void)
{
	char text[2048];
	size_t n = (size_t)snprintf(text, sizeof(text), "relays:\n  - address: relay-a:443\n%s%s",
				    file.more, file.count ? "forward:\n" : "");

	for (unsigned i = 0; i < file.count; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "  - listen: 127.0.0.1:%u\n    to: home/talk\n",
				      file.ports[i]);
	world_agent_write(&stage.laptop, text);
}

static void add_port(unsigned port)
{
	file.ports[file.count++] = port;
}

static void drop_port(unsigned port)
{
	for (unsigned i = 0; i < file.count; i++)
		if (file.ports[i] == port)
			file.ports[i] = file.ports[--file.count];
}

static void reread(const char *what)
{
	happening = what;
	write_laptop();
	k_signal(stage.laptop.program, SIGHUP);
	world_run(200 * MS);
}

static void a_file_is_edited(void)
{
	file = (struct file){.ports = {800}, .count = 1, .more = ""};
	add_port(801);
	reread("a forward was added");
	check_forward(801, true);
	check_forward(800, true);
	check_they_live();
	drop_port(800);
	reread("a forward was removed");
	check_forward(800, false);
	check_forward(801, true);
	check_they_live();
}

/* One that is none, and one that the host does not let come into force. */
static void a_file_is_wrong(void)
{
	size_t open_before = stage.laptop.program->open_count;

	file.more = "warm_legs: many\n";
	add_port(805);
	reread("the file is no configuration");
	check_forward(801, true);
	check_forward(805, false);
	file.more = "";
	add_port(TAKEN_PORT);
	world_run(5 * SECOND);
	open_before = stage.laptop.program->open_count;
	reread("a port is another program's");
	world_check(stage.laptop.program->open_count <= open_before, "descriptors",
		    "%s, and what was bound before stays", happening);
	check_forward(801, true);
	check_forward(805, false);
	check_they_live();
	drop_port(TAKEN_PORT);
	drop_port(805);
	reread("the file was mended");
	check_forward(801, true);
}

/* ---- a console ---- */

static void console_comes(void)
{
	operator_start_at_agent(&console, &stage.relays[0], stage.internet, "laptop");
}

static json_t *forward_of(unsigned port)
{
	return json_pack("{s:o, s:s}", "listen", json_sprintf("127.0.0.1:%u", port), "to",
			 "home/talk");
}

static bool add_by_console(unsigned port, unsigned confirm_ms)
{
	json_t *config = operator_config(&console);

	config_add(config, "forward", forward_of(port));
	return operator_apply(&console, config, confirm_ms);
}

static void must_add(unsigned port, unsigned confirm_ms)
{
	world_check(add_by_console(port, confirm_ms), "answers", "a console's forward is refused");
}

static void check_events(const char *kind, bool happened)
{
	json_t *list = json_object_get(operator_call(&console, "events", NULL), "events"), *one;
	bool found = false;
	size_t i;

	json_array_foreach(list, i, one) found |=
		strcmp(json_string_value(json_object_get(one, "kind")), kind) == 0;
	world_check(found == happened, "answers", "%s, and %s is %s", happening, kind,
		    found ? "told" : "not told");
}

static void a_console_changes_something(void)
{
	json_t *config, *answer;

	happening = "a console added a forward";
	must_add(802, 0);
	check_forward(802, true);
	check_forward(801, true);
	check_they_live();
	config = operator_config(&console);
	json_object_set_new(config, "engine", json_string("epoll"));
	answer = operator_call(&console, "config.apply", json_pack("{s:o}", "config", config));
	answer = json_array_get(json_object_get(answer, "restart"), 0);
	world_check(json_is_string(answer) && strcmp(json_string_value(answer), "engine") == 0,
		    "answers", "a console does not hear that the engine stays until a restart");
	happening = "a console would cut itself off";
	config = operator_config(&console);
	json_object_set_new(config, "relays", json_pack("[{s:s}]", "address", "relay-b:443"));
	world_check(!operator_apply(&console, config, 0), "refused", "%s: its relay goes",
		    happening);
	config = operator_config(&console);
	json_object_set_new(config, "name", json_string(who_name(GUEST)));
	config_set_in(config, "identity", "certificate",
		      json_string(world_pairs[GUEST].certificate));
	config_set_in(config, "identity", "key", json_string(world_pairs[GUEST].key));
	world_check(!operator_apply(&console, config, 0), "refused", "%s: the name changes",
		    happening);
	check_they_live();
}

/* While it runs, neither the file nor another change counts. */
static void a_trial_runs_out(void)
{
	json_t *status;

	must_add(803, TRIAL_MS);
	add_port(804);
	reread("a trial runs");
	world_check(!add_by_console(806, 0), "trial", "a trial runs, and a change is taken");
	status = operator_call(&console, "status", NULL);
	world_check(json_object_get(status, "unconfirmed_ms") != NULL, "answers",
		    "a trial runs, and status does not tell");
	check_forward(803, true);
	check_forward(804, false);
	world_run(TRIAL_MS * MS);
	happening = "a trial ran out";
	check_forward(803, false);
	check_forward(802, true);
	reread("a trial ran out, and the file is read again");
	check_forward(804, true);
	check_forward(802, true);
	check_they_live();
}

static void a_trial_is_confirmed(void)
{
	happening = "a trial was confirmed";
	must_add(803, TRIAL_MS);
	world_check(operator_call(&console, "config.confirm", NULL) != NULL, "trial",
		    "a trial cannot be confirmed");
	world_run(2 * TRIAL_MS * MS);
	check_forward(803, true);
	check_forward(804, true);
}

static void check_warm_legs(uint64_t count)
{
	world_check(stage.laptop.agent.setup.config->warm_legs == count, "file-wins",
		    "%s, and warm_legs is %llu instead of %llu", happening,
		    (unsigned long long)stage.laptop.agent.setup.config->warm_legs,
		    (unsigned long long)count);
}

/* The console changed the same thing before. */
static void the_file_wins(void)
{
	json_t *config = operator_config(&console);

	json_object_set_new(config, "warm_legs", json_integer(3));
	happening = "a console changed warm_legs";
	world_check(operator_apply(&console, config, 0), "answers", "warm_legs cannot be changed");
	check_warm_legs(3);
	check_events("config.overruled", false);
	file.more = "warm_legs: 4\n";
	reread("file and console changed warm_legs");
	check_warm_legs(4);
	check_forward(803, true);
	check_events("config.overruled", true);
}

/* The session that is told is the one that was. */
static void check_told(void)
{
	const struct agent_sessions *all = &stage.laptop.agent.sessions;
	json_t *status, *one, *events;
	uint64_t ended = all->totals.sessions;
	const char *kind;

	happening = "one talk was";
	check_forward(803, true);
	world_run(SECOND);
	status = operator_call(&console, "status", NULL);
	world_check(json_array_size(json_object_get(status, "sessions")) == all->count, "answers",
		    "status tells of %zu sessions of %zu",
		    json_array_size(json_object_get(status, "sessions")), all->count);
	world_check(all->totals.sessions == ended + 1 &&
			    json_integer_value(json_object_get(status, "sessions_total")) ==
				    (json_int_t)all->totals.sessions,
		    "answers", "status does not count its sessions");
	events = json_object_get(operator_call(&console, "events", NULL), "events");
	one = json_array_get(events, json_array_size(events) - 1);
	kind = json_string_value(json_object_get(one, "kind"));
	world_check(kind && strcmp(kind, "session.closed") == 0 &&
			    json_integer_value(json_object_get(one, "up")) == 308 &&
			    json_integer_value(json_object_get(one, "down")) == 500,
		    "answers", "the last event is %s: %lld bytes up, %lld down", kind ? kind : "?",
		    (long long)json_integer_value(json_object_get(one, "up")),
		    (long long)json_integer_value(json_object_get(one, "down")));
}

/* ---- another start ---- */

static void laptop_again(const char *what)
{
	happening = what;
	stage_agent_again(&stage.laptop);
	world_check(world_until(stage_linked, NULL, 60 * SECOND), "links",
		    "%s, and it has no link after a minute", what);
	world_run(2 * SECOND);
}

static void check_kept(void)
{
	for (unsigned port = 801; port <= 804; port++)
		check_forward(port, true);
	check_forward(800, false);
	check_warm_legs(4);
}

/* With what the console changed. */
static void it_starts_again(void)
{
	operator_stop(&console);
	talks_disturb();
	world_agent_stop(&stage.laptop);
	laptop_again("laptop started again");
	check_kept();
	(void)world_until(talks_over, NULL, 400 * SECOND);
}

/* The same, without what no console had confirmed. No session runs: where a process dies, its host
 * ends what it had, and to applications that looks like any end. */
static void it_crashes(void)
{
	console_comes();
	must_add(806, 100 * TRIAL_MS);
	world_agent_crash(&stage.laptop);
	operator_stop(&console);
	laptop_again("laptop crashed during a trial");
	check_forward(806, false);
	check_kept();
}

static void its_file_changed_meanwhile(void)
{
	talks_disturb();
	world_agent_stop(&stage.laptop);
	drop_port(801);
	add_port(805);
	file.more = "";
	write_laptop();
	laptop_again("the file was edited while laptop was away");
	check_forward(801, false);
	for (unsigned port = 802; port <= 805; port++)
		check_forward(port, true);
	check_warm_legs(2);
}

/* ---- the agent that publishes ---- */

#define HOME_FILE                                                                                  \
	"relays:\n  - address: relay-a:443\n"                                                      \
	"publish:\n  - service: talk\n    target: 127.0.0.1:700\n"                                 \
	"  - service: web\n    target: 127.0.0.1:443\n    public: true\n"
#define HOME_FILE_MORE HOME_FILE "  - service: more\n    target: 127.0.0.1:700\n"

static void reread_home(const char *what, const char *config)
{
	happening = what;
	world_agent_write(&stage.home, config);
	k_signal(stage.home.program, SIGHUP);
	world_run(SECOND);
}

static void check_published(size_t count)
{
	json_t *list = json_object_get(operator_call(&stage.operator, "agents", NULL), "agents");
	json_t *one;
	size_t i;

	json_array_foreach(
		list, i,
		one) if (strcmp(json_string_value(json_object_get(one, "agent")), "home") == 0)
		world_check(json_array_size(json_object_get(one, "services")) == count, "answers",
			    "%s, and the relay knows %zu services of home's", happening,
			    json_array_size(json_object_get(one, "services")));
}

static void services_come_and_go(void)
{
	reread_home("a service was added", HOME_FILE_MORE);
	file.more = "socks5:\n  listen: 127.0.0.1:1080\n";
	reread("a SOCKS5 server was added");
	check_published(3);
	check_they_live();
	reread_home("a service was removed", HOME_FILE);
	check_published(2);
	check_they_live();
}

static bool home_is_away(void *unused)
{
	return !world_relay_links(&stage.relays[0], "home");
}

/* Its old link stays of use until the new one is up. */
static void home_gets_another_certificate(void)
{
	struct certs_pair before = world_pairs[HOME];
	const struct agent_links *links = &stage.home.agent.links;
	const struct agent_link *old = links->list[0];

	world_pairs[HOME] = certs_make_pair(&world_ca, IDENTITY_AGENT, "home", -86400, 90 * 86400);
	happening = "home's certificate was renewed";
	world_agent_write(&stage.home, HOME_FILE);
	k_signal(stage.home.program, SIGHUP);
	world_check(!world_until(home_is_away, NULL, 5 * SECOND), "lives-on",
		    "%s, and the relay has no link of home's for a moment", happening);
	world_check(links->list[0] != old && world_agent_linked(&stage.home), "links",
		    "%s, and it is not linked by the new one", happening);
	check_they_live();
	check_forward(805, true);
	world_run(60 * SECOND);
	world_check(!links->retired, "memory", "%s, and the old link is kept", happening);
	certs_free_pair(&world_pairs[HOME]);
	world_pairs[HOME] = before;
}

/* ---- the world ---- */

void world_agent_changes(void)
{
	char limit[64];

	snprintf(limit, sizeof(limit), "bandwidth:\n  per_session: %uB/s\n", RATE);
	stage_set(1, limit);
	people_answer(&stage.at_laptop, TAKEN_PORT, NULL);
	they_come(800);
	a_file_is_edited();
	a_file_is_wrong();
	console_comes();
	a_console_changes_something();
	a_trial_runs_out();
	a_trial_is_confirmed();
	the_file_wins();
	check_told();
	it_starts_again();
	it_crashes();
	its_file_changed_meanwhile();
	they_come(805);
	services_come_and_go();
	home_gets_another_certificate();
	(void)world_until(talks_over, NULL, 400 * SECOND);
	talks_judge();
	stage_clear();
}
