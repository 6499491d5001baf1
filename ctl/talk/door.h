/* SPDX-License-Identifier: Apache-2.0 */
/*
 * door: the way from a command line to whoever answers its calls.
 *
 *   --as console.yaml   by the relay's TLS port, signed in as that console
 *   --socket PATH       by the Unix socket, on the relay's own host; also without either option
 *
 * Whatever goes wrong is told to the user here.
 */
#ifndef POSTERN_CTL_TALK_DOOR_H
#define POSTERN_CTL_TALK_DOOR_H

#include "agent/config/config.h"
#include "ctl/arguments.h"
#include "ctl/talk/rpc.h"

#define DOOR_SOCKET  "/run/postern/relay.sock"
#define DOOR_CONTROL "postern/control" /* the service of an agent that answers consoles */

struct tunnel;

struct door {
	struct rpc rpc;
	struct tunnel *tunnel; /* NULL: a Unix socket */
	struct agent_config config;
	bool has_config;
	char label[320]; /* where it leads, for people */
};

/* The relay that --at names, or else the console's first. */
bool door_open_relay(const struct arguments *a, struct door *d) MUST_CHECK;
/* The same for the relay at this place of the list; --at and the Unix socket have one only. */
bool door_open_nth(const struct arguments *a, size_t nth, struct door *d) MUST_CHECK;
/* How many relays a command is for that is for all; 0: told why not. */
size_t door_count(const struct arguments *a) MUST_CHECK;
/* An agent's control service. */
bool door_open_agent(const struct arguments *a, const char *agent, struct door *d) MUST_CHECK;
/* A Unix socket: 0 or -errno, which nobody has been told. */
int door_open_path(const char *path, struct door *d) MUST_CHECK;
void door_close(struct door *d);

/* Takes params over. NULL: the failure has been told. */
json_t *door_call(struct door *d, const char *method, json_t *params) MUST_CHECK;
/* The same, but the failure is the caller's to tell; its sentence is complete. */
json_t *door_try(struct door *d, const char *method, json_t *params,
		 struct rpc_failure *failure) MUST_CHECK;
/* Tells why notifications have ended. */
void door_complain_end(struct door *d);

/* "--as FILE" or "--socket PATH" as they were given, for the next command; with a space behind. */
const char *door_words(const struct arguments *a, char out[512]);

#endif
