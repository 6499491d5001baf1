/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local: calls over a Unix socket, from people and programs on the relay's own host.
 *
 * Who may do what goes by the peer's credentials: root, the relay's own user and control.admin may
 * change things, control.read may look, nobody else is let in.
 */
#include <unistd.h>

#include "core/container.h"
#include "relay/control/control_internal.h"

#define LOCAL_CONNECTIONS_MAX 64u

static bool listed(const struct conf_array *uids, uid_t uid)
{
	const uint64_t *list = uids->items;

	for (size_t i = 0; i < uids->count; i++)
		if (list[i] == uid)
			return true;
	return false;
}

static const char *admit(struct callers *cs, uid_t uid, enum caller_level *level)
{
	const struct control *ctl = container(cs, struct control, local);
	const struct relay_config *config = &ctl->current->config;

	if (uid == 0 || uid == getuid() || listed(&config->control.admin, uid))
		*level = CALLER_ADMIN;
	else if (listed(&config->control.read, uid))
		*level = CALLER_READ;
	else
		return "this user may not use the relay's socket; see control.admin and "
		       "control.read in its configuration";
	return NULL;
}

void local_start(struct control *ctl, int listener)
{
	ctl->local = (struct callers){
		.ring = ctl->ring,
		.calls = &ctl->calls,
		.line_max = JSONRPC_LINE_MAX,
		.most = LOCAL_CONNECTIONS_MAX,
		.admit = admit,
	};
	ctl->has_local = true;
	callers_start(&ctl->local, listener);
}

void local_stop(struct control *ctl)
{
	if (ctl->has_local)
		callers_free(&ctl->local);
	ctl->has_local = false;
}
