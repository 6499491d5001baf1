/* SPDX-License-Identifier: Apache-2.0 */
/* nat: the feed from natd, and what is made of it. */
#include "relay/control/nat.h"

#include <stdio.h>

#include "core/container.h"
#include "core/log.h"

static void tell(struct nat *n)
{
	const struct nat_view *v = &n->view;

	if (v->connected)
		log_notice("nat", "external=%s verdict=%s %s",
			   v->external[0] ? v->external : "unknown", v->verdict, v->sentence);
	else
		log_notice("nat", "postern-natd at %s is away", n->socket);
	control_event(n->control, "nat.changed", nat_view_summary(v));
}

static void line_came(struct feed *f, const char *line, size_t len)
{
	struct nat *n = container(f, struct nat, feed);

	switch (nat_view_line(&n->view, line, len)) {
	case NAT_VIEW_CHANGED:
		tell(n);
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

static void gone(struct feed *f)
{
	struct nat *n = container(f, struct nat, feed);

	if (nat_view_gone(&n->view))
		tell(n);
}

/* The follower has died; feed_close() is never asked for it. */
static void ended(struct feed *f)
{
	struct nat *n = container(f, struct nat, feed);

	log_warning("nat", "the follower of %s has ended; start the relay again to follow",
		    n->socket);
}

int nat_open(struct nat *n, const char *path)
{
	int error;

	if (!path)
		return 0;
	n->feed = (struct feed){.line = line_came, .gone = gone, .ended = ended};
	snprintf(n->socket, sizeof n->socket, "%s", path);
	error = feed_start(&n->feed, path, NAT_VIEW_HELLO);
	n->following = error == 0;
	return error;
}

void nat_follow(struct nat *n, struct control *ctl)
{
	n->control = ctl;
	if (n->following)
		feed_follow(&n->feed, control_ring(ctl));
}

void nat_free(struct nat *n)
{
	if (n->following)
		feed_free(&n->feed);
	n->following = false;
}
