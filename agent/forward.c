/* SPDX-License-Identifier: Apache-2.0 */
/* forward: local listeners, each leading to one service of one agent. */
#include "agent/forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/listener.h"
#include "agent/request.h"
#include "core/log.h"

struct forwards {
	size_t count;
	struct listener listeners[];
};

static void accepted(struct listener *l, int fd, const char *source)
{
	static const struct request_style plain = {0};
	const struct agent_forward *f = l->owner;

	request_start(l->agent, fd, f->agent, f->service, source, &plain);
}

static bool open_one(struct forwards *f, struct agent *a, const struct agent_forward *config,
		     char *why, size_t why_size)
{
	struct listener *l = &f->listeners[f->count];
	struct addr bound;
	char text[ADDR_TEXT_BYTES];
	int error;

	l->accepted = accepted;
	l->owner = config;
	error = listener_open(l, a, &config->listen, &bound);
	if (error) {
		addr_format(&config->listen, text);
		snprintf(why, why_size, "forward: %s cannot be listened on: %s; use another port",
			 text, strerror(-error));
		return false;
	}
	f->count++;
	addr_format(&bound, text);
	log_notice("forward", "listening address=%s to=%s/%s", text, config->agent,
		   config->service);
	return true;
}

struct forwards *forwards_open(struct agent *a, char *why, size_t why_size)
{
	const struct conf_array *list = &a->config->forward;
	const struct agent_forward *config = list->items;
	struct forwards *f = calloc(1, sizeof(*f) + list->count * sizeof(f->listeners[0]));

	if (!f) {
		snprintf(why, why_size, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < list->count; i++)
		if (!open_one(f, a, &config[i], why, why_size))
			return NULL; /* the process ends */
	return f;
}

void forwards_close(struct forwards *f)
{
	for (size_t i = 0; i < f->count; i++)
		listener_close(&f->listeners[i]);
}

void forwards_free(struct forwards *f)
{
	free(f);
}
