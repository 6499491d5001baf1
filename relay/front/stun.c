/* SPDX-License-Identifier: Apache-2.0 */
/* stun: limits behind a lock, rules from a configuration, names of counters. */
#include "relay/front/stun.h"

#include <assert.h>
#include <errno.h>

const char *stun_count_name(unsigned count)
{
	static const char *const names[] = {"limited", "other_protocol", "unsent"};

	static_assert(sizeof names / sizeof names[0] + STUN_OUTCOMES == STUN_COUNTS,
		      "a name for each");
	return count < STUN_OUTCOMES ? stun_outcome_name((enum stun_outcome)count)
				     : names[count - STUN_OUTCOMES];
}

const char *stun_way_name(enum stun_way way)
{
	static const char *const names[] = {[STUN_UDP] = "udp", [STUN_TCP] = "tcp"};

	static_assert(sizeof names / sizeof names[0] == STUN_WAYS, "a name for each");
	return names[way];
}

/* ---- limits ---- */

void stun_gate_init(struct stun_gate *g)
{
	*g = (struct stun_gate){0};
	pthread_mutex_init(&g->lock, NULL);
}

void stun_gate_free(struct stun_gate *g)
{
	stun_limits_free(g->limits);
	pthread_mutex_destroy(&g->lock);
}

int stun_gate_adopt(struct stun_gate *g, const struct relay_stun *conf)
{
	struct stun_limits *old, *limits;

	if (g->limits && g->prefixes == conf->prefixes && g->rate == conf->rate &&
	    g->burst == conf->burst)
		return 0;
	limits = stun_limits_new((uint32_t)conf->prefixes, (uint32_t)conf->rate,
				 (uint32_t)conf->burst);
	if (!limits)
		return -ENOMEM;
	g->prefixes = conf->prefixes;
	g->rate = conf->rate;
	g->burst = conf->burst;
	pthread_mutex_lock(&g->lock);
	old = g->limits;
	g->limits = limits;
	pthread_mutex_unlock(&g->lock);
	stun_limits_free(old);
	return 0;
}

void stun_gate_take(struct stun_gate *g, const struct datagram *in, size_t count, uint64_t now_ms,
		    bool *may)
{
	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < count; i++)
		may[i] = stun_limits_take(g->limits, &in[i].from, now_ms);
	pthread_mutex_unlock(&g->lock);
}

/* ---- rules ---- */

static void make_behaviour(struct stun_behaviour *b, const struct addr *address,
			   const struct addr *other)
{
	const struct addr *both[] = {address, other};

	for (unsigned a = 0; a < 2; a++) {
		for (unsigned p = 0; p < 2; p++) {
			b->places[a][p] = *both[a];
			addr_set_port(&b->places[a][p], addr_port(both[p]));
		}
	}
}

void stun_rules_make(struct stun_rules *r, const struct relay_stun *conf, bool draining)
{
	const struct addr *alternate = conf->alternate.items;

	*r = (struct stun_rules){
		.enabled = conf->enabled, .links = conf->links, .plain.draining = draining};
	for (size_t i = 0; i < conf->alternate.count; i++)
		r->plain.alternate[alternate[i].sa.sa_family == AF_INET6] = alternate[i];
	r->places = r->plain;
	if (conf->behaviour.address.len > 0) {
		make_behaviour(&r->behaviour, &conf->behaviour.address, &conf->behaviour.other);
		r->places.behaviour = &r->behaviour;
	}
}
