/* SPDX-License-Identifier: Apache-2.0 */
/* nat: the feed from natd, and what is made of it. */
#include "agent/control/nat.h"

#include "agent/control/control.h"
#include "core/container.h"
#include "core/log.h"

static void tell(struct agent *a)
{
	const struct nat_view *v = &a->nat.view;

	if (v->connected)
		log_notice("nat", "external=%s verdict=%s %s",
			   v->external[0] ? v->external : "unknown", v->verdict, v->sentence);
	else
		log_notice("nat", "postern-natd at %s is away", a->nat.socket);
	agent_event(a, "nat.changed", "o", nat_view_summary(v));
}

static void line_came(struct feed *f, const char *line, size_t len)
{
	struct agent *a = container(f, struct agent, nat.feed);
	struct nat_view *v = &a->nat.view;

	switch (nat_view_line(v, line, len)) {
	case NAT_VIEW_CHANGED:
		tell(a);
		break;
	case NAT_VIEW_MALFORMED:
		if (v->malformed == 1)
			log_warning("nat",
				    "what %s tells makes no sense; name the socket of a "
				    "postern-natd of this version (nat.socket)",
				    a->nat.socket);
		else
			log_debug("nat", "a line of natd makes no sense");
		break;
	default:
		break;
	}
}

static void gone(struct feed *f)
{
	struct agent *a = container(f, struct agent, nat.feed);

	if (nat_view_gone(&a->nat.view) && !a->stopping)
		tell(a);
}

static void ended(struct feed *f)
{
	struct agent *a = container(f, struct agent, nat.feed);

	a->nat.following = false;
	if (!a->stopping)
		log_warning("nat", "the follower of %s has ended; start the agent again to follow",
			    a->nat.socket);
	agent_drop(a);
}

int agent_nat_open(struct agent *a)
{
	const char *path = a->config->nat.socket;
	int error;

	if (!path)
		return 0;
	a->nat.feed = (struct feed){.line = line_came, .gone = gone, .ended = ended};
	snprintf(a->nat.socket, sizeof(a->nat.socket), "%s", path);
	error = feed_start(&a->nat.feed, path, NAT_VIEW_HELLO);
	a->nat.following = error == 0;
	return error;
}

void agent_nat_follow(struct agent *a)
{
	if (!a->nat.following)
		return;
	agent_hold(a);
	feed_follow(&a->nat.feed, a->ring);
}

void agent_nat_stop(struct agent *a)
{
	if (a->nat.following)
		feed_close(&a->nat.feed);
}

void agent_nat_candidates(const struct agent *a, struct candidates *out)
{
	out->count = 0;
	if (a->config->nat.share)
		candidates_of(&a->nat.view, out);
}
