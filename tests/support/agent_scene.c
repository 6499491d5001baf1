/* SPDX-License-Identifier: Apache-2.0 */
/* agent_scene: an agent's sessions between a local connection and a far end played by hand. */
#include "tests/support/agent_scene.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/ring_internal.h"

struct certs_ca agent_scene_ca, agent_scene_other_ca;

static struct agent_scene *now_playing;
static struct leg_call *const a_call = (struct leg_call *)&now_playing;
static struct connector *const a_connector = (struct connector *)&now_playing;

/* ---- what lies around sessions ---- */

void agent_worker_drop(struct agent_worker *w)
{
	assert_true(w->held > 0);
	w->held--;
}

static struct leg_call *want_leg(enum wire_type type, leg_call_done_fn *done, void *owner)
{
	assert_false(now_playing->leg.there);
	now_playing->leg =
		(struct leg_wanted){.there = true, .done = done, .owner = owner, .type = type};
	return a_call;
}

struct leg_call *leg_call_open(struct agent_link *l, const char *to, const char *service,
			       leg_call_done_fn *done, void *owner)
{
	struct leg_call *c = want_leg(WIRE_OPEN, done, owner);

	snprintf(now_playing->leg.to, sizeof(now_playing->leg.to), "%s", to);
	return c;
}

struct leg_call *leg_call_accept(struct agent_link *l, uint64_t session, leg_call_done_fn *done,
				 void *owner)
{
	struct leg_call *c = want_leg(WIRE_ACCEPT, done, owner);

	now_playing->leg.session = session;
	return c;
}

void leg_call_cancel(struct leg_call *c)
{
	assert_true(now_playing->leg.there);
	now_playing->leg.there = false;
	now_playing->cancelled++;
}

void leg_call_renew(struct leg_call *c)
{
	assert_true(now_playing->leg.there);
	now_playing->renewed++;
}

void agent_link_ask(struct agent_link *l)
{
	now_playing->asked++;
	now_playing->asked_last = l;
}

struct agent_link *agent_links_next(struct agent_links *set, size_t *at)
{
	return *at < set->count ? &now_playing->link[(*at)++] : NULL;
}

bool agent_config_may_reach(const struct agent_config *c, const struct addr *to)
{
	return true;
}

void connector_limit(struct connector *c, bool (*may_reach)(void *owner, const struct addr *to))
{
}

const struct revocations *agent_links_revoked(const struct agent_links *set, const char *relay)
{
	for (size_t i = 0; i < 2; i++)
		if (strcmp(relay, now_playing->link[i].label) == 0)
			return &now_playing->revoked[i];
	return NULL;
}

void agent_scene_revoke(struct agent_scene *s, unsigned link, const char *name)
{
	struct revocation r = {.kind = WIRE_REVOKED_NAME};

	snprintf(r.value, sizeof(r.value), "%s", name);
	assert_true(revocations_add(&s->revoked[link], &r));
	revocations_finish(&s->revoked[link]);
}

struct agent_link *agent_links_live(const struct agent_links *set, const char *label)
{
	for (size_t i = 0; i < 2; i++)
		if (strcmp(label, now_playing->link[i].label) == 0)
			return &now_playing->link[i];
	return NULL;
}

enum reason agent_links_sent_away(const struct agent_links *set, const char *label,
				  const char **why)
{
	*why = "sent away";
	return strcmp(label, now_playing->link[0].label) == 0 ? now_playing->sent_away : REASON_OK;
}

bool agent_link_prove(struct agent_link *l, uint64_t session, const uint8_t *signature, size_t len)
{
	struct agent_scene *s = now_playing;

	assert_true(len <= sizeof(s->proof));
	s->proofs++;
	s->proved_session = session;
	memcpy(s->proof, signature, len);
	s->proof_len = len;
	return true;
}

bool agent_link_ends(struct agent_link *l, uint64_t session, enum ending_cause cause)
{
	struct agent_scene *s = now_playing;

	s->ends += s->hears_ends;
	s->ends_session = session;
	s->ends_cause = cause;
	return s->hears_ends;
}

bool agent_links_refused(const struct agent_links *set, enum reason *why)
{
	return false;
}

void agent_links_describe(const struct agent_links *set, char *out, size_t room)
{
	snprintf(out, room, "no link");
}

void agent_link_refuse(struct agent_link *l, uint64_t session, enum reason reason, const char *text)
{
	now_playing->refuses++;
	now_playing->refuse_reason = reason;
	snprintf(now_playing->refuse_text, sizeof(now_playing->refuse_text), "%s", text);
}

