/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operator_world: an operator changes things while they run: by a console over the relay's own port
 * and by the control socket, for good and on trial, by methods, and by another text of the file.
 *
 * Each act is done among sessions. Those that no rule forbids go on, without a stall and to their
 * last byte; those that one forbids end within a second, at the relay and at both agents; and when
 * an act has been taken back, the configuration is what it was before.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/world/rogue.h"
#include "tests/world/stage.h"
#include "tests/world/worlds.h"

#define RATE	   40000u /* bytes per second of each session: so that they last */
#define LESS_RATE  20000u
#define BLOCK	   16384u /* what may come at once */
#define LASTING	   (24u * RATE)
#define AT_ONCE_US SECOND
#define STALL_US   (2 * SECOND)
#define TRIAL_MS   4000u
#define SAVED_MOST (20u << 20) /* twice CALLER_OUTPUT_MAX, and the answers themselves */

static struct operator console, *hands; /* hands: the one that acts, by the console or the socket */
static struct rogue deaf;
static char file_text[sizeof(stage.relay_config) + 512];

/* ---- sessions ---- */

static struct talk *bystanders[3]; /* from laptop, from the public, from guest */

static struct talk *visit(const char *name, uint16_t port, uint64_t bytes_back)
{
	struct talk *t = talk_plan(&world_dice, 1);
	struct addr to = k_address(k_host_address(stage.relay_hosts[0]), port);

	t->side[0].plan = (struct talk_plan){.bytes = 500, .write_most = 16384, .read_most = 65536};
	t->side[1].plan =
		(struct talk_plan){.bytes = bytes_back, .write_most = 16384, .read_most = 65536};
	t->secure = t->perhaps_elsewhere = true; /* an unknown name leads to the relay's own page */
	snprintf(t->server_name, sizeof(t->server_name), "%s", name);
	talk_start(t, &stage.visitors, &to);
	return t;
}

static void bystanders_come(bool guest_suffers)
{
	bystanders[0] = stage_talk_from(&stage.at_laptop, 300, LASTING);
	bystanders[1] = visit("www.example", 443, LASTING);
	bystanders[2] = stage_talk_from(&stage.at_guest, LASTING, 300);
	bystanders[2]->disturbed = guest_suffers;
	world_run(2 * SECOND + dice_size(&world_dice, SECOND));
}

static uint64_t got_by(const struct talk *t)
{
	return t->side[0].got + t->side[1].got;
}

/* Guest's may have been forbidden; the others go on. */
static void check_bystanders(const char *what, unsigned count)
{
	uint64_t before[3];

	for (unsigned i = 0; i < count; i++)
		before[i] = got_by(bystanders[i]);
	world_run(STALL_US);
	for (unsigned i = 0; i < count; i++)
		world_check(talk_over(bystanders[i]) || got_by(bystanders[i]) > before[i],
			    "lives-on", "%s, and talk %u gets nothing for two seconds", what,
			    bystanders[i]->id);
}

/* The word was given a second ago. */
static void check_guest_out(const char *what)
{
	const struct talk *t = bystanders[2];

	world_check(world_relay_sessions_of(&stage.relays[0], "guest") == 0, "ends-at-once",
		    "%s, and the relay has %u sessions of guest's a second later", what,
		    world_relay_sessions_of(&stage.relays[0], "guest"));
	world_check(world_agent_sessions_with(&stage.guest, "home") == 0, "ends-at-once",
		    "%s, and guest has %u sessions a second later", what,
		    world_agent_sessions_with(&stage.guest, "home"));
	world_check(world_agent_sessions_with(&stage.home, "guest") == 0, "ends-at-once",
		    "%s, and home has %u sessions with guest a second later", what,
		    world_agent_sessions_with(&stage.home, "guest"));
	world_check(talk_over(t), "ends-at-once", "%s, and talk %u goes on a second later", what,
		    t->id);
}

static void check_guest(const char *what, bool may)
{
	world_check(stage_goes_through(stage_talk_from(&stage.at_guest, 300, 300)) == may,
		    may ? "allowed" : "forbidden", "%s, and guest can%s", what, may ? "not" : "");
}

