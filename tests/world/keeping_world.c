/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeping_world: what callers make a relay keep. In keeping what a console's calls leave when they
 * have been answered: nothing that grows by what it wrote. A limit of memory that leaves no room is
 * not put in force, since nothing would find the memory to take it back. What waits for the control
 * thread, or for a caller that does not read, is bounded. In records_short memory is short when
 * records are made: none lacks a part, and those that are lost are counted.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/memory.h"
#include "relay/control/control_internal.h"
#include "relay/session/report.h"
#include "tests/world/rogue.h"
#include "tests/world/stage.h"
#include "tests/world/worlds.h"

#define LONG_BYTES 100000u
#define KICKS	   20u
#define GRANTS	   2000u
#define LEFT_MOST  300000 /* bytes that some calls may leave: events, a table's page */

#define LINE_BYTES (256u << 10)
#define LINES_SENT 100u
#define ASKED	   60u /* a schema has some 20 KB */

static int64_t used(void)
{
	return stage.relays[0].relay.memory.used;
}

static void check_left(const char *what, int64_t before)
{
	world_run(2 * SECOND);
	world_check(used() - before < LEFT_MOST, "memory-bounded", "%s leave %lld bytes", what,
		    (long long)(used() - before));
}

/* An event of each is kept, and sent to all that follow. */
static void kick_long_names(void)
{
	char *name = malloc(LONG_BYTES + 1);
	int64_t before = used();

	memset(name, 'a', LONG_BYTES);
	name[LONG_BYTES] = '\0';
	for (unsigned i = 0; i < KICKS; i++)
		world_check(!operator_call(&stage.operator, "kick",
					   json_pack("{s:s}", i % 2 ? "agent" : "session", name)),
			    "answers", "a name of %u bytes is kicked", LONG_BYTES);
	free(name);
	check_left("names that are none", before);
}

static void compare(json_t *config)
{
	json_t *list = json_array();
	int64_t before = used();

	for (unsigned i = 0; i < GRANTS; i++)
		json_array_append_new(list, json_pack("{s:[s], s:[o]}", "from", "laptop", "to",
						      json_sprintf("home/service-%u", i)));
	json_object_set_new(config, "grants", list);
	world_check(operator_call(&stage.operator, "config.diff",
				  json_pack("{s:o}", "config", config)) != NULL,
		    "answers", "a configuration is not compared");
	check_left("configurations that were compared", before);
}

/* As much more is in use as some thousand sessions have. */
static void lower_the_limit(const json_t *config)
{
	struct relay *r = &stage.relays[0].relay;
	json_t *low = json_deep_copy(config);
	const int64_t more = 50 << 20;
	uint64_t most = r->memory.most;

	config_set_in(low, "limits", "memory", json_string("48MiB"));
	r->memory.used += more;
	world_check(!operator_apply(&stage.operator, json_deep_copy(low), 1000), "memory-bounded",
		    "a limit is in force that leaves nothing for a way back");
	world_check(r->memory.most == most, "whole", "a limit that was refused is in force");
	r->memory.used -= more;
	world_check(operator_apply(&stage.operator, json_deep_copy(low), 1000), "answers",
		    "a limit that leaves room is refused on trial");
	r->memory.used += more;
	world_run(5 * SECOND);
	world_check(r->memory.most == most, "whole",
		    "a lower limit on trial is still in force when its time is up");
	r->memory.used -= more;
	world_check(operator_apply(&stage.operator, low, 0), "answers",
		    "a limit that leaves room is refused");
}

/* A trial of a higher limit ends, whatever is in use. */
static void raise_the_limit(const json_t *config)
{
	struct relay *r = &stage.relays[0].relay;
	uint64_t most = r->memory.most;
	json_t *high = json_deep_copy(config);

	config_set_in(high, "limits", "memory", json_string("1GiB"));
	world_check(operator_apply(&stage.operator, high, 1000), "answers",
		    "a higher limit is refused");
	r->memory.used += (int64_t)(most / 16 * 15);
	world_run(5 * SECOND);
	world_check(r->memory.most == most, "whole",
		    "a higher limit on trial is still in force when its time is up");
	r->memory.used -= (int64_t)(most / 16 * 15);
}

/* ---- records ---- */

static void check_record(const json_t *record)
{
	static const char *const all[] = {"number", "at", "from", "to", "service", "source"};
	static const char *const closed[] = {"up", "down", "ms", "reason", "ending"};
	const char *kind = json_string_value(json_object_get(record, "kind"));

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		world_check(json_object_get(record, all[i]) != NULL, "whole", "%s lacks %s", kind,
			    all[i]);
	for (size_t i = 0;
	     kind && strcmp(kind, "session.closed") == 0 && i < sizeof(closed) / sizeof(closed[0]);
	     i++)
		world_check(json_object_get(record, closed[i]) != NULL, "whole", "%s lacks %s",
			    kind, closed[i]);
}

/* A session has ended; the allocation number nth of what is made of that is refused. False: there
 * are fewer. */
