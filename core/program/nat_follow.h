/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat_follow: what the NAT helper on this host tells, for a relay or an agent: its lines
 * (core/follower.h), the view that is made of them (core/engine/nat_view.h), and the log's
 * sentences.
 *
 * The owner may read the view at any time; between two calls of changed() only mappings differ.
 */
#ifndef POSTERN_PROGRAM_NAT_FOLLOW_H
#define POSTERN_PROGRAM_NAT_FOLLOW_H

#include "core/engine/nat_view.h"
#include "core/follower.h"

struct nat_follow {
	/* The owner sets these first. */
	const char *program; /* "relay", "agent": to be started again when the follower has died */
	/* Another address or verdict, or natd has come or gone. Not once it is stopping. */
	void (*changed)(struct nat_follow *n);
	/* Nothing is in flight any more: after nat_follow_stop(), or because the follower has died.
	 * NULL: not told. */
	void (*ended)(struct nat_follow *n);

	/* To read. */
	struct nat_view view;
	char socket[108]; /* natd's, as it was at the start; "": none is followed */

	/* nat_follow's own. */
	int retry_ms; /* for tests: 0 for FOLLOWER_RETRY_MS */
	bool following, stopping;
	struct follower follower;
};

/* Forks the follower of the socket at path (NULL: none). Before the first thread and before
 * isolation. 0 or -errno. */
int nat_follow_open(struct nat_follow *n, const char *path) MUST_CHECK;
/* From now on its lines are read on this ring. True when there is a follower: ended() will come. */
bool nat_follow_start(struct nat_follow *n, struct ring *ring);
/* ended() follows where it has been started and the follower is still there. */
void nat_follow_stop(struct nat_follow *n);
/* In place of nat_follow_stop(), once the ring is closed: ended() will not come. */
void nat_follow_free(struct nat_follow *n);

#endif