static void check_visit(const char *what, const char *name, uint16_t port, bool may)
{
	world_check(stage_goes_through(visit(name, port, 300)) == may,
		    may ? "allowed" : "forbidden", "%s, and %s on port %u is %s", what, name, port,
		    may ? "not served" : "served");
}

/* ---- the configuration ---- */

static void must_apply(json_t *config, unsigned confirm_ms)
{
	world_check(operator_apply(hands, config, confirm_ms), "answers", "a change is refused");
}

static json_t *public_name(const char *name)
{
	return json_pack("{s:s, s:s}", "name", name, "to", "home/web");
}

/* was is taken over. */
static void check_as_before(const char *what, json_t *was)
{
	json_t *is = operator_config(hands);

	world_check(json_equal(was, is), "as-before",
		    "%s, and the configuration is not what it was before", what);
	json_decref(is);
	json_decref(was);
}

/* ---- the acts ---- */

/* A peer that came by an address stays when the address goes; one that came by a name does not. */
static void act_addresses(void)
{
	json_t *was = operator_config(hands), *more = json_deep_copy(was);

	config_add(more, "listen", json_pack("{s:s}", "address", "0.0.0.0:8443"));
	config_add(more, "public", public_name("www2.example"));
	must_apply(more, 0);
	check_visit("a name is added", "www2.example", 443, true);
	struct talk *t = visit("www.example", 8443, LASTING / 2),
		    *by_name = visit("www2.example", 443, LASTING / 2);

	by_name->disturbed = true;
	world_run(2 * SECOND);
	world_check(t->side[1].begun, "allowed", "an address is added, and not served");
	must_apply(json_deep_copy(was), 0);
	world_run(AT_ONCE_US);
	world_check(talk_over(by_name), "ends-at-once", "a name is gone, and its visitor is not");
	check_bystanders("an address and a name go", 3);
	check_visit("a name is gone", "www2.example", 443, false);
	check_visit("an address is gone", "www.example", 8443, false);
	(void)world_until(stage_talk_over, t, 60 * SECOND);
	check_as_before("addresses went", was);
}

/* Of two addresses one is another program's: neither is served, and nothing is left of the other.
 */
static void act_address_in_use(void)
{
	json_t *was = operator_config(hands), *more = json_deep_copy(was);
	size_t open_before;

	config_add(more, "listen", json_pack("{s:s}", "address", "0.0.0.0:8443"));
	config_add(more, "listen", json_pack("{s:s}", "address", "0.0.0.0:9443"));
	world_run(SECOND);
	open_before = stage.relays[0].program->open_count;
	world_check(!operator_apply(hands, more, 0), "answers", "another program's port is bound");
	world_check(stage.relays[0].program->open_count == open_before, "descriptors",
		    "an address was not to be had, and %zu descriptors are open instead of %zu",
		    stage.relays[0].program->open_count, open_before);
	check_bystanders("an address was not to be had", 3);
	check_visit("an address was not to be had", "www.example", 8443, false);
	check_as_before("an address was not to be had", was);
}

/* What would end the console's own connection is refused. */
static void act_cut_off(void)
{
	json_t *was = operator_config(hands), *next = json_deep_copy(was);

	json_object_set_new(next, "listen", json_pack("[{s:s}]", "address", "0.0.0.0:8443"));
	world_check(!operator_apply(&console, next, 0), "refused",
		    "a console takes its listener away from under itself");
	next = json_deep_copy(was);
	config_add(next, "revoked", json_pack("{s:s}", "agent", who_name(ADMIN)));
	world_check(!operator_apply(&console, next, 0), "refused", "a console revokes itself");
	world_check(
		!operator_call(&console, "revoke", json_pack("{s:s}", "agent", who_name(ADMIN))),
		"refused", "a console revokes itself by its name");
	/* Calls that come together are all answered; operator_call() waits for all. */
	for (unsigned i = 0; i < 20; i++)
		operator_ask(&console, "grants", NULL);
	world_check(operator_call(&console, "grants", NULL) != NULL, "answers",
		    "of many calls at once one is not answered");
	check_bystanders("a console would have cut itself off", 3);
	check_as_before("a console would have cut itself off", was);
}