struct connector *connector_start(struct agent_worker *w, const struct endpoint *to,
				  uint64_t timeout_ms, connector_done_fn *done, void *owner)
{
	assert_false(now_playing->target_wanted);
	now_playing->target_wanted = true;
	now_playing->target_done = done;
	now_playing->target_owner = owner;
	return a_connector;
}

void connector_cancel(struct connector *c)
{
	assert_true(now_playing->target_wanted);
	now_playing->target_wanted = false;
}

void endpoint_text(const struct endpoint *e, char out[ENDPOINT_TEXT_BYTES])
{
	snprintf(out, ENDPOINT_TEXT_BYTES, "%s:%u", e->host, e->port);
}

/* ---- what sessions tell ---- */

/* As programs have theirs: small messages leave at once. */
static void pair_at_once(int *ours, int *theirs)
{
	const int on = 1;

	tcp_pair(ours, theirs);
	setsockopt(*ours, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(*theirs, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void heard_opened(const struct agent_session *s)
{
	now_playing->opened++;
}

static void heard_closed(const struct agent_session *s)
{
	now_playing->closed++;
	ending_code(s->ending, now_playing->ending);
	snprintf(now_playing->text, sizeof(now_playing->text), "%s", s->stream.why);
}

static void heard_refused(const struct agent_sessions *all, const struct agent_refusal *r)
{
	struct agent_scene *s = now_playing;

	s->refused++;
	s->reason = r->reason;
	snprintf(s->role, sizeof(s->role), "%s", r->role);
	ending_code(r->ending, s->ending);
	snprintf(s->text, sizeof(s->text), "%s", r->text);
}

static void own_candidates(const struct agent_sessions *all, struct candidates *out)
{
	out->count = 1;
	strcpy(out->items[0], "tcp:203.0.113.7:443");
}

static int open_console(struct agent_sessions *all, struct credential *console, const char *relay)
{
	struct agent_scene *s = now_playing;

	s->consoles++;
	snprintf(s->console, sizeof(s->console), "%s", console->peer.name);
	pair_at_once(&s->local, &s->theirs);
	return s->local;
}

static const struct agent_sessions_events events = {
	.opened = heard_opened,
	.closed = heard_closed,
	.refused = heard_refused,
	.candidates = own_candidates,
	.console = open_console,
};

static void request_ended(void *owner, enum reason reason, const char *why)
{
	struct agent_scene *s = owner;

	s->ended++;
	s->end_reason = reason;
	snprintf(s->end_why, sizeof(s->end_why), "%s", why);
}

/* ---- the scene ---- */

int agent_scene_make_ca(void **state)
{
	agent_scene_ca = certs_make_ca("Example Ltd");
	agent_scene_other_ca = certs_make_ca("Others Ltd");
	return 0;
}

int agent_scene_free_ca(void **state)
{
	certs_free_ca(&agent_scene_ca);
	certs_free_ca(&agent_scene_other_ca);
	return 0;
}

struct agent_scene *agent_scene_begin(void **state)
{
	struct agent_scene *s = calloc(1, sizeof(*s));

	now_playing = s;
	s->f = ring_fixture(state);
	s->worker.ring = s->f->r;
	assert_int_equal(buffers_init(&s->worker.large, AGENT_BLOCK_BYTES, 4), 0);
	assert_int_equal(buffers_init(&s->worker.small, AGENT_SMALL_BYTES, 8), 0);
	s->published = (struct agent_publish){.service = (char *)"web",
					      .target = {.host = "127.0.0.1", .port = 80},
					      .public_access = true};
	s->config = (struct agent_config){.name = (char *)"home",
					  .publish = {.items = &s->published, .count = 1},
					  .max_sessions = 4,
					  .open_ms = SCENE_OPEN};
	s->setup.config = &s->config;
	s->setup.self.identity =
		certs_identity(&agent_scene_ca, &agent_scene_ca, IDENTITY_AGENT, "home", -DAY, DAY);
	s->setup.self.inner_client = identity_inner_context(s->setup.self.identity, false);
	s->setup.self.inner_server = identity_inner_context(s->setup.self.identity, true);
	s->links.count = 2;
	for (unsigned i = 0; i < 2; i++) {
		s->link[i].id = 100 + i;
		snprintf(s->link[i].label, sizeof(s->link[i].label), "relay-%u:443", i);
	}
	s->sessions = (struct agent_sessions){
		.worker = &s->worker, .setup = &s->setup, .links = &s->links, .events = &events};
	s->far.fd = s->leg_fd = s->local = s->theirs = -1;
	return s;
}

void agent_scene_end(struct agent_scene *s)
{
	for (int i = 0; i < 500 && s->sessions.count > 0; i++)
		agent_scene_run(s, 2);
	assert_int_equal(s->sessions.count, 0);
	assert_int_equal(s->sessions.consoles, 0);
	assert_int_equal(s->worker.held, 0);
	assert_int_equal(s->link[0].users + s->link[1].users, 0);
	assert_false(s->target_wanted);
	assert_int_equal(s->worker.large.made, s->worker.large.free_count);
	assert_int_equal(s->worker.small.made, s->worker.small.free_count);
	assert_int_equal(s->worker.ring->pool_free, s->worker.ring->pool_count);
	assert_int_equal(timers_next(&s->worker.ring->timers), TIMERS_NEVER);
	buffers_free(&s->worker.large);
	buffers_free(&s->worker.small);
	SSL_CTX_free(s->setup.self.inner_client);
	SSL_CTX_free(s->setup.self.inner_server);
	identity_free(s->setup.self.identity);
	revocations_free(&s->revoked[0]);
	revocations_free(&s->revoked[1]);
	far_close(s, false);
	if (s->theirs >= 0)
		close(s->theirs);
	inner_free(&s->far.inner);
	SSL_CTX_free(s->far.context);
	identity_free(s->far.identity);
	free(s);
}

/* One look at the leg's other end. */
static void far_work(struct agent_scene *s)
{
	struct far_end *far = &s->far;
	uint8_t bytes[16384];
	ssize_t n;

	if (far->fd < 0)
		return;
	while (!far->mute && !far->eof && !far->reset) {
		n = recv(far->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		far->eof = n == 0;
		far->reset = n < 0 && errno == ECONNRESET;
		if (n <= 0)
			break;
		if (far->inner.tls && !inner_feed(&far->inner, bytes, (size_t)n))
			break;
		if (!far->inner.tls && far->got_len + (size_t)n <= sizeof(far->got)) {
			memcpy(far->got + far->got_len, bytes, (size_t)n);
			far->got_len += (size_t)n;
		}
	}
	if (!far->inner.tls)
		return;
	if (!far->shaken)
		far->shaken = tls_handshake(far->inner.tls) == TLS_OK;
	while (far->shaken && far->got_len < sizeof(far->got)) {
		size_t got = 0;

		if (tls_read(far->inner.tls, far->got + far->got_len,
			     sizeof(far->got) - far->got_len, &got) != TLS_OK)
			break;
		far->got_len += got;
	}
	while ((n = (ssize_t)inner_take(&far->inner, bytes, sizeof(bytes))) > 0)
		if (send(far->fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
			break; /* reset: there is room for all that a test sends */
}

void agent_scene_run(struct agent_scene *s, uint64_t ms)
{
	for (uint64_t i = 0; i <= ms; i += 2) {
		far_work(s);
		run_for(s->f, 2);
	}
	far_work(s);
}

void agent_scene_pass(struct agent_scene *s, uint64_t ms)
{
	/* Twice: what a deadline sets for at once is then due, too. */
	for (unsigned i = 0; i < 2; i++) {
		ring_read_clock(s->f->r);
		timers_run(&s->f->r->timers, s->f->r->now_ms + ms + i);
		ring_read_clock(s->f->r);
		agent_scene_run(s, 4);
	}
}

void agent_scene_ask(struct agent_scene *s, const char *to, const char *service)
{
	const struct request_style style = {.ended = request_ended, .owner = s};

	pair_at_once(&s->local, &s->theirs);
	request_start(&s->sessions, s->local, to, service, "127.0.0.1:40000", &style);
}

struct wire_message agent_scene_offer_of(enum wire_offer_kind kind, const char *service)
{
	return (struct wire_message){
		.type = WIRE_OFFER,
		.offer = {.session = 77,
			  .kind = kind,
			  .from = wire_text(kind == WIRE_OFFER_PUBLIC ? "" : "asker"),
			  .service = wire_text(service),
			  .source = wire_text("198.51.99.7:40000"),
			  .local = wire_text("192.0.2.1:443")},
	};
}

void agent_scene_offer(struct agent_scene *s, enum wire_offer_kind kind, const char *service)
{
	const struct wire_message m = agent_scene_offer_of(kind, service);

	publish_offer(&s->sessions, &s->link[0], &m);
}

void agent_scene_offer_outer(struct agent_scene *s, enum wire_offer_kind kind, const char *service)
{
	struct wire_message m = agent_scene_offer_of(kind, service);

	assert_true(wire_extension_add(&m, WIRE_EXTENSION_OUTER_TLS, wire_text("")));
	publish_offer(&s->sessions, &s->link[0], &m);
}

void agent_scene_give_leg(struct agent_scene *s, const struct certs_ca *ca, enum identity_role role,
			  const char *name, bool far_is_server)
{
	struct leg_outcome o = {
		.reason = REASON_OK, .text = "", .session = 77, .secret = AGENT_SCENE_SECRET};
	const int room = 1 << 20;

	assert_true(s->leg.there);
	pair_at_once(&o.fd, &s->far.fd);
	setsockopt(s->far.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	s->leg_fd = o.fd;
	s->leg.there = false;
	if (ca) {
		s->far.identity = certs_identity(ca, ca, role, name, -DAY, DAY);
		/* The far end trusts whom it is told to: it is the agent that is tried. */
		s->far.context = identity_inner_context(s->far.identity, far_is_server);
		if (ca != &agent_scene_ca)
			SSL_CTX_set_custom_verify(s->far.context, SSL_VERIFY_NONE, NULL);
		assert_true(inner_init(&s->far.inner, s->far.context, far_is_server, o.secret,
				       time(NULL)));
		if (!far_is_server)
			(void)!tls_handshake(s->far.inner.tls);
	}
	s->leg.done(s->leg.owner, &o);
}

void agent_scene_give_outer_leg(struct agent_scene *s)
{
	struct leg_outcome o = {.reason = REASON_OK, .text = "", .session = 77};
	SSL_CTX *dial = identity_dial_context(s->setup.self.identity);
	struct tls *relay;

	assert_true(s->leg.there);
	pair_at_once(&o.fd, &s->far.fd);
	s->leg_fd = o.fd;
	s->leg.there = false;
	s->far.identity = certs_identity(&agent_scene_ca, &agent_scene_ca, IDENTITY_RELAY,
					 "relay.example.org", -DAY, DAY);
	s->far.context = identity_front_context(s->far.identity);
	relay = tls_new(s->far.context, true);
	o.tls = tls_new(dial, false);
	SSL_CTX_free(dial);
	assert_true(relay && o.tls && certs_handshake(o.tls, relay, 4096));
	inner_init_outer(&s->far.inner, relay);
	s->far.shaken = true;
	s->leg.done(s->leg.owner, &o);
}

void agent_scene_fail_leg(struct agent_scene *s, enum reason reason, const char *text)
{
	struct leg_outcome o = {.reason = reason, .text = text, .fd = -1};

	assert_true(s->leg.there);
	s->leg.there = false;
	s->leg.done(s->leg.owner, &o);
}

void agent_scene_connect_target(struct agent_scene *s, bool connects)
{
	struct connector_result r = {.fd = -1, .error = "Connection refused"};

	assert_true(s->target_wanted);
	s->target_wanted = false;
	if (connects) {
		pair_at_once(&s->local, &s->theirs);
		r = (struct connector_result){.fd = s->local};
	}
	s->target_done(s->target_owner, &r);
}

/* ---- the far end ---- */

void far_shake(struct agent_scene *s)
{
	for (int i = 0; i < 500 && !s->far.shaken && !s->far.eof && !s->far.reset; i++)
		agent_scene_run(s, 2);
	agent_scene_run(s, 10);
}

void far_write(struct agent_scene *s, const void *bytes, size_t len)
{
	assert_int_equal(tls_write(s->far.inner.tls, bytes, len), TLS_OK);
	far_work(s);
}

void far_say(struct agent_scene *s, const struct wire_message *m)
{
	uint8_t frame[STREAM_MESSAGE_MAX];
	size_t len = wire_encode(m, frame, sizeof(frame));

	assert_true(len > 0);
	far_write(s, frame, len);
	agent_scene_run(s, 10);
}

bool far_hear(struct agent_scene *s, struct wire_message *m)
{
	size_t used;

	for (int i = 0; i < 100; i++) {
		if (wire_decode(s->far.got, s->far.got_len, m, &used) == WIRE_OK) {
			/* What follows stays; the message's texts are where they were. */
			s->far.got_len -= used;
			static uint8_t frame[STREAM_MESSAGE_MAX];

			memcpy(frame, s->far.got, used);
			memmove(s->far.got, s->far.got + used, s->far.got_len);
			return wire_decode(frame, used, m, &used) == WIRE_OK;
		}
		agent_scene_run(s, 2);
	}
	return false;
}

void far_close(struct agent_scene *s, bool reset)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	if (s->far.fd < 0)
		return;
	if (reset)
		setsockopt(s->far.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(s->far.fd);
	s->far.fd = -1;
}

void far_result(struct agent_scene *s, enum reason reason, const char *text)
{
	const struct wire_message m = {
		.type = WIRE_RESULT,
		.result = {.reason = (uint16_t)reason, .text = wire_text(text)}};

	far_say(s, &m);
}

void far_request(struct agent_scene *s, const char *service)
{
	const struct wire_message m = {
		.type = WIRE_REQUEST,
		.request = {.service = wire_text(service), .source = wire_text("10.0.0.5:51000")}};

	far_say(s, &m);
}
