/* SPDX-License-Identifier: Apache-2.0 */
/* resolve_internal: what resolve.c and resolve_channel.c share. */
#ifndef POSTERN_CORE_PROGRAM_RESOLVE_INTERNAL_H
#define POSTERN_CORE_PROGRAM_RESOLVE_INTERNAL_H

#include "core/program/resolve.h"

#define RESOLVE_ERROR_BYTES 256

struct resolve_watch;

/* A state of c-ares with the servers that the configuration named when it was opened. */
struct resolve_channel {
	struct resolver *resolver;
	struct resolve_channel *next;
	ares_channel ares;
	bool open;     /* until ares_destroy() */
	bool outdated; /* takes no new queries */
	uint64_t opened_ms;
	struct timer timer;
	struct resolve_watch *watches;
	size_t questions;  /* that c-ares has not answered */
	uint64_t heard_ms; /* a server said something; 0: none has */
	struct addr servers[RESOLVE_SERVERS_MAX];
	size_t server_count; /* as they are asked */
	int conf_error;	     /* errno of the configuration, which was not read */
	int socket_error;    /* the last errno of a socket that could not be made */
};

/* The one for new queries. NULL: there can be none now. */
struct resolve_channel *resolve_channel_for_query(struct resolver *r) MUST_CHECK;
/* Around each question to c-ares: before it is asked, after it was, and in its callback. */
void resolve_channel_asks(struct resolve_channel *c);
void resolve_channel_asked(struct resolve_channel *c);
void resolve_channel_answered(struct resolve_channel *c);
/* Why a question of since_ms has no answer, where status is not about the name itself: the files,
 * the servers by their addresses. True: this host itself lacks something. */
bool resolve_channel_why(const struct resolve_channel *c, int status, uint64_t since_ms,
			 char out[RESOLVE_ERROR_BYTES]);
/* All of them; their queries are answered with an error. */
void resolve_channels_close(struct resolver *r);

#endif
