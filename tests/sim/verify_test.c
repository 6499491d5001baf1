/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_test: what counts as proof that something from outside comes in, and what does not.
 *
 * The kernel's list of connections is one of the test's own; the STUN server is a socket of it.
 *
 * links: portmap/verify.c portmap/visitors.c portmap/network.c portmap/rtnetlink.c
 * links: portmap/netlink.c portmap/engine/[a-z]*.c portmap/gateway/driver.c stun/client/client.c
 * links: stun/message.c stun/transaction.c core/ring.c core/ring_uring.c core/ring_epoll.c
 * links: core/timer.c core/addr.c core/log.c tests/support/ring_fixture.c
 */
#include "tests/support/ring_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "portmap/outside.h"
#include "portmap/sockdiag.h"
#include "portmap/verify.h"
#include "portmap/visitors.h"
#include "stun/message.h"

#define OWN	 "127.0.0.1"
#define EXTERNAL "45.0.0.10"
#define VISITOR	 "198.51.99.7:40000"

/* ---- in place of the kernel and of natd ---- */

struct connection {
	struct addr local, peer;
};

static struct connection connections[8];
static size_t connection_count;
static bool listening;
static uint64_t clock_ms;

int sockdiag_open(void)
{
	return dup(0);
}

int sockdiag_any(int fd, uint16_t port, bool only_listen, sockdiag_test *test, void *context)
{
	if (only_listen)
		return listening;
	for (size_t i = 0; i < connection_count; i++)
		if (test(context, &connections[i].local, &connections[i].peer))
			return 1;
	return 0;
}

uint64_t natd_now_ms(void)
{
	return clock_ms;
}

/* ---- one mapping ---- */

struct scene {
	struct portmap_owner owner; /* first */
	struct ring_fixture *f;
	struct natd n;
	struct outside outside;
};

static uint64_t owner_now(struct portmap_owner *o)
{
	return clock_ms;
}

static void owner_wake(struct portmap_owner *o, uint64_t due_ms)
{
}

static void owner_mapping(struct portmap_owner *o, const struct portmap_mapping *m,
			  enum mapping_state old)
{
}

static struct addr place(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

static struct portmap_mapping *mapping(struct scene *s)
{
	return s->n.engine.mappings;
}

static void mapped_anew(struct scene *s)
{
	mapping(s)->state = MAPPING_MAPPED;
	mapping(s)->since_ms = ++clock_ms;
	mapping(s)->proof[0] = '\0';
}

/* TCP or UDP 4430, mapped to the same port of EXTERNAL. */
static struct scene *begin(void **state, enum portmap_transport transport)
{
	struct ring_fixture *f = ring_fixture(state);
	struct scene *s = calloc(1, sizeof(*s));
	const struct portmap_want want = {
		.transport = transport, .internal = 4430, .external = 4430, .lifetime_s = 7200};

	clock_ms = 1000000;
	listening = true;
	connection_count = 0;
	s->f = f;
	s->owner = (struct portmap_owner){
		.now_ms = owner_now, .wake_at = owner_wake, .mapping_changed = owner_mapping};
	s->n.ring = f->r;
	s->n.outside = &s->outside;
	s->n.engine.owner = &s->owner;
	s->n.network.places[PORTMAP_IPV4] =
		(struct portmap_place){.source = place(OWN ":0"), .prefix = 24};
	s->n.network.places[PORTMAP_IPV6] =
		(struct portmap_place){.source = place("[2001:db8::2]:0"), .prefix = 64};
	portmap_engine_init(&s->n.engine);
	assert_int_equal(portmap_engine_want(&s->n.engine, &want, 1), 0);
	mapping(s)->external = place(EXTERNAL ":4430");
	mapped_anew(s);
	s->n.verify = verify_new(&s->n);
	assert_non_null(s->n.verify);
	return s;
}

static void end(struct scene *s)
{
	s->n.stopping = true;
	while (!verify_stop(s->n.verify))
		run_for(s->f, 1);
	verify_free(s->n.verify);
	portmap_engine_free(&s->n.engine);
	free(s);
}

static void connect_from(const char *local, const char *peer)
{
	connections[connection_count++] = (struct connection){place(local), place(peer)};
}

static void look(struct scene *s)
{
	verify_wanted(s->n.verify);
	run_for(s->f, 10);
}

static void assert_unproven(struct scene *s, const char *why)
{
	assert_int_equal(mapping(s)->state, MAPPING_MAPPED);
	if (!strstr(mapping(s)->proof, why))
		fail_msg("\"%s\" does not say \"%s\"", mapping(s)->proof, why);
}

/* ---- TCP ---- */

static void a_connection_from_outside_proves_it(void **state)
{
	struct scene *s = begin(state, PORTMAP_TCP);

	look(s);
	assert_unproven(s, "nothing has come in from outside yet");
	connect_from(OWN ":4430", VISITOR);
	look(s);
	assert_int_equal(mapping(s)->state, MAPPING_VERIFIED);
	assert_string_equal(mapping(s)->proof, "a connection from " VISITOR " came in");
	end(s);
}

static void without_a_listener_nothing_can(void **state)
{
	struct scene *s = begin(state, PORTMAP_TCP);

	listening = false;
	look(s);
	connect_from(OWN ":4430", VISITOR);
	look(s);
	assert_unproven(s, "no program listens on the port");
	end(s);
}

/* Whoever did not need the mapping proves nothing about it. */
static void a_connection_that_did_not_need_it_proves_nothing(void **state)
{
	static const char *const peers[][2] = {
		{OWN ":4430", EXTERNAL ":40000"},   /* a hairpin: our own external address */
		{OWN ":4430", "127.0.0.9:40000"},   /* the LAN */
		{OWN ":4430", "192.168.1.7:40000"}, /* private, from another LAN */
		{OWN ":4430", "100.64.0.9:40000"},  /* of the provider's own network */
		{"127.0.0.3:4430", VISITOR},	    /* to another address of this host */
	};

	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
		struct scene *s = begin(state, PORTMAP_TCP);

		look(s);
		connect_from(peers[i][0], peers[i][1]);
		look(s);
		assert_unproven(s, "nothing has come in from outside yet");
		end(s);
	}
}

