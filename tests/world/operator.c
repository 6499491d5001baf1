/* SPDX-License-Identifier: Apache-2.0 */
/* operator: JSON-RPC by a Unix socket, or by the line of a console. */
#include "tests/world/operator.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/session/request.h"
#include "core/container.h"
#include "ctl/talk/console_config.h"
#include "tests/world/kernel.h"
#include "tests/world/store.h"

#define ANSWER_MOST_US (10 * SECOND)
#define LINE_MOST      (4u << 20)

static void operator_heard(struct lines *l, const char *line, size_t len)
{
	struct operator* o = container(l, struct operator, lines);
	json_t *answer = json_loadb(line, len, 0, NULL);

	world_check(answer != NULL, "answers", "what is answered is no JSON");
	if (!json_object_get(answer, "id")) {
		json_decref(answer); /* a notification */
		return;
	}
	json_decref(o->answer);
	o->answer = answer;
	o->answered++;
}

static void operator_cut_off(struct lines *l)
{
	container(l, struct operator, lines)->connected = false;
}

static void listen_to(struct operator* o, int fd)
{
	o->lines = (struct lines){.ring = o->people.ring,
				  .fd = fd,
				  .line_max = LINE_MOST,
				  .output_max = LINE_MOST,
				  .line = operator_heard,
				  .ended = operator_cut_off};
	o->connected = true;
	o->asked = o->answered = 0;
	lines_start(&o->lines);
}

static void connect_now(struct operator* o)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = OPERATOR_SOCKET};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)))
		world_broken("the control socket cannot be reached: %s", strerror(errno));
	listen_to(o, fd);
}

void operator_start(struct operator* o, struct world_relay *relay)
{
	*o = (struct operator){.relay = relay};
	people_start(&o->people, "operator", relay->host);
}

/* ---- by the relay's port ---- */

static void operator_line_up(void *owner)
{
	((struct operator*)owner)->signed_in = true;
}

static void operator_line_over(void *owner, const char *why)
{
	struct operator* o = owner;

	world_tell("a console's line is over%s%s", why[0] ? ": " : "", why);
	o->line = NULL;
	agent_stop(&o->agent);
}

static void load_console(struct operator* o)
{
	char text[16384], identity[8192];
	struct conf_errors errors = {.file = "a console's configuration"};
	struct conf_node *root;
	int n;

	identity_yaml(ADMIN, identity, sizeof(identity));
	n = snprintf(text, sizeof(text), "name: %s\nrelays:\n  - address: %s:443\n%s",
		     who_name(ADMIN), who_name(o->relay->who), identity);
	root = conf_parse(text, (size_t)n, &errors);
	if (!root || !console_config_bind(root, &o->config, &errors))
		world_broken("a console's configuration: %s", errors.text);
	conf_node_free(root);
	conf_errors_free(&errors);
}

/* Returns the far end of the lines' pair; the program is the current one. */
static int begin_away(struct operator* o, struct world_relay *relay, struct k_host *host)
{
	int engine = dice_chance(&world_dice, 500) ? RING_IO_URING : RING_EPOLL, pair[2];
	char why[512];

	*o = (struct operator){.relay = relay, .away = true};
	people_start(&o->people, "console", host);
	k_enter(o->people.program);
	o->open_before = o->people.program->open_count;
	o->memory_before = o->people.program->memory_count;
	load_console(o);
	if (!agent_open(&o->agent, &o->config, engine, true, why, sizeof(why)))
		world_broken("a console does not start: %s", why);
	world_ring_add(o->agent.worker.ring, o->people.program);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
		world_broken("no pair for a console");
	listen_to(o, pair[0]);
	return pair[1];
}

void operator_start_away(struct operator* o, struct world_relay *relay, struct k_host *host)
{
	static const struct relay_line_events events = {operator_line_up, operator_line_over};
	int far = begin_away(o, relay, host);

	o->line = relay_line_start(&o->agent, o->config.relays.items, WIRE_HELLO_CONSOLE, far,
				   &events, o);
	if (!o->line)
		world_broken("no line for a console");
	k_enter(NULL);
}

static void operator_session_over(void *owner, enum reason reason, const char *why)
{
	struct operator* o = owner;

	world_tell("a console's session is over: %s %s", reason_name(reason), why);
	agent_stop(&o->agent);
}

