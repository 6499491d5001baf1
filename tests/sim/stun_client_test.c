/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun_client_test: the STUN clients on real sockets: several servers asked at once, one surveyed,
 * and one over TCP; with servers that are deaf, garble, refuse, hang up and drip.
 *
 * links: stun/client/client.c stun/client/round.c stun/client/stream.c stun/client/survey.c
 * links: stun/discovery.c stun/findings.c stun/lifetime.c stun/message.c stun/integrity.c stun/server.c
 * links: stun/transaction.c core/addr.c core/ring.c core/timer.c tests/support/fake_stun.c
 * links: tests/support/ring_fixture_world.c tests/world/calls.c tests/world/kernel.c
 * links: tests/world/memory.c tests/world/packet.c tests/world/pipes.c tests/world/ring_sim.c
 * links: tests/world/store.c tests/world/stream.c tests/world/stream_connect.c tests/world/world.c
 * links: core/memory.c
 */
#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/container.h"
#include "stun/client/client.h"
#include "stun/client/round.h"
#include "stun/client/stream.h"
#include "stun/client/survey.h"
#include "tests/support/fake_stun.h"
#include "tests/support/loopback.h"

static unsigned finished;

static void wait_finished(struct ring_fixture *f)
{
	for (int i = 0; i < 1000 && finished == 0; i++)
		run_for(f, 10);
	assert_int_equal(finished, 1);
	run_for(f, 20);
	assert_int_equal(finished, 1); /* once */
}

/* ---- sockets and ids ---- */

static void a_socket_is_bound_where_it_is_asked_to(void **state)
{
	struct addr at = test_loopback(3, 0), is = {.len = sizeof(is.v6)}, none = {.len = 0};
	int fd = stun_client_socket(AF_INET, &at), again;

	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, &is.sa, &is.len), 0);
	assert_true(addr_same_host(&is, &at));
	assert_true(addr_port(&is) != 0);
	again = stun_client_socket(AF_INET, &is);
	assert_int_equal(again, -EADDRINUSE);
	close(fd);
	fd = stun_client_socket(AF_INET6, &none);
	assert_true(fd >= 0 || fd == -EAFNOSUPPORT);
	if (fd >= 0)
		close(fd);
}

static void ids_differ(void **state)
{
	uint8_t a[STUN_ID_BYTES] = {0}, b[STUN_ID_BYTES] = {0};

	stun_client_id(a);
	stun_client_id(b);
	assert_memory_not_equal(a, b, sizeof(a));
}

/* ---- a round ---- */

static void round_is_over(struct stun_round *r)
{
	finished++;
}

static struct stun_round *round_new(struct ring_fixture *f, struct fake_stun *servers, size_t count)
{
	struct stun_round *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	finished = 0;
	r->ring = f->r;
	r->source = test_loopback(3, 0);
	r->pace = (struct stun_pace){.rto_ms = 30, .sends = 3, .last_rto = 2};
	r->count = count;
	for (size_t i = 0; i < count; i++)
		r->entries[i].server = fake_stun_address(&servers[i]);
	r->done = round_is_over;
	return r;
}

/* Each server's answer stands with that server, and the deaf one's stays empty. */
static void a_round_asks_all_servers_at_once(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun servers[3];
	struct stun_round *r;

	for (unsigned i = 0; i < 3; i++)
		fake_stun_open(&servers[i], f, 10 + 2 * i);
	servers[0].garbles = true;
	assert_true(addr_parse("45.0.0.10:1234", &servers[0].seen));
	servers[1].deaf = true;
	assert_true(addr_parse("45.0.0.12:99", &servers[2].seen));
	r = round_new(f, servers, 3);
	assert_int_equal(stun_round_start(r), 0);
	wait_finished(f);
	assert_true(addr_equal(&r->entries[0].external, &servers[0].seen));
	assert_int_equal(r->entries[1].external.len, 0);
	assert_int_equal(servers[1].requests, 3); /* as often as the pace says */
	assert_true(addr_equal(&r->entries[2].external, &servers[2].seen));
	assert_int_equal(servers[2].requests, 1);
	free(r);
	for (unsigned i = 0; i < 3; i++)
		fake_stun_close(&servers[i], f);
}

/* Its socket is the server's alone; where no program is there, the host's word for it ends nothing.
 */
static void a_connected_round_asks_one_server(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun server;
	struct stun_round *r;

	fake_stun_open(&server, f, 10);
	assert_true(addr_parse("45.0.0.10:1234", &server.seen));
	r = round_new(f, &server, 1);
	r->connected = true;
	assert_int_equal(stun_round_start(r), 0);
	wait_finished(f);
	assert_true(addr_equal(&r->entries[0].external, &server.seen));
	assert_int_equal(server.requests, 1);
	fake_stun_close(&server, f);
	finished = 0;
	assert_int_equal(stun_round_start(r), 0);
	wait_finished(f);
	assert_int_equal(r->entries[0].external.len, 0);
	free(r);
}

