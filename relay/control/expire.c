/* SPDX-License-Identifier: Apache-2.0 */
/* expire: tells the operator in time that the relay's own certificate ends. */
#include "core/container.h"
#include "core/program/expiring.h"
#include "relay/control/control_internal.h"

void control_expiry_look(struct timer *t, uint64_t now_ms)
{
	struct control *ctl = container(t, struct control, expiry_timer);
	struct expiry_validity v = identity_validity(ctl->current->identity);
	json_t *expiring;

	ring_timer_set(ctl->ring, t, EXPIRY_LOOK_MS);
	expiring = expiring_look(&ctl->expiry, &v, "relay",
				 "issue a new one with 'postern pki issue DIR relay %s', and apply "
				 "it or send SIGHUP",
				 ctl->current->config.name);
	if (expiring)
		control_event(ctl, "certificate.expiring", expiring);
}
