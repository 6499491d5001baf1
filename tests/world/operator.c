/* SPDX-License-Identifier: Apache-2.0 */
/* operator: JSON-RPC by a Unix socket. */
#include "tests/world/operator.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/container.h"

#define ANSWER_MOST_US (10 * SECOND)
#define LINE_MOST      (4u << 20)

static void operator_heard(struct lines *l, const char *line, size_t len)
{
	struct operator* o = container(l, struct operator, lines);
	json_t *answer = json_loadb(line, len, 0, NULL);

	world_check(answer != NULL, "answers", "the relay answers what is no JSON");
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

static void connect_now(struct operator* o)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = OPERATOR_SOCKET};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)))
		world_broken("the control socket cannot be reached: %s", strerror(errno));
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

void operator_start(struct operator* o, struct world_relay *relay)
{
	*o = (struct operator){.relay = relay};
	people_start(&o->people, "operator", relay->host);
}

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
	people_stop(&o->people);
}

void operator_ask(struct operator* o, const char *method, json_t *params)
{
	struct k_program *was = k_enter(o->people.program);
	json_t *call;
	char *text, *line;
	size_t len;

	if (!o->connected)
		connect_now(o);
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
