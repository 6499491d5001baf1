/* SPDX-License-Identifier: Apache-2.0 */
/* nat: the lines that natd tells, and what is made of them. */
#include "agent/control/nat.h"

#include <stdio.h>

#include "agent/control/control_internal.h"
#include "core/container.h"
#include "core/log.h"

static void tell(struct agent_nat *n)
{
	const struct nat_view *v = &n->view;

	if (v->connected)
		log_notice("nat", "external=%s verdict=%s %s",
			   v->external[0] ? v->external : "unknown", v->verdict, v->sentence);
	else
		log_notice("nat", "postern-natd at %s is away", n->socket);
	agent_control_event(n->control, "nat.changed", "o", nat_view_summary(v));
}

static void nat_line_came(struct feed *f, const char *line, size_t len)
{
	struct agent_nat *n = container(f, struct agent_nat, feed);
	struct nat_view *v = &n->view;

	switch (nat_view_line(v, line, len)) {
	case NAT_VIEW_CHANGED:
		tell(n);
		break;
	case NAT_VIEW_MALFORMED:
		if (v->malformed == 1)
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

static void nat_gone(struct feed *f)
{
	struct agent_nat *n = container(f, struct agent_nat, feed);

	if (nat_view_gone(&n->view) && !n->control->stopping)
		tell(n);
}

static void nat_ended(struct feed *f)
{
	struct agent_nat *n = container(f, struct agent_nat, feed);

	n->following = false;
	if (!n->control->stopping)
		log_warning("nat", "the follower of %s has ended; start the agent again to follow",
			    n->socket);
	agent_worker_drop(n->control->rooms.worker);
}

int agent_nat_open(struct agent_nat *n, const char *path)
{
	int error;

	n->feed = (struct feed){.line = nat_line_came, .gone = nat_gone, .ended = nat_ended};
	snprintf(n->socket, sizeof(n->socket), "%s", path);
	error = feed_start(&n->feed, path, NAT_VIEW_HELLO);
	n->following = error == 0;
	return error;
}

void agent_nat_follow(struct agent_nat *n, struct agent_control *control)
{
	n->control = control;
	if (!n->following)
		return;
	agent_worker_hold(control->rooms.worker);
	feed_follow(&n->feed, control->ring);
}

void agent_nat_stop(struct agent_nat *n)
{
	if (n->following)
		feed_close(&n->feed);
}