/* Less is allowed than runs: nothing that runs ends, nothing new begins. */
static void act_limits(void)
{
	json_t *was = operator_config(hands), *less = json_deep_copy(was);
	uint64_t before;

	config_set_in(less, "limits", "sessions", json_integer(1));
	config_set_in(less, "bandwidth", "per_session", json_sprintf("%uB/s", LESS_RATE));
	must_apply(less, 0);
	check_bystanders("limits are less than what runs", 3);
	world_check(!stage_goes_through(stage_talk_from(&stage.at_laptop, 300, 300)), "forbidden",
		    "one session may be, and a second one begins");
	world_run(3 * SECOND); /* what was under way arrives */
	before = got_by(bystanders[0]);
	world_run(10 * SECOND);
	before = got_by(bystanders[0]) - before;
	world_check(before < LESS_RATE * 10 * 105 / 100 + BLOCK, "shares",
		    "%u B/s are allowed, and a session that runs gets %llu in 10 s", LESS_RATE,
		    (unsigned long long)before);
	must_apply(json_deep_copy(was), 0);
	world_run(100 * MS);
	world_check(stage_goes_through(stage_talk_from(&stage.at_laptop, 300, 300)), "allowed",
		    "limits are as before, and nothing new begins");
	check_as_before("limits were less", was);
}

/* Not confirmed: what the trial forbade is allowed again. */
static void act_trial_that_runs_out(void)
{
	json_t *was = operator_config(hands), *trial = json_deep_copy(was);

	json_object_set_new(trial, "grants", json_array());
	config_add(trial, "public", public_name("trial.example"));
	must_apply(trial, TRIAL_MS);
	world_run(AT_ONCE_US);
	check_guest_out("a trial forbids guest");
	world_check(!operator_apply(&console, json_deep_copy(was), 0), "trial",
		    "a trial runs, and another change is taken");
	world_check(!operator_call(hands, "grant",
				   json_pack("{s:s, s:s}", "agent", "guest", "to", "home/talk")),
		    "trial", "a trial runs, and a grant is taken");
	k_signal(stage.relays[0].program, SIGHUP);
	check_visit("a trial adds a name", "trial.example", 443, true);
	world_run(TRIAL_MS * MS);
	check_bystanders("a trial ran out", 2);
	check_guest("a trial ran out", true);
	check_visit("a trial ran out", "trial.example", 443, false);
	check_as_before("a trial ran out", was);
}

/* The other one confirms, and it stays. */
static void act_trial_confirmed(void)
{
	json_t *was = operator_config(hands), *trial = json_deep_copy(was);
	struct operator* other = hands == & console ? &stage.operator: & console;

	config_add(trial, "public", public_name("trial.example"));
	must_apply(trial, TRIAL_MS);
	world_check(operator_call(other, "config.confirm", NULL) != NULL, "trial",
		    "a trial cannot be confirmed");
	world_run(2 * TRIAL_MS * MS);
	check_visit("a trial was confirmed", "trial.example", 443, true);
	check_bystanders("a trial was confirmed", 3);
	/* It was made from a revision that is no more in force. */
	world_check(operator_call(other, "config.apply",
				  json_pack("{s:O, s:i}", "config", was, "revision", 1)) == NULL,
		    "trial", "a change made from an old revision is taken");
	must_apply(json_deep_copy(was), 0);
	check_as_before("a trial was confirmed and taken back", was);
}

static void check_wrong_grant(void)
{
	const char *text;
	bool taken = operator_call(hands, "grant",
				   json_pack("{s:s, s:s, s:s}", "agent", "guest", "to", "home/talk",
					     "rate", "20")) != NULL;

	text = json_string_value(
		json_object_get(json_object_get(hands->answer, "error"), "message"));
	world_check(!taken && text && strstr(text, "is not a rate") && !strchr(text, '\n'),
		    "answers", "a grant of no rate is answered: %s", text ? text : "nothing");
}

