/* SPDX-License-Identifier: Apache-2.0 */
/* expire: tells the operator in time that the agent's own certificate ends. */
#include "agent/control/control_internal.h"
#include "core/container.h"
#include "core/program/expiring.h"

void agent_expiry_look(struct timer *t, uint64_t now_ms)
{
	struct agent_control *ctl = container(t, struct agent_control, expiry_timer);
	struct agent *a = ctl->agent;
	struct expiry_validity v = identity_validity(a->identity);
	json_t *expiring;

	ring_timer_set(a->ring, t, EXPIRY_LOOK_MS);
	expiring = expiring_look(&ctl->expiry, &v, "agent",
				 "issue a new one with 'postern pki issue DIR agent %s', and apply "
				 "it or restart with it",
				 a->config->name);
	if (expiring)
		agent_event(a, "certificate.expiring", "o", expiring);
}
