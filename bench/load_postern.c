/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_postern: sessions through postern-relayd; docs/protocol.md is the text to this.
 *
 * Both ends sign in as agents with a bundle that `postern pki issue` made. The sink publishes one
 * service. A session costs either end a leg, with its TLS handshake, unless one was prepared: the
 * source sends OPEN on its own, the sink ACCEPT when the OFFER has come. After GO the sockets carry
 * raw bytes; what agents would send over them, their inner TLS, is of no account to the relay.
 *
 * The relay's certificate is not verified here: that is the work of agents, on other machines.
 */
#include "bench/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/load_tls.h"
#include "core/conf.h"
#include "core/engine/identity.h"
#include "core/parse/reason.h"
#include "core/parse/wire.h"

#define SERVICE "bench"

/* A connection that speaks frames. Decoded messages point into in. */
struct speaker {
	struct load_tls tls;
	uint8_t in[WIRE_FRAME_MAX];
	size_t len, used; /* used: by the message read last */
};

struct agent {
	struct addr relay;
	struct identity *identity;
	SSL_CTX *context;
	struct identity_peer self;
	struct speaker link;
	uint64_t link_id;
	uint8_t leg_secret[WIRE_SECRET_BYTES];
	int offers[2];		/* sink: pipe of u64 sessions */
	struct load_tls *ready; /* legs that were prepared */
	unsigned ready_room;
	_Atomic unsigned ready_made, ready_taken;
};

/* ---- the bundle ---- */

static const char *text_at(const struct conf_node *map, const char *key, const char *path)
{
	const struct conf_node *n = conf_get(map, key);

	if (!n || n->kind != CONF_SCALAR)
		load_fail("%s: no identity.%s", path, key);
	return n->text;
}

static struct identity *load_identity(const char *path)
{
	struct conf_errors errors = {.file = path};
	struct conf_node *root = conf_load(path, &errors);
	const struct conf_node *map = root ? conf_get(root, "identity") : NULL;
	struct identity *id;
	char why[256];

	if (!map || map->kind != CONF_MAP)
		load_fail("%s: %s", path, errors.text ? errors.text : "no identity");
	id = identity_new(text_at(map, "ca", path), text_at(map, "certificate", path),
			  text_at(map, "key", path), why, sizeof why);
	if (!id)
		load_fail("%s: %s", path, why);
	conf_node_free(root);
	return id;
}

/* ---- messages ---- */

static void send_message(struct load_tls *c, const struct wire_message *m)
{
	uint8_t frame[WIRE_FRAME_MAX];
	size_t len = wire_encode(m, frame, sizeof frame);

	if (len == 0)
		load_fail("%s breaks a limit", wire_type_name(m->type));
	load_tls_write(c, frame, len);
}

static void read_message(struct speaker *s, struct wire_message *m)
{
	enum wire_status status;

	memmove(s->in, s->in + s->used, s->len - s->used);
	s->len -= s->used;
	s->used = 0;
	while ((status = wire_decode(s->in, s->len, m, &s->used)) == WIRE_SHORT)
		s->len += load_tls_read_some(&s->tls, s->in + s->len, sizeof s->in - s->len);
	if (status != WIRE_OK)
		load_fail("the relay sent a malformed frame");
}

static _Noreturn void fail_unexpected(const struct wire_message *m)
{
	if (m->type == WIRE_FAIL)
		load_fail("FAIL: %s", reason_sentence(m->fail.reason));
	if (m->type == WIRE_BYE)
		load_fail("BYE: %s", reason_sentence(m->bye.reason));
	load_fail("unexpected %s", wire_type_name(m->type));
}

static void expect(struct speaker *s, enum wire_type type, struct wire_message *m)
{
	read_message(s, m);
	if (m->type != type)
		fail_unexpected(m);
}

/* ---- the link ---- */

static void sign_in(struct agent *a)
{
	uint8_t exported[TLS_EXPORT_BYTES], signature[WIRE_SIGNATURE_MAX];
	struct wire_message m = {
		.type = WIRE_HELLO,
		.hello.agent = wire_text(a->self.name),
		.hello.software = wire_text("bench"),
		.hello.signature.data = signature,
	};

	load_tls_dial(&a->link.tls, &a->relay, a->context);
	identity_certificate_der(a->identity, &m.hello.certificate.data, &m.hello.certificate.len);
	if (!tls_export(a->link.tls.tls, TLS_EXPORT_HELLO, exported) ||
	    !identity_sign(a->identity, exported, signature, sizeof signature,
			   &m.hello.signature.len))
		load_fail("cannot sign HELLO");
	send_message(&a->link.tls, &m);
	expect(&a->link, WIRE_WELCOME, &m);
	a->link_id = m.welcome.link;
	memcpy(a->leg_secret, m.welcome.leg_secret, sizeof a->leg_secret);
}

static void *watch_link(void *arg)
{
	struct agent *a = arg;
	struct wire_message m;

	for (;;) {
		read_message(&a->link, &m);
		if (m.type == WIRE_PING) {
			m.type = WIRE_PONG;
			send_message(&a->link.tls, &m);
		} else if (m.type == WIRE_OFFER) {
			if (write(a->offers[1], &m.offer.session, sizeof m.offer.session) !=
			    sizeof m.offer.session)
				load_fail("pipe: %s", strerror(errno));
		} else {
			fail_unexpected(&m);
		}
	}
}

/* ---- legs ---- */

static struct load_tls make_leg(struct agent *a)
{
	struct speaker s = {.len = 0};
	struct wire_message m = {.type = WIRE_LEG, .leg.link = a->link_id};
	uint8_t exported[TLS_EXPORT_BYTES];

	load_tls_dial(&s.tls, &a->relay, a->context);
	if (!tls_export(s.tls.tls, TLS_EXPORT_LEG, exported))
		load_fail("cannot prove a leg");
	identity_leg_proof(a->leg_secret, exported, m.leg.proof);
	send_message(&s.tls, &m);
	expect(&s, WIRE_READY, &m);
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

	send_message(&s.tls, ask);
	expect(&s, WIRE_GO, &m);
	return load_tls_take_socket(&s.tls);
}

/* ---- the two ends ---- */

static struct agent *agent_start(const struct load_options *o, const char *bundle)
{
	struct agent *a = calloc(1, sizeof *a);

	if (!a)
		load_fail("out of memory");
	if (!bundle)
		load_fail("--source and --sink are needed: bundles of 'postern pki issue'");
	a->relay = o->relay;
	a->identity = load_identity(bundle);
	a->context = identity_dial_context(a->identity);
	if (!a->context || !identity_self(a->identity, &a->self))
		load_fail("%s is not an agent's", bundle);
	if (pipe(a->offers) < 0)
		load_fail("pipe: %s", strerror(errno));
	sign_in(a);
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
	send_message(&a->link.tls, m);
	expect(&a->link, WIRE_PUBLISHED, m);
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
