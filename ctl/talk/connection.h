/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection: from a command line to the relay or agent that answers its calls.
 *
 *   --as console.yaml   by the relay's TLS port, signed in as that console
 *   --socket PATH       by the Unix socket, on the relay's own host; also without either option
 *
 * What goes wrong is told to the user here.
 */
#ifndef POSTERN_CTL_TALK_CONNECTION_H
#define POSTERN_CTL_TALK_CONNECTION_H

#include "agent/config/config.h"
#include "ctl/terminal/arguments.h"
#include "ctl/talk/rpc.h"

#define CONNECTION_SOCKET "/run/postern/relay.sock" /* the relay's, where none is named */

struct tunnel;

struct connection {
	struct rpc rpc;
	struct tunnel *tunnel; /* NULL: a Unix socket */
	struct agent_config config;
	bool has_config;
	const struct agent_relay
		*relay;	 /* of config, that was dialled; NULL: not one of its list */
	char label[320]; /* where it leads, for people */
};

/* The relay that --at names, or else the console's first. */
bool connection_open_relay(const struct arguments *a, struct connection *conn) MUST_CHECK;
/* The same for the relay at this place of the list; --at and the Unix socket have one only. */
bool connection_open_nth(const struct arguments *a, size_t nth, struct connection *conn) MUST_CHECK;
/* How many relays a command is for that is for all; 0: told why not. */
size_t connection_count(const struct arguments *a) MUST_CHECK;
/* An agent's control service. */
bool connection_open_agent(const struct arguments *a, const char *agent,
			   struct connection *conn) MUST_CHECK;
/* A Unix socket: 0 or -errno, which the caller tells. */
int connection_open_path(const char *path, struct connection *conn) MUST_CHECK;
void connection_close(struct connection *conn);

/* Takes params over. NULL: the failure has been told. */
json_t *connection_call(struct connection *conn, const char *method, json_t *params) MUST_CHECK;
/* The same, but the failure is the caller's to tell; its sentence is complete. */
json_t *connection_try(struct connection *conn, const char *method, json_t *params,
		       struct rpc_failure *failure) MUST_CHECK;
/* Tells why notifications have ended. */
void connection_complain_end(struct connection *conn);

/* "--as FILE" or "--socket PATH" as they were given, for the next command; with a space behind. */
const char *connection_words(const struct arguments *a, char out[512]);

#endif
