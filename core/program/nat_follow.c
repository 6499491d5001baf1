/* SPDX-License-Identifier: Apache-2.0 */
/* nat_follow: natd's lines to a view, and what the log says of it. */
#include "core/program/nat_follow.h"

#include <errno.h>
#include <string.h>

#include "core/container.h"
#include "core/log.h"

static void nat_follow_tell(struct nat_follow *n)
{
	const struct nat_view *v = &n->view;

	if (v->connected)
		log_notice("nat", "external=%s verdict=%s %s",
			   v->external[0] ? v->external : "unknown", v->verdict, v->sentence);
	else
		log_notice("nat", "postern-natd at %s is away", n->socket);
	n->changed(n);
}

static void nat_line_came(struct follower *f, const char *line, size_t len)
{
	struct nat_follow *n = container(f, struct nat_follow, follower);

	switch (nat_view_line(&n->view, line, len)) {
	case NAT_VIEW_CHANGED:
		if (!n->stopping)
			nat_follow_tell(n);
		break;
	case NAT_VIEW_MALFORMED:
		if (n->view.malformed == 1)
			log_warning("nat",
				    "what %s tells makes no sense; name the socket of a "
				    "postern-natd of this version (nat.socket)",
				    n->socket);
		else
			log_debug("nat", "a line of natd makes no sense");
		break;
	default:
		break;
	}
}

static void nat_gone(struct follower *f)
{
	struct nat_follow *n = container(f, struct nat_follow, follower);

	if (nat_view_gone(&n->view) && !n->stopping)
		nat_follow_tell(n);
}

static void nat_ended(struct follower *f)
{
	struct nat_follow *n = container(f, struct nat_follow, follower);

	n->following = false;
	if (!n->stopping)
		log_warning("nat", "the follower of %s has ended; start the %s again to follow",
			    n->socket, n->program);
	if (n->ended)
		n->ended(n);
}

int nat_follow_open(struct nat_follow *n, const char *path)
{
	int error;

	n->socket[0] = '\0';
	n->following = n->stopping = false;
	if (!path)
		return 0;
	if (strlen(path) >= sizeof n->socket)
		return -ENAMETOOLONG;
	memcpy(n->socket, path, strlen(path) + 1);
	n->follower = (struct follower){.retry_ms = n->retry_ms,
					.line = nat_line_came,
					.gone = nat_gone,
					.ended = nat_ended};
	error = follower_start(&n->follower, path, NAT_VIEW_HELLO);
	n->following = error == 0;
	return error;
}

bool nat_follow_start(struct nat_follow *n, struct ring *ring)
{
	if (n->following)
		follower_attach(&n->follower, ring);
	return n->following;
}

void nat_follow_free(struct nat_follow *n)
{
	if (n->following)
		follower_free(&n->follower);
	n->following = false;
}

void nat_follow_stop(struct nat_follow *n)
{
	if (!n->following || n->stopping)
		return;
	n->stopping = true;
	if (n->follower.attached)
		follower_close(&n->follower);
	else
		nat_follow_free(n);
}