/* With credentials only the server that has them is heard. */
static void an_answer_must_be_made_with_the_password(void **state)
{
	static const struct stun_bytes username = {(const uint8_t *)"00fedcba9876543200000001", 24};
	static const struct stun_bytes right = {(const uint8_t *)"right", 5},
				       wrong = {(const uint8_t *)"wrong", 5};
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun servers[3];
	struct stun_round *r;

	for (unsigned i = 0; i < 3; i++)
		fake_stun_open(&servers[i], f, 10 + 2 * i);
	servers[0].password = right;
	assert_true(addr_parse("45.0.0.10:1234", &servers[0].seen));
	servers[2].password = right;
	r = round_new(f, servers, 3);
	for (unsigned i = 0; i < 3; i++) {
		r->entries[i].username = username;
		r->entries[i].password = i == 2 ? wrong : right;
	}
	assert_int_equal(stun_round_start(r), 0);
	wait_finished(f);
	assert_true(addr_equal(&r->entries[0].external, &servers[0].seen));
	assert_int_equal(servers[0].requests, 1);
	/* One answers without credentials, one is asked with others: both as if nothing came. */
	for (unsigned i = 1; i < 3; i++) {
		assert_int_equal(r->entries[i].external.len, 0);
		assert_int_equal(servers[i].requests, 3);
	}
	free(r);
	for (unsigned i = 0; i < 3; i++)
		fake_stun_close(&servers[i], f);
}

static void a_refusal_is_no_address(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun server;
	struct stun_round *r;

	fake_stun_open(&server, f, 10);
	server.refuses = true;
	r = round_new(f, &server, 1);
	assert_int_equal(stun_round_start(r), 0);
	wait_finished(f);
	assert_int_equal(r->entries[0].external.len, 0);
	assert_int_equal(server.requests, 1);
	free(r);
	fake_stun_close(&server, f);
}

/* Ended early: done() comes, from the loop, with what is known. */
static void a_round_can_be_ended(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun servers[2];
	struct stun_round *r;

	fake_stun_open(&servers[0], f, 10);
	fake_stun_open(&servers[1], f, 12);
	servers[1].deaf = true;
	r = round_new(f, servers, 2);
	r->pace.rto_ms = 5000;
	assert_int_equal(stun_round_start(r), 0);
	run_for(f, 50);
	assert_int_equal(finished, 0);
	stun_round_end(r);
	stun_round_end(r);
	assert_int_equal(finished, 0);
	wait_finished(f);
	assert_true(r->entries[0].external.len > 0);
	free(r);
	fake_stun_close(&servers[0], f);
	fake_stun_close(&servers[1], f);
}

static void a_round_without_its_port_does_not_start(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun server;
	struct stun_round *r;

	fake_stun_open(&server, f, 10);
	r = round_new(f, &server, 1);
	r->source = fake_stun_address(&server); /* which is taken */
	assert_int_equal(stun_round_start(r), -EADDRINUSE);
	run_for(f, 20);
	assert_int_equal(finished, 0);
	free(r);
	fake_stun_close(&server, f);
}

/* ---- a survey ---- */

static void survey_is_over(struct stun_survey *s)
{
	finished++;
}

static struct stun_survey *survey_new(struct ring_fixture *f, const struct fake_stun *server)
{
	struct stun_survey *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	finished = 0;
	s->ring = f->r;
	s->discovery.server = fake_stun_address(server);
	s->discovery.pace = (struct stun_pace){.rto_ms = 30, .sends = 3, .last_rto = 2};
	s->discovery.nat = true;
	s->done = survey_is_over;
	return s;
}

/* On loopback there is no NAT, and nothing filters. */
static void a_survey_finds_what_there_is(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun server;
	struct stun_survey *s;

	fake_stun_open(&server, f, 10);
	s = survey_new(f, &server);
	assert_int_equal(stun_survey_start(s), 0);
	wait_finished(f);
	assert_true(s->discovery.found.answered);
	assert_true(s->discovery.found.behaviour);
	assert_true(addr_equal(&s->discovery.found.external, &s->discovery.local));
	assert_int_equal(s->discovery.found.mapping, STUN_MAPPING_NONE);
	assert_int_equal(s->discovery.found.filtering, STUN_FILTERING_ENDPOINT_INDEPENDENT);
	assert_int_equal(server.changes, 2);
	free(s);
	fake_stun_close(&server, f);
}

