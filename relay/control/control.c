/* SPDX-License-Identifier: Apache-2.0 */
/* control: the relay's methods, and what transports and workers see of the control thread. */
#include "relay/control/control.h"

#include "relay/control/control_internal.h"

static const struct method *const tables[] = {
	methods_of_config, methods_see,	   methods_act, methods_policy,
	methods_events,	   methods_schema, NULL};

void control_init(struct control *ctl)
{
	ctl->calls = (struct calls){
		.tables = tables,
		.owner = ctl,
		.changes = ctl->changes,
		.config = &control_config_ops,
		.admin_remedy = "ask for admin rights (control.admin in the relay's configuration)",
	};
}

struct relay *control_relay(struct control *ctl)
{
	return ctl->relay;
}

struct ring *control_ring(struct control *ctl)
{
	return ctl->ring;
}

void control_caller_add(struct control *ctl, struct caller *c)
{
	caller_add(&ctl->calls, c);
}

void control_caller_remove(struct control *ctl, struct caller *c)
{
	caller_remove(&ctl->calls, c);
}

void control_line(struct control *ctl, struct caller *c, const char *line, size_t len)
{
	calls_line(&ctl->calls, c, line, len);
}
