/* SPDX-License-Identifier: Apache-2.0 */
/* expire: tells the operator in time that the agent's own certificate ends. */
#include <time.h>

#include "agent/control_internal.h"
#include "core/container.h"
#include "core/log.h"
#include "core/notify.h"

void agent_expiry_look(struct timer *t, uint64_t now_ms)
{
	struct control *ctl = container(t, struct control, expiry_timer);
	struct agent *a = ctl->agent;
	struct expiry_validity v = identity_validity(a->identity);
	time_t now = time(NULL);
	char text[EXPIRY_TEXT_BYTES];

	ring_timer_set(a->ring, t, EXPIRY_LOOK_MS);
	if (!expiry_look(&ctl->expiry, &v, now))
		return;
	if (ctl->expiry.told == EXPIRY_FAR) {
		notify_status("the certificate has been replaced in time");
		return;
	}
	expiry_text(&v, now, text);
	log_warning("agent",
		    "%s: issue a new one with 'postern pki issue DIR agent %s', and apply it or "
		    "restart with it",
		    text, a->config->name);
	notify_status("%s", text);
	agent_event(a, "certificate.expiring", "{s:I, s:i, s:s}", "certificate_expires",
		    (json_int_t)v.not_after, "days", (int)ctl->expiry.told, "text", text);
}