/* The socket that asks has the port that was asked for; the others have their own. */
static void a_survey_asks_from_its_source(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun server;
	struct stun_survey *s;
	struct addr own = test_loopback(3, 0);
	int fd = stun_client_socket(AF_INET, &own);

	assert_int_equal(getsockname(fd, &own.sa, &own.len), 0);
	close(fd);
	fake_stun_open(&server, f, 10);
	s = survey_new(f, &server);
	s->source = own;
	assert_int_equal(stun_survey_start(s), 0);
	wait_finished(f);
	assert_true(addr_equal(&s->discovery.found.external, &own));
	assert_int_equal(s->discovery.found.filtering, STUN_FILTERING_ENDPOINT_INDEPENDENT);
	s->source = fake_stun_address(&server); /* taken: it does not start */
	finished = 0;
	assert_int_equal(stun_survey_start(s), -EADDRINUSE);
	run_for(f, 20);
	assert_int_equal(finished, 0);
	free(s);
	fake_stun_close(&server, f);
}

static void a_survey_of_a_deaf_server_ends(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun server;
	struct stun_survey *s;

	fake_stun_open(&server, f, 10);
	server.deaf = true;
	s = survey_new(f, &server);
	assert_int_equal(stun_survey_start(s), 0);
	wait_finished(f);
	assert_false(s->discovery.found.answered);
	assert_non_null(s->discovery.found.first_why);
	assert_int_equal(server.requests, 3);
	s->discovery.pace.rto_ms = 5000;
	finished = 0;
	assert_int_equal(stun_survey_start(s), 0);
	run_for(f, 20);
	stun_survey_end(s);
	stun_survey_end(s);
	assert_int_equal(finished, 0); /* never from inside a call */
	wait_finished(f);
	free(s);
	fake_stun_close(&server, f);
}

/* ---- a stream ---- */

enum tcp_manners { ANSWER, DRIP, HANG_UP, NONSENSE, TOO_LONG, OTHER_ID, REFUSE, SILENT };

struct tcp_server {
	struct ring_op accept_op; /* first */
	struct ring *ring;
	int listener, fd;
	struct ring_op rx;
	uint8_t in[STUN_REQUEST_MAX];
	size_t have;
	enum tcp_manners manners;
	struct addr seen;
	struct timer drip;
	uint8_t out[STUN_REQUEST_MAX];
	size_t out_len, out_at;
};

static void stream_is_over(struct stun_stream *s)
{
	finished++;
}

/* A byte at a time. */
static void tcp_drips(struct timer *timer, uint64_t now_ms)
{
	struct tcp_server *t = container(timer, struct tcp_server, drip);

	assert_int_equal(send(t->fd, t->out + t->out_at, 1, MSG_NOSIGNAL), 1);
	if (++t->out_at < t->out_len)
		ring_timer_set(t->ring, timer, 1);
}

static void tcp_answer(struct tcp_server *t)
{
	uint8_t *out = t->out, id[STUN_ID_BYTES];
	struct stun_writer w;
	size_t len;

	memcpy(id, t->in + STUN_HEADER_BYTES - STUN_ID_BYTES, sizeof(id));
	id[3] ^= t->manners == OTHER_ID;
	stun_write_begin(&w, out, sizeof(t->out), t->manners == REFUSE ? STUN_ERROR : STUN_SUCCESS,
			 STUN_BINDING, id);
	if (t->manners == REFUSE)
		stun_write_error(&w, STUN_BAD_REQUEST);
	else
		stun_write_address(&w, STUN_XOR_MAPPED_ADDRESS, &t->seen);
	len = stun_write_end(&w);
	if (t->manners == NONSENSE)
		memcpy(out, "HTTP/1.1 400 Bad", 16);
	if (t->manners == TOO_LONG)
		out[2] = 0xff, out[3] = 0xfc;
	t->out_len = len;
	t->drip.fire = tcp_drips;
	if (t->manners == DRIP)
		ring_timer_set(t->ring, &t->drip, 0);
	else
		assert_int_equal(send(t->fd, out, len, MSG_NOSIGNAL), len);
}

static void tcp_received(struct ring_op *op, int res)
{
	struct tcp_server *t = container(op, struct tcp_server, rx);

	if (res <= 0)
		return;
	t->have += (size_t)res;
	if (t->manners == HANG_UP)
		ring_close_fd(t->ring, t->fd), t->fd = -1;
	else if (t->manners != SILENT && stun_message_length(t->in, t->have) == (int)t->have)
		tcp_answer(t);
	if (t->fd >= 0)
		ring_recv(t->ring, op, t->fd, t->in + t->have, sizeof(t->in) - t->have);
}

static void tcp_accepted(struct ring_op *op, int res)
{
	struct tcp_server *t = (struct tcp_server *)op;

	if (res < 0)
		return;
	t->fd = res;
	t->rx.done = tcp_received;
	ring_recv(t->ring, &t->rx, t->fd, t->in, sizeof(t->in));
}