static void act_ungrant(void)
{
	json_t *was = operator_config(hands);

	check_wrong_grant();
	world_check(operator_call(hands, "ungrant",
				  json_pack("{s:s, s:s}", "agent", "guest", "to", "home/talk")) !=
			    NULL,
		    "answers", "a grant cannot be taken back");
	world_run(AT_ONCE_US);
	check_guest_out("a grant was taken back");
	world_check(world_agent_linked(&stage.guest), "lives-on",
		    "a grant was taken back, and guest has lost its link");
	check_guest("a grant was taken back", false);
	check_bystanders("a grant was taken back", 2);
	(void)operator_call(hands, "grant",
			    json_pack("{s:s, s:s}", "agent", "guest", "to", "home/talk"));
	check_guest("guest was granted it again", true);
	check_as_before("a grant was taken back and given", was);
}

static void act_revoke(void)
{
	json_t *was = operator_config(hands);

	(void)operator_call(hands, "revoke", json_pack("{s:s}", "agent", "guest"));
	world_run(AT_ONCE_US);
	check_guest_out("guest is revoked");
	world_check(!world_relay_links(&stage.relays[0], "guest") &&
			    !world_agent_linked(&stage.guest),
		    "ends-at-once", "guest is revoked, and linked a second later");
	check_bystanders("guest is revoked", 2);
	world_check(!world_relay_links(&stage.relays[0], "guest"), "forbidden",
		    "guest is revoked, and came in again");
	(void)operator_call(hands, "unrevoke", json_pack("{s:s}", "agent", "guest"));
	world_check(world_until(stage_linked, NULL, 700 * SECOND), "links",
		    "guest is forgiven, and does not come back");
	world_run(SECOND);
	check_guest("guest is forgiven", true);
	json_t *is = operator_config(hands);
	/* The empty list stays. */
	if (!json_object_get(was, "revoked"))
		json_object_del(is, "revoked");
	world_check(json_equal(was, is), "as-before", "guest is forgiven, and more has changed");
	json_decref(is);
	must_apply(json_deep_copy(was), 0);
	json_decref(was);
}

static void act_kick(void)
{
	const struct link_state *link = &stage.guest.agent.links.list[0]->state;
	json_t *was = operator_config(hands), *answer;
	uint64_t up_since = link->up_since_ms;

	answer = operator_call(hands, "kick", json_pack("{s:s}", "agent", "guest"));

	world_check(json_array_size(json_object_get(answer, "kicked")) >= 2, "answers",
		    "a link and a session are kicked, and not told of");
	world_run(AT_ONCE_US);
	check_guest_out("guest was kicked");
	check_bystanders("guest was kicked", 2);
	world_check(world_until(stage_linked, NULL, 120 * SECOND), "links",
		    "guest was kicked, and does not come back");
	world_check(link->up_since_ms != up_since, "ends-at-once",
		    "guest was kicked, and has the link it had");
	world_run(2 * SECOND);
	check_guest("guest was kicked and is back", true);
	check_as_before("guest was kicked", was);
}

/* The number of guest's one session, as operators see it; owned. */
static char *session_number(void)
{
	json_t *answer = operator_call(hands, "sessions", json_pack("{s:s}", "agent", "guest"));
	json_t *list = json_object_get(answer, "sessions");

	world_check(json_array_size(list) == 1, "answers",
		    "guest has one session, and %zu are told", json_array_size(list));
	return strdup(json_string_value(json_object_get(json_array_get(list, 0), "session")));
}