/* With public addresses on the LAN, as where a provider hands out a subnet. */
static void a_neighbour_with_a_public_address_proves_nothing(void **state)
{
	struct scene *s = begin(state, PORTMAP_TCP);

	s->n.network.places[PORTMAP_IPV4].source = place("198.51.99.2:0");
	look(s);
	connect_from("198.51.99.2:4430", VISITOR);
	look(s);
	assert_unproven(s, "nothing has come in from outside yet");
	s->n.network.places[PORTMAP_IPV4].prefix = 30;
	look(s);
	assert_int_equal(mapping(s)->state, MAPPING_VERIFIED);
	end(s);
}

static void who_was_there_before_proves_nothing(void **state)
{
	struct scene *s = begin(state, PORTMAP_TCP);

	connect_from(OWN ":4430", VISITOR);
	look(s);
	look(s);
	assert_unproven(s, "nothing has come in from outside yet");
	connect_from(OWN ":4430", "198.51.99.7:40001");
	look(s);
	assert_int_equal(mapping(s)->state, MAPPING_VERIFIED);
	/* Mapped anew, it is another mapping: both were there before. */
	mapped_anew(s);
	look(s);
	assert_unproven(s, "nothing has come in from outside yet");
	connect_from(OWN ":4430", "198.51.99.7:40002");
	look(s);
	assert_int_equal(mapping(s)->state, MAPPING_VERIFIED);
	end(s);
}

static void more_visitors_than_can_be_noted_prove_nothing(void **state)
{
	struct visitors v = {0};
	struct portmap_mapping m = {.id = 1, .since_ms = 5};
	struct addr peer = place(VISITOR);
	struct visitors_of *of;
	bool fresh;

	of = visitors_find(&v, &m, &fresh);
	assert_true(fresh);
	for (unsigned i = 0; i < VISITORS_MAX; i++) {
		addr_set_port(&peer, (uint16_t)(1000 + i));
		visitors_add(of, &peer);
	}
	assert_true(visitors_has(of, &peer));
	addr_set_port(&peer, 999);
	assert_false(visitors_has(of, &peer));
	visitors_add(of, &peer);
	addr_set_port(&peer, 998);
	assert_true(visitors_has(of, &peer)); /* for all that is known */
	assert_ptr_equal(visitors_find(&v, &m, &fresh), of);
	assert_false(fresh);
	m.since_ms = 6;
	of = visitors_find(&v, &m, &fresh);
	assert_true(fresh);
	assert_false(visitors_has(of, &peer));
	visitors_free(&v);
}

/* ---- UDP ---- */

struct stun_peer {
	int fd, other_fd;
	struct addr at, other;
};

