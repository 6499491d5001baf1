/* SPDX-License-Identifier: Apache-2.0 */
/* trust: may the relay at the other end of a link go on? */
#include "agent/relays/trust.h"

#include <stdio.h>
#include <time.h>

#include "agent/relays/links.h"
#include "core/container.h"

/* ---- what is kept ---- */

void link_trust_drop(struct agent_link *l)
{
	credential_release(l->trust.own);
	credential_release(l->trust.newest);
	l->trust = (struct link_trust){0};
}

void link_trust_renew(struct agent_link *l, const struct identity_peer *relay)
{
	struct link_trust *t = &l->trust;
	struct credential *c = credential_new(relay);

	if (!c || !credential_is_newer(c, t->newest ? t->newest : t->own)) {
		credential_release(c);
		return;
	}
	credential_release(t->newest);
	t->newest = c;
}

/* ---- the question ---- */

static void trust_explain(const struct agent_link *l, enum reason reason, time_t now, char *why,
			  size_t why_size)
{
	const struct credential *last = l->trust.newest ? l->trust.newest : l->trust.own;

	if (reason == REASON_REVOKED)
		snprintf(why, why_size,
			 "the certificate of %s is revoked, as that relay says itself; its "
			 "operator issues a new one with 'postern pki issue DIR relay'",
			 l->label);
	else if (reason == REASON_CERT_UNTRUSTED)
		snprintf(why, why_size,
			 "the CA of the certificate of %s is not in identity.ca any more; the "
			 "relay's operator renews it with 'postern pki renew'",
			 l->label);
	else
		snprintf(why, why_size,
			 "the certificate of %s%s has expired; the relay's operator %s", l->label,
			 now >= last->peer.not_after ? "" : ", or its CA's,",
			 last->peer.by_system ? "has its public CA make a new one"
					      : "renews it with 'postern pki renew'");
}

static struct entitled_answer trust_ask(const struct agent_link *l, time_t now)
{
	const struct entitled_proof proof = {.own = l->trust.own, .newest = l->trust.newest};
	const struct entitled_rules rules = {
		.anchors = identity_anchors(l->set->setup->self.identity),
		.revoked = agent_links_revoked(l->set, l->label),
	};

	return entitled(&proof, &rules, now);
}

static void trust_judge(struct agent_link *l)
{
	time_t now = time(NULL);
	struct entitled_answer a = trust_ask(l, now);
	char why[sizeof(l->state.why)];

	if (a.reason == REASON_OK) {
		look_until(&l->set->look, a.until);
		return;
	}
	trust_explain(l, a.reason, now, why, sizeof(why));
	agent_link_leave(l, a.reason, why);
}

/* What is known to be revoked may be so no more: the relay's own list follows its WELCOME. */
void link_trust_take(struct agent_link *l, const struct identity_peer *relay)
{
	link_trust_drop(l);
	l->trust.own = credential_new(relay);
	look_until(&l->set->look, trust_ask(l, time(NULL)).until);
}

void agent_links_judge(struct agent_links *set)
{
	struct agent_link *next;

	look_forget(&set->look);
	for (size_t i = 0; i < set->count; i++)
		trust_judge(set->list[i]);
	for (struct agent_link *l = set->retired; l; l = next) {
		next = l->next;
		trust_judge(l);
	}
}

/* ---- the clock ---- */

static void trust_look(struct look *l)
{
	agent_links_judge(container(l, struct agent_links, look));
}

void links_trust_open(struct agent_links *set)
{
	look_init(&set->look, set->worker->ring, trust_look);
}