/* What is on record of the end of this session. */
static void check_record(const char *number, uint64_t up_least)
{
	json_t *list = json_object_get(operator_call(hands, "audit", NULL), "audit"), *one;
	const char *code = "???", *from = "?";
	json_int_t up = -1;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (strcmp(json_string_value(json_object_get(one, "session")), number) != 0 ||
		    !json_object_get(one, "ending"))
			continue;
		code = json_string_value(json_object_get(one, "ending"));
		from = json_string_value(json_object_get(one, "from"));
		up = json_integer_value(json_object_get(one, "up"));
	}
	/* By the relay itself, kicked. */
	world_check(code[0] == 'S' && code[2] == 'K' && strcmp(from, "guest") == 0 &&
			    up >= (json_int_t)up_least,
		    "answers", "a session of %s's is on record with %s, %lld bytes up", from, code,
		    (long long)up);
}

static size_t kicked(const char *key, const char *value)
{
	json_t *answer = operator_call(hands, "kick", json_pack("{s:s}", key, value));

	world_check(answer != NULL, "answers", "nothing can be kicked");
	return json_array_size(json_object_get(answer, "kicked"));
}

/* One session by its number: neither the link of its agent nor another session goes with it. */
static void act_kick_session(void)
{
	json_t *was = operator_config(hands);
	char *number = session_number(), other[] = "0000000000000000";

	world_check(kicked("session", other) == 0 && kicked("agent", "nobody") == 0, "answers",
		    "a session is kicked that is not there");
	world_check(!operator_call(hands, "kick",
				   json_pack("{s:s, s:s}", "session", number, "agent", "guest")),
		    "answers", "a session and an agent are kicked at once");
	check_bystanders("a session was kicked that is not there", 3);
	world_check(kicked("session", number) == 1, "answers", "one session is kicked, not told");
	world_run(AT_ONCE_US);
	check_guest_out("guest's session was kicked");
	world_check(world_agent_linked(&stage.guest) &&
			    world_relay_links(&stage.relays[0], "guest"),
		    "lives-on", "guest's session was kicked, and its link is gone");
	world_check(kicked("session", number) == 0, "answers", "a session is kicked twice");
	check_record(number, bystanders[2]->side[1].got);
	check_bystanders("a session was kicked", 2);
	check_guest("its session was kicked", true);
	free(number);
	check_as_before("a session was kicked", was);
}

/* The relay's file, with a name more, and so long a drain. */
static void write_file(bool with_name, unsigned drain_s)
{
	char *at = strstr(stage.relay_config, "public:\n"), *drain;

	at += strlen("public:\n");
	snprintf(file_text, sizeof(file_text), "%.*s%s%s", (int)(at - stage.relay_config),
		 stage.relay_config, with_name ? "  - name: file.example\n    to: home/web\n" : "",
		 at);
	drain = strstr(file_text, "drain: 10s");
	if (!drain || drain_s > 99)
		world_broken("the relay's file has no drain");
	drain[7] = (char)('0' + drain_s / 10);
	drain[8] = (char)('0' + drain_s % 10);
	world_relay_write(&stage.relays[0], file_text);
	k_signal(stage.relays[0].program, SIGHUP);
	world_run(200 * MS);
}

/* The console changed one thing, the file another, and both a third: there the file wins. */
static void act_edited_file(void)
{
	json_t *was = operator_config(hands), *ours = json_deep_copy(was), *is;

	config_add(ours, "public", public_name("console.example"));
	json_object_set_new(ours, "drain", json_string("15s"));
	must_apply(ours, 0);
	write_file(true, 20);
	check_visit("the file was edited", "file.example", 443, true);
	check_visit("the file was edited", "console.example", 443, true);
	check_visit("the file was edited", "www.example", 443, true);
	check_bystanders("the file was edited", 3);
	is = operator_config(hands);
	world_check(json_is_string(json_object_get(is, "drain")) &&
			    strcmp(json_string_value(json_object_get(is, "drain")), "20s") == 0,
		    "file-wins", "file and console changed drain, and the file's does not count");
	json_decref(is);
	write_file(false, 10);
	check_visit("the file's name is gone", "file.example", 443, false);
	check_visit("the file's name is gone", "console.example", 443, true);
	must_apply(json_deep_copy(was), 0);
	check_visit("the console's name is gone", "console.example", 443, false);
	check_as_before("the file was edited and put back", was);
}

