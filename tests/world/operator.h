/* SPDX-License-Identifier: Apache-2.0 */
/* operator: calls methods of a relay by its control socket, as `postern relay` does on its host. */
#ifndef POSTERN_TESTS_WORLD_OPERATOR_H
#define POSTERN_TESTS_WORLD_OPERATOR_H

#include <jansson.h>

#include "core/lines.h"
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
};

/* On the relay's host, which must have control.socket OPERATOR_SOCKET. */
#define OPERATOR_SOCKET "/run/relay.sock"
void operator_start(struct operator* o, struct world_relay *relay);
void operator_stop(struct operator* o);
/* params: NULL, or an object, which is taken over. The answer comes when it comes. */
void operator_ask(struct operator* o, const char *method, json_t *params);
/* Asks, and waits: the result (borrowed until the next call), or NULL: an error, or no answer. An
 * answer that takes more than ten seconds breaks the property "answers". */
json_t *operator_call(struct operator* o, const char *method, json_t *params);

#endif