static int udp_socket(struct addr *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, &at->sa, at->len), 0);
	assert_int_equal(getsockname(fd, &at->sa, &at->len), 0);
	return fd;
}

static struct stun_peer stun_begin(struct scene *s)
{
	struct stun_peer p = {.at = place("127.0.0.1:0"), .other = place("127.0.0.2:0")};

	p.fd = udp_socket(&p.at);
	p.other_fd = udp_socket(&p.other);
	s->outside.count = 1;
	s->outside.names[0].address[PORTMAP_IPV4] = p.at;
	return p;
}

/* Answers the next request: seen is what the server sees, from where it sends. */
static void stun_answer(struct scene *s, struct stun_peer *p, const char *seen, bool from_other)
{
	uint8_t in[512], out[512];
	struct addr from = {.len = sizeof(from.v6)}, said = place(seen);
	struct stun_message m;
	struct stun_writer w;
	ssize_t n = -1;
	size_t len;

	for (int i = 0; i < 500 && n < 0; i++) {
		n = recvfrom(p->fd, in, sizeof(in), MSG_DONTWAIT, &from.sa, &from.len);
		if (n < 0)
			run_for(s->f, 2);
	}
	assert_true(n > 0);
	assert_int_equal(stun_decode(in, (size_t)n, &m), STUN_OK);
	assert_int_equal(addr_port(&from), 4430);
	stun_write_begin(&w, out, sizeof(out), STUN_SUCCESS, STUN_BINDING, m.header.id);
	stun_write_address(&w, STUN_XOR_MAPPED_ADDRESS, &said);
	stun_write_address(&w, STUN_OTHER_ADDRESS, &p->other);
	len = stun_write_end(&w);
	assert_int_equal(sendto(from_other ? p->other_fd : p->fd, out, len, 0, &from.sa, from.len),
			 (ssize_t)len);
	run_for(s->f, 20);
}

static void stun_end(struct stun_peer *p)
{
	close(p->fd);
	close(p->other_fd);
}

static void a_datagram_from_an_address_never_written_to_proves_it(void **state)
{
	struct scene *s = begin(state, PORTMAP_UDP);
	struct stun_peer p = stun_begin(s);

	look(s);
	stun_answer(s, &p, EXTERNAL ":4430", false);
	assert_int_equal(mapping(s)->state, MAPPING_MAPPED);
	stun_answer(s, &p, EXTERNAL ":4430", true);
	assert_int_equal(mapping(s)->state, MAPPING_VERIFIED);
	/* Mapped anew, it is proven anew. */
	clock_ms += 3600000;
	mapped_anew(s);
	look(s);
	stun_answer(s, &p, EXTERNAL ":4430", false);
	stun_answer(s, &p, EXTERNAL ":4430", true);
	assert_int_equal(mapping(s)->state, MAPPING_VERIFIED);
	stun_end(&p);
	end(s);
}

static void another_port_outside_is_another_mapping(void **state)
{
	static const char *const seen[] = {EXTERNAL ":4431", "45.0.0.11:4430"};

	for (size_t i = 0; i < 2; i++) {
		struct scene *s = begin(state, PORTMAP_UDP);
		struct stun_peer p = stun_begin(s);

		look(s);
		stun_answer(s, &p, seen[i], false);
		assert_unproven(s, "outside sees the port as");
		stun_end(&p);
		end(s);
	}
}

/* The second answer has to come from the second address. */
static void the_address_that_was_written_to_proves_nothing(void **state)
{
	struct scene *s = begin(state, PORTMAP_UDP);
	struct stun_peer p = stun_begin(s);

	look(s);
	stun_answer(s, &p, EXTERNAL ":4430", false);
	stun_answer(s, &p, EXTERNAL ":4430", false);
	assert_int_equal(mapping(s)->state, MAPPING_MAPPED);
	stun_end(&p);
	end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(a_connection_from_outside_proves_it),
		RING_TEST(without_a_listener_nothing_can),
		RING_TEST(a_connection_that_did_not_need_it_proves_nothing),
		RING_TEST(a_neighbour_with_a_public_address_proves_nothing),
		RING_TEST(who_was_there_before_proves_nothing),
		cmocka_unit_test(more_visitors_than_can_be_noted_prove_nothing),
		RING_TEST(a_datagram_from_an_address_never_written_to_proves_it),
		RING_TEST(another_port_outside_is_another_mapping),
		RING_TEST(the_address_that_was_written_to_proves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