/* A file that is no configuration changes nothing. */
static void act_broken_file(void)
{
	json_t *was = operator_config(hands);

	world_relay_write(&stage.relays[0], "listen: nowhere\n");
	k_signal(stage.relays[0].program, SIGHUP);
	world_run(200 * MS);
	check_bystanders("the file is broken", 3);
	check_guest("the file is broken", true);
	write_file(false, 10);
	check_as_before("the file was broken and mended", was);
}

/* ---- the one that does not read ---- */

static void deaf_console_comes(void)
{
	static uint8_t ask[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"config.get\"}\n";
	struct addr to = stage_front_door(0);

	rogue_come(&deaf, &stage.visitors, ADMIN, WIRE_HELLO_CONSOLE, &to);
	deaf.deaf = true;
	(void)world_until(rogue_settled, &deaf, 20 * SECOND);
	if (!deaf.signed_in)
		world_broken("a console was not let in");
	stage.relays[0].program->memory_most = stage.relays[0].program->memory_bytes;
	rogue_say(&deaf, ask, sizeof(ask) - 1, 20000);
}

static void check_memory(size_t before)
{
	size_t most = stage.relays[0].program->memory_most;

	world_check(most < before + SAVED_MOST, "output-bounded",
		    "a console that does not read made the relay keep %zu bytes", most - before);
}

/* ---- the world ---- */

static const struct {
	void (*act)(void);
	bool guest_suffers;
} acts[] = {
	{act_addresses, false},
	{act_address_in_use, false},
	{act_cut_off, false},
	{act_limits, false},
	{act_trial_that_runs_out, true},
	{act_ungrant, true},
	{act_revoke, true},
	{act_kick, true},
	{act_kick_session, true},
	{act_edited_file, false},
	{act_broken_file, false},
	{act_trial_confirmed, false},
};

#define ACTS (sizeof(acts) / sizeof(acts[0]))

static void console_comes(void)
{
	operator_start_away(&console, &stage.relays[0], stage.internet);
	world_check(world_until(operator_settled, &console, 20 * SECOND) && console.signed_in,
		    "answers", "a console is not let in");
}

/* As `echo CALL | nc -N -U SOCKET` does: the answer comes all the same, from all threads. */
static void a_script_calls_and_ends_its_input(void)
{
	static const char call[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sessions\"}\n";
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = OPERATOR_SOCKET};
	char answer[4096];
	size_t len = 0;
	ssize_t n = -1;
	int fd;

	k_enter(stage.operator.people.program);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)))
		world_broken("a script cannot connect");
	while (len < sizeof(call) - 1) { /* the kernel may take less */
		n = send(fd, call + len, sizeof(call) - 1 - len, MSG_NOSIGNAL);
		if (n < 0)
			world_broken("a script cannot call");
		len += (size_t)n;
	}
	shutdown(fd, SHUT_WR);
	len = 0;
	k_enter(NULL);
	world_run(2 * SECOND);
	k_enter(stage.operator.people.program);
	while (len < sizeof(answer) &&
	       (n = recv(fd, answer + len, sizeof(answer) - len, MSG_DONTWAIT)) > 0)
		len += (size_t)n;
	world_check(memmem(answer, len, "\"result\"", 8) != NULL, "answers",
		    "a script that ends its input is not answered");
	world_check(n == 0, "ends", "a script that has its answer stays connected");
	close(fd);
	k_enter(NULL);
}

/* In a console's JSON a name of digits may be a number; it is the name that YAML makes of it. */
static void a_name_of_digits_is_revoked(void)
{
	json_t *config = operator_config(&stage.operator);

	config_add(config, "revoked", json_pack("{s:i}", "agent", 123));
	world_check(operator_apply(&stage.operator, config, 0), "answers", "123 cannot be revoked");
	world_check(operator_call(&stage.operator, "revoke",
				  json_pack("{s:s, s:s}", "agent", "123", "note", "lost")) != NULL,
		    "answers", "123 cannot be revoked once more");
	config = operator_config(&stage.operator);
	world_check(json_array_size(json_object_get(config, "revoked")) == 1, "accounts",
		    "123 is revoked twice");
	json_decref(config);
	(void)operator_call(&stage.operator, "unrevoke", json_pack("{s:s}", "agent", "123"));
}

