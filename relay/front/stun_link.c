/* SPDX-License-Identifier: Apache-2.0 */
/* stun_link: who asks, whether it is true, and the answer. */
#include "relay/front/stun_link.h"

#include <openssl/mem.h>

#include "core/engine/stun_credentials.h"
#include "relay/front/charge.h"
#include "stun/message.h"

/* USERNAME and MESSAGE-INTEGRITY-SHA256. */
#define LEAST_BYTES                                                                                \
	(STUN_HEADER_BYTES + 2 * STUN_ATTRIBUTE_BYTES + STUN_CREDENTIALS_USERNAME +                \
	 STUN_SHA256_BYTES)

void stun_link_named(const uint8_t *bytes, size_t len, struct stun_link *out)
{
	struct stun_message m;

	if (len < LEAST_BYTES || len > STUN_REQUEST_MAX || stun_decode(bytes, len, &m) != STUN_OK ||
	    m.header.class != STUN_REQUEST || !(m.has & STUN_HAS_USERNAME) ||
	    !(m.has & STUN_HAS_MESSAGE_INTEGRITY_SHA256) ||
	    !stun_credentials_read(m.username.data, m.username.len, &out->id, &out->round))
		out->id = 0;
}

void stun_links_find(struct relay *r, struct stun_link *links, size_t count)
{
	bool any = false;

	for (size_t i = 0; i < count; i++)
		any = any || links[i].id != 0;
	if (!any)
		return;
	relay_lock(r);
	for (size_t i = 0; i < count; i++)
		if (links[i].id != 0 && !rendezvous_stun_secret(r->rendezvous, links[i].id,
								links[i].secret, links[i].name))
			links[i].id = 0;
	relay_unlock(r);
}

static bool stun_link_answered(enum stun_outcome outcome)
{
	return outcome == STUN_ANSWERED || outcome == STUN_ANSWERED_ERROR;
}

static bool stun_link_asks(struct relay *r, const struct stun_link *link, const struct addr *from)
{
	relay_lock(r);
	bool asks = rendezvous_stun_asks(r->rendezvous, link->id, link->round, from);
	relay_unlock(r);
	return asks;
}

/* What is not answered has proved nothing, whatever else is wrong with it. A relay that drains
 * answers like any other time: no other server knows the link. */
static enum stun_outcome stun_link_ask(struct relay *r, const struct stun_link *link,
				       const uint8_t *bytes, size_t len, const struct addr *from,
				       struct stun_answer *out)
{
	struct stun_credentials credentials;
	struct stun_server own = {
		.password = {(const uint8_t *)credentials.password, STUN_CREDENTIALS_PASSWORD}};
	enum stun_outcome outcome = STUN_IGNORED_UNPROVEN;

	if (stun_credentials_make(link->id, link->secret, &credentials))
		outcome = stun_server_answer(&own, bytes, len, from, 0, 0, true, out);
	OPENSSL_cleanse(&credentials, sizeof credentials);
	if (!stun_link_answered(outcome) || !stun_link_asks(r, link, from))
		return STUN_IGNORED_UNPROVEN;
	return outcome;
}

unsigned stun_link_answer(struct worker *w, const struct stun_link *link, const uint8_t *bytes,
			  size_t len, const struct addr *from, struct stun_answer *out)
{
	enum stun_outcome outcome = stun_link_ask(w->relay, link, bytes, len, from, out);

	if (outcome != STUN_IGNORED_UNPROVEN && !charge_stun(w, link->name))
		return STUN_LIMITED;
	return outcome;
}

/* False: it is no link's. */
static bool stun_link_find_one(struct worker *w, const uint8_t *bytes, size_t len,
			       struct stun_link *out)
{
	*out = (struct stun_link){.id = 0};
	if (w->stun.links)
		stun_link_named(bytes, len, out);
	stun_links_find(w->relay, out, 1);
	return out->id != 0;
}

unsigned stun_link_answer_one(struct worker *w, const uint8_t *bytes, size_t len,
			      const struct addr *from, struct stun_answer *out)
{
	struct stun_link link;
	unsigned outcome = STUN_IGNORED_UNPROVEN;

	if (stun_link_find_one(w, bytes, len, &link))
		outcome = stun_link_answer(w, &link, bytes, len, from, out);
	OPENSSL_cleanse(&link, sizeof link);
	return outcome;
}

bool stun_link_is(struct worker *w, const uint8_t *bytes, size_t len, const struct addr *from)
{
	struct stun_answer unsent;
	struct stun_link link;
	bool is =
		stun_link_find_one(w, bytes, len, &link) &&
		stun_link_ask(w->relay, &link, bytes, len, from, &unsent) != STUN_IGNORED_UNPROVEN;

	OPENSSL_cleanse(&link, sizeof link);
	return is;
}