void operator_start_at_agent(struct operator* o, struct world_relay *relay, struct k_host *host,
			     const char *agent)
{
	const struct request_style style = {.ended = operator_session_over, .owner = o};
	int far = begin_away(o, relay, host);

	request_start(&o->agent.sessions, far, agent, WIRE_CONTROL_SERVICE, "", &style);
	agent_start(&o->agent);
	k_enter(NULL);
}

bool operator_settled(void *operator)
{
	const struct operator* o = operator;

	return o->signed_in || !o->line;
}

static bool console_has_left(void *context)
{
	return world_ring_stopped(((struct operator*)context)->agent.worker.ring);
}

/* Its lines have been closed. */
static void console_over(struct operator* o)
{
	struct k_program *p = o->people.program;

	if (!world_until(console_has_left, o, 10 * SECOND))
		world_check(false, "ends", "a console does not end with its input");
	k_enter(p);
	world_ring_remove(o->agent.worker.ring);
	if (agent_worker_idle(&o->agent.worker))
		agent_close(&o->agent);
	agent_config_free(&o->config);
	k_enter(NULL);
	world_check(p->open_count == o->open_before, "descriptors",
		    "a console leaves %zu descriptors", p->open_count - o->open_before);
	world_check(p->memory_count == o->memory_before, "memory",
		    "a console leaves %zu allocations", p->memory_count - o->memory_before);
}

/* ---- the rest ---- */

static bool is_gone(void *context)
{
	return !((struct operator*)context)->connected;
}

void operator_stop(struct operator* o)
{
	k_enter(o->people.program);
	if (o->connected)
		lines_close(&o->lines);
	k_enter(NULL);
	(void)world_until(is_gone, o, SECOND);
	json_decref(o->answer);
	o->answer = NULL;
	if (o->away)
		console_over(o);
	people_stop(&o->people);
}

void operator_ask(struct operator* o, const char *method, json_t *params)
{
	struct k_program *was = k_enter(o->people.program);
	json_t *call;
	char *text, *line;
	size_t len;

	if (!o->connected && !o->away)
		connect_now(o);
	if (!o->connected) {
		world_tell("%s: the console has been cut off", method);
		json_decref(params);
		k_enter(was);
		return;
	}
	o->asked++;
	call = json_pack("{s:s, s:i, s:s, s:o*}", "jsonrpc", "2.0", "id", (int)o->asked, "method",
			 method, "params", params);
	text = json_dumps(call, JSON_COMPACT);
	len = strlen(text) + 1;
	line = malloc(len);
	memcpy(line, text, len - 1);
	line[len - 1] = '\n';
	free(text);
	json_decref(call);
	world_tell("%s", method);
	(void)lines_send(&o->lines, line, len);
	k_enter(was);
}

static bool has_answer(void *context)
{
	struct operator* o = context;

	return o->answered == o->asked || !o->connected;
}

json_t *operator_call(struct operator* o, const char *method, json_t *params)
{
	operator_ask(o, method, params);
	if (!world_check(world_until(has_answer, o, ANSWER_MOST_US) && o->connected, "answers",
			 "%s is not answered", method))
		return NULL;
	if (json_object_get(o->answer, "error")) {
		char *text = json_dumps(json_object_get(o->answer, "error"), JSON_COMPACT);

		world_tell("%s: %s", method, text);
		free(text);
	}
	return json_object_get(o->answer, "result");
}

/* ---- configurations ---- */

json_t *operator_config(struct operator* o)
{
	json_t *answer = operator_call(o, "config.get", NULL);

	return json_deep_copy(json_object_get(answer, "config"));
}

bool operator_apply(struct operator* o, json_t *config, unsigned confirm_ms)
{
	return operator_call(o, "config.apply",
			     json_pack("{s:o, s:i}", "config", config, "confirm_ms",
				       (int)confirm_ms)) != NULL;
}

void config_add(json_t *config, const char *list, json_t *item)
{
	if (!json_object_get(config, list))
		json_object_set_new(config, list, json_array());
	json_array_append_new(json_object_get(config, list), item);
}

void config_set_in(json_t *config, const char *map, const char *key, json_t *value)
{
	if (!json_object_get(config, map))
		json_object_set_new(config, map, json_object());
	json_object_set_new(json_object_get(config, map), key, value);
}
