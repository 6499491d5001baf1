/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operator: calls methods of a relay, as `postern relay` does: on its host by the control socket,
 * or from anywhere by the relay's own port with a console's certificate; or of an agent, as
 * `postern agent` does, by a session with its control service.
 */
#ifndef POSTERN_TESTS_WORLD_OPERATOR_H
#define POSTERN_TESTS_WORLD_OPERATOR_H

#include <jansson.h>

#include "core/lines.h"
#include "ctl/talk/relay_line.h"
#include "tests/world/people.h"
#include "tests/world/programs.h"

struct operator
{
	struct people people; /* of one */
	struct world_relay *relay;
	struct lines lines;
	bool connected;
	unsigned asked, answered;
	json_t *answer; /* the last one, owned */

	/* By the relay's port. The lines lead to the line, or to the session with an agent, of a
	 * program like `postern`'s, whose thread is another ring of the same program. */
	bool away;
	struct agent agent;
	struct agent_config config;
	struct relay_line *line; /* NULL: it is over, or leads to an agent */
	bool signed_in;
	size_t open_before, memory_before; /* the program's, without all this */
};

/* On the relay's host, which must have control.socket OPERATOR_SOCKET. */
#define OPERATOR_SOCKET "/run/relay.sock"
void operator_start(struct operator* o, struct world_relay *relay);
/* A console of ADMIN's on that host, which knows the relay by its name and signs in at once. */
void operator_start_away(struct operator* o, struct world_relay *relay, struct k_host *host);
bool operator_settled(void *operator); /* signed in, or over */
/* A console of ADMIN's on that host, of the agent of this name. */
void operator_start_at_agent(struct operator* o, struct world_relay *relay, struct k_host *host,
			     const char *agent);
/* Checks of a console that nothing is left of it. */
void operator_stop(struct operator* o);
/* params: NULL, or an object, which is taken over. The answer comes when it comes. */
void operator_ask(struct operator* o, const char *method, json_t *params);
/* Asks, and waits: the result (borrowed until the next call), or NULL: an error, or no answer. An
 * answer that takes more than ten seconds breaks the property "answers". */
json_t *operator_call(struct operator* o, const char *method, json_t *params);
/* The configuration in force, as a console sees it; owned. */
json_t *operator_config(struct operator* o);
/* Puts it in force, on trial unless confirm_ms is 0; config is taken over. False: refused. */
bool operator_apply(struct operator* o, json_t *config, unsigned confirm_ms);
/* Adds to a list of a configuration, or sets a key of one of its maps; makes either. */
void config_add(json_t *config, const char *list, json_t *item);
void config_set_in(json_t *config, const char *map, const char *key, json_t *value);

#endif
