/* SPDX-License-Identifier: Apache-2.0 */
/* command_scene: a script at the end of each tunnel, in the place of ctl/talk/tunnel.c. */
#include "tests/support/command_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/worker/connector.h"
#include "ctl/change/change.h"
#include "ctl/pki/pki.h"
#include "ctl/see/see.h"
#include "ctl/talk/tunnel.h"
#include "ctl/terminal/files.h"

static const struct command *const tables[] = {
	relay_see_commands,
	relay_config_commands,
	relay_act_commands,
	pki_relay_commands,
	grant_commands,
	revoke_commands,
	agent_see_commands,
	agent_config_commands,
	pki_agent_commands,
	pki_commands,
	NULL,
};

/* ---- the other sides ---- */

struct tunnel {
	size_t place;
	int near;
};

struct place places[PLACES];
struct command_line ran;

static void __attribute__((format(printf, 2, 3))) say(size_t place, const char *format, ...)
{
	struct place *p = &places[place];
	size_t used = strlen(p->said);
	va_list list;

	va_start(list, format);
	vsnprintf(p->said + used, sizeof(p->said) - used, format, list);
	va_end(list);
	assert_true(strlen(p->said) + 1 < sizeof(p->said));
	strcat(p->said, "\n");
}

void scene_answers(size_t place, const char *result)
{
	say(place, "{\"id\": %d, \"result\": %s}", ++places[place].answers, result);
}

void scene_refuses(size_t place, int code, const char *message, const char *data)
{
	say(place, "{\"id\": %d, \"error\": {\"code\": %d, \"message\": \"%s\", \"data\": %s}}",
	    ++places[place].answers, code, message, data);
}

void scene_tells(size_t place, const char *params)
{
	say(place, "{\"method\": \"event\", \"params\": %s}", params);
}

void scene_answers_looks(size_t place, const char *config, const char *agents)
{
	scene_answers(place, config);
	scene_answers(place, agents);
	scene_answers(place, "{\"signed\": []}");
}

static struct tunnel *open_place(size_t place)
{
	struct place *p = &places[place];
	struct tunnel *t = calloc(1, sizeof(*t));
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(write(fds[1], p->said, strlen(p->said)), strlen(p->said));
	shutdown(fds[1], SHUT_WR);
	*t = (struct tunnel){place, fds[0]};
	p->far = fds[1];
	p->opened++;
	return t;
}

struct tunnel *tunnel_to_relay(const struct agent_config *config, size_t relay, uint8_t flags)
{
	assert_true(relay < config->relays.count);
	places[relay].flags = flags;
	return open_place(relay);
}

struct tunnel *tunnel_to_agent(const struct agent_config *config, const char *agent,
			       const char *service)
{
	snprintf(places[AGENT].agent, sizeof(places[AGENT].agent), "%s", agent);
	snprintf(places[AGENT].service, sizeof(places[AGENT].service), "%s", service);
	return open_place(AGENT);
}

int tunnel_take_fd(struct tunnel *t)
{
	return t->near;
}

bool tunnel_wait(struct tunnel *t)
{
	return !places[t->place].refuses;
}

const char *tunnel_why(struct tunnel *t)
{
	const struct place *p = &places[t->place];

	return p->refuses ? p->refuses : p->end ? p->end : "";
}

void endpoint_text(const struct endpoint *e, char out[ENDPOINT_TEXT_BYTES])
{
	snprintf(out, ENDPOINT_TEXT_BYTES, "%s:%u", e->host, e->port);
}

/* The near side has closed already: everything that it said is here. */
void tunnel_close(struct tunnel *t)
{
	struct place *p;
	char text[16384], *rest = text, *line;
	size_t len = 0;
	ssize_t n;

	if (!t)
		return;
	p = &places[t->place];
	while ((n = recv(p->far, text + len, sizeof(text) - 1 - len, 0)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	while ((line = strsep(&rest, "\n")))
		if (*line)
			json_array_append_new(p->asked, json_loads(line, 0, NULL));
	close(p->far);
	p->closed++;
	free(t);
}

/* ---- what is common to the tests ---- */

void scene_forget(void)
{
	for (size_t i = 0; i < PLACES; i++) {
		json_decref(places[i].asked);
		places[i] = (struct place){.asked = json_array()};
	}
}

void scene_write(const char *name, const char *text)
{
	assert_true(files_write(name, text, 0600, true));
}

int scene_enter(void **state)
{
	char *path = strdup("/tmp/postern-commands-XXXXXX");

	*state = path;
	setenv("TZ", "TST-2", 1); /* east of Greenwich: what is sent is UTC all the same */
	tzset();
	if (!mkdtemp(path) || chdir(path) != 0)
		return -1;
	command_line_run(&ran, tables, "pki init ca");
	command_line_run(&ran, tables,
			 "pki issue ca console ops --relay one.example:443 --relay two.example:443 "
			 "--out c");
	if (ran.status != STATUS_OK)
		return -1;
	command_line_run(&ran, tables, "pki issue ca agent home --relay one.example:443");
	return ran.status == STATUS_OK ? 0 : -1;
}

int scene_begin(void **state)
{
	scene_forget();
	return 0;
}

int scene_end(void **state)
{
	for (size_t i = 0; i < PLACES; i++) {
		assert_int_equal(places[i].opened, places[i].closed);
		json_decref(places[i].asked);
		places[i].asked = NULL;
	}
	return 0;
}

void scene_run(const char *line, enum status status)
{
	command_line_run(&ran, tables, line);
	if (ran.status != status)
		fail_msg("%s: ended with %d, not %d\n%s%s", line, ran.status, status, ran.out,
			 ran.err);
}

void assert_says(const char *all, const char *part)
{
	if (!strstr(all, part))
		fail_msg("\"%s\" is not in:\n%s", part, all);
}

void assert_silent_on(const char *all, const char *part)
{
	if (strstr(all, part))
		fail_msg("\"%s\" is in:\n%s", part, all);
}

void assert_asked(size_t place, size_t nth, const char *method, const char *params)
{
	const json_t *call = json_array_get(places[place].asked, nth);
	json_t *expected = params ? json_loads(params, 0, NULL) : NULL;
	json_t *given = json_object_get(call, "params");
	char *shown = json_dumps(call, 0);
	const char *name = json_string_value(json_object_get(call, "method"));

	if (!name || strcmp(name, method) != 0 || !expected != !given ||
	    (expected && !json_equal(expected, given)))
		fail_msg("call %zu is not %s %s but %s", nth, method, params ? params : "",
			 shown ? shown : "none");
	free(shown);
	json_decref(expected);
}

void assert_count(size_t place, size_t calls)
{
	assert_int_equal(json_array_size(places[place].asked), calls);
}