static void tcp_open(struct tcp_server *t, struct ring_fixture *f)
{
	*t = (struct tcp_server){.ring = f->r, .fd = -1, .listener = listen_loopback()};
	assert_true(addr_parse("45.0.0.10:1234", &t->seen));
	t->accept_op.done = tcp_accepted;
	ring_accept(f->r, &t->accept_op, t->listener);
}

static void tcp_close(struct tcp_server *t, struct ring_fixture *f)
{
	ring_cancel(f->r, &t->accept_op);
	ring_cancel(f->r, &t->rx);
	while (ring_op_busy(&t->accept_op) || ring_op_busy(&t->rx))
		run_for(f, 1);
	ring_close_fd(f->r, t->listener);
	if (t->fd >= 0)
		ring_close_fd(f->r, t->fd);
}

static void ask_tcp(struct ring_fixture *f, struct tcp_server *t, struct stun_stream *s)
{
	finished = 0;
	*s = (struct stun_stream){.ring = f->r, .timeout_ms = 300, .done = stream_is_over};
	s->server.len = sizeof(s->server.v6);
	assert_int_equal(getsockname(t->listener, &s->server.sa, &s->server.len), 0);
	assert_int_equal(stun_stream_start(s), 0);
	wait_finished(f);
}

static void a_stream_gets_its_answer(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct tcp_server t;
	struct stun_stream s;

	for (int i = 0; i < 2; i++) {
		tcp_open(&t, f);
		t.manners = i ? DRIP : ANSWER;
		ask_tcp(f, &t, &s);
		assert_true(addr_equal(&s.external, &t.seen));
		assert_string_equal(s.why, "");
		tcp_close(&t, f);
	}
}

static void a_stream_says_why_not(void **state)
{
	static const struct {
		enum tcp_manners manners;
		const char *why;
	} cases[] = {{HANG_UP, "it hung up"},	   {NONSENSE, "no STUN server"},
		     {TOO_LONG, "no STUN server"}, {OTHER_ID, "not to what was asked"},
		     {REFUSE, "with an error"},	   {SILENT, "no answer"}};
	struct ring_fixture *f = ring_fixture(state);
	struct tcp_server t;
	struct stun_stream s;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tcp_open(&t, f);
		t.manners = cases[i].manners;
		ask_tcp(f, &t, &s);
		assert_int_equal(s.external.len, 0);
		if (!strstr(s.why, cases[i].why))
			fail_msg("%s instead of %s", s.why, cases[i].why);
		tcp_close(&t, f);
	}
	/* Nothing listens there. */
	tcp_open(&t, f);
	struct addr at = {.len = sizeof(at.v6)};
	assert_int_equal(getsockname(t.listener, &at.sa, &at.len), 0);
	tcp_close(&t, f);
	finished = 0;
	s = (struct stun_stream){
		.ring = f->r, .server = at, .timeout_ms = 300, .done = stream_is_over};
	int error = stun_stream_start(&s);
	if (error == 0) {
		wait_finished(f);
		assert_string_equal(s.why, strerror(ECONNREFUSED));
	} else {
		assert_int_equal(error, -ECONNREFUSED);
	}
}

static void a_stream_can_be_ended(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct tcp_server t;
	struct stun_stream s;

	tcp_open(&t, f);
	t.manners = SILENT;
	finished = 0;
	s = (struct stun_stream){.ring = f->r, .done = stream_is_over};
	s.server.len = sizeof(s.server.v6);
	assert_int_equal(getsockname(t.listener, &s.server.sa, &s.server.len), 0);
	assert_int_equal(stun_stream_start(&s), 0);
	run_for(f, 20);
	stun_stream_end(&s, "interrupted");
	stun_stream_end(&s, "again");
	assert_int_equal(finished, 0);
	wait_finished(f);
	assert_string_equal(s.why, "interrupted");
	tcp_close(&t, f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(a_socket_is_bound_where_it_is_asked_to),
		cmocka_unit_test(ids_differ),
		RING_TEST(a_round_asks_all_servers_at_once),
		RING_TEST(a_connected_round_asks_one_server),
		RING_TEST(an_answer_must_be_made_with_the_password),
		RING_TEST(a_refusal_is_no_address),
		RING_TEST(a_round_can_be_ended),
		RING_TEST(a_round_without_its_port_does_not_start),
		RING_TEST(a_survey_finds_what_there_is),
		RING_TEST(a_survey_asks_from_its_source),
		RING_TEST(a_survey_of_a_deaf_server_ends),
		RING_TEST(a_stream_gets_its_answer),
		RING_TEST(a_stream_says_why_not),
		RING_TEST(a_stream_can_be_ended),
	};

	return RING_TESTS_RUN(tests);
}
