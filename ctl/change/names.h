/* SPDX-License-Identifier: Apache-2.0 */
/* names: what a relay knows of names, to tell a slip from a name. */
#ifndef POSTERN_CTL_CHANGE_NAMES_H
#define POSTERN_CTL_CHANGE_NAMES_H

#include "ctl/talk/connection.h"

#define NAMES_MAX 4096 /* that a slip is compared with */

struct known_names {
	const char *list[NAMES_MAX + 1]; /* in the results */
	size_t count;
};

/* The result (owned), or NULL: notes are not worth an error. */
json_t *known_ask(struct connection *conn, const char *method) MUST_CHECK;
void known_add(struct known_names *names, const json_t *name);
/* Agents that are connected, and whom the configuration names. */
void known_add_all(struct known_names *names, const json_t *agents, const json_t *config,
		   bool with_groups);
/* Tells that name is not known, and which one is near: it is done all the same, for the agent may
 * be away. then: what holds until it comes. */
void known_note(const struct known_names *names, const char *name, const char *what,
		const char *label, const char *then);

#endif