static bool report_one(size_t nth)
{
	struct relay *r = &stage.relays[0].relay;
	struct k_program *p = stage.relays[0].program;
	struct report *report;
	bool reached;

	k_enter(p);
	report = memory_zeroed(sizeof(*report));
	*report = (struct report){.relay = r,
				  .kind = "session.closed",
				  .audit = true,
				  .closed = true,
				  .from = "laptop",
				  .to = "home",
				  .service = "talk",
				  .why = "CLOSED",
				  .ending = "abc",
				  .number = nth};
	atomic_fetch_add(&r->reports, 1);
	p->refuse_at = nth;
	control_reported(&report->msg);
	reached = nth > 0 && p->refuse_at == 0;
	p->refuse_at = 0;
	k_enter(NULL);
	return reached;
}

/* What is on record is on record whole, and what is not is counted. */
void world_records_short(void)
{
	struct relay_control *ctl;
	json_t *list, *one;
	size_t i, dropped = 0, tries = 1;
	uint64_t next = 1;

	stage_set(1, "");
	ctl = stage.relays[0].relay.control;
	while (report_one(tries))
		tries++;
	(void)report_one(0);
	tries++;
	list = json_object_get(
		operator_call(&stage.operator, "audit", json_pack("{s:i}", "limit", 1000)),
		"audit");
	json_array_foreach(list, i, one)
	{
		check_record(one);
		world_check((uint64_t)json_integer_value(json_object_get(one, "number")) == next++,
			    "whole", "a record is lost, and its number");
	}
	list = json_object_get(
		operator_call(&stage.operator, "events", json_pack("{s:i}", "limit", 1000)),
		"events");
	json_array_foreach(list, i, one)
	{
		if (strcmp(json_string_value(json_object_get(one, "kind")), "records.dropped") == 0)
			dropped += (size_t)json_integer_value(json_object_get(one, "count"));
	}
	world_check(ctl->audits.count > 0 && dropped > 0, "whole",
		    "of %zu records %llu are kept: this world tries nothing", tries,
		    (unsigned long long)ctl->audits.count);
	world_check(dropped == tries - ctl->audits.count && ctl->managed.lost == 0, "counted",
		    "of %zu records %llu are kept, and %zu are told as lost", tries,
		    (unsigned long long)ctl->audits.count, dropped);
	stage_clear();
}

/* ---- lines, and answers that are not read ---- */

/* The control thread is busy with another call: what comes meanwhile waits at its sender. */
static void send_much(void)
{
	struct relay *r = &stage.relays[0].relay;
	const struct addr to = stage_front_door(0);
	static uint8_t line[LINE_BYTES];
	static struct rogue console;
	int64_t before;

	memset(line, ' ', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	rogue_come(&console, &stage.at_guest, ADMIN, WIRE_HELLO_CONSOLE, &to);
	world_check(world_until(rogue_settled, &console, 20 * SECOND) && console.signed_in,
		    "answers", "a console does not come in");
	before = used();
	world_ring_remove(r->control_ring);
	rogue_say(&console, line, sizeof(line), LINES_SENT);
	world_run(5 * SECOND);
	world_check(used() - before > (4 << 20), "memory-bounded",
		    "a console has sent %lld bytes: this world tries nothing",
		    (long long)(used() - before));
	world_check(used() - before < (6 << 20), "memory-bounded",
		    "lines of a console that wait take %lld bytes", (long long)(used() - before));
	world_ring_add(r->control_ring, stage.relays[0].program);
	world_run(20 * SECOND);
	world_check(!console.over && console.repeat == 0, "answers",
		    "a console that was not read for a while has no turn any more");
	rogue_leave(&console);
	check_left("lines of a console", before);
}

/* A user of the host who asks and does not read. */
static void read_nothing(void)
{
	static const char ask[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"schema\"}\n";
	struct k_program *user = k_program_new("user", stage.relay_hosts[0]);
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = OPERATOR_SOCKET};
	struct relay *r = &stage.relays[0].relay;
	size_t before = r->control->local.count;
	int64_t more = (int64_t)(r->memory.most / 8 * 7);
	int fd;

	k_enter(user);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		world_broken("the control socket cannot be reached");
	k_enter(NULL);
	r->memory.used += more;
	for (unsigned i = 0; i < ASKED; i++) {
		k_enter(user);
		(void)!send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		k_enter(NULL);
		world_run(10 * MS);
	}
	world_run(SECOND);
	r->memory.used -= more;
	world_check(r->control->local.count == before, "memory-bounded",
		    "who does not read keeps its answers while memory is tight");
	k_enter(user);
	close(fd);
	k_enter(NULL);
	k_program_end(user);
}

void world_keeping(void)
{
	json_t *base;

	stage_set(1, "grants:\n  - from: [laptop]\n    to: [home/talk]\n");
	base = operator_config(&stage.operator);
	kick_long_names();
	compare(json_deep_copy(base));
	send_much();
	read_nothing();
	raise_the_limit(base);
	lower_the_limit(base);
	world_check(stage_linked(NULL), "links", "consoles cost an agent its link");
	json_decref(base);
	stage_clear();
}
