/* SPDX-License-Identifier: Apache-2.0 */
/* expire: tells the operator in time that the relay's own certificate ends. */
#include <time.h>

#include "core/container.h"
#include "core/log.h"
#include "core/notify.h"
#include "relay/control_internal.h"

void control_expiry_look(struct timer *t, uint64_t now_ms)
{
	struct control *ctl = container(t, struct control, expiry_timer);
	struct expiry_validity v = identity_validity(ctl->current->identity);
	time_t now = time(NULL);
	char text[EXPIRY_TEXT_BYTES];

	ring_timer_set(ctl->ring, t, EXPIRY_LOOK_MS);
	if (!expiry_look(&ctl->expiry, &v, now))
		return;
	if (ctl->expiry.told == EXPIRY_FAR) {
		notify_status("the certificate has been replaced in time");
		return;
	}
	expiry_text(&v, now, text);
	log_warning("relay",
		    "%s: issue a new one with 'postern pki issue DIR relay %s', and apply it or "
		    "send SIGHUP",
		    text, ctl->current->config.name);
	notify_status("%s", text);
	control_event(ctl, "certificate.expiring",
		      json_pack("{s:I, s:i, s:s}", "certificate_expires", (json_int_t)v.not_after,
				"days", (int)ctl->expiry.told, "text", text));
}