void world_operator(void)
{
	unsigned count = (unsigned)dice_between(&world_dice, 2, 3);
	bool with_deaf = dice_chance(&world_dice, 300);
	size_t before;

	stage_set(1, "policy:\n  - from: [public]\n    to: [home/web]\n"
		     "  - from: [laptop]\n    to: [home/talk]\n"
		     "grants:\n  - from: [laptop]\n    to: [home/talk]\n"
		     "  - from: [guest]\n    to: [home/talk]\n"
		     "bandwidth:\n  per_session: 40000B/s\n");
	people_answer(&stage.operator.people, 9443, NULL);
	console_comes();
	before = stage.relays[0].program->memory_bytes;
	if (with_deaf)
		deaf_console_comes();
	for (unsigned i = 0; i < count; i++) {
		size_t which = dice_below(&world_dice, ACTS);

		if (i < 2) /* seeds that follow each other try every act */
			which = (2 * world_seed + i) % ACTS;

		hands = dice_chance(&world_dice, 700) ? &console : &stage.operator;
		bystanders_come(acts[which].guest_suffers);
		acts[which].act();
		(void)world_until(talks_over, NULL, 120 * SECOND);
	}
	talks_judge();
	if (with_deaf) {
		check_memory(before);
		rogue_leave(&deaf);
	}
	a_script_calls_and_ends_its_input();
	a_name_of_digits_is_revoked();
	world_check(console.connected, "lives-on", "the console was cut off");
	operator_stop(&console);
	stage_clear();
}

/* ---- a relay that starts again ---- */

static void drain_is(const char *what, const char *text)
{
	json_t *config = operator_config(&stage.operator);
	const char *is = json_string_value(json_object_get(config, "drain"));

	world_check(is && strcmp(is, text) == 0, "file-wins", "%s, and drain is %s instead of %s",
		    what, is ? is : "?", text);
	json_decref(config);
}

static void relay_again(const char *what)
{
	world_relay_start(&stage.relays[0], RELAY_A, stage.relay_hosts[0], NULL);
	operator_start(&stage.operator, & stage.relays[0]);
	world_run(2 * SECOND); /* the agents notice */
	world_check(world_until(stage_linked, NULL, 120 * SECOND), "links",
		    "%s, and agents have no link after two minutes", what);
	world_run(2 * SECOND);
}

static void relay_away(bool at_once)
{
	operator_stop(&stage.operator);
	if (!at_once)
		world_relay_stop(&stage.relays[0]);
	else
		world_relay_kill(&stage.relays[0]);
}

/* With what a console changed, but for what no console confirmed; and with a file that was edited.
 */
void world_relay_again(void)
{
	json_t *config;
	char *at;

	stage_set(1, "");
	hands = &stage.operator;
	config = operator_config(hands);
	config_add(config, "public", public_name("console.example"));
	json_object_set_new(config, "drain", json_string("15s"));
	must_apply(config, 0);
	config = operator_config(hands);
	config_add(config, "public", public_name("trial.example"));
	must_apply(config, 100 * TRIAL_MS);
	relay_away(true);
	relay_again("the relay started again");
	check_visit("the relay started again", "console.example", 443, true);
	check_visit("the relay started again", "trial.example", 443, false);
	drain_is("the relay started again", "15s");
	relay_away(false);
	at = strstr(stage.relay_config, "drain: 10s");
	if (!at)
		world_broken("the relay's file has no drain");
	memcpy(at, "drain: 20s", strlen("drain: 20s"));
	world_relay_write(&stage.relays[0], stage.relay_config);
	relay_again("the relay's file was edited meanwhile");
	check_visit("the file was edited meanwhile", "console.example", 443, true);
	drain_is("the file was edited meanwhile", "20s");
	stage_clear();
}
