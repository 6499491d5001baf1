/* SPDX-License-Identifier: Apache-2.0 */
/* natd_scene: its beginning and end, and a caller. */
#include "tests/support/natd_scene.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "portmap/control.h"
#include "tests/support/fake_kernel.h"
#include "tests/support/loopback.h"

static struct natd_scene *unended; /* of a test that failed */

static void scene_natd_stopped(struct natd *n)
{
	((struct natd_scene *)n)->stopped++;
}

void natd_scene_load(struct natd_scene *w, struct natd_config *config, const char *maps,
		     const char *more)
{
	struct conf_errors errors = {.file = NULL};
	struct addr stun = fake_stun_address(&w->stun);
	char text[2048], server[ADDR_TEXT_BYTES];

	addr_format(&stun, server);
	snprintf(text, sizeof(text),
		 "map: [%s]\nupnp: false\nstun: ['%s']\nsocket: %s\nrecheck: 1m\n%s", maps, server,
		 w->socket, more);
	fixture_write_file(w->config, text);
	if (!natd_config_load(&w->arguments, config, &errors))
		fail_msg("%s", errors.text);
	conf_errors_free(&errors);
}

struct natd_scene *natd_scene_begin(void **state, const char *dir, const char *maps,
				    const char *more)
{
	struct ring_fixture *f = ring_fixture(state);
	struct natd_scene *w = calloc(1, sizeof(*w));
	struct addr gateway = test_loopback(1, 0), own = test_loopback(2, 0);
	char why[256];
	int listener;

	assert_non_null(w);
	if (unended)
		close(unended->gateway.fd);
	unended = w;
	w->f = f;
	w->client = -1;
	snprintf(w->config, sizeof(w->config), "%s/natd.yaml", dir);
	snprintf(w->socket, sizeof(w->socket), "%s/sock", dir);
	w->arguments = (struct natd_arguments){.config = w->config};
	fake_kernel_reset();
	addr_format_host(&gateway, w->address[0]);
	addr_format_host(&own, w->address[1]);
	fake_kernel.links[0] = (struct fake_link){.index = SCENE_CARD, .name = "lo"};
	fake_kernel.addresses[0] = (struct fake_address){SCENE_CARD, w->address[1], 24, 0, 0};
	fake_kernel.routes[0] = (struct fake_route){.index = SCENE_CARD, .gateway = w->address[0]};
	fake_gateway_open(&w->gateway, f, 1);
	fake_stun_open(&w->stun, f, 9);
	assert_true(addr_parse("45.0.0.10:8443", &w->stun.seen));
	natd_scene_load(w, &w->natd.config, maps, more);
	w->natd.ring = f->r;
	w->natd.stopped = scene_natd_stopped;
	listener = natd_control_listen(w->socket);
	assert_true(listener >= 0);
	assert_int_equal(natd_control_listen(w->socket), -EADDRINUSE);
	if (!natd_prepare(&w->natd, why, sizeof(why)))
		fail_msg("%s", why);
	assert_int_equal(natd_open(&w->natd, listener), 0);
	natd_start(&w->natd);
	return w;
}

void natd_scene_end(struct natd_scene *w)
{
	natd_stop(&w->natd);
	natd_stop(&w->natd);
	for (int i = 0; i < 1000 && !w->stopped; i++)
		run_for(w->f, 5);
	assert_int_equal(w->stopped, 1);
	run_for(w->f, 30);
	assert_int_equal(w->stopped, 1);
	assert_int_equal(w->natd.engine.mode, ENGINE_AWAY);
	natd_close(&w->natd);
	if (w->client >= 0)
		close(w->client);
	fake_kernel_close();
	fake_gateway_close(&w->gateway, w->f);
	fake_stun_close(&w->stun, w->f);
	unlink(w->socket);
	unlink(w->config);
	unended = NULL;
	free(w);
}

struct portmap_mapping *natd_scene_first(struct natd_scene *w)
{
	assert_non_null(w->natd.engine.mappings);
	return w->natd.engine.mappings;
}

void natd_scene_await(struct natd_scene *w, enum mapping_state state)
{
	for (int i = 0; i < 1000 && natd_scene_first(w)->state != state; i++)
		run_for(w->f, 5);
	assert_string_equal(mapping_state_name(natd_scene_first(w)->state),
			    mapping_state_name(state));
}

/* ---- a caller ---- */

static void scene_dial(struct natd_scene *w)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", w->socket);
	w->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(w->client, (struct sockaddr *)&at, sizeof(at)), 0);
}

json_t *natd_scene_hear(struct natd_scene *w)
{
	char *line_end = NULL;
	json_t *line;

	for (int i = 0; i < 1000; i++) {
		ssize_t n;

		line_end = memchr(w->in, '\n', w->have);
		if (line_end)
			break;
		run_for(w->f, 2);
		n = recv(w->client, w->in + w->have, sizeof(w->in) - w->have, MSG_DONTWAIT);
		assert_int_not_equal(n, 0);
		w->have += n > 0 ? (size_t)n : 0;
	}
	assert_non_null(line_end);
	line = json_loadb(w->in, (size_t)(line_end - w->in), 0, NULL);
	assert_non_null(line);
	w->have -= (size_t)(line_end + 1 - w->in);
	memmove(w->in, line_end + 1, w->have);
	return line;
}

void natd_scene_say(struct natd_scene *w, const char *method, const char *params)
{
	char text[512];
	int len = snprintf(text, sizeof(text),
			   "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}\n",
			   method, params);

	if (w->client < 0)
		scene_dial(w);
	write_all(w->client, text, (size_t)len);
}

json_t *natd_scene_ask(struct natd_scene *w, const char *method, const char *params)
{
	natd_scene_say(w, method, params);
	for (;;) {
		json_t *line = natd_scene_hear(w), *result = json_object_get(line, "result");

		if (json_object_get(line, "id")) {
			if (!result)
				fail_msg("%s", json_dumps(line, 0));
			json_incref(result);
			json_decref(line);
			return result;
		}
		json_decref(line);
	}
}

const char *natd_scene_text(const json_t *j, const char *a, const char *b)
{
	const json_t *inner = b ? json_object_get(j, a) : j;
	const char *text = json_string_value(json_object_get(inner, b ? b : a));

	return text ? text : "";
}

json_t *natd_scene_event(struct natd_scene *w, const char *kind)
{
	for (int i = 0; i < 100; i++) {
		json_t *line = natd_scene_hear(w), *params = json_object_get(line, "params");

		if (strcmp(natd_scene_text(params, "kind", NULL), kind) == 0) {
			json_incref(params);
			json_decref(line);
			return params;
		}
		json_decref(line);
	}
	fail_msg("no event %s", kind);
	return NULL;
}
