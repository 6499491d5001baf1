/* SPDX-License-Identifier: Apache-2.0 */
/* reflexive: one link's rounds of one question. */
#include "agent/relays/reflexive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/mem.h>
#include <openssl/rand.h>

#include "agent/worker/connector.h"
#include "core/container.h"
#include "core/engine/stun_credentials.h"
#include "core/log.h"
#include "core/random.h"
#include "stun/client/round.h"

#define FIRST_MS 1000u	 /* after the link came up, at most: agents that come together ask apart */
#define AGAIN_MS 240000u /* and up to half of it more, by chance */

struct reflexive {
	struct agent_worker *worker;
	struct stun_round round;
	struct timer timer; /* until the next round */
	struct stun_credentials credentials;
	uint32_t rounds;     /* that have begun */
	struct addr address; /* len 0: not told yet */
	uint64_t told_ms;
	uint64_t dice;
	char label[ENDPOINT_TEXT_BYTES]; /* the relay's, for logs */
	bool asking, stopped, failed;
};

static void reflexive_free(struct reflexive *r)
{
	OPENSSL_cleanse(&r->credentials, sizeof(r->credentials));
	OPENSSL_cleanse(r->round.entries, sizeof(r->round.entries));
	free(r);
}

static void reflexive_plan(struct reflexive *r, uint64_t least_ms, uint64_t more_ms)
{
	ring_timer_set(r->worker->ring, &r->timer, least_ms + random_next(&r->dice) % more_ms);
}

/* What is new is told at info, once. */
static void reflexive_told(struct reflexive *r, const struct addr *address)
{
	char text[ADDR_TEXT_BYTES];

	addr_format(address, text);
	if (r->address.len == 0 || !addr_equal(&r->address, address))
		log_info("stun", "relay=%s sees our datagrams come from %s", r->label, text);
	r->address = *address;
	r->told_ms = ring_now_ms(r->worker->ring);
	r->failed = false;
}

static void reflexive_untold(struct reflexive *r)
{
	if (!r->failed)
		log_info(
			"stun",
			"relay=%s answers no STUN over UDP: stun.links may be off there, or UDP be "
			"blocked on the way; stun: false here stops the asking",
			r->label);
	r->failed = true;
}

static void reflexive_round_done(struct stun_round *round)
{
	struct reflexive *r = container(round, struct reflexive, round);
	struct agent_worker *w = r->worker;

	r->asking = false;
	if (r->stopped) {
		reflexive_free(r);
		agent_worker_drop(w);
		return;
	}
	agent_worker_drop(w);
	if (round->entries[0].external.len > 0)
		reflexive_told(r, &round->entries[0].external);
	else
		reflexive_untold(r);
	reflexive_plan(r, AGAIN_MS, AGAIN_MS / 2);
}

static void reflexive_timer_fired(struct timer *t, uint64_t now_ms)
{
	struct reflexive *r = container(t, struct reflexive, timer);
	int error;

	stun_credentials_set_round(&r->credentials, ++r->rounds);
	error = stun_round_start(&r->round);
	if (error) {
		log_debug("stun", "relay=%s: no UDP socket to ask it: %s", r->label,
			  strerror(-error));
		r->failed = true; /* the network may be another one by now */
		reflexive_plan(r, AGAIN_MS, AGAIN_MS / 2);
		return;
	}
	r->asking = true;
	agent_worker_hold(r->worker);
}

/* #syscalls getpeername */
struct reflexive *reflexive_start(struct agent_worker *w, int fd, uint64_t link,
				  const uint8_t secret[WIRE_SECRET_BYTES], const char *label)
{
	struct reflexive *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	struct stun_round_entry *e = &r->round.entries[0];
	e->server.len = sizeof(e->server.v6);
	if (getpeername(fd, &e->server.sa, &e->server.len) < 0 ||
	    (e->server.sa.sa_family != AF_INET && e->server.sa.sa_family != AF_INET6) ||
	    !stun_credentials_make(link, secret, &r->credentials)) {
		reflexive_free(r);
		return NULL;
	}
	e->username = (struct stun_bytes){(const uint8_t *)r->credentials.username,
					  STUN_CREDENTIALS_USERNAME};
	e->password = (struct stun_bytes){(const uint8_t *)r->credentials.password,
					  STUN_CREDENTIALS_PASSWORD};
	r->worker = w;
	r->round.ring = w->ring;
	r->round.pace = stun_pace_datagram;
	r->round.count = 1;
	r->round.connected = true;
	r->round.done = reflexive_round_done;
	r->timer.fire = reflexive_timer_fired;
	RAND_bytes((uint8_t *)&r->dice, sizeof(r->dice));
	snprintf(r->label, sizeof(r->label), "%s", label);
	reflexive_plan(r, 0, FIRST_MS);
	return r;
}

void reflexive_stop(struct reflexive *r)
{
	if (!r)
		return;
	r->stopped = true;
	ring_timer_cancel(r->worker->ring, &r->timer);
	if (r->asking)
		stun_round_end(&r->round);
	else
		reflexive_free(r);
}

const struct addr *reflexive_address(const struct reflexive *r, uint64_t now_ms, uint64_t *age_ms)
{
	if (!r || r->address.len == 0)
		return NULL;
	*age_ms = now_ms - r->told_ms;
	return &r->address;
}

const struct addr *reflexive_fresh(const struct reflexive *r)
{
	return r && r->address.len > 0 && !r->failed ? &r->address : NULL;
}
