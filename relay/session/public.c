/* SPDX-License-Identifier: Apache-2.0 */
/*
 * public: unmodified TLS clients, let through by server name.
 *
 * The ClientHello has been read and nothing else will be. The client waits unread while the
 * publishing agent is offered the session; then the hello is replayed to the agent's leg and the
 * bytes go both ways, in the envelope on the agent's side.
 */
#include "core/log.h"
#include "relay/front/conn.h"
#include "relay/control/enforce.h"
#include "relay/control/report.h"

/* RFC 8446 section 6.2; in clear, as any server does before it has keys. */
#define ALERT_INTERNAL_ERROR	80
#define ALERT_UNRECOGNIZED_NAME 112

void public_failed(struct conn *c, enum reason reason)
{
	uint8_t alert[] = {21, 3, 3, 0, 2, 2, ALERT_INTERNAL_ERROR};

	if (reason == REASON_SERVICE_UNKNOWN || reason == REASON_NOT_ALLOWED)
		alert[6] = ALERT_UNRECOGNIZED_NAME;
	log_info("public", "refused service=%s reason=%s: %s", c->label ? c->label : "?",
		 reason_name(reason), reason_sentence(reason));
	worker_count(c->worker, reason);
	conn_send_raw(c, alert, sizeof alert);
	conn_finish(c);
}

void public_begin(struct conn *c, const struct relay_public *entry)
{
	struct relay *r = c->worker->relay;
	struct rendezvous_offer offer;

	conn_set_phase(c, CONN_PUBLIC);
	conn_set_deadline(c, c->worker->snap->config.limits.open_ms);
	if (!conn_set_label(c, entry->service)) {
		conn_close(c, REASON_LIMIT_MEMORY);
		return;
	}
	if (r->draining) {
		public_failed(c, REASON_DRAINING);
		return;
	}
	relay_lock(r);
	enum reason reason = enforce_open(c, entry->agent, entry->service);
	if (reason == REASON_OK)
		reason = rendezvous_open(r->rendezvous, 0, entry->agent, entry->service, c->id,
					 &offer);
	relay_unlock(r);
	if (reason != REASON_OK) {
		report_refused(c, "", entry->agent, entry->service, reason);
		public_failed(c, reason);
		return;
	}
	offer_send(c, &offer, entry->service);
}
