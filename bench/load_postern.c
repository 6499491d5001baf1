/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_postern: sessions through postern-relayd; docs/protocol.md is the text to this.
 *
 * Both ends sign in as agents with a bundle that `postern pki issue` made. The sink publishes one
 * service. A session costs either end a leg, with its TLS handshake, unless one was prepared: the
 * source sends OPEN on its own, the sink ACCEPT when the OFFER has come. After GO the sockets carry
 * raw bytes; what agents would send over them, their inner TLS, is of no account to the relay.
 */
#include "bench/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/load_wire.h"

#define SERVICE "bench"

struct agent {
	struct addr relay;
	struct load_self self;
	struct speaker link;
	uint64_t link_id;
	uint8_t leg_secret[WIRE_SECRET_BYTES];
	int offers[2];		/* sink: pipe of u64 sessions */
	struct load_tls *ready; /* legs that were prepared */
	unsigned ready_room;
	_Atomic unsigned ready_made, ready_taken;
};

/* ---- the link ---- */

static void *watch_link(void *arg)
{
	struct agent *a = arg;
	struct wire_message m;

	for (;;) {
		load_read_message(&a->link, &m);
		if (m.type == WIRE_PING) {
			m.type = WIRE_PONG;
			load_send_message(&a->link.tls, &m);
		} else if (m.type == WIRE_OFFER) {
			if (write(a->offers[1], &m.offer.session, sizeof m.offer.session) !=
			    sizeof m.offer.session)
				load_fail("pipe: %s", strerror(errno));
		} else {
			load_fail_unexpected(&m);
		}
	}
}

/* ---- legs ---- */

static struct load_tls make_leg(struct agent *a)
{
	struct speaker s = {.len = 0};
	struct wire_message m = {.type = WIRE_LEG, .leg.link = a->link_id};
	uint8_t exported[TLS_EXPORT_BYTES];

	load_tls_dial(&s.tls, &a->relay, a->self.context);
	if (!tls_export(s.tls.tls, TLS_EXPORT_LEG, exported))
		load_fail("cannot prove a leg");
	identity_leg_proof(a->leg_secret, exported, m.leg.proof);
	load_send_first(&s.tls, &a->self, &m);
	load_expect(&s, WIRE_READY, &m);
	return s.tls;
}

static struct load_tls take_leg(struct agent *a)
{
	unsigned i = atomic_fetch_add(&a->ready_taken, 1);

	return i < a->ready_room ? a->ready[i] : make_leg(a);
}

static void *prepare_some(void *arg)
{
	struct agent *a = arg;
	unsigned i;

	while ((i = atomic_fetch_add(&a->ready_made, 1)) < a->ready_room)
		a->ready[i] = make_leg(a);
	return NULL;
}

static void prepare_legs(struct agent *a, unsigned count, unsigned workers)
{
	pthread_t threads[LOAD_WORKERS_MAX];

	a->ready = calloc(count, sizeof *a->ready);
	if (count > 0 && !a->ready)
		load_fail("out of memory");
	a->ready_room = count;
	for (unsigned i = 0; i < workers; i++)
		load_thread(&threads[i], prepare_some, a);
	for (unsigned i = 0; i < workers; i++)
		pthread_join(threads[i], NULL);
}

static int leg_to_session(struct load_tls leg, const struct wire_message *ask)
{
	struct speaker s = {.tls = leg};
	struct wire_message m;

	load_send_message(&s.tls, ask);
	load_expect(&s, WIRE_GO, &m);
	return load_tls_take_socket(&s.tls);
}

/* ---- the two ends ---- */

static struct agent *agent_start(const struct load_options *o, const char *bundle)
{
	struct agent *a = calloc(1, sizeof *a);
	struct wire_message m;

	if (!a)
		load_fail("out of memory");
	a->relay = o->relay;
	load_self_open(&a->self, bundle);
	if (pipe(a->offers) < 0)
		load_fail("pipe: %s", strerror(errno));
	load_sign_in(&a->link, &a->self, &a->relay, 0, &m);
	a->link_id = m.welcome.link;
	memcpy(a->leg_secret, m.welcome.leg_secret, sizeof a->leg_secret);
	prepare_legs(a, o->prepared, o->workers);
	return a;
}

static void *source_start(const struct load_options *o, struct load_shared *s)
{
	struct agent *a = agent_start(o, o->source_bundle);
	pthread_t thread;

	load_thread(&thread, watch_link, a);
	return a;
}

static int postern_open(void *state)
{
	struct wire_message m = {.type = WIRE_OPEN,
				 .open = {wire_text("sink"), wire_text(SERVICE)}};

	return leg_to_session(take_leg(state), &m);
}

static void *sink_start(const struct load_options *o, struct load_shared *s)
{
	struct agent *a = agent_start(o, o->sink_bundle);
	struct wire_message *m = calloc(1, sizeof *m);
	pthread_t thread;

	if (!m)
		load_fail("out of memory");
	m->type = WIRE_PUBLISH;
	m->publish.count = 1;
	m->publish.services[0] = wire_text(SERVICE);
	load_send_message(&a->link.tls, m);
	load_expect(&a->link, WIRE_PUBLISHED, m);
	if (m->published.count != 1)
		load_fail("the relay did not publish the service");
	free(m);
	load_thread(&thread, watch_link, a);
	return a;
}

static int postern_accept(void *state)
{
	struct agent *a = state;
	struct wire_message m = {.type = WIRE_ACCEPT};
	struct load_tls leg = take_leg(a);

	if (read(a->offers[0], &m.accept.session, sizeof m.accept.session) !=
	    sizeof m.accept.session)
		load_fail("pipe: %s", strerror(errno));
	return leg_to_session(leg, &m);
}

const struct load_path load_path_postern = {
	.name = "postern",
	.source_start = source_start,
	.open = postern_open,
	.sink_start = sink_start,
	.accept = postern_accept,
};
