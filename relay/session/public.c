/* SPDX-License-Identifier: Apache-2.0 */
/* public: askers that are none of ours: TLS clients for a public name, and the web site's. */
#include "relay/session/leg_internal.h"

#include <stdio.h>

#include "relay/front/charge.h"

/* RFC 8446 section 6.2; in clear, as any server does before it has keys. */
#define ALERT_INTERNAL_ERROR	80
#define ALERT_UNRECOGNIZED_NAME 112

/* ---- clients for a name ---- */

void public_failed(struct conn *c, const struct leg_asked *asked, enum ending_side who,
		   enum reason reason)
{
	uint8_t alert[] = {21, 3, 3, 0, 2, 2, ALERT_INTERNAL_ERROR};

	if (reason == REASON_SERVICE_UNKNOWN || reason == REASON_NOT_ALLOWED)
		alert[6] = ALERT_UNRECOGNIZED_NAME;
	asker_forget_meeting(c);
	asker_record_refused(c, asked, who, reason);
	worker_count(c->worker, reason);
	conn_send_raw(c, alert, sizeof alert);
	conn_finish(c);
}

static void public_late(struct conn *c, uint64_t now_ms)
{
	public_failed(c, leg_of(c)->asked, ENDING_PUBLISHING, REASON_TIMEOUT);
}

/* The challenge of an ACME server offers this protocol alone (RFC 8737 section 3). A public name's
 * is for the server that has the name. */
static const struct relay_public *acme_entry(const struct snapshot *s,
					     const struct clienthello *hello)
{
	bool alone = hello->alpn_acme_tls && !hello->alpn_http11 && !hello->alpn_h2;

	return alone && hello->server_name[0] && s->config.tls.acme.to ? &s->config.tls.acme : NULL;
}

static bool public_hello(struct conn *c, const struct clienthello *hello, const uint8_t *data,
			 size_t len)
{
	struct worker *w = c->worker;
	const struct relay_public *entry = snapshot_public(w->snap, hello->server_name);
	struct rendezvous_offer offer;
	struct leg_asked asked = {.from = ""};
	const char *name;

	if (!entry)
		entry = acme_entry(w->snap, hello);
	if (!entry)
		return false;
	/* Challenges count as one name. */
	name = entry->name ? entry->name : SNAPSHOT_ACME;
	asked.public_mark = snapshot_public_mark(name);
	snprintf(asked.to, sizeof asked.to, "%s", entry->agent);
	snprintf(asked.service, sizeof asked.service, "%s", entry->service);
	if (!front_keep(c, data, len)) {
		asker_record_refused(c, &asked, ENDING_SELF, REASON_LIMIT_MEMORY);
		return true;
	}
	conn_set_phase(c, &phase_public);
	conn_set_deadline(c, w->snap->config.limits.open_ms);
	enum reason reason = charge_public(c, name);
	reason = asker_ask(c, &asked, reason, &offer);
	if (reason == REASON_OK)
		asker_offer(c, &offer);
	else
		public_failed(c, &asked, ENDING_SELF, reason);
	return true;
}

const struct conn_phase phase_public = {
	.name = "public",
	.state = &leg_state,
	.deadline = public_late,
	.judge = asker_judge,
};

const struct front_protocol protocol_public = {.name = "public", .hello = public_hello};

/* ---- clients of the web site ---- */

void site_failed(struct conn *c, const struct leg_asked *asked, enum ending_side who,
		 enum reason reason)
{
	struct relay_leg *leg = leg_of(c);
	struct web *web = leg->web;
	enum site_gateway why = SITE_BAD_GATEWAY;

	if (reason == REASON_TIMEOUT)
		why = SITE_GATEWAY_TIMEOUT;
	else if (reason == REASON_LIMIT_PUBLIC || reason == REASON_LIMIT_PUBLIC_SOURCE)
		why = SITE_UNAVAILABLE;
	asker_forget_meeting(c);
	asker_record_refused(c, asked, who, reason);
	worker_count(c->worker, reason);
	leg->web = NULL;
	web_go_on(c, web, why);
}

static void site_late(struct conn *c, uint64_t now_ms)
{
	site_failed(c, leg_of(c)->asked, ENDING_PUBLISHING, REASON_TIMEOUT);
}

const struct conn_phase phase_site = {
	.name = "site",
	.state = &leg_state,
	.deadline = site_late,
	.judge = asker_judge,
};

static bool site_request(struct conn *c)
{
	const struct relay_config *config = &c->worker->snap->config;
	const struct relay_public *to = &config->site.to;
	struct rendezvous_offer offer;
	struct leg_asked asked = {.public_mark = snapshot_public_mark(SNAPSHOT_SITE)};
	struct web *web;

	if (!to->to)
		return false;
	snprintf(asked.to, sizeof asked.to, "%s", to->agent);
	snprintf(asked.service, sizeof asked.service, "%s", to->service);
	web = web_hand_over(c, &phase_site);
	leg_of(c)->web = web;
	conn_set_deadline(c, config->limits.open_ms);
	enum reason reason = charge_public(c, SNAPSHOT_SITE);
	reason = asker_ask(c, &asked, reason, &offer);
	if (reason == REASON_OK)
		asker_offer(c, &offer);
	else
		site_failed(c, &asked, ENDING_SELF, reason);
	return true;
}

const struct front_protocol protocol_site = {.name = "site", .request = site_request};
